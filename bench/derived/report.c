/* Rows, their medians, and how they are shown. */
#include "bench/derived/report.h"

#include <weir/error.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct derived_row *derived_row(struct derived_bench *bench, const char *name, const char *unit,
                                const char *title)
{
    for (unsigned i = 0; i < bench->count; i++) {
        if (strcmp(bench->rows[i].name, name) == 0) {
            return &bench->rows[i];
        }
    }
    if (bench->count == DERIVED_ROWS_MAX) {
        return NULL;
    }
    struct derived_row *row = &bench->rows[bench->count++];
    *row = (struct derived_row){0};
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    (void)snprintf(row->unit, sizeof row->unit, "%s", unit);
    (void)snprintf(row->title, sizeof row->title, "%s", title);
    return row;
}

void derived_row_add(struct derived_row *row, double value, const char *against, double ratio)
{
    if (row == NULL || row->rounds == DERIVED_ROUNDS_MAX) {
        return;
    }
    row->values[row->rounds] = value;
    row->ratios[row->rounds] = ratio;
    row->rounds++;
    if (against != NULL) {
        (void)snprintf(row->against, sizeof row->against, "%s", against);
    }
}

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

double derived_median(const double *values, unsigned count)
{
    double sorted[DERIVED_ROUNDS_MAX];
    if (count == 0) {
        return 0;
    }
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

void derived_rows_finish(struct derived_bench *bench)
{
    for (unsigned i = 0; i < bench->count; i++) {
        struct derived_row *row = &bench->rows[i];
        row->value = derived_median(row->values, row->rounds);
        row->ratio = row->against[0] != '\0' ? derived_median(row->ratios, row->rounds) : 0;
    }
}

int derived_fail(struct derived_bench *bench, int rc, const char *what,
                 const struct weir_error *why)
{
    if (bench->error[0] == '\0') {
        (void)snprintf(bench->error, sizeof bench->error, "%s: %.300s", what,
                       why != NULL && why->text[0] != '\0' ? why->text : weir_error_text(rc));
    }
    return rc;
}

static bool has_reached(const struct derived_row *row)
{
    return (row->against[0] != '\0' ? row->ratio : row->value) >= row->goal;
}

void derived_print_json(const struct derived_bench *bench,
                        const struct bench_environment *environment)
{
    struct bench_json json;
    bench_json_open(&json, stdout);
    bench_json_begin(&json, "rows", '[');
    for (unsigned i = 0; i < bench->count; i++) {
        const struct derived_row *row = &bench->rows[i];
        bench_json_begin(&json, NULL, '{');
        bench_json_text(&json, "name", row->name);
        bench_json_text(&json, "title", row->title);
        bench_json_text(&json, "unit", row->unit);
        bench_json_number(&json, "value", row->value);
        if (row->against[0] != '\0') {
            bench_json_number(&json, "ratio", row->ratio);
            bench_json_text(&json, "against", row->against);
        }
        if (row->goal > 0) {
            bench_json_number(&json, "goal", row->goal);
        }
        bench_json_count(&json, "rounds", row->rounds);
        bench_json_end(&json, '}');
    }
    bench_json_end(&json, ']');
    bench_json_count(&json, "documents", bench->documents.count);
    bench_json_count(&json, "bytes", bench->documents.bytes);
    bench_json_text(&json, "medium", bench->medium.name);
    bench_json_text(&json, "io", bench->medium.io);
    bench_json_bool(&json, "durable", bench->medium.durable);
    if (bench->plan->peer != NULL) {
        bench_json_text(&json, "peer", bench->plan->peer->name);
        bench_json_text(&json, "peer_settings", bench->plan->peer->settings);
    }
    bench_json_bool(&json, "interrupted", bench->interrupted);
    bench_environment_json(environment, &json);
    bench_json_close(&json);
}

void derived_print_table(const struct derived_bench *bench,
                         const struct bench_environment *environment)
{
    bench_environment_print(environment);
    (void)printf("medium     %s, io %s%s\n", bench->medium.name, bench->medium.io,
                 bench->medium.durable ? "" : ", durable: no (memory)");
    (void)printf("documents  %llu, %.0f bytes each with the key; medians of %u rounds, in turns\n",
                 (unsigned long long)bench->documents.count,
                 (double)bench->documents.bytes / (double)bench->documents.count,
                 bench->plan->rounds);
    if (bench->plan->peer != NULL) {
        (void)printf("%-10s %s\n", bench->plan->peer->name, bench->plan->peer->settings);
    }
    (void)printf("\n%-52s %14s %-10s %8s\n", "", "", "", "ratio");
    for (unsigned i = 0; i < bench->count; i++) {
        const struct derived_row *row = &bench->rows[i];
        (void)printf("%-52s %14.*f %-10s", row->title, row->value < 100 ? 3 : 0, row->value,
                     row->unit);
        if (row->against[0] != '\0') {
            (void)printf(" %8.3f of %s", row->ratio, row->against);
        }
        if (row->goal > 0) {
            (void)printf("   %s (goal %g)", has_reached(row) ? "reached" : "missed", row->goal);
        }
        (void)printf("\n");
    }
    if (bench->interrupted) {
        (void)printf("interrupted: rows are of the rounds that were complete\n");
    }
}
