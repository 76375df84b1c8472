/*
 * Write-through: where the medium says so, an append that is alone makes its own group durable; and
 * goes the ordinary way whenever anything of others is not durable yet.
 */
#include "support.h"

#include "base/system.h"
#include "base/thread.h"
#include "wal/commit.h"
#include "wal/write_through.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static struct test_disk pmem_disk(void)
{
    struct test_disk disk = disk_new();
    disk.options.block_bytes = 64;
    disk.options.window_is_file = true;
    return disk;
}

/* How often the log has called the medium. */
struct calls {
    int copy, clean, persist;
    size_t copied;
};

static int count_call(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    struct calls *calls = context;
    (void)name, (void)offset;
    calls->copy += strcmp(call, "copy") == 0 ? 1 : 0;
    calls->copied += strcmp(call, "copy") == 0 ? size : 0;
    calls->clean += strcmp(call, "clean") == 0 ? 1 : 0;
    calls->persist += strcmp(call, "persist") == 0 ? 1 : 0;
    return 0;
}

static void watch(struct weir_log *log, struct calls *calls)
{
    *calls = (struct calls){0};
    struct sim_memory_faults faults = {count_call, calls};
    sim_memory_faults_set(log->medium, &faults);
}

static void expect_through(const struct calls *calls, int groups)
{
    assert_int_equal(calls->copy, groups);
    assert_int_equal(calls->clean + calls->persist, 0);
}

static void expect_ordinary(const struct calls *calls)
{
    assert_int_equal(calls->copy, 0);
    assert_true(calls->clean > 0 && calls->persist > 0);
}

static bool lose(void *context, const char *name, uint64_t offset)
{
    (void)context, (void)name, (void)offset;
    return false;
}

/* What a power cut right now leaves, as the next writer finds it. */
static void expect_after_power_cut(struct weir_log *log, const char *const *texts, size_t count)
{
    struct weir_medium *after;
    assert_int_equal(sim_memory_crash(log->medium, lose, NULL, &after), 0);
    struct weir_log_options options = small_options();
    options.medium = WEIR_MEDIUM_CUSTOM;
    options.custom_medium = after;
    struct weir_log *reopened;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_log_open("", &options, &reopened, &why), 0);
    expect_texts(reopened, 1, texts, count);
    close_log(reopened);
}

static void an_append_that_is_alone_is_one_copy_and_durable(void **state)
{
    (void)state;
    static const char *const texts[] = {"first", "second", "third"};
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, texts[0], WEIR_EACH); /* brings epoch and header of the segment */
    struct weir_stat before = WEIR_STAT_INIT, after = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &before), 0);
    struct calls calls;
    watch(log, &calls);
    assert_int_equal(append_text(log, texts[1], WEIR_EACH), 2);
    assert_int_equal(weir_durable_lsn(log), 2);
    assert_int_equal(append_text(log, texts[2], WEIR_EACH), 3);
    expect_through(&calls, 2);
    assert_int_equal(calls.copied, 2 * 128);
    assert_int_equal(weir_durable_lsn(log), 3);
    assert_int_equal(weir_log_stat(log, &after), 0);
    assert_int_equal(after.reserved, 3);
    assert_int_equal(after.run_ahead_used, 0);
    assert_int_equal(after.appends - before.appends, 2);
    assert_int_equal(after.append_bytes - before.append_bytes, 6 + 5);
    assert_int_equal(after.groups - before.groups, 2);
    assert_int_equal(after.flushes - before.flushes, 2);
    assert_int_equal(after.device_bytes - before.device_bytes, 2 * 128);
    expect_texts(log, 1, texts, 3);
    expect_after_power_cut(log, texts, 3);
    close_log(log);
    disk_free(&disk);
}

static void large_records_and_other_durabilities_go_the_ordinary_way(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "first", WEIR_EACH);
    static uint8_t payload[2304];
    struct calls calls;
    watch(log, &calls);
    assert_int_equal(try_append(log, payload, 2304 - 64 - 16, WEIR_EACH, NULL), 0);
    expect_through(&calls, 1);
    watch(log, &calls);
    assert_int_equal(try_append(log, payload, 2304 - 64 - 16 + 1, WEIR_EACH, NULL), 0);
    assert_true(calls.persist > 0);
    watch(log, &calls);
    append_text(log, "group", WEIR_GROUP);
    expect_ordinary(&calls);
    assert_int_equal(count_records(log), 4);
    close_log(log);
    disk_free(&disk);
}

/* Padded to blocks that do not divide the buffer, a group would not fit it. */
static void it_serves_blocks_that_divide_its_buffer(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    uint32_t block_bytes = log->limits.block_bytes;
    assert_true(write_through_limit(log) > 0);
    log->limits.block_bytes = 512;
    log->medium->info.block_bytes = 512;
    assert_int_equal(write_through_limit(log), 0);
    log->limits.block_bytes = block_bytes;
    log->medium->info.block_bytes = block_bytes;
    close_log(log);
    disk_free(&disk);
}

static void a_strict_witness_has_to_follow_so_it_goes_the_ordinary_way(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log_options options = small_options();
    options.witness = WEIR_WITNESS_STRICT;
    struct weir_log *log = open_log(&disk, &options);
    append_text(log, "first", WEIR_EACH);
    struct calls calls;
    watch(log, &calls);
    append_text(log, "second", WEIR_EACH);
    expect_ordinary(&calls);
    close_log(log);
    disk_free(&disk);
}

static void records_that_wait_go_first(void **state)
{
    (void)state;
    static const char *const texts[] = {"first", "waits", "behind", "alone"};
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, texts[0], WEIR_EACH);
    append_text(log, texts[1], WEIR_NONE);
    struct calls calls;
    watch(log, &calls);
    assert_int_equal(append_text(log, texts[2], WEIR_EACH), 3);
    expect_ordinary(&calls);
    watch(log, &calls);
    assert_int_equal(append_text(log, texts[3], WEIR_EACH), 4);
    expect_through(&calls, 1);
    expect_texts(log, 1, texts, 4);
    expect_after_power_cut(log, texts, 4);
    close_log(log);
    disk_free(&disk);
}

struct publisher {
    struct weir_log *log;
    struct weir_reservation *reservation;
};

static void publish(void *context)
{
    struct publisher *publisher = context;
    /* Once the append below has reserved: it is in the group of the reservation. */
    while (atomic_load(&publisher->log->marks.reserved) < 3) {
        base_yield();
    }
    (void)weir_publish(publisher->log, publisher->reservation, WEIR_NONE);
}

static void an_open_reservation_of_another_thread_holds_up_those_behind_it(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "first", WEIR_EACH);
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(log, 0, 8, &reservation), 0);
    memset(reservation.data, 'r', 8);
    /* This thread's own would be a deadlock: the slot is made another one's. */
    log->reservations.slots[reservation.slot].thread = 1;
    struct publisher publisher = {log, &reservation};
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, "publish", publish, &publisher), 0);
    assert_int_equal(append_text(log, "behind", WEIR_EACH), 3);
    base_thread_join(&thread);
    static const char *const texts[] = {"first", "rrrrrrrr", "behind"};
    expect_texts(log, 1, texts, 3);
    close_log(log);
    disk_free(&disk);
}

static int yields;

static void lead_until_yielded(void *context)
{
    if (yields++ == 0) {
        leader_leave(context);
    }
}

static void beside_a_leader_it_waits_for_that_one(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "first", WEIR_EACH);
    assert_true(leader_try(log));
    struct calls calls;
    watch(log, &calls);
    yields = 0;
    struct base_system system = {.context = log, .yield = lead_until_yielded};
    base_system_set(&system);
    weir_lsn lsn;
    int rc = try_append(log, "second", 6, WEIR_EACH, &lsn);
    base_system_set(NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(lsn, 2);
    assert_true(yields > 0);
    expect_ordinary(&calls);
    assert_int_equal(atomic_load(&log->commit.leading), 0);
    close_log(log);
    disk_free(&disk);
}

static void segments_roll_and_their_seals_say_what_they_hold(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log_options options = small_options();
    options.segment_bytes = WEIR_SEGMENT_BYTES_MIN;
    struct weir_log *log = open_log(&disk, &options);
    struct calls calls;
    watch(log, &calls);
    uint8_t payload[512];
    for (uint64_t number = 1; number <= 1500; number++) {
        size_t size = numbered_payload(number, payload, 200);
        assert_int_equal(try_append(log, payload, size, WEIR_EACH, NULL), 0);
        assert_int_equal(weir_durable_lsn(log), number);
    }
    sim_memory_faults_set(log->medium, &(struct sim_memory_faults){0});
    assert_in_range(calls.copy, 1450,
                    1499); /* all but the first of each segment, and their seals */
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_true(stat.segments >= 3);
    assert_int_equal(count_records(log), 1500);
    close_log(log);
    log = open_log(&disk, &options);
    assert_int_equal(count_records(log), 1500);
    struct weir_cursor_options from = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(log, &from, &cursor), 0);
    for (weir_lsn lsn = 1; lsn <= 1500; lsn += 37) { /* by the directories */
        size_t size = numbered_payload(lsn, payload, 200);
        assert_int_equal(weir_cursor_seek(cursor, lsn), 0);
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(record.lsn, lsn);
        assert_int_equal(record.size, size);
        assert_memory_equal(record.data, payload, size);
    }
    weir_cursor_close(cursor);
    close_log(log);
    disk_free(&disk);
}

static void descriptors_and_cursors_hear_of_it(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "first", WEIR_EACH);
    struct weir_cursor *cursor;
    struct weir_record record;
    int cursor_fd, log_fd;
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
    assert_int_equal(weir_cursor_eventfd(cursor, &cursor_fd), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
    assert_int_equal(weir_eventfd(log, &log_fd), 0);
    assert_true(weir_process(log, NULL) >= 0);
    struct calls calls;
    watch(log, &calls);
    append_text(log, "second", WEIR_EACH);
    assert_int_equal(calls.copy, 1);
    struct pollfd fds[] = {{.fd = cursor_fd, .events = POLLIN}, {.fd = log_fd, .events = POLLIN}};
    assert_int_equal(poll(fds, 2, 0), 2);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(record.lsn, 2);
    weir_cursor_close(cursor);
    close_log(log);
    disk_free(&disk);
}

static void count_windows(struct test_disk disk, uint64_t expected)
{
    struct weir_log *log = open_log(&disk, NULL);
    assert_int_equal(weir_prepare(log, 6 * SMALL_SEGMENT), 0);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_int_equal(stat.window_bytes, expected * SMALL_SEGMENT);
    close_log(log);
    disk_free(&disk);
}

/* They take no memory there, and mapping one costs as much as many appends. */
static void what_was_prepared_is_mapped_where_windows_are_the_medium(void **state)
{
    (void)state;
    count_windows(disk_new(), 3);
    count_windows(pmem_disk(), 7);
}

static void a_poisoned_log_takes_no_more(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "first", WEIR_EACH);
    log_poison(log, -EIO);
    struct calls calls;
    watch(log, &calls);
    assert_int_equal(try_append(log, "second", 6, WEIR_EACH, NULL), WEIR_E_POISONED);
    assert_int_equal(calls.copy + calls.persist, 0);
    assert_int_equal(weir_durable_lsn(log), 1);
    assert_int_equal(weir_log_close(log), WEIR_E_POISONED);
    disk_free(&disk);
}

/* ---- several writers ---- */

#define WRITERS 4
#define EACH_APPENDS 3000

struct writer {
    struct weir_log *log;
    struct base_thread thread;
    uint64_t index;
    int rc;
    bool fell_behind; /* an append returned before it was durable, or LSNs went back */
};

static void append_many(void *context)
{
    struct writer *self = context;
    weir_lsn before = 0;
    for (uint64_t i = 0; i < EACH_APPENDS && self->rc == 0; i++) {
        uint64_t payload[4] = {self->index, i, ~i, self->index};
        bool each = i % 16 != 15; /* others leave groups open on the way */
        weir_lsn lsn = 0;
        struct weir_part part = {payload, sizeof payload};
        struct weir_entry entry = {.parts = &part, .part_count = 1};
        self->rc = weir_append(self->log, &entry, each ? WEIR_EACH : WEIR_NONE, &lsn);
        self->fell_behind =
            self->fell_behind || lsn <= before || (each && weir_durable_lsn(self->log) < lsn);
        before = lsn;
    }
}

static void writers_take_turns_and_nothing_is_lost(void **state)
{
    (void)state;
    struct test_disk disk = pmem_disk();
    struct weir_log *log = open_log(&disk, NULL);
    struct writer writers[WRITERS] = {0};
    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.log = log, .index = i};
        assert_int_equal(base_thread_start(&writers[i].thread, "append", append_many, &writers[i]),
                         0);
    }
    for (int i = 0; i < WRITERS; i++) {
        base_thread_join(&writers[i].thread);
        assert_int_equal(writers[i].rc, 0);
        assert_false(writers[i].fell_behind);
    }
    close_log(log);
    log = open_log(&disk, NULL);
    struct weir_cursor *cursor;
    struct weir_record record;
    uint64_t next[WRITERS] = {0};
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    while (weir_cursor_next(cursor, &record) == 1) { /* each writer's in its own order */
        uint64_t payload[4];
        assert_int_equal(record.size, sizeof payload);
        memcpy(payload, record.data, sizeof payload);
        assert_in_range(payload[0], 0, WRITERS - 1);
        assert_int_equal(payload[1], next[payload[0]]++);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(next[i], EACH_APPENDS);
    }
    weir_cursor_close(cursor);
    close_log(log);
    disk_free(&disk);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_that_is_alone_is_one_copy_and_durable),
        cmocka_unit_test(large_records_and_other_durabilities_go_the_ordinary_way),
        cmocka_unit_test(it_serves_blocks_that_divide_its_buffer),
        cmocka_unit_test(a_strict_witness_has_to_follow_so_it_goes_the_ordinary_way),
        cmocka_unit_test(records_that_wait_go_first),
        cmocka_unit_test(an_open_reservation_of_another_thread_holds_up_those_behind_it),
        cmocka_unit_test(beside_a_leader_it_waits_for_that_one),
        cmocka_unit_test(segments_roll_and_their_seals_say_what_they_hold),
        cmocka_unit_test(descriptors_and_cursors_hear_of_it),
        cmocka_unit_test(what_was_prepared_is_mapped_where_windows_are_the_medium),
        cmocka_unit_test(a_poisoned_log_takes_no_more),
        cmocka_unit_test(writers_take_turns_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
