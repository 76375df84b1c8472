/*
 * The writers of a crash run: threads that append to one log, or put into its engine, as fast as it
 * lets them, and tell the referee which records are durable. They end when the log fails, when the
 * referee's table is full or when the power is cut.
 */
#ifndef CLI_CRASH_WRITERS_H
#define CLI_CRASH_WRITERS_H

#include "cli/crash_referee.h"

struct crash_writers {
    struct weir_log *log;
    struct crash_referee *referee;
    unsigned count;
    uint64_t seed; /* of the sizes of batches */
    enum weir_durability durability;
    bool engine;      /* they put into an engine over the log */
    bool checkpoints; /* and one of them makes checkpoints of it */
    /* Called behind each acknowledgement with the number of them in this round; any thread. */
    void (*acknowledged)(void *context, uint64_t count);
    void *context;
};

/* Returns when all of them have ended: 0, or the first error of the log. */
int crash_writers_run(const struct crash_writers *writers);

#endif
