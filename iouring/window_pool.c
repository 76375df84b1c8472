/*
 * A few windows' memory, kept for the next segment.
 *
 * Happy path: take finds one of the same size; give keeps it while the pool is below its limit.
 * Failure modes: no memory, then take returns NULL. Nothing else can fail.
 * Invariants: held_bytes is the sum of the slots; the slots [0, count) are in use.
 */
#include "iouring/window_pool.h"

#include "base/alloc.h"

static uint8_t *take_slot(struct window_pool *pool, size_t size_bytes)
{
    for (unsigned i = pool->count; i-- > 0;) { /* the latest first: its pages are warm */
        if (pool->slots[i].size_bytes == size_bytes) {
            uint8_t *base = pool->slots[i].base;
            pool->slots[i] = pool->slots[--pool->count];
            pool->held_bytes -= size_bytes;
            return base;
        }
    }
    return NULL;
}

uint8_t *window_pool_take(struct window_pool *pool, size_t size_bytes)
{
    base_lock_acquire(&pool->lock);
    uint8_t *base = take_slot(pool, size_bytes);
    base_lock_release(&pool->lock);
    /* Not populated: a small log must not cost a whole window of memory. */
    return base != NULL ? base : base_pages_alloc(size_bytes, BASE_PAGES_HUGE);
}

void window_pool_give(struct window_pool *pool, uint8_t *base, size_t size_bytes)
{
    base_lock_acquire(&pool->lock);
    bool keep =
        pool->count < WINDOW_POOL_SLOTS && size_bytes <= pool->limit_bytes - pool->held_bytes;
    if (keep) {
        pool->slots[pool->count].base = base;
        pool->slots[pool->count].size_bytes = size_bytes;
        pool->count++;
        pool->held_bytes += size_bytes;
    }
    base_lock_release(&pool->lock);
    if (!keep) {
        base_pages_free(base, size_bytes);
    }
}

void window_pool_drop(uint8_t *base, size_t size_bytes)
{
    base_pages_free(base, size_bytes);
}

void window_pool_destroy(struct window_pool *pool)
{
    while (pool->count > 0) {
        pool->count--;
        base_pages_free(pool->slots[pool->count].base, pool->slots[pool->count].size_bytes);
    }
    pool->held_bytes = 0;
}
