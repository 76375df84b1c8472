/* Memory: counted exactly, and every call can be made to fail without a trace. */
#include "base/alloc.h"

#include "base/system.h"
#include "tests/base/support.h"

#include <unistd.h>

/* Fails the call number `fail_at` (from 1) and, when persistent, all after it. */
struct failing_memory {
    int calls;
    int fail_at;
    bool persistent;
    int frees;
};

static bool must_fail(struct failing_memory *memory)
{
    int call = ++memory->calls;
    return call == memory->fail_at || (memory->persistent && call > memory->fail_at);
}

static void *alloc_or_fail(void *context, size_t alignment, size_t size)
{
    void *block = NULL;
    if (must_fail(context)) {
        return NULL;
    }
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static void count_free(void *context, void *block)
{
    struct failing_memory *memory = context;
    memory->frees++;
    free(block);
}

static void *no_pages(void *context, size_t size, unsigned flags)
{
    (void)context;
    (void)size;
    (void)flags;
    return NULL;
}

static int restore_system(void **state)
{
    (void)state;
    base_system_set(NULL);
    return 0;
}

static bool is_aligned(const void *memory, size_t alignment)
{
    return (uintptr_t)memory % alignment == 0;
}

static void allocations_are_counted_once_and_frees_bring_in_use_back(void **state)
{
    (void)state;
    uint64_t count = base_alloc_count();
    uint64_t in_use = base_alloc_in_use();
    void *blocks[4] = {base_alloc(10), base_alloc_zero(10), base_alloc_array(3, 7),
                       base_alloc_aligned(BASE_CACHE_LINE, 100)};
    assert_true(base_alloc_count() == count + 4);
    assert_true(base_alloc_in_use() == in_use + 4);
    for (size_t index = 0; index < COUNT_OF(blocks); index++) {
        assert_non_null(blocks[index]);
        base_free(blocks[index]);
    }
    base_free(NULL);
    assert_true(base_alloc_count() == count + 4);
    assert_true(base_alloc_in_use() == in_use);
}

static void zero_bytes_are_a_block_too(void **state)
{
    (void)state;
    void *first = base_alloc(0);
    void *second = base_alloc_zero(0);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    base_free(first);
    base_free(second);
}

static void zeroed_memory_is_zero(void **state)
{
    (void)state;
    static const uint8_t zeros[512];
    void *dirty = base_alloc(512);
    assert_non_null(dirty);
    memset(dirty, 0xff, 512);
    base_free(dirty);
    void *block = base_alloc_zero(512);
    assert_non_null(block);
    assert_memory_equal(block, zeros, 512);
    base_free(block);
}

static void an_array_that_overflows_is_refused(void **state)
{
    (void)state;
    uint64_t count = base_alloc_count();
    assert_null(base_alloc_array(SIZE_MAX / 2, 3));
    assert_true(base_alloc_count() == count);
}

static void alignment_is_kept_at_every_power_of_two(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        void *block = base_alloc_aligned(alignment, 3);
        assert_non_null(block);
        assert_true(is_aligned(block, alignment));
        base_free(block);
    }
}

static void the_nth_allocation_fails_once_and_is_not_counted(void **state)
{
    (void)state;
    uint64_t count = base_alloc_count();
    struct failing_memory memory = {.fail_at = 2};
    struct base_system system = {.context = &memory, .alloc = alloc_or_fail, .free = count_free};
    base_system_set(&system);
    void *first = base_alloc(1);
    void *second = base_alloc_zero(1);
    void *third = base_alloc_array(1, 1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    assert_true(base_alloc_count() == count + 2);
    base_free(first);
    base_free(third);
    assert_int_equal(memory.frees, 2);
}

static void a_persistent_failure_lasts_until_the_system_is_restored(void **state)
{
    (void)state;
    struct failing_memory memory = {.fail_at = 1, .persistent = true};
    struct base_system system = {.context = &memory, .alloc = alloc_or_fail, .free = count_free};
    base_system_set(&system);
    for (int turn = 0; turn < 3; turn++) {
        assert_null(base_alloc_aligned(64, 64));
    }
    base_system_set(NULL);
    void *block = base_alloc(1);
    assert_non_null(block);
    base_free(block);
}

static void pages_are_zeroed_aligned_and_counted_in_whole_pages(void **state)
{
    (void)state;
    size_t page = base_page_size();
    uint64_t before = base_pages_in_use();
    const struct {
        size_t size;
        unsigned flags;
    } table[] = {{1, 0},
                 {page, BASE_PAGES_POPULATE},
                 {page + 1, 0},
                 {(size_t)3 << 20, BASE_PAGES_HUGE},
                 {(size_t)2 << 20, BASE_PAGES_HUGE | BASE_PAGES_POPULATE}};
    for (size_t index = 0; index < COUNT_OF(table); index++) {
        size_t size = table[index].size;
        char *memory = base_pages_alloc(size, table[index].flags);
        assert_non_null(memory);
        bool huge = (table[index].flags & BASE_PAGES_HUGE) != 0;
        assert_true(is_aligned(memory, huge ? (size_t)2 << 20 : page));
        assert_true(base_pages_in_use() == before + (size + page - 1) / page * page);
        assert_int_equal(memory[0], 0);
        assert_int_equal(memory[size - 1], 0);
        memory[0] = 1;
        memory[size - 1] = 1;
        base_pages_free(memory, size);
        assert_true(base_pages_in_use() == before);
    }
    base_pages_free(NULL, 1);
}

static void pages_that_nobody_can_have_are_refused(void **state)
{
    (void)state;
    uint64_t before = base_pages_in_use();
    assert_null(base_pages_alloc(SIZE_MAX, 0));
    assert_null(base_pages_alloc(SIZE_MAX / 2, BASE_PAGES_HUGE));
    assert_null(base_pages_alloc(SIZE_MAX - 8192, BASE_PAGES_HUGE));
    assert_true(base_pages_in_use() == before);
}

static void reserved_pages_may_be_more_than_there_is_memory(void **state)
{
    (void)state;
    size_t size = (size_t)256 << 30;
    uint64_t before = base_pages_in_use();
    for (unsigned huge = 0; huge <= BASE_PAGES_HUGE; huge += BASE_PAGES_HUGE) {
        char *memory = base_pages_alloc(size, BASE_PAGES_RESERVE | huge);
        assert_non_null(memory);
        assert_true(is_aligned(memory, huge != 0 ? (size_t)2 << 20 : base_page_size()));
        memory[0] = 1;
        memory[size - 1] = 1;
        assert_int_equal(memory[size / 2], 0);
        base_pages_free(memory, size);
    }
    assert_true(base_pages_in_use() == before);
}

static void pages_can_be_made_to_fail(void **state)
{
    (void)state;
    struct base_system system = {.pages_alloc = no_pages};
    base_system_set(&system);
    assert_null(base_pages_alloc(4096, 0));
    base_system_set(NULL);
    void *memory = base_pages_alloc(4096, 0);
    assert_non_null(memory);
    base_pages_free(memory, 4096);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_counted_once_and_frees_bring_in_use_back),
        cmocka_unit_test(zero_bytes_are_a_block_too),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(an_array_that_overflows_is_refused),
        cmocka_unit_test(alignment_is_kept_at_every_power_of_two),
        cmocka_unit_test_teardown(the_nth_allocation_fails_once_and_is_not_counted, restore_system),
        cmocka_unit_test_teardown(a_persistent_failure_lasts_until_the_system_is_restored,
                                  restore_system),
        cmocka_unit_test(pages_are_zeroed_aligned_and_counted_in_whole_pages),
        cmocka_unit_test(pages_that_nobody_can_have_are_refused),
        cmocka_unit_test(reserved_pages_may_be_more_than_there_is_memory),
        cmocka_unit_test_teardown(pages_can_be_made_to_fail, restore_system),
    };
    return RUN_TESTS(tests, argc, argv);
}
