/* Backup: copies a log, while it is written, to a log of its own.
 *
 *     struct weir_backup_report report = WEIR_BACKUP_REPORT_INIT;
 *     struct weir_error why = WEIR_ERROR_INIT;
 *     rc = weir_backup("orders.log", "/backup/orders.log", NULL, &report, &why);
 *     if (rc == 0)
 *         printf("%llu records, up to %llu\n", (unsigned long long)report.records,
 *                (unsigned long long)report.last);
 *
 * It works beside a live writer in another process (weir_backup() opens the source read-only), and
 * in the writer's own (weir_log_backup()). The copy holds every record from the earliest that was
 * retained to the last that was durable when the backup began, or some more: same LSN, time, type,
 * user word and flags; groups stay groups, so batches stay whole. What was compacted away is not
 * there, and the horizon is that of the source.
 *
 * The copy is another log: a new uuid, the layout number raised, the epoch one more. It is opened,
 * appended to, verified and truncated on its own. What stored a position in the source finds that
 * it does not match. Holds are not copied, since consumers belong to the original, but for the one
 * named "engine", without which a log that holds tables may not be truncated. What is derived from
 * the log (indexes, checkpoints) is not copied: it is rebuilt.
 *
 * Every record is checked on its way. A damaged one ends the backup with WEIR_E_DAMAGED and its
 * LSNs: weir_salvage() copies what is whole of such a log, and says what is not.
 *
 * While it runs, a hold "backup-PID-NUMBER" keeps the source from being truncated or compacted
 * under it; where none can be set (no permission, no room) it goes on without, and fails with
 * WEIR_E_TRUNCATED when it is overtaken. A backup that is killed leaves its hold: `weir hold list`
 * shows it, and since when; drop it.
 *
 * Until the copy is whole its directory has no CONTROL and holds a file SALVAGE: opening refuses
 * it.
 */
#ifndef WEIR_BACKUP_H
#define WEIR_BACKUP_H

#include <weir/log.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_backup_progress {
    uint64_t records, bytes; /* that were copied, */
    weir_lsn lsn;            /* up to here, */
    weir_lsn to;             /* of what was durable when the backup began */
};

struct weir_backup_options {
    size_t size; /* sizeof(struct weir_backup_options) */
    /* NULL, or which medium and lock_wait to open the source with; not for weir_log_backup(). */
    const struct weir_log_options *source;
    /* NULL, or which medium the copy lies on. Sizes are those of the source. */
    const struct weir_log_options *target;
    void *context;
    /* NULL, or called every few MiB; other than 0 ends the backup. */
    int (*progress)(void *context, const struct weir_backup_progress *progress);
};

#define WEIR_BACKUP_OPTIONS_INIT WEIR_SIZED_INIT(weir_backup_options)

struct weir_backup_report {
    size_t size;                     /* sizeof(struct weir_backup_report) */
    weir_lsn first, last;            /* of the copy; 0, 0: it is empty */
    uint64_t records, payload_bytes; /* VOID records included, gaps of a salvaged log not */
    uint64_t gap_lsns;               /* of a salvaged log */
    uint64_t groups;
    uint64_t written_bytes; /* groups and headers, without the zeros behind them */
    bool held;              /* a hold kept the source while it was read */
    bool engine_hold;       /* the hold "engine" was copied */
    uint8_t reserved[6];
    char left_hold[64];             /* a hold that could not be dropped again; "": none */
    uint8_t uuid[16];               /* of the copy */
    struct weir_medium_info medium; /* that it lies on */
    double seconds;
};

#define WEIR_BACKUP_REPORT_INIT WEIR_SIZED_INIT(weir_backup_report)

/* Copies a log to a new one.
 *
 * @param source      path of the log's directory; only holds/ in it is written to
 * @param target      a directory that is empty or absent (its parent must exist)
 * @param options     NULL, or media and who wants to know
 * @param ret_report  its size member is set by the caller; on failure left_hold alone is filled in
 * @param ret_error   NULL, or where to put the detail of a failure; its size member is set
 * Returns: 0; what progress returned; -ENOTEMPTY (target holds something); WEIR_E_DAMAGED,
 *   WEIR_E_CUT_SHORT and the others that weir_log_open() refuses a damaged log with (the detail has
 *   the LSNs: weir_salvage() is for that); WEIR_E_TRUNCATED (see above); WEIR_E_NOT_A_LOG (also
 *   when it never held anything); WEIR_E_NEWER_FORMAT; WEIR_E_MEDIUM; WEIR_E_EMULATED;
 *   WEIR_E_SETTINGS; -EINVAL; -ENOENT; -ENOMEM; -ENOSPC and other -errno of either medium. What was
 *   written is removed again on failure.
 * Durability: the copy is durable when it returns 0.
 * Threads: any.
 * Blocks: on reading and writing the whole log, and on opening it.
 * Allocates: a handle and buffers that are freed before it returns.
 */
WEIR_EXPORT int weir_backup(const char *source, const char *target,
                            const struct weir_backup_options *options,
                            struct weir_backup_report *ret_report, struct weir_error *ret_error);

/* The same from an open log: that of the writer, which goes on, or a reader.
 *
 * @param log         an open log
 * @param target      a directory that is empty or absent (its parent must exist)
 * @param options     NULL, or the medium and who wants to know
 * @param ret_report  its size member is set by the caller; on failure left_hold alone is filled in
 * @param ret_error   NULL, or where to put the detail of a failure; its size member is set
 * Returns: as weir_backup(); WEIR_E_FORKED.
 * Durability: the copy is durable when it returns 0.
 * Threads: any; appends, cursors and truncation go on. weir_log_close() is -EBUSY meanwhile.
 * Blocks: on reading and writing the whole log.
 * Allocates: buffers that are freed before it returns.
 */
WEIR_EXPORT int weir_log_backup(struct weir_log *log, const char *target,
                                const struct weir_backup_options *options,
                                struct weir_backup_report *ret_report,
                                struct weir_error *ret_error);

#ifdef __cplusplus
}
#endif
#endif
