/*
 * The memory medium: opening, and its store half.
 *
 * Happy path: each call asks the fault hook, takes the disk's lock, and works on sim/disk.
 * Failure modes: whatever the hook injects, before anything changed; -EIO once the process is dead.
 * Invariants: a handle is in its node's list, which is where locks are looked up, until it is
 * closed and nothing is in flight on it.
 */
#include "sim/memory.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/file.h"
#include "sim/memory_medium.h"
#include "sim/scheduler.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_DEPTH_DEFAULT 8u
#define BLOCK_BYTES_DEFAULT 4096u
#define COPY_FROM_BYTES 1024u

static struct sim_memory *memory_of(struct weir_medium *medium)
{
    return (struct sim_memory *)medium;
}

/* One more call of the trace. With `watchful`, stores up to here are noticed first. */
static int note_call(struct sim_memory *self, uint64_t digest)
{
    struct sim_disk *disk = self->disk;
    base_lock_acquire(&disk->lock);
    disk->trace = sim_digest(disk->trace, digest);
    int rc = self->options.watchful ? sim_disk_notice_all(disk) : 0;
    base_lock_release(&disk->lock);
    return rc;
}

int sim_memory_enter_with(struct sim_memory *self, const char *call, const char *name,
                          uint64_t offset, const void *data, size_t size_bytes)
{
    sim_scheduler_point();
    if (self->dead) {
        return -EIO;
    }
    uint64_t digest = sim_digest_bytes(offset, call, strlen(call));
    digest = sim_digest_bytes(digest, name, strlen(name));
    digest =
        data != NULL ? sim_digest_bytes(digest, data, size_bytes) : sim_digest(digest, size_bytes);
    int rc = note_call(self, digest);
    const struct sim_memory_faults *faults = &self->options.faults;
    if (rc == 0 && faults->before != NULL) {
        rc = faults->before(faults->context, call, name, offset, size_bytes);
    }
    return rc;
}

int sim_memory_enter(struct sim_memory *self, const char *call, const char *name, uint64_t offset,
                     size_t size_bytes)
{
    return sim_memory_enter_with(self, call, name, offset, NULL, size_bytes);
}

void sim_memory_misplace(const struct sim_memory *self, const char *name, uint64_t *offset,
                         size_t *size_bytes)
{
    if (self->options.misplace != NULL) {
        self->options.misplace(self->options.faults.context, name, offset, size_bytes);
        WEIR_ASSERT(*offset % SIM_SECTOR_BYTES == 0 && *size_bytes % SIM_SECTOR_BYTES == 0);
    }
}

static int enter_named(struct weir_medium *medium, const char *call, const char *name,
                       size_t size_bytes)
{
    struct sim_memory *self = memory_of(medium);
    if (!base_file_name_is_valid(name)) {
        return -EINVAL;
    }
    return sim_memory_enter(self, call, name, 0, size_bytes);
}

/* "" is the medium's own directory. */
static int enter_directory(struct weir_medium *medium, const char *call, const char *name)
{
    if (*name == '\0') {
        return sim_memory_enter(memory_of(medium), call, name, 0, 0);
    }
    return enter_named(medium, call, name, 0);
}

static int enter_changing(struct weir_medium *medium, const char *call, const char *name,
                          size_t size_bytes)
{
    if (memory_of(medium)->options.read_only && strchr(name, '/') == NULL) {
        return -EROFS;
    }
    return enter_named(medium, call, name, size_bytes);
}

/* ---- files ---- */

/* With the lock held. */
static void link_file(struct sim_memory *self, struct sim_node *node, struct weir_file *file)
{
    sim_node_reference(node);
    file->node = node;
    file->next_of_node = node->files;
    node->files = file;
    file->next_of_medium = self->files;
    self->files = file;
}

void sim_memory_settle(struct weir_file *file)
{
    if (!file->closed || file->in_flight > 0) {
        return;
    }
    struct weir_file **place = &file->node->files;
    while (*place != file) {
        place = &(*place)->next_of_node;
    }
    *place = file->next_of_node;
    place = &file->owner->files;
    while (*place != file) {
        place = &(*place)->next_of_medium;
    }
    *place = file->next_of_medium;
    sim_node_release(file->node);
    base_free(file);
}

static struct weir_file *new_file(struct sim_memory *self, const char *name, bool writable)
{
    struct weir_file *file = base_alloc_zero(sizeof *file);
    if (file != NULL) {
        file->owner = self;
        file->writable = writable;
        WEIR_ASSERT(strlen(name) < sizeof file->name);
        strcpy(file->name, name);
    }
    return file;
}

static int memory_create(struct weir_medium *medium, const char *name, uint64_t size_bytes,
                         struct weir_file **ret_file)
{
    struct sim_memory *self = memory_of(medium);
    int rc = enter_changing(medium, "create", name, size_bytes);
    if (rc < 0) {
        return rc;
    }
    if (size_bytes % BASE_FILE_BLOCK != 0) {
        return -EINVAL;
    }
    struct weir_file *file = new_file(self, name, true);
    if (file == NULL) {
        return -ENOMEM;
    }
    base_lock_acquire(&self->disk->lock);
    struct sim_node *node = NULL;
    rc = sim_disk_create(self->disk, name, size_bytes, &node);
    if (rc == 0) {
        link_file(self, node, file);
    }
    base_lock_release(&self->disk->lock);
    if (rc < 0) {
        base_free(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

static int memory_open(struct weir_medium *medium, const char *name, enum weir_open_mode mode,
                       struct weir_file **ret_file)
{
    struct sim_memory *self = memory_of(medium);
    bool writable = mode == WEIR_FILE_WRITE;
    int rc =
        writable ? enter_changing(medium, "open", name, 0) : enter_named(medium, "open", name, 0);
    if (rc < 0) {
        return rc;
    }
    struct weir_file *file = new_file(self, name, writable);
    if (file == NULL) {
        return -ENOMEM;
    }
    base_lock_acquire(&self->disk->lock);
    struct sim_node *node = sim_disk_find(self->disk, name);
    if (node == NULL) {
        rc = sim_disk_has_directory(self->disk, name) ? -EISDIR : -ENOENT;
    } else {
        link_file(self, node, file);
    }
    base_lock_release(&self->disk->lock);
    if (rc < 0) {
        base_free(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

static void memory_close(struct weir_file *file)
{
    struct sim_disk *disk = file->owner->disk;
    (void)sim_memory_enter(file->owner, "close", file->name, 0, 0);
    base_lock_acquire(&disk->lock);
    file->closed = true;
    sim_memory_settle(file);
    base_lock_release(&disk->lock);
}

static int memory_size(struct weir_file *file, uint64_t *ret_size_bytes)
{
    int rc = sim_memory_enter(file->owner, "size", file->name, 0, 0);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&file->owner->disk->lock);
    *ret_size_bytes = file->node->current.size_bytes;
    base_lock_release(&file->owner->disk->lock);
    return 0;
}

static bool is_block_range(uint64_t offset, size_t size_bytes)
{
    return offset % BASE_FILE_BLOCK == 0 && size_bytes % BASE_FILE_BLOCK == 0;
}

static int memory_read(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                       size_t *ret_size_bytes)
{
    int rc = sim_memory_enter(file->owner, "read", file->name, offset, size_bytes);
    if (rc < 0) {
        return rc;
    }
    if (!is_block_range(offset, size_bytes)) {
        return -EINVAL;
    }
    base_lock_acquire(&file->owner->disk->lock);
    const struct sim_image *image = &file->node->current;
    uint64_t left = offset < image->size_bytes ? image->size_bytes - offset : 0;
    size_t got = left < size_bytes ? (size_t)left : size_bytes;
    if (got > 0) {
        sim_node_read(file->node, offset, buffer, got);
    }
    base_lock_release(&file->owner->disk->lock);
    *ret_size_bytes = got;
    return 0;
}

static int memory_write(struct weir_file *file, uint64_t offset, const void *buffer,
                        size_t size_bytes)
{
    struct sim_memory *self = file->owner;
    int rc = sim_memory_enter_with(self, "write", file->name, offset, buffer, size_bytes);
    if (rc < 0) {
        return rc;
    }
    if (!is_block_range(offset, size_bytes)) {
        return -EINVAL;
    }
    if (!file->writable) {
        return -EBADF;
    }
    size_t arrives = size_bytes;
    sim_memory_misplace(self, file->name, &offset, &arrives);
    if (arrives == 0) {
        return 0;
    }
    base_lock_acquire(&self->disk->lock);
    rc = sim_node_write(file->node, offset, buffer, arrives, true, NULL);
    base_lock_release(&self->disk->lock);
    return rc;
}

/* A failed sync: what it covered is as after a failed flush. */
static int fail_sync(struct weir_file *file, int error)
{
    struct sim_cover cover = {0};
    struct sim_disk *disk = file->owner->disk;
    base_lock_acquire(&disk->lock);
    int rc = sim_node_notice_all(file->node);
    rc = rc < 0 ? rc : sim_cover_complete(&cover, file->node);
    rc = rc < 0 ? rc : sim_cover_fail(&cover, !file->owner->options.failures_lose);
    sim_cover_free(&cover);
    base_lock_release(&disk->lock);
    return rc < 0 ? rc : error;
}

static int memory_sync(struct weir_file *file)
{
    int rc = sim_memory_enter(file->owner, "sync", file->name, 0, 0);
    if (rc < 0) {
        return file->owner->dead ? rc : fail_sync(file, rc);
    }
    base_lock_acquire(&file->owner->disk->lock);
    rc = sim_node_sync(file->node);
    base_lock_release(&file->owner->disk->lock);
    return rc;
}

/* ---- names ---- */

static bool is_listed(const struct sim_entry *entry, bool directories)
{
    return directories ? entry->is_directory : entry->current != NULL;
}

/* The n-th entry of a directory, copied out, so that fn may change the directory: 1, or 0 at the
 * end. A file that was removed meanwhile may hide one from the listing, as on a real disk. */
static int nth_name(struct sim_memory *self, const char *directory, size_t n, bool directories,
                    char ret_name[SIM_DISK_NAME_MAX])
{
    size_t length = strlen(directory);
    int found = 0;
    base_lock_acquire(&self->disk->lock);
    for (struct sim_entry *entry = self->disk->entries; entry != NULL; entry = entry->next) {
        const char *rest = entry->name;
        if (length > 0) {
            bool inside = strncmp(rest, directory, length) == 0 && rest[length] == '/';
            rest = inside ? rest + length + 1 : NULL;
        }
        if (rest != NULL && strchr(rest, '/') != NULL) {
            rest = NULL;
        }
        /* Counts entries, also those whose file is gone: their number does not shrink. */
        if (rest == NULL || n-- > 0) {
            continue;
        }
        strcpy(ret_name, is_listed(entry, directories) ? rest : "");
        found = 1;
        break;
    }
    base_lock_release(&self->disk->lock);
    return found;
}

static int list_kind(struct weir_medium *medium, const char *call, const char *directory,
                     bool directories, weir_list_fn fn, void *context)
{
    struct sim_memory *self = memory_of(medium);
    int rc = enter_directory(medium, call, directory);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&self->disk->lock);
    bool exists = sim_disk_has_directory(self->disk, directory);
    base_lock_release(&self->disk->lock);
    if (!exists) {
        return -ENOENT;
    }
    char name[SIM_DISK_NAME_MAX];
    for (size_t n = 0; rc == 0 && nth_name(self, directory, n, directories, name) == 1; n++) {
        rc = *name != '\0' ? fn(context, name) : 0;
    }
    return rc;
}

static int memory_list(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                       void *context)
{
    return list_kind(medium, "list", directory, false, fn, context);
}

static int memory_list_directories(struct weir_medium *medium, const char *directory,
                                   weir_list_fn fn, void *context)
{
    return list_kind(medium, "list_directories", directory, true, fn, context);
}

static int memory_make_directory(struct weir_medium *medium, const char *name)
{
    int rc = enter_named(medium, "make_directory", name, 0);
    if (rc < 0) {
        return rc;
    }
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    rc = sim_disk_make_directory(disk, name);
    base_lock_release(&disk->lock);
    return rc;
}

static int memory_remove_directory(struct weir_medium *medium, const char *name)
{
    int rc = enter_named(medium, "remove_directory", name, 0);
    if (rc < 0) {
        return rc;
    }
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    rc = sim_disk_remove_directory(disk, name);
    base_lock_release(&disk->lock);
    return rc;
}

static int memory_rename(struct weir_medium *medium, const char *from, const char *to)
{
    int rc = enter_changing(medium, "rename", from, 0);
    if (rc < 0) {
        return rc;
    }
    if (!base_file_name_is_valid(to)) {
        return -EINVAL;
    }
    if (memory_of(medium)->options.read_only && strchr(to, '/') == NULL) {
        return -EROFS;
    }
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    rc = sim_disk_rename(disk, from, to);
    base_lock_release(&disk->lock);
    return rc;
}

static int memory_remove(struct weir_medium *medium, const char *name)
{
    int rc = enter_changing(medium, "remove", name, 0);
    if (rc < 0) {
        return rc;
    }
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    rc = sim_disk_remove(disk, name);
    base_lock_release(&disk->lock);
    return rc;
}

static int memory_space(struct weir_medium *medium, uint64_t *ret_free_bytes)
{
    int rc = enter_directory(medium, "space", "");
    if (rc < 0) {
        return rc;
    }
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    uint64_t capacity = disk->capacity_bytes, used = disk->used_bytes;
    base_lock_release(&disk->lock);
    if (capacity == 0) {
        return -EOPNOTSUPP;
    }
    *ret_free_bytes = capacity > used ? capacity - used : 0;
    return 0;
}

void sim_memory_capacity_set(struct weir_medium *medium, uint64_t capacity_bytes)
{
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    disk->capacity_bytes = capacity_bytes;
    base_lock_release(&disk->lock);
}

static int memory_sync_directory(struct weir_medium *medium, const char *directory)
{
    int rc = enter_directory(medium, "sync_directory", directory);
    if (rc < 0) {
        return rc;
    }
    struct sim_disk *disk = memory_of(medium)->disk;
    base_lock_acquire(&disk->lock);
    rc = sim_disk_sync_directory(disk, directory);
    base_lock_release(&disk->lock);
    return rc;
}

/* ---- locks and views ---- */

static bool conflicts(const struct weir_file *mine, enum weir_lock_mode mode)
{
    for (const struct weir_file *other = mine->node->files; other != NULL;
         other = other->next_of_node) {
        bool both_share = mode == WEIR_LOCK_SHARED && other->lock == WEIR_LOCK_SHARED;
        if (other != mine && other->lock != WEIR_LOCK_NONE && !both_share) {
            return true;
        }
    }
    return false;
}

static int memory_lock(struct weir_file *file, enum weir_lock_mode mode)
{
    int rc = sim_memory_enter(file->owner, "lock", file->name, 0, 0);
    if (rc < 0) {
        return rc;
    }
    if (mode == WEIR_LOCK_EXCLUSIVE && !file->writable) {
        return -EBADF;
    }
    base_lock_acquire(&file->owner->disk->lock);
    if (mode != WEIR_LOCK_NONE && conflicts(file, mode)) {
        rc = -EAGAIN;
    } else {
        file->lock = mode;
    }
    base_lock_release(&file->owner->disk->lock);
    return rc;
}

static int memory_map(struct weir_file *file, size_t size_bytes, const uint8_t **ret_base)
{
    int rc = sim_memory_enter(file->owner, "map", file->name, 0, size_bytes);
    if (rc < 0) {
        return rc;
    }
    if (size_bytes == 0) {
        return -EINVAL;
    }
    struct sim_view *view = base_alloc_zero(sizeof *view);
    if (view == NULL) {
        return -ENOMEM;
    }
    struct sim_disk *disk = file->owner->disk;
    base_lock_acquire(&disk->lock);
    struct sim_node *node = file->node;
    uint8_t *flat = NULL;
    if (node->current.size_bytes < size_bytes) {
        rc = -EIO;
    } else {
        flat = sim_image_flatten(&node->current);
        rc = flat == NULL ? -ENOMEM : 0;
    }
    if (rc == 0) {
        sim_node_reference(node);
        node->pins++;
        *view = (struct sim_view){.node = node, .next = disk->views};
        disk->views = view;
        *ret_base = flat;
    } else {
        base_free(view);
    }
    base_lock_release(&disk->lock);
    return rc;
}

static int memory_map_private(struct weir_file *file, uint64_t offset, void *address,
                              size_t size_bytes)
{
    int rc = sim_memory_enter(file->owner, "map_private", file->name, offset, size_bytes);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&file->owner->disk->lock);
    const struct sim_image *image = &file->node->current;
    if (size_bytes == 0 || offset > image->size_bytes || image->size_bytes - offset < size_bytes) {
        rc = size_bytes == 0 ? -EINVAL : -EIO;
    } else {
        sim_node_read(file->node, offset, address, size_bytes);
    }
    base_lock_release(&file->owner->disk->lock);
    return rc;
}

static void memory_unmap(struct weir_medium *medium, const uint8_t *base, size_t size_bytes)
{
    struct sim_disk *disk = memory_of(medium)->disk;
    (void)sim_memory_enter(memory_of(medium), "unmap", "", 0, size_bytes);
    base_lock_acquire(&disk->lock);
    struct sim_view **place = &disk->views;
    while (*place != NULL && (*place)->node->current.flat != base) {
        place = &(*place)->next;
    }
    WEIR_ASSERT(*place != NULL);
    struct sim_view *view = *place;
    *place = view->next;
    view->node->pins--;
    sim_node_release(view->node);
    base_lock_release(&disk->lock);
    base_free(view);
}

/* ---- opening and closing ---- */

static void memory_destroy(struct weir_medium *medium)
{
    struct sim_memory *self = memory_of(medium);
    struct sim_disk *disk = self->disk;
    while (self->operation_count > 0) { /* as a real ring: it waits for what is in flight */
        sim_operation_drop(&self->operations[--self->operation_count]);
    }
    WEIR_ASSERT(self->files == NULL);
    if (self->event_fd >= 0) {
        close(self->event_fd);
    }
    base_lock_acquire(&disk->lock);
    bool last = --disk->media == 0;
    base_lock_release(&disk->lock);
    if (last) {
        sim_disk_free(disk);
    }
    base_free(self->operations);
    base_free(self);
}

static void fill_info(struct sim_memory *self)
{
    const struct sim_memory_options *options = &self->options;
    bool is_pmem = options->block_bytes != BLOCK_BYTES_DEFAULT;
    struct weir_medium_info *info = &self->medium.info;
    info->kind = WEIR_MEDIUM_CUSTOM;
    strcpy(info->name, "memory");
    strcpy(info->io, is_pmem ? "cpu" : "sync");
    strcpy(info->reason, "the simulated medium was asked for");
    strcpy(info->file_system, "simulated");
    info->block_bytes = options->block_bytes;
    info->queue_depth = options->queue_depth;
    info->copy_from_bytes = is_pmem ? COPY_FROM_BYTES : SIZE_MAX;
    info->asynchronous = options->asynchronous;
    info->write_through = is_pmem && !options->asynchronous;
    info->window_is_file = options->window_is_file;
}

int sim_memory_open(const struct sim_memory_options *options, struct weir_medium **ret_medium)
{
    struct sim_memory *self = base_alloc_zero(sizeof *self);
    if (self == NULL) {
        return -ENOMEM;
    }
    self->options = *options;
    self->event_fd = -1;
    if (self->options.block_bytes == 0) {
        self->options.block_bytes = BLOCK_BYTES_DEFAULT;
    }
    if (self->options.queue_depth == 0) {
        self->options.queue_depth = QUEUE_DEPTH_DEFAULT;
    }
    bool is_pmem = self->options.block_bytes == 64;
    int rc = -EINVAL;
    if ((!is_pmem && self->options.block_bytes != BLOCK_BYTES_DEFAULT) ||
        (is_pmem && !options->window_is_file)) {
        goto out_self;
    }
    rc = -ENOMEM;
    self->operations = base_alloc_array(self->options.queue_depth, sizeof *self->operations);
    if (self->operations == NULL) {
        goto out_self;
    }
    self->disk = options->disk != NULL ? options->disk : sim_disk_new(options->capacity_bytes);
    if (self->disk == NULL) {
        goto out_operations;
    }
    base_lock_acquire(&self->disk->lock);
    self->disk->media++;
    base_lock_release(&self->disk->lock);
    self->medium.ops = is_pmem ? &sim_memory_pmem_ops : &sim_memory_block_ops;
    fill_info(self);
    *ret_medium = &self->medium;
    return 0;

out_operations:
    base_free(self->operations);
out_self:
    base_free(self);
    return rc;
}

#define MEMORY_OPS                                                                                 \
    .create = memory_create, .open = memory_open, .close = memory_close, .size = memory_size,      \
    .read = memory_read, .write = memory_write, .sync = memory_sync, .list = memory_list,          \
    .list_directories = memory_list_directories, .remove_directory = memory_remove_directory,      \
    .make_directory = memory_make_directory, .rename = memory_rename, .remove = memory_remove,     \
    .sync_directory = memory_sync_directory, .lock = memory_lock, .map = memory_map,               \
    .unmap = memory_unmap, .map_private = memory_map_private, .window_open = sim_window_open,      \
    .load = sim_window_load, .freeze = sim_window_freeze, .window_close = sim_window_close,        \
    .persist = sim_window_persist, .flush_file = sim_window_flush_file, .poll = sim_window_poll,   \
    .eventfd = sim_window_eventfd, .space = memory_space, .destroy = memory_destroy

const struct weir_medium_ops sim_memory_block_ops = {MEMORY_OPS};
const struct weir_medium_ops sim_memory_pmem_ops = {
    MEMORY_OPS,
    .copy = sim_window_copy,
    .clean = sim_window_clean,
};
