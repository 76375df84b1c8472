/*
 * Write-through: an append that is alone makes its own group durable, with one copy past the caches
 * and no hand-over to a leader. Where the medium says that this is the cheaper way.
 */
#ifndef WAL_WRITE_THROUGH_H
#define WAL_WRITE_THROUGH_H

#include "wal/reserve.h"

#include <stdalign.h>

#define WRITE_THROUGH_BYTES 2304u /* the largest group: larger ones gain little */

/* A data group as it will lie on the medium, but for its header. Records from
 * FORMAT_GROUP_HEADER_BYTES on, with their sizes, padded with zeros to block_bytes. */
struct write_through_group {
    alignas(64) uint8_t bytes[WRITE_THROUGH_BYTES];
    struct reserve_want want;
    uint32_t body_crc;
    uint64_t now_ns; /* monotonic */
};

/* The largest group that is written through in this log: 0 = none. Fixed after open. */
uint32_t write_through_limit(const struct weir_log *log);

static inline bool write_through_serves(const struct weir_log *log, uint64_t record_bytes)
{
    return FORMAT_GROUP_HEADER_BYTES + record_bytes <= log->limits.through_bytes;
}

/* 1: the group is durable. 0: others' records are on their way, or the segment ends; nothing has
 * changed, and the caller appends as ever. */
int write_through(struct weir_log *log, struct write_through_group *group,
                  struct reserve_place *ret_place);

#endif
