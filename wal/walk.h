/*
 * Walk: from group to group inside a segment that the owner has pinned, checking each group the
 * first time it is met.
 *
 *     walk_start(&walk, log, segment, &error);
 *     while (!walk_at_seal(&walk) && walk_look(&walk, &header) == GROUP_OK) {
 *         ...records of header...
 *         walk_pass(&walk, &header);
 *     }
 *
 * The owner never looks at a group that may not be sealed yet: it knows an LSN up to which all are.
 *
 * A walk from the segment's start, or over a group, is linked: the next group must follow the last
 * one. After walk_jump() a group is checked by itself only. The epoch's seed, without which no
 * header can be checked, is found again when it is needed (walk_seed.c).
 */
#ifndef WAL_WALK_H
#define WAL_WALK_H

#include "wal/log.h"

struct segment_walk {
    struct weir_log *log;
    struct wal_segment *segment; /* NULL: stands nowhere */
    uint32_t offset;             /* of the next group */
    uint32_t seal_offset;        /* of a sealed segment; 0 = not known to be sealed */
    bool linked;                 /* chain is what the next group continues from */
    bool seeded;                 /* chain.seed is the seed in force at offset */
    struct group_chain chain;
};

/* Stands at the first group. 0; WEIR_E_CUT_SHORT when a mapped file has become shorter. */
int walk_start(struct segment_walk *walk, struct weir_log *log, struct wal_segment *segment,
               struct weir_error *why);

/* Goes to a group of the same segment. */
void walk_jump(struct segment_walk *walk, uint32_t offset);

/* Stands at the end of what a sealed segment holds. */
static inline bool walk_at_seal(const struct segment_walk *walk)
{
    return walk->offset == walk->seal_offset;
}

static inline const uint8_t *walk_bytes(const struct segment_walk *walk)
{
    return walk->segment->base + walk->offset;
}

/* The group that the walk stands at: checked in full, unless this memory was checked before. On
 * GROUP_OK its header is filled in; a fault of the body leaves the header filled in, too. */
enum group_fault walk_look(struct segment_walk *walk, struct group_header *ret_header);

/* The fault is behind the header: what the header says is true. */
static inline bool walk_header_is_right(enum group_fault fault)
{
    return fault == GROUP_BODY_CRC || fault == GROUP_RECORDS || fault == GROUP_PAYLOAD_CRC ||
           fault == GROUP_PADDING;
}

/* Only the header, by itself. */
enum group_fault walk_peek(struct segment_walk *walk, struct group_header *ret_header);

/* Goes behind a group that was looked at. */
void walk_pass(struct segment_walk *walk, const struct group_header *header);

/* From a damaged group to the next one that is valid by itself; false, and the walk stays where it
 * is, when there is none in the part of the segment that is durable. */
bool walk_resync(struct segment_walk *walk, struct group_header *ret_header);

/* ---- walk_seed.c ---- */

/* Decodes the header at an offset of which nothing is known but that a group may start there, under
 * whichever seed was in force; sets chain.seed when it was right. */
enum group_fault walk_decode(struct segment_walk *walk, struct group_header *ret_header);

#endif
