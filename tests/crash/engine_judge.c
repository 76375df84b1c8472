/*
 * Judging crash images of an engine.
 *
 * Happy path: a reader on a copy, a writer on the image; both must show the fold over the records
 * that survived, which is the oracle's state as of the last one.
 *
 * Failure modes: the first failure is kept in the explorer; everything stops there.
 */
#include "tests/crash/engine_judge.h"

#include "base/assert.h"
#include "tests/crash/cut.h"

#include <stdlib.h>
#include <string.h>

struct judge {
    struct explorer *explorer;
    struct weir_medium *image;
    const struct engine_moment *moment;
    unsigned depth;
    weir_lsn seen; /* the end that a reader was shown; 0: there was none */
};

/* A writer that is watched while it comes back. */
struct watch {
    struct explorer *explorer;
    struct weir_medium *keeper;
    struct engine_moment moment;
    unsigned depth;
    uint64_t looked_at;
};

struct weir_engine_options engine_judge_options(void)
{
    struct weir_engine_options options = WEIR_ENGINE_OPTIONS_INIT;
    options.index_bytes = ENGINE_INDEX_BYTES;
    options.checkpoint_bytes = UINT64_MAX;
    options.threads = 1;
    return options;
}

static void complain(const struct judge *judge, const char *who, const char *text)
{
    explorer_fail(judge->explorer, "cut at %s of %s (depth %u, acknowledged %ju): %s: %s",
                  judge->moment->call, judge->moment->name, judge->depth,
                  (uintmax_t)judge->moment->acknowledged, who, text);
}

static int watch_call(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    (void)offset;
    (void)size;
    struct watch *watch = context;
    if (!watch->explorer->failed && explorer_is_news(watch->keeper, &watch->looked_at)) {
        watch->moment.call = call;
        watch->moment.name = name;
        engine_cut(watch->explorer, watch->keeper, &watch->moment, watch->depth);
    }
    return 0;
}

/* ---- a state ---- */

/* Where the log ends: all that was promised, no half batch, nothing that was never written. */
static bool end_is_right(const struct judge *judge, const char *who, weir_lsn latest)
{
    const struct oracle *oracle = judge->moment->oracle;
    char text[120];
    bool whole = latest == 0 || (latest <= oracle->last && oracle->records[latest].ends_batch);
    if (latest >= judge->moment->acknowledged && whole) {
        return true;
    }
    (void)snprintf(text, sizeof text, "the log ends at %ju%s", (uintmax_t)latest,
                   whole ? "" : ", within a batch or behind all that was written");
    complain(judge, who, text);
    return false;
}

static bool state_is_right(struct oracle *view, struct weir_log *log, struct weir_engine *engine)
{
    view->log = log;
    view->engine = engine;
    bool right = oracle_check(view) && oracle_check_fingerprint(view, ORACLE_NEWEST);
    weir_lsn middle = view->horizon + (view->last - view->horizon) / 2;
    return right && oracle_check_gets(view, middle) && oracle_check_scans(view, middle) &&
           (middle == 0 || oracle_check_fingerprint(view, middle));
}

/* Below the last one: what truncation would take away. */
static bool has_engine_records(const struct oracle *view)
{
    for (weir_lsn lsn = 1; lsn < view->last; lsn++) {
        if (view->records[lsn].kind != ORACLE_APPLICATION) {
            return true;
        }
    }
    return false;
}

/* ---- a reader ---- */

static void read_image(struct judge *judge)
{
    struct explorer *explorer = judge->explorer;
    struct weir_engine_options options = engine_judge_options();
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_medium *copy;
    struct weir_log *log;
    struct weir_engine *engine;
    int rc = sim_memory_copy(judge->image, &copy);
    WEIR_ASSERT(rc == 0);
    rc = explorer_open(explorer, copy, WEIR_LOG_READ_ONLY, NULL, &log, NULL, &why);
    uint64_t before = sim_memory_digest(copy);
    if (rc == 0) {
        judge->seen = weir_durable_lsn(log);
        rc = weir_engine_open(log, &options, &engine, &why);
    } else if (judge->moment->may_be_absent) {
        copy->ops->destroy(copy);
        return;
    }
    if (rc < 0) {
        complain(judge, "a reader is refused", why.text);
    } else if (end_is_right(judge, "a reader", judge->seen)) {
        struct oracle view;
        oracle_copy(judge->moment->oracle, judge->seen, &view);
        if (!state_is_right(&view, log, engine)) {
            complain(judge, "a reader", view.failure);
        }
        oracle_end(&view);
        weir_engine_close(engine);
        (void)weir_log_close(log);
    }
    if (sim_memory_digest(copy) != before) {
        complain(judge, "a reader", "has changed the disk");
    }
    copy->ops->destroy(copy);
}

/* ---- a writer ---- */

struct comeback {
    struct judge *judge;
    struct watch watch;
    struct weir_medium *medium;
    struct weir_log *log;
    struct weir_engine *engine;
    struct oracle view;
};

static void write_first(struct comeback *back)
{
    struct oracle *view = &back->view;
    weir_lsn lsn = 0;
    oracle_add_change(view, 0, 0, false, WEIR_TEXT("back"), true);
    back->watch.moment.oracle = view;
    back->watch.looked_at = 0;
    int rc = weir_put(back->engine, WEIR_TABLE_DEFAULT, oracle_key(view, 0), WEIR_TEXT("back"),
                      WEIR_EACH, &lsn);
    if (rc < 0 || lsn != view->last) {
        complain(back->judge, "a put", rc < 0 ? weir_error_name(rc) : "got another LSN");
    }
}

static void try_to_truncate(struct comeback *back)
{
    struct weir_error why = WEIR_ERROR_INIT;
    weir_lsn latest = back->view.last;
    if (has_engine_records(&back->view) &&
        weir_truncate_before(back->log, latest, &why) != WEIR_E_HELD) {
        complain(back->judge, "truncation", "was not refused");
    }
}

static bool check_state(struct comeback *back, const char *who)
{
    bool right = state_is_right(&back->view, back->log, back->engine);
    if (!right) {
        complain(back->judge, who, back->view.failure);
    }
    return right;
}

static void close_all(struct comeback *back)
{
    sim_memory_faults_set(back->medium, &(struct sim_memory_faults){0});
    int rc = weir_engine_close(back->engine);
    rc = rc == 0 ? weir_log_close(back->log) : rc;
    if (rc < 0) {
        complain(back->judge, "close", weir_error_name(rc));
    }
}

static bool open_all(struct comeback *back, uint32_t engine_flags, bool watched)
{
    struct judge *judge = back->judge;
    struct sim_memory_faults faults = {.before = watch_call, .context = &back->watch};
    struct weir_engine_options options = engine_judge_options();
    struct weir_error why = WEIR_ERROR_INIT;
    options.flags = engine_flags;
    int rc = explorer_open(judge->explorer, judge->image, WEIR_LOG_CREATE, watched ? &faults : NULL,
                           &back->log, &back->medium, &why);
    if (rc == 0) {
        rc = weir_engine_open(back->log, &options, &back->engine, &why);
    }
    if (rc < 0) {
        complain(judge, "a writer is refused", why.text);
    }
    return rc == 0;
}

/* Opened once more, from the log alone. */
static void rebuild(struct comeback *back)
{
    if (open_all(back, WEIR_ENGINE_NO_CHECKPOINT, false)) {
        (void)check_state(back, "without a checkpoint");
        close_all(back);
    }
}

static void write_image(struct judge *judge)
{
    struct comeback back = {.judge = judge};
    back.watch = (struct watch){.explorer = judge->explorer,
                                .keeper = judge->image,
                                .moment = *judge->moment,
                                .depth = judge->depth - 1};
    back.watch.moment.is_first = false;
    if (!open_all(&back, 0, judge->depth > 0)) {
        return;
    }
    weir_lsn latest = weir_durable_lsn(back.log);
    if (!end_is_right(judge, "a writer", latest)) {
        return;
    }
    if (judge->seen != 0 && judge->seen != latest) {
        complain(judge, "a writer", "keeps something else than a reader was shown");
    }
    oracle_copy(judge->moment->oracle, latest, &back.view);
    back.watch.moment.may_be_absent = false;
    back.watch.moment.acknowledged = latest;
    back.watch.moment.oracle = &back.view; /* what is behind is gone for good */
    if (check_state(&back, "a writer")) {
        try_to_truncate(&back);
        write_first(&back);
        back.watch.moment.acknowledged = back.view.last;
        (void)check_state(&back, "after a put");
    }
    close_all(&back);
    if (!judge->explorer->failed) {
        rebuild(&back);
    }
    oracle_end(&back.view);
}

static void look_at(struct explorer *explorer, struct weir_medium *image,
                    const struct engine_moment *moment, unsigned depth)
{
    struct judge judge = {explorer, image, moment, depth, 0};
    read_image(&judge);
    if (!explorer->failed) {
        write_image(&judge);
    }
}

/* ---- all images of one moment ---- */

static uint64_t digest_of(struct weir_medium *image, const struct engine_moment *moment,
                          unsigned depth)
{
    uint64_t digest = sim_memory_digest(image);
    uint64_t state[2], keys;
    oracle_fingerprint(moment->oracle, ORACLE_NEWEST, (uint8_t *)state, &keys);
    uint64_t promises[] = {moment->acknowledged, moment->oracle->last, moment->may_be_absent, depth,
                           state[0]};
    for (size_t i = 0; i < sizeof promises / sizeof *promises; i++) {
        digest = (digest ^ promises[i]) * UINT64_C(0x9e3779b97f4a7c15);
        digest ^= digest >> 31;
    }
    return digest;
}

/* That a log flushes what it has found is tested in exhaustive_test.c. */
static void look_at_killed(struct explorer *explorer, struct weir_medium *medium,
                           const struct engine_moment *moment, unsigned depth)
{
    struct engine_moment killed = *moment;
    struct weir_medium *image;
    killed.is_first = false;
    int rc = sim_memory_copy(medium, &image);
    WEIR_ASSERT(rc == 0);
    explorer->counts.states++;
    explorer->counts.distinct++;
    look_at(explorer, image, &killed, depth);
    image->ops->destroy(image);
}

void engine_cut(struct explorer *explorer, struct weir_medium *medium,
                const struct engine_moment *moment, unsigned depth)
{
    struct cut_plan plan = {.subsets_of = explorer->subsets_of,
                            .random = explorer->random,
                            .seed = explorer->seed + explorer->counts.points++};
    struct weir_medium *image;
    cut_begin(&plan, medium);
    while (!explorer->failed && !explorer_is_late(explorer) && cut_next(&plan, &image)) {
        explorer->counts.states++;
        if (explorer_is_new(explorer, digest_of(image, moment, depth))) {
            explorer->counts.distinct++;
            look_at(explorer, image, moment, depth);
        }
        image->ops->destroy(image);
    }
    if (moment->is_first && !explorer->failed && !explorer_is_late(explorer)) {
        look_at_killed(explorer, medium, moment, depth);
    }
}
