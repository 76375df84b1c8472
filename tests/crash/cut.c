/*
 * Enumerating crash images.
 *
 * A cut asks about one piece after the other, and what it asks may depend on the answers: a file
 * whose name is lost is not asked about. So subsets are walked as a tree of answers, depth first:
 * the answers of the last cut up to its last "lost" that can become "kept", and then whatever
 * comes.
 */
#include "tests/crash/cut.h"

#include "base/assert.h"

#include <string.h>

#define BLOCK_BYTES 4096u

static uint64_t answer_tree(struct cut_plan *plan)
{
    WEIR_ASSERT(plan->asked <= plan->depth);
    if (plan->asked == plan->depth) {
        WEIR_ASSERT(plan->depth < CUT_PIECES_MAX);
        plan->answers[plan->depth++] = false;
    }
    return plan->answers[plan->asked] ? UINT64_MAX : 0;
}

static uint64_t answer_random(struct cut_plan *plan)
{
    bool torn = plan->kind == CUT_RANDOM_TORN && base_prng_below(&plan->prng, 8) == 0;
    if (torn) {
        return base_prng_next(&plan->prng);
    }
    return base_prng_below(&plan->prng, 8) < plan->density ? UINT64_MAX : 0;
}

static uint64_t answer(struct cut_plan *plan)
{
    unsigned at = plan->asked;
    switch (plan->kind) {
    case CUT_TREE:
    case CUT_TREE_OF_BLOCKS:
        return answer_tree(plan);
    case CUT_ALL:
        return UINT64_MAX;
    case CUT_NONE:
        return 0;
    case CUT_ONE_KEPT:
        return at == plan->first ? UINT64_MAX : 0;
    case CUT_ONE_LOST:
        return at == plan->first ? 0 : UINT64_MAX;
    case CUT_TWO_KEPT:
        return at == plan->first || at == plan->second ? UINT64_MAX : 0;
    case CUT_ONE_TORN:
        return at < plan->first ? UINT64_MAX : at > plan->first ? 0 : base_prng_next(&plan->prng);
    case CUT_RANDOM:
    case CUT_RANDOM_TORN:
        return answer_random(plan);
    case CUT_END:
        break;
    }
    WEIR_UNREACHABLE();
}

static bool is_same_block(const struct cut_plan *plan, const char *name, uint64_t offset)
{
    return plan->has_last && offset < SIM_MEMORY_SIZE && plan->last_block == offset / BLOCK_BYTES &&
           strcmp(plan->last_name, name) == 0;
}

static uint64_t choose(void *context, const char *name, uint64_t offset)
{
    struct cut_plan *plan = context;
    bool same = is_same_block(plan, name, offset);
    plan->has_last = offset < SIM_MEMORY_SIZE;
    plan->last_name = name;
    plan->last_block = offset / BLOCK_BYTES;
    if (same && plan->kind == CUT_TREE_OF_BLOCKS) {
        return plan->last_answer;
    }
    plan->blocks += same ? 0 : 1;
    plan->last_answer = answer(plan);
    plan->asked++;
    return plan->last_answer;
}

static struct weir_medium *cut(struct cut_plan *plan)
{
    struct weir_medium *image;
    plan->asked = plan->blocks = 0;
    plan->has_last = false;
    int rc = sim_memory_cut(plan->medium, choose, plan, &image);
    WEIR_ASSERT(rc == 0);
    return image;
}

void cut_begin(struct cut_plan *plan, struct weir_medium *medium)
{
    plan->medium = medium;
    base_prng_seed(&plan->prng, plan->seed);
    plan->kind = CUT_ALL;
    struct weir_medium *image = cut(plan);
    plan->pieces = plan->asked;
    unsigned blocks = plan->blocks;
    image->ops->destroy(image);
    plan->depth = plan->first = plan->second = 0;
    plan->density = 1;
    plan->kind = plan->pieces <= plan->subsets_of ? CUT_TREE
                 : blocks <= plan->subsets_of     ? CUT_TREE_OF_BLOCKS
                                                  : CUT_ALL;
}

/* The next leaf of the tree. False: that was the last. */
static bool advance_tree(struct cut_plan *plan)
{
    while (plan->depth > 0 && plan->answers[plan->depth - 1]) {
        plan->depth--;
    }
    if (plan->depth == 0) {
        return false;
    }
    plan->answers[plan->depth - 1] = true;
    return true;
}

static bool advance_pair(struct cut_plan *plan)
{
    if (++plan->second < plan->pieces) {
        return true;
    }
    plan->second = ++plan->first + 1;
    return plan->second < plan->pieces;
}

/* Of very many pieces not each is taken alone. */
static unsigned step_of(struct cut_plan *plan)
{
    unsigned most = 4 * plan->subsets_of;
    return plan->pieces <= most
               ? 1
               : 1 + (unsigned)base_prng_below(&plan->prng, 2 * plan->pieces / most);
}

/* False: this kind is done. */
static bool advance(struct cut_plan *plan)
{
    switch (plan->kind) {
    case CUT_TREE:
    case CUT_TREE_OF_BLOCKS:
        return advance_tree(plan);
    case CUT_ONE_KEPT:
    case CUT_ONE_LOST:
    case CUT_ONE_TORN:
        plan->first += step_of(plan);
        return plan->first < plan->pieces;
    case CUT_TWO_KEPT:
        return advance_pair(plan);
    case CUT_RANDOM:
    case CUT_RANDOM_TORN:
        plan->density = 1 + (unsigned)base_prng_below(&plan->prng, 7);
        return ++plan->first < plan->random;
    case CUT_ALL:
    case CUT_NONE:
    case CUT_END:
        return false;
    }
    WEIR_UNREACHABLE();
}

/* Pairs of many pieces are more than anybody waits for: random subsets stand in. */
static bool is_needed(const struct cut_plan *plan, enum cut_kind kind)
{
    bool all = plan->pieces <= plan->subsets_of;
    switch (kind) {
    case CUT_ONE_TORN:
        return plan->pieces > 0;
    case CUT_TWO_KEPT:
        return !all && plan->pieces <= 2 * plan->subsets_of && plan->pieces > 1;
    case CUT_RANDOM_TORN:
        return plan->pieces > 1 && plan->random > 0;
    case CUT_RANDOM:
        return !all && plan->random > 0;
    case CUT_ALL:
    case CUT_NONE:
    case CUT_ONE_KEPT:
    case CUT_ONE_LOST:
        return !all;
    case CUT_TREE:
    case CUT_TREE_OF_BLOCKS:
    case CUT_END:
        break;
    }
    return true;
}

static void next_kind(struct cut_plan *plan)
{
    enum cut_kind kind = plan->kind == CUT_TREE ? CUT_TREE_OF_BLOCKS : plan->kind;
    do {
        kind = (enum cut_kind)(kind + 1);
    } while (!is_needed(plan, kind));
    plan->kind = kind;
    plan->first = 0;
    plan->second = 1;
}

bool cut_next(struct cut_plan *plan, struct weir_medium **ret_image)
{
    if (plan->kind == CUT_END) {
        return false;
    }
    *ret_image = cut(plan);
    if (!advance(plan)) {
        next_kind(plan);
    }
    return true;
}
