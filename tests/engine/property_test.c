/*
 * Random workloads against a plain list of versions: everything that can be read, at every state
 * that can be reached, also after the engine was made again from its log.
 *
 * WEIR_SEED begins elsewhere, WEIR_DEEP_ROUNDS goes on for so many seeds. A failing seed is run
 * again, shorter, until the last operation is the one that fails.
 */
#include "store.h"

#include "tests/engine/workload.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS 900u
#define ROUNDS 24u

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

struct trial {
    struct store store;
    struct workload workload;
};

static void look_at(struct trial *trial)
{
    trial->workload.oracle.log = trial->store.log;
    trial->workload.oracle.engine = trial->store.engine;
}

/* A log that was closed is durable to its end. */
static bool reopen(struct trial *trial)
{
    struct workload *workload = &trial->workload;
    struct base_prng *prng = &workload->prng;
    uint8_t before[16], after[16];
    uint64_t keys, keys_after;
    workload->doing = "reopen";
    workload_close_snapshots(workload);
    if (!workload_commit(workload) ||
        weir_engine_fingerprint(trial->store.engine, 0, before, &keys) < 0) {
        return oracle_fail(&workload->oracle, "fingerprint before closing");
    }
    trial->store.engine_options.threads = 1 + (uint32_t)base_prng_below(prng, 3);
    trial->store.engine_options.flags =
        base_prng_below(prng, 2) == 0 ? WEIR_ENGINE_NO_CHECKPOINT : 0;
    store_reopen(&trial->store);
    look_at(trial);
    int rc = weir_engine_fingerprint(trial->store.engine, 0, after, &keys_after);
    if (rc < 0 || keys != keys_after || memcmp(before, after, sizeof before) != 0) {
        return oracle_fail(&workload->oracle, "reopened: another fingerprint (%d)", rc);
    }
    return oracle_check(&workload->oracle);
}

static bool run(struct trial *trial, unsigned steps)
{
    bool right = true;
    for (unsigned i = 0; right && i < steps; i++) {
        right = base_prng_below(&trial->workload.prng, 150) == 0 ? reopen(trial)
                                                                 : workload_step(&trial->workload);
    }
    return right && oracle_check(&trial->workload.oracle) && reopen(trial) && reopen(trial);
}

/* Runs a seed; false: what went wrong is in `text`. */
static bool run_seed(uint64_t seed, unsigned steps, char *text, size_t size)
{
    static struct trial trial;
    store_open(&trial.store);
    workload_begin(&trial.workload, seed);
    trial.workload.compacts = true;
    trial.workload.hot = (uint32_t)(seed % 4);
    look_at(&trial);
    bool right = run(&trial, steps);
    if (!right) {
        snprintf(text, size, "%s: %s", trial.workload.doing, trial.workload.oracle.failure);
    }
    workload_close_snapshots(&trial.workload);
    store_close(&trial.store);
    workload_end(&trial.workload);
    return right;
}

/* The fewest steps that fail. */
static unsigned shrink(uint64_t seed, unsigned steps, char *text, size_t size)
{
    unsigned good = 0;
    while (good + 1 < steps) {
        unsigned middle = good + (steps - good) / 2;
        if (run_seed(seed, middle, text, size)) {
            good = middle;
        } else {
            steps = middle;
        }
    }
    (void)run_seed(seed, steps, text, size);
    return steps;
}

static void se_02_se_05_se_07_whatever_is_done_the_engine_shows_what_a_list_of_versions_shows(
    void **state)
{
    (void)state;
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", ROUNDS);
    char text[800];
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        if (!run_seed(seed, STEPS, text, sizeof text)) {
            unsigned steps = shrink(seed, STEPS, text, sizeof text);
            fail_msg("WEIR_SEED=%ju, %u steps: %s", (uintmax_t)seed, steps, text);
        }
    }
    printf("layer=engine-property seeds=%ju steps=%u violations=0 seed=%ju\n", (uintmax_t)rounds,
           STEPS, (uintmax_t)first);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            se_02_se_05_se_07_whatever_is_done_the_engine_shows_what_a_list_of_versions_shows),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
