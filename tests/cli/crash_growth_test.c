/*
 * How `weir crash` tells growth from chance: rounds whose numbers are planted.
 */
#include "cli/crash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ROUNDS 6u
#define GIB ((uint64_t)1 << 30)

static double seconds_of(const struct crash_round *round, const void *unused)
{
    (void)unused;
    return round->report.total_s;
}

/* One GiB more each round. @param seconds  of each round */
static struct crash_growth growth_of(const double *seconds, unsigned rounds)
{
    static struct crash_round planted[ROUNDS];
    static struct crash crash;
    for (unsigned i = 0; i < rounds; i++) {
        planted[i] = (struct crash_round){.log_bytes = (i + 1) * GIB};
        planted[i].report.total_s = seconds[i];
    }
    crash.rounds = planted;
    crash.complete = rounds;
    return crash_growth(&crash, seconds_of, NULL);
}

static void what_grows_by_the_same_each_round_is_told(void **state)
{
    (void)state;
    static const double seconds[ROUNDS] = {0.11, 0.19, 0.31, 0.39, 0.51, 0.59};
    struct crash_growth growth = growth_of(seconds, ROUNDS);
    assert_true(fabs(growth.per_gib - 0.1) < 0.01);
    assert_true(growth.error < 0.01);
    assert_true(crash_growth_is_told(&growth));
}

static void what_chance_makes_of_the_rounds_is_no_growth(void **state)
{
    (void)state;
    static const double seconds[ROUNDS] = {0.30, 0.10, 0.25, 0.32, 0.09, 0.28};
    struct crash_growth growth = growth_of(seconds, ROUNDS);
    assert_true(growth.error > fabs(growth.per_gib));
    assert_false(crash_growth_is_told(&growth));
}

static void two_rounds_and_logs_that_do_not_grow_tell_nothing(void **state)
{
    (void)state;
    static const double seconds[ROUNDS] = {0.1, 0.2};
    struct crash_growth growth = growth_of(seconds, 2);
    assert_true(isnan(growth.error));
    assert_false(crash_growth_is_told(&growth));
    growth = growth_of(seconds, 1);
    assert_true(isnan(growth.per_gib));
    assert_false(crash_growth_is_told(&growth));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_grows_by_the_same_each_round_is_told),
        cmocka_unit_test(what_chance_makes_of_the_rounds_is_no_growth),
        cmocka_unit_test(two_rounds_and_logs_that_do_not_grow_tell_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
