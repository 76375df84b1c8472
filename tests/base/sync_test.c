/*
 * Waiting and locking. Threads only count; the test's own thread asserts. Nothing sleeps to wait: a
 * thread that must be seen asleep is found by its state in /proc.
 */
#include "base/sync.h"

#include "base/clock.h"
#include "base/system.h"
#include "base/thread.h"
#include "tests/base/support.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define THREADS 4
#define ROUNDS 50000

struct counter {
    struct base_lock lock;
    uint64_t value; /* plain: the lock is what makes it right */
};

static void count_up(void *context)
{
    struct counter *counter = context;
    for (int round = 0; round < ROUNDS; round++) {
        base_lock_acquire(&counter->lock);
        counter->value++;
        if (round % 64 == 0) {
            base_yield(); /* lose the CPU with the lock held: the others must sleep */
        }
        base_lock_release(&counter->lock);
    }
}

struct sleeper {
    _Atomic uint32_t word;
    _Atomic int thread_id;
    _Atomic int result;
    bool shared;
};

struct set_sleeper {
    _Atomic uint32_t *word;
    uint32_t sets;
    _Atomic int thread_id;
    _Atomic int awake;
    struct base_thread thread;
};

static void sleep_until_word_moves(void *context)
{
    struct sleeper *sleeper = context;
    atomic_store(&sleeper->thread_id, (int)syscall(SYS_gettid));
    int result = 0;
    while (atomic_load(&sleeper->word) == 0 && result == 0) {
        result = base_wait(&sleeper->word, 0, -1, sleeper->shared);
    }
    atomic_store(&sleeper->result, result == 0 ? 1 : result);
}

/* Each wakes once. */
static void sleep_in_a_set(void *context)
{
    struct set_sleeper *sleeper = context;
    atomic_store(&sleeper->thread_id, (int)syscall(SYS_gettid));
    (void)base_wait_in_set(sleeper->word, 0, -1, sleeper->sets);
    atomic_store(&sleeper->awake, 1);
}

/* Does the kernel show a thread of this process asleep? One that has ended is not. */
static bool is_asleep(int id)
{
    char path[64], letter = 'R';
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
    FILE *stat = fopen(path, "r");
    if (stat != NULL) {
        (void)fscanf(stat, "%*d (%*[^)]) %c", &letter);
        (void)fclose(stat);
    }
    return letter == 'S';
}

static void await_sleep(_Atomic int *thread_id)
{
    int id;
    while ((id = atomic_load(thread_id)) == 0 || !is_asleep(id)) {
        base_yield();
    }
}

static void four_threads_count_without_losing_one(void **state)
{
    (void)state;
    struct counter counter = {.value = 0};
    struct base_thread threads[THREADS];
    for (int index = 0; index < THREADS; index++) {
        assert_int_equal(base_thread_start(&threads[index], "count", count_up, &counter), 0);
    }
    for (int index = 0; index < THREADS; index++) {
        base_thread_join(&threads[index]);
    }
    assert_true(counter.value == THREADS * ROUNDS);
    assert_false(base_lock_is_held(&counter.lock));
}

static void a_held_lock_cannot_be_tried_and_a_free_one_can(void **state)
{
    (void)state;
    struct base_lock lock = {0};
    assert_int_equal(sizeof lock, 4);
    assert_true(base_lock_try(&lock));
    assert_true(base_lock_is_held(&lock));
    assert_false(base_lock_try(&lock));
    base_lock_release(&lock);
    assert_false(base_lock_is_held(&lock));
    base_lock_acquire(&lock);
    assert_false(base_lock_try(&lock));
    base_lock_release(&lock);
}

static void take_once(void *context)
{
    struct counter *counter = context;
    base_lock_acquire(&counter->lock);
    counter->value++;
    base_lock_release(&counter->lock);
}

static void a_sleeper_gets_the_lock_that_is_released(void **state)
{
    (void)state;
    struct counter counter = {.value = 0};
    base_lock_acquire(&counter.lock);
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, "take", take_once, &counter), 0);
    while (atomic_load(&counter.lock.state) != BASE_LOCK_CONTENDED) {
        base_yield();
    }
    base_lock_release(&counter.lock);
    base_thread_join(&thread);
    assert_true(counter.value == 1);
}

static void releasing_a_free_lock_is_a_broken_invariant_body(void)
{
    struct base_lock lock = {0};
    base_lock_release(&lock);
}

static jmp_buf escape;

static void leave(const char *file, int line, const char *condition)
{
    (void)file;
    (void)line;
    (void)condition;
    longjmp(escape, 1);
}

static void releasing_a_free_lock_is_a_broken_invariant(void **state)
{
    (void)state;
    base_assert_handler_set(leave);
    bool caught = setjmp(escape) != 0;
    if (!caught) {
        releasing_a_free_lock_is_a_broken_invariant_body();
    }
    base_assert_handler_set(NULL);
    assert_true(caught);
}

static void a_word_that_differs_is_not_waited_for(void **state)
{
    (void)state;
    _Atomic uint32_t word = 7;
    assert_int_equal(base_wait(&word, 8, -1, false), 0);
    assert_int_equal(base_wait(&word, 8, -1, true), 0);
}

static void a_wait_times_out_not_before_its_time(void **state)
{
    (void)state;
    static const int64_t timeouts_ns[] = {0, 1, 1000000, 20000000};
    for (size_t index = 0; index < COUNT_OF(timeouts_ns); index++) {
        _Atomic uint32_t word = 0;
        uint64_t start = base_clock_monotonic_ns();
        int result;
        do {
            result = base_wait(&word, 0, timeouts_ns[index], index % 2 == 0);
        } while (result == 0); /* a signal or no reason at all */
        assert_int_equal(result, -ETIMEDOUT);
        assert_true(base_clock_monotonic_ns() - start >= (uint64_t)timeouts_ns[index]);
    }
}

static void expect_woken(struct sleeper *sleeper, int threads_count)
{
    struct base_thread threads[THREADS];
    for (int index = 0; index < threads_count; index++) {
        atomic_store(&sleeper->thread_id, 0);
        assert_int_equal(base_thread_start(&threads[index], NULL, sleep_until_word_moves, sleeper),
                         0);
        await_sleep(&sleeper->thread_id);
    }
    assert_int_equal(atomic_load(&sleeper->result), 0);
    atomic_store(&sleeper->word, 1);
    base_wake(&sleeper->word, threads_count == 1 ? 1 : INT_MAX, sleeper->shared);
    for (int index = 0; index < threads_count; index++) {
        base_thread_join(&threads[index]);
    }
    assert_int_equal(atomic_load(&sleeper->result), 1);
}

static void a_wake_ends_the_wait_of_one_thread(void **state)
{
    (void)state;
    struct sleeper sleeper = {.shared = false};
    expect_woken(&sleeper, 1);
}

static void a_wake_of_all_ends_every_wait(void **state)
{
    (void)state;
    struct sleeper sleeper = {.shared = false};
    expect_woken(&sleeper, THREADS);
}

static void a_wake_of_sets_ends_the_waits_of_those_in_them(void **state)
{
    (void)state;
    _Atomic uint32_t word = 0;
    struct set_sleeper sleepers[] = {{.sets = 1}, {.sets = 2}, {.sets = 4}, {.sets = 2}};
    for (size_t index = 0; index < COUNT_OF(sleepers); index++) {
        sleepers[index].word = &word;
        assert_int_equal(
            base_thread_start(&sleepers[index].thread, NULL, sleep_in_a_set, &sleepers[index]), 0);
        await_sleep(&sleepers[index].thread_id);
    }
    base_wake_sets(&word, 2 | 4);
    for (size_t index = 1; index < COUNT_OF(sleepers); index++) {
        base_thread_join(&sleepers[index].thread);
    }
    assert_int_equal(atomic_load(&sleepers[0].awake), 0);
    base_wake_sets(&word, UINT32_MAX);
    base_thread_join(&sleepers[0].thread);
    assert_int_equal(atomic_load(&sleepers[0].awake), 1);
}

static void note_signal(int number)
{
    (void)number;
}

static void *sleep_as_caller(void *context)
{
    sleep_in_a_set(context);
    return NULL;
}

/* In a thread of a caller: those that the library starts take none. Who waits looks again then. */
static void a_signal_ends_a_wait(void **state)
{
    (void)state;
    _Atomic uint32_t word = 0;
    struct set_sleeper sleeper = {.word = &word, .sets = 1};
    struct sigaction before, action = {.sa_handler = note_signal}; /* no SA_RESTART */
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(pthread_create(&sleeper.thread.handle, NULL, sleep_as_caller, &sleeper), 0);
    while (atomic_load(&sleeper.awake) == 0) { /* it may sleep elsewhere, on its way there */
        int id = atomic_load(&sleeper.thread_id);
        if (id != 0 && is_asleep(id)) {
            assert_int_equal(pthread_kill(sleeper.thread.handle, SIGUSR1), 0);
        }
        base_yield();
    }
    base_thread_join(&sleeper.thread);
    assert_int_equal(atomic_load(&sleeper.awake), 1);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void a_wait_in_a_set_ends_at_its_time_and_when_the_word_differs(void **state)
{
    (void)state;
    static const int64_t timeouts_ns[] = {0, 1, 1000000, 20000000};
    _Atomic uint32_t word = 7;
    assert_int_equal(base_wait_in_set(&word, 8, -1, 1), 0);
    assert_int_equal(base_wait_in_set(&word, 8, INT64_MAX, 1), 0);
    for (size_t index = 0; index < COUNT_OF(timeouts_ns); index++) {
        uint64_t start = base_clock_monotonic_ns();
        int result;
        do {
            result = base_wait_in_set(&word, 7, timeouts_ns[index], 1);
        } while (result == 0); /* a signal or no reason at all */
        assert_int_equal(result, -ETIMEDOUT);
        assert_true(base_clock_monotonic_ns() - start >= (uint64_t)timeouts_ns[index]);
    }
}

static void a_shared_wake_crosses_processes(void **state)
{
    (void)state;
    struct sleeper *sleeper =
        mmap(NULL, sizeof *sleeper, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(sleeper, MAP_FAILED);
    sleeper->shared = true;
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        atomic_store(&sleeper->word, 1);
        base_wake(&sleeper->word, INT_MAX, true);
        _exit(0);
    }
    while (atomic_load(&sleeper->word) == 0) {
        (void)base_wait(&sleeper->word, 0, -1, true);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(munmap(sleeper, sizeof *sleeper), 0);
}

struct recorded {
    struct base_lock *lock;
    int waits;
    int wakes;
    int yields;
    int64_t timeout_ns;
};

static int record_wait(void *context, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns,
                       bool shared)
{
    struct recorded *recorded = context;
    (void)expected;
    (void)shared;
    recorded->waits++;
    recorded->timeout_ns = timeout_ns;
    if (recorded->lock != NULL && word == &recorded->lock->state) {
        base_lock_release(recorded->lock); /* the simulated holder runs now */
        return 0;
    }
    return -ETIMEDOUT;
}

static void record_wake(void *context, _Atomic uint32_t *word, int count, bool shared)
{
    struct recorded *recorded = context;
    (void)word;
    (void)count;
    (void)shared;
    recorded->wakes++;
}

static void record_yield(void *context)
{
    struct recorded *recorded = context;
    recorded->yields++;
}

static int restore_system(void **state)
{
    (void)state;
    base_system_set(NULL);
    return 0;
}

static void a_scheduler_owns_every_wait_wake_and_yield(void **state)
{
    (void)state;
    struct recorded recorded = {.waits = 0};
    struct base_system system = {
        .context = &recorded, .wait = record_wait, .wake = record_wake, .yield = record_yield};
    base_system_set(&system);
    _Atomic uint32_t word = 0;
    assert_int_equal(base_wait(&word, 0, 5, false), -ETIMEDOUT);
    base_wake(&word, 1, false);
    base_yield();
    assert_int_equal(recorded.waits, 1);
    assert_int_equal(recorded.wakes, 1);
    assert_int_equal(recorded.yields, 1);
    assert_true(recorded.timeout_ns == 5);
    assert_int_equal(base_wait_in_set(&word, 0, 6, 1), -ETIMEDOUT);
    base_wake_sets(&word, 1);
    assert_int_equal(recorded.waits, 2);
    assert_int_equal(recorded.wakes, 2);
    assert_true(recorded.timeout_ns == 6);
}

static void a_contended_lock_hands_over_through_the_scheduler(void **state)
{
    (void)state;
    struct base_lock lock = {0};
    struct recorded recorded = {.lock = &lock};
    struct base_system system = {.context = &recorded, .wait = record_wait, .wake = record_wake};
    base_lock_acquire(&lock);
    base_system_set(&system);
    base_lock_acquire(&lock); /* "sleeps" once; the holder released it meanwhile */
    assert_int_equal(recorded.waits, 1);
    assert_int_equal(recorded.wakes, 1);
    assert_true(base_lock_is_held(&lock));
    base_lock_release(&lock);
}

static void there_is_at_least_one_cpu(void **state)
{
    (void)state;
    assert_in_range(base_cpu_count(), 1, 1 << 20);
    base_cpu_relax();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_threads_count_without_losing_one),
        cmocka_unit_test(a_held_lock_cannot_be_tried_and_a_free_one_can),
        cmocka_unit_test(a_sleeper_gets_the_lock_that_is_released),
        cmocka_unit_test(releasing_a_free_lock_is_a_broken_invariant),
        cmocka_unit_test(a_word_that_differs_is_not_waited_for),
        cmocka_unit_test(a_wait_times_out_not_before_its_time),
        cmocka_unit_test(a_wake_ends_the_wait_of_one_thread),
        cmocka_unit_test(a_wake_of_all_ends_every_wait),
        cmocka_unit_test(a_wake_of_sets_ends_the_waits_of_those_in_them),
        cmocka_unit_test(a_signal_ends_a_wait),
        cmocka_unit_test(a_wait_in_a_set_ends_at_its_time_and_when_the_word_differs),
        cmocka_unit_test(a_shared_wake_crosses_processes),
        cmocka_unit_test_teardown(a_scheduler_owns_every_wait_wake_and_yield, restore_system),
        cmocka_unit_test_teardown(a_contended_lock_hands_over_through_the_scheduler,
                                  restore_system),
        cmocka_unit_test(there_is_at_least_one_cpu),
    };
    return RUN_TESTS(tests, argc, argv);
}
