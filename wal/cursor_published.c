/*
 * Published visibility: records of groups that are not sealed yet.
 *
 * Their headers are not written; where they lie is known from the ring of groups, under tail.lock.
 * A record may be lent once its size word is there (publish.h), in order: behind a record that is
 * still being copied nothing is seen. A batch announces its first record last, so seeing that one
 * means that all of the batch is there.
 *
 * Happy path: find the group of the LSN in the ring, pin its segment, step over the size words up
 * to the first that is 0 or to what is reserved. Once the group is sealed the cursor goes on in it
 * by its header, as any other cursor.
 *
 * Failure modes: a segment cannot be pinned; nothing else.
 *
 * Invariants: a size word is loaded only below what was reserved under tail.lock, where it was
 * zeroed; the ring's entries from `done` to the open group are not used again while it is held.
 */
#include "wal/cursor.h"

struct ring_view {
    uint64_t first, end; /* indices of the groups that are not durable; the open one included */
};

/* The caller holds tail.lock. Acquire pairs with the release in lead.c. */
static struct ring_view view_ring(const struct weir_log *log)
{
    struct ring_view view = {
        .first = atomic_load_explicit(&log->commit.done, memory_order_acquire),
        .end = atomic_load_explicit(&log->tail.head, memory_order_relaxed),
    };
    view.end += log->tail.group_open ? 1 : 0;
    return view;
}

static const struct wal_group *group_at(const struct weir_log *log, uint64_t index)
{
    return &log->tail.groups[index % WAL_GROUPS];
}

weir_lsn cursor_first_unsealed(struct weir_log *log)
{
    base_lock_acquire(&log->tail.lock);
    struct ring_view view = view_ring(log);
    weir_lsn lsn =
        view.first < view.end ? group_at(log, view.first)->first_lsn : log->tail.next_lsn;
    base_lock_release(&log->tail.lock);
    return lsn;
}

/* The last group whose first LSN is at most lsn: the one that holds it, if any does. */
static bool find_group(struct weir_log *log, weir_lsn lsn, struct wal_group *ret_group)
{
    base_lock_acquire(&log->tail.lock);
    struct ring_view view = view_ring(log);
    uint64_t low = view.first, high = view.end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (group_at(log, middle)->first_lsn <= lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low > view.first;
    if (found) {
        const struct wal_group *group = group_at(log, low - 1);
        *ret_group = (struct wal_group){
            .segment = group->segment,
            .offset = group->offset,
            .size_bytes = group->size_bytes,
            .record_count = group->record_count,
            .first_lsn = group->first_lsn,
            .time_ns = group->time_ns,
        };
        found = lsn - group->first_lsn < group->record_count;
    }
    base_lock_release(&log->tail.lock);
    return found;
}

/* 0: not published yet. */
static uint32_t published_size(const uint8_t *at)
{
    const struct format_record *record = (const struct format_record *)at;
    const _Atomic uint32_t *word = (const _Atomic uint32_t *)(const void *)&record->size;
    /* Acquire pairs with the release in publish_announce(): the payload is there. */
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Steps over published records from `at`, which is *lsn, up to `stop`. */
static const uint8_t *skip_published(const uint8_t *at, const uint8_t *end, weir_lsn *lsn,
                                     weir_lsn stop)
{
    while (*lsn < stop && at < end) {
        uint32_t size = published_size(at);
        if (size < FORMAT_RECORD_HEADER_BYTES || size > (uint64_t)(end - at)) {
            break;
        }
        at += format_align(size, FORMAT_RECORD_ALIGN);
        (*lsn)++;
    }
    return at;
}

/* Makes the cursor's walk stand at the group. 1, or why not. */
static int stand_at(struct weir_cursor *cursor, const struct wal_group *group, bool stay)
{
    struct cursor_place *place = &cursor->place;
    struct segment_walk *walk = &place->walk;
    if (walk->segment == group->segment) {
        if (walk->offset != group->offset) {
            walk_jump(walk, group->offset);
            place->unsealed = false;
        }
        return 1;
    }
    if (stay) {
        return 0;
    }
    struct wal_segment *segment;
    cursor->error.code = 0;
    int rc = segment_pin(cursor->log, place->lsn, &segment, &cursor->error);
    if (rc < 0) {
        return cursor_explain(cursor, rc, place->lsn);
    }
    if (segment != group->segment) {
        segment_unpin(cursor->log, segment);
        return CURSOR_AGAIN; /* durable, truncated and gone since we looked */
    }
    cursor_park(cursor, place->lsn);
    rc = walk_start(walk, cursor->log, segment, &cursor->error);
    if (rc < 0) {
        segment_unpin(cursor->log, segment);
        return rc;
    }
    walk_jump(walk, group->offset);
    return 1;
}

int cursor_enter_unsealed(struct weir_cursor *cursor, bool stay)
{
    struct weir_log *log = cursor->log;
    struct cursor_place *place = &cursor->place;
    /* Acquire pairs with the release in reserve.c. */
    if (place->lsn > atomic_load_explicit(&log->marks.reserved, memory_order_acquire)) {
        return 0;
    }
    struct wal_group group = {0};
    if (!find_group(log, place->lsn, &group)) {
        return CURSOR_AGAIN;
    }
    int rc = stand_at(cursor, &group, stay);
    if (rc != 1) {
        return rc;
    }
    const uint8_t *bytes = walk_bytes(&place->walk);
    const uint8_t *end = bytes + group.size_bytes;
    const uint8_t *at = place->at;
    if (!place->unsealed) {
        weir_lsn lsn = group.first_lsn;
        at = skip_published(bytes + FORMAT_GROUP_HEADER_BYTES, end, &lsn, place->lsn);
        if (lsn < place->lsn) {
            cursor_park(cursor, place->lsn); /* what is in front of it is not there yet */
            return 0;
        }
    }
    place->unsealed = true;
    place->at = at;
    place->time_ns = group.time_ns;
    place->end_lsn = place->lsn;
    place->end = skip_published(at, end, &place->end_lsn, group.first_lsn + group.record_count);
    return place->at < place->end ? 1 : 0;
}

weir_lsn cursor_unsealed_time(struct weir_log *log, uint64_t time_ns, weir_lsn from)
{
    base_lock_acquire(&log->tail.lock);
    struct ring_view view = view_ring(log);
    weir_lsn lsn = log->tail.next_lsn;
    for (uint64_t i = view.first; i < view.end; i++) {
        const struct wal_group *group = group_at(log, i);
        if (group->record_count > 0 && group->time_ns >= time_ns && group->first_lsn >= from) {
            lsn = group->first_lsn;
            break;
        }
    }
    base_lock_release(&log->tail.lock);
    return lsn;
}
