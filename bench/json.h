/*
 * One JSON object on one line, written member by member.
 *
 *     struct bench_json json;
 *     bench_json_open(&json, stdout);
 *     bench_json_number(&json, "records_per_s", 7013.2);
 *     bench_json_text(&json, "medium", "direct");
 *     bench_json_close(&json);                        // {"records_per_s":7013.2,"medium":"direct"}
 */
#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct bench_json {
    FILE *file;
    bool first; /* no comma before the next member */
};

void bench_json_open(struct bench_json *json, FILE *file);
void bench_json_close(struct bench_json *json); /* ends the line and flushes it */

/* A key of NULL makes an element of an array. */
void bench_json_number(struct bench_json *json, const char *key, double value);
void bench_json_count(struct bench_json *json, const char *key, uint64_t value);
void bench_json_bool(struct bench_json *json, const char *key, bool value);
void bench_json_text(struct bench_json *json, const char *key, const char *value);
void bench_json_begin(struct bench_json *json, const char *key, char bracket); /* '{' or '[' */
void bench_json_end(struct bench_json *json, char bracket);                    /* '}' or ']' */

#endif
