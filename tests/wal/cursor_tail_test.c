/* CU-03: tailing. Writers and readers on threads of their own, over many rolls: nothing is missed,
 * repeated or out of order, nobody sleeps through a wake-up, nobody spins. Threads record what went
 * wrong; the test's own thread asserts. */
#include "tests/wal/cursor_support.h"

#include "base/clock.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "wal/log.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#define PATIENCE_NS INT64_C(20000000000) /* a test that waits this long has failed */

enum reading {
    READ_NEXT,
    READ_BATCH,
    READ_PUBLISHED,
    READ_EVENTFD,
};

struct reader {
    struct weir_log *log;
    enum reading how;
    weir_lsn from, last; /* until last was lent */
    _Atomic uint64_t position;
    const char *failure;
    int code;
    weir_lsn at;
    uint64_t calls_that_gave_nothing;
    struct base_thread thread;
};

static void fail_reader(struct reader *reader, const char *failure, int code, weir_lsn at)
{
    reader->failure = failure;
    reader->code = code;
    reader->at = at;
}

static bool take(struct reader *reader, const struct weir_record *record, weir_lsn *next)
{
    if (record->lsn != *next) {
        fail_reader(reader, "missed, repeated or out of order", (int)record->lsn, *next);
    } else if (!is_intact(record)) {
        fail_reader(reader, "other bytes", 0, *next);
    }
    (*next)++;
    atomic_store(&reader->position, *next);
    return reader->failure == NULL;
}

static int sleep_in_poll(struct weir_cursor *cursor)
{
    int fd;
    int rc = weir_cursor_eventfd(cursor, &fd);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    if (rc < 0) {
        return rc;
    }
    if (poll(&one, 1, (int)(PATIENCE_NS / 1000000)) != 1) {
        return 0;
    }
    base_event_fd_clear(fd);
    return 1;
}

static void read_all(void *context)
{
    struct reader *reader = context;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    struct weir_record records[64];
    int most = reader->how == READ_BATCH ? 64 : 1;
    weir_lsn next = reader->from;
    options.published = reader->how == READ_PUBLISHED;
    options.from = WEIR_FROM_LSN;
    options.lsn = reader->from;
    int rc = weir_cursor_open(reader->log, &options, &cursor);
    if (rc < 0) {
        fail_reader(reader, "open", rc, next);
        return;
    }
    while (next <= reader->last && reader->failure == NULL) {
        rc = most == 1 ? weir_cursor_next(cursor, records)
                       : weir_cursor_next_batch(cursor, records, most);
        for (int i = 0; i < rc && take(reader, &records[i], &next); i++) {
        }
        if (rc == 0) {
            reader->calls_that_gave_nothing++;
            rc = reader->how == READ_EVENTFD ? sleep_in_poll(cursor)
                                             : weir_cursor_wait(cursor, PATIENCE_NS);
            if (rc == 0) {
                fail_reader(reader, "slept through it", 0, next);
            }
        }
        if (rc < 0) {
            fail_reader(reader, "error", rc, next);
        }
    }
    weir_cursor_close(cursor);
}

static void start_reader(struct reader *reader, struct weir_log *log, enum reading how,
                         weir_lsn from, weir_lsn last)
{
    *reader = (struct reader){.log = log, .how = how, .from = from, .last = last};
    atomic_store(&reader->position, from);
    assert_int_equal(base_thread_start(&reader->thread, "reader", read_all, reader), 0);
}

static void join_reader(struct reader *reader)
{
    base_thread_join(&reader->thread);
    if (reader->failure != NULL) {
        fail_msg("reader %d: %s (%d) at %lu", reader->how, reader->failure, reader->code,
                 (unsigned long)reader->at);
    }
}

static void start_readers(struct reader readers[4], struct weir_log *log, weir_lsn from,
                          weir_lsn last)
{
    for (int how = READ_NEXT; how <= READ_EVENTFD; how++) {
        start_reader(&readers[how], log, (enum reading)how, from, last);
    }
}

static void join_readers(struct reader readers[4])
{
    for (int how = READ_NEXT; how <= READ_EVENTFD; how++) {
        join_reader(&readers[how]);
    }
}

/* ---- tailing ---- */

static void tail_over_rolls(const struct rig *model, unsigned count, unsigned each)
{
    struct rig rig;
    struct reader readers[4];
    rig_begin(&rig, model);
    struct weir_log *log = rig_open(&rig, NULL);
    start_readers(readers, log, 1, count);
    for (unsigned i = 0; i < count;) {
        if (i % each == 0) {
            append_next(log, WEIR_EACH);
            i++;
        } else if (i % 7 == 3 && i + 5 < count) {
            append_batch_of(log, 5, WEIR_GROUP);
            i += 5;
        } else {
            append_next(log, i % 3 == 0 ? WEIR_GROUP : WEIR_NONE);
            i++;
        }
    }
    assert_int_equal(weir_commit(log), 0);
    join_readers(readers);
    assert_true(stat_of(log).segments > 5);
    rig_end(&rig);
}

static void cu_03_tailing_over_rolls_in_memory(void **state)
{
    (void)state;
    tail_over_rolls(&RIG_MEMORY, 20000, 10);
}

static void cu_03_tailing_over_rolls_in_small_blocks(void **state)
{
    (void)state;
    tail_over_rolls(&RIG_MEMORY_FILE, 20000, 10);
}

static void cu_03_tailing_over_rolls_direct(void **state)
{
    (void)state;
    tail_over_rolls(&RIG_DIRECT, 8000, 50);
}

static void cu_03_tailing_over_rolls_mapped(void **state)
{
    (void)state;
    tail_over_rolls(&RIG_MAPPED, 8000, 50);
}

static weir_lsn slowest(struct reader readers[4])
{
    weir_lsn least = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        weir_lsn at = atomic_load(&readers[i].position);
        least = at < least ? at : least;
    }
    return least;
}

static void cu_03_tailing_while_the_log_is_truncated_behind_the_slowest(void **state)
{
    (void)state;
    const unsigned count = 20000;
    struct rig rig;
    struct reader readers[4];
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 100, WEIR_EACH);
    start_readers(readers, log, 1, count);
    for (unsigned i = 100; i < count; i++) {
        append_next(log, i % 20 == 0 ? WEIR_EACH : WEIR_NONE);
        if (i % 500 == 0) {
            weir_lsn keep = slowest(readers);
            weir_lsn durable = weir_durable_lsn(log);
            assert_int_equal(weir_truncate_before(log, keep <= durable ? keep : durable, NULL), 0);
        }
    }
    assert_int_equal(weir_commit(log), 0);
    join_readers(readers);
    rig_end(&rig);
}

static void write_each(void *context)
{
    struct weir_log *log = context;
    uint8_t byte = 0;
    for (int i = 0; i < 300; i++) {
        (void)try_append(log, &byte, 1, WEIR_EACH, NULL);
    }
}

static void wl_04_a_tailing_cursor_never_sees_half_a_batch(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY_FILE);
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = true;
    struct weir_cursor *cursors[2] = {open_cursor(log, NULL), open_cursor(log, &options)};
    struct base_thread noise;
    assert_int_equal(base_thread_start(&noise, "writer", write_each, log), 0);
    for (int i = 0; i < 200; i++) { /* a batch of ten is ten records of 10 bytes, else 1 byte */
        struct weir_part part = {"0123456789", 10};
        struct weir_entry entries[10];
        for (int j = 0; j < 10; j++) {
            entries[j] = (struct weir_entry){.parts = &part, .part_count = 1, .user = (uint32_t)j};
        }
        assert_int_equal(weir_append_batch(log, entries, 10, WEIR_GROUP, NULL), 0);
        for (int which = 0; which < 2; which++) {
            struct weir_record record;
            uint32_t in_batch = 0;
            while (weir_cursor_next(cursors[which], &record) == 1) {
                assert_int_equal(record.user, record.size == 10 ? in_batch : 0);
                in_batch = record.size == 10 ? (in_batch + 1) % 10 : in_batch;
                assert_true(record.size == 10 || in_batch == 0);
            }
            assert_int_equal(in_batch, 0);
        }
    }
    base_thread_join(&noise);
    weir_cursor_close(cursors[0]);
    weir_cursor_close(cursors[1]);
    rig_end(&rig);
}

/* ---- several writers ---- */

#define WRITERS 3u
#define RECORDS_EACH 4000u

struct writer {
    struct weir_log *log;
    uint32_t id;
    int code;
    struct base_thread thread;
};

/* Writer, number, and bytes that follow from both: 8 to 407 bytes. */
static size_t compose(uint32_t id, uint32_t number, uint8_t *buffer)
{
    size_t size = 8 + numbered_payload(number * WRITERS + id, buffer + 8, 399);
    memcpy(buffer, &id, 4);
    memcpy(buffer + 4, &number, 4);
    return size;
}

static int write_one(struct writer *writer, uint32_t number)
{
    uint8_t buffer[408];
    size_t size = compose(writer->id, number, buffer);
    enum weir_durability durability = number % 50 == 0 ? WEIR_EACH : WEIR_NONE;
    struct weir_reservation reservation;
    if (number % 5 != 0) {
        return try_append(writer->log, buffer, size, durability, NULL);
    }
    int rc = weir_reserve(writer->log, 0, 33, &reservation);
    rc = rc < 0 ? rc : weir_cancel(writer->log, &reservation);
    rc = rc < 0 ? rc : weir_reserve(writer->log, 0, size, &reservation);
    if (rc == 0) {
        memcpy(reservation.data, buffer, size);
        rc = weir_publish(writer->log, &reservation, durability);
    }
    return rc;
}

static void write_many(void *context)
{
    struct writer *writer = context;
    for (uint32_t number = 0; number < RECORDS_EACH && writer->code == 0; number++) {
        writer->code = write_one(writer, number);
    }
}

/* Each writer's numbers in order, nothing missing; LSNs rise by one, VOID records counted. */
static void expect_all_writers(struct weir_cursor *cursor)
{
    uint32_t next[WRITERS] = {0}, done = 0;
    weir_lsn lsn = 1;
    while (done < WRITERS * RECORDS_EACH) {
        struct weir_record record;
        int rc = weir_cursor_next(cursor, &record);
        if (rc == 0) {
            assert_int_equal(weir_cursor_wait(cursor, PATIENCE_NS), 1);
            continue;
        }
        assert_int_equal(rc, 1);
        assert_int_equal(record.lsn, lsn++);
        if ((record.flags & WEIR_RECORD_VOID) != 0) {
            continue;
        }
        uint8_t expected[408];
        uint32_t id;
        memcpy(&id, record.data, 4);
        assert_true(id < WRITERS);
        assert_int_equal(record.size, compose(id, next[id]++, expected));
        assert_memory_equal(record.data, expected, record.size);
        done++;
    }
}

static void read_beside_writers(const struct rig *model, bool published)
{
    struct rig rig;
    struct writer writers[WRITERS];
    rig_begin(&rig, model);
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = published;
    options.with_void = true;
    struct weir_cursor *cursor = open_cursor(log, &options);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.log = log, .id = i};
        assert_int_equal(base_thread_start(&writers[i].thread, "writer", write_many, &writers[i]),
                         0);
    }
    if (published) {
        expect_all_writers(cursor); /* nobody commits the last ones */
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        base_thread_join(&writers[i].thread);
        assert_int_equal(writers[i].code, 0);
    }
    assert_int_equal(weir_commit(log), 0);
    if (!published) {
        expect_all_writers(cursor);
    }
    assert_int_equal(weir_cursor_seek(cursor, 1), 0);
    expect_all_writers(cursor);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

static void cu_02_published_records_of_several_writers_are_seen_in_order(void **state)
{
    (void)state;
    read_beside_writers(&RIG_MEMORY, true);
    read_beside_writers(&RIG_MEMORY_FILE, true);
    read_beside_writers(&RIG_DIRECT, true);
}

static void cu_03_durable_records_of_several_writers_are_seen_in_order(void **state)
{
    (void)state;
    read_beside_writers(&RIG_MEMORY, false);
    read_beside_writers(&RIG_MAPPED, false);
}

/* ---- waiting ---- */

static void cu_03_waiting_ends_by_timeout_and_does_not_spin(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 3, WEIR_EACH);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    assert_int_equal(weir_cursor_wait(cursor, WEIR_WAIT_FOREVER), 1);
    expect_run(cursor, 1, 3);
    assert_int_equal(weir_cursor_wait(cursor, 0), 0);
    struct rusage before, after;
    assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
    uint64_t start_ns = base_clock_monotonic_ns();
    assert_int_equal(weir_cursor_wait(cursor, 100000000), 0);
    assert_true(base_clock_monotonic_ns() - start_ns >= 100000000);
    assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
    assert_true(after.ru_nvcsw - before.ru_nvcsw < 20);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = true;
    options.from = WEIR_FROM_LATEST;
    struct weir_cursor *published = open_cursor(log, &options);
    assert_int_equal(weir_cursor_wait(published, 50000000), 0);
    append_next(log, WEIR_NONE);
    assert_int_equal(weir_cursor_wait(published, WEIR_WAIT_FOREVER), 1);
    assert_int_equal(weir_cursor_wait(cursor, 0), 0);
    weir_cursor_close(cursor);
    weir_cursor_close(published);
    rig_end(&rig);
}

/* Sleeps at the end; the writer waits until it does, so that no wake-up comes too early. */
static void cu_03_every_single_durable_record_wakes_a_sleeper(void **state)
{
    (void)state;
    struct rig rig;
    struct reader reader;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    start_reader(&reader, log, READ_NEXT, 1, 500);
    for (weir_lsn lsn = 1; lsn <= 500; lsn++) {
        while (atomic_load(&log->tailers.sleeping) == 0 && reader.failure == NULL &&
               atomic_load(&reader.position) <= lsn - 1) {
            base_yield();
        }
        append_next(log, WEIR_EACH);
    }
    join_reader(&reader);
    assert_int_equal(atomic_load(&log->tailers.sleeping), 0);
    rig_end(&rig);
}

static void cu_03_the_descriptor_is_signalled_once_per_time_that_a_cursor_caught_up(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_next(log, WEIR_EACH);
    struct weir_cursor *cursor = open_cursor(log, NULL), *other = open_cursor(log, NULL);
    int fd, same, other_fd;
    assert_int_equal(weir_cursor_eventfd(cursor, &fd), 0);
    assert_int_equal(weir_cursor_eventfd(cursor, &same), 0);
    assert_int_equal(weir_cursor_eventfd(other, &other_fd), 0);
    assert_int_equal(fd, same);
    assert_true(base_event_fd_clear(fd)); /* a record was there already */
    expect_next(cursor, 1);
    expect_caught_up(cursor);
    assert_false(base_event_fd_is_signalled(fd));
    append_next(log, WEIR_NONE);
    assert_false(base_event_fd_is_signalled(fd));
    assert_int_equal(weir_commit(log), 0);
    append_many(log, 5, WEIR_EACH);
    uint64_t count = 0;
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
    weir_cursor_close(other);
    expect_run(cursor, 2, 7);
    expect_caught_up(cursor);
    append_next(log, WEIR_EACH);
    assert_true(base_event_fd_is_signalled(fd));
    weir_cursor_close(cursor);
    append_next(log, WEIR_EACH);
    rig_end(&rig);
}

static int fail_writes(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)context;
    (void)name;
    (void)offset;
    (void)size;
    return strcmp(call, "persist") == 0 ? -EIO : 0;
}

static void wl_12_waiting_on_a_poisoned_log_ends_once_everything_durable_is_lent(void **state)
{
    (void)state;
    struct rig rig;
    struct reader reader;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 4, WEIR_EACH);
    start_reader(&reader, log, READ_NEXT, 1, 5);
    struct sim_memory_faults faults = {.before = fail_writes};
    sim_memory_faults_set(log->medium, &faults);
    uint8_t byte = 0;
    assert_true(try_append(log, &byte, 1, WEIR_EACH, NULL) < 0);
    base_thread_join(&reader.thread);
    assert_int_equal(atomic_load(&reader.position), 5);
    assert_int_equal(reader.code, WEIR_E_POISONED);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    expect_run(cursor, 1, 4);
    expect_caught_up(cursor);
    assert_int_equal(weir_cursor_wait(cursor, WEIR_WAIT_FOREVER), WEIR_E_POISONED);
    weir_cursor_close(cursor);
    sim_memory_faults_set(log->medium, &(struct sim_memory_faults){0});
    assert_true(weir_log_close(log) < 0);
    rig.log = NULL;
    rig_end(&rig);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cu_03_tailing_over_rolls_in_memory),
        cmocka_unit_test(cu_03_tailing_over_rolls_in_small_blocks),
        cmocka_unit_test(cu_03_tailing_over_rolls_direct),
        cmocka_unit_test(cu_03_tailing_over_rolls_mapped),
        cmocka_unit_test(cu_03_tailing_while_the_log_is_truncated_behind_the_slowest),
        cmocka_unit_test(wl_04_a_tailing_cursor_never_sees_half_a_batch),
        cmocka_unit_test(cu_02_published_records_of_several_writers_are_seen_in_order),
        cmocka_unit_test(cu_03_durable_records_of_several_writers_are_seen_in_order),
        cmocka_unit_test(cu_03_waiting_ends_by_timeout_and_does_not_spin),
        cmocka_unit_test(cu_03_every_single_durable_record_wakes_a_sleeper),
        cmocka_unit_test(cu_03_the_descriptor_is_signalled_once_per_time_that_a_cursor_caught_up),
        cmocka_unit_test(wl_12_waiting_on_a_poisoned_log_ends_once_everything_durable_is_lent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
