/*
 * How many bytes of the log lie between two LSNs.
 *
 * Happy path: with the table of segments locked, add up those that lie between as a whole; of the
 * first and the last one take a part. Where a segment is in memory, its directory says within 16
 * records where one lies; else, and between the entries, records count as equally large. Nothing is
 * read from the medium.
 *
 * Failure modes: none; what was truncated counts as nothing, and a compacted segment as what is
 * left of it.
 *
 * Invariant: more than nothing between two different LSNs; a wider range is never less.
 */
#include "wal/log.h"

#include <errno.h>

/* LSNs [low, high) of a segment that holds [first, end) in `bytes`. */
struct part {
    struct wal_segment *segment; /* pinned */
    weir_lsn first, end, low, high;
    uint64_t bytes;
};

struct place_on_line {
    weir_lsn lsn;
    uint64_t offset;
};

static uint64_t interpolate(struct place_on_line from, struct place_on_line to, weir_lsn lsn)
{
    if (to.lsn <= from.lsn || to.offset <= from.offset) {
        return from.offset;
    }
    double share = (double)(lsn - from.lsn) / (double)(to.lsn - from.lsn);
    return from.offset + (uint64_t)(share * (double)(to.offset - from.offset));
}

/* Where the record of an LSN begins, about. */
static uint64_t offset_of(const struct part *part, bool resident, weir_lsn lsn)
{
    struct place_on_line from = {part->first, 0}, to = {part->end, part->bytes};
    struct segment_place place;
    if (lsn >= part->end) {
        return part->bytes;
    }
    if (resident && segment_find(part->segment, lsn, &place) && place.lsn <= lsn &&
        place.record_offset <= part->bytes) {
        from = (struct place_on_line){place.lsn, place.record_offset};
    }
    if (resident && segment_find(part->segment, lsn + FORMAT_DIRECTORY_STRIDE, &place) &&
        place.lsn > lsn && place.record_offset <= part->bytes) {
        to = (struct place_on_line){place.lsn, place.record_offset};
    }
    return lsn <= part->first ? 0 : interpolate(from, to, lsn);
}

/* In memory, and not on its way there. */
static bool is_resident(struct wal_segment *segment)
{
    if (!base_lock_try(&segment->mapping)) {
        return false;
    }
    bool resident = segment->base != NULL;
    base_lock_release(&segment->mapping);
    return resident;
}

static uint64_t part_bytes(const struct part *part)
{
    bool resident = is_resident(part->segment);
    uint64_t low = offset_of(part, resident, part->low);
    uint64_t high = offset_of(part, resident, part->high);
    return high > low ? high - low : 0;
}

/* With the table locked: the segment's bytes that are durable. */
static uint64_t used_bytes(const struct weir_log *log, const struct wal_segment *segment,
                           uint64_t durable_address)
{
    if (segment->state == SEGMENT_SEALED) {
        return segment->seal_offset;
    }
    uint64_t start = log_address(log, segment, 0);
    return durable_address > start ? durable_address - start : 0;
}

/* Adds up what lies in [low, high); the parts of segments are left to the caller: how many. */
static unsigned add_up(struct weir_log *log, weir_lsn low, weir_lsn high, uint64_t *bytes,
                       struct part parts[2])
{
    struct wal_segments *table = &log->segments;
    /* Acquire: the end of a group that is durable. */
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    unsigned count = 0;
    weir_lsn end = high; /* of the segment: the next one's beginning */
    for (uint32_t i = table->count; i-- > 0 && end > low;) {
        struct wal_segment *segment = table->slots[i];
        weir_lsn first = segment->start.next_lsn;
        if (segment->state == SEGMENT_SPARE) {
            continue;
        }
        struct part part = {
            .segment = segment,
            .first = first,
            .end = i + 1 < table->count && table->slots[i + 1]->state != SEGMENT_SPARE
                       ? table->slots[i + 1]->start.next_lsn
                       : log_durable(log) + 1,
            .low = low > first ? low : first,
            .bytes = used_bytes(log, segment, durable),
        };
        part.high = high < part.end ? high : part.end;
        end = first;
        if (part.low >= part.high) {
            continue;
        }
        if (part.low == part.first && part.high == part.end) {
            *bytes += part.bytes;
        } else if (count < 2) {
            segment->pins++;
            parts[count++] = part;
        }
    }
    return count;
}

int weir_log_bytes_between(struct weir_log *log, weir_lsn from_lsn, weir_lsn to_lsn,
                           uint64_t *ret_bytes)
{
    if (log == NULL || ret_bytes == NULL) {
        return -EINVAL;
    }
    int rc = log_check(log);
    rc = rc == 0 && log->reader != NULL ? reader_refresh(log) : rc;
    if (rc < 0) {
        return rc;
    }
    weir_lsn durable = log_durable(log);
    uint64_t bytes = 0;
    struct part parts[2];
    to_lsn = to_lsn < durable ? to_lsn : durable;
    if (from_lsn < to_lsn) {
        base_lock_acquire(&log->segments.lock);
        unsigned count = add_up(log, from_lsn + 1, to_lsn + 1, &bytes, parts);
        base_lock_release(&log->segments.lock);
        for (unsigned i = 0; i < count; i++) {
            bytes += part_bytes(&parts[i]);
            segment_unpin(log, parts[i].segment);
        }
        bytes = bytes > 0 ? bytes : 1;
    }
    *ret_bytes = bytes;
    return 0;
}
