/*
 * Allocations that fail: a table of base_system that counts.
 */
#include "tests/derived/support.h"

#include "base/system.h"

#include <sys/mman.h>

static struct {
    uint64_t at, count;
    bool stays;
} fault;

static bool strikes(void)
{
    fault.count++;
    return fault.at != 0 && (fault.count == fault.at || (fault.stays && fault.count > fault.at));
}

static void *alloc(void *context, size_t alignment, size_t size)
{
    (void)context;
    void *memory = NULL;
    alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return !strikes() && posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

static void release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static void *pages_alloc(void *context, size_t size, unsigned flags)
{
    (void)context;
    (void)flags;
    void *memory =
        strikes() ? MAP_FAILED
                  : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void pages_release(void *context, void *memory, size_t size)
{
    (void)context;
    (void)munmap(memory, size);
}

static const struct base_system failing = {
    .alloc = alloc, .free = release, .pages_alloc = pages_alloc, .pages_free = pages_release};

void fail_allocation(uint64_t nth, bool stays)
{
    fault.at = nth;
    fault.stays = stays;
    fault.count = 0;
    base_system_set(&failing);
}

uint64_t stop_failing(void)
{
    base_system_set(NULL);
    return fault.count;
}
