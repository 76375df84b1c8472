/* Window memory that was used before: the first touch of 64 MiB costs 10 to 20 ms, reuse nothing.
 *
 * Threads: any. The content of what take() returns is undefined.
 */
#ifndef IOURING_WINDOW_POOL_H
#define IOURING_WINDOW_POOL_H

#include "base/sync.h"

#include <stddef.h>
#include <stdint.h>

#define WINDOW_POOL_SLOTS 64

struct window_pool {
    struct base_lock lock;
    size_t limit_bytes; /* what is given back beyond this is freed */
    size_t held_bytes;
    unsigned count;
    struct {
        uint8_t *base;
        size_t size_bytes;
    } slots[WINDOW_POOL_SLOTS];
};

/* Memory of exactly this size, from the pool or new; NULL when there is none. */
uint8_t *window_pool_take(struct window_pool *pool, size_t size_bytes);

/* @param base  from window_pool_take, still anonymous and writable. */
void window_pool_give(struct window_pool *pool, uint8_t *base, size_t size_bytes);

/* Frees what take() returned and something else now lies in its place. */
void window_pool_drop(uint8_t *base, size_t size_bytes);

/* Frees all that is held. */
void window_pool_destroy(struct window_pool *pool);

#endif
