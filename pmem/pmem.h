/* The medium on persistent memory: windows are DAX mappings, made durable by cache-line flushes.
 *
 *     struct pmem_options options = {.directory = "/mnt/pmem/orders.log"};
 *     rc = pmem_medium_open(&options, &medium, reason, sizeof reason);
 *
 * Only a mapping that the kernel grants MAP_SYNC for will do: without it a flush from user space
 * does not make a new block's place in the file durable. Emulation takes any file system instead
 * (best /dev/shm) and executes the same instructions on ordinary memory: for measurements, never
 * durable.
 *
 * The directory must exist. On failure `reason` holds one sentence; on success medium->info.reason
 * says what was found.
 */
#ifndef PMEM_PMEM_H
#define PMEM_PMEM_H

#include <weir/medium.h>

struct pmem_options {
    const char *directory;
    bool read_only;      /* as in iouring/iouring.h: files in directories below may be written */
    bool allow_emulated; /* not on DAX, or with the variables below set: go on, and say so */
};

/*
 * Looks once at the environment variables PMEM_NO_FLUSH and PMEM_IS_PMEM_FORCE, because libpmem
 * obeys them: either takes durability away.
 *
 * Returns 0, WEIR_E_MEDIUM (not a DAX mount), WEIR_E_EMULATED (one of the variables is set),
 * -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENOMEM, ...
 */
int pmem_medium_open(const struct pmem_options *options, struct weir_medium **ret_medium,
                     char *reason, size_t reason_size);

#endif
