/*
 * Reclamation: memory that readers may still look at is freed when they cannot any more.
 *
 *     uint32_t slot = epoch_enter(&epochs);
 *     ...follow pointers that writers publish...
 *     epoch_leave(&epochs, slot);
 *
 *     unlink(node);                                    // nobody new can find it
 *     epoch_retire(&bag, &node->retired, size);        // freed by some later epoch_reclaim()
 *
 * A section costs one atomic read-modify-write to enter and one store to leave. Nothing here ever
 * waits for a reader: a section that never ends holds memory back, and epoch_oldest() names it.
 *
 * Objects of one kind wait in one bag, linked through eight bytes inside of them, so retiring
 * allocates nothing and cannot fail. A bag belongs to one engine_epochs.
 */
#ifndef ENGINE_EPOCH_H
#define ENGINE_EPOCH_H

#include "base/alloc.h"
#include "base/sync.h"
#include "engine/worker.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EPOCH_SLOTS 128
#define EPOCH_GENERATIONS 8
#define EPOCH_BATCH 32 /* objects that get their epoch together */

/* Inside an object that is retired. Readers that look at it see the link once it is retired. */
struct epoch_retired {
    _Atomic uint64_t next; /* address of the next one, 0 at the end */
};

/* The next of a list that a free function was handed; read it before the entry is freed. */
static inline struct epoch_retired *epoch_retired_next(struct epoch_retired *entry)
{
    return (struct epoch_retired *)(uintptr_t)atomic_load_explicit(&entry->next,
                                                                   memory_order_relaxed);
}

/*
 * Frees a whole list. Called by epoch_reclaim() on any thread, by one at a time, and itself calls
 * nothing of epochs but epoch_retire() into another bag.
 */
typedef void (*epoch_free_fn)(void *context, struct epoch_retired *list);

/* What was retired while one epoch lasted, at the latest. */
struct epoch_generation {
    uint64_t epoch;
    struct epoch_retired *head;
    struct epoch_retired *tail;
    uint64_t bytes;
    uint64_t objects;
};

struct engine_epochs;

struct epoch_bag {
    struct engine_epochs *epochs;
    struct epoch_bag *next; /* of the bags of these epochs */
    epoch_free_fn free;
    void *context;
    struct base_lock lock;         /* all below */
    uint32_t first;                /* the oldest generation */
    uint32_t count;                /* how many are in use */
    struct epoch_generation fresh; /* has no epoch yet */
    struct epoch_generation generations[EPOCH_GENERATIONS];
    _Atomic uint64_t bytes; /* retired and not freed; read without the lock */
};

struct epoch_slot {
    alignas(BASE_CACHE_LINE) _Atomic uint64_t epoch; /* 0 when free */
    uint64_t seen_epoch; /* under the lock: the section that was seen at seen_ns */
    uint64_t seen_ns;
};

struct engine_epochs {
    struct epoch_slot slots[EPOCH_SLOTS];
    alignas(BASE_CACHE_LINE) _Atomic uint64_t global; /* counts up from 1 */
    alignas(BASE_CACHE_LINE) struct base_lock lock;   /* the bags, and who reclaims */
    struct epoch_bag *bags;
    _Atomic uint32_t full; /* changes whenever somebody leaves while others wait */
    _Atomic uint32_t full_waiters;
};

/* The section that holds back the most. */
struct epoch_oldest {
    uint32_t slot;
    uint64_t epoch;
    uint64_t age_ns;     /* since the first epoch_reclaim() or epoch_oldest() that saw it */
    uint64_t held_bytes; /* retired since it began, in all bags */
};

/* Returns 0. Allocates nothing. */
int epochs_init(struct engine_epochs *epochs);

/* Frees everything retired, and forgets the bags. No section is open. */
void epochs_destroy(struct engine_epochs *epochs);

/*
 * Begins a section. Sections of one thread may nest or overlap, each has its own slot. When all
 * slots are taken it waits until one is left.
 */
uint32_t epoch_enter(struct engine_epochs *epochs);
void epoch_leave(struct engine_epochs *epochs, uint32_t slot);

/* Asks for what epoch_enter() will want. */
static inline void epoch_prefetch(struct engine_epochs *epochs)
{
    __builtin_prefetch(&epochs->slots[worker_number() % EPOCH_SLOTS], 1);
}

void epoch_bag_init(struct epoch_bag *bag, struct engine_epochs *epochs, epoch_free_fn free,
                    void *context);

/* Frees what waits in it, and takes it away. No section is open that could look at it. */
void epoch_bag_destroy(struct epoch_bag *bag);

/*
 * Frees `entry` once no section is open that was open when this was called. The object is already
 * unreachable for sections that begin now. @param bytes is what epoch_oldest() counts.
 * True once in a while: time to call epoch_reclaim().
 */
bool epoch_retire(struct epoch_bag *bag, struct epoch_retired *entry, uint64_t bytes);

/*
 * Frees what is safe, and returns how many objects. Never waits: while another thread is at it,
 * returns 0. The caller may be inside a section, which then holds back what was retired since.
 */
size_t epoch_reclaim(struct engine_epochs *epochs);

/* False when no section is open. Never waits for a reader. */
bool epoch_oldest(struct engine_epochs *epochs, struct epoch_oldest *ret_oldest);

/* Retired and not freed, in all bags. */
uint64_t epoch_retired_bytes(struct engine_epochs *epochs);

#endif
