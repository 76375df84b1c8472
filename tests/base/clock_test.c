/* The clocks: plausible, ordered where they promise it, and replaceable one by one. */
#include "base/clock.h"

#include "base/system.h"
#include "tests/base/support.h"

#include <time.h>

static uint64_t fixed_time(void *context)
{
    return *(const uint64_t *)context;
}

static int restore_system(void **state)
{
    (void)state;
    base_system_set(NULL);
    return 0;
}

static void realtime_is_the_time_of_day(void **state)
{
    (void)state;
    uint64_t before = (uint64_t)time(NULL);
    uint64_t now = base_clock_realtime_ns() / BASE_NS_PER_S;
    assert_in_range(now, before - 1, before + 60);
}

static void monotonic_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = base_clock_monotonic_ns();
    for (int turn = 0; turn < 10000; turn++) {
        uint64_t now = base_clock_monotonic_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void coarse_is_monotonic_a_tick_late(void **state)
{
    (void)state;
    uint64_t coarse = base_clock_coarse_ns();
    uint64_t now = base_clock_monotonic_ns();
    assert_true(coarse <= now);
    assert_true(now - coarse < BASE_NS_PER_S);
}

static void a_replaced_clock_is_the_only_one_that_changes(void **state)
{
    (void)state;
    uint64_t now = 42;
    struct base_system system = {.context = &now, .coarse = fixed_time};
    base_system_set(&system);
    assert_true(base_clock_coarse_ns() == 42);
    now = 43;
    assert_true(base_clock_coarse_ns() == 43);
    assert_true(base_clock_monotonic_ns() > 43);
    assert_true(base_clock_realtime_ns() > 43);

    system.realtime = fixed_time;
    system.monotonic = fixed_time;
    assert_true(base_clock_monotonic_ns() == 43);
    assert_true(base_clock_realtime_ns() == 43);
    base_system_set(NULL);
    assert_true(base_clock_coarse_ns() > 43);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(realtime_is_the_time_of_day),
        cmocka_unit_test(monotonic_never_goes_back),
        cmocka_unit_test(coarse_is_monotonic_a_tick_late),
        cmocka_unit_test_teardown(a_replaced_clock_is_the_only_one_that_changes, restore_system),
    };
    return RUN_TESTS(tests, argc, argv);
}
