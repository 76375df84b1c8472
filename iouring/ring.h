/*
 * A ring: durable writes, fdatasyncs and reads that are under way. The only user of liburing.
 *
 *     struct ring *ring;
 *     rc = ring_create(&options, &ring, reason, sizeof reason);
 *     rc = ring_submit_write(ring, fd, memory, 4096, offset, true, token);
 *     rc = ring_reap(ring, completions, 8, -1);
 *
 * Every request is remembered until it completes: its result is compared with the length that was
 * asked for, and a request that the kernel gave up without running it (-EINTR, -EAGAIN, -ECANCELED:
 * the thread that submitted it has exited) is submitted again. Memory and descriptors that a
 * request names belong to the kernel until ring_reap brings it.
 *
 * Threads: one at a time, a different one each time unless single_thread was chosen. It never spins
 * and has no kernel thread that polls.
 */
#ifndef IOURING_RING_H
#define IOURING_RING_H

#include <weir/medium.h>

struct ring;

struct ring_options {
    uint32_t depth;     /* requests in flight together, 1 to RING_DEPTH_MAX */
    bool single_thread; /* only the creating thread drives it: cheaper completions */
};

#define RING_DEPTH_MAX 1024u

/*
 * Sets up the rings and proves that they work with one no-op.
 *
 * @param reason  on failure, one clause that says why and what could be changed.
 * Returns 0, or -errno of io_uring_setup: -EPERM, -ENOSYS, -ENOMEM, ...
 */
int ring_create(const struct ring_options *options, struct ring **ret_ring, char *reason,
                size_t reason_size);

/* Waits for what is in flight (not in a forked child: that is the parent's), then frees. */
void ring_destroy(struct ring *ring);

/*
 * Starts to write; with `durable` it completes when the range is on stable storage.
 *
 * Returns 0, -EBUSY (depth requests are in flight; nothing was started), or another -errno: the
 * ring takes no more.
 */
int ring_submit_write(struct ring *ring, int fd, const void *memory, size_t size_bytes,
                      uint64_t offset, bool durable, uint64_t token);

/* Starts to read; the completion's result is the number of bytes that came, or -errno. */
int ring_submit_read(struct ring *ring, int fd, void *memory, size_t size_bytes, uint64_t offset,
                     uint64_t token);

/* Starts an fdatasync; it covers the writes that were reaped before. Results as above. */
int ring_submit_sync(struct ring *ring, int fd, uint64_t token);

/*
 * Brings up to `max` completions, waiting at most timeout_ns for the first (0: not at all,
 * negative: as long as it takes; with nothing in flight returns at once).
 *
 * Returns the count, or -errno: a completion was lost or the ring failed, outcomes are unknown and
 * the ring takes no more.
 */
int ring_reap(struct ring *ring, struct weir_completion *ret_completions, int max,
              int64_t timeout_ns);

uint32_t ring_in_flight(const struct ring *ring);

/* The descriptor that becomes readable when a completion arrives; ring_reap empties it. */
int ring_eventfd(struct ring *ring, int *ret_fd);

#endif
