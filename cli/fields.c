/*
 * The fields of a definition: the library's extractor, with a note of what it has found.
 */
#include "cli/fields.h"

#include "base/alloc.h"

#include <errno.h>

struct meeting {
    struct fields *fields;
    weir_emit_fn emit;
    void *context;
};

int fields_create(const struct definition *definition, struct fields **ret_fields)
{
    const char *paths[DEFINITION_FIELDS_MAX];
    for (uint32_t i = 0; i < definition->field_count; i++) {
        paths[i] = definition->fields[i];
    }
    struct fields *fields = base_alloc_zero(sizeof *fields);
    if (fields == NULL) {
        return -ENOMEM;
    }
    int rc = weir_json_fields_create(paths, definition->field_count, &fields->json);
    if (rc < 0) {
        base_free(fields);
        return rc;
    }
    *ret_fields = fields;
    return 0;
}

void fields_free(struct fields *fields)
{
    if (fields != NULL) {
        weir_json_fields_free(fields->json);
        base_free(fields);
    }
}

static int meet(void *opaque, uint32_t field, struct weir_bytes text)
{
    struct meeting *meeting = opaque;
    meeting->fields->met[field] = true;
    return meeting->emit(meeting->context, field, text);
}

int fields_extract(void *opaque, struct weir_bytes key, struct weir_bytes value, weir_emit_fn emit,
                   void *emit_context)
{
    struct meeting meeting = {opaque, emit, emit_context};
    int rc = weir_json_extract(meeting.fields->json, key, value, meet, &meeting);
    meeting.fields->documents += rc == 0;
    return rc;
}
