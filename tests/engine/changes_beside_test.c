/*
 * Streams of changes of a reader's engine, beside a live writer that compacts, too.
 */
#include "stream.h"

#include <errno.h>

static void cd_05_a_reader_streams_what_its_writer_makes_durable(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    int fd;
    store_open(&store);
    put(&store, "a", "1");
    settle(&store);
    store_open_beside(&store, &beside);
    weir_table table;
    assert_int_equal(weir_table_open(store.engine, "new", true, &table), 0);
    put(&store, "b", "2");
    settle(&store);
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    options.from = WEIR_CHANGES_NOW;
    struct weir_changes *now = open_stream(beside.engine, &options);
    options.from = WEIR_CHANGES_SNAPSHOT;
    struct weir_changes *snapshot = open_stream(beside.engine, &options);
    put_in(&store, table, "a", "3");
    put(&store, "a", "4");
    settle(&store);
    expect_events(now, EVENTS, "4:+a=3 5:a=1>4");
    expect_events(snapshot, EVENTS, "s1:+a=1 s3:+b=2 4:+a=3 5:a=1>4");
    assert_string_equal(weir_changes_table_name(now, table), "new");
    assert_int_equal(weir_changes_eventfd(now, &fd), -ENOTSUP);
    weir_changes_close(now);
    weir_changes_close(snapshot);
    store_close_beside(&beside);
    store_close(&store);
}

static void cd_10_a_reader_whose_writer_compacts_goes_on_or_is_told(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct weir_event event;
    int rows, events;
    store_open(&store);
    churn(&store, 60);
    weir_lsn horizon = weir_durable_lsn(store.log);
    store_open_beside(&store, &beside);
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    struct weir_changes *early = open_stream(beside.engine, &options);
    options.from = WEIR_CHANGES_SNAPSHOT;
    struct weir_changes *stays = open_stream(beside.engine, &options);
    struct weir_changes *ends = open_stream(beside.engine, &options);
    options.from = WEIR_CHANGES_BEHIND;
    options.lsn = horizon;
    struct weir_changes *late = open_stream(beside.engine, &options);
    assert_int_equal(weir_changes_next(stays, &event, 1), 1);
    assert_int_equal(weir_changes_wait(stays, 0), 1); /* leaves its section */
    churn(&store, 2);
    compact(&store, horizon);
    count_rows(stays, &rows, &events); /* the horizon is at its state: addresses have moved */
    assert_int_equal(rows, KEYS - 1);
    assert_int_equal(events, 2 * KEYS);
    count_rows(late, &rows, &events); /* versions before were moved by the compaction */
    assert_int_equal(events, 2 * KEYS);
    assert_int_equal(weir_changes_next(early, &event, 1), WEIR_E_POSITION_LOST);
    churn(&store, 60);
    compact(&store, 0);
    int rc, taken = 0;
    while ((rc = weir_changes_next(ends, &event, 1)) == 1) {
        assert_true(event.state == (taken < KEYS)); /* from memory that is kept: it is right, */
        taken++;
    }
    assert_int_equal(rc, WEIR_E_POSITION_LOST); /* but does not lead to what is there now */
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_changes_error(ends, &why), 0);
    assert_int_equal(why.code, WEIR_E_POSITION_LOST);
    options.lsn = horizon;
    options.from = WEIR_CHANGES_RESUME;
    struct weir_changes *changes;
    assert_int_equal(weir_changes_open(beside.engine, &options, &changes), WEIR_E_POSITION_LOST);
    options.from = WEIR_CHANGES_BEHIND;
    changes = open_stream(beside.engine, &options);
    count_rows(changes, &rows, &events);
    assert_int_equal(rows, KEYS);
    weir_changes_close(changes);
    weir_changes_close(early);
    weir_changes_close(stays);
    weir_changes_close(ends);
    weir_changes_close(late);
    store_close_beside(&beside);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_05_a_reader_streams_what_its_writer_makes_durable),
        cmocka_unit_test(cd_10_a_reader_whose_writer_compacts_goes_on_or_is_told),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
