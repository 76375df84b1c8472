/*
 * Opening, closing and moving a cursor: to an LSN, to a time, to either end.
 *
 * Happy path to an LSN: the table of segments says which segment (binary search), its directory
 * gives a record at most 16 in front, the rest is a walk. What is not sealed yet is not looked for:
 * the cursor is parked at the LSN and looks when it is there. To a time: a binary search over the
 * segments, one over the directory, then from group to group to the first LSN at or behind that
 * time; then to this LSN.
 *
 * Failure modes: the LSN was truncated away; it lies in a damaged group (WEIR_E_DAMAGED). Damage in
 * front of it, in the same stretch of the directory, is stepped over. A seek that fails leaves the
 * cursor where it was.
 *
 * Invariants: a group found by jumping is checked as any other before a record of it is lent; a
 * damaged group whose time is not known is never taken to be outside of what was asked for.
 */
#include "base/alloc.h"
#include "base/event_fd.h"
#include "wal/cursor.h"

#include <errno.h>
#include <string.h>

/* ---- to an LSN ---- */

/* Of the record at `at`, which lies behind the one with `lsn`; at the end, that of the group. */
static weir_lsn lsn_behind(const struct group_header *header, weir_lsn lsn, const uint8_t *at,
                           const uint8_t *end)
{
    if (!group_is_numbered(header)) {
        return lsn + 1;
    }
    return at < end ? format_record_number((const struct format_record *)at)
                    : group_next_lsn(header);
}

/* From the start of a sealed data group to the record place->lsn of it; where LSNs are sparse, to
 * the first one behind that. */
static int stand_in(struct weir_cursor *cursor, struct segment_walk *walk,
                    const struct group_header *header, const struct segment_place *known)
{
    struct cursor_place *place = &cursor->place;
    const uint8_t *bytes = walk_bytes(walk);
    const uint8_t *at = bytes + FORMAT_GROUP_HEADER_BYTES;
    const uint8_t *end = bytes + header->size_bytes;
    weir_lsn lsn = header->first_lsn;
    if (known->group_offset == walk->offset && known->lsn >= lsn && known->lsn <= place->lsn &&
        known->record_offset - walk->offset < header->size_bytes) {
        at = walk->segment->base + known->record_offset;
        lsn = known->lsn;
    }
    lsn = group_is_numbered(header) ? format_record_number((const struct format_record *)at) : lsn;
    while (lsn < place->lsn) {
        uint32_t size = le32_load(&((const struct format_record *)at)->size);
        if (size < FORMAT_RECORD_HEADER_BYTES || size > (uint64_t)(end - at)) {
            return cursor_damaged(cursor, walk, place->lsn, GROUP_RECORDS, header);
        }
        uint32_t stride = (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
        cursor->stride = cursor_guess_stride(cursor->stride, stride);
        at += cursor->stride;
        lsn = lsn_behind(header, lsn, at, end);
    }
    if (at >= end) {
        return cursor_damaged(cursor, walk, place->lsn, GROUP_RECORDS, header);
    }
    place->lsn = lsn; /* further behind, when the one that was wanted is gone */
    place->at = at;
    place->end = end;
    place->end_lsn = group_next_lsn(header);
    place->time_ns = header->time_ns;
    place->unsealed = false;
    walk_pass(walk, header);
    place->walk = *walk;
    return 0;
}

/* Walks to the group that holds place->lsn, over damage in front of it. */
static int walk_to(struct weir_cursor *cursor, struct segment_walk *walk,
                   const struct segment_place *known)
{
    weir_lsn lsn = cursor->place.lsn;
    while (!walk_at_seal(walk)) {
        struct group_header header;
        struct segment_walk here = *walk;
        weir_lsn expected = walk->linked ? walk->chain.next_lsn : known->lsn;
        enum group_fault fault = walk_look(walk, &header);
        if (fault == GROUP_OK && group_next_lsn(&header) > lsn) {
            /* Sparse, and the one before ends in front of it: there is no such LSN any more. */
            bool is_next = header.first_lsn <= lsn || (group_is_sparse(&header) && walk->linked);
            return is_next ? stand_in(cursor, walk, &header, known)
                           : cursor_damaged(cursor, walk, lsn, GROUP_LSN, &header);
        }
        if (fault == GROUP_OK) {
            walk_pass(walk, &header);
            continue;
        }
        if (walk_header_is_right(fault) && group_is_sparse(&header) &&
            group_next_lsn(&header) <= lsn) {
            walk_pass(walk, &header); /* its header says that the LSN is not in it */
            continue;
        }
        struct group_header behind;
        if (!walk_resync(walk, &behind) || behind.first_lsn > lsn) {
            return cursor_damaged(cursor, &here, expected, fault, &header);
        }
    }
    if (segment_is_compacted(walk->segment) && walk->linked) {
        cursor->place.walk = *walk; /* behind the last record that was kept: the next segment's */
        return 0;
    }
    return cursor_damaged(cursor, walk, lsn, GROUP_LSN, NULL);
}

int cursor_locate(struct weir_cursor *cursor)
{
    struct weir_log *log = cursor->log;
    weir_lsn lsn = cursor->place.lsn;
    struct wal_segment *segment;
    struct segment_walk walk;
    cursor->error.code = 0;
    int rc = segment_pin(log, lsn, &segment, &cursor->error);
    if (rc < 0) {
        return cursor_explain(cursor, rc, lsn);
    }
    if (segment_is_compacted(segment)) { /* since it was last asked whether the cursor may */
        rc = cursor_check_retained(cursor, lsn);
    }
    rc = rc < 0 ? rc : walk_start(&walk, log, segment, &cursor->error);
    if (rc == 0) {
        struct segment_walk start = walk;
        struct segment_place known = {.lsn = walk.chain.next_lsn};
        bool jumps = segment_find(segment, lsn, &known);
        if (jumps) {
            walk_jump(&walk, known.group_offset);
        }
        rc = walk_to(cursor, &walk, &known);
        if (rc == WEIR_E_DAMAGED && jumps) {
            rc = walk_to(cursor, &start, &known); /* from the start: where the damage begins */
        }
    }
    if (rc < 0) {
        segment_unpin(log, segment);
        return cursor_explain(cursor, rc, lsn);
    }
    return 0;
}

static int go_once(struct weir_cursor *cursor, weir_lsn lsn)
{
    uint64_t compactions = cursor->compactions;
    cursor_begin_view(cursor);
    int rc = cursor_check_retained(cursor, lsn);
    if (rc < 0) {
        cursor->compactions = compactions;
        return rc;
    }
    struct cursor_place before = cursor->place;
    cursor->place = (struct cursor_place){.lsn = lsn, .end_lsn = lsn};
    rc = cursor_refresh(cursor, lsn);
    if (rc == 0 && lsn <= cursor->sealed) {
        rc = cursor_locate(cursor);
    }
    if (rc < 0) {
        cursor->place = before.lsn != WEIR_LSN_NONE ? before : cursor->place;
        cursor->compactions = compactions;
        return rc;
    }
    if (before.walk.segment != NULL) {
        segment_unpin(cursor->log, before.walk.segment);
    }
    return 0;
}

/* A compaction may get in between: then the view is another one. */
int cursor_go(struct weir_cursor *cursor, weir_lsn lsn)
{
    int rc;
    do {
        rc = go_once(cursor, lsn);
    } while (rc == WEIR_E_HORIZON && cursor->compacted);
    return rc;
}

/* Truncation may get in between: then the earliest is another one. */
static int go_to_earliest(struct weir_cursor *cursor)
{
    int rc;
    do {
        rc = cursor_go(cursor, log_earliest(cursor->log));
    } while (rc == WEIR_E_TRUNCATED);
    return rc;
}

int weir_cursor_seek(struct weir_cursor *cursor, weir_lsn lsn)
{
    int rc = log_check(cursor->log);
    if (rc < 0) {
        return rc;
    }
    cursor->lent = false;
    return lsn == WEIR_LSN_NONE ? go_to_earliest(cursor) : cursor_go(cursor, lsn);
}

/* ---- to a time ---- */

/* The time of the group at an entry of the directory; false when the group is damaged. */
static bool entry_time(const struct segment_walk *walk, uint32_t index, uint64_t *ret_time_ns)
{
    struct segment_walk probe = *walk;
    struct group_header header;
    walk_jump(&probe, le32_load(&walk->segment->directory.entries[index].group_offset));
    if (walk_peek(&probe, &header) != GROUP_OK) {
        return false;
    }
    *ret_time_ns = header.time_ns;
    return true;
}

/* Jumps to the last group of the directory whose time is below time_ns, if there is one. Entries
 * of damaged groups are passed over: the next one behind decides. */
static void jump_below(struct segment_walk *walk, uint64_t time_ns, weir_lsn sealed)
{
    const struct segment_directory *directory = &walk->segment->directory;
    weir_lsn base = walk->chain.next_lsn;
    uint32_t low = 0, high = atomic_load_explicit(&directory->count, memory_order_acquire);
    if (base > sealed) {
        return;
    }
    uint64_t sealed_entries = (sealed - base) / FORMAT_DIRECTORY_STRIDE + 1;
    high = high < sealed_entries ? high : (uint32_t)sealed_entries;
    uint32_t found = UINT32_MAX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t index = middle;
        uint64_t time = 0;
        while (index < high && !entry_time(walk, index, &time)) {
            index++;
        }
        if (index < high && time < time_ns) {
            found = index;
            low = index + 1;
        } else {
            high = middle;
        }
    }
    if (found != UINT32_MAX) {
        walk_jump(walk, le32_load(&directory->entries[found].group_offset));
    }
}

/* The first LSN that may have time_ns, when the group at `next` is damaged too. */
static weir_lsn suspect_behind(weir_lsn suspect, enum group_fault fault,
                               const struct group_header *header, weir_lsn next, uint64_t time_ns)
{
    if (walk_header_is_right(fault)) {
        if (header->time_ns < time_ns) {
            return WEIR_LSN_NONE; /* and so has everything in front of it */
        }
        next = header->first_lsn;
    }
    return suspect != WEIR_LSN_NONE ? suspect : next;
}

/* The first LSN whose group may have time_ns or later, from where the walk stands; one past what is
 * sealed when there is none. The walk moves over segments: its pin is the caller's. */
static weir_lsn find_time(struct weir_cursor *cursor, struct segment_walk *walk, uint64_t time_ns)
{
    weir_lsn suspect = WEIR_LSN_NONE; /* first LSN of damage whose time is not known */
    weir_lsn next = walk->chain.next_lsn;
    while (next <= cursor->sealed) {
        struct group_header header;
        if (walk_at_seal(walk)) {
            int rc = cursor_next_segment(cursor, walk, next);
            if (rc < 0) {
                break; /* the seek to `next` meets it again */
            }
            continue;
        }
        enum group_fault fault = walk_look(walk, &header);
        if (fault != GROUP_OK) {
            suspect = suspect_behind(suspect, fault, &header, next, time_ns);
            if (!walk_resync(walk, &header)) {
                break;
            }
            next = header.first_lsn;
            continue;
        }
        if (header.kind == FORMAT_GROUP_SEAL) {
            walk->seal_offset = walk->offset;
            continue;
        }
        if (header.kind == FORMAT_GROUP_DATA) {
            if (header.time_ns >= time_ns) {
                next = header.first_lsn;
                break;
            }
            suspect = WEIR_LSN_NONE;
        }
        walk_pass(walk, &header);
        next = walk->chain.next_lsn;
    }
    return suspect != WEIR_LSN_NONE ? suspect : next;
}

static int find_time_in_log(struct weir_cursor *cursor, uint64_t time_ns, weir_lsn *ret_lsn)
{
    struct weir_log *log = cursor->log;
    struct wal_segment *segment;
    struct segment_walk walk;
    cursor->error.code = 0;
    if (cursor->sealed == WEIR_LSN_NONE) {
        *ret_lsn = 1; /* no record yet; after an interrupted creation, no segment either */
        return 0;
    }
    int rc = segment_pin_time(log, time_ns, &segment, &cursor->error);
    if (rc < 0) {
        return cursor_explain(cursor, rc, WEIR_LSN_NONE);
    }
    rc = walk_start(&walk, log, segment, &cursor->error);
    if (rc == 0) {
        jump_below(&walk, time_ns, cursor->sealed);
        *ret_lsn = find_time(cursor, &walk, time_ns);
        segment = walk.segment;
    }
    segment_unpin(log, segment);
    return rc;
}

static int go_to_time(struct weir_cursor *cursor, uint64_t time_ns)
{
    struct weir_log *log = cursor->log;
    int rc;
    do {
        weir_lsn lsn = WEIR_LSN_NONE;
        rc = cursor_refresh(cursor, UINT64_MAX);
        rc = rc < 0 ? rc : find_time_in_log(cursor, time_ns, &lsn);
        if (rc == 0 && cursor->published && lsn > cursor->sealed) {
            lsn = cursor_unsealed_time(log, time_ns, lsn);
        }
        weir_lsn earliest = log_earliest(log);
        rc = rc < 0 ? rc : cursor_go(cursor, lsn > earliest ? lsn : earliest);
    } while (rc == WEIR_E_TRUNCATED);
    return rc;
}

int weir_cursor_seek_time(struct weir_cursor *cursor, uint64_t time_ns)
{
    int rc = log_check(cursor->log);
    if (rc < 0) {
        return rc;
    }
    cursor->lent = false;
    return go_to_time(cursor, time_ns);
}

/* ---- open and close ---- */

/* Behind the last record that is visible now. */
static int go_to_latest(struct weir_cursor *cursor)
{
    struct cursor_place *place = &cursor->place;
    int rc = cursor_refresh(cursor, UINT64_MAX);
    cursor_park(cursor, cursor->sealed + 1);
    if (rc < 0 || !cursor->published) {
        return rc;
    }
    while ((rc = cursor_advance(cursor, false)) == 1) {
        place->at = place->end;
        place->lsn = place->end_lsn;
    }
    return rc;
}

static int go_to_start(struct weir_cursor *cursor, const struct weir_cursor_options *options)
{
    switch (options->from) {
    case WEIR_FROM_EARLIEST:
        return go_to_earliest(cursor);
    case WEIR_FROM_LSN:
        return options->lsn == WEIR_LSN_NONE ? go_to_earliest(cursor)
                                             : cursor_go(cursor, options->lsn);
    case WEIR_FROM_TIME:
        return go_to_time(cursor, options->time_ns);
    case WEIR_FROM_LATEST:
        return go_to_latest(cursor);
    default:
        return -EINVAL;
    }
}

/* A caller's struct may be older (shorter) or newer (longer, with zeros that mean nothing yet). */
static int take_options(const struct weir_cursor_options *given, struct weir_cursor_options *ret)
{
    *ret = (struct weir_cursor_options)WEIR_CURSOR_OPTIONS_INIT;
    if (given == NULL) {
        return 0;
    }
    const uint8_t *bytes = (const uint8_t *)given;
    uint8_t set = 0;
    for (size_t i = sizeof *ret; i < given->size; i++) {
        set |= bytes[i];
    }
    for (size_t i = 0; i < sizeof given->reserved; i++) {
        set |= given->reserved[i];
    }
    if (given->size < offsetof(struct weir_cursor_options, lsn) || set != 0) {
        return -EINVAL;
    }
    memcpy(ret, given, given->size < sizeof *ret ? given->size : sizeof *ret);
    return 0;
}

int weir_cursor_open(struct weir_log *log, const struct weir_cursor_options *given,
                     struct weir_cursor **ret_cursor)
{
    struct weir_cursor_options options;
    if (log == NULL || ret_cursor == NULL || take_options(given, &options) < 0) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    struct weir_cursor *cursor = base_alloc_zero(sizeof *cursor);
    if (cursor == NULL) {
        return -ENOMEM;
    }
    cursor->log = log;
    cursor->event_fd = -1;
    cursor->error = (struct weir_error)WEIR_ERROR_INIT;
    cursor->published = options.published && (log->flags & WEIR_LOG_READ_ONLY) == 0;
    cursor->with_void = options.with_void;
    cursor->compacted = options.compacted;
    cursor->with_gaps = options.with_gaps;
    atomic_fetch_add_explicit(&log->cursors, 1, memory_order_relaxed);
    rc = go_to_start(cursor, &options);
    if ((rc == WEIR_E_DAMAGED || rc == WEIR_E_CUT_SHORT) && cursor->place.lsn != WEIR_LSN_NONE) {
        rc = 0; /* next() says it again, with the detail, and a seek goes on behind it */
    }
    if (rc < 0) {
        weir_cursor_close(cursor);
        return rc;
    }
    *ret_cursor = cursor;
    return 0;
}

void weir_cursor_close(struct weir_cursor *cursor)
{
    if (cursor == NULL) {
        return;
    }
    struct weir_log *log = cursor->log;
    /* In a child of fork() the log's locks may be held for ever: only the memory is given back. */
    if (log_check(log) == 0) {
        cursor_leave_tail(cursor);
        cursor_park(cursor, cursor->place.lsn);
    }
    base_event_fd_close(cursor->event_fd);
    base_free(cursor);
    /* Release pairs with the acquire in weir_log_close(): the cursor is gone. */
    atomic_fetch_sub_explicit(&log->cursors, 1, memory_order_release);
}
