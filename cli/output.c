/*
 * Standard output with a buffer of our own, and progress on standard error.
 *
 * 1. output_* collect bytes; a full buffer or output_flush() writes them.
 * 2. A short write goes on; EAGAIN waits until the other side reads.
 * 3. progress_show() draws over the line that it drew before.
 *
 * Failures: EPIPE, EIO, ENOSPC stay in output.error and end all output. After a signal a reader
 * that does not read gets one more second, so that a stopped pipe cannot keep the program from
 * ending.
 */
#include "cli/output.h"

#include "base/text.h"
#include "cli/signals.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_CHANCE_MS 1000

void output_init(struct output *output, int fd)
{
    output->fd = fd;
    output->error = 0;
    output->used = 0;
}

static int wait_writable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int timeout_ms = signals_interrupted() ? LAST_CHANCE_MS : -1;
    int count = poll(&poll_fd, 1, timeout_ms);
    if (count == 0) {
        return -EPIPE;
    }
    return count > 0 || errno == EINTR ? 0 : -errno;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written >= 0) {
            data += written;
            size -= (size_t)written;
            continue;
        }
        if (errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
        int rc = wait_writable(fd);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int output_flush(struct output *output)
{
    output->row_sent = output->row_open && (output->row_sent || output->used > output->row);
    output->row = 0;
    if (output->error == 0 && output->used > 0) {
        output->error = write_all(output->fd, output->buffer, output->used);
    }
    output->used = 0;
    return output->error;
}

void output_bytes(struct output *output, const void *data, size_t size)
{
    if (size > sizeof output->buffer - output->used) {
        output_flush(output);
    }
    if (size > sizeof output->buffer) {
        output->row_sent = output->row_open;
        if (output->error == 0) {
            output->error = write_all(output->fd, data, size);
        }
        return;
    }
    memcpy(output->buffer + output->used, data, size);
    output->used += size;
}

void output_text(struct output *output, const char *text)
{
    output_bytes(output, text, strlen(text));
}

void output_char(struct output *output, char character)
{
    output_bytes(output, &character, 1);
}

void output_u64(struct output *output, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    output_bytes(output, digits + at, sizeof digits - at);
}

void output_format(struct output *output, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0) {
        size_t size = (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
        output_bytes(output, line, size);
    }
}

static void escape_byte(struct output *output, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    switch (byte) {
    case '\n':
        output_text(output, "\\n");
        break;
    case '\r':
        output_text(output, "\\r");
        break;
    case '\t':
        output_text(output, "\\t");
        break;
    case '\\':
        output_text(output, "\\\\");
        break;
    default: {
        char code[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
        output_bytes(output, code, sizeof code);
        break;
    }
    }
}

/* @param utf8  the bytes as a whole are valid UTF-8. U+0080 to U+009F are controls too. */
static bool is_harmless(const uint8_t *bytes, size_t i, bool utf8)
{
    uint8_t byte = bytes[i];
    if (byte < 0x80) {
        return byte >= 0x20 && byte != 0x7f && byte != '\\';
    }
    if (!utf8) {
        return false;
    }
    bool second_of_control = i > 0 && bytes[i - 1] == 0xc2 && byte < 0xa0;
    bool first_of_control = byte == 0xc2 && bytes[i + 1] < 0xa0;
    return !second_of_control && !first_of_control;
}

void output_escaped(struct output *output, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    bool utf8 = base_utf8_is_valid(data, size);
    size_t plain = 0; /* start of what can go out in one piece */
    for (size_t i = 0; i < size; i++) {
        if (is_harmless(bytes, i, utf8)) {
            continue;
        }
        output_bytes(output, bytes + plain, i - plain);
        escape_byte(output, bytes[i]);
        plain = i + 1;
    }
    output_bytes(output, bytes + plain, size - plain);
}

void output_size(struct output *output, uint64_t size_bytes)
{
    char buffer[48];
    struct base_text text;
    base_text_init(&text, buffer, sizeof buffer);
    base_text_append_size(&text, size_bytes);
    output_bytes(output, text.data, text.length);
}

void output_time(struct output *output, uint64_t time_ns)
{
    char buffer[48];
    struct base_text text;
    base_text_init(&text, buffer, sizeof buffer);
    base_text_append_time(&text, time_ns);
    output_bytes(output, text.data, text.length);
}

void output_count(struct output *output, double value, int width)
{
    char digits[32];
    char grouped[48];
    struct base_text text;
    base_text_init(&text, digits, sizeof digits);
    base_text_append_format(&text, "%.0f", value);
    struct base_text with_commas;
    base_text_init(&with_commas, grouped, sizeof grouped);
    for (size_t i = 0; i < text.length; i++) {
        if (i > 0 && (text.length - i) % 3 == 0) {
            base_text_append_char(&with_commas, ',');
        }
        base_text_append_char(&with_commas, digits[i]);
    }
    output_format(output, "%*s", width, grouped);
}

void output_number_of(struct output *output, uint64_t number, const char *noun)
{
    output_format(output, "%" PRIu64 " %s%s", number, noun, number == 1 ? "" : "s");
}

void output_row_begin(struct output *output)
{
    output->row = output->used;
    output->row_open = true;
    output->row_sent = false;
}

void output_row_end(struct output *output)
{
    output->row_open = false;
}

void output_row_drop(struct output *output)
{
    if (!output->row_open) {
        return;
    }
    output->used = output->row;
    output->row_open = false;
    if (output->row_sent) {
        output_char(output, '\n');
    }
}

void output_label(struct output *output, const char *label)
{
    output_format(output, "  %-16s ", label);
}

#define PROGRESS_COLUMNS 30

static bool progress_drawn;

void progress_show(const char *format, ...)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, arguments);
    fflush(stderr);
    va_end(arguments);
    progress_drawn = true;
}

void progress_clear(void)
{
    if (progress_drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress_drawn = false;
    }
}

void progress_bar(const char *what, uint64_t done_bytes, uint64_t all_bytes)
{
    char bar[PROGRESS_COLUMNS + 1], amounts[80];
    struct base_text text;
    base_text_init(&text, amounts, sizeof amounts);
    base_text_append_size(&text, done_bytes);
    if (all_bytes == 0) {
        progress_show("%s: %s ...", what, amounts);
        return;
    }
    double share = done_bytes < all_bytes ? (double)done_bytes / (double)all_bytes : 1;
    size_t filled = (size_t)(share * PROGRESS_COLUMNS);
    memset(bar, '#', filled);
    memset(bar + filled, ' ', PROGRESS_COLUMNS - filled);
    bar[PROGRESS_COLUMNS] = '\0';
    base_text_append(&text, " of ");
    base_text_append_size(&text, all_bytes);
    progress_show("%s [%s] %3.0f%% %s", what, bar, share * 100, amounts);
}
