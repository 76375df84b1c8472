/* Opening what is measured, filling it, and the systems by their kind. */
#include "bench/derived/store.h"

#include "base/clock.h"

#include <weir/append.h>
#include <weir/index.h>
#include <weir/text.h>
#include <weir/view.h>
#include <weir/write.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECORD_OVERHEAD 96u /* of a put in the log, and some padding */

static const struct {
    const char *name, *title;
} kinds[DERIVED_KINDS] = {
    {"index", "index of one field"},
    {"index-json", "index of one JSON field"},
    {"view", "view: count, sum by JSON fields"},
    {"text", "full text of a JSON field"},
};

const char *derived_kind_name(enum derived_kind kind)
{
    return kinds[kind].name;
}

const char *derived_kind_title(enum derived_kind kind)
{
    return kinds[kind].title;
}

double derived_seconds_since(uint64_t started_ns)
{
    return (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
}

/* ---- systems ---- */

/* {"section":"sectionNN",...: where documents.c puts it. */
static int extract_section(void *context, struct weir_bytes key, struct weir_bytes value,
                           weir_emit_fn emit, void *emit_context)
{
    static const size_t from = sizeof "{\"section\":\"" - 1, size = sizeof "sectionNN" - 1;
    (void)context;
    (void)key;
    if (value.size < from + size) {
        return 1;
    }
    return emit(emit_context, 0, (struct weir_bytes){(const char *)value.data + from, size});
}

static int make_index(struct derived_system *system, weir_extract_fn extract)
{
    struct weir_index_options options = WEIR_INDEX_OPTIONS_INIT;
    struct weir_index *index;
    options.extract = extract;
    options.extract_context = system->fields;
    int rc = weir_index_create(&options, &index);
    system->ops = weir_index_ops();
    system->self = rc == 0 ? index : NULL;
    return rc;
}

static int make_view(struct derived_system *system)
{
    struct weir_view_options options = WEIR_VIEW_OPTIONS_INIT;
    struct weir_materialized_view *view;
    options.aggregates = WEIR_VIEW_COUNT | WEIR_VIEW_SUM;
    options.extract = weir_json_extract;
    options.extract_context = system->fields;
    int rc = weir_view_create(&options, &view);
    system->ops = weir_view_ops();
    system->self = rc == 0 ? view : NULL;
    return rc;
}

static int make_text(struct derived_system *system)
{
    struct weir_text_options options = WEIR_TEXT_OPTIONS_INIT;
    struct weir_text *text;
    options.extract = weir_json_extract;
    options.extract_context = system->fields;
    int rc = weir_text_create(&options, &text);
    system->ops = weir_text_ops();
    system->self = rc == 0 ? text : NULL;
    return rc;
}

int derived_system_create(enum derived_kind kind, struct derived_system *ret_system)
{
    static const char *const paths[DERIVED_KINDS][2] = {
        {"section", NULL}, {"section", NULL}, {"section", "size"}, {"summary", NULL}};
    struct derived_system system = {.kind = kind};
    int rc = weir_json_fields_create(paths[kind], paths[kind][1] != NULL ? 2 : 1, &system.fields);
    if (rc == 0) {
        rc = kind == DERIVED_INDEX        ? make_index(&system, extract_section)
             : kind == DERIVED_INDEX_JSON ? make_index(&system, weir_json_extract)
             : kind == DERIVED_VIEW       ? make_view(&system)
                                          : make_text(&system);
    }
    if (rc < 0) {
        weir_json_fields_free(system.fields);
        return rc;
    }
    *ret_system = system;
    return 0;
}

void derived_system_free(struct derived_system *system)
{
    if (system->self != NULL) {
        if (system->kind <= DERIVED_INDEX_JSON) {
            weir_index_free(system->self);
        } else if (system->kind == DERIVED_VIEW) {
            weir_view_free(system->self);
        } else {
            weir_text_free(system->self);
        }
        weir_json_fields_free(system->fields);
    }
    *system = (struct derived_system){0};
}

uint64_t derived_system_bytes(const struct derived_system *system)
{
    struct weir_index_status index = WEIR_INDEX_STATUS_INIT;
    struct weir_view_status view = WEIR_VIEW_STATUS_INIT;
    struct weir_text_status text = WEIR_TEXT_STATUS_INIT;
    if (system->kind <= DERIVED_INDEX_JSON) {
        return weir_index_stat(system->self, &index) == 0 ? index.bytes : 0;
    }
    if (system->kind == DERIVED_VIEW) {
        return weir_view_stat(system->self, &view) == 0 ? view.bytes : 0;
    }
    return weir_text_stat(system->self, &text) == 0 ? text.bytes : 0;
}

/* ---- the store ---- */

int derived_store_create(struct derived_bench *bench, struct derived_store *ret_store)
{
    const struct derived_plan *plan = bench->plan;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_engine_options engine = WEIR_ENGINE_OPTIONS_INIT;
    struct weir_open_report report = {.size = sizeof report};
    struct weir_error why = WEIR_ERROR_INIT;
    struct derived_store store = {0};
    char path[PATH_MAX + 8];
    int rc = bench_workdir_create(&store.workdir, plan->directory);
    if (rc < 0) {
        return derived_fail(bench, rc, "making a directory", NULL);
    }
    (void)snprintf(path, sizeof path, "%s/log", store.workdir.path);
    options.flags = WEIR_LOG_CREATE | (plan->emulated_pmem ? WEIR_LOG_ALLOW_EMULATED_PMEM : 0);
    options.medium = plan->medium;
    options.io = plan->io;
    options.segment_bytes = plan->segment_bytes;
    engine.checkpoint_bytes = UINT64_MAX;
    rc = weir_log_open(path, &options, &store.log, &why);
    if (rc == 0 && weir_log_report(store.log, &report) == 0) {
        bench->medium = report.medium;
    }
    if (rc == 0) {
        rc = weir_prepare(store.log,
                          bench->documents.bytes + bench->documents.count * RECORD_OVERHEAD);
    }
    if (rc == 0) {
        rc = weir_engine_open(store.log, &engine, &store.engine, &why);
    }
    if (rc == 0) {
        rc = weir_host_open(store.engine, NULL, &store.host);
    }
    if (rc < 0) {
        (void)derived_store_close(&store);
        return derived_fail(bench, rc, "opening a log", &why);
    }
    *ret_store = store;
    return 0;
}

int derived_store_attach(struct derived_bench *bench, struct derived_store *store, const char *name,
                         const struct derived_system *system)
{
    struct weir_system attached = WEIR_SYSTEM_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    attached.name = name;
    attached.ops = system->ops;
    attached.self = system->self;
    int rc = weir_host_attach(store->host, &attached, &why);
    return rc < 0 ? derived_fail(bench, rc, "attaching a system", &why) : 0;
}

int derived_store_fill(struct derived_bench *bench, struct derived_store *store,
                       enum weir_durability durability, uint64_t count, double *ret_seconds)
{
    const struct documents *documents = &bench->documents;
    uint64_t started_ns = base_clock_monotonic_ns();
    int rc = 0;
    for (uint64_t number = 0; number < count && rc == 0; number++) {
        rc = weir_put(store->engine, WEIR_TABLE_DEFAULT, documents->keys[number],
                      documents->values[number], durability, NULL);
        if (number % 4096 == 0 && bench_interrupted()) {
            bench->interrupted = true;
            break;
        }
    }
    if (rc == 0) {
        rc = weir_commit(store->log);
    }
    *ret_seconds = derived_seconds_since(started_ns);
    return rc < 0 ? derived_fail(bench, rc, "putting documents", NULL) : 0;
}

int derived_store_close(struct derived_store *store)
{
    int rc = store->host != NULL ? weir_host_close(store->host) : 0;
    int engine_rc = weir_engine_close(store->engine);
    int log_rc = store->log != NULL ? weir_log_close(store->log) : 0;
    bench_workdir_remove(&store->workdir);
    *store = (struct derived_store){0};
    return rc < 0 ? rc : engine_rc < 0 ? engine_rc : log_rc;
}
