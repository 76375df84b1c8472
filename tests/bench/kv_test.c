/* The benchmarks of stores: members that scripts rely on, sums, and keys that differ. */
#include "bench/kv/key.h"
#include "support.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char output[65536];

#define FORCED                                                                                     \
    "--force", "--dir", WORK_DIRECTORY, "--json", "--rounds", "1", "--segment-size", "4MiB"

static json_t *expect_rows(size_t count, const char *const *members)
{
    static const char *const common[] = {"medium",      "io",     "durability", "durable",
                                         "device",      "kernel", "cpu",        "build",
                                         "file_system", "bench",  "key_kind",   "write_cache"};
    json_t *object = parse_line(output);
    for (size_t index = 0; index < sizeof common / sizeof *common; index++) {
        assert_true(strlen(text_of(object, common[index])) > 0);
    }
    assert_true(number_of(object, "setup_s") >= 0.0);
    assert_int_equal(json_array_size(json_object_get(object, "rows")), count);
    for (size_t index = 0; index < count; index++) {
        const json_t *row = json_array_get(json_object_get(object, "rows"), index);
        assert_true(strlen(text_of(row, "case")) > 0);
        assert_true(strlen(text_of(row, "system")) > 0);
        for (const char *const *member = members; *member != NULL; member++) {
            assert_true(number_of(row, *member) >= 0.0);
        }
    }
    return object;
}

static const json_t *row_of(const json_t *object, size_t index)
{
    return json_array_get(json_object_get(object, "rows"), index);
}

static void put_is_beside_the_log_for_each_number_of_writers(void **state)
{
    (void)state;
    static const char *const members[] = {"records_per_s", "bytes_per_s", "p50_us", "p99_us",
                                          "p999_us",       "operations",  NULL};
    assert_int_equal(run_bench(output, sizeof output, "put", FORCED, "--records", "200",
                               "--writers", "1,3", "--seconds", "20", NULL),
                     0);
    json_t *object = expect_rows(4, members);
    for (size_t index = 0; index < 4; index++) {
        const json_t *row = row_of(object, index);
        assert_string_equal(text_of(row, "system"), index % 2 == 0 ? "weir" : "log");
        assert_true(number_of(row, "operations") == 200.0);
        assert_true(number_of(row, "threads") == (index < 2 ? 1.0 : 3.0));
    }
    assert_true(number_of(row_of(object, 1), "weir_is") > 0.0);
    assert_true(number_of(row_of(object, 1), "goal") > 0.0);
    assert_string_equal(text_of(object, "durability"), "each");
    json_decref(object);
    expect_nothing_left();
}

static void put_without_sync_takes_both_orders(void **state)
{
    (void)state;
    static const char *const members[] = {"records_per_s", "ns", NULL};
    assert_int_equal(run_bench(output, sizeof output, "put", FORCED, "--keys", "1000",
                               "--durability", "none", "--key-kind", "url", "--size", "mixed",
                               NULL),
                     0);
    json_t *object = expect_rows(4, members);
    assert_string_equal(text_of(row_of(object, 0), "order"), "random");
    assert_string_equal(text_of(row_of(object, 2), "order"), "ascending");
    json_decref(object);
    expect_nothing_left();
}

static void get_and_scan_find_every_key(void **state)
{
    (void)state;
    static const char *const members[] = {"records_per_s", "bytes_per_s", "ns", NULL};
    static const char *const kinds[] = {"u64", "user", "url"};
    for (size_t kind = 0; kind < 3; kind++) {
        assert_int_equal(run_bench(output, sizeof output, "get", FORCED, "--keys", "2000",
                                   "--seconds", "0.01", "--key-kind", kinds[kind], "--threads",
                                   "1,2", "--batch", "1,7,1024", NULL),
                         0);
        json_t *gets = expect_rows(6, members);
        for (size_t index = 0; index < 6; index++) {
            static const double batches[] = {1, 7, 1024};
            assert_true(number_of(row_of(gets, index), "batch") == batches[index % 3]);
            assert_true(number_of(row_of(gets, index), "threads") == (index < 3 ? 1.0 : 2.0));
        }
        assert_true(number_of(gets, "dependent_load_ns") > 0.0);
        json_decref(gets);
        assert_int_equal(run_bench(output, sizeof output, "scan-keys", FORCED, "--keys", "2000",
                                   "--key-kind", kinds[kind], NULL),
                         0);
        json_t *object = expect_rows(2, members);
        assert_true(number_of(row_of(object, 0), "operations") == 2000.0);
        assert_true(number_of(row_of(object, 1), "operations") == 2000.0);
        json_decref(object);
    }
    expect_nothing_left();
}

static void scan_with_keys_is_scan_keys(void **state)
{
    (void)state;
    assert_int_equal(run_bench(output, sizeof output, "scan", FORCED, "--keys", "500", NULL), 0);
    json_t *object = parse_line(output);
    assert_string_equal(text_of(object, "bench"), "scan-keys");
    json_decref(object);
}

static void rebuild_replays_everything_and_reopen_only_the_tail(void **state)
{
    (void)state;
    static const char *const members[] = {"open_s", "first_get_s", "open_log_s", "load_s", "walk_s",
                                          "sort_s", "build_s",     "replay_s",   NULL};
    assert_int_equal(run_bench(output, sizeof output, "rebuild", FORCED, "--records", "4000",
                               "--threads", "1,2", NULL),
                     0);
    json_t *object = expect_rows(2, members);
    assert_true(number_of(row_of(object, 0), "from_checkpoint") == 0.0);
    double keys = number_of(row_of(object, 0), "live_keys");
    assert_true(keys > 2000.0 && keys < 3200.0); /* 75 % inserts, 5 % deletes */
    assert_true(number_of(row_of(object, 1), "live_keys") == keys);
    assert_null(json_object_get(row_of(object, 0), "beside_one_thread"));
    assert_true(number_of(row_of(object, 1), "beside_one_thread") > 0.0);
    assert_true(number_of(row_of(object, 1), "undisturbed_rounds") <= 1.0);
    json_decref(object);

    assert_int_equal(run_bench(output, sizeof output, "reopen", FORCED, "--records", "4000", NULL),
                     0);
    object = expect_rows(4, members); /* threads, and cold */
    for (size_t index = 0; index < 4; index++) {
        assert_true(number_of(row_of(object, index), "from_checkpoint") == 1.0);
        assert_true(number_of(row_of(object, index), "replayed_records") < 400.0);
        assert_true(number_of(row_of(object, index), "live_keys") == 4000.0);
    }
    json_decref(object);
    expect_nothing_left();
}

static void mixed_has_latencies_of_both(void **state)
{
    (void)state;
    static const char *const members[] = {
        "read_p50_us", "read_p99_us", "read_p999_us", "p50_us", "p99_us", "p999_us", NULL};
    assert_int_equal(run_bench(output, sizeof output, "mixed", FORCED, "--keys", "500", "--seconds",
                               "0.05", "--threads", "2", NULL),
                     0);
    json_decref(expect_rows(2, members));
    expect_nothing_left();
}

static void memory_is_counted_by_key(void **state)
{
    (void)state;
    static const char *const members[] = {"index_bytes_per_key", "anonymous_bytes_per_key",
                                          "index_bytes", "anonymous_bytes", NULL};
    assert_int_equal(run_bench(output, sizeof output, "memory", FORCED, "--keys", "2000",
                               "--seconds", "0.01", NULL),
                     0);
    json_t *object = expect_rows(1, members);
    assert_true(number_of(row_of(object, 0), "index_bytes_per_key") > 0.0);
    json_decref(object);
}

static void wrong_usage_is_exit_code_2(void **state)
{
    (void)state;
    assert_int_equal(run_bench(output, sizeof output, "put", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "put", FORCED, "--writers", "0", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "put", FORCED, "--writers", "1,,2", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "get", FORCED, "--key-kind", "u32", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "get", FORCED, "--order", "up", NULL), 2);
    assert_int_equal(run_bench(output, sizeof output, "mixed", FORCED, "--ratio", "100", NULL), 2);
}

static int compare_keys(const void *left, const void *right)
{
    return memcmp(left, right, BENCH_KEY_BYTES_MAX);
}

static void keys_of_a_kind_differ_and_ascending_ones_ascend(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static uint8_t bytes[COUNT][BENCH_KEY_BYTES_MAX];
    for (int kind = BENCH_KEY_U64; kind <= BENCH_KEY_URL; kind++) {
        for (int ascending = 0; ascending < 2; ascending++) {
            struct bench_keys keys;
            bench_keys_init(&keys, (enum bench_key_kind)kind, ascending != 0, COUNT);
            assert_true(keys.size <= BENCH_KEY_BYTES_MAX);
            memset(bytes, 0, sizeof bytes);
            for (uint64_t number = 0; number < COUNT; number++) {
                bench_key_make(&keys, number, bytes[number]);
            }
            if (ascending == 0) {
                qsort(bytes, COUNT, sizeof *bytes, compare_keys);
            }
            for (size_t index = 1; index < COUNT; index++) {
                assert_true(compare_keys(bytes[index - 1], bytes[index]) < 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_is_beside_the_log_for_each_number_of_writers),
        cmocka_unit_test(put_without_sync_takes_both_orders),
        cmocka_unit_test(get_and_scan_find_every_key),
        cmocka_unit_test(scan_with_keys_is_scan_keys),
        cmocka_unit_test(rebuild_replays_everything_and_reopen_only_the_tail),
        cmocka_unit_test(mixed_has_latencies_of_both),
        cmocka_unit_test(memory_is_counted_by_key),
        cmocka_unit_test(wrong_usage_is_exit_code_2),
        cmocka_unit_test(keys_of_a_kind_differ_and_ascending_ones_ascend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
