/*
 * What a JSON string stands for.
 *
 * Both readers go from character to character: take_character() gives the bytes of one, an escape
 * or a byte that stands for itself.
 *
 * Failures: half of a surrogate pair, which no UTF-8 stands for.
 *
 * Invariant: the scanner has accepted the string, so an escape is whole.
 */
#include "base/json.h"

#include <errno.h>
#include <string.h>

static uint32_t hex_digit(char digit)
{
    if (digit <= '9') {
        return (uint32_t)(digit - '0');
    }
    return (uint32_t)((digit | 0x20) - 'a') + 10;
}

static uint32_t hex_unit(const char *digits)
{
    return hex_digit(digits[0]) << 12 | hex_digit(digits[1]) << 8 | hex_digit(digits[2]) << 4 |
           hex_digit(digits[3]);
}

static size_t put_utf8(uint32_t code, char *target)
{
    if (code < 0x80) {
        target[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        target[0] = (char)(0xc0 | code >> 6);
        target[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        target[0] = (char)(0xe0 | code >> 12);
        target[1] = (char)(0x80 | (code >> 6 & 0x3f));
        target[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    target[0] = (char)(0xf0 | code >> 18);
    target[1] = (char)(0x80 | (code >> 12 & 0x3f));
    target[2] = (char)(0x80 | (code >> 6 & 0x3f));
    target[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* `at` is behind the backslash of \uXXXX. Returns the bytes that were read, 0 for half a pair. */
static size_t take_unit(const char *at, const char *end, uint32_t *ret_code)
{
    uint32_t code = hex_unit(at + 1);
    if (code < 0xd800 || code > 0xdfff) {
        *ret_code = code;
        return 5;
    }
    bool followed = end - at >= 11 && at[5] == '\\' && at[6] == 'u';
    uint32_t low = followed ? hex_unit(at + 7) : 0;
    if (code > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        return 0;
    }
    *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return 11;
}

/* Moves *at behind a character, and gives its bytes: how many, 0 for half a pair. */
static size_t take_character(const char **at, const char *end, char target[4])
{
    static const char letters[] = "bfnrt";
    static const char bytes[] = "\b\f\n\r\t";
    if (**at != '\\') {
        target[0] = *(*at)++;
        return 1;
    }
    ++*at;
    if (**at == 'u') {
        uint32_t code;
        size_t read = take_unit(*at, end, &code);
        *at += read;
        return read > 0 ? put_utf8(code, target) : 0;
    }
    const char *found = memchr(letters, **at, sizeof letters - 1);
    target[0] = found != NULL ? bytes[found - letters] : **at;
    ++*at;
    return 1;
}

ssize_t base_json_unescape(const char *data, size_t size, char *target)
{
    const char *end = data + size;
    size_t used = 0;
    while (data < end) {
        const char *escape = memchr(data, '\\', (size_t)(end - data));
        size_t plain = (size_t)((escape != NULL ? escape : end) - data);
        memcpy(target + used, data, plain);
        used += plain;
        data += plain;
        if (escape != NULL) {
            char character[4];
            size_t length = take_character(&data, end, character);
            if (length == 0) {
                return -EBADMSG;
            }
            memcpy(target + used, character, length);
            used += length;
        }
    }
    return (ssize_t)used;
}

bool base_json_equals(const char *data, size_t size, const void *text, size_t text_size)
{
    const char *end = data + size;
    const char *rest = text;
    while (data < end) {
        char character[4];
        size_t length = take_character(&data, end, character);
        if (length == 0 || length > text_size || memcmp(rest, character, length) != 0) {
            return false;
        }
        rest += length;
        text_size -= length;
    }
    return text_size == 0;
}

const char *base_json_kind_name(enum base_json_kind kind)
{
    static const char *const names[] = {
        [BASE_JSON_ABSENT] = "absent",   [BASE_JSON_STRING] = "a string",
        [BASE_JSON_NUMBER] = "a number", [BASE_JSON_OBJECT] = "an object",
        [BASE_JSON_ARRAY] = "an array",  [BASE_JSON_TRUE] = "true",
        [BASE_JSON_FALSE] = "false",     [BASE_JSON_NULL] = "null",
    };
    return names[kind];
}
