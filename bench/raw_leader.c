/*
 * An ideal leader: blocking writers that share synchronous writes, with nothing else in the way.
 *
 *   1. a writer copies its record into the open group and lines up;
 *   2. whoever finds no leader leads: it yields until the group stops growing, opens the other
 * group, writes this one, wakes its followers one by one, each on a word of its own,
 *   3. and hands the lead to the first of the open group, if somebody is there.
 *
 * No checksum, no header, no recovery: what is left is the price of threads and of the device.
 */
#include "bench/raw_device.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sync.h"
#include "base/thread.h"
#include "bench/workdir.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/uio.h>

#define WRITERS_MAX 1024u

enum { WAITING = 0, DONE = 1, LEAD = 2 };

struct writer;

struct group {
    uint8_t *buffer;
    size_t used;
    unsigned count;
    struct writer *members[WRITERS_MAX];
};

struct leader {
    struct raw_file *file;
    const struct bench_payload *payload;
    uint64_t deadline_ns;
    size_t buffer_bytes;
    pthread_mutex_t lock;
    bool busy;     /* somebody leads */
    unsigned open; /* index of the group that takes records */
    struct group groups[2];
    uint64_t offset; /* the leader's */
    _Atomic uint64_t bytes;
    _Atomic int error;
};

struct writer {
    struct leader *leader;
    struct base_thread thread;
    _Atomic uint32_t state;
    uint64_t records;
    struct base_histogram latency;
};

static void tell(struct writer *writer, uint32_t state)
{
    /* Release pairs with the acquire in append_one. */
    atomic_store_explicit(&writer->state, state, memory_order_release);
    base_wake(&writer->state, 1, false);
}

static unsigned count_open(struct leader *leader)
{
    (void)pthread_mutex_lock(&leader->lock);
    unsigned count = leader->groups[leader->open].count;
    (void)pthread_mutex_unlock(&leader->lock);
    return count;
}

static struct group *close_group(struct leader *leader)
{
    unsigned before;
    unsigned after = count_open(leader);
    do {
        before = after;
        base_yield();
        after = count_open(leader);
    } while (after != before);
    (void)pthread_mutex_lock(&leader->lock);
    struct group *group = &leader->groups[leader->open];
    leader->open ^= 1;
    leader->groups[leader->open].count = 0;
    leader->groups[leader->open].used = 0;
    (void)pthread_mutex_unlock(&leader->lock);
    return group;
}

static void write_group(struct leader *leader, struct group *group)
{
    size_t size = (group->used + RAW_BLOCK - 1) & ~(size_t)(RAW_BLOCK - 1);
    struct iovec vector = {group->buffer, size};
    ssize_t written = pwritev2(leader->file->fd, &vector, 1, (off_t)leader->offset, RWF_DSYNC);
    if (written != (ssize_t)size) {
        atomic_store_explicit(&leader->error, written < 0 ? -errno : -EIO, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&leader->bytes, size, memory_order_relaxed);
    leader->offset += size;
    if (leader->offset + leader->buffer_bytes > leader->file->size_bytes) {
        leader->offset = 0;
    }
}

static void lead(struct writer *self)
{
    struct leader *leader = self->leader;
    struct group *group = close_group(leader);
    write_group(leader, group);
    for (unsigned index = 0; index < group->count; index++) {
        if (group->members[index] != self) {
            tell(group->members[index], DONE);
        }
    }
    (void)pthread_mutex_lock(&leader->lock);
    struct group *open = &leader->groups[leader->open];
    struct writer *next = open->count > 0 ? open->members[0] : NULL;
    leader->busy = next != NULL;
    (void)pthread_mutex_unlock(&leader->lock);
    if (next != NULL) {
        tell(next, LEAD);
    }
}

static void append_one(struct writer *self)
{
    struct leader *leader = self->leader;
    const struct weir_part *part = bench_payload_at(leader->payload, self->records);
    atomic_store_explicit(&self->state, WAITING, memory_order_relaxed);
    (void)pthread_mutex_lock(&leader->lock);
    struct group *group = &leader->groups[leader->open];
    memcpy(group->buffer + group->used, part->data, part->size);
    group->used += part->size;
    group->members[group->count++] = self;
    bool first = !leader->busy;
    leader->busy = true;
    (void)pthread_mutex_unlock(&leader->lock);
    uint32_t state = LEAD;
    if (!first) {
        /* Acquire pairs with the release in tell. */
        while ((state = atomic_load_explicit(&self->state, memory_order_acquire)) == WAITING) {
            (void)base_wait(&self->state, WAITING, -1, false);
        }
    }
    if (state == LEAD) {
        lead(self);
    }
    self->records++;
}

static void run_writer(void *context)
{
    struct writer *self = context;
    uint64_t now_ns = base_clock_monotonic_ns();
    while ((now_ns < self->leader->deadline_ns || self->records == 0) && !bench_interrupted() &&
           atomic_load_explicit(&self->leader->error, memory_order_relaxed) == 0) {
        append_one(self);
        uint64_t end_ns = base_clock_monotonic_ns();
        base_histogram_record(&self->latency, end_ns - now_ns);
        now_ns = end_ns;
    }
}

static int run_writers(struct leader *leader, struct writer *writers, unsigned count,
                       struct raw_result *result)
{
    int rc = 0;
    unsigned started = 0;
    for (; started < count && rc == 0; started++) {
        writers[started].leader = leader;
        base_histogram_reset(&writers[started].latency);
        rc = base_thread_start(&writers[started].thread, "raw", run_writer, &writers[started]);
        if (rc < 0) {
            atomic_store_explicit(&leader->error, rc, memory_order_relaxed);
            break;
        }
    }
    for (unsigned index = 0; index < started; index++) {
        base_thread_join(&writers[index].thread);
        result->operations += writers[index].records;
        base_histogram_merge(&result->latency, &writers[index].latency);
    }
    return atomic_load_explicit(&leader->error, memory_order_relaxed);
}

int raw_leader(struct raw_file *file, const struct bench_payload *payload, unsigned writers,
               double seconds, struct raw_result *ret_result)
{
    memset(ret_result, 0, sizeof *ret_result);
    base_histogram_reset(&ret_result->latency);
    if (writers == 0 || writers > WRITERS_MAX) {
        return -EINVAL;
    }
    struct leader *leader = base_alloc_zero(sizeof *leader);
    struct writer *threads = base_alloc_array(writers, sizeof *threads);
    size_t largest = 0;
    for (unsigned index = 0; index < BENCH_PAYLOADS; index++) {
        size_t size = payload->parts[index].size;
        largest = size > largest ? size : largest;
    }
    size_t buffer_bytes = (writers * largest + 2 * RAW_BLOCK - 1) & ~(size_t)(RAW_BLOCK - 1);
    uint8_t *buffers = base_alloc_aligned(RAW_BLOCK, 2 * buffer_bytes);
    int rc = -ENOMEM;
    if (leader != NULL && threads != NULL && buffers != NULL) {
        leader->file = file;
        leader->payload = payload;
        leader->buffer_bytes = buffer_bytes;
        leader->groups[0].buffer = buffers;
        leader->groups[1].buffer = buffers + buffer_bytes;
        (void)pthread_mutex_init(&leader->lock, NULL);
        uint64_t start_ns = base_clock_monotonic_ns();
        leader->deadline_ns = start_ns + (uint64_t)(seconds * (double)BASE_NS_PER_S);
        rc = run_writers(leader, threads, writers, ret_result);
        uint64_t end_ns = base_clock_monotonic_ns();
        ret_result->seconds = (double)(end_ns - start_ns) / (double)BASE_NS_PER_S;
        ret_result->bytes = leader->bytes;
        (void)pthread_mutex_destroy(&leader->lock);
    }
    base_free(buffers);
    base_free(threads);
    base_free(leader);
    return rc;
}
