/*
 * After a writer was killed on a machine that still runs: recovery searches as far as its page says
 * that anything was submitted, and comes to the same verdict as by searching everything.
 */
#include "process_support.h"

#include "base/random.h"
#include "base/shared_page.h"
#include "iouring/iouring.h"
#include "wal/control.h"
#include "wal/format.h"
#include "wal/live.h"
#include "wal/recover.h"
#include "wal/recover_judge.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE_SEGMENT ((uint64_t)8 << 20)
#define RECORD_BYTES 3000u
#define TRIALS 60u

static const struct process_medium DIRECT = {"direct_uring", WEIR_MEDIUM_DIRECT, WEIR_IO_URING};

static char directory[256];
static uint64_t segment_bytes;

/* Records 1 to `count` are durable when it answers; it waits to be killed with more in flight. */
static int write_records(void *context, struct process *self)
{
    const unsigned *count = context;
    static const uint8_t payload[RECORD_BYTES];
    struct weir_log_options options = process_options(&DIRECT, WEIR_LOG_CREATE);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    options.segment_bytes = segment_bytes;
    if (weir_log_open(directory, &options, &log, &why) < 0) {
        return 1;
    }
    for (unsigned i = 0; i < *count; i++) {
        if (try_append(log, payload, sizeof payload, i % 4 == 3 ? WEIR_EACH : WEIR_NONE, NULL) <
            0) {
            return 2;
        }
    }
    if (weir_commit(log) < 0) {
        return 3;
    }
    process_answer(self, weir_durable_lsn(log));
    for (;;) {
        (void)try_append(log, payload, sizeof payload, WEIR_EACH, NULL);
    }
}

static void kill_a_writer(unsigned count)
{
    struct process writer = process_start(write_records, &count);
    (void)process_hear(&writer);
    process_kill(&writer);
}

static struct weir_medium *open_medium(void)
{
    struct iouring_options options = {.directory = directory};
    struct weir_medium *medium;
    char reason[200];
    assert_int_equal(iouring_direct_open(&options, &medium, reason, sizeof reason), 0);
    return medium;
}

static struct control load_control(void)
{
    struct weir_medium *medium = open_medium();
    struct control control;
    assert_int_equal(control_load(medium, &control, NULL), 0);
    medium->ops->destroy(medium);
    return control;
}

static void found_nothing(void *context, struct recovery *recovery)
{
    (void)context, (void)recovery;
}

struct outcome {
    int rc;
    uint64_t scanned_bytes;
    struct recovery found; /* its lists are gone */
    struct weir_error why;
};

static struct outcome judge_now(const struct control *control)
{
    struct weir_medium *medium = open_medium();
    const struct recovery_beside beside = {found_nothing, NULL};
    struct outcome outcome = {.why = WEIR_ERROR_INIT};
    struct recovery found = {0};
    outcome.rc = recover_judge_for_writer(medium, control, &beside, &found, &outcome.why);
    outcome.found = found;
    outcome.scanned_bytes = found.scanned_bytes;
    recover_free(&found);
    medium->ops->destroy(medium);
    return outcome;
}

static struct base_shared_page page_of(const struct control *control)
{
    struct base_shared_page page;
    assert_int_equal(base_shared_page_open(&page, control->uuid), 0);
    return page;
}

static void begin(uint64_t size)
{
    process_skip_without(&DIRECT);
    segment_bytes = size;
    make_directory(directory, sizeof directory);
}

static void end(const struct control *control)
{
    assert_int_equal(base_shared_page_remove(control->uuid), 0);
    remove_directory(directory);
}

static void recovery_after_a_kill_reads_as_far_as_was_written(void **state)
{
    (void)state;
    begin(LARGE_SEGMENT);
    kill_a_writer(40);
    struct control control = load_control();
    struct outcome bounded = judge_now(&control);
    assert_int_equal(bounded.rc, 0);
    assert_true(bounded.scanned_bytes < LARGE_SEGMENT / 2);
    struct weir_log *log = process_open(&DIRECT, directory, 0);
    struct weir_open_report report = WEIR_OPEN_REPORT_INIT;
    weir_log_report(log, &report);
    assert_true(report.scanned_bytes < LARGE_SEGMENT / 2);
    assert_true(count_records(log) >= 40);
    close_log(log);
    end(&control);
}

/* What one field of the page says is changed, or it is gone: then everything is read. */
static void a_page_that_is_not_this_writers_bounds_nothing(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 6; turn++) {
        begin(LARGE_SEGMENT);
        kill_a_writer(40);
        struct control control = load_control();
        struct base_shared_page shared = page_of(&control);
        struct live_page *page = shared.data;
        switch (turn) {
        case 0:
            page->boot_id[3] ^= 1;
            break;
        case 1:
            page->seed ^= 1;
            break;
        case 2:
            atomic_store(&page->epoch, control.epoch - 1);
            break;
        case 3: /* less than what the walk finds */
            atomic_store(&page->submitted_address, LARGE_SEGMENT + FORMAT_SEGMENT_HEADER_BYTES);
            break;
        case 4: /* as an earlier build leaves it */
            atomic_store(&page->submitted_address, 0);
            break;
        default: { /* others may have written into it */
            char name[80] = "/dev/shm/weir-";
            for (unsigned i = 0, at = 14; i < sizeof control.uuid; i++, at += 2) {
                (void)snprintf(name + at, sizeof name - at, "%02x", control.uuid[i]);
            }
            assert_int_equal(chmod(name, 0666), 0);
            break;
        }
        }
        base_shared_page_close(&shared);
        struct outcome outcome = judge_now(&control);
        assert_int_equal(outcome.rc, 0);
        assert_true(outcome.scanned_bytes >= LARGE_SEGMENT);
        end(&control);
    }
}

/* Zeros or noise over some blocks in front of where the writer had come to, of the segment that it
 * was in or of the one before. */
static void damage(struct base_prng *random, uint64_t end)
{
    char path[320];
    uint8_t block[FORMAT_BLOCK] = {0};
    uint64_t ordinal = end / segment_bytes, blocks = end % segment_bytes / FORMAT_BLOCK;
    if (ordinal > 1 && (blocks == 0 || base_prng_below(random, 3) == 0)) {
        ordinal--;
        blocks = segment_bytes / FORMAT_BLOCK;
    }
    (void)snprintf(path, sizeof path, "%s/segment-%016llx", directory, (unsigned long long)ordinal);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    for (uint64_t left = base_prng_below(random, 4); left > 0; left--) {
        uint64_t first = base_prng_below(random, blocks), count = 1 + base_prng_below(random, 8);
        if (base_prng_below(random, 2) == 0) {
            block[base_prng_below(random, sizeof block)] ^= 0x55;
        }
        for (uint64_t at = first; at < blocks && at < first + count; at++) {
            assert_int_equal(pwrite(file, block, sizeof block, (off_t)(at * FORMAT_BLOCK)),
                             sizeof block);
        }
    }
    assert_int_equal(fsync(file), 0);
    assert_int_equal(close(file), 0);
}

static void the_verdict_is_that_of_a_search_of_everything(void **state)
{
    (void)state;
    unsigned opened = 0, refused = 0;
    struct base_prng random;
    base_prng_seed(&random, 20);
    for (unsigned trial = 0; trial < TRIALS; trial++) {
        bool is_small = trial % 2 == 0; /* then it goes through several */
        begin(is_small ? SMALL_SEGMENT : LARGE_SEGMENT);
        kill_a_writer(10 + (unsigned)base_prng_below(&random, is_small ? 300 : 60));
        struct control control = load_control();
        struct base_shared_page shared = page_of(&control);
        struct live_page *page = shared.data;
        damage(&random, atomic_load(&page->submitted_address));
        base_shared_page_close(&shared);
        struct outcome bounded = judge_now(&control);
        assert_int_equal(base_shared_page_remove(control.uuid), 0);
        struct outcome whole = judge_now(&control);
        assert_int_equal(bounded.rc, whole.rc);
        assert_string_equal(bounded.why.text, whole.why.text);
        if (whole.rc == 0) {
            assert_true(whole.scanned_bytes >= bounded.scanned_bytes + (is_small ? 0 : 1));
            assert_int_equal(bounded.found.tail.address, whole.found.tail.address);
            assert_int_equal(bounded.found.witnessed, whole.found.witnessed);
            assert_int_equal(bounded.found.cut_bytes, whole.found.cut_bytes);
            assert_int_equal(bounded.found.cut_groups, whole.found.cut_groups);
        }
        opened += whole.rc == 0;
        refused += whole.rc < 0;
        end(&control);
    }
    print_message("%u opened, %u refused\n", opened, refused);
    assert_true(opened >= TRIALS / 8 && refused >= TRIALS / 8);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovery_after_a_kill_reads_as_far_as_was_written),
        cmocka_unit_test(a_page_that_is_not_this_writers_bounds_nothing),
        cmocka_unit_test(the_verdict_is_that_of_a_search_of_everything),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
