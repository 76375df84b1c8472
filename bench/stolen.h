/*
 * Stolen time: what the host of a virtual machine gave to others while this one wanted to run.
 * It is what spoils a measurement on a shared machine, and the kernel counts it: /proc/stat, the
 * eighth number (proc(5)), in ticks of a hundredth of a second, of all CPUs together.
 *
 *     struct bench_stolen before;
 *     bench_stolen_begin(&before);
 *     ...
 *     share = bench_stolen_share(&before);    // of what all CPUs wanted meanwhile
 *
 * A host that does not tell its guests, and a machine of one's own, have 0. What else a host takes,
 * caches and the speed of its memory, nobody counts.
 */
#ifndef BENCH_STOLEN_H
#define BENCH_STOLEN_H

#include <stdbool.h>
#include <stdint.h>

struct bench_stolen {
    bool known;
    uint64_t busy, stolen; /* ticks since the machine started */
};

void bench_stolen_begin(struct bench_stolen *ret_before);

/* 0 to 1; NaN: the kernel does not say. No tick in between: 0. */
double bench_stolen_share(const struct bench_stolen *before);

/* The same since the first call: the first thing that a program does. */
void bench_stolen_begin_run(void);
double bench_stolen_share_of_run(void);

#endif
