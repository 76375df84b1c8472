/*
 * What the tests of derived systems share: cmocka with its includes, allocations that fail, and
 * state files in memory, so that a state can be cut, changed and made to lie.
 */
#ifndef TESTS_DERIVED_SUPPORT_H
#define TESTS_DERIVED_SUPPORT_H

#include <weir/engine.h>
#include <weir/state.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* The tests of a program: all, or those that match its first argument. */
#define RUN_TESTS(tests, argc, argv)                                                               \
    (cmocka_set_test_filter((argc) > 1 ? (argv)[1] : NULL),                                        \
     cmocka_run_group_tests(tests, NULL, NULL))

/* The n-th allocation from now on fails, and with `stays` all behind it; 0: only counted. */
void fail_allocation(uint64_t nth, bool stays);
/* Allocations go on as ever: how many there were, those that failed included. */
uint64_t stop_failing(void);

/* The text of a literal. */
static inline struct weir_bytes bytes_of(const char *text)
{
    return (struct weir_bytes){text, strlen(text)};
}

/* ---- a state in memory: memory_state.c is linked instead of the files ---- */

struct memory_state {
    uint8_t *data;
    size_t size, room;
    int write_error; /* what writing answers */
};

/* The writer is the state's; weir_state_write() appends to it. */
struct weir_state_writer *memory_state_writer(struct memory_state *state);
/* From the beginning; give it back with weir_state_close(). */
struct weir_state_reader *memory_state_reader(const struct memory_state *state);
void memory_state_free(struct memory_state *state);

#endif
