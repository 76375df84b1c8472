/*
 * Waiting at the end of the log.
 *
 * Happy path: a cursor that has lent everything sleeps on tailers.sequence; whoever moves durable
 * adds one to it and wakes the sleepers, if there are any. A program with an event loop gets a
 * descriptor instead, which is signalled once per time that the cursor had caught up.
 *
 * No wake-up is lost. The sleeper reads the sequence, then looks at durable, then counts itself and
 * sleeps only if the sequence is still the same; the other side moves durable, then the sequence,
 * then looks at the count. The descriptor: the cursor arms it, then looks at durable once more; the
 * other side moves durable, then looks who is armed. Both are sequentially consistent, so that one
 * of the two sees the other.
 *
 * Published records that are not durable move nothing: cursors that want them look every
 * millisecond, and their descriptors are signalled when durable moves.
 *
 * Failure modes: the log is poisoned, so nothing will ever come: WEIR_E_POISONED once everything
 * that is durable has been lent. No descriptor can be made.
 */
#include "wal/tail.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/event_fd.h"
#include "wal/cursor.h"

#include <errno.h>
#include <limits.h>

#define PUBLISHED_SLICE_NS INT64_C(1000000)

/* ---- the side that moves durable ---- */

static void signal_armed(struct wal_tailers *tailers)
{
    base_lock_acquire(&tailers->lock);
    for (struct weir_cursor *cursor = tailers->eventfds; cursor != NULL;
         cursor = cursor->next_on_tail) {
        if (atomic_exchange_explicit(&cursor->armed, 0, memory_order_seq_cst) != 0) {
            base_event_fd_signal(cursor->event_fd);
        }
    }
    base_lock_release(&tailers->lock);
}

void tail_notify(struct weir_log *log)
{
    struct wal_tailers *tailers = &log->tailers;
    atomic_fetch_add_explicit(&tailers->sequence, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&tailers->sleeping, memory_order_seq_cst) > 0) {
        base_wake(&tailers->sequence, INT_MAX, false);
    }
    if (atomic_load_explicit(&tailers->eventfd_count, memory_order_seq_cst) > 0) {
        signal_armed(tailers);
    }
}

/* ---- waiting ---- */

static int64_t time_left(uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX) {
        return INT64_MAX;
    }
    uint64_t now_ns = base_clock_monotonic_ns();
    return now_ns < deadline_ns ? (int64_t)(deadline_ns - now_ns) : 0;
}

static uint64_t deadline_after(int64_t timeout_ns)
{
    if (timeout_ns < 0) {
        return UINT64_MAX;
    }
    return timeout_ns == 0 ? 0 : base_clock_monotonic_ns() + (uint64_t)timeout_ns;
}

/* Until durable moves, or for a while. */
static int sleep_on_tail(struct weir_cursor *cursor, uint32_t sequence, int64_t left_ns)
{
    struct weir_log *log = cursor->log;
    struct wal_tailers *tailers = &log->tailers;
    if (log->reader != NULL) {
        int64_t timeout_ns = left_ns == INT64_MAX ? WEIR_WAIT_FOREVER : left_ns;
        int rc = reader_wait(log, sequence, timeout_ns);
        return rc == -ETIMEDOUT ? 0 : rc;
    }
    if (cursor->published && left_ns > PUBLISHED_SLICE_NS) {
        left_ns = PUBLISHED_SLICE_NS;
    }
    atomic_fetch_add_explicit(&tailers->sleeping, 1, memory_order_seq_cst);
    base_wait(&tailers->sequence, sequence, left_ns == INT64_MAX ? WEIR_WAIT_FOREVER : left_ns,
              false);
    atomic_fetch_sub_explicit(&tailers->sleeping, 1, memory_order_seq_cst);
    return 0;
}

int weir_cursor_wait(struct weir_cursor *cursor, int64_t timeout_ns)
{
    struct weir_log *log = cursor->log;
    int rc = log_check(log);
    cursor->lent = false;
    uint64_t deadline_ns = deadline_after(timeout_ns);
    while (rc == 0) {
        uint32_t sequence = atomic_load_explicit(&log->tailers.sequence, memory_order_seq_cst);
        bool poisoned = log_is_poisoned(log);
        rc = cursor_check_retained(cursor, cursor->place.lsn);
        rc = rc < 0 ? rc : cursor_settle(cursor);
        if (rc == 0 && poisoned) {
            rc = log_error(&cursor->error, WEIR_E_POISONED, NULL, UINT64_MAX, "%s",
                           weir_error_text(WEIR_E_POISONED));
        }
        int64_t left_ns = deadline_ns == 0 ? 0 : time_left(deadline_ns);
        if (rc != 0 || left_ns == 0) {
            break;
        }
        rc = sleep_on_tail(cursor, sequence, left_ns);
    }
    return rc;
}

/* ---- descriptors ---- */

bool cursor_arm(struct weir_cursor *cursor)
{
    if (cursor->event_fd < 0) {
        return false;
    }
    atomic_store_explicit(&cursor->armed, 1, memory_order_seq_cst);
    return atomic_load_explicit(&cursor->log->marks.durable, memory_order_seq_cst) >=
           cursor->place.lsn;
}

static void join_tail(struct weir_cursor *cursor)
{
    struct wal_tailers *tailers = &cursor->log->tailers;
    base_lock_acquire(&tailers->lock);
    cursor->next_on_tail = tailers->eventfds;
    tailers->eventfds = cursor;
    atomic_fetch_add_explicit(&tailers->eventfd_count, 1, memory_order_seq_cst);
    base_lock_release(&tailers->lock);
}

void cursor_leave_tail(struct weir_cursor *cursor)
{
    struct wal_tailers *tailers = &cursor->log->tailers;
    if (cursor->event_fd < 0) {
        return;
    }
    base_lock_acquire(&tailers->lock);
    struct weir_cursor **link = &tailers->eventfds;
    while (*link != cursor) {
        WEIR_ASSERT(*link != NULL);
        link = &(*link)->next_on_tail;
    }
    *link = cursor->next_on_tail;
    atomic_fetch_sub_explicit(&tailers->eventfd_count, 1, memory_order_seq_cst);
    base_lock_release(&tailers->lock);
}

int weir_cursor_eventfd(struct weir_cursor *cursor, int *ret_fd)
{
    struct weir_log *log = cursor->log;
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    if (log->reader != NULL) {
        return -ENOTSUP;
    }
    if (cursor->event_fd < 0) {
        rc = base_event_fd_create(&cursor->event_fd);
        if (rc < 0) {
            return rc;
        }
        join_tail(cursor);
        if (cursor_arm(cursor) || log_is_poisoned(log)) {
            base_event_fd_signal(cursor->event_fd); /* there is something already */
        }
    }
    *ret_fd = cursor->event_fd;
    return 0;
}
