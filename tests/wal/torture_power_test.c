/*
 * Power cuts: random workloads of several threads on the memory medium, the power cut at random
 * calls, also while recovery runs, with any subset of what was not flushed surviving.
 *
 * WEIR_DEEP_ROUNDS sets the number of seeds, WEIR_SEED the first.
 */
#include "tests/wal/torture.h"

#include "base/alloc.h"
#include "base/system.h"
#include "sim/memory_medium.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGES_MAX 4u
#define ROUNDS 3u /* writers of each log */
#define HANG_S 60u
#define BAD_MAX 10u

/* A power cut looks at memory while it is being written: that is what it is for. */
const char *__tsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__tsan_default_suppressions(void)
{
    return "race:sim_disk_survive\n";
}

/* What the power cut left, and what must be in it. */
struct image_of_crash {
    struct weir_medium *medium; /* keeps the disk */
    struct referee_facts facts;
};

enum trouble {
    TROUBLE_NONE,
    TROUBLE_FULL,       /* a small disk */
    TROUBLE_CALL_ONCE,  /* the n-th call fails */
    TROUBLE_CALL_STAYS, /* and all like it from then on */
    TROUBLE_KINDS,
};

struct plan {
    uint64_t seed;
    struct base_prng prng;
    struct referee *referee;
    struct sim_memory_options disk;
    struct weir_log_options log;
    enum trouble trouble;
};

/* Watches the calls of one run: cuts the power at some of them, makes others fail. */
struct watch {
    struct plan *plan;
    struct weir_medium *medium;
    struct base_lock lock;
    struct base_prng prng;
    _Atomic uint64_t calls;
    uint64_t cut_at[IMAGES_MAX];
    struct image_of_crash images[IMAGES_MAX];
    unsigned image_count;
    _Atomic uint64_t fail_at;
    const char *fails; /* the call that failed first */
    bool dies;         /* at the first cut: all further calls fail */
    _Atomic bool dead;
    double keep;
};

static bool keep_by_chance(void *context, const char *name, uint64_t offset)
{
    (void)name;
    (void)offset;
    struct watch *watch = context;
    return base_prng_unit(&watch->prng) < watch->keep;
}

static void cut_power(struct watch *watch)
{
    struct image_of_crash *image = &watch->images[watch->image_count];
    image->facts = referee_facts(watch->plan->referee);
    static const double keeps[] = {0, 0.1, 0.5, 0.9, 1};
    watch->keep = keeps[base_prng_below(&watch->prng, 5)];
    if (sim_memory_crash(watch->medium, keep_by_chance, watch, &image->medium) == 0) {
        image->facts.cut_tried = atomic_load(&watch->plan->referee->cut_tried);
        watch->image_count++;
    }
}

/* Calls that change nothing cannot fail on a real system in a way that matters here. */
static bool can_fail(const char *call)
{
    return strcmp(call, "close") != 0 && strcmp(call, "window_close") != 0 &&
           strcmp(call, "unmap") != 0 && strcmp(call, "copy") != 0 && strcmp(call, "clean") != 0;
}

static int before_call(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)name;
    (void)offset;
    (void)size;
    struct watch *watch = context;
    if (atomic_load(&watch->dead)) {
        return -EIO;
    }
    uint64_t number = atomic_fetch_add(&watch->calls, 1);
    int rc = 0;
    base_lock_acquire(&watch->lock);
    for (unsigned i = 0; i < IMAGES_MAX; i++) {
        if (number == watch->cut_at[i] && watch->image_count < IMAGES_MAX) {
            cut_power(watch);
            if (watch->dies) {
                atomic_store(&watch->dead, true);
                rc = -EIO;
            }
        }
    }
    if (rc == 0 && watch->fail_at != 0 && number >= watch->fail_at && can_fail(call)) {
        bool again = watch->fails != NULL && watch->plan->trouble == TROUBLE_CALL_STAYS &&
                     strcmp(call, watch->fails) == 0;
        if (watch->fails == NULL || again) {
            watch->fails = call;
            rc = -EIO;
        }
    }
    base_lock_release(&watch->lock);
    return rc;
}

/* ---- completions one by one, in any order ---- */

static struct base_prng poll_prng;
static struct weir_medium_ops shuffled_ops[2];

static int shuffled_poll(struct weir_medium *medium, struct weir_completion *ret, int max,
                         int64_t timeout_ns)
{
    struct sim_memory *self = (struct sim_memory *)medium;
    uint64_t draw = base_prng_next(&poll_prng); /* one leader at a time */
    self->options.reversed = (draw & 1) != 0;
    if (timeout_ns == 0 && (draw & 6) == 0) {
        return 0;
    }
    return sim_window_poll(medium, ret, (draw & 24) == 0 ? max : 1, timeout_ns);
}

static void shuffle(struct weir_medium *medium)
{
    struct sim_memory *self = (struct sim_memory *)medium;
    struct weir_medium_ops *ops = &shuffled_ops[self->options.block_bytes == 64];
    *ops = *medium->ops;
    ops->poll = shuffled_poll;
    medium->ops = ops;
}

/* ---- the log ---- */

static int open_on(struct plan *plan, struct weir_medium *keeper, uint32_t flags,
                   struct watch *watch, struct weir_log **ret_log, struct weir_error *why)
{
    struct sim_memory_options options = plan->disk;
    options.disk = sim_memory_disk(keeper);
    options.read_only = (flags & WEIR_LOG_READ_ONLY) != 0;
    if (watch != NULL) {
        options.faults = (struct sim_memory_faults){before_call, watch};
    }
    struct weir_medium *medium;
    assert_int_equal(sim_memory_open(&options, &medium), 0);
    if (options.asynchronous) {
        shuffle(medium);
    }
    if (watch != NULL) {
        watch->medium = keeper;
    }
    uint64_t size;
    struct weir_log_options own = plan->log;
    own.flags = (own.flags | WEIR_LOG_CREATE | flags);
    if ((flags & WEIR_LOG_READ_ONLY) != 0) {
        own.flags = WEIR_LOG_READ_ONLY;
    }
    own.medium = WEIR_MEDIUM_CUSTOM;
    own.custom_medium = medium;
    if (sim_memory_bytes(keeper, "CONTROL", false, &size) != NULL) {
        own.segment_bytes = own.run_ahead_bytes = own.group_bytes = own.record_bytes = 0;
    }
    return weir_log_open("memory", &own, ret_log, why);
}

static struct weir_medium *medium_on(struct plan *plan, struct weir_medium *keeper, bool read_only)
{
    struct sim_memory_options options = plan->disk;
    options.disk = sim_memory_disk(keeper);
    options.read_only = read_only;
    struct weir_medium *medium;
    assert_int_equal(sim_memory_open(&options, &medium), 0);
    return medium;
}

static int note_finding(void *context, const struct weir_finding *finding)
{
    if (strstr(finding->text, "the other is enough") != NULL) {
        return 0; /* a header that was torn in one copy: said, and nothing is lost */
    }
    referee_fail(context, "verify: %s at %ju of %s: %s", finding->code, (uintmax_t)finding->offset,
                 finding->file, finding->text);
    return 0;
}

static void verify(struct plan *plan, struct weir_medium *keeper, const struct referee_facts *facts)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    options.custom_medium = medium_on(plan, keeper, true);
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    int rc = weir_verify("memory", &options, note_finding, plan->referee, &report, NULL);
    if (rc < 0 || (rc == 0 && (!report.ok || report.latest < facts->acknowledged))) {
        if (rc == 0 && report.earliest == 0 && report.latest == 0) {
            return; /* empty */
        }
        referee_fail(plan->referee, "verify: %s, ok %d, latest %ju of %ju", weir_error_name(rc),
                     report.ok, (uintmax_t)report.latest, (uintmax_t)facts->acknowledged);
    }
}

/* A reader alone: shows what the next writer keeps, over a power cut, too. */
static void look(struct plan *plan, struct image_of_crash *image)
{
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = open_on(plan, image->medium, WEIR_LOG_READ_ONLY, NULL, &log, &why);
    if (rc < 0) {
        referee_fail(plan->referee, "a reader is refused: %s", why.text);
        return;
    }
    weir_lsn shown = referee_judge(plan->referee, log, &image->facts);
    image->facts.acknowledged =
        shown > image->facts.acknowledged ? shown : image->facts.acknowledged;
    assert_int_equal(weir_log_close(log), 0);
}

static void again_without_power(struct plan *plan, struct image_of_crash *image)
{
    struct watch watch = {.plan = plan, .medium = image->medium};
    watch.prng = plan->prng;
    (void)base_prng_next(&plan->prng);
    struct referee_facts facts = image->facts;
    cut_power(&watch);
    image->medium->ops->destroy(image->medium);
    assert_int_equal(watch.image_count, 1);
    *image = watch.images[0];
    image->facts = facts;
}

static bool tolerates(const struct plan *plan, int rc)
{
    return rc == 0 || (plan->trouble == TROUBLE_FULL && rc == -ENOSPC);
}

/* Recovery that dies at a random call: what is left must be as good. */
static void interrupt_recovery(struct plan *plan, struct image_of_crash *image)
{
    struct watch watch = {.plan = plan, .dies = true};
    base_prng_seed(&watch.prng, base_prng_next(&plan->prng));
    for (unsigned i = 1; i < IMAGES_MAX; i++) {
        watch.cut_at[i] = UINT64_MAX;
    }
    watch.cut_at[0] = base_prng_below(&plan->prng, 120);
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    struct referee_facts facts = image->facts;
    enum trouble trouble = plan->trouble;
    plan->trouble = TROUBLE_NONE;
    int rc = open_on(plan, image->medium, 0, &watch, &log, &why);
    plan->trouble = trouble;
    if (rc == 0) {
        (void)weir_log_close(log);
    } else if (rc != -EIO && rc != WEIR_E_POISONED && !atomic_load(&watch.dead) &&
               !tolerates(plan, rc)) {
        referee_fail(plan->referee, "a writer is refused: %s", why.text);
    }
    if (watch.image_count == 0) {
        return;
    }
    image->medium->ops->destroy(image->medium);
    *image = watch.images[0];
    image->facts = facts;
}

/* Everything that may happen between the power cut and the next writer, then what it finds. */
static void judge_image(struct plan *plan, struct image_of_crash *image)
{
    uint64_t size;
    if (sim_memory_bytes(image->medium, "CONTROL", false, &size) != NULL) {
        verify(plan, image->medium, &image->facts);
        if (base_prng_below(&plan->prng, 2) == 0) {
            look(plan, image);
        }
        if (base_prng_below(&plan->prng, 2) == 0) {
            again_without_power(plan, image);
        }
    } else if (image->facts.acknowledged > 0) {
        referee_fail(plan->referee, "CONTROL is gone");
    }
    while (base_prng_below(&plan->prng, 2) == 0) {
        interrupt_recovery(plan, image);
    }
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = open_on(plan, image->medium, 0, NULL, &log, &why);
    if (rc < 0) {
        if (!tolerates(plan, rc)) {
            referee_fail(plan->referee, "a writer is refused: %d %s", rc, why.text);
        }
        return;
    }
    (void)referee_judge(plan->referee, log, &image->facts);
    rc = weir_log_close(log);
    if (!tolerates(plan, rc)) {
        referee_fail(plan->referee, "close: %s", weir_error_name(rc));
    }
}

/* ---- a round ---- */

static void draw_watch(struct plan *plan, struct watch *watch, uint64_t most)
{
    *watch = (struct watch){.plan = plan};
    base_prng_seed(&watch->prng, base_prng_next(&plan->prng));
    for (unsigned i = 0; i < IMAGES_MAX; i++) {
        watch->cut_at[i] = base_prng_below(&plan->prng, most);
    }
    if (plan->trouble == TROUBLE_CALL_ONCE || plan->trouble == TROUBLE_CALL_STAYS) {
        watch->fail_at = 1 + base_prng_below(&plan->prng, most);
    }
}

static void run_workload(struct plan *plan, struct weir_log *log)
{
    struct torture torture = {
        .referee = plan->referee,
        .log = log,
        .seed = base_prng_next(&plan->prng),
        .threads = 1 + (unsigned)base_prng_below(&plan->prng, 4),
        .tailers = (unsigned)base_prng_below(&plan->prng, 2),
        .ops = 10 + (unsigned)base_prng_below(&plan->prng, 150),
        .payload_max = 15000,
        .truncates = base_prng_below(&plan->prng, 2) == 0,
        .faults = plan->trouble >= TROUBLE_CALL_ONCE,
    };
    torture_run(&torture);
}

static void write_round(struct plan *plan, struct weir_medium *keeper, struct watch *watch)
{
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    uint64_t fail_at = watch->fail_at; /* in opening, or behind it */
    if (base_prng_below(&plan->prng, 4) != 0) {
        watch->fail_at = 0;
    }
    int rc = open_on(plan, keeper, 0, watch, &log, &why);
    if (rc < 0) {
        if (!tolerates(plan, rc) && watch->fails == NULL) {
            referee_fail(plan->referee, "a writer is refused: %d %s", rc, why.text);
        }
        return;
    }
    struct referee_facts facts = referee_facts(plan->referee);
    facts.cut_tried = UINT64_MAX;
    watch->fail_at = 0;
    if (watch->fails == NULL) {
        weir_lsn latest = referee_judge(plan->referee, log, &facts);
        referee_next_round(plan->referee, log, latest);
        watch->fail_at = fail_at != 0 ? atomic_load(&watch->calls) + 1 + fail_at / 4 : 0;
        run_workload(plan, log);
    }
    rc = weir_log_close(log);
    if (!tolerates(plan, rc) && watch->fails == NULL) {
        referee_fail(plan->referee, "close: %s", weir_error_name(rc));
    }
}

/* The memory medium does not flush what was in flight when a call failed, as a device would: only
 * what power loss leaves is a state that a real one can be in. */
static struct weir_medium *settle_failure(struct plan *plan, struct watch *watch,
                                          struct weir_medium *keeper)
{
    if (watch->fails == NULL) {
        return keeper;
    }
    struct image_of_crash now = {.medium = keeper};
    again_without_power(plan, &now);
    return now.medium;
}

/* Returns the disk that the next round goes on with. */
static struct weir_medium *one_round(struct plan *plan, struct weir_medium *keeper)
{
    struct watch watch;
    draw_watch(plan, &watch, 40 + base_prng_below(&plan->prng, 1200));
    write_round(plan, keeper, &watch);
    keeper = settle_failure(plan, &watch, keeper);
    if (atomic_load(&plan->referee->failures) > 0) {
        goto out;
    }
    unsigned chosen = watch.image_count > 0
                          ? (unsigned)base_prng_below(&plan->prng, watch.image_count + 1)
                          : watch.image_count;
    for (unsigned i = 0; i < watch.image_count; i++) {
        judge_image(plan, &watch.images[i]);
        if (atomic_load(&plan->referee->failures) > 0) {
            printf("image %u of %u, cut at call %ju\n", i, watch.image_count,
                   (uintmax_t)watch.cut_at[i]);
            break;
        }
    }
    if (chosen < watch.image_count) {
        keeper->ops->destroy(keeper);
        keeper = watch.images[chosen].medium;
        atomic_store(&plan->referee->acknowledged, watch.images[chosen].facts.acknowledged);
        atomic_store(&plan->referee->cut_done, watch.images[chosen].facts.cut_done);
        watch.images[chosen].medium = NULL;
    }
out:
    for (unsigned i = 0; i < watch.image_count; i++) {
        if (watch.images[i].medium != NULL) {
            watch.images[i].medium->ops->destroy(watch.images[i].medium);
        }
    }
    return keeper;
}

static void draw_plan(struct plan *plan, uint64_t seed)
{
    struct referee *referee = plan->referee;
    *plan = (struct plan){.seed = seed, .referee = referee};
    struct base_prng *prng = &plan->prng;
    base_prng_seed(prng, seed);
    base_prng_seed(&poll_prng, seed + 1);
    plan->disk.block_bytes = base_prng_below(prng, 3) == 0 ? 64 : 4096;
    plan->disk.window_is_file = plan->disk.block_bytes == 64 || base_prng_below(prng, 3) == 0;
    plan->disk.asynchronous = base_prng_below(prng, 2) == 0;
    plan->disk.queue_depth = 1u << base_prng_below(prng, 4);
    uint64_t kind = base_prng_below(prng, 8);
    plan->trouble = kind < 4 ? TROUBLE_NONE : (enum trouble)(kind % TROUBLE_KINDS);
    if (plan->trouble == TROUBLE_FULL) {
        plan->disk.capacity_bytes = (3 + base_prng_below(prng, 4)) * SMALL_SEGMENT;
    }
    plan->log = (struct weir_log_options)WEIR_LOG_OPTIONS_INIT;
    plan->log.segment_bytes = SMALL_SEGMENT << base_prng_below(prng, 2);
    plan->log.run_ahead_bytes = (64u << 10) << base_prng_below(prng, 3);
    plan->log.group_bytes = 16u << 10;
    plan->log.spare_segments = base_prng_below(prng, 3);
    plan->log.witness = (enum weir_witness)base_prng_below(prng, 3);
    plan->log.idle_ns = 200000;
    bool service = plan->log.witness == WEIR_WITNESS_IDLE || base_prng_below(prng, 3) == 0;
    plan->log.flags = service ? WEIR_LOG_SERVICE_THREAD : 0;
}

static bool run_seed(struct referee *referee, uint64_t seed)
{
    struct plan plan = {.referee = referee};
    draw_plan(&plan, seed);
    struct weir_medium *keeper;
    struct sim_memory_options options = plan.disk;
    assert_int_equal(sim_memory_open(&options, &keeper), 0);
    for (unsigned round = 0; round < ROUNDS && atomic_load(&referee->failures) == 0; round++) {
        keeper = one_round(&plan, keeper);
    }
    keeper->ops->destroy(keeper);
    if (atomic_load(&referee->failures) > 0) {
        print_error("seed %ju (depth %u, block %u, file %d, async %d, trouble %d, witness %d, "
                    "service %d): %s\n",
                    (uintmax_t)seed, plan.disk.queue_depth, plan.disk.block_bytes,
                    plan.disk.window_is_file, plan.disk.asynchronous, plan.trouble,
                    plan.log.witness, (plan.log.flags & WEIR_LOG_SERVICE_THREAD) != 0,
                    referee->failure);
        return false;
    }
    if (base_alloc_in_use() != 0) {
        print_error("seed %ju leaks %ju blocks\n", (uintmax_t)seed, (uintmax_t)base_alloc_in_use());
        return false;
    }
    return true;
}

static void wl_03_what_was_acknowledged_survives_power_cuts_at_any_call(void **state)
{
    (void)state;
    uint64_t first = torture_number("WEIR_SEED", 1);
    uint64_t rounds = torture_number("WEIR_DEEP_ROUNDS", 150);
    unsigned bad = 0;
    for (uint64_t seed = first; seed < first + rounds && bad < BAD_MAX; seed++) {
        alarm(HANG_S);
        struct referee *referee = referee_new();
        bad += run_seed(referee, seed) ? 0 : 1;
        referee_free(referee);
    }
    alarm(0);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_03_what_was_acknowledged_survives_power_cuts_at_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
