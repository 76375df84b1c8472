/*
 * The command line: parsing by a command's tables, its help, and the options that commands share.
 *
 * Every command's options struct begins with struct cli_common and is zero before parsing: zero is
 * the default of every option.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/command.h"

#include <weir/log.h>

struct cli_common {
    bool json;
    bool verbose;
    bool help;
    int medium;  /* enum weir_medium_kind */
    int io;      /* enum weir_io_kind */
    int witness; /* enum weir_witness */
    struct cli_number lock_wait;
    struct cli_number segment_size;
    bool allow_emulated_pmem;
};

extern const struct cli_option cli_output_options[]; /* --json, -v, --help: every command */
extern const struct cli_option cli_open_options[];   /* --medium, --io, --lock-wait, ... */
extern const struct cli_option cli_create_options[]; /* the same, --segment-size, --witness */

/*
 * Fills `options` and cli->argument from argv[0..count), which stand behind the command's name.
 * Returns -1 to go on, else the exit code: help was printed, or an error was.
 */
int cli_parse(struct cli *cli, int count, char **arguments, void *options);

/* The help of a command, on standard output. */
void cli_print_help(struct cli *cli, const struct cli_command *command);

/* Is LOG a path? Returns -1 to go on, else the exit code. */
int cli_check_path(struct cli *cli);

/* Opens a log as the common options say and reports a failure. Returns -1 to go on, else the exit
 * code. @param flags  WEIR_LOG_* */
int cli_open(struct cli *cli, const struct cli_common *common, uint32_t flags,
             struct weir_log **ret_log);
void cli_log_options(const struct cli_common *common, uint32_t flags,
                     struct weir_log_options *ret_options);

/* What opening found and did, on standard error. @param flags  that it was opened with */
void cli_note_report(const struct cli *cli, const struct weir_log *log, uint32_t flags);

/* Closes; a failure is reported and becomes the exit code where that was CLI_OK. */
int cli_close(struct cli *cli, struct weir_log *log, int exit_code);

#endif
