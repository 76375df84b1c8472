/*
 * A private page that holds 1 and that the kernel hands to a forked child zeroed (MADV_WIPEONFORK).
 */
#include "base/fork_guard.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/system.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

/* Where there is no other process there is no child. */
static _Atomic uint32_t alone = 1;

int base_fork_guard_create(struct base_fork_guard *guard)
{
    if (base_system_is_alone()) {
        guard->alive = &alone;
        return 0;
    }
    size_t size = base_page_size();
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return -errno;
    }
    if (madvise(page, size, MADV_WIPEONFORK) != 0) {
        int error = errno;
        munmap(page, size);
        return -error;
    }
    guard->alive = page;
    atomic_store_explicit(guard->alive, 1, memory_order_relaxed);
    return 0;
}

void base_fork_guard_destroy(struct base_fork_guard *guard)
{
    if (guard->alive == NULL || guard->alive == &alone) {
        guard->alive = NULL;
        return;
    }
    int result = munmap((void *)(uintptr_t)guard->alive, base_page_size());
    WEIR_ASSERT(result == 0);
    guard->alive = NULL;
}
