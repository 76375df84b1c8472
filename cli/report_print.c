/*
 * A report as a page of Markdown, or as one JSON object that report_compare.c reads again.
 */
#include "cli/report.h"

#include "cli/json.h"
#include "cli/place_report.h"

#include <weir/version.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

struct scale {
    double from;
    double factor;
    const char *suffix;
};

static const struct scale counts[] = {{1e9, 1e-9, " G"}, {1e6, 1e-6, " M"}, {1e4, 1e-3, " k"}};
static const struct scale seconds[] = {
    {1.0, 1.0, " s"}, {1e-3, 1e3, " ms"}, {1e-6, 1e6, " us"}, {0.0, 1e9, " ns"}};

/* Three digits, however large it is. */
static void print_scaled(double value, const struct scale *scales, size_t count, const char *unit,
                         char *ret_text, size_t size)
{
    size_t i = 0;
    while (i < count && value < scales[i].from) {
        i++;
    }
    double scaled = i < count ? value * scales[i].factor : value;
    int digits = scaled < 10.0 ? 2 : scaled < 100.0 ? 1 : 0;
    snprintf(ret_text, size, "%.*f%s%s", digits, scaled, i < count ? scales[i].suffix : " ", unit);
}

#define COUNT_OF(list) (sizeof(list) / sizeof(list)[0])

static const char *const units[] = {"", "per_s", "bytes_per_s", "us", "ns", "s", "B"};

bool report_unit_is_known(const char *unit)
{
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (strcmp(unit, units[i]) == 0) {
            return true;
        }
    }
    return false;
}

void report_value_text(double value, const char *unit, char *ret_text, size_t size)
{
    if (unit[0] == '\0') {
        snprintf(ret_text, size, "%.0f", value);
    } else if (strcmp(unit, "per_s") == 0) {
        print_scaled(value, counts, COUNT_OF(counts), "/s", ret_text, size);
    } else if (strcmp(unit, "bytes_per_s") == 0) {
        print_scaled(value, counts, COUNT_OF(counts), "B/s", ret_text, size);
    } else if (strcmp(unit, "B") == 0) {
        snprintf(ret_text, size, "%.1f B", value);
    } else {
        double factor = unit[0] == 'u' ? 1e-6 : unit[0] == 'n' ? 1e-9 : 1.0;
        print_scaled(value * factor, seconds, COUNT_OF(seconds), "", ret_text, size);
    }
}

/* One with more digits than fit is none: cut short it would be another. */
double report_number(const struct base_json_value *value)
{
    char text[64];
    if (value->kind != BASE_JSON_NUMBER || value->size >= sizeof text) {
        return (double)NAN;
    }
    snprintf(text, sizeof text, "%.*s", (int)value->size, value->data);
    return strtod(text, NULL);
}

/* ---- text ---- */

static const char *durable_word(const struct weir_medium_info *medium)
{
    return medium->emulated ? "no (emulated)" : medium->durable ? "yes" : "no (memory)";
}

static void print_head(struct output *out, const struct report *report)
{
    const struct machine_place *place = &report->place;
    output_text(out, "# A report of this server\n\n"
                     "| | |\n|---|---|\n");
    output_format(out, "| device | %s%s%s on %s, write cache: %s |\n",
                  place->memory              ? "memory: nothing here survives a restart"
                  : place->device[0] != '\0' ? place->device
                                             : or_unknown(place->source),
                  place->model[0] != '\0' ? " " : "", place->model, or_unknown(place->file_system),
                  or_unknown(place->write_cache));
    output_format(out, "| machine | %u x %s, %s |\n", report->machine.cpus,
                  or_unknown(report->machine.cpu), report->machine.kernel);
    output_format(out, "| medium | %s, io %s, durable: %s |\n", report->medium.name,
                  report->medium.io, durable_word(&report->medium));
    output_format(out, "| weir | %s, %s |\n", weir_version_string(), or_unknown(report->build));
    output_text(out, "| when | ");
    output_time(out, report->started_ns);
    output_format(out, ", %.0f s; load average %.2f before, %.2f behind |\n", report->seconds,
                  report->load_before, report->load_after);
    if (report->options->quick) {
        output_text(out, "\nQuick: every part ran for a moment only. The numbers show that it "
                         "works, not how fast.\n");
    }
}

static void print_missing(struct output *out, const struct report *report)
{
    if (report->missing_count > 0) {
        output_text(out, "\n## Without a number\n\n");
    }
    for (unsigned i = 0; i < report->missing_count; i++) {
        output_format(out, "- `%s`: %s\n", report->missing[i].command, report->missing[i].reason);
    }
}

void report_print_text(const struct report *report)
{
    struct output *out = &report->cli->out;
    const char *section = "";
    print_head(out, report);
    for (unsigned i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];
        char value[48];
        if (strcmp(row->section, section) != 0) {
            section = row->section;
            output_format(out, "\n## %s\n\n| | |\n|---|---|\n", section);
        }
        report_value_text(row->value, row->unit, value, sizeof value);
        output_format(out, "| %s | %s |\n", row->title, value);
    }
    print_missing(out, report);
    if (report->interrupted) {
        output_format(out, "\nInterrupted after %.0f s: what is missing was not measured.\n",
                      report->seconds);
    }
}

/* ---- JSON ---- */

static void head_to_json(struct json *json, const struct report *report)
{
    json_u64(json, "report", 1);
    json_text(json, "weir", weir_version_string());
    json_time(json, "time", report->started_ns);
    json_double(json, "seconds", report->seconds);
    json_bool(json, "quick", report->options->quick);
    json_text(json, "device", report->place.device);
    json_text(json, "model", report->place.model);
    json_text(json, "file_system", or_unknown(report->place.file_system));
    json_text(json, "write_cache", or_unknown(report->place.write_cache));
    json_text(json, "kernel", report->machine.kernel);
    json_text(json, "cpu", report->machine.cpu);
    json_u64(json, "cpus", report->machine.cpus);
    json_text(json, "build", or_unknown(report->build));
    json_text(json, "medium", report->medium.name);
    json_text(json, "io", report->medium.io);
    json_bool(json, "durable", report->medium.durable && !report->medium.emulated);
    json_text(json, "reason", report->medium.reason);
    json_double(json, "load_before", report->load_before);
    json_double(json, "load_after", report->load_after);
}

static void row_to_json(struct json *json, const struct report_row *row)
{
    json_object(json, NULL);
    json_text(json, "name", row->name);
    json_text(json, "section", row->section);
    json_text(json, "title", row->title);
    json_text(json, "unit", row->unit);
    json_text(json, "better", row->less ? "less" : "more");
    json_double(json, "value", row->value);
    json_object_end(json);
}

void report_print_json(const struct report *report)
{
    struct json json;
    json_begin(&json, &report->cli->out);
    head_to_json(&json, report);
    json_array(&json, "rows");
    for (unsigned i = 0; i < report->row_count; i++) {
        row_to_json(&json, &report->rows[i]);
    }
    json_array_end(&json);
    json_array(&json, "missing");
    for (unsigned i = 0; i < report->missing_count; i++) {
        json_object(&json, NULL);
        json_text(&json, "command", report->missing[i].command);
        json_text(&json, "reason", report->missing[i].reason);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_bool(&json, "interrupted", report->interrupted);
    json_end(&json);
}
