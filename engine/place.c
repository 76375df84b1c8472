/*
 * Places: from an address to the record that lies there.
 *
 * Happy path: the segment of an address was pinned before; one load finds it, the log reads the
 * record in it. All segments that anybody has looked into stay pinned, so that their memory neither
 * moves nor goes: what is mapped costs address space and page cache, no memory of the process.
 *
 * Failure modes: the segment is not in the log any more (WEIR_E_TRUNCATED), cannot be mapped, or
 * has no whole record there (WEIR_E_DAMAGED).
 *
 * Invariant: a slot that was filled is emptied when no section is open that could need it, and
 * its segment unpinned when none is that could have loaded it.
 */
#include "engine/engine.h"

#include "base/assert.h"
#include "engine/shortcut.h"

#include <errno.h>
#include <string.h>

/* How large segments are is known when the log is there: a reader may be there before it is. */
static void learn_shift(struct engine_places *places)
{
    uint64_t bytes = wal_address_segment_bytes(places->log);
    if (bytes != 0 && place_shift(places) == PLACE_SHIFT_UNKNOWN) {
        /* Without the lowest bits, which are 0: what a leaf says there need not be taken away. */
        atomic_store_explicit(&places->within, (bytes - 1) & ~(uint64_t)(INDEX_ADDRESS_ALIGN - 1),
                              memory_order_relaxed);
        atomic_store_explicit(&places->near_shift,
                              (uint32_t)__builtin_ctzll(bytes / INDEX_ADDRESS_ALIGN),
                              memory_order_relaxed);
        atomic_store_explicit(&places->segment_shift, (uint32_t)__builtin_ctzll(bytes),
                              memory_order_relaxed);
    }
}

void place_learn(struct weir_engine *engine)
{
    struct engine_places *places = &engine->places;
    base_lock_acquire(&places->lock);
    learn_shift(places);
    base_lock_release(&places->lock);
    if (place_shift(places) != PLACE_SHIFT_UNKNOWN) {
        arena_spare(&engine->arena, place_shift(places) + PLACE_ORDINAL_BITS);
    }
}

static void note_used(struct engine_places *places, uint64_t index)
{
    struct place_used *used = &places->used[index / PLACE_SLOTS];
    bool none = used->first == used->end;
    used->first = none || index < used->first ? index : used->first;
    used->end = none || index >= used->end ? index + 1 : used->end;
}

/* The first one who needs a segment pins it for all. */
int place_pin(struct engine_places *places, uint64_t address, struct wal_segment **ret_segment)
{
    struct wal_segment *segment = NULL;
    int rc = 0;
    base_lock_acquire(&places->lock);
    learn_shift(places);
    uint64_t ordinal = address >> place_shift(places);
    struct place_slot *slot = place_slot_of(places, address);
    if (slot == NULL) {
        rc = WEIR_E_DAMAGED; /* an address that no log of this size has */
    } else {
        segment = atomic_load_explicit(&slot->segment, memory_order_relaxed);
    }
    if (rc == 0 && segment == NULL) {
        rc = wal_address_pin(places->log, ordinal, &segment, NULL);
        if (rc == 0) {
            const uint8_t *base =
                wal_address_at(places->log, segment, ordinal << place_shift(places));
            note_used(places, place_index(ordinal));
            atomic_store_explicit(&slot->base, base, memory_order_relaxed);
            /* Release pairs with the acquire in place_segment_in(). */
            atomic_store_explicit(&slot->segment, segment, memory_order_release);
        }
    }
    base_lock_release(&places->lock);
    *ret_segment = segment;
    return rc;
}

/* A segment of the log is let go of when no key points into it, so no shortcut does. */
bool place_claim(void *context, uint64_t address)
{
    struct engine_places *places = context;
    struct place_slot *slot = place_slot_of(places, address);
    struct wal_segment *segment =
        slot != NULL ? atomic_load_explicit(&slot->segment, memory_order_acquire) : NULL;
    if (segment == NULL) {
        return false; /* nobody has looked into it yet */
    }
    struct place_slot *near = place_near(places, shortcut_spot(address));
    struct wal_segment *owner = atomic_load_explicit(&near->segment, memory_order_acquire);
    if (owner == NULL) {
        base_lock_acquire(&places->lock);
        owner = atomic_load_explicit(&near->segment, memory_order_relaxed);
        if (owner == NULL) {
            owner = segment;
            atomic_store_explicit(&near->base,
                                  atomic_load_explicit(&slot->base, memory_order_relaxed),
                                  memory_order_relaxed);
            /* Release pairs with the acquire in place_change_in(). */
            atomic_store_explicit(&near->segment, segment, memory_order_release);
        }
        base_lock_release(&places->lock);
    }
    return owner == segment;
}

int place_version(struct engine_places *places, uint64_t address,
                  struct engine_version *ret_version)
{
    struct weir_record record;
    int rc = place_read(places, address, &record);
    if (rc < 0) {
        return rc;
    }
    return record.type == WEIR_TYPE_CHANGE ? record_read(&record, address, ret_version)
                                           : WEIR_E_DAMAGED;
}

int place_match(struct engine_places *places, uint64_t address, struct weir_bytes key,
                struct engine_version *ret_version)
{
    int rc = place_version(places, address, ret_version);
    if (rc < 0) {
        return rc;
    }
    return record_key_is(ret_version->key, key);
}

int place_find(struct engine_places *places, struct engine_table *table, struct weir_bytes key,
               struct engine_version *ret_version)
{
    uint64_t address;
    const struct index_key wanted = {key.data, (uint32_t)key.size};
    if (!index_candidate(&table->index, wanted, &address)) {
        return 0;
    }
    place_prefetch(places, address);
    return place_match(places, address, key, ret_version);
}

int place_find_to_put(struct engine_places *places, struct engine_table *table,
                      struct weir_bytes key, struct engine_version *ret_version,
                      struct index_descent *ret_descent)
{
    uint64_t address;
    const struct index_key wanted = {key.data, (uint32_t)key.size};
    int rc = index_descend(&table->index, wanted, ret_descent, &address);
    if (rc == 1) {
        place_prefetch(places, address);
        rc = place_match(places, address, key, ret_version);
    }
    ret_descent->is_key = rc == 1;
    return rc;
}

void place_prefetch_keys(struct engine_places *places, struct index_lane *lanes, unsigned count)
{
    index_candidates(lanes, count);
    for (unsigned i = 0; i < count; i++) {
        if (lanes[i].address != 0) {
            place_prefetch(places, lanes[i].address);
        }
    }
}

/* ---- letting go ---- */

/* No shortcut leads there any more, as no key points into it. */
static void release_near(struct engine_places *places, uint64_t index, struct wal_segment *segment)
{
    uint64_t ordinal = index < PLACE_SLOTS ? index : index - PLACE_SLOTS + WAL_ADDRESS_COMPACTED;
    uint64_t address = ordinal << place_shift(places);
    struct place_slot *near = place_near(places, shortcut_spot(address));
    if (atomic_load_explicit(&near->segment, memory_order_relaxed) == segment) {
        atomic_store_explicit(&near->segment, NULL, memory_order_release);
    }
}

/* No section is open any more that was when the segment's keys had moved, so nobody needs the slot.
 * Younger ones may have come by it all the same: the distance in a newer version leads there. */
static void hide_list(void *context, struct epoch_retired *list)
{
    struct engine_places *places = context;
    base_lock_acquire(&places->lock);
    while (list != NULL) {
        struct epoch_retired *next = epoch_retired_next(list);
        struct place_leaving *leaving = (struct place_leaving *)(void *)list;
        struct place_slot *slot = &places->table->slots[leaving->index];
        /* The base stays: who has seen the segment may still read it in its section. */
        atomic_store_explicit(&slot->segment, NULL, memory_order_release);
        release_near(places, leaving->index, leaving->segment);
        epoch_retire(&places->gone, &leaving->retired, wal_address_segment_bytes(places->log));
        list = next;
    }
    base_lock_release(&places->lock);
}

/* No section is open any more that was when the slot was emptied. */
static void unpin_list(void *context, struct epoch_retired *list)
{
    struct engine_places *places = context;
    base_lock_acquire(&places->lock);
    while (list != NULL) {
        struct epoch_retired *next = epoch_retired_next(list);
        struct place_leaving *leaving = (struct place_leaving *)(void *)list;
        places->table->leaving[leaving->index] = false;
        wal_address_unpin(places->log, leaving->segment);
        base_free(leaving);
        list = next;
    }
    base_lock_release(&places->lock);
}

/* The last bag that was made is emptied first when all are: into the other one. */
int place_init(struct weir_engine *engine)
{
    struct engine_places *places = &engine->places;
    places->table = base_pages_alloc(sizeof *places->table, BASE_PAGES_RESERVE);
    if (places->table == NULL) {
        return -ENOMEM;
    }
    places->log = engine->log;
    atomic_store_explicit(&places->segment_shift, PLACE_SHIFT_UNKNOWN, memory_order_relaxed);
    place_learn(engine);
    epoch_bag_init(&places->gone, &engine->epochs, unpin_list, places);
    epoch_bag_init(&places->bag, &engine->epochs, hide_list, places);
    return 0;
}

/* Sections that are open may still come by with an address in it: the slot stays as long as they.
 */
static void let_go_of_used(struct engine_places *places, const struct place_used *used)
{
    for (uint64_t index = used->first; index < used->end; index++) {
        struct wal_segment *segment =
            atomic_load_explicit(&places->table->slots[index].segment, memory_order_relaxed);
        if (segment == NULL || places->table->leaving[index] ||
            !wal_address_is_dropped(places->log, segment)) {
            continue;
        }
        struct place_leaving *leaving = base_alloc(sizeof *leaving);
        if (leaving != NULL) { /* else it stays for the next call */
            leaving->segment = segment;
            leaving->index = index;
            places->table->leaving[index] = true;
            epoch_retire(&places->bag, &leaving->retired, wal_address_segment_bytes(places->log));
        }
    }
}

void place_let_go(struct weir_engine *engine)
{
    struct engine_places *places = &engine->places;
    base_lock_acquire(&places->lock);
    for (unsigned kind = 0; kind < 2; kind++) {
        let_go_of_used(places, &places->used[kind]);
    }
    base_lock_release(&places->lock);
    place_reclaim(engine);
}

/* Twice: what the first one takes out of the slots, the next one may unpin. */
void place_reclaim(struct weir_engine *engine)
{
    epoch_reclaim(&engine->epochs);
    epoch_reclaim(&engine->epochs);
}

void place_drop_all(struct weir_engine *engine)
{
    struct engine_places *places = &engine->places;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct place_used *used = &places->used[kind];
        for (uint64_t index = used->first; index < used->end; index++) {
            struct place_slot *slot = &places->table->slots[index];
            struct wal_segment *segment =
                atomic_load_explicit(&slot->segment, memory_order_relaxed);
            if (segment != NULL) {
                release_near(places, index, segment);
                wal_address_unpin(engine->log, segment);
            }
            atomic_store_explicit(&slot->segment, NULL, memory_order_relaxed);
        }
        *used = (struct place_used){0};
    }
}

void place_destroy(struct weir_engine *engine)
{
    place_drop_all(engine);
    base_pages_free(engine->places.table, sizeof *engine->places.table);
    engine->places.table = NULL;
}

/* ---- for the index ---- */

int place_load_key(void *context, uint64_t address, struct index_key *ret_key)
{
    struct engine_version version;
    int rc = place_version((struct engine_places *)context, address, &version);
    if (rc == 0) {
        *ret_key = (struct index_key){version.key.data, (uint32_t)version.key.size};
    }
    return rc;
}
