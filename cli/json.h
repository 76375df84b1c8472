/*
 * JSON lines, written as they come: no tree, no allocation, valid for any bytes.
 *
 *     struct json json;
 *     json_begin(&json, &cli->out);                    // {
 *     json_u64(&json, "lsn", record.lsn);
 *     json_bytes(&json, "data", record.data, record.size);
 *     json_end(&json);                                 // }\n
 *
 * Names are plain ASCII without quotes; inside an array they are NULL.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "cli/output.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    struct output *output;
    bool first; /* nothing was written in this object or array yet */
};

/* A document, which is an object on a line of its own. */
void json_begin(struct json *json, struct output *output);
void json_end(struct json *json);

void json_object(struct json *json, const char *name);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *name);
void json_array_end(struct json *json);

void json_u64(struct json *json, const char *name, uint64_t value);
void json_i64(struct json *json, const char *name, int64_t value);
void json_double(struct json *json, const char *name, double value); /* null unless finite */
/* A number that is text already, of the form that JSON has. */
void json_number(struct json *json, const char *name, const char *digits);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);
void json_time(struct json *json, const char *name, uint64_t time_ns);

/* Text that should be UTF-8; whatever is not becomes U+FFFD. */
void json_text(struct json *json, const char *name, const char *text);

/* "name": "text" when the bytes are UTF-8, else "name_base64": "...". */
void json_bytes(struct json *json, const char *name, const void *data, size_t size);

#endif
