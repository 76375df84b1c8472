/*
 * Verification's walk: all segments, group by group, and on behind damage.
 *
 * Happy path: header, groups up to the seal, next segment; at the tail nothing more.
 *
 * Behind damage
 *   a group's body      its header still says where it ends and which LSNs it holds; when the
 * record headers are right, each record is checked alone a group's header    the next block with a
 * header that is valid by itself says where LSNs go on a segment header    the chain of the segment
 * before leads on without it a file              the next segment's header says where LSNs go on so
 * a finding ends exactly where the next thing that can be trusted begins.
 *
 * Invariant: what is not valid is damage only below the tail that recovery would accept; where
 * recovery refuses (or there is a live writer), only when something proves that it was durable.
 */
#include "wal/verify.h"

#include "base/crc32c.h"
#include "wal/finding.h"
#include "wal/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define MORE_BEHIND 1 /* resynchronized: walk on in this segment */

static const struct segment_header *header_of(const struct verify *verify, uint64_t ordinal)
{
    const struct inventory_segment *segment = inventory_find(&verify->inventory, ordinal);
    bool ours = segment != NULL && segment->header_result == 0 &&
                memcmp(segment->header.uuid, verify->control.uuid, FORMAT_UUID_BYTES) == 0;
    return ours ? &segment->header : NULL;
}

/* The first valid header behind this segment, or NULL. */
static const struct segment_header *header_behind(const struct verify *verify, uint64_t ordinal)
{
    for (uint64_t next = ordinal + 1; next <= verify->last_ordinal; next++) {
        const struct segment_header *header = header_of(verify, next);
        if (header != NULL) {
            return header;
        }
    }
    return NULL;
}

/* ---- damage and its range ---- */

/* Records below the first LSN were dropped: damage to them costs nothing. */
static void report_range(struct verify *verify, struct weir_finding *finding, weir_lsn from,
                         weir_lsn to)
{
    weir_lsn first = verify->control.first_lsn;
    bool costs = to >= from && to >= first;
    finding->from_lsn = costs ? (from > first ? from : first) : 0;
    finding->to_lsn = costs ? to : 0;
    verify_report(verify, finding, costs);
}

static void open_damage(struct verify *verify, const struct weir_finding *finding)
{
    verify->in_step = false;
    if (!verify->pending) {
        verify->pending = true;
        verify->damage = *finding;
        verify->damage.from_lsn = verify->chain.next_lsn;
    }
}

/* LSNs go on with next_lsn. */
static void close_damage(struct verify *verify, weir_lsn next_lsn)
{
    if (verify->pending) {
        verify->pending = false;
        report_range(verify, &verify->damage, verify->damage.from_lsn, next_lsn - 1);
    }
    verify->in_step = true;
}

/* ---- groups ---- */

/* A gap that an earlier salvage wrote: one note for all of its records. */
static void note_gap(struct verify *verify, const struct format_record *record, weir_lsn lsn,
                     uint32_t offset)
{
    verify->report->gap_lsns++;
    if (lsn <= verify->gap_end) {
        return;
    }
    uint32_t left = le32_load(&record->user);
    const char *code = finding_gap_code(le16_load(&record->type));
    verify->gap_end = lsn + (left > 0 ? left : 1) - 1;
    struct weir_finding finding = verify_finding("gap", verify->ordinal, offset, "%s", "");
    finding.from_lsn = lsn;
    finding.to_lsn = verify->gap_end;
    snprintf(finding.text, sizeof finding.text,
             "%s, offset %" PRIu32 ": a gap of LSNs %" PRIu64 " to %" PRIu64
             ", lost before this log was made by a salvage (%s)",
             finding.file, offset, lsn, verify->gap_end,
             code[0] != '\0' ? code : "no reason noted");
    verify_tell(verify, &finding, false);
}

/* Counts a record that is whole, once. */
static void count_record(struct verify *verify, const struct format_record *record, weir_lsn lsn,
                         uint32_t offset)
{
    if (lsn < verify->control.first_lsn || lsn <= verify->latest) {
        return;
    }
    if ((le16_load(&record->flags) & WEIR_RECORD_GAP) != 0) {
        note_gap(verify, record, lsn, offset);
        return;
    }
    verify->report->records++;
    verify->report->payload_bytes += le32_load(&record->size) - FORMAT_RECORD_HEADER_BYTES;
}

static void count_records(struct verify *verify, const struct scan_group *group)
{
    uint32_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < group->header.record_count; i++) {
        const struct format_record *record = (const struct format_record *)(group->bytes + offset);
        count_record(verify, record, group->header.first_lsn + i, group->offset + offset);
        offset += (uint32_t)format_align(le32_load(&record->size), FORMAT_RECORD_ALIGN);
    }
}

/* Records that were met before, under other bytes perhaps: they are of another copy of the log, and
 * neither counted nor trusted. Once for each run of them. */
static void check_overlap(struct verify *verify, const struct group_header *header, uint32_t offset)
{
    bool again = header->record_count > 0 && header->first_lsn <= verify->latest;
    if (again && !verify->overlapping) {
        struct weir_finding finding =
            verify_finding("overlap", verify->ordinal, offset,
                           "the group begins with LSN %" PRIu64 ", but records up to LSN %" PRIu64
                           " were met before it",
                           header->first_lsn, verify->latest);
        verify_report(verify, &finding, true);
    }
    verify->overlapping = again;
}

/* The group was looked at: hands it to salvage, and goes on behind its LSNs. */
static int hand_over(struct verify *verify, const struct group_header *header, const uint8_t *bytes,
                     bool whole)
{
    if (header->record_count == 0) {
        return 0;
    }
    weir_lsn last = header->first_lsn + header->record_count - 1;
    verify->latest = last > verify->latest ? last : verify->latest;
    return verify->keep != NULL ? verify->keep(verify->context, header, bytes, whole) : 0;
}

/* A seal with a right checksum around wrong numbers. */
static void check_seal(struct verify *verify, const struct scan_group *group)
{
    const struct format_seal *seal =
        (const struct format_seal *)(group->bytes + FORMAT_GROUP_HEADER_BYTES);
    const struct scan_directory *walked = &verify->directory;
    bool agrees = le64_load(&seal->record_count) == walked->records &&
                  le64_load(&seal->payload_bytes) == walked->payload_bytes &&
                  le32_load(&seal->entry_count) == walked->count &&
                  group->header.size_bytes ==
                      FORMAT_GROUP_HEADER_BYTES + format_seal_body_bytes(walked->records) &&
                  (walked->count == 0 ||
                   memcmp(seal + 1, walked->entries, walked->count * sizeof *walked->entries) == 0);
    if (!agrees) {
        struct weir_finding finding =
            verify_finding("seal", verify->ordinal, group->offset,
                           "the seal's directory does not agree with the segment's groups");
        verify_report(verify, &finding, false);
    }
}

static int each_group(void *context, const struct scan_group *group)
{
    struct verify *verify = context;
    uint64_t address = group->header.address;
    if (verify->stopped != 0 || (verify->tail_known && address >= verify->tail_address)) {
        return 1;
    }
    bool whole_so_far = verify->directory.first_time_ns != UINT64_MAX;
    if (whole_so_far && group->header.kind == FORMAT_GROUP_SEAL) {
        check_seal(verify, group);
    }
    if (whole_so_far && scan_directory_add(&verify->directory, group) < 0) {
        return -ENOMEM;
    }
    check_overlap(verify, &group->header, group->offset);
    count_records(verify, group);
    verify->report->groups++;
    return hand_over(verify, &group->header, group->bytes, true);
}

/* From here on the segment's directory cannot be compared. */
static void spoil_directory(struct verify *verify)
{
    verify->directory.first_time_ns = UINT64_MAX;
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
    for (uint64_t next = verify->ordinal + 1; next <= verify->last_ordinal; next++) {
        const struct segment_header *header = header_of(verify, next);
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

/* ---- behind a damaged body ---- */

static void report_record(struct verify *verify, uint32_t offset, weir_lsn lsn, const char *what)
{
    struct weir_finding finding = verify_finding("record-crc", verify->ordinal, offset, "%s", what);
    report_range(verify, &finding, lsn, lsn);
}

/* The record headers are right: each payload is checked alone. */
static int check_records(struct verify *verify, const struct scan_walk *walk)
{
    const struct group_header *header = &walk->refused;
    const uint8_t *bytes;
    int rc = scan_bytes(&verify->scan, walk->offset, header->size_bytes, &bytes);
    if (rc < 0) {
        return rc;
    }
    uint32_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < header->record_count; i++) {
        const struct format_record *record = (const struct format_record *)(bytes + offset);
        uint32_t size = le32_load(&record->size);
        uint32_t payload = size - FORMAT_RECORD_HEADER_BYTES;
        uint32_t stride = (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
        const uint8_t *data = bytes + offset + FORMAT_RECORD_HEADER_BYTES;
        if (base_crc32c(0, data, payload) != le32_load(&record->crc)) {
            report_record(verify, walk->offset + offset, header->first_lsn + i,
                          "the payload fails its checksum");
        } else if (!scan_is_zero(data + payload, stride - size)) {
            report_record(verify, walk->offset + offset, header->first_lsn + i,
                          "the padding behind the payload is not zero");
        } else {
            count_record(verify, record, header->first_lsn + i, walk->offset + offset);
        }
        offset += stride;
    }
    return hand_over(verify, header, bytes, false);
}

/* The records are right, the zeros behind them are not: only salvage reads such a group. */
static int keep_unpadded(struct verify *verify, const struct scan_walk *walk)
{
    const uint8_t *bytes;
    int rc = scan_bytes(&verify->scan, walk->offset, walk->refused.size_bytes, &bytes);
    return rc < 0 ? rc : hand_over(verify, &walk->refused, bytes, true);
}

static void report_body(struct verify *verify, const struct scan_walk *walk)
{
    const struct group_header *header = &walk->refused;
    const char *code = group_fault_code(walk->fault);
    const char *text = group_fault_text(walk->fault);
    if (walk->end == SCAN_UNREADABLE) {
        code = "medium-error";
        text = "the medium cannot read the group";
    } else if (header->kind == FORMAT_GROUP_SEAL) {
        code = "seal";
        text = "the seal's directory is damaged; readers walk the groups instead";
    }
    struct weir_finding finding = verify_finding(code, verify->ordinal, walk->offset, "%s", text);
    report_range(verify, &finding, header->first_lsn, header->first_lsn + header->record_count - 1);
}

/* The header is right and in place, the body is not. The walk goes on behind it. */
static int pass_damaged_body(struct verify *verify, struct scan_walk *walk)
{
    bool records_alone =
        walk->end == SCAN_INVALID && walk->refused.kind == FORMAT_GROUP_DATA &&
        (walk->fault == GROUP_PAYLOAD_CRC ||
         (walk->fault == GROUP_PADDING && walk->fault_record < walk->refused.record_count));
    int rc = 0;
    if (records_alone) {
        rc = check_records(verify, walk);
    } else {
        report_body(verify, walk);
        bool unpadded = walk->end == SCAN_INVALID && walk->fault == GROUP_PADDING &&
                        walk->refused.kind == FORMAT_GROUP_DATA;
        rc = unpadded ? keep_unpadded(verify, walk) : 0;
    }
    spoil_directory(verify);
    group_chain_advance(&walk->chain, NULL, &walk->refused);
    if (walk->refused.kind == FORMAT_GROUP_SEAL) {
        walk->end = SCAN_SEALED;
        walk->seal_offset = walk->offset;
    }
    walk->offset += (uint32_t)format_align(walk->refused.size_bytes, verify->scan.block_bytes);
    return rc;
}

/* ---- behind a damaged header ---- */

struct seeds {
    uint32_t seed[3];
    uint64_t epoch[3];
    uint32_t count;
};

static void add_seed(struct seeds *seeds, uint32_t seed, uint64_t epoch)
{
    seeds->seed[seeds->count] = seed;
    seeds->epoch[seeds->count++] = epoch;
}

/* What groups of this segment can be under: where the walk is, or what a later place says. */
static struct seeds possible_seeds(const struct verify *verify)
{
    struct seeds seeds = {.count = 0};
    add_seed(&seeds, verify->chain.seed, verify->chain.epoch);
    const struct segment_header *behind = header_behind(verify, verify->ordinal);
    if (behind != NULL) {
        add_seed(&seeds, behind->seed, behind->epoch);
    }
    if (verify->has_control) {
        add_seed(&seeds, verify->control.seed, verify->control.epoch);
    }
    return seeds;
}

static bool decode_under(const struct verify *verify, const uint8_t *bytes, uint64_t address,
                         const struct seeds *seeds, struct group_chain *ret_chain)
{
    const struct format_group *raw = (const struct format_group *)bytes;
    if (le64_load(&raw->address) != address) {
        return false;
    }
    for (uint32_t i = 0; i < seeds->count; i++) {
        struct group_header header;
        if (group_decode(bytes, address, seeds->seed[i], verify->scan.uuid_seed,
                         verify->control.segment_bytes, &header) == GROUP_OK) {
            bool epoch = header.kind == FORMAT_GROUP_EPOCH;
            *ret_chain = (struct group_chain){
                .next_lsn = header.first_lsn,
                .time_ns = header.time_ns,
                .epoch = epoch && header.epoch > 0 ? header.epoch - 1 : seeds->epoch[i],
                .seed = seeds->seed[i],
                .crc = header.chain,
            };
            return true;
        }
    }
    return false;
}

/* MORE_BEHIND with walk at the next group whose header is valid by itself; 0: there is none in this
 * file; -errno. It must not go back, unless nothing was met yet: the first retained LSN may lie in
 * the middle of a group. */
static int find_group(struct verify *verify, struct scan_walk *walk, uint64_t from)
{
    struct seeds seeds = possible_seeds(verify);
    uint64_t base = verify->ordinal * verify->control.segment_bytes;
    for (uint64_t offset = from; offset < verify->control.segment_bytes;
         offset += verify->scan.block_bytes) {
        const uint8_t *bytes;
        int rc = scan_bytes(&verify->scan, offset, FORMAT_GROUP_HEADER_BYTES, &bytes);
        if (rc == WEIR_E_CUT_SHORT) {
            return 0;
        }
        if (rc < 0 && !scan_is_medium_error(rc)) {
            return rc;
        }
        struct group_chain chain;
        if (rc == 0 && decode_under(verify, bytes, base + offset, &seeds, &chain) &&
            (chain.next_lsn >= verify->chain.next_lsn || verify->latest == WEIR_LSN_NONE)) {
            *walk = (struct scan_walk){.chain = chain, .offset = (uint32_t)offset};
            return MORE_BEHIND;
        }
    }
    return 0;
}

static struct weir_finding describe_fault(const struct verify *verify, const struct scan_walk *walk)
{
    const char *code = group_fault_code(walk->fault);
    const char *text = group_fault_text(walk->fault);
    if (walk->end == SCAN_UNREADABLE) {
        bool is_short = walk->error == WEIR_E_CUT_SHORT;
        code = is_short ? "cut-short" : "medium-error";
        text = is_short ? "the file ends here, before the segment does"
                        : "the medium cannot read the group";
    }
    return verify_finding(code, verify->ordinal, walk->offset, "%s, behind LSN %" PRIu64, text,
                          walk->chain.next_lsn - 1);
}

/* MORE_BEHIND: the walk may go on; 0: this segment is done; -errno. */
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
        rc = pass_damaged_body(verify, walk);
        verify->chain = walk->chain;
        return rc < 0 ? rc : (walk->end == SCAN_SEALED ? 0 : MORE_BEHIND);
    }
    struct weir_finding finding = describe_fault(verify, walk);
    open_damage(verify, &finding);
    spoil_directory(verify);
    rc = find_group(verify, walk, walk->offset + verify->scan.block_bytes);
    if (rc == MORE_BEHIND) {
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
    return rc < 0 ? rc : scan_walk(&verify->scan, walk, each_group, verify);
}

static int walk_groups(struct verify *verify, struct scan_walk *walk)
{
    int rc = MORE_BEHIND;
    while (rc == MORE_BEHIND) {
        rc = scan_walk(&verify->scan, walk, each_group, verify);
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
        return verify->ordinal == verify->last_ordinal;
    }
    return verify->tail_known && !verify->control.clean &&
           verify->ordinal == verify->tail_address / verify->control.segment_bytes;
}

/* 1: groups can be walked from *walk; 0: not, or this is the tail; -errno. */
static int begin_segment(struct verify *verify, const struct inventory_segment *file,
                         struct scan_walk *walk)
{
    const struct segment_header *header = header_of(verify, verify->ordinal);
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
        return 1;
    }
    int rc = is_tail(verify, walk);
    if (rc != 0) {
        verify->ended = rc > 0;
        return rc < 0 ? rc : 0;
    }
    struct weir_finding finding = verify_finding("segment-header", verify->ordinal, 0,
                                                 "the header is not valid in either copy");
    if (verify->in_step && verify->chain.crc != 0) {
        verify_report(verify, &finding, true); /* the chain leads on without it; opening refuses */
        return 1;
    }
    open_damage(verify, &finding);
    spoil_directory(verify);
    rc = find_group(verify, walk, FORMAT_SEGMENT_HEADER_BYTES);
    if (rc == MORE_BEHIND) {
        close_damage(verify, walk->chain.next_lsn);
    }
    return rc < 0 ? rc : rc == MORE_BEHIND;
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
    }
    scan_close(&verify->scan);
    return rc;
}

/* ---- all of them ---- */

/* A writer may have truncated meanwhile. */
static bool was_dropped(struct verify *verify)
{
    struct control now;
    if (!verify->live_writer || control_load(verify->medium, &now, NULL) < 0 ||
        now.first_ordinal <= verify->ordinal) {
        return false;
    }
    verify->control.first_lsn = now.first_lsn;
    verify->control.first_ordinal = now.first_ordinal;
    verify->in_step = false;
    return true;
}

static void report_missing(struct verify *verify)
{
    struct weir_finding finding =
        verify_finding("segment-missing", verify->ordinal, UINT64_MAX, "the file is missing");
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
        report_range(verify, &verify->damage, from, control->witness_lsn);
    } else if (verify->has_control && control->clean) {
        verify->damage.from_lsn = verify->damage.to_lsn = WEIR_LSN_NONE;
        verify_report(verify, &verify->damage, true);
    } else {
        report_range(verify, &verify->damage, from, UINT64_MAX);
    }
}

/* The last segment that anything says was written. */
static uint64_t find_last_ordinal(const struct verify *verify)
{
    const struct control *control = &verify->control;
    uint64_t last = control->first_ordinal;
    for (uint32_t i = 0; i < verify->inventory.count; i++) {
        const struct inventory_segment *segment = &verify->inventory.segments[i];
        if (segment->header_result == 0 && segment->ordinal > last) {
            last = segment->ordinal;
        }
    }
    uint64_t witness = control->witness_address / control->segment_bytes;
    bool holds_groups =
        control->witness_address % control->segment_bytes > FORMAT_SEGMENT_HEADER_BYTES;
    return holds_groups && witness > last ? witness : last;
}

int verify_walk(struct verify *verify)
{
    verify->last_ordinal = find_last_ordinal(verify);
    verify->chain = (struct group_chain){.next_lsn = verify->control.first_lsn};
    /* One more than the last: where a segment was sealed, the next may have lost its header. */
    for (verify->ordinal = verify->control.first_ordinal;
         verify->ordinal <= verify->last_ordinal + 1 && !verify->ended && verify->stopped == 0;
         verify->ordinal++) {
        const struct inventory_segment *file = inventory_find(&verify->inventory, verify->ordinal);
        if (file == NULL && was_dropped(verify)) {
            continue;
        }
        bool behind_last = verify->ordinal > verify->last_ordinal;
        if (file == NULL && behind_last && (verify->live_writer || verify->pending)) {
            break;
        }
        if (file == NULL) {
            report_missing(verify);
            continue;
        }
        int rc = read_segment(verify, file);
        if (rc == -ENOENT && was_dropped(verify)) {
            continue;
        }
        if (rc < 0) {
            return rc;
        }
    }
    close_at_end(verify);
    return 0;
}
