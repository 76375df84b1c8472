/* Small workloads of the engine: every sequence of a few operations, with the power cut at every
 * call that the last one makes.
 */
#ifndef TESTS_CRASH_ENGINE_WORKLOAD_H
#define TESTS_CRASH_ENGINE_WORKLOAD_H

#include "tests/crash/engine_judge.h"

#define ENGINE_OPS_MAX 6u

enum engine_op {
    ENGINE_PUT,    /* of key 0 */
    ENGINE_PUT_B,  /* of key 1, a value of several blocks */
    ENGINE_DELETE, /* of key 0, if it is there */
    ENGINE_BATCH,  /* keys 0, 1 and 0 again */
    ENGINE_SWAP,   /* a batch: deletes what is there, puts what is not */
    ENGINE_APPEND, /* a record of the application */
    ENGINE_TABLE,  /* makes one, and puts into it */
    ENGINE_COMMIT,
    ENGINE_ROLL, /* fills segments with versions of key 2 */
    ENGINE_CHECKPOINT,
    ENGINE_COMPACT,
    ENGINE_CLOSE,  /* and opens again */
    ENGINE_REOPEN, /* after kill -9 */
    ENGINE_POWER,  /* a power cut that loses all it can, and opens again */
    ENGINE_OP_COUNT,
};

struct engine_workload {
    enum engine_op ops[ENGINE_OPS_MAX];
    unsigned count;
    enum weir_durability durability; /* of the writes */
};

void engine_workload_print(const struct engine_workload *workload, char *text, size_t size);

/* Runs it on a new log, and explores the last operation; without operations, the creation. False:
 * explorer->failure says what is wrong. */
bool engine_workload_explore(struct explorer *explorer, const struct engine_workload *workload);

#endif
