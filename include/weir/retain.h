/* Retention: truncation, and the holds that keep it off.
 *
 * A hold is a named, durable LSN floor. Whoever still needs old records (a consumer, a snapshot, a
 * backup) sets one; truncation refuses to pass it and names it.
 *
 *     weir_hold_set(log, "billing", 1000);            // keeps 1000 and everything behind it
 *     weir_hold_move(log, "billing", 2000);           // later, as the consumer gets on
 *     rc = weir_truncate_before(log, 2500, &why);     // WEIR_E_HELD, why.text names "billing"
 *     rc = weir_truncate_before(log, 2000, &why);     // 0
 *
 * Holds are files (LOG/holds/NAME), each with its own lock: a read-only process can set and move
 * them beside a live writer. Setting or lowering one and truncating exclude each other.
 *
 * Threads: any, except with WEIR_LOG_SINGLE_THREAD.
 */
#ifndef WEIR_RETAIN_H
#define WEIR_RETAIN_H

#include <weir/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The storage engine's: it may be set where there is none, and lowered, and nothing else. */
#define WEIR_HOLD_ENGINE "engine"

#define WEIR_HOLD_NAME_MAX 63 /* letters, digits, '_', '-', '.', not starting with '.' */

struct weir_hold {
    char name[WEIR_HOLD_NAME_MAX + 1];
    weir_lsn floor;    /* this LSN and all behind it are kept */
    uint64_t moved_ns; /* when it was last set or moved */
};

/* Creates a hold, or sets an existing one, also to a lower floor.
 *
 * @param log    an open log (read-only is enough)
 * @param name   see WEIR_HOLD_NAME_MAX
 * @param floor  at least the earliest retained LSN, at most the last durable one plus one
 * Returns: 0; WEIR_E_TRUNCATED (floor is already gone); WEIR_E_ENGINES_HOLD; WEIR_E_NOT_A_LOG (it
 *   was not made yet: nothing is left there); -EINVAL; WEIR_E_FORKED; -ETIMEDOUT (somebody else
 *   sets a hold or truncates for longer than lock_wait); -ENOSPC, -EACCES and other -errno.
 * Durability: durable when it returns 0.
 * Threads: any.
 * Blocks: on a flush, and while another process truncates.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_hold_set(struct weir_log *log, const char *name, weir_lsn floor);

/* Moves a hold forward.
 *
 * @param log    an open log (read-only is enough)
 * @param name   an existing hold
 * @param floor  at least its floor now, at most the last durable LSN plus one
 * Returns: 0; WEIR_E_NO_HOLD; WEIR_E_ENGINES_HOLD; -EINVAL (it would go back: weir_hold_set());
 *   WEIR_E_DAMAGED (set it again); WEIR_E_FORKED; -ETIMEDOUT; -errno.
 * Durability: durable when it returns 0.
 * Threads: any.
 * Blocks: on a flush.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_hold_move(struct weir_log *log, const char *name, weir_lsn floor);

/* Removes a hold.
 *
 * @param log   an open log (read-only is enough)
 * @param name  an existing hold
 * Returns: 0; WEIR_E_NO_HOLD; WEIR_E_ENGINES_HOLD; WEIR_E_NOT_A_LOG (see weir_hold_set()); -EINVAL;
 *   WEIR_E_FORKED; -ETIMEDOUT; -errno.
 * Durability: durable when it returns 0.
 * Threads: any.
 * Blocks: on a flush of the directory.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_hold_drop(struct weir_log *log, const char *name);

/* Calls fn for every hold, in order of name, until it returns other than 0.
 *
 * @param log      an open log
 * @param fn       gets the context and a hold, valid during the call
 * @param context  handed to fn
 * Returns: 0, or what fn returned; WEIR_E_DAMAGED (a hold's file fails its checksum); -EINVAL;
 *   WEIR_E_FORKED; -ENOMEM; -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: on reads.
 * Allocates: a list that is freed before it returns.
 */
WEIR_EXPORT int weir_hold_list(struct weir_log *log,
                               int (*fn)(void *context, const struct weir_hold *hold),
                               void *context);

/* Drops all records below lsn. Whole segments among them are recycled or removed.
 *
 * @param log        a log open for writing
 * @param lsn        the new earliest record; last durable LSN plus one empties the log
 * @param ret_error  NULL, or the detail: text names the hold that refused
 * Returns: 0 (also when nothing is left to drop); WEIR_E_HELD; -EINVAL (lsn is beyond the last
 *   durable one plus one); WEIR_E_DAMAGED (a hold's file); WEIR_E_POISONED; WEIR_E_READ_ONLY;
 *   WEIR_E_FORKED; -errno.
 * Durability: durable when it returns 0; after a crash before that it has happened or it has not.
 * Threads: any; appends and cursors go on.
 * Blocks: on flushes.
 * Allocates: a list that is freed before it returns.
 */
WEIR_EXPORT int weir_truncate_before(struct weir_log *log, weir_lsn lsn,
                                     struct weir_error *ret_error);

#ifdef __cplusplus
}
#endif
#endif
