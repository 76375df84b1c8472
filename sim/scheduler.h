/* A deterministic scheduler: threads of the production code run one at a time, and a seed decides
 * who runs next, what time it is, which waiter is woken, and what random bytes there are.
 *
 *     struct sim_schedule schedule = {.seed = 42};
 *     sim_scheduler_run(&schedule, test_body, context);      starts threads, waits, joins
 *     assert(schedule.trace == trace_of_an_earlier_run);
 *
 * It stands behind base's table (base/system.h): wait, wake, yield, the clocks, randomness and the
 * starting of threads. Each of them, and each call of a simulated medium, is a place where another
 * thread may go on. Time is made up: it moves a little with every call, and to the next deadline
 * when all threads wait.
 *
 * A run in which all threads wait for ever, or that goes on for steps_max, prints the seed and who
 * waits for what, and aborts: it is a hang.
 *
 * Process-wide: one run at a time; threads that base_thread_start() did not start are not part of
 * it and must not call into the library meanwhile.
 */
#ifndef SIM_SCHEDULER_H
#define SIM_SCHEDULER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sim_schedule {
    uint64_t seed;
    uint32_t stay; /* of 16 places to switch, at how many the thread stays; 0 = 12, at most 15 */
    uint64_t steps_max; /* places passed; 0 = 50 million */

    /* Out. */
    uint64_t trace; /* of all decisions: equal runs have equal ones */
    uint64_t steps;
    uint64_t switches;
    uint64_t elapsed_ns; /* of made-up time */
};

/* Runs body as the first thread. All threads it starts are joined when it returns. */
void sim_scheduler_run(struct sim_schedule *schedule, void (*body)(void *context), void *context);

/* A place where the scheduler may switch. Nothing outside a run. */
void sim_scheduler_point(void);

/* One bit that stands for the calling thread, of those that run now. */
uint64_t sim_thread_bit(void);

#ifdef __cplusplus
}
#endif

#endif
