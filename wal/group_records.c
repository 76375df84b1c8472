/*
 * Are the records of a data group what was written?
 *
 * Happy path: the headers of a few records are walked, their payloads are checked side by side, and
 * so on to the end of the group; everything was right, and nothing more is asked.
 *
 * Failure modes: anything is wrong; then the records are walked again, one by one, to say what and
 * where. A group is accepted by either walk on the same grounds.
 *
 * Invariants: no record size is used before it is known to stay inside the group.
 */
#include "wal/group.h"

#include "base/crc32c.h"
#include "base/crc32c_padded.h"

/* ---- all of them ---- */

/* Payloads that are noted before they are checked; so few bytes that they stay in the first-level
 * cache, beside those that come next and are fetched meanwhile. */
#define BATCH_COUNT 16u
#define BATCH_BYTES 8192u

struct reading {
    const struct group_header *header;
    const uint8_t *at, *end; /* of the next record, of the group */
    uint32_t index;          /* of the next record */
    uint32_t crc;            /* of the headers before it */
    weir_lsn lsn;            /* of the record before it, where each carries its own */
    struct base_crc32c_padded payloads[BATCH_COUNT];
};

/* A record that carries its LSN, or should, carries the right one. */
static bool number_is_right(struct reading *reading, uint32_t index,
                            const struct format_record *record)
{
    const struct group_header *header = reading->header;
    bool right;
    if (group_is_numbered(header)) {
        right = group_record_is_in_order(header, index, record, reading->lsn);
    } else {
        right =
            le32_load(&record->size) >= FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES &&
            format_record_number(record) == header->first_lsn + index;
    }
    reading->lsn = right ? format_record_number(record) : WEIR_LSN_NONE;
    return right;
}

/* Walks the next headers; returns how many payloads they have, 0 when one of them is wrong. */
static uint32_t note_payloads(struct reading *reading)
{
    const struct group_header *header = reading->header;
    const uint8_t *at = reading->at, *end = reading->end;
    bool numbered = group_is_numbered(header);
    uint32_t crc = reading->crc, first = reading->index, count = 0;
    uint32_t most =
        header->record_count - first < BATCH_COUNT ? header->record_count - first : BATCH_COUNT;
    for (const uint8_t *enough = at + BATCH_BYTES; count < most && at < enough; count++) {
        const struct format_record *record = (const struct format_record *)at;
        size_t room = (size_t)(end - at);
        if (room < FORMAT_RECORD_HEADER_BYTES) {
            return 0;
        }
        uint32_t size = le32_load(&record->size);
        uint64_t stride = format_align(size, FORMAT_RECORD_ALIGN);
        if (size < FORMAT_RECORD_HEADER_BYTES || stride > room) {
            return 0;
        }
        crc = base_crc32c_16(crc, record);
        bool numbers = numbered || (le16_load(&record->flags) & FORMAT_RECORD_NUMBERED) != 0;
        if (numbers && !number_is_right(reading, first + count, record)) {
            return 0;
        }
        struct base_crc32c_padded *payload = &reading->payloads[count];
        payload->data = at + FORMAT_RECORD_HEADER_BYTES;
        payload->size = size - FORMAT_RECORD_HEADER_BYTES;
        payload->crc = le32_load(&record->crc);
        at += stride;
    }
    reading->at = at;
    reading->index = first + count;
    reading->crc = crc;
    return count;
}

static bool all_are_right(const uint8_t *bytes, const struct group_header *header)
{
    struct reading reading;
    reading.header = header;
    reading.at = bytes + FORMAT_GROUP_HEADER_BYTES;
    reading.end = bytes + header->size_bytes;
    reading.index = 0;
    reading.crc = 0;
    reading.lsn = WEIR_LSN_NONE;
    while (reading.index < header->record_count) {
        uint32_t count = note_payloads(&reading);
        if (count == 0 || !base_crc32c_all_match(reading.payloads, count, reading.end)) {
            return false;
        }
    }
    return reading.crc == header->body_crc && reading.at == reading.end;
}

/* ---- one by one ---- */

static enum group_fault check_record(const struct group_header *header, uint32_t index,
                                     const struct format_record *record, weir_lsn *lsn)
{
    bool in_order =
        !group_is_numbered(header) || group_record_is_in_order(header, index, record, *lsn);
    *lsn = in_order ? group_record_lsn(header, index, record) : WEIR_LSN_NONE;
    if (!in_order || !group_record_is_whole(record, *lsn)) {
        return GROUP_PAYLOAD_CRC;
    }
    const uint8_t *bytes = (const uint8_t *)record;
    uint32_t size = le32_load(&record->size);
    for (uint64_t at = size; at < format_align(size, FORMAT_RECORD_ALIGN); at++) {
        if (bytes[at] != 0) {
            return GROUP_PADDING;
        }
    }
    return GROUP_OK;
}

/* A record's size is used as soon as it is known to stay inside the group, and believed only when
 * the body CRC over all record headers was right. A payload that fails may be the fault of its
 * header: so the headers are walked to the end before anything is said. */
static enum group_fault find_fault(const uint8_t *bytes, const struct group_header *header,
                                   uint32_t *ret_record)
{
    uint32_t crc = 0;
    uint64_t offset = FORMAT_GROUP_HEADER_BYTES;
    enum group_fault fault = GROUP_OK;
    weir_lsn lsn = WEIR_LSN_NONE;
    for (uint32_t i = 0; i < header->record_count; i++) {
        if (offset + FORMAT_RECORD_HEADER_BYTES > header->size_bytes) {
            return GROUP_RECORDS;
        }
        const struct format_record *record = (const struct format_record *)(bytes + offset);
        crc = base_crc32c_16(crc, record);
        uint32_t size = le32_load(&record->size);
        if (size < FORMAT_RECORD_HEADER_BYTES || size > header->size_bytes - offset) {
            return GROUP_RECORDS;
        }
        if (fault == GROUP_OK) {
            fault = check_record(header, i, record, &lsn);
            *ret_record = fault == GROUP_OK ? header->record_count : i;
        }
        offset += format_align(size, FORMAT_RECORD_ALIGN);
    }
    if (crc != header->body_crc || offset != header->size_bytes) {
        *ret_record = header->record_count;
        return crc != header->body_crc ? GROUP_BODY_CRC : GROUP_RECORDS;
    }
    return fault;
}

enum group_fault group_check_records(const uint8_t *bytes, const struct group_header *header,
                                     uint32_t *ret_record)
{
    *ret_record = header->record_count;
    return all_are_right(bytes, header) ? GROUP_OK : find_fault(bytes, header, ret_record);
}
