/*
 * Follow: applying a record of the log, in its order.
 *
 * For what is behind a checkpoint, and for a reader beside a live writer: replay.c lends it the
 * records. Whole logs are rebuilt by rebuild.c, which is many times faster.
 *
 * Happy path: tables are added, changes point their key at themselves.
 *
 * The version that a change takes the place of is not looked at: it may be anywhere in the log, and
 * on a disk. The change says how far in front of it that one lay, and where the index has exactly
 * that address for the bytes of the key, the address proves the key:
 *   - The distance was taken under the key's lock, from the address that the index had for it.
 *   - Neither record has moved since. A compaction moves them to compacted segments, and this one
 *     lies in an ordinary one, from which a distance leads to ordinary ones only: the others lie
 *     above all of them. A salvage makes another log, and what is followed is what was appended
 *     after a checkpoint of this log was made, or after all of it was read.
 *   - No durable record of an ordinary segment makes room for another one: ordinals are given once,
 *     and what a crash cuts off is cut off with all that came behind it, links to it included.
 *   - Nobody else writes such records: the log refuses their types to its callers.
 * So it is the record that it was. In all other cases (there was none, it has moved, the index has
 * a newer one) the record that the index leads to is read and compared.
 *
 * Failure modes: a record that no engine wrote, or of a table that was not there yet; no memory.
 * Nothing has changed then.
 *
 * Invariant: a version never replaces a newer one: a checkpoint may hold some that come later.
 */
#include "engine/follow.h"

#include "base/assert.h"
#include "wal/address_fetch.h"

#include <errno.h>

/* ---- what is looked at ---- */

int follow_version_at(struct weir_engine *engine, struct wal_address_fetch *fetch, uint64_t address,
                      struct engine_version *ret_version)
{
    struct weir_record record;
    if (fetch != NULL && wal_address_fetch_take(fetch, address, &record) &&
        record.type == WEIR_TYPE_CHANGE) {
        return record_read(&record, address, ret_version);
    }
    return place_version(&engine->places, address, ret_version);
}

/* The newest version of a key in the index: as place_find(). */
static int find(struct weir_engine *engine, struct wal_address_fetch *fetch,
                struct engine_table *table, struct weir_bytes key,
                struct engine_version *ret_version)
{
    uint64_t address;
    const struct index_key wanted = {key.data, (uint32_t)key.size};
    if (!index_candidate(&table->index, wanted, &address)) {
        return 0;
    }
    int rc = follow_version_at(engine, fetch, address, ret_version);
    return rc < 0 ? rc : record_key_is(ret_version->key, key);
}

/* ---- applying ---- */

static void count_deleted(struct engine_table *table, bool was_deleted, bool is_deleted)
{
    if (is_deleted && !was_deleted) {
        atomic_fetch_add_explicit(&table->deleted, 1, memory_order_relaxed);
    } else if (was_deleted && !is_deleted) {
        atomic_fetch_sub_explicit(&table->deleted, 1, memory_order_relaxed);
    }
}

uint64_t follow_address_before(const struct weir_engine *engine,
                               const struct engine_version *version)
{
    uint64_t address = version->address;
    uint64_t back = (uint64_t)version->distance * RECORD_DISTANCE_UNIT;
    bool tells = back != 0 && back < address &&
                 wal_address_ordinal(engine->log, address) < WAL_ADDRESS_COMPACTED;
    return tells ? address - back : 0;
}

/* Follows the link of a record without looking at what it leads to, where the index has the very
 * place that it names: 1. 0, or an error: nothing has changed. */
static int apply_over_before(struct weir_engine *engine, struct engine_table *table,
                             const struct engine_version *version)
{
    const struct index_key key = {version->key.data, (uint32_t)version->key.size};
    uint64_t before = follow_address_before(engine, version);
    int rc = before != 0 ? index_replace(&table->index, key, before, version->address) : 0;
    if (rc != 1) {
        return rc;
    }
    /* Decided under the key's lock: nothing but a delete has an insert behind it, nothing but what
     * is there is updated or removed. */
    count_deleted(table, version->operation == WEIR_INSERT, version->operation == WEIR_REMOVE);
    return 1;
}

static int apply_change(struct weir_engine *engine, struct wal_address_fetch *fetch,
                        const struct weir_record *record, uint64_t address)
{
    struct engine_version version, old;
    int rc = record_read(record, address, &version);
    struct engine_table *table = rc == 0 ? table_of(engine, version.table) : NULL;
    if (table == NULL || table->created > version.lsn) { /* another thread may have been faster */
        return WEIR_E_RECORD;
    }
    rc = apply_over_before(engine, table, &version);
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    const struct index_key key = {version.key.data, (uint32_t)version.key.size};
    uint64_t old_address;
    rc = find(engine, fetch, table, version.key, &old);
    bool exists = rc == 1;
    if (rc < 0 || (exists && old.lsn >= version.lsn)) {
        return rc < 0 ? rc : 0;
    }
    rc = index_put(&table->index, key, address, &old_address);
    if (rc == 0) {
        count_deleted(table, exists && old.operation == WEIR_REMOVE,
                      version.operation == WEIR_REMOVE);
    }
    return rc;
}

int follow_apply_fetched(struct weir_engine *engine, struct wal_address_fetch *fetch,
                         const struct weir_record *record, uint64_t address)
{
    if (record->type == WEIR_TYPE_CHANGE) {
        return apply_change(engine, fetch, record, address);
    }
    weir_table number;
    char name[WEIR_TABLE_NAME_MAX + 1];
    int rc = weir_table_decode(record, &number, name);
    if (rc == 1) {
        base_lock_acquire(&engine->tables.lock);
        rc = table_add(engine, number, name, record->lsn);
        base_lock_release(&engine->tables.lock);
    }
    return rc;
}

int follow_apply(struct weir_engine *engine, const struct weir_record *record, uint64_t address)
{
    return follow_apply_fetched(engine, NULL, record, address);
}

int follow_explain(const struct weir_cursor *cursor, const struct weir_record *record, int rc,
                   struct weir_error *why)
{
    if (record != NULL) {
        rc = engine_error(why, rc, "record %llu cannot be applied: %s",
                          (unsigned long long)record->lsn, weir_error_text(rc));
        if (why != NULL) {
            why->from_lsn = why->to_lsn = record->lsn;
        }
        return rc;
    }
    if (why != NULL) {
        weir_cursor_error(cursor, why);
    }
    if (why != NULL && why->code != rc) {
        engine_error(why, rc, "the log cannot be replayed at LSN %llu: %s",
                     (unsigned long long)weir_cursor_position(cursor), weir_error_text(rc));
    }
    return rc;
}
