/*
 * A store whose log a salvage made again with gaps where records had rotted, and the ways to open
 * it. Records are damaged one by one, by a bit of their values.
 */
#ifndef TESTS_ENGINE_GAP_SUPPORT_H
#define TESTS_ENGINE_GAP_SUPPORT_H

#include "store.h"

#define ACCEPT WEIR_ENGINE_ACCEPT_GAPS

/* ---- rot, and salvage ---- */

struct weir_log_options gap_options_on(struct weir_medium *keeper);

/* The store, which is stopped, goes on with the disk of a log that was made of its own. */
void gap_move_to(struct store *store, struct weir_medium *keeper);

/* Of the stopped store, which goes on with what was saved. Returns how many LSNs are missing. */
uint64_t gap_salvage(struct store *store);

/* 1 a=a-one  2 b=b-one  3 a=a-two (rots)  4 b deleted by nobody: b=b-two  5 a=a-three  6 c=c-one
 * 7 d=d-one (rots)  8 b=b-three  9 e=e-one. Salvaged, and stopped. */
void gap_make_rotten(struct store *store);

/* An update of a key of one byte, which says that the version before has that LSN. */
weir_lsn gap_append_update(struct store *store, char key, weir_lsn previous);

/* ---- opening ---- */

int gap_try_to_open(struct store *store, uint32_t flags, struct weir_error *ret_why);
void gap_open_with(struct store *store, uint32_t flags);
void gap_expect_refused(struct store *store, weir_lsn from, weir_lsn to);

struct weir_engine_open_report gap_report_of(struct store *store);
int gap_begin_as_of(struct store *store, weir_lsn lsn);
void gap_checkpoint(struct store *store);

#endif
