/*
 * Reservations: published, cancelled, waited for.
 */
#include "support.h"

#include "wal/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static void wl_16_a_reservation_is_published_or_keeps_its_lsn_as_a_void(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_reservation kept, dropped;
    assert_int_equal(weir_reserve(log, 7, 5, &kept), 0);
    assert_int_equal(weir_reserve(log, 7, 9, &dropped), 0);
    struct weir_reservation again = kept;
    memcpy(kept.data, "kept!", 5);
    struct weir_stat stat = WEIR_STAT_INIT;
    weir_log_stat(log, &stat);
    assert_int_equal(stat.open_reservations, 2);
    assert_int_equal(stat.append_bytes, 5 + 9);
    assert_int_equal(stat.oldest_reservation, kept.lsn);
    assert_int_equal(weir_log_close(log), -EBUSY);
    assert_int_equal(weir_cancel(log, &dropped), 0);
    assert_int_equal(weir_publish(log, &kept, WEIR_NONE), 0);
    assert_int_equal(weir_publish(log, &again, WEIR_NONE), -EINVAL);
    assert_int_equal(weir_cancel(log, &dropped), -EINVAL);
    weir_lsn lsn = append_text(log, "after", WEIR_EACH);
    assert_int_equal(lsn, 3);

    struct weir_cursor *cursor;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_memory_equal(record.data, "kept!", 5);
    assert_int_equal(record.type, 7);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(record.lsn, 3);
    weir_cursor_close(cursor);
    close_log(log);
    disk_free(&disk);
}

static void wl_16_waiting_for_durable_while_holding_a_reservation_is_edeadlk(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(log, 0, 8, &reservation), 0);
    weir_lsn lsn = append_text(log, "x", WEIR_NONE);
    assert_int_equal(weir_wait(log, lsn, WEIR_WAIT_FOREVER), -EDEADLK);
    assert_int_equal(weir_commit(log), -EDEADLK);
    assert_int_equal(try_append(log, "y", 1, WEIR_EACH, &lsn), -EDEADLK);
    memset(reservation.data, 1, 8);
    assert_int_equal(weir_publish(log, &reservation, WEIR_EACH), 0);
    assert_int_equal(weir_durable_lsn(log), 2);
    close_log(log);
    disk_free(&disk);
}

static void *wait_for_one_millisecond(void *context)
{
    struct weir_log *log = context;
    weir_lsn last;
    int rc = try_append(log, "behind", 6, WEIR_GROUP, &last);
    if (rc == 0) {
        rc = weir_wait(log, last, 1000000);
    }
    return (void *)(intptr_t)rc;
}

static void wl_16_an_open_reservation_delays_nobody_who_does_not_wait_for_it(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    weir_lsn before = append_text(log, "before", WEIR_NONE);
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(log, 0, 3, &reservation), 0);
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_one_millisecond, log), 0);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, -ETIMEDOUT);
    memcpy(reservation.data, "now", 3);
    assert_int_equal(weir_publish(log, &reservation, WEIR_EACH), 0);
    assert_int_equal(weir_wait(log, before + 2, WEIR_WAIT_FOREVER), 0);
    expect_texts(log, 1, (const char *const[]){"before", "now", "behind"}, 3);
    close_log(log);
    disk_free(&disk);
}

struct publisher {
    struct weir_log *log;
    struct weir_reservation reservation;
};

static void *publish_none(void *context)
{
    struct publisher *publisher = context;
    return (void *)(intptr_t)weir_publish(publisher->log, &publisher->reservation, WEIR_NONE);
}

static void wl_16_a_waiting_leader_wakes_when_another_thread_publishes(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    for (int i = 0; i < 50; i++) {
        struct publisher publisher = {.log = log};
        pthread_t thread;
        assert_int_equal(weir_reserve(log, 0, 0, &publisher.reservation), 0);
        assert_int_equal(pthread_create(&thread, NULL, wait_for_one_millisecond, log), 0);
        assert_int_equal((intptr_t)publish_none(&publisher), 0);
        void *result;
        pthread_join(thread, &result);
        assert_true((intptr_t)result == 0 || (intptr_t)result == -ETIMEDOUT);
    }
    assert_int_equal(weir_commit(log), 0);
    assert_int_equal(count_records(log), 100);
    close_log(log);
    disk_free(&disk);
}

static void more_reservations_than_slots_are_refused(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_reservation all[WAL_RESERVATIONS], more;
    for (unsigned i = 0; i < WAL_RESERVATIONS; i++) {
        assert_int_equal(weir_reserve(log, 0, 0, &all[i]), 0);
    }
    assert_int_equal(weir_reserve(log, 0, 0, &more), WEIR_E_BUSY);
    for (unsigned i = 0; i < WAL_RESERVATIONS; i++) {
        assert_int_equal(weir_cancel(log, &all[i]), 0);
    }
    assert_int_equal(weir_reserve(log, 0, 0, &more), 0);
    assert_int_equal(weir_cancel(log, &more), 0);
    assert_int_equal(count_records(log), 0);
    close_log(log);
    disk_free(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_16_a_reservation_is_published_or_keeps_its_lsn_as_a_void),
        cmocka_unit_test(wl_16_waiting_for_durable_while_holding_a_reservation_is_edeadlk),
        cmocka_unit_test(wl_16_an_open_reservation_delays_nobody_who_does_not_wait_for_it),
        cmocka_unit_test(wl_16_a_waiting_leader_wakes_when_another_thread_publishes),
        cmocka_unit_test(more_reservations_than_slots_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
