/*
 * The watch over one writer: counts the calls of its medium, cuts the power at some, makes others
 * fail, and has a device lie.
 *
 * Invariant: all that is drawn comes from the plan's seed, in the order in which the scheduler lets
 * the threads come by.
 */
#include "tests/crash/seeded_run.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

static uint64_t keep_by_chance(void *context, const char *name, uint64_t offset)
{
    (void)name;
    (void)offset;
    struct watch *watch = context;
    if (watch->tears && base_prng_below(&watch->prng, 8) == 0) {
        return base_prng_next(&watch->prng);
    }
    return base_prng_unit(&watch->prng) < watch->keep ? UINT64_MAX : 0;
}

void watch_cut_power(struct watch *watch)
{
    struct image_of_crash *image = &watch->images[watch->image_count];
    image->facts = referee_facts(watch->plan->referee);
    static const double keeps[] = {0, 0.1, 0.5, 0.9, 1};
    watch->keep = keeps[base_prng_below(&watch->prng, 5)];
    watch->tears = base_prng_below(&watch->prng, 2) == 0;
    watch->plan->result->images++;
    if (sim_memory_cut(watch->medium, keep_by_chance, watch, &image->medium) == 0) {
        image->facts.cut_tried = atomic_load(&watch->plan->referee->cut_tried);
        image->facts.horizon_tried = atomic_load(&watch->plan->referee->horizon_tried);
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
    watch->plan->result->calls++;
    int rc = 0;
    base_lock_acquire(&watch->lock);
    for (unsigned i = 0; i < IMAGES_MAX; i++) {
        if (number == watch->cut_at[i] && watch->image_count < IMAGES_MAX) {
            watch_cut_power(watch);
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
            watch->plan->result->failures_injected++;
            rc = -EIO;
        }
    }
    base_lock_release(&watch->lock);
    return rc;
}

/* One write of a run, sometimes several, does not arrive where it was sent. */
static void misplace(void *context, const char *name, uint64_t *offset, size_t *size)
{
    struct watch *watch = context;
    struct plan *plan = watch->plan;
    (void)name;
    if (plan->lies_left == 0 || base_prng_below(&plan->chance, 24) != 0) {
        return;
    }
    plan->lies_left--;
    plan->lied = true;
    plan->result->lies_told++;
    uint64_t kind = base_prng_below(&plan->chance, 3);
    if (kind == 0) {
        *size = 0;
    } else if (kind == 1) {
        *size = (size_t)base_prng_below(&plan->chance, *size / 512) * 512;
    } else {
        uint64_t away = (1 + base_prng_below(&plan->chance, 8)) * 4096;
        *offset = *offset >= away ? *offset - away : *offset;
    }
}

/* ---- the log ---- */

int seeded_open(struct plan *plan, struct weir_medium *keeper, uint32_t flags, struct watch *watch,
                struct weir_log **ret_log, struct weir_error *why)
{
    struct sim_memory_options options = plan->disk;
    options.disk = sim_memory_disk(keeper);
    options.read_only = (flags & WEIR_LOG_READ_ONLY) != 0;
    if (watch != NULL) {
        options.faults = (struct sim_memory_faults){.before = before_call, .context = watch};
    }
    if (plan->trouble == TROUBLE_LIES && watch != NULL && !watch->dies) {
        options.misplace = misplace;
    }
    struct weir_medium *medium;
    int opened = sim_memory_open(&options, &medium);
    WEIR_ASSERT(opened == 0);
    plan->result->recoveries++;
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

struct weir_medium *seeded_medium_on(struct plan *plan, struct weir_medium *keeper, bool read_only)
{
    struct sim_memory_options options = plan->disk;
    options.disk = sim_memory_disk(keeper);
    options.read_only = read_only;
    struct weir_medium *medium;
    int opened = sim_memory_open(&options, &medium);
    WEIR_ASSERT(opened == 0);
    return medium;
}
