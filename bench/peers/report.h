/* What a contest has measured so far, and how it is shown. */
#ifndef BENCH_PEERS_REPORT_H
#define BENCH_PEERS_REPORT_H

#include "bench/environment.h"
#include "bench/peers/contest.h"

#define CONTEST_ROUNDS_MAX 101u

struct contest {
    unsigned groups;
    unsigned rounds; /* asked for */
    double seconds;
    unsigned done;                 /* rounds with at least one outcome */
    bool *chosen;                  /* by contestant */
    struct peer_outcome *outcomes; /* [contestant * CONTEST_ROUNDS_MAX + round] */
    bool *have;                    /* same index */
};

void contest_print(const struct contest *contest, const struct bench_environment *environment);
void contest_json(const struct contest *contest, const struct bench_environment *environment);

#endif
