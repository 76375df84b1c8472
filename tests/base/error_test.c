/* The table of errors: every code has a name, a sentence and something to do, and only once. */
#include <weir/error.h>

#include "tests/base/support.h"

#include <errno.h>

#define ENTRY(name, value, sentence, advice) {name, #name},
static const struct {
    int code;
    const char *name;
} ours[] = {WEIR_ERRORS(ENTRY)};

static void each_of_our_codes_says_what_it_is_and_what_to_do(void **state)
{
    (void)state;
    for (size_t index = 0; index < COUNT_OF(ours); index++) {
        assert_true(ours[index].code < -4095); /* apart from the codes of the system */
        assert_string_equal(weir_error_name(ours[index].code), ours[index].name);
        assert_true(strlen(weir_error_text(ours[index].code)) > 10);
        assert_true(strlen(weir_error_advice(ours[index].code)) > 10);
        for (size_t other = 0; other < index; other++) {
            assert_int_not_equal(ours[other].code, ours[index].code);
        }
    }
}

static void a_code_of_the_system_has_its_usual_name_and_text(void **state)
{
    (void)state;
    assert_string_equal(weir_error_name(-ENOSPC), "ENOSPC");
    assert_string_equal(weir_error_name(-EXDEV), "EXDEV");
    assert_string_equal(weir_error_text(-ENOSPC), "No space left on device");
    assert_true(strlen(weir_error_advice(-ENOSPC)) > 10);
    assert_string_equal(weir_error_advice(-EXDEV), "");
}

static void any_number_is_answered(void **state)
{
    (void)state;
    assert_string_equal(weir_error_text(0), "success");
    static const int odd[] = {1, -3000, -19999, -29999, INT32_MAX, INT32_MIN};
    for (size_t index = 0; index < COUNT_OF(odd); index++) {
        assert_non_null(weir_error_text(odd[index]));
        assert_non_null(weir_error_advice(odd[index]));
        assert_non_null(weir_error_name(odd[index]));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_our_codes_says_what_it_is_and_what_to_do),
        cmocka_unit_test(a_code_of_the_system_has_its_usual_name_and_text),
        cmocka_unit_test(any_number_is_answered),
    };
    return RUN_TESTS(tests, argc, argv);
}
