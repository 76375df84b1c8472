/*
 * Records of the engine: building and reading them (docs/FORMAT.md, 9). Pure functions over memory.
 */
#ifndef ENGINE_RECORD_H
#define ENGINE_RECORD_H

#include "base/le.h"

#include <string.h>

#include <weir/change.h>
#include <weir/read.h>

struct record_change {
    struct le64 previous;
    struct le32 distance;
    struct le32 table;
    struct le16 key_size;
    uint8_t operation; /* enum weir_operation, and RECORD_HAS_SKIP */
    uint8_t since;
};

#define RECORD_CHANGE_BYTES 20u
#define RECORD_SKIP_BYTES 8u
#define RECORD_HEAD_BYTES_MAX (RECORD_CHANGE_BYTES + RECORD_SKIP_BYTES)
#define RECORD_HAS_SKIP 0x80u
#define RECORD_SINCE_MAX 255u
#define RECORD_DISTANCE_UNIT 8u

_Static_assert(sizeof(struct record_change) == RECORD_CHANGE_BYTES, "as in FORMAT.md");

/* One version of a key, as its record has it. Bytes are lent by the record. */
struct engine_version {
    weir_lsn lsn;
    uint64_t address;
    weir_lsn previous; /* 0 = none */
    weir_lsn skip;     /* 0 = none */
    uint32_t distance; /* in units; 0 = not known */
    weir_table table;
    enum weir_operation operation;
    uint8_t since;
    struct weir_bytes key, value;
};

/* What a writer puts in front of key and value. */
struct record_head {
    uint8_t bytes[RECORD_HEAD_BYTES_MAX];
    uint32_t size;
};

/* Builds the head of a change. `before`: NULL, or the key's version before, of which lsn, address,
 * since and skip count; lsn and address may be set later. */
void record_build(struct record_head *head, enum weir_operation operation, weir_table table,
                  uint32_t key_size, const struct engine_version *before);

/* Completes the link to the version before, once both places are known. */
void record_link(struct record_head *head, weir_lsn previous, uint64_t previous_address,
                 uint64_t address);

/* What the skip link of the version behind `before` is, and how far it is from it. */
void record_next_skip(const struct engine_version *before, weir_lsn *ret_skip, uint8_t *ret_since);

/* Reads a record of type WEIR_TYPE_CHANGE: 0; WEIR_E_RECORD. */
int record_read(const struct weir_record *record, uint64_t address,
                struct engine_version *ret_version);

/* The longest keys that are compared inline. */
#define RECORD_KEY_INLINE 128u

/* Are two keys of this size, 1 to RECORD_KEY_INLINE, the same? Without a call: what lives over one
 * is saved and loaded again by every look-up. Of a size that is no multiple of a load the last
 * overlaps the one before. */
static inline bool record_key_equals(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint64_t left, right, difference;
    if (__builtin_expect(size < sizeof left, 0)) {
        uint32_t bits = (uint32_t)(a[0] ^ b[0]) | (uint32_t)(a[size - 1] ^ b[size - 1]);
        for (size_t at = 1; at + 1 < size; at++) {
            bits |= (uint32_t)(a[at] ^ b[at]);
        }
        return bits == 0;
    }
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    if (size == sizeof left) {
        return left == right;
    }
    difference = left ^ right;
    size_t last = size - sizeof left;
    for (size_t at = sizeof left; at < last; at += sizeof left) {
        memcpy(&left, a + at, sizeof left);
        memcpy(&right, b + at, sizeof right);
        difference |= left ^ right;
    }
    memcpy(&left, a + last, sizeof left);
    memcpy(&right, b + last, sizeof right);
    return (difference | (left ^ right)) == 0;
}

static inline bool record_key_is(struct weir_bytes a, struct weir_bytes b)
{
    if (a.size != b.size) {
        return false;
    }
    return a.size - 1 < RECORD_KEY_INLINE ? record_key_equals(a.data, b.data, a.size)
                                          : memcmp(a.data, b.data, a.size) == 0;
}

/* What an index needs to know of a change. */
struct record_key {
    const uint8_t *data;
    uint32_t size;
    weir_table table;
    bool deleted;
};

/* As record_read(), and less of it: 0; WEIR_E_RECORD. */
static inline int record_read_key(const struct weir_record *record, struct record_key *ret_key)
{
    const struct record_change *change = (const struct record_change *)record->data;
    if (__builtin_expect(record->size < sizeof *change, 0)) {
        return WEIR_E_RECORD;
    }
    uint32_t skip_size =
        (change->operation & RECORD_HAS_SKIP) / (RECORD_HAS_SKIP / RECORD_SKIP_BYTES);
    unsigned operation = change->operation & ~RECORD_HAS_SKIP;
    uint32_t left = record->size - (uint32_t)sizeof *change;
    uint32_t size = le16_load(&change->key_size);
    bool deleted = operation == WEIR_REMOVE;
    if (__builtin_expect(operation - WEIR_INSERT > WEIR_REMOVE - WEIR_INSERT || size == 0 ||
                             left < skip_size + size || (deleted && left > skip_size + size),
                         0)) {
        return WEIR_E_RECORD;
    }
    *ret_key = (struct record_key){.data = (const uint8_t *)(change + 1) + skip_size,
                                   .size = size,
                                   .table = le32_load(&change->table),
                                   .deleted = deleted};
    return 0;
}

/* A change as a reader gets it: 1; 0 (a delete: the key alone is filled in); WEIR_E_RECORD. */
static inline int record_read_row(const struct weir_record *record, struct weir_row *ret_row)
{
    struct record_key key;
    int rc = record_read_key(record, &key);
    if (__builtin_expect(rc < 0, 0)) {
        return rc;
    }
    const uint8_t *end = (const uint8_t *)record->data + record->size;
    ret_row->key.data = key.data;
    ret_row->key.size = key.size;
    ret_row->value.data = key.data + key.size;
    ret_row->value.size = (size_t)(end - (key.data + key.size));
    ret_row->lsn = record->lsn;
    return key.deleted ? 0 : 1;
}

/* As record_read_row(), for a record of RECORD_CHANGE_BYTES at least, if it is a put and no delete.
 * False: record_read_row() tells what it is. */
static inline bool record_read_put(const struct weir_record *record, struct weir_row *ret_row)
{
    const struct record_change *change = (const struct record_change *)record->data;
    uint32_t operation = change->operation;
    size_t key_size = le16_load(&change->key_size);
    size_t skip_size = (operation & RECORD_HAS_SKIP) / (RECORD_HAS_SKIP / RECORD_SKIP_BYTES);
    size_t head = sizeof *change + skip_size + key_size;
    bool puts = (operation & ~RECORD_HAS_SKIP) - WEIR_INSERT <= WEIR_UPDATE - WEIR_INSERT;
    if (__builtin_expect(!puts || key_size == 0 || head > record->size, 0)) {
        return false;
    }
    const uint8_t *data = record->data;
    ret_row->key.data = data + sizeof *change + skip_size;
    ret_row->key.size = key_size;
    ret_row->value.data = data + head;
    ret_row->value.size = record->size - head;
    ret_row->lsn = record->lsn;
    return true;
}

/* The bytes that a change of a key without a skip link has at least. */
static inline uint32_t record_least(size_t key_size)
{
    return (uint32_t)(sizeof(struct record_change) + key_size);
}

/* As record_read_row(), if it is a put of this key, of 1 to RECORD_KEY_INLINE bytes, for a record
 * of record_least() bytes or more. False: it is something else, or there is a skip link. Where key
 * and value are is known before the record is there. */
static inline bool record_read_row_of(const struct weir_record *record, struct weir_bytes key,
                                      struct weir_row *ret_row)
{
    const uint8_t *found = (const uint8_t *)record->data + sizeof(struct record_change);
    struct le32 last; /* key_size, operation, since */
    memcpy(&last, found - sizeof last, sizeof last);
    /* WEIR_INSERT and WEIR_UPDATE are neighbours: they leave one bit. */
    uint32_t other = le32_load(&last) - ((uint32_t)WEIR_INSERT << 16 | (uint32_t)key.size);
    if (__builtin_expect((other & UINT32_C(0xfeffff)) != 0 ||
                             !record_key_equals(found, key.data, key.size),
                         0)) {
        return false;
    }
    ret_row->key = (struct weir_bytes){found, key.size};
    ret_row->value.data = found + key.size;
    ret_row->value.size = record->size - record_least(key.size);
    ret_row->lsn = record->lsn;
    return true;
}

/* The payload of a table's record: room for RECORD_TABLE_BYTES_MAX. Returns its size. */
#define RECORD_TABLE_BYTES_MAX (4u + WEIR_TABLE_NAME_MAX)
uint32_t record_build_table(uint8_t *payload, weir_table table, const char *name);

bool record_table_name_is_valid(const char *name);

#endif
