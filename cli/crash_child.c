/*
 * Running writers in a process of their own, and killing it.
 *
 * 1. The child opens the log, which recovers what the last kill has left, and runs the writers.
 *    Their acknowledgements go to the referee, in memory that both processes share; a pipe says
 *    that the first one, and the one that the moment waits for, has come, or that the log failed.
 * 2. The parent waits for the moment: a number of acknowledgements or a time, then perhaps a new
 *    file in the log's directory (inotify), then a delay.
 * 3. SIGKILL. What the child stored in shared memory before it is there.
 *
 * Failures: an error in the child travels through the pipe, with its sentence. A child that ends
 * without one is an error itself. When this program dies, the child is killed by the kernel.
 *
 * What a kill can show: that the log recovers by itself and that nothing acknowledged needs the
 * process to live. Power loss is another matter: bytes that a device has not flushed survive a
 * kill.
 */
#include "cli/crash_child.h"

#include "cli/signals.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_WAIT_NS (60 * BASE_NS_PER_S)
#define LOOK_MS 1000
#define EXIT_BY_ITSELF 4

enum event_kind {
    EVENT_FIRST = 1, /* a record is acknowledged */
    EVENT_REACHED,   /* as many as the moment waits for */
    EVENT_ENDED,     /* no writer runs any more: rc and text say why; 0: the table is full */
};

/* Through the pipe in one piece each. */
struct event {
    int kind;
    int rc;
    char text[400];
};

_Static_assert(sizeof(struct event) <= 512, "a pipe takes up to 512 bytes in one piece");

/* ---- the child ---- */

struct sender {
    int fd;
    uint64_t reached_at;
};

static void send_event(int fd, const struct event *event)
{
    ssize_t written = write(fd, event, sizeof *event);
    (void)written; /* the parent sees the end of the pipe then */
}

static void on_acknowledged(void *context, uint64_t count)
{
    const struct sender *sender = context;
    if (count == 1) {
        send_event(sender->fd, &(struct event){.kind = EVENT_FIRST});
    }
    if (count == sender->reached_at) {
        send_event(sender->fd, &(struct event){.kind = EVENT_REACHED});
    }
}

_Noreturn static void child_main(const struct crash_child *child, pid_t parent, int fd)
{
    struct sender sender = {fd, child->moment.acknowledged};
    struct crash_writers writers = child->writers;
    struct weir_error why = WEIR_ERROR_INIT;
    struct event ended = {.kind = EVENT_ENDED};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_BY_ITSELF); /* it died before we asked for that signal */
    }
    (void)signal(SIGINT, SIG_IGN);  /* the terminal tells everybody; only the parent kills us */
    (void)signal(SIGTERM, SIG_DFL); /* the handler would tell the parent by the pipe it shares */
    signals_catch_lost_memory(NULL);
    ended.rc = weir_log_open(child->path, child->options, &writers.log, &why);
    if (ended.rc < 0) {
        snprintf(ended.text, sizeof ended.text, "%s", why.text);
    } else {
        writers.acknowledged = on_acknowledged;
        writers.context = &sender;
        ended.rc = crash_writers_run(&writers);
    }
    send_event(fd, &ended);
    while (ended.rc == 0) {
        pause(); /* the log stays open: the kill is still to come */
    }
    _exit(EXIT_BY_ITSELF);
}

/* ---- the parent ---- */

struct watch {
    const struct crash_child *child;
    int pipe_fd;
    int inotify_fd; /* -1: none can be had */
    bool first, reached, full;
    bool gone; /* the pipe's other end is closed */
    bool file; /* one was made since inotify_fd is there */
    struct weir_error *why;
};

/* Reads one event. Returns 0 or the error that the child reports. */
static int take_event(struct watch *watch)
{
    struct event event;
    ssize_t size = read(watch->pipe_fd, &event, sizeof event);
    if (size != (ssize_t)sizeof event) {
        watch->gone = size == 0;
        return size < 0 && errno != EINTR ? -errno : 0;
    }
    watch->first = watch->first || event.kind == EVENT_FIRST;
    watch->reached = watch->reached || event.kind == EVENT_REACHED;
    if (event.kind == EVENT_ENDED) {
        watch->full = event.rc == 0;
        snprintf(watch->why->text, sizeof watch->why->text, "%s", event.text);
    }
    return event.rc;
}

/* Waits until *until is set, or for the time. Returns 1, 0 (the time is over, or the table is
 * full), or a negative error. @param until  NULL waits for the time alone */
static int await(struct watch *watch, const bool *until, uint64_t timeout_ns)
{
    uint64_t now_ns = base_clock_monotonic_ns();
    uint64_t end_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
    for (; !watch->full && !(until != NULL && *until); now_ns = base_clock_monotonic_ns()) {
        struct pollfd fds[3] = {
            {.fd = signals_fd(), .events = POLLIN},
            {.fd = watch->pipe_fd, .events = POLLIN},
            {.fd = watch->inotify_fd, .events = POLLIN},
        };
        if (now_ns >= end_ns) {
            return 0;
        }
        uint64_t left_ms = (end_ns - now_ns + BASE_NS_PER_MS - 1) / BASE_NS_PER_MS;
        int count = poll(fds, 3, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
        if (signals_interrupted()) {
            return -EINTR;
        }
        watch->file = watch->file || (count > 0 && fds[2].revents != 0);
        if (count > 0 && fds[1].revents != 0) {
            int rc = take_event(watch);
            if (rc < 0 || watch->gone) {
                return rc < 0 ? rc : -ECHILD;
            }
        }
    }
    return watch->full ? 0 : 1;
}

static void sleep_ns(uint64_t ns)
{
    struct timespec time = {(time_t)(ns / BASE_NS_PER_S), (long)(ns % BASE_NS_PER_S)};
    (void)nanosleep(&time, NULL);
}

/* Returns 0 when the moment has come, or a negative error. */
static int await_moment(struct watch *watch, bool *ret_rolled)
{
    const struct crash_moment *moment = &watch->child->moment;
    int rc = await(watch, &watch->first, FIRST_WAIT_NS);
    if (rc <= 0 && !watch->full) {
        return rc < 0 ? rc : -ETIMEDOUT;
    }
    rc = moment->acknowledged > 0 ? await(watch, &watch->reached, UINT64_MAX)
                                  : await(watch, NULL, moment->time_ns);
    if (rc < 0) {
        return rc;
    }
    if (moment->roll && !watch->full) {
        watch->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (watch->inotify_fd >= 0) {
            (void)inotify_add_watch(watch->inotify_fd, watch->child->path, IN_CREATE | IN_MOVED_TO);
        }
        rc = await(watch, &watch->file, CRASH_ROLL_WAIT_NS);
        *ret_rolled = watch->file;
    }
    if (rc >= 0) {
        sleep_ns(moment->delay_ns);
    }
    return rc < 0 ? rc : 0;
}

/* Kills the child, and looks for what it said last. Returns 0 or a negative error. */
static int end_child(struct watch *watch, pid_t pid)
{
    int status = 0;
    int rc = 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    while (rc == 0 && !watch->gone) {
        rc = take_event(watch);
    }
    if (rc == 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
        rc = -ECHILD;
    }
    return rc;
}

int crash_child_run(const struct crash_child *child, bool *ret_rolled, struct weir_error *why)
{
    int fds[2];
    *ret_rolled = false;
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return -errno;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        int error = errno;
        close(fds[0]);
        close(fds[1]);
        return -error;
    }
    if (pid == 0) {
        close(fds[0]);
        child_main(child, parent, fds[1]);
    }
    close(fds[1]);
    struct watch watch = {.child = child, .pipe_fd = fds[0], .inotify_fd = -1, .why = why};
    int rc = await_moment(&watch, ret_rolled);
    int last = end_child(&watch, pid);
    if (watch.inotify_fd >= 0) {
        close(watch.inotify_fd);
    }
    close(fds[0]);
    return rc < 0 && !(rc == -ECHILD && last < 0) ? rc : last;
}
