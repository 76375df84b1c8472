/*
 * Check: walks a whole index and compares it with the keys in the log.
 *
 * The happy path:
 *   - check_nodes() visits each node once and looks at its header, its entries and its tail.
 *   - check_order() iterates over all keys: each is greater than the one before, is found, and
 *     there are as many as the index says.
 *
 * Failure modes:
 *   - What is wrong is said in one sentence, with -EBADMSG. No memory for the stack: -ENOMEM.
 *
 * Invariants:
 *   - Nobody writes meanwhile; the index is not changed.
 */
#include "base/alloc.h"
#include "engine/leaf.h"
#include "engine/node.h"

#include <errno.h>
#include <string.h>

struct stack {
    uint64_t *words;
    size_t count;
    size_t capacity;
};

static int push(struct stack *stack, uint64_t word)
{
    if (stack->count == stack->capacity) {
        size_t capacity = stack->capacity != 0 ? stack->capacity * 2 : 512;
        uint64_t *words = base_alloc_array(capacity, sizeof *words);
        if (words == NULL) {
            return -ENOMEM;
        }
        if (stack->count != 0) {
            memcpy(words, stack->words, stack->count * sizeof *words);
        }
        base_free(stack->words);
        stack->words = words;
        stack->capacity = capacity;
    }
    stack->words[stack->count++] = word;
    return 0;
}

static const char *check_entries(struct node *node, uint64_t word, const struct node_entry *entries,
                                 unsigned count)
{
    uint64_t header = atomic_load_explicit(&node->header, memory_order_relaxed);
    if ((header & (HEADER_LOCKED | HEADER_OBSOLETE)) != 0) {
        return "a node is locked or obsolete";
    }
    if (count < 2) {
        return "a node has fewer than two entries";
    }
    if (node_live(node, word, header) != count) {
        return "a node counts its entries wrong";
    }
    for (unsigned entry = 0; entry < count; entry++) {
        uint64_t child = entries[entry].word;
        _Atomic uint64_t *slot = node_slot_any(node, word, entries[entry].byte);
        if (slot == NULL || atomic_load_explicit(slot, memory_order_relaxed) != child) {
            return "an entry of a node is not found by its byte";
        }
        if (!word_is_leaf(child) && word_depth(child) <= word_depth(word)) {
            return "a node is not deeper than the one above";
        }
        if (entries[entry].byte == NODE_END && !word_is_leaf(child)) {
            return "the end of a node is not a leaf";
        }
    }
    return NULL;
}

/* The way to the node, as its tail and as the depth of its word say, is that of a key below. */
static int check_path(const struct index *index, struct node *node, uint64_t word,
                      const char **ret_what)
{
    struct index_key key;
    uint64_t leaf = node_some_leaf(index->arena, word);
    int rc = index->source.load(index->source.context, leaf_address(index->arena, leaf), &key);
    if (rc < 0) {
        return rc;
    }
    if (key.size < word_depth(word) ||
        node_tail_of(key.data, word_depth(word)) !=
            atomic_load_explicit(&node->tail, memory_order_relaxed)) {
        *ret_what = "the tail of a node is not the way to it";
        return -EBADMSG;
    }
    return 0;
}

/* What a leaf says of its key is so. */
static int check_leaf(const struct index *index, uint64_t leaf, uint32_t next,
                      const char **ret_what)
{
    struct index_key key;
    uint64_t address = leaf_address(index->arena, leaf);
    int rc = index->source.load(index->source.context, address, &key);
    if (rc == 0 && leaf_parts(index->arena, leaf, key, next)) {
        *ret_what = "a leaf knows a byte that its key does not have";
        rc = -EBADMSG;
    }
    return rc;
}

static int check_node(const struct index *index, uint64_t word, struct stack *stack,
                      const char **ret_what)
{
    struct node_entry entries[NODE_ENTRIES_MAX];
    struct node *node = node_at(index->arena, word);
    uint64_t used = atomic_load_explicit(&index->arena->used, memory_order_relaxed);
    if (word_offset(word) >= used ||
        arena_class_bytes[word_class(word)] > used - word_offset(word)) {
        *ret_what = "a node lies outside of the arena";
        return -EBADMSG;
    }
    unsigned count = node_collect(node, word, entries);
    *ret_what = check_entries(node, word, entries, count);
    if (*ret_what != NULL) {
        return -EBADMSG;
    }
    int rc = check_path(index, node, word, ret_what);
    for (unsigned entry = 0; entry < count && rc == 0; entry++) {
        rc = word_is_leaf(entries[entry].word)
                 ? check_leaf(index, entries[entry].word, word_depth(word) + 1, ret_what)
                 : push(stack, entries[entry].word);
    }
    return rc;
}

static int check_nodes(struct index *index, const char **ret_what)
{
    struct stack stack = {0};
    uint64_t root = atomic_load_explicit(&index->root, memory_order_acquire);
    int rc = 0;
    if (root != 0) {
        rc = word_is_leaf(root) ? check_leaf(index, root, 0, ret_what) : push(&stack, root);
    }
    while (rc == 0 && stack.count != 0) {
        rc = check_node(index, stack.words[--stack.count], &stack, ret_what);
    }
    base_free(stack.words);
    return rc;
}

static int compare_keys(struct index_key left, struct index_key right)
{
    uint32_t common = key_common(left, right, 0);
    if (common == left.size || common == right.size) {
        return (left.size > right.size) - (left.size < right.size);
    }
    return left.data[common] < right.data[common] ? -1 : 1;
}

static int check_key(struct index *index, struct index_key before, bool first, uint64_t address,
                     struct index_key *ret_key, const char **ret_what)
{
    uint64_t found;
    int rc = index->source.load(index->source.context, address, ret_key);
    if (rc < 0) {
        return rc;
    }
    if (!first && compare_keys(before, *ret_key) >= 0) {
        *ret_what = "two keys are not in order";
        return -EBADMSG;
    }
    rc = index_find(index, *ret_key, &found);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 || found != address) {
        *ret_what = "a key is not found at its address";
        return -EBADMSG;
    }
    return 0;
}

static int check_order(struct index *index, const char **ret_what)
{
    struct index_iterator iterator;
    uint64_t addresses[64];
    uint64_t keys = 0;
    struct index_key before = {0};
    index_iterator_init(&iterator, index);
    int rc = index_seek(&iterator, before, INDEX_FIRST);
    int count = 0;
    while (rc == 0 && (count = index_next_batch(&iterator, addresses, 64)) > 0) {
        for (int place = 0; place < count && rc == 0; place++) {
            struct index_key key;
            rc = check_key(index, before, keys == 0, addresses[place], &key, ret_what);
            before = key;
            keys++;
        }
    }
    rc = rc == 0 ? count : rc;
    if (rc == 0 && keys != index_keys(index)) {
        *ret_what = "the number of keys is wrong";
        rc = -EBADMSG;
    }
    return rc;
}

int index_check(struct index *index, const char **ret_what)
{
    *ret_what = NULL;
    int rc = check_nodes(index, ret_what);
    return rc == 0 ? check_order(index, ret_what) : rc;
}
