/* The secondary index: from a field's value to the rows that have it.
 *
 *     struct weir_index_options options = WEIR_INDEX_OPTIONS_INIT;
 *     options.extract = weir_json_extract;
 *     options.extract_context = fields;                     // {"section"}
 *     weir_index_create(&options, &index);
 *     system.ops = weir_index_ops();
 *     system.self = index;
 *
 *     weir_index_query(host, "by_section", index, &query, &rows);
 *     while (weir_rows_next(rows, &row) == 1) ...           // sorted by value, then table, key
 *     weir_rows_close(rows);
 *
 * It is maintained from before-images alone. A row without the field is not in it; one with several
 * values is under each of them; with several fields it is under each combination. Values longer
 * than WEIR_INDEX_VALUE_MAX are not indexed, and counted. Values compare as bytes.
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
#define WEIR_INDEX_VALUES_MAX 1024 /* combinations of one row: what is beyond parks the index */

struct weir_index_options {
    size_t size; /* sizeof(struct weir_index_options) */
    uint32_t
        fields; /* 1 to WEIR_INDEX_FIELDS_MAX; 0 = 1: what the extractor emits as 0 to fields-1 */
    uint32_t reserved; /* must be 0 */
    weir_extract_fn extract;
    void *extract_context;
};

#define WEIR_INDEX_OPTIONS_INIT WEIR_SIZED_INIT(weir_index_options)

int weir_index_create(const struct weir_index_options *options, struct weir_index **ret_index);
void weir_index_free(struct weir_index *index);
const struct weir_system_ops *weir_index_ops(void);

/* Rows whose first `count` fields are equal to values; or, with prefix, whose last given one begins
 * with it; or all from `from` to below `to` of the first field. */
struct weir_index_query {
    size_t size; /* sizeof(struct weir_index_query) */
    const struct weir_bytes *values;
    size_t count; /* 0 = all rows that have the fields */
    bool prefix;
    bool ranged;  /* from and to count, values do not */
    bool bounded; /* to counts */
    bool reverse;
    uint8_t reserved[4];
    struct weir_bytes from, to;
    uint64_t limit; /* 0 = all */
};

#define WEIR_INDEX_QUERY_INIT WEIR_SIZED_INIT(weir_index_query)

/* Calls fn with value (of several fields: the first one; see weir_index_value()), table and key.
 * Under weir_host_read_begin(), or when nothing is delivered. Stops at other than 0 and returns it.
 */
typedef int (*weir_index_fn)(void *context, const struct weir_bytes *values, weir_table table,
                             struct weir_bytes key);
int weir_index_find(struct weir_index *index, const struct weir_index_query *query,
                    weir_index_fn fn, void *context);

/* The rows themselves, as of one LSN. */
int weir_index_query(struct weir_host *host, const char *name, struct weir_index *index,
                     const struct weir_index_query *query, struct weir_rows **ret_rows);

struct weir_index_status {
    size_t size; /* sizeof(struct weir_index_status) */
    uint64_t rows, values, entries;
    uint64_t skipped_documents; /* rows that are no document, now */
    uint64_t skipped_values;    /* too long, now */
    uint64_t bytes;             /* of memory */
};

#define WEIR_INDEX_STATUS_INIT WEIR_SIZED_INIT(weir_index_status)

int weir_index_stat(struct weir_index *index, struct weir_index_status *ret_status);

#ifdef __cplusplus
}
#endif
#endif
