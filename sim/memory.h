/* The memory medium: a whole simulated disk in memory, behind <weir/medium.h>, for tests.
 *
 *     struct sim_memory_options options = {.asynchronous = true};
 *     struct weir_medium *medium, *after;
 *     sim_memory_open(&options, &medium);
 *     ...run the production code...
 *     sim_memory_crash(medium, keep_nothing, NULL, &after);      power loss: only what was synced
 *
 * Each file has two images: `current`, what a read returns, and `durable`, what power loss leaves
 * at least, with a list of the writes in between. Of each a power cut keeps any subset of its units
 * (sectors of 512 bytes, lines of 64 with block_bytes 64), each whole or torn at 8 bytes; and of
 * each change of a name that its directory's sync does not cover, one or the other.
 *
 * Where the window is the file, stores are found by comparing, when a call needs to know or, when
 * `watchful`, at every call: then each version of a line that some call has seen may be the one
 * that survives. A line that was cleaned is durable once the same thread fences, and not before.
 *
 * Processes: several media opened on one struct sim_disk see the same files and each other's locks.
 *
 * Threads: as <weir/medium.h> says; one lock for each disk. Callbacks run without it. Each call is
 * a place where the deterministic scheduler (sim/scheduler.h) may switch.
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <weir/medium.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sim_disk; /* the files, shared by the media that are opened on it */

struct base_prng;

/* Asked before each call does anything, and once more where bytes are under way: at "complete" (a
 * write or flush is about to be done) and "fence" (copy() has stored and not yet fenced).
 * call: the member's name in struct weir_medium_ops, or one of these two. Returns 0, or the -errno
 * to inject (ignored where a call cannot fail). */
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
    bool watchful;           /* every call looks for stores, not only those that need to know */
    bool failures_lose; /* what a failed write or flush covered never reaches the medium, though
                           a mapping goes on showing it; else a later flush covers it */
    struct base_prng *chance; /* poll() brings what it draws, when it draws; one poller at a time */
    struct sim_memory_faults faults;
    /* What a device that errs does with a write that it reports as done: it may move it within its
     * file, or shorten it (0: nothing arrives), in multiples of 512. Gets the context of the
     * faults. NULL: nothing of the kind. */
    void (*misplace)(void *context, const char *name, uint64_t *offset, size_t *size);
};

/* Returns 0, -EINVAL or -ENOMEM. */
int sim_memory_open(const struct sim_memory_options *options, struct weir_medium **ret_medium);

/* The disk that the medium is on: valid while at least one medium is open on it. */
struct sim_disk *sim_memory_disk(struct weir_medium *medium);

/* Replaces the fault hook; {0} removes it. Not while another thread is inside the medium. */
void sim_memory_faults_set(struct weir_medium *medium, const struct sim_memory_faults *faults);

/* Somebody else takes room on this disk, or gives it back. 0: there is no limit, and nobody knows
 * how much is free. */
void sim_memory_capacity_set(struct weir_medium *medium, uint64_t capacity_bytes);

#define SIM_MEMORY_UNIT 512u             /* a sector: what is decided at once on block media */
#define SIM_MEMORY_ENTRY UINT64_MAX      /* offset: the directory entry of that name */
#define SIM_MEMORY_SIZE (UINT64_MAX - 1) /* offset: the file's size */

/* The size of what is decided at once: 512, or 64 on persistent memory. */
uint32_t sim_memory_unit(struct weir_medium *medium);

/* Which 8-byte words of this piece of `name` survive: bit i for the i-th behind offset. 0 loses it,
 * UINT64_MAX keeps it; for a name or a size anything but 0 keeps it. Asked in an order that depends
 * on the disk and the answers alone, and only where the answer makes a difference. NULL: always 0.
 */
typedef uint64_t (*sim_memory_tear_fn)(void *context, const char *name, uint64_t offset);

/*
 * Cuts the power: makes a fresh disk with what survives, and a medium on it with the same options
 * and no fault hook. The old medium and its handles stay usable and must still be closed.
 *
 * Returns 0 or -ENOMEM.
 */
int sim_memory_cut(struct weir_medium *medium, sim_memory_tear_fn tear, void *context,
                   struct weir_medium **ret_medium);

/* The same where a unit is kept or lost as a whole. NULL: everything is lost. */
typedef bool (*sim_memory_keep_fn)(void *context, const char *name, uint64_t offset);
int sim_memory_crash(struct weir_medium *medium, sim_memory_keep_fn keep, void *context,
                     struct weir_medium **ret_medium);

/* Of all names and bytes as a reader sees them: equal for equal disks. */
uint64_t sim_memory_digest(struct weir_medium *medium);

/* Moves when what a power cut may leave has changed; stores count once they are noticed. */
uint64_t sim_memory_changes(struct weir_medium *medium);

/* Of all calls on the disk so far, their arguments and what they wrote: equal runs have equal ones.
 */
uint64_t sim_memory_trace(struct weir_medium *medium);

/*
 * Kills the process that opened this medium: its locks are gone, its calls return -EIO. What it had
 * written is still there for other media on the disk; what it had only put into windows that are no
 * file is lost. Its files and windows must still be closed, and the medium destroyed.
 */
void sim_memory_kill(struct weir_medium *medium);

/*
 * What is left when every process on this disk dies now: all that was written, or stored where the
 * window is the file, durable or not; what is under way arrives. On a disk of its own, as after
 * sim_memory_cut(); this one goes on.
 *
 * Returns 0 or -ENOMEM.
 */
int sim_memory_copy(struct weir_medium *medium, struct weir_medium **ret_medium);

/* Direct access for damage and inspection: the bytes of a file, or NULL. Valid until the file is
 * written beyond its end or removed. Changes made here are durable at once when `durable` is used.
 */
uint8_t *sim_memory_bytes(struct weir_medium *medium, const char *name, bool durable,
                          uint64_t *ret_size_bytes);

#ifdef __cplusplus
}
#endif
#endif
