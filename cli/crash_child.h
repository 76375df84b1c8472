/*
 * A process whose writers append until it is killed with SIGKILL.
 */
#ifndef CLI_CRASH_CHILD_H
#define CLI_CRASH_CHILD_H

#include "cli/crash_moment.h"
#include "cli/crash_writers.h"

struct crash_child {
    const char *path; /* of the log */
    const struct weir_log_options *options;
    struct crash_writers writers; /* log, acknowledged and context are filled in */
    struct crash_moment moment;
};

/*
 * Forks, lets the child append up to the moment, and kills it.
 * @param ret_rolled  whether a file of the log was made right before the kill
 * Returns 0; -EINTR after a signal to this program (the child is dead then, too); -ETIMEDOUT when
 *   nothing was acknowledged for a minute; -ECHILD when the child ended by itself; or the error
 *   that its log had, with the detail in `why`.
 */
int crash_child_run(const struct crash_child *child, bool *ret_rolled, struct weir_error *why);

#endif
