/*
 * Compaction: what goes, what stays, who is told, who is in the way, and what a second handle sees.
 */
#include "compact_support.h"

#include "wal/log.h"

#include <errno.h>
#include <string.h>

#define SIZE 1500u

struct fixture {
    struct test_disk disk;
    struct weir_log *log;
    struct story *story;
};

static struct fixture new_log(void)
{
    struct fixture fixture = {.disk = disk_new(), .story = story_new()};
    fixture.log = open_log(&fixture.disk, NULL);
    return fixture;
}

/* Ten keys, over and over. */
static struct fixture log_with_garbage(unsigned segments)
{
    struct fixture fixture = new_log();
    story_fill(fixture.story, fixture.log, 10, SIZE, segments);
    (void)story_expect(fixture.story, fixture.log);
    return fixture;
}

static void finish(struct fixture *fixture)
{
    close_log(fixture->log);
    story_free(fixture->story);
    disk_free(&fixture->disk);
}

static void reopen(struct fixture *fixture)
{
    struct weir_log_options options = small_options();
    options.verify = WEIR_VERIFY_ALL;
    close_log(fixture->log);
    fixture->log = open_log(&fixture->disk, &options);
}

static struct weir_stat stat_of(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    return stat;
}

struct files {
    unsigned ordinary, compacted, reserves;
};

static int count_file(void *context, const char *name)
{
    struct files *files = context;
    uint64_t ordinal;
    if (format_segment_ordinal(name, &ordinal)) {
        files->compacted += format_is_compacted(ordinal) ? 1 : 0;
        files->ordinary += format_is_compacted(ordinal) ? 0 : 1;
    }
    files->reserves += strcmp(name, FORMAT_COMPACT_SPARE_NAME) == 0 ? 1 : 0;
    return 0;
}

static struct files files_of(struct fixture *fixture)
{
    struct files files = {0};
    struct weir_medium *medium = fixture->disk.keeper;
    assert_int_equal(medium->ops->list(medium, "", count_file, &files), 0);
    return files;
}

static void expect_verified(struct fixture *fixture)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct weir_medium *medium;
    struct sim_memory_options shape = fixture->disk.options;
    shape.read_only = true;
    assert_int_equal(sim_memory_open(&shape, &medium), 0);
    options.medium = WEIR_MEDIUM_CUSTOM;
    options.custom_medium = medium;
    assert_int_equal(weir_verify("memory", &options, NULL, NULL, &report, NULL), 0);
    assert_true(report.ok);
    assert_int_equal(report.findings, 0);
}

static void cd_10_a_run_of_segments_becomes_one_and_one_version_of_each_key_stays(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(6);
    weir_lsn horizon = fixture.story->last;
    struct weir_stat before = stat_of(fixture.log);
    uint64_t all = story_expect(fixture.story, fixture.log);
    struct wal_address_compaction_report report =
        story_compact(fixture.story, fixture.log, horizon);
    struct weir_stat after = stat_of(fixture.log);
    assert_int_equal(report.steps, 1);
    assert_int_equal(report.segments_in, before.segments - 3);
    assert_int_equal(report.segments_out, 1);
    assert_true(report.bytes_out < report.bytes_in / 4);
    assert_int_equal(after.segments, before.segments - report.segments_in + 1);
    assert_int_equal(after.compacted_segments, 1);
    assert_int_equal(after.horizon, horizon);
    assert_int_equal(after.layout, before.layout + 1);
    assert_true(after.log_bytes < before.log_bytes);
    assert_int_equal(story_expect(fixture.story, fixture.log), all - report.records_dropped);
    assert_int_equal(fixture.story->moved, report.records_kept);
    story_expect_addresses(fixture.story, fixture.log);
    expect_verified(&fixture);
    finish(&fixture);
}

static void cd_11_it_survives_a_reopen_and_goes_on(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(6);
    story_compact(fixture.story, fixture.log, fixture.story->last);
    for (int round = 0; round < 3; round++) {
        reopen(&fixture);
        assert_int_equal(stat_of(fixture.log).horizon, fixture.story->horizon);
        (void)story_expect(fixture.story, fixture.log);
        story_expect_addresses(fixture.story, fixture.log);
        story_fill(fixture.story, fixture.log, 10, SIZE, 2);
        (void)story_expect(fixture.story, fixture.log);
        expect_verified(&fixture);
    }
    finish(&fixture);
}

static void cd_11_a_second_compaction_takes_the_first_ones_segment_along(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(6);
    for (int round = 0; round < 4; round++) {
        struct wal_address_compaction_report report =
            story_compact(fixture.story, fixture.log, fixture.story->last);
        assert_int_equal(report.steps, 1);
        assert_int_equal(stat_of(fixture.log).compacted_segments, 1);
        (void)story_expect(fixture.story, fixture.log);
        story_expect_addresses(fixture.story, fixture.log);
        assert_int_equal(files_of(&fixture).compacted, 1);
        assert_int_equal(files_of(&fixture).reserves, 1);
        reopen(&fixture);
        (void)story_expect(fixture.story, fixture.log);
        story_fill(fixture.story, fixture.log, 10, SIZE, 4);
    }
    finish(&fixture);
}

static void cd_10_full_segments_with_little_to_drop_are_left_alone(void **state)
{
    (void)state;
    struct fixture fixture = new_log();
    for (int i = 0; i < 900; i++) {
        story_application(fixture.story, fixture.log, SIZE);
    }
    uint64_t layout = stat_of(fixture.log).layout;
    struct wal_address_compaction_report report =
        story_compact(fixture.story, fixture.log, fixture.story->last);
    assert_true(report.steps > 0); /* groups of 4096 with 1500 bytes: padding goes */
    assert_int_equal(report.records_dropped, 0);
    assert_int_equal(story_expect(fixture.story, fixture.log), 900);
    report = story_compact(fixture.story, fixture.log, fixture.story->last);
    assert_int_equal(report.steps, 0);
    assert_true(stat_of(fixture.log).layout > layout);
    finish(&fixture);
}

static void cd_12_deletes_go_with_what_they_hide_and_not_before(void **state)
{
    (void)state;
    struct fixture fixture = new_log();
    /* A first segment that is full of what is needed, but for one old version of key 63. */
    story_put(fixture.story, fixture.log, 63, SIZE);
    while (stat_of(fixture.log).segments < 2) {
        story_application(fixture.story, fixture.log, 4000);
    }
    story_delete(fixture.story, fixture.log, 63);
    weir_lsn deleted = fixture.story->last;
    for (int i = 0; i < 8; i++) { /* what follows does not fit in with the first */
        story_application(fixture.story, fixture.log, 4000);
    }
    story_fill(fixture.story, fixture.log, 10, 3900, 6);
    struct wal_address_compaction_report report =
        story_compact(fixture.story, fixture.log, fixture.story->last);
    assert_true(report.steps > 0);
    (void)story_expect(fixture.story, fixture.log); /* key 63 is not back */
    uint64_t address, time_ns;
    assert_int_equal(wal_address_find(fixture.log, deleted, &address, &time_ns), 0);

    struct wal_address_compaction thorough = story_compaction(fixture.story, fixture.story->last);
    thorough.thorough = true;
    assert_int_equal(wal_address_compact(fixture.log, &thorough, &report, NULL), 0);
    fixture.story->horizon = fixture.story->last;
    (void)story_expect(fixture.story, fixture.log);
    assert_int_equal(wal_address_find(fixture.log, deleted, &address, &time_ns), -ENOENT);
    assert_int_equal(wal_address_find(fixture.log, 1, &address, &time_ns), -ENOENT);
    finish(&fixture);
}

static void wl_02_below_the_horizon_only_the_compacted_view_is_shown(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(6);
    weir_lsn horizon = fixture.story->last - 100;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor, *early;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(fixture.log, NULL, &early), 0);
    assert_int_equal(weir_cursor_next(early, &record), 1);
    story_compact(fixture.story, fixture.log, horizon);
    assert_int_equal(weir_cursor_next(early, &record), WEIR_E_HORIZON);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_cursor_error(early, &why), 0);
    assert_int_equal(why.from_lsn, 2);
    assert_int_equal(why.to_lsn, horizon);
    assert_int_equal(weir_cursor_seek(early, horizon + 1), 0);
    assert_int_equal(weir_cursor_next(early, &record), 1);
    assert_int_equal(record.lsn, horizon + 1);
    weir_cursor_close(early);

    assert_int_equal(weir_cursor_open(fixture.log, NULL, &cursor), WEIR_E_HORIZON);
    options.from = WEIR_FROM_LSN;
    options.lsn = horizon;
    assert_int_equal(weir_cursor_open(fixture.log, &options, &cursor), WEIR_E_HORIZON);
    options.lsn = horizon + 1;
    assert_int_equal(weir_cursor_open(fixture.log, &options, &cursor), 0);
    weir_lsn next = horizon + 1;
    while (weir_cursor_next(cursor, &record) == 1) {
        assert_int_equal(record.lsn, next++);
    }
    assert_int_equal(next, fixture.story->last + 1);
    weir_cursor_close(cursor);
    finish(&fixture);
}

/* The first record at or behind every LSN is found, by seek and by time. */
static void wl_02_a_seek_to_an_lsn_that_is_gone_finds_the_next_one(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(6);
    story_compact(fixture.story, fixture.log, fixture.story->last);
    reopen(&fixture);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.compacted = true;
    struct weir_cursor *cursor;
    struct weir_record record;
    static weir_lsn next_of[STORY_RECORDS_MAX];
    weir_lsn from = 1;
    assert_int_equal(weir_cursor_open(fixture.log, &options, &cursor), 0);
    while (weir_cursor_next(cursor, &record) == 1) {
        for (; from <= record.lsn; from++) {
            next_of[from] = record.lsn;
        }
    }
    for (weir_lsn lsn = 1; lsn <= fixture.story->last; lsn++) {
        assert_int_equal(weir_cursor_seek(cursor, lsn), 0);
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(record.lsn, next_of[lsn]);
        uint64_t address, time_ns;
        int rc = wal_address_find(fixture.log, lsn, &address, &time_ns);
        assert_int_equal(rc, next_of[lsn] == lsn ? 0 : -ENOENT);
        assert_int_equal(weir_cursor_seek_time(cursor, record.time_ns), 0);
        weir_lsn found = record.lsn;
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_true(record.lsn <= found);
        assert_int_equal(record.time_ns, fixture.story->records[found].time_ns);
    }
    weir_cursor_close(cursor);
    weir_lsn starts[8];
    int count = weir_cursor_split(fixture.log, 0, 0, 8, starts);
    assert_true(count > 1);
    for (int i = 1; i < count; i++) {
        assert_true(starts[i] > starts[i - 1]);
    }
    finish(&fixture);
}

static void wl_06_a_hold_keeps_the_horizon_below_it(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(6);
    weir_lsn floor = fixture.story->last - 50;
    struct wal_address_compaction_report report;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_hold_set(fixture.log, "consumer", floor), 0);
    assert_int_equal(weir_hold_set(fixture.log, "engine", 1), 0);
    struct wal_address_compaction compaction = story_compaction(fixture.story, floor);
    assert_int_equal(wal_address_compact(fixture.log, &compaction, &report, &why), WEIR_E_HELD);
    assert_non_null(strstr(why.text, "consumer"));
    assert_int_equal(stat_of(fixture.log).horizon, 0);
    story_compact(fixture.story, fixture.log, floor - 1);
    assert_int_equal(stat_of(fixture.log).horizon, floor - 1);
    (void)story_expect(fixture.story, fixture.log);
    finish(&fixture);
}

/* Between the look at the holds and the switch. */
static int set_hold(void *context, uint64_t bytes, uint64_t all_bytes)
{
    struct fixture *fixture = context;
    (void)bytes;
    (void)all_bytes;
    assert_int_equal(weir_hold_set(fixture->log, "late", 40), 0);
    return 0;
}

static int keep_all(void *context, const struct weir_record *record, uint64_t address)
{
    (void)context;
    (void)record;
    (void)address;
    return WAL_ADDRESS_KEEP;
}

static void wl_06_a_hold_that_is_set_meanwhile_is_in_time(void **state)
{
    (void)state;
    struct fixture fixture = new_log();
    story_fill(fixture.story, fixture.log, 10, SIZE, 20); /* more than a MiB to look at */
    struct wal_address_compaction compaction = {.horizon = fixture.story->last,
                                                .keep = keep_all,
                                                .throttle = set_hold,
                                                .context = &fixture};
    struct wal_address_compaction_report report;
    assert_int_equal(wal_address_compact(fixture.log, &compaction, &report, NULL), WEIR_E_HELD);
    assert_int_equal(report.steps, 0);
    assert_int_equal(stat_of(fixture.log).horizon, 0);
    assert_int_equal(files_of(&fixture).compacted, 0);
    (void)story_expect(fixture.story, fixture.log);
    finish(&fixture);
}

static void wl_06_truncation_goes_over_compacted_segments(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(8);
    story_compact(fixture.story, fixture.log, fixture.story->last - 200);
    story_fill(fixture.story, fixture.log, 10, SIZE, 3);
    struct weir_error why = WEIR_ERROR_INIT;
    for (weir_lsn lsn = 20; lsn < fixture.story->last; lsn += 97) {
        assert_int_equal(weir_truncate_before(fixture.log, lsn, &why), 0);
        fixture.story->first = lsn;
        (void)story_expect(fixture.story, fixture.log);
        reopen(&fixture);
        (void)story_expect(fixture.story, fixture.log);
        expect_verified(&fixture);
    }
    assert_int_equal(stat_of(fixture.log).compacted_segments, 0);
    assert_int_equal(files_of(&fixture).compacted, 0);
    story_fill(fixture.story, fixture.log, 10, SIZE, 4);
    story_compact(fixture.story, fixture.log, fixture.story->last);
    (void)story_expect(fixture.story, fixture.log);
    finish(&fixture);
}

static void wl_13_compaction_works_on_a_full_disk_and_makes_room(void **state)
{
    (void)state;
    struct fixture fixture = {.disk = {.options = {.capacity_bytes = 9 * SMALL_SEGMENT}},
                              .story = story_new()};
    assert_int_equal(sim_memory_open(&fixture.disk.options, &fixture.disk.keeper), 0);
    fixture.disk.options.disk = sim_memory_disk(fixture.disk.keeper);
    fixture.log = open_log(&fixture.disk, NULL);
    assert_int_equal(wal_address_compact_reserve(fixture.log), 0);
    for (int round = 0; round < 3; round++) {
        int rc = 0;
        for (uint32_t i = 0; rc == 0; i++) {
            rc = story_try(fixture.story, fixture.log, STORY_PUT, i % 10, SIZE);
        }
        assert_int_equal(rc, -ENOSPC);
        struct wal_address_compaction_report report =
            story_compact(fixture.story, fixture.log, fixture.story->last);
        assert_int_equal(report.steps, 1);
        (void)story_expect(fixture.story, fixture.log);
        story_put(fixture.story, fixture.log, 1, SIZE);
        reopen(&fixture);
        (void)story_expect(fixture.story, fixture.log);
    }
    finish(&fixture);
}

static void a_step_that_is_stopped_has_not_happened(void **state)
{
    (void)state;
    struct fixture fixture = new_log();
    story_fill(fixture.story, fixture.log, 10, 4000, 12);
    uint64_t all = story_expect(fixture.story, fixture.log);
    struct wal_address_compaction compaction = story_compaction(fixture.story, fixture.story->last);
    struct wal_address_compaction_report report;
    for (uint64_t stop = 1; stop < 12; stop++) {
        fixture.story->stop_at_bytes = stop << 20;
        int rc = wal_address_compact(fixture.log, &compaction, &report, NULL);
        if (rc == 0) {
            break;
        }
        assert_int_equal(rc, -ECANCELED);
        assert_int_equal(report.steps, 0);
        assert_int_equal(stat_of(fixture.log).horizon, 0);
        assert_int_equal(files_of(&fixture).compacted, 0);
        assert_int_equal(story_expect(fixture.story, fixture.log), all);
    }
    finish(&fixture);
}

static void a_pin_keeps_what_was_compacted_away(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(6);
    reopen(&fixture); /* sealed segments are mappings of their files now */
    struct weir_cursor *cursor;
    struct weir_record record;
    struct weir_pin *pin;
    uint64_t old = fixture.story->records[1].address;
    assert_int_equal(weir_cursor_open(fixture.log, NULL, &cursor), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(weir_cursor_pin(cursor, &pin), 0);
    struct wal_segment *segment;
    uint64_t ordinal = wal_address_ordinal(fixture.log, old);
    assert_int_equal(wal_address_pin(fixture.log, ordinal, &segment, NULL), 0);
    uint8_t copy[SIZE];
    memcpy(copy, record.data, SIZE);
    story_compact(fixture.story, fixture.log, fixture.story->last);
    story_fill(fixture.story, fixture.log, 10, SIZE, 3); /* would go into its file */
    assert_memory_equal(record.data, copy, SIZE);
    assert_int_equal(wal_address_read(fixture.log, segment, old, &record), 0);
    assert_memory_equal(record.data, copy, SIZE);
    wal_address_unpin(fixture.log, segment);
    assert_int_equal(wal_address_pin(fixture.log, ordinal, &segment, NULL), WEIR_E_TRUNCATED);
    weir_pin_drop(pin);
    weir_cursor_close(cursor);
    (void)story_expect(fixture.story, fixture.log);
    finish(&fixture);
}

static void cd_11_a_compacted_view_that_is_overtaken_says_so(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(6);
    story_compact(fixture.story, fixture.log, fixture.story->last);
    story_fill(fixture.story, fixture.log, 10, SIZE, 4);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.compacted = true;
    struct weir_cursor *cursor;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(fixture.log, &options, &cursor), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    story_compact(fixture.story, fixture.log, fixture.story->last);
    assert_int_equal(weir_cursor_next(cursor, &record), WEIR_E_HORIZON);
    assert_int_equal(weir_cursor_next(cursor, &record), WEIR_E_HORIZON);
    assert_int_equal(weir_cursor_seek(cursor, 0), 0);
    uint64_t count = 0;
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        count++;
    }
    assert_int_equal(rc, 0);
    weir_cursor_close(cursor);
    assert_int_equal(count, story_expect(fixture.story, fixture.log));
    finish(&fixture);
}

static void void_records_go_and_the_largest_records_stay(void **state)
{
    (void)state;
    struct fixture fixture = new_log();
    struct weir_stat stat = stat_of(fixture.log);
    uint32_t most = (uint32_t)stat.record_bytes;
    for (int i = 0; i < 40; i++) {
        story_application(fixture.story, fixture.log, most < 16384 ? most : 16384);
        story_put(fixture.story, fixture.log, (uint32_t)i % 3, 100);
    }
    story_fill(fixture.story, fixture.log, 10, SIZE, 5);
    (void)story_expect(fixture.story, fixture.log);
    story_compact(fixture.story, fixture.log, fixture.story->last);
    (void)story_expect(fixture.story, fixture.log);
    reopen(&fixture);
    (void)story_expect(fixture.story, fixture.log);
    finish(&fixture);
}

/* ---- calls that fail ---- */

struct failing {
    uint64_t calls, fail_at;
    bool stays; /* from then on all fail */
    bool failed;
};

static int fail_call(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    struct failing *failing = context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, "close") == 0 || strcmp(call, "unmap") == 0) {
        return 0;
    }
    uint64_t number = ++failing->calls;
    bool fails = failing->fail_at != 0 &&
                 (failing->stays ? number >= failing->fail_at : number == failing->fail_at);
    failing->failed = failing->failed || fails;
    return fails ? -EIO : 0;
}

/* One compaction on a copy of the disk, with a call that fails. False: there was no such call. */
static bool compact_with_failure(struct fixture *fixture, uint64_t fail_at, bool stays)
{
    struct fixture copy = {.story = story_new()};
    *copy.story = *fixture->story;
    assert_int_equal(sim_memory_copy(fixture->disk.keeper, &copy.disk.keeper), 0);
    copy.disk.options.disk = sim_memory_disk(copy.disk.keeper);
    copy.log = open_log(&copy.disk, NULL);
    struct failing failing = {.fail_at = fail_at, .stays = stays};
    struct sim_memory_faults faults = {.before = fail_call, .context = &failing};
    sim_memory_faults_set(copy.log->medium, &faults);
    struct wal_address_compaction compaction = story_compaction(copy.story, copy.story->last);
    struct wal_address_compaction_report report;
    int rc = wal_address_compact(copy.log, &compaction, &report, NULL);
    sim_memory_faults_set(copy.log->medium, &(struct sim_memory_faults){0});
    assert_true(rc == 0 || failing.failed);
    bool poisoned = log_is_poisoned(copy.log);
    assert_true(!report.untold || (rc < 0 && report.steps == 1));
    copy.story->horizon = rc == 0 || report.untold ? copy.story->last : 0;
    if (!poisoned && !report.untold) { /* it happened or it did not; then it can be done again */
        (void)story_expect(copy.story, copy.log);
        story_compact(copy.story, copy.log, copy.story->last);
        story_put(copy.story, copy.log, 3, SIZE);
    }
    int closed = weir_log_close(copy.log);
    assert_true(poisoned || closed == 0);
    copy.log = open_log(&copy.disk, NULL);
    copy.story->horizon = stat_of(copy.log).horizon;
    (void)story_expect(copy.story, copy.log);
    struct files files = files_of(&copy);
    assert_int_equal(files.compacted, copy.story->horizon > 0 ? 1 : 0);
    finish(&copy);
    return failing.failed;
}

static void wl_12_a_call_that_fails_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    struct fixture fixture = {.disk = disk_new(), .story = story_new()};
    struct weir_log_options options = small_options();
    options.segment_bytes = 65536;
    fixture.log = open_log(&fixture.disk, &options);
    story_fill(fixture.story, fixture.log, 6, SIZE, 6);
    close_log(fixture.log);
    for (int stays = 0; stays < 2; stays++) {
        uint64_t fail_at = 1;
        while (compact_with_failure(&fixture, fail_at, stays != 0)) {
            fail_at++;
        }
        assert_true(fail_at > 40);
    }
    fixture.log = open_log(&fixture.disk, NULL);
    finish(&fixture);
}

static void what_may_not_be_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = log_with_garbage(4);
    struct wal_address_compaction_report report;
    struct wal_address_compaction compaction =
        story_compaction(fixture.story, fixture.story->last + 1);
    assert_int_equal(wal_address_compact(fixture.log, &compaction, &report, NULL), -EINVAL);
    compaction.keep = NULL;
    assert_int_equal(wal_address_compact(fixture.log, &compaction, &report, NULL), -EINVAL);
    finish(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_10_a_run_of_segments_becomes_one_and_one_version_of_each_key_stays),
        cmocka_unit_test(cd_11_it_survives_a_reopen_and_goes_on),
        cmocka_unit_test(cd_11_a_second_compaction_takes_the_first_ones_segment_along),
        cmocka_unit_test(cd_10_full_segments_with_little_to_drop_are_left_alone),
        cmocka_unit_test(cd_12_deletes_go_with_what_they_hide_and_not_before),
        cmocka_unit_test(wl_02_below_the_horizon_only_the_compacted_view_is_shown),
        cmocka_unit_test(wl_02_a_seek_to_an_lsn_that_is_gone_finds_the_next_one),
        cmocka_unit_test(wl_06_a_hold_keeps_the_horizon_below_it),
        cmocka_unit_test(wl_06_a_hold_that_is_set_meanwhile_is_in_time),
        cmocka_unit_test(wl_06_truncation_goes_over_compacted_segments),
        cmocka_unit_test(wl_13_compaction_works_on_a_full_disk_and_makes_room),
        cmocka_unit_test(a_step_that_is_stopped_has_not_happened),
        cmocka_unit_test(a_pin_keeps_what_was_compacted_away),
        cmocka_unit_test(cd_11_a_compacted_view_that_is_overtaken_says_so),
        cmocka_unit_test(void_records_go_and_the_largest_records_stay),
        cmocka_unit_test(wl_12_a_call_that_fails_leaves_the_old_or_the_new),
        cmocka_unit_test(what_may_not_be_is_refused),
    };
    return cmocka_run_group_tests_name("wal_compact", tests, NULL, NULL);
}
