/*
 * The loops over pwritev2 and io_uring.
 *
 * Everything in flight has a slot: a buffer, an offset and the time it started. The happy path:
 * fill every free slot, submit, wait for one completion, record its latency, repeat until the time
 * is up, then drain. A short or failed write ends the loop with its error: there is nothing to
 * retry that would not falsify the rate.
 */
#include "bench/raw_device.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define SEQUENTIAL_DEPTH 4

enum ring_verb { RING_WRITE_DURABLE, RING_WRITE, RING_READ };

struct slot {
    uint8_t *buffer;
    uint64_t start_ns;
    bool busy;
};

struct ring_loop {
    struct io_uring ring;
    struct raw_file *file;
    const struct raw_load *load;
    enum ring_verb verb;
    uint64_t offset; /* of the next operation */
    uint64_t next_record;
    unsigned in_flight;
    struct slot slots[RAW_DEPTH_MAX];
    struct raw_result *result;
};

static double seconds_between(uint64_t start_ns, uint64_t end_ns)
{
    return (double)(end_ns - start_ns) / (double)BASE_NS_PER_S;
}

static uint64_t deadline_after(uint64_t start_ns, double seconds)
{
    return start_ns + (uint64_t)(seconds * (double)BASE_NS_PER_S);
}

static void reset_result(struct raw_result *result)
{
    memset(result, 0, sizeof *result);
    base_histogram_reset(&result->latency);
}

/* Noise, so that no layer below can compress it or skip zeros. */
static void fill_noise(uint8_t *buffer, size_t size)
{
    uint64_t state = 88172645463325252u;
    for (size_t at = 0; at + sizeof state <= size; at += sizeof state) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(buffer + at, &state, sizeof state);
    }
}

static int write_whole_file(struct raw_file *file)
{
    uint8_t *buffer = base_alloc_aligned(RAW_BLOCK, MIB);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    fill_noise(buffer, MIB);
    int rc = 0;
    for (uint64_t at = 0; at < file->size_bytes && rc == 0; at += MIB) {
        ssize_t size = pwrite(file->fd, buffer, MIB, (off_t)at);
        if (size != (ssize_t)MIB) {
            rc = size < 0 ? -errno : -EIO;
        }
    }
    base_free(buffer);
    if (rc == 0 && fsync(file->fd) < 0) {
        rc = -errno;
    }
    return rc;
}

int raw_file_create(struct raw_file *file, const char *directory, uint64_t size_bytes)
{
    int length = snprintf(file->path, sizeof file->path, "%s/raw", directory);
    if (length < 0 || (size_t)length >= sizeof file->path) {
        return -ENAMETOOLONG;
    }
    file->size_bytes = size_bytes;
    file->fd = open(file->path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        return -errno;
    }
    int rc = write_whole_file(file);
    if (rc < 0) {
        raw_file_destroy(file);
    }
    return rc;
}

void raw_file_destroy(struct raw_file *file)
{
    (void)close(file->fd);
    (void)unlink(file->path);
    file->fd = -1;
}

int raw_overwrite(struct raw_file *file, double seconds, struct raw_result *ret_result)
{
    reset_result(ret_result);
    uint8_t *buffer = base_alloc_aligned(RAW_BLOCK, RAW_BLOCK);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    fill_noise(buffer, RAW_BLOCK);
    struct iovec vector = {buffer, RAW_BLOCK};
    uint64_t start_ns = base_clock_monotonic_ns();
    uint64_t deadline_ns = deadline_after(start_ns, seconds);
    uint64_t now_ns = start_ns;
    uint64_t offset = 0;
    int rc = 0;
    while ((now_ns < deadline_ns || ret_result->operations == 0) && !bench_interrupted()) {
        ssize_t size = pwritev2(file->fd, &vector, 1, (off_t)offset, RWF_DSYNC);
        if (size != (ssize_t)RAW_BLOCK) {
            rc = size < 0 ? -errno : -EIO;
            break;
        }
        uint64_t end_ns = base_clock_monotonic_ns();
        base_histogram_record(&ret_result->latency, end_ns - now_ns);
        now_ns = end_ns;
        ret_result->operations++;
        offset = (offset + RAW_BLOCK) % file->size_bytes;
    }
    ret_result->bytes = ret_result->operations * RAW_BLOCK;
    ret_result->seconds = seconds_between(start_ns, now_ns);
    base_free(buffer);
    return rc;
}

/* One issuer that also waits: the cheapest ring there is; plain where the kernel is older. */
static int open_ring(struct io_uring *ring)
{
    int rc = io_uring_queue_init(2 * RAW_DEPTH_MAX, ring,
                                 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    return rc == -EINVAL ? io_uring_queue_init(2 * RAW_DEPTH_MAX, ring, 0) : rc;
}

static void copy_records(struct ring_loop *loop, uint8_t *buffer)
{
    size_t used = 0;
    for (unsigned index = 0; index < loop->load->records; index++) {
        const struct weir_part *part = bench_payload_at(loop->load->payload, loop->next_record++);
        if (used + part->size <= loop->load->chunk_bytes) {
            memcpy(buffer + used, part->data, part->size);
            used += part->size;
        }
    }
}

static int start_slot(struct ring_loop *loop, struct slot *slot)
{
    size_t size = loop->load->chunk_bytes;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
    if (sqe == NULL) { /* cannot be: the ring has room for twice RAW_DEPTH_MAX */
        return -EBUSY;
    }
    slot->start_ns = base_clock_monotonic_ns();
    if (loop->load->payload != NULL) {
        copy_records(loop, slot->buffer);
    }
    if (loop->verb == RING_READ) {
        io_uring_prep_read(sqe, loop->file->fd, slot->buffer, (unsigned)size, loop->offset);
    } else {
        io_uring_prep_write(sqe, loop->file->fd, slot->buffer, (unsigned)size, loop->offset);
        sqe->rw_flags = loop->verb == RING_WRITE_DURABLE ? RWF_DSYNC : 0;
    }
    io_uring_sqe_set_data(sqe, slot);
    slot->busy = true;
    loop->in_flight++;
    loop->offset += size;
    if (loop->offset + size > loop->file->size_bytes) {
        loop->offset = 0;
    }
    return 0;
}

static int finish_one(struct ring_loop *loop)
{
    struct io_uring_cqe *cqe;
    int rc = io_uring_submit_and_wait(&loop->ring, 1);
    if (rc >= 0) {
        rc = io_uring_wait_cqe(&loop->ring, &cqe);
    }
    while (rc >= 0 && loop->in_flight > 0 && io_uring_peek_cqe(&loop->ring, &cqe) == 0) {
        struct slot *slot = io_uring_cqe_get_data(cqe);
        int size = cqe->res;
        io_uring_cqe_seen(&loop->ring, cqe);
        slot->busy = false;
        loop->in_flight--;
        if (size != (int)loop->load->chunk_bytes) {
            return size < 0 ? size : -EIO;
        }
        base_histogram_record(&loop->result->latency, base_clock_monotonic_ns() - slot->start_ns);
        loop->result->operations += loop->load->payload != NULL ? loop->load->records : 1;
        loop->result->bytes += loop->load->chunk_bytes;
    }
    return rc == -EINTR ? 0 : (rc < 0 ? rc : 0);
}

static int run_until(struct ring_loop *loop, uint64_t deadline_ns, uint64_t bytes)
{
    int rc = 0;
    uint64_t started = 0;
    while (rc == 0) {
        bool more = bytes > 0 ? started < bytes : base_clock_monotonic_ns() < deadline_ns;
        more = (more || started == 0) && !bench_interrupted();
        for (unsigned index = 0; rc == 0 && more && index < loop->load->depth; index++) {
            if (!loop->slots[index].busy) {
                rc = start_slot(loop, &loop->slots[index]);
                started += loop->load->chunk_bytes;
            }
        }
        if (rc < 0 || loop->in_flight == 0) {
            break;
        }
        rc = finish_one(loop);
    }
    return rc;
}

static int run_ring(struct raw_file *file, enum ring_verb verb, const struct raw_load *load,
                    double seconds, uint64_t bytes, struct raw_result *result)
{
    reset_result(result);
    struct ring_loop loop = {.file = file, .load = load, .verb = verb, .result = result};
    int rc = open_ring(&loop.ring);
    if (rc < 0) {
        return rc;
    }
    /* Huge pages: a large request is then few segments, and need not be split. */
    size_t size = load->depth * load->chunk_bytes;
    uint8_t *buffers = base_pages_alloc(size, BASE_PAGES_HUGE | BASE_PAGES_POPULATE);
    if (buffers == NULL) {
        io_uring_queue_exit(&loop.ring);
        return -ENOMEM;
    }
    fill_noise(buffers, size);
    for (unsigned index = 0; index < load->depth; index++) {
        loop.slots[index].buffer = buffers + index * load->chunk_bytes;
    }
    uint64_t start_ns = base_clock_monotonic_ns();
    rc = run_until(&loop, deadline_after(start_ns, seconds), bytes);
    if (rc == 0 && verb == RING_WRITE && fdatasync(file->fd) < 0) {
        rc = -errno;
    }
    result->seconds = seconds_between(start_ns, base_clock_monotonic_ns());
    /* The ring goes first: it waits for what an error left in flight into the buffers. */
    io_uring_queue_exit(&loop.ring);
    base_pages_free(buffers, size);
    return rc;
}

int raw_overwrite_ring(struct raw_file *file, const struct raw_load *load, double seconds,
                       struct raw_result *ret_result)
{
    return run_ring(file, RING_WRITE_DURABLE, load, seconds, 0, ret_result);
}

int raw_write_sequential(struct raw_file *file, double seconds, uint64_t bytes,
                         struct raw_result *ret_result)
{
    struct raw_load load = {.depth = SEQUENTIAL_DEPTH, .chunk_bytes = MIB};
    return run_ring(file, RING_WRITE, &load, seconds, bytes, ret_result);
}

int raw_read_sequential(struct raw_file *file, double seconds, struct raw_result *ret_result)
{
    struct raw_load load = {.depth = SEQUENTIAL_DEPTH, .chunk_bytes = MIB};
    return run_ring(file, RING_READ, &load, seconds, 0, ret_result);
}

int raw_read_once(struct raw_file *file, const struct raw_load *load, struct raw_result *ret_result)
{
    return run_ring(file, RING_READ, load, 0, file->size_bytes, ret_result);
}

static int flush_through(struct io_uring *ring, int fd)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (sqe == NULL) {
        return -EBUSY;
    }
    io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    struct io_uring_cqe *cqe;
    int rc = io_uring_submit_and_wait(ring, 1);
    if (rc >= 0) {
        rc = io_uring_wait_cqe(ring, &cqe);
    }
    if (rc < 0) {
        return rc;
    }
    rc = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return rc;
}

static int flush_pages(struct raw_file *file, uint8_t *base, double seconds,
                       struct raw_result *result)
{
    struct io_uring ring;
    int rc = open_ring(&ring);
    if (rc < 0) {
        return rc;
    }
    uint64_t start_ns = base_clock_monotonic_ns();
    uint64_t deadline_ns = deadline_after(start_ns, seconds);
    uint64_t now_ns = start_ns;
    uint64_t offset = 0;
    while (rc == 0 && (now_ns < deadline_ns || result->operations == 0) && !bench_interrupted()) {
        memset(base + offset, (int)(result->operations & 0xff), 64);
        rc = flush_through(&ring, file->fd);
        uint64_t end_ns = base_clock_monotonic_ns();
        base_histogram_record(&result->latency, end_ns - now_ns);
        now_ns = end_ns;
        result->operations++;
        offset = (offset + RAW_BLOCK) % file->size_bytes;
    }
    result->bytes = result->operations * RAW_BLOCK;
    result->seconds = seconds_between(start_ns, now_ns);
    io_uring_queue_exit(&ring);
    return rc;
}

int raw_mapped_flush(struct raw_file *file, double seconds, struct raw_result *ret_result)
{
    reset_result(ret_result);
    int fd = open(file->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int rc = 0;
    uint8_t *base = mmap(NULL, file->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        rc = -errno;
        goto out_fd;
    }
    (void)madvise(base, file->size_bytes, MADV_POPULATE_READ);
    struct raw_file buffered = *file;
    buffered.fd = fd;
    rc = flush_pages(&buffered, base, seconds, ret_result);
    (void)munmap(base, file->size_bytes);
out_fd:
    (void)close(fd);
    return rc;
}
