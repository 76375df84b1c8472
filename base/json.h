/*
 * A JSON document that is only looked at: is it valid, and what is at some paths of it?
 *
 *     base_json_paths_create((const char *[]){"section", "user.id"}, 2, BASE_JSON_ARRAYS, &paths);
 *     if (base_json_scan(paths, data, size, visit, context, &result) < 0)
 *         complain(result.text, result.offset);
 *
 * RFC 8259 to the letter: any document is accepted or refused as the grammar says, numbers of any
 * length too, and UTF-8 is checked. The document is read once, from front to back, and nothing is
 * allocated. So a visit may come before the error that makes the document none: whoever must not
 * act on such a one keeps what was visited until the scan returns.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BASE_JSON_DEPTH_MAX 512 /* of arrays and objects in each other */
#define BASE_JSON_PATHS_MAX 32  /* in one set */
#define BASE_JSON_NAMES_MAX 16  /* in one path */

enum base_json_kind {
    BASE_JSON_ABSENT = 0,
    BASE_JSON_STRING,
    BASE_JSON_NUMBER,
    BASE_JSON_OBJECT,
    BASE_JSON_ARRAY,
    BASE_JSON_TRUE,
    BASE_JSON_FALSE,
    BASE_JSON_NULL,
};

/* ---- paths ---- */

struct base_json_paths;

#define BASE_JSON_ARRAYS                                                                           \
    1u /* an array, wherever it is, stands for each of its elements; without                       \
          this flag no path leads into one */

/*
 * @param texts  names of members with a dot between them; "\." is a dot in a name, "\\" a
 *               backslash. Not kept.
 * Returns 0; -EINVAL (a name that is empty or not UTF-8, too many names or paths); -ENOMEM.
 */
int base_json_paths_create(const char *const *texts, size_t count, unsigned flags,
                           struct base_json_paths **ret_paths);
void base_json_paths_free(struct base_json_paths *paths);

/* ---- documents ---- */

/* What is at a path, or on the way of one: a bit of `paths` for each path that ends here. */
struct base_json_value {
    enum base_json_kind kind;
    uint32_t paths;
    const char *data; /* in the document, as it is written: a string without its quotes */
    size_t size;
    bool escaped; /* a string that base_json_unescape() has to read */
};

/* Called once a value's end is known: an object or an array after what is inside. Returns 0, or
 * < 0: the scan stops, and returns it. */
typedef int (*base_json_visit_fn)(void *context, const struct base_json_value *value);

struct base_json_result {
    enum base_json_kind root; /* of a valid document */
    bool half_pair;           /* a string has half of a surrogate pair: valid JSON, but no text */
    const char *text;         /* what is wrong with it, when it is not valid */
    size_t offset;            /* and where, from 0 */
};

/* Returns 0; -EBADMSG (not JSON: ret_result says why); what a visit returned. */
int base_json_scan(const struct base_json_paths *paths, const char *data, size_t size,
                   base_json_visit_fn visit, void *context, struct base_json_result *ret_result);

/* ---- strings: the bytes between the quotes of one that the scan has accepted ---- */

/* The bytes that it stands for: at most `size`, so `target` needs no more room than that.
 * Returns how many, or -EBADMSG: half of a surrogate pair, which UTF-8 has no form for. */
ssize_t base_json_unescape(const char *data, size_t size, char *target);

/* Whether it stands for exactly these bytes. */
bool base_json_equals(const char *data, size_t size, const void *text, size_t text_size);

/* "a string", "null", ... */
const char *base_json_kind_name(enum base_json_kind kind);

#endif
