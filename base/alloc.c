/*
 * malloc and mmap, counted.
 *
 * A failed allocation changes no counter. The counters are relaxed: a test reads them while nothing
 * else runs, and the two atomic adds are small beside the malloc that they count.
 */
#include "base/alloc.h"

#include "base/assert.h"
#include "base/system.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_SIZE ((size_t)2 << 20)

static _Atomic uint64_t allocation_count;
static _Atomic uint64_t blocks_in_use;
static _Atomic uint64_t pages_in_use;

static void *allocate_raw(size_t alignment, size_t size)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(alloc);
    if (system != NULL) {
        return system->alloc(system->context, alignment, size);
    }
    if (alignment <= _Alignof(max_align_t)) {
        return malloc(size);
    }
    void *memory = NULL;
    return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

void *base_alloc_aligned(size_t alignment, size_t size)
{
    WEIR_ASSERT(alignment != 0 && (alignment & (alignment - 1)) == 0);
    void *memory = allocate_raw(alignment, size != 0 ? size : 1);
    if (memory != NULL) {
        atomic_fetch_add_explicit(&allocation_count, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&blocks_in_use, 1, memory_order_relaxed);
    }
    return memory;
}

void *base_alloc(size_t size)
{
    return base_alloc_aligned(_Alignof(max_align_t), size);
}

void *base_alloc_zero(size_t size)
{
    void *memory = base_alloc(size);
    if (memory != NULL) {
        memset(memory, 0, size);
    }
    return memory;
}

void *base_alloc_array(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    return base_alloc_zero(total);
}

void base_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    uint64_t before = atomic_fetch_sub_explicit(&blocks_in_use, 1, memory_order_relaxed);
    WEIR_ASSERT(before > 0);
    const struct base_system *system = BASE_SYSTEM_HOOK(free);
    if (system != NULL) {
        system->free(system->context, memory);
    } else {
        free(memory);
    }
}

uint64_t base_alloc_count(void)
{
    return atomic_load_explicit(&allocation_count, memory_order_relaxed);
}

uint64_t base_alloc_in_use(void)
{
    return atomic_load_explicit(&blocks_in_use, memory_order_relaxed);
}

size_t base_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_to_pages(size_t size)
{
    size_t page_size = base_page_size();
    size_t rounded;
    if (__builtin_add_overflow(size, page_size - 1, &rounded)) {
        return 0;
    }
    return rounded & ~(page_size - 1);
}

static void *map_anonymous(size_t size, unsigned flags)
{
    int reserve = (flags & BASE_PAGES_RESERVE) != 0 ? MAP_NORESERVE : 0;
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | reserve, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static void unmap(void *memory, size_t size)
{
    int result = size != 0 ? munmap(memory, size) : 0;
    WEIR_ASSERT(result == 0);
}

/* Maps 2 MiB more than needed and gives back what lies around the aligned part. */
static void *map_huge_aligned(size_t size, unsigned flags)
{
    size_t padded;
    if (__builtin_add_overflow(size, HUGE_PAGE_SIZE, &padded)) {
        return NULL;
    }
    char *start = map_anonymous(padded, flags);
    if (start == NULL) {
        return NULL;
    }
    size_t skip = -(uintptr_t)start & (HUGE_PAGE_SIZE - 1);
    unmap(start, skip);
    unmap(start + skip + size, HUGE_PAGE_SIZE - skip);
    /* Refused where huge pages are switched off: small pages serve as well. */
    (void)madvise(start + skip, size, MADV_HUGEPAGE);
    return start + skip;
}

/* MAP_POPULATE would come before the advice; a write to each page comes after it. */
static void populate(char *memory, size_t size)
{
    size_t page_size = base_page_size();
    for (size_t offset = 0; offset < size; offset += page_size) {
        *(volatile char *)(memory + offset) = 0;
    }
}

static void *map_pages(size_t size, unsigned flags)
{
    void *memory =
        (flags & BASE_PAGES_HUGE) != 0 ? map_huge_aligned(size, flags) : map_anonymous(size, flags);
    if (memory != NULL && (flags & BASE_PAGES_POPULATE) != 0) {
        populate(memory, size);
    }
    return memory;
}

void *base_pages_alloc(size_t size, unsigned flags)
{
    WEIR_ASSERT(size > 0);
    size_t rounded = round_to_pages(size);
    if (rounded == 0) {
        return NULL;
    }
    const struct base_system *system = BASE_SYSTEM_HOOK(pages_alloc);
    void *memory = system != NULL ? system->pages_alloc(system->context, rounded, flags)
                                  : map_pages(rounded, flags);
    if (memory != NULL) {
        atomic_fetch_add_explicit(&pages_in_use, rounded, memory_order_relaxed);
    }
    return memory;
}

void base_pages_free(void *memory, size_t size)
{
    if (memory == NULL) {
        return;
    }
    size_t rounded = round_to_pages(size);
    uint64_t before = atomic_fetch_sub_explicit(&pages_in_use, rounded, memory_order_relaxed);
    WEIR_ASSERT(rounded > 0 && before >= rounded);
    const struct base_system *system = BASE_SYSTEM_HOOK(pages_free);
    if (system != NULL) {
        system->pages_free(system->context, memory, rounded);
    } else {
        unmap(memory, rounded);
    }
}

uint64_t base_pages_in_use(void)
{
    return atomic_load_explicit(&pages_in_use, memory_order_relaxed);
}
