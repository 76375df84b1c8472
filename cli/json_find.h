/*
 * A JSON document that is only looked at: is it valid, and what is at a path?
 *
 *     struct json_path path;
 *     json_path_parse("user.id", &path);
 *     struct json_finding finding;
 *     if (json_find(line, size, &path, &finding) < 0)
 *         complain(finding.text, finding.offset);
 *     else if (finding.kind == JSON_STRING)
 *         length = json_unescape(finding.data, finding.size, key, sizeof key);
 *
 * RFC 8259 to the letter: any document is accepted or refused as the grammar says, numbers of any
 * length too, UTF-8 is checked. Nothing is allocated, and the document is read once.
 */
#ifndef CLI_JSON_FIND_H
#define CLI_JSON_FIND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JSON_PATH_MAX 16   /* members */
#define JSON_DEPTH_MAX 512 /* of arrays and objects in each other */

enum json_kind {
    JSON_ABSENT = 0,
    JSON_STRING,
    JSON_NUMBER,
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_path {
    struct {
        const char *name; /* lies in what was parsed */
        size_t size;
    } members[JSON_PATH_MAX];
    int count;
};

struct json_finding {
    enum json_kind kind; /* of the value at the path: the last one, if a name comes twice */
    const char *data;    /* its bytes in the document; those between the quotes of a string */
    size_t size;
    enum json_kind root; /* of the document */
    const char *text;    /* what is wrong with it, when it is not valid */
    size_t offset;       /* and where, from 0 */
};

/* Members separated by dots. Returns 0, or -EINVAL: empty members, too many of them. */
int json_path_parse(const char *text, struct json_path *ret_path);

/* Returns 0 or -EBADMSG. */
int json_find(const char *data, size_t size, const struct json_path *path,
              struct json_finding *ret_finding);

/* The bytes that a string stands for: at most `size`, so `target` needs no more room than that.
 * Returns how many, or -EBADMSG: half of a surrogate pair, which UTF-8 has no form for. */
ssize_t json_unescape(const char *data, size_t size, char *target);

/* "a string", "null", ... */
const char *json_kind_name(enum json_kind kind);

#endif
