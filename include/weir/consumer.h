/* Consumers, as the log knows them: every derived system that was ever attached and not dropped,
 * also those that no process drives now.
 *
 *     weir_consumer_list(log, print, NULL);
 *     weir_consumer_cut(log, report, NULL);         // lets go of those behind their limit
 *     weir_consumer_drop(log, "by_section");
 *
 * Threads: any.
 */
#ifndef WEIR_CONSUMER_H
#define WEIR_CONSUMER_H

#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One consumer, as weir_consumer_list() shows it. Lent during the call. */
struct weir_consumer {
    char name[WEIR_STATE_NAME_MAX + 1];
    char kind[WEIR_STATE_KIND_MAX + 1]; /* "" when nothing says it */
    weir_lsn position;                  /* saved: its state is as of it, its hold is behind it */
    uint64_t lag_records;               /* LSNs behind the position, up to the last durable one */
    uint64_t lag_bytes;                 /* of the log, as weir_log_bytes_between() counts them */
    bool attached;                      /* somebody drives it now */
    bool lost;                          /* cut loose: it has no hold, and may have to be rebuilt */
    int parked;                         /* 0, or why */
    weir_lsn parked_lsn;                /* of the event that it failed at */
    uint64_t max_lag_bytes;             /* 0 = is never cut loose */
    char reason[200];                   /* why it is parked; that its state is not readable; "" */
};

typedef int (*weir_consumer_fn)(void *context, const struct weir_consumer *consumer);

/* Shows all consumers, in order of name. One whose files are damaged, or may not be read, is shown
 * with that as its reason, and with the position that its hold says; never passed over.
 *
 * @param log      an open log (read-only is enough)
 * @param fn       gets each one, valid during the call; other than 0 stops
 * @param context  handed to fn
 * Returns: 0; what fn returned; -EINVAL; WEIR_E_FORKED; -ENOMEM; WEIR_E_DAMAGED (a hold that is
 *   needed instead of a state); -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: on reading a few KiB for each.
 * Allocates: 64 bytes for each; 260 KiB, freed before it returns.
 */
WEIR_EXPORT int weir_consumer_list(struct weir_log *log, weir_consumer_fn fn, void *context);

/* Lets go of each consumer that is further behind than it may be: its hold is dropped, it is marked
 * as lost, and fn hears of it. Attached ones too. What it still needs stays until a compaction or
 * truncation passes it: if it is attached before, or reads on before, it goes on as if nothing had
 * been; else its next resume is WEIR_E_POSITION_LOST.
 *
 * @param log      an open log (read-only is enough)
 * @param fn       NULL, or gets each one that was let go of now; other than 0 stops
 * @param context  handed to fn
 * Returns: as weir_consumer_list(); -ETIMEDOUT as weir_hold_drop().
 * Durability: durable when it returns 0.
 * Threads: any.
 * Blocks: as weir_consumer_list(), and on flushes for each one that is let go of.
 * Allocates: as weir_consumer_list().
 */
WEIR_EXPORT int weir_consumer_cut(struct weir_log *log, weir_consumer_fn fn, void *context);

/* Removes all of a consumer: hold, state, definition, position, and its name.
 *
 * @param log   an open log (read-only is enough)
 * @param name  as listed
 * Returns: 0; -ENOENT; WEIR_E_ATTACHED (somebody drives it); -EINVAL; -ETIMEDOUT; WEIR_E_FORKED;
 *   -errno: some of it may be gone, dropping it again goes on.
 * Durability: durable when it returns 0.
 * Threads: any.
 * Blocks: on flushes.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_consumer_drop(struct weir_log *log, const char *name);

#ifdef __cplusplus
}
#endif
#endif
