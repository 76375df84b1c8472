/*
 * What becomes of segment files whose records were truncated: spares, or nothing.
 */
#ifndef WAL_SEGMENT_RECYCLE_H
#define WAL_SEGMENT_RECYCLE_H

#include "wal/log.h"

/* Takes all segments below `ordinal` out of the table: cursors that stand on one keep its memory.
 * Their files are recycled or removed. CONTROL must have let go of them before. */
void segment_drop_below(struct weir_log *log, uint64_t ordinal);

/* Takes the first segment out of the table if it is below `ordinal`; frees it unless it is pinned
 * (the last pin does). Returns its ordinal, or 0. */
uint64_t segment_detach_first(struct weir_log *log, uint64_t ordinal, bool *ret_pinned);

/* Makes the file of this ordinal, which is not in the table, a spare if one is wanted and nobody
 * reads it, else removes it. */
void segment_dispose(struct weir_log *log, uint64_t ordinal, bool is_read);

/* Gives the file of this ordinal, which is not in the table, another name, without a header, both
 * durable. -EAGAIN: somebody reads it. */
int segment_rename(struct weir_log *log, uint64_t ordinal, const char *new_name);

#endif
