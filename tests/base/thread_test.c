/* Threads: they run with every signal blocked, under their name, and fail cleanly. */
#include "base/thread.h"

#include "base/alloc.h"
#include "base/system.h"
#include "tests/base/support.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

struct observed {
    int value;
    char name[16];
    sigset_t blocked;
};

static void observe(void *context)
{
    struct observed *observed = context;
    observed->value = 42;
    (void)pthread_getname_np(pthread_self(), observed->name, sizeof observed->name);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &observed->blocked);
}

static void start_and_join(const char *name, struct observed *observed)
{
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, name, observe, observed), 0);
    base_thread_join(&thread);
}

static void a_thread_runs_and_its_writes_are_seen_after_join(void **state)
{
    (void)state;
    struct observed observed = {0};
    start_and_join(NULL, &observed);
    assert_int_equal(observed.value, 42);
}

static void every_signal_is_blocked_inside_and_none_more_outside(void **state)
{
    (void)state;
    struct observed observed = {0};
    start_and_join(NULL, &observed);
    static const int signals[] = {SIGINT, SIGTERM, SIGALRM, SIGUSR1, SIGCHLD, SIGHUP};
    sigset_t outside;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &outside), 0);
    for (size_t index = 0; index < COUNT_OF(signals); index++) {
        assert_int_equal(sigismember(&observed.blocked, signals[index]), 1);
        assert_int_equal(sigismember(&outside, signals[index]), 0);
    }
}

static void a_name_is_shown_and_a_long_one_cut(void **state)
{
    (void)state;
    struct observed observed = {0};
    start_and_join("weir-service", &observed);
    assert_string_equal(observed.name, "weir-service");
    start_and_join("a-name-of-more-than-15-bytes", &observed);
    assert_string_equal(observed.name, "a-name-of-more-");
}

static void *no_memory(void *context, size_t alignment, size_t size)
{
    (void)context;
    (void)alignment;
    (void)size;
    return NULL;
}

static void without_memory_no_thread_is_started(void **state)
{
    (void)state;
    struct observed observed = {0};
    struct base_thread thread;
    struct base_system system = {.alloc = no_memory};
    base_system_set(&system);
    int result = base_thread_start(&thread, NULL, observe, &observed);
    base_system_set(NULL);
    assert_int_equal(result, -ENOMEM);
    assert_int_equal(observed.value, 0);
}

static void a_thread_leaves_no_memory_behind(void **state)
{
    (void)state;
    uint64_t before = base_alloc_in_use();
    struct observed observed = {0};
    start_and_join("short", &observed);
    assert_true(base_alloc_in_use() == before);
}

/* ---- beside its creator ---- */

struct place {
    cpu_set_t allowed;
    int rc;
};

static void look_around(void *context)
{
    struct place *place = context;
    place->rc = sched_getaffinity(0, sizeof place->allowed, &place->allowed);
}

static void expect_creators_cpus(void)
{
    struct base_thread thread;
    struct place inside = {.rc = -1}, here;
    look_around(&here);
    assert_int_equal(here.rc, 0);
    assert_int_equal(base_thread_start_beside(&thread, "beside", look_around, &inside), 0);
    base_thread_join(&thread);
    assert_int_equal(inside.rc, 0);
    assert_true(CPU_EQUAL(&inside.allowed, &here.allowed));
    cpu_set_t still;
    assert_int_equal(sched_getaffinity(0, sizeof still, &still), 0);
    assert_true(CPU_EQUAL(&still, &here.allowed)); /* of the creator nothing has changed */
}

static void a_thread_beside_its_creator_may_run_where_that_may(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (int turn = 0; turn < 20; turn++) {
        expect_creators_cpus();
    }
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) {
        cpu++;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    expect_creators_cpus(); /* there is no other one */
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_runs_and_its_writes_are_seen_after_join),
        cmocka_unit_test(every_signal_is_blocked_inside_and_none_more_outside),
        cmocka_unit_test(a_name_is_shown_and_a_long_one_cut),
        cmocka_unit_test(without_memory_no_thread_is_started),
        cmocka_unit_test(a_thread_leaves_no_memory_behind),
        cmocka_unit_test(a_thread_beside_its_creator_may_run_where_that_may),
    };
    return RUN_TESTS(tests, argc, argv);
}
