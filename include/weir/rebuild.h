/* Rebuilding a derived system from the log, and proving that one can.
 *
 *     struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
 *     weir_host_verify(host, "by_section", fresh, print, NULL, &report, &why);
 *     if (!report.equal)
 *         weir_host_rebuild(host, "by_section", NULL, NULL, NULL, &why);
 */
#ifndef WEIR_REBUILD_H
#define WEIR_REBUILD_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_host;

struct weir_rebuild_report {
    size_t size; /* sizeof(struct weir_rebuild_report) */
    uint64_t events;
    weir_lsn position;
    double seconds;
};

#define WEIR_REBUILD_REPORT_INIT WEIR_SIZED_INIT(weir_rebuild_report)

/* Empties a system, gives it again what it began with and all that followed, up to the end of the
 * log as it is now, and saves it. The others go on. What was saved is removed first, so that a
 * crash does not bring it back. A system without a state of its own gets all events again.
 *
 * @param host              an open host
 * @param name              of a system, parked or not
 * @param progress          NULL, or told how far it is, in bytes of the log
 * @param progress_context  handed to progress
 * @param ret_report        NULL, or what it took; its size member is set
 * @param ret_error         NULL, or the detail
 * Returns: 0; WEIR_E_POSITION_LOST (it began behind an LSN that compaction has passed, so nobody
 *   can give it the same events again: nothing has changed); WEIR_E_PARKED (it refused an event);
 *   -ECANCELED (progress said so, or it is being detached: what is left comes with the next
 *   delivery); -EBUSY (it is being rebuilt or attached); WEIR_E_NO_SYSTEM; -EINVAL; -EDEADLK;
 *   errors of weir_changes_open(), weir_changes_next(), weir_hold_set(), and of saving.
 * Durability: on 0, the new state is saved.
 * Threads: any.
 * Blocks: on reading the log and on the system; whoever reads the system meanwhile sees it grow.
 * Allocates: about 100 KiB, and what the system does.
 */
WEIR_EXPORT int weir_host_rebuild(struct weir_host *host, const char *name,
                                  weir_progress_fn progress, void *progress_context,
                                  struct weir_rebuild_report *ret_report,
                                  struct weir_error *ret_error);

struct weir_host_verify_report {
    size_t size; /* sizeof(struct weir_host_verify_report) */
    bool equal;
    uint8_t live[16], rebuilt[16]; /* fingerprints */
    weir_lsn position;             /* that both are as of */
    uint64_t events, differing;    /* applied to the fresh one; entries */
    double seconds;
};

#define WEIR_HOST_VERIFY_REPORT_INIT WEIR_SIZED_INIT(weir_host_verify_report)

enum weir_difference_kind {
    WEIR_DIFFERENCE_MISSING = 1, /* in the rebuilt state only */
    WEIR_DIFFERENCE_EXTRA = 2,   /* in the live state only */
    WEIR_DIFFERENCE_OTHER = 3,   /* in both, with other contents */
};

struct weir_difference {
    enum weir_difference_kind kind;
    struct weir_bytes text; /* as the system's entries name it */
    weir_lsn lsn;           /* the last that touched it; 0 = not known */
};

/* Other than 0: no more of them, please; they are counted all the same. */
typedef int (*weir_difference_fn)(void *context, const struct weir_difference *difference);

/* Rebuilds another self up to where the live one is, and compares their fingerprints; where those
 * differ, and the system can name its entries, each entry. The live one changes in nothing. A
 * difference is no error: see ret_report. Events that were skipped are not skipped here.
 *
 * @param host        an open host
 * @param name        of a system with a state of its own
 * @param fresh       another self, made like the live one; emptied first; freed by the caller
 * @param fn          NULL, or gets each difference, in order of text, valid during the call
 * @param context     handed to fn
 * @param ret_report  NULL, or what was found; its size member is set
 * @param ret_error   NULL, or the detail
 * Returns: 0; WEIR_E_POSITION_LOST (compaction has passed what it began behind, or where it is);
 *   WEIR_E_PARKED, WEIR_E_BEHIND as weir_host_read_begin(); the error of apply (WEIR_E_PARKED for
 *   one that is positive); -EBUSY (it is being rebuilt); -EOPNOTSUPP (it has no state);
 *   WEIR_E_NO_SYSTEM; -EINVAL; -EDEADLK;
 *   errors of weir_changes_open(), weir_changes_next(); -ENOMEM.
 * Durability: none.
 * Threads: any.
 * Blocks: on reading the log and on apply; the live one stands still for the end of it.
 * Allocates: the entries of both, when they differ; freed before it returns.
 */
WEIR_EXPORT int weir_host_verify(struct weir_host *host, const char *name, void *fresh,
                                 weir_difference_fn fn, void *context,
                                 struct weir_host_verify_report *ret_report,
                                 struct weir_error *ret_error);

#ifdef __cplusplus
}
#endif
#endif
