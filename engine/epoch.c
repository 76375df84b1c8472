/*
 * Epochs: sections with a number, and bags of objects that wait until all older sections are over.
 *
 * The happy path:
 *   - epoch_enter() writes the global epoch into a free slot, epoch_leave() clears it.
 *   - epoch_retire() puts an object into its bag. Once a batch of them is there, they become part
 * of the generation of the global epoch.
 *   - epoch_reclaim() does the same with what is there, counts the global epoch up, finds the
 *     oldest section, and frees every generation that is older than it.
 *
 * Failure modes:
 *   - A section that never ends: everything retired since waits. Generations are merged when there
 *     are too many, memory grows, and epoch_oldest() tells who and how much.
 *   - All slots taken: epoch_enter() waits for one. A wake that is missed costs a nap.
 *
 * Invariants:
 *   - A section with epoch e can only look at objects that are in a generation >= e, or in none.
 *     Why: what is in generation r was unlinked before the read-modify-write that read r, which is
 *     before the one that made it r + 1, which a section with e > r has read.
 *   - A section that the scan did not see has begun after it: it reads the global epoch again
 *     behind its slot, and so sees all that was unlinked before the epoch was counted up.
 *   - Generations of a bag are in ascending order of their epochs.
 *   - Lock order: engine_epochs.lock, epoch_bag.lock.
 */
#include "engine/epoch.h"

#include "base/assert.h"
#include "base/clock.h"
#include "engine/worker.h"

#include <limits.h>
#include <string.h>

#define YIELDS_BEFORE_NAP 16
#define NAP_NS ((int64_t)1000000)

int epochs_init(struct engine_epochs *epochs)
{
    memset(epochs, 0, sizeof *epochs);
    atomic_store_explicit(&epochs->global, 1, memory_order_relaxed);
    return 0;
}

static bool claim(struct engine_epochs *epochs, uint32_t slot)
{
    uint64_t expected = 0;
    /* Acquire pairs with the release in epoch_reclaim() that counted up. */
    uint64_t epoch = atomic_load_explicit(&epochs->global, memory_order_acquire);
    if (!atomic_compare_exchange_strong_explicit(&epochs->slots[slot].epoch, &expected, epoch,
                                                 memory_order_seq_cst, memory_order_relaxed)) {
        return false;
    }
    /* A scan that missed the slot comes before this load: see the invariants. */
    (void)atomic_load_explicit(&epochs->global, memory_order_seq_cst);
    return true;
}

static uint32_t enter_slowly(struct engine_epochs *epochs, uint32_t start)
{
    for (unsigned turn = 0;; turn++) {
        uint32_t seen = atomic_load_explicit(&epochs->full, memory_order_relaxed);
        for (uint32_t step = 0; step < EPOCH_SLOTS; step++) {
            uint32_t slot = (start + step) % EPOCH_SLOTS;
            if (atomic_load_explicit(&epochs->slots[slot].epoch, memory_order_relaxed) == 0 &&
                claim(epochs, slot)) {
                return slot;
            }
        }
        if (turn < YIELDS_BEFORE_NAP) {
            base_yield();
            continue;
        }
        atomic_fetch_add_explicit(&epochs->full_waiters, 1, memory_order_seq_cst);
        (void)base_wait(&epochs->full, seen, NAP_NS, false);
        atomic_fetch_sub_explicit(&epochs->full_waiters, 1, memory_order_relaxed);
    }
}

uint32_t epoch_enter(struct engine_epochs *epochs)
{
    uint32_t slot = worker_number() % EPOCH_SLOTS;
    return __builtin_expect(claim(epochs, slot), 1) ? slot : enter_slowly(epochs, slot + 1);
}

void epoch_leave(struct engine_epochs *epochs, uint32_t slot)
{
    WEIR_ASSERT(slot < EPOCH_SLOTS);
    /* Release pairs with the load in the scan: what the section read is before what is freed. */
    atomic_store_explicit(&epochs->slots[slot].epoch, 0, memory_order_release);
    if (__builtin_expect(atomic_load_explicit(&epochs->full_waiters, memory_order_relaxed) != 0,
                         0)) {
        atomic_fetch_add_explicit(&epochs->full, 1, memory_order_relaxed);
        base_wake(&epochs->full, 1, false);
    }
}

void epoch_bag_init(struct epoch_bag *bag, struct engine_epochs *epochs, epoch_free_fn free,
                    void *context)
{
    memset(bag, 0, sizeof *bag);
    bag->epochs = epochs;
    bag->free = free;
    bag->context = context;
    base_lock_acquire(&epochs->lock);
    bag->next = epochs->bags;
    epochs->bags = bag;
    base_lock_release(&epochs->lock);
}

/* A generation for `epoch` or a later one: the newest, or a new one behind it. */
static struct epoch_generation *generation_for(struct epoch_bag *bag, uint64_t epoch)
{
    struct epoch_generation *newest =
        &bag->generations[(bag->first + bag->count - 1) % EPOCH_GENERATIONS];
    if (bag->count != 0 && newest->epoch >= epoch) {
        return newest;
    }
    if (bag->count == EPOCH_GENERATIONS) {
        newest->epoch = epoch; /* what is in it waits longer than it had to */
        return newest;
    }
    newest = &bag->generations[(bag->first + bag->count) % EPOCH_GENERATIONS];
    bag->count++;
    *newest = (struct epoch_generation){.epoch = epoch};
    return newest;
}

/* Gives an epoch to what is fresh. Under the lock of the bag. */
static void stamp(struct epoch_bag *bag)
{
    struct epoch_generation *fresh = &bag->fresh;
    if (fresh->head == NULL) {
        return;
    }
    /* A read-modify-write, since a plain load could be older than what was unlinked. */
    uint64_t epoch = atomic_fetch_add_explicit(&bag->epochs->global, 0, memory_order_seq_cst);
    struct epoch_generation *generation = generation_for(bag, epoch);
    if (generation->head == NULL) {
        generation->tail = fresh->tail;
    }
    atomic_store_explicit(&fresh->tail->next, (uint64_t)(uintptr_t)generation->head,
                          memory_order_release);
    generation->head = fresh->head;
    generation->bytes += fresh->bytes;
    generation->objects += fresh->objects;
    *fresh = (struct epoch_generation){0};
}

bool epoch_retire(struct epoch_bag *bag, struct epoch_retired *entry, uint64_t bytes)
{
    base_lock_acquire(&bag->lock);
    struct epoch_generation *fresh = &bag->fresh;
    if (fresh->head == NULL) {
        fresh->tail = entry;
    }
    /* Release pairs with the acquire of who reads an object that was retired meanwhile. */
    atomic_store_explicit(&entry->next, (uint64_t)(uintptr_t)fresh->head, memory_order_release);
    fresh->head = entry;
    fresh->bytes += bytes;
    fresh->objects++;
    atomic_store_explicit(&bag->bytes,
                          atomic_load_explicit(&bag->bytes, memory_order_relaxed) + bytes,
                          memory_order_relaxed);
    bool full = fresh->objects == EPOCH_BATCH;
    if (full) {
        stamp(bag);
    }
    base_lock_release(&bag->lock);
    return full;
}

/* Takes all generations older than `safe` out of the bag, as one list. */
static struct epoch_retired *take(struct epoch_bag *bag, uint64_t safe, size_t *ret_objects)
{
    struct epoch_retired *list = NULL;
    base_lock_acquire(&bag->lock);
    while (bag->count != 0 && bag->generations[bag->first].epoch < safe) {
        struct epoch_generation *oldest = &bag->generations[bag->first];
        atomic_store_explicit(&oldest->tail->next, (uint64_t)(uintptr_t)list, memory_order_relaxed);
        list = oldest->head;
        *ret_objects += (size_t)oldest->objects;
        atomic_store_explicit(
            &bag->bytes, atomic_load_explicit(&bag->bytes, memory_order_relaxed) - oldest->bytes,
            memory_order_relaxed);
        bag->first = (bag->first + 1) % EPOCH_GENERATIONS;
        bag->count--;
    }
    base_lock_release(&bag->lock);
    return list;
}

static void stamp_all(struct engine_epochs *epochs)
{
    for (struct epoch_bag *bag = epochs->bags; bag != NULL; bag = bag->next) {
        base_lock_acquire(&bag->lock);
        stamp(bag);
        base_lock_release(&bag->lock);
    }
}

static size_t free_older(struct epoch_bag *bag, uint64_t safe)
{
    size_t objects = 0;
    struct epoch_retired *list = take(bag, safe, &objects);
    if (list != NULL) {
        bag->free(bag->context, list);
    }
    return objects;
}

/* The slot of the oldest section, or EPOCH_SLOTS. Notes when each section was first seen. */
static uint32_t scan(struct engine_epochs *epochs, uint64_t *ret_epoch)
{
    uint32_t oldest = EPOCH_SLOTS;
    uint64_t now_ns = 0;
    *ret_epoch = UINT64_MAX;
    for (uint32_t index = 0; index < EPOCH_SLOTS; index++) {
        struct epoch_slot *slot = &epochs->slots[index];
        /* Acquire pairs with the release in epoch_leave(). */
        uint64_t epoch = atomic_load_explicit(&slot->epoch, memory_order_seq_cst);
        if (epoch == 0) {
            continue;
        }
        if (slot->seen_epoch != epoch) {
            now_ns = now_ns != 0 ? now_ns : base_clock_coarse_ns();
            slot->seen_epoch = epoch;
            slot->seen_ns = now_ns;
        }
        if (epoch < *ret_epoch) {
            *ret_epoch = epoch;
            oldest = index;
        }
    }
    return oldest;
}

size_t epoch_reclaim(struct engine_epochs *epochs)
{
    if (!base_lock_try(&epochs->lock)) {
        return 0;
    }
    stamp_all(epochs);
    /* Counted up first: sections that begin now do not hold back what was retired before. */
    uint64_t safe = 1 + atomic_fetch_add_explicit(&epochs->global, 1, memory_order_seq_cst);
    uint64_t oldest;
    (void)scan(epochs, &oldest);
    safe = oldest < safe ? oldest : safe;
    size_t objects = 0;
    for (struct epoch_bag *bag = epochs->bags; bag != NULL; bag = bag->next) {
        objects += free_older(bag, safe);
    }
    base_lock_release(&epochs->lock);
    return objects;
}

static uint64_t bytes_since(struct epoch_bag *bag, uint64_t epoch)
{
    base_lock_acquire(&bag->lock);
    uint64_t bytes = bag->fresh.bytes;
    for (uint32_t step = 0; step < bag->count; step++) {
        const struct epoch_generation *generation =
            &bag->generations[(bag->first + step) % EPOCH_GENERATIONS];
        bytes += generation->epoch >= epoch ? generation->bytes : 0;
    }
    base_lock_release(&bag->lock);
    return bytes;
}

bool epoch_oldest(struct engine_epochs *epochs, struct epoch_oldest *ret_oldest)
{
    struct epoch_oldest oldest = {0};
    base_lock_acquire(&epochs->lock);
    oldest.slot = scan(epochs, &oldest.epoch);
    if (oldest.slot != EPOCH_SLOTS) {
        oldest.age_ns = base_clock_coarse_ns() - epochs->slots[oldest.slot].seen_ns;
        for (struct epoch_bag *bag = epochs->bags; bag != NULL; bag = bag->next) {
            oldest.held_bytes += bytes_since(bag, oldest.epoch);
        }
    }
    base_lock_release(&epochs->lock);
    if (oldest.slot == EPOCH_SLOTS) {
        return false;
    }
    *ret_oldest = oldest;
    return true;
}

uint64_t epoch_retired_bytes(struct engine_epochs *epochs)
{
    uint64_t bytes = 0;
    base_lock_acquire(&epochs->lock);
    for (struct epoch_bag *bag = epochs->bags; bag != NULL; bag = bag->next) {
        bytes += atomic_load_explicit(&bag->bytes, memory_order_relaxed);
    }
    base_lock_release(&epochs->lock);
    return bytes;
}

void epoch_bag_destroy(struct epoch_bag *bag)
{
    struct engine_epochs *epochs = bag->epochs;
    base_lock_acquire(&epochs->lock);
    struct epoch_bag **link = &epochs->bags;
    while (*link != bag) {
        WEIR_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = bag->next;
    base_lock_release(&epochs->lock);
    stamp(bag);
    (void)free_older(bag, UINT64_MAX);
}

void epochs_destroy(struct engine_epochs *epochs)
{
    for (uint32_t slot = 0; slot < EPOCH_SLOTS; slot++) {
        WEIR_ASSERT(atomic_load_explicit(&epochs->slots[slot].epoch, memory_order_acquire) == 0);
    }
    while (epochs->bags != NULL) {
        epoch_bag_destroy(epochs->bags);
    }
}
