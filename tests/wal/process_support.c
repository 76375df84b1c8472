#include "tests/wal/process_support.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const struct process_medium PROCESS_MEDIA[] = {
    {"direct_uring", WEIR_MEDIUM_DIRECT, WEIR_IO_URING},
    {"direct_sync", WEIR_MEDIUM_DIRECT, WEIR_IO_SYNC},
    {"mapped_uring", WEIR_MEDIUM_MAPPED, WEIR_IO_URING},
    {"mapped_sync", WEIR_MEDIUM_MAPPED, WEIR_IO_SYNC},
    {"pmem_emulated", WEIR_MEDIUM_PMEM, WEIR_IO_AUTO},
};
const unsigned PROCESS_MEDIA_COUNT = sizeof PROCESS_MEDIA / sizeof *PROCESS_MEDIA;

void process_skip_without(const struct process_medium *medium)
{
    struct weir_medium_info info;
    int rc = weir_medium_probe(".", medium->kind, medium->io, &info);
    if (rc < 0 && medium->kind != WEIR_MEDIUM_PMEM) {
        print_message("%s: %s\n", medium->name, info.reason);
        skip();
    }
}

struct weir_log_options process_options(const struct process_medium *medium, uint32_t flags)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = flags;
    options.medium = medium->kind;
    options.io = medium->io;
    options.segment_bytes = (flags & WEIR_LOG_CREATE) != 0 ? SMALL_SEGMENT : 0;
    options.lock_wait_ns = PROCESS_PATIENCE_NS;
    if (medium->kind == WEIR_MEDIUM_PMEM) {
        options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    return options;
}

struct weir_log *process_open(const struct process_medium *medium, const char *directory,
                              uint32_t flags)
{
    struct weir_log_options options = process_options(medium, flags);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    int rc = weir_log_open(directory, &options, &log, &why);
    if (rc < 0) {
        print_error("%s: %s\n", medium->name, why.text);
    }
    assert_int_equal(rc, 0);
    return log;
}

int process_try_open(const struct process_medium *medium, const char *directory,
                     struct weir_error *why)
{
    struct weir_log_options options = process_options(medium, 0);
    struct weir_log *log = NULL;
    options.lock_wait_ns = WEIR_NO_WAIT;
    int rc = weir_log_open(directory, &options, &log, why);
    return rc < 0 ? rc : weir_log_close(log);
}

struct process process_start(int (*run)(void *context, struct process *self), void *context)
{
    int down[2], up[2];
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    (void)fflush(NULL);
    struct process self = {.pid = fork()};
    assert_true(self.pid >= 0);
    bool child = self.pid == 0;
    self.orders = child ? down[0] : down[1];
    self.answers = child ? up[1] : up[0];
    (void)close(child ? down[1] : down[0]);
    (void)close(child ? up[0] : up[1]);
    if (child) {
        _exit(run(context, &self));
    }
    return self;
}

void process_tell(struct process *self, char order)
{
    assert_int_equal(write(self->orders, &order, 1), 1);
}

uint64_t process_hear(struct process *self)
{
    struct pollfd ready = {.fd = self->answers, .events = POLLIN};
    uint64_t value = 0;
    assert_int_equal(poll(&ready, 1, (int)(PROCESS_PATIENCE_NS / 1000000)), 1);
    assert_int_equal(read(self->answers, &value, sizeof value), sizeof value);
    return value;
}

char process_next_order(struct process *self)
{
    char order = '\0';
    return read(self->orders, &order, 1) == 1 ? order : '\0';
}

void process_answer(struct process *self, uint64_t value)
{
    if (write(self->answers, &value, sizeof value) != sizeof value) {
        _exit(100);
    }
}

int process_end(struct process *self)
{
    int status = 0;
    (void)close(self->orders);
    (void)close(self->answers);
    assert_int_equal(waitpid(self->pid, &status, 0), self->pid);
    return status;
}

void process_kill(struct process *self)
{
    assert_int_equal(kill(self->pid, SIGKILL), 0);
    int status = process_end(self);
    assert_true(WIFSIGNALED(status));
}

void process_read_to(struct weir_cursor *cursor, weir_lsn lsn)
{
    struct weir_record record = {0};
    while (record.lsn < lsn) {
        int rc = weir_cursor_next(cursor, &record);
        if (rc == 0) {
            rc = weir_cursor_wait(cursor, PROCESS_PATIENCE_NS);
        }
        assert_int_equal(rc, 1);
    }
    assert_int_equal(record.lsn, lsn);
}
