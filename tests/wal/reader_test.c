/*
 * Readers of another process, played by a second medium on the same disk: beside a writer, after it
 * closed or died, from epoch to epoch, and overtaken by truncation.
 */
#include "support.h"

#include "base/shared_page.h"
#include "wal/live.h"
#include "wal/log.h"
#include "wal/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX 3000u

struct fixture {
    struct test_disk disk;
    struct weir_log *writer, *reader;
    weir_lsn last; /* of the writer */
};

/* Each test runs on both: blocks of 4096 in separate memory, and 64 in the file itself. */
static const struct sim_memory_options media[] = {
    {.block_bytes = 4096},
    {.block_bytes = 64, .window_is_file = true},
};

#define MEDIA (sizeof media / sizeof media[0])

static struct fixture begin(size_t medium)
{
    struct fixture fixture = {.disk = {.options = media[medium]}};
    assert_int_equal(sim_memory_open(&fixture.disk.options, &fixture.disk.keeper), 0);
    fixture.disk.options.disk = sim_memory_disk(fixture.disk.keeper);
    return fixture;
}

static struct weir_log *open_reader(struct fixture *fixture)
{
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    fixture->disk.options.read_only = true;
    struct weir_log *log = open_log(&fixture->disk, &options);
    fixture->disk.options.read_only = false;
    return log;
}

static void end(struct fixture *fixture)
{
    if (fixture->reader != NULL) {
        close_log(fixture->reader);
    }
    if (fixture->writer != NULL) {
        close_log(fixture->writer);
    }
    disk_free(&fixture->disk);
}

static void append_numbered(struct fixture *fixture, int count, enum weir_durability durability)
{
    uint8_t payload[PAYLOAD_MAX];
    for (int i = 0; i < count; i++) {
        size_t size = numbered_payload(fixture->last + 1, payload, sizeof payload);
        weir_lsn lsn;
        assert_int_equal(try_append(fixture->writer, payload, size, durability, &lsn), 0);
        assert_int_equal(lsn, fixture->last + 1);
        fixture->last = lsn;
    }
}

static void expect_record(const struct weir_record *record, weir_lsn lsn)
{
    uint8_t payload[PAYLOAD_MAX];
    size_t size = numbered_payload(lsn, payload, sizeof payload);
    assert_int_equal(record->lsn, lsn);
    assert_int_equal(record->size, size);
    assert_memory_equal(record->data, payload, size);
}

/* Reads on to the end; returns the last LSN. */
static weir_lsn read_on(struct weir_cursor *cursor, weir_lsn next)
{
    struct weir_record record;
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        expect_record(&record, next++);
    }
    assert_int_equal(rc, 0);
    return next - 1;
}

static struct weir_cursor *cursor_at(struct weir_log *log, weir_lsn lsn)
{
    struct weir_cursor *cursor;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = lsn;
    assert_int_equal(weir_cursor_open(log, &options, &cursor), 0);
    return cursor;
}

static void expect_all(struct weir_log *log, weir_lsn first, weir_lsn last)
{
    struct weir_cursor *cursor = cursor_at(log, first);
    assert_int_equal(read_on(cursor, first), last);
    weir_cursor_close(cursor);
}

static struct weir_open_report report_of(struct weir_log *log)
{
    struct weir_open_report report = {.size = sizeof report};
    assert_int_equal(weir_log_report(log, &report), 0);
    return report;
}

static struct weir_stat stat_of(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    return stat;
}

/* ---- without a writer ---- */

static void wl_14_a_closed_log_is_read_whole(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        append_numbered(&fixture, 500, WEIR_GROUP);
        close_log(fixture.writer);
        fixture.writer = NULL;
        fixture.reader = open_reader(&fixture);
        struct weir_open_report report = report_of(fixture.reader);
        assert_true(report.clean);
        assert_false(report.live_writer);
        assert_int_equal(report.earliest, 1);
        assert_int_equal(report.latest, 500);
        assert_int_equal(report.epoch, 1);
        assert_true(stat_of(fixture.reader).segments > 2);
        expect_all(fixture.reader, 1, 500);
        expect_all(fixture.reader, 333, 500);
        end(&fixture);
    }
}

struct image_list {
    struct weir_medium *medium;
    struct {
        char name[64];
        uint8_t *bytes;
        uint64_t size;
    } files[32];
    unsigned count;
};

static int keep_image(void *context, const char *name)
{
    struct image_list *list = context;
    uint64_t size;
    const uint8_t *bytes = sim_memory_bytes(list->medium, name, false, &size);
    assert_true(list->count < 32);
    strncpy(list->files[list->count].name, name, 63);
    list->files[list->count].bytes = malloc(size + 1);
    list->files[list->count].size = size;
    memcpy(list->files[list->count].bytes, bytes, size);
    list->count++;
    return 0;
}

static void expect_image(struct image_list *list)
{
    struct image_list now = {.medium = list->medium};
    assert_int_equal(list->medium->ops->list(list->medium, "", keep_image, &now), 0);
    assert_int_equal(now.count, list->count);
    for (unsigned i = 0; i < now.count; i++) {
        assert_string_equal(now.files[i].name, list->files[i].name);
        assert_int_equal(now.files[i].size, list->files[i].size);
        assert_memory_equal(now.files[i].bytes, list->files[i].bytes, now.files[i].size);
        free(now.files[i].bytes);
        free(list->files[i].bytes);
    }
}

static void o12_a_read_only_open_after_a_crash_changes_no_byte(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        append_numbered(&fixture, 300, WEIR_EACH);
        append_numbered(&fixture, 20, WEIR_NONE);
        sim_memory_kill(fixture.writer->medium);
        struct image_list before = {.medium = fixture.disk.keeper};
        assert_int_equal(before.medium->ops->list(before.medium, "", keep_image, &before), 0);
        fixture.reader = open_reader(&fixture);
        assert_true(stat_of(fixture.reader).latest >= 300);
        expect_all(fixture.reader, 1, stat_of(fixture.reader).latest);
        expect_image(&before);
        (void)weir_log_close(fixture.writer);
        fixture.writer = NULL;
        end(&fixture);
    }
}

static void make_file(struct fixture *fixture, const char *name)
{
    struct weir_medium *keeper = fixture->disk.keeper;
    struct weir_file *file;
    assert_int_equal(keeper->ops->create(keeper, name, 0, &file), 0);
    keeper->ops->close(file);
}

static void an_interrupted_creation_is_an_empty_log(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    make_file(&fixture, "LOCK");
    fixture.reader = open_reader(&fixture);
    assert_int_equal(stat_of(fixture.reader).earliest, 0);
    assert_int_equal(stat_of(fixture.reader).latest, 0);
    struct weir_cursor *cursor;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(fixture.reader, NULL, &cursor), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
    assert_int_equal(weir_cursor_wait(cursor, 0), 0);
    /* The log comes into being under it. */
    fixture.writer = open_log(&fixture.disk, NULL);
    append_numbered(&fixture, 3, WEIR_EACH);
    assert_int_equal(weir_cursor_wait(cursor, 5000000000), 1);
    assert_int_equal(read_on(cursor, 1), 3);
    weir_cursor_close(cursor);
    end(&fixture);
}

static void a_directory_in_which_no_log_was_begun_is_none(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(try_open_log(&fixture.disk, &options, &log, &why), -ENOENT);
    assert_non_null(strstr(why.text, "no log in this directory"));
    assert_int_equal(fixture.disk.keeper->ops->make_directory(fixture.disk.keeper, "holds"), 0);
    assert_int_equal(try_open_log(&fixture.disk, &options, &log, &why), -ENOENT);
    end(&fixture);
}

static void a_directory_of_something_else_is_not_a_log(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    make_file(&fixture, "notes.txt");
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(try_open_log(&fixture.disk, &options, &log, &why), WEIR_E_NOT_A_LOG);
    end(&fixture);
}

/* ---- beside a writer ---- */

static void wl_14_a_reader_sees_what_is_durable_and_nothing_else(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        append_numbered(&fixture, 5, WEIR_EACH);
        fixture.reader = open_reader(&fixture);
        assert_true(report_of(fixture.reader).live_writer);
        assert_int_equal(report_of(fixture.reader).latest, 5);
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1);
        assert_int_equal(read_on(cursor, 1), 5);
        append_numbered(&fixture, 5, WEIR_NONE);
        assert_int_equal(read_on(cursor, 6), 5);
        assert_int_equal(weir_commit(fixture.writer), 0);
        assert_int_equal(read_on(cursor, 6), 10);
        assert_int_equal(weir_durable_lsn(fixture.reader), 10);
        weir_cursor_close(cursor);
        end(&fixture);
    }
}

static void cu_03_a_tailing_reader_misses_nothing_across_rolls(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        fixture.reader = open_reader(&fixture);
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1);
        weir_lsn seen = 0;
        while (seen < 1500) {
            append_numbered(&fixture, 1 + (int)(seen % 97), WEIR_NONE);
            assert_int_equal(weir_commit(fixture.writer), 0);
            seen = read_on(cursor, seen + 1);
            assert_int_equal(seen, fixture.last);
        }
        struct weir_stat stat = stat_of(fixture.reader);
        assert_true(stat.segments > 5);
        /* Memory for the open segment, and perhaps one that the cursor has just left. */
        assert_true(stat.window_bytes <= 2 * SMALL_SEGMENT);
        expect_all(fixture.reader, 1, fixture.last);
        weir_cursor_close(cursor);
        end(&fixture);
    }
}

static void a_reader_that_stood_still_catches_up_over_many_segments(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        append_numbered(&fixture, 10, WEIR_EACH);
        fixture.reader = open_reader(&fixture);
        struct weir_cursor *standing = cursor_at(fixture.reader, 1);
        struct weir_record record;
        assert_int_equal(weir_cursor_next(standing, &record), 1);
        append_numbered(&fixture, 1000, WEIR_GROUP);
        assert_int_equal(weir_commit(fixture.writer), 0);
        assert_int_equal(read_on(standing, 2), fixture.last);
        append_numbered(&fixture, 1000, WEIR_GROUP);
        assert_int_equal(weir_commit(fixture.writer), 0);
        weir_cursor_close(standing); /* nobody stands in the open segment now */
        expect_all(fixture.reader, 1, fixture.last);
        end(&fixture);
    }
}

static void cu_04_what_a_reader_lent_stays_when_the_writer_truncates(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        append_numbered(&fixture, 600, WEIR_GROUP);
        assert_int_equal(weir_commit(fixture.writer), 0);
        fixture.reader = open_reader(&fixture);
        /* One in a mapping, one in the open segment's memory. */
        struct weir_cursor *mapped = cursor_at(fixture.reader, 2);
        struct weir_cursor *open = cursor_at(fixture.reader, 600);
        struct weir_record in_mapping, in_memory;
        assert_int_equal(weir_cursor_next(mapped, &in_mapping), 1);
        assert_int_equal(weir_cursor_next(open, &in_memory), 1);
        append_numbered(&fixture, 600, WEIR_EACH);
        assert_int_equal(weir_truncate_before(fixture.writer, fixture.last, NULL), 0);
        append_numbered(&fixture, 600, WEIR_EACH); /* into what was recycled */
        expect_record(&in_mapping, 2);
        expect_record(&in_memory, 600);
        struct weir_record record;
        assert_int_equal(stat_of(fixture.reader).earliest, 1200);
        assert_int_equal(weir_cursor_next(mapped, &record), WEIR_E_TRUNCATED);
        expect_record(&in_memory, 600);
        assert_int_equal(weir_cursor_next(open, &record), WEIR_E_TRUNCATED);
        assert_int_equal(weir_cursor_seek(mapped, 0), 0);
        assert_int_equal(read_on(mapped, 1200), fixture.last);
        weir_cursor_close(mapped);
        weir_cursor_close(open);
        end(&fixture);
    }
}

static void a_reader_is_overtaken_again_and_again(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        append_numbered(&fixture, 10, WEIR_EACH);
        fixture.reader = open_reader(&fixture);
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1);
        struct weir_record record;
        for (int round = 0; round < 12; round++) {
            append_numbered(&fixture, 400, WEIR_GROUP);
            assert_int_equal(weir_commit(fixture.writer), 0);
            weir_lsn earliest = fixture.last - (weir_lsn)round * 7;
            assert_int_equal(weir_truncate_before(fixture.writer, earliest, NULL), 0);
            int rc;
            while ((rc = weir_cursor_next(cursor, &record)) == 1) {
            }
            assert_int_equal(rc, WEIR_E_TRUNCATED);
            assert_int_equal(stat_of(fixture.reader).earliest, earliest);
            assert_int_equal(weir_cursor_seek(cursor, 0), 0);
            assert_int_equal(read_on(cursor, earliest), fixture.last);
        }
        weir_cursor_close(cursor);
        end(&fixture);
    }
}

static void truncating_everything_is_seen_by_a_reader(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    fixture.writer = open_log(&fixture.disk, NULL);
    append_numbered(&fixture, 200, WEIR_EACH);
    fixture.reader = open_reader(&fixture);
    assert_int_equal(weir_truncate_before(fixture.writer, fixture.last + 1, NULL), 0);
    assert_int_equal(stat_of(fixture.reader).earliest, 0);
    assert_int_equal(stat_of(fixture.reader).latest, 0);
    close_log(fixture.reader);
    fixture.reader = open_reader(&fixture);
    assert_int_equal(report_of(fixture.reader).latest, 0);
    append_numbered(&fixture, 1, WEIR_EACH);
    expect_all(fixture.reader, 201, 201);
    end(&fixture);
}

/* ---- from writer to writer ---- */

static void wl_14_a_reader_goes_on_through_clean_closes_and_new_writers(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        fixture.reader = open_reader(&fixture);
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1);
        weir_lsn seen = 0;
        for (int round = 0; round < 10; round++) {
            append_numbered(&fixture, 50, WEIR_GROUP);
            close_log(fixture.writer);
            if (round % 2 == 0) {
                assert_int_equal(weir_cursor_wait(cursor, 5000000000), 1);
                seen = read_on(cursor, seen + 1);
            }
            fixture.writer = open_log(&fixture.disk, NULL);
        }
        append_numbered(&fixture, 1, WEIR_EACH);
        while (seen < fixture.last) {
            assert_int_equal(weir_cursor_wait(cursor, 5000000000), 1);
            seen = read_on(cursor, seen + 1);
        }
        weir_cursor_close(cursor);
        end(&fixture);
    }
}

/* Until the reader has judged the end that a dead writer of this epoch left. */
static void wait_for_verdict(struct fixture *fixture, uint64_t epoch)
{
    struct weir_log *log = fixture->reader;
    for (;;) {
        assert_int_equal(reader_refresh(log), 0);
        if (log->reader->state == READER_IDLE && log->control.epoch == epoch) {
            return;
        }
        assert_int_equal(reader_wait(log, atomic_load(&log->tailers.sequence), 1000000), 0);
    }
}

/* The writer is killed with records in every stage; returns with the writer closed. */
static void kill_writer(struct fixture *fixture)
{
    sim_memory_kill(fixture->writer->medium);
    (void)weir_log_close(fixture->writer);
    fixture->writer = NULL;
}

static void wl_14_after_a_kill_a_reader_shows_what_the_next_writer_keeps(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        fixture.reader = open_reader(&fixture);
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1);
        weir_lsn seen = 0;
        for (int round = 0; round < 25; round++) {
            append_numbered(&fixture, 1 + 11 * round, WEIR_EACH);
            weir_lsn acknowledged = fixture.last;
            append_numbered(&fixture, 7 * round, round % 2 == 0 ? WEIR_NONE : WEIR_GROUP);
            uint64_t epoch = fixture.writer->control.epoch;
            kill_writer(&fixture);
            wait_for_verdict(&fixture, epoch);
            seen = read_on(cursor, seen + 1);
            assert_true(seen >= acknowledged);
            fixture.writer = open_log(&fixture.disk, NULL);
            assert_int_equal(stat_of(fixture.writer).latest, seen);
            fixture.last = seen;
        }
        weir_cursor_close(cursor);
        end(&fixture);
    }
}

static void a_restart_that_nobody_noticed_is_followed(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        fixture.reader = open_reader(&fixture);
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1);
        append_numbered(&fixture, 10, WEIR_EACH);
        weir_lsn seen = read_on(cursor, 1);
        kill_writer(&fixture); /* its page stays, and the next one takes its place at once */
        fixture.writer = open_log(&fixture.disk, NULL);
        fixture.last = stat_of(fixture.writer).latest;
        append_numbered(&fixture, 10, WEIR_EACH);
        while (seen < fixture.last) {
            assert_int_equal(weir_cursor_wait(cursor, 5000000000), 1);
            seen = read_on(cursor, seen + 1);
        }
        weir_cursor_close(cursor);
        end(&fixture);
    }
}

static void a_refused_end_keeps_what_was_shown_and_says_why(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    fixture.writer = open_log(&fixture.disk, NULL);
    append_numbered(&fixture, 10, WEIR_EACH);
    fixture.reader = open_reader(&fixture);
    struct weir_cursor *cursor = cursor_at(fixture.reader, 1);
    assert_int_equal(read_on(cursor, 1), 10);
    append_numbered(&fixture, 10, WEIR_EACH);
    uint64_t size;
    uint64_t at = atomic_load(&fixture.writer->marks.durable_address) % SMALL_SEGMENT;
    kill_writer(&fixture);
    uint8_t *bytes =
        sim_memory_bytes(fixture.disk.keeper, "segment-0000000000000001", false, &size);
    bytes[at - 5 * 4096] ^= 1; /* acknowledged, and witnessed by the groups behind it */
    struct weir_record record;
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) == 0) {
        assert_int_equal(
            reader_wait(fixture.reader, atomic_load(&fixture.reader->tailers.sequence), 1000000),
            0);
    }
    while (rc == 1 || rc == WEIR_E_DAMAGED) { /* as long as the writer seems to live */
        rc = weir_cursor_next(cursor, &record);
    }
    assert_int_equal(rc, WEIR_E_LOST);
    assert_int_equal(weir_durable_lsn(fixture.reader), 10);
    assert_int_equal(weir_cursor_seek(cursor, 1), 0);
    for (weir_lsn lsn = 1; lsn <= 10; lsn++) {
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        expect_record(&record, lsn);
    }
    weir_cursor_close(cursor);
    end(&fixture);
}

/* ---- without the page ---- */

static void without_a_page_the_groups_prove_what_is_durable(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        fixture.writer = open_log(&fixture.disk, NULL);
        append_numbered(&fixture, 100, WEIR_EACH);
        assert_int_equal(base_shared_page_remove(fixture.writer->control.uuid), 0);
        fixture.reader = open_reader(&fixture);
        struct weir_open_report report = report_of(fixture.reader);
        assert_true(report.live_writer);
        assert_non_null(strstr(report.medium.reason, "polled"));
        assert_int_equal(report.latest, 99); /* nothing proves the last group yet */
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1);
        assert_int_equal(read_on(cursor, 1), 99);
        assert_int_equal(weir_commit(fixture.writer), 0); /* a witness does */
        assert_int_equal(weir_cursor_wait(cursor, 5000000000), 1);
        assert_int_equal(read_on(cursor, 100), 100);
        weir_lsn seen = 100;
        for (int round = 0; round < 10; round++) { /* across rolls */
            append_numbered(&fixture, 60, WEIR_GROUP);
            assert_int_equal(weir_commit(fixture.writer), 0);
            while (seen < fixture.last) {
                assert_int_equal(weir_cursor_wait(cursor, 5000000000), 1);
                seen = read_on(cursor, seen + 1);
            }
        }
        weir_cursor_close(cursor);
        end(&fixture);
    }
}

static void a_page_of_a_copy_of_this_log_is_not_believed(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    fixture.writer = open_log(&fixture.disk, NULL);
    append_numbered(&fixture, 4, WEIR_EACH);
    assert_int_equal(weir_commit(fixture.writer), 0);
    /* A writer of a copied directory: same uuid, same epoch, another seed. */
    struct base_shared_page other;
    assert_int_equal(base_shared_page_create(&other, fixture.writer->control.uuid, 0600), 0);
    memcpy(other.data, fixture.writer->live.data, BASE_SHARED_PAGE_SIZE);
    struct live_page *page = other.data;
    page->seed++;
    atomic_store(&page->durable_lsn, 1000);
    atomic_store(&page->durable_address, atomic_load(&page->durable_address) + 8192);
    fixture.reader = open_reader(&fixture);
    assert_int_equal(report_of(fixture.reader).latest, 4);
    assert_non_null(strstr(report_of(fixture.reader).medium.reason, "polled"));
    base_shared_page_close(&other);
    end(&fixture);
}

static void two_readers_and_a_page_that_cannot_be_written(void **state)
{
    (void)state;
    struct fixture fixture = begin(0);
    fixture.writer = open_log(&fixture.disk, NULL);
    fixture.reader = open_reader(&fixture);
    struct weir_log *second = open_reader(&fixture);
    fixture.reader->reader->page->shared.writable = false; /* as of another user: it polls */
    struct weir_cursor *polls = cursor_at(fixture.reader, 1), *sleeps = cursor_at(second, 1);
    for (int round = 0; round < 20; round++) {
        append_numbered(&fixture, 1, WEIR_EACH);
        assert_int_equal(weir_cursor_wait(polls, 5000000000), 1);
        assert_int_equal(read_on(polls, fixture.last), fixture.last);
        assert_int_equal(weir_cursor_wait(sleeps, 5000000000), 1);
        assert_int_equal(read_on(sleeps, fixture.last), fixture.last);
    }
    weir_cursor_close(polls);
    weir_cursor_close(sleeps);
    close_log(second);
    end(&fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_14_a_closed_log_is_read_whole),
        cmocka_unit_test(o12_a_read_only_open_after_a_crash_changes_no_byte),
        cmocka_unit_test(an_interrupted_creation_is_an_empty_log),
        cmocka_unit_test(a_directory_in_which_no_log_was_begun_is_none),
        cmocka_unit_test(a_directory_of_something_else_is_not_a_log),
        cmocka_unit_test(wl_14_a_reader_sees_what_is_durable_and_nothing_else),
        cmocka_unit_test(cu_03_a_tailing_reader_misses_nothing_across_rolls),
        cmocka_unit_test(a_reader_that_stood_still_catches_up_over_many_segments),
        cmocka_unit_test(cu_04_what_a_reader_lent_stays_when_the_writer_truncates),
        cmocka_unit_test(a_reader_is_overtaken_again_and_again),
        cmocka_unit_test(truncating_everything_is_seen_by_a_reader),
        cmocka_unit_test(wl_14_a_reader_goes_on_through_clean_closes_and_new_writers),
        cmocka_unit_test(wl_14_after_a_kill_a_reader_shows_what_the_next_writer_keeps),
        cmocka_unit_test(a_restart_that_nobody_noticed_is_followed),
        cmocka_unit_test(a_refused_end_keeps_what_was_shown_and_says_why),
        cmocka_unit_test(without_a_page_the_groups_prove_what_is_durable),
        cmocka_unit_test(a_page_of_a_copy_of_this_log_is_not_believed),
        cmocka_unit_test(two_readers_and_a_page_that_cannot_be_written),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
