/*
 * Real documents for the demo.
 *
 * 1. Without --input dpkg-query prints the installed packages, a line each; the fields of a line
 *    become the members of a JSON document, its key is the package's name.
 * 2. The lines of --input are taken as they are where they are JSON documents, else each becomes
 *    {"line":"..."}. The key is the field --key, or the number of the line.
 *
 * Without dpkg-query and without --input there is no row; the report says so. More than 64 MiB of
 * text are not read.
 */
#include "cli/demo_rows.h"

#include "cli/demo.h"
#include "cli/errors.h"

#include "base/alloc.h"
#include "base/text.h"

#include <weir/extract.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PACKAGES                                                                                   \
    "dpkg-query -W -f='${Package}\\t${Version}\\t${Architecture}\\t${Section}\\t"                  \
    "${Installed-Size}\\t${binary:Summary}\\n' 2>/dev/null"
#define TEXT_MAX ((size_t)64 << 20)
#define MADE_MAX (4 * TEXT_MAX) /* address space; a byte becomes up to six of JSON */

static const char *const members[] = {"package", "version",        "architecture",
                                      "section", "installed_size", "summary"};
#define MEMBERS (sizeof members / sizeof members[0])
#define SIZE_MEMBER 4 /* a number */

/* ---- making documents ---- */

struct maker {
    char *at, *end;
    bool full;
};

static void put(struct maker *maker, const char *data, size_t size)
{
    if ((size_t)(maker->end - maker->at) < size) {
        maker->full = true;
        return;
    }
    memcpy(maker->at, data, size);
    maker->at += size;
}

static void put_text(struct maker *maker, const char *text)
{
    put(maker, text, strlen(text));
}

static void put_string(struct maker *maker, const char *data, size_t size)
{
    bool utf8 = base_utf8_is_valid(data, size);
    put(maker, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)data[i];
        if (byte == '"' || byte == '\\') {
            put(maker, "\\", 1);
            put(maker, data + i, 1);
        } else if (byte < 0x20 || (byte >= 0x80 && !utf8)) {
            char code[8];
            snprintf(code, sizeof code, "\\u%04x", byte);
            put_text(maker, code);
        } else {
            put(maker, data + i, 1);
        }
    }
    put(maker, "\"", 1);
}

static bool is_number(const char *data, size_t size)
{
    return size > 0 && size < 16 && strspn(data, "0123456789") >= size &&
           (size == 1 || data[0] != '0');
}

/* A line of dpkg-query, whose fields tabs separate; the last one takes the rest. */
static void make_package(struct maker *maker, const char *line, size_t size,
                         struct demo_row *ret_row)
{
    const char *end = line + size;
    char *begin = maker->at;
    for (size_t i = 0; i < MEMBERS; i++) {
        const char *tab = i + 1 < MEMBERS ? memchr(line, '\t', (size_t)(end - line)) : NULL;
        size_t length = (size_t)((tab != NULL ? tab : end) - line);
        if (i == 0) {
            ret_row->key = (struct weir_bytes){line, length};
        }
        put_text(maker, i == 0 ? "{\"" : ",\"");
        put_text(maker, members[i]);
        put_text(maker, "\":");
        if (i == SIZE_MEMBER && is_number(line, length)) {
            put(maker, line, length);
        } else {
            put_string(maker, line, length);
        }
        line = tab != NULL ? tab + 1 : end;
    }
    put_text(maker, "}");
    ret_row->value = (struct weir_bytes){begin, (size_t)(maker->at - begin)};
}

/* ---- lines of a file ---- */

struct key_search {
    struct maker *maker;
    struct weir_bytes key;
};

static int take_key(void *context, uint32_t field, struct weir_bytes text)
{
    struct key_search *search = context;
    (void)field;
    char *begin = search->maker->at;
    put(search->maker, text.data, text.size);
    search->key = (struct weir_bytes){begin, (size_t)(search->maker->at - begin)};
    return 0;
}

static void make_line(struct maker *maker, struct weir_json_fields *key, const char *line,
                      size_t size, size_t number, struct demo_row *ret_row)
{
    struct weir_bytes value = {line, size};
    struct key_search search = {.maker = maker};
    int rc = weir_json_extract(key, value, value, take_key, &search);
    if (rc != 0) {
        char *begin = maker->at;
        put_text(maker, "{\"line\":");
        put_string(maker, line, size);
        put_text(maker, "}");
        value = (struct weir_bytes){begin, (size_t)(maker->at - begin)};
    }
    if (rc != 0 || search.key.size == 0 || search.key.size > WEIR_KEY_BYTES_MAX) {
        char text[24];
        char *begin = maker->at;
        put(maker, text, (size_t)snprintf(text, sizeof text, "%010zu", number));
        search.key = (struct weir_bytes){begin, (size_t)(maker->at - begin)};
    }
    *ret_row = (struct demo_row){search.key, value};
}

/* ---- all of them ---- */

static size_t count_lines(const char *text, size_t size)
{
    size_t count = size > 0 && text[size - 1] != '\n';
    for (size_t i = 0; i < size; i++) {
        count += text[i] == '\n';
    }
    return count;
}

static int make_rows(struct demo *demo, struct demo_rows *rows, size_t size)
{
    const char *input = demo->options->input;
    const char *path = demo->options->key != NULL ? demo->options->key : "key";
    struct maker maker = {.at = rows->made, .end = rows->made + MADE_MAX};
    struct weir_json_fields *key;
    int rc = weir_json_fields_create(&path, 1, &key);
    if (rc < 0) {
        return cli_usage_error(demo->cli, "--key takes a path such as package or user.id");
    }
    rows->list = base_alloc_array(count_lines(rows->read, size) + 1, sizeof *rows->list);
    for (size_t at = 0, length; rows->list != NULL && at < size && !maker.full; at += length + 1) {
        const char *line = rows->read + at;
        const char *newline = memchr(line, '\n', size - at);
        length = newline != NULL ? (size_t)(newline - line) : size - at;
        if (length == 0) {
            continue;
        }
        struct demo_row *row = &rows->list[rows->count];
        if (input == NULL) {
            make_package(&maker, line, length, row);
        } else {
            make_line(&maker, key, line, length, rows->count + 1, row);
        }
        rows->count++;
        rows->bytes += row->key.size + row->value.size;
    }
    weir_json_fields_free(key);
    return rows->list == NULL || maker.full
               ? cli_fail(demo->cli, -ENOMEM, NULL, "cannot hold the documents to import")
               : -1;
}

int demo_rows_read(struct demo *demo, struct demo_rows *ret_rows)
{
    const char *input = demo->options->input;
    struct demo_rows rows = {0};
    *ret_rows = rows;
    rows.read = base_pages_alloc(TEXT_MAX, 0);
    rows.made = base_pages_alloc(MADE_MAX, BASE_PAGES_RESERVE);
    if (rows.read == NULL || rows.made == NULL) {
        demo_rows_free(&rows);
        return cli_fail(demo->cli, -ENOMEM, NULL, "cannot hold the documents to import");
    }
    FILE *file = input != NULL ? fopen(input, "re") : popen(PACKAGES, "r");
    if (file == NULL) {
        demo_rows_free(&rows);
        return input != NULL ? cli_fail_open(demo->cli, -errno, NULL, "cannot read %s", input) : -1;
    }
    size_t size = fread(rows.read, 1, TEXT_MAX, file);
    bool failed = ferror(file) != 0;
    int status = input != NULL ? fclose(file) : pclose(file);
    int exit_code = -1;
    if (input != NULL && failed) {
        exit_code = cli_fail(demo->cli, -EIO, NULL, "cannot read %s", input);
    } else if (status == 0 && size > 0) {
        snprintf(demo->documents.source, sizeof demo->documents.source, "%s",
                 input != NULL ? input : "dpkg-query");
        exit_code = make_rows(demo, &rows, size);
    }
    *ret_rows = rows;
    return exit_code;
}

bool demo_row_is_replaced(const struct demo_rows *rows, size_t index)
{
    struct weir_bytes key = rows->list[index].key;
    for (size_t i = index + 1; i < rows->count; i++) {
        struct weir_bytes other = rows->list[i].key;
        if (other.size == key.size && memcmp(other.data, key.data, key.size) == 0) {
            return true;
        }
    }
    return false;
}

void demo_rows_free(struct demo_rows *rows)
{
    if (rows->read != NULL) {
        base_pages_free(rows->read, TEXT_MAX);
    }
    if (rows->made != NULL) {
        base_pages_free(rows->made, MADE_MAX);
    }
    base_free(rows->list);
    *rows = (struct demo_rows){0};
}
