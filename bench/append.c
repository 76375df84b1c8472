/*
 * bench_append: a fresh log, segments made ahead, the peak, and on request the latency at a rate.
 *
 *   1. open a log in a directory of our own;
 *   2. warm up: a tenth of the run, which shows how many bytes the run will need, and make segments
 *      for them (both are setup_s; with `cold` neither happens);
 *   3. the phase at full speed, with the log's counters read before and after;
 *   4. the phase at a rate, if asked for;
 *   5. close and remove.
 *
 * A run that outgrows what was made ahead makes segments inside the clock: segments_made says so.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "bench/append_phase.h"
#include "bench/workdir.h"

#include <weir/append.h>
#include <weir/inspect.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WARM_UP_SHARE 0.1
#define WARM_UP_MAX_S 0.2
#define WARM_UP_TURNS 4u
#define WARM_UP_GROWTH 4u /* the device writes about so much faster than files are made */
#define HEADROOM 1.2
#define HEADROOM_UNKNOWN 2.5 /* a run by time may be that much faster than its warm-up */
#define SIZE_MAX_BYTES ((size_t)1 << 20)
#define WRITERS_MAX 1024u
#define BATCH_MAX 4096u
#define OUTSTANDING_MAX (1u << 20)

struct session {
    const struct bench_append_options *options;
    struct bench_result *result;
    struct bench_payload payload;
    struct weir_log *log;
    struct append_phase *phase;
    char path[PATH_MAX];
};

static int explain(struct session *session, const char *doing, int rc)
{
    if (session->result->error[0] == '\0') {
        (void)snprintf(session->result->error, sizeof session->result->error, "%s: %s", doing,
                       weir_error_text(rc));
    }
    return rc;
}

static bool options_are_valid(const struct bench_append_options *options)
{
    return options->directory != NULL && options->size_min >= 1 &&
           options->size_min <= options->size_max && options->size_max <= SIZE_MAX_BYTES &&
           options->writers >= 1 && options->writers <= WRITERS_MAX && options->batch >= 1 &&
           options->batch <= BATCH_MAX && options->outstanding >= 1 &&
           options->outstanding <= OUTSTANDING_MAX &&
           (options->outstanding == 1 || (options->writers == 1 && options->batch == 1)) &&
           options->durability >= WEIR_EACH && options->durability <= WEIR_NONE &&
           (options->records > 0 || options->seconds > 0.0) && options->open_loop_per_s >= 0.0;
}

static int open_log(struct session *session)
{
    const struct bench_append_options *options = session->options;
    struct weir_log_options log_options = WEIR_LOG_OPTIONS_INIT;
    log_options.flags = WEIR_LOG_CREATE;
    if (options->outstanding > 1) {
        log_options.flags |= WEIR_LOG_SINGLE_THREAD;
    }
    if (options->emulated_pmem) {
        log_options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    log_options.medium = options->medium;
    log_options.io = options->io;
    log_options.witness = options->witness;
    log_options.segment_bytes = options->segment_bytes;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_log_open(session->path, &log_options, &session->log, &why);
    if (rc < 0) {
        (void)snprintf(session->result->error, sizeof session->result->error, "%s",
                       why.text[0] != '\0' ? why.text : weir_error_text(rc));
        return rc;
    }
    struct weir_open_report report = {.size = sizeof report};
    rc = weir_log_report(session->log, &report);
    if (rc == 0) {
        struct bench_result *result = session->result;
        result->durable = report.medium.durable && !report.medium.emulated;
        result->emulated = report.medium.emulated;
        memcpy(result->medium, report.medium.name, sizeof result->medium);
        memcpy(result->io, report.medium.io, sizeof result->io);
        memcpy(result->reason, report.medium.reason, sizeof result->reason);
    }
    return rc;
}

/* Runs a phase of so many seconds or records; its outcome stays in session->phase. */
static int run_phase(struct session *session, double seconds, uint64_t records, double per_s)
{
    struct append_phase *phase = session->phase;
    memset(phase, 0, sizeof *phase);
    base_histogram_reset(&phase->latency);
    phase->options = session->options;
    phase->payload = &session->payload;
    phase->log = session->log;
    phase->seconds = seconds;
    phase->records = records;
    phase->per_s = per_s;
    phase->memory = strcmp(session->result->io, "cpu") == 0;
    int rc = session->options->outstanding > 1 ? append_phase_outstanding(phase)
                                               : append_phase_writers(phase);
    return rc < 0 ? explain(session, "append", rc) : 0;
}

static int read_stat(struct session *session, struct weir_stat *stat)
{
    *stat = (struct weir_stat)WEIR_STAT_INIT;
    int rc = weir_log_stat(session->log, stat);
    return rc < 0 ? explain(session, "stat", rc) : 0;
}

static uint64_t bytes_needed(const struct session *session, uint64_t grown_bytes)
{
    const struct bench_append_options *options = session->options;
    const struct append_phase *warm_up = session->phase;
    double bytes;
    if (options->records > 0) {
        bytes =
            (double)grown_bytes / (double)(warm_up->done_records + 1) * (double)options->records;
    } else {
        bytes = (double)grown_bytes / warm_up->took_s * options->seconds * HEADROOM_UNKNOWN;
    }
    if (options->open_loop_half) {
        bytes *= 1.5;
    } else if (options->open_loop_per_s > 0.0) {
        bytes *= 2.0;
    }
    return (uint64_t)(bytes * HEADROOM);
}

static uint64_t segments_between(const struct weir_stat *before, const struct weir_stat *after)
{
    uint64_t made_before = before->segments + before->spare_segments;
    uint64_t made_after = after->segments + after->spare_segments;
    return made_after > made_before ? made_after - made_before : 0;
}

/* Free space that leaves the disk a fifth of it. */
static int check_room(struct session *session, uint64_t needed)
{
    uint64_t room = bench_free_bytes(session->path);
    if (room > 0 && needed > room / 10 * 8) {
        (void)snprintf(session->result->error, sizeof session->result->error,
                       "the run would write about %llu MiB and %llu MiB are free",
                       (unsigned long long)(needed >> 20), (unsigned long long)(room >> 20));
        return -ENOSPC;
    }
    return 0;
}

static int prepare(struct session *session, uint64_t needed)
{
    int rc = check_room(session, needed);
    if (rc < 0) {
        return rc;
    }
    rc = weir_prepare(session->log, needed);
    return rc < 0 ? explain(session, "prepare", rc) : 0;
}

/* How much a tenth of the run writes. By time, the first turn touches memory for the first time and
 * makes segments itself, and is several times slower than the run will be: so again, with enough of
 * them, until a turn has made none. */
static int warm_up(struct session *session, uint64_t *ret_grown)
{
    const struct bench_append_options *options = session->options;
    double seconds = options->seconds * WARM_UP_SHARE;
    seconds = seconds < WARM_UP_MAX_S ? seconds : WARM_UP_MAX_S;
    uint64_t records = options->records > 0 ? options->records / 10 + 1 : 0;
    for (unsigned turn = 1;; turn++) {
        struct weir_stat before;
        struct weir_stat after;
        int rc = read_stat(session, &before);
        rc = rc < 0 ? rc : run_phase(session, seconds, records, 0.0);
        rc = rc < 0 ? rc : read_stat(session, &after);
        if (rc < 0) {
            return rc;
        }
        *ret_grown = after.log_bytes > before.log_bytes ? after.log_bytes - before.log_bytes : 0;
        bool is_warm = turn > 1 && segments_between(&before, &after) == 0;
        if (records > 0 || turn == WARM_UP_TURNS || is_warm) {
            return 0;
        }
        rc = prepare(session, *ret_grown * WARM_UP_GROWTH);
        if (rc < 0) {
            return rc;
        }
    }
}

static int make_segments(struct session *session)
{
    uint64_t grown = 0;
    int rc = warm_up(session, &grown);
    return rc < 0 ? rc : prepare(session, bytes_needed(session, grown));
}

static void take_latency(struct session *session)
{
    struct bench_result *result = session->result;
    const struct base_histogram *latency = &session->phase->latency;
    result->latency_count = base_histogram_count(latency);
    result->p50_us = (double)base_histogram_percentile(latency, 50.0) / 1e3;
    result->p99_us = (double)base_histogram_percentile(latency, 99.0) / 1e3;
    result->p999_us = (double)base_histogram_percentile(latency, 99.9) / 1e3;
    result->max_us = (double)base_histogram_max(latency) / 1e3;
    result->open_loop_per_s = session->phase->per_s;
}

static int measure_peak(struct session *session)
{
    const struct bench_append_options *options = session->options;
    struct bench_result *result = session->result;
    struct weir_stat before;
    struct weir_stat after;
    int rc = read_stat(session, &before);
    if (rc == 0) {
        rc = run_phase(session, options->seconds, options->records, 0.0);
    }
    if (rc == 0) {
        rc = read_stat(session, &after);
    }
    if (rc < 0) {
        return rc;
    }
    const struct append_phase *phase = session->phase;
    result->records = phase->done_records;
    result->bytes = phase->done_bytes;
    result->seconds = phase->took_s;
    if (phase->done_records > 0) {
        double records = (double)phase->done_records;
        double bytes = (double)phase->done_bytes;
        result->records_per_s = records / phase->took_s;
        result->bytes_per_s = bytes / phase->took_s;
        result->flushes_per_record = (double)(after.flushes - before.flushes) / records;
        result->device_bytes_per_byte = (double)(after.device_bytes - before.device_bytes) / bytes;
    }
    result->segments_made = segments_between(&before, &after);
    take_latency(session);
    return 0;
}

static int measure_at_rate(struct session *session)
{
    const struct bench_append_options *options = session->options;
    double per_s =
        options->open_loop_half ? session->result->records_per_s / 2.0 : options->open_loop_per_s;
    if (per_s <= 0.0 || bench_interrupted()) {
        return 0;
    }
    int rc = run_phase(session, options->seconds, options->records, per_s);
    if (rc == 0) {
        take_latency(session);
    }
    return rc;
}

static int run_session(struct session *session)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = open_log(session);
    if (rc < 0) {
        return rc;
    }
    if (!session->options->cold) {
        rc = make_segments(session);
    }
    session->result->setup_s =
        (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
    if (rc == 0) {
        rc = measure_peak(session);
    }
    if (rc == 0) {
        rc = measure_at_rate(session);
    }
    int close_rc = weir_log_close(session->log);
    return rc < 0 || close_rc == 0 ? rc : explain(session, "close", close_rc);
}

int bench_append(const struct bench_append_options *options, struct bench_result *ret_result)
{
    memset(ret_result, 0, sizeof *ret_result);
    struct session session = {.options = options, .result = ret_result};
    if (!options_are_valid(options)) {
        return explain(&session, "options", -EINVAL);
    }
    session.phase = base_alloc(sizeof *session.phase);
    int rc = session.phase == NULL
                 ? -ENOMEM
                 : bench_payload_create(&session.payload, options->size_min, options->size_max);
    if (rc < 0) {
        base_free(session.phase);
        return explain(&session, "memory", rc);
    }
    struct bench_workdir workdir;
    rc = bench_workdir_create(&workdir, options->directory);
    if (rc == 0) {
        (void)snprintf(session.path, sizeof session.path, "%.*s/log",
                       (int)(sizeof session.path - 8), workdir.path);
        rc = run_session(&session);
        bench_workdir_remove(&workdir);
    } else {
        (void)explain(&session, options->directory, rc);
    }
    ret_result->interrupted = bench_interrupted();
    bench_payload_destroy(&session.payload);
    base_free(session.phase);
    return rc;
}
