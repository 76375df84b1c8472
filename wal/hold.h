/*
 * Holds: the files of holds/ (docs/FORMAT.md, 8), and the lock under which they are lowered and the
 * log is truncated. The public calls are in <weir/retain.h>.
 */
#ifndef WAL_HOLD_H
#define WAL_HOLD_H

#include "wal/format.h"

#include <weir/retain.h>

#define HOLD_DIRECTORY "holds"
#define HOLD_FILE_BYTES (2u * FORMAT_BLOCK)

struct hold_list {
    struct weir_hold *holds; /* in order of name */
    size_t count, capacity;
};

/* Letters, digits, '_', '-', '.', not starting with '.', 1 to WEIR_HOLD_NAME_MAX of them. */
bool hold_name_is_valid(const char *name);

/*
 * Takes holds/.lock, making it where it is missing: nobody creates or lowers a hold, and nobody
 * truncates, until hold_unlock(). Waits up to the log's lock_wait.
 * Returns 0; -ETIMEDOUT; -errno.
 */
int hold_lock(struct weir_log *log, struct weir_file **ret_file, struct weir_error *why);
void hold_unlock(struct weir_log *log, struct weir_file *file);

/* Reads all holds. WEIR_E_DAMAGED names the file that fails its checks; WEIR_E_NEWER_FORMAT;
 * -ENOMEM; -errno. An absent directory is an empty list. */
int hold_read_all(struct weir_log *log, struct hold_list *ret_list, struct weir_error *why);
void hold_list_free(struct hold_list *list);

/* Makes what the directory shows durable, for a writer that opens: a process that was killed while
 * it set a hold may have left it unflushed, and who lists holds relies on what is shown. Not those
 * that this process may not read. 0 or -errno. */
int hold_flush_all(struct weir_medium *medium, struct weir_error *why);

/* One slot, FORMAT_BLOCK bytes. Decoding: 0; WEIR_E_DAMAGED (not a valid slot of this name);
 * WEIR_E_NEWER_FORMAT. */
void hold_encode(uint8_t *slot, const struct weir_hold *hold, uint64_t generation,
                 uint32_t uuid_seed);
int hold_decode(const uint8_t *slot, const char *name, uint32_t uuid_seed,
                struct weir_hold *ret_hold, uint64_t *ret_generation);

#endif
