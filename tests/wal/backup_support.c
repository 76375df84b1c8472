#include "backup_support.h"

#include "wal/address.h"
#include "wal/format.h"

#include <errno.h>
#include <string.h>

/* From blocks of 4096 in separate memory, and from 64 in the file itself, to either. */
static const struct sim_memory_options media[] = {
    {.block_bytes = 4096},
    {.block_bytes = 64, .window_is_file = true},
};

struct test_disk disk_of(size_t medium, uint64_t capacity_bytes)
{
    struct test_disk disk = {.options = media[medium]};
    disk.options.capacity_bytes = capacity_bytes;
    assert_int_equal(sim_memory_open(&disk.options, &disk.keeper), 0);
    disk.options.disk = sim_memory_disk(disk.keeper);
    return disk;
}

struct fixture begin_on(size_t from, size_t to, uint64_t target_bytes)
{
    struct fixture fixture = {.from = disk_of(from, 0), .to = disk_of(to, target_bytes)};
    fixture.options = (struct weir_backup_options)WEIR_BACKUP_OPTIONS_INIT;
    fixture.log = open_log(&fixture.from, NULL);
    return fixture;
}

struct fixture begin(void)
{
    return begin_on(0, 0, 0);
}

void end(struct fixture *fixture)
{
    close_log(fixture->log);
    disk_free(&fixture->from);
    disk_free(&fixture->to);
}

weir_lsn append_one(struct weir_log *log, weir_lsn lsn)
{
    uint8_t payload[PAYLOAD_MAX];
    struct weir_part part = {payload, numbered_payload(lsn, payload, sizeof payload)};
    struct weir_entry entry = {
        .parts = &part, .part_count = 1, .type = TYPE_OF_LOG, .user = (uint32_t)lsn * 3};
    weir_lsn given = 0;
    assert_int_equal(weir_append(log, &entry, WEIR_GROUP, &given), 0);
    return given;
}

void append_mixed(struct weir_log *log, int count)
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

struct weir_log_options custom_on(struct test_disk *disk, bool read_only,
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

int back_up(struct fixture *fixture, bool other_process)
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

void backed_up(struct fixture *fixture, bool other_process)
{
    int rc = back_up(fixture, other_process);
    if (rc != 0) {
        fail_msg("%d %s", rc, fixture->why.text);
    }
}

struct weir_log *open_copy(struct fixture *fixture)
{
    struct weir_log_options options = small_options();
    options.flags = 0;
    options.verify = WEIR_VERIFY_ALL;
    return open_log(&fixture->to, &options);
}

/* ---- comparing ---- */

struct weir_cursor *open_cursor(struct weir_log *log)
{
    struct weir_cursor_options all = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    all.with_void = all.with_gaps = true;
    assert_int_equal(weir_cursor_open(log, &all, &cursor), 0);
    return cursor;
}

void expect_verified(struct fixture *fixture)
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

void expect_same(struct fixture *fixture, struct weir_log *source, struct weir_log *copy)
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

int holds_of(struct weir_log *log)
{
    int count = 0;
    assert_int_equal(weir_hold_list(log, count_hold, &count), 0);
    return count;
}

bool has_file(struct test_disk *disk, const char *name)
{
    struct weir_file *file;
    int rc = disk->keeper->ops->open(disk->keeper, name, WEIR_FILE_READ, &file);
    assert_true(rc == 0 || rc == -ENOENT);
    if (rc == 0) {
        disk->keeper->ops->close(file);
    }
    return rc == 0;
}

void expect_nothing_in(struct fixture *fixture)
{
    assert_false(has_file(&fixture->to, "CONTROL"));
    assert_false(has_file(&fixture->to, "SALVAGE"));
    assert_false(has_file(&fixture->to, "LOCK"));
    assert_false(has_file(&fixture->to, "segment-0000000000000001"));
    assert_false(has_file(&fixture->to, "holds/engine"));
}
