/*
 * Rebuilding, states that are not there to their end, and systems that save nothing.
 */
#include "tests/derived/scene_test.h"

#include "derived/host.h"
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>

static void ds_03_rebuild_clears_replays_and_reports(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    struct weir_rebuild_report report = WEIR_REBUILD_REPORT_INIT;
    scene_attach(&scene, "one", &one);
    scene_attach(&scene, "other", &other);
    weir_lsn last = scene_churn(&scene, 2000, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    ledger_spoil(&one, "k3");
    ledger_drop(&one, "k4");
    uint64_t events = other.events, resets = other.resets;
    assert_int_equal(weir_host_rebuild(scene.host, "one", NULL, NULL, &report, NULL), 0);
    assert_int_equal(report.events, 2000);
    assert_int_equal(report.position, last);
    assert_true(report.seconds > 0);
    assert_int_equal(other.events, events); /* it was not disturbed */
    assert_int_equal(other.resets, resets);
    assert_int_equal(scene_status(&scene, "one").saved, last);
    assert_int_equal(scene_hold(&scene, "one"), last + 1);
    assert_int_equal(one.wrong, 0);
    expect_verified(&scene, "one");
    put(&scene.store, "z", "1");
    assert_int_equal(scene_flush(&scene, NULL), 2); /* and goes on with the others */
    assert_null(scene.host->lanes->next);
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

static int stop_at_once(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    *(uint64_t *)context = all_bytes;
    return done_bytes <= all_bytes;
}

static void a_rebuild_that_is_stopped_is_brought_to_its_end_by_the_next_delivery(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    uint64_t all = 0;
    scene_attach(&scene, "ledger", &ledger);
    scene_churn(&scene, 1000, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_rebuild(scene.host, "ledger", stop_at_once, &all, NULL, NULL),
                     -ECANCELED);
    assert_true(all > 0);
    (void)scene_flush(&scene, NULL);
    expect_verified(&scene, "ledger");
    scene_free(&scene, &ledger);
}

static int cut_off(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    struct weir_medium **image = context;
    *image = *image != NULL ? *image : scene_cut(&scene);
    return done_bytes > all_bytes;
}

static void a_crash_while_rebuilding_does_not_bring_the_old_state_back(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_medium *image = NULL;
    scene_attach(&scene, "ledger", &ledger);
    scene_churn(&scene, 500, 'x');
    (void)scene_flush(&scene, NULL);
    ledger_spoil(&ledger, "k1");
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(weir_host_rebuild(scene.host, "ledger", cut_off, &image, NULL, NULL), 0);
    assert_non_null(image);
    scene_go_on_with(&scene, image);
    uint64_t loads = ledger.loads;
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(ledger.loads, loads);
    (void)scene_flush(&scene, NULL);
    expect_verified(&scene, "ledger");
    scene_free(&scene, &ledger);
}

static void a_rebuild_that_meets_an_event_that_is_refused_says_that_it_is_parked(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_error why = WEIR_ERROR_INIT;
    scene_attach(&scene, "ledger", &ledger);
    scene_churn(&scene, 300, 'x');
    (void)scene_flush(&scene, NULL);
    ledger.refuse = "k7";
    assert_int_equal(weir_host_rebuild(scene.host, "ledger", NULL, NULL, NULL, &why),
                     WEIR_E_PARKED);
    assert_string_equal(why.text, weir_error_text(-EIO));
    assert_int_equal(scene_status(&scene, "ledger").parked, -EIO);
    ledger.refuse = NULL;
    assert_int_equal(weir_host_rebuild(scene.host, "ledger", NULL, NULL, NULL, &why), 0);
    assert_int_equal(scene_status(&scene, "ledger").parked, 0);
    expect_verified(&scene, "ledger");
    scene_free(&scene, &ledger);
}

static void what_began_behind_an_lsn_cannot_be_rebuilt_once_that_is_compacted(void **state)
{
    (void)state;
    struct ledger now = {.partial = true};
    scene_churn(&scene, 100, 'w');
    assert_int_equal(scene_try_attach(&scene, "now", &now, WEIR_START_NOW, 0), 0);
    scene_churn(&scene, 500, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_rebuild(scene.host, "now", NULL, NULL, NULL, NULL), 0);
    assert_int_equal(now.events, 500); /* the same events again */
    scene_churn(&scene, 2000, 'y');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    weir_lsn hold = scene_hold(&scene, "now");
    assert_true(scene_compact(&scene) > 600);
    uint64_t events = now.events;
    assert_int_equal(weir_host_rebuild(scene.host, "now", NULL, NULL, NULL, NULL),
                     WEIR_E_POSITION_LOST);
    assert_int_equal(now.events, events); /* nothing has changed */
    assert_int_equal(scene_hold(&scene, "now"), hold);
    put(&scene.store, "z", "1");
    assert_int_equal(scene_flush(&scene, "now"), 1);
    scene_free(&scene, &now);
}

static void one_that_waits_for_an_lsn_to_come_is_attached_again_and_rebuilt(void **state)
{
    (void)state;
    struct ledger ledger = {.partial = true}, fresh = {0};
    put(&scene.store, "a", "1");
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "ledger", &ledger, WEIR_START_BEHIND, 3), 0);
    assert_int_equal(scene_flush(&scene, NULL), 0);
    assert_int_equal(weir_host_rebuild(scene.host, "ledger", NULL, NULL, NULL, NULL), 0);
    assert_int_equal(weir_host_verify(scene.host, "ledger", &fresh, NULL, NULL, NULL, NULL),
                     WEIR_E_BEHIND);
    assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
    assert_int_equal(scene_try_attach(&scene, "ledger", &ledger, WEIR_START_NOW, 0), 0);
    put(&scene.store, "b", "2");
    assert_int_equal(scene_flush(&scene, NULL), 0);
    put(&scene.store, "c", "3");
    put(&scene.store, "d", "4");
    assert_int_equal(scene_flush(&scene, NULL), 1);
    expect_ledger(&ledger, "d=4");
    scene_free(&scene, &ledger);
}

static void one_whose_status_is_damaged_goes_on_and_cannot_be_rebuilt(void **state)
{
    (void)state;
    struct ledger ledger = {.partial = true}, fresh = {.partial = true};
    uint64_t size;
    put(&scene.store, "a", "1");
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "ledger", &ledger, WEIR_START_NOW, 0), 0);
    put(&scene.store, "b", "2");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
    uint8_t *bytes = sim_memory_bytes(scene.store.keeper, "derived/ledger/status", false, &size);
    assert_non_null(bytes);
    bytes[8] ^= 1;
    for (unsigned i = 0; i < 2; i++) { /* it is not forgotten the second time, either */
        assert_int_equal(scene_try_attach(&scene, "ledger", &ledger, WEIR_START_NOW, 0), 0);
        expect_ledger(&ledger, "b=2");
        assert_int_equal(weir_host_rebuild(scene.host, "ledger", NULL, NULL, NULL, NULL),
                         WEIR_E_POSITION_LOST);
        assert_int_equal(weir_host_verify(scene.host, "ledger", &fresh, NULL, NULL, NULL, NULL),
                         WEIR_E_POSITION_LOST);
        assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
    }
    ledger_free(&fresh);
    scene_free(&scene, &ledger);
}

/* ---- a state that is not there to its end ---- */

static void half_of_the_state_it_begins_with_is_neither_read_nor_saved(void **state)
{
    (void)state;
    struct ledger ledger = {0}, other = {0};
    for (unsigned i = 0; i < 1000; i++) {
        char key[20];
        (void)snprintf(key, sizeof key, "k%u", i);
        put(&scene.store, key, "1");
    }
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "other", &other, WEIR_START_NOW, 0), 0);
    assert_int_equal(scene_try_attach(&scene, "ledger", &ledger, WEIR_START_SNAPSHOT, 0), 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        assert_int_equal(weir_host_read_begin(scene.host, "ledger", NULL), WEIR_E_BEHIND);
        assert_int_equal(weir_host_save(scene.host), 0);
        assert_int_equal(ledger.saves, 0);
        assert_int_equal(ledger.count, turn * HOST_BATCH);
        assert_int_equal(weir_host_read_begin(scene.host, "other", NULL), 0); /* not held up */
        weir_host_read_end(scene.host, "other");
        host_gate_enter(&scene.host->delivery);
        struct host_lane *lane = scene.host->lanes;
        lane = lane->lending ? lane : lane->next;
        assert_int_equal(host_serve(scene.host, lane), 1);
        host_gate_leave(&scene.host->delivery);
    }
    put(&scene.store, "k5", "2");
    settle(&scene.store);
    assert_int_equal(weir_host_wait(scene.host, "ledger", 1001, 0, NULL), 0);
    assert_int_equal(ledger.states, 1000);
    assert_int_equal(weir_host_read_begin(scene.host, "ledger", NULL), 0);
    weir_host_read_end(scene.host, "ledger");
    expect_verified(&scene, "ledger");
    scene_free(&scene, &ledger);
    scene_free(&scene, &other);
}

static void one_that_begins_behind_an_lsn_to_come_gets_nothing_before(void **state)
{
    (void)state;
    struct ledger ledger = {.partial = true};
    put(&scene.store, "a", "1");
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "ledger", &ledger, WEIR_START_BEHIND, 3), 0);
    assert_int_equal(scene_flush(&scene, NULL), 0);
    assert_int_equal(weir_host_read_begin(scene.host, "ledger", NULL), WEIR_E_BEHIND);
    assert_int_equal(weir_host_save(scene.host), 0);
    put(&scene.store, "b", "2");
    put(&scene.store, "c", "3");
    assert_int_equal(scene_flush(&scene, NULL), 0);
    put(&scene.store, "d", "4");
    assert_int_equal(scene_flush(&scene, NULL), 1);
    expect_ledger(&ledger, "d=4");
    expect_verified(&scene, "ledger");
    scene_free(&scene, &ledger);
}

static void a_view_of_an_engine_that_does_not_get_there_is_given_up(void **state)
{
    (void)state;
    struct weir_read read;
    put(&scene.store, "a", "1");
    stripe_announce(scene.store.engine, 3); /* as a writer whose index has failed leaves it */
    put(&scene.store, "b", "2");
    settle(&scene.store);
    assert_int_equal(host_view_within(scene.store.engine, 2, 1000000, &read), WEIR_E_BEHIND);
    assert_int_equal(host_view_within(scene.store.engine, 1, 1000000, &read), 0);
    weir_read_end(&read);
    stripe_retract(scene.store.engine, 3);
    assert_int_equal(host_view_as_of(scene.store.engine, 2, &read), 0);
    weir_read_end(&read);
}

struct seen {
    const char *name;
    weir_lsn lsn, position;
};

/* What position was published when the event of seen->lsn came? */
static void note_position_at(void *context, const struct weir_event *event)
{
    struct seen *seen = context;
    if (event->lsn == seen->lsn) {
        base_lock_acquire(&scene.host->lock);
        seen->position = host_find(scene.host, seen->name)->position;
        base_lock_release(&scene.host->lock);
    }
}

static void ds_11_no_batch_is_cut_where_another_one_waits_for_an_lsn_to_come(void **state)
{
    (void)state;
    struct ledger all = {0}, late = {.partial = true};
    struct seen seen = {"all", 4, 0};
    struct weir_write batch[] = {
        {.kind = WEIR_PUT, .key = text("b"), .value = text("2")},
        {.kind = WEIR_PUT, .key = text("c"), .value = text("3")},
        {.kind = WEIR_PUT, .key = text("d"), .value = text("4")},
    };
    put(&scene.store, "a", "1");
    settle(&scene.store);
    all.on_event = note_position_at;
    all.context = &seen;
    scene_attach(&scene, "all", &all);
    assert_int_equal(scene_try_attach(&scene, "late", &late, WEIR_START_BEHIND, 3), 0);
    assert_int_equal(scene_flush(&scene, "all"), 1);
    assert_int_equal(weir_engine_write_batch(scene.store.engine, batch, 3, WEIR_NONE, NULL), 0);
    assert_int_equal(scene_flush(&scene, "all"), 3);
    assert_int_equal(seen.position, 1); /* b, c and d become visible at once */
    expect_ledger(&all, "a=1 b=2 c=3 d=4");
    expect_ledger(&late, "d=4");
    scene_free(&scene, &all);
    scene_free(&scene, &late);
}

/* ---- unsaved ---- */

static void one_that_is_unsaved_starts_from_what_is_saved_and_writes_nothing(void **state)
{
    (void)state;
    struct ledger saved = {0}, look = {0};
    struct weir_host *second;
    struct weir_system system = WEIR_SYSTEM_INIT;
    scene_attach(&scene, "ledger", &saved);
    scene_churn(&scene, 100, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    scene_churn(&scene, 100, 'y');
    assert_int_equal(weir_host_open(scene.store.engine, NULL, &second), 0);
    system.name = "ledger";
    system.ops = &ledger_ops;
    system.self = &look;
    system.unsaved = true; /* the name is attached by the first host all the while */
    weir_lsn hold = scene_hold(&scene, "ledger");
    uint64_t changes = sim_memory_changes(scene.store.keeper);
    assert_int_equal(weir_host_attach(second, &system, NULL), 0);
    assert_int_equal(look.loads, 1);
    assert_int_equal(weir_host_flush(second, NULL, 0), 1);
    assert_int_equal(look.events, 100);
    assert_int_equal(weir_host_save(second), 0);
    assert_int_equal(weir_host_close(second), 0);
    assert_int_equal(sim_memory_changes(scene.store.keeper), changes);
    assert_int_equal(scene_hold(&scene, "ledger"), hold);
    (void)scene_flush(&scene, NULL);
    uint8_t prints[2][16];
    ledger_ops.fingerprint(&saved, prints[0]);
    ledger_ops.fingerprint(&look, prints[1]);
    assert_memory_equal(prints[0], prints[1], 16);
    ledger_free(&look);
    scene_free(&scene, &saved);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(ds_03_rebuild_clears_replays_and_reports),
        scene_test(a_rebuild_that_is_stopped_is_brought_to_its_end_by_the_next_delivery),
        scene_test(a_crash_while_rebuilding_does_not_bring_the_old_state_back),
        scene_test(a_rebuild_that_meets_an_event_that_is_refused_says_that_it_is_parked),
        scene_test(what_began_behind_an_lsn_cannot_be_rebuilt_once_that_is_compacted),
        scene_test(one_that_waits_for_an_lsn_to_come_is_attached_again_and_rebuilt),
        scene_test(one_whose_status_is_damaged_goes_on_and_cannot_be_rebuilt),
        scene_test(half_of_the_state_it_begins_with_is_neither_read_nor_saved),
        scene_test(one_that_begins_behind_an_lsn_to_come_gets_nothing_before),
        scene_test(a_view_of_an_engine_that_does_not_get_there_is_given_up),
        scene_test(ds_11_no_batch_is_cut_where_another_one_waits_for_an_lsn_to_come),
        scene_test(one_that_is_unsaved_starts_from_what_is_saved_and_writes_nothing),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
