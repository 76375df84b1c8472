/*
 * Looking into systems: a state that stays as it is, and waiting until it is new enough.
 *
 * Happy path: read_begin takes the gate that whoever applies takes, so that nothing moves; it gives
 * the position that the state is as of. wait looks at the position, and sleeps until it has moved;
 * where nobody else delivers, it delivers itself, and sleeps until the log has got on.
 *
 * Failure modes: a system that is parked inside of an atomic write, or half way through the state
 * that it begins with, has no position: WEIR_E_PARKED, WEIR_E_BEHIND. Time is up: WEIR_E_BEHIND.
 *
 * Invariants: a system that is read is in use, so that it is not detached meanwhile.
 */
#include "derived/host.h"

#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <weir/append.h>
#include <weir/cursor.h>
#include <weir/maintain.h>

#define SLICE_NS (50 * INT64_C(1000000))
/* A writer that has appended has only to bring its record into the index. */
#define VIEW_NS (10 * (uint64_t)BASE_NS_PER_S)

/* ---- reading ---- */

int weir_host_read_begin(struct weir_host *host, const char *name, weir_lsn *ret_position)
{
    struct host_system *system;
    int rc = host_use(host, name, &system);
    if (rc < 0) {
        return rc;
    }
    host_gate_enter(&system->gate);
    base_lock_acquire(&host->lock);
    if (!system->whole || system->position > weir_durable_lsn(host->log)) {
        rc = system->parked != 0 ? WEIR_E_PARKED : WEIR_E_BEHIND;
    } else if (ret_position != NULL) {
        *ret_position = system->position;
    }
    base_lock_release(&host->lock);
    if (rc < 0) {
        host_gate_leave(&system->gate);
        host_unuse(system);
        return rc;
    }
    /* A write would deliver to this very system, and wait for its own thread. */
    system->guarded = atomic_load_explicit(&host->pushing, memory_order_acquire) &&
                      weir_log_callback_begin(host->log) == 0;
    host_keep(system);
    return 0;
}

void weir_host_read_end(struct weir_host *host, const char *name)
{
    base_lock_acquire(&host->lock);
    struct host_system *system = host_find(host, name);
    base_lock_release(&host->lock);
    WEIR_ASSERT(system != NULL);
    host_let_go(system);
    if (system->guarded) {
        weir_log_callback_end(host->log);
    }
    host_gate_leave(&system->gate);
    host_unuse(system);
}

int host_view_within(struct weir_engine *engine, weir_lsn lsn, uint64_t timeout_ns,
                     struct weir_read *ret_read)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    uint64_t deadline_ns = base_clock_monotonic_ns() + timeout_ns;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = lsn;
    for (;;) {
        int rc = weir_read_begin(engine, &options, ret_read);
        if (rc != -EAGAIN) {
            return rc;
        }
        rc = weir_engine_refresh(engine, NULL, NULL);
        if (rc == 0 && base_clock_monotonic_ns() >= deadline_ns) {
            rc = WEIR_E_BEHIND;
        }
        if (rc < 0) {
            return rc;
        }
        base_yield();
    }
}

int host_view_as_of(struct weir_engine *engine, weir_lsn lsn, struct weir_read *ret_read)
{
    return host_view_within(engine, lsn, VIEW_NS, ret_read);
}

/* ---- waiting ---- */

struct look {
    weir_lsn position;
    bool delivered; /* somebody else does */
};

/* 1 it is there; 0 not yet; < 0 it will not get there. */
static int look_at(struct host_system *system, weir_lsn lsn, struct look *ret_look,
                   struct weir_error *ret_error)
{
    struct weir_host *host = system->host;
    int rc = 0;
    base_lock_acquire(&host->lock);
    struct host_lane *lane = system->lane;
    bool running = atomic_load_explicit(&host->running, memory_order_acquire);
    *ret_look = (struct look){system->position, running || system->rebuilding};
    if (system->leaving) {
        rc = host_error(ret_error, WEIR_E_NO_SYSTEM, "%s", weir_error_text(WEIR_E_NO_SYSTEM));
    } else if (system->whole && system->position >= lsn) {
        rc = 1;
    } else if (system->parked != 0) {
        rc = host_error(ret_error, WEIR_E_PARKED, "%s is parked at LSN %" PRIu64 ": %s",
                        system->name, system->parked_lsn, system->reason);
    } else if (lane != NULL && lane->error.code != 0) {
        rc = host_error(ret_error, lane->error.code, "%s", lane->error.text);
    }
    base_lock_release(&host->lock);
    return rc;
}

static int deliver_up_to(struct weir_host *host, weir_lsn lsn)
{
    int rc = weir_engine_refresh(host->engine, NULL, NULL);
    weir_lsn durable = weir_durable_lsn(host->log);
    rc = rc < 0 ? rc : host_deliver(host, lsn < durable ? lsn : durable);
    (void)host_do_chores(host);
    return rc;
}

/* Until the record is durable. 1; 0 time is up; errors of weir_cursor_wait(). */
static int wait_for_log(struct weir_host *host, weir_lsn lsn, int64_t timeout_ns)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    options.from = WEIR_FROM_LSN;
    options.lsn = lsn;
    options.compacted = true;
    options.with_gaps = true;
    options.with_void = true;
    int rc = weir_cursor_open(host->log, &options, &cursor);
    if (rc == 0) {
        rc = weir_cursor_wait(cursor, timeout_ns);
        weir_cursor_close(cursor);
    }
    return rc;
}

static int64_t time_left(uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX) {
        return WEIR_WAIT_FOREVER;
    }
    uint64_t now_ns = base_clock_monotonic_ns();
    return now_ns < deadline_ns ? (int64_t)(deadline_ns - now_ns) : 0;
}

/* Detaching, or a thread that delivers from now on, does not wake who waits for the log. */
static int64_t slice_of(int64_t left_ns)
{
    return left_ns < 0 || left_ns > SLICE_NS ? SLICE_NS : left_ns;
}

static int wait_for(struct host_system *system, weir_lsn lsn, uint64_t deadline_ns,
                    struct weir_error *ret_error)
{
    struct weir_host *host = system->host;
    for (;;) {
        struct look look;
        uint32_t moved = atomic_load_explicit(&host->moved, memory_order_seq_cst);
        int rc = look_at(system, lsn, &look, ret_error);
        if (rc == 0 && !look.delivered) {
            rc = deliver_up_to(host, lsn);
            rc = rc < 0 ? host_error(ret_error, rc, "%s", weir_error_text(rc))
                        : look_at(system, lsn, &look, ret_error);
        }
        if (rc != 0) {
            return rc < 0 ? rc : 0;
        }
        int64_t left_ns = time_left(deadline_ns);
        if (left_ns == 0) {
            return host_error(ret_error, WEIR_E_BEHIND,
                              "%s is at LSN %" PRIu64 ", %" PRIu64 " was asked for", system->name,
                              look.position, lsn);
        }
        if (look.delivered) {
            base_wait(&host->moved, moved, left_ns, false);
        } else if ((rc = wait_for_log(host, lsn, slice_of(left_ns))) < 0) {
            return host_error(ret_error, rc, "%s", weir_error_text(rc));
        }
    }
}

int weir_host_wait(struct weir_host *host, const char *name, weir_lsn lsn, int64_t timeout_ns,
                   struct weir_error *ret_error)
{
    struct host_system *system;
    int rc = host_use(host, name, &system);
    if (rc < 0) {
        return host_error(ret_error, rc, "%s", weir_error_text(rc));
    }
    uint64_t deadline_ns =
        timeout_ns < 0 ? UINT64_MAX : base_clock_monotonic_ns() + (uint64_t)timeout_ns;
    atomic_fetch_add_explicit(&host->waiters, 1, memory_order_seq_cst);
    rc = wait_for(system, lsn, deadline_ns, ret_error);
    atomic_fetch_sub_explicit(&host->waiters, 1, memory_order_relaxed);
    host_unuse(system);
    return rc;
}
