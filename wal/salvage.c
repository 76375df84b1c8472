/*
 * Salvage: what is provably whole of a log goes to a new one, and gap records stand for the rest.
 *
 * Happy path
 *   1. source: medium, LOCK shared (a live writer is named and refused), writes of a killed process
 *      have ended
 *   2. destination: empty; LOCK, and a file SALVAGE that says what lies there until CONTROL does
 *   3. verification walks the source (verify_walk.c): each group that it hands over is copied, and
 *      each of its findings is kept until the LSNs that it is about have been written as a gap
 *   4. a gap up to the last LSN that CONTROL knew to be durable; holds; CONTROL; SALVAGE goes
 *
 * A gap is what was not copied, never what a finding says: so gaps and records together are every
 * LSN from the first retained one to the last, each once, whatever the findings are. The findings
 * only give the reason.
 *
 * Failure modes: of either medium; the destination's files are removed again. A crash leaves them
 * with SALVAGE and without CONTROL: opening refuses that, and so does another salvage into it.
 *
 * Invariants: nothing is written to the source; no record is copied whose payload's checksum was
 * not right a moment ago; LSNs of the new log rise by one.
 */
#include "wal/salvage.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "wal/lock.h"
#include "wal/log.h"
#include "wal/medium_select.h"
#include "wal/open.h"
#include "wal/options.h"

#include <errno.h>
#include <string.h>

/* ---- both directories ---- */

/* Whether there is anything to be copied, before a destination is made. */
static int look_at_source(struct salvage *salvage)
{
    struct control control;
    struct weir_medium *medium = salvage->verify.medium;
    if (control_load(medium, &control, NULL) != -ENOENT) {
        return 0;
    }
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = create_check_begun(medium, &why);
    if (rc == WEIR_E_CONTROL) {
        return 0; /* segments of a log: that is what salvage is for */
    }
    if (rc == 0) {
        rc = log_error(&why, WEIR_E_NOT_A_LOG, NULL, UINT64_MAX,
                       "a log was about to be made here and no record was ever in it: there is "
                       "nothing to salvage");
    }
    if (salvage->why != NULL) {
        why.size = salvage->why->size;
        *salvage->why = why;
    }
    return rc;
}

static int open_source(struct salvage *salvage, const char *directory,
                       const struct weir_log_options *given)
{
    struct verify *verify = &salvage->verify;
    struct weir_log_options options = *given;
    int64_t wait_ns = lock_wait_from_option(options.lock_wait_ns);
    options.flags = (options.flags & WEIR_LOG_ALLOW_EMULATED_PMEM) | WEIR_LOG_READ_ONLY;
    int rc = medium_select(directory, &options, &verify->medium, salvage->why);
    if (rc < 0) {
        return rc;
    }
    rc = lock_take(verify->medium, WEIR_LOCK_SHARED, wait_ns, &salvage->source_lock, salvage->why);
    rc = rc == -ENOENT ? 0 : rc; /* no LOCK: no writer */
    rc = rc < 0 ? rc : lock_wait_for_io(verify->medium, 0, wait_ns, salvage->why);
    return rc < 0 ? rc : look_at_source(salvage);
}

/* ---- the whole ---- */

static int finish(struct salvage *salvage)
{
    const struct salvage_writer *writer = &salvage->target.writer;
    int rc = salvage_fill_end(salvage);
    rc = rc != 0 ? rc : salvage_copy_holds(salvage);
    rc = rc != 0 ? rc : salvage_target_finish(&salvage->target);
    if (rc != 0) {
        return rc;
    }
    struct weir_salvage_report *report = salvage->report;
    bool empty = writer->next_lsn <= writer->control.first_lsn;
    report->kept_from = empty ? WEIR_LSN_NONE : writer->control.first_lsn;
    report->kept_to = empty ? WEIR_LSN_NONE : writer->next_lsn - 1;
    memcpy(report->uuid, writer->control.uuid, sizeof report->uuid);
    return 0;
}

static int copy_log(struct salvage *salvage)
{
    struct verify *verify = &salvage->verify;
    verify->fn = salvage_take_finding;
    verify->keep = salvage_keep_group;
    verify->compacted = salvage_compacted;
    verify->context = salvage;
    verify->report = &salvage->found;
    verify->why = salvage->why;
    int rc = verify_log(verify);
    if (rc == 0 && verify->control.segment_bytes == 0) {
        rc = log_error(salvage->why, WEIR_E_NOT_A_LOG, "CONTROL", 0,
                       "neither CONTROL nor the header of any segment is valid: nothing says what "
                       "lies in the other files");
    }
    rc = rc != 0 ? rc : finish(salvage);
    struct weir_salvage_report *report = salvage->report;
    report->cut_bytes = salvage->found.cut_bytes;
    report->open_begin = salvage->found.open_begin;
    report->read_bytes = verify->scan.read_bytes;
    report->written_bytes = salvage->target.writer.written_bytes;
    if (rc != 0) {
        salvage_target_undo(&salvage->target);
    }
    return rc;
}

static void close_both(struct salvage *salvage)
{
    verify_free(&salvage->verify);
    base_free(salvage->reasons);
    salvage_target_close(&salvage->target);
    if (salvage->verify.medium != NULL) {
        lock_drop(salvage->verify.medium, &salvage->source_lock);
        salvage->verify.medium->ops->destroy(salvage->verify.medium);
    }
}

int weir_salvage(const char *source, const struct weir_log_options *source_options,
                 const char *destination, const struct weir_log_options *destination_options,
                 const struct weir_salvage_watch *watch, struct weir_salvage_report *ret_report,
                 struct weir_error *ret_error)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    if (ret_report == NULL || ret_report->size < sizeof *ret_report ||
        (ret_error != NULL && ret_error->size < sizeof *ret_error)) {
        return -EINVAL;
    }
    struct weir_salvage_report report = {.size = sizeof report};
    struct weir_log_options options = {0};
    struct salvage salvage = {
        .watch = watch,
        .report = &report,
        .why = ret_error,
        .found = {.size = sizeof salvage.found, .ok = true},
        .target = {.work = "a salvage", .again = "salvage"},
    };
    int rc = options_take(source_options, &options, ret_error);
    int taken = options_take(destination_options, &salvage.target.options, ret_error);
    rc = rc < 0 ? rc : taken;
    rc = rc < 0 ? rc : open_source(&salvage, source, &options);
    rc = rc < 0 ? rc : salvage_target_open(&salvage.target, destination, ret_error);
    rc = rc != 0 ? rc : copy_log(&salvage);
    bool opened = salvage.target.medium != NULL;
    salvage_drop_unused(&options, salvage.verify.medium);
    close_both(&salvage);
    log_error_explain(ret_error, rc, opened ? destination : source);
    report.seconds = (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
    if (rc == 0) {
        *ret_report = report;
    }
    return rc;
}
