/*
 * The names that have a directory, and their end.
 *
 * Happy path of removing one: take the guard, remove file after file, then the directory, each
 * step durable before the guard is given back.
 *
 * The guard (derived/.lock) keeps two things apart: somebody who opens a name's lock file to lock
 * it, and somebody who removes that file. Without it both could have a lock of one name, on two
 * files. It is held for a few calls, never while a state is written or read.
 *
 * Failure modes: a crash while a name is removed leaves some of its files; removing it again goes
 * on. A name that vanishes while names are listed is listed or not.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "wal/lock.h"
#include "wal/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD_NAME STATE_DIRECTORY "/.lock"

/* ---- the guard ---- */

static int open_guard(struct weir_medium *medium, struct weir_file **ret_file)
{
    const struct weir_medium_ops *ops = medium->ops;
    int rc = ops->open(medium, GUARD_NAME, WEIR_FILE_WRITE, ret_file);
    if (rc != -ENOENT) {
        return rc;
    }
    rc = control_check_there(medium);
    rc = rc < 0 ? rc : ops->make_directory(medium, STATE_DIRECTORY);
    rc = rc < 0 ? rc : ops->create(medium, GUARD_NAME, 0, ret_file);
    return rc == -EEXIST ? ops->open(medium, GUARD_NAME, WEIR_FILE_WRITE, ret_file) : rc;
}

int state_guard(struct weir_log *log, struct weir_file **ret_file)
{
    struct weir_file *file;
    int rc = open_guard(log->medium, &file);
    if (rc < 0) {
        return rc;
    }
    rc = lock_file(log->medium, file, WEIR_LOCK_EXCLUSIVE, lock_wait_a_moment(log->lock_wait_ns));
    if (rc < 0) {
        log->medium->ops->close(file);
        return rc == -EAGAIN ? -ETIMEDOUT : rc;
    }
    *ret_file = file;
    return 0;
}

void state_unguard(struct weir_log *log, struct weir_file *file)
{
    (void)log->medium->ops->lock(file, WEIR_LOCK_NONE); /* a child of fork() may have a copy */
    log->medium->ops->close(file);
}

int state_make_directory(struct weir_log *log, const char *name)
{
    char path[STATE_PATH_BYTES];
    (void)snprintf(path, sizeof path, STATE_DIRECTORY "/%s", name);
    return log->medium->ops->make_directory(log->medium, path);
}

/* ---- removing ---- */

struct removing {
    struct weir_medium *medium;
    const char *name;
};

static int remove_entry(void *context, const char *file)
{
    const struct removing *self = context;
    char path[STATE_PATH_BYTES + 256];
    (void)snprintf(path, sizeof path, STATE_DIRECTORY "/%s/%s", self->name, file);
    int rc = self->medium->ops->remove(self->medium, path);
    return rc == -ENOENT ? 0 : rc;
}

static int remove_file(struct weir_medium *medium, const char *name, const char *file,
                       const char *directory)
{
    char path[STATE_PATH_BYTES];
    state_path(name, file, path);
    int rc = medium->ops->remove(medium, path);
    rc = rc == 0 ? medium->ops->sync_directory(medium, directory) : rc;
    return rc == -ENOENT ? 0 : rc;
}

static int remove_name(struct weir_medium *medium, const char *name, const char *directory)
{
    struct removing self = {.medium = medium, .name = name};
    int rc = medium->ops->list(medium, directory, remove_entry, &self);
    rc = rc == 0 ? medium->ops->sync_directory(medium, directory) : rc;
    rc = rc == 0 ? medium->ops->remove_directory(medium, directory) : rc;
    rc = rc == 0 ? medium->ops->sync_directory(medium, STATE_DIRECTORY) : rc;
    return rc == -ENOENT ? 0 : rc;
}

int weir_state_remove(struct weir_log *log, const char *name, const char *file)
{
    if (log == NULL || !state_name_is_valid(name) || (file != NULL && !state_file_is_valid(file))) {
        return -EINVAL;
    }
    char directory[STATE_PATH_BYTES];
    (void)snprintf(directory, sizeof directory, STATE_DIRECTORY "/%s", name);
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    if (file != NULL) {
        return remove_file(log->medium, name, file, directory);
    }
    struct weir_file *guard;
    rc = state_guard(log, &guard);
    if (rc == 0) {
        rc = remove_name(log->medium, name, directory);
        state_unguard(log, guard);
    }
    return rc;
}

/* ---- the list ---- */

typedef char state_name[WEIR_STATE_NAME_MAX + 1];

struct name_list {
    state_name *names;
    size_t count, capacity;
};

static int add_name(void *context, const char *name)
{
    struct name_list *list = context;
    if (!state_name_is_valid(name)) {
        return 0; /* the engine's, or not of this log */
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        state_name *names = base_alloc_array(capacity, sizeof *names);
        if (names == NULL) {
            return -ENOMEM;
        }
        if (list->count > 0) {
            memcpy(names, list->names, list->count * sizeof *names);
        }
        base_free(list->names);
        list->names = names;
        list->capacity = capacity;
    }
    strcpy(list->names[list->count++], name);
    return 0;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(left, right);
}

int weir_state_list(struct weir_log *log, int (*fn)(void *context, const char *name), void *context)
{
    if (log == NULL || fn == NULL) {
        return -EINVAL;
    }
    struct name_list list = {0};
    int rc = log_check(log);
    if (rc == 0) {
        rc = log->medium->ops->list_directories(log->medium, STATE_DIRECTORY, add_name, &list);
        rc = rc == -ENOENT ? 0 : rc;
    }
    if (rc == 0 && list.count > 1) {
        qsort(list.names, list.count, sizeof *list.names, compare_names);
    }
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        rc = fn(context, list.names[i]);
    }
    base_free(list.names);
    return rc;
}
