/*
 * One change on its way into the log, shared by single writes and batches.
 */
#ifndef ENGINE_WRITE_H
#define ENGINE_WRITE_H

#include "engine/engine.h"

struct write_change {
    const struct weir_write *write;
    struct engine_table *table;
    uint32_t stripe;
    bool exists;                  /* before is a version, perhaps a delete */
    struct engine_version before; /* the version that it replaces */
    enum weir_operation operation;
    struct record_head head;
    struct weir_part parts[3];
    uint64_t address; /* stamped */
    weir_lsn lsn;
};

/* Checks what does not depend on the state: kind, key, sizes, table. */
int write_check(struct weir_engine *engine, const struct weir_write *write,
                struct engine_table **ret_table);

/* Decides under the key's lock, against change->before: 0; -ENOENT; WEIR_E_CONFLICT. */
int write_decide(struct write_change *change);

/* Builds head and parts; the entry refers to the change. */
void write_build(struct write_change *change, struct weir_entry *ret_entry);

/* Brings the record into the index, beginning where its key was found to belong (NULL: that is to
 * be found). A failure is remembered: the index is then behind the log. */
int write_apply(struct weir_engine *engine, struct write_change *change, struct arena_region *stock,
                struct index_descent *descent);

/* Memory for so many keys that the index does not have yet, before they are appended: 0, and a
 * stock of it in *region when there is little left, else NULL; WEIR_E_INDEX_FULL. */
int write_find_room(struct weir_engine *engine, uint64_t puts, struct arena_region *region,
                    struct arena_region **ret_stock);

static inline void write_return_stock(struct weir_engine *engine, struct arena_region *stock)
{
    if (__builtin_expect(stock != NULL, 0)) {
        arena_region_close(&engine->arena, stock);
    }
}

/* Under the stripe's lock: an index that is behind the log is asked no more, or a record would link
 * past a version. */
static inline int write_check_index(const struct weir_engine *engine)
{
    return atomic_load_explicit(&engine->failed, memory_order_relaxed);
}

/* Hold, failed before, read-only: what is to be met before any lock is taken. */
int write_admit(struct weir_engine *engine, enum weir_durability durability);

/* Before any lock: 0, perhaps after a sleep; WEIR_E_DISK_LOW: nothing may be appended. */
static inline int space_admit(struct weir_engine *engine, enum space_kind kind, uint64_t bytes)
{
    return __builtin_expect(engine->space.on, 0) ? space_watch(engine, kind, bytes) : 0;
}

static inline enum space_kind space_kind_of(const struct weir_write *write)
{
    return write->kind == WEIR_DELETE ? SPACE_DELETE : SPACE_PUT;
}

/* After the locks: waits where each is asked for, and tells who wants to know. */
void after_write_call(struct weir_engine *engine, weir_lsn lsn);
int write_settle(struct weir_engine *engine, enum weir_durability durability, weir_lsn last_lsn);

#endif
