/*
 * Recovery: which run of groups the log is, and whether that may be believed (docs/RECOVERY.md).
 *
 *     struct recovery found;
 *     rc = recover_judge(medium, &control, &found, why);         changes nothing
 *     rc = repair_flush_tail(medium, &control, &found, why);     wal/repair.h, writer and reader
 *     ... control_store(): new epoch and seed, clean = false, witness = found.tail ...
 *     rc = repair_zero_window(medium, &control, &found, why);    writer
 *     ... only now appends, an epoch group first ...
 *     recover_free(&found);
 *
 * Between two of these steps the machine may crash any number of times: judging again gives the
 * same tail. Two rules make that so, and who writes has to keep them:
 *   - at or behind CONTROL's witness address only groups of CONTROL's epoch count (its epoch group
 *     comes first; a seal that closes a segment without room for one is let through);
 *   - a seal is written only when the file of the next ordinal is complete and durable, so a
 * missing or short file behind a seal is damage.
 *
 * No writer may live: beside one the tail moves while it is judged.
 */
#ifndef WAL_RECOVER_H
#define WAL_RECOVER_H

#include "wal/control.h"
#include "wal/group.h"
#include "wal/segment_header.h"

#include <weir/error.h>
#include <weir/medium.h>

/* One retained segment, as its header, the next one's header, or a walk know it. */
struct recovery_segment {
    uint64_t ordinal;
    uint64_t first_ordinal, last_ordinal; /* its places: its ordinal, or the run it replaces */
    struct group_chain start; /* what its first group continues from; next_lsn = base LSN */
    uint32_t seal_offset;     /* 0: not sealed; only the last one is not */
    uint32_t end_seal_offset; /* as the next header says: of a compacted one, the run's */
    uint32_t seal_seed;       /* seed in force at the seal */
    weir_lsn last_lsn;        /* start.next_lsn - 1 when it has no records */
    uint64_t last_time_ns;
    bool walked; /* every byte of its groups was checked just now */
};

/* Where the next group goes, and what the open segment holds in front of it. */
struct recovery_tail {
    uint64_t ordinal;
    uint32_t offset;
    bool has_header; /* false: offset is 8192, and the header is still to be written */
    bool has_file;   /* false: has_header is, too, and the file is still to be made */
    struct group_chain chain;
    uint64_t address;            /* of offset: the witness address to store */
    uint64_t last_group_address; /* 0: there is none */
    struct group_chain start;    /* what the open segment's first group continues from */
    uint64_t records, groups, payload_bytes; /* of the open segment */
    uint64_t first_time_ns;                  /* of its first record's group; 0 = it has no record */
    struct format_directory_entry *entries;  /* every FORMAT_DIRECTORY_STRIDE-th record */
    uint32_t entry_count;
};

/* The window that a writer is going to give the newest segment, where it is not the file. */
struct recovery_window {
    struct weir_medium *medium;
    struct weir_file *file;     /* open for writing, not locked */
    struct weir_window *window; /* NULL: there is none */
    uint64_t ordinal;
    uint32_t loaded; /* it holds the file's bytes up to here */
};

struct recovery {
    struct recovery_tail tail;
    struct recovery_window window; /* given back by recover_free() unless somebody took it out */
    struct recovery_segment *segments; /* by place, dense; the last one is the tail's */
    uint32_t segment_count;
    uint64_t *spares; /* behind the tail: dense, full size, no header that counts; ascending */
    uint32_t spare_count;
    uint64_t *leftovers; /* segment files to remove: dropped ones, and spares half made */
    uint32_t leftover_count;
    bool clean;         /* closed by its last writer: there is nothing to repair */
    uint64_t zero_from; /* address: from here to W behind x all but segment headers was read and is
                           zero, or no writer of this log has been there */
    weir_lsn witnessed; /* the last LSN that anything says was durable */
    uint64_t cut_bytes, cut_groups, cut_records;
    uint64_t scanned_bytes, scanned_records, scanned_segments;
    double seconds;
};

/*
 * Reads the directory, every retained header, and the end of the log. Changes nothing.
 *
 * Returns 0; WEIR_E_LOST, WEIR_E_HOLE, WEIR_E_ROLLED_BACK, WEIR_E_DAMAGED, WEIR_E_CUT_SHORT (by the
 * table in verdict.h, *why says all of it); WEIR_E_NEWER_FORMAT; -ENOMEM; other -errno of the
 * store.
 */
int recover_judge(struct weir_medium *medium, const struct control *control,
                  struct recovery *ret_recovery, struct weir_error *why);

/* What goes on beside the search behind x, which waits for the medium more than it computes. */
struct recovery_beside {
    /* Where the log ends is known, and whether it may be opened is not: tail, segments, spares and
     * window are there, and what is taken out of them stays taken. What lies in front of x does not
     * change any more; nothing of it may be shown to anybody before recovery says 0. Not called
     * where the end is not an ordinary one, or there is no window. */
    void (*found)(void *context, struct recovery *recovery);
    void *context;
};

/* The same for a writer: what is read of the newest segment is left in a window of it, so that it
 * need not be read again. No window comes when it cannot be had: who opens it then says why. */
int recover_judge_for_writer(struct weir_medium *medium, const struct control *control,
                             const struct recovery_beside *beside, struct recovery *ret_recovery,
                             struct weir_error *why);

/* Walks every retained segment that recover_judge() did not. Same results. Adds to the counts. */
int recover_verify_all(struct weir_medium *medium, const struct control *control,
                       struct recovery *recovery, struct weir_error *why);

/* Frees the lists. Accepts one that is all zero. */
void recover_free(struct recovery *recovery);

#endif
