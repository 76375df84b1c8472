/*
 * Streams of changes over random work, against a plain list of versions: each event with the true
 * value before it, from wherever a stream may begin, while the log is compacted and opened again.
 *
 * WEIR_SEED begins elsewhere, WEIR_DEEP_ROUNDS goes on for so many seeds.
 */
#include "store.h"

#include "tests/engine/taker.h"
#include "tests/engine/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 16u
#define STEPS 3000u
#define STEPS_OF_STARTS 500u
#define TAKERS 4u

struct trial {
    struct store store;
    struct workload workload;
    struct taker takers[TAKERS];
    uint64_t events, rows, lost;
};

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static uint32_t below(struct trial *trial, uint64_t bound)
{
    return (uint32_t)base_prng_below(&trial->workload.prng, bound);
}

static void begin(struct trial *trial, uint64_t seed)
{
    *trial = (struct trial){0};
    store_open(&trial->store);
    workload_begin(&trial->workload, seed);
    trial->workload.compacts = true;
    trial->workload.reads = false;
    trial->workload.hot = (uint32_t)(seed % 4);
    trial->workload.oracle.log = trial->store.log;
    trial->workload.oracle.engine = trial->store.engine;
}

static void end(struct trial *trial, uint64_t seed)
{
    for (unsigned i = 0; i < TAKERS; i++) {
        taker_close(&trial->takers[i]);
    }
    workload_close_snapshots(&trial->workload);
    if (trial->workload.oracle.failed) {
        fail_msg("WEIR_SEED=%ju: %s: %s", (uintmax_t)seed, trial->workload.doing,
                 trial->workload.oracle.failure);
    }
    store_close(&trial->store);
    workload_end(&trial->workload);
}

static bool reopen(struct trial *trial)
{
    for (unsigned i = 0; i < TAKERS; i++) {
        taker_close(&trial->takers[i]);
    }
    workload_close_snapshots(&trial->workload);
    if (!workload_commit(&trial->workload)) {
        return false;
    }
    store_reopen(&trial->store);
    trial->workload.oracle.log = trial->store.log;
    trial->workload.oracle.engine = trial->store.engine;
    return true;
}

/* ---- streams while work goes on ---- */

static void draw_options(struct trial *trial, weir_table *tables,
                         struct weir_changes_options *ret_options)
{
    struct oracle *oracle = &trial->workload.oracle;
    *ret_options = (struct weir_changes_options)WEIR_CHANGES_OPTIONS_INIT;
    ret_options->from = (enum weir_changes_from)below(trial, 5);
    ret_options->lsn = below(trial, weir_durable_lsn(oracle->log) + 1);
    ret_options->operations = below(trial, 2) == 0 ? 0 : below(trial, 8);
    ret_options->table_count = below(trial, 2) == 0 ? 0 : 1 + below(trial, 2);
    for (size_t i = 0; i < ret_options->table_count; i++) {
        tables[i] = below(trial, ORACLE_TABLES);
    }
    ret_options->tables = tables;
}

static bool open_one(struct trial *trial, struct taker *taker)
{
    struct oracle *oracle = &trial->workload.oracle;
    struct weir_changes_options options;
    weir_table tables[2];
    draw_options(trial, tables, &options);
    int rc = taker_open(taker, oracle, &options);
    bool lost = options.from == WEIR_CHANGES_RESUME && options.lsn < oracle->horizon;
    return rc == (lost ? WEIR_E_POSITION_LOST : 0) ||
           oracle_fail(oracle, "opening from %d %ju: %s", (int)options.from, (uintmax_t)options.lsn,
                       weir_error_name(rc));
}

static bool take(struct trial *trial, struct taker *taker)
{
    struct oracle *oracle = &trial->workload.oracle;
    weir_lsn position = weir_changes_position(taker->changes);
    bool in_state = taker->in_state;
    int rc = taker_take(taker, 1 + (int)below(trial, below(trial, 3) == 0 ? 3 : TAKER_EVENTS));
    trial->events += rc > 0 && !in_state ? (uint64_t)rc : 0;
    trial->rows += rc > 0 && in_state ? (uint64_t)rc : 0;
    if (rc == WEIR_E_POSITION_LOST) {
        taker_close(taker);
        trial->lost++;
        return position < oracle->horizon || oracle_fail(oracle, "lost above the horizon");
    }
    return rc >= 0 || oracle_fail(oracle, "next: %s", weir_error_name(rc));
}

static bool turn(struct trial *trial)
{
    struct taker *taker = &trial->takers[below(trial, TAKERS)];
    trial->workload.doing = "stream";
    if (!oracle_check_horizon(&trial->workload.oracle)) {
        return false;
    }
    if (taker->changes == NULL) {
        return open_one(trial, taker);
    }
    if (below(trial, 40) == 0) {
        taker_close(taker);
        return true;
    }
    return take(trial, taker);
}

static bool run(struct trial *trial)
{
    bool right = true;
    for (unsigned i = 0; right && i < STEPS; i++) {
        right = below(trial, 200) == 0 ? reopen(trial)
                : below(trial, 2) == 0 ? turn(trial)
                                       : workload_step(&trial->workload);
    }
    for (unsigned i = 0; right && i < 200; i++) {
        right = turn(trial);
    }
    return right;
}

static void cd_01_cd_03_cd_05_each_event_has_the_true_value_before_it(void **state)
{
    (void)state;
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", ROUNDS);
    uint64_t events = 0, rows = 0, lost = 0;
    static struct trial trial;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        begin(&trial, seed);
        run(&trial);
        events += trial.events;
        rows += trial.rows;
        lost += trial.lost;
        end(&trial, seed);
    }
    printf("layer=changes-property seeds=%ju events=%ju rows=%ju lost=%ju violations=0 seed=%ju\n",
           (uintmax_t)rounds, (uintmax_t)events, (uintmax_t)rows, (uintmax_t)lost,
           (uintmax_t)first);
    assert_true(events > 1000 && rows > 100 && lost > 0);
}

/* ---- every start ---- */

/* From each position what is built is the state at the end, whatever was dropped in front of it. */
static bool build_from_everywhere(struct trial *trial)
{
    struct oracle *oracle = &trial->workload.oracle;
    weir_lsn durable = weir_durable_lsn(oracle->log);
    bool right = oracle_check_horizon(oracle);
    trial->workload.doing = "from everywhere";
    for (weir_lsn lsn = 0; right && lsn <= durable; lsn++) {
        for (int i = 0; right && i < 2; i++) {
            struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
            options.from = i == 0 ? WEIR_CHANGES_BEHIND : WEIR_CHANGES_RESUME;
            options.lsn = lsn;
            int rc = taker_open(&trial->takers[0], oracle, &options);
            bool lost = i == 1 && lsn < oracle->horizon;
            right = rc == (lost ? WEIR_E_POSITION_LOST : 0) ||
                    oracle_fail(oracle, "opening at %ju: %d", (uintmax_t)lsn, rc);
            rc = rc == 0 ? taker_drain(&trial->takers[0], 1 + (int)below(trial, TAKER_EVENTS)) : 0;
            right = right && (rc == 0 || oracle_fail(oracle, "from %ju: %s", (uintmax_t)lsn,
                                                     weir_error_name(rc)));
            right = right && (lost || taker_check_sum(&trial->takers[0]));
            trial->events += trial->takers[0].taken;
            taker_close(&trial->takers[0]);
        }
    }
    return right;
}

static bool compact_to(struct trial *trial, weir_lsn horizon)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    options.horizon = horizon;
    options.thorough = true;
    int rc = weir_engine_compact(trial->store.engine, &options, NULL, NULL);
    return rc == 0 || oracle_fail(&trial->workload.oracle, "compact: %d", rc);
}

/* So that there are segments to compact. */
static bool append_padding(struct trial *trial)
{
    static const uint8_t bytes[4000];
    struct weir_part part = {bytes, sizeof bytes};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 0x4321};
    oracle_add_other(&trial->workload.oracle, ORACLE_APPLICATION);
    int rc = weir_append(trial->store.log, &entry, WEIR_NONE, NULL);
    return rc == 0 || oracle_fail(&trial->workload.oracle, "append: %d", rc);
}

static bool run_starts(struct trial *trial)
{
    bool right = true;
    trial->workload.compacts = false;
    for (unsigned i = 0; right && i < STEPS_OF_STARTS; i++) {
        right = workload_step(&trial->workload) && (i % 2 != 0 || append_padding(trial));
    }
    workload_close_snapshots(&trial->workload);
    right = right && workload_commit(&trial->workload) && build_from_everywhere(trial);
    weir_lsn durable = weir_durable_lsn(trial->store.log);
    right = right && compact_to(trial, durable / 2) && build_from_everywhere(trial);
    right = right && reopen(trial) && compact_to(trial, 0) && build_from_everywhere(trial);
    return right && trial->workload.oracle.horizon > 0;
}

static void cd_11_from_every_position_the_same_state_is_built_before_and_after_compaction(
    void **state)
{
    (void)state;
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", 3);
    uint64_t events = 0;
    static struct trial trial;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        begin(&trial, seed);
        bool right = run_starts(&trial);
        events += trial.events;
        end(&trial, seed);
        assert_true(right);
    }
    printf("layer=changes-starts seeds=%ju events=%ju violations=0 seed=%ju\n", (uintmax_t)rounds,
           (uintmax_t)events, (uintmax_t)first);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_01_cd_03_cd_05_each_event_has_the_true_value_before_it),
        cmocka_unit_test(
            cd_11_from_every_position_the_same_state_is_built_before_and_after_compaction),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
