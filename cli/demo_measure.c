/*
 * The measuring part of the demo, by the benchmarks' own loops.
 *
 * 1. The device by itself: durable overwrites one after the other, sequential writes and reads.
 * 2. The log: 1, 8 and 64 writers, each waiting until its record is durable. Right before and right
 *    behind each run an ideal leader writes the same records of as many writers with nothing else
 * to do: what the log reaches is a part of that, and a device that others use at the same time
 * shows in the difference between the two.
 *
 * A weir that was built without its benchmarks leaves this part out and says so.
 */
#include "cli/demo.h"

#include "cli/errors.h"
#include "cli/signals.h"

#include <errno.h>
#include <stdio.h>

const unsigned demo_writers[DEMO_RUNS] = {1, 8, 64};

#ifdef WEIR_CLI_HAS_BENCH

#include "base/alloc.h"
#include "bench/raw_device.h"

#define FILE_BYTES ((uint64_t)128 << 20)
#define LIMIT_S 0.7
#define APPEND_S 2.0
#define RECORD_BYTES 100

struct session {
    struct demo *demo;
    struct raw_file file;
    struct bench_payload payload;
    struct raw_result *result; /* too large for the stack */
};

typedef int (*raw_loop)(struct raw_file *file, double seconds, struct raw_result *ret_result);

static int write_sequential(struct raw_file *file, double seconds, struct raw_result *ret_result)
{
    return raw_write_sequential(file, seconds, 0, ret_result);
}

/* Runs a loop without a log in it. Returns 0 or -errno. */
static int measure_limit(struct session *session, raw_loop loop, struct demo_limit *ret_limit)
{
    struct raw_result *result = session->result;
    int rc = loop(&session->file, LIMIT_S, result);
    if (rc == 0 && result->seconds > 0.0) {
        ret_limit->per_s = (double)result->operations / result->seconds;
        ret_limit->bytes_per_s = (double)result->bytes / result->seconds;
        ret_limit->p50_us = (double)base_histogram_percentile(&result->latency, 50.0) / 1e3;
        ret_limit->p99_us = (double)base_histogram_percentile(&result->latency, 99.0) / 1e3;
    }
    return rc;
}

static int measure_device(struct session *session)
{
    struct demo_measure *measure = &session->demo->measure;
    progress_show("measuring the device by itself ...");
    int rc = measure_limit(session, raw_overwrite, &measure->overwrite);
    if (rc == 0) {
        rc = measure_limit(session, write_sequential, &measure->writes);
    }
    if (rc == 0) {
        rc = measure_limit(session, raw_read_sequential, &measure->reads);
    }
    measure->limited = rc == 0;
    return rc;
}

/* What an ideal leader does, in records a second; 0 when it cannot be measured. */
static double measure_leader(struct session *session, unsigned writers)
{
    struct raw_result *result = session->result;
    if (!session->demo->measure.limited ||
        raw_leader(&session->file, &session->payload, writers, LIMIT_S, result) < 0 ||
        !(result->seconds > 0.0)) {
        return 0.0;
    }
    return (double)result->operations / result->seconds;
}

/* Returns -1 to go on, else the exit code. */
static int measure_append(struct session *session, unsigned writers, struct demo_run *run)
{
    struct demo *demo = session->demo;
    struct bench_append_options options = BENCH_APPEND_OPTIONS_INIT;
    const struct cli_common *common = &demo->options->common;
    options.directory = demo->directory;
    options.writers = writers;
    options.size_min = options.size_max = RECORD_BYTES;
    options.seconds = APPEND_S;
    options.medium = (enum weir_medium_kind)common->medium;
    options.io = (enum weir_io_kind)common->io;
    options.emulated_pmem = common->allow_emulated_pmem;
    progress_show("appending with %u writer%s, each record durable ...", writers,
                  writers == 1 ? "" : "s");
    run->ideal_before_per_s = measure_leader(session, writers);
    int rc = bench_append(&options, &run->append);
    if (rc < 0) {
        struct weir_error why = WEIR_ERROR_INIT;
        snprintf(why.text, sizeof why.text, "%s", run->append.error);
        return cli_fail(demo->cli, rc, &why, "cannot append with %u writers", writers);
    }
    run->ideal_after_per_s = measure_leader(session, writers);
    demo->measure.runs++;
    return -1;
}

static int measure_all(struct session *session)
{
    int rc = raw_file_create(&session->file, session->demo->directory, FILE_BYTES);
    bool has_file = rc == 0;
    if (has_file) {
        rc = measure_device(session);
    }
    if (rc < 0) { /* tmpfs before Linux 6.6 has no O_DIRECT; the log runs there all the same */
        cli_note(session->demo->cli, "the device by itself cannot be measured: %s",
                 weir_error_text(rc));
    }
    int exit_code = -1;
    for (size_t i = 0; exit_code < 0 && i < DEMO_RUNS && !signals_interrupted(); i++) {
        exit_code = measure_append(session, demo_writers[i], &session->demo->measure.run[i]);
    }
    if (has_file) {
        raw_file_destroy(&session->file);
    }
    return exit_code;
}

int demo_measure(struct demo *demo)
{
    struct session session = {.demo = demo};
    int exit_code;
    session.result = base_alloc_zero(sizeof *session.result);
    int rc = session.result != NULL
                 ? bench_payload_create(&session.payload, RECORD_BYTES, RECORD_BYTES)
                 : -ENOMEM;
    if (rc < 0) {
        exit_code = cli_fail(demo->cli, rc, NULL, "cannot measure");
    } else {
        exit_code = measure_all(&session);
        bench_payload_destroy(&session.payload);
    }
    base_free(session.result);
    return exit_code;
}

#else

int demo_measure(struct demo *demo)
{
    cli_note(demo->cli, "nothing is measured: this weir was built without its benchmarks");
    return -1;
}

#endif
