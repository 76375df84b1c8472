/* The materialized view: rows in groups, and what they come to.
 *
 *     options.extract = weir_json_extract;     // field 0 is the group, field 1 what is added up
 *     options.aggregates = WEIR_VIEW_COUNT | WEIR_VIEW_SUM;
 *     weir_view_create(&options, &view);
 *     ...
 *     weir_view_each(view, &range, print, NULL);
 *
 * A row counts in the group that its first value of field 0 names; without one it is in no group
 * (the empty string is a group). Numbers are exact: decimals up to 18 digits before and 9 behind
 * the point; what is no such number is not added, and counted. An update moves a row from group to
 * group. A group without rows is gone. list has the rows' values of field 1 in order of table, key.
 * A transform may change a row, or drop it, before the extractor sees it.
 */
#ifndef WEIR_VIEW_H
#define WEIR_VIEW_H

#include <weir/extract.h>
#include <weir/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_materialized_view; /* a materialized view */

#define WEIR_VIEW_COUNT 1u
#define WEIR_VIEW_SUM 2u
#define WEIR_VIEW_MIN 4u
#define WEIR_VIEW_MAX 8u
#define WEIR_VIEW_LIST 16u

/* Hands on what the row is to be. 1: use ret_key and ret_value (lent until the next call); 0: drop
 * it; < 0 parks the view. The same answer for the same bytes. */
typedef int (*weir_transform_fn)(void *context, struct weir_bytes key, struct weir_bytes value,
                                 struct weir_bytes *ret_key, struct weir_bytes *ret_value);

struct weir_view_options {
    size_t size;         /* sizeof(struct weir_view_options) */
    uint32_t aggregates; /* WEIR_VIEW_*; 0 = count */
    uint32_t reserved;   /* must be 0 */
    weir_extract_fn extract;
    void *extract_context;
    weir_transform_fn transform; /* NULL: rows as they are */
    void *transform_context;
};

#define WEIR_VIEW_OPTIONS_INIT WEIR_SIZED_INIT(weir_view_options)

/* A number: units * 10^-9. */
struct weir_decimal {
    int64_t high; /* of a 128 bit two's complement number */
    uint64_t low;
};
#define WEIR_DECIMAL_TEXT_MAX 64
/* "12.5", "-3", "1e3" in the exact range: 0; -EINVAL; -ERANGE. */
int weir_decimal_parse(struct weir_bytes text, struct weir_decimal *ret_decimal);
/* The shortest form; returns the length. ret_text has room for WEIR_DECIMAL_TEXT_MAX. */
size_t weir_decimal_format(struct weir_decimal decimal, char *ret_text);

struct weir_view_group {
    struct weir_bytes group; /* lent during the call */
    uint64_t count;          /* rows */
    uint64_t numbers;        /* of them with a number in field 1: the sum's, min's and max's */
    struct weir_decimal sum, min, max;
    weir_lsn lsn; /* the last that touched it */
};

typedef int (*weir_view_fn)(void *context, const struct weir_view_group *group);
/* A row's key and value of field 1, in order of table and key. */
typedef int (*weir_view_list_fn)(void *context, weir_table table, struct weir_bytes key,
                                 struct weir_bytes text);

int weir_view_create(const struct weir_view_options *options,
                     struct weir_materialized_view **ret_view);
void weir_view_free(struct weir_materialized_view *view);
const struct weir_system_ops *weir_view_ops(void);

/* Groups in order of their bytes, all or those that begin with a prefix. Under
 * weir_host_read_begin(), or when nothing is delivered. */
int weir_view_each(struct weir_materialized_view *view, struct weir_bytes prefix, weir_view_fn fn,
                   void *context);
/* 1 found; 0. */
int weir_view_get(struct weir_materialized_view *view, struct weir_bytes group,
                  struct weir_view_group *ret_group);
/* With WEIR_VIEW_LIST: the rows of a group. */
int weir_view_list(struct weir_materialized_view *view, struct weir_bytes group,
                   weir_view_list_fn fn, void *context);

struct weir_view_status {
    size_t size; /* sizeof(struct weir_view_status) */
    uint64_t groups, rows;
    uint64_t skipped_documents, skipped_numbers; /* now */
    uint64_t bytes;
};

#define WEIR_VIEW_STATUS_INIT WEIR_SIZED_INIT(weir_view_status)

int weir_view_stat(struct weir_materialized_view *view, struct weir_view_status *ret_status);

#ifdef __cplusplus
}
#endif
#endif
