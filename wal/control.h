/*
 * CONTROL: what the log knows about itself (docs/FORMAT.md, 3). Encoding, choosing among the four
 * copies, and the update that survives a crash at every step.
 */
#ifndef WAL_CONTROL_H
#define WAL_CONTROL_H

#include "wal/format.h"

#include <weir/error.h>
#include <weir/medium.h>

#define CONTROL_NAME "CONTROL"
#define CONTROL_NEW_NAME "CONTROL.new" /* while it is being made */

/* One copy of CONTROL in native form. */
struct control {
    uint8_t uuid[FORMAT_UUID_BYTES];
    uint64_t generation;
    uint64_t epoch;
    uint64_t layout;
    weir_lsn first_lsn;
    uint64_t first_ordinal;
    weir_lsn horizon;
    weir_lsn witness_lsn;
    uint64_t witness_address;
    uint32_t witness_chain;
    uint32_t seed;
    uint32_t block_bytes;
    bool clean;
    uint64_t segment_bytes;
    uint64_t run_ahead_bytes;
    uint64_t group_bytes;
    uint64_t record_bytes;
    uint64_t created_ns;
    uint64_t written_ns;
    /* How many compactions there were: those of compacted segments FORMAT_COMPACTED_ORDINAL + n
     * with n below it count. And the run that the newest of them replaces. */
    uint64_t compact_next;
    uint64_t compact_first, compact_last;
};

/* Writes one copy. `block` holds FORMAT_BLOCK bytes. */
void control_encode(uint8_t *block, const struct control *control);

/* 0; WEIR_E_CONTROL (not a valid copy); WEIR_E_NEWER_FORMAT; WEIR_E_DAMAGED (CRC right, values
 * impossible). `block` holds FORMAT_BLOCK bytes. */
int control_decode(const uint8_t *block, struct control *ret_control);

/* The newest generation in two equal copies of `bytes` (FORMAT_CONTROL_BYTES; `size` of them were
 * there). Same results as control_decode(); *ret_valid is how many of the four copies are valid. */
int control_choose(const uint8_t *bytes, size_t size, struct control *ret_control, int *ret_valid);

/* Reads and chooses. Also -ENOENT and other -errno of the store; fills *why when not NULL. */
int control_load(struct weir_medium *medium, struct control *ret_control, struct weir_error *why);

/* Beside what may files and directories be made? 0; WEIR_E_NOT_A_LOG: a reader may have opened what
 * is not a log yet, and leaves it as it is; -errno. */
int control_check_there(struct weir_medium *medium);

/* Writes a new generation into an existing CONTROL: two copies, sync, two copies, sync. Raises
 * control->generation. Durable when 0; after -errno the old or the new one counts: the old one for
 * certain when generation was not raised. */
int control_store(struct weir_medium *medium, struct control *control);

/* Creates CONTROL as CONTROL.new, syncs, renames, syncs the directory: the last step of creation.
 */
int control_create(struct weir_medium *medium, struct control *control);

#endif
