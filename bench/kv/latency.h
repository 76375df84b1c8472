/* Percentiles of a histogram, as outcomes have them. */
#ifndef BENCH_KV_LATENCY_H
#define BENCH_KV_LATENCY_H

#include "base/histogram.h"

/* @param ret_us  p50, p99, p99.9 in microseconds */
void kv_take_latency(const struct base_histogram *latency, uint64_t *ret_count, double ret_us[3]);

#endif
