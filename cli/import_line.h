/*
 * From a line of import to a key and a value.
 *
 *     if (import_line(&form, data, size, &row, &why) < 0)
 *         reject(why);
 */
#ifndef CLI_IMPORT_LINE_H
#define CLI_IMPORT_LINE_H

#include "base/json.h"

#include <weir/engine.h>

#include <stdbool.h>

#define IMPORT_REASON_BYTES 240

struct import_form {
    bool json;         /* else key, tab, value */
    const char *field; /* of json, as it was given */
    struct base_json_paths *path;
    char *key; /* room for a key that has to be unescaped, and a little more */
    size_t key_capacity;
};

struct import_row {
    struct weir_bytes key;   /* in the line, or in form->key */
    struct weir_bytes value; /* in the line */
};

/* Returns 0; -EBADMSG: the line is no row, and reason says why. */
int import_line(struct import_form *form, const char *data, size_t size, struct import_row *ret_row,
                char reason[IMPORT_REASON_BYTES]);

#endif
