/*
 * Nodes of the index: their layout, and what readers do with them.
 *
 *     bytes 0-7   header: flags, count, then the keys of a small node or the number of live slots
 *     bytes 8-15  tail: the last 8 bytes of the way to it, the last one lowest
 *     then        kind 16, 32    that many keys, then the slots, in the order of arrival
 *                 kind 64, 128   for each of 256 bytes, 1 + its slot or 0; then the slots
 *                 kind 2, 4, 6, 256   the slots
 *     last        16 bytes for the end slot: the key that ends at this depth
 *
 * Writers hold the lock bit of the header. Keys are only ever added; the count is stored last. A
 * key whose entry was removed keeps its slot, which holds 0, until the node is copied.
 */
#ifndef ENGINE_NODE_H
#define ENGINE_NODE_H

#include "base/match.h"
#include "engine/arena.h"
#include "engine/index.h"
#include "engine/word.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NODE_ENTRIES_MAX 257 /* 256 bytes and the end */
#define NODE_END 256u        /* as a byte: the key that ends here */
#define NODE_CLASS_LARGEST (NODE_KINDS + NODE_256)

_Static_assert(WORD_UNIT == ARENA_UNIT, "a word names every offset that the arena gives");

#define HEADER_LOCKED UINT64_C(1)
#define HEADER_OBSOLETE UINT64_C(2)
#define HEADER_COUNT_SHIFT 8
#define HEADER_KEYS_SHIFT 16 /* of kinds 2, 4 and 6 */
#define HEADER_LIVE_SHIFT 16 /* of the others: slots that are not 0, the end included */

struct node {
    _Atomic uint64_t header;
    union {
        _Atomic uint64_t tail;
        struct epoch_retired retired; /* once the header says obsolete */
    };
    _Atomic uint64_t body[];
};

/* An entry on its way into a node, or out of one. */
struct node_entry {
    uint64_t word;
    uint32_t byte; /* or NODE_END */
};

static inline struct node *node_at(const struct engine_arena *arena, uint64_t word)
{
    return (struct node *)arena_at(arena, word_offset(word));
}

/* Where the slots begin in body[], and how many there are. */
static inline unsigned node_slots_start(enum node_kind kind)
{
    static const uint8_t starts[NODE_KINDS] = {0, 0, 0, 2, 4, 32, 32, 0};
    return starts[kind];
}

static inline unsigned node_capacity(enum node_kind kind)
{
    static const uint16_t capacities[NODE_KINDS] = {2, 4, 6, 16, 32, 64, 128, 256};
    return capacities[kind];
}

static inline unsigned header_count(uint64_t header)
{
    return (unsigned)(header >> HEADER_COUNT_SHIFT) & 0xff;
}

static inline _Atomic uint64_t *node_slot_small(struct node *node, unsigned byte)
{
    /* Nodes of 48 bytes may lie in two lines. */
    __builtin_prefetch((const char *)node + 40);
    /* Acquire pairs with the release that stored the count. */
    uint64_t header = atomic_load_explicit(&node->header, memory_order_acquire);
    uint32_t equal = base_match_8(header, byte) >> HEADER_KEYS_SHIFT / 8;
    if (equal == 0) {
        return NULL;
    }
    /* What is behind the keys is no key. */
    unsigned place = (unsigned)__builtin_ctz(equal);
    return place < header_count(header) ? &node->body[place] : NULL;
}

/*
 * The slot in a node of 16 or of 32 entries. No branch depends on which of them it is, nor on the
 * place: a processor that has to guess it waits for the memory before it goes on behind, with the
 * next look-up. Of a node of 16 the last 16 bytes are slots: what equals there is no key.
 */
static inline _Atomic uint64_t *node_slot_list(struct node *node, enum node_kind kind,
                                               unsigned byte)
{
    /* Acquire pairs with the release that stored the count: the keys below it are there. */
    uint64_t header = atomic_load_explicit(&node->header, memory_order_acquire);
    uint32_t equal = base_match_32(node->body, byte);
    if (equal == 0) {
        return NULL;
    }
    /* The lowest place: a key that is there lies below the count, and what is behind does not. */
    unsigned place = (unsigned)__builtin_ctz(equal);
    unsigned start = 2u * ((unsigned)kind - NODE_16) + 2u;
    return place < header_count(header) ? &node->body[start + place] : NULL;
}

/* The slots of a list lie behind the line with the keys: fetched beside it, not after it. More
 * lines than two cost more than they gain: few nodes of 32 are that full. */
static inline void node_fetch_list(const struct node *node)
{
    __builtin_prefetch((const char *)node + BASE_CACHE_LINE);
    __builtin_prefetch((const char *)node + 2 * (size_t)BASE_CACHE_LINE);
}

static inline _Atomic uint64_t *node_slot_indexed(struct node *node, unsigned byte)
{
    /* Acquire pairs with the release that stored the byte. */
    uint64_t word = atomic_load_explicit(&node->body[byte / 8], memory_order_acquire);
    unsigned place = (unsigned)(word >> byte % 8 * 8) & 0xff;
    return place != 0 ? &node->body[32 + place - 1] : NULL;
}

/* The slot for a byte, or NULL while the node has none. */
static inline _Atomic uint64_t *node_slot(struct node *node, enum node_kind kind, unsigned byte)
{
    switch (kind) {
    case NODE_2:
    case NODE_4:
    case NODE_6:
        return node_slot_small(node, byte);
    case NODE_16:
    case NODE_32:
        node_fetch_list(node);
        return node_slot_list(node, kind, byte);
    case NODE_64:
    case NODE_128:
        return node_slot_indexed(node, byte);
    case NODE_256:
        return &node->body[byte];
    }
    __builtin_unreachable();
}

/* What hangs under a byte, or 0. */
static inline uint64_t node_child(struct node *node, enum node_kind kind, unsigned byte)
{
    _Atomic uint64_t *slot = node_slot(node, kind, byte);
    /* Acquire pairs with the release that published the word. */
    return slot != NULL ? atomic_load_explicit(slot, memory_order_acquire) : 0;
}

/* The slot of the key that ends at this node; only where word_has_end(). */
static inline _Atomic uint64_t *node_end_slot(struct node *node, enum node_kind kind)
{
    return &node->body[node_slots_start(kind) + node_capacity(kind)];
}

/* As node_slot, for a byte or NODE_END. */
static inline _Atomic uint64_t *node_slot_any(struct node *node, uint64_t word, uint32_t byte)
{
    if (byte == NODE_END) {
        return word_has_end(word) ? node_end_slot(node, word_kind(word)) : NULL;
    }
    return node_slot(node, word_kind(word), byte);
}

/*
 * Locks what a header guards. False when the node is obsolete: begin again at the root.
 * *ret_header is the header without the lock bit.
 */
bool node_lock(_Atomic uint64_t *header, uint64_t *ret_header);

/* Unlocks, and publishes what the header says now. */
static inline void node_unlock(_Atomic uint64_t *header, uint64_t value)
{
    /* Release pairs with the acquire in node_lock() and in node_slot(). */
    atomic_store_explicit(header, value, memory_order_release);
}

/* The last 8 bytes before path[depth], as a node keeps them. */
uint64_t node_tail_of(const uint8_t *path, uint32_t depth);

/*
 * Makes a node of the smallest kind that holds the entries (2 or more, none twice). 0 when there
 * is no memory. @param region  NULL, or a private one: of the largest class, then, rather than
 * none.
 */
uint64_t node_make(struct engine_arena *arena, struct arena_region *region,
                   const struct node_entry *entries, unsigned count, uint32_t depth, uint64_t tail);

/* Entries that are not empty, the end included. The caller holds the lock, or nobody writes. */
unsigned node_collect(struct node *node, uint64_t word,
                      struct node_entry ret_entries[NODE_ENTRIES_MAX]);
unsigned node_live(struct node *node, uint64_t word, uint64_t header);

/*
 * Adds an entry for a byte that the node has no live entry for. False when there is no room. Under
 * the lock; *header is what to unlock with.
 */
bool node_add(struct node *node, uint64_t word, struct node_entry entry, uint64_t *header);

/* Empties a slot. Under the lock, as node_add. */
void node_clear(_Atomic uint64_t *slot, enum node_kind kind, uint64_t *header);

/* Some leaf below a word, the word itself if it is one; 0 if it was taken away meanwhile. */
uint64_t node_some_leaf(const struct engine_arena *arena, uint64_t word);

/* How many bytes two keys share at their start. */
uint32_t key_common(struct index_key left, struct index_key right, uint32_t from);

/* How a key and the way to a node compare. */
struct path_match {
    bool may_skip;   /* in: when a key would have to be loaded, take the bytes for equal */
    bool skipped;    /* that was done */
    uint32_t common; /* where they part: the depth when they do not, key.size if it ends before */
    uint8_t byte;    /* the byte of the way at `common`, when that is less than the depth */
};

/*
 * Compares the bytes [from, depth) on the way to a node with a key that agrees before `from`.
 * More than 8 bytes are compared with the key of a leaf below.
 * 0; 1 when the node became obsolete: begin again; < 0 what load() returned, or -EBADMSG when
 * that key cannot belong there.
 */
int node_compare_path(const struct index *index, uint64_t word, struct index_key key, uint32_t from,
                      struct path_match *match);

#endif
