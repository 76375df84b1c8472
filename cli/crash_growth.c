/*
 * How a number grows with the log, over the rounds of a crash run.
 */
#include "cli/crash.h"

#include <math.h>

#define GIB ((double)((uint64_t)1 << 30))
#define ERRORS_TO_TELL 2.0 /* of 20 runs without growth one shows more */

struct crash_growth crash_growth(const struct crash *crash, crash_value_fn value,
                                 const void *context)
{
    struct crash_growth growth = {(double)NAN, (double)NAN};
    double count = (double)crash->complete;
    double mean_x = 0.0, mean_y = 0.0, xx = 0.0, xy = 0.0, residue = 0.0;
    for (unsigned i = 0; i < crash->complete; i++) {
        mean_x += (double)crash->rounds[i].log_bytes / GIB / count;
        mean_y += value(&crash->rounds[i], context) / count;
    }
    for (unsigned i = 0; i < crash->complete; i++) {
        double x = (double)crash->rounds[i].log_bytes / GIB - mean_x;
        xx += x * x;
        xy += x * (value(&crash->rounds[i], context) - mean_y);
    }
    if (!(xx > 0.0)) {
        return growth;
    }
    growth.per_gib = xy / xx;
    for (unsigned i = 0; i < crash->complete; i++) {
        double x = (double)crash->rounds[i].log_bytes / GIB - mean_x;
        double off = value(&crash->rounds[i], context) - mean_y - growth.per_gib * x;
        residue += off * off;
    }
    if (crash->complete > 2) {
        growth.error = sqrt(residue / (count - 2.0) / xx);
    }
    return growth;
}

bool crash_growth_is_told(const struct crash_growth *growth)
{
    return fabs(growth->per_gib) > ERRORS_TO_TELL * growth->error;
}
