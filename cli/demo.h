/*
 * The parts of `weir demo`. Each fills in its result and returns -1 to go on or the exit code of a
 * failure that it has reported; demo_report.c prints what the parts have filled in.
 */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include "cli/demo_rows.h"
#include "cli/machine.h"
#include "cli/options.h"

#ifdef WEIR_CLI_HAS_BENCH
#include "bench/bench.h"
#endif

#include <limits.h>

struct demo_options {
    struct cli_common common;
    const char *directory;
    const char *input;
    const char *key, *group, *sum, *text; /* fields of the documents */
    bool keep;
};

#define DEMO_RUNS 3 /* 1, 8 and 64 writers */

/* What a loop without a log in it reaches on this device. */
struct demo_limit {
    double per_s;
    double bytes_per_s;
    double p50_us;
    double p99_us;
};

/* What the device does by itself, and what the log makes of it. */
struct demo_measure {
    unsigned runs;                   /* that are complete */
    bool limited;                    /* the next three were measured */
    struct demo_limit overwrite;     /* durable 4 KiB writes, one after the other */
    struct demo_limit writes, reads; /* sequential */
#ifdef WEIR_CLI_HAS_BENCH
    struct demo_run {
        double ideal_before_per_s; /* an ideal leader with as many writers, right before */
        double ideal_after_per_s;  /* and right behind: a device that is shared varies */
        struct bench_result append;
    } run[DEMO_RUNS];
#endif
};

#define DEMO_SYSTEMS 3 /* an index, a view, a full text */

/* Real documents, imported while the three follow, and what those answer. */
struct demo_documents {
    bool done;
    char source[PATH_MAX]; /* "" when there was nothing to import */
    double import_s;       /* until the last one was durable, */
    double derived_s;      /* and until all three had applied it */
    double read_s;
    uint64_t different; /* documents that did not come back as they were: must be 0 */
    uint64_t groups, top_count, index_rows, text_rows;
    char top[64]; /* the largest group */
    char top_sum[64];
    char word[32]; /* "" when there is none */
    double index_s, text_s;
};

/* The same after a crash, and built from the log alone. */
struct demo_recover {
    bool recovered, done;
    uint64_t told; /* changes that were acknowledged */
    uint64_t lost; /* documents that do not have the version that was: must be 0 */
    double log_s, engine_s, derived_s;
    struct {
        uint64_t events;
        double seconds;
    } rebuilt[DEMO_SYSTEMS + 1]; /* the engine first */
    uint8_t before[DEMO_SYSTEMS + 1][16], after[DEMO_SYSTEMS + 1][16];
    unsigned unequal; /* fingerprints: must be 0 */
};

#define DEMO_ROUNDS 3
#define DEMO_CRASH_WRITERS 4

/* Writers killed with SIGKILL while they append and acknowledge. */
struct demo_crash {
    unsigned rounds;       /* that are complete */
    uint64_t acknowledged; /* over all rounds */
    uint64_t recovered;    /* records in the log in the end */
    uint64_t lost;         /* absent, different or never appended: must be 0 */
    double seconds;
    struct weir_open_report reports[DEMO_ROUNDS];
};

struct demo {
    struct cli *cli;
    const struct demo_options *options;
    char directory[PATH_MAX]; /* made for this run */
    struct machine_place place;
    struct machine machine;
    struct weir_medium_info medium;
    struct demo_measure measure;
    struct demo_rows rows;
    struct demo_documents documents;
    struct demo_recover recover;
    struct demo_crash crash;
    double seconds;
    bool interrupted;
};

extern const unsigned demo_writers[DEMO_RUNS];
extern const char *const demo_system_names[DEMO_SYSTEMS];

int demo_measure(struct demo *demo);
int demo_crash(struct demo *demo);
int demo_documents(struct demo *demo);
int demo_recover(struct demo *demo);

/* Options of the logs that the parts open. */
void demo_log_options(const struct demo *demo, uint32_t flags,
                      struct weir_log_options *ret_options);

void demo_report_text(const struct demo *demo);
void demo_report_json(const struct demo *demo);

#endif
