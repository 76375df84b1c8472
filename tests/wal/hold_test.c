/*
 * Holds: names, floors, slots, and what a damaged file does.
 */
#include "support.h"

#include "base/thread.h"
#include "wal/hold.h"
#include "wal/lock.h"
#include "wal/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct fixture {
    struct test_disk disk;
    struct weir_log *log;
};

static struct fixture log_with_records(int count)
{
    struct fixture fixture = {.disk = disk_new()};
    fixture.log = open_log(&fixture.disk, NULL);
    for (int i = 0; i < count; i++) {
        append_text(fixture.log, "record", WEIR_EACH);
    }
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

struct listing {
    char text[512];
};

static int note(void *context, const struct weir_hold *hold)
{
    struct listing *listing = context;
    size_t length = strlen(listing->text);
    (void)snprintf(listing->text + length, sizeof listing->text - length, "%s=%llu ", hold->name,
                   (unsigned long long)hold->floor);
    assert_true(hold->moved_ns > 0);
    return 0;
}

static void expect_holds(struct weir_log *log, const char *expected)
{
    struct listing listing = {""};
    assert_int_equal(weir_hold_list(log, note, &listing), 0);
    assert_string_equal(listing.text, expected);
}

static uint8_t *bytes_of(struct fixture *fixture, const char *name)
{
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(fixture->disk.keeper, name, false, &size);
    assert_non_null(bytes);
    assert_int_equal(size, HOLD_FILE_BYTES);
    return bytes;
}

static void holds_are_listed_by_name_and_survive_a_reopen(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    expect_holds(fixture.log, "");
    assert_int_equal(weir_hold_set(fixture.log, "billing", 3), 0);
    assert_int_equal(weir_hold_set(fixture.log, "audit", 1), 0);
    assert_int_equal(weir_hold_set(fixture.log, "Zoo_1-a.b", 10), 0);
    expect_holds(fixture.log, "Zoo_1-a.b=10 audit=1 billing=3 ");
    reopen(&fixture);
    expect_holds(fixture.log, "Zoo_1-a.b=10 audit=1 billing=3 ");
    finish(&fixture);
}

static void set_lowers_move_does_not_and_drop_removes(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    assert_int_equal(weir_hold_move(fixture.log, "a", 5), WEIR_E_NO_HOLD);
    assert_int_equal(weir_hold_set(fixture.log, "a", 5), 0);
    assert_int_equal(weir_hold_move(fixture.log, "a", 7), 0);
    expect_holds(fixture.log, "a=7 ");
    assert_int_equal(weir_hold_move(fixture.log, "a", 6), -EINVAL);
    assert_int_equal(weir_hold_move(fixture.log, "a", 7), 0);
    assert_int_equal(weir_hold_set(fixture.log, "a", 2), 0);
    expect_holds(fixture.log, "a=2 ");
    assert_int_equal(weir_hold_drop(fixture.log, "a"), 0);
    assert_int_equal(weir_hold_drop(fixture.log, "a"), WEIR_E_NO_HOLD);
    expect_holds(fixture.log, "");
    finish(&fixture);
}

static void a_floor_lies_between_what_is_retained_and_what_is_durable(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    assert_int_equal(weir_hold_set(fixture.log, "a", 0), -EINVAL);
    assert_int_equal(weir_hold_set(fixture.log, "a", 11), -EINVAL);
    assert_int_equal(weir_hold_set(fixture.log, "a", 10), 0);
    assert_int_equal(weir_hold_move(fixture.log, "a", 11), -EINVAL);
    assert_int_equal(weir_truncate_before(fixture.log, 4, NULL), 0);
    assert_int_equal(weir_hold_set(fixture.log, "b", 3), WEIR_E_TRUNCATED);
    assert_int_equal(weir_hold_set(fixture.log, "b", 4), 0);
    expect_holds(fixture.log, "a=10 b=4 ");
    finish(&fixture);
}

static void names_cannot_leave_the_directory(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(1);
    char longest[WEIR_HOLD_NAME_MAX + 1], too_long[WEIR_HOLD_NAME_MAX + 2];
    memset(longest, 'n', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memset(too_long, 'n', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    const char *const refused[] = {"",    ".",   "..",       ".lock", "a/b",   "../CONTROL",
                                   "a b", "a\n", "\xc3\xa9", "a*",    too_long};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(weir_hold_set(fixture.log, refused[i], 1), -EINVAL);
        assert_int_equal(weir_hold_move(fixture.log, refused[i], 1), -EINVAL);
        assert_int_equal(weir_hold_drop(fixture.log, refused[i]), -EINVAL);
    }
    assert_int_equal(weir_hold_set(fixture.log, NULL, 1), -EINVAL);
    assert_int_equal(weir_hold_set(fixture.log, longest, 1), 0);
    assert_int_equal(weir_hold_drop(fixture.log, longest), 0);
    finish(&fixture);
}

static void an_update_that_is_torn_leaves_the_floor_before(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    assert_int_equal(weir_hold_set(fixture.log, "a", 3), 0);
    assert_int_equal(weir_hold_move(fixture.log, "a", 5), 0);
    uint8_t *bytes = bytes_of(&fixture, "holds/a");
    bytes[FORMAT_BLOCK + 24] ^= 0xff; /* the second slot is the newer one */
    expect_holds(fixture.log, "a=3 ");
    assert_int_equal(weir_hold_move(fixture.log, "a", 6), 0);
    expect_holds(fixture.log, "a=6 ");
    finish(&fixture);
}

static void wl_06_a_lowered_floor_survives_the_loss_of_either_slot(void **state)
{
    (void)state;
    for (unsigned slot = 0; slot < 2; slot++) {
        struct fixture fixture = log_with_records(9);
        assert_int_equal(weir_hold_set(fixture.log, "a", 9), 0);
        assert_int_equal(weir_hold_set(fixture.log, "a", 3), 0);
        bytes_of(&fixture, "holds/a")[4096 * slot + 30] ^= 1;
        expect_holds(fixture.log, "a=3 ");
        finish(&fixture);
    }
}

static void a_damaged_hold_is_never_passed_over(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    assert_int_equal(weir_hold_set(fixture.log, "a", 9), 0);
    assert_int_equal(weir_hold_set(fixture.log, "b", 9), 0);
    bytes_of(&fixture, "holds/a")[30] ^= 1;
    struct listing listing = {""};
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_hold_list(fixture.log, note, &listing), WEIR_E_DAMAGED);
    assert_int_equal(weir_truncate_before(fixture.log, 2, &why), WEIR_E_DAMAGED);
    assert_string_equal(why.file, "holds/a");
    assert_non_null(strstr(why.text, "holds/a"));
    assert_int_equal(weir_hold_move(fixture.log, "a", 9), WEIR_E_DAMAGED);
    /* Whoever owns it mends it. */
    assert_int_equal(weir_hold_set(fixture.log, "a", 4), 0);
    expect_holds(fixture.log, "a=4 b=9 ");
    assert_int_equal(weir_truncate_before(fixture.log, 2, &why), 0);
    finish(&fixture);
}

static void a_copy_under_another_name_is_damage(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    assert_int_equal(weir_hold_set(fixture.log, "a", 9), 0);
    assert_int_equal(weir_hold_set(fixture.log, "b", 2), 0);
    memcpy(bytes_of(&fixture, "holds/b"), bytes_of(&fixture, "holds/a"), HOLD_FILE_BYTES);
    struct listing listing = {""};
    assert_int_equal(weir_hold_list(fixture.log, note, &listing), WEIR_E_DAMAGED);
    assert_int_equal(weir_hold_drop(fixture.log, "b"), 0);
    expect_holds(fixture.log, "a=9 ");
    finish(&fixture);
}

/* Power is cut at every step of `act`: afterwards the listing is one of two. */
struct cut {
    int steps_left;
};

static int cut_power(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    (void)name;
    (void)offset;
    (void)size;
    struct cut *cut = context;
    bool changes = strcmp(call, "write") == 0 || strcmp(call, "sync") == 0 ||
                   strcmp(call, "create") == 0 || strcmp(call, "rename") == 0 ||
                   strcmp(call, "remove") == 0 || strcmp(call, "sync_directory") == 0;
    return changes && cut->steps_left-- <= 0 ? -EIO : 0;
}

static bool keep_all(void *context, const char *name, uint64_t offset)
{
    (void)context;
    (void)name;
    (void)offset;
    return true;
}

static void expect_one_of(struct weir_medium *medium, const char *before, const char *after)
{
    struct test_disk disk = {.keeper = medium, .options = {.disk = sim_memory_disk(medium)}};
    struct weir_log *log = open_log(&disk, NULL);
    struct listing listing = {""};
    assert_int_equal(weir_hold_list(log, note, &listing), 0);
    if (strcmp(listing.text, before) != 0) {
        assert_string_equal(listing.text, after);
    }
    close_log(log);
}

/* Fails the call after `steps` changes and looks what is left, with nothing and with all of what
 * was not flushed. Returns false once the call went through. */
static bool set_until(int steps, weir_lsn first, weir_lsn then, const char *before,
                      const char *after)
{
    struct fixture fixture = log_with_records(9);
    if (first != 0) {
        assert_int_equal(weir_hold_set(fixture.log, "a", first), 0);
    }
    struct cut cut = {.steps_left = steps};
    struct sim_memory_faults faults = {.before = cut_power, .context = &cut};
    sim_memory_faults_set(fixture.log->medium, &faults);
    int rc = weir_hold_set(fixture.log, "a", then);
    sim_memory_faults_set(fixture.log->medium, &(struct sim_memory_faults){0});
    for (int kept = 0; kept < 2; kept++) {
        struct weir_medium *crashed;
        assert_int_equal(
            sim_memory_crash(fixture.log->medium, kept ? keep_all : NULL, NULL, &crashed), 0);
        expect_one_of(crashed, rc == 0 ? after : before, after);
        crashed->ops->destroy(crashed);
    }
    finish(&fixture);
    return rc < 0;
}

static void setting_a_hold_is_all_or_nothing_at_every_crash(void **state)
{
    (void)state;
    int steps = 0;
    while (set_until(steps, 0, 4, "", "a=4 ")) {
        steps++;
    }
    assert_true(steps >= 5); /* create, write, sync, rename, sync_directory */
    steps = 0;
    while (set_until(steps, 6, 4, "a=6 ", "a=4 ")) {
        steps++;
    }
    assert_int_equal(steps, 7); /* lowered: what counts is flushed (file, both directories); write,
                                   sync, and the other slot likewise */
    steps = 0;
    while (set_until(steps, 4, 6, "a=4 ", "a=6 ")) {
        steps++;
    }
    assert_int_equal(steps, 5); /* flushed, write, sync */
}

static int fail_open_of_hold(void *context, const char *call, const char *name, uint64_t offset,
                             size_t size)
{
    (void)offset;
    (void)size;
    return strcmp(call, "open") == 0 && strcmp(name, "holds/a") == 0 ? *(int *)context : 0;
}

/* Of another user, with a file that only that one may read. */
static void a_hold_that_may_not_be_read_keeps_no_writer_from_opening(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    assert_int_equal(weir_hold_set(fixture.log, "a", 3), 0);
    close_log(fixture.log);
    int error = -EACCES;
    struct weir_error why = WEIR_ERROR_INIT;
    fixture.disk.options.faults = (struct sim_memory_faults){fail_open_of_hold, &error};
    fixture.log = open_log(&fixture.disk, NULL);
    append_text(fixture.log, "one more", WEIR_EACH);
    assert_int_equal(weir_truncate_before(fixture.log, 2, &why), -EACCES); /* it may hold LSN 1 */
    assert_string_equal(why.file, "holds/a");
    close_log(fixture.log);
    error = -EIO; /* another reason leaves it open whether the hold is durable */
    assert_int_equal(try_open_log(&fixture.disk, NULL, &fixture.log, &why), -EIO);
    assert_string_equal(why.file, "holds/a");
    fixture.disk.options.faults = (struct sim_memory_faults){0};
    fixture.log = open_log(&fixture.disk, NULL);
    finish(&fixture);
}

static void a_read_only_handle_may_hold(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    fixture.disk.options.read_only = true;
    struct weir_log *reader = open_log(&fixture.disk, &options);
    fixture.disk.options.read_only = false;
    assert_int_equal(weir_hold_set(reader, "consumer", 5), 0);
    assert_int_equal(weir_hold_set(reader, "late", 11), -EINVAL);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_truncate_before(fixture.log, 6, &why), WEIR_E_HELD);
    append_text(fixture.log, "one more", WEIR_EACH);
    assert_int_equal(weir_hold_move(reader, "consumer", 11), 0);
    assert_int_equal(weir_truncate_before(fixture.log, 6, &why), 0);
    assert_int_equal(weir_hold_set(reader, "consumer", 5), WEIR_E_TRUNCATED);
    assert_int_equal(weir_truncate_before(reader, 7, &why), WEIR_E_READ_ONLY);
    close_log(reader);
    finish(&fixture);
}

struct busy {
    struct base_thread thread;
    struct weir_medium *medium;
    struct weir_file *lock;
};

static void let_go_soon(void *context)
{
    struct busy *busy = context;
    const struct timespec soon = {.tv_nsec = 20000000};
    (void)nanosleep(&soon, NULL);
    busy->medium->ops->close(busy->lock);
}

/* Another thread sets a hold, too: that is over in a moment, and no reason to refuse. */
static void a_log_that_waits_for_no_writer_waits_a_moment_for_who_sets_a_hold(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    struct busy busy;
    fixture.log->lock_wait_ns = 0;                           /* WEIR_NO_WAIT */
    assert_int_equal(weir_hold_set(fixture.log, "a", 7), 0); /* makes the lock's file */
    assert_int_equal(sim_memory_open(&fixture.disk.options, &busy.medium), 0);
    assert_int_equal(
        busy.medium->ops->open(busy.medium, "holds/.lock", WEIR_FILE_WRITE, &busy.lock), 0);
    assert_int_equal(busy.medium->ops->lock(busy.lock, WEIR_LOCK_EXCLUSIVE), 0);
    assert_int_equal(base_thread_start(&busy.thread, "busy", let_go_soon, &busy), 0);
    assert_int_equal(weir_hold_set(fixture.log, "a", 5), 0);
    base_thread_join(&busy.thread);
    busy.medium->ops->destroy(busy.medium);
    finish(&fixture);
}

static void wl_06_who_sets_a_hold_and_who_truncates_exclude_each_other(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    assert_int_equal(weir_hold_set(fixture.log, "a", 5), 0);
    struct weir_medium *other;
    struct weir_file *lock;
    assert_int_equal(sim_memory_open(&fixture.disk.options, &other), 0);
    assert_int_equal(other->ops->open(other, "holds/.lock", WEIR_FILE_WRITE, &lock), 0);
    assert_int_equal(other->ops->lock(lock, WEIR_LOCK_EXCLUSIVE), 0);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_truncate_before(fixture.log, 2, &why), -ETIMEDOUT);
    assert_string_equal(why.file, "holds/.lock");
    assert_int_equal(weir_hold_set(fixture.log, "a", 3), -ETIMEDOUT);
    assert_int_equal(weir_hold_drop(fixture.log, "a"), -ETIMEDOUT);
    assert_int_equal(weir_hold_move(fixture.log, "a", 6), 0); /* forward is always safe */
    other->ops->close(lock);
    assert_int_equal(weir_truncate_before(fixture.log, 2, &why), 0);
    other->ops->destroy(other);
    finish(&fixture);
}

/* Of a creation that was interrupted LOCK is there and nothing else: a reader may open it. */
static void a_log_that_was_not_made_yet_gets_no_holds(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_medium *keeper = disk.keeper;
    struct weir_file *file;
    assert_int_equal(keeper->ops->create(keeper, "LOCK", 4096, &file), 0);
    keeper->ops->close(file);
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_log *log = open_log(&disk, &options);
    assert_int_equal(weir_hold_set(log, "a", 1), WEIR_E_NOT_A_LOG);
    assert_int_equal(weir_hold_move(log, "a", 1), WEIR_E_NO_HOLD);
    assert_int_equal(weir_hold_drop(log, "a"), WEIR_E_NOT_A_LOG);
    assert_int_equal(keeper->ops->open(keeper, "holds/.lock", WEIR_FILE_READ, &file), -ENOENT);
    struct weir_state_lock *lock;
    assert_int_equal(weir_state_lock(log, "a", &lock), WEIR_E_NOT_A_LOG);
    assert_int_equal(keeper->ops->open(keeper, "derived/.lock", WEIR_FILE_READ, &file), -ENOENT);
    /* Once it is made it does, although the reader has not looked since. */
    struct weir_log *writer = open_log(&disk, NULL);
    assert_int_equal(weir_hold_set(log, "a", 1), 0);
    expect_holds(log, "a=1 ");
    expect_holds(writer, "a=1 ");
    close_log(writer);
    close_log(log);
    disk_free(&disk);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_are_listed_by_name_and_survive_a_reopen),
        cmocka_unit_test(set_lowers_move_does_not_and_drop_removes),
        cmocka_unit_test(a_floor_lies_between_what_is_retained_and_what_is_durable),
        cmocka_unit_test(names_cannot_leave_the_directory),
        cmocka_unit_test(an_update_that_is_torn_leaves_the_floor_before),
        cmocka_unit_test(wl_06_a_lowered_floor_survives_the_loss_of_either_slot),
        cmocka_unit_test(a_damaged_hold_is_never_passed_over),
        cmocka_unit_test(a_copy_under_another_name_is_damage),
        cmocka_unit_test(setting_a_hold_is_all_or_nothing_at_every_crash),
        cmocka_unit_test(a_hold_that_may_not_be_read_keeps_no_writer_from_opening),
        cmocka_unit_test(a_read_only_handle_may_hold),
        cmocka_unit_test(a_log_that_waits_for_no_writer_waits_a_moment_for_who_sets_a_hold),
        cmocka_unit_test(wl_06_who_sets_a_hold_and_who_truncates_exclude_each_other),
        cmocka_unit_test(a_log_that_was_not_made_yet_gets_no_holds),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
