/* The memory medium as an instrument: what power loss leaves, what can be made to fail, and when.
 */
#include "sim/memory.h"

#include "base/alloc.h"
#include "base/thread.h"
#include "tests/medium/fixture.h"

#include <errno.h>
#include <stdatomic.h>

#define BLOCK ((size_t)4096)
#define SEGMENT (16 * BLOCK)

struct context {
    struct weir_medium *medium, *after;
    uint64_t pages_before, blocks_before;
};

static int set_up(void **state)
{
    struct context *context = calloc(1, sizeof *context);
    assert_non_null(context);
    *state = context;
    context->pages_before = base_pages_in_use();
    context->blocks_before = base_alloc_in_use();
    return 0;
}

static int tear_down(void **state)
{
    struct context *context = *state;
    if (context->after != NULL) {
        context->after->ops->destroy(context->after);
    }
    if (context->medium != NULL) {
        context->medium->ops->destroy(context->medium);
    }
    assert_int_equal(base_pages_in_use(), context->pages_before);
    assert_int_equal(base_alloc_in_use(), context->blocks_before);
    free(context);
    return 0;
}

static struct weir_medium *make(struct context *context, struct sim_memory_options options)
{
    assert_int_equal(sim_memory_open(&options, &context->medium), 0);
    return context->medium;
}

static struct weir_medium *cut_power(struct context *context, sim_memory_keep_fn keep,
                                     void *argument)
{
    if (context->after != NULL) {
        context->after->ops->destroy(context->after);
        context->after = NULL;
    }
    assert_int_equal(sim_memory_crash(context->medium, keep, argument, &context->after), 0);
    return context->after;
}

static bool keep_everything(void *context, const char *name, uint64_t offset)
{
    (void)context;
    (void)name;
    (void)offset;
    return true;
}

static void write_fill(struct weir_medium *medium, struct weir_file *file, uint64_t offset,
                       unsigned seed)
{
    uint8_t bytes[BLOCK];
    fill(bytes, sizeof bytes, seed);
    assert_int_equal(medium->ops->write(file, offset, bytes, sizeof bytes), 0);
}

static bool exists(struct weir_medium *medium, const char *name)
{
    uint64_t size;
    struct weir_file *file = NULL;
    int rc = medium->ops->open(medium, name, WEIR_FILE_READ, &file);
    if (rc == 0) {
        assert_int_equal(medium->ops->size(file, &size), 0);
        medium->ops->close(file);
    }
    return rc == 0;
}

static void expect_block(struct weir_medium *medium, const char *name, uint64_t offset,
                         unsigned seed)
{
    uint8_t *bytes = read_back(medium, name, offset, BLOCK);
    expect_fill(bytes, BLOCK, seed);
    free(bytes);
}

static void expect_zero_block(struct weir_medium *medium, const char *name, uint64_t offset)
{
    uint8_t *bytes = read_back(medium, name, offset, BLOCK);
    expect_zeros(bytes, BLOCK);
    free(bytes);
}

static struct weir_file *create_durably(struct weir_medium *medium, const char *name,
                                        uint64_t size_bytes)
{
    struct weir_file *file = create_file(medium, name, size_bytes);
    assert_int_equal(medium->ops->sync(file), 0);
    assert_int_equal(medium->ops->sync_directory(medium, ""), 0);
    return file;
}

/* ---- files and power ---- */

static void power_loss_takes_what_was_not_synced(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){0});
    struct weir_file *file = create_durably(medium, "a", 2 * BLOCK);
    write_fill(medium, file, 0, 1);
    assert_int_equal(medium->ops->sync(file), 0);
    write_fill(medium, file, BLOCK, 2);
    struct weir_medium *after = cut_power(context, NULL, NULL);
    expect_block(after, "a", 0, 1);
    expect_zero_block(after, "a", BLOCK);
    after = cut_power(context, keep_everything, NULL);
    expect_block(after, "a", BLOCK, 2);
    medium->ops->close(file);
}

static void a_name_is_durable_only_with_its_directory(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){0});
    struct weir_file *file = create_file(medium, "a", BLOCK);
    assert_int_equal(medium->ops->sync(file), 0);
    assert_false(exists(cut_power(context, NULL, NULL), "a"));
    assert_true(exists(cut_power(context, keep_everything, NULL), "a"));
    assert_int_equal(medium->ops->sync_directory(medium, ""), 0);
    assert_true(exists(cut_power(context, NULL, NULL), "a"));
    assert_int_equal(medium->ops->remove(medium, "a"), 0);
    assert_true(exists(cut_power(context, NULL, NULL), "a"));
    assert_false(exists(cut_power(context, keep_everything, NULL), "a"));
    medium->ops->close(file);
}

static void a_file_whose_directory_is_gone_is_gone(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){0});
    assert_int_equal(medium->ops->make_directory(medium, "holds"), 0);
    medium->ops->close(create_file(medium, "holds/b", 0));
    assert_int_equal(medium->ops->sync_directory(medium, "holds"), 0);
    assert_false(exists(cut_power(context, NULL, NULL), "holds/b"));
    assert_int_equal(medium->ops->sync_directory(medium, ""), 0);
    assert_true(exists(cut_power(context, NULL, NULL), "holds/b"));
}

static bool keep_new_name(void *context, const char *name, uint64_t offset)
{
    (void)context;
    return offset == SIM_MEMORY_ENTRY && strcmp(name, "b") == 0;
}

static bool keep_old_name(void *context, const char *name, uint64_t offset)
{
    (void)context;
    return offset == SIM_MEMORY_ENTRY && strcmp(name, "a") == 0;
}

/* Whatever the policy says about the old name: a rename is one step. */
static void a_rename_happened_or_did_not(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){0});
    medium->ops->close(create_durably(medium, "a", 0));
    assert_int_equal(medium->ops->rename(medium, "a", "b"), 0);
    struct weir_medium *after = cut_power(context, keep_old_name, NULL);
    assert_true(exists(after, "a") && !exists(after, "b"));
    after = cut_power(context, keep_new_name, NULL);
    assert_true(!exists(after, "a") && exists(after, "b"));
    assert_int_equal(medium->ops->sync_directory(medium, ""), 0);
    after = cut_power(context, NULL, NULL);
    assert_true(!exists(after, "a") && exists(after, "b"));
}

static bool keep_odd_units(void *context, const char *name, uint64_t offset)
{
    (void)name;
    ++*(unsigned *)context;
    return offset / SIM_MEMORY_UNIT % 2 == 1;
}

static void a_block_can_be_torn_at_every_512_bytes(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){0});
    struct weir_file *file = create_durably(medium, "a", BLOCK);
    write_fill(medium, file, 0, 1);
    unsigned asked = 0;
    struct weir_medium *after = cut_power(context, keep_odd_units, &asked);
    assert_int_equal(asked, BLOCK / SIM_MEMORY_UNIT);
    uint8_t expected[BLOCK], *bytes = read_back(after, "a", 0, BLOCK);
    fill(expected, BLOCK, 1);
    for (size_t unit = 0; unit < BLOCK; unit += 2 * SIM_MEMORY_UNIT) {
        expect_zeros(bytes + unit, SIM_MEMORY_UNIT);
        assert_memory_equal(bytes + unit + SIM_MEMORY_UNIT, expected + unit + SIM_MEMORY_UNIT,
                            SIM_MEMORY_UNIT);
    }
    free(bytes);
    medium->ops->close(file);
}

static void a_size_that_was_not_synced_is_lost(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){0});
    struct weir_file *file = create_durably(medium, "a", BLOCK);
    write_fill(medium, file, BLOCK, 1);
    uint64_t size = 0;
    assert_non_null(sim_memory_bytes(cut_power(context, NULL, NULL), "a", false, &size));
    assert_int_equal(size, BLOCK);
    assert_non_null(sim_memory_bytes(cut_power(context, keep_everything, NULL), "a", true, &size));
    assert_int_equal(size, 2 * BLOCK);
    medium->ops->close(file);
}

/* ---- windows and power ---- */

static void a_persisted_range_survives_and_nothing_else(void **state)
{
    struct context *context = *state;
    for (unsigned round = 0; round < 4; round++) {
        struct weir_medium *medium =
            make(context, (struct sim_memory_options){.asynchronous = round % 2 == 1,
                                                      .window_is_file = round >= 2});
        struct weir_file *file = create_durably(medium, "a", SEGMENT);
        struct weir_window *window = open_window(medium, file, SEGMENT);
        fill(window->base, BLOCK, 1);
        fill(window->base + BLOCK, BLOCK, 2);
        persist(medium, window, BLOCK, BLOCK);
        struct weir_medium *after = cut_power(context, NULL, NULL);
        expect_zero_block(after, "a", 0);
        expect_block(after, "a", BLOCK, 2);
        medium->ops->window_close(window);
        medium->ops->close(file);
        after->ops->destroy(after);
        medium->ops->destroy(medium);
        context->medium = context->after = NULL;
    }
}

static void what_is_in_flight_may_survive_and_may_not(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){.asynchronous = true});
    struct weir_file *file = create_durably(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    fill(window->base, BLOCK, 1);
    assert_int_equal(medium->ops->persist(window, 0, BLOCK, 0, 1), 0);
    expect_zero_block(cut_power(context, NULL, NULL), "a", 0);
    expect_block(cut_power(context, keep_everything, NULL), "a", 0, 1);
    await(medium, 1);
    expect_block(cut_power(context, NULL, NULL), "a", 0, 1);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

/* RELIABILITY: fdatasync covers writes whose completion was reaped before it was submitted. */
static void a_flush_covers_only_what_had_completed_when_it_started(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){.asynchronous = true});
    struct weir_file *file = create_durably(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    fill(window->base, BLOCK, 1);
    assert_int_equal(medium->ops->persist(window, 0, BLOCK, WEIR_PERSIST_WRITE_ONLY, 1), 0);
    assert_int_equal(medium->ops->flush_file(window, 2), 0);
    await(medium, 1);
    await(medium, 2);
    expect_zero_block(cut_power(context, NULL, NULL), "a", 0);
    flush_file(medium, window);
    expect_block(cut_power(context, NULL, NULL), "a", 0, 1);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void a_fence_covers_what_was_cleaned_or_copied_and_nothing_else(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium =
        make(context, (struct sim_memory_options){.block_bytes = 64, .window_is_file = true});
    struct weir_file *file = create_durably(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    uint8_t payload[BLOCK];
    fill(payload, BLOCK, 3);
    memset(window->base, 1, 256);
    medium->ops->clean(window, 70, 10); /* the second line, whole */
    memset(window->base + 64, 9, 64);   /* after it was written back: not part of it */
    medium->ops->copy(window, BLOCK, payload, BLOCK);
    struct weir_medium *after = cut_power(context, NULL, NULL);
    expect_zero_block(after, "a", 0);
    expect_block(after, "a", BLOCK, 3);
    assert_int_equal(medium->ops->persist(window, 0, SEGMENT, 0, 1), 1);
    uint8_t *bytes = read_back(cut_power(context, NULL, NULL), "a", 0, BLOCK);
    uint8_t expected[BLOCK] = {0};
    memset(expected + 64, 1, 64);
    assert_memory_equal(bytes, expected, BLOCK);
    free(bytes);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

/* The successor's recovery syncs what the dead process had stored: a mapping needs no persist(). */
static void stores_of_a_killed_process_survive_where_the_window_is_the_file(void **state)
{
    struct context *context = *state;
    for (unsigned round = 0; round < 2; round++) {
        bool window_is_file = round == 1;
        struct sim_memory_options options = {.window_is_file = window_is_file};
        struct weir_medium *dead = make(context, options), *next = NULL;
        struct weir_file *file = create_durably(dead, "a", SEGMENT);
        struct weir_window *window = open_window(dead, file, SEGMENT);
        fill(window->base, BLOCK, 1);
        assert_int_equal(dead->ops->lock(file, WEIR_LOCK_EXCLUSIVE), 0);
        sim_memory_kill(dead);
        assert_int_equal(dead->ops->sync(file), -EIO);
        options.disk = sim_memory_disk(dead);
        assert_int_equal(sim_memory_open(&options, &next), 0);
        struct weir_file *mine = open_file(next, "a", WEIR_FILE_WRITE);
        assert_int_equal(next->ops->lock(mine, WEIR_LOCK_EXCLUSIVE), 0);
        assert_int_equal(next->ops->sync(mine), 0);
        struct weir_medium *after = cut_power(context, NULL, NULL);
        if (window_is_file) {
            expect_block(after, "a", 0, 1);
        } else {
            expect_zero_block(after, "a", 0);
        }
        next->ops->close(mine);
        next->ops->destroy(next);
        dead->ops->window_close(window);
        dead->ops->close(file);
        after->ops->destroy(after);
        dead->ops->destroy(dead);
        context->medium = context->after = NULL;
    }
}

/* ---- stores beside a flush ---- */

#define SWEEPS 30u /* only the last one can be missing at the end */

#if defined(__SANITIZE_THREAD__)
/* A flush of a mapped file looks at memory while it is being written: that is what it is for. */
const char *__tsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__tsan_default_suppressions(void)
{
    return "race:sim_node_notice\n";
}
#define ROUNDS 1u /* each race that is suppressed costs a millisecond */
#else
#define ROUNDS 400u
#endif

struct storing {
    struct weir_window *window;
    atomic_bool done;
};

static void store_sweeps(void *argument)
{
    struct storing *storing = argument;
    _Atomic uint64_t *words = (_Atomic uint64_t *)storing->window->base;
    for (uint64_t sweep = 1; sweep <= SWEEPS; sweep++) {
        for (size_t i = 0; i < SEGMENT / sizeof *words; i++) {
            atomic_store_explicit(&words[i], sweep, memory_order_relaxed);
        }
    }
    atomic_store(&storing->done, true);
}

/* One that lands while a flush looks is in that flush or in the next, as in a page cache. */
static void stores_beside_a_flush_are_durable_behind_the_next_one(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){.window_is_file = true});
    struct weir_file *file = create_durably(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct storing storing = {.window = window};
        struct base_thread thread;
        memset(window->base, 0, SEGMENT);
        assert_int_equal(base_thread_start(&thread, "stores", store_sweeps, &storing), 0);
        while (!atomic_load(&storing.done)) {
            assert_int_equal(medium->ops->sync(file), 0);
        }
        base_thread_join(&thread);
        assert_int_equal(medium->ops->sync(file), 0);
        uint64_t size;
        struct weir_medium *after = cut_power(context, NULL, NULL);
        const uint8_t *durable = sim_memory_bytes(after, "a", false, &size);
        assert_int_equal(size, SEGMENT);
        assert_memory_equal(durable, window->base, SEGMENT);
    }
    medium->ops->window_close(window);
    medium->ops->close(file);
}

/* ---- order, locks, room ---- */

static void completions_come_in_the_order_that_was_asked_for(void **state)
{
    struct context *context = *state;
    for (unsigned round = 0; round < 2; round++) {
        bool reversed = round == 1;
        struct weir_medium *medium =
            make(context, (struct sim_memory_options){.asynchronous = true, .reversed = reversed});
        struct weir_file *file = create_durably(medium, "a", SEGMENT);
        struct weir_window *window = open_window(medium, file, SEGMENT);
        for (uint64_t token = 0; token < 3; token++) {
            assert_int_equal(medium->ops->persist(window, token * BLOCK, BLOCK, 0, token), 0);
        }
        for (uint64_t turn = 0; turn < 3; turn++) {
            await(medium, reversed ? 2 - turn : turn);
        }
        medium->ops->window_close(window);
        medium->ops->close(file);
        medium->ops->destroy(medium);
        context->medium = NULL;
    }
}

static void a_lock_outlives_its_handle_while_something_is_in_flight(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){.asynchronous = true});
    struct weir_file *file = create_durably(medium, "a", SEGMENT);
    struct weir_file *other = open_file(medium, "a", WEIR_FILE_WRITE);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->lock(file, WEIR_LOCK_EXCLUSIVE), 0);
    assert_int_equal(medium->ops->persist(window, 0, BLOCK, 0, 1), 0);
    medium->ops->window_close(window);
    medium->ops->close(file);
    assert_int_equal(medium->ops->lock(other, WEIR_LOCK_SHARED), -EAGAIN);
    await(medium, 1);
    assert_int_equal(medium->ops->lock(other, WEIR_LOCK_SHARED), 0);
    medium->ops->close(other);
}

static void a_disk_has_the_room_that_it_was_given(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium =
        make(context, (struct sim_memory_options){.capacity_bytes = 4 * BLOCK});
    struct weir_file *file = create_file(medium, "a", 3 * BLOCK), *refused = NULL;
    assert_int_equal(medium->ops->create(medium, "b", 2 * BLOCK, &refused), -ENOSPC);
    assert_false(exists(medium, "b"));
    uint8_t block[BLOCK] = {0};
    assert_int_equal(medium->ops->write(file, 3 * BLOCK, block, BLOCK), 0);
    assert_int_equal(medium->ops->write(file, 4 * BLOCK, block, BLOCK), -ENOSPC);
    assert_int_equal(medium->ops->remove(medium, "a"), 0);
    assert_int_equal(medium->ops->create(medium, "b", BLOCK, &refused), -ENOSPC);
    medium->ops->close(file);
    medium->ops->close(create_file(medium, "b", 4 * BLOCK));
}

/* ---- faults ---- */

struct fault {
    const char *call;
    int error;
    unsigned seen;
};

static int inject(void *context, const char *call, const char *name, uint64_t offset, size_t size)
{
    struct fault *fault = context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, fault->call) != 0) {
        return 0;
    }
    fault->seen++;
    return fault->error;
}

static void arm(struct weir_medium *medium, struct fault *fault, const char *call)
{
    *fault = (struct fault){call, -EIO, 0};
    sim_memory_faults_set(medium, &(struct sim_memory_faults){inject, fault});
}

static int count_name(void *context, const char *name)
{
    (void)name;
    ++*(unsigned *)context;
    return 0;
}

static void every_call_can_be_made_to_fail_and_changes_nothing(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){0});
    struct weir_file *file = create_durably(medium, "a", SEGMENT), *none = NULL;
    struct weir_window *window = open_window(medium, file, SEGMENT), *no_window = NULL;
    struct weir_completion completion;
    uint8_t block[BLOCK] = {1};
    const uint8_t *view = NULL;
    uint64_t size = 0;
    size_t got = 0;
    unsigned names = 0;
    int fd = -1;
    struct fault fault;
#define EXPECT_FAULT(call, expression)                                                             \
    do {                                                                                           \
        arm(medium, &fault, call);                                                                 \
        assert_int_equal(expression, -EIO);                                                        \
        assert_int_equal(fault.seen, 1);                                                           \
    } while (0)
    EXPECT_FAULT("create", medium->ops->create(medium, "b", 0, &none));
    EXPECT_FAULT("open", medium->ops->open(medium, "a", WEIR_FILE_READ, &none));
    EXPECT_FAULT("size", medium->ops->size(file, &size));
    EXPECT_FAULT("read", medium->ops->read(file, 0, block, BLOCK, &got));
    EXPECT_FAULT("write", medium->ops->write(file, 0, block, BLOCK));
    EXPECT_FAULT("sync", medium->ops->sync(file));
    EXPECT_FAULT("list", medium->ops->list(medium, "", count_name, &names));
    EXPECT_FAULT("make_directory", medium->ops->make_directory(medium, "d"));
    EXPECT_FAULT("rename", medium->ops->rename(medium, "a", "c"));
    EXPECT_FAULT("remove", medium->ops->remove(medium, "a"));
    EXPECT_FAULT("sync_directory", medium->ops->sync_directory(medium, ""));
    EXPECT_FAULT("lock", medium->ops->lock(file, WEIR_LOCK_SHARED));
    EXPECT_FAULT("map", medium->ops->map(file, SEGMENT, &view));
    EXPECT_FAULT("window_open", medium->ops->window_open(file, SEGMENT, &no_window));
    EXPECT_FAULT("load", medium->ops->load(window, 0, BLOCK));
    EXPECT_FAULT("freeze", medium->ops->freeze(window));
    EXPECT_FAULT("persist", medium->ops->persist(window, 0, BLOCK, 0, 1));
    EXPECT_FAULT("flush_file", medium->ops->flush_file(window, 1));
    EXPECT_FAULT("poll", medium->ops->poll(medium, &completion, 1, 0));
    EXPECT_FAULT("eventfd", medium->ops->eventfd(medium, &fd));
#undef EXPECT_FAULT
    sim_memory_faults_set(medium, &(struct sim_memory_faults){0});
    assert_true(none == NULL && no_window == NULL && view == NULL);
    assert_true(size == 0 && got == 0 && names == 0 && fd == -1);
    assert_true(exists(medium, "a") && !exists(medium, "b") && !exists(medium, "c"));
    expect_zero_block(medium, "a", 0);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void a_completion_can_fail_and_its_bytes_are_not_durable(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = make(context, (struct sim_memory_options){.asynchronous = true});
    struct weir_file *file = create_durably(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    struct fault fault;
    fill(window->base, BLOCK, 1);
    arm(medium, &fault, "complete");
    assert_int_equal(medium->ops->persist(window, 0, BLOCK, 0, 6), 0);
    struct weir_completion completion = {0};
    assert_int_equal(medium->ops->poll(medium, &completion, 1, -1), 1);
    assert_int_equal(completion.token, 6);
    assert_int_equal(completion.result, -EIO);
    sim_memory_faults_set(medium, &(struct sim_memory_faults){0});
    expect_zero_block(cut_power(context, NULL, NULL), "a", 0);
    expect_block(cut_power(context, keep_everything, NULL), "a", 0, 1);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(power_loss_takes_what_was_not_synced),
        TEST(a_name_is_durable_only_with_its_directory),
        TEST(a_file_whose_directory_is_gone_is_gone),
        TEST(a_rename_happened_or_did_not),
        TEST(a_block_can_be_torn_at_every_512_bytes),
        TEST(a_size_that_was_not_synced_is_lost),
        TEST(a_persisted_range_survives_and_nothing_else),
        TEST(what_is_in_flight_may_survive_and_may_not),
        TEST(a_flush_covers_only_what_had_completed_when_it_started),
        TEST(a_fence_covers_what_was_cleaned_or_copied_and_nothing_else),
        TEST(stores_of_a_killed_process_survive_where_the_window_is_the_file),
        TEST(stores_beside_a_flush_are_durable_behind_the_next_one),
        TEST(completions_come_in_the_order_that_was_asked_for),
        TEST(a_lock_outlives_its_handle_while_something_is_in_flight),
        TEST(a_disk_has_the_room_that_it_was_given),
        TEST(every_call_can_be_made_to_fail_and_changes_nothing),
        TEST(a_completion_can_fail_and_its_bytes_are_not_durable),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
