/*
 * Little-endian integers for structs that live on a medium.
 *
 *     struct record_header { struct le32 length; struct le32 crc; struct le64 user; };
 *     uint32_t length = le32_load(&header->length);
 *
 * They are byte arrays: alignment 1, no padding between them, no trap values, and the compiler does
 * not let one be used as a number by accident. Load and store compile to one plain move (x86-64).
 */
#ifndef BASE_LE_H
#define BASE_LE_H

#include <stdint.h>
#include <string.h>

struct le16 {
    uint8_t bytes[2];
};

struct le32 {
    uint8_t bytes[4];
};

struct le64 {
    uint8_t bytes[8];
};

_Static_assert(sizeof(struct le16) == 2 && _Alignof(struct le16) == 1, "le16 has no padding");
_Static_assert(sizeof(struct le32) == 4 && _Alignof(struct le32) == 1, "le32 has no padding");
_Static_assert(sizeof(struct le64) == 8 && _Alignof(struct le64) == 1, "le64 has no padding");

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BASE_LE_SWAP(bits, value) (value)
#else
#define BASE_LE_SWAP(bits, value) __builtin_bswap##bits(value)
#endif

static inline uint16_t le16_load(const struct le16 *field)
{
    uint16_t value;
    memcpy(&value, field->bytes, sizeof value);
    return BASE_LE_SWAP(16, value);
}

static inline void le16_store(struct le16 *field, uint16_t value)
{
    value = BASE_LE_SWAP(16, value);
    memcpy(field->bytes, &value, sizeof value);
}

static inline uint32_t le32_load(const struct le32 *field)
{
    uint32_t value;
    memcpy(&value, field->bytes, sizeof value);
    return BASE_LE_SWAP(32, value);
}

static inline void le32_store(struct le32 *field, uint32_t value)
{
    value = BASE_LE_SWAP(32, value);
    memcpy(field->bytes, &value, sizeof value);
}

static inline uint64_t le64_load(const struct le64 *field)
{
    uint64_t value;
    memcpy(&value, field->bytes, sizeof value);
    return BASE_LE_SWAP(64, value);
}

static inline void le64_store(struct le64 *field, uint64_t value)
{
    value = BASE_LE_SWAP(64, value);
    memcpy(field->bytes, &value, sizeof value);
}

#endif
