/*
 * Compaction: which runs of segments are worth it.
 *
 * Happy path: list the sealed segments at or below the horizon; read each and ask what of it is
 * needed; from the oldest on, take as many neighbours as fit one segment with what they keep: two
 * or more become one (compact_step.c). What does not fit together with a neighbour is left alone.
 *
 * Each step writes at most one segment and frees at least one, however large the log is.
 *
 * A delete hides older records of its key. Were it dropped while one of those is left, in a segment
 * that was left alone, replay would bring the key back: so it stays until nothing is left in front
 * of its run that could be dropped. `thorough` rewrites segments alone, too, so that all of it
 * goes.
 *
 * Failure modes: a hold is in the way; a segment is damaged; the disk is full. Steps that were done
 * stay done.
 *
 * Invariants: the open segment, the two sealed last, which recovery reads, and what is not durable
 * with its successor's header are never touched; nothing is cached between calls.
 */
#include "wal/compact.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "wal/hold.h"
#include "wal/sparse_write.h"

#include <errno.h>
#include <string.h>

#define NEWEST_LEFT 2u /* sealed ones */
#define PROGRESS_BYTES ((uint64_t)1 << 20)

/* What a segment holds. Bytes are of its groups once it is compacted. */
struct survey {
    uint64_t ordinal;
    uint64_t group_bytes; /* now */
    uint64_t kept_bytes, kept_bytes_without_deletes;
    uint64_t kept, deletes; /* records; deletes may go behind what is in front of them */
    uint64_t droppable;     /* records, deletes not among them */
};

struct survey_list {
    struct survey *items;
    uint32_t count;
};

/* ---- asking the engine ---- */

/* Cancelled, truncated, or of a gap whose first record stands for it: no replay misses it. */
static bool nobody_sees(const struct compaction *compaction, const struct run_reader *reader)
{
    return (le16_load(&reader->record->flags) & WEIR_RECORD_VOID) != 0 ||
           reader->lsn < log_earliest(compaction->log) || reader->lsn <= compaction->gap_end;
}

static void note_gap(struct compaction *compaction, const struct run_reader *reader)
{
    uint32_t length = le32_load(&reader->record->user);
    if ((le16_load(&reader->record->flags) & WEIR_RECORD_GAP) != 0) {
        compaction->gap_end = reader->lsn + (length > 0 ? length : 1) - 1;
    }
}

int compact_judge(struct compaction *compaction, const struct run_reader *reader)
{
    if (nobody_sees(compaction, reader)) {
        return WAL_ADDRESS_DROP;
    }
    note_gap(compaction, reader);
    if (!run_is_of_engine(reader)) {
        return WAL_ADDRESS_KEEP;
    }
    struct weir_record record = run_record(reader);
    int verdict = compaction->request->keep(compaction->request->context, &record, reader->address);
    return verdict > WAL_ADDRESS_DROP_LAST ? WAL_ADDRESS_KEEP : verdict;
}

int compact_progress(struct compaction *compaction, const struct run_reader *reader)
{
    const struct wal_address_compaction *request = compaction->request;
    compaction->read_bytes += reader->group.size_bytes;
    if (request->throttle == NULL ||
        compaction->read_bytes - compaction->told_bytes < PROGRESS_BYTES) {
        return 0;
    }
    compaction->told_bytes = compaction->read_bytes;
    uint64_t all_bytes = compaction->all_bytes;
    all_bytes = all_bytes > compaction->read_bytes ? all_bytes : compaction->read_bytes;
    int rc = request->throttle(request->context, compaction->read_bytes, all_bytes);
    return rc < 0 ? rc : 0;
}

int compact_check_holds(struct compaction *compaction)
{
    struct hold_list list;
    weir_lsn horizon = compaction->request->horizon;
    int rc = hold_read_all(compaction->log, &list, compaction->why);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        const struct weir_hold *hold = &list.holds[i];
        if (hold->floor <= horizon && strcmp(hold->name, WEIR_HOLD_ENGINE) != 0) {
            rc =
                log_error(compaction->why, WEIR_E_HELD, NULL, UINT64_MAX,
                          "the hold \"%s\" keeps LSN %llu and everything behind it as it was; a "
                          "horizon of %llu would pass it",
                          hold->name, (unsigned long long)hold->floor, (unsigned long long)horizon);
            rc = log_error_range(compaction->why, rc, hold->floor, horizon);
        }
    }
    hold_list_free(&list);
    return rc;
}

/* ---- what there is ---- */

/* May it be part of a run? The caller holds the table's lock. */
static bool is_candidate(const struct weir_log *log, const struct wal_segment *segment,
                         weir_lsn horizon)
{
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    uint64_t end = (segment->last + 1) << log->limits.segment_shift;
    return segment->state == SEGMENT_SEALED && segment->last_lsn <= horizon && durable > end;
}

static int list_candidates(struct compaction *compaction, struct survey_list *ret_list)
{
    const struct weir_log *log = compaction->log;
    struct wal_segments *table = &compaction->log->segments;
    *ret_list = (struct survey_list){0};
    base_lock_acquire(&table->lock);
    uint32_t sealed = 0;
    while (sealed < table->count && table->slots[sealed]->state == SEGMENT_SEALED) {
        sealed++;
    }
    sealed = sealed > NEWEST_LEFT ? sealed - NEWEST_LEFT : 0;
    ret_list->items = base_alloc_array(sealed + 1, sizeof *ret_list->items);
    int rc = ret_list->items == NULL ? -ENOMEM : 0;
    for (uint32_t i = 0; rc == 0 && i < sealed; i++) {
        const struct wal_segment *segment = table->slots[i];
        if (!is_candidate(log, segment, compaction->request->horizon)) {
            break;
        }
        uint64_t group_bytes = segment->seal_offset - FORMAT_SEGMENT_HEADER_BYTES;
        ret_list->items[ret_list->count++] =
            (struct survey){.ordinal = segment->ordinal, .group_bytes = group_bytes};
        compaction->all_bytes += 3 * group_bytes;
    }
    base_lock_release(&table->lock);
    return rc;
}

/* What a segment will take, group by group as the writer makes them. */
struct weight {
    struct sparse_plan plan;
    uint64_t bytes;
};

static void weigh_record(struct weight *weight, const struct run_reader *reader)
{
    if (sparse_plan_record(&weight->plan, reader->record, reader->lsn) == 0) {
        weight->bytes += format_align(weight->plan.size_bytes, FORMAT_COMPACTED_BLOCK);
        sparse_plan_group(&weight->plan);
        (void)sparse_plan_record(&weight->plan, reader->record, reader->lsn);
    }
}

static void end_group(struct weight *weight)
{
    if (weight->plan.records > 0) {
        weight->bytes += format_align(weight->plan.size_bytes, FORMAT_COMPACTED_BLOCK);
    }
    sparse_plan_group(&weight->plan);
}

static int survey_record(struct compaction *compaction, const struct run_reader *reader,
                         struct survey *survey, struct weight *with_deletes, struct weight *without)
{
    int verdict = compact_judge(compaction, reader);
    if (verdict == WAL_ADDRESS_DROP) {
        survey->droppable += nobody_sees(compaction, reader) ? 0 : 1;
    } else if (verdict == WAL_ADDRESS_DROP_LAST) {
        survey->deletes++;
        weigh_record(with_deletes, reader);
    } else if (verdict == WAL_ADDRESS_KEEP) {
        survey->kept++;
        weigh_record(with_deletes, reader);
        weigh_record(without, reader);
    }
    return verdict < 0 ? verdict : 0;
}

/* Less will be read than was thought. */
static void read_less(struct compaction *compaction, uint64_t bytes)
{
    compaction->all_bytes -= bytes < compaction->all_bytes ? bytes : compaction->all_bytes;
}

/* Of what a step writes of this segment, which it then checks. */
static uint64_t bytes_checked(const struct survey *survey)
{
    return survey->kept_bytes < survey->group_bytes ? survey->kept_bytes : survey->group_bytes;
}

static int survey_segment(struct compaction *compaction, struct wal_segment *segment,
                          struct survey *survey)
{
    struct run_reader reader = {.log = compaction->log, .segments = &segment, .count = 1};
    struct weight with_deletes = {.plan = {.group_bytes = compaction->log->limits.group_bytes}};
    struct weight without = with_deletes;
    int rc;
    compaction->gap_end = WEIR_LSN_NONE;
    while ((rc = run_read(&reader, compaction->why)) == 1) {
        if (reader.begins_group) {
            end_group(&with_deletes);
            end_group(&without);
        }
        rc = survey_record(compaction, &reader, survey, &with_deletes, &without);
        if (rc == 0 && reader.ends_group) {
            rc = compact_progress(compaction, &reader);
        }
        if (rc < 0) {
            return rc;
        }
    }
    end_group(&with_deletes);
    end_group(&without);
    survey->kept_bytes = with_deletes.bytes;
    survey->kept_bytes_without_deletes = without.bytes;
    read_less(compaction, survey->group_bytes - bytes_checked(survey));
    return rc;
}

static int survey_all(struct compaction *compaction, struct survey_list *list)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < list->count; i++) {
        struct wal_segment *segment;
        rc =
            segment_pin_ordinal(compaction->log, list->items[i].ordinal, &segment, compaction->why);
        if (rc == WEIR_E_TRUNCATED) { /* meanwhile: what is in front of it went, too */
            list->count -= i + 1;
            memmove(list->items, list->items + i + 1, list->count * sizeof *list->items);
            return survey_all(compaction, list);
        }
        if (rc == 0) {
            rc = survey_segment(compaction, segment, &list->items[i]);
            segment_unpin(compaction->log, segment);
        }
    }
    return rc;
}

/* ---- runs ---- */

static uint64_t weight_of(const struct compaction *compaction, const struct survey *survey)
{
    return compaction->deletes_go ? survey->kept_bytes_without_deletes : survey->kept_bytes;
}

/* How many segments from `first` on fit one. */
static uint32_t fitting(const struct compaction *compaction, const struct survey_list *list,
                        uint32_t first)
{
    uint64_t bytes = 0, records = 0;
    uint32_t count = 0;
    while (first + count < list->count && count < COMPACT_RUN_MAX) {
        const struct survey *survey = &list->items[first + count];
        bytes += weight_of(compaction, survey);
        records += survey->kept + survey->deletes;
        uint64_t end = FORMAT_SEGMENT_HEADER_BYTES + bytes + sparse_write_seal_bytes(records);
        if (end > compaction->log->limits.segment_bytes) {
            break;
        }
        count++;
    }
    return count;
}

static bool has_to_drop(const struct compaction *compaction, const struct survey *survey)
{
    return survey->droppable > 0 || (survey->deletes > 0 && compaction->deletes_go);
}

static void count_step(struct compaction *compaction, const struct survey_list *list,
                       uint32_t first, uint32_t count, const struct compact_made *made)
{
    struct wal_address_compaction_report *report = compaction->report;
    for (uint32_t i = 0; i < count; i++) {
        report->bytes_in += list->items[first + i].group_bytes;
    }
    report->steps++;
    report->segments_in += count;
    report->segments_out++;
    report->bytes_out += made->group_bytes;
    report->records_kept += made->kept;
    report->records_dropped += made->dropped;
}

static int begin(struct compaction *compaction)
{
    const struct wal_address_compaction *request = compaction->request;
    int rc = compaction->begun || request->begin == NULL ? 0 : request->begin(request->context);
    compaction->begun = compaction->begun || rc == 0;
    return rc;
}

static int replace(struct compaction *compaction, const struct survey_list *list, uint32_t first,
                   uint32_t count, struct compact_made *ret_made)
{
    int rc = begin(compaction);
    if (rc < 0) {
        return rc;
    }
    uint64_t ordinals[COMPACT_RUN_MAX] = {0};
    for (uint32_t i = 0; i < count; i++) {
        ordinals[i] = list->items[first + i].ordinal;
    }
    rc = compact_run(compaction, ordinals, count, ret_made);
    if (rc == 0 || compaction->report->untold) { /* done, whoever was told */
        count_step(compaction, list, first, count, ret_made);
    }
    return rc;
}

static bool is_enough(const struct compaction *compaction)
{
    uint64_t most = compaction->request->max_steps;
    return most != 0 && compaction->report->steps >= most;
}

/* The run that begins at `first`, if it is worth it. How many segments it has or passes; negative:
 * why nothing goes on. */
static int64_t compact_at(struct compaction *compaction, const struct survey_list *list,
                          uint32_t first)
{
    uint32_t count = fitting(compaction, list, first);
    bool alone = compaction->request->thorough && has_to_drop(compaction, &list->items[first]);
    int rc = 1;
    struct compact_made made;
    if (count > 1 || (count == 1 && alone)) {
        rc = replace(compaction, list, first, count, &made);
    } else {
        count = 1;
    }
    for (uint32_t i = 0; rc == 1 && i < count; i++) { /* left as they are */
        compaction->deletes_go &= list->items[first + i].droppable == 0;
        const struct survey *left = &list->items[first + i];
        read_less(compaction, left->group_bytes + bytes_checked(left));
    }
    return rc < 0 ? (int64_t)rc : (int64_t)count;
}

/* From the oldest to the newest. */
static int compact_all(struct compaction *compaction, const struct survey_list *list)
{
    int64_t done = 0;
    compaction->deletes_go = true;
    for (uint32_t first = 0; done >= 0 && first < list->count && !is_enough(compaction);) {
        done = compact_at(compaction, list, first);
        first += done > 0 ? (uint32_t)done : 0;
    }
    return done < 0 ? (int)done : 0;
}

/* ---- the call ---- */

static int check_call(struct weir_log *log, const struct wal_address_compaction *request,
                      struct weir_error *why)
{
    int rc = log_check(log);
    if (rc == 0 && (log->flags & WEIR_LOG_READ_ONLY) != 0) {
        rc = WEIR_E_READ_ONLY;
    } else if (rc == 0 && log_is_poisoned(log)) {
        rc = WEIR_E_POISONED;
    }
    if (rc < 0) {
        return log_error(why, rc, NULL, UINT64_MAX, "%s", weir_error_text(rc));
    }
    weir_lsn durable = log_durable(log);
    if (request->horizon > durable) {
        return log_error(why, -EINVAL, NULL, UINT64_MAX,
                         "a horizon of %llu lies behind the last durable record, %llu",
                         (unsigned long long)request->horizon, (unsigned long long)durable);
    }
    return 0;
}

int wal_address_compact(struct weir_log *log, const struct wal_address_compaction *compaction,
                        struct wal_address_compaction_report *ret_report, struct weir_error *why)
{
    if (log == NULL || compaction == NULL || compaction->keep == NULL || ret_report == NULL) {
        return -EINVAL;
    }
    *ret_report = (struct wal_address_compaction_report){0};
    int rc = check_call(log, compaction, why);
    if (rc < 0) {
        return rc;
    }
    if (!base_lock_try(&log->compacting)) {
        return log_error(why, -EBUSY, NULL, UINT64_MAX, "a compaction is under way");
    }
    atomic_fetch_add_explicit(&log->cursors, 1, memory_order_relaxed);
    struct compaction self = {.log = log, .request = compaction, .report = ret_report, .why = why};
    struct survey_list list = {0};
    rc = compact_check_holds(&self);
    rc = rc < 0 ? rc : list_candidates(&self, &list);
    rc = rc < 0 ? rc : survey_all(&self, &list);
    rc = rc < 0 ? rc : compact_all(&self, &list);
    base_free(list.items);
    base_lock_release(&log->compacting);
    /* Release pairs with the acquire in weir_log_close(): nothing of the log is used any more. */
    atomic_fetch_sub_explicit(&log->cursors, 1, memory_order_release);
    return rc;
}
