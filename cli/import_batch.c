/*
 * Collecting, storing and acknowledging rows.
 *
 * 1. Keys and values are copied behind one another, because the input moves what it has lent.
 * 2. A batch goes to the engine in one call; where it ended is remembered until it is durable.
 * 3. Durable batches are taken off the front of what is remembered: counted, acknowledged.
 *
 * Failures: those of the engine; a batch that failed was not stored, and stays for a look at it.
 *
 * Invariant: a batch fits the log's limit for a group, unless it is a single row.
 */
#include "cli/import_batch.h"

#include "base/alloc.h"

#include <weir/append.h>
#include <weir/maintain.h>

#include <errno.h>
#include <string.h>

#define ROW_OVERHEAD_BYTES 128u /* what the log and the engine add to a row, and more */
#define MAINTAIN_BYTES ((uint64_t)16 << 20)

int import_batch_init(struct import_batch *batch, struct engine *engine, size_t rows_max,
                      const struct weir_stat *stat)
{
    *batch = (struct import_batch){.engine = engine, .rows_max = rows_max};
    batch->record_bytes = stat->record_bytes;
    batch->used_max = stat->group_bytes / 2;
    batch->capacity = batch->used_max + stat->record_bytes + WEIR_KEY_BYTES_MAX;
    batch->writes = base_alloc_array(rows_max, sizeof *batch->writes);
    batch->bytes = base_pages_alloc(batch->capacity, 0);
    return batch->writes != NULL && batch->bytes != NULL ? 0 : -ENOMEM;
}

void import_batch_free(struct import_batch *batch)
{
    base_free(batch->writes);
    base_pages_free(batch->bytes, batch->capacity);
}

static size_t bytes_of(const struct import_row *row)
{
    return row->key.size + row->value.size + ROW_OVERHEAD_BYTES;
}

bool import_batch_has_room(const struct import_batch *batch, const struct import_row *row)
{
    return batch->count == 0 ||
           (bytes_of(row) <= batch->record_bytes && batch->used + bytes_of(row) <= batch->used_max);
}

bool import_batch_is_full(const struct import_batch *batch)
{
    return batch->alone || batch->count == batch->rows_max || batch->used >= batch->used_max;
}

static struct weir_bytes copy(char **target, struct weir_bytes bytes)
{
    char *start = *target;
    memcpy(start, bytes.data, bytes.size);
    *target += bytes.size;
    return (struct weir_bytes){start, bytes.size};
}

void import_batch_add(struct import_batch *batch, const struct import_row *row, uint64_t line)
{
    char *target = batch->bytes + batch->used;
    struct weir_write *write = &batch->writes[batch->count++];
    *write = (struct weir_write){.kind = WEIR_PUT, .table = batch->engine->table};
    write->key = copy(&target, row->key);
    write->value = copy(&target, row->value);
    batch->used += bytes_of(row);
    batch->alone = bytes_of(row) > batch->record_bytes;
    batch->line = line;
}

void import_batch_clear(struct import_batch *batch)
{
    batch->count = 0;
    batch->used = 0;
}

/* ---- what is durable ---- */

static void take_durable(struct import_batch *batch, weir_lsn durable)
{
    while (batch->pending_begin < batch->pending_end) {
        const struct import_pending *oldest =
            &batch->pending[batch->pending_begin % IMPORT_PENDING_MAX];
        if (oldest->lsn > durable) {
            break;
        }
        batch->stored += oldest->rows;
        batch->durable = oldest->lsn;
        batch->pending_begin++;
        if (batch->out != NULL) {
            struct json json;
            json_begin(&json, batch->out);
            json_u64(&json, "line", oldest->line);
            json_u64(&json, "lsn", oldest->lsn);
            json_end(&json);
        }
    }
    if (batch->out != NULL) {
        output_flush(batch->out);
    }
}

int import_batch_settle(struct import_batch *batch, bool wait)
{
    struct weir_log *log = batch->engine->log;
    weir_lsn durable = weir_durable_lsn(log);
    int rc = 0;
    if (batch->pending_begin < batch->pending_end && wait) {
        const struct import_pending *newest =
            &batch->pending[(batch->pending_end - 1) % IMPORT_PENDING_MAX];
        rc = weir_wait(log, newest->lsn, WEIR_WAIT_FOREVER);
        durable = weir_durable_lsn(log);
    } else if (batch->durability == WEIR_GROUP) {
        rc = weir_process(log, &durable);
    }
    take_durable(batch, durable);
    return rc;
}

/* A checkpoint that fails costs time at the next open, and no row. */
static void maintain(struct import_batch *batch)
{
    batch->bytes_behind += batch->used;
    if (batch->bytes_behind >= MAINTAIN_BYTES) {
        batch->bytes_behind = 0;
        (void)weir_engine_maintain(batch->engine->engine, NULL);
    }
}

int import_batch_store(struct import_batch *batch)
{
    weir_lsn first;
    if (batch->count == 0) {
        return 0;
    }
    int rc = weir_engine_write_batch(batch->engine->engine, batch->writes, batch->count,
                                     batch->durability, &first);
    if (rc < 0) {
        return rc;
    }
    if (batch->first == WEIR_LSN_NONE) {
        batch->first = first;
    }
    batch->bytes_stored += batch->used - batch->count * ROW_OVERHEAD_BYTES;
    batch->pending[batch->pending_end % IMPORT_PENDING_MAX] =
        (struct import_pending){batch->line, first + batch->count - 1, batch->count};
    batch->pending_end++;
    maintain(batch);
    import_batch_clear(batch);
    bool full = batch->pending_end - batch->pending_begin == IMPORT_PENDING_MAX;
    return import_batch_settle(batch, full);
}
