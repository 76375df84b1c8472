/* How much memory is left: of this machine, and of control groups that a test makes up. */
#include "base/memory.h"

#include "base/alloc.h"
#include "base/system.h"
#include "tests/base/support.h"

#include <sys/stat.h>

#define MIB ((uint64_t)1 << 20)

static char root[64];

static void write_file(const char *group, const char *name, const char *text)
{
    char path[256];
    assert_true(snprintf(path, sizeof path, "%s%s/%s", root, group, name) < (int)sizeof path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void make_group(const char *group)
{
    char path[256];
    assert_true(snprintf(path, sizeof path, "%s%s", root, group) < (int)sizeof path);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* Two groups, one in the other, of which neither has a limit. */
static int make_groups(void **state)
{
    (void)state;
    strcpy(root, "weir-groups-XXXXXX");
    assert_non_null(mkdtemp(root));
    make_group("/out");
    make_group("/out/in");
    write_file("/out", "memory.max", "max\n");
    write_file("/out/in", "memory.max", "max\n");
    write_file("/out", "memory.current", "7340032\n");
    write_file("/out/in", "memory.current", "7340032\n");
    return 0;
}

static int remove_groups(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static uint64_t left(void)
{
    return base_memory_left_to_group(root, "/out/in");
}

static void a_group_without_a_limit_has_none(void **state)
{
    (void)state;
    assert_true(left() == UINT64_MAX);
    assert_true(base_memory_left_to_group(root, "/") == UINT64_MAX);
    assert_true(base_memory_left_to_group(root, "/nowhere/in") == UINT64_MAX);
    assert_true(base_memory_left_to_group("/nowhere", "/out") == UINT64_MAX);
}

static void the_tightest_limit_on_the_way_out_counts(void **state)
{
    (void)state;
    write_file("/out", "memory.max", "104857600\n"); /* 100 MiB, of which 7 are used */
    assert_true(left() == 93 * MIB);
    write_file("/out/in", "memory.max", "20971520\n");
    assert_true(left() == 13 * MIB);
    write_file("/out", "memory.max", "8388608\n");
    assert_true(left() == 1 * MIB);
    write_file("/out", "memory.current", "9437184\n"); /* more than the limit, which was lowered */
    assert_true(left() == 0);
}

static void what_files_have_of_it_is_left(void **state)
{
    (void)state;
    write_file("/out/in", "memory.max", "10485760\n");
    assert_true(left() == 3 * MIB);
    write_file("/out/in", "memory.stat", "anon 1048576\nfile 6291456\nfile_dirty 4096\n");
    assert_true(left() == 9 * MIB);
    write_file("/out/in", "memory.stat", "file 99999999999\n");
    assert_true(left() == 10 * MIB);
    write_file("/out/in", "memory.stat", "no numbers\n");
    assert_true(left() == 3 * MIB);
}

static void files_in_memory_are_not_left(void **state)
{
    (void)state;
    write_file("/out/in", "memory.max", "10485760\n");
    write_file("/out/in", "memory.stat", "file 6291456\nkernel 4096\nshmem 5242880\n");
    assert_true(left() == 4 * MIB);
    write_file("/out/in", "memory.stat", "file 6291456\nshmem 99999999999\n");
    assert_true(left() == 3 * MIB);
}

static void a_limit_that_is_no_number_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "much", "max"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        write_file("/out/in", "memory.max", texts[i]);
        assert_true(left() == UINT64_MAX);
    }
}

static uint64_t little_memory(void *context)
{
    return *(const uint64_t *)context;
}

static void available_memory_is_some_of_what_there_is(void **state)
{
    (void)state;
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * base_page_size();
    uint64_t available = base_memory_available();
    assert_true(available > base_page_size() && available < all);
    uint64_t little = 12345;
    struct base_system hooks = {.context = &little, .memory_available = little_memory};
    base_system_set(&hooks);
    assert_true(base_memory_available() == little);
    base_system_set(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_group_without_a_limit_has_none, make_groups,
                                        remove_groups),
        cmocka_unit_test_setup_teardown(the_tightest_limit_on_the_way_out_counts, make_groups,
                                        remove_groups),
        cmocka_unit_test_setup_teardown(what_files_have_of_it_is_left, make_groups, remove_groups),
        cmocka_unit_test_setup_teardown(files_in_memory_are_not_left, make_groups, remove_groups),
        cmocka_unit_test_setup_teardown(a_limit_that_is_no_number_is_none, make_groups,
                                        remove_groups),
        cmocka_unit_test(available_memory_is_some_of_what_there_is),
    };
    return RUN_TESTS(tests, argc, argv);
}
