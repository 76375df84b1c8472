/*
 * Reserve: an LSN and a range of the open group, under a lock of a few instructions.
 */
#ifndef WAL_RESERVE_H
#define WAL_RESERVE_H

#include "wal/log.h"

/* What an append wants. */
struct reserve_want {
    uint32_t records;
    uint64_t bytes;         /* of all records, headers and alignment included */
    uint64_t payload_bytes; /* for the counters only */
    uint64_t close_bytes;   /* close the group when it has grown to this; 0 = leave it open */
    bool in_place;          /* the caller fills the payload in itself */
};

/* Where it goes. */
struct reserve_place {
    struct wal_segment *segment;
    struct wal_group *group; /* not used again for another one before it is durable */
    uint8_t *memory;         /* of the first record's header */
    uint32_t offset;         /* of it in the segment */
    weir_lsn lsn;
    bool closed;       /* a group was closed on the way: it can be written */
    bool spare_wanted; /* the segment is half full and the next one is not ready */
};

/* Reserves; waits for room within W and makes segments as needed. 0; -ENOSPC and others from making
 * a segment; -EDEADLK; WEIR_E_POISONED. Nothing has changed when it fails. */
int reserve(struct weir_log *log, const struct reserve_want *want, struct reserve_place *ret_place);

/* Reserves a group that holds no records (epoch, witness) and closes it, without waiting for room:
 * 0; 1 (W is used up); -ENOSPC and others from making a segment, -EAGAIN of the system too. */
int reserve_internal(struct weir_log *log, enum format_group_kind kind);

/* For a group that its writer makes durable itself, in two steps under one tail.lock. The first
 * says where it goes, and moves nothing: false unless everything before it is durable and it fits
 * behind the last group of this segment. The second moves the tail behind it, when it is durable.
 */
bool reserve_through(struct weir_log *log, const struct reserve_want *want, uint64_t now_ns,
                     struct wal_group *ret_group);
void reserve_through_end(struct weir_log *log, const struct reserve_want *want,
                         const struct wal_group *group);

/* Half of the segment is used, and the next one is not ready. */
bool reserve_spare_wanted(const struct weir_log *log, uint64_t end_offset);

/* Closes the open group, so that it can be sealed. The caller holds tail.lock. */
void reserve_close_group(struct weir_log *log);

/* Makes the next segment ready, as spare_wanted asks, unless somebody else is at it. 0 or why not;
 * an error may be left to the roll that needs the segment. */
int reserve_make_spare(struct weir_log *log);

#endif
