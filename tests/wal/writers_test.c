/*
 * Several writers on every shape of medium, and one event loop: nothing is lost or reordered.
 */
#include "support.h"

#include "wal/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

struct writer {
    struct weir_log *log;
    pthread_t thread;
    int count, failures;
    enum weir_durability durability;
    uint64_t id;
};

static void *write_many(void *context)
{
    struct writer *writer = context;
    for (int i = 0; i < writer->count; i++) {
        uint64_t words[2] = {writer->id, (uint64_t)i};
        weir_lsn lsn;
        int rc = try_append(writer->log, words, sizeof words, writer->durability, &lsn);
        writer->failures += rc != 0;
        if (writer->durability == WEIR_EACH) {
            writer->failures += weir_durable_lsn(writer->log) < lsn;
        }
    }
    return NULL;
}

/* Every writer's records are there once, in its own order. */
static void expect_writers(struct weir_log *log, int writers, int count)
{
    struct weir_cursor *cursor;
    struct weir_record record;
    uint64_t next[16] = {0};
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    for (int i = 0; i < writers * count; i++) {
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        uint64_t words[2];
        assert_int_equal(record.size, sizeof words);
        memcpy(words, record.data, sizeof words);
        assert_int_equal(words[1], next[words[0]]++);
    }
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
    weir_cursor_close(cursor);
}

static void run_writers(struct weir_log *log, const enum weir_durability *durabilities, int writers,
                        int count)
{
    struct writer all[16] = {0};
    for (int i = 0; i < writers; i++) {
        all[i] = (struct writer){
            .log = log, .count = count, .id = (uint64_t)i, .durability = durabilities[i % 3]};
        assert_int_equal(pthread_create(&all[i].thread, NULL, write_many, &all[i]), 0);
    }
    for (int i = 0; i < writers; i++) {
        pthread_join(all[i].thread, NULL);
        assert_int_equal(all[i].failures, 0);
    }
}

static void several_writers_lose_and_reorder_nothing(const struct sim_memory_options *sim)
{
    static const enum weir_durability each[3] = {WEIR_EACH, WEIR_EACH, WEIR_EACH};
    static const enum weir_durability mixed[3] = {WEIR_EACH, WEIR_GROUP, WEIR_NONE};
    for (int round = 0; round < 2; round++) {
        struct test_disk disk = disk_new();
        struct sim_disk *shared = disk.options.disk;
        disk.options = *sim;
        disk.options.disk = shared;
        struct weir_log *log = open_log(&disk, NULL);
        run_writers(log, round == 0 ? each : mixed, 8, 600);
        assert_int_equal(weir_commit(log), 0);
        expect_writers(log, 8, 600);
        close_log(log);
        log = open_log(&disk, NULL);
        expect_writers(log, 8, 600);
        close_log(log);
        disk_free(&disk);
    }
}

static void writers_on_a_synchronous_medium(void **state)
{
    (void)state;
    several_writers_lose_and_reorder_nothing(&(struct sim_memory_options){0});
}

static void writers_on_an_asynchronous_medium_that_completes_in_reverse(void **state)
{
    (void)state;
    several_writers_lose_and_reorder_nothing(
        &(struct sim_memory_options){.asynchronous = true, .reversed = true});
}

static void writers_on_a_window_that_is_the_file(void **state)
{
    (void)state;
    several_writers_lose_and_reorder_nothing(
        &(struct sim_memory_options){.window_is_file = true, .block_bytes = 64});
}

static void writers_beside_a_service_thread_and_strict_witnesses(void **state)
{
    (void)state;
    static const enum weir_durability mixed[3] = {WEIR_EACH, WEIR_GROUP, WEIR_NONE};
    struct test_disk disk = disk_new();
    disk.options.asynchronous = true;
    struct weir_log_options options = small_options();
    options.flags |= WEIR_LOG_SERVICE_THREAD;
    options.witness = WEIR_WITNESS_STRICT;
    struct weir_log *log = open_log(&disk, &options);
    run_writers(log, mixed, 6, 300);
    assert_int_equal(weir_commit(log), 0);
    expect_writers(log, 6, 300);
    close_log(log);
    disk_free(&disk);
}

static void an_event_loop_drives_the_ring_itself(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    disk.options.asynchronous = true;
    struct weir_log *log = open_log(&disk, NULL);
    int fd;
    assert_int_equal(weir_eventfd(log, &fd), 0);
    weir_lsn last = 0, durable = 0;
    for (int i = 0; i < 100; i++) {
        last = append_text(log, "event", WEIR_GROUP);
    }
    for (int i = 0; i < 1000 && durable < last; i++) {
        assert_int_equal(weir_process(log, &durable), 0);
    }
    assert_int_equal(durable, last);
    close_log(log);
    disk_free(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_on_a_synchronous_medium),
        cmocka_unit_test(writers_on_an_asynchronous_medium_that_completes_in_reverse),
        cmocka_unit_test(writers_on_a_window_that_is_the_file),
        cmocka_unit_test(writers_beside_a_service_thread_and_strict_witnesses),
        cmocka_unit_test(an_event_loop_drives_the_ring_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
