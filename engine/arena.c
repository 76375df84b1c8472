/*
 * The arena: a range of address space, handed out in chunks of one class of objects each.
 *
 * The happy path:
 *   - arena_alloc() takes from the region of its thread: an object that was freed, else the next
 *     of the region's chunk of that class.
 *   - An empty region fetches a few objects from the pool of the class, else makes a chunk of an
 *     object of a larger class that waits in its pool, else takes a new chunk from `used`; chunks
 *     grow with the arena, so that a small tree does not take much.
 *   - arena_retire() puts the object into the bag of the thread's region; reclaim moves it to the
 *     pool of its class.
 *
 * Failure modes:
 *   - The limit is reached: what other regions have left is used up, then 0 is returned.
 *   - An image whose head is not ours or names another size: arena_adopt() refuses it.
 *
 * Invariants:
 *   - Offset 0 is never an object; chunks begin at multiples of a cache line.
 *   - An object in a pool was seen by nobody, or by nobody whose section is still open: its memory
 *     may become objects of another class, and is never read as what it was.
 *   - Memory goes from larger classes to smaller ones only, and only when a class has more live
 *     objects than ever before: all that a class ever has is the most that were live at once.
 *   - used <= limit. Objects allocated = live + freed, for each class.
 *   - Lock order: arena_region.lock, arena_pool.lock.
 */
#include "engine/arena.h"

#include "base/assert.h"
#include "engine/worker.h"

#include <errno.h>
#include <string.h>

#define HEAD_MAGIC UINT64_C(0x316e726172696577) /* "weirarn1" */
#define LEAF_LOWEST UINT64_C(7)                 /* bits of addresses that are 0 */
#define ARENA_START UINT64_C(192)               /* the head, and up to the next cache line */
#define CHUNK_BYTES_MIN UINT64_C(512)
#define CHUNK_SHARE 512 /* a chunk is at most this part of what is used already */
#define REFILL_OBJECTS 32
#define CARVE_OBJECTS_MIN 3 /* that an object of a larger class has to become */
#define ARENA_KINDS (ARENA_CLASSES / 2)

/* Nodes of 2, 4, 6, 16, 32, 64, 128 and 256 entries, then the same with an end slot. */
const uint16_t arena_class_bytes[ARENA_CLASSES] = {
    32, 48, 64, 160, 304, 784, 1296, 2064, 48, 64, 80, 176, 320, 800, 1312, 2080,
};

/* At the start of the arena; written by arena_seal(). */
struct arena_head {
    uint64_t magic;
    uint64_t used;
    uint64_t live[ARENA_CLASSES];
};

_Static_assert(sizeof(struct arena_head) <= ARENA_START, "the head ends before the first chunk");
_Static_assert(ARENA_START % BASE_CACHE_LINE == 0, "chunks begin at cache lines");

/* The first eight bytes of an object in a free list. */
static uint64_t *link_of(const struct engine_arena *arena, uint64_t offset)
{
    return arena_at(arena, offset);
}

/* Puts a list of objects of one class into its pool. */
static void push_list(struct engine_arena *arena, unsigned size_class, uint64_t head, uint64_t last,
                      uint64_t objects)
{
    struct arena_pool *pool = &arena->pools[size_class];
    base_lock_acquire(&pool->lock);
    *link_of(arena, last) = pool->head;
    pool->head = head;
    pool->objects += objects;
    base_lock_release(&pool->lock);
    atomic_fetch_add_explicit(&arena->pooled, objects * arena_class_bytes[size_class],
                              memory_order_relaxed);
}

/* Takes what nobody can see any more, and sorts it by classes. */
static void free_list(void *context, struct epoch_retired *list)
{
    struct engine_arena *arena = context;
    uint64_t heads[ARENA_CLASSES] = {0};
    uint64_t lasts[ARENA_CLASSES];
    uint64_t objects[ARENA_CLASSES] = {0};
    while (list != NULL) {
        struct epoch_retired *next = epoch_retired_next(list);
        uint64_t offset = (uint64_t)((uint8_t *)list - arena->memory) - sizeof(uint64_t);
        uint64_t *link = link_of(arena, offset);
        unsigned size_class = (unsigned)(*link >> ARENA_CLASS_SHIFT) % ARENA_CLASSES;
        lasts[size_class] = heads[size_class] == 0 ? offset : lasts[size_class];
        *link = heads[size_class];
        heads[size_class] = offset;
        objects[size_class]++;
        list = next;
    }
    for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
        if (heads[size_class] != 0) {
            push_list(arena, size_class, heads[size_class], lasts[size_class], objects[size_class]);
            atomic_fetch_add_explicit(&arena->pools[size_class].freed, objects[size_class],
                                      memory_order_relaxed);
        }
    }
}

int arena_init(struct engine_arena *arena, struct engine_epochs *epochs, uint64_t limit_bytes,
               unsigned flags)
{
    uint64_t limit = limit_bytes != 0 ? limit_bytes : ARENA_LIMIT_DEFAULT;
    if (limit < ARENA_LIMIT_MIN || limit > ARENA_LIMIT_MAX) {
        return -EINVAL;
    }
    memset(arena, 0, sizeof *arena);
    unsigned huge = (flags & ARENA_PAGES_SMALL) != 0 ? 0 : BASE_PAGES_HUGE;
    arena->memory = base_pages_alloc((size_t)limit, BASE_PAGES_RESERVE | huge);
    if (arena->memory == NULL) {
        return -ENOMEM;
    }
    arena->limit = limit;
    arena->epochs = epochs;
    atomic_store_explicit(&arena->address_bits, ~LEAF_LOWEST, memory_order_relaxed);
    atomic_store_explicit(&arena->used, ARENA_START, memory_order_relaxed);
    for (unsigned index = 0; index < ARENA_REGIONS && epochs != NULL; index++) {
        epoch_bag_init(&arena->regions[index].bag, epochs, free_list, arena);
    }
    return 0;
}

void arena_spare(struct engine_arena *arena, unsigned shift)
{
    WEIR_ASSERT(shift >= 3 && shift <= 56);
    uint64_t spare = UINT64_C(0xff) << shift;
    atomic_store_explicit(&arena->address_bits, ~(LEAF_LOWEST | spare), memory_order_relaxed);
    atomic_store_explicit(&arena->spare_shift, shift, memory_order_relaxed);
}

void arena_destroy(struct engine_arena *arena)
{
    for (unsigned index = 0; index < ARENA_REGIONS && arena->epochs != NULL; index++) {
        epoch_bag_destroy(&arena->regions[index].bag);
    }
    if (!arena->lost) { /* else it leaks: what is there next would be written to as well */
        base_pages_free(arena->memory, (size_t)arena->limit);
    }
    memset(arena, 0, sizeof *arena);
}

static uint64_t pop_free(struct engine_arena *arena, struct arena_region *region,
                         unsigned size_class)
{
    uint64_t offset = region->shelves[size_class].free;
    if (offset != 0) {
        uint64_t next = *link_of(arena, offset);
        region->shelves[size_class].free = next;
        __builtin_prefetch(link_of(arena, next), 1); /* nobody has touched it for long */
    }
    return offset;
}

static uint64_t pop_chunk(struct arena_region *region, unsigned size_class)
{
    uint64_t offset = region->shelves[size_class].next;
    if (offset == region->shelves[size_class].end) {
        return 0;
    }
    region->shelves[size_class].next = offset + arena_class_bytes[size_class];
    return offset;
}

/* Takes at most so many objects out of the pool: the first of a list, 0 without one. How many. */
static uint64_t take_pooled(struct engine_arena *arena, unsigned size_class, uint64_t most,
                            uint64_t *ret_head)
{
    struct arena_pool *pool = &arena->pools[size_class];
    base_lock_acquire(&pool->lock);
    uint64_t head = pool->head;
    uint64_t last = head;
    uint64_t taken = head != 0;
    while (taken != 0 && taken < most && *link_of(arena, last) != 0) {
        last = *link_of(arena, last);
        taken++;
    }
    if (taken != 0) {
        pool->head = *link_of(arena, last);
        pool->objects -= taken;
        *link_of(arena, last) = 0;
    }
    base_lock_release(&pool->lock);
    if (taken != 0) {
        atomic_fetch_sub_explicit(&arena->pooled, taken * arena_class_bytes[size_class],
                                  memory_order_relaxed);
    }
    *ret_head = head;
    return taken;
}

/* Moves objects from the pool to the region, which has none. How many. */
static uint64_t refill(struct engine_arena *arena, struct arena_region *region, unsigned size_class,
                       uint64_t most)
{
    return take_pooled(arena, size_class, most, &region->shelves[size_class].free);
}

/* Moves `used` on. 0 when the limit is reached. */
static uint64_t reserve(struct engine_arena *arena, uint64_t bytes)
{
    uint64_t rounded = (bytes + BASE_CACHE_LINE - 1) & ~(uint64_t)(BASE_CACHE_LINE - 1);
    uint64_t used = atomic_load_explicit(&arena->used, memory_order_relaxed);
    do {
        if (rounded > arena->limit - used) {
            return 0;
        }
    } while (!atomic_compare_exchange_weak_explicit(&arena->used, &used, used + rounded,
                                                    memory_order_relaxed, memory_order_relaxed));
    return used;
}

static bool fetch_chunk(struct engine_arena *arena, struct arena_region *region,
                        unsigned size_class)
{
    uint64_t size = arena_class_bytes[size_class];
    uint64_t share = atomic_load_explicit(&arena->used, memory_order_relaxed) / CHUNK_SHARE;
    uint64_t bytes = share < ARENA_CHUNK_BYTES_MAX ? share : ARENA_CHUNK_BYTES_MAX;
    bytes = bytes > CHUNK_BYTES_MIN ? bytes : CHUNK_BYTES_MIN;
    uint64_t count = bytes / size != 0 ? bytes / size : 1;
    uint64_t offset = reserve(arena, count * size);
    if (offset == 0 && count > 1) {
        count = 1;
        offset = reserve(arena, size);
    }
    if (offset == 0) {
        return false;
    }
    region->shelves[size_class].next = offset;
    region->shelves[size_class].end = offset + count * size;
    return true;
}

/* Where objects of a class begin in memory that starts at `offset`: as they would lie in a chunk,
 * so that a small node does not lie in more lines than it has to. */
static uint64_t align_for(uint64_t offset, uint64_t size)
{
    uint64_t unit = size & -size;
    unit = unit < BASE_CACHE_LINE ? unit : BASE_CACHE_LINE;
    return (offset + unit - 1) & ~(unit - 1);
}

/* Makes a chunk of an object of a larger class, the smallest that does: when keys come at random
 * all nodes of a level grow at about the same time, and nobody would want those they leave. */
static bool carve(struct engine_arena *arena, struct arena_region *region, unsigned size_class)
{
    uint64_t size = arena_class_bytes[size_class];
    if (atomic_load_explicit(&arena->pooled, memory_order_relaxed) == 0) {
        return false;
    }
    for (unsigned kind = size_class % ARENA_KINDS + 1; kind < ARENA_KINDS; kind++) {
        for (unsigned larger = kind; larger < ARENA_CLASSES; larger += ARENA_KINDS) {
            uint64_t bytes = arena_class_bytes[larger];
            uint64_t offset;
            if (bytes >= CARVE_OBJECTS_MIN * size && take_pooled(arena, larger, 1, &offset) != 0) {
                uint64_t start = align_for(offset, size);
                region->shelves[size_class].next = start;
                region->shelves[size_class].end = start + (offset + bytes - start) / size * size;
                return true;
            }
        }
    }
    return false;
}

static uint64_t take(struct engine_arena *arena, struct arena_region *region, unsigned size_class)
{
    uint64_t offset = pop_free(arena, region, size_class);
    offset = offset != 0 ? offset : pop_chunk(region, size_class);
    if (__builtin_expect(offset == 0, 0)) {
        if (refill(arena, region, size_class, REFILL_OBJECTS) != 0) {
            offset = pop_free(arena, region, size_class);
        } else if (carve(arena, region, size_class) || fetch_chunk(arena, region, size_class)) {
            offset = pop_chunk(region, size_class);
        }
    }
    if (offset != 0) {
        uint64_t before =
            atomic_load_explicit(&region->shelves[size_class].allocated, memory_order_relaxed);
        atomic_store_explicit(&region->shelves[size_class].allocated, before + 1,
                              memory_order_relaxed);
    }
    return offset;
}

uint64_t arena_alloc_private(struct engine_arena *arena, struct arena_region *region,
                             unsigned size_class)
{
    WEIR_ASSERT(size_class < ARENA_CLASSES);
    return take(arena, region, size_class);
}

/* The region of this thread, or the next one that nobody holds; locked. */
static struct arena_region *lock_region(struct engine_arena *arena, uint32_t first)
{
    for (uint32_t step = 0; step < ARENA_REGIONS; step++) {
        struct arena_region *region = &arena->regions[(first + step) % ARENA_REGIONS];
        if (base_lock_try(&region->lock)) {
            return region;
        }
    }
    base_lock_acquire(&arena->regions[first].lock);
    return &arena->regions[first];
}

/* The limit is reached: the last objects that lie in the regions of others. */
static uint64_t scrape(struct engine_arena *arena, unsigned size_class)
{
    for (uint32_t index = 0; index < ARENA_REGIONS; index++) {
        struct arena_region *region = &arena->regions[index];
        base_lock_acquire(&region->lock);
        uint64_t offset = take(arena, region, size_class);
        base_lock_release(&region->lock);
        if (offset != 0) {
            return offset;
        }
    }
    return 0;
}

uint64_t arena_alloc(struct engine_arena *arena, unsigned size_class)
{
    WEIR_ASSERT(size_class < ARENA_CLASSES);
    struct arena_region *region = lock_region(arena, worker_number() % ARENA_REGIONS);
    uint64_t offset = take(arena, region, size_class);
    base_lock_release(&region->lock);
    return __builtin_expect(offset != 0, 1) ? offset : scrape(arena, size_class);
}

bool arena_region_stock(struct engine_arena *arena, struct arena_region *region,
                        unsigned size_class, uint64_t count)
{
    WEIR_ASSERT(size_class < ARENA_CLASSES && region->shelves[size_class].free == 0);
    uint64_t got = count != 0 ? refill(arena, region, size_class, count) : 0;
    for (; got < count; got++) {
        uint64_t offset = reserve(arena, arena_class_bytes[size_class]);
        if (offset == 0) {
            return false;
        }
        *link_of(arena, offset) = region->shelves[size_class].free;
        region->shelves[size_class].free = offset;
    }
    return true;
}

void arena_region_close(struct engine_arena *arena, struct arena_region *region)
{
    for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
        uint64_t offset;
        while ((offset = pop_free(arena, region, size_class)) != 0 ||
               (offset = pop_chunk(region, size_class)) != 0) {
            push_list(arena, size_class, offset, offset, 1);
        }
        uint64_t allocated =
            atomic_load_explicit(&region->shelves[size_class].allocated, memory_order_relaxed);
        atomic_fetch_add_explicit(&arena->pools[size_class].allocated, allocated,
                                  memory_order_relaxed);
    }
    memset(region, 0, sizeof *region);
}

void arena_free(struct engine_arena *arena, uint64_t offset, unsigned size_class)
{
    WEIR_ASSERT(size_class < ARENA_CLASSES && offset >= ARENA_START && offset % ARENA_UNIT == 0);
    push_list(arena, size_class, offset, offset, 1);
    atomic_fetch_add_explicit(&arena->pools[size_class].freed, 1, memory_order_relaxed);
}

bool arena_retire(struct engine_arena *arena, uint64_t offset, unsigned size_class,
                  struct epoch_retired *retired)
{
    WEIR_ASSERT((uint8_t *)retired == arena->memory + offset + sizeof(uint64_t));
    if (arena->epochs == NULL) {
        arena_free(arena, offset, size_class);
        return false;
    }
    struct arena_region *region = &arena->regions[worker_number() % ARENA_REGIONS];
    return epoch_retire(&region->bag, retired, arena_class_bytes[size_class]);
}

static uint64_t live_objects(struct engine_arena *arena, unsigned size_class)
{
    const struct arena_pool *pool = &arena->pools[size_class];
    /* What was freed first: it is then not more than what was allocated. */
    uint64_t freed = atomic_load_explicit(&pool->freed, memory_order_acquire);
    uint64_t allocated = atomic_load_explicit(&pool->allocated, memory_order_relaxed);
    for (unsigned index = 0; index < ARENA_REGIONS; index++) {
        allocated += atomic_load_explicit(&arena->regions[index].shelves[size_class].allocated,
                                          memory_order_relaxed);
    }
    return allocated > freed ? allocated - freed : 0;
}

void arena_seal(struct engine_arena *arena, uint64_t *ret_size)
{
    struct arena_head head = {.magic = HEAD_MAGIC};
    head.used = atomic_load_explicit(&arena->used, memory_order_relaxed);
    for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
        head.live[size_class] = live_objects(arena, size_class);
    }
    memcpy(arena->memory, &head, sizeof head);
    *ret_size = head.used;
}

int arena_adopt(struct engine_arena *arena, uint64_t size)
{
    WEIR_ASSERT(atomic_load_explicit(&arena->used, memory_order_relaxed) == ARENA_START);
    struct arena_head head;
    memcpy(&head, arena->memory, sizeof head);
    if (head.magic != HEAD_MAGIC || head.used != size || size < ARENA_START ||
        size > arena->limit || size % BASE_CACHE_LINE != 0) {
        return -EINVAL;
    }
    atomic_store_explicit(&arena->used, size, memory_order_relaxed);
    for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
        atomic_store_explicit(&arena->pools[size_class].allocated, head.live[size_class],
                              memory_order_relaxed);
    }
    return 0;
}

void arena_read_stats(struct engine_arena *arena, struct arena_stats *ret_stats)
{
    struct arena_stats stats = {0};
    for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
        stats.objects[size_class] = live_objects(arena, size_class);
        stats.live += stats.objects[size_class] * arena_class_bytes[size_class];
    }
    for (unsigned index = 0; index < ARENA_REGIONS; index++) {
        stats.retired +=
            atomic_load_explicit(&arena->regions[index].bag.bytes, memory_order_relaxed);
    }
    stats.used = atomic_load_explicit(&arena->used, memory_order_relaxed);
    stats.free = stats.used > stats.live ? stats.used - stats.live : 0;
    *ret_stats = stats;
}
