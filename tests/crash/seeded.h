/* Long runs from a seed: several writers, tailers, truncation and recycling, scheduled one at a
 * time; the power cut at random calls, also while recovery runs; calls that fail, disks that fill
 * up, and devices that lie.
 *
 *     struct seeded_limits limits = SEEDED_LIMITS;
 *     struct seeded_result result = seeded_run(42, &limits);
 *
 * One seed is one run: equal seeds and limits have equal traces.
 */
#ifndef TESTS_CRASH_SEEDED_H
#define TESTS_CRASH_SEEDED_H

#include <stdbool.h>
#include <stdint.h>

/* What a run may not exceed: a failing one is shrunk by lowering these. */
struct seeded_limits {
    unsigned writers; /* of the log, one after the other */
    unsigned threads; /* that append */
    unsigned tailers;
    unsigned ops;       /* of each thread */
    unsigned payload;   /* bytes */
    unsigned truncates; /* 0: nothing is truncated */
    unsigned cuts;      /* of the power, for each writer */
    unsigned troubles;  /* 0: no call fails and no device lies */
    unsigned compacts;  /* 0: nothing is compacted */
};

#define SEEDED_LIMITS ((struct seeded_limits){3, 4, 1, 160, 15000, 1, 4, 1, 1})

struct seeded_result {
    bool failed;
    char failure[600];
    uint64_t trace; /* of every call and every decision */
    uint64_t calls; /* of media, by writers */
    uint64_t images, recoveries, failures_injected, lies_told, refusals;
    uint64_t switches;
    uint64_t compactions; /* that had something to do */
};

/* Prints nothing. Aborts where an assertion of the code under test fails, and on a hang. */
struct seeded_result seeded_run(uint64_t seed, const struct seeded_limits *limits);

/* The smallest limits that still fail, each tried in a process of its own. */
struct seeded_limits seeded_shrink(uint64_t seed);

/* "writers=1 threads=2 ..." and back; false: not understood. */
void seeded_print(const struct seeded_limits *limits, char *text, unsigned size);
bool seeded_parse(const char *text, struct seeded_limits *ret_limits);

#endif
