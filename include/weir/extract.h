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

struct weir_json_fields; /* paths into JSON documents, prepared */

#define WEIR_JSON_FIELDS_MAX 32
#define WEIR_JSON_NAMES_MAX 16  /* in one path */
#define WEIR_JSON_DEPTH_MAX 512 /* of arrays and objects in each other: deeper is no document */

/* Prepares paths into JSON documents: member names separated by dots ("a.b"). "\." is a dot in a
 * name, "\\" a backslash. An array, the whole document included, stands for each of its elements,
 * on the way and at the end.
 *
 * @param paths       zero-terminated, UTF-8; copied. The field of the first is 0
 * @param count       from 1 to WEIR_JSON_FIELDS_MAX
 * @param ret_fields  weir_json_fields_free() frees them, when no extractor uses them any more
 * Returns: 0; -EINVAL (an empty name, one that is not UTF-8, more than WEIR_JSON_FIELDS_MAX paths
 *   or WEIR_JSON_NAMES_MAX names in one, no path); -ENOMEM.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: what it returns.
 */
WEIR_EXPORT int weir_json_fields_create(const char *const *paths, size_t count,
                                        struct weir_json_fields **ret_fields);

/* Frees prepared paths.
 *
 * @param fields  NULL does nothing
 * Returns: nothing.
 * Durability: none.
 * Threads: any, when nobody uses them.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_json_fields_free(struct weir_json_fields *fields);

/* The extractor for JSON documents (RFC 8259, UTF-8). A string gives its characters, a number or
 * true, false its text as it is written; null, and objects, give nothing. A name that comes twice
 * in an object counts twice. Emits in the order of the document, of equal paths the first given
 * first.
 *
 * @param fields        a struct weir_json_fields; one call at a time uses it
 * @param key           is not looked at
 * @param value         the document
 * @param emit          called for each value of each field
 * @param emit_context  its first argument
 * Returns: 0; 1 (no JSON document, nested too deep, or one with half of a surrogate pair, anywhere
 *   in it: nothing is emitted, not even what stands in front of the error); -ENOMEM (nothing is
 *   emitted); what emit returned.
 * Durability: none.
 * Threads: any, one at a time for the same fields.
 * Blocks: never.
 * Allocates: now and then, room for more values, or for a longer string with escapes, than any
 *   document before had.
 */
WEIR_EXPORT int weir_json_extract(void *fields, struct weir_bytes key, struct weir_bytes value,
                                  weir_emit_fn emit, void *emit_context);

/* The whole value as field 0: the extractor for rows that are plain text.
 *
 * @param unused        any
 * @param key           is not looked at
 * @param value         the text
 * @param emit          called once
 * @param emit_context  its first argument
 * Returns: what emit returned.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_value_extract(void *unused, struct weir_bytes key, struct weir_bytes value,
                                   weir_emit_fn emit, void *emit_context);

#ifdef __cplusplus
}
#endif
#endif
