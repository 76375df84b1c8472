/*
 * The header of a segment: two equal blocks in front of its first group (docs/FORMAT.md, 4). It
 * says where the segment continues from, so that a walk can start at any segment.
 */
#ifndef WAL_SEGMENT_HEADER_H
#define WAL_SEGMENT_HEADER_H

#include "wal/format.h"

#include <weir/types.h>

/* In native form. */
struct segment_header {
    uint8_t uuid[FORMAT_UUID_BYTES];
    uint64_t ordinal;
    weir_lsn base_lsn;             /* of the first record in this segment */
    uint64_t base_time_ns;         /* of the group before; 0 = none */
    uint64_t epoch;                /* in force where the segment starts, */
    uint32_t seed;                 /* and its seed */
    uint32_t chain;                /* CRC of the group before; 0 = none */
    uint64_t previous_seal_offset; /* in the segment before; 0 = there is none */
    weir_lsn durable_lsn;          /* when this header was built */
    uint32_t block_bytes;
    bool compacted; /* exactly those with an ordinal from FORMAT_COMPACTED_ORDINAL on; then: */

    uint64_t first_ordinal, last_ordinal; /* of the run of ordinary segments that it replaces */
    weir_lsn last_lsn;                    /* it stands for base_lsn to this one */
    /* How the run ended, as the header behind it says: */
    uint64_t end_time_ns;
    uint64_t end_epoch;
    uint32_t end_seed; /* its own groups are of this epoch, too */
    uint32_t end_chain;
    uint64_t end_seal_offset;
    uint64_t seal_offset; /* of its own seal */
    weir_lsn horizon;     /* what was dropped was not needed for the state as of this LSN */
};

/* Writes both copies. `two_blocks` holds FORMAT_SEGMENT_HEADER_BYTES.
 * @param uuid_seed  group_uuid_seed(header->uuid) */
void segment_header_encode(uint8_t *two_blocks, const struct segment_header *header,
                           uint32_t uuid_seed);

/*
 * The first valid copy: magic, version, CRC under the uuid's seed, uuid, ordinal, features, values
 * that are possible, and zeros behind them.
 *
 * @param uuid  the log's; NULL believes the uuid that the copy itself carries (verification without
 *              CONTROL)
 * Returns 0; WEIR_E_NOT_A_LOG (no copy has magic, CRC and uuid: what a spare looks like);
 * WEIR_E_NEWER_FORMAT; WEIR_E_DAMAGED (CRC right, ordinal or values wrong: misdirected, renamed).
 */
int segment_header_decode(const uint8_t *two_blocks, const uint8_t *uuid, uint64_t ordinal,
                          struct segment_header *ret_header);

#endif
