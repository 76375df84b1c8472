/*
 * The n-th allocation fails, for every n: each call succeeds or says -ENOMEM, nothing leaks, and
 * the log has all that was acknowledged when it is opened again.
 */
#include "support.h"

#include "base/alloc.h"
#include "base/system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RECORDS 260u
#define PAYLOAD_BYTES 4500u

static unsigned calls, fails_at;
static bool stays; /* and all behind it */

static bool fails(void)
{
    calls++;
    return fails_at != 0 && (stays ? calls >= fails_at : calls == fails_at);
}

static void *alloc(void *context, size_t alignment, size_t size)
{
    (void)context;
    void *memory = NULL;
    size_t least = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return fails() || posix_memalign(&memory, least, size) != 0 ? NULL : memory;
}

static void release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static void *pages_alloc(void *context, size_t size, unsigned flags)
{
    (void)context;
    (void)flags;
    void *memory =
        fails() ? MAP_FAILED
                : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void pages_free(void *context, void *memory, size_t size)
{
    (void)context;
    munmap(memory, size);
}

static const struct base_system failing = {
    .alloc = alloc, .free = release, .pages_alloc = pages_alloc, .pages_free = pages_free};

static bool allowed(int rc)
{
    return rc >= 0 || rc == -ENOMEM || rc == WEIR_E_POISONED;
}

/* Reads all and in order, through a pin. */
static void read_some(struct weir_log *log)
{
    struct weir_cursor *cursor = NULL;
    struct weir_pin *pin = NULL;
    struct weir_record record;
    int rc = weir_cursor_open(log, NULL, &cursor);
    assert_true(allowed(rc));
    if (rc < 0) {
        return;
    }
    weir_lsn next = weir_cursor_position(cursor);
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        assert_int_equal(record.lsn, next++);
        if (pin == NULL) {
            (void)weir_cursor_pin(cursor, &pin);
        }
    }
    assert_true(allowed(rc));
    weir_pin_drop(pin);
    weir_cursor_close(cursor);
}

/* Returns the last LSN that was acknowledged. */
static weir_lsn use(struct test_disk *disk, weir_lsn *ret_cut)
{
    static uint8_t payload[PAYLOAD_BYTES];
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    weir_lsn acknowledged = 0;
    int rc = try_open_log(disk, NULL, &log, &why);
    assert_true(allowed(rc));
    if (rc < 0) {
        return 0;
    }
    for (unsigned i = 0; i < RECORDS; i++) {
        weir_lsn lsn = 0;
        rc = try_append(log, payload, sizeof payload, i % 2 == 0 ? WEIR_EACH : WEIR_NONE, &lsn);
        assert_true(allowed(rc));
        acknowledged = rc == 0 && i % 2 == 0 ? lsn : acknowledged;
    }
    read_some(log);
    assert_true(allowed(weir_hold_set(log, "keep", 1)));
    rc = weir_hold_drop(log, "keep");
    assert_true(allowed(rc) || rc == WEIR_E_NO_HOLD);
    if (acknowledged > 2) {
        rc = weir_truncate_before(log, acknowledged / 2, &why);
        assert_true(allowed(rc) || rc == WEIR_E_HELD);
        *ret_cut = rc == 0 ? acknowledged / 2 : 1;
    }
    read_some(log);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_true(allowed(weir_log_stat(log, &stat)));
    assert_true(allowed(weir_commit(log)));
    assert_true(allowed(weir_log_close(log)));
    return acknowledged;
}

static void look_read_only(struct test_disk *disk)
{
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = try_open_log(disk, &options, &log, &why);
    assert_true(allowed(rc) || rc == -ENOENT);
    if (rc == 0) {
        read_some(log);
        assert_int_equal(weir_log_close(log), 0);
    }
}

static void verify(struct test_disk *disk)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    if (sim_memory_open(&disk->options, &options.custom_medium) < 0) {
        return;
    }
    int rc = weir_verify("memory", &options, NULL, NULL, &report, NULL);
    assert_true(allowed(rc) || rc == WEIR_E_NOT_A_LOG || rc == -ENOENT);
    assert_true(rc < 0 || report.findings == 0);
}

static bool fail_one(unsigned at)
{
    struct test_disk disk = disk_new();
    calls = 0;
    fails_at = at;
    weir_lsn cut = 1;
    weir_lsn acknowledged = use(&disk, &cut);
    look_read_only(&disk);
    verify(&disk);
    bool failed = calls >= at;
    fails_at = 0;
    struct weir_log *log = open_log(&disk, NULL);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_true(stat.durable >= acknowledged);
    assert_true(stat.earliest <= cut || stat.earliest == acknowledged / 2);
    assert_true(count_records(log) + cut > acknowledged);
    close_log(log);
    disk_free(&disk);
    assert_int_equal(base_alloc_in_use(), 0);
    return failed;
}

static void o10_every_failed_allocation_is_met(void **state)
{
    (void)state;
    base_system_set(&failing);
    for (int mode = 0; mode < 2; mode++) {
        stays = mode == 1;
        unsigned at = 1;
        while (fail_one(at)) {
            at += stays ? 3 : 1;
        }
    }
    base_system_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(o10_every_failed_allocation_is_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
