/*
 * Saving: what of a system reaches the medium, and in which order.
 *
 * Happy path: make a file; write the state into it, under the system's gate; make the file durable
 * and put it in place, together with its position, in one step; then move the hold to the record
 * behind it.
 *
 * Failure modes: the state cannot be written: the old one stays in place, with the old position and
 * the old hold, and the system says why in its status. A crash between the state and the hold: the
 * hold is lower than it needs to be, attaching moves it.
 *
 * Invariants: what is saved is whole, and never newer than durable. The hold is never above the
 * saved position plus one, and none is set for one whose position is lost. A parked system is saved
 * when its state is that of a whole position.
 */
#include "derived/host.h"

#include "derived/consumer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/append.h>
#include <weir/retain.h>

/* ---- state and position ---- */

/* Is there a state to be saved that is not yet? */
static bool is_due(struct host_system *system, weir_lsn *ret_position)
{
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    weir_lsn position = system->position;
    bool due = system->whole && system->begun && position <= weir_durable_lsn(host->log) &&
               !(system->has_saved && system->saved == position);
    base_lock_release(&host->lock);
    *ret_position = position;
    return due;
}

/* Into a file that is not in place yet, which is made with nobody kept waiting. 0, with or without
 * a writer. */
static int write_state(struct host_system *system, struct weir_state_writer **ret_writer,
                       weir_lsn *ret_position)
{
    struct weir_state_writer *writer = NULL;
    if (!is_due(system, ret_position)) {
        return 0;
    }
    int rc = weir_state_create(system->host->log, system->name, HOST_STATE_FILE, &writer);
    if (rc < 0) {
        return rc;
    }
    host_gate_enter(&system->gate);
    bool due = is_due(system, ret_position); /* where it stands by now */
    if (due && system->ops->save != NULL) {
        rc = system->ops->save(system->self, writer);
    }
    host_gate_leave(&system->gate);
    if (rc < 0 || !due) {
        weir_state_abandon(writer);
        return rc;
    }
    *ret_writer = writer;
    return 0;
}

/* One that was cut loose has caught up all the same: it holds again. */
static int move_hold(struct host_system *system, weir_lsn position)
{
    struct weir_log *log = system->host->log;
    int rc = weir_hold_move(log, system->name, position + 1);
    if (rc == WEIR_E_NO_HOLD || rc == WEIR_E_DAMAGED) {
        rc = weir_hold_set(log, system->name, position + 1);
        rc = rc == 0 ? consumer_found(log, system->name) : rc;
    }
    return rc;
}

/* It has to be rebuilt: a hold behind what it has would be for nobody. */
static bool is_lost(struct host_system *system)
{
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    bool lost = system->parked == WEIR_E_POSITION_LOST;
    base_lock_release(&host->lock);
    return lost;
}

static void note_saved(struct host_system *system, int rc, bool saved, weir_lsn position)
{
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    system->save_failed = rc;
    if (saved) {
        system->saved = position;
        system->has_saved = true;
    }
    base_lock_release(&host->lock);
}

int host_save_system(struct host_system *system)
{
    struct weir_state_writer *writer = NULL;
    weir_lsn position = WEIR_LSN_NONE;
    if (system->unsaved) {
        return 0;
    }
    base_lock_acquire(&system->saving);
    int rc = write_state(system, &writer, &position);
    bool saved = false;
    if (writer != NULL) {
        rc = weir_state_commit(writer, system->ops->kind, system->ops->version, position, NULL);
        saved = rc == 0;
        rc = rc == 0 && !is_lost(system) ? move_hold(system, position) : rc;
    }
    note_saved(system, rc, saved, position);
    base_lock_release(&system->saving);
    return rc;
}

int weir_host_save(struct weir_host *host)
{
    int first = 0;
    uint64_t after = 0;
    if (host == NULL) {
        return -EINVAL;
    }
    if (host_is_inside(host)) {
        return -EDEADLK;
    }
    for (;;) {
        base_lock_acquire(&host->lock);
        struct host_system *system = host->systems;
        while (system != NULL && (system->number <= after || !system->ready || system->leaving)) {
            system = system->next;
        }
        if (system != NULL) {
            atomic_fetch_add_explicit(&system->users, 1, memory_order_relaxed);
        }
        base_lock_release(&host->lock);
        if (system == NULL) {
            break;
        }
        after = system->number;
        int rc = host_save_system(system);
        first = first < 0 ? first : rc;
        host_unuse(system);
    }
    int rc = host_do_chores(host);
    return first < 0 ? first : rc;
}
