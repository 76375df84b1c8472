/*
 * SE-07, SE-09, SE-11, CD-11, O8 from a seed: writers, readers, checkpoints and compaction on one
 * engine, scheduled one at a time on a simulated disk; the power cut at random calls, also while
 * the engine comes back. Whatever survives: all that was promised is there, the fold over the
 * records is what the engine shows, with a checkpoint and without, and no money is missing.
 *
 * WEIR_SEED begins elsewhere, WEIR_DEEP_ROUNDS goes on for so many seeds. Equal seeds are equal
 * runs: each eighth one is made twice.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "engine/worker.h"
#include "sim/memory.h"
#include "sim/scheduler.h"
#include "tests/engine/crowd.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 60u
#define WRITER_ROUNDS 3u
#define CUTS 3u
#define SEGMENT ((uint64_t)64 << 10)
#define INDEX_BYTES ((uint64_t)512 << 10)

struct image {
    struct weir_medium *medium;
    weir_lsn acknowledged;
};

struct tally {
    uint64_t images, recoveries, checkpoints, compacted, snapshots, switches, from_checkpoint;
};

struct trial {
    uint64_t seed;
    struct base_prng prng;
    struct sim_memory_options disk;
    struct oracle keys; /* its keys only */
    struct crowd crowd;
    struct weir_medium *keeper;
    struct weir_log *log;
    weir_lsn acknowledged; /* in earlier rounds */
    bool armed;
    uint64_t calls, cut_at[CUTS];
    double keep;
    struct image images[CUTS];
    unsigned image_count;
    struct tally tally;
    bool failed;
    char failure[700];
};

static uint64_t seed_now;

static void fail_trial(struct trial *trial, const char *what, const char *text)
{
    if (!trial->failed) {
        trial->failed = true;
        (void)snprintf(trial->failure, sizeof trial->failure, "%s: %s", what, text);
    }
}

/* ---- power cuts ---- */

static uint64_t keep_by_chance(void *context, const char *name, uint64_t offset)
{
    struct trial *trial = context;
    (void)name;
    (void)offset;
    if (base_prng_below(&trial->prng, 16) == 0) {
        return base_prng_next(&trial->prng);
    }
    return base_prng_unit(&trial->prng) < trial->keep ? UINT64_MAX : 0;
}

static void cut(struct trial *trial)
{
    static const double keeps[] = {0, 0.1, 0.5, 0.9, 1};
    struct image *image = &trial->images[trial->image_count++];
    weir_lsn told = atomic_load(&trial->crowd.acknowledged);
    weir_lsn durable = trial->log != NULL ? weir_durable_lsn(trial->log) : 0;
    told = told > trial->acknowledged ? told : trial->acknowledged;
    image->acknowledged = told > durable ? told : durable;
    trial->keep = keeps[base_prng_below(&trial->prng, 5)];
    trial->tally.images++;
    int rc = base_prng_below(&trial->prng, 4) == 0
                 ? sim_memory_copy(trial->keeper, &image->medium) /* kill -9 */
                 : sim_memory_cut(trial->keeper, keep_by_chance, trial, &image->medium);
    WEIR_ASSERT(rc == 0);
}

static int before_call(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)call;
    (void)name;
    (void)offset;
    (void)size;
    struct trial *trial = context;
    if (trial->armed) {
        uint64_t number = trial->calls++;
        for (unsigned i = 0; i < CUTS; i++) {
            if (number == trial->cut_at[i] && trial->image_count < CUTS) {
                cut(trial);
            }
        }
    }
    return 0;
}

static void draw_cuts(struct trial *trial, uint64_t most)
{
    trial->calls = 0;
    trial->image_count = 0;
    for (unsigned i = 0; i < CUTS; i++) {
        trial->cut_at[i] = base_prng_below(&trial->prng, most);
    }
}

/* ---- opening ---- */

static bool open_both(struct trial *trial, struct weir_medium *keeper, uint32_t flags, bool watched,
                      struct weir_engine **ret_engine)
{
    struct sim_memory_options disk = trial->disk;
    struct weir_log_options log_options = WEIR_LOG_OPTIONS_INIT;
    struct weir_engine_options options = WEIR_ENGINE_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    disk.disk = sim_memory_disk(keeper);
    if (watched) {
        disk.faults = (struct sim_memory_faults){.before = before_call, .context = trial};
    }
    log_options.flags = WEIR_LOG_CREATE;
    log_options.lock_wait_ns = WEIR_NO_WAIT;
    log_options.segment_bytes = SEGMENT;
    log_options.medium = WEIR_MEDIUM_CUSTOM;
    options.index_bytes = INDEX_BYTES;
    options.flags = flags;
    options.threads = 1 + (uint32_t)base_prng_below(&trial->prng, 3);
    int rc = sim_memory_open(&disk, &log_options.custom_medium);
    WEIR_ASSERT(rc == 0);
    trial->tally.recoveries++;
    trial->log = NULL;
    struct weir_log *log;
    if (base_prng_below(&trial->prng, 2) == 0) { /* one after the other, or both at once */
        rc = weir_log_open("memory", &log_options, &log, &why);
        trial->log = rc == 0 ? log : NULL;
        rc = rc == 0 ? weir_engine_open(log, &options, ret_engine, &why) : rc;
    } else {
        rc = weir_engine_open_at("memory", &log_options, &options, &log, ret_engine, &why);
        trial->log = rc == 0 ? log : NULL;
    }
    if (rc < 0) {
        fail_trial(trial, "open", why.text);
    }
    return rc == 0;
}

static void close_both(struct trial *trial, struct weir_engine *engine)
{
    struct weir_log *log = trial->log;
    int rc = weir_engine_close(engine);
    trial->log = NULL;
    rc = rc == 0 ? weir_log_close(log) : rc;
    if (rc < 0) {
        fail_trial(trial, "close", weir_error_name(rc));
    }
}

/* ---- judging ---- */

/* Everything that the engine shows is the fold over the log; the end of the log is returned. */
static weir_lsn judge(struct trial *trial, struct weir_engine *engine, weir_lsn acknowledged)
{
    static struct oracle oracle;
    weir_lsn latest = weir_durable_lsn(trial->log);
    oracle_copy(&trial->keys, 0, &oracle);
    oracle.log = trial->log;
    oracle.engine = engine;
    trial->crowd.log = trial->log;
    trial->crowd.engine = engine;
    bool right = oracle_learn(&oracle) && oracle_check(&oracle) &&
                 oracle_check_fingerprint(&oracle, ORACLE_NEWEST);
    weir_lsn middle = oracle.horizon + base_prng_below(&trial->prng, latest - oracle.horizon + 1);
    right = right && (middle < CROWD_ACCOUNTS || (oracle_check_gets(&oracle, middle) &&
                                                  oracle_check_fingerprint(&oracle, middle)));
    if (!right) {
        fail_trial(trial, "the fold", oracle.failure);
    }
    if (oracle.last < acknowledged) {
        char text[100];
        (void)snprintf(text, sizeof text, "the log ends at %ju, acknowledged was %ju",
                       (uintmax_t)oracle.last, (uintmax_t)acknowledged);
        fail_trial(trial, "lost", text);
    }
    if (right && !crowd_count_money(&trial->crowd, ORACLE_NEWEST)) {
        fail_trial(trial, "money", trial->crowd.failure);
    }
    oracle_end(&oracle);
    return latest;
}

/* Comes back on an image, the power being cut again meanwhile; then once more, from the log alone.
 */
static void judge_image(struct trial *trial, struct image *image, bool again)
{
    struct weir_engine *engine;
    trial->keeper = image->medium;
    trial->acknowledged = image->acknowledged;
    atomic_store(&trial->crowd.acknowledged, 0);
    draw_cuts(trial, again ? 1 : 60);
    trial->armed = !again;
    trial->image_count = again ? CUTS : CUTS - 1;
    if (open_both(trial, image->medium, 0, !again, &engine)) {
        struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
        trial->armed = false;
        (void)weir_engine_report(engine, &report);
        trial->tally.from_checkpoint += report.from_checkpoint;
        trial->acknowledged = judge(trial, engine, image->acknowledged);
        image->acknowledged = trial->acknowledged;
        close_both(trial, engine);
    }
    trial->armed = false;
    if (!trial->failed &&
        open_both(trial, image->medium, WEIR_ENGINE_NO_CHECKPOINT, false, &engine)) {
        (void)judge(trial, engine, image->acknowledged);
        close_both(trial, engine);
    }
    if (!again && trial->image_count == CUTS) { /* the cut while it came back */
        struct image second = trial->images[CUTS - 1];
        if (!trial->failed) {
            judge_image(trial, &second, true);
        }
        second.medium->ops->destroy(second.medium);
    }
}

/* ---- a run ---- */

static void write_round(struct trial *trial, unsigned round)
{
    struct weir_engine *engine;
    struct crowd *crowd = &trial->crowd;
    draw_cuts(trial, 30 + base_prng_below(&trial->prng, 1000));
    trial->armed = round > 0;
    if (!open_both(trial, trial->keeper, 0, true, &engine)) {
        return;
    }
    *crowd = (struct crowd){.log = trial->log,
                            .engine = engine,
                            .seed = base_prng_next(&trial->prng) >> 8,
                            .writers = 1 + (unsigned)base_prng_below(&trial->prng, 3),
                            .readers = (unsigned)base_prng_below(&trial->prng, 3),
                            .steps = 10 + (unsigned)base_prng_below(&trial->prng, 80),
                            .padding = (unsigned)base_prng_below(&trial->prng, 1500),
                            .upkeep = base_prng_below(&trial->prng, 4) != 0,
                            .compacts = base_prng_below(&trial->prng, 3) != 0};
    crowd_begin(crowd, &trial->keys);
    if (round > 0 || crowd_fill(crowd)) {
        trial->armed = true;
        crowd_run(crowd);
    }
    trial->tally.checkpoints += atomic_load(&crowd->checkpoints);
    trial->tally.compacted += atomic_load(&crowd->steps_compacted);
    trial->tally.snapshots += atomic_load(&crowd->snapshots);
    if (atomic_load(&crowd->failed)) {
        fail_trial(trial, "at work", crowd->failure);
    }
    if (!trial->failed && weir_commit(trial->log) == 0) {
        (void)judge(trial, engine, 0);
    }
    close_both(trial, engine);
    if (trial->image_count == 0 && !trial->failed) {
        cut(trial);
    }
    trial->armed = false;
}

/* The next writer goes on with the last image. */
static void judge_all(struct trial *trial)
{
    struct image images[CUTS];
    unsigned count = trial->image_count;
    struct weir_medium *old = trial->keeper;
    memcpy(images, trial->images, sizeof images);
    for (unsigned i = 0; i < count; i++) {
        if (!trial->failed) {
            judge_image(trial, &images[i], false);
        }
        if (i + 1 < count) {
            images[i].medium->ops->destroy(images[i].medium);
        }
    }
    if (count > 0) {
        old->ops->destroy(old);
        trial->keeper = images[count - 1].medium;
        trial->acknowledged = images[count - 1].acknowledged;
    }
}

static void body(void *context)
{
    struct trial *trial = context;
    int rc = sim_memory_open(&trial->disk, &trial->keeper);
    WEIR_ASSERT(rc == 0);
    for (unsigned round = 0; round < WRITER_ROUNDS && !trial->failed; round++) {
        write_round(trial, round);
        if (!trial->failed) {
            judge_all(trial);
        }
    }
    if (!trial->failed) {
        trial->keeper->ops->destroy(trial->keeper);
    }
}

/* False: trial->failure says why. */
static bool run_seed(uint64_t seed, struct trial *trial, uint64_t *ret_trace)
{
    uint64_t blocks_before = base_alloc_in_use(), pages_before = base_pages_in_use();
    worker_numbers_restart(); /* who shares a slot with whom is part of the run */
    *trial = (struct trial){.seed = seed};
    base_prng_seed(&trial->prng, seed);
    oracle_begin(&trial->keys, &trial->prng);
    trial->keys.key_count = CROWD_ACCOUNTS + CROWD_COUNTERS + CROWD_OTHERS;
    trial->disk.asynchronous = base_prng_below(&trial->prng, 2) == 0;
    trial->disk.window_is_file = base_prng_below(&trial->prng, 2) == 0;
    if (trial->disk.window_is_file && base_prng_below(&trial->prng, 2) == 0) {
        trial->disk.block_bytes = 64;
    }
    struct sim_schedule schedule = {.seed = seed};
    sim_scheduler_run(&schedule, body, trial);
    trial->tally.switches = schedule.switches;
    *ret_trace = schedule.trace;
    oracle_end(&trial->keys);
    if (!trial->failed &&
        (base_alloc_in_use() != blocks_before || base_pages_in_use() != pages_before)) {
        fail_trial(trial, "a leak", "blocks or pages");
    }
    return !trial->failed;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void add_tally(struct tally *sum, const struct tally *one)
{
    sum->images += one->images;
    sum->recoveries += one->recoveries;
    sum->checkpoints += one->checkpoints;
    sum->compacted += one->compacted;
    sum->snapshots += one->snapshots;
    sum->switches += one->switches;
    sum->from_checkpoint += one->from_checkpoint;
}

static void o8_se_09_cd_11_after_any_power_cut_the_engine_is_the_fold_over_the_log(void **state)
{
    (void)state;
    static struct trial trial;
    struct tally sum = {0};
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", SEEDS);
    unsigned violations = 0;
    for (seed_now = first; seed_now < first + rounds; seed_now++) {
        uint64_t trace, again;
        if (!run_seed(seed_now, &trial, &trace)) {
            print_error("WEIR_SEED=%ju: %s\n", (uintmax_t)seed_now, trial.failure);
            violations++;
        } else if (seed_now % 8 == 0) {
            (void)run_seed(seed_now, &trial, &again);
            assert_int_equal(trace, again);
        }
        add_tally(&sum, &trial.tally);
    }
    printf("layer=engine-seeded seeds=%ju images=%ju recoveries=%ju from_checkpoint=%ju "
           "checkpoints=%ju compacted=%ju snapshots=%ju switches=%ju violations=%u seed=%ju\n",
           (uintmax_t)rounds, (uintmax_t)sum.images, (uintmax_t)sum.recoveries,
           (uintmax_t)sum.from_checkpoint, (uintmax_t)sum.checkpoints, (uintmax_t)sum.compacted,
           (uintmax_t)sum.snapshots, (uintmax_t)sum.switches, violations, (uintmax_t)first);
    assert_int_equal(violations, 0);
}

/* An assertion of the code under test says which seed it was. */
static void die(int signal_number)
{
    (void)fprintf(stderr, "WEIR_SEED=%ju: signal %d\n", (uintmax_t)seed_now, signal_number);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(o8_se_09_cd_11_after_any_power_cut_the_engine_is_the_fold_over_the_log),
    };
    (void)signal(SIGABRT, die);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
