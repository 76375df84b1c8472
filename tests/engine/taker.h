/* One who takes from a stream of changes and holds each event against an oracle:
 *
 *     taker_open(&taker, &oracle, &options);
 *     while ((count = taker_take(&taker, max)) > 0) ...;      < 0: the stream's error
 *     taker_close(&taker);                                    oracle.failed: something was wrong
 *
 * It keeps what the events add up to: the version of each key. Where the stream begins without a
 * state, that is what the oracle knows of its first position.
 */
#ifndef TESTS_ENGINE_TAKER_H
#define TESTS_ENGINE_TAKER_H

#include "tests/engine/oracle.h"

#define TAKER_EVENTS 96

struct taker {
    struct oracle *oracle;
    struct weir_changes *changes;
    struct weir_changes_options options;
    weir_table tables[ORACLE_TABLES];
    weir_lsn seen; /* everything up to here was looked at; of a state: as of where */
    bool in_state;
    uint32_t row_table, row_key; /* of a state: the one that may come next */
    bool keeps_all;              /* no filter of operations: the sum can be compared */
    weir_lsn versions[ORACLE_TABLES][ORACLE_KEYS]; /* 0: absent */
    uint64_t taken;
};

/* The stream's answer to opening. */
int taker_open(struct taker *taker, struct oracle *oracle,
               const struct weir_changes_options *options);
void taker_close(struct taker *taker);

/* Up to TAKER_EVENTS. How many; 0; the stream's error, -EBADMSG when it was not right. */
int taker_take(struct taker *taker, int max);

/* Takes all there is: 0, or the first error. */
int taker_drain(struct taker *taker, int max);

/* What it has is what the oracle shows as of its position. */
bool taker_check_sum(struct taker *taker);

#endif
