/*
 * The importing part of the demo: real records go in and must come out.
 *
 * 1. The records are the lines of --input, or of what dpkg-query prints about the installed
 * packages.
 * 2. Each is appended with WEIR_GROUP; one commit at the end makes all of them durable.
 * 3. The log is closed, opened read-only, and every record is compared byte for byte.
 *
 * Without dpkg-query and without --input there is nothing to import; the report says so.
 */
#include "cli/demo.h"

#include "cli/errors.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <weir/append.h>
#include <weir/cursor.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PACKAGES                                                                                   \
    "dpkg-query -W -f='${Package}\\t${Version}\\t${Architecture}\\t${Section}\\t"                  \
    "${Installed-Size}\\t${binary:Summary}\\n' 2>/dev/null"
#define TEXT_MAX ((size_t)64 << 20)

struct lines {
    char *text;
    size_t size;
};

/* The line that begins at `at`, without its newline. */
static size_t line_size(const struct lines *lines, size_t at)
{
    const char *newline = memchr(lines->text + at, '\n', lines->size - at);
    return newline != NULL ? (size_t)(newline - lines->text) - at : lines->size - at;
}

static double seconds_since(uint64_t started_ns)
{
    return (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
}

/* Returns -1 to go on, else the exit code; import->source is "" when there is nothing. */
static int read_lines(struct demo *demo, struct lines *lines)
{
    const char *input = demo->options->input;
    FILE *file = input != NULL ? fopen(input, "re") : popen(PACKAGES, "r");
    if (file == NULL) {
        return input != NULL ? cli_fail_open(demo->cli, -errno, NULL, "cannot read %s", input) : -1;
    }
    lines->size = fread(lines->text, 1, TEXT_MAX, file);
    bool failed = ferror(file) != 0;
    int status = input != NULL ? fclose(file) : pclose(file);
    if (input != NULL && failed) {
        return cli_fail(demo->cli, -EIO, NULL, "cannot read %s", input);
    }
    if (status == 0 && lines->size > 0) {
        snprintf(demo->import.source, sizeof demo->import.source, "%s",
                 input != NULL ? input : "dpkg-query");
    }
    return -1;
}

static int append_lines(struct demo *demo, struct weir_log *log, const struct lines *lines)
{
    struct demo_import *import = &demo->import;
    uint64_t started_ns = base_clock_monotonic_ns();
    size_t size;
    for (size_t at = 0; at < lines->size; at += size + 1) {
        size = line_size(lines, at);
        struct weir_part part = {lines->text + at, size};
        struct weir_entry entry = {.parts = &part, .part_count = 1};
        int rc = weir_append(log, &entry, WEIR_GROUP, NULL);
        if (rc < 0) {
            return rc;
        }
        import->records++;
        import->bytes += size;
    }
    int rc = weir_commit(log);
    import->append_s = seconds_since(started_ns);
    return rc;
}

/* Returns 0 or a negative error; import->different counts. */
static int compare_lines(struct demo *demo, struct weir_log *log, const struct lines *lines)
{
    struct demo_import *import = &demo->import;
    struct weir_cursor *cursor;
    struct weir_record record;
    uint64_t started_ns = base_clock_monotonic_ns();
    int rc = weir_cursor_open(log, NULL, &cursor);
    if (rc < 0) {
        return rc;
    }
    uint64_t same = 0;
    size_t at = 0;
    while ((rc = weir_cursor_next(cursor, &record)) == 1 && at < lines->size) {
        size_t size = line_size(lines, at);
        same += record.size == size && memcmp(record.data, lines->text + at, size) == 0;
        at += size + 1;
    }
    import->different = import->records - same + (rc == 1); /* one too many counts too */
    import->read_s = seconds_since(started_ns);
    weir_cursor_close(cursor);
    return rc < 0 ? rc : 0;
}

typedef int (*lines_fn)(struct demo *demo, struct weir_log *log, const struct lines *lines);

/* Opens the log, does one thing with it and closes it. Returns -1 or the exit code. */
static int with_log(struct demo *demo, const struct lines *lines, uint32_t flags, lines_fn fn)
{
    char path[PATH_MAX + 16];
    struct weir_log_options options;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    snprintf(path, sizeof path, "%s/records", demo->directory);
    demo_log_options(demo, flags, &options);
    int rc = weir_log_open(path, &options, &log, &why);
    if (rc < 0) {
        return cli_fail_open(demo->cli, rc, &why, "cannot open %s", path);
    }
    rc = fn(demo, log, lines);
    int close_rc = weir_log_close(log);
    rc = rc < 0 ? rc : close_rc;
    return rc < 0 ? cli_fail(demo->cli, rc, NULL, "the records of %s", demo->import.source) : -1;
}

int demo_import(struct demo *demo)
{
    struct lines lines = {0};
    progress_show("appending real records and reading them back ...");
    lines.text = base_pages_alloc(TEXT_MAX, 0);
    if (lines.text == NULL) {
        return cli_fail(demo->cli, -ENOMEM, NULL, "cannot read the records to import");
    }
    int exit_code = read_lines(demo, &lines);
    if (exit_code < 0 && demo->import.source[0] != '\0') {
        exit_code = with_log(demo, &lines, WEIR_LOG_CREATE, append_lines);
        if (exit_code < 0) {
            exit_code = with_log(demo, &lines, WEIR_LOG_READ_ONLY, compare_lines);
        }
        demo->import.done = exit_code < 0;
    }
    base_pages_free(lines.text, TEXT_MAX);
    return exit_code;
}
