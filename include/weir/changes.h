/* The change stream: what was put and deleted, in the order of the log, each with its before-image.
 *
 *     weir_changes_open(engine, NULL, &changes);             // from the beginning
 *     struct weir_event events[256];
 *     for (;;) {
 *         int count = weir_changes_next(changes, events, 256);   // 0 caught up, < 0 error
 *         if (count == 0)
 *             count = weir_changes_wait(changes, 250000000);     // tail: up to 250 ms
 *         ...
 *     }
 *
 * Writers know nothing of it: a stream reads the log and follows the link in each record to the
 * version before, so nothing is copied. It shows durable records only.
 *
 * Start: at the beginning, now, behind an LSN, or with the state of this moment. Where compaction
 * has left only a state (at and below the horizon H), a stream that starts there gets the state as
 * of H, in order of table and key, as events with `state` set, then what came behind it. Nothing is
 * missed or seen twice between the two, however many writers run.
 *
 * A stream holds nothing in the log while it is idle: compaction may overtake it
 * (WEIR_E_POSITION_LOST). A consumer (<weir/host.h>) has a hold.
 *
 * Lifetime: what an event lends stays valid until the next call on that stream.
 * Threads: one thread at a time per stream; any number of streams.
 */
#ifndef WEIR_CHANGES_H
#define WEIR_CHANGES_H

#include <weir/change.h>
#include <weir/read.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_changes;

/* One change. before is there for WEIR_UPDATE and WEIR_REMOVE, after for WEIR_INSERT and
 * WEIR_UPDATE; the other one is empty. */
struct weir_event {
    weir_lsn lsn;
    uint64_t time_ns; /* of its group */
    weir_table table;
    enum weir_operation operation;
    bool state;          /* a row of the state that the stream begins with: WEIR_INSERT, with
                            the LSN and the time of the row's version */
    weir_lsn before_lsn; /* of the version that before is; 0 without one */
    struct weir_bytes key, before, after;
};

enum weir_changes_from {
    WEIR_CHANGES_BEGINNING = 0, /* all that is retained; what compaction dropped as a state */
    WEIR_CHANGES_NOW = 1,       /* only what becomes durable from now on */
    WEIR_CHANGES_BEHIND = 2,    /* behind options.lsn; below the horizon as from the beginning */
    WEIR_CHANGES_SNAPSHOT = 3,  /* the state as of now, then what comes behind it */
    WEIR_CHANGES_RESUME = 4,    /* behind options.lsn, or WEIR_E_POSITION_LOST: for one who has
                                   the state as of it */
};

#define WEIR_ON_INSERT 1u
#define WEIR_ON_UPDATE 2u
#define WEIR_ON_REMOVE 4u

struct weir_changes_options {
    size_t size; /* sizeof(struct weir_changes_options) */
    enum weir_changes_from from;
    uint32_t operations; /* WEIR_ON_*; 0 = all. Rows of a state are inserts */
    weir_lsn lsn;
    const weir_table *tables; /* only these; copied */
    size_t table_count;       /* 0 = all */
};

#define WEIR_CHANGES_OPTIONS_INIT WEIR_SIZED_INIT(weir_changes_options)

/* Opens a stream. On a read-only log it first brings the engine up to date with the log
 * (weir_engine_refresh()).
 *
 * @param engine       an open engine, which is not closed before the stream
 * @param options      NULL: from the beginning, everything
 * @param ret_changes  weir_changes_close() gives it back
 * Returns: 0; WEIR_E_POSITION_LOST (RESUME: what came behind the position was compacted or
 *   truncated); -EAGAIN (RESUME: nothing behind options.lsn is durable yet, nor is that itself);
 *   -EINVAL (options; a bit that is no operation, a number that no table can have); -ENOMEM; errors
 *   of weir_engine_refresh(), weir_cursor_open() and weir_snapshot_open().
 * Durability: none.
 * Threads: any.
 * Blocks: on mapping a segment; on a read-only log as weir_engine_refresh().
 * Allocates: the stream, about 75 KiB; while it lends a state, 64 KiB more.
 */
WEIR_EXPORT int weir_changes_open(struct weir_engine *engine,
                                  const struct weir_changes_options *options,
                                  struct weir_changes **ret_changes);

/* Closes a stream. What it lent is no longer valid.
 *
 * @param changes  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: the stream's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_changes_close(struct weir_changes *changes);

/* Lends the next events that pass the filters. All of them, and the bytes that they point to, stay
 * valid until the next call of this function or of weir_changes_wait() on this stream.
 *
 * @param changes     an open stream
 * @param ret_events  room for max
 * @param max         at least 1; 256 is a good number, and the most that one call lends from the
 *                    log
 * Returns: how many; 0 (caught up); WEIR_E_POSITION_LOST (compaction or truncation has overtaken
 *   the stream: open another one); WEIR_E_DAMAGED (a record, or the version before it, cannot be
 *   read: weir_changes_error() has the LSN; what lies in front of it was lent, each further call
 *   says it again, and a stream that is opened behind that LSN goes on); WEIR_E_GAP (records are
 *   missing in a salvaged log: the same, behind the last LSN of the gap); WEIR_E_RECORD; -EBUSY (a
 *   read-only log whose writer has compacted it: another section is open, call again); -ENOMEM;
 *   errors of weir_cursor_next() and weir_get().
 * Durability: what it lends is durable.
 * Threads: the stream's.
 * Blocks: on reading what is not in memory; while a read-only engine is built anew.
 * Allocates: the name of a table that is passed for the first time; for rows of a state, a scan.
 */
WEIR_EXPORT int weir_changes_next(struct weir_changes *changes, struct weir_event *ret_events,
                                  int max);

/* Waits until there is something to look at. next() may return 0 all the same: what came passes no
 * filter.
 *
 * @param changes     an open stream
 * @param timeout_ns  0 only looks; WEIR_WAIT_FOREVER
 * Returns: 1; 0 (timeout); WEIR_E_POISONED (all that is durable was lent, and nothing will follow);
 *   WEIR_E_POSITION_LOST; errors of weir_cursor_wait().
 * Durability: none.
 * Threads: the stream's.
 * Blocks: up to timeout_ns.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_changes_wait(struct weir_changes *changes, int64_t timeout_ns);

/* A descriptor for event loops, that becomes readable when there may be something to lend. Read 8
 * bytes from it to clear it, then call next() until it returns 0: only then is it signalled again.
 *
 * @param changes  an open stream
 * @param ret_fd   owned by the stream
 * Returns: 0; -ENOTSUP (read-only log beside a writer: use weir_changes_wait()); -EINVAL; -errno.
 * Durability: none.
 * Threads: the stream's.
 * Blocks: never.
 * Allocates: an eventfd on first use.
 */
WEIR_EXPORT int weir_changes_eventfd(struct weir_changes *changes, int *ret_fd);

/* How far the stream is: everything up to here was lent, or passes no filter. While a state is
 * being lent it is where the stream was to begin, 0 but with BEHIND; behind the state's last row it
 * is that of the state.
 *
 * @param changes  an open stream
 * Returns: the LSN; 0 = before the first record.
 * Durability: it is at most the last durable LSN, but where BEHIND was given a later one.
 * Threads: the stream's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT weir_lsn weir_changes_position(const struct weir_changes *changes);

/* Is no atomic write cut in two at the position, and no state half lent? Then what was built from
 * the events so far is a state that weir_read_begin() can show as of the position. Always so when
 * next() has returned 0, unless the stream waits for an LSN that is not durable yet (BEHIND); else
 * whenever the end of a group of the log was reached. Positions to come
 * back to with RESUME are such ones.
 *
 * @param changes  an open stream
 * Returns: true; false (go on with next()).
 * Durability: none.
 * Threads: the stream's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT bool weir_changes_is_whole(const struct weir_changes *changes);

/* The LSN that the state is as of, with which the stream began: known from the opening on. While
 * rows of it are lent, no compaction of this process passes it: whoever needs the log to be held
 * behind it sets that hold meanwhile.
 *
 * @param changes  an open stream
 * Returns: the LSN; 0 when it began without a state, or on an empty log.
 * Durability: it is durable.
 * Threads: the stream's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT weir_lsn weir_changes_state_lsn(const struct weir_changes *changes);

/* The name of a table that an event has named.
 *
 * @param changes  an open stream
 * @param table    weir_event.table
 * Returns: the name, lent until the stream is closed; "" for the default table; NULL (not known, or
 *   no memory for it).
 * Durability: none.
 * Threads: the stream's.
 * Blocks: never.
 * Allocates: the name, once.
 */
WEIR_EXPORT const char *weir_changes_table_name(struct weir_changes *changes, weir_table table);

/* The detail of the last error of next() or wait(): which LSNs.
 *
 * @param changes    an open stream
 * @param ret_error  its size member is set by the caller
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: the stream's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_changes_error(const struct weir_changes *changes,
                                   struct weir_error *ret_error);

#ifdef __cplusplus
}
#endif
#endif
