/*
 * Segments: the table of the log's files, from the first retained ordinal to the spares, and who
 * stands on which. A segment's life:
 *
 *   spare    written with zeros (or recycled), has no valid header, has a window
 *   open     the one that is being written: its window is the memory that everybody reads
 *   sealed   its last group is a seal; its window stays while memory allows or somebody pins it,
 *            then readers get a read-only mapping of the file
 *   dropped  truncated or compacted away; freed when the last pin goes
 *
 * Threads: the table is under its lock. A pinned segment's base does not move.
 */
#ifndef WAL_SEGMENT_H
#define WAL_SEGMENT_H

#include "base/sync.h"
#include "wal/group.h"

#include <stdatomic.h>
#include <weir/error.h>
#include <weir/medium.h>

enum segment_state {
    SEGMENT_SPARE = 1,
    SEGMENT_OPEN = 2,
    SEGMENT_SEALED = 3,
};

/* Where every 16th record of a segment lies. While the segment is open only the commit leader adds
 * entries; readers use the first `count` of them. */
struct segment_directory {
    struct format_directory_entry *entries;
    struct le64 *lsns; /* of a compacted one; of others they follow from the base LSN */
    _Atomic uint32_t count;
    uint32_t capacity; /* 0: entries lie in the mapped seal group */
};

struct wal_segment {
    uint64_t ordinal;
    uint64_t first, last; /* its places: its ordinal, or of a compacted one the run it replaces */
    uint32_t block_bytes; /* alignment of its groups */
    enum segment_state state;
    uint32_t pins; /* under the table's lock */
    bool dropped;
    bool replaced;              /* dropped, as a compacted one has taken its place */
    struct group_chain start;   /* what its first group continues from; next_lsn = base LSN */
    uint32_t seal_offset;       /* sealed: offset of the seal group, and end of what precedes it */
    uint32_t seal_seed;         /* sealed: seed in force at the seal group */
    weir_lsn last_lsn;          /* sealed: last record, start.next_lsn - 1 when it has none */
    uint64_t last_time_ns;      /* sealed: of its last group */
    struct base_lock mapping;   /* held by the one that maps it, who has pinned it */
    struct weir_file *file;     /* open while there is a window or a mapping */
    struct weir_window *window; /* NULL without one */
    const uint8_t *base;        /* what readers read: the window's base or the mapping; or NULL */
    bool mapped;                /* base is a mapping of the file */
    bool frozen;  /* the window has become a view of the file, at the same addresses */
    bool copied;  /* base is memory of a reader process, which fills it from the file */
    bool durable; /* a spare: file and name are; nothing is written into it before */
    struct segment_directory directory;
    /* Groups in front of this offset were built or checked by this handle: none, all in front of
     * the seal, or all of the segment's bytes. Others are checked at first read and then marked in
     * `checked`: a bit for each block_bytes of them. */
    _Atomic uint32_t checked_end;
    uint32_t groups_end; /* where checked_end goes once all bits before it are set; 0: nowhere */
    _Atomic uint64_t *checked;
    _Atomic uint32_t checked_blocks; /* bits that are set */
    _Atomic uint32_t checked_singly; /* bytes of records that were checked without their group */
};

struct wal_segments {
    struct base_lock lock;
    struct wal_segment **slots; /* ascending, dense: slots[i]->last + 1 = slots[i + 1]->first */
    uint32_t count, capacity;
    uint32_t compacted; /* of them */
    uint32_t windows;   /* segments that have one */
    _Atomic uint64_t mapped_bytes;
    struct base_lock making; /* held by the one that makes the next segment ready */
    _Atomic bool next_ready; /* the segment behind the open one exists and has a window */
};

struct weir_log;

/* The segment that holds lsn, or the open one for LSNs that are not written yet; readable and
 * pinned. WEIR_E_TRUNCATED when it is gone; -errno when it cannot be mapped; WEIR_E_CUT_SHORT;
 * WEIR_E_DAMAGED (header). *why (may be NULL) gets the detail. */
int segment_pin(struct weir_log *log, weir_lsn lsn, struct wal_segment **ret_segment,
                struct weir_error *why);

/* The same, by ordinal; WEIR_E_TRUNCATED when there is none. */
int segment_pin_ordinal(struct weir_log *log, uint64_t ordinal, struct wal_segment **ret_segment,
                        struct weir_error *why);

/* The segment behind `segment`, which is sealed and pinned by the caller; pinned. */
int segment_pin_next(struct weir_log *log, const struct wal_segment *segment,
                     struct wal_segment **ret_segment, struct weir_error *why);

/* One more pin on a segment that the caller has pinned. */
void segment_pin_again(struct weir_log *log, struct wal_segment *segment);

void segment_unpin(struct weir_log *log, struct wal_segment *segment);

/* The first segment whose records may have a time >= time_ns (the open one if none); pinned. */
int segment_pin_time(struct weir_log *log, uint64_t time_ns, struct wal_segment **ret_segment,
                     struct weir_error *why);

/* All in front of this offset is checked, whatever `checked` says. */
static inline uint32_t segment_plain_end(const struct wal_segment *segment)
{
    /* Acquire pairs with the release in segment_distrust() (`checked` is there) and in
     * segment_set_checked() (all that was read to check it comes before). */
    return atomic_load_explicit(&segment->checked_end, memory_order_acquire);
}

static inline bool segment_is_plain(const struct wal_segment *segment, uint64_t end)
{
    return end <= segment_plain_end(segment);
}

/* Has the group that lies at this offset been checked since its bytes were mapped? */
static inline bool segment_is_checked(const struct wal_segment *segment, uint64_t offset)
{
    if (segment_is_plain(segment, offset + 1)) {
        return true;
    }
    if (segment->checked == NULL) {
        return false;
    }
    uint64_t bit = offset >> __builtin_ctz(segment->block_bytes);
    /* Acquire pairs with the release in segment_set_checked(). */
    uint64_t word = atomic_load_explicit(&segment->checked[bit / 64], memory_order_acquire);
    return (word >> (bit % 64) & 1) != 0;
}

/* Its memory is a file's from now on, and nothing of that was checked. -ENOMEM: there is no room
 * for marks, and groups are checked each time that they are entered. */
int segment_distrust(const struct weir_log *log, struct wal_segment *segment);

/* The group was checked: header, place and body, to its aligned end. */
void segment_set_checked(struct wal_segment *segment, uint32_t group_offset, uint32_t group_bytes);

/* The directory entry at or before lsn, which lies in this pinned segment and is durable: offsets
 * of a record and its group, and the record's LSN. */
struct segment_place {
    uint32_t record_offset, group_offset;
    weir_lsn lsn;
};
bool segment_find(const struct wal_segment *segment, weir_lsn lsn, struct segment_place *ret_place);

/* The directory entry at or before an offset. */
bool segment_find_offset(const struct wal_segment *segment, uint32_t offset,
                         struct segment_place *ret_place);

/* The LSN of an entry of a readable segment's directory. */
weir_lsn segment_entry_lsn(const struct wal_segment *segment, uint32_t index);

static inline bool segment_is_compacted(const struct wal_segment *segment)
{
    return format_is_compacted(segment->ordinal);
}

/* ---- for the files that make, roll and drop segments ---- */

/* A compacted one still needs its places. NULL: no memory. */
struct wal_segment *segment_new(const struct weir_log *log, uint64_t ordinal,
                                enum segment_state state);
void segment_free(struct weir_log *log, struct wal_segment *segment);

/* Gives back window or mapping, directory and file; the caller makes sure that nobody reads. */
void segment_release_memory(struct weir_log *log, struct wal_segment *segment);

/* By ordinal; the caller holds the table's lock. NULL when it is not in the table. */
struct wal_segment *segment_lookup(struct weir_log *log, uint64_t ordinal);

/* Makes the memory of a pinned segment readable. Errors as segment_pin(). */
int segment_make_readable(struct weir_log *log, struct wal_segment *segment,
                          struct weir_error *why);

/* Is exactly the run first..last in the table, all of it sealed? The caller holds its lock. */
bool segment_table_has_run(const struct weir_log *log, uint64_t first, uint64_t last);

/* Puts a compacted segment in the place of its run, which is in the table. Those that it replaces
 * are dropped: freed here unless they are pinned, else with the last pin. */
void segment_table_replace(struct weir_log *log, struct wal_segment *compacted);

/* Puts it behind the last one; in the second the caller holds the table's lock. -ENOMEM. */
int segment_table_add(struct weir_log *log, struct wal_segment *segment);
int segment_table_add_locked(struct weir_log *log, struct wal_segment *segment);
void segment_table_free(struct weir_log *log);

/* Room for the directory of a segment that is going to be written or walked. */
int segment_directory_alloc(const struct weir_log *log, struct wal_segment *segment);

void segment_release_directory(struct wal_segment *segment);

/* Adds the records of a valid group; *records counts those of the segment before and after. */
void segment_directory_add(struct wal_segment *segment, uint64_t *records, uint32_t group_offset,
                           const uint8_t *group, const struct group_header *header);

/* ---- segment_make.c ---- */

/* Makes sure that the segment behind the open one exists and has a window: creates the file when
 * it is not there. The caller holds `making`. 0; -ENOSPC and other -errno: nothing changed. */
int segment_ready_next(struct weir_log *log);

/* Opens and locks the file of a segment that will be written. */
int segment_open_file(struct weir_log *log, struct wal_segment *segment);

/* Creates one more spare at the end of the table. The caller holds `making`. */
int segment_create_spare(struct weir_log *log);

/* Gives the spares their windows, as many as window_bytes allows, and touches every page of them.
 * The caller holds `making`. */
int segment_warm(struct weir_log *log);

/* Gives a segment its window, making room within window_bytes first. The caller holds `making`. */
int segment_open_window(struct weir_log *log, struct wal_segment *segment);

/* The window of its file becomes the segment's, which has a directory and none yet. */
void segment_set_window(struct weir_log *log, struct wal_segment *segment,
                        struct weir_window *window);

#endif
