/* The log: open, report, close.
 *
 * A log is a directory. One writer at a time has it open; any number of processes read it.
 *
 *     struct weir_log *log;
 *     struct weir_error why = WEIR_ERROR_INIT;
 *     int rc = weir_log_open("orders.log", NULL, &log, &why);
 *     if (rc < 0)
 *         return report(why.text, weir_error_advice(rc));
 *
 *     struct weir_part part = { "hello", 5 };
 *     struct weir_entry entry = { .parts = &part, .part_count = 1 };
 *     weir_lsn lsn;
 *     rc = weir_append(log, &entry, WEIR_EACH, &lsn); // <weir/append.h>: durable when it is 0
 *     weir_log_close(log);
 *
 * Threads: a handle may be used by any number of threads, unless it was opened with
 * WEIR_LOG_SINGLE_THREAD. weir_log_close() must be the last call, with no cursor left open.
 * After fork() the child's copy of a handle answers WEIR_E_FORKED; only closing it is allowed. The
 * child shares the descriptors: should the parent be killed, the log stays locked until the child
 * has closed its copy, called exec, or ended.
 */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <weir/error.h>
#include <weir/medium.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_log;

/* Flags of weir_log_options. */
#define WEIR_LOG_READ_ONLY 1u      /* changes no byte of the log; may run beside a writer */
#define WEIR_LOG_CREATE 2u         /* make the log (and its directory) if it is absent or empty */
#define WEIR_LOG_SINGLE_THREAD 4u  /* the caller promises that one thread uses the handle */
#define WEIR_LOG_SERVICE_THREAD 8u /* a thread that commits, writes witnesses, makes segments */
#define WEIR_LOG_ALLOW_EMULATED_PMEM 16u /* measurements only: nothing survives power loss */

/* When evidence is written that the last group was acknowledged. Until then damage to that group
 * cannot be told from a torn write: docs/DURABILITY.md. */
enum weir_witness {
    WEIR_WITNESS_LAZY = 0,   /* with the next group, commit or close */
    WEIR_WITNESS_IDLE = 1,   /* also after idle_ns without appends; needs the service thread */
    WEIR_WITNESS_STRICT = 2, /* before an append is acknowledged: twice the flushes */
};

enum weir_verify_mode {
    WEIR_VERIFY_TAIL = 0, /* recovery reads the newest segment, or the last two; the rest at
                                first read */
    WEIR_VERIFY_ALL = 1,  /* read and check everything before the open succeeds */
};

#define WEIR_SEGMENT_BYTES_MIN ((uint64_t)64 << 10)
#define WEIR_SEGMENT_BYTES_MAX ((uint64_t)1 << 30)
#define WEIR_GROUP_BYTES_MIN ((uint64_t)16 << 10)
#define WEIR_WAIT_FOREVER ((int64_t)-1)
#define WEIR_NO_WAIT ((int64_t)-2) /* where 0 would mean "default" */

/* Zero everywhere means the default. Sizes marked (fixed) count when the log is created; on an
 * existing log they must be zero or equal, else WEIR_E_SETTINGS.
 *
 * record_bytes <= group_bytes - 96;  group_bytes <= run_ahead_bytes / 4;
 * segment_bytes / 8 <= run_ahead_bytes <= segment_bytes. */
struct weir_log_options {
    size_t size;    /* sizeof(struct weir_log_options) */
    uint32_t flags; /* WEIR_LOG_* */
    enum weir_medium_kind medium;
    enum weir_io_kind io;
    enum weir_witness witness;
    enum weir_verify_mode verify;
    uint32_t reserved;                 /* must be 0 */
    struct weir_medium *custom_medium; /* with WEIR_MEDIUM_CUSTOM; the log takes it over, also
                                          when the open fails */
    uint64_t segment_bytes;            /* (fixed) a power of two; default 64 MiB */
    uint64_t run_ahead_bytes;          /* (fixed) W: how far reserved may run ahead of durable;
                                          default 16 MiB, within those limits */
    uint64_t group_bytes;    /* (fixed) largest group, hence largest batch; default W / 4 */
    uint64_t record_bytes;   /* (fixed) largest payload; default the largest that fits a group */
    uint64_t window_bytes;   /* memory for windows; 3 segments at least, and by default (16 on
                                persistent memory, where they take none); when readers pin more,
                                their segments become mappings of their files */
    uint64_t spare_segments; /* segments kept ready ahead of need; default 1, at least 1 */
    int64_t lock_wait_ns;    /* wait for another writer to go; default 2 s; WEIR_NO_WAIT. Locks that
                                are held for a few calls, as of holds, are waited for a second at
                                least */
    int64_t idle_ns;         /* for WEIR_WITNESS_IDLE; default 10 ms */
};

#define WEIR_LOG_OPTIONS_INIT WEIR_SIZED_INIT(weir_log_options)

/* What opening found and did. Times are seconds, wall clock. */
struct weir_open_report {
    size_t size; /* sizeof(struct weir_open_report) */
    struct weir_medium_info medium;
    uint8_t uuid[16];
    uint64_t epoch; /* of this writer; of the last one when read-only */
    bool created;
    bool clean;                /* the last writer had closed the log */
    bool live_writer;          /* read-only: another process is writing */
    weir_lsn earliest, latest; /* 0, 0 when empty */
    weir_lsn horizon;
    uint64_t cut_bytes;   /* torn tail: bytes that held something and were dropped, */
    uint64_t cut_groups;  /* groups among them that were whole, */
    uint64_t cut_records; /* and their records; none of it was ever reported durable */
    uint64_t scanned_bytes, scanned_records, scanned_segments;
    double lock_s, control_s, scan_s, repair_s, total_s;
};

#define WEIR_OPEN_REPORT_INIT WEIR_SIZED_INIT(weir_open_report)

/* Opens a log; makes it first where that is asked for and nothing is there. Recovery judges the
 * tail by the table in docs/RECOVERY.md, and changes nothing when it refuses.
 *
 * @param directory  path of the log's directory
 * @param options    NULL for the defaults: write, create
 * @param ret_log    the handle; weir_log_close() gives it back
 * @param ret_error  NULL, or where to put the detail of a failure; its size member is set
 * Returns: 0; -ENOENT (no such directory, or nothing in it, and no WEIR_LOG_CREATE; read-only, what
 *   an interrupted creation left, LOCK at least, is an empty log); WEIR_E_NOT_A_LOG;
 *   WEIR_E_NEWER_FORMAT; WEIR_E_CONTROL; WEIR_E_LOST, WEIR_E_HOLE, WEIR_E_ROLLED_BACK,
 *   WEIR_E_DAMAGED, WEIR_E_CUT_SHORT (damage to what had been acknowledged: nothing is changed);
 *   WEIR_E_LOCKED after lock_wait_ns; WEIR_E_MEDIUM, WEIR_E_EMULATED; WEIR_E_SETTINGS;
 *   -EINVAL; -ENOMEM; -ENOSPC (creating) and other -errno of the file system.
 * Durability: what was recovered is durable before the call returns, and so is a new log.
 * Threads: any; different logs may be opened at the same time.
 * Blocks: on disk reads and flushes, and up to lock_wait_ns.
 * Allocates: the handle, windows and directories of LSNs.
 */
WEIR_EXPORT int weir_log_open(const char *directory, const struct weir_log_options *options,
                              struct weir_log **ret_log, struct weir_error *ret_error);

/* Commits what was published, writes the clean mark, and frees the handle (also on failure).
 *
 * @param log  NULL is allowed
 * Returns: 0; -EBUSY with a cursor, a pin or a reservation still open (nothing is done, the
 *   handle stays); WEIR_E_POISONED or -errno: the last group may not be durable.
 * Durability: on 0, everything appended is durable.
 * Threads: no other call on the handle at the same time or later.
 * Blocks: on the last flushes.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_log_close(struct weir_log *log);

/* Gives the report of how the log was opened.
 *
 * @param log         an open log
 * @param ret_report  its size member is set by the caller
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_log_report(const struct weir_log *log, struct weir_open_report *ret_report);

#ifdef __cplusplus
}
#endif
#endif
