/*
 * Windows on persistent memory; the only file that calls libpmem.
 *
 * Happy path:
 *   1. window_open maps the file with MAP_SYNC and faults every page in: 1.4 us each otherwise.
 *   2. copy() stores past the caches and fences on this CPU; small payloads are stored ordinarily
 * and clean() writes their lines back.
 *   3. persist() is one fence: what this thread copied and cleaned before is durable.
 *
 * Failure modes:
 *   - MAP_SYNC refused: window_open fails, unless the medium is emulated.
 *   - the file is shorter than the window: WEIR_E_CUT_SHORT.
 *   - a poisoned line: faulting it in fails with -EIO; one that goes bad later raises SIGBUS.
 *
 * Invariants: a fence orders its own thread's flushes only, so who calls persist() has called
 * clean() itself. A crash before the fence keeps any subset of the lines, each torn at 8 bytes.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "pmem/pmem_medium.h"

#include <errno.h>
#include <libpmem.h>
#include <sys/mman.h>
#include <weir/error.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static int map_file(const struct weir_file *file, size_t size_bytes, uint8_t **ret_base)
{
    int protection = PROT_READ | (file->writable ? PROT_WRITE : 0);
    int flags = MAP_SHARED;
    if (!file->owner->emulated && file->writable) {
        flags = MAP_SHARED_VALIDATE | MAP_SYNC;
    }
    void *base = mmap(NULL, size_bytes, protection, flags, file->file.fd, 0);
    if (base == MAP_FAILED) {
        return errno == EOPNOTSUPP ? WEIR_E_MEDIUM : -errno;
    }
    *ret_base = base;
    return 0;
}

/* Write faults: with MAP_SYNC the first store to a page may wait for the journal otherwise. On
 * tmpfs nothing waits, and pages that are read in are mapped for writing, too, sixteen at a time: 6
 * ms for 64 MiB instead of 16. */
static int populate(const struct weir_file *file, uint8_t *base, size_t size_bytes)
{
    if (!file->writable || file->owner->in_memory) {
        return base_file_map_populate(base, size_bytes);
    }
    if (madvise(base, size_bytes, MADV_POPULATE_WRITE) == 0) {
        return 0;
    }
    switch (errno) {
    case EINVAL: /* a kernel before 5.14 */
        return base_file_map_populate(base, size_bytes);
    case EFAULT:
    case EHWPOISON:
        return -EIO;
    default:
        return -errno;
    }
}

int pmem_window_open(struct weir_file *file, size_t size_bytes, struct weir_window **ret_window)
{
    if (size_bytes == 0 || size_bytes % BASE_FILE_BLOCK != 0) {
        return -EINVAL;
    }
    uint64_t file_bytes;
    int rc = base_file_size(&file->file, &file_bytes);
    if (rc < 0) {
        return rc;
    }
    if (file_bytes < size_bytes) {
        return WEIR_E_CUT_SHORT;
    }
    struct weir_window *window = base_alloc_zero(sizeof *window);
    if (window == NULL) {
        return -ENOMEM;
    }
    uint8_t *base = NULL;
    rc = map_file(file, size_bytes, &base);
    if (rc < 0) {
        goto out_window;
    }
    rc = populate(file, base, size_bytes);
    if (rc < 0) {
        goto out_mapping;
    }
    *window = (struct weir_window){base, size_bytes, file};
    *ret_window = window;
    return 0;

out_mapping:
    munmap(base, size_bytes);
out_window:
    base_free(window);
    return rc;
}

static void assert_range(const struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    WEIR_ASSERT(size_bytes <= window->size_bytes && offset <= window->size_bytes - size_bytes);
}

/* There is no cache between the mapping and the medium: it shows what is there. */
int pmem_window_load(struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    assert_range(window, offset, size_bytes);
    uint64_t file_bytes;
    int rc = base_file_size(&window->file->file, &file_bytes);
    if (rc < 0) {
        return rc;
    }
    return file_bytes < window->size_bytes ? WEIR_E_CUT_SHORT : 0;
}

int pmem_window_freeze(struct weir_window *window)
{
    return mprotect(window->base, window->size_bytes, PROT_READ) < 0 ? -errno : 0;
}

void pmem_window_close(struct weir_window *window)
{
    base_file_unmap(window->base, window->size_bytes);
    base_free(window);
}

void pmem_window_copy(struct weir_window *window, uint64_t offset, const void *data,
                      size_t size_bytes)
{
    assert_range(window, offset, size_bytes);
    pmem_memcpy(window->base + offset, data, size_bytes, PMEM_F_MEM_NONTEMPORAL);
}

void pmem_window_clean(struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    assert_range(window, offset, size_bytes);
    /* Not pmem_deep_flush: with eADR pmem_flush rightly does nothing. */
    pmem_flush(window->base + offset, size_bytes);
}

int pmem_window_persist(struct weir_window *window, uint64_t offset, size_t size_bytes,
                        uint32_t flags, uint64_t token)
{
    (void)token;
    assert_range(window, offset, size_bytes);
    WEIR_ASSERT(offset % PMEM_BLOCK_BYTES == 0 && size_bytes % PMEM_BLOCK_BYTES == 0);
    if (!window->file->writable) {
        return -EROFS;
    }
    if ((flags & WEIR_PERSIST_WRITE_ONLY) == 0) {
        pmem_drain();
    }
    return 1;
}

int pmem_window_flush_file(struct weir_window *window, uint64_t token)
{
    (void)token;
    if (!window->file->writable) {
        return -EROFS;
    }
    pmem_drain();
    return 1;
}
