/*
 * What comes in a stream of changes: records of the log, each with the value that it took the place
 * of.
 *
 * Happy path: the cursor lends a batch; each record of ours that the filters let through is read,
 * and the record before it, whose place it names, is asked for from memory. Then those are read,
 * one by one: they have arrived meanwhile. No more records are taken than there is room for events,
 * so that the stream stands where the cursor stands, and the cursor knows whether a group ends
 * there.
 *
 * Failure modes: the cursor was overtaken, or the version before was dropped since the record was
 * lent: the position is lost. A version before that is not there above the horizon is damage, never
 * "it was absent".
 *
 * Invariant: when a call ends within a batch, since a record failed, the rest of the batch comes
 * next: the cursor is not moved until then, so it is still lent.
 */
#include "engine/changes.h"

#include <errno.h>

int changes_explain(struct weir_changes *changes, int rc)
{
    struct weir_error why = WEIR_ERROR_INIT;
    bool detailed = weir_cursor_error(changes->cursor, &why) == 0 && why.code == rc;
    if (rc == WEIR_E_HORIZON || rc == WEIR_E_TRUNCATED) {
        return changes_lost(changes, detailed ? why.to_lsn : changes->position + 1);
    }
    if (detailed) {
        changes->error = why;
        return rc;
    }
    return engine_error(&changes->error, rc, "the log cannot be read on from LSN %llu: %s",
                        (unsigned long long)changes->position + 1, weir_error_text(rc));
}

/* All that is durable was lent, and durable moves from group to group. A stream that begins behind
 * an LSN to come stands there meanwhile, and a group across it may come. */
static void note_end(struct weir_changes *changes, weir_lsn durable)
{
    weir_lsn last = weir_cursor_position(changes->cursor) - 1;
    if (last > changes->position) {
        changes->position = last;
        changes->whole = true;
    } else if (changes->position <= durable) { /* as it was before the cursor looked */
        changes->whole = true;
    }
}

/* More than 0; 0 (caught up); errors. */
static int fetch(struct weir_changes *changes, int max)
{
    changes->count = changes->next = 0;
    weir_lsn durable = weir_durable_lsn(changes->engine->log);
    int rc = weir_cursor_next_batch(changes->cursor, changes->records,
                                    max < CHANGES_BATCH ? max : CHANGES_BATCH);
    if (rc > 0) {
        changes->count = rc;
        changes->bias = wal_address_bias(changes->engine->log, changes->cursor);
    } else if (rc == 0) {
        note_end(changes, durable);
    }
    return rc < 0 ? changes_explain(changes, rc) : rc;
}

/* The stream stands in front of record `next` of the batch, or behind all of it. */
static void note_position(struct weir_changes *changes, int next)
{
    changes->next = next;
    if (next == changes->count) {
        changes->position = weir_cursor_position(changes->cursor) - 1;
        changes->whole = wal_address_at_group_end(changes->cursor);
    } else {
        changes->position = changes->records[next].lsn - 1;
        changes->whole = wal_address_ends_group(changes->engine->log, changes->position);
    }
}

/* ---- records ---- */

static int learn(struct weir_changes *changes, const struct weir_record *record)
{
    weir_table table;
    char name[WEIR_TABLE_NAME_MAX + 1];
    int rc = weir_table_decode(record, &table, name);
    return rc == 1 ? changes_learn_table(changes, table, name) : rc;
}

static void prefetch_before(struct weir_changes *changes, const struct engine_version *version)
{
    if (version->operation != WEIR_INSERT && version->distance != 0) {
        place_prefetch(&changes->engine->places,
                       version->address - (uint64_t)version->distance * RECORD_DISTANCE_UNIT);
    }
}

static void make_event(const struct weir_record *record, const struct engine_version *version,
                       struct weir_event *ret_event)
{
    *ret_event = (struct weir_event){
        .lsn = record->lsn,
        .time_ns = record->time_ns,
        .table = version->table,
        .operation = version->operation,
        .key = version->key,
    };
    if (version->operation != WEIR_REMOVE) {
        ret_event->after = version->value;
    }
}

/* Reads the record at `index` into event `count`: 1; 0 (no change, or not asked for); errors. */
static int read_record(struct weir_changes *changes, int index, struct weir_event *events,
                       int count)
{
    const struct weir_record *record = &changes->records[index];
    struct engine_version *version = &changes->versions[count];
    if (record->type != WEIR_TYPE_CHANGE) {
        return record->type == WEIR_TYPE_TABLE ? learn(changes, record) : 0;
    }
    uint64_t address = (uint64_t)(uintptr_t)record->data + changes->bias;
    int rc = record_read(record, address, version);
    if (rc < 0 || !changes_has_operation(changes, version->operation) ||
        !changes_has_table(changes, version->table)) {
        return rc;
    }
    prefetch_before(changes, version);
    changes->from[count] = index;
    make_event(record, version, &events[count]);
    return 1;
}

/* Returns how many events there are; *next is where the batch goes on, and *ret_rc what is wrong
 * there. */
static int read_records(struct weir_changes *changes, struct weir_event *events, int max, int *next,
                        int *ret_rc)
{
    int count = 0, index = changes->next, rc = 0;
    while (index < changes->count && count < max && rc >= 0) {
        rc = read_record(changes, index, events, count);
        count += rc > 0 ? 1 : 0;
        index += rc >= 0 ? 1 : 0;
    }
    if (rc < 0) {
        changes_fail_at(changes, rc, changes->records[index].lsn, "the record cannot be read");
    }
    *next = index;
    *ret_rc = rc < 0 ? rc : 0;
    return count;
}

/* ---- the versions before ---- */

static int fail_before(struct weir_changes *changes, const struct engine_version *version, int rc)
{
    if (rc == WEIR_E_HORIZON) {
        changes->position = version->lsn - 1;
        return changes_lost(changes, version_learn_horizon(changes->engine));
    }
    struct weir_error *error = &changes->error;
    engine_error(error, rc, "the before-image of LSN %llu, which is LSN %llu, cannot be read: %s",
                 (unsigned long long)version->lsn, (unsigned long long)version->previous,
                 weir_error_text(rc));
    error->from_lsn = error->to_lsn = version->lsn;
    return rc;
}

/* Returns how many events are complete; *ret_rc is what is wrong with the one behind. */
static int read_befores(struct weir_changes *changes, struct weir_event *events, int count,
                        int *ret_rc)
{
    for (int i = 0; i < count; i++) {
        const struct engine_version *version = &changes->versions[i];
        struct engine_version before;
        if (version->operation == WEIR_INSERT) {
            continue;
        }
        int rc = changes->reading ? 0 : changes_enter(changes, NULL);
        rc = rc == 0 ? version_before_image(changes->engine, version, &before) : rc;
        if (rc < 0) {
            *ret_rc = fail_before(changes, version, rc);
            return i;
        }
        events[i].before = before.value;
        events[i].before_lsn = before.lsn;
    }
    return count;
}

/* The rest of the batch: how many events; 0 (none passes the filters); errors. */
static int lend(struct weir_changes *changes, struct weir_event *events, int max)
{
    int next, rc;
    max = max < CHANGES_BATCH ? max : CHANGES_BATCH;
    int read = read_records(changes, events, max, &next, &rc);
    int count = read_befores(changes, events, read, &rc);
    note_position(changes, count < read ? changes->from[count] : next);
    return count > 0 ? count : rc;
}

int changes_next_of_stream(struct weir_changes *changes, struct weir_event *events, int max)
{
    int count = 0;
    while (count == 0) {
        if (changes->next == changes->count) {
            int rc = fetch(changes, max);
            if (rc <= 0) {
                return rc;
            }
        }
        count = lend(changes, events, max);
    }
    return count;
}
