/* What a power cut may leave, and what it may not: sectors and lines, whole and torn, in which
 * version; whose fence covers what; what a failed flush leaves; and devices that lie. */
#include "sim/memory.h"

#include "base/alloc.h"
#include "base/thread.h"
#include "tests/medium/fixture.h"

#include <errno.h>

#define BLOCK ((size_t)4096)
#define SEGMENT (16 * BLOCK)
#define LINE ((size_t)64)

static struct weir_medium *open_shape(struct sim_memory_options options)
{
    struct weir_medium *medium;
    assert_int_equal(sim_memory_open(&options, &medium), 0);
    return medium;
}

static struct weir_medium *open_pmem(void)
{
    return open_shape(
        (struct sim_memory_options){.block_bytes = 64, .window_is_file = true, .watchful = true});
}

static struct weir_file *create_durably(struct weir_medium *medium, const char *name)
{
    struct weir_file *file = create_file(medium, name, SEGMENT);
    assert_int_equal(medium->ops->sync(file), 0);
    assert_int_equal(medium->ops->sync_directory(medium, ""), 0);
    return file;
}

static void look(struct weir_medium *medium) /* any call notices stores */
{
    struct weir_completion none;
    assert_int_equal(medium->ops->poll(medium, &none, 1, 0), 0);
}

static void close_all(struct weir_medium *medium, struct weir_window *window,
                      struct weir_file *file)
{
    medium->ops->window_close(window);
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

/* ---- what is asked, and what is answered ---- */

#define ASKED_MAX 64u

struct answers {
    uint64_t masks[ASKED_MAX]; /* in the order of the questions; UINT64_MAX behind the last */
    unsigned given;
    uint64_t offsets[ASKED_MAX];
    unsigned asked;
};

static uint64_t answer(void *context, const char *name, uint64_t offset)
{
    struct answers *answers = context;
    (void)name;
    assert_true(answers->asked < ASKED_MAX);
    answers->offsets[answers->asked] = offset;
    unsigned at = answers->asked++;
    return at < answers->given ? answers->masks[at] : UINT64_MAX;
}

/* The first byte of each word that is asked for, as the cut leaves it. */
static uint8_t byte_after(struct weir_medium *medium, struct answers *answers, uint64_t offset)
{
    struct weir_medium *after;
    uint64_t size;
    answers->asked = 0;
    assert_int_equal(sim_memory_cut(medium, answer, answers, &after), 0);
    uint8_t byte = sim_memory_bytes(after, "a", true, &size)[offset];
    assert_int_equal(sim_memory_bytes(after, "a", false, &size)[offset], byte);
    after->ops->destroy(after);
    return byte;
}

static void a_sector_can_be_torn_at_every_8_bytes(void **state)
{
    (void)state;
    struct weir_medium *medium = open_shape((struct sim_memory_options){0});
    struct weir_file *file = create_durably(medium, "a");
    uint8_t block[BLOCK];
    memset(block, 7, sizeof block);
    assert_int_equal(medium->ops->write(file, 0, block, sizeof block), 0);
    for (unsigned word = 0; word < 64; word++) {
        struct answers answers = {.masks = {0, UINT64_C(1) << word}, .given = 2};
        assert_int_equal(byte_after(medium, &answers, 0), 0);
        assert_int_equal(byte_after(medium, &answers, 512 + word * 8), 7);
        assert_int_equal(byte_after(medium, &answers, 512 + (word ^ 1) * 8), 0);
        assert_int_equal(byte_after(medium, &answers, 1024), 7);
        assert_int_equal(answers.asked, 8);
    }
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

/* Neither, the first, the second: but never the first where the second was fenced. */
static void each_version_of_a_line_that_was_seen_may_survive(void **state)
{
    (void)state;
    struct weir_medium *medium = open_pmem();
    struct weir_file *file = create_durably(medium, "a");
    struct weir_window *window = open_window(medium, file, SEGMENT);
    window->base[LINE] = 1;
    look(medium);
    window->base[LINE] = 2;
    look(medium);
    assert_int_equal(byte_after(medium, &(struct answers){.masks = {0, 0}, .given = 2}, LINE), 0);
    struct answers first = {.masks = {UINT64_MAX, 0}, .given = 2};
    assert_int_equal(byte_after(medium, &first, LINE), 1);
    assert_int_equal(first.asked, 2);
    assert_int_equal(first.offsets[1], LINE);
    assert_int_equal(byte_after(medium, &(struct answers){.masks = {0}, .given = 1}, LINE), 2);
    medium->ops->clean(window, LINE, LINE);
    window->base[LINE] = 3; /* behind the write-back: may survive, need not */
    assert_int_equal(medium->ops->persist(window, 0, BLOCK, 0, 1), 1);
    struct answers newest = {.masks = {0}, .given = 1};
    assert_int_equal(byte_after(medium, &newest, LINE), 2);
    assert_int_equal(newest.asked, 1);
    assert_int_equal(byte_after(medium, &(struct answers){0}, LINE), 3);
    close_all(medium, window, file);
}

struct cleaner {
    struct weir_medium *medium;
    struct weir_window *window;
    bool fences;
    int fenced;
};

static void store_and_clean(void *context)
{
    struct cleaner *cleaner = context;
    cleaner->window->base[0] = 9;
    cleaner->medium->ops->clean(cleaner->window, 0, LINE);
    if (cleaner->fences) {
        cleaner->fenced = cleaner->medium->ops->persist(cleaner->window, 0, BLOCK, 0, 1);
    }
}

static void a_fence_covers_what_its_own_thread_has_cleaned(void **state)
{
    (void)state;
    for (int fences = 0; fences < 2; fences++) {
        struct weir_medium *medium = open_pmem();
        struct weir_file *file = create_durably(medium, "a");
        struct weir_window *window = open_window(medium, file, SEGMENT);
        struct cleaner cleaner = {medium, window, fences == 1, 0};
        struct base_thread thread;
        assert_int_equal(base_thread_start(&thread, "cleaner", store_and_clean, &cleaner), 0);
        base_thread_join(&thread);
        assert_int_equal(cleaner.fenced, fences);
        assert_int_equal(medium->ops->persist(window, 0, BLOCK, 0, 2), 1); /* this thread's */
        struct answers lose = {.masks = {0}, .given = 1};
        assert_int_equal(byte_after(medium, &lose, 0), fences == 1 ? 9 : 0);
        close_all(medium, window, file);
    }
}

/* ---- between the stores and the fence of copy() ---- */

struct at_fence {
    struct weir_medium *medium;
    uint8_t none, half, all;
    unsigned times;
};

static int cut_at_fence(void *context, const char *call, const char *name, uint64_t offset,
                        size_t size)
{
    struct at_fence *at = context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, "fence") == 0) {
        at->times++;
        struct answers none = {.masks = {0, 0}, .given = 2};
        struct answers half = {.masks = {0, 1}, .given = 2};
        at->none = byte_after(at->medium, &none, LINE);
        at->half = byte_after(at->medium, &half, LINE);
        at->all = byte_after(at->medium, &(struct answers){0}, LINE);
    }
    return 0;
}

static void a_copy_is_any_words_before_its_fence_and_whole_behind_it(void **state)
{
    (void)state;
    struct weir_medium *medium = open_pmem();
    struct weir_file *file = create_durably(medium, "a");
    struct weir_window *window = open_window(medium, file, SEGMENT);
    struct at_fence at = {.medium = medium};
    uint8_t payload[2 * LINE];
    memset(payload, 5, sizeof payload);
    sim_memory_faults_set(medium, &(struct sim_memory_faults){cut_at_fence, &at});
    medium->ops->copy(window, 0, payload, sizeof payload);
    sim_memory_faults_set(medium, &(struct sim_memory_faults){0});
    assert_int_equal(at.times, 1);
    assert_true(at.none == 0 && at.half == 5 && at.all == 5);
    assert_int_equal(byte_after(medium, &(struct answers){.given = 8}, LINE), 5);
    close_all(medium, window, file);
}

/* ---- failures ---- */

static int fail_sync(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    (void)context;
    (void)name;
    (void)offset;
    (void)size;
    return strcmp(call, "sync") == 0 ? -EIO : 0;
}

/* RELIABILITY 2: pages are marked clean although they are not on the medium. */
static void a_failed_flush_leaves_its_writes_to_the_next_or_loses_them(void **state)
{
    (void)state;
    for (int loses = 0; loses < 2; loses++) {
        for (int mapped = 0; mapped < 2; mapped++) {
            struct weir_medium *medium = open_shape((struct sim_memory_options){
                .window_is_file = mapped == 1, .failures_lose = loses == 1});
            struct weir_file *file = create_durably(medium, "a");
            struct weir_window *window = open_window(medium, file, SEGMENT);
            uint8_t block[BLOCK], found[BLOCK];
            size_t got;
            memset(block, 7, sizeof block);
            if (mapped == 1) {
                memcpy(window->base, block, sizeof block);
            } else {
                assert_int_equal(medium->ops->write(file, 0, block, sizeof block), 0);
            }
            sim_memory_faults_set(medium, &(struct sim_memory_faults){fail_sync, NULL});
            assert_int_equal(medium->ops->sync(file), -EIO);
            sim_memory_faults_set(medium, &(struct sim_memory_faults){0});
            assert_int_equal(medium->ops->sync(file), 0); /* and says that all is well */
            uint8_t left = loses == 1 ? 0 : 7;
            assert_int_equal(byte_after(medium, &(struct answers){.given = 8}, 0), left);
            assert_true(mapped == 0 || window->base[0] == 7); /* the cache shows it all the same */
            assert_int_equal(medium->ops->read(file, 0, found, sizeof found, &got), 0);
            assert_int_equal(found[0], left);
            assert_int_equal(medium->ops->load(window, 0, BLOCK), 0);
            assert_int_equal(window->base[0], left);
            close_all(medium, window, file);
        }
    }
}

struct lie {
    uint64_t offset;
    size_t size;
};

static void tell_lie(void *context, const char *name, uint64_t *offset, size_t *size)
{
    const struct lie *lie = context;
    (void)name;
    *offset = lie->offset;
    *size = lie->size;
}

static void a_write_can_be_lost_shortened_and_misplaced(void **state)
{
    (void)state;
    static const struct lie lies[] = {{BLOCK, 0}, {BLOCK, 1024}, {3 * BLOCK, BLOCK}};
    static const uint8_t at_block[] = {0, 7, 0}, behind[] = {0, 0, 0}, elsewhere[] = {0, 0, 7};
    for (size_t i = 0; i < 3; i++) {
        struct lie lie = lies[i];
        struct weir_medium *medium = open_shape(
            (struct sim_memory_options){.misplace = tell_lie, .faults = {.context = &lie}});
        struct weir_file *file = create_durably(medium, "a");
        struct weir_window *window = open_window(medium, file, SEGMENT);
        memset(window->base + BLOCK, 7, BLOCK);
        assert_int_equal(medium->ops->persist(window, BLOCK, BLOCK, 0, 1), 1);
        struct answers none = {.given = 8};
        assert_int_equal(byte_after(medium, &none, BLOCK), at_block[i]);
        assert_int_equal(byte_after(medium, &none, BLOCK + 1024), behind[i]);
        assert_int_equal(byte_after(medium, &none, 3 * BLOCK), elsewhere[i]);
        close_all(medium, window, file);
    }
}

/* ---- digests ---- */

static void equal_disks_have_equal_digests_and_equal_runs_equal_traces(void **state)
{
    (void)state;
    uint64_t digests[3], traces[3];
    for (unsigned i = 0; i < 3; i++) {
        struct weir_medium *medium = open_shape((struct sim_memory_options){0});
        struct weir_file *file = create_durably(medium, "a");
        uint8_t block[BLOCK] = {0};
        uint64_t before = sim_memory_digest(medium), changes = sim_memory_changes(medium);
        block[4000] = i == 2 ? 2 : 1;
        assert_int_equal(medium->ops->write(file, BLOCK, block, sizeof block), 0);
        digests[i] = sim_memory_digest(medium);
        traces[i] = sim_memory_trace(medium);
        assert_int_not_equal(digests[i], before);
        assert_true(sim_memory_changes(medium) > changes);
        medium->ops->close(file);
        medium->ops->destroy(medium);
    }
    assert_true(digests[0] == digests[1] && digests[0] != digests[2]);
    assert_true(traces[0] == traces[1] && traces[0] != traces[2]);
}

static int no_leaks(void **state)
{
    (void)state;
    return base_alloc_in_use() == 0 && base_pages_in_use() == 0 ? 0 : -1;
}

#define TEST(function) cmocka_unit_test_teardown(function, no_leaks)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sector_can_be_torn_at_every_8_bytes),
        TEST(each_version_of_a_line_that_was_seen_may_survive),
        TEST(a_fence_covers_what_its_own_thread_has_cleaned),
        TEST(a_copy_is_any_words_before_its_fence_and_whole_behind_it),
        TEST(a_failed_flush_leaves_its_writes_to_the_next_or_loses_them),
        TEST(a_write_can_be_lost_shortened_and_misplaced),
        TEST(equal_disks_have_equal_digests_and_equal_runs_equal_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
