/*
 * What applying costs: all documents are in the log, and one system after the other is given them.
 *
 * 1. One log is filled.
 * 2. In each round each system is made anew, attached and flushed (one thread; the events come from
 *    the log, with their before-images), rebuilt, verified, detached, in turns.
 */
#include "bench/derived/store.h"

#include "bench/workdir.h"

#include "base/clock.h"

#include <weir/consumer.h>

#include <stdio.h>

#define NAME "measured"

static struct derived_row *row_of(struct derived_bench *bench, const char *what,
                                  enum derived_kind kind, const char *unit, const char *title)
{
    char name[40], text[80];
    (void)snprintf(name, sizeof name, "%s-%s", what, derived_kind_name(kind));
    (void)snprintf(text, sizeof text, "%s, %s", title, derived_kind_title(kind));
    return derived_row(bench, name, unit, text);
}

static int measure_flush(struct derived_bench *bench, struct derived_store *store,
                         const struct derived_system *system)
{
    uint64_t started_ns = base_clock_monotonic_ns();
    struct weir_delivered delivered;
    int rc = weir_host_flush(store->host, &delivered, 1);
    double seconds = derived_seconds_since(started_ns);
    if (rc < 0 || delivered.parked < 0) {
        return derived_fail(bench, rc < 0 ? rc : delivered.parked, "applying events", NULL);
    }
    struct derived_row *row = row_of(bench, "events", system->kind, "events/s", "apply");
    row->goal = system->kind == DERIVED_INDEX ? 1e6 : system->kind == DERIVED_TEXT ? 3e5 : 0;
    derived_row_add(row, (double)delivered.events / seconds, NULL, 0);
    derived_row_add(row_of(bench, "bytes", system->kind, "bytes/row", "memory"),
                    (double)derived_system_bytes(system) / (double)bench->documents.count, NULL, 0);
    return 0;
}

static int measure_rebuild(struct derived_bench *bench, struct derived_store *store,
                           const struct derived_system *system)
{
    struct weir_rebuild_report report = WEIR_REBUILD_REPORT_INIT;
    struct weir_host_verify_report verified = WEIR_HOST_VERIFY_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct derived_system fresh;
    int rc = weir_host_rebuild(store->host, NAME, NULL, NULL, &report, &why);
    if (rc < 0) {
        return derived_fail(bench, rc, "rebuilding a system", &why);
    }
    derived_row_add(row_of(bench, "rebuild", system->kind, "seconds", "rebuild"), report.seconds,
                    NULL, 0);
    rc = derived_system_create(system->kind, &fresh);
    if (rc == 0) {
        rc = weir_host_verify(store->host, NAME, fresh.self, NULL, NULL, &verified, &why);
        derived_system_free(&fresh);
    }
    if (rc == 0 && !verified.equal) {
        return derived_fail(bench, WEIR_E_STATE, "a rebuilt system is not equal", NULL);
    }
    if (rc < 0) {
        return derived_fail(bench, rc, "verifying a system", &why);
    }
    derived_row_add(row_of(bench, "verify", system->kind, "seconds", "verify"), verified.seconds,
                    NULL, 0);
    return 0;
}

static int measure_system(struct derived_bench *bench, struct derived_store *store,
                          enum derived_kind kind)
{
    struct derived_system system;
    int rc = derived_system_create(kind, &system);
    if (rc < 0) {
        return derived_fail(bench, rc, "making a system", NULL);
    }
    rc = derived_store_attach(bench, store, NAME, &system);
    if (rc == 0) {
        rc = measure_flush(bench, store, &system);
        if (rc == 0) {
            rc = measure_rebuild(bench, store, &system);
        }
        int detach_rc = weir_host_detach(store->host, NAME);
        int drop_rc = weir_consumer_drop(store->log, NAME);
        rc = rc < 0 ? rc : detach_rc < 0 ? detach_rc : drop_rc;
    }
    derived_system_free(&system);
    return rc;
}

int derived_events(struct derived_bench *bench)
{
    struct derived_store store;
    double seconds;
    int rc = derived_store_create(bench, &store);
    if (rc < 0) {
        return rc;
    }
    rc = derived_store_fill(bench, &store, WEIR_NONE, bench->documents.count, &seconds);
    for (unsigned round = 0; round < bench->plan->rounds && rc == 0; round++) {
        for (unsigned kind = 0; kind < DERIVED_KINDS && rc == 0 && !bench->interrupted; kind++) {
            rc = measure_system(bench, &store, (enum derived_kind)kind);
            bench->interrupted = bench->interrupted || bench_interrupted();
        }
    }
    int close_rc = derived_store_close(&store);
    return rc < 0 ? rc : close_rc;
}
