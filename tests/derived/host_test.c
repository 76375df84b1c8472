/*
 * The host, in one thread: what is delivered, where systems start, what they may not do.
 */
#include "tests/derived/scene_test.h"

#include "derived/host.h"

#include <errno.h>
#include <stdio.h>

static unsigned lanes_of(struct scene *one)
{
    unsigned count = 0;
    for (struct host_lane *lane = one->host->lanes; lane != NULL; lane = lane->next) {
        count++;
    }
    return count;
}

/* ---- pull ---- */

static void cd_02_each_event_comes_once_and_in_order(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    put(&scene.store, "a", "1");
    put(&scene.store, "b", "2");
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(scene_flush(&scene, NULL), 2);
    put(&scene.store, "a", "3");
    erase(&scene.store, "b");
    put(&scene.store, "c", "");
    assert_int_equal(scene_flush(&scene, NULL), 3);
    expect_ledger(&ledger, "a=3 c=");
    assert_int_equal(ledger.events, 5);
    expect_verified(&scene, "ledger");
    scene_free(&scene, &ledger);
}

static void cd_09_nothing_happens_before_a_flush_and_a_second_one_counts_none(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    struct weir_delivered delivered[2];
    scene_attach(&scene, "one", &one);
    scene_attach(&scene, "other", &other);
    put(&scene.store, "a", "1");
    weir_lsn last = put(&scene.store, "b", "2");
    settle(&scene.store);
    assert_int_equal(one.events, 0);
    assert_int_equal(weir_host_flush(scene.host, delivered, 2), 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(delivered[i].name, i == 0 ? "one" : "other");
        assert_int_equal(delivered[i].events, 2);
        assert_int_equal(delivered[i].position, last);
        assert_int_equal(delivered[i].parked, 0);
    }
    assert_int_equal(weir_host_flush(scene.host, delivered, 1), 2); /* room for one */
    assert_int_equal(delivered[0].events, 0);
    expect_ledger(&one, "a=1 b=2");
    expect_ledger(&other, "a=1 b=2");
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

static void cd_09_a_flush_does_not_deliver_what_is_not_durable(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    scene_attach(&scene, "ledger", &ledger);
    put(&scene.store, "a", "1");
    assert_int_equal(weir_host_flush(scene.host, NULL, 0), 1);
    assert_int_equal(ledger.events, weir_durable_lsn(scene.store.log) > 0 ? 1 : 0);
    assert_true(ledger.last <= weir_durable_lsn(scene.store.log));
    settle(&scene.store);
    assert_int_equal(weir_host_flush(scene.host, NULL, 0), 1);
    expect_ledger(&ledger, "a=1");
    scene_free(&scene, &ledger);
}

static void cd_03_what_a_filter_leaves_out_moves_the_position_all_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {"inserts", "updates", "removes"};
    static const uint32_t operations[] = {WEIR_ON_INSERT, WEIR_ON_UPDATE, WEIR_ON_REMOVE};
    static const uint64_t wanted[] = {3, 1, 1};
    struct ledger tables = {0}, some[3] = {{.partial = true}, {.partial = true}, {.partial = true}};
    weir_table table;
    assert_int_equal(weir_table_open(scene.store.engine, "fruit", true, &table), 0);
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "tables";
    system.ops = &ledger_ops;
    system.self = &tables;
    system.tables = &table;
    system.table_count = 1;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    system.table_count = 0;
    for (int i = 0; i < 3; i++) {
        system.name = names[i];
        system.self = &some[i];
        system.operations = operations[i];
        assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    }
    put(&scene.store, "a", "1");
    put_in(&scene.store, table, "apple", "green");
    put_in(&scene.store, table, "apple", "red");
    erase(&scene.store, "a");
    weir_lsn last = put(&scene.store, "b", "2");
    assert_int_equal(scene_flush(&scene, "tables"), 2);
    assert_int_equal(scene_status(&scene, "tables").position, last);
    assert_int_equal(tables.count, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(some[i].events, wanted[i]);
        assert_int_equal(scene_status(&scene, names[i]).position, last);
    }
    scene_free(&scene, &tables);
    for (int i = 0; i < 3; i++) {
        scene_free(&scene, &some[i]);
    }
}

static void one_cursor_drives_all_systems_that_stand_at_one_position(void **state)
{
    (void)state;
    struct ledger ledgers[20] = {0};
    char name[20];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "key%d", i % 300);
        put(&scene.store, name, "x");
    }
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "system%d", i);
        if (i == 10) {
            assert_int_equal(scene_flush(&scene, "system3"), 1000);
        }
        scene_attach(&scene, name, &ledgers[i]);
        assert_int_equal(lanes_of(&scene), i < 10 ? 1 : 2);
    }
    put(&scene.store, "one more", "x");
    assert_int_equal(scene_flush(&scene, "system3"), 1);
    assert_int_equal(lanes_of(&scene), 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ledgers[i].count, 301);
        assert_int_equal(ledgers[i].events, 1001);
        assert_int_equal(ledgers[i].wrong, 0);
    }
    for (int i = 0; i < 20; i++) {
        scene_free(&scene, &ledgers[i]);
    }
}

/* ---- where they start ---- */

static void cd_05_a_system_starts_at_the_beginning_now_behind_an_lsn_or_with_a_state(void **state)
{
    (void)state;
    struct ledger all = {0}, now = {.partial = true}, behind = {.partial = true}, snapshot = {0};
    put(&scene.store, "a", "1");
    weir_lsn middle = put(&scene.store, "b", "2");
    put(&scene.store, "c", "3");
    put(&scene.store, "c", "4");
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "all", &all, WEIR_START_BEGINNING, 0), 0);
    assert_int_equal(scene_try_attach(&scene, "now", &now, WEIR_START_NOW, 0), 0);
    assert_int_equal(scene_try_attach(&scene, "behind", &behind, WEIR_START_BEHIND, middle), 0);
    assert_int_equal(scene_try_attach(&scene, "snapshot", &snapshot, WEIR_START_SNAPSHOT, 0), 0);
    put(&scene.store, "d", "5");
    (void)scene_flush(&scene, NULL);
    expect_ledger(&all, "a=1 b=2 c=4 d=5");
    expect_ledger(&now, "d=5");
    expect_ledger(&behind, "c=4 d=5");
    expect_ledger(&snapshot, "a=1 b=2 c=4 d=5");
    assert_int_equal(snapshot.states, 3);
    assert_int_equal(all.states, 0);
    assert_int_equal(behind.events, 3);
    expect_verified(&scene, "all");
    expect_verified(&scene, "now");
    expect_verified(&scene, "snapshot");
    assert_int_equal(lanes_of(&scene), 1);
    scene_free(&scene, &all);
    scene_free(&scene, &now);
    scene_free(&scene, &behind);
    scene_free(&scene, &snapshot);
}

static void cd_11_who_starts_below_the_horizon_gets_its_state_and_then_the_stream(void **state)
{
    (void)state;
    struct ledger live = {0}, late = {0}, later = {0};
    scene_attach(&scene, "live", &live);
    scene_churn(&scene, 2000, 'x');
    erase(&scene.store, "k7");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    put(&scene.store, "z", "26");
    settle(&scene.store);
    weir_lsn horizon = scene_compact(&scene);
    assert_true(horizon > 1000);
    scene_attach(&scene, "late", &late);
    assert_int_equal(scene_try_attach(&scene, "later", &later, WEIR_START_BEHIND, 5), 0);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(late.states, 49);
    assert_int_equal(later.states, 49);
    assert_int_equal(late.wrong, 0);
    uint8_t prints[3][16];
    ledger_ops.fingerprint(&live, prints[0]);
    ledger_ops.fingerprint(&late, prints[1]);
    ledger_ops.fingerprint(&later, prints[2]);
    assert_memory_equal(prints[0], prints[1], 16);
    assert_memory_equal(prints[0], prints[2], 16);
    expect_verified(&scene, "live");
    expect_verified(&scene, "late");
    scene_free(&scene, &live);
    scene_free(&scene, &late);
    scene_free(&scene, &later);
}

static void cd_05_one_that_started_now_starts_there_again_after_a_crash(void **state)
{
    (void)state;
    struct ledger ledger = {.partial = true};
    put(&scene.store, "a", "1");
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "now", &ledger, WEIR_START_NOW, 0), 0);
    put(&scene.store, "b", "2");
    settle(&scene.store);
    scene_crash(&scene); /* nothing was delivered, nothing saved */
    put(&scene.store, "c", "3");
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "now", &ledger, WEIR_START_NOW, 0), 0);
    assert_int_equal(scene_flush(&scene, "now"), 2);
    expect_ledger(&ledger, "b=2 c=3");
    scene_free(&scene, &ledger);
}

/* ---- names ---- */

static void cd_07_a_name_is_attached_once(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    struct weir_host *second;
    scene_attach(&scene, "ledger", &one);
    assert_int_equal(scene_try_attach(&scene, "ledger", &other, 0, 0), WEIR_E_ATTACHED);
    assert_int_equal(weir_host_open(scene.store.engine, NULL, &second), 0);
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "ledger";
    system.ops = &ledger_ops;
    system.self = &other;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_host_attach(second, &system, &why), WEIR_E_ATTACHED);
    assert_int_equal(why.code, WEIR_E_ATTACHED);
    assert_true(strlen(why.text) > 0);
    put(&scene.store, "a", "1");
    assert_int_equal(scene_flush(&scene, NULL), 1); /* it was not disturbed */
    assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
    assert_int_equal(weir_host_attach(second, &system, NULL), 0);
    assert_int_equal(other.loads, 1);
    assert_int_equal(weir_host_close(second), 0);
    expect_ledger(&other, "a=1");
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

static void names_and_calls_that_are_none_are_refused(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    static const char *const names[] = {"",
                                        ".a",
                                        "a/b",
                                        "engine",
                                        "a b",
                                        "0123456789012345678901234567890123456789"
                                        "012345678901234567890123"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(scene_try_attach(&scene, names[i], &ledger, 0, 0), -EINVAL);
    }
    struct weir_system_ops ops = ledger_ops;
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "ledger";
    system.self = &ledger;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), -EINVAL);
    system.ops = &ops;
    ops.load = NULL; /* a state of its own, or none */
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), -EINVAL);
    ops = ledger_ops;
    system.reserved[3] = 1;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), -EINVAL);
    system.reserved[3] = 0;
    system.operations = 8;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), -EINVAL);
    assert_int_equal(weir_host_attach(NULL, &system, NULL), -EINVAL);
    assert_int_equal(weir_host_flush(NULL, NULL, 0), -EINVAL);
    assert_int_equal(weir_host_flush(scene.host, NULL, 1), -EINVAL);
    assert_int_equal(weir_host_detach(scene.host, "nobody"), WEIR_E_NO_SYSTEM);
    assert_int_equal(weir_host_retry(scene.host, "nobody"), WEIR_E_NO_SYSTEM);
    assert_int_equal(weir_host_skip(scene.host, "nobody"), WEIR_E_NO_SYSTEM);
    assert_int_equal(weir_host_read_begin(scene.host, "nobody", NULL), WEIR_E_NO_SYSTEM);
    assert_int_equal(weir_host_wait(scene.host, "nobody", 0, 0, NULL), WEIR_E_NO_SYSTEM);
    assert_int_equal(weir_host_rebuild(scene.host, "nobody", NULL, NULL, NULL, NULL),
                     WEIR_E_NO_SYSTEM);
    assert_int_equal(weir_host_close(NULL), 0);
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(weir_host_retry(scene.host, "ledger"), -EINVAL); /* is not parked */
    assert_int_equal(weir_host_skip(scene.host, "ledger"), -EINVAL);
    scene_free(&scene, &ledger);
}

/* ---- from within ---- */

static void apply_may_neither_write_nor_call_its_host(void **state)
{
    (void)state;
    struct ledger ledger = {.writes_to = scene.store.engine, .calls = scene.host};
    scene_attach(&scene, "ledger", &ledger);
    put(&scene.store, "a", "1");
    assert_int_equal(scene_flush(&scene, NULL), 1);
    assert_int_equal(ledger.write_rc, -EDEADLK);
    assert_int_equal(ledger.call_rc, -EDEADLK);
    ledger.writes_to = NULL;
    ledger.calls = NULL;
    assert_int_equal(weir_host_read_begin(scene.host, "ledger", NULL), 0); /* nor may a reader */
    assert_int_equal(weir_host_flush(scene.host, NULL, 0), -EDEADLK);
    assert_int_equal(weir_host_wait(scene.host, "ledger", 0, 0, NULL), -EDEADLK);
    assert_int_equal(weir_host_read_begin(scene.host, "ledger", NULL), -EDEADLK);
    assert_int_equal(weir_host_detach(scene.host, "ledger"), -EDEADLK);
    weir_host_read_end(scene.host, "ledger");
    put(&scene.store, "b", "1"); /* outside one may */
    assert_int_equal(scene_flush(&scene, NULL), 1);
    scene_free(&scene, &ledger);
}

/* ---- numbers ---- */

static void ds_04_cd_08_one_call_tells_the_pipeline(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {.refuse = "b"};
    struct weir_host_status status = WEIR_HOST_STATUS_INIT;
    struct weir_system_status systems[1];
    scene_attach(&scene, "one", &one);
    scene_attach(&scene, "other", &other);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    weir_lsn last = put(&scene.store, "b", "1");
    settle(&scene.store);
    assert_int_equal(weir_host_stat(scene.host, &status, systems, 1), 2);
    assert_int_equal(status.systems, 2);
    assert_int_equal(status.parked, 0);
    assert_int_equal(status.durable, last);
    assert_int_equal(status.earliest, 1);
    assert_true(status.log_bytes > 0);
    assert_string_equal(systems[0].name, "one");
    assert_string_equal(systems[0].kind, "ledger");
    assert_int_equal(systems[0].position, last - 1);
    assert_int_equal(systems[0].saved, last - 1);
    assert_int_equal(systems[0].lag_records, 1);
    assert_true(systems[0].lag_bytes > 0);
    assert_int_equal(systems[0].events, 1);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_stat(scene.host, &status, NULL, 0), 2);
    assert_int_equal(status.parked, 1);
    assert_int_equal(scene_status(&scene, "one").lag_records, 0);
    assert_int_equal(scene_status(&scene, "one").lag_bytes, 0);
    assert_int_equal(scene_status(&scene, "other").lag_records, 1);
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(cd_02_each_event_comes_once_and_in_order),
        scene_test(cd_09_nothing_happens_before_a_flush_and_a_second_one_counts_none),
        scene_test(cd_09_a_flush_does_not_deliver_what_is_not_durable),
        scene_test(cd_03_what_a_filter_leaves_out_moves_the_position_all_the_same),
        scene_test(one_cursor_drives_all_systems_that_stand_at_one_position),
        scene_test(cd_05_a_system_starts_at_the_beginning_now_behind_an_lsn_or_with_a_state),
        scene_test(cd_11_who_starts_below_the_horizon_gets_its_state_and_then_the_stream),
        scene_test(cd_05_one_that_started_now_starts_there_again_after_a_crash),
        scene_test(cd_07_a_name_is_attached_once),
        scene_test(names_and_calls_that_are_none_are_refused),
        scene_test(apply_may_neither_write_nor_call_its_host),
        scene_test(ds_04_cd_08_one_call_tells_the_pipeline),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
