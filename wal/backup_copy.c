/*
 * Backup: from group to group of the source.
 *
 * Happy path: a cursor that shows everything enters a group, which is checked where this memory was
 * not checked before; each of its records is checked once more as it is copied, since the memory
 * may be a window that was written an hour ago; the group's time goes with them.
 *
 * Failure modes: what the cursor meets (damage, a file that is cut, truncation where no hold could
 * be set), with its LSNs; a record that is no longer what it was (WEIR_E_DAMAGED); those of the
 * writer; what progress returned.
 *
 * Invariant: a record is written only when its checksum, and the LSN that it carries, are right
 * here and now.
 */
#include "wal/backup.h"

#define PROGRESS_BYTES ((uint64_t)4 << 20)

/* ---- one record ---- */

static int refuse_record(struct backup *backup, const struct cursor_place *place, const uint8_t *at,
                         weir_lsn lsn)
{
    char name[FORMAT_NAME_BYTES];
    uint64_t offset = (uint64_t)(at - place->walk.segment->base);
    format_segment_name(place->walk.segment->ordinal, name);
    int rc = log_error(backup->why, WEIR_E_DAMAGED, name, offset,
                       "%s, offset %llu: LSN %llu is not what was appended, so it is not copied",
                       name, (unsigned long long)offset, (unsigned long long)lsn);
    return log_error_range(backup->why, rc, lsn, lsn);
}

/* The record's stride; 0 when it is not whole. */
static uint32_t check_record(const struct backup *backup, const struct format_record *record,
                             uint64_t room, weir_lsn lsn)
{
    uint32_t size = le32_load(&record->size);
    if (size < FORMAT_RECORD_HEADER_BYTES || format_align(size, FORMAT_RECORD_ALIGN) > room ||
        !salvage_write_fits(&backup->target.writer, size - FORMAT_RECORD_HEADER_BYTES)) {
        return 0;
    }
    uint32_t stride = (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
    bool whole = group_record_is_whole(record, lsn) &&
                 scan_is_zero((const uint8_t *)record + size, stride - size);
    return whole ? stride : 0;
}

/* How many LSNs it stands for: in a compacted segment a gap for all of its own. */
static uint32_t lsns_of(const struct backup *backup, const struct format_record *record)
{
    bool gap = (le16_load(&record->flags) & WEIR_RECORD_GAP) != 0;
    uint32_t user = le32_load(&record->user);
    return gap && backup->target.writer.is_sparse && user > 0 ? user : 1;
}

static void count_record(struct backup *backup, const struct format_record *record)
{
    struct weir_backup_report *report = backup->report;
    if ((le16_load(&record->flags) & WEIR_RECORD_GAP) != 0) {
        report->gap_lsns += lsns_of(backup, record);
        return;
    }
    report->records++;
    report->payload_bytes += le32_load(&record->size) - FORMAT_RECORD_HEADER_BYTES;
}

/* Of the record at `at`: in a compacted segment it may say so itself. */
static weir_lsn lsn_of(const struct backup *backup, const struct format_record *record,
                       weir_lsn lsn)
{
    bool says = backup->target.writer.is_sparse &&
                (le16_load(&record->flags) & FORMAT_RECORD_NUMBERED) != 0 &&
                le32_load(&record->size) >= FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES;
    return says ? format_record_number(record) : lsn;
}

/* ---- one group ---- */

static int copy_record(struct backup *backup, const struct cursor_place *place, const uint8_t *at,
                       weir_lsn *lsn, uint32_t *ret_stride)
{
    struct salvage_writer *writer = &backup->target.writer;
    const struct format_record *record = (const struct format_record *)at;
    uint64_t room = (uint64_t)(place->end - at);
    uint32_t stride = 0;
    if (room >= FORMAT_RECORD_HEADER_BYTES) {
        *lsn = lsn_of(backup, record, *lsn);
        stride = check_record(backup, record, room, *lsn);
    }
    if (stride == 0 || *lsn < writer->next_lsn || *lsn >= place->end_lsn) {
        return refuse_record(backup, place, at, *lsn);
    }
    if (writer->is_sparse) {
        salvage_write_skip(writer, *lsn);
    }
    count_record(backup, record);
    uint32_t lsns = lsns_of(backup, record);
    int rc = salvage_write_record(writer, record);
    writer->next_lsn += lsns - 1;
    *lsn += lsns;
    *ret_stride = stride;
    return rc;
}

/* The rest of the group in which the cursor stands. */
static int copy_group(struct backup *backup, struct cursor_place *place)
{
    struct salvage_writer *writer = &backup->target.writer;
    weir_lsn lsn = place->lsn;
    int rc = 0;
    salvage_write_group(writer, place->time_ns);
    for (const uint8_t *at = place->at; rc == 0 && at < place->end;) {
        uint32_t stride = 0;
        rc = copy_record(backup, place, at, &lsn, &stride);
        at += stride;
    }
    rc = rc < 0 ? rc : salvage_write_end_group(writer);
    backup->report->groups++;
    backup->bytes += (uint64_t)(place->end - place->at);
    place->at = place->end;
    place->lsn = place->end_lsn;
    return rc;
}

/* ---- compacted segments ---- */

static int leave_compacted(struct backup *backup)
{
    backup->compacted = 0;
    return backup->target.writer.is_sparse ? salvage_write_leave(&backup->target.writer) : 0;
}

/* LSNs go on at `lsn` in an ordinary segment. What is missing in front of it was in a compacted one
 * of which nothing was kept, so that the cursor went through it without a stop. */
static int end_at(struct backup *backup, weir_lsn lsn)
{
    struct salvage_writer *writer = &backup->target.writer;
    int rc = leave_compacted(backup);
    if (rc == 0 && lsn > writer->next_lsn) {
        rc = salvage_write_compacted(writer, lsn - 1);
        rc = rc < 0 ? rc : salvage_write_leave(writer);
    }
    return rc;
}

/* What the group goes to: a compacted segment of the source is one of the copy. */
static int follow_segment(struct backup *backup, const struct cursor_place *place)
{
    const struct wal_segment *segment = place->walk.segment;
    if (!segment_is_compacted(segment)) {
        return end_at(backup, place->lsn);
    }
    if (segment->ordinal == backup->compacted) {
        return 0;
    }
    int rc = end_at(backup, segment->start.next_lsn);
    if (rc == 0) {
        backup->compacted = segment->ordinal;
        rc = salvage_write_compacted(&backup->target.writer, segment->last_lsn);
    }
    return rc;
}

static int tell_progress(struct backup *backup, weir_lsn next)
{
    const struct weir_backup_options *options = backup->options;
    if (options->progress == NULL || backup->bytes < backup->told_bytes + PROGRESS_BYTES) {
        return 0;
    }
    backup->told_bytes = backup->bytes;
    struct weir_backup_progress progress = {
        .records = backup->report->records,
        .bytes = backup->bytes,
        .lsn = next - 1,
        .to = backup->to,
    };
    return options->progress(options->context, &progress);
}

/* ---- all of them ---- */

static int take_error(struct backup *backup, struct weir_cursor *cursor, int rc)
{
    if (backup->why != NULL && cursor->error.code == rc) {
        size_t size = backup->why->size;
        *backup->why = cursor->error;
        backup->why->size = size;
    }
    return rc;
}

static int copy_groups(struct backup *backup, struct weir_cursor *cursor)
{
    struct cursor_place *place = &cursor->place;
    int rc = 0;
    while (rc == 0 && place->lsn <= backup->to) {
        rc = cursor_advance(cursor, false);
        if (rc < 0) {
            return take_error(backup, cursor, rc);
        }
        if (rc == 0 && place->lsn > backup->to) {
            break; /* behind what compaction has dropped */
        }
        if (rc == 0) { /* nobody takes back what was durable */
            return log_error(backup->why, WEIR_E_LOST, NULL, UINT64_MAX,
                             "LSN %llu was durable and is not there any more",
                             (unsigned long long)place->lsn);
        }
        rc = follow_segment(backup, place);
        rc = rc < 0 ? rc : copy_group(backup, place);
        rc = rc < 0 ? rc : tell_progress(backup, place->lsn);
    }
    return rc == 0 ? end_at(backup, place->lsn) : rc;
}

int backup_copy(struct backup *backup)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    options.from = WEIR_FROM_LSN;
    options.lsn = backup->first;
    options.with_void = options.with_gaps = options.compacted = true;
    int rc = weir_cursor_open(backup->log, &options, &cursor);
    if (rc < 0) {
        return log_error(backup->why, rc, NULL, UINT64_MAX,
                         "the source cannot be read from LSN %llu on: %s",
                         (unsigned long long)backup->first, weir_error_text(rc));
    }
    rc = copy_groups(backup, cursor);
    weir_cursor_close(cursor);
    return rc;
}
