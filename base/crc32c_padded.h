/*
 * Many short CRC-32C at once.
 *
 *     struct base_crc32c_padded inputs[16];   // where they lie, and what they should give
 *     if (base_crc32c_all_match(inputs, 16, end)) ...
 *
 * One checksum is a chain in which each step waits for the one before, and a length that nobody
 * expected costs a wrong guess of the processor at its end. Four inputs side by side hide both.
 */
#ifndef BASE_CRC32C_PADDED_H
#define BASE_CRC32C_PADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are followed by zeros up to a multiple of 8, counted from `data`. */
struct base_crc32c_padded {
    const uint8_t *data;
    uint32_t size; /* without the zeros */
    uint32_t crc;  /* what base_crc32c(0, data, size) has to be */
};

/* Does each input have its checksum, and zeros behind it? They lie one behind the other, in this
 * order; as many bytes behind the last one are fetched into the cache meanwhile.
 * @param end  memory up to here can be read: the end of the last input's padding, or further */
bool base_crc32c_all_match(const struct base_crc32c_padded *inputs, size_t count, const void *end);

#endif
