/*
 * One event into the full text: from the row's words before and after to the postings that change.
 *
 * Happy path: the extractor gives the texts of the before-image and of the new row; both become
 * documents. Words that are in both equally often are left alone, so an update of another field
 * touches nothing but the row's LSN. The others are looked up together, each slot of the dictionary
 * fetched ahead. What can fail comes first: the row's ordinal, new words, bits that are set. Then
 * come the bits that are cleared, words that have no row any more, the row's length.
 *
 * Failure modes: without memory everything that was added is taken out again, and the state is as
 * before. A before-image that is not what the row's words came from (an event was skipped, the
 * extractor changed its mind) is seen by the signature: the row's words are then looked for in all
 * postings, which is slow and right.
 *
 * Invariants: a row is in `rows` exactly when it has a word, a word is in `names` exactly when it
 * has a row; a row's length is the sum of its frequencies, its signature the sum over its words.
 */
#include "derived/text.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <string.h>

/* ---- reading a row ---- */

struct emission {
    struct weir_text *text;
    struct text_document *document;
};

static int emit_text(void *context, uint32_t field, struct weir_bytes text)
{
    struct emission *emission = context;
    (void)field;
    return document_add(emission->document, emission->text->words, text);
}

/* 0; 1 (no document, so it has no words); < 0. */
static int read_row(struct weir_text *text, struct weir_bytes key, struct weir_bytes value,
                    struct text_document *document)
{
    struct emission emission = {.text = text, .document = document};
    int rc = text->extract(text->extract_context, key, value, emit_text, &emission);
    if (rc < 0) {
        return rc;
    }
    if (rc > 0) {
        rc = document_begin(document);
        return rc < 0 ? rc : 1;
    }
    document_finish(document);
    return 0;
}

/* ---- room ---- */

static int grow(void **array, uint32_t *room, size_t size, uint32_t number)
{
    if (number < *room) {
        return 0;
    }
    uint32_t more = *room > 0 ? *room : 64;
    while (more <= number) {
        if (more > UINT32_MAX / 2) {
            return -ENOMEM;
        }
        more += more / 2;
    }
    void *grown = base_alloc_array(more, size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    if (*room > 0) {
        memcpy(grown, *array, *room * size);
    }
    base_free(*array);
    *array = grown;
    *room = more;
    return 0;
}

int text_reserve_word(struct weir_text *text, uint32_t number)
{
    void *array = text->word_at;
    int rc = grow(&array, &text->word_room, sizeof *text->word_at, number);
    text->word_at = array;
    return rc;
}

int text_reserve_row(struct weir_text *text, uint32_t ordinal)
{
    void *array = text->row_at;
    int rc = grow(&array, &text->row_room, sizeof *text->row_at, ordinal);
    text->row_at = array;
    return rc;
}

static int reserve_changes(struct weir_text *text, uint64_t count)
{
    void *array = text->changes;
    int rc = count > UINT32_MAX
                 ? -ENOMEM
                 : grow(&array, &text->change_room, sizeof *text->changes, (uint32_t)count);
    text->changes = array;
    text->change_count = 0;
    return rc;
}

/* ---- what changes ---- */

static void add_change(struct weir_text *text, const struct text_document *document,
                       const struct text_term *term, uint32_t before, uint32_t after)
{
    WEIR_ASSERT(text->change_count < text->change_room);
    text->changes[text->change_count++] =
        (struct text_change){.hash = term->hash,
                             .data = document->bytes + term->offset,
                             .size = term->size,
                             .word = DICTIONARY_NONE,
                             .before = before,
                             .after = after};
}

/* The words after the event that were not seen before it. */
static void add_new_words(struct weir_text *text)
{
    const struct text_document *after = &text->after;
    for (uint32_t i = 0; i < after->count; i++) {
        if (after->terms[i].seen == 0) {
            add_change(text, after, &after->terms[i], 0, after->terms[i].frequency);
        }
    }
}

/* Compares the two documents. */
static int compare_documents(struct weir_text *text)
{
    const struct text_document *before = &text->before;
    struct text_document *after = &text->after;
    int rc = reserve_changes(text, (uint64_t)before->count + after->count);
    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < before->count; i++) {
        const struct text_term *term = &before->terms[i];
        uint32_t found = document_find(after, term->hash, before->bytes + term->offset, term->size);
        uint32_t frequency = 0;
        if (found != DICTIONARY_NONE) {
            after->terms[found].seen = 1;
            frequency = after->terms[found].frequency;
        }
        if (frequency != term->frequency) {
            add_change(text, before, term, term->frequency, frequency);
        }
    }
    add_new_words(text);
    return 0;
}

/* Looks for the row in all postings: for a before-image that cannot be believed. */
static int compare_state(struct weir_text *text, uint32_t ordinal)
{
    struct text_document *after = &text->after;
    int rc = reserve_changes(text, (uint64_t)dictionary_count(&text->names) + after->count);
    if (rc < 0) {
        return rc;
    }
    for (uint32_t word = 0; word < dictionary_end(&text->names); word++) {
        uint32_t before =
            dictionary_has(&text->names, word) ? text_frequency(text, word, ordinal) : 0;
        if (before == 0) {
            continue;
        }
        struct weir_bytes name = dictionary_text(&text->names, word);
        uint64_t hash = dictionary_hash(name.data, name.size);
        uint32_t found = document_find(after, hash, name.data, (uint32_t)name.size);
        struct text_change change = {.hash = hash,
                                     .data = name.data,
                                     .size = (uint32_t)name.size,
                                     .word = word,
                                     .before = before};
        if (found != DICTIONARY_NONE) {
            after->terms[found].seen = 1;
            change.after = after->terms[found].frequency;
        }
        if (change.before != change.after) {
            text->changes[text->change_count++] = change;
        }
    }
    add_new_words(text);
    return 0;
}

static int compare(struct weir_text *text, uint32_t ordinal)
{
    struct text_document *before = &text->before;
    if (ordinal == DICTIONARY_NONE) {
        int rc = document_begin(before); /* whatever it was: nothing of it is here */
        return rc < 0 ? rc : compare_documents(text);
    }
    const struct text_row *row = &text->row_at[ordinal];
    if (row->length != before->length || row->signature != before->signature) {
        return compare_state(text, ordinal);
    }
    return compare_documents(text);
}

/* ---- changing it ---- */

/* A guess that was right, or what there is to find. */
static uint32_t find_word(const struct dictionary *names, const struct text_change *change)
{
    if (change->word == DICTIONARY_NONE ||
        dictionary_is(names, change->word, change->data, change->size)) {
        return change->word;
    }
    return dictionary_find_hashed(names, change->hash, change->data, change->size);
}

/* Finds the words of all changes, step by step, so that the memory of one word is on its way while
 * the others are looked at. */
static void find_words(struct weir_text *text)
{
    struct dictionary *names = &text->names;
    struct text_change *changes = text->changes;
    uint32_t count = text->change_count;
    for (uint32_t i = 0; i < count; i++) {
        dictionary_prefetch(names, changes[i].hash);
    }
    for (uint32_t i = 0; i < count; i++) {
        changes[i].word = dictionary_guess(names, changes[i].hash);
        if (changes[i].word != DICTIONARY_NONE) {
            __builtin_prefetch(&text->word_at[changes[i].word], 1);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (changes[i].word != DICTIONARY_NONE) {
            dictionary_prefetch_text(names, changes[i].word);
            posting_prefetch(&text->slab, &text->word_at[changes[i].word].rows);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        changes[i].word = find_word(names, &changes[i]);
        if (changes[i].word != DICTIONARY_NONE) {
            posting_prefetch_more(&text->slab, &text->word_at[changes[i].word].rows);
        }
    }
}

static void undo(struct weir_text *text, uint32_t ordinal, uint32_t count)
{
    while (count > 0) {
        const struct text_change *change = &text->changes[--count];
        if (change->word == DICTIONARY_NONE) {
            continue;
        }
        text_clear_bits(text, change->word, ordinal,
                        text_bits(change->after) & ~text_bits(change->before));
        text_drop_if_empty(text, change->word);
    }
}

/* A word for a change that has none: it has no rows yet. */
static int add_word(struct weir_text *text, struct text_change *change)
{
    change->before = 0;
    if (change->after == 0) {
        return 0;
    }
    uint32_t word;
    int rc = dictionary_add_hashed(&text->names, change->hash, change->data, change->size, &word);
    if (rc < 0) {
        return rc;
    }
    WEIR_ASSERT(rc == 1);
    rc = text_reserve_word(text, word);
    if (rc < 0) {
        dictionary_remove(&text->names, word);
        return rc;
    }
    text->word_at[word] = (struct text_word){0};
    change->word = word;
    return 0;
}

/* All that can fail. */
static int set_changes(struct weir_text *text, uint32_t ordinal)
{
    for (uint32_t i = 0; i < text->change_count; i++) {
        struct text_change *change = &text->changes[i];
        int rc = change->word == DICTIONARY_NONE ? add_word(text, change) : 0;
        if (rc == 0 && change->word != DICTIONARY_NONE) {
            uint64_t bits = text_bits(change->after) & ~text_bits(change->before);
            rc = text_set_bits(text, change->word, ordinal, bits);
            if (rc < 0) {
                text_drop_if_empty(text, change->word);
            }
        }
        if (rc < 0) {
            undo(text, ordinal, i);
            return rc;
        }
    }
    return 0;
}

/* All that cannot. */
static void clear_changes(struct weir_text *text, uint32_t ordinal)
{
    for (uint32_t i = 0; i < text->change_count; i++) {
        const struct text_change *change = &text->changes[i];
        if (change->word == DICTIONARY_NONE) {
            continue;
        }
        text_clear_bits(text, change->word, ordinal,
                        text_bits(change->before) & ~text_bits(change->after));
        text->postings += change->after > 0 ? 1 : 0;
        text->postings -= change->before > 0 ? 1 : 0;
        if (change->after == 0) {
            text_drop_if_empty(text, change->word);
        }
    }
}

static void set_row(struct weir_text *text, uint32_t ordinal, weir_lsn lsn)
{
    struct text_row *row = &text->row_at[ordinal];
    text->tokens += text->after.length;
    text->tokens -= row->length;
    *row = (struct text_row){
        .lsn = lsn, .length = text->after.length, .signature = text->after.signature};
    if (row->length == 0) {
        *row = (struct text_row){0};
        dictionary_remove(&text->rows, ordinal);
    }
}

/* The row's ordinal: 1 (it is new); 0. */
static int add_row(struct weir_text *text, const struct weir_event *event, uint32_t *ret_ordinal)
{
    int rc = rows_add(&text->rows, event->table, event->key, ret_ordinal);
    if (rc <= 0) {
        return rc;
    }
    rc = text_reserve_row(text, *ret_ordinal);
    if (rc < 0) {
        dictionary_remove(&text->rows, *ret_ordinal);
        return rc;
    }
    text->row_at[*ret_ordinal] = (struct text_row){0};
    return 1;
}

static int change_row(struct weir_text *text, const struct weir_event *event)
{
    uint32_t ordinal;
    int added = 0;
    if (text->after.count > 0) {
        added = add_row(text, event, &ordinal);
        if (added < 0) {
            return added;
        }
    } else {
        ordinal = rows_find(&text->rows, event->table, event->key);
        if (ordinal == DICTIONARY_NONE) {
            return 0; /* it had no words, and has none */
        }
    }
    int rc = compare(text, added > 0 ? DICTIONARY_NONE : ordinal);
    if (rc == 0) {
        find_words(text);
        rc = set_changes(text, ordinal);
    }
    if (rc < 0) {
        if (added > 0) {
            dictionary_remove(&text->rows, ordinal);
        }
        return rc;
    }
    clear_changes(text, ordinal);
    set_row(text, ordinal, event->lsn);
    return 0;
}

int text_apply(void *self, const struct weir_event *event)
{
    struct weir_text *text = self;
    int before = document_begin(&text->before);
    int after = document_begin(&text->after);
    if (before == 0 && event->operation != WEIR_INSERT) {
        before = read_row(text, event->key, event->before, &text->before);
    }
    if (after == 0 && event->operation != WEIR_REMOVE) {
        after = read_row(text, event->key, event->after, &text->after);
    }
    if (before < 0 || after < 0) {
        return before < 0 ? before : after;
    }
    int rc = change_row(text, event);
    if (rc < 0) {
        return rc;
    }
    text->skipped_documents += (uint64_t)after;
    text->skipped_documents -= before > 0 && text->skipped_documents > 0 ? 1 : 0;
    return 0;
}
