/* Commas, escapes and numbers of JSON; numbers that JSON cannot say (NaN, infinity) become null. */
#include "bench/json.h"

#include <inttypes.h>
#include <math.h>

static void write_string(FILE *file, const char *string)
{
    (void)fputc('"', file);
    for (const char *at = string; *at != '\0'; at++) {
        unsigned char character = (unsigned char)*at;
        if (character == '"' || character == '\\') {
            (void)fputc('\\', file);
            (void)fputc(character, file);
        } else if (character < 0x20) {
            (void)fprintf(file, "\\u%04x", character);
        } else {
            (void)fputc(character, file);
        }
    }
    (void)fputc('"', file);
}

static void begin_member(struct bench_json *json, const char *key)
{
    if (!json->first) {
        (void)fputc(',', json->file);
    }
    json->first = false;
    if (key != NULL) {
        write_string(json->file, key);
        (void)fputc(':', json->file);
    }
}

void bench_json_open(struct bench_json *json, FILE *file)
{
    json->file = file;
    json->first = true;
    (void)fputc('{', file);
}

void bench_json_close(struct bench_json *json)
{
    (void)fputs("}\n", json->file);
    (void)fflush(json->file);
}

void bench_json_number(struct bench_json *json, const char *key, double value)
{
    begin_member(json, key);
    if (!isfinite(value)) {
        (void)fputs("null", json->file);
    } else {
        (void)fprintf(json->file, "%.9g", value);
    }
}

void bench_json_count(struct bench_json *json, const char *key, uint64_t value)
{
    begin_member(json, key);
    (void)fprintf(json->file, "%" PRIu64, value);
}

void bench_json_bool(struct bench_json *json, const char *key, bool value)
{
    begin_member(json, key);
    (void)fputs(value ? "true" : "false", json->file);
}

void bench_json_text(struct bench_json *json, const char *key, const char *value)
{
    begin_member(json, key);
    write_string(json->file, value);
}

void bench_json_begin(struct bench_json *json, const char *key, char bracket)
{
    begin_member(json, key);
    (void)fputc(bracket, json->file);
    json->first = true;
}

void bench_json_end(struct bench_json *json, char bracket)
{
    (void)fputc(bracket, json->file);
    json->first = false;
}
