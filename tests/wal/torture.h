/*
 * A workload that a referee follows: threads append in every way there is, and what the log said
 * about it is kept where a crash does not reach it, in memory that processes share.
 *
 *     struct referee *referee = referee_new();
 *     struct torture torture = {.referee = referee, .log = log, .seed = 1, .threads = 3, .ops =
 * 200}; torture_run(&torture);                      until all is done, or the log fails
 *     ...the log is opened again after a crash...
 *     referee_judge(referee, log, &facts);        what was acknowledged is there, and nothing else
 *
 * A record's bytes are a function of its id (round, thread, number), so each one shows whether it
 * was ever appended, and by whom.
 */
#ifndef TESTS_WAL_TORTURE_H
#define TESTS_WAL_TORTURE_H

#include "tests/wal/support.h"

#include "base/random.h"

#include <stdatomic.h>

#define TORTURE_RECORDS_MAX 1000000u
#define TORTURE_THREADS_MAX 8u
#define TORTURE_ID_VOID UINT32_MAX

/* In shared memory. All that is atomic is written by whoever learns it, after it has happened. */
struct referee {
    _Atomic uint64_t acknowledged;        /* largest LSN that anybody was told is durable */
    _Atomic uint64_t witnessed;           /* the same, with evidence on the medium */
    _Atomic uint64_t highest;             /* of ids */
    _Atomic uint64_t cut_tried, cut_done; /* floors of truncation: begun, and returned */
    _Atomic uint64_t horizon_tried;       /* the highest of a compaction that was begun */
    _Atomic uint32_t noting;              /* compactions whose effect is being noted in `gone` */
    _Atomic uint32_t compactions;         /* the last one that was noted */
    _Atomic uint64_t compaction_steps;    /* in all */
    _Atomic uint32_t failures;
    _Atomic uint32_t stop;
    char failure[400];                         /* the first */
    uint32_t round;                            /* of the writer that appends now; rises with each */
    _Atomic uint32_t ids[TORTURE_RECORDS_MAX]; /* by LSN; 0: nobody was told */
    /* By LSN: the compaction behind which it was missing; 0: it was there, or may be */
    _Atomic uint32_t gone[TORTURE_RECORDS_MAX];
};

/* What must hold after a crash. */
struct referee_facts {
    weir_lsn acknowledged, witnessed, cut_tried, cut_done, horizon_tried;
    uint32_t compactions;
};

struct torture {
    struct referee *referee;
    struct weir_log *log;
    uint64_t seed;
    unsigned threads, tailers;
    unsigned ops; /* of each thread */
    unsigned payload_max;
    bool truncates;
    bool compacts; /* and appends records that compaction drops */
    bool retains;  /* sets, moves and drops holds, and prepares segments */
    bool faults;   /* calls may fail: then a thread stops quietly */
    bool goes_on;  /* or goes on, unless the log is poisoned */
};

struct referee *referee_new(void);
void referee_free(struct referee *referee);

/* Notes what went wrong, once; any thread. */
void referee_fail(struct referee *referee, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct referee_facts referee_facts(struct referee *referee);

/* Reads all of the log and compares. Notes failures; returns the last LSN that is there. */
weir_lsn referee_judge(struct referee *referee, struct weir_log *log,
                       const struct referee_facts *facts);

/* The log goes on behind `latest`: forgets what was cut, and begins a new round. */
void referee_next_round(struct referee *referee, struct weir_log *log, weir_lsn latest);

/* The id of a record, or 0 when its bytes are not what that id stands for. */
uint32_t torture_id(const struct weir_record *record);

/* ---- torture_compact.c ---- */

/* Records that compaction drops: of this type, and outside of their thread's sequence. */
#define TORTURE_GARBAGE_TYPE WEIR_TYPE_RESERVED
#define TORTURE_GARBAGE_SEQUENCE (1u << 17)

/* May this LSN be missing, as a compaction has dropped it, or was about to? And must it be? */
bool referee_may_miss(struct referee *referee, const struct referee_facts *facts, weir_lsn lsn);
bool referee_must_miss(struct referee *referee, const struct referee_facts *facts, weir_lsn lsn);

/* Fails unless [from, to) may be missing. */
void referee_check_missing(struct referee *referee, const struct referee_facts *facts,
                           weir_lsn from, weir_lsn to);

/* Compacts up to a horizon, and notes what is gone then. */
int referee_compact(struct referee *referee, struct weir_log *log, weir_lsn horizon);

/* Forgets what was noted; what is missing of this log now stays missing. */
void referee_note_missing(struct referee *referee, struct weir_log *log);

/* The earliest LSN that is retained, and the earliest that is above the horizon. */
weir_lsn referee_earliest(struct weir_log *log, weir_lsn otherwise);
weir_lsn referee_earliest_whole(struct weir_log *log);

/* A number from the environment: WEIR_DEEP_ROUNDS, WEIR_SEED. */
uint64_t torture_number(const char *name, uint64_t otherwise);

/* Runs the workload to its end. */
void torture_run(struct torture *torture);

#endif
