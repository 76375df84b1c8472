/*
 * A run of this very program in a process of its own, and what it printed.
 */
#ifndef CLI_REPORT_CHILD_H
#define CLI_REPORT_CHILD_H

#include <stddef.h>

#define REPORT_CHILD_WORDS_MAX 24u

struct report_child {
    char *out; /* what it wrote to standard output; free with report_child_free() */
    size_t size;
    int exit_code; /* -1: a signal ended it */
};

/* Runs `weir WORDS...` to its end; a signal to this process is passed on once. @param words  ends
 * with NULL. Returns 0, or a negative error: it did not run. */
int report_child_run(const char *const *words, struct report_child *ret_child);
void report_child_free(struct report_child *child);

#endif
