/*
 * Put: sets the address of a key.
 *
 * The happy path, by what the descent comes to:
 *   - a leaf with the same key: the word of the leaf is replaced.
 *   - an empty slot: the entry is added; a full node is copied into a larger one first.
 *   - a leaf with another key, or a node whose way parts from the key: a new node with two
 *     entries takes its place, and it goes below that. The leaf itself nearly always says where it
 *     parts; else its key is loaded.
 *
 * Failure modes:
 *   - Another writer was faster at this place: begin again at the root.
 *   - No memory: -ENOMEM before anything was published. load() fails: likewise.
 *   - An address that leaves cannot hold: -EFBIG.
 *
 * Invariants:
 *   - Each change is one word that is published under the lock of the node that holds it.
 *   - Locks are taken from the root down, two at most: the slot where a node hangs, and the node.
 *   - A node that is not obsolete under its lock can be reached from the root.
 *   - The way to a node never changes. So bytes that were compared without a lock stay equal, and
 *     one key from below a node proves all the bytes that were skipped above it.
 */
#include "engine/descent.h"
#include "engine/shortcut.h"

#include "base/assert.h"

#include <errno.h>

/* What an attempt ends with, beside 0 and errors. */
#define AGAIN 1

void descent_retire(struct index *index, uint64_t word, uint64_t header)
{
    struct node *node = node_at(index->arena, word);
    unsigned size_class = word_class(word);
    node_unlock(&node->header,
                header | HEADER_OBSOLETE | (uint64_t)size_class << ARENA_CLASS_SHIFT);
    if (arena_retire(index->arena, word_offset(word), size_class, &node->retired)) {
        (void)epoch_reclaim(index->epochs);
    }
}

/* Goes down to where the key is or belongs. 0, AGAIN or an error. */
static int descend(struct index *index, struct index_key key, bool may_skip,
                   struct index_descent *ret_descent)
{
    struct index_descent descent = descent_begin(index);
    uint32_t from = 0;
    descent.common = UINT32_MAX;
    while (descent.word != 0 && !word_is_leaf(descent.word)) {
        uint32_t depth = word_depth(descent.word);
        if (depth != from) {
            struct path_match match = {.may_skip = may_skip};
            int rc = node_compare_path(index, descent.word, key, from, &match);
            if (rc != 0) {
                return rc;
            }
            descent.skipped |= match.skipped;
            if (match.common < depth) {
                descent.common = match.common;
                descent.path_byte = match.byte;
                break;
            }
        }
        descent_enter(index, &descent, key);
        from = depth + 1;
    }
    *ret_descent = descent;
    return 0;
}

/* Whether the bytes that were skipped are those of the key, by a key from below the node. */
static int confirm(struct index *index, struct index_key key, const struct index_descent *descent)
{
    uint64_t leaf = descent->word != 0 && word_is_leaf(descent->word)
                        ? descent->word
                        : node_some_leaf(index->arena, descent->node);
    if (leaf == 0) {
        return AGAIN;
    }
    struct index_key below;
    int rc = index->source.load(index->source.context, leaf_address(index->arena, leaf), &below);
    if (rc < 0) {
        return rc;
    }
    return key_common(key, below, 0) >= word_depth(descent->node) ? 0 : AGAIN;
}

static int find_place(struct index *index, struct index_key key, struct index_descent *ret_descent)
{
    int rc = descend(index, key, true, ret_descent);
    if (rc != 0 || !ret_descent->skipped) {
        return rc;
    }
    rc = ret_descent->common == UINT32_MAX ? confirm(index, key, ret_descent) : AGAIN;
    return rc == AGAIN ? descend(index, key, false, ret_descent) : rc;
}

int index_descend(struct index *index, struct index_key key, struct index_descent *ret_descent,
                  uint64_t *ret_address)
{
    int rc;
    do {
        rc = find_place(index, key, ret_descent);
    } while (rc == AGAIN);
    if (rc < 0 || ret_descent->word == 0 || !word_is_leaf(ret_descent->word)) {
        return rc;
    }
    if (leaf_parts(index->arena, ret_descent->word, key, descent_next(ret_descent))) {
        return 0;
    }
    *ret_address = leaf_address(index->arena, ret_descent->word);
    return 1;
}

/* A node with what hangs at the place now, and the new leaf, which part at `common`. */
static int split(struct index *index, struct index_key key, const struct index_descent *descent,
                 struct node_entry old, uint32_t common, uint64_t address)
{
    uint64_t header;
    struct node_entry entries[2] = {old,
                                    {.word = leaf_make(index->arena, address, key, common + 1),
                                     .byte = common == key.size ? NODE_END : key.data[common]}};
    if (old.byte != NODE_END && entries[1].byte < old.byte) {
        entries[0] = entries[1];
        entries[1] = old;
    }
    if (!place_lock(&descent->at, descent->word, &header)) {
        return AGAIN;
    }
    uint64_t word = node_make(index->arena, descent->region, entries, 2, common,
                              node_tail_of(key.data, common));
    if (word == 0) {
        node_unlock(descent->at.header, header);
        return -ENOMEM;
    }
    place_publish(&descent->at, word, header);
    return 0;
}

/* The leaf is of this key. */
static int replace(struct index *index, struct index_key key, const struct index_descent *descent,
                   uint64_t address, uint64_t *ret_old)
{
    uint64_t header;
    uint64_t leaf = leaf_make(index->arena, address, key, descent_next(descent));
    if (!place_lock(&descent->at, descent->word, &header)) {
        return AGAIN;
    }
    place_publish(&descent->at, leaf, header);
    *ret_old = leaf_address(index->arena, descent->word);
    return 0;
}

/* The leaf says where its key parts from this one; what comes behind that, it does not know. */
static int split_unread(struct index *index, struct index_key key,
                        const struct index_descent *descent, uint64_t address)
{
    const struct engine_arena *arena = index->arena;
    struct node_entry old = {.word = word_of_address(leaf_address(arena, descent->word)),
                             .byte = leaf_next(arena, descent->word)};
    return split(index, key, descent, old, descent_next(descent), address);
}

/* The leaf is of this key: replaced; or of another: split. */
static int put_at_leaf(struct index *index, struct index_key key,
                       const struct index_descent *descent, uint64_t address, uint64_t *ret_old)
{
    if (leaf_parts(index->arena, descent->word, key, descent_next(descent))) {
        return split_unread(index, key, descent, address);
    }
    struct index_key found;
    uint64_t old_address = leaf_address(index->arena, descent->word);
    int rc = index->source.load(index->source.context, old_address, &found);
    if (rc < 0) {
        return rc;
    }
    uint32_t common = key_common(key, found, 0);
    if (common == key.size && common == found.size) {
        return replace(index, key, descent, address, ret_old);
    }
    if (descent->node != 0 && common <= word_depth(descent->node)) {
        return -EBADMSG; /* the record is not what was put here */
    }
    struct node_entry old = {.word = leaf_make(index->arena, old_address, found, common + 1),
                             .byte = common == found.size ? NODE_END : found.data[common]};
    return split(index, key, descent, old, common, address);
}

/* Copies a full node into a larger one, with the new entry. */
static int grow(struct index *index, const struct index_descent *descent, struct node_entry entry)
{
    uint64_t up_header;
    uint64_t header;
    struct node *node = node_at(index->arena, descent->node);
    if (!place_lock(&descent->up, descent->node, &up_header)) {
        return AGAIN;
    }
    bool locked = node_lock(&node->header, &header);
    WEIR_ASSERT(locked); /* a place that is not obsolete leads to it */
    /* Nobody has put the key meanwhile: a byte never gets a slot in a node that is full. */
    WEIR_ASSERT(node_slot_any(node, descent->node, entry.byte) == NULL);
    struct node_entry entries[NODE_ENTRIES_MAX];
    unsigned count = node_collect(node, descent->node, entries);
    entries[count++] = entry;
    uint64_t tail = atomic_load_explicit(&node->tail, memory_order_relaxed);
    uint64_t word =
        node_make(index->arena, descent->region, entries, count, word_depth(descent->node), tail);
    if (word == 0) {
        node_unlock(&node->header, header);
        node_unlock(descent->up.header, up_header);
        return -ENOMEM;
    }
    place_publish(&descent->up, word, up_header);
    descent_retire(index, descent->node, header);
    return 0;
}

static int put_at_empty(struct index *index, struct index_key key,
                        const struct index_descent *descent, uint64_t address)
{
    uint64_t header;
    uint64_t leaf = leaf_make(index->arena, address, key, descent_next(descent));
    if (descent->node == 0) {
        if (!place_lock(&descent->at, 0, &header)) {
            return AGAIN;
        }
        place_publish(&descent->at, leaf, header);
        return 0;
    }
    struct node_entry entry = {.word = leaf, .byte = descent->byte};
    struct node *node = node_at(index->arena, descent->node);
    if (!node_lock(&node->header, &header)) {
        return AGAIN;
    }
    _Atomic uint64_t *slot = node_slot_any(node, descent->node, entry.byte);
    if (slot != NULL && atomic_load_explicit(slot, memory_order_relaxed) != 0) {
        node_unlock(&node->header, header);
        return AGAIN;
    }
    bool added = node_add(node, descent->node, entry, &header);
    node_unlock(&node->header, header);
    return added ? 0 : grow(index, descent, entry);
}

static int put_at(struct index *index, const struct index_descent *descent, struct index_key key,
                  uint64_t address, uint64_t *ret_old)
{
    if (descent->word == 0) {
        return put_at_empty(index, key, descent, address);
    }
    if (descent->is_key) {
        return replace(index, key, descent, address, ret_old);
    }
    if (word_is_leaf(descent->word)) {
        return put_at_leaf(index, key, descent, address, ret_old);
    }
    struct node_entry old = {.word = descent->word, .byte = descent->path_byte};
    return split(index, key, descent, old, descent->common, address);
}

static int try_put(struct index *index, struct arena_region *region, struct index_key key,
                   uint64_t address, uint64_t *ret_old)
{
    struct index_descent descent;
    int rc = find_place(index, key, &descent);
    if (rc != 0) {
        return rc;
    }
    descent.region = region;
    return put_at(index, &descent, key, address, ret_old);
}

int index_put(struct index *index, struct index_key key, uint64_t address, uint64_t *ret_old)
{
    return index_put_from(index, NULL, key, address, ret_old);
}

bool index_stock(struct engine_arena *arena, struct arena_region *region, uint64_t puts)
{
    return arena_region_stock(arena, region, NODE_CLASS_LARGEST, puts);
}

int index_put_from(struct index *index, struct arena_region *region, struct index_key key,
                   uint64_t address, uint64_t *ret_old)
{
    WEIR_ASSERT(address != 0 && address % 8 == 0 && address <= INDEX_ADDRESS_MAX);
    if (key.size > INDEX_KEY_SIZE_MAX) {
        return -EINVAL;
    }
    if (!leaf_can_hold(index->arena, address)) {
        return -EFBIG;
    }
    uint64_t old = 0;
    int rc;
    struct shortcut_hold hold;
    shortcut_hold(index, key, &hold);
    do {
        rc = try_put(index, region, key, address, &old);
    } while (rc == AGAIN ||
             (rc == -ENOMEM && index->epochs != NULL && epoch_reclaim(index->epochs) != 0));
    shortcut_release(index, &hold, old, rc == 0 ? address : old);
    if (rc < 0) {
        return rc;
    }
    if (old == 0) {
        index_count(index, 1);
    }
    *ret_old = old;
    return 0;
}

int index_put_at(struct index *index, const struct index_descent *descent, struct index_key key,
                 uint64_t address, uint64_t *ret_old)
{
    WEIR_ASSERT(address != 0 && address % 8 == 0 && address <= INDEX_ADDRESS_MAX);
    if (!leaf_can_hold(index->arena, address)) {
        return -EFBIG;
    }
    uint64_t old = 0;
    struct shortcut_hold hold;
    shortcut_hold(index, key, &hold);
    int rc = put_at(index, descent, key, address, &old);
    shortcut_release(index, &hold, old, rc == 0 ? address : old);
    if (rc == AGAIN || rc == -ENOMEM) {
        return index_put_from(index, descent->region, key, address, ret_old);
    }
    if (rc == 0 && old == 0) {
        index_count(index, 1);
    }
    *ret_old = old;
    return rc;
}
