/* Which numbers of an outcome are shown, by what was measured. */
#ifndef BENCH_KV_COLUMNS_H
#define BENCH_KV_COLUMNS_H

#include "bench/kv/plan.h"

struct kv_column {
    const char *json;  /* NULL ends the list */
    const char *title; /* for people; NULL: in JSON only */
    int width, decimals;
    double scale; /* from the unit of JSON to that of the title */
    double (*value)(const struct kv_outcome *outcome);
};

const struct kv_column *kv_columns(enum kv_action action);

/* From the beginning of opening to the end of the first get. */
double kv_open_seconds(const struct kv_outcome *outcome);

#endif
