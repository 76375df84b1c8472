/*
 * A reader's engine beside a live writer: it follows, also when the writer compacts the log.
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

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

/* Where nobody wrote when it last looked, a reader looks again after ten milliseconds. */
static void refresh_to(struct beside *beside, weir_lsn lsn)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    weir_lsn applied = 0;
    for (int i = 0; i < 5000 && applied < lsn; i++) {
        struct weir_error why = WEIR_ERROR_INIT;
        assert_int_equal(weir_engine_refresh(beside->engine, &applied, &why), 0);
        (void)nanosleep(&nap, NULL);
    }
    assert_int_equal(applied, lsn);
}

static void a_reader_that_was_there_before_its_log_follows_it(void **state)
{
    (void)state;
    struct store store = {.log_options = WEIR_LOG_OPTIONS_INIT,
                          .engine_options = WEIR_ENGINE_OPTIONS_INIT};
    struct beside beside;
    struct weir_read read;
    struct weir_row row;
    struct weir_file *file;
    assert_int_equal(sim_memory_open(&store.disk, &store.keeper), 0);
    store.disk.disk = sim_memory_disk(store.keeper);
    store.log_options.flags = WEIR_LOG_CREATE;
    store.log_options.segment_bytes = STORE_SEGMENT;
    store.engine_options.index_bytes = STORE_INDEX;
    /* Somebody has begun to make it. */
    assert_int_equal(store.keeper->ops->create(store.keeper, "LOCK", 0, &file), 0);
    store.keeper->ops->close(file);
    store_open_beside(&store, &beside);
    assert_int_equal(weir_read_begin(beside.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, 0, text("a"), &row), 0);
    weir_read_end(&read);
    refresh(&beside);
    store_start(&store);
    put(&store, "a", "1");
    churn(&store, 30);
    refresh_to(&beside, weir_durable_lsn(store.log));
    expect_same(&store, &beside);
    store_close_beside(&beside);
    store_close(&store);
}

static void a_reader_applies_what_its_writer_has_made_durable(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    put(&store, "a", "1");
    settle(&store);
    store_open_beside(&store, &beside);
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
    store_close_beside(&beside);
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
    store_open_beside(&store, &beside);
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
    store_close_beside(&beside);
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
    store_open_beside(&store,
                      &beside); /* from the checkpoint: it has not read what will be dropped */
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
    store_close_beside(&beside);
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
    store_open_beside(&store, &beside);
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
    store_close_beside(&beside);
    store_close(&store);
}

/* The writer compacts, and the reader's index still has what was there before. */
static void cd_11_a_reader_that_was_left_behind_hears_of_the_horizon_not_of_damage(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct weir_read read;
    struct weir_history history;
    struct weir_key_version version;
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_stat stat = WEIR_STAT_INIT;
    struct weir_row row;
    store_open(&store);
    for (int i = 0; i < 3; i++) {
        put(&store, "K", "v");
        churn(&store, 10);
    }
    weir_lsn last = put(&store, "K", "last");
    churn(&store, 20);
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    store_open_beside(&store, &beside);
    assert_int_equal(weir_engine_compact(store.engine, NULL, NULL, NULL), 0);
    assert_int_equal(weir_log_stat(beside.log, &stat), 0);
    assert_true(stat.horizon >= last);
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = last - 1;
    assert_int_equal(weir_read_begin(beside.engine, &options, &read), 0);
    int rc = weir_get(&read, 0, text("K"), &row);
    assert_true(rc == WEIR_E_HORIZON || rc == WEIR_E_TRUNCATED);
    weir_read_end(&read);
    assert_int_equal(weir_read_begin(beside.engine, NULL, &read), 0);
    rc = weir_history_begin(&read, 0, text("K"), &history);
    while (rc == 0 && (rc = weir_history_next(&history, &version)) == 1) {
        rc = 0;
    }
    assert_true(rc == 0 || rc == WEIR_E_HORIZON || rc == WEIR_E_TRUNCATED);
    weir_read_end(&read);
    refresh(&beside);
    expect_same(&store, &beside);
    store_close_beside(&beside);
    store_close(&store);
}

static void the_report_is_that_of_the_last_build_whatever_is_replayed_later(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct weir_engine_open_report built = WEIR_ENGINE_OPEN_REPORT_INIT, later = built;
    store_open(&store);
    churn(&store, 1);
    store_open_beside(&store, &beside);
    assert_int_equal(weir_engine_report(beside.engine, &built), 0);
    assert_int_equal(built.replayed_records, 40);
    churn(&store, 1);
    refresh(&beside);
    assert_int_equal(weir_engine_report(beside.engine, &later), 0);
    assert_int_equal(later.replayed_records, built.replayed_records);
    assert_int_equal(later.replayed_bytes, built.replayed_bytes);
    churn(&store, 60);
    assert_int_equal(weir_engine_compact(store.engine, NULL, NULL, NULL), 0);
    refresh(&beside);
    assert_int_equal(weir_engine_report(beside.engine, &later), 0);
    assert_true(later.applied > built.applied); /* it was built anew */
    store_close_beside(&beside);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_that_was_there_before_its_log_follows_it),
        cmocka_unit_test(a_reader_applies_what_its_writer_has_made_durable),
        cmocka_unit_test(cd_11_a_reader_follows_a_writer_that_compacts),
        cmocka_unit_test(se_07_a_reader_never_takes_a_dropped_version_for_an_absent_key),
        cmocka_unit_test(a_section_that_stays_open_holds_the_renewal_up_and_is_told),
        cmocka_unit_test(cd_11_a_reader_that_was_left_behind_hears_of_the_horizon_not_of_damage),
        cmocka_unit_test(the_report_is_that_of_the_last_build_whatever_is_replayed_later),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
