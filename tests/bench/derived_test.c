/* What `weir bench derived` promises: rows, members, ratios where something is held against
 * something; the other system in the same run. */
#include "support.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char output[65536];

#define SMALL                                                                                      \
    "--force", "--dir", WORK_DIRECTORY, "--json", "--rounds", "1", "--documents", "60",            \
        "--segment-size", "4MiB"

static const json_t *find_row(const json_t *object, const char *name)
{
    const json_t *rows = json_object_get(object, "rows");
    for (size_t index = 0; index < json_array_size(rows); index++) {
        const json_t *row = json_array_get(rows, index);
        if (strcmp(text_of(row, "name"), name) == 0) {
            return row;
        }
    }
    fail_msg("no row %s", name);
    return NULL;
}

static void expect_row(const json_t *object, const char *name, const char *unit, bool has_ratio)
{
    const json_t *row = find_row(object, name);
    assert_string_equal(text_of(row, "unit"), unit);
    assert_true(strlen(text_of(row, "title")) > 0);
    assert_true(number_of(row, "value") > 0.0);
    assert_true(number_of(row, "rounds") == 1.0);
    assert_int_equal(json_object_get(row, "ratio") != NULL, has_ratio);
}

static void rows_are_of_each_system_and_of_each_delivery(void **state)
{
    (void)state;
    static const char *const kinds[] = {"index", "index-json", "view", "text"};
    char name[64];
    assert_int_equal(run_bench(output, sizeof output, "derived", SMALL, NULL), 0);
    json_t *object = parse_line(output);
    for (size_t index = 0; index < sizeof kinds / sizeof *kinds; index++) {
        static const char *const rows[][2] = {{"events", "events/s"},
                                              {"bytes", "bytes/row"},
                                              {"rebuild", "seconds"},
                                              {"verify", "seconds"}};
        for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
            (void)snprintf(name, sizeof name, "%s-%s", rows[row][0], kinds[index]);
            expect_row(object, name, rows[row][1], false);
        }
    }
    expect_row(object, "put-alone-0", "puts/s", false);
    expect_row(object, "put-pull-3", "puts/s", true);
    expect_row(object, "put-background-1", "puts/s", true);
    expect_row(object, "put-background-3", "puts/s", true);
    expect_row(object, "put-each-alone-0", "puts/s", false);
    expect_row(object, "put-each-push-3", "puts/s", true);
    expect_row(object, "behind-3", "seconds", false);
    assert_true(number_of(object, "documents") == 60.0);
    for (const char *const *member = (const char *const[]){"medium", "io", "device", "build", NULL};
         *member != NULL; member++) {
        assert_true(strlen(text_of(object, *member)) > 0);
    }
    json_decref(object);
    expect_nothing_left();
}

static void another_system_takes_part_in_the_same_run(void **state)
{
    (void)state;
    const char *program = getenv("WEIR_PEERS_PROGRAM");
    if (program == NULL) {
        skip();
    }
    int code =
        run_program(program, output, sizeof output, "derived", SMALL, "--peers", "sqlite", NULL);
    if (code == 2) {
        skip(); /* it is not installed */
    }
    assert_int_equal(code, 0);
    json_t *object = parse_line(output);
    expect_row(object, "sqlite-rows-index", "rows/s", false);
    expect_row(object, "sqlite-rows-text", "rows/s", false);
    assert_string_equal(text_of(object, "peer"), "sqlite");
    json_decref(object);
    expect_nothing_left();
}

static void what_cannot_be_is_wrong_usage(void **state)
{
    (void)state;
    assert_int_equal(run_bench(output, sizeof output, "derived", SMALL, "--documents", "0", NULL),
                     2);
    const char *program = getenv("WEIR_PEERS_PROGRAM");
    if (program != NULL) {
        assert_int_equal(run_program(program, output, sizeof output, "derived", SMALL, "--peers",
                                     "nonsense", NULL),
                         2);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_of_each_system_and_of_each_delivery),
        cmocka_unit_test(another_system_takes_part_in_the_same_run),
        cmocka_unit_test(what_cannot_be_is_wrong_usage),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
