/*
 * Reading the formats that people type. Every number is checked for overflow; nothing depends on
 * the locale, and a string is accepted whole or not at all.
 */
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* Reads digits at *cursor and moves it behind them. */
static int parse_digits(const char **cursor, uint64_t *ret_value)
{
    const char *at = *cursor;
    uint64_t value = 0;
    bool overflow = false;
    if (!is_digit(*at)) {
        return -EINVAL;
    }
    for (; is_digit(*at); at++) {
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    }
    *cursor = at;
    *ret_value = value;
    return overflow ? -ERANGE : 0;
}

int base_parse_u64(const char *string, uint64_t *ret_value)
{
    uint64_t value = 0;
    int result = parse_digits(&string, &value);
    if (result == -EINVAL || *string != '\0') {
        return -EINVAL;
    }
    if (result == 0) {
        *ret_value = value;
    }
    return result;
}

struct unit {
    const char *name;
    uint64_t size;
};

static int parse_with_unit(const char *string, const struct unit *units, size_t count,
                           uint64_t *ret_value)
{
    uint64_t value = 0;
    int result = parse_digits(&string, &value);
    if (result == -EINVAL) {
        return result;
    }
    for (size_t index = 0; index < count; index++) {
        if (strcmp(string, units[index].name) != 0) {
            continue;
        }
        uint64_t product;
        if (result == -ERANGE || __builtin_mul_overflow(value, units[index].size, &product)) {
            return -ERANGE;
        }
        *ret_value = product;
        return 0;
    }
    return -EINVAL;
}

int base_parse_size(const char *string, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"k", UINT64_C(1) << 10},
        {"K", UINT64_C(1) << 10},
        {"KiB", UINT64_C(1) << 10},
        {"kB", 1000},
        {"KB", 1000},
        {"m", UINT64_C(1) << 20},
        {"M", UINT64_C(1) << 20},
        {"MiB", UINT64_C(1) << 20},
        {"MB", UINT64_C(1000000)},
        {"g", UINT64_C(1) << 30},
        {"G", UINT64_C(1) << 30},
        {"GiB", UINT64_C(1) << 30},
        {"GB", UINT64_C(1000000000)},
        {"t", UINT64_C(1) << 40},
        {"T", UINT64_C(1) << 40},
        {"TiB", UINT64_C(1) << 40},
        {"TB", UINT64_C(1000000000000)},
    };
    return parse_with_unit(string, units, sizeof units / sizeof units[0], ret_bytes);
}

int base_parse_duration(const char *string, uint64_t *ret_ns)
{
    static const struct unit units[] = {
        {"ns", 1},
        {"us", UINT64_C(1000)},
        {"ms", UINT64_C(1000000)},
        {"s", NS_PER_S},
        {"m", 60 * NS_PER_S},
        {"h", 3600 * NS_PER_S},
        {"d", 86400 * NS_PER_S},
    };
    if (strcmp(string, "0") == 0) {
        *ret_ns = 0;
        return 0;
    }
    return parse_with_unit(string, units, sizeof units / sizeof units[0], ret_ns);
}

/* Exactly `count` digits, as a number from `low` to `high`. */
static bool read_field(const char **cursor, int count, int low, int high, int *ret_value)
{
    int value = 0;
    for (int index = 0; index < count; index++) {
        char digit = **cursor;
        if (!is_digit(digit)) {
            return false;
        }
        value = value * 10 + (digit - '0');
        (*cursor)++;
    }
    *ret_value = value;
    return value >= low && value <= high;
}

static bool read_char(const char **cursor, const char *accepted)
{
    if (**cursor == '\0' || strchr(accepted, **cursor) == NULL) {
        return false;
    }
    (*cursor)++;
    return true;
}

static bool is_leap_year(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01, in the proleptic Gregorian calendar; negative before. */
static int64_t days_from_epoch(int year, int month, int day)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400;
    for (int past = 1; past < month; past++) {
        days += days_in_month(year, past);
    }
    return days + day - 1 - 719162;
}

/* "YYYY-MM-DDTHH:MM:SS" as seconds since 1970. A leap second counts as the second before it. */
static bool read_date_and_time(const char **cursor, int64_t *ret_seconds)
{
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    if (!read_field(cursor, 4, 1, 9999, &year) || !read_char(cursor, "-") ||
        !read_field(cursor, 2, 1, 12, &month) || !read_char(cursor, "-") ||
        !read_field(cursor, 2, 1, days_in_month(year, month), &day) || !read_char(cursor, "Tt ")) {
        return false;
    }
    if (!read_field(cursor, 2, 0, 23, &hour) || !read_char(cursor, ":") ||
        !read_field(cursor, 2, 0, 59, &minute) || !read_char(cursor, ":") ||
        !read_field(cursor, 2, 0, 60, &second)) {
        return false;
    }
    second = second == 60 ? 59 : second;
    *ret_seconds = days_from_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

/* ".123" as nanoseconds; nothing there is 0. */
static bool read_fraction(const char **cursor, uint64_t *ret_ns)
{
    *ret_ns = 0;
    if (!read_char(cursor, ".")) {
        return true;
    }
    uint64_t scale = NS_PER_S;
    for (; is_digit(**cursor); (*cursor)++) {
        if (scale == 1) {
            return false; /* more than nine digits */
        }
        scale /= 10;
        *ret_ns += scale * (uint64_t)(**cursor - '0');
    }
    return scale != NS_PER_S;
}

/* "Z" or "+02:00", as the seconds that local time is ahead of UTC. */
static bool read_offset(const char **cursor, int64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (read_char(cursor, "Zz")) {
        return true;
    }
    int hour;
    int minute;
    int sign = **cursor == '-' ? -1 : 1;
    if (!read_char(cursor, "+-") || !read_field(cursor, 2, 0, 23, &hour) ||
        !read_char(cursor, ":") || !read_field(cursor, 2, 0, 59, &minute)) {
        return false;
    }
    *ret_seconds = sign * (hour * 3600 + minute * 60);
    return true;
}

int base_parse_time(const char *string, uint64_t *ret_ns)
{
    int64_t seconds;
    int64_t offset;
    uint64_t fraction;
    if (!read_date_and_time(&string, &seconds) || !read_fraction(&string, &fraction) ||
        !read_offset(&string, &offset) || *string != '\0') {
        return -EINVAL;
    }
    uint64_t result;
    seconds -= offset;
    if (seconds < 0 || __builtin_mul_overflow((uint64_t)seconds, NS_PER_S, &result) ||
        __builtin_add_overflow(result, fraction, &result)) {
        return -ERANGE;
    }
    *ret_ns = result;
    return 0;
}

static int hex_value(char digit)
{
    if (is_digit(digit)) {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

int base_parse_hex(const char *string, void *data, size_t size)
{
    if (strlen(string) != 2 * size) {
        return -EINVAL;
    }
    for (const char *digit = string; *digit != '\0'; digit++) {
        if (hex_value(*digit) < 0) {
            return -EINVAL;
        }
    }
    uint8_t *bytes = data;
    for (size_t index = 0; index < size; index++) {
        bytes[index] =
            (uint8_t)(hex_value(string[2 * index]) << 4 | hex_value(string[2 * index + 1]));
    }
    return 0;
}
