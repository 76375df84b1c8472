/*
 * Words of the index: what a slot holds, and what a reader knows from it alone.
 *
 * A word is 0, a leaf or a node. A leaf is the address of a record, and the next byte of its key,
 * the one behind the byte that chose the leaf, where that is known:
 *
 *     bit 0      1
 *     bit 1      the next byte is known
 *     8 bits     it: where addresses have bits that are 0 (engine/arena.h), and else 0
 *     the rest   the address, whose lowest three bits are 0
 *
 * A node:
 *
 *     bit 0      0
 *     bits 1-3   kind: for 2, 4, 6, 16, 32, 64, 128 or 256 entries
 *     bit 4      the node has an end slot
 *     bits 5-20  depth: how many bytes all keys below the node share, and which byte of a key
 *                chooses the entry
 *     bits 32-63 offset in the arena, in units of 16 bytes
 *
 * The lower half, the form, says all but where the node lies, in one comparison.
 *
 * So the word says which byte to look at and where: a reader skips shared bytes without comparing
 * them, and compares the whole key once, at the leaf. The node of a word, its depth and the bytes
 * on the way to it never change; a prefix that splits puts a new node above it, and one that
 * collapses takes the node above away.
 *
 * And a leaf says of nearly all keys that are not its own that they are not, and where the two
 * part: neither a put of a new key nor the replay of one reads the record of another, which may be
 * on a disk. What is done with leaves: engine/leaf.h.
 */
#ifndef ENGINE_WORD_H
#define ENGINE_WORD_H

#include <stdbool.h>
#include <stdint.h>

enum node_kind { NODE_2, NODE_4, NODE_6, NODE_16, NODE_32, NODE_64, NODE_128, NODE_256 };

#define NODE_KINDS 8
#define WORD_LEAF UINT64_C(1)
#define WORD_NEXT UINT64_C(2)
#define WORD_KIND_SHIFT 1
#define WORD_END (UINT64_C(1) << 4)
#define WORD_DEPTH_SHIFT 5
#define WORD_UNIT_SHIFT 32
#define WORD_UNIT 16u

static inline bool word_is_leaf(uint64_t word)
{
    return (word & WORD_LEAF) != 0;
}

/* The leaf that tells the address alone. */
static inline uint64_t word_of_address(uint64_t address)
{
    return address | WORD_LEAF;
}

static inline enum node_kind word_kind(uint64_t word)
{
    return (enum node_kind)(word >> WORD_KIND_SHIFT & (NODE_KINDS - 1));
}

static inline bool word_has_end(uint64_t word)
{
    return (word & WORD_END) != 0;
}

static inline uint32_t word_depth(uint64_t word)
{
    return (uint32_t)word >> WORD_DEPTH_SHIFT; /* the bits between are 0 */
}

static inline uint64_t word_offset(uint64_t word)
{
    return (word >> WORD_UNIT_SHIFT) * WORD_UNIT;
}

/* Of a node: kind, end and depth at once. A leaf's is odd. */
static inline uint32_t word_form(uint64_t word)
{
    return (uint32_t)word;
}

/* That of a node without an end slot. */
static inline uint32_t word_form_of(enum node_kind kind, uint32_t depth)
{
    return (uint32_t)kind << WORD_KIND_SHIFT | depth << WORD_DEPTH_SHIFT;
}

/* The word of a node at an offset, a multiple of the unit. */
static inline uint64_t word_of_node(uint64_t offset, enum node_kind kind, bool has_end,
                                    uint32_t depth)
{
    return offset / WORD_UNIT << WORD_UNIT_SHIFT | (has_end ? WORD_END : 0) |
           word_form_of(kind, depth);
}

static inline unsigned word_class(uint64_t word)
{
    return (unsigned)word_kind(word) + (word_has_end(word) ? NODE_KINDS : 0);
}

#endif
