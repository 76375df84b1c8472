/*
 * Keys by number. The order is random when the number goes through a bijection first: of 64 bits
 * for plain numbers; for texts of as many bits as the count has, again and again until the result
 * is below the count, so that the population is dense as that of ascending keys.
 */
#include "bench/kv/key.h"

#include <string.h>

#define HOSTS 500u
#define CATEGORIES 40u

uint64_t bench_mix(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27;
    value *= UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

void bench_keys_init(struct bench_keys *keys, enum bench_key_kind kind, bool ascending,
                     uint64_t count)
{
    static const char user[] = "user:0000000000";
    static const char url[] = "https://shop000.example.com/c00/products/0000000000?ref=0000";
    *keys = (struct bench_keys){.kind = kind, .ascending = ascending, .count = count};
    for (keys->bits = 2; (UINT64_C(1) << keys->bits) < count; keys->bits++) {
    }
    keys->size = kind == BENCH_KEY_U64    ? sizeof(uint64_t)
                 : kind == BENCH_KEY_USER ? sizeof user - 1
                                          : sizeof url - 1;
}

static uint64_t permute(const struct bench_keys *keys, uint64_t number)
{
    uint64_t mask = (UINT64_C(1) << keys->bits) - 1;
    unsigned half = (keys->bits + 1) / 2;
    do {
        number ^= number >> half;
        number = (number * UINT64_C(0x9e3779b97f4a7c15)) & mask;
        number ^= number >> half;
        number = (number * UINT64_C(0xbf58476d1ce4e5b9)) & mask;
        number ^= number >> half;
    } while (number >= keys->count);
    return number;
}

static void write_decimal(uint8_t *at, unsigned digits, uint64_t number)
{
    while (digits-- > 0) {
        at[digits] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
}

static void write_hex(uint8_t *at, unsigned digits, uint64_t number)
{
    while (digits-- > 0) {
        at[digits] = (uint8_t) "0123456789abcdef"[number & 15];
        number >>= 4;
    }
}

static void write_url(const struct bench_keys *keys, uint64_t number, uint8_t *at)
{
    uint64_t of_host = keys->count / HOSTS + 1;
    memcpy(at, "https://shop", 12);
    write_decimal(at + 12, 3, number / of_host);
    memcpy(at + 15, ".example.com/c", 14);
    write_decimal(at + 29, 2, number % of_host * CATEGORIES / of_host);
    memcpy(at + 31, "/products/", 10);
    write_decimal(at + 41, 10, number);
    memcpy(at + 51, "?ref=", 5);
    write_hex(at + 56, 4, bench_mix(number));
}

void bench_key_make(const struct bench_keys *keys, uint64_t number, uint8_t *ret_key)
{
    if (keys->kind == BENCH_KEY_U64) {
        uint64_t value = keys->ascending ? number : bench_mix(number + 1);
        value = __builtin_bswap64(value); /* big-endian: in the order of bytes */
        memcpy(ret_key, &value, sizeof value);
        return;
    }
    if (!keys->ascending) {
        number = permute(keys, number);
    }
    if (keys->kind == BENCH_KEY_USER) {
        memcpy(ret_key, "user:", 5);
        write_decimal(ret_key + 5, 10, number);
    } else {
        write_url(keys, number, ret_key);
    }
}
