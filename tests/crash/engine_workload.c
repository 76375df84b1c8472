/*
 * Running one small workload of the engine, in step with an oracle.
 *
 * Happy path: a log and an engine on a new simulated disk; the operations, one by one; before the
 * last one the hook is armed, so that each of its calls is a power cut in all ways; one more cut
 * when it is done.
 *
 * Invariants: the oracle knows of a write before the call is made, since a crash within it may keep
 * it; nothing here depends on anything but the workload and the explorer's seed.
 */
#include "tests/crash/engine_workload.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "tests/crash/pool.h"

#include <errno.h>
#include <string.h>

#define KEYS 3u
#define BIG_BYTES 9000u
#define FILLER_BYTES (15u * 1024)
#define WRITES_MAX 3u
#define ROLLED_SEGMENTS 3u /* compaction leaves the newest alone */

static const char *const names[ENGINE_OP_COUNT] = {
    [ENGINE_PUT] = "put",         [ENGINE_PUT_B] = "put-b",
    [ENGINE_DELETE] = "delete",   [ENGINE_BATCH] = "batch",
    [ENGINE_SWAP] = "swap",       [ENGINE_APPEND] = "append",
    [ENGINE_TABLE] = "table",     [ENGINE_COMMIT] = "commit",
    [ENGINE_ROLL] = "roll",       [ENGINE_CHECKPOINT] = "checkpoint",
    [ENGINE_COMPACT] = "compact", [ENGINE_CLOSE] = "close",
    [ENGINE_REOPEN] = "reopen",   [ENGINE_POWER] = "power",
};

void engine_workload_print(const struct engine_workload *workload, char *text, size_t size)
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
    const struct engine_workload *workload;
    struct weir_medium *keeper, *medium; /* the disk's; the writer's */
    struct weir_log *log;
    struct weir_engine *engine;
    struct oracle oracle;
    weir_lsn acknowledged;
    bool armed, may_be_absent;
    uint64_t looked_at;
};

static void promise(struct run *run, weir_lsn lsn)
{
    run->acknowledged = lsn > run->acknowledged ? lsn : run->acknowledged;
}

static int before_call(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)offset;
    (void)size;
    struct run *run = context;
    if (!run->armed || run->explorer->failed) {
        return 0;
    }
    weir_lsn promised = run->acknowledged;
    if (run->log != NULL) { /* what the log says by now is a promise */
        promise(run, weir_durable_lsn(run->log));
    }
    if (explorer_is_news(run->keeper, &run->looked_at) || promised != run->acknowledged) {
        struct engine_moment moment = {
            &run->oracle, run->acknowledged, run->may_be_absent, true, call, name};
        engine_cut(run->explorer, run->keeper, &moment, run->explorer->depth);
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
    struct weir_engine_options options = engine_judge_options();
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    int rc = explorer_open(run->explorer, run->keeper, WEIR_LOG_CREATE, &faults, &log, &run->medium,
                           &why);
    if (rc == 0) {
        run->log = log;
        run->may_be_absent = false;
        rc = weir_engine_open(log, &options, &run->engine, &why);
    }
    if (rc < 0) {
        explorer_fail(run->explorer, "open: %s", why.text);
        return false;
    }
    weir_lsn latest = weir_durable_lsn(log);
    if (latest < run->acknowledged || latest > run->oracle.last) {
        explorer_fail(run->explorer, "open: the log ends at %ju, acknowledged %ju",
                      (uintmax_t)latest, (uintmax_t)run->acknowledged);
        return false;
    }
    oracle_cut(&run->oracle, latest);
    promise(run, latest);
    run->oracle.log = log;
    run->oracle.engine = run->engine;
    if (!oracle_check(&run->oracle)) {
        explorer_fail(run->explorer, "open: %s", run->oracle.failure);
    }
    return !run->explorer->failed;
}

static void die(struct run *run)
{
    struct weir_log *log = run->log;
    if (log != NULL) {
        sim_memory_kill(run->medium);
        run->log = NULL;
        (void)weir_engine_close(run->engine);
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

static bool close_and_open(struct run *run)
{
    struct weir_log *log = run->log;
    bool right = expect(run, "engine_close", weir_engine_close(run->engine));
    run->log = NULL;
    right = right && expect(run, "log_close", weir_log_close(log));
    promise(run, right ? run->oracle.last : 0);
    return right && start(run);
}

/* ---- writes ---- */

struct change {
    uint32_t table, key;
    bool deletes;
    uint32_t size;
};

static bool store(struct run *run, const struct change *changes, size_t count)
{
    static uint8_t values[WRITES_MAX][FILLER_BYTES];
    struct weir_write writes[WRITES_MAX];
    struct oracle *oracle = &run->oracle;
    for (size_t i = 0; i < count; i++) {
        const struct change *change = &changes[i];
        memset(values[i], (int)(oracle->last % 251), change->size);
        writes[i] = (struct weir_write){.kind = change->deletes ? WEIR_DELETE : WEIR_PUT,
                                        .table = oracle->tables[change->table],
                                        .key = oracle_key(oracle, change->key),
                                        .value = {values[i], change->size}};
        oracle_add_change(oracle, change->table, change->key, change->deletes, writes[i].value,
                          i + 1 == count);
    }
    enum weir_durability durability = run->workload->durability;
    weir_lsn lsn = 0;
    int rc = count == 1 ? weir_engine_write(run->engine, writes, durability, &lsn)
                        : weir_engine_write_batch(run->engine, writes, count, durability, &lsn);
    promise(run, rc == 0 && durability == WEIR_EACH ? oracle->last : 0);
    if (rc == 0 && lsn + count != oracle->last + 1) {
        explorer_fail(run->explorer, "a write got LSN %ju", (uintmax_t)lsn);
    }
    return expect(run, "write", rc);
}

static bool put(struct run *run, uint32_t table, uint32_t key, uint32_t size)
{
    return store(run, &(struct change){table, key, false, size}, 1);
}

static bool is_live(struct run *run, uint32_t key)
{
    return oracle_live(&run->oracle, 0, key, ORACLE_NEWEST) != NULL;
}

static bool swap(struct run *run)
{
    struct change changes[] = {{0, 0, is_live(run, 0), 5}, {0, 1, is_live(run, 1), 4000}};
    return store(run, changes, 2);
}

static bool batch(struct run *run)
{
    static const struct change changes[] = {
        {0, 0, false, 3}, {0, 1, false, 1700}, {0, 0, false, 0}};
    return store(run, changes, 3);
}

static bool make_table(struct run *run)
{
    struct oracle *oracle = &run->oracle;
    weir_table table = 0;
    char name[16];
    if (oracle->table_count == 3) {
        return true;
    }
    (void)snprintf(name, sizeof name, "table-%u", oracle->table_count);
    oracle->tables[oracle->table_count] = oracle->table_count;
    oracle_add_other(oracle, ORACLE_TABLE);
    oracle->table_count++;
    int rc = weir_table_open(run->engine, name, true, &table);
    promise(run, rc == 0 ? oracle->last : 0);
    return expect(run, "table_open", rc) && put(run, table, 0, 2);
}

static bool append(struct run *run)
{
    struct weir_part part = {"mine", 4};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 7};
    oracle_add_other(&run->oracle, ORACLE_APPLICATION);
    int rc = weir_append(run->log, &entry, run->workload->durability, NULL);
    promise(run, rc == 0 && run->workload->durability == WEIR_EACH ? run->oracle.last : 0);
    return expect(run, "append", rc);
}

static bool commit(struct run *run)
{
    bool right = expect(run, "commit", weir_commit(run->log));
    promise(run, right ? run->oracle.last : 0);
    return right;
}

static uint64_t segments_begun(struct run *run)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    return weir_log_stat(run->log, &stat) == 0 ? stat.segments : 0;
}

static bool roll(struct run *run)
{
    uint64_t end = segments_begun(run) + ROLLED_SEGMENTS;
    bool right = true;
    while (right && segments_begun(run) < end) {
        right = put(run, 0, 2, FILLER_BYTES);
    }
    return right;
}

static bool checkpoint(struct run *run)
{
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_engine_checkpoint(run->engine, NULL, &why);
    promise(run, rc == 0 ? run->oracle.last : 0);
    return expect(run, "checkpoint", rc);
}

static bool compact(struct run *run)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    options.thorough = true;
    int rc = weir_engine_compact(run->engine, &options, &report, &why);
    run->explorer->counts.compacted += report.steps;
    return expect(run, why.text, rc < 0 ? rc : 0) && oracle_check_horizon(&run->oracle);
}

static bool do_op(struct run *run, enum engine_op op)
{
    switch (op) {
    case ENGINE_PUT:
        return put(run, 0, 0, 20);
    case ENGINE_PUT_B:
        return put(run, 0, 1, BIG_BYTES);
    case ENGINE_DELETE:
        return !is_live(run, 0) || store(run, &(struct change){0, 0, true, 0}, 1);
    case ENGINE_BATCH:
        return batch(run);
    case ENGINE_SWAP:
        return swap(run);
    case ENGINE_APPEND:
        return append(run);
    case ENGINE_TABLE:
        return make_table(run);
    case ENGINE_COMMIT:
        return commit(run);
    case ENGINE_ROLL:
        return roll(run);
    case ENGINE_CHECKPOINT:
        return checkpoint(run);
    case ENGINE_COMPACT:
        return compact(run);
    case ENGINE_CLOSE:
        return close_and_open(run);
    case ENGINE_REOPEN:
        die(run);
        return start(run);
    case ENGINE_POWER:
        return lose_power(run);
    case ENGINE_OP_COUNT:
        break;
    }
    WEIR_UNREACHABLE();
}

/* ---- the whole ---- */

static void run_ops(struct run *run)
{
    const struct engine_workload *workload = run->workload;
    run->armed = workload->count == 0;
    bool right = start(run);
    for (unsigned i = 0; right && i < workload->count; i++) {
        run->armed = i + 1 == workload->count;
        right = do_op(run, workload->ops[i]);
    }
    run->armed = false;
    if (right && !run->explorer->failed) {
        struct engine_moment moment = {&run->oracle, run->acknowledged, false,
                                       true,         "nothing",         "the end"};
        promise(run, weir_durable_lsn(run->log));
        moment.acknowledged = run->acknowledged;
        engine_cut(run->explorer, run->keeper, &moment, run->explorer->depth);
    }
    die(run);
}

bool engine_workload_explore(struct explorer *explorer, const struct engine_workload *workload)
{
    uint64_t blocks_before = base_alloc_in_use(), pages_before = base_pages_in_use();
    static struct run run;
    struct base_prng prng;
    run = (struct run){.explorer = explorer, .workload = workload, .may_be_absent = true};
    pool_seed(explorer->seed);
    base_prng_seed(&prng, explorer->seed);
    oracle_begin(&run.oracle, &prng);
    run.oracle.key_count = KEYS;
    int rc = sim_memory_open(&explorer->shape, &run.keeper);
    WEIR_ASSERT(rc == 0);
    run_ops(&run);
    run.keeper->ops->destroy(run.keeper);
    oracle_end(&run.oracle);
    if (base_alloc_in_use() != blocks_before || base_pages_in_use() != pages_before) {
        explorer_fail(explorer, "a leak: %jd blocks, %jd bytes of pages",
                      (intmax_t)(base_alloc_in_use() - blocks_before),
                      (intmax_t)(base_pages_in_use() - pages_before));
    }
    return !explorer->failed;
}
