/*
 * Many look-ups at once: a cache miss that one key waits for costs the others next to nothing.
 *
 * A descent is a chain of loads, each of which names the next, so that one key waits for every miss
 * on its way; misses of different keys are independent of each other. All keys of a group go down
 * step by step: each step asks for the line that the next one needs, and by the time that it is
 * this key's turn again, the line has come. (Group prefetching: Chen, Ailamaki, Gibbons, Mowry,
 * "Improving Hash Join Performance through Prefetching", ICDE 2004. Keys whose ways have different
 * lengths drop out where they end; that the next ones begin in their place, as in Kocberber,
 * Falsafi, Grot, "Asynchronous Memory Access Chaining", VLDB 2015, is not done: ways differ by a
 * node or two.)
 *
 * The happy path:
 *   - What holds the answer of a node is known from the word that leads there, or is so little that
 *     all of it is asked for: one step. Of the kinds 64 and 128 it is known when the number of the
 *     slot has come: two.
 *
 * Failure modes: none.
 *
 * Invariants: those of index.c; each key sees what index_candidate() would have seen.
 */
#include "engine/index.h"

#include "base/assert.h"
#include "engine/leaf.h"
#include "engine/node.h"

/* Where the way of a key has come to: a word, or the slot that holds it. */
struct way {
    uint64_t word;
    _Atomic uint64_t *slot; /* NULL: `word` counts */
    uint32_t lane;
};

/* Asks for what the next step looks at. */
static inline void fetch_node(const struct node *node, enum node_kind kind, unsigned byte)
{
    const char *at = (const char *)node;
    switch (kind) {
    case NODE_2:
    case NODE_4:
    case NODE_6:
        __builtin_prefetch(at);
        __builtin_prefetch(at + 40); /* it may lie in two lines */
        break;
    case NODE_16:
    case NODE_32:
        __builtin_prefetch(at);
        node_fetch_list(node);
        break;
    case NODE_64:
    case NODE_128:
        __builtin_prefetch(at + offsetof(struct node, body) + byte);
        break;
    case NODE_256:
        __builtin_prefetch(at + offsetof(struct node, body) + byte * sizeof(uint64_t));
        break;
    }
}

/* Leads on to a word. False: the way ends there. `next`: of a leaf, where its next byte is. */
static inline bool lead(const struct engine_arena *arena, struct way *way, uint64_t word,
                        struct index_key key, uint32_t next)
{
    way->word = word;
    way->slot = NULL;
    if (word == 0) {
        return false;
    }
    if (word_is_leaf(word)) {
        way->word = leaf_parts(arena, word, key, next) ? 0 : word;
        return false;
    }
    uint32_t depth = word_depth(word);
    struct node *node = node_at(arena, word);
    if (__builtin_expect(depth < key.size, 1)) {
        fetch_node(node, word_kind(word), key.data[depth]);
        return true;
    }
    if (depth == key.size && word_has_end(word)) {
        way->slot = node_end_slot(node, word_kind(word));
        __builtin_prefetch(way->slot);
        return true;
    }
    way->word = 0;
    return false;
}

/* One step: false when the way ends, with a leaf or 0 in `word`. */
static inline bool step(const struct engine_arena *arena, struct way *way, struct index_key key)
{
    _Atomic uint64_t *slot = way->slot;
    if (slot == NULL) {
        enum node_kind kind = word_kind(way->word);
        slot = node_slot(node_at(arena, way->word), kind, key.data[word_depth(way->word)]);
        if (slot == NULL) {
            way->word = 0;
            return false;
        }
        if (kind == NODE_64 || kind == NODE_128) {
            __builtin_prefetch(slot);
            way->slot = slot;
            return true;
        }
    }
    /* Acquire pairs with the release that published the word. */
    uint64_t word = atomic_load_explicit(slot, memory_order_acquire);
    return lead(arena, way, word, key, word_depth(way->word) + 1);
}

void index_candidates(struct index_lane *lanes, unsigned count)
{
    struct way ways[INDEX_LANES];
    unsigned going = 0;
    WEIR_ASSERT(count <= INDEX_LANES);
    for (unsigned lane = 0; lane < count; lane++) {
        const struct index *index = lanes[lane].index;
        uint64_t root = atomic_load_explicit(&index->root, memory_order_acquire);
        ways[going].lane = lane;
        if (lead(index->arena, &ways[going], root, lanes[lane].key, 0)) {
            going++;
        } else {
            lanes[lane].address = leaf_address(index->arena, ways[going].word);
        }
    }
    while (going > 0) {
        unsigned kept = 0;
        for (unsigned at = 0; at < going; at++) {
            struct way way = ways[at];
            struct index_lane *lane = &lanes[way.lane];
            if (step(lane->index->arena, &way, lane->key)) {
                ways[kept++] = way;
            } else {
                lane->address = leaf_address(lane->index->arena, way.word);
            }
        }
        going = kept;
    }
}
