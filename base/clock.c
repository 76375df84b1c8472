/* The clocks: read through the vDSO, or from the table in base_system. */
#include "base/clock.h"

#include "base/assert.h"
#include "base/system.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    int result = clock_gettime(id, &now);
    WEIR_ASSERT(result == 0); /* these three clocks exist on every Linux */
    return (uint64_t)now.tv_sec * BASE_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t base_clock_realtime_ns(void)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(realtime);
    return system != NULL ? system->realtime(system->context) : read_clock(CLOCK_REALTIME);
}

uint64_t base_clock_monotonic_ns(void)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(monotonic);
    return system != NULL ? system->monotonic(system->context) : read_clock(CLOCK_MONOTONIC);
}

uint64_t base_clock_coarse_ns(void)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(coarse);
    return system != NULL ? system->coarse(system->context) : read_clock(CLOCK_MONOTONIC_COARSE);
}
