/*
 * Write: one put or delete.
 *
 * Happy path: check what was handed in; lock the key's stripe; find the version before; decide what
 * this is (insert, update, remove, or a condition that does not hold); append; point the index at
 * the new record; unlock; wait for durability.
 *
 * Failure modes: what can be refused is refused before the append, memory for the index included: a
 * new key must find a margin of it, or memory that is set aside for it; a key that the index has
 * needs none. Should the index fail all the same, the engine takes no more writes (the record is in
 * the log, and the next open applies it).
 *
 * Invariants: the version before a record is the one just before it, since both are taken under one
 * lock; no wait for durability is made with a lock held.
 */
#include "engine/write.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define ROUGH_RECORD_BYTES 64u
#define INDEX_BYTES_FOR_PUT 64u /* more than a key takes on average */

int write_check(struct weir_engine *engine, const struct weir_write *write,
                struct engine_table **ret_table)
{
    if ((write->kind != WEIR_PUT && write->kind != WEIR_DELETE) ||
        (write->key.data == NULL && write->key.size > 0) ||
        (write->value.data == NULL && write->value.size > 0)) {
        return -EINVAL;
    }
    if (write->key.size == 0 || write->key.size > WEIR_KEY_BYTES_MAX ||
        write->key.size > engine->change_bytes) {
        return WEIR_E_KEY;
    }
    if (write->kind == WEIR_PUT && write->value.size > engine->change_bytes - write->key.size) {
        return WEIR_E_TOO_BIG;
    }
    *ret_table = table_of(engine, write->table);
    return *ret_table != NULL ? 0 : WEIR_E_NO_TABLE;
}

int write_decide(struct write_change *change)
{
    const struct weir_write *write = change->write;
    bool present = change->exists && change->before.operation != WEIR_REMOVE;
    weir_lsn version = present ? change->before.lsn : WEIR_LSN_NONE;
    if (write->conditional && write->expected != version) {
        return WEIR_E_CONFLICT;
    }
    if (write->kind == WEIR_DELETE) {
        change->operation = WEIR_REMOVE;
        return present ? 0 : -ENOENT;
    }
    change->operation = present ? WEIR_UPDATE : WEIR_INSERT;
    return 0;
}

void write_build(struct write_change *change, struct weir_entry *ret_entry)
{
    const struct weir_write *write = change->write;
    record_build(&change->head, change->operation, write->table, (uint32_t)write->key.size,
                 change->exists ? &change->before : NULL);
    change->parts[0] = (struct weir_part){change->head.bytes, change->head.size};
    change->parts[1] = (struct weir_part){write->key.data, write->key.size};
    change->parts[2] = (struct weir_part){write->value.data, write->value.size};
    *ret_entry = (struct weir_entry){
        .parts = change->parts,
        .part_count = change->operation == WEIR_REMOVE ? 2 : 3,
        .type = WEIR_TYPE_CHANGE,
    };
}

/* Live and deleted keys: what the index now says of this key, against what it said before. */
static void count(struct write_change *change)
{
    bool was_deleted = change->exists && change->before.operation == WEIR_REMOVE;
    bool is_deleted = change->operation == WEIR_REMOVE;
    if (is_deleted && !was_deleted) {
        atomic_fetch_add_explicit(&change->table->deleted, 1, memory_order_relaxed);
    } else if (was_deleted && !is_deleted) {
        atomic_fetch_sub_explicit(&change->table->deleted, 1, memory_order_relaxed);
    }
}

int write_apply(struct weir_engine *engine, struct write_change *change, struct arena_region *stock,
                struct index_descent *descent)
{
    const struct index_key key = {change->write->key.data, (uint32_t)change->write->key.size};
    struct index *index = &change->table->index;
    uint64_t old;
    int rc;
    if (descent != NULL) {
        descent->region = stock;
        rc = index_put_at(index, descent, key, change->address, &old);
    } else {
        rc = index_put_from(index, stock, key, change->address, &old);
    }
    if (rc < 0) {
        atomic_store_explicit(&engine->failed, rc, memory_order_relaxed);
        return rc;
    }
    count(change);
    return 0;
}

int write_admit(struct weir_engine *engine, enum weir_durability durability)
{
    int rc = engine_check(engine);
    if (rc < 0) {
        return rc;
    }
    if (engine->read_only) {
        return WEIR_E_READ_ONLY;
    }
    if (durability != WEIR_EACH && durability != WEIR_GROUP && durability != WEIR_NONE) {
        return -EINVAL;
    }
    if (wal_address_is_inside(engine->log)) {
        return -EDEADLK;
    }
    rc = atomic_load_explicit(&engine->failed, memory_order_relaxed);
    return rc == 0 ? engine_hold(engine) : rc;
}

/* What the index has never used, and what it has given back. */
static uint64_t free_bytes(const struct engine_arena *arena)
{
    return arena->limit - atomic_load_explicit(&arena->used, memory_order_relaxed) +
           atomic_load_explicit(&arena->pooled, memory_order_relaxed);
}

/* What was given back may be of the wrong classes, so each put gets memory that does for any. */
static int stock_region(struct engine_arena *arena, struct arena_region *region, uint64_t puts,
                        uint64_t least)
{
    if (free_bytes(arena) < least) {
        (void)epoch_reclaim(arena->epochs);
    }
    if (free_bytes(arena) < least) {
        return WEIR_E_INDEX_FULL;
    }
    memset(region, 0, sizeof *region);
    if (!index_stock(arena, region, puts)) {
        arena_region_close(arena, region);
        return WEIR_E_INDEX_FULL;
    }
    return 0;
}

int write_find_room(struct weir_engine *engine, uint64_t puts, struct arena_region *region,
                    struct arena_region **ret_stock)
{
    struct engine_arena *arena = &engine->arena;
    uint64_t used = atomic_load_explicit(&arena->used, memory_order_relaxed);
    uint64_t least = engine->margin_bytes + puts * INDEX_BYTES_FOR_PUT;
    *ret_stock = NULL;
    if (puts == 0 || __builtin_expect(arena->limit - used >= least, 1)) {
        return 0;
    }
    int rc = stock_region(arena, region, puts, least);
    *ret_stock = rc == 0 ? region : NULL;
    return rc;
}

int write_settle(struct weir_engine *engine, enum weir_durability durability, weir_lsn last_lsn)
{
    if (durability != WEIR_EACH) {
        return 0;
    }
    int rc = weir_wait(engine->log, last_lsn, WEIR_WAIT_FOREVER);
    /* Relaxed: whoever finds one looks again, in the order that counts. */
    if (rc == 0 &&
        __builtin_expect(
            atomic_load_explicit(&engine->after_write.fn, memory_order_relaxed) != NULL, 0)) {
        after_write_call(engine, last_lsn);
    }
    return rc;
}

/* The key's version before, if there is one; of a put also where the next one will hang. */
static int find_before(struct weir_engine *engine, struct write_change *change,
                       struct index_descent *ret_descent)
{
    const struct weir_write *write = change->write;
    struct engine_places *places = &engine->places;
    int rc = ret_descent != NULL ? place_find_to_put(places, change->table, write->key,
                                                     &change->before, ret_descent)
                                 : place_find(places, change->table, write->key, &change->before);
    change->exists = rc == 1;
    return rc < 0 ? rc : 0;
}

static void stamp(void *context, size_t index, weir_lsn lsn, uint64_t address)
{
    struct write_change *change = context;
    WEIR_ASSERT(index == 0);
    change->lsn = lsn;
    change->address = address;
    if (change->exists) {
        record_link(&change->head, change->before.lsn, change->before.address, address);
    }
}

/* With the stripe locked. */
static int store(struct weir_engine *engine, struct write_change *change,
                 enum weir_durability durability)
{
    struct index_descent descent;
    /* A delete of what is not there looks at no other key's record. */
    struct index_descent *place = change->write->kind == WEIR_PUT ? &descent : NULL;
    int rc = write_check_index(engine);
    rc = rc == 0 ? find_before(engine, change, place) : rc;
    rc = rc == 0 ? write_decide(change) : rc;
    struct arena_region region;
    struct arena_region *stock;
    rc = rc == 0 ? write_find_room(engine, !change->exists, &region, &stock) : rc;
    if (rc < 0) {
        return rc;
    }
    struct weir_entry entry;
    write_build(change, &entry);
    struct wal_address_batch batch = {
        .entries = &entry, .count = 1, .stamp = stamp, .context = change, .waits_later = true};
    stripe_announce(engine, change->stripe);
    rc = wal_address_append(engine->log, &batch, durability, NULL);
    int applied = change->lsn != WEIR_LSN_NONE ? write_apply(engine, change, stock, place) : 0;
    write_return_stock(engine, stock);
    if (applied < 0) {
        return applied; /* the announcement stays: applied never passes the record */
    }
    stripe_retract(engine, change->stripe);
    return rc;
}

int weir_engine_write(struct weir_engine *engine, const struct weir_write *write,
                      enum weir_durability durability, weir_lsn *ret_lsn)
{
    if (engine == NULL || write == NULL) {
        return -EINVAL;
    }
    struct write_change change;
    change.write = write;
    change.exists = false;
    change.lsn = WEIR_LSN_NONE;
    int rc = write_check(engine, write, &change.table);
    if (rc == 0) {
        change.stripe = stripe_of(write->table, write->key);
        stripe_prefetch(engine, change.stripe);
        epoch_prefetch(&engine->epochs);
        uint64_t bytes = ROUGH_RECORD_BYTES + write->key.size + write->value.size;
        rc = write_admit(engine, durability);
        rc = rc == 0 ? space_admit(engine, space_kind_of(write), bytes) : rc;
    }
    if (rc < 0) {
        return rc;
    }
    uint32_t slot = epoch_enter(&engine->epochs);
    stripe_lock(engine, change.stripe);
    rc = store(engine, &change, durability);
    stripe_unlock(engine, change.stripe);
    epoch_leave(&engine->epochs, slot);
    if (rc == 0) {
        rc = write_settle(engine, durability, change.lsn);
    }
    if (change.lsn != WEIR_LSN_NONE && ret_lsn != NULL && rc == 0) {
        *ret_lsn = change.lsn;
    }
    return rc;
}

int weir_put(struct weir_engine *engine, weir_table table, struct weir_bytes key,
             struct weir_bytes value, enum weir_durability durability, weir_lsn *ret_lsn)
{
    struct weir_write write = {.kind = WEIR_PUT, .table = table, .key = key, .value = value};
    return weir_engine_write(engine, &write, durability, ret_lsn);
}

int weir_delete(struct weir_engine *engine, weir_table table, struct weir_bytes key,
                enum weir_durability durability, weir_lsn *ret_lsn)
{
    struct weir_write write = {.kind = WEIR_DELETE, .table = table, .key = key};
    return weir_engine_write(engine, &write, durability, ret_lsn);
}
