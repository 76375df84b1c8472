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

#define FEW 16u
#define DEPTH_MAX 64u /* turns; then all are compared with each other, whatever that costs */
#define PREFETCH_ENTRIES 16u

struct loaded {
    struct index_key key;
    uint64_t place;
    size_t order;
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
        place_prefetch(engine, address_of(&entries[i + PREFETCH_ENTRIES]));
    }
    return rebuild_load_key(engine, address_of(&entries[i]), ret_key);
}

/* ---- comparing all ---- */

static int compare_loaded(const void *left, const void *right)
{
    const struct loaded *a = left, *b = right;
    int compared = rebuild_compare(a->key, b->key);
    return compared != 0 ? compared : (a->order > b->order) - (a->order < b->order);
}

static void insert_loaded(struct loaded *keys, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct loaded key = keys[i];
        size_t at = i;
        for (; at > 0 && rebuild_compare(keys[at - 1].key, key.key) > 0; at--) {
            keys[at] = keys[at - 1];
        }
        keys[at] = key;
    }
}

static int emit_newest(struct rebuild_worker *worker, const struct loaded *keys, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (i + 1 == count || rebuild_compare(keys[i].key, keys[i + 1].key) != 0) {
            rc = rebuild_emit(worker, keys[i].key, keys[i].place);
        }
    }
    return rc;
}

static int load_all(struct rebuild_worker *worker, const struct rebuild_entry *entries,
                    size_t count, struct loaded *ret_keys)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        ret_keys[i].place = entries[i].place;
        ret_keys[i].order = i;
        rc = load(worker, entries, count, i, &ret_keys[i].key);
    }
    return rc;
}

static int resolve_few(struct rebuild_worker *worker, const struct rebuild_entry *entries,
                       size_t count)
{
    struct loaded keys[FEW];
    int rc = load_all(worker, entries, count, keys);
    if (rc == 0) {
        insert_loaded(keys, count);
        rc = emit_newest(worker, keys, count);
    }
    return rc;
}

static int resolve_deep(struct rebuild_worker *worker, const struct rebuild_entry *entries,
                        size_t count)
{
    struct loaded *keys = base_alloc_array(count, sizeof *keys);
    if (keys == NULL) {
        return -ENOMEM;
    }
    int rc = load_all(worker, entries, count, keys);
    if (rc == 0) {
        qsort(keys, count, sizeof *keys, compare_loaded);
        rc = emit_newest(worker, keys, count);
    }
    base_free(keys);
    return rc;
}

/* ---- one turn ---- */

/* What all keys share. */
static int find_common(struct rebuild_worker *worker, const struct rebuild_entry *entries,
                       size_t count, uint32_t *ret_common)
{
    struct index_key first, key;
    int rc = load(worker, entries, count, 0, &first);
    for (size_t i = 1; i < count && rc == 0; i++) {
        rc = load(worker, entries, count, i, &key);
        if (rc == 0) {
            first.size = key_common(first, key, 0);
        }
    }
    *ret_common = first.size;
    return rc;
}

/* Those that end at `common` are one key: it is handed over. The others, with the words behind it,
 * go to `target`. */
static int divide(struct rebuild_worker *worker, const struct rebuild_entry *entries, size_t count,
                  uint32_t common, struct rebuild_entry *target, size_t *ret_count)
{
    struct index_key key, ending = {NULL, 0};
    uint64_t newest = 0;
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = load(worker, entries, count, i, &key);
        if (rc < 0) {
            return rc;
        }
        if (key.size == common) {
            ending = key;
            newest = entries[i].place;
        } else {
            target[left++] = (struct rebuild_entry){
                .word = rebuild_word(key.data, key.size, common), .place = entries[i].place};
        }
    }
    *ret_count = left;
    return newest != 0 ? rebuild_emit(worker, ending, newest) : 0;
}

int rebuild_resolve(struct rebuild_worker *worker, struct rebuild_entry *entries,
                    struct rebuild_entry *scratch, size_t count, uint32_t depth)
{
    if (count <= FEW) {
        return resolve_few(worker, entries, count);
    }
    if (depth > DEPTH_MAX) {
        return resolve_deep(worker, entries, count);
    }
    uint32_t common;
    int rc = find_common(worker, entries, count, &common);
    rc = rc == 0 ? divide(worker, entries, count, common, scratch, &count) : rc;
    if (rc < 0) {
        return rc;
    }
    rebuild_sort(entries, scratch, count, worker->counts);
    for (size_t begin = 0, end; begin < count && rc == 0; begin = end) {
        for (end = begin + 1; end < count && entries[end].word == entries[begin].word; end++) {
        }
        rc = rebuild_resolve(worker, entries + begin, scratch + begin, end - begin, depth + 1);
    }
    return rc;
}
