/*
 * Repair: what a writer does between judging a log and appending to it. Each step can be repeated
 * and interrupted; see recover.h for their order and docs/RECOVERY.md for why it is that order.
 */
#ifndef WAL_REPAIR_H
#define WAL_REPAIR_H

#include "wal/recover.h"

/*
 * Makes the tail that is kept durable: flushes the files that a killed writer may have left
 * unflushed. Changes no byte, so read-only opens do it too: what they show is then kept by the
 * next writer. Returns 0 or -errno.
 */
int repair_flush_tail(struct weir_medium *medium, const struct control *control,
                      const struct recovery *recovery, struct weir_error *why);

/*
 * Makes CONTROL and the names of the directory durable, as they were read. A writer that was killed
 * may have left a pair of CONTROL's copies unflushed, also with the clean mark in it: were the
 * other pair written now, power loss could tear both. Returns 0 or -errno.
 */
int repair_flush_control(struct weir_medium *medium, struct weir_error *why);

/*
 * Zeroes what was cut: everything behind the tail that is not zero, up to the run-ahead limit or to
 * where nothing was written, over the segment's end into the next file and its header; and restores
 * a lost copy of the open segment's header. Then flushes. The new epoch must be durable in CONTROL
 * before.
 * Returns 0 or -errno.
 */
int repair_zero_window(struct weir_medium *medium, const struct control *control,
                       const struct recovery *recovery, struct weir_error *why);

#endif
