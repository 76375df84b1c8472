/*
 * The memory medium's window half: stores, what persist() makes durable, and completions.
 *
 * Happy path:
 *   1. a window is memory of its own, or the current image of the file (window_is_file);
 *   2. persist() takes a snapshot of the range; at once, or at poll(), it becomes durable;
 *   3. as pmem, clean() takes the snapshots and persist() only fences them: what was stored and not
 *      cleaned stays volatile, whatever range persist() is given.
 *
 * Failure modes: injected ones. One at "persist" changes nothing; one at "complete" leaves the
 * bytes written and not durable, or lost (failures_lose), and the result carries it.
 *
 * Invariants: a flush covers what had completed when it was started, nothing more.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/random.h"
#include "sim/memory_medium.h"
#include "sim/scheduler.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weir/error.h>

#define GARBAGE_BYTES ((size_t)4 << 20)

struct sim_window {
    struct weir_window window; /* first */
    bool is_file;
    bool frozen;
};

static struct sim_window *window_of(struct weir_window *window)
{
    return (struct sim_window *)window;
}

static void assert_range(const struct weir_window *window, uint64_t offset, size_t size_bytes,
                         uint64_t unit)
{
    WEIR_ASSERT(offset % unit == 0 && size_bytes % unit == 0);
    WEIR_ASSERT(size_bytes <= window->size_bytes && offset <= window->size_bytes - size_bytes);
}

/* ---- open and close ---- */

/* Whatever memory holds: nothing may depend on it. Large ones keep the zeros of fresh pages. */
static uint8_t *window_memory(size_t size_bytes)
{
    if (size_bytes >= GARBAGE_BYTES) {
        return base_pages_alloc(size_bytes, 0);
    }
    uint8_t *memory = base_alloc_aligned(4096, size_bytes);
    if (memory != NULL) {
        memset(memory, 0xa5, size_bytes);
    }
    return memory;
}

static void free_window_memory(uint8_t *memory, size_t size_bytes)
{
    if (size_bytes >= GARBAGE_BYTES) {
        base_pages_free(memory, size_bytes);
    } else {
        base_free(memory);
    }
}

int sim_window_open(struct weir_file *file, size_t size_bytes, struct weir_window **ret_window)
{
    struct sim_memory *owner = file->owner;
    int rc = sim_memory_enter(owner, "window_open", file->name, 0, size_bytes);
    if (rc < 0) {
        return rc;
    }
    if (size_bytes == 0 || size_bytes % 4096 != 0) {
        return -EINVAL;
    }
    struct sim_window *self = base_alloc_zero(sizeof *self);
    if (self == NULL) {
        return -ENOMEM;
    }
    self->is_file = owner->options.window_is_file;
    uint8_t *memory = NULL;
    if (!self->is_file) {
        memory = window_memory(size_bytes);
        if (memory == NULL) {
            base_free(self);
            return -ENOMEM;
        }
    }
    base_lock_acquire(&owner->disk->lock);
    if (file->node->current.size_bytes < size_bytes) {
        rc = WEIR_E_CUT_SHORT;
    } else if (self->is_file) {
        bool is_pmem = owner->options.block_bytes == SIM_LINE_BYTES;
        rc = sim_node_watch_stores(file->node, is_pmem ? SIM_LINE_BYTES : SIM_SECTOR_BYTES);
        if (rc == 0) {
            file->node->pins++;
            memory = file->node->current.flat;
        }
    }
    base_lock_release(&owner->disk->lock);
    if (rc < 0) {
        if (!self->is_file) {
            free_window_memory(memory, size_bytes);
        }
        base_free(self);
        return rc;
    }
    self->window = (struct weir_window){memory, size_bytes, file};
    *ret_window = &self->window;
    return 0;
}

int sim_window_load(struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    struct weir_file *file = window->file;
    int rc = sim_memory_enter(file->owner, "load", file->name, offset, size_bytes);
    if (rc < 0) {
        return rc;
    }
    WEIR_ASSERT(size_bytes <= window->size_bytes && offset <= window->size_bytes - size_bytes);
    base_lock_acquire(&file->owner->disk->lock);
    if (file->node->current.size_bytes < offset + size_bytes) {
        rc = WEIR_E_CUT_SHORT;
    } else if (window_of(window)->is_file) {
        rc = sim_node_drop_cache(file->node);
    } else {
        sim_node_read(file->node, offset, window->base + offset, size_bytes);
    }
    base_lock_release(&file->owner->disk->lock);
    return rc;
}

/* The memory becomes what the file has. Others read it meanwhile, and a mapping in its place would
 * not change what they see: bytes that are equal are not stored again. */
static void become_view(struct weir_window *window)
{
    const struct sim_node *node = window->file->node;
    uint8_t bytes[SIM_PAGE_BYTES];
    for (size_t offset = 0, size; offset < window->size_bytes; offset += size) {
        size_t left = window->size_bytes - offset;
        size = left < sizeof bytes ? left : sizeof bytes;
        sim_node_read(node, offset, bytes, size);
        if (memcmp(window->base + offset, bytes, size) != 0) {
            memcpy(window->base + offset, bytes, size);
        }
    }
}

/* The view shows the file, not the memory that was there; from now on a store is a fault. */
int sim_window_freeze(struct weir_window *window)
{
    struct sim_window *self = window_of(window);
    struct weir_file *file = window->file;
    int rc = sim_memory_enter(file->owner, "freeze", file->name, 0, window->size_bytes);
    if (rc < 0) {
        return rc;
    }
    WEIR_ASSERT(!self->frozen);
    if (!self->is_file) {
        base_lock_acquire(&file->owner->disk->lock);
        become_view(window);
        base_lock_release(&file->owner->disk->lock);
        if (mprotect(window->base, window->size_bytes, PROT_READ) < 0) {
            return -errno;
        }
    }
    self->frozen = true;
    return 0;
}

/* ---- what becomes durable ---- */

void sim_window_close(struct weir_window *window)
{
    struct sim_window *self = window_of(window);
    struct weir_file *file = window->file;
    (void)sim_memory_enter(file->owner, "window_close", file->name, 0, window->size_bytes);
    if (self->is_file) {
        base_lock_acquire(&file->owner->disk->lock);
        file->node->pins--;
        base_lock_release(&file->owner->disk->lock);
    } else {
        if (self->frozen) { /* a replaced allocator may touch what it gets back */
            int rc = mprotect(window->base, window->size_bytes, PROT_READ | PROT_WRITE);
            WEIR_ASSERT(rc == 0);
        }
        free_window_memory(window->base, window->size_bytes);
    }
    base_free(self);
}

static void settle_error(int rc)
{
    WEIR_ASSERT(rc == 0); /* no memory in a call that cannot say so */
}

/* The stores may be on the medium from now on, any words of them, and are once this has fenced. */
void sim_window_copy(struct weir_window *window, uint64_t offset, const void *data,
                     size_t size_bytes)
{
    struct weir_file *file = window->file;
    struct sim_cover cover = {0};
    struct sim_write *write;
    (void)sim_memory_enter_with(file->owner, "copy", file->name, offset, data, size_bytes);
    base_lock_acquire(&file->owner->disk->lock);
    int rc = sim_node_write(file->node, offset, data, size_bytes, true, &write);
    settle_error(rc < 0 ? rc : sim_cover_write(&cover, file->node, write));
    base_lock_release(&file->owner->disk->lock);
    (void)sim_memory_enter(file->owner, "fence", file->name, offset, size_bytes);
    base_lock_acquire(&file->owner->disk->lock);
    settle_error(sim_cover_apply(&cover));
    base_lock_release(&file->owner->disk->lock);
}

/* Whole lines, as the instruction does. */
void sim_window_clean(struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    struct weir_file *file = window->file;
    (void)sim_memory_enter(file->owner, "clean", file->name, offset, size_bytes);
    uint64_t from = offset / SIM_LINE_BYTES * SIM_LINE_BYTES;
    uint64_t to = (offset + size_bytes + SIM_LINE_BYTES - 1) / SIM_LINE_BYTES * SIM_LINE_BYTES;
    base_lock_acquire(&file->owner->disk->lock);
    settle_error(sim_node_clean(file->node, from, to - from, sim_thread_bit()));
    base_lock_release(&file->owner->disk->lock);
}

/* ---- operations ---- */

void sim_operation_arrive(struct sim_operation *operation)
{
    for (size_t i = 0; i < operation->cover.count; i++) {
        operation->cover.items[i].write->complete = true;
    }
}

void sim_operation_drop(struct sim_operation *operation)
{
    sim_operation_arrive(operation);
    sim_cover_free(&operation->cover);
    operation->file->in_flight--;
    sim_memory_settle(operation->file);
}

/* With the lock held: a write that no flush has covered yet is complete; the others are durable. */
static int complete(struct sim_operation *operation)
{
    if (operation->write != NULL) {
        operation->write->complete = true;
        sim_cover_free(&operation->cover);
    }
    return sim_cover_apply(&operation->cover);
}

/* The answer of the fault hook decides whether it was done. Without the lock. */
static int finish(struct sim_memory *self, struct sim_operation *operation)
{
    int error = sim_memory_enter(self, "complete", operation->file->name, operation->offset, 0);
    base_lock_acquire(&self->disk->lock);
    int rc = error == 0 ? complete(operation)
                        : sim_cover_fail(&operation->cover, !self->options.failures_lose);
    operation->file->in_flight--;
    sim_memory_settle(operation->file);
    base_lock_release(&self->disk->lock);
    return error < 0 ? error : rc;
}

static void eventfd_add(struct sim_memory *self)
{
    uint64_t one = 1;
    if (self->event_fd >= 0) {
        ssize_t put = write(self->event_fd, &one, sizeof one);
        (void)put;
    }
}

static bool is_full(const struct sim_memory *self)
{
    return self->operation_count == self->options.queue_depth;
}

/* Results as of persist(); rc is what preparing the operation came to. Releases the lock. */
static int start(struct sim_memory *self, struct sim_operation *operation, int rc)
{
    bool queued = false;
    if (rc < 0) {
        sim_cover_free(&operation->cover);
    } else {
        operation->file->in_flight++;
        queued = self->options.asynchronous;
    }
    if (queued) {
        self->operations[self->operation_count++] = *operation;
        eventfd_add(self);
    }
    base_lock_release(&self->disk->lock);
    if (rc < 0 || queued) {
        return rc;
    }
    rc = finish(self, operation);
    return rc < 0 ? rc : 1;
}

/* A device may have taken the bytes the moment they were handed over, durable or not. */
static int persist_blocks(struct weir_window *window, struct sim_operation *operation,
                          size_t size_bytes, bool write_only)
{
    struct weir_file *file = window->file;
    struct sim_node *node = file->node;
    uint64_t offset = operation->offset;
    if (window_of(window)->is_file) {
        int rc = sim_node_notice(node, offset, size_bytes);
        return rc < 0 || write_only ? rc
                                    : sim_cover_range(&operation->cover, node, offset, size_bytes);
    }
    size_t arrives = size_bytes;
    sim_memory_misplace(file->owner, file->name, &offset, &arrives);
    if (arrives == 0) {
        return 0;
    }
    struct sim_write *write;
    int rc = sim_node_write(node, offset, window->base + operation->offset, arrives, false, &write);
    rc = rc < 0 ? rc : sim_cover_write(&operation->cover, node, write);
    operation->write = rc == 0 && write_only ? write : NULL;
    return rc;
}

/* What this thread has written back, in all windows. */
static int fence(struct sim_memory *self, struct sim_cover *cover)
{
    int rc = 0;
    for (struct sim_entry *entry = self->disk->entries; rc == 0 && entry != NULL;
         entry = entry->next) {
        if (entry->current != NULL) {
            rc = sim_cover_cleaned(cover, entry->current, sim_thread_bit());
        }
    }
    return rc;
}

int sim_window_persist(struct weir_window *window, uint64_t offset, size_t size_bytes,
                       uint32_t flags, uint64_t token)
{
    struct weir_file *file = window->file;
    struct sim_memory *self = file->owner;
    int rc = sim_memory_enter_with(self, "persist", file->name, offset, window->base + offset,
                                   size_bytes);
    if (rc < 0) {
        return rc;
    }
    if (!file->writable) {
        return -EROFS;
    }
    assert_range(window, offset, size_bytes, self->options.block_bytes);
    WEIR_ASSERT(size_bytes > 0 && !window_of(window)->frozen);
    struct sim_operation operation = {.token = token, .file = file, .offset = offset};
    base_lock_acquire(&self->disk->lock);
    if (is_full(self)) {
        rc = -EBUSY;
    } else if (self->options.block_bytes == SIM_LINE_BYTES) {
        rc = fence(self, &operation.cover);
    } else {
        rc = persist_blocks(window, &operation, size_bytes, (flags & WEIR_PERSIST_WRITE_ONLY) != 0);
    }
    return start(self, &operation, rc);
}

int sim_window_flush_file(struct weir_window *window, uint64_t token)
{
    struct weir_file *file = window->file;
    struct sim_memory *self = file->owner;
    int rc = sim_memory_enter(self, "flush_file", file->name, 0, window->size_bytes);
    if (rc < 0) {
        return rc;
    }
    if (!file->writable) {
        return -EROFS;
    }
    struct sim_operation operation = {.token = token, .file = file};
    base_lock_acquire(&self->disk->lock);
    if (is_full(self)) {
        rc = -EBUSY;
    } else if (self->options.block_bytes == SIM_LINE_BYTES) {
        rc = fence(self, &operation.cover);
    } else {
        rc = sim_node_notice_all(file->node);
        rc = rc < 0 ? rc : sim_cover_complete(&operation.cover, file->node);
    }
    return start(self, &operation, rc);
}

/* With the lock held: takes one operation out of the queue. */
static struct sim_operation take_operation(struct sim_memory *self)
{
    uint32_t index = self->options.reversed ? self->operation_count - 1 : 0;
    if (self->options.chance != NULL) {
        index = (uint32_t)base_prng_below(self->options.chance, self->operation_count);
    }
    struct sim_operation operation = self->operations[index];
    self->operation_count--;
    memmove(&self->operations[index], &self->operations[index + 1],
            (self->operation_count - index) * sizeof operation);
    return operation;
}

/* How many completions this call brings: at least one when the caller waits. */
static int draw_count(struct sim_memory *self, int max, int64_t timeout_ns)
{
    if (self->options.chance == NULL) {
        return max;
    }
    uint64_t draw = base_prng_below(self->options.chance, 8);
    if (timeout_ns == 0 && draw < 2) {
        return 0;
    }
    return draw == 7 ? max : 1;
}

int sim_window_poll(struct weir_medium *medium, struct weir_completion *ret_completions, int max,
                    int64_t timeout_ns)
{
    struct sim_memory *self = (struct sim_memory *)medium;
    int rc = sim_memory_enter(self, "poll", "", 0, 0);
    if (rc < 0) {
        return rc;
    }
    if (self->event_fd >= 0) {
        uint64_t count_read;
        ssize_t got = read(self->event_fd, &count_read, sizeof count_read);
        (void)got;
    }
    max = draw_count(self, max, timeout_ns); /* whatever is in flight can complete now */
    int count = 0;
    while (count < max) {
        base_lock_acquire(&self->disk->lock);
        bool any = self->operation_count > 0;
        struct sim_operation operation = {0};
        if (any) {
            operation = take_operation(self);
        }
        base_lock_release(&self->disk->lock);
        if (!any) {
            break;
        }
        rc = finish(self, &operation);
        ret_completions[count++] = (struct weir_completion){operation.token, rc};
    }
    if (self->operation_count > 0) {
        eventfd_add(self);
    }
    return count;
}

int sim_window_eventfd(struct weir_medium *medium, int *ret_fd)
{
    struct sim_memory *self = (struct sim_memory *)medium;
    int rc = sim_memory_enter(self, "eventfd", "", 0, 0);
    if (rc < 0) {
        return rc;
    }
    if (self->event_fd < 0) {
        self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (self->event_fd < 0) {
            return -errno;
        }
        if (self->operation_count > 0) {
            eventfd_add(self);
        }
    }
    *ret_fd = self->event_fd;
    return 0;
}
