/* CRC-32C as it is defined, for the tests of the fast ones. */
#ifndef TESTS_BASE_CRC32C_DEFINE_H
#define TESTS_BASE_CRC32C_DEFINE_H

#include <stddef.h>
#include <stdint.h>

/* Bit by bit, straight from the polynomial: shares nothing with the code under test. */
static inline uint32_t define_crc32c(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t index = 0; index < size; index++) {
        crc ^= bytes[index];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
        }
    }
    return ~crc;
}

#endif
