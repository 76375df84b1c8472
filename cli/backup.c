/*
 * weir backup: copies a log, while it is written, to a log of its own.
 *
 * 1. weir_backup() opens LOG read-only beside its writer, keeps it with a hold, and writes DST.
 * 2. What was copied, and how fast, is printed.
 *
 * Failures: DST holds something; LOG is damaged (its LSNs are named: `weir salvage` is for that) or
 * no log; either device. Then, and when a signal interrupts it, DST is empty again.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/inside.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/place_report.h"
#include "cli/signals.h"

#include "base/text.h"

#include <weir/backup.h>

#include <errno.h>
#include <inttypes.h>

struct backup_options {
    struct cli_common common;
    int to_medium;
};

static const struct cli_option backup_options[] = {
    {"to-medium", CLI_CHOICE, 0, "auto|pmem|direct|mapped", "the medium of DST",
     offsetof(struct backup_options, to_medium)},
    {0},
};

struct backup {
    const char *from, *to;
    struct weir_backup_report report;
};

static int show_progress(void *context, const struct weir_backup_progress *progress)
{
    const struct backup *backup = context;
    char copied[32];
    struct base_text text;
    base_text_init(&text, copied, sizeof copied);
    base_text_append_size(&text, progress->bytes);
    progress_show("backing up %s: %s, LSN %" PRIu64 " of %" PRIu64 " ...", backup->from, copied,
                  progress->lsn, progress->to);
    return signals_interrupted() ? -EINTR : 0;
}

/* ---- what came of it ---- */

static double bytes_per_s(const struct weir_backup_report *report)
{
    return report->seconds > 0 ? (double)report->written_bytes / report->seconds : 0;
}

static void print_json(struct cli *cli, const struct weir_backup_report *report)
{
    char uuid[33];
    struct base_text text;
    struct json json;
    base_text_init(&text, uuid, sizeof uuid);
    base_text_append_hex(&text, report->uuid, sizeof report->uuid);
    json_begin(&json, &cli->out);
    json_u64(&json, "records", report->records);
    json_u64(&json, "first", report->first);
    json_u64(&json, "last", report->last);
    json_u64(&json, "bytes", report->payload_bytes);
    json_u64(&json, "written_bytes", report->written_bytes);
    json_u64(&json, "groups", report->groups);
    json_u64(&json, "gap_lsns", report->gap_lsns);
    json_text(&json, "uuid", uuid);
    json_bool(&json, "held", report->held);
    json_text(&json, "left_hold", report->left_hold);
    json_bool(&json, "engine_hold", report->engine_hold);
    json_text(&json, "medium", report->medium.name);
    json_text(&json, "io", report->medium.io);
    json_bool(&json, "durable", report->medium.durable);
    json_double(&json, "seconds", report->seconds);
    json_double(&json, "bytes_per_s", bytes_per_s(report));
    json_end(&json);
}

static void print_text(struct cli *cli, const struct backup *backup)
{
    const struct weir_backup_report *report = &backup->report;
    struct output *out = &cli->out;
    output_format(out, "%s: copied to %s, a log of its own\n", backup->from, backup->to);
    output_label(out, "records");
    output_number_of(out, report->records, "record");
    output_text(out, ", ");
    output_size(out, report->payload_bytes);
    if (report->last != WEIR_LSN_NONE) {
        output_format(out, " (LSN %" PRIu64 " to %" PRIu64 ")", report->first, report->last);
    }
    output_char(out, '\n');
    if (report->gap_lsns > 0) {
        output_label(out, "gaps");
        output_number_of(out, report->gap_lsns, "record");
        output_text(out, " that a salvage had not found are not in the copy either\n");
    }
    output_label(out, "written");
    output_size(out, report->written_bytes);
    output_format(out, " in %.3f s, ", report->seconds);
    output_size(out, (uint64_t)bytes_per_s(report));
    output_text(out, "/s\n");
    place_report_medium(out, &report->medium);
}

static void note_left_hold(const struct cli *cli, const struct weir_backup_report *report)
{
    if (report->left_hold[0] != '\0') {
        cli_note(cli, "its hold could not be dropped again: `weir hold drop %s %s`", cli->path,
                 report->left_hold);
    }
}

/* ---- running it ---- */

static int copy_log(struct cli *cli, const struct backup_options *options, struct backup *backup)
{
    struct weir_log_options from, to = WEIR_LOG_OPTIONS_INIT;
    struct weir_backup_options how = WEIR_BACKUP_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    cli_log_options(&options->common, WEIR_LOG_READ_ONLY, &from);
    to.medium = (enum weir_medium_kind)options->to_medium;
    to.flags = from.flags & WEIR_LOG_ALLOW_EMULATED_PMEM;
    how.source = &from;
    how.target = &to;
    how.context = backup;
    how.progress = show_progress;
    int rc = weir_backup(backup->from, backup->to, &how, &backup->report, &why);
    progress_clear();
    note_left_hold(cli, &backup->report);
    if (rc == -EINTR) {
        return cli_refuse(cli, CLI_INTERRUPTED, "interrupted: nothing was left in %s", backup->to);
    }
    if (rc < 0) {
        return cli_fail_open(cli, rc, &why, "cannot back up %s to %s", backup->from, backup->to);
    }
    if (cli->json) {
        print_json(cli, &backup->report);
    } else {
        print_text(cli, backup);
    }
    if (!backup->report.held) {
        cli_note(cli, "no hold could be set in %s/holds: a truncation would have ended the backup",
                 cli->path);
    }
    return CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    struct backup backup = {
        .from = cli->argument[0],
        .to = cli->argument[1],
        .report = WEIR_BACKUP_REPORT_INIT,
    };
    if (backup.from[0] == '\0' || backup.to[0] == '\0') {
        return cli_usage_error(cli, "LOG and DST name directories: neither may be empty");
    }
    if (path_lies_inside(backup.to, backup.from)) {
        return cli_refuse(cli, CLI_REFUSED,
                          "cannot back up %s to %s: the copy would lie inside of the log; name a "
                          "directory elsewhere",
                          backup.from, backup.to);
    }
    return copy_log(cli, opaque, &backup);
}

const struct cli_command backup_command = {
    .name = "backup",
    .arguments = "LOG DST [OPTION...]",
    .summary = "Copies a log to a log of its own, also while it is written",
    .details =
        "DST must not exist or be empty. Each record that was durable at the start keeps its LSN\n"
        "and time; the copy has an identity of its own and no consumers: they stay with LOG.\n"
        "A hold backup-PID-NUMBER keeps LOG from truncation meanwhile; what a killed backup leaves "
        "of\nit is dropped with `weir hold drop`. Damage in LOG is refused (exit 3) with its LSNs.",
    .arguments_min = 2,
    .arguments_max = 2,
    .options_size = sizeof(struct backup_options),
    .options = {backup_options, cli_open_options, cli_output_options},
    .run = run,
};
