/* Reading the log: a cursor lends records in place, in order, without copying.
 *
 *     struct weir_cursor *cursor;
 *     weir_cursor_open(log, NULL, &cursor);                // from the earliest retained record
 *     struct weir_record record;
 *     for (;;) {
 *         int rc = weir_cursor_next(cursor, &record);      // 1 record, 0 caught up, < 0 error
 *         if (rc == 0)
 *             rc = weir_cursor_wait(cursor, 250000000);    // tail: up to 250 ms
 *         ...
 *     }
 *
 * Lifetime: record.data stays valid until the next call on this cursor, or for as long as a pin
 * holds it. Truncation, rolls and recycling never take memory from under a cursor or a pin.
 * Visibility: durable records only, unless options ask for published ones.
 * Verification: each byte is checked against its checksum once, before it is first lent. Damage is
 * refused with its LSNs (weir_cursor_error()); what lies in front of it and behind stays readable:
 * seek to the LSN behind the range, or, when no record is lost, to weir_cursor_position().
 * Gaps: where a log was salvaged, LSNs may be missing. No cursor passes them silently: next() says
 * WEIR_E_GAP with their range until the caller seeks behind it, or, with with_gaps, lends one
 * record flagged WEIR_RECORD_GAP for each of them.
 * A file that somebody cuts short while it is mapped raises SIGBUS where it is read, also in the
 * program, since memory is lent, and the rest of its last page reads as zeros, also in records that
 * were checked before. Weir looks at the size when a cursor enters a segment (WEIR_E_CUT_SHORT) and
 * installs no signal handler.
 * Threads: one thread at a time per cursor; any number of cursors; pins may be dropped anywhere.
 */
#ifndef WEIR_CURSOR_H
#define WEIR_CURSOR_H

#include <weir/log.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_cursor;
struct weir_pin;

enum weir_cursor_from {
    WEIR_FROM_EARLIEST = 0, /* the earliest retained record */
    WEIR_FROM_LSN = 1,      /* options.lsn, inclusive; 0 = earliest; past the end: waits there */
    WEIR_FROM_TIME = 2,     /* the first record whose time is >= options.time_ns */
    WEIR_FROM_LATEST = 3,   /* behind the last visible record: only what comes later */
};

struct weir_cursor_options {
    size_t size; /* sizeof(struct weir_cursor_options) */
    enum weir_cursor_from from;
    bool published;      /* also records that are published and not durable yet */
    bool with_void;      /* also VOID records (cancelled reservations) */
    bool compacted;      /* may stand at or below the horizon, in the compacted view: LSNs are
                            missing there; a compaction that overtakes it is WEIR_E_HORIZON */
    bool with_gaps;      /* lends the gap records of a salvaged log instead of WEIR_E_GAP */
    uint8_t reserved[4]; /* must be 0 */
    weir_lsn lsn;
    uint64_t time_ns;
};

#define WEIR_CURSOR_OPTIONS_INIT WEIR_SIZED_INIT(weir_cursor_options)

/* Opens a cursor.
 *
 * @param log         an open log
 * @param options     NULL for the defaults
 * @param ret_cursor  weir_cursor_close() gives it back, before the log is closed
 * Returns: 0 (also when the record there is damaged: next() says so, with the detail);
 *   WEIR_E_TRUNCATED (lsn below the earliest retained; the log's earliest is in weir_log_stat());
 *   WEIR_E_HORIZON; WEIR_E_DAMAGED, WEIR_E_CUT_SHORT (the place of a time cannot be found);
 *   -EINVAL; -ENOMEM; WEIR_E_FORKED; -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: on mapping a segment.
 * Allocates: the cursor.
 */
WEIR_EXPORT int weir_cursor_open(struct weir_log *log, const struct weir_cursor_options *options,
                                 struct weir_cursor **ret_cursor);

/* Frees a cursor. What it lent is no longer valid unless pinned.
 *
 * @param cursor  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: the cursor's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_cursor_close(struct weir_cursor *cursor);

/* Lends the next record.
 *
 * @param cursor      an open cursor
 * @param ret_record  filled when it returns 1
 * Returns: 1; 0 (caught up); WEIR_E_TRUNCATED, WEIR_E_HORIZON (overtaken by truncation, by
 *   compaction: seek to go on; in the compacted view, to its beginning); WEIR_E_DAMAGED (the
 *   record or its group fails its checksum: see weir_cursor_error()); WEIR_E_GAP (records are
 *   missing in a salvaged log: the same); WEIR_E_CUT_SHORT; WEIR_E_FORKED; -errno.
 * Durability: what it lends is durable, unless the cursor was opened with published.
 * Threads: the cursor's.
 * Blocks: when a sealed segment is touched for the first time.
 * Allocates: nothing, but for a sealed segment that is mapped: a bit for each of its blocks.
 */
WEIR_EXPORT int weir_cursor_next(struct weir_cursor *cursor, struct weir_record *ret_record);

/* Lends up to max records; all of them stay valid until the next call on this cursor.
 *
 * @param cursor       an open cursor
 * @param ret_records  room for max
 * @param max          at least 1; 64 is a good number
 * Returns: how many; 0 (caught up); errors as weir_cursor_next().
 * Durability: as weir_cursor_next().
 * Threads: the cursor's.
 * Blocks: as weir_cursor_next().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_cursor_next_batch(struct weir_cursor *cursor, struct weir_record *ret_records,
                                       int max);

/* Waits until next() would not return 0.
 *
 * @param cursor      an open cursor
 * @param timeout_ns  0 only looks; WEIR_WAIT_FOREVER
 * Returns: 1 (there is something); 0 (timeout); WEIR_E_POISONED (all that is durable was lent, and
 *   nothing will follow); errors as weir_cursor_next().
 * Durability: none.
 * Threads: the cursor's.
 * Blocks: up to timeout_ns.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_cursor_wait(struct weir_cursor *cursor, int64_t timeout_ns);

/* Moves to an LSN, inclusive, in O(log n); 0 = the earliest.
 *
 * @param cursor  an open cursor
 * @param lsn     at most one past the last assigned
 * Returns: 0; WEIR_E_TRUNCATED; WEIR_E_HORIZON; WEIR_E_DAMAGED; WEIR_E_CUT_SHORT; WEIR_E_FORKED;
 *   -errno. The cursor stays where it was on failure.
 * Durability: none.
 * Threads: the cursor's.
 * Blocks: on mapping a segment.
 * Allocates: as weir_cursor_next().
 */
WEIR_EXPORT int weir_cursor_seek(struct weir_cursor *cursor, weir_lsn lsn);

/* Moves to the first record whose time is >= time_ns, in O(log n).
 *
 * @param cursor   an open cursor
 * @param time_ns  nanoseconds since 1970; past the end: behind the last record
 * Returns: as weir_cursor_seek().
 * Durability: none.
 * Threads: the cursor's.
 * Blocks: on mapping a segment.
 * Allocates: as weir_cursor_next().
 */
WEIR_EXPORT int weir_cursor_seek_time(struct weir_cursor *cursor, uint64_t time_ns);

/* The LSN that next() would lend, were it there.
 *
 * @param cursor  an open cursor
 * Returns: the LSN; never 0.
 * Durability: none.
 * Threads: the cursor's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT weir_lsn weir_cursor_position(const struct weir_cursor *cursor);

/* Keeps what the last next() or next_batch() lent valid until the pin is dropped.
 *
 * @param cursor   an open cursor that has lent something
 * @param ret_pin  weir_pin_drop() gives it back, before the log is closed
 * Returns: 0; -EINVAL (nothing is lent); -ENOMEM.
 * Durability: none.
 * Threads: the cursor's.
 * Blocks: never.
 * Allocates: the pin.
 */
WEIR_EXPORT int weir_cursor_pin(struct weir_cursor *cursor, struct weir_pin **ret_pin);

/* Drops a pin.
 *
 * @param pin  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_pin_drop(struct weir_pin *pin);

/* A descriptor that becomes readable when records are visible behind what the cursor has lent.
 * Read 8 bytes from it to clear it, then call next() until it returns 0: only then is it signalled
 * again, when durable moves (also with published: for those that are not durable, use wait()).
 *
 * @param cursor  an open cursor
 * @param ret_fd  owned by the cursor
 * Returns: 0; -ENOTSUP (read-only log beside a writer: use weir_cursor_wait()); -errno.
 * Durability: none.
 * Threads: the cursor's.
 * Blocks: never.
 * Allocates: an eventfd on first use.
 */
WEIR_EXPORT int weir_cursor_eventfd(struct weir_cursor *cursor, int *ret_fd);

/* The detail of the last error on this cursor: which LSNs, file and offset.
 *
 * @param cursor     an open cursor
 * @param ret_error  its size member is set by the caller
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: the cursor's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_cursor_error(const struct weir_cursor *cursor, struct weir_error *ret_error);

/* Splits the LSNs [from, to] into at most n ranges of about equal bytes, for parallel readers.
 *
 * @param log         an open log
 * @param from        first LSN, 0 = earliest
 * @param to          last LSN, 0 = last durable
 * @param n           at least 1
 * @param ret_starts  room for n: the first LSN of each range, ascending; range i ends before i + 1
 * Returns: how many ranges (0 when nothing is retained); WEIR_E_TRUNCATED; -EINVAL; -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: on mapping segments.
 * Allocates: as weir_cursor_next().
 */
WEIR_EXPORT int weir_cursor_split(struct weir_log *log, weir_lsn from, weir_lsn to, int n,
                                  weir_lsn *ret_starts);

#ifdef __cplusplus
}
#endif
#endif
