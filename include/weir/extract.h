/* Extractors: which fields does a row have? Indexes, views and full text ask one for every row.
 *
 *     weir_json_fields_create((const char *[]){"section", "maintainer.name"}, 2, &fields);
 *     options.extract = weir_json_extract;
 *     options.extract_context = fields;
 *
 * An extractor calls emit for each value of each field that it finds; a field that is missing is
 * not emitted. It gets a before-image just as it got the row when that was new, so it must give the
 * same answer for the same bytes.
 */
#ifndef WEIR_EXTRACT_H
#define WEIR_EXTRACT_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Value of a field as text; lent during the call. Other than 0: stop, and return it. */
typedef int (*weir_emit_fn)(void *emit_context, uint32_t field, struct weir_bytes text);

/* 0 (also without any field); 1: the row is no document, it has no fields; < 0 parks the system. */
typedef int (*weir_extract_fn)(void *context, struct weir_bytes key, struct weir_bytes value,
                               weir_emit_fn emit, void *emit_context);

struct weir_json_fields;

#define WEIR_JSON_FIELDS_MAX 32

/* Prepares paths into JSON documents: member names separated by dots ("a.b"); an array on the way
 * or at the end stands for each of its elements. "\." is a dot in a name.
 * 0; -EINVAL (empty name, more than WEIR_JSON_FIELDS_MAX paths, or more than 16 names in one);
 * -ENOMEM. */
int weir_json_fields_create(const char *const *paths, size_t count,
                            struct weir_json_fields **ret_fields);
void weir_json_fields_free(struct weir_json_fields *fields);

/* The extractor for JSON documents; context is a struct weir_json_fields, used by one thread at a
 * time. A string gives its characters, a number or true, false its text; null, and objects, give
 * nothing. A value that is no JSON document gives 1, and nothing is emitted of it, not even what
 * stands in front of the error. A name that comes twice in an object: both. Allocates nothing but,
 * now and then, room for a string longer than all before. */
int weir_json_extract(void *fields, struct weir_bytes key, struct weir_bytes value,
                      weir_emit_fn emit, void *emit_context);

/* The whole value as field 0: for rows that are plain text. */
int weir_value_extract(void *unused, struct weir_bytes key, struct weir_bytes value,
                       weir_emit_fn emit, void *emit_context);

#ifdef __cplusplus
}
#endif
#endif
