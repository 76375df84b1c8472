/*
 * Writers line up at a gate, append until the time or the records are used up, and end with one
 * sync, inside the clock. A durable append is timed one by one; others are far shorter than reading
 * a clock, so only the end of the run is looked for, once in 64 appends.
 */
#include "bench/peers/append_loop.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sync.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>

#define LOOK_EVERY 64u
#define SAMPLE_EVERY 16u

struct shared {
    const struct peer_ops *ops;
    const struct bench_payload *payload;
    const struct peer_job *job;
    _Atomic uint32_t gate; /* 1: the clock runs, or error says that it never will */
    uint64_t start_ns;
    uint64_t deadline_ns;
    _Atomic int error;
};

struct writer {
    struct shared *shared;
    struct base_thread thread;
    void *handle;
    uint64_t first;   /* number of its first record */
    uint64_t limit;   /* how many at most */
    uint64_t records; /* how many it has appended */
    uint64_t end_ns;
    struct base_histogram latency;
};

static int append_next(struct writer *self, unsigned count)
{
    const struct shared *shared = self->shared;
    uint64_t number = (self->first + self->records) & (BENCH_PAYLOADS - 1);
    if (number + count > BENCH_PAYLOADS) {
        number = 0; /* a batch is one array: do not run over its end */
    }
    int rc = shared->ops->append(self->handle, &shared->payload->parts[number], count,
                                 shared->job->durable);
    if (rc == 0) {
        self->records += count;
    }
    return rc;
}

static bool has_more(const struct writer *self)
{
    const struct shared *shared = self->shared;
    return self->records + shared->job->batch <= self->limit &&
           atomic_load_explicit(&shared->error, memory_order_relaxed) == 0;
}

static int append_durable(struct writer *self)
{
    const struct peer_job *job = self->shared->job;
    unsigned untimed = job->force_pmem ? SAMPLE_EVERY - 1 : 0;
    uint64_t now_ns = base_clock_monotonic_ns();
    int rc = 0;
    while (rc == 0 && now_ns < self->shared->deadline_ns && has_more(self)) {
        rc = append_next(self, job->batch);
        uint64_t end_ns = base_clock_monotonic_ns();
        base_histogram_record(&self->latency, end_ns - now_ns);
        now_ns = end_ns;
        for (unsigned turn = 0; rc == 0 && turn < untimed && has_more(self); turn++) {
            rc = append_next(self, job->batch);
        }
        if (untimed > 0) {
            now_ns = base_clock_monotonic_ns();
        }
    }
    return rc;
}

static int append_fast(struct writer *self)
{
    uint64_t deadline_ns = self->shared->deadline_ns;
    unsigned batch = self->shared->job->batch;
    int rc = 0;
    while (rc == 0 && self->records < self->limit && base_clock_monotonic_ns() < deadline_ns) {
        for (unsigned turn = 0; rc == 0 && turn < LOOK_EVERY; turn++) {
            uint64_t left = self->limit - self->records;
            if (left == 0) {
                break;
            }
            rc = append_next(self, left < batch ? (unsigned)left : batch);
        }
    }
    return rc;
}

static void run_writer(void *context)
{
    struct writer *self = context;
    struct shared *shared = self->shared;
    /* Acquire pairs with the release in open_gate. */
    while (atomic_load_explicit(&shared->gate, memory_order_acquire) == 0) {
        (void)base_wait(&shared->gate, 0, -1, false);
    }
    if (atomic_load_explicit(&shared->error, memory_order_relaxed) < 0) {
        return;
    }
    int rc = shared->job->durable ? append_durable(self) : append_fast(self);
    if (rc == 0 || rc == -ENOSPC) {
        rc = shared->ops->sync(self->handle);
    }
    self->end_ns = base_clock_monotonic_ns();
    if (rc < 0) {
        atomic_store_explicit(&shared->error, rc, memory_order_relaxed);
    }
}

static int open_writers(struct shared *shared, void *peer, struct writer *writers)
{
    const struct peer_job *job = shared->job;
    uint64_t total = job->records > 0 ? job->records : UINT64_MAX;
    for (unsigned index = 0; index < job->writers; index++) {
        struct writer *writer = &writers[index];
        writer->shared = shared;
        writer->limit = total / job->writers + (index < total % job->writers ? 1 : 0);
        writer->first = (uint64_t)index * 97; /* neighbours append different records */
        base_histogram_reset(&writer->latency);
        int rc = shared->ops->writer_open(peer, &writer->handle);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void open_gate(struct shared *shared)
{
    shared->start_ns = base_clock_monotonic_ns();
    shared->deadline_ns =
        shared->start_ns + (uint64_t)(shared->job->seconds * (double)BASE_NS_PER_S);
    atomic_store_explicit(&shared->gate, 1, memory_order_release);
    base_wake(&shared->gate, INT_MAX, false);
}

static int run_writers(struct shared *shared, struct writer *writers, struct append_run *run)
{
    unsigned started = 0;
    int rc = 0;
    while (rc == 0 && started < shared->job->writers) {
        rc = base_thread_start(&writers[started].thread, "writer", run_writer, &writers[started]);
        started += rc == 0 ? 1 : 0;
    }
    if (rc < 0) { /* too few: those that are there find the error and end */
        atomic_store_explicit(&shared->error, rc, memory_order_relaxed);
    }
    open_gate(shared);
    uint64_t end_ns = shared->start_ns + 1;
    for (unsigned index = 0; index < started; index++) {
        base_thread_join(&writers[index].thread);
        run->records += writers[index].records;
        base_histogram_merge(&run->latency, &writers[index].latency);
        end_ns = writers[index].end_ns > end_ns ? writers[index].end_ns : end_ns;
    }
    run->bytes = bench_payload_bytes(shared->payload, 0, run->records);
    run->seconds = (double)(end_ns - shared->start_ns) / (double)BASE_NS_PER_S;
    return atomic_load_explicit(&shared->error, memory_order_relaxed);
}

int append_loop(const struct peer_ops *ops, void *peer, const struct bench_payload *payload,
                const struct peer_job *job, struct append_run *ret_run)
{
    struct shared shared = {.ops = ops, .payload = payload, .job = job};
    base_histogram_reset(&ret_run->latency);
    struct writer *writers = base_alloc_array(job->writers, sizeof *writers);
    if (writers == NULL) {
        return -ENOMEM;
    }
    int rc = open_writers(&shared, peer, writers);
    if (rc == 0) {
        rc = run_writers(&shared, writers, ret_run);
    }
    for (unsigned index = 0; index < job->writers; index++) {
        if (writers[index].handle != NULL) {
            ops->writer_close(writers[index].handle);
        }
    }
    base_free(writers);
    return rc;
}
