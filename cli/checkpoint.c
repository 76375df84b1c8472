/*
 * weir checkpoint: writes the index to a file beside the log, so that the next open replays only
 * what comes later.
 *
 * Failures: the last checkpoint stays. None of it is needed: without one an open replays more.
 */
#include "cli/commands.h"
#include "cli/derived_save.h"
#include "cli/engine.h"
#include "cli/errors.h"

#include <weir/maintain.h>

#include <inttypes.h>

struct checkpoint_options {
    struct cli_common common;
};

static void print_json(struct cli *cli, const struct weir_checkpoint_report *report, size_t derived)
{
    struct json json;
    json_begin(&json, &cli->out);
    json_u64(&json, "lsn", report->lsn);
    json_u64(&json, "until", report->until);
    json_u64(&json, "keys", report->keys);
    json_u64(&json, "bytes", report->bytes);
    json_double(&json, "build_s", report->build_s);
    json_double(&json, "write_s", report->write_s);
    json_double(&json, "seconds", report->total_s);
    json_u64(&json, "derived", derived);
    json_end(&json);
}

static void print_text(struct cli *cli, const struct weir_checkpoint_report *report, size_t derived)
{
    struct output *out = &cli->out;
    output_format(out, "%s: a checkpoint of ", cli->path);
    output_number_of(out, report->keys, "key");
    output_format(out, " as of LSN %" PRIu64 ", ", report->lsn);
    output_size(out, report->bytes);
    output_format(out, ", built in %.3f s, written in %.3f s\n", report->build_s, report->write_s);
    if (derived > 0) {
        output_label(out, "derived");
        output_number_of(out, derived, "system");
        output_text(out, " brought up to date and saved\n");
    }
}

static int write_checkpoint(struct engine *engine)
{
    struct cli *cli = engine->cli;
    struct weir_checkpoint_report report = WEIR_CHECKPOINT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    progress_show("writing a checkpoint of %s ...", cli->path);
    int rc = weir_engine_checkpoint(engine->engine, &report, &why);
    progress_clear();
    if (rc < 0) {
        return cli_fail(cli, rc, &why, "cannot write a checkpoint of %s", cli->path);
    }
    size_t derived = derived_save_all(engine);
    if (cli->json) {
        print_json(cli, &report, derived);
    } else {
        print_text(cli, &report, derived);
    }
    return CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct checkpoint_options *options = opaque;
    struct engine engine;
    int exit_code = engine_open(&engine, cli, &options->common, 0, NULL);
    if (exit_code < 0) {
        exit_code = write_checkpoint(&engine);
    }
    return engine_close(&engine, exit_code);
}

const struct cli_command checkpoint_command = {
    .name = "checkpoint",
    .arguments = "LOG [OPTION...]",
    .summary = "Writes the index of the engine to a file, so that the next open replays less",
    .details =
        "LOG/derived/engine/checkpoint is derived data: deleting or damaging it costs time,\n"
        "never data. Writers make one by themselves for each 256 MiB of log. Indexes, views and\n"
        "texts are brought up to date and saved as well.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct checkpoint_options),
    .options = {cli_open_options, cli_output_options},
    .run = run,
};
