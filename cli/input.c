/*
 * Records from a descriptor.
 *
 * 1. input_fill() waits for bytes or a signal and reads behind what is there.
 * 2. input_next() cuts records off the front; it looks at each byte once, however long the line.
 *
 * Failures: a record above the limit is found as soon as the limit is passed, not after reading all
 * of it; a binary record cut off by the end of the input is told apart from the end.
 *
 * Invariant: start <= scanned <= end <= capacity, and capacity holds the largest record with its
 * framing and one read more.
 */
#include "cli/input.h"

#include "base/alloc.h"
#include "base/le.h"
#include "cli/signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE ((size_t)1 << 20)
#define PREFIX_SIZE sizeof(struct le32)

int input_open(struct input *input, int fd, bool binary, size_t record_max)
{
    *input = (struct input){.fd = fd, .binary = binary, .record_max = record_max};
    input->capacity = record_max + PREFIX_SIZE + READ_SIZE;
    input->buffer = base_pages_alloc(input->capacity, 0);
    return input->buffer != NULL ? 0 : -ENOMEM;
}

void input_close(struct input *input)
{
    base_pages_free(input->buffer, input->capacity);
    input->buffer = NULL;
}

size_t input_rest(const struct input *input)
{
    return input->end - input->start;
}

static int lend(struct input *input, size_t skip, size_t size, size_t behind, const char **ret_data,
                size_t *ret_size)
{
    *ret_data = input->buffer + input->start + skip;
    *ret_size = size;
    input->start += skip + size + behind;
    input->scanned = input->start;
    input->offset += skip + size + behind;
    input->records++;
    return 1;
}

/* Throws away what is there of a line that is skipped. Returns whether it has ended. */
static bool skip(struct input *input)
{
    const char *from = input->buffer + input->start;
    const char *newline = memchr(from, '\n', input_rest(input));
    size_t size = newline != NULL ? (size_t)(newline - from) + 1 : input_rest(input);
    input->start += size;
    input->offset += size;
    input->scanned = input->start;
    input->skipping = newline == NULL;
    return newline != NULL;
}

void input_skip_line(struct input *input)
{
    input->skipping = true;
    input->records++;
}

static int next_line(struct input *input, const char **ret_data, size_t *ret_size)
{
    if (input->skipping && !skip(input)) {
        return 0;
    }
    const char *from = input->buffer + input->scanned;
    const char *newline = memchr(from, '\n', input->end - input->scanned);
    size_t size =
        newline != NULL ? (size_t)(newline - input->buffer) - input->start : input_rest(input);
    if (size > input->record_max) {
        return -E2BIG;
    }
    if (newline != NULL) {
        return lend(input, 0, size, 1, ret_data, ret_size);
    }
    input->scanned = input->end;
    if (input->ended && size > 0) {
        return lend(input, 0, size, 0, ret_data, ret_size);
    }
    return 0;
}

static int next_binary(struct input *input, const char **ret_data, size_t *ret_size)
{
    size_t rest = input_rest(input);
    if (rest == 0) {
        return 0;
    }
    if (rest >= PREFIX_SIZE) {
        struct le32 prefix;
        memcpy(&prefix, input->buffer + input->start, sizeof prefix);
        size_t size = le32_load(&prefix);
        if (size > input->record_max) {
            return -E2BIG;
        }
        if (rest - PREFIX_SIZE >= size) {
            return lend(input, PREFIX_SIZE, size, 0, ret_data, ret_size);
        }
    }
    return input->ended ? -EPROTO : 0;
}

int input_next(struct input *input, const char **ret_data, size_t *ret_size)
{
    return input->binary ? next_binary(input, ret_data, ret_size)
                         : next_line(input, ret_data, ret_size);
}

bool input_is_ready(const struct input *input)
{
    struct pollfd fds = {.fd = input->fd, .events = POLLIN};
    return !signals_interrupted() && poll(&fds, 1, 0) > 0;
}

/* Moves what is left to the front when there is no room for a read behind it. */
static void make_room(struct input *input)
{
    if (input->start == input->end) {
        input->start = input->scanned = input->end = 0;
    }
    if (input->capacity - input->end >= READ_SIZE) {
        return;
    }
    memmove(input->buffer, input->buffer + input->start, input_rest(input));
    input->scanned -= input->start;
    input->end -= input->start;
    input->start = 0;
}

/* Returns 0 when there is something to read, -EINTR, or -errno. */
static int wait_readable(const struct input *input)
{
    for (;;) {
        struct pollfd fds[2] = {
            {.fd = signals_fd(), .events = POLLIN},
            {.fd = input->fd, .events = POLLIN},
        };
        int count = poll(fds, 2, -1);
        if (signals_interrupted()) {
            return -EINTR;
        }
        if (count < 0 && errno != EINTR) {
            return -errno;
        }
        if (count > 0 && fds[1].revents != 0) {
            return 0;
        }
    }
}

int input_fill(struct input *input)
{
    if (input->ended) {
        return 0;
    }
    make_room(input);
    for (;;) {
        int rc = wait_readable(input);
        if (rc < 0) {
            return rc;
        }
        ssize_t count = read(input->fd, input->buffer + input->end, input->capacity - input->end);
        if (count > 0) {
            input->end += (size_t)count;
            return 1;
        }
        if (count == 0) {
            input->ended = true;
            return 0;
        }
        if (errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
    }
}
