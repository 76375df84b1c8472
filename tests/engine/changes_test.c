/*
 * The stream of changes, one behaviour at a time: images, filters, where it begins, what it lends
 * and for how long, what it says when it cannot go on.
 */
#include "stream.h"

#include "base/system.h"
#include "engine/changes.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/maintain.h>

#define FROM_NOTHING (&(struct weir_changes_options)WEIR_CHANGES_OPTIONS_INIT)

static int refused(struct store *store, enum weir_changes_from from, weir_lsn lsn)
{
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    struct weir_changes *changes;
    options.from = from;
    options.lsn = lsn;
    return weir_changes_open(store->engine, &options, &changes);
}

static uint64_t open_sections(struct store *store)
{
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    assert_int_equal(weir_engine_stat(store->engine, &status), 0);
    return status.read_sections;
}

/* ---- events ---- */

static void cd_01_each_operation_has_the_images_that_it_has(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "a", "22");
    erase(&store, "a");
    put(&store, "a", "");
    put(&store, "a", "4");
    settle(&store);
    for (int max = 1; max <= 6; max++) {
        struct weir_changes *changes = open_stream(store.engine, NULL);
        expect_events(changes, max, "1:+a=1 2:a=1>22 3:-a=22 4:+a= 5:a=>4");
        assert_int_equal(weir_changes_position(changes), 5);
        weir_changes_close(changes);
    }
    struct weir_changes *changes = open_stream(store.engine, NULL);
    struct weir_event events[5];
    static const weir_lsn befores[] = {0, 1, 2, 0, 4};
    assert_int_equal(weir_changes_next(changes, events, 5), 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(events[i].before_lsn, befores[i]);
        assert_int_equal(events[i].table, WEIR_TABLE_DEFAULT);
        assert_false(events[i].state);
    }
    assert_null(events[2].after.data);
    assert_null(events[3].before.data);
    assert_non_null(events[4].before.data); /* there, and empty */
    assert_int_equal(events[4].before.size, 0);
    weir_changes_close(changes);
    store_close(&store);
}

static void cd_01_a_batch_that_changes_a_key_twice_has_the_images_between(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    const struct weir_write writes[] = {
        {.kind = WEIR_PUT, .key = text("k"), .value = text("1")},
        {.kind = WEIR_PUT, .key = text("k"), .value = text("2")},
        {.kind = WEIR_DELETE, .key = text("k")},
        {.kind = WEIR_PUT, .key = text("k"), .value = text("3")},
    };
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 4, WEIR_EACH, NULL), 0);
    struct weir_changes *changes = open_stream(store.engine, NULL);
    expect_events(changes, EVENTS, "1:+k=1 2:k=1>2 3:-k=2 4:+k=3");
    weir_changes_close(changes);
    store_close(&store);
}

static void records_of_the_application_and_what_is_not_durable_are_no_events(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    struct weir_part part = {"x", 1};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 7};
    assert_int_equal(weir_append(store.log, &entry, WEIR_NONE, NULL), 0);
    put(&store, "a", "1");
    assert_int_equal(weir_append(store.log, &entry, WEIR_EACH, NULL), 0);
    struct weir_changes *changes = open_stream(store.engine, NULL);
    put(&store, "a", "2");
    expect_events(changes, EVENTS, "2:+a=1");
    assert_int_equal(weir_changes_position(changes), 3);
    settle(&store);
    expect_events(changes, EVENTS, "4:a=1>2");
    weir_changes_close(changes);
    store_close(&store);
}

static void what_is_lent_stays_until_the_next_call_whatever_happens_to_the_log(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    char value[24], expected[24];
    for (int i = 0; i < EVENTS; i++) {
        snprintf(value, sizeof value, "value %d", i);
        put(&store, "key", value);
    }
    churn(&store, 20);
    struct weir_changes *changes = open_stream(store.engine, NULL);
    struct weir_event events[EVENTS];
    assert_int_equal(weir_changes_next(changes, events, EVENTS), EVENTS);
    for (int round = 0; round < 3; round++) {
        compact(&store, 0);
        churn(&store, 20);
    }
    for (int i = 1; i < EVENTS; i++) {
        snprintf(expected, sizeof expected, "value %d", i - 1);
        assert_int_equal(events[i].before.size, strlen(expected));
        assert_memory_equal(events[i].before.data, expected, strlen(expected));
        snprintf(expected, sizeof expected, "value %d", i);
        assert_memory_equal(events[i].after.data, expected, strlen(expected));
        assert_memory_equal(events[i].key.data, "key", 3);
    }
    weir_changes_close(changes);
    store_close(&store);
}

static void an_idle_stream_holds_no_read_section(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "a", "2");
    settle(&store);
    struct weir_changes *changes = open_stream(store.engine, NULL);
    struct weir_event events[EVENTS];
    assert_int_equal(weir_changes_next(changes, events, EVENTS), 2);
    assert_int_equal(open_sections(&store), 1);
    assert_int_equal(weir_changes_next(changes, events, EVENTS), 0);
    assert_int_equal(open_sections(&store), 0);
    put(&store, "a", "3");
    settle(&store);
    assert_int_equal(weir_changes_next(changes, events, EVENTS), 1);
    assert_int_equal(weir_changes_wait(changes, 0), 0);
    assert_int_equal(open_sections(&store), 0);
    weir_changes_close(changes);
    changes = open_from(&store, WEIR_CHANGES_SNAPSHOT, 0);
    assert_int_equal(open_sections(&store), 0);
    assert_int_equal(weir_changes_next(changes, events, EVENTS), 1);
    assert_int_equal(open_sections(&store), 1);
    weir_changes_close(changes);
    assert_int_equal(open_sections(&store), 0);
    store_close(&store);
}

/* ---- filters ---- */

static void cd_03_filters_by_table_and_operation_leave_the_position_alone(void **state)
{
    (void)state;
    struct store store;
    weir_table one, two;
    store_open(&store);
    assert_int_equal(weir_table_open(store.engine, "one", true, &one), 0);
    assert_int_equal(weir_table_open(store.engine, "two", true, &two), 0);
    put_in(&store, one, "a", "1");
    put_in(&store, two, "a", "2");
    put(&store, "a", "3");
    put_in(&store, one, "a", "4");
    put_in(&store, two, "a", "5");
    erase(&store, "a");
    settle(&store);
    const weir_table both[] = {one, two, one};
    const weir_table none[] = {77};
    const weir_table *sets[] = {both, both, both, none, NULL};
    const size_t sizes[] = {1, 3, 3, 1, 0};
    const uint32_t operations[] = {0, 0, WEIR_ON_UPDATE, 0, WEIR_ON_INSERT | WEIR_ON_REMOVE};
    const char *expected[] = {"3:+a=1 6:a=1>4", "3:+a=1 4:+a=2 6:a=1>4 7:a=2>5", "6:a=1>4 7:a=2>5",
                              "", "3:+a=1 4:+a=2 5:+a=3 8:-a=3"};
    for (size_t i = 0; i < 5; i++) {
        for (int max = 1; max <= 8; max += 7) {
            struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
            options.tables = sets[i];
            options.table_count = sizes[i];
            options.operations = operations[i];
            struct weir_changes *changes = open_stream(store.engine, &options);
            expect_events(changes, max, expected[i]);
            assert_int_equal(weir_changes_position(changes), 8);
            weir_changes_close(changes);
        }
    }
    store_close(&store);
}

static void cd_03_filters_hold_for_the_state_too(void **state)
{
    (void)state;
    struct store store;
    weir_table one;
    store_open(&store);
    assert_int_equal(weir_table_open(store.engine, "one", true, &one), 0);
    put_in(&store, one, "a", "1");
    put(&store, "b", "2");
    settle(&store);
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    options.from = WEIR_CHANGES_SNAPSHOT;
    options.tables = &one;
    options.table_count = 1;
    struct weir_changes *changes = open_stream(store.engine, &options);
    put_in(&store, one, "a", "3");
    settle(&store);
    expect_events(changes, EVENTS, "s2:+a=1 4:a=1>3");
    weir_changes_close(changes);
    options.table_count = 0;
    options.operations = WEIR_ON_UPDATE;
    changes = open_stream(store.engine, &options);
    put(&store, "b", "4");
    settle(&store);
    expect_events(changes, EVENTS, "5:b=2>4");
    weir_changes_close(changes);
    store_close(&store);
}

static void tables_are_called_as_the_log_calls_them(void **state)
{
    (void)state;
    struct store store;
    weir_table before, later;
    store_open(&store);
    assert_int_equal(weir_table_open(store.engine, "before", true, &before), 0);
    struct weir_changes *changes = open_from(&store, WEIR_CHANGES_NOW, 0);
    assert_int_equal(weir_table_open(store.engine, "later", true, &later), 0);
    put_in(&store, later, "k", "v");
    settle(&store);
    expect_events(changes, EVENTS, "3:+k=v");
    const char *name = weir_changes_table_name(changes, later);
    assert_string_equal(name, "later");
    assert_string_equal(weir_changes_table_name(changes, before), "before");
    assert_string_equal(weir_changes_table_name(changes, WEIR_TABLE_DEFAULT), "");
    assert_null(weir_changes_table_name(changes, 99));
    assert_null(weir_changes_table_name(changes, WEIR_TABLES_MAX));
    assert_ptr_equal(weir_changes_table_name(changes, later), name);
    weir_changes_close(changes);
    store_close(&store);
}

/* ---- where it begins ---- */

static void cd_05_a_stream_begins_at_the_beginning_now_or_behind_an_lsn(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "b", "2");
    settle(&store);
    struct weir_changes *beginning = open_stream(store.engine, FROM_NOTHING);
    struct weir_changes *now = open_from(&store, WEIR_CHANGES_NOW, 0);
    struct weir_changes *behind = open_from(&store, WEIR_CHANGES_BEHIND, 1);
    struct weir_changes *resumed = open_from(&store, WEIR_CHANGES_RESUME, 2);
    struct weir_changes *later = open_from(&store, WEIR_CHANGES_BEHIND, 3);
    assert_int_equal(weir_changes_position(beginning), 0);
    assert_int_equal(weir_changes_position(now), 2);
    assert_int_equal(weir_changes_position(behind), 1);
    assert_int_equal(weir_changes_position(resumed), 2);
    put(&store, "a", "3");
    put(&store, "a", "4");
    settle(&store);
    expect_events(beginning, 1, "1:+a=1 2:+b=2 3:a=1>3 4:a=3>4");
    expect_events(now, 1, "3:a=1>3 4:a=3>4");
    expect_events(behind, 1, "2:+b=2 3:a=1>3 4:a=3>4");
    expect_events(resumed, 1, "3:a=1>3 4:a=3>4");
    expect_events(later, 1, "4:a=3>4");
    assert_int_equal(weir_changes_state_lsn(beginning), 0);
    weir_changes_close(beginning);
    weir_changes_close(now);
    weir_changes_close(behind);
    weir_changes_close(resumed);
    weir_changes_close(later);
    assert_int_equal(refused(&store, WEIR_CHANGES_RESUME, 5), -EAGAIN);
    store_close(&store);
}

static void cd_05_a_snapshot_is_the_state_and_then_the_stream(void **state)
{
    (void)state;
    struct store store;
    weir_table one;
    store_open(&store);
    assert_int_equal(weir_table_open(store.engine, "one", true, &one), 0);
    put(&store, "b", "1");
    put(&store, "a", "2");
    put(&store, "gone", "3");
    put_in(&store, one, "a", "4");
    put(&store, "b", "5");
    erase(&store, "gone");
    settle(&store);
    for (int max = 1; max <= 5; max++) {
        struct weir_changes *changes = open_from(&store, WEIR_CHANGES_SNAPSHOT, 0);
        weir_lsn as_of = weir_changes_state_lsn(changes);
        assert_int_equal(as_of, weir_durable_lsn(store.log));
        assert_int_equal(weir_changes_position(changes), 0);
        assert_false(weir_changes_is_whole(changes));
        weir_lsn lsn = put(&store, "c", "new");
        erase(&store, "c");
        settle(&store);
        char expected[200];
        snprintf(expected, sizeof expected, "s3:+a=2 s6:+b=5 s5:+a=4 %ju:+c=new %ju:-c=new",
                 (uintmax_t)lsn, (uintmax_t)lsn + 1);
        expect_events(changes, max, expected);
        assert_int_equal(weir_changes_position(changes), lsn + 1);
        weir_changes_close(changes);
    }
    store_close(&store);
}

static void the_state_of_an_empty_log_is_empty(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    struct weir_changes *changes = open_from(&store, WEIR_CHANGES_SNAPSHOT, 0);
    expect_events(changes, EVENTS, "");
    put(&store, "a", "1");
    settle(&store);
    expect_events(changes, EVENTS, "1:+a=1");
    weir_changes_close(changes);
    store_close(&store);
}

static void the_time_of_a_row_is_that_of_its_version(void **state)
{
    (void)state;
    struct store store;
    struct weir_event event;
    store_open(&store);
    put(&store, "a", "1");
    settle(&store);
    struct weir_changes *changes = open_stream(store.engine, NULL);
    assert_int_equal(weir_changes_next(changes, &event, 1), 1);
    uint64_t time_ns = event.time_ns;
    weir_changes_close(changes);
    put(&store, "b", "1");
    settle(&store);
    changes = open_from(&store, WEIR_CHANGES_SNAPSHOT, 0);
    assert_int_equal(weir_changes_next(changes, &event, 1), 1);
    assert_int_equal(event.time_ns, time_ns);
    weir_changes_close(changes);
    store_close(&store);
}

static void cd_10_cd_11_below_the_horizon_there_is_the_state_and_a_position_is_lost(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 60);
    weir_lsn horizon = weir_durable_lsn(store.log);
    churn(&store, 2);
    struct weir_changes *idle = open_from(&store, WEIR_CHANGES_BEHIND, horizon / 2);
    compact(&store, horizon);
    static const enum weir_changes_from froms[] = {WEIR_CHANGES_BEGINNING, WEIR_CHANGES_BEHIND};
    for (int i = 0; i < 2; i++) {
        struct weir_changes *changes = open_from(&store, froms[i], 7);
        int rows, events;
        assert_int_equal(weir_changes_state_lsn(changes), horizon);
        assert_int_equal(weir_changes_position(changes), i == 0 ? 0 : 7);
        count_rows(changes, &rows, &events);
        assert_int_equal(rows, KEYS);
        assert_int_equal(events, 2 * KEYS);
        weir_changes_close(changes);
    }
    assert_int_equal(refused(&store, WEIR_CHANGES_RESUME, horizon - 1), WEIR_E_POSITION_LOST);
    struct weir_changes *changes = open_from(&store, WEIR_CHANGES_RESUME, horizon);
    int rows, events;
    count_rows(changes, &rows, &events);
    assert_int_equal(events, 2 * KEYS);
    weir_changes_close(changes);
    struct weir_event event;
    struct weir_error why = WEIR_ERROR_INIT;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_changes_next(idle, &event, 1), WEIR_E_POSITION_LOST);
        assert_int_equal(weir_changes_wait(idle, 0), WEIR_E_POSITION_LOST);
        assert_int_equal(weir_changes_error(idle, &why), 0);
        assert_int_equal(why.code, WEIR_E_POSITION_LOST);
        assert_int_equal(why.from_lsn, horizon / 2 + 1);
        assert_int_equal(why.to_lsn, horizon);
        assert_non_null(strstr(why.text, "position"));
        assert_int_equal(weir_changes_position(idle), horizon / 2);
    }
    weir_changes_close(idle);
    store_close(&store);
}

static void a_state_that_is_being_lent_stays_while_the_log_is_compacted(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 60);
    struct weir_changes *changes = open_from(&store, WEIR_CHANGES_SNAPSHOT, 0);
    weir_lsn as_of = weir_changes_state_lsn(changes);
    struct weir_event event;
    assert_int_equal(weir_changes_next(changes, &event, 1), 1);
    churn(&store, 60);
    compact(&store, 0);
    int rows, events;
    count_rows(changes, &rows, &events);
    assert_int_equal(rows, KEYS - 1);
    assert_int_equal(events, 60 * KEYS);
    weir_changes_close(changes);
    assert_true(as_of > 0);
    store_close(&store);
}

static void cd_05_behind_what_was_truncated_a_stream_begins_at_the_earliest(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    static char bytes[2000];
    struct weir_part part = {bytes, sizeof bytes};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    for (int i = 0; i < 500; i++) {
        assert_int_equal(weir_append(store.log, &entry, WEIR_NONE, NULL), 0);
    }
    settle(&store);
    assert_int_equal(weir_truncate_before(store.log, 300, NULL), 0);
    put(&store, "a", "1");
    settle(&store);
    struct weir_changes *changes = open_from(&store, WEIR_CHANGES_BEHIND, 10);
    assert_true(weir_changes_is_whole(changes));
    expect_events(changes, EVENTS, "501:+a=1");
    weir_changes_close(changes);
    assert_int_equal(refused(&store, WEIR_CHANGES_RESUME, 10), WEIR_E_POSITION_LOST);
    store_close(&store);
}

/* ---- waiting ---- */

static bool is_readable(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    assert_true(poll(&poller, 1, 0) >= 0);
    return (poller.revents & POLLIN) != 0;
}

static void a_descriptor_is_readable_when_there_may_be_something(void **state)
{
    (void)state;
    struct store store;
    struct weir_event events[EVENTS];
    uint64_t signals;
    int fd, again;
    store_open(&store);
    put(&store, "a", "1");
    settle(&store);
    struct weir_changes *changes = open_from(&store, WEIR_CHANGES_SNAPSHOT, 0);
    assert_int_equal(weir_changes_eventfd(changes, &fd), 0);
    assert_true(is_readable(fd)); /* of the state, behind which there is nothing */
    assert_int_equal(read(fd, &signals, sizeof signals), sizeof signals);
    assert_int_equal(weir_changes_wait(changes, 0), 1);
    assert_int_equal(weir_changes_next(changes, events, EVENTS), 1);
    assert_int_equal(weir_changes_next(changes, events, EVENTS), 0);
    assert_int_equal(weir_changes_wait(changes, 0), 0);
    assert_false(is_readable(fd));
    put(&store, "a", "2");
    settle(&store);
    assert_true(is_readable(fd));
    assert_int_equal(weir_changes_wait(changes, WEIR_WAIT_FOREVER), 1);
    assert_int_equal(weir_changes_eventfd(changes, &again), 0);
    assert_int_equal(fd, again);
    weir_changes_close(changes);
    store_close(&store);
}

/* ---- failures ---- */

static void a_before_image_that_is_damaged_is_said_to_be(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "hurt", "the value that is damaged");
    put(&store, "well", "1");
    churn(&store, 20);
    weir_lsn position = weir_durable_lsn(store.log);
    put(&store, "well", "2");
    weir_lsn lsn = put(&store, "hurt", "2");
    put(&store, "well", "3");
    settle(&store);
    struct weir_checkpoint_report report = WEIR_CHECKPOINT_REPORT_INIT;
    assert_int_equal(weir_engine_checkpoint(store.engine, &report, NULL), 0);
    store_stop(&store);
    rot(&store, "the value that is damaged");
    store_start(&store);
    struct weir_changes *changes = open_from(&store, WEIR_CHANGES_RESUME, position);
    struct weir_event events[EVENTS];
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_changes_next(changes, events, EVENTS), 1);
    assert_int_equal(events[0].lsn, lsn - 1);
    assert_int_equal(weir_changes_position(changes), lsn - 1);
    assert_false(weir_changes_is_whole(changes));
    assert_int_equal(weir_changes_wait(changes, 0), 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_changes_next(changes, events, EVENTS), WEIR_E_DAMAGED);
        assert_int_equal(weir_changes_error(changes, &why), 0);
        assert_int_equal(why.code, WEIR_E_DAMAGED);
        assert_int_equal(why.from_lsn, lsn);
        assert_int_equal(weir_changes_position(changes), lsn - 1);
        assert_int_equal(open_sections(&store), 0);
    }
    weir_changes_close(changes);
    changes = open_from(&store, WEIR_CHANGES_BEHIND, lsn);
    expect_events(changes, EVENTS, "805:well=2>3");
    weir_changes_close(changes);
    changes = open_stream(store.engine, NULL);
    assert_int_equal(weir_changes_next(changes, events, EVENTS), WEIR_E_DAMAGED);
    weir_changes_close(changes);
    store_close(&store);
}

static void a_position_whose_record_is_gone_is_not_called_whole(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 60);
    weir_lsn horizon = weir_durable_lsn(store.log);
    put(&store, "a", "1");
    settle(&store);
    const struct weir_write together[] = {
        {.kind = WEIR_PUT, .key = text("a"), .value = text("2")},
        {.kind = WEIR_PUT, .key = text("a"), .value = text("3")},
    };
    assert_int_equal(weir_engine_write_batch(store.engine, together, 2, WEIR_EACH, NULL), 0);
    compact(&store, horizon);
    assert_false(wal_address_ends_group(store.log, 7)); /* dropped */
    assert_true(wal_address_ends_group(store.log, 0));
    assert_true(wal_address_ends_group(store.log, horizon + 1));
    assert_false(wal_address_ends_group(store.log, horizon + 2)); /* in a group of two */
    assert_true(wal_address_ends_group(store.log, horizon + 3));
    assert_true(wal_address_ends_group(store.log, weir_durable_lsn(store.log)));
    assert_false(wal_address_ends_group(store.log, horizon + 9)); /* not there yet */
    store_close(&store);
}

static int allocations_left;

static void *allocate_some(void *context, size_t alignment, size_t size)
{
    (void)context;
    if (allocations_left == 0) {
        return NULL;
    }
    allocations_left--;
    return alignment > 0 ? aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1))
                         : malloc(size);
}

static const struct base_system few_allocations = {.alloc = allocate_some};

static int open_and_take(struct store *store, const struct weir_changes_options *options,
                         struct weir_event *events)
{
    struct weir_changes *changes;
    int rc = weir_changes_open(store->engine, options, &changes);
    if (rc == 0) {
        rc = weir_changes_next(changes, events, EVENTS);
        weir_changes_close(changes);
    }
    return rc;
}

static void without_memory_opening_and_taking_fail_and_leave_nothing(void **state)
{
    (void)state;
    static const enum weir_changes_from froms[] = {WEIR_CHANGES_BEGINNING, WEIR_CHANGES_NOW,
                                                   WEIR_CHANGES_SNAPSHOT};
    static const int expected[] = {2, 0, 1};
    struct store store;
    struct weir_event events[EVENTS];
    weir_table table;
    store_open(&store);
    assert_int_equal(weir_table_open(store.engine, "named", true, &table), 0);
    put_in(&store, table, "a", "1");
    put_in(&store, table, "a", "2");
    settle(&store);
    for (size_t i = 0; i < sizeof froms / sizeof *froms; i++) {
        struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
        options.from = froms[i];
        options.tables = &table;
        options.table_count = 1;
        uint64_t in_use = base_alloc_in_use();
        int rc = -ENOMEM;
        for (int room = 0; rc == -ENOMEM; room++) {
            allocations_left = room;
            base_system_set(&few_allocations);
            rc = open_and_take(&store, &options, events);
            base_system_set(NULL);
            assert_true(rc == -ENOMEM || rc == expected[i]);
            assert_true(rc == -ENOMEM || room > 2);
            assert_int_equal(base_alloc_in_use(), in_use);
            assert_int_equal(open_sections(&store), 0);
        }
    }
    store_close(&store);
}

static void a_record_under_our_type_that_is_none_of_ours_is_refused(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    weir_lsn lsn = append_record(&store, WEIR_TYPE_CHANGE, "not a change", 12);
    struct weir_changes *changes = open_stream(store.engine, NULL);
    struct weir_event events[EVENTS];
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_changes_next(changes, events, EVENTS), 1);
    assert_int_equal(weir_changes_next(changes, events, EVENTS), WEIR_E_RECORD);
    assert_int_equal(weir_changes_error(changes, &why), 0);
    assert_int_equal(why.from_lsn, lsn);
    weir_changes_close(changes);
    store_close(&store);
}

static void what_cannot_be_asked_for_is_refused(void **state)
{
    (void)state;
    struct store store;
    struct weir_changes *changes;
    struct weir_event event;
    store_open(&store);
    weir_table table = WEIR_TABLES_MAX;
    struct weir_changes_options wrong[5];
    for (int i = 0; i < 5; i++) {
        wrong[i] = (struct weir_changes_options)WEIR_CHANGES_OPTIONS_INIT;
    }
    wrong[0].size--;
    wrong[1].operations = 8;
    wrong[2].table_count = 1;
    wrong[3].tables = &table;
    wrong[3].table_count = 1;
    wrong[4].from = (enum weir_changes_from)9;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(weir_changes_open(store.engine, &wrong[i], &changes), -EINVAL);
    }
    assert_int_equal(refused(&store, WEIR_CHANGES_BEHIND, UINT64_MAX), -EINVAL);
    assert_int_equal(weir_changes_open(NULL, NULL, &changes), -EINVAL);
    assert_int_equal(weir_changes_open(store.engine, NULL, NULL), -EINVAL);
    changes = open_stream(store.engine, NULL);
    assert_int_equal(weir_changes_next(changes, &event, 0), -EINVAL);
    assert_int_equal(weir_changes_next(changes, NULL, 1), -EINVAL);
    assert_int_equal(weir_engine_close(store.engine), -EBUSY);
    weir_changes_close(changes);
    weir_changes_close(NULL);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_01_each_operation_has_the_images_that_it_has),
        cmocka_unit_test(cd_01_a_batch_that_changes_a_key_twice_has_the_images_between),
        cmocka_unit_test(records_of_the_application_and_what_is_not_durable_are_no_events),
        cmocka_unit_test(what_is_lent_stays_until_the_next_call_whatever_happens_to_the_log),
        cmocka_unit_test(an_idle_stream_holds_no_read_section),
        cmocka_unit_test(cd_03_filters_by_table_and_operation_leave_the_position_alone),
        cmocka_unit_test(cd_03_filters_hold_for_the_state_too),
        cmocka_unit_test(tables_are_called_as_the_log_calls_them),
        cmocka_unit_test(cd_05_a_stream_begins_at_the_beginning_now_or_behind_an_lsn),
        cmocka_unit_test(cd_05_a_snapshot_is_the_state_and_then_the_stream),
        cmocka_unit_test(the_state_of_an_empty_log_is_empty),
        cmocka_unit_test(the_time_of_a_row_is_that_of_its_version),
        cmocka_unit_test(cd_10_cd_11_below_the_horizon_there_is_the_state_and_a_position_is_lost),
        cmocka_unit_test(a_state_that_is_being_lent_stays_while_the_log_is_compacted),
        cmocka_unit_test(cd_05_behind_what_was_truncated_a_stream_begins_at_the_earliest),
        cmocka_unit_test(a_descriptor_is_readable_when_there_may_be_something),
        cmocka_unit_test(a_before_image_that_is_damaged_is_said_to_be),
        cmocka_unit_test(a_position_whose_record_is_gone_is_not_called_whole),
        cmocka_unit_test(without_memory_opening_and_taking_fail_and_leave_nothing),
        cmocka_unit_test(a_record_under_our_type_that_is_none_of_ours_is_refused),
        cmocka_unit_test(what_cannot_be_asked_for_is_refused),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
