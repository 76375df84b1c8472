/*
 * Reading the records of a run of sealed segments that the caller has pinned, in order, with their
 * addresses: what compaction looks at, copies, and compares. Each group is checked before its
 * records are seen.
 *
 *     struct run_reader reader = {.log = log, .segments = segments, .count = count};
 *     while ((rc = run_read(&reader, why)) == 1) { reader.record, reader.lsn, reader.address }
 */
#ifndef WAL_RUN_READER_H
#define WAL_RUN_READER_H

#include "wal/walk.h"

struct run_reader {
    struct weir_log *log;
    struct wal_segment *const *segments;
    uint32_t count;
    uint32_t index; /* of the segment that is being read */

    /* The record that was read. */
    const struct format_record *record;
    weir_lsn lsn;
    uint64_t address;
    struct group_header group; /* which it is in */
    bool begins_group, ends_group;

    struct segment_walk walk; /* behind the group; walk.segment NULL: at the segment's start */
    uint32_t left;            /* records of the group behind this one */
};

/* 1; 0: that was the last; WEIR_E_DAMAGED; WEIR_E_CUT_SHORT; -errno. */
int run_read(struct run_reader *reader, struct weir_error *why);

/* What a cursor would lend of it, that is without the LSN that it carries. */
struct weir_record run_record(const struct run_reader *reader);

/* A record that belongs to the storage engine. */
static inline bool run_is_of_engine(const struct run_reader *reader)
{
    return le16_load(&reader->record->type) >= WEIR_TYPE_RESERVED &&
           (le16_load(&reader->record->flags) & (WEIR_RECORD_GAP | WEIR_RECORD_VOID)) == 0;
}

#endif
