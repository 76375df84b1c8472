/*
 * What verification knows while it reads: for verify.c (directory, CONTROL, report) and
 * verify_walk.c (the groups) only.
 *
 * Every finding either costs records (or the log's ability to open), or is a note: damage to
 * something that exists twice or can be derived. Only the former make the report's ok false.
 */
#ifndef WAL_VERIFY_H
#define WAL_VERIFY_H

#include "wal/control.h"
#include "wal/inventory.h"
#include "wal/scan.h"

#include <weir/inspect.h>

typedef int (*verify_finding_fn)(void *context, const struct weir_finding *finding);

struct verify {
    struct weir_medium *medium;
    verify_finding_fn fn;
    void *context;
    struct weir_verify_report *report;
    int stopped; /* what fn returned, when it was not 0 */

    struct control control; /* without a usable one: what the segment headers say */
    bool has_control;
    bool live_writer; /* the log grows while it is read */
    struct inventory inventory;
    struct scan scan;

    bool tail_known; /* recovery would open the log with this tail */
    uint64_t tail_address;

    /* The walk. */
    uint64_t ordinal, last_ordinal;
    bool in_step; /* chain is what the next group continues from */
    struct group_chain chain;
    uint64_t seal_offset; /* of the segment before */
    bool ended;           /* at the tail: nothing behind it belongs to the log */
    struct scan_directory directory;
    weir_lsn latest; /* last whole record */
    /* Damage whose end is not known yet. */
    bool pending;
    struct weir_finding damage;
};

/* Reports a finding; counts it, and whether it costs records. */
void verify_report(struct verify *verify, const struct weir_finding *finding, bool costs);

/* A finding about a segment's file; LSNs 0, 0. */
struct weir_finding verify_finding(const char *code, uint64_t ordinal, uint64_t offset,
                                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Reads all retained segments. 0; what fn returned; -errno. */
int verify_walk(struct verify *verify);

#endif
