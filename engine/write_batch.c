/*
 * Batches: many changes, all or nothing.
 *
 * Happy path: check all; lock their stripes in ascending order, each once; for each change find the
 * version before, which may be an earlier change of the batch; decide; append all as one batch of
 * the log, linked inside itself as it gets its LSNs; bring all into the index; unlock; wait.
 *
 * Failure modes: one change that is refused refuses the batch before anything was appended.
 *
 * Invariant: applied passes the batch in one step: it is announced once, until the index has it
 * all.
 */
#include "engine/write.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define BATCH_MAX ((size_t)1 << 16)
#define NO_CHANGE UINT32_MAX

struct batch {
    struct weir_engine *engine;
    struct write_change *changes;
    struct weir_entry *entries;
    uint32_t *earlier; /* of each change: the change of the same key before it, or NO_CHANGE */
    uint32_t *buckets; /* hash table: the last change of a key */
    uint32_t mask;
    size_t count;
    uint64_t locked[STRIPES / 64];
};

static void batch_free(struct batch *batch)
{
    base_free(batch->changes);
    base_free(batch->entries);
    base_free(batch->earlier);
    base_free(batch->buckets);
}

static int batch_alloc(struct batch *batch, size_t count)
{
    size_t buckets = 2;
    while (buckets < 2 * count) {
        buckets *= 2;
    }
    batch->count = count;
    batch->mask = (uint32_t)buckets - 1;
    batch->changes = base_alloc_array(count, sizeof *batch->changes);
    batch->entries = base_alloc_array(count, sizeof *batch->entries);
    batch->earlier = base_alloc_array(count, sizeof *batch->earlier);
    batch->buckets = base_alloc_array(buckets, sizeof *batch->buckets);
    if (batch->changes == NULL || batch->entries == NULL || batch->earlier == NULL ||
        batch->buckets == NULL) {
        return -ENOMEM;
    }
    memset(batch->buckets, 0xff, buckets * sizeof *batch->buckets);
    return 0;
}

static bool is_same_key(const struct weir_write *a, const struct weir_write *b)
{
    return a->table == b->table && a->key.size == b->key.size &&
           memcmp(a->key.data, b->key.data, a->key.size) == 0;
}

/* Finds the earlier change of the same key, and stands for the key from now on. */
static void note_key(struct batch *batch, uint32_t index, uint64_t hash)
{
    const struct weir_write *write = batch->changes[index].write;
    uint32_t at = (uint32_t)hash & batch->mask;
    while (batch->buckets[at] != NO_CHANGE &&
           !is_same_key(batch->changes[batch->buckets[at]].write, write)) {
        at = (at + 1) & batch->mask;
    }
    batch->earlier[index] = batch->buckets[at];
    batch->buckets[at] = index;
}

static int check_all(struct batch *batch, const struct weir_write *writes, uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct write_change *change = &batch->changes[i];
        change->write = &writes[i];
        int rc = write_check(batch->engine, &writes[i], &change->table);
        if (rc < 0) {
            return rc;
        }
        uint64_t hash = stripe_hash(writes[i].table, writes[i].key);
        change->stripe = stripe_of_hash(hash);
        batch->locked[change->stripe / 64] |= UINT64_C(1) << (change->stripe % 64);
        note_key(batch, (uint32_t)i, hash);
        *ret_bytes += 64 + writes[i].key.size + writes[i].value.size;
    }
    return 0;
}

static enum space_kind kind_of(const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (space_kind_of(batch->changes[i].write) == SPACE_PUT) {
            return SPACE_PUT;
        }
    }
    return SPACE_DELETE;
}

static uint32_t lock_all(struct batch *batch)
{
    uint32_t lowest = STRIPES;
    for (uint32_t i = 0; i < STRIPES; i++) {
        if ((batch->locked[i / 64] >> (i % 64) & 1) != 0) {
            stripe_lock(batch->engine, i);
            lowest = lowest == STRIPES ? i : lowest;
        }
    }
    return lowest;
}

static void unlock_all(struct batch *batch)
{
    for (uint32_t i = STRIPES; i-- > 0;) {
        if ((batch->locked[i / 64] >> (i % 64) & 1) != 0) {
            stripe_unlock(batch->engine, i);
        }
    }
}

/* The version before, as far as it counts for the decision and the head; a link inside the batch is
 * completed when it is stamped. */
static int find_before(struct batch *batch, size_t index)
{
    struct write_change *change = &batch->changes[index];
    if (batch->earlier[index] != NO_CHANGE) {
        const struct write_change *earlier = &batch->changes[batch->earlier[index]];
        change->exists = true;
        change->before = (struct engine_version){.operation = earlier->operation};
        if (earlier->exists) {
            record_next_skip(&earlier->before, &change->before.skip, &change->before.since);
        }
        if (change->before.since == RECORD_SINCE_MAX) {
            change->before.since--; /* a skip link could not name it: its LSN is not known yet */
        }
        return 0;
    }
    int rc = place_find(&batch->engine->places, change->table, change->write->key, &change->before);
    change->exists = rc == 1;
    return rc < 0 ? rc : 0;
}

/* Nobody can expect the LSN of an earlier change of this batch, only that it has deleted the key.
 */
static bool contradicts_earlier(const struct batch *batch, size_t index)
{
    const struct weir_write *write = batch->changes[index].write;
    return write->conditional && batch->earlier[index] != NO_CHANGE &&
           (write->expected != WEIR_LSN_NONE ||
            batch->changes[batch->earlier[index]].operation != WEIR_REMOVE);
}

/* Sends for what the next changes will look at, in the index and in the log: a miss that one would
 * wait for is waited for together with those of the others. */
static void fetch_ahead(struct batch *batch, size_t from)
{
    struct index_lane lanes[INDEX_LANES];
    unsigned count = 0;
    for (; count < INDEX_LANES && from + count < batch->count; count++) {
        const struct write_change *change = &batch->changes[from + count];
        lanes[count].index = &change->table->index;
        lanes[count].key =
            (struct index_key){change->write->key.data, (uint32_t)change->write->key.size};
    }
    place_prefetch_keys(&batch->engine->places, lanes, count);
}

static int decide_all(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (i % INDEX_LANES == 0) {
            fetch_ahead(batch, i);
        }
        int rc = contradicts_earlier(batch, i) ? WEIR_E_CONFLICT : find_before(batch, i);
        if (rc == 0) {
            rc = write_decide(&batch->changes[i]);
        }
        if (rc < 0) {
            return rc;
        }
        write_build(&batch->changes[i], &batch->entries[i]);
    }
    return 0;
}

static void stamp(void *context, size_t index, weir_lsn lsn, uint64_t address)
{
    struct batch *batch = context;
    struct write_change *change = &batch->changes[index];
    change->lsn = lsn;
    change->address = address;
    if (!change->exists) {
        return;
    }
    if (batch->earlier[index] != NO_CHANGE) {
        const struct write_change *earlier = &batch->changes[batch->earlier[index]];
        change->before.lsn = earlier->lsn;
        change->before.address = earlier->address;
    }
    record_link(&change->head, change->before.lsn, change->before.address, address);
}

static int apply_all(struct batch *batch, struct arena_region *stock)
{
    int rc = 0;
    for (size_t i = 0; i < batch->count && rc == 0; i++) {
        rc = write_apply(batch->engine, &batch->changes[i], stock, NULL);
    }
    return rc;
}

static uint64_t count_new_keys(const struct batch *batch)
{
    uint64_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        count += !batch->changes[i].exists;
    }
    return count;
}

/* With all stripes locked. */
static int store_all(struct batch *batch, uint32_t lowest, enum weir_durability durability)
{
    struct arena_region region;
    struct arena_region *stock;
    int rc = write_check_index(batch->engine);
    rc = rc == 0 ? decide_all(batch) : rc;
    rc = rc == 0 ? write_find_room(batch->engine, count_new_keys(batch), &region, &stock) : rc;
    if (rc < 0) {
        return rc;
    }
    struct wal_address_batch records = {.entries = batch->entries,
                                        .count = batch->count,
                                        .stamp = stamp,
                                        .context = batch,
                                        .waits_later = true};
    stripe_announce(batch->engine, lowest);
    rc = wal_address_append(batch->engine->log, &records, durability, NULL);
    bool appended = batch->changes[0].lsn != WEIR_LSN_NONE;
    int applied = appended ? apply_all(batch, stock) : 0;
    write_return_stock(batch->engine, stock);
    if (applied < 0) {
        return applied; /* the announcement stays: applied never passes the batch */
    }
    stripe_retract(batch->engine, lowest);
    return rc;
}

static int write_all(struct batch *batch, const struct weir_write *writes,
                     enum weir_durability durability)
{
    uint64_t bytes;
    int rc = check_all(batch, writes, &bytes);
    if (rc == 0) {
        rc = write_admit(batch->engine, durability);
        rc = rc == 0 ? space_admit(batch->engine, kind_of(batch), bytes) : rc;
    }
    if (rc < 0) {
        return rc;
    }
    uint32_t slot = epoch_enter(&batch->engine->epochs);
    uint32_t lowest = lock_all(batch);
    rc = store_all(batch, lowest, durability);
    unlock_all(batch);
    epoch_leave(&batch->engine->epochs, slot);
    if (rc == 0) {
        rc = write_settle(batch->engine, durability, batch->changes[batch->count - 1].lsn);
    }
    return rc;
}

int weir_engine_write_batch(struct weir_engine *engine, const struct weir_write *writes,
                            size_t count, enum weir_durability durability, weir_lsn *ret_first_lsn)
{
    if (engine == NULL || writes == NULL || count == 0 || count > BATCH_MAX) {
        return -EINVAL;
    }
    struct batch batch = {.engine = engine};
    int rc = batch_alloc(&batch, count);
    if (rc == 0) {
        rc = write_all(&batch, writes, durability);
    }
    if (rc == 0 && ret_first_lsn != NULL) {
        *ret_first_lsn = batch.changes[0].lsn;
    }
    batch_free(&batch);
    return rc;
}
