/*
 * What a line of import holds.
 *
 * JSON: the value is the line as it is; the key is the text of a field, a number as it is written.
 * Where a name comes twice, the last one counts.
 * Otherwise: the key is what stands in front of the first tab, the value what stands behind it.
 *
 * Failures: each says what is wrong with the line, in words that fit behind "line 7: ".
 */
#include "cli/import_line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int check_key(const struct import_row *row, char reason[IMPORT_REASON_BYTES])
{
    if (row->key.size == 0) {
        snprintf(reason, IMPORT_REASON_BYTES, "the key is empty: it needs at least one byte");
        return -EBADMSG;
    }
    if (row->key.size > WEIR_KEY_BYTES_MAX) {
        snprintf(reason, IMPORT_REASON_BYTES, "the key has %zu bytes, more than %d", row->key.size,
                 WEIR_KEY_BYTES_MAX);
        return -EBADMSG;
    }
    return 0;
}

static int take_tabbed(const char *data, size_t size, struct import_row *row,
                       char reason[IMPORT_REASON_BYTES])
{
    const char *tab = memchr(data, '\t', size);
    if (tab == NULL) {
        snprintf(reason, IMPORT_REASON_BYTES, "there is no tab between a key and a value");
        return -EBADMSG;
    }
    row->key = (struct weir_bytes){data, (size_t)(tab - data)};
    row->value = (struct weir_bytes){tab + 1, size - row->key.size - 1};
    return 0;
}

/* The value of the field, and the document around it. */
struct finding {
    struct base_json_value value; /* the last one; BASE_JSON_ABSENT without */
    struct base_json_result document;
};

/* A value further in front is the field's no more, also when this one leads to nothing. */
static int note_value(void *context, const struct base_json_value *value)
{
    struct finding *finding = context;
    if (value->paths != 0) {
        finding->value = *value;
    } else if (finding->value.kind != BASE_JSON_ABSENT && finding->value.data < value->data) {
        finding->value.kind = BASE_JSON_ABSENT;
    }
    return 0;
}

static int explain_field(const struct import_form *form, const struct finding *finding,
                         char reason[IMPORT_REASON_BYTES])
{
    if (finding->document.root != BASE_JSON_OBJECT) {
        snprintf(reason, IMPORT_REASON_BYTES, "the document is %s, not an object",
                 base_json_kind_name(finding->document.root));
    } else if (finding->value.kind == BASE_JSON_ABSENT) {
        snprintf(reason, IMPORT_REASON_BYTES, "it has no field '%.100s'", form->field);
    } else {
        snprintf(reason, IMPORT_REASON_BYTES,
                 "the field '%.100s' is %s: a key is a string or a number", form->field,
                 base_json_kind_name(finding->value.kind));
    }
    return -EBADMSG;
}

static int unescape_key(struct import_form *form, struct weir_bytes *key,
                        char reason[IMPORT_REASON_BYTES])
{
    /* One that cannot come down to the limit, at twelve bytes for four, needs no room. */
    if (key->size > form->key_capacity) {
        return 0; /* check_key() finds it too long */
    }
    ssize_t size = base_json_unescape(key->data, key->size, form->key);
    if (size < 0) {
        snprintf(reason, IMPORT_REASON_BYTES,
                 "the field '%.100s' has half of a surrogate pair, which is no text", form->field);
        return -EBADMSG;
    }
    *key = (struct weir_bytes){form->key, (size_t)size};
    return 0;
}

static int take_json(struct import_form *form, const char *data, size_t size,
                     struct import_row *row, char reason[IMPORT_REASON_BYTES])
{
    struct finding finding = {.value = {.kind = BASE_JSON_ABSENT}};
    if (base_json_scan(form->path, data, size, note_value, &finding, &finding.document) < 0) {
        snprintf(reason, IMPORT_REASON_BYTES, "not JSON: %s (byte %zu of the line)",
                 finding.document.text, finding.document.offset + 1);
        return -EBADMSG;
    }
    if (finding.value.kind != BASE_JSON_STRING && finding.value.kind != BASE_JSON_NUMBER) {
        return explain_field(form, &finding, reason);
    }
    row->key = (struct weir_bytes){finding.value.data, finding.value.size};
    row->value = (struct weir_bytes){data, size};
    return finding.value.escaped ? unescape_key(form, &row->key, reason) : 0;
}

int import_line(struct import_form *form, const char *data, size_t size, struct import_row *ret_row,
                char reason[IMPORT_REASON_BYTES])
{
    int rc = form->json ? take_json(form, data, size, ret_row, reason)
                        : take_tabbed(data, size, ret_row, reason);
    return rc == 0 ? check_key(ret_row, reason) : rc;
}
