/*
 * weir report: what this server can do, on one page; or the pages of several beside each other.
 *
 * 1. A fresh directory is made below --dir; the medium that runs there is found out.
 * 2. report_measure: the benchmarks, one after the other, each in a process of its own.
 * 3. One page, or one JSON object; the directory is removed.
 *
 * Failures: a place without room, a build that is not for measuring: refused before anything ran. A
 * benchmark that fails is listed, and is exit 4. A signal ends it with what is complete and exit 5.
 * A crash that has lost what was acknowledged is exit 1.
 */
#include "cli/report.h"

#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/workdir.h"

#include "base/clock.h"

#ifdef WEIR_CLI_HAS_BENCH
#include "bench/environment.h"
#endif

#include <weir/inspect.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#define ROOM_NEEDED ((uint64_t)4 << 30)
#define ROOM_NEEDED_QUICK ((uint64_t)1 << 30)

static const struct cli_option report_options[] = {
    {"dir", CLI_TEXT, 0, "DIR", "where to work: the device to look at (the current directory)",
     offsetof(struct report_options, directory)},
    {"quick", CLI_FLAG, 'q', NULL, "every part for a moment only: does it work here?",
     offsetof(struct report_options, quick)},
    {"compare", CLI_FLAG, 'c', NULL, "measure nothing: show the reports in FILEs beside each other",
     offsetof(struct report_options, compare)},
    {"force", CLI_FLAG, 0, NULL, "measure a debug or sanitizer build all the same",
     offsetof(struct report_options, force)},
    {0},
};

static const char *parent_of(const struct report *report)
{
    return report->options->directory != NULL ? report->options->directory : ".";
}

/* What has to be there before minutes are spent. Returns -1 to go on, else the exit code. */
static int look_around(struct report *report)
{
    struct cli *cli = report->cli;
    struct statvfs room;
    const struct cli_common *common = &report->options->common;
    uint64_t needed = report->options->quick ? ROOM_NEEDED_QUICK : ROOM_NEEDED;
    if (statvfs(parent_of(report), &room) < 0) {
        return cli_fail_open(cli, -errno, NULL, "cannot work in %s", parent_of(report));
    }
    if ((uint64_t)room.f_bavail * room.f_frsize < needed) {
        return cli_refuse(cli, CLI_REFUSED,
                          "a report needs %u GiB of free space in %s; choose another place with "
                          "--dir",
                          (unsigned)(needed >> 30), parent_of(report));
    }
    int rc = weir_medium_probe(parent_of(report), (enum weir_medium_kind)common->medium,
                               (enum weir_io_kind)common->io, &report->medium);
    if (rc < 0) {
        struct weir_error why = WEIR_ERROR_INIT;
        if (rc == WEIR_E_MEDIUM) {
            snprintf(why.text, sizeof why.text, "%s", report->medium.reason);
        }
        return cli_fail_open(cli, rc, &why, "no log can be kept in %s", parent_of(report));
    }
    machine_read_place(parent_of(report), &report->place);
    machine_read(&report->machine);
    return -1;
}

/* Numbers of a slow build are no report. Returns -1 to go on, else the exit code. */
static int check_build(struct report *report)
{
#ifdef WEIR_CLI_HAS_BENCH
    struct bench_environment environment;
    bench_environment_read(&environment, parent_of(report));
    snprintf(report->build, sizeof report->build, "%s", environment.build);
    return environment.measurable || report->options->force
               ? -1
               : cli_refuse(report->cli, CLI_REFUSED,
                            "this build (%s) is too slow to be measured: use a release build, or "
                            "insist with --force",
                            environment.build);
#else
    return cli_refuse(report->cli, CLI_REFUSED,
                      "this weir was built without its benchmarks; build with -DWEIR_BENCH=ON");
#endif
}

static double load_average(void)
{
    double load;
    return getloadavg(&load, 1) == 1 ? load : 0.0;
}

static int exit_code_of(const struct report *report)
{
    if (report->interrupted) {
        return CLI_INTERRUPTED;
    }
    if (report->lost) {
        return CLI_NO;
    }
    return report->missing_count > 0 ? CLI_DEVICE : CLI_OK;
}

static int measure(struct report *report)
{
    uint64_t started_ns = base_clock_monotonic_ns();
    int exit_code = look_around(report);
    if (exit_code < 0) {
        exit_code = workdir_create(report->cli, parent_of(report), "report", report->directory);
    }
    if (exit_code >= 0) {
        return exit_code;
    }
    report->started_ns = base_clock_realtime_ns();
    report->load_before = load_average();
    report_measure(report);
    report->load_after = load_average();
    report->seconds = (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
    workdir_remove(report->cli, report->directory);
    if (report->cli->json) {
        report_print_json(report);
    } else {
        report_print_text(report);
    }
    return exit_code_of(report);
}

static int run(struct cli *cli, const void *arguments)
{
    static struct report report; /* rows: too large for the stack */
    const struct report_options *options = arguments;
    if (options->compare) {
        return cli->argument_count >= 2
                   ? report_compare(cli)
                   : cli_usage_error(cli, "--compare takes two reports or more");
    }
    if (cli->argument_count > 0) {
        return cli_usage_error(cli, "'%s' is too much: files are for --compare", cli->argument[0]);
    }
    report = (struct report){.cli = cli, .options = options};
    int exit_code = check_build(&report);
    return exit_code < 0 ? measure(&report) : exit_code;
}

const struct cli_command report_command = {
    .name = "report",
    .arguments = "[--dir DIR] [OPTION...] | --compare FILE FILE ...",
    .summary = "Measures this server, all that weir can measure, on one page",
    .details =
        "Takes about two minutes and 4 GiB of space that it gives back, and prints Markdown; with\n"
        "--json one object, which --compare reads: `weir report --json > here.json` on each "
        "server,\n"
        "then `weir report --compare here.json there.json`. Exit 4 when a part gave no number, 1 "
        "when\n"
        "a record that was acknowledged is lost.",
    .arguments_max = CLI_ARGUMENTS_MAX,
    .options_size = sizeof(struct report_options),
    .options = {cli_output_options, cli_open_options, report_options},
    .run = run,
};
