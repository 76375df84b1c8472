/*
 * Salvage: copying what verification hands over.
 *
 * Happy path: the first group decides where the new log begins; each group is written as a group,
 * with its time; where LSNs are missing in front of it or in it, gaps stand for them. The end is
 * what CONTROL and the findings say was durable.
 *
 * Failure modes: those of the writer; what the watcher returned.
 *
 * Invariant: a record is copied only when its payload's checksum is right here and now, whatever
 * was handed over; everything else is a gap.
 */
#include "wal/salvage.h"

#include "base/random.h"
#include "wal/log.h"
#include "wal/options.h"

#define PROGRESS_BYTES ((uint64_t)4 << 20)

/* ---- groups ---- */

int salvage_new_identity(struct control *control, uint32_t block_bytes)
{
    control->layout++;
    control->generation = 0;
    control->first_ordinal = FORMAT_FIRST_ORDINAL;
    control->block_bytes = block_bytes;
    control->compact_next = control->compact_first = control->compact_last = 0;
    int rc = base_random_bytes(control->uuid, sizeof control->uuid);
    return rc < 0 ? rc : base_random_bytes(&control->seed, sizeof control->seed);
}

/* Above those that CONTROL and the headers name. */
static int new_control(const struct salvage *salvage, struct control *control)
{
    const struct verify *verify = &salvage->verify;
    uint64_t epoch = verify->has_control ? control->epoch : 0;
    for (uint32_t i = 0; i < verify->inventory.count; i++) {
        const struct inventory_segment *segment = &verify->inventory.segments[i];
        bool newer = segment->header_result == 0 && segment->header.epoch > epoch;
        epoch = newer ? segment->header.epoch : epoch;
    }
    control->epoch = epoch + 1;
    if (!verify->has_control) { /* the largest that the source can have had */
        control->group_bytes = control->run_ahead_bytes / 4;
        control->record_bytes = options_largest_record(control->group_bytes);
    }
    return salvage_new_identity(control, salvage->target.medium->info.block_bytes);
}

/* The first LSN of the new log is known: that of the first retained record, or of its group. */
static int start_writing(struct salvage *salvage, weir_lsn base_lsn)
{
    struct wal_limits limits;
    struct control control = salvage->verify.control;
    int rc = new_control(salvage, &control);
    rc = rc < 0 ? rc
                : options_apply(&salvage->target.options, &control, &salvage->target.medium->info,
                                &limits, salvage->why);
    return rc < 0 ? rc
                  : salvage_write_start(&salvage->target.writer, salvage->target.medium, &control,
                                        base_lsn);
}

static bool is_whole(const struct salvage_writer *writer, const struct format_record *record,
                     weir_lsn lsn)
{
    uint32_t payload = le32_load(&record->size) - FORMAT_RECORD_HEADER_BYTES;
    return group_record_is_whole(record, lsn) && salvage_write_fits(writer, payload);
}

static const struct format_record *record_behind(const struct format_record *record)
{
    uint64_t stride = format_align(le32_load(&record->size), FORMAT_RECORD_ALIGN);
    return (const struct format_record *)((const uint8_t *)record + stride);
}

static void count_record(struct salvage *salvage, const struct format_record *record, weir_lsn lsn)
{
    bool gap = (le16_load(&record->flags) & WEIR_RECORD_GAP) != 0; /* of an earlier salvage */
    if (lsn >= salvage->target.writer.control.first_lsn && !gap) {
        salvage->report->records++;
        salvage->report->payload_bytes += le32_load(&record->size) - FORMAT_RECORD_HEADER_BYTES;
    }
}

/* The group's records from the writer's next LSN on; runs of damaged ones become gaps. */
static int copy_records(struct salvage *salvage, const struct group_header *header,
                        const uint8_t *bytes)
{
    struct salvage_writer *writer = &salvage->target.writer;
    const struct format_record *record =
        (const struct format_record *)(bytes + FORMAT_GROUP_HEADER_BYTES);
    weir_lsn last = header->first_lsn + header->record_count - 1;
    weir_lsn bad_to = WEIR_LSN_NONE; /* a run of damaged records from next_lsn on */
    int rc = 0;
    for (weir_lsn lsn = header->first_lsn; lsn <= last && rc == 0; lsn++) {
        bool whole = is_whole(writer, record, lsn);
        if (whole && bad_to != WEIR_LSN_NONE) {
            rc = salvage_gap(salvage, bad_to, salvage_reason_for(salvage, writer->next_lsn), false);
            bad_to = WEIR_LSN_NONE;
        }
        if (!whole && lsn >= writer->next_lsn) {
            bad_to = lsn;
        } else if (rc == 0 && lsn == writer->next_lsn) {
            rc = salvage_write_record(writer, record);
            count_record(salvage, record, lsn);
        }
        record = record_behind(record);
    }
    if (rc == 0 && bad_to != WEIR_LSN_NONE) {
        rc = salvage_gap(salvage, bad_to, salvage_reason_for(salvage, writer->next_lsn), false);
    }
    return rc;
}

/* The same where records carry their LSNs: what lies between two of them was dropped, and of a
 * damaged one the LSNs are what verification takes them for. A gap among them stays as long as it
 * was: whoever accepted it has accepted that much. */
static int copy_sparse_records(struct salvage *salvage, const struct group_header *header,
                               const uint8_t *bytes)
{
    struct salvage_writer *writer = &salvage->target.writer;
    const struct format_record *record =
        (const struct format_record *)(bytes + FORMAT_GROUP_HEADER_BYTES);
    weir_lsn before = header->first_lsn - 1;
    int rc = 0;
    for (uint32_t i = 0; i < header->record_count && rc == 0; i++) {
        weir_lsn lsn = group_likely_lsn(header, i, record, before);
        bool whole = is_whole(writer, record, lsn);
        before = group_to_lsn(header, i, record, lsn);
        if (lsn >= writer->next_lsn) {
            salvage_write_skip(writer, lsn);
            if (whole) {
                rc = salvage_write_record(writer, record);
                writer->next_lsn = before + 1;
                count_record(salvage, record, lsn);
            } else {
                rc = salvage_gap(salvage, before, salvage_reason_for(salvage, lsn), false);
            }
        }
        record = record_behind(record);
    }
    return rc;
}

/* A compacted segment of the source: one of the new log, with the same LSNs. */
static int enter_compacted(struct salvage *salvage, const struct segment_header *header)
{
    struct salvage_writer *writer = &salvage->target.writer;
    weir_lsn first = salvage->verify.control.first_lsn;
    int rc = 0;
    if (!writer->started) {
        rc = start_writing(salvage, header->base_lsn < first ? header->base_lsn : first);
    }
    if (rc == 0 && header->base_lsn > writer->next_lsn) {
        rc = salvage_fill_gap(salvage, header->base_lsn - 1);
    }
    if (rc == 0 && header->last_lsn >= writer->next_lsn) {
        rc = salvage_write_compacted(writer, header->last_lsn);
    }
    return rc;
}

static int leave_compacted(struct salvage *salvage)
{
    struct salvage_writer *writer = &salvage->target.writer;
    if (!writer->is_sparse) {
        return 0; /* its LSNs were met before */
    }
    int rc = salvage_fill_lost(salvage, writer->sparse.header.last_lsn);
    rc = rc != 0 ? rc : salvage_write_leave(writer);
    return rc != 0 ? rc : salvage_drop_reasons(salvage, writer->next_lsn);
}

int salvage_compacted(void *context, const struct segment_header *header, bool leaves)
{
    struct salvage *salvage = context;
    return leaves ? leave_compacted(salvage) : enter_compacted(salvage, header);
}

static int tell_progress(struct salvage *salvage)
{
    const struct weir_salvage_watch *watch = salvage->watch;
    uint64_t read_bytes = salvage->verify.scan.read_bytes;
    if (watch == NULL || watch->progress == NULL ||
        read_bytes < salvage->told_bytes + PROGRESS_BYTES) {
        return 0;
    }
    salvage->told_bytes = read_bytes;
    return watch->progress(watch->context, read_bytes, salvage->target.writer.next_lsn - 1);
}

static int copy_group(struct salvage *salvage, const struct group_header *header,
                      const uint8_t *bytes)
{
    struct salvage_writer *writer = &salvage->target.writer;
    weir_lsn first = salvage->verify.control.first_lsn;
    int rc = 0;
    if (!writer->started) {
        rc = start_writing(salvage, header->first_lsn < first ? header->first_lsn : first);
    }
    bool sparse = group_is_sparse(header);
    if (sparse && !writer->is_sparse) {
        return rc; /* its LSNs were met before */
    }
    if (rc == 0 && header->first_lsn > writer->next_lsn) {
        rc = sparse ? salvage_fill_lost(salvage, header->first_lsn - 1)
                    : salvage_fill_gap(salvage, header->first_lsn - 1);
    }
    if (rc == 0) {
        salvage_write_group(writer, header->time_ns);
        rc = sparse ? copy_sparse_records(salvage, header, bytes)
                    : copy_records(salvage, header, bytes);
    }
    rc = rc != 0 ? rc : salvage_write_end_group(writer);
    rc = rc != 0 ? rc : salvage_drop_reasons(salvage, writer->next_lsn);
    return rc != 0 ? rc : tell_progress(salvage);
}

/* From verification. What a watcher returned must end the walk, whatever its sign. */
int salvage_keep_group(void *context, const struct group_header *header, const uint8_t *bytes,
                       bool whole)
{
    struct salvage *salvage = context;
    (void)whole; /* each record is looked at */
    if (group_next_lsn(header) <= salvage->verify.control.first_lsn) {
        return 0; /* truncated */
    }
    int rc = copy_group(salvage, header, bytes);
    if (rc > 0) {
        salvage->verify.stopped = rc;
    }
    return rc;
}

/* ---- the end ---- */

/* A finding without an end: a file is gone, and nothing tells how many records were in it. */
static struct reason *open_end(struct salvage *salvage)
{
    for (size_t i = 0; i < salvage->reason_count; i++) {
        if (salvage->reasons[i].finding.to_lsn == UINT64_MAX) {
            return &salvage->reasons[i];
        }
    }
    return NULL;
}

/* The last LSN of which anything says that it was durable: CONTROL, a finding, or a gap of an
 * earlier salvage, whose first records say how far it goes. */
static weir_lsn last_known(const struct salvage *salvage)
{
    const struct verify *verify = &salvage->verify;
    weir_lsn known = verify->has_control ? verify->control.witness_lsn : WEIR_LSN_NONE;
    known = verify->gap_end > known ? verify->gap_end : known;
    for (size_t i = 0; i < salvage->reason_count; i++) {
        weir_lsn to = salvage->reasons[i].finding.to_lsn;
        known = to != UINT64_MAX && to > known ? to : known;
    }
    return known;
}

/* What is behind the last record that was copied, as far as anything says that it was durable. Of
 * what has no known end the first LSN becomes a gap, so that no reader passes it unknowingly. */
int salvage_fill_end(struct salvage *salvage)
{
    struct salvage_writer *writer = &salvage->target.writer;
    int rc = !writer->started ? start_writing(salvage, salvage->verify.control.first_lsn) : 0;
    weir_lsn known = last_known(salvage);
    if (rc == 0 && known >= writer->next_lsn) {
        rc = salvage_fill_gap(salvage, known);
    }
    struct reason *reason = rc == 0 ? open_end(salvage) : NULL;
    if (reason != NULL) {
        salvage->report->open_end = true;
        salvage_write_group(writer, 0);
        rc = salvage_gap(salvage, writer->next_lsn, reason, true);
        rc = rc != 0 ? rc : salvage_write_end_group(writer);
    }
    return rc != 0 ? rc : salvage_drop_reasons(salvage, UINT64_MAX);
}
