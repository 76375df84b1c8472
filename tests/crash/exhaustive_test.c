/*
 * Every small workload, every call, every subset: what a power cut may leave.
 *
 * In `make check` a slice: all creations, a part of the workloads of up to three operations. With
 * WEIR_DEEP_SECONDS passes that are ever more thorough, as long as the time lasts: the last one is
 * all workloads of up to five operations, with all subsets of up to 14 pieces.
 */
#include "tests/crash/pool.h"
#include "tests/crash/workload.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define SEGMENT ((uint64_t)64 << 10)

struct shape {
    const char *name;
    struct sim_memory_options medium;
    enum weir_durability durability;
    enum weir_witness witness;
};

static const struct shape shapes[] = {
    {"direct-each", {0}, WEIR_EACH, WEIR_WITNESS_LAZY},
    {"direct-none", {0}, WEIR_NONE, WEIR_WITNESS_LAZY},
    {"direct-group-async", {.asynchronous = true}, WEIR_GROUP, WEIR_WITNESS_LAZY},
    {"direct-each-strict", {0}, WEIR_EACH, WEIR_WITNESS_STRICT},
    {"mapped-each", {.window_is_file = true, .watchful = true}, WEIR_EACH, WEIR_WITNESS_LAZY},
    {"mapped-none-async",
     {.window_is_file = true, .watchful = true, .asynchronous = true},
     WEIR_NONE,
     WEIR_WITNESS_LAZY},
    {"pmem-each",
     {.block_bytes = 64, .window_is_file = true, .watchful = true},
     WEIR_EACH,
     WEIR_WITNESS_LAZY},
    {"pmem-none",
     {.block_bytes = 64, .window_is_file = true, .watchful = true},
     WEIR_NONE,
     WEIR_WITNESS_LAZY},
    {"pmem-each-strict",
     {.block_bytes = 64, .window_is_file = true, .watchful = true},
     WEIR_EACH,
     WEIR_WITNESS_STRICT},
};

#define SHAPE_COUNT (sizeof shapes / sizeof shapes[0])

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double deep_seconds(void)
{
    const char *text = getenv("WEIR_DEEP_SECONDS");
    return text != NULL ? strtod(text, NULL) : 0;
}

static void prepare(struct explorer *explorer, const struct shape *shape)
{
    *explorer = (struct explorer){.shape = shape->medium, .log = WEIR_LOG_OPTIONS_INIT, .seed = 1};
    explorer->log.segment_bytes = SEGMENT;
    explorer->log.lock_wait_ns = WEIR_NO_WAIT;
    explorer->log.witness = shape->witness;
    explorer_begin(explorer);
}

/* The next sequence of this length, as a number counts. False: that was the last. */
static bool next_sequence(struct workload *workload)
{
    for (unsigned i = workload->count; i-- > 0;) {
        if (workload->ops[i] + 1 < OP_COUNT) {
            workload->ops[i] = (enum workload_op)(workload->ops[i] + 1);
            return true;
        }
        workload->ops[i] = OP_APPEND_0;
    }
    return false;
}

/* How much of everything. */
struct scope {
    unsigned longest;            /* workload */
    unsigned subsets_of, random; /* cut.h */
    unsigned depth[6];           /* by length: power cuts while recovery runs */
    unsigned stride[6];          /* by length: every how manieth workload */
};

static const struct scope slice = {
    .longest = 3, .subsets_of = 4, .random = 2, .depth = {1, 1}, .stride = {1, 4, 7, 950}};

/* As long as the time lasts: each pass is more thorough than the one before. */
static const struct scope passes[] = {
    {.longest = 2, .subsets_of = 5, .random = 4, .depth = {1, 1}, .stride = {1, 1, 1}},
    {.longest = 3, .subsets_of = 5, .random = 4, .depth = {1, 1}, .stride = {1, 1, 1, 1}},
    {.longest = 2, .subsets_of = 8, .random = 8, .depth = {1, 1, 1}, .stride = {1, 1, 1}},
    {.longest = 4, .subsets_of = 8, .random = 8, .depth = {1, 1, 1, 1}, .stride = {1, 1, 1, 1, 1}},
    {.longest = 5,
     .subsets_of = 14,
     .random = 32,
     .depth = {1, 1, 1, 1, 1, 1},
     .stride = {1, 1, 1, 1, 1, 1}},
};

/* The workloads of this length, the first one being another for each shape. Returns how many. */
static uint64_t explore_length(struct explorer *explorer, unsigned length, unsigned stride,
                               const struct shape *shape)
{
    struct workload workload = {.count = length, .durability = shape->durability};
    uint64_t count = 0, number = (uint64_t)(shape - shapes);
    do {
        if (number++ % stride != 0 && length > 0) {
            continue;
        }
        if (!workload_explore(explorer, &workload)) {
            char text[200];
            workload_print(&workload, text, sizeof text);
            print_error("%s\n  %s\n", text, explorer->failure);
            return count;
        }
        count++;
    } while (!explorer_is_late(explorer) && next_sequence(&workload));
    return count;
}

/* Compaction needs a log of some length, so it is seldom met by chance: always a few of those. */
static const struct workload chosen_workloads[] = {
    {.ops = {OP_COMPACT}, .count = 1},
    {.ops = {OP_COMPACT, OP_COMPACT}, .count = 2},
    {.ops = {OP_COMPACT, OP_TRUNCATE}, .count = 2},
    {.ops = {OP_BATCH, OP_COMPACT, OP_REOPEN}, .count = 3},
};

static uint64_t explore_chosen(struct explorer *explorer, const struct shape *shape)
{
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof chosen_workloads / sizeof chosen_workloads[0]; i++) {
        struct workload workload = chosen_workloads[i];
        workload.durability = shape->durability;
        explorer->depth = i == 0 ? 1 : 0;
        if (!workload_explore(explorer, &workload)) {
            char text[200];
            workload_print(&workload, text, sizeof text);
            print_error("%s\n  %s\n", text, explorer->failure);
            break;
        }
        count++;
    }
    return count;
}

/* What a shape was explored with. */
struct reach {
    unsigned passes;  /* that were begun */
    unsigned longest; /* workload of the last one that was begun */
    uint64_t workloads;
};

static void print_counts(const struct shape *shape, const struct explorer *explorer,
                         const struct reach *reach, uint64_t cpu_ns)
{
    const struct explorer_counts *counts = &explorer->counts;
    double cpu_s = (double)cpu_ns / 1e9;
    printf("layer=exhaustive medium=%s passes=%u operations=%u workloads=%ju points=%ju states=%ju "
           "distinct=%ju recoveries=%ju cpu_s=%.1f recoveries_per_cpu_s=%.0f "
           "violations=%d false_refusals=%ju\n",
           shape->name, reach->passes, reach->longest, (uintmax_t)reach->workloads,
           (uintmax_t)counts->points, (uintmax_t)counts->states, (uintmax_t)counts->distinct,
           (uintmax_t)counts->recoveries, cpu_s, (double)counts->recoveries / cpu_s,
           explorer->failed, (uintmax_t)counts->false_refusals);
}

static bool goes_on(const struct explorer *explorer)
{
    return !explorer->failed && !explorer_is_late(explorer);
}

static void explore_scope(struct explorer *explorer, const struct scope *scope,
                          const struct shape *shape, struct reach *reach)
{
    explorer->subsets_of = scope->subsets_of;
    explorer->random = scope->random;
    reach->passes++;
    for (unsigned length = 0; length <= scope->longest && goes_on(explorer); length++) {
        explorer->depth = scope->depth[length];
        reach->longest = length > reach->longest ? length : reach->longest;
        reach->workloads += explore_length(explorer, length, scope->stride[length], shape);
    }
}

static void explore_shape(const struct shape *shape, double seconds)
{
    struct explorer explorer;
    struct reach reach = {0};
    uint64_t cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    prepare(&explorer, shape);
    if (seconds > 0) {
        explorer.deadline_ns = read_clock(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
        for (size_t i = 0; i < sizeof passes / sizeof passes[0] && goes_on(&explorer); i++) {
            explore_scope(&explorer, &passes[i], shape, &reach);
        }
    } else {
        explore_scope(&explorer, &slice, shape, &reach);
        reach.workloads += goes_on(&explorer) ? explore_chosen(&explorer, shape) : 0;
    }
    print_counts(shape, &explorer, &reach, read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns);
    explorer_end(&explorer);
    assert_false(explorer.failed);
}

static unsigned chosen; /* shapes that are going to run: they share the time */

static void explore(void **state)
{
    pool_begin();
    explore_shape(*state, deep_seconds() / chosen);
    pool_end();
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[SHAPE_COUNT];
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        tests[i] = (struct CMUnitTest){.name = shapes[i].name,
                                       .test_func = explore,
                                       .initial_state = (void *)(uintptr_t)&shapes[i]};
    }
    const char *pattern = argc > 1 ? argv[1] : "*";
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        chosen += fnmatch(pattern, shapes[i].name, 0) == 0 ? 1 : 0;
    }
    cmocka_set_test_filter(pattern);
    return _cmocka_run_group_tests("crash_exhaustive", tests, SHAPE_COUNT, NULL, NULL);
}
