/*
 * Bulk build: a tree from keys in ascending order.
 *
 * The happy path:
 *   - The nodes on the way to the last key are open, as levels with the entries that they have so
 *     far. The last key itself is pending: how deep it hangs is known when the next one comes.
 *   - index_builder_add() finds where the key parts from the last one, closes all deeper levels
 *     into nodes of the right size, and hangs the result into the level of that depth.
 *   - index_builder_finish() closes the rest.
 *
 * Failure modes:
 *   - A key that is not greater than the last: -EINVAL. An address that leaves cannot hold: -EFBIG.
 *     No memory: -ENOMEM. The builder can only be
 *     aborted then, which frees what it has built.
 *
 * Invariants:
 *   - Levels are of ascending depth, and what they hold is in ascending order of bytes, the key
 *     that ends at the level first.
 *   - Nothing that is built can be reached by others before finish.
 */
#include "engine/index_build.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "engine/leaf.h"
#include "engine/node.h"

#include <errno.h>
#include <string.h>

int index_builder_init(struct index_builder *builder, struct engine_arena *arena)
{
    memset(builder, 0, sizeof *builder);
    builder->arena = arena;
    return 0;
}

/* Makes room for one more of what a table holds. */
static __attribute__((noinline)) int extend(void **table, uint32_t count, uint32_t *capacity,
                                            size_t size)
{
    uint32_t larger = *capacity != 0 ? *capacity * 2 : 64;
    void *copy = base_alloc_array(larger, size);
    if (copy == NULL) {
        return -ENOMEM;
    }
    if (count != 0) {
        memcpy(copy, *table, count * size);
    }
    base_free(*table);
    *table = copy;
    *capacity = larger;
    return 0;
}

static int push_level(struct index_builder *builder, uint32_t depth)
{
    int rc = 0;
    if (builder->level_count == builder->level_capacity) {
        void *table = builder->levels;
        rc =
            extend(&table, builder->level_count, &builder->level_capacity, sizeof *builder->levels);
        builder->levels = table;
    }
    if (rc == 0) {
        builder->levels[builder->level_count++] =
            (struct builder_level){.depth = depth, .first = builder->entry_count};
    }
    return rc;
}

/* Hangs what is pending into the deepest level. */
static int push_pending(struct index_builder *builder)
{
    int rc = 0;
    if (builder->entry_count == builder->entry_capacity) {
        void *table = builder->entries;
        rc = extend(&table, builder->entry_count, &builder->entry_capacity,
                    sizeof *builder->entries);
        builder->entries = table;
    }
    if (rc == 0) {
        uint32_t depth = builder->levels[builder->level_count - 1].depth;
        uint32_t byte = depth == builder->last_size ? NODE_END : builder->last[depth];
        uint64_t word = builder->pending;
        if (word_is_leaf(word)) {
            struct index_key key = {builder->last, builder->last_size};
            word = leaf_make(builder->arena, leaf_address(builder->arena, word), key, depth + 1);
        }
        builder->entries[builder->entry_count++] = (struct node_entry){.word = word, .byte = byte};
    }
    return rc;
}

/* Makes a node of the deepest level, which is then pending. */
static int close_level(struct index_builder *builder)
{
    int rc = push_pending(builder);
    if (rc < 0) {
        return rc;
    }
    const struct builder_level *level = &builder->levels[builder->level_count - 1];
    uint64_t word = node_make(builder->arena, &builder->region, &builder->entries[level->first],
                              builder->entry_count - level->first, level->depth,
                              node_tail_of(builder->last, level->depth));
    if (word == 0) {
        builder->entry_count--; /* it stays pending, so that abort frees it once */
        return -ENOMEM;
    }
    builder->pending = word;
    builder->entry_count = level->first;
    builder->level_count--;
    return 0;
}

/* Puts what is pending where a key hangs that parts from the last one at `common`. */
static int settle(struct index_builder *builder, uint32_t common)
{
    int rc = 0;
    while (rc == 0 && builder->level_count != 0 &&
           builder->levels[builder->level_count - 1].depth > common) {
        rc = close_level(builder);
    }
    if (rc == 0 &&
        (builder->level_count == 0 || builder->levels[builder->level_count - 1].depth < common)) {
        rc = push_level(builder, common);
    }
    return rc == 0 ? push_pending(builder) : rc;
}

static int remember(struct index_builder *builder, struct index_key key, uint32_t common)
{
    if (key.size > builder->last_capacity) {
        uint32_t capacity = key.size < 256 ? 256 : key.size;
        uint8_t *last = base_alloc(capacity);
        if (last == NULL) {
            return -ENOMEM;
        }
        if (common != 0) {
            memcpy(last, builder->last, common);
        }
        base_free(builder->last);
        builder->last = last;
        builder->last_capacity = capacity;
    }
    if (key.size > common) {
        memcpy(builder->last + common, key.data + common, key.size - common);
    }
    builder->last_size = key.size;
    return 0;
}

int index_builder_add(struct index_builder *builder, struct index_key key, uint64_t address)
{
    WEIR_ASSERT(address != 0 && address % 8 == 0 && address <= INDEX_ADDRESS_MAX);
    if (key.size > INDEX_KEY_SIZE_MAX) {
        return -EINVAL;
    }
    if (!leaf_can_hold(builder->arena, address)) {
        return -EFBIG;
    }
    uint32_t common = 0;
    if (builder->keys != 0) {
        struct index_key last = {.data = builder->last, .size = builder->last_size};
        common = key_common(last, key, 0);
        if (common == key.size || (common < last.size && last.data[common] > key.data[common])) {
            return -EINVAL;
        }
        int rc = settle(builder, common);
        if (rc < 0) {
            return rc;
        }
        builder->pending = 0;
    }
    int rc = remember(builder, key, common);
    if (rc == 0) {
        builder->pending = word_of_address(address);
        builder->keys++;
    }
    return rc;
}

static void release(struct index_builder *builder)
{
    arena_region_close(builder->arena, &builder->region);
    base_free(builder->last);
    base_free(builder->levels);
    base_free(builder->entries);
    memset(builder, 0, sizeof *builder);
}

int index_builder_finish(struct index_builder *builder, uint64_t *ret_root, uint64_t *ret_keys)
{
    int rc = 0;
    while (rc == 0 && builder->level_count != 0) {
        rc = close_level(builder);
    }
    if (rc < 0) {
        index_builder_abort(builder);
        return rc;
    }
    *ret_root = builder->pending;
    *ret_keys = builder->keys;
    release(builder);
    return 0;
}

static void drop(struct engine_arena *arena, uint64_t root)
{
    struct index index = {.arena = arena};
    atomic_store_explicit(&index.root, root, memory_order_relaxed);
    index_drop(&index);
}

void index_builder_abort(struct index_builder *builder)
{
    drop(builder->arena, builder->pending);
    for (uint32_t entry = 0; entry < builder->entry_count; entry++) {
        drop(builder->arena, builder->entries[entry].word);
    }
    release(builder);
}
