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
 * bytes written and not durable, and the completion carries it.
 *
 * Invariants: a flush covers what had completed when it was started, nothing more.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "sim/memory_medium.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weir/error.h>

#define LINE_BYTES 64u
#define GARBAGE_BYTES ((size_t)4 << 20) /* larger windows keep the zeros of fresh pages */

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
        memory = base_pages_alloc(size_bytes, 0);
        if (memory == NULL) {
            base_free(self);
            return -ENOMEM;
        }
        memset(memory, 0xa5, size_bytes < GARBAGE_BYTES ? size_bytes : 0);
    }
    base_lock_acquire(&owner->disk->lock);
    if (file->node->current.size_bytes < size_bytes) {
        rc = WEIR_E_CUT_SHORT;
    } else if (self->is_file) {
        file->node->pins++;
        file->node->stored = file->node->stored || file->writable;
        memory = file->node->current.bytes;
    }
    base_lock_release(&owner->disk->lock);
    if (rc < 0) {
        if (!self->is_file) {
            base_pages_free(memory, size_bytes);
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
    if (rc < 0 || window_of(window)->is_file) {
        return rc;
    }
    assert_range(window, offset, size_bytes, 4096);
    base_lock_acquire(&file->owner->disk->lock);
    if (file->node->current.size_bytes < offset + size_bytes) {
        rc = WEIR_E_CUT_SHORT;
    } else {
        memcpy(window->base + offset, file->node->current.bytes + offset, size_bytes);
    }
    base_lock_release(&file->owner->disk->lock);
    return rc;
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
        for (size_t offset = 0; offset < window->size_bytes; offset += 4096) {
            const uint8_t *block = file->node->current.bytes + offset;
            if (memcmp(window->base + offset, block, 4096) != 0) {
                memcpy(window->base + offset, block, 4096);
            }
        }
        base_lock_release(&file->owner->disk->lock);
        if (mprotect(window->base, window->size_bytes, PROT_READ) < 0) {
            return -errno;
        }
    }
    self->frozen = true;
    return 0;
}

/* ---- what becomes durable ---- */

void sim_memory_free_snapshots(struct sim_snapshot *list)
{
    while (list != NULL) {
        struct sim_snapshot *next = list->next;
        base_free(list);
        list = next;
    }
}

/* Lines that were written back and never fenced: nobody may rely on them. */
static void drop_snapshots_of(struct sim_snapshot **list, const struct sim_node *node)
{
    while (*list != NULL) {
        struct sim_snapshot *snapshot = *list;
        if (snapshot->node == node) {
            *list = snapshot->next;
            base_free(snapshot);
        } else {
            list = &snapshot->next;
        }
    }
}

void sim_window_close(struct weir_window *window)
{
    struct sim_window *self = window_of(window);
    struct weir_file *file = window->file;
    (void)sim_memory_enter(file->owner, "window_close", file->name, 0, window->size_bytes);
    if (self->is_file) {
        base_lock_acquire(&file->owner->disk->lock);
        file->node->pins--;
        drop_snapshots_of(&file->owner->cleaned, file->node);
        base_lock_release(&file->owner->disk->lock);
    } else {
        if (self->frozen) { /* a replaced allocator may touch what it gets back */
            int rc = mprotect(window->base, window->size_bytes, PROT_READ | PROT_WRITE);
            WEIR_ASSERT(rc == 0);
        }
        base_pages_free(window->base, window->size_bytes);
    }
    base_free(self);
}

/* In front of *list: the latest is the first. */
static int take_snapshot(struct sim_snapshot **list, struct sim_node *node, uint64_t offset,
                         const uint8_t *bytes, uint64_t size_bytes)
{
    struct sim_snapshot *snapshot = base_alloc(sizeof *snapshot + size_bytes);
    if (snapshot == NULL) {
        return -ENOMEM;
    }
    *snapshot = (struct sim_snapshot){
        .next = *list, .node = node, .offset = offset, .size_bytes = size_bytes};
    memcpy(snapshot->bytes, bytes, size_bytes);
    *list = snapshot;
    return 0;
}

/* Oldest first, so that of two snapshots of one line the later one stays. */
static int apply_snapshots(struct sim_snapshot **list)
{
    struct sim_snapshot *oldest_first = NULL;
    while (*list != NULL) {
        struct sim_snapshot *snapshot = *list;
        *list = snapshot->next;
        snapshot->next = oldest_first;
        oldest_first = snapshot;
    }
    int rc = 0;
    for (struct sim_snapshot *snapshot = oldest_first; snapshot != NULL && rc == 0;
         snapshot = snapshot->next) {
        rc = sim_node_make_durable(snapshot->node, snapshot->offset, snapshot->bytes,
                                   snapshot->size_bytes);
    }
    sim_memory_free_snapshots(oldest_first);
    return rc;
}

void sim_window_copy(struct weir_window *window, uint64_t offset, const void *data,
                     size_t size_bytes)
{
    struct weir_file *file = window->file;
    (void)sim_memory_enter(file->owner, "copy", file->name, offset, size_bytes);
    memcpy(window->base + offset, data, size_bytes);
    base_lock_acquire(&file->owner->disk->lock);
    int rc = sim_node_make_durable(file->node, offset, data, size_bytes);
    WEIR_ASSERT(rc == 0);
    base_lock_release(&file->owner->disk->lock);
}

/* Whole lines, as the instruction does. */
void sim_window_clean(struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    struct weir_file *file = window->file;
    (void)sim_memory_enter(file->owner, "clean", file->name, offset, size_bytes);
    uint64_t from = offset / LINE_BYTES * LINE_BYTES;
    uint64_t to = (offset + size_bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    base_lock_acquire(&file->owner->disk->lock);
    int rc = take_snapshot(&file->owner->cleaned, file->node, from, window->base + from, to - from);
    WEIR_ASSERT(rc == 0);
    base_lock_release(&file->owner->disk->lock);
}

/* ---- operations ---- */

static int complete(const struct sim_operation *started)
{
    struct sim_operation operation = *started;
    int rc = apply_snapshots(&operation.durable);
    if (rc == 0 && operation.write_only.size_bytes > 0) {
        rc = sim_node_note_written(operation.file->node, operation.write_only.offset,
                                   operation.write_only.size_bytes);
    }
    return rc;
}

static void eventfd_add(struct sim_memory *self)
{
    uint64_t one = 1;
    if (self->event_fd >= 0) {
        ssize_t put = write(self->event_fd, &one, sizeof one);
        (void)put;
    }
}

/* With the lock held. Results as of persist(). */
static int start(struct sim_memory *self, struct sim_operation *operation)
{
    if (!self->options.asynchronous) {
        int rc = complete(operation);
        return rc < 0 ? rc : 1;
    }
    operation->file->in_flight++;
    self->operations[self->operation_count++] = *operation;
    eventfd_add(self);
    return 0;
}

static bool is_full(const struct sim_memory *self)
{
    return self->operation_count == self->options.queue_depth;
}

/* A device may have taken the bytes the moment they were handed over, durable or not. */
static int persist_blocks(struct weir_window *window, struct sim_operation *operation,
                          size_t size_bytes, bool write_only)
{
    struct sim_node *node = window->file->node;
    const uint8_t *bytes = window->base + operation->offset;
    int rc = 0;
    if (!window_of(window)->is_file) {
        rc = sim_node_write(node, operation->offset, bytes, size_bytes);
    }
    if (rc == 0 && write_only) {
        operation->write_only = (struct sim_range){operation->offset, size_bytes};
    } else if (rc == 0) {
        rc = take_snapshot(&operation->durable, node, operation->offset, bytes, size_bytes);
    }
    return rc;
}

int sim_window_persist(struct weir_window *window, uint64_t offset, size_t size_bytes,
                       uint32_t flags, uint64_t token)
{
    struct weir_file *file = window->file;
    struct sim_memory *self = file->owner;
    int rc = sim_memory_enter(self, "persist", file->name, offset, size_bytes);
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
    } else if (self->options.block_bytes == LINE_BYTES) {
        operation.durable = self->cleaned; /* the fence: of everything cleaned so far */
        self->cleaned = NULL;
    } else {
        rc = persist_blocks(window, &operation, size_bytes, (flags & WEIR_PERSIST_WRITE_ONLY) != 0);
    }
    if (rc == 0) {
        rc = start(self, &operation);
    }
    base_lock_release(&self->disk->lock);
    return rc;
}

/* With the lock held: what a flush that starts now will cover. */
static int snapshot_written(struct sim_node *node, struct sim_snapshot **list)
{
    for (size_t i = 0; i < node->written_count; i++) {
        struct sim_range range = node->written[i];
        int rc = take_snapshot(list, node, range.offset, node->current.bytes + range.offset,
                               range.size_bytes);
        if (rc < 0) {
            return rc;
        }
    }
    node->written_count = 0;
    return 0;
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
    } else if (self->options.block_bytes == LINE_BYTES) {
        operation.durable = self->cleaned;
        self->cleaned = NULL;
    } else {
        rc = snapshot_written(file->node, &operation.durable);
    }
    if (rc == 0) {
        rc = start(self, &operation);
    } else {
        sim_memory_free_snapshots(operation.durable);
    }
    base_lock_release(&self->disk->lock);
    return rc;
}

/* With the lock held: takes one operation out of the queue. */
static struct sim_operation take_operation(struct sim_memory *self)
{
    uint32_t index = self->options.reversed ? self->operation_count - 1 : 0;
    struct sim_operation operation = self->operations[index];
    self->operation_count--;
    memmove(&self->operations[index], &self->operations[index + 1],
            (self->operation_count - index) * sizeof operation);
    return operation;
}

static struct weir_completion finish(struct sim_memory *self, struct sim_operation *operation)
{
    int rc = sim_memory_enter(self, "complete", operation->file->name, operation->offset, 0);
    base_lock_acquire(&self->disk->lock);
    if (rc == 0) {
        rc = complete(operation);
    } else {
        sim_memory_free_snapshots(operation->durable);
    }
    operation->file->in_flight--;
    sim_memory_settle(operation->file);
    base_lock_release(&self->disk->lock);
    return (struct weir_completion){operation->token, rc};
}

int sim_window_poll(struct weir_medium *medium, struct weir_completion *ret_completions, int max,
                    int64_t timeout_ns)
{
    struct sim_memory *self = (struct sim_memory *)medium;
    (void)timeout_ns; /* whatever is in flight can complete now */
    int rc = sim_memory_enter(self, "poll", "", 0, 0);
    if (rc < 0) {
        return rc;
    }
    if (self->event_fd >= 0) {
        uint64_t count_read;
        ssize_t got = read(self->event_fd, &count_read, sizeof count_read);
        (void)got;
    }
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
        ret_completions[count++] = finish(self, &operation);
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
