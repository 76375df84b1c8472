/*
 * Commit: from published to durable. One thread at a time is the leader; it closes the open group,
 * seals it, has it persisted, moves durable, and wakes whoever waited. Whoever needs durability
 * and finds no leader becomes it.
 */
#ifndef WAL_COMMIT_H
#define WAL_COMMIT_H

#include "wal/log.h"

enum commit_mode {
    COMMIT_BACKGROUND, /* write closed groups; flush when half of W is used */
    COMMIT_DURABLE,    /* make everything published durable */
};

/* Waits until durable has reached lsn and address (0: either does not matter), leading if nobody
 * does. timeout_ns is not 0: commit_process() is for those who only look. 0; -ETIMEDOUT;
 * WEIR_E_POISONED. */
int commit_wait(struct weir_log *log, weir_lsn lsn, uint64_t address, int64_t timeout_ns);

/* Takes completions and starts what is ready, without waiting; leaves it to the leader if there is
 * one. */
void commit_kick(struct weir_log *log, enum commit_mode mode);

/* For event loops: takes completions and starts the next commit, without waiting. When durable has
 * just moved and the caller comes back when its descriptor is signalled, the next commit is left
 * for then, so that it carries what the caller appends meanwhile. */
void commit_process(struct weir_log *log, bool comes_back);

/* Waits until there is room for another group within W. */
int commit_make_room(struct weir_log *log);

/* Makes everything published durable, then its witness. 0; WEIR_E_POISONED; -errno. */
int commit_all(struct weir_log *log);

/* A reservation of the group was announced: the leader may be waiting for it, or the event loop. */
void commit_published(struct weir_log *log, struct wal_group *group);

/* Wakes a leader that waits for one, so that it looks again. */
void commit_nudge(struct weir_log *log);

/* Waits for I/O in flight to end, before the handle is freed. */
void commit_drain(struct weir_log *log);

/* ---- between commit.c, lead.c and seal.c ---- */

bool leader_try(struct weir_log *log);

/* Passes the baton to a waiter, or steps down. */
void leader_leave(struct weir_log *log);

/* Takes the completions that are there and moves durable. The caller leads. Results as below. */
int commit_reap(struct weir_log *log);

/* Is there nothing to gain from a round now? Anybody may ask; the answer may be old. */
bool commit_kick_can_wait(const struct weir_log *log);

/* Submits what is ready, then waits up to timeout_ns for a completion: one round. The caller leads.
 * 0; -errno: the log is poisoned. */
int commit_round(struct weir_log *log, enum commit_mode mode, int64_t timeout_ns);

/* False while a record that a caller fills in place is neither published nor cancelled. */
bool seal_is_ready(const struct wal_group *group);

/* Waits for the group's publishes, computes its header, and writes it into the window; the group is
 * closed. Returns the offset in its segment from which it has to be written. */
uint32_t seal_group(struct weir_log *log, struct wal_group *group);

/* Its parts: an entry of the segment's directory for the record at `offset` in the group; the
 * header, built at `bytes`, with which the group becomes the last of the chain. The caller leads.
 */
void seal_add_entry(struct wal_segment *segment, const struct wal_group *group, uint64_t offset);
void seal_header(struct weir_log *log, struct wal_group *group, uint8_t *bytes, uint32_t body_crc);

/* Wakes the waiters that durable has satisfied, or all of them when the log is poisoned. Returns
 * how many. */
uint32_t waiters_wake(struct weir_log *log);

static inline struct wal_group *commit_group(struct weir_log *log, uint64_t index)
{
    return &log->tail.groups[index % WAL_GROUPS];
}

/* Does a commit cost less than a switch of threads? */
static inline bool commit_is_instant(const struct weir_log *log)
{
    return log->limits.block_bytes < FORMAT_BLOCK;
}

static inline bool commit_reached(const struct weir_log *log, weir_lsn lsn, uint64_t address)
{
    /* Sequentially consistent, as are the stores in lead.c: see the top of commit.c. */
    return atomic_load_explicit(&log->marks.durable, memory_order_seq_cst) >= lsn &&
           atomic_load_explicit(&log->marks.durable_address, memory_order_seq_cst) >= address;
}

#endif
