/*
 * Writers on a simulated medium whose power goes.
 *
 * 1. The log is opened on the disk that the last cut has left. A hook is asked before each call of
 *    the medium.
 * 2. When the moment's number of records is acknowledged the hook begins to count: first up to a
 *    call that makes or renames a file, if the moment asks for that, then the moment's calls.
 * 3. There the referee is told, the simulator makes a disk of what is durable and of a random part
 *    of what is not, and from then on every call fails, so that the writers end.
 *
 * Failures: what the log reports before the cut. What it reports behind it is the cut itself.
 *
 * Invariant: the referee is told before the disk is made. A record that is acknowledged before that
 * was durable before that; an answer that comes later is not counted.
 */
#include "cli/crash_power.h"

#include "cli/signals.h"

#include "base/alloc.h"
#include "base/random.h"
#include "base/sync.h"
#include "sim/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_DEPTH 8u

#if defined(__SANITIZE_THREAD__)
/* A power cut, and a flush of a mapped file, look at memory while it is being written: that is what
 * they are for. */
const char *__tsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__tsan_default_suppressions(void)
{
    return "race:sim_node_notice\n";
}
#endif

struct crash_power {
    struct sim_memory_options shape;
    struct weir_log_options options;
    struct weir_medium *keeper; /* holds the disk while no log is open on it */
    char name[48];
};

/* One run of writers. */
struct outage {
    struct crash_power *power;
    const struct crash_moment *moment;
    struct crash_referee *referee;
    struct base_prng prng; /* which pieces survive */
    struct base_lock lock; /* of all below but the atomics */
    struct weir_medium *after;
    uint64_t calls_to_roll, calls_left;
    bool rolled;
    int error;
    _Atomic bool armed; /* as many records as the moment waits for are acknowledged */
    _Atomic bool dark;
};

/* ---- the disk ---- */

int crash_power_create(enum weir_medium_kind shape, const struct weir_log_options *options,
                       struct crash_power **ret_power)
{
    bool pmem = shape == WEIR_MEDIUM_PMEM;
    bool mapped = shape == WEIR_MEDIUM_MAPPED;
    struct crash_power *power = base_alloc_zero(sizeof *power);
    if (power == NULL) {
        return -ENOMEM;
    }
    snprintf(power->name, sizeof power->name, "simulated %s (memory)",
             pmem     ? "pmem"
             : mapped ? "mapped"
                      : "direct");
    power->shape = (struct sim_memory_options){
        .block_bytes = pmem ? 64 : 4096,
        .queue_depth = QUEUE_DEPTH,
        .capacity_bytes = CRASH_POWER_CAPACITY,
        .asynchronous = !pmem, /* a fence is done when it returns */
        .window_is_file = pmem || mapped,
    };
    power->options = *options;
    power->options.medium = WEIR_MEDIUM_CUSTOM;
    power->options.io = WEIR_IO_AUTO;
    if (power->options.segment_bytes == 0) {
        power->options.segment_bytes = CRASH_POWER_SEGMENT;
    }
    int rc = sim_memory_open(&power->shape, &power->keeper);
    if (rc < 0) {
        base_free(power);
        return rc;
    }
    *ret_power = power;
    return 0;
}

void crash_power_destroy(struct crash_power *power)
{
    if (power != NULL) {
        power->keeper->ops->destroy(power->keeper);
        base_free(power);
    }
}

const char *crash_power_medium(const struct crash_power *power)
{
    return power->name;
}

static int open_medium(struct crash_power *power, bool read_only,
                       const struct sim_memory_faults *faults, struct weir_medium **ret_medium)
{
    struct sim_memory_options shape = power->shape;
    shape.disk = sim_memory_disk(power->keeper);
    shape.read_only = read_only;
    if (faults != NULL) {
        shape.faults = *faults;
    }
    return sim_memory_open(&shape, ret_medium);
}

int crash_power_options(void *context, uint32_t flags, struct weir_log_options *ret_options)
{
    struct crash_power *power = context;
    *ret_options = power->options;
    ret_options->flags |= flags;
    return open_medium(power, (flags & WEIR_LOG_READ_ONLY) != 0, NULL, &ret_options->custom_medium);
}

/* ---- looking at it ---- */

struct saving {
    struct crash_power *power;
    int directory_fd;
};

static int write_all(int fd, const uint8_t *bytes, uint64_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (uint64_t)written : 0;
    }
    return 0;
}

static int save_file(void *context, const char *name)
{
    const struct saving *saving = context;
    uint64_t size = 0;
    const uint8_t *bytes = sim_memory_bytes(saving->power->keeper, name, false, &size);
    int fd = openat(saving->directory_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0) {
        return -errno;
    }
    int rc = bytes != NULL ? write_all(fd, bytes, size) : 0;
    if (close(fd) < 0 && rc == 0) {
        rc = -errno;
    }
    return rc;
}

int crash_power_save(struct crash_power *power, const char *directory)
{
    struct saving saving = {power, open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (saving.directory_fd < 0) {
        return -errno;
    }
    int rc = power->keeper->ops->list(power->keeper, "", save_file, &saving);
    close(saving.directory_fd);
    return rc;
}

/* ---- the cut ---- */

static bool keep_by_chance(void *context, const char *name, uint64_t offset)
{
    (void)name;
    (void)offset;
    struct outage *outage = context;
    return base_prng_unit(&outage->prng) < outage->moment->keep;
}

/* With the lock held. */
static void cut_power(struct outage *outage)
{
    crash_referee_cut(outage->referee);
    outage->error = sim_memory_crash(outage->power->keeper, keep_by_chance, outage, &outage->after);
    atomic_store(&outage->dark, true);
}

static bool makes_file(const char *call)
{
    return strcmp(call, "create") == 0 || strcmp(call, "rename") == 0;
}

/* Whether the power goes at this call. With the lock held. */
static bool is_the_moment(struct outage *outage, const char *call)
{
    if (outage->moment->roll && !outage->rolled && outage->calls_to_roll > 0) {
        outage->rolled = makes_file(call);
        outage->calls_to_roll--;
        if (!outage->rolled) {
            return false;
        }
    }
    return outage->calls_left-- == 0;
}

static int before_call(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)name;
    (void)offset;
    (void)size;
    struct outage *outage = context;
    if (!atomic_load(&outage->dark) && atomic_load(&outage->armed)) {
        base_lock_acquire(&outage->lock);
        if (!atomic_load(&outage->dark) && is_the_moment(outage, call)) {
            cut_power(outage);
        }
        base_lock_release(&outage->lock);
    }
    if (signals_interrupted() && !atomic_load(&outage->dark)) {
        crash_referee_cut(outage->referee); /* the round does not count any more */
        atomic_store(&outage->dark, true);
    }
    return atomic_load(&outage->dark) ? -EIO : 0;
}

static void on_acknowledged(void *context, uint64_t count)
{
    struct outage *outage = context;
    if (count >= outage->moment->acknowledged) {
        atomic_store(&outage->armed, true);
    }
}

/* The next round goes on with what the cut has left. */
static int move_to_the_image(struct outage *outage)
{
    struct crash_power *power = outage->power;
    if (outage->after != NULL) {
        power->keeper->ops->destroy(power->keeper);
        power->keeper = outage->after;
    }
    return outage->error;
}

int crash_power_run(struct crash_power *power, const struct crash_writers *writers,
                    const struct crash_moment *moment, uint64_t seed, bool *ret_rolled,
                    struct weir_error *why)
{
    struct outage outage = {
        .power = power,
        .moment = moment,
        .referee = writers->referee,
        .calls_to_roll = CRASH_ROLL_WAIT_CALLS,
        .calls_left = moment->calls,
    };
    struct crash_writers own = *writers;
    struct weir_log_options options = power->options;
    struct sim_memory_faults faults = {before_call, &outage};
    base_prng_seed(&outage.prng, seed);
    options.flags |= WEIR_LOG_CREATE;
    int rc = open_medium(power, false, &faults, &options.custom_medium);
    if (rc == 0) {
        rc = weir_log_open("simulated", &options, &own.log, why);
    }
    if (rc < 0) {
        return signals_interrupted() ? -EINTR : rc;
    }
    own.acknowledged = on_acknowledged;
    own.context = &outage;
    rc = crash_writers_run(&own);
    if (rc == 0 && !atomic_load(&outage.dark)) {
        cut_power(&outage); /* the referee's table is full */
    }
    bool dark = atomic_load(&outage.dark);
    (void)weir_log_close(own.log); /* it is dead, or its error is known already */
    *ret_rolled = outage.rolled;
    if (signals_interrupted()) {
        rc = -EINTR;
    } else {
        rc = dark ? 0 : rc;
    }
    int image_rc = move_to_the_image(&outage);
    return rc < 0 ? rc : image_rc;
}
