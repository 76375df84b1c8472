/*
 * Reading a JSON document without building it.
 *
 * 1. A loop reads one value after the other; what is open around it is a stack of frames.
 * 2. Each frame knows at which node of the paths its container is, so a member's name is looked up
 *    below that node alone, and a container that no path leads into costs no look-up at all.
 * 3. A value at a node is handed to the visit once its end is known.
 * 4. Strings, most of any document, are read eight bytes at a time: a word without a quote, a
 *    backslash, a control character and a byte beyond ASCII needs no closer look.
 *
 * Failures: the first byte that does not fit the grammar, with what was expected there.
 *
 * Invariants: no byte at or behind `end` is read; depth is the number of frames in use. A string
 * that was accepted is valid UTF-8 with whole escapes; outside of strings only ASCII is accepted.
 */
#include "base/json.h"

#include "base/json_path.h"
#include "base/le.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

struct frame {
    const char *start; /* of the container */
    uint16_t node;     /* its own */
    bool object;
};

struct reader {
    const char *start, *at, *end;
    const struct base_json_paths *paths;
    base_json_visit_fn visit;
    void *context;
    struct base_json_result *result;
    struct frame *frames;
    uint32_t depth;
    uint16_t node; /* of the value that is read next */
};

/* What reading a part comes to, beside an error. */
enum { WANTED = 1, /* a value follows */ CLOSED = 2 /* a value has ended */ };

__attribute__((cold, noinline)) static int fault(struct reader *reader, const char *text)
{
    reader->result->text = text;
    reader->result->offset = (size_t)(reader->at - reader->start);
    return -EBADMSG;
}

static inline char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0'; /* a NUL fits nowhere */
}

static inline void skip_space(struct reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        at++;
    }
    reader->at = at;
}

/* ---- strings ---- */

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* A mark in the highest bit of bytes that end a plain stretch. A borrow may mark bytes behind the
 * first marked one wrongly: only the first one counts. */
static inline uint64_t mark_special(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"');
    uint64_t backslash = word ^ EACH_BYTE('\\');
    return (word | (word - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1))) &
           EACH_BYTE(0x80);
}

static inline bool is_special(unsigned char byte)
{
    return byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\';
}

/* The first special byte, or the end. */
static inline const char *skip_plain(const char *at, const char *end)
{
    while (end - at >= 8) {
        struct le64 bytes;
        memcpy(&bytes, at, sizeof bytes);
        uint64_t marks = mark_special(le64_load(&bytes));
        if (marks != 0) {
            return at + (__builtin_ctzll(marks) >> 3);
        }
        at += 8;
    }
    while (at < end && !is_special((unsigned char)*at)) {
        at++;
    }
    return at;
}

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

/* At the u of an escape. */
static int read_unit(struct reader *reader, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    reader->at++;
    for (int i = 0; i < 4; i++) {
        int digit = reader->at < reader->end ? hex_digit(*reader->at) : -1;
        if (digit < 0) {
            return fault(reader, "\\u needs four hex digits");
        }
        unit = unit << 4 | (uint32_t)digit;
        reader->at++;
    }
    *ret_unit = unit;
    return 0;
}

/* Behind the first half of a surrogate pair. The second half, if it is there, is read as well. */
static int read_low_half(struct reader *reader)
{
    const char *at = reader->at;
    uint32_t unit = 0;
    if (reader->end - at >= 2 && at[0] == '\\' && at[1] == 'u') {
        reader->at++;
        int rc = read_unit(reader, &unit);
        if (rc < 0) {
            return rc;
        }
    }
    if (unit < 0xdc00 || unit > 0xdfff) {
        reader->result->half_pair = true;
    }
    return 0;
}

/* At a backslash. */
static int read_escape(struct reader *reader)
{
    static const char letters[] = "\"\\/bfnrt";
    reader->at++;
    char letter = peek(reader);
    if (letter != 'u') {
        if (memchr(letters, letter, sizeof letters - 1) == NULL) {
            return fault(reader, "there is no such escape in a string");
        }
        reader->at++;
        return 0;
    }
    uint32_t unit = 0;
    int rc = read_unit(reader, &unit);
    if (rc == 0 && unit >= 0xd800 && unit <= 0xdbff) {
        return read_low_half(reader);
    }
    if (rc == 0 && unit >= 0xdc00 && unit <= 0xdfff) {
        reader->result->half_pair = true;
    }
    return rc;
}

/* At bytes beyond ASCII: text that has one often has more. */
static int read_beyond_ascii(struct reader *reader)
{
    while (reader->at < reader->end && (unsigned char)*reader->at >= 0x80) {
        size_t length = base_utf8_sequence(reader->at, (size_t)(reader->end - reader->at));
        if (length == 0) {
            return fault(reader, "it is not UTF-8");
        }
        reader->at += length;
    }
    return 0;
}

/* What skip_plain() stopped at, when it is not the closing quote. */
static int read_special(struct reader *reader)
{
    if (reader->at == reader->end) {
        return fault(reader, "the text ends inside a string");
    }
    if (*reader->at == '\\') {
        return read_escape(reader);
    }
    if ((unsigned char)*reader->at >= 0x80) {
        return read_beyond_ascii(reader);
    }
    return fault(reader, "a control character in a string has to be escaped");
}

/* At the opening quote; lends what is between the quotes. */
static inline int read_string(struct reader *reader, struct base_json_value *ret_value)
{
    const char *start = ++reader->at;
    bool escaped = false;
    for (;;) {
        reader->at = skip_plain(reader->at, reader->end);
        if (reader->at < reader->end && *reader->at == '"') {
            break;
        }
        escaped |= peek(reader) == '\\';
        int rc = read_special(reader);
        if (rc < 0) {
            return rc;
        }
    }
    ret_value->data = start;
    ret_value->size = (size_t)(reader->at - start);
    ret_value->escaped = escaped;
    reader->at++;
    return 0;
}

/* ---- numbers and words ---- */

static inline bool skip_digits(struct reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && *at >= '0' && *at <= '9') {
        at++;
    }
    bool any = at > reader->at;
    reader->at = at;
    return any;
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

static int read_word(struct reader *reader, const char *word, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) {
        return fault(reader, "a value was expected");
    }
    reader->at += size;
    return 0;
}

/* ---- values ---- */

/* Hands a value of node to the visit. CLOSED, or what the visit returned. */
static inline int finish(struct reader *reader, uint16_t node, struct base_json_value *value)
{
    if (reader->depth == 0) {
        reader->result->root = value->kind;
    }
    if (node == BASE_JSON_NOWHERE) {
        return CLOSED;
    }
    value->paths = reader->paths->nodes[node].paths;
    int rc = reader->visit(reader->context, value);
    return rc == 0 ? CLOSED : rc;
}

/* A name and its colon: the node of the value behind them is known then. */
static inline int read_name(struct reader *reader, uint16_t parent)
{
    struct base_json_value name;
    skip_space(reader);
    if (peek(reader) != '"') {
        return fault(reader, "a name in quotes was expected");
    }
    int rc = read_string(reader, &name);
    if (rc < 0) {
        return rc;
    }
    skip_space(reader);
    if (peek(reader) != ':') {
        return fault(reader, "a colon was expected");
    }
    reader->at++;
    reader->node = parent == BASE_JSON_NOWHERE
                       ? BASE_JSON_NOWHERE
                       : base_json_child(reader->paths, parent, name.data, name.size, name.escaped);
    return WANTED;
}

/* What stands in front of the next member or element of the container. */
static inline int begin_next(struct reader *reader, const struct frame *frame)
{
    if (frame->object) {
        return read_name(reader, frame->node);
    }
    bool inside = (reader->paths->flags & BASE_JSON_ARRAYS) != 0;
    reader->node = inside ? frame->node : BASE_JSON_NOWHERE;
    return WANTED;
}

/* At the closing bracket of the innermost container. */
static inline int close_container(struct reader *reader)
{
    const struct frame *frame = &reader->frames[--reader->depth];
    reader->at++;
    struct base_json_value value = {
        .kind = frame->object ? BASE_JSON_OBJECT : BASE_JSON_ARRAY,
        .data = frame->start,
        .size = (size_t)(reader->at - frame->start),
    };
    return finish(reader, frame->node, &value);
}

/* At an opening bracket. */
static inline int open_container(struct reader *reader, bool object)
{
    if (reader->depth == BASE_JSON_DEPTH_MAX) {
        return fault(reader, "more than 512 arrays and objects lie in each other");
    }
    struct frame *frame = &reader->frames[reader->depth++];
    *frame = (struct frame){reader->at, reader->node, object};
    reader->at++;
    skip_space(reader);
    if (peek(reader) == (object ? '}' : ']')) {
        return close_container(reader);
    }
    return begin_next(reader, frame);
}

/* Behind a value inside of a container: WANTED (a comma), or CLOSED (the container, too). */
static inline int read_behind(struct reader *reader)
{
    const struct frame *frame = &reader->frames[reader->depth - 1];
    skip_space(reader);
    char next = peek(reader);
    if (next == ',') {
        reader->at++;
        return begin_next(reader, frame);
    }
    if (next == (frame->object ? '}' : ']')) {
        return close_container(reader);
    }
    return fault(reader, frame->object ? "a comma or } was expected" : "a comma or ] was expected");
}

static inline int read_plain(struct reader *reader, char first, struct base_json_value *value)
{
    const char *start = reader->at;
    int rc;
    if (first == '-' || (first >= '0' && first <= '9')) {
        value->kind = BASE_JSON_NUMBER;
        rc = read_number(reader);
    } else if (first == 't') {
        value->kind = BASE_JSON_TRUE;
        rc = read_word(reader, "true", 4);
    } else if (first == 'f') {
        value->kind = BASE_JSON_FALSE;
        rc = read_word(reader, "false", 5);
    } else {
        value->kind = BASE_JSON_NULL;
        rc = read_word(reader, "null", 4);
    }
    value->data = start;
    value->size = (size_t)(reader->at - start);
    value->escaped = false;
    return rc;
}

/* A whole value (CLOSED), or the beginning of one (WANTED). */
static inline int read_value(struct reader *reader)
{
    struct base_json_value value;
    int rc;
    skip_space(reader);
    char first = peek(reader);
    if (first == '"') {
        value.kind = BASE_JSON_STRING;
        rc = read_string(reader, &value);
    } else if (first == '{' || first == '[') {
        return open_container(reader, first == '{');
    } else {
        rc = read_plain(reader, first, &value);
    }
    return rc == 0 ? finish(reader, reader->node, &value) : rc;
}

/* ---- the whole ---- */

static int read_document(struct reader *reader)
{
    int rc;
    do {
        rc = read_value(reader);
        while (rc == CLOSED && reader->depth > 0) {
            rc = read_behind(reader);
        }
    } while (rc == WANTED);
    return rc;
}

int base_json_scan(const struct base_json_paths *paths, const char *data, size_t size,
                   base_json_visit_fn visit, void *context, struct base_json_result *ret_result)
{
    struct frame frames[BASE_JSON_DEPTH_MAX];
    data = size > 0 ? data : ""; /* NULL is no place to count from */
    struct reader reader = {
        .start = data,
        .at = data,
        .end = data + size,
        .paths = paths,
        .visit = visit,
        .context = context,
        .result = ret_result,
        .frames = frames,
        .node = BASE_JSON_ROOT,
    };
    *ret_result = (struct base_json_result){.root = BASE_JSON_ABSENT};
    skip_space(&reader);
    if (reader.at == reader.end) {
        return fault(&reader, "the text is empty");
    }
    int rc = read_document(&reader);
    if (rc != CLOSED) {
        return rc;
    }
    skip_space(&reader);
    return reader.at == reader.end ? 0 : fault(&reader, "more follows behind the document");
}
