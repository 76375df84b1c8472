/*
 * The numbers of a log: each is what it says, also in a struct of another size.
 */
#include "support.h"

#include "base/clock.h"
#include "wal/address.h"
#include "wal/log.h"

#include <errno.h>
#include <string.h>

static struct weir_stat stat_of(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    return stat;
}

static void watermarks_and_counters_follow_what_was_appended(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_stat empty = stat_of(log);
    assert_int_equal(empty.earliest, 0);
    assert_int_equal(empty.latest, 0);
    assert_int_equal(empty.latest_time_ns, 0);
    assert_int_equal(empty.epoch, 1);
    assert_int_equal(empty.segment_bytes, SMALL_SEGMENT);

    uint64_t before_ns = base_clock_realtime_ns();
    append_text(log, "one", WEIR_EACH);
    append_text(log, "three", WEIR_EACH);
    append_text(log, "five", WEIR_NONE);
    struct weir_stat stat = stat_of(log);
    assert_int_equal(stat.earliest, 1);
    assert_int_equal(stat.latest, 2);
    assert_int_equal(stat.durable, 2);
    assert_int_equal(stat.reserved, 3);
    assert_true(stat.run_ahead_used > 0);
    assert_int_equal(stat.appends, 3);
    assert_int_equal(stat.append_bytes, 3 + 5 + 4);
    assert_true(stat.groups >= 2 && stat.writes >= 2 && stat.flushes >= 2);
    assert_true(stat.device_bytes >= 2 * 4096);
    assert_int_equal(stat.segments, 1);
    assert_true(stat.window_bytes >= SMALL_SEGMENT);
    assert_true(stat.heap_bytes > 0);
    assert_true(stat.log_bytes >= 3 * 4096 && stat.log_bytes <= SMALL_SEGMENT);
    assert_true(stat.earliest_time_ns + BASE_NS_PER_S > before_ns);
    assert_true(stat.earliest_time_ns <= stat.latest_time_ns);
    assert_int_equal(stat.poisoned, 0);
    close_log(log);
    disk_free(&disk);
}

/* Three segments may; of them the room for the next one is made early. */
static void windows_take_two_segments_however_long_the_log_and_whoever_reads(void **state)
{
    (void)state;
    for (int pinned = 0; pinned < 2; pinned++) {
        struct test_disk disk = disk_new();
        struct weir_log *log = open_log(&disk, NULL);
        struct wal_segment *pins[8];
        uint64_t most = 0;
        weir_lsn count = 0;
        for (uint64_t segments = 0; segments < 8;) {
            append_text(log, "as many as it takes", ++count % 100 == 0 ? WEIR_EACH : WEIR_NONE);
            struct weir_stat stat = stat_of(log);
            most = stat.window_bytes > most ? stat.window_bytes : most;
            if (stat.segments > segments) {
                segments = stat.segments;
                assert_int_equal(
                    pinned ? wal_address_pin(log, segments, &pins[segments - 1], NULL) : 0, 0);
            }
        }
        assert_int_equal(most, 2 * SMALL_SEGMENT);
        for (unsigned i = 0; pinned && i < 8; i++) {
            wal_address_unpin(log, pins[i]);
        }
        close_log(log);
        disk_free(&disk);
    }
}

static void times_are_those_of_the_records_wherever_they_lie(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    uint8_t payload[2000] = {0};
    for (int i = 0; i < 500; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_GROUP, NULL), 0);
    }
    close_log(log);
    log = open_log(&disk, NULL);
    for (weir_lsn earliest = 1; earliest <= 500; earliest += 83) {
        assert_int_equal(weir_truncate_before(log, earliest, NULL), 0);
        struct weir_stat stat = stat_of(log);
        struct weir_cursor *cursor;
        struct weir_record record;
        assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(record.lsn, earliest);
        assert_int_equal(stat.earliest_time_ns, record.time_ns);
        assert_int_equal(weir_cursor_seek(cursor, 500), 0);
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(stat.latest_time_ns, record.time_ns);
        weir_cursor_close(cursor);
    }
    close_log(log);
    disk_free(&disk);
}

static void wl_16_stat_names_the_oldest_open_reservation_and_its_age(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_reservation first, second;
    append_text(log, "one", WEIR_EACH);
    assert_int_equal(weir_reserve(log, 0, 10, &first), 0);
    assert_int_equal(weir_reserve(log, 0, 10, &second), 0);
    struct weir_stat stat = stat_of(log);
    assert_int_equal(stat.open_reservations, 2);
    assert_int_equal(stat.oldest_reservation, 2);
    uint64_t age_ns = stat.oldest_reservation_age_ns;
    stat = stat_of(log);
    assert_true(stat.oldest_reservation_age_ns >= age_ns);
    assert_int_equal(weir_cancel(log, &first), 0);
    assert_int_equal(stat_of(log).oldest_reservation, 3);
    memset(second.data, 0, second.size);
    assert_int_equal(weir_publish(log, &second, WEIR_NONE), 0);
    assert_int_equal(stat_of(log).oldest_reservation, 0);
    assert_int_equal(stat_of(log).open_reservations, 0);
    close_log(log);
    disk_free(&disk);
}

static void a_struct_of_another_version_is_filled_as_far_as_it_is_known(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "one", WEIR_EACH);

    struct weir_stat shorter;
    memset(&shorter, 0xee, sizeof shorter);
    shorter.size = offsetof(struct weir_stat, reserved);
    assert_int_equal(weir_log_stat(log, &shorter), 0);
    assert_int_equal(shorter.latest, 1);
    assert_int_equal(shorter.size, offsetof(struct weir_stat, reserved));
    assert_int_equal(shorter.reserved, UINT64_C(0xeeeeeeeeeeeeeeee));

    struct {
        struct weir_stat stat;
        uint64_t later;
    } longer = {.stat = {.size = sizeof longer}, .later = 7};
    assert_int_equal(weir_log_stat(log, &longer.stat), 0);
    assert_int_equal(longer.stat.reserved, 1);
    assert_int_equal(longer.later, 7);

    struct weir_stat without_size = {.size = 0};
    struct weir_open_report report = {.size = 0};
    assert_int_equal(weir_log_stat(log, &without_size), -EINVAL);
    assert_int_equal(weir_log_report(log, &report), -EINVAL);
    report.size = sizeof report;
    assert_int_equal(weir_log_report(log, &report), 0);
    assert_true(report.created);
    close_log(log);
    disk_free(&disk);
}

static void the_room_that_is_left_goes_as_segments_are_made(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    uint64_t before = 77, after, room;
    struct weir_log *log = open_log(&disk, NULL);
    assert_int_equal(weir_log_free_bytes(log, &before), -EOPNOTSUPP); /* there is no limit */
    assert_int_equal(before, 77);
    sim_memory_capacity_set(disk.keeper, 100 * SMALL_SEGMENT);
    assert_int_equal(weir_log_free_bytes(log, &before), 0);
    assert_in_range(before, 90 * SMALL_SEGMENT, 100 * SMALL_SEGMENT);
    assert_int_equal(wal_address_room(log, &room), 0);
    assert_int_equal(room, before + stat_of(log).spare_segments * SMALL_SEGMENT);
    uint8_t payload[3000] = {1};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_GROUP, NULL), 0);
    }
    assert_int_equal(weir_log_free_bytes(log, &after), 0);
    assert_true(after + 10 * SMALL_SEGMENT <= before);
    assert_int_equal(wal_address_room(log, &room), 0);
    assert_int_equal(room, after + stat_of(log).spare_segments * SMALL_SEGMENT);
    sim_memory_capacity_set(disk.keeper, SMALL_SEGMENT); /* less than there is */
    assert_int_equal(weir_log_free_bytes(log, &after), 0);
    assert_int_equal(after, 0);
    assert_int_equal(weir_log_free_bytes(log, NULL), -EINVAL);
    close_log(log);
    disk_free(&disk);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watermarks_and_counters_follow_what_was_appended),
        cmocka_unit_test(windows_take_two_segments_however_long_the_log_and_whoever_reads),
        cmocka_unit_test(times_are_those_of_the_records_wherever_they_lie),
        cmocka_unit_test(wl_16_stat_names_the_oldest_open_reservation_and_its_age),
        cmocka_unit_test(the_room_that_is_left_goes_as_segments_are_made),
        cmocka_unit_test(a_struct_of_another_version_is_filled_as_far_as_it_is_known),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
