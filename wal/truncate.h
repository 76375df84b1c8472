/*
 * Truncation: what opening needs of it. The public call is in <weir/retain.h>.
 */
#ifndef WAL_TRUNCATE_H
#define WAL_TRUNCATE_H

#include "wal/log.h"

/* Of recovery.leftovers, those that a name is not retained for: spares that were half made when
 * their writer died, and what compaction left. Before the first segment is made, which may need the
 * name. */
void truncate_remove_half_made(struct weir_log *log, const uint64_t *ordinals, uint32_t count);

/*
 * Finishes truncations that a crash interrupted: recycles or removes segment files that do not
 * belong to the log any more (the others of recovery.leftovers). What cannot be removed now is left
 * for the next open.
 */
void truncate_remove_leftovers(struct weir_log *log, const uint64_t *ordinals, uint32_t count);

#endif
