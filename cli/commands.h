/* The commands, each defined in the file of its name. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

extern const struct cli_command append_command;
extern const struct cli_command backup_command;
extern const struct cli_command bench_command;
extern const struct cli_command changes_command;
extern const struct cli_command checkpoint_command;
extern const struct cli_command compact_command;
extern const struct cli_command completion_command;
extern const struct cli_command consumers_command;
extern const struct cli_command crash_command;
extern const struct cli_command delete_command;
extern const struct cli_command demo_command;
extern const struct cli_command devices_command;
extern const struct cli_command dump_command;
extern const struct cli_command get_command;
extern const struct cli_command help_command;
extern const struct cli_command history_command;
extern const struct cli_command hold_command;
extern const struct cli_command import_command;
extern const struct cli_command index_command;
extern const struct cli_command put_command;
extern const struct cli_command query_command;
extern const struct cli_command rebuild_command;
extern const struct cli_command report_command;
extern const struct cli_command salvage_command;
extern const struct cli_command scan_command;
extern const struct cli_command search_command;
extern const struct cli_command stat_command;
extern const struct cli_command tail_command;
extern const struct cli_command text_command;
extern const struct cli_command truncate_command;
extern const struct cli_command verify_command;
extern const struct cli_command view_command;

/* The list of commands, as `weir --help` shows it. */
void help_print_all(struct cli *cli);

#endif
