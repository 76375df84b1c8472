/* What waiting for memory costs here: the measure of a look-up, which is a chain of loads. */
#ifndef BENCH_KV_CHASE_H
#define BENCH_KV_CHASE_H

#include <stdint.h>

struct kv_chase {
    uint64_t bytes; /* that the loads were spread over: 0, it was not measured */
    double load_ns; /* of one that waits for the one before */
};

/* Measures over about as many bytes, CHASE_BYTES_MAX at most, in huge pages if there are any. Takes
 * that much memory while it lasts; bytes are 0 when there is none. */
#define CHASE_BYTES_MAX (UINT64_C(1) << 30)
struct kv_chase kv_chase_measure(uint64_t bytes);

#endif
