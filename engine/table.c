/*
 * Tables: names in the log, an index for each in memory.
 *
 * Happy path: weir_table_open() looks the name up; with create it gives the next number, stores the
 * record that says so, durably, and adds the table. Replay adds those it meets.
 *
 * Failure modes: all numbers are used (WEIR_E_TABLES); an append that failed leaves nothing.
 *
 * Invariants: numbers are given in the order of the log; a table is never removed; the default
 * table is there from the start.
 */
#include "engine/engine.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

static struct engine_table *make(struct weir_engine *engine, weir_table number, const char *name)
{
    struct engine_table *table = base_alloc_aligned(BASE_CACHE_LINE, sizeof *table);
    if (table != NULL) {
        memset(table, 0, sizeof *table);
        const struct index_source source = {.load = place_load_key, .context = &engine->places};
        index_init(&table->index, &engine->arena, &source);
        table->number = number;
        strncpy(table->name, name, WEIR_TABLE_NAME_MAX);
    }
    return table;
}

static void publish(struct weir_engine *engine, struct engine_table *table, weir_lsn created)
{
    struct engine_tables *tables = &engine->tables;
    table->created = created;
    if (table->number >= atomic_load_explicit(&tables->end, memory_order_relaxed)) {
        atomic_store_explicit(&tables->end, table->number + 1, memory_order_relaxed);
    }
    /* Release pairs with the acquire in table_of(). */
    atomic_store_explicit(&tables->slots[table->number], table, memory_order_release);
}

int table_add(struct weir_engine *engine, weir_table number, const char *name, weir_lsn created)
{
    WEIR_ASSERT(number < WEIR_TABLES_MAX);
    if (table_of(engine, number) != NULL) {
        return 0;
    }
    struct engine_table *table = make(engine, number, name);
    if (table == NULL) {
        return -ENOMEM;
    }
    publish(engine, table, created);
    return 0;
}

void table_free_all(struct weir_engine *engine)
{
    struct engine_tables *tables = &engine->tables;
    uint32_t end = atomic_load_explicit(&tables->end, memory_order_relaxed);
    for (uint32_t i = 0; i < end; i++) {
        base_free(atomic_load_explicit(&tables->slots[i], memory_order_relaxed));
        atomic_store_explicit(&tables->slots[i], NULL, memory_order_relaxed);
    }
    atomic_store_explicit(&tables->end, 0, memory_order_relaxed);
}

static struct engine_table *find_by_name(struct weir_engine *engine, const char *name)
{
    uint32_t end = atomic_load_explicit(&engine->tables.end, memory_order_relaxed);
    for (uint32_t i = 0; i < end; i++) {
        struct engine_table *table = table_of(engine, i);
        if (table != NULL && strcmp(table->name, name) == 0) {
            return table;
        }
    }
    return NULL;
}

/* Stores the record of a table. The stripe's announcement keeps applied in front of it until the
 * table is there. */
static int append_table(struct weir_engine *engine, weir_table number, const char *name,
                        weir_lsn *ret_lsn)
{
    uint8_t payload[RECORD_TABLE_BYTES_MAX];
    struct weir_part part = {payload, record_build_table(payload, number, name)};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = WEIR_TYPE_TABLE};
    struct wal_address_batch batch = {.entries = &entry, .count = 1};
    return wal_address_append(engine->log, &batch, WEIR_EACH, ret_lsn);
}

/* What can fail comes before the append: its number would be given again. */
static int create(struct weir_engine *engine, const char *name, weir_table *ret_table)
{
    uint32_t number = atomic_load_explicit(&engine->tables.end, memory_order_relaxed);
    if (number >= WEIR_TABLES_MAX) {
        return WEIR_E_TABLES;
    }
    struct engine_table *table = make(engine, number, name);
    if (table == NULL) {
        return -ENOMEM;
    }
    weir_lsn lsn = WEIR_LSN_NONE;
    int rc = append_table(engine, number, name, &lsn);
    if (rc < 0) {
        base_free(table);
        return rc;
    }
    publish(engine, table, lsn);
    *ret_table = number;
    return 0;
}

int weir_table_open(struct weir_engine *engine, const char *name, bool create_it,
                    weir_table *ret_table)
{
    if (engine == NULL || name == NULL || ret_table == NULL ||
        (name[0] != '\0' && !record_table_name_is_valid(name))) {
        return -EINVAL;
    }
    int rc = engine_check(engine);
    if (rc == 0 && create_it && !engine->read_only && name[0] != '\0') {
        rc = engine_hold(engine); /* upkeep.lock comes before all others */
    }
    uint32_t slot;
    rc = rc == 0 ? section_enter(engine, &slot) : rc;
    if (rc < 0) {
        return rc;
    }
    /* The stripe comes before tables.lock; holding it costs nobody more than this flush. */
    stripe_lock(engine, 0);
    base_lock_acquire(&engine->tables.lock);
    struct engine_table *table = find_by_name(engine, name);
    if (table != NULL) {
        *ret_table = table->number;
    } else if (!create_it) {
        rc = WEIR_E_NO_TABLE;
    } else if (engine->read_only) {
        rc = WEIR_E_READ_ONLY;
    } else if (atomic_load_explicit(&engine->failed, memory_order_relaxed) < 0) {
        rc = atomic_load_explicit(&engine->failed, memory_order_relaxed);
    } else {
        stripe_announce(engine, 0);
        rc = create(engine, name, ret_table);
        stripe_retract(engine, 0);
    }
    base_lock_release(&engine->tables.lock);
    stripe_unlock(engine, 0);
    epoch_leave(&engine->epochs, slot);
    return rc;
}

int weir_table_list(struct weir_engine *engine,
                    int (*fn)(void *context, const struct weir_table_info *table), void *context)
{
    if (engine == NULL || fn == NULL) {
        return -EINVAL;
    }
    uint32_t slot;
    int rc = engine_check(engine);
    rc = rc == 0 ? section_enter(engine, &slot) : rc;
    if (rc < 0) {
        return rc;
    }
    uint32_t end = atomic_load_explicit(&engine->tables.end, memory_order_acquire);
    for (uint32_t i = 0; i < end && rc == 0; i++) {
        struct engine_table *table = table_of(engine, i);
        if (table == NULL) {
            continue;
        }
        struct weir_table_info info = {.table = table->number, .created = table->created};
        uint64_t all = index_keys(&table->index);
        info.deleted_keys = atomic_load_explicit(&table->deleted, memory_order_relaxed);
        info.keys = all > info.deleted_keys ? all - info.deleted_keys : 0;
        memcpy(info.name, table->name, sizeof info.name);
        rc = fn(context, &info);
    }
    epoch_leave(&engine->epochs, slot);
    return rc;
}
