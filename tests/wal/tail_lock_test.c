/*
 * The bias of the tail's lock: who gets it, what it saves, and that nobody is overlooked for it.
 */
#include "support.h"

#include "base/system.h"
#include "base/thread.h"
#include "wal/commit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define TURNS 200 /* more than it takes */

static struct weir_log *open_on_pmem(struct test_disk *disk)
{
    *disk = disk_new();
    disk->options.block_bytes = 64;
    disk->options.window_is_file = true;
    return open_log(disk, NULL);
}

static bool is_owner(struct weir_log *log)
{
    return atomic_load(&log->tail.lock.owner) == tail_thread();
}

static void append_in_a_row(struct weir_log *log, int count)
{
    for (int i = 0; i < count; i++) {
        append_text(log, "alone", WEIR_EACH);
    }
}

static struct weir_log *open_and_own(struct test_disk *disk)
{
    struct weir_log *log = open_on_pmem(disk);
    append_in_a_row(log, TURNS);
    if (!is_owner(log)) {
        print_message("no membarrier() here\n");
        skip();
    }
    return log;
}

static void close_both(struct weir_log *log, struct test_disk *disk)
{
    close_log(log);
    disk_free(disk);
}

static void who_appends_alone_for_long_needs_no_lock(void **state)
{
    (void)state;
    struct test_disk disk;
    struct weir_log *log = open_on_pmem(&disk);
    append_text(log, "first", WEIR_EACH);
    assert_false(is_owner(log));
    close_both(log, &disk);
    log = open_and_own(&disk);
    weir_lsn before = weir_durable_lsn(log);
    base_lock_acquire(&log->tail.lock.lock); /* behind the back of tail_acquire() */
    append_in_a_row(log, 10);
    base_lock_release(&log->tail.lock.lock);
    assert_int_equal(weir_durable_lsn(log), before + 10);
    assert_int_equal(count_records(log), TURNS + 10);
    close_both(log, &disk);
}

static void acquire_and_release(void *context)
{
    tail_acquire(context);
    tail_release(context);
}

static void on_another_thread(base_thread_main main, void *context)
{
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, "other", main, context), 0);
    base_thread_join(&thread);
}

static void anybody_else_takes_it_away_and_it_is_earned_again_more_slowly(void **state)
{
    (void)state;
    struct test_disk disk;
    struct weir_log *log = open_and_own(&disk);
    uint32_t wanted = log->tail.lock.turns_wanted;
    on_another_thread(acquire_and_release, log);
    assert_false(tail_is_owned(log));
    assert_int_equal(log->tail.lock.turns_wanted, 2 * wanted);
    append_in_a_row(log, (int)wanted);
    assert_false(tail_is_owned(log));
    append_in_a_row(log, (int)wanted);
    assert_true(is_owner(log));
    append_text(log, "of the owner itself", WEIR_NONE); /* costs it nothing */
    assert_int_equal(log->tail.lock.turns_wanted, 2 * wanted);
    assert_false(tail_is_owned(log));
    close_both(log, &disk);
}

static int yields;

static void leave_after_some(void *context)
{
    if (++yields == 10) {
        tail_leave(context);
    }
}

static void who_takes_it_away_waits_until_the_owner_is_outside(void **state)
{
    (void)state;
    struct test_disk disk;
    struct weir_log *log = open_and_own(&disk);
    log->tail.lock.owner++; /* another thread's, which has gone in */
    atomic_store(&log->tail.lock.inside, 1);
    yields = 0;
    struct base_system system = {.context = &log->tail.lock, .yield = leave_after_some};
    base_system_set(&system);
    tail_acquire(log);
    base_system_set(NULL);
    assert_int_equal(yields, 10);
    assert_int_equal(atomic_load(&log->tail.lock.inside), 0);
    tail_release(log);
    close_both(log, &disk);
}

static void a_leader_takes_it_away(void **state)
{
    (void)state;
    struct test_disk disk;
    struct weir_log *log = open_and_own(&disk);
    assert_true(leader_try(log));
    assert_false(tail_is_owned(log));
    leader_leave(log);
    close_both(log, &disk);
}

struct follower {
    struct weir_log *log;
    struct weir_cursor *cursor;
    int rc;
};

static void wait_for_one(void *context)
{
    struct follower *follower = context;
    follower->rc = weir_cursor_wait(follower->cursor, WEIR_WAIT_FOREVER);
}

static void a_cursor_that_sleeps_is_woken_by_who_owned_the_tail(void **state)
{
    (void)state;
    struct test_disk disk;
    struct weir_log *log = open_and_own(&disk);
    struct follower follower = {.log = log};
    struct weir_cursor_options from = WEIR_CURSOR_OPTIONS_INIT;
    from.from = WEIR_FROM_LSN;
    from.lsn = TURNS + 1;
    assert_int_equal(weir_cursor_open(log, &from, &follower.cursor), 0);
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, "follower", wait_for_one, &follower), 0);
    while (atomic_load(&log->tailers.sleeping) == 0 || tail_is_owned(log)) {
        base_yield();
    }
    append_in_a_row(log, 1);
    base_thread_join(&thread);
    assert_int_equal(follower.rc, 1);
    append_in_a_row(log, TURNS); /* nobody sleeps any more */
    weir_cursor_close(follower.cursor);
    close_both(log, &disk);
}

static void who_arms_a_descriptor_takes_it_away_for_as_long(void **state)
{
    (void)state;
    struct test_disk disk;
    struct weir_log *log = open_and_own(&disk);
    struct weir_cursor_options from = WEIR_CURSOR_OPTIONS_INIT;
    from.from = WEIR_FROM_LSN;
    from.lsn = TURNS + 1;
    struct weir_cursor *cursor;
    struct weir_record record;
    int fd;
    assert_int_equal(weir_cursor_open(log, &from, &cursor), 0);
    assert_int_equal(weir_cursor_eventfd(cursor, &fd), 0);
    assert_false(tail_is_owned(log));
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
    append_in_a_row(log, 2 * TURNS);
    assert_false(tail_is_owned(log));
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 0), 1);
    weir_cursor_close(cursor);
    append_in_a_row(log, 3 * TURNS); /* to make the next segment takes it away once, on the way */
    assert_true(is_owner(log));
    assert_int_equal(weir_eventfd(log, &fd), 0);
    assert_false(tail_is_owned(log));
    close_both(log, &disk);
}

/* ---- an owner, and others that come now and then ---- */

#define EACH_APPENDS 20000

struct visitor {
    struct weir_log *log;
    _Atomic bool stop;
    uint64_t appended;
    int rc;
};

static void visit_now_and_then(void *context)
{
    struct visitor *visitor = context;
    while (!atomic_load(&visitor->stop) && visitor->rc == 0) {
        weir_lsn lsn;
        visitor->rc = try_append(visitor->log, "visitor", 7, WEIR_GROUP, &lsn);
        visitor->appended += visitor->rc == 0 ? 1 : 0;
        visitor->rc = visitor->rc < 0 ? visitor->rc : weir_wait(visitor->log, lsn, -1);
        for (int i = 0; i < 2000; i++) {
            base_cpu_relax();
        }
    }
}

static void an_owner_that_is_visited_loses_nothing(void **state)
{
    (void)state;
    struct test_disk disk;
    struct weir_log *log = open_and_own(&disk);
    struct visitor visitor = {.log = log};
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, "visitor", visit_now_and_then, &visitor), 0);
    for (int i = 0; i < EACH_APPENDS; i++) {
        if (i % 64 == 0) {
            tail_acquire(log);
            log->tail.lock.turns_wanted = 8; /* an owner again soon */
            tail_release(log);
        }
        weir_lsn lsn = append_text(log, "owner", WEIR_EACH);
        assert_true(weir_durable_lsn(log) >= lsn);
    }
    atomic_store(&visitor.stop, true);
    base_thread_join(&thread);
    assert_int_equal(visitor.rc, 0);
    uint64_t expected = TURNS + EACH_APPENDS + visitor.appended;
    assert_int_equal(count_records(log), expected);
    close_log(log);
    log = open_log(&disk, NULL);
    assert_int_equal(count_records(log), expected);
    close_both(log, &disk);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_appends_alone_for_long_needs_no_lock),
        cmocka_unit_test(anybody_else_takes_it_away_and_it_is_earned_again_more_slowly),
        cmocka_unit_test(who_takes_it_away_waits_until_the_owner_is_outside),
        cmocka_unit_test(a_leader_takes_it_away),
        cmocka_unit_test(a_cursor_that_sleeps_is_woken_by_who_owned_the_tail),
        cmocka_unit_test(who_arms_a_descriptor_takes_it_away_for_as_long),
        cmocka_unit_test(an_owner_that_is_visited_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
