/*
 * Reserve: an LSN and a range of the open group.
 *
 * Happy path, under tail.lock: the record fits the open group; take the LSN, the range, zero the
 * record's size word (so that stale bytes of a reused window do not look like a published record),
 * move the watermarks, unlock. Else close the group and open the next one; at the end of the
 * segment roll to the next, which is ready.
 *
 * Failure modes: W is used up (wait for durable, outside the lock, then try again); the next
 * segment is not ready (make it, outside the lock, then try again; -ENOSPC goes to the caller and
 * nothing has changed); poisoned.
 *
 * Invariants, all under tail.lock:
 *   reserved_address - durable_address <= W, padding and rolls included
 *   behind the open group there is always room for the segment's seal, and for a witness if strict
 *   groups[submit .. head) are closed; groups[head] is open when group_open
 *   a group's time is never less than the one before
 */
#include "wal/reserve.h"

#include "base/assert.h"
#include "base/clock.h"
#include "wal/commit.h"
#include "wal/reservation.h"

#include <errno.h>

#define GROUP_AGE_NS BASE_NS_PER_MS
#define CLOCK_REFRESH_NS ((int64_t)BASE_NS_PER_S)

enum reserve_need {
    NEED_NOTHING,
    NEED_ROOM, /* W or the ring of groups is used up */
    NEED_SEGMENT,
    NEED_EPOCH, /* this writer's epoch group comes first, and there was no room for it so far */
};

static struct wal_group *group_at(struct wal_tail *tail, uint64_t index)
{
    return &tail->groups[index % WAL_GROUPS];
}

static uint64_t head_of(const struct wal_tail *tail)
{
    return atomic_load_explicit(&tail->head, memory_order_relaxed);
}

static uint64_t padded(const struct weir_log *log, uint64_t bytes)
{
    return format_align(bytes, log->limits.block_bytes);
}

static uint64_t seal_room(const struct weir_log *log, uint64_t records)
{
    return padded(log, FORMAT_GROUP_HEADER_BYTES + format_seal_body_bytes(records));
}

static bool within_run_ahead(const struct weir_log *log, uint64_t end_address)
{
    /* Acquire pairs with the release in lead.c; an old value only waits once too often. */
    uint64_t durable = atomic_load_explicit(&log->marks.durable_address, memory_order_acquire);
    return end_address - durable <= log->limits.run_ahead_bytes;
}

/* Real time in steps that never go back, for the price of the monotonic clock. */
static uint64_t group_time(struct wal_tail *tail, uint64_t now_ns)
{
    /* now_ns may be older than the last reading, by as long as its thread waited for the lock. */
    if ((int64_t)(now_ns - tail->clock_read_ns) > CLOCK_REFRESH_NS || tail->clock_read_ns == 0) {
        uint64_t read_ns = base_clock_monotonic_ns();
        tail->clock_offset_ns = (int64_t)(base_clock_realtime_ns() - read_ns);
        tail->clock_read_ns = read_ns;
    }
    uint64_t time = now_ns + (uint64_t)tail->clock_offset_ns;
    tail->time_ns = time > tail->time_ns ? time : tail->time_ns;
    return tail->time_ns;
}

void reserve_close_group(struct weir_log *log)
{
    struct wal_tail *tail = &log->tail;
    WEIR_ASSERT(tail->group_open);
    struct wal_group *group = group_at(tail, head_of(tail));
    tail->offset += (uint32_t)padded(log, group->size_bytes);
    tail->group_open = false;
    atomic_store_explicit(&tail->open_records, 0, memory_order_relaxed);
    /* Release pairs with the acquire in lead.c: the group's fields are final. */
    atomic_store_explicit(&tail->head, head_of(tail) + 1, memory_order_release);
}

/* Puts a group at the tail. Room for it has been checked. */
static struct wal_group *place_group(struct weir_log *log, enum format_group_kind kind,
                                     uint64_t now_ns)
{
    struct wal_tail *tail = &log->tail;
    struct wal_group *group = group_at(tail, head_of(tail));
    *group = (struct wal_group){
        .segment = tail->segment,
        .offset = tail->offset,
        .size_bytes = FORMAT_GROUP_HEADER_BYTES,
        .kind = (uint16_t)kind,
        .first_lsn = tail->next_lsn,
        .time_ns = group_time(tail, now_ns),
        .opened_ns = now_ns,
    };
    tail->group_open = true;
    return group;
}

/* One entry stays free, so that a roll can always place its seal. */
static bool ring_is_full(const struct weir_log *log)
{
    uint64_t done = atomic_load_explicit(&log->commit.done, memory_order_acquire);
    return head_of(&log->tail) - done >= WAL_GROUPS - 2;
}

/* Seals the segment behind its last group and goes on in the next one, which is ready. */
static void roll(struct weir_log *log, uint64_t now_ns)
{
    struct wal_tail *tail = &log->tail;
    struct wal_segment *old = tail->segment;
    struct wal_group *seal = place_group(log, FORMAT_GROUP_SEAL, now_ns);
    seal->size_bytes += (uint32_t)format_seal_body_bytes(tail->segment_records);
    WEIR_ASSERT(tail->offset + padded(log, seal->size_bytes) <= log->limits.segment_bytes);

    base_lock_acquire(&log->segments.lock);
    struct wal_segment *next = segment_lookup(log, old->ordinal + 1);
    WEIR_ASSERT(next != NULL && next->state == SEGMENT_SPARE && next->window != NULL);
    old->seal_offset = tail->offset;
    old->last_lsn = tail->next_lsn - 1;
    old->last_time_ns = seal->time_ns;
    old->state = SEGMENT_SEALED;
    next->start.next_lsn = tail->next_lsn; /* the leader fills in the rest when it seals */
    next->start.time_ns = seal->time_ns;
    next->state = SEGMENT_OPEN;
    atomic_store_explicit(&next->checked_end, (uint32_t)log->limits.segment_bytes,
                          memory_order_release);
    base_lock_release(&log->segments.lock);

    reserve_close_group(log);
    tail->segment = next;
    tail->offset = FORMAT_SEGMENT_HEADER_BYTES;
    tail->segment_records = 0;
    atomic_store_explicit(&log->segments.next_ready, false, memory_order_relaxed);
}

/* With `strict` nothing is acknowledged without a witness behind it: where records find room, so
 * does that, or a full disk would fail what it has already stored. */
static uint64_t witness_room(const struct weir_log *log, uint64_t records)
{
    bool needed = log->witness == WEIR_WITNESS_STRICT && records > 0;
    return needed ? padded(log, FORMAT_GROUP_HEADER_BYTES) : 0;
}

/* Can a group of `bytes` with `records` more start at the tail of this segment? */
static bool segment_has_room(const struct weir_log *log, uint64_t bytes, uint64_t records)
{
    const struct wal_tail *tail = &log->tail;
    return tail->offset + padded(log, bytes) + witness_room(log, records) +
               seal_room(log, tail->segment_records + records) <=
           log->limits.segment_bytes;
}

static enum reserve_need open_group(struct weir_log *log, const struct reserve_want *want,
                                    uint64_t now_ns)
{
    struct wal_tail *tail = &log->tail;
    uint64_t bytes = FORMAT_GROUP_HEADER_BYTES + want->bytes;
    if (ring_is_full(log)) {
        return NEED_ROOM;
    }
    if (!segment_has_room(log, bytes, want->records)) {
        if (!atomic_load_explicit(&log->segments.next_ready, memory_order_acquire)) {
            return NEED_SEGMENT;
        }
        uint64_t end = log_address(log, tail->segment, log->limits.segment_bytes) +
                       FORMAT_SEGMENT_HEADER_BYTES + padded(log, bytes);
        if (!within_run_ahead(log, end)) {
            return NEED_ROOM;
        }
        roll(log, now_ns);
    }
    if (!within_run_ahead(log,
                          log_address(log, tail->segment, tail->offset + padded(log, bytes)))) {
        return NEED_ROOM;
    }
    place_group(log, FORMAT_GROUP_DATA, now_ns);
    return NEED_NOTHING;
}

static bool fits_open_group(const struct weir_log *log, const struct wal_group *group,
                            const struct reserve_want *want, uint64_t now_ns)
{
    uint64_t bytes = group->size_bytes + want->bytes;
    bool aged = now_ns != 0 && now_ns > group->opened_ns + GROUP_AGE_NS;
    return !aged && bytes <= log->limits.group_bytes && segment_has_room(log, bytes, want->records);
}

/* tail.lock makes a read-modify-write of these cheap: no other thread stores them. */
static void count(struct weir_log *log, const struct reserve_want *want)
{
    struct wal_counters *counters = &log->counters;
    uint64_t appends = atomic_load_explicit(&counters->appends, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&counters->append_bytes, memory_order_relaxed);
    atomic_store_explicit(&counters->appends, appends + want->records, memory_order_relaxed);
    atomic_store_explicit(&counters->append_bytes, bytes + want->payload_bytes,
                          memory_order_relaxed);
}

bool reserve_spare_wanted(const struct weir_log *log, uint64_t end_offset)
{
    return 2 * end_offset > log->limits.segment_bytes &&
           !atomic_load_explicit(&log->segments.next_ready, memory_order_relaxed);
}

/* now_ns is 0 when nobody looked at the clock, because the open group is young. */
static enum reserve_need reserve_locked(struct weir_log *log, const struct reserve_want *want,
                                        uint64_t now_ns, struct reserve_place *place)
{
    struct wal_tail *tail = &log->tail;
    struct wal_group *group = group_at(tail, head_of(tail));
    if (tail->group_open && !fits_open_group(log, group, want, now_ns)) {
        reserve_close_group(log);
        place->closed = true;
    }
    if (!tail->group_open && tail->epoch_pending) {
        return NEED_EPOCH;
    }
    if (!tail->group_open) {
        enum reserve_need need =
            open_group(log, want, now_ns != 0 ? now_ns : base_clock_monotonic_ns());
        if (need != NEED_NOTHING) {
            return need;
        }
        group = group_at(tail, head_of(tail));
    }
    uint64_t end = tail->offset + padded(log, group->size_bytes + want->bytes);
    uint64_t end_address = log_address(log, tail->segment, end);
    if (!within_run_ahead(log, end_address)) {
        return NEED_ROOM;
    }
    place->segment = tail->segment;
    place->group = group;
    place->offset = tail->offset + group->size_bytes;
    place->memory = tail->segment->window->base + place->offset;
    place->lsn = tail->next_lsn;
    le32_store(&((struct format_record *)place->memory)->size, 0);
    group->size_bytes += (uint32_t)want->bytes;
    group->record_count += want->records;
    if (want->in_place) {
        group->in_place = true;
        atomic_fetch_add_explicit(&group->open_reservations, 1, memory_order_relaxed);
    }
    tail->segment_records += want->records;
    tail->next_lsn += want->records;
    count(log, want);
    atomic_store_explicit(&tail->open_records, group->record_count, memory_order_relaxed);
    atomic_store_explicit(&tail->reserved_address, end_address, memory_order_relaxed);
    /* Release pairs with the acquire of cursors that read published records. */
    atomic_store_explicit(&log->marks.reserved, tail->next_lsn - 1, memory_order_release);
    if (want->close_bytes != 0 && group->size_bytes >= want->close_bytes) {
        reserve_close_group(log);
        place->closed = true;
    }
    place->spare_wanted = reserve_spare_wanted(log, end);
    return NEED_NOTHING;
}

bool reserve_through(struct weir_log *log, const struct reserve_want *want, uint64_t now_ns,
                     struct wal_group *ret_group)
{
    struct wal_tail *tail = &log->tail;
    uint64_t bytes = FORMAT_GROUP_HEADER_BYTES + want->bytes;
    /* Acquire pairs with the release in lead.c. */
    uint64_t done = atomic_load_explicit(&log->commit.done, memory_order_acquire);
    if (tail->group_open || done != head_of(tail) || tail->epoch_pending ||
        tail->offset == FORMAT_SEGMENT_HEADER_BYTES || /* brings the segment's header, too */
        !segment_has_room(log, bytes, want->records)) {
        return false;
    }
    WEIR_ASSERT(within_run_ahead(log, log_address(log, tail->segment, tail->offset)));
    *ret_group = (struct wal_group){
        .segment = tail->segment,
        .offset = tail->offset,
        .size_bytes = (uint32_t)bytes,
        .record_count = want->records,
        .kind = FORMAT_GROUP_DATA,
        .first_lsn = tail->next_lsn,
        .time_ns = group_time(tail, now_ns),
    };
    return true;
}

void reserve_through_end(struct weir_log *log, const struct reserve_want *want,
                         const struct wal_group *group)
{
    struct wal_tail *tail = &log->tail;
    tail->offset += (uint32_t)padded(log, group->size_bytes);
    tail->segment_records += want->records;
    tail->next_lsn += want->records;
    count(log, want);
    uint64_t end = log_address(log, tail->segment, tail->offset);
    atomic_store_explicit(&tail->head, head_of(tail) + 1, memory_order_release);
    atomic_store_explicit(&tail->reserved_address, end, memory_order_relaxed);
    /* Release pairs with the acquire of cursors that read published records: these are. */
    atomic_store_explicit(&log->marks.reserved, tail->next_lsn - 1, memory_order_release);
}

/* A young group with many records is asked for its age only now and then. */
static uint64_t clock_if_needed(const struct weir_log *log)
{
    uint32_t records = atomic_load_explicit(&log->tail.open_records, memory_order_relaxed);
    return records != 0 && (records < 64 || records % 64 == 0) ? base_clock_monotonic_ns() : 0;
}

static int make_next_segment(struct weir_log *log)
{
    base_lock_acquire(&log->segments.making);
    int rc = segment_ready_next(log);
    base_lock_release(&log->segments.making);
    return rc;
}

int reserve_make_spare(struct weir_log *log)
{
    if (!base_lock_try(&log->segments.making)) {
        return 0; /* somebody is at it */
    }
    int rc = segment_ready_next(log);
    base_lock_release(&log->segments.making);
    return rc;
}

static int meet(struct weir_log *log, enum reserve_need need)
{
    if (need == NEED_SEGMENT) {
        return make_next_segment(log);
    }
    if (need == NEED_EPOCH) {
        int rc = reserve_internal(log, FORMAT_GROUP_EPOCH);
        if (rc <= 0) {
            return rc;
        }
    }
    return reservation_is_mine(log, UINT64_MAX) ? -EDEADLK : commit_make_room(log);
}

int reserve(struct weir_log *log, const struct reserve_want *want, struct reserve_place *ret_place)
{
    for (;;) {
        if (log_is_poisoned(log)) {
            return WEIR_E_POISONED;
        }
        struct reserve_place place = {0};
        uint64_t now_ns = clock_if_needed(log);
        base_lock_acquire(&log->tail.lock);
        enum reserve_need need = reserve_locked(log, want, now_ns, &place);
        base_lock_release(&log->tail.lock);
        if (need == NEED_NOTHING) {
            *ret_place = place;
            return 0;
        }
        int rc = meet(log, need);
        if (rc < 0) {
            return rc;
        }
    }
}

static uint64_t internal_body_bytes(enum format_group_kind kind)
{
    return kind == FORMAT_GROUP_EPOCH ? sizeof(struct format_epoch) : 0;
}

/* With `strict` there is room for one witness behind each group: none is placed behind a group that
 * is not durable yet, since it would say nothing of that one and leave no room for the one that
 * does. */
static bool witness_is_too_early(const struct weir_log *log)
{
    /* Acquire pairs with the release in lead.c; an old value puts it off once too often. */
    return log->witness == WEIR_WITNESS_STRICT &&
           atomic_load_explicit(&log->commit.done, memory_order_acquire) != head_of(&log->tail);
}

static enum reserve_need place_internal(struct weir_log *log, enum format_group_kind kind)
{
    struct wal_tail *tail = &log->tail;
    struct reserve_want want = {.records = 0, .bytes = internal_body_bytes(kind)};
    bool is_epoch = kind == FORMAT_GROUP_EPOCH;
    if (is_epoch != tail->epoch_pending) {
        /* Another thread has placed it; or a witness has nothing to say before it. */
        return NEED_NOTHING;
    }
    if (tail->group_open) {
        reserve_close_group(log);
        if (!is_epoch) {
            return NEED_NOTHING; /* its header is a witness, too */
        }
    }
    if (!is_epoch && witness_is_too_early(log)) {
        return NEED_NOTHING;
    }
    enum reserve_need need = open_group(log, &want, base_clock_monotonic_ns());
    if (need != NEED_NOTHING) {
        return need;
    }
    struct wal_group *group = group_at(tail, head_of(tail));
    group->kind = (uint16_t)kind;
    group->size_bytes += (uint32_t)want.bytes;
    tail->epoch_pending = false;
    reserve_close_group(log);
    uint64_t end = log_address(log, tail->segment, tail->offset);
    atomic_store_explicit(&tail->reserved_address, end, memory_order_relaxed);
    return NEED_NOTHING;
}

int reserve_internal(struct weir_log *log, enum format_group_kind kind)
{
    for (;;) {
        base_lock_acquire(&log->tail.lock);
        enum reserve_need need = place_internal(log, kind);
        base_lock_release(&log->tail.lock);
        if (need == NEED_NOTHING) {
            return 0;
        }
        if (need == NEED_ROOM) {
            return 1;
        }
        int rc = make_next_segment(log);
        if (rc < 0) {
            return rc;
        }
    }
}
