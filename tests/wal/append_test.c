/*
 * Appending: LSNs, limits, batches, and what a failed write does.
 */
#include "support.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/system.h"
#include "wal/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wl_01_the_first_record_has_lsn_1_and_an_empty_log_has_none(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_int_equal(stat.earliest, 0);
    assert_int_equal(stat.latest, 0);
    assert_int_equal(append_text(log, "a", WEIR_EACH), 1);
    assert_int_equal(append_text(log, "b", WEIR_GROUP), 2);
    assert_int_equal(append_text(log, "c", WEIR_NONE), 3);
    close_log(log);
    disk_free(&disk);
}

static void wl_01_lsns_go_on_across_reopens_and_rolls(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    uint8_t payload[3000];
    weir_lsn expected = 1;
    for (int round = 0; round < 4; round++) {
        struct weir_log *log = open_log(&disk, NULL);
        for (int i = 0; i < 200; i++) {
            weir_lsn lsn;
            size_t size = numbered_payload(expected, payload, sizeof payload);
            assert_int_equal(try_append(log, payload, size, WEIR_NONE, &lsn), 0);
            assert_int_equal(lsn, expected++);
        }
        close_log(log);
    }
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_true(stat.segments > 2);
    assert_int_equal(stat.latest, expected - 1);
    assert_int_equal(count_records(log), expected - 1);
    close_log(log);
    disk_free(&disk);
}

static void wl_03_each_is_durable_when_it_returns_and_covers_what_came_before(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "none", WEIR_NONE);
    append_text(log, "group", WEIR_GROUP);
    weir_lsn lsn = append_text(log, "each", WEIR_EACH);
    assert_int_equal(weir_durable_lsn(log), lsn);

    struct weir_medium *after; /* power loss: nothing that was not flushed survives */
    assert_int_equal(sim_memory_crash(log->medium, NULL, NULL, &after), 0);
    struct test_disk survived = {.keeper = after, .options = {.disk = sim_memory_disk(after)}};
    struct weir_log *again = open_log(&survived, NULL);
    expect_texts(again, 1, (const char *const[]){"none", "group", "each"}, 3);
    close_log(again);
    disk_free(&survived);
    close_log(log);
    disk_free(&disk);
}

static void wl_03_none_is_not_reported_durable_before_a_flush(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    weir_lsn lsn = append_text(log, "later", WEIR_NONE);
    assert_int_equal(weir_durable_lsn(log), lsn - 1);
    assert_int_equal(weir_wait(log, lsn, WEIR_WAIT_FOREVER), 0);
    assert_int_equal(weir_durable_lsn(log), lsn);
    assert_int_equal(weir_wait(log, lsn + 1, 0), -EINVAL);
    close_log(log);
    disk_free(&disk);
}

static void wl_04_a_batch_has_consecutive_lsns_and_one_that_does_not_fit_changes_nothing(
    void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_stat before = WEIR_STAT_INIT, after = WEIR_STAT_INIT;
    struct weir_part part = {"0123456789", 10};
    struct weir_entry entries[100];
    for (int i = 0; i < 100; i++) {
        entries[i] = (struct weir_entry){.parts = &part, .part_count = 1, .type = (uint16_t)i};
    }
    weir_lsn first;
    assert_int_equal(weir_append_batch(log, entries, 100, WEIR_EACH, &first), 0);
    assert_int_equal(first, 1);
    assert_int_equal(weir_durable_lsn(log), 100);

    weir_log_stat(log, &before);
    size_t size = before.group_bytes / 2;
    struct weir_part large = {calloc(1, size), size};
    struct weir_entry three[3] = {{&large, 1, 0, 0}, {&large, 1, 0, 0}, {&large, 1, 0, 0}};
    assert_int_equal(weir_append_batch(log, three, 3, WEIR_EACH, &first), WEIR_E_TOO_BIG);
    weir_log_stat(log, &after);
    assert_int_equal(before.reserved, after.reserved);
    assert_int_equal(before.groups, after.groups);
    assert_int_equal(weir_append_batch(log, entries, 0, WEIR_EACH, &first), -EINVAL);
    free((void *)(uintptr_t)large.data);
    close_log(log);
    disk_free(&disk);
}

static void wl_05_sizes_of_zero_limit_and_beyond(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_stat stat = WEIR_STAT_INIT;
    weir_log_stat(log, &stat);
    size_t limit = stat.record_bytes;
    uint8_t *payload = malloc(limit + 1);
    memset(payload, 0xab, limit + 1);
    weir_lsn lsn = 77;
    assert_int_equal(try_append(log, NULL, 0, WEIR_EACH, &lsn), 0);
    assert_int_equal(lsn, 1);
    assert_int_equal(try_append(log, payload, limit, WEIR_EACH, &lsn), 0);
    assert_int_equal(lsn, 2);
    lsn = 77;
    assert_int_equal(try_append(log, payload, limit + 1, WEIR_EACH, &lsn), WEIR_E_TOO_BIG);
    assert_int_equal(try_append(log, payload, SIZE_MAX, WEIR_EACH, &lsn), WEIR_E_TOO_BIG);
    assert_int_equal(lsn, 77);
    struct weir_part parts[2] = {{payload, limit}, {payload, SIZE_MAX}};
    struct weir_entry wraps = {.parts = parts, .part_count = 2};
    assert_int_equal(weir_append(log, &wraps, WEIR_EACH, &lsn), WEIR_E_TOO_BIG);
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(log, 0, limit + 1, &reservation), WEIR_E_TOO_BIG);
    assert_int_equal(weir_reserve(log, 0, SIZE_MAX, &reservation), WEIR_E_TOO_BIG);
    weir_log_stat(log, &stat);
    assert_int_equal(stat.reserved, 2);
    free(payload);
    close_log(log);
    disk_free(&disk);
}

static void bad_arguments_are_refused_and_change_nothing(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_part part = {NULL, 5};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    assert_int_equal(weir_append(log, &entry, WEIR_EACH, NULL), -EINVAL);
    part.data = "12345";
    assert_int_equal(weir_append(log, &entry, (enum weir_durability)9, NULL), -EINVAL);
    entry.type = WEIR_TYPE_RESERVED;
    assert_int_equal(weir_append(log, &entry, WEIR_EACH, NULL), -EINVAL);
    assert_int_equal(weir_append(log, NULL, WEIR_EACH, NULL), -EINVAL);
    assert_int_equal(weir_append(NULL, &entry, WEIR_EACH, NULL), -EINVAL);
    assert_int_equal(count_records(log), 0);
    close_log(log);
    disk_free(&disk);
}

static struct weir_medium_ops counting_ops;
static void (*real_destroy)(struct weir_medium *medium);
static int destroyed;

static void count_destroy(struct weir_medium *medium)
{
    destroyed++;
    real_destroy(medium);
}

static void a_custom_medium_is_given_back_whatever_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct test_disk disk = disk_new();
        struct weir_log_options options = small_options();
        struct weir_error why = WEIR_ERROR_INIT;
        struct weir_log *log = NULL;
        options.medium = WEIR_MEDIUM_CUSTOM;
        assert_int_equal(sim_memory_open(&disk.options, &options.custom_medium), 0);
        counting_ops = *options.custom_medium->ops;
        real_destroy = counting_ops.destroy;
        counting_ops.destroy = count_destroy;
        options.custom_medium->ops = &counting_ops;
        destroyed = 0;
        options.witness = i == 0 ? WEIR_WITNESS_IDLE : WEIR_WITNESS_LAZY; /* without a service */
        why.size = i == 1 ? 8 : why.size;
        assert_true(weir_log_open("memory", &options, i == 2 ? NULL : &log, &why) < 0);
        assert_int_equal(destroyed, 1);
        assert_null(log);
        disk_free(&disk);
    }
}

static int expect_free_table(void *context, const char *call, const char *name, uint64_t offset,
                             size_t size)
{
    struct weir_log **log = context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, "freeze") == 0) {
        assert_false(base_lock_is_held(&(*log)->segments.lock));
        *log = NULL;
    }
    return 0;
}

static void a_window_is_frozen_while_others_find_and_roll_segments(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL), *seen = log;
    struct weir_cursor *cursor;
    struct weir_record record;
    static uint8_t payload[30000];
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, NULL), 0);
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    sim_memory_faults_set(log->medium, &(struct sim_memory_faults){expect_free_table, &seen});
    struct weir_pin *pins[4] = {NULL};
    for (int i = 0; i < 60 && seen != NULL; i++) { /* a pin in each of the first segments */
        if (i % 8 == 0 && i / 8 < 4) {
            while (weir_cursor_next(cursor, &record) == 1) {
            }
            assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, NULL), 0);
            assert_int_equal(weir_cursor_next(cursor, &record), 1);
            assert_int_equal(weir_cursor_pin(cursor, &pins[i / 8]), 0);
        }
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, NULL), 0);
    }
    assert_null(seen);
    sim_memory_faults_set(log->medium, &(struct sim_memory_faults){0});
    for (int i = 0; i < 4; i++) {
        weir_pin_drop(pins[i]);
    }
    weir_cursor_close(cursor);
    close_log(log);
    disk_free(&disk);
}

/* ---- faults ---- */

/* The seal of a segment full of tiny records is the largest there is; it has to fit into W. */
static void the_smallest_run_ahead_gets_across_rolls_of_tiny_records(void **state)
{
    (void)state;
    static const uint64_t segments[] = {(uint64_t)64 << 10, (uint64_t)256 << 10, (uint64_t)1 << 20,
                                        (uint64_t)4 << 20};
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        struct test_disk disk = disk_new();
        struct weir_log_options options = small_options();
        options.segment_bytes = segments[i];
        options.run_ahead_bytes = segments[i] / 8;
        if (options.run_ahead_bytes < 4 * WEIR_GROUP_BYTES_MIN) {
            options.run_ahead_bytes = 4 * WEIR_GROUP_BYTES_MIN;
        }
        struct weir_log *log = open_log(&disk, &options);
        struct weir_stat stat = WEIR_STAT_INIT;
        uint64_t count = segments[i] / 16 * 5 / 2; /* two and a half segments */
        for (uint64_t k = 0; k < count; k++) {
            assert_int_equal(try_append(log, NULL, 0, WEIR_NONE, NULL), 0);
        }
        weir_log_stat(log, &stat);
        assert_true(stat.segments >= 3);
        close_log(log);
        disk_free(&disk);
    }
    struct test_disk disk = disk_new();
    struct weir_log_options options = small_options();
    options.segment_bytes = (uint64_t)4 << 20;
    options.run_ahead_bytes = (uint64_t)64 << 10;
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(try_open_log(&disk, &options, &log, &why), WEIR_E_SETTINGS);
    disk_free(&disk);
}

/* Neither the directory nor LOCK is left of a log that was refused for its sizes. */
static void sizes_that_no_log_can_have_are_found_before_anything_is_made(void **state)
{
    (void)state;
    char path[256], inside[300];
    struct weir_log *log;
    make_directory(path, sizeof path);
    (void)snprintf(inside, sizeof inside, "%s/log", path);
    const char *const places[] = {path, inside};
    struct weir_log_options options = small_options();
    options.segment_bytes = 100 << 10;
    for (size_t i = 0; i < 2; i++) {
        struct weir_error why = WEIR_ERROR_INIT;
        assert_int_equal(weir_log_open(places[i], &options, &log, &why), WEIR_E_SETTINGS);
        assert_non_null(strstr(why.text, "from 64 KiB to 1 GiB"));
    }
    assert_int_equal(rmdir(path), 0); /* it is empty */
}

struct failing {
    const char *call;
    int error;
    int left; /* calls that still succeed */
    int hits;
};

static int fail_later(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    struct failing *failing = context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, failing->call) != 0 || failing->left-- > 0) {
        return 0;
    }
    failing->hits++;
    return failing->error;
}

static void inject(struct weir_log *log, struct failing *failing)
{
    struct sim_memory_faults faults = {failing != NULL ? fail_later : NULL, failing};
    sim_memory_faults_set(log->medium, &faults);
}

static void poisoned_by(const char *call, bool asynchronous)
{
    struct test_disk disk = disk_new();
    disk.options.asynchronous = asynchronous;
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "kept", WEIR_EACH);
    struct failing failing = {.call = call, .error = -EIO};
    inject(log, &failing);
    weir_lsn lsn;
    assert_int_equal(try_append(log, "lost", 4, WEIR_EACH, &lsn), WEIR_E_POISONED);
    assert_int_equal(failing.hits, 1);
    inject(log, NULL);
    /* The device is well again, and still: nothing is retried, nothing is reported durable. */
    assert_int_equal(try_append(log, "x", 1, WEIR_EACH, &lsn), WEIR_E_POISONED);
    assert_int_equal(weir_wait(log, 2, WEIR_WAIT_FOREVER), WEIR_E_POISONED);
    assert_int_equal(weir_commit(log), WEIR_E_POISONED);
    assert_int_equal(weir_durable_lsn(log), 1);
    expect_texts(log, 1, (const char *const[]){"kept"}, 1);
    struct weir_stat stat = WEIR_STAT_INIT;
    weir_log_stat(log, &stat);
    assert_int_equal(stat.poisoned, -EIO);
    assert_int_equal(weir_log_close(log), WEIR_E_POISONED);
    log = open_log(&disk, NULL);
    append_text(log, "again", WEIR_EACH);
    close_log(log);
    disk_free(&disk);
}

static void wl_12_a_failed_write_poisons_until_close_and_open(void **state)
{
    (void)state;
    poisoned_by("persist", false);
    poisoned_by("complete", true);
    poisoned_by("poll", true);
}

static void wl_12_a_failed_flush_behind_written_groups_poisons(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    uint8_t payload[20000] = {1};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    }
    struct failing failing = {.call = "flush_file", .error = -EIO};
    inject(log, &failing);
    assert_int_equal(weir_commit(log), WEIR_E_POISONED);
    assert_int_equal(weir_durable_lsn(log), 0);
    assert_int_equal(weir_log_close(log), WEIR_E_POISONED);
    disk_free(&disk);
}

static void wl_13_a_full_disk_is_met_before_an_append_has_changed_anything(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct failing failing = {.call = "create", .error = -ENOSPC};
    inject(log, &failing);
    uint8_t payload[10000] = {7};
    weir_lsn lsn = 0, last = 0;
    int rc;
    while ((rc = try_append(log, payload, sizeof payload, WEIR_EACH, &lsn)) == 0) {
        last = lsn;
        assert_true(last < 1000);
    }
    assert_int_equal(rc, -ENOSPC);
    struct weir_stat stat = WEIR_STAT_INIT;
    weir_log_stat(log, &stat);
    assert_int_equal(stat.reserved, last);
    assert_int_equal(stat.poisoned, 0);
    assert_int_equal(count_records(log), last);
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, &lsn), -ENOSPC);
    inject(log, NULL); /* there is room again */
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, &lsn), 0);
    assert_int_equal(lsn, last + 1);
    close_log(log);
    disk_free(&disk);
}

static uint64_t fill_up(struct weir_log *log)
{
    uint8_t payload[100] = {7};
    uint64_t count = 0;
    int rc;
    while ((rc = try_append(log, payload, sizeof payload, WEIR_EACH, NULL)) == 0) {
        count++;
    }
    assert_int_equal(rc, -ENOSPC);
    return count;
}

static void wl_13_a_full_log_opens_again_and_truncation_makes_room(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct failing failing = {.call = "create", .error = -ENOSPC};
    inject(log, &failing);
    uint64_t count = fill_up(log);
    inject(log, NULL);
    close_log(log);
    for (int round = 0; round < 3; round++) { /* no room for an epoch group, and none is needed */
        disk.options.faults = (struct sim_memory_faults){fail_later, &failing};
        log = open_log(&disk, NULL);
        assert_int_equal(try_append(log, "x", 1, WEIR_EACH, NULL), -ENOSPC);
        assert_int_equal(count_records(log), count);
        close_log(log);
    }
    disk.options.faults = (struct sim_memory_faults){0};
    log = open_log(&disk, NULL);
    assert_int_equal(append_text(log, "room again", WEIR_EACH), count + 1);
    assert_int_equal(weir_truncate_before(log, count + 1, NULL), 0);
    close_log(log);
    log = open_log(&disk, NULL);
    expect_texts(log, count + 1, (const char *const[]){"room again"}, 1);
    close_log(log);
    disk_free(&disk);
}

static void append_allocates_nothing(void **state)
{
    (void)state;
    char path[256];
    make_directory(path, sizeof path);
    struct weir_log_options options = small_options();
    options.segment_bytes = (uint64_t)16 << 20;
    struct weir_log *log;
    assert_int_equal(weir_log_open(path, &options, &log, NULL), 0);
    uint8_t payload[100] = {3};
    weir_lsn lsn;
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, &lsn), 0);
    uint64_t before = base_alloc_count();
    for (int i = 0; i < 300; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, &lsn), 0);
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_GROUP, &lsn), 0);
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, &lsn), 0);
    }
    assert_int_equal(base_alloc_count(), before);
    close_log(log);
    remove_directory(path);
}

static void each_is_one_write_and_one_flush_per_group(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_stat before = WEIR_STAT_INIT, after = WEIR_STAT_INIT;
    weir_log_stat(log, &before);
    for (int i = 0; i < 50; i++) {
        append_text(log, "one", WEIR_EACH);
    }
    weir_log_stat(log, &after);
    assert_int_equal(after.groups - before.groups, 50);
    assert_int_equal(after.writes - before.writes, 50);
    assert_int_equal(after.flushes - before.flushes, 50);
    close_log(log);
    disk_free(&disk);
}

static void none_is_one_write_per_closed_group_and_one_flush_per_half_of_w(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log_options options = small_options();
    options.segment_bytes = (uint64_t)64 << 20;
    options.run_ahead_bytes = (uint64_t)8 << 20;
    struct weir_log *log = open_log(&disk, &options);
    struct weir_stat before = WEIR_STAT_INIT, after = WEIR_STAT_INIT;
    weir_log_stat(log, &before);
    uint8_t payload[1000] = {5};
    uint64_t count = 48000; /* about 48 MiB: twelve times half of W */
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    }
    weir_log_stat(log, &after);
    assert_int_equal(after.writes - before.writes, after.groups - before.groups);
    uint64_t halves = (count * 1016) / ((uint64_t)4 << 20);
    assert_true(after.flushes - before.flushes >= halves - 2);
    assert_true(after.flushes - before.flushes <= halves + 2);
    assert_true(after.run_ahead_used <= after.run_ahead_bytes);
    close_log(log);
    disk_free(&disk);
}

static void prepare_makes_segments_ahead(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    assert_int_equal(weir_prepare(log, 5 * SMALL_SEGMENT), 0);
    struct weir_stat stat = WEIR_STAT_INIT;
    weir_log_stat(log, &stat);
    assert_true(stat.spare_segments >= 5);
    struct failing failing = {.call = "create", .error = -ENOSPC};
    inject(log, &failing);
    uint8_t payload[5000] = {9};
    for (int i = 0; i < 200; i++) { /* about four segments */
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    }
    inject(log, NULL);
    close_log(log);
    disk_free(&disk);
}

/* A thread looks at the clock and then waits for the lock, behind others who have looked later. */
struct clocks {
    uint64_t monotonic_ns, realtime_ns;
};

static uint64_t monotonic_of(void *context)
{
    return ((struct clocks *)context)->monotonic_ns;
}

static uint64_t realtime_of(void *context)
{
    return ((struct clocks *)context)->realtime_ns;
}

static uint64_t time_of_append(struct weir_log *log, struct clocks *clocks, uint64_t ms)
{
    clocks->monotonic_ns = (10000 + ms) * BASE_NS_PER_MS;
    append_text(log, "x", WEIR_EACH);
    return log->tail.time_ns;
}

static void a_look_at_the_clock_that_is_old_moves_no_later_time_into_the_future(void **state)
{
    (void)state;
    const uint64_t start_ns = UINT64_C(1700000000) * BASE_NS_PER_S;
    struct clocks clocks = {10 * BASE_NS_PER_S, start_ns};
    struct base_system system = {.context = &clocks,
                                 .monotonic = monotonic_of,
                                 .coarse = monotonic_of,
                                 .realtime = realtime_of};
    struct test_disk disk = disk_new();
    base_system_set(&system);
    struct weir_log *log = open_log(&disk, NULL);
    assert_int_equal(time_of_append(log, &clocks, 0), start_ns);
    clocks.realtime_ns = start_ns + 50 * BASE_NS_PER_MS;
    uint64_t waited_ns = time_of_append(log, &clocks, 0) - start_ns; /* looked 50 ms ago, */
    clocks.monotonic_ns -= BASE_NS_PER_MS;
    append_text(log, "x", WEIR_EACH); /* and 51 */
    clocks.realtime_ns = start_ns + 60 * BASE_NS_PER_MS;
    uint64_t later_ns = time_of_append(log, &clocks, 60) - start_ns;
    base_system_set(NULL);
    close_log(log);
    disk_free(&disk);
    assert_in_range(waited_ns, 0, 50 * BASE_NS_PER_MS);
    assert_int_equal(later_ns, 60 * BASE_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_01_the_first_record_has_lsn_1_and_an_empty_log_has_none),
        cmocka_unit_test(wl_01_lsns_go_on_across_reopens_and_rolls),
        cmocka_unit_test(wl_03_each_is_durable_when_it_returns_and_covers_what_came_before),
        cmocka_unit_test(wl_03_none_is_not_reported_durable_before_a_flush),
        cmocka_unit_test(
            wl_04_a_batch_has_consecutive_lsns_and_one_that_does_not_fit_changes_nothing),
        cmocka_unit_test(wl_05_sizes_of_zero_limit_and_beyond),
        cmocka_unit_test(bad_arguments_are_refused_and_change_nothing),
        cmocka_unit_test(a_custom_medium_is_given_back_whatever_is_refused),
        cmocka_unit_test(a_window_is_frozen_while_others_find_and_roll_segments),
        cmocka_unit_test(wl_12_a_failed_write_poisons_until_close_and_open),
        cmocka_unit_test(wl_12_a_failed_flush_behind_written_groups_poisons),
        cmocka_unit_test(wl_13_a_full_disk_is_met_before_an_append_has_changed_anything),
        cmocka_unit_test(wl_13_a_full_log_opens_again_and_truncation_makes_room),
        cmocka_unit_test(append_allocates_nothing),
        cmocka_unit_test(each_is_one_write_and_one_flush_per_group),
        cmocka_unit_test(none_is_one_write_per_closed_group_and_one_flush_per_half_of_w),
        cmocka_unit_test(the_smallest_run_ahead_gets_across_rolls_of_tiny_records),
        cmocka_unit_test(sizes_that_no_log_can_have_are_found_before_anything_is_made),
        cmocka_unit_test(prepare_makes_segments_ahead),
        cmocka_unit_test(a_look_at_the_clock_that_is_old_moves_no_later_time_into_the_future),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
