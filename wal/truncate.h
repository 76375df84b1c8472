/*
 * Truncation: what opening needs of it. The public call is in <weir/retain.h>.
 */
#ifndef WAL_TRUNCATE_H
#define WAL_TRUNCATE_H

#include "wal/log.h"

/*
 * Finishes truncations that a crash interrupted: recycles or removes segment files that do not
 * belong to the log any more (recovery.leftovers). What cannot be removed now is left for the next
 * open.
 */
void truncate_remove_leftovers(struct weir_log *log, const uint64_t *ordinals, uint32_t count);

#endif
