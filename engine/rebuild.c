/*
 * Rebuild: the index of a whole log, or of a long rest of one, by a walk, a sort and a build.
 *
 * Happy path: a plan divides the keys into buckets; threads walk ranges of the log, side by side,
 * and put 16 bytes for each change into its bucket; the names of tables are added; threads sort the
 * buckets and build trees of them; the trees are joined. Behind a checkpoint there are trees
 * already: then the keys are put one by one, in order, which is still several times as fast as in
 * the order of the log. The thread that opens does its share of all of it; with one thread no other
 * is started, and one that cannot be started is done without.
 *
 * Failure modes: the cursor's, records that no engine wrote, tables that the log never named: what
 * comes first in the log is reported, as replaying record by record would. The caller's progress
 * says stop. No memory. The engine is of no use then, and everything else is given back.
 *
 * Memory: 16 bytes for each change while it lasts, and twice the largest bucket for each thread.
 *
 * Invariants: nobody else has the engine; ranges are in the order of the log, and what two of them
 * hold of a key is taken in that order.
 */
#include "engine/rebuild.h"

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/inspect.h>

#define RANGE_RECORDS_LEAST 8192u /* what a thread is started for */
#define ASK_NS (BASE_NS_PER_S / 5)

int rebuild_load_key(struct weir_engine *engine, uint64_t address, struct index_key *ret_key)
{
    struct wal_segment *segment;
    struct weir_record record;
    struct record_key key;
    int rc = place_segment(&engine->places, address, &segment);
    rc = rc == 0 ? wal_address_lend(engine->log, segment, address, &record) : rc;
    rc = rc == 0 ? record_read_key(&record, &key) : rc;
    if (rc == 0) {
        *ret_key = (struct index_key){key.data, key.size};
    }
    return rc;
}

/* ---- going on, and not ---- */

static int ask(struct rebuild *rebuild)
{
    const struct weir_engine_options *options = &rebuild->engine->options;
    uint64_t now_ns = base_clock_coarse_ns(), passed = 0;
    if (options->progress == NULL || (rebuild->asked && now_ns - rebuild->asked_ns < ASK_NS)) {
        return 0;
    }
    rebuild->asked = true;
    rebuild->asked_ns = now_ns;
    for (uint32_t i = 0; i < rebuild->range_count; i++) {
        passed += atomic_load_explicit(&rebuild->ranges[i].progress, memory_order_relaxed);
    }
    /* Not the bytes of records: those of groups are more, and nobody counts them here. */
    double share = (double)passed / (double)(rebuild->to - rebuild->from + 1);
    return options->progress(options->progress_context,
                             (uint64_t)(share * (double)rebuild->log_bytes), rebuild->log_bytes);
}

int rebuild_check(struct rebuild *rebuild, bool asks)
{
    if (asks && ask(rebuild) != 0) {
        rebuild_fail(rebuild, -ECANCELED);
    }
    return atomic_load_explicit(&rebuild->failed, memory_order_relaxed);
}

void rebuild_fail(struct rebuild *rebuild, int rc)
{
    int none = 0;
    atomic_compare_exchange_strong_explicit(&rebuild->failed, &none, rc, memory_order_relaxed,
                                            memory_order_relaxed);
}

/* ---- threads ---- */

/* The first range is for the thread that opens: it asks how far things are. */
static void walk_ranges(struct rebuild *rebuild, bool asks)
{
    struct rebuild_memory memory = {.slabs = NULL};
    if (asks) {
        rebuild_walk(&rebuild->ranges[0], &memory, true);
    }
    uint32_t next;
    while ((next = 1 + atomic_fetch_add_explicit(&rebuild->next_range, 1, memory_order_relaxed)) <
           rebuild->range_count) {
        rebuild_walk(&rebuild->ranges[next], &memory, asks);
    }
    rebuild_memory_keep(rebuild, &memory);
}

static void build_parts(struct rebuild *rebuild, bool asks)
{
    struct rebuild_worker worker = {.rebuild = rebuild};
    rebuild_build(&worker, asks);
}

struct crew {
    struct rebuild *rebuild;
    void (*work)(struct rebuild *rebuild, bool asks);
};

static void crew_main(void *context)
{
    struct crew *crew = context;
    crew->work(crew->rebuild, false);
}

void rebuild_run(struct rebuild *rebuild, void (*work)(struct rebuild *rebuild, bool asks))
{
    struct base_thread threads[REBUILD_THREADS_MAX];
    struct crew crew = {.rebuild = rebuild, .work = work};
    uint32_t started = 0;
    while (started + 1 < rebuild->threads_wanted &&
           base_thread_start_beside(&threads[started], "weir-rebuild", crew_main, &crew) == 0) {
        started++;
    }
    work(rebuild, true);
    for (uint32_t i = 0; i < started; i++) {
        base_thread_join(&threads[i]);
    }
    rebuild->threads = started + 1 > rebuild->threads ? started + 1 : rebuild->threads;
}

/* ---- the walk ---- */

static uint64_t most_ranges(const struct rebuild *rebuild)
{
    return (rebuild->to - rebuild->from) / RANGE_RECORDS_LEAST + 1;
}

static uint32_t wanted_threads(const struct rebuild *rebuild)
{
    uint64_t most = most_ranges(rebuild);
    uint32_t threads = rebuild->engine->options.threads;
    threads = threads < REBUILD_THREADS_MAX ? threads : REBUILD_THREADS_MAX;
    return threads < most ? threads : (uint32_t)most;
}

static uint32_t add_range(struct rebuild *rebuild, weir_lsn from)
{
    rebuild->ranges[rebuild->range_count] =
        (struct rebuild_range){.rebuild = rebuild, .from = from};
    return rebuild->range_count++;
}

static int make_ranges(struct rebuild *rebuild)
{
    weir_lsn starts[REBUILD_PIECES_MAX];
    uint64_t most = most_ranges(rebuild);
    uint32_t threads = rebuild->threads_wanted;
    uint32_t wanted = threads > 1 ? threads * REBUILD_PIECES_PER_THREAD : 1;
    wanted = wanted < most ? wanted : (uint32_t)most;
    int count =
        weir_cursor_split(rebuild->engine->log, rebuild->from, rebuild->to, (int)wanted, starts);
    if (count <= 0) { /* the walk finds out why */
        starts[0] = rebuild->from;
        count = 1;
    }
    rebuild->range_most = (uint32_t)count;
    rebuild->ranges = base_pages_alloc(rebuild->range_most * sizeof *rebuild->ranges, 0);
    if (rebuild->ranges == NULL) {
        return -ENOMEM;
    }
    for (uint32_t piece = 0, pieces = (uint32_t)count; piece < pieces;) {
        uint32_t number = add_range(rebuild, starts[piece]);
        piece += (uint32_t)rebuild_portion(pieces - piece, 1, threads);
        rebuild->ranges[number].end = piece < pieces ? starts[piece] : rebuild->to + 1;
    }
    rebuild->threads_wanted = threads < rebuild->range_count ? threads : rebuild->range_count;
    return 0;
}

/* The first change of this range whose table nobody has named in front of it. */
static weir_lsn find_unnamed(struct weir_engine *engine, const struct rebuild_range *range)
{
    weir_lsn first = UINT64_MAX;
    for (weir_table table = 1; table < WEIR_TABLES_MAX; table++) {
        weir_lsn lsn = range->used != NULL ? range->used[table] : WEIR_LSN_NONE;
        if (lsn != WEIR_LSN_NONE && lsn < first && table_of(engine, table) == NULL) {
            first = lsn;
        }
    }
    return first;
}

static int explain_unnamed(weir_lsn lsn, struct weir_error *why)
{
    const struct weir_record record = {.lsn = lsn};
    return follow_explain(NULL, &record, WEIR_E_RECORD, why);
}

static int take_error(const struct rebuild_range *range, struct weir_error *why)
{
    if (why != NULL && range->why.code == range->rc) {
        size_t size = why->size;
        *why = range->why;
        why->size = size;
    }
    return range->rc;
}

static void take_gaps(struct engine_gaps *gaps, const struct rebuild_range *range)
{
    gap_add(&gaps->found, &range->gaps);
    if (range->accepted.accepted_lsns > 0) {
        gaps->accepted_lsns = range->accepted.accepted_lsns;
        atomic_store_explicit(&gaps->horizon,
                              atomic_load_explicit(&range->accepted.horizon, memory_order_relaxed),
                              memory_order_relaxed);
    }
}

static bool name_is_taken(struct weir_engine *engine, const char *name)
{
    bool taken = false;
    for (weir_table table = 1; table < WEIR_TABLES_MAX && !taken; table++) {
        const struct engine_table *other = table_of(engine, table);
        taken = other != NULL && strcmp(other->name, name) == 0;
    }
    return taken;
}

/* Tables whose records of their names are in a gap. The same names each time: they depend on what
 * the log holds alone. */
static int name_lost_tables(struct weir_engine *engine, const struct rebuild_range *range)
{
    int rc = 0;
    for (weir_table table = 1; table < WEIR_TABLES_MAX && rc == 0; table++) {
        if (range->used[table] == WEIR_LSN_NONE || table_of(engine, table) != NULL) {
            continue;
        }
        char name[WEIR_TABLE_NAME_MAX + 1];
        snprintf(name, sizeof name, "lost-%u", (unsigned)table);
        for (unsigned turn = 2; name_is_taken(engine, name); turn++) {
            snprintf(name, sizeof name, "lost-%u-%u", (unsigned)table, turn);
        }
        rc = table_add(engine, table, name, range->used[table]);
    }
    return rc;
}

/* In the order of the log: names of tables, and what went wrong. */
static int settle_ranges(struct rebuild *rebuild, struct weir_error *why)
{
    struct weir_engine *engine = rebuild->engine;
    for (uint32_t i = 0; i < rebuild->range_count; i++) {
        struct rebuild_range *range = &rebuild->ranges[i];
        weir_lsn unnamed = find_unnamed(engine, range);
        take_gaps(&engine->gaps, range);
        bool lost = engine->gaps.found.lsns > 0 && engine->gaps.found.first < unnamed;
        if (unnamed != UINT64_MAX && !lost && (range->rc == 0 || unnamed < range->failed_lsn)) {
            return explain_unnamed(unnamed, why);
        }
        int rc = range->rc < 0 ? take_error(range, why) : 0;
        for (uint32_t k = 0; k < range->table_count && rc == 0; k++) {
            const struct rebuild_table *table = &range->tables[k];
            rc = table_add(engine, table->number, table->name, table->lsn);
        }
        if (rc < 0) {
            return rc;
        }
        engine->report.replayed_records += range->records;
        engine->report.replayed_bytes += range->bytes;
    }
    int rc = gap_judge(engine, why);
    for (uint32_t i = 0; i < rebuild->range_count && rc == 0; i++) {
        rc = name_lost_tables(engine, &rebuild->ranges[i]);
    }
    return rc;
}

/* ---- the build ---- */

static uint64_t entries_of(const struct rebuild *rebuild, uint32_t bucket)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < rebuild->range_count; i++) {
        count += rebuild->ranges[i].buckets[bucket].count;
    }
    return count;
}

static void add_part(struct rebuild *rebuild, weir_table table, uint32_t first, uint32_t end)
{
    rebuild->parts[rebuild->part_count++] = (struct rebuild_part){
        .table = table_of(rebuild->engine, table), .first = first, .end = end};
}

/* Divides a table's buckets into parts. `left`: entries of this table and those behind it. */
static void add_parts(struct rebuild *rebuild, weir_table table, uint64_t piece, uint64_t *left)
{
    const struct rebuild_partition *partition = rebuild->plan.of_table[table];
    uint32_t first = rebuild->plan.buckets + table, end = first + 1;
    if (partition != NULL) {
        first = partition->first;
        end = first + partition->splitter_count + 1;
    }
    uint64_t entries = 0;
    for (uint32_t bucket = first; bucket < end; bucket++) {
        entries += entries_of(rebuild, bucket);
        bool enough = entries >= rebuild_portion(*left, piece, rebuild->threads_wanted);
        if (entries > 0 && (enough || bucket + 1 == end)) {
            add_part(rebuild, table, first, bucket + 1);
            first = bucket + 1;
            *left -= entries;
            entries = 0;
        }
    }
}

static int make_parts(struct rebuild *rebuild)
{
    uint32_t tables = atomic_load_explicit(&rebuild->engine->tables.end, memory_order_relaxed);
    rebuild->parts = base_alloc_array(rebuild->plan.buckets + tables, sizeof *rebuild->parts);
    if (rebuild->parts == NULL) {
        return -ENOMEM;
    }
    uint64_t left = 0;
    for (uint32_t i = 0; i < rebuild->range_count; i++) {
        left += rebuild->ranges[i].entries;
    }
    uint64_t piece = left / (rebuild->threads_wanted * REBUILD_PIECES_PER_THREAD) + 1;
    for (weir_table table = 0; table < tables; table++) {
        if (table_of(rebuild->engine, table) != NULL) {
            add_parts(rebuild, table, piece, &left);
        }
    }
    return 0;
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)BASE_NS_PER_S;
}

/* Sorting and building take turns in each thread: their time is divided as they took it. */
static void report_times(struct rebuild *rebuild, uint64_t start_ns, uint64_t walked_ns)
{
    struct weir_engine_open_report *report = &rebuild->engine->report;
    uint64_t built_ns = base_clock_monotonic_ns() - walked_ns;
    uint64_t busy_ns = rebuild->sort_ns + rebuild->build_ns;
    report->walk_s = seconds(walked_ns - start_ns);
    report->sort_s = seconds(built_ns) * (double)rebuild->sort_ns / (double)(busy_ns + 1);
    report->build_s = seconds(built_ns) - report->sort_s;
    report->threads = rebuild->threads;
}

static int work(struct rebuild *rebuild, struct weir_error *why)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    rebuild->threads_wanted = wanted_threads(rebuild);
    int rc = rebuild_plan_make(rebuild);
    rebuild->bucket_count = rebuild->plan.buckets + WEIR_TABLES_MAX;
    rc = rc == 0 ? make_ranges(rebuild) : rc;
    if (rc < 0) {
        return rc;
    }
    rebuild_run(rebuild, walk_ranges);
    rc = settle_ranges(rebuild, why);
    uint64_t walked_ns = base_clock_monotonic_ns();
    rc = rc == 0 ? make_parts(rebuild) : rc;
    if (rc < 0) {
        return rc;
    }
    rebuild_check(rebuild, true);
    rebuild_run(rebuild, build_parts);
    rc = atomic_load_explicit(&rebuild->failed, memory_order_relaxed);
    rc = rc == 0 && rebuild->into_empty ? rebuild_join(rebuild) : rc;
    report_times(rebuild, start_ns, walked_ns);
    return rc;
}

static bool is_empty(const struct weir_engine *engine)
{
    return !engine->report.from_checkpoint;
}

int rebuild_replay(struct weir_engine *engine, weir_lsn from, struct weir_error *why)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_log_stat(engine->log, &stat);
    struct rebuild *rebuild = rc == 0 ? base_alloc_zero(sizeof *rebuild) : NULL;
    if (rebuild == NULL) {
        return rc < 0 ? rc : -ENOMEM;
    }
    place_learn(engine); /* as in replay_from() */
    rebuild->engine = engine;
    rebuild->into_empty = is_empty(engine);
    rebuild->from = from;
    rebuild->to = weir_durable_lsn(engine->log);
    rebuild->log_bytes = stat.log_bytes;
    atomic_store_explicit(&rebuild->failed_range, REBUILD_PIECES_MAX, memory_order_relaxed);
    if (from <= rebuild->to) {
        rc = work(rebuild, why);
    }
    for (uint32_t i = 0; i < rebuild->range_count; i++) {
        rebuild_walk_free(&rebuild->ranges[i]);
    }
    rebuild_memory_free(rebuild);
    base_pages_free(rebuild->ranges, rebuild->range_most * sizeof *rebuild->ranges);
    rebuild_plan_free(&rebuild->plan);
    base_free(rebuild->parts);
    weir_lsn next = rebuild->to + 1;
    base_free(rebuild);
    /* What has become durable meanwhile: only beside a writer in another process. */
    return rc == 0 ? replay_from(engine, next > from ? next : from, why) : rc;
}
