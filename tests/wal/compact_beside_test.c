/*
 * Compaction beside others: readers of another process (a second medium on the same disk), threads
 * that append and read, on each kind of medium.
 */
#include "compact_support.h"

#include "wal/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SIZE 1500u

/* Blocks of 4096 in separate memory, and 64 in the file itself. */
static const struct sim_memory_options media[] = {
    {.block_bytes = 4096},
    {.block_bytes = 64, .window_is_file = true},
    {.block_bytes = 4096, .window_is_file = true, .asynchronous = true},
};

#define MEDIA (sizeof media / sizeof media[0])

struct fixture {
    struct test_disk disk;
    struct weir_log *writer, *reader;
    struct story *story;
};

static struct fixture begin(size_t medium)
{
    struct fixture fixture = {.disk = {.options = media[medium]}, .story = story_new()};
    assert_int_equal(sim_memory_open(&fixture.disk.options, &fixture.disk.keeper), 0);
    fixture.disk.options.disk = sim_memory_disk(fixture.disk.keeper);
    fixture.writer = open_log(&fixture.disk, NULL);
    return fixture;
}

static void open_reader(struct fixture *fixture)
{
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    fixture->disk.options.read_only = true;
    fixture->reader = open_log(&fixture->disk, &options);
    fixture->disk.options.read_only = false;
}

static void end(struct fixture *fixture)
{
    if (fixture->reader != NULL) {
        close_log(fixture->reader);
    }
    if (fixture->writer != NULL) {
        close_log(fixture->writer);
    }
    story_free(fixture->story);
    disk_free(&fixture->disk);
}

static struct weir_cursor *cursor_at(struct weir_log *log, weir_lsn lsn, bool compacted)
{
    struct weir_cursor *cursor;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = lsn;
    options.compacted = compacted;
    assert_int_equal(weir_cursor_open(log, &options, &cursor), 0);
    return cursor;
}

static weir_lsn compact_to_end(struct fixture *fixture)
{
    story_compact(fixture->story, fixture->writer, fixture->story->last);
    return fixture->story->last;
}

/* From what it shows now to the end, or to why not. */
static int read_on(struct weir_cursor *cursor, weir_lsn *next)
{
    struct weir_record record;
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        *next = record.lsn + 1;
    }
    return rc;
}

static void wl_14_a_reader_that_follows_learns_of_a_compaction(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        story_fill(fixture.story, fixture.writer, 10, SIZE, 6);
        open_reader(&fixture);
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1, false);
        struct weir_record record;
        weir_lsn next = 0;
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        weir_lsn horizon = compact_to_end(&fixture);
        story_put(fixture.story, fixture.writer, 1, SIZE);
        struct weir_stat stat = WEIR_STAT_INIT;
        assert_int_equal(weir_log_stat(fixture.reader, &stat), 0);
        assert_int_equal(stat.horizon, horizon);
        assert_int_equal(stat.compacted_segments, 1);
        assert_int_equal(weir_cursor_next(cursor, &record), WEIR_E_HORIZON);
        assert_int_equal(weir_cursor_seek(cursor, horizon + 1), 0);
        assert_int_equal(read_on(cursor, &next), 0);
        assert_int_equal(next, fixture.story->last + 1);
        weir_cursor_close(cursor);
        (void)story_expect(fixture.story, fixture.reader);
        for (int round = 0; round < 3; round++) {
            story_fill(fixture.story, fixture.writer, 10, SIZE, 3);
            (void)story_expect(fixture.story, fixture.reader);
            compact_to_end(&fixture);
            (void)weir_log_stat(fixture.reader, &stat);
            (void)story_expect(fixture.story, fixture.reader);
        }
        end(&fixture);
    }
}

/* Its table is the old one, and the files are gone: it finds out when it needs one. */
static void wl_14_a_reader_that_did_not_look_is_not_shown_other_bytes(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        story_fill(fixture.story, fixture.writer, 10, SIZE, 6);
        open_reader(&fixture);
        struct weir_cursor *whole = cursor_at(fixture.reader, 1, false);
        struct weir_cursor *view = cursor_at(fixture.reader, 1, true);
        compact_to_end(&fixture);
        story_fill(fixture.story, fixture.writer, 10, SIZE, 3); /* into recycled files */
        weir_lsn next = 0;
        assert_int_equal(read_on(whole, &next), WEIR_E_HORIZON);
        assert_int_equal(read_on(view, &next), WEIR_E_HORIZON);
        assert_int_equal(weir_cursor_seek(view, 0), 0);
        assert_int_equal(read_on(view, &next), 0);
        assert_int_equal(next, fixture.story->last + 1);
        weir_cursor_close(whole);
        weir_cursor_close(view);
        (void)story_expect(fixture.story, fixture.reader);
        end(&fixture);
    }
}

/* The segment that it was walking is compacted away. */
static void wl_14_a_reader_that_slept_for_long_catches_up(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        story_put(fixture.story, fixture.writer, 1, SIZE);
        open_reader(&fixture);
        struct weir_cursor *cursor = cursor_at(fixture.reader, 1, false);
        struct weir_record record;
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(weir_cursor_next(cursor, &record), 0);
        story_fill(fixture.story, fixture.writer, 10, SIZE, 8);
        weir_lsn horizon = compact_to_end(&fixture);
        story_put(fixture.story, fixture.writer, 2, SIZE);
        int rc = weir_cursor_next(cursor, &record);
        assert_int_equal(rc, WEIR_E_HORIZON);
        assert_int_equal(weir_cursor_seek(cursor, horizon + 1), 0);
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(record.lsn, horizon + 1);
        weir_cursor_close(cursor);
        (void)story_expect(fixture.story, fixture.reader);
        end(&fixture);
    }
}

static void wl_14_a_reader_without_a_writer_reads_a_compacted_log(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        story_fill(fixture.story, fixture.writer, 10, SIZE, 6);
        compact_to_end(&fixture);
        open_reader(&fixture); /* beside the writer, */
        (void)story_expect(fixture.story, fixture.reader);
        close_log(fixture.reader);
        close_log(fixture.writer);
        fixture.writer = NULL;
        open_reader(&fixture); /* and alone */
        (void)story_expect(fixture.story, fixture.reader);
        fixture.writer = open_log(&fixture.disk, NULL);
        story_fill(fixture.story, fixture.writer, 10, SIZE, 3);
        compact_to_end(&fixture);
        struct weir_stat stat = WEIR_STAT_INIT;
        while (stat.latest != fixture.story->last) {
            assert_int_equal(weir_log_stat(fixture.reader, &stat), 0);
        }
        (void)story_expect(fixture.story, fixture.reader);
        end(&fixture);
    }
}

/* ---- threads ---- */

#define RECORDS 5000u
#define KEYS 16u

struct shared {
    struct weir_log *writer, *reader;
    _Atomic uint32_t keys[RECORDS + 1]; /* by LSN; key + 1; 0: not known yet */
    _Atomic uint64_t addresses[RECORDS + 1];
    _Atomic uint32_t done, failures;
    _Atomic int first_failure; /* line */
    weir_lsn horizon;          /* of the compaction that is under way */
    uint64_t steps;
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

static void note_place(void *context, size_t index, weir_lsn lsn, uint64_t address)
{
    struct shared *shared = context;
    (void)index;
    atomic_store(&shared->addresses[lsn], address);
}

static void *append_main(void *context)
{
    struct shared *shared = context;
    uint8_t payload[SIZE];
    for (uint32_t i = 1; i <= RECORDS; i++) {
        uint32_t key = i * 7919 % KEYS, size = 1 + i * 104729 % (SIZE - 1);
        memset(payload, (int)(key + size), size);
        struct weir_part part = {payload, size};
        struct weir_entry entry = {
            .parts = &part, .part_count = 1, .type = STORY_PUT, .user = key << 16 | size};
        struct wal_address_batch batch = {
            .entries = &entry, .count = 1, .stamp = note_place, .context = shared};
        atomic_store(&shared->keys[i], key + 1);
        weir_lsn lsn = 0;
        enum weir_durability durability = i % 8 == 0 ? WEIR_EACH : WEIR_GROUP;
        int rc = wal_address_append(shared->writer, &batch, durability, &lsn);
        if (!CHECK(shared, rc == 0 && lsn == i)) {
            break;
        }
    }
    CHECK(shared, weir_commit(shared->writer) == 0);
    atomic_store(&shared->done, 1);
    return NULL;
}

static bool is_whole(const struct weir_record *record)
{
    const uint8_t *bytes = record->data;
    uint32_t key = record->user >> 16, size = record->user & 0xffff;
    for (uint32_t i = 0; i < record->size; i++) {
        if (bytes[i] != (uint8_t)(key + size)) {
            return false;
        }
    }
    return record->size == size;
}

static bool is_newest(struct shared *shared, weir_lsn lsn, weir_lsn horizon)
{
    uint32_t key = atomic_load(&shared->keys[lsn]);
    for (weir_lsn later = lsn + 1; later <= horizon; later++) {
        if (atomic_load(&shared->keys[later]) == key) {
            return false;
        }
    }
    return true;
}

static int keep_newest(void *context, const struct weir_record *record, uint64_t address)
{
    struct shared *shared = context;
    CHECK(shared, is_whole(record));
    CHECK(shared, address == atomic_load(&shared->addresses[record->lsn]));
    return is_newest(shared, record->lsn, shared->horizon) ? WAL_ADDRESS_KEEP : WAL_ADDRESS_DROP;
}

static void move_address(void *context, const struct weir_record *record, uint64_t old_address,
                         uint64_t new_address)
{
    struct shared *shared = context;
    CHECK(shared, is_whole(record));
    CHECK(shared, old_address == atomic_load(&shared->addresses[record->lsn]));
    CHECK(shared, new_address != 0 || !is_newest(shared, record->lsn, shared->horizon));
    atomic_store(&shared->addresses[record->lsn], new_address);
}

static void *compact_main(void *context)
{
    struct shared *shared = context;
    uint32_t done = 0;
    while (done == 0) {
        done = atomic_load(&shared->done);
        shared->horizon = weir_durable_lsn(shared->writer);
        struct wal_address_compaction compaction = {.horizon = shared->horizon,
                                                    .keep = keep_newest,
                                                    .moved = move_address,
                                                    .context = shared};
        struct wal_address_compaction_report report;
        int rc = wal_address_compact(shared->writer, &compaction, &report, NULL);
        CHECK(shared, rc == 0);
        shared->steps += report.steps;
    }
    return NULL;
}

/* The newest record of each key is there. */
static void check_state(struct shared *shared, const weir_lsn newest[KEYS], weir_lsn last)
{
    for (weir_lsn lsn = 1; lsn <= last; lsn++) {
        uint32_t key = atomic_load(&shared->keys[lsn]) - 1;
        if (is_newest(shared, lsn, last)) {
            CHECK(shared, newest[key] == lsn);
        }
    }
}

/* Reads in the compacted view, again from its beginning when that is overtaken, until the end. */
static void read_view(struct shared *shared, struct weir_log *log)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.compacted = true;
    struct weir_cursor *cursor;
    if (!CHECK(shared, weir_cursor_open(log, &options, &cursor) == 0)) {
        return;
    }
    weir_lsn newest[KEYS] = {0}, next = 1;
    while (next <= RECORDS && atomic_load(&shared->failures) == 0) {
        struct weir_record record;
        int rc = weir_cursor_next(cursor, &record);
        if (rc == 1) {
            CHECK(shared, record.lsn >= next && is_whole(&record));
            newest[record.user >> 16] = record.lsn;
            next = record.lsn + 1;
        } else if (rc == 0) {
            check_state(shared, newest, next - 1);
            (void)weir_cursor_wait(cursor, 1000000);
        } else {
            /* To a reader, a file that goes before it opens it was dropped. */
            bool dropped = rc == WEIR_E_TRUNCATED && log == shared->reader;
            CHECK(shared, rc == WEIR_E_HORIZON || rc == -EAGAIN || dropped);
            memset(newest, 0, sizeof newest);
            next = 1;
            do {
                rc = weir_cursor_seek(cursor, 0);
            } while (rc == -EAGAIN);
            CHECK(shared, rc == 0 || rc == WEIR_E_HORIZON);
        }
    }
    if (next > RECORDS) {
        check_state(shared, newest, RECORDS);
    }
    weir_cursor_close(cursor);
}

static void *read_main(void *context)
{
    struct shared *shared = context;
    read_view(shared, shared->writer);
    return NULL;
}

static void *follow_main(void *context)
{
    struct shared *shared = context;
    read_view(shared, shared->reader);
    return NULL;
}

static void cd_11_writers_cursors_and_readers_go_on_while_it_compacts(void **state)
{
    (void)state;
    for (size_t medium = 0; medium < MEDIA; medium++) {
        struct fixture fixture = begin(medium);
        open_reader(&fixture);
        static struct shared shared;
        memset(&shared, 0, sizeof shared);
        shared.writer = fixture.writer;
        shared.reader = fixture.reader;
        void *(*const mains[])(void *) = {append_main, compact_main, read_main, follow_main};
        pthread_t threads[4];
        /* A reader process may read what is being stored, and finds out; threads must not. */
        int count = media[medium].window_is_file ? 3 : 4;
        for (int i = 0; i < count; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, mains[i], &shared), 0);
        }
        for (int i = 0; i < count; i++) {
            pthread_join(threads[i], NULL);
        }
        assert_int_equal(shared.first_failure, 0);
        assert_true(shared.steps > 0);
        end(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_14_a_reader_that_follows_learns_of_a_compaction),
        cmocka_unit_test(wl_14_a_reader_that_did_not_look_is_not_shown_other_bytes),
        cmocka_unit_test(wl_14_a_reader_that_slept_for_long_catches_up),
        cmocka_unit_test(wl_14_a_reader_without_a_writer_reads_a_compacted_log),
        cmocka_unit_test(cd_11_writers_cursors_and_readers_go_on_while_it_compacts),
    };
    return cmocka_run_group_tests_name("wal_compact_beside", tests, NULL, NULL);
}
