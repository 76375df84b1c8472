/* Small workloads: every sequence of a few operations, with the power cut at every call that the
 * last one makes. The calls before were the last ones of a shorter workload.
 */
#ifndef TESTS_CRASH_WORKLOAD_H
#define TESTS_CRASH_WORKLOAD_H

#include "tests/crash/explore.h"

#define WORKLOAD_OPS_MAX 8u

enum workload_op {
    OP_APPEND_0,
    OP_APPEND_1,
    OP_APPEND_55,
    OP_APPEND_4032,
    OP_APPEND_4096,
    OP_APPEND_9000,
    OP_FILL, /* a group full, and not waited for: what comes next closes and writes it */
    OP_BATCH,
    OP_COMMIT,
    OP_ROLL,     /* fills the segment, and appends into the next */
    OP_TRUNCATE, /* before the last durable record */
    OP_RECYCLE,  /* rolls, drops all segments behind, and rolls into one of those */
    OP_COMPACT,  /* rolls until a run can be compacted, and compacts it: fillers go */
    OP_HOLD,     /* at the last durable record: created, then moved */
    OP_DROP,     /* the hold, if there is one */
    OP_CLOSE,    /* and opens again */
    OP_REOPEN,   /* after kill -9 */
    OP_POWER,    /* a power cut that loses all it can, and opens again */
    OP_COUNT,
};

const char *workload_op_name(enum workload_op op);

struct workload {
    enum workload_op ops[WORKLOAD_OPS_MAX];
    unsigned count;
    enum weir_durability durability; /* of the appends */
};

/* "append-55 roll truncate" */
void workload_print(const struct workload *workload, char *text, size_t size);

/* Runs it on a new log, and explores the last operation; without operations, the creation of the
 * log. False: explorer->failure says what is wrong. */
bool workload_explore(struct explorer *explorer, const struct workload *workload);

#endif
