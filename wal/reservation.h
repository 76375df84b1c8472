/*
 * Open reservations: room that a caller fills in place. A fixed table, so that waiting for durable
 * while holding one is found out, and stat can name the oldest.
 */
#ifndef WAL_RESERVATION_H
#define WAL_RESERVATION_H

#include "wal/log.h"

/* Does the calling thread hold an open reservation at or below lsn? */
bool reservation_is_mine(struct weir_log *log, weir_lsn lsn);

/* The oldest open one. False when none is open. */
bool reservation_oldest(struct weir_log *log, weir_lsn *ret_lsn, uint64_t *ret_since_ns);

#endif
