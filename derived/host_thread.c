/*
 * Background delivery: one thread of the host's own.
 *
 * Happy path: serve the lanes in turn, a batch each; when none of them moves, sleep until the log
 * has more.
 *
 * Failure modes: a stream that fails is asked again after SLICE_NS; the lane tells the error
 * meanwhile (weir_host_stat(), weir_host_wait()). A log that is poisoned will never have more: the
 * thread sleeps until it is stopped.
 *
 * Invariants: it sleeps with no lock held, at a cursor of its own. A change that the log does not
 * tell (attached, retried, stopped) counts host.wake up, which it looks at before and while it
 * sleeps, every SLICE_NS at least.
 */
#include "derived/host.h"

#include "base/clock.h"

#include <errno.h>

#include <weir/append.h>
#include <weir/cursor.h>

#define SLICE_NS (50 * INT64_C(1000000))
#define GATHER_NS (1 * INT64_C(1000000))
#define AGAIN_NS (1000 * INT64_C(1000000))

static bool has_to_stop(const struct weir_host *host)
{
    return atomic_load_explicit(&host->stop, memory_order_acquire);
}

struct served {
    bool moved, failed, any;
    weir_lsn front; /* where the foremost lane is */
};

/* A turn for the lane that waited longest; it goes to the end of the list. */
static void serve_one(struct weir_host *host, struct served *served)
{
    struct host_lane *lane = host->lanes;
    struct host_lane **link = &host->lanes;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = lane;
    host->lanes = lane->next;
    lane->next = NULL;
    int rc = host_serve(host, lane);
    served->moved = served->moved || rc > 0;
    served->failed = served->failed || rc < 0;
}

/* One that begins behind an LSN to come stands ahead of the log: the others must not sleep until
 * that is there. */
static weir_lsn place_to_watch(const struct host_lane *lane, weir_lsn durable)
{
    return lane->position < durable ? lane->position : durable;
}

/* Each lane once; the lock is free between two of them. */
static struct served serve_all(struct weir_host *host)
{
    struct served served = {false, false, false, WEIR_LSN_NONE};
    size_t left = 0;
    weir_lsn durable = weir_durable_lsn(host->log); /* before they look */
    host_gate_enter_politely(&host->delivery);
    for (struct host_lane *lane = host->lanes; lane != NULL; lane = lane->next) {
        left++;
    }
    for (; left > 0 && host->lanes != NULL && !has_to_stop(host); left--) {
        serve_one(host, &served);
        host_gate_leave(&host->delivery);
        host_gate_enter_politely(&host->delivery);
    }
    for (struct host_lane *lane = host->lanes; lane != NULL; lane = lane->next) {
        served.any = true;
        weir_lsn place = place_to_watch(lane, durable);
        served.front = place > served.front ? place : served.front;
        if (!served.moved) {
            host_lane_rest(lane);
        }
    }
    host_gate_leave(&host->delivery);
    return served;
}

/* Behind the foremost lane. NULL: it cannot be had now. */
static struct weir_cursor *watch(struct weir_host *host, weir_lsn front)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    options.from = WEIR_FROM_LSN;
    options.lsn = front + 1;
    options.compacted = true;
    options.with_gaps = true;
    options.with_void = true;
    return weir_cursor_open(host->log, &options, &cursor) == 0 ? cursor : NULL;
}

static void sleep_until_more(struct weir_host *host, uint32_t wake, const struct served *served)
{
    if (served->failed) {
        base_wait(&host->wake, wake, SLICE_NS, false);
        return;
    }
    struct weir_cursor *cursor = served->any ? watch(host, served->front) : NULL;
    while (!has_to_stop(host) && atomic_load_explicit(&host->wake, memory_order_seq_cst) == wake) {
        int rc = cursor != NULL ? weir_cursor_wait(cursor, SLICE_NS) : -ENOENT;
        if (rc > 0) {
            /* More comes while writers are at it: let it, so that they do not wake this thread for
             * each of their groups. It may be durable and not applied yet, too. */
            base_wait(&host->wake, wake, GATHER_NS, false);
            break;
        }
        if (rc < 0) {
            base_wait(&host->wake, wake, served->any ? AGAIN_NS : -1, false);
        }
        if (cursor == NULL) {
            break;
        }
    }
    weir_cursor_close(cursor);
}

static void run(void *context)
{
    struct weir_host *host = context;
    while (!has_to_stop(host)) {
        uint32_t wake = atomic_load_explicit(&host->wake, memory_order_seq_cst);
        struct served served = serve_all(host);
        (void)host_do_chores(host); /* a failure is in the status of the system */
        if (!served.moved) {
            sleep_until_more(host, wake, &served);
        }
    }
}

int weir_host_start(struct weir_host *host)
{
    if (host == NULL) {
        return -EINVAL;
    }
    if (host_is_inside(host)) {
        return -EDEADLK;
    }
    base_lock_acquire(&host->switching);
    int rc = 0;
    if (atomic_load_explicit(&host->running, memory_order_relaxed)) {
        rc = -EALREADY;
    } else if (atomic_load_explicit(&host->pushing, memory_order_relaxed)) {
        rc = -EBUSY;
    } else {
        atomic_store_explicit(&host->stop, false, memory_order_relaxed);
        rc = base_thread_start(&host->thread, "weir-host", run, host);
        atomic_store_explicit(&host->running, rc == 0, memory_order_release);
    }
    base_lock_release(&host->switching);
    return rc;
}

int weir_host_stop(struct weir_host *host)
{
    if (host == NULL) {
        return -EINVAL;
    }
    if (host_is_inside(host)) {
        return -EDEADLK;
    }
    base_lock_acquire(&host->switching);
    if (atomic_load_explicit(&host->running, memory_order_relaxed)) {
        atomic_store_explicit(&host->stop, true, memory_order_release);
        host_wake_thread(host);
        base_thread_join(&host->thread);
        atomic_store_explicit(&host->running, false, memory_order_release);
        host_announce(host); /* who waits has to deliver himself now */
    }
    base_lock_release(&host->switching);
    return 0;
}
