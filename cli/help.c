/*
 * weir help: the list of commands, or the help of one.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/options.h"

struct help_options {
    struct cli_common common;
};

void help_print_all(struct cli *cli)
{
    struct output *out = &cli->out;
    output_text(out, "usage: weir COMMAND [ARGUMENT...]\n"
                     "\n"
                     "A durable log on persistent memory and io_uring. LOG is a directory.\n"
                     "\n");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        output_format(out, "  %-11s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    }
    output_text(out, "\n"
                     "  weir help COMMAND   what it takes\n"
                     "  weir --version\n"
                     "\n"
                     "Exit: 0 ok, 1 the answer is no, 2 usage, 3 cannot open or refused,\n"
                     "      4 device or I/O error, 5 interrupted. Start with: weir demo\n");
}

static int run(struct cli *cli, const void *options)
{
    (void)options;
    if (cli->argument_count == 0) {
        help_print_all(cli);
        return CLI_OK;
    }
    const struct cli_command *command = cli_command_find(cli->argument[0]);
    if (command == NULL) {
        return cli_no_command(cli, cli->argument[0]);
    }
    cli_print_help(cli, command);
    return CLI_OK;
}

const struct cli_command help_command = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "Shows the commands, or what one of them takes",
    .arguments_max = 1,
    .options_size = sizeof(struct help_options),
    .options = {cli_output_options},
    .run = run,
};
