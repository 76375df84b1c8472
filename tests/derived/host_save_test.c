/*
 * A system's state beside the log: when it is saved, and what happens when it is another's, damaged
 * or not there.
 */
#include "tests/derived/scene_test.h"

#include <errno.h>

/* A system that has been given one row. */
static void attach_with_a_row(struct ledger *ledger)
{
    scene_attach(&scene, "ledger", ledger);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
}

static void cd_02_state_and_position_move_together_or_not_at_all(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    attach_with_a_row(&ledger);
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
    attach_with_a_row(&ledger);
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
    attach_with_a_row(&ledger);
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
    attach_with_a_row(&ledger);
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
    attach_with_a_row(&ledger);
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(cd_02_state_and_position_move_together_or_not_at_all),
        scene_test(a_save_that_fails_leaves_the_old_state_with_the_old_position),
        scene_test(a_system_is_saved_by_itself_when_it_has_moved_far_enough),
        scene_test(a_state_of_another_version_or_kind_is_not_loaded_and_that_is_said),
        scene_test(a_state_that_cannot_be_loaded_for_now_stays_for_the_next_time),
        scene_test(a_damaged_state_is_rebuilt_from_where_the_system_began),
        scene_test(effects_outside_come_at_least_once_with_their_lsns),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
