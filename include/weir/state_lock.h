/* Names of derived systems, and who feeds them: one handle of one process at a time.
 *
 *     rc = weir_state_lock(log, "by_section", &lock);     // WEIR_E_ATTACHED: somebody does
 *     ...                                                 // <weir/state.h>
 *     weir_state_unlock(lock);
 *
 * The lock is that of a file, LOG/derived/NAME/lock: it works between processes, between two
 * handles of one process, and goes when the process dies.
 *
 * Threads: any.
 */
#ifndef WEIR_STATE_LOCK_H
#define WEIR_STATE_LOCK_H

#include <weir/error.h>
#include <weir/log.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_state_lock;

#define WEIR_STATE_NAME_MAX 63 /* letters, digits, '_', '-', '.', not starting with '.' */
#define WEIR_STATE_KIND_MAX 31

/* Takes the lock of a name, making its directory where there is none. Does not wait for another
 * holder. What the files of the name show from here on is durable.
 *
 * @param log       an open log (read-only is enough)
 * @param name      see WEIR_STATE_NAME_MAX; "engine" is taken
 * @param ret_lock  weir_state_unlock() gives it back
 * Returns: 0; WEIR_E_ATTACHED (somebody has it, perhaps another handle of this process); -EINVAL;
 *   WEIR_E_NOT_A_LOG (it was not made yet); -ETIMEDOUT (somebody removes a name for longer than
 *   lock_wait); WEIR_E_FORKED; -ENOMEM; -EACCES and other -errno.
 * Durability: flushes the directory of the name.
 * Threads: any.
 * Blocks: on a flush.
 * Allocates: the lock.
 */
WEIR_EXPORT int weir_state_lock(struct weir_log *log, const char *name,
                                struct weir_state_lock **ret_lock);

/* Gives a lock back.
 *
 * @param lock  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_state_unlock(struct weir_state_lock *lock);

/* Does somebody have the lock of a name?
 *
 * @param log   an open log
 * @param name  see WEIR_STATE_NAME_MAX
 * Returns: 1; 0, also when there is no such name; -EINVAL; WEIR_E_FORKED; -EACCES and other -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_state_is_locked(struct weir_log *log, const char *name);

#ifdef __cplusplus
}
#endif
#endif
