/*
 * The keys that every store under test gets: a function of a number, so that nobody has to keep
 * them, and the same in every process. All keys of one kind have the same size.
 */
#ifndef BENCH_KV_KEY_H
#define BENCH_KV_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_key_kind {
    BENCH_KEY_U64 = 1, /* 8 bytes, spread over all of their range when the order is random */
    BENCH_KEY_USER,    /* "user:0000001234" */
    BENCH_KEY_URL,     /* "https://shop017.example.com/c05/products/0000001234?ref=9f3a" */
};

#define BENCH_KEY_BYTES_MAX 64u

struct bench_keys {
    enum bench_key_kind kind;
    bool ascending; /* a greater number makes a greater key; else any order */
    uint64_t count; /* numbers are below it */
    unsigned bits;  /* 2^bits >= count */
    size_t size;    /* bytes of each key */
};

/* @param count  1 to 2^40 */
void bench_keys_init(struct bench_keys *keys, enum bench_key_kind kind, bool ascending,
                     uint64_t count);

/* Fills in keys->size bytes. Different numbers make different keys. */
void bench_key_make(const struct bench_keys *keys, uint64_t number, uint8_t *ret_key);

/* A number that looks random, the same for the same `value` and never for two. */
uint64_t bench_mix(uint64_t value);

#endif
