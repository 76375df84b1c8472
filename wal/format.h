/*
 * The bytes on the medium, as docs/FORMAT.md has them: structs, limits, and the arithmetic of
 * positions. Nothing here believes a byte: checking is group.h, control.h and segment_header.h.
 */
#ifndef WAL_FORMAT_H
#define WAL_FORMAT_H

#include "base/le.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_VERSION 1u
#define FORMAT_BLOCK 4096u
#define FORMAT_UUID_BYTES 16u

#define FORMAT_CONTROL_MAGIC "WEIRCTL1"
#define FORMAT_SEGMENT_MAGIC "WEIRSEG1"
#define FORMAT_HOLD_MAGIC "WEIRHLD1"
#define FORMAT_MAGIC_BYTES 8u

#define FORMAT_CONTROL_COPIES 4u
#define FORMAT_CONTROL_BYTES (FORMAT_CONTROL_COPIES * FORMAT_BLOCK)
#define FORMAT_CONTROL_CLEAN 1u
#define FORMAT_FEATURE_COMPACTED 1u /* incompatible: there are, or were, compacted segments */

/* In a directory without CONTROL: what a salvage began to write there and did not finish. */
#define FORMAT_SALVAGE_NAME "SALVAGE"

#define FORMAT_SEGMENT_HEADER_BYTES (2u * FORMAT_BLOCK)
#define FORMAT_FIRST_ORDINAL 1u

/* Compacted segments have ordinals of their own from here on: with the largest segments their
 * addresses still fit 63 bits. Ordinary ones stay below. */
#define FORMAT_COMPACTED_ORDINAL ((uint64_t)1 << 31)
#define FORMAT_COMPACTED_BLOCK 64u /* alignment of the groups in them, on every medium */
#define FORMAT_COMPACT_SPARE_NAME "compact.spare"

/* W is at least this part of a segment: the largest seal, the room in front of it that a group did
 * not fit, and the next segment's first group then always fit into W. */
#define FORMAT_RUN_AHEAD_SHARE 8u

#define FORMAT_GROUP_HEADER_BYTES 64u
#define FORMAT_RECORD_HEADER_BYTES 16u
#define FORMAT_RECORD_ALIGN 8u

/* Flags of groups in compacted segments. All are SPARSE: LSNs ascend from group to group and need
 * not be dense; durable_lsn is the LSN of the last record (of a seal: the one before first_lsn). In
 * a CONSECUTIVE one those of its records are dense; in others each record carries its own. */
#define FORMAT_GROUP_SPARSE 1u
#define FORMAT_GROUP_CONSECUTIVE 2u

/* Flag of a record (beside WEIR_RECORD_*): its payload is preceded by its own LSN. */
#define FORMAT_RECORD_NUMBERED 4u
#define FORMAT_RECORD_NUMBER_BYTES 8u
#define FORMAT_DIRECTORY_STRIDE 16u /* one directory entry per so many records */

struct format_control {
    uint8_t magic[FORMAT_MAGIC_BYTES];
    struct le32 crc;
    struct le32 version;
    uint8_t uuid[FORMAT_UUID_BYTES];
    struct le64 generation;
    struct le64 incompatible;
    struct le64 compatible;
    struct le64 epoch;
    struct le64 layout;
    struct le64 first_lsn;
    struct le64 first_ordinal;
    struct le64 horizon;
    struct le64 witness_lsn;
    struct le64 witness_address;
    struct le32 witness_chain;
    struct le32 seed;
    struct le32 flags;
    struct le32 block_bytes;
    struct le64 segment_bytes;
    struct le64 run_ahead_bytes;
    struct le64 group_bytes;
    struct le64 record_bytes;
    struct le64 created_ns;
    struct le64 written_ns;
    /* With FORMAT_FEATURE_COMPACTED: */
    struct le64 compact_next;
    struct le64 compact_first;
    struct le64 compact_last;
};

struct format_segment {
    uint8_t magic[FORMAT_MAGIC_BYTES];
    struct le32 crc;
    struct le32 version;
    uint8_t uuid[FORMAT_UUID_BYTES];
    struct le64 ordinal;
    struct le64 base_lsn;
    struct le64 base_time_ns;
    struct le64 epoch;
    struct le32 seed;
    struct le32 chain;
    struct le64 previous_seal_offset;
    struct le64 durable_lsn;
    struct le32 flags;
    struct le32 block_bytes;
    /* Of a compacted one: */
    struct le64 first_ordinal;
    struct le64 last_ordinal;
    struct le64 last_lsn;
    struct le64 end_time_ns;
    struct le64 end_epoch;
    struct le32 end_seed;
    struct le32 end_chain;
    struct le64 end_seal_offset;
    struct le64 seal_offset;
    struct le64 horizon;
};

enum format_group_kind {
    FORMAT_GROUP_DATA = 1,
    FORMAT_GROUP_EPOCH = 2,
    FORMAT_GROUP_WITNESS = 3,
    FORMAT_GROUP_SEAL = 4,
};

struct format_group {
    struct le32 crc;
    struct le16 kind;
    struct le16 flags;
    struct le64 address;
    struct le64 first_lsn;
    struct le32 record_count;
    struct le32 size_bytes;
    struct le32 chain;
    struct le32 body_crc;
    struct le64 time_ns;
    struct le64 durable_lsn;
    struct le32 epoch;
    struct le32 zero;
};

struct format_epoch {
    struct le64 epoch;
    struct le64 previous_epoch;
    struct le32 seed;
    struct le32 zero;
    struct le64 zero_too;
};

struct format_seal {
    struct le64 record_count;
    struct le64 group_count;
    struct le64 first_lsn;
    struct le64 last_lsn;
    struct le64 first_time_ns;
    struct le64 last_time_ns;
    struct le64 payload_bytes;
    struct le32 entry_count;
    struct le32 zero;
};

struct format_directory_entry {
    struct le32 record_offset;
    struct le32 group_offset;
};

struct format_record {
    struct le32 size; /* header and payload; stored last, with release order, to publish */
    struct le32 crc;
    struct le16 type;
    struct le16 flags;
    struct le32 user;
};

struct format_hold {
    uint8_t magic[FORMAT_MAGIC_BYTES];
    struct le32 crc;
    struct le32 version;
    struct le64 generation;
    struct le64 floor;
    struct le64 moved_ns;
    uint8_t name[64];
};

_Static_assert(sizeof(struct format_control) == 200, "CONTROL has no padding");
_Static_assert(offsetof(struct format_control, witness_chain) == 112, "as in FORMAT.md");
_Static_assert(offsetof(struct format_control, written_ns) == 168, "as in FORMAT.md");
_Static_assert(offsetof(struct format_control, compact_next) == 176, "as in FORMAT.md");
_Static_assert(sizeof(struct format_segment) == 168, "the segment header has no padding");
_Static_assert(offsetof(struct format_segment, first_ordinal) == 96, "as in FORMAT.md");
_Static_assert(offsetof(struct format_segment, end_seal_offset) == 144, "as in FORMAT.md");
_Static_assert(offsetof(struct format_segment, previous_seal_offset) == 72, "as in FORMAT.md");
_Static_assert(sizeof(struct format_group) == FORMAT_GROUP_HEADER_BYTES, "as in FORMAT.md");
_Static_assert(offsetof(struct format_group, time_ns) == 40, "as in FORMAT.md");
_Static_assert(sizeof(struct format_epoch) == 32, "as in FORMAT.md");
_Static_assert(sizeof(struct format_seal) == 64, "as in FORMAT.md");
_Static_assert(sizeof(struct format_directory_entry) == 8, "as in FORMAT.md");
_Static_assert(sizeof(struct format_record) == FORMAT_RECORD_HEADER_BYTES, "as in FORMAT.md");
_Static_assert(sizeof(struct format_hold) == 104, "as in FORMAT.md");

/* The next multiple of a power of two. */
static inline uint64_t format_align(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline bool format_is_compacted(uint64_t ordinal)
{
    return ordinal >= FORMAT_COMPACTED_ORDINAL;
}

/* The LSN in front of the payload of a record that is numbered: room for it was checked. */
static inline uint64_t format_record_number(const struct format_record *record)
{
    return le64_load((const struct le64 *)(const void *)(record + 1));
}

/* Bytes that a record with this payload takes inside a group. */
static inline uint64_t format_record_stride(uint64_t payload_bytes)
{
    return format_align(FORMAT_RECORD_HEADER_BYTES + payload_bytes, FORMAT_RECORD_ALIGN);
}

/* Body of the seal group of a segment with this many records. */
static inline uint64_t format_seal_body_bytes(uint64_t record_count)
{
    uint64_t entries = (record_count + FORMAT_DIRECTORY_STRIDE - 1) / FORMAT_DIRECTORY_STRIDE;
    return sizeof(struct format_seal) + entries * sizeof(struct format_directory_entry);
}

/* The same of a compacted segment: behind the entries come their LSNs. */
static inline uint64_t format_sparse_seal_body_bytes(uint64_t record_count)
{
    uint64_t entries = (record_count + FORMAT_DIRECTORY_STRIDE - 1) / FORMAT_DIRECTORY_STRIDE;
    return format_seal_body_bytes(record_count) + entries * sizeof(struct le64);
}

/* "segment-0000000000000001"; room for FORMAT_NAME_BYTES. */
#define FORMAT_NAME_BYTES 32u
void format_segment_name(uint64_t ordinal, char name[FORMAT_NAME_BYTES]);

/* False when the name is not exactly one that format_segment_name() gives. */
bool format_segment_ordinal(const char *name, uint64_t *ret_ordinal);

#endif
