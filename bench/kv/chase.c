/*
 * A chase: each load gives the address of the next one, so that none begins before the last has
 * come. The lines are visited in the order of a linear congruence of full period (its increment is
 * odd, its multiplier 1 modulo 4), whose steps no prefetcher guesses; unlike a shuffled order it is
 * written in one pass from end to end.
 */
#include "bench/kv/chase.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sync.h"

#define LOADS 1000000u
#define MULTIPLIER UINT64_C(0x5851f42d4c957f2d)
#define INCREMENT UINT64_C(0x14057b7ef767814f)

struct line {
    uint64_t next;
    uint8_t rest[BASE_CACHE_LINE - sizeof(uint64_t)];
};

static uint64_t walk(const struct line *lines, uint64_t at, unsigned loads)
{
    for (unsigned load = 0; load < loads; load++) {
        at = lines[at].next;
    }
    return at;
}

struct kv_chase kv_chase_measure(uint64_t bytes)
{
    struct kv_chase chase = {.bytes = base_page_size()};
    while (chase.bytes < bytes && chase.bytes < CHASE_BYTES_MAX) {
        chase.bytes *= 2;
    }
    struct line *lines = base_pages_alloc(chase.bytes, BASE_PAGES_HUGE);
    if (lines == NULL) {
        return (struct kv_chase){0};
    }
    uint64_t mask = chase.bytes / sizeof *lines - 1;
    for (uint64_t at = 0; at <= mask; at++) {
        lines[at].next = (at * MULTIPLIER + INCREMENT) & mask;
    }
    uint64_t at = walk(lines, 0, LOADS / 4); /* what the TLB and the caches keep of it */
    uint64_t start_ns = base_clock_monotonic_ns();
    at = walk(lines, at, LOADS);
    chase.load_ns = (double)(base_clock_monotonic_ns() - start_ns) / LOADS;
    if (at > mask) { /* never: but the loads count for something */
        chase.load_ns = 0.0;
    }
    base_pages_free(lines, chase.bytes);
    return chase;
}
