/*
 * Reading at an address, inline: a scan of the storage engine reads millions of records a second,
 * and a call for each would cost it as much as reading them. What it includes is the log's own;
 * engine/ uses no name of it but wal_address_read_at().
 *
 * Invariant: no size is used before it is known to stay inside the segment; nothing of memory that
 * nobody has checked is lent before a checksum has proved it.
 */
#ifndef WAL_ADDRESS_READ_H
#define WAL_ADDRESS_READ_H

#include "base/le.h"
#include "wal/address.h"
#include "wal/format.h"
#include "wal/segment.h"

/* A record in memory that nobody has checked, as it was parsed: does its checksum hold over the
 * size that was found to stay inside the segment, and is its LSN one of this segment? Neither is
 * read again: the file may change under its mapping. */
bool wal_address_prove(struct weir_log *log, struct wal_segment *segment, uint64_t offset,
                       const struct weir_record *parsed);

/* The record at an offset, if what lies there may be one: 0; WEIR_E_DAMAGED. Whether to believe it
 * is for the caller to find out. */
static inline int wal_address_parse(const struct wal_segment *segment, uint64_t segment_bytes,
                                    uint64_t offset, struct weir_record *ret_record)
{
    const uint32_t least = FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES;
    uint64_t room = segment_bytes - offset;
    const struct format_record *record = (const struct format_record *)(segment->base + offset);
    if (__builtin_expect(offset % FORMAT_RECORD_ALIGN != 0 || room < least, 0)) {
        return WEIR_E_DAMAGED;
    }
    /* Acquire pairs with the release in publish_announce(). */
    uint32_t size = atomic_load_explicit((const _Atomic uint32_t *)(const void *)&record->size,
                                         memory_order_acquire);
    uint16_t flags = le16_load(&record->flags);
    if (__builtin_expect(size - least > room - least || (flags & FORMAT_RECORD_NUMBERED) == 0, 0)) {
        return WEIR_E_DAMAGED;
    }
    const uint8_t *payload = (const uint8_t *)(record + 1);
    ret_record->lsn = le64_load((const struct le64 *)(const void *)payload);
    ret_record->time_ns = 0;
    ret_record->data = payload + FORMAT_RECORD_NUMBER_BYTES;
    ret_record->size = size - least;
    ret_record->user = le32_load(&record->user);
    ret_record->type = le16_load(&record->type);
    ret_record->flags = (uint16_t)(flags & ~FORMAT_RECORD_NUMBERED);
    return 0;
}

/* As wal_address_read(), which see, for a caller that knows the size of segments. */
static inline int wal_address_read_at(struct weir_log *log, struct wal_segment *segment,
                                      uint64_t segment_bytes, uint64_t offset,
                                      struct weir_record *ret_record)
{
    int rc = wal_address_parse(segment, segment_bytes, offset, ret_record);
    if (__builtin_expect(rc != 0, 0)) {
        return rc;
    }
    bool trusted = __builtin_expect(segment_is_checked(segment, offset), 1) ||
                   wal_address_prove(log, segment, offset, ret_record);
    return trusted ? 0 : WEIR_E_DAMAGED;
}

/* The same where nothing is unusual: in front of checked_end, and a record of this type that
 * carries its LSN and `least` bytes or more, at most UINT16_MAX. Its time and user are not given.
 * False: wal_address_read_at() tells what lies there. `base` is the segment's, the offset lies in
 * it and is a multiple of FORMAT_RECORD_ALIGN.
 *
 * As much as can be is judged by the address alone, and where the payload is does not depend on
 * what is in the record: whatever does waits for it in the processor's schedulers, which are full
 * long before its window is, and the next look-up does not begin. */
static inline bool wal_address_read_plain(const struct wal_segment *segment, const uint8_t *base,
                                          uint64_t offset, uint16_t type, uint32_t least,
                                          struct weir_record *ret_record)
{
    const uint32_t head = FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES;
    const uint32_t wanted = (uint32_t)FORMAT_RECORD_NUMBERED << 16 | type;
    const uint64_t begun = offset + head + least;
    const uint64_t end = segment_plain_end(segment);
    /* Nothing is looked at before it is known to be checked. */
    if (__builtin_expect(begun > end, 0)) {
        return false;
    }
    const struct format_record *record = (const struct format_record *)(base + offset);
    /* Acquire pairs with the release in publish_announce(). */
    uint32_t size = atomic_load_explicit((const _Atomic uint32_t *)(const void *)&record->size,
                                         memory_order_acquire);
    uint32_t kind = (uint32_t)le16_load(&record->flags) << 16 | le16_load(&record->type);
    uint32_t more = size - (head + least); /* huge when it is less */
    if (__builtin_expect(more > end - begun || (kind & (wanted | UINT16_MAX)) != wanted, 0)) {
        return false;
    }
    const uint8_t *payload = (const uint8_t *)(record + 1);
    ret_record->lsn = le64_load((const struct le64 *)(const void *)payload);
    ret_record->data = payload + FORMAT_RECORD_NUMBER_BYTES;
    ret_record->size = least + more;
    return true;
}

#endif
