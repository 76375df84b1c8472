/* Splitting a log for parallel readers, and listing its groups. */
#include "tests/wal/cursor_support.h"

#include "base/clock.h"
#include "base/sync.h"
#include "base/thread.h"
#include "wal/log.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t bytes_between(struct weir_log *log, weir_lsn from, weir_lsn to)
{
    struct weir_cursor *cursor = open_cursor_at(log, from);
    struct weir_record record;
    uint64_t bytes = 0;
    for (weir_lsn lsn = from; lsn < to; lsn++) {
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        bytes += record.size;
    }
    weir_cursor_close(cursor);
    return bytes;
}

static void cu_05_ranges_are_disjoint_complete_and_about_equal(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    weir_lsn starts[16];
    assert_int_equal(weir_cursor_split(log, 0, 0, 4, starts), 0);
    append_many(log, 6000, WEIR_NONE);
    assert_int_equal(weir_commit(log), 0);
    for (int round = 0; round < 2; round++) {
        uint64_t total = bytes_between(log, 1, 6001);
        for (int n = 1; n <= 16; n++) {
            int count = weir_cursor_split(log, 0, 0, n, starts);
            assert_int_equal(count, n);
            assert_int_equal(starts[0], 1);
            for (int i = 0; i < count; i++) {
                weir_lsn end = i + 1 < count ? starts[i + 1] : 6001;
                assert_true(end > starts[i]);
                uint64_t bytes = bytes_between(log, starts[i], end);
                uint64_t fair = total / (uint64_t)n;
                assert_true(bytes > fair / 2 && bytes < 2 * fair);
            }
        }
        assert_int_equal(weir_cursor_split(log, 100, 103, 16, starts), 1);
        assert_int_equal(starts[0], 100);
        int count = weir_cursor_split(log, 3000, 4000, 3, starts);
        assert_int_equal(count, 3);
        assert_true(starts[0] == 3000 && starts[2] < 4000);
        assert_int_equal(weir_cursor_split(log, 4000, 3000, 3, starts), 0);
        assert_int_equal(weir_cursor_split(log, 1, 2, 0, starts), -EINVAL);
        log = rig_open(&rig, NULL);
    }
    assert_int_equal(weir_truncate_before(log, 500, NULL), 0);
    assert_int_equal(weir_cursor_split(log, 499, 0, 3, starts), WEIR_E_TRUNCATED);
    assert_true(weir_cursor_split(log, 0, 0, 3, starts) == 3 && starts[0] == 500);
    assert_int_equal(weir_truncate_before(log, 6001, NULL), 0);
    assert_int_equal(weir_cursor_split(log, 0, 0, 3, starts), 0);
    rig_end(&rig);
}

/* ---- side by side ---- */

#define PATIENCE_NS (20 * (int64_t)BASE_NS_PER_S)

struct meeting {
    struct weir_log *log;
    weir_lsn lsns[2];
    _Atomic uint32_t here; /* mapping a segment at this moment */
    _Atomic bool met;
};

/* Who maps a segment waits there until somebody else maps one, too. */
static int meet(void *context, const char *call, const char *name, uint64_t offset, size_t size)
{
    (void)name, (void)offset, (void)size;
    struct meeting *meeting = context;
    if (meeting->log == NULL || strcmp(call, "map") != 0) {
        return 0;
    }
    if (atomic_fetch_add(&meeting->here, 1) == 0) {
        int rc = 0;
        while (rc == 0 && atomic_load(&meeting->here) == 1) {
            rc = base_wait(&meeting->here, 1, PATIENCE_NS, false);
        }
    }
    if (atomic_load(&meeting->here) > 1) {
        atomic_store(&meeting->met, true);
        base_wake(&meeting->here, INT32_MAX, false);
    } else {
        atomic_fetch_sub(&meeting->here, 1); /* nobody came */
    }
    return 0;
}

static void read_second(void *context)
{
    struct meeting *meeting = context;
    struct weir_cursor *cursor = open_cursor_at(meeting->log, meeting->lsns[1]);
    expect_next(cursor, meeting->lsns[1]);
    weir_cursor_close(cursor);
}

static void cu_05_readers_of_two_segments_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct rig rig;
    struct meeting meeting = {0};
    struct base_thread thread;
    rig_begin(&rig, &RIG_MEMORY);
    rig.disk.options.faults = (struct sim_memory_faults){meet, &meeting};
    append_many(rig_open(&rig, NULL), 6000, WEIR_NONE);
    struct weir_log *log = rig_open(&rig, NULL);
    assert_true(log->segments.count > 4);
    meeting.lsns[0] = log->segments.slots[0]->start.next_lsn;
    meeting.lsns[1] = log->segments.slots[1]->start.next_lsn;
    assert_true(log->segments.slots[0]->base == NULL && log->segments.slots[1]->base == NULL);
    meeting.log = log;
    assert_int_equal(base_thread_start(&thread, "reader", read_second, &meeting), 0);
    struct weir_cursor *cursor = open_cursor_at(log, meeting.lsns[0]);
    base_thread_join(&thread);
    assert_true(atomic_load(&meeting.met));
    expect_next(cursor, meeting.lsns[0]);
    weir_cursor_close(cursor);
    meeting.log = NULL;
    rig_end(&rig);
}

/* ---- groups ---- */

struct tally {
    weir_lsn next;
    uint64_t address, time_ns, epoch;
    uint32_t crc, data, epochs, seals, witnesses;
    int stop_after;
};

static int count_group(void *context, const struct weir_group *group)
{
    struct tally *tally = context;
    assert_int_equal(group->first_lsn, tally->next);
    assert_int_equal(group->previous_crc, tally->crc);
    assert_true(group->address > tally->address || tally->address == 0);
    assert_true(group->time_ns >= tally->time_ns && group->epoch >= tally->epoch);
    assert_true(group->durable_lsn < group->first_lsn);
    tally->next += group->record_count;
    tally->address = group->address;
    tally->time_ns = group->time_ns;
    tally->epoch = group->epoch;
    tally->crc = group->crc;
    tally->data += strcmp(group->kind, "data") == 0;
    tally->epochs += strcmp(group->kind, "epoch") == 0;
    tally->seals += strcmp(group->kind, "seal") == 0;
    tally->witnesses += strcmp(group->kind, "witness") == 0;
    return tally->stop_after != 0 && --tally->stop_after == 0 ? 7 : 0;
}

static void wl_15_groups_are_listed_in_order_with_their_chain(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY_FILE);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 1200, WEIR_NONE);
    log = rig_open(&rig, NULL);
    append_many(log, 1200, WEIR_NONE);
    assert_int_equal(weir_commit(log), 0);
    for (int round = 0; round < 2; round++) {
        struct tally tally = {.next = 1};
        assert_int_equal(weir_log_groups(log, count_group, &tally), 0);
        assert_int_equal(tally.next, 2401);
        assert_int_equal(tally.epochs, 2 + round);
        assert_int_equal(tally.seals, stat_of(log).segments - 1);
        assert_true(tally.data > 3 && tally.witnesses > 0);
        log = rig_open(&rig, NULL);
    }
    struct tally tally = {.next = 1, .stop_after = 3};
    assert_int_equal(weir_log_groups(log, count_group, &tally), 7);
    assert_int_equal(weir_log_groups(log, NULL, NULL), -EINVAL);
    rig_end(&rig);
}

/* What a child of fork() gets; its exit code says which call was wrong. */
static int use_in_child(struct weir_log *log, struct weir_cursor *cursor, struct weir_pin *pin)
{
    struct weir_record record;
    struct weir_cursor *other;
    struct weir_pin *another;
    weir_lsn start;
    int fd;
    const int codes[] = {
        weir_cursor_next(cursor, &record),
        weir_cursor_next_batch(cursor, &record, 1),
        weir_cursor_wait(cursor, WEIR_WAIT_FOREVER),
        weir_cursor_seek(cursor, 1),
        weir_cursor_seek_time(cursor, 1),
        weir_cursor_pin(cursor, &another),
        weir_cursor_eventfd(cursor, &fd),
        weir_cursor_open(log, NULL, &other),
        weir_cursor_split(log, 0, 0, 1, &start),
        weir_log_groups(log, count_group, NULL),
    };
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        if (codes[i] != WEIR_E_FORKED) {
            return (int)i + 1;
        }
    }
    weir_pin_drop(pin);
    weir_cursor_close(cursor);
    return 0;
}

static void cu_04_a_child_of_fork_can_only_close(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 3, WEIR_EACH);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    struct weir_pin *pin;
    expect_next(cursor, 1);
    assert_int_equal(weir_cursor_pin(cursor, &pin), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(use_in_child(log, cursor, pin));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    expect_run(cursor, 2, 3);
    weir_pin_drop(pin);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cu_05_ranges_are_disjoint_complete_and_about_equal),
        cmocka_unit_test(cu_05_readers_of_two_segments_do_not_wait_for_each_other),
        cmocka_unit_test(wl_15_groups_are_listed_in_order_with_their_chain),
        cmocka_unit_test(cu_04_a_child_of_fork_can_only_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
