/*
 * Records from a descriptor: lines, or lengths and bytes.
 *
 *     while ((rc = input_next(&input, &data, &size)) == 1)      // all that is whole already
 *         store(data, size);
 *     rc = input_fill(&input);                                  // waits for more
 *
 * A record is lent until the next input_fill(). Lines: everything up to '\n', any bytes, NUL too; a
 * last line without one counts. Binary: a length of four bytes, little-endian, then as many bytes.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
    int fd;
    bool binary;
    bool ended;        /* the end of the input was read */
    size_t record_max; /* a longer record is -E2BIG */
    uint64_t offset;   /* in the input, of the record that comes next */
    uint64_t records;  /* lent so far */
    char *buffer;
    size_t capacity, start, end; /* buffer[start, end) is not lent yet */
    size_t scanned;              /* no '\n' in buffer[start, scanned) */
    bool skipping;               /* the line that begins at start is thrown away as it comes */
};

/* Returns 0 or -ENOMEM. */
int input_open(struct input *input, int fd, bool binary, size_t record_max);
void input_close(struct input *input);

/*
 * Lends the next whole record.
 * Returns 1; 0 (none is whole yet, or the input has ended); -E2BIG (it is longer than record_max);
 * -EPROTO (binary, and the input ended inside a length or a record: offset says where it starts).
 */
int input_next(struct input *input, const char **ret_data, size_t *ret_size);

/* Behind -E2BIG: goes on with the line behind that one, which still counts as lent. */
void input_skip_line(struct input *input);

/* Whether input_fill() would return at once. */
bool input_is_ready(const struct input *input);

/* Reads more. Returns 1; 0 at the end; -EINTR (a signal asks to end); -errno. */
int input_fill(struct input *input);

/* Bytes of a record that has begun and is not whole. */
size_t input_rest(const struct input *input);

#endif
