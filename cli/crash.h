/*
 * One run of `weir crash`: what was asked for, where it ran, and what each round has shown.
 * crash.c fills it in, crash_report.c and crash_json.c print it.
 */
#ifndef CLI_CRASH_H
#define CLI_CRASH_H

#include "cli/crash_power.h"
#include "cli/crash_round.h"
#include "cli/machine.h"
#include "cli/options.h"

#include <limits.h>

struct crash_options {
    struct cli_common common;
    const char *directory;
    bool kill, power, engine;
    bool cold, keep, force;
    int durability; /* index in each|group|none */
    struct cli_number writers, size, records, rounds, seed;
};

struct crash {
    struct cli *cli;
    const struct crash_options *options;
    unsigned writers, rounds_wanted;
    uint64_t records; /* a round acknowledges at most so many; 0: it ends by time */
    uint64_t seed;
    enum weir_durability durability;
    struct crash_sizes sizes;
    uint64_t segment_bytes; /* 0: the log's default */
    struct machine_place place;
    struct machine machine;
    char build[64];
    char directory[PATH_MAX]; /* made for this run; "" with --power */
    char path[PATH_MAX + 8];  /* of the log in it */
    struct crash_power *power;
    struct crash_referee *referee;
    struct crash_round *rounds;
    unsigned complete; /* rounds */
    bool full;         /* the referee's table: fewer rounds than asked for */
    bool interrupted;
    double seconds;
};

/* Sums over the rounds that are complete. */
struct crash_sums {
    uint64_t acknowledged, recovered, lost, wrong;
};

struct crash_sums crash_sum(const struct crash *crash);
const char *crash_durability_name(const struct crash *crash);
const char *crash_medium_name(const struct crash *crash);

/* Whether everything that was promised is there and nothing else. */
bool crash_is_well(const struct crash *crash);

/* A number of each complete round, for medians and growth. */
typedef double (*crash_value_fn)(const struct crash_round *round, const void *context);

double crash_median(const struct crash *crash, crash_value_fn value, const void *context);

/* By how much a value grows with each GiB of log: the line that fits the rounds best. */
struct crash_growth {
    double per_gib; /* NaN when there are fewer than two lengths of log */
    double error;   /* its standard error; NaN when there are fewer than three rounds */
};

/* Is it more than what chance makes of the rounds? Not with NaN. */
bool crash_growth_is_told(const struct crash_growth *growth);

struct crash_growth crash_growth(const struct crash *crash, crash_value_fn value,
                                 const void *context);

double crash_phase_value(const struct crash_round *round, const void *phase);
double crash_scan_records_per_s(const struct crash_round *round, const void *unused);
double crash_scan_bytes_per_s(const struct crash_round *round, const void *unused);
double crash_verify_seconds(const struct crash_round *round, const void *unused);
double crash_verify_bytes_per_s(const struct crash_round *round, const void *unused);

void crash_report_text(const struct crash *crash);
void crash_report_json(const struct crash *crash);

#endif
