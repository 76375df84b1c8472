/*
 * Reading a JSON document without building it.
 *
 * 1. json_find() checks that the bytes are UTF-8, then reads one value by recursive descent.
 * 2. Each object knows which member of the path it is asked for; a value that is reached by the
 *    last one is noted.
 * 3. json_unescape() turns the inside of a string into its bytes.
 *
 * Failures: the first byte that does not fit the grammar, with what was expected there.
 */
#include "cli/json_find.h"

#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct reader {
    const char *start, *at, *end;
    const struct json_path *path;
    struct json_finding *finding;
    int depth;
};

#define NOT_ON_PATH (-1)

static int fault(struct reader *reader, const char *text)
{
    reader->finding->text = text;
    reader->finding->offset = (size_t)(reader->at - reader->start);
    return -EBADMSG;
}

static char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0'; /* a NUL fits nowhere */
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\r' || *reader->at == '\n')) {
        reader->at++;
    }
}

/* ---- strings ---- */

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Behind a backslash. */
static int read_escape(struct reader *reader)
{
    static const char letters[] = "\"\\/bfnrt";
    char letter = peek(reader);
    if (letter != '\0' && strchr(letters, letter) != NULL) {
        reader->at++;
        return 0;
    }
    if (letter != 'u') {
        return fault(reader, "there is no such escape in a string");
    }
    reader->at++;
    for (int i = 0; i < 4; i++) {
        if (reader->at == reader->end || hex_digit(*reader->at) < 0) {
            return fault(reader, "\\u needs four hex digits");
        }
        reader->at++;
    }
    return 0;
}

/* At the opening quote; lends what is between the quotes. */
static int read_string(struct reader *reader, const char **ret_data, size_t *ret_size,
                       bool *ret_escaped)
{
    const char *start = ++reader->at;
    bool escaped = false;
    while (reader->at < reader->end && *reader->at != '"') {
        unsigned char byte = (unsigned char)*reader->at;
        if (byte < 0x20) {
            return fault(reader, "a control character in a string has to be escaped");
        }
        reader->at++;
        if (byte == '\\') {
            escaped = true;
            int rc = read_escape(reader);
            if (rc < 0) {
                return rc;
            }
        }
    }
    if (reader->at == reader->end) {
        return fault(reader, "the line ends inside a string");
    }
    *ret_data = start;
    *ret_size = (size_t)(reader->at - start);
    *ret_escaped = escaped;
    reader->at++;
    return 0;
}

static uint32_t hex_unit(const char *digits)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        unit = unit << 4 | (uint32_t)hex_digit(digits[i]);
    }
    return unit;
}

static size_t put_utf8(uint32_t code, char *target)
{
    if (code < 0x80) {
        target[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        target[0] = (char)(0xc0 | code >> 6);
        target[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        target[0] = (char)(0xe0 | code >> 12);
        target[1] = (char)(0x80 | (code >> 6 & 0x3f));
        target[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    target[0] = (char)(0xf0 | code >> 18);
    target[1] = (char)(0x80 | (code >> 12 & 0x3f));
    target[2] = (char)(0x80 | (code >> 6 & 0x3f));
    target[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* data[at] is the u of \uXXXX, which is whole. Returns the bytes that were read, or -EBADMSG. */
static ssize_t take_unit(const char *data, size_t at, size_t size, uint32_t *ret_code)
{
    uint32_t code = hex_unit(data + at + 1);
    if (code < 0xd800 || code > 0xdfff) {
        *ret_code = code;
        return 5;
    }
    bool followed = at + 11 <= size && data[at + 5] == '\\' && data[at + 6] == 'u';
    uint32_t low = followed ? hex_unit(data + at + 7) : 0;
    if (code > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        return -EBADMSG;
    }
    *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return 11;
}

ssize_t json_unescape(const char *data, size_t size, char *target)
{
    static const char letters[] = "bfnrt";
    static const char bytes[] = "\b\f\n\r\t";
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        if (data[at] != '\\') {
            target[used++] = data[at++];
            continue;
        }
        at++;
        if (data[at] == 'u') {
            uint32_t code;
            ssize_t read = take_unit(data, at, size, &code);
            if (read < 0) {
                return read;
            }
            used += put_utf8(code, target + used);
            at += (size_t)read;
        } else {
            const char *found = strchr(letters, data[at]);
            target[used++] = found != NULL ? bytes[found - letters] : data[at];
            at++;
        }
    }
    return (ssize_t)used;
}

/* ---- numbers and words ---- */

static bool skip_digits(struct reader *reader)
{
    const char *start = reader->at;
    while (peek(reader) >= '0' && peek(reader) <= '9') {
        reader->at++;
    }
    return reader->at > start;
}

static int read_number(struct reader *reader)
{
    if (peek(reader) == '-') {
        reader->at++;
    }
    if (peek(reader) == '0') {
        reader->at++;
    } else if (!skip_digits(reader)) {
        return fault(reader, "a digit was expected");
    }
    if (peek(reader) == '.') {
        reader->at++;
        if (!skip_digits(reader)) {
            return fault(reader, "a digit was expected behind the point");
        }
    }
    if (peek(reader) == 'e' || peek(reader) == 'E') {
        reader->at++;
        if (peek(reader) == '+' || peek(reader) == '-') {
            reader->at++;
        }
        if (!skip_digits(reader)) {
            return fault(reader, "a digit was expected in the exponent");
        }
    }
    return 0;
}

static int read_word(struct reader *reader, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) {
        return fault(reader, "a value was expected");
    }
    reader->at += size;
    return 0;
}

/* ---- values ---- */

static int read_value(struct reader *reader, int level, enum json_kind *ret_kind);

/* Whether a name is the member of the path that is looked for at `level`. */
static bool is_member(const struct json_path *path, int level, const char *data, size_t size,
                      bool escaped)
{
    char name[1024];
    if (level == NOT_ON_PATH || level >= path->count) {
        return false;
    }
    if (escaped) {
        ssize_t length = size <= sizeof name ? json_unescape(data, size, name) : -1;
        if (length < 0) {
            return false;
        }
        data = name;
        size = (size_t)length;
    }
    return size == path->members[level].size && memcmp(data, path->members[level].name, size) == 0;
}

/* One "name": value. @param level  of the path that this object is asked for */
static int read_member(struct reader *reader, int level)
{
    const char *name;
    size_t size;
    bool escaped;
    skip_space(reader);
    if (peek(reader) != '"') {
        return fault(reader, "a name in quotes was expected");
    }
    int rc = read_string(reader, &name, &size, &escaped);
    if (rc < 0) {
        return rc;
    }
    skip_space(reader);
    if (peek(reader) != ':') {
        return fault(reader, "a colon was expected");
    }
    reader->at++;
    skip_space(reader);
    bool wanted = is_member(reader->path, level, name, size, escaped);
    const char *start = reader->at;
    enum json_kind kind;
    if (wanted) {
        reader->finding->kind = JSON_ABSENT; /* this one counts, whatever an earlier one had */
    }
    rc = read_value(reader, wanted ? level + 1 : NOT_ON_PATH, &kind);
    if (rc == 0 && wanted && level + 1 == reader->path->count) {
        size_t quote = kind == JSON_STRING ? 1 : 0;
        reader->finding->kind = kind;
        reader->finding->data = start + quote;
        reader->finding->size = (size_t)(reader->at - start) - 2 * quote;
    }
    return rc;
}

static int read_element(struct reader *reader, int level)
{
    enum json_kind kind;
    (void)level; /* a path goes through objects only */
    return read_value(reader, NOT_ON_PATH, &kind);
}

/* An object or an array, at its opening bracket. */
static int read_list(struct reader *reader, int level, char close,
                     int (*read_one)(struct reader *, int))
{
    if (++reader->depth > JSON_DEPTH_MAX) {
        return fault(reader, "more than 512 arrays and objects lie in each other");
    }
    reader->at++;
    skip_space(reader);
    bool first = true;
    while (first ? peek(reader) != close : peek(reader) == ',') {
        reader->at += first ? 0 : 1;
        first = false;
        int rc = read_one(reader, level);
        if (rc < 0) {
            return rc;
        }
        skip_space(reader);
    }
    if (peek(reader) != close) {
        return fault(reader,
                     close == '}' ? "a comma or } was expected" : "a comma or ] was expected");
    }
    reader->at++;
    reader->depth--;
    return 0;
}

static int read_value(struct reader *reader, int level, enum json_kind *ret_kind)
{
    const char *data;
    size_t size;
    bool escaped;
    skip_space(reader);
    switch (peek(reader)) {
    case '{':
        *ret_kind = JSON_OBJECT;
        return read_list(reader, level, '}', read_member);
    case '[':
        *ret_kind = JSON_ARRAY;
        return read_list(reader, level, ']', read_element);
    case '"':
        *ret_kind = JSON_STRING;
        return read_string(reader, &data, &size, &escaped);
    case 't':
        *ret_kind = JSON_TRUE;
        return read_word(reader, "true");
    case 'f':
        *ret_kind = JSON_FALSE;
        return read_word(reader, "false");
    case 'n':
        *ret_kind = JSON_NULL;
        return read_word(reader, "null");
    default:
        *ret_kind = JSON_NUMBER;
        if (peek(reader) != '-' && (peek(reader) < '0' || peek(reader) > '9')) {
            return fault(reader, "a value was expected");
        }
        return read_number(reader);
    }
}

/* ---- the whole ---- */

int json_path_parse(const char *text, struct json_path *ret_path)
{
    struct json_path path = {.count = 0};
    for (;;) {
        size_t size = strcspn(text, ".");
        if (size == 0 || path.count == JSON_PATH_MAX) {
            return -EINVAL;
        }
        path.members[path.count].name = text;
        path.members[path.count].size = size;
        path.count++;
        if (text[size] == '\0') {
            *ret_path = path;
            return 0;
        }
        text += size + 1;
    }
}

int json_find(const char *data, size_t size, const struct json_path *path,
              struct json_finding *ret_finding)
{
    struct reader reader = {data, data, data + size, path, ret_finding, 0};
    *ret_finding = (struct json_finding){.kind = JSON_ABSENT};
    if (!base_utf8_is_valid(data, size)) {
        return fault(&reader, "it is not UTF-8");
    }
    skip_space(&reader);
    if (reader.at == reader.end) {
        return fault(&reader, "the line is empty");
    }
    int rc = read_value(&reader, 0, &ret_finding->root);
    if (rc < 0) {
        return rc;
    }
    skip_space(&reader);
    return reader.at == reader.end ? 0 : fault(&reader, "more follows behind the document");
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [JSON_ABSENT] = "absent",    [JSON_STRING] = "a string", [JSON_NUMBER] = "a number",
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };
    return names[kind];
}
