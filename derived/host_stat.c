/*
 * The pipeline in one call: the log, and how far each system is behind it.
 *
 * Happy path: the log's numbers first, then each system under host.lock.
 * Failure modes: those of weir_log_stat().
 * Invariants: a lag is never negative: positions are compared with a durable LSN that is taken
 * behind them.
 */
#include "derived/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/append.h>
#include <weir/inspect.h>

/* Under host.lock: what there is to say, the gravest first. */
static void tell_reason(const struct host_system *system, char *ret_reason, size_t size)
{
    const struct host_lane *lane = system->lane;
    if (system->parked == 0 && lane != NULL && lane->error.code != 0) {
        (void)snprintf(ret_reason, size, "the log cannot be read: %.160s", lane->error.text);
    } else if (system->parked == 0 && system->save_failed != 0) {
        (void)snprintf(ret_reason, size, "its state could not be saved: %.160s",
                       weir_error_text(system->save_failed));
    } else {
        (void)snprintf(ret_reason, size, "%s", system->reason);
    }
}

static void tell_system(const struct host_system *system, struct weir_system_status *ret_status)
{
    *ret_status = (struct weir_system_status){
        .position = system->position,
        .saved = system->saved,
        .events = system->events,
        .parked = system->parked,
        .parked_lsn = system->parked_lsn,
    };
    memcpy(ret_status->name, system->name, sizeof ret_status->name);
    (void)snprintf(ret_status->kind, sizeof ret_status->kind, "%s", system->ops->kind);
    tell_reason(system, ret_status->reason, sizeof ret_status->reason);
}

static void tell_lags(struct weir_host *host, struct weir_system_status *systems, size_t count)
{
    weir_lsn durable = weir_durable_lsn(host->log);
    for (size_t i = 0; i < count; i++) {
        struct weir_system_status *status = &systems[i];
        if (status->position < durable) {
            status->lag_records = durable - status->position;
            (void)weir_log_bytes_between(host->log, status->position, durable, &status->lag_bytes);
        }
    }
}

int weir_host_stat(struct weir_host *host, struct weir_host_status *ret_status,
                   struct weir_system_status *ret_systems, size_t room)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    if (host == NULL || ret_status == NULL || ret_status->size != sizeof *ret_status ||
        (ret_systems == NULL && room > 0)) {
        return -EINVAL;
    }
    int rc = weir_log_stat(host->log, &stat);
    if (rc < 0) {
        return rc;
    }
    *ret_status = (struct weir_host_status)WEIR_HOST_STATUS_INIT;
    ret_status->earliest = stat.earliest;
    ret_status->durable = stat.durable;
    ret_status->horizon = stat.horizon;
    ret_status->log_bytes = stat.log_bytes;
    base_lock_acquire(&host->lock);
    for (const struct host_system *system = host->systems; system != NULL; system = system->next) {
        if (!system->ready || system->leaving) {
            continue;
        }
        if (ret_status->systems < room) {
            tell_system(system, &ret_systems[ret_status->systems]);
        }
        ret_status->systems++;
        ret_status->parked += system->parked != 0;
    }
    base_lock_release(&host->lock);
    tell_lags(host, ret_systems, ret_status->systems < room ? ret_status->systems : room);
    return (int)ret_status->systems;
}
