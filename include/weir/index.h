/* The secondary index: from a field's value to the rows that have it.
 *
 *     struct weir_index_options options = WEIR_INDEX_OPTIONS_INIT;
 *     options.extract = weir_json_extract;
 *     options.extract_context = fields;                     // {"section"}
 *     weir_index_create(&options, &index);
 *     system.ops = weir_index_ops();
 *     system.self = index;
 *
 *     struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
 *     query.values = &value;
 *     query.count = 1;
 *     weir_index_query(host, "by_section", index, &query, &rows);
 *     while (weir_rows_next(rows, &row) == 1) ...
 *     weir_rows_close(rows);
 *
 * It is maintained from before-images alone. A row without the field is not in it; one with several
 * values is under each of them; with several fields it is under each combination. A value longer
 * than WEIR_INDEX_VALUE_MAX is as one that is missing, and counted. Values compare as bytes.
 *
 * Order of what is found: value (of several fields: the first, then the second, ...), then table,
 * then key, each ascending; with `reverse` all of it from the other end.
 *
 * An index that starts in the middle of a log (WEIR_START_NOW, WEIR_START_BEHIND) knows of a row
 * from the first event on that changes its values; with WEIR_START_SNAPSHOT it knows all rows.
 *
 * Threads: one at a time per index. A host calls it, so look into it between
 * weir_host_read_begin() and weir_host_read_end(); weir_index_query() does that itself.
 */
#ifndef WEIR_INDEX_H
#define WEIR_INDEX_H

#include <weir/extract.h>
#include <weir/rows.h>
#include <weir/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_index;

#define WEIR_INDEX_FIELDS_MAX 8
#define WEIR_INDEX_VALUE_MAX 4096
#define WEIR_INDEX_VALUES_MAX 1024 /* combinations of one row: with more it has no entry */

struct weir_index_options {
    size_t size;       /* sizeof(struct weir_index_options) */
    uint32_t fields;   /* 1 to WEIR_INDEX_FIELDS_MAX; 0 = 1. What the extractor emits as 0 to
                          fields - 1; anything above is passed over */
    uint32_t reserved; /* must be 0 */
    weir_extract_fn extract;
    void *extract_context;
};

#define WEIR_INDEX_OPTIONS_INIT WEIR_SIZED_INIT(weir_index_options)

/* Makes an index without rows.
 *
 * @param options    copied; the extractor's context stays the caller's, and valid
 * @param ret_index  give it back with weir_index_free()
 * Returns: 0; -EINVAL (no extractor, more fields than WEIR_INDEX_FIELDS_MAX, an option that is not
 *   known); -ENOMEM.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: the index.
 */
WEIR_EXPORT int weir_index_create(const struct weir_index_options *options,
                                  struct weir_index **ret_index);

/* Frees an index that no host has attached any more.
 *
 * @param index  NULL is accepted
 * Returns: nothing.
 * Durability: none: what a host has saved stays.
 * Threads: one at a time per index.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_index_free(struct weir_index *index);

/* The operations of an index, for struct weir_system: kind "index", version 1; self is the index.
 *
 * apply is all or nothing. It returns what the extractor returns, or -ENOMEM. A row of
 * which an event was skipped is not in the index until its next version. load takes what save wrote
 * for as many fields; anything else is WEIR_E_STATE. The fingerprint is a sum over (values, table,
 * key); it is made when asked for. entries names "value -> key"; of several fields "value | value
 * -> key"; in a table other than the default one "value -> [table] key".
 *
 * Returns: a constant.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing; apply takes room for what is new from blocks of 16 KiB.
 */
WEIR_EXPORT const struct weir_system_ops *weir_index_ops(void);

/* Rows whose first `count` fields are equal to values; or, with prefix, whose last given one begins
 * with it and the others are equal; or, ranged, all from `from` to below `to` of the first field.
 */
struct weir_index_query {
    size_t size; /* sizeof(struct weir_index_query) */
    const struct weir_bytes *values;
    size_t count; /* 0 = all rows that have the fields */
    bool prefix;  /* needs a value */
    bool ranged;  /* by from and to, without values */
    bool bounded; /* to counts; else up to the last one */
    bool reverse;
    uint8_t reserved[4]; /* must be 0 */
    struct weir_bytes from, to;
    uint64_t limit; /* 0 = all */
};

#define WEIR_INDEX_QUERY_INIT WEIR_SIZED_INIT(weir_index_query)

/* Values (as many as the index has fields), table and key of an entry; lent during the call. Other
 * than 0: stop. */
typedef int (*weir_index_fn)(void *context, const struct weir_bytes *values, weir_table table,
                             struct weir_bytes key);

/* Calls fn for each entry that a query asks for: a row with several values among them comes with
 * each. fn must not change the index. What was added since the last time is sorted into the order
 * of values first.
 *
 * @param index    between weir_host_read_begin() and _end(), or when nothing is delivered
 * @param query    what to look for
 * @param fn       what to call
 * @param context  handed to fn
 * Returns: 0; -EINVAL (more values than fields, a prefix without a value, ranged with values, a
 *   field that is not known); -ENOMEM; what fn returned.
 * Durability: none.
 * Threads: one at a time per index.
 * Blocks: never.
 * Allocates: room to sort the rows of one value; what the order of values needs.
 */
WEIR_EXPORT int weir_index_find(struct weir_index *index, const struct weir_index_query *query,
                                weir_index_fn fn, void *context);

/* The rows themselves, as of one LSN: each once, where its first entry in order is. A limit counts
 * rows.
 *
 * @param host      that the index is attached to
 * @param name      under which it is
 * @param index     the system's self
 * @param query     what to look for
 * @param ret_rows  close it soon
 * Returns: 0; errors of weir_index_find() and weir_rows_open().
 * Durability: none: rows are as of the position that the index has reached.
 * Threads: any.
 * Blocks: while events are applied to the index.
 * Allocates: as weir_index_find(), and the list of keys.
 */
WEIR_EXPORT int weir_index_query(struct weir_host *host, const char *name, struct weir_index *index,
                                 const struct weir_index_query *query, struct weir_rows **ret_rows);

struct weir_index_status {
    size_t size; /* sizeof(struct weir_index_status) */
    uint64_t rows, values, entries;
    uint64_t skipped_documents; /* rows that are no document, now */
    uint64_t skipped_values;    /* too long, and rows with too many, now */
    uint64_t bytes;             /* of memory */
};

#define WEIR_INDEX_STATUS_INIT WEIR_SIZED_INIT(weir_index_status)

/* Counts what is in an index.
 *
 * @param index       as for weir_index_find()
 * @param ret_status  its size set; the rest is filled in
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: one at a time per index.
 * Blocks: never; takes a look at each value.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_index_stat(struct weir_index *index, struct weir_index_status *ret_status);

#ifdef __cplusplus
}
#endif
#endif
