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
#include "wal/scan.h"

#include <errno.h>
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

struct orders {
    const struct process_medium *medium;
    unsigned count;                  /* records that are durable when it answers */
    bool rolls;                      /* and as many more as it takes to begin another segment */
    bool stops;                      /* else it goes on until it is killed, */
    enum weir_durability durability; /* like this */
};

static uint64_t segments_of(struct weir_log *log)
{
    struct weir_stat status = WEIR_STAT_INIT;
    return weir_log_stat(log, &status) == 0 ? status.segments : 0;
}

static int write_records(void *context, struct process *self)
{
    const struct orders *orders = context;
    static const uint8_t payload[RECORD_BYTES];
    struct weir_log_options options = process_options(orders->medium, WEIR_LOG_CREATE);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    options.segment_bytes = segment_bytes;
    if (weir_log_open(directory, &options, &log, &why) < 0) {
        return 1;
    }
    uint64_t begun = segments_of(log);
    for (unsigned i = 0; i < orders->count || (orders->rolls && segments_of(log) == begun); i++) {
        enum weir_durability durability = orders->rolls || i % 4 == 3 ? WEIR_EACH : WEIR_NONE;
        if (try_append(log, payload, sizeof payload, durability, NULL) < 0) {
            return 2;
        }
    }
    if (!orders->rolls && weir_commit(log) < 0) {
        return 3;
    }
    process_answer(self, weir_durable_lsn(log));
    while (!orders->stops) {
        (void)try_append(log, payload, sizeof payload, orders->durability, NULL);
    }
    (void)process_next_order(self);
    return 4;
}

static void kill_a_writer(const struct orders *orders)
{
    struct orders copy = *orders;
    struct process writer = process_start(write_records, &copy);
    (void)process_hear(&writer);
    process_kill(&writer);
}

/* The usual one. */
static void kill_a_writer_of(unsigned count)
{
    const struct orders orders = {.medium = &DIRECT, .count = count, .durability = WEIR_EACH};
    kill_a_writer(&orders);
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
    kill_a_writer_of(40);
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

/* Right behind a roll nothing says yet that the newest segment's start was durable: the one before
 * is walked, too, and what is behind the end is as far away as before. */
static void right_behind_a_roll_it_does_as_well(void **state)
{
    (void)state;
    const struct orders orders = {.medium = &DIRECT, .rolls = true, .stops = true};
    begin(LARGE_SEGMENT);
    kill_a_writer(&orders);
    struct control control = load_control();
    struct outcome bounded = judge_now(&control);
    assert_int_equal(bounded.rc, 0);
    assert_int_equal(bounded.found.tail.ordinal, 2);
    assert_true(bounded.scanned_bytes > LARGE_SEGMENT);
    assert_true(bounded.scanned_bytes < LARGE_SEGMENT + LARGE_SEGMENT / 2);
    end(&control);
}

static void a_writer_that_has_only_begun_has_submitted_its_epoch(void **state)
{
    (void)state;
    const struct orders orders = {.medium = &DIRECT, .stops = true};
    begin(LARGE_SEGMENT);
    kill_a_writer(&orders);
    struct control control = load_control();
    struct base_shared_page shared = page_of(&control);
    struct live_page *page = shared.data;
    struct outcome bounded = judge_now(&control);
    assert_int_equal(bounded.rc, 0);
    assert_int_equal(bounded.found.tail.address, atomic_load(&page->submitted_address));
    assert_true(bounded.scanned_bytes < LARGE_SEGMENT / 2);
    base_shared_page_close(&shared);
    end(&control);
}

/* Bytes get to a window that is the file without being submitted; who opens the log next may do so
 * on a medium where they do not. */
static void a_writer_whose_window_is_the_file_says_nothing(void **state)
{
    (void)state;
    static const struct process_medium mapped = {"mapped_uring", WEIR_MEDIUM_MAPPED, WEIR_IO_URING};
    const struct orders orders = {.medium = &mapped, .count = 40, .durability = WEIR_EACH};
    process_skip_without(&mapped);
    begin(LARGE_SEGMENT);
    kill_a_writer(&orders);
    struct control control = load_control();
    struct base_shared_page shared = page_of(&control);
    struct live_page *page = shared.data;
    assert_int_equal(atomic_load(&page->submitted_address), 0);
    base_shared_page_close(&shared);
    struct outcome outcome = judge_now(&control);
    assert_int_equal(outcome.rc, 0);
    assert_true(outcome.scanned_bytes >= LARGE_SEGMENT);
    end(&control);
}

static void the_next_writer_has_a_page_of_its_own(void **state)
{
    (void)state;
    begin(LARGE_SEGMENT);
    kill_a_writer_of(40);
    struct control before = load_control();
    struct weir_log *log = process_open(&DIRECT, directory, 0);
    struct base_shared_page shared = page_of(&before);
    struct live_page *page = shared.data;
    assert_int_equal(atomic_load(&page->epoch), before.epoch + 1);
    base_shared_page_close(&shared);
    close_log(log);
    struct base_shared_page gone;
    assert_int_equal(base_shared_page_open(&gone, before.uuid), -ENOENT);
    end(&before);
}

/* What one field of the page says is changed, or it is gone: then everything is read. */
static void a_page_that_is_not_this_writers_bounds_nothing(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 6; turn++) {
        begin(LARGE_SEGMENT);
        kill_a_writer_of(40);
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

static int open_segment(uint64_t ordinal, int flags)
{
    char path[320];
    (void)snprintf(path, sizeof path, "%s/segment-%016llx", directory, (unsigned long long)ordinal);
    return open(path, flags);
}

/* The claim itself: of segments that had no earlier life, all is zero behind the address. */
static void expect_nothing_behind(uint64_t address)
{
    static uint8_t block[FORMAT_BLOCK];
    uint64_t ordinal = address / segment_bytes, offset = address % segment_bytes;
    for (int file; (file = open_segment(ordinal, O_RDONLY)) >= 0; ordinal++, offset = 0) {
        ssize_t size;
        while ((size = pread(file, block, sizeof block, (off_t)offset)) > 0) {
            assert_true(scan_is_zero(block, (size_t)size));
            offset += (uint64_t)size;
        }
        assert_int_equal(close(file), 0);
    }
}

/* Zeros or noise over some blocks in front of where the writer had come to, of the segment that it
 * was in or of the one before. */
static void damage(struct base_prng *random, uint64_t end)
{
    uint8_t block[FORMAT_BLOCK] = {0};
    uint64_t ordinal = end / segment_bytes, blocks = end % segment_bytes / FORMAT_BLOCK;
    if (ordinal > 1 && (blocks == 0 || base_prng_below(random, 3) == 0)) {
        ordinal--;
        blocks = segment_bytes / FORMAT_BLOCK;
    }
    int file = open_segment(ordinal, O_RDWR);
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
        const struct orders orders = {
            .medium = &DIRECT,
            .count = 10 + (unsigned)base_prng_below(&random, is_small ? 300 : 60),
            .durability = trial % 3 == 0 ? WEIR_NONE : WEIR_EACH,
        };
        kill_a_writer(&orders);
        struct control control = load_control();
        struct base_shared_page shared = page_of(&control);
        struct live_page *page = shared.data;
        expect_nothing_behind(atomic_load(&page->submitted_address));
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
        cmocka_unit_test(right_behind_a_roll_it_does_as_well),
        cmocka_unit_test(a_writer_that_has_only_begun_has_submitted_its_epoch),
        cmocka_unit_test(a_writer_whose_window_is_the_file_says_nothing),
        cmocka_unit_test(the_next_writer_has_a_page_of_its_own),
        cmocka_unit_test(a_page_that_is_not_this_writers_bounds_nothing),
        cmocka_unit_test(the_verdict_is_that_of_a_search_of_everything),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
