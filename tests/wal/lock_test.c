/*
 * LOCK: one writer, any number of openers that wait for it or are told who it is.
 */
#include "support.h"

#include "base/clock.h"
#include "base/identity.h"
#include "base/sync.h"
#include "base/system.h"
#include "wal/format.h"
#include "wal/lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void wl_14_opening_twice_in_one_process_fails_and_names_the_holder(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL), *second = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(try_open_log(&disk, NULL, &second, &why), WEIR_E_LOCKED);
    assert_null(second);
    char process[64], host[80];
    base_host_name(host, sizeof host);
    (void)snprintf(process, sizeof process, "process %u on", (unsigned)getpid());
    assert_non_null(strstr(why.text, process));
    assert_non_null(strstr(why.text, host));
    assert_string_equal(why.file, "LOCK");
    assert_int_equal(append_text(log, "still mine", WEIR_EACH), 1);
    close_log(log);
    close_log(open_log(&disk, NULL));
    disk_free(&disk);
}

/* A clock that only sleeping moves, and that counts how often somebody slept. */
struct slow_clock {
    uint64_t now_ns;
    unsigned sleeps;
};

static uint64_t slow_now(void *context)
{
    return ((struct slow_clock *)context)->now_ns;
}

static int slow_wait(void *context, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns,
                     bool shared)
{
    (void)word;
    (void)expected;
    (void)shared;
    struct slow_clock *clock = context;
    assert_true(timeout_ns > 0);
    clock->now_ns += (uint64_t)timeout_ns;
    clock->sleeps++;
    return -ETIMEDOUT;
}

static void use_slow_clock(struct slow_clock *clock, struct base_system *system)
{
    *system = (struct base_system){.context = clock, .monotonic = slow_now, .wait = slow_wait};
    base_system_set(system);
}

struct two_files {
    struct test_disk disk;
    struct weir_medium *medium;
    struct weir_file *held, *wanted;
};

static struct two_files lock_held_elsewhere(void)
{
    struct two_files files = {.disk = disk_new()};
    files.medium = files.disk.keeper;
    assert_int_equal(lock_take(files.medium, WEIR_LOCK_EXCLUSIVE, 0, &files.held, NULL), 0);
    return files;
}

static void wl_14_an_opener_waits_for_lock_wait_and_not_longer(void **state)
{
    (void)state;
    struct two_files files = lock_held_elsewhere();
    struct slow_clock clock = {.now_ns = 1};
    struct base_system system;
    use_slow_clock(&clock, &system);
    int64_t wait_ns = INT64_C(300) * (int64_t)BASE_NS_PER_MS;
    int rc = lock_take(files.medium, WEIR_LOCK_EXCLUSIVE, wait_ns, &files.wanted, NULL);
    base_system_set(NULL);
    assert_int_equal(rc, WEIR_E_LOCKED);
    assert_int_equal(clock.now_ns - 1, wait_ns);
    assert_true(clock.sleeps >= 30); /* it looks often, and it sleeps in between */
    lock_drop(files.medium, &files.held);
    disk_free(&files.disk);
}

static void without_waiting_nobody_sleeps(void **state)
{
    (void)state;
    struct two_files files = lock_held_elsewhere();
    struct slow_clock clock = {.now_ns = 1};
    struct base_system system;
    use_slow_clock(&clock, &system);
    int rc = lock_take(files.medium, WEIR_LOCK_EXCLUSIVE, lock_wait_from_option(WEIR_NO_WAIT),
                       &files.wanted, NULL);
    base_system_set(NULL);
    assert_int_equal(rc, WEIR_E_LOCKED);
    assert_int_equal(clock.sleeps, 0);
    lock_drop(files.medium, &files.held);
    disk_free(&files.disk);
}

static void the_option_has_a_default_of_two_seconds(void **state)
{
    (void)state;
    assert_int_equal(lock_wait_from_option(0), 2000000000);
    assert_int_equal(lock_wait_from_option(5), 5);
    assert_int_equal(lock_wait_from_option(WEIR_NO_WAIT), 0);
    assert_int_equal(lock_wait_from_option(WEIR_WAIT_FOREVER), -1);
}

static void readers_share_and_keep_a_writer_out(void **state)
{
    (void)state;
    struct two_files files = lock_held_elsewhere();
    lock_drop(files.medium, &files.held);
    struct weir_file *one = NULL, *two = NULL, *writer = NULL;
    assert_int_equal(lock_take(files.medium, WEIR_LOCK_SHARED, 0, &one, NULL), 0);
    assert_int_equal(lock_take(files.medium, WEIR_LOCK_SHARED, 0, &two, NULL), 0);
    assert_int_equal(lock_writer_is_alive(files.medium), 0);
    assert_int_equal(lock_take(files.medium, WEIR_LOCK_EXCLUSIVE, 0, &writer, NULL), WEIR_E_LOCKED);
    lock_drop(files.medium, &one);
    lock_drop(files.medium, &two);
    assert_int_equal(lock_take(files.medium, WEIR_LOCK_EXCLUSIVE, 0, &writer, NULL), 0);
    assert_int_equal(lock_writer_is_alive(files.medium), 1);
    lock_drop(files.medium, &writer);
    disk_free(&files.disk);
}

static void without_a_lock_file_there_is_no_writer(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_file *file = NULL;
    assert_int_equal(lock_writer_is_alive(disk.keeper), 0);
    assert_int_equal(lock_take(disk.keeper, WEIR_LOCK_SHARED, 0, &file, NULL), -ENOENT);
    assert_null(file);
    disk_free(&disk);
}

static void a_holder_line_of_garbage_is_cut_at_the_first_odd_byte(void **state)
{
    (void)state;
    struct two_files files = lock_held_elsewhere();
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(files.medium, "LOCK", false, &size);
    assert_non_null(bytes);
    char line[LOCK_HOLDER_BYTES];
    memset(bytes, 'x', size);
    lock_read_holder(files.medium, line);
    assert_int_equal(strlen(line), LOCK_HOLDER_BYTES - 1);
    bytes[3] = 0x1b;
    lock_read_holder(files.medium, line);
    assert_string_equal(line, "xxx");
    lock_drop(files.medium, &files.held);
    disk_free(&files.disk);
}

static void an_opener_waits_for_writes_of_a_killed_process(void **state)
{
    (void)state;
    struct two_files files = lock_held_elsewhere();
    struct weir_medium *medium = files.medium;
    char name[FORMAT_NAME_BYTES];
    struct weir_file *segment, *complete;
    format_segment_name(7, name);
    assert_int_equal(medium->ops->create(medium, name, 4096, &segment), 0);
    assert_int_equal(medium->ops->lock(segment, WEIR_LOCK_EXCLUSIVE), 0);
    format_segment_name(6, name);
    assert_int_equal(medium->ops->create(medium, name, 4096, &complete), 0);
    assert_int_equal(medium->ops->lock(complete, WEIR_LOCK_SHARED), 0);

    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(lock_wait_for_io(medium, 6, 0, &why), WEIR_E_LOCKED);
    assert_string_equal(why.file, "segment-0000000000000007");
    assert_int_equal(lock_wait_for_io(medium, 8, 0, &why), 0);
    medium->ops->close(segment);
    assert_int_equal(lock_wait_for_io(medium, 6, 0, &why), 0);
    medium->ops->close(complete);
    lock_drop(medium, &files.held);
    disk_free(&files.disk);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_14_opening_twice_in_one_process_fails_and_names_the_holder),
        cmocka_unit_test(wl_14_an_opener_waits_for_lock_wait_and_not_longer),
        cmocka_unit_test(without_waiting_nobody_sleeps),
        cmocka_unit_test(the_option_has_a_default_of_two_seconds),
        cmocka_unit_test(readers_share_and_keep_a_writer_out),
        cmocka_unit_test(without_a_lock_file_there_is_no_writer),
        cmocka_unit_test(a_holder_line_of_garbage_is_cut_at_the_first_odd_byte),
        cmocka_unit_test(an_opener_waits_for_writes_of_a_killed_process),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
