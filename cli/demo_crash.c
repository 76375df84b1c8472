/*
 * The crashing part of the demo: a child appends, says what is durable, and is killed.
 *
 * 1. A child opens the log; its threads append with WEIR_EACH and write an acknowledgement of 16
 * bytes into a pipe, after the append has returned and never before.
 * 2. The parent collects them for a while, kills the child with SIGKILL, and empties the pipe.
 * 3. It opens the log, which recovers; every record that was ever acknowledged, in this round or an
 *    earlier one, must be there with the very bytes that its writer made up.
 *
 * What a kill can show: that the log recovers by itself and that nothing acknowledged needs the
 * process to live. Power loss is another matter: bytes that a device has not flushed survive a
 * kill.
 */
#include "cli/demo.h"

#include "cli/errors.h"
#include "cli/signals.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/le.h"
#include "base/random.h"
#include "base/thread.h"

#include <weir/append.h>
#include <weir/cursor.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUND_NS (700 * BASE_NS_PER_MS)
#define FIRST_ACK_MS 10000
#define PAYLOAD_MIN 16
#define PAYLOAD_MAX 400
#define ACKS_MAX ((size_t)4 << 20)

/* Which record, of which writer: its bytes follow from this alone. */
struct origin {
    uint32_t writer; /* 1 and up: a writer thread of a round */
    uint32_t number;
};

/* Written to the pipe in one piece. lsn 0: the child failed, number is the error, negated. */
struct ack {
    weir_lsn lsn;
    struct origin origin;
};

/* ---- payloads ---- */

static size_t make_payload(struct origin origin, uint8_t payload[PAYLOAD_MAX])
{
    struct base_prng prng;
    base_prng_seed(&prng, (uint64_t)origin.writer << 32 | origin.number);
    size_t size = PAYLOAD_MIN + base_prng_below(&prng, PAYLOAD_MAX - PAYLOAD_MIN + 1);
    base_prng_fill(&prng, payload, size);
    struct le32 words[2];
    le32_store(&words[0], origin.writer);
    le32_store(&words[1], origin.number);
    memcpy(payload, words, sizeof words);
    return size;
}

static bool is_payload_of(struct origin origin, const struct weir_record *record)
{
    uint8_t payload[PAYLOAD_MAX];
    size_t size = make_payload(origin, payload);
    return record->size == size && memcmp(record->data, payload, size) == 0;
}

/* ---- the child ---- */

struct writer {
    struct weir_log *log;
    int pipe_fd;
    uint32_t id;
};

static void send_failure(int pipe_fd, int rc)
{
    struct ack ack = {.origin.number = (uint32_t)-rc};
    ssize_t written = write(pipe_fd, &ack, sizeof ack);
    (void)written; /* the parent sees the end of the pipe then */
}

/* Appends until it is killed. */
static void writer_main(void *context)
{
    struct writer *writer = context;
    uint8_t payload[PAYLOAD_MAX];
    for (uint32_t number = 1;; number++) {
        struct ack ack = {.origin = {writer->id, number}};
        struct weir_part part = {payload, make_payload(ack.origin, payload)};
        struct weir_entry entry = {.parts = &part, .part_count = 1};
        int rc = weir_append(writer->log, &entry, WEIR_EACH, &ack.lsn);
        if (rc < 0) {
            send_failure(writer->pipe_fd, rc);
            return;
        }
        if (write(writer->pipe_fd, &ack, sizeof ack) != (ssize_t)sizeof ack) {
            return;
        }
    }
}

__attribute__((noreturn)) static void child_main(const struct demo *demo, const char *path,
                                                 unsigned round, int pipe_fd)
{
    struct writer writers[DEMO_CRASH_WRITERS];
    struct base_thread threads[DEMO_CRASH_WRITERS];
    struct weir_log_options options;
    struct weir_log *log;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGINT, SIG_IGN); /* the terminal tells everybody; only the parent kills us */
    demo_log_options(demo, WEIR_LOG_CREATE, &options);
    int rc = weir_log_open(path, &options, &log, NULL);
    for (uint32_t i = 0; rc == 0 && i < DEMO_CRASH_WRITERS; i++) {
        writers[i] = (struct writer){log, pipe_fd, 1 + round * DEMO_CRASH_WRITERS + i};
        rc = base_thread_start(&threads[i], "writer", writer_main, &writers[i]);
    }
    if (rc < 0) {
        send_failure(pipe_fd, rc);
        _exit(CLI_DEVICE);
    }
    for (unsigned i = 0; i < DEMO_CRASH_WRITERS; i++) {
        base_thread_join(&threads[i]);
    }
    _exit(CLI_DEVICE); /* they return only when something failed */
}

/* ---- the parent ---- */

struct crash {
    struct demo *demo;
    char path[PATH_MAX + 16];
    struct origin *acked; /* by LSN; writer 0 = not acknowledged */
};

static int take_ack(struct crash *crash, const struct ack *ack)
{
    if (ack->lsn == WEIR_LSN_NONE) {
        return -(int)ack->origin.number;
    }
    if (ack->lsn >= ACKS_MAX) {
        return 0; /* more than the table holds: it is not counted */
    }
    /* An LSN that was given before takes its place: one of the two then counts as lost. */
    crash->acked[ack->lsn] = ack->origin;
    crash->demo->crash.acknowledged++;
    return 0;
}

/* Reads one piece of acknowledgements. Returns 0, 1 (the end), or a negative error. */
static int read_acks(struct crash *crash, int pipe_fd)
{
    struct ack acks[256]; /* 4096 bytes: pieces of whole acknowledgements */
    ssize_t size = read(pipe_fd, acks, sizeof acks);
    if (size <= 0) {
        return size == 0 ? 1 : errno == EINTR ? 0 : -errno;
    }
    if ((size_t)size % sizeof acks[0] != 0) {
        return -EPROTO;
    }
    int rc = 0;
    for (size_t i = 0; i < (size_t)size / sizeof acks[0] && rc == 0; i++) {
        rc = take_ack(crash, &acks[i]);
    }
    return rc;
}

/* Collects for ROUND_NS behind the first acknowledgement. Returns 0 or a negative error. */
static int collect(struct crash *crash, int pipe_fd)
{
    struct pollfd fds = {.fd = pipe_fd, .events = POLLIN};
    if (poll(&fds, 1, FIRST_ACK_MS) == 0) {
        return -ETIMEDOUT;
    }
    uint64_t end_ns = base_clock_monotonic_ns() + ROUND_NS;
    while (base_clock_monotonic_ns() < end_ns && !signals_interrupted()) {
        if (poll(&fds, 1, 10) <= 0) {
            continue;
        }
        int rc = read_acks(crash, pipe_fd);
        if (rc != 0) {
            return rc < 0 ? rc : -ECANCELED; /* it ended by itself */
        }
    }
    return 0;
}

/* Runs a child and kills it while it appends. Returns 0 or a negative error. */
static int kill_a_writer(struct crash *crash, unsigned round)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return -errno;
    }
    output_flush(&crash->demo->cli->out);
    pid_t child = fork();
    if (child < 0) {
        int rc = -errno;
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    if (child == 0) {
        close(fds[0]);
        child_main(crash->demo, crash->path, round, fds[1]);
    }
    close(fds[1]);
    int rc = collect(crash, fds[0]);
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    int drained = 0; /* acknowledged before the kill, read behind it */
    while (rc >= 0 && drained == 0) {
        drained = read_acks(crash, fds[0]);
    }
    close(fds[0]);
    return rc < 0 ? rc : drained < 0 ? drained : 0;
}

/* Counts what is there and what should be. Returns 0 or a negative error. */
static int count_records(struct crash *crash, struct weir_log *log)
{
    struct demo_crash *result = &crash->demo->crash;
    struct weir_cursor *cursor;
    struct weir_record record;
    int rc = weir_cursor_open(log, NULL, &cursor);
    if (rc < 0) {
        return rc;
    }
    uint64_t found = 0;
    result->recovered = 0;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        result->recovered++;
        if (record.lsn < ACKS_MAX && crash->acked[record.lsn].writer != 0) {
            found += is_payload_of(crash->acked[record.lsn], &record);
        }
    }
    weir_cursor_close(cursor);
    result->lost = result->acknowledged - found;
    return rc;
}

/* Opens the log after a kill. Returns -1 or the exit code. */
static int recover(struct crash *crash, unsigned round)
{
    struct demo *demo = crash->demo;
    struct weir_open_report *report = &demo->crash.reports[round];
    struct weir_log_options options;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    demo_log_options(demo, 0, &options);
    int rc = weir_log_open(crash->path, &options, &log, &why);
    if (rc < 0) {
        return cli_fail_open(demo->cli, rc, &why, "cannot recover %s after the kill", crash->path);
    }
    report->size = sizeof *report;
    rc = weir_log_report(log, report);
    if (rc == 0) {
        rc = count_records(crash, log);
    }
    int close_rc = weir_log_close(log);
    rc = rc < 0 ? rc : close_rc;
    if (rc < 0) {
        return cli_fail(demo->cli, rc, NULL, "cannot read %s after the kill", crash->path);
    }
    demo->crash.rounds++;
    return -1;
}

int demo_crash(struct demo *demo)
{
    struct crash crash = {.demo = demo};
    uint64_t started_ns = base_clock_monotonic_ns();
    size_t table_size = ACKS_MAX * sizeof crash.acked[0];
    crash.acked = base_pages_alloc(table_size, 0);
    if (crash.acked == NULL) {
        return cli_fail(demo->cli, -ENOMEM, NULL, "cannot keep acknowledgements");
    }
    snprintf(crash.path, sizeof crash.path, "%s/crash", demo->directory);
    int exit_code = -1;
    for (unsigned round = 0; round < DEMO_ROUNDS && exit_code < 0; round++) {
        progress_show("kill -9 of %d writers, round %u of %d ...", DEMO_CRASH_WRITERS, round + 1,
                      DEMO_ROUNDS);
        int rc = kill_a_writer(&crash, round);
        if (signals_interrupted()) {
            break;
        }
        exit_code = rc < 0
                        ? cli_fail(demo->cli, rc, NULL, "the writer that was to be killed failed")
                        : recover(&crash, round);
    }
    demo->crash.seconds = (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
    base_pages_free(crash.acked, table_size);
    return exit_code;
}
