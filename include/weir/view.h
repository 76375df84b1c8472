/* The materialized view: rows in groups, and what they come to.
 *
 *     struct weir_view_options options = WEIR_VIEW_OPTIONS_INIT;
 *     options.extract = weir_json_extract;     // field 0 is the group, field 1 what is added up
 *     options.extract_context = fields;
 *     options.aggregates = WEIR_VIEW_COUNT | WEIR_VIEW_SUM;
 *     weir_view_create(&options, &view);
 *     system.ops = weir_view_ops();            // <weir/host.h>
 *     system.self = view;
 *     ...
 *     weir_view_each(view, prefix, print, NULL);
 *
 * A row counts in the group that its first value of field 0 names; without one it is in no group
 * (the empty string is a group). A name longer than WEIR_VIEW_GROUP_MAX is no group: such rows are
 * counted apart. An update moves a row from group to group; a group without rows is gone.
 *
 * Numbers are its first value of field 1, and exact: decimals with up to 18 digits before and 9
 * behind the point; what is no such number is not added, and counted. list has the rows' first
 * values of field 1 in order of table and key; a row without one is not in it.
 *
 * A transform may change a row, or drop it, before the extractor sees it. list names the row by its
 * own key all the same.
 *
 * It is maintained from before-images alone: nothing is kept of a row but its share. With min or
 * max 32 bytes are kept for each different number of a group, with list the row's key and value.
 *
 * At most 2^32 - 1 rows are in groups: one more parks the view (-EOVERFLOW). No sum of so many
 * numbers overflows: each is below 10^27 units, 2^90, so the sum is below 2^122.
 */
#ifndef WEIR_VIEW_H
#define WEIR_VIEW_H

#include <weir/extract.h>
#include <weir/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_materialized_view;

#define WEIR_VIEW_COUNT 1u
#define WEIR_VIEW_SUM 2u
#define WEIR_VIEW_MIN 4u
#define WEIR_VIEW_MAX 8u
#define WEIR_VIEW_LIST 16u

#define WEIR_VIEW_GROUP_MAX 4096

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

/* Reads a decimal, written as JSON numbers are: "12.5", "-3", "1e3". "1.0000000000" is 1: zeros do
 * not count. Nothing is rounded.
 *
 * @param text         all of it has to be the number
 * @param ret_decimal  untouched on failure
 * Returns: 0; -EINVAL (not a number of that form); -ERANGE (10^18 or more, or it needs more than 9
 *   digits behind the point).
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_decimal_parse(struct weir_bytes text, struct weir_decimal *ret_decimal);

/* Writes a decimal: the shortest form without an exponent, as weir_decimal_parse() reads it.
 *
 * @param decimal   any
 * @param ret_text  room for WEIR_DECIMAL_TEXT_MAX; zero-terminated
 * Returns: the length.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT size_t weir_decimal_format(struct weir_decimal decimal, char *ret_text);

/* Makes an empty view.
 *
 * @param options   copied; extract has to be there
 * @param ret_view  weir_view_free() frees it
 * Returns: 0; -EINVAL; -ENOMEM.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: some 20 KiB.
 */
WEIR_EXPORT int weir_view_create(const struct weir_view_options *options,
                                 struct weir_materialized_view **ret_view);

/* Frees a view, which is attached nowhere.
 *
 * @param view  NULL does nothing
 * Returns: nothing.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_view_free(struct weir_materialized_view *view);

/* The view as a derived system; self is the view. Beside what extractor, transform and memory say,
 * apply gives -EOVERFLOW (too many rows), and WEIR_E_STATE for a before-image that the view does
 * not have: extractor or transform answer in another way than they did, or events were missed.
 *
 * Returns: a constant.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT const struct weir_system_ops *weir_view_ops(void);

/* What a group comes to. sum, min and max are 0 when they were not asked for. */
struct weir_view_group {
    struct weir_bytes group;
    uint64_t count;   /* rows */
    uint64_t numbers; /* of them with a number in field 1: the sum's, min's, max's */
    struct weir_decimal sum, min, max; /* of no number: 0 */
    weir_lsn lsn;                      /* the last that touched it */
};

/* What it gets is lent during the call. Other than 0: stop, and return it. */
typedef int (*weir_view_fn)(void *context, const struct weir_view_group *group);
typedef int (*weir_view_list_fn)(void *context, weir_table table, struct weir_bytes key,
                                 struct weir_bytes text);

/* Calls fn for each group, or each whose name begins with a prefix, in order of their bytes.
 *
 * @param view     one under weir_host_read_begin(), or to which nothing is delivered
 * @param prefix   empty: all groups
 * @param fn       may ask the view in turn
 * @param context  its first argument
 * Returns: 0; -ENOMEM; what fn returned.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: the order, now and then.
 */
WEIR_EXPORT int weir_view_each(struct weir_materialized_view *view, struct weir_bytes prefix,
                               weir_view_fn fn, void *context);

/* Looks one group up.
 *
 * @param view       as in weir_view_each()
 * @param group      its name
 * @param ret_group  lent until the next event; untouched when there is none
 * Returns: 1; 0.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_view_get(struct weir_materialized_view *view, struct weir_bytes group,
                              struct weir_view_group *ret_group);

/* Calls fn with key and first value of field 1 of each row of a group that has one, in order of
 * table and key.
 *
 * @param view     as in weir_view_each(), made with WEIR_VIEW_LIST
 * @param group    its name; of one that is not there there are no rows
 * @param fn       may ask the view in turn
 * @param context  its first argument
 * Returns: 0; -EINVAL (without WEIR_VIEW_LIST); -ENOMEM; what fn returned.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: 4 bytes a row, freed again.
 */
WEIR_EXPORT int weir_view_list(struct weir_materialized_view *view, struct weir_bytes group,
                               weir_view_list_fn fn, void *context);

struct weir_view_status {
    size_t size; /* sizeof(struct weir_view_status) */
    uint64_t groups;
    uint64_t rows; /* in groups */
    /* Rows, as of now: */
    uint64_t skipped_documents; /* that are no document */
    uint64_t skipped_numbers;   /* in groups, and field 1 is no number that can be added */
    uint64_t skipped_groups;    /* with a name that is too long */
    uint64_t bytes;             /* of memory */
};

#define WEIR_VIEW_STATUS_INIT WEIR_SIZED_INIT(weir_view_status)

/* What there is in a view.
 *
 * @param view        as in weir_view_each()
 * @param ret_status  its size must be set
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never: a walk over the groups.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_view_stat(struct weir_materialized_view *view,
                               struct weir_view_status *ret_status);

#ifdef __cplusplus
}
#endif
#endif
