/*
 * Groups: building a header, and checking one that was read. The only place that decides whether
 * bytes are a group (docs/FORMAT.md, 5 to 7). Pure functions over memory: no log, no medium.
 *
 * Reading has two steps. group_decode() checks what a header says of itself; only then are its
 * lengths used. group_check() checks it in its place: against the group before, and its body.
 */
#ifndef WAL_GROUP_H
#define WAL_GROUP_H

#include "wal/format.h"

#include <weir/types.h>

/* A group header in native form. */
struct group_header {
    uint64_t address;
    weir_lsn first_lsn;
    uint64_t time_ns;
    weir_lsn durable_lsn; /* of a sparse group: of its last record */
    uint32_t crc;
    uint32_t chain;
    uint32_t body_crc;
    uint32_t record_count;
    uint32_t size_bytes;
    uint32_t epoch;
    uint16_t flags;
    uint16_t kind; /* enum format_group_kind */
};

/* What the next group must continue from: the state of a walk. */
struct group_chain {
    weir_lsn next_lsn;
    uint64_t time_ns; /* of the last group */
    uint64_t epoch;
    uint32_t seed; /* of that epoch */
    uint32_t crc;  /* of the last group; 0 = none */
};

/* Why bytes are not a valid group. The names appear in the findings of weir_verify(). */
enum group_fault {
    GROUP_OK = 0,
    GROUP_HEADER_CRC,    /* not a group header under this seed */
    GROUP_HEADER_FIELDS, /* CRC right, fields impossible */
    GROUP_ADDRESS,       /* a whole group from somewhere else: misdirected or stale */
    GROUP_CHAIN,         /* does not follow the group before */
    GROUP_LSN,
    GROUP_TIME,
    GROUP_EPOCH,
    GROUP_BODY_CRC,    /* record headers, or the body of an internal group */
    GROUP_RECORDS,     /* record sizes do not fill the group */
    GROUP_PAYLOAD_CRC, /* or the LSN that a numbered record carries is another one */
    GROUP_PADDING,     /* bytes that must be zero are not */
    GROUP_FAULTS,
};

static inline bool group_is_sparse(const struct group_header *header)
{
    return (header->flags & FORMAT_GROUP_SPARSE) != 0;
}

/* Each record carries its LSN. */
static inline bool group_is_numbered(const struct group_header *header)
{
    return header->flags == FORMAT_GROUP_SPARSE;
}

/* The LSN behind the group's last record; of an internal group: the next LSN. */
static inline weir_lsn group_next_lsn(const struct group_header *header)
{
    return group_is_sparse(header) ? header->durable_lsn + 1
                                   : header->first_lsn + header->record_count;
}

/* The LSN of record `index` of a group whose records were checked, or are being. */
static inline weir_lsn group_record_lsn(const struct group_header *header, uint32_t index,
                                        const struct format_record *record)
{
    return group_is_numbered(header) ? format_record_number(record) : header->first_lsn + index;
}

const char *group_fault_code(enum group_fault fault); /* "group-crc": for findings */
const char *group_fault_text(enum group_fault fault); /* a phrase */

/* The seed of segment headers and of epoch groups: crc(0, uuid). */
uint32_t group_uuid_seed(const uint8_t uuid[FORMAT_UUID_BYTES]);

/* Writes a header (its CRC last) to target and sets header->crc. */
void group_encode(uint8_t *target, struct group_header *header, uint32_t seed);

/* Reads the fields of a header without checking any: for groups that were built or checked in this
 * memory. Room for FORMAT_GROUP_HEADER_BYTES. */
void group_load(const uint8_t *bytes, struct group_header *ret_header);

/* Checks a header by itself: CRC under seed (the uuid's for kind EPOCH), address, kind, sizes
 * within segment_bytes, sparse exactly where the address is in a compacted segment. On success
 * fills *ret_header. `bytes` holds FORMAT_GROUP_HEADER_BYTES. */
enum group_fault group_decode(const uint8_t *bytes, uint64_t address, uint32_t seed,
                              uint32_t uuid_seed, uint64_t segment_bytes,
                              struct group_header *ret_header);

/* Checks that a decoded group follows `chain`, before its body is looked at. */
enum group_fault group_check_place(const struct group_header *header,
                                   const struct group_chain *chain);

/* Checks the body and the padding. `bytes` starts with the header and holds the group up to its
 * aligned end. On a fault *ret_record is the index of the record it is in (or the count). */
enum group_fault group_check_body(const uint8_t *bytes, const struct group_header *header,
                                  uint32_t block_bytes, uint32_t *ret_record);

/* The same of a data group's records alone: group_records.c. */
enum group_fault group_check_records(const uint8_t *bytes, const struct group_header *header,
                                     uint32_t *ret_record);

/* A sparse group's record carries an LSN that may follow `before`, the one that the record before
 * carries: it counts as long as it is in order. */
bool group_record_is_in_order(const struct group_header *header, uint32_t index,
                              const struct format_record *record, weir_lsn before);

/* A record's payload passes its checksum and, where it carries its LSN, that is the right one. Its
 * size is one that was checked. */
bool group_record_is_whole(const struct format_record *record, weir_lsn lsn);

/* The LSN of record `index` of a group whose record headers are right and whose payloads may not
 * be: where it says itself, what it says if that is possible, beside what records behind it say
 * under a right checksum; else the first one that is; of the last record, what the group's header
 * says.
 * @param before  the last LSN that the record before stands for; of the first one first_lsn - 1 */
weir_lsn group_likely_lsn(const struct group_header *header, uint32_t index,
                          const struct format_record *record, weir_lsn before);

/* The last LSN that record `index` of a group stands for, `lsn` being its likely one: where a gap
 * is one record it is as long as its header says, and ends in front of what is certain behind it.
 */
weir_lsn group_to_lsn(const struct group_header *header, uint32_t index,
                      const struct format_record *record, weir_lsn lsn);

/* Moves a walk behind a group that is valid in place; reads the seed of an epoch group's body. */
void group_chain_advance(struct group_chain *chain, const uint8_t *bytes,
                         const struct group_header *header);

#endif
