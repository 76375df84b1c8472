/*
 * The phases: a child opens the log, says through a pipe what that took, and is killed.
 *
 * Happy path: fork; the child works, writes one struct recover_pass and raises SIGKILL with the log
 * open; the parent reads the struct and takes the child's end. So no handle is ever closed, the
 * clean flag is never set, and the next phase finds a crashed log again.
 *
 * Failure modes: a child that ends without a result is -EIO.
 */
#include "bench/recover.h"

#include "base/clock.h"
#include "bench/workdir.h"

#include <weir/append.h>
#include <weir/cursor.h>
#include <weir/inspect.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOAD_BATCH 64u
#define LOOK_EVERY 64u /* batches */
#define SCAN_BATCH 64

typedef int (*phase_fn)(const struct recover_log *log, struct recover_pass *pass);

struct message {
    int rc;
    struct recover_pass pass;
};

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

double recover_cpu_s(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- in the child ---- */

static int explain(struct recover_pass *pass, const char *doing, int rc)
{
    if (rc < 0 && pass->error[0] == '\0') {
        (void)snprintf(pass->error, sizeof pass->error, "%s: %s", doing, weir_error_text(rc));
    }
    return rc;
}

static struct weir_log_options log_options(const struct recover_log *log)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.medium = log->options->medium;
    options.io = log->options->io;
    options.segment_bytes = log->options->segment_bytes;
    options.flags = log->options->emulated_pmem ? WEIR_LOG_ALLOW_EMULATED_PMEM : 0;
    return options;
}

static int open_log(const struct recover_log *log, uint32_t flags, enum weir_verify_mode verify,
                    struct weir_log **ret_log, struct recover_pass *pass)
{
    struct weir_log_options options = log_options(log);
    options.flags |= flags;
    options.verify = verify;
    struct weir_error why = WEIR_ERROR_INIT;
    double start_cpu_s = recover_cpu_s();
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = weir_log_open(log->path, &options, ret_log, &why);
    pass->seconds = seconds_since(start_ns);
    pass->cpu_s = recover_cpu_s() - start_cpu_s;
    if (rc < 0) {
        (void)snprintf(pass->error, sizeof pass->error, "%.*s", (int)sizeof pass->error - 1,
                       why.text[0] != '\0' ? why.text : weir_error_text(rc));
        return rc;
    }
    struct weir_open_report report = {.size = sizeof report};
    rc = weir_log_report(*ret_log, &report);
    pass->scan_s = report.scan_s;
    pass->repair_s = report.repair_s;
    pass->bytes = report.scanned_bytes;
    pass->records = report.scanned_records;
    pass->segments = report.scanned_segments;
    pass->durable = report.medium.durable;
    pass->emulated = report.medium.emulated;
    (void)snprintf(pass->medium, sizeof pass->medium, "%s", report.medium.name);
    (void)snprintf(pass->io, sizeof pass->io, "%s", report.medium.io);
    return explain(pass, "report", rc);
}

static int append_batch(const struct recover_log *log, struct weir_log *handle, uint64_t first)
{
    struct weir_entry entries[LOAD_BATCH];
    memset(entries, 0, sizeof entries);
    for (unsigned index = 0; index < LOAD_BATCH; index++) {
        entries[index].parts = bench_payload_at(log->payload, first + index);
        entries[index].part_count = 1;
    }
    return weir_append_batch(handle, entries, LOAD_BATCH, WEIR_NONE, NULL);
}

/* Until the log is as long as was asked for; durable up to the last batch, which is in flight. */
static int write_log(const struct recover_log *log, struct recover_pass *pass)
{
    struct weir_log *handle;
    int rc = open_log(log, WEIR_LOG_CREATE, WEIR_VERIFY_TAIL, &handle, pass);
    struct weir_stat stat = WEIR_STAT_INIT;
    for (uint64_t batch = 0; rc == 0 && stat.log_bytes < log->options->bytes; batch++) {
        if (bench_interrupted()) {
            break;
        }
        rc = append_batch(log, handle, batch * LOAD_BATCH);
        if (rc == 0 && batch % LOOK_EVERY == 0) {
            rc = weir_log_stat(handle, &stat);
        }
        pass->records = (batch + 1) * LOAD_BATCH;
    }
    rc = rc < 0 ? rc : weir_commit(handle);
    rc = rc < 0 ? rc : weir_log_stat(handle, &stat);
    rc = rc < 0 ? rc : append_batch(log, handle, 0);
    pass->bytes = stat.log_bytes;
    pass->segments = stat.segments;
    return explain(pass, "append", rc);
}

static int open_default(const struct recover_log *log, struct recover_pass *pass)
{
    struct weir_log *handle;
    return open_log(log, 0, WEIR_VERIFY_TAIL, &handle, pass);
}

static int open_all(const struct recover_log *log, struct recover_pass *pass)
{
    struct weir_log *handle;
    return open_log(log, 0, WEIR_VERIFY_ALL, &handle, pass);
}

static int verify(const struct recover_log *log, struct recover_pass *pass)
{
    struct weir_log_options options = log_options(log);
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    double start_cpu_s = recover_cpu_s();
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = weir_verify(log->path, &options, NULL, NULL, &report, NULL);
    pass->seconds = seconds_since(start_ns);
    pass->cpu_s = recover_cpu_s() - start_cpu_s;
    if (rc == 0 && !report.ok) {
        rc = WEIR_E_DAMAGED;
    }
    pass->bytes = report.scanned_bytes;
    pass->records = report.records;
    pass->segments = report.segments;
    return explain(pass, "verify", rc);
}

static int read_records(struct weir_log *handle, struct recover_pass *pass)
{
    struct weir_record records[SCAN_BATCH];
    struct weir_cursor *cursor;
    int rc = weir_cursor_open(handle, NULL, &cursor);
    if (rc < 0) {
        return rc;
    }
    pass->records = 0;
    while ((rc = weir_cursor_next_batch(cursor, records, SCAN_BATCH)) > 0) {
        pass->records += (uint64_t)rc;
    }
    weir_cursor_close(cursor);
    return rc;
}

/* The bytes are the log's, padding included, so that its rate compares with the others'. */
static int scan_with_cursor(const struct recover_log *log, struct recover_pass *pass)
{
    struct weir_log *handle;
    int rc = open_log(log, 0, WEIR_VERIFY_TAIL, &handle, pass);
    struct weir_stat stat = WEIR_STAT_INIT;
    rc = rc < 0 ? rc : weir_log_stat(handle, &stat);
    double start_cpu_s = recover_cpu_s();
    uint64_t start_ns = base_clock_monotonic_ns();
    rc = rc < 0 ? rc : read_records(handle, pass);
    pass->seconds = seconds_since(start_ns);
    pass->cpu_s = recover_cpu_s() - start_cpu_s;
    pass->bytes = stat.log_bytes;
    pass->segments = stat.segments;
    return explain(pass, "cursor", rc);
}

/* ---- the parent ---- */

static int receive(int from, struct message *message)
{
    size_t have = 0;
    while (have < sizeof *message) {
        ssize_t size = read(from, (char *)message + have, sizeof *message - have);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            return -EIO;
        }
        have += (size_t)size;
    }
    return 0;
}

static void run_child(phase_fn fn, const struct recover_log *log, int to)
{
    struct message message;
    memset(&message, 0, sizeof message);
    message.rc = fn(log, &message.pass);
    ssize_t size = write(to, &message, sizeof message);
    (void)size; /* the parent finds nothing in the pipe */
    (void)kill(getpid(), SIGKILL);
    _exit(1);
}

static int in_child(phase_fn fn, const struct recover_log *log, struct recover_pass *ret_pass)
{
    int ends[2];
    struct message message;
    memset(&message, 0, sizeof message);
    if (pipe(ends) < 0) {
        return -errno;
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        run_child(fn, log, ends[1]);
    }
    int rc = child < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (rc == 0) {
        rc = receive(ends[0], &message);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    (void)close(ends[0]);
    *ret_pass = message.pass;
    return rc < 0 ? explain(ret_pass, "the child ended without a result", rc) : message.rc;
}

int recover_write(const struct recover_log *log, struct recover_pass *ret_pass)
{
    return in_child(write_log, log, ret_pass);
}

int recover_open_default(const struct recover_log *log, struct recover_pass *ret_pass)
{
    return in_child(open_default, log, ret_pass);
}

int recover_open_all(const struct recover_log *log, struct recover_pass *ret_pass)
{
    return in_child(open_all, log, ret_pass);
}

int recover_verify(const struct recover_log *log, struct recover_pass *ret_pass)
{
    return in_child(verify, log, ret_pass);
}

int recover_cursor(const struct recover_log *log, struct recover_pass *ret_pass)
{
    return in_child(scan_with_cursor, log, ret_pass);
}
