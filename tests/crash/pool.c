/*
 * Pages by size, and clocks that advance with each look.
 *
 * Memory is zeroed when it is handed out again, as the kernel would. One thread.
 */
#include "tests/crash/pool.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/random.h"
#include "base/system.h"

#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

#define SIZES_MAX 16u
#define KEPT_MAX 64u /* of each size */
#define SPARSE_BYTES ((size_t)16 << 20)
#define START_NS UINT64_C(1700000000000000000)

struct pool_size {
    size_t size;
    unsigned count;
    void *blocks[KEPT_MAX];
};

static struct pool_size sizes[SIZES_MAX];
static struct base_prng prng;
static uint64_t now_ns;

static struct pool_size *size_of(size_t size)
{
    for (unsigned i = 0; i < SIZES_MAX; i++) {
        if (sizes[i].size == size) {
            return &sizes[i];
        }
        if (sizes[i].size == 0) {
            sizes[i].size = size;
            return &sizes[i];
        }
    }
    return NULL;
}

/* Of a large range of addresses little was touched: the kernel takes that back, and is quicker. */
static void clear(void *block, size_t size, unsigned flags)
{
    if ((flags & BASE_PAGES_RESERVE) != 0 && size >= SPARSE_BYTES) {
        int rc = madvise(block, size, MADV_DONTNEED);
        WEIR_ASSERT(rc == 0);
    } else {
        memset(block, 0, size);
    }
}

static void *alloc_pages(void *context, size_t size, unsigned flags)
{
    (void)context;
    struct pool_size *of = size_of(size);
    if (of != NULL && of->count > 0) {
        void *block = of->blocks[--of->count];
        clear(block, size, flags);
        return block;
    }
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

static void free_pages(void *context, void *memory, size_t size)
{
    (void)context;
    struct pool_size *of = size_of(size);
    if (of != NULL && of->count < KEPT_MAX) {
        of->blocks[of->count++] = memory;
        return;
    }
    munmap(memory, size);
}

static uint64_t next_ns(void *context)
{
    (void)context;
    now_ns += 1000;
    return now_ns;
}

static uint64_t next_realtime_ns(void *context)
{
    return START_NS + next_ns(context);
}

static int random_bytes(void *context, void *data, size_t size)
{
    (void)context;
    base_prng_fill(&prng, data, size);
    return 0;
}

static const struct base_system table = {
    .realtime = next_realtime_ns,
    .monotonic = next_ns,
    .coarse = next_ns,
    .pages_alloc = alloc_pages,
    .pages_free = free_pages,
    .random = random_bytes,
    .alone = true,
};

void pool_seed(uint64_t seed)
{
    base_prng_seed(&prng, seed);
    now_ns = 0;
}

void pool_begin(void)
{
    pool_seed(1);
    mallopt(M_TRIM_THRESHOLD, 256 << 20); /* the heap does not go back and forth */
    mallopt(M_TOP_PAD, 16 << 20);
    base_system_set(&table);
}

void pool_end(void)
{
    base_system_set(NULL);
    for (unsigned i = 0; i < SIZES_MAX; i++) {
        while (sizes[i].count > 0) {
            munmap(sizes[i].blocks[--sizes[i].count], sizes[i].size);
        }
        sizes[i].size = 0;
    }
}
