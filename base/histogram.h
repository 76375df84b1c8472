/*
 * A latency histogram: log-linear buckets, 64 to each power of two, over all of uint64_t.
 *
 *     struct base_histogram latency;
 *     base_histogram_reset(&latency);
 *     base_histogram_record(&latency, end_ns - start_ns);
 *     printf("p99 %" PRIu64 " ns\n", base_histogram_percentile(&latency, 99.0));
 *
 * About 30 KiB, fixed. A reported value is never below the true one and at most 1/64 (1.6 %) above
 * it; min, max and count are exact. One thread records; merging the histograms of many threads
 * gives what one would have recorded.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#define BASE_HISTOGRAM_PRECISION 6 /* 2^6 buckets to each power of two */
#define BASE_HISTOGRAM_BUCKETS ((64 - BASE_HISTOGRAM_PRECISION + 1) << BASE_HISTOGRAM_PRECISION)

struct base_histogram {
    uint64_t count;
    uint64_t min; /* UINT64_MAX while empty */
    uint64_t max;
    double sum;
    uint64_t buckets[BASE_HISTOGRAM_BUCKETS];
};

void base_histogram_reset(struct base_histogram *histogram);
void base_histogram_record(struct base_histogram *histogram, uint64_t value);
void base_histogram_record_n(struct base_histogram *histogram, uint64_t value, uint64_t count);

/* Adds all that `other` holds. */
void base_histogram_merge(struct base_histogram *histogram, const struct base_histogram *other);

/*
 * The smallest value that at least `percent` of all recorded ones do not exceed.
 * @param percent  0 to 100; values outside count as the nearer end. Returns 0 while empty.
 */
uint64_t base_histogram_percentile(const struct base_histogram *histogram, double percent);

/* All 0 while empty. */
uint64_t base_histogram_min(const struct base_histogram *histogram);
uint64_t base_histogram_max(const struct base_histogram *histogram);
double base_histogram_mean(const struct base_histogram *histogram);
uint64_t base_histogram_count(const struct base_histogram *histogram);

#endif
