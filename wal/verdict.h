/*
 * The verdict: torn tail or lost data? A pure function over what recovery found, so that a test can
 * enumerate all of its inputs. docs/RECOVERY.md is this table in words, with the reasons.
 *
 * x is where the log stops being valid: behind the last group that is valid in place.
 */
#ifndef WAL_VERDICT_H
#define WAL_VERDICT_H

#include <weir/error.h>

#include <stdbool.h>

struct verdict_input {
    bool newer_epoch; /* a header or group is of an epoch that CONTROL does not know, or CONTROL's
                         witness names a point that this log never passed */
    bool
        file_short; /* a file between the first retained segment and the tail is missing or short */
    bool header_damaged;   /* a segment header that was durable long ago is not valid */
    bool unreadable;       /* the medium could not read at x */
    bool later_durable;    /* CONTROL, or a header behind x, says that an LSN at or behind x was
                              durable */
    bool below_witness;    /* x lies before CONTROL's witness address */
    bool beyond_run_ahead; /* a header of CONTROL's epoch lies further behind x than W */
    bool later_group;      /* any header of CONTROL's epoch lies at or behind x */
    bool clean;            /* CONTROL says that the log was closed */
    bool at_witness;       /* x is the witness address, with its chain and LSN */
};

enum verdict {
    VERDICT_OPEN = 0, /* what lies at and behind x was never reported durable */
    VERDICT_ROLLED_BACK,
    VERDICT_CUT_SHORT,
    VERDICT_HEADER_DAMAGED,
    VERDICT_UNREADABLE,
    VERDICT_LOST,
    VERDICT_WITNESS_DAMAGED, /* no record is missing, but a group without records that was durable
                              */
    VERDICT_HOLE,
    VERDICT_NOT_CLEAN,
};

enum verdict verdict_decide(const struct verdict_input *input);

/* 0 for VERDICT_OPEN, else the WEIR_E_* that opening returns. */
int verdict_error(enum verdict verdict);

#endif
