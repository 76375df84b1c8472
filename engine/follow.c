/*
 * Follow: applying the records of the log, in its order, one by one.
 *
 * For what is behind a checkpoint, and for a reader beside a live writer. Whole logs are replayed
 * by rebuild.c, which is many times faster.
 *
 * Happy path: a cursor lends records; tables are added, changes point their key at themselves.
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
 * Failure modes: a record that no engine wrote; damage and gaps, as the cursor says; no memory.
 * What was applied stays applied, and going on from there is right.
 *
 * Invariant: a version never replaces a newer one: a checkpoint may hold some that come later.
 */
#include "engine/engine.h"

#include "base/assert.h"
#include "wal/address_fetch.h"

#include <errno.h>

#define FOLLOW_BATCH 64

_Static_assert(FOLLOW_BATCH <= WAL_ADDRESS_FETCHES, "one record is looked at for each");

/* A replay. */
struct following {
    struct weir_engine *engine;
    struct weir_cursor *cursor;
    struct wal_address_fetch *fetch; /* NULL: all records are read where they lie */
    struct index_source source;      /* of all tables, otherwise */
};

/* ---- what is looked at ---- */

static int version_at(struct weir_engine *engine, struct wal_address_fetch *fetch, uint64_t address,
                      struct engine_version *ret_version)
{
    struct weir_record record;
    if (fetch != NULL && wal_address_fetch_take(fetch, address, &record) &&
        record.type == WEIR_TYPE_CHANGE) {
        return record_read(&record, address, ret_version);
    }
    return place_version(&engine->places, address, ret_version);
}

static int load_key(void *context, uint64_t address, struct index_key *ret_key)
{
    struct following *following = context;
    struct engine_version version;
    int rc = version_at(following->engine, following->fetch, address, &version);
    if (rc == 0) {
        *ret_key = (struct index_key){version.key.data, (uint32_t)version.key.size};
    }
    return rc;
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
    int rc = version_at(engine, fetch, address, ret_version);
    return rc < 0 ? rc : record_key_is(ret_version->key, key);
}

static void use_source(struct weir_engine *engine, const struct index_source *source)
{
    uint32_t end = atomic_load_explicit(&engine->tables.end, memory_order_relaxed);
    for (uint32_t i = 0; i < end; i++) {
        struct engine_table *table = table_of(engine, i);
        if (table != NULL) {
            table->index.source = *source;
        }
    }
}

/* While an engine is opened, the few records that are looked at are fetched one by one. */
static int begin_fetching(struct following *following)
{
    struct weir_engine *engine = following->engine;
    if (engine->read_only) {
        return 0;
    }
    int rc = wal_address_fetch_open(engine->log, &following->fetch);
    if (rc == 0) {
        following->source = table_of(engine, WEIR_TABLE_DEFAULT)->index.source;
        use_source(engine, &(struct index_source){.load = load_key, .context = following});
    }
    return rc;
}

static void end_fetching(struct following *following)
{
    if (following->fetch != NULL) {
        use_source(following->engine, &following->source);
        wal_address_fetch_close(following->fetch);
    }
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

/* Where the version before lay when the record was written; 0: the record does not tell. */
static uint64_t address_before(const struct weir_engine *engine, uint64_t address,
                               const struct engine_version *version)
{
    uint64_t back = (uint64_t)version->distance * RECORD_DISTANCE_UNIT;
    bool tells = back != 0 && back < address &&
                 wal_address_ordinal(engine->log, address) < WAL_ADDRESS_COMPACTED;
    return tells ? address - back : 0;
}

/* Follows the link of a record without looking at what it leads to, where the index has the very
 * place that it names. False: nothing has changed. */
static bool apply_over_before(struct weir_engine *engine, struct engine_table *table,
                              const struct engine_version *version)
{
    const struct index_key key = {version->key.data, (uint32_t)version->key.size};
    uint64_t before = address_before(engine, version->address, version);
    if (before == 0 || index_replace(&table->index, key, before, version->address) == 0) {
        return false;
    }
    /* Decided under the key's lock: nothing but a delete has an insert behind it, nothing but what
     * is there is updated or removed. */
    count_deleted(table, version->operation == WEIR_INSERT, version->operation == WEIR_REMOVE);
    return true;
}

static int apply_change(struct weir_engine *engine, struct wal_address_fetch *fetch,
                        const struct weir_record *record, uint64_t address)
{
    struct engine_version version, old;
    int rc = record_read(record, address, &version);
    struct engine_table *table = rc == 0 ? table_of(engine, version.table) : NULL;
    if (table == NULL) {
        return WEIR_E_RECORD;
    }
    if (apply_over_before(engine, table, &version)) {
        return 0;
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

static int apply(struct weir_engine *engine, struct wal_address_fetch *fetch,
                 const struct weir_record *record, uint64_t address)
{
    if (record->type == WEIR_TYPE_CHANGE) {
        return apply_change(engine, fetch, record, address);
    }
    weir_table number;
    char name[WEIR_TABLE_NAME_MAX + 1];
    int rc = weir_table_decode(record, &number, name);
    return rc == 1 ? table_add(engine, number, name, record->lsn) : rc;
}

int follow_apply(struct weir_engine *engine, const struct weir_record *record, uint64_t address)
{
    return apply(engine, NULL, record, address);
}

static bool is_ours(const struct weir_record *record)
{
    return record->type >= WEIR_TYPE_RESERVED && (record->flags & WEIR_RECORD_GAP) == 0;
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

/* Asks for the nodes on the way to some keys, and for the records that will have to be read. */
static void fetch_lanes(struct following *following, struct index_lane *lanes,
                        const uint64_t *before, unsigned count)
{
    index_candidates(lanes, count);
    for (unsigned i = 0; i < count; i++) {
        bool is_looked_at = lanes[i].address != 0 && lanes[i].address != before[i];
        if (is_looked_at && following->fetch != NULL) {
            wal_address_fetch_begin(following->fetch, lanes[i].address);
        }
        if (is_looked_at) {
            place_prefetch(&following->engine->places, lanes[i].address);
        }
    }
}

/* Sends for what putting the batch will look at: a miss that one key would wait for is waited for
 * together with those of the others. What is wrong with a record is said when it is applied. */
static void fetch_batch(struct following *following, const struct weir_record *records, int count)
{
    struct weir_engine *engine = following->engine;
    struct index_lane lanes[INDEX_LANES];
    uint64_t before[INDEX_LANES];
    unsigned lane = 0;
    for (int i = 0; i < count; i++) {
        struct engine_version version;
        struct engine_table *table = NULL;
        if (records[i].type == WEIR_TYPE_CHANGE && is_ours(&records[i]) &&
            record_read(&records[i], wal_address_of(engine->log, following->cursor, &records[i]),
                        &version) == 0) {
            table = table_of(engine, version.table);
        }
        if (table != NULL) {
            before[lane] = address_before(engine, version.address, &version);
            lanes[lane].index = &table->index;
            lanes[lane++].key = (struct index_key){version.key.data, (uint32_t)version.key.size};
        }
        if (lane == INDEX_LANES || i + 1 == count) {
            fetch_lanes(following, lanes, before, lane);
            lane = 0;
        }
    }
}

/* Each batch is a section of its own: a long replay holds nothing back. */
static int apply_batch(struct following *following, const struct weir_record *records, int count,
                       struct weir_error *why)
{
    struct weir_engine *engine = following->engine;
    struct weir_cursor *cursor = following->cursor;
    int rc = 0;
    uint32_t slot = epoch_enter(&engine->epochs);
    fetch_batch(following, records, count);
    for (int i = 0; i < count && rc == 0; i++) {
        if (is_ours(&records[i])) {
            rc = apply(engine, following->fetch, &records[i],
                       wal_address_of(engine->log, cursor, &records[i]));
            rc = rc < 0 ? follow_explain(cursor, &records[i], rc, why) : 0;
        }
        if (rc == 0) {
            /* Release pairs with the acquire in stripe_applied(). */
            atomic_store_explicit(&engine->follow.replayed, records[i].lsn, memory_order_release);
        }
    }
    epoch_leave(&engine->epochs, slot);
    if (following->fetch != NULL) {
        wal_address_fetch_clear(following->fetch);
    }
    return rc;
}

static uint64_t bytes_of(const struct weir_record *records, int count)
{
    uint64_t bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += records[i].size;
    }
    return bytes;
}

static int replay(struct following *following, struct weir_error *why)
{
    struct weir_engine *engine = following->engine;
    struct weir_cursor *cursor = following->cursor;
    struct weir_record records[FOLLOW_BATCH];
    int rc;
    do {
        rc = weir_cursor_next_batch(cursor, records, FOLLOW_BATCH);
        if (rc > 0) {
            engine->report.replayed_records += (uint64_t)rc;
            engine->report.replayed_bytes += bytes_of(records, rc);
            int applied = apply_batch(following, records, rc, why);
            rc = applied < 0 ? applied : rc;
        } else if (rc < 0) {
            follow_explain(cursor, NULL, rc, why);
        }
    } while (rc > 0);
    if (rc == 0) {
        /* Records that the cursor passes over count, too. */
        atomic_store_explicit(&engine->follow.replayed, weir_cursor_position(cursor) - 1,
                              memory_order_release);
    }
    return rc;
}

int follow_replay(struct weir_engine *engine, weir_lsn from, struct weir_error *why)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = from;
    options.compacted = true;
    struct following following = {.engine = engine};
    int rc = weir_cursor_open(engine->log, &options, &following.cursor);
    if (rc < 0) {
        return engine_error(why, rc, "the log cannot be read from LSN %llu on: %s",
                            (unsigned long long)from, weir_error_text(rc));
    }
    rc = begin_fetching(&following);
    rc = rc == 0 ? replay(&following, why) : rc;
    end_fetching(&following);
    weir_cursor_close(following.cursor);
    return rc;
}
