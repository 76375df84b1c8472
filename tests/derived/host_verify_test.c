/*
 * Verifying: a second one, built from the log, is held against the live one.
 */
#include "tests/derived/scene_test.h"

#include <errno.h>
#include <stdio.h>

struct told {
    char text[400];
    weir_lsn lsn[8];
    int count, most;
};

static int tell(void *context, const struct weir_difference *difference)
{
    static const char marks[] = "?-+!";
    struct told *told = context;
    size_t used = strlen(told->text);
    (void)snprintf(told->text + used, sizeof told->text - used, "%c%.*s ", marks[difference->kind],
                   (int)difference->text.size, (const char *)difference->text.data);
    told->lsn[told->count] = difference->lsn;
    return ++told->count == told->most;
}

static void verify_names_the_entries_that_differ_and_who_touched_them_last(void **state)
{
    (void)state;
    struct ledger live = {0}, fresh = {0};
    struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
    struct told told = {.most = 8};
    put(&scene.store, "a", "1");
    weir_lsn b = put(&scene.store, "b", "2");
    weir_lsn c = put(&scene.store, "c", "3");
    put(&scene.store, "d", "4");
    scene_attach(&scene, "live", &live);
    (void)scene_flush(&scene, NULL);
    ledger_spoil(&live, "b");
    ledger_drop(&live, "c");
    live.partial = true;
    weir_lsn gone = erase(&scene.store, "d");
    put(&scene.store, "e", "5");
    live.refuse = NULL;
    (void)scene_flush(&scene, NULL);
    /* One that is there and should not be. */
    struct weir_event ghost = {
        .lsn = 99, .operation = WEIR_INSERT, .key = text("d"), .after = text("4")};
    assert_int_equal(ledger_ops.apply(&live, &ghost), 0);
    assert_int_equal(weir_host_verify(scene.host, "live", &fresh, tell, &told, &report, NULL), 0);
    assert_false(report.equal);
    assert_memory_not_equal(report.live, report.rebuilt, 16);
    assert_int_equal(report.differing, 3);
    assert_int_equal(report.events, 6);
    assert_string_equal(told.text, "!b -c +d ");
    assert_int_equal(told.lsn[0], b);
    assert_int_equal(told.lsn[1], c);
    assert_int_equal(told.lsn[2], gone);
    told = (struct told){.most = 1}; /* enough: the others are counted */
    assert_int_equal(weir_host_verify(scene.host, "live", &fresh, tell, &told, &report, NULL), 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(report.differing, 3);
    scene_free(&scene, &fresh);
    scene_free(&scene, &live);
}

static void verify_and_rebuild_take_what_the_live_one_takes_and_no_more(void **state)
{
    (void)state;
    struct ledger live = {.partial = true}, fresh = {.partial = true};
    struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
    struct weir_rebuild_report rebuilt = WEIR_REBUILD_REPORT_INIT;
    struct weir_system system = WEIR_SYSTEM_INIT;
    weir_table table;
    assert_int_equal(weir_table_open(scene.store.engine, "wanted", true, &table), 0);
    system.name = "live";
    system.ops = &ledger_ops;
    system.self = &live;
    system.tables = &table;
    system.table_count = 1;
    system.operations = WEIR_ON_INSERT;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    put_in(&scene.store, table, "a", "1");
    put_in(&scene.store, table, "a", "2");
    put(&scene.store, "of another table", "3");
    scene_flush(&scene, NULL);
    assert_int_equal(live.count, 1);
    assert_int_equal(weir_host_verify(scene.host, "live", &fresh, NULL, NULL, &report, NULL), 0);
    assert_true(report.equal);
    assert_int_equal(report.events, 1);
    assert_int_equal(weir_host_rebuild(scene.host, "live", NULL, NULL, &rebuilt, NULL), 0);
    assert_int_equal(rebuilt.events, 1);
    assert_int_equal(live.count, 1);
    assert_int_equal(weir_host_detach(scene.host, "live"), 0);
    scene_free(&scene, &live);
    scene_free(&scene, &fresh);
}

static void verify_says_when_the_rebuilt_one_fails(void **state)
{
    (void)state;
    struct ledger live = {0}, fresh = {.refuse = "b"};
    struct weir_error why = WEIR_ERROR_INIT;
    put(&scene.store, "a", "1");
    put(&scene.store, "b", "1");
    scene_attach(&scene, "live", &live);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_verify(scene.host, "live", &fresh, NULL, NULL, NULL, &why), -EIO);
    assert_non_null(strstr(why.text, "LSN 2"));
    fresh.refuse_with = 3;
    assert_int_equal(weir_host_verify(scene.host, "live", &fresh, NULL, NULL, NULL, &why),
                     WEIR_E_PARKED);
    assert_int_equal(weir_host_verify(scene.host, "live", NULL, NULL, NULL, NULL, &why), -EINVAL);
    scene_free(&scene, &fresh);
    scene_free(&scene, &live);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(verify_names_the_entries_that_differ_and_who_touched_them_last),
        scene_test(verify_and_rebuild_take_what_the_live_one_takes_and_no_more),
        scene_test(verify_says_when_the_rebuilt_one_fails),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
