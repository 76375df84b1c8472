/*
 * Snapshots: LSNs that the horizon does not pass.
 *
 * Happy path: under the lock that the horizon moves under, see that the LSN is not behind it, and
 * join the list. Reads at that LSN then find everything they need, for as long as it is there.
 *
 * Failure modes: the LSN is behind the horizon, or ahead of what is settled.
 */
#include "engine/engine.h"

#include <errno.h>

struct weir_snapshot {
    struct weir_engine *engine;
    struct weir_snapshot *next;
    weir_lsn lsn;
};

int weir_snapshot_open(struct weir_engine *engine, weir_lsn lsn,
                       struct weir_snapshot **ret_snapshot)
{
    if (engine == NULL || ret_snapshot == NULL) {
        return -EINVAL;
    }
    int rc = engine_check(engine);
    if (rc < 0) {
        return rc;
    }
    struct weir_snapshot *snapshot = base_alloc(sizeof *snapshot);
    if (snapshot == NULL) {
        return -ENOMEM;
    }
    base_lock_acquire(&engine->snapshots.lock);
    weir_lsn settled = engine_settled(engine);
    *snapshot = (struct weir_snapshot){
        .engine = engine, .next = engine->snapshots.first, .lsn = lsn != 0 ? lsn : settled};
    if (snapshot->lsn < atomic_load_explicit(&engine->horizon, memory_order_relaxed)) {
        rc = WEIR_E_HORIZON;
    } else if (snapshot->lsn > settled) {
        rc = -EAGAIN;
    } else {
        engine->snapshots.first = snapshot;
        engine->snapshots.count++;
    }
    base_lock_release(&engine->snapshots.lock);
    if (rc < 0) {
        base_free(snapshot);
        return rc;
    }
    *ret_snapshot = snapshot;
    return 0;
}

weir_lsn weir_snapshot_lsn(const struct weir_snapshot *snapshot)
{
    return snapshot->lsn;
}

void weir_snapshot_close(struct weir_snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    struct engine_snapshots *list = &snapshot->engine->snapshots;
    base_lock_acquire(&list->lock);
    struct weir_snapshot **link = &list->first;
    while (*link != snapshot) {
        link = &(*link)->next;
    }
    *link = snapshot->next;
    list->count--;
    base_lock_release(&list->lock);
    base_free(snapshot);
}

bool snapshot_oldest(struct weir_engine *engine, weir_lsn *ret_lsn)
{
    bool found = false;
    for (const struct weir_snapshot *at = engine->snapshots.first; at != NULL; at = at->next) {
        *ret_lsn = !found || at->lsn < *ret_lsn ? at->lsn : *ret_lsn;
        found = true;
    }
    return found;
}
