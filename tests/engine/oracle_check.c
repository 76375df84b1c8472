/*
 * The engine against the oracle: gets, scans, histories, fingerprints, numbers, records.
 *
 * At or below the horizon of compaction histories may end early, and deletes may be gone.
 */
#include "tests/engine/oracle.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_same(struct weir_bytes a, struct weir_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static uintmax_t number_of(const struct oracle_version *version)
{
    return version != NULL ? version->lsn : 0;
}

static bool begin(struct oracle *oracle, weir_lsn as_of, struct weir_read *ret_read)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    options.view = as_of == ORACLE_NEWEST ? WEIR_VIEW_NEWEST : WEIR_VIEW_AS_OF;
    options.lsn = as_of == ORACLE_NEWEST ? 0 : as_of;
    int rc = weir_read_begin(oracle->engine, &options, ret_read);
    return rc == 0 ||
           oracle_fail(oracle, "read as of %ju: %s", (uintmax_t)as_of, weir_error_name(rc));
}

bool oracle_check_horizon(struct oracle *oracle)
{
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    int rc = weir_engine_stat(oracle->engine, &status);
    if (rc < 0) {
        return oracle_fail(oracle, "stat: %s", weir_error_name(rc));
    }
    if (status.horizon < oracle->horizon || status.horizon > status.durable) {
        return oracle_fail(oracle, "the horizon is %ju, was %ju, durable is %ju",
                           (uintmax_t)status.horizon, (uintmax_t)oracle->horizon,
                           (uintmax_t)status.durable);
    }
    oracle->horizon = status.horizon;
    return true;
}

/* ---- gets ---- */

static bool check_get(struct oracle *oracle, struct weir_read *read, uint32_t table, uint32_t key)
{
    const struct oracle_version *expected = oracle_live(oracle, table, key, read->as_of);
    struct weir_row row;
    int rc = weir_get(read, oracle->tables[table], oracle_key(oracle, key), &row);
    bool right = rc == (expected != NULL ? 1 : 0);
    if (right && rc == 1) {
        right = row.lsn == expected->lsn && is_same(row.value, expected->value) &&
                is_same(row.key, oracle_key(oracle, key));
    }
    return right || oracle_fail(oracle,
                                "get of key %u of table %u as of %ju: %d (version %ju), expected "
                                "version %ju",
                                key, table, (uintmax_t)read->as_of, rc,
                                (uintmax_t)(rc == 1 ? row.lsn : 0), number_of(expected));
}

/* All keys of a table at once, the other way round. */
static bool check_batch(struct oracle *oracle, struct weir_read *read, uint32_t table)
{
    struct weir_bytes keys[ORACLE_KEYS];
    struct weir_row rows[ORACLE_KEYS];
    int found = 0;
    bool right = true;
    for (uint32_t key = 0; key < oracle->key_count; key++) {
        keys[key] = oracle_key(oracle, oracle->key_count - 1 - key);
    }
    int rc = weir_get_batch(read, oracle->tables[table], keys, oracle->key_count, rows);
    for (uint32_t key = 0; right && key < oracle->key_count; key++) {
        const struct oracle_version *expected =
            oracle_live(oracle, table, oracle->key_count - 1 - key, read->as_of);
        right = rows[key].lsn == number_of(expected);
        if (right && expected != NULL) {
            right = is_same(rows[key].value, expected->value) && is_same(rows[key].key, keys[key]);
        }
        found += expected != NULL;
    }
    return (right && rc == found) ||
           oracle_fail(oracle, "get of all keys of table %u as of %ju: %d, expected %d", table,
                       (uintmax_t)read->as_of, rc, found);
}

bool oracle_check_gets(struct oracle *oracle, weir_lsn as_of)
{
    struct weir_read read;
    if (!begin(oracle, as_of, &read)) {
        return false;
    }
    bool right = true;
    for (uint32_t table = 0; right && table < oracle->table_count; table++) {
        for (uint32_t key = 0; right && key < oracle->key_count; key++) {
            right = check_get(oracle, &read, table, key);
        }
        right = right && check_batch(oracle, &read, table);
    }
    weir_read_end(&read);
    return right;
}

/* ---- scans ---- */

static bool is_wanted(const struct weir_scan_options *options, struct weir_bytes key)
{
    size_t low = key.size < options->from.size ? key.size : options->from.size;
    int from = low > 0 ? memcmp(key.data, options->from.data, low) : 0;
    bool above = from > 0 || (from == 0 && key.size >= options->from.size);
    size_t high = key.size < options->to.size ? key.size : options->to.size;
    int to = high > 0 ? memcmp(key.data, options->to.data, high) : 0;
    bool below = !options->bounded || to < 0 || (to == 0 && key.size < options->to.size);
    bool begins = key.size >= options->prefix.size &&
                  (options->prefix.size == 0 ||
                   memcmp(key.data, options->prefix.data, options->prefix.size) == 0);
    return above && below && begins;
}

/* The rows that are expected, in order. */
static uint32_t expect_rows(const struct oracle *oracle, weir_lsn as_of,
                            const struct weir_scan_options *options, uint32_t table,
                            uint32_t ret_keys[ORACLE_KEYS])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < oracle->key_count; i++) {
        uint32_t key = options->reverse ? oracle->key_count - 1 - i : i;
        if (is_wanted(options, oracle_key(oracle, key)) &&
            oracle_live(oracle, table, key, as_of) != NULL) {
            ret_keys[count++] = key;
        }
    }
    return count;
}

/* Rows until there are no more, or one too many. */
static int take_rows(struct weir_scan *scan, int batch, struct weir_row *ret_rows, int max)
{
    int count = 0, rc = 1;
    while (rc > 0 && count < max) {
        int room = max - count < batch ? max - count : batch;
        rc = batch == 1 ? weir_scan_next(scan, &ret_rows[count])
                        : weir_scan_next_batch(scan, &ret_rows[count], room);
        count += rc > 0 ? rc : 0;
    }
    return rc < 0 ? rc : count;
}

static bool compare_rows(struct oracle *oracle, weir_lsn as_of, uint32_t table,
                         const struct weir_row *rows, const uint32_t *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct oracle_version *version = oracle_live(oracle, table, keys[i], as_of);
        if (!is_same(rows[i].key, oracle_key(oracle, keys[i])) || rows[i].lsn != version->lsn ||
            !is_same(rows[i].value, version->value)) {
            return oracle_fail(oracle, "scan of table %u as of %ju: row %u is version %ju, not %ju",
                               table, (uintmax_t)as_of, i, (uintmax_t)rows[i].lsn,
                               (uintmax_t)version->lsn);
        }
    }
    return true;
}

static bool scan(struct oracle *oracle, struct weir_read *read,
                 const struct weir_scan_options *options, uint32_t table, int batch)
{
    struct weir_scan *scan;
    struct weir_row rows[ORACLE_KEYS + 1];
    uint32_t keys[ORACLE_KEYS];
    uint32_t expected = expect_rows(oracle, read->as_of, options, table, keys);
    int rc = weir_scan_open(read, options, &scan);
    if (rc < 0) {
        return oracle_fail(oracle, "scan_open: %s", weir_error_name(rc));
    }
    rc = take_rows(scan, batch, rows, ORACLE_KEYS + 1);
    weir_scan_close(scan);
    if (rc != (int)expected) {
        return oracle_fail(oracle, "scan of table %u as of %ju%s: %d rows, expected %u", table,
                           (uintmax_t)read->as_of, options->reverse ? " in reverse" : "", rc,
                           expected);
    }
    return compare_rows(oracle, read->as_of, table, rows, keys, expected);
}

bool oracle_check_scan(struct oracle *oracle, weir_lsn as_of,
                       const struct weir_scan_options *options, uint32_t table, int batch)
{
    struct weir_read read;
    struct weir_scan_options in_table = *options;
    in_table.table = oracle->tables[table];
    if (!begin(oracle, as_of, &read)) {
        return false;
    }
    bool right = scan(oracle, &read, &in_table, table, batch);
    weir_read_end(&read);
    return right;
}

bool oracle_check_scans(struct oracle *oracle, weir_lsn as_of)
{
    bool right = true;
    for (uint32_t table = 0; right && table < oracle->table_count; table++) {
        struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
        right = oracle_check_scan(oracle, as_of, &options, table, 64);
        options.reverse = true;
        right = right && oracle_check_scan(oracle, as_of, &options, table, 1);
    }
    return right;
}

/* ---- histories ---- */

static bool is_version(const struct weir_key_version *found, const struct oracle_version *expected)
{
    return found->lsn == expected->lsn && found->deleted == expected->deleted &&
           is_same(found->value, expected->value);
}

/* May a history end in front of versions[count - 1]? When the version that counts at the horizon
 * has been shown, or was a delete. */
static bool may_end(const struct oracle *oracle, const struct oracle_chain *chain, uint32_t count)
{
    if (count == 0) {
        return true;
    }
    const struct oracle_version *next = &chain->versions[count - 1];
    bool shown = count < chain->count && chain->versions[count].lsn <= oracle->horizon;
    return next->lsn <= oracle->horizon && (shown || next->deleted);
}

static bool walk_history(struct oracle *oracle, struct weir_history *history, uint32_t table,
                         uint32_t key, weir_lsn as_of)
{
    const struct oracle_chain *chain = &oracle->chains[table][key];
    struct weir_key_version version;
    uint32_t left = chain->count;
    int rc;
    while (left > 0 && chain->versions[left - 1].lsn > as_of) {
        left--;
    }
    while ((rc = weir_history_next(history, &version)) == 1) {
        if (left == 0 && version.deleted && version.lsn <= oracle->horizon) {
            /* A delete that was compacted away and can still be found is the end, too. */
            rc = weir_history_next(history, &version);
            break;
        }
        if (left == 0 || !is_version(&version, &chain->versions[left - 1])) {
            return oracle_fail(oracle, "history of key %u of table %u as of %ju shows %ju, not %ju",
                               key, table, (uintmax_t)as_of, (uintmax_t)version.lsn,
                               left > 0 ? (uintmax_t)chain->versions[left - 1].lsn : 0);
        }
        left--;
    }
    return (rc == 0 && may_end(oracle, chain, left)) ||
           oracle_fail(oracle,
                       "history of key %u of table %u as of %ju ends (%d) with %u to come, "
                       "horizon %ju",
                       key, table, (uintmax_t)as_of, rc, left, (uintmax_t)oracle->horizon);
}

bool oracle_check_history(struct oracle *oracle, uint32_t table, uint32_t key, weir_lsn as_of)
{
    struct weir_read read;
    struct weir_history history;
    if (!begin(oracle, as_of, &read)) {
        return false;
    }
    int rc = weir_history_begin(&read, oracle->tables[table], oracle_key(oracle, key), &history);
    bool right = rc == 0 ? walk_history(oracle, &history, table, key, as_of)
                         : oracle_fail(oracle, "history_begin: %s", weir_error_name(rc));
    weir_read_end(&read);
    return right;
}

/* ---- fingerprints and numbers ---- */

bool oracle_check_fingerprint(struct oracle *oracle, weir_lsn as_of)
{
    uint8_t expected[16], found[16];
    uint64_t expected_keys, found_keys = 0;
    weir_lsn lsn = as_of == ORACLE_NEWEST ? 0 : as_of;
    oracle_fingerprint(oracle, as_of, expected, &expected_keys);
    int rc = weir_engine_fingerprint(oracle->engine, lsn, found, &found_keys);
    if (rc < 0 || found_keys != expected_keys || memcmp(found, expected, sizeof found) != 0) {
        return oracle_fail(oracle, "fingerprint as of %ju: %d, %ju keys, expected %ju",
                           (uintmax_t)as_of, rc, (uintmax_t)found_keys, (uintmax_t)expected_keys);
    }
    return true;
}

bool oracle_check_stat(struct oracle *oracle)
{
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    int rc = weir_engine_stat(oracle->engine, &status);
    uint64_t live = 0, deleted = 0, gone = 0;
    for (uint32_t table = 0; table < oracle->table_count; table++) {
        for (uint32_t key = 0; key < oracle->key_count; key++) {
            const struct oracle_version *version =
                oracle_version(oracle, table, key, ORACLE_NEWEST);
            live += version != NULL && !version->deleted;
            deleted += version != NULL && version->deleted;
            gone += version != NULL && version->deleted && version->lsn <= oracle->horizon;
        }
    }
    bool right = rc == 0 && status.keys == live && status.deleted_keys <= deleted &&
                 status.deleted_keys >= deleted - gone && status.tables == oracle->table_count &&
                 status.applied == oracle->last && status.durable <= status.applied;
    return right ||
           oracle_fail(oracle,
                       "stat: %d, %ju keys, %ju deleted, %ju tables, applied %ju; expected %ju, "
                       "%ju (%ju), %u, %ju",
                       rc, (uintmax_t)status.keys, (uintmax_t)status.deleted_keys,
                       (uintmax_t)status.tables, (uintmax_t)status.applied, (uintmax_t)live,
                       (uintmax_t)deleted, (uintmax_t)gone, oracle->table_count,
                       (uintmax_t)oracle->last);
}

/* ---- records ---- */

/* A put of a key whose delete was compacted away is the first one that the engine knows of. */
static bool link_is_right(const struct oracle *oracle, const struct weir_change *change,
                          const struct oracle_version *version)
{
    bool may_be_gone = change->operation == WEIR_INSERT && version->previous <= oracle->horizon;
    return change->previous == version->previous ||
           (change->previous == WEIR_LSN_NONE && may_be_gone);
}

static bool change_is_right(const struct oracle *oracle, const struct weir_change *change,
                            weir_lsn lsn)
{
    const struct oracle_record *record = &oracle->records[lsn];
    const struct oracle_version *version = oracle_version(oracle, record->table, record->key, lsn);
    return record->kind == ORACLE_CHANGE && version != NULL && version->lsn == lsn &&
           change->operation == version->operation && link_is_right(oracle, change, version) &&
           change->table == oracle->tables[record->table] &&
           is_same(change->key, oracle_key(oracle, record->key)) &&
           is_same(change->value, version->value);
}

static bool record_is_right(struct oracle *oracle, const struct weir_record *record)
{
    struct weir_change change;
    if (record->lsn > oracle->last) {
        return oracle_fail(oracle, "record %ju behind the end, %ju", (uintmax_t)record->lsn,
                           (uintmax_t)oracle->last);
    }
    uint8_t kind = oracle->records[record->lsn].kind;
    int rc = weir_change_decode(record, &change);
    bool right = rc == 1   ? change_is_right(oracle, &change, record->lsn)
                 : rc == 0 ? kind == ORACLE_APPLICATION || kind == ORACLE_TABLE
                           : false;
    return right ||
           oracle_fail(oracle,
                       "record %ju (decoded: %d; operation %d, previous %ju) is not what "
                       "was written; horizon %ju",
                       (uintmax_t)record->lsn, rc, rc == 1 ? (int)change.operation : 0,
                       rc == 1 ? (uintmax_t)change.previous : 0, (uintmax_t)oracle->horizon);
}

bool oracle_check_log(struct oracle *oracle)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    struct weir_record record;
    options.with_void = true;
    options.compacted = true;
    int rc = weir_cursor_open(oracle->log, &options, &cursor);
    if (rc < 0) {
        return oracle_fail(oracle, "cursor_open: %s", weir_error_name(rc));
    }
    weir_lsn next = 1;
    bool right = true;
    while (right && (rc = weir_cursor_next(cursor, &record)) == 1) {
        right = record_is_right(oracle, &record);
        if (right && record.lsn != next && record.lsn > oracle->horizon + 1) {
            right = oracle_fail(oracle, "record %ju where %ju was due", (uintmax_t)record.lsn,
                                (uintmax_t)next);
        }
        next = record.lsn + 1;
    }
    weir_cursor_close(cursor);
    return right && (rc == 0 || oracle_fail(oracle, "cursor_next at %ju: %s", (uintmax_t)next,
                                            weir_error_name(rc)));
}

bool oracle_check(struct oracle *oracle)
{
    bool right = oracle_check_horizon(oracle) && oracle_check_gets(oracle, ORACLE_NEWEST) &&
                 oracle_check_scans(oracle, ORACLE_NEWEST) && oracle_check_stat(oracle) &&
                 oracle_check_log(oracle);
    for (uint32_t table = 0; right && table < oracle->table_count; table++) {
        for (uint32_t key = 0; right && key < oracle->key_count; key++) {
            right = oracle_check_history(oracle, table, key, ORACLE_NEWEST);
        }
    }
    return right;
}
