/*
 * Splitting a range of LSNs into parts of about equal bytes, for readers that work side by side.
 *
 * Happy path: the two ends have places in the log; what lies in between is divided evenly; each
 * division is in a segment, and there the directory says which LSN is nearest.
 * Only the segments that a division falls into are mapped.
 *
 * Failure modes: a segment is truncated away in between, or cannot be mapped.
 *
 * Invariants: the starts ascend, the first one is `from`, none is behind `to`.
 */
#include "wal/walk.h"

#include <errno.h>

/* A place in the log as it is now: segments in order, whatever their ordinals are. Truncation and
 * compaction move them: then parts are less even, and nothing else. */
static uint64_t place_of(struct weir_log *log, const struct wal_segment *segment, uint64_t offset)
{
    uint64_t index = 0;
    base_lock_acquire(&log->segments.lock);
    const struct wal_segments *table = &log->segments;
    while (index < table->count && table->slots[index]->last < segment->last) {
        index++;
    }
    base_lock_release(&log->segments.lock);
    return (index << log->limits.segment_shift) + offset;
}

/* About where an LSN lies: the place of its entry in the directory. */
static int find_place(struct weir_log *log, weir_lsn lsn, uint64_t *ret_place)
{
    struct wal_segment *segment;
    int rc = segment_pin(log, lsn, &segment, NULL);
    if (rc < 0) {
        return rc;
    }
    struct segment_place place = {.record_offset = FORMAT_SEGMENT_HEADER_BYTES};
    segment_find(segment, lsn, &place);
    *ret_place = place_of(log, segment, place.record_offset);
    segment_unpin(log, segment);
    return 0;
}

/* The base LSN of the segment that a place is in; false when there is none. */
static bool base_of(struct weir_log *log, uint64_t place, weir_lsn *ret_lsn)
{
    uint64_t index = place >> log->limits.segment_shift;
    base_lock_acquire(&log->segments.lock);
    const struct wal_segments *table = &log->segments;
    bool found = index < table->count && table->slots[index]->state != SEGMENT_SPARE;
    if (found) {
        *ret_lsn = table->slots[index]->start.next_lsn;
    }
    base_lock_release(&log->segments.lock);
    return found;
}

/* The first LSN of the directory that lies at or behind an offset of its segment. */
static weir_lsn entry_behind(const struct wal_segment *segment, uint32_t offset)
{
    const struct segment_directory *directory = &segment->directory;
    uint32_t count = atomic_load_explicit(&directory->count, memory_order_acquire);
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (le32_load(&directory->entries[middle].record_offset) < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (segment_is_compacted(segment) && low == count) {
        return segment->last_lsn + 1;
    }
    return segment_entry_lsn(segment, low);
}

static int lsn_near(struct weir_log *log, uint64_t place, weir_lsn *ret_lsn)
{
    weir_lsn base;
    struct wal_segment *segment;
    if (!base_of(log, place, &base)) {
        return WEIR_E_TRUNCATED;
    }
    int rc = segment_pin(log, base, &segment, NULL);
    if (rc < 0) {
        return rc;
    }
    *ret_lsn = entry_behind(segment, (uint32_t)(place & (log->limits.segment_bytes - 1)));
    segment_unpin(log, segment);
    return 0;
}

int weir_cursor_split(struct weir_log *log, weir_lsn from, weir_lsn to, int n, weir_lsn *ret_starts)
{
    if (log == NULL || ret_starts == NULL || n < 1) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    weir_lsn earliest = log_earliest(log), durable = log_durable(log);
    from = from == WEIR_LSN_NONE ? earliest : from;
    to = to == WEIR_LSN_NONE || to > durable ? durable : to;
    if (from < earliest) {
        return WEIR_E_TRUNCATED;
    }
    if (from > to) {
        return 0;
    }
    uint64_t first, last;
    rc = find_place(log, from, &first);
    rc = rc < 0 ? rc : find_place(log, to, &last);
    if (rc < 0) {
        return rc;
    }
    int count = 1;
    ret_starts[0] = from;
    for (int i = 1; i < n; i++) {
        weir_lsn lsn;
        uint64_t step = (last > first ? last - first : 0) / (uint64_t)n;
        rc = lsn_near(log, first + (uint64_t)i * step, &lsn);
        if (rc < 0) {
            return rc;
        }
        if (lsn > ret_starts[count - 1] && lsn <= to) {
            ret_starts[count++] = lsn;
        }
    }
    return count;
}
