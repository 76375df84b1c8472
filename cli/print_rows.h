/*
 * Rows that a derived system has found, printed as scan prints its own.
 */
#ifndef CLI_PRINT_ROWS_H
#define CLI_PRINT_ROWS_H

#include "cli/derived.h"

#include <weir/rows.h>

/* Prints all of them and closes them. Returns the exit code. @param scored  with the score */
int print_rows(struct pipeline *pipeline, struct weir_rows *rows, bool scored);

/* One row: {"key","value","lsn"}, or key, tab, value. The caller brackets rows that are made from
 * memory that may turn out not to be there (output_row_begin()). @param score  NULL for none */
void print_row(struct cli *cli, const struct weir_row *row, bool escaped, const double *score);

#endif
