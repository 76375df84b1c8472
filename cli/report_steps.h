/*
 * What a report asks of a server: a table of benchmarks, and which of their numbers it takes.
 */
#ifndef CLI_REPORT_STEPS_H
#define CLI_REPORT_STEPS_H

#include <stdbool.h>
#include <stddef.h>

/* A number of the document that a benchmark prints. */
struct report_pick {
    const char *row; /* NULL: of the document itself; else of the row whose name ends with this */
    const char *member;
    const char *name; /* in the report; NULL ends a list */
    const char *title;
    const char *unit; /* as in struct report_row */
    bool less;        /* less of it is better */
};

/* Options that a benchmark takes. */
enum report_takes {
    REPORT_TAKES_MEDIUM = 1,
    REPORT_TAKES_IO = 2,
    REPORT_TAKES_BOTH = 3,
    REPORT_IS_CRASH = 4, /* takes both, and has other words for what is emulated */
};

struct report_step {
    const char *section;
    const char *what;         /* is being measured */
    const char *full, *quick; /* the words of the command, with one space between them */
    unsigned takes;           /* enum report_takes */
    const struct report_pick *picks;
};

extern const struct report_step report_steps[];
extern const size_t report_step_count;

#endif
