/*
 * O10 and O1 with several threads: while writers, tailers and truncation are at work, some call of
 * the system or some allocation fails, once or from then on. The referee of the torture tests knows
 * what was promised; what is opened afterwards has all of it, and nothing has leaked.
 *
 * A read-only handle of the same process reads along: its calls fail as well.
 *
 * WEIR_DEEP_ROUNDS sets the number of rounds of each medium, WEIR_SEED the first seed.
 */
#include "tests/fault/inject.h"
#include "tests/fault/scenario.h"
#include "tests/wal/torture.h"

#include "base/system.h"
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_OF_A_LOG 20u

static struct scenario scenario; /* its medium, its directory, its options */
static uint64_t seed_now;

static void die(int signal_number)
{
    (void)fprintf(stderr, "signal %d: %s/%s, seed %ju: %s\n", signal_number, scenario.medium->name,
                  scenario.medium->io, (uintmax_t)seed_now, fault_text());
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static void report(const char *text)
{
    print_error("%s/%s, seed %ju, %s: %s\n", scenario.medium->name, scenario.medium->io,
                (uintmax_t)seed_now, fault_text(), text);
}

/* ---- a reader beside the writers ---- */

struct reader {
    struct base_thread thread;
    struct referee *referee;
    _Atomic uint32_t stop;
};

static void read_some(struct reader *self, struct weir_log *log)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor = NULL;
    struct weir_record record;
    options.with_void = true;
    if (weir_cursor_open(log, &options, &cursor) < 0) {
        return;
    }
    weir_lsn next = weir_cursor_position(cursor);
    while (atomic_load(&self->stop) == 0) {
        int rc = weir_cursor_next(cursor, &record);
        if (rc == 1 && (record.lsn != next || torture_id(&record) == 0)) {
            referee_fail(self->referee, "a reader got %ju, not %ju, id %x", (uintmax_t)record.lsn,
                         (uintmax_t)next, torture_id(&record));
        }
        next += rc == 1;
        if (rc < 0 || (rc == 0 && weir_cursor_wait(cursor, 1000000) < 0)) {
            break; /* overtaken, or its own calls fail */
        }
    }
    weir_cursor_close(cursor);
}

static void read_along(void *context)
{
    struct reader *self = context;
    do {
        struct weir_log_options options = scenario_options(&scenario, WEIR_LOG_READ_ONLY);
        struct weir_error why = WEIR_ERROR_INIT;
        struct weir_log *log = NULL;
        if (weir_log_open(scenario.directory, &options, &log, &why) == 0) {
            weir_hold_set(log, "reader", weir_durable_lsn(log) + 1);
            read_some(self, log);
            weir_hold_drop(log, "reader");
            if (weir_log_close(log) < 0) {
                referee_fail(self->referee, "a reader cannot be closed");
            }
        }
    } while (atomic_load(&self->stop) == 0);
}

/* ---- a round ---- */

static struct weir_log *open_log_for(struct referee *referee, bool may_fail)
{
    struct weir_log_options options = scenario_options(&scenario, WEIR_LOG_CREATE);
    options.lock_wait_ns = may_fail ? WEIR_NO_WAIT : INT64_C(5000000000);
    options.flags |= seed_now % 3 == 0 ? WEIR_LOG_SERVICE_THREAD : 0;
    options.witness = seed_now % 6 == 0 ? WEIR_WITNESS_IDLE : (enum weir_witness)(seed_now % 2 * 2);
    options.idle_ns = 300000;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    int rc = weir_log_open(scenario.directory, &options, &log, &why);
    if (rc < 0 && !may_fail) {
        referee_fail(referee, "the next writer is refused: %s", why.text);
    }
    return rc < 0 ? NULL : log;
}

/* Whether anything struck. */
static bool live(struct referee *referee, struct base_prng *prng)
{
    struct fault_plan plan = {
        .at = 1 + base_prng_below(prng, 1000),
        .domain = base_prng_below(prng, 3) == 0 ? FAULT_IN_MEMORY : FAULT_IN_CALLS,
        .reach = (enum fault_reach)base_prng_below(prng, FAULT_REACHES),
        .variant = (unsigned)base_prng_below(prng, 1000),
    };
    plan.at = plan.domain == FAULT_IN_MEMORY ? 1 + plan.at % 200 : plan.at;
    struct reader reader = {.referee = referee};
    fault_arm(&plan);
    struct weir_log *log = open_log_for(referee, true);
    if (log != NULL) {
        bool reads = base_thread_start(&reader.thread, "reader", read_along, &reader) == 0;
        struct torture torture = {
            .referee = referee,
            .log = log,
            .seed = base_prng_next(prng),
            .threads = 3,
            .tailers = 1,
            .ops = 300,
            .payload_max = 9000,
            .truncates = true,
            .faults = true,
            .goes_on = true,
        };
        torture_run(&torture);
        atomic_store(&reader.stop, 1);
        if (reads) {
            base_thread_join(&reader.thread);
        }
        (void)weir_log_close(log);
    }
    (void)fault_disarm();
    return fault_strikes() > 0;
}

static void check(struct referee *referee, const struct scenario_resources *before)
{
    struct scenario_resources now = scenario_resources(scenario.directory);
    if (memcmp(&now, before, sizeof now) != 0) {
        referee_fail(referee, "leaked: %jd blocks, %jd bytes of pages, %d files, %d mappings",
                     (intmax_t)(now.blocks - before->blocks), (intmax_t)(now.pages - before->pages),
                     (int)(now.descriptors - before->descriptors),
                     (int)(now.mappings - before->mappings));
    }
    struct weir_log *log = open_log_for(referee, false);
    if (log != NULL) {
        struct referee_facts facts = referee_facts(referee);
        weir_lsn latest = referee_judge(referee, log, &facts);
        referee_next_round(referee, log, latest);
        (void)weir_hold_drop(log, "reader"); /* the reader may not have been able to */
        if (weir_log_close(log) < 0) {
            referee_fail(referee, "it cannot be closed");
        }
    }
}

struct tally {
    unsigned rounds, injected, violations;
};

static void torture_log(const struct scenario_medium *medium, uint64_t first, unsigned rounds,
                        struct tally *tally)
{
    struct referee *referee = referee_new();
    struct base_prng prng;
    scenario_begin(&scenario, medium);
    for (unsigned i = 0; i < rounds; i++) {
        seed_now = first + i;
        base_prng_seed(&prng, seed_now);
        alarm(60);
        tally->injected += live(referee, &prng);
        check(referee, &scenario.before);
        tally->rounds++;
        if (atomic_load(&referee->failures) > 0) {
            report(referee->failure);
            tally->violations++;
            break;
        }
    }
    alarm(0);
    scenario_end(&scenario);
    referee_free(referee);
}

static void o10_threads_meet_a_failing_call_and_nothing_is_lost(void **state)
{
    const struct scenario_medium *medium = *state;
    const char *refusal = scenario_refusal(medium);
    if (refusal != NULL) {
        print_message("%s/%s: %s\n", medium->name, medium->io, refusal);
        skip();
    }
    uint64_t seed = torture_number("WEIR_SEED", 1);
    uint64_t rounds = torture_number("WEIR_DEEP_ROUNDS", ROUNDS_OF_A_LOG);
    struct tally tally = {0};
    base_system_set(&fault_memory);
    for (uint64_t at = seed; tally.rounds < rounds && tally.violations == 0; at += 1000) {
        uint64_t left = rounds - tally.rounds;
        torture_log(medium, at, left < ROUNDS_OF_A_LOG ? (unsigned)left : ROUNDS_OF_A_LOG, &tally);
    }
    base_system_set(NULL);
    print_message("layer=nth-threads medium=%s io=%s rounds=%u injected=%u violations=%u "
                  "seed=%ju\n",
                  medium->name, medium->io, tally.rounds, tally.injected, tally.violations,
                  (uintmax_t)seed);
    assert_int_equal(tally.violations, 0);
}

int main(int argc, char **argv)
{
    static char names[8][100];
    struct CMUnitTest tests[8];
    (void)signal(SIGABRT, die);
    (void)signal(SIGALRM, die);
    for (unsigned i = 0; i < SCENARIO_MEDIA_COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "o10_threads_on_%s_%s", SCENARIO_MEDIA[i].name,
                       SCENARIO_MEDIA[i].io);
        tests[i] =
            (struct CMUnitTest){names[i], o10_threads_meet_a_failing_call_and_nothing_is_lost, NULL,
                                NULL, (void *)(uintptr_t)&SCENARIO_MEDIA[i]};
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return _cmocka_run_group_tests("fault", tests, SCENARIO_MEDIA_COUNT, NULL, NULL);
}
