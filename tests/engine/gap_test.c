/*
 * The engine over a log that a salvage made with gaps: refused, accepted, and then used as any
 * other. Records are damaged one by one, by a bit of their values; the model is a fold over those
 * that are left.
 */
#include "store.h"

#include "base/crc32c.h"
#include "base/random.h"
#include "engine/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ACCEPT WEIR_ENGINE_ACCEPT_GAPS

/* ---- rot, and salvage ---- */

static struct weir_log_options options_on(struct weir_medium *keeper)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct sim_memory_options disk = {.disk = sim_memory_disk(keeper)};
    options.lock_wait_ns = WEIR_NO_WAIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&disk, &options.custom_medium), 0);
    return options;
}

/* The store, which is stopped, goes on with the disk of a log that was made of its own. */
static void move_to(struct store *store, struct weir_medium *keeper)
{
    store->keeper->ops->destroy(store->keeper);
    store->keeper = keeper;
    store->disk.disk = sim_memory_disk(keeper);
}

/* Returns how many LSNs are missing. */
static uint64_t salvage(struct store *store)
{
    struct weir_medium *keeper;
    struct sim_memory_options disk = {0};
    struct weir_salvage_report report = WEIR_SALVAGE_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(sim_memory_open(&disk, &keeper), 0);
    struct weir_log_options from = options_on(store->keeper), to = options_on(keeper);
    if (weir_salvage("memory", &from, "target", &to, NULL, &report, &why) < 0) {
        fail_msg("%s", why.text);
    }
    move_to(store, keeper);
    return report.gap_lsns;
}

/* ---- opening ---- */

static int try_to_open(struct store *store, uint32_t flags, struct weir_error *ret_why)
{
    struct weir_log_options options = options_on(store->keeper);
    struct weir_engine_options how = store->engine_options;
    *ret_why = (struct weir_error)WEIR_ERROR_INIT;
    how.flags = flags;
    assert_int_equal(weir_log_open("memory", &options, &store->log, ret_why), 0);
    int rc = weir_engine_open(store->log, &how, &store->engine, ret_why);
    if (rc < 0) {
        assert_int_equal(weir_log_close(store->log), 0);
    }
    return rc;
}

static void open_with(struct store *store, uint32_t flags)
{
    struct weir_error why;
    int rc = try_to_open(store, flags, &why);
    if (rc < 0) {
        fail_msg("%d %s", rc, why.text);
    }
}

static void expect_refused(struct store *store, weir_lsn from, weir_lsn to)
{
    struct weir_error why;
    assert_int_equal(try_to_open(store, 0, &why), WEIR_E_GAP);
    assert_non_null(strstr(why.text, "--accept-gaps"));
    assert_non_null(strstr(why.text, "WEIR_ENGINE_ACCEPT_GAPS"));
    assert_int_equal(why.from_lsn, from);
    assert_int_equal(why.to_lsn, to);
}

static struct weir_engine_open_report report_of(struct store *store)
{
    struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
    assert_int_equal(weir_engine_report(store->engine, &report), 0);
    return report;
}

static int begin_as_of(struct store *store, weir_lsn lsn)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_read read;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = lsn;
    int rc = weir_read_begin(store->engine, &options, &read);
    if (rc == 0) {
        weir_read_end(&read);
    }
    return rc;
}

static void checkpoint(struct store *store)
{
    assert_int_equal(weir_engine_checkpoint(store->engine, NULL, NULL), 0);
}

/* 1 a=a-one  2 b=b-one  3 a=a-two (rots)  4 b deleted by nobody: b=b-two  5 a=a-three  6 c=c-one
 * 7 d=d-one (rots)  8 b=b-three  9 e=e-one */
static void open_rotten(struct store *store)
{
    store_open(store);
    store->engine_options.checkpoint_bytes = UINT64_MAX;
    put(store, "a", "a-one!");
    put(store, "b", "b-one!");
    put(store, "a", "a-two!");
    put(store, "b", "b-two!");
    put(store, "a", "a-three!");
    put(store, "c", "c-one!");
    put(store, "d", "d-one!");
    put(store, "b", "b-three!");
    put(store, "e", "e-one!");
    settle(store);
    checkpoint(store);
    store_stop(store);
    rot(store, "a-two!");
    rot(store, "d-one!");
    assert_int_equal(salvage(store), 2);
}

/* ---- tests ---- */

static void a_log_with_gaps_is_refused_until_somebody_accepts_them(void **state)
{
    (void)state;
    struct store store;
    open_rotten(&store);
    expect_refused(&store, 3, 7);
    expect_refused(&store, 3, 7);
    open_with(&store, ACCEPT);
    struct weir_engine_open_report report = report_of(&store);
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
    open_with(&store, 0); /* for good */
    assert_int_equal(weir_durable_lsn(store.log), 10);
    report = report_of(&store);
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
    open_with(&store, ACCEPT);
    assert_int_equal(weir_durable_lsn(store.log), 1);
    assert_int_equal(report_of(&store).gap_lsns, 0);
    assert_int_equal(report_of(&store).gap_horizon, 0);
    expect_history(&store, "a", "1:1");
    store_close(&store);
}

static void history_is_complete_above_the_last_gap_and_refused_below(void **state)
{
    (void)state;
    struct store store;
    open_rotten(&store);
    open_with(&store, ACCEPT);
    for (weir_lsn lsn = 1; lsn < 7; lsn++) {
        assert_int_equal(begin_as_of(&store, lsn), WEIR_E_HORIZON);
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
    assert_int_equal(salvage(&store), 1);
    open_with(&store, ACCEPT);
    assert_int_equal(report_of(&store).gap_horizon, 5);
    assert_int_equal(begin_as_of(&store, 4), WEIR_E_HORIZON);
    expect_as_of(&store, 5, "a", "a-three!");
    expect_as_of(&store, 5, "b", "b-two!");
    expect_history(&store, "a", "5:a-three!");
    expect_history(&store, "b", "6:b-three! 4:b-two!");
    store_close(&store);
}

static weir_lsn append_update(struct store *store, char key, weir_lsn previous)
{
    struct record_head head;
    uint8_t payload[RECORD_HEAD_BYTES_MAX + 1];
    const struct engine_version before = {.lsn = previous};
    record_build(&head, WEIR_UPDATE, WEIR_TABLE_DEFAULT, 1, &before);
    memcpy(payload, head.bytes, head.size);
    payload[head.size] = (uint8_t)key;
    return append_record(store, WEIR_TYPE_CHANGE, payload, head.size + 1);
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
    weir_lsn lsn = append_update(&store, 'x', 2);
    put(&store, "c", "c-three!");
    settle(&store);
    store_stop(&store);
    rot(&store, "a-one!");
    rot(&store, "c-one!");
    assert_int_equal(salvage(&store), 2);
    expect_refused(&store, 1, 3);
    assert_int_equal(try_to_open(&store, ACCEPT, &why), WEIR_E_DAMAGED);
    assert_int_equal(why.from_lsn, lsn);
    expect_refused(&store, 1, 3); /* nothing was accepted */
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
    assert_int_equal(salvage(&store), 1);
    open_with(&store, ACCEPT);
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
    assert_int_equal(salvage(&store), 1);
    open_with(&store, ACCEPT);
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
            checkpoint(&store);
        }
        store_stop(&store);
        open_with(&store, 0);
    }
    assert_true(report_of(&store).from_checkpoint);
    assert_int_equal(weir_table_open(store.engine, "next", true, &found), 0);
    assert_int_equal(found, 3);
    store_close(&store);
}

static void checkpoints_know_of_gaps(void **state)
{
    (void)state;
    struct store store;
    open_rotten(&store);
    open_with(&store, ACCEPT);
    put(&store, "a", "a-four!");
    settle(&store);
    checkpoint(&store);
    store_stop(&store);
    open_with(&store, 0);
    struct weir_engine_open_report report = report_of(&store);
    assert_true(report.from_checkpoint);
    assert_int_equal(report.gap_lsns, 2);
    assert_int_equal(report.gaps, 2);
    assert_int_equal(report.gap_from, 3);
    assert_int_equal(report.gap_to, 7);
    assert_int_equal(report.gap_horizon, 7);
    assert_int_equal(begin_as_of(&store, 6), WEIR_E_HORIZON);
    expect_as_of(&store, 9, "a", "a-three!");
    struct fingerprint whole = fingerprint_of(&store, 0);
    store_stop(&store);
    open_with(&store, WEIR_ENGINE_NO_CHECKPOINT);
    expect_fingerprint(&store, 0, &whole);
    for (int i = 0; i < 200100; i++) { /* a long rest, which says nothing of gaps, is rebuilt */
        put(&store, "a", "a-five!");
    }
    settle(&store);
    store_stop(&store);
    open_with(&store, 0);
    assert_true(report_of(&store).from_checkpoint);
    assert_int_equal(report_of(&store).gap_horizon, 7);
    store_close(&store);
}

/* Threads share the log: who comes past the acceptance is not who comes last. */
static void what_was_accepted_long_ago_is_known_to_a_rebuild_by_threads(void **state)
{
    (void)state;
    struct store store;
    char key[16];
    open_rotten(&store);
    open_with(&store, ACCEPT);
    for (unsigned i = 0; i < 40000; i++) {
        (void)snprintf(key, sizeof key, "k%u", i % 5000);
        put(&store, key, "some value of some bytes");
    }
    settle(&store);
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        store_stop(&store);
        store.engine_options.threads = threads;
        open_with(&store, WEIR_ENGINE_NO_CHECKPOINT);
        assert_int_equal(report_of(&store).gap_lsns, 2);
        assert_int_equal(report_of(&store).gap_horizon, 7);
    }
    assert_true(report_of(&store).threads > 1);
    store_close(&store);
}

/* Earlier builds know nothing of gaps. One that used a checkpoint of ours would open what it has to
 * refuse, and what it would write then has no horizon. */
static void no_build_uses_the_checkpoint_of_one_that_knows_nothing_of_gaps(void **state)
{
    (void)state;
    struct store store;
    uint64_t size;
    open_rotten(&store);
    open_with(&store, ACCEPT);
    checkpoint(&store);
    store_stop(&store);
    uint8_t *bytes = sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size);
    assert_non_null(bytes);
    struct checkpoint_head *head = (struct checkpoint_head *)(void *)bytes;
    assert_int_equal(le32_load(&head->version), 2);
    size_t start = offsetof(struct checkpoint_head, version);
    size_t known = offsetof(struct checkpoint_head, gap_horizon);
    le32_store(&head->version, 1);
    memset(bytes + known, 0, CHECKPOINT_BLOCK - known);
    le32_store(&head->crc, base_crc32c(0, bytes + start, CHECKPOINT_BLOCK - start));
    open_with(&store, 0);
    struct weir_engine_open_report report = report_of(&store);
    assert_false(report.from_checkpoint);
    assert_non_null(strstr(report.reason, "another version"));
    assert_int_equal(report.gap_horizon, 7);
    assert_int_equal(begin_as_of(&store, 6), WEIR_E_HORIZON);
    store_close(&store);
}

static void a_reader_accepts_for_itself_and_learns_what_a_writer_has_accepted(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct weir_engine_options how = WEIR_ENGINE_OPTIONS_INIT;
    open_rotten(&store);
    struct weir_log_options options = options_on(store.keeper);
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
    expect_refused(&store, 3, 7); /* it has stored nothing */
    open_with(&store, ACCEPT);
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
    open_rotten(&store);
    open_with(&store, ACCEPT);
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

/* What was accepted is that much, and no more. */
static void another_salvage_that_lost_more_is_refused_again(void **state)
{
    (void)state;
    struct store store;
    open_rotten(&store);
    open_with(&store, ACCEPT);
    put(&store, "f", "f-one!");
    settle(&store);
    store_stop(&store);
    assert_int_equal(salvage(&store), 0); /* with no new damage: as accepted */
    open_with(&store, 0);
    store_stop(&store);
    rot(&store, "b-two!"); /* in front of the acceptance */
    assert_int_equal(salvage(&store), 1);
    expect_refused(&store, 3, 7);
    open_with(&store, ACCEPT);
    assert_int_equal(report_of(&store).gap_lsns, 3);
    assert_int_equal(report_of(&store).gaps, 2);        /* 3 and 4 are neighbours */
    assert_int_equal(report_of(&store).gap_horizon, 8); /* 8 names 4 as the one before */
    expect_history(&store, "b", "8:b-three!");
    store_stop(&store);
    open_with(&store, 0);
    store_close(&store);
}

static int stop_at_once(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    (void)context, (void)done_bytes, (void)all_bytes;
    return 1;
}

static void a_backup_and_a_compaction_keep_what_was_accepted(void **state)
{
    (void)state;
    struct store store;
    struct weir_medium *keeper;
    struct sim_memory_options disk = {0};
    struct weir_compact_options compact = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report compacted = WEIR_COMPACT_REPORT_INIT;
    char key[16], value[600];
    open_rotten(&store);
    open_with(&store, ACCEPT);
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (unsigned i = 0; i < 4000; i++) {
        (void)snprintf(key, sizeof key, "k%u", i % 50);
        put(&store, key, value);
    }
    assert_int_equal(weir_delete(store.engine, WEIR_TABLE_DEFAULT, text("c"), WEIR_EACH, NULL), 0);
    struct fingerprint before = fingerprint_of(&store, 0);
    compact.horizon = 3; /* below that of the gaps: nothing is to be gained */
    assert_int_equal(weir_engine_compact(store.engine, &compact, &compacted, NULL), 0);
    assert_int_equal(compacted.steps, 0);
    assert_int_equal(compacted.horizon, 7);
    compact.horizon = 0;
    compact.progress = stop_at_once;
    assert_int_equal(weir_engine_compact(store.engine, &compact, &compacted, NULL), -ECANCELED);
    assert_int_equal(begin_as_of(&store, 6), WEIR_E_HORIZON);
    compact.progress = NULL;
    compact.thorough = true;
    assert_int_equal(weir_engine_compact(store.engine, &compact, &compacted, NULL), 0);
    assert_true(compacted.steps > 0);
    expect_fingerprint(&store, 0, &before);
    store_stop(&store);
    open_with(&store, WEIR_ENGINE_NO_CHECKPOINT);
    expect_fingerprint(&store, 0, &before);
    assert_int_equal(report_of(&store).gap_lsns, 2);
    assert_int_equal(sim_memory_open(&disk, &keeper), 0);
    struct weir_backup_options backup = WEIR_BACKUP_OPTIONS_INIT;
    struct weir_backup_report copied = WEIR_BACKUP_REPORT_INIT;
    struct weir_log_options to = options_on(keeper);
    backup.target = &to;
    assert_int_equal(weir_log_backup(store.log, "target", &backup, &copied, NULL), 0);
    store_stop(&store);
    move_to(&store, keeper);
    open_with(&store, 0);
    expect_fingerprint(&store, 0, &before);
    assert_int_equal(report_of(&store).gap_lsns, 2);
    store_close(&store);
}

/* Behind the last gap the horizon is looked for in what compaction has left there. */
static void gaps_below_the_horizon_of_compaction_are_accepted_as_others_are(void **state)
{
    (void)state;
    struct store store;
    struct weir_compact_options compact = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report compacted = WEIR_COMPACT_REPORT_INIT;
    char key[16], value[600];
    store_open(&store);
    store.engine_options.checkpoint_bytes = UINT64_MAX;
    weir_lsn lost = put(&store, "a", "a-only!");
    put(&store, "b", "b-only!");
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (unsigned i = 0; i < 4000; i++) {
        (void)snprintf(key, sizeof key, "k%u", i % 50);
        put(&store, key, value);
    }
    compact.thorough = true;
    assert_int_equal(weir_engine_compact(store.engine, &compact, &compacted, NULL), 0);
    assert_true(compacted.steps > 0);
    assert_true(compacted.horizon > lost + 1);
    store_stop(&store);
    rot(&store, "a-only!");
    assert_int_equal(salvage(&store), 1);
    expect_refused(&store, lost, lost);
    open_with(&store, ACCEPT);
    assert_int_equal(report_of(&store).gap_horizon, lost);
    assert_int_equal(begin_as_of(&store, compacted.horizon - 1), WEIR_E_HORIZON);
    expect(&store, "a", NULL, 0);
    expect(&store, "b", "b-only!", lost + 1);
    expect_as_of(&store, compacted.horizon, "b", "b-only!");
    store_stop(&store);
    open_with(&store, 0);
    store_close(&store);
}

struct dying {
    uint64_t calls, last; /* 0: lives on */
};

static int die_after(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    struct dying *dying = context;
    (void)call, (void)name, (void)offset, (void)size;
    return dying->last > 0 && ++dying->calls > dying->last ? -EIO : 0;
}

/* Opens on a disk whose machine stops behind so many calls of the medium. Returns what is left. */
static struct weir_medium *stop_while_opening(struct weir_medium *disk, uint64_t calls, int *ret_rc)
{
    struct dying dying = {0};
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_engine_options how = WEIR_ENGINE_OPTIONS_INIT;
    struct sim_memory_options medium = {.disk = sim_memory_disk(disk),
                                        .faults = {die_after, &dying}};
    struct weir_log *log;
    struct weir_engine *engine = NULL;
    struct weir_medium *left;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&medium, &options.custom_medium), 0);
    assert_int_equal(weir_log_open("memory", &options, &log, NULL), 0);
    how.flags = ACCEPT;
    how.index_bytes = STORE_INDEX;
    how.checkpoint_bytes = UINT64_MAX;
    dying.last = calls;
    *ret_rc = weir_engine_open(log, &how, &engine, NULL);
    assert_int_equal(sim_memory_crash(disk, NULL, NULL, &left), 0);
    assert_int_equal(weir_engine_close(engine), 0);
    (void)weir_log_close(log);
    return left;
}

/* Refused as before, or accepted for good; and what was reported as accepted is. */
static void a_power_cut_while_gaps_are_accepted_leaves_one_or_the_other(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    unsigned refused = 0, accepted = 0;
    open_rotten(&store);
    for (uint64_t calls = 1; accepted < 3; calls++) {
        struct weir_medium *copy;
        int rc;
        assert_int_equal(sim_memory_copy(store.keeper, &copy), 0);
        struct store after = {.keeper = stop_while_opening(copy, calls, &rc),
                              .engine_options = store.engine_options};
        int again = try_to_open(&after, 0, &why);
        assert_true(again == 0 || again == WEIR_E_GAP);
        assert_true(rc < 0 || again == 0);
        refused += again < 0;
        accepted += again == 0;
        if (again < 0) {
            open_with(&after, ACCEPT);
        }
        expect_scan(&after, UINT64_MAX, NULL, "a=a-three! b=b-three! c=c-one! e=e-one!");
        store_close(&after);
        copy->ops->destroy(copy);
    }
    assert_true(refused > 0);
    open_with(&store, ACCEPT);
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
        assert_int_equal(salvage(&store), lost);
        store.engine_options.threads = (uint32_t)(1 + seed % 4);
        open_with(&store, ACCEPT);
        weir_lsn horizon = report_of(&store).gap_horizon;
        assert_int_equal(report_of(&store).gap_lsns, lost);
        for (weir_lsn lsn = horizon; lsn <= RECORDS; lsn++) {
            expect_model(&store, &model, lsn);
        }
        assert_true(horizon == 0 || begin_as_of(&store, horizon - 1) == WEIR_E_HORIZON);
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
        cmocka_unit_test(gaps_below_the_horizon_of_compaction_are_accepted_as_others_are),
        cmocka_unit_test(a_key_whose_newest_version_was_lost_shows_the_one_before),
        cmocka_unit_test(a_table_whose_name_was_lost_has_another),
        cmocka_unit_test(checkpoints_know_of_gaps),
        cmocka_unit_test(no_build_uses_the_checkpoint_of_one_that_knows_nothing_of_gaps),
        cmocka_unit_test(what_was_accepted_long_ago_is_known_to_a_rebuild_by_threads),
        cmocka_unit_test(a_reader_accepts_for_itself_and_learns_what_a_writer_has_accepted),
        cmocka_unit_test(a_stream_from_before_a_gap_begins_with_the_state_or_is_lost),
        cmocka_unit_test(another_salvage_that_lost_more_is_refused_again),
        cmocka_unit_test(a_backup_and_a_compaction_keep_what_was_accepted),
        cmocka_unit_test(a_power_cut_while_gaps_are_accepted_leaves_one_or_the_other),
        cmocka_unit_test(random_damage_against_a_fold_over_what_is_left),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
