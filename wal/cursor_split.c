/*
 * Splitting a range of LSNs into parts of about equal bytes, for readers that work side by side.
 *
 * Happy path: the two ends have addresses; the addresses in between are divided evenly; each
 * division is in a segment (by its ordinal), and there the directory says which LSN is nearest.
 * Only the segments that a division falls into are mapped.
 *
 * Failure modes: a segment is truncated away in between, or cannot be mapped.
 *
 * Invariants: the starts ascend, the first one is `from`, none is behind `to`.
 */
#include "wal/walk.h"

#include <errno.h>

/* About where an LSN lies: the place of its entry in the directory. */
static int address_of(struct weir_log *log, weir_lsn lsn, uint64_t *ret_address)
{
    struct wal_segment *segment;
    int rc = segment_pin(log, lsn, &segment, NULL);
    if (rc < 0) {
        return rc;
    }
    struct segment_place place = {.record_offset = FORMAT_SEGMENT_HEADER_BYTES};
    segment_find(segment, lsn, &place);
    *ret_address = log_address(log, segment, place.record_offset);
    segment_unpin(log, segment);
    return 0;
}

/* The base LSN of the segment that an address falls into; false when it is gone. */
static bool base_of(struct weir_log *log, uint64_t address, weir_lsn *ret_lsn)
{
    base_lock_acquire(&log->segments.lock);
    const struct wal_segment *segment = segment_lookup(log, address >> log->limits.segment_shift);
    if (segment != NULL) {
        *ret_lsn = segment->start.next_lsn;
    }
    base_lock_release(&log->segments.lock);
    return segment != NULL;
}

/* The first LSN of the directory that lies at or behind an address of its segment. */
static weir_lsn entry_behind(const struct wal_segment *segment, weir_lsn base, uint32_t offset)
{
    const struct segment_directory *directory = &segment->directory;
    uint32_t low = 0, high = atomic_load_explicit(&directory->count, memory_order_acquire);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (le32_load(&directory->entries[middle].record_offset) < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return base + (weir_lsn)low * FORMAT_DIRECTORY_STRIDE;
}

static int lsn_near(struct weir_log *log, uint64_t address, weir_lsn *ret_lsn)
{
    weir_lsn base;
    struct wal_segment *segment;
    if (!base_of(log, address, &base)) {
        return WEIR_E_TRUNCATED;
    }
    int rc = segment_pin(log, base, &segment, NULL);
    if (rc < 0) {
        return rc;
    }
    uint64_t start = log_address(log, segment, 0);
    uint64_t offset = address > start ? address - start : 0;
    *ret_lsn = entry_behind(segment, base, (uint32_t)offset);
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
    rc = address_of(log, from, &first);
    rc = rc < 0 ? rc : address_of(log, to, &last);
    if (rc < 0) {
        return rc;
    }
    int count = 1;
    ret_starts[0] = from;
    for (int i = 1; i < n; i++) {
        weir_lsn lsn;
        uint64_t step = (last - first) / (uint64_t)n;
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
