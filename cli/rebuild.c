/*
 * weir rebuild: the engine from the log alone, timed, with the fingerprint of what came out.
 *
 * 1. The engine is opened without its checkpoint: the whole log is replayed, with progress.
 * 2. The fingerprint reads every live key and value.
 * 3. A fresh checkpoint is written, unless --no-checkpoint; then the log is opened read-only, and
 *    may have a writer.
 *
 * With the name of a derived system it is that one: rebuild_derived.c.
 *
 * Failures: those of opening and reading; the checkpoint that was there stays until a new one is
 * in its place.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"
#include "cli/rebuild_derived.h"

#include "base/clock.h"
#include "base/text.h"

#include <weir/maintain.h>

#include <inttypes.h>
#include <string.h>

#define THREADS_MAX 1024u

struct rebuild_options {
    struct cli_common common;
    struct cli_number threads;
    bool no_checkpoint, accept_gaps;
};

static const struct cli_option rebuild_options[] = {
    {"threads", CLI_NUMBER, 0, "N", "that replay (as many as CPUs, at most 8)",
     offsetof(struct rebuild_options, threads)},
    {"no-checkpoint", CLI_FLAG, 0, NULL, "write nothing; works beside a writer",
     offsetof(struct rebuild_options, no_checkpoint)},
    {"accept-gaps", CLI_FLAG, 0, NULL, "open a salvaged log without what is missing, from now on",
     offsetof(struct rebuild_options, accept_gaps)},
    {0},
};

struct rebuilt {
    struct weir_engine_open_report open;
    struct weir_checkpoint_report checkpoint;
    uint8_t fingerprint[16];
    uint64_t keys;
    double fingerprint_s;
    bool has_checkpoint;
};

static void fingerprint_text(const struct rebuilt *rebuilt, char text[33])
{
    struct base_text hex;
    base_text_init(&hex, text, 33);
    base_text_append_hex(&hex, rebuilt->fingerprint, sizeof rebuilt->fingerprint);
}

static void print_json(struct cli *cli, const struct rebuilt *rebuilt)
{
    const struct weir_engine_open_report *open = &rebuilt->open;
    char fingerprint[33];
    struct json json;
    fingerprint_text(rebuilt, fingerprint);
    json_begin(&json, &cli->out);
    json_text(&json, "name", "engine");
    json_u64(&json, "lsn", open->applied);
    json_u64(&json, "keys", rebuilt->keys);
    json_u64(&json, "deleted_keys", open->deleted_keys);
    json_text(&json, "fingerprint", fingerprint);
    json_u64(&json, "records", open->replayed_records);
    json_u64(&json, "bytes", open->replayed_bytes);
    json_u64(&json, "threads", open->threads);
    if (open->gap_lsns > 0) {
        json_u64(&json, "gap_lsns", open->gap_lsns);
        json_u64(&json, "gaps", open->gaps);
        json_u64(&json, "gap_from_lsn", open->gap_from);
        json_u64(&json, "gap_to_lsn", open->gap_to);
        json_u64(&json, "gap_horizon", open->gap_horizon);
    }
    json_double(&json, "walk_s", open->walk_s);
    json_double(&json, "sort_s", open->sort_s);
    json_double(&json, "build_s", open->build_s);
    json_double(&json, "seconds", open->total_s);
    json_double(&json, "fingerprint_s", rebuilt->fingerprint_s);
    if (rebuilt->has_checkpoint) {
        json_object(&json, "checkpoint");
        json_u64(&json, "lsn", rebuilt->checkpoint.lsn);
        json_u64(&json, "bytes", rebuilt->checkpoint.bytes);
        json_double(&json, "seconds", rebuilt->checkpoint.total_s);
        json_object_end(&json);
    }
    json_end(&json);
}

static void print_text(struct cli *cli, const struct rebuilt *rebuilt)
{
    const struct weir_engine_open_report *open = &rebuilt->open;
    struct output *out = &cli->out;
    char fingerprint[33];
    double seconds = open->total_s > 0 ? open->total_s : 1e-9;
    fingerprint_text(rebuilt, fingerprint);
    output_format(out, "%s: the engine was rebuilt from the log\n", cli->path);
    output_label(out, "keys");
    output_format(out, "%" PRIu64 " live, %" PRIu64 " deleted, as of LSN %" PRIu64 "\n",
                  rebuilt->keys, open->deleted_keys, open->applied);
    output_label(out, "replayed");
    output_number_of(out, open->replayed_records, "record");
    output_text(out, ", ");
    output_size(out, open->replayed_bytes);
    output_format(out, ", in %.3f s with %" PRIu32 " thread%s: ", open->total_s, open->threads,
                  open->threads == 1 ? "" : "s");
    output_count(out, (double)open->replayed_records / seconds, 0);
    output_text(out, " records/s\n");
    if (open->gap_lsns > 0) {
        output_label(out, "missing");
        output_number_of(out, open->gap_lsns, "LSN");
        output_format(out,
                      " in %" PRIu64 " gap%s, from LSN %" PRIu64 " to %" PRIu64
                      "; history begins at LSN %" PRIu64 "\n",
                      open->gaps, open->gaps == 1 ? "" : "s", open->gap_from, open->gap_to,
                      open->gap_horizon);
    }
    output_label(out, "phases");
    output_format(out, "walk %.3f s, sort %.3f s, build %.3f s\n", open->walk_s, open->sort_s,
                  open->build_s);
    output_label(out, "fingerprint");
    output_format(out, "%s (%.3f s)\n", fingerprint, rebuilt->fingerprint_s);
    if (rebuilt->has_checkpoint) {
        output_label(out, "checkpoint");
        output_format(out, "as of LSN %" PRIu64 ", ", rebuilt->checkpoint.lsn);
        output_size(out, rebuilt->checkpoint.bytes);
        output_format(out, ", in %.3f s\n", rebuilt->checkpoint.total_s);
    }
}

static int finish(struct engine *engine, const struct rebuild_options *options)
{
    struct cli *cli = engine->cli;
    struct rebuilt rebuilt = {
        .open = WEIR_ENGINE_OPEN_REPORT_INIT,
        .checkpoint = WEIR_CHECKPOINT_REPORT_INIT,
        .has_checkpoint = !options->no_checkpoint,
    };
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_engine_report(engine->engine, &rebuilt.open);
    if (rc == 0) {
        uint64_t started_ns = base_clock_monotonic_ns();
        progress_show("taking the fingerprint of %" PRIu64 " keys ...", rebuilt.open.keys);
        rc = weir_engine_fingerprint(engine->engine, 0, rebuilt.fingerprint, &rebuilt.keys);
        rebuilt.fingerprint_s =
            (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
    }
    if (rc == 0 && rebuilt.has_checkpoint) {
        progress_show("writing a checkpoint of %" PRIu64 " keys ...", rebuilt.keys);
        rc = weir_engine_checkpoint(engine->engine, &rebuilt.checkpoint, &why);
    }
    progress_clear();
    if (rc < 0) {
        return cli_fail(cli, rc, &why, "cannot finish the rebuilding of %s", cli->path);
    }
    if (cli->json) {
        print_json(cli, &rebuilt);
    } else {
        print_text(cli, &rebuilt);
    }
    return CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct rebuild_options *options = opaque;
    struct weir_engine_options how = WEIR_ENGINE_OPTIONS_INIT;
    struct engine engine;
    if (cli->argument_count == 2 && strcmp(cli->argument[1], "engine") != 0) {
        if (options->accept_gaps) {
            return cli_usage_error(cli, "--accept-gaps is for the engine");
        }
        return rebuild_derived(cli, &options->common, cli->argument[1]);
    }
    if (options->threads.given &&
        (options->threads.value == 0 || options->threads.value > THREADS_MAX)) {
        return cli_usage_error(cli, "--threads goes from 1 to %u", THREADS_MAX);
    }
    how.flags = WEIR_ENGINE_NO_CHECKPOINT | (options->accept_gaps ? WEIR_ENGINE_ACCEPT_GAPS : 0);
    how.threads = (uint32_t)options->threads.value;
    how.checkpoint_bytes = UINT64_MAX; /* it is asked for, or not wanted */
    int exit_code = engine_open(&engine, cli, &options->common,
                                options->no_checkpoint ? WEIR_LOG_READ_ONLY : 0, &how);
    if (exit_code < 0) {
        exit_code = finish(&engine, options);
    }
    return engine_close(&engine, exit_code);
}

const struct cli_command rebuild_command = {
    .name = "rebuild",
    .arguments = "LOG [engine|NAME] [OPTION...]",
    .summary = "Rebuilds the engine, or a derived system, from the log alone, timed",
    .details =
        "Everything but the log is derived from it: equal fingerprints are equal live keys,\n"
        "versions and values. A fresh checkpoint takes the place of the old one. With NAME an\n"
        "index, view or text is thrown away and built again, also beside a writer. --accept-gaps\n"
        "opens a log that a salvage made with gaps: keys show their newest version that is left,\n"
        "and history begins behind them. It is stored in LOG (not with --no-checkpoint, which\n"
        "only shows what would come out); `weir verify` lists the LSNs that are missing.",
    .arguments_min = 1,
    .arguments_max = 2,
    .options_size = sizeof(struct rebuild_options),
    .options = {rebuild_options, cli_open_options, cli_output_options},
    .run = run,
};
