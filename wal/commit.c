/*
 * Commit: waiting for durable, and who leads.
 *
 * Happy path of a blocking append: durable is not there yet; nobody leads, so this thread does: it
 * runs rounds (lead.c) until its own record is durable, then hands the baton to a waiter whose
 * record is not, or steps down. If somebody leads, it queues, sleeps at the gate of its group, and
 * wakes up either satisfied or as the new leader.
 *
 * A gate is one word that the waiters of a group sleep on, so that one system call wakes them all,
 * and they are all runnable at once: woken one by one, each on a word of its own, the other CPU
 * went idle between two of them, and each was one more interrupt and two more switches. A waiter
 * has a word of its own all the same, its state, which says whether it was meant.
 *
 * The baton: whoever leaves the queue having been made leader (satisfied by a completion in
 * between, timed out, poisoned) passes it on. No wake-up is lost: a waiter queues first, then tries
 * to lead, then looks at durable and poison once more; a leader moves durable or steps down first
 * and then looks at the queue (all sequentially consistent), so one of the two sees the other. The
 * look at durable matters because a leader may go on for long without another wake: it sleeps while
 * the next group holds an open reservation.
 *
 * Failure modes: a timeout leaves everything as it is; poison wakes everybody.
 */
#include "wal/commit.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/event_fd.h"
#include "wal/reserve.h"
#include "wal/tail.h"

#include <errno.h>
#include <limits.h>

#define GATES (sizeof((struct wal_waiters *)0)->gates / sizeof(_Atomic uint32_t))

#define SPIN_TURNS 64u   /* about as long as a commit to persistent memory takes */
#define YIELD_TURNS 128u /* behind those: the leader is not running, or wakes somebody */

enum waiter_state {
    WAITER_QUEUED = 0,
    WAITER_DONE = 1,
    WAITER_LEADS = 2,
};

struct wal_waiter {
    _Atomic uint32_t state;
    weir_lsn lsn;
    uint64_t address;
    struct wal_waiter *next, *previous;
    uint32_t gate; /* that it sleeps at */
    uint32_t set;  /* one bit: the baton is for one waiter, not for all at its gate */
};

/* Asks for weir_process(), once for each time that it ran. It may be asked for in vain. */
static void call_event_loop(struct weir_log *log)
{
    int fd = atomic_load_explicit(&log->event_fd, memory_order_acquire);
    if (fd >= 0 && atomic_exchange_explicit(&log->commit.called, 1, memory_order_seq_cst) == 0) {
        base_event_fd_signal(fd);
    }
}

void commit_nudge(struct weir_log *log)
{
    atomic_fetch_add_explicit(&log->commit.published_sequence, 1, memory_order_release);
    base_wake(&log->commit.published_sequence, 1, false);
}

/* Behind the first step the group may be sealed, become durable and be used again. */
void commit_published(struct weir_log *log, struct wal_group *group)
{
    atomic_fetch_sub_explicit(&group->open_reservations, 1, memory_order_release);
    commit_nudge(log);
    call_event_loop(log);
}

void log_poison(struct weir_log *log, int error)
{
    int expected = 0;
    atomic_compare_exchange_strong_explicit(&log->poison, &expected, error, memory_order_seq_cst,
                                            memory_order_seq_cst);
    waiters_wake(log);
    commit_nudge(log);
    call_event_loop(log);
    tail_notify(log);
}

/* ---- the queue ---- */

static void enqueue(struct weir_log *log, struct wal_waiter *waiter)
{
    struct wal_waiters *queue = &log->waiters;
    /* The group that is open is most likely its own; a wrong guess costs others a wake-up in vain.
     */
    uint64_t group = atomic_load_explicit(&log->tail.head, memory_order_relaxed);
    waiter->gate = (uint32_t)(group % GATES);
    base_lock_acquire(&queue->lock);
    waiter->previous = queue->last;
    if (queue->last != NULL) {
        queue->last->next = waiter;
    } else {
        queue->first = waiter;
    }
    queue->last = waiter;
    waiter->set = UINT32_C(1) << (queue->queued++ % 32);
    atomic_fetch_add_explicit(&queue->count, 1, memory_order_seq_cst);
    base_lock_release(&queue->lock);
}

/* The caller holds the queue's lock. */
static void unlink_waiter(struct wal_waiters *queue, struct wal_waiter *waiter)
{
    if (waiter->previous != NULL) {
        waiter->previous->next = waiter->next;
    } else {
        queue->first = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->previous = waiter->previous;
    } else {
        queue->last = waiter->previous;
    }
    atomic_fetch_sub_explicit(&queue->count, 1, memory_order_seq_cst);
}

/* Takes it out unless it was taken out already; returns its final state, or QUEUED. */
static enum waiter_state dequeue(struct wal_waiters *queue, struct wal_waiter *waiter)
{
    base_lock_acquire(&queue->lock);
    /* Acquire pairs with the release of whoever called: the waiter's memory is this thread's again.
     */
    enum waiter_state state = atomic_load_explicit(&waiter->state, memory_order_acquire);
    if (state == WAITER_QUEUED) {
        unlink_waiter(queue, waiter);
    }
    base_lock_release(&queue->lock);
    return state;
}

/* Behind the stores of the states, and not with the lock: who is awake appends and queues again. */
static void open_gate(struct wal_waiters *queue, uint32_t gate, uint32_t sets)
{
    /* Release pairs with the acquire in sleep_until_called(): who sees this sees its state; who
     * does not is woken, or finds that the word has moved and does not sleep. */
    atomic_fetch_add_explicit(&queue->gates[gate], 1, memory_order_release);
    base_wake_sets(&queue->gates[gate], sets);
}

/* Takes the satisfied ones out. Returns how many, and their sets at each gate. */
static uint32_t choose(struct weir_log *log, uint32_t ret_sets[GATES])
{
    struct wal_waiters *queue = &log->waiters;
    uint32_t chosen = 0;
    bool all = log_is_poisoned(log);
    base_lock_acquire(&queue->lock);
    for (struct wal_waiter *waiter = queue->first, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (all || commit_reached(log, waiter->lsn, waiter->address)) {
            unlink_waiter(queue, waiter);
            ret_sets[waiter->gate] |= waiter->set;
            chosen++;
            /* Release pairs with the acquire in sleep_until_called() and dequeue(): its memory is
             * its own again, and may be gone at once. */
            atomic_store_explicit(&waiter->state, WAITER_DONE, memory_order_release);
        }
    }
    base_lock_release(&queue->lock);
    return chosen;
}

uint32_t waiters_wake(struct weir_log *log)
{
    if (atomic_load_explicit(&log->waiters.count, memory_order_seq_cst) == 0) {
        return 0;
    }
    uint32_t sets[GATES] = {0};
    uint32_t woken = choose(log, sets);
    for (uint32_t gate = 0; gate < GATES; gate++) {
        if (sets[gate] != 0) {
            open_gate(&log->waiters, gate, sets[gate]);
        }
    }
    return woken;
}

/* ---- leadership ---- */

bool leader_try(struct weir_log *log)
{
    uint32_t expected = 0;
    /* Acquire pairs with the release in leader_leave(): the pipeline's fields are this thread's. */
    return atomic_compare_exchange_strong_explicit(&log->commit.leading, &expected, 1,
                                                   memory_order_seq_cst, memory_order_seq_cst);
}

static bool pass_baton(struct weir_log *log)
{
    struct wal_waiters *queue = &log->waiters;
    if (atomic_load_explicit(&queue->count, memory_order_seq_cst) == 0) {
        return false;
    }
    uint32_t gate = 0, set = 0;
    base_lock_acquire(&queue->lock);
    struct wal_waiter *waiter = queue->first;
    if (waiter != NULL) {
        unlink_waiter(queue, waiter);
        gate = waiter->gate;
        set = waiter->set;
        /* Release pairs with the acquire in sleep_until_called() and dequeue(). */
        atomic_store_explicit(&waiter->state, WAITER_LEADS, memory_order_release);
    }
    base_lock_release(&queue->lock);
    if (set != 0) {
        open_gate(queue, gate, set);
    }
    return set != 0;
}

/* A round that waits for nothing, by the leader. Failures have poisoned the log. */
static void start_commit(struct weir_log *log, enum commit_mode mode)
{
    if (commit_reap(log) == 0 && (mode == COMMIT_BACKGROUND || !commit_kick_can_wait(log))) {
        (void)commit_round(log, mode, 0);
    }
}

static bool something_waits(const struct weir_log *log)
{
    return atomic_load_explicit(&log->marks.reserved, memory_order_acquire) > log_durable(log);
}

/* Records wait for a commit, and no completion will come that tells the event loop so. */
static bool is_left_alone(const struct weir_log *log)
{
    return atomic_load_explicit(&log->commit.in_flight, memory_order_relaxed) == 0 &&
           something_waits(log) && !log_is_poisoned(log);
}

void leader_leave(struct weir_log *log)
{
    for (;;) {
        if (pass_baton(log)) {
            return;
        }
        if (atomic_load_explicit(&log->commit.kicked, memory_order_seq_cst) != 0) {
            atomic_store_explicit(&log->commit.kicked, 0, memory_order_seq_cst);
            start_commit(log, COMMIT_DURABLE);
        }
        bool blocked = log->commit.blocked; /* who publishes or cancels goes on */
        atomic_store_explicit(&log->commit.leading, 0, memory_order_seq_cst);
        if (!blocked && is_left_alone(log)) { /* only now can weir_process() lead */
            call_event_loop(log);
        }
        if (atomic_load_explicit(&log->waiters.count, memory_order_seq_cst) == 0 &&
            atomic_load_explicit(&log->commit.kicked, memory_order_seq_cst) == 0) {
            return;
        }
        if (!leader_try(log)) {
            return; /* whoever leads now sees them */
        }
    }
}

static int64_t time_left(uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX) {
        return WEIR_WAIT_FOREVER;
    }
    uint64_t now_ns = base_clock_monotonic_ns();
    return now_ns < deadline_ns ? (int64_t)(deadline_ns - now_ns) : 0;
}

static int lead_until(struct weir_log *log, weir_lsn lsn, uint64_t address, enum commit_mode mode,
                      uint64_t deadline_ns)
{
    int rc = 0;
    while (rc == 0 && !commit_reached(log, lsn, address)) {
        int64_t left = time_left(deadline_ns);
        if (left == 0) {
            rc = -ETIMEDOUT;
            break;
        }
        rc = commit_reap(log);
        if (rc < 0 || commit_reached(log, lsn, address)) {
            break; /* what comes next is started by those who append again */
        }
        rc = commit_round(log, mode, left);
        bool stuck = mode == COMMIT_BACKGROUND &&
                     atomic_load_explicit(&log->commit.in_flight, memory_order_relaxed) == 0;
        if (rc == 0 && stuck && !commit_reached(log, lsn, address)) {
            mode = COMMIT_DURABLE; /* nothing more to write in the background */
        }
    }
    leader_leave(log);
    if (commit_reached(log, lsn, address)) {
        return 0; /* what failed or took too long was something else */
    }
    return rc == -ETIMEDOUT || rc == 0 ? rc : WEIR_E_POISONED;
}

static enum waiter_state sleep_until_called(struct weir_log *log, struct wal_waiter *waiter,
                                            uint64_t deadline_ns)
{
    _Atomic uint32_t *gate = &log->waiters.gates[waiter->gate];
    for (;;) {
        /* Before the state. Acquire pairs with the release in open_gate(). */
        uint32_t seen = atomic_load_explicit(gate, memory_order_acquire);
        /* Acquire pairs with the release of whoever called. */
        uint32_t state = atomic_load_explicit(&waiter->state, memory_order_acquire);
        if (state == WAITER_DONE || state == WAITER_LEADS) {
            return state;
        }
        int64_t left = time_left(deadline_ns);
        if (left == 0) {
            return WAITER_QUEUED;
        }
        (void)base_wait_in_set(gate, seen, left, waiter->set);
    }
}

/* 1: this thread leads now; 0: it is satisfied; negative: poisoned or timed out. */
static int queue_up(struct weir_log *log, weir_lsn lsn, uint64_t address, uint64_t deadline_ns)
{
    struct wal_waiter waiter = {.lsn = lsn, .address = address};
    enqueue(log, &waiter);
    if (leader_try(log)) {
        enum waiter_state state = dequeue(&log->waiters, &waiter);
        WEIR_ASSERT(state != WAITER_LEADS);
        return 1; /* leads, even if it is satisfied by now: the baton is passed on by leaving */
    }
    bool hopes = !commit_reached(log, lsn, address) && !log_is_poisoned(log);
    enum waiter_state state = hopes ? sleep_until_called(log, &waiter, deadline_ns) : WAITER_QUEUED;
    if (state == WAITER_QUEUED) {
        state = dequeue(&log->waiters, &waiter);
    }
    if (state == WAITER_LEADS) {
        return 1;
    }
    if (commit_reached(log, lsn, address)) {
        return 0;
    }
    return log_is_poisoned(log) ? WEIR_E_POISONED : -ETIMEDOUT;
}

/* Where a commit costs less than a switch of threads, who leads is done before a waiter would be
 * asleep, and to wake it costs twenty commits, in which others come and sleep, too. So it waits
 * awake at first: true when there is something to look at again. Takes from *turns, since a
 * reservation may hold up the group for long. */
static bool waits_awake(const struct weir_log *log, weir_lsn lsn, uint64_t address, unsigned *turns)
{
    for (; *turns > 0; --*turns) {
        if (*turns > YIELD_TURNS) {
            base_cpu_relax();
        } else {
            base_yield();
        }
        /* Relaxed: a hint, the caller looks again. */
        if (atomic_load_explicit(&log->commit.leading, memory_order_relaxed) == 0 ||
            commit_reached(log, lsn, address)) {
            return true;
        }
    }
    return false;
}

static int wait_in_mode(struct weir_log *log, weir_lsn lsn, uint64_t address, enum commit_mode mode,
                        int64_t timeout_ns)
{
    WEIR_ASSERT(timeout_ns != 0);
    uint64_t deadline_ns =
        timeout_ns < 0 ? UINT64_MAX : base_clock_monotonic_ns() + (uint64_t)timeout_ns;
    unsigned turns = commit_is_instant(log) ? SPIN_TURNS + YIELD_TURNS : 0;
    for (;;) {
        if (commit_reached(log, lsn, address)) {
            return 0;
        }
        if (log_is_poisoned(log)) {
            return WEIR_E_POISONED;
        }
        int rc = 1;
        if (!leader_try(log)) {
            if (waits_awake(log, lsn, address, &turns)) {
                continue;
            }
            rc = queue_up(log, lsn, address, deadline_ns);
        }
        if (rc != 1) {
            return rc;
        }
        rc = lead_until(log, lsn, address, mode, deadline_ns);
        if (rc != 0) {
            return rc;
        }
    }
}

int commit_wait(struct weir_log *log, weir_lsn lsn, uint64_t address, int64_t timeout_ns)
{
    return wait_in_mode(log, lsn, address, COMMIT_DURABLE, timeout_ns);
}

int commit_make_room(struct weir_log *log)
{
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    return wait_in_mode(log, 0, durable + 1, COMMIT_BACKGROUND, WEIR_WAIT_FOREVER);
}

void commit_kick(struct weir_log *log, enum commit_mode mode)
{
    if (mode == COMMIT_DURABLE && commit_kick_can_wait(log)) {
        if (is_left_alone(log)) {
            call_event_loop(log);
        }
        return;
    }
    if (!leader_try(log)) {
        if (mode == COMMIT_DURABLE) {
            atomic_store_explicit(&log->commit.kicked, 1, memory_order_seq_cst);
            if (!leader_try(log)) {
                return;
            }
        } else {
            return;
        }
    }
    start_commit(log, mode);
    leader_leave(log);
}

void commit_process(struct weir_log *log, bool comes_back)
{
    atomic_store_explicit(&log->commit.called, 0, memory_order_seq_cst);
    if (!leader_try(log)) {
        return; /* who leads asks for another call when there is something left */
    }
    weir_lsn before = log_durable(log);
    bool moved = commit_reap(log) == 0 && log_durable(log) != before;
    if (moved && comes_back && something_waits(log)) {
        call_event_loop(log);
    } else {
        (void)commit_round(log, COMMIT_DURABLE, 0);
    }
    leader_leave(log);
}

static uint64_t reserved_address(const struct weir_log *log)
{
    return atomic_load_explicit(&log->tail.reserved_address, memory_order_acquire);
}

/* The header of the group behind says that everything before it was durable. */
static int witness(struct weir_log *log)
{
    for (;;) {
        int rc = reserve_internal(log, FORMAT_GROUP_WITNESS);
        if (rc <= 0) {
            return rc;
        }
        rc = commit_make_room(log);
        if (rc < 0) {
            return rc;
        }
    }
}

int commit_all(struct weir_log *log)
{
    weir_lsn lsn = atomic_load_explicit(&log->marks.reserved, memory_order_acquire);
    int rc = commit_wait(log, lsn, 0, WEIR_WAIT_FOREVER);
    if (rc < 0 || log->witness == WEIR_WITNESS_STRICT) {
        return rc;
    }
    if (atomic_load_explicit(&log->commit.witnessed_lsn, memory_order_acquire) >= lsn) {
        return 0;
    }
    rc = witness(log);
    return rc < 0 ? rc : commit_wait(log, 0, reserved_address(log), WEIR_WAIT_FOREVER);
}
