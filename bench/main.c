/*
 * `weir bench`: which subcommand, and what an error means for the exit code. A new benchmark is a
 * row in the table and a file NAME_command.c.
 */
#include "bench/bench.h"
#include "bench/command.h"
#include "bench/exit.h"
#include "bench/stolen.h"
#include "bench/workdir.h"

#include "base/text.h"

#include <weir/error.h>

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct subcommand {
    const char *name;
    bench_command_fn run;
    const char *summary;
    bool store; /* peers may take part: weir-peers runs it, too */
} subcommands[] = {
    {"append", bench_append_command, "Records per second and latency of appends", false},
    {"device", bench_device_command, "What the device does when nothing is in the way", false},
    {"scan", bench_scan_command, "Records per second of a cursor", false},
    {"recover", bench_recover_command, "How long a log takes to come back after a crash", false},
    {"put", bench_put_command, "Puts into the engine, beside appends and other stores", true},
    {"get", bench_get_command, "Random gets", true},
    {"scan-keys", bench_scan_keys_command, "All keys and values in order", true},
    {"rebuild", bench_rebuild_command, "Opening an engine after a crash, from its log", true},
    {"reopen", bench_reopen_command, "Opening an engine after a crash, by a checkpoint", true},
    {"mixed", bench_mixed_command, "Latency of gets and puts at once", true},
    {"memory", bench_memory_command, "What an engine takes for each key", true},
    {"derived", bench_derived_command, "What derived systems cost, and what writers pay", true},
    {"peers", bench_peers_command, "Weir beside other systems, in turns, against its goals", false},
};

static void print_usage(FILE *file)
{
    (void)fputs("usage: weir bench SUBCOMMAND --dir D [OPTION...]\n\n", file);
    for (size_t index = 0; index < sizeof subcommands / sizeof *subcommands; index++) {
        (void)fprintf(file, "  %-9s  %s\n", subcommands[index].name, subcommands[index].summary);
    }
    (void)fputs("\nweir bench SUBCOMMAND --help lists its options.\n", file);
}

bench_command_fn bench_store_command(const char *name)
{
    for (size_t index = 0; index < sizeof subcommands / sizeof *subcommands; index++) {
        if (subcommands[index].store && strcmp(subcommands[index].name, name) == 0) {
            return subcommands[index].run;
        }
    }
    return NULL;
}

/* `weir bench scan --keys N` is scan-keys: the log has records, only the engine has keys. */
static bench_command_fn choose_scan(int argc, char **argv)
{
    for (int index = 0; index < argc; index++) {
        if (strncmp(argv[index], "--keys", 6) == 0) {
            return bench_scan_keys_command;
        }
    }
    return bench_scan_command;
}

int bench_exit_code(int rc, bool interrupted)
{
    if (interrupted) {
        return BENCH_EXIT_INTERRUPTED;
    }
    switch (rc) {
    case 0:
        return BENCH_EXIT_OK;
    case -EINVAL:
        return BENCH_EXIT_USAGE;
    case -EIO:
    case -ENOSPC:
    case WEIR_E_POISONED:
    case WEIR_E_DAMAGED:
        return BENCH_EXIT_IO;
    default:
        return BENCH_EXIT_REFUSED;
    }
}

/* What argp knows as --help alone. */
static void spell_help(char **argv)
{
    static char help[] = "--help";
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++) {
        if (strcmp(*argv, "-h") == 0) {
            *argv = help;
        }
    }
}

static int refuse_name(const char *name)
{
    const char *meant = NULL;
    for (size_t index = 0; index < sizeof subcommands / sizeof *subcommands; index++) {
        meant = base_text_nearer(name, meant, subcommands[index].name);
    }
    (void)fprintf(stderr, "weir bench: there is no benchmark '%s'", name);
    if (meant != NULL) {
        (void)fprintf(stderr, "; did you mean %s?", meant);
    }
    (void)fputs("\n", stderr);
    print_usage(stderr);
    return BENCH_EXIT_USAGE;
}

int bench_main(int argc, char **argv)
{
    argp_err_exit_status = BENCH_EXIT_USAGE;
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(argc > 1 ? stdout : stderr);
        return argc > 1 ? BENCH_EXIT_OK : BENCH_EXIT_USAGE;
    }
    for (size_t index = 0; index < sizeof subcommands / sizeof *subcommands; index++) {
        if (strcmp(subcommands[index].name, name) == 0) {
            bench_catch_interrupt();
            bench_stolen_begin_run();
            bench_command_fn run = subcommands[index].run;
            run = run == bench_scan_command ? choose_scan(argc, argv) : run;
            spell_help(argv + 2);
            return run(argc - 1, argv + 1);
        }
    }
    return refuse_name(name);
}
