/*
 * Remove and replace: changes to a leaf whose address the caller knows.
 *
 * The happy path:
 *   - The bytes of the key lead to one leaf. It is the caller's when it holds the address that was
 *     expected, so no key is loaded.
 *   - index_remove() empties the slot. A node that would keep one entry is taken out, and the
 *     entry hangs where the node hung, where another byte is a leaf's next one; a node that is much
 *     too large is copied into a smaller one.
 *
 * Failure modes:
 *   - Another address is there: 0, nothing has changed.
 *   - No memory for the smaller node: the large one stays.
 *
 * Invariants: those of index_put.c; and a node keeps two live entries at least.
 */
#include "engine/descent.h"
#include "engine/shortcut.h"

#include "base/assert.h"

#include <errno.h>

/* Goes down by the key's bytes alone. False when that leads to nothing or to another leaf. */
static bool descend(struct index *index, struct index_key key, uint64_t address,
                    struct index_descent *ret_descent)
{
    struct index_descent descent = descent_begin(index);
    while (descent.word != 0 && !word_is_leaf(descent.word)) {
        if (word_depth(descent.word) > key.size) {
            return false;
        }
        descent_enter(index, &descent, key);
    }
    *ret_descent = descent;
    return word_is_leaf(descent.word) && leaf_address(index->arena, descent.word) == address;
}

static int replace(struct index *index, struct index_key key, uint64_t from, uint64_t to)
{
    struct index_descent descent;
    uint64_t header;
    do {
        if (!descend(index, key, from, &descent)) {
            return 0;
        }
    } while (!place_lock(&descent.at, descent.word, &header));
    place_publish(&descent.at, leaf_make(index->arena, to, key, descent_next(&descent)), header);
    return 1;
}

int index_replace(struct index *index, struct index_key key, uint64_t from, uint64_t to)
{
    WEIR_ASSERT(to != 0 && to % 8 == 0 && to <= INDEX_ADDRESS_MAX);
    if (!leaf_can_hold(index->arena, to)) {
        return -EFBIG;
    }
    struct shortcut_hold hold;
    shortcut_hold(index, key, &hold);
    int rc = replace(index, key, from, to);
    shortcut_release(index, &hold, from, rc == 1 ? to : from);
    return rc;
}

/* A node is copied into a smaller one when it has this many live entries or less. */
static unsigned shrink_below(enum node_kind kind)
{
    return kind >= NODE_16 ? node_capacity(kind - 1) * 3 / 4 : 0;
}

enum outcome { DONE, AGAIN, TOO_FEW };

/* Empties the slot, unless the node should not stay as it is. Nothing is locked afterwards. */
static enum outcome clear(struct index *index, const struct index_descent *descent)
{
    uint64_t header;
    if (!place_lock(&descent->at, descent->word, &header)) {
        return AGAIN;
    }
    if (descent->node == 0) {
        place_publish(&descent->at, 0, header);
        return DONE;
    }
    enum node_kind kind = word_kind(descent->node);
    unsigned left = node_live(node_at(index->arena, descent->node), descent->node, header) - 1;
    bool stays = left >= 2 && left > shrink_below(kind);
    if (stays) {
        node_clear(descent->at.slot, kind, &header);
    }
    node_unlock(descent->at.header, header);
    return stays ? DONE : TOO_FEW;
}

/* The entries but the one that goes. */
static unsigned collect_others(struct node *node, const struct index_descent *descent,
                               struct node_entry *entries)
{
    unsigned count = node_collect(node, descent->node, entries);
    unsigned kept = 0;
    for (unsigned index = 0; index < count; index++) {
        if (entries[index].byte != descent->byte) {
            entries[kept++] = entries[index];
        }
    }
    WEIR_ASSERT(kept + 1 == count && kept >= 1);
    return kept;
}

/* The word of the last entry of a node, for where the node hung. All bytes in front of the node's
 * are those of the key that goes. */
static uint64_t lift(const struct index *index, struct index_key key,
                     const struct index_descent *descent, struct node_entry last)
{
    if (!word_is_leaf(last.word)) {
        return last.word;
    }
    bool is_on_the_way = descent->up_next < word_depth(descent->node);
    return leaf_with(index->arena, leaf_address(index->arena, last.word),
                     is_on_the_way ? key.data[descent->up_next] : last.byte);
}

/* Takes the node out, or makes a smaller one of it. */
static enum outcome shrink(struct index *index, struct index_key key,
                           const struct index_descent *descent)
{
    uint64_t up_header;
    uint64_t header;
    struct node_entry entries[NODE_ENTRIES_MAX];
    struct node *node = node_at(index->arena, descent->node);
    if (!place_lock(&descent->up, descent->node, &up_header)) {
        return AGAIN;
    }
    if (!place_lock(&descent->at, descent->word, &header)) {
        node_unlock(descent->up.header, up_header);
        return AGAIN;
    }
    unsigned count = collect_others(node, descent, entries);
    uint64_t word = count == 1 ? lift(index, key, descent, entries[0]) : 0;
    if (count >= 2) {
        word = node_make(index->arena, NULL, entries, count, word_depth(descent->node),
                         atomic_load_explicit(&node->tail, memory_order_relaxed));
    }
    if (word == 0) { /* no memory for a smaller one */
        node_clear(descent->at.slot, word_kind(descent->node), &header);
        node_unlock(&node->header, header);
        node_unlock(descent->up.header, up_header);
        return DONE;
    }
    place_publish(&descent->up, word, up_header);
    descent_retire(index, descent->node, header);
    return DONE;
}

static int remove_key(struct index *index, struct index_key key, uint64_t expected)
{
    struct index_descent descent;
    enum outcome outcome;
    do {
        if (!descend(index, key, expected, &descent)) {
            return 0;
        }
        outcome = clear(index, &descent);
        if (outcome == TOO_FEW) {
            outcome = shrink(index, key, &descent);
        }
    } while (outcome == AGAIN);
    index_count(index, -1);
    return 1;
}

int index_remove(struct index *index, struct index_key key, uint64_t expected)
{
    struct shortcut_hold hold;
    shortcut_hold(index, key, &hold);
    int rc = remove_key(index, key, expected);
    shortcut_release(index, &hold, expected, rc == 1 ? 0 : expected);
    return rc;
}
