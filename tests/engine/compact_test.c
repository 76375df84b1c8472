/*
 * Compaction: what goes, what stays, and that nobody who may still start somewhere sees a
 * difference.
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>

#define KEYS 40

/* Rounds of updates of a few keys, with values large enough to fill segments. */
static void churn(struct store *store, int rounds)
{
    static char value[2000];
    char key[24];
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "key%d", i);
            int size = snprintf(value, sizeof value, "%d of round %d", i, round);
            memset(value + size, 'x', sizeof value - (size_t)size);
            if (round % 3 == 2 && i % 5 == 0) {
                weir_delete(store->engine, 0, text(key), WEIR_NONE, NULL);
            } else {
                struct weir_bytes bytes = {value, sizeof value};
                assert_int_equal(weir_put(store->engine, 0, text(key), bytes, WEIR_NONE, NULL), 0);
            }
        }
    }
    settle(store);
}

static struct weir_compact_report compact(struct store *store, weir_lsn horizon)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    options.horizon = horizon;
    int rc = weir_engine_compact(store->engine, &options, &report, &why);
    if (rc < 0) {
        print_error("%s\n", why.text);
    }
    assert_int_equal(rc, 0);
    return report;
}

static weir_lsn latest(struct store *store)
{
    return weir_durable_lsn(store->log);
}

static void cd_11_no_reachable_state_changes_its_fingerprint(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 60);
    weir_lsn middle = latest(&store);
    churn(&store, 40);
    struct fingerprint now = fingerprint_of(&store, 0), then = fingerprint_of(&store, middle);
    struct fingerprint between = fingerprint_of(&store, middle + 777);
    struct weir_compact_report report = compact(&store, middle);
    assert_int_equal(report.horizon, middle);
    assert_true(report.steps > 0 && report.records_dropped > 1000);
    assert_true(report.segments_after < report.segments_before);
    for (int round = 0; round < 3; round++) {
        expect_fingerprint(&store, 0, &now);
        expect_fingerprint(&store, middle, &then);
        expect_fingerprint(&store, middle + 777, &between);
        store.engine_options.flags = round == 1 ? WEIR_ENGINE_NO_CHECKPOINT : 0;
        store_reopen(&store);
    }
    struct weir_read read;
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = middle - 1;
    assert_int_equal(weir_read_begin(store.engine, &options, &read), WEIR_E_HORIZON);
    store_close(&store);
}

static void cd_10_one_version_of_live_keys_stays_and_none_of_deleted_ones(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 60);
    erase(&store, "key1");
    erase(&store, "key2");
    for (int i = 0; i < 4; i++) { /* the newest segments stay as they are */
        static char big[60000];
        struct weir_bytes value = {big, sizeof big};
        for (int k = 0; k < 10; k++) {
            assert_int_equal(weir_put(store.engine, 0, text("big"), value, WEIR_NONE, NULL), 0);
        }
    }
    settle(&store);
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.thorough = true;
    assert_int_equal(weir_engine_compact(store.engine, &options, &report, NULL), 0);
    assert_true(report.keys_dropped >= 1);
    expect(&store, "key1", NULL, 0);
    expect(&store, "key2", NULL, 0);
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    assert_int_equal(weir_engine_stat(store.engine, &status), 0);
    struct fingerprint before = fingerprint_of(&store, 0);
    store.engine_options.flags = WEIR_ENGINE_NO_CHECKPOINT;
    store_reopen(&store);
    expect_fingerprint(&store, 0, &before);
    struct weir_engine_status again = WEIR_ENGINE_STATUS_INIT;
    assert_int_equal(weir_engine_stat(store.engine, &again), 0);
    assert_int_equal(again.keys, status.keys);
    assert_int_equal(again.deleted_keys, status.deleted_keys);
    /* A key that had been dropped starts afresh. */
    weir_lsn lsn = put(&store, "key1", "again");
    expect(&store, "key1", "again", lsn);
    store_close(&store);
}

static void cd_10_the_horizon_passes_neither_a_hold_nor_a_snapshot(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 30);
    weir_lsn held = latest(&store);
    struct fingerprint then = fingerprint_of(&store, held);
    assert_int_equal(weir_hold_set(store.log, "billing", held + 1), 0);
    churn(&store, 30);
    struct weir_compact_report report = compact(&store, 0);
    assert_int_equal(report.horizon, held);
    assert_string_equal(report.limited_by, "billing");
    expect_fingerprint(&store, held, &then);
    assert_int_equal(weir_hold_drop(store.log, "billing"), 0);
    struct weir_snapshot *snapshot;
    weir_lsn kept = held + 100;
    then = fingerprint_of(&store, kept);
    assert_int_equal(weir_snapshot_open(store.engine, kept, &snapshot), 0);
    churn(&store, 30);
    report = compact(&store, 0);
    assert_string_equal(report.limited_by, WEIR_LIMITED_BY_SNAPSHOT);
    assert_true(report.horizon <= kept);
    expect_fingerprint(&store, kept, &then);
    weir_snapshot_close(snapshot);
    churn(&store, 10);
    report = compact(&store, 0);
    assert_true(report.horizon > kept);
    assert_int_equal(weir_snapshot_open(store.engine, kept, &snapshot), WEIR_E_HORIZON);
    store_close(&store);
}

static void what_a_reader_was_lent_stays_while_its_segment_is_compacted_away(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "first");
    put(&store, "b", "second");
    churn(&store, 60);
    struct weir_read read;
    struct weir_row row, again;
    assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, 0, text("a"), &row), 1);
    struct weir_compact_report report = compact(&store, 0);
    assert_true(report.steps > 0);
    assert_memory_equal(row.value.data, "first", 5);
    assert_int_equal(weir_get(&read, 0, text("a"), &again), 1);
    assert_int_equal(again.lsn, row.lsn);
    assert_memory_equal(again.value.data, "first", 5);
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    assert_int_equal(weir_engine_stat(store.engine, &status), 0);
    assert_int_equal(status.read_sections, 1);
    assert_true(status.retired_bytes >= STORE_SEGMENT); /* what the section holds back */
    weir_read_end(&read);
    assert_int_equal(weir_engine_maintain(store.engine, NULL), 0);
    assert_int_equal(weir_engine_stat(store.engine, &status), 0);
    assert_true(status.retired_bytes < STORE_SEGMENT);
    expect(&store, "b", "second", 2);
    store_close(&store);
}

/* Also when the index has nothing of the key: what it had may have been dropped. */
static void a_view_that_falls_behind_says_so_of_keys_that_are_not_there(void **state)
{
    (void)state;
    struct store store;
    struct weir_read read;
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    const struct weir_bytes wrong = {NULL, 1}, none = text("none");
    const struct weir_bytes first[] = {none, wrong}, last[] = {wrong, none};
    struct weir_row rows[2];
    store_open(&store);
    churn(&store, 60);
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = 100;
    assert_int_equal(weir_read_begin(store.engine, &options, &read), 0);
    assert_int_equal(weir_get(&read, 0, none, rows), 0);
    assert_int_equal(weir_get_batch(&read, 0, first, 2, rows), WEIR_E_KEY);
    assert_true(compact(&store, 0).horizon > options.lsn);
    assert_int_equal(weir_get(&read, 0, none, rows), WEIR_E_HORIZON);
    assert_int_equal(weir_get_batch(&read, 0, first, 2, rows), WEIR_E_HORIZON);
    assert_int_equal(weir_get_batch(&read, 0, last, 2, rows), WEIR_E_KEY); /* of the first key */
    weir_read_end(&read);
    store_close(&store);
}

/* A newer version's link leads into the old segment, also for who begins when it is on its way out.
 */
static void what_a_link_led_to_stays_while_its_segment_is_let_go(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "first");
    churn(&store, 60);
    weir_lsn horizon = latest(&store);
    churn(&store, 20);
    put(&store, "a", "second");
    settle(&store);
    struct weir_read older, younger;
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_row row;
    assert_int_equal(weir_read_begin(store.engine, NULL, &older), 0);
    assert_true(compact(&store, horizon).steps > 0);
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = horizon;
    assert_int_equal(weir_read_begin(store.engine, &options, &younger), 0);
    assert_int_equal(weir_get(&younger, 0, text("a"), &row), 1);
    weir_read_end(&older);
    assert_int_equal(weir_engine_maintain(store.engine, NULL), 0);
    churn(&store, 20);
    assert_int_equal(weir_engine_maintain(store.engine, NULL), 0);
    assert_int_equal(row.value.size, 5);
    assert_memory_equal(row.value.data, "first", 5);
    weir_read_end(&younger);
    store_close(&store);
}

static void se_09_a_checkpoint_is_renewed_when_addresses_have_moved(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 60);
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    assert_true(compact(&store, 0).steps > 0);
    struct fingerprint before = fingerprint_of(&store, 0);
    store_reopen(&store);
    struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
    assert_int_equal(weir_engine_report(store.engine, &report), 0);
    assert_true(report.from_checkpoint);
    expect_fingerprint(&store, 0, &before);
    store_close(&store);
}

static void a_lower_horizon_than_there_is_gains_nothing(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 60);
    weir_lsn middle = latest(&store);
    churn(&store, 20);
    assert_int_equal(compact(&store, middle).horizon, middle);
    churn(&store, 60);
    struct weir_compact_report report = compact(&store, 7);
    assert_int_equal(report.horizon, middle);
    assert_int_equal(report.steps, 0);
    store_close(&store);
}

static void history_ends_at_the_version_that_counted_at_the_horizon(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "a", "2");
    put(&store, "a", "3");
    settle(&store);
    churn(&store, 60);
    weir_lsn four = put(&store, "a", "4");
    settle(&store);
    assert_true(compact(&store, four - 1).steps > 0);
    char versions[64];
    snprintf(versions, sizeof versions, "%llu:4 3:3", (unsigned long long)four);
    expect_history(&store, "a", versions);
    store_reopen(&store);
    expect_history(&store, "a", versions);
    store_close(&store);
}

static int stop_at_once(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    (void)done_bytes;
    (void)all_bytes;
    ++*(int *)context;
    return 1;
}

static void compaction_can_be_stopped_and_changes_nothing_then(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 60);
    struct fingerprint early = fingerprint_of(&store, 100);
    int calls = 0;
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    options.progress = stop_at_once;
    options.progress_context = &calls;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_engine_compact(store.engine, &options, NULL, &why), -ECANCELED);
    assert_int_equal(calls, 1);
    expect_fingerprint(&store, 100, &early); /* the horizon has not moved */
    store_close(&store);
}

/* What progress gets, and what another does the first time that it is asked. */
struct looking {
    struct store *store;
    struct weir_snapshot *snapshot;
    weir_lsn lsn;
    uint64_t calls, done, all;
};

static int look_and_open_snapshot(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    struct looking *looking = context;
    assert_true(done_bytes <= all_bytes);
    assert_true(looking->calls == 0 || looking->snapshot != NULL || all_bytes <= looking->all);
    if (looking->calls++ == 0 && looking->lsn != 0) {
        expect_as_of(looking->store, looking->lsn, "first", "there");
        assert_int_equal(
            weir_snapshot_open(looking->store->engine, looking->lsn, &looking->snapshot), 0);
    }
    looking->done = done_bytes;
    looking->all = all_bytes;
    return 0;
}

static void cd_11_what_lies_below_the_horizon_can_be_read_until_something_is_dropped(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "first", "there");
    churn(&store, 60);
    struct looking looking = {.store = &store, .lsn = latest(&store)};
    struct fingerprint then = fingerprint_of(&store, looking.lsn);
    churn(&store, 60);
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.progress = look_and_open_snapshot;
    options.progress_context = &looking;
    assert_int_equal(weir_engine_compact(store.engine, &options, &report, NULL), 0);
    assert_non_null(looking.snapshot);
    assert_true(report.steps > 0);
    assert_int_equal(report.horizon, looking.lsn);
    assert_string_equal(report.limited_by, WEIR_LIMITED_BY_SNAPSHOT);
    expect_fingerprint(&store, looking.lsn, &then);
    weir_snapshot_close(looking.snapshot);
    store_close(&store);
}

static void progress_of_a_compaction_never_passes_all_and_all_never_grows(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    churn(&store, 100);
    struct looking looking = {.store = &store};
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.progress = look_and_open_snapshot;
    options.progress_context = &looking;
    assert_int_equal(weir_engine_compact(store.engine, &options, &report, NULL), 0);
    assert_true(looking.calls > 4);
    assert_true(looking.done >= looking.all / 10 * 8);
    store_close(&store);
}

static int refuse_checkpoints(void *context, const char *call, const char *name, uint64_t offset,
                              size_t size)
{
    const bool *refuses = context;
    (void)offset;
    (void)size;
    bool makes = strcmp(call, "create") == 0 && strstr(name, "checkpoint") != NULL;
    return *refuses && makes ? -ENOSPC : 0;
}

static void se_09_a_checkpoint_that_cannot_be_made_is_no_failure_of_a_compaction(void **state)
{
    (void)state;
    struct store store;
    bool refuses = false;
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    store_open(&store);
    store.disk.faults = (struct sim_memory_faults){refuse_checkpoints, &refuses};
    store_reopen(&store);
    churn(&store, 60);
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    refuses = true;
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), -ENOSPC);
    struct weir_compact_report report = compact(&store, WEIR_LSN_NONE);
    assert_true(report.steps > 0);
    assert_true(report.bytes_after < report.bytes_before);
    assert_int_equal(weir_engine_stat(store.engine, &status), 0);
    assert_int_equal(status.checkpoint_lsn, WEIR_LSN_NONE);
    struct fingerprint now = fingerprint_of(&store, 0);
    store_reopen(&store);
    expect_fingerprint(&store, 0, &now);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_11_no_reachable_state_changes_its_fingerprint),
        cmocka_unit_test(cd_10_one_version_of_live_keys_stays_and_none_of_deleted_ones),
        cmocka_unit_test(cd_10_the_horizon_passes_neither_a_hold_nor_a_snapshot),
        cmocka_unit_test(what_a_reader_was_lent_stays_while_its_segment_is_compacted_away),
        cmocka_unit_test(a_view_that_falls_behind_says_so_of_keys_that_are_not_there),
        cmocka_unit_test(what_a_link_led_to_stays_while_its_segment_is_let_go),
        cmocka_unit_test(se_09_a_checkpoint_is_renewed_when_addresses_have_moved),
        cmocka_unit_test(a_lower_horizon_than_there_is_gains_nothing),
        cmocka_unit_test(history_ends_at_the_version_that_counted_at_the_horizon),
        cmocka_unit_test(compaction_can_be_stopped_and_changes_nothing_then),
        cmocka_unit_test(cd_11_what_lies_below_the_horizon_can_be_read_until_something_is_dropped),
        cmocka_unit_test(progress_of_a_compaction_never_passes_all_and_all_never_grows),
        cmocka_unit_test(se_09_a_checkpoint_that_cannot_be_made_is_no_failure_of_a_compaction),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
