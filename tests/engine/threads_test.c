/*
 * Threads on one engine: money that moves and is never more or less, counters that miss nothing,
 * links that lead to the record just before, while checkpoints are made and the log is compacted.
 *
 * For the thread sanitizer, too. WEIR_SEED begins elsewhere, WEIR_DEEP_ROUNDS goes on for so many.
 */
#include "store.h"

#include "tests/engine/crowd.h"

#include <stdio.h>
#include <stdlib.h>

#define SEGMENT ((uint64_t)64 << 10)
#define ROUNDS 3u

struct setting {
    unsigned writers, readers, steps, padding;
    bool upkeep, compacts;
};

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void expect_right(const struct crowd *crowd)
{
    if (atomic_load(&crowd->failed)) {
        fail_msg("WEIR_SEED=%ju: %s", (uintmax_t)crowd->seed, crowd->failure);
    }
}

/* What the log adds up to is what the engine shows, and each record follows the one it names. */
static void expect_fold(struct store *store, struct oracle *oracle, uint64_t seed)
{
    oracle->log = store->log;
    oracle->engine = store->engine;
    if (!oracle_check(oracle) || !oracle_check_fingerprint(oracle, ORACLE_NEWEST)) {
        fail_msg("WEIR_SEED=%ju: %s", (uintmax_t)seed, oracle->failure);
    }
}

static uint64_t sum_of_counters(const struct oracle *oracle)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < CROWD_COUNTERS; i++) {
        const struct oracle_version *version =
            oracle_live(oracle, 0, CROWD_ACCOUNTS + i, ORACLE_NEWEST);
        uint64_t number_there = 0;
        if (version != NULL) {
            memcpy(&number_there, version->value.data, sizeof number_there);
        }
        sum += number_there;
    }
    return sum;
}

static void run_seed(uint64_t seed, const struct setting *setting)
{
    static struct store store;
    static struct oracle oracle;
    static struct crowd crowd;
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    store_open_with(&store, SEGMENT, STORE_INDEX);
    oracle_begin(&oracle, &prng);
    crowd = (struct crowd){.log = store.log,
                           .engine = store.engine,
                           .seed = seed,
                           .writers = setting->writers,
                           .readers = setting->readers,
                           .steps = setting->steps,
                           .padding = setting->padding,
                           .upkeep = setting->upkeep,
                           .compacts = setting->compacts};
    crowd_begin(&crowd, &oracle);
    assert_true(crowd_fill(&crowd));
    crowd_run(&crowd);
    expect_right(&crowd);
    settle(&store);
    oracle.log = store.log;
    if (!oracle_learn(&oracle)) {
        fail_msg("WEIR_SEED=%ju: %s", (uintmax_t)seed, oracle.failure);
    }
    assert_int_equal(sum_of_counters(&oracle), atomic_load(&crowd.counted));
    expect_fold(&store, &oracle, seed);
    store_reopen(&store);
    expect_fold(&store, &oracle, seed);
    store.engine_options.flags = WEIR_ENGINE_NO_CHECKPOINT;
    store.engine_options.threads = 2;
    store_reopen(&store);
    expect_fold(&store, &oracle, seed);
    print_message("layer=engine-threads records=%ju conflicts=%ju snapshots=%ju checkpoints=%ju "
                  "compacted=%ju violations=0 seed=%ju\n",
                  (uintmax_t)oracle.last, (uintmax_t)atomic_load(&crowd.conflicts),
                  (uintmax_t)atomic_load(&crowd.snapshots),
                  (uintmax_t)atomic_load(&crowd.checkpoints),
                  (uintmax_t)atomic_load(&crowd.steps_compacted), (uintmax_t)seed);
    store_close(&store);
    oracle_end(&oracle);
}

static void run(const struct setting *setting)
{
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", ROUNDS);
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        run_seed(seed, setting);
    }
}

static void se_11_se_12_writers_lose_no_increment_and_link_to_the_record_before(void **state)
{
    (void)state;
    run(&(struct setting){.writers = 4, .steps = 3000, .padding = 0});
}

static void se_07_every_snapshot_has_all_the_money_while_writers_go_on(void **state)
{
    (void)state;
    run(&(struct setting){.writers = 3, .readers = 3, .steps = 2000, .padding = 60});
}

static void se_09_checkpoints_made_beside_writers_open_to_the_same_state(void **state)
{
    (void)state;
    run(&(struct setting){
        .writers = 3, .readers = 2, .steps = 2000, .padding = 100, .upkeep = true});
}

static void cd_11_nothing_that_can_be_read_changes_while_the_log_is_compacted(void **state)
{
    (void)state;
    run(&(struct setting){.writers = 3,
                          .readers = 2,
                          .steps = 2000,
                          .padding = 400,
                          .upkeep = true,
                          .compacts = true});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_11_se_12_writers_lose_no_increment_and_link_to_the_record_before),
        cmocka_unit_test(se_07_every_snapshot_has_all_the_money_while_writers_go_on),
        cmocka_unit_test(se_09_checkpoints_made_beside_writers_open_to_the_same_state),
        cmocka_unit_test(cd_11_nothing_that_can_be_read_changes_while_the_log_is_compacted),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
