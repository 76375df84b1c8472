/*
 * A biased lock.
 *
 * Happy path of the owner: say that it is inside, see that it still is the owner, go in; say that
 * it is outside. Of anybody else: take the lock, find an owner, take its right away, wait until it
 * is outside.
 *
 * The owner's store and its look are not ordered by a fence, which is the whole gain. In its place
 * whoever revokes makes every thread of the process pass one (base_barrier_all): an owner that had
 * looked before it is seen inside behind it, one that looks later sees that it is the owner no
 * more. That takes a few microseconds. So a thread becomes the owner only after many turns in a
 * row, and after twice as many each time that the bias was taken away.
 *
 * Leaders do not hold the lock while they work; leader_try() revokes behind taking the baton, and
 * nobody is made the owner but by a leader.
 *
 * Failure modes: no membarrier(): there is never an owner. The owner is not running: who revokes
 * yields and naps; the owner makes no system call inside.
 *
 * Invariant: the owner never enters the lock's slow way while it is inside.
 */
#include "wal/tail_lock.h"

#include "base/assert.h"
#include "wal/log.h"

#define TURNS_FIRST 128u
#define TURNS_MOST 65536u
#define YIELDS_BEFORE_NAP 64u
#define NAP_NS INT64_C(50000)

_Thread_local char tail_thread_mark;

void tail_lock_init(struct wal_tail_lock *lock, bool biased)
{
    lock->turns_wanted = biased && base_barrier_register() == 0 ? TURNS_FIRST : 0;
}

static uint64_t owner_of(const struct wal_tail_lock *lock)
{
    return atomic_load_explicit(&lock->owner, memory_order_relaxed);
}

static void wait_until_outside(struct wal_tail_lock *lock)
{
    _Atomic uint32_t nothing = 0; /* that anybody would wake */
    /* Acquire pairs with the release in tail_leave(): what the owner did is seen. */
    for (unsigned turn = 0; atomic_load_explicit(&lock->inside, memory_order_acquire) != 0;
         turn++) {
        if (turn < YIELDS_BEFORE_NAP) {
            base_yield();
        } else {
            base_wait(&nothing, 0, NAP_NS, false);
        }
    }
}

/* The caller holds the lock. */
static void revoke(struct wal_tail_lock *lock)
{
    bool mine = owner_of(lock) == tail_thread();
    atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
    lock->turns = 0;
    if (mine) {
        return; /* it is not inside, or it would not be here */
    }
    lock->turns_wanted = lock->turns_wanted < TURNS_MOST ? 2 * lock->turns_wanted : TURNS_MOST;
    base_barrier_all();
    wait_until_outside(lock);
}

static void revoke_if_owned(struct wal_tail_lock *lock)
{
    if (__builtin_expect(owner_of(lock) != 0, 0)) {
        revoke(lock);
    }
}

void tail_acquire(struct weir_log *log)
{
    base_lock_acquire(&log->tail.lock.lock);
    revoke_if_owned(&log->tail.lock);
}

void tail_acquire_in_turns(struct weir_log *log)
{
    base_lock_acquire_in_turns(&log->tail.lock.lock);
    revoke_if_owned(&log->tail.lock);
}

void tail_release(struct weir_log *log)
{
    base_lock_release(&log->tail.lock.lock);
}

bool tail_is_owned(const struct weir_log *log)
{
    /* In one order with the store in tail_consider(), and with what the caller has counted. */
    return atomic_load_explicit(&log->tail.lock.owner, memory_order_seq_cst) != 0;
}

void tail_revoke(struct weir_log *log)
{
    if (__builtin_expect(tail_is_owned(log), 0)) {
        tail_acquire(log);
        tail_release(log);
    }
}

void tail_consider(struct weir_log *log)
{
    struct wal_tail_lock *lock = &log->tail.lock;
    uint64_t self = tail_thread();
    lock->turns = lock->last == self ? lock->turns + 1 : 1;
    lock->last = self;
    if (lock->turns_wanted != 0 && lock->turns >= lock->turns_wanted) {
        atomic_store_explicit(&lock->owner, self, memory_order_seq_cst);
    }
}
