/*
 * weir verify: reads every byte of a log and says what is wrong with it, changing nothing.
 *
 * 1. weir_verify() reads; findings are collected, up to FINDINGS_MAX, all of them are counted.
 * 2. The verdict comes first, then the findings. Exit 1 when there is a finding that costs records.
 *
 * Works on logs that cannot be opened: that is what it is for. What is no log at all is refused
 * (3).
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/signals.h"

#include "base/alloc.h"
#include "base/text.h"

#include <weir/inspect.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FINDINGS_MAX 1000

struct verify_options {
    struct cli_common common;
};

struct verify {
    struct weir_verify_report report;
    size_t count;                  /* of what is kept below */
    struct weir_finding *findings; /* room for FINDINGS_MAX; code points into codes */
    char (*codes)[32];
};

static int keep_finding(void *context, const struct weir_finding *finding)
{
    struct verify *verify = context;
    if (signals_interrupted()) {
        return -EINTR;
    }
    if (verify->count < FINDINGS_MAX) {
        size_t i = verify->count++;
        verify->findings[i] = *finding;
        snprintf(verify->codes[i], sizeof verify->codes[i], "%s", finding->code);
        verify->findings[i].code = verify->codes[i];
    }
    return 0;
}

static void finding_to_json(struct json *json, const struct weir_finding *finding)
{
    json_object(json, NULL);
    json_text(json, "code", finding->code);
    json_u64(json, "from_lsn", finding->from_lsn);
    json_u64(json, "to_lsn", finding->to_lsn);
    json_text(json, "file", finding->file);
    if (finding->offset != UINT64_MAX) {
        json_u64(json, "offset", finding->offset);
    }
    json_text(json, "text", finding->text);
    json_object_end(json);
}

static void print_json(struct cli *cli, const struct verify *verify)
{
    const struct weir_verify_report *report = &verify->report;
    struct json json;
    json_begin(&json, &cli->out);
    json_bool(&json, "ok", report->ok);
    json_u64(&json, "earliest", report->earliest);
    json_u64(&json, "latest", report->latest);
    json_u64(&json, "records", report->records);
    json_u64(&json, "bytes", report->payload_bytes);
    json_array(&json, "findings");
    for (size_t i = 0; i < verify->count; i++) {
        finding_to_json(&json, &verify->findings[i]);
    }
    json_array_end(&json);
    json_u64(&json, "findings_total", report->findings);
    json_u64(&json, "groups", report->groups);
    json_u64(&json, "segments", report->segments);
    json_u64(&json, "scanned_bytes", report->scanned_bytes);
    json_u64(&json, "cut_bytes", report->cut_bytes);
    json_double(&json, "seconds", report->seconds);
    json_end(&json);
}

static void print_lsns(struct output *out, const struct weir_finding *finding)
{
    if (finding->from_lsn == WEIR_LSN_NONE) {
        output_text(out, "no record lost");
    } else if (finding->to_lsn == UINT64_MAX) {
        output_format(out, "LSN %" PRIu64 " on", finding->from_lsn);
    } else {
        output_format(out, "LSN %" PRIu64 " to %" PRIu64, finding->from_lsn, finding->to_lsn);
    }
}

static const char *verdict(const struct verify *verify)
{
    if (verify->report.ok) {
        return "every retained byte is as it was written";
    }
    for (size_t i = 0; i < verify->count; i++) {
        if (verify->findings[i].from_lsn != WEIR_LSN_NONE) {
            return "records are lost or damaged";
        }
    }
    return "no record is lost, but the log is damaged and cannot be opened";
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
    if (report->cut_bytes > 0) {
        output_label(out, "torn tail");
        output_format(out, "%" PRIu64 " bytes that were never acknowledged: no finding\n",
                      report->cut_bytes);
    }
    output_label(out, "findings");
    output_format(out, "%" PRIu64 "\n", report->findings);
    for (size_t i = 0; i < verify->count; i++) {
        const struct weir_finding *finding = &verify->findings[i];
        output_format(out, "    %-16s ", finding->code);
        print_lsns(out, finding);
        output_format(out, ", %s", finding->file);
        if (finding->offset != UINT64_MAX) {
            output_format(out, " at byte %" PRIu64, finding->offset);
        }
        output_format(out, ": %s\n", finding->text);
    }
    if (!report->ok) {
        output_text(out, "Restore the files that are named from a backup; nothing was changed.\n");
    }
}

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
    } else if (rc < 0) {
        return cli_fail_open(cli, rc, &why, "cannot verify %s", path);
    }
    if (cli->json) {
        print_json(cli, verify);
    } else {
        print_text(cli, verify);
    }
    return rc == -EINTR ? CLI_INTERRUPTED : verify->report.ok ? CLI_OK : CLI_NO;
}

static int run(struct cli *cli, const void *opaque)
{
    struct verify verify = {.report = WEIR_VERIFY_REPORT_INIT};
    verify.findings = base_alloc_array(FINDINGS_MAX, sizeof verify.findings[0]);
    verify.codes = base_alloc_array(FINDINGS_MAX, sizeof verify.codes[0]);
    int exit_code = verify.findings != NULL && verify.codes != NULL
                        ? verify_log(cli, opaque, &verify)
                        : cli_fail(cli, -ENOMEM, NULL, "cannot verify %s", cli->path);
    base_free(verify.findings);
    base_free(verify.codes);
    return exit_code;
}

const struct cli_command verify_command = {
    .name = "verify",
    .arguments = "LOG [OPTION...]",
    .summary = "Reads every byte of a log and lists what is lost or damaged; changes nothing",
    .details =
        "Exit 0 when all is well, 1 when records are lost or LOG cannot be opened for damage,\n"
        "3 when LOG is no log.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct verify_options),
    .options = {cli_open_options, cli_output_options},
    .run = run,
};
