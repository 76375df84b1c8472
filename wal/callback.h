/*
 * Threads inside a callback of a derived system: they may not append to the log that feeds it. The
 * public calls are in <weir/append.h>.
 */
#ifndef WAL_CALLBACK_H
#define WAL_CALLBACK_H

#include "wal/log.h"

bool callback_is_mine(const struct weir_log *log);

/* Is this thread inside a callback that this log feeds? */
static inline bool callback_is_inside(const struct weir_log *log)
{
    /* Only this thread's own mark matters, and that one it has seen itself. */
    return __builtin_expect(atomic_load_explicit(&log->callbacks, memory_order_relaxed) > 0, 0) &&
           callback_is_mine(log);
}

#endif
