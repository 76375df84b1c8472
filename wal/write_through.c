/*
 * Write-through: from a group in a buffer to a durable one, by the thread that appends it.
 *
 * Happy path, all of it under tail.lock and as the leader: everything before is durable; place the
 * group at the tail, build its header, copy the whole past the caches and fence, move all marks
 * behind it, let go. Then wake who waits. Writers that meet here do so one after the other: the
 * copy costs less than to hand a record to a leader and to be woken.
 *
 * Failure modes: others' records are not durable yet, somebody leads, the segment has no room: the
 * append goes the ordinary way. The copy cannot fail.
 *
 * A crash before the fence leaves any part of the group, which its checksums tell from a whole one,
 * as they do of any group; nothing had been told of it.
 *
 * Invariants: marks.reserved moves only when the records are in the window, so that whoever reads
 * published records finds them by their group's header and never looks for a size word; durable
 * moves in order, since all before was durable.
 */
#include "wal/write_through.h"

#include "base/assert.h"
#include "base/event_fd.h"
#include "wal/commit.h"
#include "wal/live.h"
#include "wal/tail.h"

uint32_t write_through_limit(const struct weir_log *log)
{
    const struct weir_medium_info *info = &log->medium->info;
    bool strict = log->witness == WEIR_WITNESS_STRICT; /* a witness has to follow */
    bool instant = log->limits.block_bytes <= info->block_bytes;
    /* A group is padded to whole blocks, and has to fit the buffer then. */
    bool fits =
        WRITE_THROUGH_BYTES % log->limits.block_bytes == 0 && log->medium->ops->copy != NULL;
    return info->write_through && instant && fits && !strict ? WRITE_THROUGH_BYTES : 0;
}

/* Only the leader counts, so no read-modify-write is needed. */
static void add(_Atomic uint64_t *counter, uint64_t by)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + by, memory_order_relaxed);
}

/* The header, and what the segment's seal will say. */
static void seal(struct weir_log *log, struct wal_group *group, struct write_through_group *image)
{
    struct segment_totals *totals = &log->commit.totals;
    if (totals->records % FORMAT_DIRECTORY_STRIDE == 0) {
        seal_add_entry(group->segment, group, FORMAT_GROUP_HEADER_BYTES);
    }
    totals->records += group->record_count;
    totals->payload_bytes += image->want.payload_bytes;
    totals->groups++;
    totals->first_time_ns = totals->first_time_ns != 0 ? totals->first_time_ns : group->time_ns;
    seal_header(log, group, image->bytes, image->body_crc);
}

/* The group is durable: moves the pipeline over it, and the marks. Nobody is told yet. */
static void move_marks(struct weir_log *log, const struct wal_group *group, uint64_t padded_bytes)
{
    struct wal_commit *commit = &log->commit;
    weir_lsn lsn = group->first_lsn + group->record_count - 1;
    uint64_t end = log_address(log, group->segment, group->offset + padded_bytes);
    commit->submit++;
    commit->flushed_lsn = lsn;
    atomic_store_explicit(&commit->regrow, group->record_count, memory_order_relaxed);
    atomic_store_explicit(&commit->submitted_address, end, memory_order_relaxed);
    atomic_store_explicit(&commit->witnessed_lsn, group->durable_lsn, memory_order_release);
    add(&log->counters.groups, 1);
    add(&log->counters.writes, 1);
    add(&log->counters.flushes, 1);
    add(&log->counters.device_bytes, padded_bytes);
    /* Release pairs with the acquire in reserve.c: the ring's entry may be used again. */
    atomic_store_explicit(&commit->done, commit->submit, memory_order_release);
    WEIR_ASSERT(lsn > atomic_load_explicit(&log->marks.durable, memory_order_relaxed));
    /* As releases these pair with the acquires in reserve.c and log_durable(). */
    atomic_store_explicit(&log->marks.durable_address, end, memory_order_release);
    atomic_store_explicit(&log->marks.durable, lsn, memory_order_release);
    live_store(log);
}

/* Behind the marks and behind the end of leading: who queued, kicked or armed a descriptor before
 * is seen here; who does so later sees the marks, or leads. The additions to the sequences are what
 * orders the stores before the looks. */
static void tell(struct weir_log *log)
{
    tail_notify(log);
    live_wake(log);
    int fd = atomic_load_explicit(&log->event_fd, memory_order_acquire);
    if (fd >= 0) {
        base_event_fd_signal(fd);
    }
    (void)waiters_wake(log);
    bool asked = atomic_load_explicit(&log->waiters.count, memory_order_seq_cst) != 0 ||
                 atomic_load_explicit(&log->commit.kicked, memory_order_seq_cst) != 0;
    if (asked && leader_try(log)) {
        leader_leave(log);
    }
}

/* The caller holds tail.lock and leads. */
static void write_group(struct weir_log *log, struct wal_group *group,
                        struct write_through_group *image)
{
    uint64_t padded_bytes = format_align(group->size_bytes, log->limits.block_bytes);
    seal(log, group, image);
    log->medium->ops->copy(group->segment->window, group->offset, image->bytes, padded_bytes);
    reserve_through_end(log, &image->want, group);
    move_marks(log, group, padded_bytes);
}

int write_through(struct weir_log *log, struct write_through_group *image,
                  struct reserve_place *ret_place)
{
    struct wal_group group;
    base_lock_acquire(&log->tail.lock);
    bool alone = !log_is_poisoned(log) &&
                 reserve_through(log, &image->want, image->now_ns, &group) && leader_try(log);
    if (alone) {
        write_group(log, &group, image);
        ret_place->lsn = group.first_lsn;
        ret_place->spare_wanted = reserve_spare_wanted(log, log->tail.offset);
        /* Release pairs with the acquire in leader_try(). */
        atomic_store_explicit(&log->commit.leading, 0, memory_order_release);
    }
    base_lock_release(&log->tail.lock);
    if (alone) {
        tell(log);
    }
    return alone ? 1 : 0;
}
