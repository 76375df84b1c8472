/*
 * weir: the command.
 *
 * 1. The first argument names a subcommand; cli_commands holds them all.
 * 2. options.c parses what follows into the command's own struct, on the stack of main().
 * 3. The command runs; what it printed is flushed; its exit code is the program's.
 *
 * Failures: an unknown command is a usage error. Standard output that cannot be written is exit 4,
 * except a closed pipe: whoever closed it has seen enough, and the command's own code counts. A
 * file that is cut short while it is mapped is exit 4 with its name.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/options.h"
#include "cli/signals.h"

#include "base/text.h"

#include <weir/version.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_SIZE_MAX 1024

/* In the order of the list that people see. */
/* clang-format off */
const struct cli_command *const cli_commands[] = {
    &put_command,
    &get_command,
    &delete_command,
    &scan_command,
    &history_command,
    &changes_command,
    &import_command,
    &index_command,
    &query_command,
    &text_command,
    &search_command,
    &view_command,
    &checkpoint_command,
    &compact_command,
    &rebuild_command,
    &append_command,
    &tail_command,
    &verify_command,
    &salvage_command,
    &backup_command,
    &stat_command,
    &dump_command,
    &truncate_command,
    &hold_command,
    &consumers_command,
    &devices_command,
    &bench_command,
    &crash_command,
    &demo_command,
    &report_command,
    &completion_command,
    &help_command,
    NULL,
};
/* clang-format on */

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (strcmp(cli_commands[i]->name, name) == 0) {
            return cli_commands[i];
        }
    }
    return NULL;
}

int cli_no_command(struct cli *cli, const char *word)
{
    const char *meant = NULL;
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        meant = base_text_nearer(word, meant, cli_commands[i]->name);
    }
    return meant != NULL
               ? cli_usage_error(cli, "there is no command '%s'; did you mean %s?", word, meant)
               : cli_usage_error(cli, "there is no command '%s'", word);
}

static int run_command(struct cli *cli, int count, char **arguments)
{
    _Alignas(max_align_t) char options[OPTIONS_SIZE_MAX] = {0};
    if (cli->command->raw) {
        cli->raw_arguments = arguments;
        cli->raw_count = count;
        return cli->command->run(cli, options);
    }
    int exit_code = cli_parse(cli, count - 1, arguments + 1, options);
    return exit_code >= 0 ? exit_code : cli->command->run(cli, options);
}

/* What stands in place of a command: nothing, --help, --version, or a word that is none. */
static int run_without_command(struct cli *cli, int count, char **arguments)
{
    if (count < 2) {
        return cli_usage_error(cli, "which command?");
    }
    const char *word = arguments[1];
    if (strcmp(word, "--version") == 0) {
        output_format(&cli->out, "weir %s\n", weir_version_string());
        return CLI_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        help_print_all(cli);
        return CLI_OK;
    }
    if (word[0] == '-') {
        return cli_usage_error(cli, "there is no option %s in front of a command", word);
    }
    return cli_no_command(cli, word);
}

static bool asks_for_json(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

/* A standard descriptor that the caller has closed must not become that of a file of the log, which
 * would then get what is printed. What is opened instead answers EBADF, as a closed one does. */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) {
            _exit(CLI_REFUSED);
        }
    }
}

/* Reports, and ends without closing anything: the log may be locked by what was interrupted. */
static _Noreturn void end_for_lost_memory(struct cli *cli)
{
    struct weir_error why = WEIR_ERROR_INIT;
    why.code = WEIR_E_CUT_SHORT;
    if (signals_lost_memory(why.file, sizeof why.file, &why.offset)) {
        snprintf(why.text, sizeof why.text,
                 "%s, offset %" PRIu64
                 ": the file was cut short, or cannot be read any more, while it was in use",
                 why.file, why.offset);
    }
    output_row_drop(&cli->out);
    int exit_code =
        cli_fail(cli, why.code, &why, "cannot go on with %s", cli->path != NULL ? cli->path : "it");
    output_flush(&cli->out);
    _exit(exit_code);
}

int main(int argc, char **argv)
{
    static struct cli cli; /* 64 KiB of buffer do not belong on the stack */
    static sigjmp_buf lost;
    occupy_standard_descriptors();
    output_init(&cli.out, STDOUT_FILENO);
    cli.command = argc > 1 ? cli_command_find(argv[1]) : NULL;
    cli.json = asks_for_json(argc, argv);
    int rc = signals_install();
    if (rc < 0) {
        return cli_fail(&cli, rc, NULL, "cannot install signal handlers");
    }

    if (sigsetjmp(lost, 1) != 0) {
        end_for_lost_memory(&cli);
    }
    signals_catch_lost_memory(&lost);
    int exit_code = cli.command != NULL ? run_command(&cli, argc - 1, argv + 1)
                                        : run_without_command(&cli, argc, argv);
    rc = output_flush(&cli.out);
    if (rc < 0 && rc != -EPIPE) {
        cli_note(&cli, "cannot write to standard output: %s", weir_error_text(rc));
        return exit_code == CLI_OK ? CLI_DEVICE : exit_code;
    }
    return exit_code;
}
