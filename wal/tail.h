/*
 * Tail: cursors that wait at the end of the log.
 */
#ifndef WAL_TAIL_H
#define WAL_TAIL_H

struct weir_log;

/* After marks.durable moved, or when it never will again (poison): wakes the cursors that sleep and
 * signals the descriptors that are armed. Without either it costs an addition and two loads. */
void tail_notify(struct weir_log *log);

#endif
