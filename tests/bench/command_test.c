/* The command line of the benchmarks: usage, exit codes, and the members that scripts rely on. */
#include "support.h"

#include <stdbool.h>
#include <string.h>

static char output[65536];

/* Runs that must work whatever this build is. */
#define FORCED "--force", "--dir", WORK_DIRECTORY

static void expect_environment(const json_t *object)
{
    static const char *const members[] = {"device", "file_system", "write_cache",
                                          "kernel", "cpu",         "build"};
    for (size_t index = 0; index < sizeof members / sizeof *members; index++) {
        assert_true(strlen(text_of(object, members[index])) > 0);
    }
    assert_non_null(json_object_get(object, "stolen_share_of_run"));
}

static void append_prints_the_members_that_scripts_rely_on(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "records_per_s", "bytes_per_s", "p50_us",
        "p99_us",        "p999_us",     "setup_s",
        "records",       "bytes",       "flushes_per_record",
        "seconds",       "writers",     "device_bytes_per_byte",
    };
    int code = run_bench(output, sizeof output, "append", FORCED, "--records", "200", "--writers",
                         "2", "--json", NULL);
    assert_int_equal(code, 0);
    json_t *object = parse_line(output);
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        assert_true(number_of(object, numbers[index]) >= 0.0);
    }
    assert_true(strlen(text_of(object, "medium")) > 0);
    assert_true(strlen(text_of(object, "io")) > 0);
    assert_string_equal(text_of(object, "durability"), "each");
    assert_string_equal(text_of(object, "latency"), "closed-loop");
    expect_environment(object);
    json_decref(object);
    expect_nothing_left();
}

static void append_at_a_rate_says_that_latency_is_open_loop(void **state)
{
    (void)state;
    int code = run_bench(output, sizeof output, "append", FORCED, "--seconds", "0.1",
                         "--outstanding", "16", "--open-loop", "half", "--json", NULL);
    assert_int_equal(code, 0);
    json_t *object = parse_line(output);
    assert_string_equal(text_of(object, "latency"), "open-loop");
    assert_string_equal(text_of(object, "durability"), "group");
    double half = number_of(object, "records_per_s") / 2.0;
    assert_true(number_of(object, "open_loop_per_s") > half * 0.999);
    assert_true(number_of(object, "open_loop_per_s") < half * 1.001);
    json_decref(object);
}

static void scan_prints_first_and_verified(void **state)
{
    (void)state;
    int code = run_bench(output, sizeof output, "scan", FORCED, "--records", "3000", "--size",
                         "mixed", "--seconds", "0.05", "--json", NULL);
    assert_int_equal(code, 0);
    json_t *object = parse_line(output);
    assert_true(number_of(object, "first_records_per_s") > 0.0);
    assert_true(number_of(object, "verified_records_per_s") > 0.0);
    assert_true(number_of(object, "records") == 3000.0);
    expect_environment(object);
    json_decref(object);
    expect_nothing_left();
}

static void recover_prints_phases_beside_raw_reads(void **state)
{
    (void)state;
    static const char *const phases[] = {"open", "open-all", "verify", "cursor"};
    for (int cold = 0; cold < 2; cold++) {
        int code = run_bench(output, sizeof output, "recover", FORCED, "--bytes", "4MiB",
                             "--segment-size", "1MiB", "--size", "mixed", "--rounds", "1", "--json",
                             cold ? "--cold" : NULL, NULL);
        assert_int_equal(code, 0);
        json_t *object = parse_line(output);
        assert_string_equal(text_of(object, "cache"), cold ? "cold" : "warm");
        assert_true(number_of(object, "log_bytes") >= 4.0 * 1024 * 1024);
        assert_true(number_of(object, "segments") > 3.0);
        assert_true(strlen(text_of(object, "medium")) > 0);
        const json_t *rows = json_object_get(object, "rows");
        for (size_t index = 0; index < sizeof phases / sizeof *phases; index++) {
            const json_t *row = json_array_get(rows, index);
            assert_string_equal(text_of(row, "name"), phases[index]);
            assert_true(number_of(row, "seconds") > 0.0);
            assert_true(number_of(row, "bytes") > 0.0);
            assert_true(number_of(row, "ratio") > 0.0);
            assert_true(strlen(text_of(row, "against")) > 0);
            bool all = index > 0; /* every record but those of the batch that was in flight */
            assert_true(!all || number_of(row, "records") >= number_of(object, "records"));
        }
        assert_string_equal(text_of(json_array_get(rows, json_array_size(rows) - 1), "name"),
                            "raw-mapped");
        expect_environment(object);
        json_decref(object);
        expect_nothing_left();
    }
}

static void device_prints_rows_with_rates(void **state)
{
    (void)state;
    int code = run_bench(output, sizeof output, "device", FORCED, "--seconds", "0.02",
                         "--file-size", "8MiB", "--json", NULL);
    if (code == 2) {
        skip(); /* a file system without O_DIRECT has no raw loop */
    }
    assert_int_equal(code, 0);
    json_t *object = parse_line(output);
    const json_t *rows = json_object_get(object, "rows");
    assert_true(json_array_size(rows) > 10);
    for (size_t index = 0; index < json_array_size(rows); index++) {
        const json_t *row = json_array_get(rows, index);
        assert_true(strlen(text_of(row, "name")) > 0);
        assert_true(number_of(row, "per_s") > 0.0);
        assert_true(number_of(row, "p50_us") <= number_of(row, "p99_us"));
    }
    json_decref(object);
    expect_nothing_left();
}

static void tables_name_medium_and_promise(void **state)
{
    (void)state;
    int code = run_bench(output, sizeof output, "append", FORCED, "--records", "50", NULL);
    assert_int_equal(code, 0);
    assert_non_null(strstr(output, "medium "));
    assert_non_null(strstr(output, "durable "));
    assert_non_null(strstr(output, "write cache: "));
    assert_non_null(strstr(output, "build "));
}

static void wrong_usage_is_exit_code_2(void **state)
{
    (void)state;
    assert_int_equal(run_bench(output, sizeof output, NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "nonsense", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "append", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "append", FORCED, "--size", "0", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "append", FORCED, "--writers", "x", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "append", FORCED, "--writers", "2",
                               "--outstanding", "4", NULL),
                     2);
    assert_int_equal(run_bench(output, sizeof output, "scan", FORCED, "--group-size", "two", NULL),
                     2);
}

static void a_medium_that_cannot_be_had_is_refused(void **state)
{
    (void)state;
    int code = run_bench(output, sizeof output, "append", FORCED, "--records", "10", "--medium",
                         "pmem", NULL);
    if (code == 0) {
        skip(); /* a DAX mount */
    }
    assert_int_equal(code, 3);
    expect_nothing_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_prints_the_members_that_scripts_rely_on),
        cmocka_unit_test(append_at_a_rate_says_that_latency_is_open_loop),
        cmocka_unit_test(scan_prints_first_and_verified),
        cmocka_unit_test(recover_prints_phases_beside_raw_reads),
        cmocka_unit_test(device_prints_rows_with_rates),
        cmocka_unit_test(tables_name_medium_and_promise),
        cmocka_unit_test(wrong_usage_is_exit_code_2),
        cmocka_unit_test(a_medium_that_cannot_be_had_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
