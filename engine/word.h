/*
 * Words of the index: what a slot holds, and what a reader knows from it alone.
 *
 * A word is 0, a leaf (the address of a record, with bit 0 set), or a node:
 *
 *     bit 0      0
 *     bits 1-3   kind: for 2, 4, 6, 16, 32, 64, 128 or 256 entries
 *     bits 4-39  offset in the arena, whose low four bits are 0
 *     bit 40     the node has an end slot
 *     bits 41-56 depth: how many bytes all keys below the node share, and which byte of a key
 *                chooses the entry
 *
 * So the word says which byte to look at and where: a reader skips shared bytes without comparing
 * them, and compares the whole key once, at the leaf. The node of a word, its depth and the bytes
 * on the way to it never change; a prefix that splits puts a new node above it, and one that
 * collapses takes the node above away.
 */
#ifndef ENGINE_WORD_H
#define ENGINE_WORD_H

#include <stdbool.h>
#include <stdint.h>

enum node_kind { NODE_2, NODE_4, NODE_6, NODE_16, NODE_32, NODE_64, NODE_128, NODE_256 };

#define NODE_KINDS 8
#define WORD_LEAF UINT64_C(1)
#define WORD_OFFSET_MASK UINT64_C(0xfffffffff0)
#define WORD_END (UINT64_C(1) << 40)
#define WORD_DEPTH_SHIFT 41

static inline bool word_is_leaf(uint64_t word)
{
    return (word & WORD_LEAF) != 0;
}

static inline uint64_t word_of_address(uint64_t address)
{
    return address | WORD_LEAF;
}

static inline uint64_t word_address(uint64_t word)
{
    return word & ~WORD_LEAF;
}

static inline enum node_kind word_kind(uint64_t word)
{
    return (enum node_kind)(word >> 1 & 7);
}

static inline bool word_has_end(uint64_t word)
{
    return (word & WORD_END) != 0;
}

static inline uint32_t word_depth(uint64_t word)
{
    return (uint32_t)(word >> WORD_DEPTH_SHIFT); /* the bits above are 0 */
}

static inline uint64_t word_offset(uint64_t word)
{
    return word & WORD_OFFSET_MASK;
}

static inline unsigned word_class(uint64_t word)
{
    return (unsigned)word_kind(word) + (word_has_end(word) ? NODE_KINDS : 0);
}

#endif
