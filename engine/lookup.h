/*
 * The way down of a look-up, inline: one key is looked up in about as many instructions as the
 * processor looks ahead, so that the cache misses of the next look-up begin while this one waits
 * for its own. Every instruction, and every branch that guesses wrong behind a miss, takes from
 * that.
 *
 * Invariants: those of index.c.
 */
#ifndef ENGINE_LOOKUP_H
#define ENGINE_LOOKUP_H

#include "engine/node.h"

/* Where the way of a key ends: a leaf, which is at the only address that the key may have, or 0. */
static inline uint64_t lookup_leaf(const struct engine_arena *arena, const struct index *index,
                                   struct index_key key)
{
    /* Acquire, here and below, pairs with the release that published the word. */
    uint64_t word = atomic_load_explicit(&index->root, memory_order_acquire);
    while (!word_is_leaf(word) && word != 0) {
        uint32_t depth = word_depth(word);
        enum node_kind kind = word_kind(word);
        struct node *node = node_at(arena, word);
        if (__builtin_expect(depth >= key.size, 0)) {
            return depth == key.size && word_has_end(word)
                       ? atomic_load_explicit(node_end_slot(node, kind), memory_order_acquire)
                       : 0;
        }
        /* In the order in which they come on the way down: a jump by the kind would be one that is
         * guessed from the last, which was another level's. */
        unsigned byte = key.data[depth];
        _Atomic uint64_t *slot;
        if (kind == NODE_256) {
            slot = &node->body[byte];
        } else if (kind >= NODE_64) {
            slot = node_slot_indexed(node, byte);
        } else if (kind >= NODE_16) {
            node_fetch_list(node);
            slot = node_slot_list(node, kind, byte);
        } else {
            slot = node_slot_small(node, byte);
        }
        if (__builtin_expect(slot == NULL, 0)) {
            return 0;
        }
        word = atomic_load_explicit(slot, memory_order_acquire);
    }
    return word;
}

#endif
