/* Reading from the engine: get, scan, history, within a read section and its view.
 *
 *     struct weir_read read;
 *     weir_read_begin(engine, NULL, &read);                  // the newest that is there
 *     rc = weir_get(&read, table, key, &row);                // 1 found, 0 absent, < 0 error
 *     rc = weir_get_batch(&read, table, keys, 64, rows);     // how many; faster than 64 gets
 *
 *     struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
 *     options.prefix = WEIR_TEXT("user:");
 *     struct weir_scan *scan;
 *     weir_scan_open(&read, &options, &scan);
 *     while ((rc = weir_scan_next(scan, &row)) == 1)
 *         use(&row);
 *     weir_scan_close(scan);
 *     weir_read_end(&read);
 *
 * Lifetime: what a call lends lies in the log's memory, is read-only, and stays valid until the
 * read section ends: also when the key is overwritten, deleted or compacted meanwhile. A section
 * that stays open keeps memory and compacted segments from being given back: weir_engine_stat()
 * names the oldest one and what it holds.
 *
 * Views: the newest values (the default; they may not be durable yet), durable ones, or all as of
 * an LSN. Within a view as of an LSN every read sees exactly the state behind that record; of a
 * batch all or nothing, unless that LSN lies inside of it. The others see each key at the moment of
 * the call.
 *
 * Cost of a view as of an LSN: a key that was changed since costs a step back for each of its newer
 * versions, at most 256 and then one for each 256 more.
 *
 * Threads: a section, its scans and histories belong to one thread at a time; any number of them.
 */
#ifndef WEIR_READ_H
#define WEIR_READ_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_view {
    WEIR_VIEW_NEWEST = 0,  /* whatever is in the index */
    WEIR_VIEW_DURABLE = 1, /* as of the last record that was durable and applied at the beginning */
    WEIR_VIEW_AS_OF = 2,   /* as of options.lsn, inclusive */
};

struct weir_read_options {
    size_t size; /* sizeof(struct weir_read_options) */
    enum weir_view view;
    uint32_t reserved; /* must be 0 */
    weir_lsn lsn;      /* for WEIR_VIEW_AS_OF; 0 = the state before the first record */
};

#define WEIR_READ_OPTIONS_INIT WEIR_SIZED_INIT(weir_read_options)

/* A read section. Treat the members as opaque, but for as_of. */
struct weir_read {
    struct weir_engine *engine;
    weir_lsn as_of; /* what the view shows; UINT64_MAX: the newest */
    uint32_t slot;
    uint32_t scans;
};

/* One version of a key. All bytes are lent until the read section ends. */
struct weir_row {
    struct weir_bytes key;
    struct weir_bytes value;
    weir_lsn lsn; /* of the record: the version, for weir_write.expected */
};

/* Begins a read section.
 *
 * @param engine    an open engine
 * @param options   NULL for the newest values
 * @param ret_read  weir_read_end() ends it
 * Returns: 0; WEIR_E_HORIZON (lsn is below the horizon of compaction); -EAGAIN (lsn is not applied
 *   yet, or not durable); -EINVAL; WEIR_E_FORKED.
 * Durability: WEIR_VIEW_DURABLE and WEIR_VIEW_AS_OF show durable records only.
 * Threads: any.
 * Blocks: only with more than 128 sections open at once: until one ends.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_read_begin(struct weir_engine *engine, const struct weir_read_options *options,
                                struct weir_read *ret_read);

/* Ends a read section: nothing that was lent in it is valid any more.
 *
 * @param read  from weir_read_begin(), its scans closed
 * Returns: nothing.
 * Durability: none.
 * Threads: the section's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_read_end(struct weir_read *read);

/* Looks a key up.
 *
 * @param read     a read section
 * @param table    from weir_table_open(), or WEIR_TABLE_DEFAULT
 * @param key      1 to WEIR_KEY_BYTES_MAX bytes
 * @param ret_row  filled when it returns 1
 * Returns: 1; 0 (absent, or deleted); WEIR_E_KEY; WEIR_E_NO_TABLE; WEIR_E_HORIZON (the view has
 *   fallen behind the horizon meanwhile: a snapshot keeps it); WEIR_E_DAMAGED (the record, or the
 *   link to the version before it, fails its checks); WEIR_E_TRUNCATED (a reader's, whose writer
 *   has compacted the log: weir_engine_refresh()).
 * Durability: that of the view.
 * Threads: the section's.
 * Blocks: on reading the record, when it is not in memory.
 * Allocates: now and then a map of shortcuts (not with WEIR_ENGINE_NO_SHORTCUTS).
 */
WEIR_EXPORT int weir_get(struct weir_read *read, weir_table table, struct weir_bytes key,
                         struct weir_row *ret_row);

/* Looks many keys up: weir_get() for each, while the others' memory is on its way.
 *
 * A key that cannot be looked up does not keep the others from it: the call returns the error of
 * the first one that failed, and rows of those that failed look absent. weir_get() tells which.
 *
 * @param read      a read section
 * @param table     from weir_table_open(), or WEIR_TABLE_DEFAULT
 * @param keys      `count` keys as for weir_get(), in any order; one may come more than once
 * @param count     0 to INT_MAX; 16 and more are worth it
 * @param ret_rows  room for `count`, in their order; lsn WEIR_LSN_NONE: absent, or deleted
 * Returns: how many were found; -EINVAL, WEIR_E_NO_TABLE (no row is filled); errors of weir_get()
 *   for one of the keys (all rows are filled).
 * Durability: that of the view.
 * Threads: the section's.
 * Blocks: as weir_get().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_get_batch(struct weir_read *read, weir_table table,
                               const struct weir_bytes *keys, size_t count,
                               struct weir_row *ret_rows);

struct weir_scan_options {
    size_t size; /* sizeof(struct weir_scan_options) */
    weir_table table;
    bool reverse;             /* in descending order */
    bool bounded;             /* `to` counts; else there is no upper end */
    uint8_t reserved[2];      /* must be 0 */
    struct weir_bytes prefix; /* only keys that begin with it; empty: all */
    struct weir_bytes from;   /* keys >= from; empty: from the first one */
    struct weir_bytes to;     /* keys < to, with bounded */
};

#define WEIR_SCAN_OPTIONS_INIT WEIR_SIZED_INIT(weir_scan_options)

struct weir_scan;

/* Begins to read the keys of a table in the order of their bytes (as memcmp has it, and a key
 * before those that it is a prefix of). Keys that are written meanwhile may be seen or not, in a
 * view as of an LSN they are not.
 *
 * @param read      a read section
 * @param options   which keys; its bytes are used until the scan is closed
 * @param ret_scan  weir_scan_close() gives it back, before the section ends
 * Returns: 0; WEIR_E_NO_TABLE; -EINVAL; -ENOMEM.
 * Durability: that of the view.
 * Threads: the section's.
 * Blocks: never.
 * Allocates: the scan.
 */
WEIR_EXPORT int weir_scan_open(struct weir_read *read, const struct weir_scan_options *options,
                               struct weir_scan **ret_scan);

/* Lends the next row.
 *
 * @param scan     an open scan
 * @param ret_row  filled when it returns 1
 * Returns: 1; 0 (no more); errors as weir_get(): the next call goes on behind that key.
 * Durability: that of the view.
 * Threads: the section's.
 * Blocks: as weir_get().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_scan_next(struct weir_scan *scan, struct weir_row *ret_row);

/* Lends up to max rows.
 *
 * @param scan      an open scan
 * @param ret_rows  room for max
 * @param max       at least 1; 64 is a good number
 * Returns: how many; 0 (no more); errors as weir_scan_next().
 * Durability: that of the view.
 * Threads: the section's.
 * Blocks: as weir_get().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_scan_next_batch(struct weir_scan *scan, struct weir_row *ret_rows, int max);

/* Frees a scan.
 *
 * @param scan  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: the section's.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_scan_close(struct weir_scan *scan);

/* One version of a key's history. */
struct weir_key_version {
    weir_lsn lsn;
    uint64_t time_ns;        /* of its group; 0 while that is not durable yet */
    bool deleted;            /* a delete: no value */
    struct weir_bytes value; /* lent until the read section ends */
};

/* Where a history stands. Treat the members as opaque. */
struct weir_history {
    struct weir_read *read;
    uint64_t address;
    weir_lsn lsn;
};

/* Begins to read the versions of a key, newest first, from the view's LSN back to its first, or to
 * the one that counted at the horizon of compaction.
 *
 * @param read         a read section
 * @param table        from weir_table_open(), or WEIR_TABLE_DEFAULT
 * @param key          1 to WEIR_KEY_BYTES_MAX bytes
 * @param ret_history  needs no closing
 * Returns: 0 (also for a key that never was); errors as weir_get().
 * Durability: that of the view.
 * Threads: the section's.
 * Blocks: as weir_get().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_history_begin(struct weir_read *read, weir_table table, struct weir_bytes key,
                                   struct weir_history *ret_history);

/* Lends the next older version.
 *
 * @param history      from weir_history_begin()
 * @param ret_version  filled when it returns 1
 * Returns: 1; 0 (no more are retained); errors as weir_get().
 * Durability: that of the view.
 * Threads: the section's.
 * Blocks: as weir_get().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_history_next(struct weir_history *history,
                                  struct weir_key_version *ret_version);

#ifdef __cplusplus
}
#endif
#endif
