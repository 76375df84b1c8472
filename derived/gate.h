/*
 * A lock that people wait for who come once, beside one who comes again and again.
 *
 *     host_gate_enter(&gate);          a reader: waits for its turn
 *     host_gate_enter_politely(&gate); an applier, batch after batch: lets those in first who wait
 *     ...
 *     host_gate_leave(&gate);
 *
 * All zero when free. Not recursive; any thread may leave for the one that entered.
 */
#ifndef DERIVED_GATE_H
#define DERIVED_GATE_H

#include "base/sync.h"

#include <limits.h>

struct host_gate {
    struct base_lock lock;
    _Atomic uint32_t waiting; /* those who would like to enter */
    _Atomic uint32_t turns;   /* how often somebody left */
    _Atomic uint32_t polite;  /* those who sleep on turns */
};

static inline void host_gate_enter(struct host_gate *gate)
{
    atomic_fetch_add_explicit(&gate->waiting, 1, memory_order_relaxed);
    base_lock_acquire(&gate->lock);
    atomic_fetch_sub_explicit(&gate->waiting, 1, memory_order_relaxed);
}

/* Sleeps a millisecond at most: being polite is a favour, not a promise. */
static inline void host_gate_enter_politely(struct host_gate *gate)
{
    uint32_t turns = atomic_load_explicit(&gate->turns, memory_order_acquire);
    if (atomic_load_explicit(&gate->waiting, memory_order_relaxed) > 0) {
        atomic_fetch_add_explicit(&gate->polite, 1, memory_order_seq_cst);
        base_wait(&gate->turns, turns, INT64_C(1000000), false);
        atomic_fetch_sub_explicit(&gate->polite, 1, memory_order_relaxed);
    }
    base_lock_acquire(&gate->lock);
}

static inline void host_gate_leave(struct host_gate *gate)
{
    base_lock_release(&gate->lock);
    atomic_fetch_add_explicit(&gate->turns, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&gate->polite, memory_order_seq_cst) > 0) {
        base_wake(&gate->turns, INT_MAX, false);
    }
}

#endif
