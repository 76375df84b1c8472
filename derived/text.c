/*
 * Full text, as a system: made, reset, freed, counted.
 *
 * Happy path: weir_text_create() makes the tokenizer and an empty state; a host drives it through
 * weir_text_ops(). What happens to an event is in text_apply.c, the state's file in text_state.c,
 * queries in text_find.c.
 *
 * Failure modes: options that do not fit (-EINVAL), no memory.
 *
 * Invariants: after a reset it is as after being made.
 */
#include "derived/text.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static void init_state(struct weir_text *text)
{
    dictionary_init(&text->names);
    dictionary_init(&text->rows);
    slab_init(&text->slab);
    text->word_at = NULL;
    text->row_at = NULL;
    text->word_room = 0;
    text->row_room = 0;
    text->tokens = 0;
    text->postings = 0;
    text->skipped_documents = 0;
}

static void free_state(struct weir_text *text)
{
    for (uint32_t word = 0; word < dictionary_end(&text->names); word++) {
        if (dictionary_has(&text->names, word)) {
            text_free_word(text, word);
        }
    }
    dictionary_free(&text->names);
    dictionary_free(&text->rows);
    slab_free_all(&text->slab);
    base_free(text->word_at);
    base_free(text->row_at);
}

void text_reset(void *self)
{
    free_state(self);
    init_state(self);
}

static bool options_are_valid(const struct weir_text_options *options)
{
    return options != NULL && options->size == sizeof *options && options->extract != NULL &&
           (options->stemmer == NULL ||
            strlen(options->stemmer) < sizeof((struct weir_text *)0)->stemmer);
}

int weir_text_create(const struct weir_text_options *options, struct weir_text **ret_text)
{
    if (!options_are_valid(options) || ret_text == NULL) {
        return -EINVAL;
    }
    struct weir_text *text = base_alloc_zero(sizeof *text);
    if (text == NULL) {
        return -ENOMEM;
    }
    int rc = words_open(options->stemmer, &text->words);
    if (rc == 0) {
        text->scratch = base_alloc(TEXT_ENTRY_MAX);
        rc = text->scratch != NULL ? 0 : -ENOMEM;
    }
    if (rc < 0) {
        words_close(text->words);
        base_free(text);
        return rc;
    }
    text->extract = options->extract;
    text->extract_context = options->extract_context;
    if (options->stemmer != NULL) {
        strcpy(text->stemmer, options->stemmer);
    }
    document_init(&text->before);
    document_init(&text->after);
    init_state(text);
    *ret_text = text;
    return 0;
}

void weir_text_free(struct weir_text *text)
{
    if (text == NULL) {
        return;
    }
    free_state(text);
    document_free(&text->before);
    document_free(&text->after);
    base_free(text->changes);
    base_free(text->scratch);
    words_close(text->words);
    base_free(text);
}

const struct weir_system_ops *weir_text_ops(void)
{
    static const struct weir_system_ops ops = {
        .size = sizeof ops,
        .kind = TEXT_KIND,
        .version = TEXT_VERSION,
        .apply = text_apply,
        .reset = text_reset,
        .save = text_save,
        .load = text_load,
        .fingerprint = text_fingerprint,
        .entries = text_entries,
    };
    return &ops;
}

/* What the words have beside the slab. */
static uint64_t bitmap_bytes(const struct weir_text *text)
{
    uint64_t bytes = 0;
    for (uint32_t number = 0; number < dictionary_end(&text->names); number++) {
        if (!dictionary_has(&text->names, number)) {
            continue;
        }
        const struct text_word *word = &text->word_at[number];
        const struct posting *slices = text_slices(text, word);
        bytes += posting_bytes(&text->slab, &word->rows);
        for (uint32_t slice = 0; slice < word->slice_count; slice++) {
            bytes += posting_bytes(&text->slab, &slices[slice]);
        }
    }
    return bytes;
}

int weir_text_stat(struct weir_text *text, struct weir_text_status *ret_status)
{
    if (text == NULL || ret_status == NULL || ret_status->size != sizeof *ret_status) {
        return -EINVAL;
    }
    ret_status->rows = dictionary_count(&text->rows);
    ret_status->words = dictionary_count(&text->names);
    ret_status->tokens = text->tokens;
    ret_status->postings = text->postings;
    ret_status->skipped_documents = text->skipped_documents;
    ret_status->bytes = dictionary_bytes(&text->rows) + dictionary_bytes(&text->names) +
                        text->slab.bytes + bitmap_bytes(text) +
                        text->word_room * sizeof *text->word_at +
                        text->row_room * sizeof *text->row_at;
    return 0;
}
