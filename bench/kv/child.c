/*
 * A store in a process of its own: its allocator, its page tables and its death are its own, and it
 * keeps what it was filled with while others have their turn.
 *
 * Questions go down a socket pair and outcomes come up. A question that `dies` is answered first;
 * then the process kills itself with SIGKILL, the store open, so that what is left is what a crash
 * leaves. The end of the socket means: close the store and end.
 */
#include "bench/kv/plan.h"

#include "bench/workdir.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns 0; -EPIPE when the other end is gone; -EINTR after a signal to this program. */
static int transfer(int fd, void *data, size_t size, bool out)
{
    char *at = data;
    while (size > 0) {
        ssize_t moved = out ? send(fd, at, size, MSG_NOSIGNAL) : recv(fd, at, size, 0);
        if (moved == 0) {
            return -EPIPE;
        }
        if (moved < 0 && (errno != EINTR || bench_interrupted())) {
            return -errno;
        }
        if (moved > 0) {
            at += moved;
            size -= (size_t)moved;
        }
    }
    return 0;
}

_Noreturn static void serve(const struct kv_child *child, pid_t parent, int fd)
{
    static struct kv_session session;
    struct kv_case question;
    struct kv_outcome outcome;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_FAILURE);
    }
    session.plan = child->plan;
    session.ops = child->ops;
    session.directory = child->directory;
    int rc = bench_payload_create(&session.payload, child->plan->size_min, child->plan->size_max);
    while (rc == 0 && transfer(fd, &question, sizeof question, false) == 0) {
        (void)kv_answer(&session, &question, &outcome);
        rc = transfer(fd, &outcome, sizeof outcome, true);
        if (question.dies) {
            (void)raise(SIGKILL);
        }
    }
    if (session.store != NULL) {
        session.ops->close(session.store);
    }
    _exit(rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int start(struct kv_child *child)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) {
        return -errno;
    }
    (void)fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(sockets[0]);
        serve(child, parent, sockets[1]);
    }
    int error = errno;
    (void)close(sockets[1]);
    if (pid < 0) {
        (void)close(sockets[0]);
        return -error;
    }
    child->pid = (int)pid;
    child->fd = sockets[0];
    return 0;
}

/* Returns how it ended, as waitpid has it. */
static int await_end(struct kv_child *child)
{
    int status = 0;
    (void)shutdown(child->fd, SHUT_RDWR); /* younger processes have inherited this end */
    (void)close(child->fd);
    while (waitpid((pid_t)child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    child->pid = 0;
    return status;
}

void kv_child_ask(struct kv_child *child, const struct kv_case *question,
                  struct kv_outcome *ret_outcome)
{
    struct kv_case copy = *question;
    memset(ret_outcome, 0, sizeof *ret_outcome);
    copy.goal_store = NULL; /* an address of this process */
    int rc = child->pid > 0 ? 0 : start(child);
    if (rc < 0) {
        ret_outcome->rc = rc;
        (void)snprintf(ret_outcome->error, sizeof ret_outcome->error, "%s", strerror(-rc));
        return;
    }
    rc = transfer(child->fd, &copy, sizeof copy, true);
    rc = rc < 0 ? rc : transfer(child->fd, ret_outcome, sizeof *ret_outcome, false);
    if (rc == 0 && !question->dies) {
        return;
    }
    if (rc == -EINTR) {
        (void)kill((pid_t)child->pid, SIGKILL);
    }
    int status = await_end(child);
    if (rc < 0) {
        memset(ret_outcome, 0, sizeof *ret_outcome);
        ret_outcome->rc = rc;
        (void)snprintf(ret_outcome->error, sizeof ret_outcome->error,
                       WIFSIGNALED(status) ? "died of signal %d" : "exited with status %d",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

void kv_child_end(struct kv_child *child)
{
    if (child->pid > 0) {
        (void)await_end(child);
    }
}
