/*
 * What the torture tests have found, each thing on its own and in the same way every time.
 */
#include "support.h"

#include "base/sync.h"
#include "base/system.h"
#include "base/thread.h"
#include "wal/log.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 30u

/* ---- a copy and a reservation in one group ---- */

static _Atomic uint32_t copying, leader_sleeps;

static int system_futex(_Atomic uint32_t *word, int operation, uint32_t value,
                        const struct timespec *timeout)
{
    return (int)syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

static void await(_Atomic uint32_t *word)
{
    while (atomic_load(word) == 0) {
        system_futex(word, FUTEX_WAIT, 0, NULL);
    }
}

static void raise_flag(_Atomic uint32_t *word)
{
    atomic_store(word, 1);
    system_futex(word, FUTEX_WAKE, INT32_MAX, NULL);
}

/* Of the leader: whoever copies goes on once it sleeps. */
static int wait_and_tell(void *context, _Atomic uint32_t *word, uint32_t expected,
                         int64_t timeout_ns, bool shared)
{
    (void)context;
    (void)shared;
    struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    raise_flag(&leader_sleeps);
    return system_futex(word, FUTEX_WAIT, expected, timeout_ns < 0 ? NULL : &timeout) < 0 &&
                   errno == ETIMEDOUT
               ? -ETIMEDOUT
               : 0;
}

static void wake(void *context, _Atomic uint32_t *word, int count, bool shared)
{
    (void)context;
    (void)shared;
    system_futex(word, FUTEX_WAKE, (uint32_t)count, NULL);
}

/* Stops the copy of a payload half way. */
static int stop_in_copy(void *context, const char *call, const char *name, uint64_t offset,
                        size_t size)
{
    (void)context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, "copy") == 0) {
        raise_flag(&copying);
        await(&leader_sleeps);
    }
    return 0;
}

static void append_large(void *context)
{
    static const uint8_t payload[4000];
    (void)try_append(context, payload, sizeof payload, WEIR_NONE, NULL);
}

static void wl_16_a_leader_that_sleeps_while_another_thread_copies_is_not_forgotten(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    disk.options.block_bytes = 64;
    disk.options.window_is_file = true;
    disk.options.faults.before = stop_in_copy;
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(log, 1, 8, &reservation), 0);
    static const struct base_system system = {.wait = wait_and_tell, .wake = wake};
    base_system_set(&system);
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, "copy", append_large, log), 0);
    await(&copying);
    memset(reservation.data, 1, 8);
    alarm(PATIENCE_S);
    assert_int_equal(weir_publish(log, &reservation, WEIR_EACH), 0);
    alarm(0);
    base_thread_join(&thread);
    base_system_set(NULL);
    assert_int_equal(weir_commit(log), 0);
    assert_int_equal(count_records(log), 2);
    close_log(log);
    disk_free(&disk);
}

/* ---- strict witnesses on a full disk ---- */

static void wl_13_a_full_disk_does_not_poison_a_log_with_strict_witnesses(void **state)
{
    (void)state;
    static const uint8_t payload[9000];
    for (size_t size = 100; size <= sizeof payload; size += 100) {
        struct test_disk disk = {.options.capacity_bytes = 5 * SMALL_SEGMENT / 2};
        assert_int_equal(sim_memory_open(&disk.options, &disk.keeper), 0);
        disk.options.disk = sim_memory_disk(disk.keeper);
        struct weir_log_options options = small_options();
        options.witness = WEIR_WITNESS_STRICT;
        struct weir_log *log = open_log(&disk, &options);
        weir_lsn lsn = 0;
        int rc;
        while ((rc = try_append(log, payload, size, WEIR_EACH, &lsn)) == 0) {
        }
        assert_int_equal(rc, -ENOSPC);
        assert_int_equal(count_records(log), lsn);
        assert_int_equal(weir_truncate_before(log, lsn + 1, NULL), 0);
        assert_int_equal(try_append(log, payload, size, WEIR_EACH, &lsn), 0);
        close_log(log);
        disk_free(&disk);
    }
}

/* ---- names that power loss reorders ---- */

struct cut {
    struct weir_medium *keeper, *after;
    unsigned at, calls;
};

static bool only_control(void *context, const char *name, uint64_t offset)
{
    (void)context;
    (void)offset;
    return strncmp(name, "CONTROL", 7) == 0;
}

static int cut_at(void *context, const char *call, const char *name, uint64_t offset, size_t size)
{
    (void)call;
    (void)name;
    (void)offset;
    (void)size;
    struct cut *cut = context;
    if (cut->calls++ == cut->at) {
        assert_int_equal(sim_memory_crash(cut->keeper, only_control, NULL, &cut->after), 0);
    }
    return 0;
}

static void a_creation_cut_off_anywhere_never_leaves_control_without_its_segment(void **state)
{
    (void)state;
    for (unsigned at = 0;; at++) {
        struct test_disk disk = disk_new();
        struct cut cut = {.keeper = disk.keeper, .at = at};
        disk.options.faults = (struct sim_memory_faults){cut_at, &cut};
        close_log(open_log(&disk, NULL));
        disk_free(&disk);
        if (cut.after == NULL) {
            break;
        }
        struct test_disk after = {.keeper = cut.after};
        after.options.disk = sim_memory_disk(cut.after);
        struct weir_log *log = open_log(&after, NULL);
        append_text(log, "first", WEIR_EACH);
        close_log(log);
        disk_free(&after);
    }
}

/* ---- a spare that was being made when its writer was killed ---- */

/* Records of a block each until the next one would begin a segment; returns how many they are. */
static unsigned fill_segment(struct test_disk *disk, unsigned most)
{
    struct weir_log *log = open_log(disk, NULL);
    unsigned count = 0;
    while (count < most && log->tail.segment->ordinal == 1) {
        append_text(log, "record", WEIR_EACH);
        count++;
    }
    close_log(log);
    return count - 1; /* the last one rolled, unless `most` was reached */
}

static void wl_14_a_half_made_spare_is_out_of_the_way_when_opening_needs_its_name(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    unsigned count = fill_segment(&disk, UINT32_MAX);
    disk_free(&disk);
    disk = disk_new();
    (void)fill_segment(&disk, count);
    const struct weir_medium_ops *ops = disk.keeper->ops;
    struct weir_file *file;
    assert_int_equal(ops->remove(disk.keeper, "segment-0000000000000002"), 0);
    assert_int_equal(ops->create(disk.keeper, "segment-0000000000000002", SMALL_SEGMENT / 2, &file),
                     0);
    ops->close(file);
    struct weir_log *log = open_log(&disk, NULL);
    assert_int_equal(log->tail.segment->ordinal, 2); /* its epoch group had no room in the first */
    assert_int_equal(append_text(log, "next", WEIR_EACH), count + 1);
    close_log(log);
    disk_free(&disk);
}

/* ---- truncation overtakes a reader process exactly where it stands ---- */

static void cu_03_a_reader_at_the_end_of_a_truncated_segment_goes_on_in_the_next(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    unsigned count = fill_segment(&disk, UINT32_MAX);
    disk_free(&disk);
    disk = disk_new();
    (void)fill_segment(&disk, count);
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_log *reader = open_log(&disk, &options);
    struct weir_cursor *cursor;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(reader, NULL, &cursor), 0);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
    }
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
    struct weir_log *writer = open_log(&disk, NULL); /* seals the first segment */
    weir_lsn lsn = append_text(writer, "next", WEIR_EACH);
    assert_int_equal(weir_truncate_before(writer, lsn, NULL), 0);
    assert_int_equal(weir_cursor_wait(cursor, WEIR_WAIT_FOREVER), 1);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(record.lsn, lsn);
    weir_cursor_close(cursor);
    close_log(reader);
    close_log(writer);
    disk_free(&disk);
}

/* ---- truncation between finding a segment and mapping it ---- */

struct race {
    struct weir_log *log;
    struct base_thread thread;
    _Atomic bool started;
    _Atomic uint32_t opening, removed;
    weir_lsn position; /* of the cursor */
    int rc;
};

static void open_cursor(void *context)
{
    struct race *race = context;
    struct weir_cursor *cursor = NULL;
    race->rc = weir_cursor_open(race->log, NULL, &cursor);
    if (race->rc == 0) {
        race->position = weir_cursor_position(cursor);
        weir_cursor_close(cursor);
    }
}

/* While CONTROL is stored another thread finds the first segment; it opens its file when that has
 * been removed. */
static int order_calls(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)offset;
    (void)size;
    struct race *race = context;
    if (race->log == NULL) {
        return 0;
    }
    if (!race->started && strcmp(call, "sync") == 0 && strcmp(name, "CONTROL") == 0) {
        race->started = true;
        assert_int_equal(base_thread_start(&race->thread, "cursor", open_cursor, race), 0);
        await(&race->opening);
    } else if (strcmp(call, "open") == 0 && strcmp(name, "segment-0000000000000001") == 0) {
        raise_flag(&race->opening);
        await(&race->removed);
    }
    return 0;
}

static void wl_02_a_cursor_opened_while_its_segment_is_truncated_starts_at_the_earliest(
    void **state)
{
    (void)state;
    static const uint8_t payload[6000];
    struct race race = {0};
    struct test_disk disk = disk_new();
    disk.options.faults = (struct sim_memory_faults){order_calls, &race};
    struct weir_log *log = open_log(&disk, NULL);
    for (unsigned i = 0; i < 400; i++) { /* more segments than have windows */
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, NULL), 0);
    }
    race.log = log;
    assert_int_equal(weir_truncate_before(log, 300, NULL), 0);
    raise_flag(&race.removed);
    assert_true(race.started);
    base_thread_join(&race.thread);
    assert_int_equal(race.rc, 0);
    assert_int_equal(race.position, 300);
    close_log(log);
    disk_free(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_16_a_leader_that_sleeps_while_another_thread_copies_is_not_forgotten),
        cmocka_unit_test(wl_13_a_full_disk_does_not_poison_a_log_with_strict_witnesses),
        cmocka_unit_test(wl_14_a_half_made_spare_is_out_of_the_way_when_opening_needs_its_name),
        cmocka_unit_test(cu_03_a_reader_at_the_end_of_a_truncated_segment_goes_on_in_the_next),
        cmocka_unit_test(
            wl_02_a_cursor_opened_while_its_segment_is_truncated_starts_at_the_earliest),
        cmocka_unit_test(a_creation_cut_off_anywhere_never_leaves_control_without_its_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
