/*
 * The documents of the demo: a JSON document a row, with its key.
 */
#ifndef CLI_DEMO_ROWS_H
#define CLI_DEMO_ROWS_H

#include <weir/engine.h>

struct demo;

struct demo_row {
    struct weir_bytes key, value;
};

struct demo_rows {
    struct demo_row *list;
    size_t count;
    uint64_t bytes;    /* of keys and values */
    char *read, *made; /* what they point into */
};

/* From --input, or from what dpkg-query says of the installed packages. Returns -1 to go on, else
 * the exit code; no rows when there is neither. */
int demo_rows_read(struct demo *demo, struct demo_rows *ret_rows);
/* A later row has the same key. */
bool demo_row_is_replaced(const struct demo_rows *rows, size_t index);

void demo_rows_free(struct demo_rows *rows);

#endif
