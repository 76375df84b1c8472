/*
 * weir compact: gives back the space of versions that no reachable state needs.
 *
 * 1. The log is opened for writing. Derived systems are brought up to date; consumers that are
 *    further behind than they may be all the same are let go of, and named.
 * 2. Compaction runs step by step, with progress.
 * 3. How much there was and is, what was dropped, and what keeps the horizon where it is, is
 *    printed.
 *
 * Failures: each step has happened or has not; a signal ends behind one, with a report and exit 5.
 */
#include "cli/commands.h"
#include "cli/consumers.h"
#include "cli/derived_save.h"
#include "cli/engine.h"
#include "cli/errors.h"

#include <weir/maintain.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct compact_options {
    struct cli_common common;
    struct cli_number horizon;
    struct cli_number rate;
    struct cli_number steps;
    bool thorough;
};

static const struct cli_option compact_options[] = {
    {"horizon", CLI_NUMBER, 0, "LSN", "keep all history behind LSN (as far as holds allow)",
     offsetof(struct compact_options, horizon)},
    {"rate", CLI_SIZE, 0, "BYTES", "read and write no more than that in a second",
     offsetof(struct compact_options, rate)},
    {"steps", CLI_NUMBER, 0, "N", "end after N steps", offsetof(struct compact_options, steps)},
    {"thorough", CLI_FLAG, 0, NULL, "also rewrite what frees no file: nothing that may go stays",
     offsetof(struct compact_options, thorough)},
    {0},
};

static void print_json(struct cli *cli, const struct weir_compact_report *report,
                       const struct cut_list *cut, bool interrupted)
{
    struct json json;
    json_begin(&json, &cli->out);
    json_array(&json, "cut");
    for (size_t i = 0; i < cut->count; i++) {
        json_text(&json, NULL, cut->consumers[i].name);
    }
    json_array_end(&json);
    json_u64(&json, "horizon", report->horizon);
    json_text(&json, "limited_by", report->limited_by);
    json_u64(&json, "bytes_before", report->bytes_before);
    json_u64(&json, "bytes_after", report->bytes_after);
    json_u64(&json, "records_dropped", report->records_dropped);
    json_u64(&json, "records_kept", report->records_kept);
    json_u64(&json, "segments_before", report->segments_before);
    json_u64(&json, "segments_after", report->segments_after);
    json_u64(&json, "keys_dropped", report->keys_dropped);
    json_u64(&json, "steps", report->steps);
    json_double(&json, "seconds", report->total_s);
    json_bool(&json, "interrupted", interrupted);
    json_end(&json);
}

static void print_limit(struct output *out, const struct weir_compact_report *report)
{
    output_label(out, "horizon");
    output_format(out, "LSN %" PRIu64, report->horizon);
    if (strcmp(report->limited_by, WEIR_LIMITED_BY_OPTIONS) == 0) {
        output_text(out, ", as it was asked for");
    } else if (report->limited_by[0] != '\0') {
        output_format(out, ", which the hold %s does not let go further", report->limited_by);
    }
    output_char(out, '\n');
}

static void print_cut(struct output *out, const struct cut_list *cut)
{
    for (size_t i = 0; i < cut->count; i++) {
        output_label(out, "cut loose");
        output_format(out, "%s, which was ", cut->consumers[i].name);
        output_size(out, cut->consumers[i].lag_bytes);
        output_text(out, " behind and may be ");
        output_size(out, cut->consumers[i].max_lag_bytes);
        output_char(out, '\n');
    }
}

static void print_text(struct cli *cli, const struct weir_compact_report *report,
                       const struct cut_list *cut)
{
    struct output *out = &cli->out;
    output_format(out, "%s: ", cli->path);
    output_size(out, report->bytes_before);
    output_text(out, " in ");
    output_number_of(out, report->segments_before, "segment");
    output_text(out, " became ");
    output_size(out, report->bytes_after);
    output_text(out, " in ");
    output_number_of(out, report->segments_after, "segment");
    output_char(out, '\n');
    output_label(out, "dropped");
    output_number_of(out, report->records_dropped, "record");
    output_text(out, " (kept ");
    output_number_of(out, report->records_kept, "record");
    output_text(out, "), ");
    output_number_of(out, report->keys_dropped, "deleted key");
    output_char(out, '\n');
    print_limit(out, report);
    print_cut(out, cut);
    output_label(out, "took");
    output_number_of(out, report->steps, "step");
    output_format(out, ", %.3f s\n", report->total_s);
}

static int compact(struct engine *engine, const struct compact_options *options,
                   const struct cut_list *cut)
{
    static char compacting[] = "compacting";
    struct cli *cli = engine->cli;
    struct weir_compact_options how = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    how.horizon = options->horizon.value;
    how.bytes_per_second = options->rate.value;
    how.max_steps = options->steps.value;
    how.thorough = options->thorough;
    how.progress = engine_progress;
    how.progress_context = compacting;
    int rc = weir_engine_compact(engine->engine, &how, &report, &why);
    progress_clear();
    if (rc < 0 && rc != -ECANCELED) {
        return cli_fail(cli, rc, &why, "cannot compact %s", cli->path);
    }
    if (cli->json) {
        print_json(cli, &report, cut, rc < 0);
    } else {
        print_text(cli, &report, cut);
    }
    if (rc < 0) {
        cli_note(cli, "interrupted; the steps that were done stay");
    }
    return rc < 0 ? CLI_INTERRUPTED : CLI_OK;
}

static int cut_and_compact(struct engine *engine, const struct compact_options *options)
{
    struct cut_list cut;
    struct cli *cli = engine->cli;
    int rc = cut_list_make(engine->log, &cut);
    int exit_code = rc < 0 ? cli_fail(cli, rc, NULL, "cannot let go of consumers of %s", cli->path)
                           : compact(engine, options, &cut);
    cut_list_free(&cut);
    return exit_code;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct compact_options *options = opaque;
    struct engine engine;
    if (options->horizon.given && options->horizon.value == 0) {
        return cli_usage_error(cli, "--horizon takes an LSN from 1 on");
    }
    if (options->steps.given && options->steps.value == 0) {
        return cli_usage_error(cli, "--steps takes a number from 1 on");
    }
    if (options->rate.given && options->rate.value == 0) {
        return cli_usage_error(cli, "--rate takes a size from 1 on");
    }
    int exit_code = engine_open(&engine, cli, &options->common, 0, NULL);
    if (exit_code < 0) {
        (void)derived_save_all(&engine); /* the horizon does not pass what they have not seen */
        exit_code = cut_and_compact(&engine, options);
    }
    return engine_close(&engine, exit_code);
}

const struct cli_command compact_command = {
    .name = "compact",
    .arguments = "LOG [OPTION...]",
    .summary = "Gives back the space of versions that nothing can read any more",
    .details =
        "Of the puts and deletes at or below the horizon one version for each live key stays, "
        "with\n"
        "its LSN; other records stay. The horizon never passes a hold. States as of an LSN below "
        "it\n"
        "cannot be read afterwards. Indexes, views and texts are brought up to date and saved\n"
        "first, so that they are not what keeps old versions; consumers that are further behind\n"
        "than they may be all the same lose their holds.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct compact_options),
    .options = {compact_options, cli_open_options, cli_output_options},
    .run = run,
};
