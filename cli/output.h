/*
 * Standard output as a stream that remembers its first failure, and progress on standard error.
 *
 * Nothing is lost silently: the first error stays in output.error, later writes do nothing, and
 * main turns it into an exit code. -EPIPE means that whoever read it has gone.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_BUFFER_SIZE ((size_t)64 << 10)

struct output {
    int fd;
    int error; /* 0, or -errno of the first write that failed */
    size_t used;
    size_t row;    /* where the row that is being made begins in the buffer */
    bool row_open; /* between output_row_begin() and output_row_end() */
    bool row_sent; /* a part of that row has been written already */
    char buffer[OUTPUT_BUFFER_SIZE];
};

void output_init(struct output *output, int fd);

void output_bytes(struct output *output, const void *data, size_t size);
void output_text(struct output *output, const char *text);
void output_char(struct output *output, char character);
void output_u64(struct output *output, uint64_t value);
__attribute__((format(printf, 2, 3))) void output_format(struct output *output, const char *format,
                                                         ...);

/* Bytes for people: valid UTF-8 as it is, controls and all else as \n, \t, \\ or \xNN. */
void output_escaped(struct output *output, const void *data, size_t size);

/* Numbers with a unit: 64 MiB; 250 ms; 2026-11-23T15:36:16.123Z. */
void output_size(struct output *output, uint64_t size_bytes);
void output_time(struct output *output, uint64_t time_ns);

/* 1,234,567, on the right of so many columns. */
void output_count(struct output *output, double value, int width);

/* "1 segment", "2 segments". */
void output_number_of(struct output *output, uint64_t number, const char *noun);

/* "  label           " in front of a value: the left column of a human report. */
void output_label(struct output *output, const char *label);

/* Around a row that is made from memory that may turn out not to be there (signals.h): what
 * output_row_drop() finds of it in the buffer goes, and what was sent of it gets a newline. */
void output_row_begin(struct output *output);
void output_row_end(struct output *output);
void output_row_drop(struct output *output);

/* Hands everything to the system. Returns 0 or the stream's error. */
int output_flush(struct output *output);

/* Progress on standard error: one line that is written over, only when it is a terminal. */
__attribute__((format(printf, 1, 2))) void progress_show(const char *format, ...);
void progress_clear(void);

/* "what  [#####     ]  50%  1.5 GiB of 3 GiB"; @param all_bytes  0 when it is not known */
void progress_bar(const char *what, uint64_t done_bytes, uint64_t all_bytes);

#endif
