/*
 * weir view: materialized views, beside the log. What the verbs do is in define.c; without a verb
 * the view is brought up to date and its groups are printed, as of one LSN.
 *
 * Failures: a view that is not there, or is parked, is exit 3; no group is exit 0.
 */
#include "cli/commands.h"
#include "cli/define.h"
#include "cli/derived.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/signals.h"

#include <weir/view.h>

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const struct cli_option view_options[] = {
    DEFINE_TABLE_OPTION,
    DEFINE_MAX_LAG_OPTION,
    {"group-by", CLI_TEXT, 'g', "F", "the field that names a row's group",
     offsetof(struct define_options, group_by)},
    {"aggregate", CLI_LIST, 'a', "count|sum|min|max|list", "what a group comes to (count)",
     offsetof(struct define_options, aggregate)},
    DEFINE_FIELD_OPTION("what is added up, compared or listed"),
    {"limit", CLI_NUMBER, 'n', "N", "end after N groups", offsetof(struct define_options, limit)},
    FRESHNESS_OPTIONS(struct define_options),
    {0},
};

/* ---- printing ---- */

struct printing {
    struct cli *cli;
    struct derived *derived;
    struct json json;
    uint64_t left;
    bool escaped;
    bool first; /* of a list */
};

static int list_to_json(void *context, weir_table table, struct weir_bytes key,
                        struct weir_bytes text)
{
    struct printing *printing = context;
    (void)table;
    (void)key;
    json_bytes(&printing->json, NULL, text.data, text.size); /* UTF-8, as JSON strings are */
    return 0;
}

static int list_to_text(void *context, weir_table table, struct weir_bytes key,
                        struct weir_bytes text)
{
    struct printing *printing = context;
    (void)table;
    (void)key;
    if (!printing->first) {
        output_text(&printing->cli->out, ", ");
    }
    printing->first = false;
    output_escaped(&printing->cli->out, text.data, text.size);
    return 0;
}

static void decimal_to_json(struct json *json, const char *name, uint64_t numbers,
                            struct weir_decimal decimal)
{
    char digits[WEIR_DECIMAL_TEXT_MAX];
    (void)weir_decimal_format(decimal, digits);
    json_number(json, name, numbers > 0 ? digits : "null");
}

static int aggregate_to_json(struct printing *printing, const char *name, uint32_t aggregate,
                             const struct weir_view_group *group)
{
    struct json *json = &printing->json;
    if (aggregate == WEIR_VIEW_COUNT) {
        json_u64(json, name, group->count);
    } else if (aggregate == WEIR_VIEW_SUM) {
        decimal_to_json(json, name, group->numbers, group->sum);
    } else if (aggregate == WEIR_VIEW_MIN) {
        decimal_to_json(json, name, group->numbers, group->min);
    } else if (aggregate == WEIR_VIEW_MAX) {
        decimal_to_json(json, name, group->numbers, group->max);
    } else {
        json_array(json, name);
        int rc = weir_view_list(printing->derived->view, group->group, list_to_json, printing);
        json_array_end(json);
        return rc;
    }
    return 0;
}

/* {"group","value"}; of several aggregates each under its name, and value is the first. */
static int group_to_json(struct printing *printing, const struct weir_view_group *group)
{
    uint32_t aggregates = printing->derived->definition.aggregates;
    bool several = (aggregates & (aggregates - 1)) != 0;
    int rc = 0;
    json_begin(&printing->json, &printing->cli->out);
    json_bytes(&printing->json, "group", group->group.data, group->group.size);
    rc = aggregate_to_json(printing, "value", aggregates & (~aggregates + 1), group);
    for (uint32_t bit = WEIR_VIEW_COUNT; several && bit <= WEIR_VIEW_LIST && rc == 0; bit *= 2) {
        if ((aggregates & bit) != 0) {
            rc = aggregate_to_json(printing, definition_aggregate_name(bit), bit, group);
        }
    }
    json_u64(&printing->json, "lsn", group->lsn);
    json_end(&printing->json);
    return rc;
}

static int aggregate_to_text(struct printing *printing, uint32_t aggregate,
                             const struct weir_view_group *group)
{
    struct output *out = &printing->cli->out;
    char digits[WEIR_DECIMAL_TEXT_MAX];
    if (aggregate == WEIR_VIEW_COUNT) {
        output_u64(out, group->count);
    } else if (aggregate == WEIR_VIEW_LIST) {
        printing->first = true;
        return weir_view_list(printing->derived->view, group->group, list_to_text, printing);
    } else if (group->numbers == 0) {
        output_char(out, '-');
    } else {
        (void)weir_decimal_format(aggregate == WEIR_VIEW_SUM   ? group->sum
                                  : aggregate == WEIR_VIEW_MIN ? group->min
                                                               : group->max,
                                  digits);
        output_text(out, digits);
    }
    return 0;
}

static int group_to_text(struct printing *printing, const struct weir_view_group *group)
{
    struct output *out = &printing->cli->out;
    int rc = 0;
    (printing->escaped ? output_escaped : output_bytes)(out, group->group.data, group->group.size);
    for (uint32_t bit = WEIR_VIEW_COUNT; bit <= WEIR_VIEW_LIST && rc == 0; bit *= 2) {
        if ((printing->derived->definition.aggregates & bit) != 0) {
            output_char(out, '\t');
            rc = aggregate_to_text(printing, bit, group);
        }
    }
    output_char(out, '\n');
    return rc;
}

static int print_group(void *context, const struct weir_view_group *group)
{
    struct printing *printing = context;
    if (printing->left == 0 || printing->cli->out.error != 0 || signals_interrupted()) {
        return 1;
    }
    printing->left--;
    return printing->cli->json ? group_to_json(printing, group) : group_to_text(printing, group);
}

static int show(struct pipeline *pipeline, struct derived *derived, const struct cli_number *limit)
{
    struct cli *cli = pipeline->engine.cli;
    const char *name = derived->definition.name;
    struct printing printing = {
        .cli = cli,
        .derived = derived,
        .left = limit->given ? limit->value : UINT64_MAX,
        .escaped = isatty(cli->out.fd) == 1,
    };
    struct weir_error why = WEIR_ERROR_INIT;
    weir_lsn position;
    int rc = weir_host_read_begin(pipeline->host, name, &position);
    if (rc == 0) {
        rc = weir_view_each(derived->view, (struct weir_bytes){"", 0}, print_group, &printing);
        weir_host_read_end(pipeline->host, name);
    }
    if (rc < 0) {
        return pipeline_fail(pipeline, name, rc, &why, "show");
    }
    return signals_interrupted() ? CLI_INTERRUPTED : CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct define_options *options = opaque;
    struct pipeline pipeline;
    struct derived derived = {0};
    if (define_is_verb(cli)) {
        return define_run(cli, DEFINITION_VIEW, options);
    }
    if (cli->argument_count != 2) {
        return cli_usage_error(cli,
                               "view takes LOG NAME, or create, drop or list in front of them");
    }
    int exit_code = pipeline_open(&pipeline, cli, &options->common);
    if (exit_code < 0) {
        exit_code = pipeline_load(&pipeline, cli->argument[1], DEFINITION_VIEW, &derived);
    }
    if (exit_code < 0) {
        exit_code = pipeline_catch_up(&pipeline, &derived, &options->freshness);
    }
    if (exit_code < 0) {
        derived_say_left_out(cli, &derived);
        exit_code = show(&pipeline, &derived, &options->limit);
    }
    return pipeline_close(&pipeline, &derived, exit_code);
}

const struct cli_command view_command = {
    .name = "view",
    .arguments = "LOG NAME | create LOG NAME --group-by F [...] | drop LOG NAME | list LOG",
    .summary = "Makes, drops, lists and shows views: rows in groups, and what they come to",
    .details =
        "A view is derived from the log and can be made at any time, beside a writer; showing\n"
        "it brings it up to date. Sums are exact. A group is the value of a field; rows\n"
        "without it are in none. A LOG that is called create, drop or list is ./create.",
    .arguments_min = 2,
    .arguments_max = 3,
    .options_size = sizeof(struct define_options),
    .options = {view_options, cli_open_options, cli_output_options},
    .run = run,
};
