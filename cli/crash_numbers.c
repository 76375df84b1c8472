/*
 * Sums and medians over the rounds of a crash run.
 */
#include "cli/crash.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

struct crash_sums crash_sum(const struct crash *crash)
{
    struct crash_sums sums = {0};
    for (unsigned i = 0; i < crash->complete; i++) {
        const struct crash_verdict *verdict = &crash->rounds[i].verdict;
        sums.acknowledged += verdict->acknowledged;
        sums.recovered = verdict->recovered; /* the log grows: the last round has all */
        sums.lost += verdict->lost;
        sums.wrong += verdict->wrong;
    }
    return sums;
}

bool crash_is_well(const struct crash *crash)
{
    struct crash_sums sums = crash_sum(crash);
    bool whole = true;
    for (unsigned i = 0; i < crash->complete; i++) {
        whole = whole && crash->rounds[i].verify.ok;
    }
    return sums.lost == 0 && sums.wrong == 0 && whole;
}

static int compare(const void *left, const void *right)
{
    const double *a = left;
    const double *b = right;
    return (*a > *b) - (*a < *b);
}

double crash_median(const struct crash *crash, crash_value_fn value, const void *context)
{
    unsigned count = crash->complete;
    double *values = count > 0 ? base_alloc_array(count, sizeof values[0]) : NULL;
    if (values == NULL) {
        return (double)NAN;
    }
    for (unsigned i = 0; i < count; i++) {
        values[i] = value(&crash->rounds[i], context);
    }
    qsort(values, count, sizeof values[0], compare);
    double median = (values[(count - 1) / 2] + values[count / 2]) / 2.0;
    base_free(values);
    return median;
}

/* ---- what a round has measured ---- */

static double ratio(double amount, double seconds)
{
    return seconds > 0.0 ? amount / seconds : 0.0;
}

double crash_phase_value(const struct crash_round *round, const void *phase)
{
    return crash_phase_seconds(phase, &round->report);
}

double crash_scan_records_per_s(const struct crash_round *round, const void *unused)
{
    (void)unused;
    return ratio((double)round->report.scanned_records, round->report.scan_s);
}

double crash_scan_bytes_per_s(const struct crash_round *round, const void *unused)
{
    (void)unused;
    return ratio((double)round->report.scanned_bytes, round->report.scan_s);
}

double crash_verify_seconds(const struct crash_round *round, const void *unused)
{
    (void)unused;
    return round->verify.seconds;
}

double crash_verify_bytes_per_s(const struct crash_round *round, const void *unused)
{
    (void)unused;
    return ratio((double)round->verify.scanned_bytes, round->verify.seconds);
}
