/*
 * CRC-32C (Castagnoli, reflected, initial and final xor inside).
 *
 *     base_crc32c(base_crc32c(0, a, n), b, m) == base_crc32c(0, ab, n + m)
 *
 * Short inputs use the CPU's crc32 instruction in three interleaved lanes, long ones ISA-L; a table
 * serves any other CPU. The choice is made once, before main.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/le.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* @param seed  0, or the result so far. */
uint32_t base_crc32c(uint32_t seed, const void *data, size_t size);

/* Copies and checksums what arrived; the areas do not overlap. Returns base_crc32c(seed, target,
 * size). */
uint32_t base_crc32c_copy(uint32_t seed, void *target, const void *source, size_t size);

/* Byte by byte from a table: the reference for tests and the way on other CPUs. */
uint32_t base_crc32c_portable(uint32_t seed, const void *data, size_t size);

/* Set once before main, constant then. */
extern bool base_crc32c_hardware;

#if defined(__x86_64__)
/* By name, not by intrinsic: the instruction needs no compiler flag, only base_crc32c_hardware. */
static inline uint64_t base_crc32c_step4(uint64_t crc, uint32_t value)
{
    uint32_t low = (uint32_t)crc;
    __asm__("crc32l %1, %0" : "+r"(low) : "rm"(value));
    return low;
}

static inline uint64_t base_crc32c_step8(uint64_t crc, uint64_t value)
{
    __asm__("crc32q %1, %0" : "+r"(crc) : "rm"(value));
    return crc;
}
#endif

/* base_crc32c of exactly 16 bytes, inline: the cost of one record header. */
static inline uint32_t base_crc32c_16(uint32_t seed, const void *data)
{
#if defined(__x86_64__)
    if (__builtin_expect(base_crc32c_hardware, 1)) {
        uint64_t words[2];
        memcpy(words, data, sizeof words);
        uint64_t crc = base_crc32c_step8(~seed, words[0]);
        return ~(uint32_t)base_crc32c_step8(crc, words[1]);
    }
#endif
    return base_crc32c_portable(seed, data, 16);
}

#endif
