/*
 * create, drop and list: what `weir index`, `weir view` and `weir text` have in common.
 */
#ifndef CLI_DEFINE_H
#define CLI_DEFINE_H

#include "cli/definition.h"
#include "cli/derived.h"
#include "cli/options.h"

struct define_options {
    struct cli_common common;
    const char *table;
    struct cli_list field;
    struct cli_list aggregate; /* of a view, as the next one */
    const char *group_by;
    const char *stem; /* of a text */
    struct cli_number max_lag;
    struct cli_number limit;
    struct freshness freshness;
};

/* Rows of a table of options. */
#define DEFINE_TABLE_OPTION                                                                        \
    {                                                                                              \
        "table", CLI_TEXT, 't', "T", "the table (the one without a name)",                         \
            offsetof(struct define_options, table)                                                 \
    }
#define DEFINE_MAX_LAG_OPTION                                                                      \
    {                                                                                              \
        "max-lag", CLI_SIZE, 0, "SIZE", "may be cut loose when it is further behind (never)",      \
            offsetof(struct define_options, max_lag)                                               \
    }
#define DEFINE_FIELD_OPTION(help)                                                                  \
    {                                                                                              \
        "field", CLI_LIST, 'f', "F", help, offsetof(struct define_options, field)                  \
    }

/* Is the first argument a verb? Else the command has a form of its own. */
bool define_is_verb(const struct cli *cli);

/* Runs create LOG NAME, drop LOG NAME or list LOG. Returns the exit code. */
int define_run(struct cli *cli, enum definition_kind kind, const struct define_options *options);

#endif
