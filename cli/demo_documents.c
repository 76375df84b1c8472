/*
 * The documents of the demo: real ones go into a table while an index, a view and a full text
 * follow it, and all of them are asked.
 *
 * 1. Each document is put with WEIR_GROUP; one commit makes the rest durable. A background thread
 *    of the host applies them to the three meanwhile.
 * 2. Every document is read back and compared, byte for byte.
 * 3. The view is asked for its largest group, the index for the rows of that, the full text for a
 *    word of the first document.
 *
 * Without documents there is nothing to do; the report says so.
 */
#include "cli/demo_systems.h"

#include "cli/errors.h"

#include "base/clock.h"

#include <weir/append.h>
#include <weir/index.h>
#include <weir/text.h>
#include <weir/view.h>
#include <weir/write.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static double seconds_since(uint64_t started_ns)
{
    return (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
}

/* ---- in and out ---- */

static int put_all(struct demo *demo, struct demo_systems *systems)
{
    struct demo_documents *result = &demo->documents;
    const struct demo_rows *rows = &demo->rows;
    weir_table table = systems->system[0].table;
    weir_lsn lsn = WEIR_LSN_NONE;
    uint64_t started_ns = base_clock_monotonic_ns();
    int rc = weir_host_start(systems->host);
    for (size_t i = 0; i < rows->count && rc == 0; i++) {
        rc = weir_put(systems->engine, table, rows->list[i].key, rows->list[i].value, WEIR_GROUP,
                      &lsn);
    }
    if (rc == 0) {
        rc = weir_commit(systems->log);
    }
    result->import_s = seconds_since(started_ns);
    for (size_t i = 0; i < DEMO_SYSTEMS && rc == 0; i++) {
        rc = weir_host_wait(systems->host, demo_system_names[i], lsn, WEIR_WAIT_FOREVER, NULL);
    }
    result->derived_s = seconds_since(started_ns);
    int stop_rc = weir_host_stop(systems->host);
    return rc < 0 ? rc : stop_rc;
}

/* A key that comes twice has its last document. */
static int compare_all(struct demo *demo, struct demo_systems *systems)
{
    struct demo_documents *result = &demo->documents;
    const struct demo_rows *rows = &demo->rows;
    struct weir_read read;
    struct weir_row row;
    uint64_t started_ns = base_clock_monotonic_ns();
    int rc = weir_read_begin(systems->engine, NULL, &read);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < rows->count && rc >= 0; i++) {
        const struct demo_row *put = &rows->list[i];
        rc = weir_get(&read, systems->system[0].table, put->key, &row);
        bool same = rc == 1 && row.value.size == put->value.size &&
                    memcmp(row.value.data, put->value.data, put->value.size) == 0;
        result->different += !same && !demo_row_is_replaced(rows, i);
    }
    weir_read_end(&read);
    result->read_s = seconds_since(started_ns);
    return rc < 0 ? rc : 0;
}

/* ---- asking ---- */

static int keep_largest(void *context, const struct weir_view_group *group)
{
    struct demo_documents *result = context;
    result->groups++;
    if (group->count > result->top_count && group->group.size < sizeof result->top) {
        result->top_count = group->count;
        memcpy(result->top, group->group.data, group->group.size);
        result->top[group->group.size] = '\0';
        (void)weir_decimal_format(group->sum, result->top_sum);
    }
    return 0;
}

static int ask_view(struct demo *demo, struct demo_systems *systems)
{
    weir_lsn position;
    int rc = weir_host_read_begin(systems->host, demo_system_names[1], &position);
    if (rc == 0) {
        rc = weir_view_each(systems->system[1].view, WEIR_TEXT(""), keep_largest, &demo->documents);
        weir_host_read_end(systems->host, demo_system_names[1]);
    }
    return rc;
}

/* Reads all of them, as whoever asks would. */
static int count_rows(struct weir_rows *rows, uint64_t *ret_count)
{
    struct weir_row row;
    int rc;
    *ret_count = 0;
    while ((rc = weir_rows_next(rows, &row)) == 1) {
        ++*ret_count;
    }
    weir_rows_close(rows);
    return rc;
}

static int ask_index(struct demo *demo, struct demo_systems *systems)
{
    struct demo_documents *result = &demo->documents;
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    struct weir_bytes value = {result->top, strlen(result->top)};
    struct weir_rows *rows;
    uint64_t started_ns = base_clock_monotonic_ns();
    query.values = &value;
    query.count = 1;
    int rc = weir_index_query(systems->host, demo_system_names[0], systems->system[0].index, &query,
                              &rows);
    if (rc == 0) {
        rc = count_rows(rows, &result->index_rows);
    }
    result->index_s = seconds_since(started_ns);
    return rc;
}

static bool is_letter(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

static int keep_word(void *context, uint32_t field, struct weir_bytes text)
{
    struct demo_documents *result = context;
    const char *data = text.data;
    (void)field;
    for (size_t at = 0, size; at < text.size && result->word[0] == '\0'; at += size + 1) {
        size = 0;
        while (at + size < text.size && is_letter(data[at + size])) {
            size++;
        }
        bool whole = at + size == text.size || data[at + size] == ' ';
        if (size >= 5 && size < sizeof result->word && whole) {
            memcpy(result->word, data + at, size);
            result->word[size] = '\0';
        }
    }
    return 0;
}

static int ask_text(struct demo *demo, struct demo_systems *systems)
{
    struct demo_documents *result = &demo->documents;
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    struct weir_rows *rows;
    for (size_t i = 0; i < demo->rows.count && result->word[0] == '\0'; i++) {
        (void)weir_json_extract(systems->system[2].fields->json, demo->rows.list[i].key,
                                demo->rows.list[i].value, keep_word, result);
    }
    if (result->word[0] == '\0') {
        return 0;
    }
    uint64_t started_ns = base_clock_monotonic_ns();
    query.terms = (struct weir_bytes){result->word, strlen(result->word)};
    int rc = weir_text_query(systems->host, demo_system_names[2], systems->system[2].text, &query,
                             &rows);
    if (rc == 0) {
        rc = count_rows(rows, &result->text_rows);
    }
    result->text_s = seconds_since(started_ns);
    return rc;
}

int demo_documents(struct demo *demo)
{
    static int (*const steps[])(struct demo *, struct demo_systems *) = {
        put_all, compare_all, ask_view, ask_index, ask_text,
    };
    char path[PATH_MAX + 16];
    struct demo_systems systems;
    struct weir_error why = WEIR_ERROR_INIT;
    progress_show("importing real documents, with an index, a view and a full text ...");
    int exit_code = demo_rows_read(demo, &demo->rows);
    if (exit_code >= 0 || demo->rows.count == 0) {
        return exit_code;
    }
    snprintf(path, sizeof path, "%s/documents", demo->directory);
    int rc = demo_systems_open(demo, path, WEIR_LOG_CREATE, &systems, &why);
    if (rc < 0) {
        return cli_fail_open(demo->cli, rc, &why, "cannot open %s", path);
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && rc == 0; i++) {
        rc = steps[i](demo, &systems);
    }
    int close_rc = demo_systems_close(&systems);
    rc = rc < 0 ? rc : close_rc;
    demo->documents.done = rc == 0;
    return rc < 0 ? cli_fail(demo->cli, rc, NULL, "the documents of %s", demo->documents.source)
                  : -1;
}
