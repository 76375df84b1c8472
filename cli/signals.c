/*
 * Signals through a pipe.
 *
 * The handler sets a flag and writes a byte to a pipe that nobody empties: a poll() that includes
 * it can never miss a signal, not even one that came just before.
 */
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static int pipe_fds[2] = {-1, -1};

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    interrupted = 1;
    ssize_t written = write(pipe_fds[1], "", 1);
    (void)written; /* a full pipe is readable already */
    errno = saved;
}

int signals_install(void)
{
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return -errno;
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction notice = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&ignore.sa_mask);
    sigemptyset(&notice.sa_mask);
    if (sigaction(SIGPIPE, &ignore, NULL) < 0 || sigaction(SIGINT, &notice, NULL) < 0 ||
        sigaction(SIGTERM, &notice, NULL) < 0) {
        return -errno;
    }
    return 0;
}

bool signals_interrupted(void)
{
    return interrupted != 0;
}

int signals_fd(void)
{
    return pipe_fds[0];
}
