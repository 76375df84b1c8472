/*
 * weir history: all versions of a key that are retained, newest first.
 *
 * 1. The log is opened read-only, beside a writer if there is one, and its engine with it.
 * 2. The links between the versions are followed back; each version is a row.
 *
 * Failures: a key that never was is exit 1. Damage that is met: the rows before it are printed,
 * then the error. A writer that compacts the log in between: the engine follows it, and the rows
 * that are still to come are read anew.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"
#include "cli/signals.h"

#include <inttypes.h>

struct history_options {
    struct cli_common common;
    const char *table;
    struct cli_number limit;
    struct cli_number as_of;
};

static const struct cli_option history_options[] = {
    ENGINE_TABLE_OPTION(struct history_options),
    {"limit", CLI_NUMBER, 'n', "N", "end after N versions",
     offsetof(struct history_options, limit)},
    ENGINE_AS_OF_OPTION(struct history_options),
    {0},
};

static void print_version(struct cli *cli, const struct weir_key_version *version)
{
    struct output *out = &cli->out;
    output_row_begin(out);
    if (cli->json) {
        struct json json;
        json_begin(&json, out);
        json_u64(&json, "lsn", version->lsn);
        json_time(&json, "time", version->time_ns);
        if (version->deleted) {
            json_bool(&json, "deleted", true);
        } else {
            json_bytes(&json, "value", version->value.data, version->value.size);
        }
        json_end(&json);
    } else {
        output_format(out, "%8" PRIu64 "  ", version->lsn);
        output_time(out, version->time_ns);
        if (version->deleted) {
            output_text(out, "  (deleted)");
        } else {
            output_text(out, "  = ");
            output_escaped(out, version->value.data, version->value.size);
        }
        output_char(out, '\n');
    }
    output_row_end(out);
}

struct listing {
    const struct history_options *options;
    struct weir_bytes key;
    uint64_t rows, most;
    weir_lsn last; /* printed: those behind it are to come */
};

/* 0; errors of the engine. */
static int print_versions(struct engine *engine, struct listing *listing)
{
    struct weir_history history;
    struct weir_key_version version;
    int rc = weir_history_begin(&engine->read, engine->table, listing->key, &history);
    rc = rc == 0 ? 1 : rc;
    while (rc == 1 && listing->rows < listing->most && engine->cli->out.error == 0 &&
           !signals_interrupted()) {
        rc = weir_history_next(&history, &version);
        if (rc == 1 && version.lsn < listing->last) {
            print_version(engine->cli, &version);
            listing->last = version.lsn;
            listing->rows++;
        }
    }
    return rc < 0 ? rc : 0;
}

static int print_history(struct engine *engine, struct listing *listing)
{
    struct cli *cli = engine->cli;
    int rc = print_versions(engine, listing);
    for (int looks = 1; rc == WEIR_E_TRUNCATED && looks < ENGINE_LOOKS; looks++) {
        int exit_code = engine_look_again(engine, &listing->options->as_of);
        if (exit_code >= 0) {
            return exit_code;
        }
        rc = print_versions(engine, listing);
    }
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot read the history of the key in %s", cli->path);
    }
    if (signals_interrupted()) {
        return CLI_INTERRUPTED;
    }
    return listing->rows == 0 && listing->most > 0 ? engine_say_absent(engine) : CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct history_options *options = opaque;
    struct engine engine;
    struct listing listing = {.options = options, .last = UINT64_MAX};
    listing.most = options->limit.given ? options->limit.value : UINT64_MAX;
    int exit_code = engine_key(cli, cli->argument[1], &listing.key);
    if (exit_code >= 0) {
        return exit_code;
    }
    exit_code =
        engine_open_to_read(&engine, cli, &options->common, options->table, &options->as_of);
    if (exit_code < 0) {
        exit_code = print_history(&engine, &listing);
    }
    return engine_close(&engine, exit_code);
}

const struct cli_command history_command = {
    .name = "history",
    .arguments = "LOG KEY [OPTION...]",
    .summary = "Prints all versions of a key, deletes included, newest first",
    .details = "Back to its first one, or to the one that counted at the horizon of compaction.\n"
               "Exit 1 when there is none. Opens LOG read-only and may run beside a writer.",
    .arguments_min = 2,
    .arguments_max = 2,
    .options_size = sizeof(struct history_options),
    .options = {history_options, cli_open_options, cli_output_options},
    .run = run,
};
