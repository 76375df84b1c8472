/* WEIR_ASSERT: silent when true, one line and an abort when false, in every build. */
#include "base/assert.h"

#include "tests/base/support.h"

#include <signal.h>
#include <sys/resource.h>

static void leave_no_core(void)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
}

static int assert_falsehood(void *context)
{
    leave_no_core();
    int durable = *(int *)context;
    WEIR_ASSERT(durable <= 6);
    return 0;
}

static int reach_the_unreachable(void *context)
{
    (void)context;
    leave_no_core();
    WEIR_UNREACHABLE();
}

static int fail_with_a_long_text(void *context)
{
    leave_no_core();
    base_assert_failed("file.c", 1, context);
}

static jmp_buf escape;
static char seen_condition[64];

static void remember_and_leave(const char *file, int line, const char *condition)
{
    (void)file;
    (void)line;
    (void)snprintf(seen_condition, sizeof seen_condition, "%s", condition);
    longjmp(escape, 1);
}

static void return_quietly(const char *file, int line, const char *condition)
{
    (void)file;
    (void)line;
    (void)condition;
}

static int assert_with_a_handler_that_returns(void *context)
{
    base_assert_handler_set(return_quietly);
    return assert_falsehood(context);
}

static void a_true_condition_is_evaluated_once_and_says_nothing(void **state)
{
    (void)state;
    int evaluations = 0;
    WEIR_ASSERT(++evaluations == 1);
    assert_int_equal(evaluations, 1);
}

static void a_false_condition_names_its_place_and_aborts(void **state)
{
    (void)state;
    int seven = 7;
    struct child_end end = run_in_child(assert_falsehood, &seven);
    assert_true(died_by(&end, SIGABRT));
    assert_non_null(strstr(end.stderr_text, "tests/base/assert_test.c:"));
    assert_non_null(strstr(end.stderr_text, ": assertion failed: durable <= 6\n"));
}

static void a_message_shows_no_path_of_the_machine_that_built_it(void **state)
{
    (void)state;
    int seven = 7;
    struct child_end end = run_in_child(assert_falsehood, &seven);
    assert_ptr_equal(strstr(end.stderr_text, "tests/base/assert_test.c:"), end.stderr_text);
}

static void unreachable_code_aborts(void **state)
{
    (void)state;
    struct child_end end = run_in_child(reach_the_unreachable, NULL);
    assert_true(died_by(&end, SIGABRT));
    assert_non_null(strstr(end.stderr_text, "unreachable"));
}

static void a_very_long_condition_is_cut_and_still_one_line(void **state)
{
    (void)state;
    char condition[2000];
    memset(condition, 'x', sizeof condition);
    condition[sizeof condition - 1] = '\0';
    struct child_end end = run_in_child(fail_with_a_long_text, condition);
    assert_true(died_by(&end, SIGABRT));
    size_t length = strlen(end.stderr_text);
    assert_in_range(length, 400, 520);
    assert_int_equal(end.stderr_text[length - 1], '\n');
}

static void a_handler_may_leave_by_longjmp(void **state)
{
    (void)state;
    base_assert_handler_set(remember_and_leave);
    if (setjmp(escape) == 0) {
        WEIR_ASSERT(1 == 2);
        fail_msg("the assertion returned");
    }
    base_assert_handler_set(NULL);
    assert_string_equal(seen_condition, "1 == 2");
}

static void a_handler_that_returns_does_not_stop_the_abort(void **state)
{
    (void)state;
    int seven = 7;
    struct child_end end = run_in_child(assert_with_a_handler_that_returns, &seven);
    assert_true(died_by(&end, SIGABRT));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_condition_is_evaluated_once_and_says_nothing),
        cmocka_unit_test(a_false_condition_names_its_place_and_aborts),
        cmocka_unit_test(a_message_shows_no_path_of_the_machine_that_built_it),
        cmocka_unit_test(unreachable_code_aborts),
        cmocka_unit_test(a_very_long_condition_is_cut_and_still_one_line),
        cmocka_unit_test(a_handler_may_leave_by_longjmp),
        cmocka_unit_test(a_handler_that_returns_does_not_stop_the_abort),
    };
    return RUN_TESTS(tests, argc, argv);
}
