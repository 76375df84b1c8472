/*
 * weir text: full text over fields, beside the log. What the verbs do is in define.c; `weir search`
 * asks.
 */
#include "cli/commands.h"
#include "cli/define.h"

static const struct cli_option text_options[] = {
    DEFINE_TABLE_OPTION,
    DEFINE_MAX_LAG_OPTION,
    DEFINE_FIELD_OPTION("of the documents: a.b is b inside of a; several are one text"),
    {"stem", CLI_TEXT, 0, "LANGUAGE", "bring words to their stems (english, german, ...)",
     offsetof(struct define_options, stem)},
    {0},
};

static int run(struct cli *cli, const void *options)
{
    return define_run(cli, DEFINITION_TEXT, options);
}

const struct cli_command text_command = {
    .name = "text",
    .arguments = "create LOG NAME --field F [--table T] | drop LOG NAME | list LOG",
    .summary = "Makes, drops and lists full text: from a word to the rows that have it",
    .details =
        "A word is a run of letters, digits, marks and '_', whatever its case. It is derived\n"
        "from the log and can be made at any time, beside a writer; `weir search` brings it\n"
        "up to date.",
    .arguments_min = 2,
    .arguments_max = 3,
    .options_size = sizeof(struct define_options),
    .options = {text_options, cli_open_options, cli_output_options},
    .run = run,
};
