/*
 * Doing a job: which loop it is, and the numbers that come out of it.
 *
 * Payload for pmem and no-sync runs is counted in records, so that every system does the same work;
 * durable runs are counted in time. A full pool (-ENOSPC) ends a run early and is no failure.
 */
#include "bench/peers/job.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/peers/append_loop.h"
#include "bench/raw_device.h"
#include "bench/workdir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define RAW_FILE_BYTES ((uint64_t)256 << 20)
#define MAPPED_FILE_BYTES ((uint64_t)64 << 20)
#define LOAD_BATCH 64u
#define PASSES_MAX 31u

/* Beyond what any system here reaches with each record durable. */
#define DURABLE_RECORDS_PER_S 600000.0

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

static void take_latency(struct peer_outcome *outcome, const struct base_histogram *latency)
{
    outcome->p50_us = (double)base_histogram_percentile(latency, 50.0) / 1e3;
    outcome->p99_us = (double)base_histogram_percentile(latency, 99.0) / 1e3;
    outcome->p999_us = (double)base_histogram_percentile(latency, 99.9) / 1e3;
}

static struct peer_settings make_settings(const struct peer_job *job,
                                          const struct bench_payload *payload)
{
    struct peer_settings settings = {.size_max = job->size_max,
                                     .fixed_size = job->size_min == job->size_max,
                                     .for_scan = job->verify || job->kind == JOB_SCAN,
                                     .durable = job->durable,
                                     .writers = job->writers,
                                     .batch = job->batch,
                                     .medium = job->medium};
    (void)snprintf(settings.directory, sizeof settings.directory, "%s", job->directory);
    uint64_t records =
        job->records > 0 ? job->records : (uint64_t)(DURABLE_RECORDS_PER_S * job->seconds);
    settings.expected_bytes = bench_payload_bytes(payload, 0, records);
    return settings;
}

/* Closes, reopens and reads everything back. */
static int verify_records(const struct peer_ops *ops, const struct peer_settings *settings,
                          const struct bench_payload *payload, struct peer_outcome *outcome)
{
    void *peer;
    int rc = ops->open(settings, false, &peer);
    if (rc < 0) {
        return rc;
    }
    struct peer_tally tally = {.check = payload};
    rc = ops->scan(peer, &tally);
    ops->close(peer);
    outcome->scanned = tally.records;
    outcome->strangers = tally.strangers;
    return rc;
}

static int run_append(const struct peer_job *job, const struct peer_ops *ops,
                      const struct bench_payload *payload, struct peer_outcome *outcome)
{
    struct peer_settings settings = make_settings(job, payload);
    uint64_t start_ns = base_clock_monotonic_ns();
    void *peer;
    int rc = ops->open(&settings, true, &peer);
    if (rc < 0) {
        return rc;
    }
    outcome->setup_s = seconds_since(start_ns);
    struct append_run *run = base_alloc_zero(sizeof *run);
    if (run == NULL) {
        ops->close(peer);
        return -ENOMEM;
    }
    rc = append_loop(ops, peer, payload, job, run);
    ops->close(peer);
    outcome->records = run->records;
    outcome->seconds = run->seconds;
    outcome->per_s = (double)run->records / run->seconds;
    outcome->bytes_per_s = (double)run->bytes / run->seconds;
    take_latency(outcome, &run->latency);
    base_free(run);
    return rc == 0 && job->verify ? verify_records(ops, &settings, payload, outcome) : rc;
}

static int load_records(const struct peer_job *job, const struct peer_ops *ops, void *peer,
                        const struct bench_payload *payload)
{
    struct peer_job load = *job;
    load.durable = false;
    load.writers = 1;
    load.batch = LOAD_BATCH;
    load.seconds = 1e6;
    struct append_run *run = base_alloc_zero(sizeof *run);
    if (run == NULL) {
        return -ENOMEM;
    }
    int rc = append_loop(ops, peer, payload, &load, run);
    base_free(run);
    return rc;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The first pass, then passes for `seconds`, whose median counts. */
static int time_scans(const struct peer_job *job, const struct peer_ops *ops, void *peer,
                      struct peer_outcome *outcome)
{
    double rates[PASSES_MAX];
    unsigned passes = 0;
    uint64_t start_ns = base_clock_monotonic_ns();
    for (unsigned pass = 0; passes < PASSES_MAX; pass++) {
        if (passes > 0 && seconds_since(start_ns) > job->seconds) {
            break;
        }
        struct peer_tally tally = {0};
        uint64_t pass_ns = base_clock_monotonic_ns();
        int rc = ops->scan(peer, &tally);
        if (rc < 0) {
            return rc;
        }
        if (tally.records != job->records) {
            return peer_fail("%s: the scan brought %llu records of %llu", ops->title,
                             (unsigned long long)tally.records, (unsigned long long)job->records);
        }
        double rate = (double)tally.records / seconds_since(pass_ns);
        if (pass == 0) {
            outcome->first_per_s = rate;
        } else {
            rates[passes++] = rate;
        }
    }
    qsort(rates, passes, sizeof *rates, ascending);
    outcome->per_s = rates[passes / 2];
    outcome->records = job->records;
    return 0;
}

static int run_scan(const struct peer_job *job, const struct peer_ops *ops,
                    const struct bench_payload *payload, struct peer_outcome *outcome)
{
    struct peer_settings settings = make_settings(job, payload);
    uint64_t start_ns = base_clock_monotonic_ns();
    void *peer;
    int rc = ops->open(&settings, true, &peer);
    if (rc < 0) {
        return rc;
    }
    rc = load_records(job, ops, peer, payload);
    ops->close(peer);
    if (rc == 0) {
        rc = bench_warm(job->directory);
    }
    if (rc == 0) {
        rc = ops->open(&settings, false, &peer);
    }
    if (rc < 0) {
        return rc;
    }
    outcome->setup_s = seconds_since(start_ns);
    rc = time_scans(job, ops, peer, outcome);
    ops->close(peer);
    return rc;
}

static int run_outstanding(const struct peer_job *job, struct peer_outcome *outcome)
{
    struct bench_append_options options = BENCH_APPEND_OPTIONS_INIT;
    options.directory = job->directory;
    options.size_min = job->size_min;
    options.size_max = job->size_max;
    options.outstanding = job->outstanding;
    options.durability = WEIR_GROUP;
    options.medium = (enum weir_medium_kind)job->medium;
    options.seconds = job->seconds;
    options.records = job->records;
    struct bench_result result;
    int rc = bench_append(&options, &result);
    if (rc < 0) {
        return peer_fail("Weir: %s", result.error);
    }
    outcome->records = result.records;
    outcome->seconds = result.seconds;
    outcome->per_s = result.records_per_s;
    outcome->bytes_per_s = result.bytes_per_s;
    outcome->setup_s = result.setup_s;
    outcome->p50_us = result.p50_us;
    outcome->p99_us = result.p99_us;
    outcome->p999_us = result.p999_us;
    return 0;
}

static int run_raw_loop(const struct peer_job *job, const struct bench_payload *payload,
                        struct raw_file *file, struct raw_result *result)
{
    struct raw_load load = {.depth = job->depth, .payload = payload};
    switch (job->kind) {
    case JOB_RAW_OVERWRITE:
        return raw_overwrite(file, job->seconds, result);
    case JOB_RAW_MAPPED:
        return raw_mapped_flush(file, job->seconds, result);
    case JOB_RAW_BATCHES:
        load.records = job->outstanding / job->depth;
        load.chunk_bytes = (load.records * job->size_max + RAW_BLOCK - 1) / RAW_BLOCK * RAW_BLOCK;
        return raw_overwrite_ring(file, &load, job->seconds, result);
    case JOB_RAW_LEADER:
        return raw_leader(file, payload, job->writers, job->seconds, result);
    case JOB_RAW_SEQUENTIAL:
        return raw_write_sequential(file, job->seconds, file->size_bytes, result);
    case JOB_APPEND:
    case JOB_SCAN:
    case JOB_OUTSTANDING:
        break;
    }
    return -EINVAL;
}

static uint64_t raw_file_bytes(const struct peer_job *job, const struct bench_payload *payload)
{
    const uint64_t mib = (uint64_t)1 << 20;
    if (job->kind == JOB_RAW_SEQUENTIAL) { /* the same bytes as the others write */
        return (bench_payload_bytes(payload, 0, job->records) + mib - 1) / mib * mib;
    }
    return job->kind == JOB_RAW_MAPPED ? MAPPED_FILE_BYTES : RAW_FILE_BYTES;
}

static int run_raw(const struct peer_job *job, const struct bench_payload *payload,
                   struct peer_outcome *outcome)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    struct raw_file file;
    struct raw_result *result = base_alloc(sizeof *result);
    int rc = result == NULL ? -ENOMEM
                            : raw_file_create(&file, job->directory, raw_file_bytes(job, payload));
    if (rc == 0) {
        outcome->setup_s = seconds_since(start_ns);
        rc = run_raw_loop(job, payload, &file, result);
        raw_file_destroy(&file);
    }
    if (rc == 0) {
        outcome->records = result->operations;
        outcome->seconds = result->seconds;
        outcome->per_s = (double)result->operations / result->seconds;
        outcome->bytes_per_s = (double)result->bytes / result->seconds;
        take_latency(outcome, &result->latency);
    } else {
        (void)peer_fail("raw loop: %s", strerror(-rc));
    }
    base_free(result);
    return rc;
}

static int run_peer(const struct peer_job *job, const struct bench_payload *payload,
                    struct peer_outcome *outcome)
{
    const struct peer_ops *ops = peer_find(job->peer);
    if (ops == NULL) {
        return peer_fail("%s is not part of this build", job->peer);
    }
    return job->kind == JOB_SCAN ? run_scan(job, ops, payload, outcome)
                                 : run_append(job, ops, payload, outcome);
}

void peer_job_run(const struct peer_job *job, struct peer_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof *ret_outcome);
    struct bench_payload payload;
    int rc = bench_payload_create(&payload, job->size_min, job->size_max);
    if (rc == 0) {
        switch (job->kind) {
        case JOB_APPEND:
        case JOB_SCAN:
            rc = run_peer(job, &payload, ret_outcome);
            break;
        case JOB_OUTSTANDING:
            rc = run_outstanding(job, ret_outcome);
            break;
        case JOB_RAW_OVERWRITE:
        case JOB_RAW_MAPPED:
        case JOB_RAW_BATCHES:
        case JOB_RAW_LEADER:
        case JOB_RAW_SEQUENTIAL:
            rc = run_raw(job, &payload, ret_outcome);
            break;
        }
        bench_payload_destroy(&payload);
    }
    ret_outcome->rc = rc;
    if (rc < 0) {
        const char *why = peer_failure();
        (void)snprintf(ret_outcome->failure, sizeof ret_outcome->failure, "%s",
                       why[0] != '\0' ? why : strerror(-rc));
    }
}
