/*
 * One thread with many records in flight: WEIR_GROUP appends, then a wait for the oldest.
 *
 * Closed loop: as soon as some are durable, as many are appended again. Open loop: records are due
 * by a timetable; those that fall due while others are waited for are appended behind that, and
 * their latency counts from when they were due.
 *
 * LSNs are dense and nobody else appends, so record i of the phase has LSN base + i, and a ring of
 * start times is all the bookkeeping there is. With many outstanding one in 16 is timed, because
 * two clock readings cost as much as an append.
 */
#include "bench/append_phase.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/workdir.h"

#include <weir/append.h>

#include <errno.h>
#include <poll.h>
#include <time.h>

#define BURST 1024u /* appends between two looks at completions, in the open loop */
#define TIME_ALL_UP_TO 64u
#define SAMPLE_EVERY 16u

struct flight {
    struct append_phase *phase;
    uint64_t issued; /* records appended, */
    uint64_t landed; /* and those known to be durable */
    weir_lsn base;   /* LSN of the first one */
    uint64_t sample; /* one in so many is timed */
    uint64_t start_ns;
    uint64_t deadline_ns;
    uint64_t *times; /* ring of options->outstanding start times */
    int fd;          /* of weir_eventfd, or -1 */
};

static int append_one(struct flight *flight)
{
    struct append_phase *phase = flight->phase;
    const struct weir_part *part = bench_payload_at(phase->payload, flight->issued);
    struct weir_entry entry = {.parts = part, .part_count = 1};
    weir_lsn lsn;
    int rc = weir_append(phase->log, &entry, WEIR_GROUP, &lsn);
    if (rc == 0) {
        if (flight->issued == 0) {
            flight->base = lsn;
        }
        flight->issued++;
        phase->done_bytes += part->size;
    }
    return rc;
}

static uint64_t due_ns(const struct flight *flight, uint64_t number)
{
    return flight->start_ns +
           (uint64_t)((double)number * (double)BASE_NS_PER_S / flight->phase->per_s);
}

/* Everything up to `durable` has landed. */
static void land(struct flight *flight, weir_lsn durable)
{
    if (durable < flight->base + flight->landed) {
        return;
    }
    uint64_t landed = durable - flight->base + 1;
    landed = landed < flight->issued ? landed : flight->issued;
    uint64_t now_ns = base_clock_monotonic_ns();
    uint64_t number = (flight->landed + flight->sample - 1) / flight->sample * flight->sample;
    for (; number < landed; number += flight->sample) {
        uint64_t from_ns = flight->phase->per_s > 0.0
                               ? due_ns(flight, number)
                               : flight->times[number % flight->phase->options->outstanding];
        base_histogram_record(&flight->phase->latency, now_ns > from_ns ? now_ns - from_ns : 0);
    }
    flight->landed = landed;
}

/* Waits until the oldest record in flight has landed, or the timeout. */
static int await_oldest(struct flight *flight, int64_t timeout_ns)
{
    struct weir_log *log = flight->phase->log;
    weir_lsn durable = 0;
    int rc;
    if (flight->fd < 0) {
        rc = weir_wait(log, flight->base + flight->landed, timeout_ns);
        durable = weir_durable_lsn(log);
        rc = rc == -ETIMEDOUT ? 0 : rc;
    } else {
        struct pollfd waiting = {.fd = flight->fd, .events = POLLIN};
        struct timespec limit = {.tv_sec = (time_t)(timeout_ns / (int64_t)BASE_NS_PER_S),
                                 .tv_nsec = (long)(timeout_ns % (int64_t)BASE_NS_PER_S)};
        if (ppoll(&waiting, 1, timeout_ns < 0 ? NULL : &limit, NULL) < 0 && errno != EINTR) {
            return -errno;
        }
        rc = weir_process(log, &durable);
    }
    if (rc == 0) {
        land(flight, durable);
    }
    return rc;
}

static bool goes_on(const struct flight *flight, uint64_t now_ns)
{
    return now_ns < flight->deadline_ns && !bench_interrupted() &&
           (flight->phase->records == 0 || flight->issued < flight->phase->records);
}

static int fill_up(struct flight *flight)
{
    unsigned outstanding = flight->phase->options->outstanding;
    uint64_t limit = flight->phase->records > 0 ? flight->phase->records : UINT64_MAX;
    int rc = 0;
    while (rc == 0 && flight->issued - flight->landed < outstanding && flight->issued < limit) {
        if (flight->issued % flight->sample == 0) {
            flight->times[flight->issued % outstanding] = base_clock_monotonic_ns();
        }
        rc = append_one(flight);
    }
    return rc;
}

static int run_closed(struct flight *flight)
{
    int rc = 0;
    while (rc == 0 && goes_on(flight, base_clock_monotonic_ns())) {
        rc = fill_up(flight);
        if (rc == 0) {
            rc = await_oldest(flight, WEIR_WAIT_FOREVER);
        }
    }
    return rc;
}

/* Appends what is due by now, at most a burst of it. */
static int append_due(struct flight *flight, uint64_t now_ns)
{
    double elapsed_s = (double)(now_ns - flight->start_ns) / (double)BASE_NS_PER_S;
    uint64_t due = (uint64_t)(elapsed_s * flight->phase->per_s) + 1;
    due = due < flight->issued + BURST ? due : flight->issued + BURST;
    int rc = 0;
    while (rc == 0 && flight->issued < due) {
        rc = append_one(flight);
    }
    return rc;
}

static void sleep_for(int64_t duration_ns)
{
    struct timespec duration = {.tv_sec = (time_t)(duration_ns / (int64_t)BASE_NS_PER_S),
                                .tv_nsec = (long)(duration_ns % (int64_t)BASE_NS_PER_S)};
    (void)nanosleep(&duration, NULL);
}

static int run_timetable(struct flight *flight)
{
    int rc = 0;
    uint64_t now_ns = base_clock_monotonic_ns();
    while (rc == 0 && goes_on(flight, now_ns)) {
        rc = append_due(flight, now_ns);
        now_ns = base_clock_monotonic_ns();
        uint64_t next_ns = due_ns(flight, flight->issued);
        int64_t pause_ns = next_ns > now_ns ? (int64_t)(next_ns - now_ns) : 0;
        if (rc < 0) {
            break;
        }
        if (pause_ns == 0) {
            weir_lsn durable = 0;
            rc = weir_process(flight->phase->log, &durable);
            land(flight, durable);
        } else if (flight->landed < flight->issued) {
            rc = await_oldest(flight, pause_ns);
        } else {
            sleep_for(pause_ns);
        }
        now_ns = base_clock_monotonic_ns();
    }
    return rc;
}

static int run_flight(struct flight *flight)
{
    struct append_phase *phase = flight->phase;
    flight->start_ns = base_clock_monotonic_ns();
    flight->deadline_ns =
        phase->records > 0 ? UINT64_MAX
                           : flight->start_ns + (uint64_t)(phase->seconds * (double)BASE_NS_PER_S);
    int rc = phase->per_s > 0.0 ? run_timetable(flight) : run_closed(flight);
    if (rc == 0) {
        rc = weir_commit(phase->log);
        land(flight, weir_durable_lsn(phase->log));
    }
    phase->done_records = flight->issued;
    phase->took_s = (double)(base_clock_monotonic_ns() - flight->start_ns) / (double)BASE_NS_PER_S;
    return rc;
}

int append_phase_outstanding(struct append_phase *phase)
{
    unsigned outstanding = phase->options->outstanding;
    struct flight flight = {
        .phase = phase, .fd = -1, .sample = outstanding <= TIME_ALL_UP_TO ? 1 : SAMPLE_EVERY};
    flight.times = base_alloc_array(outstanding, sizeof *flight.times);
    if (flight.times == NULL) {
        return -ENOMEM;
    }
    int rc = phase->options->event_loop ? weir_eventfd(phase->log, &flight.fd) : 0;
    if (rc == 0) {
        rc = run_flight(&flight);
    }
    base_free(flight.times);
    return rc;
}
