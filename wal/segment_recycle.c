/*
 * Recycling: a file that was written once is worth keeping, since writing it again costs neither
 * allocation nor a journal commit.
 *
 * Happy path: the segment leaves the table; its file is locked exclusively, its header zeroed and
 * synced, and only then it takes the name of the next ordinal and stands at the end of the table as
 * a spare. Its old groups stay in it: they claim addresses of the old ordinal, so they are never
 * valid there.
 *
 * Failure modes: somebody reads the file (a cursor of this process pins it, a reader process has
 * locked it), enough spares are there, or any step fails: the name is removed instead. Mappings of
 * a removed file stay valid.
 *
 * What a crash leaves: a file below CONTROL's first ordinal, with or without a header. The next
 * open comes here again (truncate_remove_leftovers). A rename that is not durable is one of both
 * names.
 */
#include "wal/segment_recycle.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define SPARES_BEYOND_NEED 1u /* kept more than asked for: truncation often comes in bursts */

/* ---- the table ---- */

uint64_t segment_detach_first(struct weir_log *log, uint64_t ordinal, bool *ret_pinned)
{
    struct wal_segments *table = &log->segments;
    uint64_t detached = 0;
    base_lock_acquire(&table->lock);
    if (table->count > 0 && table->slots[0]->last < ordinal) {
        struct wal_segment *segment = table->slots[0];
        WEIR_ASSERT(segment->state == SEGMENT_SEALED);
        detached = segment->ordinal;
        *ret_pinned = segment->pins > 0;
        table->count--;
        table->compacted -= segment_is_compacted(segment) ? 1 : 0;
        memmove(table->slots, table->slots + 1, table->count * sizeof(struct wal_segment *));
        segment->dropped = true; /* the last pin frees it */
        if (segment->pins == 0) {
            segment_free(log, segment);
        }
    }
    base_lock_release(&table->lock);
    return detached;
}

/* The ordinal that one more spare would have, or 0 when there are enough. */
static uint64_t next_spare(struct weir_log *log)
{
    struct wal_segments *table = &log->segments;
    base_lock_acquire(&table->lock);
    uint32_t spares = 0;
    while (spares < table->count &&
           table->slots[table->count - 1 - spares]->state == SEGMENT_SPARE) {
        spares++;
    }
    uint64_t next = table->count > 0 ? table->slots[table->count - 1]->ordinal + 1 : 0;
    base_lock_release(&table->lock);
    return spares < log->limits.spare_segments + SPARES_BEYOND_NEED ? next : 0;
}

/* ---- the file ---- */

/* Nobody reads the file; its header is gone, durably; then it has the new name, durably. */
static int rewrite_as(struct weir_log *log, struct weir_file *file, const char *name,
                      const char *new_name)
{
    static const uint8_t zeros[FORMAT_SEGMENT_HEADER_BYTES];
    const struct weir_medium_ops *ops = log->medium->ops;
    uint64_t size = 0;
    int rc = ops->size(file, &size);
    if (rc == 0 && size != log->limits.segment_bytes) {
        rc = -EINVAL; /* half made */
    }
    rc = rc < 0 ? rc : ops->lock(file, WEIR_LOCK_EXCLUSIVE);
    rc = rc < 0 ? rc : ops->write(file, 0, zeros, sizeof zeros);
    rc = rc < 0 ? rc : ops->sync(file);
    rc = rc < 0 ? rc : ops->rename(log->medium, name, new_name);
    return rc < 0 ? rc : ops->sync_directory(log->medium, "");
}

/* The caller holds `making`, so that the end of the table stays where it is. */
static int recycle(struct weir_log *log, const char *name, uint64_t new_ordinal)
{
    char new_name[FORMAT_NAME_BYTES];
    format_segment_name(new_ordinal, new_name);
    struct wal_segment *spare = segment_new(log, new_ordinal, SEGMENT_SPARE);
    if (spare == NULL) {
        return -ENOMEM;
    }
    int rc = log->medium->ops->open(log->medium, name, WEIR_FILE_WRITE, &spare->file);
    rc = rc < 0 ? rc : rewrite_as(log, spare->file, name, new_name);
    spare->durable = rc == 0;
    rc = rc < 0 ? rc : segment_table_add(log, spare);
    if (rc < 0) {
        segment_free(log, spare);
    }
    return rc;
}

int segment_rename(struct weir_log *log, uint64_t ordinal, const char *new_name)
{
    char name[FORMAT_NAME_BYTES];
    struct weir_file *file;
    format_segment_name(ordinal, name);
    int rc = log->medium->ops->open(log->medium, name, WEIR_FILE_WRITE, &file);
    if (rc == 0) {
        rc = rewrite_as(log, file, name, new_name);
        log->medium->ops->close(file);
    }
    return rc;
}

void segment_dispose(struct weir_log *log, uint64_t ordinal, bool is_read)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    /* Groups of a compacted one lie where a log of larger blocks would take them for torn. */
    bool recycles = !is_read && !log_is_poisoned(log) && !format_is_compacted(ordinal);
    base_lock_acquire(&log->segments.making);
    uint64_t spare = recycles ? next_spare(log) : 0;
    int rc = spare != 0 ? recycle(log, name, spare) : -EBUSY;
    base_lock_release(&log->segments.making);
    if (rc < 0) {
        (void)log->medium->ops->remove(log->medium, name);
    }
}

void segment_drop_below(struct weir_log *log, uint64_t ordinal)
{
    for (;;) {
        bool pinned = false;
        uint64_t detached = segment_detach_first(log, ordinal, &pinned);
        if (detached == 0) {
            return;
        }
        segment_dispose(log, detached, pinned);
    }
}
