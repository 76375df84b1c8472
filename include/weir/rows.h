/* Rows that a derived system has found, read from the engine as of one LSN.
 *
 *     weir_rows_open(host, "by_section", find, &question, &rows);
 *     while ((rc = weir_rows_next(rows, &row)) == 1)
 *         use(&row);                          // lent until the rows are closed
 *     weir_rows_close(rows);
 *
 * A system answers with keys; the rows come from the engine, as of the position that the system had
 * when it answered. So no row is among them that does not match (any more), and none is missing.
 * They hold a read section of the engine: close them soon.
 * Threads: one at a time.
 */
#ifndef WEIR_ROWS_H
#define WEIR_ROWS_H

#include <weir/host.h>
#include <weir/read.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_rows;

/* What a system found: calls add for each key, in the order in which rows are to come. 0 or < 0. */
typedef int (*weir_rows_add_fn)(void *add_context, weir_table table, struct weir_bytes key,
                                double score);
typedef int (*weir_rows_find_fn)(void *context, weir_rows_add_fn add, void *add_context);

/* Asks a system, then opens a view of the engine as of its position.
 *
 * @param host      an open host
 * @param name      of a system
 * @param find      called once, while the system stands still; what add returned is to be returned
 * @param context   handed to find
 * @param ret_rows  weir_rows_close() gives them back
 * Returns: 0; WEIR_E_PARKED (it is: what it has would be too old without saying so); errors of
 *   weir_host_read_begin(), of weir_read_begin() and, on a read-only log, weir_engine_refresh();
 *   WEIR_E_BEHIND, too, when the engine does not get there in 10 s, since its index has failed;
 *   what find returned, when that is < 0; -EINVAL; -ENOMEM.
 * Durability: rows are durable.
 * Threads: any.
 * Blocks: as weir_host_read_begin(); on reading the log, on a read-only log.
 * Allocates: the keys, and 40 bytes for each.
 */
WEIR_EXPORT int weir_rows_open(struct weir_host *host, const char *name, weir_rows_find_fn find,
                               void *context, struct weir_rows **ret_rows);

/* Lends the next row.
 *
 * @param rows     open rows
 * @param ret_row  filled when it returns 1; lent until the rows are closed
 * Returns: 1; 0 (no more); WEIR_E_STATE (the system names a key that is not there as of the same
 *   LSN: it is not what its events made of it; weir_rows_error() says which); errors of weir_get().
 *   The next call goes on behind that key.
 * Durability: as weir_rows_open().
 * Threads: one at a time.
 * Blocks: as weir_get().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_rows_next(struct weir_rows *rows, struct weir_row *ret_row);

/* What the system said how well the last row matches.
 *
 * @param rows  open rows
 * Returns: the score; 0 before the first row.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT double weir_rows_score(const struct weir_rows *rows);

/* The table of the last row.
 *
 * @param rows  open rows
 * Returns: the table.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT weir_table weir_rows_table(const struct weir_rows *rows);

/* How many there are, those that were lent included.
 *
 * @param rows  open rows
 * Returns: a number.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT uint64_t weir_rows_count(const struct weir_rows *rows);

/* What they are as of.
 *
 * @param rows  open rows
 * Returns: an LSN.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT weir_lsn weir_rows_lsn(const struct weir_rows *rows);

/* The detail of the last error of weir_rows_next().
 *
 * @param rows       open rows
 * @param ret_error  its size member is set by the caller
 * Returns: 0; -EINVAL.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_rows_error(const struct weir_rows *rows, struct weir_error *ret_error);

/* Ends the view, frees the rows.
 *
 * @param rows  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_rows_close(struct weir_rows *rows);

#ifdef __cplusplus
}
#endif
#endif
