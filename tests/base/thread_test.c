/* Threads: they run with every signal blocked, under their name, and fail cleanly. */
#include "base/thread.h"

#include "base/alloc.h"
#include "base/system.h"
#include "tests/base/support.h"

#include <errno.h>
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_runs_and_its_writes_are_seen_after_join),
        cmocka_unit_test(every_signal_is_blocked_inside_and_none_more_outside),
        cmocka_unit_test(a_name_is_shown_and_a_long_one_cut),
        cmocka_unit_test(without_memory_no_thread_is_started),
        cmocka_unit_test(a_thread_leaves_no_memory_behind),
    };
    return RUN_TESTS(tests, argc, argv);
}
