/* Reading numbers, sizes, durations, times and hex: exact forms, exact limits, nothing else. */
#include "base/text.h"

#include "tests/base/support.h"

#include <errno.h>

#define UNTOUCHED UINT64_C(0xdeadbeef)

typedef int (*parser)(const char *string, uint64_t *ret_value);

struct expectation {
    const char *string;
    int result;
    uint64_t value;
};

static void expect_all(parser parse, const struct expectation *table, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        uint64_t value = UNTOUCHED;
        int result = parse(table[index].string, &value);
        uint64_t expected = table[index].result == 0 ? table[index].value : UNTOUCHED;
        if (result != table[index].result || value != expected) {
            fail_msg("\"%s\" gave %d and %llu", table[index].string, result,
                     (unsigned long long)value);
        }
    }
}

#define EXPECT_ALL(parse, table) expect_all(parse, table, COUNT_OF(table))

static void numbers_are_digits_only(void **state)
{
    (void)state;
    static const struct expectation table[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"99999999999999999999999x", -EINVAL, 0},
    };
    EXPECT_ALL(base_parse_u64, table);
}

static void sizes_count_in_1024_unless_they_say_kb(void **state)
{
    (void)state;
    static const struct expectation table[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"100B", 0, 100},
        {"4k", 0, 4096},
        {"4K", 0, 4096},
        {"4KiB", 0, 4096},
        {"4kB", 0, 4000},
        {"4KB", 0, 4000},
        {"1MiB", 0, 1048576},
        {"64MiB", 0, 67108864},
        {"2m", 0, 2097152},
        {"1MB", 0, 1000000},
        {"1GB", 0, 1000000000},
        {"1g", 0, 1073741824},
        {"1GiB", 0, 1073741824},
        {"1TB", 0, UINT64_C(1000000000000)},
        {"16777215TiB", 0, UINT64_C(16777215) << 40},
        {"16777216TiB", -ERANGE, 0},
        {"18446744073709551616k", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"k", -EINVAL, 0},
        {"4 k", -EINVAL, 0},
        {"4kk", -EINVAL, 0},
        {"4mib", -EINVAL, 0},
        {"-4k", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
        {"99999999999999999999999zz", -EINVAL, 0},
    };
    EXPECT_ALL(base_parse_size, table);
}

static void durations_need_a_unit(void **state)
{
    (void)state;
    static const struct expectation table[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"15ns", 0, 15},
        {"10us", 0, 10000},
        {"250ms", 0, 250000000},
        {"2s", 0, 2000000000},
        {"5m", 0, UINT64_C(300000000000)},
        {"1h", 0, UINT64_C(3600000000000)},
        {"1d", 0, UINT64_C(86400000000000)},
        {"18446744073s", 0, UINT64_C(18446744073000000000)},
        {"18446744074s", -ERANGE, 0},
        {"250", -EINVAL, 0},
        {"ms", -EINVAL, 0},
        {"250 ms", -EINVAL, 0},
        {"250MS", -EINVAL, 0},
        {"", -EINVAL, 0},
    };
    EXPECT_ALL(base_parse_duration, table);
}

static void times_are_rfc_3339(void **state)
{
    (void)state;
    static const struct expectation table[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"2026-11-23T15:36:16.123Z", 0, UINT64_C(1795448176123000000)},
        {"2026-11-23t15:36:16.123z", 0, UINT64_C(1795448176123000000)},
        {"2026-11-23 15:36:16.123456789Z", 0, UINT64_C(1795448176123456789)},
        {"2026-11-23T17:36:16.1+02:00", 0, UINT64_C(1795448176100000000)},
        {"2026-11-23T10:06:16-05:30", 0, UINT64_C(1795448176000000000)},
        {"2020-02-29T00:00:00Z", 0, UINT64_C(1582934400000000000)},
        {"2000-02-29T12:00:00Z", 0, UINT64_C(951825600000000000)},
        {"2016-12-31T23:59:60Z", 0, UINT64_C(1483228799000000000)},
        {"2554-07-21T23:34:33.709551615Z", 0, UINT64_MAX},
        {"2554-07-21T23:34:33.709551616Z", -ERANGE, 0},
        {"9999-12-31T23:59:59Z", -ERANGE, 0},
        {"1969-12-31T23:59:59Z", -ERANGE, 0},
        {"1970-01-01T00:00:00+00:01", -ERANGE, 0},
        {"1970-01-01T00:00:00-00:01", 0, UINT64_C(60000000000)},
        {"2021-02-29T00:00:00Z", -EINVAL, 0},
        {"1900-02-29T00:00:00Z", -EINVAL, 0},
        {"2021-13-01T00:00:00Z", -EINVAL, 0},
        {"2021-00-01T00:00:00Z", -EINVAL, 0},
        {"2021-04-31T00:00:00Z", -EINVAL, 0},
        {"2021-04-00T00:00:00Z", -EINVAL, 0},
        {"2021-04-01T24:00:00Z", -EINVAL, 0},
        {"2021-04-01T00:60:00Z", -EINVAL, 0},
        {"2021-04-01T00:00:61Z", -EINVAL, 0},
        {"2021-04-01T00:00:00", -EINVAL, 0},
        {"2021-04-01T00:00:00.Z", -EINVAL, 0},
        {"2021-04-01T00:00:00.1234567890Z", -EINVAL, 0},
        {"2021-04-01T00:00:00+0200", -EINVAL, 0},
        {"2021-04-01T00:00:00Zx", -EINVAL, 0},
        {"2021-4-1T00:00:00Z", -EINVAL, 0},
        {"2021-04-01", -EINVAL, 0},
        {"", -EINVAL, 0},
    };
    EXPECT_ALL(base_parse_time, table);
}

static void a_time_that_is_written_is_read_back(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 200000; day += 13) {
        uint64_t time_ns = (day * 86400 + day % 86400) * UINT64_C(1000000000) + 7000000;
        char buffer[64];
        struct base_text text;
        base_text_init(&text, buffer, sizeof buffer);
        base_text_append_time(&text, time_ns);
        uint64_t read = UNTOUCHED;
        assert_int_equal(base_parse_time(buffer, &read), 0);
        assert_true(read == time_ns);
    }
}

static void hex_of_either_case_and_the_exact_length(void **state)
{
    (void)state;
    uint8_t bytes[3] = {1, 2, 3};
    assert_int_equal(base_parse_hex("00fFA9", bytes, 3), 0);
    assert_memory_equal(bytes, "\x00\xff\xa9", 3);
    static const char *const wrong[] = {"",         "00ff",   "00ffa", "00ffa9f",
                                        "00ffa9ff", "00ffag", " 0ffa9"};
    for (size_t index = 0; index < COUNT_OF(wrong); index++) {
        assert_int_equal(base_parse_hex(wrong[index], bytes, 3), -EINVAL);
        assert_memory_equal(bytes, "\x00\xff\xa9", 3);
    }
    assert_int_equal(base_parse_hex("", bytes, 0), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_digits_only),
        cmocka_unit_test(sizes_count_in_1024_unless_they_say_kb),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(times_are_rfc_3339),
        cmocka_unit_test(a_time_that_is_written_is_read_back),
        cmocka_unit_test(hex_of_either_case_and_the_exact_length),
    };
    return RUN_TESTS(tests, argc, argv);
}
