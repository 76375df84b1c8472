/*
 * Backup: a log is copied, while it is written, to a log of its own.
 *
 * Happy path
 *   1. target: as of a salvage; a file SALVAGE says what lies there until CONTROL does
 *   2. a hold keeps what is retained now; then it is known how far the log is durable
 *   3. a cursor goes from group to group (backup_copy.c); the writer of salvage writes them, under
 *      a new uuid, seed and epoch
 *   4. the hold "engine", if there is one; CONTROL; SALVAGE goes; our hold is dropped
 *
 * Failure modes: of either medium; damage in the source, named with its LSNs; the source cannot be
 * held (no permission, no room): it goes on without, and ends with WEIR_E_TRUNCATED or
 * WEIR_E_HORIZON when it is overtaken. The target's files are removed again and the hold is
 * dropped. A crash leaves both: the hold under a name that says what it was for.
 *
 * Invariants: nothing but holds/ is written in the source; LSNs of the copy are those of the
 * source; no file of the copy is taken for a log before all of it is durable.
 */
#include "wal/backup.h"

#include "base/clock.h"
#include "base/identity.h"
#include "base/random.h"
#include "wal/hold.h"
#include "wal/options.h"
#include "wal/reader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ENGINE_HOLD "engine"

/* ---- the source ---- */

static int refuse_empty(struct backup *backup)
{
    return log_error(backup->why, WEIR_E_NOT_A_LOG, NULL, UINT64_MAX,
                     "a log was about to be made here and no record was ever in it: there is "
                     "nothing to back up");
}

static int load_control(struct backup *backup, struct control *ret_control)
{
    int rc = reader_load_control(backup->log, ret_control, backup->why);
    return rc == -ENOENT ? refuse_empty(backup) : rc;
}

static bool goes_on_without(int rc)
{
    return rc == -EACCES || rc == -EPERM || rc == -EROFS || rc == -ENOSPC || rc == -EDQUOT;
}

/* Keeps all that is retained. Truncation may get in between: then it is less. */
static int hold_source(struct backup *backup, struct control *ret_control)
{
    uint32_t number;
    int rc = base_random_bytes(&number, sizeof number);
    if (rc < 0) {
        return rc;
    }
    (void)snprintf(backup->hold, sizeof backup->hold, "backup-%u-%08x", base_process_id(), number);
    do {
        rc = load_control(backup, ret_control);
        rc = rc < 0 ? rc : weir_hold_set(backup->log, backup->hold, ret_control->first_lsn);
    } while (rc == WEIR_E_TRUNCATED);
    if (rc < 0 && rc != WEIR_E_NOT_A_LOG && backup->why != NULL && backup->why->code != rc) {
        log_error(backup->why, rc, HOLD_DIRECTORY, UINT64_MAX,
                  "the source cannot be kept from truncation meanwhile: %s", weir_error_text(rc));
    }
    if (rc < 0) {
        (void)weir_hold_drop(backup->log, backup->hold); /* it may be there and not be durable */
        backup->hold[0] = '\0';
    }
    backup->report->held = rc == 0;
    return goes_on_without(rc) ? 0 : rc;
}

/* Takes the newest knowledge of what is durable. */
static int look_at_source(struct backup *backup, struct control *ret_control)
{
    struct weir_log *log = backup->log;
    int rc = hold_source(backup, ret_control);
    if (rc == 0 && log->reader != NULL) {
        rc = reader_refresh(log);
    }
    backup->first = ret_control->first_lsn;
    backup->to = log_durable(log);
    return rc;
}

static void let_go(struct backup *backup)
{
    if (backup->hold[0] != '\0' && weir_hold_drop(backup->log, backup->hold) < 0) {
        memcpy(backup->report->left_hold, backup->hold, sizeof backup->report->left_hold);
    }
}

/* ---- the copy ---- */

static int start_writing(struct backup *backup, struct control *control)
{
    struct wal_limits limits;
    struct salvage_target *target = &backup->target;
    control->epoch++;
    int rc = salvage_new_identity(control, target->medium->info.block_bytes);
    rc = rc < 0 ? rc
                : options_apply(&target->options, control, &target->medium->info, &limits,
                                backup->why);
    return rc < 0 ? rc
                  : salvage_write_start(&target->writer, target->medium, control, backup->first);
}

static int copy_engine_hold(struct backup *backup)
{
    struct weir_log *log = backup->log;
    struct weir_medium *medium = backup->target.medium;
    struct weir_hold hold;
    int rc = salvage_read_hold(log->medium, ENGINE_HOLD, log->uuid_seed, &hold);
    if (rc == -ENOENT) {
        return 0;
    }
    if (rc < 0) {
        return log_error(backup->why, rc, HOLD_DIRECTORY "/" ENGINE_HOLD, 0,
                         HOLD_DIRECTORY "/" ENGINE_HOLD " cannot be read: %s", weir_error_text(rc));
    }
    rc = medium->ops->make_directory(medium, HOLD_DIRECTORY);
    rc = rc < 0 ? rc : salvage_write_hold(&backup->target.writer, hold);
    rc = rc < 0 ? rc : medium->ops->sync_directory(medium, HOLD_DIRECTORY);
    backup->report->engine_hold = rc == 0;
    return rc;
}

static int copy_log(struct backup *backup)
{
    struct control control;
    int rc = look_at_source(backup, &control);
    rc = rc < 0 ? rc : start_writing(backup, &control);
    rc = rc < 0 ? rc : backup_copy(backup);
    rc = rc != 0 ? rc : copy_engine_hold(backup);
    rc = rc != 0 ? rc : salvage_target_finish(&backup->target);
    if (rc != 0) {
        salvage_target_undo(&backup->target);
    }
    let_go(backup);
    return rc;
}

static void fill_report(const struct backup *backup)
{
    const struct salvage_writer *writer = &backup->target.writer;
    struct weir_backup_report *report = backup->report;
    bool empty = writer->next_lsn <= backup->first;
    if (backup->target.medium != NULL) {
        report->medium = backup->target.medium->info;
    }
    report->first = empty ? WEIR_LSN_NONE : backup->first;
    report->last = empty ? WEIR_LSN_NONE : writer->next_lsn - 1;
    report->written_bytes = writer->written_bytes;
    memcpy(report->uuid, writer->control.uuid, sizeof report->uuid);
}

/* ---- the calls ---- */

/* A caller's struct may be older (shorter) or newer (longer, with zeros that mean nothing yet). */
static int take_options(const struct weir_backup_options *given, struct weir_backup_options *ret)
{
    *ret = (struct weir_backup_options)WEIR_BACKUP_OPTIONS_INIT;
    if (given == NULL) {
        return 0;
    }
    const uint8_t *bytes = (const uint8_t *)given;
    uint8_t set = 0;
    for (size_t i = sizeof *ret; i < given->size; i++) {
        set |= bytes[i];
    }
    if (given->size < sizeof given->size || set != 0) {
        return -EINVAL;
    }
    memcpy(ret, given, given->size < sizeof *ret ? given->size : sizeof *ret);
    return 0;
}

static bool takes_results(const struct weir_backup_report *report, const struct weir_error *error)
{
    return report != NULL && report->size >= sizeof *report &&
           (error == NULL || error->size >= sizeof *error);
}

int weir_log_backup(struct weir_log *log, const char *target,
                    const struct weir_backup_options *given, struct weir_backup_report *ret_report,
                    struct weir_error *ret_error)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    struct weir_backup_options options;
    if (log == NULL || !takes_results(ret_report, ret_error) || take_options(given, &options) < 0) {
        return -EINVAL;
    }
    struct weir_backup_report report = {.size = sizeof report};
    struct backup backup = {
        .log = log,
        .options = &options,
        .report = &report,
        .why = ret_error,
        .target = {.work = "a backup", .again = "back up"},
    };
    struct control there;
    int rc = options_take(options.target, &backup.target.options, ret_error);
    rc = rc < 0 ? rc : log_check(log);
    rc = rc < 0 ? rc : load_control(&backup, &there); /* before anything is made */
    rc = rc < 0 ? rc : salvage_target_open(&backup.target, target, ret_error);
    rc = rc < 0 ? rc : copy_log(&backup);
    fill_report(&backup);
    salvage_target_close(&backup.target);
    log_error_explain(ret_error, rc, target);
    report.seconds = (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
    if (rc == 0) {
        *ret_report = report;
    } else { /* what is left behind is told all the same */
        memcpy(ret_report->left_hold, report.left_hold, sizeof ret_report->left_hold);
    }
    return rc;
}

int weir_backup(const char *source, const char *target, const struct weir_backup_options *given,
                struct weir_backup_report *ret_report, struct weir_error *ret_error)
{
    struct weir_backup_options options;
    struct weir_log_options from = WEIR_LOG_OPTIONS_INIT;
    int rc = takes_results(ret_report, ret_error) ? take_options(given, &options) : -EINVAL;
    if (rc < 0) {
        return rc;
    }
    struct weir_log *log = NULL;
    rc = options_take(options.source, &from, ret_error);
    from.flags = (from.flags & WEIR_LOG_ALLOW_EMULATED_PMEM) | WEIR_LOG_READ_ONLY;
    if (rc < 0) {
        salvage_drop_unused(&from, NULL);
    } else {
        rc = weir_log_open(source, &from, &log, ret_error);
    }
    if (rc < 0) {
        struct weir_log_options to = WEIR_LOG_OPTIONS_INIT;
        (void)options_take(options.target, &to, NULL);
        salvage_drop_unused(&to, NULL);
        return rc;
    }
    rc = weir_log_backup(log, target, given, ret_report, ret_error);
    int close_rc = weir_log_close(log);
    return rc != 0 ? rc : close_rc;
}
