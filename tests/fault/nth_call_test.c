/*
 * O10 and O1: the n-th call of the system, the n-th completion of the ring and the n-th allocation
 * fails, once or from then on. Nothing leaks, every call of the log says what its header says, and
 * the log that is opened afterwards has all that was acknowledged and nothing that was not
 * appended.
 *
 * The normal run takes a slice of all n; WEIR_DEEP_ROUNDS takes them all, each with every error
 * and every reach. WEIR_SEED chooses the slice. WEIR_FAULT="at reach variant" repeats one.
 */
#include "tests/fault/inject.h"
#include "tests/fault/scenario.h"
#include "tests/wal/torture.h"

#include "base/clock.h"
#include "base/system.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct scenario scenario;
static const char *layer_now;
static unsigned reported, variants_seen;

static void report(const char *text)
{
    if (reported++ < 20) {
        print_error("%s, %s/%s: %s\n    %s\n", layer_now, scenario.medium->name,
                    scenario.medium->io, fault_text(), text);
    }
}

/* A crash or a hang names what was made to fail. */
static void die(int signal_number)
{
    (void)fprintf(stderr, "signal %d: %s, %s/%s: %s\n", signal_number, layer_now,
                  scenario.medium->name, scenario.medium->io, fault_text());
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

struct layer {
    const char *name;
    enum fault_domain domain;
    enum fault_call only;
    unsigned slices; /* a normal run takes one n of so many; 0: all, with all that can go wrong */
};

static const struct layer layers[] = {
    {"nth-call", FAULT_IN_CALLS, FAULT_any, 5},
    {"nth-lock", FAULT_IN_CALLS, FAULT_fcntl, 1},
    {"nth-completion", FAULT_IN_COMPLETIONS, FAULT_any, 0},
    {"nth-allocation", FAULT_IN_MEMORY, FAULT_any, 3},
};

struct job {
    const struct layer *layer;
    const struct scenario_medium *medium;
};

struct tally {
    unsigned injected, violations;
    uint64_t calls; /* of the life when nothing fails */
    uint64_t seed;
};

/* ---- time ---- */

/* One thread lives the life and nobody wakes it: a wait that ends takes its time, and this passes
 * at once. A lock that is refused again and again would else be waited for with nothing to do. */
static uint64_t skipped_ns;

static uint64_t tell_time(void *context)
{
    struct timespec now;
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * BASE_NS_PER_S + (uint64_t)now.tv_nsec + skipped_ns;
}

static int skip_time(void *context, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns,
                     bool shared)
{
    (void)context, (void)shared;
    if (atomic_load(word) != expected) {
        return -EAGAIN;
    }
    if (timeout_ns < 0) {
        abort(); /* for ever */
    }
    skipped_ns += (uint64_t)timeout_ns;
    return -ETIMEDOUT;
}

static const struct base_system impatient = {.monotonic = tell_time, .wait = skip_time};

/* Returns whether the life was long enough for the plan. */
static bool run_one(const struct job *job, const struct fault_plan *plan, struct tally *tally)
{
    alarm(60);
    scenario_begin(&scenario, job->medium);
    base_system_set(plan->domain == FAULT_IN_MEMORY ? &fault_memory : &impatient);
    fault_arm(plan);
    scenario_run(&scenario);
    uint64_t calls = fault_disarm();
    unsigned variants = fault_variants(), strikes = fault_strikes();
    base_system_set(NULL); /* what the kernel still has in flight is waited for */
    scenario_check(&scenario);
    tally->injected += strikes > 0;
    tally->violations += scenario.ledger.violations > 0;
    tally->calls = plan->at == 0 ? calls : tally->calls;
    scenario_end(&scenario);
    alarm(0);
    variants_seen = variants;
    return calls >= plan->at;
}

/* All that can go wrong at n. */
static bool run_all_at(const struct job *job, uint64_t at, struct tally *tally)
{
    bool reached = false;
    for (unsigned reach = 0; reach < FAULT_REACHES; reach++) {
        unsigned variant = 0;
        do {
            struct fault_plan plan = {.at = at,
                                      .domain = job->layer->domain,
                                      .reach = (enum fault_reach)reach,
                                      .variant = variant,
                                      .only = job->layer->only};
            reached = run_one(job, &plan, tally) || reached;
        } while (++variant < variants_seen);
    }
    return reached;
}

static bool run_some_at(const struct job *job, uint64_t at, struct tally *tally)
{
    uint64_t turn = at + tally->seed;
    static const enum fault_reach turns[] = {FAULT_ONCE, FAULT_SAME_CALL, FAULT_ONCE,
                                             FAULT_EVERYTHING};
    struct fault_plan plan = {.at = at,
                              .domain = job->layer->domain,
                              .reach = turns[turn % 4],
                              .variant = (unsigned)(turn * 7 / 3),
                              .only = job->layer->only};
    return run_one(job, &plan, tally);
}

static bool run_asked_for(const struct job *job, struct tally *tally)
{
    const char *asked = getenv("WEIR_FAULT");
    struct fault_plan plan = {.domain = job->layer->domain, .only = job->layer->only};
    unsigned reach = 0;
    if (asked == NULL || sscanf(asked, "%ju %u %u", &plan.at, &reach, &plan.variant) != 3) {
        return false;
    }
    plan.reach = (enum fault_reach)reach;
    (void)run_one(job, &plan, tally);
    return true;
}

static void o10_whatever_fails_the_log_is_usable_or_poisoned_and_nothing_is_lost(void **state)
{
    const struct job *job = *state;
    const char *refusal = scenario_refusal(job->medium);
    if (refusal != NULL) {
        print_message("%s/%s: %s\n", job->medium->name, job->medium->io, refusal);
        skip();
    }
    bool deep = torture_number("WEIR_DEEP_ROUNDS", 0) != 0 || job->layer->slices == 0;
    struct tally tally = {.seed = torture_number("WEIR_SEED", 1)};
    layer_now = job->layer->name;
    reported = 0;
    scenario.ledger.violated = report;
    struct fault_plan none = {.domain = job->layer->domain, .only = job->layer->only};
    (void)run_one(job, &none, &tally);
    assert_int_equal(tally.violations, 0);
    if (!run_asked_for(job, &tally)) {
        uint64_t step = deep ? 1 : job->layer->slices, at = deep ? 1 : 1 + tally.seed % step;
        while (deep ? run_all_at(job, at, &tally) : run_some_at(job, at, &tally)) {
            at += step;
        }
    }
    print_message("layer=%s medium=%s io=%s calls=%ju injected=%u violations=%u seed=%ju\n",
                  job->layer->name, job->medium->name, job->medium->io, (uintmax_t)tally.calls,
                  tally.injected, tally.violations, (uintmax_t)tally.seed);
    assert_int_equal(tally.violations, 0);
    assert_true(tally.injected > 0);
}

#define LAYERS (sizeof layers / sizeof *layers)
#define JOBS_MAX 24

int main(int argc, char **argv)
{
    static struct job jobs[JOBS_MAX];
    static char names[JOBS_MAX][120];
    struct CMUnitTest tests[JOBS_MAX];
    unsigned count = 0;
    (void)signal(SIGABRT, die);
    (void)signal(SIGALRM, die);
    (void)signal(SIGBUS, die);
    for (unsigned l = 0; l < LAYERS; l++) {
        for (unsigned m = 0; m < SCENARIO_MEDIA_COUNT; m++) {
            const struct scenario_medium *medium = &SCENARIO_MEDIA[m];
            bool rings = medium->io_kind == WEIR_IO_URING;
            if (layers[l].domain == FAULT_IN_COMPLETIONS && !rings) {
                continue;
            }
            jobs[count] = (struct job){&layers[l], medium};
            (void)snprintf(names[count], sizeof names[count], "o10_%s_on_%s_%s", layers[l].name,
                           medium->name, medium->io);
            tests[count] = (struct CMUnitTest){
                names[count], o10_whatever_fails_the_log_is_usable_or_poisoned_and_nothing_is_lost,
                NULL, NULL, &jobs[count]};
            count++;
        }
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return _cmocka_run_group_tests("fault", tests, count, NULL, NULL);
}
