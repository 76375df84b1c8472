/*
 * Text: building bounded strings, and the few formats that people type and read.
 *
 *     char line[128];
 *     struct base_text text;
 *     base_text_init(&text, line, sizeof line);
 *     base_text_append_format(&text, "lsn %" PRIu64 " at ", lsn);
 *     base_text_append_time(&text, time_ns);
 *
 * The buffer is always a C string. What does not fit is left out and text.truncated is set; nothing
 * here allocates or depends on the locale.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base_text {
    char *data;
    size_t capacity; /* with the final 0 */
    size_t length;   /* without it */
    bool truncated;
};

/* @param capacity > 0. */
void base_text_init(struct base_text *text, char *buffer, size_t capacity);

void base_text_append(struct base_text *text, const char *string);
void base_text_append_bytes(struct base_text *text, const void *data, size_t size);
void base_text_append_char(struct base_text *text, char character);
__attribute__((format(printf, 2, 3))) void base_text_append_format(struct base_text *text,
                                                                   const char *format, ...);

/* Lower case, two digits a byte. */
void base_text_append_hex(struct base_text *text, const void *data, size_t size);

/* RFC 4648, with padding, no line breaks. */
void base_text_append_base64(struct base_text *text, const void *data, size_t size);

/* RFC 3339 in UTC, cut to milliseconds: 2026-11-23T15:36:16.123Z. */
void base_text_append_time(struct base_text *text, uint64_t time_ns);

/* For people: 64 MiB, 1.5 GiB, 100 B; and 250 ms, 1.25 s, 13 us. */
void base_text_append_size(struct base_text *text, uint64_t size_bytes);
void base_text_append_duration(struct base_text *text, uint64_t duration_ns);

/* Strict: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
bool base_utf8_is_valid(const void *data, size_t size);

/* Of the one character that `data` begins with: its bytes, or 0 if they are none.
 * @param size  > 0. */
size_t base_utf8_sequence(const void *data, size_t size);

/* Of two names, the one that `word` may have been meant for: `candidate` when it is nearer than
 * `best` and near enough for a slip of the fingers, else `best`.
 * @param best  NULL: none yet */
const char *base_text_nearer(const char *word, const char *best, const char *candidate);

/*
 * All parsers read the whole string. Return 0, -EINVAL (not of that form), or -ERANGE (of that
 * form, too large to represent); *ret_ is untouched on failure.
 */

/* Digits only. */
int base_parse_u64(const char *string, uint64_t *ret_value);

/*
 * A number and a unit. None and B are bytes; k K KiB, m M MiB, g G GiB, t T TiB count in 1024;
 * kB KB, MB, GB, TB in 1000.
 */
int base_parse_size(const char *string, uint64_t *ret_bytes);

/* A number and a unit that must be there: ns, us, ms, s, m, h, d. "0" is accepted alone. */
int base_parse_duration(const char *string, uint64_t *ret_ns);

/* RFC 3339 from 1970 on, Z or an offset, up to 9 digits of fraction: 2026-11-23T15:36:16.123Z. */
int base_parse_time(const char *string, uint64_t *ret_ns);

/* Exactly 2 * size hex digits of either case. */
int base_parse_hex(const char *string, void *data, size_t size);

#endif
