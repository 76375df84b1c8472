/*
 * Rows: from the keys that a system has found to the rows of the engine, as of the same position.
 *
 * Happy path: keep the system still; let it name its keys, which are copied; begin a view of the
 * engine as of the system's position; let the system go on; get the rows from the view, some at a
 * time: while one is waited for, the memory of the next ones is on its way.
 *
 * Failure modes: a key that is not there as of the position: the system is not what its events
 * made of it, or has forgotten one: WEIR_E_STATE, with the name and the key, never a row less.
 *
 * Invariants: the view begins before the system may move, so that both show one moment. A row's
 * bytes are lent by the view, which ends with the rows.
 */
#include "derived/host.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <weir/rows.h>

#define CHUNK_BYTES ((size_t)64 << 10)
#define AHEAD 32u /* rows that are got at a time; at first fewer, for who wants the best alone */
#define AHEAD_AT_FIRST 8u
#define AHEAD_LEAST 4u /* what it is worth it for */

struct chunk {
    struct chunk *next;
    size_t used, size;
    uint8_t bytes[];
};

struct found {
    double score;
    const uint8_t *key;
    size_t key_size;
    weir_table table;
};

struct weir_rows {
    struct chunk *chunks;
    struct found *found;
    size_t count, room, next;
    struct weir_read read;
    bool reading;
    struct weir_row ahead[AHEAD]; /* those of found[ahead_from] up to ahead_to */
    size_t ahead_from, ahead_to;
    struct weir_error error;
    char name[WEIR_STATE_NAME_MAX + 1];
};

/* ---- keys ---- */

static const uint8_t *copy_key(struct weir_rows *rows, struct weir_bytes key)
{
    struct chunk *chunk = rows->chunks;
    if (chunk == NULL || chunk->size - chunk->used < key.size) {
        size_t size = key.size > CHUNK_BYTES ? key.size : CHUNK_BYTES;
        chunk = base_alloc(sizeof *chunk + size);
        if (chunk == NULL) {
            return NULL;
        }
        *chunk = (struct chunk){.next = rows->chunks, .size = size};
        rows->chunks = chunk;
    }
    uint8_t *copy = chunk->bytes + chunk->used;
    if (key.size > 0) {
        memcpy(copy, key.data, key.size);
    }
    chunk->used += key.size;
    return copy;
}

static int grow(struct weir_rows *rows)
{
    size_t room = rows->room == 0 ? 64 : rows->room * 2;
    struct found *found = base_alloc_array(room, sizeof *found);
    if (found == NULL) {
        return -ENOMEM;
    }
    if (rows->count > 0) {
        memcpy(found, rows->found, rows->count * sizeof *found);
    }
    base_free(rows->found);
    rows->found = found;
    rows->room = room;
    return 0;
}

static int add(void *add_context, weir_table table, struct weir_bytes key, double score)
{
    struct weir_rows *rows = add_context;
    int rc = rows->count == rows->room ? grow(rows) : 0;
    const uint8_t *copy = rc == 0 ? copy_key(rows, key) : NULL;
    if (copy == NULL) {
        return -ENOMEM;
    }
    rows->found[rows->count++] = (struct found){score, copy, key.size, table};
    return 0;
}

/* ---- opening ---- */

static bool is_parked(struct weir_host *host, const char *name)
{
    base_lock_acquire(&host->lock);
    struct host_system *system = host_find(host, name);
    bool parked = system != NULL && system->parked != 0;
    base_lock_release(&host->lock);
    return parked;
}

/* With the system kept still. */
static int find_keys(struct weir_host *host, const char *name, weir_rows_find_fn find,
                     void *context, weir_lsn position, struct weir_rows *rows)
{
    if (is_parked(host, name)) {
        return WEIR_E_PARKED;
    }
    int rc = find(context, add, rows);
    if (rc >= 0) {
        rc = host_view_as_of(host->engine, position, &rows->read);
        rows->reading = rc == 0;
    }
    return rc;
}

int weir_rows_open(struct weir_host *host, const char *name, weir_rows_find_fn find, void *context,
                   struct weir_rows **ret_rows)
{
    weir_lsn position;
    if (host == NULL || name == NULL || find == NULL || ret_rows == NULL) {
        return -EINVAL;
    }
    struct weir_rows *rows = base_alloc_zero(sizeof *rows);
    if (rows == NULL) {
        return -ENOMEM;
    }
    rows->error = (struct weir_error)WEIR_ERROR_INIT;
    (void)snprintf(rows->name, sizeof rows->name, "%s", name);
    int rc = weir_host_read_begin(host, name, &position);
    if (rc == 0) {
        rc = find_keys(host, name, find, context, position, rows);
        weir_host_read_end(host, name);
    }
    if (rc < 0) {
        weir_rows_close(rows);
        return rc;
    }
    *ret_rows = rows;
    return 0;
}

void weir_rows_close(struct weir_rows *rows)
{
    if (rows == NULL) {
        return;
    }
    if (rows->reading) {
        weir_read_end(&rows->read);
    }
    while (rows->chunks != NULL) {
        struct chunk *chunk = rows->chunks;
        rows->chunks = chunk->next;
        base_free(chunk);
    }
    base_free(rows->found);
    base_free(rows);
}

/* ---- reading ---- */

static int miss(struct weir_rows *rows, const struct found *found)
{
    return host_error(&rows->error, WEIR_E_STATE,
                      "%s names the key \"%.*s\" of table %" PRIu32
                      ", which is not there as of LSN %" PRIu64,
                      rows->name, (int)(found->key_size < 100 ? found->key_size : 100),
                      (const char *)found->key, found->table, rows->read.as_of);
}

/* The rows of the next keys that are of one table. */
static void get_ahead(struct weir_rows *rows)
{
    struct weir_bytes keys[AHEAD];
    weir_table table = rows->found[rows->next].table;
    size_t most = rows->next == 0 ? AHEAD_AT_FIRST : AHEAD, count = 0;
    for (size_t i = rows->next; i < rows->count && count < most; i++) {
        if (rows->found[i].table != table) {
            break;
        }
        keys[count++] = (struct weir_bytes){rows->found[i].key, rows->found[i].key_size};
    }
    memset(rows->ahead, 0, count * sizeof rows->ahead[0]);
    (void)weir_get_batch(&rows->read, table, keys, count, rows->ahead); /* each may tell its own */
    rows->ahead_from = rows->next;
    rows->ahead_to = rows->next + count;
}

int weir_rows_next(struct weir_rows *rows, struct weir_row *ret_row)
{
    if (rows->next == rows->count) {
        return 0;
    }
    if (rows->next >= rows->ahead_to && rows->count - rows->next >= AHEAD_LEAST) {
        get_ahead(rows);
    }
    size_t at = rows->next++;
    const struct found *found = &rows->found[at];
    if (at < rows->ahead_to && rows->ahead[at - rows->ahead_from].lsn != WEIR_LSN_NONE) {
        *ret_row = rows->ahead[at - rows->ahead_from];
        return 1;
    }
    struct weir_bytes key = {found->key, found->key_size};
    int rc = weir_get(&rows->read, found->table, key, ret_row);
    if (rc == 0) {
        return miss(rows, found);
    }
    return rc < 0 ? host_error(&rows->error, rc, "%s", weir_error_text(rc)) : 1;
}

double weir_rows_score(const struct weir_rows *rows)
{
    return rows->next > 0 ? rows->found[rows->next - 1].score : 0;
}

weir_table weir_rows_table(const struct weir_rows *rows)
{
    return rows->next > 0 ? rows->found[rows->next - 1].table : WEIR_TABLE_DEFAULT;
}

uint64_t weir_rows_count(const struct weir_rows *rows)
{
    return rows->count;
}

weir_lsn weir_rows_lsn(const struct weir_rows *rows)
{
    return rows->read.as_of;
}

int weir_rows_error(const struct weir_rows *rows, struct weir_error *ret_error)
{
    if (rows == NULL || ret_error == NULL || ret_error->size != sizeof *ret_error) {
        return -EINVAL;
    }
    *ret_error = rows->error;
    return 0;
}
