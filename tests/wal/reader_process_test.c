/*
 * Readers and writers in processes of their own, on a real directory: who may open, what a reader
 * sees while the writer runs, and what it sees when the writer is killed.
 */
#include "support.h"

#include "base/random.h"
#include "wal/log.h"
#include "wal/reader.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAYLOAD_MAX 3000u
#define PATIENCE_NS INT64_C(20000000000)
#define ROUNDS 12

static char directory[256];

/* Of all that is opened here: each test on each medium that an ordinary directory offers. */
static enum weir_medium_kind medium;

static struct weir_log_options options_for(uint32_t flags)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = flags;
    options.medium = medium;
    options.segment_bytes = (flags & WEIR_LOG_CREATE) != 0 ? SMALL_SEGMENT : 0;
    if (medium == WEIR_MEDIUM_PMEM) {
        options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    return options;
}

/* ---- a child that writes ---- */

struct child {
    pid_t pid;
    int acknowledged; /* the LSNs that it was told are durable, 8 bytes each; 0 first: it is open */
    int commands;     /* a byte: close and leave */
};

struct orders {
    uint32_t flags;
    weir_lsn keep; /* truncates to so many records; 0 = never */
    bool appends;
};

static struct weir_log *child_open(const struct orders *orders)
{
    struct weir_log_options options = options_for(WEIR_LOG_CREATE | orders->flags);
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    if (weir_log_open(directory, &options, &log, &why) < 0) {
        (void)fprintf(stderr, "child: %s\n", why.text);
        _exit(3);
    }
    return log;
}

static void tell(int fd, uint64_t value)
{
    if (write(fd, &value, sizeof value) != sizeof value) {
        _exit(4);
    }
}

static void child_append(struct weir_log *log, const struct orders *orders, int fd)
{
    static const enum weir_durability mix[] = {WEIR_NONE, WEIR_GROUP, WEIR_NONE, WEIR_EACH};
    uint8_t payload[PAYLOAD_MAX];
    weir_lsn lsn = atomic_load(&log->marks.reserved);
    for (;;) {
        size_t size = numbered_payload(lsn + 1, payload, sizeof payload);
        enum weir_durability durability = mix[lsn % 4];
        if (try_append(log, payload, size, durability, &lsn) < 0) {
            _exit(5);
        }
        if (durability == WEIR_EACH) {
            tell(fd, lsn);
        }
        if (orders->keep != 0 && lsn % 64 == 0 && lsn > orders->keep &&
            weir_truncate_before(log, log_durable(log) - orders->keep, NULL) < 0) {
            _exit(6);
        }
    }
}

static void child_main(const struct orders *orders, int acknowledged, int commands)
{
    struct weir_log *log = child_open(orders);
    tell(acknowledged, 0);
    if (orders->appends) {
        child_append(log, orders, acknowledged);
    }
    char command;
    if (read(commands, &command, 1) != 1) {
        _exit(7);
    }
    _exit(weir_log_close(log) == 0 ? 0 : 8);
}

static struct child start_child(const struct orders *orders)
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    (void)fflush(NULL);
    struct child child = {.pid = fork()};
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        close(up[0]);
        close(down[1]);
        child_main(orders, up[1], down[0]);
    }
    close(up[1]);
    close(down[0]);
    child.acknowledged = up[0];
    child.commands = down[1];
    return child;
}

/* The next LSN that the child tells; false when it has ended and all was read. */
static bool hear(struct child *child, uint64_t *ret_value)
{
    ssize_t count = read(child->acknowledged, ret_value, sizeof *ret_value);
    assert_true(count == 0 || count == sizeof *ret_value);
    return count > 0;
}

static void wait_until_open(struct child *child)
{
    uint64_t first = 1;
    assert_true(hear(child, &first));
    assert_int_equal(first, 0);
}

static int end_child(struct child *child)
{
    int status = 0;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->acknowledged);
    close(child->commands);
    return status;
}

/* The largest LSN that it had been told is durable. */
static weir_lsn kill_child(struct child *child, weir_lsn acknowledged)
{
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    uint64_t lsn;
    while (hear(child, &lsn)) {
        acknowledged = lsn > acknowledged ? lsn : acknowledged;
    }
    int status = end_child(child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return acknowledged;
}

/* The pipe must not fill up while the test looks at something else. */
static weir_lsn hear_until(struct child *child, weir_lsn lsn)
{
    uint64_t heard = 0;
    while (heard < lsn) {
        assert_true(hear(child, &heard));
    }
    return heard;
}

/* ---- this process reads ---- */

static int open_here(uint32_t flags, int64_t lock_wait_ns, struct weir_log **ret_log,
                     struct weir_error *why)
{
    struct weir_log_options options = options_for(flags);
    options.lock_wait_ns = lock_wait_ns;
    return weir_log_open(directory, &options, ret_log, why);
}

static struct weir_log *must_open(uint32_t flags)
{
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = open_here(flags, 0, &log, &why);
    if (rc < 0) {
        print_error("open: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
    return log;
}

static void expect_record(const struct weir_record *record, weir_lsn lsn)
{
    uint8_t payload[PAYLOAD_MAX];
    size_t size = numbered_payload(lsn, payload, sizeof payload);
    assert_int_equal(record->lsn, lsn);
    assert_int_equal(record->size, size);
    assert_memory_equal(record->data, payload, size);
}

/* Reads what is there; returns the next LSN. Goes on behind a truncation when that is allowed. */
static weir_lsn read_on(struct weir_cursor *cursor, weir_lsn next, bool may_be_overtaken)
{
    struct weir_record record;
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) != 0) {
        if (rc == WEIR_E_TRUNCATED && may_be_overtaken) {
            assert_int_equal(weir_cursor_seek(cursor, 0), 0);
            assert_true(weir_cursor_position(cursor) > next);
            next = weir_cursor_position(cursor);
            continue;
        }
        assert_int_equal(rc, 1);
        expect_record(&record, next++);
    }
    return next;
}

/* Tails until LSN `until` was seen. */
static weir_lsn tail_until(struct weir_cursor *cursor, weir_lsn next, weir_lsn until,
                           bool overtaken)
{
    while (next <= until) {
        int rc = weir_cursor_wait(cursor, PATIENCE_NS);
        assert_true(rc == 1 || (rc == WEIR_E_TRUNCATED && overtaken));
        next = read_on(cursor, next, overtaken);
    }
    return next;
}

static void wait_for_verdict(struct weir_log *log, uint64_t epoch)
{
    for (;;) {
        assert_int_equal(reader_refresh(log), 0);
        if (log->reader->state == READER_IDLE && log->control.epoch >= epoch) {
            return;
        }
        assert_int_equal(reader_wait(log, atomic_load(&log->tailers.sequence), PATIENCE_NS), 0);
    }
}

static struct weir_stat stat_of(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    return stat;
}

static int make(void **state)
{
    medium = *state != NULL ? *(const enum weir_medium_kind *)*state : WEIR_MEDIUM_DIRECT;
    make_directory(directory, sizeof directory);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    remove_directory(directory);
    return 0;
}

/* ---- the tests ---- */

static void wl_14_a_second_writer_is_refused_and_told_who_the_first_is(void **state)
{
    (void)state;
    struct orders orders = {0};
    struct child child = start_child(&orders);
    wait_until_open(&child);
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(open_here(0, WEIR_NO_WAIT, &log, &why), WEIR_E_LOCKED);
    char process[64];
    (void)snprintf(process, sizeof process, "process %d on", (int)child.pid);
    assert_non_null(strstr(why.text, process));
    assert_int_equal(open_here(0, 20000000, &log, &why), WEIR_E_LOCKED);
    assert_int_equal(write(child.commands, "x", 1), 1);
    assert_int_equal(open_here(0, PATIENCE_NS, &log, &why), 0); /* while it closes */
    close_log(log);
    assert_int_equal(end_child(&child), 0);
}

static void wl_14_a_killed_writer_leaves_no_lock(void **state)
{
    (void)state;
    struct orders orders = {.appends = true};
    for (int round = 0; round < 4; round++) {
        struct child child = start_child(&orders);
        wait_until_open(&child);
        weir_lsn acknowledged = hear_until(&child, 1);
        acknowledged = kill_child(&child, acknowledged);
        struct weir_log *log = must_open(0);
        assert_true(stat_of(log).latest >= acknowledged);
        close_log(log);
    }
}

/* One round: a writer under load, this reader tailing it, a kill at a moment that depends on the
 * seed; then the reader's view is compared with the next writer's. */
static weir_lsn kill_under_load(struct weir_log *reader, struct weir_cursor *cursor, weir_lsn next,
                                const struct orders *orders, struct base_prng *prng)
{
    uint64_t epoch = reader->control.epoch + 1;
    struct child child = start_child(orders);
    wait_until_open(&child);
    bool overtaken = orders->keep != 0;
    weir_lsn until = next + base_prng_below(prng, 500);
    weir_lsn acknowledged = hear_until(&child, until > 8 ? until - 8 : 1);
    next = tail_until(cursor, next, until, overtaken);
    acknowledged = kill_child(&child, acknowledged);

    wait_for_verdict(reader, epoch);
    next = read_on(cursor, next, overtaken);
    assert_true(next > acknowledged);
    struct weir_stat seen = stat_of(reader);
    assert_int_equal(seen.latest, next - 1);
    struct weir_log *writer = must_open(0);
    struct weir_stat kept = stat_of(writer);
    assert_int_equal(kept.latest, seen.latest);
    assert_int_equal(kept.earliest, seen.earliest);
    assert_int_equal(kept.latest_time_ns, seen.latest_time_ns);
    close_log(writer);
    return next;
}

static void expect_everything(struct weir_log *log)
{
    struct weir_cursor *cursor;
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    weir_lsn first = weir_cursor_position(cursor);
    assert_int_equal(read_on(cursor, first, false), stat_of(log).latest + 1);
    weir_cursor_close(cursor);
}

static void run_rounds(const struct orders *orders, uint64_t seed)
{
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    struct weir_log *log = must_open(WEIR_LOG_CREATE);
    close_log(log);
    struct weir_log *reader = must_open(WEIR_LOG_READ_ONLY);
    struct weir_cursor *cursor;
    assert_int_equal(weir_cursor_open(reader, NULL, &cursor), 0);
    weir_lsn next = 1;
    for (int round = 0; round < ROUNDS; round++) {
        next = kill_under_load(reader, cursor, next, orders, &prng);
    }
    expect_everything(reader);
    struct weir_log *fresh = must_open(WEIR_LOG_READ_ONLY);
    assert_int_equal(stat_of(fresh).latest, next - 1);
    expect_everything(fresh);
    close_log(fresh);
    weir_cursor_close(cursor);
    close_log(reader);
}

static void wl_14_after_a_kill_under_load_a_reader_shows_what_the_next_writer_keeps(void **state)
{
    (void)state;
    struct orders orders = {.appends = true};
    run_rounds(&orders, 1);
}

static void wl_14_the_same_with_a_service_thread(void **state)
{
    (void)state;
    struct orders orders = {.appends = true, .flags = WEIR_LOG_SERVICE_THREAD};
    run_rounds(&orders, 2);
}

static void wl_14_the_same_while_the_writer_truncates(void **state)
{
    (void)state;
    struct orders orders = {.appends = true, .keep = 300};
    run_rounds(&orders, 3);
}

static void wl_14_many_readers_tail_one_writer(void **state)
{
    (void)state;
    struct orders orders = {.appends = true};
    struct child child = start_child(&orders);
    wait_until_open(&child);
    pid_t readers[4];
    for (int i = 0; i < 4; i++) {
        (void)fflush(NULL);
        readers[i] = fork();
        assert_true(readers[i] >= 0);
        if (readers[i] == 0) {
            struct weir_log *log = must_open(WEIR_LOG_READ_ONLY);
            struct weir_cursor *cursor;
            int rc = weir_cursor_open(log, NULL, &cursor);
            weir_lsn next = rc == 0 ? tail_until(cursor, 1, 600, false) : 0;
            _exit(next > 600 ? 0 : 1);
        }
    }
    (void)hear_until(&child, 700);
    int status;
    for (int i = 0; i < 4; i++) {
        /* The writer goes on as long as somebody takes what it says. */
        uint64_t lsn;
        while (waitpid(readers[i], &status, WNOHANG) == 0) {
            assert_true(hear(&child, &lsn));
        }
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    weir_lsn acknowledged = kill_child(&child, 0);
    struct weir_log *log = must_open(0); /* also takes the killed one's page out of /dev/shm */
    assert_true(stat_of(log).latest >= acknowledged);
    close_log(log);
}

static void wl_06_a_hold_of_another_process_keeps_a_writer_from_truncating(void **state)
{
    (void)state;
    struct weir_log *writer = must_open(WEIR_LOG_CREATE);
    for (int i = 0; i < 20; i++) {
        append_text(writer, "record", WEIR_EACH);
    }
    (void)fflush(NULL);
    pid_t holder = fork();
    assert_true(holder >= 0);
    if (holder == 0) {
        struct weir_log *log = NULL;
        struct weir_error why = WEIR_ERROR_INIT;
        int rc = open_here(WEIR_LOG_READ_ONLY, 0, &log, &why);
        rc = rc < 0 ? rc : weir_hold_set(log, "backup", 7);
        rc = rc < 0 ? rc : weir_log_close(log);
        _exit(rc == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_int_equal(status, 0);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_truncate_before(writer, 8, &why), WEIR_E_HELD);
    assert_non_null(strstr(why.text, "backup"));
    assert_int_equal(weir_truncate_before(writer, 7, &why), 0);
    close_log(writer);
}

static enum weir_medium_kind mapped = WEIR_MEDIUM_MAPPED, pmem = WEIR_MEDIUM_PMEM;

int main(int argc, char **argv)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make, clear)
#define ON_MEDIUM(test, kind)                                                                      \
    {                                                                                              \
#test "_on_" #kind, test, make, clear, &(kind)                                             \
    }
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(wl_14_a_second_writer_is_refused_and_told_who_the_first_is),
        IN_DIRECTORY(wl_14_a_killed_writer_leaves_no_lock),
        IN_DIRECTORY(wl_14_after_a_kill_under_load_a_reader_shows_what_the_next_writer_keeps),
        IN_DIRECTORY(wl_14_the_same_with_a_service_thread),
        IN_DIRECTORY(wl_14_the_same_while_the_writer_truncates),
        ON_MEDIUM(wl_14_the_same_while_the_writer_truncates, mapped),
        ON_MEDIUM(wl_14_the_same_while_the_writer_truncates, pmem),
        IN_DIRECTORY(wl_14_many_readers_tail_one_writer),
        ON_MEDIUM(wl_14_many_readers_tail_one_writer, mapped),
        ON_MEDIUM(wl_14_many_readers_tail_one_writer, pmem),
        IN_DIRECTORY(wl_06_a_hold_of_another_process_keeps_a_writer_from_truncating),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
