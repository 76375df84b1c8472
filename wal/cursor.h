/*
 * Cursors, seen from the inside: one struct, and the steps that the files of the cursor take from
 * each other.
 *
 *   cursor.c            next, next_batch, from group to group, damage
 *   cursor_published.c  groups that are not sealed yet
 *   cursor_seek.c       to an LSN or a time
 *   cursor_tail.c       waiting at the end, descriptors
 *   cursor_pin.c        keeping what was lent
 *   cursor_split.c      ranges for parallel readers
 *
 * A cursor stands in one segment, which it has pinned, between `at` and `end`: records that may be
 * read without asking anybody. Or it is parked: it only knows the LSN that it wants, because that
 * is not there yet or was not looked for yet.
 */
#ifndef WAL_CURSOR_H
#define WAL_CURSOR_H

#include "wal/walk.h"

/* Where a cursor stands. A seek that fails puts the old one back. */
struct cursor_place {
    const uint8_t *at;        /* header of the next record */
    const uint8_t *end;       /* behind the last record that may be read */
    weir_lsn lsn;             /* of the record at `at`, or the least that the next one can have */
    weir_lsn end_lsn;         /* of the record at `end`: counts `lsn` through the group */
    uint64_t time_ns;         /* of the group */
    bool unsealed;            /* the group was not sealed when it was entered; walk stands at it */
    struct segment_walk walk; /* behind the group; walk.segment NULL: parked */
};

struct weir_cursor {
    struct weir_log *log;
    struct cursor_place place;
    uint32_t stride; /* of the last record: a guess at the next one's */
    bool lent;       /* the last call lent something, from place.walk.segment */
    bool published, with_void, compacted, with_gaps;
    uint64_t compactions; /* marks.compactions when it was placed */
    weir_lsn sealed;      /* groups that hold LSNs up to here are sealed and may be shown */
    struct weir_error error;

    int event_fd;                     /* -1 until weir_cursor_eventfd() */
    _Atomic uint32_t armed;           /* 1: caught up, the next move of durable signals */
    struct weir_cursor *next_on_tail; /* under tailers.lock */
};

/* The processor goes on with the guess while the size that would tell is still being loaded: a
 * branch is predicted, a value is not. The empty statement hides from the compiler that both are
 * the same when they are equal, or it would use the loaded one. */
static inline uint32_t cursor_guess_stride(uint32_t guess, uint32_t stride)
{
    uint32_t hidden = guess;
    __asm__("" : "+r"(hidden));
    if (__builtin_expect(guess != stride, 0)) {
        __asm__ volatile("" : "+r"(stride)); /* a branch, not a conditional move */
        return stride;
    }
    return hidden;
}

/* Sees to it that a record lies at `at`: 1; 0 (caught up, or, with stay, it lies in another
 * segment); WEIR_E_* with the detail in cursor->error. Without effect when `at` < `end`. */
int cursor_advance(struct weir_cursor *cursor, bool stay);

/* The same, past VOID records that are not asked for. */
int cursor_settle(struct weir_cursor *cursor);

/* 0, or why the cursor may not stand at lsn: WEIR_E_TRUNCATED, WEIR_E_HORIZON. */
int cursor_check_retained(struct weir_cursor *cursor, weir_lsn lsn);

/* Learns what is sealed by now, as far as it matters to who wants lsn; UINT64_MAX: all of it. 0;
 * errors of following another process. */
int cursor_refresh(struct weir_cursor *cursor, weir_lsn lsn);

/* Reports the damaged group at which the walk stands; returns WEIR_E_DAMAGED. */
int cursor_damaged(struct weir_cursor *cursor, const struct segment_walk *walk, weir_lsn lsn,
                   enum group_fault fault, const struct group_header *header);

/* Completes the detail of a segment that cannot be entered: in words, unless who found it did that,
 * and as LSNs. Clear cursor->error.code before. Returns rc. */
int cursor_explain(struct weir_cursor *cursor, int rc, weir_lsn lsn);

/* Gives the segment behind the walk's to the walk; unpins the old one. 0 or an error. It may be a
 * compacted one that begins further in front, when that has taken the place of the walk's. */
int cursor_next_segment(struct weir_cursor *cursor, struct segment_walk *walk, weir_lsn lsn);

/* What is read from here on is the log as it is compacted now. */
void cursor_begin_view(struct weir_cursor *cursor);

/* Stands nowhere and wants lsn. */
void cursor_park(struct weir_cursor *cursor, weir_lsn lsn);

/* ---- cursor_seek.c ---- */

/* Finds place.lsn, which is sealed, for a parked cursor. 0; WEIR_E_*; it stays parked then. */
int cursor_locate(struct weir_cursor *cursor);

int cursor_go(struct weir_cursor *cursor, weir_lsn lsn); /* weir_cursor_seek(), lsn > 0 */

/* ---- cursor_published.c ---- */

/* Enters the unsealed group that holds place.lsn: 1; 0 (not published yet, or other segment with
 * stay); CURSOR_AGAIN (it has been sealed meanwhile); errors of pinning. */
#define CURSOR_AGAIN 2
int cursor_enter_unsealed(struct weir_cursor *cursor, bool stay);

/* Groups below this LSN are sealed, although they may not be durable. */
weir_lsn cursor_first_unsealed(struct weir_log *log);

/* The first LSN at or behind `from` whose group is at time_ns or later; the next LSN if none. */
weir_lsn cursor_unsealed_time(struct weir_log *log, uint64_t time_ns, weir_lsn from);

/* ---- cursor_tail.c ---- */

/* The cursor has nothing to lend: arms its descriptor. True when durable has moved meanwhile. */
bool cursor_arm(struct weir_cursor *cursor);

void cursor_leave_tail(struct weir_cursor *cursor);

#endif
