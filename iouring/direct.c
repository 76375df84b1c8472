/*
 * `direct`: windows of anonymous memory, written with O_DIRECT.
 *
 * Happy path:
 *   1. window_open takes memory from the pool; load() reads into it what the file holds.
 *   2. persist() is one write of the range with RWF_DSYNC: durable when it completes. With
 *      WEIR_PERSIST_WRITE_ONLY the flag is left out and flush_file() makes it durable. A lone
 *      leader that waits gets pwritev2() instead of the ring: one system call, and no completion
 *      that another thread's time slice can delay.
 *   3. freeze() maps the finished file and moves the mapping over the window's memory.
 *   4. window_close gives the memory back to the pool; a frozen one is unmapped.
 *
 * Failure modes:
 *   - a write or flush fails or is cut short: the completion, or persist() itself, carries -errno.
 *     A crash during the write leaves any subset of its sectors.
 *   - freeze() cannot map or read the file: the window stays as it was.
 *
 * Invariants: nothing of a file that is being written is ever mapped (a mapped page can make the
 * next direct write's invalidation, and so the fdatasync, fail); base never changes.
 */
#include "iouring/file_medium.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <sys/mman.h>
#include <weir/error.h>

struct direct_window {
    struct weir_window window;
    bool frozen;
};

static struct direct_window *window_of(struct weir_window *window)
{
    return (struct direct_window *)window;
}

static int direct_window_open(struct weir_file *file, size_t size_bytes,
                              struct weir_window **ret_window)
{
    int rc = file_medium_check_window(file, size_bytes);
    if (rc < 0) {
        return rc;
    }
    struct direct_window *self = base_alloc_zero(sizeof *self);
    if (self == NULL) {
        return -ENOMEM;
    }
    uint8_t *base = window_pool_take(&file->owner->pool, size_bytes);
    if (base == NULL) {
        base_free(self);
        return -ENOMEM;
    }
    self->window = (struct weir_window){base, size_bytes, file};
    *ret_window = &self->window;
    return 0;
}

static int direct_load(struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    file_medium_assert_range(window, offset, size_bytes);
    WEIR_ASSERT(!window_of(window)->frozen);
    size_t got = 0;
    int rc = base_file_read(&window->file->file, offset, window->base + offset, size_bytes, &got);
    if (rc < 0) {
        return rc;
    }
    return got == size_bytes ? 0 : WEIR_E_CUT_SHORT;
}

static int direct_freeze(struct weir_window *window)
{
    struct direct_window *self = window_of(window);
    WEIR_ASSERT(!self->frozen);
    uint8_t *view;
    int rc = base_file_map(&window->file->file, window->size_bytes, BASE_MAP_AT_ONCE, &view);
    if (rc < 0) {
        return rc;
    }
    /* One step for every reader: a page fault sees the old mapping or the new one. */
    void *moved = mremap(view, window->size_bytes, window->size_bytes,
                         MREMAP_MAYMOVE | MREMAP_FIXED, window->base);
    if (moved == MAP_FAILED) {
        rc = -errno;
        base_file_unmap(view, window->size_bytes);
        return rc;
    }
    WEIR_ASSERT(moved == window->base);
    self->frozen = true;
    return 0;
}

static void direct_window_close(struct weir_window *window)
{
    struct direct_window *self = window_of(window);
    if (self->frozen) {
        window_pool_drop(window->base, window->size_bytes);
    } else {
        window_pool_give(&window->file->owner->pool, window->base, window->size_bytes);
    }
    base_free(self);
}

static int direct_persist(struct weir_window *window, uint64_t offset, size_t size_bytes,
                          uint32_t flags, uint64_t token)
{
    struct weir_file *file = window->file;
    file_medium_assert_range(window, offset, size_bytes);
    WEIR_ASSERT(!window_of(window)->frozen);
    if (!file->writable) {
        return -EROFS;
    }
    const uint8_t *memory = window->base + offset;
    bool durable = (flags & WEIR_PERSIST_WRITE_ONLY) == 0;
    bool waited_for = (flags & WEIR_PERSIST_WAITED_FOR) != 0;
    if (file->owner->ring != NULL && !waited_for) {
        return ring_submit_write(file->owner->ring, file->file.fd, memory, size_bytes, offset,
                                 durable, token);
    }
    int rc = durable ? base_file_write_durably(&file->file, offset, memory, size_bytes)
                     : base_file_write(&file->file, offset, memory, size_bytes);
    return rc < 0 ? rc : 1;
}

static const struct weir_medium_ops direct_ops = {
    FILE_MEDIUM_SHARED_OPS,  .window_open = direct_window_open,   .load = direct_load,
    .freeze = direct_freeze, .window_close = direct_window_close, .persist = direct_persist,
};

int iouring_direct_open(const struct iouring_options *options, struct weir_medium **ret_medium,
                        char *reason, size_t reason_size)
{
    static const struct file_medium_kind kind = {
        .kind = WEIR_MEDIUM_DIRECT,
        .name = "direct",
        .ops = &direct_ops,
        .needs_direct = true,
    };
    return file_medium_open(&kind, options, ret_medium, reason, reason_size);
}
