/*
 * What recovery knows while it judges. For recover.c (files and result), recover_walk.c (where the
 * log ends, and the evidence behind it) and recover_explain.c (the sentence of a refusal) only.
 */
#ifndef WAL_RECOVER_JUDGE_H
#define WAL_RECOVER_JUDGE_H

#include "wal/inventory.h"
#include "wal/recover.h"
#include "wal/scan.h"
#include "wal/verdict.h"

/* One for each seal from where it starts, at most the last segment but one: three when x is in
 * front of a header. */
#define JUDGE_WALKED_MAX 4u

struct judge {
    struct weir_medium *medium;
    const struct control *control;
    struct inventory inventory;
    struct scan scan;
    struct recovery_window window;
    struct verdict_input input;

    uint64_t witness; /* CONTROL's address; at the first group where it names a segment's start */
    uint64_t newest;  /* ordinal of the last valid header, or the first that is retained */
    uint64_t start;   /* ordinal where the walk starts */
    uint64_t bad_ordinal; /* whose file or header is missing, short or damaged */

    /* The walk: of the segment it is in, and x when it has ended. */
    uint64_t ordinal;
    struct scan_walk walk;
    struct scan_directory directory;
    struct group_chain segment_start;
    struct group_chain walked_from; /* that of the first segment */
    bool has_header;
    bool passed_witness;  /* the walk has been at or behind it */
    bool start_is_proven; /* a group of the walk says that a record behind its start was durable */
    uint64_t passed_address; /* end of the last group before padding up to the next segment */
    uint64_t last_group_address;
    uint64_t scanned_records;
    struct recovery_segment walked[JUDGE_WALKED_MAX]; /* the last one is the tail's */
    uint32_t walked_count;
    bool foreign; /* CONTROL's witness names a point that this log never passed, or another seed */
    uint64_t newer_epoch, newer_address; /* met by the walk */

    /* Behind this address nothing of CONTROL's epoch was ever written; UINT64_MAX: nobody knows. */
    uint64_t submitted;

    bool is_described; /* tail, window and directory are the recovery's now */

    struct scan_evidence evidence;
    weir_lsn known_durable; /* what CONTROL and the evidence say */
};

static inline uint64_t judge_address(const struct judge *judge)
{
    return judge->ordinal * judge->control->segment_bytes + judge->walk.offset;
}

/* CONTROL's witness address, moved behind the header where it names the start of a segment. */
uint64_t judge_witness_address(const struct control *control);

/* 1: the seal from which the newest segment's header continues is where it says; 0: it is not, or
 * cannot be read. -errno that says nothing about the bytes. */
int judge_find_seal(struct judge *judge);

/* Walks to x from judge->start. 0 or -errno. */
int judge_walk(struct judge *judge);

/* As if it had not walked. */
void judge_forget_walk(struct judge *judge);

/* Was all in front of the walk's start durable, as far as what the walk has passed says? */
bool judge_proves_start(const struct judge *judge);

/* Collects what lies behind x and fills in judge->input. 0 or -errno. */
int judge_evidence(struct judge *judge);

/* Where files or headers are missing there is no walk: only looks for epochs that are newer. */
int judge_headers_only(struct judge *judge);

/* Fills *why (may be NULL) and returns the error of this verdict; that of a newer format. */
int judge_explain(const struct judge *judge, enum verdict verdict, struct weir_error *why);
int judge_explain_newer(const struct judge *judge, struct weir_error *why);

#endif
