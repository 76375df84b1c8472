/*
 * The service thread, for those who asked for one: it commits what was published and waits, makes
 * the next segment ahead of need, and with witness = idle writes a witness group after a pause.
 *
 * It looks every few milliseconds while there is work, and ever more rarely while there is none;
 * nobody has to wake it, so appends pay nothing for it.
 */
#include "base/clock.h"
#include "wal/commit.h"
#include "wal/open.h"
#include "wal/reserve.h"

#define BUSY_NAP_NS INT64_C(1000000)
#define IDLE_NAP_NS INT64_C(20000000)
#define PAUSE_FIRST_NS (2 * (uint64_t)BASE_NS_PER_MS)
#define PAUSE_MOST_NS ((uint64_t)BASE_NS_PER_S)

/* What failed without poisoning the log (a full disk) is tried again, ever more rarely: each
 * attempt may write most of a segment before it finds that there is no room. */
struct retry {
    uint64_t pause_ns, not_before_ns;
};

static bool may_try(const struct retry *retry)
{
    return base_clock_monotonic_ns() >= retry->not_before_ns;
}

static void note_outcome(struct retry *retry, int rc)
{
    uint64_t longer_ns = retry->pause_ns == 0 ? PAUSE_FIRST_NS : 2 * retry->pause_ns;
    retry->pause_ns = rc == 0 ? 0 : longer_ns < PAUSE_MOST_NS ? longer_ns : PAUSE_MOST_NS;
    retry->not_before_ns = rc == 0 ? 0 : base_clock_monotonic_ns() + retry->pause_ns;
}

static bool something_waits(const struct weir_log *log)
{
    return atomic_load_explicit(&log->marks.reserved, memory_order_acquire) > log_durable(log);
}

static void make_next_segment(struct weir_log *log, struct retry *retry)
{
    base_lock_acquire(&log->tail.lock);
    bool half = 2 * (uint64_t)log->tail.offset > log->limits.segment_bytes;
    base_lock_release(&log->tail.lock);
    bool ready = atomic_load_explicit(&log->segments.next_ready, memory_order_acquire);
    if (half && !ready && may_try(retry)) {
        note_outcome(retry, reserve_make_spare(log));
    }
}

/* Evidence for the last group, once nobody has appended for idle_ns. */
static void write_idle_witness(struct weir_log *log, uint64_t quiet_since_ns, struct retry *retry)
{
    bool due = base_clock_monotonic_ns() - quiet_since_ns >= (uint64_t)log->idle_ns;
    weir_lsn witnessed = atomic_load_explicit(&log->commit.witnessed_lsn, memory_order_acquire);
    bool needed = log->witness == WEIR_WITNESS_IDLE && witnessed < log_durable(log);
    if (needed && due && may_try(retry)) {
        note_outcome(retry, commit_all(log)); /* of poison everybody hears */
    }
}

static void serve(void *context)
{
    struct weir_log *log = context;
    struct retry segment = {0}, witness = {0};
    weir_lsn seen = 0;
    uint64_t quiet_since_ns = base_clock_monotonic_ns();
    while (atomic_load_explicit(&log->service.stop, memory_order_acquire) == 0) {
        weir_lsn reserved = atomic_load_explicit(&log->marks.reserved, memory_order_acquire);
        bool moved = reserved != seen;
        if (moved) {
            seen = reserved;
            quiet_since_ns = base_clock_monotonic_ns();
        }
        if (something_waits(log) && !log_is_poisoned(log)) {
            (void)commit_wait(log, reserved, 0, BUSY_NAP_NS);
        }
        make_next_segment(log, &segment);
        if (!moved && !log_is_poisoned(log)) {
            write_idle_witness(log, quiet_since_ns, &witness);
        }
        int64_t nap = moved ? BUSY_NAP_NS : IDLE_NAP_NS;
        nap =
            !moved && log->witness == WEIR_WITNESS_IDLE && log->idle_ns < nap ? log->idle_ns : nap;
        base_wait(&log->service.stop, 0, nap, false);
    }
}

int service_start(struct weir_log *log)
{
    if ((log->flags & WEIR_LOG_SERVICE_THREAD) == 0) {
        return 0;
    }
    int rc = base_thread_start(&log->service.thread, "weir-service", serve, log);
    log->service.running = rc == 0;
    return rc;
}

void service_stop(struct weir_log *log)
{
    if (!log->service.running) {
        return;
    }
    atomic_store_explicit(&log->service.stop, 1, memory_order_release);
    base_wake(&log->service.stop, 1, false);
    base_thread_join(&log->service.thread);
    log->service.running = false;
}
