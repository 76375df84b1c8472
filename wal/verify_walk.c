/*
 * Verification's walk: all segments, group by group, and on behind damage.
 *
 * Happy path: header, groups up to the seal, next segment; at the tail nothing more.
 *
 * Behind damage (verify_groups.c, verify_find.c)
 *   - of a group's body: its header still says where it ends and which LSNs it holds; in a
 * compacted segment its last record may have been a gap, and only the next group says how long
 *   - of a group's header: the next one that is valid by itself says where LSNs go on
 *   - of a segment's header: the chain of the segment before leads on without it
 *   - of a file: the next segment's header says where LSNs go on
 * so a finding ends exactly where the next thing that can be trusted begins.
 *
 * Invariant: what is not valid is damage only below the tail that recovery would accept; where
 * recovery refuses (or there is a live writer), only when something proves that it was durable.
 */
#include "wal/verify.h"

#include "wal/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- damage and its range ---- */

static void open_damage(struct verify *verify, const struct weir_finding *finding)
{
    verify->in_step = false;
    verify_open_damage(verify, finding, verify->chain.next_lsn);
}

/* LSNs go on with next_lsn. */
static void close_damage(struct verify *verify, weir_lsn next_lsn)
{
    verify_close_damage(verify, next_lsn);
    verify->in_step = true;
}

/* ---- the end, or damage? ---- */

static int look_behind(struct verify *verify, const struct scan_walk *walk,
                       struct scan_evidence *evidence)
{
    const struct control *control = &verify->control;
    bool newest = verify->has_control && control->epoch >= verify->chain.epoch;
    struct scan_epoch epoch = {
        .epoch = newest ? control->epoch : verify->chain.epoch,
        .seed = newest ? control->seed : verify->chain.seed,
        .walk_epoch = verify->chain.epoch,
        .walk_seed = verify->chain.seed,
    };
    int rc = scan_evidence(&verify->scan, walk->offset, control->segment_bytes, &epoch, evidence);
    for (uint64_t next = verify->place + 1; next <= verify->last_place; next++) {
        const struct segment_header *header = verify_header_of(verify, next);
        if (header != NULL && header->epoch >= verify->chain.epoch) {
            epoch.epoch = header->epoch;
            epoch.seed = header->seed;
            scan_evidence_header(header, control->segment_bytes, &epoch, evidence);
        }
    }
    return rc;
}

/* Does anything say that the bytes at `walk` were durable? */
static bool was_durable(const struct verify *verify, const struct scan_walk *walk,
                        const struct scan_evidence *evidence)
{
    const struct control *control = &verify->control;
    uint64_t address = verify->ordinal * control->segment_bytes + walk->offset;
    bool by_control = verify->has_control && (control->witness_lsn >= walk->chain.next_lsn ||
                                              control->witness_address > address);
    bool by_group = evidence->durable_address != 0 && evidence->durable_lsn >= walk->chain.next_lsn;
    return by_control || by_group || evidence->newer_epoch != 0 ||
           evidence->newest_address > address + control->run_ahead_bytes;
}

/* 1: nothing at or behind `walk` belongs to the log; 0: damage; -errno. */
static int is_tail(struct verify *verify, const struct scan_walk *walk)
{
    uint64_t address = verify->ordinal * verify->control.segment_bytes + walk->offset;
    if (format_is_compacted(verify->ordinal)) {
        return 0; /* it was durable before it counted */
    }
    if (verify->tail_known) {
        return address >= verify->tail_address;
    }
    struct scan_evidence evidence = {0};
    int rc = look_behind(verify, walk, &evidence);
    if (rc < 0 || was_durable(verify, walk, &evidence)) {
        return rc;
    }
    verify->report->cut_bytes = verify->live_writer ? 0 : evidence.held_bytes;
    return 1;
}

static struct weir_finding describe_fault(const struct verify *verify, const struct scan_walk *walk)
{
    const char *code = group_fault_code(walk->fault);
    const char *text = group_fault_text(walk->fault);
    if (walk->end == SCAN_UNREADABLE) {
        bool is_short = walk->error == WEIR_E_CUT_SHORT;
        code = is_short ? "cut-short" : "medium-error";
        text = is_short ? "the file is cut short before the end of what began here"
                        : "the medium cannot read the group";
    }
    return verify_finding(code, verify->ordinal, walk->offset, "%s, behind LSN %" PRIu64, text,
                          walk->chain.next_lsn - 1);
}

/* VERIFY_FOUND: the walk may go on; 0: this segment is done; -errno. */
static int meet_fault(struct verify *verify, struct scan_walk *walk)
{
    verify->chain = walk->chain;
    int rc = is_tail(verify, walk);
    if (rc < 0) {
        return rc;
    }
    if (rc > 0) {
        verify->ended = true;
        return 0;
    }
    if (walk->has_refused && walk->error != WEIR_E_CUT_SHORT &&
        walk->refused.kind != FORMAT_GROUP_EPOCH) {
        verify_close_damage(verify, walk->refused.first_lsn);
        rc = verify_pass_body(verify, walk);
        verify->chain = walk->chain;
        return rc < 0 ? rc : (walk->end == SCAN_SEALED ? 0 : VERIFY_FOUND);
    }
    struct weir_finding finding = describe_fault(verify, walk);
    open_damage(verify, &finding);
    verify_spoil_directory(verify);
    rc = verify_find_group(verify, walk, walk->offset + verify->scan.block_bytes);
    if (rc == VERIFY_FOUND) {
        close_damage(verify, walk->chain.next_lsn);
        verify->chain = walk->chain;
    }
    return rc;
}

/* ---- one segment ---- */

/* Beside a writer: what was read before it was written is looked at once more. */
static int walk_again_if_live(struct verify *verify, struct scan_walk *walk)
{
    if (!verify->live_writer || walk->end != SCAN_INVALID) {
        return 0;
    }
    scan_close(&verify->scan);
    int rc = scan_open(&verify->scan, verify->ordinal);
    return rc < 0 ? rc : scan_walk(&verify->scan, walk, verify_each_group, verify);
}

static int walk_groups(struct verify *verify, struct scan_walk *walk)
{
    int rc = VERIFY_FOUND;
    while (rc == VERIFY_FOUND) {
        rc = scan_walk(&verify->scan, walk, verify_each_group, verify);
        rc = rc < 0 ? rc : walk_again_if_live(verify, walk);
        if (rc < 0) {
            return rc;
        }
        verify->chain = walk->chain;
        if (walk->end == SCAN_SEALED) {
            break;
        }
        if (walk->end == SCAN_STOPPED) {
            verify->ended = true;
            return walk->stop < 0 ? walk->stop : 0;
        }
        rc = meet_fault(verify, walk);
    }
    if (walk->end == SCAN_SEALED && rc >= 0) {
        verify->seal_offset = walk->seal_offset;
        return 0;
    }
    return rc;
}

static bool continues(const struct segment_header *header, const struct group_chain *chain)
{
    return header->base_lsn == chain->next_lsn && header->chain == chain->crc &&
           header->seed == chain->seed;
}

/* The header is believed: it passed its own checks. What lies between is missing. */
static void follow_header(struct verify *verify, const struct segment_header *header)
{
    if (verify->in_step && !continues(header, &verify->chain)) {
        struct weir_finding finding = verify_finding(
            "chain", verify->ordinal, 0,
            "the segment continues from LSN %" PRIu64
            " and chain %08x, the one before ends at LSN %" PRIu64 " with chain %08x",
            header->base_lsn - 1, header->chain, verify->chain.next_lsn - 1, verify->chain.crc);
        open_damage(verify, &finding);
    }
    close_damage(verify, header->base_lsn);
    verify->chain = (struct group_chain){
        .next_lsn = header->base_lsn,
        .time_ns = header->base_time_ns,
        .epoch = header->epoch,
        .seed = header->seed,
        .crc = header->chain,
    };
}

/* The header goes out with the segment's first group: a crash may leave one copy of the newest one,
 * and the next writer mends it. A live writer may be in the middle of it. */
static bool may_be_torn(const struct verify *verify)
{
    if (verify->live_writer) {
        return verify->place == verify->last_place;
    }
    return verify->tail_known && !verify->control.clean &&
           verify->ordinal == verify->tail_address / verify->control.segment_bytes;
}

/* A writer may have compacted meanwhile: what has the place now is another file. */
static bool was_compacted(struct verify *verify, const struct control *now)
{
    struct inventory inventory;
    if (now->compact_next == verify->control.compact_next ||
        inventory_read(verify->medium, verify->control.uuid, NULL, NULL, &inventory) < 0) {
        return false;
    }
    if (inventory_resolve(&inventory, now) < 0) {
        inventory_free(&inventory);
        return false;
    }
    inventory_free(&verify->inventory);
    verify->inventory = inventory;
    verify->control.compact_next = now->compact_next;
    verify->control.horizon = now->horizon;
    return true;
}

/* A writer may have truncated or compacted meanwhile. */
static bool was_dropped(struct verify *verify)
{
    struct control now;
    if (!verify->live_writer || control_load(verify->medium, &now, NULL) < 0) {
        return false;
    }
    bool compacted = was_compacted(verify, &now);
    if (now.first_ordinal <= verify->place && !compacted) {
        return false;
    }
    verify->control.first_lsn = now.first_lsn;
    verify->control.first_ordinal = now.first_ordinal;
    verify->in_step = false;
    return true;
}

/* The inventory is older than the walk: the writer has begun this segment since, or has dropped it.
 */
static bool has_moved_on(struct verify *verify)
{
    if (verify->live_writer && verify->place > verify->last_place) {
        verify->ended = true;
        return true;
    }
    return was_dropped(verify);
}

/* 1: the walk ends. */
static int tell_compacted(struct verify *verify, const struct segment_header *header, bool leaves)
{
    int rc = header->compacted && verify->compacted != NULL
                 ? verify->compacted(verify->context, header, leaves)
                 : 0;
    if (rc > 0) {
        verify->stopped = rc;
    }
    return rc > 0 ? 1 : rc;
}

/* 1: groups can be walked from *walk; 0: not, or this is the tail; -errno. */
static int begin_segment(struct verify *verify, const struct inventory_segment *file,
                         struct scan_walk *walk)
{
    const struct segment_header *header = verify_header_of(verify, verify->place);
    scan_directory_clear(&verify->directory);
    *walk = (struct scan_walk){.offset = FORMAT_SEGMENT_HEADER_BYTES, .chain = verify->chain};
    if (header != NULL) {
        if (file->copies_differ && !may_be_torn(verify)) {
            struct weir_finding finding =
                verify_finding("segment-header", verify->ordinal, 0,
                               "one of the header's two copies is damaged; the other is enough");
            verify_report(verify, &finding, false);
        }
        follow_header(verify, header);
        walk->chain = verify->chain;
        if (header->compacted) {
            walk->chain.epoch = header->end_epoch;
            walk->chain.seed = header->end_seed;
        }
        int rc = tell_compacted(verify, header, false);
        return rc < 0 ? rc : rc == 0;
    }
    int rc = is_tail(verify, walk);
    if (rc != 0) {
        verify->ended = rc > 0;
        return rc < 0 ? rc : 0;
    }
    if (has_moved_on(verify)) {
        return 0;
    }
    struct weir_finding finding = verify_finding("segment-header", verify->ordinal, 0,
                                                 "the header is not valid in either copy");
    if (verify->in_step && verify->chain.crc != 0) {
        verify_report(verify, &finding, true); /* the chain leads on without it; opening refuses */
        return 1;
    }
    open_damage(verify, &finding);
    verify_spoil_directory(verify);
    rc = verify_find_group(verify, walk, FORMAT_SEGMENT_HEADER_BYTES);
    if (rc == VERIFY_FOUND) {
        close_damage(verify, walk->chain.next_lsn);
    }
    return rc < 0 ? rc : rc == VERIFY_FOUND;
}

/* Behind a compacted segment the log goes on where its run ended. */
static int leave_compacted(struct verify *verify, const struct segment_header *header,
                           const struct scan_walk *walk)
{
    close_damage(verify, header->last_lsn + 1);
    if (walk->end == SCAN_SEALED && walk->seal_offset != header->seal_offset) {
        struct weir_finding finding =
            verify_finding("segment-header", verify->ordinal, 0,
                           "the header says that the seal is at %" PRIu64 ", and it is at %" PRIu32,
                           header->seal_offset, walk->seal_offset);
        verify_report(verify, &finding, true);
    }
    verify->seal_offset = header->end_seal_offset;
    verify->chain = (struct group_chain){
        .next_lsn = header->last_lsn + 1,
        .time_ns = header->end_time_ns,
        .epoch = header->end_epoch,
        .seed = header->end_seed,
        .crc = header->end_chain,
    };
    int rc = tell_compacted(verify, header, true);
    return rc < 0 ? rc : 0;
}

static int read_segment(struct verify *verify, const struct inventory_segment *file)
{
    int rc = scan_open(&verify->scan, verify->ordinal);
    if (rc < 0) {
        return rc;
    }
    struct scan_walk walk;
    rc = begin_segment(verify, file, &walk);
    if (rc > 0) {
        verify->report->segments++;
        rc = walk_groups(verify, &walk);
        if (rc == 0 && file->header.compacted && !verify->ended) {
            rc = leave_compacted(verify, &file->header, &walk);
        }
    }
    scan_close(&verify->scan);
    return rc;
}

/* ---- all of them ---- */

/* A compacted segment whose header is lost, if there is one: it may be what is missing. */
static uint64_t find_headless(const struct verify *verify)
{
    for (uint32_t i = 0; i < verify->inventory.count; i++) {
        const struct inventory_segment *segment = &verify->inventory.segments[i];
        if (format_is_compacted(segment->ordinal) && segment->header_result != 0 &&
            segment->ordinal - FORMAT_COMPACTED_ORDINAL < verify->control.compact_next) {
            return segment->ordinal;
        }
    }
    return 0;
}

static void report_missing(struct verify *verify)
{
    uint64_t headless = find_headless(verify);
    struct weir_finding finding =
        headless != 0
            ? verify_finding("segment-header", headless, 0,
                             "the header is not valid in either copy: what it stands for "
                             "is missing")
            : verify_finding("segment-missing", verify->place, UINT64_MAX, "the file is missing");
    open_damage(verify, &finding);
}

/* Whose end no later header or group told. Behind a clean close nothing was ever written. */
static void close_at_end(struct verify *verify)
{
    if (!verify->pending) {
        return;
    }
    const struct control *control = &verify->control;
    weir_lsn from = verify->damage.from_lsn;
    verify->pending = false;
    if (verify->has_control && control->witness_lsn >= from) {
        verify_report_range(verify, &verify->damage, from, control->witness_lsn);
    } else if (verify->has_control && control->clean) {
        verify->damage.from_lsn = verify->damage.to_lsn = WEIR_LSN_NONE;
        verify_report(verify, &verify->damage, true);
    } else {
        verify_report_range(verify, &verify->damage, from, UINT64_MAX);
    }
}

/* The last segment that anything says was written. */
static uint64_t find_last_place(const struct verify *verify)
{
    const struct control *control = &verify->control;
    uint64_t last = control->first_ordinal;
    for (uint32_t i = 0; i < verify->inventory.count; i++) {
        const struct inventory_segment *segment = &verify->inventory.segments[i];
        if (!segment->dead && verify_header_of(verify, inventory_last(segment)) != NULL &&
            inventory_last(segment) > last) {
            last = inventory_last(segment);
        }
    }
    uint64_t witness = control->witness_address / control->segment_bytes;
    bool holds_groups =
        control->witness_address % control->segment_bytes > FORMAT_SEGMENT_HEADER_BYTES;
    return holds_groups && witness > last ? witness : last;
}

/* Reads what has the place, and goes on behind it. 0; -errno. */
static int read_place(struct verify *verify)
{
    const struct inventory_segment *file = inventory_at(&verify->inventory, verify->place);
    verify->ordinal = file != NULL ? file->ordinal : verify->place;
    if (file == NULL && was_dropped(verify)) {
        return 0; /* what is there now is looked for again */
    }
    bool behind_last = verify->place > verify->last_place;
    if (file == NULL && behind_last && (verify->live_writer || verify->pending)) {
        verify->ended = true;
        return 0;
    }
    if (file == NULL) {
        report_missing(verify);
        verify->place++;
        return 0;
    }
    uint64_t next = inventory_last(file) + 1;
    int rc = read_segment(verify, file);
    if (rc == -ENOENT && was_dropped(verify)) {
        return 0;
    }
    verify->place = next;
    return rc;
}

int verify_walk(struct verify *verify)
{
    int rc = 0;
    verify->last_place = find_last_place(verify);
    verify->chain = (struct group_chain){.next_lsn = verify->control.first_lsn};
    verify->place = verify->control.first_ordinal;
    /* One more than the last: where a segment was sealed, the next may have lost its header. */
    while (rc == 0 && verify->place <= verify->last_place + 1 && !verify->ended &&
           verify->stopped == 0) {
        if (verify->place < verify->control.first_ordinal) {
            verify->place = verify->control.first_ordinal; /* truncated meanwhile */
            continue;
        }
        rc = read_place(verify);
    }
    if (rc == 0) {
        close_at_end(verify);
    }
    return rc;
}
