/*
 * Running one small workload.
 *
 * Happy path: a log on a new simulated disk; the operations, one by one; before the last one the
 * hook is armed, so that each of its calls is a power cut in all ways; one more cut when it is
 * done.
 *
 * Invariant: nothing here depends on anything but the workload and the explorer's seed.
 */
#include "tests/crash/workload.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "tests/crash/pool.h"
#include "wal/address.h"
#include "wal/address_compact.h"

#include <errno.h>
#include <string.h>

#define BATCH_COUNT 3u
#define FILLER_BYTES (15u * 1024)
#define COMPACT_SEGMENTS 5u /* two to be compacted, two that recovery reads, the open one */

static const char *const names[OP_COUNT] = {
    [OP_APPEND_0] = "append-0",
    [OP_APPEND_1] = "append-1",
    [OP_APPEND_55] = "append-55",
    [OP_APPEND_4032] = "append-4032",
    [OP_APPEND_4096] = "append-4096",
    [OP_APPEND_9000] = "append-9000",
    [OP_FILL] = "fill",
    [OP_BATCH] = "batch",
    [OP_COMMIT] = "commit",
    [OP_ROLL] = "roll",
    [OP_TRUNCATE] = "truncate",
    [OP_RECYCLE] = "recycle",
    [OP_COMPACT] = "compact",
    [OP_HOLD] = "hold",
    [OP_DROP] = "drop",
    [OP_CLOSE] = "close",
    [OP_REOPEN] = "reopen",
    [OP_POWER] = "power",
};

const char *workload_op_name(enum workload_op op)
{
    return names[op];
}

void workload_print(const struct workload *workload, char *text, size_t size)
{
    size_t length = 0;
    *text = '\0';
    for (unsigned i = 0; i < workload->count && length < size; i++) {
        int more = snprintf(text + length, size - length, "%s%s", i > 0 ? " " : "",
                            names[workload->ops[i]]);
        length += (size_t)more;
    }
}

struct run {
    struct explorer *explorer;
    const struct workload *workload;
    struct weir_medium *keeper;
    struct weir_medium *medium; /* the writer's */
    struct weir_log *log;
    struct model model;
    bool armed;
    bool may_be_absent;
    uint64_t looked_at; /* sim_memory_changes() then */
};

static int before_call(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)offset;
    (void)size;
    struct run *run = context;
    if (!run->armed || run->explorer->failed) {
        return 0;
    }
    weir_lsn promised = run->model.acknowledged;
    if (run->log != NULL) { /* what the log says by now is a promise */
        model_promise(&run->model, weir_durable_lsn(run->log));
    }
    if (explorer_is_news(run->keeper, &run->looked_at) || promised != run->model.acknowledged) {
        struct explorer_moment moment = {&run->model, run->may_be_absent, true, call, name};
        explorer_cut(run->explorer, run->keeper, &moment, run->explorer->depth);
    }
    return 0;
}

static bool expect(struct run *run, const char *what, int rc)
{
    if (rc < 0) {
        explorer_fail(run->explorer, "%s: %s", what, weir_error_name(rc));
    }
    return rc >= 0;
}

/* ---- the writer's life ---- */

static bool start(struct run *run)
{
    struct sim_memory_faults faults = {.before = before_call, .context = run};
    struct weir_error why = WEIR_ERROR_INIT;
    struct model_sight sight;
    struct weir_log *log = NULL;
    int rc = explorer_open(run->explorer, run->keeper, WEIR_LOG_CREATE, &faults, &log, &run->medium,
                           &why);
    if (rc < 0) {
        explorer_fail(run->explorer, "open: %s", why.text);
        return false;
    }
    run->log = log;
    run->may_be_absent = false;
    if (!model_judge(&run->model, log, &sight)) {
        explorer_fail(run->explorer, "open: %s", sight.failure);
        return false;
    }
    model_settle(&run->model, &sight);
    return true;
}

static void die(struct run *run)
{
    struct weir_log *log = run->log;
    if (log != NULL) {
        sim_memory_kill(run->medium);
        run->log = NULL;
        (void)weir_log_close(log);
    }
}

static bool lose_power(struct run *run)
{
    struct weir_medium *after;
    int rc = sim_memory_crash(run->keeper, NULL, NULL, &after);
    WEIR_ASSERT(rc == 0);
    die(run);
    run->keeper->ops->destroy(run->keeper);
    run->keeper = after;
    return start(run);
}

/* ---- operations ---- */

/* Fillers are records that compaction may drop. */
static int append_of_engine(struct run *run, struct weir_entry *entry,
                            enum weir_durability durability, weir_lsn *ret_lsn)
{
    struct wal_address_batch batch = {.entries = entry, .count = 1};
    entry->type = WEIR_TYPE_RESERVED;
    return wal_address_append(run->log, &batch, durability, ret_lsn);
}

static bool append_with(struct run *run, enum weir_durability durability, uint32_t count,
                        uint32_t size, bool sparse)
{
    static uint8_t payload[BATCH_COUNT * FILLER_BYTES];
    struct weir_part parts[BATCH_COUNT];
    struct weir_entry entries[BATCH_COUNT];
    weir_lsn lsn = 0;
    model_begin(&run->model, count, size, sparse, payload, parts, entries);
    int rc = sparse       ? append_of_engine(run, entries, durability, &lsn)
             : count == 1 ? weir_append(run->log, entries, durability, &lsn)
                          : weir_append_batch(run->log, entries, count, durability, &lsn);
    model_end(&run->model, rc, lsn, durability == WEIR_EACH);
    return expect(run, "append", rc);
}

static bool append(struct run *run, uint32_t count, uint32_t size, bool sparse)
{
    return append_with(run, run->workload->durability, count, size, sparse);
}

static bool commit(struct run *run)
{
    bool right = expect(run, "commit", weir_commit(run->log));
    model_promise(&run->model, right ? run->model.last : 0);
    return right;
}

static uint64_t segments_begun(struct run *run)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_log_stat(run->log, &stat);
    return rc == 0 ? stat.segments : 0;
}

static bool roll(struct run *run)
{
    uint64_t before = segments_begun(run);
    bool right = true;
    while (right && segments_begun(run) == before) {
        right = append(run, 1, FILLER_BYTES, true);
    }
    return right;
}

static bool truncate_before(struct run *run, weir_lsn lsn)
{
    struct weir_error why = WEIR_ERROR_INIT;
    lsn = lsn == 0 ? 1 : lsn;
    if (lsn > run->model.cut_tried) {
        run->model.cut_tried = lsn;
    }
    weir_lsn before = run->model.cut_done;
    int rc = weir_truncate_before(run->log, lsn, &why);
    if (rc == WEIR_E_HELD && run->model.hold_done != 0 && run->model.hold_done < lsn) {
        run->model.cut_tried = before; /* as it must be */
        return true;
    }
    if (rc == 0) {
        run->model.cut_done = run->model.cut_tried;
    }
    return expect(run, "truncate", rc);
}

static bool recycle(struct run *run)
{
    return roll(run) && commit(run) && truncate_before(run, weir_durable_lsn(run->log)) &&
           roll(run);
}

static int drop_record(void *context, const struct weir_record *record, uint64_t address)
{
    struct run *run = context;
    (void)address;
    model_drop(&run->model, record->lsn);
    return WAL_ADDRESS_DROP;
}

/* What leads there was explored as `roll`. */
static bool make_run(struct run *run)
{
    bool armed = run->armed;
    run->armed = false;
    bool right = true;
    do {
        right = roll(run) && commit(run);
    } while (right && segments_begun(run) < COMPACT_SEGMENTS);
    run->armed = armed;
    return right;
}

static bool compact(struct run *run)
{
    if (!make_run(run)) {
        return false;
    }
    weir_lsn horizon = weir_durable_lsn(run->log);
    if (run->model.hold_done != 0 && run->model.hold_done <= horizon) {
        horizon = run->model.hold_done - 1;
    }
    struct wal_address_compaction compaction = {
        .horizon = horizon, .keep = drop_record, .context = run, .max_steps = 1};
    struct wal_address_compaction_report report;
    struct weir_error why = WEIR_ERROR_INIT;
    model_compact(&run->model, horizon);
    int rc = wal_address_compact(run->log, &compaction, &report, &why);
    if (rc == 0 && report.steps == 0) { /* the hold is in the way */
        run->model.horizon_tried = run->model.horizon_done;
        model_forget_drops(&run->model);
    } else {
        model_compacted(&run->model, rc);
    }
    return expect(run, "compact", rc);
}

static bool hold(struct run *run)
{
    weir_lsn durable = weir_durable_lsn(run->log);
    run->model.hold_tried = durable > run->model.cut_done ? durable : run->model.cut_done;
    int rc = weir_hold_set(run->log, MODEL_HOLD, run->model.hold_tried);
    if (rc == 0) {
        run->model.hold_done = run->model.hold_tried;
    }
    return expect(run, "hold", rc);
}

static bool drop(struct run *run)
{
    bool any = run->model.hold_done != 0;
    run->model.hold_tried = 0;
    int rc = weir_hold_drop(run->log, MODEL_HOLD);
    if (rc == 0 || (rc == WEIR_E_NO_HOLD && !any)) {
        run->model.hold_done = 0;
        rc = 0;
    }
    return expect(run, "drop", rc);
}

static bool close_and_open(struct run *run)
{
    struct weir_log *log = run->log;
    run->log = NULL;
    int rc = weir_log_close(log);
    if (rc == 0) {
        model_promise(&run->model, run->model.last);
    }
    return expect(run, "close", rc) && start(run);
}

static bool do_op(struct run *run, enum workload_op op)
{
    switch (op) {
    case OP_APPEND_0:
        return append(run, 1, 0, false);
    case OP_APPEND_1:
        return append(run, 1, 1, false);
    case OP_APPEND_55:
        return append(run, 1, 55, false);
    case OP_APPEND_4032:
        return append(run, 1, 4032, false);
    case OP_APPEND_4096:
        return append(run, 1, 4096, false);
    case OP_APPEND_9000:
        return append(run, 1, 9000, false);
    case OP_FILL:
        return append_with(run, WEIR_NONE, 1, FILLER_BYTES, true);
    case OP_BATCH:
        return append(run, BATCH_COUNT, 1700, false);
    case OP_COMMIT:
        return commit(run);
    case OP_ROLL:
        return roll(run);
    case OP_TRUNCATE:
        return truncate_before(run, weir_durable_lsn(run->log));
    case OP_RECYCLE:
        return recycle(run);
    case OP_COMPACT:
        return compact(run);
    case OP_HOLD:
        return hold(run);
    case OP_DROP:
        return drop(run);
    case OP_CLOSE:
        return close_and_open(run);
    case OP_REOPEN:
        die(run);
        return start(run);
    case OP_POWER:
        return lose_power(run);
    case OP_COUNT:
        break;
    }
    WEIR_UNREACHABLE();
}

/* ---- the whole ---- */

static void explore_end(struct run *run)
{
    struct explorer_moment moment = {&run->model, false, true, "nothing", "the end"};
    model_promise(&run->model, weir_durable_lsn(run->log));
    explorer_cut(run->explorer, run->keeper, &moment, run->explorer->depth);
}

#define GARBAGE UINT64_C(0xa5a5a5a5a5a5a5a5) /* what windows hold at first */

static int find_garbage(void *context, const char *name)
{
    struct run *run = context;
    uint64_t size = 0;
    const uint8_t *bytes = sim_memory_bytes(run->keeper, name, false, &size);
    for (uint64_t at = 0; bytes != NULL && at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        if (word == GARBAGE) {
            explorer_fail(run->explorer, "undefined bytes at %ju of %s", (uintmax_t)at, name);
            return 1;
        }
    }
    return 0;
}

static void run_ops(struct run *run)
{
    const struct workload *workload = run->workload;
    run->armed = workload->count == 0;
    bool right = start(run);
    for (unsigned i = 0; right && i < workload->count; i++) {
        run->armed = i + 1 == workload->count;
        right = do_op(run, workload->ops[i]);
    }
    run->armed = false;
    if (right && !run->explorer->failed) {
        explore_end(run);
    }
    die(run);
    (void)run->keeper->ops->list(run->keeper, "", find_garbage, run);
}

bool workload_explore(struct explorer *explorer, const struct workload *workload)
{
    uint64_t blocks_before = base_alloc_in_use(), pages_before = base_pages_in_use();
    static struct run run;
    run = (struct run){.explorer = explorer, .workload = workload, .may_be_absent = true};
    pool_seed(explorer->seed);
    model_reset(&run.model);
    int rc = sim_memory_open(&explorer->shape, &run.keeper);
    WEIR_ASSERT(rc == 0);
    run_ops(&run);
    run.keeper->ops->destroy(run.keeper);
    if (base_alloc_in_use() != blocks_before || base_pages_in_use() != pages_before) {
        explorer_fail(explorer, "a leak: %jd blocks, %jd bytes of pages",
                      (intmax_t)(base_alloc_in_use() - blocks_before),
                      (intmax_t)(base_pages_in_use() - pages_before));
    }
    return !explorer->failed;
}
