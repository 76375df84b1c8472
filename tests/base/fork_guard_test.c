/* The fork guard: the creator is never taken for a child, a child always is. */
#include "base/fork_guard.h"

#include "tests/base/support.h"

static struct base_fork_guard guard;

static int create_guard(void **state)
{
    (void)state;
    return base_fork_guard_create(&guard);
}

static int destroy_guard(void **state)
{
    (void)state;
    base_fork_guard_destroy(&guard);
    return 0;
}

static int say_whether_child(void *context)
{
    (void)context;
    return base_fork_guard_is_child(&guard) ? 10 : 20;
}

static int ask_a_grandchild(void *context)
{
    struct child_end end = run_in_child(say_whether_child, context);
    return WIFEXITED(end.status) ? WEXITSTATUS(end.status) : 30;
}

static int make_its_own_guard(void *context)
{
    (void)context;
    base_fork_guard_destroy(&guard);
    if (base_fork_guard_create(&guard) != 0) {
        return 30;
    }
    return say_whether_child(NULL);
}

static void the_creator_is_not_a_child(void **state)
{
    (void)state;
    assert_false(base_fork_guard_is_child(&guard));
}

static void a_forked_process_is_a_child_and_its_parent_still_is_not(void **state)
{
    (void)state;
    struct child_end end = run_in_child(say_whether_child, NULL);
    assert_true(left_with(&end, 10));
    assert_false(base_fork_guard_is_child(&guard));
}

static void a_grandchild_is_a_child_too(void **state)
{
    (void)state;
    struct child_end end = run_in_child(ask_a_grandchild, NULL);
    assert_true(left_with(&end, 10));
}

static void a_child_can_start_afresh(void **state)
{
    (void)state;
    struct child_end end = run_in_child(make_its_own_guard, NULL);
    assert_true(left_with(&end, 20));
}

static void destroying_twice_is_harmless(void **state)
{
    (void)state;
    base_fork_guard_destroy(&guard);
    base_fork_guard_destroy(&guard);
    assert_null(guard.alive);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_creator_is_not_a_child, create_guard, destroy_guard),
        cmocka_unit_test_setup_teardown(a_forked_process_is_a_child_and_its_parent_still_is_not,
                                        create_guard, destroy_guard),
        cmocka_unit_test_setup_teardown(a_grandchild_is_a_child_too, create_guard, destroy_guard),
        cmocka_unit_test_setup_teardown(a_child_can_start_afresh, create_guard, destroy_guard),
        cmocka_unit_test_setup_teardown(destroying_twice_is_harmless, create_guard, destroy_guard),
    };
    return RUN_TESTS(tests, argc, argv);
}
