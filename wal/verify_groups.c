/*
 * Verification of groups: counting what is whole, and what a damaged body costs.
 *
 * Happy path: each group of the walk is counted record by record and handed to salvage, if that
 * reads; the seal is compared with what was counted.
 *
 * A group whose header is right and whose body is not still says where it ends and which LSNs it
 * holds; when its record headers are right, each record is checked alone.
 */
#include "wal/verify.h"

#include "base/crc32c.h"
#include "wal/finding.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Records below the first LSN were dropped: damage to them costs nothing. */
void verify_report_range(struct verify *verify, struct weir_finding *finding, weir_lsn from,
                         weir_lsn to)
{
    weir_lsn first = verify->control.first_lsn;
    bool costs = to >= from && to >= first;
    finding->from_lsn = costs ? (from > first ? from : first) : 0;
    finding->to_lsn = costs ? to : 0;
    verify_report(verify, finding, costs);
}

void verify_open_damage(struct verify *verify, const struct weir_finding *finding, weir_lsn from)
{
    if (!verify->pending) {
        verify->pending = true;
        verify->damage = *finding;
        verify->damage.from_lsn = from;
    }
}

void verify_close_damage(struct verify *verify, weir_lsn next_lsn)
{
    if (verify->pending) {
        verify->pending = false;
        verify_report_range(verify, &verify->damage, verify->damage.from_lsn, next_lsn - 1);
    }
}

/* ---- whole groups ---- */

/* A gap that an earlier salvage wrote: one note for all of its records. A sparse one has one
 * record.
 */
static void note_gap(struct verify *verify, const struct format_record *record, weir_lsn lsn,
                     uint32_t offset)
{
    uint32_t left = le32_load(&record->user);
    bool sparse = format_is_compacted(verify->ordinal);
    verify->report->gap_lsns += sparse && left > 0 ? left : 1;
    if (lsn <= verify->gap_end) {
        return;
    }
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

/* Of a group whose records are whole. */
static void count_records(struct verify *verify, const struct group_header *header,
                          const uint8_t *bytes, uint32_t group_offset)
{
    uint32_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < header->record_count; i++) {
        const struct format_record *record = (const struct format_record *)(bytes + offset);
        count_record(verify, record, group_record_lsn(header, i, record), group_offset + offset);
        offset += (uint32_t)format_align(le32_load(&record->size), FORMAT_RECORD_ALIGN);
    }
}

/* Records that were met before, under other bytes perhaps: they are of another copy of the log, and
 * neither counted nor trusted. Once for each run of them. */
static void check_overlap(struct verify *verify, const struct group_header *header, uint32_t offset)
{
    /* What a live writer has compacted since it was read is met again in another file. */
    bool moved = verify->live_writer && group_is_sparse(header);
    bool again = header->record_count > 0 && header->first_lsn <= verify->latest && !moved;
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
    weir_lsn last = group_next_lsn(header) - 1;
    verify->latest = last > verify->latest ? last : verify->latest;
    return verify->keep != NULL ? verify->keep(verify->context, header, bytes, whole) : 0;
}

/* A seal with a right checksum around wrong numbers. */
static void check_seal(struct verify *verify, const struct scan_group *group)
{
    const struct format_seal *seal =
        (const struct format_seal *)(group->bytes + FORMAT_GROUP_HEADER_BYTES);
    const struct scan_directory *walked = &verify->directory;
    bool sparse = group_is_sparse(&group->header);
    uint64_t body = sparse ? format_sparse_seal_body_bytes(walked->records)
                           : format_seal_body_bytes(walked->records);
    const struct format_directory_entry *entries =
        (const struct format_directory_entry *)(seal + 1);
    bool agrees = le64_load(&seal->record_count) == walked->records &&
                  le64_load(&seal->payload_bytes) == walked->payload_bytes &&
                  le32_load(&seal->entry_count) == walked->count &&
                  group->header.size_bytes == FORMAT_GROUP_HEADER_BYTES + body &&
                  (walked->count == 0 ||
                   (memcmp(entries, walked->entries, walked->count * sizeof *entries) == 0 &&
                    (!sparse || memcmp(entries + walked->count, walked->lsns,
                                       walked->count * sizeof *walked->lsns) == 0)));
    if (!agrees) {
        struct weir_finding finding =
            verify_finding("seal", verify->ordinal, group->offset,
                           "the seal's directory does not agree with the segment's groups");
        verify_report(verify, &finding, false);
    }
}

int verify_each_group(void *context, const struct scan_group *group)
{
    struct verify *verify = context;
    uint64_t address = group->header.address;
    bool behind_tail = verify->tail_known && address >= verify->tail_address &&
                       !format_is_compacted(verify->ordinal);
    if (verify->stopped != 0 || behind_tail) {
        return 1;
    }
    verify_close_damage(verify, group->header.first_lsn);
    bool whole_so_far = verify->directory.first_time_ns != UINT64_MAX;
    if (whole_so_far && group->header.kind == FORMAT_GROUP_SEAL) {
        check_seal(verify, group);
    }
    if (whole_so_far && scan_directory_add(&verify->directory, group) < 0) {
        return -ENOMEM;
    }
    check_overlap(verify, &group->header, group->offset);
    count_records(verify, &group->header, group->bytes, group->offset);
    verify->report->groups++;
    return hand_over(verify, &group->header, group->bytes, true);
}

/* From here on the segment's directory cannot be compared. */
void verify_spoil_directory(struct verify *verify)
{
    verify->directory.first_time_ns = UINT64_MAX;
}

/* ---- behind a damaged body ---- */

/* Bytes that must be zero are not, behind records that pass their checksums: those are whole, and
 * salvage copies them. A cursor refuses what is not as it was written, so the log is not ok. Below
 * the first LSN nobody reads. */
static void report_padding(struct verify *verify, uint32_t offset, weir_lsn from, weir_lsn to)
{
    weir_lsn first = verify->control.first_lsn;
    bool refused = to >= from && to >= first;
    struct weir_finding finding =
        verify_finding("padding", verify->ordinal, offset, "bytes that must be zero are not");
    if (refused) {
        snprintf(finding.text, sizeof finding.text,
                 "bytes that must be zero are not: readers refuse LSNs %" PRIu64 " to %" PRIu64
                 ", a salvage copies them",
                 from > first ? from : first, to);
    }
    verify_report(verify, &finding, refused);
}

static void report_record(struct verify *verify, uint32_t offset, weir_lsn from, weir_lsn to,
                          const char *what)
{
    struct weir_finding finding = verify_finding("record-crc", verify->ordinal, offset, "%s", what);
    verify_report_range(verify, &finding, from, to);
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
    weir_lsn before = header->first_lsn - 1;
    for (uint32_t i = 0; i < header->record_count; i++) {
        const struct format_record *record = (const struct format_record *)(bytes + offset);
        uint32_t size = le32_load(&record->size);
        uint32_t stride = (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
        weir_lsn lsn = group_likely_lsn(header, i, record, before);
        bool whole = group_record_is_whole(record, lsn);
        weir_lsn to = group_to_lsn(header, i, record, lsn);
        if (!whole) {
            report_record(verify, walk->offset + offset, lsn, to, "the payload fails its checksum");
        } else {
            count_record(verify, record, lsn, walk->offset + offset);
        }
        if (whole && !scan_is_zero(bytes + offset + size, stride - size)) {
            report_padding(verify, walk->offset + offset, lsn, to);
        }
        before = to;
        offset += stride;
    }
    return hand_over(verify, header, bytes, false);
}

/* The records are right, the zeros behind the last of them are not. */
static int keep_unpadded(struct verify *verify, const struct scan_walk *walk)
{
    const struct group_header *header = &walk->refused;
    const uint8_t *bytes;
    report_padding(verify, walk->offset, header->first_lsn, group_next_lsn(header) - 1);
    int rc = scan_bytes(&verify->scan, walk->offset, header->size_bytes, &bytes);
    if (rc < 0) {
        return rc;
    }
    count_records(verify, header, bytes, walk->offset);
    return hand_over(verify, header, bytes, true);
}

/* The last record of a sparse group may have been a gap, whose length is lost with it: then all up
 * to the next group may be. */
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
    if (group_is_sparse(header) && header->kind == FORMAT_GROUP_DATA) {
        verify_open_damage(verify, &finding, header->first_lsn);
        return;
    }
    verify_report_range(verify, &finding, header->first_lsn, group_next_lsn(header) - 1);
}

/* The header is right and in place, the body is not. The walk goes on behind it. */
int verify_pass_body(struct verify *verify, struct scan_walk *walk)
{
    bool of_data = walk->end == SCAN_INVALID && walk->refused.kind == FORMAT_GROUP_DATA;
    bool unpadded = of_data && walk->fault == GROUP_PADDING;
    int rc = 0;
    if (unpadded && walk->fault_record == walk->refused.record_count) {
        rc = keep_unpadded(verify, walk);
    } else if (unpadded || (of_data && walk->fault == GROUP_PAYLOAD_CRC)) {
        rc = check_records(verify, walk);
    } else {
        report_body(verify, walk);
    }
    verify_spoil_directory(verify);
    group_chain_advance(&walk->chain, NULL, &walk->refused);
    if (walk->refused.kind == FORMAT_GROUP_SEAL) {
        walk->end = SCAN_SEALED;
        walk->seal_offset = walk->offset;
    }
    walk->offset += (uint32_t)format_align(walk->refused.size_bytes, verify->scan.block_bytes);
    return rc;
}
