/*
 * Versions: from the newest record of a key to the one that counts as of an LSN.
 *
 * Happy path: the version before lies where the record says, a distance in front of it, and proves
 * it by its LSN and its key. When it does not (it was compacted to elsewhere, or the distance is
 * not known) it is found by its LSN. Over many versions the skip links lead: 256 at a time.
 *
 * Failure modes: a link above the horizon that leads nowhere is damage, never "there was no such
 * version". At or below the horizon versions may have been dropped: nobody follows a link from
 * there, and the newest version at or below it is kept, unless it is a delete.
 *
 * Invariant: whoever reads as of s has s >= horizon when he is done, or is told so: the horizon may
 * have moved while he was on his way, and what he did not find may have been dropped just then.
 */
#include "engine/engine.h"

#include <errno.h>
#include <string.h>

#define TURNS_MAX 16u /* of compactions that come between finding a record and reading it */

static bool is_version_of(const struct engine_version *found, const struct engine_version *of,
                          weir_lsn lsn)
{
    return found->lsn == lsn && found->table == of->table && found->key.size == of->key.size &&
           memcmp(found->key.data, of->key.data, of->key.size) == 0;
}

static bool find_by_distance(struct weir_engine *engine, const struct engine_version *version,
                             struct engine_version *ret_before)
{
    /* A record that was moved has taken its distance along: it says nothing any more. */
    if (version->distance == 0 ||
        wal_address_ordinal(engine->log, version->address) >= WAL_ADDRESS_COMPACTED) {
        return false;
    }
    uint64_t address = version->address - (uint64_t)version->distance * RECORD_DISTANCE_UNIT;
    return place_version(&engine->places, address, ret_before) == 0 &&
           is_version_of(ret_before, version, version->previous);
}

/* 1; 0 (it was compacted away); -EAGAIN (not durable: only the distance would do); errors. */
static int find_by_lsn(struct weir_engine *engine, const struct engine_version *version,
                       weir_lsn lsn, struct engine_version *ret_before)
{
    uint64_t address, time_ns;
    int rc = 0, found = 0;
    for (unsigned turn = 0; turn < TURNS_MAX && found == 0; turn++) {
        found = wal_address_find(engine->log, lsn, &address, &time_ns);
        rc = found == 0 ? place_version(&engine->places, address, ret_before) : found;
        if (rc != WEIR_E_TRUNCATED) {
            break; /* else it has moved just then: it is somewhere else now, or nowhere */
        }
    }
    if (rc == 0) {
        return is_version_of(ret_before, version, lsn) ? 1 : WEIR_E_DAMAGED;
    }
    return found == -ENOENT || found == WEIR_E_TRUNCATED ? 0 : rc;
}

static weir_lsn horizon_of(struct weir_engine *engine)
{
    /* Acquire pairs with the release in compact.c: what was dropped was dropped after it moved. */
    weir_lsn horizon = atomic_load_explicit(&engine->horizon, memory_order_acquire);
    if (engine->read_only) {
        /* The log of a reader knows it before it lets go of a segment. */
        weir_lsn known = wal_address_horizon(engine->log);
        horizon = known > horizon ? known : horizon;
    }
    return horizon;
}

weir_lsn version_learn_horizon(struct weir_engine *engine)
{
    struct wal_address_extent extent;
    if (engine->read_only && wal_address_extent(engine->log, &extent) == 0 &&
        extent.horizon > horizon_of(engine)) {
        atomic_store_explicit(&engine->horizon, extent.horizon, memory_order_release);
    }
    return horizon_of(engine);
}

int version_find(struct weir_engine *engine, const struct engine_version *version,
                 struct engine_version *ret_before)
{
    return find_by_distance(engine, version, ret_before)
               ? 1
               : find_by_lsn(engine, version, version->previous, ret_before);
}

int version_before(struct weir_engine *engine, const struct engine_version *version,
                   struct engine_version *ret_before)
{
    weir_lsn previous = version->previous;
    if (previous == WEIR_LSN_NONE || version->lsn <= horizon_of(engine)) {
        return 0;
    }
    if (find_by_distance(engine, version, ret_before)) {
        return 1;
    }
    int rc = find_by_lsn(engine, version, previous, ret_before);
    /* A delete that counted for nobody was dropped; and the horizon may just have moved. */
    bool may_miss = version->operation == WEIR_INSERT || version->lsn <= horizon_of(engine);
    if (rc == 0 && !may_miss && engine->read_only) {
        may_miss = version->lsn <= version_learn_horizon(engine);
    }
    return rc == 0 && !may_miss ? WEIR_E_DAMAGED : rc;
}

/* A moment ago it was there: a compaction beside has moved it since it was found. */
#define LOOKS_MAX 16u

int version_before_image(struct weir_engine *engine, const struct engine_version *version,
                         struct engine_version *ret_before)
{
    bool found = find_by_distance(engine, version, ret_before);
    int rc = 0;
    for (unsigned look = 0; !found && rc == 0 && look < LOOKS_MAX; look++) {
        if (version->previous != WEIR_LSN_NONE) {
            rc = find_by_lsn(engine, version, version->previous, ret_before);
            found = rc == 1;
        }
        if (!found && version->lsn <= version_learn_horizon(engine)) {
            return WEIR_E_HORIZON;
        }
        if (!engine->read_only) {
            break;
        }
    }
    if (!found) {
        return rc == 0 ? WEIR_E_DAMAGED : rc;
    }
    return ret_before->operation == WEIR_REMOVE ? WEIR_E_DAMAGED : 0;
}

/* One step towards as_of, which lies before the version: 1, 0 or an error as version_before(). */
static int step_back(struct weir_engine *engine, weir_lsn as_of, struct engine_version *version)
{
    struct engine_version before;
    if (version->skip > as_of && version->skip > horizon_of(engine) &&
        find_by_lsn(engine, version, version->skip, &before) == 1) {
        *version = before;
        return 1;
    }
    int rc = version_before(engine, version, &before);
    if (rc == 1) {
        *version = before;
    }
    return rc;
}

int version_as_of(struct weir_engine *engine, weir_lsn as_of, struct engine_version *version)
{
    int rc = 1;
    while (rc == 1 && version->lsn > as_of) {
        rc = step_back(engine, as_of, version);
    }
    return as_of < horizon_of(engine) ? WEIR_E_HORIZON : rc;
}
