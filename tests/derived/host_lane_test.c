/*
 * Lanes: who begins where another one does, and who does not; what is applied meanwhile by a
 * thread beside. What lanes do in the middle of a state is seen from the inside of a host.
 */
#include "tests/derived/scene_test.h"

#include "base/thread.h"
#include "derived/host.h"

#include <errno.h>
#include <stdio.h>

#define ROWS 600u /* of a state: some turns of a lane */

static void put_rows(int number)
{
    char key[16], value[200];
    (void)snprintf(value, sizeof value, "%0180d", number); /* compaction counts segments */
    for (unsigned i = 0; i < ROWS; i++) {
        (void)snprintf(key, sizeof key, "k%03u", i);
        put(&scene.store, key, value);
    }
    settle(&scene.store);
}

static void attach(const char *name, struct ledger *ledger, enum weir_start start, weir_lsn lsn)
{
    assert_int_equal(scene_try_attach(&scene, name, ledger, start, lsn), 0);
}

/* All rows of the state once, and then so many events. */
static void expect_taken(const struct ledger *ledger, uint64_t states, uint64_t events)
{
    assert_int_equal(ledger->wrong, 0);
    assert_int_equal(ledger->states, states);
    assert_int_equal(ledger->events, states + events);
}

/* ---- the same state, or another ---- */

static void two_that_begin_with_the_same_state_take_it_together(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    put_rows(1);
    attach("one", &one, WEIR_START_SNAPSHOT, 0);
    attach("other", &other, WEIR_START_SNAPSHOT, 0);
    assert_null(scene.host->lanes->next);
    (void)scene_flush(&scene, NULL);
    expect_taken(&one, ROWS, 0);
    expect_taken(&other, ROWS, 0);
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

static void a_state_that_another_one_has_taken_a_part_of_is_begun_anew(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    put_rows(1);
    attach("one", &one, WEIR_START_SNAPSHOT, 0);
    host_gate_enter(&scene.host->delivery);
    assert_int_equal(host_lane_turn(scene.host->lanes, HOST_NO_LIMIT), 1);
    host_gate_leave(&scene.host->delivery);
    assert_true(scene.host->lanes->lending);
    assert_int_equal(one.states, HOST_BATCH);
    attach("other", &other, WEIR_START_SNAPSHOT, 0);
    (void)scene_flush(&scene, NULL);
    expect_taken(&one, ROWS, 0);
    expect_taken(&other, ROWS, 0);
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

static int stop(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    (void)context, (void)done_bytes, (void)all_bytes;
    return 1;
}

static void one_that_has_taken_a_part_of_a_state_does_not_join_who_begins_with_it(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    put_rows(1);
    attach("one", &one, WEIR_START_SNAPSHOT, 0);
    (void)scene_flush(&scene, NULL);
    attach("other", &other, WEIR_START_SNAPSHOT, 0);
    assert_int_equal(weir_host_rebuild(scene.host, "one", stop, NULL, NULL, NULL), -ECANCELED);
    assert_int_equal(one.states, HOST_BATCH);
    (void)scene_flush(&scene, NULL);
    expect_taken(&one, ROWS, 0);
    expect_taken(&other, ROWS, 0);
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

static void the_state_of_the_horizon_and_that_of_now_are_two(void **state)
{
    (void)state;
    for (int now_first = 0; now_first < 2; now_first++) {
        struct ledger all = {0}, now = {0};
        put_rows(1);
        put_rows(2);
        assert_true(scene_compact(&scene) > ROWS);
        put_rows(3);
        for (int i = 0; i < 2; i++) {
            if (i == now_first) {
                attach("all", &all, WEIR_START_BEGINNING, 0);
            } else {
                attach("now", &now, WEIR_START_SNAPSHOT, 0);
            }
        }
        (void)scene_flush(&scene, NULL);
        expect_taken(&all, ROWS, ROWS);
        expect_taken(&now, ROWS, 0);
        scene_free(&scene, &all);
        scene_free(&scene, &now);
        scene_close(&scene);
        scene_open(&scene);
    }
}

/* Both begin behind an LSN: one below the horizon, with its state, the other one above. */
static void who_begins_with_no_state_gets_none(void **state)
{
    (void)state;
    for (int high_first = 0; high_first < 2; high_first++) {
        struct ledger low = {0}, high = {.partial = true};
        put_rows(1);
        put_rows(2);
        weir_lsn horizon = scene_compact(&scene);
        assert_true(horizon > ROWS);
        put_rows(3);
        for (int i = 0; i < 2; i++) {
            if (i == high_first) {
                attach("low", &low, WEIR_START_BEHIND, 5);
            } else {
                attach("high", &high, WEIR_START_BEHIND, horizon + 10);
            }
        }
        (void)scene_flush(&scene, NULL);
        expect_taken(&low, ROWS, ROWS);
        expect_taken(&high, 0, weir_durable_lsn(scene.store.log) - horizon - 10);
        scene_free(&scene, &low);
        scene_free(&scene, &high);
        scene_close(&scene);
        scene_open(&scene);
    }
}

/* ---- where nothing was given yet ---- */

static void what_was_given_nothing_is_not_saved_and_begins_anew(void **state)
{
    (void)state;
    struct ledger late = {.partial = true};
    put(&scene.store, "a", "1");
    settle(&scene.store);
    attach("late", &late, WEIR_START_NOW, 0);
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(weir_host_detach(scene.host, "late"), 0);
    assert_int_equal(late.saves, 0);
    put(&scene.store, "b", "2");
    settle(&scene.store);
    attach("late", &late, WEIR_START_NOW, 0);
    assert_int_equal(late.loads, 0);
    (void)scene_flush(&scene, NULL);
    expect_ledger(&late, "b=2"); /* from where it began the first time */
    scene_free(&scene, &late);
}

/* ---- a thread beside ---- */

struct meanwhile {
    void (*act)(void);
    bool done;
};

static void act_once(void *context)
{
    struct meanwhile *meanwhile = context;
    meanwhile->act();
}

/* While the first event is applied, another thread comes and goes. */
static void let_come_and_go(void *context, const struct weir_event *event)
{
    struct meanwhile *meanwhile = context;
    struct base_thread thread;
    (void)event;
    if (!meanwhile->done) {
        meanwhile->done = true;
        if (base_thread_start(&thread, "beside", act_once, meanwhile) == 0) {
            base_thread_join(&thread);
        }
    }
}

static void put_c(void)
{
    (void)weir_put(scene.store.engine, WEIR_TABLE_DEFAULT, text("c"), text("3"), WEIR_EACH, NULL);
}

/* The write returns while the system is still on a lane of its own: who attaches delivers it. */
static void with_push_what_is_written_while_one_is_attached_is_delivered_to_it(void **state)
{
    (void)state;
    struct meanwhile meanwhile = {.act = put_c};
    struct ledger late = {.on_event = let_come_and_go, .context = &meanwhile};
    assert_int_equal(weir_host_push(scene.host, true), 0);
    put(&scene.store, "a", "1");
    settle(&scene.store);
    scene_attach(&scene, "late", &late);
    expect_ledger(&late, "a=1 c=3");
    assert_int_equal(weir_host_push(scene.host, false), 0);
    scene_free(&scene, &late);
}

static int compacted;

static void compact_all(void)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.thorough = true;
    compacted = weir_engine_compact(scene.store.engine, &options, &report, NULL);
}

static void a_verification_is_not_overtaken_by_a_compaction(void **state)
{
    (void)state;
    struct meanwhile meanwhile = {.act = compact_all};
    struct ledger live = {0}, fresh = {.on_event = let_come_and_go, .context = &meanwhile};
    struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
    put_rows(1);
    put_rows(2);
    put_rows(3);
    scene_attach(&scene, "live", &live);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(weir_host_verify(scene.host, "live", &fresh, NULL, NULL, &report, NULL), 0);
    assert_true(meanwhile.done);
    assert_int_equal(compacted, 0);
    assert_true(report.equal);
    assert_int_equal(report.events, 3 * ROWS);
    assert_int_equal(fresh.resets, 1);
    assert_true(scene_compact(&scene) > ROWS); /* then it goes on */
    scene_free(&scene, &live);
    scene_free(&scene, &fresh);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(two_that_begin_with_the_same_state_take_it_together),
        scene_test(a_state_that_another_one_has_taken_a_part_of_is_begun_anew),
        scene_test(one_that_has_taken_a_part_of_a_state_does_not_join_who_begins_with_it),
        scene_test(the_state_of_the_horizon_and_that_of_now_are_two),
        scene_test(who_begins_with_no_state_gets_none),
        scene_test(what_was_given_nothing_is_not_saved_and_begins_anew),
        scene_test(with_push_what_is_written_while_one_is_attached_is_delivered_to_it),
        scene_test(a_verification_is_not_overtaken_by_a_compaction),
#undef TEST
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
