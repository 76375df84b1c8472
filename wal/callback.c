/*
 * The mark of a thread that is inside a callback of a derived system.
 *
 * Happy path: begin counts in the log, and notes the log with the thread; every append looks at the
 * count, and only where there is one at what the thread has noted.
 *
 * Failure modes: callbacks that are nested over too many logs (-EBUSY).
 *
 * Invariant: a log's count is the sum of what all threads have noted of it.
 */
#include "wal/callback.h"

#include "base/assert.h"

#include <errno.h>

#define NESTED_MAX 16u

static _Thread_local struct {
    const struct weir_log *log; /* NULL: free */
    uint32_t depth;
} marks[NESTED_MAX];
static _Thread_local uint32_t mark_end; /* behind the last mark in use */

/* The mark of a log, or of none (NULL). mark_end: there is none. */
static uint32_t find(const struct weir_log *log)
{
    uint32_t at = 0;
    while (at < mark_end && marks[at].log != log) {
        at++;
    }
    return at;
}

bool callback_is_mine(const struct weir_log *log)
{
    return find(log) < mark_end;
}

int weir_log_callback_begin(struct weir_log *log)
{
    if (log == NULL) {
        return -EINVAL;
    }
    uint32_t at = find(log);
    at = at < mark_end ? at : find(NULL);
    if (at == NESTED_MAX) {
        return -EBUSY;
    }
    mark_end = at < mark_end ? mark_end : at + 1;
    marks[at].log = log;
    marks[at].depth++;
    atomic_fetch_add_explicit(&log->callbacks, 1, memory_order_relaxed);
    return 0;
}

void weir_log_callback_end(struct weir_log *log)
{
    uint32_t at = log != NULL ? find(log) : mark_end;
    WEIR_ASSERT(at < mark_end && marks[at].depth > 0);
    if (--marks[at].depth == 0) {
        marks[at].log = NULL;
    }
    while (mark_end > 0 && marks[mark_end - 1].log == NULL) {
        mark_end--;
    }
    /* Release pairs with the acquire in weir_log_close(): the callback is over. */
    atomic_fetch_sub_explicit(&log->callbacks, 1, memory_order_release);
}
