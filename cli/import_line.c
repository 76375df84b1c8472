/*
 * What a line of import holds.
 *
 * JSON: the value is the line as it is; the key is the text of a field, a number as it is written.
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

static int explain_field(const struct import_form *form, const struct json_finding *finding,
                         char reason[IMPORT_REASON_BYTES])
{
    if (finding->root != JSON_OBJECT) {
        snprintf(reason, IMPORT_REASON_BYTES, "the document is %s, not an object",
                 json_kind_name(finding->root));
    } else if (finding->kind == JSON_ABSENT) {
        snprintf(reason, IMPORT_REASON_BYTES, "it has no field '%.100s'", form->field);
    } else {
        snprintf(reason, IMPORT_REASON_BYTES,
                 "the field '%.100s' is %s: a key is a string or a number", form->field,
                 json_kind_name(finding->kind));
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
    ssize_t size = json_unescape(key->data, key->size, form->key);
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
    struct json_finding finding;
    if (json_find(data, size, &form->path, &finding) < 0) {
        snprintf(reason, IMPORT_REASON_BYTES, "not JSON: %s (byte %zu of the line)", finding.text,
                 finding.offset + 1);
        return -EBADMSG;
    }
    if (finding.kind != JSON_STRING && finding.kind != JSON_NUMBER) {
        return explain_field(form, &finding, reason);
    }
    row->key = (struct weir_bytes){finding.data, finding.size};
    row->value = (struct weir_bytes){data, size};
    bool escaped = finding.kind == JSON_STRING && memchr(finding.data, '\\', finding.size) != NULL;
    return escaped ? unescape_key(form, &row->key, reason) : 0;
}

int import_line(struct import_form *form, const char *data, size_t size, struct import_row *ret_row,
                char reason[IMPORT_REASON_BYTES])
{
    int rc = form->json ? take_json(form, data, size, ret_row, reason)
                        : take_tabbed(data, size, ret_row, reason);
    return rc == 0 ? check_key(ret_row, reason) : rc;
}
