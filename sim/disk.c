/*
 * A simulated disk: a list of names and, for each file, two images.
 *
 * Happy path: writes go to `current` and leave a range behind; a sync copies the ranges to
 * `durable` and the size; a directory's sync makes its names durable.
 *
 * Failure modes: no room (-ENOSPC by the disk's capacity), no memory; both leave things as they
 * were.
 *
 * Invariants: used_bytes is the sum of all current sizes; a node lives while something refers to
 * it; bytes of an image beyond its size are zero.
 */
#include "sim/disk.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define GROWTH_BYTES 4096u

/* ---- images ---- */

static void image_free(struct sim_image *image)
{
    if (image->bytes != NULL) {
        base_pages_free(image->bytes, image->capacity_bytes);
    }
    *image = (struct sim_image){0};
}

static uint64_t round_up(uint64_t size, uint64_t unit)
{
    return (size + unit - 1) / unit * unit;
}

/* Fresh pages are zero and cost nothing before they are touched. */
static int image_grow(struct sim_image *image, uint64_t size_bytes, bool may_move)
{
    if (size_bytes <= image->capacity_bytes) {
        if (size_bytes > image->size_bytes) {
            image->size_bytes = size_bytes;
        }
        return 0;
    }
    if (!may_move) {
        return -EBUSY;
    }
    uint64_t capacity = round_up(size_bytes, GROWTH_BYTES);
    uint8_t *bytes = base_pages_alloc(capacity, 0);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    if (image->size_bytes > 0) {
        memcpy(bytes, image->bytes, image->size_bytes);
    }
    image_free(image);
    *image = (struct sim_image){bytes, size_bytes, capacity};
    return 0;
}

/* ---- files ---- */

static struct sim_node *node_new(struct sim_disk *disk)
{
    struct sim_node *node = base_alloc_zero(sizeof *node);
    if (node != NULL) {
        node->disk = disk;
        node->references = 1;
    }
    return node;
}

void sim_node_reference(struct sim_node *node)
{
    node->references++;
}

void sim_node_release(struct sim_node *node)
{
    WEIR_ASSERT(node->references > 0);
    if (--node->references > 0) {
        return;
    }
    WEIR_ASSERT(node->files == NULL && node->pins == 0);
    node->disk->used_bytes -= node->current.size_bytes;
    image_free(&node->current);
    image_free(&node->durable);
    base_free(node->written);
    base_free(node);
}

static int node_resize(struct sim_node *node, uint64_t size_bytes)
{
    struct sim_disk *disk = node->disk;
    uint64_t before = node->current.size_bytes;
    if (size_bytes <= before) {
        return 0;
    }
    uint64_t more = size_bytes - before;
    if (disk->capacity_bytes != 0 &&
        (more > disk->capacity_bytes || disk->used_bytes > disk->capacity_bytes - more)) {
        return -ENOSPC;
    }
    int rc = image_grow(&node->current, size_bytes, node->pins == 0);
    if (rc == 0) {
        disk->used_bytes += more;
    }
    return rc;
}

int sim_node_note_written(struct sim_node *node, uint64_t offset, uint64_t size_bytes)
{
    if (node->written_count > 0) {
        struct sim_range *last = &node->written[node->written_count - 1];
        if (last->offset + last->size_bytes == offset) {
            last->size_bytes += size_bytes;
            return 0;
        }
    }
    if (node->written_count == node->written_capacity) {
        size_t capacity = node->written_capacity == 0 ? 8 : node->written_capacity * 2;
        struct sim_range *ranges = base_alloc_array(capacity, sizeof *ranges);
        if (ranges == NULL) {
            return -ENOMEM;
        }
        if (node->written_count > 0) {
            memcpy(ranges, node->written, node->written_count * sizeof *ranges);
        }
        base_free(node->written);
        node->written = ranges;
        node->written_capacity = capacity;
    }
    node->written[node->written_count++] = (struct sim_range){offset, size_bytes};
    return 0;
}

int sim_node_write(struct sim_node *node, uint64_t offset, const void *data, uint64_t size_bytes)
{
    if (size_bytes == 0) {
        return 0;
    }
    int rc = node_resize(node, offset + size_bytes);
    if (rc == 0) {
        memcpy(node->current.bytes + offset, data, size_bytes);
    }
    return rc;
}

int sim_node_make_durable(struct sim_node *node, uint64_t offset, const void *data,
                          uint64_t size_bytes)
{
    int rc = image_grow(&node->durable, offset + size_bytes, true);
    if (rc == 0 && size_bytes > 0) {
        memcpy(node->durable.bytes + offset, data, size_bytes);
    }
    return rc;
}

/* Copies only what differs, so that untouched pages of zeros stay untouched. */
static void copy_changed(struct sim_image *to, const struct sim_image *from)
{
    for (uint64_t offset = 0; offset < from->size_bytes; offset += GROWTH_BYTES) {
        uint64_t left = from->size_bytes - offset;
        size_t size = left < GROWTH_BYTES ? (size_t)left : GROWTH_BYTES;
        if (memcmp(to->bytes + offset, from->bytes + offset, size) != 0) {
            memcpy(to->bytes + offset, from->bytes + offset, size);
        }
    }
}

int sim_node_sync(struct sim_node *node)
{
    int rc = image_grow(&node->durable, node->current.size_bytes, true);
    if (rc < 0) {
        return rc;
    }
    if (node->stored) {
        copy_changed(&node->durable, &node->current);
    }
    for (size_t i = 0; i < node->written_count; i++) {
        struct sim_range range = node->written[i];
        memcpy(node->durable.bytes + range.offset, node->current.bytes + range.offset,
               range.size_bytes);
    }
    node->written_count = 0;
    return 0;
}

/* ---- names ---- */

struct sim_disk *sim_disk_new(uint64_t capacity_bytes)
{
    struct sim_disk *disk = base_alloc_zero(sizeof *disk);
    if (disk != NULL) {
        disk->capacity_bytes = capacity_bytes;
    }
    return disk;
}

static void set_node(struct sim_node **place, struct sim_node *node)
{
    if (node != NULL) {
        sim_node_reference(node);
    }
    if (*place != NULL) {
        sim_node_release(*place);
    }
    *place = node;
}

void sim_disk_free(struct sim_disk *disk)
{
    WEIR_ASSERT(disk->media == 0 && disk->views == NULL);
    while (disk->entries != NULL) {
        struct sim_entry *entry = disk->entries;
        disk->entries = entry->next;
        set_node(&entry->current, NULL);
        set_node(&entry->durable, NULL);
        base_free(entry);
    }
    WEIR_ASSERT(disk->used_bytes == 0);
    base_free(disk);
}

static struct sim_entry *find_entry(struct sim_disk *disk, const char *name)
{
    for (struct sim_entry *entry = disk->entries; entry != NULL; entry = entry->next) {
        if (strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

static struct sim_entry *make_entry(struct sim_disk *disk, const char *name)
{
    struct sim_entry *entry = find_entry(disk, name);
    if (entry != NULL) {
        return entry;
    }
    entry = base_alloc_zero(sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    WEIR_ASSERT(strlen(name) < sizeof entry->name);
    strcpy(entry->name, name);
    struct sim_entry **end = &disk->entries; /* at the end: a listing that goes on stays right */
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = entry;
    return entry;
}

struct sim_node *sim_disk_find(struct sim_disk *disk, const char *name)
{
    struct sim_entry *entry = find_entry(disk, name);
    return entry != NULL ? entry->current : NULL;
}

bool sim_disk_has_directory(struct sim_disk *disk, const char *name)
{
    struct sim_entry *entry = find_entry(disk, name);
    return *name == '\0' || (entry != NULL && entry->is_directory);
}

/* "holds/backup" lies in "holds", "CONTROL" in "". */
static void parent_of(const char *name, char parent[SIM_DISK_NAME_MAX])
{
    const char *slash = strchr(name, '/');
    size_t length = slash != NULL ? (size_t)(slash - name) : 0;
    memcpy(parent, name, length);
    parent[length] = '\0';
}

static bool parent_exists(struct sim_disk *disk, const char *name)
{
    char parent[SIM_DISK_NAME_MAX];
    parent_of(name, parent);
    return sim_disk_has_directory(disk, parent);
}

int sim_disk_create(struct sim_disk *disk, const char *name, uint64_t size_bytes,
                    struct sim_node **ret_node)
{
    if (!parent_exists(disk, name)) {
        return -ENOENT;
    }
    struct sim_entry *entry = make_entry(disk, name);
    if (entry == NULL) {
        return -ENOMEM;
    }
    if (entry->current != NULL || entry->is_directory) {
        return -EEXIST;
    }
    struct sim_node *node = node_new(disk);
    if (node == NULL) {
        return -ENOMEM;
    }
    int rc = node_resize(node, size_bytes);
    if (rc == 0) {
        set_node(&entry->current, node);
        entry->moved_to = NULL;
        *ret_node = node;
    }
    sim_node_release(node); /* the entry holds it now */
    return rc;
}

int sim_disk_make_directory(struct sim_disk *disk, const char *name)
{
    struct sim_entry *entry = make_entry(disk, name);
    if (entry == NULL) {
        return -ENOMEM;
    }
    if (entry->current != NULL) {
        return -ENOTDIR;
    }
    entry->is_directory = true;
    return 0;
}

int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to)
{
    struct sim_entry *source = find_entry(disk, from);
    if (source == NULL || source->current == NULL || !parent_exists(disk, to)) {
        return -ENOENT;
    }
    struct sim_entry *target = make_entry(disk, to);
    if (target == NULL) {
        return -ENOMEM;
    }
    if (target == source) {
        return 0;
    }
    if (target->is_directory) {
        return -EISDIR;
    }
    set_node(&target->current, source->current);
    set_node(&source->current, NULL);
    source->moved_to = target;
    target->moved_to = NULL;
    return 0;
}

int sim_disk_remove(struct sim_disk *disk, const char *name)
{
    struct sim_entry *entry = find_entry(disk, name);
    if (entry == NULL || entry->current == NULL) {
        return -ENOENT;
    }
    set_node(&entry->current, NULL);
    entry->moved_to = NULL;
    return 0;
}

int sim_disk_sync_directory(struct sim_disk *disk, const char *directory)
{
    if (!sim_disk_has_directory(disk, directory)) {
        return -ENOENT;
    }
    for (struct sim_entry *entry = disk->entries; entry != NULL; entry = entry->next) {
        char parent[SIM_DISK_NAME_MAX];
        parent_of(entry->name, parent);
        if (strcmp(parent, directory) == 0) {
            set_node(&entry->durable, entry->current);
            entry->directory_durable = entry->is_directory;
            entry->moved_to = NULL;
        }
    }
    return 0;
}

/* ---- power loss ---- */

static bool asks(sim_memory_keep_fn keep, void *context, const char *name, uint64_t offset)
{
    return keep != NULL && keep(context, name, offset);
}

/* A rename is one step: the old name is gone exactly when the new one is there. */
static bool change_survives(const struct sim_entry *entry, sim_memory_keep_fn keep, void *context)
{
    const struct sim_entry *decides = entry;
    while (decides->moved_to != NULL && decides->current == NULL) {
        decides = decides->moved_to;
    }
    return asks(keep, context, decides->name, SIM_MEMORY_ENTRY);
}

static int survive_content(const struct sim_node *node, const char *name, struct sim_node *fresh,
                           sim_memory_keep_fn keep, void *context)
{
    uint64_t size = node->durable.size_bytes;
    if (node->current.size_bytes > size && asks(keep, context, name, SIM_MEMORY_SIZE)) {
        size = node->current.size_bytes;
    }
    int rc = image_grow(&fresh->durable, size, true);
    if (rc < 0) {
        return rc;
    }
    static const uint8_t zeros[SIM_MEMORY_UNIT];
    for (uint64_t offset = 0; offset < size; offset += SIM_MEMORY_UNIT) {
        uint64_t left = size - offset;
        size_t unit = left < SIM_MEMORY_UNIT ? (size_t)left : SIM_MEMORY_UNIT;
        const uint8_t *was =
            offset < node->durable.size_bytes ? node->durable.bytes + offset : zeros;
        const uint8_t *is = node->current.bytes + offset;
        bool differs = memcmp(was, is, unit) != 0;
        const uint8_t *survivor = differs && asks(keep, context, name, offset) ? is : was;
        if (memcmp(survivor, zeros, unit) != 0) {
            memcpy(fresh->durable.bytes + offset, survivor, unit);
        }
    }
    rc = node_resize(fresh, size);
    if (rc == 0 && size > 0) {
        copy_changed(&fresh->current, &fresh->durable);
    }
    return rc;
}

static int survive_entry(const struct sim_entry *entry, struct sim_disk *fresh,
                         sim_memory_keep_fn keep, void *context)
{
    struct sim_node *node = entry->durable;
    bool is_directory = entry->directory_durable;
    bool changed = entry->current != node || entry->is_directory != is_directory;
    if (changed && change_survives(entry, keep, context)) {
        node = entry->current;
        is_directory = entry->is_directory;
    }
    if (node == NULL && !is_directory) {
        return 0;
    }
    struct sim_entry *survivor = make_entry(fresh, entry->name);
    if (survivor == NULL) {
        return -ENOMEM;
    }
    survivor->is_directory = survivor->directory_durable = is_directory;
    if (node == NULL) {
        return 0;
    }
    struct sim_node *copy = node_new(fresh);
    if (copy == NULL) {
        return -ENOMEM;
    }
    int rc = survive_content(node, entry->name, copy, keep, context);
    if (rc == 0) {
        set_node(&survivor->current, copy);
        set_node(&survivor->durable, copy);
    }
    sim_node_release(copy);
    return rc;
}

/* What lay in a directory that did not survive is gone with it. */
static void drop_orphans(struct sim_disk *disk)
{
    for (struct sim_entry *entry = disk->entries; entry != NULL; entry = entry->next) {
        if (!parent_exists(disk, entry->name)) {
            set_node(&entry->current, NULL);
            set_node(&entry->durable, NULL);
        }
    }
}

int sim_disk_survive(struct sim_disk *disk, struct sim_disk *fresh, sim_memory_keep_fn keep,
                     void *context)
{
    for (struct sim_entry *entry = disk->entries; entry != NULL; entry = entry->next) {
        int rc = survive_entry(entry, fresh, keep, context);
        if (rc < 0) {
            return rc;
        }
    }
    drop_orphans(fresh);
    return 0;
}
