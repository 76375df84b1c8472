/*
 * The postings of a word: its rows, and slices that add up to how often it is in them.
 *
 * Happy path: a frequency of f is bit 0 (the row is there) and the bits of f - 1 above it; each bit
 * that is set is a row in a posting. A word that is once in each of its rows has no slices.
 *
 * Failure modes: without memory a call that sets bits clears those that it has set; clearing never
 * fails.
 *
 * Invariants: a row in a slice is in the word's rows, too.
 */
#include "derived/text.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

uint64_t text_bits(uint32_t frequency)
{
    return frequency > 0 ? 1 | (uint64_t)(frequency - 1) << 1 : 0;
}

struct posting *text_slices(const struct weir_text *text, const struct text_word *word)
{
    return word->slice_count > 0 ? slab_at(&text->slab, word->slices) : NULL;
}

static int reserve_slices(struct weir_text *text, struct text_word *word, uint32_t count)
{
    if (count <= word->slice_count) {
        return 0;
    }
    WEIR_ASSERT(count <= TEXT_SLICES_MAX);
    uint32_t block;
    int rc = slab_alloc(&text->slab, count * sizeof(struct posting), &block);
    if (rc < 0) {
        return rc;
    }
    struct posting *slices = slab_at(&text->slab, block);
    size_t size = word->slice_count * sizeof *slices;
    memset(slices, 0, count * sizeof *slices);
    if (word->slice_count > 0) {
        memcpy(slices, slab_at(&text->slab, word->slices), size);
        slab_free(&text->slab, word->slices, size);
    }
    word->slices = block;
    word->slice_count = count;
    return 0;
}

static int set_slices(struct weir_text *text, uint32_t number, uint32_t ordinal, uint64_t bits)
{
    struct text_word *word = &text->word_at[number];
    int rc = reserve_slices(text, word, 63 - (uint32_t)__builtin_clzll(bits));
    for (uint64_t rest = bits & ~UINT64_C(1); rest != 0 && rc >= 0; rest &= rest - 1) {
        uint32_t bit = (uint32_t)__builtin_ctzll(rest);
        struct posting *slices = text_slices(text, word);
        rc = posting_add(&text->slab, &slices[bit - 1], ordinal);
        if (rc < 0) {
            text_clear_bits(text, number, ordinal,
                            bits & ((UINT64_C(1) << bit) - 1) & ~UINT64_C(1));
        }
    }
    return rc < 0 ? rc : 0;
}

int text_set_bits(struct weir_text *text, uint32_t word, uint32_t ordinal, uint64_t bits)
{
    if (bits > 1) {
        int rc = set_slices(text, word, ordinal, bits);
        if (rc < 0) {
            return rc;
        }
    }
    if ((bits & 1) == 0) {
        return 0;
    }
    int rc = posting_add(&text->slab, &text->word_at[word].rows, ordinal);
    if (rc < 0) {
        text_clear_bits(text, word, ordinal, bits & ~UINT64_C(1));
        return rc;
    }
    return 0;
}

void text_clear_bits(struct weir_text *text, uint32_t word, uint32_t ordinal, uint64_t bits)
{
    struct text_word *at = &text->word_at[word];
    if ((bits & 1) != 0) {
        (void)posting_remove(&text->slab, &at->rows, ordinal);
    }
    for (uint64_t rest = bits & ~UINT64_C(1); rest != 0; rest &= rest - 1) {
        uint32_t slice = (uint32_t)__builtin_ctzll(rest) - 1;
        if (slice < at->slice_count) {
            (void)posting_remove(&text->slab, &text_slices(text, at)[slice], ordinal);
        }
    }
}

static void free_slices(struct weir_text *text, struct text_word *word)
{
    struct posting *slices = text_slices(text, word);
    for (uint32_t slice = 0; slice < word->slice_count; slice++) {
        posting_free(&text->slab, &slices[slice]);
    }
    if (word->slice_count > 0) {
        slab_free(&text->slab, word->slices, word->slice_count * sizeof *slices);
    }
    word->slice_count = 0;
}

void text_free_word(struct weir_text *text, uint32_t word)
{
    posting_free(&text->slab, &text->word_at[word].rows);
    free_slices(text, &text->word_at[word]);
}

void text_drop_if_empty(struct weir_text *text, uint32_t word)
{
    if (posting_is_empty(&text->word_at[word].rows)) {
        free_slices(text, &text->word_at[word]);
        dictionary_remove(&text->names, word);
    }
}

uint32_t text_frequency(const struct weir_text *text, uint32_t word, uint32_t ordinal)
{
    const struct text_word *at = &text->word_at[word];
    if (!posting_contains(&text->slab, &at->rows, ordinal)) {
        return 0;
    }
    const struct posting *slices = text_slices(text, at);
    uint32_t frequency = 1;
    for (uint32_t slice = 0; slice < at->slice_count; slice++) {
        frequency += posting_contains(&text->slab, &slices[slice], ordinal) ? 1u << slice : 0;
    }
    return frequency;
}
