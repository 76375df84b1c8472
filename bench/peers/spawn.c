/*
 * A job in a child: the program runs itself again with --job FD and speaks over a socket pair.
 *
 * A child that dies or hangs gives an outcome that says so; the contest goes on. Its environment is
 * set between fork and exec, so that constructors (libpmem reads PMEM_IS_PMEM_FORCE in one) see it.
 */
#include "bench/peers/job.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S 180.0 /* beyond the time that is measured: filling a log, replaying a WAL */

static int send_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return -errno;
        }
        if (sent > 0) {
            at += sent;
            size -= (size_t)sent;
        }
    }
    return 0;
}

static int receive_all(int fd, void *data, size_t size)
{
    char *at = data;
    while (size > 0) {
        ssize_t received = recv(fd, at, size, 0);
        if (received == 0) {
            return -EPIPE;
        }
        if (received < 0 && errno != EINTR) {
            return -errno;
        }
        if (received > 0) {
            at += received;
            size -= (size_t)received;
        }
    }
    return 0;
}

int peer_job_child(int fd)
{
    struct peer_job job;
    struct peer_outcome outcome;
    if (receive_all(fd, &job, sizeof job) < 0) {
        return EXIT_FAILURE;
    }
    peer_job_run(&job, &outcome);
    return send_all(fd, &outcome, sizeof outcome) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

_Noreturn static void become_child(const struct peer_job *job, int fd)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", fd);
    if (job->force_pmem) {
        (void)setenv("PMEM_IS_PMEM_FORCE", "1", 1);
    } else {
        (void)unsetenv("PMEM_IS_PMEM_FORCE");
    }
    (void)unsetenv("PMEM_NO_FLUSH");
    char *const arguments[] = {"weir-peers", "--job", number, NULL};
    (void)execv("/proc/self/exe", arguments);
    _exit(127);
}

static int await_outcome(int fd, const struct peer_job *job, struct peer_outcome *outcome)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    int patience_ms = (int)((PATIENCE_S + 20.0 * job->seconds) * 1e3);
    int rc;
    do {
        rc = poll(&waiting, 1, patience_ms);
    } while (rc < 0 && errno == EINTR);
    if (rc == 0) {
        return -ETIMEDOUT;
    }
    return rc < 0 ? -errno : receive_all(fd, outcome, sizeof *outcome);
}

static void describe_death(pid_t child, int rc, struct peer_outcome *outcome)
{
    if (rc == -ETIMEDOUT) {
        (void)kill(child, SIGKILL);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (rc == 0) {
        return;
    }
    memset(outcome, 0, sizeof *outcome);
    outcome->rc = rc;
    if (rc == -ETIMEDOUT) {
        (void)snprintf(outcome->failure, sizeof outcome->failure, "hung and was killed");
    } else if (WIFSIGNALED(status)) {
        (void)snprintf(outcome->failure, sizeof outcome->failure, "died of signal %d",
                       WTERMSIG(status));
    } else {
        (void)snprintf(outcome->failure, sizeof outcome->failure, "exited with status %d",
                       WEXITSTATUS(status));
    }
}

void peer_job_spawn(const struct peer_job *job, struct peer_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof *ret_outcome);
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0) {
        ret_outcome->rc = -errno;
        return;
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)close(sockets[0]);
        become_child(job, sockets[1]);
    }
    int rc = child < 0 ? -errno : 0;
    (void)close(sockets[1]);
    if (rc == 0) {
        (void)send_all(sockets[0], job, sizeof *job);
        rc = await_outcome(sockets[0], job, ret_outcome);
        describe_death(child, rc, ret_outcome);
    } else {
        ret_outcome->rc = rc;
    }
    (void)close(sockets[0]);
}
