/* The contest's JSON, with Weir and the raw loops only: they are there on every machine. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_hold_ratios_against_goals),
        cmocka_unit_test(an_unknown_group_is_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
