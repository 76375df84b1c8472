/*
 * What making calls fail has found, each thing on its own.
 */
#include "tests/fault/inject.h"
#include "tests/fault/scenario.h"
#include "tests/wal/support.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/sync.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 4u
#define ODD 4u /* of the errors of pread in calls.c: the variant that ends within a block */
#define NOTHING 6u
#define NO_SPACE 1u /* of pwritev2 */
#define ATTEMPTS 16u
#define AGAIN 2u /* of madvise: a page is not to be had now */

static void a_read_that_ends_within_a_block_is_asked_for_again(void **state)
{
    (void)state;
    static _Alignas(BASE_FILE_BLOCK) uint8_t bytes[BLOCKS * BASE_FILE_BLOCK];
    static _Alignas(BASE_FILE_BLOCK) uint8_t found[sizeof bytes];
    char path[256];
    struct base_directory directory;
    struct base_file file;
    scenario_make_directory(path, sizeof path);
    assert_int_equal(base_directory_open(&directory, path), 0);
    for (int direct = 0; direct < 2; direct++) {
        assert_int_equal(base_file_create(&directory, "file", sizeof bytes,
                                          direct != 0 ? BASE_DIRECT_PREFERRED : BASE_DIRECT_NEVER,
                                          &file),
                         0);
        memset(bytes, 'x', sizeof bytes);
        assert_int_equal(base_file_write(&file, 0, bytes, sizeof bytes), 0);
        size_t size = 0;
        struct fault_plan plan = {.at = 1, .variant = ODD, .only = FAULT_pread};
        fault_arm(&plan);
        assert_int_equal(base_file_read(&file, 0, found, sizeof found, &size), 0);
        (void)fault_disarm();
        assert_int_equal(fault_strikes(), 1);
        assert_int_equal(size, sizeof bytes);
        assert_memory_equal(found, bytes, sizeof bytes);

        /* Nothing, where the file goes on, is not its end. */
        plan.variant = NOTHING;
        fault_arm(&plan);
        assert_int_equal(base_file_read(&file, 0, found, sizeof found, &size), 0);
        (void)fault_disarm();
        assert_int_equal(size, sizeof bytes);

        /* The end of the file within a block is one, however often it is asked for. */
        assert_int_equal(ftruncate(file.fd, BASE_FILE_BLOCK + 100), 0);
        assert_int_equal(base_file_read(&file, 0, found, sizeof found, &size), 0);
        assert_int_equal(size, BASE_FILE_BLOCK + 100);
        base_file_close(&file);
        assert_int_equal(base_file_remove(&directory, "file"), 0);
    }
    base_directory_close(&directory);
    remove_directory(path);
}

/* The segment is full, and the next one cannot be had: the system says "try again" for ever. */
static void o10_a_commit_does_not_wait_for_room_that_the_system_refuses(void **state)
{
    (void)state;
    struct scenario self = {.medium = &SCENARIO_MEDIA[3]}; /* mapped, sync */
    char *path = self.directory;
    if (scenario_refusal(self.medium) != NULL) {
        skip();
    }
    scenario_make_directory(path, sizeof self.directory);
    struct weir_log_options options = scenario_options(&self, WEIR_LOG_CREATE);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    assert_int_equal(weir_log_open(path, &options, &log, &why), 0);
    struct fault_plan plan = {
        .at = 1, .reach = FAULT_SAME_CALL, .variant = AGAIN, .only = FAULT_madvise};
    fault_arm(&plan);
    int rc;
    do {
        rc = try_append(log, "fills a block", 13, WEIR_EACH, NULL);
    } while (rc == 0);
    assert_int_equal(rc, -EAGAIN);
    alarm(20);
    assert_int_equal(weir_commit(log), -EAGAIN); /* no room for the witness */
    alarm(0);
    (void)fault_disarm();
    assert_int_equal(weir_commit(log), 0);
    append_text(log, "goes on", WEIR_EACH);
    close_log(log);
    remove_directory(path);
}

/* On a disk that is full, neither the witness nor the next segment is asked for all the time. */
static void the_service_thread_tries_a_full_disk_ever_more_rarely(void **state)
{
    (void)state;
    struct scenario self = {.medium = &SCENARIO_MEDIA[3]};
    if (scenario_refusal(self.medium) != NULL) {
        skip();
    }
    scenario_make_directory(self.directory, sizeof self.directory);
    struct weir_log_options options = scenario_options(&self, WEIR_LOG_CREATE);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    options.flags |= WEIR_LOG_SERVICE_THREAD;
    options.witness = WEIR_WITNESS_IDLE;
    options.idle_ns = 100000;
    struct fault_plan plan = {
        .at = 1, .reach = FAULT_SAME_CALL, .variant = NO_SPACE, .only = FAULT_pwritev2};
    assert_int_equal(weir_log_open(self.directory, &options, &log, &why), 0);
    fault_arm(&plan);
    while (try_append(log, "fills a block", 13, WEIR_EACH, NULL) == 0) {
    }
    unsigned before = fault_strikes();
    uint64_t start_ns = base_clock_monotonic_ns();
    while (fault_strikes() < before + ATTEMPTS) {
        base_yield();
    }
    /* Two things are tried, each at 2, 4, 8, ... ms behind the time before. */
    assert_true(base_clock_monotonic_ns() - start_ns > UINT64_C(100000000));
    (void)fault_disarm();
    assert_int_equal(weir_commit(log), 0);
    close_log(log);
    remove_directory(self.directory);
}

/* The lock on a sealed segment cannot be turned into a shared one, once. */
static void wl_14_a_lock_that_cannot_be_changed_shuts_no_reader_out(void **state)
{
    (void)state;
    static const uint8_t payload[12000];
    for (uint64_t at = 1; at <= 6; at++) {
        struct scenario self = {.medium = &SCENARIO_MEDIA[3]};
        struct weir_log_options options = scenario_options(&self, WEIR_LOG_CREATE);
        struct weir_error why = WEIR_ERROR_INIT;
        struct weir_log *log = NULL, *reader = NULL;
        if (scenario_refusal(self.medium) != NULL) {
            skip();
        }
        scenario_make_directory(self.directory, sizeof self.directory);
        assert_int_equal(weir_log_open(self.directory, &options, &log, &why), 0);
        struct fault_plan plan = {.at = at, .only = FAULT_fcntl};
        fault_arm(&plan);
        uint64_t count = 0;
        for (unsigned i = 0; i < 45; i++) { /* two segments and a half */
            count += try_append(log, payload, sizeof payload, WEIR_EACH, NULL) == 0;
        }
        (void)fault_disarm();
        options = scenario_options(&self, WEIR_LOG_READ_ONLY);
        assert_int_equal(weir_log_open(self.directory, &options, &reader, &why), 0);
        assert_int_equal(count_records(reader), count);
        close_log(reader);
        close_log(log);
        remove_directory(self.directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(o10_a_commit_does_not_wait_for_room_that_the_system_refuses),
        cmocka_unit_test(the_service_thread_tries_a_full_disk_ever_more_rarely),
        cmocka_unit_test(wl_14_a_lock_that_cannot_be_changed_shuts_no_reader_out),
        cmocka_unit_test(a_read_that_ends_within_a_block_is_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
