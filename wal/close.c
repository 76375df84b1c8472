/*
 * Close: the last commit, the clean mark, and giving everything back.
 *
 * Happy path: nothing is open any more; commit; CONTROL says clean and where the log ends; the live
 * page and LOCK go last, when nothing more will be written.
 *
 * Failure modes: cursors, pins or reservations are open (-EBUSY: nothing is done); poisoned, or the
 * commit fails (no clean mark: the next open recovers); a child of fork() only frees its memory,
 * and leaves the locks alone, which are the parent's.
 */
#include "base/alloc.h"
#include "wal/commit.h"
#include "wal/live.h"
#include "wal/lock.h"
#include "wal/open.h"
#include "wal/reader.h"

#include <errno.h>

static int store_clean_mark(struct weir_log *log)
{
    base_lock_acquire(&log->control_lock);
    log->control.clean = true;
    log->control.witness_lsn = log->commit.flushed_lsn;
    log->control.witness_address = log_address(log, log->tail.segment, log->tail.offset);
    log->control.witness_chain = log->commit.chain.crc;
    int rc = control_store(log->medium, &log->control);
    base_lock_release(&log->control_lock);
    return rc;
}

static int finish_writing(struct weir_log *log)
{
    weir_lsn last = atomic_load_explicit(&log->marks.reserved, memory_order_acquire);
    uint64_t address = atomic_load_explicit(&log->tail.reserved_address, memory_order_acquire);
    int rc = commit_wait(log, last, address, WEIR_WAIT_FOREVER);
    if (rc == 0 && log_is_poisoned(log)) {
        rc = WEIR_E_POISONED; /* all is durable, and CONTROL is in doubt: no clean mark */
    }
    if (rc == 0) {
        rc = store_clean_mark(log);
    }
    commit_drain(log);
    return rc;
}

/* A child of fork() may have copies of the descriptors, and with them the locks: nothing is in
 * flight any more, so nobody has to wait for that child. */
static void unlock_segments(struct weir_log *log)
{
    if (atomic_load_explicit(&log->commit.in_flight, memory_order_acquire) != 0) {
        return; /* the ring has failed: the kernel lets go when the writes have ended */
    }
    base_lock_acquire(&log->segments.lock);
    for (uint32_t i = 0; i < log->segments.count; i++) {
        struct weir_file *file = log->segments.slots[i]->file;
        if (file != NULL) {
            (void)log->medium->ops->lock(file, WEIR_LOCK_NONE);
        }
    }
    base_lock_release(&log->segments.lock);
}

void log_free(struct weir_log *log)
{
    if (log->reader != NULL) {
        reader_close(log);
    }
    if (log->medium != NULL) {
        segment_table_free(log);
        live_close(log); /* of an open that failed behind it; else it is gone already */
        lock_drop(log->medium, &log->lock_file);
        log->medium->ops->destroy(log->medium);
    }
    base_fork_guard_destroy(&log->guard);
    base_free(log);
}

static bool is_busy(struct weir_log *log)
{
    return atomic_load_explicit(&log->cursors, memory_order_acquire) > 0 ||
           atomic_load_explicit(&log->callbacks, memory_order_acquire) > 0 ||
           atomic_load_explicit(&log->reservations.open, memory_order_acquire) > 0;
}

int weir_log_close(struct weir_log *log)
{
    if (log == NULL) {
        return 0;
    }
    if (log_check(log) < 0) {
        base_shared_page_close(&log->live);
        if (log->lock_file != NULL) { /* closed only: the lock is the parent's */
            log->medium->ops->close(log->lock_file);
            log->lock_file = NULL;
        }
        log_free(log);
        return 0;
    }
    if (is_busy(log)) {
        return -EBUSY;
    }
    int rc = 0;
    if ((log->flags & WEIR_LOG_READ_ONLY) == 0) {
        service_stop(log);
        rc = finish_writing(log);
        live_close(log);
        unlock_segments(log);
    }
    log_free(log);
    return rc;
}
