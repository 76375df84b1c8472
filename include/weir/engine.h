/* The storage engine: an ordered key-value store that is nothing but a view of the log.
 *
 * The log is the database. The engine is an index in memory, from each key to the place of its
 * newest record, and is rebuilt from the log whenever it is opened.
 *
 *     weir_engine_open_at("shop.log", NULL, NULL, &log, &engine, &why);
 *     weir_put(engine, WEIR_TABLE_DEFAULT, WEIR_TEXT("apple"), WEIR_TEXT("green"), WEIR_EACH,
 * NULL);
 *
 *     struct weir_read read;                               // <weir/read.h>
 *     weir_read_begin(engine, NULL, &read);
 *     if (weir_get(&read, WEIR_TABLE_DEFAULT, WEIR_TEXT("apple"), &row) == 1)
 *         use(row.value.data, row.value.size);             // inside the log's memory: not copied
 *     weir_read_end(&read);
 *
 *     weir_engine_close(engine);
 *     weir_log_close(log);
 *
 * Everything that it stores is a record of the log: weir_append() of one's own records beside it is
 * fine. A log with tables is held (hold "engine"): weir_truncate_before() cannot take a value away,
 * space comes back by weir_engine_compact() only.
 *
 * On a read-only log the engine only reads; beside a live writer weir_engine_refresh() brings it up
 * to date. One engine for each log handle.
 *
 * Threads: any number, for all calls but open and close.
 */
#ifndef WEIR_ENGINE_H
#define WEIR_ENGINE_H

#include <weir/log.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_engine;

/* Bytes of a caller, or lent to one. */
struct weir_bytes {
    const void *data;
    size_t size;
};

/* A string literal as bytes, without the zero behind it. */
#ifdef __cplusplus
#define WEIR_TEXT(literal)                                                                         \
    weir_bytes                                                                                     \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#else
#define WEIR_TEXT(literal) ((struct weir_bytes){(literal), sizeof(literal) - 1})
#endif

/* A namespace of keys: a number that belongs to one log. 0 is there without being created. */
typedef uint32_t weir_table;

#define WEIR_TABLE_DEFAULT ((weir_table)0)
#define WEIR_TABLE_NAME_MAX 63 /* letters, digits, '_', '-', '.', not starting with '.' */
#define WEIR_TABLES_MAX 4096
#define WEIR_KEY_BYTES_MAX 65535 /* at least 1; and what a record of the log has room for */

/* How far the engine is with replaying or walking; called a few times a second. Other than 0 stops:
 * the call that was at it returns -ECANCELED. */
typedef int (*weir_progress_fn)(void *context, uint64_t done_bytes, uint64_t all_bytes);

/* Flags of weir_engine_options. */
#define WEIR_ENGINE_NO_CHECKPOINT 1u /* do not load one: rebuild from the log alone */
/* Open a log that a salvage made with gaps: the tables are a fold over the records that are there.
 * Keys whose newest version was lost show the one before, or nothing, and a deleted key may be
 * back; a table whose name was lost is "lost-NUMBER". Up to report.gap_horizon there is no history,
 * as if all had been compacted up to there. A writer stores that they are accepted, for good: the
 * next open needs no flag, until another salvage has lost more. */
#define WEIR_ENGINE_ACCEPT_GAPS 2u
/* No shortcuts: by default gets of an index of 65,536 keys and more make some, 8 bytes of memory
 * for each key that is asked for, by which the next get of it is faster (docs/PERFORMANCE.md). */
#define WEIR_ENGINE_NO_SHORTCUTS 4u

/* Zero everywhere means the default. */
struct weir_engine_options {
    size_t size; /* sizeof(struct weir_engine_options) */
    uint32_t flags;
    uint32_t threads;          /* for opening; default: as many as there are CPUs, at most 8 */
    uint64_t index_bytes;      /* most that the index may take: 64 KiB to 64 GiB, the default, which
                                  is address space alone before it is used */
    uint64_t checkpoint_bytes; /* weir_engine_maintain() and close make a checkpoint when the log
                                  has grown by this since the last; default 256 MiB; UINT64_MAX:
                                  never */
    /* Disk watermarks, see enum weir_space; default: none. warn >= slow >= stop, where they are
     * set; with stop above spare_segments + 1 segments the disk never becomes full of the log. */
    uint64_t warn_free_bytes;
    uint64_t slow_free_bytes;
    uint64_t stop_free_bytes;
    weir_progress_fn progress;
    void *progress_context;
};

#define WEIR_ENGINE_OPTIONS_INIT WEIR_SIZED_INIT(weir_engine_options)

/* What opening did. Times are seconds, wall clock. */
struct weir_engine_open_report {
    size_t size;                 /* sizeof(struct weir_engine_open_report) */
    bool from_checkpoint;        /* one was used; else reason says why not */
    char reason[200];            /* "" when there was none to be used */
    weir_lsn checkpoint_lsn;     /* P: replayed from behind it */
    weir_lsn applied;            /* everything up to here is in the index */
    uint64_t checkpoint_bytes;   /* size of the image */
    uint64_t replayed_records;   /* records of the engine among those that were read */
    uint64_t replayed_bytes;     /* of the log */
    uint64_t keys, deleted_keys; /* live; and those whose newest record is a delete */
    uint32_t threads;            /* that replayed, side by side */
    /* Of weir_engine_open_at(), whose log is opened meanwhile: load_s is what was left of it when
     * the log could be read, replay_s may lie in the log's time, and total_s is what was left of
     * all when the log was open. */
    double load_s, walk_s, sort_s, build_s, total_s;
    double replay_s; /* the records behind a checkpoint, one by one */
    /* What a salvage could not copy: LSNs, in so many ranges between these two. `weir verify` lists
     * them, and a cursor with_gaps. */
    uint64_t gap_lsns, gaps;
    weir_lsn gap_from, gap_to;
    weir_lsn gap_horizon; /* no state as of an LSN below it can be read; 0 without a gap */
};

#define WEIR_ENGINE_OPEN_REPORT_INIT WEIR_SIZED_INIT(weir_engine_open_report)

/* Opens the engine of a log: loads the newest checkpoint that fits, replays the rest.
 *
 * @param log         an open log; stays the caller's, and open until the engine is closed
 * @param options     NULL for the defaults
 * @param ret_engine  weir_engine_close() gives it back
 * @param ret_error   NULL, or where to put the detail of a failure; its size member is set
 * Returns: 0; WEIR_E_DAMAGED and others of weir_cursor_next(); WEIR_E_GAP (a salvage could not copy
 *   all of the log, and nobody has accepted that: from_lsn and to_lsn); WEIR_E_RECORD (a record of
 *   the engine's type that no engine wrote); WEIR_E_INDEX_FULL; -EBUSY (the handle has one);
 *   -ECANCELED (progress said so); -EINVAL (the detail names the option); -ENOMEM; WEIR_E_FORKED;
 *   -errno.
 * Durability: nothing is written but, on a log that has tables and no hold, the hold; and, with
 *   WEIR_ENGINE_ACCEPT_GAPS, a record that says so, durable when it returns 0.
 * Threads: any; it uses options.threads of its own while it rebuilds, none afterwards.
 * Blocks: on reading the log.
 * Allocates: the index: 10 to 40 bytes for each key; about 16 more while it rebuilds. Of address
 * space index_bytes and 272 MiB.
 */
WEIR_EXPORT int weir_engine_open(struct weir_log *log, const struct weir_engine_options *options,
                                 struct weir_engine **ret_engine, struct weir_error *ret_error);

/* Opens a log and its engine: weir_log_open() and weir_engine_open() in one, and sooner done. While
 * the log waits for its disk, the checkpoint is read and checked by a thread beside it, and what is
 * behind it is replayed by options.threads; with 1, and read-only, one comes after the other.
 *
 * @param directory    as weir_log_open() has it, as is log_options
 * @param log_options  NULL for the defaults; a custom medium is handed over, also on failure
 * @param options      as weir_engine_open() has it: NULL for the defaults
 * @param ret_log      weir_log_close() gives it back, once the engine is closed
 * @param ret_engine   weir_engine_close() gives it back
 * @param ret_error    NULL, or where to put the detail of a failure; its size member is set
 * Returns: 0; errors of weir_log_open() and of weir_engine_open(): then neither is open.
 * Durability: as those two: of a log whose engine cannot be opened all that it had is kept.
 * Threads: any; it uses options.threads of its own, none afterwards.
 * Blocks: on reading the log, and up to lock_wait_ns.
 * Allocates: as those two.
 */
WEIR_EXPORT int weir_engine_open_at(const char *directory,
                                    const struct weir_log_options *log_options,
                                    const struct weir_engine_options *options,
                                    struct weir_log **ret_log, struct weir_engine **ret_engine,
                                    struct weir_error *ret_error);

/* Frees the engine. Makes a checkpoint first when one is due; its failure costs time at the next
 * open and is no failure of this call.
 *
 * @param engine  NULL is allowed
 * Returns: 0; -EBUSY with a read section or snapshot open (nothing is done).
 * Durability: none: what was written is the log's.
 * Threads: no other call on the engine at the same time or later.
 * Blocks: on writing the checkpoint.
 * Allocates: as weir_engine_checkpoint().
 */
WEIR_EXPORT int weir_engine_close(struct weir_engine *engine);

/* Gives the report of how the engine was opened, or last rebuilt.
 *
 * @param engine      an open engine
 * @param ret_report  its size member is set by the caller
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_engine_report(struct weir_engine *engine,
                                   struct weir_engine_open_report *ret_report);

/* The log that the engine is a view of.
 *
 * @param engine  an open engine
 * Returns: the handle that it was opened with.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT struct weir_log *weir_engine_log(const struct weir_engine *engine);

/* Finds a table by its name; with create, makes it when there is none.
 *
 * @param engine     an open engine
 * @param name       see WEIR_TABLE_NAME_MAX; "" is WEIR_TABLE_DEFAULT
 * @param create     store it in the log when it is not there
 * @param ret_table  its number, good as long as the log exists
 * Returns: 0; WEIR_E_NO_TABLE; WEIR_E_TABLES (there are WEIR_TABLES_MAX); WEIR_E_DISK_LOW; -EINVAL
 *   (name); -ENOMEM; errors of weir_append().
 * Durability: with create, the table is durable.
 * Threads: any.
 * Blocks: with create on a flush.
 * Allocates: a new table: a few hundred bytes.
 */
WEIR_EXPORT int weir_table_open(struct weir_engine *engine, const char *name, bool create,
                                weir_table *ret_table);

/* A table, as weir_table_list() shows it. */
struct weir_table_info {
    char name[WEIR_TABLE_NAME_MAX + 1]; /* "" for the default table */
    weir_table table;
    weir_lsn created; /* LSN of the record that made it; 0 for the default table */
    uint64_t keys, deleted_keys;
};

/* Calls fn for every table, in order of number, until it returns other than 0.
 *
 * @param engine   an open engine
 * @param fn       gets the context and a table, valid during the call
 * @param context  handed to fn
 * Returns: 0, or what fn returned.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_table_list(struct weir_engine *engine,
                                int (*fn)(void *context, const struct weir_table_info *table),
                                void *context);

#ifdef __cplusplus
}
#endif
#endif
