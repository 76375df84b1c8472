/*
 * Blocking writers.
 *
 * Closed loop: each appends as soon as its last append has returned. Open loop: each has a
 * timetable, its start times spread between those of the others; an append that starts late because
 * the one before took long is measured from when it should have started.
 *
 * WEIR_EACH is timed one by one. The others take less than reading a clock does: one in 64 is
 * timed.
 */
#include "bench/append_phase.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sync.h"
#include "base/thread.h"
#include "bench/workdir.h"

#include <weir/append.h>

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <time.h>

#define SAMPLE_EVERY 64u
#define TIMER_SLACK_NS 1000ul /* the kernel's 50 us would show up as latency */

struct team {
    struct append_phase *phase;
    _Atomic uint32_t gate; /* 1: the clock runs, or error says that it never will */
    uint64_t start_ns;
    uint64_t deadline_ns;
    _Atomic int error;
};

struct writer {
    struct team *team;
    struct base_thread thread;
    unsigned index;
    uint64_t limit;
    uint64_t records;
    uint64_t bytes;
    struct base_histogram latency;
    struct weir_entry *entries; /* options->batch of them */
};

static int append_batch(struct writer *self)
{
    const struct append_phase *phase = self->team->phase;
    const struct bench_append_options *options = phase->options;
    uint64_t number = self->records + (uint64_t)self->index * 97;
    uint64_t bytes = 0;
    unsigned count = options->batch;
    if (count > self->limit - self->records) {
        count = (unsigned)(self->limit - self->records);
    }
    for (unsigned index = 0; index < count; index++) {
        self->entries[index].parts = bench_payload_at(phase->payload, number + index);
        self->entries[index].part_count = 1;
        bytes += self->entries[index].parts->size;
    }
    int rc = count == 1
                 ? weir_append(phase->log, self->entries, options->durability, NULL)
                 : weir_append_batch(phase->log, self->entries, count, options->durability, NULL);
    if (rc == 0) {
        self->records += count;
        self->bytes += bytes;
    }
    return rc;
}

static bool goes_on(const struct writer *self)
{
    return self->records < self->limit && !bench_interrupted() &&
           atomic_load_explicit(&self->team->error, memory_order_relaxed) == 0;
}

static int run_timed(struct writer *self)
{
    uint64_t now_ns = base_clock_monotonic_ns();
    int rc = 0;
    while (rc == 0 && now_ns < self->team->deadline_ns && goes_on(self)) {
        rc = append_batch(self);
        uint64_t end_ns = base_clock_monotonic_ns();
        base_histogram_record(&self->latency, end_ns - now_ns);
        now_ns = end_ns;
    }
    return rc;
}

static int run_sampled(struct writer *self)
{
    int rc = 0;
    uint64_t now_ns = base_clock_monotonic_ns();
    while (rc == 0 && now_ns < self->team->deadline_ns && goes_on(self)) {
        rc = append_batch(self);
        base_histogram_record(&self->latency, base_clock_monotonic_ns() - now_ns);
        for (unsigned turn = 1; rc == 0 && turn < SAMPLE_EVERY && goes_on(self); turn++) {
            rc = append_batch(self);
        }
        now_ns = base_clock_monotonic_ns();
    }
    return rc;
}

static void sleep_until(uint64_t time_ns)
{
    struct timespec time = {.tv_sec = (time_t)(time_ns / BASE_NS_PER_S),
                            .tv_nsec = (long)(time_ns % BASE_NS_PER_S)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static int run_timetable(struct writer *self)
{
    const struct append_phase *phase = self->team->phase;
    const struct bench_append_options *options = phase->options;
    double interval_ns = (double)BASE_NS_PER_S * options->writers * options->batch / phase->per_s;
    double offset_ns = interval_ns * self->index / options->writers;
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    int rc = 0;
    for (uint64_t turn = 0; rc == 0 && goes_on(self); turn++) {
        uint64_t intended_ns =
            self->team->start_ns + (uint64_t)(offset_ns + interval_ns * (double)turn);
        if (intended_ns >= self->team->deadline_ns) {
            break;
        }
        if (intended_ns > base_clock_monotonic_ns()) {
            sleep_until(intended_ns);
        }
        rc = append_batch(self);
        uint64_t end_ns = base_clock_monotonic_ns();
        base_histogram_record(&self->latency, end_ns > intended_ns ? end_ns - intended_ns : 0);
    }
    return rc;
}

static void run_writer(void *context)
{
    struct writer *self = context;
    struct team *team = self->team;
    /* Acquire pairs with the release in open_gate. */
    while (atomic_load_explicit(&team->gate, memory_order_acquire) == 0) {
        (void)base_wait(&team->gate, 0, -1, false);
    }
    int rc;
    if (team->phase->per_s > 0.0) {
        rc = run_timetable(self);
    } else if (team->phase->options->durability == WEIR_EACH && !team->phase->memory) {
        rc = run_timed(self);
    } else {
        rc = run_sampled(self);
    }
    if (rc < 0) {
        atomic_store_explicit(&team->error, rc, memory_order_relaxed);
    }
}

static int prepare_writers(struct team *team, struct writer *writers)
{
    const struct append_phase *phase = team->phase;
    unsigned count = phase->options->writers;
    uint64_t total = phase->records > 0 ? phase->records : UINT64_MAX;
    for (unsigned index = 0; index < count; index++) {
        struct writer *writer = &writers[index];
        writer->team = team;
        writer->index = index;
        writer->limit = total / count + (index < total % count ? 1 : 0);
        base_histogram_reset(&writer->latency);
        writer->entries = base_alloc_array(phase->options->batch, sizeof *writer->entries);
        if (writer->entries == NULL) {
            return -ENOMEM;
        }
    }
    return 0;
}

static void open_gate(struct team *team)
{
    const struct append_phase *phase = team->phase;
    team->start_ns = base_clock_monotonic_ns();
    team->deadline_ns = phase->records > 0
                            ? UINT64_MAX
                            : team->start_ns + (uint64_t)(phase->seconds * (double)BASE_NS_PER_S);
    atomic_store_explicit(&team->gate, 1, memory_order_release);
    base_wake(&team->gate, INT_MAX, false);
}

static int run_team(struct team *team, struct writer *writers)
{
    struct append_phase *phase = team->phase;
    unsigned started = 0;
    int rc = 0;
    while (rc == 0 && started < phase->options->writers) {
        rc = base_thread_start(&writers[started].thread, "bench", run_writer, &writers[started]);
        started += rc == 0 ? 1 : 0;
    }
    if (rc < 0) { /* too few: those that are there find the error and end */
        atomic_store_explicit(&team->error, rc, memory_order_relaxed);
    }
    open_gate(team);
    for (unsigned index = 0; index < started; index++) {
        base_thread_join(&writers[index].thread);
    }
    rc = atomic_load_explicit(&team->error, memory_order_relaxed);
    if (rc == 0) {
        rc = weir_commit(phase->log);
    }
    phase->took_s = (double)(base_clock_monotonic_ns() - team->start_ns) / (double)BASE_NS_PER_S;
    for (unsigned index = 0; index < started; index++) {
        phase->done_records += writers[index].records;
        phase->done_bytes += writers[index].bytes;
        base_histogram_merge(&phase->latency, &writers[index].latency);
    }
    return rc;
}

int append_phase_writers(struct append_phase *phase)
{
    unsigned count = phase->options->writers;
    struct team team = {.phase = phase};
    struct writer *writers = base_alloc_array(count, sizeof *writers);
    if (writers == NULL) {
        return -ENOMEM;
    }
    int rc = prepare_writers(&team, writers);
    if (rc == 0) {
        rc = run_team(&team, writers);
    }
    for (unsigned index = 0; index < count; index++) {
        base_free(writers[index].entries);
    }
    base_free(writers);
    return rc;
}
