/*
 * Cursors: lending records in place, group by group.
 *
 * Happy path of next(): a record lies between `at` and `end`: fill in what the caller gets, step
 * over it. The step is the last record's size while that guess is right, so that the next address
 * does not wait for a load. At the end of a group: is the next LSN sealed and durable? Then look at
 * the next group (checked once, walk.c), skip those without records, go to the next segment at a
 * seal.
 *
 * Failure modes: the LSN was truncated away (WEIR_E_TRUNCATED: seek to go on); a group is damaged
 * (WEIR_E_DAMAGED: none of it is lent, the next call says it again, a seek beyond it goes on); a
 * salvage wrote a gap here (WEIR_E_GAP: the same); a file is cut short or gone. A file that is cut
 * while it is mapped raises SIGBUS on the next access: its size is looked at again whenever a
 * cursor enters a segment, but not between two records, and the library installs no handler
 * unasked.
 *
 * Invariants: place.lsn counts every record, also the skipped ones; what lies before `end` is
 * sealed and durable, or published when that was asked for; the segment in place.walk is pinned.
 */
#include "wal/cursor.h"

#include "wal/finding.h"

#include <errno.h>

#define CACHE_LINE 64u
#define PREFETCH_BYTES 3072u
#define PREFETCH_MOST_BYTES 512u

/* ---- one record ---- */

/* As many lines as the record has, so that no header of mixed sizes is missed. */
static inline void prefetch_behind(const uint8_t *at, uint32_t stride)
{
    for (uint32_t line = 0; line < stride && line < PREFETCH_MOST_BYTES; line += CACHE_LINE) {
        __builtin_prefetch(at + PREFETCH_BYTES + line);
    }
}

/* A record that carries its LSN is lent without it. */
static __attribute__((noinline)) bool strip_number(struct weir_record *record)
{
    if (record->size < FORMAT_RECORD_NUMBER_BYTES) {
        return false;
    }
    record->lsn = le64_load(record->data);
    record->data = (const uint8_t *)record->data + FORMAT_RECORD_NUMBER_BYTES;
    record->size -= FORMAT_RECORD_NUMBER_BYTES;
    record->flags &= (uint16_t)~FORMAT_RECORD_NUMBERED;
    return true;
}

/* Fills in what is lent; returns the record's stride, or 0 when its size leaves the group. Only
 * somebody who writes into a mapped window can bring that about. *lsn: of the record, unless that
 * says so itself: then it becomes that. */
static inline uint32_t lend(const uint8_t *at, const uint8_t *end, weir_lsn *lsn, uint64_t time_ns,
                            struct weir_record *ret_record)
{
    const struct format_record *record = (const struct format_record *)at;
    uint32_t size = le32_load(&record->size);
    if (__builtin_expect(size - FORMAT_RECORD_HEADER_BYTES >
                             (uint64_t)(end - at) - FORMAT_RECORD_HEADER_BYTES,
                         0)) {
        return 0;
    }
    uint32_t stride = (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
    prefetch_behind(at, stride);
    ret_record->lsn = *lsn;
    ret_record->time_ns = time_ns;
    ret_record->data = at + FORMAT_RECORD_HEADER_BYTES;
    ret_record->size = size - FORMAT_RECORD_HEADER_BYTES;
    ret_record->user = le32_load(&record->user);
    ret_record->type = le16_load(&record->type);
    ret_record->flags = le16_load(&record->flags);
    if (__builtin_expect((ret_record->flags & FORMAT_RECORD_NUMBERED) != 0, 0)) {
        bool stripped = strip_number(ret_record);
        *lsn = ret_record->lsn;
        return stripped ? stride : 0;
    }
    return stride;
}

static inline bool is_skipped(const struct weir_cursor *cursor, const struct weir_record *record)
{
    return __builtin_expect((record->flags & WEIR_RECORD_VOID) != 0, 0) && !cursor->with_void;
}

/* A gap that the caller did not ask to be lent: it must not be passed silently. */
static inline bool is_refused(const struct weir_cursor *cursor, const struct weir_record *record)
{
    return __builtin_expect((record->flags & WEIR_RECORD_GAP) != 0, 0) && !cursor->with_gaps;
}

/* ---- errors ---- */

void cursor_begin_view(struct weir_cursor *cursor)
{
    /* Acquire pairs with the release of who has compacted: the marks below have moved, too. */
    cursor->compactions =
        atomic_load_explicit(&cursor->log->marks.compactions, memory_order_acquire);
}

/* Below the horizon, in the compacted view: a compaction since the cursor was placed may have
 * dropped a delete that goes with a put which the cursor has lent. */
static bool was_compacted_under(struct weir_cursor *cursor, weir_lsn lsn)
{
    const struct wal_marks *marks = &cursor->log->marks;
    uint64_t compactions = atomic_load_explicit(&marks->compactions, memory_order_acquire);
    if (compactions == cursor->compactions) {
        return false;
    }
    if (lsn <= atomic_load_explicit(&marks->compacted, memory_order_relaxed)) {
        return true;
    }
    cursor->compactions = compactions; /* it is behind all that was dropped */
    return false;
}

int cursor_check_retained(struct weir_cursor *cursor, weir_lsn lsn)
{
    struct weir_log *log = cursor->log;
    weir_lsn earliest = log_earliest(log);
    weir_lsn horizon = atomic_load_explicit(&log->marks.horizon, memory_order_relaxed);
    int rc = 0;
    if (lsn < earliest) {
        rc = log_error(&cursor->error, WEIR_E_TRUNCATED, NULL, UINT64_MAX,
                       "LSN %llu lies below %llu, the earliest one that is retained",
                       (unsigned long long)lsn, (unsigned long long)earliest);
        return log_error_range(&cursor->error, rc, lsn, earliest - 1);
    }
    if (lsn > horizon) {
        return 0;
    }
    if (!cursor->compacted) {
        rc = log_error(&cursor->error, WEIR_E_HORIZON, NULL, UINT64_MAX,
                       "LSN %llu lies at or below the horizon %llu", (unsigned long long)lsn,
                       (unsigned long long)horizon);
    } else if (was_compacted_under(cursor, lsn)) {
        rc =
            log_error(&cursor->error, WEIR_E_HORIZON, NULL, UINT64_MAX,
                      "a compaction up to LSN %llu has overtaken the cursor at %llu: seek to begin "
                      "the compacted view again",
                      (unsigned long long)horizon, (unsigned long long)lsn);
    }
    return rc < 0 ? log_error_range(&cursor->error, rc, lsn, horizon) : 0;
}

/* Records from lsn on are lost; the first one that is not. Without evidence in this segment it is
 * the first one of the next. */
static weir_lsn end_of_damage(const struct segment_walk *walk, weir_lsn lsn)
{
    struct segment_walk probe = *walk;
    struct group_header header;
    while (walk_resync(&probe, &header)) {
        if (header.first_lsn >= lsn) {
            return header.first_lsn;
        }
    }
    if (walk->seal_offset == 0) {
        return log_durable(walk->log) + 1;
    }
    base_lock_acquire(&walk->log->segments.lock);
    weir_lsn end = walk->segment->last_lsn + 1;
    base_lock_release(&walk->log->segments.lock);
    return end;
}

int cursor_damaged(struct weir_cursor *cursor, const struct segment_walk *walk, weir_lsn lsn,
                   enum group_fault fault, const struct group_header *header)
{
    weir_lsn end;
    if (walk_header_is_right(fault) && header->kind == FORMAT_GROUP_DATA) {
        lsn = header->first_lsn;
        end = group_next_lsn(header);
    } else {
        end = end_of_damage(walk, lsn);
    }
    char name[FORMAT_NAME_BYTES];
    format_segment_name(walk->segment->ordinal, name);
    if (end <= lsn) {
        return log_error(&cursor->error, WEIR_E_DAMAGED, name, walk->offset,
                         "%s, offset %u: %s; it holds no record, LSN %llu follows", name,
                         walk->offset, group_fault_text(fault), (unsigned long long)lsn);
    }
    int rc =
        log_error(&cursor->error, WEIR_E_DAMAGED, name, walk->offset,
                  "%s, offset %u: %s; LSNs %llu to %llu are not readable", name, walk->offset,
                  group_fault_text(fault), (unsigned long long)lsn, (unsigned long long)(end - 1));
    return log_error_range(&cursor->error, rc, lsn, end - 1);
}

/* ---- from group to group ---- */

void cursor_park(struct weir_cursor *cursor, weir_lsn lsn)
{
    struct wal_segment *segment = cursor->place.walk.segment;
    cursor->place = (struct cursor_place){.lsn = lsn, .end_lsn = lsn};
    if (segment != NULL) {
        segment_unpin(cursor->log, segment);
    }
}

int cursor_refresh(struct weir_cursor *cursor, weir_lsn lsn)
{
    struct weir_log *log = cursor->log;
    weir_lsn durable = log_durable(log);
    int rc = 0;
    if (lsn > durable && log->reader != NULL) {
        rc = reader_refresh(log);
        durable = log_durable(log);
    }
    cursor->sealed = durable;
    /* Acquire pairs with the release in reserve.c. */
    if (cursor->published && lsn > durable &&
        (lsn == UINT64_MAX ||
         lsn <= atomic_load_explicit(&log->marks.reserved, memory_order_acquire))) {
        weir_lsn unsealed = cursor_first_unsealed(log);
        cursor->sealed = unsealed > durable + 1 ? unsealed - 1 : durable;
    }
    return rc < 0 ? log_error(&cursor->error, rc, NULL, UINT64_MAX, "the writer's log: %s",
                              weir_error_text(rc))
                  : 0;
}

/* The records of the segment that holds lsn. */
static void note_lost_segment(struct weir_cursor *cursor, int rc, weir_lsn lsn)
{
    struct wal_segments *table = &cursor->log->segments;
    base_lock_acquire(&table->lock);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct wal_segment *segment = table->slots[i];
        if (segment->state == SEGMENT_SEALED && segment->start.next_lsn <= lsn &&
            segment->last_lsn >= lsn) {
            log_error_range(&cursor->error, rc, segment->start.next_lsn, segment->last_lsn);
        }
    }
    base_lock_release(&table->lock);
}

int cursor_explain(struct weir_cursor *cursor, int rc, weir_lsn lsn)
{
    if (cursor->error.code != rc) {
        log_error(&cursor->error, rc, NULL, UINT64_MAX, "LSN %llu cannot be read: %s",
                  (unsigned long long)lsn, weir_error_text(rc));
    }
    if (rc != WEIR_E_TRUNCATED && cursor->error.from_lsn == WEIR_LSN_NONE) {
        note_lost_segment(cursor, rc, lsn);
    }
    return rc;
}

/* A compacted segment that has taken the place of the one that the walk leaves. */
static bool took_the_place(const struct wal_segment *next, const struct wal_segment *left)
{
    return segment_is_compacted(next) && next->first <= left->last;
}

int cursor_next_segment(struct weir_cursor *cursor, struct segment_walk *walk, weir_lsn lsn)
{
    struct weir_log *log = cursor->log;
    struct wal_segment *next;
    struct segment_walk behind;
    cursor->error.code = 0;
    lsn = segment_is_compacted(walk->segment) ? walk->segment->last_lsn + 1 : lsn;
    int rc = segment_pin_next(log, walk->segment, &next, &cursor->error);
    if (rc == 0) {
        rc = walk_start(&behind, log, next, &cursor->error);
        if (rc == 0 && behind.chain.next_lsn != lsn && !took_the_place(next, walk->segment)) {
            rc = cursor_damaged(cursor, walk, lsn, GROUP_LSN, NULL);
        }
        if (rc < 0) {
            segment_unpin(log, next);
        }
    }
    if (rc < 0) {
        return cursor_explain(cursor, rc, lsn);
    }
    segment_unpin(log, walk->segment);
    *walk = behind;
    return 0;
}

/* Enters a sealed group; its first records may have been lent while it was unsealed. */
static int enter(struct weir_cursor *cursor, const struct group_header *header)
{
    struct cursor_place *place = &cursor->place;
    const uint8_t *bytes = walk_bytes(&place->walk);
    if (!place->unsealed) {
        bool in_order = group_is_sparse(header) ? header->first_lsn >= place->lsn
                                                : header->first_lsn == place->lsn;
        if (!in_order) {
            return cursor_damaged(cursor, &place->walk, place->lsn, GROUP_LSN, header);
        }
        place->lsn = header->first_lsn;
        place->at = bytes + FORMAT_GROUP_HEADER_BYTES;
    }
    place->end = bytes + header->size_bytes;
    place->end_lsn = group_next_lsn(header);
    place->time_ns = header->time_ns;
    place->unsealed = false;
    walk_pass(&place->walk, header);
    return place->at < place->end ? 1 : CURSOR_AGAIN;
}

/* The open segment of a reader process was truncated before it was walked to its seal: behind its
 * last record the memory holds nothing that was checked, and place.lsn is elsewhere. */
static bool was_given_up(const struct weir_cursor *cursor)
{
    struct weir_log *log = cursor->log;
    const struct wal_segment *segment = cursor->place.walk.segment;
    if (log->reader == NULL) {
        return false;
    }
    base_lock_acquire(&log->segments.lock);
    bool given_up = segment->state == SEGMENT_SEALED && segment->seal_offset == 0 &&
                    cursor->place.lsn > segment->last_lsn;
    base_lock_release(&log->segments.lock);
    return given_up;
}

/* The walk is at a seal. Behind a compacted segment LSNs go on where its run ended. */
static int leave_segment(struct weir_cursor *cursor)
{
    struct cursor_place *place = &cursor->place;
    const struct wal_segment *segment = place->walk.segment;
    if (segment_is_compacted(segment) && place->lsn <= segment->last_lsn) {
        place->lsn = segment->last_lsn + 1;
    }
    int rc = cursor_next_segment(cursor, &place->walk, place->lsn);
    if (rc == 0 && place->walk.chain.next_lsn < place->lsn) {
        cursor_park(cursor, place->lsn); /* compacted meanwhile: looks whether it may stand there */
    }
    return rc < 0 ? rc : CURSOR_AGAIN;
}

/* One step towards the group of place.lsn, which is sealed: 1; 0 (with stay); CURSOR_AGAIN. */
static int enter_sealed(struct weir_cursor *cursor, bool stay)
{
    struct cursor_place *place = &cursor->place;
    struct segment_walk *walk = &place->walk;
    if (was_given_up(cursor)) {
        if (!stay) {
            cursor_park(cursor, place->lsn);
        }
        return stay ? 0 : CURSOR_AGAIN;
    }
    if (walk_at_seal(walk)) {
        return stay ? 0 : leave_segment(cursor);
    }
    struct group_header header;
    enum group_fault fault = walk_look(walk, &header);
    if (fault != GROUP_OK) {
        return cursor_damaged(cursor, walk, place->lsn, fault, &header);
    }
    if (header.kind == FORMAT_GROUP_DATA) {
        return enter(cursor, &header);
    }
    if (header.kind == FORMAT_GROUP_SEAL) {
        walk->seal_offset = walk->offset;
    } else {
        walk_pass(walk, &header);
    }
    return CURSOR_AGAIN;
}

/* place.lsn is not sealed as far as the cursor knew. */
static int look_again(struct weir_cursor *cursor, bool stay)
{
    int rc = cursor_refresh(cursor, cursor->place.lsn);
    if (rc < 0 || cursor->place.lsn <= cursor->sealed) {
        return rc < 0 ? rc : CURSOR_AGAIN;
    }
    if (cursor->published) {
        rc = cursor_enter_unsealed(cursor, stay);
    }
    return rc == 0 && cursor_arm(cursor) ? CURSOR_AGAIN : rc;
}

int cursor_advance(struct weir_cursor *cursor, bool stay)
{
    struct cursor_place *place = &cursor->place;
    int rc = CURSOR_AGAIN;
    while (rc == CURSOR_AGAIN) {
        if (place->at < place->end) {
            return 1;
        }
        rc = cursor_check_retained(cursor, place->lsn);
        if (rc < 0) {
            return rc;
        }
        if (place->lsn > cursor->sealed) {
            rc = look_again(cursor, stay);
        } else if (place->walk.segment == NULL) {
            rc = cursor_locate(cursor);
            rc = rc < 0 ? rc : CURSOR_AGAIN;
        } else {
            rc = enter_sealed(cursor, stay);
        }
    }
    return rc;
}

static int size_fault(struct weir_cursor *cursor)
{
    struct cursor_place *place = &cursor->place;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(place->walk.segment->ordinal, name);
    uint64_t offset = (uint64_t)(place->at - place->walk.segment->base);
    cursor->lent = false;
    int rc = log_error(&cursor->error, WEIR_E_DAMAGED, name, offset,
                       "%s, offset %llu: a record's size changed after it was checked", name,
                       (unsigned long long)offset);
    return log_error_range(&cursor->error, rc, place->lsn, place->end_lsn - 1);
}

/* The cursor stands at a gap record and stays there. */
static int refuse_gap(struct weir_cursor *cursor)
{
    const struct cursor_place *place = &cursor->place;
    weir_lsn lsn = place->lsn;
    struct weir_record gap = {.lsn = lsn};
    lend(place->at, place->end, &lsn, place->time_ns, &gap);
    weir_lsn to = gap.lsn + (gap.user > 0 ? gap.user : 1) - 1;
    const char *code = finding_gap_code(gap.type);
    char name[FORMAT_NAME_BYTES];
    format_segment_name(place->walk.segment->ordinal, name);
    cursor->lent = false;
    int rc = log_error(&cursor->error, WEIR_E_GAP, name,
                       (uint64_t)(place->at - place->walk.segment->base),
                       "LSNs %llu to %llu were lost before this log was made by a salvage (%s)",
                       (unsigned long long)gap.lsn, (unsigned long long)to,
                       code[0] != '\0' ? weir_finding_meaning(code) : "no reason was noted");
    return log_error_range(&cursor->error, rc, gap.lsn, to);
}

int cursor_settle(struct weir_cursor *cursor)
{
    struct cursor_place *place = &cursor->place;
    for (;;) {
        int rc = cursor_advance(cursor, false);
        if (rc != 1) {
            return rc;
        }
        struct weir_record record;
        weir_lsn lsn = place->lsn;
        uint32_t stride = lend(place->at, place->end, &lsn, place->time_ns, &record);
        if (stride == 0) {
            return size_fault(cursor);
        }
        if (!is_skipped(cursor, &record)) {
            return 1;
        }
        place->at += stride;
        place->lsn = lsn + 1;
    }
}

/* ---- next ---- */

/* Overtaken between two records of a group, perhaps? Loads of a line that hardly ever changes. */
static inline bool is_overtaken(const struct weir_cursor *cursor)
{
    const struct wal_marks *marks = &cursor->log->marks;
    weir_lsn lsn = cursor->place.lsn;
    return __builtin_expect(lsn < atomic_load_explicit(&marks->earliest, memory_order_relaxed) ||
                                lsn <= atomic_load_explicit(&marks->horizon, memory_order_relaxed),
                            0);
}

int weir_cursor_next(struct weir_cursor *cursor, struct weir_record *ret_record)
{
    struct cursor_place *place = &cursor->place;
    int rc = log_check(cursor->log);
    if (__builtin_expect(rc == 0 && is_overtaken(cursor), 0)) {
        rc = cursor_check_retained(cursor, place->lsn);
    }
    if (__builtin_expect(rc < 0, 0)) {
        cursor->lent = false;
        return rc;
    }
    for (;;) {
        if (__builtin_expect(place->at >= place->end, 0)) {
            cursor->lent = false;
            rc = cursor_advance(cursor, false);
            if (rc <= 0) {
                return rc;
            }
        }
        struct weir_record record;
        weir_lsn lsn = place->lsn;
        uint32_t stride = lend(place->at, place->end, &lsn, place->time_ns, &record);
        if (__builtin_expect(stride == 0, 0)) {
            return size_fault(cursor);
        }
        if (is_refused(cursor, &record)) {
            return refuse_gap(cursor);
        }
        stride = cursor_guess_stride(cursor->stride, stride);
        cursor->stride = stride;
        place->at += stride;
        place->lsn = lsn + 1;
        if (!is_skipped(cursor, &record)) {
            *ret_record = record;
            cursor->lent = true;
            return 1;
        }
    }
}

/* Lends what the group holds, up to max and up to a gap that is refused; returns how many, skipped
 * ones not counted. */
static int lend_run(struct weir_cursor *cursor, struct weir_record *records, int max,
                    bool *ret_refused)
{
    struct cursor_place *place = &cursor->place;
    const uint8_t *at = place->at, *end = place->end;
    weir_lsn lsn = place->lsn;
    uint64_t time_ns = place->time_ns;
    uint32_t guess = cursor->stride;
    int count = 0;
    while (at < end && count < max) {
        weir_lsn before = lsn;
        uint32_t stride = lend(at, end, &lsn, time_ns, &records[count]);
        *ret_refused = stride != 0 && is_refused(cursor, &records[count]);
        if (__builtin_expect(stride == 0 || *ret_refused, 0)) {
            lsn = before;
            break;
        }
        guess = cursor_guess_stride(guess, stride);
        at += guess;
        lsn++;
        count += is_skipped(cursor, &records[count]) ? 0 : 1;
    }
    place->at = at;
    place->lsn = lsn;
    cursor->stride = guess;
    return count;
}

int weir_cursor_next_batch(struct weir_cursor *cursor, struct weir_record *ret_records, int max)
{
    struct cursor_place *place = &cursor->place;
    cursor->lent = false;
    int rc = log_check(cursor->log);
    if (rc == 0 && is_overtaken(cursor)) {
        rc = cursor_check_retained(cursor, place->lsn);
    }
    if (rc < 0 || max < 1) {
        return rc < 0 ? rc : -EINVAL;
    }
    int count = 0;
    while (count < max) {
        rc = cursor_advance(cursor, count > 0);
        if (rc <= 0) {
            break;
        }
        weir_lsn before = place->lsn;
        bool refused = false;
        count += lend_run(cursor, ret_records + count, max - count, &refused);
        if (refused || place->lsn == before) {
            rc = refused ? refuse_gap(cursor) : size_fault(cursor);
            break;
        }
    }
    cursor->lent = count > 0;
    return count > 0 ? count : rc;
}

weir_lsn weir_cursor_position(const struct weir_cursor *cursor)
{
    return cursor->place.lsn;
}

int weir_cursor_error(const struct weir_cursor *cursor, struct weir_error *ret_error)
{
    if (cursor == NULL || ret_error == NULL || ret_error->size < sizeof *ret_error) {
        return -EINVAL;
    }
    size_t size = ret_error->size;
    *ret_error = cursor->error;
    ret_error->size = size;
    return 0;
}
