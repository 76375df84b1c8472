/*
 * The index as a whole: made, looked up, dropped.
 *
 * The happy path:
 *   - index_find() goes down from the root by the bytes that the words name, loads the key of the
 *     leaf it comes to, and compares it.
 *
 * Failure modes:
 *   - load() fails: its error is returned, nothing has changed.
 *
 * Invariants:
 *   - A key that is in the tree all the time is found, whatever else changes: the only leaf that
 *     it can be at is the one that its bytes lead to, in any version of any node on the way.
 *   - A reader stores nothing but into its epoch slot; a get may learn a shortcut.
 */
#include "engine/index.h"

#include "base/assert.h"
#include "engine/lookup.h"

#include <string.h>

void index_init(struct index *index, struct engine_arena *arena, const struct index_source *source)
{
    memset(index, 0, sizeof *index);
    index->arena = arena;
    index->epochs = arena->epochs;
    index->source = *source;
}

void index_adopt(struct index *index, uint64_t root, uint64_t keys)
{
    WEIR_ASSERT(atomic_load_explicit(&index->root, memory_order_relaxed) == 0);
    atomic_store_explicit(&index->counters[0].keys, (int64_t)keys, memory_order_relaxed);
    /* Release pairs with the acquire in index_find(). */
    atomic_store_explicit(&index->root, root, memory_order_release);
}

uint64_t index_keys(struct index *index)
{
    int64_t keys = 0;
    for (unsigned counter = 0; counter < INDEX_COUNTERS; counter++) {
        keys += atomic_load_explicit(&index->counters[counter].keys, memory_order_relaxed);
    }
    return keys > 0 ? (uint64_t)keys : 0;
}

bool index_candidate(const struct index *index, struct index_key key, uint64_t *ret_address)
{
    uint32_t next = 0;
    uint64_t root = atomic_load_explicit(&index->root, memory_order_acquire);
    uint64_t word = lookup_rest_to(index->arena, root, key, &next);
    if (word == 0 || leaf_parts(index->arena, word, key, next)) {
        return false;
    }
    *ret_address = leaf_address(index->arena, word);
    return true;
}

int index_find(struct index *index, struct index_key key, uint64_t *ret_address)
{
    uint64_t word = lookup_leaf(index->arena, index, key);
    if (word == 0) {
        return 0;
    }
    struct index_key found;
    uint64_t address = leaf_address(index->arena, word);
    int rc = index->source.load(index->source.context, address, &found);
    if (rc < 0) {
        return rc;
    }
    if (found.size != key.size || memcmp(found.data, key.data, key.size) != 0) {
        return 0;
    }
    *ret_address = address;
    return 1;
}

/* Frees node after node; those still to be freed are linked through their tails. */
void index_drop(struct index *index)
{
    struct engine_arena *arena = index->arena;
    struct node_entry entries[NODE_ENTRIES_MAX];
    uint64_t list = atomic_exchange_explicit(&index->root, 0, memory_order_acquire);
    memset(index->counters, 0, sizeof index->counters);
    list = word_is_leaf(list) ? 0 : list;
    if (list != 0) {
        atomic_store_explicit(&node_at(arena, list)->tail, 0, memory_order_relaxed);
    }
    while (list != 0) {
        uint64_t word = list;
        struct node *node = node_at(arena, word);
        list = atomic_load_explicit(&node->tail, memory_order_relaxed);
        unsigned count = node_collect(node, word, entries);
        for (unsigned entry = 0; entry < count; entry++) {
            uint64_t child = entries[entry].word;
            if (!word_is_leaf(child)) {
                atomic_store_explicit(&node_at(arena, child)->tail, list, memory_order_relaxed);
                list = child;
            }
        }
        arena_free(arena, word_offset(word), word_class(word));
    }
}

void index_read_stats(struct index *index, struct index_stats *ret_stats)
{
    struct arena_stats arena;
    arena_read_stats(index->arena, &arena);
    struct index_stats stats = {
        .keys = index_keys(index),
        .bytes_live = arena.live,
        .bytes_free = arena.free,
        .bytes_used = arena.used,
    };
    for (unsigned kind = 0; kind < NODE_KINDS; kind++) {
        stats.nodes[kind] = arena.objects[kind] + arena.objects[kind + NODE_KINDS];
    }
    *ret_stats = stats;
}
