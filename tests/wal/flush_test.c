/*
 * Flushes behind a stream of writes that nobody waits for: what they cover, and that they come
 * before W is used up, however few I/Os the medium takes at once.
 */
#include "support.h"

#include "base/system.h"
#include "wal/commit.h"

#include <string.h>

#define GROUP ((uint64_t)16 << 10)
#define RUN_AHEAD ((uint64_t)512 << 10)

/* A disk that is done with no more than it is allowed to. */
static struct {
    const struct weir_medium_ops *real;
    struct weir_medium_ops ops;
    int allowed; /* completions that poll() may still bring */
    int waits;   /* calls that would have slept; they bring one */
} device;

static int poll_device(struct weir_medium *medium, struct weir_completion *ret_completions, int max,
                       int64_t timeout_ns)
{
    if (timeout_ns != 0) {
        device.waits++;
        return device.real->poll(medium, ret_completions, 1, timeout_ns);
    }
    int most = max < device.allowed ? max : device.allowed;
    int count = most > 0 ? device.real->poll(medium, ret_completions, most, 0) : 0;
    device.allowed -= count > 0 ? count : 0;
    return count;
}

static struct weir_log *open_on_device(struct test_disk *disk, uint32_t queue_depth)
{
    struct weir_log_options options = small_options();
    options.segment_bytes = 1 << 20;
    options.run_ahead_bytes = RUN_AHEAD;
    options.group_bytes = GROUP;
    disk->options.asynchronous = true;
    disk->options.queue_depth = queue_depth;
    struct weir_log *log = open_log(disk, &options);
    memset(&device, 0, sizeof device);
    device.real = log->medium->ops;
    device.ops = *device.real;
    device.ops.poll = poll_device;
    log->medium->ops = &device.ops;
    return log;
}

static void close_on_device(struct weir_log *log)
{
    log->medium->ops = device.real;
    close_log(log);
}

static void append_one(struct weir_log *log)
{
    static const uint8_t payload[3900];
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
}

/* Nothing of it is submitted, as somebody leads meanwhile and does nothing. */
static void append_groups(struct weir_log *log, uint64_t count)
{
    uint64_t head = atomic_load(&log->tail.head);
    assert_true(leader_try(log));
    while (atomic_load(&log->tail.head) < head + count) {
        append_one(log);
    }
    leader_leave(log);
}

/* What an append that closes a group does, when the device has done so much meanwhile. */
static void go_on(struct weir_log *log, int completions)
{
    device.allowed = completions;
    commit_kick(log, COMMIT_BACKGROUND);
    device.allowed = 0;
}

static uint64_t not_durable(struct weir_log *log)
{
    return atomic_load(&log->tail.reserved_address) - atomic_load(&log->marks.durable_address);
}

static weir_lsn reserved(struct weir_log *log)
{
    return atomic_load(&log->marks.reserved);
}

static weir_lsn last_behind_a_power_cut(struct test_disk *disk, struct weir_log *log)
{
    struct test_disk after = {.options = disk->options};
    struct weir_medium *medium = log->medium;
    medium->ops = device.real;
    assert_int_equal(sim_memory_cut(medium, NULL, NULL, &after.keeper), 0);
    medium->ops = &device.ops;
    after.options.disk = sim_memory_disk(after.keeper);
    struct weir_log *survivor = open_log(&after, NULL);
    weir_lsn last = weir_durable_lsn(survivor);
    close_log(survivor);
    disk_free(&after);
    return last;
}

static void what_was_not_written_when_a_flush_began_is_flushed_by_another_one_in_time(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_on_device(&disk, 16);
    append_groups(log, 26); /* most of W, and not one of them written */
    weir_lsn last = reserved(log);
    go_on(log, 0);
    while (weir_durable_lsn(log) == 0) {
        assert_true(log->commit.submit < 26);
        go_on(log, 1);
    }
    /* The first flush covered the few that were written. */
    assert_true(weir_durable_lsn(log) < last / 2);
    assert_true(2 * not_durable(log) > RUN_AHEAD);
    assert_int_equal(last_behind_a_power_cut(&disk, log), weir_durable_lsn(log));
    /* Nothing more is appended, and no place is needed: the others become durable as they are
     * written, until half of W is free again. */
    for (int i = 0; i < 100; i++) {
        go_on(log, 1);
    }
    assert_int_equal(reserved(log), last);
    assert_true(2 * not_durable(log) <= RUN_AHEAD);
    assert_int_equal(last_behind_a_power_cut(&disk, log), weir_durable_lsn(log));
    assert_int_equal(device.waits, 0);
    close_on_device(log);
    disk_free(&disk);
}

static void a_stream_is_flushed_before_it_has_to_wait_at_every_depth_of_the_queue(void **state)
{
    (void)state;
    for (uint32_t depth = 1; depth <= 10; depth++) {
        struct test_disk disk = disk_new();
        struct weir_log *log = open_on_device(&disk, depth);
        append_groups(log, depth + 2); /* so that there is always a write for a place */
        go_on(log, 0);
        assert_int_equal(atomic_load(&log->commit.in_flight), depth < 8 ? depth : 8);
        uint64_t end = atomic_load(&log->tail.head) + 3 * RUN_AHEAD / GROUP;
        weir_lsn seen = 0;
        int moves = 0;
        while (atomic_load(&log->tail.head) < end) {
            device.allowed = 1 + (int)log->commit.flushes_in_flight; /* as fast as the stream */
            append_one(log);
            moves += weir_durable_lsn(log) != seen;
            seen = weir_durable_lsn(log);
            assert_int_equal(device.waits, 0);
        }
        assert_in_range(moves, 4, 3 * 8);
        close_on_device(log);
        disk_free(&disk);
    }
}

/* No group closes because it has become old, however slow the machine is. */
static uint64_t stand_still(void *context)
{
    (void)context;
    return 1000000000;
}

static int stop_clock(void **state)
{
    static const struct base_system system = {.monotonic = stand_still};
    (void)state;
    base_system_set(&system);
    return 0;
}

static int restore_clock(void **state)
{
    (void)state;
    base_system_set(NULL);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_written_when_a_flush_began_is_flushed_by_another_one_in_time),
        cmocka_unit_test(a_stream_is_flushed_before_it_has_to_wait_at_every_depth_of_the_queue),
    };
    return cmocka_run_group_tests(tests, stop_clock, restore_clock);
}
