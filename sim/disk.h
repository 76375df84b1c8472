/* The names of a simulated disk, and what each stands for now and after power loss.
 *
 * Internal to sim/. Everything here is called with the disk's lock held.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/sync.h"
#include "sim/memory.h"
#include "sim/node.h"

#define SIM_DISK_NAME_MAX 300

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
    uint64_t changes; /* of what a power cut may leave */
    uint64_t trace;   /* of all calls so far, with what they wrote */
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
int sim_disk_remove_directory(struct sim_disk *disk, const char *name); /* -ENOTEMPTY */
int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to);
int sim_disk_remove(struct sim_disk *disk, const char *name);
int sim_disk_sync_directory(struct sim_disk *disk, const char *directory);

/* Turns all stores since the last look into pending writes. -ENOMEM. */
int sim_disk_notice_all(struct sim_disk *disk);

/* Fills a fresh disk with what survives of another. */
int sim_disk_survive(struct sim_disk *disk, struct sim_disk *fresh, sim_memory_tear_fn tear,
                     void *context);

/* Fills a fresh disk with the same, durable or not. */
int sim_disk_copy(struct sim_disk *disk, struct sim_disk *fresh);

/* Of all names and bytes as they are now. */
uint64_t sim_disk_digest(const struct sim_disk *disk);

#endif
