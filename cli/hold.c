/*
 * weir hold: the named floors that truncation respects.
 *
 *     weir hold list LOG
 *     weir hold set LOG NAME LSN      also to a lower floor
 *     weir hold move LOG NAME LSN     forward only
 *     weir hold drop LOG NAME
 *
 * The log is opened read-only: holds are files of their own and may change beside a writer.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/options.h"

#include "base/text.h"

#include <weir/inspect.h>
#include <weir/retain.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct hold_options {
    struct cli_common common;
};

static int print_hold(void *context, const struct weir_hold *hold)
{
    struct cli *cli = context;
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_text(&json, "name", hold->name);
        json_u64(&json, "floor", hold->floor);
        json_time(&json, "moved", hold->moved_ns);
        json_end(&json);
    } else {
        output_format(&cli->out, "%-32s %12" PRIu64 "  ", hold->name, hold->floor);
        output_time(&cli->out, hold->moved_ns);
        output_char(&cli->out, '\n');
    }
    return 0;
}

static int list_holds(struct cli *cli, struct weir_log *log)
{
    if (!cli->json) {
        output_format(&cli->out, "%-32s %12s  %s\n", "name", "floor", "moved");
    }
    int rc = weir_hold_list(log, print_hold, cli);
    return rc < 0 ? cli_fail(cli, rc, NULL, "cannot list the holds of %s", cli->path) : CLI_OK;
}

struct verb {
    const char *name;
    int arguments; /* behind the verb: NAME, LSN */
    int (*change)(struct weir_log *log, const char *name, weir_lsn floor);
};

static int drop_hold(struct weir_log *log, const char *name, weir_lsn floor)
{
    (void)floor;
    return weir_hold_drop(log, name);
}

static const struct verb verbs[] = {
    {"list", 0, NULL},
    {"set", 2, weir_hold_set},
    {"move", 2, weir_hold_move},
    {"drop", 1, drop_hold},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= WEIR_HOLD_NAME_MAX && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
               length;
}

/* What -EINVAL means here. */
static void explain(struct weir_log *log, const struct verb *verb, const char *name, weir_lsn floor,
                    struct weir_error *why)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    if (!is_name(name)) {
        snprintf(why->text, sizeof why->text,
                 "a name is 1 to %d letters, digits, '_', '-' and '.', and begins with no '.'",
                 WEIR_HOLD_NAME_MAX);
    } else if (floor == WEIR_LSN_NONE) {
        snprintf(why->text, sizeof why->text, "the first LSN is 1, so a floor is that at least");
    } else if (weir_log_stat(log, &stat) == 0 && floor > stat.durable + 1) {
        snprintf(why->text, sizeof why->text,
                 "%" PRIu64 " lies beyond %" PRIu64 ", the LSN that the next record gets", floor,
                 stat.durable + 1);
    } else if (verb->change == weir_hold_move) {
        snprintf(why->text, sizeof why->text,
                 "%" PRIu64 " lies below its floor; `weir hold set` lowers one, move does not",
                 floor);
    }
}

static int change_hold(struct cli *cli, struct weir_log *log, const struct verb *verb,
                       weir_lsn floor)
{
    const char *name = cli->argument[2];
    int rc = verb->change(log, name, floor);
    if (rc < 0) {
        struct weir_error why = WEIR_ERROR_INIT;
        if (rc == -EINVAL) {
            explain(log, verb, name, floor, &why);
        }
        return cli_fail(cli, rc, &why, "cannot %s the hold %s of %s", verb->name, name, cli->path);
    }
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_text(&json, "name", name);
        if (verb->arguments == 2) {
            json_u64(&json, "floor", floor);
        } else {
            json_bool(&json, "dropped", true);
        }
        json_end(&json);
    }
    return CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct hold_options *options = opaque;
    const struct verb *verb = find_verb(cli->argument[0]);
    weir_lsn floor = WEIR_LSN_NONE;
    if (verb == NULL) {
        return cli_usage_error(cli, "'%s' is none of list, set, move, drop", cli->argument[0]);
    }
    if (cli->argument_count != 2 + verb->arguments) {
        return cli_usage_error(cli, "hold %s LOG takes %s", verb->name,
                               verb->arguments == 0   ? "nothing more"
                               : verb->arguments == 1 ? "a NAME"
                                                      : "a NAME and an LSN");
    }
    if (verb->arguments == 2 && base_parse_u64(cli->argument[3], &floor) < 0) {
        return cli_usage_error(cli, "a floor is an LSN, not '%s'", cli->argument[3]);
    }
    struct weir_log *log;
    cli->path = cli->argument[1];
    int exit_code = cli_open(cli, &options->common, WEIR_LOG_READ_ONLY, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    exit_code = verb->change != NULL ? change_hold(cli, log, verb, floor) : list_holds(cli, log);
    return cli_close(cli, log, exit_code);
}

const struct cli_command hold_command = {
    .name = "hold",
    .arguments = "list LOG | set LOG NAME LSN | move LOG NAME LSN | drop LOG NAME",
    .summary = "Lists and changes the named floors below which nothing is dropped",
    .details = "set may lower a floor, move only raises it. Works beside a writer.",
    .arguments_min = 2,
    .arguments_max = 4,
    .options_size = sizeof(struct hold_options),
    .options = {cli_open_options, cli_output_options},
    .run = run,
};
