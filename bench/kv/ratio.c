/*
 * What one is beside another: the ratio within a round, of which the median counts, because a
 * machine drifts by a quarter within minutes.
 */
#include "bench/kv/plan.h"

#include <math.h>
#include <stdlib.h>

/* The host took no more from either of the two. */
#define UNDISTURBED 0.02

struct values {
    unsigned count;
    double values[KV_ROUNDS_MAX];
};

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void add(struct values *to, double value)
{
    to->values[to->count++] = value;
}

static double median(struct values *of)
{
    qsort(of->values, of->count, sizeof of->values[0], ascending);
    return of->count > 0 ? of->values[of->count / 2] : (double)NAN;
}

double kv_median(const struct kv_contest *contest, unsigned index, unsigned store,
                 double (*value)(const struct kv_outcome *outcome))
{
    struct values found = {.count = 0};
    for (unsigned round = 0; round < contest->done; round++) {
        const struct kv_outcome *outcome = kv_contest_at(contest, round, index, store);
        if (outcome->measured) {
            add(&found, value(outcome));
        }
    }
    return median(&found);
}

/* The greater the better. */
static double score(enum kv_action action, const struct kv_outcome *outcome)
{
    switch (action) {
    case KV_OPEN:
        return 1.0 / outcome->first_get_s;
    case KV_MEMORY:
        return 1.0 / (double)(outcome->anonymous_bytes + 1);
    case KV_PUT:
    case KV_FILL:
    case KV_GET:
    case KV_SCAN:
    case KV_MIXED:
    default:
        return outcome->per_s;
    }
}

struct kv_ratio kv_ratio(const struct kv_contest *contest, const struct kv_beside *which)
{
    struct values all = {.count = 0}, by_cpu = {.count = 0}, undisturbed = {.count = 0};
    enum kv_action action = contest->cases[which->index].action;
    for (unsigned round = 0; round < contest->done; round++) {
        const struct kv_outcome *one = kv_contest_at(contest, round, which->index, which->store);
        const struct kv_outcome *other =
            kv_contest_at(contest, round, which->other_index, which->other_store);
        if (!one->measured || !other->measured) {
            continue;
        }
        double ratio = score(action, one) / score(action, other);
        add(&all, ratio);
        if (one->stolen <= UNDISTURBED && other->stolen <= UNDISTURBED) {
            add(&undisturbed, ratio);
        }
        if (one->cpu_ns > 0.0) {
            add(&by_cpu, other->cpu_ns / one->cpu_ns);
        }
    }
    return (struct kv_ratio){.rounds = all.count,
                             .undisturbed_rounds = undisturbed.count,
                             .all = median(&all),
                             .undisturbed = median(&undisturbed),
                             .by_cpu = median(&by_cpu)};
}
