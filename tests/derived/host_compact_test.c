/*
 * What compaction does to consumers, and they to it: they keep it off, are cut loose, lose their
 * position.
 */
#include "tests/derived/scene_test.h"

#include "derived/consumer.h"
#include "derived/host.h"
#include "engine/engine.h"

#include <errno.h>

#include <weir/consumer.h>

/* It is cut loose soon. */
static struct weir_system impatient(const char *name, struct ledger *ledger)
{
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = name;
    system.ops = &ledger_ops;
    system.self = ledger;
    system.max_lag_bytes = 1000;
    return system;
}

static void cd_10_the_slowest_consumer_keeps_compaction_off(void **state)
{
    (void)state;
    struct ledger slow = {0}, fast = {0};
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    scene_attach(&scene, "slow", &slow);
    weir_lsn middle = scene_churn(&scene, 500, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_detach(scene.host, "slow"), 0);
    scene_attach(&scene, "fast", &fast);
    scene_churn(&scene, 2000, 'y');
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
    struct weir_system system = impatient("slow", &slow);
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    scene_churn(&scene, 500, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_detach(scene.host, "slow"), 0);
    scene_churn(&scene, 2000, 'y');
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

static void cd_10_one_that_has_lost_its_position_holds_nothing_when_it_is_saved(void **state)
{
    (void)state;
    struct ledger slow = {0};
    struct weir_system system = impatient("slow", &slow);
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    scene_churn(&scene, 500, 'x');
    (void)scene_flush(&scene, NULL); /* not saved */
    scene_churn(&scene, 2000, 'y');
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
    struct weir_system system = impatient("ledger", &ledger);
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    scene_churn(&scene, 500, 'x');
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
    weir_lsn last = scene_churn(&scene, 500, 'x');
    struct weir_system system = impatient("ledger", &ledger);
    system.start = WEIR_START_SNAPSHOT;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    assert_int_equal(weir_consumer_cut(scene.store.log, NULL, NULL), 0);
    assert_int_equal(scene_hold(&scene, "ledger"), last + 1);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    scene_free(&scene, &ledger);
}

static void one_that_was_cut_loose_and_has_caught_up_holds_again(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_system system = impatient("ledger", &ledger);
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
    weir_lsn last = scene_churn(&scene, 1000, 'x');
    assert_int_equal(weir_consumer_cut(scene.store.log, NULL, NULL), 0);
    assert_int_equal(scene_hold(&scene, "ledger"), 0);
    (void)scene_flush(&scene, NULL); /* nothing was compacted meanwhile */
    assert_int_equal(ledger.events, 1000);
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(scene_hold(&scene, "ledger"), last + 1);
    scene_free(&scene, &ledger);
}

static void one_that_loses_its_position_while_it_is_attached_is_parked_with_that(void **state)
{
    (void)state;
    struct ledger slow = {0};
    scene_attach(&scene, "slow", &slow);
    scene_churn(&scene, 500, 'x');
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    scene_churn(&scene, 2000, 'y');
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
    scene_churn(&scene, 100, 'x');
    weir_lsn last = save_at_the_end_of_a_segment(&ledger);
    scene_churn(&scene, 1000, 'y');
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(cd_10_the_slowest_consumer_keeps_compaction_off),
        scene_test(cd_10_one_that_is_cut_loose_is_told_that_its_position_is_lost),
        scene_test(cd_10_one_that_has_lost_its_position_holds_nothing_when_it_is_saved),
        scene_test(cd_10_one_that_is_parked_after_it_was_cut_loose_is_still_shown_as_lost),
        scene_test(cd_10_one_that_begins_with_the_state_of_now_is_not_behind_all_that_was),
        scene_test(one_that_was_cut_loose_and_has_caught_up_holds_again),
        scene_test(one_that_loses_its_position_while_it_is_attached_is_parked_with_that),
        scene_test(a_state_as_of_a_record_that_was_compacted_away_is_read_at_once),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
