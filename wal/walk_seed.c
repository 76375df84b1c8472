/*
 * Which seed was in force at a place in the middle of a segment?
 *
 * Group headers are checksummed under the seed of the epoch that wrote them, so a reader that jumps
 * into a segment has to know the epoch. Nearly always it is the one in force where the segment
 * starts, or where it ends: both are known. Else (three or more writers in one segment) a binary
 * search over the directory finds where the epoch starts, and the epoch group, which is checked
 * under the log's own seed, tells its seed.
 *
 * Failure modes: the epoch's group is damaged, or the header lies about its epoch: then every block
 * in front is tried as the nearest epoch group, and at last the header is called damaged.
 *
 * Invariants: a header's epoch is a hint until its CRC was right; an epoch group is believed only
 * after header and body were.
 */
#include "wal/walk.h"

static enum group_fault decode_under(const struct segment_walk *walk, uint32_t seed,
                                     struct group_header *ret_header)
{
    const struct weir_log *log = walk->log;
    return group_decode(walk_bytes(walk), log_address(log, walk->segment, walk->offset), seed,
                        log->uuid_seed, log->limits.segment_bytes, ret_header);
}

static uint32_t epoch_hint(const struct segment_walk *walk, uint32_t offset)
{
    const struct format_group *group = (const struct format_group *)(walk->segment->base + offset);
    return le32_load(&group->epoch);
}

static bool take_epoch_group(const struct segment_walk *walk, uint32_t offset, uint32_t *ret_seed)
{
    const uint8_t *bytes = walk->segment->base + offset;
    const struct format_group *group = (const struct format_group *)bytes;
    struct segment_walk there = *walk;
    struct group_header header;
    uint32_t record;
    there.offset = offset;
    if (le16_load(&group->kind) != FORMAT_GROUP_EPOCH ||
        decode_under(&there, 0, &header) != GROUP_OK ||
        group_check_body(bytes, &header, walk->segment->block_bytes, &record) != GROUP_OK) {
        return false;
    }
    const struct format_epoch *epoch =
        (const struct format_epoch *)(bytes + FORMAT_GROUP_HEADER_BYTES);
    *ret_seed = le32_load(&epoch->seed);
    return true;
}

/* The last epoch group in [low, high), looking backwards. */
static bool find_epoch_group(const struct segment_walk *walk, uint32_t low, uint32_t high,
                             uint32_t *ret_seed)
{
    uint32_t block = walk->segment->block_bytes;
    for (uint32_t offset = high; offset >= low + block;) {
        offset -= block;
        if (take_epoch_group(walk, offset, ret_seed)) {
            return true;
        }
    }
    return false;
}

/* Between which groups of the directory the epoch of the walk's group starts. */
static void bracket_epoch(const struct segment_walk *walk, uint32_t *ret_low, uint32_t *ret_high)
{
    const struct segment_directory *directory = &walk->segment->directory;
    uint32_t epoch = epoch_hint(walk, walk->offset);
    uint32_t first = 0;
    uint32_t last = atomic_load_explicit(&directory->count, memory_order_acquire);
    *ret_low = FORMAT_SEGMENT_HEADER_BYTES;
    *ret_high = walk->offset;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        uint32_t offset = le32_load(&directory->entries[middle].group_offset);
        if (offset >= walk->offset) {
            last = middle;
        } else if (epoch_hint(walk, offset) == epoch) {
            last = middle;
            *ret_high = offset;
        } else {
            first = middle + 1;
            *ret_low = offset;
        }
    }
}

static enum group_fault decode_under_any(struct segment_walk *walk, struct group_header *ret_header)
{
    uint32_t low, high, seed = 0;
    bracket_epoch(walk, &low, &high);
    enum group_fault fault = GROUP_HEADER_CRC;
    if (find_epoch_group(walk, low, high, &seed)) {
        fault = decode_under(walk, seed, ret_header);
    }
    if (fault == GROUP_HEADER_CRC &&
        find_epoch_group(walk, FORMAT_SEGMENT_HEADER_BYTES, walk->offset, &seed)) {
        fault = decode_under(walk, seed, ret_header);
    }
    walk->chain.seed = seed;
    return fault;
}

enum group_fault walk_decode(struct segment_walk *walk, struct group_header *ret_header)
{
    if (walk->seeded) {
        return decode_under(walk, walk->chain.seed, ret_header);
    }
    base_lock_acquire(&walk->log->segments.lock);
    uint32_t seeds[2] = {walk->segment->start.seed, walk->segment->seal_seed};
    base_lock_release(&walk->log->segments.lock);
    enum group_fault fault = GROUP_HEADER_CRC;
    for (int i = 0; i < 2 && fault == GROUP_HEADER_CRC; i++) {
        fault = decode_under(walk, seeds[i], ret_header);
        walk->chain.seed = seeds[i];
    }
    if (fault == GROUP_HEADER_CRC) {
        fault = decode_under_any(walk, ret_header);
    }
    walk->seeded = fault == GROUP_OK && ret_header->kind != FORMAT_GROUP_EPOCH;
    return fault;
}
