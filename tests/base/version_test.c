/* The version: the string and the number say the same. */
#include <weir/version.h>

#include "tests/base/support.h"

static void the_library_and_its_header_agree(void **state)
{
    (void)state;
    assert_int_equal(weir_version(), WEIR_VERSION);
}

static void the_string_spells_the_number(void **state)
{
    (void)state;
    char expected[32];
    (void)snprintf(expected, sizeof expected, "%d.%d.%d", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR,
                   WEIR_VERSION_PATCH);
    assert_string_equal(weir_version_string(), expected);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_and_its_header_agree),
        cmocka_unit_test(the_string_spells_the_number),
    };
    return RUN_TESTS(tests, argc, argv);
}
