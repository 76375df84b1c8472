/*
 * Truncation: what is dropped, what is kept, who refuses, and every crash on the way.
 */
#include "support.h"

#include "wal/log.h"
#include "wal/segment_recycle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAYLOAD 3000u

struct fixture {
    struct test_disk disk;
    struct weir_log *log;
    weir_lsn last;
};

static void fill(struct fixture *fixture, int count)
{
    uint8_t payload[PAYLOAD];
    memset(payload, 'p', sizeof payload);
    for (int i = 0; i < count; i++) {
        assert_int_equal(
            try_append(fixture->log, payload, sizeof payload, WEIR_EACH, &fixture->last), 0);
    }
}

/* A segment of 256 KiB holds about 60 records of 3000 bytes, each in a group of 4096. */
static struct fixture log_with_segments(int segments)
{
    struct fixture fixture = {.disk = disk_new()};
    fixture.log = open_log(&fixture.disk, NULL);
    fill(&fixture, segments * 61);
    return fixture;
}

static void finish(struct fixture *fixture)
{
    close_log(fixture->log);
    disk_free(&fixture->disk);
}

static void reopen(struct fixture *fixture)
{
    close_log(fixture->log);
    fixture->log = open_log(&fixture->disk, NULL);
}

static struct weir_stat stat_of(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    return stat;
}

static void expect_range(struct weir_log *log, weir_lsn earliest, weir_lsn latest)
{
    struct weir_stat stat = stat_of(log);
    assert_int_equal(stat.earliest, earliest);
    assert_int_equal(stat.latest, latest);
    assert_int_equal(count_records(log), latest == 0 ? 0 : latest - earliest + 1);
}

struct files {
    unsigned segments;
    uint64_t lowest, highest;
};

static int count_file(void *context, const char *name)
{
    struct files *files = context;
    uint64_t ordinal;
    if (format_segment_ordinal(name, &ordinal)) {
        files->segments++;
        files->lowest = files->lowest == 0 || ordinal < files->lowest ? ordinal : files->lowest;
        files->highest = ordinal > files->highest ? ordinal : files->highest;
    }
    return 0;
}

static struct files files_of(struct fixture *fixture)
{
    struct files files = {0};
    struct weir_medium *medium = fixture->disk.keeper;
    assert_int_equal(medium->ops->list(medium, "", count_file, &files), 0);
    return files;
}

static void truncate_before(struct fixture *fixture, weir_lsn lsn)
{
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_truncate_before(fixture->log, lsn, &why);
    if (rc < 0) {
        print_error("truncate: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
}

static void wl_06_truncation_drops_records_below_keeps_the_lsn_and_survives_a_reopen(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(4);
    for (weir_lsn lsn = 1; lsn <= fixture.last; lsn += 37) {
        truncate_before(&fixture, lsn);
        expect_range(fixture.log, lsn, fixture.last);
        reopen(&fixture);
        expect_range(fixture.log, lsn, fixture.last);
    }
    finish(&fixture);
}

static void wl_06_reading_below_the_earliest_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(2);
    truncate_before(&fixture, 70);
    struct weir_cursor *cursor = NULL;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = 69;
    assert_int_equal(weir_cursor_open(fixture.log, &options, &cursor), WEIR_E_TRUNCATED);
    options.lsn = 70;
    assert_int_equal(weir_cursor_open(fixture.log, &options, &cursor), 0);
    struct weir_record record;
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(record.lsn, 70);
    truncate_before(&fixture, 80);
    assert_int_equal(weir_cursor_next(cursor, &record), WEIR_E_TRUNCATED);
    assert_int_equal(weir_cursor_seek(cursor, 0), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(record.lsn, 80);
    weir_cursor_close(cursor);
    finish(&fixture);
}

static void wl_06_whole_segments_become_spares_or_go(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(6);
    struct files before = files_of(&fixture);
    truncate_before(&fixture, fixture.last);
    struct files after = files_of(&fixture);
    struct weir_stat stat = stat_of(fixture.log);
    assert_true(stat.segments <= 2);
    assert_true(after.segments < before.segments);
    assert_int_equal(after.segments, stat.segments + stat.spare_segments);
    assert_int_equal(stat.spare_segments, 2); /* the one asked for, and one more */
    assert_int_equal(after.highest - after.lowest + 1, after.segments);
    fill(&fixture, 200); /* into the recycled files */
    reopen(&fixture);
    expect_range(fixture.log, fixture.last - 200, fixture.last);
    finish(&fixture);
}

static void wl_01_truncating_everything_leaves_nothing_and_lsns_go_on(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(3);
    weir_lsn last = fixture.last;
    assert_int_equal(weir_truncate_before(fixture.log, last + 2, NULL), -EINVAL);
    truncate_before(&fixture, last + 1);
    expect_range(fixture.log, 0, 0);
    reopen(&fixture);
    expect_range(fixture.log, 0, 0);
    truncate_before(&fixture, last + 1); /* nothing left: fine */
    reopen(&fixture);
    fill(&fixture, 1);
    assert_int_equal(fixture.last, last + 1);
    expect_range(fixture.log, last + 1, last + 1);
    truncate_before(&fixture, last + 2);
    fill(&fixture, 70);
    truncate_before(&fixture, fixture.last + 1);
    reopen(&fixture);
    expect_range(fixture.log, 0, 0);
    assert_int_equal(append_text(fixture.log, "next", WEIR_EACH), fixture.last + 1);
    finish(&fixture);
}

static void truncating_an_empty_log_does_nothing(void **state)
{
    (void)state;
    struct fixture fixture = {.disk = disk_new()};
    fixture.log = open_log(&fixture.disk, NULL);
    uint64_t layout = stat_of(fixture.log).layout;
    truncate_before(&fixture, 0);
    truncate_before(&fixture, 1);
    assert_int_equal(stat_of(fixture.log).layout, layout);
    assert_int_equal(weir_truncate_before(fixture.log, 2, NULL), -EINVAL);
    finish(&fixture);
}

static void the_layout_number_rises_with_each_truncation(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(1);
    uint64_t layout = stat_of(fixture.log).layout;
    truncate_before(&fixture, 5);
    assert_int_equal(stat_of(fixture.log).layout, layout + 1);
    truncate_before(&fixture, 5);
    truncate_before(&fixture, 3); /* back: nothing to drop */
    assert_int_equal(stat_of(fixture.log).layout, layout + 1);
    expect_range(fixture.log, 5, fixture.last);
    reopen(&fixture);
    assert_int_equal(stat_of(fixture.log).layout, layout + 1);
    finish(&fixture);
}

static void wl_06_a_hold_below_refuses_and_is_named(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(2);
    assert_int_equal(weir_hold_set(fixture.log, "slow-consumer", 30), 0);
    assert_int_equal(weir_hold_set(fixture.log, "fast-consumer", 60), 0);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_truncate_before(fixture.log, 31, &why), WEIR_E_HELD);
    assert_non_null(strstr(why.text, "slow-consumer"));
    assert_non_null(strstr(why.text, "30"));
    assert_int_equal(why.from_lsn, 30);
    expect_range(fixture.log, 1, fixture.last);
    truncate_before(&fixture, 30);
    assert_int_equal(weir_hold_drop(fixture.log, "slow-consumer"), 0);
    assert_int_equal(weir_truncate_before(fixture.log, 61, &why), WEIR_E_HELD);
    truncate_before(&fixture, 60);
    expect_range(fixture.log, 60, fixture.last);
    finish(&fixture);
}

static void wl_06_a_segment_under_a_cursor_keeps_its_memory_and_loses_its_file(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(4);
    reopen(&fixture); /* sealed segments are mappings of their files now */
    struct weir_cursor *cursor;
    struct weir_record record;
    struct weir_pin *pin;
    assert_int_equal(weir_cursor_open(fixture.log, NULL, &cursor), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(weir_cursor_pin(cursor, &pin), 0);
    truncate_before(&fixture, fixture.last);
    fill(&fixture, 130); /* would have gone into the recycled file */
    const uint8_t *bytes = record.data;
    for (size_t i = 0; i < record.size; i++) {
        assert_int_equal(bytes[i], 'p');
    }
    assert_int_equal(weir_cursor_next(cursor, &record), WEIR_E_TRUNCATED);
    weir_pin_drop(pin);
    weir_cursor_close(cursor);
    assert_true(files_of(&fixture).lowest > 1);
    finish(&fixture);
}

static void wl_06_truncation_works_on_a_full_disk_and_makes_room(void **state)
{
    (void)state;
    struct fixture fixture = {.disk = {.options = {.capacity_bytes = 6 * SMALL_SEGMENT}}};
    assert_int_equal(sim_memory_open(&fixture.disk.options, &fixture.disk.keeper), 0);
    fixture.disk.options.disk = sim_memory_disk(fixture.disk.keeper);
    fixture.log = open_log(&fixture.disk, NULL);
    uint8_t payload[PAYLOAD] = {0};
    int rc = 0;
    weir_lsn lsn = 0;
    while (rc == 0) {
        fixture.last = lsn;
        rc = try_append(fixture.log, payload, sizeof payload, WEIR_EACH, &lsn);
    }
    assert_int_equal(rc, -ENOSPC);
    expect_range(fixture.log, 1, fixture.last);
    truncate_before(&fixture, fixture.last);
    fill(&fixture, 100);
    reopen(&fixture);
    assert_int_equal(stat_of(fixture.log).latest, fixture.last);
    finish(&fixture);
}

static void wl_11_nothing_stale_comes_back_from_a_recycled_file(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(5);
    for (int round = 0; round < 8; round++) {
        truncate_before(&fixture, fixture.last);
        fill(&fixture, 50);
        /* Power is cut with recycled files of all ages behind the end. */
        struct weir_medium *after;
        assert_int_equal(sim_memory_crash(fixture.log->medium, NULL, NULL, &after), 0);
        struct test_disk disk = {.keeper = after, .options = {.disk = sim_memory_disk(after)}};
        struct weir_log *log = open_log(&disk, NULL);
        expect_range(log, fixture.last - 50, fixture.last);
        close_log(log);
        disk_free(&disk);
    }
    finish(&fixture);
}

/* ---- crashes ---- */

struct cut {
    int steps_left;
};

static int cut_power(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    (void)name;
    (void)offset;
    (void)size;
    static const char *const changing[] = {"write",  "sync",   "create",
                                           "rename", "remove", "sync_directory"};
    struct cut *cut = context;
    bool changes = false;
    for (size_t i = 0; i < sizeof changing / sizeof changing[0]; i++) {
        changes = changes || strcmp(call, changing[i]) == 0;
    }
    return changes && cut->steps_left-- <= 0 ? -EIO : 0;
}

static bool keep_all(void *context, const char *name, uint64_t offset)
{
    (void)context;
    (void)name;
    (void)offset;
    return true;
}

static bool keep_some(void *context, const char *name, uint64_t offset)
{
    uint64_t mixed = *(const uint64_t *)context ^ (offset * UINT64_C(0x9e3779b97f4a7c15));
    for (; *name != '\0'; name++) {
        mixed = (mixed ^ (uint64_t)*name) * UINT64_C(0x100000001b3);
    }
    return (mixed >> 33 & 1) != 0;
}

/* After the crash the log is as before or as after the truncation, takes appends, and has no files
 * left over. */
static void expect_before_or_after(struct weir_medium *medium, weir_lsn before, weir_lsn after,
                                   weir_lsn last)
{
    struct fixture fixture = {.disk = {.keeper = medium}, .last = last};
    fixture.disk.options.disk = sim_memory_disk(medium);
    fixture.log = open_log(&fixture.disk, NULL);
    struct weir_stat stat = stat_of(fixture.log);
    if (stat.earliest != before) {
        assert_int_equal(stat.earliest, after);
    }
    expect_range(fixture.log, stat.earliest, last);
    struct files files = files_of(&fixture);
    assert_int_equal(files.segments, stat.segments + stat.spare_segments);
    assert_int_equal(files.lowest, fixture.log->control.first_ordinal);
    fill(&fixture, 70);
    reopen(&fixture);
    expect_range(fixture.log, stat.earliest, last + 70);
    close_log(fixture.log);
    medium->ops->destroy(medium);
}

static bool truncate_until(int steps, weir_lsn lsn)
{
    struct fixture fixture = log_with_segments(4);
    struct cut cut = {.steps_left = steps};
    struct sim_memory_faults faults = {.before = cut_power, .context = &cut};
    sim_memory_faults_set(fixture.log->medium, &faults);
    int rc = weir_truncate_before(fixture.log, lsn, NULL);
    sim_memory_faults_set(fixture.log->medium, &(struct sim_memory_faults){0});
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct weir_medium *after;
        sim_memory_keep_fn keep = seed == 0 ? NULL : seed == 1 ? keep_all : keep_some;
        assert_int_equal(sim_memory_crash(fixture.log->medium, keep, &seed, &after), 0);
        expect_before_or_after(after, rc == 0 ? lsn : 1, lsn, fixture.last);
    }
    bool whole = rc == 0 && cut.steps_left > 0;
    (void)weir_log_close(fixture.log);
    disk_free(&fixture.disk);
    return !whole;
}

static void wl_06_a_crash_at_any_step_of_a_truncation_is_finished_by_the_next_open(void **state)
{
    (void)state;
    int steps = 0;
    while (truncate_until(steps, 200)) {
        steps++;
    }
    assert_true(steps >= 10); /* CONTROL: 4; recycling: 4 a file; removing: 1 a file */
}

static int fail_sync_of_control(void *context, const char *call, const char *name, uint64_t offset,
                                size_t size)
{
    (void)context;
    (void)offset;
    (void)size;
    return strcmp(call, "sync") == 0 && strcmp(name, "CONTROL") == 0 ? -EIO : 0;
}

static void a_truncation_that_cannot_store_control_poisons_the_log(void **state)
{
    (void)state;
    struct fixture fixture = log_with_segments(1);
    struct sim_memory_faults faults = {.before = fail_sync_of_control};
    sim_memory_faults_set(fixture.log->medium, &faults);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_truncate_before(fixture.log, 20, &why), -EIO);
    sim_memory_faults_set(fixture.log->medium, &(struct sim_memory_faults){0});
    assert_int_equal(try_append(fixture.log, "x", 1, WEIR_EACH, NULL), WEIR_E_POISONED);
    assert_int_equal(weir_truncate_before(fixture.log, 20, &why), WEIR_E_POISONED);
    assert_int_equal(count_records(fixture.log), fixture.last); /* readers keep what they had */
    assert_int_equal(weir_log_close(fixture.log), WEIR_E_POISONED);
    fixture.log = open_log(&fixture.disk, NULL);
    fill(&fixture, 1);
    finish(&fixture);
}

static void wl_06_the_epoch_before_the_truncation_may_fill_all_that_is_retained(void **state)
{
    (void)state;
    /* Reopen at every distance from the end of a segment: the witness must stay behind the epoch
     * that is in force, also when all records are dropped. */
    struct fixture fixture = {.disk = disk_new()};
    fixture.log = open_log(&fixture.disk, NULL);
    for (int round = 0; round < 70; round++) {
        fill(&fixture, 1);
        reopen(&fixture);
        truncate_before(&fixture, fixture.last + 1);
        if (round % 3 == 0) {
            reopen(&fixture);
        }
        struct weir_medium *after;
        assert_int_equal(sim_memory_crash(fixture.log->medium, NULL, NULL, &after), 0);
        struct test_disk disk = {.keeper = after, .options = {.disk = sim_memory_disk(after)}};
        struct weir_log *log = open_log(&disk, NULL);
        assert_int_equal(append_text(log, "next", WEIR_EACH), fixture.last + 1);
        close_log(log);
        disk_free(&disk);
    }
    finish(&fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_06_truncation_drops_records_below_keeps_the_lsn_and_survives_a_reopen),
        cmocka_unit_test(wl_06_reading_below_the_earliest_is_an_error_that_names_it),
        cmocka_unit_test(wl_06_whole_segments_become_spares_or_go),
        cmocka_unit_test(wl_01_truncating_everything_leaves_nothing_and_lsns_go_on),
        cmocka_unit_test(truncating_an_empty_log_does_nothing),
        cmocka_unit_test(the_layout_number_rises_with_each_truncation),
        cmocka_unit_test(wl_06_a_hold_below_refuses_and_is_named),
        cmocka_unit_test(wl_06_a_segment_under_a_cursor_keeps_its_memory_and_loses_its_file),
        cmocka_unit_test(wl_06_truncation_works_on_a_full_disk_and_makes_room),
        cmocka_unit_test(wl_11_nothing_stale_comes_back_from_a_recycled_file),
        cmocka_unit_test(wl_06_a_crash_at_any_step_of_a_truncation_is_finished_by_the_next_open),
        cmocka_unit_test(a_truncation_that_cannot_store_control_poisons_the_log),
        cmocka_unit_test(wl_06_the_epoch_before_the_truncation_may_fill_all_that_is_retained),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
