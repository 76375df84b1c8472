/*
 * Join: one tree of two whose keys are all on either side of each other.
 *
 * The happy path:
 *   - The greatest key on the left and the least on the right part at one byte. Above it, the nodes
 *     on the right edge of the left tree and on the left edge of the right tree are those of one
 *     way: where only one tree has a node, the other hangs into it; where both have, the entries of
 *     both go into a new node.
 *   - At the byte where they part, what is left of both becomes two entries of one node.
 *
 * Failure modes:
 *   - Keys that are not in order: -EINVAL before anything is changed.
 *   - No memory, or load() fails on the way down: both trees are half joined, and lost.
 *
 * Invariants:
 *   - Nobody else sees the trees: slots are stored in place.
 *   - `place` is the only slot that is not yet what it will be.
 */
#include "base/assert.h"
#include "engine/index_build.h"
#include "engine/leaf.h"
#include "engine/node.h"

#include <errno.h>

struct join {
    struct engine_arena *arena;
    struct index_key low;  /* the greatest key on the left */
    struct index_key high; /* the least key on the right */
    uint32_t common;       /* where they part */
};

static uint64_t load(_Atomic uint64_t *slot)
{
    return atomic_load_explicit(slot, memory_order_relaxed);
}

/* The entry on one edge of a node; the key that ends at the node is its least. */
static struct node_entry edge_entry(struct node *node, uint64_t word, bool greatest)
{
    struct node_entry entries[NODE_ENTRIES_MAX];
    unsigned count = node_collect(node, word, entries);
    struct node_entry edge = {0};
    bool any = false;
    for (unsigned index = 0; index < count; index++) {
        int rank = entries[index].byte == NODE_END ? -1 : (int)entries[index].byte;
        int best = edge.byte == NODE_END ? -1 : (int)edge.byte;
        if (!any || (greatest ? rank > best : rank < best)) {
            edge = entries[index];
            any = true;
        }
    }
    return edge;
}

static int edge_key(struct engine_arena *arena, const struct index_source *source, uint64_t word,
                    bool greatest, struct index_key *ret_key)
{
    while (!word_is_leaf(word)) {
        word = edge_entry(node_at(arena, word), word, greatest).word;
    }
    return source->load(source->context, leaf_address(arena, word), ret_key);
}

static uint32_t byte_at(struct index_key key, uint32_t depth)
{
    return key.size == depth ? NODE_END : key.data[depth];
}

/* As deep as a word reaches; a leaf is deeper than all nodes. */
static uint32_t depth_of(uint64_t word)
{
    return word_is_leaf(word) ? UINT32_MAX : word_depth(word);
}

/* What is left of one tree as an entry at a depth. A leaf is the edge of its tree, whose key is
 * known, and hung at another depth before. */
static struct node_entry entry_at(const struct engine_arena *arena, uint64_t word,
                                  struct index_key edge, uint32_t depth)
{
    if (word_is_leaf(word)) {
        word = leaf_make(arena, leaf_address(arena, word), edge, depth + 1);
    }
    return (struct node_entry){.word = word, .byte = byte_at(edge, depth)};
}

static void free_node(struct engine_arena *arena, uint64_t word)
{
    arena_free(arena, word_offset(word), word_class(word));
}

/*
 * Adds an entry to the node that `place` holds; a node that is full is replaced. The slot of the
 * entry, or NULL when there is no memory.
 */
static _Atomic uint64_t *add_entry(struct engine_arena *arena, _Atomic uint64_t *place,
                                   struct node_entry entry)
{
    uint64_t word = load(place);
    struct node *node = node_at(arena, word);
    uint64_t header = load(&node->header);
    if (node_add(node, word, entry, &header)) {
        atomic_store_explicit(&node->header, header, memory_order_relaxed);
        return node_slot_any(node, word, entry.byte);
    }
    struct node_entry entries[NODE_ENTRIES_MAX];
    unsigned count = node_collect(node, word, entries);
    entries[count++] = entry;
    uint64_t larger = node_make(arena, NULL, entries, count, word_depth(word), load(&node->tail));
    if (larger == 0) {
        return NULL;
    }
    free_node(arena, word);
    atomic_store_explicit(place, larger, memory_order_relaxed);
    return node_slot_any(node_at(arena, larger), larger, entry.byte);
}

/* Both parted above all their nodes: a node of two. */
static int join_apart(const struct join *join, _Atomic uint64_t *place, uint64_t left,
                      uint64_t right)
{
    struct node_entry entries[2] = {
        entry_at(join->arena, left, join->low, join->common),
        entry_at(join->arena, right, join->high, join->common),
    };
    uint64_t word = node_make(join->arena, NULL, entries, 2, join->common,
                              node_tail_of(join->low.data, join->common));
    if (word == 0) {
        return -ENOMEM;
    }
    atomic_store_explicit(place, word, memory_order_relaxed);
    return 0;
}

/* Two nodes of one depth become one. The entry that both have stays as the left one. */
static int join_level(const struct join *join, _Atomic uint64_t *place, uint64_t left,
                      uint64_t right)
{
    struct engine_arena *arena = join->arena;
    struct node_entry entries[NODE_ENTRIES_MAX * 2];
    unsigned count = node_collect(node_at(arena, left), left, entries);
    unsigned total = count + node_collect(node_at(arena, right), right, entries + count);
    uint32_t depth = word_depth(left);
    if (depth < join->common) { /* both have one for this byte */
        unsigned kept = count;
        for (unsigned index = count; index < total; index++) {
            if (entries[index].byte != join->low.data[depth]) {
                entries[kept++] = entries[index];
            }
        }
        total = kept;
    }
    WEIR_ASSERT(total <= NODE_ENTRIES_MAX);
    uint64_t word =
        node_make(arena, NULL, entries, total, depth, load(&node_at(arena, left)->tail));
    if (word == 0) {
        return -ENOMEM;
    }
    free_node(arena, left);
    free_node(arena, right);
    atomic_store_explicit(place, word, memory_order_relaxed);
    return 0;
}

/* Goes on from the root to where the trees part. */
static int join_at(const struct join *join, _Atomic uint64_t *place, uint64_t left, uint64_t right)
{
    struct engine_arena *arena = join->arena;
    for (;;) {
        uint32_t left_depth = depth_of(left);
        uint32_t right_depth = depth_of(right);
        uint32_t depth = left_depth < right_depth ? left_depth : right_depth;
        if (depth > join->common) {
            return join_apart(join, place, left, right);
        }
        uint32_t byte = byte_at(join->low, depth); /* that of both, while depth < common */
        if (left_depth == right_depth) {
            uint64_t right_child = depth < join->common
                                       ? node_child(node_at(arena, right), word_kind(right), byte)
                                       : 0;
            int rc = join_level(join, place, left, right);
            if (rc < 0 || depth == join->common) {
                return rc;
            }
            right = right_child;
        } else if (left_depth < right_depth) {
            atomic_store_explicit(place, left, memory_order_relaxed);
            if (depth == join->common) {
                struct node_entry entry = entry_at(arena, right, join->high, depth);
                return add_entry(arena, place, entry) != NULL ? 0 : -ENOMEM;
            }
        } else {
            atomic_store_explicit(place, right, memory_order_relaxed);
            if (depth == join->common) {
                struct node_entry entry = entry_at(arena, left, join->low, depth);
                return add_entry(arena, place, entry) != NULL ? 0 : -ENOMEM;
            }
        }
        uint64_t word = load(place);
        place = node_slot(node_at(arena, word), word_kind(word), byte);
        WEIR_ASSERT(place != NULL);
        if (left_depth <= right_depth) {
            left = load(place);
        } else {
            right = load(place);
        }
    }
}

int index_join(struct engine_arena *arena, const struct index_source *source, uint64_t left,
               uint64_t right, uint64_t *ret_root)
{
    if (left == 0 || right == 0) {
        *ret_root = left != 0 ? left : right;
        return 0;
    }
    struct join join = {.arena = arena};
    int rc = edge_key(arena, source, left, true, &join.low);
    rc = rc == 0 ? edge_key(arena, source, right, false, &join.high) : rc;
    if (rc < 0) {
        return rc;
    }
    uint32_t common = key_common(join.low, join.high, 0);
    if (common == join.high.size ||
        (common < join.low.size && join.low.data[common] > join.high.data[common])) {
        return -EINVAL;
    }
    join.common = common;
    _Atomic uint64_t root = 0;
    rc = join_at(&join, &root, left, right);
    if (rc == 0) {
        *ret_root = atomic_load_explicit(&root, memory_order_relaxed);
    }
    return rc;
}
