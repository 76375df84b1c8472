/*
 * bench_recover: a writer fills a log and is killed; then, round by round, every row is measured
 * once, so that what drifts drifts for all of them. The medians count.
 *
 * Happy path: write; for each round and row: warm or cool the files, run, note; sort; report.
 *
 * What "warm" means depends on who reads: the medium `direct` and raw O_DIRECT reads go past the
 * page cache, whatever is in it; for them only what the device itself caches is warm.
 */
#include "bench/recover.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/workdir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define ROUNDS_MAX 101
#define BYTES_MIN (4 * (uint64_t)MIB)
#define SIZE_MAX_BYTES ((size_t)1 << 20)

struct row;
typedef int (*row_fn)(const struct recover_log *log, const struct row *row,
                      struct recover_pass *ret_pass);

enum row_kind {
    ROW_LOG,
    ROW_DIRECT, /* raw, past the page cache */
    ROW_CACHED, /* raw, through it */
};

struct row {
    const char *name, *title;
    row_fn run;
    enum row_kind kind;
    enum row_kind against; /* ROW_LOG: which raw reads it is held against */
    size_t chunk_bytes;
    unsigned depth;
    int (*phase)(const struct recover_log *log, struct recover_pass *ret_pass);
};

static int run_phase(const struct recover_log *log, const struct row *row,
                     struct recover_pass *ret_pass)
{
    return row->phase(log, ret_pass);
}

static int run_direct(const struct recover_log *log, const struct row *row,
                      struct recover_pass *ret_pass)
{
    return recover_raw_direct(log, row->chunk_bytes, row->depth, ret_pass);
}

static const struct row rows[] = {
    {.name = "open",
     .title = "open, the default",
     .run = run_phase,
     .against = ROW_DIRECT,
     .phase = recover_open_default},
    {.name = "open-all",
     .title = "open, verify = all",
     .run = run_phase,
     .against = ROW_DIRECT,
     .phase = recover_open_all},
    {.name = "verify",
     .title = "weir_verify",
     .run = run_phase,
     .against = ROW_DIRECT,
     .phase = recover_verify},
    {.name = "cursor",
     .title = "cursor over all",
     .run = run_phase,
     .against = ROW_CACHED,
     .phase = recover_cursor},
    {.name = "raw-direct-1m-1",
     .title = "raw O_DIRECT, 1 MiB, one by one",
     .run = run_direct,
     .kind = ROW_DIRECT,
     .chunk_bytes = MIB,
     .depth = 1},
    {.name = "raw-direct-4m-1",
     .title = "raw O_DIRECT, 4 MiB, one by one",
     .run = run_direct,
     .kind = ROW_DIRECT,
     .chunk_bytes = 4 * MIB,
     .depth = 1},
    {.name = "raw-direct-1m-4",
     .title = "raw O_DIRECT, 1 MiB, 4 in flight",
     .run = run_direct,
     .kind = ROW_DIRECT,
     .chunk_bytes = MIB,
     .depth = 4},
    {.name = "raw-direct-1m-8",
     .title = "raw O_DIRECT, 1 MiB, 8 in flight",
     .run = run_direct,
     .kind = ROW_DIRECT,
     .chunk_bytes = MIB,
     .depth = 8},
    {.name = "raw-buffered",
     .title = "raw read(), 1 MiB",
     .run = run_phase,
     .kind = ROW_CACHED,
     .phase = recover_raw_buffered},
    {.name = "raw-mapped",
     .title = "raw mmap(), every line",
     .run = run_phase,
     .kind = ROW_CACHED,
     .phase = recover_raw_mapped},
};

#define ROWS (sizeof rows / sizeof *rows)

_Static_assert(ROWS <= BENCH_RECOVER_ROWS_MAX, "a result has room for every row");

struct session {
    struct recover_log log;
    struct bench_recover_result *result;
    struct recover_pass *passes; /* ROWS by rounds; seconds 0: this row cannot be had here */
    char path[PATH_MAX];
};

static int explain(struct session *session, const char *doing, const char *why, int rc)
{
    if (rc < 0 && session->result->error[0] == '\0') {
        (void)snprintf(session->result->error, sizeof session->result->error, "%s: %s", doing,
                       why[0] != '\0' ? why : weir_error_text(rc));
    }
    return rc;
}

static int run_row(struct session *session, size_t index, struct recover_pass *pass)
{
    const struct row *row = &rows[index];
    bool cold = session->log.options->cold;
    int rc = cold ? bench_cool(session->path) : bench_warm(session->path);
    if (rc < 0) {
        return explain(session, "the files", "", rc);
    }
    rc = row->run(&session->log, row, pass);
    if (rc == -EINVAL && row->kind == ROW_DIRECT) {
        memset(pass, 0, sizeof *pass); /* no O_DIRECT on this file system */
        return 0;
    }
    return explain(session, row->title, pass->error, rc);
}

static int by_seconds(const void *left, const void *right)
{
    double a = ((const struct recover_pass *)left)->seconds;
    double b = ((const struct recover_pass *)right)->seconds;
    return (a > b) - (a < b);
}

static void add_row(struct session *session, const struct row *row, struct recover_pass *passes,
                    unsigned rounds)
{
    qsort(passes, rounds, sizeof *passes, by_seconds);
    const struct recover_pass *median = &passes[rounds / 2];
    if (!(median->seconds > 0.0)) {
        return;
    }
    struct bench_recover_row *to = &session->result->rows[session->result->count++];
    (void)snprintf(to->name, sizeof to->name, "%s", row->name);
    (void)snprintf(to->title, sizeof to->title, "%s", row->title);
    to->seconds = median->seconds;
    to->cpu_s = median->cpu_s;
    to->scan_s = median->scan_s;
    to->repair_s = median->repair_s;
    to->bytes = median->bytes;
    to->records = row->kind == ROW_LOG ? median->records : 0;
    double reading_s =
        to->scan_s > 0.0 && strncmp(row->name, "open", 4) == 0 ? to->scan_s : to->seconds;
    to->bytes_per_s = (double)to->bytes / reading_s;
    to->records_per_s = (double)to->records / reading_s;
}

static const struct row *row_named(const char *name)
{
    size_t index = 0;
    while (strcmp(rows[index].name, name) != 0) {
        index++;
    }
    return &rows[index];
}

static double fastest(const struct bench_recover_result *result, enum row_kind kind)
{
    double most = 0.0;
    for (unsigned index = 0; index < result->count; index++) {
        const struct bench_recover_row *row = &result->rows[index];
        bool counts = row_named(row->name)->kind == kind;
        most = counts && row->bytes_per_s > most ? row->bytes_per_s : most;
    }
    return most;
}

/* Without direct reads, everything went through the page cache. */
static void add_ratios(struct bench_recover_result *result)
{
    double direct = fastest(result, ROW_DIRECT);
    double cached = fastest(result, ROW_CACHED);
    for (unsigned index = 0; index < result->count; index++) {
        struct bench_recover_row *row = &result->rows[index];
        const struct row *from = row_named(row->name);
        bool is_direct = from->against == ROW_DIRECT && direct > 0.0;
        double raw = is_direct ? direct : cached;
        if (from->kind == ROW_LOG && raw > 0.0) {
            row->ratio = row->bytes_per_s / raw;
            (void)snprintf(row->against, sizeof row->against, "%s",
                           is_direct ? "direct" : "cached");
        }
    }
}

static int measure(struct session *session)
{
    unsigned rounds = session->log.options->rounds;
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t index = 0; index < ROWS; index++) {
            int rc = run_row(session, index, &session->passes[index * rounds + round]);
            if (rc < 0 || bench_interrupted()) {
                return rc;
            }
        }
    }
    for (size_t index = 0; index < ROWS; index++) {
        add_row(session, &rows[index], &session->passes[index * rounds], rounds);
    }
    add_ratios(session->result);
    return 0;
}

static int write_log(struct session *session)
{
    struct recover_pass pass;
    struct bench_recover_result *result = session->result;
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = recover_write(&session->log, &pass);
    result->setup_s = (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
    result->log_bytes = pass.bytes;
    result->records = pass.records;
    result->segments = pass.segments;
    result->durable = pass.durable && !pass.emulated;
    result->emulated = pass.emulated;
    memcpy(result->medium, pass.medium, sizeof result->medium);
    memcpy(result->io, pass.io, sizeof result->io);
    return explain(session, "writing", pass.error, rc);
}

static int run_session(struct session *session, const char *directory)
{
    struct bench_workdir workdir;
    int rc = bench_workdir_create(&workdir, directory);
    if (rc < 0) {
        return explain(session, directory, "", rc);
    }
    (void)snprintf(session->path, sizeof session->path, "%.*s/log", (int)(sizeof session->path - 8),
                   workdir.path);
    session->log.path = session->path;
    rc = write_log(session);
    if (rc == 0 && !bench_interrupted()) {
        rc = measure(session);
    }
    bench_workdir_remove(&workdir);
    return rc;
}

int bench_recover(const struct bench_recover_options *options,
                  struct bench_recover_result *ret_result)
{
    memset(ret_result, 0, sizeof *ret_result);
    struct bench_payload payload = {.bytes = NULL};
    struct session session = {.log = {.options = options, .payload = &payload},
                              .result = ret_result};
    if (options->directory == NULL || options->size_min < 1 ||
        options->size_min > options->size_max || options->size_max > SIZE_MAX_BYTES ||
        options->bytes < BYTES_MIN || options->rounds < 1 || options->rounds > ROUNDS_MAX) {
        return explain(&session, "options", "", -EINVAL);
    }
    session.passes = base_alloc_array(ROWS * options->rounds, sizeof *session.passes);
    int rc = session.passes == NULL ? -ENOMEM : 0;
    rc = rc < 0 ? rc : bench_payload_create(&payload, options->size_min, options->size_max);
    rc = rc < 0 ? explain(&session, "memory", "", rc) : run_session(&session, options->directory);
    ret_result->interrupted = bench_interrupted();
    bench_payload_destroy(&payload);
    base_free(session.passes);
    return rc;
}
