/*
 * The clocks, in nanoseconds. All go through base_system when it replaces them.
 *
 * realtime   since 1970, may jump: only for times that people read.
 * monotonic  never goes back, about 25 ns a call: for timeouts and measurements.
 * coarse     monotonic with the resolution of the timer tick (1 to 4 ms), about 5 ns a call.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define BASE_NS_PER_US UINT64_C(1000)
#define BASE_NS_PER_MS UINT64_C(1000000)
#define BASE_NS_PER_S UINT64_C(1000000000)

uint64_t base_clock_realtime_ns(void);
uint64_t base_clock_monotonic_ns(void);
uint64_t base_clock_coarse_ns(void);

#endif
