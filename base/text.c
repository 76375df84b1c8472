/*
 * Building bounded strings.
 *
 * Invariant: data[length] is 0 and length < capacity. Once something was left out nothing more is
 * added, so a truncated text is always a prefix of the full one.
 */
#include "base/text.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

void base_text_init(struct base_text *text, char *buffer, size_t capacity)
{
    WEIR_ASSERT(capacity > 0);
    *text = (struct base_text){.data = buffer, .capacity = capacity};
    buffer[0] = '\0';
}

void base_text_append_bytes(struct base_text *text, const void *data, size_t size)
{
    if (text->truncated || size == 0) {
        return;
    }
    size_t room = text->capacity - 1 - text->length;
    if (size > room) {
        size = room;
        text->truncated = true;
    }
    memcpy(text->data + text->length, data, size);
    text->length += size;
    text->data[text->length] = '\0';
}

void base_text_append(struct base_text *text, const char *string)
{
    base_text_append_bytes(text, string, strlen(string));
}

void base_text_append_char(struct base_text *text, char character)
{
    base_text_append_bytes(text, &character, 1);
}

void base_text_append_format(struct base_text *text, const char *format, ...)
{
    if (text->truncated) {
        return;
    }
    size_t room = text->capacity - text->length;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->data + text->length, room, format, arguments);
    va_end(arguments);
    WEIR_ASSERT(length >= 0);
    if ((size_t)length >= room) {
        text->length = text->capacity - 1;
        text->truncated = true;
    } else {
        text->length += (size_t)length;
    }
}

void base_text_append_hex(struct base_text *text, const void *data, size_t size)
{
    static const char digits[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
                                    '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
    const uint8_t *bytes = data;
    for (size_t index = 0; index < size && !text->truncated; index++) {
        char pair[2] = {digits[bytes[index] >> 4], digits[bytes[index] & 15]};
        base_text_append_bytes(text, pair, sizeof pair);
    }
}

void base_text_append_base64(struct base_text *text, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = data;
    for (size_t index = 0; index < size && !text->truncated; index += 3) {
        size_t count = size - index < 3 ? size - index : 3;
        uint32_t bits = (uint32_t)bytes[index] << 16;
        bits |= count > 1 ? (uint32_t)bytes[index + 1] << 8 : 0;
        bits |= count > 2 ? (uint32_t)bytes[index + 2] : 0;
        char quad[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                        count > 1 ? digits[bits >> 6 & 63] : '=',
                        count > 2 ? digits[bits & 63] : '='};
        base_text_append_bytes(text, quad, sizeof quad);
    }
}

void base_text_append_time(struct base_text *text, uint64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / NS_PER_S);
    struct tm utc;
    const struct tm *result = gmtime_r(&seconds, &utc);
    WEIR_ASSERT(result != NULL); /* 2^64 ns end in the year 2554 */
    base_text_append_format(text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900,
                            utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                            (unsigned)(time_ns % NS_PER_S / NS_PER_MS));
}

/* Up to two decimals, none where they are zero: 64, 1.5, 1.25. */
static void append_fraction(struct base_text *text, uint64_t value, uint64_t unit)
{
    uint64_t whole = value / unit;
    unsigned hundredths = (unsigned)((double)(value % unit) * 100.0 / (double)unit);
    hundredths = hundredths < 100 ? hundredths : 99; /* a double rounds 2^60 - 1 up */
    base_text_append_format(text, "%" PRIu64, whole);
    if (hundredths % 10 != 0) {
        base_text_append_format(text, ".%02u", hundredths);
    } else if (hundredths != 0) {
        base_text_append_format(text, ".%u", hundredths / 10);
    }
}

struct unit {
    const char *name;
    uint64_t size;
};

/* The largest unit that is not above the value. @param units  largest first, the last has size 1.
 */
static void append_with_unit(struct base_text *text, uint64_t value, const struct unit *unit)
{
    while (unit->size > 1 && value < unit->size) {
        unit++;
    }
    append_fraction(text, value, unit->size);
    base_text_append_format(text, " %s", unit->name);
}

void base_text_append_size(struct base_text *text, uint64_t size_bytes)
{
    static const struct unit units[] = {{"EiB", UINT64_C(1) << 60},
                                        {"PiB", UINT64_C(1) << 50},
                                        {"TiB", UINT64_C(1) << 40},
                                        {"GiB", UINT64_C(1) << 30},
                                        {"MiB", UINT64_C(1) << 20},
                                        {"KiB", UINT64_C(1) << 10},
                                        {"B", 1}};
    append_with_unit(text, size_bytes, units);
}

void base_text_append_duration(struct base_text *text, uint64_t duration_ns)
{
    static const struct unit units[] = {
        {"s", NS_PER_S}, {"ms", NS_PER_MS}, {"us", 1000}, {"ns", 1}};
    append_with_unit(text, duration_ns, units);
}

size_t base_utf8_sequence(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint8_t lead = bytes[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead < 0xc2 || lead > 0xf4 || length > size) {
        return 0; /* a stray continuation byte, an overlong form, or cut short */
    }
    for (size_t index = 1; index < length; index++) {
        if ((bytes[index] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (lead == 0xe0 && bytes[1] < 0xa0) || (lead == 0xf0 && bytes[1] < 0x90);
    bool surrogate = lead == 0xed && bytes[1] > 0x9f;
    bool beyond = lead == 0xf4 && bytes[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

static bool word_is_ascii(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

bool base_utf8_is_valid(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        size_t length = size >= 8 && word_is_ascii(bytes) ? 8 : base_utf8_sequence(bytes, size);
        if (length == 0) {
            return false;
        }
        bytes += length;
        size -= length;
    }
    return true;
}
