/*
 * Waiting: a futex word, a four-byte lock, yield and relax. All that sleeps goes through
 * base_system when it replaces wait, wake and yield, so that a deterministic scheduler owns every
 * switch.
 *
 *     base_lock_acquire(&log->reserve);
 *     ...a few instructions...
 *     base_lock_release(&log->reserve);
 *
 * Words may lie in memory shared between processes: pass `shared` then. A base_lock is for one
 * process only, is not recursive, and is all zero when free.
 */
#ifndef BASE_SYNC_H
#define BASE_SYNC_H

#include "base/assert.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sleeps while *word == expected, until woken or timed out.
 *
 * @param timeout_ns  relative; < 0 waits for ever; 0 only looks.
 * Returns 0 (woken, the value differs, a signal, or no reason at all: look again) or -ETIMEDOUT.
 */
int base_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns, bool shared);

/* Wakes up to `count` waiters of this word; INT_MAX for all. */
void base_wake(_Atomic uint32_t *word, int count, bool shared);

/*
 * The same within one process, for many that sleep on one word and are not always all meant: a
 * sleeper says in which of 32 sets it is, a wake which sets it is for. It is one system call,
 * however many wake up. Sets only save wake-ups: who is not meant may be woken all the same.
 */
int base_wait_in_set(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns, uint32_t sets);
void base_wake_sets(_Atomic uint32_t *word, uint32_t sets);

/* Lets another runnable thread go first. */
void base_yield(void);

/* CPUs that this process may run on, read once. */
unsigned base_cpu_count(void);

/* One turn of a spin loop. */
static inline void base_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

enum base_lock_state {
    BASE_LOCK_FREE = 0,
    BASE_LOCK_HELD = 1,
    BASE_LOCK_CONTENDED = 2, /* held, and somebody may sleep */
};

struct base_lock {
    _Atomic uint32_t state;
};

void base_lock_acquire_slowly(struct base_lock *lock);
void base_lock_wake(struct base_lock *lock);

static inline bool base_lock_try(struct base_lock *lock)
{
    uint32_t expected = BASE_LOCK_FREE;
    /* Acquire pairs with the release in base_lock_release. */
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, BASE_LOCK_HELD,
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline void base_lock_acquire(struct base_lock *lock)
{
    if (__builtin_expect(!base_lock_try(lock), 0)) {
        base_lock_acquire_slowly(lock);
    }
}

static inline void base_lock_release(struct base_lock *lock)
{
    /* Release pairs with the acquire in base_lock_try and base_lock_acquire_slowly. */
    uint32_t before = atomic_exchange_explicit(&lock->state, BASE_LOCK_FREE, memory_order_release);
    WEIR_ASSERT(before != BASE_LOCK_FREE);
    if (__builtin_expect(before == BASE_LOCK_CONTENDED, 0)) {
        base_lock_wake(lock);
    }
}

/* For assertions only: held by somebody, not necessarily by the caller. */
static inline bool base_lock_is_held(struct base_lock *lock)
{
    return atomic_load_explicit(&lock->state, memory_order_relaxed) != BASE_LOCK_FREE;
}

#endif
