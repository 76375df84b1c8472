/*
 * Names of segment files. The rest of the format is structs: format.h.
 */
#include "wal/format.h"

#include <string.h>

#define NAME_PREFIX "segment-"
#define NAME_DIGITS 16u

void format_segment_name(uint64_t ordinal, char name[FORMAT_NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t length = sizeof NAME_PREFIX - 1;
    memcpy(name, NAME_PREFIX, length);
    for (unsigned i = 0; i < NAME_DIGITS; i++) {
        name[length++] = digits[(ordinal >> (4 * (NAME_DIGITS - 1 - i))) & 15];
    }
    name[length] = '\0';
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool format_segment_ordinal(const char *name, uint64_t *ret_ordinal)
{
    size_t prefix = sizeof NAME_PREFIX - 1;
    if (strlen(name) != prefix + NAME_DIGITS || memcmp(name, NAME_PREFIX, prefix) != 0) {
        return false;
    }
    uint64_t ordinal = 0;
    for (unsigned i = 0; i < NAME_DIGITS; i++) {
        int value = digit_value(name[prefix + i]);
        if (value < 0) {
            return false;
        }
        ordinal = ordinal << 4 | (uint64_t)value;
    }
    *ret_ordinal = ordinal;
    return true;
}
