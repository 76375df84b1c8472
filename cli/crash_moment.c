/*
 * Drawing moments. Every round draws the same number of values, so that one choice does not shift
 * the others.
 */
#include "cli/crash_moment.h"

#include "base/clock.h"
#include "base/random.h"

#define TIME_MIN_NS (300 * BASE_NS_PER_MS)
#define TIME_SPREAD_NS (400 * BASE_NS_PER_MS)
#define DELAY_MAX_NS (2 * BASE_NS_PER_MS)
#define ROLL_DELAY_MAX_NS (BASE_NS_PER_MS / 2)
#define CALLS_MAX 64u

struct crash_moment crash_moment_draw(uint64_t seed, unsigned round, uint64_t records)
{
    static const double keeps[] = {0.0, 0.1, 0.5, 0.9, 1.0};
    struct base_prng prng;
    struct crash_moment moment = {0};
    base_prng_seed(&prng, seed);
    base_prng_seed(&prng, base_prng_next(&prng) + round);
    /* The second half of what is allowed: the log grows by as much in each round, or nearly so. */
    uint64_t half = records / 2;
    uint64_t count = base_prng_below(&prng, records - half > 0 ? records - half : 1);
    moment.acknowledged = records > 0 ? half + 1 + count : 0;
    moment.time_ns = TIME_MIN_NS + base_prng_below(&prng, TIME_SPREAD_NS);
    moment.roll = base_prng_below(&prng, 3) == 0;
    uint64_t delay_max = moment.roll ? ROLL_DELAY_MAX_NS : DELAY_MAX_NS;
    moment.delay_ns = base_prng_below(&prng, delay_max);
    moment.calls = base_prng_below(&prng, CALLS_MAX);
    moment.keep = keeps[base_prng_below(&prng, sizeof keeps / sizeof keeps[0])];
    return moment;
}
