/*
 * Tables: names in the log, an index for each in memory.
 *
 * Happy path: weir_table_open() looks the name up; with create it gives the next number, appends
 * the record that says so, adds the table, and waits until it is durable when all locks are given
 * back. Replay adds those it meets.
 *
 * Failure modes: all numbers are used (WEIR_E_TABLES); an append that failed leaves nothing; after
 * a flush that failed the table is there, as a write is, and may or may not survive.
 *
 * Invariants: numbers are given in the order of the log; a table is never removed; the default
 * table is there from the start.
 */
#include "engine/write.h"

#include "base/assert.h"
#include "engine/shortcut.h"

#include <errno.h>
#include <string.h>

static struct engine_table *make(struct weir_engine *engine, weir_table number, const char *name)
{
    struct engine_table *table = base_alloc_aligned(BASE_CACHE_LINE, sizeof *table);
    if (table != NULL) {
        memset(table, 0, sizeof *table);
        const struct index_source source = {
            .load = place_load_key, .claim = place_claim, .context = &engine->places};
        index_init(&table->index, &engine->arena, &source);
        table->index.shortcuts = &engine->shortcuts;
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
    if (atomic_load_explicit(&engine->shortcuts.eager, memory_order_relaxed)) {
        shortcut_begin(&table->index);
    }
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
        struct engine_table *table = atomic_load_explicit(&tables->slots[i], memory_order_relaxed);
        if (table != NULL) {
            shortcut_drop(&table->index);
        }
        base_free(table);
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

/* Not durable yet: nobody waits for that with a lock held. */
static int append_table(struct weir_engine *engine, weir_table number, const char *name,
                        weir_lsn *ret_lsn)
{
    uint8_t payload[RECORD_TABLE_BYTES_MAX];
    struct weir_part part = {payload, record_build_table(payload, number, name)};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = WEIR_TYPE_TABLE};
    struct wal_address_batch batch = {.entries = &entry, .count = 1};
    return wal_address_append(engine->log, &batch, WEIR_NONE, ret_lsn);
}

/* What can fail comes before the append: its number would be given again. */
static int create(struct weir_engine *engine, const char *name, struct engine_table **ret_table)
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
    *ret_table = table;
    return 0;
}

/* With no lock: creating one waits for nobody's look, and no look for a creation. */
static int look_up(struct weir_engine *engine, const char *name, weir_table *ret_table,
                   weir_lsn *ret_created)
{
    uint32_t slot;
    int rc = section_enter(engine, &slot);
    if (rc < 0) {
        return rc;
    }
    const struct engine_table *table = find_by_name(engine, name);
    if (table != NULL) {
        *ret_table = table->number;
        *ret_created = table->created;
    }
    epoch_leave(&engine->epochs, slot);
    return table != NULL ? 0 : WEIR_E_NO_TABLE;
}

/* Another may have made it meanwhile. The stripe comes before tables.lock; its announcement keeps
 * applied in front of the record until the table is there. */
static int find_or_create(struct weir_engine *engine, const char *name,
                          struct engine_table **ret_table)
{
    stripe_lock(engine, 0);
    base_lock_acquire(&engine->tables.lock);
    int rc = 0;
    *ret_table = find_by_name(engine, name);
    if (*ret_table == NULL) {
        rc = atomic_load_explicit(&engine->failed, memory_order_relaxed);
    }
    if (*ret_table == NULL && rc == 0) {
        stripe_announce(engine, 0);
        rc = create(engine, name, ret_table);
        stripe_retract(engine, 0);
    }
    base_lock_release(&engine->tables.lock);
    stripe_unlock(engine, 0);
    return rc;
}

/* As a write: hold and room first, then the locks. */
static int make_table(struct weir_engine *engine, const char *name, weir_table *ret_table,
                      weir_lsn *ret_created)
{
    struct engine_table *table;
    uint32_t slot;
    int rc = engine->read_only ? WEIR_E_READ_ONLY : engine_hold(engine);
    rc = rc == 0 ? space_admit(engine, SPACE_PUT, RECORD_TABLE_BYTES_MAX) : rc;
    rc = rc == 0 ? section_enter(engine, &slot) : rc;
    if (rc < 0) {
        return rc;
    }
    rc = find_or_create(engine, name, &table);
    if (rc == 0) {
        *ret_table = table->number;
        *ret_created = table->created;
    }
    epoch_leave(&engine->epochs, slot);
    return rc;
}

int weir_table_open(struct weir_engine *engine, const char *name, bool create_it,
                    weir_table *ret_table)
{
    if (engine == NULL || name == NULL || ret_table == NULL ||
        (name[0] != '\0' && !record_table_name_is_valid(name))) {
        return -EINVAL;
    }
    weir_table table = WEIR_TABLE_DEFAULT;
    weir_lsn created = WEIR_LSN_NONE;
    int rc = engine_check(engine);
    rc = rc == 0 ? look_up(engine, name, &table, &created) : rc;
    if (rc == WEIR_E_NO_TABLE && create_it) {
        rc = make_table(engine, name, &table, &created);
    }
    /* Whoever asks for it to be there gets it durable, also when another has just made it. */
    if (rc == 0 && create_it && created > weir_durable_lsn(engine->log)) {
        rc = weir_wait(engine->log, created, WEIR_WAIT_FOREVER);
    }
    if (rc == 0) {
        *ret_table = table;
    }
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
