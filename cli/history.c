/*
 * weir history: all versions of a key that are retained, newest first.
 *
 * 1. The log is opened read-only, beside a writer if there is one, and its engine with it.
 * 2. The links between the versions are followed back; each version is a row.
 *
 * Failures: a key that never was is exit 1. Damage that is met: the rows before it are printed,
 * then the error.
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

static int print_history(struct engine *engine, struct weir_bytes key, uint64_t left)
{
    struct cli *cli = engine->cli;
    struct weir_history history;
    struct weir_key_version version;
    uint64_t rows = 0;
    int rc = weir_history_begin(&engine->read, engine->table, key, &history);
    while (rc == 0 && rows < left && cli->out.error == 0) {
        if (signals_interrupted()) {
            return CLI_INTERRUPTED;
        }
        rc = weir_history_next(&history, &version);
        if (rc <= 0) {
            break;
        }
        print_version(cli, &version);
        rows++;
        rc = 0;
    }
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot read the history of the key in %s", cli->path);
    }
    return rows == 0 && left > 0 ? engine_say_absent(engine) : CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct history_options *options = opaque;
    struct weir_bytes key;
    struct engine engine;
    int exit_code = engine_key(cli, cli->argument[1], &key);
    if (exit_code >= 0) {
        return exit_code;
    }
    exit_code =
        engine_open_to_read(&engine, cli, &options->common, options->table, &options->as_of);
    if (exit_code < 0) {
        exit_code =
            print_history(&engine, key, options->limit.given ? options->limit.value : UINT64_MAX);
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
