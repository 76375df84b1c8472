/*
 * Backup from the inside: for the files that begin with its name only.
 *
 *   backup.c       both ends, the hold, from the call to CONTROL
 *   backup_copy.c  from group to group
 */
#ifndef WAL_BACKUP_H
#define WAL_BACKUP_H

#include "wal/cursor.h"
#include "wal/salvage.h"

#include <weir/backup.h>

struct backup {
    struct weir_log *log;
    const struct weir_backup_options *options;
    struct weir_backup_report *report;
    struct weir_error *why;
    struct salvage_target target;
    char hold[WEIR_HOLD_NAME_MAX + 1]; /* "": none was set */
    weir_lsn first;                    /* of the copy */
    weir_lsn to;                       /* at least up to here */
    uint64_t compacted;                /* ordinal of the compacted segment that is copied; 0 */
    uint64_t bytes, told_bytes;        /* copied; when progress was told last */
};

/* Copies the groups that hold LSNs from first to `to`; the writer has been started. 0; what
 * progress returned; WEIR_E_*; -errno. */
int backup_copy(struct backup *backup);

#endif
