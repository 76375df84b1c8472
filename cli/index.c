/*
 * weir index: secondary indexes, beside the log. What the verbs do is in define.c; `weir query`
 * asks.
 */
#include "cli/commands.h"
#include "cli/define.h"

static const struct cli_option index_options[] = {
    DEFINE_TABLE_OPTION,
    DEFINE_MAX_LAG_OPTION,
    DEFINE_FIELD_OPTION("of the documents: a.b is b inside of a; several make one value"),
    {0},
};

static int run(struct cli *cli, const void *options)
{
    return define_run(cli, DEFINITION_INDEX, options);
}

const struct cli_command index_command = {
    .name = "index",
    .arguments = "create LOG NAME --field F [--table T] | drop LOG NAME | list LOG",
    .summary = "Makes, drops and lists indexes: from a field's value to the rows that have it",
    .details = "An index is derived from the log and can be made at any time, beside a writer: it\n"
               "reads what is there, and `weir query` brings it up to date. A row that is no JSON\n"
               "document, or lacks the field, is not in it; each element of an array counts.",
    .arguments_min = 2,
    .arguments_max = 3,
    .options_size = sizeof(struct define_options),
    .options = {index_options, cli_open_options, cli_output_options},
    .run = run,
};
