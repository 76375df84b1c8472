/*
 * Segments ahead of need: creating spares, giving them windows, and taking windows back from
 * segments that are complete.
 *
 * Happy path: a spare is created (every byte written, synced, its name synced) while the open
 * segment still has room; it is locked, so that a process that comes after a kill can wait for I/O
 * in flight; it gets a window, often one that a sealed segment gave back.
 *
 * Failure modes: -ENOSPC and others leave nothing behind but perhaps a complete spare; nothing is
 * appended, and the next call tries again.
 *
 * What a crash leaves: a file without a valid header behind the open segment. Recovery takes it for
 * the spare it is.
 *
 * Invariants: a window is taken back only when its segment is sealed and durable and nobody has
 * pinned it; when readers pin more than window_bytes allows, their segments are frozen: the same
 * addresses become a view of the file.
 */
#include "base/assert.h"
#include "wal/log.h"

#include <errno.h>
#include <stdint.h>

static bool is_complete(const struct weir_log *log, const struct wal_segment *segment)
{
    uint64_t end = (segment->last + 1) << log->limits.segment_shift;
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    return segment->state == SEGMENT_SEALED && durable >= end;
}

/* The caller has pinned it, and holds `making`, so that nobody else does this. Without the table's
 * lock: the file is read, and a roll that waited for that would hold up all writers. */
static bool freeze(struct weir_log *log, struct wal_segment *segment)
{
    int rc = log->medium->ops->freeze(segment->window);
    if (rc < 0) {
        return false; /* the memory stays as it is; only the budget is exceeded */
    }
    (void)segment_distrust(log, segment); /* without marks groups are checked each time */
    base_lock_acquire(&log->segments.lock);
    segment->frozen = true;
    log->segments.windows--;
    base_lock_release(&log->segments.lock);
    return true;
}

/* Takes one window back, from the oldest segment that can do without. The caller holds `making`. */
static bool take_back_window(struct weir_log *log)
{
    struct wal_segments *table = &log->segments;
    struct wal_segment *pinned = NULL;
    bool taken = false;
    WEIR_ASSERT(base_lock_is_held(&table->making));
    base_lock_acquire(&table->lock);
    for (uint32_t i = 0; i < table->count && !taken; i++) {
        struct wal_segment *segment = table->slots[i];
        if (segment->window == NULL || segment->frozen || !is_complete(log, segment)) {
            continue;
        }
        if (segment->pins == 0) {
            segment_release_memory(log, segment);
            taken = true;
        } else if (pinned == NULL) {
            pinned = segment;
        }
    }
    pinned = taken ? NULL : pinned;
    if (pinned != NULL) {
        pinned->pins++; /* it stays while it is frozen, even if it is truncated meanwhile */
    }
    base_lock_release(&table->lock);
    if (pinned != NULL) {
        taken = freeze(log, pinned);
        segment_unpin(log, pinned);
    }
    return taken;
}

static uint32_t window_count(struct weir_log *log)
{
    base_lock_acquire(&log->segments.lock);
    uint32_t count = log->segments.windows;
    base_lock_release(&log->segments.lock);
    return count;
}

void segment_set_window(struct weir_log *log, struct wal_segment *segment,
                        struct weir_window *window)
{
    base_lock_acquire(&log->segments.lock);
    segment->window = window;
    segment->base = window->base;
    log->segments.windows++;
    base_lock_release(&log->segments.lock);
}

/* For one more window. */
static void make_room(struct weir_log *log)
{
    while ((window_count(log) + 1) * log->limits.segment_bytes > log->limits.window_bytes &&
           take_back_window(log)) {
    }
}

int segment_open_window(struct weir_log *log, struct wal_segment *segment)
{
    WEIR_ASSERT(segment->window == NULL && segment->file != NULL);
    uint64_t bytes = log->limits.segment_bytes;
    make_room(log);
    int rc = segment_directory_alloc(log, segment);
    if (rc < 0) {
        return rc;
    }
    struct weir_window *window;
    rc = log->medium->ops->window_open(segment->file, bytes, &window);
    if (rc < 0) {
        segment_release_directory(segment);
        return rc;
    }
    segment_set_window(log, segment, window);
    return 0;
}

/* A file of a segment that will be written: open, and locked while I/O on it can be in flight. */
int segment_open_file(struct weir_log *log, struct wal_segment *segment)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(segment->ordinal, name);
    int rc = log->medium->ops->open(log->medium, name, WEIR_FILE_WRITE, &segment->file);
    if (rc < 0) {
        return rc;
    }
    rc = log->medium->ops->lock(segment->file, WEIR_LOCK_EXCLUSIVE);
    if (rc < 0) {
        log->medium->ops->close(segment->file);
        segment->file = NULL;
    }
    return rc;
}

/* A spare that was there at open may be the work of a writer that was killed before file and name
 * were durable. What is written into it would be lost with them. */
static int adopt_spare(struct weir_log *log, struct wal_segment *segment)
{
    int rc = segment->file == NULL ? segment_open_file(log, segment) : 0;
    if (rc < 0 || segment->durable) {
        return rc;
    }
    rc = log->medium->ops->sync(segment->file);
    rc = rc < 0 ? rc : log->medium->ops->sync_directory(log->medium, "");
    segment->durable = rc == 0;
    return rc;
}

static int create_file(struct weir_log *log, struct wal_segment *segment)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(segment->ordinal, name);
    uint64_t bytes = log->limits.segment_bytes;
    int rc = ops->create(log->medium, name, bytes, &segment->file);
    if (rc == -EEXIST) { /* not in the table: left by a step that failed and could not be undone */
        rc = ops->remove(log->medium, name);
        rc = rc < 0 ? rc : ops->create(log->medium, name, bytes, &segment->file);
    }
    if (rc < 0) {
        return rc;
    }
    rc = ops->lock(segment->file, WEIR_LOCK_EXCLUSIVE);
    if (rc == 0) {
        rc = ops->sync(segment->file);
    }
    if (rc == 0) {
        rc = ops->sync_directory(log->medium, "");
    }
    if (rc < 0) {
        ops->close(segment->file);
        segment->file = NULL;
        ops->remove(log->medium, name); /* a leftover would only be taken for a spare */
    }
    segment->durable = rc == 0;
    return rc;
}

int segment_create_spare(struct weir_log *log)
{
    WEIR_ASSERT(base_lock_is_held(&log->segments.making));
    base_lock_acquire(&log->segments.lock);
    uint64_t ordinal = log->segments.count == 0
                           ? log->control.first_ordinal
                           : log->segments.slots[log->segments.count - 1]->ordinal + 1;
    base_lock_release(&log->segments.lock);
    if (format_is_compacted(ordinal)) {
        return -EFBIG; /* ordinals are used up */
    }
    struct wal_segment *segment = segment_new(log, ordinal, SEGMENT_SPARE);
    if (segment == NULL) {
        return -ENOMEM;
    }
    int rc = create_file(log, segment);
    if (rc == 0) {
        rc = segment_table_add(log, segment);
    }
    if (rc < 0) {
        segment_free(log, segment);
    }
    return rc;
}

int segment_ready_next(struct weir_log *log)
{
    struct wal_segments *table = &log->segments;
    WEIR_ASSERT(base_lock_is_held(&table->making));
    if (atomic_load_explicit(&table->next_ready, memory_order_acquire)) {
        return 0;
    }
    base_lock_acquire(&log->tail.lock);
    uint64_t ordinal = log->tail.segment->ordinal + 1;
    base_lock_release(&log->tail.lock);
    base_lock_acquire(&table->lock);
    struct wal_segment *next = segment_lookup(log, ordinal);
    base_lock_release(&table->lock);
    if (next == NULL) {
        int rc = segment_create_spare(log);
        if (rc < 0) {
            return rc;
        }
        base_lock_acquire(&table->lock);
        next = segment_lookup(log, ordinal);
        base_lock_release(&table->lock);
    }
    WEIR_ASSERT(next != NULL && next->state == SEGMENT_SPARE);
    int rc = adopt_spare(log, next);
    if (rc == 0 && next->window == NULL) {
        rc = segment_open_window(log, next);
    }
    if (rc == 0) {
        /* Release pairs with the acquire in reserve.c: the window is there. */
        atomic_store_explicit(&table->next_ready, true, memory_order_release);
        make_room(log); /* of what is complete, now and not when the next window needs it */
    }
    return rc;
}

/* Nobody has reserved anything from there on. The caller holds tail.lock, so nobody does now. */
static bool is_ahead(const struct weir_log *log, const struct wal_segment *segment, uint64_t offset)
{
    uint64_t reserved = atomic_load_explicit(&log->tail.reserved_address, memory_order_relaxed);
    return segment->ordinal >= log->tail.segment->ordinal &&
           log_address(log, segment, offset) >= reserved;
}

/* The first touch of a page costs more than filling it: here it happens ahead of need, page by page
 * under the lock that a writer takes before it may use one. The byte stays as it is. */
static void warm_window(struct weir_log *log, const struct wal_segment *segment, uint64_t offset)
{
    volatile uint8_t *bytes = segment->window->base;
    bool is_file = log->medium->info.window_is_file;
    for (uint64_t i = format_align(offset, FORMAT_BLOCK); i < log->limits.segment_bytes;
         i += FORMAT_BLOCK) {
        base_lock_acquire(&log->tail.lock);
        if (is_ahead(log, segment, i)) {
            uint8_t byte = bytes[i];
            if (!is_file) {
                bytes[i] = byte;
            }
        }
        base_lock_release(&log->tail.lock);
    }
}

static bool window_fits(const struct weir_log *log)
{
    return (log->segments.windows + 1) * log->limits.segment_bytes <= log->limits.window_bytes;
}

int segment_warm(struct weir_log *log)
{
    WEIR_ASSERT(base_lock_is_held(&log->segments.making));
    base_lock_acquire(&log->tail.lock);
    struct wal_segment *segment = log->tail.segment;
    uint64_t offset = log->tail.offset;
    base_lock_release(&log->tail.lock);
    warm_window(log, segment, offset);
    for (uint64_t ordinal = segment->ordinal + 1;; ordinal++) {
        base_lock_acquire(&log->segments.lock);
        segment = segment_lookup(log, ordinal);
        base_lock_release(&log->segments.lock);
        if (segment == NULL || segment->state != SEGMENT_SPARE) {
            return 0;
        }
        if (segment->window == NULL && !window_fits(log)) {
            return 0;
        }
        int rc = adopt_spare(log, segment);
        if (rc == 0 && segment->window == NULL) {
            rc = segment_open_window(log, segment);
        }
        if (rc < 0) {
            return rc;
        }
        warm_window(log, segment, 0);
    }
}
