/* The scheduler as an instrument: equal seeds give equal runs, unequal ones reach other
 * interleavings, time is made up, and a hang is found. */
#include "sim/scheduler.h"

#include "base/clock.h"
#include "base/sync.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 3u
#define TURNS 4u

/* Who came when. */
struct race {
    struct base_lock lock;
    unsigned order[THREADS * TURNS];
    unsigned count;
    _Atomic uint32_t word;
    unsigned lost; /* of an update that is not atomic */
};

struct runner {
    struct race *race;
    unsigned number;
    struct base_thread thread;
};

static void run_turns(void *context)
{
    struct runner *runner = context;
    struct race *race = runner->race;
    for (unsigned i = 0; i < TURNS; i++) {
        base_yield();
        unsigned before = race->lost;
        base_yield();
        race->lost = before + 1;
        base_lock_acquire(&race->lock);
        base_yield(); /* with the lock: others have to wait for it */
        race->order[race->count++] = runner->number;
        base_lock_release(&race->lock);
    }
}

static void race(void *context)
{
    struct race *race = context;
    struct runner runners[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        runners[i] = (struct runner){.race = race, .number = i};
        assert_int_equal(base_thread_start(&runners[i].thread, "runner", run_turns, &runners[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        base_thread_join(&runners[i].thread);
    }
}

static void equal_seeds_give_equal_runs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct race first = {0}, second = {0};
        struct sim_schedule one = {.seed = seed}, two = {.seed = seed};
        sim_scheduler_run(&one, race, &first);
        sim_scheduler_run(&two, race, &second);
        assert_int_equal(first.count, THREADS * TURNS);
        assert_memory_equal(first.order, second.order, sizeof first.order);
        assert_int_equal(one.trace, two.trace);
        assert_int_equal(one.steps, two.steps);
        assert_int_equal(one.elapsed_ns, two.elapsed_ns);
    }
}

static void seeds_reach_interleavings_that_lose_updates_and_others(void **state)
{
    (void)state;
    unsigned lossless = 0, different = 0;
    uint64_t trace = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct race found = {0};
        struct sim_schedule schedule = {.seed = seed, .stay = 15};
        sim_scheduler_run(&schedule, race, &found);
        lossless += found.lost == THREADS * TURNS ? 1 : 0;
        different += schedule.trace != trace ? 1 : 0;
        trace = schedule.trace;
    }
    assert_true(different > 190);
    assert_true(lossless < 100); /* what a yield between load and store must show */
}

static void sleep_on(void *context)
{
    struct race *race = context;
    while (base_wait(&race->word, 0, -1, false) == 0 && atomic_load(&race->word) == 0) {
    }
    race->count++;
}

static void wait_and_wake(void *context)
{
    struct race *race = context;
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, "sleeper", sleep_on, race), 0);
    uint64_t before = base_clock_monotonic_ns();
    _Atomic uint32_t mine = 7;
    assert_int_equal(base_wait(&mine, 6, 1000000000, false), 0); /* differs already */
    assert_int_equal(base_wait(&mine, 7, 0, false), -ETIMEDOUT);
    int rc;
    do { /* may be woken for no reason */
        rc = base_wait(&mine, 7, INT64_C(3600000000000), false);
    } while (rc == 0);
    assert_int_equal(rc, -ETIMEDOUT);
    assert_true(base_clock_monotonic_ns() - before >= UINT64_C(3600000000000));
    atomic_store(&race->word, 1);
    base_wake(&race->word, INT_MAX, false);
    base_thread_join(&thread);
}

static void an_hour_passes_when_all_wait(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct race waited = {0};
        struct sim_schedule schedule = {.seed = seed};
        sim_scheduler_run(&schedule, wait_and_wake, &waited);
        assert_int_equal(waited.count, 1);
        assert_true(schedule.elapsed_ns >= UINT64_C(3600000000000));
    }
}

static void wait_for_ever(void *context)
{
    struct race *race = context;
    for (;;) {
        (void)base_wait(&race->word, 0, -1, false);
    }
}

static void a_hang_aborts_and_names_its_seed(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct race alone = {0};
        struct sim_schedule schedule = {.seed = 4711, .steps_max = 100000};
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        sim_scheduler_run(&schedule, wait_for_ever, &alone);
        _exit(0);
    }
    close(ends[1]);
    char text[400] = {0};
    ssize_t got = read(ends[0], text, sizeof text - 1);
    assert_true(got > 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "seed 4711"));
    close(ends[0]);
}

static void two_threads_of_a_run_have_bits_of_their_own(void **state)
{
    (void)state;
    uint64_t bit = sim_thread_bit();
    assert_true(bit != 0 && (bit & (bit - 1)) == 0);
    assert_int_equal(sim_thread_bit(), bit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_runs),
        cmocka_unit_test(seeds_reach_interleavings_that_lose_updates_and_others),
        cmocka_unit_test(an_hour_passes_when_all_wait),
        cmocka_unit_test(a_hang_aborts_and_names_its_seed),
        cmocka_unit_test(two_threads_of_a_run_have_bits_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
