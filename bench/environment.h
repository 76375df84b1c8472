/*
 * Where a number was measured: device, file system, write cache, kernel, CPU, build, and how much
 * of the CPUs others had. Printed with every result, because without them it says nothing.
 */
#ifndef BENCH_ENVIRONMENT_H
#define BENCH_ENVIRONMENT_H

#include "bench/json.h"

#include <stdbool.h>

struct bench_environment {
    char device[96];      /* "vda", "nvme0n1 (model)", "memory" */
    char file_system[32]; /* "ext4" */
    char write_cache[32]; /* "write back", "write through", "none (memory)", "unknown" */
    char kernel[96];
    char cpu[128];
    unsigned cpus;
    char build[64];  /* "RelWithDebInfo" */
    bool measurable; /* false: a debug, sanitizer or coverage build */
    bool memory;     /* tmpfs: nothing on it is durable */
    double stolen;   /* by the host since the program began, a share: see bench/stolen.h */
};

/* @param directory  must exist. What cannot be found out is "unknown"; it does not fail. */
void bench_environment_read(struct bench_environment *environment, const char *directory);

/* Whether this build may be measured: prints why not, unless forced. */
bool bench_build_is_fit(bool forced);

void bench_environment_print(const struct bench_environment *environment);

/* Adds the members device, file_system, write_cache, kernel, cpu, cpus, build, stolen_share_of_run.
 */
void bench_environment_json(const struct bench_environment *environment, struct bench_json *json);

#endif
