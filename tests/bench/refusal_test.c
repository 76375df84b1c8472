/* This program holds an environment.c that was told it is a debug build. */
#include "support.h"

#include <string.h>

static char output[65536];

static void a_debug_build_is_refused(void **state)
{
    (void)state;
    static const char *const commands[] = {"append", "device", "recover", "scan"};
    for (size_t index = 0; index < sizeof commands / sizeof *commands; index++) {
        int code = run_bench(output, sizeof output, commands[index], "--dir", WORK_DIRECTORY,
                             "--json", NULL);
        assert_int_equal(code, 3);
        assert_string_equal(output, "");
    }
}

static void a_debug_build_that_is_forced_says_what_it_is(void **state)
{
    (void)state;
    int code = run_bench(output, sizeof output, "append", "--dir", WORK_DIRECTORY, "--records",
                         "20", "--force", "--json", NULL);
    assert_int_equal(code, 0);
    json_t *object = parse_line(output);
    assert_non_null(strstr(text_of(object, "build"), "Debug"));
    assert_false(json_is_true(json_object_get(object, "fit_for_measuring")));
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_debug_build_is_refused),
        cmocka_unit_test(a_debug_build_that_is_forced_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
