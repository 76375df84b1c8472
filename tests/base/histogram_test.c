/* The histogram: exact at the ends, within 1/64 above the truth elsewhere, and mergeable. */
#include "base/histogram.h"

#include "base/random.h"
#include "tests/base/support.h"

static struct base_histogram histogram;
static struct base_histogram other;

static int start_empty(void **state)
{
    (void)state;
    base_histogram_reset(&histogram);
    base_histogram_reset(&other);
    return 0;
}

/* Never below the truth, at most 1/64 above it. */
static void expect_close(uint64_t reported, uint64_t truth)
{
    assert_true(reported >= truth);
    assert_true(reported - truth <= truth / 64);
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Latencies of all magnitudes: the exponent is uniform. */
static uint64_t draw_latency(struct base_prng *prng)
{
    return base_prng_next(prng) >> (20 + base_prng_below(prng, 44));
}

static void an_empty_histogram_answers_zero(void **state)
{
    (void)state;
    assert_true(base_histogram_count(&histogram) == 0);
    assert_true(base_histogram_min(&histogram) == 0);
    assert_true(base_histogram_max(&histogram) == 0);
    assert_true(base_histogram_mean(&histogram) == 0.0);
    assert_true(base_histogram_percentile(&histogram, 50) == 0);
}

static void it_fits_in_31_kib(void **state)
{
    (void)state;
    assert_in_range(sizeof histogram, 1, 31 * 1024);
}

static void values_below_128_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 128; value++) {
        base_histogram_reset(&histogram);
        base_histogram_record(&histogram, value);
        base_histogram_record(&histogram, UINT64_MAX);
        assert_true(base_histogram_percentile(&histogram, 50) == value);
    }
}

static void every_power_of_two_and_its_neighbours_are_within_the_error(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int64_t step = -1; step <= 1; step++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)step;
            base_histogram_reset(&histogram);
            base_histogram_record(&histogram, value);
            base_histogram_record(&histogram, UINT64_MAX);
            expect_close(base_histogram_percentile(&histogram, 50), value);
        }
    }
}

static void the_ends_are_exact(void **state)
{
    (void)state;
    base_histogram_record(&histogram, 1000003);
    base_histogram_record(&histogram, 99999999);
    assert_true(base_histogram_min(&histogram) == 1000003);
    assert_true(base_histogram_max(&histogram) == 99999999);
    assert_true(base_histogram_percentile(&histogram, 0) == 1000003);
    assert_true(base_histogram_percentile(&histogram, 100) == 99999999);
    assert_true(base_histogram_percentile(&histogram, -5) == 1000003);
    assert_true(base_histogram_percentile(&histogram, 500) == 99999999);
    assert_true(base_histogram_mean(&histogram) == (1000003.0 + 99999999.0) / 2);
}

static void a_percentile_is_the_value_at_its_rank(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 100; value++) {
        base_histogram_record(&histogram, value);
    }
    const struct {
        double percent;
        uint64_t value;
    } table[] = {{0.5, 1}, {1, 1}, {1.01, 2}, {50, 50}, {50.5, 51}, {99, 99}, {99.9, 100}};
    for (size_t index = 0; index < COUNT_OF(table); index++) {
        assert_true(base_histogram_percentile(&histogram, table[index].percent) ==
                    table[index].value);
    }
}

static void rounding_does_not_push_a_percentile_to_the_next_rank(void **state)
{
    (void)state;
    base_histogram_record_n(&histogram, 1, 999);
    base_histogram_record(&histogram, 100);
    assert_true(base_histogram_percentile(&histogram, 99.9) == 1);
    assert_true(base_histogram_percentile(&histogram, 99.91) == 100);
}

static void percentiles_of_many_latencies_are_within_the_error(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    struct base_prng prng;
    base_prng_seed(&prng, 7);
    for (size_t index = 0; index < COUNT; index++) {
        values[index] = draw_latency(&prng);
        base_histogram_record(&histogram, values[index]);
    }
    qsort(values, COUNT, sizeof values[0], compare);
    static const double percents[] = {1, 10, 25, 50, 75, 90, 99, 99.9, 99.99};
    for (size_t index = 0; index < COUNT_OF(percents); index++) {
        size_t rank = (size_t)(percents[index] / 100 * COUNT + 0.5);
        expect_close(base_histogram_percentile(&histogram, percents[index]), values[rank - 1]);
    }
}

static void merging_gives_what_one_histogram_would_hold(void **state)
{
    (void)state;
    static struct base_histogram whole;
    base_histogram_reset(&whole);
    struct base_prng prng;
    base_prng_seed(&prng, 8);
    for (int index = 0; index < 10000; index++) {
        uint64_t value = draw_latency(&prng);
        base_histogram_record(&whole, value);
        base_histogram_record(index % 3 == 0 ? &histogram : &other, value);
    }
    base_histogram_merge(&histogram, &other);
    assert_memory_equal(histogram.buckets, whole.buckets, sizeof whole.buckets);
    assert_true(histogram.count == whole.count);
    assert_true(histogram.min == whole.min);
    assert_true(histogram.max == whole.max);
}

static void merging_an_empty_one_changes_nothing(void **state)
{
    (void)state;
    base_histogram_record(&histogram, 5);
    base_histogram_merge(&histogram, &other);
    assert_true(base_histogram_min(&histogram) == 5);
    assert_true(base_histogram_max(&histogram) == 5);
    base_histogram_merge(&other, &histogram);
    assert_true(base_histogram_min(&other) == 5);
    assert_true(base_histogram_count(&other) == 1);
}

static void recording_n_times_is_n_records(void **state)
{
    (void)state;
    base_histogram_record_n(&histogram, 777777, 3);
    base_histogram_record_n(&histogram, 1, 0);
    for (int index = 0; index < 3; index++) {
        base_histogram_record(&other, 777777);
    }
    assert_memory_equal(&histogram, &other, sizeof histogram);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_histogram_answers_zero, start_empty),
        cmocka_unit_test_setup(it_fits_in_31_kib, start_empty),
        cmocka_unit_test_setup(values_below_128_are_exact, start_empty),
        cmocka_unit_test_setup(every_power_of_two_and_its_neighbours_are_within_the_error,
                               start_empty),
        cmocka_unit_test_setup(the_ends_are_exact, start_empty),
        cmocka_unit_test_setup(a_percentile_is_the_value_at_its_rank, start_empty),
        cmocka_unit_test_setup(rounding_does_not_push_a_percentile_to_the_next_rank, start_empty),
        cmocka_unit_test_setup(percentiles_of_many_latencies_are_within_the_error, start_empty),
        cmocka_unit_test_setup(merging_gives_what_one_histogram_would_hold, start_empty),
        cmocka_unit_test_setup(merging_an_empty_one_changes_nothing, start_empty),
        cmocka_unit_test_setup(recording_n_times_is_n_records, start_empty),
    };
    return RUN_TESTS(tests, argc, argv);
}
