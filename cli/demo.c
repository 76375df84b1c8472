/*
 * weir demo: what this machine's device can do, what the log makes of it, and that a crash loses
 * nothing, and what can be derived from it. A minute, no root, no special hardware.
 *
 * 1. A fresh directory is made below --dir; the medium that runs there is found out.
 * 2. demo_measure: the device by itself, then appends of 1, 8 and 64 writers, each durable.
 * 3. demo_crash: writers are killed with SIGKILL; what they acknowledged is looked for.
 * 4. demo_documents: this machine's list of packages, or --input, in a table, with an index, a view
 *    and a full text over it.
 * 5. demo_recover: who changes them is killed, what was acknowledged is looked for; then all that
 * is derived is deleted and built again from the log: equal fingerprints.
 * 6. One report; the directory is removed, unless --keep.
 *
 * Failures: reported where they happen, after which the directory is removed all the same. A signal
 * ends it behind the part that runs, with a report of what is complete and exit 5. An acknowledged
 * record that is lost, or one that comes back different, is exit 1.
 */
#include "cli/demo.h"

#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/signals.h"
#include "cli/workdir.h"

#include "base/clock.h"

#include <weir/inspect.h>

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

#define ROOM_NEEDED ((uint64_t)2 << 30)

static const struct cli_option demo_options[] = {
    {"dir", CLI_TEXT, 0, "DIR", "where to work: the device to look at (the current directory)",
     offsetof(struct demo_options, directory)},
    {"input", CLI_TEXT, 0, "FILE", "import the lines of FILE (this machine's list of packages)",
     offsetof(struct demo_options, input)},
    {"key", CLI_TEXT, 'k', "FIELD", "of JSON lines: what the key is (the number of the line)",
     offsetof(struct demo_options, key)},
    {"group", CLI_TEXT, 'g', "FIELD", "what to index and to group by (section)",
     offsetof(struct demo_options, group)},
    {"sum", CLI_TEXT, 0, "FIELD", "what to add up in each group (installed_size)",
     offsetof(struct demo_options, sum)},
    {"text", CLI_TEXT, 0, "FIELD", "what to search in (summary; line, of lines that are not JSON)",
     offsetof(struct demo_options, text)},
    {"keep", CLI_FLAG, 0, NULL, "leave the logs for a look", offsetof(struct demo_options, keep)},
    {0},
};

void demo_log_options(const struct demo *demo, uint32_t flags, struct weir_log_options *ret_options)
{
    cli_log_options(&demo->options->common, flags, ret_options);
}

static int make_directory(struct demo *demo)
{
    const char *parent = demo->options->directory != NULL ? demo->options->directory : ".";
    struct statvfs room;
    if (statvfs(parent, &room) < 0) {
        return cli_fail_open(demo->cli, -errno, NULL, "cannot work in %s", parent);
    }
    if ((uint64_t)room.f_bavail * room.f_frsize < ROOM_NEEDED) {
        return cli_refuse(
            demo->cli, CLI_REFUSED,
            "the demo needs 2 GiB of free space in %s; choose another place with --dir", parent);
    }
    return workdir_create(demo->cli, parent, "demo", demo->directory);
}

static int look_around(struct demo *demo)
{
    machine_read_place(demo->directory, &demo->place);
    machine_read(&demo->machine);
    int rc = weir_medium_probe(demo->directory, (enum weir_medium_kind)demo->options->common.medium,
                               (enum weir_io_kind)demo->options->common.io, &demo->medium);
    if (rc < 0) {
        struct weir_error why = WEIR_ERROR_INIT;
        if (rc == WEIR_E_MEDIUM) {
            snprintf(why.text, sizeof why.text, "%s", demo->medium.reason);
        }
        return cli_fail_open(demo->cli, rc, &why, "no log can be kept in %s", demo->directory);
    }
    return -1;
}

static int run_parts(struct demo *demo)
{
    static int (*const parts[])(struct demo *) = {look_around, demo_measure, demo_crash,
                                                  demo_documents, demo_recover};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int exit_code = parts[i](demo);
        progress_clear();
        if (exit_code >= 0) {
            return exit_code;
        }
        if (signals_interrupted()) {
            demo->interrupted = true;
            return -1;
        }
    }
    return -1;
}

static int judge(const struct demo *demo)
{
    if (demo->interrupted) {
        return CLI_INTERRUPTED;
    }
    return demo->crash.lost > 0 || demo->documents.different > 0 || demo->recover.lost > 0 ||
                   demo->recover.unequal > 0
               ? CLI_NO
               : CLI_OK;
}

static int run(struct cli *cli, const void *options)
{
    static struct demo demo; /* paths and reports: too large for the stack */
    demo.cli = cli;
    demo.options = options;
    uint64_t started_ns = base_clock_monotonic_ns();
    int exit_code = make_directory(&demo);
    if (exit_code >= 0) {
        return exit_code;
    }
    exit_code = run_parts(&demo);
    demo.seconds = (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
    if (exit_code < 0) {
        if (cli->json) {
            demo_report_json(&demo);
        } else {
            demo_report_text(&demo);
        }
        exit_code = judge(&demo);
    }
    demo_rows_free(&demo.rows);
    if (!demo.options->keep) {
        workdir_remove(cli, demo.directory);
    }
    return exit_code;
}

const struct cli_command demo_command = {
    .name = "demo",
    .arguments = "[--dir DIR] [OPTION...]",
    .summary = "Measures this device, appends, crashes, recovers, derives, rebuilds and reports",
    .details = "Takes less than a minute and 2 GiB of space that it gives back. Exit 1 when a "
               "record that\n"
               "was acknowledged is lost, or something derived is not what the log gives.",
    .options_size = sizeof(struct demo_options),
    .options = {demo_options, cli_open_options, cli_output_options},
    .run = run,
};
