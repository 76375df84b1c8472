/*
 * Room for compaction: one file of a segment's size, compact.spare, kept from the first compaction
 * on, so that a full disk can be compacted. A step takes it, and a segment that the step replaced
 * takes its place.
 *
 * Happy path: the reserve gets the name of the segment that is going to be written.
 *
 * Failure modes: there is no reserve: a file is made; the disk is full: the last spare serves,
 * unless it is the one that the open segment needs next. Closing and truncation need no file, so
 * the log stays able to do both.
 *
 * What a crash leaves: the file under the one name or the other. Under the segment's name CONTROL
 * does not count it, and the next writer removes it.
 */
#include "wal/compact.h"

#include "wal/segment_recycle.h"

#include <errno.h>

static int open_and_lock(struct weir_log *log, const char *name, struct weir_file **ret_file)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    struct weir_file *file;
    int rc = ops->open(log->medium, name, WEIR_FILE_WRITE, &file);
    if (rc < 0) {
        return rc;
    }
    uint64_t size = 0;
    rc = ops->lock(file, WEIR_LOCK_EXCLUSIVE);
    rc = rc < 0 ? rc : ops->size(file, &size);
    if (rc == 0 && size != log->limits.segment_bytes) {
        rc = -ENOENT; /* half made when its writer died */
    }
    if (rc < 0) {
        ops->close(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

/* Under a name that nothing refers to. */
static int make_file(struct weir_log *log, const char *name, struct weir_file **ret_file)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    int rc = ops->create(log->medium, name, log->limits.segment_bytes, ret_file);
    if (rc == -EEXIST) {
        rc = ops->remove(log->medium, name);
        rc = rc < 0 ? rc : ops->create(log->medium, name, log->limits.segment_bytes, ret_file);
    }
    return rc;
}

/* Takes the last spare out of the table, if the open segment does not need it next. Its ordinal, or
 * 0. The caller holds `making`. */
static uint64_t take_last_spare(struct weir_log *log)
{
    struct wal_segments *table = &log->segments;
    uint64_t ordinal = 0;
    base_lock_acquire(&log->tail.lock);
    uint64_t open = log->tail.segment->ordinal;
    base_lock_release(&log->tail.lock);
    base_lock_acquire(&table->lock);
    struct wal_segment *last = table->slots[table->count - 1];
    if (last->state == SEGMENT_SPARE && last->ordinal > open + 1 && last->pins == 0) {
        ordinal = last->ordinal;
        table->count--;
        segment_free(log, last);
    }
    base_lock_release(&table->lock);
    return ordinal;
}

static int use_spare(struct weir_log *log, const char *name)
{
    base_lock_acquire(&log->segments.making);
    uint64_t spare = take_last_spare(log);
    int rc = -ENOSPC;
    if (spare != 0) {
        char old_name[FORMAT_NAME_BYTES];
        format_segment_name(spare, old_name);
        rc = log->medium->ops->rename(log->medium, old_name, name);
    }
    base_lock_release(&log->segments.making);
    return rc;
}

int compact_open_output(struct weir_log *log, uint64_t ordinal, struct weir_file **ret_file)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    int rc = ops->rename(log->medium, FORMAT_COMPACT_SPARE_NAME, name);
    rc = rc < 0 ? rc : open_and_lock(log, name, ret_file);
    if (rc != -ENOENT && rc != -EAGAIN) { /* a reader still has the one it was: it stays his */
        return rc;
    }
    rc = make_file(log, name, ret_file);
    if (rc == 0) {
        rc = ops->lock(*ret_file, WEIR_LOCK_EXCLUSIVE);
        if (rc < 0) {
            ops->close(*ret_file);
        }
        return rc;
    }
    if (rc == -ENOSPC || rc == -EDQUOT) {
        int used = use_spare(log, name);
        rc = used < 0 ? rc : open_and_lock(log, name, ret_file);
    }
    return rc;
}

static bool has_reserve(struct weir_log *log)
{
    struct weir_file *file;
    int rc = log->medium->ops->open(log->medium, FORMAT_COMPACT_SPARE_NAME, WEIR_FILE_READ, &file);
    if (rc == 0) {
        log->medium->ops->close(file);
    }
    return rc != -ENOENT;
}

void compact_drop_output(struct weir_log *log, uint64_t ordinal, bool failed)
{
    if (failed) {
        char name[FORMAT_NAME_BYTES];
        format_segment_name(ordinal, name);
        (void)log->medium->ops->remove(log->medium, name);
    } else {
        compact_dispose(log, ordinal, false);
    }
}

void compact_dispose(struct weir_log *log, uint64_t ordinal, bool is_read)
{
    if (!is_read && !log_is_poisoned(log) && !has_reserve(log) &&
        segment_rename(log, ordinal, FORMAT_COMPACT_SPARE_NAME) == 0) {
        return;
    }
    segment_dispose(log, ordinal, is_read);
}

int wal_address_compact_reserve(struct weir_log *log)
{
    struct weir_file *file;
    const struct weir_medium_ops *ops = log->medium->ops;
    int rc = log_check(log);
    if (rc == 0 && (log->flags & WEIR_LOG_READ_ONLY) != 0) {
        rc = WEIR_E_READ_ONLY;
    }
    if (rc < 0 || has_reserve(log)) {
        return rc;
    }
    rc = ops->create(log->medium, FORMAT_COMPACT_SPARE_NAME, log->limits.segment_bytes, &file);
    if (rc < 0) {
        return rc == -EEXIST ? 0 : rc;
    }
    rc = ops->sync(file);
    ops->close(file);
    return rc < 0 ? rc : ops->sync_directory(log->medium, "");
}
