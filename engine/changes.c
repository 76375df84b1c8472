/*
 * A stream of changes: next, wait, and where it stands.
 *
 * Happy path of next(): give back what the last call lent, lend from the state as long as there is
 * one, then from the log. What is lent lies in a read section that stays open until the next call;
 * who gets nothing holds nothing.
 *
 * Failure modes: compaction or truncation has overtaken the stream (WEIR_E_POSITION_LOST, from then
 * on in each call); a record, or the version before it, cannot be read: what lies in front of it is
 * lent first, then each call says so with its LSN, and a stream opened behind it goes on.
 *
 * Invariant: the position moves over everything that was lent or that no filter lets through, and
 * over nothing else.
 */
#include "engine/changes.h"

#include "base/event_fd.h"

#include <errno.h>

int changes_enter(struct weir_changes *changes, const struct weir_read_options *view)
{
    int rc = weir_read_begin(changes->engine, view, &changes->read);
    changes->reading = rc == 0;
    return rc;
}

void changes_leave(struct weir_changes *changes)
{
    if (changes->reading) {
        weir_read_end(&changes->read);
        changes->reading = false;
    }
}

/* ---- errors ---- */

int changes_lost(struct weir_changes *changes, weir_lsn to)
{
    weir_lsn from = changes->position + 1;
    struct weir_error *error = &changes->error;
    int rc = engine_error(error, WEIR_E_POSITION_LOST,
                          "the stream's position is %llu, and what came behind it was compacted or "
                          "truncated up to LSN %llu",
                          (unsigned long long)changes->position, (unsigned long long)to);
    error->from_lsn = from;
    error->to_lsn = to > from ? to : from;
    return rc;
}

int changes_fail_at(struct weir_changes *changes, int rc, weir_lsn lsn, const char *what)
{
    struct weir_error *error = &changes->error;
    engine_error(error, rc, "LSN %llu: %s: %s", (unsigned long long)lsn, what, weir_error_text(rc));
    error->from_lsn = error->to_lsn = lsn;
    return rc;
}

int weir_changes_error(const struct weir_changes *changes, struct weir_error *ret_error)
{
    if (changes == NULL || ret_error == NULL || ret_error->size < sizeof *ret_error) {
        return -EINVAL;
    }
    size_t size = ret_error->size;
    *ret_error = changes->error;
    ret_error->size = size;
    return 0;
}

/* ---- next ---- */

int weir_changes_next(struct weir_changes *changes, struct weir_event *ret_events, int max)
{
    if (changes == NULL || ret_events == NULL || max < 1) {
        return -EINVAL;
    }
    int rc = engine_check(changes->engine);
    if (rc < 0) {
        return rc;
    }
    changes_leave(changes);
    if (changes->state.lending) {
        rc = changes_next_of_state(changes, ret_events, max);
    }
    if (rc == 0 && !changes->state.lending) {
        rc = changes_next_of_stream(changes, ret_events, max);
    }
    if (rc <= 0) {
        changes_leave(changes);
    }
    return rc;
}

static bool has_some(const struct weir_changes *changes)
{
    return changes->state.lending || changes->next < changes->count;
}

int weir_changes_wait(struct weir_changes *changes, int64_t timeout_ns)
{
    if (changes == NULL) {
        return -EINVAL;
    }
    int rc = engine_check(changes->engine);
    if (rc < 0) {
        return rc;
    }
    changes_leave(changes);
    if (has_some(changes)) {
        return 1;
    }
    rc = weir_cursor_wait(changes->cursor, timeout_ns);
    return rc < 0 ? changes_explain(changes, rc) : rc;
}

int weir_changes_eventfd(struct weir_changes *changes, int *ret_fd)
{
    if (changes == NULL || ret_fd == NULL) {
        return -EINVAL;
    }
    int fd;
    int rc = weir_cursor_eventfd(changes->cursor, &fd);
    if (rc < 0) {
        return rc;
    }
    if (has_some(changes)) {
        base_event_fd_signal(fd); /* the cursor knows nothing of it */
    }
    *ret_fd = fd;
    return 0;
}

/* ---- where it stands ---- */

weir_lsn weir_changes_position(const struct weir_changes *changes)
{
    return changes->position;
}

bool weir_changes_is_whole(const struct weir_changes *changes)
{
    return !changes->state.lending && changes->whole;
}

weir_lsn weir_changes_state_lsn(const struct weir_changes *changes)
{
    return changes->state.lsn;
}
