/*
 * Reports of several servers, or of one at several times, beside each other.
 *
 * 1. Each file is read whole and scanned once: its head, and its rows by name.
 * 2. The rows of the first one, in its order, each with the numbers of the others; then those that
 *    only later ones have. How good a number is, is told against the first: above 1 is better.
 *
 * Failures: a file that cannot be read, is no JSON, or no report: refused, with its name. A row
 * that one of them lacks is shown as such.
 */
#include "cli/report.h"

#include "cli/errors.h"
#include "cli/json.h"

#include "base/alloc.h"
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)

/* What is read of a report. */
struct other {
    const char *path;
    char machine[128], medium[16], device[64], file_system[32], time[32];
    bool is_report, durable, quick;
    unsigned count;
    struct report_row rows[REPORT_ROWS_MAX];
};

/* ---- reading ---- */

enum member {
    ROW_NAME,
    ROW_SECTION,
    ROW_TITLE,
    ROW_UNIT,
    ROW_BETTER,
    ROW_VALUE,
    ROW,
    HEAD_CPU,
    HEAD_MEDIUM,
    HEAD_DEVICE,
    HEAD_FILE_SYSTEM,
    HEAD_TIME,
    HEAD_DURABLE,
    HEAD_QUICK,
    HEAD_REPORT,
    MEMBERS
};

/* A member, and where its text goes: in the row or the report that is being read. */
static const struct {
    const char *path;
    size_t offset, size; /* 0: it is no text */
} members[MEMBERS] = {
#define TEXT_OF(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)
    [ROW_NAME] = {"rows.name", TEXT_OF(report_row, name)},
    [ROW_SECTION] = {"rows.section", TEXT_OF(report_row, section)},
    [ROW_TITLE] = {"rows.title", TEXT_OF(report_row, title)},
    [ROW_UNIT] = {"rows.unit", TEXT_OF(report_row, unit)},
    [ROW_BETTER] = {"rows.better", 0, 0},
    [ROW_VALUE] = {"rows.value", 0, 0},
    [ROW] = {"rows", 0, 0},
    [HEAD_CPU] = {"cpu", TEXT_OF(other, machine)},
    [HEAD_MEDIUM] = {"medium", TEXT_OF(other, medium)},
    [HEAD_DEVICE] = {"device", TEXT_OF(other, device)},
    [HEAD_FILE_SYSTEM] = {"file_system", TEXT_OF(other, file_system)},
    [HEAD_TIME] = {"time", TEXT_OF(other, time)},
    [HEAD_DURABLE] = {"durable", 0, 0},
    [HEAD_QUICK] = {"quick", 0, 0},
    [HEAD_REPORT] = {"report", 0, 0},
#undef TEXT_OF
};

static const struct report_row *find_row(const struct other *other, const char *name)
{
    for (unsigned i = 0; i < other->count; i++) {
        if (strcmp(other->rows[i].name, name) == 0) {
            return &other->rows[i];
        }
    }
    return NULL;
}

static int end_row(struct other *other)
{
    const struct report_row *row = &other->rows[other->count];
    if (row->name[0] == '\0' || find_row(other, row->name) != NULL ||
        !report_unit_is_known(row->unit) || !isfinite(row->value)) {
        return -EBADMSG;
    }
    other->count++;
    return 0;
}

/* More bytes than any text of a report, each of them escaped. */
#define ESCAPED_BYTES_MAX 1024u

/* What is too long for its place is cut; what is no text is none. */
static int take_text(const struct base_json_value *value, char *ret_text, size_t size)
{
    char text[ESCAPED_BYTES_MAX];
    ret_text[0] = '\0';
    if (value->kind != BASE_JSON_STRING) {
        return 0;
    }
    ssize_t length =
        value->size <= sizeof text ? base_json_unescape(value->data, value->size, text) : -EBADMSG;
    if (length >= 0) {
        snprintf(ret_text, size, "%.*s", (int)length, text);
    }
    return length < 0 ? -EBADMSG : 0;
}

/* What stands in a row goes into the next free one, which counts when the row has ended. */
static int take(struct other *other, enum member member, const struct base_json_value *value)
{
    /* "rows" is each of them, and in the end the array around them, which needs no room. */
    bool in_row = member < ROW || (member == ROW && value->kind == BASE_JSON_OBJECT);
    if (in_row && other->count == REPORT_ROWS_MAX) {
        return -EOVERFLOW;
    }
    struct report_row *row = &other->rows[other->count];
    char *text = (member < ROW ? (char *)row : (char *)other) + members[member].offset;
    if (members[member].size > 0) {
        return take_text(value, text, members[member].size);
    }
    if (member == ROW_BETTER) {
        row->less = base_json_equals(value->data, value->size, "less", 4);
    } else if (member == ROW_VALUE) {
        row->value = report_number(value);
    } else if (member == HEAD_DURABLE) {
        other->durable = value->kind == BASE_JSON_TRUE;
    } else if (member == HEAD_QUICK) {
        other->quick = value->kind == BASE_JSON_TRUE;
    } else if (member == HEAD_REPORT) {
        other->is_report = report_number(value) == 1.0;
    } else if (value->kind == BASE_JSON_OBJECT) {
        return end_row(other);
    }
    return 0;
}

static int note_value(void *context, const struct base_json_value *value)
{
    for (enum member member = 0; member < MEMBERS; member++) {
        if ((value->paths & 1u << member) != 0) {
            return take(context, member, value);
        }
    }
    return 0;
}

static int scan_report(struct other *other, const char *data, size_t size)
{
    const char *texts[MEMBERS];
    struct base_json_paths *paths;
    struct base_json_result result;
    for (size_t i = 0; i < MEMBERS; i++) {
        texts[i] = members[i].path;
    }
    int rc = base_json_paths_create(texts, MEMBERS, BASE_JSON_ARRAYS, &paths);
    if (rc == 0) {
        rc = base_json_scan(paths, data, size, note_value, other, &result);
        base_json_paths_free(paths);
    }
    return rc == 0 && !other->is_report ? -EBADMSG : rc;
}

/* Returns -1 to go on, else the exit code. */
static int read_report(struct cli *cli, const char *path, char *buffer, struct other *ret_other)
{
    *ret_other = (struct other){.path = path};
    for (unsigned i = 0; i < REPORT_ROWS_MAX; i++) {
        ret_other->rows[i].value = (double)NAN; /* until the row says one */
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return cli_refuse(cli, CLI_REFUSED, "cannot read %s: %s", path, weir_error_text(-errno));
    }
    errno = EIO; /* where reading fails and says no more */
    size_t size = fread(buffer, 1, FILE_BYTES_MAX, file);
    int rc = ferror(file) ? -errno : 0;
    (void)fclose(file);
    if (rc < 0) {
        return cli_refuse(cli, cli_exit_code_open(rc), "cannot read %s: %s", path,
                          weir_error_text(rc));
    }
    rc = size < FILE_BYTES_MAX ? scan_report(ret_other, buffer, size) : -EBADMSG;
    return rc < 0 ? cli_refuse(cli, CLI_REFUSED,
                               "%s is no report: `weir report --json > FILE` makes one", path)
                  : -1;
}

/* ---- showing ---- */

/* How good `row` is against the first one's: 0 where that cannot be said. */
static double ratio_of(const struct report_row *first, const struct report_row *row)
{
    bool comparable = first != NULL && row != NULL && first->unit[0] != '\0' &&
                      strcmp(first->unit, row->unit) == 0 && first->value > 0.0 && row->value > 0.0;
    if (!comparable) {
        return 0.0;
    }
    return first->less ? first->value / row->value : row->value / first->value;
}

typedef void (*row_fn)(void *context, const struct other *others, int count,
                       const struct report_row *row);

/* Each name once: those of the first report, then what only later ones have. */
static void for_each_row(const struct other *others, int count, row_fn show, void *context)
{
    for (int i = 0; i < count; i++) {
        for (unsigned n = 0; n < others[i].count; n++) {
            const struct report_row *row = &others[i].rows[n];
            bool seen = false;
            for (int before = 0; before < i && !seen; before++) {
                seen = find_row(&others[before], row->name) != NULL;
            }
            if (!seen) {
                show(context, others, count, row);
            }
        }
    }
}

/* What a file says may be anything, and goes to a terminal. */
static void print_foreign(struct output *out, const char *before, const char *text)
{
    output_text(out, before);
    output_escaped(out, text, strlen(text));
}

struct table {
    struct output *out;
    char section[64];
};

static void print_section(struct table *table, int count, const char *section)
{
    snprintf(table->section, sizeof table->section, "%s", section);
    print_foreign(table->out, "\n## ", section);
    output_text(table->out, "\n\n| |");
    for (int i = 0; i < count; i++) {
        output_format(table->out, " %d |%s", i + 1, i > 0 ? " |" : "");
    }
    output_text(table->out, "\n|---|");
    for (int i = 0; i < 2 * count - 1; i++) {
        output_text(table->out, "---|");
    }
    output_char(table->out, '\n');
}

static void print_row(void *context, const struct other *others, int count,
                      const struct report_row *row)
{
    struct table *table = context;
    const struct report_row *first = find_row(&others[0], row->name);
    if (strcmp(row->section, table->section) != 0) {
        print_section(table, count, row->section);
    }
    print_foreign(table->out, "| ", row->title);
    output_text(table->out, " |");
    for (int i = 0; i < count; i++) {
        const struct report_row *own = find_row(&others[i], row->name);
        char value[48] = "-";
        if (own != NULL) {
            report_value_text(own->value, own->unit, value, sizeof value);
        }
        output_format(table->out, " %s |", value);
        double ratio = ratio_of(first, own);
        if (i > 0 && ratio > 0.0) {
            output_format(table->out, " %.2f |", ratio);
        } else if (i > 0) {
            output_text(table->out, " |");
        }
    }
    output_char(table->out, '\n');
}

static void print_text(struct cli *cli, const struct other *others, int count)
{
    struct table table = {.out = &cli->out};
    output_text(table.out, "# Reports beside each other\n\n"
                           "| | report | CPU | device | medium | durable | when |\n"
                           "|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < count; i++) {
        const struct other *other = &others[i];
        output_format(table.out, "| %d", i + 1);
        print_foreign(table.out, " | ", other->path);
        print_foreign(table.out, other->quick ? " (quick) | " : " | ", other->machine);
        print_foreign(table.out, " | ", other->device);
        print_foreign(table.out, " ", other->file_system);
        print_foreign(table.out, " | ", other->medium);
        print_foreign(table.out, other->durable ? " | yes | " : " | no | ", other->time);
        output_text(table.out, " |\n");
    }
    output_text(table.out, "\nBehind each number but the first: how good it is against the first, "
                           "above 1 is better.\n");
    for_each_row(others, count, print_row, &table);
}

static void row_to_json(void *context, const struct other *others, int count,
                        const struct report_row *row)
{
    struct json *json = context;
    const struct report_row *first = find_row(&others[0], row->name);
    json_object(json, NULL);
    json_text(json, "name", row->name);
    json_text(json, "title", row->title);
    json_text(json, "unit", row->unit);
    json_text(json, "better", row->less ? "less" : "more");
    json_array(json, "values");
    for (int i = 0; i < count; i++) {
        const struct report_row *own = find_row(&others[i], row->name);
        json_double(json, NULL, own != NULL ? own->value : (double)NAN);
    }
    json_array_end(json);
    json_array(json, "ratios");
    for (int i = 0; i < count; i++) {
        double ratio = ratio_of(first, find_row(&others[i], row->name));
        json_double(json, NULL, ratio > 0.0 ? ratio : (double)NAN);
    }
    json_array_end(json);
    json_object_end(json);
}

static void print_json(struct cli *cli, const struct other *others, int count)
{
    struct json json;
    json_begin(&json, &cli->out);
    json_array(&json, "reports");
    for (int i = 0; i < count; i++) {
        json_object(&json, NULL);
        json_text(&json, "file", others[i].path);
        json_text(&json, "cpu", others[i].machine);
        json_text(&json, "device", others[i].device);
        json_text(&json, "file_system", others[i].file_system);
        json_text(&json, "medium", others[i].medium);
        json_bool(&json, "durable", others[i].durable);
        json_text(&json, "time", others[i].time);
        json_bool(&json, "quick", others[i].quick);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_array(&json, "rows");
    for_each_row(others, count, row_to_json, &json);
    json_array_end(&json);
    json_end(&json);
}

int report_compare(struct cli *cli)
{
    int count = cli->argument_count, exit_code = -1;
    struct other *others = base_alloc_array((size_t)count, sizeof *others);
    char *buffer = base_alloc(FILE_BYTES_MAX);
    if (others == NULL || buffer == NULL) {
        exit_code = cli_fail(cli, -ENOMEM, NULL, "cannot compare %d reports", count);
    }
    for (int i = 0; exit_code < 0 && i < count; i++) {
        exit_code = read_report(cli, cli->argument[i], buffer, &others[i]);
    }
    if (exit_code < 0 && cli->json) {
        print_json(cli, others, count);
    } else if (exit_code < 0) {
        print_text(cli, others, count);
    }
    base_free(buffer);
    base_free(others);
    return exit_code < 0 ? CLI_OK : exit_code;
}
