/* The files of a simulated disk: names, and for each file what is there and what is durable.
 *
 * Internal to sim/. Everything here is called with the disk's lock held.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/sync.h"
#include "sim/memory.h"

#define SIM_DISK_NAME_MAX 300

struct sim_image {
    uint8_t *bytes; /* pages; NULL while size_bytes is 0 */
    uint64_t size_bytes;
    uint64_t capacity_bytes;
};

struct sim_range {
    uint64_t offset;
    uint64_t size_bytes;
};

/* A file without its name. */
struct sim_node {
    struct sim_disk *disk;
    struct sim_image current;  /* what reads and windows see */
    struct sim_image durable;  /* what power loss leaves */
    struct sim_range *written; /* completed, and not yet covered by a sync */
    size_t written_count, written_capacity;
    struct weir_file *files; /* open handles, linked by next_of_node: they hold the locks */
    unsigned references;     /* entries, handles, views */
    unsigned pins;           /* views that must not move */
    bool stored;             /* a window was the file itself: stores leave no range behind */
};

/* A name, with what it stands for now and after power loss. */
struct sim_entry {
    struct sim_entry *next;
    struct sim_entry *moved_to; /* renamed since the last sync: it survives with that name */
    struct sim_node *current, *durable;
    bool is_directory, directory_durable;
    char name[SIM_DISK_NAME_MAX];
};

struct sim_view {
    struct sim_view *next;
    struct sim_node *node;
};

struct sim_disk {
    struct base_lock lock;
    struct sim_entry *entries;
    struct sim_view *views;  /* of map() */
    uint64_t capacity_bytes; /* 0 = no limit */
    uint64_t used_bytes;
    unsigned media;
};

struct sim_disk *sim_disk_new(uint64_t capacity_bytes);
void sim_disk_free(struct sim_disk *disk);

/* The file of that name as it is now, or NULL. */
struct sim_node *sim_disk_find(struct sim_disk *disk, const char *name);
bool sim_disk_has_directory(struct sim_disk *disk, const char *name);

/* Returns 0, -EEXIST, -ENOENT (no such directory), -ENOSPC, -ENOMEM. */
int sim_disk_create(struct sim_disk *disk, const char *name, uint64_t size_bytes,
                    struct sim_node **ret_node);
int sim_disk_make_directory(struct sim_disk *disk, const char *name);
int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to);
int sim_disk_remove(struct sim_disk *disk, const char *name);
int sim_disk_sync_directory(struct sim_disk *disk, const char *directory);

void sim_node_reference(struct sim_node *node);
void sim_node_release(struct sim_node *node);

/* Changes the current image, growing it; the range is not durable before a sync.
 * Returns 0, -ENOSPC, -ENOMEM, -EBUSY (it would move while it is mapped). */
int sim_node_write(struct sim_node *node, uint64_t offset, const void *data, uint64_t size_bytes);

/* Notes a range of the current image as written and complete: the next sync covers it. */
int sim_node_note_written(struct sim_node *node, uint64_t offset, uint64_t size_bytes);

/* Makes bytes durable, beside what the current image holds by now. */
int sim_node_make_durable(struct sim_node *node, uint64_t offset, const void *data,
                          uint64_t size_bytes);

/* Everything written and complete becomes durable, and the size. */
int sim_node_sync(struct sim_node *node);

/* Fills a fresh disk with what survives of another. */
int sim_disk_survive(struct sim_disk *disk, struct sim_disk *fresh, sim_memory_keep_fn keep,
                     void *context);

#endif
