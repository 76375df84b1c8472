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
    _Atomic uint32_t failures;
    _Atomic uint32_t stop;
    char failure[400];                         /* the first */
    uint32_t round;                            /* of the writer that appends now; rises with each */
    _Atomic uint32_t ids[TORTURE_RECORDS_MAX]; /* by LSN; 0: nobody was told */
};

/* What must hold after a crash. */
struct referee_facts {
    weir_lsn acknowledged, witnessed, cut_tried, cut_done;
};

struct torture {
    struct referee *referee;
    struct weir_log *log;
    uint64_t seed;
    unsigned threads, tailers;
    unsigned ops; /* of each thread */
    unsigned payload_max;
    bool truncates;
    bool retains; /* sets, moves and drops holds, and prepares segments */
    bool faults;  /* calls may fail: then a thread stops quietly */
    bool goes_on; /* or goes on, unless the log is poisoned */
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

/* A number from the environment: WEIR_DEEP_ROUNDS, WEIR_SEED. */
uint64_t torture_number(const char *name, uint64_t otherwise);

/* Runs the workload to its end. */
void torture_run(struct torture *torture);

#endif
