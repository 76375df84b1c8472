/*
 * A ring of liburing, with a slot for each request in flight.
 *
 * Happy path:
 *   1. submit: take a free slot, fill in one SQE whose user_data is the slot, enter the kernel.
 *   2. reap: take CQEs that are there; if there is none and the caller waits, enter the kernel.
 *   3. each CQE: compare the result with the slot's length, hand out the token, free the slot.
 *
 * Failure modes:
 *   - no io_uring (EPERM, ENOSYS, ENOMEM, too old): ring_create fails with the reason.
 *   - a short write: reported as -EIO; a write that ends beyond a limit is never called done. A
 *     short read is handed out as it is: the file may end there.
 *   - -EINTR, -EAGAIN, -ECANCELED: the request did not run to its end; it is submitted again, a
 *     bounded number of times. All requests can be repeated: the bytes of a write stay in place
 * until it is reaped.
 *   - an overflow that lost a CQE, a CQE that nobody asked for, a refused io_uring_enter: `failed`
 *     is set for good and every later call returns it.
 *
 * Invariants: in_flight + free slots == depth; the SQ never holds more than what the next enter
 * takes; the CQ has room for twice the depth, so it cannot overflow unless something is very wrong.
 */
#include "iouring/ring.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define RETRIES_MAX 64
#define NOP_TOKEN UINT64_MAX

enum request_kind {
    REQUEST_NOP,
    REQUEST_READ,
    REQUEST_WRITE,
    REQUEST_SYNC,
};

struct request {
    enum request_kind kind;
    int fd;
    void *memory; /* of a write: only read */
    uint32_t size_bytes;
    bool durable;
    uint64_t offset;
    uint64_t token;
    unsigned retries;
    uint32_t next_free;
};

struct ring {
    struct io_uring uring;
    uint32_t depth;
    uint32_t in_flight;
    uint32_t first_free; /* index of a slot; depth when there is none */
    int failed;          /* 0, or the -errno that every call returns */
    int event_fd;        /* -1 until asked for */
    pid_t owner;
    struct request requests[];
};

/* ---- setting up ---- */

static void explain_setup(int rc, char *reason, size_t reason_size)
{
    switch (-rc) {
    case EPERM:
        snprintf(reason, reason_size,
                 "io_uring_setup is not permitted (EPERM: sysctl kernel.io_uring_disabled or a "
                 "seccomp profile such as a container's)");
        break;
    case ENOSYS:
        snprintf(reason, reason_size, "this kernel has no io_uring (ENOSYS)");
        break;
    case ENOMEM:
        snprintf(reason, reason_size,
                 "io_uring_setup has no memory (ENOMEM: see the limit on locked memory)");
        break;
    default:
        snprintf(reason, reason_size, "io_uring_setup failed: %s", strerror(-rc));
    }
}

static int setup_with(struct ring *ring, unsigned flags)
{
    struct io_uring_params params = {
        .flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = ring->depth * 2 < 16 ? 16 : ring->depth * 2,
    };
    int rc = io_uring_queue_init_params(ring->depth, &ring->uring, &params);
    if (rc < 0) {
        return rc;
    }
    const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
    if ((params.features & needed) != needed) {
        io_uring_queue_exit(&ring->uring);
        return -EOPNOTSUPP;
    }
    return 0;
}

/* COOP_TASKRUN is left out on purpose: without it a completion of a thread that computes in user
 * space would wait for that thread to enter the kernel, while another one sleeps in ring_reap. */
static int setup(struct ring *ring, bool single_thread, char *reason, size_t reason_size)
{
    int rc = -EINVAL;
    if (single_thread) {
        rc = setup_with(ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                  IORING_SETUP_TASKRUN_FLAG);
    }
    if (rc == -EINVAL) { /* not asked for, or a kernel before 6.1 */
        rc = setup_with(ring, 0);
    }
    if (rc == -EOPNOTSUPP) {
        snprintf(reason, reason_size, "this kernel's io_uring is too old (Linux 5.11 is needed)");
    } else if (rc < 0) {
        explain_setup(rc, reason, reason_size);
    }
    return rc;
}

static int submit(struct ring *ring, const struct request *request);

/* Setup may be allowed and io_uring_enter not: only a completion is proof. */
static int prove(struct ring *ring, char *reason, size_t reason_size)
{
    struct weir_completion completion;
    int rc = submit(ring, &(struct request){.kind = REQUEST_NOP, .fd = -1, .token = NOP_TOKEN});
    if (rc == 0) {
        rc = ring_reap(ring, &completion, 1, -1);
    }
    if (rc == 1) {
        rc = completion.result;
    }
    if (rc < 0) {
        snprintf(reason, reason_size, "io_uring was set up but does not run: %s", strerror(-rc));
    }
    return rc;
}

int ring_create(const struct ring_options *options, struct ring **ret_ring, char *reason,
                size_t reason_size)
{
    uint32_t depth = options->depth;
    WEIR_ASSERT(depth >= 1 && depth <= RING_DEPTH_MAX);
    struct ring *ring = base_alloc_zero(sizeof *ring + depth * sizeof ring->requests[0]);
    if (ring == NULL) {
        snprintf(reason, reason_size, "no memory for the ring");
        return -ENOMEM;
    }
    ring->depth = depth;
    ring->event_fd = -1;
    ring->owner = getpid();
    for (uint32_t i = 0; i < depth; i++) {
        ring->requests[i].next_free = i + 1;
    }
    int rc = setup(ring, options->single_thread, reason, reason_size);
    if (rc < 0) {
        goto out_memory;
    }
    rc = prove(ring, reason, reason_size);
    if (rc < 0) {
        goto out_uring;
    }
    *ret_ring = ring;
    return 0;

out_uring:
    io_uring_queue_exit(&ring->uring);
out_memory:
    base_free(ring);
    return rc;
}

void ring_destroy(struct ring *ring)
{
    while (ring->owner == getpid() && ring->in_flight > 0 && ring->failed == 0) {
        struct weir_completion completion;
        (void)ring_reap(ring, &completion, 1, -1);
    }
    io_uring_queue_exit(&ring->uring);
    if (ring->event_fd >= 0) {
        close(ring->event_fd);
    }
    base_free(ring);
}

uint32_t ring_in_flight(const struct ring *ring)
{
    return ring->in_flight;
}

static int fail(struct ring *ring, int rc)
{
    if (ring->failed == 0) {
        ring->failed = rc;
    }
    return ring->failed;
}

/* ---- submitting ---- */

static void prepare(const struct request *request, struct io_uring_sqe *sqe, uint32_t slot)
{
    switch (request->kind) {
    case REQUEST_NOP:
        io_uring_prep_nop(sqe);
        break;
    case REQUEST_READ:
        io_uring_prep_read(sqe, request->fd, request->memory, request->size_bytes, request->offset);
        break;
    case REQUEST_WRITE:
        io_uring_prep_write(sqe, request->fd, request->memory, request->size_bytes,
                            request->offset);
        sqe->rw_flags = request->durable ? RWF_DSYNC : 0;
        break;
    case REQUEST_SYNC:
        io_uring_prep_fsync(sqe, request->fd, IORING_FSYNC_DATASYNC);
        break;
    default:
        WEIR_UNREACHABLE();
    }
    sqe->user_data = slot;
}

/* Hands one prepared SQE to the kernel. A signal or a full CQ may ask to try again. */
static int enter(struct ring *ring)
{
    int rc;
    unsigned tries = 0;
    do {
        rc = io_uring_submit(&ring->uring);
    } while (rc == -EINTR || (rc == -EAGAIN && ++tries < RETRIES_MAX));
    if (rc < 0) {
        return fail(ring, rc);
    }
    return rc == 1 ? 0 : fail(ring, -EIO);
}

static int submit_slot(struct ring *ring, uint32_t slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    WEIR_ASSERT(sqe != NULL); /* each SQE is taken by the enter that follows it */
    prepare(&ring->requests[slot], sqe, slot);
    return enter(ring);
}

static int submit(struct ring *ring, const struct request *request)
{
    if (ring->failed != 0) {
        return ring->failed;
    }
    if (ring->in_flight == ring->depth) {
        return -EBUSY;
    }
    uint32_t slot = ring->first_free;
    WEIR_ASSERT(slot < ring->depth);
    ring->first_free = ring->requests[slot].next_free;
    ring->requests[slot] = *request;
    ring->in_flight++;
    return submit_slot(ring, slot);
}

int ring_submit_write(struct ring *ring, int fd, const void *memory, size_t size_bytes,
                      uint64_t offset, bool durable, uint64_t token)
{
    WEIR_ASSERT(size_bytes > 0 && size_bytes <= (size_t)INT32_MAX); /* what a result can say */
    return submit(ring, &(struct request){
                            .kind = REQUEST_WRITE,
                            .fd = fd,
                            .memory = (void *)(uintptr_t)memory,
                            .size_bytes = (uint32_t)size_bytes,
                            .durable = durable,
                            .offset = offset,
                            .token = token,
                        });
}

int ring_submit_read(struct ring *ring, int fd, void *memory, size_t size_bytes, uint64_t offset,
                     uint64_t token)
{
    WEIR_ASSERT(size_bytes > 0 && size_bytes <= (size_t)INT32_MAX);
    return submit(ring, &(struct request){
                            .kind = REQUEST_READ,
                            .fd = fd,
                            .memory = memory,
                            .size_bytes = (uint32_t)size_bytes,
                            .offset = offset,
                            .token = token,
                        });
}

int ring_submit_sync(struct ring *ring, int fd, uint64_t token)
{
    return submit(ring, &(struct request){.kind = REQUEST_SYNC, .fd = fd, .token = token});
}

/* ---- reaping ---- */

static bool should_repeat(struct request *request, int32_t result)
{
    bool gave_up = result == -EINTR || result == -EAGAIN || result == -ECANCELED;
    return gave_up && ++request->retries <= RETRIES_MAX;
}

static int outcome(const struct request *request, int32_t result)
{
    if (result < 0 || request->kind == REQUEST_READ) {
        return result;
    }
    /* A short write is an error: whoever linked or flushed behind it would call it durable. */
    return (uint32_t)result == request->size_bytes ? 0 : -EIO;
}

/* One CQE: 1 when it is a completion to hand out, 0 when it was submitted again, or -errno. */
static int take(struct ring *ring, const struct io_uring_cqe *cqe,
                struct weir_completion *ret_completion)
{
    uint64_t slot = cqe->user_data;
    int32_t result = cqe->res;
    io_uring_cq_advance(&ring->uring, 1);
    if (slot >= ring->depth || ring->in_flight == 0) {
        return fail(ring, -EIO);
    }
    struct request *request = &ring->requests[slot];
    if (should_repeat(request, result)) {
        return submit_slot(ring, (uint32_t)slot);
    }
    *ret_completion = (struct weir_completion){request->token, outcome(request, result)};
    request->next_free = ring->first_free;
    ring->first_free = (uint32_t)slot;
    ring->in_flight--;
    return 1;
}

/* Everything that is there now, up to max. */
static int take_ready(struct ring *ring, struct weir_completion *ret_completions, int max)
{
    int count = 0;
    struct io_uring_cqe *cqe;
    while (count < max && io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
        int rc = take(ring, cqe, &ret_completions[count]);
        if (rc < 0) {
            return rc;
        }
        count += rc;
    }
    /* With NODROP the kernel keeps what did not fit; it drops only when it has no memory left. */
    if (*ring->uring.cq.koverflow != 0) {
        return fail(ring, -EIO);
    }
    return count;
}

/* Sleeps until a CQE is there: 0, -ETIME, or -errno. */
static int wait_for_one(struct ring *ring, int64_t timeout_ns, uint64_t deadline_ns)
{
    struct io_uring_cqe *cqe;
    for (;;) {
        int rc;
        if (timeout_ns < 0) {
            rc = io_uring_wait_cqe(&ring->uring, &cqe);
        } else {
            uint64_t now_ns = base_clock_monotonic_ns();
            if (now_ns >= deadline_ns) {
                return -ETIME;
            }
            uint64_t left_ns = deadline_ns - now_ns;
            struct __kernel_timespec left = {
                .tv_sec = (long long)(left_ns / BASE_NS_PER_S),
                .tv_nsec = (long long)(left_ns % BASE_NS_PER_S),
            };
            rc = io_uring_wait_cqe_timeout(&ring->uring, &cqe, &left);
        }
        if (rc != -EINTR && rc != -EAGAIN) {
            return rc;
        }
    }
}

static void eventfd_add(struct ring *ring)
{
    uint64_t one = 1;
    ssize_t put = write(ring->event_fd, &one, sizeof one);
    (void)put; /* fails only when the counter is full: readable anyway */
}

/*
 * After looking, because with DEFER_TASKRUN looking itself makes it readable. What arrived before
 * is seen in the CQ or announced by a flag; what arrives after makes it readable again.
 */
static void eventfd_settle(struct ring *ring)
{
    uint64_t count;
    ssize_t got = read(ring->event_fd, &count, sizeof count);
    (void)got; /* -EAGAIN: it was empty */
    unsigned flags = IO_URING_READ_ONCE(*ring->uring.sq.kflags);
    bool announced = (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
    if (announced || io_uring_cq_ready(&ring->uring) > 0) {
        eventfd_add(ring);
    }
}

int ring_reap(struct ring *ring, struct weir_completion *ret_completions, int max,
              int64_t timeout_ns)
{
    if (ring->failed != 0) {
        return ring->failed;
    }
    if (max <= 0) {
        return 0;
    }
    uint64_t deadline_ns = 0;
    int count;
    for (;;) {
        count = take_ready(ring, ret_completions, max);
        if (count != 0 || ring->in_flight == 0 || timeout_ns == 0) {
            break;
        }
        if (timeout_ns > 0 && deadline_ns == 0) {
            deadline_ns = base_clock_monotonic_ns() + (uint64_t)timeout_ns;
        }
        int rc = wait_for_one(ring, timeout_ns, deadline_ns);
        if (rc == -ETIME) {
            timeout_ns = 0; /* look once more: one may have come with the timeout */
        } else if (rc < 0) {
            return fail(ring, rc);
        }
    }
    if (ring->event_fd >= 0) {
        eventfd_settle(ring);
    }
    return count;
}

int ring_eventfd(struct ring *ring, int *ret_fd)
{
    if (ring->event_fd < 0) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0) {
            return -errno;
        }
        int rc = io_uring_register_eventfd(&ring->uring, fd);
        if (rc < 0) {
            close(fd);
            return rc;
        }
        ring->event_fd = fd;
        eventfd_settle(ring); /* some may have come before anybody listened */
    }
    *ret_fd = ring->event_fd;
    return 0;
}
