/*
 * Every small workload, every call, every subset: what a power cut may leave.
 *
 * In `make check` a slice: all creations, a part of the workloads of up to three operations. With
 * WEIR_DEEP_SECONDS all of them, up to five operations, as long as the time lasts.
 */
#include "tests/crash/pool.h"
#include "tests/crash/workload.h"

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
    double seconds;              /* for one shape; 0: until it is done */
};

static const struct scope slice = {
    .longest = 3, .subsets_of = 4, .random = 2, .depth = {1, 1}, .stride = {1, 4, 7, 950}};

static const struct scope everything = {.longest = 5,
                                        .subsets_of = 14,
                                        .random = 32,
                                        .depth = {1, 1, 1, 1, 1, 1},
                                        .stride = {1, 1, 1, 1, 1, 1}};

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

static void print_counts(const struct shape *shape, const struct explorer *explorer,
                         unsigned longest, uint64_t workloads, uint64_t cpu_ns)
{
    const struct explorer_counts *counts = &explorer->counts;
    double cpu_s = (double)cpu_ns / 1e9;
    printf("layer=exhaustive medium=%s operations=%u workloads=%ju points=%ju states=%ju "
           "distinct=%ju recoveries=%ju cpu_s=%.1f recoveries_per_cpu_s=%.0f "
           "violations=%d false_refusals=%ju\n",
           shape->name, longest, (uintmax_t)workloads, (uintmax_t)counts->points,
           (uintmax_t)counts->states, (uintmax_t)counts->distinct, (uintmax_t)counts->recoveries,
           cpu_s, (double)counts->recoveries / cpu_s, explorer->failed,
           (uintmax_t)counts->false_refusals);
}

static void explore_shape(const struct shape *shape, const struct scope *scope)
{
    struct explorer explorer;
    uint64_t begin_ns = read_clock(CLOCK_MONOTONIC), workloads = 0;
    uint64_t cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    prepare(&explorer, shape);
    explorer.subsets_of = scope->subsets_of;
    explorer.random = scope->random;
    explorer.deadline_ns = scope->seconds > 0 ? begin_ns + (uint64_t)(scope->seconds * 1e9) : 0;
    unsigned length = 0;
    for (; length <= scope->longest && !explorer.failed && !explorer_is_late(&explorer); length++) {
        explorer.depth = scope->depth[length];
        workloads += explore_length(&explorer, length, scope->stride[length], shape);
    }
    print_counts(shape, &explorer, length - 1, workloads,
                 read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns);
    explorer_end(&explorer);
    assert_false(explorer.failed);
}

static void explore(void **state)
{
    struct scope scope = slice;
    if (deep_seconds() > 0) {
        scope = everything;
        scope.seconds = deep_seconds() / (double)SHAPE_COUNT;
    }
    pool_begin();
    explore_shape(*state, &scope);
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
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return _cmocka_run_group_tests("crash_exhaustive", tests, SHAPE_COUNT, NULL, NULL);
}
