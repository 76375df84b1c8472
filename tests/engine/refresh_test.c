/*
 * A reader's engine beside a live writer: it follows, also when the writer compacts the log.
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>

/* A second process's handles on the same disk. */
struct beside {
    struct weir_log *log;
    struct weir_engine *engine;
};

static void open_beside(struct store *store, struct beside *beside)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_READ_ONLY;
    options.medium = WEIR_MEDIUM_CUSTOM;
    struct sim_memory_options disk = store->disk;
    disk.read_only = true;
    assert_int_equal(sim_memory_open(&disk, &options.custom_medium), 0);
    int rc = weir_log_open("memory", &options, &beside->log, &why);
    if (rc == 0) {
        rc = weir_engine_open(beside->log, &store->engine_options, &beside->engine, &why);
    }
    if (rc < 0) {
        print_error("beside: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
}

static void close_beside(struct beside *beside)
{
    assert_int_equal(weir_engine_close(beside->engine), 0);
    assert_int_equal(weir_log_close(beside->log), 0);
}

static void refresh(struct beside *beside)
{
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_engine_refresh(beside->engine, NULL, &why);
    if (rc < 0) {
        print_error("refresh: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
}

static void expect_same(struct store *store, struct beside *beside)
{
    struct fingerprint here = fingerprint_of(store, 0), there;
    assert_int_equal(weir_engine_fingerprint(beside->engine, 0, there.bytes, &there.keys), 0);
    assert_int_equal(here.keys, there.keys);
    assert_memory_equal(here.bytes, there.bytes, sizeof here.bytes);
}

static void churn(struct store *store, int rounds)
{
    static char value[2000];
    char key[24];
    for (int i = 0; i < rounds * 40; i++) {
        snprintf(key, sizeof key, "key%d", i % 40);
        struct weir_bytes bytes = {value, sizeof value};
        assert_int_equal(weir_put(store->engine, 0, text(key), bytes, WEIR_NONE, NULL), 0);
    }
    settle(store);
}

static void a_reader_applies_what_its_writer_has_made_durable(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    put(&store, "a", "1");
    settle(&store);
    open_beside(&store, &beside);
    expect_same(&store, &beside);
    weir_table table, found;
    assert_int_equal(weir_table_open(store.engine, "later", true, &table), 0);
    put(&store, "a", "2");
    put_in(&store, table, "b", "1");
    settle(&store);
    assert_int_equal(weir_table_open(beside.engine, "later", false, &found), WEIR_E_NO_TABLE);
    refresh(&beside);
    assert_int_equal(weir_table_open(beside.engine, "later", false, &found), 0);
    assert_int_equal(found, table);
    expect_same(&store, &beside);
    churn(&store, 30);
    refresh(&beside);
    expect_same(&store, &beside);
    close_beside(&beside);
    store_close(&store);
}

static void cd_11_a_reader_follows_a_writer_that_compacts(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    put(&store, "kept", "here");
    churn(&store, 60);
    open_beside(&store, &beside);
    for (int round = 0; round < 3; round++) {
        struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
        assert_int_equal(weir_engine_compact(store.engine, NULL, &report, NULL), 0);
        assert_true(report.steps > 0);
        put(&store, "after", "compaction");
        settle(&store);
        refresh(&beside);
        expect_same(&store, &beside);
        churn(&store, 60);
    }
    close_beside(&beside);
    store_close(&store);
}

static void se_07_a_reader_never_takes_a_dropped_version_for_an_absent_key(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    weir_lsn present = put(&store, "key", "here");
    churn(&store, 20);
    erase(&store, "key");
    churn(&store, 20);
    weir_lsn horizon = put(&store, "between", "1");
    churn(&store, 20);
    put(&store, "key", "again");
    settle(&store);
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    open_beside(&store, &beside); /* from the checkpoint: it has not read what will be dropped */
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    options.horizon = horizon;
    options.thorough = true;
    assert_int_equal(weir_engine_compact(store.engine, &options, NULL, NULL), 0);
    put(&store, "after", "compaction");
    settle(&store);
    struct weir_cursor_options latest = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    latest.from = WEIR_FROM_LATEST;
    assert_int_equal(weir_cursor_open(beside.log, &latest, &cursor), 0); /* the log looks again */
    weir_cursor_close(cursor);
    struct weir_read_options as_of = WEIR_READ_OPTIONS_INIT;
    struct weir_read read;
    struct weir_row row;
    as_of.view = WEIR_VIEW_AS_OF;
    as_of.lsn = present;
    assert_int_equal(weir_read_begin(beside.engine, &as_of, &read), 0);
    assert_int_equal(weir_get(&read, 0, text("key"), &row), WEIR_E_HORIZON);
    weir_read_end(&read);
    close_beside(&beside);
    store_close(&store);
}

static void a_section_that_stays_open_holds_the_renewal_up_and_is_told(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    put(&store, "kept", "here");
    churn(&store, 60);
    open_beside(&store, &beside);
    struct weir_read read;
    struct weir_row row;
    assert_int_equal(weir_read_begin(beside.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, 0, text("kept"), &row), 1);
    assert_int_equal(weir_engine_compact(store.engine, NULL, NULL, NULL), 0);
    put(&store, "after", "compaction");
    settle(&store);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_engine_refresh(beside.engine, NULL, &why), -EBUSY);
    assert_memory_equal(row.value.data, "here", 4);
    weir_read_end(&read);
    refresh(&beside);
    expect_same(&store, &beside);
    close_beside(&beside);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_applies_what_its_writer_has_made_durable),
        cmocka_unit_test(cd_11_a_reader_follows_a_writer_that_compacts),
        cmocka_unit_test(se_07_a_reader_never_takes_a_dropped_version_for_an_absent_key),
        cmocka_unit_test(a_section_that_stays_open_holds_the_renewal_up_and_is_told),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
