/*
 * The host, in one thread: what is delivered, where systems start, what they are told of errors.
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

static weir_lsn write_both(const char *key, const char *value, const char *key2, const char *value2)
{
    struct weir_write writes[] = {
        {.kind = WEIR_PUT, .key = text(key), .value = text(value)},
        {.kind = WEIR_PUT, .key = text(key2), .value = text(value2)},
    };
    weir_lsn lsn = 0;
    assert_int_equal(weir_engine_write_batch(scene.store.engine, writes, 2, WEIR_EACH, &lsn), 0);
    return lsn;
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
    for (int i = 0; i < 2000; i++) {
        char key[20], value[200];
        (void)snprintf(key, sizeof key, "k%d", i % 50);
        (void)snprintf(value, sizeof value, "%0150d", i);
        put(&scene.store, key, value);
    }
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

/* ---- saving ---- */

static void cd_02_state_and_position_move_together_or_not_at_all(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    scene_attach(&scene, "ledger", &ledger);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    weir_lsn saved = scene_status(&scene, "ledger").saved;
    assert_int_equal(saved, 1);
    assert_int_equal(scene_hold(&scene, "ledger"), saved + 1);
    put(&scene.store, "a", "2");
    put(&scene.store, "b", "3");
    (void)scene_flush(&scene, NULL);
    expect_ledger(&ledger, "a=2 b=3");
    scene_crash(&scene); /* what was applied since is lost, with its position */
    scene_attach(&scene, "ledger", &ledger);
    expect_ledger(&ledger, "a=1");
    assert_int_equal(scene_status(&scene, "ledger").position, saved);
    assert_int_equal(scene_flush(&scene, NULL), 2);
    expect_ledger(&ledger, "a=2 b=3");
    scene_reopen(&scene); /* closing saves */
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(scene_flush(&scene, NULL), 0);
    expect_ledger(&ledger, "a=2 b=3");
    scene_free(&scene, &ledger);
}

static void a_save_that_fails_leaves_the_old_state_with_the_old_position(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    scene_attach(&scene, "ledger", &ledger);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    put(&scene.store, "a", "2");
    (void)scene_flush(&scene, NULL);
    ledger.save_with = -ENOSPC;
    assert_int_equal(weir_host_save(scene.host), -ENOSPC);
    struct weir_system_status status = scene_status(&scene, "ledger");
    assert_int_equal(status.saved, 1);
    assert_int_equal(status.parked, 0);
    assert_non_null(strstr(status.reason, "could not be saved"));
    assert_int_equal(scene_hold(&scene, "ledger"), 2);
    assert_int_equal(weir_host_detach(scene.host, "ledger"), -ENOSPC); /* it is let go */
    ledger.save_with = 0;
    scene_attach(&scene, "ledger", &ledger);
    expect_ledger(&ledger, "a=1");
    assert_int_equal(scene_flush(&scene, NULL), 1);
    expect_ledger(&ledger, "a=2");
    scene_free(&scene, &ledger);
}

static void a_system_is_saved_by_itself_when_it_has_moved_far_enough(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_host_options options = WEIR_HOST_OPTIONS_INIT;
    options.save_records = 10;
    scene_close_host(&scene);
    assert_int_equal(weir_host_open(scene.store.engine, &options, &scene.host), 0);
    scene_attach(&scene, "ledger", &ledger);
    for (int i = 0; i < 25; i++) {
        put(&scene.store, "a", "1");
        (void)scene_flush(&scene, NULL);
    }
    assert_int_equal(ledger.saves, 2);
    assert_int_equal(scene_status(&scene, "ledger").saved, 20);
    scene_crash(&scene);
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(scene_flush(&scene, NULL), 5);
    assert_int_equal(ledger.wrong, 0);
    scene_free(&scene, &ledger);
}

static void a_state_of_another_version_or_kind_is_not_loaded_and_that_is_said(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_system_ops ops = ledger_ops;
    struct weir_system system = WEIR_SYSTEM_INIT;
    scene_attach(&scene, "ledger", &ledger);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
    system.name = "ledger";
    system.ops = &ops;
    system.self = &ledger;
    for (int i = 0; i < 3; i++) {
        static const char *const says[] = {"version 1", "kind \"ledger\"", "could not be loaded"};
        assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
        uint64_t loads = ledger.loads;
        ops.version = 2;
        ops.kind = i == 0 ? "ledger" : "other";
        ledger.load_with = i == 2 ? -EBADMSG : 0;
        assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
        assert_int_equal(ledger.loads, loads);
        assert_non_null(strstr(scene_status(&scene, "ledger").reason, says[i]));
        assert_int_equal(scene_flush(&scene, NULL), 1); /* from the beginning */
        expect_ledger(&ledger, "a=1");
    }
    scene_free(&scene, &ledger);
}

static void a_state_that_cannot_be_loaded_for_now_stays_for_the_next_time(void **state)
{
    (void)state;
    static const int errors[] = {-ENOMEM, -EIO};
    struct ledger ledger = {0};
    scene_attach(&scene, "ledger", &ledger);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
    weir_lsn hold = scene_hold(&scene, "ledger");
    for (int i = 0; i < 2; i++) {
        ledger.load_with = errors[i];
        assert_int_equal(scene_try_attach(&scene, "ledger", &ledger, WEIR_START_BEGINNING, 0),
                         errors[i]);
        assert_int_equal(ledger.count, 0);
        assert_int_equal(scene_hold(&scene, "ledger"), hold);
    }
    ledger.load_with = 0;
    scene_attach(&scene, "ledger", &ledger);
    expect_ledger(&ledger, "a=1");
    assert_int_equal(scene_flush(&scene, NULL), 0);
    scene_free(&scene, &ledger);
}

static void a_damaged_state_is_rebuilt_from_where_the_system_began(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    scene_attach(&scene, "ledger", &ledger);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(scene.store.keeper, "derived/ledger/state", false, &size);
    bytes[8] ^= 0x40;
    scene_attach(&scene, "ledger", &ledger);
    assert_true(strlen(scene_status(&scene, "ledger").reason) > 0);
    assert_int_equal(scene_flush(&scene, NULL), 1);
    expect_ledger(&ledger, "a=1");
    scene_free(&scene, &ledger);
}

static void effects_outside_come_at_least_once_with_their_lsns(void **state)
{
    (void)state;
    struct ledger outside = {.partial = true};
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "mails";
    system.ops = &ledger_outside_ops;
    system.self = &outside;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    put(&scene.store, "a", "1");
    put(&scene.store, "b", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    put(&scene.store, "c", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(outside.events, 3);
    scene_crash(&scene);
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    assert_int_equal(scene_flush(&scene, NULL), 1); /* the third once more */
    assert_int_equal(outside.last, 3);
    scene_reopen(&scene);
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    assert_int_equal(scene_flush(&scene, NULL), 0);
    struct ledger fresh = {0};
    assert_int_equal(weir_host_verify(scene.host, "mails", &fresh, NULL, NULL, NULL, NULL),
                     -EOPNOTSUPP);
    scene_free(&scene, &outside);
}

/* ---- parked ---- */

static void cd_04_one_that_fails_is_parked_and_holds_up_nobody(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"}, good = {0};
    scene_attach(&scene, "bad", &bad);
    scene_attach(&scene, "good", &good);
    put(&scene.store, "a", "1");
    weir_lsn poison = put(&scene.store, "poison", "2");
    put(&scene.store, "b", "3");
    (void)scene_flush(&scene, NULL);
    expect_ledger(&bad, "a=1");
    expect_ledger(&good, "a=1 b=3 poison=2");
    struct weir_system_status status = scene_status(&scene, "bad");
    assert_int_equal(status.parked, -EIO);
    assert_int_equal(status.parked_lsn, poison);
    assert_string_equal(status.reason, weir_error_text(-EIO));
    assert_int_equal(status.position, poison - 1);
    assert_true(status.lag_records >= 2);
    put(&scene.store, "c", "4");
    assert_int_equal(scene_flush(&scene, NULL), 1); /* only the good one */
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_host_wait(scene.host, "bad", poison, 0, &why), WEIR_E_PARKED);
    assert_non_null(strstr(why.text, weir_error_text(-EIO)));
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0); /* still refuses */
    (void)scene_flush(&scene, NULL);
    assert_int_equal(scene_status(&scene, "bad").parked, -EIO);
    bad.refuse = NULL;
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0);
    assert_int_equal(scene_flush(&scene, "bad"), 3);
    expect_ledger(&bad, "a=1 b=3 c=4 poison=2");
    assert_int_equal(scene_status(&scene, "bad").parked, 0);
    assert_string_equal(scene_status(&scene, "bad").reason, "");
    assert_int_equal(lanes_of(&scene), 1);
    scene_free(&scene, &bad);
    scene_free(&scene, &good);
}

static void cd_04_skip_passes_the_event_that_failed_and_no_other(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison", .refuse_with = 7};
    scene_attach(&scene, "bad", &bad);
    put(&scene.store, "poison", "1");
    put(&scene.store, "a", "1");
    weir_lsn second = put(&scene.store, "poison", "2");
    put(&scene.store, "b", "1");
    (void)scene_flush(&scene, NULL);
    struct weir_system_status status = scene_status(&scene, "bad");
    assert_int_equal(status.parked, 7);
    assert_non_null(strstr(status.reason, "7"));
    assert_int_equal(weir_host_skip(scene.host, "bad"), 0);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(scene_status(&scene, "bad").parked_lsn, second);
    expect_ledger(&bad, "a=1");
    assert_int_equal(weir_host_skip(scene.host, "bad"), 0);
    (void)scene_flush(&scene, NULL);
    expect_ledger(&bad, "a=1 b=1");
    assert_int_equal(scene_status(&scene, "bad").parked, 0);
    scene_free(&scene, &bad);
}

static void cd_04_that_it_is_parked_survives_a_crash_and_retry_goes_on_from_what_is_saved(
    void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"};
    scene_attach(&scene, "bad", &bad);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    for (int i = 0; i < 2 * HOST_BATCH; i++) { /* it comes to the poison with a later turn */
        put(&scene.store, "b", "2");
        settle(&scene.store);
    }
    weir_lsn poison = put(&scene.store, "poison", "3");
    put(&scene.store, "c", "4");
    (void)scene_flush(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        scene_crash(&scene);
        scene_attach(&scene, "bad", &bad);
        struct weir_system_status status = scene_status(&scene, "bad");
        assert_int_equal(status.parked, -EIO);
        assert_int_equal(status.parked_lsn, poison);
        assert_string_equal(status.reason, weir_error_text(-EIO));
        assert_int_equal(scene_flush(&scene, NULL), 0); /* not by itself */
    }
    bad.refuse = NULL;
    assert_int_equal(weir_host_skip(scene.host, "bad"), 0);
    (void)scene_flush(&scene, NULL);
    expect_ledger(&bad, "a=1 b=2 c=4");
    scene_reopen(&scene);
    scene_attach(&scene, "bad", &bad);
    assert_int_equal(scene_status(&scene, "bad").parked, 0);
    scene_free(&scene, &bad);
}

static void inside_of_an_atomic_write_a_parked_one_is_neither_read_nor_saved(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"};
    scene_attach(&scene, "bad", &bad);
    write_both("a", "1", "b", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_read_begin(scene.host, "bad", NULL), 0);
    weir_host_read_end(scene.host, "bad");
    weir_lsn half = write_both("a", "2", "poison", "2");
    (void)scene_flush(&scene, NULL);
    expect_ledger(&bad, "a=2 b=1"); /* one half */
    assert_int_equal(weir_host_wait(scene.host, "bad", half, 0, NULL), WEIR_E_PARKED);
    assert_int_equal(weir_host_read_begin(scene.host, "bad", NULL), WEIR_E_PARKED);
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(scene_status(&scene, "bad").saved, 0);
    bad.refuse = NULL;
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0);
    assert_int_equal(scene_flush(&scene, NULL), 1);
    expect_ledger(&bad, "a=2 b=1 poison=2");
    expect_verified(&scene, "bad");
    scene_free(&scene, &bad);
}

static void a_parked_one_at_a_whole_position_is_read_and_saved(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"};
    scene_attach(&scene, "bad", &bad);
    put(&scene.store, "a", "1");
    settle(&scene.store); /* a group of its own */
    put(&scene.store, "poison", "2");
    (void)scene_flush(&scene, NULL);
    weir_lsn position = 99;
    assert_int_equal(weir_host_read_begin(scene.host, "bad", &position), 0);
    assert_int_equal(position, 1);
    weir_host_read_end(scene.host, "bad");
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(scene_status(&scene, "bad").saved, 1);
    scene_free(&scene, &bad);
}

static void one_that_fails_in_the_state_it_begins_with_begins_that_again(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "m"};
    for (int i = 0; i < 26; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        put(&scene.store, key, "1");
    }
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "bad", &bad, WEIR_START_SNAPSHOT, 0), 0);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(bad.events, 12);
    assert_int_equal(weir_host_read_begin(scene.host, "bad", NULL), WEIR_E_PARKED);
    put(&scene.store, "b", "2");
    bad.refuse = NULL;
    settle(&scene.store);
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(bad.count, 26);
    assert_int_equal(bad.states, 26);
    assert_int_equal(bad.wrong, 0);
    expect_verified(&scene, "bad");
    scene_free(&scene, &bad);
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
        scene_test(cd_02_state_and_position_move_together_or_not_at_all),
        scene_test(a_save_that_fails_leaves_the_old_state_with_the_old_position),
        scene_test(a_system_is_saved_by_itself_when_it_has_moved_far_enough),
        scene_test(a_state_of_another_version_or_kind_is_not_loaded_and_that_is_said),
        scene_test(a_state_that_cannot_be_loaded_for_now_stays_for_the_next_time),
        scene_test(a_damaged_state_is_rebuilt_from_where_the_system_began),
        scene_test(effects_outside_come_at_least_once_with_their_lsns),
        scene_test(cd_04_one_that_fails_is_parked_and_holds_up_nobody),
        scene_test(cd_04_skip_passes_the_event_that_failed_and_no_other),
        scene_test(cd_04_that_it_is_parked_survives_a_crash_and_retry_goes_on_from_what_is_saved),
        scene_test(inside_of_an_atomic_write_a_parked_one_is_neither_read_nor_saved),
        scene_test(a_parked_one_at_a_whole_position_is_read_and_saved),
        scene_test(one_that_fails_in_the_state_it_begins_with_begins_that_again),
        scene_test(apply_may_neither_write_nor_call_its_host),
        scene_test(ds_04_cd_08_one_call_tells_the_pipeline),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
