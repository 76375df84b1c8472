/*
 * The command line, by tables.
 *
 * 1. cli_parse() walks the arguments: --name VALUE, --name=VALUE, -x VALUE, -xVALUE, -xy for flags;
 *    "--" ends options, "-" alone is an argument.
 * 2. set_value() stores a value at its offset in the options struct.
 * 3. cli_print_help() prints what the same tables say.
 *
 * Failures: an unknown option, a value that is missing or not of its form, too few or too many
 * arguments: one sentence, the usage line, exit 2, and nothing was done.
 *
 * argp was tried on paper: it prints and exits by itself, so errors could not be JSON, and neither
 * usage lines of subcommands nor completion come out of its tables.
 */
#include "cli/options.h"

#include "base/text.h"
#include "cli/errors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMMON(member) offsetof(struct cli_common, member)

const struct cli_option cli_output_options[] = {
    {"json", CLI_FLAG, 0, NULL, "one JSON object a line on standard output, errors included",
     COMMON(json)},
    {"verbose", CLI_FLAG, 'v', NULL, "say on standard error how the log was opened",
     COMMON(verbose)},
    {"help", CLI_FLAG, 'h', NULL, "show this and stop", COMMON(help)},
    {0},
};

#define OPEN_OPTIONS                                                                               \
    {"medium",      CLI_CHOICE, 0, "auto|pmem|direct|mapped", "an error if it cannot be had",      \
     COMMON(medium)},                                                                              \
        {"io", CLI_CHOICE, 0, "auto|uring|sync", "io_uring or synchronous calls", COMMON(io)},     \
        {"lock-wait",      CLI_DURATION, 0, "TIME", "wait this long for another writer (2s)",      \
         COMMON(lock_wait)},                                                                       \
    {                                                                                              \
        "allow-emulated-pmem", CLI_FLAG, 0, NULL, "measurements only: survives no power loss",     \
            COMMON(allow_emulated_pmem)                                                            \
    }

const struct cli_option cli_open_options[] = {OPEN_OPTIONS, {0}};

const struct cli_option cli_create_options[] = {
    OPEN_OPTIONS,
    {"segment-size", CLI_SIZE, 0, "SIZE", "of a new log: a power of two, 64KiB to 1GiB (64MiB)",
     COMMON(segment_size)},
    {"witness", CLI_CHOICE, 0, "lazy|idle|strict", "when an acknowledgement leaves evidence",
     COMMON(witness)},
    {0},
};

/* ---- finding options ---- */

static const struct cli_option *find_long(const struct cli_command *command, const char *name,
                                          size_t length)
{
    for (int table = 0; table < CLI_TABLES_MAX && command->options[table] != NULL; table++) {
        for (const struct cli_option *o = command->options[table]; o->kind != CLI_END; o++) {
            if (strlen(o->name) == length && memcmp(o->name, name, length) == 0) {
                return o;
            }
        }
    }
    return NULL;
}

static const struct cli_option *find_short(const struct cli_command *command, char letter)
{
    for (int table = 0; table < CLI_TABLES_MAX && command->options[table] != NULL; table++) {
        for (const struct cli_option *o = command->options[table]; o->kind != CLI_END; o++) {
            if (o->letter == letter) {
                return o;
            }
        }
    }
    return NULL;
}

/* ---- values ---- */

static int choice_index(const char *words, const char *value)
{
    size_t length = strlen(value);
    for (int index = 0;; index++) {
        size_t word = strcspn(words, "|");
        if (word == length && memcmp(words, value, length) == 0) {
            return index;
        }
        if (words[word] == '\0') {
            return -1;
        }
        words += word + 1;
    }
}

static int parse_number(enum cli_option_kind kind, const char *text, uint64_t *ret_value)
{
    if (kind == CLI_SIZE) {
        return base_parse_size(text, ret_value);
    }
    if (kind == CLI_DURATION) {
        return base_parse_duration(text, ret_value);
    }
    return base_parse_u64(text, ret_value);
}

static int bad_value(struct cli *cli, const struct cli_option *option, const char *value)
{
    const char *form = option->value;
    if (option->kind == CLI_CHOICE) {
        return cli_usage_error(cli, "--%s takes %s, not '%s'", option->name, form, value);
    }
    if (option->kind == CLI_SIZE) {
        form = "a size such as 4k or 64MiB";
    } else if (option->kind == CLI_DURATION) {
        form = "a time such as 250ms or 2s";
    } else {
        form = "a number";
    }
    return cli_usage_error(cli, "--%s takes %s, not '%s'", option->name, form, value);
}

/* Returns -1 to go on, else the exit code. @param value  NULL for a flag */
static int set_value(struct cli *cli, const struct cli_option *option, const char *value,
                     void *options)
{
    void *target = (char *)options + option->offset;
    if (option->kind == CLI_FLAG) {
        *(bool *)target = true;
    } else if (option->kind == CLI_TEXT) {
        *(const char **)target = value;
    } else if (option->kind == CLI_LIST) {
        struct cli_list *list = target;
        if (list->count == CLI_LIST_MAX) {
            return cli_usage_error(cli, "--%s can be given %d times", option->name, CLI_LIST_MAX);
        }
        list->values[list->count++] = value;
    } else if (option->kind == CLI_CHOICE) {
        int index = choice_index(option->value, value);
        if (index < 0) {
            return bad_value(cli, option, value);
        }
        *(int *)target = index;
    } else {
        struct cli_number *number = target;
        if (parse_number(option->kind, value, &number->value) < 0) {
            return bad_value(cli, option, value);
        }
        number->given = true;
    }
    return -1;
}

/* ---- walking the arguments ---- */

struct walk {
    struct cli *cli;
    char **arguments;
    int count, index; /* index of the argument at hand */
    void *options;
};

static int no_option(struct cli *cli, const char *name, size_t length)
{
    char word[64];
    const char *meant = NULL;
    snprintf(word, sizeof word, "%.*s", (int)length, name);
    for (int table = 0; table < CLI_TABLES_MAX && cli->command->options[table] != NULL; table++) {
        for (const struct cli_option *o = cli->command->options[table]; o->kind != CLI_END; o++) {
            meant = base_text_nearer(word, meant, o->name);
        }
    }
    return meant != NULL ? cli_usage_error(cli, "there is no option --%.*s; did you mean --%s?",
                                           (int)length, name, meant)
                         : cli_usage_error(cli, "there is no option --%.*s", (int)length, name);
}

static int take_long(struct walk *walk)
{
    const char *name = walk->arguments[walk->index] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    const struct cli_option *option = find_long(walk->cli->command, name, length);
    if (option == NULL) {
        return no_option(walk->cli, name, length);
    }
    if (option->kind == CLI_FLAG && value != NULL) {
        return cli_usage_error(walk->cli, "--%s takes no value", option->name);
    }
    if (option->kind != CLI_FLAG && value == NULL) {
        if (walk->index + 1 == walk->count) {
            return cli_usage_error(walk->cli, "--%s needs a value", option->name);
        }
        value = walk->arguments[++walk->index];
    }
    return set_value(walk->cli, option, value, walk->options);
}

static int take_short(struct walk *walk)
{
    for (const char *at = walk->arguments[walk->index] + 1; *at != '\0'; at++) {
        const struct cli_option *option = find_short(walk->cli->command, *at);
        if (option == NULL) {
            return cli_usage_error(walk->cli, "there is no option -%c", *at);
        }
        if (option->kind == CLI_FLAG) {
            set_value(walk->cli, option, NULL, walk->options);
            continue;
        }
        if (at[1] != '\0') {
            return set_value(walk->cli, option, at + 1, walk->options);
        }
        if (walk->index + 1 == walk->count) {
            return cli_usage_error(walk->cli, "-%c needs a value", *at);
        }
        return set_value(walk->cli, option, walk->arguments[++walk->index], walk->options);
    }
    return -1;
}

static int take_argument(struct walk *walk)
{
    struct cli *cli = walk->cli;
    const char *argument = walk->arguments[walk->index];
    if (cli->argument_count == cli->command->arguments_max) {
        return cli_usage_error(cli, "'%s' is one argument too many", argument);
    }
    if (cli->argument_count == 0) {
        cli->path = argument;
    }
    cli->argument[cli->argument_count++] = argument;
    return -1;
}

static int take(struct walk *walk, bool *options_ended)
{
    const char *argument = walk->arguments[walk->index];
    if (*options_ended || argument[0] != '-' || argument[1] == '\0') {
        return take_argument(walk);
    }
    if (strcmp(argument, "--") == 0) {
        *options_ended = true;
        return -1;
    }
    return argument[1] == '-' ? take_long(walk) : take_short(walk);
}

/* Errors of the command line itself are JSON when it asks for JSON anywhere. */
static bool asks_for_json(int count, char **arguments)
{
    for (int i = 0; i < count && strcmp(arguments[i], "--") != 0; i++) {
        if (strcmp(arguments[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

/* Before anything is made. Whether it is that of a log which is there, opening finds out. */
static int check_segment_size(struct cli *cli, const struct cli_number *size)
{
    uint64_t bytes = size->value;
    bool fits = bytes >= WEIR_SEGMENT_BYTES_MIN && bytes <= WEIR_SEGMENT_BYTES_MAX &&
                (bytes & (bytes - 1)) == 0;
    if (!size->given || fits) {
        return -1;
    }
    return cli_usage_error(
        cli, "--segment-size is a power of two from 64KiB to 1GiB, not %" PRIu64 " bytes", bytes);
}

int cli_parse(struct cli *cli, int count, char **arguments, void *options)
{
    struct walk walk = {.cli = cli, .arguments = arguments, .count = count, .options = options};
    bool options_ended = false;
    cli->json = asks_for_json(count, arguments);
    for (; walk.index < count; walk.index++) {
        int exit_code = take(&walk, &options_ended);
        if (exit_code >= 0) {
            return exit_code;
        }
    }
    const struct cli_common *common = options;
    if (common->help) {
        cli_print_help(cli, cli->command);
        return CLI_OK;
    }
    cli->json = common->json;
    cli->verbose = common->verbose;
    if (cli->argument_count < cli->command->arguments_min) {
        return cli_usage_error(cli, "%s",
                               cli->argument_count == 0 ? "an argument is missing"
                                                        : "a further argument is missing");
    }
    return check_segment_size(cli, &common->segment_size);
}

/* ---- help ---- */

static void print_option(struct output *out, const struct cli_option *option)
{
    char left[80];
    char letter[8] = "    ";
    if (option->letter != 0) {
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    }
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
             option->value != NULL ? " " : "", option->value != NULL ? option->value : "");
    output_format(out, "  %-38s %s\n", left, option->help);
}

void cli_print_help(struct cli *cli, const struct cli_command *command)
{
    struct output *out = &cli->out;
    output_format(out, "usage: weir %s%s%s\n\n%s.\n", command->name,
                  command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
    if (command->details != NULL) {
        output_char(out, '\n');
        output_text(out, command->details);
        output_char(out, '\n');
    }
    if (command->options[0] == NULL) {
        return;
    }
    output_text(out, "\nOptions:\n");
    for (int table = 0; table < CLI_TABLES_MAX && command->options[table] != NULL; table++) {
        for (const struct cli_option *o = command->options[table]; o->kind != CLI_END; o++) {
            print_option(out, o);
        }
    }
}
