/* Which boot, machine and process: stable within one boot, cut to the room there is. */
#include "base/identity.h"

#include "tests/base/support.h"

static void the_boot_id_is_the_same_each_time_and_not_zero(void **state)
{
    (void)state;
    uint8_t first[BASE_BOOT_ID_SIZE], second[BASE_BOOT_ID_SIZE];
    uint8_t zero[BASE_BOOT_ID_SIZE] = {0};
    assert_int_equal(base_boot_id(first), 0);
    assert_int_equal(base_boot_id(second), 0);
    assert_memory_equal(first, second, sizeof first);
    assert_memory_not_equal(first, zero, sizeof first);
}

static void a_host_name_is_cut_to_its_room(void **state)
{
    (void)state;
    char whole[256], cut[3];
    base_host_name(whole, sizeof whole);
    base_host_name(cut, sizeof cut);
    assert_true(strlen(whole) > 0);
    assert_true(strlen(cut) <= 2);
    assert_memory_equal(whole, cut, strlen(cut));
}

static int report_process_id(void *context)
{
    uint32_t *parent = context;
    return base_process_id() != *parent && base_process_id() == (uint32_t)getpid() ? 0 : 1;
}

static void a_child_has_a_process_id_of_its_own(void **state)
{
    (void)state;
    uint32_t parent = base_process_id();
    struct child_end end = run_in_child(report_process_id, &parent);
    assert_true(WIFEXITED(end.status));
    assert_int_equal(WEXITSTATUS(end.status), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_boot_id_is_the_same_each_time_and_not_zero),
        cmocka_unit_test(a_host_name_is_cut_to_its_room),
        cmocka_unit_test(a_child_has_a_process_id_of_its_own),
    };
    return RUN_TESTS(tests, argc, argv);
}
