/*
 * Read: sections, get, history.
 *
 * Happy path of a get: the index gives the address of the key's newest record; the record is read
 * where it lies and says whether it is a delete; in a view as of an LSN the links lead back to the
 * version that counts.
 *
 * Failure modes: no such table; a key that no key can be; a view that has fallen behind the
 * horizon; a record or a link that fails its checks.
 *
 * Invariant: all that is lent stays, since the section is an epoch section: segments are unpinned,
 * and nodes freed, only when it is over.
 */
#include "engine/engine.h"

#include "base/assert.h"

#include <errno.h>

static int view_lsn(struct weir_engine *engine, const struct weir_read_options *options,
                    weir_lsn *ret_as_of)
{
    if (options == NULL || options->view == WEIR_VIEW_NEWEST) {
        *ret_as_of = UINT64_MAX;
        return 0;
    }
    weir_lsn settled = engine_settled(engine);
    if (options->view == WEIR_VIEW_DURABLE) {
        *ret_as_of = settled;
        return 0;
    }
    if (options->lsn < atomic_load_explicit(&engine->horizon, memory_order_acquire)) {
        return WEIR_E_HORIZON;
    }
    *ret_as_of = options->lsn;
    return options->lsn <= settled ? 0 : -EAGAIN;
}

static bool options_are_valid(const struct weir_read_options *options)
{
    return options == NULL || (options->size == sizeof *options && options->reserved == 0 &&
                               options->view <= WEIR_VIEW_AS_OF);
}

int weir_read_begin(struct weir_engine *engine, const struct weir_read_options *options,
                    struct weir_read *ret_read)
{
    if (engine == NULL || ret_read == NULL || !options_are_valid(options)) {
        return -EINVAL;
    }
    int rc = engine_check(engine);
    if (rc < 0) {
        return rc;
    }
    struct weir_read read = {.engine = engine};
    rc = section_enter(engine, &read.slot);
    if (rc < 0) {
        return rc;
    }
    rc = view_lsn(engine, options, &read.as_of);
    if (rc < 0) {
        epoch_leave(&engine->epochs, read.slot);
        return rc;
    }
    *ret_read = read;
    return 0;
}

void weir_read_end(struct weir_read *read)
{
    WEIR_ASSERT(read->scans == 0);
    epoch_leave(&read->engine->epochs, read->slot);
    read->engine = NULL;
}

/* The version of a key that the view shows: 1, a delete too; 0; errors. */
static int find(struct weir_read *read, weir_table number, struct weir_bytes key,
                struct engine_version *ret_version)
{
    struct weir_engine *engine = read->engine;
    struct engine_table *table = table_of(engine, number);
    if (table == NULL) {
        return WEIR_E_NO_TABLE;
    }
    if (key.data == NULL || key.size == 0 || key.size > WEIR_KEY_BYTES_MAX) {
        return WEIR_E_KEY;
    }
    int rc = place_find(&engine->places, table, key, ret_version);
    if (read->as_of != UINT64_MAX && rc >= 0) {
        struct engine_version none = {.lsn = WEIR_LSN_NONE};
        int judged = version_as_of(engine, read->as_of, rc == 1 ? ret_version : &none);
        rc = rc == 1 || judged < 0 ? judged : 0;
    }
    return rc;
}

int weir_get(struct weir_read *read, weir_table table, struct weir_bytes key,
             struct weir_row *ret_row)
{
    if (read == NULL || read->engine == NULL || ret_row == NULL) {
        return -EINVAL;
    }
    struct engine_version version;
    int rc = find(read, table, key, &version);
    if (rc != 1 || version.operation == WEIR_REMOVE) {
        return rc < 0 ? rc : 0;
    }
    *ret_row = (struct weir_row){version.key, version.value, version.lsn};
    return 1;
}

/* ---- history ---- */

int weir_history_begin(struct weir_read *read, weir_table table, struct weir_bytes key,
                       struct weir_history *ret_history)
{
    if (read == NULL || read->engine == NULL || ret_history == NULL) {
        return -EINVAL;
    }
    struct engine_version version;
    int rc = find(read, table, key, &version);
    if (rc < 0) {
        return rc;
    }
    *ret_history = (struct weir_history){.read = read, .address = rc == 1 ? version.address : 0};
    return 0;
}

static uint64_t time_of(struct weir_engine *engine, weir_lsn lsn)
{
    uint64_t address, time_ns;
    return wal_address_find(engine->log, lsn, &address, &time_ns) == 0 ? time_ns : 0;
}

int weir_history_next(struct weir_history *history, struct weir_key_version *ret_version)
{
    if (history == NULL || history->read == NULL || ret_version == NULL) {
        return -EINVAL;
    }
    if (history->address == 0) {
        return 0;
    }
    struct weir_engine *engine = history->read->engine;
    struct engine_version version, before;
    int rc = place_version(&engine->places, history->address, &version);
    if (rc < 0) {
        history->address = 0;
        return rc;
    }
    rc = version_before(engine, &version, &before);
    if (rc < 0 && history->lsn != version.lsn) {
        /* This version is whole: it is lent now, and the next call says what is wrong. */
        history->lsn = version.lsn;
    } else if (rc < 0) {
        history->address = 0;
        return rc;
    } else {
        history->address = rc == 1 ? before.address : 0;
    }
    *ret_version = (struct weir_key_version){
        .lsn = version.lsn,
        .time_ns = time_of(engine, version.lsn),
        .deleted = version.operation == WEIR_REMOVE,
        .value = version.value,
    };
    return 1;
}
