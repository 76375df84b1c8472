/*
 * Open and close: from a log to an engine and back.
 *
 * Happy path of open: make the parts, load the newest checkpoint that fits, replay what is behind
 * it (or everything), see that the log is held. Of close: make a checkpoint when one is due, give
 * back the segments, the index, the handle.
 *
 * Together with its log: the checkpoint is read from when the log has its LOCK, and the rest behind
 * it is replayed from when recovery knows where the log ends, while it looks at what lies behind.
 * Nobody has a handle before recovery has come to its verdict, and when it refuses all goes.
 *
 * Failure modes: a log that cannot be read to its end, or holds records of our type that are none:
 * everything is given back and the log is as it was.
 */
#include "engine/checkpoint.h"
#include "wal/address_compact.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/retain.h>

#define FLAGS (WEIR_ENGINE_NO_CHECKPOINT | WEIR_ENGINE_ACCEPT_GAPS | WEIR_ENGINE_NO_SHORTCUTS)
#define THREADS_MAX 8u
#define BUILDS_MAX 16u /* of a reader whose writer compacts under it, again and again */
#define CHECKPOINT_BYTES_DEFAULT ((uint64_t)256 << 20)
#define MARGIN_BYTES_MAX ((uint64_t)16 << 20)
#define MARGIN_BYTES_MIN ((uint64_t)8192) /* room for some nodes of the largest class */
#define MARGIN_SHARE 64u
#define REST_RECORDS 200000u        /* behind a checkpoint: fewer are applied one by one */
#define FULL_BYTES ((uint64_t)8192) /* in the arena: less than this is left when it is full */
/* What callers knew of the report before replay_s. */
#define REPORT_BYTES_MIN offsetof(struct weir_engine_open_report, replay_s)

int engine_error(struct weir_error *why, int code, const char *format, ...)
{
    if (why != NULL) {
        size_t size = why->size;
        *why = (struct weir_error){.size = size, .code = code, .offset = UINT64_MAX};
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(why->text, sizeof why->text, format, arguments);
        va_end(arguments);
    }
    return code;
}

int engine_check(const struct weir_engine *engine)
{
    return wal_address_check(engine->log);
}

/* ---- the hold ---- */

/* Space of a log with tables comes back by compaction alone, so what that writes into is there
 * before the disk is full, and before the first put, which need not wait for it. Where there is no
 * room for it now, compaction looks again. */
static void reserve_for_compaction(struct weir_engine *engine)
{
    (void)wal_address_compact_reserve(engine->log);
}

int engine_hold(struct weir_engine *engine)
{
    /* Acquire pairs with the release below: the hold is durable. */
    if (__builtin_expect(atomic_load_explicit(&engine->held, memory_order_acquire), 1)) {
        return 0;
    }
    base_lock_acquire(&engine->upkeep.lock);
    int rc = 0;
    if (!atomic_load_explicit(&engine->held, memory_order_relaxed)) {
        rc = weir_hold_set(engine->log, WEIR_HOLD_ENGINE, weir_durable_lsn(engine->log) + 1);
        if (rc == 0) {
            atomic_store_explicit(&engine->held, true, memory_order_release);
        }
    }
    base_lock_release(&engine->upkeep.lock);
    return rc;
}

static int is_engine_hold(void *context, const struct weir_hold *hold)
{
    (void)context;
    return strcmp(hold->name, WEIR_HOLD_ENGINE) == 0 ? 1 : 0;
}

static bool has_records(const struct weir_engine *engine)
{
    return engine->report.keys > 0 || engine->report.deleted_keys > 0 ||
           atomic_load_explicit(&engine->tables.end, memory_order_relaxed) > 1;
}

static int explain_hold(int rc, struct weir_error *why)
{
    return rc == WEIR_E_DAMAGED
               ? engine_error(why, rc,
                              "the file of a hold (in holds/) is damaged: what the log has to keep "
                              "is not known until that hold is set again, or dropped")
               : engine_error(why, rc, "the log cannot be held for the engine: %s",
                              weir_error_text(rc));
}

/* A log that has tables and no hold is held from its first record on. */
static int see_to_hold(struct weir_engine *engine, struct weir_error *why)
{
    int rc = weir_hold_list(engine->log, is_engine_hold, NULL);
    bool held = rc == 1;
    if (rc == 0 && has_records(engine)) {
        struct wal_address_extent extent;
        rc = wal_address_extent(engine->log, &extent);
        if (rc == 0) {
            rc = weir_hold_set(engine->log, WEIR_HOLD_ENGINE, extent.earliest);
        }
        held = rc == 0;
    }
    if (rc < 0) {
        return explain_hold(rc, why);
    }
    reserve_for_compaction(engine);
    atomic_store_explicit(&engine->held, held, memory_order_release);
    return 0;
}

/* ---- the parts ---- */

/* All of them, so that a log is not made for an engine that cannot be had. */
static int check_options(const struct weir_engine_options *options, struct weir_error *why)
{
    if (options->size != sizeof *options) {
        return engine_error(why, -EINVAL, "the size member of the engine's options is not set");
    }
    if ((options->flags & ~FLAGS) != 0) {
        return engine_error(why, -EINVAL,
                            "the engine's options have a flag that this version does not know");
    }
    if (options->index_bytes != 0 &&
        (options->index_bytes < ARENA_LIMIT_MIN || options->index_bytes > ARENA_LIMIT_MAX)) {
        return engine_error(why, -EINVAL,
                            "the index of the engine takes from 64 KiB to 64 GiB, or 0 for that; "
                            "index_bytes is %llu",
                            (unsigned long long)options->index_bytes);
    }
    return space_check_options(options, why);
}

static int take_options(struct weir_engine *engine, const struct weir_engine_options *options,
                        struct weir_error *why)
{
    static const struct weir_engine_options defaults = WEIR_ENGINE_OPTIONS_INIT;
    options = options != NULL ? options : &defaults;
    int rc = check_options(options, why);
    if (rc < 0) {
        return rc;
    }
    engine->options = *options;
    engine->shortcuts.none = (options->flags & WEIR_ENGINE_NO_SHORTCUTS) != 0;
    unsigned cpus = base_cpu_count();
    if (engine->options.threads == 0) {
        engine->options.threads = cpus < THREADS_MAX ? cpus : THREADS_MAX;
    }
    if (engine->options.threads > THREADS_MAX) {
        engine->options.threads = THREADS_MAX;
    }
    if (engine->options.checkpoint_bytes == 0) {
        engine->options.checkpoint_bytes = CHECKPOINT_BYTES_DEFAULT;
    }
    return 0;
}

/* What needs no log. */
static int make_parts(struct weir_engine *engine)
{
    int rc = epochs_init(&engine->epochs);
    if (rc == 0) {
        rc = arena_init(&engine->arena, &engine->epochs, engine->options.index_bytes, 0);
        shortcuts_init(&engine->shortcuts, &engine->epochs);
    }
    if (rc < 0) {
        return rc;
    }
    uint64_t share = engine->arena.limit / MARGIN_SHARE;
    share = share > MARGIN_BYTES_MIN ? share : MARGIN_BYTES_MIN;
    engine->margin_bytes = share < MARGIN_BYTES_MAX ? share : MARGIN_BYTES_MAX;
    return 0;
}

static int attach(struct weir_engine *engine, struct weir_log *log)
{
    engine->log = log;
    engine->read_only = wal_address_is_read_only(log);
    engine->change_bytes = wal_address_record_bytes(log) - RECORD_HEAD_BYTES_MAX;
    int rc = place_init(engine);
    return rc == 0 ? table_add(engine, WEIR_TABLE_DEFAULT, "", WEIR_LSN_NONE) : rc;
}

/* Also of one whose parts are gone already. */
static void free_parts(struct weir_engine *engine)
{
    if (engine->arena.memory != NULL) {
        shortcuts_destroy(&engine->shortcuts);
    }
    table_free_all(engine);
    if (engine->arena.memory != NULL) {
        arena_destroy(&engine->arena);
        epochs_destroy(&engine->epochs);
    }
    place_destroy(engine);
}

int engine_start_afresh(struct weir_engine *engine)
{
    shortcuts_destroy(&engine->shortcuts);
    table_free_all(engine);
    arena_destroy(&engine->arena);
    place_drop_all(engine);
    shortcuts_init(&engine->shortcuts, &engine->epochs);
    int rc = arena_init(&engine->arena, &engine->epochs, engine->options.index_bytes, 0);
    if (rc == 0) {
        place_learn(engine);
    }
    return rc == 0 ? table_add(engine, WEIR_TABLE_DEFAULT, "", WEIR_LSN_NONE) : rc;
}

static void count_keys(struct weir_engine *engine)
{
    uint64_t all = 0, deleted = 0;
    uint32_t end = atomic_load_explicit(&engine->tables.end, memory_order_relaxed);
    for (uint32_t i = 0; i < end; i++) {
        struct engine_table *table = table_of(engine, i);
        if (table != NULL) {
            all += index_keys(&table->index);
            deleted += atomic_load_explicit(&table->deleted, memory_order_relaxed);
        }
    }
    engine->report.keys = all - deleted;
    engine->report.deleted_keys = deleted;
}

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

/* Loads what there is; *from becomes the LSN to replay from. */
static int load_checkpoint(struct weir_engine *engine, weir_lsn *from, uint64_t start_ns)
{
    struct weir_engine_open_report *report = &engine->report;
    weir_lsn lsn;
    int rc = checkpoint_load(engine, &lsn);
    report->load_s = seconds_since(start_ns);
    memcpy(report->reason, engine->upkeep.reason, sizeof report->reason);
    if (rc == 1) {
        report->from_checkpoint = true;
        report->checkpoint_lsn = lsn;
        atomic_store_explicit(&engine->upkeep.checkpoint_lsn, lsn, memory_order_relaxed);
        *from = lsn + 1;
    }
    return rc < 0 ? rc : 0;
}

/* A short rest behind a checkpoint is not worth a rebuild. */
static bool is_short_rest(const struct weir_engine *engine, weir_lsn from)
{
    return engine->report.from_checkpoint && weir_durable_lsn(engine->log) < from + REST_RECORDS;
}

static int replay(struct weir_engine *engine, weir_lsn from, struct weir_error *why)
{
    engine->report.threads = 1;
    int rc;
    if (is_short_rest(engine, from)) {
        uint64_t start_ns = base_clock_monotonic_ns();
        rc = replay_from(engine, from, why);
        engine->report.replay_s = seconds_since(start_ns);
    } else {
        rc = rebuild_replay(engine, from, why);
    }
    uint64_t used = atomic_load_explicit(&engine->arena.used, memory_order_relaxed);
    bool full = rc == -ENOMEM && engine->arena.limit - used < FULL_BYTES;
    return full ? WEIR_E_INDEX_FULL : rc;
}

/* Below the horizon of gaps nobody reads, as below that of compaction. */
static int see_to_gaps(struct weir_engine *engine, struct weir_error *why)
{
    struct engine_gaps *gaps = &engine->gaps;
    int rc = gaps->unrecorded ? gap_find_horizon(engine, why) : 0;
    weir_lsn horizon = atomic_load_explicit(&gaps->horizon, memory_order_relaxed);
    if (horizon > atomic_load_explicit(&engine->horizon, memory_order_relaxed)) {
        atomic_store_explicit(&engine->horizon, horizon, memory_order_release);
    }
    engine->report.gap_lsns = gaps->found.lsns;
    engine->report.gaps = gaps->found.ranges;
    engine->report.gap_from = gaps->found.first;
    engine->report.gap_to = gaps->found.last;
    engine->report.gap_horizon = horizon;
    return rc;
}

static void tell(struct weir_engine *engine)
{
    base_lock_acquire(&engine->told.lock);
    engine->told.report = engine->report;
    base_lock_release(&engine->told.lock);
}

/* Loads the checkpoint; *ret_from becomes the LSN to replay from. */
static int begin_build(struct weir_engine *engine, weir_lsn *ret_from)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    engine->report = (struct weir_engine_open_report)WEIR_ENGINE_OPEN_REPORT_INIT;
    struct wal_address_extent extent;
    int rc = wal_address_extent(engine->log, &extent);
    if (rc < 0) {
        return rc;
    }
    atomic_store_explicit(&engine->horizon, extent.horizon, memory_order_release);
    engine->layout = extent.layout;
    engine->gaps = (struct engine_gaps){0};
    *ret_from = extent.earliest;
    return load_checkpoint(engine, ret_from, start_ns);
}

/* `from`: WEIR_LSN_NONE when nothing is left to replay. */
static int end_build(struct weir_engine *engine, weir_lsn from, uint64_t start_ns,
                     struct weir_error *why)
{
    int rc = from != WEIR_LSN_NONE ? replay(engine, from, why) : 0;
    rc = rc == 0 ? see_to_gaps(engine, why) : rc;
    /* The writer beside a reader may have dropped more meanwhile: keys that are not in the index.
     */
    (void)version_learn_horizon(engine);
    count_keys(engine);
    /* What was replayed counts as not covered: it has to be replayed again next time. */
    atomic_store_explicit(&engine->upkeep.checkpoint_bytes, 0 - engine->report.replayed_bytes,
                          memory_order_relaxed);
    engine->report.applied = engine_settled(engine);
    engine->report.total_s = seconds_since(start_ns);
    tell(engine);
    return rc;
}

int engine_build(struct weir_engine *engine, struct weir_error *why)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    weir_lsn from = WEIR_LSN_NONE;
    int rc = begin_build(engine, &from);
    return rc == 0 ? end_build(engine, from, start_ns, why) : rc;
}

/* The last: a file of the log was there when it was found, and not when it was opened. */
static bool is_overtaken(const struct weir_engine *engine, int rc)
{
    return engine->read_only && (rc == WEIR_E_HORIZON || rc == WEIR_E_TRUNCATED || rc == -ENOENT);
}

static int build_in_turns(struct weir_engine *engine, struct weir_error *why)
{
    int rc = engine_build(engine, why);
    for (unsigned turn = 1; turn < BUILDS_MAX && is_overtaken(engine, rc); turn++) {
        rc = engine_start_afresh(engine);
        rc = rc == 0 ? engine_build(engine, why) : rc;
    }
    if (rc == 0 && why != NULL) {
        why->code = 0; /* what an earlier turn, or a replay before, has left there */
    }
    return rc;
}

/* An index that was written until it was full may not fit a second time: each thread keeps memory
 * to itself, and what is put into a checkpoint's nodes leaves some unused. What is built from the
 * log alone, by one thread, takes least. */
static int build_sparingly(struct weir_engine *engine, struct weir_error *why)
{
    const struct weir_engine_options asked = engine->options;
    if (asked.threads == 1 && !engine->report.from_checkpoint) {
        return WEIR_E_INDEX_FULL; /* that was it */
    }
    int rc = engine_start_afresh(engine);
    engine->options.threads = 1;
    engine->options.flags |= WEIR_ENGINE_NO_CHECKPOINT;
    rc = rc == 0 ? build_in_turns(engine, why) : rc;
    engine->options = asked;
    if (rc == 0) {
        snprintf(engine->report.reason, sizeof engine->report.reason,
                 "with it the index did not fit into its limit of memory");
        tell(engine);
    }
    return rc;
}

int engine_build_beside(struct weir_engine *engine, struct weir_error *why)
{
    int rc = build_in_turns(engine, why);
    return rc == WEIR_E_INDEX_FULL ? build_sparingly(engine, why) : rc;
}

static int accept_gaps(struct weir_engine *engine, struct weir_error *why)
{
    int rc = gap_record(engine, why);
    engine->report.applied = engine_settled(engine);
    tell(engine);
    return rc;
}

static void free_engine(struct weir_engine *engine)
{
    checkpoint_end(engine);
    free_parts(engine);
    base_free(engine);
}

static int new_engine(const struct weir_engine_options *options, struct weir_engine **ret_engine,
                      struct weir_error *why)
{
    struct weir_engine *engine = base_alloc_aligned(BASE_CACHE_LINE, sizeof *engine);
    if (engine == NULL) {
        return -ENOMEM;
    }
    memset(engine, 0, sizeof *engine);
    int rc = take_options(engine, options, why);
    rc = rc == 0 ? make_parts(engine) : rc;
    if (rc < 0) {
        free_engine(engine);
        return rc;
    }
    *ret_engine = engine;
    return 0;
}

/* An engine that is opened together with its log. */
struct opening {
    struct weir_engine *engine;
    struct base_thread thread; /* that builds while recovery looks behind the end of the log */
    bool running, built;
    /* Of what was built: what came of it, and where to go on; WEIR_LSN_NONE: it is all there. */
    int rc;
    weir_lsn from;
    struct weir_error why;
};

static int build(struct weir_engine *engine, const struct opening *opening, struct weir_error *why)
{
    if (opening == NULL || !opening->built) {
        return engine_build_beside(engine, why);
    }
    if (opening->rc < 0 && why != NULL && opening->why.code == opening->rc) {
        *why = opening->why;
    }
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = opening->rc < 0 ? opening->rc : end_build(engine, opening->from, start_ns, why);
    return rc == WEIR_E_INDEX_FULL ? build_sparingly(engine, why) : rc;
}

/* Gives an engine its log, and the index what lies in that. */
static int start_engine(struct weir_engine *engine, struct weir_log *log,
                        const struct opening *opening, struct weir_error *why)
{
    int rc = engine->log == NULL ? attach(engine, log) : 0;
    rc = rc == 0 && !engine->read_only ? space_init(engine, why) : rc;
    rc = rc == 0 ? build(engine, opening, why) : rc;
    rc = rc == 0 && !engine->read_only ? see_to_hold(engine, why) : rc;
    return rc == 0 && !engine->read_only && engine->gaps.unrecorded ? accept_gaps(engine, why) : rc;
}

/* An error that nobody has explained yet. */
static int explain(struct weir_error *why, int rc)
{
    bool explained = why != NULL && why->code == rc;
    return rc == 0 || explained
               ? rc
               : engine_error(why, rc, "the engine cannot be opened: %s", weir_error_text(rc));
}

int weir_engine_open(struct weir_log *log, const struct weir_engine_options *options,
                     struct weir_engine **ret_engine, struct weir_error *ret_error)
{
    if (log == NULL || ret_engine == NULL) {
        return engine_error(ret_error, -EINVAL, "no log was given");
    }
    struct weir_engine *engine = NULL;
    if (ret_error != NULL) {
        ret_error->code = 0;
    }
    int rc = wal_address_check(log);
    rc = rc == 0 ? new_engine(options, &engine, ret_error) : rc;
    rc = rc == 0 ? start_engine(engine, log, NULL, ret_error) : rc;
    if (rc == 0) {
        *ret_engine = engine;
    } else if (engine != NULL) {
        free_engine(engine);
    }
    return explain(ret_error, rc);
}

/* ---- together with its log ---- */

static void begin_loading(void *context, struct weir_medium *medium)
{
    struct weir_engine *engine = ((struct opening *)context)->engine;
    if (engine->options.threads > 1 && (engine->options.flags & WEIR_ENGINE_NO_CHECKPOINT) == 0) {
        checkpoint_begin(engine, medium);
    }
}

/* Nobody sees the index before the log is open, and what is replayed are the records that recovery
 * keeps when it opens it. A whole log is replayed later: nobody waits so long for a refusal. */
static void build_ahead(void *context)
{
    struct opening *opening = context;
    struct weir_engine *engine = opening->engine;
    opening->rc = begin_build(engine, &opening->from);
    if (opening->rc == 0 && opening->from != WEIR_LSN_NONE &&
        is_short_rest(engine, opening->from)) {
        opening->rc = replay(engine, opening->from, &opening->why);
        opening->from = WEIR_LSN_NONE;
    }
}

/* With one thread there is no checkpoint on its way, and none of this. */
static void begin_building(void *context, struct weir_log *log)
{
    struct opening *opening = context;
    struct weir_engine *engine = opening->engine;
    if (engine->upkeep.ahead != NULL) {
        opening->rc = attach(engine, log);
        opening->running =
            opening->rc == 0 &&
            base_thread_start_beside(&opening->thread, "weir-replay", build_ahead, opening) == 0;
        opening->built = opening->running || opening->rc < 0;
    }
}

static void end_building(void *context)
{
    struct opening *opening = context;
    if (opening->running) {
        base_thread_join(&opening->thread);
        opening->running = false;
    }
}

static void end_loading(void *context)
{
    struct weir_engine *engine = ((struct opening *)context)->engine;
    checkpoint_end(engine);
    free_parts(engine); /* pins, and what waits for readers that there are not */
}

int weir_engine_open_at(const char *directory, const struct weir_log_options *log_options,
                        const struct weir_engine_options *options, struct weir_log **ret_log,
                        struct weir_engine **ret_engine, struct weir_error *ret_error)
{
    struct weir_log *log = NULL;
    struct weir_engine *engine = NULL;
    struct weir_error refused = WEIR_ERROR_INIT; /* the log's open may write its own over it */
    int rc = ret_engine == NULL ? -EINVAL : new_engine(options, &engine, &refused);
    struct opening state = {.engine = engine, .why = WEIR_ERROR_INIT};
    const struct wal_address_opening opening = {begin_loading, begin_building, end_building,
                                                end_loading, &state};
    /* Nowhere to put it: refused, and the medium is given back as if it were the log's alone. */
    int log_rc = wal_address_open(directory, log_options, engine != NULL ? &opening : NULL,
                                  rc == 0 && ret_log != NULL ? &log : NULL, ret_error);
    if (log_rc < 0) {
        if (engine != NULL) {
            free_engine(engine);
        }
        return rc == 0 ? log_rc
               : refused.text[0] != '\0'
                   ? engine_error(ret_error, rc, "%s", refused.text)
                   : engine_error(ret_error, rc, "the engine cannot be opened: %s",
                                  weir_error_text(rc));
    }
    if (ret_error != NULL) {
        ret_error->code = 0;
    }
    rc = start_engine(engine, log, &state, ret_error);
    if (rc < 0) {
        free_engine(engine);
        (void)weir_log_close(log); /* what counts is why the engine cannot be opened */
        return explain(ret_error, rc);
    }
    *ret_log = log;
    *ret_engine = engine;
    return 0;
}

int weir_engine_close(struct weir_engine *engine)
{
    if (engine == NULL) {
        return 0;
    }
    struct epoch_oldest oldest;
    /* Acquire pairs with the release in changes_open.c. */
    bool streams = atomic_load_explicit(&engine->streams, memory_order_acquire) > 0;
    if (streams || engine->snapshots.count > 0 || epoch_oldest(&engine->epochs, &oldest)) {
        return -EBUSY;
    }
    if (engine_check(engine) == 0) {
        (void)checkpoint_make_if_due(engine, NULL); /* a failure costs time at the next open */
    }
    free_parts(engine);
    base_free(engine);
    return 0;
}

int weir_engine_report(struct weir_engine *engine, struct weir_engine_open_report *ret_report)
{
    if (engine == NULL || ret_report == NULL || ret_report->size < REPORT_BYTES_MIN) {
        return -EINVAL;
    }
    size_t size = ret_report->size;
    base_lock_acquire(&engine->told.lock);
    memcpy(ret_report, &engine->told.report, size < sizeof *ret_report ? size : sizeof *ret_report);
    base_lock_release(&engine->told.lock);
    ret_report->size = size;
    return 0;
}

struct weir_log *weir_engine_log(const struct weir_engine *engine)
{
    return engine->log;
}
