/*
 * Verifying: a system is rebuilt beside the live one, and the two are compared.
 *
 * Happy path: replay into the fresh one from where the live one began, up to about where that is;
 * then keep the live one still, replay the rest, compare fingerprints. When they differ, and the
 * system can say what it consists of, copy the entries of both, let the live one go on, and name
 * those that differ, each with the LSN that touched it last.
 *
 * Failure modes: what the live one began behind is gone, or it is itself too old for what is left:
 * WEIR_E_POSITION_LOST. Compaction overtakes the replay: it begins again, a few times. The fresh
 * one refuses an event: its error, with the LSN.
 *
 * Invariants: nothing is applied to the live one, and it is kept still only for what was written
 * while the replay went on. Both are compared as of one position.
 */
#include "derived/entries.h"
#include "derived/host.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <weir/append.h>
#include <weir/maintain.h>
#include <weir/snapshot.h>

#define TRIES 3

struct replay {
    struct host_system *system;
    void *fresh;
    struct weir_changes *changes;
    struct weir_snapshot *snapshot; /* keeps compaction behind the replay; NULL: it may overtake */
    uint64_t applied;
    struct weir_error *error; /* may be NULL */
    int count, at;
    struct weir_event events[HOST_BATCH];
};

/* What verify is about to compare. */
struct comparison {
    struct host_system *system;
    struct weir_host_verify_report report;
    struct host_entries live, rebuilt;
    weir_difference_fn fn;
    void *context;
    bool stopped;
};

/* ---- replaying ---- */

static void end_replay(struct replay *replay)
{
    weir_changes_close(replay->changes);
    weir_snapshot_close(replay->snapshot);
    replay->changes = NULL;
    replay->snapshot = NULL;
}

static int begin_replay(struct replay *replay)
{
    struct host_system *system = replay->system;
    struct weir_host *host = system->host;
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    base_lock_acquire(&host->lock);
    options.from = system->pinned ? WEIR_CHANGES_RESUME : WEIR_CHANGES_BEGINNING;
    options.lsn = system->pinned ? system->start_lsn : WEIR_LSN_NONE;
    if (system->pinned && host_is_to_come(system)) {
        options.from = WEIR_CHANGES_BEHIND;
    }
    base_lock_release(&host->lock);
    if (options.from == WEIR_CHANGES_RESUME && options.lsn == HOST_UNKNOWN_LSN) {
        return host_error(replay->error, WEIR_E_POSITION_LOST,
                          "nobody knows since when %s has followed the log", system->name);
    }
    options.tables = system->tables;
    options.table_count = system->table_count;
    options.operations = system->operations;
    /* As of the horizon, which stays there then. Without it compaction may overtake the replay. */
    if (weir_engine_stat(host->engine, &status) == 0 && status.durable > 0) {
        weir_lsn lsn = status.horizon > 0 ? status.horizon : 1;
        if (weir_snapshot_open(host->engine, lsn, &replay->snapshot) < 0) {
            replay->snapshot = NULL;
        }
    }
    replay->applied = 0;
    replay->count = replay->at = 0;
    system->ops->reset(replay->fresh);
    int rc = weir_changes_open(host->engine, &options, &replay->changes);
    return rc < 0 ? host_error(replay->error, rc, "%s", weir_error_text(rc)) : 0;
}

/* 1; 0 (it is beyond limit); the error of apply. */
static int replay_event(struct replay *replay, const struct weir_event *event, weir_lsn limit)
{
    if (!event->state && event->lsn > limit) {
        return 0;
    }
    host_go_inside(replay->system->host);
    int rc = replay->system->ops->apply(replay->fresh, event);
    host_come_out(replay->system->host);
    replay->applied++;
    if (rc != 0) {
        return host_error(replay->error, rc < 0 ? rc : WEIR_E_PARKED,
                          "the rebuilt one failed at LSN %" PRIu64 ": %s", event->lsn,
                          rc < 0 ? weir_error_text(rc) : "by its own rules");
    }
    return 1;
}

/* The next events, when all of the last ones are used up: 1; 0 (there are none up to limit). */
static int fetch(struct replay *replay, weir_lsn limit)
{
    struct weir_host *host = replay->system->host;
    while (replay->at == replay->count) {
        int rc = weir_changes_next(replay->changes, replay->events, HOST_BATCH);
        replay->at = 0;
        replay->count = rc > 0 ? rc : 0;
        if (rc < 0) {
            return host_error(replay->error, rc, "%s", weir_error_text(rc));
        }
        if (rc == 0 && weir_changes_position(replay->changes) >= limit) {
            return 0;
        }
        if (rc == 0) { /* the live one has got there, so it comes */
            rc = weir_engine_refresh(host->engine, NULL, replay->error);
            if (rc < 0) {
                return rc;
            }
            base_yield();
        }
    }
    return 1;
}

/* Everything up to limit, and a state as a whole. */
static int replay_to(struct replay *replay, weir_lsn limit)
{
    int rc;
    while ((rc = fetch(replay, limit)) == 1) {
        rc = replay_event(replay, &replay->events[replay->at], limit);
        if (rc <= 0) {
            break;
        }
        replay->at++;
    }
    if (rc == 0 && weir_changes_state_lsn(replay->changes) > limit) {
        rc = host_error(replay->error, WEIR_E_POSITION_LOST,
                        "it is as of LSN %" PRIu64 ", of which compaction has left nothing", limit);
    }
    return rc;
}

/* ---- comparing ---- */

/* The newest version of the row that an entry comes from. */
static weir_lsn look_up(struct weir_read *read, const struct host_entry *entry)
{
    struct weir_bytes key = {entry->bytes + entry->text_size, entry->key_size};
    struct weir_history history;
    struct weir_key_version version;
    if (entry->lsn != WEIR_LSN_NONE || entry->key_size == 0) {
        return entry->lsn;
    }
    bool found = weir_history_begin(read, entry->table, key, &history) == 0 &&
                 weir_history_next(&history, &version) == 1;
    return found ? version.lsn : WEIR_LSN_NONE;
}

static weir_lsn last_touch(struct comparison *comparison, const struct host_entry *live,
                           const struct host_entry *rebuilt)
{
    struct weir_read read;
    struct weir_engine *engine = comparison->system->host->engine;
    const struct host_entry *one = rebuilt != NULL ? rebuilt : live;
    weir_lsn lsn = WEIR_LSN_NONE;
    if (host_view_as_of(engine, comparison->report.position, &read) == 0) {
        lsn = look_up(&read, one);
        if (lsn == WEIR_LSN_NONE && live != NULL) {
            lsn = look_up(&read, live);
        }
        weir_read_end(&read);
    }
    return lsn;
}

static int tell_difference(void *context, const struct host_entry *live,
                           const struct host_entry *rebuilt)
{
    struct comparison *comparison = context;
    const struct host_entry *named = live != NULL ? live : rebuilt;
    comparison->report.differing++;
    if (comparison->fn == NULL || comparison->stopped) {
        return 0;
    }
    struct weir_difference difference = {
        .kind = live == NULL ? WEIR_DIFFERENCE_MISSING
                             : (rebuilt == NULL ? WEIR_DIFFERENCE_EXTRA : WEIR_DIFFERENCE_OTHER),
        .text = {named->bytes, named->text_size},
        .lsn = last_touch(comparison, live, rebuilt),
    };
    comparison->stopped = comparison->fn(comparison->context, &difference) != 0;
    return 0;
}

/* With the live one kept still: all that is needed of it. It was at `about` before. */
static int take(struct comparison *comparison, struct replay *replay, weir_lsn about)
{
    struct host_system *system = comparison->system;
    struct weir_host_verify_report *report = &comparison->report;
    if (report->position < about) {
        return host_error(replay->error, -EBUSY, "%s is being rebuilt", system->name);
    }
    int rc = replay_to(replay, report->position);
    if (rc < 0) {
        return rc;
    }
    system->ops->fingerprint(system->self, report->live);
    system->ops->fingerprint(replay->fresh, report->rebuilt);
    report->equal = memcmp(report->live, report->rebuilt, sizeof report->live) == 0;
    report->events = replay->applied;
    if (!report->equal) {
        rc = host_entries_collect(system->ops, system->self, &comparison->live);
    }
    return rc;
}

static int compare(struct comparison *comparison, struct replay *replay)
{
    struct host_system *system = comparison->system;
    base_lock_acquire(&system->host->lock);
    weir_lsn about = system->position;
    base_lock_release(&system->host->lock);
    int rc = replay_to(replay, about);
    if (rc == 0) {
        rc = weir_host_read_begin(system->host, system->name, &comparison->report.position);
        if (rc == 0) {
            rc = take(comparison, replay, about);
            weir_host_read_end(system->host, system->name);
        } else {
            (void)host_error(replay->error, rc, "%s", weir_error_text(rc));
        }
    }
    if (rc == 0 && !comparison->report.equal) {
        rc = host_entries_collect(system->ops, replay->fresh, &comparison->rebuilt);
        rc = rc != 0 ? rc
                     : host_entries_compare(&comparison->live, &comparison->rebuilt,
                                            tell_difference, comparison);
    }
    return rc;
}

int weir_host_verify(struct weir_host *host, const char *name, void *fresh, weir_difference_fn fn,
                     void *context, struct weir_host_verify_report *ret_report,
                     struct weir_error *ret_error)
{
    struct host_system *system;
    uint64_t begin_ns = base_clock_monotonic_ns();
    if (fresh == NULL || (ret_report != NULL && ret_report->size != sizeof *ret_report)) {
        return host_error(ret_error, -EINVAL, "%s", weir_error_text(-EINVAL));
    }
    int rc = host_use(host, name, &system);
    if (rc < 0) {
        return host_error(ret_error, rc, "%s", weir_error_text(rc));
    }
    struct comparison comparison = {system, WEIR_HOST_VERIFY_REPORT_INIT, {0}, {0}, fn, context,
                                    false};
    struct replay *replay = base_alloc_zero(sizeof *replay);
    if (replay == NULL || system->ops->fingerprint == NULL) {
        rc = replay == NULL ? -ENOMEM : -EOPNOTSUPP;
        rc = host_error(ret_error, rc, "%s", weir_error_text(rc));
    } else {
        rc = WEIR_E_POSITION_LOST;
        replay->system = system;
        replay->fresh = fresh;
        replay->error = ret_error;
        for (int i = 0; i < TRIES && (rc == WEIR_E_POSITION_LOST || rc == -EBUSY); i++) {
            rc = begin_replay(replay);
            rc = rc < 0 ? rc : compare(&comparison, replay);
            end_replay(replay);
        }
    }
    comparison.report.seconds =
        (double)(base_clock_monotonic_ns() - begin_ns) / (double)BASE_NS_PER_S;
    if (rc == 0 && ret_report != NULL) {
        *ret_report = comparison.report;
    }
    host_entries_free(&comparison.live);
    host_entries_free(&comparison.rebuilt);
    base_free(replay);
    host_unuse(system);
    return rc;
}
