/*
 * What comes behind each crash: the log is opened, timed by phase, judged by the referee, closed,
 * and read as a whole.
 */
#ifndef CLI_CRASH_ROUND_H
#define CLI_CRASH_ROUND_H

#include "cli/command.h"
#include "cli/crash_engine.h"
#include "cli/crash_moment.h"
#include "cli/crash_referee.h"

#include <weir/inspect.h>

struct crash_round {
    unsigned number; /* from 0 */
    struct crash_moment moment;
    bool rolled;        /* a file of the log was being made when the crash came */
    bool complete;      /* all below is filled in */
    uint64_t log_bytes; /* range of addresses that the log retains, padding included */
    struct weir_open_report report;
    struct crash_verdict verdict;
    struct weir_verify_report verify;
    char finding[400];          /* of verify, the first; "" */
    struct crash_engine engine; /* with site->engine */
};

/* Where the log is and how it is opened. */
struct crash_site {
    const char *path;
    /* Fills in what weir_log_open() and weir_verify() take. Returns 0 or a negative error. */
    int (*options)(void *context, uint32_t flags, struct weir_log_options *ret_options);
    void *context;
    bool cold;   /* the log's files leave the page cache before each timed step */
    bool verify; /* the whole log is read, too */
    bool engine; /* an engine is opened over it and judged */
};

/*
 * Fills in what the crash has left. A signal leaves round->complete false.
 * Returns -1 to go on, else the exit code of a failure that it has reported.
 */
int crash_round_recover(struct cli *cli, const struct crash_site *site,
                        struct crash_referee *referee, struct crash_round *round);

/* The phases of opening, in order, as reports name them. */
struct crash_phase {
    const char *name;     /* "scan" */
    const char *json;     /* "scan_s" */
    size_t report_offset; /* of a double in struct weir_open_report */
};

extern const struct crash_phase crash_phases[]; /* ends with a NULL name; the last is the total */

double crash_phase_seconds(const struct crash_phase *phase, const struct weir_open_report *report);

#endif
