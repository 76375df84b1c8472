/*
 * The referee of crash runs: keeps what writers were told is durable, where a kill does not reach
 * it, and says after each crash what of it is missing, changed, invented or out of order.
 *
 *     crash_referee_round_begin(referee, round);
 *     ...in a writer, also one of another process:
 *     crash_referee_try(referee, i, number);                      before the append
 *     crash_referee_acknowledge(referee, lsn, origin);            behind it, once it is durable
 *     ...after the crash, with the log open again:
 *     rc = crash_referee_judge(referee, log, stop, &verdict);
 *
 * What was recovered once counts as promised from then on, acknowledged or not: a record that has
 * been shown must not vanish in a later crash.
 *
 * Memory: 8 bytes for each LSN up to records_max, shared with forked processes, and only for those
 * LSNs that were given. Records beyond it would not be followed: crash_referee_is_full() says when
 * the writers have to stop.
 *
 * Threads: try, acknowledge, is_full and cut from any; the rest from one, while no writer runs.
 */
#ifndef CLI_CRASH_REFEREE_H
#define CLI_CRASH_REFEREE_H

#include "cli/crash_record.h"

#include <weir/log.h>

#define CRASH_WRITERS_MAX 256u
#define CRASH_ROUNDS_MAX 10000u
#define CRASH_RECORDS_MAX ((uint64_t)64 << 20) /* 512 MiB of table, when all are used */
#define CRASH_FINDINGS_MAX 16u

struct crash_referee;

enum crash_fault {
    CRASH_MISSING,   /* promised, and not in the log: lost */
    CRASH_DIFFERENT, /* promised, and something else is in its place: lost */
    CRASH_TWICE,     /* two records were acknowledged under one LSN: one of them is lost */
    CRASH_FOREIGN,   /* bytes that no writer appended */
    CRASH_RETURNED,  /* a record that an earlier recovery had dropped */
    CRASH_ORDER,     /* not the next record of its writer */
    CRASH_GAP,       /* an LSN that the log skips */
    CRASH_STATE,     /* the engine does not show what the log holds: lost */
    CRASH_FAULTS,
};

struct crash_finding {
    enum crash_fault fault;
    weir_lsn from_lsn, to_lsn; /* inclusive */
};

struct crash_verdict {
    weir_lsn latest;       /* 0: the log is empty */
    uint64_t acknowledged; /* in this round */
    uint64_t recovered;    /* records that are there, of all rounds */
    uint64_t lost;         /* promised, and missing or different */
    uint64_t wrong;        /* LSNs with one of the other faults */
    unsigned findings;     /* ranges that are listed; further ones are only counted */
    struct crash_finding finding[CRASH_FINDINGS_MAX];
};

/* Returns 0 or -ENOMEM. @param writers  of each round */
int crash_referee_create(unsigned writers, unsigned rounds, const struct crash_sizes *sizes,
                         uint64_t records_max, struct crash_referee **ret_referee);
void crash_referee_destroy(struct crash_referee *referee); /* NULL is allowed */

const struct crash_sizes *crash_referee_sizes(const struct crash_referee *referee);

/* ---- while writers run ---- */

void crash_referee_round_begin(struct crash_referee *referee, unsigned round);

/* Who the i-th writer of this round is. */
uint32_t crash_referee_writer(const struct crash_referee *referee, unsigned i);

/* The i-th writer is about to append its record `number`. */
void crash_referee_try(struct crash_referee *referee, unsigned i, uint32_t number);

/* The record is durable, as its writer was told: how many were acknowledged in this round with it.
 * Behind crash_referee_cut() it is not counted: the answer came when the power was gone. */
uint64_t crash_referee_acknowledge(struct crash_referee *referee, weir_lsn lsn,
                                   struct crash_origin origin);
uint64_t crash_referee_acknowledged(const struct crash_referee *referee);

bool crash_referee_is_full(const struct crash_referee *referee);

/* The power is about to go: what is acknowledged from here on promises nothing. */
void crash_referee_cut(struct crash_referee *referee);
bool crash_referee_is_cut(const struct crash_referee *referee);

/* ---- after a crash ---- */

void crash_referee_judge_begin(struct crash_referee *referee, struct crash_verdict *verdict);
void crash_referee_see(struct crash_referee *referee, const struct weir_record *record,
                       struct crash_verdict *verdict);
void crash_referee_judge_end(struct crash_referee *referee, struct crash_verdict *verdict);

/*
 * The three above for every record of a log.
 * @param stop  NULL, or asked now and then whether to give up
 * Returns 0, -EINTR when stopped, or an error of the cursor with its detail in `why`.
 */
int crash_referee_judge(struct crash_referee *referee, struct weir_log *log, bool (*stop)(void),
                        struct crash_verdict *ret_verdict, struct weir_error *why);

/* Whether the last judgement has found this record under this LSN. */
bool crash_referee_knows(const struct crash_referee *referee, weir_lsn lsn,
                         struct crash_origin origin);

/* Adds a finding of somebody else who has looked at the log. */
void crash_verdict_note(struct crash_verdict *verdict, enum crash_fault fault, weir_lsn lsn);

const char *crash_fault_name(enum crash_fault fault); /* "missing" */
const char *crash_fault_text(enum crash_fault fault); /* "was acknowledged and is not in the log" */

#endif
