/*
 * Salvage: findings, and the gaps that they are the reason for.
 *
 * A finding that costs records comes before the group behind it does. It waits here until LSNs are
 * known to be missing, gives them their reason, and goes when the writer has passed it. One that
 * turns out to have cost nothing (bytes between records were damaged) is told as a note.
 */
#include "wal/salvage.h"

#include "base/alloc.h"
#include "base/text.h"
#include "wal/finding.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- findings ---- */

static int tell(struct salvage *salvage, const struct weir_finding *finding)
{
    const struct weir_salvage_watch *watch = salvage->watch;
    salvage->report->notes += finding->note;
    return watch != NULL && watch->finding != NULL ? watch->finding(watch->context, finding) : 0;
}

static int tell_note(struct salvage *salvage, const struct weir_finding *finding)
{
    struct weir_finding note = *finding;
    note.note = true;
    return tell(salvage, &note);
}

static int add_reason(struct salvage *salvage, const struct weir_finding *finding)
{
    if (salvage->reason_count == salvage->reason_capacity) {
        size_t capacity = 2 * salvage->reason_capacity + 16;
        struct reason *reasons = base_alloc_array(capacity, sizeof *reasons);
        if (reasons == NULL) {
            return -ENOMEM;
        }
        if (salvage->reason_count > 0) {
            memcpy(reasons, salvage->reasons, salvage->reason_count * sizeof *reasons);
        }
        base_free(salvage->reasons);
        salvage->reasons = reasons;
        salvage->reason_capacity = capacity;
    }
    salvage->reasons[salvage->reason_count++] = (struct reason){.finding = *finding};
    return 0;
}

/* A sentence of our own, where LSNs are not those that verification gave: file, offset, and what
 * the code means. */
__attribute__((format(printf, 2, 3))) static void describe(struct weir_finding *finding,
                                                           const char *format, ...)
{
    struct base_text text;
    char what[160];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    base_text_init(&text, finding->text, sizeof finding->text);
    base_text_append(&text, finding->file);
    if (finding->offset != UINT64_MAX) {
        base_text_append_format(&text, ", offset %" PRIu64, finding->offset);
    }
    base_text_append_format(&text, ": %s%s", weir_finding_meaning(finding->code), what);
}

static void describe_gap(struct weir_finding *gap, weir_lsn from, weir_lsn to, bool open_end)
{
    bool as_found = gap->from_lsn == from && gap->to_lsn == to;
    gap->from_lsn = from;
    gap->to_lsn = to;
    if (!as_found || open_end) {
        describe(gap, ": LSNs %" PRIu64 " to %" PRIu64 " are lost%s", from, to,
                 open_end ? ", and how many were behind them cannot be told" : "");
    }
}

/* What verification reports. Only what costs records waits for its gap. */
int salvage_take_finding(void *context, const struct weir_finding *finding)
{
    struct salvage *salvage = context;
    bool costs = !finding->note && finding->from_lsn != WEIR_LSN_NONE;
    return costs ? add_reason(salvage, finding) : tell_note(salvage, finding);
}

/* The reason for an LSN; NULL: none was found, only that it is not there. */
struct reason *salvage_reason_for(struct salvage *salvage, weir_lsn lsn)
{
    for (size_t i = 0; i < salvage->reason_count; i++) {
        struct reason *reason = &salvage->reasons[i];
        if (reason->finding.from_lsn <= lsn && lsn <= reason->finding.to_lsn) {
            return reason;
        }
    }
    return NULL;
}

/* Those that lie behind the writer. Damage that cost no record after all is told as a note. */
int salvage_drop_reasons(struct salvage *salvage, weir_lsn next)
{
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < salvage->reason_count; i++) {
        struct reason *reason = &salvage->reasons[i];
        if (reason->finding.to_lsn >= next) {
            salvage->reasons[kept++] = *reason;
        } else if (!reason->used && rc == 0) {
            reason->finding.from_lsn = reason->finding.to_lsn = WEIR_LSN_NONE;
            describe(&reason->finding, "; no record is lost");
            rc = tell_note(salvage, &reason->finding);
        }
    }
    salvage->reason_count = kept;
    return rc;
}

/* ---- gaps ---- */

/* Where nothing is damaged that could be pointed at. */
static struct weir_finding unexplained(void)
{
    struct weir_finding finding = {.code = finding_code("lost"), .offset = UINT64_MAX};
    finding.advice = weir_finding_advice(finding.code);
    (void)snprintf(finding.file, sizeof finding.file, "CONTROL");
    return finding;
}

/* Neighbours that were damaged one by one are one gap. */
static void mark_used(struct salvage *salvage, weir_lsn from, weir_lsn to)
{
    for (size_t i = 0; i < salvage->reason_count; i++) {
        struct reason *reason = &salvage->reasons[i];
        reason->used |= reason->finding.from_lsn <= to && reason->finding.to_lsn >= from;
    }
}

/* Writes [next LSN, to] as one gap and tells of it. LSNs below the first retained one are not
 * missed by anybody. */
int salvage_gap(struct salvage *salvage, weir_lsn to, struct reason *reason, bool open_end)
{
    struct salvage_writer *writer = &salvage->target.writer;
    struct weir_finding gap = reason != NULL ? reason->finding : unexplained();
    weir_lsn from = writer->next_lsn;
    weir_lsn first = writer->control.first_lsn;
    int rc = salvage_write_gap(writer, to, finding_gap_type(gap.code));
    mark_used(salvage, from, to);
    if (rc < 0 || to < first) {
        return rc;
    }
    from = from < first ? first : from;
    salvage->report->gaps++;
    salvage->report->gap_lsns += to - from + 1;
    describe_gap(&gap, from, to, open_end);
    return tell(salvage, &gap);
}

/* How far the same can be said of lsn and what follows it, at most to `to`. */
static weir_lsn end_of_reason(const struct salvage *salvage, const struct reason *reason,
                              weir_lsn lsn, weir_lsn to)
{
    if (reason != NULL) {
        return reason->finding.to_lsn < to ? reason->finding.to_lsn : to;
    }
    for (size_t i = 0; i < salvage->reason_count; i++) {
        weir_lsn from = salvage->reasons[i].finding.from_lsn;
        to = from > lsn && from - 1 < to ? from - 1 : to;
    }
    return to;
}

/* Writes gaps up to `to`, one for each reason. */
int salvage_fill_gap(struct salvage *salvage, weir_lsn to)
{
    struct salvage_writer *writer = &salvage->target.writer;
    int rc = 0;
    salvage_write_group(writer, 0); /* of the time of the group before */
    while (rc == 0 && writer->next_lsn <= to) {
        struct reason *reason = salvage_reason_for(salvage, writer->next_lsn);
        weir_lsn end = end_of_reason(salvage, reason, writer->next_lsn, to);
        rc = salvage_gap(salvage, end, reason, false);
    }
    int end_rc = salvage_write_end_group(writer);
    return rc != 0 ? rc : end_rc;
}

/* Of [next LSN, to] the reason whose LSNs come first; NULL: none was lost. */
static struct reason *first_reason(struct salvage *salvage, weir_lsn to)
{
    struct reason *first = NULL;
    for (size_t i = 0; i < salvage->reason_count; i++) {
        struct reason *reason = &salvage->reasons[i];
        if (reason->finding.from_lsn <= to &&
            reason->finding.to_lsn >= salvage->target.writer.next_lsn &&
            (first == NULL || reason->finding.from_lsn < first->finding.from_lsn)) {
            first = reason;
        }
    }
    return first;
}

/* What no reason names was dropped by compaction. */
int salvage_fill_lost(struct salvage *salvage, weir_lsn to)
{
    struct salvage_writer *writer = &salvage->target.writer;
    struct reason *reason;
    int rc = 0;
    salvage_write_group(writer, 0);
    while (rc == 0 && (reason = first_reason(salvage, to)) != NULL) {
        weir_lsn from = reason->finding.from_lsn, end = reason->finding.to_lsn;
        if (from > writer->next_lsn) {
            salvage_write_skip(writer, from);
        }
        rc = salvage_gap(salvage, end < to ? end : to, reason, false);
    }
    int end_rc = salvage_write_end_group(writer);
    return rc != 0 ? rc : end_rc;
}
