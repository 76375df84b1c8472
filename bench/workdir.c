/*
 * Making and removing the working directory. Removal goes only below a path that we made, never
 * follows a symbolic link and never leaves the file system.
 */
#include "bench/workdir.h"

#include "base/shared_page.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

bool bench_interrupted(void)
{
    return interrupted != 0;
}

void bench_catch_interrupt(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = note_interrupt;
    action.sa_flags = (int)SA_RESETHAND; /* a second one ends the program */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

int bench_workdir_create(struct bench_workdir *workdir, const char *directory)
{
    static unsigned serial;
    if (mkdir(directory, 0777) < 0 && errno != EEXIST) {
        return -errno;
    }
    int length = snprintf(workdir->path, sizeof workdir->path, "%s/weir-bench-%ld-%u", directory,
                          (long)getpid(), serial++);
    if (length < 0 || (size_t)length >= sizeof workdir->path) {
        return -ENAMETOOLONG;
    }
    return mkdir(workdir->path, 0700) < 0 ? -errno : 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    (void)remove(path);
    return 0;
}

void bench_workdir_remove(struct bench_workdir *workdir)
{
    if (workdir->path[0] != '\0') {
        (void)nftw(workdir->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        workdir->path[0] = '\0';
    }
}

/* Holes are skipped: a database that maps its file may have made it far larger than what is in it.
 */
static int read_data(int fd)
{
    static char buffer[1 << 20];
    off_t end = 0;
    for (;;) {
        off_t at = lseek(fd, end, SEEK_DATA);
        if (at < 0) {
            return errno == ENXIO ? 0 : errno;
        }
        end = lseek(fd, at, SEEK_HOLE);
        while (at < end) {
            ssize_t size = pread(fd, buffer, sizeof buffer, at);
            if (size < 0 && errno != EINTR) {
                return errno;
            }
            if (size == 0) {
                break;
            }
            at += size > 0 ? size : 0;
        }
    }
}

static int read_through(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)place;
    if (kind != FTW_F) {
        return 0;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int error = read_data(fd);
    (void)close(fd);
    return error;
}

int bench_warm(const char *path)
{
    return -nftw(path, read_through, 16, FTW_PHYS | FTW_MOUNT);
}

/* The uuid of a log lies at byte 16 of CONTROL (docs/FORMAT.md, 1). */
static int forget_writer(int control)
{
    uint8_t uuid[BASE_UUID_SIZE];
    ssize_t size = pread(control, uuid, sizeof uuid, 16);
    return size == (ssize_t)sizeof uuid ? -base_shared_page_remove(uuid) : EIO;
}

static int drop(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    if (kind != FTW_F) {
        return 0;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int error = strcmp(path + place->base, "CONTROL") == 0 ? forget_writer(fd) : 0;
    if (error == 0) {
        error = fdatasync(fd) < 0 ? errno : posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    (void)close(fd);
    return error;
}

int bench_cool(const char *path)
{
    return -nftw(path, drop, 16, FTW_PHYS | FTW_MOUNT);
}

uint64_t bench_free_bytes(const char *path)
{
    struct statvfs status;
    return statvfs(path, &status) == 0 ? (uint64_t)status.f_bavail * status.f_frsize : 0;
}
