/*
 * How writers of the index find their place: the slot where a key is or belongs, the node that
 * holds the slot, and where that node hangs. What is found without a lock is looked at again under
 * the lock: a place that has changed means to begin again at the root.
 */
#ifndef ENGINE_DESCENT_H
#define ENGINE_DESCENT_H

#include "engine/leaf.h"
#include "engine/node.h"
#include "engine/worker.h"

/* Begins at the slot of the root. */
static inline struct index_descent descent_begin(struct index *index)
{
    struct index_descent descent = {.at = {.header = &index->root_header, .slot = &index->root}};
    descent.word = atomic_load_explicit(&index->root, memory_order_acquire);
    return descent;
}

/* Where the next byte of a leaf is that hangs where the descent has come to: engine/leaf.h. */
static inline uint32_t descent_next(const struct index_descent *descent)
{
    return descent->node != 0 ? word_depth(descent->node) + 1 : 0;
}

/* Goes into the node at `word`, to the slot for the key's byte at its depth. key.size >= depth. */
static inline void descent_enter(const struct index *index, struct index_descent *descent,
                                 struct index_key key)
{
    uint64_t word = descent->word;
    uint32_t depth = word_depth(word);
    struct node *node = node_at(index->arena, word);
    if (word_kind(word) >= NODE_64) {
        __builtin_prefetch(node); /* the header, which the way down leaves alone */
    }
    descent->up = descent->at;
    descent->up_next = descent_next(descent);
    descent->node = word;
    descent->byte = depth == key.size ? NODE_END : key.data[depth];
    descent->at.header = &node->header;
    descent->at.slot = node_slot_any(node, word, descent->byte);
    descent->word =
        descent->at.slot != NULL ? atomic_load_explicit(descent->at.slot, memory_order_acquire) : 0;
}

/* Locks a place and says whether it still holds `word`; if not, it is not locked. */
static inline bool place_lock(const struct index_slot *place, uint64_t word, uint64_t *ret_header)
{
    if (!node_lock(place->header, ret_header)) {
        return false;
    }
    if (atomic_load_explicit(place->slot, memory_order_relaxed) != word) {
        node_unlock(place->header, *ret_header);
        return false;
    }
    return true;
}

/* Puts a word into a place that is locked, and unlocks it. */
static inline void place_publish(const struct index_slot *place, uint64_t word, uint64_t header)
{
    /* Release pairs with the acquire in node_child(): readers see the node that it leads to. */
    atomic_store_explicit(place->slot, word, memory_order_release);
    node_unlock(place->header, header);
}

/* Counts a key that has come or gone. */
static inline void index_count(struct index *index, int64_t change)
{
    struct index_counter *counter = &index->counters[worker_number() % INDEX_COUNTERS];
    atomic_fetch_add_explicit(&counter->keys, change, memory_order_relaxed);
}

/* Marks a node obsolete, unlocks it and hands it to the epochs. `up` leads elsewhere already. */
void descent_retire(struct index *index, uint64_t word, uint64_t header);

#endif
