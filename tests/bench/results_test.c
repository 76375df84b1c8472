/* The functions behind the command: what must hold between the members of a result. */
#include "support.h"

#include "bench/bench.h"

#include <string.h>

static struct bench_result run_append(const struct bench_append_options *options)
{
    struct bench_result result;
    int rc = bench_append(options, &result);
    if (rc != 0) {
        fail_msg("bench_append: %s", result.error);
    }
    return result;
}

static struct bench_append_options options_here(void)
{
    struct bench_append_options options = BENCH_APPEND_OPTIONS_INIT;
    options.directory = WORK_DIRECTORY;
    options.records = 300;
    return options;
}

static void expect_consistent(const struct bench_result *result)
{
    assert_true(result->seconds > 0.0);
    assert_true(result->setup_s > 0.0);
    assert_true(result->p50_us <= result->p99_us);
    assert_true(result->p99_us <= result->p999_us);
    assert_true(result->p999_us <= result->max_us);
    assert_true(result->latency_count > 0);
    double records = result->records_per_s * result->seconds;
    assert_true(records > (double)result->records * 0.999);
    assert_true(records < (double)result->records * 1.001);
    assert_true(strlen(result->medium) > 0);
    assert_true(strlen(result->io) > 0);
}

static void records_times_size_are_the_bytes(void **state)
{
    (void)state;
    struct bench_append_options options = options_here();
    options.size_min = options.size_max = 77;
    struct bench_result result = run_append(&options);
    assert_int_equal(result.records, 300);
    assert_int_equal(result.bytes, 300 * 77);
    expect_consistent(&result);
    expect_nothing_left();
}

static void one_writer_flushes_for_every_record(void **state)
{
    (void)state;
    struct bench_append_options options = options_here();
    struct bench_result result = run_append(&options);
    assert_true(result.flushes_per_record >= 1.0);
    assert_true(result.device_bytes_per_byte >= 1.0);
    assert_int_equal(result.latency_count, 300);
}

static void writers_share_the_records_exactly(void **state)
{
    (void)state;
    struct bench_append_options options = options_here();
    options.records = 301;
    options.writers = 7;
    struct bench_result result = run_append(&options);
    assert_int_equal(result.records, 301);
    expect_consistent(&result);
}

static void a_last_batch_may_be_short(void **state)
{
    (void)state;
    struct bench_append_options options = options_here();
    options.batch = 64;
    options.durability = WEIR_NONE;
    struct bench_result result = run_append(&options);
    assert_int_equal(result.records, 300);
    assert_int_equal(result.bytes, 300 * 100);
    expect_consistent(&result);
}

static void outstanding_records_all_land(void **state)
{
    (void)state;
    for (int event_loop = 0; event_loop < 2; event_loop++) {
        struct bench_append_options options = options_here();
        options.outstanding = 64;
        options.durability = WEIR_GROUP;
        options.event_loop = event_loop != 0;
        struct bench_result result = run_append(&options);
        assert_int_equal(result.records, 300);
        assert_int_equal(result.latency_count, 300);
        assert_true(result.flushes_per_record < 1.0);
        expect_consistent(&result);
    }
}

static void a_rate_is_kept_and_every_record_counts_from_its_intended_start(void **state)
{
    (void)state;
    struct bench_append_options options = options_here();
    options.writers = 2;
    options.open_loop_per_s = 20000.0;
    struct bench_result result = run_append(&options);
    assert_true(result.open_loop_per_s == 20000.0);
    assert_int_equal(result.latency_count, 300);
    assert_true(result.p50_us <= result.p99_us);
}

static void a_cold_run_makes_its_segments_inside_the_clock(void **state)
{
    (void)state;
    struct bench_append_options options = options_here();
    options.cold = true;
    options.segment_bytes = (uint64_t)256 << 10;
    options.durability = WEIR_NONE;
    options.records = 20000;
    struct bench_result result = run_append(&options);
    assert_int_equal(result.records, 20000);
    assert_true(result.segments_made > 0);
}

/* Files are made several times slower than they are written: what a warm-up that makes them itself
 * says of the run that follows is too little. */
static void a_run_by_time_makes_no_segment_inside_the_clock(void **state)
{
    (void)state;
    struct bench_append_options options = options_here();
    options.durability = WEIR_NONE;
    options.records = 0;
    options.seconds = 0.3;
    options.size_min = options.size_max = 4000;
    options.segment_bytes = (uint64_t)1 << 20;
    struct bench_result result = run_append(&options);
    for (int turn = 1; turn < 10 && result.segments_made > 0; turn++) {
        result = run_append(&options); /* others held up the warm-up, and not the run */
    }
    assert_true(result.records > 0);
    assert_int_equal(result.segments_made, 0);
}

static void a_scan_brings_every_record(void **state)
{
    (void)state;
    for (int batch = 1; batch <= 64; batch += 63) {
        struct bench_scan_options options = BENCH_SCAN_OPTIONS_INIT;
        options.directory = WORK_DIRECTORY;
        options.records = 2500;
        options.batch = batch;
        options.seconds = 0.01;
        struct bench_scan_result result;
        int rc = bench_scan(&options, &result);
        if (rc != 0) {
            fail_msg("bench_scan: %s", result.error);
        }
        assert_int_equal(result.records, 2500);
        assert_int_equal(result.bytes, 2500 * 100);
        assert_true(result.first_per_s > 0.0);
        assert_true(result.verified_per_s > 0.0);
        assert_true(result.passes > 0);
    }
    expect_nothing_left();
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct bench_result result;
    struct bench_append_options options = options_here();
    options.writers = 0;
    assert_true(bench_append(&options, &result) < 0);
    options = options_here();
    options.outstanding = 8;
    options.writers = 2;
    assert_true(bench_append(&options, &result) < 0);
    options = options_here();
    options.size_min = 200;
    assert_true(bench_append(&options, &result) < 0);
    assert_true(strlen(result.error) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_times_size_are_the_bytes),
        cmocka_unit_test(one_writer_flushes_for_every_record),
        cmocka_unit_test(writers_share_the_records_exactly),
        cmocka_unit_test(a_last_batch_may_be_short),
        cmocka_unit_test(outstanding_records_all_land),
        cmocka_unit_test(a_rate_is_kept_and_every_record_counts_from_its_intended_start),
        cmocka_unit_test(a_cold_run_makes_its_segments_inside_the_clock),
        cmocka_unit_test(a_run_by_time_makes_no_segment_inside_the_clock),
        cmocka_unit_test(a_scan_brings_every_record),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
