/*
 * The parts of `weir report`: what is measured, by running the benchmarks one after the other, and
 * how that is shown, alone or beside the reports of other servers.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli/machine.h"
#include "cli/options.h"

#include "base/json.h"

#include <weir/medium.h>

#include <limits.h>

struct report_options {
    struct cli_common common;
    const char *directory;
    bool quick;
    bool force;
    bool compare;
};

#define REPORT_ROWS_MAX 64u
#define REPORT_MISSING_MAX 24u

/* One number. Its name is what compares it with that of another report: it never changes. */
struct report_row {
    char name[48];    /* "append.each-8.records_per_s" */
    char section[64]; /* for people */
    char title[80];
    char unit[12]; /* one that report_unit_is_known(); "" is a count, which is no measure */
    bool less;     /* less of it is better */
    double value;  /* finite */
};

/* A benchmark that gave no numbers. */
struct report_missing {
    char command[96]; /* "weir bench get ..." */
    char reason[128];
};

struct report {
    struct cli *cli;
    const struct report_options *options;
    char directory[PATH_MAX]; /* made for this run */
    struct machine_place place;
    struct machine machine;
    struct weir_medium_info medium;
    char build[64];
    uint64_t started_ns; /* realtime */
    double seconds;
    double load_before, load_after; /* averages over a minute */
    bool interrupted;
    bool lost; /* a crash has lost what was acknowledged */
    unsigned row_count, missing_count;
    struct report_row rows[REPORT_ROWS_MAX];
    struct report_missing missing[REPORT_MISSING_MAX];
};

/* Runs every benchmark and fills in rows and missing, until the end or a signal. */
void report_measure(struct report *report);

void report_print_text(const struct report *report);
void report_print_json(const struct report *report);

/* A number of a document; NAN: it is something else, or longer than any that was printed. */
double report_number(const struct base_json_value *value);

/* "1.25 M/s", "36.6 ms": a number with its unit, in at most `size` bytes. */
void report_value_text(double value, const char *unit, char *ret_text, size_t size);
bool report_unit_is_known(const char *unit);

/* Reads reports, one of each argument, and shows them beside each other. Returns the exit code. */
int report_compare(struct cli *cli);

#endif
