/*
 * Walking the groups of a segment.
 *
 * Happy path: a group that was built or checked in this memory costs a load of its header; another
 * one is decoded under the seed in force, checked against the group before, then its body; from
 * then on it counts as checked.
 *
 * Failure modes: the file has become shorter than a segment (WEIR_E_CUT_SHORT); a fault of a group,
 * which the caller turns into a range of LSNs.
 *
 * Invariants: no field of an unchecked header moves a walk; even the fields of a checked one are
 * held against the segment's size, as a mapped window can be changed by others.
 */
#include "wal/walk.h"

static int check_size(struct weir_log *log, struct wal_segment *segment, struct weir_error *why)
{
    if (!segment->mapped) {
        return 0;
    }
    uint64_t size;
    int rc = log->medium->ops->size(segment->file, &size);
    char name[FORMAT_NAME_BYTES];
    format_segment_name(segment->ordinal, name);
    if (rc < 0) {
        return log_error(why, rc, name, UINT64_MAX, "the size of %s cannot be read: %s", name,
                         weir_error_text(rc));
    }
    if (size < log->limits.segment_bytes) {
        return log_error(why, WEIR_E_CUT_SHORT, name, size, "%s was cut to %llu bytes", name,
                         (unsigned long long)size);
    }
    return 0;
}

int walk_start(struct segment_walk *walk, struct weir_log *log, struct wal_segment *segment,
               struct weir_error *why)
{
    int rc = check_size(log, segment, why);
    if (rc < 0) {
        return rc;
    }
    *walk = (struct segment_walk){
        .log = log,
        .segment = segment,
        .offset = FORMAT_SEGMENT_HEADER_BYTES,
        .linked = true,
        .seeded = true,
    };
    base_lock_acquire(&log->segments.lock);
    walk->chain = segment->start;
    walk->seal_offset = segment->state == SEGMENT_SEALED ? segment->seal_offset : 0;
    base_lock_release(&log->segments.lock);
    return 0;
}

void walk_jump(struct segment_walk *walk, uint32_t offset)
{
    walk->offset = offset;
    walk->linked = false;
    walk->seeded = false;
}

/* What a reader of checked memory relies on. */
static bool fits(const struct segment_walk *walk, const struct group_header *header)
{
    return header->kind >= FORMAT_GROUP_DATA && header->kind <= FORMAT_GROUP_SEAL &&
           header->size_bytes >= FORMAT_GROUP_HEADER_BYTES &&
           header->size_bytes % FORMAT_RECORD_ALIGN == 0 &&
           header->size_bytes <= walk->log->limits.segment_bytes - walk->offset &&
           (!walk->linked || header->first_lsn == walk->chain.next_lsn ||
            (group_is_sparse(header) && header->first_lsn > walk->chain.next_lsn));
}

static enum group_fault check(struct segment_walk *walk, struct group_header *header)
{
    enum group_fault fault = walk_decode(walk, header);
    if (fault == GROUP_OK && walk->linked) {
        fault = group_check_place(header, &walk->chain);
    }
    uint32_t record;
    if (fault == GROUP_OK) {
        fault = group_check_body(walk_bytes(walk), header, walk->segment->block_bytes, &record);
    }
    if (fault == GROUP_OK) {
        segment_set_checked(walk->segment, walk->offset, header->size_bytes);
    }
    return fault;
}

static bool is_inside(const struct segment_walk *walk)
{
    return walk->offset <= walk->log->limits.segment_bytes - FORMAT_GROUP_HEADER_BYTES;
}

static enum group_fault load_checked(const struct segment_walk *walk,
                                     struct group_header *ret_header)
{
    group_load(walk_bytes(walk), ret_header);
    return fits(walk, ret_header) ? GROUP_OK : GROUP_HEADER_FIELDS;
}

enum group_fault walk_look(struct segment_walk *walk, struct group_header *ret_header)
{
    if (!is_inside(walk)) {
        return GROUP_HEADER_FIELDS;
    }
    return segment_is_checked(walk->segment, walk->offset) ? load_checked(walk, ret_header)
                                                           : check(walk, ret_header);
}

enum group_fault walk_peek(struct segment_walk *walk, struct group_header *ret_header)
{
    if (!is_inside(walk)) {
        return GROUP_HEADER_FIELDS;
    }
    return segment_is_checked(walk->segment, walk->offset) ? load_checked(walk, ret_header)
                                                           : walk_decode(walk, ret_header);
}

void walk_pass(struct segment_walk *walk, const struct group_header *header)
{
    if (!walk->linked) {
        walk->chain.epoch = header->epoch;
    }
    group_chain_advance(&walk->chain, walk_bytes(walk), header);
    walk->seeded = walk->seeded || header->kind == FORMAT_GROUP_EPOCH;
    walk->linked = true;
    walk->offset += (uint32_t)format_align(header->size_bytes, walk->segment->block_bytes);
}

/* ---- behind damage ---- */

/* How far the segment holds sealed groups for certain. */
static uint32_t end_of_groups(const struct segment_walk *walk)
{
    const struct weir_log *log = walk->log;
    if (walk->seal_offset != 0) {
        return walk->seal_offset + walk->segment->block_bytes;
    }
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    uint64_t start = log_address(log, walk->segment, 0);
    uint64_t bytes = durable > start ? durable - start : 0;
    return (uint32_t)(bytes < log->limits.segment_bytes ? bytes : log->limits.segment_bytes);
}

/* Cheap, and wrong for nearly every block that is not the start of a group. */
static bool claims_to_start_here(const struct segment_walk *walk)
{
    const struct format_group *group = (const struct format_group *)walk_bytes(walk);
    uint16_t kind = le16_load(&group->kind);
    return kind >= FORMAT_GROUP_DATA && kind <= FORMAT_GROUP_SEAL &&
           le64_load(&group->address) == log_address(walk->log, walk->segment, walk->offset);
}

bool walk_resync(struct segment_walk *walk, struct group_header *ret_header)
{
    struct segment_walk probe = *walk;
    uint32_t block = walk->segment->block_bytes;
    uint32_t end = end_of_groups(walk);
    for (uint64_t offset = (uint64_t)walk->offset + block; offset < end; offset += block) {
        walk_jump(&probe, (uint32_t)offset);
        if (claims_to_start_here(&probe) && walk_decode(&probe, ret_header) == GROUP_OK) {
            *walk = probe;
            return true;
        }
    }
    return false;
}
