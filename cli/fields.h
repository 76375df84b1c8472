/*
 * The fields of a definition, as extracted from JSON documents, and which of them were ever met: a
 * mistyped path is no error to an extractor, it only never finds anything.
 */
#ifndef CLI_FIELDS_H
#define CLI_FIELDS_H

#include "cli/definition.h"

#include <weir/extract.h>

struct fields {
    struct weir_json_fields *json;
    uint64_t documents;              /* that were looked at */
    bool met[DEFINITION_FIELDS_MAX]; /* in one of them */
};

/* 0; the errors of weir_json_fields_create(). */
int fields_create(const struct definition *definition, struct fields **ret_fields);
void fields_free(struct fields *fields);

/* The extractor. @param fields  a struct fields */
int fields_extract(void *fields, struct weir_bytes key, struct weir_bytes value, weir_emit_fn emit,
                   void *emit_context);

#endif
