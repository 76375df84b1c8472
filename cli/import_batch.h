/*
 * Rows that import stores together, and what of them is durable.
 *
 *     import_batch_add(&batch, &row, line);          // copies; has_room was asked before
 *     import_batch_store(&batch);                    // all of them or none
 *     import_batch_settle(&batch, wait);             // counts and acknowledges what is durable
 */
#ifndef CLI_IMPORT_BATCH_H
#define CLI_IMPORT_BATCH_H

#include "cli/engine.h"
#include "cli/import_line.h"

#include <weir/inspect.h>

#define IMPORT_PENDING_MAX 256u

/* A batch that was stored and may not be durable yet. */
struct import_pending {
    uint64_t line; /* its last one */
    weir_lsn lsn;  /* of its last row */
    uint64_t rows;
};

struct import_batch {
    struct engine *engine;
    enum weir_durability durability;
    struct output *out; /* where durable batches are acknowledged, or NULL */
    struct weir_write *writes;
    size_t count, rows_max;
    char *bytes; /* keys and values of writes */
    size_t used, used_max, capacity;
    size_t record_bytes; /* the log's limit; a row that may pass it goes alone */
    bool alone;          /* there is such a row */
    uint64_t line;       /* of the last row that was added */
    struct import_pending pending[IMPORT_PENDING_MAX];
    uint64_t pending_begin, pending_end;
    weir_lsn first, durable;       /* of this import; 0 = none */
    uint64_t stored, bytes_behind; /* durable rows; key and value bytes since maintenance */
    uint64_t bytes_stored;         /* of keys and values that were handed to the log */
};

/* Returns 0 or -ENOMEM. */
int import_batch_init(struct import_batch *batch, struct engine *engine, size_t rows_max,
                      const struct weir_stat *stat);
void import_batch_free(struct import_batch *batch);

bool import_batch_has_room(const struct import_batch *batch, const struct import_row *row);
bool import_batch_is_full(const struct import_batch *batch);
void import_batch_add(struct import_batch *batch, const struct import_row *row, uint64_t line);
void import_batch_clear(struct import_batch *batch);

/* Stores what was added and clears it; on failure it stays. Returns 0 or a negative error. */
int import_batch_store(struct import_batch *batch);

/* @param wait  until everything that was stored is durable. Returns 0 or a negative error. */
int import_batch_settle(struct import_batch *batch, bool wait);

#endif
