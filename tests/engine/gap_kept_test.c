/*
 * What was accepted stays accepted, that much and no more: through checkpoints, rebuilds, backups,
 * compaction, power cuts and another salvage.
 */
#include "gap_support.h"

#include "base/crc32c.h"
#include "engine/checkpoint.h"

#include <errno.h>
#include <stdio.h>

static void checkpoints_know_of_gaps(void **state)
{
    (void)state;
    struct store store;
    gap_make_rotten(&store);
    gap_open_with(&store, ACCEPT);
    put(&store, "a", "a-four!");
    settle(&store);
    gap_checkpoint(&store);
    store_stop(&store);
    gap_open_with(&store, 0);
    struct weir_engine_open_report report = gap_report_of(&store);
    assert_true(report.from_checkpoint);
    assert_int_equal(report.gap_lsns, 2);
    assert_int_equal(report.gaps, 2);
    assert_int_equal(report.gap_from, 3);
    assert_int_equal(report.gap_to, 7);
    assert_int_equal(report.gap_horizon, 7);
    assert_int_equal(gap_begin_as_of(&store, 6), WEIR_E_HORIZON);
    expect_as_of(&store, 9, "a", "a-three!");
    struct fingerprint whole = fingerprint_of(&store, 0);
    store_stop(&store);
    gap_open_with(&store, WEIR_ENGINE_NO_CHECKPOINT);
    expect_fingerprint(&store, 0, &whole);
    for (int i = 0; i < 200100; i++) { /* a long rest, which says nothing of gaps, is rebuilt */
        put(&store, "a", "a-five!");
    }
    settle(&store);
    store_stop(&store);
    gap_open_with(&store, 0);
    assert_true(gap_report_of(&store).from_checkpoint);
    assert_int_equal(gap_report_of(&store).gap_horizon, 7);
    store_close(&store);
}

/* Threads share the log: who comes past the acceptance is not who comes last. */
static void what_was_accepted_long_ago_is_known_to_a_rebuild_by_threads(void **state)
{
    (void)state;
    struct store store;
    char key[16];
    gap_make_rotten(&store);
    gap_open_with(&store, ACCEPT);
    for (unsigned i = 0; i < 40000; i++) {
        (void)snprintf(key, sizeof key, "k%u", i % 5000);
        put(&store, key, "some value of some bytes");
    }
    settle(&store);
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        store_stop(&store);
        store.engine_options.threads = threads;
        gap_open_with(&store, WEIR_ENGINE_NO_CHECKPOINT);
        assert_int_equal(gap_report_of(&store).gap_lsns, 2);
        assert_int_equal(gap_report_of(&store).gap_horizon, 7);
    }
    assert_true(gap_report_of(&store).threads > 1);
    store_close(&store);
}

/* Earlier builds know nothing of gaps. One that used a checkpoint of ours would open what it has to
 * refuse, and what it would write then has no horizon. */
static void no_build_uses_the_checkpoint_of_one_that_knows_nothing_of_gaps(void **state)
{
    (void)state;
    struct store store;
    uint64_t size;
    gap_make_rotten(&store);
    gap_open_with(&store, ACCEPT);
    gap_checkpoint(&store);
    store_stop(&store);
    uint8_t *bytes = sim_memory_bytes(store.keeper, CHECKPOINT_NAME, false, &size);
    assert_non_null(bytes);
    struct checkpoint_head *head = (struct checkpoint_head *)(void *)bytes;
    assert_int_equal(le32_load(&head->version), CHECKPOINT_VERSION);
    assert_true(CHECKPOINT_VERSION > 1);
    size_t start = offsetof(struct checkpoint_head, version);
    size_t known = offsetof(struct checkpoint_head, gap_horizon);
    le32_store(&head->version, 1);
    memset(bytes + known, 0, CHECKPOINT_BLOCK - known);
    le32_store(&head->crc, base_crc32c(0, bytes + start, CHECKPOINT_BLOCK - start));
    gap_open_with(&store, 0);
    struct weir_engine_open_report report = gap_report_of(&store);
    assert_false(report.from_checkpoint);
    assert_non_null(strstr(report.reason, "another version"));
    assert_int_equal(report.gap_horizon, 7);
    assert_int_equal(gap_begin_as_of(&store, 6), WEIR_E_HORIZON);
    store_close(&store);
}

/* What was accepted is that much, and no more. */
static void another_salvage_that_lost_more_is_refused_again(void **state)
{
    (void)state;
    struct store store;
    gap_make_rotten(&store);
    gap_open_with(&store, ACCEPT);
    put(&store, "f", "f-one!");
    settle(&store);
    store_stop(&store);
    assert_int_equal(gap_salvage(&store), 0); /* with no new damage: as accepted */
    gap_open_with(&store, 0);
    store_stop(&store);
    rot(&store, "b-two!"); /* in front of the acceptance */
    assert_int_equal(gap_salvage(&store), 1);
    gap_expect_refused(&store, 3, 7);
    gap_open_with(&store, ACCEPT);
    assert_int_equal(gap_report_of(&store).gap_lsns, 3);
    assert_int_equal(gap_report_of(&store).gaps, 2);        /* 3 and 4 are neighbours */
    assert_int_equal(gap_report_of(&store).gap_horizon, 8); /* 8 names 4 as the one before */
    expect_history(&store, "b", "8:b-three!");
    store_stop(&store);
    gap_open_with(&store, 0);
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
    gap_make_rotten(&store);
    gap_open_with(&store, ACCEPT);
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
    assert_int_equal(gap_begin_as_of(&store, 6), WEIR_E_HORIZON);
    compact.progress = NULL;
    compact.thorough = true;
    assert_int_equal(weir_engine_compact(store.engine, &compact, &compacted, NULL), 0);
    assert_true(compacted.steps > 0);
    expect_fingerprint(&store, 0, &before);
    store_stop(&store);
    gap_open_with(&store, WEIR_ENGINE_NO_CHECKPOINT);
    expect_fingerprint(&store, 0, &before);
    assert_int_equal(gap_report_of(&store).gap_lsns, 2);
    assert_int_equal(sim_memory_open(&disk, &keeper), 0);
    struct weir_backup_options backup = WEIR_BACKUP_OPTIONS_INIT;
    struct weir_backup_report copied = WEIR_BACKUP_REPORT_INIT;
    struct weir_log_options to = gap_options_on(keeper);
    backup.target = &to;
    assert_int_equal(weir_log_backup(store.log, "target", &backup, &copied, NULL), 0);
    store_stop(&store);
    gap_move_to(&store, keeper);
    gap_open_with(&store, 0);
    expect_fingerprint(&store, 0, &before);
    assert_int_equal(gap_report_of(&store).gap_lsns, 2);
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
    assert_int_equal(gap_salvage(&store), 1);
    gap_expect_refused(&store, lost, lost);
    gap_open_with(&store, ACCEPT);
    assert_int_equal(gap_report_of(&store).gap_horizon, lost);
    assert_int_equal(gap_begin_as_of(&store, compacted.horizon - 1), WEIR_E_HORIZON);
    expect(&store, "a", NULL, 0);
    expect(&store, "b", "b-only!", lost + 1);
    expect_as_of(&store, compacted.horizon, "b", "b-only!");
    store_stop(&store);
    gap_open_with(&store, 0);
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
    gap_make_rotten(&store);
    for (uint64_t calls = 1; accepted < 3; calls++) {
        struct weir_medium *copy;
        int rc;
        assert_int_equal(sim_memory_copy(store.keeper, &copy), 0);
        struct store after = {.keeper = stop_while_opening(copy, calls, &rc),
                              .engine_options = store.engine_options};
        int again = gap_try_to_open(&after, 0, &why);
        assert_true(again == 0 || again == WEIR_E_GAP);
        assert_true(rc < 0 || again == 0);
        refused += again < 0;
        accepted += again == 0;
        if (again < 0) {
            gap_open_with(&after, ACCEPT);
        }
        expect_scan(&after, UINT64_MAX, NULL, "a=a-three! b=b-three! c=c-one! e=e-one!");
        store_close(&after);
        copy->ops->destroy(copy);
    }
    assert_true(refused > 0);
    gap_open_with(&store, ACCEPT);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_know_of_gaps),
        cmocka_unit_test(what_was_accepted_long_ago_is_known_to_a_rebuild_by_threads),
        cmocka_unit_test(no_build_uses_the_checkpoint_of_one_that_knows_nothing_of_gaps),
        cmocka_unit_test(another_salvage_that_lost_more_is_refused_again),
        cmocka_unit_test(a_backup_and_a_compaction_keep_what_was_accepted),
        cmocka_unit_test(gaps_below_the_horizon_of_compaction_are_accepted_as_others_are),
        cmocka_unit_test(a_power_cut_while_gaps_are_accepted_leaves_one_or_the_other),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
