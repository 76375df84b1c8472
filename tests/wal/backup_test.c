/*
 * weir_backup() and weir_log_backup(): the copy holds what the source holds, is a log of its own,
 * and is taken for one only when it is whole; the source is kept meanwhile, and let go of.
 */
#include "backup_support.h"

#include "wal/address.h"
#include "wal/format.h"

#include <errno.h>
#include <string.h>

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
    assert_int_equal(back_up(&fixture, true), -ENOENT);
    assert_non_null(strstr(fixture.why.text, "no log in this directory"));
    struct weir_medium *keeper = fixture.from.keeper;
    struct weir_file *lock; /* what creating one begins with */
    assert_int_equal(keeper->ops->create(keeper, "LOCK", 0, &lock), 0);
    keeper->ops->close(lock);
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

/* As when its file system is not mounted with dax any more. */
static void a_log_of_persistent_memory_is_not_written_on_a_block_device_but_copied(void **state)
{
    (void)state;
    struct fixture fixture = begin_on(1, 0, 0);
    struct weir_log_options options = small_options();
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *refused;
    options.flags = 0;
    append_mixed(fixture.log, 300);
    close_log(fixture.log);
    fixture.from.options.block_bytes = 4096;
    fixture.from.options.window_is_file = false;
    assert_int_equal(try_open_log(&fixture.from, &options, &refused, &why), WEIR_E_MEDIUM);
    assert_non_null(strstr(why.text, "-o dax"));
    assert_non_null(strstr(why.text, "`weir backup LOG NEW`"));
    options.flags = WEIR_LOG_READ_ONLY;
    fixture.log = open_log(&fixture.from, &options);
    backed_up(&fixture, true);
    struct weir_log *copy = open_copy(&fixture);
    expect_same(&fixture, fixture.log, copy);
    append_mixed(copy, 10);
    close_log(copy);
    end(&fixture);
}

static void a_log_of_a_block_device_is_written_on_persistent_memory_as_it_is(void **state)
{
    (void)state;
    struct fixture fixture = begin_on(0, 0, 0);
    struct weir_log_options options = small_options();
    options.flags = 0;
    append_mixed(fixture.log, 10);
    close_log(fixture.log);
    fixture.from.options.block_bytes = 64;
    fixture.from.options.window_is_file = true;
    fixture.log = open_log(&fixture.from, &options);
    append_mixed(fixture.log, 300);
    close_log(fixture.log);
    fixture.from.options.block_bytes = 4096;
    fixture.from.options.window_is_file = false;
    fixture.log = open_log(&fixture.from, &options); /* and here again */
    backed_up(&fixture, false);
    expect_verified(&fixture);
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
    uint64_t before = sim_memory_digest(fixture.to.keeper);
    for (int other = 0; other < 2; other++) {
        assert_int_equal(back_up(&fixture, other == 1), -ENOTEMPTY);
        assert_non_null(strstr(fixture.why.text, "notes.txt"));
    }
    assert_int_equal(sim_memory_digest(fixture.to.keeper), before);
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
        cmocka_unit_test(a_log_of_persistent_memory_is_not_written_on_a_block_device_but_copied),
        cmocka_unit_test(a_log_of_a_block_device_is_written_on_persistent_memory_as_it_is),
        cmocka_unit_test(holds_stay_with_the_original_but_for_that_of_the_engine),
        cmocka_unit_test(a_hold_keeps_the_source_while_it_is_read),
        cmocka_unit_test(without_a_hold_it_says_when_it_is_overtaken),
        cmocka_unit_test(a_target_that_holds_something_is_refused),
        cmocka_unit_test(whoever_ends_it_leaves_nothing),
        cmocka_unit_test(a_full_target_leaves_nothing),
        cmocka_unit_test(damage_in_the_source_is_refused_with_its_lsns),
        cmocka_unit_test(memory_that_rotted_is_not_copied),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
