/*
 * The records that every system under test gets: a fixed set of printable texts, used in turn, so
 * that making them costs nothing inside the clock and a reader can tell whether each is what was
 * written. A record of 8 bytes or more begins with its index in 8 hex digits.
 */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <weir/types.h>

#include <stdbool.h>

#define BENCH_PAYLOADS 1024 /* a power of two */

struct bench_payload {
    struct weir_part parts[BENCH_PAYLOADS];
    uint8_t *bytes;
    uint64_t total_bytes; /* of all of them once */
};

/* Returns 0 or -ENOMEM. Sizes are uniform in size_min..size_max, the same on every call. */
int bench_payload_create(struct bench_payload *payload, size_t size_min, size_t size_max);
void bench_payload_destroy(struct bench_payload *payload);

/* The record number `number`. */
static inline const struct weir_part *bench_payload_at(const struct bench_payload *payload,
                                                       uint64_t number)
{
    return &payload->parts[number & (BENCH_PAYLOADS - 1)];
}

/* Bytes of the records first..first + count - 1. */
uint64_t bench_payload_bytes(const struct bench_payload *payload, uint64_t first, uint64_t count);

/* Whether these bytes are one of the records; for sizes of 8 and above. */
bool bench_payload_is_genuine(const struct bench_payload *payload, const void *data, size_t size);

#endif
