/*
 * weir completion: a bash script that completes commands, options and the words of choices.
 *
 *     source <(weir completion)
 *
 * It is made from the tables that parse the command line.
 */
#include "cli/commands.h"
#include "cli/options.h"

#include <string.h>

struct completion_options {
    struct cli_common common;
};

static void print_options(struct output *out, const struct cli_command *command)
{
    for (int table = 0; table < CLI_TABLES_MAX && command->options[table] != NULL; table++) {
        for (const struct cli_option *o = command->options[table]; o->kind != CLI_END; o++) {
            output_format(out, " --%s", o->name);
        }
    }
}

static void print_words(struct output *out, const char *words)
{
    for (; *words != '\0'; words++) {
        output_char(out, *words == '|' ? ' ' : *words);
    }
}

/* The verbs that stand behind a command, and the commands behind help. */
static void print_verbs(struct output *out)
{
    output_text(out,
                "    if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                "        case ${COMP_WORDS[1]} in\n"
                "        hold) words='list set move drop' ;;\n"
                "        bench) words='append device scan recover put get scan-keys rebuild reopen "
                "mixed memory peers' ;;\n"
                "        help) words='");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        output_format(out, "%s%s", i > 0 ? " " : "", cli_commands[i]->name);
    }
    output_text(out, "' ;;\n"
                     "        esac\n"
                     "        if [ -n \"$words\" ] && [ \"${current#-}\" = \"$current\" ]; then\n"
                     "            COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                     "            return\n"
                     "        fi\n"
                     "    fi\n");
}

/* One case for each choice of a command: "append --medium) words=..." */
static void print_choices(struct output *out, const struct cli_command *command)
{
    for (int table = 0; table < CLI_TABLES_MAX && command->options[table] != NULL; table++) {
        for (const struct cli_option *o = command->options[table]; o->kind != CLI_END; o++) {
            if (o->kind == CLI_CHOICE) {
                output_format(out, "    '%s --%s') words='", command->name, o->name);
                print_words(out, o->value);
                output_text(out, "' ;;\n");
            }
        }
    }
}

static int run(struct cli *cli, const void *options)
{
    (void)options;
    struct output *out = &cli->out;
    output_text(out, "# bash completion for weir; made by `weir completion`\n"
                     "_weir()\n{\n"
                     "    local current=${COMP_WORDS[COMP_CWORD]}\n"
                     "    local previous=${COMP_WORDS[COMP_CWORD-1]} words=\n"
                     "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                     "        words='--help --version");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        output_format(out, " %s", cli_commands[i]->name);
    }
    output_text(out, "'\n"
                     "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                     "        return\n"
                     "    fi\n");
    print_verbs(out);
    output_text(out, "    case \"${COMP_WORDS[1]} $previous\" in\n");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        print_choices(out, cli_commands[i]);
    }
    output_text(out, "    *)\n"
                     "        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        output_format(out, "        %s) words='", cli_commands[i]->name);
        print_options(out, cli_commands[i]);
        output_text(out, "' ;;\n");
    }
    output_text(out, "        esac ;;\n"
                     "    esac\n"
                     "    case $current in\n"
                     "    -*) ;;\n"
                     "    *) compopt -o default; case $previous in --*) ;; *) words= ;; esac ;;\n"
                     "    esac\n"
                     "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                     "}\n"
                     "complete -F _weir weir\n");
    return CLI_OK;
}

const struct cli_command completion_command = {
    .name = "completion",
    .arguments = "",
    .summary = "Prints a bash script: source <(weir completion)",
    .options_size = sizeof(struct completion_options),
    .options = {cli_output_options},
    .run = run,
};
