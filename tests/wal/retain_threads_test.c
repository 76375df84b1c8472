/*
 * Everything at once: threads that append, truncate, hold and read, on the writer's handle and on a
 * reader's beside it. Meant for the thread sanitizer as much as for its assertions.
 */
#include "support.h"

#include "wal/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define RECORDS 6000u
#define PAYLOAD_MAX 1500u
#define APPENDERS 2
#define CURSORS 2

struct shared {
    struct weir_log *writer, *reader;
    _Atomic uint64_t appended;
    _Atomic uint32_t done;
    _Atomic uint32_t failures;
    _Atomic int first_failure; /* line */
};

/* Threads record, the test asserts. */
static bool check(struct shared *shared, bool condition, int line)
{
    if (!condition) {
        int none = 0;
        atomic_compare_exchange_strong(&shared->first_failure, &none, line);
        atomic_fetch_add(&shared->failures, 1);
    }
    return condition;
}

#define CHECK(shared, condition) check(shared, condition, __LINE__)

static void *append_main(void *context)
{
    struct shared *shared = context;
    uint8_t payload[PAYLOAD_MAX];
    uint64_t number;
    while ((number = atomic_fetch_add(&shared->appended, 1)) < RECORDS) {
        size_t size = 1 + number * 7919 % (PAYLOAD_MAX - 1);
        memset(payload, (int)(size & 0xff), size);
        struct weir_part part = {payload, size};
        struct weir_entry entry = {.parts = &part, .part_count = 1, .user = (uint32_t)size};
        enum weir_durability durability = number % 16 == 0 ? WEIR_EACH : WEIR_GROUP;
        if (!CHECK(shared, weir_append(shared->writer, &entry, durability, NULL) == 0)) {
            break;
        }
    }
    return NULL;
}

static bool is_whole(const struct weir_record *record)
{
    const uint8_t *bytes = record->data;
    for (uint32_t i = 0; i < record->size; i++) {
        if (bytes[i] != (record->user & 0xff)) {
            return false;
        }
    }
    return record->size == record->user;
}

/* Reads to the end of everything, seeking behind each truncation that overtakes it. */
static void read_all(struct shared *shared, struct weir_log *log)
{
    struct weir_cursor *cursor;
    struct weir_record record;
    if (!CHECK(shared, weir_cursor_open(log, NULL, &cursor) == 0)) {
        return;
    }
    weir_lsn next = 0;
    while (next <= RECORDS) {
        int rc = weir_cursor_next(cursor, &record);
        if (rc == 0) {
            rc = weir_cursor_wait(cursor, 1000000);
            rc = rc == 1 ? 0 : rc;
            if (atomic_load(&shared->failures) > 0) {
                break;
            }
        }
        if (rc == WEIR_E_TRUNCATED) {
            rc = weir_cursor_seek(cursor, 0); /* it may be overtaken again at once */
            CHECK(shared, rc == 0 || rc == WEIR_E_TRUNCATED);
            next = 0;
        } else if (rc == 1) {
            CHECK(shared, (next == 0 || record.lsn == next) && is_whole(&record));
            next = record.lsn + 1;
        } else if (!CHECK(shared, rc == 0)) {
            print_error("cursor: %d\n", rc);
            break;
        }
    }
    weir_cursor_close(cursor);
}

static void *read_writer_main(void *context)
{
    struct shared *shared = context;
    read_all(shared, shared->writer);
    return NULL;
}

static void *read_reader_main(void *context)
{
    struct shared *shared = context;
    read_all(shared, shared->reader);
    return NULL;
}

static void *truncate_main(void *context)
{
    struct shared *shared = context;
    while (atomic_load(&shared->done) == 0) {
        weir_lsn durable = weir_durable_lsn(shared->writer);
        weir_lsn lsn = durable > 400 ? durable - 400 : 1;
        int rc = weir_truncate_before(shared->writer, lsn, NULL);
        CHECK(shared, rc == 0 || rc == WEIR_E_HELD || rc == -ETIMEDOUT);
        struct weir_stat stat = WEIR_STAT_INIT;
        CHECK(shared, weir_log_stat(shared->writer, &stat) == 0);
        CHECK(shared, stat.durable <= stat.reserved);
    }
    return NULL;
}

static void *hold_main(void *context)
{
    struct shared *shared = context;
    while (atomic_load(&shared->done) == 0) {
        struct weir_stat stat = WEIR_STAT_INIT;
        CHECK(shared, weir_log_stat(shared->reader, &stat) == 0);
        if (stat.latest == 0) {
            continue;
        }
        int rc = weir_hold_set(shared->reader, "consumer", stat.latest);
        CHECK(shared, rc == 0 || rc == WEIR_E_TRUNCATED || rc == -ETIMEDOUT);
        weir_lsn earliest = atomic_load(&shared->writer->marks.earliest);
        CHECK(shared, rc != 0 || earliest <= stat.latest);
        rc = weir_hold_drop(shared->reader, "consumer");
        CHECK(shared, rc == 0 || rc == WEIR_E_NO_HOLD || rc == -ETIMEDOUT);
    }
    return NULL;
}

static struct weir_log *open_reader(struct test_disk *disk)
{
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    options.lock_wait_ns = 0;
    disk->options.read_only = true;
    struct weir_log *log = open_log(disk, &options);
    disk->options.read_only = false;
    return log;
}

static void run(const struct sim_memory_options *medium)
{
    struct test_disk disk = {.options = *medium};
    assert_int_equal(sim_memory_open(&disk.options, &disk.keeper), 0);
    disk.options.disk = sim_memory_disk(disk.keeper);
    struct weir_log_options options = small_options();
    options.lock_wait_ns = 0;
    struct shared shared = {.writer = open_log(&disk, &options)};
    shared.reader = open_reader(&disk);

    pthread_t appenders[APPENDERS], readers[2 * CURSORS], truncator, holder;
    for (int i = 0; i < CURSORS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_writer_main, &shared), 0);
        assert_int_equal(pthread_create(&readers[CURSORS + i], NULL, read_reader_main, &shared), 0);
    }
    assert_int_equal(pthread_create(&truncator, NULL, truncate_main, &shared), 0);
    assert_int_equal(pthread_create(&holder, NULL, hold_main, &shared), 0);
    for (int i = 0; i < APPENDERS; i++) {
        assert_int_equal(pthread_create(&appenders[i], NULL, append_main, &shared), 0);
    }
    for (int i = 0; i < APPENDERS; i++) {
        assert_int_equal(pthread_join(appenders[i], NULL), 0);
    }
    assert_int_equal(weir_commit(shared.writer), 0);
    for (int i = 0; i < 2 * CURSORS; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    atomic_store(&shared.done, 1);
    assert_int_equal(pthread_join(truncator, NULL), 0);
    assert_int_equal(pthread_join(holder, NULL), 0);
    if (shared.failures > 0) {
        print_error("first failed check: line %d\n", shared.first_failure);
    }
    assert_int_equal(shared.failures, 0);
    close_log(shared.reader);
    close_log(shared.writer);
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_int_equal(stat.latest, RECORDS);
    assert_int_equal(count_records(log), stat.latest - stat.earliest + 1);
    close_log(log);
    disk_free(&disk);
}

static void wl_06_all_at_once_with_windows_of_their_own(void **state)
{
    (void)state;
    run(&(struct sim_memory_options){.block_bytes = 4096, .asynchronous = true});
}

static void wl_06_all_at_once_with_windows_that_are_the_files(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* a reader process reads blocks whose end is being written, and drops that end */
#endif
    run(&(struct sim_memory_options){.block_bytes = 64, .window_is_file = true});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_06_all_at_once_with_windows_of_their_own),
        cmocka_unit_test(wl_06_all_at_once_with_windows_that_are_the_files),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
