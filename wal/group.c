/*
 * Groups: building a header and checking one that was read.
 *
 * A reader goes: group_decode (does this header speak the truth about itself?), group_check_place
 * (does it follow the group before?), group_check_body (are its records what was written?),
 * group_chain_advance. It stops at the first fault.
 *
 * Invariants: no length, count or offset of a header is used before its CRC was right; nothing here
 * asserts about bytes that came from a medium.
 */
#include "wal/group.h"

#include "base/assert.h"
#include "base/crc32c.h"

static const struct {
    const char *code, *text;
} faults[GROUP_FAULTS] = {
    [GROUP_OK] = {"ok", "valid"},
    [GROUP_HEADER_CRC] = {"group-crc", "the header fails its checksum"},
    [GROUP_HEADER_FIELDS] = {"group-fields", "the header's fields are impossible"},
    [GROUP_ADDRESS] = {"group-address", "the group belongs to another address"},
    [GROUP_CHAIN] = {"chain", "the group does not follow the one before it"},
    [GROUP_LSN] = {"group-lsn", "the LSN does not continue from the group before"},
    [GROUP_TIME] = {"group-time", "the time goes back"},
    [GROUP_EPOCH] = {"group-epoch", "the epoch is not the one in force"},
    [GROUP_BODY_CRC] = {"body-crc", "the record headers fail their checksum"},
    [GROUP_RECORDS] = {"record-sizes", "the records do not fill the group"},
    [GROUP_PAYLOAD_CRC] = {"record-crc", "a record's payload fails its checksum"},
    [GROUP_PADDING] = {"padding", "bytes that must be zero are not"},
};

const char *group_fault_code(enum group_fault fault)
{
    return faults[fault].code;
}

const char *group_fault_text(enum group_fault fault)
{
    return faults[fault].text;
}

uint32_t group_uuid_seed(const uint8_t uuid[FORMAT_UUID_BYTES])
{
    return base_crc32c(0, uuid, FORMAT_UUID_BYTES);
}

static uint32_t header_crc(const uint8_t *bytes, uint32_t seed)
{
    size_t start = offsetof(struct format_group, kind);
    return base_crc32c(seed, bytes + start, FORMAT_GROUP_HEADER_BYTES - start);
}

/* header_crc() of what will be stored, from the values: a load that spans fields which were just
 * stored waits until they are in the cache. */
static uint32_t values_crc(const struct group_header *header, uint32_t seed)
{
#if defined(__x86_64__)
    uint64_t crc = base_crc32c_step4(~seed, header->kind | (uint32_t)header->flags << 16);
    crc = base_crc32c_step8(crc, header->address);
    crc = base_crc32c_step8(crc, header->first_lsn);
    crc = base_crc32c_step8(crc, header->record_count | (uint64_t)header->size_bytes << 32);
    crc = base_crc32c_step8(crc, header->chain | (uint64_t)header->body_crc << 32);
    crc = base_crc32c_step8(crc, header->time_ns);
    crc = base_crc32c_step8(crc, header->durable_lsn);
    return ~(uint32_t)base_crc32c_step8(crc, header->epoch);
#else
    (void)header, (void)seed;
    WEIR_UNREACHABLE();
#endif
}

void group_encode(uint8_t *target, struct group_header *header, uint32_t seed)
{
    struct format_group *group = (struct format_group *)target;
    le16_store(&group->kind, header->kind);
    le16_store(&group->flags, header->flags);
    le64_store(&group->address, header->address);
    le64_store(&group->first_lsn, header->first_lsn);
    le32_store(&group->record_count, header->record_count);
    le32_store(&group->size_bytes, header->size_bytes);
    le32_store(&group->chain, header->chain);
    le32_store(&group->body_crc, header->body_crc);
    le64_store(&group->time_ns, header->time_ns);
    le64_store(&group->durable_lsn, header->durable_lsn);
    le32_store(&group->epoch, header->epoch);
    le32_store(&group->zero, 0);
    header->crc =
        base_crc32c_hardware ? values_crc(header, seed) : header_crc((const uint8_t *)target, seed);
    le32_store(&group->crc, header->crc);
}

void group_load(const uint8_t *bytes, struct group_header *ret_header)
{
    const struct format_group *group = (const struct format_group *)bytes;
    ret_header->crc = le32_load(&group->crc);
    ret_header->kind = le16_load(&group->kind);
    ret_header->flags = le16_load(&group->flags);
    ret_header->address = le64_load(&group->address);
    ret_header->first_lsn = le64_load(&group->first_lsn);
    ret_header->record_count = le32_load(&group->record_count);
    ret_header->size_bytes = le32_load(&group->size_bytes);
    ret_header->chain = le32_load(&group->chain);
    ret_header->body_crc = le32_load(&group->body_crc);
    ret_header->time_ns = le64_load(&group->time_ns);
    ret_header->durable_lsn = le64_load(&group->durable_lsn);
    ret_header->epoch = le32_load(&group->epoch);
}

/* The smallest and largest size that a group of this kind and count may claim; false: no such kind.
 */
static bool size_fits_kind(const struct group_header *header)
{
    uint64_t body = header->size_bytes - FORMAT_GROUP_HEADER_BYTES;
    uint64_t count = header->record_count;
    switch (header->kind) {
    case FORMAT_GROUP_DATA:
        return count > 0 && body >= count * FORMAT_RECORD_HEADER_BYTES;
    case FORMAT_GROUP_EPOCH:
        return count == 0 && body == sizeof(struct format_epoch);
    case FORMAT_GROUP_WITNESS:
        return count == 0 && body == 0;
    case FORMAT_GROUP_SEAL:
        return count == 0 && body >= sizeof(struct format_seal);
    default:
        return false;
    }
}

/* Sparse groups are in compacted segments, and nothing else is. */
static bool flags_fit_address(const struct group_header *header, uint64_t segment_bytes)
{
    if (!format_is_compacted(header->address / segment_bytes)) {
        return header->flags == 0;
    }
    weir_lsn first = header->first_lsn, last = header->durable_lsn;
    if (header->kind == FORMAT_GROUP_SEAL) {
        return header->flags == FORMAT_GROUP_SPARSE && last == first - 1;
    }
    bool consecutive = header->flags == (FORMAT_GROUP_SPARSE | FORMAT_GROUP_CONSECUTIVE);
    return header->kind == FORMAT_GROUP_DATA && last >= first &&
           (consecutive ? last - first == header->record_count - 1
                        : group_is_numbered(header) && last - first >= header->record_count - 1);
}

enum group_fault group_decode(const uint8_t *bytes, uint64_t address, uint32_t seed,
                              uint32_t uuid_seed, uint64_t segment_bytes,
                              struct group_header *ret_header)
{
    const struct format_group *group = (const struct format_group *)bytes;
    bool is_epoch = le16_load(&group->kind) == FORMAT_GROUP_EPOCH;
    if (header_crc(bytes, is_epoch ? uuid_seed : seed) != le32_load(&group->crc)) {
        return GROUP_HEADER_CRC;
    }
    struct group_header header;
    group_load(bytes, &header);
    if (header.address != address) {
        return GROUP_ADDRESS;
    }
    uint64_t room = segment_bytes - (address & (segment_bytes - 1));
    if (header.size_bytes < FORMAT_GROUP_HEADER_BYTES || header.size_bytes > room ||
        !size_fits_kind(&header) || le32_load(&group->zero) != 0 ||
        header.first_lsn == WEIR_LSN_NONE || !flags_fit_address(&header, segment_bytes)) {
        return GROUP_HEADER_FIELDS;
    }
    *ret_header = header;
    return GROUP_OK;
}

enum group_fault group_check_place(const struct group_header *header,
                                   const struct group_chain *chain)
{
    if (header->chain != chain->crc) {
        return GROUP_CHAIN;
    }
    bool sparse = group_is_sparse(header);
    if (sparse ? header->first_lsn < chain->next_lsn
               : header->first_lsn != chain->next_lsn || header->durable_lsn >= header->first_lsn) {
        return GROUP_LSN;
    }
    if (header->time_ns < chain->time_ns) {
        return GROUP_TIME;
    }
    if (header->kind != FORMAT_GROUP_EPOCH && header->epoch != (uint32_t)chain->epoch) {
        return GROUP_EPOCH;
    }
    return GROUP_OK;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        if (word != 0) {
            return false;
        }
    }
    for (; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

bool group_record_is_whole(const struct format_record *record, weir_lsn lsn)
{
    const uint8_t *data = (const uint8_t *)record + FORMAT_RECORD_HEADER_BYTES;
    uint32_t payload = le32_load(&record->size) - FORMAT_RECORD_HEADER_BYTES;
    if (base_crc32c(0, data, payload) != le32_load(&record->crc)) {
        return false;
    }
    return (le16_load(&record->flags) & FORMAT_RECORD_NUMBERED) == 0 ||
           (payload >= FORMAT_RECORD_NUMBER_BYTES &&
            le64_load((const struct le64 *)(const void *)data) == lsn);
}

bool group_record_is_in_order(const struct group_header *header, uint32_t index,
                              const struct format_record *record, weir_lsn before)
{
    if (le32_load(&record->size) < FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES ||
        (le16_load(&record->flags) & FORMAT_RECORD_NUMBERED) == 0) {
        return false;
    }
    weir_lsn lsn = format_record_number(record);
    return (index == 0 ? lsn == header->first_lsn : lsn > before) &&
           (index + 1 == header->record_count ? lsn == header->durable_lsn
                                              : lsn < header->durable_lsn);
}

static const struct format_record *record_behind(const struct format_record *record)
{
    uint64_t stride = format_align(le32_load(&record->size), FORMAT_RECORD_ALIGN);
    return (const struct format_record *)((const uint8_t *)record + stride);
}

/* The last LSN that record `index`, not the last of a sparse group, may stand for: those behind it
 * have one each, up to the next one that says its own under a right checksum. */
static weir_lsn most_of(const struct group_header *header, uint32_t index,
                        const struct format_record *record, weir_lsn before)
{
    for (uint32_t behind = 1; index + behind + 1 < header->record_count; behind++) {
        record = record_behind(record);
        if (group_record_is_in_order(header, index + behind, record, before + behind) &&
            group_record_is_whole(record, format_record_number(record))) {
            return format_record_number(record) - behind;
        }
    }
    return header->durable_lsn - (header->record_count - 1 - index);
}

weir_lsn group_likely_lsn(const struct group_header *header, uint32_t index,
                          const struct format_record *record, weir_lsn before)
{
    if (!group_is_numbered(header)) {
        return header->first_lsn + index;
    }
    if (index + 1 == header->record_count) {
        return header->durable_lsn;
    }
    bool says = group_record_is_in_order(header, index, record, before) &&
                format_record_number(record) <= most_of(header, index, record, before);
    return says ? format_record_number(record) : before + 1;
}

/* How many LSNs a record of a sparse group stands for: of a gap, as many as its header says. */
static uint32_t gap_length(const struct format_record *record)
{
    uint32_t user = le32_load(&record->user);
    bool gap = (le16_load(&record->flags) & WEIR_RECORD_GAP) != 0;
    return gap && user > 0 ? user : 1;
}

weir_lsn group_to_lsn(const struct group_header *header, uint32_t index,
                      const struct format_record *record, weir_lsn lsn)
{
    if (!group_is_sparse(header)) {
        return lsn; /* here each LSN of a gap has a record of its own */
    }
    weir_lsn to = lsn + gap_length(record) - 1;
    if (to == lsn || index + 1 == header->record_count) {
        return to;
    }
    weir_lsn most = most_of(header, index, record, lsn);
    return to < most ? to : most;
}

enum group_fault group_check_body(const uint8_t *bytes, const struct group_header *header,
                                  uint32_t block_bytes, uint32_t *ret_record)
{
    *ret_record = header->record_count;
    if (header->kind == FORMAT_GROUP_DATA) {
        enum group_fault fault = group_check_records(bytes, header, ret_record);
        if (fault != GROUP_OK) {
            return fault;
        }
    } else {
        size_t body = header->size_bytes - FORMAT_GROUP_HEADER_BYTES;
        if (base_crc32c(0, bytes + FORMAT_GROUP_HEADER_BYTES, body) != header->body_crc) {
            return GROUP_BODY_CRC;
        }
    }
    uint64_t end = format_align(header->size_bytes, block_bytes);
    bool padded = all_zero(bytes + header->size_bytes, end - header->size_bytes);
    return padded ? GROUP_OK : GROUP_PADDING;
}

void group_chain_advance(struct group_chain *chain, const uint8_t *bytes,
                         const struct group_header *header)
{
    chain->crc = header->crc;
    chain->time_ns = header->time_ns;
    chain->next_lsn = group_next_lsn(header);
    if (header->kind == FORMAT_GROUP_EPOCH) {
        const struct format_epoch *epoch =
            (const struct format_epoch *)(bytes + FORMAT_GROUP_HEADER_BYTES);
        chain->epoch = le64_load(&epoch->epoch);
        chain->seed = le32_load(&epoch->seed);
    }
}
