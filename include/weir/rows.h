/* Rows that a derived system has found, read from the engine as of one LSN.
 *
 *     while (weir_rows_next(rows, &row) == 1)
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

/* Asks a system (find is called once, under weir_host_read_begin()), then opens a view as of its
 * position. 0; WEIR_E_PARKED (the system is: what it has would be too old without saying so);
 * errors of weir_host_read_begin(), weir_read_begin(), find. */
int weir_rows_open(struct weir_host *host, const char *name, weir_rows_find_fn find, void *context,
                   struct weir_rows **ret_rows);
/* 1; 0 (no more); errors of weir_get(). */
int weir_rows_next(struct weir_rows *rows, struct weir_row *ret_row);
double weir_rows_score(const struct weir_rows *rows);     /* of the last one */
weir_table weir_rows_table(const struct weir_rows *rows); /* of the last one */
uint64_t weir_rows_count(const struct weir_rows *rows);   /* of all */
weir_lsn weir_rows_lsn(const struct weir_rows *rows);     /* what they are as of */
void weir_rows_close(struct weir_rows *rows);

#ifdef __cplusplus
}
#endif
#endif
