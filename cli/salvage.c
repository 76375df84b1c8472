/*
 * weir salvage: copies what is whole of a damaged log to a new one.
 *
 * 1. weir_salvage() reads SRC, which it does not change, and writes DST; gaps and notes are
 *    collected, up to FINDINGS_MAX of them, all of them are counted.
 * 2. How much was kept and what is missing is printed. Exit 1 when anything is missing.
 *
 * Failures: DST holds something; SRC is being written, or is no log; either device. Then, and when
 * a signal interrupts it, DST is empty again.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/findings.h"
#include "cli/inside.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/signals.h"

#include "base/text.h"

#include <weir/salvage.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct salvage_options {
    struct cli_common common;
    int to_medium;
};

static const struct cli_option salvage_options[] = {
    {"to-medium", CLI_CHOICE, 0, "auto|pmem|direct|mapped", "the medium of DST",
     offsetof(struct salvage_options, to_medium)},
    {0},
};

struct salvage {
    const char *from, *to;
    struct weir_salvage_report report;
    struct findings findings;
    struct weir_salvage_hold *holds; /* as many as the report counts */
    size_t hold_count, hold_capacity;
};

static int take_finding(void *context, const struct weir_finding *finding)
{
    struct salvage *salvage = context;
    findings_add(&salvage->findings, finding);
    return signals_interrupted() ? -EINTR : 0;
}

static int take_hold(void *context, const struct weir_salvage_hold *hold)
{
    struct salvage *salvage = context;
    if (salvage->hold_count == salvage->hold_capacity) {
        size_t capacity = 2 * salvage->hold_capacity + 8;
        struct weir_salvage_hold *grown = realloc(salvage->holds, capacity * sizeof *grown);
        if (grown == NULL) {
            return -ENOMEM;
        }
        salvage->holds = grown;
        salvage->hold_capacity = capacity;
    }
    salvage->holds[salvage->hold_count++] = *hold;
    return signals_interrupted() ? -EINTR : 0;
}

static int show_progress(void *context, uint64_t read_bytes, weir_lsn lsn)
{
    const struct salvage *salvage = context;
    char read[32];
    struct base_text text;
    base_text_init(&text, read, sizeof read);
    base_text_append_size(&text, read_bytes);
    progress_show("salvaging %s: %s read, up to LSN %" PRIu64 " ...", salvage->from, read, lsn);
    return signals_interrupted() ? -EINTR : 0;
}

/* ---- what came of it ---- */

static void holds_to_json(struct json *json, const struct salvage *salvage)
{
    json_array(json, "hold_list");
    for (size_t i = 0; i < salvage->hold_count; i++) {
        const struct weir_salvage_hold *hold = &salvage->holds[i];
        json_object(json, NULL);
        json_text(json, "name", hold->name);
        json_bool(json, "kept", hold->kept);
        json_u64(json, "floor", hold->floor);
        json_bool(json, "consumer", hold->consumer);
        json_object_end(json);
    }
    json_array_end(json);
}

static void print_json(struct cli *cli, const struct salvage *salvage)
{
    const struct weir_salvage_report *report = &salvage->report;
    const bool notes = true, gaps = false;
    struct json json;
    json_begin(&json, &cli->out);
    json_u64(&json, "records", report->records);
    json_u64(&json, "kept_from", report->kept_from);
    json_u64(&json, "kept_to", report->kept_to);
    findings_to_json(&json, "gaps", &salvage->findings, &gaps);
    json_u64(&json, "gaps_total", report->gaps);
    json_u64(&json, "gap_lsns", report->gap_lsns);
    json_bool(&json, "open_end", report->open_end);
    json_bool(&json, "open_begin", report->open_begin);
    findings_to_json(&json, "notes", &salvage->findings, &notes);
    json_u64(&json, "bytes", report->payload_bytes);
    json_u64(&json, "read_bytes", report->read_bytes);
    json_u64(&json, "written_bytes", report->written_bytes);
    json_u64(&json, "cut_bytes", report->cut_bytes);
    json_u64(&json, "holds", report->holds);
    json_u64(&json, "holds_lost", report->holds_lost);
    holds_to_json(&json, salvage);
    json_double(&json, "seconds", report->seconds);
    json_end(&json);
}

static void print_holds(struct output *out, const struct salvage *salvage)
{
    if (salvage->hold_count == 0) {
        return;
    }
    output_label(out, "holds");
    output_format(out, "%" PRIu64 " copied, %" PRIu64 " damaged\n", salvage->report.holds,
                  salvage->report.holds_lost);
    for (size_t i = 0; i < salvage->hold_count; i++) {
        const struct weir_salvage_hold *hold = &salvage->holds[i];
        output_format(out, "      %-24s ", hold->name);
        if (hold->kept) {
            output_format(out, "keeps LSN %" PRIu64 " and what is behind it", hold->floor);
        } else {
            output_text(out, "is damaged and not copied");
        }
        output_text(out, hold->consumer ? ", for a consumer that is not copied\n" : "\n");
    }
}

static void print_kept(struct output *out, const struct salvage *salvage)
{
    const struct weir_salvage_report *report = &salvage->report;
    output_label(out, "kept");
    output_number_of(out, report->records, "record");
    output_text(out, ", ");
    output_size(out, report->payload_bytes);
    if (report->kept_to != WEIR_LSN_NONE) {
        output_format(out, " (the new log holds LSN %" PRIu64 " to %" PRIu64 ")", report->kept_from,
                      report->kept_to);
    }
    output_char(out, '\n');
    print_holds(out, salvage);
    if (report->cut_bytes > 0) {
        output_label(out, "torn tail");
        output_format(out, "%" PRIu64 " bytes that were never acknowledged: no gap\n",
                      report->cut_bytes);
    }
}

static void print_missing(struct output *out, const struct salvage *salvage)
{
    const struct weir_salvage_report *report = &salvage->report;
    output_label(out, "missing");
    output_number_of(out, report->gap_lsns, "record");
    output_text(out, " in ");
    output_number_of(out, report->gaps, "gap");
    output_text(out, report->open_end ? ", and an unknown number behind the last one\n" : "\n");
    findings_print(out, &salvage->findings, false);
}

/* Nothing of theirs is in the new log but the holds, which nobody moves any more. */
static void print_consumers(struct output *out, const struct salvage *salvage)
{
    if (salvage->report.holds_of_consumers == 0) {
        return;
    }
    output_format(out,
                  "Consumers were not copied, their holds were: %s keeps what each has not seen.\n"
                  "Drop the hold of one, then make it again if it is still needed:\n",
                  salvage->to);
    for (size_t i = 0; i < salvage->hold_count; i++) {
        const struct weir_salvage_hold *hold = &salvage->holds[i];
        if (hold->kept && hold->consumer) {
            output_format(out, "  weir hold drop %s %s\n", salvage->to, hold->name);
        }
    }
}

static void print_text(struct cli *cli, const struct salvage *salvage)
{
    const struct weir_salvage_report *report = &salvage->report;
    struct output *out = &cli->out;
    output_format(out, "%s: ", salvage->from);
    if (report->gaps == 0 && report->open_begin) {
        output_format(out, "what is whole was copied to %s; records may be missing at the front\n",
                      salvage->to);
    } else if (report->gaps == 0) {
        output_format(out, "nothing was missing; all of it is in %s\n", salvage->to);
    } else {
        output_format(out, "what is whole was copied to %s; records are missing\n", salvage->to);
    }
    print_kept(out, salvage);
    output_label(out, "read");
    output_size(out, report->read_bytes);
    output_text(out, ", written ");
    output_size(out, report->written_bytes);
    output_format(out, " in %.3f s\n", report->seconds);
    if (report->gaps > 0) {
        print_missing(out, salvage);
    }
    if (report->open_begin) {
        output_label(out, "before it");
        output_format(out,
                      "cannot be told: without CONTROL nothing says whether the log began with LSN "
                      "%" PRIu64 "\n",
                      report->kept_from);
    }
    if (report->notes > 0) {
        output_label(out, "notes");
        output_format(out, "%" PRIu64 " (they cost no record)\n", report->notes);
        findings_print(out, &salvage->findings, true);
    }
    if (report->gaps > 0) {
        output_format(out,
                      "%s was not changed. %s opens for writing and goes on with LSN %" PRIu64
                      ";\n`weir tail` shows its gaps as rows. A backup may still have what is "
                      "missing. Its tables, if it\nhas any, are refused: changes may be lost. "
                      "`weir rebuild %s --accept-gaps` opens them without.\n",
                      salvage->from, salvage->to, report->kept_to + 1, salvage->to);
    }
    print_consumers(out, salvage);
}

/* ---- running it ---- */

static int copy_log(struct cli *cli, const struct salvage_options *options, struct salvage *salvage)
{
    struct weir_log_options from, to = WEIR_LOG_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_salvage_watch watch = {
        .context = salvage,
        .finding = take_finding,
        .progress = show_progress,
        .hold = take_hold,
    };
    cli_log_options(&options->common, WEIR_LOG_READ_ONLY, &from);
    to.medium = (enum weir_medium_kind)options->to_medium;
    to.flags = from.flags & WEIR_LOG_ALLOW_EMULATED_PMEM;
    int rc = weir_salvage(salvage->from, &from, salvage->to, &to, &watch, &salvage->report, &why);
    progress_clear();
    if (rc == -EINTR) {
        return cli_refuse(cli, CLI_INTERRUPTED, "interrupted: nothing was left in %s", salvage->to);
    }
    if (rc < 0) {
        return cli_fail_open(cli, rc, &why, "cannot salvage %s to %s", salvage->from, salvage->to);
    }
    if (cli->json) {
        print_json(cli, salvage);
    } else {
        print_text(cli, salvage);
    }
    return salvage->report.gaps > 0 || salvage->report.open_begin ? CLI_NO : CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    struct salvage salvage = {
        .from = cli->argument[0],
        .to = cli->argument[1],
        .report = WEIR_SALVAGE_REPORT_INIT,
    };
    if (salvage.from[0] == '\0' || salvage.to[0] == '\0') {
        return cli_usage_error(cli, "SRC and DST name directories: neither may be empty");
    }
    if (path_lies_inside(salvage.to, salvage.from)) {
        return cli_refuse(cli, CLI_REFUSED,
                          "cannot salvage %s to %s: the new log would lie inside of the old one, "
                          "which must not change; name a directory elsewhere",
                          salvage.from, salvage.to);
    }
    int rc = findings_init(&salvage.findings);
    int exit_code = rc == 0 ? copy_log(cli, opaque, &salvage)
                            : cli_fail(cli, rc, NULL, "cannot salvage %s", salvage.from);
    findings_free(&salvage.findings);
    free(salvage.holds);
    return exit_code;
}

const struct cli_command salvage_command = {
    .name = "salvage",
    .arguments = "SRC DST [OPTION...]",
    .summary = "Copies what is whole of a damaged log to a new one; SRC is not changed",
    .details =
        "DST must not exist or be empty. Each record keeps its LSN and time; a gap stands for\n"
        "LSNs that are missing and may have been acknowledged, and appends go on behind them.\n"
        "Holds are copied and named; what is derived is not, and has to be made again.\n"
        "Exit 0 when nothing was missing, 1 when something was or may have been, 3 when SRC is in\n"
        "use or no log or DST holds something, 4 when a device fails, 5 when interrupted: DST is "
        "empty then.",
    .arguments_min = 2,
    .arguments_max = 2,
    .options_size = sizeof(struct salvage_options),
    .options = {salvage_options, cli_open_options, cli_output_options},
    .run = run,
};
