/*
 * Upkeep: what is due, and how the engine is.
 */
#include "engine/checkpoint.h"

#include <errno.h>

#include <weir/inspect.h>

int weir_engine_maintain(struct weir_engine *engine, struct weir_error *ret_error)
{
    if (engine == NULL) {
        return engine_error(ret_error, -EINVAL, "no engine was given");
    }
    int rc = engine_check(engine);
    if (rc < 0) {
        return engine_error(ret_error, rc, "%s", weir_error_text(rc));
    }
    place_reclaim(engine);
    return checkpoint_make_if_due(engine, ret_error);
}

static void add_tables(struct weir_engine *engine, struct weir_engine_status *status)
{
    uint64_t all = 0;
    uint32_t end = atomic_load_explicit(&engine->tables.end, memory_order_relaxed);
    for (uint32_t i = 0; i < end; i++) {
        struct engine_table *table = table_of(engine, i);
        if (table != NULL) {
            all += index_keys(&table->index);
            status->deleted_keys += atomic_load_explicit(&table->deleted, memory_order_relaxed);
            status->tables++;
        }
    }
    status->keys = all > status->deleted_keys ? all - status->deleted_keys : 0;
}

static void add_readers(struct weir_engine *engine, struct weir_engine_status *status)
{
    for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
        status->read_sections +=
            atomic_load_explicit(&engine->epochs.slots[i].epoch, memory_order_relaxed) != 0;
    }
    struct epoch_oldest oldest;
    if (epoch_oldest(&engine->epochs, &oldest)) {
        status->oldest_read_ns = oldest.age_ns;
    }
    status->retired_bytes = epoch_retired_bytes(&engine->epochs);
    base_lock_acquire(&engine->snapshots.lock);
    status->snapshots = engine->snapshots.count;
    snapshot_oldest(engine, &status->oldest_snapshot);
    base_lock_release(&engine->snapshots.lock);
}

int weir_engine_stat(struct weir_engine *engine, struct weir_engine_status *ret_status)
{
    if (engine == NULL || ret_status == NULL || ret_status->size < sizeof *ret_status) {
        return -EINVAL;
    }
    int rc = engine_check(engine);
    if (rc < 0) {
        return rc;
    }
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    add_readers(engine, &status); /* without the section that follows */
    uint32_t slot;
    rc = section_enter(engine, &slot);
    if (rc < 0) {
        return rc;
    }
    struct arena_stats arena;
    arena_read_stats(&engine->arena, &arena);
    status.index_bytes = arena.live;
    status.index_free_bytes = arena.free;
    status.shortcut_bytes = atomic_load_explicit(&engine->shortcuts.bytes, memory_order_relaxed);
    status.applied = stripe_applied(engine);
    status.durable = weir_durable_lsn(engine->log);
    status.horizon = atomic_load_explicit(&engine->horizon, memory_order_relaxed);
    status.checkpoint_lsn =
        atomic_load_explicit(&engine->upkeep.checkpoint_lsn, memory_order_relaxed);
    status.since_checkpoint_bytes = checkpoint_behind_bytes(engine);
    status.space = space_look(engine, &status.free_bytes);
    add_tables(engine, &status);
    epoch_leave(&engine->epochs, slot);
    status.size = ret_status->size;
    *ret_status = status;
    return 0;
}
