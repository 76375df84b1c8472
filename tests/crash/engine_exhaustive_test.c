/*
 * SE-02, SE-03, SE-09, O8: every small workload of the engine, cut at every call of its last
 * operation; what comes back is the fold over the records that survived.
 *
 * In `make check` a slice. WEIR_DEEP_SECONDS takes them all, ever longer, as long as the time
 * lasts. WEIR_WORKLOAD="put checkpoint power" with a name as argument runs one.
 */
#include "tests/crash/engine_workload.h"
#include "tests/crash/pool.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SEGMENT ((uint64_t)64 << 10)

struct shape {
    const char *name;
    struct sim_memory_options medium;
    enum weir_durability durability;
};

static const struct shape shapes[] = {
    {"direct-each", {0}, WEIR_EACH},
    {"direct-none", {0}, WEIR_NONE},
    {"direct-group-async", {.asynchronous = true}, WEIR_GROUP},
    {"mapped-none", {.window_is_file = true, .watchful = true}, WEIR_NONE},
    {"pmem-each", {.block_bytes = 64, .window_is_file = true, .watchful = true}, WEIR_EACH},
    {"pmem-none", {.block_bytes = 64, .window_is_file = true, .watchful = true}, WEIR_NONE},
};

#define SHAPE_COUNT (sizeof shapes / sizeof shapes[0])

static uint64_t monotonic_ns(void)
{
    struct timespec now; /* base's clock is made up here */
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double deep_seconds(void)
{
    const char *text = getenv("WEIR_DEEP_SECONDS");
    return text != NULL ? strtod(text, NULL) : 0;
}

/* How much of everything; the last element of each array is for the longest workloads. */
struct scope {
    unsigned longest;
    unsigned subsets_of, random; /* cut.h */
    unsigned depth[6];           /* by length */
    unsigned stride[6];          /* by length: every how manieth workload */
};

static const struct scope slice = {
    .longest = 3, .subsets_of = 2, .random = 1, .depth = {0, 1}, .stride = {1, 14, 29, 911}};

static const struct scope passes[] = {
    {.longest = 2, .subsets_of = 4, .random = 2, .depth = {0, 1}, .stride = {1, 1, 1}},
    {.longest = 3, .subsets_of = 4, .random = 2, .depth = {0, 1}, .stride = {1, 1, 1, 1}},
    {.longest = 2, .subsets_of = 6, .random = 4, .depth = {0, 1, 1}, .stride = {1, 1, 1}},
    {.longest = 4, .subsets_of = 6, .random = 4, .depth = {0, 1, 1}, .stride = {1, 1, 1, 1, 1}},
};

static bool next_sequence(struct engine_workload *workload)
{
    for (unsigned i = workload->count; i-- > 0;) {
        if (workload->ops[i] + 1 < ENGINE_OP_COUNT) {
            workload->ops[i] = (enum engine_op)(workload->ops[i] + 1);
            return true;
        }
        workload->ops[i] = ENGINE_PUT;
    }
    return false;
}

static bool goes_on(const struct explorer *explorer)
{
    return !explorer->failed && !explorer_is_late(explorer);
}

static void explore_one(struct explorer *explorer, const struct engine_workload *workload)
{
    if (!engine_workload_explore(explorer, workload)) {
        char text[200];
        engine_workload_print(workload, text, sizeof text);
        print_error("%s\n  %s\n", text, explorer->failure);
    }
}

static uint64_t explore_length(struct explorer *explorer, unsigned length, unsigned stride,
                               const struct shape *shape)
{
    struct engine_workload workload = {.count = length, .durability = shape->durability};
    uint64_t count = 0, number = (uint64_t)(shape - shapes);
    do {
        if (number++ % stride == 0 || length == 0) {
            explore_one(explorer, &workload);
            count++;
        }
    } while (goes_on(explorer) && next_sequence(&workload));
    return count;
}

static uint64_t explore_scope(struct explorer *explorer, const struct scope *scope,
                              const struct shape *shape)
{
    uint64_t count = 0;
    explorer->subsets_of = scope->subsets_of;
    explorer->random = scope->random;
    for (unsigned length = 0; length <= scope->longest && goes_on(explorer); length++) {
        explorer->depth = scope->depth[length];
        count += explore_length(explorer, length, scope->stride[length], shape);
    }
    return count;
}

/* The workload that was asked for by the names of its operations. */
static bool explore_asked_for(struct explorer *explorer, const struct shape *shape)
{
    const char *asked = getenv("WEIR_WORKLOAD");
    if (asked == NULL) {
        return false;
    }
    struct engine_workload workload = {.durability = shape->durability};
    char text[200];
    bool found = false;
    explorer->subsets_of = 6;
    explorer->random = 4;
    explorer->depth = 1;
    for (workload.count = 0; workload.count <= 4 && !found; workload.count++) {
        do {
            engine_workload_print(&workload, text, sizeof text);
            found = strcmp(text, asked) == 0;
        } while (!found && next_sequence(&workload));
        if (found) {
            explore_one(explorer, &workload);
        }
    }
    assert_true(found);
    return true;
}

/* What a slice must not miss. */
static const struct engine_workload chosen_ones[] = {
    {.ops = {ENGINE_ROLL, ENGINE_COMPACT}, .count = 2},
    {.ops = {ENGINE_PUT, ENGINE_DELETE, ENGINE_ROLL, ENGINE_COMPACT}, .count = 4},
    {.ops = {ENGINE_BATCH, ENGINE_CHECKPOINT, ENGINE_ROLL, ENGINE_COMPACT}, .count = 4},
    {.ops = {ENGINE_SWAP, ENGINE_CHECKPOINT, ENGINE_SWAP, ENGINE_CHECKPOINT}, .count = 4},
    {.ops = {ENGINE_ROLL, ENGINE_COMPACT, ENGINE_CHECKPOINT, ENGINE_PUT}, .count = 4},
    {.ops = {ENGINE_ROLL, ENGINE_COMPACT, ENGINE_ROLL, ENGINE_COMPACT}, .count = 4},
};
#define CHOSEN_ONES (sizeof chosen_ones / sizeof chosen_ones[0])

/* Each shape takes half of them. */
static uint64_t explore_chosen_ones(struct explorer *explorer, const struct shape *shape)
{
    uint64_t count = 0;
    explorer->depth = 0;
    for (size_t i = (size_t)(shape - shapes) % 2; i < CHOSEN_ONES && goes_on(explorer); i += 2) {
        struct engine_workload workload = chosen_ones[i];
        workload.durability = shape->durability;
        explore_one(explorer, &workload);
        count++;
    }
    return count;
}

static unsigned chosen; /* shapes that are going to run: they share the time */

static uint64_t explore_all(struct explorer *explorer, const struct shape *shape)
{
    double seconds = deep_seconds() / chosen;
    if (seconds <= 0) {
        uint64_t some = explore_scope(explorer, &slice, shape);
        return some + explore_chosen_ones(explorer, shape);
    }
    uint64_t count = 0;
    explorer->deadline_ns = monotonic_ns() + (uint64_t)(seconds * 1e9);
    for (size_t i = 0; i < sizeof passes / sizeof passes[0] && goes_on(explorer); i++) {
        count += explore_scope(explorer, &passes[i], shape);
    }
    return count;
}

static void se_02_se_09_o8_what_comes_back_is_the_fold_over_what_survived(void **state)
{
    const struct shape *shape = *state;
    struct explorer explorer = {.shape = shape->medium, .log = WEIR_LOG_OPTIONS_INIT, .seed = 1};
    uint64_t start_ns = monotonic_ns(), workloads = 1;
    explorer.log.segment_bytes = SEGMENT;
    explorer.log.lock_wait_ns = WEIR_NO_WAIT;
    pool_begin();
    explorer_begin(&explorer);
    if (!explore_asked_for(&explorer, shape)) {
        workloads = explore_all(&explorer, shape);
    }
    explorer_end(&explorer);
    pool_end();
    printf("layer=engine-exhaustive medium=%s workloads=%ju points=%ju states=%ju distinct=%ju "
           "recoveries=%ju compacted=%ju s=%.1f violations=%d\n",
           shape->name, (uintmax_t)workloads, (uintmax_t)explorer.counts.points,
           (uintmax_t)explorer.counts.states, (uintmax_t)explorer.counts.distinct,
           (uintmax_t)explorer.counts.recoveries, (uintmax_t)explorer.counts.compacted,
           (double)(monotonic_ns() - start_ns) / 1e9, explorer.failed);
    assert_false(explorer.failed);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[SHAPE_COUNT];
    const char *pattern = argc > 1 ? argv[1] : "*";
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        tests[i] = (struct CMUnitTest){
            .name = shapes[i].name,
            .test_func = se_02_se_09_o8_what_comes_back_is_the_fold_over_what_survived,
            .initial_state = (void *)(uintptr_t)&shapes[i]};
        chosen += fnmatch(pattern, shapes[i].name, 0) == 0 ? 1 : 0;
    }
    cmocka_set_test_filter(pattern);
    return _cmocka_run_group_tests("crash_engine_exhaustive", tests, SHAPE_COUNT, NULL, NULL);
}
