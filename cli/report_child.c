/*
 * A benchmark in a process of its own: it starts from fresh memory, whatever ran before it.
 *
 * 1. A pipe, a fork, and /proc/self/exe once more; standard error is this program's.
 * 2. What comes through the pipe is kept until its end. A signal that this process gets meanwhile
 *    is passed on once: from a terminal the child has got it too, and it ends at the first.
 * 3. The child is waited for.
 *
 * Failures: no pipe, process or memory; more output than a benchmark has. The child is ended and
 * waited for in any case.
 */
#include "cli/report_child.h"

#include "cli/signals.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT_BYTES_MAX ((size_t)1 << 20)
#define EXIT_NOT_RUN 127

static _Noreturn void become(const char *const *words, int out_fd)
{
    static char name[] = "weir";
    char *argv[REPORT_CHILD_WORDS_MAX + 2] = {name};
    for (size_t i = 0; i < REPORT_CHILD_WORDS_MAX && words[i] != NULL; i++) {
        argv[i + 1] = (char *)(uintptr_t)words[i]; /* execv() changes none of them */
    }
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    if (dup2(out_fd, STDOUT_FILENO) >= 0) {
        (void)execv("/proc/self/exe", argv);
    }
    _exit(EXIT_NOT_RUN);
}

/* Waits; whether the pipe has something, or its end. */
static bool wait_for_output(int fd, pid_t pid, bool *told)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                            {.fd = *told ? -1 : signals_fd(), .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (fds[1].revents != 0) {
        (void)kill(pid, SIGINT);
        *told = true;
    }
    return fds[0].revents != 0;
}

static int read_all(int fd, pid_t pid, struct report_child *child)
{
    bool told = false;
    for (;;) {
        if (!wait_for_output(fd, pid, &told)) {
            continue;
        }
        ssize_t got = read(fd, child->out + child->size, OUT_BYTES_MAX - child->size);
        if (got == 0) {
            return child->size < OUT_BYTES_MAX ? 0 : -EOVERFLOW;
        }
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        child->size += got > 0 ? (size_t)got : 0;
    }
}

static int wait_for_end(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int report_child_run(const char *const *words, struct report_child *ret_child)
{
    struct report_child child = {.out = base_alloc(OUT_BYTES_MAX)};
    int fds[2];
    if (child.out == NULL) {
        return -ENOMEM;
    }
    if (pipe2(fds, O_CLOEXEC) < 0) {
        int rc = -errno;
        base_free(child.out);
        return rc;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(words, fds[1]);
    }
    int rc = pid < 0 ? -errno : 0;
    (void)close(fds[1]);
    if (rc == 0) {
        rc = read_all(fds[0], pid, &child);
        if (rc < 0) {
            (void)kill(pid, SIGKILL);
        }
        child.exit_code = wait_for_end(pid);
    }
    (void)close(fds[0]);
    if (rc < 0) {
        base_free(child.out);
        return rc;
    }
    *ret_child = child;
    return 0;
}

void report_child_free(struct report_child *child)
{
    base_free(child->out);
    child->out = NULL;
}
