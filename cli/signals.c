/*
 * Signals through a pipe.
 *
 * The handler sets a flag and writes a byte to a pipe that nobody empties: a poll() that includes
 * it can never miss a signal, not even one that came just before.
 *
 * SIGBUS comes from an instruction, so its handler may leave by a jump. Whatever that instruction
 * held, locks of the log too, stays held: after it the program only reports and ends.
 */
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_DEVICE 4 /* CLI_DEVICE */

static atomic_bool interrupted; /* any thread may get the signal, and any may ask */
static int pipe_fds[2] = {-1, -1};

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    atomic_store_explicit(&interrupted, true, memory_order_relaxed);
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

/* ---- memory that is gone ---- */

static sigjmp_buf *lost_back;
static void *lost_address;

static void on_lost_memory(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    sigjmp_buf *back = lost_back;
    if (back != NULL && gettid() == getpid()) {
        lost_back = NULL;
        lost_address = info->si_addr;
        siglongjmp(*back, 1);
    }
    static const char text[] = "weir: a file of the log was cut short, or cannot be read any more\n"
                               "  run `weir verify LOG`\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(EXIT_DEVICE);
}

void signals_catch_lost_memory(sigjmp_buf *back)
{
    struct sigaction action = {.sa_sigaction = on_lost_memory, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    lost_back = back;
    (void)sigaction(SIGBUS, &action, NULL); /* without it, the program dies as any other would */
}

bool signals_lost_memory(char *name, size_t name_size, uint64_t *ret_offset)
{
    char line[4400]; /* a path and what stands before it */
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start, end;
        uint64_t offset;
        int path = 0;
        line[strcspn(line, "\n")] = '\0';
        int fields = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %" SCNx64 " %*s %*s %n", &start,
                            &end, &offset, &path);
        const char *slash = fields == 3 && path > 0 ? strrchr(line + path, '/') : NULL;
        found = slash != NULL && (uintptr_t)lost_address >= start && (uintptr_t)lost_address < end;
        if (found) {
            snprintf(name, name_size, "%s", slash + 1);
            *ret_offset = offset + (uintptr_t)lost_address - start;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

/* ---- interruption ---- */

bool signals_interrupted(void)
{
    return atomic_load_explicit(&interrupted, memory_order_relaxed);
}

int signals_fd(void)
{
    return pipe_fds[0];
}
