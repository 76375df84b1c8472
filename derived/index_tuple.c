/*
 * Tuples of fields as bytes whose order is the tuples' order.
 *
 *   the last field    its bytes
 *   each before it    its bytes, 00 as 00 FF, then 00 01
 *
 * 00 01 is less than 00 FF and than any byte but 00: a field is less than one that begins with it,
 * whatever follows it in the tuple.
 *
 * Failure: a tuple that is not made so is told from one that is.
 */
#include "derived/index.h"

#include <string.h>

#define ESCAPED 0xffu
#define END 0x01u

uint8_t *index_tuple_put(uint8_t *to, struct weir_bytes text, bool is_last, bool with_end)
{
    const uint8_t *from = text.data;
    if (is_last) {
        if (text.size > 0) {
            memcpy(to, from, text.size);
        }
        return to + text.size;
    }
    for (size_t index = 0; index < text.size; index++) {
        *to++ = from[index];
        if (from[index] == 0) {
            *to++ = ESCAPED;
        }
    }
    if (with_end) {
        *to++ = 0;
        *to++ = END;
    }
    return to;
}

bool index_tuple_split(struct weir_bytes tuple, uint32_t fields, uint8_t *room,
                       struct weir_bytes *ret_fields)
{
    const uint8_t *from = tuple.data;
    const uint8_t *end = from + tuple.size;
    for (uint32_t field = 0; field + 1 < fields; field++) {
        uint8_t *start = room;
        for (;;) {
            if (from == end) {
                return false;
            }
            uint8_t byte = *from++;
            if (byte == 0) {
                uint8_t kind = from < end ? *from++ : 0;
                if (kind == END) {
                    break;
                }
                if (kind != ESCAPED) {
                    return false;
                }
            }
            *room++ = byte;
        }
        ret_fields[field] = (struct weir_bytes){start, (size_t)(room - start)};
    }
    ret_fields[fields - 1] = (struct weir_bytes){from, (size_t)(end - from)};
    return true;
}
