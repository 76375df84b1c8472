/*
 * The JSON writer.
 *
 * 1. key() puts the comma, the name and the colon; each value function adds its value.
 * 2. Strings escape what RFC 8259 demands: quote, backslash and the controls, NUL among them.
 *
 * Failures: those of the output, which keeps them.
 */
#include "cli/json.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void key(struct json *json, const char *name)
{
    if (!json->first) {
        output_char(json->output, ',');
    }
    json->first = false;
    if (name != NULL) {
        output_char(json->output, '"');
        output_text(json->output, name);
        output_text(json->output, "\":");
    }
}

static void open_with(struct json *json, char bracket)
{
    output_char(json->output, bracket);
    json->first = true;
}

static void close_with(struct json *json, char bracket)
{
    output_char(json->output, bracket);
    json->first = false;
}

void json_begin(struct json *json, struct output *output)
{
    json->output = output;
    open_with(json, '{');
}

void json_end(struct json *json)
{
    output_text(json->output, "}\n");
}

void json_object(struct json *json, const char *name)
{
    key(json, name);
    open_with(json, '{');
}

void json_object_end(struct json *json)
{
    close_with(json, '}');
}

void json_array(struct json *json, const char *name)
{
    key(json, name);
    open_with(json, '[');
}

void json_array_end(struct json *json)
{
    close_with(json, ']');
}

void json_u64(struct json *json, const char *name, uint64_t value)
{
    key(json, name);
    output_u64(json->output, value);
}

void json_i64(struct json *json, const char *name, int64_t value)
{
    key(json, name);
    output_format(json->output, "%" PRId64, value);
}

void json_double(struct json *json, const char *name, double value)
{
    key(json, name);
    if (isfinite(value)) {
        output_format(json->output, "%.9g", value);
    } else {
        output_text(json->output, "null");
    }
}

void json_number(struct json *json, const char *name, const char *digits)
{
    key(json, name);
    output_text(json->output, digits);
}

void json_bool(struct json *json, const char *name, bool value)
{
    key(json, name);
    output_text(json->output, value ? "true" : "false");
}

void json_null(struct json *json, const char *name)
{
    key(json, name);
    output_text(json->output, "null");
}

void json_time(struct json *json, const char *name, uint64_t time_ns)
{
    key(json, name);
    output_char(json->output, '"');
    output_time(json->output, time_ns);
    output_char(json->output, '"');
}

static void escape(struct output *output, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "\b\t\n\f\r\"\\";
    static const char codes[] = "btnfr\"\\";
    const char *found = byte == 0 ? NULL : strchr(letters, byte);
    if (found != NULL) {
        char code[2] = {'\\', codes[found - letters]};
        output_bytes(output, code, sizeof code);
        return;
    }
    char code[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    output_bytes(output, code, sizeof code);
}

/* The bytes are valid UTF-8. */
static void string_value(struct output *output, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t plain = 0; /* start of what can go out in one piece */
    output_char(output, '"');
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] >= 0x20 && bytes[i] != '"' && bytes[i] != '\\') {
            continue;
        }
        output_bytes(output, bytes + plain, i - plain);
        escape(output, bytes[i]);
        plain = i + 1;
    }
    if (plain < size) {
        output_bytes(output, bytes + plain, size - plain);
    }
    output_char(output, '"');
}

void json_text(struct json *json, const char *name, const char *text)
{
    key(json, name);
    size_t size = strlen(text);
    if (base_utf8_is_valid(text, size)) {
        string_value(json->output, text, size);
        return;
    }
    output_char(json->output, '"');
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte >= 0x80) {
            output_text(json->output, "\xef\xbf\xbd");
        } else if (byte < 0x20 || byte == '"' || byte == '\\') {
            escape(json->output, byte);
        } else {
            output_char(json->output, text[i]);
        }
    }
    output_char(json->output, '"');
}

/* Base64 in pieces of a multiple of three bytes: only the last one may be padded. */
static void base64_value(struct output *output, const uint8_t *data, size_t size)
{
    enum { PIECE = 768 };
    char buffer[PIECE / 3 * 4 + 1];
    output_char(output, '"');
    while (size > 0) {
        size_t piece = size < PIECE ? size : PIECE;
        struct base_text text;
        base_text_init(&text, buffer, sizeof buffer);
        base_text_append_base64(&text, data, piece);
        output_bytes(output, text.data, text.length);
        data += piece;
        size -= piece;
    }
    output_char(output, '"');
}

void json_bytes(struct json *json, const char *name, const void *data, size_t size)
{
    if (base_utf8_is_valid(data, size)) {
        key(json, name);
        string_value(json->output, data, size);
        return;
    }
    char base64_name[64];
    struct base_text text;
    base_text_init(&text, base64_name, sizeof base64_name);
    base_text_append(&text, name);
    base_text_append(&text, "_base64");
    key(json, base64_name);
    base64_value(json->output, data, size);
}
