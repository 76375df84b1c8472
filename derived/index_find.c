/*
 * Which rows have a value: from a query to entries, in order.
 *
 *   bounds: the tuples between two positions in the order of the values
 *   rows:   of each value, sorted by table and key: sorted when asked, or picked from the rows in
 *           order when that is less work (many rows of a value, or few that are wanted)
 *
 * Failure: -EINVAL for a query that is none, -ENOMEM, and whatever the caller's function returns.
 * Invariant: nothing of the index changes but the orders of its dictionaries.
 */
#include "derived/index.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

/* What it costs to look whether a row has a value, and to sort one that has: their proportion. */
#define SORT_COST 12u
#define SORTED_ALWAYS 256u

/* What is borrowed while one walks. */
struct walk {
    struct weir_index *index;
    const struct weir_index_query *query;
    index_walk_fn fn;
    void *context;
    uint64_t left; /* that are wanted */
    uint32_t *numbers;
    uint32_t capacity;
    bool once;
    struct slab slab;
    struct posting seen; /* rows that were given, with `once` */
};

/* ---- from and to ---- */

struct bounds {
    uint32_t from, to; /* positions in the order of values */
};

/* Texts of the query in the form that they have in a tuple. */
static int encode_fields(const struct weir_index *index, const struct weir_bytes *texts,
                         size_t count, bool open_end, uint8_t **ret_bytes, size_t *ret_size)
{
    size_t room = 1;
    for (size_t field = 0; field < count; field++) {
        if (texts[field].size > SIZE_MAX / 4) {
            return -EINVAL;
        }
        room += INDEX_FIELD_ROOM(texts[field].size);
    }
    uint8_t *bytes = base_alloc(room);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    uint8_t *to = bytes;
    for (size_t field = 0; field < count; field++) {
        bool with_end = field + 1 < count || !open_end;
        to = index_tuple_put(to, texts[field], field + 1 == index->fields, with_end);
    }
    *ret_bytes = bytes;
    *ret_size = (size_t)(to - bytes);
    return 0;
}

static int position_of(const struct weir_index *index, const struct weir_bytes *text,
                       uint32_t *ret_position)
{
    uint8_t *bytes;
    size_t size;
    int rc = encode_fields(index, text, 1, true, &bytes, &size);
    if (rc == 0) {
        *ret_position = dictionary_lower_bound(&index->values, bytes, size);
        base_free(bytes);
    }
    return rc;
}

static int bounds_of_range(const struct weir_index *index, const struct weir_index_query *query,
                           uint32_t count, struct bounds *ret_bounds)
{
    *ret_bounds = (struct bounds){0, count};
    int rc = position_of(index, &query->from, &ret_bounds->from);
    if (rc == 0 && query->bounded) {
        rc = position_of(index, &query->to, &ret_bounds->to);
    }
    return rc;
}

static int bounds_of_prefix(const struct weir_index *index, const struct weir_index_query *query,
                            uint32_t count, struct bounds *ret_bounds)
{
    uint8_t *bytes;
    size_t size;
    *ret_bounds = (struct bounds){0, count};
    if (query->count == 0) {
        return 0;
    }
    int rc = encode_fields(index, query->values, query->count, query->prefix, &bytes, &size);
    if (rc == 0) {
        ret_bounds->from = dictionary_lower_bound(&index->values, bytes, size);
        ret_bounds->to = dictionary_prefix_end(&index->values, bytes, size);
        base_free(bytes);
    }
    return rc;
}

/* ---- the rows of a value ---- */

static int give(struct walk *walk, uint32_t value, uint32_t row)
{
    if (walk->once) {
        int rc = posting_add(&walk->slab, &walk->seen, row);
        if (rc <= 0) {
            return rc;
        }
    }
    walk->left--;
    return walk->fn(walk->context, value, row);
}

/* At most so many of the rows, looked at in order, are seen before enough were found. */
static bool picking_is_less_work(const struct walk *walk, uint64_t count)
{
    uint64_t wanted = walk->left < count ? walk->left : count;
    double seen = (double)wanted / (double)count * dictionary_count(&walk->index->rows);
    return count > SORTED_ALWAYS && seen < (double)count * SORT_COST;
}

static int pick_rows(struct walk *walk, uint32_t value, uint64_t count)
{
    struct weir_index *index = walk->index;
    const struct posting *posting = &index->postings[value];
    uint32_t all;
    int rc = dictionary_order(&index->rows, &all);
    for (uint32_t at = 0; rc == 0 && at < all && count > 0 && walk->left > 0; at++) {
        uint32_t row = dictionary_ordered(&index->rows, walk->query->reverse ? all - 1 - at : at);
        if (posting_contains(&index->slab, posting, row)) {
            count--;
            rc = give(walk, value, row);
        }
    }
    return rc;
}

static int sort_rows(struct walk *walk, uint32_t value, uint32_t count)
{
    const struct weir_index *index = walk->index;
    if (count > walk->capacity) {
        uint32_t *grown = base_alloc(count * sizeof *grown);
        if (grown == NULL) {
            return -ENOMEM;
        }
        base_free(walk->numbers);
        walk->numbers = grown;
        walk->capacity = count;
    }
    uint32_t filled = 0;
    struct posting_walk rows;
    for (bool more = posting_first(&index->slab, &index->postings[value], &rows); more;
         more = posting_next(&rows)) {
        walk->numbers[filled++] = rows.ordinal;
    }
    int rc = dictionary_sort(&index->rows, walk->numbers, filled);
    for (uint32_t at = 0; rc == 0 && at < filled && walk->left > 0; at++) {
        rc = give(walk, value, walk->numbers[walk->query->reverse ? filled - 1 - at : at]);
    }
    return rc;
}

static int walk_value(struct walk *walk, uint32_t value)
{
    struct weir_index *index = walk->index;
    uint64_t count = posting_count(&index->slab, &index->postings[value]);
    if (picking_is_less_work(walk, count)) {
        return pick_rows(walk, value, count);
    }
    return sort_rows(walk, value, (uint32_t)count);
}

static int walk_bounds(struct walk *walk, struct bounds bounds)
{
    int rc = 0;
    uint32_t count = bounds.from < bounds.to ? bounds.to - bounds.from : 0;
    for (uint32_t at = 0; rc == 0 && at < count && walk->left > 0; at++) {
        uint32_t position = walk->query->reverse ? bounds.to - 1 - at : bounds.from + at;
        rc = walk_value(walk, dictionary_ordered(&walk->index->values, position));
    }
    return rc;
}

/* ---- a query ---- */

/* All fields are given: no order is needed to find the one value. */
static int walk_one(struct walk *walk)
{
    struct weir_index *index = walk->index;
    uint8_t *bytes;
    size_t size;
    int rc = encode_fields(index, walk->query->values, index->fields, false, &bytes, &size);
    if (rc < 0) {
        return rc;
    }
    uint32_t value = dictionary_find(&index->values, bytes, size);
    base_free(bytes);
    return value == DICTIONARY_NONE ? 0 : walk_value(walk, value);
}

static int walk_query(struct walk *walk)
{
    struct weir_index *index = walk->index;
    const struct weir_index_query *query = walk->query;
    if (!query->ranged && !query->prefix && query->count == index->fields) {
        return walk_one(walk);
    }
    uint32_t count;
    struct bounds bounds;
    int rc = dictionary_order(&index->values, &count);
    if (rc == 0) {
        rc = query->ranged ? bounds_of_range(index, query, count, &bounds)
                           : bounds_of_prefix(index, query, count, &bounds);
    }
    return rc < 0 ? rc : walk_bounds(walk, bounds);
}

static bool is_query(const struct weir_index *index, const struct weir_index_query *query)
{
    static const uint8_t zeros[sizeof query->reserved];
    return query != NULL && query->size == sizeof *query &&
           memcmp(query->reserved, zeros, sizeof zeros) == 0 &&
           (query->ranged ? query->count == 0 && !query->prefix
                          : query->count <= index->fields && (query->count > 0 || !query->prefix));
}

int index_walk(struct weir_index *index, const struct weir_index_query *query, bool once,
               index_walk_fn fn, void *context)
{
    if (!is_query(index, query)) {
        return -EINVAL;
    }
    struct walk walk = {.index = index,
                        .query = query,
                        .fn = fn,
                        .context = context,
                        .left = query->limit > 0 ? query->limit : UINT64_MAX,
                        .once = once};
    slab_init(&walk.slab);
    int rc = walk_query(&walk);
    posting_free(&walk.slab, &walk.seen);
    slab_free_all(&walk.slab);
    base_free(walk.numbers);
    return rc;
}

/* ---- for the caller: with the fields of the value ---- */

struct finder {
    const struct weir_index *index;
    weir_index_fn fn;
    void *context;
    uint32_t value; /* that the fields are of */
    uint8_t *room;
    struct weir_bytes fields[WEIR_INDEX_FIELDS_MAX];
};

static int hand_on(void *context, uint32_t value, uint32_t row)
{
    struct finder *finder = context;
    const struct weir_index *index = finder->index;
    if (value != finder->value) {
        (void)index_tuple_split(dictionary_text(&index->values, value), index->fields, finder->room,
                                finder->fields);
        finder->value = value;
    }
    weir_table table;
    struct weir_bytes key = rows_key(&index->rows, row, &table);
    return finder->fn(finder->context, finder->fields, table, key);
}

int weir_index_find(struct weir_index *index, const struct weir_index_query *query,
                    weir_index_fn fn, void *context)
{
    if (index == NULL || fn == NULL) {
        return -EINVAL;
    }
    struct finder finder = {
        .index = index, .fn = fn, .context = context, .value = DICTIONARY_NONE, .room = NULL};
    finder.room = base_alloc(INDEX_TUPLE_MAX);
    if (finder.room == NULL) {
        return -ENOMEM;
    }
    int rc = index_walk(index, query, false, hand_on, &finder);
    base_free(finder.room);
    return rc;
}
