/*
 * weir_backup() and weir_log_backup(): the copy holds what the source holds, is a log of its own,
 * and is taken for one only when it is whole; the source is kept meanwhile, and let go of.
 */
#include "support.h"

#include "wal/address.h"
#include "wal/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX 3000u
#define TYPE_OF_LOG 7

struct fixture {
    struct test_disk from, to;
    struct weir_log *log; /* the writer's */
    struct weir_backup_options options;
    struct weir_backup_report report;
    struct weir_error why;
    struct sim_memory_faults from_faults, to_faults;
};

/* From blocks of 4096 in separate memory, and from 64 in the file itself, to either. */
static const struct sim_memory_options media[] = {
    {.block_bytes = 4096},
    {.block_bytes = 64, .window_is_file = true},
};

static struct test_disk disk_of(size_t medium, uint64_t capacity_bytes)
{
    struct test_disk disk = {.options = media[medium]};
    disk.options.capacity_bytes = capacity_bytes;
    assert_int_equal(sim_memory_open(&disk.options, &disk.keeper), 0);
    disk.options.disk = sim_memory_disk(disk.keeper);
    return disk;
}

static struct fixture begin_on(size_t from, size_t to, uint64_t target_bytes)
{
    struct fixture fixture = {.from = disk_of(from, 0), .to = disk_of(to, target_bytes)};
    fixture.options = (struct weir_backup_options)WEIR_BACKUP_OPTIONS_INIT;
    fixture.log = open_log(&fixture.from, NULL);
    return fixture;
}

static struct fixture begin(void)
{
    return begin_on(0, 0, 0);
}

static void end(struct fixture *fixture)
{
    close_log(fixture->log);
    disk_free(&fixture->from);
    disk_free(&fixture->to);
}

static weir_lsn append_one(struct weir_log *log, weir_lsn lsn)
{
    uint8_t payload[PAYLOAD_MAX];
    struct weir_part part = {payload, numbered_payload(lsn, payload, sizeof payload)};
    struct weir_entry entry = {
        .parts = &part, .part_count = 1, .type = TYPE_OF_LOG, .user = (uint32_t)lsn * 3};
    weir_lsn given = 0;
    assert_int_equal(weir_append(log, &entry, WEIR_GROUP, &given), 0);
    return given;
}

/* Of callers, cancelled ones, and ones that carry their number, as those of the engine do. */
static void append_mixed(struct weir_log *log, int count)
{
    for (int i = 0; i < count; i++) {
        weir_lsn lsn = append_one(log, (weir_lsn)i + 1);
        if (i % 7 == 3) {
            struct weir_reservation slot;
            assert_int_equal(weir_reserve(log, TYPE_OF_LOG, 100, &slot), 0);
            assert_int_equal(weir_cancel(log, &slot), 0);
        }
        if (i % 5 == 2) {
            struct weir_part part = {&lsn, sizeof lsn};
            struct weir_entry entry = {.parts = &part, .part_count = 1, .type = WEIR_TYPE_RESERVED};
            struct wal_address_batch batch = {.entries = &entry, .count = 1};
            assert_int_equal(wal_address_append(log, &batch, WEIR_GROUP, &lsn), 0);
        }
    }
    assert_int_equal(weir_commit(log), 0);
}

static struct weir_log_options custom_on(struct test_disk *disk, bool read_only,
                                         const struct sim_memory_faults *faults)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct sim_memory_options medium = disk->options;
    medium.read_only = read_only;
    medium.faults = *faults;
    options.lock_wait_ns = WEIR_NO_WAIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&medium, &options.custom_medium), 0);
    return options;
}

/* From the writer's handle, or as another process does. */
static int back_up(struct fixture *fixture, bool other_process)
{
    struct weir_log_options to = custom_on(&fixture->to, false, &fixture->to_faults);
    fixture->options.target = &to;
    fixture->report = (struct weir_backup_report)WEIR_BACKUP_REPORT_INIT;
    fixture->why = (struct weir_error)WEIR_ERROR_INIT;
    if (!other_process) {
        return weir_log_backup(fixture->log, "target", &fixture->options, &fixture->report,
                               &fixture->why);
    }
    struct weir_log_options from = custom_on(&fixture->from, true, &fixture->from_faults);
    fixture->options.source = &from;
    return weir_backup("source", "target", &fixture->options, &fixture->report, &fixture->why);
}

static void backed_up(struct fixture *fixture, bool other_process)
{
    int rc = back_up(fixture, other_process);
    if (rc != 0) {
        fail_msg("%d %s", rc, fixture->why.text);
    }
}

static struct weir_log *open_copy(struct fixture *fixture)
{
    struct weir_log_options options = small_options();
    options.flags = 0;
    options.verify = WEIR_VERIFY_ALL;
    return open_log(&fixture->to, &options);
}

/* ---- comparing ---- */

static struct weir_cursor *open_cursor(struct weir_log *log)
{
    struct weir_cursor_options all = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    all.with_void = all.with_gaps = true;
    assert_int_equal(weir_cursor_open(log, &all, &cursor), 0);
    return cursor;
}

static void expect_verified(struct fixture *fixture)
{
    struct weir_log_options options = custom_on(&fixture->to, true, &(struct sim_memory_faults){0});
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    assert_int_equal(weir_verify("", &options, NULL, NULL, &report, NULL), 0);
    assert_true(report.ok);
    assert_int_equal(report.findings, report.notes);
    assert_int_equal(report.records, fixture->report.records);
    assert_int_equal(report.gap_lsns, fixture->report.gap_lsns);
    assert_int_equal(report.cut_bytes, 0);
}

/* A record that carries its LSN can be found by its address: so the flag is kept. */
static void expect_same_number(struct weir_log *copy, const struct weir_record *record)
{
    uint64_t address, time_ns;
    struct wal_segment *segment;
    struct weir_record found;
    assert_int_equal(wal_address_find(copy, record->lsn, &address, &time_ns), 0);
    assert_int_equal(time_ns, record->time_ns);
    assert_int_equal(wal_address_pin(copy, wal_address_ordinal(copy, address), &segment, NULL), 0);
    assert_int_equal(wal_address_read(copy, segment, address, &found), 0);
    assert_int_equal(found.lsn, record->lsn);
    assert_int_equal(found.size, record->size);
    wal_address_unpin(copy, segment);
}

/* Every record of [report.first, report.last] is the source's, and no other is there. */
static void expect_same(struct fixture *fixture, struct weir_log *source, struct weir_log *copy)
{
    struct weir_cursor *left = open_cursor(source), *right = open_cursor(copy);
    struct weir_record was, is;
    weir_lsn last = WEIR_LSN_NONE;
    uint64_t records = 0, bytes = 0;
    while (weir_cursor_next(right, &is) == 1) {
        assert_int_equal(weir_cursor_next(left, &was), 1);
        assert_true(last != WEIR_LSN_NONE || is.lsn == fixture->report.first);
        last = is.lsn;
        assert_int_equal(is.lsn, was.lsn);
        assert_int_equal(is.time_ns, was.time_ns);
        assert_int_equal(is.type, was.type);
        assert_int_equal(is.user, was.user);
        assert_int_equal(is.flags, was.flags);
        assert_int_equal(is.size, was.size);
        assert_memory_equal(is.data, was.data, is.size);
        if (is.type == WEIR_TYPE_RESERVED && is.flags == 0) {
            expect_same_number(copy, &is);
        }
        records += (is.flags & WEIR_RECORD_GAP) == 0;
        bytes += is.size;
    }
    assert_int_equal(last, fixture->report.last);
    assert_int_equal(records, fixture->report.records);
    assert_in_range(fixture->report.payload_bytes, bytes, bytes + records * 8);
    weir_cursor_close(left);
    weir_cursor_close(right);
}

static int count_hold(void *context, const struct weir_hold *hold)
{
    (void)hold;
    ++*(int *)context;
    return 0;
}

static int holds_of(struct weir_log *log)
{
    int count = 0;
    assert_int_equal(weir_hold_list(log, count_hold, &count), 0);
    return count;
}

static uint64_t files_of(struct test_disk *disk)
{
    return sim_memory_digest(disk->keeper);
}

static bool has_file(struct test_disk *disk, const char *name)
{
    struct weir_file *file;
    int rc = disk->keeper->ops->open(disk->keeper, name, WEIR_FILE_READ, &file);
    assert_true(rc == 0 || rc == -ENOENT);
    if (rc == 0) {
        disk->keeper->ops->close(file);
    }
    return rc == 0;
}

static void expect_nothing_in(struct fixture *fixture)
{
    assert_false(has_file(&fixture->to, "CONTROL"));
    assert_false(has_file(&fixture->to, "SALVAGE"));
    assert_false(has_file(&fixture->to, "LOCK"));
    assert_false(has_file(&fixture->to, "segment-0000000000000001"));
    assert_false(has_file(&fixture->to, "holds/engine"));
}

/* ---- what is copied ---- */

static void a_log_is_copied_record_by_record_beside_its_writer(void **state)
{
    (void)state;
    for (size_t from = 0; from < 2; from++) {
        for (size_t to = 0; to < 2; to++) {
            for (int other = 0; other < 2; other++) {
                struct fixture fixture = begin_on(from, to, 0);
                append_mixed(fixture.log, 600);
                backed_up(&fixture, other == 1);
                assert_true(fixture.report.held);
                assert_string_equal(fixture.report.left_hold, "");
                assert_int_equal(holds_of(fixture.log), 0);
                expect_verified(&fixture);
                struct weir_log *copy = open_copy(&fixture);
                expect_same(&fixture, fixture.log, copy);
                weir_lsn last = fixture.report.last;
                assert_int_equal(append_one(copy, 1), last + 1); /* from here on they differ */
                assert_int_equal(append_one(fixture.log, 2), last + 1);
                close_log(copy);
                end(&fixture);
            }
        }
    }
}

static void the_copy_is_another_log(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct weir_open_report was = WEIR_OPEN_REPORT_INIT, is = WEIR_OPEN_REPORT_INIT;
    append_mixed(fixture.log, 10);
    backed_up(&fixture, false);
    struct weir_log *copy = open_copy(&fixture);
    assert_int_equal(weir_log_report(fixture.log, &was), 0);
    assert_int_equal(weir_log_report(copy, &is), 0);
    assert_memory_not_equal(was.uuid, is.uuid, 16);
    assert_memory_equal(fixture.report.uuid, is.uuid, 16);
    assert_true(is.epoch > was.epoch);
    assert_true(is.clean);
    close_log(copy);
    end(&fixture);
}

static void an_empty_log_is_copied_empty(void **state)
{
    (void)state;
    for (int truncated = 0; truncated < 2; truncated++) {
        struct fixture fixture = begin();
        weir_lsn next = 1;
        if (truncated == 1) {
            append_mixed(fixture.log, 30);
            next = append_one(fixture.log, 1) + 1;
            assert_int_equal(weir_commit(fixture.log), 0);
            assert_int_equal(weir_truncate_before(fixture.log, next, NULL), 0);
        }
        backed_up(&fixture, truncated == 1);
        assert_int_equal(fixture.report.records, 0);
        assert_int_equal(fixture.report.first, 0);
        assert_int_equal(fixture.report.last, 0);
        struct weir_log *copy = open_copy(&fixture);
        assert_int_equal(append_one(copy, 1), next);
        close_log(copy);
        end(&fixture);
    }
}

static void a_log_that_was_never_made_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct test_disk from = fixture.from;
    fixture.from = disk_of(0, 0);
    assert_int_equal(back_up(&fixture, true), WEIR_E_NOT_A_LOG);
    assert_non_null(strstr(fixture.why.text, "nothing to back up"));
    expect_nothing_in(&fixture);
    disk_free(&fixture.from);
    fixture.from = from;
    end(&fixture);
}

static void wl_06_what_was_truncated_is_not_copied(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 600);
    for (weir_lsn first = 2; first < 700; first += 173) { /* within groups, and of segments */
        struct test_disk to = fixture.to;
        fixture.to = disk_of(0, 0);
        disk_free(&to);
        assert_int_equal(weir_truncate_before(fixture.log, first, NULL), 0);
        backed_up(&fixture, first % 2 == 0);
        assert_int_equal(fixture.report.first, first);
        expect_verified(&fixture);
        struct weir_log *copy = open_copy(&fixture);
        expect_same(&fixture, fixture.log, copy);
        assert_int_equal(weir_truncate_before(copy, first + 100, NULL), 0);
        close_log(copy);
    }
    end(&fixture);
}

static void a_copy_can_be_copied(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 300);
    backed_up(&fixture, false);
    struct fixture second = {.from = fixture.to, .to = disk_of(1, 0)};
    second.options = (struct weir_backup_options)WEIR_BACKUP_OPTIONS_INIT;
    second.log = open_copy(&fixture);
    backed_up(&second, true);
    assert_int_equal(second.report.records, fixture.report.records);
    struct weir_log *copy = open_copy(&second);
    expect_same(&second, fixture.log, copy);
    close_log(copy);
    close_log(second.log);
    disk_free(&second.to);
    end(&fixture);
}

static void holds_stay_with_the_original_but_for_that_of_the_engine(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 50);
    assert_int_equal(weir_hold_set(fixture.log, "billing", 7), 0);
    assert_int_equal(weir_hold_set(fixture.log, "engine", 9), 0);
    backed_up(&fixture, false);
    assert_true(fixture.report.engine_hold);
    assert_int_equal(holds_of(fixture.log), 2);
    struct weir_log *copy = open_copy(&fixture);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(holds_of(copy), 1);
    assert_int_equal(weir_truncate_before(copy, 10, &why), WEIR_E_HELD);
    assert_non_null(strstr(why.text, "engine"));
    assert_int_equal(weir_truncate_before(copy, 9, &why), 0);
    close_log(copy);
    end(&fixture);
}

/* ---- while others go on ---- */

static int append_and_truncate(void *context, const struct weir_backup_progress *progress)
{
    struct fixture *fixture = context;
    assert_true(progress->lsn <= progress->to);
    for (int i = 0; i < 200; i++) {
        append_one(fixture->log, (weir_lsn)i);
    }
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_commit(fixture->log), 0);
    assert_int_equal(weir_log_stat(fixture->log, &stat), 0);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_truncate_before(fixture->log, stat.durable, &why), WEIR_E_HELD);
    assert_non_null(strstr(why.text, "\"backup-"));
    return 0;
}

static void a_hold_keeps_the_source_while_it_is_read(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        struct fixture fixture = begin();
        append_mixed(fixture.log, 9000);
        fixture.options.context = &fixture;
        fixture.options.progress = append_and_truncate;
        backed_up(&fixture, other == 1);
        assert_int_equal(holds_of(fixture.log), 0);
        expect_verified(&fixture);
        struct weir_log *copy = open_copy(&fixture);
        expect_same(&fixture, fixture.log, copy);
        close_log(copy);
        end(&fixture);
    }
}

static int no_new_files_in_holds(void *context, const char *call, const char *name, uint64_t offset,
                                 size_t size)
{
    (void)context;
    (void)offset;
    (void)size;
    return strcmp(call, "create") == 0 && strncmp(name, "holds/", 6) == 0 ? -EACCES : 0;
}

static int truncate_all(void *context, const struct weir_backup_progress *progress)
{
    struct fixture *fixture = context;
    return weir_truncate_before(fixture->log, progress->to + 1, NULL);
}

static void without_a_hold_it_says_when_it_is_overtaken(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 9000);
    fixture.from_faults.before = no_new_files_in_holds;
    backed_up(&fixture, true);
    assert_false(fixture.report.held);
    expect_verified(&fixture);
    disk_free(&fixture.to);
    fixture.to = disk_of(0, 0);
    fixture.options.context = &fixture;
    fixture.options.progress = truncate_all;
    assert_int_equal(back_up(&fixture, true), WEIR_E_TRUNCATED);
    expect_nothing_in(&fixture);
    end(&fixture);
}

/* ---- refusals ---- */

static void a_target_that_holds_something_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct weir_file *file;
    append_mixed(fixture.log, 10);
    assert_int_equal(fixture.to.keeper->ops->create(fixture.to.keeper, "notes.txt", 0, &file), 0);
    fixture.to.keeper->ops->close(file);
    uint64_t before = files_of(&fixture.to);
    for (int other = 0; other < 2; other++) {
        assert_int_equal(back_up(&fixture, other == 1), -ENOTEMPTY);
        assert_non_null(strstr(fixture.why.text, "notes.txt"));
    }
    assert_int_equal(files_of(&fixture.to), before);
    assert_int_equal(holds_of(fixture.log), 0);
    end(&fixture);
}

static int stop_with(void *context, const struct weir_backup_progress *progress)
{
    (void)progress;
    return *(const int *)context;
}

static void whoever_ends_it_leaves_nothing(void **state)
{
    (void)state;
    const int results[] = {-EINTR, 7};
    struct fixture fixture = begin();
    append_mixed(fixture.log, 9000);
    for (size_t i = 0; i < 2; i++) {
        int result = results[i];
        fixture.options.context = &result;
        fixture.options.progress = stop_with;
        assert_int_equal(back_up(&fixture, i == 1), result);
        expect_nothing_in(&fixture);
        assert_int_equal(holds_of(fixture.log), 0);
    }
    fixture.options.progress = NULL;
    backed_up(&fixture, false); /* into the same place */
    end(&fixture);
}

static void a_full_target_leaves_nothing(void **state)
{
    (void)state;
    struct fixture fixture = begin_on(0, 0, 3 * SMALL_SEGMENT);
    append_mixed(fixture.log, 900);
    assert_int_equal(back_up(&fixture, false), -ENOSPC);
    expect_nothing_in(&fixture);
    assert_int_equal(holds_of(fixture.log), 0);
    end(&fixture);
}

/* Flips a bit of a record's payload in the file. */
static void damage(struct fixture *fixture, weir_lsn lsn)
{
    uint64_t address, time_ns, size;
    char name[FORMAT_NAME_BYTES];
    assert_int_equal(wal_address_find(fixture->log, lsn, &address, &time_ns), 0);
    uint64_t ordinal = wal_address_ordinal(fixture->log, address);
    format_segment_name(ordinal, name);
    uint8_t *bytes = sim_memory_bytes(fixture->from.keeper, name, false, &size);
    bytes[address % SMALL_SEGMENT + FORMAT_RECORD_HEADER_BYTES] ^= 1;
}

static void damage_in_the_source_is_refused_with_its_lsns(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 900);
    weir_lsn lsn = 2;
    while (numbered_payload(lsn, (uint8_t[PAYLOAD_MAX]){0}, PAYLOAD_MAX) < 100) {
        lsn++; /* its payload is that of LSN 2 and so on, as no other kind came before */
    }
    assert_in_range(lsn, 2, 3);
    damage(&fixture, lsn);
    assert_int_equal(back_up(&fixture, true), WEIR_E_DAMAGED);
    assert_true(fixture.why.from_lsn <= lsn && lsn <= fixture.why.to_lsn);
    assert_non_null(strstr(fixture.why.text, "segment-0000000000000001"));
    assert_non_null(strstr(weir_error_advice(WEIR_E_DAMAGED), "salvage"));
    expect_nothing_in(&fixture);
    assert_int_equal(holds_of(fixture.log), 0);
    end(&fixture);
}

/* The memory of a window that was written long ago: what was checked once is checked again. */
static void memory_that_rotted_is_not_copied(void **state)
{
    (void)state;
    struct fixture fixture = begin_on(1, 0, 0);
    append_mixed(fixture.log, 20);
    backed_up(&fixture, false);
    disk_free(&fixture.to);
    fixture.to = disk_of(0, 0);
    damage(&fixture, 2); /* the window is the file */
    assert_int_equal(back_up(&fixture, false), WEIR_E_DAMAGED);
    assert_int_equal(fixture.why.from_lsn, 2);
    assert_int_equal(fixture.why.to_lsn, 2);
    expect_nothing_in(&fixture);
    end(&fixture);
}

/* ---- crashes and faults ---- */

struct crash {
    struct test_disk *disk;
    struct weir_medium *after; /* what is left when it was killed there */
    int countdown;
};

static int copy_at(void *context, const char *call, const char *name, uint64_t offset, size_t size)
{
    struct crash *crash = context;
    (void)call;
    (void)name;
    (void)offset;
    (void)size;
    if (crash->countdown-- == 0) {
        assert_int_equal(sim_memory_copy(crash->disk->keeper, &crash->after), 0);
    }
    return 0;
}

/* Killed at the n-th call to the target, for each n: what is left is refused, or it is whole. */
static void what_a_killed_backup_leaves_is_no_log(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 300);
    int refused = 0, whole = 0;
    for (int n = 0;; n++) {
        disk_free(&fixture.to);
        fixture.to = disk_of(0, 0);
        struct crash crash = {.disk = &fixture.to, .countdown = n};
        fixture.to_faults = (struct sim_memory_faults){copy_at, &crash};
        backed_up(&fixture, false);
        fixture.to_faults = (struct sim_memory_faults){0};
        if (crash.after == NULL) {
            break;
        }
        struct test_disk left = {.keeper = crash.after, .options = media[0]};
        left.options.disk = sim_memory_disk(left.keeper);
        struct weir_log_options options = small_options();
        struct weir_error why = WEIR_ERROR_INIT;
        struct weir_log *log = NULL;
        bool begun = has_file(&left, "SALVAGE"), made = has_file(&left, "CONTROL");
        int rc = try_open_log(&left, &options, &log, &why);
        assert_int_equal(rc, begun && !made ? WEIR_E_NOT_A_LOG : 0);
        refused += rc < 0;
        if (rc == 0 && made) {
            expect_same(&fixture, fixture.log, log);
            whole++;
        } else if (rc == 0) {
            assert_int_equal(count_records(log), 0);
        }
        if (log != NULL) {
            close_log(log);
        }
        disk_free(&left);
    }
    assert_in_range(refused, 5, 10000);
    assert_in_range(whole, 1, 100);
    end(&fixture);
}

static int fail_nth(void *context, const char *call, const char *name, uint64_t offset, size_t size)
{
    int *countdown = context;
    (void)call;
    (void)name;
    (void)offset;
    (void)size;
    return (*countdown)-- == 0 ? -EIO : 0;
}

static void any_failing_call_ends_it_or_does_not_matter(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 300);
    for (int side = 0; side < 2; side++) {
        int failed = 0;
        for (int n = 0, left = -1; left < 0; n++) {
            disk_free(&fixture.to);
            fixture.to = disk_of(0, 0);
            int countdown = n;
            struct sim_memory_faults faults = {fail_nth, &countdown};
            fixture.from_faults = side == 0 ? faults : (struct sim_memory_faults){0};
            fixture.to_faults = side == 1 ? faults : (struct sim_memory_faults){0};
            int rc = back_up(&fixture, true);
            left = countdown;
            if (rc == 0) {
                struct weir_log *copy = open_copy(&fixture);
                expect_same(&fixture, fixture.log, copy);
                close_log(copy);
            } else {
                failed++;
                assert_true(strlen(fixture.why.text) > 10);
                assert_false(has_file(&fixture.to, "CONTROL"));
            }
            if (rc == 0 && fixture.report.left_hold[0] != '\0') {
                rc = weir_hold_drop(fixture.log, fixture.report.left_hold);
                assert_true(rc == 0 || rc == WEIR_E_NO_HOLD); /* only its flush had failed */
            }
        }
        assert_in_range(failed, 4, 10000);
    }
    end(&fixture);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct weir_backup_report report = WEIR_BACKUP_REPORT_INIT;
    struct weir_backup_report none = {0};
    struct weir_backup_options unsized = {0};
    assert_int_equal(weir_log_backup(NULL, "target", NULL, &report, NULL), -EINVAL);
    assert_int_equal(weir_log_backup(fixture.log, "target", NULL, &none, NULL), -EINVAL);
    assert_int_equal(weir_log_backup(fixture.log, "target", NULL, NULL, NULL), -EINVAL);
    assert_int_equal(weir_log_backup(fixture.log, "target", &unsized, &report, NULL), -EINVAL);
    assert_int_equal(weir_backup("nowhere", "target", &unsized, &report, NULL), -EINVAL);
    assert_int_equal(weir_backup("nowhere/at/all", "target", NULL, &report, NULL), -ENOENT);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_is_copied_record_by_record_beside_its_writer),
        cmocka_unit_test(the_copy_is_another_log),
        cmocka_unit_test(an_empty_log_is_copied_empty),
        cmocka_unit_test(a_log_that_was_never_made_is_refused),
        cmocka_unit_test(wl_06_what_was_truncated_is_not_copied),
        cmocka_unit_test(a_copy_can_be_copied),
        cmocka_unit_test(holds_stay_with_the_original_but_for_that_of_the_engine),
        cmocka_unit_test(a_hold_keeps_the_source_while_it_is_read),
        cmocka_unit_test(without_a_hold_it_says_when_it_is_overtaken),
        cmocka_unit_test(a_target_that_holds_something_is_refused),
        cmocka_unit_test(whoever_ends_it_leaves_nothing),
        cmocka_unit_test(a_full_target_leaves_nothing),
        cmocka_unit_test(damage_in_the_source_is_refused_with_its_lsns),
        cmocka_unit_test(memory_that_rotted_is_not_copied),
        cmocka_unit_test(what_a_killed_backup_leaves_is_no_log),
        cmocka_unit_test(any_failing_call_ends_it_or_does_not_matter),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
