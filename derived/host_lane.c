/*
 * Lanes: one change stream, and the systems that stand at its position.
 *
 * Happy path of a turn: take a batch from the stream, give it to each system, one after the other,
 * under the system's gate; go on until the position is whole; publish it.
 *
 * Failure modes: a system that refuses an event is parked before it, and leaves the lane; the
 * others do not notice. A stream that fails keeps its systems where they are: the next turn asks it
 * again. One whose position is lost parks them all.
 *
 * Invariants: a turn begins and ends at whole positions, unless the stream fails, or lends a state,
 * which may be longer than anybody wants to wait. A system's state is as of system.position when
 * system.whole says so; nothing is applied to it but under its gate. What is lent is never kept
 * beyond host_lane_rest(): it would keep memory of the engine.
 */
#include "derived/host.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <weir/append.h>

/* ---- opening ---- */

bool host_is_anew(const struct host_system *system)
{
    return system->in_state || (!system->begun && !system->dirty);
}

bool host_is_to_come(const struct host_system *system)
{
    return system->start == WEIR_START_BEHIND && system->start_lsn != HOST_UNKNOWN_LSN &&
           system->start_lsn > weir_durable_lsn(system->host->log);
}

static void choose_start(const struct host_system *system, struct weir_changes_options *options)
{
    if (!host_is_anew(system)) {
        options->from = WEIR_CHANGES_RESUME;
        options->lsn = system->position;
        return;
    }
    switch (system->start) {
    case WEIR_START_BEGINNING:
        options->from = WEIR_CHANGES_BEGINNING;
        break;
    case WEIR_START_SNAPSHOT:
        options->from = WEIR_CHANGES_SNAPSHOT;
        break;
    case WEIR_START_NOW:
        options->from = WEIR_CHANGES_NOW;
        break;
    case WEIR_START_BEHIND:
        options->from = WEIR_CHANGES_BEHIND;
        options->lsn = system->start_lsn;
        break;
    }
    if (system->pinned &&
        !host_is_to_come(system)) { /* it began behind that once, and gets nothing else instead */
        options->from = WEIR_CHANGES_RESUME;
        options->lsn = system->start_lsn;
    }
}

static void note_place(struct host_lane *lane)
{
    lane->position = weir_changes_position(lane->changes);
    lane->lending = lane->position < weir_changes_state_lsn(lane->changes);
    lane->whole = !lane->lending && weir_changes_is_whole(lane->changes);
}

int host_lane_open(struct host_system *system, struct host_lane **ret_lane,
                   struct weir_error *ret_error)
{
    struct weir_host *host = system->host;
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    struct host_lane *lane = base_alloc_zero(sizeof *lane);
    if (lane == NULL) {
        return host_error(ret_error, -ENOMEM, "%s", weir_error_text(-ENOMEM));
    }
    choose_start(system, &options);
    int rc = weir_changes_open(host->engine, &options, &lane->changes);
    if (rc < 0) {
        base_free(lane);
        return host_error(ret_error, rc, "%s", weir_error_text(rc));
    }
    lane->host = host;
    lane->exclusive = true;
    lane->from = options.from;
    lane->fresh = true;
    note_place(lane);
    if (options.from != WEIR_CHANGES_RESUME) {
        system->start_lsn = lane->position;
        if (options.from == WEIR_CHANGES_SNAPSHOT) { /* that is where it is, not at 0 */
            system->start_lsn = weir_changes_state_lsn(lane->changes);
        }
        if (options.from == WEIR_CHANGES_BEHIND && lane->lending) {
            system->start = WEIR_START_BEGINNING; /* what it gets is what everybody gets */
        }
        system->pinned = system->start == WEIR_START_NOW || system->start == WEIR_START_BEHIND;
    }
    *ret_lane = lane;
    return 0;
}

static void unlink_lane(struct host_lane *lane)
{
    struct host_lane **link = &lane->host->lanes;
    while (*link != NULL && *link != lane) {
        link = &(*link)->next;
    }
    if (*link == lane) {
        *link = lane->next;
    }
}

void host_lane_close(struct host_lane *lane)
{
    WEIR_ASSERT(lane->systems == NULL);
    if (!lane->exclusive) {
        unlink_lane(lane);
    }
    weir_changes_close(lane->changes);
    base_free(lane);
}

void host_lane_add(struct host_lane *lane, struct host_system *system)
{
    WEIR_ASSERT(system->lane == NULL);
    struct host_system **link = &lane->systems;
    while (*link != NULL && (*link)->number < system->number) {
        link = &(*link)->next_on_lane;
    }
    system->next_on_lane = *link;
    *link = system;
    base_lock_acquire(&lane->host->lock);
    system->lane = lane;
    base_lock_release(&lane->host->lock);
}

static void take_off(struct host_lane *lane, struct host_system *system)
{
    struct host_system **link = &lane->systems;
    while (*link != system) {
        WEIR_ASSERT(*link != NULL);
        link = &(*link)->next_on_lane;
    }
    *link = system->next_on_lane;
    system->next_on_lane = NULL;
    base_lock_acquire(&lane->host->lock);
    system->lane = NULL;
    base_lock_release(&lane->host->lock);
}

void host_lane_leave(struct host_system *system)
{
    struct host_lane *lane = system->lane;
    if (lane != NULL) {
        take_off(lane, system);
        if (lane->systems == NULL) {
            host_lane_close(lane);
        }
    }
}

void host_lane_rest(struct host_lane *lane)
{
    if (lane->lent && lane->at == lane->count) {
        (void)weir_changes_wait(lane->changes, 0);
        lane->lent = false;
    }
}

/* ---- applying ---- */

static bool has_table(const struct host_system *system, weir_table table)
{
    for (size_t i = 0; i < system->table_count; i++) {
        if (system->tables[i] == table) {
            return true;
        }
    }
    return system->table_count == 0;
}

static bool wants(const struct host_system *system, const struct weir_event *event)
{
    return (system->operations >> ((unsigned)event->operation - 1) & 1) != 0 &&
           has_table(system, event->table);
}

static void park_at(struct host_lane *lane, struct host_system *system,
                    const struct weir_event *event, int code)
{
    bool stays = event->state || !system->dirty; /* its state is the one that was published */
    base_lock_acquire(&lane->host->lock);
    system->in_state = event->state;
    system->position = stays ? system->position : event->lsn - 1;
    system->whole = stays && !system->dirty && system->whole;
    system->begun = system->begun || !stays;
    base_lock_release(&lane->host->lock);
    host_park(system, code, event->lsn, NULL);
}

/* Events up to `to`, under the system's gate. */
static void apply(struct host_lane *lane, struct host_system *system, int to)
{
    uint64_t applied = 0;
    for (int i = lane->at; i < to; i++) {
        const struct weir_event *event = &lane->events[i];
        if (!wants(system, event)) {
            continue;
        }
        if (system->skip == event->lsn) {
            system->skip = WEIR_LSN_NONE;
            continue;
        }
        int rc = system->ops->apply(system->self, event);
        if (rc != 0) {
            park_at(lane, system, event, rc);
            break;
        }
        system->dirty = true;
        applied++;
    }
    base_lock_acquire(&lane->host->lock);
    system->events += applied;
    base_lock_release(&lane->host->lock);
}

static void apply_to_all(struct host_lane *lane, int to)
{
    host_go_inside(lane->host);
    for (struct host_system *system = lane->systems; system != NULL;
         system = system->next_on_lane) {
        if (!system->entered) {
            host_gate_enter_politely(&system->gate);
            system->entered = true;
        }
        if (system->parked == 0) {
            apply(lane, system, to);
        }
    }
    host_come_out(lane->host);
}

/* ---- a turn ---- */

/* The next batch, unless some of the last one is left: > 0; 0; errors of weir_changes_next(). */
static int fill(struct host_lane *lane)
{
    if (lane->at == lane->count) {
        int rc = weir_changes_next(lane->changes, lane->events, HOST_BATCH);
        lane->fresh = false;
        lane->at = 0;
        lane->count = rc > 0 ? rc : 0;
        lane->lent = rc > 0;
        return rc;
    }
    return lane->count - lane->at;
}

/* Index behind the last event up to limit. A state has no such limit: its rows are not in order of
 * LSN, and half of it is none. */
static int end_of(const struct host_lane *lane, weir_lsn limit)
{
    int end = lane->at;
    while (end < lane->count && (lane->events[end].state || lane->events[end].lsn <= limit)) {
        end++;
    }
    return end;
}

/* What is behind a turn's last batch: positions, for all to see; gates, for others to enter. */
static void publish(struct host_lane *lane, bool failed)
{
    struct weir_host *host = lane->host;
    base_lock_acquire(&host->lock);
    lane->error.code = failed ? lane->error.code : 0;
    for (struct host_system *system = lane->systems; system != NULL;
         system = system->next_on_lane) {
        if (system->parked == 0) {
            system->position = lane->position;
            system->whole = lane->whole;
            system->begun = system->begun || lane->whole;
            system->dirty = system->dirty && !lane->whole;
            system->skip = system->skip > lane->position ? system->skip : WEIR_LSN_NONE;
        }
    }
    base_lock_release(&host->lock);
    for (struct host_system *system = lane->systems; system != NULL;
         system = system->next_on_lane) {
        if (system->entered) {
            system->entered = false;
            host_gate_leave(&system->gate);
        }
    }
}

/* Is its position whole? A stream that resumes there can tell. */
static void learn_whole(struct host_system *system)
{
    struct weir_host *host = system->host;
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    struct weir_changes *changes;
    options.from = WEIR_CHANGES_RESUME;
    options.lsn = system->position;
    if (system->dirty && !system->in_state &&
        weir_changes_open(host->engine, &options, &changes) == 0) {
        base_lock_acquire(&host->lock);
        system->whole = weir_changes_is_whole(changes);
        base_lock_release(&host->lock);
        system->dirty = !system->whole;
        weir_changes_close(changes);
    }
}

static void drop_parked(struct host_lane *lane)
{
    struct host_system *system = lane->systems;
    while (system != NULL) {
        struct host_system *next = system->next_on_lane;
        if (system->parked != 0) {
            take_off(lane, system);
            learn_whole(system);
        }
        system = next;
    }
}

/* The stream has failed. A lost position does not come back, all else may be for now. */
static int fail(struct host_lane *lane, int rc)
{
    struct weir_error why = WEIR_ERROR_INIT;
    (void)weir_changes_error(lane->changes, &why);
    why.code = rc;
    if (why.text[0] == '\0') {
        (void)snprintf(why.text, sizeof why.text, "%s", weir_error_text(rc));
    }
    base_lock_acquire(&lane->host->lock);
    lane->error = why;
    base_lock_release(&lane->host->lock);
    if (rc != WEIR_E_POSITION_LOST) {
        return rc;
    }
    for (struct host_system *system = lane->systems; system != NULL;
         system = system->next_on_lane) {
        if (!system->entered) {
            host_gate_enter(&system->gate);
            system->entered = true;
        }
        if (system->parked == 0) {
            base_lock_acquire(&lane->host->lock);
            system->position = lane->position;
            system->whole = lane->whole;
            system->in_state = lane->lending;
            base_lock_release(&lane->host->lock);
            host_park(system, rc, lane->position + 1, lane->error.text);
        }
    }
    return 1;
}

int host_lane_turn(struct host_lane *lane, weir_lsn limit)
{
    weir_lsn before = lane->position;
    bool applied = false;
    int rc;
    if (limit < weir_changes_state_lsn(lane->changes)) {
        limit = HOST_NO_LIMIT;
    }
    do {
        rc = fill(lane);
        int end = rc > 0 ? end_of(lane, limit) : lane->at;
        if (rc < 0) {
            break;
        }
        if (end > lane->at) {
            apply_to_all(lane, end);
            applied = true;
        }
        lane->at = end;
        note_place(lane);
        if (end < lane->count || (!lane->lending && lane->position > limit)) {
            lane->position = limit; /* all up to it is applied; another lane's, hence whole */
            lane->whole = true;
            lane->lending = false;
            break;
        }
    } while (rc > 0 && !lane->whole && !lane->lending);
    rc = rc < 0 ? fail(lane, rc) : 0;
    bool moved = applied || lane->position != before || rc > 0;
    publish(lane, rc < 0);
    drop_parked(lane);
    host_lane_rest(lane);
    if (moved) {
        host_announce(lane->host);
    }
    return rc < 0 ? rc : (moved ? 1 : 0);
}
