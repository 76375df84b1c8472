/*
 * The lock of the tail, and its bias: a thread that appends alone, again and again, enters without
 * a locked instruction, until somebody else wants in. Locked instructions wait for the fence of the
 * append before; without them the next one is prepared behind it.
 *
 *     tail_acquire(log); ...reserve, close, look... tail_release(log);      anybody
 *     if (tail_enter(log)) { ...one group... tail_leave(log); }             write_through.c only
 *
 * Who sleeps until the tail or durable moves, and is not told of it by a leader, counts itself
 * first and then revokes the bias, so that the owner goes by way of the lock again and looks whom
 * to wake.
 */
#ifndef WAL_TAIL_LOCK_H
#define WAL_TAIL_LOCK_H

#include "base/sync.h"

struct weir_log;

struct wal_tail_lock {
    struct base_lock lock;
    _Atomic uint32_t inside; /* the owner is, without the lock */
    _Atomic uint64_t owner; /* tail_thread() of who may enter; 0: nobody. Changes under lock only */
    uint64_t last;          /* tail_thread() of who has written through last, */
    uint32_t turns;         /* so often in a row, */
    uint32_t turns_wanted;  /* of so many before it is made the owner; 0: nobody ever is */
};

/* Tells the threads of this process apart that are alive: its address does. */
extern _Thread_local char tail_thread_mark __attribute__((tls_model("initial-exec")));

static inline uint64_t tail_thread(void)
{
    return (uint64_t)(uintptr_t)&tail_thread_mark;
}

/* Once, at open: may a thread be made the owner? */
void tail_lock_init(struct wal_tail_lock *lock, bool biased);

/* Revokes the bias, too, and waits until the owner is outside. */
void tail_acquire(struct weir_log *log);
void tail_acquire_in_turns(struct weir_log *log);
void tail_release(struct weir_log *log);

/* By who has just counted itself: nobody owns the tail that has not seen that. */
void tail_revoke(struct weir_log *log);

static inline void tail_leave(struct wal_tail_lock *lock)
{
    /* Release pairs with the acquire in wait_until_outside(). */
    atomic_store_explicit(&lock->inside, 0, memory_order_release);
}

/* True: the caller is inside, alone, and nobody becomes leader meanwhile. */
static inline bool tail_enter(struct wal_tail_lock *lock)
{
    uint64_t self = tail_thread();
    if (atomic_load_explicit(&lock->owner, memory_order_relaxed) != self) {
        return false;
    }
    atomic_store_explicit(&lock->inside, 1, memory_order_relaxed);
    /* The processor may turn these two around: see the top of tail_lock.c. */
    atomic_signal_fence(memory_order_seq_cst);
    bool owner = atomic_load_explicit(&lock->owner, memory_order_relaxed) == self;
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(!owner, 0)) {
        tail_leave(lock);
    }
    return owner;
}

/* By the holder of the lock, who leads and has written through: may make it the owner. Then it
 * looks once more, behind the lock, whether somebody has counted itself, and revokes. */
void tail_consider(struct weir_log *log);

bool tail_is_owned(const struct weir_log *log);

#endif
