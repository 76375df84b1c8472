/* Snapshots: a state of the engine that stays readable, however many writes follow.
 *
 *     weir_snapshot_open(engine, 0, &snapshot);                 // now
 *     struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
 *     options.view = WEIR_VIEW_AS_OF;
 *     options.lsn = weir_snapshot_lsn(snapshot);
 *     weir_read_begin(engine, &options, &read);                 // as often as wanted
 *     ...
 *     weir_snapshot_close(snapshot);
 *
 * A snapshot is an LSN that the horizon of compaction does not pass: nothing is copied, and writers
 * do not notice it. It is gone with its engine; one that has to outlive that is a hold of the log
 * (<weir/retain.h>) at its LSN plus one.
 *
 * Threads: any.
 */
#ifndef WEIR_SNAPSHOT_H
#define WEIR_SNAPSHOT_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_snapshot;

/* Opens a snapshot.
 *
 * @param engine        an open engine
 * @param lsn           the state behind this record; 0 = the newest that is durable and applied
 * @param ret_snapshot  weir_snapshot_close() gives it back, before the engine is closed
 * Returns: 0; WEIR_E_HORIZON (lsn is below the horizon); -EAGAIN (lsn is not durable or not applied
 *   yet); -ENOMEM; WEIR_E_FORKED.
 * Durability: it shows durable records only.
 * Threads: any.
 * Blocks: while a step of compaction is switched to.
 * Allocates: the snapshot.
 */
WEIR_EXPORT int weir_snapshot_open(struct weir_engine *engine, weir_lsn lsn,
                                   struct weir_snapshot **ret_snapshot);

/* The LSN of a snapshot: for weir_read_options.lsn. What follows it begins at the next one.
 *
 * @param snapshot  an open snapshot
 * Returns: the LSN; 0 when nothing had been stored.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT weir_lsn weir_snapshot_lsn(const struct weir_snapshot *snapshot);

/* Gives a snapshot up.
 *
 * @param snapshot  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_snapshot_close(struct weir_snapshot *snapshot);

#ifdef __cplusplus
}
#endif
#endif
