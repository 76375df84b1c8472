/*
 * What the tests of base share: cmocka with its includes, running a group with a filter from argv,
 * and running a function in a child process.
 */
#ifndef TESTS_BASE_SUPPORT_H
#define TESTS_BASE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* The tests of a program: all, or those that match its first argument. */
#define RUN_TESTS(tests, argc, argv)                                                               \
    (cmocka_set_test_filter((argc) > 1 ? (argv)[1] : NULL),                                        \
     cmocka_run_group_tests(tests, NULL, NULL))

/* How a child ended and what it wrote to stderr. */
struct child_end {
    int status; /* as from waitpid */
    char stderr_text[4096];
};

/* The child leaves with the result of `run`, without running anything of its parent's. */
static inline struct child_end run_in_child(int (*run)(void *context), void *context)
{
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (dup2(pipe_ends[1], STDERR_FILENO) < 0) {
            _exit(125);
        }
        _exit(run(context));
    }
    close(pipe_ends[1]);
    struct child_end end = {.status = -1};
    size_t length = 0;
    ssize_t count;
    while ((count = read(pipe_ends[0], end.stderr_text + length,
                         sizeof end.stderr_text - 1 - length)) > 0) {
        length += (size_t)count;
    }
    close(pipe_ends[0]);
    assert_int_equal(waitpid(child, &end.status, 0), child);
    return end;
}

static inline bool died_by(const struct child_end *end, int signal_number)
{
    return WIFSIGNALED(end->status) && WTERMSIG(end->status) == signal_number;
}

static inline bool left_with(const struct child_end *end, int code)
{
    return WIFEXITED(end->status) && WEXITSTATUS(end->status) == code;
}

#endif
