/*
 * Compaction from the inside: for the files that begin with its name.
 *
 *   compact.c        the call: what each segment holds, which runs are worth it
 *   compact_step.c   one run: copied, checked, switched
 *   compact_room.c   the file that a step writes into
 */
#ifndef WAL_COMPACT_H
#define WAL_COMPACT_H

#include "wal/address_compact.h"
#include "wal/run_reader.h"

#define COMPACT_RUN_MAX 256u /* segments that are pinned together */

struct compaction {
    struct weir_log *log;
    const struct wal_address_compaction *request;
    struct wal_address_compaction_report *report;
    struct weir_error *why;
    uint64_t read_bytes, told_bytes;
    uint64_t all_bytes; /* that will be read: to look at each segment, to copy and to check */
    bool begun;         /* begin() was called */
    bool deletes_go;    /* nothing is left in front of the run that could be dropped */
    weir_lsn
        gap_end; /* of the gap that was met last in this pass: its first record stands for it */
};

/* Whether the record that was read stays: enum wal_address_verdict; < 0 ends it. */
int compact_judge(struct compaction *compaction, const struct run_reader *reader);

/* Tells throttle() now and then. 0, or what ends it. */
int compact_progress(struct compaction *compaction, const struct run_reader *reader);

/* A hold keeps records at or below the horizon: WEIR_E_HELD, with its name. */
int compact_check_holds(struct compaction *compaction);

/* What a step made. */
struct compact_made {
    uint64_t ordinal;
    uint64_t group_bytes; /* of its groups, without the seal */
    uint64_t kept, kept_deletes, dropped;
};

/* Replaces the run of segments with these ordinals. 0: done; 1: not, the run does not fit one
 * segment after all or is not there any more; negative: nothing has changed. */
int compact_run(struct compaction *compaction, const uint64_t *ordinals, uint32_t count,
                struct compact_made *ret_made);

/* ---- compact_room.c ---- */

/* Opens a file of a segment's size under the name of a compacted segment, locked; its bytes are
 * anything. From the reserve, else a new one, else a spare that is not needed at once. */
int compact_open_output(struct weir_log *log, uint64_t ordinal, struct weir_file **ret_file);

/* Nobody refers to that file: it becomes the reserve, or goes, as one that was not written well
 * does. */
void compact_drop_output(struct weir_log *log, uint64_t ordinal, bool failed);

/* Files of segments that were replaced: one becomes the reserve where there is none. */
void compact_dispose(struct weir_log *log, uint64_t ordinal, bool is_read);

#endif
