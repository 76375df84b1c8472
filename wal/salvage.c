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
    int rc = create_check_directory(medium, &why);
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

static int refuse_entry(void *context, const char *name)
{
    struct salvage *salvage = context;
    bool lock = salvage->target_lock != NULL && strcmp(name, LOCK_NAME) == 0;
    if (lock) {
        return 0;
    }
    return log_error(salvage->why, -ENOTEMPTY, name, UINT64_MAX,
                     "%s holds %s already, and a salvage is written into an empty directory",
                     salvage->target_name, name);
}

/* As if nothing had been begun. Best effort: what stays has SALVAGE beside it, and no CONTROL. */
static void undo_target(struct salvage *salvage)
{
    struct weir_medium *target = salvage->target;
    salvage_remove_holds(target);
    salvage_write_undo(&salvage->writer, target);
    (void)target->ops->remove(target, FORMAT_SALVAGE_NAME);
    (void)target->ops->remove(target, LOCK_NAME);
    (void)target->ops->sync_directory(target, "");
}

static int write_marker(struct weir_medium *target)
{
    struct weir_file *marker;
    int rc = target->ops->create(target, FORMAT_SALVAGE_NAME, 0, &marker);
    if (rc == 0) {
        target->ops->close(marker);
        rc = target->ops->sync_directory(target, "");
    }
    return rc;
}

/* Empty, then locked, then still empty. */
static int claim_target(struct salvage *salvage)
{
    struct weir_medium *target = salvage->target;
    if (create_check_unfinished(target, NULL) == WEIR_E_NOT_A_LOG) {
        return log_error(salvage->why, -ENOTEMPTY, FORMAT_SALVAGE_NAME, UINT64_MAX,
                         "%s holds a salvage that was interrupted: remove the directory, then "
                         "salvage again",
                         salvage->target_name);
    }
    int rc = target->ops->list(target, "", refuse_entry, salvage);
    rc = rc != 0 ? rc
                 : lock_take(target, WEIR_LOCK_EXCLUSIVE, 0, &salvage->target_lock, salvage->why);
    rc = rc != 0 ? rc : target->ops->list(target, "", refuse_entry, salvage);
    if (rc != 0) {
        return rc;
    }
    rc = write_marker(target);
    if (rc < 0) {
        undo_target(salvage);
    }
    return rc;
}

static int open_target(struct salvage *salvage, const char *directory)
{
    struct weir_log_options *options = &salvage->target_options;
    bool custom = options->medium == WEIR_MEDIUM_CUSTOM;
    options->flags &= WEIR_LOG_ALLOW_EMULATED_PMEM;
    int rc = custom || directory == NULL ? 0 : medium_make_directory(directory);
    if (rc < 0) {
        return log_error(salvage->why, rc, NULL, UINT64_MAX, "%s cannot be made: %s", directory,
                         weir_error_text(rc));
    }
    rc = medium_select(directory, options, &salvage->target, salvage->why);
    return rc < 0 ? rc : claim_target(salvage);
}

/* ---- the whole ---- */

static int finish(struct salvage *salvage)
{
    struct salvage_writer *writer = &salvage->writer;
    struct weir_medium *target = salvage->target;
    int rc = salvage_fill_end(salvage);
    rc = rc != 0 ? rc : salvage_copy_holds(salvage);
    rc = rc != 0 ? rc : salvage_write_finish(writer);
    if (rc != 0) {
        return rc;
    }
    struct weir_salvage_report *report = salvage->report;
    bool empty = writer->next_lsn <= writer->control.first_lsn;
    report->kept_from = empty ? WEIR_LSN_NONE : writer->control.first_lsn;
    report->kept_to = empty ? WEIR_LSN_NONE : writer->next_lsn - 1;
    memcpy(report->uuid, writer->control.uuid, sizeof report->uuid);
    (void)target->ops->remove(target, FORMAT_SALVAGE_NAME); /* CONTROL counts, whether or not */
    (void)target->ops->sync_directory(target, "");
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
    report->written_bytes = salvage->writer.written_bytes;
    if (rc != 0) {
        undo_target(salvage);
    }
    salvage_write_free(&salvage->writer);
    return rc;
}

static void close_both(struct salvage *salvage)
{
    verify_free(&salvage->verify);
    base_free(salvage->reasons);
    if (salvage->target != NULL) {
        lock_drop(salvage->target, &salvage->target_lock);
        salvage->target->ops->destroy(salvage->target);
    }
    if (salvage->verify.medium != NULL) {
        lock_drop(salvage->verify.medium, &salvage->source_lock);
        salvage->verify.medium->ops->destroy(salvage->verify.medium);
    }
}

/* A custom medium belongs to the call, also when it came to nothing. */
static void drop_unused(const struct weir_log_options *options, const struct weir_medium *used)
{
    if (options->custom_medium != NULL && options->custom_medium != used) {
        options->custom_medium->ops->destroy(options->custom_medium);
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
        .target_name = destination != NULL && destination[0] != '\0' ? destination : "NEW",
    };
    int rc = options_take(source_options, &options, ret_error);
    int taken = options_take(destination_options, &salvage.target_options, ret_error);
    rc = rc < 0 ? rc : taken;
    rc = rc < 0 ? rc : open_source(&salvage, source, &options);
    rc = rc < 0 ? rc : open_target(&salvage, destination);
    rc = rc != 0 ? rc : copy_log(&salvage);
    drop_unused(&options, salvage.verify.medium);
    drop_unused(&salvage.target_options, salvage.target);
    close_both(&salvage);
    log_error_explain(ret_error, rc, salvage.target != NULL ? destination : source);
    report.seconds = (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
    if (rc == 0) {
        *ret_report = report;
    }
    return rc;
}
