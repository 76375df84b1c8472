/*
 * The walk of a rebuild: a range of the log, once, from its beginning to its end.
 *
 * Happy path: a cursor lends 64 records at a time; each change puts 16 bytes into the bucket of its
 * key: 8 bytes of the key, and its address. Names of tables are noted.
 *
 * Failure modes: the cursor's, records that no engine wrote, no memory: noted with the LSN. The
 * ranges in front go on, so that what is reported is what comes first in the log.
 *
 * Invariants: a bucket holds its entries in the order of the log; a segment that was walked stays
 * pinned, so that keys in it can be loaded without computing their checksums again.
 */
#include "engine/rebuild.h"

#include <errno.h>

#define WALK_BATCH 64
#define PREFETCH_ENTRIES 8
#define SLAB_BYTES ((size_t)4 << 20)
#define SLAB_BYTES_SMALL ((size_t)128 << 10)
#define RECORDS_SMALL 100000u
#define PROGRESS_BATCHES 64u

/* Memory of chunks. A small log takes small ones. */
struct rebuild_slab {
    struct rebuild_slab *next;
    size_t bytes;
};

static int add_slab(struct rebuild_range *range)
{
    struct rebuild_memory *memory = range->memory;
    bool small = range->rebuild->to - range->rebuild->from < RECORDS_SMALL;
    size_t bytes = small ? SLAB_BYTES_SMALL : SLAB_BYTES;
    struct rebuild_slab *slab = base_pages_alloc(bytes, small ? 0 : BASE_PAGES_HUGE);
    if (slab == NULL) {
        return -ENOMEM;
    }
    *slab = (struct rebuild_slab){.next = memory->slabs, .bytes = bytes};
    memory->slabs = slab;
    memory->next = (uint8_t *)slab + BASE_CACHE_LINE;
    memory->end = (uint8_t *)slab + bytes;
    return 0;
}

static void close_chunk(struct rebuild_bucket *bucket)
{
    if (bucket->last != NULL) {
        bucket->last->count = (uint64_t)(bucket->next - bucket->last->entries);
        bucket->count += bucket->last->count;
    }
}

static __attribute__((noinline)) int add_chunk(struct rebuild_range *range,
                                               struct rebuild_bucket *bucket)
{
    struct rebuild_memory *memory = range->memory;
    struct rebuild_chunk *chunk;
    if ((size_t)(memory->end - memory->next) < sizeof *chunk) {
        int rc = add_slab(range);
        if (rc < 0) {
            return rc;
        }
    }
    chunk = (struct rebuild_chunk *)(void *)memory->next;
    memory->next += sizeof *chunk;
    chunk->next = NULL;
    close_chunk(bucket);
    if (bucket->last != NULL) {
        bucket->last->next = chunk;
    } else {
        uint32_t number = (uint32_t)(bucket - range->buckets);
        range->bucket_end = number < range->bucket_end ? range->bucket_end : number + 1;
        bucket->first = chunk;
        bucket->size_least = UINT32_MAX;
    }
    bucket->last = chunk;
    bucket->next = chunk->entries;
    bucket->end = chunk->entries + REBUILD_CHUNK_ENTRIES;
    return 0;
}

/* ---- a change ---- */

/* The first change of a table that this range has not named: whether the log has named it before
 * is known when all ranges were walked. */
static __attribute__((noinline)) int first_use(struct rebuild_range *range, weir_table table,
                                               weir_lsn lsn)
{
    if (table >= WEIR_TABLES_MAX) {
        return WEIR_E_RECORD;
    }
    if (range->used[table] == WEIR_LSN_NONE && !range->named[table]) {
        range->used[table] = lsn;
    }
    return 0;
}

/* Where a change belongs. */
struct found {
    struct rebuild_entry entry;
    uint32_t bucket, key_size;
};

static inline int find_bucket(struct rebuild_range *range, const struct weir_record *record,
                              uint64_t bias, struct found *ret_found)
{
    const struct rebuild_plan *plan = &range->rebuild->plan;
    struct record_key key;
    int rc = record_read_key(record, &key);
    if (rc == 0 && __builtin_expect(key.table != WEIR_TABLE_DEFAULT, 0)) {
        rc = first_use(range, key.table, record->lsn);
    }
    if (__builtin_expect(rc < 0, 0)) {
        return rc;
    }
    uint64_t address = (uint64_t)(uintptr_t)record->data + bias;
    uint32_t bucket = plan->buckets + key.table, skip = 0;
    const struct rebuild_partition *partition = plan->of_table[key.table];
    if (partition != NULL) {
        bucket = rebuild_plan_split(partition, key.data, key.size);
        skip = plan->skips[bucket];
    }
    __builtin_prefetch(&range->buckets[bucket], 1);
    ret_found->entry.word = rebuild_word(key.data, key.size, skip);
    ret_found->entry.place = address | (key.deleted ? REBUILD_DELETED : 0);
    ret_found->bucket = bucket;
    ret_found->key_size = key.size;
    return 0;
}

static inline int put_entry(struct rebuild_range *range, const struct found *found)
{
    struct rebuild_bucket *bucket = &range->buckets[found->bucket];
    if (__builtin_expect(bucket->next == bucket->end, 0)) {
        int rc = add_chunk(range, bucket);
        if (rc < 0) {
            return rc;
        }
    }
    uint32_t size = found->key_size;
    if (__builtin_expect(size < bucket->size_least || size > bucket->size_most, 0)) {
        bucket->size_least = size < bucket->size_least ? size : bucket->size_least;
        bucket->size_most = size > bucket->size_most ? size : bucket->size_most;
    }
    *bucket->next++ = found->entry;
    return 0;
}

/* Buckets are far apart: what is needed of them is fetched while others are filled. */
static int put_entries(struct rebuild_range *range, const struct found *found, int count)
{
    int rc = 0;
    for (int i = 0; i < count && i < PREFETCH_ENTRIES; i++) {
        __builtin_prefetch(range->buckets[found[i].bucket].next, 1);
    }
    for (int i = 0; i < count && rc == 0; i++) {
        if (i + PREFETCH_ENTRIES < count) {
            __builtin_prefetch(range->buckets[found[i + PREFETCH_ENTRIES].bucket].next, 1);
        }
        rc = put_entry(range, &found[i]);
    }
    return rc;
}

/* ---- other records ---- */

static int add_table(struct rebuild_range *range, const struct weir_record *record)
{
    struct rebuild_table table = {.lsn = record->lsn};
    int rc = weir_table_decode(record, &table.number, table.name);
    if (rc != 1) {
        return rc;
    }
    if (range->table_count == range->table_capacity) {
        uint32_t capacity = range->table_capacity * 2 + 8;
        struct rebuild_table *tables = base_alloc_array(capacity, sizeof *tables);
        if (tables == NULL) {
            return -ENOMEM;
        }
        if (range->table_count > 0) {
            memcpy(tables, range->tables, range->table_count * sizeof *tables);
        }
        base_free(range->tables);
        range->tables = tables;
        range->table_capacity = capacity;
    }
    range->tables[range->table_count++] = table;
    range->named[table.number] = true;
    return 0;
}

/* A gap's type is no type: the flag comes first. */
static int add_other(struct rebuild_range *range, const struct weir_record *record)
{
    if ((record->flags & WEIR_RECORD_GAP) != 0) {
        gap_note(&range->gaps, record);
        return 0;
    }
    if (record->type == WEIR_TYPE_ACCEPTANCE) {
        return gap_learn(&range->accepted, record);
    }
    return record->type == WEIR_TYPE_TABLE ? add_table(range, record) : 0;
}

static void fail(struct rebuild_range *range, int rc, weir_lsn lsn)
{
    range->rc = rc;
    range->failed_lsn = lsn;
}

/* False at the end of the range, or at an error. */
static bool add_batch(struct rebuild_range *range, const struct weir_cursor *cursor,
                      const struct weir_record *records, int count)
{
    struct weir_engine *engine = range->rebuild->engine;
    uint64_t bias = wal_address_bias(engine->log, cursor);
    struct wal_segment *segment;
    int rc = place_segment(&engine->places, (uint64_t)(uintptr_t)records[0].data + bias, &segment);
    struct found found[WALK_BATCH];
    uint64_t bytes = 0;
    int i = 0, changes = 0;
    for (; i < count && rc == 0 && records[i].lsn < range->end; i++) {
        const struct weir_record *record = &records[i];
        bytes += record->size;
        if (__builtin_expect(
                record->type == WEIR_TYPE_CHANGE && (record->flags & WEIR_RECORD_GAP) == 0, 1)) {
            rc = find_bucket(range, record, bias, &found[changes++]);
        } else if (record->type >= WEIR_TYPE_RESERVED) {
            rc = add_other(range, record);
        }
    }
    range->records += (uint64_t)i;
    range->bytes += bytes;
    rc = rc == 0 ? put_entries(range, found, changes) : rc;
    if (rc < 0) {
        const struct weir_record *record = &records[i > 0 ? i - 1 : 0];
        fail(range, follow_explain(NULL, record, rc, &range->why), record->lsn);
    }
    return rc == 0 && i == count;
}

/* ---- a range ---- */

static int open_cursor(struct rebuild_range *range, struct weir_cursor **ret_cursor)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = range->from;
    options.compacted = true;
    options.with_gaps = true;
    int rc = weir_cursor_open(range->rebuild->engine->log, &options, ret_cursor);
    return rc < 0 ? engine_error(&range->why, rc, "the log cannot be read from LSN %llu on: %s",
                                 (unsigned long long)range->from, weir_error_text(rc))
                  : 0;
}

static int make_buckets(struct rebuild_range *range)
{
    size_t size = range->rebuild->bucket_count * sizeof *range->buckets;
    range->buckets = base_pages_alloc(size, 0);
    range->used = base_alloc_array(WEIR_TABLES_MAX, sizeof *range->used);
    range->named = base_alloc_array(WEIR_TABLES_MAX, sizeof *range->named);
    return range->buckets != NULL && range->used != NULL && range->named != NULL ? 0 : -ENOMEM;
}

static void close_buckets(struct rebuild_range *range)
{
    for (uint32_t i = 0; i < range->bucket_end; i++) {
        close_chunk(&range->buckets[i]);
        range->entries += range->buckets[i].count;
    }
}

static void publish_progress(struct rebuild_range *range, const struct weir_cursor *cursor,
                             uint32_t batches, bool asks)
{
    if (batches % PROGRESS_BATCHES == 0) {
        weir_lsn lsn = weir_cursor_position(cursor);
        lsn = lsn < range->end ? lsn : range->end;
        atomic_store_explicit(&range->progress, lsn - range->from, memory_order_relaxed);
        int rc = rebuild_check(range->rebuild, asks);
        if (rc < 0) {
            fail(range, rc, range->from);
        }
    }
}

/* A range in front of this one failed: what this one holds is of no use. */
static bool is_overtaken(const struct rebuild_range *range)
{
    uint32_t number = (uint32_t)(range - range->rebuild->ranges);
    return atomic_load_explicit(&range->rebuild->failed_range, memory_order_relaxed) < number;
}

static void walk(struct rebuild_range *range, struct weir_cursor *cursor, bool asks)
{
    struct weir_record records[WALK_BATCH];
    for (uint32_t batches = 0; range->rc == 0 && !is_overtaken(range); batches++) {
        publish_progress(range, cursor, batches, asks);
        int count = weir_cursor_next_batch(cursor, records, WALK_BATCH);
        if (count < 0) {
            weir_lsn lsn = weir_cursor_position(cursor);
            bool behind = lsn >= range->end; /* the next range meets it, too */
            if (!behind) {
                fail(range, follow_explain(cursor, NULL, count, &range->why), lsn);
            }
            return;
        }
        if (count == 0 || range->rc < 0 || !add_batch(range, cursor, records, count)) {
            return;
        }
    }
}

static void note_failure(struct rebuild_range *range)
{
    uint32_t number = (uint32_t)(range - range->rebuild->ranges);
    uint32_t first = atomic_load_explicit(&range->rebuild->failed_range, memory_order_relaxed);
    while (number < first &&
           !atomic_compare_exchange_weak_explicit(&range->rebuild->failed_range, &first, number,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void rebuild_walk(struct rebuild_range *range, struct rebuild_memory *memory, bool asks)
{
    struct weir_cursor *cursor = NULL;
    range->memory = memory;
    range->why.size = sizeof range->why;
    int rc = make_buckets(range);
    rc = rc == 0 ? open_cursor(range, &cursor) : rc;
    if (rc < 0) {
        fail(range, rc, range->from);
    } else {
        walk(range, cursor, asks);
        close_buckets(range);
        weir_cursor_close(cursor);
    }
    range->memory = NULL; /* the thread's, and soon handed over */
    if (range->rc < 0) {
        note_failure(range);
    }
    atomic_store_explicit(&range->progress, range->end - range->from, memory_order_relaxed);
}

void rebuild_walk_free(struct rebuild_range *range)
{
    base_pages_free(range->buckets, range->rebuild->bucket_count * sizeof *range->buckets);
    base_free(range->used);
    base_free(range->named);
    base_free(range->tables);
}

/* ---- memory ---- */

void rebuild_memory_keep(struct rebuild *rebuild, const struct rebuild_memory *memory)
{
    struct rebuild_slab *last = memory->slabs;
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    if (last != NULL) {
        base_lock_acquire(&rebuild->lock);
        last->next = rebuild->slabs;
        rebuild->slabs = memory->slabs;
        base_lock_release(&rebuild->lock);
    }
}

void rebuild_memory_free(struct rebuild *rebuild)
{
    struct rebuild_slab *next;
    for (struct rebuild_slab *slab = rebuild->slabs; slab != NULL; slab = next) {
        next = slab->next;
        base_pages_free(slab, slab->bytes);
    }
}
