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

/* The mark of a log; a free one for NULL. NESTED_MAX: none. */
static uint32_t find(const struct weir_log *log)
{
    uint32_t at = 0;
    while (at < NESTED_MAX && marks[at].log != log) {
        at++;
    }
    return at;
}

bool callback_is_mine(const struct weir_log *log)
{
    return find(log) < NESTED_MAX;
}

int weir_log_callback_begin(struct weir_log *log)
{
    if (log == NULL) {
        return -EINVAL;
    }
    uint32_t at = find(log);
    at = at < NESTED_MAX ? at : find(NULL);
    if (at == NESTED_MAX) {
        return -EBUSY;
    }
    marks[at].log = log;
    marks[at].depth++;
    atomic_fetch_add_explicit(&log->callbacks, 1, memory_order_relaxed);
    return 0;
}

void weir_log_callback_end(struct weir_log *log)
{
    uint32_t at = log != NULL ? find(log) : NESTED_MAX;
    WEIR_ASSERT(at < NESTED_MAX && marks[at].depth > 0);
    if (--marks[at].depth == 0) {
        marks[at].log = NULL;
    }
    /* Release pairs with the acquire in weir_log_close(): the callback is over. */
    atomic_fetch_sub_explicit(&log->callbacks, 1, memory_order_release);
}
