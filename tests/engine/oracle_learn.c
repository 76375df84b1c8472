/*
 * An oracle from a log: the fold over its records, for work whose order nobody knew before.
 *
 * Each record is held against what the ones before it add up to: its link must lead to the record
 * just before it of the same key, its operation must fit (SE-11). At or below the horizon that
 * record may be gone.
 */
#include "tests/engine/oracle.h"

#include <string.h>

static bool find_key(const struct oracle *oracle, struct weir_bytes key, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < oracle->key_count; i++) {
        if (oracle->keys[i].size == key.size &&
            memcmp(oracle->keys[i].bytes, key.data, key.size) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool find_table(const struct oracle *oracle, weir_table table, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < oracle->table_count; i++) {
        if (oracle->tables[i] == table) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool fits(const struct oracle *oracle, const struct weir_change *change,
                 const struct oracle_version *before)
{
    weir_lsn known = before != NULL ? before->lsn : WEIR_LSN_NONE;
    bool present = before != NULL && !before->deleted;
    bool linked =
        change->previous == known && (change->operation == WEIR_INSERT ? !present : present);
    bool may_be_gone = known <= oracle->horizon && change->previous <= oracle->horizon;
    return linked || may_be_gone;
}

static bool learn_change(struct oracle *oracle, const struct weir_change *change)
{
    uint32_t table, key;
    if (!find_table(oracle, change->table, &table) || !find_key(oracle, change->key, &key)) {
        return oracle_fail(oracle, "record %ju is of a key that nobody has written",
                           (uintmax_t)oracle->last + 1);
    }
    const struct oracle_version *before = oracle_version(oracle, table, key, ORACLE_NEWEST);
    if (!fits(oracle, change, before)) {
        return oracle_fail(oracle, "record %ju, operation %d, links to %ju: it follows %ju",
                           (uintmax_t)oracle->last + 1, (int)change->operation,
                           (uintmax_t)change->previous,
                           before != NULL ? (uintmax_t)before->lsn : 0);
    }
    oracle_add_change(oracle, table, key, change->operation == WEIR_REMOVE, change->value, true);
    struct oracle_chain *chain = &oracle->chains[table][key];
    chain->versions[chain->count - 1].previous = change->previous;
    chain->versions[chain->count - 1].operation = change->operation;
    return true;
}

static bool learn_record(struct oracle *oracle, const struct weir_record *record)
{
    struct weir_change change;
    weir_table table;
    char name[WEIR_TABLE_NAME_MAX + 1];
    while (oracle->last + 1 < record->lsn) { /* compacted away */
        oracle_add_other(oracle, ORACLE_NOTHING);
    }
    int rc = weir_change_decode(record, &change);
    if (rc == 1) {
        return learn_change(oracle, &change);
    }
    rc = rc == 0 ? weir_table_decode(record, &table, name) : rc;
    if (rc < 0) {
        return oracle_fail(oracle, "record %ju: %s", (uintmax_t)record->lsn, weir_error_name(rc));
    }
    if (rc == 1 && oracle->table_count < ORACLE_TABLES) {
        oracle->tables[oracle->table_count++] = table;
    }
    oracle_add_other(oracle, rc == 1 ? ORACLE_TABLE : ORACLE_APPLICATION);
    return true;
}

bool oracle_learn(struct oracle *oracle)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_stat stat = WEIR_STAT_INIT;
    struct weir_cursor *cursor;
    struct weir_record record;
    options.compacted = options.with_void = true;
    int rc = weir_log_stat(oracle->log, &stat);
    rc = rc == 0 ? weir_cursor_open(oracle->log, &options, &cursor) : rc;
    if (rc < 0) {
        return oracle_fail(oracle, "the log cannot be read: %s", weir_error_name(rc));
    }
    oracle->horizon = stat.horizon;
    bool right = true;
    while (right && (rc = weir_cursor_next(cursor, &record)) == 1) {
        right = learn_record(oracle, &record);
    }
    weir_cursor_close(cursor);
    return right && (rc == 0 || oracle_fail(oracle, "cursor_next behind %ju: %s",
                                            (uintmax_t)oracle->last, weir_error_name(rc)));
}
