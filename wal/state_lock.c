/*
 * Who feeds a name: the lock of derived/NAME/lock.
 *
 * Happy path: under the guard, make the directory and the file where they are missing, lock it;
 * then make durable what the directory shows: a process that was killed may have put a state in its
 * place and not flushed it, and who has the lock goes on from what it sees.
 *
 * Whoever only asks whether it is locked takes it shared for a moment. That must not look like
 * somebody who feeds the name: when the exclusive lock is refused, a shared one tells the two
 * apart.
 *
 * Failure modes: WEIR_E_ATTACHED; a directory or file that cannot be made. A crash leaves the file;
 * the lock is what counts.
 */
#include "base/alloc.h"
#include "wal/lock.h"
#include "wal/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RETRY_NS INT64_C(100000)
#define RETRIES 2000u

struct weir_state_lock {
    struct weir_log *log;
    struct weir_file *file;
};

static int open_lock(struct weir_log *log, const char *name, struct weir_file **ret_file)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    char path[STATE_PATH_BYTES];
    state_path(name, STATE_LOCK_FILE, path);
    int rc = state_make_directory(log, name);
    rc = rc < 0 ? rc : ops->open(log->medium, path, WEIR_FILE_WRITE, ret_file);
    return rc == -ENOENT ? ops->create(log->medium, path, 0, ret_file) : rc;
}

static int take(struct weir_medium *medium, struct weir_file *file)
{
    for (unsigned i = 0; i < RETRIES; i++) {
        int rc = medium->ops->lock(file, WEIR_LOCK_EXCLUSIVE);
        if (rc != -EAGAIN) {
            return rc;
        }
        rc = medium->ops->lock(file, WEIR_LOCK_SHARED);
        if (rc < 0) {
            return rc == -EAGAIN ? WEIR_E_ATTACHED : rc;
        }
        rc = medium->ops->lock(file, WEIR_LOCK_NONE);
        if (rc < 0) {
            return rc;
        }
        lock_sleep(RETRY_NS); /* somebody looked; it takes a moment */
    }
    return WEIR_E_ATTACHED;
}

static int lock_name(struct weir_log *log, const char *name, struct weir_file **ret_file)
{
    struct weir_file *guard, *file = NULL;
    int rc = state_guard(log, &guard);
    if (rc < 0) {
        return rc;
    }
    rc = open_lock(log, name, &file);
    if (rc == 0) {
        rc = take(log->medium, file);
        if (rc < 0) {
            log->medium->ops->close(file);
        }
    }
    state_unguard(log, guard);
    if (rc == 0) {
        *ret_file = file;
    }
    return rc;
}

static int flush_directory(struct weir_log *log, const char *name)
{
    char path[STATE_PATH_BYTES];
    (void)snprintf(path, sizeof path, STATE_DIRECTORY "/%s", name);
    return log->medium->ops->sync_directory(log->medium, path);
}

int weir_state_lock(struct weir_log *log, const char *name, struct weir_state_lock **ret_lock)
{
    if (log == NULL || !state_name_is_valid(name) || ret_lock == NULL) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    struct weir_state_lock *lock = base_alloc_zero(sizeof *lock);
    if (lock == NULL) {
        return -ENOMEM;
    }
    lock->log = log;
    rc = lock_name(log, name, &lock->file);
    if (rc < 0) {
        base_free(lock);
        return rc;
    }
    state_enter(log);
    rc = flush_directory(log, name);
    if (rc < 0) {
        weir_state_unlock(lock);
        return rc;
    }
    *ret_lock = lock;
    return 0;
}

void weir_state_unlock(struct weir_state_lock *lock)
{
    if (lock == NULL) {
        return;
    }
    struct weir_log *log = lock->log;
    if (log_check(log) == 0) { /* in a child of fork() the lock is the parent's */
        (void)log->medium->ops->lock(lock->file, WEIR_LOCK_NONE);
    }
    log->medium->ops->close(lock->file);
    base_free(lock);
    state_leave(log);
}

int weir_state_is_locked(struct weir_log *log, const char *name)
{
    if (log == NULL || !state_name_is_valid(name)) {
        return -EINVAL;
    }
    char path[STATE_PATH_BYTES];
    struct weir_file *file;
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    state_path(name, STATE_LOCK_FILE, path);
    rc = log->medium->ops->open(log->medium, path, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = log->medium->ops->lock(file, WEIR_LOCK_SHARED);
    if (rc == 0) {
        (void)log->medium->ops->lock(file, WEIR_LOCK_NONE);
    }
    log->medium->ops->close(file);
    return rc == -EAGAIN ? 1 : rc;
}
