/* Writing to the engine: put, delete, conditions, batches.
 *
 *     weir_put(engine, table, key, value, WEIR_EACH, &lsn);     // durable when it returns 0
 *     weir_delete(engine, table, key, WEIR_EACH, &lsn);         // -ENOENT when it is not there
 *
 * Compare and put: only when the key's version is still the one that was read, or when the key must
 * be absent. Otherwise WEIR_E_CONFLICT, and nothing is appended:
 *
 *     struct weir_write write = {.kind = WEIR_PUT, .table = table, .key = key, .value = value,
 *                                .conditional = true, .expected = row.lsn};    // 0 = absent
 *     weir_engine_write(engine, &write, WEIR_EACH, &lsn);
 *
 * A batch is all or nothing, at every crash and for every snapshot:
 *
 *     weir_engine_write_batch(engine, writes, count, WEIR_EACH, &first_lsn);
 *
 * Every record says what it did (insert, update or delete: decided under the key's lock) and links
 * to the version before it. A write is visible to reads as soon as it is in the index, which may be
 * before it is durable; see enum weir_view in <weir/read.h>.
 *
 * Keys and values are copied before a call returns. Durability is as in <weir/types.h>; a write
 * that returns an error of the flush (WEIR_E_POISONED) has been appended and may or may not
 * survive.
 *
 * Threads: any. Writers of different keys run in parallel, writers of one key are put in order.
 * Every call answers WEIR_E_READ_ONLY on a read-only log and WEIR_E_FORKED in a child of fork().
 */
#ifndef WEIR_WRITE_H
#define WEIR_WRITE_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_write_kind {
    WEIR_PUT = 1,
    WEIR_DELETE = 2,
};

struct weir_write {
    enum weir_write_kind kind;
    weir_table table;
    struct weir_bytes key;
    struct weir_bytes value; /* of a put; may be empty, which is not absent */
    bool conditional;        /* only when the key is as expected says */
    weir_lsn expected;       /* LSN of the key's version; WEIR_LSN_NONE: must be absent */
};

/* Stores one change.
 *
 * @param engine      an open engine
 * @param write       what to do
 * @param durability  what is to be achieved before it returns
 * @param ret_lsn     NULL, or the LSN of the record, the key's new version. Set when it returns 0
 *                    only; when the wait for durability failed, the record is in the log and reads
 *                    show it all the same
 * Returns: 0; -ENOENT (delete of an absent key: nothing is appended); WEIR_E_CONFLICT; WEIR_E_KEY
 *   (0 bytes, or more than the limit); WEIR_E_TOO_BIG (key and value together); WEIR_E_NO_TABLE;
 *   WEIR_E_DISK_LOW; WEIR_E_INDEX_FULL; -ENOMEM; WEIR_E_DAMAGED (the version before cannot be
 *   read); -EINVAL; -EFBIG (the log has had 2^23 segments, more than an engine keeps apart: the
 *   record is in the log, and the engine takes no more); errors of weir_append().
 * Durability: see enum weir_durability.
 * Threads: any.
 * Blocks: as weir_append(), and while another writer changes the same key.
 * Allocates: nodes of the index.
 */
WEIR_EXPORT int weir_engine_write(struct weir_engine *engine, const struct weir_write *write,
                                  enum weir_durability durability, weir_lsn *ret_lsn);

/* Stores all changes or none, with consecutive LSNs. A key may occur more than once: the later one
 * is the newer version. A delete of an absent key makes the batch fail, as a condition does.
 *
 * @param engine         an open engine
 * @param writes         what to do, in order
 * @param count          1 to 2^16; the records as a whole must fit the log's group limit
 * @param durability     as for weir_engine_write()
 * @param ret_first_lsn  NULL, or the LSN of writes[0]
 * Returns: as weir_engine_write().
 * Durability: as weir_engine_write(); snapshots, cursors and recovery see all of it or nothing.
 * Threads: any.
 * Blocks: as weir_engine_write().
 * Allocates: about 80 bytes for each change, freed before it returns; nodes of the index.
 */
WEIR_EXPORT int weir_engine_write_batch(struct weir_engine *engine, const struct weir_write *writes,
                                        size_t count, enum weir_durability durability,
                                        weir_lsn *ret_first_lsn);

/* Puts a key, whether it is there or not.
 *
 * @param engine      an open engine
 * @param table       from weir_table_open(), or WEIR_TABLE_DEFAULT
 * @param key         1 to WEIR_KEY_BYTES_MAX bytes
 * @param value       any bytes, also none
 * @param durability  as for weir_engine_write()
 * @param ret_lsn     NULL, or the key's new version
 * Returns: as weir_engine_write().
 * Durability: as weir_engine_write().
 * Threads: any.
 * Blocks: as weir_engine_write().
 * Allocates: as weir_engine_write().
 */
WEIR_EXPORT int weir_put(struct weir_engine *engine, weir_table table, struct weir_bytes key,
                         struct weir_bytes value, enum weir_durability durability,
                         weir_lsn *ret_lsn);

/* Deletes a key that is there.
 *
 * @param engine      an open engine
 * @param table       from weir_table_open(), or WEIR_TABLE_DEFAULT
 * @param key         1 to WEIR_KEY_BYTES_MAX bytes
 * @param durability  as for weir_engine_write()
 * @param ret_lsn     NULL, or the LSN of the delete
 * Returns: as weir_engine_write(); -ENOENT when the key is absent.
 * Durability: as weir_engine_write().
 * Threads: any.
 * Blocks: as weir_engine_write().
 * Allocates: as weir_engine_write().
 */
WEIR_EXPORT int weir_delete(struct weir_engine *engine, weir_table table, struct weir_bytes key,
                            enum weir_durability durability, weir_lsn *ret_lsn);

/* Called by a writer when its record is durable. */
typedef void (*weir_after_write_fn)(void *context, weir_lsn lsn);

/* Sets the function that each write with WEIR_EACH calls before it returns 0: in the writer's own
 * thread, once its record (of a batch: the last) is durable, with no lock held. It may take its
 * time, which is the writer's; it changes nothing of the write's result. Other durabilities call
 * nothing. One function per engine.
 *
 * @param engine   an open engine
 * @param fn       NULL takes it away, and returns only when no call of it is running
 * @param context  handed to fn
 * Returns: 0; -EINVAL; -EBUSY (there is one already); -EDEADLK (from within that function);
 *   WEIR_E_FORKED.
 * Durability: none.
 * Threads: any.
 * Blocks: with NULL, until the calls that are running have returned.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_engine_after_write(struct weir_engine *engine, weir_after_write_fn fn,
                                        void *context);

#ifdef __cplusplus
}
#endif
#endif
