/* Looking at crash images: is each of them a log that keeps its promises?
 *
 * An image is looked at by a reader and by a writer, each with the production code on the simulated
 * disk. The reader must show all that was promised and change nothing; the writer must keep exactly
 * what the reader showed; and while the writer recovers and appends its first record, the power is
 * cut again at every call, `depth` times over. What a killed process leaves is looked at in the
 * same way, with one power cut at least: what was kept must have been flushed before it was
 * promised.
 *
 * Oracles (RELIABILITY.md): O1 acknowledged is there, O2 a prefix, O3 no phantom, O4 batches whole,
 * O5 recovery can be repeated, O6 no refusal, O9 nothing beyond durable, O10 no leak, O11 no
 * undefined byte, O12 a reader changes nothing.
 */
#ifndef TESTS_CRASH_EXPLORE_H
#define TESTS_CRASH_EXPLORE_H

#include "sim/memory.h"
#include "tests/crash/model.h"

#include <stdio.h>

struct explorer_counts {
    uint64_t points;         /* moments at which the power was cut */
    uint64_t states;         /* images there */
    uint64_t distinct;       /* of those, with other bytes or other promises than any before */
    uint64_t recoveries;     /* opens that read an image to its end */
    uint64_t false_refusals; /* of them refused: nothing here is damaged */
    uint64_t compacted;      /* steps of compaction that a workload made */
};

struct explorer {
    struct sim_memory_options shape; /* of every medium */
    struct weir_log_options log;     /* of every writer */
    unsigned subsets_of, random;     /* cut.h */
    unsigned depth;                  /* further power cuts while recovery runs */
    uint64_t seed;
    uint64_t deadline_ns; /* monotonic; 0: none */
    struct explorer_counts counts;

    uint64_t *seen; /* digests of images and promises; open addressing, 0 = free */
    uint64_t seen_count, seen_capacity;
    bool failed;
    char failure[700];
};

void explorer_begin(struct explorer *explorer);
void explorer_end(struct explorer *explorer);

/* The promises at a power cut, and where it came: for the report of a failure. */
struct explorer_moment {
    const struct model *model;
    bool may_be_absent; /* the log is being created */
    bool is_first;      /* no crash before this one: the process may be killed here as well */
    const char *call;
    const char *name;
};

/* Cuts the power now, in all ways, and looks at every image; and at what a killed process leaves.
 */
void explorer_cut(struct explorer *explorer, struct weir_medium *medium,
                  const struct explorer_moment *moment, unsigned depth);

/* Has what a power cut may leave changed since this was asked last? */
bool explorer_is_news(struct weir_medium *medium, uint64_t *looked_at);

/* Opens a writer or a reader on a disk, with a hook for its calls. */
int explorer_open(struct explorer *explorer, struct weir_medium *keeper, uint32_t flags,
                  const struct sim_memory_faults *faults, struct weir_log **ret_log,
                  struct weir_medium **ret_medium, struct weir_error *why);

/* Remembers a digest of an image and its promises: false when it was there. */
bool explorer_is_new(struct explorer *explorer, uint64_t key);

bool explorer_is_late(const struct explorer *explorer);

void explorer_fail(struct explorer *explorer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
