/*
 * Finding a shortcut, inline: what a get does first. See lookup.h for why it is so short.
 */
#ifndef ENGINE_SHORTCUT_FIND_H
#define ENGINE_SHORTCUT_FIND_H

#include "base/match.h"
#include "engine/shortcut.h"

#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

#define SHORTCUT_HASH_SEED UINT64_C(0x9fb21c651e98df25)

/* Keys that are a number are many, and random enough by one multiplication whose halves are put
 * together. */
static inline uint64_t shortcut_hash(const void *key, size_t size)
{
    if (size != sizeof(uint64_t)) {
        return XXH3_64bits(key, size);
    }
    uint64_t number;
    memcpy(&number, key, sizeof number);
    return XXH3_mul128_fold64(number ^ SHORTCUT_HASH_SEED, XXH_PRIME64_1);
}

static inline struct shortcut_line *shortcut_line_of(const struct shortcut_map *map, uint64_t hash)
{
    return &map->lines[(hash >> 32) * map->count >> 32];
}

static inline unsigned shortcut_tag(uint64_t hash)
{
    return hash & 0xff;
}

/* Where a key may lie; 0: the index knows. In a section, which began before the map was loaded. */
static inline uint32_t shortcut_find(const struct shortcut_map *map, uint64_t hash)
{
    struct shortcut_line *line = shortcut_line_of(map, hash);
    /* Acquire pairs with the release of who put the spot there. A line that is locked may lead
     * where the index does not lead any more. */
    bool locked = atomic_load_explicit(&line->lock.state, memory_order_acquire) != BASE_LOCK_FREE;
    uint32_t equal = base_match_16(line->head, shortcut_tag(hash)) >> sizeof line->lock;
    if (__builtin_expect(locked || equal == 0, 0)) {
        return 0;
    }
    /* Acquire pairs with the release in set_place(): the segment that it lies in is known. */
    return atomic_load_explicit(&line->spots[__builtin_ctz(equal)], memory_order_acquire);
}

#endif
