/*
 * A log with its engine and a host, and the systems that are measured.
 */
#ifndef BENCH_DERIVED_STORE_H
#define BENCH_DERIVED_STORE_H

#include "bench/derived/plan.h"
#include "bench/workdir.h"

#include <weir/extract.h>

enum derived_kind {
    DERIVED_INDEX = 0,  /* one field, found by an extractor that knows where it lies */
    DERIVED_INDEX_JSON, /* the same, found in the JSON document */
    DERIVED_VIEW,       /* count and sum by section */
    DERIVED_TEXT,       /* words of the summary */
    DERIVED_KINDS,
};

const char *derived_kind_name(enum derived_kind kind);  /* "index" */
const char *derived_kind_title(enum derived_kind kind); /* "index, one field" */

/* One system; free() it behind its host. */
struct derived_system {
    enum derived_kind kind;
    struct weir_json_fields *fields;
    const struct weir_system_ops *ops;
    void *self;
};

int derived_system_create(enum derived_kind kind, struct derived_system *ret_system);
void derived_system_free(struct derived_system *system);
uint64_t derived_system_bytes(const struct derived_system *system);

struct derived_store {
    struct bench_workdir workdir; /* of this one alone, removed when it is closed */
    struct weir_log *log;
    struct weir_engine *engine;
    struct weir_host *host;
};

/* A fresh log in the plan's directory, with room for all documents made ahead. */
int derived_store_create(struct derived_bench *bench, struct derived_store *ret_store);
int derived_store_attach(struct derived_bench *bench, struct derived_store *store, const char *name,
                         const struct derived_system *system);
/* All documents; the clock includes the commit at the end. 0 or a negative error. */
int derived_store_fill(struct derived_bench *bench, struct derived_store *store,
                       enum weir_durability durability, uint64_t count, double *ret_seconds);
int derived_store_close(struct derived_store *store);

double derived_seconds_since(uint64_t started_ns);

#endif
