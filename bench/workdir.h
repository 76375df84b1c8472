/*
 * A directory of our own inside the one that the user named, removed with all that is in it, and
 * the SIGINT flag that every loop looks at.
 */
#ifndef BENCH_WORKDIR_H
#define BENCH_WORKDIR_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct bench_workdir {
    char path[PATH_MAX];
};

/* Makes `directory` when absent, and in it weir-bench-PID-N. Returns 0 or -errno. */
int bench_workdir_create(struct bench_workdir *workdir, const char *directory);
void bench_workdir_remove(struct bench_workdir *workdir);

/* Reads every file below `path` once, so that the page cache holds it. Returns 0 or -errno. */
int bench_warm(const char *path);

/* Drops every file below `path` from the page cache; what the device caches stays. Of a log also
 * what a killed writer has left in /dev/shm: it is opened as after a restart of the machine. 0 or
 * -errno. */
int bench_cool(const char *path);

/* Bytes that are free on the file system of `path`; 0 when unknown. */
uint64_t bench_free_bytes(const char *path);

/* Set by SIGINT once bench_catch_interrupt() was called: loops end, the report is partial. */
bool bench_interrupted(void);
void bench_catch_interrupt(void);

#endif
