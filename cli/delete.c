/*
 * weir delete: deletes a key and prints the LSN of the delete once it is durable.
 *
 * Failures: an absent key, and a version that is not the expected one, are exit 1; nothing is
 * appended.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"

struct delete_options {
    struct cli_common common;
    const char *table;
    struct cli_number if_lsn;
    int durability;
};

static const struct cli_option delete_options[] = {
    ENGINE_TABLE_OPTION(struct delete_options),
    {"if-lsn", CLI_NUMBER, 0, "N", "only while the key's version is N",
     offsetof(struct delete_options, if_lsn)},
    {"durability", CLI_CHOICE, 0, ENGINE_DURABILITIES,
     "how it is flushed (each); the LSN is durable before it is printed",
     offsetof(struct delete_options, durability)},
    {0},
};

static int run(struct cli *cli, const void *opaque)
{
    const struct delete_options *options = opaque;
    struct weir_write write = {
        .kind = WEIR_DELETE,
        .conditional = options->if_lsn.given,
        .expected = options->if_lsn.value,
    };
    struct engine engine;
    if (options->if_lsn.given && options->if_lsn.value == WEIR_LSN_NONE) {
        return cli_usage_error(cli, "--if-lsn 0 is an absent key, which cannot be deleted");
    }
    int exit_code = engine_key(cli, cli->argument[1], &write.key);
    if (exit_code >= 0) {
        return exit_code;
    }
    exit_code = engine_open(&engine, cli, &options->common, 0, NULL);
    if (exit_code < 0) {
        exit_code = engine_find_table(&engine, options->table, false);
    }
    if (exit_code < 0) {
        write.table = engine.table;
        exit_code = engine_write(&engine, &write, (enum weir_durability)(options->durability + 1));
    }
    return engine_close(&engine, exit_code);
}

const struct cli_command delete_command = {
    .name = "delete",
    .arguments = "LOG KEY [OPTION...]",
    .summary = "Deletes a key and prints {\"lsn\":N} once that is durable",
    .details = "Exit 1 when the key is absent, or its version is not the expected one.",
    .arguments_min = 2,
    .arguments_max = 2,
    .options_size = sizeof(struct delete_options),
    .options = {delete_options, cli_open_options, cli_output_options},
    .run = run,
};
