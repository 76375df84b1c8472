/*
 * A backup that is killed at each call, or in which one call or allocation fails.
 */
#include "backup_support.h"

#include "base/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
        struct test_disk left = {.keeper = crash.after, .options = {.block_bytes = 4096}};
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

/* Holds cannot be removed once the copy has begun, which then fails. */
static int fail_removal_of_holds(void *context, const char *call, const char *name, uint64_t offset,
                                 size_t size)
{
    (void)context;
    (void)offset;
    (void)size;
    return strcmp(call, "remove") == 0 && strstr(name, "/backup-") != NULL ? -EIO : 0;
}

static int fail_writes(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)context;
    (void)name;
    (void)offset;
    (void)size;
    return strcmp(call, "write") == 0 ? -ENOSPC : 0;
}

static void wl_06_a_hold_that_a_failed_backup_leaves_is_named(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 300);
    fixture.from_faults = (struct sim_memory_faults){fail_removal_of_holds, NULL};
    fixture.to_faults = (struct sim_memory_faults){fail_writes, NULL};
    assert_int_equal(back_up(&fixture, true), -ENOSPC);
    assert_int_equal(holds_of(fixture.log), 1);
    assert_memory_equal(fixture.report.left_hold, "backup-", 7);
    fixture.from_faults = (struct sim_memory_faults){0};
    assert_int_equal(weir_hold_drop(fixture.log, fixture.report.left_hold), 0);
    assert_int_equal(holds_of(fixture.log), 0);
    end(&fixture);
}

static void *fail_alloc(void *context, size_t alignment, size_t size)
{
    size_t rounded = (size + alignment - 1) / alignment * alignment;
    int *countdown = context;
    return (*countdown)-- == 0 ? NULL
                               : aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
}

static void free_block(void *context, void *memory)
{
    (void)context;
    free(memory);
}

/* Leaks are for the sanitizer to find. */
static void any_failing_allocation_ends_it_or_does_not_matter(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    append_mixed(fixture.log, 300);
    int failed = 0;
    for (int n = 0, left = -1; left < 0; n++) {
        disk_free(&fixture.to);
        fixture.to = disk_of(0, 0);
        int countdown = n;
        struct base_system system = {
            .context = &countdown, .alloc = fail_alloc, .free = free_block};
        struct weir_log_options to = custom_on(&fixture.to, false, &fixture.to_faults);
        fixture.options.target = &to;
        base_system_set(&system);
        fixture.report = (struct weir_backup_report)WEIR_BACKUP_REPORT_INIT;
        int rc = weir_log_backup(fixture.log, "target", &fixture.options, &fixture.report, NULL);
        base_system_set(NULL);
        left = countdown;
        failed += rc < 0;
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_int_equal(has_file(&fixture.to, "CONTROL"), rc == 0);
    }
    assert_in_range(failed, 1, 1000);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_killed_backup_leaves_is_no_log),
        cmocka_unit_test(any_failing_call_ends_it_or_does_not_matter),
        cmocka_unit_test(wl_06_a_hold_that_a_failed_backup_leaves_is_named),
        cmocka_unit_test(any_failing_allocation_ends_it_or_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
