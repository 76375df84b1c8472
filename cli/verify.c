/*
 * weir verify: reads every byte of a log and says what is wrong with it, changing nothing.
 *
 * 1. weir_verify() reads; findings are collected, up to FINDINGS_MAX, all of them are counted. The
 *    engine's checkpoint is read behind it, where the log opens.
 * 2. The verdict comes first, then the findings, what can be done about them, and the notes: damage
 *    that costs nothing. Exit 1 when there is a finding that is no note.
 *
 * 3. With --derived every system that is defined is built beside the saved one, and compared.
 *
 * Works on logs that cannot be opened: that is what it is for. What is no log at all is refused
 * (3).
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/findings.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/verify_derived.h"

#include "base/text.h"

#include <weir/inspect.h>
#include <weir/maintain.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct verify_options {
    struct cli_common common;
    bool derived;
};

static const struct cli_option verify_options[] = {
    {"derived", CLI_FLAG, 0, NULL, "build every index, view and text beside the saved one as well",
     offsetof(struct verify_options, derived)},
    {0},
};

struct verify {
    struct weir_verify_report report;
    struct findings findings;
};

static int keep_finding(void *context, const struct weir_finding *finding)
{
    struct verify *verify = context;
    if (signals_interrupted()) {
        return -EINTR;
    }
    findings_add(&verify->findings, finding);
    return 0;
}

static void print_json(struct cli *cli, const struct verify *verify,
                       const struct verify_derived *derived)
{
    const struct weir_verify_report *report = &verify->report;
    struct json json;
    json_begin(&json, &cli->out);
    json_bool(&json, "ok", report->ok && (derived == NULL || derived->differing == 0));
    json_u64(&json, "earliest", report->earliest);
    json_u64(&json, "latest", report->latest);
    json_u64(&json, "records", report->records);
    json_u64(&json, "bytes", report->payload_bytes);
    findings_to_json(&json, "findings", &verify->findings, NULL);
    json_u64(&json, "findings_total", report->findings);
    json_u64(&json, "notes", report->notes);
    json_u64(&json, "gap_lsns", report->gap_lsns);
    json_bool(&json, "open_begin", report->open_begin);
    json_u64(&json, "groups", report->groups);
    json_u64(&json, "segments", report->segments);
    json_u64(&json, "scanned_bytes", report->scanned_bytes);
    json_u64(&json, "cut_bytes", report->cut_bytes);
    json_double(&json, "seconds", report->seconds);
    if (derived != NULL) {
        verify_derived_to_json(&json, derived);
    }
    json_end(&json);
}

/* Bytes between records are damaged, and nothing else. */
static bool refuses_reading_only(const struct findings *findings)
{
    bool only = findings->count > findings->notes;
    for (size_t i = 0; i < findings->count; i++) {
        const struct weir_finding *finding = &findings->list[i];
        only = only && (finding->note || strcmp(finding->code, "padding") == 0);
    }
    return only;
}

static const char *verdict(const struct verify *verify)
{
    const struct findings *findings = &verify->findings;
    if (verify->report.ok && verify->report.segments == 0 && verify->report.findings == 0) {
        return "an empty log: nothing was ever written to it";
    }
    if (verify->report.ok) {
        return verify->report.findings == 0
                   ? "every retained byte is as it was written"
                   : "no record is lost or damaged, and the log opens; see the notes";
    }
    for (size_t i = 0; i < findings->count; i++) {
        if (!findings->list[i].note && findings->list[i].from_lsn != WEIR_LSN_NONE) {
            return "records are lost or damaged";
        }
    }
    if (verify->report.open_begin) {
        return "the log is damaged and cannot be opened; records may be missing at its front";
    }
    return refuses_reading_only(findings)
               ? "no record is lost, but readers refuse some: a salvage copies them"
               : "no record is lost, but the log is damaged and cannot be opened";
}

static void print_extent(struct output *out, const struct weir_verify_report *report)
{
    output_label(out, "records");
    if (report->records == 0) {
        output_text(out, "none");
    } else {
        output_format(out, "%" PRIu64 " (LSN %" PRIu64 " to %" PRIu64 ")", report->records,
                      report->earliest, report->latest);
    }
    output_text(out, ", ");
    output_size(out, report->payload_bytes);
    output_text(out, " in ");
    output_number_of(out, report->groups, "group");
    output_text(out, " of ");
    output_number_of(out, report->segments, "segment");
    output_char(out, '\n');
}

static void print_text(struct cli *cli, const struct verify *verify)
{
    const struct weir_verify_report *report = &verify->report;
    struct output *out = &cli->out;
    output_format(out, "%s: %s\n", cli->path, verdict(verify));
    print_extent(out, report);
    output_label(out, "read");
    output_size(out, report->scanned_bytes);
    output_format(out, " in %.3f s\n", report->seconds);
    if (report->open_begin) {
        output_label(out, "before it");
        output_format(out,
                      "cannot be told: without CONTROL nothing says whether the log began with LSN "
                      "%" PRIu64 "\n",
                      report->earliest);
    }
    if (report->cut_bytes > 0) {
        output_label(out, "torn tail");
        output_format(out, "%" PRIu64 " bytes that were never acknowledged: no finding\n",
                      report->cut_bytes);
    }
    if (report->gap_lsns > 0) {
        output_label(out, "gaps");
        output_number_of(out, report->gap_lsns, "LSN");
        output_text(out, " lost before this log was made by a salvage\n");
    }
    output_label(out, "findings");
    output_format(out, "%" PRIu64 "\n", report->findings - report->notes);
    findings_print(out, &verify->findings, false);
    if (report->notes > 0) {
        output_label(out, "notes");
        output_format(out, "%" PRIu64 " (they cost no record)\n", report->notes);
        findings_print(out, &verify->findings, true);
        findings_print_advice(cli, &verify->findings, true);
    }
    if (!report->ok) {
        output_text(out, "Nothing was changed. What can be done:\n");
        findings_print_advice(cli, &verify->findings, false);
    }
}

/* Returns -1 to go on, else the exit code. */
static int verify_log(struct cli *cli, const struct verify_options *options, struct verify *verify)
{
    struct weir_log_options log_options;
    const char *path = cli->path;
    struct weir_error why = WEIR_ERROR_INIT;
    cli_log_options(&options->common, WEIR_LOG_READ_ONLY, &log_options);
    progress_show("reading every byte of %s ...", path);
    int rc = weir_verify(path, &log_options, keep_finding, verify, &verify->report, &why);
    progress_clear();
    if (rc == -EINTR) {
        cli_note(cli, "interrupted");
        return CLI_INTERRUPTED;
    }
    return rc < 0 ? cli_fail_open(cli, rc, &why, "cannot verify %s", path) : -1;
}

/* The engine's checkpoint is a file that the log knows nothing of. Returns -1 to go on, else the
 * exit code. */
static int verify_checkpoint(struct cli *cli, const struct verify_options *options,
                             struct verify *verify)
{
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    int exit_code = cli_open(cli, &options->common, WEIR_LOG_READ_ONLY, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    int rc = weir_checkpoint_check(log, &why);
    if (rc == WEIR_E_STATE) {
        struct weir_finding finding = {
            .code = "checkpoint",
            .file = "derived/engine/checkpoint",
            .offset = UINT64_MAX,
            .advice = weir_finding_advice("checkpoint"),
            .note = true,
        };
        snprintf(finding.text, sizeof finding.text, "%s", why.text);
        findings_add(&verify->findings, &finding);
        verify->report.findings++;
        verify->report.notes++;
    } else if (rc < 0) {
        exit_code = cli_fail(cli, rc, &why, "cannot verify the checkpoint of %s", cli->path);
    }
    int closed = cli_close(cli, log, exit_code < 0 ? CLI_OK : exit_code);
    return exit_code < 0 && closed == CLI_OK ? -1 : closed;
}

static int verify_all(struct cli *cli, const struct verify_options *options, struct verify *verify)
{
    struct verify_derived derived = {0};
    bool with_derived = options->derived;
    int exit_code = verify_log(cli, options, verify);
    if (exit_code >= 0 && exit_code != CLI_INTERRUPTED) {
        return exit_code;
    }
    if (exit_code < 0 && verify->report.ok) {
        int checked = verify_checkpoint(cli, options, verify);
        if (checked >= 0) {
            return checked;
        }
    }
    with_derived = with_derived && exit_code < 0 && verify->report.ok;
    if (with_derived) {
        int derived_exit = verify_derived(cli, &options->common, &derived);
        if (derived_exit >= 0) {
            verify_derived_free(&derived);
            return derived_exit;
        }
    }
    if (cli->json) {
        print_json(cli, verify, with_derived ? &derived : NULL);
    } else {
        print_text(cli, verify);
        verify_derived_print(cli, &derived);
    }
    bool ok = verify->report.ok && derived.differing == 0;
    verify_derived_free(&derived);
    return exit_code >= 0 ? exit_code : ok ? CLI_OK : CLI_NO;
}

static int run(struct cli *cli, const void *opaque)
{
    struct verify verify = {.report = WEIR_VERIFY_REPORT_INIT};
    int rc = findings_init(&verify.findings);
    int exit_code = rc == 0 ? verify_all(cli, opaque, &verify)
                            : cli_fail(cli, rc, NULL, "cannot verify %s", cli->path);
    findings_free(&verify.findings);
    return exit_code;
}

const struct cli_command verify_command = {
    .name = "verify",
    .arguments = "LOG [OPTION...]",
    .summary = "Reads every byte of a log and lists what is lost or damaged; changes nothing",
    .details =
        "Damage to holds, checkpoints and what is derived is a note: they can be made again.\n"
        "Exit 0 when all is well, also of an empty log, 1 when records are lost, LOG cannot be\n"
        "opened for damage, or something derived is not what the log says, 3 when LOG is no log.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct verify_options),
    .options = {verify_options, cli_open_options, cli_output_options},
    .run = run,
};
