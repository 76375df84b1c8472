/*
 * One thread, an event loop, and many records in flight: the log's descriptor stands in poll()
 * beside standard input, as it would beside a server's sockets.
 *
 * Each line of standard input is appended at once; its LSN is printed when it is durable. Nothing
 * here waits for a flush.
 */
#include <weir/weir.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct loop {
    struct weir_log *log;
    weir_lsn appended; /* the last LSN that was given */
    weir_lsn answered; /* the last one that was printed */
    char line[4096];
    size_t length;
};

static int append(struct loop *loop, const char *data, size_t size)
{
    struct weir_part part = {data, size};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    return weir_append(loop->log, &entry, WEIR_GROUP, &loop->appended);
}

/* Appends all whole lines. Returns 1, 0 at the end of the input, or a negative error. A last line
 * without a newline counts; one that is longer than the buffer is refused. */
static int read_lines(struct loop *loop)
{
    if (loop->length == sizeof loop->line) {
        return WEIR_E_TOO_BIG;
    }
    ssize_t count = read(STDIN_FILENO, loop->line + loop->length, sizeof loop->line - loop->length);
    if (count < 0) {
        return -errno;
    }
    if (count == 0) {
        return loop->length > 0 ? append(loop, loop->line, loop->length) : 0;
    }
    loop->length += (size_t)count;
    char *newline;
    while ((newline = memchr(loop->line, '\n', loop->length)) != NULL) {
        size_t size = (size_t)(newline - loop->line);
        int rc = append(loop, loop->line, size);
        if (rc < 0) {
            return rc;
        }
        loop->length -= size + 1;
        memmove(loop->line, newline + 1, loop->length);
    }
    return 1;
}

/* Takes completions, starts the next commit, answers what is durable. */
static int answer(struct loop *loop)
{
    weir_lsn durable;
    int rc = weir_process(loop->log, &durable);
    if (rc < 0) {
        return rc;
    }
    while (loop->answered < durable) {
        printf("%llu\n", (unsigned long long)++loop->answered);
    }
    return fflush(stdout) == 0 ? 0 : -errno;
}

static int run(struct loop *loop, int log_fd)
{
    struct pollfd fds[2] = {{.fd = log_fd, .events = POLLIN},
                            {.fd = STDIN_FILENO, .events = POLLIN}};
    int rc = 1;
    while (rc > 0 || loop->answered < loop->appended) {
        if (poll(fds, 2, -1) < 0) {
            return -errno;
        }
        if (fds[1].revents != 0) {
            rc = read_lines(loop);
            fds[1].fd = rc == 0 ? -1 : STDIN_FILENO; /* poll() passes over a negative one */
        }
        int answer_rc = rc >= 0 ? answer(loop) : rc;
        if (answer_rc < 0) {
            return answer_rc;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_CREATE | WEIR_LOG_SINGLE_THREAD;
    struct weir_error why = WEIR_ERROR_INIT;
    static struct loop loop;
    int rc = weir_log_open(argc > 1 ? argv[1] : "example.log", &options, &loop.log, &why);
    if (rc < 0) {
        fprintf(stderr, "%s\n%s\n", why.text, weir_error_advice(rc));
        return 1;
    }
    int log_fd;
    loop.answered = loop.appended = weir_durable_lsn(loop.log);
    rc = weir_eventfd(loop.log, &log_fd);
    if (rc == 0) {
        rc = run(&loop, log_fd);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", weir_error_text(rc));
    }
    int close_rc = weir_log_close(loop.log);
    return rc < 0 || close_rc < 0;
}
