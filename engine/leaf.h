/*
 * Leaves: the address of a record, and the next byte of its key.
 *
 * A leaf hangs at one byte of its key, which the node says. The byte behind that one, the next, is
 * in the leaf where there is room for it: so it tells most of the keys that come to it from its
 * own, and where they part, and nobody has to read the record to know that. Only the next one: of a
 * key that has another put beside it, it is not known any more.
 *
 * `next` is where it is in the key: 1 + the depth of the node that the leaf hangs in; 0 at the
 * root.
 *
 * Invariant: a next byte that a leaf knows is that of its key, at the place where it hangs.
 */
#ifndef ENGINE_LEAF_H
#define ENGINE_LEAF_H

#include "engine/node.h"

static inline uint64_t leaf_address(const struct engine_arena *arena, uint64_t word)
{
    return word & atomic_load_explicit(&arena->address_bits, memory_order_relaxed);
}

/* Whether an address is one that leaves of this arena can hold. */
static inline bool leaf_can_hold(const struct engine_arena *arena, uint64_t address)
{
    return leaf_address(arena, address) == address;
}

/* A leaf whose next byte is `byte`; NODE_END: its key has none, or it is not known. */
static inline uint64_t leaf_with(const struct engine_arena *arena, uint64_t address, uint32_t byte)
{
    unsigned shift = atomic_load_explicit(&arena->spare_shift, memory_order_relaxed);
    uint64_t next = shift != 0 && byte != NODE_END ? WORD_NEXT | (uint64_t)byte << shift : 0;
    return word_of_address(address) | next;
}

static inline uint64_t leaf_make(const struct engine_arena *arena, uint64_t address,
                                 struct index_key key, uint32_t next)
{
    return leaf_with(arena, address, next < key.size ? key.data[next] : NODE_END);
}

static inline bool leaf_knows_next(uint64_t word)
{
    return (word & WORD_NEXT) != 0;
}

/* Of a leaf that knows it. */
static inline uint8_t leaf_next(const struct engine_arena *arena, uint64_t word)
{
    return (uint8_t)(word >> atomic_load_explicit(&arena->spare_shift, memory_order_relaxed));
}

/* Whether a leaf is seen to be of another key, whose bytes in front of `next` are the same: there
 * they part. */
static inline bool leaf_parts(const struct engine_arena *arena, uint64_t word, struct index_key key,
                              uint32_t next)
{
    return leaf_knows_next(word) && (next >= key.size || key.data[next] != leaf_next(arena, word));
}

#endif
