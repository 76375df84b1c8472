/*
 * Writing a compacted segment (docs/FORMAT.md, 4 and 5): sparse groups into one file, its header
 * last. For compaction, and for salvage of a compacted log.
 *
 *     rc = sparse_write_begin(&writer, medium, file, &header, &limits);
 *     sparse_write_group(&writer, time_ns);
 *     rc = sparse_write_record(&writer, record, lsn);          as often as there are, ascending
 *     rc = sparse_write_end_group(&writer);
 *     rc = sparse_write_finish(&writer);                        seal, header, sync of the file
 *     sparse_write_free(&writer);                               in any case; the file is the
 * caller's
 */
#ifndef WAL_SPARSE_WRITE_H
#define WAL_SPARSE_WRITE_H

#include "wal/scan.h"

struct sparse_limits {
    uint64_t segment_bytes, group_bytes;
};

/* How records share groups. LSNs that are consecutive need not be written; where they are not, a
 * group of records that all carry theirs goes on, and any other ends. */
struct sparse_plan {
    uint64_t group_bytes; /* most that a group takes */
    uint64_t size_bytes;  /* of the group: its header and records */
    uint32_t records;
    weir_lsn next_lsn;
    bool numbered; /* not consecutive */
    bool plain;    /* holds records that do not carry their LSN */
};

/* Bytes that a record takes in the group, which it is then part of; 0: it begins another one. Alone
 * in a group it may exceed group_bytes by the 8 bytes of its LSN. */
uint64_t sparse_plan_record(struct sparse_plan *plan, const struct format_record *record,
                            weir_lsn lsn);
void sparse_plan_group(struct sparse_plan *plan);

struct sparse_writer {
    struct weir_medium *medium;
    struct weir_file *file;
    struct segment_header header; /* its seal_offset is known at last */
    bool ends_itself;             /* its run ends with its own seal: end_* are known then, too */
    struct sparse_limits limits;
    uint64_t offset;          /* of the next group */
    struct group_chain chain; /* of the segment's own groups */
    struct scan_directory directory;

    struct sparse_plan plan;
    uint8_t *group; /* the one that is being made */
    uint64_t group_capacity;
    struct group_header group_header;

    uint8_t *buffer; /* [buffer_start, buffer_start + buffered) of the file, to be written */
    uint64_t buffer_start;
    size_t buffered;
    bool failed; /* a write or sync of the file did */
};

/* @param header  all but seal_offset. 0 or -ENOMEM. */
int sparse_write_begin(struct sparse_writer *writer, struct weir_medium *medium,
                       struct weir_file *file, const struct segment_header *header,
                       const struct sparse_limits *limits);
void sparse_write_free(struct sparse_writer *writer); /* accepts one that is all zero */

/* Bytes of the seal of a segment with this many records, padded. */
uint64_t sparse_write_seal_bytes(uint64_t records);

/* Records of one time; another group of that time begins by itself where it has to. */
void sparse_write_group(struct sparse_writer *writer, uint64_t time_ns);

/* 0; -E2BIG (it does not fit this segment any more; what is written stays as it is); -errno. */
int sparse_write_record(struct sparse_writer *writer, const struct format_record *record,
                        weir_lsn lsn);
int sparse_write_end_group(struct sparse_writer *writer);
int sparse_write_finish(struct sparse_writer *writer);

#endif
