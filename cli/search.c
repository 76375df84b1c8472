/*
 * weir search: the rows whose text has the words.
 *
 * 1. The full text is loaded and brought up to date with the log.
 * 2. Its answer and the rows are as of one LSN.
 *
 * Failures: a text that is not there, or is parked, is exit 3; no row is exit 0.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/print_rows.h"

#include <weir/text.h>

#include <errno.h>
#include <stdio.h>

struct search_options {
    struct cli_common common;
    bool any, ranked;
    struct cli_number limit;
    struct freshness freshness;
};

static const struct cli_option search_options[] = {
    {"any", CLI_FLAG, 0, NULL, "rows with at least one of the words; else with all of them",
     offsetof(struct search_options, any)},
    {"ranked", CLI_FLAG, 0, NULL, "best first (BM25), with the score",
     offsetof(struct search_options, ranked)},
    {"limit", CLI_NUMBER, 'n', "N", "end after N rows", offsetof(struct search_options, limit)},
    FRESHNESS_OPTIONS(struct search_options),
    {0},
};

static int search(struct pipeline *pipeline, struct derived *derived,
                  const struct search_options *options)
{
    const char *name = derived->definition.name;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_text_query what = WEIR_TEXT_QUERY_INIT;
    struct weir_rows *rows;
    if (options->limit.given && options->limit.value == 0) {
        return CLI_OK;
    }
    what.terms = engine_text(pipeline->engine.cli->argument[2]);
    what.any = options->any;
    what.ranked = options->ranked;
    what.limit = options->limit.value;
    int rc = weir_text_query(pipeline->host, name, derived->text, &what, &rows);
    if (rc == -E2BIG) {
        snprintf(why.text, sizeof why.text, "more than %d words", WEIR_TEXT_TERMS_MAX);
    }
    return rc < 0 ? pipeline_fail(pipeline, name, rc, &why, "search")
                  : print_rows(pipeline, rows, options->ranked);
}

static int run(struct cli *cli, const void *opaque)
{
    const struct search_options *options = opaque;
    struct pipeline pipeline;
    struct derived derived = {0};
    int exit_code = pipeline_open(&pipeline, cli, &options->common);
    if (exit_code < 0) {
        exit_code = pipeline_load(&pipeline, cli->argument[1], DEFINITION_TEXT, &derived);
    }
    if (exit_code < 0) {
        exit_code = pipeline_catch_up(&pipeline, &derived, &options->freshness);
    }
    if (exit_code < 0) {
        derived_say_left_out(cli, &derived);
        exit_code = search(&pipeline, &derived, options);
    }
    return pipeline_close(&pipeline, &derived, exit_code);
}

const struct cli_command search_command = {
    .name = "search",
    .arguments = "LOG NAME TERMS [OPTION...]",
    .summary = "Prints the rows whose text has the words of TERMS, as of one LSN",
    .details = "TERMS is one argument: \"mail serv*\" finds rows with mail and a word that begins\n"
               "with serv. Rows come in order of key, with --ranked the best ones first.",
    .arguments_min = 3,
    .arguments_max = 3,
    .options_size = sizeof(struct search_options),
    .options = {search_options, cli_open_options, cli_output_options},
    .run = run,
};
