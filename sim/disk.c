/*
 * A simulated disk: names, and the files behind them (node.c).
 *
 * Happy path: a name stands for a node now and, after its directory's sync, for the same node after
 * power loss. Power loss makes a new disk of what was durable and what the policy keeps of the
 * rest.
 *
 * Failure modes: no room (-ENOSPC by the disk's capacity), no memory; both leave things as they
 * were.
 *
 * Invariant: used_bytes is the sum of the current sizes of all nodes.
 */
#include "sim/disk.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

struct sim_disk *sim_disk_new(uint64_t capacity_bytes)
{
    struct sim_disk *disk = calloc(1, sizeof *disk);
    if (disk != NULL) {
        disk->capacity_bytes = capacity_bytes;
    }
    return disk;
}

static void set_node(struct sim_node **place, struct sim_node *node)
{
    if (*place == node) {
        return;
    }
    struct sim_disk *disk = node != NULL ? node->disk : (*place)->disk;
    disk->changes++;
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
        free(entry);
    }
    WEIR_ASSERT(disk->used_bytes == 0);
    free(disk);
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
    entry = calloc(1, sizeof *entry);
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
    const char *slash = strrchr(name, '/');
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
    struct sim_node *node = sim_node_new(disk);
    if (node == NULL) {
        return -ENOMEM;
    }
    int rc = sim_node_resize(node, size_bytes);
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
    disk->changes += entry->is_directory ? 0 : 1;
    entry->is_directory = true;
    return 0;
}

int sim_disk_remove_directory(struct sim_disk *disk, const char *name)
{
    struct sim_entry *entry = find_entry(disk, name);
    if (entry == NULL || !entry->is_directory) {
        return entry != NULL && entry->current != NULL ? -ENOTDIR : -ENOENT;
    }
    size_t length = strlen(name);
    for (const struct sim_entry *other = disk->entries; other != NULL; other = other->next) {
        bool inside = strncmp(other->name, name, length) == 0 && other->name[length] == '/';
        if (inside && (other->current != NULL || other->is_directory)) {
            return -ENOTEMPTY;
        }
    }
    disk->changes++;
    entry->is_directory = false;
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
            disk->changes += entry->directory_durable != entry->is_directory ? 1 : 0;
            entry->directory_durable = entry->is_directory;
            entry->moved_to = NULL;
        }
    }
    return 0;
}

/* ---- power loss ---- */

struct cut {
    struct sim_disk *fresh;
    sim_memory_tear_fn tear;
    void *context;
    const char *name; /* of the file that is being decided */
};

static uint64_t ask(const struct cut *cut, const char *name, uint64_t offset)
{
    return cut->tear != NULL ? cut->tear(cut->context, name, offset) : 0;
}

static uint64_t choose_words(void *context, uint64_t offset)
{
    const struct cut *cut = context;
    return ask(cut, cut->name, offset);
}

/* A rename is one step: the old name is gone exactly when the new one is there. */
static bool change_survives(const struct cut *cut, const struct sim_entry *entry)
{
    const struct sim_entry *decides = entry;
    while (decides->moved_to != NULL && decides->current == NULL) {
        decides = decides->moved_to;
    }
    return ask(cut, decides->name, SIM_MEMORY_ENTRY) != 0;
}

static int survive_content(struct cut *cut, struct sim_node *node, struct sim_node *fresh)
{
    uint64_t size = node->durable.size_bytes;
    if (node->current.size_bytes > size && ask(cut, cut->name, SIM_MEMORY_SIZE) != 0) {
        size = node->current.size_bytes;
    }
    struct sim_survivor survivor = {choose_words, cut};
    return sim_node_survive(node, fresh, size, &survivor);
}

static int survive_entry(struct cut *cut, const struct sim_entry *entry)
{
    struct sim_node *node = entry->durable;
    bool is_directory = entry->directory_durable;
    bool changed = entry->current != node || entry->is_directory != is_directory;
    if (changed && change_survives(cut, entry)) {
        node = entry->current;
        is_directory = entry->is_directory;
    }
    if (node == NULL && !is_directory) {
        return 0;
    }
    struct sim_entry *survivor = make_entry(cut->fresh, entry->name);
    if (survivor == NULL) {
        return -ENOMEM;
    }
    survivor->is_directory = survivor->directory_durable = is_directory;
    if (node == NULL) {
        return 0;
    }
    struct sim_node *copy = sim_node_new(cut->fresh);
    if (copy == NULL) {
        return -ENOMEM;
    }
    copy->unit_bytes = node->unit_bytes;
    cut->name = entry->name;
    int rc = survive_content(cut, node, copy);
    if (rc == 0) {
        set_node(&survivor->current, copy);
        set_node(&survivor->durable, copy);
    }
    sim_node_release(copy);
    return rc;
}

/* What lay in a directory that did not survive is gone with it. A directory comes before what lies
 * in it: it was there first. */
static void drop_orphans(struct sim_disk *disk)
{
    for (struct sim_entry *entry = disk->entries; entry != NULL; entry = entry->next) {
        if (!parent_exists(disk, entry->name)) {
            entry->is_directory = entry->directory_durable = false;
            set_node(&entry->current, NULL);
            set_node(&entry->durable, NULL);
        }
    }
}

int sim_disk_notice_all(struct sim_disk *disk)
{
    int rc = 0;
    for (struct sim_entry *entry = disk->entries; rc == 0 && entry != NULL; entry = entry->next) {
        rc = entry->current != NULL ? sim_node_notice_all(entry->current) : 0;
        if (rc == 0 && entry->durable != NULL && entry->durable != entry->current) {
            rc = sim_node_notice_all(entry->durable);
        }
    }
    return rc;
}

int sim_disk_survive(struct sim_disk *disk, struct sim_disk *fresh, sim_memory_tear_fn tear,
                     void *context)
{
    struct cut cut = {.fresh = fresh, .tear = tear, .context = context};
    int rc = sim_disk_notice_all(disk);
    for (struct sim_entry *entry = disk->entries; rc == 0 && entry != NULL; entry = entry->next) {
        rc = survive_entry(&cut, entry);
    }
    drop_orphans(fresh);
    return rc;
}

/* ---- death of a process ---- */

static int copy_node(struct sim_node *node, struct sim_disk *fresh, struct sim_node **ret_copy)
{
    struct sim_node *copy = node != NULL ? sim_node_new(fresh) : NULL;
    int rc = node == NULL ? 0 : copy == NULL ? -ENOMEM : sim_node_copy(node, copy);
    if (rc < 0 && copy != NULL) {
        sim_node_release(copy);
        copy = NULL;
    }
    *ret_copy = copy;
    return rc;
}

/* A node that was renamed is durable under its old name and current under its new one. */
static struct sim_node *find_copy(struct sim_disk *disk, struct sim_disk *fresh,
                                  const struct sim_node *node)
{
    struct sim_entry *made = fresh->entries;
    for (struct sim_entry *entry = disk->entries; entry != NULL && made != NULL;
         entry = entry->next, made = made->next) {
        if (entry->current == node && made->current != NULL) {
            return made->current;
        }
        if (entry->durable == node && made->durable != NULL) {
            return made->durable;
        }
    }
    return NULL;
}

static int copy_place(struct sim_disk *disk, struct sim_disk *fresh, struct sim_node *node,
                      struct sim_node **place)
{
    struct sim_node *copy = node != NULL ? find_copy(disk, fresh, node) : NULL;
    if (copy != NULL) {
        set_node(place, copy);
        return 0;
    }
    int rc = copy_node(node, fresh, &copy);
    *place = copy; /* the reference is the place's */
    return rc;
}

int sim_disk_copy(struct sim_disk *disk, struct sim_disk *fresh)
{
    int rc = sim_disk_notice_all(disk);
    for (struct sim_entry *entry = disk->entries; rc == 0 && entry != NULL; entry = entry->next) {
        struct sim_entry *copy = make_entry(fresh, entry->name);
        if (copy == NULL) {
            return -ENOMEM;
        }
        copy->is_directory = entry->is_directory;
        copy->directory_durable = entry->directory_durable;
        rc = copy_place(disk, fresh, entry->current, &copy->current);
        rc = rc < 0 ? rc : copy_place(disk, fresh, entry->durable, &copy->durable);
    }
    for (struct sim_entry *entry = disk->entries; rc == 0 && entry != NULL; entry = entry->next) {
        struct sim_entry *copy = find_entry(fresh, entry->name);
        if (copy != NULL && entry->moved_to != NULL) {
            copy->moved_to = find_entry(fresh, entry->moved_to->name);
        }
    }
    return rc;
}

/* In any order of the names: the sum of what each file amounts to. */
uint64_t sim_disk_digest(const struct sim_disk *disk)
{
    uint64_t sum = 0;
    for (const struct sim_entry *entry = disk->entries; entry != NULL; entry = entry->next) {
        if (entry->current == NULL && !entry->is_directory) {
            continue;
        }
        uint64_t digest = sim_digest_bytes(entry->is_directory, entry->name, strlen(entry->name));
        sum += entry->is_directory ? digest
                                   : sim_digest(digest, sim_image_digest(&entry->current->current));
    }
    return sum;
}
