/*
 * Log-linear buckets. Values below 128 have a bucket each; above, the highest bit picks the power
 * of two and the next six bits the bucket in it, so a bucket is at most 1/64 of its value wide.
 *
 * Invariant: the sum of all buckets is count.
 */
#include "base/histogram.h"

#include "base/assert.h"

#include <string.h>

#define PRECISION BASE_HISTOGRAM_PRECISION
#define LINEAR_LIMIT (UINT64_C(2) << PRECISION)

static unsigned index_of(uint64_t value)
{
    if (value < LINEAR_LIMIT) {
        return (unsigned)value;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - PRECISION;
    return (shift << PRECISION) + (unsigned)(value >> shift);
}

/* The largest value that falls into a bucket. */
static uint64_t highest_of(unsigned index)
{
    if (index < LINEAR_LIMIT) {
        return index;
    }
    unsigned shift = (index >> PRECISION) - 1;
    uint64_t first = (uint64_t)(index - (shift << PRECISION)) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void base_histogram_reset(struct base_histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
    histogram->min = UINT64_MAX;
}

void base_histogram_record_n(struct base_histogram *histogram, uint64_t value, uint64_t count)
{
    if (count == 0) {
        return;
    }
    unsigned index = index_of(value);
    WEIR_ASSERT(index < BASE_HISTOGRAM_BUCKETS);
    histogram->buckets[index] += count;
    histogram->count += count;
    histogram->sum += (double)value * (double)count;
    if (value < histogram->min) {
        histogram->min = value;
    }
    if (value > histogram->max) {
        histogram->max = value;
    }
}

void base_histogram_record(struct base_histogram *histogram, uint64_t value)
{
    base_histogram_record_n(histogram, value, 1);
}

void base_histogram_merge(struct base_histogram *histogram, const struct base_histogram *other)
{
    for (unsigned index = 0; index < BASE_HISTOGRAM_BUCKETS; index++) {
        histogram->buckets[index] += other->buckets[index];
    }
    histogram->count += other->count;
    histogram->sum += other->sum;
    if (other->min < histogram->min) {
        histogram->min = other->min;
    }
    if (other->max > histogram->max) {
        histogram->max = other->max;
    }
}

/* How many of `count` values lie at or below the percentile: at least one. */
static uint64_t rank_of(uint64_t count, double percent)
{
    /* The last factor takes back rounding: 99.9 % of 1000 values are 999, not 1000. */
    double exact = (double)count * percent / 100.0 * (1.0 - 1e-12);
    if (!(exact > 1.0)) { /* also when percent is not a number */
        return 1;
    }
    if (percent >= 100.0) {
        return count;
    }
    uint64_t rank = (uint64_t)exact;
    return (double)rank < exact ? rank + 1 : rank;
}

uint64_t base_histogram_percentile(const struct base_histogram *histogram, double percent)
{
    if (histogram->count == 0) {
        return 0;
    }
    if (!(percent > 0.0)) {
        return histogram->min;
    }
    uint64_t rank = rank_of(histogram->count, percent);
    uint64_t seen = 0;
    for (unsigned index = 0; index < BASE_HISTOGRAM_BUCKETS; index++) {
        seen += histogram->buckets[index];
        if (seen >= rank) {
            uint64_t highest = highest_of(index);
            return highest < histogram->max ? highest : histogram->max;
        }
    }
    WEIR_UNREACHABLE();
}

uint64_t base_histogram_min(const struct base_histogram *histogram)
{
    return histogram->count != 0 ? histogram->min : 0;
}

uint64_t base_histogram_max(const struct base_histogram *histogram)
{
    return histogram->max;
}

double base_histogram_mean(const struct base_histogram *histogram)
{
    return histogram->count != 0 ? histogram->sum / (double)histogram->count : 0.0;
}

uint64_t base_histogram_count(const struct base_histogram *histogram)
{
    return histogram->count;
}
