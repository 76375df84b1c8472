/* Looking at a log: its numbers, the check of every byte, and its groups one by one.
 *
 *     struct weir_stat stat = WEIR_STAT_INIT;
 *     weir_log_stat(log, &stat);
 *     printf("%llu records durable\n", (unsigned long long)stat.durable);
 */
#ifndef WEIR_INSPECT_H
#define WEIR_INSPECT_H

#include <weir/finding.h>
#include <weir/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A moment of a log. Watermarks are LSNs: reserved >= published >= durable. Counters count since
 * this handle was opened. */
struct weir_stat {
    size_t size;                               /* sizeof(struct weir_stat) */
    weir_lsn earliest, latest;                 /* retained and durable; 0, 0 when empty */
    weir_lsn reserved, durable;                /* last assigned; last durable */
    weir_lsn horizon;                          /* 0: history is complete */
    uint64_t earliest_time_ns, latest_time_ns; /* 0 when empty */
    uint64_t epoch, layout;
    uint64_t segment_bytes, run_ahead_bytes, group_bytes, record_bytes, block_bytes;
    uint64_t segments, spare_segments;
    uint64_t log_bytes;               /* address range that is retained, padding included */
    uint64_t window_bytes;            /* memory in use for windows, */
    uint64_t mapped_bytes;            /* for mappings of sealed segments, */
    uint64_t heap_bytes;              /* and for the handle and its directories */
    uint64_t run_ahead_used;          /* bytes between durable and reserved */
    uint64_t appends, append_bytes;   /* records and payload */
    uint64_t groups, writes, flushes; /* groups closed; writes submitted; flushes asked for,
                                         a write that flushes counts as both */
    uint64_t device_bytes;            /* bytes handed to the device */
    weir_lsn oldest_reservation;      /* 0: none is open */
    uint64_t oldest_reservation_age_ns;
    uint64_t open_reservations;
    int poisoned;                /* 0, or the -errno that poisoned the log */
    uint64_t compacted_segments; /* of segments: stand for a longer run, without what was dropped */
};

#define WEIR_STAT_INIT WEIR_SIZED_INIT(weir_stat)

/* Reads the numbers of a log.
 *
 * @param log       an open log
 * @param ret_stat  its size member is set by the caller
 * Returns: 0; -EINVAL; WEIR_E_FORKED; -errno (reading a time from a sealed segment).
 * Durability: none.
 * Threads: any.
 * Blocks: briefly on the log's locks; on mapping the segment of the earliest record.
 * Allocates: nothing but what belongs to that mapping.
 */
WEIR_EXPORT int weir_log_stat(struct weir_log *log, struct weir_stat *ret_stat);

/* How many bytes of the log lie behind one LSN up to another: what a reader that is at the one is
 * behind the other. Groups and their padding count; what was truncated does not, of what was
 * compacted what is left. Of the segments at both ends about: within 16 records where the segment
 * is in memory, else as if its records were equally large.
 *
 * @param log        an open log
 * @param from_lsn   counts from behind this record; 0 = from the earliest one
 * @param to_lsn     up to this one, at most the last durable one
 * @param ret_bytes  0 when there is nothing in between
 * Returns: 0; -EINVAL; WEIR_E_FORKED; errors of a reader that follows a writer.
 * Durability: none.
 * Threads: any.
 * Blocks: briefly on the log's locks. Reads nothing.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_log_bytes_between(struct weir_log *log, weir_lsn from_lsn, weir_lsn to_lsn,
                                       uint64_t *ret_bytes);

/* How much room the file system has left, as it tells an ordinary user.
 *
 * @param log             an open log
 * @param ret_free_bytes  what files may still take; quotas are not seen. Spare segments, which
 *                        weir_log_stat() counts, are made already and not among it
 * Returns: 0; -EOPNOTSUPP (the file system or a medium of one's own does not tell); -EINVAL;
 *   WEIR_E_FORKED; -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: hardly: one call of the system.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_log_free_bytes(struct weir_log *log, uint64_t *ret_free_bytes);

/* What verification found in all. */
struct weir_verify_report {
    size_t size;     /* sizeof(struct weir_verify_report) */
    bool ok;         /* no record is lost or damaged, and neither opening nor reading refuses */
    bool open_begin; /* CONTROL is lost, and the first segment that is left begins behind LSN 1:
                        whether records before `earliest` were retained cannot be told */
    weir_lsn earliest, latest;
    uint64_t records, payload_bytes, groups, segments;
    uint64_t gap_lsns; /* LSNs that a salvage wrote gap records for: not among the records */
    uint64_t scanned_bytes;
    uint64_t findings; /* notes included */
    uint64_t notes;
    uint64_t cut_bytes; /* a torn tail that the next writer will drop: not a finding */
    double seconds;
};

#define WEIR_VERIFY_REPORT_INIT WEIR_SIZED_INIT(weir_verify_report)

/* Reads every retained byte of a log from its files and checks it, without changing anything. Works
 * on logs that weir_log_open() refuses: that is what it is for. Damage to holds and state files
 * beside the log is a note: they can be set or made again. The engine's checkpoint is not read:
 * weir_checkpoint_check() does that.
 *
 * @param directory   path of the log's directory
 * @param options     NULL, or which medium and lock_wait to use; WEIR_LOG_READ_ONLY is implied
 * @param fn          NULL, or gets each finding, valid during the call; other than 0 stops
 * @param context     handed to fn
 * @param ret_report  its size member is set by the caller; also filled when findings exist
 * @param ret_error   NULL, or where to put the detail of a failure; its size member is set
 * Returns: 0 (read to the end: see ok); what fn returned; WEIR_E_NOT_A_LOG; WEIR_E_NEWER_FORMAT;
 *   WEIR_E_MEDIUM; WEIR_E_SETTINGS; -EINVAL; -ENOMEM; -ENOENT (no such directory, or nothing of a
 *   log in it, not even what an interrupted creation leaves); -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: on reading the whole log.
 * Allocates: buffers that are freed before it returns.
 */
WEIR_EXPORT int weir_verify(const char *directory, const struct weir_log_options *options,
                            int (*fn)(void *context, const struct weir_finding *finding),
                            void *context, struct weir_verify_report *ret_report,
                            struct weir_error *ret_error);

/* One group as it lies on the medium, for `weir dump`. */
struct weir_group {
    const char *kind; /* "data", "epoch", "witness", "seal" */
    char file[64];
    uint64_t offset, size_bytes; /* in file, padding included */
    uint64_t address;
    weir_lsn first_lsn;
    uint32_t record_count, crc, previous_crc;
    uint64_t epoch, time_ns;
    weir_lsn durable_lsn; /* 0 in a compacted segment */
    weir_lsn last_lsn;    /* first_lsn - 1 when it holds no record */
    bool sparse;          /* in a compacted segment: LSNs may be missing in front of it and in it */
};

/* Calls fn for every valid group from the earliest retained segment to the end.
 *
 * @param log      an open log
 * @param fn       gets each group, valid during the call; other than 0 stops
 * @param context  handed to fn
 * Returns: 0; what fn returned; WEIR_E_DAMAGED; -errno.
 * Durability: what it shows is durable.
 * Threads: any.
 * Blocks: on reading the whole log.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_log_groups(struct weir_log *log,
                                int (*fn)(void *context, const struct weir_group *group),
                                void *context);

/* Tries one medium in a directory and says what it offers, or why it cannot be had.
 *
 * @param directory  an existing directory that can be written
 * @param medium     which one
 * @param io         WEIR_IO_AUTO, or the one to insist on
 * @param ret_info   filled also on WEIR_E_MEDIUM: reason says why
 * Returns: 0; WEIR_E_MEDIUM; WEIR_E_EMULATED; -ENOENT; -errno.
 * Durability: leaves nothing behind.
 * Threads: any.
 * Blocks: on a trial write.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_medium_probe(const char *directory, enum weir_medium_kind medium,
                                  enum weir_io_kind io, struct weir_medium_info *ret_info);

#ifdef __cplusplus
}
#endif
#endif
