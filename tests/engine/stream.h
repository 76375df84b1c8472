/*
 * Helper verbs for tests of streams of changes, beside those of store.h.
 */
#ifndef TESTS_ENGINE_STREAM_H
#define TESTS_ENGINE_STREAM_H

#include "store.h"

#define EVENTS 64
#define KEYS 40 /* that churn() writes */

/* Asserts success. */
struct weir_changes *open_stream(struct weir_engine *engine,
                                 const struct weir_changes_options *options);
struct weir_changes *open_from(struct store *store, enum weir_changes_from from, weir_lsn lsn);

/* All that there is now, `max` at a time: "1:+a=1 2:a=1>2 3:-a=2 s4:+b=5": LSN, what happened; s: a
 * row of a state. Then the stream is whole. */
void expect_events(struct weir_changes *changes, int max, const char *expected);

/* All that there is now: rows of a state first, then events. */
void count_rows(struct weir_changes *changes, int *ret_rows, int *ret_events);

/* Rounds of puts of a few keys, with values large enough to fill segments. */
void churn(struct store *store, int rounds);

/* To a horizon; 0: as far as it goes. Asserts that something was compacted. */
void compact(struct store *store, weir_lsn horizon);

#endif
