/*
 * The extractor for rows that are JSON documents.
 *
 * 1. The document is scanned once; what is at a path is noted.
 * 2. When all of it has turned out to be a document, the notes are emitted, in the order in which
 *    they stand in it; strings with escapes are written out first, into a buffer that is kept.
 *
 * Failures: a value that is no document emits nothing. Without memory nothing is emitted either,
 * -ENOMEM. When an emit stops, what was emitted before it has been.
 *
 * Invariants: what the notes lend lies in the document; they and the buffer are of one call. They
 * grow to the largest that was needed: a document that is like those before it allocates nothing.
 */
#include <weir/extract.h>

#include "base/alloc.h"
#include "base/json.h"

#include <errno.h>
#include <string.h>

_Static_assert(WEIR_JSON_FIELDS_MAX == BASE_JSON_PATHS_MAX &&
                   WEIR_JSON_NAMES_MAX == BASE_JSON_NAMES_MAX &&
                   WEIR_JSON_DEPTH_MAX == BASE_JSON_DEPTH_MAX,
               "limits are the same");

/* Enough for most documents, whatever their paths. */
#define FIRST_NOTES 64u
#define FIRST_BUFFER 256u

struct weir_json_fields {
    struct base_json_paths *paths;
    struct base_json_value *notes;
    size_t noted, room;
    size_t escaped_max; /* bytes of the longest one with escapes, of this call */
    char *buffer;
    size_t buffer_bytes;
};

int weir_json_fields_create(const char *const *paths, size_t count,
                            struct weir_json_fields **ret_fields)
{
    struct weir_json_fields *fields = base_alloc_zero(sizeof *fields);
    if (fields == NULL) {
        return -ENOMEM;
    }
    int rc = base_json_paths_create(paths, count, BASE_JSON_ARRAYS, &fields->paths);
    if (rc < 0) {
        base_free(fields);
        return rc;
    }
    *ret_fields = fields;
    return 0;
}

void weir_json_fields_free(struct weir_json_fields *fields)
{
    if (fields == NULL) {
        return;
    }
    base_json_paths_free(fields->paths);
    base_free(fields->notes);
    base_free(fields->buffer);
    base_free(fields);
}

static int grow_notes(struct weir_json_fields *fields)
{
    size_t room = fields->room == 0 ? FIRST_NOTES : fields->room * 2;
    struct base_json_value *notes = base_alloc(room * sizeof *notes);
    if (notes == NULL) {
        return -ENOMEM;
    }
    if (fields->noted > 0) {
        memcpy(notes, fields->notes, fields->noted * sizeof *notes);
    }
    base_free(fields->notes);
    fields->notes = notes;
    fields->room = room;
    return 0;
}

static int note_value(void *context, const struct base_json_value *value)
{
    struct weir_json_fields *fields = context;
    if (value->paths == 0 || value->kind == BASE_JSON_OBJECT || value->kind == BASE_JSON_ARRAY ||
        value->kind == BASE_JSON_NULL) {
        return 0;
    }
    if (fields->noted == fields->room) {
        int rc = grow_notes(fields);
        if (rc < 0) {
            return rc;
        }
    }
    if (value->escaped && value->size > fields->escaped_max) {
        fields->escaped_max = value->size;
    }
    fields->notes[fields->noted++] = *value;
    return 0;
}

/* Before the first emit: behind it there would be no way back. */
static int make_room(struct weir_json_fields *fields)
{
    if (fields->escaped_max <= fields->buffer_bytes) {
        return 0;
    }
    size_t bytes = fields->buffer_bytes > 0 ? fields->buffer_bytes : FIRST_BUFFER;
    while (bytes < fields->escaped_max) {
        bytes *= 2;
    }
    char *buffer = base_alloc(bytes);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    base_free(fields->buffer);
    fields->buffer = buffer;
    fields->buffer_bytes = bytes;
    return 0;
}

static int emit_note(const struct weir_json_fields *fields, const struct base_json_value *note,
                     weir_emit_fn emit, void *emit_context)
{
    struct weir_bytes text = {note->data, note->size};
    if (note->escaped) {
        /* Halves of pairs were found by the scan. */
        text.data = fields->buffer;
        text.size = (size_t)base_json_unescape(note->data, note->size, fields->buffer);
    }
    for (uint32_t paths = note->paths; paths != 0; paths &= paths - 1) {
        int rc = emit(emit_context, (uint32_t)__builtin_ctz(paths), text);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int weir_json_extract(void *opaque, struct weir_bytes key, struct weir_bytes value,
                      weir_emit_fn emit, void *emit_context)
{
    struct weir_json_fields *fields = opaque;
    struct base_json_result result;
    (void)key;
    fields->noted = 0;
    fields->escaped_max = 0;
    int rc = base_json_scan(fields->paths, value.data, value.size, note_value, fields, &result);
    if (rc == -EBADMSG || (rc == 0 && result.half_pair)) {
        return 1;
    }
    if (rc == 0) {
        rc = make_room(fields);
    }
    for (size_t index = 0; rc == 0 && index < fields->noted; index++) {
        rc = emit_note(fields, &fields->notes[index], emit, emit_context);
    }
    return rc;
}
