/* Where io_uring is not allowed: `auto` runs on the synchronous calls and says why, `uring` is
 * refused. Each case is a child process with a seccomp filter of its own, as a container has. */
#include "iouring/iouring.h"

#include "tests/medium/fixture.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK ((size_t)4096)

/* Exit codes of the child: 0, or the number of the step that went wrong. */
struct denial {
    const char *directory;
    int system_call;
    int error;
    const char *expected; /* part of the reason */
};

static bool deny(const struct denial *denial)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    return filter != NULL &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)denial->error), denial->system_call,
                            0) == 0 &&
           seccomp_load(filter) == 0;
}

static int commit_works(struct weir_medium *medium)
{
    struct weir_file *file = NULL;
    struct weir_window *window = NULL;
    if (medium->ops->create(medium, "a", 16 * BLOCK, &file) != 0 ||
        medium->ops->window_open(file, 16 * BLOCK, &window) != 0) {
        return 10;
    }
    memset(window->base, 7, BLOCK);
    if (medium->ops->persist(window, 0, BLOCK, 0, 1) != 1 ||
        medium->ops->flush_file(window, 2) != 1) {
        return 11;
    }
    struct weir_completion completion;
    if (medium->ops->poll(medium, &completion, 1, -1) != 0) {
        return 12;
    }
    medium->ops->window_close(window);
    medium->ops->close(file);
    return medium->ops->remove(medium, "a") == 0 ? 0 : 13;
}

typedef int (*open_fn)(const struct iouring_options *options, struct weir_medium **ret_medium,
                       char *reason, size_t reason_size);

static int check_medium(const struct denial *denial, open_fn open_medium)
{
    struct iouring_options options = {.directory = denial->directory, .io = WEIR_IO_URING};
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    int rc = open_medium(&options, &medium, reason, sizeof reason);
    if (rc != WEIR_E_MEDIUM && !(denial->error == ENOMEM && rc == -ENOMEM)) {
        return 2;
    }
    if (medium != NULL || strstr(reason, denial->expected) == NULL) {
        print_error("%s\n", reason);
        return 3;
    }
    options.io = WEIR_IO_AUTO;
    if (open_medium(&options, &medium, reason, sizeof reason) != 0) {
        return 4;
    }
    if (strcmp(medium->info.io, "sync") != 0 || medium->info.asynchronous) {
        return 5;
    }
    if (strstr(medium->info.reason, denial->expected) == NULL ||
        strstr(medium->info.reason, "pwritev2") == NULL) {
        print_error("%s\n", medium->info.reason);
        return 6;
    }
    rc = commit_works(medium);
    medium->ops->destroy(medium);
    return rc;
}

static int run_denied(const struct denial *denial)
{
    if (!deny(denial)) {
        return 1;
    }
    int rc = check_medium(denial, iouring_direct_open);
    return rc != 0 ? rc : check_medium(denial, iouring_mapped_open);
}

static void expect_fallback(int system_call, int error, const char *expected)
{
    char directory[256];
    assert_int_equal(fixture_make_directory(directory, NULL), 0);
    struct denial denial = {directory, system_call, error, expected};
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(run_denied(&denial));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    fixture_remove_directory(directory);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 1) {
        skip(); /* no seccomp here */
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_container_that_forbids_io_uring(void **state)
{
    (void)state;
    expect_fallback(SCMP_SYS(io_uring_setup), EPERM, "EPERM");
}

static void a_kernel_without_io_uring(void **state)
{
    (void)state;
    expect_fallback(SCMP_SYS(io_uring_setup), ENOSYS, "ENOSYS");
}

static void a_limit_on_locked_memory(void **state)
{
    (void)state;
    expect_fallback(SCMP_SYS(io_uring_setup), ENOMEM, "locked memory");
}

static void a_ring_that_can_be_made_but_not_entered(void **state)
{
    (void)state;
    expect_fallback(SCMP_SYS(io_uring_enter), EPERM, "does not run");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_that_forbids_io_uring),
        cmocka_unit_test(a_kernel_without_io_uring),
        cmocka_unit_test(a_limit_on_locked_memory),
        cmocka_unit_test(a_ring_that_can_be_made_but_not_entered),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
