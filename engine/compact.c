/*
 * Compaction: which puts and deletes the log may drop, and where the others lie afterwards.
 *
 * Happy path: find H, the highest LSN that no hold, no snapshot and nothing undurable stands in the
 * way of. The log looks at its segments and asks for each record of ours at or below H whether it
 * counts: it does when it is the version that the state as of H shows. In front of the first step H
 * becomes the horizon: nobody may start below it any more. A step over, each kept record's key is
 * pointed at its new place, each key whose delete was dropped leaves the index, and the old
 * segments go when no section that may look into them is open.
 *
 * Failure modes: a record that cannot be read ends it before anything of its run was dropped; an
 * index that cannot be brought behind a step stops writes (the next open rebuilds it).
 *
 * Invariants: H moves in memory before anything is dropped, and under the lock that snapshots are
 * taken under; no key points into a segment that is let go.
 */
#include "engine/engine.h"

#include "base/assert.h"
#include "base/clock.h"
#include "engine/checkpoint.h"
#include "wal/address_compact.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/inspect.h>
#include <weir/retain.h>

#define SLEEP_SLICE_NS ((int64_t)50 * (int64_t)BASE_NS_PER_MS)

struct compacting {
    struct weir_engine *engine;
    const struct weir_compact_options *options;
    struct weir_compact_report *report;
    weir_lsn horizon;
    uint64_t start_ns;
    int failed;     /* of moved(), which cannot fail itself */
    bool overtaken; /* a snapshot has come below the horizon before that was raised */
};

/* ---- H ---- */

struct limit {
    weir_lsn horizon;
    char name[sizeof((struct weir_compact_report *)0)->limited_by];
};

static void lower(struct limit *limit, weir_lsn horizon, const char *name)
{
    if (horizon < limit->horizon) {
        limit->horizon = horizon;
        snprintf(limit->name, sizeof limit->name, "%s", name);
    }
}

static int lower_to_hold(void *context, const struct weir_hold *hold)
{
    if (strcmp(hold->name, WEIR_HOLD_ENGINE) != 0) {
        lower(context, hold->floor > 0 ? hold->floor - 1 : 0, hold->name);
    }
    return 0;
}

static void lower_to_snapshot(struct weir_engine *engine, struct limit *limit)
{
    weir_lsn snapshot;
    base_lock_acquire(&engine->snapshots.lock);
    if (snapshot_oldest(engine, &snapshot)) {
        lower(limit, snapshot, WEIR_LIMITED_BY_SNAPSHOT);
    }
    base_lock_release(&engine->snapshots.lock);
}

static int choose_horizon(struct compacting *compacting)
{
    struct weir_engine *engine = compacting->engine;
    struct limit limit = {.horizon = engine_settled(engine)};
    compacting->overtaken = false;
    if (compacting->options->horizon != WEIR_LSN_NONE) {
        lower(&limit, compacting->options->horizon, WEIR_LIMITED_BY_OPTIONS);
    }
    int rc = weir_hold_list(engine->log, lower_to_hold, &limit);
    if (rc < 0) {
        return rc;
    }
    lower_to_snapshot(engine, &limit);
    compacting->horizon = limit.horizon;
    memcpy(compacting->report->limited_by, limit.name, sizeof limit.name);
    return 0;
}

/* In front of the first step: from here on no snapshot and no view begins below H. Until then
 * nothing was dropped, and a snapshot may have come: then all begins again with a lower H. */
static int raise_horizon(void *context)
{
    struct compacting *compacting = context;
    struct weir_engine *engine = compacting->engine;
    weir_lsn snapshot;
    base_lock_acquire(&engine->snapshots.lock);
    compacting->overtaken = snapshot_oldest(engine, &snapshot) && snapshot < compacting->horizon;
    if (!compacting->overtaken &&
        compacting->horizon > atomic_load_explicit(&engine->horizon, memory_order_relaxed)) {
        /* Release pairs with the acquire in version.c. */
        atomic_store_explicit(&engine->horizon, compacting->horizon, memory_order_release);
    }
    base_lock_release(&engine->snapshots.lock);
    return compacting->overtaken ? -EAGAIN : 0;
}

/* When no step was made, history is as complete as before. */
static int settle_horizon(struct compacting *compacting)
{
    struct weir_engine *engine = compacting->engine;
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_log_stat(engine->log, &stat);
    if (rc == 0) {
        base_lock_acquire(&engine->snapshots.lock);
        weir_lsn gaps = atomic_load_explicit(&engine->gaps.horizon, memory_order_relaxed);
        weir_lsn horizon = stat.horizon > gaps ? stat.horizon : gaps;
        atomic_store_explicit(&engine->horizon, horizon, memory_order_release);
        base_lock_release(&engine->snapshots.lock);
        compacting->report->horizon = horizon;
    }
    return rc;
}

/* ---- what counts ---- */

/* The version of the record's key that the state as of H shows: 1, 0 or an error. */
static int find_counting(struct compacting *compacting, const struct engine_version *record,
                         struct engine_version *ret_version)
{
    struct weir_engine *engine = compacting->engine;
    struct engine_table *table = table_of(engine, record->table);
    int rc = table != NULL ? place_find(&engine->places, table, record->key, ret_version)
                           : WEIR_E_RECORD;
    return rc == 1 ? version_as_of(engine, compacting->horizon, ret_version) : rc;
}

static int judge(struct compacting *compacting, const struct weir_record *record, uint64_t address)
{
    struct engine_version version, counting;
    int rc = record_read(record, address, &version);
    rc = rc == 0 ? find_counting(compacting, &version, &counting) : rc;
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 || counting.lsn != version.lsn) {
        return WAL_ADDRESS_DROP;
    }
    return version.operation == WEIR_REMOVE ? WAL_ADDRESS_DROP_LAST : WAL_ADDRESS_KEEP;
}

static int keep(void *context, const struct weir_record *record, uint64_t address)
{
    struct compacting *compacting = context;
    if (record->type != WEIR_TYPE_CHANGE) {
        return WAL_ADDRESS_KEEP;
    }
    uint32_t slot = epoch_enter(&compacting->engine->epochs);
    /* The old place is kept readable for sections that have its address and have not read it yet.
     */
    struct wal_segment *segment;
    int rc = place_segment(&compacting->engine->places, address, &segment);
    rc = rc == 0 ? judge(compacting, record, address) : rc;
    epoch_leave(&compacting->engine->epochs, slot);
    return rc;
}

/* ---- where it is now ---- */

/* A deleted key whose delete is gone. */
static int remove_key(struct compacting *compacting, struct engine_table *table,
                      struct index_key key, uint64_t address)
{
    int rc = index_remove(&table->index, key, address);
    if (rc == 1) {
        atomic_fetch_sub_explicit(&table->deleted, 1, memory_order_relaxed);
        compacting->report->keys_dropped++;
    }
    return rc;
}

/* The old place can still be read: the index needs it to tell the key. */
static void move(struct compacting *compacting, const struct engine_version *version,
                 uint64_t new_address)
{
    struct weir_engine *engine = compacting->engine;
    struct engine_table *table = table_of(engine, version->table);
    const struct index_key key = {version->key.data, (uint32_t)version->key.size};
    uint32_t stripe = stripe_of(version->table, version->key);
    uint32_t slot = epoch_enter(&engine->epochs);
    stripe_lock(engine, stripe);
    int rc = new_address != 0 ? index_replace(&table->index, key, version->address, new_address)
                              : remove_key(compacting, table, key, version->address);
    stripe_unlock(engine, stripe);
    epoch_leave(&engine->epochs, slot);
    if (rc < 0) {
        compacting->failed = rc;
        atomic_store_explicit(&engine->failed, rc, memory_order_relaxed);
    }
}

static void moved(void *context, const struct weir_record *record, uint64_t old_address,
                  uint64_t new_address)
{
    struct compacting *compacting = context;
    struct engine_version version;
    int rc = record->type == WEIR_TYPE_CHANGE ? record_read(record, old_address, &version) : 1;
    if (rc == 0) {
        move(compacting, &version, new_address);
    } else if (rc < 0) {
        compacting->failed = rc;
        atomic_store_explicit(&compacting->engine->failed, rc, memory_order_relaxed);
    }
}

/* ---- pace ---- */

static bool is_stopped(const struct compacting *compacting, uint64_t bytes, uint64_t all_bytes)
{
    const struct weir_compact_options *options = compacting->options;
    return options->progress != NULL &&
           options->progress(options->progress_context, bytes, all_bytes) != 0;
}

/* Sleeps until so many bytes are allowed; the caller's progress is asked all the while. */
static int sleep_for_rate(struct compacting *compacting, uint64_t bytes, uint64_t all_bytes)
{
    _Atomic uint32_t nothing = 0;
    double seconds = (double)bytes / (double)compacting->options->bytes_per_second;
    uint64_t end_ns = compacting->start_ns + (uint64_t)(seconds * (double)BASE_NS_PER_S);
    uint64_t now_ns;
    while ((now_ns = base_clock_monotonic_ns()) < end_ns) {
        int64_t left = (int64_t)(end_ns - now_ns);
        base_wait(&nothing, 0, left < SLEEP_SLICE_NS ? left : SLEEP_SLICE_NS, false);
        if (is_stopped(compacting, bytes, all_bytes)) {
            return -ECANCELED;
        }
    }
    return 0;
}

static int pace(void *context, uint64_t bytes, uint64_t all_bytes)
{
    struct compacting *compacting = context;
    if (compacting->failed < 0) {
        return compacting->failed; /* keys have old addresses still: those segments stay pinned */
    }
    place_let_go(compacting->engine);
    if (is_stopped(compacting, bytes, all_bytes)) {
        return -ECANCELED;
    }
    return compacting->options->bytes_per_second > 0 ? sleep_for_rate(compacting, bytes, all_bytes)
                                                     : 0;
}

/* ---- the call ---- */

static int note_space(struct weir_engine *engine, uint64_t *ret_bytes, uint64_t *ret_segments)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_log_stat(engine->log, &stat);
    if (rc == 0) {
        *ret_bytes = stat.segments * stat.segment_bytes;
        *ret_segments = stat.segments;
    }
    return rc;
}

static int run(struct compacting *compacting, struct weir_error *why)
{
    struct weir_compact_report *report = compacting->report;
    struct weir_engine *engine = compacting->engine;
    const struct wal_address_compaction request = {
        .horizon = compacting->horizon,
        .keep = keep,
        .moved = moved,
        .begin = raise_horizon,
        .throttle = pace,
        .context = compacting,
        .max_steps = compacting->options->max_steps,
        .thorough = compacting->options->thorough,
    };
    struct wal_address_compaction_report done = {0};
    int rc = wal_address_compact(engine->log, &request, &done, why);
    report->steps = done.steps;
    report->records_kept = done.records_kept;
    report->records_dropped = done.records_dropped;
    if (done.untold ||
        compacting->failed < 0) { /* keys have old addresses still: those segments stay pinned */
        int why_not = rc < 0 ? rc : compacting->failed;
        atomic_store_explicit(&engine->failed, why_not, memory_order_relaxed);
    } else {
        place_let_go(engine);
        (void)wal_address_compact_reserve(
            engine->log); /* for the next time, as far as there is room */
    }
    rc = rc == 0 ? compacting->failed : rc;
    int settled = settle_horizon(compacting);
    int noted = note_space(engine, &report->bytes_after, &report->segments_after);
    return rc < 0 ? rc : settled < 0 ? settled : noted;
}

/* Addresses have moved, so the last checkpoint is not used any more. Without a new one the next
 * open takes longer; what was compacted is compacted all the same. */
static void renew_checkpoint(struct weir_engine *engine)
{
    struct weir_checkpoint_report report;
    if (atomic_load_explicit(&engine->upkeep.checkpoint_lsn, memory_order_relaxed) !=
            WEIR_LSN_NONE &&
        checkpoint_make(engine, &report) < 0) {
        atomic_store_explicit(&engine->upkeep.checkpoint_lsn, WEIR_LSN_NONE, memory_order_relaxed);
    }
}

static int compact(struct weir_engine *engine, const struct weir_compact_options *options,
                   struct weir_compact_report *report, struct weir_error *why)
{
    struct compacting compacting = {.engine = engine,
                                    .options = options,
                                    .report = report,
                                    .start_ns = base_clock_monotonic_ns()};
    int rc = note_space(engine, &report->bytes_before, &report->segments_before);
    weir_lsn reached = atomic_load_explicit(&engine->horizon, memory_order_relaxed);
    bool may_gain = true;
    do {
        rc = rc == 0 || compacting.overtaken ? choose_horizon(&compacting) : rc;
        /* A horizon never goes back: with a lower one than there is, nothing is to be gained. */
        may_gain = compacting.horizon > 0 && compacting.horizon >= reached;
        rc = rc == 0 && may_gain ? run(&compacting, why) : rc;
    } while (rc == -EAGAIN && compacting.overtaken);
    if (!may_gain) {
        report->horizon = reached;
        report->bytes_after = report->bytes_before;
        report->segments_after = report->segments_before;
    }
    if (rc == 0 && report->steps > 0) {
        renew_checkpoint(engine);
    }
    report->total_s =
        (double)(base_clock_monotonic_ns() - compacting.start_ns) / (double)BASE_NS_PER_S;
    return rc;
}

static bool options_are_valid(const struct weir_compact_options *options,
                              const struct weir_compact_report *report)
{
    static const uint8_t zeros[sizeof options->reserved] = {0};
    return options->size == sizeof *options &&
           memcmp(options->reserved, zeros, sizeof zeros) == 0 &&
           (report == NULL || report->size >= sizeof *report);
}

int weir_engine_compact(struct weir_engine *engine, const struct weir_compact_options *options,
                        struct weir_compact_report *ret_report, struct weir_error *ret_error)
{
    static const struct weir_compact_options defaults = WEIR_COMPACT_OPTIONS_INIT;
    options = options != NULL ? options : &defaults;
    if (engine == NULL || !options_are_valid(options, ret_report)) {
        return engine_error(ret_error, -EINVAL, "no engine, or options of another size");
    }
    int rc = engine_check(engine);
    rc = rc == 0 && engine->read_only ? WEIR_E_READ_ONLY : rc;
    rc = rc == 0 ? atomic_load_explicit(&engine->failed, memory_order_relaxed) : rc;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    if (ret_error != NULL) {
        ret_error->code = 0;
    }
    if (rc == 0) {
        base_lock_acquire(&engine->compacting);
        rc = compact(engine, options, &report, ret_error);
        base_lock_release(&engine->compacting);
    }
    if (ret_report != NULL) {
        report.size = ret_report->size;
        *ret_report = report;
    }
    bool explained = ret_error != NULL && ret_error->code == rc;
    return rc == 0 || explained
               ? rc
               : engine_error(ret_error, rc, "compaction ended early: %s", weir_error_text(rc));
}
