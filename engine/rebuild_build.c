/*
 * Building: the newest of each key, in order, into a tree.
 *
 * Happy path: a thread takes a part, which is some neighbouring buckets; gathers a bucket's
 * entries, in the order of the log; sorts them; hands the last one of each word to the builder. The
 * trees of a table's parts are joined at their seams.
 *
 * Keys are hardly ever loaded: where all keys of a bucket are of one size and end with their word,
 * prefix and word are the key. Where they are longer, words that differ say where the keys part,
 * and the builder needs no more of them than that. Only keys whose words are equal, the first and
 * the last one of a bucket, and buckets with keys that end before their word does, are looked up in
 * the log.
 *
 * Where there are trees already, behind a checkpoint, the keys are put one by one.
 *
 * Failure modes: no memory in the arena or outside; a key that cannot be loaded. What was built is
 * given up.
 *
 * Invariants: the buckets of a part ascend, and so do parts; a key is handed over once.
 */
#include "engine/rebuild.h"

#include "base/clock.h"

#include <errno.h>

#define PREFETCH_ENTRIES 16u
#define RUN_FETCHED 64u /* of longer runs the keys are fetched where they are resolved */
#define KEY_ROOM (INDEX_KEY_SIZE_MAX + 8u)

/* ---- one bucket ---- */

struct bucket_view {
    size_t count;
    uint32_t size_least, size_most;
    struct rebuild_prefix prefix;
};

static struct bucket_view view_of(const struct rebuild *rebuild, uint32_t number)
{
    struct bucket_view view = {.size_least = UINT32_MAX};
    for (uint32_t i = 0; i < rebuild->range_count; i++) {
        const struct rebuild_bucket *bucket = &rebuild->ranges[i].buckets[number];
        view.count += bucket->count;
        if (bucket->count > 0) {
            view.size_least =
                bucket->size_least < view.size_least ? bucket->size_least : view.size_least;
            view.size_most =
                bucket->size_most > view.size_most ? bucket->size_most : view.size_most;
        }
    }
    if (number < rebuild->plan.buckets) {
        view.prefix = rebuild->plan.prefixes[number];
    }
    return view;
}

static int make_room(struct rebuild_worker *worker, size_t count)
{
    if (count <= worker->capacity) {
        return 0;
    }
    size_t size = sizeof *worker->sorted;
    base_pages_free(worker->sorted, worker->capacity * size);
    base_pages_free(worker->scratch, worker->capacity * size);
    worker->capacity = count + count / 2;
    worker->sorted = base_pages_alloc(worker->capacity * size, 0);
    worker->scratch = base_pages_alloc(worker->capacity * size, 0);
    return worker->sorted != NULL && worker->scratch != NULL ? 0 : -ENOMEM;
}

/* The chunk behind one, or behind NULL the first: of the same range or of a later one. NULL: none.
 * `next_range` is the one to look into when there are no more of this one. */
static const struct rebuild_chunk *chunk_behind(const struct rebuild *rebuild, uint32_t number,
                                                const struct rebuild_chunk *chunk,
                                                uint32_t *next_range)
{
    const struct rebuild_chunk *next = chunk != NULL ? chunk->next : NULL;
    while (next == NULL && *next_range < rebuild->range_count) {
        next = rebuild->ranges[(*next_range)++].buckets[number].first;
    }
    return next;
}

/* Chunks are far apart: one is fetched while the one in front of it is copied. */
static void gather(const struct rebuild *rebuild, uint32_t number, struct rebuild_entry *target)
{
    uint32_t range = 0;
    const struct rebuild_chunk *next, *chunk = chunk_behind(rebuild, number, NULL, &range);
    for (; chunk != NULL; chunk = next) {
        next = chunk_behind(rebuild, number, chunk, &range);
        for (size_t line = 0; next != NULL && line < sizeof *next; line += BASE_CACHE_LINE) {
            __builtin_prefetch((const uint8_t *)next + line);
        }
        memcpy(target, chunk->entries, chunk->count * sizeof *target);
        target += chunk->count;
    }
}

/* ---- in order ---- */

int rebuild_emit(struct rebuild_worker *worker, struct index_key key, uint64_t place)
{
    worker->deleted += place & REBUILD_DELETED;
    return index_builder_add(&worker->builder, key, place & ~REBUILD_DELETED);
}

static int emit_loaded(struct rebuild_worker *worker, uint64_t place)
{
    struct index_key key;
    int rc = rebuild_load_key(worker->rebuild->engine, place & ~REBUILD_DELETED, &key);
    return rc == 0 ? rebuild_emit(worker, key, place) : rc;
}

/* The key is its prefix and its word. */
static inline int emit_word(struct rebuild_worker *worker, const struct rebuild_entry *entry,
                            uint32_t prefix, uint32_t size)
{
    uint64_t word = __builtin_bswap64(entry->word);
    le64_store((struct le64 *)(void *)(worker->key + prefix), word);
    return rebuild_emit(worker, (struct index_key){worker->key, size}, entry->place);
}

static size_t end_of_run(const struct rebuild_entry *entries, size_t begin, size_t count)
{
    size_t end = begin + 1;
    while (end < count && entries[end].word == entries[begin].word) {
        end++;
    }
    return end;
}

static int emit_whole_keys(struct rebuild_worker *worker, const struct bucket_view *view)
{
    const struct rebuild_entry *entries = worker->sorted;
    uint32_t prefix = view->prefix.size;
    int rc = 0;
    for (size_t i = 0; i < view->count && rc == 0; i++) {
        if (i + 1 == view->count || entries[i + 1].word != entries[i].word) {
            rc = emit_word(worker, &entries[i], prefix, view->size_most);
        }
    }
    return rc;
}

/* Asks for the keys that will be looked up, some entries ahead. */
static size_t prefetch_up_to(struct rebuild_worker *worker, size_t from, size_t to, bool all)
{
    const struct rebuild_entry *entries = worker->sorted;
    for (; from < to; from++) {
        if (all || entries[from].word == entries[from + 1].word ||
            (from > 0 && entries[from].word == entries[from - 1].word)) {
            place_prefetch(&worker->rebuild->engine->places,
                           entries[from].place & ~REBUILD_DELETED);
        }
    }
    return from;
}

static int emit_runs(struct rebuild_worker *worker, const struct bucket_view *view)
{
    struct rebuild_entry *entries = worker->sorted;
    uint32_t prefix = view->prefix.size;
    bool words_suffice = view->size_least >= prefix + 8;
    size_t fetched = 0;
    int rc = 0;
    for (size_t begin = 0, end; begin < view->count && rc == 0; begin = end) {
        end = end_of_run(entries, begin, view->count);
        size_t ahead = (end - begin < RUN_FETCHED ? end : begin) + PREFETCH_ENTRIES;
        ahead = ahead < view->count - 1 ? ahead : view->count - 1;
        fetched = prefetch_up_to(worker, fetched > begin ? fetched : begin, ahead, !words_suffice);
        bool at_edge = begin == 0 || end == view->count;
        if (end - begin > 1) {
            const struct rebuild_run run = {.entries = entries + begin,
                                            .scratch = worker->scratch + begin,
                                            .count = end - begin,
                                            .known = prefix};
            rc = rebuild_resolve(worker, &run, 0);
        } else if (words_suffice && !at_edge) {
            rc = emit_word(worker, &entries[begin], prefix, prefix + 8);
        } else {
            rc = emit_loaded(worker, entries[begin].place);
        }
    }
    return rc;
}

/* ---- into trees that are there ---- */

static int put(struct weir_engine *engine, uint64_t address)
{
    struct weir_record record;
    int rc = place_read(&engine->places, address, &record);
    return rc == 0 ? follow_apply(engine, &record, address) : rc;
}

/* All versions that may be of one key follow each other in the order of the log. */
static int put_all(struct rebuild_worker *worker, const struct bucket_view *view, bool whole)
{
    struct weir_engine *engine = worker->rebuild->engine;
    const struct rebuild_entry *entries = worker->sorted;
    uint32_t slot = epoch_enter(&engine->epochs);
    int rc = 0;
    for (size_t i = 0; i < view->count && rc == 0; i++) {
        bool old = whole && i + 1 < view->count && entries[i + 1].word == entries[i].word;
        if (i + PREFETCH_ENTRIES < view->count) {
            place_prefetch(&engine->places, entries[i + PREFETCH_ENTRIES].place & ~REBUILD_DELETED);
        }
        rc = old ? 0 : put(engine, entries[i].place & ~REBUILD_DELETED);
    }
    epoch_leave(&engine->epochs, slot);
    return rc;
}

/* ---- parts ---- */

static int build_bucket(struct rebuild_worker *worker, uint32_t number)
{
    struct bucket_view view = view_of(worker->rebuild, number);
    int rc = view.count > 0 ? make_room(worker, view.count) : 0;
    if (rc < 0 || view.count == 0) {
        return rc;
    }
    uint64_t start_ns = base_clock_monotonic_ns();
    gather(worker->rebuild, number, worker->scratch);
    rebuild_sort(worker->sorted, worker->scratch, view.count, worker->counts);
    uint64_t sorted_ns = base_clock_monotonic_ns();
    if (view.prefix.size > 0) {
        memcpy(worker->key, view.prefix.data, view.prefix.size);
    }
    bool whole = view.size_least == view.size_most && view.size_most <= view.prefix.size + 8;
    if (!worker->rebuild->into_empty) {
        rc = put_all(worker, &view, whole);
    } else {
        rc = whole ? emit_whole_keys(worker, &view) : emit_runs(worker, &view);
    }
    worker->sort_ns += sorted_ns - start_ns;
    worker->build_ns += base_clock_monotonic_ns() - sorted_ns;
    return rc;
}

static int build_part(struct rebuild_worker *worker, bool asks)
{
    struct rebuild_part *part = worker->part;
    worker->deleted = 0;
    int rc = index_builder_init(&worker->builder, &worker->rebuild->engine->arena);
    for (uint32_t number = part->first; number < part->end && rc == 0; number++) {
        rc = rebuild_check(worker->rebuild, asks);
        rc = rc == 0 ? build_bucket(worker, number) : rc;
    }
    if (rc < 0) {
        index_builder_abort(&worker->builder);
        return rc;
    }
    part->deleted = worker->deleted;
    return index_builder_finish(&worker->builder, &part->root, &part->keys);
}

void rebuild_build(struct rebuild_worker *worker, bool asks)
{
    struct rebuild *rebuild = worker->rebuild;
    worker->counts = base_alloc_array(REBUILD_COUNTS, sizeof *worker->counts);
    worker->key = base_alloc(KEY_ROOM);
    int rc = worker->counts != NULL && worker->key != NULL ? 0 : -ENOMEM;
    while (rc == 0) {
        uint32_t next = atomic_fetch_add_explicit(&rebuild->next_part, 1, memory_order_relaxed);
        if (next >= rebuild->part_count) {
            break;
        }
        worker->part = &rebuild->parts[next];
        rc = build_part(worker, asks);
    }
    if (rc < 0) {
        rebuild_fail(rebuild, rc);
    }
    base_free(worker->counts);
    base_free(worker->key);
    base_pages_free(worker->sorted, worker->capacity * sizeof *worker->sorted);
    base_pages_free(worker->scratch, worker->capacity * sizeof *worker->scratch);
    base_lock_acquire(&rebuild->lock);
    rebuild->sort_ns += worker->sort_ns;
    rebuild->build_ns += worker->build_ns;
    base_lock_release(&rebuild->lock);
}

/* Parts of one table lie side by side, in order. */
int rebuild_join(struct rebuild *rebuild)
{
    struct weir_engine *engine = rebuild->engine;
    int rc = 0;
    for (uint32_t first = 0, end; first < rebuild->part_count && rc == 0; first = end) {
        struct engine_table *table = rebuild->parts[first].table;
        uint64_t root = 0, keys = 0, deleted = 0;
        for (end = first; end < rebuild->part_count && rebuild->parts[end].table == table; end++) {
            const struct rebuild_part *part = &rebuild->parts[end];
            keys += part->keys;
            deleted += part->deleted;
            rc = rc == 0 ? index_join(&engine->arena, &table->index.source, root, part->root, &root)
                         : rc;
        }
        if (rc == 0) {
            index_adopt(&table->index, root, keys);
            atomic_store_explicit(&table->deleted, deleted, memory_order_relaxed);
        }
    }
    return rc;
}
