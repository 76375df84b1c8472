/*
 * What a subcommand is: a name, its options as a table, and a function.
 *
 * main.c finds the command, options.c fills the command's own options struct from its table, run()
 * does the work and returns the exit code. The same tables print the help, the usage line and the
 * completion, so that none of them can disagree with what is accepted.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/output.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_exit {
    CLI_OK = 0,          /* also when there was nothing to show */
    CLI_NO = 1,          /* the answer is no: verify found damage */
    CLI_USAGE = 2,       /* the command line is wrong; nothing was done */
    CLI_REFUSED = 3,     /* cannot open, or refused */
    CLI_DEVICE = 4,      /* the device or an operation on it failed */
    CLI_INTERRUPTED = 5, /* by a signal, or because nobody reads what append acknowledges */
};

enum cli_option_kind {
    CLI_END = 0, /* the last row of a table */
    CLI_FLAG,    /* bool */
    CLI_TEXT,    /* const char * */
    CLI_NUMBER,  /* struct cli_number, as are the next two */
    CLI_SIZE,
    CLI_DURATION, /* in nanoseconds */
    CLI_CHOICE,   /* int: the index in `value`, words separated by '|' */
    CLI_LIST,     /* struct cli_list: may be given more than once */
};

struct cli_number {
    uint64_t value;
    bool given;
};

#define CLI_LIST_MAX 8

struct cli_list {
    const char *values[CLI_LIST_MAX];
    int count;
};

struct cli_option {
    const char *name; /* without the dashes */
    enum cli_option_kind kind;
    char letter;       /* of the short form, or 0 */
    const char *value; /* what the help calls it, or the words of a choice */
    const char *help;
    size_t offset; /* in the command's options struct */
};

#define CLI_TABLES_MAX 3
#define CLI_ARGUMENTS_MAX 8

struct cli;

struct cli_command {
    const char *name;
    const char *arguments; /* as shown in the usage line */
    const char *summary;   /* one line */
    const char *details;   /* the rest of the help, or NULL */
    int arguments_min, arguments_max;
    size_t options_size;                              /* starts with struct cli_common */
    const struct cli_option *options[CLI_TABLES_MAX]; /* each ends with CLI_END */
    int (*run)(struct cli *cli, const void *options); /* returns enum cli_exit */
    bool raw; /* run gets everything behind the name unparsed, in cli->arguments */
};

/* One run of the program. */
struct cli {
    const struct cli_command *command;
    const char *argument[CLI_ARGUMENTS_MAX];
    int argument_count;
    const char *path;     /* of the log: the first argument unless the command says otherwise */
    char **raw_arguments; /* for a raw command, argv from its name on */
    int raw_count;
    bool json;
    bool verbose;
    struct output out; /* standard output */
};

extern const struct cli_command *const cli_commands[]; /* ends with NULL */

/* NULL when there is none of that name. */
const struct cli_command *cli_command_find(const char *name);

/* Reports that there is none, and which one may have been meant: CLI_USAGE. */
int cli_no_command(struct cli *cli, const char *word);

#endif
