/* Keeping an engine in shape: checkpoint, compaction, rebuild, fingerprint, space, statistics.
 *
 *     weir_engine_maintain(engine, &why);           // now and then, from a thread that may wait
 *     weir_engine_checkpoint(engine, &report, &why);
 *     weir_engine_compact(engine, NULL, &compaction, &why);
 *
 * A checkpoint (LOG/derived/engine/checkpoint) is the index as of an LSN, so that the next open
 * replays only what came later. It is derived data: deleting or damaging it costs time, never data.
 *
 * Compaction drops what no reachable state needs: of the puts and deletes at or below the horizon H
 * one version for each live key stays, with its LSN; records of other types stay. H never passes a
 * hold, a snapshot, or what is not durable. Afterwards reads as of an LSN below H are refused.
 *
 * Threads: any. One checkpoint and one compaction at a time: a second one waits.
 */
#ifndef WEIR_MAINTAIN_H
#define WEIR_MAINTAIN_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_checkpoint_report {
    size_t size;    /* sizeof(struct weir_checkpoint_report) */
    weir_lsn lsn;   /* P: an open replays from behind it */
    weir_lsn until; /* Q: nothing newer is inside */
    uint64_t keys, bytes;
    double build_s, write_s, total_s;
};

#define WEIR_CHECKPOINT_REPORT_INIT WEIR_SIZED_INIT(weir_checkpoint_report)

/* Writes a checkpoint and puts it in place of the last one. Writers go on.
 *
 * @param engine      an engine of a log that is open for writing
 * @param ret_report  NULL, or what was written; its size member is set
 * @param ret_error   NULL, or the detail
 * Returns: 0; WEIR_E_READ_ONLY; WEIR_E_POISONED; WEIR_E_DAMAGED (a key cannot be read); -ENOSPC,
 *   -ENOMEM, -errno: the last checkpoint stays; WEIR_E_FORKED.
 * Durability: durable when it returns 0; never names what is not.
 * Threads: any.
 * Blocks: on walking the index, on writing 10 to 40 bytes for each key, and on flushes.
 * Allocates: as much as the checkpoint is long, until it returns.
 */
WEIR_EXPORT int weir_engine_checkpoint(struct weir_engine *engine,
                                       struct weir_checkpoint_report *ret_report,
                                       struct weir_error *ret_error);

/* Reads the checkpoint beside a log, as a verification does, and checks it against its checksums.
 * Whether it fits the log is not asked: opening the engine does that.
 *
 * @param log        an open log (read-only is enough)
 * @param ret_error  NULL, or the detail; its size member is set
 * Returns: 1 (it is whole); 0 (there is none); WEIR_E_STATE (damaged, or of another version of Weir
 *   or kind of machine: the log is replayed instead); -EINVAL; WEIR_E_FORKED; errors of a reader
 *   that follows a writer; -ENOMEM; -errno.
 * Durability: none; changes nothing.
 * Threads: any.
 * Blocks: on reading all of it.
 * Allocates: a MiB, and the table of its checksums, until it returns.
 */
WEIR_EXPORT int weir_checkpoint_check(struct weir_log *log, struct weir_error *ret_error);

struct weir_compact_options {
    size_t size;      /* sizeof(struct weir_compact_options) */
    weir_lsn horizon; /* highest H that is wanted; 0 = as far as holds and snapshots allow */
    uint64_t bytes_per_second; /* throttle for what is read and written; 0 = none */
    uint64_t max_steps;        /* stop after so many; 0 = until nothing is left to gain */
    bool thorough;       /* also rewrite segments that free no file: nothing that may go stays */
    uint8_t reserved[7]; /* must be 0 */
    weir_progress_fn progress;
    void *progress_context;
};

#define WEIR_COMPACT_OPTIONS_INIT WEIR_SIZED_INIT(weir_compact_options)

/* What weir_compact_report.limited_by says when it was no hold: no hold has such a name. */
#define WEIR_LIMITED_BY_SNAPSHOT "(snapshot)"
#define WEIR_LIMITED_BY_OPTIONS "(options)"

struct weir_compact_report {
    size_t size;      /* sizeof(struct weir_compact_report) */
    weir_lsn horizon; /* H, afterwards */
    /* Name of the hold that kept H there, or WEIR_LIMITED_BY_*; "" = what is durable. */
    char limited_by[64];
    uint64_t bytes_before, bytes_after; /* of segments */
    uint64_t records_dropped, records_kept;
    uint64_t segments_before, segments_after;
    uint64_t keys_dropped; /* deleted keys that left the index */
    uint64_t steps;
    double total_s;
};

#define WEIR_COMPACT_REPORT_INIT WEIR_SIZED_INIT(weir_compact_report)

/* Compacts the log, step by step, while writers and readers go on.
 *
 * @param engine      an engine of a log that is open for writing
 * @param options     NULL for the defaults
 * @param ret_report  NULL, or what was done, also on failure; its size member is set
 * @param ret_error   NULL, or the detail
 * Returns: 0 (also when nothing was to be gained, or when the checkpoint could not be renewed
 *   afterwards: see weir_engine_status.checkpoint_lsn); WEIR_E_READ_ONLY; WEIR_E_POISONED;
 *   WEIR_E_DAMAGED; WEIR_E_HELD (a hold was set meanwhile); -ECANCELED (progress said so: the steps
 *   that were done stay); -EINVAL; -ENOSPC; -ENOMEM; -errno; WEIR_E_FORKED.
 * Durability: each step has happened or has not.
 * Threads: any.
 * Blocks: on reading and writing what is compacted, and on flushes.
 * Allocates: 16 bytes for each record of one segment at a time.
 */
WEIR_EXPORT int weir_engine_compact(struct weir_engine *engine,
                                    const struct weir_compact_options *options,
                                    struct weir_compact_report *ret_report,
                                    struct weir_error *ret_error);

/* Does what is due: frees memory that no reader can see any more, makes a checkpoint by
 * weir_engine_options.checkpoint_bytes.
 *
 * @param engine     an open engine
 * @param ret_error  NULL, or the detail
 * Returns: 0; errors of weir_engine_checkpoint().
 * Durability: as weir_engine_checkpoint().
 * Threads: any.
 * Blocks: as weir_engine_checkpoint(), when one is due.
 * Allocates: as weir_engine_checkpoint().
 */
WEIR_EXPORT int weir_engine_maintain(struct weir_engine *engine, struct weir_error *ret_error);

/* Brings the engine of a read-only log up to date with what its writer has made durable since.
 *
 * @param engine     an open engine
 * @param ret_lsn    NULL, or what is applied now
 * @param ret_error  NULL, or the detail
 * Returns: 0; -EBUSY (the writer has compacted the log, and a read section stays open: end it and
 *   try again; until then reads may say WEIR_E_TRUNCATED); errors of weir_engine_open(), after
 *   which sections say the same until it succeeds.
 * Durability: it applies durable records only.
 * Threads: any.
 * Blocks: on reading the log.
 * Allocates: nodes of the index.
 */
WEIR_EXPORT int weir_engine_refresh(struct weir_engine *engine, weir_lsn *ret_lsn,
                                    struct weir_error *ret_error);

/* The state in 16 bytes: equal for equal live keys (table, key, version LSN, value), whatever the
 * order in which they came and whatever was compacted.
 *
 * @param engine           an open engine
 * @param lsn              the state behind this record; 0 = the newest that is durable and applied
 * @param ret_fingerprint  a sum of hashes (XXH3, 128 bits), one for each live key
 * @param ret_keys         NULL, or how many live keys there are
 * Returns: 0; errors of weir_snapshot_open() and weir_scan_next().
 * Durability: none.
 * Threads: any.
 * Blocks: on reading every live record.
 * Allocates: a snapshot and a scan.
 */
WEIR_EXPORT int weir_engine_fingerprint(struct weir_engine *engine, weir_lsn lsn,
                                        uint8_t ret_fingerprint[16], uint64_t *ret_keys);

/* How much room is left for the log, against the watermarks of weir_engine_options: what is free in
 * the file system, and in segments that were made ahead of need.
 *
 * Deletes are refused below half of stop_free_bytes only: they are what compaction turns into room.
 * Compaction, truncation, reads and closing always go on. Writes go on by themselves once there is
 * room again. weir_append() of one's own records is not watched. */
enum weir_space {
    WEIR_SPACE_OK = 0,
    WEIR_SPACE_WARN = 1, /* below warn_free_bytes */
    WEIR_SPACE_SLOW = 2, /* below slow_free_bytes: each write waits a little, the more the less room
                            is left: up to 20 ms, with no lock held */
    WEIR_SPACE_STOP = 3, /* what would leave less than stop_free_bytes is refused with
                            WEIR_E_DISK_LOW, before anything is appended */
};

struct weir_engine_status {
    size_t size; /* sizeof(struct weir_engine_status) */
    weir_lsn applied, durable, horizon;
    uint64_t keys, deleted_keys, tables;
    uint64_t index_bytes, index_free_bytes; /* in use; kept for reuse */
    uint64_t retired_bytes;                 /* waits for read sections to end */
    uint64_t read_sections;                 /* open now */
    uint64_t oldest_read_ns;                /* age of the oldest one */
    uint64_t snapshots;
    weir_lsn oldest_snapshot;        /* 0 = none */
    weir_lsn checkpoint_lsn;         /* P of the last checkpoint; 0 = none */
    uint64_t since_checkpoint_bytes; /* of the log */
    uint64_t free_bytes;             /* see enum weir_space; UINT64_MAX: not known */
    enum weir_space space;
    uint32_t reserved;
    uint64_t shortcut_bytes; /* address space of shortcuts; memory, where gets have made some */
};

#define WEIR_ENGINE_STATUS_INIT WEIR_SIZED_INIT(weir_engine_status)

/* How the engine is.
 *
 * @param engine    an open engine
 * @param ret_status  its size member is set by the caller
 * Returns: 0; -EINVAL; WEIR_E_FORKED.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_engine_stat(struct weir_engine *engine, struct weir_engine_status *ret_status);

#ifdef __cplusplus
}
#endif
#endif
