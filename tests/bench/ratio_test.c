/* Ratios of a contest, worked out by hand; and the time that a host has stolen. */
#include "support.h"

#include "base/clock.h"
#include "bench/kv/plan.h"
#include "bench/stolen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct kv_plan plan = {.store_count = 2};

static void begin(struct kv_contest *contest, enum kv_action action, unsigned rounds)
{
    assert_int_equal(kv_contest_create(contest, "test", &plan), 0);
    contest->cases[0].action = contest->cases[1].action = action;
    contest->case_count = 2;
    contest->done = rounds;
}

static void set(struct kv_contest *contest, unsigned round, unsigned index, unsigned store,
                double per_s, double stolen)
{
    struct kv_outcome *outcome = kv_contest_at(contest, round, index, store);
    *outcome = (struct kv_outcome){.measured = true,
                                   .per_s = per_s,
                                   .first_get_s = 1.0 / per_s,
                                   .cpu_ns = 2.0 / per_s,
                                   .stolen = stolen};
}

static bool is_about(double value, double expected)
{
    return fabs(value - expected) < 1e-9;
}

static const struct kv_beside BESIDE_PEER = {.index = 0, .store = 0, .other_store = 1};

static void a_ratio_is_the_median_of_those_within_a_round(void **state)
{
    (void)state;
    struct kv_contest contest;
    begin(&contest, KV_PUT, 3);
    /* 2, 3 and 5; the medians of both sides would give 6 : 1. */
    set(&contest, 0, 0, 0, 2.0, 0.0), set(&contest, 0, 0, 1, 1.0, 0.0);
    set(&contest, 1, 0, 0, 6.0, 0.0), set(&contest, 1, 0, 1, 2.0, 0.0);
    set(&contest, 2, 0, 0, 5.0, 0.0), set(&contest, 2, 0, 1, 1.0, 0.0);
    struct kv_ratio ratio = kv_ratio(&contest, &BESIDE_PEER);
    assert_true(is_about(ratio.all, 3.0) && is_about(ratio.undisturbed, 3.0));
    assert_true(is_about(ratio.by_cpu, 3.0));
    assert_true(ratio.rounds == 3 && ratio.undisturbed_rounds == 3);
    kv_contest_destroy(&contest);
}

static void rounds_that_the_host_disturbed_are_told_apart(void **state)
{
    (void)state;
    struct kv_contest contest;
    begin(&contest, KV_PUT, 4);
    set(&contest, 0, 0, 0, 2.0, 0.01), set(&contest, 0, 0, 1, 1.0, 0.0);
    set(&contest, 1, 0, 0, 1.0, 0.10), set(&contest, 1, 0, 1, 1.0, 0.0); /* from one */
    set(&contest, 2, 0, 0, 9.0, 0.00), set(&contest, 2, 0, 1, 1.0, 0.1); /* from the other */
    set(&contest, 3, 0, 0, 1.0, 0.20), set(&contest, 3, 0, 1, 1.0, (double)NAN);
    struct kv_ratio ratio = kv_ratio(&contest, &BESIDE_PEER);
    assert_true(ratio.rounds == 4 && ratio.undisturbed_rounds == 1);
    assert_true(is_about(ratio.undisturbed, 2.0) && is_about(ratio.all, 2.0));
    set(&contest, 0, 0, 0, 2.0, (double)NAN); /* unknown is not undisturbed */
    ratio = kv_ratio(&contest, &BESIDE_PEER);
    assert_true(ratio.rounds == 4 && ratio.undisturbed_rounds == 0 && isnan(ratio.undisturbed));
    kv_contest_destroy(&contest);
}

static void what_was_not_measured_counts_for_nothing(void **state)
{
    (void)state;
    struct kv_contest contest;
    begin(&contest, KV_PUT, 2);
    set(&contest, 0, 0, 0, 2.0, 0.0);
    set(&contest, 1, 0, 0, 8.0, 0.0), set(&contest, 1, 0, 1, 2.0, 0.0);
    struct kv_ratio ratio = kv_ratio(&contest, &BESIDE_PEER);
    assert_true(ratio.rounds == 1 && is_about(ratio.all, 4.0));
    kv_contest_at(&contest, 1, 0, 1)->measured = false;
    ratio = kv_ratio(&contest, &BESIDE_PEER);
    assert_true(ratio.rounds == 0 && isnan(ratio.all) && isnan(ratio.by_cpu));
    kv_contest_destroy(&contest);
}

static void an_open_is_beside_another_by_its_first_get(void **state)
{
    (void)state;
    struct kv_contest contest;
    begin(&contest, KV_OPEN, 1);
    set(&contest, 0, 0, 0, 1.0, 0.0); /* one thread */
    set(&contest, 0, 1, 0, 1.0, 0.0); /* two */
    kv_contest_at(&contest, 0, 1, 0)->first_get_s = 0.5;
    const struct kv_beside which = {.index = 1, .store = 0, .other_index = 0, .other_store = 0};
    assert_true(is_about(kv_ratio(&contest, &which).all, 2.0));
    kv_contest_destroy(&contest);
}

/* Each row counts its own rounds, but for one that is beside one thread's. */
static void a_row_says_how_many_of_its_own_rounds_were_undisturbed(void **state)
{
    (void)state;
    static const struct kv_ops ops = {.name = "weir", .title = "Weir", .settings = ""};
    struct kv_contest contest;
    char *text = NULL;
    size_t size = 0;
    plan = (struct kv_plan){.directory = ".",
                            .store_count = 1,
                            .stores = {&ops},
                            .durability = WEIR_EACH,
                            .json = true};
    begin(&contest, KV_OPEN, 2);
    contest.cases[1].beside_one = true;
    contest.cases[2] = contest.cases[0];
    contest.case_count = 3;
    for (unsigned round = 0; round < 2; round++) {
        set(&contest, round, 0, 0, 1.0, round == 0 ? 0.5 : 0.0);
        set(&contest, round, 1, 0, 1.0, 0.0);
        set(&contest, round, 2, 0, 1.0, 0.0);
    }
    FILE *terminal = stdout;
    stdout = open_memstream(&text, &size);
    int code = stdout != NULL ? kv_report(&contest) : -1;
    assert_int_equal(fclose(stdout), 0);
    stdout = terminal;
    assert_int_equal(code, 0);
    json_t *object = parse_line(text);
    static const double expected[] = {1.0, 1.0, 2.0};
    for (size_t row = 0; row < 3; row++) {
        const json_t *shown = json_array_get(json_object_get(object, "rows"), row);
        assert_true(is_about(number_of(shown, "undisturbed_rounds"), expected[row]));
        assert_int_equal(json_object_get(shown, "beside_one_thread") != NULL, row == 1);
    }
    json_decref(object);
    free(text);
    kv_contest_destroy(&contest);
}

static void time_that_is_stolen_is_a_share_of_what_was_wanted(void **state)
{
    (void)state;
    struct bench_stolen before, after;
    bench_stolen_begin_run();
    bench_stolen_begin(&before);
    if (!before.known) {
        assert_true(isnan(bench_stolen_share(&before)));
        skip(); /* no /proc here */
    }
    uint64_t start_ns = base_clock_monotonic_ns();
    do { /* some ticks of work, however busy the machine is */
        bench_stolen_begin(&after);
    } while (after.busy - before.busy < 5 &&
             base_clock_monotonic_ns() - start_ns < 60 * (uint64_t)BASE_NS_PER_S);
    assert_true(after.known && after.busy - before.busy >= 5);
    double share = bench_stolen_share(&before), of_run = bench_stolen_share_of_run();
    assert_true(share >= 0.0 && share < 1.0 && of_run >= 0.0 && of_run < 1.0);
    /* Everything that was stolen since the machine started, beside hardly any work. */
    struct bench_stolen earlier = {.known = true, .busy = after.busy, .stolen = 0};
    share = bench_stolen_share(&earlier);
    assert_true(after.stolen == 0 || share > 0.0);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ratio_is_the_median_of_those_within_a_round),
        cmocka_unit_test(rounds_that_the_host_disturbed_are_told_apart),
        cmocka_unit_test(what_was_not_measured_counts_for_nothing),
        cmocka_unit_test(an_open_is_beside_another_by_its_first_get),
        cmocka_unit_test(a_row_says_how_many_of_its_own_rounds_were_undisturbed),
        cmocka_unit_test(time_that_is_stolen_is_a_share_of_what_was_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
