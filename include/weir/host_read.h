/* Reading a derived system: when it is new enough, and while it stands still.
 *
 *     weir_host_wait(host, "by_section", lsn, 1000000000, &why);     // 1 s at most
 *     weir_host_read_begin(host, "by_section", &position);
 *     ... ask it ...
 *     weir_host_read_end(host, "by_section");
 *
 * Rows that a system names are read as of the same position by <weir/rows.h>.
 */
#ifndef WEIR_HOST_READ_H
#define WEIR_HOST_READ_H

#include <weir/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_host;

/* Waits until a system has applied everything up to an LSN. Where nobody delivers (neither the
 * thread nor a rebuild), it delivers itself, to all.
 *
 * @param host        an open host
 * @param name        of a system
 * @param lsn         0: is it at a whole position?
 * @param timeout_ns  0 = deliver and look; WEIR_WAIT_FOREVER
 * @param ret_error   NULL, or the detail: text says how far it is, or why it is parked
 * Returns: 0; WEIR_E_BEHIND (timeout); WEIR_E_PARKED; WEIR_E_NO_SYSTEM (also: detached meanwhile);
 *   -EDEADLK; errors of weir_host_flush() and weir_cursor_wait().
 * Durability: as weir_host_flush().
 * Threads: any.
 * Blocks: yes; with push on, other writers' deliveries are waited for, too.
 * Allocates: as weir_host_flush().
 */
WEIR_EXPORT int weir_host_wait(struct weir_host *host, const char *name, weir_lsn lsn,
                               int64_t timeout_ns, struct weir_error *ret_error);

/* Keeps a system's state as it is: as of the position it gives, at which no atomic write is cut.
 * Deliveries to it wait, so be short. Between begin and end every other call of this thread on this
 * host but weir_host_stat() is -EDEADLK, and so is, with push, every write.
 *
 * @param host          an open host
 * @param name          of a system
 * @param ret_position  NULL, or what it is as of
 * Returns: 0, also when it is parked at such a position; WEIR_E_PARKED (it is, inside of an atomic
 *   write or of the state that it begins with); WEIR_E_BEHIND (the state that it
 *   begins with is not delivered to its end); WEIR_E_NO_SYSTEM; -EINVAL; -EDEADLK.
 * Durability: never ahead of what is durable.
 * Threads: any; the same one ends it.
 * Blocks: until a batch is applied, or another reader has ended.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_host_read_begin(struct weir_host *host, const char *name,
                                     weir_lsn *ret_position);

/* Lets a system go on.
 *
 * @param host  an open host
 * @param name  of the system that weir_host_read_begin() was called for
 * Returns: nothing.
 * Durability: none.
 * Threads: the one that began.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_host_read_end(struct weir_host *host, const char *name);

#ifdef __cplusplus
}
#endif
#endif
