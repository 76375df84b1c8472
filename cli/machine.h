/*
 * What the kernel says about a directory's device and about this machine. What cannot be found out
 * is an empty string; nothing here fails.
 */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <stdbool.h>

struct machine_place {
    char file_system[32]; /* "ext4" */
    char source[128];     /* what is mounted: "/dev/vda1" */
    char mount_point[256];
    char mount_options[512]; /* those of the mount and those of the file system */
    char device[64];         /* "vda1": "" without a block device */
    char model[64];
    char write_cache[32]; /* "write back", "write through" */
    bool memory;          /* tmpfs and the like: nothing on it is durable */
};

struct machine {
    char kernel[96];
    char cpu[128];
    unsigned cpus;
    bool clflush, clflushopt, clwb; /* how persistent memory is flushed, best last */
    char io_uring[64];              /* what the sysctl allows */
};

/* @param path  should exist */
void machine_read_place(const char *path, struct machine_place *ret_place);
void machine_read(struct machine *ret_machine);

#endif
