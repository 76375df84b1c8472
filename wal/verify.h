/*
 * What verification knows while it reads: for verify.c (directory, CONTROL, report), verify_walk.c
 * (the segments), verify_groups.c and verify_find.c, verify_beside.c (holds and state files), and
 * for salvage.
 *
 * Every finding either costs records (or the log's ability to open), or is a note: damage to
 * something that exists twice or can be derived. Only the former make the report's ok false.
 *
 * Salvage reads with the same walk (salvage.c): it takes the findings, and the groups through keep.
 */
#ifndef WAL_VERIFY_H
#define WAL_VERIFY_H

#include "wal/control.h"
#include "wal/inventory.h"
#include "wal/scan.h"

#include <weir/inspect.h>

typedef int (*verify_finding_fn)(void *context, const struct weir_finding *finding);

/* Gets each data group whose record headers are right, in order; whole: its payloads are, too.
 * `bytes` hold the header and the body. 0, or what ends the walk. */
typedef int (*verify_keep_fn)(void *context, const struct group_header *header,
                              const uint8_t *bytes, bool whole);

/* Hears of each compacted segment, before its groups come and behind them. 0, or what ends the
 * walk.
 */
typedef int (*verify_compacted_fn)(void *context, const struct segment_header *header, bool leaves);

struct verify {
    struct weir_medium *medium;
    verify_finding_fn fn;
    verify_keep_fn keep;           /* may be NULL, */
    verify_compacted_fn compacted; /* and this, too */
    void *context;                 /* of both */
    struct weir_verify_report *report;
    struct weir_error *why; /* of a failure; may be NULL */
    int stopped;            /* what fn returned, when it was not 0 */

    struct control control; /* without a usable one: what the segment headers say */
    bool has_control;
    bool live_writer; /* the log grows while it is read */
    struct inventory inventory;
    struct scan scan;

    bool tail_known; /* recovery would open the log with this tail */
    uint64_t tail_address;

    /* The walk. */
    uint64_t place, last_place; /* wal/inventory.h */
    uint64_t ordinal;           /* of the file that has the place */
    bool in_step;               /* chain is what the next group continues from */
    struct group_chain chain;
    uint64_t seal_offset; /* of the segment before */
    bool ended;           /* at the tail: nothing behind it belongs to the log */
    struct scan_directory directory;
    weir_lsn latest;  /* last record that was met, of any group */
    weir_lsn gap_end; /* last LSN of the gap that was noted last */
    bool overlapping; /* what is being read was met before */
    /* Damage whose end is not known yet. */
    bool pending;
    struct weir_finding damage;
};

/* Reports a finding whose text is a phrase: it becomes a sentence with file, offset and LSNs.
 * Counts it, and whether it costs records. */
void verify_report(struct verify *verify, const struct weir_finding *finding, bool costs);

/* The same for a text that is a sentence already. */
void verify_tell(struct verify *verify, const struct weir_finding *finding, bool costs);

/* A finding about a segment's file; LSNs 0, 0. */
struct weir_finding verify_finding(const char *code, uint64_t ordinal, uint64_t offset,
                                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A finding about LSNs: it costs those from the first retained one on. */
void verify_report_range(struct verify *verify, struct weir_finding *finding, weir_lsn from,
                         weir_lsn to);

/* ---- verify_groups.c ---- */

/* For scan_walk(): a group that is valid in place. */
int verify_each_group(void *context, const struct scan_group *group);

/* The header is right and in place, the body is not. The walk goes on behind it. 0 or -errno. */
int verify_pass_body(struct verify *verify, struct scan_walk *walk);

/* Damage that begins with an LSN, unless some is open already; and where LSNs go on behind it, if
 * some is: now it is reported. */
void verify_open_damage(struct verify *verify, const struct weir_finding *finding, weir_lsn from);
void verify_close_damage(struct verify *verify, weir_lsn next_lsn);

/* From here on the segment's directory cannot be compared. */
void verify_spoil_directory(struct verify *verify);

/* ---- verify_find.c ---- */

/* The header of this log's segment at a place, if it is valid; of the first one behind the segment
 * that is read that is. NULL. */
const struct segment_header *verify_header_of(const struct verify *verify, uint64_t place);
const struct segment_header *verify_header_behind(const struct verify *verify);

/* VERIFY_FOUND with walk at the next group whose header is valid by itself; 0: there is none in
 * this file; -errno. It does not go back, unless nothing was met yet: the first retained LSN may
 * lie in the middle of a group. */
#define VERIFY_FOUND 1
int verify_find_group(struct verify *verify, struct scan_walk *walk, uint64_t from);

/* ---- verify_walk.c ---- */

/* Reads all retained segments. 0; what fn returned; -errno. */
int verify_walk(struct verify *verify);

/* All of it, under the lock that the caller has. 0; what fn or keep returned; WEIR_E_*; -errno. */
int verify_log(struct verify *verify);

/* ---- verify_beside.c ---- */

/* Behind verify_log(): the holds, and the files of what is derived. Notes only. 0; what fn
 * returned; -ENOMEM. */
int verify_beside(struct verify *verify);

/* Frees what verify_log() took. */
void verify_free(struct verify *verify);

#endif
