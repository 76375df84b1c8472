/*
 * Deliveries: whose turn it is, and until when.
 *
 * Happy path: of the lanes that are not at the target, the one furthest behind takes turns until it
 * has reached the next one, and becomes one with it; so the log is read once, however many systems
 * there are. Between turns the lock is free, for whoever attaches, detaches, or writes.
 *
 * Failure modes: a lane whose stream fails is left alone for this round, the others go on; the
 * first error is returned. Saving fails: the system says so in its status, its state is not lost,
 * only older on the medium.
 *
 * Invariants: a lane is driven under host.delivery, or it is exclusive. Two lanes become one only
 * at the same position, whole on both.
 */
#include "derived/host.h"

#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

#include <weir/append.h>
#include <weir/inspect.h>
#include <weir/maintain.h>
#include <weir/write.h>

/* ---- lanes meet ---- */

static bool is_place(const struct host_lane *lane)
{
    return lane->whole && !lane->lending;
}

/* The next one at or ahead of where a lane stands. */
static struct host_lane *next_ahead(struct weir_host *host, const struct host_lane *lane)
{
    struct host_lane *best = NULL;
    for (struct host_lane *other = host->lanes; other != NULL; other = other->next) {
        if (other != lane && is_place(other) && other->position >= lane->position &&
            (best == NULL || other->position < best->position)) {
            best = other;
        }
    }
    return best;
}

static void unite(struct host_lane *from, struct host_lane *into)
{
    while (from->systems != NULL) {
        struct host_system *system = from->systems;
        from->systems = system->next_on_lane;
        base_lock_acquire(&into->host->lock);
        system->lane = NULL;
        base_lock_release(&into->host->lock);
        host_lane_add(into, system);
    }
    host_lane_close(from);
}

/* Both would be lent the same state: nothing was taken of it yet. Who resumes is lent none. */
static bool begin_alike(const struct host_lane *one, const struct host_lane *other)
{
    return one->fresh && other->fresh && one->lending && other->lending && one->from == other->from;
}

void host_lane_join(struct host_lane *lane)
{
    struct weir_host *host = lane->host;
    for (struct host_lane *other = host->lanes; other != NULL; other = other->next) {
        bool meets = is_place(lane) && is_place(other) && lane->position == other->position;
        if (meets || begin_alike(lane, other)) {
            lane->exclusive = true; /* it is not in the list */
            unite(lane, other);
            return;
        }
    }
    lane->exclusive = false;
    lane->next = host->lanes;
    host->lanes = lane;
}

int host_serve(struct weir_host *host, struct host_lane *lane)
{
    struct host_lane *ahead = next_ahead(host, lane);
    int rc = 0;
    if (ahead == NULL || !is_place(lane) || lane->position < ahead->position) {
        rc = host_lane_turn(lane, ahead != NULL ? ahead->position : HOST_NO_LIMIT);
    }
    if (lane->systems == NULL) {
        host_lane_close(lane);
        return 1;
    }
    if (rc >= 0 && ahead != NULL && is_place(lane) && lane->position == ahead->position) {
        unite(lane, ahead);
        return 1;
    }
    return rc;
}

/* ---- rounds ---- */

static struct host_lane *furthest_behind(struct weir_host *host, weir_lsn target, uint64_t round)
{
    struct host_lane *best = NULL;
    for (struct host_lane *lane = host->lanes; lane != NULL; lane = lane->next) {
        bool due = lane->round != round && (!is_place(lane) || lane->position < target);
        if (due && (best == NULL || lane->position < best->position)) {
            best = lane;
        }
    }
    return best;
}

int host_deliver(struct weir_host *host, weir_lsn target)
{
    int first = 0;
    host_gate_enter(&host->delivery);
    uint64_t round = ++host->round;
    for (;;) {
        struct host_lane *lane = furthest_behind(host, target, round);
        if (lane == NULL) {
            break;
        }
        int rc = host_serve(host, lane);
        if (rc <= 0) {
            lane->round = round;
            first = first < 0 ? first : rc;
        }
        if (atomic_load_explicit(&host->delivery.waiting, memory_order_relaxed) > 0) {
            host_gate_leave(&host->delivery);
            host_gate_enter_politely(&host->delivery);
        }
    }
    for (struct host_lane *lane = host->lanes; lane != NULL; lane = lane->next) {
        host_lane_rest(lane);
    }
    host_gate_leave(&host->delivery);
    return first;
}

/* One that has something to be written down; it is in use then. */
static struct host_system *take_due(struct weir_host *host, bool *ret_status)
{
    base_lock_acquire(&host->lock);
    struct host_system *system = host->systems;
    for (; system != NULL; system = system->next) {
        if (system->unsaved || !system->ready || system->leaving) {
            continue; /* one that is not ready is the attaching thread's alone */
        }
        weir_lsn since = system->saved > system->tried ? system->saved : system->tried;
        bool save_due = system->whole && system->position > since &&
                        system->position - since >= host->save_records;
        if (system->status_due || save_due) {
            *ret_status = system->status_due;
            system->status_due = false;
            system->tried = *ret_status ? system->tried : system->position;
            atomic_fetch_add_explicit(&system->users, 1, memory_order_relaxed);
            break;
        }
    }
    base_lock_release(&host->lock);
    return system;
}

int host_do_chores(struct weir_host *host)
{
    struct host_system *system;
    bool status;
    int first = 0;
    while ((system = take_due(host, &status)) != NULL) {
        int rc = status ? host_write_status(system) : host_save_system(system);
        first = first < 0 ? first : rc;
        host_unuse(system);
    }
    return first;
}

/* ---- pull ---- */

static void mark_events(struct weir_host *host)
{
    base_lock_acquire(&host->lock);
    for (struct host_system *system = host->systems; system != NULL; system = system->next) {
        system->mark = system->events;
    }
    base_lock_release(&host->lock);
}

static int tell_delivered(struct weir_host *host, struct weir_delivered *ret_delivered, size_t room)
{
    int count = 0;
    base_lock_acquire(&host->lock);
    for (struct host_system *system = host->systems; system != NULL; system = system->next) {
        if (!system->ready || system->leaving) {
            continue;
        }
        if ((size_t)count < room) {
            ret_delivered[count] = (struct weir_delivered){
                .name = system->name,
                .events = system->events - system->mark,
                .position = system->position,
                .parked = system->parked,
            };
        }
        count++;
    }
    base_lock_release(&host->lock);
    return count;
}

/* Everything that is durable now; on the log of another process's writer, as far as it tells. */
static int deliver_all(struct weir_host *host)
{
    int rc = weir_engine_refresh(host->engine, NULL, NULL);
    return rc < 0 ? rc : host_deliver(host, weir_durable_lsn(host->log));
}

int weir_host_flush(struct weir_host *host, struct weir_delivered *ret_delivered, size_t room)
{
    if (host == NULL || (ret_delivered == NULL && room > 0)) {
        return -EINVAL;
    }
    if (host_is_inside(host)) {
        return -EDEADLK;
    }
    base_lock_acquire(&host->flushing);
    mark_events(host);
    int rc = deliver_all(host);
    (void)host_do_chores(host); /* a failure is in the status of the system */
    rc = rc < 0 ? rc : tell_delivered(host, ret_delivered, room);
    base_lock_release(&host->flushing);
    return rc;
}

/* ---- push ---- */

static void after_write(void *context, weir_lsn lsn)
{
    struct weir_host *host = context;
    if (host_is_inside(host)) {
        return; /* it keeps a system still since before push was on: the next delivery has it */
    }
    (void)host_deliver(host, lsn); /* the write has succeeded; the next flush says what is wrong */
    (void)host_do_chores(host);
}

int weir_host_push(struct weir_host *host, bool push)
{
    if (host == NULL) {
        return -EINVAL;
    }
    if (host_is_inside(host)) {
        return -EDEADLK;
    }
    base_lock_acquire(&host->switching);
    int rc = 0;
    if (push && atomic_load_explicit(&host->running, memory_order_relaxed)) {
        rc = -EBUSY;
    } else if (push != atomic_load_explicit(&host->pushing, memory_order_relaxed)) {
        rc = weir_engine_after_write(host->engine, push ? after_write : NULL, host);
        if (rc == 0) {
            atomic_store_explicit(&host->pushing, push, memory_order_release);
            rc = push ? deliver_all(host) : 0;
            host_announce(host);
        }
    }
    base_lock_release(&host->switching);
    (void)host_do_chores(host);
    return rc;
}

/* ---- catching up alone ---- */

static int tell_progress(struct host_system *system, const struct host_progress *progress,
                         weir_lsn from, weir_lsn target)
{
    struct weir_host *host = system->host;
    uint64_t done = 0, all = 0;
    weir_lsn position = system->lane->position;
    if (progress == NULL || progress->fn == NULL) {
        return 0;
    }
    (void)weir_log_bytes_between(host->log, from, target, &all);
    if (position >= target || weir_log_bytes_between(host->log, from, position, &done) < 0) {
        done = position >= target ? all : 0;
    }
    return progress->fn(progress->context, done, all) != 0 ? -ECANCELED : 0;
}

int host_catch_up(struct host_system *system, const struct host_progress *progress)
{
    struct weir_host *host = system->host;
    struct host_lane *lane = system->lane;
    weir_lsn from = lane->position, target = weir_durable_lsn(host->log);
    uint64_t told_ns = 0; /* the first turn tells */
    int rc;
    WEIR_ASSERT(lane->exclusive);
    do {
        rc = host_lane_turn(lane, HOST_NO_LIMIT);
        if (lane->systems == NULL) { /* parked */
            host_lane_close(lane);
            return 0;
        }
        bool there = rc == 0 || (is_place(lane) && lane->position >= target);
        if (rc >= 0 && (there || base_clock_coarse_ns() - told_ns > 100 * BASE_NS_PER_MS)) {
            told_ns = base_clock_coarse_ns();
            int told = tell_progress(system, progress, from, target);
            rc = there ? 0 : (told < 0 ? told : rc);
        }
        base_lock_acquire(&host->lock);
        rc = rc > 0 && system->leaving ? -ECANCELED : rc;
        base_lock_release(&host->lock);
    } while (rc > 0);
    host_lane_rest(lane);
    host_gate_enter(&host->delivery);
    host_lane_join(lane);
    host_gate_leave(&host->delivery);
    return rc;
}

/* ---- after a failure ---- */

/* Under delivery. */
static int unpark(struct host_system *system, bool skip)
{
    struct weir_host *host = system->host;
    struct host_lane *lane;
    base_lock_acquire(&host->lock);
    bool busy = system->rebuilding; /* then it may be parked and on its lane still */
    int parked = system->parked;
    base_lock_release(&host->lock);
    if (busy || parked == 0) {
        return parked == 0 ? -EINVAL : -EBUSY;
    }
    if (skip && parked == WEIR_E_POSITION_LOST) {
        return WEIR_E_POSITION_LOST;
    }
    if (system->in_state && system->ops->reset != NULL) {
        host_gate_enter(&system->gate);
        system->ops->reset(system->self);
        system->dirty = false;
        host_gate_leave(&system->gate);
    }
    bool anew = host_is_anew(system);
    weir_lsn hold = host_hold_floor(system);
    int rc = host_hold(system);
    rc = rc < 0 ? rc : host_lane_open(system, &lane, NULL);
    if (rc < 0) {
        host_hold_restore(system, hold);
        return rc;
    }
    base_lock_acquire(&host->lock);
    system->skip = skip ? system->parked_lsn : WEIR_LSN_NONE;
    system->parked = 0;
    system->parked_lsn = WEIR_LSN_NONE;
    system->reason[0] = '\0';
    system->in_state = false;
    system->whole = anew ? lane->whole : system->whole;
    system->status_due = true;
    base_lock_release(&host->lock);
    host_lane_add(lane, system);
    host_lane_join(lane);
    return 0;
}

static int go_on(struct weir_host *host, const char *name, bool skip)
{
    struct host_system *system;
    int rc = host_use(host, name, &system);
    if (rc < 0) {
        return rc;
    }
    host_gate_enter(&host->delivery);
    rc = unpark(system, skip);
    host_gate_leave(&host->delivery);
    if (rc == 0) {
        (void)host_hold_stands(system); /* else it is shown as lost until it is attached again */
    }
    host_unuse(system);
    if (rc == 0 && atomic_load_explicit(&host->pushing, memory_order_acquire)) {
        (void)deliver_all(host);
    }
    (void)host_do_chores(host);
    host_announce(host);
    host_wake_thread(host);
    return rc;
}

int weir_host_retry(struct weir_host *host, const char *name)
{
    return go_on(host, name, false);
}

int weir_host_skip(struct weir_host *host, const char *name)
{
    return go_on(host, name, true);
}
