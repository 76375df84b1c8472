/*
 * Refresh: the engine of a reader follows the log beside its writer.
 *
 * Happy path: replay what has become durable since. When the writer has compacted the log
 * meanwhile, segments that the index points into may be gone: then the index is built anew, while
 * sections wait outside.
 *
 * Failure modes: a section that does not end holds the building up (-EBUSY after a second: the
 * index is as it was, and reads in segments that are gone say WEIR_E_TRUNCATED); a log that cannot
 * be read: the engine is empty then, and every section says so.
 *
 * Invariant: nobody is inside while tables, nodes and pins are exchanged: whoever enters shows
 * himself first and then looks whether somebody is renewing; who renews says so first, then looks
 * for others.
 */
#include "engine/engine.h"

#include "base/assert.h"

#include <errno.h>
#include <limits.h>

#define NAP_NS INT64_C(1000000)
#define NAPS_MAX 1000u

int section_enter(struct weir_engine *engine, uint32_t *ret_slot)
{
    for (;;) {
        uint32_t slot = epoch_enter(&engine->epochs);
        atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in keep_out() */
        if (__builtin_expect(atomic_load_explicit(&engine->renewing, memory_order_relaxed) == 0,
                             1)) {
            *ret_slot = slot;
            break;
        }
        epoch_leave(&engine->epochs, slot);
        base_wait(&engine->renewing, 1, NAP_NS, false);
    }
    int rc = engine->read_only ? atomic_load_explicit(&engine->failed, memory_order_relaxed) : 0;
    if (rc < 0) {
        epoch_leave(&engine->epochs, *ret_slot);
    }
    return rc;
}

/* From here on nobody enters. False when somebody who is inside does not leave. */
static bool keep_out(struct weir_engine *engine)
{
    _Atomic uint32_t nothing = 0;
    struct epoch_oldest oldest;
    atomic_store_explicit(&engine->renewing, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in section_enter() */
    for (unsigned nap = 0; epoch_oldest(&engine->epochs, &oldest); nap++) {
        if (nap == NAPS_MAX) {
            return false;
        }
        base_wait(&nothing, 0, NAP_NS, false);
    }
    return true;
}

static void let_in(struct weir_engine *engine)
{
    atomic_store_explicit(&engine->renewing, 0, memory_order_release);
    base_wake(&engine->renewing, INT_MAX, false);
}

static int renew(struct weir_engine *engine, struct weir_error *why)
{
    if (!keep_out(engine)) {
        let_in(engine);
        return engine_error(why, -EBUSY,
                            "the log was compacted, and a read section that stays open keeps the "
                            "index from being built anew");
    }
    int rc = engine_start_afresh(engine);
    rc = rc == 0 ? engine_build_beside(engine, why) : rc;
    atomic_store_explicit(&engine->failed, rc, memory_order_relaxed);
    let_in(engine);
    return rc;
}

/* Learns how far the writer is, and whether addresses have moved since the index was built. */
static bool has_moved(struct weir_engine *engine)
{
    struct weir_cursor_options latest = WEIR_CURSOR_OPTIONS_INIT;
    latest.from = WEIR_FROM_LATEST;
    struct weir_cursor *cursor;
    if (weir_cursor_open(engine->log, &latest, &cursor) == 0) {
        weir_cursor_close(cursor);
    }
    struct wal_address_identity identity;
    return wal_address_identify(engine->log, WEIR_LSN_NONE, &identity) < 0 ||
           identity.layout != engine->layout;
}

/* Under follow.lock. Looks before it replays: of a compacted log the deletes are gone that the
 * index would have to see. */
static int follow(struct weir_engine *engine, struct weir_error *why)
{
    weir_lsn applied = atomic_load_explicit(&engine->follow.replayed, memory_order_relaxed);
    int rc = atomic_load_explicit(&engine->failed, memory_order_relaxed);
    if (rc == 0 && !has_moved(engine)) {
        rc = replay_from(engine, applied + 1, why);
    }
    return rc < 0 || has_moved(engine) ? renew(engine, why) : 0;
}

int weir_engine_refresh(struct weir_engine *engine, weir_lsn *ret_lsn, struct weir_error *ret_error)
{
    if (engine == NULL) {
        return engine_error(ret_error, -EINVAL, "no engine was given");
    }
    if (ret_error != NULL) {
        ret_error->code = 0;
    }
    int rc = engine_check(engine);
    if (rc == 0 && engine->read_only) {
        base_lock_acquire(&engine->follow.lock);
        rc = follow(engine, ret_error);
        base_lock_release(&engine->follow.lock);
    }
    if (rc < 0 && (ret_error == NULL || ret_error->code != rc)) {
        return engine_error(ret_error, rc, "the engine cannot be brought up to date: %s",
                            weir_error_text(rc));
    }
    if (rc == 0 && ret_lsn != NULL) {
        *ret_lsn = stripe_applied(engine);
    }
    return rc;
}
