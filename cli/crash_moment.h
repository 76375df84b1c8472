/*
 * When a round of a crash run ends: drawn from the seed and the number of the round, so that the
 * same seed makes the same choices whatever the machine does meanwhile.
 */
#ifndef CLI_CRASH_MOMENT_H
#define CLI_CRASH_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

struct crash_moment {
    uint64_t acknowledged; /* after this many of the round's records, or, when it is 0, */
    uint64_t time_ns;      /* this long behind the round's first one; */
    bool roll;             /* then when the next file of the log is made, */
    uint64_t delay_ns;     /* then this much later: of a killed process, */
    uint64_t calls;        /* or this many calls of the simulated medium later. */
    double keep;           /* chance of each piece that was not durable to survive the power cut */
};

/* How long to go on for a file of the log to be made; after that it ends all the same. */
#define CRASH_ROLL_WAIT_NS UINT64_C(2000000000)
#define CRASH_ROLL_WAIT_CALLS 20000u

/* @param records  how many a round may acknowledge before its moment; 0: it ends by time */
struct crash_moment crash_moment_draw(uint64_t seed, unsigned round, uint64_t records);

#endif
