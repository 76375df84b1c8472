/*
 * Rebuilding, what compaction does to consumers, and rows.
 */
#include "tests/derived/scene_test.h"

#include "derived/consumer.h"
#include "derived/host.h"
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>

#include <weir/consumer.h>
#include <weir/rows.h>

/* Puts that overwrite each other: enough for several segments. */
static weir_lsn churn(unsigned count, char mark)
{
    weir_lsn lsn = 0;
    for (unsigned i = 0; i < count; i++) {
        char key[20], value[200];
        (void)snprintf(key, sizeof key, "k%u", i % 50);
        (void)snprintf(value, sizeof value, "%c%0150u", mark, i);
        lsn = put(&scene.store, key, value);
    }
    settle(&scene.store);
    return lsn;
}

/* ---- rebuild ---- */

static void ds_03_rebuild_clears_replays_and_reports(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    struct weir_rebuild_report report = WEIR_REBUILD_REPORT_INIT;
    scene_attach(&scene, "one", &one);
    scene_attach(&scene, "other", &other);
    weir_lsn last = churn(2000, 'x');
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
    churn(1000, 'x');
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
    churn(500, 'x');
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
    churn(300, 'x');
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

/* ---- compaction ---- */

static void cd_10_the_slowest_consumer_keeps_compaction_off(void **state)
{
    (void)state;
    struct ledger slow = {0}, fast = {0};
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    scene_attach(&scene, "slow", &slow);
    weir_lsn middle = churn(500, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_detach(scene.host, "slow"), 0);
    scene_attach(&scene, "fast", &fast);
    churn(2000, 'y');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(weir_engine_compact(scene.store.engine, NULL, &report, NULL), 0);
    assert_true(report.horizon <= middle);
    assert_string_equal(report.limited_by, "slow");
    scene_attach(&scene, "slow", &slow); /* each event is still there */
    assert_int_equal(scene_flush(&scene, "slow"), 2000);
    assert_int_equal(slow.states, 0);
    assert_int_equal(slow.wrong, 0);
    expect_verified(&scene, "slow");
    scene_free(&scene, &slow);
    scene_free(&scene, &fast);
}

static void cd_10_one_that_is_cut_loose_is_told_that_its_position_is_lost(void **state)
{
    (void)state;
    struct ledger slow = {0};
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "slow";
    system.ops = &ledger_ops;
    system.self = &slow;
    system.max_lag_bytes = 1000;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    churn(500, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_detach(scene.host, "slow"), 0);
    churn(2000, 'y');
    assert_int_equal(weir_consumer_cut(scene.store.log, NULL, NULL), 0);
    assert_int_equal(scene_hold(&scene, "slow"), 0);
    assert_true(scene_compact(&scene) > 600);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_host_attach(scene.host, &system, &why), WEIR_E_POSITION_LOST);
    assert_int_equal(why.code, WEIR_E_POSITION_LOST);
    assert_int_equal(scene_flush(&scene, "slow"), 0); /* no silent jump */
    assert_int_equal(scene_status(&scene, "slow").parked, WEIR_E_POSITION_LOST);
    assert_int_equal(scene_hold(&scene, "slow"), 0);
    assert_int_equal(weir_host_retry(scene.host, "slow"), WEIR_E_POSITION_LOST);
    assert_int_equal(weir_host_skip(scene.host, "slow"), WEIR_E_POSITION_LOST);
    assert_int_equal(scene_hold(&scene, "slow"), 0); /* it keeps nothing for nobody */
    assert_int_equal(weir_host_rebuild(scene.host, "slow", NULL, NULL, NULL, &why), 0);
    assert_int_equal(slow.states, 50);
    assert_int_equal(slow.wrong, 0);
    assert_int_equal(scene_status(&scene, "slow").parked, 0);
    assert_true(scene_hold(&scene, "slow") > 2500);
    expect_verified(&scene, "slow");
    scene_free(&scene, &slow);
}

static void one_that_loses_its_position_while_it_is_attached_is_parked_with_that(void **state)
{
    (void)state;
    struct ledger slow = {0};
    scene_attach(&scene, "slow", &slow);
    churn(500, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    churn(2000, 'y');
    assert_int_equal(weir_hold_drop(scene.store.log, "slow"), 0);
    assert_true(scene_compact(&scene) > 600);
    assert_int_equal(scene_flush(&scene, "slow"), 0);
    assert_int_equal(scene_status(&scene, "slow").parked, WEIR_E_POSITION_LOST);
    struct ledger fresh = {0};
    assert_int_equal(weir_host_verify(scene.host, "slow", &fresh, NULL, NULL, NULL, NULL),
                     WEIR_E_POSITION_LOST);
    ledger_free(&fresh);
    assert_int_equal(weir_host_rebuild(scene.host, "slow", NULL, NULL, NULL, NULL), 0);
    expect_verified(&scene, "slow");
    scene_free(&scene, &slow);
}

static void what_began_behind_an_lsn_cannot_be_rebuilt_once_that_is_compacted(void **state)
{
    (void)state;
    struct ledger now = {.partial = true};
    churn(100, 'w');
    assert_int_equal(scene_try_attach(&scene, "now", &now, WEIR_START_NOW, 0), 0);
    churn(500, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_rebuild(scene.host, "now", NULL, NULL, NULL, NULL), 0);
    assert_int_equal(now.events, 500); /* the same events again */
    churn(2000, 'y');
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

static void cd_10_one_that_has_lost_its_position_holds_nothing_when_it_is_saved(void **state)
{
    (void)state;
    struct ledger slow = {0};
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "slow";
    system.ops = &ledger_ops;
    system.self = &slow;
    system.max_lag_bytes = 1000;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    churn(500, 'x');
    (void)scene_flush(&scene, NULL); /* not saved */
    churn(2000, 'y');
    assert_int_equal(weir_consumer_cut(scene.store.log, NULL, NULL), 0);
    assert_true(scene_compact(&scene) > 600);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(scene_status(&scene, "slow").parked, WEIR_E_POSITION_LOST);
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(slow.saves, 1);
    assert_int_equal(scene_hold(&scene, "slow"), 0);
    assert_int_equal(consumer_is_lost(scene.store.log, "slow"), 1);
    assert_int_equal(weir_host_detach(scene.host, "slow"), 0);
    assert_int_equal(scene_hold(&scene, "slow"), 0);
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), WEIR_E_POSITION_LOST);
    assert_int_equal(weir_host_rebuild(scene.host, "slow", NULL, NULL, NULL, NULL), 0);
    assert_true(scene_hold(&scene, "slow") > 2500);
    assert_int_equal(consumer_is_lost(scene.store.log, "slow"), 0);
    scene_free(&scene, &slow);
}

static void cd_10_one_that_is_parked_after_it_was_cut_loose_is_still_shown_as_lost(void **state)
{
    (void)state;
    struct ledger ledger = {.refuse = "bad"};
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "ledger";
    system.ops = &ledger_ops;
    system.self = &ledger;
    system.max_lag_bytes = 1000;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    churn(500, 'x');
    assert_int_equal(weir_consumer_cut(scene.store.log, NULL, NULL), 0);
    put(&scene.store, "bad", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(scene_status(&scene, "ledger").parked, -EIO);
    assert_int_equal(scene_hold(&scene, "ledger"), 0);
    assert_int_equal(consumer_is_lost(scene.store.log, "ledger"), 1);
    ledger.refuse = NULL;
    assert_int_equal(weir_host_retry(scene.host, "ledger"), 0); /* nothing was compacted */
    assert_true(scene_hold(&scene, "ledger") > 0);
    assert_int_equal(consumer_is_lost(scene.store.log, "ledger"), 0);
    scene_free(&scene, &ledger);
}

static void cd_10_one_that_begins_with_the_state_of_now_is_not_behind_all_that_was(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_system system = WEIR_SYSTEM_INIT;
    weir_lsn last = churn(500, 'x');
    system.name = "ledger";
    system.ops = &ledger_ops;
    system.self = &ledger;
    system.start = WEIR_START_SNAPSHOT;
    system.max_lag_bytes = 1000;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    assert_int_equal(weir_consumer_cut(scene.store.log, NULL, NULL), 0);
    assert_int_equal(scene_hold(&scene, "ledger"), last + 1);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    scene_free(&scene, &ledger);
}

static uint64_t segment_of(weir_lsn lsn)
{
    uint64_t address, time_ns;
    assert_int_equal(wal_address_find(scene.store.log, lsn, &address, &time_ns), 0);
    return wal_address_ordinal(scene.store.log, address);
}

/* Saved behind a delete that is the last record of its segment: compaction leaves nothing of it. */
static weir_lsn save_at_the_end_of_a_segment(struct ledger *ledger)
{
    char large[3001];
    weir_lsn last, next;
    memset(large, 'l', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    do {
        scene_attach(&scene, "ledger", ledger);
        put(&scene.store, "gone", "1");
        last = erase(&scene.store, "gone");
        (void)scene_flush(&scene, NULL);
        assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
        next = put(&scene.store, "large", large);
        settle(&scene.store);
    } while (segment_of(last) == segment_of(next));
    return last;
}

static void a_state_as_of_a_record_that_was_compacted_away_is_read_at_once(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    weir_lsn position = 0;
    churn(100, 'x');
    weir_lsn last = save_at_the_end_of_a_segment(&ledger);
    churn(1000, 'y');
    assert_int_equal(scene_compact(&scene), last);
    assert_false(wal_address_ends_group(scene.store.log, last));
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(weir_host_read_begin(scene.host, "ledger", &position), 0);
    assert_int_equal(position, last);
    weir_host_read_end(scene.host, "ledger");
    assert_int_equal(scene_flush(&scene, NULL), 1001);
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

static void one_that_was_cut_loose_and_has_caught_up_holds_again(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "ledger";
    system.ops = &ledger_ops;
    system.self = &ledger;
    system.max_lag_bytes = 1000;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    weir_lsn last = churn(1000, 'x');
    assert_int_equal(weir_consumer_cut(scene.store.log, NULL, NULL), 0);
    assert_int_equal(scene_hold(&scene, "ledger"), 0);
    (void)scene_flush(&scene, NULL); /* nothing was compacted meanwhile */
    assert_int_equal(ledger.events, 1000);
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(scene_hold(&scene, "ledger"), last + 1);
    scene_free(&scene, &ledger);
}

/* ---- unsaved ---- */

static void one_that_is_unsaved_starts_from_what_is_saved_and_writes_nothing(void **state)
{
    (void)state;
    struct ledger saved = {0}, look = {0};
    struct weir_host *second;
    struct weir_system system = WEIR_SYSTEM_INIT;
    scene_attach(&scene, "ledger", &saved);
    churn(100, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    churn(100, 'y');
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

/* ---- rows ---- */

struct question {
    struct ledger *ledger;
    const char *extra; /* a key that the system believes in */
    int rc;
};

/* All keys, the last one first. */
static int find(void *context, weir_rows_add_fn add, void *add_context)
{
    struct question *question = context;
    for (size_t i = question->ledger->count; i > 0; i--) {
        const struct ledger_row *row = &question->ledger->rows[i - 1];
        int rc =
            add(add_context, row->table, (struct weir_bytes){row->bytes, row->key_size}, (double)i);
        if (rc < 0) {
            return rc;
        }
    }
    return question->extra != NULL ? add(add_context, 0, text(question->extra), 0) : question->rc;
}

static void rows_are_as_of_the_position_of_the_system(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct question question = {&ledger, NULL, 0};
    struct weir_rows *rows;
    struct weir_row row;
    put(&scene.store, "a", "1");
    weir_lsn position = put(&scene.store, "b", "2");
    scene_attach(&scene, "ledger", &ledger);
    (void)scene_flush(&scene, NULL);
    put(&scene.store, "a", "new");
    erase(&scene.store, "b");
    settle(&scene.store); /* not flushed */
    assert_int_equal(weir_rows_open(scene.host, "ledger", find, &question, &rows), 0);
    assert_int_equal(weir_rows_count(rows), 2);
    assert_int_equal(weir_rows_lsn(rows), position);
    (void)scene_flush(&scene, NULL); /* the system goes on, the rows stay */
    assert_int_equal(weir_rows_next(rows, &row), 1);
    assert_memory_equal(row.key.data, "b", 1);
    assert_memory_equal(row.value.data, "2", 1);
    assert_true(weir_rows_score(rows) > 1.5 && weir_rows_score(rows) < 2.5);
    assert_int_equal(weir_rows_table(rows), 0);
    assert_int_equal(weir_rows_next(rows, &row), 1);
    assert_memory_equal(row.value.data, "1", 1);
    assert_int_equal(row.lsn, 1);
    assert_int_equal(weir_rows_next(rows, &row), 0);
    assert_int_equal(weir_rows_next(rows, &row), 0);
    weir_rows_close(rows);
    scene_free(&scene, &ledger);
}

static void a_key_that_is_not_there_is_an_error_and_never_a_row_less(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct question question = {&ledger, "ghost", 0};
    struct weir_rows *rows;
    struct weir_row row;
    struct weir_error why = WEIR_ERROR_INIT;
    put(&scene.store, "a", "1");
    scene_attach(&scene, "ledger", &ledger);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_rows_open(scene.host, "ledger", find, &question, &rows), 0);
    assert_int_equal(weir_rows_next(rows, &row), 1);
    assert_int_equal(weir_rows_next(rows, &row), WEIR_E_STATE);
    assert_int_equal(weir_rows_error(rows, &why), 0);
    assert_non_null(strstr(why.text, "ghost"));
    assert_non_null(strstr(why.text, "ledger"));
    assert_int_equal(weir_rows_next(rows, &row), 0);
    weir_rows_close(rows);
    question = (struct question){&ledger, NULL, -EBADMSG};
    assert_int_equal(weir_rows_open(scene.host, "ledger", find, &question, &rows), -EBADMSG);
    assert_int_equal(weir_rows_open(scene.host, "nobody", find, &question, &rows),
                     WEIR_E_NO_SYSTEM);
    assert_int_equal(weir_rows_open(scene.host, "ledger", NULL, NULL, &rows), -EINVAL);
    ledger.refuse = "b";
    put(&scene.store, "b", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_rows_open(scene.host, "ledger", find, &question, &rows), WEIR_E_PARKED);
    weir_rows_close(NULL);
    scene_free(&scene, &ledger);
}

#define MANY 200u

static bool is_in_second(unsigned n)
{
    return n % 70 < 3 || (n > 80 && n < 130);
}

static bool has_a_table(unsigned n)
{
    return n < 150 || n >= 160;
}

/* Rows of two tables by turns, a few and many at a time, and of each 41 one that is not there; and
 * some of a table that nobody has made. */
static int find_mixed(void *context, weir_rows_add_fn add, void *add_context)
{
    const weir_table *second = context;
    char key[16];
    int rc = 0;
    for (unsigned n = 0; n < MANY && rc == 0; n++) {
        (void)snprintf(key, sizeof key, "%s%u", n % 41 == 17 ? "ghost" : "key", n);
        weir_table table = is_in_second(n) ? *second : WEIR_TABLE_DEFAULT;
        rc = add(add_context, has_a_table(n) ? table : *second + 1, text(key), n);
    }
    return rc;
}

static void many_rows_of_two_tables_come_in_order_and_one_that_is_missing_costs_no_other(
    void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_rows *rows;
    struct weir_row row;
    weir_table second;
    char key[16], value[16];
    assert_int_equal(weir_table_open(scene.store.engine, "second", true, &second), 0);
    for (unsigned n = 0; n < MANY; n++) {
        (void)snprintf(key, sizeof key, "key%u", n);
        (void)snprintf(value, sizeof value, "value%u", n);
        put_in(&scene.store, is_in_second(n) ? second : WEIR_TABLE_DEFAULT, key, value);
        put_in(&scene.store, is_in_second(n) ? WEIR_TABLE_DEFAULT : second, key, "another");
    }
    scene_attach(&scene, "ledger", &ledger);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_rows_open(scene.host, "ledger", find_mixed, &second, &rows), 0);
    for (unsigned n = 0; n < MANY; n++) {
        int size = snprintf(value, sizeof value, "value%u", n);
        bool there = n % 41 != 17 && has_a_table(n);
        int missing = has_a_table(n) ? WEIR_E_STATE : WEIR_E_NO_TABLE;
        assert_int_equal(weir_rows_next(rows, &row), there ? 1 : missing);
        assert_int_equal((unsigned)weir_rows_score(rows), n);
        weir_table table = is_in_second(n) ? second : WEIR_TABLE_DEFAULT;
        assert_int_equal(weir_rows_table(rows), has_a_table(n) ? table : second + 1);
        assert_true(!there || (row.value.size == (size_t)size &&
                               memcmp(row.value.data, value, row.value.size) == 0));
    }
    assert_int_equal(weir_rows_next(rows, &row), 0);
    weir_rows_close(rows);
    scene_free(&scene, &ledger);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(ds_03_rebuild_clears_replays_and_reports),
        scene_test(a_rebuild_that_is_stopped_is_brought_to_its_end_by_the_next_delivery),
        scene_test(a_crash_while_rebuilding_does_not_bring_the_old_state_back),
        scene_test(a_rebuild_that_meets_an_event_that_is_refused_says_that_it_is_parked),
        scene_test(cd_10_the_slowest_consumer_keeps_compaction_off),
        scene_test(cd_10_one_that_is_cut_loose_is_told_that_its_position_is_lost),
        scene_test(one_that_loses_its_position_while_it_is_attached_is_parked_with_that),
        scene_test(what_began_behind_an_lsn_cannot_be_rebuilt_once_that_is_compacted),
        scene_test(half_of_the_state_it_begins_with_is_neither_read_nor_saved),
        scene_test(one_that_begins_behind_an_lsn_to_come_gets_nothing_before),
        scene_test(cd_10_one_that_has_lost_its_position_holds_nothing_when_it_is_saved),
        scene_test(cd_10_one_that_is_parked_after_it_was_cut_loose_is_still_shown_as_lost),
        scene_test(cd_10_one_that_begins_with_the_state_of_now_is_not_behind_all_that_was),
        scene_test(a_state_as_of_a_record_that_was_compacted_away_is_read_at_once),
        scene_test(a_view_of_an_engine_that_does_not_get_there_is_given_up),
        scene_test(ds_11_no_batch_is_cut_where_another_one_waits_for_an_lsn_to_come),
        scene_test(one_that_waits_for_an_lsn_to_come_is_attached_again_and_rebuilt),
        scene_test(one_whose_status_is_damaged_goes_on_and_cannot_be_rebuilt),
        scene_test(one_that_was_cut_loose_and_has_caught_up_holds_again),
        scene_test(one_that_is_unsaved_starts_from_what_is_saved_and_writes_nothing),
        scene_test(rows_are_as_of_the_position_of_the_system),
        scene_test(many_rows_of_two_tables_come_in_order_and_one_that_is_missing_costs_no_other),
        scene_test(a_key_that_is_not_there_is_an_error_and_never_a_row_less),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
