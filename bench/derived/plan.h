/*
 * What `weir bench derived` does: documents go into an engine, derived systems follow, and each
 * thing that this costs is a row: a median over rounds, taken in turns.
 */
#ifndef BENCH_DERIVED_PLAN_H
#define BENCH_DERIVED_PLAN_H

#include "bench/derived/documents.h"

#include <weir/engine.h>
#include <weir/host.h>

#define DERIVED_ROWS_MAX 64u
#define DERIVED_ROUNDS_MAX 31u

struct derived_plan {
    const char *directory; /* our own, inside the one that the user named */
    uint64_t count;        /* of documents */
    unsigned rounds;
    enum weir_medium_kind medium;
    enum weir_io_kind io;
    uint64_t segment_bytes;
    bool emulated_pmem;
    const struct derived_peer *peer; /* NULL: none takes part */
};

struct derived_row {
    char name[40]; /* "events-index", for JSON */
    char title[80];
    char unit[16]; /* "events/s", "seconds", ... */
    double value;  /* median */
    double ratio;  /* to what it is held against, in the same round; 0: to nothing */
    char against[40];
    double goal; /* the ratio to reach, else the value; 0: none */
    unsigned rounds;
    double values[DERIVED_ROUNDS_MAX], ratios[DERIVED_ROUNDS_MAX];
};

struct derived_bench {
    const struct derived_plan *plan;
    struct documents documents;
    unsigned count;
    struct derived_row rows[DERIVED_ROWS_MAX];
    struct weir_medium_info medium;
    bool interrupted;
    char error[400];
};

/* The row of that name, made when it is not there; NULL when there is no room. */
struct derived_row *derived_row(struct derived_bench *bench, const char *name, const char *unit,
                                const char *title);

/* Adds what a round measured. @param against  NULL, or what the ratio is to. Nothing is done with a
 * row that is NULL. */
void derived_row_add(struct derived_row *row, double value, const char *against, double ratio);

/* Of an odd number of values, the one in the middle. */
double derived_median(const double *values, unsigned count);

/* Fills in medians. */
void derived_rows_finish(struct derived_bench *bench);

/* Keeps the words of a failure; returns rc. */
int derived_fail(struct derived_bench *bench, int rc, const char *what,
                 const struct weir_error *why);

/* ---- the parts: each takes rounds and adds rows; 0 or a negative error ---- */

int derived_events(struct derived_bench *bench);   /* events/s, rebuild, verify, memory */
int derived_delivery(struct derived_bench *bench); /* what writers pay, how far systems lag */
int derived_compare(struct derived_bench *bench);  /* the peer's own, beside the same of ours */

/* ---- another system with the same indexes ---- */

enum derived_peer_index { DERIVED_PEER_NONE = 0, DERIVED_PEER_INDEX, DERIVED_PEER_TEXT };

struct derived_peer {
    const char *name, *settings;
    /* Puts all documents, in one transaction and without a flush, into a fresh store in the
     * directory, with that index; how long, by clock. 0 or a negative error, told in ret_error. */
    int (*put)(const char *directory, const struct documents *documents,
               enum derived_peer_index index, double *ret_seconds, char ret_error[200]);
};

/* weir-peers is linked with one. */
void derived_register_peer(const struct derived_peer *peer);
bool derived_has_peer(void);
const struct derived_peer *derived_find_peer(const char *name);

#endif
