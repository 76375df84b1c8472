/* Exact decimals: every text of the form gives its number or says why not, and comes back. */
#include "tests/derived/support.h"

#include "base/random.h"
#include "derived/decimal.h"

#include <errno.h>

#define ONE ((decimal_units)DECIMAL_UNITS_PER_ONE)
#define UNTOUCHED ((decimal_units)-77)

static int parse(const char *text, decimal_units *ret_units)
{
    struct weir_decimal decimal = decimal_from_units(UNTOUCHED);
    int rc = weir_decimal_parse(bytes_of(text), &decimal);
    *ret_units = decimal_to_units(decimal);
    return rc;
}

static void expect_units(const char *text, decimal_units expected)
{
    decimal_units units;
    int rc = parse(text, &units);
    if (rc != 0 || units != expected) {
        fail_msg("%s: %d, %lld units", text, rc, (long long)units);
    }
}

static void expect_refused(const char *text, int expected)
{
    decimal_units units;
    int rc = parse(text, &units);
    if (rc != expected || units != UNTOUCHED) {
        fail_msg("%s: %d", text, rc);
    }
}

static void expect_format(decimal_units units, const char *expected)
{
    char text[WEIR_DECIMAL_TEXT_MAX];
    memset(text, 'x', sizeof text);
    size_t length = weir_decimal_format(decimal_from_units(units), text);
    assert_int_equal(length, strlen(expected));
    assert_string_equal(text, expected);
}

static void a_decimal_is_units_of_a_billionth(void **state)
{
    (void)state;
    expect_units("0", 0);
    expect_units("-0", 0);
    expect_units("-0.000", 0);
    expect_units("1", ONE);
    expect_units("12.5", 12 * ONE + ONE / 2);
    expect_units("-3", -3 * ONE);
    expect_units("0.000000001", 1);
    expect_units("-0.000000001", -1);
    expect_units("999999999999999999.999999999", DECIMAL_LIMIT - 1);
    expect_units("-999999999999999999.999999999", -DECIMAL_LIMIT + 1);
}

static void an_exponent_moves_the_point(void **state)
{
    (void)state;
    expect_units("1e3", 1000 * ONE);
    expect_units("1E+3", 1000 * ONE);
    expect_units("1.5e-8", 15);
    expect_units("123456789e-9", 123456789);
    expect_units("0.000000000000000000000001e24", ONE);
    expect_units("1000000000000000000000000e-24", ONE);
    expect_units("1e17", 100000000000000000 * ONE);
    expect_units("12e-00000000000000000000000000000000001", ONE + ONE / 5);
}

static void zeros_do_not_count_however_many(void **state)
{
    (void)state;
    char text[3000];
    expect_units("1.0000000000000000000000", ONE);
    expect_units("10.10", 10 * ONE + ONE / 10);
    expect_units("0e99999999999999999999999999999", 0);
    expect_units("0.0e-99999999999999999999999999999", 0);
    expect_units("-0.0000000000000e5", 0);
    snprintf(text, sizeof text, "0.%0*d1e1001", 1000, 0);
    expect_units(text, ONE);
    snprintf(text, sizeof text, "1%0*de-1000", 1000, 0);
    expect_units(text, ONE);
}

static void what_would_have_to_be_rounded_or_is_too_large_is_out_of_range(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1000000000000000000",
        "-1000000000000000000",
        "1e18",
        "0.0000000001",
        "1.0000000001",
        "1e-10",
        "15e-10",
        "123456789012345678901234567890",
        "1e99999999999999999999999999999999",
        "1e-99999999999999999999999999999999",
        "1e9223372036854775807",
        "1e-9223372036854775808",
        "0.1e4611686018427387904",
    };
    for (size_t index = 0; index < COUNT_OF(texts); index++) {
        expect_refused(texts[index], -ERANGE);
    }
}

static void what_is_not_written_like_a_number_of_json_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",     "-",    "+1",  ".5",       "5.",   "01",  "-01", "1e",  "1e+", "1e-",   "e5",
        "1.e5", "1 ",   " 1",  "1,5",      "0x1",  "NaN", "inf", "1_0", "--1", "1.2.3", "1e5.0",
        "1e5e", "true", "12a", "\xd9\xa1", "1e 5", "00",  "-",   "-.5", "1-",  "1+1",
    };
    for (size_t index = 0; index < COUNT_OF(texts); index++) {
        expect_refused(texts[index], -EINVAL);
    }
    decimal_units units = UNTOUCHED;
    assert_int_equal(decimal_parse((struct weir_bytes){NULL, 0}, &units), -EINVAL);
    assert_int_equal(decimal_parse((struct weir_bytes){"1\0", 2}, &units), -EINVAL);
    assert_true(units == UNTOUCHED);
}

static void no_byte_behind_the_text_is_read(void **state)
{
    (void)state;
    static const char text[] = "-12.5e+3";
    for (size_t size = 0; size < sizeof text; size++) {
        char *copy = malloc(size > 0 ? size : 1); /* a sanitizer sees a byte too far */
        assert_non_null(copy);
        memcpy(copy, text, size);
        decimal_units units;
        int rc = decimal_parse((struct weir_bytes){copy, size}, &units);
        bool ends_well = size == 3 || size == 2 || size == 5 || size == 8;
        assert_int_equal(rc, ends_well ? 0 : -EINVAL);
        free(copy);
    }
}

static void the_shortest_form_is_written(void **state)
{
    (void)state;
    expect_format(0, "0");
    expect_format(1, "0.000000001");
    expect_format(-1, "-0.000000001");
    expect_format(ONE, "1");
    expect_format(-ONE / 2, "-0.5");
    expect_format(1000 * ONE, "1000");
    expect_format(1234 * ONE + 50000000, "1234.05");
    expect_format(DECIMAL_LIMIT - 1, "999999999999999999.999999999");
    expect_format(DECIMAL_LIMIT, "1000000000000000000");
    expect_format(-DECIMAL_LIMIT * 7 - 1, "-7000000000000000000.000000001");
    decimal_magnitude highest = ~(decimal_magnitude)0 >> 1;
    expect_format((decimal_units)highest, "170141183460469231731687303715.884105727");
    expect_format(-(decimal_units)highest - 1, "-170141183460469231731687303715.884105728");
}

static void as_many_of_the_largest_as_there_can_be_rows_add_up(void **state)
{
    (void)state;
    decimal_units sum = (DECIMAL_LIMIT - 1) * (decimal_units)UINT32_MAX;
    assert_true(sum / (decimal_units)UINT32_MAX == DECIMAL_LIMIT - 1);
    assert_true(sum < (decimal_units)1 << 122);
    expect_format(sum, "4294967294999999999999999995.705032705");
}

/* Any magnitude up to the limit, small ones as often as large ones. */
static decimal_units random_units(struct base_prng *random)
{
    decimal_magnitude bits =
        (decimal_magnitude)base_prng_next(random) << 64 | base_prng_next(random);
    decimal_units units = (decimal_units)(bits >> (38 + base_prng_below(random, 90)));
    units %= DECIMAL_LIMIT;
    return (base_prng_next(random) & 1) != 0 ? -units : units;
}

/* Digit by digit, by the definition. */
static void write_plainly(decimal_units units, char *text)
{
    char digits[64];
    int count = 0;
    decimal_magnitude rest = (decimal_magnitude)(units < 0 ? -units : units);
    for (int place = 0; place < 10 || rest > 0; place++) {
        if (place == 9) {
            digits[count++] = '.';
        }
        digits[count++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    if (units < 0) {
        digits[count++] = '-';
    }
    for (int index = 0; index < count; index++) {
        text[index] = digits[count - 1 - index];
    }
    text[count] = '\0';
}

static void random_units_come_back_from_any_way_of_writing_them(void **state)
{
    (void)state;
    struct base_prng random;
    base_prng_seed(&random, 41);
    for (int round = 0; round < 200000; round++) {
        decimal_units units = random_units(&random);
        char text[WEIR_DECIMAL_TEXT_MAX];
        char plain[WEIR_DECIMAL_TEXT_MAX];
        weir_decimal_format(decimal_from_units(units), text);
        expect_units(text, units);
        write_plainly(units, plain);
        expect_units(plain, units);
        assert_true(strlen(text) <= strlen(plain));
        assert_memory_equal(text, plain, strcspn(text, "."));
        /* All digits in front of the point, which an exponent brings back. */
        bool negative = units < 0;
        decimal_magnitude magnitude = (decimal_magnitude)(negative ? -units : units);
        snprintf(text, sizeof text, "%s%llu%019llue-9", negative ? "-" : "",
                 (unsigned long long)(magnitude / UINT64_C(10000000000000000000)),
                 (unsigned long long)(magnitude % UINT64_C(10000000000000000000)));
        if (magnitude >= UINT64_C(10000000000000000000)) {
            expect_units(text, units);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decimal_is_units_of_a_billionth),
        cmocka_unit_test(an_exponent_moves_the_point),
        cmocka_unit_test(zeros_do_not_count_however_many),
        cmocka_unit_test(what_would_have_to_be_rounded_or_is_too_large_is_out_of_range),
        cmocka_unit_test(what_is_not_written_like_a_number_of_json_is_none),
        cmocka_unit_test(no_byte_behind_the_text_is_read),
        cmocka_unit_test(the_shortest_form_is_written),
        cmocka_unit_test(as_many_of_the_largest_as_there_can_be_rows_add_up),
        cmocka_unit_test(random_units_come_back_from_any_way_of_writing_them),
    };
    return RUN_TESTS(tests, argc, argv);
}
