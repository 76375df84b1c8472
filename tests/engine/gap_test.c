/*
 * The engine over a log that a salvage made with gaps: refused, accepted, and then used as any
 * other. The model is a fold over the records that are left.
 */
#include "gap_support.h"

#include "base/random.h"

#include <errno.h>
#include <stdio.h>

static void a_log_with_gaps_is_refused_until_somebody_accepts_them(void **state)
{
    (void)state;
    struct store store;
    gap_make_rotten(&store);
    gap_expect_refused(&store, 3, 7);
    gap_expect_refused(&store, 3, 7);
    gap_open_with(&store, ACCEPT);
    struct weir_engine_open_report report = gap_report_of(&store);
    assert_int_equal(report.gap_lsns, 2);
    assert_int_equal(report.gaps, 2);
    assert_int_equal(report.gap_from, 3);
    assert_int_equal(report.gap_to, 7);
    assert_int_equal(report.gap_horizon, 7);
    assert_int_equal(report.applied, 10); /* the acceptance */
    expect(&store, "a", "a-three!", 5);
    expect(&store, "d", NULL, 0);
    expect_scan(&store, UINT64_MAX, NULL, "a=a-three! b=b-three! c=c-one! e=e-one!");
    store_stop(&store);
    gap_open_with(&store, 0); /* for good */
    assert_int_equal(weir_durable_lsn(store.log), 10);
    report = gap_report_of(&store);
    assert_int_equal(report.gap_lsns, 2);
    assert_int_equal(report.gap_horizon, 7);
    store_close(&store);
}

static void without_gaps_the_flag_writes_nothing(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    settle(&store);
    store_stop(&store);
    gap_open_with(&store, ACCEPT);
    assert_int_equal(weir_durable_lsn(store.log), 1);
    assert_int_equal(gap_report_of(&store).gap_lsns, 0);
    assert_int_equal(gap_report_of(&store).gap_horizon, 0);
    expect_history(&store, "a", "1:1");
    store_close(&store);
}

static void history_is_complete_above_the_last_gap_and_refused_below(void **state)
{
    (void)state;
    struct store store;
    gap_make_rotten(&store);
    gap_open_with(&store, ACCEPT);
    for (weir_lsn lsn = 1; lsn < 7; lsn++) {
        assert_int_equal(gap_begin_as_of(&store, lsn), WEIR_E_HORIZON);
    }
    expect_as_of(&store, 7, "b", "b-two!");
    expect_as_of(&store, 8, "b", "b-three!");
    expect_as_of(&store, 8, "e", NULL);
    expect_history(&store, "b", "8:b-three! 4:b-two!");
    expect_history(&store, "a", "5:a-three!");
    put(&store, "d", "d-new!");
    expect_history(&store, "d", "11:d-new!");
    store_close(&store);
}

/* 3 rots; 5 is the update whose version before that was: the link is not known, and no damage. */
static void a_link_that_leads_into_a_gap_moves_the_horizon_up(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "a-one!");
    put(&store, "b", "b-one!");
    put(&store, "a", "a-two!");
    put(&store, "b", "b-two!");
    put(&store, "a", "a-three!");
    put(&store, "b", "b-three!");
    settle(&store);
    store_stop(&store);
    rot(&store, "a-two!");
    assert_int_equal(gap_salvage(&store), 1);
    gap_open_with(&store, ACCEPT);
    assert_int_equal(gap_report_of(&store).gap_horizon, 5);
    assert_int_equal(gap_begin_as_of(&store, 4), WEIR_E_HORIZON);
    expect_as_of(&store, 5, "a", "a-three!");
    expect_as_of(&store, 5, "b", "b-two!");
    expect_history(&store, "a", "5:a-three!");
    expect_history(&store, "b", "6:b-three! 4:b-two!");
    store_close(&store);
}

/* 2 lies between two gaps, and is there: that it is no version of "x" is no gap's doing. */
static void a_link_to_what_is_no_version_of_its_key_is_damage_and_no_link_into_a_gap(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    store_open(&store);
    store.engine_options.checkpoint_bytes = UINT64_MAX;
    put(&store, "a", "a-one!");
    put(&store, "b", "b-one!");
    put(&store, "c", "c-one!");
    put(&store, "c", "c-two!");
    weir_lsn lsn = gap_append_update(&store, 'x', 2);
    put(&store, "c", "c-three!");
    settle(&store);
    store_stop(&store);
    rot(&store, "a-one!");
    rot(&store, "c-one!");
    assert_int_equal(gap_salvage(&store), 2);
    gap_expect_refused(&store, 1, 3);
    assert_int_equal(gap_try_to_open(&store, ACCEPT, &why), WEIR_E_DAMAGED);
    assert_int_equal(why.from_lsn, lsn);
    gap_expect_refused(&store, 1, 3); /* nothing was accepted */
    store.keeper->ops->destroy(store.keeper);
}

static void a_key_whose_newest_version_was_lost_shows_the_one_before(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "a-one!");
    put(&store, "a", "a-two!");
    put(&store, "b", "b-one!");
    settle(&store);
    store_stop(&store);
    rot(&store, "a-two!");
    assert_int_equal(gap_salvage(&store), 1);
    gap_open_with(&store, ACCEPT);
    expect(&store, "a", "a-one!", 1);
    weir_lsn lsn = put(&store, "a", "a-new!");
    settle(&store);
    expect_as_of(&store, lsn - 1, "a", "a-one!");
    char versions[64];
    (void)snprintf(versions, sizeof versions, "%lu:a-new! 1:a-one!", (unsigned long)lsn);
    expect_history(&store, "a", versions);
    store_close(&store);
}

static void a_table_whose_name_was_lost_has_another(void **state)
{
    (void)state;
    struct store store;
    weir_table fruit, taken, found;
    struct weir_row row;
    struct weir_read read;
    store_open(&store);
    assert_int_equal(weir_table_open(store.engine, "fruit-of-the-season", true, &fruit), 0);
    assert_int_equal(weir_table_open(store.engine, "lost-1", true, &taken), 0);
    put_in(&store, fruit, "apple", "green");
    put_in(&store, taken, "apple", "red");
    settle(&store);
    store_stop(&store);
    rot(&store, "fruit-of-the-season");
    assert_int_equal(gap_salvage(&store), 1);
    gap_open_with(&store, ACCEPT);
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(weir_table_open(store.engine, "fruit-of-the-season", false, &found),
                         WEIR_E_NO_TABLE);
        assert_int_equal(weir_table_open(store.engine, "lost-1", false, &found), 0);
        assert_int_equal(found, taken);
        assert_int_equal(weir_table_open(store.engine, "lost-1-2", true, &found), 0);
        assert_int_equal(found, fruit);
        assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
        assert_int_equal(weir_get(&read, fruit, text("apple"), &row), 1);
        assert_memory_equal(row.value.data, "green", 5);
        weir_read_end(&read);
        if (turn == 1) {
            gap_checkpoint(&store);
        }
        store_stop(&store);
        gap_open_with(&store, 0);
    }
    assert_true(gap_report_of(&store).from_checkpoint);
    assert_int_equal(weir_table_open(store.engine, "next", true, &found), 0);
    assert_int_equal(found, 3);
    store_close(&store);
}

static void a_reader_accepts_for_itself_and_learns_what_a_writer_has_accepted(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct weir_engine_options how = WEIR_ENGINE_OPTIONS_INIT;
    gap_make_rotten(&store);
    struct weir_log_options options = gap_options_on(store.keeper);
    options.flags = WEIR_LOG_READ_ONLY;
    how.index_bytes = STORE_INDEX;
    assert_int_equal(weir_log_open("memory", &options, &beside.log, NULL), 0);
    assert_int_equal(weir_engine_open(beside.log, &how, &beside.engine, NULL), WEIR_E_GAP);
    how.flags = ACCEPT;
    assert_int_equal(weir_engine_open(beside.log, &how, &beside.engine, NULL), 0);
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    assert_int_equal(weir_engine_stat(beside.engine, &status), 0);
    assert_int_equal(status.horizon, 7);
    store_close_beside(&beside);
    gap_expect_refused(&store, 3, 7); /* it has stored nothing */
    gap_open_with(&store, ACCEPT);
    put(&store, "a", "a-four!");
    settle(&store);
    store_open_beside(&store, &beside);
    assert_int_equal(weir_engine_stat(beside.engine, &status), 0);
    assert_int_equal(status.horizon, 7);
    store_close_beside(&beside);
    store_close(&store);
}

static int events_of(struct store *store, enum weir_changes_from from, weir_lsn lsn, char *out)
{
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    struct weir_changes *changes;
    struct weir_event event;
    options.from = from;
    options.lsn = lsn;
    out[0] = '\0';
    int rc = weir_changes_open(store->engine, &options, &changes);
    if (rc < 0) {
        return rc;
    }
    while ((rc = weir_changes_next(changes, &event, 1)) == 1) {
        (void)sprintf(out + strlen(out), "%s%lu:%.*s<%.*s%s", out[0] != '\0' ? " " : "",
                      (unsigned long)event.lsn, (int)event.after.size,
                      (const char *)event.after.data, (int)event.before.size,
                      event.before.size > 0 ? (const char *)event.before.data : "",
                      event.state ? "*" : "");
    }
    weir_changes_close(changes);
    return rc;
}

static void a_stream_from_before_a_gap_begins_with_the_state_or_is_lost(void **state)
{
    (void)state;
    static const char all[] = "5:a-three!<* 4:b-two!<* 6:c-one!<* 8:b-three!<b-two! 9:e-one!<";
    struct store store;
    char events[512];
    gap_make_rotten(&store);
    gap_open_with(&store, ACCEPT);
    assert_int_equal(events_of(&store, WEIR_CHANGES_BEGINNING, 0, events), 0);
    assert_string_equal(events, all);
    assert_int_equal(events_of(&store, WEIR_CHANGES_BEHIND, 2, events), 0);
    assert_string_equal(events, all);
    assert_int_equal(events_of(&store, WEIR_CHANGES_BEHIND, 7, events), 0);
    assert_string_equal(events, "8:b-three!<b-two! 9:e-one!<");
    assert_int_equal(events_of(&store, WEIR_CHANGES_SNAPSHOT, 0, events), 0);
    assert_string_equal(events, "5:a-three!<* 8:b-three!<* 6:c-one!<* 9:e-one!<*");
    for (weir_lsn lsn = 0; lsn < 7; lsn++) {
        assert_int_equal(events_of(&store, WEIR_CHANGES_RESUME, lsn, events), WEIR_E_POSITION_LOST);
    }
    assert_int_equal(events_of(&store, WEIR_CHANGES_RESUME, 8, events), 0);
    assert_string_equal(events, "9:e-one!<");
    store_close(&store);
}

/* ---- random logs against a fold over what is left ---- */

#define KEYS 12u
#define RECORDS 400u

struct step {
    unsigned key;
    bool deleted, lost;
};

struct model {
    struct step steps[RECORDS + 1];
    weir_lsn lsns;
};

static weir_lsn newest(const struct model *model, unsigned key, weir_lsn as_of)
{
    weir_lsn found = 0;
    for (weir_lsn lsn = 1; lsn <= as_of && lsn <= model->lsns; lsn++) {
        if (model->steps[lsn].key == key && !model->steps[lsn].lost) {
            found = lsn;
        }
    }
    return found;
}

static void expect_model(struct store *store, const struct model *model, weir_lsn as_of)
{
    for (unsigned key = 0; key < KEYS; key++) {
        char name[16], value[32];
        weir_lsn lsn = newest(model, key, as_of);
        (void)snprintf(name, sizeof name, "key%u", key);
        (void)snprintf(value, sizeof value, "value-%lu!", (unsigned long)lsn);
        bool there = lsn > 0 && !model->steps[lsn].deleted;
        expect_as_of(store, as_of, name, there ? value : NULL);
    }
}

static void random_damage_against_a_fold_over_what_is_left(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        static struct model model;
        struct base_prng prng;
        struct store store;
        char name[16], value[32];
        unsigned lost = 0;
        base_prng_seed(&prng, 500 + seed);
        memset(&model, 0, sizeof model);
        store_open(&store);
        while (model.lsns < RECORDS) {
            struct step *step = &model.steps[model.lsns + 1];
            step->key = (unsigned)base_prng_below(&prng, KEYS);
            (void)snprintf(name, sizeof name, "key%u", step->key);
            (void)snprintf(value, sizeof value, "value-%lu!", (unsigned long)model.lsns + 1);
            step->deleted = base_prng_below(&prng, 6) == 0 &&
                            newest(&model, step->key, model.lsns) > 0 &&
                            !model.steps[newest(&model, step->key, model.lsns)].deleted;
            model.lsns = step->deleted ? erase(&store, name) : put(&store, name, value);
        }
        settle(&store);
        store_stop(&store);
        for (weir_lsn lsn = 1; lsn <= RECORDS; lsn++) {
            if (!model.steps[lsn].deleted && base_prng_below(&prng, 60) == 0) {
                (void)snprintf(value, sizeof value, "value-%lu!", (unsigned long)lsn);
                rot(&store, value);
                model.steps[lsn].lost = true;
                lost++;
            }
        }
        assert_int_equal(gap_salvage(&store), lost);
        store.engine_options.threads = (uint32_t)(1 + seed % 4);
        gap_open_with(&store, ACCEPT);
        weir_lsn horizon = gap_report_of(&store).gap_horizon;
        assert_int_equal(gap_report_of(&store).gap_lsns, lost);
        for (weir_lsn lsn = horizon; lsn <= RECORDS; lsn++) {
            expect_model(&store, &model, lsn);
        }
        assert_true(horizon == 0 || gap_begin_as_of(&store, horizon - 1) == WEIR_E_HORIZON);
        store_close(&store);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_with_gaps_is_refused_until_somebody_accepts_them),
        cmocka_unit_test(without_gaps_the_flag_writes_nothing),
        cmocka_unit_test(history_is_complete_above_the_last_gap_and_refused_below),
        cmocka_unit_test(a_link_that_leads_into_a_gap_moves_the_horizon_up),
        cmocka_unit_test(a_link_to_what_is_no_version_of_its_key_is_damage_and_no_link_into_a_gap),
        cmocka_unit_test(a_key_whose_newest_version_was_lost_shows_the_one_before),
        cmocka_unit_test(a_table_whose_name_was_lost_has_another),
        cmocka_unit_test(a_reader_accepts_for_itself_and_learns_what_a_writer_has_accepted),
        cmocka_unit_test(a_stream_from_before_a_gap_begins_with_the_state_or_is_lost),
        cmocka_unit_test(random_damage_against_a_fold_over_what_is_left),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
