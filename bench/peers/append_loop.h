/* The clocked part of an append job: threads that hand records to a peer. */
#ifndef BENCH_PEERS_APPEND_LOOP_H
#define BENCH_PEERS_APPEND_LOOP_H

#include "base/histogram.h"
#include "bench/peers/job.h"

struct append_run {
    uint64_t records;
    uint64_t bytes;
    double seconds;                /* from the common start to the end of the last sync */
    struct base_histogram latency; /* of durable appends, nanoseconds; empty without */
};

/* Returns 0 or a negative number; a system that has no room left ends the run without failure. */
int append_loop(const struct peer_ops *ops, void *peer, const struct bench_payload *payload,
                const struct peer_job *job, struct append_run *ret_run);

#endif
