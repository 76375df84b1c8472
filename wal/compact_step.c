/*
 * One step of compaction: a run of sealed segments becomes one.
 *
 * Happy path
 *   1. pin the run and its successor; the header of the first says what the run continues from,
 *      that of the successor what it ends with
 *   2. copy what is kept into a file with an ordinal of its own; sync it and its name
 *   3. map that file and check every byte of it, as it lies on the medium
 *   4. with holds/.lock and control_lock: no hold is in the way and nobody has truncated the run;
 *      CONTROL says that the new segment counts, and the horizon; marks; the table
 *   5. tell the engine the new addresses, let go of the run, dispose of its files
 *
 * What a crash leaves: before 4 a file that CONTROL does not count, which the next writer takes for
 * the reserve or removes; behind it files inside the run of a segment that counts, which it
 * removes. In 4 CONTROL is the old or the new one.
 *
 * Failure modes: before 4 nothing has happened, and the file is dropped. In 4 the outcome of a
 * failed write is unknown, so the log is poisoned, as by truncation, and no file is touched.
 *
 * Invariants: CONTROL's witness lies behind the run afterwards, in a segment that has ordinary
 * addresses; marks move before the table does, so that whoever finds the new segment knows of it.
 */
#include "wal/compact.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "wal/hold.h"
#include "wal/live.h"
#include "wal/sparse_write.h"

#include <errno.h>

struct step {
    struct compaction *compaction;
    struct weir_log *log;
    struct wal_segment **old; /* pinned */
    uint32_t count;
    struct wal_segment *behind; /* pinned */
    struct segment_header header;
    struct wal_segment *made; /* pinned once it is readable; in the table since the switch */
    bool switched;
    struct compact_made *result;
};

/* ---- the run ---- */

static int pin_run(struct step *step, const uint64_t *ordinals)
{
    struct weir_error *why = step->compaction->why;
    uint32_t wanted = step->count;
    step->count = 0;
    for (uint32_t i = 0; i < wanted; i++) {
        int rc = segment_pin_ordinal(step->log, ordinals[i], &step->old[i], why);
        if (rc < 0) {
            return rc == WEIR_E_TRUNCATED ? 1 : rc;
        }
        step->count++;
    }
    int rc = segment_pin_next(step->log, step->old[wanted - 1], &step->behind, why);
    return rc == WEIR_E_TRUNCATED ? 1 : rc;
}

static int header_of(const struct step *step, const struct wal_segment *segment,
                     struct segment_header *ret_header)
{
    return segment_header_decode(segment->base, step->log->control.uuid, segment->ordinal,
                                 ret_header);
}

static int make_header(struct step *step)
{
    struct segment_header first, behind;
    const struct wal_segment *last = step->old[step->count - 1];
    if (step->log->control.compact_next + 1 >= FORMAT_COMPACTED_ORDINAL) {
        return -EFBIG; /* ordinals are used up */
    }
    int rc = header_of(step, step->old[0], &first);
    rc = rc < 0 ? rc : header_of(step, step->behind, &behind);
    if (rc < 0 || behind.base_lsn != last->last_lsn + 1 || step->behind->first != last->last + 1) {
        return log_error(step->compaction->why, WEIR_E_DAMAGED, NULL, UINT64_MAX,
                         "the headers around a run of segments do not agree with it");
    }
    struct segment_header *header = &step->header;
    *header = first;
    header->compacted = true;
    header->ordinal = FORMAT_COMPACTED_ORDINAL + step->log->control.compact_next;
    header->block_bytes = FORMAT_COMPACTED_BLOCK;
    header->durable_lsn = first.base_lsn - 1;
    header->first_ordinal = step->old[0]->first;
    header->last_ordinal = last->last;
    header->last_lsn = last->last_lsn;
    header->end_time_ns = behind.base_time_ns;
    header->end_epoch = behind.epoch;
    header->end_seed = behind.seed;
    header->end_chain = behind.chain;
    header->end_seal_offset = behind.previous_seal_offset;
    header->horizon = step->compaction->request->horizon;
    return 0;
}

/* ---- copying ---- */

/* In a sparse group one record stands for a gap: for as much of it as the segment stands for. */
static int copy_gap(struct step *step, const struct run_reader *reader,
                    struct sparse_writer *writer)
{
    weir_lsn most = step->header.last_lsn - reader->lsn + 1;
    uint32_t length = le32_load(&reader->record->user);
    struct format_record gap = {0};
    le32_store(&gap.size, FORMAT_RECORD_HEADER_BYTES); /* the CRC of no bytes is 0 */
    gap.type = reader->record->type;
    le16_store(&gap.flags, WEIR_RECORD_GAP);
    le32_store(&gap.user, length < most ? length : (uint32_t)most);
    return sparse_write_record(writer, &gap, reader->lsn);
}

static int copy_record(struct step *step, const struct run_reader *reader,
                       struct sparse_writer *writer)
{
    struct compaction *compaction = step->compaction;
    int verdict = compact_judge(compaction, reader);
    if (verdict < 0) {
        return verdict;
    }
    if (verdict == WAL_ADDRESS_DROP ||
        (verdict == WAL_ADDRESS_DROP_LAST && compaction->deletes_go)) {
        step->result->dropped++;
        return 0;
    }
    step->result->kept++;
    step->result->kept_deletes += verdict == WAL_ADDRESS_DROP_LAST ? 1 : 0;
    if ((le16_load(&reader->record->flags) & WEIR_RECORD_GAP) != 0) {
        return copy_gap(step, reader, writer);
    }
    return sparse_write_record(writer, reader->record, reader->lsn);
}

static int copy_records(struct step *step, struct sparse_writer *writer)
{
    struct compaction *compaction = step->compaction;
    struct run_reader reader = {.log = step->log, .segments = step->old, .count = step->count};
    int rc;
    compaction->gap_end = WEIR_LSN_NONE;
    while ((rc = run_read(&reader, compaction->why)) == 1) {
        if (reader.begins_group) {
            sparse_write_group(writer, reader.group.time_ns);
        }
        rc = copy_record(step, &reader, writer);
        if (rc == 0 && reader.ends_group) {
            rc = sparse_write_end_group(writer);
            rc = rc < 0 ? rc : compact_progress(compaction, &reader);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return rc;
}

/* 0: the file is complete and durable; 1: the run does not fit it. */
static int write_file(struct step *step)
{
    struct weir_log *log = step->log;
    struct sparse_writer writer = {0};
    struct sparse_limits limits = {log->limits.segment_bytes, log->limits.group_bytes};
    struct weir_file *file;
    int rc = compact_open_output(log, step->header.ordinal, &file);
    if (rc < 0) {
        return log_error(step->compaction->why, rc, NULL, UINT64_MAX,
                         "no room for a compacted segment: %s", weir_error_text(rc));
    }
    rc = sparse_write_begin(&writer, log->medium, file, &step->header, &limits);
    rc = rc < 0 ? rc : copy_records(step, &writer);
    rc = rc < 0 ? rc : sparse_write_finish(&writer);
    step->header = writer.header;
    step->result->group_bytes = writer.offset - FORMAT_SEGMENT_HEADER_BYTES;
    bool failed = writer.failed;
    sparse_write_free(&writer);
    (void)log->medium->ops->lock(file, WEIR_LOCK_NONE);
    log->medium->ops->close(file);
    rc = rc < 0 ? rc : log->medium->ops->sync_directory(log->medium, "");
    if (rc < 0) {
        compact_drop_output(log, step->header.ordinal, failed);
    }
    return rc == -E2BIG ? 1 : rc;
}

/* ---- checking ---- */

static struct wal_segment *new_segment(const struct step *step)
{
    const struct segment_header *header = &step->header;
    struct wal_segment *segment = segment_new(step->log, header->ordinal, SEGMENT_SEALED);
    if (segment != NULL) {
        segment->first = header->first_ordinal;
        segment->last = header->last_ordinal;
        segment->start = (struct group_chain){.next_lsn = header->base_lsn,
                                              .time_ns = header->base_time_ns,
                                              .epoch = header->end_epoch,
                                              .seed = header->end_seed,
                                              .crc = header->chain};
        segment->seal_offset = (uint32_t)header->seal_offset;
        segment->seal_seed = header->end_seed;
        segment->last_lsn = header->last_lsn;
        segment->last_time_ns = header->end_time_ns;
        segment->pins = 1;
    }
    return segment;
}

static void free_made(struct step *step)
{
    base_lock_acquire(&step->log->segments.lock);
    step->made->pins = 0;
    segment_free(step->log, step->made);
    base_lock_release(&step->log->segments.lock);
    step->made = NULL;
}

/* What was written is there, and is what readers will get. */
static int check_file(struct step *step)
{
    struct weir_error *why = step->compaction->why;
    step->made = new_segment(step);
    if (step->made == NULL) {
        return -ENOMEM;
    }
    struct run_reader reader = {.log = step->log, .segments = &step->made, .count = 1};
    uint64_t records = 0;
    int rc = segment_make_readable(step->log, step->made, why);
    while (rc == 0 && (rc = run_read(&reader, why)) == 1) {
        records++;
        rc = 0;
        if (reader.ends_group) {
            rc = compact_progress(step->compaction, &reader);
        }
    }
    bool derived = step->made->directory.capacity > 0; /* as its seal is damaged */
    if (rc == 0 && (derived || records != step->result->kept)) {
        rc = log_error(why, WEIR_E_DAMAGED, NULL, UINT64_MAX,
                       "a compacted segment does not hold what was written to it");
    }
    return rc;
}

/* ---- the switch ---- */

/* Durable groups end there: in an ordinary segment, as CONTROL's witness has to. */
static void move_witness(const struct step *step, struct control *control)
{
    const struct wal_segment *behind = step->behind;
    uint64_t address =
        (behind->first << step->log->limits.segment_shift) + FORMAT_SEGMENT_HEADER_BYTES;
    if (!segment_is_compacted(behind) && address > control->witness_address) {
        control->witness_address = address;
        control->witness_lsn = step->header.last_lsn;
        control->witness_chain = step->header.end_chain;
    }
}

static int store_control(struct step *step)
{
    struct weir_log *log = step->log;
    const struct segment_header *header = &step->header;
    struct control *control = &log->control;
    struct control next = *control;
    next.horizon = header->horizon > next.horizon ? header->horizon : next.horizon;
    next.layout++;
    next.compact_next++;
    next.compact_first = header->first_ordinal;
    next.compact_last = header->last_ordinal;
    move_witness(step, &next);
    int rc = control_store(log->medium, &next);
    if (rc < 0) {
        if (next.generation != control->generation) {
            log_poison(log, rc);
        }
        return log_error(step->compaction->why, rc, "CONTROL", UINT64_MAX,
                         "CONTROL cannot be written: %s", weir_error_text(rc));
    }
    /* Field by field: the identity is read without the lock. */
    control->generation = next.generation;
    control->written_ns = next.written_ns;
    control->horizon = next.horizon;
    control->layout = next.layout;
    control->compact_next = next.compact_next;
    control->compact_first = next.compact_first;
    control->compact_last = next.compact_last;
    control->witness_lsn = next.witness_lsn;
    control->witness_address = next.witness_address;
    control->witness_chain = next.witness_chain;
    return 0;
}

static void move_marks(const struct step *step)
{
    struct wal_marks *marks = &step->log->marks;
    const struct control *control = &step->log->control;
    if (step->header.last_lsn > atomic_load_explicit(&marks->compacted, memory_order_relaxed)) {
        atomic_store_explicit(&marks->compacted, step->header.last_lsn, memory_order_relaxed);
    }
    atomic_store_explicit(&marks->horizon, control->horizon, memory_order_release);
    /* Release pairs with the acquire of cursors: they find the marks above as they are now. */
    atomic_store_explicit(&marks->compactions, control->compact_next, memory_order_release);
}

/* The caller holds control_lock. 1: the run is not what is retained any more. */
static int switch_locked(struct step *step)
{
    struct weir_log *log = step->log;
    const struct segment_header *header = &step->header;
    if (log_is_poisoned(log)) {
        return WEIR_E_POISONED;
    }
    base_lock_acquire(&log->segments.lock);
    bool there = header->first_ordinal >= log->control.first_ordinal &&
                 segment_table_has_run(log, header->first_ordinal, header->last_ordinal);
    base_lock_release(&log->segments.lock);
    int rc = there ? store_control(step) : 1;
    if (rc == 0) {
        move_marks(step);
        base_lock_acquire(&log->segments.lock);
        segment_table_replace(log, step->made);
        base_lock_release(&log->segments.lock);
        step->switched = true;
        live_publish_layout(log);
    }
    return rc;
}

static int switch_over(struct step *step)
{
    struct weir_log *log = step->log;
    struct weir_file *lock;
    int rc = hold_lock(log, &lock, step->compaction->why);
    if (rc < 0) {
        return rc;
    }
    rc = compact_check_holds(step->compaction);
    if (rc == 0) {
        base_lock_acquire(&log->control_lock);
        rc = switch_locked(step);
        base_lock_release(&log->control_lock);
    }
    hold_unlock(log, lock);
    return rc;
}

/* ---- afterwards ---- */

/* Both runs hold the engine's records that were kept in the same order; the old one more: those
 * have no address now. A run that cannot be read is not a run that has ended: what is behind was
 * not dropped, and nobody can tell where it is. */
static int tell_addresses(struct step *step)
{
    const struct wal_address_compaction *request = step->compaction->request;
    struct run_reader now = {.log = step->log, .segments = &step->made, .count = 1};
    struct run_reader old = {.log = step->log, .segments = step->old, .count = step->count};
    struct weir_error *why = step->compaction->why;
    if (request->moved == NULL) {
        return 0;
    }
    int more = run_read(&now, why), rc = 0;
    while (more >= 0 && (rc = run_read(&old, why)) == 1) {
        bool kept = more == 1 && now.lsn == old.lsn;
        if (run_is_of_engine(&old)) {
            struct weir_record record = run_record(&old);
            request->moved(request->context, &record, old.address, kept ? now.address : 0);
        }
        more = kept ? run_read(&now, why) : more;
    }
    rc = more < 0 ? more : rc;
    step->compaction->report->untold = rc < 0;
    return rc;
}

static void let_go(struct step *step)
{
    struct weir_log *log = step->log;
    for (uint32_t i = 0; i < step->count; i++) {
        struct wal_segment *segment = step->old[i];
        uint64_t ordinal = segment->ordinal;
        base_lock_acquire(&log->segments.lock);
        bool is_read = --segment->pins > 0;
        bool gone = segment->dropped;
        if (!is_read && gone) {
            segment_free(log, segment);
        }
        base_lock_release(&log->segments.lock);
        if (step->switched) {
            compact_dispose(log, ordinal, is_read);
        }
    }
    if (step->behind != NULL) {
        segment_unpin(log, step->behind);
    }
}

static int run_step(struct step *step, const uint64_t *ordinals)
{
    int rc = pin_run(step, ordinals);
    rc = rc != 0 ? rc : make_header(step);
    rc = rc != 0 ? rc : write_file(step);
    if (rc != 0) {
        return rc;
    }
    rc = check_file(step);
    rc = rc != 0 ? rc : switch_over(step);
    if (rc == 0) {
        rc = tell_addresses(step);
        segment_unpin(step->log, step->made);
        return rc;
    }
    if (step->made != NULL) {
        free_made(step);
    }
    if (!log_is_poisoned(step->log)) { /* else CONTROL may count it */
        compact_drop_output(step->log, step->header.ordinal, rc == WEIR_E_DAMAGED);
    }
    return rc;
}

int compact_run(struct compaction *compaction, const uint64_t *ordinals, uint32_t count,
                struct compact_made *ret_made)
{
    WEIR_ASSERT(count > 0 && count <= COMPACT_RUN_MAX);
    *ret_made = (struct compact_made){0};
    struct step step = {
        .compaction = compaction, .log = compaction->log, .count = count, .result = ret_made};
    step.old = base_alloc_array(count, sizeof(struct wal_segment *));
    if (step.old == NULL) {
        return -ENOMEM;
    }
    int rc = run_step(&step, ordinals);
    ret_made->ordinal = step.header.ordinal;
    let_go(&step);
    base_free(step.old);
    return rc;
}
