/*
 * What a writer calls when its record is durable.
 *
 * Happy path: a write that waited for durability looks whether there is a function; it counts
 * itself in, looks again, calls it, and counts itself out.
 *
 * Taking the function away: first nobody finds it any more, then the count has to be 0. A writer
 * counts itself in before it looks, so one of the two sees the other.
 *
 * Failure modes: there is one already (-EBUSY); it is taken away from within (-EDEADLK).
 *
 * Invariants: the context belongs to the function that is found beside it; no lock is held while
 * it is called.
 */
#include "engine/write.h"

#include <errno.h>
#include <limits.h>

static _Thread_local const struct weir_engine *calling; /* this thread is inside */

void after_write_call(struct weir_engine *engine, weir_lsn lsn)
{
    struct engine_after_write *self = &engine->after_write;
    atomic_fetch_add_explicit(&self->running, 1, memory_order_seq_cst);
    weir_after_write_fn fn = atomic_load_explicit(&self->fn, memory_order_seq_cst);
    if (fn != NULL) {
        const struct weir_engine *outer = calling;
        calling = engine;
        fn(self->context, lsn);
        calling = outer;
    }
    atomic_fetch_sub_explicit(&self->running, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&self->fn, memory_order_seq_cst) == NULL) {
        base_wake(&self->running, INT_MAX, false);
    }
}

static void take_away(struct engine_after_write *self)
{
    uint32_t running;
    atomic_store_explicit(&self->fn, NULL, memory_order_seq_cst);
    while ((running = atomic_load_explicit(&self->running, memory_order_seq_cst)) > 0) {
        (void)base_wait(&self->running, running, -1, false);
    }
}

int weir_engine_after_write(struct weir_engine *engine, weir_after_write_fn fn, void *context)
{
    if (engine == NULL) {
        return -EINVAL;
    }
    int rc = engine_check(engine);
    if (rc < 0) {
        return rc;
    }
    if (calling == engine) {
        return -EDEADLK;
    }
    struct engine_after_write *self = &engine->after_write;
    base_lock_acquire(&self->lock);
    if (fn == NULL) {
        take_away(self);
    } else if (atomic_load_explicit(&self->fn, memory_order_relaxed) != NULL) {
        rc = -EBUSY;
    } else {
        self->context = context;
        atomic_store_explicit(&self->fn, fn, memory_order_seq_cst);
    }
    base_lock_release(&self->lock);
    return rc;
}
