/*
 * From terms to the rows themselves, as of the position that the text had.
 *
 * Happy path: weir_rows_open() keeps the system still, weir_text_find() names the keys in their
 * order, and the rows are read from a view of the engine as of the same position.
 *
 * Failure modes: those of weir_rows_open() and of weir_text_find().
 */
#include <weir/text.h>

#include <errno.h>

struct question {
    struct weir_text *text;
    const struct weir_text_query *query;
};

static int find_rows(void *context, weir_rows_add_fn add, void *add_context)
{
    const struct question *question = context;
    return weir_text_find(question->text, question->query, add, add_context);
}

int weir_text_query(struct weir_host *host, const char *name, struct weir_text *text,
                    const struct weir_text_query *query, struct weir_rows **ret_rows)
{
    if (host == NULL || name == NULL || text == NULL || query == NULL || ret_rows == NULL) {
        return -EINVAL;
    }
    struct question question = {.text = text, .query = query};
    return weir_rows_open(host, name, find_rows, &question, ret_rows);
}
