/* Salvage: copies what is provably whole of a damaged log to a new one, and says what is not there.
 *
 *     struct weir_salvage_report report = WEIR_SALVAGE_REPORT_INIT;
 *     struct weir_error why = WEIR_ERROR_INIT;
 *     rc = weir_salvage("orders.log", NULL, "mended.log", NULL, NULL, &report, &why);
 *     if (rc == 0 && report.gap_lsns > 0)
 *         printf("%llu records are gone\n", (unsigned long long)report.gap_lsns);
 *
 * It works where weir_log_open() refuses: CONTROL lost, headers damaged, files missing or cut
 * short, holes, a CONTROL that was rolled back, a medium that cannot read. The source is only read.
 *
 * Every record keeps its LSN, time, type, user word and flags, and groups stay groups. For each LSN
 * that is not there and may have been acknowledged the new log holds a gap record
 * (WEIR_RECORD_GAP), so LSNs stay dense, no cursor passes it silently, and appends go on behind the
 * last LSN that anything says was durable. A torn tail that nothing witnesses is cut, as opening
 * cuts it, and is no gap.
 *
 * The new log is another log: a new uuid, the layout number raised, an epoch above those that
 * CONTROL and the headers name. What stored a position in the source finds that it does not match,
 * and has to decide. Sizes are those of the source; where CONTROL is lost, the largest that it can
 * have had.
 *
 * Holds are copied, and each is named (watch->hold): what somebody has not seen yet must not be
 * dropped unnoticed. What is derived is not copied, so the hold of a consumer keeps its records in
 * the new log until somebody makes that consumer again, or drops the hold for good: both begin with
 * weir_hold_drop().
 */
#ifndef WEIR_SALVAGE_H
#define WEIR_SALVAGE_H

#include <weir/finding.h>
#include <weir/log.h>
#include <weir/retain.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A hold of the source, and what became of it. */
struct weir_salvage_hold {
    char name[WEIR_HOLD_NAME_MAX + 1];
    bool kept;      /* it was copied; else its file is damaged, which is a note, too */
    bool consumer;  /* of a consumer: its state and definition are beside the source alone */
    weir_lsn floor; /* in the new log; 0 when it was not copied */
};

/* What a salvage tells while it runs. Each may be NULL; other than 0 ends it. */
struct weir_salvage_watch {
    void *context;
    /* A range of LSNs that the new log has a gap for, in order (note: false); or what was met and
     * costs no record (note: true). */
    int (*finding)(void *context, const struct weir_finding *finding);
    /* Every few MiB: how much of the source was read, and the last LSN that was copied. */
    int (*progress)(void *context, uint64_t read_bytes, weir_lsn lsn);
    /* Each hold of the source, in no order, when the records are copied. */
    int (*hold)(void *context, const struct weir_salvage_hold *hold);
};

struct weir_salvage_report {
    size_t size;                 /* sizeof(struct weir_salvage_report) */
    weir_lsn kept_from, kept_to; /* first and last LSN of the new log, gaps included; 0, 0: none */
    uint64_t records, payload_bytes; /* that were copied */
    uint64_t gaps, gap_lsns;         /* ranges that were lost, and LSNs in them */
    bool open_end; /* how many records behind kept_to were acknowledged cannot be told any more: the
                      last gap stands for "this one and those behind it" */
    bool open_begin; /* CONTROL is lost, and the first segment that is left begins behind LSN 1:
                        whether records before kept_from were retained cannot be told */
    uint64_t notes;
    uint64_t cut_bytes;                 /* a torn tail that was never acknowledged */
    uint64_t read_bytes, written_bytes; /* written: groups and headers, without the zeros */
    uint64_t holds;                     /* that were copied, */
    uint64_t holds_of_consumers;        /* those of consumers among them, */
    uint64_t holds_lost;                /* and those whose file is damaged */
    uint8_t uuid[16];                   /* of the new log */
    double seconds;
};

#define WEIR_SALVAGE_REPORT_INIT WEIR_SIZED_INIT(weir_salvage_report)

/* Copies what is whole of a log to a new one.
 *
 * @param source               path of the log's directory; not one byte of it is changed
 * @param source_options       NULL, or which medium and lock_wait to use
 * @param destination          a directory that is empty or absent (its parent must exist)
 * @param destination_options  NULL, or which medium to use; sizes are those of the source
 * @param watch                NULL, or who wants to know
 * @param ret_report           its size member is set by the caller
 * @param ret_error            NULL, or where to put the detail of a failure
 * Returns: 0 (the copy is made; gap_lsns says whether anything was missing); what watch returned;
 *   -ENOTEMPTY (destination holds something); -EINVAL; WEIR_E_LOCKED (a writer has the source
 *   open); WEIR_E_NOT_A_LOG (nothing of it says what the log was, or it never held anything);
 *   WEIR_E_NEWER_FORMAT; WEIR_E_MEDIUM; WEIR_E_EMULATED; WEIR_E_SETTINGS; -ENOENT; -ENOMEM; -ENOSPC
 *   and other -errno of either medium. What was written is removed again on failure; were that to
 *   fail, too, or the program to die, destination has no CONTROL and holds a file SALVAGE, and
 *   opening refuses it.
 * Durability: the new log is durable when it returns 0.
 * Threads: any.
 * Blocks: on reading and writing the whole log, and up to lock_wait on writes of a killed process.
 * Allocates: buffers that are freed before it returns.
 */
WEIR_EXPORT int weir_salvage(const char *source, const struct weir_log_options *source_options,
                             const char *destination,
                             const struct weir_log_options *destination_options,
                             const struct weir_salvage_watch *watch,
                             struct weir_salvage_report *ret_report, struct weir_error *ret_error);

#ifdef __cplusplus
}
#endif
#endif
