/*
 * What writers pay for derived systems, and how far those are behind.
 *
 * 1. One writer puts all documents without waiting, then commits: alone; with one to three systems
 *    attached that nobody feeds (pull); with the same fed by a thread (background). Behind the
 *    commit the time until all have caught up is taken, and while it writes how far they lag.
 * 2. One writer puts documents that are durable each: alone, with a thread, and with push, where it
 *    applies them itself.
 *
 * Each round begins with the writer alone, and the others are held against that one.
 */
#include "bench/derived/store.h"

#include "bench/workdir.h"

#include "base/clock.h"

#include <stdio.h>

#define SYSTEMS 3u
#define DURABLE_PUTS 2000u

static const enum derived_kind order[SYSTEMS] = {DERIVED_INDEX_JSON, DERIVED_VIEW, DERIVED_TEXT};
static const char *const names[SYSTEMS] = {"first", "second", "third"};

enum delivery { PULL, BACKGROUND, PUSH };
static const char *const delivery_names[] = {"pull", "background", "push"};

struct run {
    enum delivery delivery;
    unsigned systems;
    enum weir_durability durability;
    uint64_t puts;
    double per_s;
    double behind_s;    /* until all had caught up behind the commit */
    uint64_t lag_bytes; /* right behind the last put */
};

static int begin_delivery(struct derived_store *store, const struct run *run)
{
    return run->systems == 0             ? 0
           : run->delivery == BACKGROUND ? weir_host_start(store->host)
           : run->delivery == PUSH       ? weir_host_push(store->host, true)
                                         : 0;
}

static int end_delivery(struct derived_store *store, const struct run *run)
{
    return run->systems == 0             ? 0
           : run->delivery == BACKGROUND ? weir_host_stop(store->host)
           : run->delivery == PUSH       ? weir_host_push(store->host, false)
                                         : 0;
}

static int measure_lag(struct derived_bench *bench, struct derived_store *store, struct run *run)
{
    struct weir_host_status status = WEIR_HOST_STATUS_INIT;
    struct weir_system_status systems[SYSTEMS];
    uint64_t started_ns = base_clock_monotonic_ns();
    int rc = weir_host_stat(store->host, &status, systems, SYSTEMS);
    for (unsigned i = 0; i < run->systems && rc >= 0; i++) {
        run->lag_bytes =
            systems[i].lag_bytes > run->lag_bytes ? systems[i].lag_bytes : run->lag_bytes;
    }
    for (unsigned i = 0; i < run->systems && rc >= 0; i++) {
        rc = weir_host_wait(store->host, names[i], status.durable, WEIR_WAIT_FOREVER, NULL);
    }
    run->behind_s = derived_seconds_since(started_ns);
    return rc < 0 ? derived_fail(bench, rc, "waiting for a system", NULL) : 0;
}

static int fill(struct derived_bench *bench, struct derived_store *store, struct run *run)
{
    double seconds;
    int rc = begin_delivery(store, run);
    if (rc < 0) {
        return derived_fail(bench, rc, "starting a delivery", NULL);
    }
    rc = derived_store_fill(bench, store, run->durability, run->puts, &seconds);
    run->per_s = (double)run->puts / seconds;
    if (rc == 0) {
        rc = measure_lag(bench, store, run);
    }
    int end_rc = end_delivery(store, run);
    return rc < 0 ? rc : end_rc < 0 ? derived_fail(bench, end_rc, "ending a delivery", NULL) : 0;
}

static int measure(struct derived_bench *bench, struct run *run)
{
    struct derived_store store;
    struct derived_system systems[SYSTEMS] = {0};
    int rc = derived_store_create(bench, &store);
    if (rc < 0) {
        return rc;
    }
    for (unsigned i = 0; i < run->systems && rc == 0; i++) {
        rc = derived_system_create(order[i], &systems[i]);
        rc = rc == 0 ? derived_store_attach(bench, &store, names[i], &systems[i])
                     : derived_fail(bench, rc, "making a system", NULL);
    }
    if (rc == 0) {
        rc = fill(bench, &store, run);
    }
    int close_rc = derived_store_close(&store);
    for (unsigned i = 0; i < SYSTEMS; i++) {
        derived_system_free(&systems[i]);
    }
    return rc < 0 ? rc : close_rc < 0 ? derived_fail(bench, close_rc, "closing a log", NULL) : 0;
}

static void add_run(struct derived_bench *bench, const struct run *run, const struct run *alone)
{
    char name[40], title[80];
    const char *waits = run->durability == WEIR_EACH ? "durable " : "";
    const char *kind = run->durability == WEIR_EACH ? "each-" : "";
    (void)snprintf(name, sizeof name, "put-%s%s-%u", kind,
                   run->systems == 0 ? "alone" : delivery_names[run->delivery], run->systems);
    if (run->systems == 0) {
        (void)snprintf(title, sizeof title, "%sputs, nothing derived", waits);
    } else {
        (void)snprintf(title, sizeof title, "%sputs, %u system%s, %s", waits, run->systems,
                       run->systems == 1 ? "" : "s", delivery_names[run->delivery]);
    }
    struct derived_row *row = derived_row(bench, name, "puts/s", title);
    if (run == alone) {
        derived_row_add(row, run->per_s, NULL, 0);
        return;
    }
    row->goal = run->delivery != PUSH ? 0.97 : 0;
    derived_row_add(row, run->per_s, "alone", run->per_s / alone->per_s);
    if (run->delivery == BACKGROUND && run->durability != WEIR_EACH) {
        (void)snprintf(name, sizeof name, "behind-%u", run->systems);
        (void)snprintf(title, sizeof title, "%u system%s: caught up behind the last put",
                       run->systems, run->systems == 1 ? "" : "s");
        derived_row_add(derived_row(bench, name, "seconds", title), run->behind_s, NULL, 0);
        (void)snprintf(name, sizeof name, "lag-%u", run->systems);
        (void)snprintf(title, sizeof title, "%u system%s: lag at the last put", run->systems,
                       run->systems == 1 ? "" : "s");
        derived_row_add(derived_row(bench, name, "MB", title), (double)run->lag_bytes / 1e6, NULL,
                        0);
    }
}

static int measure_round(struct derived_bench *bench, enum weir_durability durability,
                         uint64_t puts, const struct run *plan, size_t count)
{
    struct run alone = {.durability = durability, .puts = puts};
    int rc = measure(bench, &alone);
    if (rc < 0 || bench->interrupted) {
        return rc;
    }
    add_run(bench, &alone, &alone);
    for (size_t i = 0; i < count && rc == 0 && !bench->interrupted; i++) {
        struct run run = plan[i];
        run.durability = durability;
        run.puts = puts;
        rc = measure(bench, &run);
        if (rc == 0 && !bench->interrupted) {
            add_run(bench, &run, &alone);
        }
    }
    return rc;
}

int derived_delivery(struct derived_bench *bench)
{
    static const struct run grouped[] = {
        {.delivery = PULL, .systems = 3},
        {.delivery = BACKGROUND, .systems = 1},
        {.delivery = BACKGROUND, .systems = 2},
        {.delivery = BACKGROUND, .systems = 3},
    };
    static const struct run each[] = {
        {.delivery = BACKGROUND, .systems = 3},
        {.delivery = PUSH, .systems = 1},
        {.delivery = PUSH, .systems = 3},
    };
    uint64_t durable =
        bench->documents.count < DURABLE_PUTS ? bench->documents.count : DURABLE_PUTS;
    int rc = 0;
    for (unsigned round = 0; round < bench->plan->rounds && rc == 0 && !bench->interrupted;
         round++) {
        rc = measure_round(bench, WEIR_GROUP, bench->documents.count, grouped,
                           sizeof grouped / sizeof grouped[0]);
        if (rc == 0 && !bench->interrupted) {
            rc = measure_round(bench, WEIR_EACH, durable, each, sizeof each / sizeof each[0]);
        }
    }
    return rc;
}
