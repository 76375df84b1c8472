/* The contest, with Weir and the raw loops only: they are there on every machine; and stores. */
#include "support.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char output[262144];

static void rows_hold_ratios_against_goals(void **state)
{
    (void)state;
    const char *program = getenv("WEIR_PEERS_PROGRAM");
    assert_non_null(program);
    int code = run_program(program, output, sizeof output, "--dir", WORK_DIRECTORY, "--rows",
                           "outstanding", "--only", "out-64", "--rounds", "2", "--seconds", "0.02",
                           "--force", "--json", NULL);
    assert_int_equal(code, 0);
    json_t *object = parse_line(output);
    assert_true(number_of(object, "rounds") == 2.0);
    const json_t *rows = json_object_get(object, "rows");
    bool found = false;
    for (size_t index = 0; index < json_array_size(rows); index++) {
        const json_t *row = json_array_get(rows, index);
        assert_true(strlen(text_of(row, "durable")) > 0);
        bool measured = number_of(row, "rounds") > 0.0;
        if (measured) {
            assert_true(number_of(row, "ratio_min") <= number_of(row, "ratio"));
            assert_true(number_of(row, "ratio") <= number_of(row, "ratio_max"));
        } else {
            assert_false(json_is_true(json_object_get(row, "reached")));
        }
        found = found || (measured && strcmp(text_of(row, "left"), "weir-out-64") == 0);
    }
    assert_true(found);
    assert_int_equal(json_array_size(json_object_get(object, "contestants")), 2);
    json_decref(object);
    expect_nothing_left();
}

static void an_unknown_group_is_wrong_usage(void **state)
{
    (void)state;
    const char *program = getenv("WEIR_PEERS_PROGRAM");
    assert_non_null(program);
    int code = run_program(program, output, sizeof output, "--dir", WORK_DIRECTORY, "--rows",
                           "each,nonsense", NULL);
    assert_int_equal(code, 2);
}

static void stores_take_part_in_every_benchmark_of_the_engine(void **state)
{
    (void)state;
    static const char *const words[] = {"put",    "get",   "scan-keys", "rebuild",
                                        "reopen", "mixed", "memory"};
    const char *program = getenv("WEIR_PEERS_PROGRAM");
    assert_non_null(program);
    for (size_t index = 0; index < sizeof words / sizeof *words; index++) {
        int code = run_program(program, output, sizeof output, words[index], "--dir",
                               WORK_DIRECTORY, "--force", "--json", "--rounds", "1", "--keys",
                               "300", "--seconds", "0.02", "--segment-size", "4MiB", "--writers",
                               "2", "--threads", "2", "--peers", "rocksdb,lmdb", NULL);
        if (code == 2) {
            skip(); /* one of them is not installed */
        }
        assert_int_equal(code, 0);
        json_t *object = parse_line(output);
        const json_t *rows = json_object_get(object, "rows");
        bool lmdb = false;
        bool rocksdb = false;
        for (size_t at = 0; at < json_array_size(rows); at++) {
            const char *system = text_of(json_array_get(rows, at), "system");
            lmdb = lmdb || strcmp(system, "lmdb") == 0;
            rocksdb = rocksdb || strcmp(system, "rocksdb") == 0;
        }
        assert_true(lmdb && rocksdb);
        json_decref(object);
        expect_nothing_left();
    }
}

static void a_store_that_nobody_has_is_wrong_usage(void **state)
{
    (void)state;
    const char *program = getenv("WEIR_PEERS_PROGRAM");
    assert_int_equal(run_program(program, output, sizeof output, "get", "--dir", WORK_DIRECTORY,
                                 "--force", "--peers", "nonsense", NULL),
                     2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_hold_ratios_against_goals),
        cmocka_unit_test(an_unknown_group_is_wrong_usage),
        cmocka_unit_test(stores_take_part_in_every_benchmark_of_the_engine),
        cmocka_unit_test(a_store_that_nobody_has_is_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
