/*
 * Statuses: what is known of a system beside its state, and being parked.
 *
 * Happy path: a system that refuses an event is parked with the reason; whoever delivered writes
 * that down afterwards, with no lock of a delivery held. Who attaches it later, reads it.
 *
 * Failure modes: the status cannot be written: the system fails again at the same event after a
 * crash, and is parked again. It is damaged: what is known of the start is lost, the system starts
 * as the caller says, and says so.
 *
 * Invariants: a system that started NOW, or BEHIND an LSN, has a status before its first event: it
 * begins there again, whenever it begins again.
 */
#include "derived/consumer.h"
#include "derived/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

_Static_assert(HOST_REASON_MAX == CONSUMER_REASON_BYTES, "a reason fits into a status");

void host_park(struct host_system *system, int code, weir_lsn lsn, const char *reason)
{
    struct weir_host *host = system->host;
    base_lock_acquire(&host->lock);
    system->parked = code;
    system->parked_lsn = lsn;
    if (reason != NULL) {
        (void)snprintf(system->reason, sizeof system->reason, "%s", reason);
    } else if (code < 0) {
        (void)snprintf(system->reason, sizeof system->reason, "%s", weir_error_text(code));
    } else {
        (void)snprintf(system->reason, sizeof system->reason, "it refused the event with %d", code);
    }
    system->status_due = true;
    base_lock_release(&host->lock);
}

int host_write_status(struct host_system *system)
{
    struct weir_host *host = system->host;
    struct consumer_status status = {0};
    if (system->unsaved) {
        return 0;
    }
    base_lock_acquire(&system->saving);
    base_lock_acquire(&host->lock);
    memcpy(status.kind, system->ops->kind, strlen(system->ops->kind));
    memcpy(status.reason, system->reason, sizeof status.reason);
    status.parked = system->parked;
    status.parked_lsn = system->parked_lsn;
    status.max_lag_bytes = system->max_lag_bytes;
    status.start = (uint32_t)system->start;
    status.started_behind = system->start_lsn;
    system->status_due = false;
    base_lock_release(&host->lock);
    int rc = consumer_status_write(host->log, system->name, &status, NULL);
    base_lock_release(&system->saving);
    return rc;
}

int host_read_status(struct host_system *system)
{
    struct consumer_status status;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = consumer_status_read(system->host->log, system->name, &status, &why);
    if (rc == WEIR_E_STATE) {
        (void)snprintf(system->reason, sizeof system->reason, "its status was refused: %.150s",
                       why.text);
    }
    if (rc < 0) {
        return rc == -ENOENT || rc == WEIR_E_STATE ? 0 : rc;
    }
    if (status.start <= WEIR_START_SNAPSHOT) {
        system->start = (enum weir_start)status.start;
        system->start_lsn = status.started_behind;
        system->pinned = system->start == WEIR_START_NOW || system->start == WEIR_START_BEHIND;
    }
    system->parked = status.parked;
    system->parked_lsn = status.parked_lsn;
    if (status.parked != 0) {
        memcpy(system->reason, status.reason, sizeof system->reason);
    }
    return 0;
}
