/* Random work on an engine, in step with an oracle: what each call must answer is known before.
 *
 *     workload_begin(&workload, seed);
 *     workload.oracle.log = log, workload.oracle.engine = engine;
 *     while (workload_step(&workload)) ...;              false: workload.oracle.failure says why
 */
#ifndef TESTS_ENGINE_WORKLOAD_H
#define TESTS_ENGINE_WORKLOAD_H

#include "tests/engine/oracle.h"

#define WORKLOAD_SNAPSHOTS 3u
#define WORKLOAD_WRITES 8u
#define WORKLOAD_VALUE_BYTES 20000u

struct workload {
    struct oracle oracle;
    struct base_prng prng;
    struct weir_snapshot *snapshots[WORKLOAD_SNAPSHOTS];
    uint32_t hot;          /* keys that half of the writes go to: long histories; 0: none */
    bool compacts;         /* checkpoints and compaction, too */
    bool reads;            /* looks at random states between the writes */
    weir_lsn acknowledged; /* what a call has promised to be durable */
    const char *doing;
};

void workload_begin(struct workload *workload, uint64_t seed);
void workload_end(struct workload *workload);

bool workload_step(struct workload *workload);

/* The parts of a step. */
bool workload_write(struct workload *workload, uint32_t count, enum weir_durability durability);
bool workload_look(struct workload *workload); /* at a random state that can be seen */
bool workload_commit(struct workload *workload);

/* Before the engine is closed. */
void workload_close_snapshots(struct workload *workload);

#endif
