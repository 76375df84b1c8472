/*
 * Records of the engine.
 *
 * Happy path: a writer builds the head from the version before, and the log stamps the links that
 * only it knows; a reader checks that the parts fill the payload, and lends them.
 *
 * Failure modes: bytes that no engine wrote (WEIR_E_RECORD). Their checksum was right, so this is
 * another program's record under our type, or a newer format.
 *
 * Invariant: a version's skip link is a function of the version before alone, so that a writer
 * reads one record, however long the history is.
 */
#include "engine/record.h"

#include "base/assert.h"

#include <string.h>

void record_next_skip(const struct engine_version *before, weir_lsn *ret_skip, uint8_t *ret_since)
{
    if (before->since == RECORD_SINCE_MAX) {
        *ret_skip = before->lsn;
        *ret_since = 0;
    } else {
        *ret_skip = before->skip;
        *ret_since = (uint8_t)(before->since + 1);
    }
}

void record_build(struct record_head *head, enum weir_operation operation, weir_table table,
                  uint32_t key_size, const struct engine_version *before)
{
    struct record_change change = {.operation = (uint8_t)operation};
    weir_lsn skip = WEIR_LSN_NONE;
    head->size = RECORD_CHANGE_BYTES;
    if (before != NULL) {
        le64_store(&change.previous, before->lsn);
        record_next_skip(before, &skip, &change.since);
    }
    if (skip != WEIR_LSN_NONE) {
        struct le64 link;
        le64_store(&link, skip);
        memcpy(head->bytes + RECORD_CHANGE_BYTES, &link, sizeof link);
        change.operation |= RECORD_HAS_SKIP;
        head->size += RECORD_SKIP_BYTES;
    }
    le32_store(&change.table, table);
    le16_store(&change.key_size, (uint16_t)key_size);
    memcpy(head->bytes, &change, sizeof change);
}

void record_link(struct record_head *head, weir_lsn previous, uint64_t previous_address,
                 uint64_t address)
{
    uint64_t units = (address - previous_address) / RECORD_DISTANCE_UNIT;
    bool fits = address > previous_address && units <= UINT32_MAX;
    struct le64 link;
    struct le32 distance;
    le64_store(&link, previous);
    le32_store(&distance, fits ? (uint32_t)units : 0);
    memcpy(head->bytes + offsetof(struct record_change, previous), &link, sizeof link);
    memcpy(head->bytes + offsetof(struct record_change, distance), &distance, sizeof distance);
}

int record_read(const struct weir_record *record, uint64_t address,
                struct engine_version *ret_version)
{
    struct record_key key;
    int rc = record_read_key(record, &key);
    if (rc < 0) {
        return rc;
    }
    const struct record_change *change = record->data;
    const uint8_t *at = (const uint8_t *)(change + 1);
    const uint8_t *end = (const uint8_t *)record->data + record->size;
    bool has_skip = (change->operation & RECORD_HAS_SKIP) != 0;
    *ret_version = (struct engine_version){
        .lsn = record->lsn,
        .address = address,
        .previous = le64_load(&change->previous),
        .skip = has_skip ? le64_load((const struct le64 *)(const void *)at) : WEIR_LSN_NONE,
        .distance = le32_load(&change->distance),
        .table = key.table,
        .operation = (enum weir_operation)(change->operation & ~RECORD_HAS_SKIP),
        .since = change->since,
        .key = {key.data, key.size},
        .value = {key.data + key.size, (size_t)(end - key.data) - key.size},
    };
    return 0;
}

int weir_change_decode(const struct weir_record *record, struct weir_change *ret_change)
{
    struct engine_version version;
    if (record->type != WEIR_TYPE_CHANGE ||
        (record->flags & (WEIR_RECORD_VOID | WEIR_RECORD_GAP)) != 0) {
        return 0;
    }
    int rc = record_read(record, 0, &version);
    if (rc < 0) {
        return rc;
    }
    *ret_change = (struct weir_change){
        .operation = version.operation,
        .table = version.table,
        .key = version.key,
        .value = version.value,
        .previous = version.previous,
    };
    return 1;
}

/* ---- tables ---- */

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte == '.';
}

static bool name_is_valid(const char *name, size_t size)
{
    bool valid = size > 0 && size <= WEIR_TABLE_NAME_MAX && name[0] != '.';
    for (size_t i = 0; i < size && valid; i++) {
        valid = is_name_byte(name[i]);
    }
    return valid;
}

bool record_table_name_is_valid(const char *name)
{
    return name_is_valid(name, strnlen(name, WEIR_TABLE_NAME_MAX + 1));
}

uint32_t record_build_table(uint8_t *payload, weir_table table, const char *name)
{
    struct le32 number;
    size_t size = strlen(name);
    WEIR_ASSERT(name_is_valid(name, size));
    le32_store(&number, table);
    memcpy(payload, &number, sizeof number);
    memcpy(payload + sizeof number, name, size);
    return (uint32_t)(sizeof number + size);
}

int weir_table_decode(const struct weir_record *record, weir_table *ret_table, char *ret_name)
{
    if (record->type != WEIR_TYPE_TABLE ||
        (record->flags & (WEIR_RECORD_VOID | WEIR_RECORD_GAP)) != 0) {
        return 0;
    }
    struct le32 number;
    const char *name = (const char *)record->data + sizeof number;
    if (record->size <= sizeof number || !name_is_valid(name, record->size - sizeof number)) {
        return WEIR_E_RECORD;
    }
    memcpy(&number, record->data, sizeof number);
    weir_table table = le32_load(&number);
    if (table == WEIR_TABLE_DEFAULT || table >= WEIR_TABLES_MAX) {
        return WEIR_E_RECORD;
    }
    *ret_table = table;
    memcpy(ret_name, name, record->size - sizeof number);
    ret_name[record->size - sizeof number] = '\0';
    return 1;
}
