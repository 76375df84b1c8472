/*
 * The oracle's own state: keys, chains of versions, what each record is, the fingerprint.
 */
#include "tests/engine/oracle.h"

#include "base/assert.h"
#include "base/le.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- keys ---- */

static int compare_keys(const void *left, const void *right)
{
    const struct oracle_key *a = left, *b = right;
    uint32_t size = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->bytes, b->bytes, size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* Short ones of few letters are prefixes of each other; long ones differ late. */
static void draw_key(struct base_prng *prng, struct oracle_key *ret_key)
{
    static const uint8_t letters[] = {0x00, 0x01, 'a', 'b', 0x7f, 0x80, 0xfe, 0xff};
    bool is_long = base_prng_below(prng, 8) == 0;
    uint32_t size = 1 + (uint32_t)base_prng_below(prng, 6);
    uint32_t before = is_long ? (uint32_t)base_prng_below(prng, 300) : 0;
    uint32_t range = base_prng_below(prng, 2) == 0 ? 2 : sizeof letters;
    memset(ret_key->bytes, 'k', before);
    for (uint32_t i = 0; i < size; i++) {
        ret_key->bytes[before + i] = letters[base_prng_below(prng, range)];
    }
    ret_key->size = before + size;
}

static void draw_keys(struct oracle *oracle, struct base_prng *prng)
{
    while (oracle->key_count < ORACLE_KEYS) {
        struct oracle_key *key = &oracle->keys[oracle->key_count];
        draw_key(prng, key);
        bool is_new = true;
        for (uint32_t i = 0; i < oracle->key_count; i++) {
            is_new = is_new && compare_keys(&oracle->keys[i], key) != 0;
        }
        oracle->key_count += is_new ? 1 : 0;
    }
    qsort(oracle->keys, oracle->key_count, sizeof *oracle->keys, compare_keys);
}

struct weir_bytes oracle_key(const struct oracle *oracle, uint32_t key)
{
    return (struct weir_bytes){oracle->keys[key].bytes, oracle->keys[key].size};
}

/* ---- life ---- */

void oracle_begin(struct oracle *oracle, struct base_prng *prng)
{
    *oracle = (struct oracle){.table_count = 1};
    draw_keys(oracle, prng);
}

static void chain_shorten(struct oracle_chain *chain, weir_lsn latest)
{
    while (chain->count > 0 && chain->versions[chain->count - 1].lsn > latest) {
        free((void *)(uintptr_t)chain->versions[--chain->count].value.data);
    }
}

void oracle_cut(struct oracle *oracle, weir_lsn latest)
{
    WEIR_ASSERT(latest <= oracle->last);
    for (uint32_t table = 0; table < ORACLE_TABLES; table++) {
        for (uint32_t key = 0; key < oracle->key_count; key++) {
            chain_shorten(&oracle->chains[table][key], latest);
        }
    }
    for (weir_lsn lsn = latest + 1; lsn <= oracle->last; lsn++) {
        oracle->table_count -= oracle->records[lsn].kind == ORACLE_TABLE ? 1 : 0;
        oracle->records[lsn] = (struct oracle_record){0};
    }
    oracle->last = latest;
}

void oracle_end(struct oracle *oracle)
{
    oracle_cut(oracle, 0);
    for (uint32_t table = 0; table < ORACLE_TABLES; table++) {
        for (uint32_t key = 0; key < oracle->key_count; key++) {
            free(oracle->chains[table][key].versions);
        }
    }
    free(oracle->records);
}

bool oracle_fail(struct oracle *oracle, const char *format, ...)
{
    if (!oracle->failed) {
        oracle->failed = true;
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(oracle->failure, sizeof oracle->failure, format, arguments);
        va_end(arguments);
    }
    return false;
}

/* ---- what happened ---- */

static struct oracle_record *next_record(struct oracle *oracle)
{
    oracle->last++;
    if (oracle->last >= oracle->records_capacity) {
        uint64_t capacity = 2 * oracle->last + 62;
        oracle->records = realloc(oracle->records, capacity * sizeof *oracle->records);
        WEIR_ASSERT(oracle->records != NULL);
        oracle->records_capacity = capacity;
    }
    return &oracle->records[oracle->last];
}

void oracle_add_other(struct oracle *oracle, enum oracle_kind kind)
{
    *next_record(oracle) = (struct oracle_record){.kind = (uint8_t)kind, .ends_batch = true};
}

static struct oracle_version *next_version(struct oracle_chain *chain)
{
    if (chain->count == chain->capacity) {
        chain->capacity = chain->capacity == 0 ? 8 : 2 * chain->capacity;
        chain->versions = realloc(chain->versions, chain->capacity * sizeof *chain->versions);
        WEIR_ASSERT(chain->versions != NULL);
    }
    return &chain->versions[chain->count++];
}

static struct weir_bytes copy_of(struct weir_bytes bytes)
{
    void *copy = malloc(bytes.size + 1);
    WEIR_ASSERT(copy != NULL);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return (struct weir_bytes){copy, bytes.size};
}

void oracle_add_change(struct oracle *oracle, uint32_t table, uint32_t key, bool deleted,
                       struct weir_bytes value, bool ends_batch)
{
    const struct oracle_version *before = oracle_version(oracle, table, key, ORACLE_NEWEST);
    bool present = before != NULL && !before->deleted;
    weir_lsn previous = before != NULL ? before->lsn : WEIR_LSN_NONE;
    *next_record(oracle) =
        (struct oracle_record){ORACLE_CHANGE, (uint8_t)table, (uint8_t)key, ends_batch};
    *next_version(&oracle->chains[table][key]) = (struct oracle_version){
        .lsn = oracle->last,
        .previous = previous,
        .deleted = deleted,
        .operation = deleted   ? WEIR_REMOVE
                     : present ? WEIR_UPDATE
                               : WEIR_INSERT,
        .value = copy_of(deleted ? (struct weir_bytes){NULL, 0} : value),
    };
}

static void copy_chain(const struct oracle_chain *chain, weir_lsn latest,
                       struct oracle_chain *ret_copy)
{
    for (uint32_t i = 0; i < chain->count && chain->versions[i].lsn <= latest; i++) {
        struct oracle_version *version = next_version(ret_copy);
        *version = chain->versions[i];
        version->value = copy_of(version->value);
    }
}

void oracle_copy(const struct oracle *oracle, weir_lsn latest, struct oracle *ret_copy)
{
    *ret_copy = (struct oracle){.key_count = oracle->key_count, .table_count = 1};
    memcpy(ret_copy->keys, oracle->keys, oracle->key_count * sizeof *oracle->keys);
    memcpy(ret_copy->tables, oracle->tables, sizeof oracle->tables);
    ret_copy->horizon = oracle->horizon;
    while (ret_copy->last < latest) {
        struct oracle_record *record = next_record(ret_copy);
        *record = oracle->records[ret_copy->last];
        ret_copy->table_count += record->kind == ORACLE_TABLE ? 1 : 0;
    }
    for (uint32_t table = 0; table < ret_copy->table_count; table++) {
        for (uint32_t key = 0; key < oracle->key_count; key++) {
            copy_chain(&oracle->chains[table][key], latest, &ret_copy->chains[table][key]);
        }
    }
}

/* ---- what is there ---- */

const struct oracle_version *oracle_version(const struct oracle *oracle, uint32_t table,
                                            uint32_t key, weir_lsn as_of)
{
    const struct oracle_chain *chain = &oracle->chains[table][key];
    uint32_t count = chain->count;
    while (count > 0 && chain->versions[count - 1].lsn > as_of) {
        count--;
    }
    return count > 0 ? &chain->versions[count - 1] : NULL;
}

const struct oracle_version *oracle_live(const struct oracle *oracle, uint32_t table, uint32_t key,
                                         weir_lsn as_of)
{
    const struct oracle_version *version = oracle_version(oracle, table, key, as_of);
    return version != NULL && !version->deleted ? version : NULL;
}

struct row_head {
    struct le32 table, key_size;
    struct le64 lsn;
};

static XXH128_hash_t hash_row(weir_table table, struct weir_bytes key,
                              const struct oracle_version *version)
{
    struct row_head head;
    size_t size = sizeof head + key.size + version->value.size;
    uint8_t *bytes = malloc(size);
    WEIR_ASSERT(bytes != NULL);
    le32_store(&head.table, table);
    le32_store(&head.key_size, (uint32_t)key.size);
    le64_store(&head.lsn, version->lsn);
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, key.data, key.size);
    memcpy(bytes + sizeof head + key.size, version->value.data, version->value.size);
    XXH128_hash_t hash = XXH3_128bits(bytes, size);
    free(bytes);
    return hash;
}

void oracle_fingerprint(const struct oracle *oracle, weir_lsn as_of, uint8_t ret_bytes[16],
                        uint64_t *ret_keys)
{
    uint64_t low = 0, high = 0; /* as the two halves of the sum are added up */
    *ret_keys = 0;
    for (uint32_t table = 0; table < oracle->table_count; table++) {
        for (uint32_t key = 0; key < oracle->key_count; key++) {
            const struct oracle_version *version = oracle_live(oracle, table, key, as_of);
            if (version != NULL) {
                XXH128_hash_t hash =
                    hash_row(oracle->tables[table], oracle_key(oracle, key), version);
                low += hash.low64;
                high += hash.high64 + (low < hash.low64 ? 1 : 0);
                ++*ret_keys;
            }
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        ret_bytes[i] = (uint8_t)((i < 8 ? low : high) >> (8 * (i % 8)));
    }
}
