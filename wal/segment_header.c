/*
 * Segment headers: encoding both copies, and choosing the first valid one.
 *
 * Failure modes: no copy passes its CRC under the log's uuid, which is how a spare, a recycled
 * segment and one of another log look (WEIR_E_NOT_A_LOG); a newer version or an unknown flag
 * (WEIR_E_NEWER_FORMAT); a right CRC around an ordinal that is not the file's, or around values
 * that Weir never writes (WEIR_E_DAMAGED).
 *
 * Both copies go out in one write with the first group. A crash may leave either, both or none: one
 * is enough, as each is checked on its own and both say the same.
 */
#include "wal/segment_header.h"

#include "wal/scan.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "wal/group.h"

#include <weir/error.h>
#include <weir/log.h>

#include <string.h>

#define SEGMENT_COMPACTED 1u

static uint32_t block_crc(const uint8_t *block, uint32_t uuid_seed)
{
    size_t start = offsetof(struct format_segment, version);
    return base_crc32c(uuid_seed, block + start, FORMAT_BLOCK - start);
}

static void store_run(struct format_segment *copy, const struct segment_header *header)
{
    le64_store(&copy->first_ordinal, header->first_ordinal);
    le64_store(&copy->last_ordinal, header->last_ordinal);
    le64_store(&copy->last_lsn, header->last_lsn);
    le64_store(&copy->end_time_ns, header->end_time_ns);
    le64_store(&copy->end_epoch, header->end_epoch);
    le32_store(&copy->end_seed, header->end_seed);
    le32_store(&copy->end_chain, header->end_chain);
    le64_store(&copy->end_seal_offset, header->end_seal_offset);
    le64_store(&copy->seal_offset, header->seal_offset);
    le64_store(&copy->horizon, header->horizon);
}

void segment_header_encode(uint8_t *two_blocks, const struct segment_header *header,
                           uint32_t uuid_seed)
{
    WEIR_ASSERT(header->ordinal >= FORMAT_FIRST_ORDINAL && header->base_lsn >= 1);
    WEIR_ASSERT(header->durable_lsn < header->base_lsn);
    struct format_segment *copy = (struct format_segment *)two_blocks;
    memset(two_blocks, 0, FORMAT_SEGMENT_HEADER_BYTES);
    memcpy(copy->magic, FORMAT_SEGMENT_MAGIC, FORMAT_MAGIC_BYTES);
    le32_store(&copy->version, FORMAT_VERSION);
    memcpy(copy->uuid, header->uuid, FORMAT_UUID_BYTES);
    le64_store(&copy->ordinal, header->ordinal);
    le64_store(&copy->base_lsn, header->base_lsn);
    le64_store(&copy->base_time_ns, header->base_time_ns);
    le64_store(&copy->epoch, header->epoch);
    le32_store(&copy->seed, header->seed);
    le32_store(&copy->chain, header->chain);
    le64_store(&copy->previous_seal_offset, header->previous_seal_offset);
    le64_store(&copy->durable_lsn, header->durable_lsn);
    le32_store(&copy->flags, header->compacted ? SEGMENT_COMPACTED : 0);
    le32_store(&copy->block_bytes, header->block_bytes);
    if (header->compacted) {
        store_run(copy, header);
    }
    le32_store(&copy->crc, block_crc(two_blocks, uuid_seed));
    memcpy(two_blocks + FORMAT_BLOCK, two_blocks, FORMAT_BLOCK);
}

static void load_run(const struct format_segment *copy, struct segment_header *header)
{
    header->first_ordinal = le64_load(&copy->first_ordinal);
    header->last_ordinal = le64_load(&copy->last_ordinal);
    header->last_lsn = le64_load(&copy->last_lsn);
    header->end_time_ns = le64_load(&copy->end_time_ns);
    header->end_epoch = le64_load(&copy->end_epoch);
    header->end_seed = le32_load(&copy->end_seed);
    header->end_chain = le32_load(&copy->end_chain);
    header->end_seal_offset = le64_load(&copy->end_seal_offset);
    header->seal_offset = le64_load(&copy->seal_offset);
    header->horizon = le64_load(&copy->horizon);
}

static void load_fields(const struct format_segment *copy, struct segment_header *header)
{
    memcpy(header->uuid, copy->uuid, FORMAT_UUID_BYTES);
    header->ordinal = le64_load(&copy->ordinal);
    header->base_lsn = le64_load(&copy->base_lsn);
    header->base_time_ns = le64_load(&copy->base_time_ns);
    header->epoch = le64_load(&copy->epoch);
    header->seed = le32_load(&copy->seed);
    header->chain = le32_load(&copy->chain);
    header->previous_seal_offset = le64_load(&copy->previous_seal_offset);
    header->durable_lsn = le64_load(&copy->durable_lsn);
    header->compacted = (le32_load(&copy->flags) & SEGMENT_COMPACTED) != 0;
    header->block_bytes = le32_load(&copy->block_bytes);
    load_run(copy, header);
}

static bool is_group_offset(uint64_t offset)
{
    return offset >= FORMAT_SEGMENT_HEADER_BYTES && offset % FORMAT_COMPACTED_BLOCK == 0 &&
           offset < WEIR_SEGMENT_BYTES_MAX;
}

static bool run_is_possible(const struct segment_header *header)
{
    return header->block_bytes == FORMAT_COMPACTED_BLOCK &&
           header->first_ordinal >= FORMAT_FIRST_ORDINAL &&
           header->last_ordinal >= header->first_ordinal &&
           header->last_ordinal < FORMAT_COMPACTED_ORDINAL &&
           header->last_lsn + 1 >= header->base_lsn && header->horizon >= header->last_lsn &&
           header->end_time_ns >= header->base_time_ns && header->end_epoch >= header->epoch &&
           is_group_offset(header->end_seal_offset) && is_group_offset(header->seal_offset);
}

/* What walking code relies on without asking again. */
static bool values_are_possible(const struct segment_header *header)
{
    uint64_t seal = header->previous_seal_offset;
    return header->base_lsn != 0 && header->durable_lsn < header->base_lsn &&
           (header->block_bytes == 64 || header->block_bytes == FORMAT_BLOCK) &&
           (seal == 0 || is_group_offset(seal)) && /* of a compacted one, perhaps */
           header->compacted == format_is_compacted(header->ordinal) &&
           (!header->compacted || run_is_possible(header));
}

static size_t used_bytes(const struct segment_header *header)
{
    return header->compacted ? sizeof(struct format_segment)
                             : offsetof(struct format_segment, first_ordinal);
}

static int decode_copy(const uint8_t *block, const uint8_t *uuid, uint64_t ordinal,
                       struct segment_header *ret_header)
{
    const struct format_segment *copy = (const struct format_segment *)block;
    if (memcmp(copy->magic, FORMAT_SEGMENT_MAGIC, FORMAT_MAGIC_BYTES) != 0 ||
        (uuid != NULL && memcmp(copy->uuid, uuid, FORMAT_UUID_BYTES) != 0) ||
        le32_load(&copy->crc) != block_crc(block, group_uuid_seed(copy->uuid))) {
        return WEIR_E_NOT_A_LOG;
    }
    if (le32_load(&copy->version) != FORMAT_VERSION ||
        (le32_load(&copy->flags) & ~SEGMENT_COMPACTED) != 0) {
        return WEIR_E_NEWER_FORMAT;
    }
    struct segment_header header;
    load_fields(copy, &header);
    if (header.ordinal != ordinal || !values_are_possible(&header) ||
        !scan_is_zero(block + used_bytes(&header), FORMAT_BLOCK - used_bytes(&header))) {
        return WEIR_E_DAMAGED;
    }
    *ret_header = header;
    return 0;
}

int segment_header_decode(const uint8_t *two_blocks, const uint8_t *uuid, uint64_t ordinal,
                          struct segment_header *ret_header)
{
    int first = decode_copy(two_blocks, uuid, ordinal, ret_header);
    if (first == 0) {
        return 0;
    }
    int second = decode_copy(two_blocks + FORMAT_BLOCK, uuid, ordinal, ret_header);
    return second == WEIR_E_NOT_A_LOG ? first : second;
}
