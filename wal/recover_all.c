/*
 * Verification at open: walks the sealed segments that recovery did not need to read.
 *
 * They were durable before the walk of recovery starts, so whatever is not valid in them is
 * damage, never a torn write. Each is walked from what its header says, and has to end in the seal
 * that the next header names.
 *
 * They may come from the page cache, because that is where readers will find them, and because a
 * flush that failed can have left nothing there that is not on the medium: it was durable
 * (docs/adr/0008-what-recovery-may-read-from-the-page-cache.md). A segment that is not whole in the
 * page cache is read again from the medium before anything is refused.
 */
#include "wal/log.h"
#include "wal/recover.h"
#include "wal/scan.h"

#include <errno.h>
#include <inttypes.h>

static int accept_all(void *context, const struct scan_group *group)
{
    (void)context;
    (void)group;
    return 0;
}

/* Derived data: a damaged directory in a seal loses nothing. */
static bool ends_in_seal(const struct recovery_segment *segment, const struct scan_walk *walk,
                         const struct group_chain *next)
{
    if (format_is_compacted(segment->ordinal)) { /* its groups have a chain of their own */
        bool passed = walk->end == SCAN_SEALED && walk->chain.next_lsn == next->next_lsn &&
                      walk->seal_offset == segment->seal_offset;
        return passed ||
               (walk->end == SCAN_INVALID && walk->has_refused &&
                walk->refused.kind == FORMAT_GROUP_SEAL && walk->offset == segment->seal_offset);
    }
    if (walk->end == SCAN_SEALED) {
        return walk->chain.crc == next->crc && walk->chain.next_lsn == next->next_lsn;
    }
    return walk->end == SCAN_INVALID && walk->has_refused &&
           walk->refused.kind == FORMAT_GROUP_SEAL && walk->refused.crc == next->crc;
}

static int refuse(const struct recovery_segment *segment, const struct scan_walk *walk,
                  struct weir_error *why)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(segment->ordinal, name);
    int code = walk->end == SCAN_UNREADABLE ? WEIR_E_DAMAGED : WEIR_E_LOST;
    const char *fault = walk->end == SCAN_UNREADABLE ? "the medium cannot read the group"
                                                     : group_fault_text(walk->fault);
    if (walk->end == SCAN_SEALED) {
        fault = "the segment behind does not continue from this one";
    }
    log_error(why, code, name, walk->offset,
              "%s offset %" PRIu32 ": %s; of LSNs %" PRIu64 " to %" PRIu64
              ", which were durable, some are damaged or missing",
              name, walk->offset, fault, walk->chain.next_lsn, segment->last_lsn);
    return log_error_range(why, code, walk->chain.next_lsn, segment->last_lsn);
}

static int walk_segment(struct scan *scan, const struct recovery_segment *segment,
                        struct scan_walk *ret_walk)
{
    int rc = scan_open(scan, segment->ordinal);
    if (rc < 0) {
        return rc;
    }
    *ret_walk = (struct scan_walk){.chain = segment->start, .offset = FORMAT_SEGMENT_HEADER_BYTES};
    rc = scan_walk(scan, ret_walk, accept_all, NULL);
    scan_close(scan);
    return rc;
}

static int verify_segment(struct scan *scan, struct recovery_segment *segment,
                          const struct group_chain *next, struct recovery *recovery,
                          struct weir_error *why)
{
    struct scan_walk walk;
    scan->may_be_cached = true;
    int rc = walk_segment(scan, segment, &walk);
    if (rc == 0 && !ends_in_seal(segment, &walk, next)) {
        scan->may_be_cached = false;
        rc = walk_segment(scan, segment, &walk);
    }
    if (rc < 0) {
        return rc;
    }
    recovery->scanned_records += walk.records;
    recovery->scanned_segments++;
    segment->walked = true;
    return ends_in_seal(segment, &walk, next) ? 0 : refuse(segment, &walk, why);
}

int recover_verify_all(struct weir_medium *medium, const struct control *control,
                       struct recovery *recovery, struct weir_error *why)
{
    struct scan scan;
    int rc = scan_init(&scan, medium, control->segment_bytes, control->block_bytes,
                       group_uuid_seed(control->uuid));
    for (uint32_t i = 0; rc == 0 && i + 1 < recovery->segment_count; i++) {
        struct recovery_segment *segment = &recovery->segments[i];
        if (!segment->walked) {
            rc = verify_segment(&scan, segment, &recovery->segments[i + 1].start, recovery, why);
        }
    }
    recovery->scanned_bytes += scan.read_bytes;
    scan_free(&scan);
    return rc;
}
