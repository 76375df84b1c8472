/*
 * Power cuts, simulated: writers run in this process on a medium in memory, the power goes at one
 * of its calls, and any subset of what was not durable is taken away.
 *
 * Only what sim/memory.h promises is used. Times on it are the CPU's work, not a device's.
 */
#ifndef CLI_CRASH_POWER_H
#define CLI_CRASH_POWER_H

#include "cli/crash_moment.h"
#include "cli/crash_writers.h"

struct crash_power;

#define CRASH_POWER_CAPACITY ((uint64_t)512 << 20) /* of the simulated disk */
#define CRASH_POWER_SEGMENT ((uint64_t)4 << 20)    /* unless told: they are kept in memory twice */

/* @param shape    auto and direct: blocks of 4096 bytes, the window apart from the file; mapped:
 * the window is the file; pmem: the same, lines of 64 bytes
 * @param options  of the log; the medium is filled in
 * Returns 0 or a negative error. */
int crash_power_create(enum weir_medium_kind shape, const struct weir_log_options *options,
                       struct crash_power **ret_power);
void crash_power_destroy(struct crash_power *power); /* NULL is allowed */

const char *crash_power_medium(const struct crash_power *power); /* "simulated direct (memory)" */

/* Options that open the log on what the last cut has left; for struct crash_site. */
int crash_power_options(void *power, uint32_t flags, struct weir_log_options *ret_options);

/* Writes the files of the log, as the last recovery left them, to a directory that exists.
 * Returns 0 or -errno. */
int crash_power_save(struct crash_power *power, const char *directory);

/*
 * Opens the log, runs the writers up to the moment and cuts the power.
 * @param writers  log, acknowledged and context are filled in
 * @param ret_rolled  whether a file of the log was being made when the power went
 * Returns 0; -EINTR after a signal; or an error that the log had before the cut, with its detail.
 */
int crash_power_run(struct crash_power *power, const struct crash_writers *writers,
                    const struct crash_moment *moment, uint64_t seed, bool *ret_rolled,
                    struct weir_error *why);

#endif
