/*
 * weir crash: how a log comes back, and how long that takes.
 *
 * 1. --kill: a child process appends in a fresh directory below --dir and is killed with SIGKILL.
 *    --power: writers append to a simulated medium in memory, and its power is cut.
 * 2. The log is opened again, timed by phase; the referee compares what is there with what was
 *    acknowledged; the log is closed and read as a whole.
 * 3. The next round goes on with the same log, which grows; the report shows how times follow.
 *
 * Failures: reported where they happen; the directory is removed all the same, unless --keep. A
 * signal ends the run with a report of the rounds that are complete and exit 5. A round in which
 * something acknowledged is lost, or anything is there that should not be, is the last one: exit 1.
 */
#include "cli/crash.h"

#include "cli/commands.h"
#include "cli/crash_child.h"
#include "cli/errors.h"
#include "cli/signals.h"
#include "cli/workdir.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"

#ifdef WEIR_CLI_HAS_BENCH
#include "bench/environment.h"
#endif

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ROUNDS_DEFAULT 5u
#define WRITERS_DEFAULT 4u
#define SIZE_MIN_DEFAULT CRASH_SIZE_MIN
#define SIZE_MAX_DEFAULT 400u
#define POWER_RECORDS_DEFAULT 20000u /* of a round: what is simulated has no pace of its own */

static const char *const durability_names[] = {"each", "group", "none"};

static const struct cli_option crash_options[] = {
    {"dir", CLI_TEXT, 0, "DIR", "where to work: the device to look at; a directory that exists",
     offsetof(struct crash_options, directory)},
    {"kill", CLI_FLAG, 0, NULL, "kill -9 of a process that appends",
     offsetof(struct crash_options, kill)},
    {"power", CLI_FLAG, 0, NULL, "simulated power cuts; everything is in memory",
     offsetof(struct crash_options, power)},
    {"engine", CLI_FLAG, 0, NULL, "put keys into the storage engine, and judge it as well",
     offsetof(struct crash_options, engine)},
    {"writers", CLI_NUMBER, 0, "N", "threads that append, 1 to 256 (4)",
     offsetof(struct crash_options, writers)},
    {"durability", CLI_CHOICE, 0, "each|group|none", "of appends (each)",
     offsetof(struct crash_options, durability)},
    {"size", CLI_SIZE, 0, "BYTES", "of each record, 16 to 1MiB (16 to 400, mixed)",
     offsetof(struct crash_options, size)},
    {"records", CLI_NUMBER, 0, "N", "a round ends behind about N/2 to N acknowledged ones",
     offsetof(struct crash_options, records)},
    {"rounds", CLI_NUMBER, 0, "R", "crashes, one behind the other on one log (5)",
     offsetof(struct crash_options, rounds)},
    {"seed", CLI_NUMBER, 0, "S", "of the choices of a run (random, and reported)",
     offsetof(struct crash_options, seed)},
    {"cold", CLI_FLAG, 0, NULL, "drop the log's files from the page cache before timed steps",
     offsetof(struct crash_options, cold)},
    {"keep", CLI_FLAG, 0, NULL, "leave the log for a look, and say where",
     offsetof(struct crash_options, keep)},
    {"force", CLI_FLAG, 0, NULL, "measure a debug or sanitizer build all the same",
     offsetof(struct crash_options, force)},
    {0},
};

const char *crash_durability_name(const struct crash *crash)
{
    return durability_names[crash->durability - WEIR_EACH];
}

const char *crash_medium_name(const struct crash *crash)
{
    if (crash->power != NULL) {
        return crash_power_medium(crash->power);
    }
    return crash->complete > 0 ? crash->rounds[0].report.medium.name
                               : "unknown: no round is complete";
}

/* ---- the command line ---- */

static int check_number(struct cli *cli, const struct cli_number *number, const char *name,
                        uint64_t min, uint64_t max)
{
    if (number->given && (number->value < min || number->value > max)) {
        return cli_usage_error(cli, "--%s takes %" PRIu64 " to %" PRIu64 ", not %" PRIu64, name,
                               min, max, number->value);
    }
    return -1;
}

static int check_numbers(struct cli *cli, const struct crash_options *options)
{
    int exit_code = check_number(cli, &options->writers, "writers", 1, CRASH_WRITERS_MAX);
    if (exit_code < 0) {
        exit_code = check_number(cli, &options->rounds, "rounds", 1, CRASH_ROUNDS_MAX);
    }
    if (exit_code < 0) {
        exit_code = check_number(cli, &options->records, "records", 1, CRASH_RECORDS_MAX);
    }
    if (exit_code < 0) {
        exit_code = check_number(cli, &options->size, "size", CRASH_SIZE_MIN, CRASH_SIZE_MAX);
    }
    return exit_code;
}

static int check_options(struct cli *cli, const struct crash_options *options)
{
    if (options->kill == options->power) {
        return cli_usage_error(cli, options->kill ? "--kill and --power are two different crashes"
                                                  : "which crash: --kill or --power?");
    }
    if (options->directory == NULL || options->directory[0] == '\0') {
        return cli_usage_error(cli, "--dir is missing: it names the directory to work in");
    }
    if (options->power && options->cold) {
        return cli_usage_error(cli, "--cold has no meaning with --power: "
                                    "the simulated medium has no page cache");
    }
    if (options->power && options->common.io != WEIR_IO_AUTO) {
        return cli_usage_error(cli, "--io has no meaning with --power: the medium is simulated");
    }
    return check_numbers(cli, options);
}

static uint64_t or_default(const struct cli_number *number, uint64_t otherwise)
{
    return number->given ? number->value : otherwise;
}

static int take_options(struct crash *crash, const struct crash_options *options)
{
    uint32_t seed = 0;
    int rc = options->seed.given ? 0 : base_random_bytes(&seed, sizeof seed);
    if (rc < 0) {
        return cli_fail(crash->cli, rc, NULL, "cannot draw a seed");
    }
    crash->options = options;
    crash->writers = (unsigned)or_default(&options->writers, WRITERS_DEFAULT);
    crash->rounds_wanted = (unsigned)or_default(&options->rounds, ROUNDS_DEFAULT);
    crash->records = or_default(&options->records, options->power ? POWER_RECORDS_DEFAULT : 0);
    crash->seed = or_default(&options->seed, seed);
    crash->durability = (enum weir_durability)(WEIR_EACH + options->durability);
    crash->sizes.min = (uint32_t)or_default(&options->size, SIZE_MIN_DEFAULT);
    crash->sizes.max = (uint32_t)or_default(&options->size, SIZE_MAX_DEFAULT);
    return -1;
}

/* ---- where it runs ---- */

/* Recovery times of a build that is not meant to be fast would be quoted all the same. */
static int look_at_build(struct crash *crash)
{
#ifdef WEIR_CLI_HAS_BENCH
    static struct bench_environment environment;
    bench_environment_read(&environment, crash->options->directory);
    snprintf(crash->build, sizeof crash->build, "%s", environment.build);
    if (!environment.measurable && !crash->options->force) {
        return cli_refuse(crash->cli, CLI_REFUSED,
                          "this is a %s build: its times say nothing about Weir; measure a release "
                          "build, or insist with --force",
                          environment.build);
    }
#else
    snprintf(crash->build, sizeof crash->build, "unknown (without its benchmarks)");
#endif
    return -1;
}

static int look_around(struct crash *crash)
{
    struct stat status;
    const char *directory = crash->options->directory;
    int rc = stat(directory, &status) < 0 ? -errno : S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
    if (rc < 0) {
        return cli_fail_open(crash->cli, rc, NULL, "cannot work in %s", directory);
    }
    machine_read_place(directory, &crash->place);
    machine_read(&crash->machine);
    return look_at_build(crash);
}

static int prepare_referee(struct crash *crash)
{
    int rc = crash_referee_create(crash->writers, crash->rounds_wanted, &crash->sizes,
                                  CRASH_RECORDS_MAX, &crash->referee);
    crash->rounds = base_alloc_array(crash->rounds_wanted, sizeof crash->rounds[0]);
    if (rc < 0 || crash->rounds == NULL) {
        return cli_fail(crash->cli, -ENOMEM, NULL, "cannot keep what is acknowledged");
    }
    return -1;
}

static int prepare_site(struct crash *crash)
{
    struct weir_log_options options;
    if (crash->options->kill) {
        int exit_code =
            workdir_create(crash->cli, crash->options->directory, "crash", crash->directory);
        snprintf(crash->path, sizeof crash->path, "%s/log", crash->directory);
        return exit_code;
    }
    cli_log_options(&crash->options->common, 0, &options);
    int rc = crash_power_create(options.medium, &options, &crash->power);
    return rc < 0 ? cli_fail(crash->cli, rc, NULL, "cannot simulate a medium") : -1;
}

/* ---- rounds ---- */

static int file_options(void *context, uint32_t flags, struct weir_log_options *ret_options)
{
    const struct crash *crash = context;
    cli_log_options(&crash->options->common, flags, ret_options);
    return 0;
}

/* What made the writers end before they should have. */
static int report_writers(struct crash *crash, int rc, const struct weir_error *why)
{
    const char *where = crash->power != NULL ? "the simulated disk" : crash->options->directory;
    if (rc == -ENOSPC || rc == -EDQUOT) {
        return cli_fail(crash->cli, rc, why,
                        "no room is left in %s after %u rounds; use fewer --rounds or --records, "
                        "or another place",
                        where, crash->complete);
    }
    if (rc == -ETIMEDOUT) {
        return cli_refuse(crash->cli, CLI_DEVICE,
                          "nothing was acknowledged for a minute in %s: the device, or the "
                          "machine, is too busy",
                          where);
    }
    if (rc == -ECHILD) {
        return cli_refuse(crash->cli, CLI_DEVICE,
                          "the process that was to be killed ended by itself: was it killed by "
                          "somebody else, or for want of memory?");
    }
    return cli_fail_open(crash->cli, rc, why, "the writers cannot go on in %s", where);
}

/* Lets writers append up to the round's moment, and crashes them. Returns 0 or a negative error. */
static int crash_writers(struct crash *crash, struct crash_round *round, struct weir_error *why)
{
    struct crash_writers writers = {
        .referee = crash->referee,
        .count = crash->writers,
        .seed = crash->seed,
        .durability = crash->durability,
        .engine = crash->options->engine,
        .checkpoints = round->number % 2 == 1,
    };
    crash_referee_round_begin(crash->referee, round->number);
    if (crash->power != NULL) {
        return crash_power_run(crash->power, &writers, &round->moment, crash->seed + round->number,
                               &round->rolled, why);
    }
    struct weir_log_options options;
    cli_log_options(&crash->options->common, WEIR_LOG_CREATE, &options);
    struct crash_child child = {
        .path = crash->path,
        .options = &options,
        .writers = writers,
        .moment = round->moment,
    };
    return crash_child_run(&child, &round->rolled, why);
}

/* Returns -1 to go on, else the exit code. */
static int run_round(struct crash *crash, struct crash_round *round)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct crash_site site = {
        .path = crash->power != NULL ? "simulated" : crash->path,
        .options = crash->power != NULL ? crash_power_options : file_options,
        .context = crash->power != NULL ? (void *)crash->power : crash,
        .cold = crash->options->cold,
        .verify = true,
        .engine = crash->options->engine,
    };
    round->moment = crash_moment_draw(crash->seed, round->number, crash->records);
    int rc = crash_writers(crash, round, &why);
    if (rc == -EINTR && signals_interrupted()) {
        return -1;
    }
    return rc < 0 ? report_writers(crash, rc, &why)
                  : crash_round_recover(crash->cli, &site, crash->referee, round);
}

static int run_rounds(struct crash *crash)
{
    int exit_code = -1;
    while (exit_code < 0 && crash->complete < crash->rounds_wanted && !signals_interrupted() &&
           crash_is_well(crash)) {
        crash->full = crash_referee_is_full(crash->referee);
        if (crash->full) {
            break;
        }
        struct crash_round *round = &crash->rounds[crash->complete];
        round->number = crash->complete;
        progress_show("%s, round %u of %u ...", crash->power != NULL ? "power cut" : "kill -9",
                      round->number + 1, crash->rounds_wanted);
        exit_code = run_round(crash, round);
        crash->complete += round->complete;
    }
    progress_clear();
    crash->interrupted = signals_interrupted();
    return exit_code;
}

/* ---- the run as a whole ---- */

static int judge(const struct crash *crash)
{
    if (!crash_is_well(crash)) {
        return CLI_NO;
    }
    return crash->interrupted ? CLI_INTERRUPTED : CLI_OK;
}

/* A simulated log is only a log once it is on a real disk. Returns -1 or the exit code. */
static int keep_simulated(struct crash *crash)
{
    if (crash->power == NULL || !crash->options->keep || crash->complete == 0) {
        return -1;
    }
    int exit_code =
        workdir_create(crash->cli, crash->options->directory, "crash", crash->directory);
    if (exit_code >= 0) {
        return exit_code;
    }
    snprintf(crash->path, sizeof crash->path, "%s/log", crash->directory);
    int rc = mkdir(crash->path, 0777) < 0 ? -errno : crash_power_save(crash->power, crash->path);
    return rc < 0 ? cli_fail(crash->cli, rc, NULL, "cannot keep the log in %s", crash->path) : -1;
}

static int run_prepared(struct crash *crash)
{
    uint64_t started_ns = base_clock_monotonic_ns();
    output_flush(&crash->cli->out); /* a child must not have it in its buffer as well */
    int exit_code = run_rounds(crash);
    crash->seconds = (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
    if (exit_code < 0) {
        exit_code = keep_simulated(crash);
    }
    if (exit_code >= 0) {
        if (crash->options->keep && crash->directory[0] != '\0') {
            cli_note(crash->cli, "the log is %s", crash->path); /* no report says so */
        }
        return exit_code;
    }
    if (crash->cli->json) {
        crash_report_json(crash);
    } else {
        crash_report_text(crash);
    }
    return judge(crash);
}

static void clean_up(struct crash *crash)
{
    if (crash->directory[0] != '\0' && !crash->options->keep) {
        workdir_remove(crash->cli, crash->directory);
    }
    crash_power_destroy(crash->power);
    crash_referee_destroy(crash->referee);
    base_free(crash->rounds);
}

static int run(struct cli *cli, const void *options)
{
    static struct crash crash; /* paths: too large for the stack */
    crash.cli = cli;
    int exit_code = check_options(cli, options);
    if (exit_code < 0) {
        exit_code = take_options(&crash, options);
    }
    if (exit_code >= 0) {
        return exit_code;
    }
    static int (*const steps[])(struct crash * crash) = {look_around, prepare_referee, prepare_site,
                                                         run_prepared};
    for (size_t i = 0; exit_code < 0 && i < sizeof steps / sizeof steps[0]; i++) {
        exit_code = steps[i](&crash);
    }
    clean_up(&crash);
    return exit_code;
}

const struct cli_command crash_command = {
    .name = "crash",
    .arguments = "--dir DIR --kill|--power [OPTION...]",
    .summary = "Crashes a log again and again, checks what comes back, and times recovery",
    .details =
        "A log is made in a fresh directory below DIR and removed at the end. Each round appends "
        "to\n"
        "it, crashes, opens it again (timed by phase), compares every record that was ever\n"
        "acknowledged with what is there, and reads the whole log as weir verify does. An\n"
        "acknowledgement is always durable, whatever --durability says. `lost` must be 0.\n"
        "\n"
        "--kill ends a real process on the real device. It shows nothing about power loss: the\n"
        "kernel and the device go on. --power cuts the power of a simulated medium in memory: any\n"
        "part of what was not durable is taken away. Its times are the CPU's work, not a "
        "device's;\n"
        "--medium says what is simulated, segments are 4MiB unless told, the disk has 512MiB, and\n"
        "nothing is written to DIR but what --keep keeps.\n"
        "\n"
        "The same --seed makes the same choices: after how many records or how much time the "
        "crash\n"
        "comes, whether it waits for a new file of the log then (up to 2s), how long or how many\n"
        "calls of the medium after that, how much of the rest the power cut takes. What the "
        "writers\n"
        "have in flight at that moment is the machine's doing, and differs.\n"
        "\n"
        "--cold drops the log's files from the page cache before each timed step; without it they\n"
        "are as the crash left them. On direct, and on mapped where direct I/O works, both timed\n"
        "steps read the device either way. An emulated pmem is read from the cache; a real one\n"
        "has none. The referee needs 8 bytes of memory a record, and follows 67108864 of them.\n"
        "\n"
        "With --engine writers put values under a few thousand keys, and make checkpoints in "
        "every\n"
        "second round. Behind each crash the engine is opened (timed by phase), every version of\n"
        "every key is compared with the log, and the state with that of an engine rebuilt without\n"
        "a checkpoint.\n"
        "\n"
        "Exit 1 when something acknowledged is lost, or something is there that was never "
        "appended.",
    .options_size = sizeof(struct crash_options),
    .options = {crash_options, cli_create_options, cli_output_options},
    .run = run,
};
