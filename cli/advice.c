/*
 * What a person at the command line can do about an error: the library's advice in words of the
 * command, where that speaks of calls and members of options.
 *
 * A row for one command stands in front of that for all.
 */
#include "cli/advice.h"

#include "cli/commands.h"
#include "cli/options.h"

#include <weir/error.h>

#include <errno.h>

#define REBUILD "`weir rebuild LOG NAME`"

static const struct {
    int code;
    const struct cli_command *command; /* NULL: each */
    const char *advice;
} rows[] = {
    {WEIR_E_LOCKED, NULL,
     "stop that writer, or wait longer for it: --lock-wait TIME; what only reads need not wait"},
    {WEIR_E_TOO_BIG, NULL,
     "split it; a log that is made with larger segments takes larger ones: --segment-size SIZE"},
    {WEIR_E_TRUNCATED, NULL, "`weir stat LOG` shows the earliest LSN that is there"},
    {WEIR_E_HORIZON, NULL, "ask for that LSN or a later one"},
    {WEIR_E_HELD, NULL,
     "move or drop the hold that is named (`weir hold`), then try again; the engine's own goes "
     "with none of these: `weir compact LOG`"},
    {WEIR_E_EMULATED, NULL,
     "unset PMEM_NO_FLUSH and PMEM_IS_PMEM_FORCE, or measure with --allow-emulated-pmem"},
    {WEIR_E_SETTINGS, NULL, "leave --segment-size out: it was fixed when the log was made"},
    {WEIR_E_GAP, &tail_command,
     "`weir tail LOG` without --raw and --binary shows a row for it and goes on, --from LSN starts "
     "behind it"},
    {WEIR_E_GAP, NULL,
     "`weir tail LOG` shows what is missing; `weir rebuild LOG --accept-gaps` accepts that for "
     "good, and the tables can be used again"},
    {WEIR_E_NO_TABLE, NULL,
     "`weir stat LOG --engine` lists the tables; `weir put` and `weir import` make one"},
    {WEIR_E_INDEX_FULL, NULL,
     "delete keys, then `weir compact LOG`; keys that are there can be read, changed and deleted"},
    {WEIR_E_POSITION_LOST, NULL, "build it from the log: " REBUILD},
    {WEIR_E_ATTACHED, NULL, "stop the process that drives it, or take another name"},
    {WEIR_E_PARKED, NULL, "mend what the reason names, then build it from the log: " REBUILD},
    {WEIR_E_BEHIND, NULL,
     "wait longer: --wait TIME; `weir consumers LOG` shows how far each one is"},
    {-EROFS, NULL, "the file system is read-only: what only reads works there"},
    {-ENOMEM, NULL, "make memory available"},
    {-EINVAL, NULL, ""}, /* of the library's: see the header */
};

static bool makes_logs(const struct cli_command *command)
{
    for (int table = 0; table < CLI_TABLES_MAX && command->options[table] != NULL; table++) {
        if (command->options[table] == cli_create_options) {
            return true;
        }
    }
    return false;
}

const char *advice_for(const struct cli *cli, int code)
{
    const struct cli_command *command = cli->command;
    if (code == WEIR_E_NOT_A_LOG && command != NULL && !makes_logs(command)) {
        return "check the path";
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code && (rows[i].command == NULL || rows[i].command == command)) {
            return rows[i].advice;
        }
    }
    return weir_error_advice(code);
}
