/*
 * Sleeping on a futex word, and the slow half of base_lock.
 *
 * A contended lock: spin a little while the holder runs on another CPU, then mark the word
 * contended and sleep; release sees the mark and wakes one. Who comes out of the slow path leaves
 * the mark in place, since it cannot know whether it was the last sleeper: at worst one wake too
 * many.
 *
 * Failure modes: none for the caller. A futex call that fails in a way the manual does not allow
 * here would mean that a waiter is lost, so it asserts.
 */
#include "base/sync.h"

#include "base/system.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_LIMIT 60
#define NS_PER_S INT64_C(1000000000)

_Static_assert(sizeof(_Atomic uint32_t) == 4, "a futex word is four bytes");

static long futex(_Atomic uint32_t *word, int operation, bool shared, uint32_t value,
                  const struct timespec *timeout)
{
    int private_flag = shared ? 0 : FUTEX_PRIVATE_FLAG;
    return syscall(SYS_futex, word, operation | private_flag, value, timeout, NULL, 0);
}

static int waited(long rc)
{
    if (rc == 0) {
        return 0;
    }
    switch (errno) {
    case EAGAIN: /* the value differs already */
    case EINTR:
        return 0;
    case ETIMEDOUT:
        return -ETIMEDOUT;
    default:
        WEIR_UNREACHABLE();
    }
}

static int futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns, bool shared)
{
    struct timespec timeout = {.tv_sec = timeout_ns / NS_PER_S, .tv_nsec = timeout_ns % NS_PER_S};
    return waited(futex(word, FUTEX_WAIT, shared, expected, timeout_ns < 0 ? NULL : &timeout));
}

int base_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns, bool shared)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(wait);
    if (system != NULL) {
        return system->wait(system->context, word, expected, timeout_ns, shared);
    }
    return futex_wait(word, expected, timeout_ns, shared);
}

void base_wake(_Atomic uint32_t *word, int count, bool shared)
{
    WEIR_ASSERT(count > 0);
    const struct base_system *system = BASE_SYSTEM_HOOK(wake);
    if (system != NULL) {
        system->wake(system->context, word, count, shared);
        return;
    }
    /*
     * The owner of the word may free it as soon as the waiter saw the new value: a wake of memory
     * that is gone returns EFAULT and hurts nobody.
     */
    (void)futex(word, FUTEX_WAKE, shared, (uint32_t)count, NULL);
}

/* A wait in a set takes the moment at which it ends. */
static void deadline_behind(int64_t timeout_ns, struct timespec *ret_deadline)
{
    struct timespec now;
    int rc = clock_gettime(CLOCK_MONOTONIC, &now);
    WEIR_ASSERT(rc == 0);
    int64_t most = INT64_MAX / 2; /* as good as for ever, and a sum does not overflow */
    int64_t end = (timeout_ns < most ? timeout_ns : most) + now.tv_nsec;
    ret_deadline->tv_sec = now.tv_sec + end / NS_PER_S;
    ret_deadline->tv_nsec = end % NS_PER_S;
}

int base_wait_in_set(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns, uint32_t sets)
{
    WEIR_ASSERT(sets != 0);
    const struct base_system *system = BASE_SYSTEM_HOOK(wait);
    if (system != NULL) {
        return system->wait(system->context, word, expected, timeout_ns, false);
    }
    struct timespec deadline;
    if (timeout_ns >= 0) {
        deadline_behind(timeout_ns, &deadline);
    }
    return waited(syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                          timeout_ns < 0 ? NULL : &deadline, NULL, sets));
}

void base_wake_sets(_Atomic uint32_t *word, uint32_t sets)
{
    WEIR_ASSERT(sets != 0);
    const struct base_system *system = BASE_SYSTEM_HOOK(wake);
    if (system != NULL) {
        system->wake(system->context, word, INT_MAX, false);
        return;
    }
    (void)syscall(SYS_futex, word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL,
                  sets);
}

void base_yield(void)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(yield);
    if (system != NULL) {
        system->yield(system->context);
    } else {
        sched_yield();
    }
}

unsigned base_cpu_count(void)
{
    static _Atomic unsigned cached;
    unsigned count = atomic_load_explicit(&cached, memory_order_relaxed);
    if (count == 0) {
        cpu_set_t cpus;
        count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 0;
        if (count == 0) {
            long online = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than cpu_set_t holds */
            count = online > 0 ? (unsigned)online : 1;
        }
        atomic_store_explicit(&cached, count, memory_order_relaxed);
    }
    return count;
}

/* On one CPU the holder cannot make progress while we spin; under a simulated scheduler nobody can.
 */
static bool spinning_may_help(void)
{
    return base_system_current == NULL && base_cpu_count() > 1;
}

static bool spin_for_lock(struct base_lock *lock)
{
    for (int turn = 0; turn < SPIN_LIMIT; turn++) {
        base_cpu_relax();
        if (!base_lock_is_held(lock) && base_lock_try(lock)) {
            return true;
        }
    }
    return false;
}

void base_lock_acquire_slowly(struct base_lock *lock)
{
    if (spinning_may_help() && spin_for_lock(lock)) {
        return;
    }
    /* Acquire pairs with the release in base_lock_release. */
    while (atomic_exchange_explicit(&lock->state, BASE_LOCK_CONTENDED, memory_order_acquire) !=
           BASE_LOCK_FREE) {
        (void)base_wait(&lock->state, BASE_LOCK_CONTENDED, -1, false);
    }
}

void base_lock_wake(struct base_lock *lock)
{
    base_wake(&lock->state, 1, false);
}
