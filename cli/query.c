/*
 * weir query: the rows that an index has under a value.
 *
 * 1. The index is loaded and brought up to date with the log.
 * 2. Its answer and the rows are as of one LSN: no row is shown that does not match any more.
 *
 * Failures: an index that is not there, or is parked, is exit 3; no row is exit 0.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/print_rows.h"

#include <weir/index.h>

#include <stdio.h>

struct query_options {
    struct cli_common common;
    bool prefix, reverse;
    const char *from, *to;
    struct cli_number limit;
    struct freshness freshness;
};

static const struct cli_option query_options[] = {
    {"prefix", CLI_FLAG, 0, NULL, "values that begin with the last VALUE",
     offsetof(struct query_options, prefix)},
    {"from", CLI_TEXT, 0, "A", "values from A on, in place of VALUE",
     offsetof(struct query_options, from)},
    {"to", CLI_TEXT, 0, "B", "values in front of B", offsetof(struct query_options, to)},
    {"reverse", CLI_FLAG, 'r', NULL, "last value first", offsetof(struct query_options, reverse)},
    {"limit", CLI_NUMBER, 'n', "N", "end after N rows", offsetof(struct query_options, limit)},
    FRESHNESS_OPTIONS(struct query_options),
    {0},
};

static int query(struct pipeline *pipeline, struct derived *derived,
                 const struct query_options *options)
{
    struct cli *cli = pipeline->engine.cli;
    const char *name = derived->definition.name;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_index_query what = WEIR_INDEX_QUERY_INIT;
    struct weir_bytes values[CLI_ARGUMENTS_MAX];
    struct weir_rows *rows;
    what.count = (size_t)cli->argument_count - 2;
    if (what.count > derived->definition.field_count) {
        return cli_usage_error(cli, "%s has %u field%s, and there are %zu values", name,
                               derived->definition.field_count,
                               derived->definition.field_count == 1 ? "" : "s", what.count);
    }
    for (size_t i = 0; i < what.count; i++) {
        values[i] = engine_text(cli->argument[2 + i]);
    }
    what.values = values;
    what.prefix = options->prefix;
    what.reverse = options->reverse;
    what.ranged = options->from != NULL || options->to != NULL;
    what.bounded = options->to != NULL;
    what.from = engine_text(options->from != NULL ? options->from : "");
    what.to = engine_text(options->to != NULL ? options->to : "");
    what.limit = options->limit.given ? options->limit.value : 0;
    if (options->limit.given && options->limit.value == 0) {
        return CLI_OK;
    }
    int rc = weir_index_query(pipeline->host, name, derived->index, &what, &rows);
    return rc < 0 ? pipeline_fail(pipeline, name, rc, &why, "query")
                  : print_rows(pipeline, rows, false);
}

static int run(struct cli *cli, const void *opaque)
{
    const struct query_options *options = opaque;
    struct pipeline pipeline;
    struct derived derived = {0};
    bool ranged = options->from != NULL || options->to != NULL;
    if (ranged && (cli->argument_count > 2 || options->prefix)) {
        return cli_usage_error(cli, "--from and --to take the place of VALUE and --prefix");
    }
    if (options->prefix && cli->argument_count == 2) {
        return cli_usage_error(cli, "--prefix needs a VALUE");
    }
    int exit_code = pipeline_open(&pipeline, cli, &options->common);
    if (exit_code < 0) {
        exit_code = pipeline_load(&pipeline, cli->argument[1], DEFINITION_INDEX, &derived);
    }
    if (exit_code < 0) {
        exit_code = pipeline_catch_up(&pipeline, &derived, &options->freshness);
    }
    if (exit_code < 0) {
        derived_say_left_out(cli, &derived);
        exit_code = query(&pipeline, &derived, options);
    }
    return pipeline_close(&pipeline, &derived, exit_code);
}

const struct cli_command query_command = {
    .name = "query",
    .arguments = "LOG NAME [VALUE...] [OPTION...]",
    .summary = "Prints the rows that an index has under a value, as of one LSN",
    .details = "Rows come in order of value, then key; without a VALUE all that are in the index.\n"
               "An index of several fields takes a VALUE for each, or for the first ones.",
    .arguments_min = 2,
    .arguments_max = CLI_ARGUMENTS_MAX,
    .options_size = sizeof(struct query_options),
    .options = {query_options, cli_open_options, cli_output_options},
    .run = run,
};
