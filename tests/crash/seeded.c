/*
 * A run from a seed: random workloads of several threads on a simulated disk, the power cut at
 * random calls, also while recovery runs, with any subset of what was not flushed surviving, torn.
 *
 * Happy path of one writer: open; everything that was promised before is there; the workload,
 * during which some calls are power cuts; each image of a cut is verified, read, recovered with
 * further cuts, and judged. The next writer goes on with one of the images, or where this one
 * stopped.
 *
 * What may go wrong is the run's trouble: a full disk, a call that fails once or from then on, or a
 * device that reports a write as done and loses, shortens or misplaces it. Then a refusal is right,
 * and what is shown must still be right.
 */
#include "tests/crash/seeded.h"

#include "tests/crash/seeded_run.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "sim/image.h"
#include "sim/scheduler.h"

#include <stdio.h>

/* ---- one writer ---- */

static unsigned draw(struct plan *plan, unsigned bound)
{
    return (unsigned)base_prng_below(&plan->prng, bound);
}

static unsigned at_most(unsigned drawn, unsigned limit)
{
    return drawn < limit ? drawn : limit;
}

static void draw_watch(struct plan *plan, struct watch *watch, uint64_t most)
{
    *watch = (struct watch){.plan = plan};
    base_prng_seed(&watch->prng, base_prng_next(&plan->prng));
    for (unsigned i = 0; i < IMAGES_MAX; i++) {
        uint64_t at = base_prng_below(&plan->prng, most);
        watch->cut_at[i] = i < plan->limits->cuts ? at : UINT64_MAX;
    }
    uint64_t fail_at = 1 + base_prng_below(&plan->prng, most);
    if (plan->trouble == TROUBLE_CALL_ONCE || plan->trouble == TROUBLE_CALL_STAYS) {
        watch->fail_at = fail_at;
    }
}

static void run_workload(struct plan *plan, struct weir_log *log)
{
    const struct seeded_limits *limits = plan->limits;
    struct torture torture = {
        .referee = plan->referee,
        .log = log,
        .seed = base_prng_next(&plan->prng),
        .threads = at_most(1 + draw(plan, 4), limits->threads),
        .tailers = at_most(draw(plan, 2), limits->tailers),
        .ops = at_most(10 + draw(plan, 150), limits->ops),
        .payload_max = at_most(15000, limits->payload),
        .truncates = draw(plan, 2) == 0 && limits->truncates > 0,
        .compacts = draw(plan, 2) == 0 && limits->compacts > 0,
        .faults = plan->trouble >= TROUBLE_CALL_ONCE,
    };
    torture_run(&torture);
}

static bool is_quiet(const struct plan *plan, const struct watch *watch, int rc)
{
    return seeded_tolerates(plan, rc) || watch->fails != NULL || plan->lied;
}

static void write_round(struct plan *plan, struct weir_medium *keeper, struct watch *watch)
{
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    uint64_t fail_at = watch->fail_at; /* in opening, or behind it */
    if (draw(plan, 4) != 0) {
        watch->fail_at = 0;
    }
    int rc = seeded_open(plan, keeper, 0, watch, &log, &why);
    if (rc < 0) {
        if (!is_quiet(plan, watch, rc)) {
            referee_fail(plan->referee, "a writer is refused: %d %s", rc, why.text);
        }
        return;
    }
    struct referee_facts facts = referee_facts(plan->referee);
    facts.cut_tried = UINT64_MAX;
    facts.horizon_tried = UINT64_MAX;
    watch->fail_at = 0;
    if (watch->fails == NULL && !plan->lied) {
        weir_lsn latest = referee_judge(plan->referee, log, &facts);
        referee_next_round(plan->referee, log, latest);
        watch->fail_at = fail_at != 0 ? atomic_load(&watch->calls) + 1 + fail_at / 4 : 0;
        run_workload(plan, log);
    }
    rc = weir_log_close(log);
    if (!is_quiet(plan, watch, rc)) {
        referee_fail(plan->referee, "close: %s", weir_error_name(rc));
    }
}

/* The power fails once more when the writer is done with: whatever it left half done is torn. */
static struct weir_medium *cut_at_the_end(struct plan *plan, struct weir_medium *keeper)
{
    struct watch watch = {.plan = plan, .medium = keeper};
    base_prng_seed(&watch.prng, base_prng_next(&plan->prng));
    watch_cut_power(&watch);
    WEIR_ASSERT(watch.image_count == 1);
    keeper->ops->destroy(keeper);
    return watch.images[0].medium;
}

static void judge_images(struct plan *plan, struct watch *watch)
{
    for (unsigned i = 0; i < watch->image_count; i++) {
        if (plan->lied) {
            seeded_judge_lied(plan, &watch->images[i]);
        } else {
            seeded_judge(plan, &watch->images[i]);
        }
        if (atomic_load(&plan->referee->failures) > 0) {
            referee_fail(plan->referee, "(image %u)", i);
            return;
        }
    }
}

/* Returns the disk that the next round goes on with. */
static struct weir_medium *one_round(struct plan *plan, struct weir_medium *keeper)
{
    struct watch watch;
    struct referee *referee = plan->referee;
    draw_watch(plan, &watch, 40 + base_prng_below(&plan->prng, 1200));
    write_round(plan, keeper, &watch);
    plan->result->trace = sim_digest(plan->result->trace, sim_memory_trace(keeper));
    bool fails = watch.fails != NULL;
    if (plan->lied || (fails && draw(plan, 2) == 0)) {
        keeper = cut_at_the_end(plan, keeper);
    }
    if (atomic_load(&referee->failures) == 0) {
        judge_images(plan, &watch);
    }
    if (plan->lied && atomic_load(&referee->failures) == 0) {
        struct image_of_crash end = {keeper, referee_facts(referee)};
        seeded_judge_lied(plan, &end);
    }
    unsigned chosen = draw(plan, watch.image_count + 1);
    if (chosen < watch.image_count && atomic_load(&referee->failures) == 0) {
        struct image_of_crash *image = &watch.images[chosen];
        keeper->ops->destroy(keeper);
        keeper = image->medium;
        image->medium = NULL;
        atomic_store(&referee->acknowledged, image->facts.acknowledged);
        atomic_store(&referee->witnessed, image->facts.witnessed);
        atomic_store(&referee->cut_done, image->facts.cut_done);
        atomic_store(&referee->compactions, image->facts.compactions);
    }
    for (unsigned i = 0; i < watch.image_count; i++) {
        if (watch.images[i].medium != NULL) {
            watch.images[i].medium->ops->destroy(watch.images[i].medium);
        }
    }
    return keeper;
}

/* ---- the run ---- */

static void draw_disk(struct plan *plan)
{
    struct sim_memory_options *disk = &plan->disk;
    disk->block_bytes = draw(plan, 3) == 0 ? 64 : 4096;
    disk->window_is_file = disk->block_bytes == 64 || draw(plan, 3) == 0;
    disk->asynchronous = draw(plan, 2) == 0;
    disk->queue_depth = 1u << draw(plan, 4);
    disk->watchful = draw(plan, 4) == 0;
    disk->failures_lose = draw(plan, 2) == 0;
    disk->chance = &plan->chance;
    unsigned kind = draw(plan, 10);
    plan->trouble = kind < 4 ? TROUBLE_NONE : (enum trouble)(kind % TROUBLE_KINDS);
    plan->lies_left = 1 + draw(plan, 4) / 3;
    if (plan->limits->troubles == 0) {
        plan->trouble = TROUBLE_NONE;
    }
    uint64_t room = (3 + draw(plan, 4)) * SMALL_SEGMENT;
    disk->capacity_bytes = plan->trouble == TROUBLE_FULL ? room : 0;
}

static void draw_log(struct plan *plan)
{
    struct weir_log_options *log = &plan->log;
    *log = (struct weir_log_options)WEIR_LOG_OPTIONS_INIT;
    log->segment_bytes = (SMALL_SEGMENT / 4) << draw(plan, 4);
    log->run_ahead_bytes = (64u << 10) << draw(plan, 3);
    if (log->run_ahead_bytes > log->segment_bytes) {
        log->run_ahead_bytes = log->segment_bytes;
    }
    log->group_bytes = 16u << 10;
    log->spare_segments = draw(plan, 3);
    log->witness = (enum weir_witness)draw(plan, 3);
    log->idle_ns = 200000;
    bool service = log->witness == WEIR_WITNESS_IDLE || draw(plan, 3) == 0;
    log->flags = service ? WEIR_LOG_SERVICE_THREAD : 0;
}

static void run_writers(void *context)
{
    struct plan *plan = context;
    struct weir_medium *keeper;
    struct sim_memory_options options = plan->disk;
    int rc = sim_memory_open(&options, &keeper);
    WEIR_ASSERT(rc == 0);
    for (unsigned i = 0;
         i < plan->limits->writers && !plan->lied && atomic_load(&plan->referee->failures) == 0;
         i++) {
        keeper = one_round(plan, keeper);
    }
    keeper->ops->destroy(keeper);
}

static void describe_failure(const struct plan *plan, struct seeded_result *result)
{
    result->failed = true;
    (void)snprintf(
        result->failure, sizeof result->failure,
        "block %u, file %d, asynchronous %d, depth %u, loses %d, trouble %d, witness %d, "
        "service %d: %s",
        plan->disk.block_bytes, plan->disk.window_is_file, plan->disk.asynchronous,
        plan->disk.queue_depth, plan->disk.failures_lose, plan->trouble, plan->log.witness,
        (plan->log.flags & WEIR_LOG_SERVICE_THREAD) != 0, plan->referee->failure);
}

struct seeded_result seeded_run(uint64_t seed, const struct seeded_limits *limits)
{
    uint64_t blocks_before = base_alloc_in_use();
    struct seeded_result result = {0};
    struct plan plan = {.limits = limits, .result = &result, .referee = referee_new()};
    struct sim_schedule schedule = {.seed = seed};
    base_prng_seed(&plan.prng, seed);
    base_prng_seed(&plan.chance, seed + 1);
    draw_disk(&plan);
    draw_log(&plan);
    schedule.stay = 1 + draw(&plan, 15);
    sim_scheduler_run(&schedule, run_writers, &plan);
    result.trace = sim_digest(result.trace, schedule.trace);
    result.switches = schedule.switches;
    result.compactions = atomic_load(&plan.referee->compaction_steps);
    if (atomic_load(&plan.referee->failures) > 0) {
        describe_failure(&plan, &result);
    } else if (base_alloc_in_use() != blocks_before) {
        result.failed = true;
        (void)snprintf(result.failure, sizeof result.failure, "leaks %jd blocks",
                       (intmax_t)(base_alloc_in_use() - blocks_before));
    }
    referee_free(plan.referee);
    return result;
}
