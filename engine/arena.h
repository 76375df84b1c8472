/*
 * Memory for nodes: one contiguous range of addresses, reserved once, used from the start.
 *
 *     arena_init(&arena, &epochs, 0, 0);
 *     uint64_t offset = arena_alloc(&arena, class);       // 0: the limit is reached
 *     struct node *node = arena_at(&arena, offset);
 *     arena_retire(&arena, offset, class, &node->retired);
 *
 * References are offsets, so that the image [0, used) can be written to a file, and be used in
 * place at another address later:
 *
 *     arena_seal(&arena, &size);  write(file, arena.memory, size);
 *     arena_init(&other, ...);    read(file, other.memory, size);    arena_adopt(&other, size);
 *
 * An image holds native words: it is for machines of the same byte order. Whether its bytes are
 * what was written is for the caller's checksum; arena_adopt() looks at the head only.
 *
 * Threads: all but init, destroy, seal and adopt may be called by several at once. Each thread
 * allocates from a region of its own most of the time.
 */
#ifndef ENGINE_ARENA_H
#define ENGINE_ARENA_H

#include "base/alloc.h"
#include "base/sync.h"
#include "engine/epoch.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_UNIT 16u /* every offset and size is a multiple of it */
#define ARENA_CLASSES 16
#define ARENA_CLASS_SHIFT 2 /* four bits of the first word of an object that is retired */
#define ARENA_REGIONS 8
#define ARENA_CHUNK_BYTES_MAX UINT64_C(32768)
/* Of what a region has taken and not handed out, which others cannot have: a chunk of each class.
 */
#define ARENA_REGION_KEEPS_MAX (ARENA_CLASSES * ARENA_CHUNK_BYTES_MAX)
#define ARENA_LIMIT_MAX (UINT64_C(1) << 32 << 4) /* references are 32 bits, of units */
#define ARENA_LIMIT_DEFAULT ARENA_LIMIT_MAX
#define ARENA_LIMIT_MIN (UINT64_C(64) << 10)

/* The sizes that there are; see engine/node.h for what has them. */
extern const uint16_t arena_class_bytes[ARENA_CLASSES];

/* What a region has of a class. */
struct arena_shelf {
    uint64_t next, end;         /* the rest of a chunk */
    uint64_t free;              /* objects that were freed, linked */
    _Atomic uint64_t allocated; /* ever */
};

/* Where one thread, or one builder, takes its memory from. */
struct arena_region {
    alignas(BASE_CACHE_LINE) struct base_lock lock; /* a private region needs none */
    struct epoch_bag bag;                           /* what its threads have retired */
    alignas(BASE_CACHE_LINE) struct arena_shelf shelves[ARENA_CLASSES];
};

/* Freed objects of a class that no region has taken yet. */
struct arena_pool {
    struct base_lock lock;
    uint64_t head;
    uint64_t objects;           /* in the list */
    _Atomic uint64_t allocated; /* by closed private regions and by the image that was adopted */
    _Atomic uint64_t freed;     /* ever */
};

struct engine_arena {
    uint8_t *memory;
    uint64_t limit; /* bytes of address space */
    struct engine_epochs *epochs;
    /* What the leaves of an index hold beside an address, in eight bits of it that are always 0. */
    _Atomic uint64_t address_bits; /* all others but the lowest three */
    _Atomic uint32_t spare_shift;  /* where they begin; 0: leaves hold nothing more */
    _Atomic uint64_t used;   /* moves once for a chunk, so it may share the line of the others */
    _Atomic uint64_t pooled; /* bytes of the objects in pools */
    struct arena_pool pools[ARENA_CLASSES];
    bool lost; /* a medium may still write to the memory: it is never given back */
    struct arena_region regions[ARENA_REGIONS];
};

struct arena_stats {
    uint64_t used;                   /* bytes from the start that were ever handed to a region */
    uint64_t live;                   /* bytes of objects, those retired but not freed included */
    uint64_t retired;                /* bytes of objects that wait for readers */
    uint64_t free;                   /* used - live: free lists and rests of chunks */
    uint64_t objects[ARENA_CLASSES]; /* live ones of each class */
};

#define ARENA_PAGES_SMALL 0x1u /* do not ask for huge pages */

/*
 * @param epochs       through which memory is retired; NULL when nobody reads while others free.
 * @param limit_bytes  0 for the default, else ARENA_LIMIT_MIN to ARENA_LIMIT_MAX. It is address
 *                     space: memory is taken when it is used.
 * Returns 0, -EINVAL or -ENOMEM.
 */
int arena_init(struct engine_arena *arena, struct engine_epochs *epochs, uint64_t limit_bytes,
               unsigned flags);

/* Says from which bit on, 3 to 56, the addresses that leaves hold have eight bits that are 0.
 * Before a leaf knows anything more, and the same ever after: those put before know nothing. */
void arena_spare(struct engine_arena *arena, unsigned shift);

/* Frees everything, what is retired included. No section is open that could look at it. */
void arena_destroy(struct engine_arena *arena);

/* The offset of an object of arena_class_bytes[class] bytes, undefined content; 0: no memory. */
uint64_t arena_alloc(struct engine_arena *arena, unsigned size_class);

/* As arena_alloc, from a region that only the caller uses (zero it first; it needs no end). */
uint64_t arena_alloc_private(struct engine_arena *arena, struct arena_region *region,
                             unsigned size_class);

/* Puts objects of a class into a private region, for allocations that must not fail. False: so many
 * are not to be had; close the region then, too. */
bool arena_region_stock(struct engine_arena *arena, struct arena_region *region,
                        unsigned size_class, uint64_t count);

/* Gives what a private region has left back to the arena. */
void arena_region_close(struct engine_arena *arena, struct arena_region *region);

/* Frees at once: nobody has ever seen it, or nobody reads. */
void arena_free(struct engine_arena *arena, uint64_t offset, unsigned size_class);

/*
 * Frees when no reader can look at it any more. The first word of the object says its class, at
 * ARENA_CLASS_SHIFT, and stays so; `retired` is the second word.
 * True once in a while: time to call epoch_reclaim().
 */
bool arena_retire(struct engine_arena *arena, uint64_t offset, unsigned size_class,
                  struct epoch_retired *retired);

static inline void *arena_at(const struct engine_arena *arena, uint64_t offset)
{
    return arena->memory + offset;
}

/*
 * Writes the head of the image. Nothing is retired and no other thread is in the arena.
 * Afterwards [memory, memory + *ret_size) is the image; the arena may be used on.
 */
void arena_seal(struct engine_arena *arena, uint64_t *ret_size);

/*
 * Takes over an image that the caller has placed at arena->memory, in an arena that nothing was
 * allocated from. Returns 0, or -EINVAL when the head does not belong to an image of this size and
 * this version; what the words in it say is not looked at.
 */
int arena_adopt(struct engine_arena *arena, uint64_t size);

void arena_read_stats(struct engine_arena *arena, struct arena_stats *ret_stats);

#endif
