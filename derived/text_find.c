/*
 * A query: from terms to rows.
 *
 * Happy path: the terms go through the same tokenizer as rows do. A word is looked up; a prefix is
 * a range of the dictionary's order. For all terms, the postings of whole words are intersected as
 * bitmaps, the rarest first, and what is left is held against each prefix. For any term, and for
 * a prefix, rows are collected in one bit each, so that thousands of words cost no more than their
 * rows. Then rank_rows() and rank_emit().
 *
 * Failure modes: more terms than WEIR_TEXT_TERMS_MAX (-E2BIG), no memory; what fn returns.
 *
 * Invariants: the state is only read, but for the dictionary's order, which is brought up to date.
 */
#include "derived/text.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <string.h>

struct text_search *search_create(struct weir_text *text)
{
    struct text_search *search = base_alloc(sizeof *search);
    if (search != NULL) {
        search->text = text;
        search->rows = NULL;
        search->row_count = 0;
        search->term_count = 0;
        search->used = 0;
    }
    return search;
}

void search_free(struct text_search *search)
{
    if (search != NULL) {
        base_free(search->rows);
        base_free(search);
    }
}

/* ---- terms ---- */

static bool is_there(const struct text_search *search, const struct text_query_term *term)
{
    for (uint32_t i = 0; i < search->term_count; i++) {
        const struct text_query_term *other = &search->terms[i];
        if (other->size == term->size && other->prefix == term->prefix &&
            memcmp(search->bytes + other->offset, search->bytes + term->offset, term->size) == 0) {
            return true;
        }
    }
    return false;
}

/* Finds the words of a term. */
static int resolve(struct text_search *search, struct text_query_term *term)
{
    struct weir_text *text = search->text;
    const uint8_t *data = search->bytes + term->offset;
    if (term->prefix) {
        uint32_t count;
        int rc = dictionary_order(&text->names, &count);
        if (rc < 0) {
            return rc;
        }
        term->first = dictionary_lower_bound(&text->names, data, term->size);
        term->end = dictionary_prefix_end(&text->names, data, term->size);
    } else {
        term->first = dictionary_find(&text->names, data, term->size);
        term->end = term->first + (term->first != DICTIONARY_NONE ? 1 : 0);
    }
    for (uint32_t position = term->first; position < term->end; position++) {
        uint32_t word = search_word(search, term, position);
        term->rows += posting_count(&text->slab, &text->word_at[word].rows);
    }
    return 0;
}

int search_parse(struct text_search *search, struct weir_bytes terms)
{
    struct words *words = search->text->words;
    struct words_text rest = {.at = terms.data,
                              .end = terms.size > 0 ? (const uint8_t *)terms.data + terms.size
                                                    : terms.data};
    for (;;) {
        /* One word more than can be kept still has room to be looked at. */
        uint8_t *word = search->bytes + search->used;
        struct text_query_term term = {.offset = search->used};
        term.size = words_next(words, &rest, word);
        if (term.size == 0) {
            return 0;
        }
        term.prefix = rest.at < rest.end && *rest.at == '*';
        if (!term.prefix) {
            int size = words_stem(words, word, term.size);
            if (size < 0) {
                return size;
            }
            term.size = (uint32_t)size;
        }
        if (is_there(search, &term)) {
            continue;
        }
        if (search->term_count == WEIR_TEXT_TERMS_MAX) {
            return -E2BIG;
        }
        int rc = resolve(search, &term);
        if (rc < 0) {
            return rc;
        }
        search->terms[search->term_count++] = term;
        search->used += term.size;
    }
}

uint32_t search_word(const struct text_search *search, const struct text_query_term *term,
                     uint32_t position)
{
    return term->prefix ? dictionary_ordered(&search->text->names, position) : position;
}

static const struct posting *rows_of(const struct text_search *search,
                                     const struct text_query_term *term, uint32_t position)
{
    return &search->text->word_at[search_word(search, term, position)].rows;
}

/* ---- one bit for each ordinal ---- */

static size_t bits_size(const struct text_search *search)
{
    return ((size_t)dictionary_end(&search->text->rows) + 63) / 64;
}

static uint64_t *alloc_bits(const struct text_search *search)
{
    return base_alloc_array(bits_size(search), sizeof(uint64_t));
}

static bool has_bit(const uint64_t *bits, uint32_t ordinal)
{
    return (bits[ordinal / 64] >> ordinal % 64 & 1) != 0;
}

/* The rows of all words of a term. */
static void set_bits(const struct text_search *search, const struct text_query_term *term,
                     uint64_t *bits)
{
    for (uint32_t position = term->first; position < term->end; position++) {
        struct posting_walk walk;
        const struct posting *rows = rows_of(search, term, position);
        bool more = posting_first(&search->text->slab, rows, &walk);
        for (; more; more = posting_next(&walk)) {
            bits[walk.ordinal / 64] |= UINT64_C(1) << walk.ordinal % 64;
        }
    }
}

static uint64_t count_bits(const struct text_search *search, const uint64_t *bits)
{
    uint64_t count = 0;
    for (size_t i = 0; i < bits_size(search); i++) {
        count += (uint64_t)__builtin_popcountll(bits[i]);
    }
    return count;
}

int search_count(const struct text_search *search, const struct text_query_term *term,
                 uint64_t *ret_rows)
{
    if (term->end - term->first <= 1) {
        *ret_rows = term->rows;
        return 0;
    }
    uint64_t *bits = alloc_bits(search);
    if (bits == NULL) {
        return -ENOMEM;
    }
    set_bits(search, term, bits);
    *ret_rows = count_bits(search, bits);
    base_free(bits);
    return 0;
}

static int take_bits(struct text_search *search, const uint64_t *bits)
{
    uint32_t count = (uint32_t)count_bits(search, bits);
    search->rows = base_alloc_array(count, sizeof *search->rows);
    if (search->rows == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < bits_size(search); i++) {
        for (uint64_t rest = bits[i]; rest != 0; rest &= rest - 1) {
            search->rows[search->row_count++] =
                (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(rest);
        }
    }
    WEIR_ASSERT(search->row_count == count);
    return 0;
}

/* ---- rows ---- */

/* Collects the rows of `count` terms. */
static int collect(struct text_search *search, const struct text_query_term *terms, uint32_t count)
{
    uint64_t *bits = alloc_bits(search);
    if (bits == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        set_bits(search, &terms[i], bits);
    }
    int rc = take_bits(search, bits);
    base_free(bits);
    return rc;
}

/* Intersects the postings of all whole words; `rarest` is one of them. */
static int intersect(struct text_search *search, const struct text_query_term *rarest)
{
    const struct slab *slab = &search->text->slab;
    roaring_bitmap_t *bitmap = posting_bitmap_create();
    if (bitmap == NULL) {
        return -ENOMEM;
    }
    int rc = posting_or_into(slab, rows_of(search, rarest, rarest->first), bitmap);
    for (uint32_t i = 0; i < search->term_count && rc == 0; i++) {
        const struct text_query_term *term = &search->terms[i];
        if (term != rarest && !term->prefix) {
            rc = posting_and_into(slab, rows_of(search, term, term->first), bitmap);
        }
    }
    if (rc == 0) {
        uint64_t count = roaring_bitmap_get_cardinality(bitmap);
        search->rows = base_alloc_array(count, sizeof *search->rows);
        rc = search->rows != NULL ? 0 : -ENOMEM;
        if (rc == 0) {
            roaring_bitmap_to_uint32_array(bitmap, search->rows);
            search->row_count = (uint32_t)count;
        }
    }
    roaring_bitmap_free(bitmap);
    return rc;
}

static bool has_word(const struct text_search *search, const struct text_query_term *term,
                     uint32_t ordinal)
{
    for (uint32_t position = term->first; position < term->end; position++) {
        if (posting_contains(&search->text->slab, rows_of(search, term, position), ordinal)) {
            return true;
        }
    }
    return false;
}

/* Keeps of the rows those that have a word of the term. */
static int filter(struct text_search *search, const struct text_query_term *term)
{
    uint32_t kept = 0;
    bool few = (uint64_t)search->row_count * (term->end - term->first) < term->rows / 8;
    uint64_t *bits = few ? NULL : alloc_bits(search);
    if (!few && bits == NULL) {
        return -ENOMEM;
    }
    if (!few) {
        set_bits(search, term, bits);
    }
    for (uint32_t i = 0; i < search->row_count; i++) {
        uint32_t ordinal = search->rows[i];
        if (few ? has_word(search, term, ordinal) : has_bit(bits, ordinal)) {
            search->rows[kept++] = ordinal;
        }
    }
    search->row_count = kept;
    base_free(bits);
    return 0;
}

/* The term to begin with: whole words before prefixes, then the one with the fewest rows. */
static const struct text_query_term *first_term(const struct text_search *search)
{
    const struct text_query_term *first = &search->terms[0];
    for (uint32_t i = 1; i < search->term_count; i++) {
        const struct text_query_term *term = &search->terms[i];
        if (first->prefix != term->prefix ? first->prefix : term->rows < first->rows) {
            first = term;
        }
    }
    return first;
}

static int find_all(struct text_search *search)
{
    for (uint32_t i = 0; i < search->term_count; i++) {
        if (search->terms[i].rows == 0) {
            return 0;
        }
    }
    const struct text_query_term *first = first_term(search);
    int rc = first->prefix ? collect(search, first, 1) : intersect(search, first);
    for (uint32_t i = 0; i < search->term_count && rc == 0; i++) {
        const struct text_query_term *term = &search->terms[i];
        if (term->prefix && term != first) {
            rc = filter(search, term);
        }
    }
    return rc;
}

int search_rows(struct text_search *search, bool any)
{
    if (search->term_count == 0) {
        return 0;
    }
    return any ? collect(search, search->terms, search->term_count) : find_all(search);
}

/* ---- the public call ---- */

static bool query_is_valid(const struct weir_text_query *query)
{
    static const uint8_t zeros[sizeof query->reserved];
    return query != NULL && query->size == sizeof *query &&
           memcmp(query->reserved, zeros, sizeof zeros) == 0 &&
           (query->terms.data != NULL || query->terms.size == 0);
}

int weir_text_find(struct weir_text *text, const struct weir_text_query *query, weir_text_fn fn,
                   void *context)
{
    if (text == NULL || !query_is_valid(query) || fn == NULL) {
        return -EINVAL;
    }
    struct text_search *search = search_create(text);
    if (search == NULL) {
        return -ENOMEM;
    }
    double *scores = NULL;
    int rc = search_parse(search, query->terms);
    if (rc == 0) {
        rc = search_rows(search, query->any);
    }
    if (rc == 0 && query->ranked) {
        rc = rank_rows(search, &scores);
    }
    if (rc == 0) {
        rc = rank_emit(search, scores, query->limit, fn, context);
    }
    base_free(scores);
    search_free(search);
    return rc;
}
