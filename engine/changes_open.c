/*
 * Opening and closing a stream of changes: where it begins.
 *
 * Happy path: the cursor goes to the record behind the position. Where compaction has left only a
 * state, the cursor refuses, and the stream begins with that state. A snapshot is always a state.
 *
 * Failure modes: RESUME where the cursor refuses is WEIR_E_POSITION_LOST, and ahead of the log
 * -EAGAIN; whatever the log or the engine says.
 *
 * Invariants: whether a position can be followed is the log's own answer, asked once, by opening
 * the cursor there; a stream counts as a user of the engine, which is not closed under it.
 */
#include "engine/changes.h"

#include <errno.h>

#include <weir/inspect.h>

static int open_cursor(struct weir_changes *changes, enum weir_cursor_from from, weir_lsn lsn)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = from;
    options.lsn = lsn;
    int rc = weir_cursor_open(changes->engine->log, &options, &changes->cursor);
    if (rc == 0 && weir_cursor_position(changes->cursor) <=
                       atomic_load_explicit(&changes->engine->gaps.horizon, memory_order_relaxed)) {
        weir_cursor_close(changes->cursor);
        changes->cursor = NULL;
        rc = WEIR_E_HORIZON; /* of the gaps, which the log's own knows nothing of */
    }
    if (rc == 0) {
        changes->position = weir_cursor_position(changes->cursor) - 1;
        changes->whole = from != WEIR_FROM_LSN || /* where the log begins or ends, a group does */
                         wal_address_ends_group(changes->engine->log, changes->position);
    }
    return rc;
}

/* Nothing but a state is left of what came behind `behind`. */
static int begin_at_horizon(struct weir_changes *changes, weir_lsn behind)
{
    changes->position = behind;
    return changes_begin_state(changes, version_learn_horizon(changes->engine));
}

static int begin_at_earliest(struct weir_changes *changes, weir_lsn behind)
{
    int rc = open_cursor(changes, WEIR_FROM_EARLIEST, WEIR_LSN_NONE);
    return rc == WEIR_E_HORIZON ? begin_at_horizon(changes, behind) : rc;
}

/* What the engine of a reader does not know yet may have been named in front of where the stream
 * begins. */
static int begin_now(struct weir_changes *changes)
{
    int rc = open_cursor(changes, WEIR_FROM_LATEST, WEIR_LSN_NONE);
    return rc == 0 ? weir_engine_refresh(changes->engine, NULL, NULL) : rc;
}

static int begin_behind(struct weir_changes *changes, weir_lsn lsn)
{
    int rc = open_cursor(changes, WEIR_FROM_LSN, lsn + 1);
    if (rc == WEIR_E_TRUNCATED) {
        return begin_at_earliest(changes, lsn);
    }
    return rc == WEIR_E_HORIZON ? begin_at_horizon(changes, lsn) : rc;
}

static int resume(struct weir_changes *changes, weir_lsn lsn)
{
    if (lsn > weir_durable_lsn(changes->engine->log)) {
        return -EAGAIN;
    }
    int rc = open_cursor(changes, WEIR_FROM_LSN, lsn + 1);
    return rc == WEIR_E_TRUNCATED || rc == WEIR_E_HORIZON ? WEIR_E_POSITION_LOST : rc;
}

static int begin(struct weir_changes *changes, const struct weir_changes_options *options)
{
    switch (options->from) {
    case WEIR_CHANGES_BEGINNING:
        return begin_at_earliest(changes, WEIR_LSN_NONE);
    case WEIR_CHANGES_NOW:
        return begin_now(changes);
    case WEIR_CHANGES_BEHIND:
        return begin_behind(changes, options->lsn);
    case WEIR_CHANGES_SNAPSHOT:
        return changes_begin_state(changes, WEIR_LSN_NONE);
    case WEIR_CHANGES_RESUME:
        return resume(changes, options->lsn);
    default:
        return -EINVAL;
    }
}

static bool options_are_valid(const struct weir_changes_options *options)
{
    return options->size == sizeof *options && options->lsn < UINT64_MAX &&
           (options->table_count == 0 || options->tables != NULL);
}

int weir_changes_open(struct weir_engine *engine, const struct weir_changes_options *options,
                      struct weir_changes **ret_changes)
{
    static const struct weir_changes_options defaults = WEIR_CHANGES_OPTIONS_INIT;
    options = options != NULL ? options : &defaults;
    if (engine == NULL || ret_changes == NULL || !options_are_valid(options)) {
        return -EINVAL;
    }
    int rc = weir_engine_refresh(engine, NULL, NULL);
    if (rc < 0) {
        return rc;
    }
    struct weir_changes *changes = base_alloc_zero(sizeof *changes);
    if (changes == NULL) {
        return -ENOMEM;
    }
    changes->engine = engine;
    changes->error = (struct weir_error)WEIR_ERROR_INIT;
    atomic_fetch_add_explicit(&engine->streams, 1, memory_order_relaxed);
    rc = changes_take_filters(changes, options);
    rc = rc == 0 ? begin(changes, options) : rc;
    if (rc < 0) {
        weir_changes_close(changes);
        return rc;
    }
    *ret_changes = changes;
    return 0;
}

void weir_changes_close(struct weir_changes *changes)
{
    if (changes == NULL) {
        return;
    }
    struct weir_engine *engine = changes->engine;
    changes_leave(changes);
    changes_end_state(changes);
    weir_cursor_close(changes->cursor);
    changes_free_tables(changes);
    base_free(changes);
    /* Release pairs with the acquire in weir_engine_close(): the stream is gone. */
    atomic_fetch_sub_explicit(&engine->streams, 1, memory_order_release);
}
