/*
 * The raw loops: what this disk does when nothing is in the way. Every ratio that we publish stands
 * on one of them, so they are written to win: prewritten file, aligned buffers, O_DIRECT, one
 * system call for each operation.
 *
 * Threads: each call is for one thread; raw_leader() starts its own.
 */
#ifndef BENCH_RAW_DEVICE_H
#define BENCH_RAW_DEVICE_H

#include "base/histogram.h"
#include "bench/payload.h"

#include <limits.h>

#define RAW_BLOCK 4096u
#define RAW_DEPTH_MAX 16u

/* A file whose every byte was written with O_DIRECT before anything is measured. */
struct raw_file {
    int fd; /* O_DIRECT */
    uint64_t size_bytes;
    char path[PATH_MAX];
};

struct raw_result {
    uint64_t operations; /* writes, reads, flushes; records where the load has records */
    uint64_t bytes;      /* what crossed to the device */
    double seconds;
    struct base_histogram latency; /* of one operation, nanoseconds */
};

/* What the ring keeps in flight. */
struct raw_load {
    unsigned depth;                      /* writes in flight, 1 to RAW_DEPTH_MAX */
    size_t chunk_bytes;                  /* of each, multiple of RAW_BLOCK */
    const struct bench_payload *payload; /* NULL, or records that are copied into each write */
    unsigned records;                    /* how many a write carries */
};

/* Returns 0 or -errno (-EINVAL where the file system has no O_DIRECT). size: multiple of 1 MiB. */
int raw_file_create(struct raw_file *file, const char *directory, uint64_t size_bytes);
void raw_file_destroy(struct raw_file *file);

/* All loops go over the file again and again for `seconds`, once at least; each returns 0 or
 * -errno. */

/* One 4 KiB pwritev2(RWF_DSYNC) after the other. */
int raw_overwrite(struct raw_file *file, double seconds, struct raw_result *ret_result);

/* io_uring writes with RWF_DSYNC, `depth` of them in flight. */
int raw_overwrite_ring(struct raw_file *file, const struct raw_load *load, double seconds,
                       struct raw_result *ret_result);

/* One dirty line in the next 4 KiB of a shared mapping, then fdatasync through io_uring. */
int raw_mapped_flush(struct raw_file *file, double seconds, struct raw_result *ret_result);

/* 1 MiB writes, 4 in flight, not synchronous; one fdatasync inside the clock ends it.
 * @param bytes  how much, when > 0, instead of `seconds` */
int raw_write_sequential(struct raw_file *file, double seconds, uint64_t bytes,
                         struct raw_result *ret_result);

/* 1 MiB reads, 4 in flight. */
int raw_read_sequential(struct raw_file *file, double seconds, struct raw_result *ret_result);

/* Reads the file once, from any descriptor; its size is a multiple of load->chunk_bytes. */
int raw_read_once(struct raw_file *file, const struct raw_load *load,
                  struct raw_result *ret_result);

/* n threads, each waiting for its own record of the payload; whoever comes first writes for all who
 * came meanwhile, and wakes them one by one. operations counts records. */
int raw_leader(struct raw_file *file, const struct bench_payload *payload, unsigned writers,
               double seconds, struct raw_result *ret_result);

#endif
