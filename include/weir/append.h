/* Writing to the log: append, batch, reserve; wait, commit; event loops.
 *
 * A record's life:  reserved >= published >= written >= durable >= truncated
 *
 * Blocking, from any number of threads (their records share flushes):
 *
 *     rc = weir_append(log, &entry, WEIR_EACH, &lsn);     // durable when it returns 0
 *
 * Many outstanding from one thread:
 *
 *     weir_append(log, &entry, WEIR_GROUP, &lsn);         // returns at once, commits gather
 *     ...
 *     weir_wait(log, lsn, WEIR_WAIT_FOREVER);             // or weir_process() in an event loop
 *
 * In place, without a copy:
 *
 *     struct weir_reservation r;
 *     weir_reserve(log, type, size, &r);                  // r.data points into the window
 *     encode(r.data, size);
 *     weir_publish(log, &r, WEIR_EACH);                   // or weir_cancel(log, &r)
 *
 * A failed write or flush poisons the log: this and every later append and wait answer
 * WEIR_E_POISONED, readers keep what is durable; close and open again to go on.
 *
 * Threads: any, except with WEIR_LOG_SINGLE_THREAD. Every call answers WEIR_E_FORKED in a child of
 * fork() and WEIR_E_READ_ONLY on a read-only handle.
 */
#ifndef WEIR_APPEND_H
#define WEIR_APPEND_H

#include <weir/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room in the open group, to be filled by the caller. Treat all members but data as opaque. */
struct weir_reservation {
    void *data; /* size bytes, writable until publish or cancel; contents undefined */
    uint32_t size;
    uint32_t slot;
    weir_lsn lsn;
};

/* Appends one record.
 *
 * @param log         an open log
 * @param entry       payload of 0 bytes to the log's record limit; copied before the call returns
 * @param durability  what is to be achieved before it returns
 * @param ret_lsn     NULL, or the record's LSN
 * Returns: 0; WEIR_E_TOO_BIG; -EINVAL; -ENOSPC (no room for a further segment: nothing was
 *   appended, the log stays usable); -EDEADLK (WEIR_EACH, or room was needed, while this thread
 *   holds a reservation; or it is inside a callback that this log feeds); WEIR_E_POISONED;
 *   WEIR_E_READ_ONLY; WEIR_E_FORKED.
 * Durability: see enum weir_durability; a later WEIR_EACH covers everything before it.
 * Threads: any.
 * Blocks: WEIR_EACH on a flush; the others only when W is used up or a segment must be made (with
 *   io = sync and on pmem also on the write that they start).
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_append(struct weir_log *log, const struct weir_entry *entry,
                            enum weir_durability durability, weir_lsn *ret_lsn);

/* Appends count records, all or nothing at every crash, with consecutive LSNs.
 *
 * @param log            an open log
 * @param entries        the records, in order
 * @param count          1 to 2^20; the batch as a whole must fit the log's group limit
 * @param durability     as for weir_append()
 * @param ret_first_lsn  NULL, or the LSN of entries[0]
 * Returns: as weir_append(); WEIR_E_TOO_BIG before anything is written.
 * Durability: as weir_append(); cursors never see a part of the batch.
 * Threads: any.
 * Blocks: as weir_append().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_append_batch(struct weir_log *log, const struct weir_entry *entries,
                                  size_t count, enum weir_durability durability,
                                  weir_lsn *ret_first_lsn);

/* Reserves room for one record. No later record becomes durable before this one is published or
 * cancelled: keep it short. At most 64 may be open at a time.
 *
 * @param log              an open log
 * @param type             tag of the record
 * @param size             payload bytes, 0 to the record limit
 * @param ret_reservation  where to write, and its LSN
 * Returns: 0; WEIR_E_BUSY; otherwise as weir_append().
 * Durability: none yet.
 * Threads: any; publish or cancel from any thread.
 * Blocks: when W is used up or a segment must be made.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_reserve(struct weir_log *log, uint16_t type, size_t size,
                             struct weir_reservation *ret_reservation);

/* Publishes a reservation: its bytes are checksummed and become the record.
 *
 * @param log          the log it came from
 * @param reservation  from weir_reserve(); invalid afterwards, also on failure
 * @param durability   as for weir_append()
 * Returns: 0; -EINVAL (not open); otherwise as weir_append(): the record is published all the same.
 * Durability: as weir_append().
 * Threads: any.
 * Blocks: WEIR_EACH on a flush.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_publish(struct weir_log *log, struct weir_reservation *reservation,
                             enum weir_durability durability);

/* Gives a reservation up: a VOID record keeps its LSN, and cursors skip it by default.
 *
 * @param log          the log it came from
 * @param reservation  from weir_reserve(); invalid afterwards
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_cancel(struct weir_log *log, struct weir_reservation *reservation);

/* Waits until the record lsn and everything before it is durable, committing if nobody else does.
 *
 * @param log         an open log
 * @param lsn         at most the last assigned one
 * @param timeout_ns  0 only looks; WEIR_WAIT_FOREVER
 * Returns: 0; -ETIMEDOUT; -EINVAL (never assigned); -EDEADLK (this thread holds a reservation at
 *   or below lsn); WEIR_E_POISONED; WEIR_E_READ_ONLY (and lsn is not durable yet, as far as this
 *   handle knows); WEIR_E_FORKED.
 * Durability: on 0, all LSNs up to lsn are durable.
 * Threads: any.
 * Blocks: up to timeout_ns.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_wait(struct weir_log *log, weir_lsn lsn, int64_t timeout_ns);

/* Makes everything published so far durable, and its witness with it (enum weir_witness).
 *
 * @param log  an open log
 * Returns: 0; -EDEADLK; -ENOSPC and other -errno (no further segment for the witness: the records
 *   are durable all the same); WEIR_E_POISONED; WEIR_E_READ_ONLY; WEIR_E_FORKED.
 * Durability: on 0, all LSNs assigned before the call are durable.
 * Threads: any.
 * Blocks: on a flush.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_commit(struct weir_log *log);

/* The largest LSN such that it and all before it are durable; on a read-only handle beside a
 * writer, as of the last call that read or waited.
 *
 * @param log  an open log
 * Returns: the LSN; 0 when nothing is.
 * Durability: what it returns is durable.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT weir_lsn weir_durable_lsn(const struct weir_log *log);

/* For event loops: a descriptor that becomes readable when weir_process() has something to do.
 *
 * @param log     an open log
 * @param ret_fd  owned by the log
 * Returns: 0; WEIR_E_POISONED; WEIR_E_READ_ONLY; WEIR_E_FORKED; -errno when none can be made.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: an eventfd on first use.
 */
WEIR_EXPORT int weir_eventfd(struct weir_log *log, int *ret_fd);

/* For event loops: takes completions, moves durable, starts the next commit if records wait.
 * Clears the descriptor of weir_eventfd().
 *
 * @param log          an open log
 * @param ret_durable  NULL, or what weir_durable_lsn() is now
 * Returns: 0; WEIR_E_POISONED; WEIR_E_READ_ONLY; WEIR_E_FORKED.
 * Durability: up to *ret_durable.
 * Threads: any.
 * Blocks: never (with io = sync: on the write that it starts).
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_process(struct weir_log *log, weir_lsn *ret_durable);

/* Makes segments ahead of need, so that the next appends of about size_bytes make none.
 *
 * @param log         an open log
 * @param size_bytes  payload and framing together
 * Returns: 0; -ENOSPC (the segments that were made stay); WEIR_E_POISONED; WEIR_E_READ_ONLY;
 *   WEIR_E_FORKED; -errno.
 * Durability: the files exist after a crash.
 * Threads: any.
 * Blocks: about 0.5 ms per MiB.
 * Allocates: windows.
 */
WEIR_EXPORT int weir_prepare(struct weir_log *log, uint64_t size_bytes);

/* Marks this thread as inside a callback that the log feeds, for whoever runs callbacks of derived
 * systems: from here to the end every append, reserve and write of a storage engine to this log by
 * this thread is -EDEADLK and appends nothing. May be nested, over one log or several.
 *
 * @param log  an open log
 * Returns: 0; -EINVAL; -EBUSY (nested over more than 16 logs).
 * Durability: none.
 * Threads: any; the mark is the calling thread's own.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_log_callback_begin(struct weir_log *log);

/* Ends what weir_log_callback_begin() began in this thread. weir_log_close() is -EBUSY before.
 *
 * @param log  the same log
 * Returns: nothing.
 * Durability: none.
 * Threads: the one that began it.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_log_callback_end(struct weir_log *log);

#ifdef __cplusplus
}
#endif
#endif
