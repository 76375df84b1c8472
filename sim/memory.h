/* The memory medium: a whole simulated disk in memory, behind <weir/medium.h>, for tests.
 *
 *     struct sim_memory_options options = {.asynchronous = true};
 *     struct weir_medium *medium, *after;
 *     sim_memory_open(&options, &medium);
 *     ...run the production code...
 *     sim_memory_crash(medium, keep_nothing, NULL, &after);      power loss: only what was synced
 *
 * Each file has two images: `current`, what a read returns, and `durable`, what power loss leaves.
 * sync() copies one to the other, persist() a range of it; the names of a directory have two sets
 * in the same way. At a crash the policy chooses, in units of 512 bytes and for each name, what of
 * the difference survived.
 *
 * Processes: several media opened on one struct sim_disk see the same files and each other's locks.
 *
 * Threads: as <weir/medium.h> says; one lock for each disk. Callbacks run without it.
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <weir/medium.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sim_disk; /* the files, shared by the media that are opened on it */

/* Asked before each call does anything, and before each completion is brought (call "complete").
 * call: the member's name in struct weir_medium_ops. Returns 0, or the -errno to inject. */
struct sim_memory_faults {
    int (*before)(void *context, const char *call, const char *name, uint64_t offset, size_t size);
    void *context;
};

struct sim_memory_options {
    struct sim_disk *disk;   /* NULL: a fresh, empty one */
    uint32_t block_bytes;    /* 4096 (0) or 64 */
    uint32_t queue_depth;    /* 0 = 8 */
    uint64_t capacity_bytes; /* of a fresh disk; beyond it -ENOSPC; 0 = no limit */
    bool asynchronous;       /* persist() and flush_file() complete only at poll() */
    bool reversed;           /* poll() brings the latest first */
    bool window_is_file;     /* as mapped, or as pmem with block_bytes 64; else as direct */
    bool read_only;          /* files in directories below may be written all the same */
    struct sim_memory_faults faults;
};

/* Returns 0, -EINVAL or -ENOMEM. */
int sim_memory_open(const struct sim_memory_options *options, struct weir_medium **ret_medium);

/* The disk that the medium is on: valid while at least one medium is open on it. */
struct sim_disk *sim_memory_disk(struct weir_medium *medium);

/* Replaces the fault hook; {0} removes it. Not while another thread is inside the medium. */
void sim_memory_faults_set(struct weir_medium *medium, const struct sim_memory_faults *faults);

#define SIM_MEMORY_UNIT 512u
#define SIM_MEMORY_ENTRY UINT64_MAX      /* offset: the directory entry of that name */
#define SIM_MEMORY_SIZE (UINT64_MAX - 1) /* offset: the file's size */

/* Did this not yet durable piece of `name` survive? NULL as a policy keeps nothing. */
typedef bool (*sim_memory_keep_fn)(void *context, const char *name, uint64_t offset);

/*
 * Cuts the power: makes a fresh disk with what survives, and a medium on it with the same options
 * and no fault hook. The old medium and its handles stay usable and must still be closed.
 *
 * Returns 0 or -ENOMEM.
 */
int sim_memory_crash(struct weir_medium *medium, sim_memory_keep_fn keep, void *context,
                     struct weir_medium **ret_medium);

/*
 * Kills the process that opened this medium: its locks are gone, its calls return -EIO. What it had
 * written is still there for other media on the disk; what it had only put into windows that are no
 * file is lost. Its files and windows must still be closed, and the medium destroyed.
 */
void sim_memory_kill(struct weir_medium *medium);

/* Direct access for damage and inspection: the bytes of a file, or NULL. Valid until the file is
 * written beyond its end or removed. Changes made here are durable at once when `durable` is used.
 */
uint8_t *sim_memory_bytes(struct weir_medium *medium, const char *name, bool durable,
                          uint64_t *ret_size_bytes);

#ifdef __cplusplus
}
#endif
#endif
