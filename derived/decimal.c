/*
 * Exact decimals from text and back.
 *
 * parse: the grammar is that of a JSON number. Once it is known where the digits are, and the
 * exponent, each digit has a place, and is added up there.
 * format: what is in front of the point, then what is behind it without zeros at the end.
 *
 * Failures: -EINVAL for what is no number; -ERANGE when a digit that is not 0 stands in front of
 * the 18 places before the point or behind the 9 after it: nothing is ever rounded.
 *
 * Invariants: zeros count nowhere, however many there are; there is one zero, "-0" is it.
 */
#include "derived/decimal.h"

#include "base/assert.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Beyond any number of digits that a text has; two of them still add up. */
#define EXPONENT_MAX (INT64_MAX / 4)

static const uint64_t powers_of_ten[] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
};

/* ---- reading ---- */

struct number {
    bool negative;
    const char *whole, *fraction; /* digits */
    size_t whole_size, fraction_size;
    int64_t exponent;
};

static size_t count_digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return (size_t)(at - start);
}

/* Behind the e. Returns where it ends, NULL when it is none. */
static const char *read_exponent(const char *at, const char *end, int64_t *ret_exponent)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) {
        at++;
    }
    size_t size = count_digits(at, end);
    int64_t exponent = 0;
    for (size_t index = 0; index < size; index++) {
        exponent = exponent > EXPONENT_MAX / 10 ? EXPONENT_MAX : exponent * 10 + (at[index] - '0');
    }
    *ret_exponent = negative ? -exponent : exponent;
    return size > 0 ? at + size : NULL;
}

/* Whether the text is a number, and where its parts are. */
static bool read_number(struct weir_bytes text, struct number *number)
{
    const char *at = text.data;
    const char *end = at + text.size;
    *number = (struct number){.negative = *at == '-'};
    at += number->negative ? 1 : 0;
    number->whole = at;
    number->whole_size = count_digits(at, end);
    if (number->whole_size == 0 || (number->whole_size > 1 && *at == '0')) {
        return false;
    }
    at += number->whole_size;
    if (at < end && *at == '.') {
        number->fraction = ++at;
        number->fraction_size = count_digits(at, end);
        if (number->fraction_size == 0) {
            return false;
        }
        at += number->fraction_size;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at = read_exponent(at + 1, end, &number->exponent);
    }
    return at == end;
}

struct places {
    uint64_t whole, fraction; /* below 10^18, below 10^9: each place is added to once */
};

/* @param place  of the first digit: 0 for ones, 1 for tens, -1 for tenths */
static int add_digits(struct places *places, const char *digits, size_t size, int64_t place)
{
    for (size_t index = 0; index < size; index++, place--) {
        uint64_t digit = (uint64_t)(digits[index] - '0');
        if (digit == 0) {
            continue;
        }
        if (place >= DECIMAL_WHOLE_DIGITS || place < -DECIMAL_FRACTION_DIGITS) {
            return -ERANGE;
        }
        if (place >= 0) {
            places->whole += digit * powers_of_ten[place];
        } else {
            places->fraction += digit * powers_of_ten[place + DECIMAL_FRACTION_DIGITS];
        }
    }
    return 0;
}

int decimal_parse(struct weir_bytes text, decimal_units *ret_units)
{
    struct number number;
    struct places places = {0, 0};
    if (text.size == 0 || !read_number(text, &number)) {
        return -EINVAL;
    }
    int64_t first = (int64_t)number.whole_size - 1 + number.exponent;
    int rc = add_digits(&places, number.whole, number.whole_size, first);
    if (rc == 0) {
        rc = add_digits(&places, number.fraction, number.fraction_size, number.exponent - 1);
    }
    if (rc < 0) {
        return rc;
    }
    decimal_units units =
        (decimal_units)places.whole * (decimal_units)DECIMAL_UNITS_PER_ONE + places.fraction;
    WEIR_ASSERT(units < DECIMAL_LIMIT);
    *ret_units = number.negative ? -units : units;
    return 0;
}

int weir_decimal_parse(struct weir_bytes text, struct weir_decimal *ret_decimal)
{
    decimal_units units;
    int rc = decimal_parse(text, &units);
    if (rc == 0) {
        *ret_decimal = decimal_from_units(units);
    }
    return rc;
}

/* ---- writing ---- */

/* Backwards from `end`, at least `least` digits. Returns where they begin. */
static char *put_digits(char *end, uint64_t number, int least)
{
    while (number > 0 || least > 0) {
        *--end = (char)('0' + number % 10);
        number /= 10;
        least--;
    }
    return end;
}

size_t weir_decimal_format(struct weir_decimal decimal, char *ret_text)
{
    char text[WEIR_DECIMAL_TEXT_MAX];
    char *end = text + sizeof text;
    decimal_units units = decimal_to_units(decimal);
    bool negative = units < 0;
    decimal_magnitude magnitude =
        negative ? -(decimal_magnitude)units : (decimal_magnitude)units; /* of -2^127 as well */
    uint64_t fraction = (uint64_t)(magnitude % DECIMAL_UNITS_PER_ONE);
    decimal_magnitude whole = magnitude / DECIMAL_UNITS_PER_ONE;
    uint64_t half = powers_of_ten[DECIMAL_WHOLE_DIGITS];
    int places = DECIMAL_FRACTION_DIGITS;
    char *at = end;
    while (fraction != 0 && fraction % 10 == 0) {
        fraction /= 10;
        places--;
    }
    if (fraction != 0) {
        at = put_digits(at, fraction, places);
        *--at = '.';
    }
    if (whole >= half) {
        at = put_digits(at, (uint64_t)(whole % half), DECIMAL_WHOLE_DIGITS);
        at = put_digits(at, (uint64_t)(whole / half), 1);
    } else {
        at = put_digits(at, (uint64_t)whole, 1);
    }
    if (negative) {
        *--at = '-';
    }
    size_t size = (size_t)(end - at);
    memcpy(ret_text, at, size);
    ret_text[size] = '\0';
    return size;
}
