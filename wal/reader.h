/*
 * Reading a log from another process than its writer: beside a live one, and after it went.
 *
 *   EMPTY      nothing was ever written here: CONTROL does not exist yet
 *   IDLE       no writer; the end was judged as recovery does, and is what the next writer keeps
 *   FOLLOWING  a writer lives: the live page says how far durable is; without a page, the durable
 *              LSNs in the group headers prove it
 *
 * Sealed segments are read through mappings whose files are locked shared (the writer unlinks such
 * a file instead of writing over it). The open one is never mapped: what is durable of it is read
 * into memory of our own, group by group, each checked before it is shown.
 *
 * Files: reader.c (states), reader_page.c (the live page), reader_walk.c (the open segment),
 * reader_table.c (the table of segments, truncation).
 */
#ifndef WAL_READER_H
#define WAL_READER_H

#include "wal/live.h"
#include "wal/log.h"

/* Read-only open, once the medium is there. Fills log->report. The handle is not usable on failure
 * but log_free() accepts it. Errors as weir_log_open(). */
int reader_open(struct weir_log *log, const struct weir_log_options *options,
                struct weir_error *why);
void reader_close(struct weir_log *log);

/* ---- for segment.c ---- */

/* Locks the file of a sealed segment shared, waiting for a writer that is about to let go of it.
 * 0; WEIR_E_TRUNCATED (it is being recycled); WEIR_E_LOCKED; -errno. */
int reader_lock_sealed(struct weir_log *log, uint64_t ordinal, struct weir_file *file,
                       struct weir_error *why);

/* A pinned segment's file was not there or not its own. Learns what CONTROL says by now. If it was
 * truncated meanwhile: WEIR_E_TRUNCATED; else returns rc, and the segment may have been replaced.
 */
int reader_explain_missing(struct weir_log *log, const struct wal_segment *segment, int rc,
                           struct weir_error *why);

/* ---- between the reader's files ---- */

enum reader_state {
    READER_EMPTY,
    READER_IDLE,
    READER_FOLLOWING,
};

/* A mapped page; threads that sleep on it keep it mapped. Counted under reader->lock. */
struct reader_page {
    struct base_shared_page shared;
    uint32_t users;
};

struct wal_reader {
    struct base_lock lock; /* one thread at a time changes what is below */
    enum reader_state state;
    bool opened;                     /* the open report is final */
    int verdict;                     /* IDLE: why the end was refused, or 0 */
    struct weir_log_options options; /* for a log that is created later */
    struct reader_page *page;        /* FOLLOWING: NULL without one */
    uint32_t seen_sequence;          /* of the page, before its marks were last loaded */
    bool starting;                   /* a writer holds LOCK and has no page yet, */
    uint64_t starting_since_ns;      /* since then */
    uint64_t writer_checked_ns, control_checked_ns;

    /* The walk through the open segment. */
    struct wal_segment *segment; /* NULL: the table is empty */
    struct group_chain chain;    /* of what was walked */
    uint64_t offset;             /* walked up to here */
    uint64_t loaded;             /* and read up to here */
    uint64_t records;            /* of the segment, so far */
    weir_lsn proven;             /* largest durable LSN in a header that was walked */
    uint64_t walked_bytes, walked_records;
};

/* reader_page.c */

/* Maps the page of this log's uuid if it is the one of the writer that CONTROL names: same uuid,
 * boot, epoch and seed. NULL when there is none. */
struct reader_page *reader_page_open(const struct control *control);
void reader_page_release(struct reader_page *page); /* one user less */
bool reader_page_is_current(const struct reader_page *page, const struct control *control);

static inline struct live_page *reader_page_data(const struct reader_page *page)
{
    return page->shared.data;
}

/* reader_walk.c */

/* The walk goes on at the first group of this segment. */
void reader_walk_begin(struct wal_reader *reader, struct wal_segment *segment);

/* Walks valid groups up to `end_address` (UINT64_MAX: as far as they are valid), rolling into
 * further segments. 0; WEIR_E_DAMAGED (not valid below end_address); WEIR_E_CUT_SHORT; -errno. */
int reader_walk(struct weir_log *log, uint64_t end_address, struct weir_error *why);

static inline uint64_t reader_address(const struct weir_log *log)
{
    return log_address(log, log->reader->segment, log->reader->offset);
}

/* reader_table.c */

/* CONTROL, also while a writer stores it. */
int reader_load_control(struct weir_log *log, struct control *ret_control, struct weir_error *why);

/* Adds what has the places first..last from the headers: all but the last are sealed, that is open
 * and the walk begins in it. 0; WEIR_E_DAMAGED, WEIR_E_CUT_SHORT (no valid header); -errno. */
int reader_table_extend(struct weir_log *log, uint64_t first, uint64_t last,
                        struct weir_error *why);

/* Adds one open segment, whose header need not be there yet; the walk begins in it. */
int reader_table_add_open(struct weir_log *log, uint64_t ordinal, const struct group_chain *start);

/* The walk has passed the seal: the next segment is the open one. */
int reader_table_roll(struct weir_log *log, uint64_t seal_offset);

/* The next segment has a durable header, which says where the open one ends: goes on there, when
 * nobody stands on the open one. */
bool reader_table_skip(struct weir_log *log);

/* Gives back memory of sealed segments that nobody stands on: from now on they are mapped. */
void reader_table_trim(struct weir_log *log);

/* Takes over what CONTROL says: moves marks.earliest, drops segments below, puts compacted ones in
 * their place. reader->segment is NULL afterwards when the walk was overtaken. */
void reader_table_adopt(struct weir_log *log, const struct control *control);

/* Drops all segments, to build the table anew. */
void reader_table_clear(struct weir_log *log);

#endif
