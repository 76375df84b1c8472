/*
 * `mapped`: the window is a shared mapping of the file; fdatasync makes it durable.
 *
 * Happy path:
 *   1. window_open maps the file, which was written past the page cache so that its folios are
 *      small: one dirty byte costs one page on the device.
 *   2. persist() is an fdatasync of the file: it covers the range and everything else that is
 * dirty.
 *   3. freeze() takes the write permission away; window_close unmaps.
 *
 * Failure modes:
 *   - write-back fails: fdatasync says so once, the pages are clean and wrong from then on. The log
 *     is poisoned, and the next recovery calls load(), which drops them.
 *   - the file is shorter than the window: WEIR_E_CUT_SHORT here. When it is cut later, touching
 * the window raises SIGBUS: nothing here can help that.
 *
 * Invariants: the file is not written by O_DIRECT while it is mapped for writing; a crash keeps any
 * subset of the pages that were dirty.
 */
#include "iouring/file_medium.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <weir/error.h>

#define READ_AHEAD_BYTES                                                                           \
    ((size_t)128 << 10) /* one WILLNEED reads no more than that on many disks */

/*
 * Brings the range into the page cache as single pages and maps it. Dirty data is tracked by folio:
 * the readahead of page faults would build large ones, and one dirty byte would then write up to
 * 2 MiB. WILLNEED reads single pages, at the speed of the device; RANDOM keeps faults from reading.
 */
static int populate_small(const struct weir_file *file, uint8_t *base, uint64_t offset,
                          size_t size_bytes)
{
    (void)madvise(base, size_bytes, MADV_RANDOM);
    for (size_t done = 0; done < size_bytes; done += READ_AHEAD_BYTES) {
        size_t left = size_bytes - done;
        (void)posix_fadvise(file->file.fd, (off_t)(offset + done),
                            (off_t)(left < READ_AHEAD_BYTES ? left : READ_AHEAD_BYTES),
                            POSIX_FADV_WILLNEED);
    }
    return base_file_map_populate(base, size_bytes);
}

static int mapped_window_open(struct weir_file *file, size_t size_bytes,
                              struct weir_window **ret_window)
{
    int rc = file_medium_check_window(file, size_bytes);
    if (rc < 0) {
        return rc;
    }
    struct weir_window *window = base_alloc_zero(sizeof *window);
    if (window == NULL) {
        return -ENOMEM;
    }
    int protection = PROT_READ | (file->writable ? PROT_WRITE : 0);
    void *base = mmap(NULL, size_bytes, protection, MAP_SHARED, file->file.fd, 0);
    if (base == MAP_FAILED) {
        rc = -errno;
        goto out_window;
    }
    rc = populate_small(file, base, 0, size_bytes);
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

/* Takes the range out of the page cache, so that it comes from the device again. */
static int mapped_load(struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    file_medium_assert_range(window, offset, size_bytes);
    int rc = file_medium_check_window(window->file, window->size_bytes);
    if (rc < 0) {
        return rc;
    }
    rc = base_file_sync(&window->file->file);
    if (rc < 0) {
        return rc;
    }
    /* Pages that a process has mapped stay in the cache: unmap ours first. Both are requests. */
    (void)madvise(window->base + offset, size_bytes, MADV_DONTNEED);
    (void)posix_fadvise(window->file->file.fd, (off_t)offset, (off_t)size_bytes,
                        POSIX_FADV_DONTNEED);
    return populate_small(window->file, window->base + offset, offset, size_bytes);
}

static int mapped_freeze(struct weir_window *window)
{
    return mprotect(window->base, window->size_bytes, PROT_READ) < 0 ? -errno : 0;
}

static void mapped_window_close(struct weir_window *window)
{
    base_file_unmap(window->base, window->size_bytes);
    base_free(window);
}

static int mapped_persist(struct weir_window *window, uint64_t offset, size_t size_bytes,
                          uint32_t flags, uint64_t token)
{
    file_medium_assert_range(window, offset, size_bytes);
    if (!window->file->writable) {
        return -EROFS;
    }
    if ((flags & WEIR_PERSIST_WRITE_ONLY) != 0) {
        return 1; /* the stores are in the page cache already */
    }
    if ((flags & WEIR_PERSIST_WAITED_FOR) != 0) {
        int rc = base_file_sync(&window->file->file);
        return rc < 0 ? rc : 1;
    }
    return file_medium_flush_file(window, token);
}

static const struct weir_medium_ops mapped_ops = {
    FILE_MEDIUM_SHARED_OPS,  .window_open = mapped_window_open,   .load = mapped_load,
    .freeze = mapped_freeze, .window_close = mapped_window_close, .persist = mapped_persist,
};

int iouring_mapped_open(const struct iouring_options *options, struct weir_medium **ret_medium,
                        char *reason, size_t reason_size)
{
    static const struct file_medium_kind kind = {
        .kind = WEIR_MEDIUM_MAPPED,
        .name = "mapped",
        .ops = &mapped_ops,
        .window_is_file = true,
    };
    return file_medium_open(&kind, options, ret_medium, reason, reason_size);
}
