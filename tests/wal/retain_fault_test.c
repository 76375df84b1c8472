/*
 * The n-th call fails, for every n: opening a reader, holding, truncating, keeping a state. Each
 * ends in an error or goes through, leaks nothing, and leaves a log that opens and is whole.
 */
#include "support.h"

#include "base/alloc.h"
#include "base/system.h"
#include "wal/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS 200

/* Counts calls of the medium, or allocations, and fails one of them, or it and all behind it. */
struct fault {
    int countdown;
    bool persistent;
};

static bool is_hit(struct fault *fault)
{
    return fault->countdown-- == 0 || (fault->persistent && fault->countdown < 0);
}

static int fail_call(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    (void)call;
    (void)name;
    (void)offset;
    (void)size;
    return is_hit(context) ? -EIO : 0;
}

static void *fail_alloc(void *context, size_t alignment, size_t size)
{
    size_t rounded = (size + alignment - 1) / alignment * alignment;
    return is_hit(context) ? NULL : aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
}

static void free_block(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static struct test_disk disk_with_log(void)
{
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    uint8_t payload[3000];
    for (weir_lsn lsn = 1; lsn <= RECORDS; lsn++) {
        size_t size = numbered_payload(lsn, payload, sizeof payload);
        assert_int_equal(try_append(log, payload, size, WEIR_GROUP, NULL), 0);
    }
    assert_int_equal(weir_hold_set(log, "first", 150), 0);
    close_log(log);
    return disk;
}

/* ---- what is tried ---- */

static int read_everything(struct test_disk *disk, struct fault *fault)
{
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_log *log = NULL;
    if (fault != NULL) {
        disk->options.faults = (struct sim_memory_faults){.before = fail_call, .context = fault};
    }
    disk->options.read_only = true;
    int rc = try_open_log(disk, &options, &log, NULL);
    disk->options.read_only = false;
    disk->options.faults = (struct sim_memory_faults){0};
    if (rc < 0) {
        return rc;
    }
    struct weir_cursor *cursor;
    struct weir_record record;
    weir_lsn last = 0;
    rc = weir_cursor_open(log, NULL, &cursor);
    if (rc == 0) {
        while ((rc = weir_cursor_next(cursor, &record)) == 1) {
            last = record.lsn;
        }
        weir_cursor_close(cursor);
    }
    assert_true(rc < 0 || last == RECORDS);
    struct weir_stat stat = WEIR_STAT_INIT;
    int stated = weir_log_stat(log, &stat);
    close_log(log);
    return rc < 0 ? rc : stated;
}

static int on_writer(struct test_disk *disk, struct fault *fault, int (*act)(struct weir_log *log))
{
    struct weir_log *log = open_log(disk, NULL);
    struct sim_memory_faults faults = {.before = fail_call, .context = fault};
    if (fault != NULL) {
        sim_memory_faults_set(log->medium, &faults);
    }
    int rc = act(log);
    sim_memory_faults_set(log->medium, &(struct sim_memory_faults){0});
    (void)weir_log_close(log);
    return rc;
}

static int act_hold(struct weir_log *log)
{
    int rc = weir_hold_set(log, "second", 160);
    rc = rc < 0 ? rc : weir_hold_set(log, "first", 140);
    rc = rc < 0 ? rc : weir_hold_move(log, "first", 150);
    return rc < 0 ? rc : weir_hold_drop(log, "second");
}

static int act_truncate(struct weir_log *log)
{
    return weir_truncate_before(log, 150, NULL);
}

static int hold(struct test_disk *disk, struct fault *fault)
{
    return on_writer(disk, fault, act_hold);
}

static int truncate_log(struct test_disk *disk, struct fault *fault)
{
    return on_writer(disk, fault, act_truncate);
}

/* Two blocks' worth, and a bit. */
static int save_state(struct weir_log *log, const char *file, weir_lsn position)
{
    static uint8_t bytes[270000];
    struct weir_state_writer *writer;
    memset(bytes, (int)position, sizeof bytes);
    int rc = weir_state_create(log, "name", file, &writer);
    if (rc < 0) {
        return rc;
    }
    (void)weir_state_write(writer, bytes, sizeof bytes); /* commit tells an error again */
    return weir_state_commit(writer, "kind", 1, position, NULL);
}

static int load_state(struct weir_log *log)
{
    static uint8_t bytes[270000];
    struct weir_state_reader *reader;
    int rc = weir_state_open(log, "name", "state", &reader, NULL);
    if (rc == 0) {
        rc = weir_state_read(reader, bytes, sizeof bytes);
        assert_true(rc < 0 || bytes[0] == bytes[sizeof bytes - 1]);
        weir_state_close(reader);
    }
    return rc;
}

static int stop_at_first(void *context, const char *name)
{
    (void)context;
    (void)name;
    return 1;
}

static int act_state(struct weir_log *log)
{
    struct weir_state_lock *lock;
    int rc = weir_state_lock(log, "name", &lock);
    if (rc < 0) {
        return rc;
    }
    rc = save_state(log, "state", 150);
    rc = rc < 0 ? rc : save_state(log, "state", 160);
    rc = rc < 0 ? rc : save_state(log, "definition", 0);
    rc = rc < 0 ? rc : load_state(log);
    rc = rc < 0 ? rc : weir_state_remove(log, "name", "definition");
    weir_state_unlock(lock);
    rc = rc < 0 ? rc : weir_state_is_locked(log, "name");
    rc = rc < 0 ? rc : weir_state_list(log, stop_at_first, NULL);
    return rc < 0 ? rc : weir_state_remove(log, "name", NULL);
}

static int keep_state(struct test_disk *disk, struct fault *fault)
{
    return on_writer(disk, fault, act_state);
}

/* ---- the loop ---- */

typedef int (*attempt_fn)(struct test_disk *disk, struct fault *fault);

static void expect_whole(struct test_disk *disk)
{
    struct weir_log *log = open_log(disk, NULL);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_int_equal(stat.latest, RECORDS);
    assert_true(stat.earliest == 1 || stat.earliest == 150);
    assert_int_equal(count_records(log), RECORDS + 1 - stat.earliest);
    assert_int_equal(append_text(log, "next", WEIR_EACH), RECORDS + 1);
    close_log(log);
}

static bool fails_without_leak(attempt_fn attempt, int countdown, bool persistent, bool allocation)
{
    uint64_t blocks = base_alloc_in_use(), pages = base_pages_in_use();
    struct test_disk disk = disk_with_log();
    struct fault fault = {.countdown = countdown, .persistent = persistent};
    struct base_system system = {.context = &fault, .alloc = fail_alloc, .free = free_block};
    if (allocation) {
        base_system_set(&system);
    }
    int rc = attempt(&disk, allocation ? NULL : &fault);
    base_system_set(NULL);
    bool reached = fault.countdown < 0;
    if (!reached) {
        assert_int_equal(rc, 0);
    }
    expect_whole(&disk);
    disk_free(&disk);
    assert_int_equal(base_alloc_in_use(), blocks);
    assert_int_equal(base_pages_in_use(), pages);
    return reached;
}

static void each_call_fails(attempt_fn attempt)
{
    for (int persistent = 0; persistent < 2; persistent++) {
        int countdown = 0;
        while (fails_without_leak(attempt, countdown, persistent != 0, false)) {
            countdown++;
        }
        assert_true(countdown >= 10);
    }
}

static void o10_a_failing_call_while_a_reader_opens_and_reads(void **state)
{
    (void)state;
    each_call_fails(read_everything);
}

static void o10_a_failing_call_while_holds_are_set(void **state)
{
    (void)state;
    each_call_fails(hold);
}

static void o10_a_failing_call_while_truncating(void **state)
{
    (void)state;
    each_call_fails(truncate_log);
}

static void o10_a_failing_call_while_a_state_is_kept(void **state)
{
    (void)state;
    each_call_fails(keep_state);
}

static void o10_memory_runs_out_while_a_state_is_kept(void **state)
{
    (void)state;
    struct fault fault = {0};
    int countdown = 0;
    for (; fault.countdown < 0 || countdown == 0; countdown++) {
        uint64_t blocks = base_alloc_in_use(), pages = base_pages_in_use();
        struct test_disk disk = disk_with_log();
        struct weir_log *log = open_log(&disk, NULL);
        fault = (struct fault){.countdown = countdown};
        struct base_system system = {.context = &fault, .alloc = fail_alloc, .free = free_block};
        base_system_set(&system);
        int rc = act_state(log);
        base_system_set(NULL);
        assert_true(rc == (fault.countdown < 0 ? -ENOMEM : 0));
        assert_int_equal(weir_log_close(log), 0);
        expect_whole(&disk);
        disk_free(&disk);
        assert_int_equal(base_alloc_in_use(), blocks);
        assert_int_equal(base_pages_in_use(), pages);
    }
    assert_true(countdown >= 10);
}

static void o10_memory_runs_out_while_a_reader_opens_and_reads(void **state)
{
    (void)state;
    int countdown = 0;
    while (fails_without_leak(read_everything, countdown, false, true)) {
        countdown++;
    }
    assert_true(countdown >= 5);
}

/* Four segments' worth, unless the log is poisoned. */
static void expect_appends_to_go_on(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    static uint8_t payload[30000];
    assert_int_equal(weir_log_stat(log, &stat), 0);
    for (int i = 0; i < 32 && stat.poisoned == 0; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, NULL), 0);
    }
}

static void o10_a_truncation_that_fails_halfway_is_in_the_way_of_no_append(void **state)
{
    (void)state;
    struct fault fault = {0};
    for (int countdown = 0; fault.countdown < 0 || countdown == 0; countdown++) {
        struct test_disk disk = disk_with_log();
        struct weir_log *log = open_log(&disk, NULL);
        assert_int_equal(weir_hold_drop(log, "first"), 0);
        fault = (struct fault){.countdown = countdown};
        sim_memory_faults_set(log->medium, &(struct sim_memory_faults){fail_call, &fault});
        (void)weir_truncate_before(log, RECORDS, NULL);
        sim_memory_faults_set(log->medium, &(struct sim_memory_faults){0});
        expect_appends_to_go_on(log);
        (void)weir_log_close(log);
        disk_free(&disk);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(o10_a_failing_call_while_a_reader_opens_and_reads),
        cmocka_unit_test(o10_a_failing_call_while_holds_are_set),
        cmocka_unit_test(o10_a_failing_call_while_truncating),
        cmocka_unit_test(o10_a_failing_call_while_a_state_is_kept),
        cmocka_unit_test(o10_memory_runs_out_while_a_state_is_kept),
        cmocka_unit_test(o10_a_truncation_that_fails_halfway_is_in_the_way_of_no_append),
        cmocka_unit_test(o10_memory_runs_out_while_a_reader_opens_and_reads),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
