/*
 * The crashing part of the demo: `weir crash --kill` with few rounds, each durable, and no reading
 * of the whole log.
 */
#include "cli/demo.h"

#include "cli/crash_child.h"
#include "cli/crash_round.h"
#include "cli/errors.h"
#include "cli/signals.h"

#include "base/clock.h"

#include <stdio.h>

#define ROUND_NS (700 * BASE_NS_PER_MS)
#define PAYLOAD_MAX 400
#define ACKNOWLEDGED_MAX ((uint64_t)4 << 20)

static int log_options(void *context, uint32_t flags, struct weir_log_options *ret_options)
{
    demo_log_options(context, flags, ret_options);
    return 0;
}

/* Runs a child and kills it while it appends. Returns -1 to go on, else the exit code. */
static int kill_a_writer(struct demo *demo, const char *path, struct crash_referee *referee,
                         unsigned round)
{
    bool rolled;
    struct weir_log_options options;
    struct weir_error why = WEIR_ERROR_INIT;
    struct crash_child child = {
        .path = path,
        .options = &options,
        .writers = {.referee = referee, .count = DEMO_CRASH_WRITERS, .durability = WEIR_EACH},
        .moment = {.time_ns = ROUND_NS},
    };
    demo_log_options(demo, WEIR_LOG_CREATE, &options);
    output_flush(&demo->cli->out); /* a child must not have it in its buffer as well */
    crash_referee_round_begin(referee, round);
    int rc = crash_child_run(&child, &rolled, &why);
    return rc < 0 && !signals_interrupted()
               ? cli_fail(demo->cli, rc, &why, "the writer that was to be killed failed")
               : -1;
}

static int run_round(struct demo *demo, const char *path, struct crash_referee *referee,
                     unsigned number)
{
    struct demo_crash *result = &demo->crash;
    struct crash_round round = {.number = number};
    struct crash_site site = {.path = path, .options = log_options, .context = demo};
    progress_show("kill -9 of %d writers, round %u of %d ...", DEMO_CRASH_WRITERS, number + 1,
                  DEMO_ROUNDS);
    int exit_code = kill_a_writer(demo, path, referee, number);
    if (exit_code < 0 && !signals_interrupted()) {
        exit_code = crash_round_recover(demo->cli, &site, referee, &round);
    }
    if (round.complete) {
        result->reports[result->rounds++] = round.report;
        result->acknowledged += round.verdict.acknowledged;
        result->recovered = round.verdict.recovered;
        result->lost += round.verdict.lost + round.verdict.wrong;
    }
    return exit_code;
}

int demo_crash(struct demo *demo)
{
    static const struct crash_sizes sizes = {CRASH_SIZE_MIN, PAYLOAD_MAX};
    char path[PATH_MAX + 16];
    struct crash_referee *referee;
    uint64_t started_ns = base_clock_monotonic_ns();
    snprintf(path, sizeof path, "%s/crash", demo->directory);
    int exit_code = -1;
    int rc =
        crash_referee_create(DEMO_CRASH_WRITERS, DEMO_ROUNDS, &sizes, ACKNOWLEDGED_MAX, &referee);
    if (rc < 0) {
        return cli_fail(demo->cli, rc, NULL, "cannot keep acknowledgements");
    }
    for (unsigned i = 0;
         i < DEMO_ROUNDS && exit_code < 0 && demo->crash.lost == 0 && !signals_interrupted(); i++) {
        exit_code = run_round(demo, path, referee, i);
    }
    crash_referee_destroy(referee);
    demo->crash.seconds = (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
    return exit_code;
}
