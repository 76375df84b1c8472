/*
 * weir get: the value of a key, now or as of an LSN.
 *
 * 1. The log is opened read-only, beside a writer if there is one, and its engine with it.
 * 2. The value's bytes and a newline go out as they are; with --json a row.
 *
 * Failures: an absent key is exit 1, with nothing on standard output (with --json: the error). A
 * writer that compacts the log in between: the engine follows it, and looks again.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"

struct get_options {
    struct cli_common common;
    const char *table;
    struct cli_number as_of;
};

static const struct cli_option get_options[] = {
    ENGINE_TABLE_OPTION(struct get_options),
    ENGINE_AS_OF_OPTION(struct get_options),
    {0},
};

static int get(struct engine *engine, struct weir_bytes key, const struct cli_number *as_of)
{
    struct cli *cli = engine->cli;
    struct output *out = &cli->out;
    struct weir_row row;
    int rc = weir_get(&engine->read, engine->table, key, &row);
    for (int looks = 1; rc == WEIR_E_TRUNCATED && looks < ENGINE_LOOKS; looks++) {
        int exit_code = engine_look_again(engine, as_of);
        if (exit_code >= 0) {
            return exit_code;
        }
        rc = weir_get(&engine->read, engine->table, key, &row);
    }
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot read the key from %s", cli->path);
    }
    if (rc == 0) {
        return engine_say_absent(engine);
    }
    output_row_begin(out);
    if (cli->json) {
        struct json json;
        json_begin(&json, out);
        json_bytes(&json, "key", row.key.data, row.key.size);
        json_bytes(&json, "value", row.value.data, row.value.size);
        json_u64(&json, "lsn", row.lsn);
        json_end(&json);
    } else {
        output_bytes(out, row.value.data, row.value.size);
        output_char(out, '\n');
    }
    output_row_end(out);
    return CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct get_options *options = opaque;
    struct weir_bytes key;
    struct engine engine;
    int exit_code = engine_key(cli, cli->argument[1], &key);
    if (exit_code >= 0) {
        return exit_code;
    }
    exit_code =
        engine_open_to_read(&engine, cli, &options->common, options->table, &options->as_of);
    if (exit_code < 0) {
        exit_code = get(&engine, key, &options->as_of);
    }
    return engine_close(&engine, exit_code);
}

const struct cli_command get_command = {
    .name = "get",
    .arguments = "LOG KEY [OPTION...]",
    .summary = "Prints the value of a key, now or as of an LSN",
    .details = "The value's bytes as they are, and a newline. Exit 1 when the key is absent.\n"
               "Opens LOG read-only and may run beside a writer.",
    .arguments_min = 2,
    .arguments_max = 2,
    .options_size = sizeof(struct get_options),
    .options = {get_options, cli_open_options, cli_output_options},
    .run = run,
};
