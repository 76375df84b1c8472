/*
 * The clocked part of bench_append: one phase = appending at full speed or at a given rate, ended
 * by one commit inside the clock.
 */
#ifndef BENCH_APPEND_PHASE_H
#define BENCH_APPEND_PHASE_H

#include "base/histogram.h"
#include "bench/bench.h"
#include "bench/payload.h"

struct append_phase {
    const struct bench_append_options *options;
    const struct bench_payload *payload;
    struct weir_log *log;
    double seconds;   /* when records is 0 */
    uint64_t records; /* over all writers */
    double per_s;     /* > 0: open loop at this rate */
    bool memory;      /* a durable append takes less than a microsecond */

    /* What came out. */
    uint64_t done_records;
    uint64_t done_bytes;
    double took_s;
    struct base_histogram latency; /* nanoseconds; from the intended time when per_s > 0 */
};

/* Blocking threads, each with one append or batch at a time. Returns 0 or a negative error. */
int append_phase_writers(struct append_phase *phase);

/* One thread with options->outstanding records in flight. Returns 0 or a negative error. */
int append_phase_outstanding(struct append_phase *phase);

#endif
