/*
 * weir-peers: other systems, doing what Weir does, on the same disk. `weir bench peers` runs it; it
 * is a program of its own so that the command need not be linked with all of them.
 *
 *   weir-peers --dir D [--rows each,scan] [--rounds 5]    the contest: one table
 *   weir-peers --dir D --verify PEER                      appends, reopens, checks every record
 *   weir-peers put|get|... --dir D --peers lmdb,rocksdb   stores: as weir bench put, with peers
 *   weir-peers --job FD                                   one job in a child (not for people)
 */
#include "base/alloc.h"
#include "base/text.h"
#include "bench/exit.h"
#include "bench/option.h"
#include "bench/peers/kv.h"
#include "bench/peers/report.h"
#include "bench/stolen.h"
#include "bench/workdir.h"

#include <weir/medium.h>

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define VERIFY_WRITERS 4u

struct arguments {
    const char *directory;
    const char *memory_directory;
    const char *verify;
    const char *only;
    unsigned groups;
    uint64_t rounds;
    uint64_t records;
    double seconds;
    bool quick;
    bool json;
    bool force;
    int job_fd;
};

enum {
    KEY_ROWS = 256,
    KEY_ROUNDS,
    KEY_SECONDS,
    KEY_QUICK,
    KEY_JSON,
    KEY_FORCE,
    KEY_VERIFY,
    KEY_RECORDS,
    KEY_JOB,
    KEY_DIR,
    KEY_MEMORY_DIR,
    KEY_ONLY
};

static const struct argp_option option_table[] = {
    {"dir", KEY_DIR, "D", 0, "Where to write; on the disk that is to be measured", 0},
    {"memory-dir", KEY_MEMORY_DIR, "D", 0, "For the pmem rows (default /dev/shm)", 0},
    {"rows", KEY_ROWS, "LIST", 0, "each, outstanding, nosync, pmem, scan (default all)", 0},
    {"only", KEY_ONLY, "LIST", 0, "Only contestants whose name contains one of these (comma)", 0},
    {"rounds", KEY_ROUNDS, "N", 0, "Rounds, each with every system once (default 5)", 0},
    {"seconds", KEY_SECONDS, "S", 0, "Length of one measurement (default 1)", 0},
    {"quick", KEY_QUICK, NULL, 0, "3 rounds of 0.2 seconds: direction, not figures", 0},
    {"verify", KEY_VERIFY, "PEER", 0, "Check that PEER's records are there after a reopen", 0},
    {"records", KEY_RECORDS, "N", 0, "With --verify: how many (default 1000)", 0},
    {"json", KEY_JSON, NULL, 0, "One line of JSON", 0},
    {"force", KEY_FORCE, NULL, 0, "Measure a debug or sanitizer build all the same", 0},
    {"job", KEY_JOB, "FD", OPTION_HIDDEN, NULL, 0},
    {0},
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_DIR:
        arguments->directory = value;
        return 0;
    case KEY_MEMORY_DIR:
        arguments->memory_directory = value;
        return 0;
    case KEY_ROWS:
        arguments->groups = contest_groups_parse(value);
        return arguments->groups != 0 ? 0 : option_refuse(state, "--rows", value);
    case KEY_ONLY:
        arguments->only = value;
        return 0;
    case KEY_ROUNDS:
        return option_count(state, "--rounds", value, 1, CONTEST_ROUNDS_MAX, &arguments->rounds);
    case KEY_SECONDS:
        return option_seconds(state, value, &arguments->seconds);
    case KEY_QUICK:
        arguments->quick = true;
        return 0;
    case KEY_VERIFY:
        arguments->verify = value;
        return 0;
    case KEY_RECORDS:
        return option_count(state, "--records", value, 1, 100000000, &arguments->records);
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_FORCE:
        arguments->force = true;
        return 0;
    case KEY_JOB:
        arguments->job_fd = atoi(value);
        return 0;
    case ARGP_KEY_END:
        if (arguments->directory == NULL && arguments->job_fd < 0) {
            argp_error(state, "--dir is missing");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Runs a job in a fresh directory below the one it belongs to, and removes that. */
static void run_job(const struct arguments *arguments, struct peer_job *job,
                    struct peer_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof *ret_outcome);
    struct bench_workdir workdir;
    int rc = bench_workdir_create(&workdir, job->force_pmem ? arguments->memory_directory
                                                            : arguments->directory);
    if (rc == 0) {
        if (strlen(workdir.path) < sizeof job->directory) {
            (void)strcpy(job->directory, workdir.path);
            peer_job_spawn(job, ret_outcome);
        } else {
            rc = -ENAMETOOLONG;
        }
        bench_workdir_remove(&workdir);
    }
    if (rc < 0) {
        ret_outcome->rc = rc;
        (void)snprintf(ret_outcome->failure, sizeof ret_outcome->failure, "%s", strerror(-rc));
    }
}

static bool is_part_of_build(const struct contestant *contestant)
{
    return contestant->job.peer[0] == '\0' || peer_find(contestant->job.peer) != NULL;
}

/* Whether `id` contains one of a list of texts, as in "raw-4k,weir-1". */
static bool is_listed(const char *id, const char *list)
{
    while (list != NULL) {
        char text[64];
        size_t length = strcspn(list, ",");
        (void)snprintf(text, sizeof text, "%.*s", (int)length, list);
        if (strstr(id, text) != NULL) {
            return true;
        }
        list = list[length] != '\0' ? list + length + 1 : NULL;
    }
    return false;
}

static void run_rounds(const struct arguments *arguments, struct contest *contest)
{
    bool progress = !arguments->json;
    for (unsigned round = 0; round < contest->rounds && !bench_interrupted(); round++) {
        contest->done = round + 1;
        for (unsigned index = 0; index < contestant_count && !bench_interrupted(); index++) {
            if (!contest->chosen[index]) {
                continue;
            }
            struct peer_job job = contestants[index].job;
            job.seconds = job.records > 0 && job.kind == JOB_APPEND ? 60.0 * contest->seconds
                                                                    : contest->seconds;
            job.records = (uint64_t)((double)job.records * contest->seconds);
            size_t at = (size_t)index * CONTEST_ROUNDS_MAX + round;
            if (progress) {
                (void)fprintf(stderr, "round %u/%u %-24s", round + 1, contest->rounds,
                              contestants[index].id);
            }
            run_job(arguments, &job, &contest->outcomes[at]);
            contest->have[at] = true;
            if (progress) {
                const struct peer_outcome *outcome = &contest->outcomes[at];
                (void)fprintf(stderr, "%14.0f/s%s%s\n", outcome->per_s,
                              outcome->rc < 0 ? " failed: " : "", outcome->failure);
            }
        }
    }
}

static int run_contest(const struct arguments *arguments)
{
    struct contest contest = {.groups = arguments->groups,
                              .rounds = (unsigned)arguments->rounds,
                              .seconds = arguments->seconds};
    size_t cells = (size_t)contestant_count * CONTEST_ROUNDS_MAX;
    contest.chosen = base_alloc_array(contestant_count, sizeof *contest.chosen);
    contest.outcomes = base_alloc_array(cells, sizeof *contest.outcomes);
    contest.have = base_alloc_array(cells, sizeof *contest.have);
    int code = BENCH_EXIT_REFUSED;
    if (contest.chosen != NULL && contest.outcomes != NULL && contest.have != NULL) {
        for (unsigned index = 0; index < contestant_count; index++) {
            const struct contestant *contestant = &contestants[index];
            contest.chosen[index] =
                (contestant->groups & contest.groups) != 0 && is_part_of_build(contestant) &&
                (arguments->only == NULL || is_listed(contestant->id, arguments->only));
        }
        run_rounds(arguments, &contest);
        struct bench_environment environment;
        bench_environment_read(&environment, arguments->directory);
        (arguments->json ? contest_json : contest_print)(&contest, &environment);
        code = bench_interrupted() ? BENCH_EXIT_INTERRUPTED : BENCH_EXIT_OK;
    }
    base_free(contest.have);
    base_free(contest.outcomes);
    base_free(contest.chosen);
    return code;
}

static int run_verify(const struct arguments *arguments)
{
    const struct peer_ops *ops = peer_find(arguments->verify);
    if (ops == NULL) {
        (void)fprintf(stderr, "weir: %s is not part of this build\n", arguments->verify);
        return BENCH_EXIT_USAGE;
    }
    struct peer_job job = {.kind = JOB_APPEND,
                           .writers = VERIFY_WRITERS,
                           .batch = 1,
                           .size_min = 20,
                           .size_max = 400,
                           .durable = true,
                           .verify = true,
                           .force_pmem = ops->force_pmem,
                           .seconds = 60.0,
                           .records = arguments->records};
    (void)snprintf(job.peer, sizeof job.peer, "%s", ops->name);
    struct peer_outcome outcome;
    run_job(arguments, &job, &outcome);
    bool ok = outcome.rc == 0 && outcome.records == arguments->records &&
              outcome.scanned == outcome.records && outcome.strangers == 0;
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_text(&json, "peer", ops->name);
    bench_json_bool(&json, "ok", ok);
    bench_json_count(&json, "appended", outcome.records);
    bench_json_count(&json, "found", outcome.scanned);
    bench_json_count(&json, "strangers", outcome.strangers);
    bench_json_text(&json, "failure", outcome.failure);
    bench_json_close(&json);
    return ok ? BENCH_EXIT_OK : (outcome.rc < 0 ? BENCH_EXIT_IO : BENCH_EXIT_NO);
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Weir beside RocksDB, LMDB, WiredTiger, SQLite, libpmemlog and the raw device: the "
               "same records, the same disk, the same promise, in turns.",
    };
    struct arguments arguments = {.memory_directory = "/dev/shm",
                                  .groups = CONTEST_ALL,
                                  .rounds = 5,
                                  .records = 1000,
                                  .seconds = 1.0,
                                  .job_fd = -1};
    argp_err_exit_status = BENCH_EXIT_USAGE;
    bench_stolen_begin_run();
    int code = peers_kv_main(argc, argv);
    if (code >= 0) {
        return code;
    }
    (void)argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (arguments.job_fd >= 0) {
        return peer_job_child(arguments.job_fd);
    }
    if (arguments.quick) {
        arguments.rounds = 3;
        arguments.seconds = 0.2;
    }
    if (arguments.verify == NULL && !bench_build_is_fit(arguments.force)) {
        return BENCH_EXIT_REFUSED;
    }
    bench_catch_interrupt();
    if (mkdir(arguments.directory, 0777) < 0 && errno != EEXIST) {
        (void)fprintf(stderr, "weir: %s: %s\n", arguments.directory, strerror(errno));
        return BENCH_EXIT_REFUSED;
    }
    return arguments.verify != NULL ? run_verify(&arguments) : run_contest(&arguments);
}
