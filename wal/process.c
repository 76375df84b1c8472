/*
 * Wait, commit, process: the calls by which a program asks for durability or drives the ring
 * itself.
 *
 * The descriptor of an event loop is the medium's own: the kernel signals it when I/O completes,
 * and Weir when durable moves, when records are left to wait with nothing in flight (a commit that
 * was put off, or a reservation that has held them up), and when the log is poisoned.
 */
#include "base/event_fd.h"
#include "wal/commit.h"
#include "wal/publish.h"
#include "wal/reservation.h"

#include <errno.h>

int weir_wait(struct weir_log *log, weir_lsn lsn, int64_t timeout_ns)
{
    if (log == NULL) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    if (log_durable(log) >= lsn) {
        return 0;
    }
    if ((log->flags & WEIR_LOG_READ_ONLY) != 0) {
        return WEIR_E_READ_ONLY;
    }
    if (lsn > atomic_load_explicit(&log->marks.reserved, memory_order_acquire)) {
        return -EINVAL;
    }
    if (reservation_is_mine(log, lsn)) {
        return -EDEADLK;
    }
    if (timeout_ns == 0) {
        commit_process(log, false);
        rc = log_is_poisoned(log) ? WEIR_E_POISONED : -ETIMEDOUT;
        return log_durable(log) >= lsn ? 0 : rc;
    }
    return commit_wait(log, lsn, 0, timeout_ns);
}

int weir_commit(struct weir_log *log)
{
    if (log == NULL) {
        return -EINVAL;
    }
    int rc = publish_check(log, WEIR_EACH);
    if (rc < 0) {
        return rc;
    }
    return reservation_is_mine(log, UINT64_MAX) ? -EDEADLK : commit_all(log);
}

weir_lsn weir_durable_lsn(const struct weir_log *log)
{
    return log_durable(log);
}

int weir_eventfd(struct weir_log *log, int *ret_fd)
{
    if (log == NULL || ret_fd == NULL) {
        return -EINVAL;
    }
    int rc = publish_check(log, WEIR_NONE);
    if (rc < 0) {
        return rc;
    }
    int fd;
    rc = log->medium->ops->eventfd(log->medium, &fd);
    if (rc == 0) {
        atomic_store_explicit(&log->event_fd, fd, memory_order_release);
        base_event_fd_signal(fd); /* records may wait already */
        *ret_fd = fd;
    }
    return rc;
}

int weir_process(struct weir_log *log, weir_lsn *ret_durable)
{
    if (log == NULL) {
        return -EINVAL;
    }
    int rc = publish_check(log, WEIR_NONE);
    if (rc < 0) {
        return rc;
    }
    int fd = atomic_load_explicit(&log->event_fd, memory_order_acquire);
    if (fd >= 0) {
        base_event_fd_clear(fd);
    }
    commit_process(log, fd >= 0);
    if (log_is_poisoned(log)) {
        return WEIR_E_POISONED;
    }
    if (ret_durable != NULL) {
        *ret_durable = log_durable(log);
    }
    return 0;
}

static uint64_t spare_bytes(struct weir_log *log)
{
    uint64_t spares = 0;
    base_lock_acquire(&log->segments.lock);
    for (uint32_t i = log->segments.count; i > 0; i--) {
        if (log->segments.slots[i - 1]->state != SEGMENT_SPARE) {
            break;
        }
        spares++;
    }
    base_lock_release(&log->segments.lock);
    return spares * log->limits.segment_bytes;
}

int weir_prepare(struct weir_log *log, uint64_t size_bytes)
{
    if (log == NULL) {
        return -EINVAL;
    }
    int rc = publish_check(log, WEIR_NONE);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&log->segments.making);
    rc = segment_ready_next(log);
    while (rc == 0 && spare_bytes(log) < size_bytes) {
        rc = segment_create_spare(log);
    }
    rc = rc < 0 ? rc : segment_warm(log);
    base_lock_release(&log->segments.making);
    return rc;
}
