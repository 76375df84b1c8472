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
    return info->write_through && instant && !strict ? WRITE_THROUGH_BYTES : 0;
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
    totals->payload_bytes += image->want->payload_bytes;
    totals->groups++;
    totals->first_time_ns = totals->first_time_ns != 0 ? totals->first_time_ns : group->time_ns;
    seal_header(log, group, image->bytes, image->body_crc);
}

/* Of the pipeline and the counters, what nobody looks at without being alone here, too, or what may
 * run ahead of durable. */
static void move_pipeline(struct weir_log *log, const struct wal_group *group, uint64_t end)
{
    struct wal_commit *commit = &log->commit;
    commit->submit++;
    commit->flushed_lsn = group->first_lsn + group->record_count - 1;
    atomic_store_explicit(&commit->regrow, group->record_count, memory_order_relaxed);
    atomic_store_explicit(&commit->submitted_address, end, memory_order_relaxed);
    atomic_store_explicit(&log->tail.head, commit->submit, memory_order_relaxed);
    /* The ring's entry was not used. */
    atomic_store_explicit(&commit->done, commit->submit, memory_order_relaxed);
    atomic_store_explicit(&log->tail.reserved_address, end, memory_order_relaxed);
    add(&log->counters.groups, 1);
    add(&log->counters.writes, 1);
    add(&log->counters.flushes, 1);
    add(&log->counters.device_bytes, format_align(group->size_bytes, log->limits.block_bytes));
}

/* Poison may add to it at the same time and be forgotten: who sees this then looks at the poison.
 */
static void advance_sequence(_Atomic uint32_t *sequence)
{
    uint32_t now = atomic_load_explicit(sequence, memory_order_relaxed);
    atomic_store_explicit(sequence, now + 1, memory_order_release);
}

/* The group is durable: moves the marks over it, in the order of who is loaded last. Nobody is told
 * yet. Few stores: behind the fence they queue, and with the queue full the thread waits for it. */
static void move_marks(struct weir_log *log, const struct wal_group *group, uint64_t end)
{
    struct wal_commit *commit = &log->commit;
    struct live_page *page = log->live.data;
    weir_lsn lsn = commit->flushed_lsn;
    /* Release pairs with the acquire of cursors that read published records: these are. */
    atomic_store_explicit(&log->marks.reserved, lsn, memory_order_release);
    atomic_store_explicit(&commit->witnessed_lsn, group->durable_lsn, memory_order_release);
    /* As releases these pair with the acquires in reserve.c and log_durable(). */
    atomic_store_explicit(&log->marks.durable_address, end, memory_order_release);
    atomic_store_explicit(&log->marks.durable, lsn, memory_order_release);
    if (page != NULL) {
        live_advance(page, end, lsn);
    }
    advance_sequence(&log->tailers.sequence);
}

/* Somebody who has to be told, but for reader processes. */
static bool somebody_waits(const struct weir_log *log)
{
    return atomic_load_explicit(&log->waiters.count, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&log->commit.kicked, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&log->tailers.sleeping, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&log->tailers.eventfd_count, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&log->event_fd, memory_order_seq_cst) >= 0;
}

static void wake_readers(struct weir_log *log)
{
    struct live_page *page = log->live.data;
    if (page != NULL && atomic_load_explicit(&page->waiters, memory_order_seq_cst) > 0) {
        live_wake(page);
    }
}

/* Behind the lock: who queued, kicked, slept or armed a descriptor before is seen here; who does so
 * later sees the marks, or leads. */
static void tell(struct weir_log *log)
{
    wake_readers(log);
    if (!somebody_waits(log)) {
        return;
    }
    tail_revoke(log);
    tail_wake(log);
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

/* Where the group goes: false when something of others is in front of it. The caller is the only
 * one at the tail, here and below. */
static bool place(struct weir_log *log, const struct write_through_group *image,
                  struct wal_group *ret_group)
{
    return !log_is_poisoned(log) && reserve_through(log, image->want, image->now_ns, ret_group);
}

/* No other thread leads. */
static void write_group(struct weir_log *log, struct write_through_group *image,
                        struct wal_group *group, struct reserve_place *ret_place)
{
    uint64_t padded_bytes = format_align(group->size_bytes, log->limits.block_bytes);
    uint64_t end = log_address(log, group->segment, group->offset + padded_bytes);
    seal(log, group, image);
    reserve_through_end(log, image->want, group);
    move_pipeline(log, group, end);
    ret_place->lsn = group->first_lsn;
    ret_place->spare_wanted = reserve_spare_wanted(log, log->tail.offset);
    log->medium->ops->copy(group->segment->window, group->offset, image->bytes, padded_bytes);
    move_marks(log, group, end);
}

/* One of many: by way of the lock. */
static bool write_locked(struct weir_log *log, struct write_through_group *image,
                         struct reserve_place *ret_place)
{
    struct wal_group group;
    tail_acquire_in_turns(log);
    bool alone = place(log, image, &group) && leader_try(log);
    if (alone) {
        write_group(log, image, &group, ret_place);
        if (!somebody_waits(log)) {
            tail_consider(log);
        }
        /* Release pairs with the acquire in leader_try(). */
        atomic_store_explicit(&log->commit.leading, 0, memory_order_release);
    }
    tail_release(log);
    if (alone) {
        tell(log);
    }
    return alone;
}

/* Nobody has to be told, but for reader processes. */
static bool write_as_owner(struct weir_log *log, struct write_through_group *image,
                           struct reserve_place *ret_place)
{
    struct wal_group group;
    /* Relaxed: a leader that this one does not see waits until it is outside. */
    bool alone = atomic_load_explicit(&log->commit.leading, memory_order_relaxed) == 0 &&
                 place(log, image, &group);
    if (alone) {
        write_group(log, image, &group, ret_place);
    }
    tail_leave(&log->tail.lock);
    wake_readers(log);
    return alone;
}

int write_through(struct weir_log *log, struct write_through_group *image,
                  struct reserve_place *ret_place)
{
    bool written = tail_enter(&log->tail.lock) ? write_as_owner(log, image, ret_place)
                                               : write_locked(log, image, ret_place);
    return written ? 1 : 0;
}
