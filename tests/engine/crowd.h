/* Many threads at work on one engine, whose sum is known whatever the order was:
 *
 *   writers   move money between accounts in batches of conditional puts; count with
 *             compare-and-put; now and then delete and put keys that nobody counts
 *   readers   see the same total in every snapshot and view, and the same state again later
 *   upkeep    makes checkpoints, compacts, frees memory
 *
 * They are started by base_thread_start(), so that they run as they come, or one at a time under
 * sim_scheduler_run().
 */
#ifndef TESTS_ENGINE_CROWD_H
#define TESTS_ENGINE_CROWD_H

#include "tests/engine/oracle.h"

#include "base/sync.h"

#include <stdatomic.h>

#define CROWD_ACCOUNTS 8u
#define CROWD_COUNTERS 4u
#define CROWD_OTHERS 6u
#define CROWD_KEYS (CROWD_ACCOUNTS + CROWD_COUNTERS + CROWD_OTHERS)
#define CROWD_MONEY 1000u /* in each account at first */
#define CROWD_THREADS_MAX 8u

struct crowd {
    /* In. */
    struct weir_log *log;
    struct weir_engine *engine;
    uint64_t seed;
    unsigned writers, readers; /* threads */
    unsigned steps;            /* of each writer */
    unsigned padding;          /* bytes of each value, so that segments fill up */
    bool upkeep;               /* a thread for it */
    bool compacts;
    bool beside;   /* a reader: its writer compacts when it likes */
    bool tolerant; /* calls may fail: then a thread stops quietly */
    struct oracle_key keys[ORACLE_KEYS];

    /* Out. */
    _Atomic uint64_t acknowledged; /* largest LSN that a call has promised */
    _Atomic uint64_t counted;      /* increments that were acknowledged or not */
    _Atomic uint64_t conflicts, snapshots, checkpoints, steps_compacted;
    _Atomic uint32_t writing; /* writers that are not done */
    _Atomic bool failed;
    struct base_lock lock; /* failure */
    char failure[400];
};

/* Keys are those of an oracle, so that what is in the log can be learned and compared. */
void crowd_begin(struct crowd *crowd, const struct oracle *oracle);

/* Puts the money into the accounts, durably. */
bool crowd_fill(struct crowd *crowd);

/* Runs all threads to their end. */
void crowd_run(struct crowd *crowd);

/* The state as of an LSN (ORACLE_NEWEST: a view of what is durable): false when money is missing.
 */
bool crowd_count_money(struct crowd *crowd, weir_lsn as_of);

/* Notes the first failure; any thread. Returns false. */
bool crowd_fail(struct crowd *crowd, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
