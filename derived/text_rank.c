/*
 * Ranking: BM25 of each row that was found, and the order in which they come.
 *
 *     score = sum over terms of  idf * f * (k1 + 1) / (f + k1 * (1 - b + b * length / average))
 *     idf   = ln(1 + (N - n + 0.5) / (n + 0.5))
 *
 * f is how often the term is in the row (of a prefix: all of its words), length is the row's in
 * words, N the rows that have words at all, n those that have the term.
 *
 * Happy path: term by term, the frequencies of the rows that were found are added up, either by
 * walking the postings beside them or, when they are few, by looking each one up. Then the best
 * `limit` of them go through a heap, and are sorted. Without ranking a result that is a good part
 * of all rows is read off the dictionary's order instead.
 *
 * Failure modes: no memory (before the first row is given); what fn returns.
 *
 * Invariants: equal rows have equal scores to the last bit, since terms are summed in one order.
 */
#include "derived/text.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define K1 1.2
#define B 0.75

/* Looking a row up costs so many steps of a walk. */
#define LOOKUP_STEPS 16
/* A result of at least one in so many rows is read off the order. */
#define DENSE 16

/* ---- scores ---- */

/* The first index at or behind `from` whose ordinal is not less: near ones are found soon. */
static uint32_t seek(const uint32_t *rows, uint32_t count, uint32_t from, uint32_t ordinal)
{
    if (from >= count || rows[from] >= ordinal) {
        return from;
    }
    uint32_t step = 1;
    while (count - from > step && rows[from + step] < ordinal) {
        from += step;
        step = step < UINT32_C(1) << 30 ? 2 * step : step;
    }
    uint32_t low = from + 1;
    uint32_t high = count - from > step ? from + step : count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (rows[middle] < ordinal) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Adds `weight` for each of the rows that is in the posting. */
static void add_posting(const struct text_search *search, const struct posting *posting,
                        uint32_t weight, uint32_t *frequencies)
{
    const struct slab *slab = &search->text->slab;
    const uint32_t *rows = search->rows;
    if ((uint64_t)search->row_count * LOOKUP_STEPS < posting_count(slab, posting)) {
        for (uint32_t i = 0; i < search->row_count; i++) {
            frequencies[i] += posting_contains(slab, posting, rows[i]) ? weight : 0;
        }
        return;
    }
    struct posting_walk walk;
    uint32_t at = 0;
    bool more = posting_first(slab, posting, &walk);
    for (; more && at < search->row_count; more = posting_next(&walk)) {
        at = seek(rows, search->row_count, at, walk.ordinal);
        if (at < search->row_count && rows[at] == walk.ordinal) {
            frequencies[at] += weight;
        }
    }
}

static void add_term(const struct text_search *search, const struct text_query_term *term,
                     uint32_t *frequencies)
{
    const struct weir_text *text = search->text;
    for (uint32_t position = term->first; position < term->end; position++) {
        const struct text_word *word = &text->word_at[search_word(search, term, position)];
        const struct posting *slices = text_slices(text, word);
        add_posting(search, &word->rows, 1, frequencies);
        for (uint32_t slice = 0; slice < word->slice_count; slice++) {
            add_posting(search, &slices[slice], UINT32_C(1) << slice, frequencies);
        }
    }
}

static double idf_of(double rows, double with)
{
    return log(1 + (rows - with + 0.5) / (with + 0.5));
}

/* k1 * (1 - b + b * length / average) of each row. */
static void measure_rows(const struct text_search *search, double *ret_norms)
{
    const struct weir_text *text = search->text;
    double average = (double)text->tokens / (double)dictionary_count(&text->rows);
    for (uint32_t i = 0; i < search->row_count; i++) {
        double length = text->row_at[search->rows[i]].length;
        ret_norms[i] = K1 * (1 - B + B * length / average);
    }
}

static int score_terms(const struct text_search *search, const double *norms, uint32_t *frequencies,
                       double *scores)
{
    double rows = dictionary_count(&search->text->rows);
    for (uint32_t i = 0; i < search->term_count; i++) {
        const struct text_query_term *term = &search->terms[i];
        uint64_t with;
        int rc = search_count(search, term, &with);
        if (rc < 0) {
            return rc;
        }
        if (with == 0) {
            continue;
        }
        memset(frequencies, 0, search->row_count * sizeof *frequencies);
        add_term(search, term, frequencies);
        double idf = idf_of(rows, (double)with);
        for (uint32_t row = 0; row < search->row_count; row++) {
            double frequency = frequencies[row];
            scores[row] += idf * frequency * (K1 + 1) / (frequency + norms[row]);
        }
    }
    return 0;
}

int rank_rows(const struct text_search *search, double **ret_scores)
{
    double *scores = base_alloc_array(search->row_count, sizeof *scores);
    double *norms = base_alloc_array(search->row_count, sizeof *norms);
    uint32_t *frequencies = base_alloc_array(search->row_count, sizeof *frequencies);
    int rc = -ENOMEM;
    if (scores != NULL && norms != NULL && frequencies != NULL) {
        rc = 0;
        if (search->row_count > 0) {
            measure_rows(search, norms);
            rc = score_terms(search, norms, frequencies, scores);
        }
    }
    base_free(frequencies);
    base_free(norms);
    if (rc < 0) {
        base_free(scores);
        return rc;
    }
    *ret_scores = scores;
    return 0;
}

/* ---- order ---- */

struct hit {
    double score;
    uint64_t lead; /* of what comes behind what all names have in common, the first bytes */
    uint32_t ordinal;
};

/* As for qsort_r(): < 0 when the left one comes first. */
static int compare_hits(const void *left_hit, const void *right_hit, void *context)
{
    const struct hit *left = left_hit;
    const struct hit *right = right_hit;
    const struct dictionary *rows = context;
    if (left->score != right->score) {
        return left->score > right->score ? -1 : 1;
    }
    if (left->lead != right->lead) {
        return left->lead < right->lead ? -1 : 1;
    }
    return dictionary_compare(dictionary_text(rows, left->ordinal),
                              dictionary_text(rows, right->ordinal));
}

static uint32_t common_bytes(struct weir_bytes left, struct weir_bytes right, uint32_t most)
{
    const uint8_t *a = left.data;
    const uint8_t *b = right.data;
    uint32_t count = 0;
    while (count < most && count < left.size && count < right.size && a[count] == b[count]) {
        count++;
    }
    return count;
}

static uint64_t lead_of(struct weir_bytes name, uint32_t skip)
{
    uint64_t lead = 0;
    const uint8_t *data = name.data;
    for (uint32_t i = 0; i < 8; i++) {
        lead = lead << 8 | (skip + i < name.size ? data[skip + i] : 0);
    }
    return lead;
}

/* A key that ends early has zeros for a lead, as one with zeros in it: they are compared in full.
 */
static void make_leads(const struct text_search *search, struct hit *hits, uint32_t count)
{
    const struct dictionary *rows = &search->text->rows;
    uint32_t skip = UINT32_MAX;
    for (uint32_t i = 1; i < count && skip > 0; i++) {
        skip = common_bytes(dictionary_text(rows, hits[0].ordinal),
                            dictionary_text(rows, hits[i].ordinal), skip);
    }
    for (uint32_t i = 0; i < count && count > 1; i++) {
        hits[i].lead = lead_of(dictionary_text(rows, hits[i].ordinal), skip);
    }
}

/* Restores the heap from a place down: whoever comes last is on top. */
static void sink(struct hit *heap, uint32_t count, uint32_t at, struct dictionary *rows)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && compare_hits(&heap[child], &heap[child + 1], rows) < 0) {
            child++;
        }
        if (compare_hits(&heap[at], &heap[child], rows) >= 0) {
            return;
        }
        struct hit hit = heap[at];
        heap[at] = heap[child];
        heap[child] = hit;
        at = child;
    }
}

/* Brings those that come first to the front, in no order. */
static void select_first(struct hit *hits, uint32_t count, uint32_t limit, struct dictionary *rows)
{
    for (uint32_t i = limit / 2; i > 0; i--) {
        sink(hits, limit, i - 1, rows);
    }
    for (uint32_t i = limit; i < count; i++) {
        if (compare_hits(&hits[i], &hits[0], rows) < 0) {
            hits[0] = hits[i];
            sink(hits, limit, 0, rows);
        }
    }
}

static int emit_row(const struct text_search *search, uint32_t ordinal, double score,
                    weir_text_fn fn, void *context)
{
    weir_table table;
    struct weir_bytes key = rows_key(&search->text->rows, ordinal, &table);
    return fn(context, table, key, score);
}

static int emit_sorted(const struct text_search *search, const double *scores, uint32_t limit,
                       weir_text_fn fn, void *context)
{
    struct dictionary *rows = &search->text->rows;
    struct hit *hits = base_alloc_array(search->row_count, sizeof *hits);
    if (hits == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < search->row_count; i++) {
        hits[i].score = scores != NULL ? scores[i] : 0;
        hits[i].ordinal = search->rows[i];
    }
    if (scores == NULL) {
        make_leads(search, hits, search->row_count);
    }
    if (limit < search->row_count) {
        select_first(hits, search->row_count, limit, rows);
    }
    qsort_r(hits, limit, sizeof *hits, compare_hits, rows);
    int rc = 0;
    for (uint32_t i = 0; i < limit && rc == 0; i++) {
        rc = emit_row(search, hits[i].ordinal, hits[i].score, fn, context);
    }
    base_free(hits);
    return rc;
}

/* Goes through all rows in their order and gives those that were found. */
static int emit_ordered(const struct text_search *search, uint32_t limit, weir_text_fn fn,
                        void *context)
{
    struct dictionary *rows = &search->text->rows;
    uint32_t count;
    int rc = dictionary_order(rows, &count);
    if (rc < 0) {
        return rc;
    }
    uint64_t *bits = base_alloc_array(((size_t)dictionary_end(rows) + 63) / 64, sizeof *bits);
    if (bits == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < search->row_count; i++) {
        bits[search->rows[i] / 64] |= UINT64_C(1) << search->rows[i] % 64;
    }
    for (uint32_t position = 0; position < count && limit > 0 && rc == 0; position++) {
        uint32_t ordinal = dictionary_ordered(rows, position);
        if ((bits[ordinal / 64] >> ordinal % 64 & 1) != 0) {
            rc = emit_row(search, ordinal, 0, fn, context);
            limit--;
        }
    }
    base_free(bits);
    return rc;
}

int rank_emit(const struct text_search *search, const double *scores, uint64_t limit,
              weir_text_fn fn, void *context)
{
    uint32_t count = search->row_count;
    uint32_t most = limit == 0 || limit > count ? count : (uint32_t)limit;
    if (count == 0) {
        return 0;
    }
    if (scores == NULL && count >= dictionary_count(&search->text->rows) / DENSE) {
        return emit_ordered(search, most, fn, context);
    }
    return emit_sorted(search, scores, most, fn, context);
}
