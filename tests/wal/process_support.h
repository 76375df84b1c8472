/*
 * Helper verbs for tests with processes: a child that does as it is told, one byte at a time, and
 * waiting that ends.
 */
#ifndef TESTS_WAL_PROCESS_SUPPORT_H
#define TESTS_WAL_PROCESS_SUPPORT_H

#include "tests/wal/support.h"

#include <sys/types.h>

#define PROCESS_PATIENCE_NS INT64_C(20000000000)

struct process_medium {
    const char *name;
    enum weir_medium_kind kind;
    enum weir_io_kind io;
};

extern const struct process_medium PROCESS_MEDIA[];
extern const unsigned PROCESS_MEDIA_COUNT;

/* Skips the test where this medium cannot be had. */
void process_skip_without(const struct process_medium *medium);

struct weir_log_options process_options(const struct process_medium *medium, uint32_t flags);
struct weir_log *process_open(const struct process_medium *medium, const char *directory,
                              uint32_t flags);

/* What weir_log_open() says when it does not wait. A log that it opens is closed again. */
int process_try_open(const struct process_medium *medium, const char *directory,
                     struct weir_error *why);

struct process {
    pid_t pid;
    int orders, answers; /* pipes: bytes down, numbers up */
};

/* Runs `run` in a child; its result is the exit code. */
struct process process_start(int (*run)(void *context, struct process *self), void *context);

/* For the parent: an order, and an answer to it. */
void process_tell(struct process *self, char order);
uint64_t process_hear(struct process *self);

/* For the child: the next order ('\0' when the parent has left), and an answer. */
char process_next_order(struct process *self);
void process_answer(struct process *self, uint64_t value);

/* Closes the pipes and waits; returns what waitpid() said. */
int process_end(struct process *self);
void process_kill(struct process *self);

/* The cursor has come to `lsn`, within the patience of these tests. */
void process_read_to(struct weir_cursor *cursor, weir_lsn lsn);

#endif
