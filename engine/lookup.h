/*
 * The way down of a look-up, inline.
 *
 * A get waits for two or three misses, each for the one before; what it costs is how many gets are
 * under way at once, and a processor looks no further ahead than its window of some 256
 * instructions, its schedulers hold some 96 that wait for something. So the first part is written
 * in as few instructions as there can be, few of which wait: a look-up that took 205 of them took
 * 190 ns where one of 120 takes 145, with the same misses. Between the two there are steps, not a
 * slope: two gets fit, or three.
 *
 * Invariants: those of index.c.
 */
#ifndef ENGINE_LOOKUP_H
#define ENGINE_LOOKUP_H

#include "engine/leaf.h"
#include "engine/node.h"

/* From a word on the way of a key to where it ends: a leaf, which is at the only address that the
 * key may have, or 0. *next: where the leaf's next byte is; as it was if `word` is the leaf. */
static inline uint64_t lookup_rest_to(const struct engine_arena *arena, uint64_t word,
                                      struct index_key key, uint32_t *next)
{
    while (!word_is_leaf(word) && word != 0) {
        uint32_t depth = word_depth(word);
        enum node_kind kind = word_kind(word);
        struct node *node = node_at(arena, word);
        *next = depth + 1;
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
        /* Acquire pairs with the release that published the word. */
        word = atomic_load_explicit(slot, memory_order_acquire);
    }
    return word;
}

static inline uint64_t lookup_rest(const struct engine_arena *arena, uint64_t word,
                                   struct index_key key)
{
    uint32_t next;
    return lookup_rest_to(arena, word, key, &next);
}

/* What hangs under a byte of a node of 256 entries. */
static inline uint64_t lookup_child(const struct engine_arena *arena, uint64_t word, unsigned byte)
{
    return atomic_load_explicit(&node_at(arena, word)->body[byte], memory_order_acquire);
}

/* From a word to what hangs under key.data[depth], if it is a node of 16 or 32 entries of that
 * depth; else the word itself. */
__attribute__((always_inline)) static inline uint64_t lookup_list(const struct engine_arena *arena,
                                                                  uint64_t word,
                                                                  struct index_key key,
                                                                  uint32_t depth)
{
    /* Of a leaf the lowest three bits are 001 or 011: the difference is neither 0, 1 nor 2. */
    uint32_t more = word_form(word) - word_form_of(NODE_16, depth);
    if (more > word_form_of(NODE_32, 0) - word_form_of(NODE_16, 0)) {
        return word;
    }
    struct node *node = node_at(arena, word);
    enum node_kind kind = (enum node_kind)(NODE_16 + more / 2);
    node_fetch_list(node);
    _Atomic uint64_t *slot = node_slot_list(node, kind, key.data[depth]);
    return slot != NULL ? atomic_load_explicit(slot, memory_order_acquire) : 0;
}

/* Keys of fewer bytes than lookup_begin() may look at begin with lookup_rest(). */
#define LOOKUP_BEGIN_BYTES 4u

/* The first part of the way of a key of LOOKUP_BEGIN_BYTES or more, in as few steps as there can
 * be, where nothing is unusual: nodes of 256 entries, each of which chooses by the byte behind that
 * of the one above, and a node of 16 or 32. The word where that ends: lookup_rest() goes on.
 *
 * The depth of a node is known before its word has come, which is only asked whether it agrees, in
 * one comparison with the kind: a guess that is nearly always right costs nothing, where a byte
 * that is found by what the word says waits for it, and so does all that is made of it. A loop
 * would cost half of what that gains. */
__attribute__((always_inline)) static inline uint64_t lookup_begin(const struct engine_arena *arena,
                                                                   const struct index *index,
                                                                   struct index_key key)
{
    /* Acquire, here and above, pairs with the release that published the word. */
    uint64_t word = atomic_load_explicit(&index->root, memory_order_acquire);
    if (word_form(word) != word_form_of(NODE_256, 0)) {
        return lookup_list(arena, word, key, 0);
    }
    word = lookup_child(arena, word, key.data[0]);
    if (word_form(word) != word_form_of(NODE_256, 1)) {
        return lookup_list(arena, word, key, 1);
    }
    word = lookup_child(arena, word, key.data[1]);
    if (word_form(word) != word_form_of(NODE_256, 2)) {
        return lookup_list(arena, word, key, 2);
    }
    word = lookup_child(arena, word, key.data[2]);
    return lookup_list(arena, word, key, 3);
}

/* All of the way. */
static inline uint64_t lookup_leaf(const struct engine_arena *arena, const struct index *index,
                                   struct index_key key)
{
    uint64_t word = __builtin_expect(key.size >= LOOKUP_BEGIN_BYTES, 1)
                        ? lookup_begin(arena, index, key)
                        : atomic_load_explicit(&index->root, memory_order_acquire);
    return lookup_rest(arena, word, key);
}

#endif
