/*
 * The raw reads: every segment file of the log once, with nothing done to the bytes. They say what
 * the disk (direct) and the page cache (buffered, mapped) allow, over files of the same extents.
 */
#include "bench/recover.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/raw_device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFERED_BYTES ((size_t)1 << 20)
#define LINE_BYTES 64u

struct reading {
    size_t chunk_bytes;
    unsigned depth;
    uint8_t *buffer;
    struct raw_result *result;
    struct recover_pass *pass;
    uint64_t mixed; /* keeps the loads in */
};

typedef int (*read_fn)(struct reading *reading, struct raw_file *file);

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

static int each_segment(const struct recover_log *log, int flags, read_fn fn,
                        struct reading *reading)
{
    DIR *folder = opendir(log->path);
    if (folder == NULL) {
        return -errno;
    }
    int rc = 0;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, "segment-", 8) != 0) {
            continue;
        }
        struct raw_file file;
        struct stat status;
        file.fd = openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC | flags);
        if (file.fd < 0 || fstat(file.fd, &status) < 0) {
            rc = -errno;
        } else {
            file.size_bytes = (uint64_t)status.st_size;
            double start_cpu_s = recover_cpu_s();
            uint64_t start_ns = base_clock_monotonic_ns();
            rc = fn(reading, &file);
            /* A ring says itself how long it read: setting it up is not reading. */
            reading->pass->seconds += reading->result != NULL && reading->depth > 1
                                          ? reading->result->seconds
                                          : seconds_since(start_ns);
            reading->pass->cpu_s += recover_cpu_s() - start_cpu_s;
            reading->pass->bytes += file.size_bytes;
            reading->pass->segments++;
        }
        if (file.fd >= 0) {
            (void)close(file.fd);
        }
    }
    (void)closedir(folder);
    return rc;
}

static int read_serially(struct reading *reading, struct raw_file *file)
{
    for (uint64_t at = 0; at < file->size_bytes;) {
        ssize_t size = pread(file->fd, reading->buffer, reading->chunk_bytes, (off_t)at);
        if (size <= 0) {
            return size < 0 ? -errno : -EIO;
        }
        at += (uint64_t)size;
    }
    return 0;
}

static int read_deeply(struct reading *reading, struct raw_file *file)
{
    size_t chunk = reading->chunk_bytes;
    if (file->size_bytes < chunk) {
        chunk = (size_t)file->size_bytes;
    }
    struct raw_load load = {.depth = reading->depth, .chunk_bytes = chunk};
    return raw_read_once(file, &load, reading->result);
}

static int touch_mapping(struct reading *reading, struct raw_file *file)
{
    size_t size = (size_t)file->size_bytes;
    const uint8_t *base = mmap(NULL, size, PROT_READ, MAP_SHARED, file->fd, 0);
    if (base == MAP_FAILED) {
        return -errno;
    }
    (void)madvise((void *)(uintptr_t)base, size, MADV_POPULATE_READ);
    for (size_t at = 0; at < size; at += LINE_BYTES) {
        reading->mixed += base[at];
    }
    (void)munmap((void *)(uintptr_t)base, size);
    return 0;
}

int recover_raw_direct(const struct recover_log *log, size_t chunk_bytes, unsigned depth,
                       struct recover_pass *ret_pass)
{
    memset(ret_pass, 0, sizeof *ret_pass);
    struct reading reading = {.chunk_bytes = chunk_bytes, .depth = depth, .pass = ret_pass};
    reading.buffer = base_pages_alloc(chunk_bytes, BASE_PAGES_HUGE | BASE_PAGES_POPULATE);
    reading.result = base_alloc(sizeof *reading.result);
    int rc = reading.buffer == NULL || reading.result == NULL ? -ENOMEM : 0;
    if (rc == 0) {
        rc = each_segment(log, O_DIRECT, depth == 1 ? read_serially : read_deeply, &reading);
    }
    base_free(reading.result);
    base_pages_free(reading.buffer, chunk_bytes);
    return rc;
}

int recover_raw_buffered(const struct recover_log *log, struct recover_pass *ret_pass)
{
    memset(ret_pass, 0, sizeof *ret_pass);
    struct reading reading = {.chunk_bytes = BUFFERED_BYTES, .pass = ret_pass};
    reading.buffer = base_pages_alloc(BUFFERED_BYTES, BASE_PAGES_POPULATE);
    if (reading.buffer == NULL) {
        return -ENOMEM;
    }
    int rc = each_segment(log, 0, read_serially, &reading);
    base_pages_free(reading.buffer, BUFFERED_BYTES);
    return rc;
}

int recover_raw_mapped(const struct recover_log *log, struct recover_pass *ret_pass)
{
    memset(ret_pass, 0, sizeof *ret_pass);
    struct reading reading = {.pass = ret_pass};
    int rc = each_segment(log, 0, touch_mapping, &reading);
    ret_pass->records = reading.mixed == 1 ? 1 : 0; /* never; so the loads are used */
    return rc;
}
