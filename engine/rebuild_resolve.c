/*
 * Keys that agree in the 8 bytes that a bucket keeps of them, or may.
 *
 * Happy path: they are versions of one key, and the newest counts. A few are compared with each
 * other; of many, what all of them share is found first, those that end there are one key, and the
 * others are sorted by the 8 bytes behind it.
 *
 * Failure modes: a key cannot be loaded; no memory.
 *
 * Invariants: what comes in and goes out is in the order of the log among equal keys; each turn
 * knows at least one byte more of all keys than the one before.
 */
#include "engine/rebuild.h"

#include <errno.h>
#include <stdlib.h>

#define FEW 24u
#define DEPTH_MAX 64u /* turns; then all are compared with each other, whatever that costs */
#define PREFETCH_ENTRIES 16u

struct loaded {
    struct index_key key;
    uint64_t place;
    size_t order;
    uint32_t known; /* in front of this all of them agree */
};

static uint64_t address_of(const struct rebuild_entry *entry)
{
    return entry->place & ~REBUILD_DELETED;
}

static int load(struct rebuild_worker *worker, const struct rebuild_entry *entries, size_t count,
                size_t i, struct index_key *ret_key)
{
    struct weir_engine *engine = worker->rebuild->engine;
    if (i + PREFETCH_ENTRIES < count) {
        place_prefetch(&engine->places, address_of(&entries[i + PREFETCH_ENTRIES]));
    }
    return rebuild_load_key(engine, address_of(&entries[i]), ret_key);
}

/* ---- comparing all ---- */

static int compare_loaded(const void *left, const void *right)
{
    const struct loaded *a = left, *b = right;
    int compared = rebuild_compare(a->key, b->key, a->known);
    return compared != 0 ? compared : (a->order > b->order) - (a->order < b->order);
}

static void insert_loaded(struct loaded *keys, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct loaded key = keys[i];
        size_t at = i;
        for (; at > 0 && rebuild_compare(keys[at - 1].key, key.key, key.known) > 0; at--) {
            keys[at] = keys[at - 1];
        }
        keys[at] = key;
    }
}

static int emit_newest(struct rebuild_worker *worker, const struct loaded *keys, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (i + 1 == count || rebuild_compare(keys[i].key, keys[i + 1].key, keys[i].known) != 0) {
            rc = rebuild_emit(worker, keys[i].key, keys[i].place);
        }
    }
    return rc;
}

static int load_all(struct rebuild_worker *worker, const struct rebuild_run *run,
                    struct loaded *ret_keys)
{
    int rc = 0;
    for (size_t i = 0; i < run->count && rc == 0; i++) {
        ret_keys[i].place = run->entries[i].place;
        ret_keys[i].order = i;
        ret_keys[i].known = run->known;
        rc = load(worker, run->entries, run->count, i, &ret_keys[i].key);
    }
    return rc;
}

static int resolve_few(struct rebuild_worker *worker, const struct rebuild_run *run)
{
    struct loaded keys[FEW];
    int rc = load_all(worker, run, keys);
    if (rc == 0) {
        insert_loaded(keys, run->count);
        rc = emit_newest(worker, keys, run->count);
    }
    return rc;
}

static int resolve_deep(struct rebuild_worker *worker, const struct rebuild_run *run)
{
    struct loaded *keys = base_alloc_array(run->count, sizeof *keys);
    if (keys == NULL) {
        return -ENOMEM;
    }
    int rc = load_all(worker, run, keys);
    if (rc == 0) {
        qsort(keys, run->count, sizeof *keys, compare_loaded);
        rc = emit_newest(worker, keys, run->count);
    }
    base_free(keys);
    return rc;
}

/* ---- one turn ---- */

/* What all keys share. */
static int find_common(struct rebuild_worker *worker, const struct rebuild_run *run,
                       uint32_t *ret_common)
{
    struct index_key first, key;
    int rc = load(worker, run->entries, run->count, 0, &first);
    for (size_t i = 1; i < run->count && rc == 0; i++) {
        rc = load(worker, run->entries, run->count, i, &key);
        if (rc == 0) {
            first.size = key_common(first, key, run->known);
        }
    }
    *ret_common = first.size;
    return rc;
}

/* Those that end at `common` are one key: it is handed over. The others, with the words behind it,
 * go to the scratch. */
static int divide(struct rebuild_worker *worker, const struct rebuild_run *run, uint32_t common,
                  size_t *ret_count)
{
    struct index_key key, ending = {NULL, 0};
    uint64_t newest = 0;
    size_t left = 0;
    for (size_t i = 0; i < run->count; i++) {
        int rc = load(worker, run->entries, run->count, i, &key);
        if (rc < 0) {
            return rc;
        }
        if (key.size == common) {
            ending = key;
            newest = run->entries[i].place;
        } else {
            run->scratch[left++] = (struct rebuild_entry){
                .word = rebuild_word(key.data, key.size, common), .place = run->entries[i].place};
        }
    }
    *ret_count = left;
    return newest != 0 ? rebuild_emit(worker, ending, newest) : 0;
}

int rebuild_resolve(struct rebuild_worker *worker, const struct rebuild_run *run, uint32_t depth)
{
    if (run->count <= FEW) {
        return resolve_few(worker, run);
    }
    if (depth > DEPTH_MAX) {
        return resolve_deep(worker, run);
    }
    uint32_t common;
    size_t count = 0;
    int rc = find_common(worker, run, &common);
    rc = rc == 0 ? divide(worker, run, common, &count) : rc;
    if (rc < 0) {
        return rc;
    }
    const struct rebuild_entry *entries = run->entries;
    rebuild_sort(run->entries, run->scratch, count, worker->counts);
    for (size_t begin = 0, end; begin < count && rc == 0; begin = end) {
        for (end = begin + 1; end < count && entries[end].word == entries[begin].word; end++) {
        }
        const struct rebuild_run part = {.entries = run->entries + begin,
                                         .scratch = run->scratch + begin,
                                         .count = end - begin,
                                         .known = common};
        rc = rebuild_resolve(worker, &part, depth + 1);
    }
    return rc;
}
