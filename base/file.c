/*
 * The files of a directory, over POSIX.
 *
 * Happy path:
 *   1. base_file_create writes zeros in pieces of 1 MiB, past the page cache if possible.
 *   2. reads and writes are whole: they go on after EINTR and after a short transfer.
 *   3. a view is mapped read-only and faulted in, so that an unreadable page shows here.
 *
 * Failure modes:
 *   - ENOSPC, EDQUOT or EIO while creating: the file is removed again. A crash there leaves a file
 *     of that name, shorter than asked or with zeros: the caller decides by its content.
 *   - O_DIRECT refused: an error or the page cache, as the caller said.
 *   - a short write at a place where it cannot be continued: -EIO.
 *
 * Invariants: no descriptor survives exec; unaligned memory never reaches a file that is direct.
 */
#include "base/file.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* on every architecture but Alpha */
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define RESIDENT_BYTES ((size_t)1 << 20)
#define MISSING_SHARE 8               /* of a file that counts as being in the page cache */
#define PIECE_BYTES ((size_t)1 << 20) /* the largest single transfer through a buffer of ours */
#define FILE_MODE 0644

/* ---- whole transfers ---- */

static bool is_aligned(const void *memory)
{
    return ((uintptr_t)memory & (BASE_FILE_BLOCK - 1)) == 0;
}

/* 1: the file ends there; 0: it goes on; -errno. */
static int ends_at(int fd, uint64_t end)
{
    struct stat status;
    return fstat(fd, &status) < 0 ? -errno : (uint64_t)status.st_size <= end;
}

/* As much as comes; short at the end of the file. Any read may be cut short, and "nothing" is the
 * end only where the file's size says so: what recovery does not see, it cuts. */
static int read_fully(int fd, uint64_t offset, uint8_t *target, size_t size, size_t *ret_done)
{
    size_t done = 0;
    bool stalled = false;
    while (done < size) {
        ssize_t got = pread(fd, target + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        size_t rest = (size_t)got % BASE_FILE_BLOCK;
        done += (size_t)got - rest;
        if (got != 0 && rest == 0) {
            continue;
        }
        int end = ends_at(fd, offset + done + rest);
        if (end < 0) {
            return end;
        }
        if (end == 1) {
            done += rest;
            break;
        }
        if ((size_t)got < BASE_FILE_BLOCK && stalled) {
            return -EIO;
        }
        stalled = (size_t)got < BASE_FILE_BLOCK;
    }
    *ret_done = done;
    return 0;
}

static int write_fully(int fd, uint64_t offset, const uint8_t *source, size_t size, int flags)
{
    size_t done = 0;
    while (done < size) {
        /* The cast drops const for an iovec that is only read. */
        struct iovec piece = {(void *)(uintptr_t)(source + done), size - done};
        ssize_t put = pwritev2(fd, &piece, 1, (off_t)(offset + done), flags);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -errno;
        }
        if (put == 0 || ((size_t)put != size - done && (size_t)put % BASE_FILE_BLOCK != 0)) {
            return -EIO;
        }
        done += (size_t)put;
    }
    return 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int read_bounced(int fd, uint64_t offset, uint8_t *target, size_t size, size_t *ret_done)
{
    size_t piece_bytes = smaller(size, PIECE_BYTES);
    uint8_t *bounce = base_alloc_aligned(BASE_FILE_BLOCK, piece_bytes);
    if (bounce == NULL) {
        return -ENOMEM;
    }
    int rc = 0;
    size_t done = 0;
    while (done < size) {
        size_t want = smaller(size - done, piece_bytes);
        size_t got = 0;
        rc = read_fully(fd, offset + done, bounce, want, &got);
        if (rc < 0) {
            break;
        }
        memcpy(target + done, bounce, got);
        done += got;
        if (got < want) {
            break;
        }
    }
    base_free(bounce);
    if (rc == 0) {
        *ret_done = done;
    }
    return rc;
}

static int write_bounced(int fd, uint64_t offset, const uint8_t *source, size_t size)
{
    size_t piece_bytes = smaller(size, PIECE_BYTES);
    uint8_t *bounce = base_alloc_aligned(BASE_FILE_BLOCK, piece_bytes);
    if (bounce == NULL) {
        return -ENOMEM;
    }
    int rc = 0;
    for (size_t done = 0; done < size && rc == 0;) {
        size_t want = smaller(size - done, piece_bytes);
        memcpy(bounce, source + done, want);
        rc = write_fully(fd, offset + done, bounce, want, 0);
        done += want;
    }
    base_free(bounce);
    return rc;
}

static bool is_block_range(uint64_t offset, size_t size_bytes)
{
    return offset % BASE_FILE_BLOCK == 0 && size_bytes % BASE_FILE_BLOCK == 0;
}

int base_file_read(const struct base_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                   size_t *ret_size_bytes)
{
    if (!is_block_range(offset, size_bytes)) {
        return -EINVAL;
    }
    if (!file->direct && !file->cached) {
        /* A page that failed to be written back is clean and wrong; asking is all we can do. */
        (void)posix_fadvise(file->fd, (off_t)offset, (off_t)size_bytes, POSIX_FADV_DONTNEED);
    }
    if (file->direct && !is_aligned(buffer)) {
        return read_bounced(file->fd, offset, buffer, size_bytes, ret_size_bytes);
    }
    return read_fully(file->fd, offset, buffer, size_bytes, ret_size_bytes);
}

static uint64_t pages_of(uint64_t offset, size_t size_bytes)
{
    size_t page_bytes = base_page_size();
    return size_bytes == 0 ? 0 : (offset + size_bytes - 1) / page_bytes - offset / page_bytes + 1;
}

/* How many pages of the range are in the page cache, or on their way there; -errno: the kernel does
 * not tell this process. cachestat() counts folios, which may be large: one call for any size. */
static int64_t count_cached(const struct base_file *file, uint64_t offset, size_t size_bytes)
{
    const uint64_t range[2] = {offset, size_bytes};
    uint64_t counts[5] = {0}; /* in the cache, dirty, being written, evicted, evicted lately */
    return syscall(SYS_cachestat, file->fd, range, counts, 0) == 0 ? (int64_t)counts[0] : -errno;
}

/* mincore() looks at a mapping; nothing is touched, so nothing is read and nothing can fault. */
bool base_file_is_resident(const struct base_file *file, uint64_t offset, size_t size_bytes)
{
    int64_t cached = size_bytes > 0 ? count_cached(file, offset, size_bytes) : -EINVAL;
    if (cached >= 0) {
        return (uint64_t)cached == pages_of(offset, size_bytes);
    }
    unsigned char pages[RESIDENT_BYTES / BASE_FILE_BLOCK];
    bool resident = size_bytes > 0;
    for (size_t done = 0; done < size_bytes && resident;) {
        size_t size = smaller(size_bytes - done, RESIDENT_BYTES);
        void *view = mmap(NULL, size, PROT_READ, MAP_SHARED, file->fd, (off_t)(offset + done));
        if (view == MAP_FAILED) {
            return false;
        }
        resident = mincore(view, size, pages) == 0;
        size_t count = (size + base_page_size() - 1) / base_page_size();
        for (size_t page = 0; page < count && resident; page++) {
            resident = (pages[page] & 1) != 0;
        }
        munmap(view, size);
        done += size;
    }
    return resident;
}

bool base_file_read_resident(const struct base_file *file, uint64_t offset, void *buffer,
                             size_t size_bytes, size_t *ret_size_bytes)
{
    return is_block_range(offset, size_bytes) && base_file_is_resident(file, offset, size_bytes) &&
           read_fully(file->fd, offset, buffer, size_bytes, ret_size_bytes) == 0;
}

int base_file_write(const struct base_file *file, uint64_t offset, const void *buffer,
                    size_t size_bytes)
{
    if (!is_block_range(offset, size_bytes)) {
        return -EINVAL;
    }
    if (file->direct && !is_aligned(buffer)) {
        return write_bounced(file->fd, offset, buffer, size_bytes);
    }
    return write_fully(file->fd, offset, buffer, size_bytes, 0);
}

int base_file_write_durably(const struct base_file *file, uint64_t offset, const void *buffer,
                            size_t size_bytes)
{
    return write_fully(file->fd, offset, buffer, size_bytes, RWF_DSYNC);
}

/* ---- one file ---- */

static bool is_directory(const struct base_directory *directory, const char *name)
{
    struct stat status;
    return fstatat(directory->fd, name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

static int open_file(const struct base_directory *directory, const char *name, int flags,
                     enum base_direct direct, struct base_file *ret_file)
{
    if (!base_file_name_is_valid(name)) {
        return -EINVAL;
    }
    bool with_direct = direct != BASE_DIRECT_NEVER;
    int fd = base_open_at(directory->fd, name, flags | (with_direct ? O_DIRECT : 0), FILE_MODE);
    if (fd == -EINVAL && direct == BASE_DIRECT_PREFERRED) {
        with_direct = false;
        /* Some kernels refuse O_DIRECT only after O_CREAT made the file: it is ours, and empty. */
        if ((flags & O_EXCL) != 0) {
            unlinkat(directory->fd, name, 0);
        }
        fd = base_open_at(directory->fd, name, flags, FILE_MODE);
    }
    if (fd == -EINVAL && is_directory(directory, name)) {
        return -EISDIR; /* O_DIRECT is refused before the kind of file is looked at */
    }
    if (fd < 0) {
        return fd;
    }
    *ret_file = (struct base_file){.fd = fd, .direct = with_direct};
    return 0;
}

int base_file_open(const struct base_directory *directory, const char *name, bool writable,
                   enum base_direct direct, struct base_file *ret_file)
{
    struct base_file file;
    int rc = open_file(directory, name, writable ? O_RDWR : O_RDONLY, direct, &file);
    if (rc < 0) {
        return rc;
    }
    struct stat status;
    rc = fstat(file.fd, &status) < 0 ? -errno : 0;
    if (rc == 0 && !S_ISREG(status.st_mode)) {
        rc = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    }
    if (rc < 0) {
        close(file.fd);
        return rc;
    }
    *ret_file = file;
    return 0;
}

static int write_zeros(const struct base_file *file, uint64_t size_bytes)
{
    if (size_bytes == 0) {
        return 0;
    }
    size_t piece_bytes = size_bytes < PIECE_BYTES ? (size_t)size_bytes : PIECE_BYTES;
    uint8_t *zeros = base_alloc_aligned(BASE_FILE_BLOCK, piece_bytes);
    if (zeros == NULL) {
        return -ENOMEM;
    }
    memset(zeros, 0, piece_bytes);
    int rc = 0;
    for (uint64_t done = 0; done < size_bytes && rc == 0; done += piece_bytes) {
        uint64_t left = size_bytes - done;
        size_t size = left < piece_bytes ? (size_t)left : piece_bytes;
        rc = write_fully(file->fd, done, zeros, size, 0);
    }
    base_free(zeros);
    return rc;
}

int base_file_create(const struct base_directory *directory, const char *name, uint64_t size_bytes,
                     enum base_direct direct, struct base_file *ret_file)
{
    if (size_bytes % BASE_FILE_BLOCK != 0 || size_bytes > (uint64_t)INT64_MAX) {
        return -EINVAL;
    }
    struct base_file file;
    int rc = open_file(directory, name, O_RDWR | O_CREAT | O_EXCL, direct, &file);
    if (rc < 0) {
        return rc;
    }
    rc = write_zeros(&file, size_bytes);
    if (rc < 0) {
        unlinkat(directory->fd, name, 0);
        close(file.fd);
        return rc;
    }
    *ret_file = file;
    return 0;
}

void base_file_close(struct base_file *file)
{
    close(file->fd);
    file->fd = -1;
}

int base_file_rename(const struct base_directory *directory, const char *from, const char *to)
{
    if (!base_file_name_is_valid(from) || !base_file_name_is_valid(to)) {
        return -EINVAL;
    }
    return renameat(directory->fd, from, directory->fd, to) < 0 ? -errno : 0;
}

int base_file_remove(const struct base_directory *directory, const char *name)
{
    if (!base_file_name_is_valid(name)) {
        return -EINVAL;
    }
    return unlinkat(directory->fd, name, 0) < 0 ? -errno : 0;
}

int base_file_size(const struct base_file *file, uint64_t *ret_size_bytes)
{
    struct stat status;
    if (fstat(file->fd, &status) < 0) {
        return -errno;
    }
    *ret_size_bytes = (uint64_t)status.st_size;
    return 0;
}

int base_file_sync(const struct base_file *file)
{
    int rc;
    do {
        rc = fdatasync(file->fd) < 0 ? -errno : 0;
    } while (rc == -EINTR);
    return rc;
}

int base_file_drop_cache(const struct base_file *file)
{
    int rc = base_file_sync(file);
    if (rc < 0) {
        return rc;
    }
    return -posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
}

int base_file_lock(const struct base_file *file, enum base_file_lock lock)
{
    static const short types[] = {
        [BASE_FILE_LOCK_NONE] = F_UNLCK,
        [BASE_FILE_LOCK_SHARED] = F_RDLCK,
        [BASE_FILE_LOCK_EXCLUSIVE] = F_WRLCK,
    };
    struct flock whole = {.l_type = types[lock], .l_whence = SEEK_SET};
    if (fcntl(file->fd, F_OFD_SETLK, &whole) == 0) {
        return 0;
    }
    return errno == EACCES ? -EAGAIN : -errno;
}

/* ---- mappings ---- */

/* Kernels before 5.14: touch each page. A page that cannot be read raises SIGBUS there. */
static void touch_pages(const uint8_t *base, size_t size_bytes)
{
    size_t page_bytes = base_page_size();
    for (size_t offset = 0; offset < size_bytes; offset += page_bytes) {
        (void)*(const volatile uint8_t *)(base + offset);
    }
}

int base_file_map_populate(uint8_t *base, size_t size_bytes)
{
    if (madvise(base, size_bytes, MADV_POPULATE_READ) == 0) {
        return 0;
    }
    switch (errno) {
    case EINVAL:
        touch_pages(base, size_bytes);
        return 0;
    case EFAULT:
    case EHWPOISON:
        return -EIO;
    default:
        return -errno;
    }
}

/* Few pages, if any, have to be read. */
static bool is_warm(const struct base_file *file, size_t size_bytes)
{
    uint64_t pages = pages_of(0, size_bytes);
    return count_cached(file, 0, size_bytes) >= (int64_t)(pages - pages / MISSING_SHARE);
}

/* Reads what is not there yet: a page that the medium cannot give raises SIGBUS when it is touched,
 * and is an error here. mincore() knows a page whose read has failed from one that holds its bytes;
 * cachestat() counts both. */
static int populate_missing(uint8_t *base, size_t size_bytes)
{
    unsigned char pages[RESIDENT_BYTES / BASE_FILE_BLOCK];
    const size_t page_bytes = base_page_size();
    int rc = 0;
    for (size_t done = 0; rc == 0 && done < size_bytes; done += RESIDENT_BYTES) {
        size_t size = smaller(size_bytes - done, RESIDENT_BYTES);
        size_t count = (size + page_bytes - 1) / page_bytes;
        rc = mincore(base + done, size, pages) == 0 ? 0 : -errno;
        for (size_t page = 0, end; rc == 0 && page < count; page = end + 1) {
            for (end = page; end < count && (pages[end] & 1) == 0;) {
                end++;
            }
            if (end > page) {
                size_t from = done + page * page_bytes;
                rc = base_file_map_populate(base + from,
                                            smaller((end - page) * page_bytes, size_bytes - from));
            }
        }
    }
    return rc;
}

int base_file_map(const struct base_file *file, size_t size_bytes, enum base_map when,
                  uint8_t **ret_base)
{
    uint64_t file_bytes;
    int rc = base_file_size(file, &file_bytes);
    if (rc < 0) {
        return rc;
    }
    if (size_bytes == 0) {
        return -EINVAL;
    }
    if (file_bytes < size_bytes) {
        return -EIO;
    }
    void *base = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, file->fd, 0);
    if (base == MAP_FAILED) {
        return -errno;
    }
    /* What is not in the page cache yet is read in large folios, where the file system has them,
     * and mapped by large entries: random reads then miss the TLB less. A request. */
    (void)madvise(base, size_bytes, MADV_HUGEPAGE);
    rc = when == BASE_MAP_WHEN_TOUCHED && is_warm(file, size_bytes)
             ? populate_missing(base, size_bytes)
             : base_file_map_populate(base, size_bytes);
    if (rc < 0) {
        munmap(base, size_bytes);
        /* What could not be read must not pass for something that was. */
        (void)posix_fadvise(file->fd, 0, (off_t)size_bytes, POSIX_FADV_DONTNEED);
        return rc;
    }
    *ret_base = base;
    return 0;
}

int base_file_map_private(const struct base_file *file, uint64_t offset, void *address,
                          size_t size_bytes)
{
    uint64_t file_bytes;
    int rc = base_file_size(file, &file_bytes);
    if (rc < 0) {
        return rc;
    }
    if (size_bytes == 0 || file_bytes < offset || file_bytes - offset < size_bytes) {
        return size_bytes == 0 ? -EINVAL : -EIO;
    }
    const int protection = PROT_READ | PROT_WRITE;
    void *base =
        mmap(address, size_bytes, protection, MAP_PRIVATE | MAP_FIXED, file->fd, (off_t)offset);
    if (base == MAP_FAILED) {
        return -errno;
    }
    (void)madvise(base, size_bytes, MADV_HUGEPAGE); /* as above */
    rc = base_file_map_populate(base, size_bytes);
    if (rc < 0) {
        base = mmap(address, size_bytes, protection,
                    MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        rc = base == MAP_FAILED ? -errno : rc;
    }
    return rc;
}

void base_file_unmap(const uint8_t *base, size_t size_bytes)
{
    /* The cast drops const: munmap changes no byte. */
    munmap((void *)(uintptr_t)base, size_bytes);
}
