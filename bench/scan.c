/*
 * bench_scan: fill a log, close it, read its files into the page cache, open it again and read it
 * with a cursor: once with every byte verified for the first time, then again and again.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/payload.h"
#include "bench/workdir.h"

#include <weir/append.h>
#include <weir/cursor.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_BATCH 64
#define SCAN_BATCH_MAX 1024
#define PASSES_MAX 101
#define SIZE_MAX_BYTES ((size_t)1 << 20)

struct session {
    const struct bench_scan_options *options;
    struct bench_scan_result *result;
    struct bench_payload payload;
    struct weir_log *log;
    struct weir_record *records; /* options->batch of them */
    uint64_t seen_records;       /* of one pass */
    uint64_t seen_bytes;
    uint64_t mixed; /* first bytes of every record: keeps the loads in */
    char path[PATH_MAX];
};

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

static int explain(struct session *session, const char *doing, int rc)
{
    if (session->result->error[0] == '\0') {
        (void)snprintf(session->result->error, sizeof session->result->error, "%s: %s", doing,
                       weir_error_text(rc));
    }
    return rc;
}

static int open_log(struct session *session, uint32_t flags)
{
    const struct bench_scan_options *options = session->options;
    struct weir_log_options log_options = WEIR_LOG_OPTIONS_INIT;
    log_options.flags = flags;
    if (options->emulated_pmem) {
        log_options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    log_options.medium = options->medium;
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
        session->result->durable = report.medium.durable && !report.medium.emulated;
        session->result->emulated = report.medium.emulated;
        memcpy(session->result->medium, report.medium.name, sizeof session->result->medium);
        memcpy(session->result->io, report.medium.io, sizeof session->result->io);
    }
    return rc;
}

static int fill_log(struct session *session)
{
    const struct bench_scan_options *options = session->options;
    struct weir_entry entries[LOAD_BATCH];
    memset(entries, 0, sizeof entries);
    unsigned together = options->one_per_group ? 1 : LOAD_BATCH;
    enum weir_durability durability = options->one_per_group ? WEIR_EACH : WEIR_NONE;
    int rc = 0;
    for (uint64_t done = 0; rc == 0 && done < options->records && !bench_interrupted();) {
        unsigned count = 0;
        for (; count < together && done < options->records; count++, done++) {
            entries[count].parts = bench_payload_at(&session->payload, done);
            entries[count].part_count = 1;
            session->result->bytes += entries[count].parts->size;
        }
        rc = weir_append_batch(session->log, entries, count, durability, NULL);
        session->result->records = done;
    }
    if (rc == 0) {
        rc = weir_commit(session->log);
    }
    return rc < 0 ? explain(session, "append", rc) : 0;
}

static int prepare(struct session *session)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = open_log(session, WEIR_LOG_CREATE);
    if (rc < 0) {
        return rc;
    }
    rc = fill_log(session);
    int close_rc = weir_log_close(session->log);
    if (rc == 0 && close_rc < 0) {
        rc = explain(session, "close", close_rc);
    }
    if (rc == 0) {
        rc = bench_warm(session->path);
    }
    session->result->setup_s = seconds_since(start_ns);
    return rc;
}

static void take(struct session *session, const struct weir_record *record)
{
    uint64_t first = 0;
    memcpy(&first, record->data, record->size < sizeof first ? record->size : sizeof first);
    session->mixed += first;
    session->seen_records++;
    session->seen_bytes += record->size;
}

/* One pass over the log. *ret_seconds without opening the cursor. */
static int pass(struct session *session, double *ret_seconds)
{
    int batch = session->options->batch;
    session->seen_records = 0;
    session->seen_bytes = 0;
    struct weir_cursor *cursor;
    int rc = weir_cursor_open(session->log, NULL, &cursor);
    if (rc < 0) {
        return explain(session, "cursor", rc);
    }
    uint64_t start_ns = base_clock_monotonic_ns();
    if (batch == 1) {
        while ((rc = weir_cursor_next(cursor, session->records)) > 0) {
            take(session, session->records);
        }
    } else {
        while ((rc = weir_cursor_next_batch(cursor, session->records, batch)) > 0) {
            for (int index = 0; index < rc; index++) {
                take(session, &session->records[index]);
            }
        }
    }
    *ret_seconds = seconds_since(start_ns);
    weir_cursor_close(cursor);
    if (rc < 0) {
        return explain(session, "scan", rc);
    }
    if (session->seen_records != session->result->records ||
        session->seen_bytes != session->result->bytes) {
        (void)snprintf(session->result->error, sizeof session->result->error,
                       "the scan brought %llu records of %llu",
                       (unsigned long long)session->seen_records,
                       (unsigned long long)session->result->records);
        return -EIO;
    }
    return 0;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static int measure(struct session *session)
{
    struct bench_scan_result *result = session->result;
    double first_s;
    int rc = pass(session, &first_s);
    if (rc < 0) {
        return rc;
    }
    result->first_per_s = (double)result->records / first_s;
    result->first_bytes_per_s = (double)result->bytes / first_s;
    double seconds[PASSES_MAX];
    unsigned passes = 0;
    uint64_t start_ns = base_clock_monotonic_ns();
    while (passes < PASSES_MAX && !bench_interrupted() &&
           (passes == 0 || seconds_since(start_ns) < session->options->seconds)) {
        rc = pass(session, &seconds[passes]);
        if (rc < 0) {
            return rc;
        }
        passes++;
    }
    if (passes > 0) {
        qsort(seconds, passes, sizeof *seconds, ascending);
        result->verified_per_s = (double)result->records / seconds[passes / 2];
        result->verified_bytes_per_s = (double)result->bytes / seconds[passes / 2];
    }
    result->passes = passes;
    return 0;
}

static int run_session(struct session *session)
{
    int rc = prepare(session);
    if (rc < 0 || bench_interrupted()) {
        return rc;
    }
    uint64_t start_ns = base_clock_monotonic_ns();
    rc = open_log(session, 0);
    if (rc < 0) {
        return rc;
    }
    session->result->open_s = seconds_since(start_ns);
    rc = measure(session);
    int close_rc = weir_log_close(session->log);
    return rc < 0 || close_rc == 0 ? rc : explain(session, "close", close_rc);
}

int bench_scan(const struct bench_scan_options *options, struct bench_scan_result *ret_result)
{
    memset(ret_result, 0, sizeof *ret_result);
    struct session session = {.options = options, .result = ret_result};
    if (options->directory == NULL || options->size_min < 1 ||
        options->size_min > options->size_max || options->size_max > SIZE_MAX_BYTES ||
        options->records == 0 || options->batch < 1 || options->batch > SCAN_BATCH_MAX) {
        return explain(&session, "options", -EINVAL);
    }
    int rc = bench_payload_create(&session.payload, options->size_min, options->size_max);
    session.records = base_alloc_array((size_t)options->batch, sizeof *session.records);
    struct bench_workdir workdir = {{0}};
    if (rc == 0 && session.records == NULL) {
        rc = -ENOMEM;
    }
    if (rc == 0) {
        rc = bench_workdir_create(&workdir, options->directory);
    }
    if (rc == 0) {
        (void)snprintf(session.path, sizeof session.path, "%.*s/log",
                       (int)(sizeof session.path - 8), workdir.path);
        rc = run_session(&session);
        bench_workdir_remove(&workdir);
    } else {
        (void)explain(&session, options->directory, rc);
    }
    ret_result->interrupted = bench_interrupted();
    base_free(session.records);
    bench_payload_destroy(&session.payload);
    return rc;
}
