/* Seeded, printable (some peers log text only) and without repetition that a device could exploit.
 */
#include "bench/payload.h"

#include "base/alloc.h"
#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_DIGITS 8
#define SEED 20

static void fill_text(struct base_prng *prng, uint8_t *text, size_t size, unsigned index)
{
    for (size_t at = 0; at < size; at++) {
        text[at] = (uint8_t)('0' + base_prng_below(prng, 75)); /* '0' to 'z' */
    }
    if (size >= INDEX_DIGITS) {
        char digits[INDEX_DIGITS + 1];
        (void)snprintf(digits, sizeof digits, "%08x", index);
        memcpy(text, digits, INDEX_DIGITS);
    }
}

int bench_payload_create(struct bench_payload *payload, size_t size_min, size_t size_max)
{
    struct base_prng prng;
    base_prng_seed(&prng, SEED);
    payload->bytes = base_alloc(BENCH_PAYLOADS * size_max);
    if (payload->bytes == NULL) {
        return -ENOMEM;
    }
    size_t used = 0;
    for (unsigned index = 0; index < BENCH_PAYLOADS; index++) {
        size_t size = size_min + (size_t)base_prng_below(&prng, size_max - size_min + 1);
        fill_text(&prng, payload->bytes + used, size, index);
        payload->parts[index] = (struct weir_part){payload->bytes + used, size};
        used += size;
    }
    payload->total_bytes = used;
    return 0;
}

void bench_payload_destroy(struct bench_payload *payload)
{
    base_free(payload->bytes);
    payload->bytes = NULL;
}

uint64_t bench_payload_bytes(const struct bench_payload *payload, uint64_t first, uint64_t count)
{
    uint64_t bytes = count / BENCH_PAYLOADS * payload->total_bytes;
    for (uint64_t number = first; number < first + count % BENCH_PAYLOADS; number++) {
        bytes += bench_payload_at(payload, number)->size;
    }
    return bytes;
}

bool bench_payload_is_genuine(const struct bench_payload *payload, const void *data, size_t size)
{
    if (size < INDEX_DIGITS) {
        return false;
    }
    char digits[INDEX_DIGITS + 1] = {0};
    memcpy(digits, data, INDEX_DIGITS);
    char *end;
    unsigned long index = strtoul(digits, &end, 16);
    if (end != digits + INDEX_DIGITS || index >= BENCH_PAYLOADS) {
        return false;
    }
    const struct weir_part *part = &payload->parts[index];
    return part->size == size && memcmp(part->data, data, size) == 0;
}
