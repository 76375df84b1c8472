/*
 * Rebuilding: a system is emptied, and gets again what it began with, on a lane of its own.
 *
 * Happy path: lower the hold, open a stream where the system began; take it off its lane, reset it,
 * remove what is saved; drive the new lane up to the end of the log; save.
 *
 * Failure modes: it began behind an LSN that compaction has passed: WEIR_E_POSITION_LOST, and
 * nothing has changed. It refuses an event: WEIR_E_PARKED, with what it has. Progress says stop:
 * -ECANCELED, and the other deliveries bring it to the end. A crash: it begins again when it is
 * attached the next time.
 *
 * Invariants: nothing is reset before the stream is open; nobody else's lane is waited for.
 */
#include "derived/host.h"

#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>

#include <weir/append.h>
#include <weir/retain.h>

/* Under delivery. The fields that say where it stands are as they were when this fails. */
static int open_anew(struct host_system *system, struct host_lane **ret_lane,
                     struct weir_error *ret_error)
{
    bool in_state = system->in_state, has_saved = system->has_saved;
    system->in_state = true;
    system->has_saved = false;
    weir_lsn hold = host_hold_floor(system);
    /* What is saved is needed until it is removed, and the state of now comes behind it. */
    bool stands = system->start == WEIR_START_SNAPSHOT && hold != 0 && hold != HOST_UNKNOWN_LSN;
    int rc = stands ? 0 : host_hold(system);
    rc = rc < 0 ? host_error(ret_error, rc, "%s", weir_error_text(rc))
                : host_lane_open(system, ret_lane, ret_error);
    system->in_state = in_state;
    system->has_saved = has_saved;
    if (rc < 0) {
        host_hold_restore(system, hold);
    }
    return rc;
}

static void empty(struct host_system *system, const struct host_lane *lane)
{
    struct weir_host *host = system->host;
    host_gate_enter(&system->gate);
    if (system->ops->reset != NULL) {
        system->ops->reset(system->self);
    }
    base_lock_acquire(&host->lock);
    system->position = lane->position;
    system->whole = lane->whole; /* not before the state that it begins with */
    system->begun = false;
    system->in_state = false;
    system->parked = 0;
    system->parked_lsn = WEIR_LSN_NONE;
    system->reason[0] = '\0';
    system->saved = WEIR_LSN_NONE;
    system->tried = WEIR_LSN_NONE;
    system->has_saved = false;
    base_lock_release(&host->lock);
    system->dirty = false;
    system->skip = WEIR_LSN_NONE;
    host_gate_leave(&system->gate);
}

/* From here on the calling thread alone drives it. */
static int set_out(struct host_system *system, struct weir_error *ret_error)
{
    struct weir_host *host = system->host;
    struct host_lane *lane;
    host_gate_enter(&host->delivery);
    base_lock_acquire(&host->lock);
    bool busy = system->rebuilding;
    system->rebuilding = true;
    base_lock_release(&host->lock);
    int rc = busy ? host_error(ret_error, -EBUSY, "%s is being rebuilt, or attached", system->name)
                  : open_anew(system, &lane, ret_error);
    if (rc == 0) {
        host_lane_leave(system);
        empty(system, lane);
        host_lane_add(lane, system);
    } else if (!busy) {
        base_lock_acquire(&host->lock);
        system->rebuilding = false;
        base_lock_release(&host->lock);
    }
    host_gate_leave(&host->delivery);
    return rc;
}

/* What is saved is not to come back. Under saving: nobody has moved the hold up meanwhile. */
static int forget(struct host_system *system)
{
    int rc =
        system->unsaved ? 0 : weir_state_remove(system->host->log, system->name, HOST_STATE_FILE);
    int found = host_hold_stands(system);
    return rc < 0 ? rc : found;
}

static int arrive(struct host_system *system, int rc, struct weir_error *ret_error)
{
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    system->rebuilding = false;
    if (rc == 0 && system->parked != 0) {
        rc = host_error(ret_error, WEIR_E_PARKED, "%s", system->reason);
    }
    base_lock_release(&host->lock);
    host_announce(host);
    host_wake_thread(host);
    if (rc == 0 && atomic_load_explicit(&host->pushing, memory_order_acquire)) {
        rc = host_deliver(host, weir_durable_lsn(host->log));
    }
    int saved = host_save_system(system);
    return rc < 0 ? rc : saved;
}

int weir_host_rebuild(struct weir_host *host, const char *name, weir_progress_fn progress,
                      void *progress_context, struct weir_rebuild_report *ret_report,
                      struct weir_error *ret_error)
{
    struct host_progress told = {progress, progress_context};
    struct host_system *system;
    uint64_t begin_ns = base_clock_monotonic_ns();
    if (ret_report != NULL && ret_report->size != sizeof *ret_report) {
        return host_error(ret_error, -EINVAL, "%s", weir_error_text(-EINVAL));
    }
    int rc = host_use(host, name, &system);
    if (rc < 0) {
        return host_error(ret_error, rc, "%s", weir_error_text(rc));
    }
    base_lock_acquire(&system->saving);
    rc = set_out(system, ret_error);
    int forgotten = rc == 0 ? forget(system) : 0;
    base_lock_release(&system->saving);
    if (rc == 0) {
        int written = host_write_status(system);
        forgotten = forgotten < 0 ? forgotten : written;
        base_lock_acquire(&host->lock);
        uint64_t before = system->events;
        base_lock_release(&host->lock);
        rc = host_catch_up(system, &told);
        rc = rc < 0 ? host_error(ret_error, rc, "%s", weir_error_text(rc)) : forgotten;
        rc = arrive(system, rc, ret_error);
        base_lock_acquire(&host->lock);
        if (rc == 0 && ret_report != NULL) {
            ret_report->events = system->events - before;
            ret_report->position = system->position;
            ret_report->seconds =
                (double)(base_clock_monotonic_ns() - begin_ns) / (double)BASE_NS_PER_S;
        }
        base_lock_release(&host->lock);
        (void)host_do_chores(host);
    }
    host_unuse(system);
    return rc;
}
