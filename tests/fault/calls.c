/*
 * The wrappers that the linker puts around the calls of calls.h, and the failing allocator.
 *
 * Each call names the errors that the system can really answer with there. A call that fails has
 * done nothing, or (FAULT_AFTER) all of its work: what callers must expect of a disk is both.
 */
#include "tests/fault/inject.h"

#include "base/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#define BLOCK 4096u

/* A list of errors for one call. */
#define ERRORS(...)                                                                                \
    static const int errors[] = {__VA_ARGS__};                                                     \
    static const unsigned error_count = sizeof errors / sizeof *errors
#define STRIKE(name) fault_strike(FAULT_IN_CALLS, FAULT_##name, errors, error_count)

/* A call that returns -1 and sets errno. */
#define WRAP(type, name, parameters, arguments, ...)                                               \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        ERRORS(__VA_ARGS__);                                                                       \
        int error = STRIKE(name);                                                                  \
        if (error == 0) {                                                                          \
            return __real_##name arguments;                                                        \
        }                                                                                          \
        if ((error & FAULT_AFTER) != 0) {                                                          \
            (void)__real_##name arguments;                                                         \
        }                                                                                          \
        errno = error & FAULT_ERRNO;                                                               \
        return (type)-1;                                                                           \
    }

/* A call that returns the error itself, as it is or negated. */
#define WRAP_CODE(name, sign, parameters, arguments, ...)                                          \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        ERRORS(__VA_ARGS__);                                                                       \
        int error = STRIKE(name);                                                                  \
        if (error == 0) {                                                                          \
            return __real_##name arguments;                                                        \
        }                                                                                          \
        return sign(error & FAULT_ERRNO);                                                          \
    }

/* ---- names and descriptors ---- */

#define OPEN_ERRORS EMFILE, EIO, ENOSPC, ENOMEM, EACCES, EINTR | FAULT_NOT_LASTING, ENFILE, EDQUOT

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    ERRORS(OPEN_ERRORS);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    int error = STRIKE(open);
    if (error == 0) {
        return __real_open(path, flags, mode);
    }
    errno = error & FAULT_ERRNO;
    return -1;
}

int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...)
{
    ERRORS(OPEN_ERRORS);
    va_list rest;
    va_start(rest, flags);
    bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    mode_t mode = makes ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    int error = STRIKE(openat);
    if (error == 0) {
        return __real_openat(at, path, flags, mode);
    }
    errno = error & FAULT_ERRNO;
    return -1;
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    ERRORS(ENOLCK, EAGAIN, EIO, ENOMEM);
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    int error = STRIKE(fcntl);
    if (error == 0) {
        return __real_fcntl(fd, command, argument);
    }
    errno = error & FAULT_ERRNO;
    return -1;
}

/* close() gives the descriptor back whatever it says. */
WRAP(int, close, (int fd), (fd), EIO | FAULT_AFTER, EINTR | FAULT_AFTER, ENOSPC | FAULT_AFTER)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), EIO, EPERM)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), EIO, ENOSPC, EINTR | FAULT_NOT_LASTING)
WRAP(int, fstat, (int fd, struct stat *status), (fd, status), EIO, ENOMEM)
WRAP(int, fstatat, (int at, const char *name, struct stat *status, int flags),
     (at, name, status, flags), EIO, ENOMEM)
WRAP(int, fstatfs, (int fd, struct statfs *status), (fd, status), EIO, ENOMEM, ENOSYS)
WRAP(int, stat, (const char *path, struct stat *status), (path, status), EIO, ENOMEM)
WRAP(int, statx, (int at, const char *name, int flags, unsigned mask, struct statx *status),
     (at, name, flags, mask, status), EIO, ENOSYS)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), EIO, ENOSPC, EDQUOT, EACCES)
WRAP(int, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode), EIO, ENOSPC, EDQUOT,
     EIO | FAULT_AFTER)
WRAP(int, rename, (const char *from, const char *to), (from, to), EIO, ENOSPC, EIO | FAULT_AFTER)
WRAP(int, renameat, (int at, const char *from, int to_at, const char *to), (at, from, to_at, to),
     EIO, ENOSPC, EIO | FAULT_AFTER, EDQUOT)
WRAP(int, unlink, (const char *path), (path), EIO, EACCES, EIO | FAULT_AFTER)
WRAP(int, unlinkat, (int at, const char *path, int flags), (at, path, flags), EIO, ENOSPC, EACCES,
     EIO | FAULT_AFTER)

/* ---- transfers ---- */

static size_t shortened(int error, size_t size)
{
    if ((error & FAULT_SHORT) != 0) {
        return size / 2 / BLOCK * BLOCK;
    }
    return (error & FAULT_ODD) != 0 ? size / 2 / BLOCK * BLOCK + 512 : 0;
}

static bool is_shape(int error)
{
    return (error & (FAULT_SHORT | FAULT_ODD | FAULT_NOTHING)) != 0;
}

/* A short read has the bytes of another place behind what it filled: nobody may look at them. */
ssize_t __real_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset)
{
    ERRORS(EIO, FAULT_SHORT | FAULT_NOT_LASTING, EINTR | FAULT_NOT_LASTING, ENOMEM,
           FAULT_ODD | FAULT_NOT_LASTING, EAGAIN, FAULT_NOTHING | FAULT_NOT_LASTING);
    int error = STRIKE(pread);
    if (error == 0) {
        return __real_pread(fd, buffer, size, offset);
    }
    if (is_shape(error)) {
        ssize_t got = __real_pread(fd, buffer, size, offset);
        size_t most = shortened(error, size);
        return got < 0 || (size_t)got < most ? got : (ssize_t)most;
    }
    errno = error & FAULT_ERRNO;
    return -1;
}

#define WRITE_ERRORS                                                                               \
    EIO, ENOSPC, FAULT_SHORT | FAULT_NOT_LASTING, EINTR | FAULT_NOT_LASTING, EDQUOT,               \
        FAULT_ODD | FAULT_NOT_LASTING, EIO | FAULT_AFTER, EAGAIN, ENOMEM,                          \
        FAULT_NOTHING | FAULT_NOT_LASTING

WRAP(ssize_t, pwrite, (int fd, const void *buffer, size_t size, off_t offset),
     (fd, buffer, size, offset), EIO, ENOSPC, EINVAL, EDQUOT)

ssize_t __real_pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags)
{
    ERRORS(WRITE_ERRORS);
    int error = STRIKE(pwritev2);
    if (error == 0) {
        return __real_pwritev2(fd, pieces, count, offset, flags);
    }
    if (is_shape(error)) {
        struct iovec part = {pieces[0].iov_base, shortened(error, pieces[0].iov_len)};
        /* An odd part cannot be written past the page cache: what is told is what counts. */
        size_t put = part.iov_len;
        part.iov_len -= part.iov_len % BLOCK;
        return part.iov_len > 0 && __real_pwritev2(fd, &part, 1, offset, flags) < 0 ? -1
                                                                                    : (ssize_t)put;
    }
    if ((error & FAULT_AFTER) != 0) {
        (void)__real_pwritev2(fd, pieces, count, offset, flags);
    }
    errno = error & FAULT_ERRNO;
    return -1;
}

WRAP(ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size), EAGAIN, EIO,
     EINTR | FAULT_NOT_LASTING)
WRAP(ssize_t, write, (int fd, const void *buffer, size_t size), (fd, buffer, size), EAGAIN, EIO,
     EINTR | FAULT_NOT_LASTING)
WRAP(int, fdatasync, (int fd), (fd), EIO, EIO | FAULT_AFTER, ENOSPC, EDQUOT,
     EINTR | FAULT_NOT_LASTING)
WRAP(int, fsync, (int fd), (fd), EIO, EIO | FAULT_AFTER, ENOSPC, EINTR | FAULT_NOT_LASTING)
WRAP_CODE(posix_fadvise, +, (int fd, off_t offset, off_t size, int advice),
          (fd, offset, size, advice), EIO)
WRAP_CODE(posix_fallocate, +, (int fd, off_t offset, off_t size), (fd, offset, size), ENOSPC, EIO,
          EINTR | FAULT_NOT_LASTING)

/* ---- mappings ---- */

#define FAILED_MAPPING(error) (errno = (error)&FAULT_ERRNO, MAP_FAILED)

void *__real_mmap(void *hint, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *hint, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *hint, size_t size, int protection, int flags, int fd, off_t offset)
{
    ERRORS(ENOMEM, EAGAIN, EACCES);
    int error = STRIKE(mmap);
    return error == 0 ? __real_mmap(hint, size, protection, flags, fd, offset)
                      : FAILED_MAPPING(error);
}

void *__real_mremap(void *old, size_t old_size, size_t size, int flags, ...);
void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...);
void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...)
{
    ERRORS(ENOMEM, EAGAIN);
    va_list rest;
    va_start(rest, flags);
    void *place = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void *) : NULL;
    va_end(rest);
    int error = STRIKE(mremap);
    return error == 0 ? __real_mremap(old, old_size, size, flags, place) : FAILED_MAPPING(error);
}

WRAP(int, mprotect, (void *base, size_t size, int protection), (base, size, protection), ENOMEM)
WRAP(int, madvise, (void *base, size_t size, int advice), (base, size, advice), EFAULT, ENOMEM,
     EAGAIN, EHWPOISON, EINVAL)

/* ---- directories and streams ---- */

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
    ERRORS(ENOMEM, EIO);
    int error = STRIKE(fdopendir);
    if (error == 0) {
        return __real_fdopendir(fd);
    }
    errno = error & FAULT_ERRNO;
    return NULL;
}

struct dirent *__real_readdir(DIR *stream);
struct dirent *__wrap_readdir(DIR *stream);
struct dirent *__wrap_readdir(DIR *stream)
{
    ERRORS(EIO, ENOMEM);
    int error = STRIKE(readdir);
    if (error == 0) {
        return __real_readdir(stream);
    }
    errno = error & FAULT_ERRNO;
    return NULL;
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    ERRORS(EMFILE, ENOMEM);
    int error = STRIKE(fopen);
    if (error == 0) {
        return __real_fopen(path, mode);
    }
    errno = error & FAULT_ERRNO;
    return NULL;
}

WRAP(int, closedir, (DIR * stream), (stream), EIO | FAULT_AFTER)
WRAP(int, fclose, (FILE * stream), (stream), EIO | FAULT_AFTER)

/* ---- the rest of the system ---- */

WRAP(int, eventfd, (unsigned value, int flags), (value, flags), EMFILE, ENFILE, ENOMEM)
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int timeout_ms), (fds, count, timeout_ms),
     EINTR | FAULT_NOT_LASTING, ENOMEM)
WRAP(ssize_t, getrandom, (void *buffer, size_t size, unsigned flags), (buffer, size, flags), ENOSYS,
     EINTR | FAULT_NOT_LASTING, EPERM, EIO)
WRAP(int, gethostname, (char *name, size_t size), (name, size), ENAMETOOLONG, EFAULT)
WRAP_CODE(pthread_create, +,
          (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *),
           void *context),
          (thread, attributes, run, context), EAGAIN, EPERM)

/* ---- io_uring ---- */

WRAP_CODE(io_uring_queue_init_params, -,
          (unsigned depth, struct io_uring *ring, struct io_uring_params *params),
          (depth, ring, params), EPERM, ENOMEM, ENOSYS, EMFILE, EINVAL)
WRAP_CODE(io_uring_register_eventfd, -, (struct io_uring * ring, int fd), (ring, fd), ENOMEM, EBUSY)
WRAP_CODE(__io_uring_get_cqe, -,
          (struct io_uring * ring, struct io_uring_cqe **cqe, unsigned submit, unsigned wait,
           sigset_t *mask),
          (ring, cqe, submit, wait, mask), EINTR | FAULT_NOT_LASTING, EIO, EBADF,
          EAGAIN | FAULT_NOT_LASTING)
WRAP_CODE(io_uring_wait_cqe_timeout, -,
          (struct io_uring * ring, struct io_uring_cqe **cqe, struct __kernel_timespec *timeout),
          (ring, cqe, timeout), EINTR | FAULT_NOT_LASTING, EIO, ETIME | FAULT_NOT_LASTING)

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

/* What the kernel would have answered: the request becomes one that does nothing (or half), and
 * its completion is rewritten as soon as it is there. */
static int submit_with_result(struct io_uring *ring, int error)
{
    struct io_uring_sqe *sqe = &ring->sq.sqes[(ring->sq.sqe_tail - 1) & *ring->sq.kring_mask];
    uint64_t token = sqe->user_data;
    int32_t result = -(error & FAULT_ERRNO);
    bool is_write = sqe->opcode == IORING_OP_WRITE;
    if (is_write && (error & FAULT_SHORT) != 0 && sqe->len > BLOCK) {
        sqe->len = sqe->len / 2 / BLOCK * BLOCK;
        return __real_io_uring_submit(ring);
    }
    if (is_shape(error)) {
        result = is_write ? (int32_t)shortened(error & FAULT_ODD, sqe->len) : -EIO;
    }
    if ((error & FAULT_AFTER) == 0) {
        io_uring_prep_nop(sqe);
        sqe->user_data = token;
    }
    int rc = __real_io_uring_submit(ring);
    struct io_uring_cqe *first;
    for (bool done = rc < 0; !done;) {
        unsigned head, seen = 0;
        struct io_uring_cqe *cqe;
        io_uring_for_each_cqe(ring, head, cqe)
        {
            seen++;
            if (cqe->user_data == token && !done) {
                cqe->res = result;
                done = true;
            }
        }
        if (!done && io_uring_wait_cqe_nr(ring, &first, seen + 1) < 0) {
            break;
        }
    }
    if ((error & FAULT_OVERFLOW) != 0) {
        *ring->cq.koverflow += 1;
    }
    return rc;
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
    static const int results[] = {
        EIO,         ENOSPC,        EAGAIN,    ECANCELED,         EINTR,
        FAULT_SHORT, FAULT_NOTHING, FAULT_ODD, EIO | FAULT_AFTER, FAULT_OVERFLOW | EIO};
    ERRORS(EIO, EINTR | FAULT_NOT_LASTING, EAGAIN, EBUSY, ENOMEM, EAGAIN | FAULT_NOT_LASTING,
           EBADR);
    int error = STRIKE(io_uring_submit);
    if (error != 0) {
        return -(error & FAULT_ERRNO);
    }
    error = fault_strike(FAULT_IN_COMPLETIONS, FAULT_completion, results,
                         sizeof results / sizeof *results);
    return error != 0 ? submit_with_result(ring, error) : __real_io_uring_submit(ring);
}

/* ---- memory ---- */

static const int no_memory[] = {ENOMEM};

static void *failing_alloc(void *context, size_t alignment, size_t size)
{
    (void)context;
    void *memory = NULL;
    size_t least = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    bool fails = fault_strike(FAULT_IN_MEMORY, FAULT_alloc, no_memory, 1) != 0;
    return fails || posix_memalign(&memory, least, size) != 0 ? NULL : memory;
}

static void failing_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static void *failing_pages_alloc(void *context, size_t size, unsigned flags)
{
    (void)context;
    (void)flags;
    if (fault_strike(FAULT_IN_MEMORY, FAULT_pages_alloc, no_memory, 1) != 0) {
        return NULL;
    }
    void *memory =
        __real_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void failing_pages_free(void *context, void *memory, size_t size)
{
    (void)context;
    munmap(memory, size);
}

const struct base_system fault_memory = {
    .alloc = failing_alloc,
    .free = failing_free,
    .pages_alloc = failing_pages_alloc,
    .pages_free = failing_pages_free,
};
