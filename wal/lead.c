/*
 * Lead: one round of the commit leader.
 *
 * Happy path: take a closed group (or close the open one), seal it, hand it to the medium; take
 * completions; move durable over the groups that are durable, in order; tell everybody.
 *
 * How a group becomes durable:
 *   COMMIT_DURABLE     its write flushes (persist), one group at a time; a further one only when a
 *                      full batch is ready. If older groups were only written, it is written too,
 *                      and one flush of their files covers all.
 *   COMMIT_BACKGROUND  written as it closes; a flush when half of W is used and a part of it is
 *                      written. Nothing else.
 *
 * Failure modes: a write or flush fails, or its outcome is unknown: the log is poisoned, durable
 * never moves again.
 *
 * Invariants: durable moves in order of address, and only over groups whose write and flush have
 * completed; a flush covers only groups whose write had completed before it was submitted.
 */
#include "base/assert.h"
#include "base/event_fd.h"
#include "wal/commit.h"
#include "wal/live.h"
#include "wal/reserve.h"
#include "wal/tail.h"

#include <errno.h>

#define FULL_BATCH_BYTES ((uint64_t)128 << 10)
#define FULL_BATCH_RECORDS 1024u
#define LARGE_BATCH_BYTES ((uint64_t)1 << 20)
/* Written bytes that are worth a flush while a stream goes on: of W, half of the largest group, as
 * one ends where the next record does not fit. */
#define FLUSH_SHARE 8u
#define COMPLETIONS 16
#define TOKEN_FLUSH (UINT64_C(1) << 63)
#define REAP_STRIDE 16u /* records of a group, from its first, between two looks at completions */
#define GATHER_ROUNDS 256u
#define GATHER_QUIET 4u

static uint64_t head_of(const struct weir_log *log)
{
    return atomic_load_explicit(&log->tail.head, memory_order_acquire);
}

static uint64_t done_of(const struct weir_log *log)
{
    return atomic_load_explicit(&log->commit.done, memory_order_relaxed);
}

static uint32_t in_flight_of(const struct weir_log *log)
{
    return atomic_load_explicit(&log->commit.in_flight, memory_order_relaxed);
}

static weir_lsn witnessed_of(const struct weir_log *log)
{
    return atomic_load_explicit(&log->commit.witnessed_lsn, memory_order_relaxed);
}

/* Only the leader changes it. */
static void change_in_flight(struct weir_log *log, int by)
{
    atomic_store_explicit(&log->commit.in_flight, in_flight_of(log) + (uint32_t)by,
                          memory_order_relaxed);
}

/* ---- durable moves ---- */

static uint64_t group_end_address(const struct weir_log *log, const struct wal_group *group)
{
    if (group->kind == FORMAT_GROUP_SEAL) {
        return (group->segment->ordinal + 1) << log->limits.segment_shift;
    }
    return log_address(log, group->segment, group->offset) +
           format_align(group->size_bytes, log->limits.block_bytes);
}

static void announce_durable(struct weir_log *log, uint64_t address)
{
    struct wal_commit *commit = &log->commit;
    bool strict = log->witness == WEIR_WITNESS_STRICT;
    weir_lsn lsn = strict ? witnessed_of(log) : commit->flushed_lsn;
    weir_lsn before = atomic_load_explicit(&log->marks.durable, memory_order_relaxed);
    WEIR_ASSERT(lsn >= before);
    WEIR_ASSERT(lsn <= atomic_load_explicit(&log->marks.reserved, memory_order_acquire));
    /* As releases these pair with the acquires in reserve.c and log_durable() (the sealed groups
     * are in memory); in one order with the queue's count they lose no waiter: commit.c. */
    atomic_store_explicit(&log->marks.durable_address, address, memory_order_seq_cst);
    if (lsn != before) {
        atomic_store_explicit(&log->marks.durable, lsn, memory_order_seq_cst);
        live_store(log);
        live_wake(log);
        tail_notify(log);
        int fd = atomic_load_explicit(&log->event_fd, memory_order_acquire);
        if (fd >= 0) {
            base_event_fd_signal(fd);
        }
    }
    commit->woken += waiters_wake(log);
}

/* Nothing is written to a sealed segment any more: reader processes may lock and map it, once they
 * see that durable has passed it. Where the kernel refuses to change the lock it is dropped: kept,
 * it would shut readers out for as long as this writer lives. */
static void unlock_sealed(struct weir_log *log, const struct wal_group *group)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    if (group->kind == FORMAT_GROUP_SEAL && ops->lock(group->segment->file, WEIR_LOCK_SHARED) < 0) {
        (void)ops->lock(group->segment->file, WEIR_LOCK_NONE);
    }
}

/* Moves `done` over what is durable. */
static void advance(struct weir_log *log)
{
    struct wal_commit *commit = &log->commit;
    uint64_t done = done_of(log);
    uint64_t address = 0;
    uint32_t regrow = atomic_load_explicit(&commit->regrow, memory_order_relaxed);
    while (done < commit->submit && commit_group(log, done)->durable) {
        const struct wal_group *group = commit_group(log, done);
        commit->flushed_lsn = group->first_lsn + group->record_count - 1;
        regrow += group->record_count;
        if (group->durable_lsn > witnessed_of(log)) {
            atomic_store_explicit(&commit->witnessed_lsn, group->durable_lsn, memory_order_release);
        }
        address = group_end_address(log, group);
        unlock_sealed(log, group);
        done++;
    }
    if (address == 0) {
        return;
    }
    atomic_store_explicit(&commit->regrow, regrow, memory_order_relaxed);
    announce_durable(log, address);
    /* Release pairs with the acquire in reserve.c: the ring's entries may be used again. */
    atomic_store_explicit(&commit->done, done, memory_order_release);
}

/* ---- submitting ---- */

static uint32_t open_records(const struct weir_log *log)
{
    return atomic_load_explicit(&log->tail.open_records, memory_order_relaxed);
}

/* Only the leader counts, so no read-modify-write is needed. */
static void add(_Atomic uint64_t *counter, uint64_t by)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + by, memory_order_relaxed);
}

static void count_group(struct weir_log *log, uint64_t bytes, bool flushes)
{
    add(&log->counters.groups, 1);
    add(&log->counters.writes, 1);
    add(&log->counters.device_bytes, bytes);
    add(&log->counters.flushes, flushes ? 1 : 0);
}

/* Older groups that were written without a flush: then this one's own flush would not do. */
static bool unflushed_before(struct weir_log *log, uint64_t index)
{
    for (uint64_t i = done_of(log); i < index; i++) {
        const struct wal_group *group = commit_group(log, i);
        if (!group->durable && !group->flushes) {
            return true;
        }
    }
    return false;
}

static uint32_t persist_flags(const struct weir_log *log, const struct wal_group *group, bool waits)
{
    if (!group->flushes) {
        return WEIR_PERSIST_WRITE_ONLY;
    }
    return waits && in_flight_of(log) == 0 ? WEIR_PERSIST_WAITED_FOR : 0;
}

static int submit_group(struct weir_log *log, enum commit_mode mode, bool waits)
{
    struct wal_commit *commit = &log->commit;
    uint64_t index = commit->submit;
    struct wal_group *group = commit_group(log, index);
    uint32_t from = seal_group(log, group);
    uint64_t end = group->offset + format_align(group->size_bytes, log->limits.block_bytes);
    group->flushes = mode == COMMIT_DURABLE && !unflushed_before(log, index);
    commit->flush_wanted = commit->flush_wanted || (mode == COMMIT_DURABLE && !group->flushes);
    commit->submit++;
    atomic_store_explicit(&commit->regrow, 0, memory_order_relaxed);
    atomic_store_explicit(&commit->submitted_address, group_end_address(log, group),
                          memory_order_relaxed);
    count_group(log, end - from, group->flushes);
    live_submit(log, group_end_address(log, group));
    int rc = log->medium->ops->persist(group->segment->window, from, end - from,
                                       persist_flags(log, group, waits), index);
    if (rc < 0) {
        return rc;
    }
    if (rc > 0) {
        group->written = true;
        group->durable = group->flushes;
    } else {
        change_in_flight(log, 1);
        commit->writes_in_flight++;
    }
    return 0;
}

static void close_open_group(struct weir_log *log)
{
    base_lock_acquire(&log->tail.lock);
    if (log->tail.group_open) {
        reserve_close_group(log);
    }
    base_lock_release(&log->tail.lock);
}

/* Bytes that wait behind what was submitted. */
static uint64_t pending_bytes(const struct weir_log *log)
{
    uint64_t reserved = atomic_load_explicit(&log->tail.reserved_address, memory_order_relaxed);
    uint64_t submitted = atomic_load_explicit(&log->commit.submitted_address, memory_order_relaxed);
    return reserved > submitted ? reserved - submitted : 0;
}

/* Worth a write of its own beside those in flight: enough bytes, or, of larger records, as many
 * bytes as a device takes best. */
static bool is_full_batch(const struct weir_log *log, uint32_t records)
{
    uint64_t bytes = pending_bytes(log);
    return bytes >= FULL_BATCH_BYTES &&
           (records >= FULL_BATCH_RECORDS || bytes >= LARGE_BATCH_BYTES);
}

/* One thread with many records outstanding appends as many again as have just become durable. To
 * write the few that waited at once would split its records into two halves that take turns; so
 * the next group waits for them, or for anybody who waits, commits or processes. Where a commit is
 * a blocking call it waits for a full batch in any case: an append would else wait for its own.
 * It waits only while the group is open: when records come so slowly that one finds the group
 * before it too old, or when older groups still need a flush, nothing is gained by waiting. */
bool commit_kick_can_wait(const struct weir_log *log)
{
    uint32_t open = open_records(log);
    uint32_t in_flight = in_flight_of(log);
    bool full = is_full_batch(log, open);
    if (in_flight == 0) {
        bool at_once = log->medium->info.asynchronous || commit_is_instant(log);
        return !full && done_of(log) == head_of(log) &&
               (!at_once || open < atomic_load_explicit(&log->commit.regrow, memory_order_relaxed));
    }
    return (!full || in_flight >= log->limits.queue_depth) && open % REAP_STRIDE != 1;
}

/* Lets the writers that were just woken add their next records to the group before it closes:
 * yields until as many have come, or nobody comes any more. Pointless where a commit costs less
 * than a switch of threads. */
static void gather(struct weir_log *log)
{
    uint32_t expected = log->commit.woken;
    log->commit.woken = 0;
    if (expected == 0 || commit_is_instant(log)) {
        return;
    }
    uint32_t before = open_records(log);
    expected += before;
    for (unsigned round = 0, quiet = 0; round < GATHER_ROUNDS && quiet < GATHER_QUIET; round++) {
        base_yield();
        uint32_t now = open_records(log);
        quiet = now == before ? quiet + 1 : 0;
        if (now >= expected) {
            return;
        }
        before = now;
    }
}

static bool may_submit(const struct weir_log *log, enum commit_mode mode)
{
    bool streams = mode == COMMIT_BACKGROUND;
    return log->commit.writes_in_flight + log->commit.flushes_in_flight <
           (streams ? log->limits.stream_depth : log->limits.queue_depth);
}

/* A reservation may stay open for long: its group waits, not the leader, who may be somebody that
 * only wanted to start a commit, or to wait for a while. */
static bool next_is_ready(struct weir_log *log)
{
    struct wal_commit *commit = &log->commit;
    commit->blocked = !seal_is_ready(commit_group(log, commit->submit));
    return !commit->blocked;
}

static int submit_closed(struct weir_log *log, enum commit_mode mode, bool waits)
{
    int rc = 0;
    while (rc == 0 && log->commit.submit < head_of(log) && may_submit(log, mode) &&
           next_is_ready(log)) {
        rc = submit_group(log, mode, waits);
    }
    return rc;
}

/* One group in flight; the open one is closed only when nothing is, or when it is a full batch. */
static int submit_durable(struct weir_log *log, bool waits)
{
    if (log->commit.flush_wanted) {
        return 0; /* first the flush that somebody waits for: more groups could go on for ever */
    }
    int rc = submit_closed(log, COMMIT_DURABLE, waits);
    if (rc < 0 || !may_submit(log, COMMIT_DURABLE) || log->commit.blocked) {
        return rc;
    }
    bool idle = log->commit.writes_in_flight == 0;
    if (idle && waits) {
        gather(log);
    }
    if (idle || is_full_batch(log, open_records(log))) {
        close_open_group(log);
        rc = submit_closed(log, COMMIT_DURABLE, waits);
    }
    return rc;
}

/* ---- flushing what was only written ---- */

static void mark_flushed(struct weir_log *log)
{
    for (uint64_t i = done_of(log); i < log->commit.flush_covers; i++) {
        commit_group(log, i)->durable = true;
    }
}

/* The first group that is written and not durable, with all before it written, too. NULL: none. */
static const struct wal_group *first_unflushed(struct weir_log *log)
{
    for (uint64_t i = done_of(log); i < log->commit.submit; i++) {
        const struct wal_group *group = commit_group(log, i);
        if (!group->durable) {
            return group->written ? group : NULL;
        }
    }
    return NULL;
}

/* Groups below this index lie in front of the segment or in it, and are written. */
static uint64_t end_of_written(struct weir_log *log, const struct wal_segment *segment)
{
    uint64_t end = done_of(log);
    while (end < log->commit.submit && commit_group(log, end)->written &&
           commit_group(log, end)->segment->ordinal <= segment->ordinal) {
        end++;
    }
    return end;
}

/* Flushes the file of the first group that needs it: one file at a time, so that a flush that
 * failed has no other one beside it. What lies in the next file is flushed behind that. */
static int start_flush(struct weir_log *log)
{
    struct wal_commit *commit = &log->commit;
    const struct wal_group *first;
    while (commit->flushes_in_flight == 0 && in_flight_of(log) < log->medium->info.queue_depth &&
           (first = first_unflushed(log)) != NULL) {
        uint64_t end = end_of_written(log, first->segment);
        commit->flush_wanted = commit->flush_wanted && end < commit->submit;
        commit->flush_covers = end;
        add(&log->counters.flushes, 1);
        int rc = log->medium->ops->flush_file(first->segment->window, TOKEN_FLUSH);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            change_in_flight(log, 1);
            commit->flushes_in_flight++;
        } else {
            mark_flushed(log);
        }
    }
    return 0;
}

static uint64_t run_ahead(const struct weir_log *log)
{
    return atomic_load_explicit(&log->tail.reserved_address, memory_order_relaxed) -
           atomic_load_explicit(&log->marks.durable_address, memory_order_relaxed);
}

/* Is it worth a flush? What is only reserved does not count: no flush would cover it. */
static bool enough_is_written(struct weir_log *log)
{
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_relaxed);
    uint64_t enough = durable + log->limits.run_ahead_bytes / FLUSH_SHARE;
    for (uint64_t i = done_of(log); i < log->commit.submit; i++) {
        const struct wal_group *group = commit_group(log, i);
        if (!group->written) {
            return false;
        }
        if (group_end_address(log, group) >= enough) {
            return true;
        }
    }
    return false;
}

static bool flush_is_due(struct weir_log *log, enum commit_mode mode)
{
    if (mode == COMMIT_DURABLE) {
        return log->commit.writes_in_flight == 0 &&
               (log->commit.flush_wanted || log->commit.blocked ||
                log->commit.submit == head_of(log));
    }
    if (log->commit.blocked) { /* nothing more can be written, and the reservation may stay open */
        return log->commit.writes_in_flight == 0;
    }
    return log->commit.flushes_in_flight == 0 && 2 * run_ahead(log) > log->limits.run_ahead_bytes &&
           enough_is_written(log);
}

static int flush_if_due(struct weir_log *log, enum commit_mode mode)
{
    int rc = flush_is_due(log, mode) ? start_flush(log) : 0;
    advance(log);
    return rc;
}

/* ---- completions ---- */

static int complete(struct weir_log *log, const struct weir_completion *completion)
{
    struct wal_commit *commit = &log->commit;
    WEIR_ASSERT(in_flight_of(log) > 0);
    change_in_flight(log, -1);
    if ((completion->token & TOKEN_FLUSH) != 0) {
        WEIR_ASSERT(commit->flushes_in_flight > 0);
        commit->flushes_in_flight--;
        if (completion->result < 0) {
            return completion->result;
        }
        mark_flushed(log);
        return 0;
    }
    WEIR_ASSERT(commit->writes_in_flight > 0);
    commit->writes_in_flight--;
    if (completion->result < 0) {
        return completion->result;
    }
    WEIR_ASSERT(completion->token >= done_of(log) && completion->token < commit->submit);
    struct wal_group *group = commit_group(log, completion->token);
    group->written = true;
    group->durable = group->flushes;
    return 0;
}

static int reap(struct weir_log *log, int64_t timeout_ns)
{
    struct weir_completion completions[COMPLETIONS];
    if (in_flight_of(log) == 0) {
        return 0;
    }
    int count = log->medium->ops->poll(log->medium, completions, COMPLETIONS, timeout_ns);
    int rc = count < 0 ? count : 0;
    for (int i = 0; i < count; i++) {
        int one = complete(log, &completions[i]);
        rc = rc < 0 ? rc : one;
    }
    return rc;
}

/* With `strict`, an append is acknowledged when a later header that says so is durable too. */
static int push_witness(struct weir_log *log)
{
    const struct wal_commit *commit = &log->commit;
    bool idle = commit->submit == head_of(log) && done_of(log) == commit->submit;
    if (log->witness != WEIR_WITNESS_STRICT || !idle || witnessed_of(log) == commit->flushed_lsn) {
        return 0;
    }
    int rc = reserve_internal(log, FORMAT_GROUP_WITNESS);
    return rc > 0 ? 0 : rc;
}

static int round_steps(struct weir_log *log, enum commit_mode mode, int64_t timeout_ns)
{
    bool waits = timeout_ns != 0;
    uint32_t seen = atomic_load_explicit(&log->commit.published_sequence, memory_order_acquire);
    int rc;
    log->commit.blocked = false;
    if (mode == COMMIT_DURABLE) {
        rc = push_witness(log);
        rc = rc < 0 ? rc : submit_durable(log, waits);
    } else {
        /* The last place in the queue is a flush's: writes would take each one that comes free. */
        bool last_place = in_flight_of(log) + 1 >= log->medium->info.queue_depth;
        rc = last_place ? flush_if_due(log, mode) : 0;
        rc = rc < 0 ? rc : submit_closed(log, COMMIT_BACKGROUND, waits);
    }
    advance(log);
    rc = rc < 0 ? rc : flush_if_due(log, mode);
    bool idles = log->commit.blocked && in_flight_of(log) == 0 && !log_is_poisoned(log);
    if (rc == 0 && waits && idles) {
        base_wait(&log->commit.published_sequence, seen, timeout_ns, false);
    } else if (rc == 0 && waits) {
        rc = reap(log, timeout_ns);
        advance(log);
    }
    return rc;
}

int commit_reap(struct weir_log *log)
{
    if (log_is_poisoned(log)) {
        return WEIR_E_POISONED;
    }
    int rc = reap(log, 0);
    advance(log);
    if (rc < 0) {
        log_poison(log, rc);
    }
    return rc;
}

int commit_round(struct weir_log *log, enum commit_mode mode, int64_t timeout_ns)
{
    WEIR_ASSERT(atomic_load_explicit(&log->commit.leading, memory_order_relaxed) == 1);
    if (log_is_poisoned(log)) {
        return WEIR_E_POISONED;
    }
    int rc = round_steps(log, mode, timeout_ns);
    if (rc < 0) {
        log_poison(log, rc);
    }
    return rc;
}

void commit_drain(struct weir_log *log)
{
    struct weir_completion completions[COMPLETIONS];
    while (in_flight_of(log) > 0) {
        int count = log->medium->ops->poll(log->medium, completions, COMPLETIONS, -1);
        if (count <= 0) {
            return; /* a ring that answers with errors brings nothing more */
        }
        change_in_flight(log, -count);
    }
}
