/*
 * Bulk build: keys in strictly ascending order, each once; every node is made once, of the right
 * size. Several threads build ranges of one tree in one arena, each with its own builder, and join
 * the results.
 *
 *     index_builder_init(&builder, &arena);
 *     while (...) index_builder_add(&builder, key, address);
 *     index_builder_finish(&builder, &root, &keys);
 *     index_join(&arena, &source, left, root, &whole);
 *     index_adopt(&index, whole, keys);
 */
#ifndef ENGINE_INDEX_BUILD_H
#define ENGINE_INDEX_BUILD_H

#include "engine/arena.h"
#include "engine/index.h"

/* A node on the path of the last key, to which entries are still added. */
struct builder_level {
    uint32_t depth;
    uint32_t first; /* its entries are entries[first] and on, up to those of the next level */
};

struct node_entry; /* engine/node.h */

struct index_builder {
    struct engine_arena *arena;
    struct arena_region region;
    uint64_t keys;
    uint64_t pending; /* the leaf or node of the last key, not in an entry yet */
    uint8_t *last;    /* the last key */
    uint32_t last_size;
    uint32_t last_capacity;
    struct builder_level *levels;
    uint32_t level_count;
    uint32_t level_capacity;
    struct node_entry *entries;
    uint32_t entry_count;
    uint32_t entry_capacity;
};

/* Returns 0. Memory is taken as keys come. */
int index_builder_init(struct index_builder *builder, struct engine_arena *arena);

/*
 * The key is copied. 0, -EINVAL (not greater than the one before, or too long), or -ENOMEM; after
 * an error only index_builder_abort() is allowed.
 */
int index_builder_add(struct index_builder *builder, struct index_key key, uint64_t address);

/* 0 or -ENOMEM. The builder is gone in either case; no root (0) without keys. */
int index_builder_finish(struct index_builder *builder, uint64_t *ret_root, uint64_t *ret_keys);

/* Frees the builder and what it has built. */
void index_builder_abort(struct index_builder *builder);

/*
 * Joins two trees of one arena; all keys of `left` are less than all keys of `right`. Touches only
 * the nodes along the seam. Nobody reads either of them. 0; -EINVAL when the keys at the seam are
 * not in order (nothing has changed); what load() returned, or -ENOMEM: then neither is of use.
 */
int index_join(struct engine_arena *arena, const struct index_source *source, uint64_t left,
               uint64_t right, uint64_t *ret_root);

#endif
