/*
 * Threads on one engine: money that moves and is never more or less, counters that miss nothing,
 * links that lead to the record just before, while checkpoints are made and the log is compacted.
 *
 * For the thread sanitizer, too. WEIR_SEED begins elsewhere, WEIR_DEEP_ROUNDS goes on for so many.
 */
#include "store.h"

#include "base/thread.h"
#include "tests/engine/crowd.h"

#include <stdio.h>
#include <stdlib.h>

#define SEGMENT ((uint64_t)64 << 10)
#define ROUNDS 3u

struct setting {
    unsigned writers, readers, steps, padding;
    bool upkeep, compacts;
    bool follows; /* a reader's engine beside it */
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

/* ---- a reader beside the writer ---- */

struct follower {
    struct store *store;
    struct crowd crowd; /* its view of the keys, and its failure */
    struct base_thread thread;
    _Atomic bool done;
    unsigned refreshes;
};

static bool open_beside(struct follower *follower)
{
    struct sim_memory_options disk = follower->store->disk;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    disk.read_only = true;
    options.flags = WEIR_LOG_READ_ONLY;
    options.medium = WEIR_MEDIUM_CUSTOM;
    int rc = sim_memory_open(&disk, &options.custom_medium);
    rc = rc == 0 ? weir_log_open("memory", &options, &follower->crowd.log, &why) : rc;
    rc = rc == 0 ? weir_engine_open(follower->crowd.log, &follower->store->engine_options,
                                    &follower->crowd.engine, &why)
                 : rc;
    return rc == 0 || crowd_fail(&follower->crowd, "open beside: %d %s", rc, why.text);
}

static bool follow_once(struct follower *follower)
{
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_engine_refresh(follower->crowd.engine, NULL, &why);
    follower->refreshes++;
    return rc == 0 || crowd_fail(&follower->crowd, "refresh: %d %s", rc, why.text);
}

static void follow(void *context)
{
    struct follower *follower = context;
    bool right = true;
    while (right && !atomic_load(&follower->done)) {
        right = follow_once(follower) && crowd_count_money(&follower->crowd, ORACLE_NEWEST);
        base_yield();
    }
}

static void begin_following(struct follower *follower, struct store *store,
                            const struct oracle *oracle, uint64_t seed)
{
    *follower = (struct follower){.store = store, .crowd = {.seed = seed, .beside = true}};
    crowd_begin(&follower->crowd, oracle);
    (void)open_beside(follower);
    expect_right(&follower->crowd);
    assert_int_equal(base_thread_start(&follower->thread, "follower", follow, follower), 0);
}

/* When all is durable it shows the same as the writer. */
static void end_following(struct follower *follower, struct oracle *oracle, uint64_t seed)
{
    atomic_store(&follower->done, true);
    base_thread_join(&follower->thread);
    expect_right(&follower->crowd);
    (void)follow_once(follower);
    expect_right(&follower->crowd);
    oracle->engine = follower->crowd.engine;
    if (!oracle_check_gets(oracle, ORACLE_NEWEST) || !oracle_check_scans(oracle, ORACLE_NEWEST) ||
        !oracle_check_fingerprint(oracle, ORACLE_NEWEST)) {
        fail_msg("WEIR_SEED=%ju: beside: %s", (uintmax_t)seed, oracle->failure);
    }
    assert_int_equal(weir_engine_close(follower->crowd.engine), 0);
    assert_int_equal(weir_log_close(follower->crowd.log), 0);
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
    static struct follower follower;
    if (setting->follows) {
        begin_following(&follower, &store, &oracle, seed);
    }
    crowd_run(&crowd);
    expect_right(&crowd);
    settle(&store);
    oracle.log = store.log;
    if (!oracle_learn(&oracle)) {
        fail_msg("WEIR_SEED=%ju: %s", (uintmax_t)seed, oracle.failure);
    }
    assert_int_equal(sum_of_counters(&oracle), atomic_load(&crowd.counted));
    if (setting->follows) {
        end_following(&follower, &oracle, seed);
    }
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

static void cd_11_a_reader_beside_sees_all_the_money_while_the_log_is_compacted(void **state)
{
    (void)state;
    run(&(struct setting){.writers = 2,
                          .readers = 1,
                          .steps = 2000,
                          .padding = 400,
                          .upkeep = true,
                          .compacts = true,
                          .follows = true});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_11_se_12_writers_lose_no_increment_and_link_to_the_record_before),
        cmocka_unit_test(se_07_every_snapshot_has_all_the_money_while_writers_go_on),
        cmocka_unit_test(se_09_checkpoints_made_beside_writers_open_to_the_same_state),
        cmocka_unit_test(cd_11_nothing_that_can_be_read_changes_while_the_log_is_compacted),
        cmocka_unit_test(cd_11_a_reader_beside_sees_all_the_money_while_the_log_is_compacted),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
