/*
 * Seeded runs: many seeds, and the failing ones that were found.
 *
 * WEIR_SEED is the first seed, WEIR_DEEP_ROUNDS their number, or WEIR_DEEP_SECONDS how long to go
 * on. A failing seed is shrunk, and the line that repeats it is printed; WEIR_LIMITS takes the
 * limits of such a line.
 */
#include "tests/crash/seeded.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SEEDS 120u
#define TWICE_EVERY 8u /* seeds that are run again, to compare their traces */
#define BAD_MAX 5u

/* Runs that have found something, and what. */
static const struct {
    uint64_t seed;
    const char *limits;
    const char *what;
} kept[] = {
    {72, "", "a copy of CONTROL torn by an honest cut: verification calls the log whole"},
    {1125, "", "a lost write while the next writer recovers"},
    {1426, "", "writes in flight when a writer gives up are covered by its successor's flush"},
    {5003, "",
     "a witness placed behind a group that was closed meanwhile takes the next one's room"},
    {2283, "", "a seal's directory torn while the next header landed"},
};

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t deadline(void)
{
    const char *text = getenv("WEIR_DEEP_SECONDS");
    return text != NULL ? now_ns() + (uint64_t)(strtod(text, NULL) * 1e9) : 0;
}

static struct seeded_limits limits_from_environment(void)
{
    const char *text = getenv("WEIR_LIMITS");
    struct seeded_limits limits = SEEDED_LIMITS;
    if (text != NULL && !seeded_parse(text, &limits)) {
        fail_msg("WEIR_LIMITS is not understood: %s", text);
    }
    return limits;
}

static void report(uint64_t seed, const struct seeded_result *result)
{
    char text[200];
    print_error("seed %" PRIu64 ": %s\n", seed, result->failure);
    if (getenv("WEIR_LIMITS") == NULL) {
        struct seeded_limits limits = seeded_shrink(seed);
        seeded_print(&limits, text, sizeof text);
        print_error("again: WEIR_SEED=%" PRIu64 " WEIR_DEEP_ROUNDS=1 WEIR_LIMITS='%s'\n", seed,
                    text);
    }
}

static void add(struct seeded_result *sum, const struct seeded_result *one)
{
    sum->calls += one->calls;
    sum->images += one->images;
    sum->recoveries += one->recoveries;
    sum->failures_injected += one->failures_injected;
    sum->lies_told += one->lies_told;
    sum->refusals += one->refusals;
    sum->switches += one->switches;
    sum->compactions += one->compactions;
}

static void what_was_promised_survives_whatever_a_seed_brings(void **state)
{
    (void)state;
    uint64_t first = number_from("WEIR_SEED", 1), count = number_from("WEIR_DEEP_ROUNDS", SEEDS);
    struct seeded_limits limits = limits_from_environment();
    struct seeded_result sum = {0};
    unsigned bad = 0;
    uint64_t seed = first, false_refusals = 0;
    uint64_t deadline_ns = deadline();
    for (; (deadline_ns != 0 ? now_ns() < deadline_ns : seed < first + count) && bad < BAD_MAX;
         seed++) {
        struct seeded_result result = seeded_run(seed, &limits);
        add(&sum, &result);
        if (result.failed) {
            report(seed, &result);
            false_refusals += strstr(result.failure, "is refused") != NULL ? 1 : 0;
            bad++;
        } else if (seed % TWICE_EVERY == 0) {
            struct seeded_result again = seeded_run(seed, &limits);
            if (again.trace != result.trace) {
                print_error("seed %" PRIu64 ": two runs, two traces\n", seed);
                bad++;
            }
        }
    }
    printf("layer=seeded seeds=%ju seed=%ju calls=%ju switches=%ju images=%ju recoveries=%ju "
           "compactions=%ju failures=%ju lies=%ju refusals=%ju violations=%u false_refusals=%ju\n",
           (uintmax_t)(seed - first), (uintmax_t)first, (uintmax_t)sum.calls,
           (uintmax_t)sum.switches, (uintmax_t)sum.images, (uintmax_t)sum.recoveries,
           (uintmax_t)sum.compactions, (uintmax_t)sum.failures_injected, (uintmax_t)sum.lies_told,
           (uintmax_t)sum.refusals, bad, (uintmax_t)false_refusals);
    assert_int_equal(bad, 0);
}

static void what_was_found_once_stays_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        struct seeded_limits limits;
        assert_true(seeded_parse(kept[i].limits, &limits));
        struct seeded_result result = seeded_run(kept[i].seed, &limits);
        if (result.failed) {
            fail_msg("seed %" PRIu64 " (%s): %s", kept[i].seed, kept[i].what, result.failure);
        }
    }
}

static void limits_are_printed_and_parsed(void **state)
{
    (void)state;
    struct seeded_limits limits = {1, 2, 3, 4, 5, 6, 7, 8, 9}, back;
    char text[200];
    seeded_print(&limits, text, sizeof text);
    assert_true(seeded_parse(text, &back));
    assert_memory_equal(&limits, &back, sizeof limits);
    assert_false(seeded_parse("threads=2 wheels=4", &back));
    assert_false(seeded_parse("threads", &back));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_printed_and_parsed),
        cmocka_unit_test(what_was_found_once_stays_right),
        cmocka_unit_test(what_was_promised_survives_whatever_a_seed_brings),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
