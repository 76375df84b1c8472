/*
 * Showing every group of a log, for people who want to see what lies on the medium.
 *
 * Happy path: from the first retained segment, group by group, to the last durable one.
 *
 * Failure modes: a damaged group: the next one that is valid by itself is shown, and the answer is
 * WEIR_E_DAMAGED in the end; a segment that cannot be mapped.
 */
#include "wal/walk.h"

#include <errno.h>

struct group_tour {
    struct segment_walk walk;
    uint64_t end_address; /* behind the last durable group */
    bool damaged;
    int (*fn)(void *context, const struct weir_group *group);
    void *context;
};

static const char *kind_name(uint16_t kind)
{
    switch (kind) {
    case FORMAT_GROUP_DATA:
        return "data";
    case FORMAT_GROUP_EPOCH:
        return "epoch";
    case FORMAT_GROUP_WITNESS:
        return "witness";
    default:
        return "seal";
    }
}

static int show(struct group_tour *tour, const struct group_header *header, uint64_t epoch)
{
    const struct segment_walk *walk = &tour->walk;
    struct weir_group group = {
        .kind = kind_name(header->kind),
        .offset = walk->offset,
        .size_bytes = format_align(header->size_bytes, walk->segment->block_bytes),
        .address = log_address(walk->log, walk->segment, walk->offset),
        .first_lsn = header->first_lsn,
        .record_count = header->record_count,
        .crc = header->crc,
        .previous_crc = header->chain,
        .epoch = epoch,
        .time_ns = header->time_ns,
        .durable_lsn = group_is_sparse(header) ? WEIR_LSN_NONE : header->durable_lsn,
        .last_lsn = group_next_lsn(header) - 1,
        .sparse = group_is_sparse(header),
    };
    format_segment_name(walk->segment->ordinal, group.file);
    return tour->fn(tour->context, &group);
}

/* Shows one segment. 0; what fn returned. */
static int show_segment(struct group_tour *tour)
{
    struct segment_walk *walk = &tour->walk;
    struct weir_log *log = walk->log;
    uint64_t start = walk->segment->last << log->limits.segment_shift;
    bool sealed = false;
    while (!sealed && walk->offset < log->limits.segment_bytes &&
           start + walk->offset < tour->end_address) {
        struct group_header header;
        if (walk_look(walk, &header) != GROUP_OK) {
            tour->damaged = true;
            if (!walk_resync(walk, &header)) {
                return 0;
            }
            continue;
        }
        sealed = header.kind == FORMAT_GROUP_SEAL;
        struct segment_walk behind = *walk;
        walk_pass(&behind, &header);
        int rc = show(tour, &header, behind.chain.epoch);
        if (rc != 0) {
            return rc;
        }
        *walk = behind;
    }
    return 0;
}

static bool has_next(const struct group_tour *tour)
{
    const struct segment_walk *walk = &tour->walk;
    return (walk->segment->last + 1) << walk->log->limits.segment_shift < tour->end_address;
}

static int tour_log(struct group_tour *tour)
{
    struct weir_log *log = tour->walk.log;
    struct wal_segment *segment;
    int rc = segment_pin_time(log, 0, &segment, NULL); /* 0: the first one */
    while (rc == 0) {
        rc = walk_start(&tour->walk, log, segment, NULL);
        rc = rc < 0 ? rc : show_segment(tour);
        if (rc != 0 || !has_next(tour)) {
            segment_unpin(log, segment);
            break;
        }
        struct wal_segment *next;
        rc = segment_pin_next(log, segment, &next, NULL);
        segment_unpin(log, segment);
        segment = next;
    }
    return rc;
}

int weir_log_groups(struct weir_log *log, int (*fn)(void *context, const struct weir_group *group),
                    void *context)
{
    if (log == NULL || fn == NULL) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc == 0 && log->reader != NULL) {
        rc = reader_refresh(log);
    }
    if (rc < 0) {
        return rc;
    }
    struct group_tour tour = {
        .walk = {.log = log},
        .end_address = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire),
        .fn = fn,
        .context = context,
    };
    if (tour.end_address == 0) {
        return 0; /* an interrupted creation: there is no segment yet */
    }
    rc = tour_log(&tour);
    return rc == 0 && tour.damaged ? WEIR_E_DAMAGED : rc;
}
