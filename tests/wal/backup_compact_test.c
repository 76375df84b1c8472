/*
 * Backup of a log that was compacted: its compacted segments are some of the copy, too.
 */
#include "backup_support.h"
#include "compact_support.h"

#include <errno.h>
#include <string.h>

static void expect_story(struct fixture *fixture, struct story *story)
{
    expect_verified(fixture);
    for (int round = 0; round < 2; round++) {
        struct weir_log *copy = open_copy(fixture);
        (void)story_expect(story, copy);
        close_log(copy);
    }
}

/* Ten keys, over and over, compacted, written on, compacted again: by several horizons. */
static void a_compacted_log_is_copied_with_what_was_kept(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        struct fixture fixture = begin();
        struct story *story = story_new();
        for (unsigned round = 0; round < 4; round++) {
            story_fill(story, fixture.log, 10 + round, 1500, 6);
            story_application(story, fixture.log, 700);
            story_delete(story, fixture.log, round);
            assert_int_equal(weir_commit(fixture.log), 0);
            (void)story_compact(story, fixture.log, story->last - 20 * round);
            disk_free(&fixture.to);
            fixture.to = disk_of(round % 2, 0);
            backed_up(&fixture, other == 1);
            assert_true(fixture.report.records < story->last / 2);
            assert_int_equal(fixture.report.last, story->last);
            expect_story(&fixture, story);
        }
        struct weir_log *copy = open_copy(&fixture);
        assert_int_equal(append_one(copy, 1), story->last + 1);
        close_log(copy);
        story_free(story);
        end(&fixture);
    }
}

/* Truncated into a compacted segment. */
static void wl_06_what_was_truncated_of_a_compacted_log_is_not_copied(void **state)
{
    (void)state;
    struct fixture fixture = begin();
    struct story *story = story_new();
    story_fill(story, fixture.log, 10, 1500, 6);
    story_application(story, fixture.log, 700);
    weir_lsn kept = story->last;
    story_fill(story, fixture.log, 10, 1500, 6);
    assert_int_equal(weir_commit(fixture.log), 0);
    (void)story_compact(story, fixture.log, story->last);
    for (int round = 0; round < 3; round++) {
        weir_lsn first =
            kept - 1 + (weir_lsn)round; /* in front of one that is there, at it, behind */
        assert_int_equal(weir_truncate_before(fixture.log, first, NULL), 0);
        disk_free(&fixture.to);
        fixture.to = disk_of(0, 0);
        backed_up(&fixture, round == 1);
        assert_int_equal(fixture.report.first, first);
        expect_verified(&fixture);
        struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
        struct weir_cursor *was, *is;
        struct weir_record left, right;
        struct weir_log *copy = open_copy(&fixture);
        options.compacted = true;
        assert_int_equal(weir_cursor_open(fixture.log, &options, &was), 0);
        assert_int_equal(weir_cursor_open(copy, &options, &is), 0);
        uint64_t records = 0;
        while (weir_cursor_next(was, &left) == 1) {
            assert_int_equal(weir_cursor_next(is, &right), 1);
            assert_int_equal(left.lsn, right.lsn);
            assert_int_equal(left.size, right.size);
            assert_memory_equal(left.data, right.data, left.size);
            records++;
        }
        assert_int_equal(weir_cursor_next(is, &right), 0);
        assert_int_equal(records, fixture.report.records);
        weir_cursor_close(was);
        weir_cursor_close(is);
        close_log(copy);
    }
    story_free(story);
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
    struct story *story = story_new();
    story_fill(story, fixture.log, 10, 1500, 4);
    (void)story_compact(story, fixture.log, story->last);
    int failed = 0;
    for (int n = 0, left = -1; left < 0; n++) {
        disk_free(&fixture.to);
        fixture.to = disk_of(0, 0);
        int countdown = n;
        fixture.to_faults = (struct sim_memory_faults){fail_nth, &countdown};
        int rc = back_up(&fixture, false);
        fixture.to_faults = (struct sim_memory_faults){0};
        left = countdown;
        failed += rc < 0;
        assert_int_equal(has_file(&fixture.to, "CONTROL"), rc == 0);
        if (rc == 0) {
            expect_story(&fixture, story);
        }
    }
    assert_in_range(failed, 10, 10000);
    story_free(story);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compacted_log_is_copied_with_what_was_kept),
        cmocka_unit_test(wl_06_what_was_truncated_of_a_compacted_log_is_not_copied),
        cmocka_unit_test(any_failing_call_ends_it_or_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
