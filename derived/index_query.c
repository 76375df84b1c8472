/*
 * From a query to the rows themselves, as of the position that the index had.
 *
 *   find: the keys, each row once, while the index is kept as it is
 *   open: a view of the engine as of that position; rows.c
 *
 * Failure: that of weir_rows_open() and of index_walk().
 */
#include "derived/index.h"

#include <errno.h>

struct question {
    struct weir_index *index;
    const struct weir_index_query *query;
    weir_rows_add_fn add;
    void *add_context;
};

static int add_row(void *context, uint32_t value, uint32_t row)
{
    (void)value;
    const struct question *question = context;
    weir_table table;
    struct weir_bytes key = rows_key(&question->index->rows, row, &table);
    return question->add(question->add_context, table, key, 0);
}

static int find_rows(void *context, weir_rows_add_fn add, void *add_context)
{
    struct question *question = context;
    question->add = add;
    question->add_context = add_context;
    return index_walk(question->index, question->query, true, add_row, question);
}

int weir_index_query(struct weir_host *host, const char *name, struct weir_index *index,
                     const struct weir_index_query *query, struct weir_rows **ret_rows)
{
    if (host == NULL || name == NULL || index == NULL || query == NULL || ret_rows == NULL) {
        return -EINVAL;
    }
    struct question question = {.index = index, .query = query};
    return weir_rows_open(host, name, find_rows, &question, ret_rows);
}
