/*
 * Every call by which base/, iouring/ and pmem/ reach the system: the linker puts a wrapper of
 * calls.c around each one, and calls_are_wrapped.py compares this list with the undefined symbols
 * of their objects. CMakeLists.txt reads the names from here: one X(...) for each.
 *
 * What is missing on purpose, each with its reason: HARMLESS in calls_are_wrapped.py.
 */
#ifndef TESTS_FAULT_CALLS_H
#define TESTS_FAULT_CALLS_H

/* clang-format off */
#define FAULT_CALLS(X)                                                                             \
    X(open) X(openat) X(close) X(fcntl) X(fchmod) X(ftruncate)                                     \
    X(fstat) X(fstatat) X(fstatfs) X(stat) X(statx)                                                \
    X(mkdir) X(mkdirat) X(renameat) X(rename) X(unlink) X(unlinkat)                                \
    X(pread) X(pwrite) X(pwritev2) X(read) X(write)                                                \
    X(fdatasync) X(fsync) X(posix_fadvise) X(posix_fallocate)                                      \
    X(mmap) X(mremap) X(mprotect) X(madvise)                                                       \
    X(fdopendir) X(readdir) X(closedir) X(fopen) X(fclose)                                         \
    X(eventfd) X(poll) X(getrandom) X(gethostname) X(pthread_create)                               \
    X(io_uring_queue_init_params) X(io_uring_register_eventfd) X(io_uring_submit)                  \
    X(__io_uring_get_cqe) X(io_uring_wait_cqe_timeout)
/* clang-format on */

enum fault_call {
    FAULT_any,
#define FAULT_ENUM(name) FAULT_##name,
    FAULT_CALLS(FAULT_ENUM)
#undef FAULT_ENUM
    /* Not calls, but met in the same way. */
    FAULT_completion,
    FAULT_alloc,
    FAULT_pages_alloc,
    FAULT_KINDS,
};

#endif
