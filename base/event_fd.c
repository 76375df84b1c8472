/*
 * eventfd: a counter in the kernel. Non-blocking, so that a counter at its limit and one at zero
 * both answer at once; either way the descriptor says what it should.
 */
#include "base/event_fd.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int base_event_fd_create(int *ret_fd)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

void base_event_fd_signal(int fd)
{
    uint64_t one = 1;
    ssize_t written;
    do {
        written = write(fd, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    /* EAGAIN: the counter is at its limit, so the descriptor is readable already. Anything else is
     * a program that closed what it does not own: not ours to die of. */
}

bool base_event_fd_clear(int fd)
{
    uint64_t count;
    ssize_t taken;
    do {
        taken = read(fd, &count, sizeof count);
    } while (taken < 0 && errno == EINTR);
    return taken == sizeof count;
}

bool base_event_fd_is_signalled(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1 && (one.revents & POLLIN) != 0;
}

void base_event_fd_close(int fd)
{
    if (fd >= 0) {
        (void)close(fd); /* holds nothing that could fail to be written */
    }
}
