/*
 * Salvage from the inside: for the files that begin with its name only.
 *
 *   salvage.c        from the call to CONTROL
 *   salvage_target.c the directory of the new log, which a backup uses, too
 *   salvage_copy.c   what verification hands over, and the end of the log
 *   salvage_gap.c    findings, and the gaps that they are the reason for
 *   salvage_holds.c  the source's holds
 *   salvage_write.c  the new log, group by group
 *
 *     struct salvage_writer writer;
 *     rc = salvage_write_start(&writer, medium, &control, base_lsn);      first header, epoch group
 *     salvage_write_group(&writer, time_ns);
 *     rc = salvage_write_record(&writer, record);                        as often as there are
 *     rc = salvage_write_gap(&writer, to_lsn, type);                      [next LSN, to_lsn]
 *     rc = salvage_write_end_group(&writer);
 *     rc = salvage_write_finish(&writer);                                 CONTROL: now it is a log
 *     salvage_write_free(&writer);
 *
 * A compacted segment of the source is one of the new log, too: between
 *     rc = salvage_write_compacted(&writer, last_lsn);
 *     rc = salvage_write_leave(&writer);
 * LSNs may be skipped, and one gap record stands for a range.
 *
 * Every group that it writes continues from the one before; segments roll where they are full. What
 * it has written is no log before salvage_write_finish().
 */
#ifndef WAL_SALVAGE_H
#define WAL_SALVAGE_H

#include "wal/control.h"
#include "wal/sparse_write.h"
#include "wal/verify.h"

#include <weir/retain.h>
#include <weir/salvage.h>

struct salvage_writer {
    bool started;
    struct weir_medium *medium;
    struct control control; /* of the new log */
    uint32_t uuid_seed;
    uint64_t ordinal;       /* of the segment, or its place */
    struct weir_file *file; /* NULL: none is open */
    struct sparse_writer sparse;
    bool is_sparse;  /* the open one is a compacted one */
    uint64_t offset; /* of the next group in its segment */
    struct group_chain chain;
    uint64_t previous_seal_offset;
    struct scan_directory directory; /* of the segment */

    uint8_t *group; /* the one that is being made: control.group_bytes and its padding */
    uint64_t group_capacity;
    struct group_header header; /* of it: time, counts, sizes, CRC of the record headers */
    weir_lsn next_lsn;          /* of the next record, in the group or behind it */

    uint8_t *buffer; /* [buffer_start, buffer_start + buffered) of the file, to be written */
    uint64_t buffer_start;
    size_t buffered;
    uint64_t written_bytes;
};

/* Takes medium and a control with limits, uuid, epoch and seed. 0; -ENOMEM; -errno. Free it in any
 * case. */
int salvage_write_start(struct salvage_writer *writer, struct weir_medium *medium,
                        const struct control *control, weir_lsn base_lsn);
void salvage_write_free(struct salvage_writer *writer);

/* Does a record of this payload fit a group at all? */
bool salvage_write_fits(const struct salvage_writer *writer, uint64_t payload_bytes);

void salvage_write_group(struct salvage_writer *writer, uint64_t time_ns);
int salvage_write_record(struct salvage_writer *writer, const struct format_record *record);
int salvage_write_gap(struct salvage_writer *writer, weir_lsn to, uint16_t type);
int salvage_write_end_group(struct salvage_writer *writer);

/* From here to last_lsn in a compacted segment. The LSNs in front of `lsn` were dropped. */
int salvage_write_compacted(struct salvage_writer *writer, weir_lsn last_lsn);
void salvage_write_skip(struct salvage_writer *writer, weir_lsn lsn);
int salvage_write_leave(struct salvage_writer *writer);

/* Everything is durable, then CONTROL. */
int salvage_write_finish(struct salvage_writer *writer);

/* Removes the files that were made, as far as that is possible; also before a start. */
void salvage_write_undo(struct salvage_writer *writer, struct weir_medium *medium);

/* Where the new log goes. Set work, again and options; zero the rest. */
struct salvage_target {
    const char *work, *again; /* "a salvage", "salvage" */
    struct weir_log_options options;
    const char *name;
    struct weir_medium *medium;
    struct weir_file *lock;
    struct salvage_writer writer;
};

/* ---- salvage_target.c ---- */

/* Makes the directory, claims it, and marks it as unfinished. 0; -ENOTEMPTY and other errors of
 * weir_salvage(). Close it in any case. */
int salvage_target_open(struct salvage_target *target, const char *directory,
                        struct weir_error *why);
int salvage_target_finish(struct salvage_target *target); /* now it is a log */
void salvage_target_undo(struct salvage_target *target);
void salvage_target_close(struct salvage_target *target);

/* A custom medium belongs to the call, also when it came to nothing. */
void salvage_drop_unused(const struct weir_log_options *options, const struct weir_medium *used);

/* A finding that costs records, until they are behind the writer. */
struct reason {
    struct weir_finding finding;
    bool used; /* a gap was written for it */
};

struct salvage {
    struct verify verify; /* of the source */
    struct weir_verify_report found;
    const struct weir_salvage_watch *watch;
    struct weir_salvage_report *report;
    struct weir_error *why;
    struct weir_file *source_lock;

    struct salvage_target target;

    struct reason *reasons;
    size_t reason_count, reason_capacity;
    uint64_t told_bytes; /* what progress was told last */
};

/* ---- salvage_gap.c ---- */

/* From verification: what costs records waits for its gap, the rest is told at once. */
int salvage_take_finding(void *context, const struct weir_finding *finding);

/* Why an LSN is not there; NULL: nothing was found that could be pointed at. */
struct reason *salvage_reason_for(struct salvage *salvage, weir_lsn lsn);

/* The reasons that lie in front of `next` are done with. */
int salvage_drop_reasons(struct salvage *salvage, weir_lsn next);

/* Writes [next LSN, to] as one gap into the open group, and tells of it. open_end: it stands for
 * those behind it, too. */
int salvage_gap(struct salvage *salvage, weir_lsn to, struct reason *reason, bool open_end);

/* Writes groups of gaps up to `to`, one gap for each reason. */
int salvage_fill_gap(struct salvage *salvage, weir_lsn to);

/* The same in a compacted segment, where only what a reason names was lost. */
int salvage_fill_lost(struct salvage *salvage, weir_lsn to);

/* ---- salvage_copy.c ---- */

/* Makes the source's CONTROL that of a log of its own: uuid, seed, layout, first ordinal. The epoch
 * is the caller's. */
int salvage_new_identity(struct control *control, uint32_t block_bytes);

/* From verification: a compacted segment begins or ends. */
int salvage_compacted(void *context, const struct segment_header *header, bool leaves);

/* From verification: copies a group, and what is missing in front of it as gaps. */
int salvage_keep_group(void *context, const struct group_header *header, const uint8_t *bytes,
                       bool whole);

/* Behind the last group: gaps up to the last LSN that anything says was durable. */
int salvage_fill_end(struct salvage *salvage);

/* ---- salvage_holds.c ---- */

/* The newest valid slot of a hold. 0; WEIR_E_DAMAGED; WEIR_E_NEWER_FORMAT; -ENOENT and other
 * -errno. */
int salvage_read_hold(struct weir_medium *medium, const char *name, uint32_t uuid_seed,
                      struct weir_hold *ret_hold);

/* Writes it to the new log, clipped to its LSNs. The directory is there. */
int salvage_write_hold(struct salvage_writer *writer, struct weir_hold hold);

/* Copies the holds of the source, clipped to the LSNs of the new log; counts them, and tells of
 * those that are damaged. 0; what the watcher returned; -errno. */
int salvage_copy_holds(struct salvage *salvage);
void salvage_remove_holds(struct weir_medium *medium);

#endif
