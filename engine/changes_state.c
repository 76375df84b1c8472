/*
 * The state that a stream of changes begins with.
 *
 * Happy path: a snapshot holds the horizon at P while the cursor is opened behind it and the rows
 * are lent, in order of table and key, by a scan as of P. Each call opens a section and a scan of
 * its own, from the last key on: a slow taker holds no more than one call's rows back, and a
 * reader's engine may be built anew between two. Behind the last row the position is P.
 *
 * Failure modes: beside a writer that compacts, the snapshot of a reader keeps nothing: the engine
 * is brought up to date and the rows go on, with the next key, as long as P can be read; when it
 * cannot, WEIR_E_POSITION_LOST. A row that cannot be read: those in front of it are lent first.
 *
 * Invariants: no row is lent twice, since they come from beyond the last key, in a state that does
 * not change; the cursor is behind P before the first row is lent.
 */
#include "engine/changes.h"

#include <errno.h>
#include <string.h>

#include <weir/inspect.h>

#define BEGINS_MAX 16u
#define ROWS 64

/* ---- beginning and end ---- */

static int open_behind(struct weir_changes *changes, weir_lsn lsn)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = lsn + 1;
    return weir_cursor_open(changes->engine->log, &options, &changes->cursor);
}

/* 0; -EAGAIN (this moment has passed, look again); errors. */
static int try_to_begin(struct weir_changes *changes, weir_lsn lsn)
{
    struct weir_engine *engine = changes->engine;
    struct changes_state *state = &changes->state;
    int rc = weir_snapshot_open(engine, lsn, &state->snapshot);
    if (rc < 0) {
        return rc == WEIR_E_HORIZON ? -EAGAIN : rc;
    }
    state->lsn = weir_snapshot_lsn(state->snapshot);
    rc = open_behind(changes, state->lsn);
    if (rc < 0) {
        weir_snapshot_close(state->snapshot);
        state->snapshot = NULL;
        return rc == WEIR_E_HORIZON || rc == WEIR_E_TRUNCATED ? -EAGAIN : rc;
    }
    /* What is applied ends with an atomic write; a horizon may lie anywhere. */
    state->whole = lsn == WEIR_LSN_NONE || wal_address_ends_group(engine->log, state->lsn);
    state->lending = true;
    return 0;
}

int changes_begin_state(struct weir_changes *changes, weir_lsn lsn)
{
    changes->state.key = base_alloc(WEIR_KEY_BYTES_MAX);
    if (changes->state.key == NULL) {
        return -ENOMEM;
    }
    int rc = try_to_begin(changes, lsn);
    for (unsigned turn = 1; rc == -EAGAIN && turn < BEGINS_MAX; turn++) {
        rc = weir_engine_refresh(changes->engine, NULL, NULL);
        weir_lsn horizon = version_learn_horizon(changes->engine);
        rc = rc == 0 ? try_to_begin(changes, lsn != WEIR_LSN_NONE ? horizon : lsn) : rc;
    }
    return rc;
}

void changes_end_state(struct weir_changes *changes)
{
    struct changes_state *state = &changes->state;
    weir_snapshot_close(state->snapshot);
    base_free(state->key);
    state->snapshot = NULL;
    state->key = NULL;
    state->lending = false;
}

static void finish(struct weir_changes *changes)
{
    changes_end_state(changes);
    changes->position = changes->state.lsn;
    changes->whole = changes->state.whole;
}

/* ---- rows ---- */

static int make_event(struct weir_changes *changes, const struct weir_row *row,
                      struct weir_event *ret_event)
{
    uint64_t address, time_ns;
    int rc = wal_address_find(changes->engine->log, row->lsn, &address, &time_ns);
    if (rc < 0) {
        return rc == -ENOENT ? WEIR_E_TRUNCATED : rc;
    }
    *ret_event = (struct weir_event){
        .lsn = row->lsn,
        .time_ns = time_ns,
        .table = changes->state.table,
        .operation = WEIR_INSERT,
        .state = true,
        .key = row->key,
        .after = row->value,
    };
    return 0;
}

static bool is_last_key(const struct changes_state *state, struct weir_bytes key)
{
    return key.size == state->key_size && memcmp(key.data, state->key, key.size) == 0;
}

static int make_events(struct weir_changes *changes, struct weir_scan *scan,
                       struct weir_event *events, int max, int *ret_count)
{
    struct weir_row rows[ROWS];
    int count = 0, rc = 1;
    while (rc > 0 && count < max) {
        int room = max - count + 1; /* the last key comes once more */
        rc = weir_scan_next_batch(scan, rows, room < ROWS ? room : ROWS);
        int taken = rc, failed = 0;
        for (int i = 0; i < taken && failed == 0 && count < max; i++) {
            if (!is_last_key(&changes->state, rows[i].key)) {
                failed = make_event(changes, &rows[i], &events[count]);
                count += failed == 0 ? 1 : 0;
            }
        }
        rc = failed < 0 ? failed : rc;
    }
    *ret_count = count;
    return rc < 0 ? rc : 0;
}

/* The rows of the table from the last key on. Whatever it returns, *ret_count of them are there. */
static int lend_table(struct weir_changes *changes, struct weir_event *events, int max,
                      int *ret_count)
{
    struct changes_state *state = &changes->state;
    struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
    struct weir_scan *scan;
    options.table = state->table;
    options.from = (struct weir_bytes){state->key, state->key_size};
    *ret_count = 0;
    if (!changes_has_table(changes, state->table) ||
        table_of(changes->engine, state->table) == NULL) {
        return 0;
    }
    int rc = weir_scan_open(&changes->read, &options, &scan);
    if (rc == 0) {
        rc = make_events(changes, scan, events, max, ret_count);
        weir_scan_close(scan);
    }
    return rc;
}

static void remember_key(struct changes_state *state, struct weir_bytes key)
{
    memcpy(state->key, key.data, key.size);
    state->key_size = key.size;
}

/* Rows of one table after the other. Whatever it returns, *ret_count of them are there. */
static int lend_rows(struct weir_changes *changes, struct weir_event *events, int max,
                     int *ret_count)
{
    struct changes_state *state = &changes->state;
    struct weir_read_options view = WEIR_READ_OPTIONS_INIT;
    view.view = WEIR_VIEW_AS_OF;
    view.lsn = state->lsn;
    *ret_count = 0;
    int rc = changes_enter(changes, &view);
    while (rc == 0 && *ret_count < max) {
        int count;
        rc = lend_table(changes, events + *ret_count, max - *ret_count, &count);
        *ret_count += count;
        if (count > 0) {
            remember_key(state, events[*ret_count - 1].key);
        }
        if (rc < 0 || *ret_count == max) {
            break;
        }
        state->table++;
        state->key_size = 0;
        if (state->table >=
            atomic_load_explicit(&changes->engine->tables.end, memory_order_acquire)) {
            finish(changes);
            break;
        }
    }
    return rc;
}

static int explain(struct weir_changes *changes, int rc)
{
    if (rc == WEIR_E_HORIZON || rc == WEIR_E_TRUNCATED) {
        return changes_lost(changes, version_learn_horizon(changes->engine));
    }
    return engine_error(&changes->error, rc, "the state as of LSN %llu cannot be read on: %s",
                        (unsigned long long)changes->state.lsn, weir_error_text(rc));
}

int changes_next_of_state(struct weir_changes *changes, struct weir_event *events, int max)
{
    int count = 0, rc;
    if (!changes_has_operation(changes, WEIR_INSERT)) {
        finish(changes);
        return 0;
    }
    rc = lend_rows(changes, events, max, &count);
    if (rc < 0 && count == 0 && changes->engine->read_only) {
        changes_leave(changes); /* or the index could not be built anew */
        int refreshed = weir_engine_refresh(changes->engine, NULL, &changes->error);
        if (refreshed < 0) {
            return refreshed;
        }
        rc = lend_rows(changes, events, max, &count);
    }
    return count > 0 ? count : rc < 0 ? explain(changes, rc) : 0;
}
