/*
 * bench_device: one row after the other over one prewritten file. The mapped row comes last and has
 * a small file of its own, because mapping a file changes how the page cache treats it.
 */
#include "base/alloc.h"
#include "bench/bench.h"
#include "bench/raw_device.h"
#include "bench/workdir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MAPPED_BYTES ((uint64_t)64 << 20)
#define RECORD_BYTES 100

struct session {
    const struct bench_device_options *options;
    struct bench_device_result *result;
    struct raw_file file;
    struct raw_result *measured;
};

static void add_row(struct session *session, const char *name, const char *title)
{
    struct bench_device_result *result = session->result;
    const struct raw_result *measured = session->measured;
    if (result->count == BENCH_DEVICE_ROWS_MAX || !(measured->seconds > 0.0)) {
        return;
    }
    struct bench_device_row *row = &result->rows[result->count++];
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    (void)snprintf(row->title, sizeof row->title, "%s", title);
    row->per_s = (double)measured->operations / measured->seconds;
    row->bytes_per_s = (double)measured->bytes / measured->seconds;
    row->p50_us = (double)base_histogram_percentile(&measured->latency, 50.0) / 1e3;
    row->p99_us = (double)base_histogram_percentile(&measured->latency, 99.0) / 1e3;
    row->p999_us = (double)base_histogram_percentile(&measured->latency, 99.9) / 1e3;
}

static int run_overwrite(struct session *session)
{
    int rc = raw_overwrite(&session->file, session->options->seconds, session->measured);
    if (rc == 0) {
        add_row(session, "overwrite-4k", "4 KiB overwrite, O_DIRECT + DSYNC");
    }
    return rc;
}

static int run_ring_rows(struct session *session)
{
    static const size_t chunks_kib[] = {4, 64, 128, 1024};
    static const unsigned depths[] = {1, 2, 4};
    for (size_t chunk = 0; chunk < sizeof chunks_kib / sizeof *chunks_kib; chunk++) {
        for (size_t depth = 0; depth < sizeof depths / sizeof *depths; depth++) {
            struct raw_load load = {.depth = depths[depth], .chunk_bytes = chunks_kib[chunk] * KIB};
            int rc = raw_overwrite_ring(&session->file, &load, session->options->seconds,
                                        session->measured);
            if (rc < 0) {
                return rc;
            }
            char name[48];
            char title[80];
            (void)snprintf(name, sizeof name, "ring-%zuk-depth-%u", chunks_kib[chunk], load.depth);
            (void)snprintf(title, sizeof title, "%zu KiB, io_uring, O_DIRECT + DSYNC, %u in flight",
                           chunks_kib[chunk], load.depth);
            add_row(session, name, title);
        }
    }
    return 0;
}

static int run_sequential(struct session *session)
{
    int rc = raw_write_sequential(&session->file, session->options->seconds, 0, session->measured);
    if (rc < 0) {
        return rc;
    }
    add_row(session, "write-sequential", "1 MiB writes, 4 in flight, one flush at the end");
    rc = raw_read_sequential(&session->file, session->options->seconds, session->measured);
    if (rc == 0) {
        add_row(session, "read-sequential", "1 MiB reads, O_DIRECT, 4 in flight");
    }
    return rc;
}

static int run_leader_rows(struct session *session)
{
    static const unsigned writers[] = {1, 8, 64};
    struct bench_payload payload;
    int rc = bench_payload_create(&payload, RECORD_BYTES, RECORD_BYTES);
    for (size_t index = 0; rc == 0 && index < sizeof writers / sizeof *writers; index++) {
        rc = raw_leader(&session->file, &payload, writers[index], session->options->seconds,
                        session->measured);
        if (rc == 0) {
            char name[48];
            char title[80];
            (void)snprintf(name, sizeof name, "leader-%u", writers[index]);
            (void)snprintf(title, sizeof title, "ideal leader, %u blocking writers, 100 B records",
                           writers[index]);
            add_row(session, name, title);
        }
    }
    bench_payload_destroy(&payload);
    return rc;
}

static int run_mapped(const char *directory, struct session *session)
{
    struct raw_file small;
    int rc = raw_file_create(&small, directory, MAPPED_BYTES);
    if (rc < 0) {
        return rc;
    }
    rc = raw_mapped_flush(&small, session->options->seconds, session->measured);
    raw_file_destroy(&small);
    if (rc == 0) {
        add_row(session, "mapped-4k", "one dirty 4 KiB of a shared mapping + fdatasync");
    }
    return rc;
}

static int run_rows(const char *directory, struct session *session)
{
    int rc = raw_file_create(&session->file, directory, session->options->file_bytes);
    if (rc < 0) {
        return rc;
    }
    rc = run_overwrite(session);
    if (rc == 0) {
        rc = run_ring_rows(session);
    }
    if (rc == 0) {
        rc = run_leader_rows(session);
    }
    if (rc == 0) {
        rc = run_sequential(session);
    }
    raw_file_destroy(&session->file);
    return rc == 0 ? run_mapped(directory, session) : rc;
}

int bench_device(const struct bench_device_options *options, struct bench_device_result *ret_result)
{
    memset(ret_result, 0, sizeof *ret_result);
    if (options->directory == NULL || !(options->seconds > 0.0) || options->file_bytes == 0 ||
        options->file_bytes % ((uint64_t)4 << 20) != 0) {
        return -EINVAL;
    }
    struct session session = {.options = options, .result = ret_result};
    session.measured = base_alloc(sizeof *session.measured);
    if (session.measured == NULL) {
        return -ENOMEM;
    }
    struct bench_workdir workdir;
    int rc = bench_workdir_create(&workdir, options->directory);
    if (rc == 0) {
        rc = run_rows(workdir.path, &session);
        bench_workdir_remove(&workdir);
    }
    if (rc < 0) {
        (void)snprintf(ret_result->error, sizeof ret_result->error, "%s: %s", options->directory,
                       strerror(-rc));
    }
    ret_result->interrupted = bench_interrupted();
    base_free(session.measured);
    return rc;
}
