/*
 * O10 and O1 for the engine: the n-th call of the medium, the n-th allocation fails, once or from
 * then on, in one life of an engine that does everything once. Nothing leaks, each call has
 * happened or has not, what is shown is right, and the engine that is opened afterwards has all
 * that was acknowledged.
 *
 * On a simulated disk, so that each n is tried; WEIR_FAULT="layer at reach" repeats one.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/system.h"
#include "sim/memory.h"
#include "tests/engine/oracle.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 6u
#define SEGMENT ((uint64_t)64 << 10)
#define BIG 15000u
#define BIG_RECORDS 18u
#define BATCH 3u

enum layer {
    LAYER_CALLS,
    LAYER_MEMORY,
    LAYER_ROOM, /* calls that take room on the disk */
};

/* What is made to fail. */
static struct {
    enum layer layer;
    uint64_t at; /* 0: nothing */
    bool stays;
    bool armed;
    uint64_t count;
    unsigned strikes;
} fault;

struct life {
    struct weir_medium *keeper;
    struct weir_log *log;
    struct weir_engine *engine;
    struct oracle oracle;
    weir_lsn acknowledged;
    bool refuses; /* writes, from now on */
    bool failed;
    char failure[800];
};

static bool complain(struct life *life, const char *what, const char *text)
{
    if (!life->failed) {
        life->failed = true;
        (void)snprintf(life->failure, sizeof life->failure, "%s: %s", what, text);
    }
    return false;
}

/* ---- faults ---- */

static bool strikes(enum layer layer)
{
    if (!fault.armed || fault.layer != layer) {
        return false;
    }
    fault.count++;
    bool hit =
        fault.at != 0 && (fault.count == fault.at || (fault.stays && fault.count > fault.at));
    fault.strikes += hit;
    return hit;
}

static int before_call(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    (void)context;
    (void)name;
    (void)offset;
    (void)size;
    static const char *const cannot[] = {"close",    "window_close", "unmap", "copy",
                                         "complete", "fence",        "clean"};
    for (size_t i = 0; i < sizeof cannot / sizeof *cannot; i++) {
        if (strcmp(call, cannot[i]) == 0) {
            return 0;
        }
    }
    if ((strcmp(call, "create") == 0 || strcmp(call, "write") == 0) && strikes(LAYER_ROOM)) {
        return -ENOSPC;
    }
    return strikes(LAYER_CALLS) ? -EIO : 0;
}

static void *alloc(void *context, size_t alignment, size_t size)
{
    (void)context;
    void *memory = NULL;
    alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return !strikes(LAYER_MEMORY) && posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

static void release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static const struct base_system memory_faults = {.alloc = alloc, .free = release};

/* ---- opening ---- */

static int open_both(struct life *life, uint32_t engine_flags, uint32_t threads)
{
    struct sim_memory_options disk = {.disk = sim_memory_disk(life->keeper),
                                      .faults = {.before = before_call}};
    struct weir_log_options log_options = WEIR_LOG_OPTIONS_INIT;
    struct weir_engine_options options = WEIR_ENGINE_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    bool armed = fault.armed;
    fault.armed = false; /* the medium is the test's */
    int rc = sim_memory_open(&disk, &log_options.custom_medium);
    fault.armed = armed;
    WEIR_ASSERT(rc == 0);
    log_options.flags = WEIR_LOG_CREATE;
    log_options.lock_wait_ns = WEIR_NO_WAIT;
    log_options.segment_bytes = SEGMENT;
    log_options.medium = WEIR_MEDIUM_CUSTOM;
    options.index_bytes = (uint64_t)1 << 20;
    options.flags = engine_flags;
    options.threads = threads;
    life->log = NULL;
    rc = weir_log_open("memory", &log_options, &life->log, &why);
    if (rc == 0) {
        rc = weir_engine_open(life->log, &options, &life->engine, &why);
        if (rc < 0) {
            (void)weir_log_close(life->log);
        }
    }
    if (rc < 0 && why.text[0] == '\0') {
        (void)complain(life, "open", "refused without a word");
    }
    if (rc < 0 && fault.strikes == 0) {
        (void)complain(life, "open", why.text);
    }
    life->oracle.log = life->log;
    life->oracle.engine = life->engine;
    life->refuses = false;
    return rc;
}

static void close_both(struct life *life)
{
    if (weir_engine_close(life->engine) < 0) {
        (void)complain(life, "engine_close", "failed");
    }
    weir_lsn last = life->oracle.last;
    int rc = weir_log_close(life->log);
    if (rc == 0 && !life->refuses) {
        life->acknowledged = last;
    }
    life->log = NULL;
}

/* ---- writes ---- */

static weir_lsn reserved(struct life *life)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    bool armed = fault.armed;
    fault.armed = false;
    int rc = weir_log_stat(life->log, &stat);
    fault.armed = armed;
    return rc == 0 ? stat.reserved : 0;
}

/* What a write said against what the log has: all of it, or nothing. */
static bool settle(struct life *life, const char *what, int rc, weir_lsn before, bool durable)
{
    struct oracle *oracle = &life->oracle;
    weir_lsn now = reserved(life);
    if (rc == 0) {
        life->acknowledged = durable ? oracle->last : life->acknowledged;
        return (now == oracle->last && !life->refuses) ||
               complain(life, what, life->refuses ? "is not refused any more" : "got no LSN");
    }
    if (fault.strikes == 0) {
        return complain(life, what, weir_error_name(rc));
    }
    if (now == before) { /* nothing has happened */
        oracle_cut(oracle, before);
        life->refuses = life->refuses || rc == WEIR_E_POISONED;
        return true;
    }
    /* It is in the log, and may or may not survive: nothing more is taken. */
    life->refuses = true;
    return now == oracle->last || complain(life, what, "has written a part");
}

struct change {
    uint32_t table, key;
    bool deletes;
    uint32_t size;
};

static bool store(struct life *life, const struct change *changes, size_t count,
                  enum weir_durability durability)
{
    static uint8_t values[BATCH][BIG];
    struct weir_write writes[BATCH];
    struct oracle *oracle = &life->oracle;
    weir_lsn before = oracle->last;
    for (size_t i = 0; i < count; i++) {
        memset(values[i], (int)(before % 251), changes[i].size);
        writes[i] = (struct weir_write){.kind = changes[i].deletes ? WEIR_DELETE : WEIR_PUT,
                                        .table = oracle->tables[changes[i].table],
                                        .key = oracle_key(oracle, changes[i].key),
                                        .value = {values[i], changes[i].size}};
        oracle_add_change(oracle, changes[i].table, changes[i].key, changes[i].deletes,
                          writes[i].value, i + 1 == count);
    }
    int rc = count == 1 ? weir_engine_write(life->engine, writes, durability, NULL)
                        : weir_engine_write_batch(life->engine, writes, count, durability, NULL);
    return settle(life, count == 1 ? "write" : "write_batch", rc, before, durability == WEIR_EACH);
}

static bool put(struct life *life, uint32_t table, uint32_t key, uint32_t size,
                enum weir_durability durability)
{
    return store(life, &(struct change){table, key, false, size}, 1, durability);
}

static bool erase(struct life *life, uint32_t key)
{
    bool live = oracle_live(&life->oracle, 0, key, ORACLE_NEWEST) != NULL;
    return !live || store(life, &(struct change){0, key, true, 0}, 1, WEIR_EACH);
}

/* When one cannot be made, the next one has another name. */
static bool make_table(struct life *life, const char *name)
{
    struct oracle *oracle = &life->oracle;
    weir_lsn before = oracle->last;
    weir_table table = 0;
    uint32_t index = oracle->table_count;
    oracle_add_other(oracle, ORACLE_TABLE);
    oracle->tables[index] = index;
    oracle->table_count++;
    int rc = weir_table_open(life->engine, name, true, &table);
    if (!settle(life, "table_open", rc, before, true)) {
        return false;
    }
    return rc < 0 || (table == index && put(life, index, 0, 10, WEIR_EACH)) || life->failed ||
           complain(life, "table_open", "gave another number");
}

static bool expect_table(struct life *life, const char *name, bool must)
{
    weir_table table = 0;
    int rc = weir_table_open(life->engine, name, false, &table);
    return rc == 0 || (!must && rc == WEIR_E_NO_TABLE) || complain(life, name, weir_error_name(rc));
}

/* ---- the rest ---- */

/* A call that may fail while something was made to fail. */
static bool said(struct life *life, const char *what, int rc)
{
    bool poisoned = rc == WEIR_E_POISONED || life->refuses;
    return rc >= 0 || (fault.strikes > 0 && (poisoned || fault.stays || fault.at != 0)) ||
           complain(life, what, weir_error_name(rc));
}

/* What is shown is right; an error is one only when nothing was made to fail meanwhile. */
static bool look(struct life *life)
{
    struct oracle *oracle = &life->oracle;
    unsigned before = fault.strikes;
    if (life->refuses) {
        return true; /* the last write may be shown or not */
    }
    bool right = oracle_check_horizon(oracle) && oracle_check_gets(oracle, ORACLE_NEWEST) &&
                 oracle_check_scans(oracle, ORACLE_NEWEST) &&
                 oracle_check_history(oracle, 0, 1, ORACLE_NEWEST) &&
                 oracle_check_fingerprint(oracle, weir_durable_lsn(life->log));
    if (!right && fault.strikes == before) {
        return complain(life, "look", oracle->failure);
    }
    oracle->failed = false;
    return true;
}

/* A delete of a key that nobody has put changes nothing. */
static bool takes_writes(struct life *life)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    bool armed = fault.armed;
    fault.armed = false;
    int rc = weir_delete(life->engine, 0, WEIR_TEXT("nobody"), WEIR_NONE, NULL);
    bool poisoned = weir_log_stat(life->log, &stat) == 0 && stat.poisoned != 0;
    fault.armed = armed;
    return rc == -ENOENT && !poisoned;
}

static bool keep_up(struct life *life)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    options.thorough = true;
    int rc = weir_engine_compact(life->engine, &options, NULL, &why);
    life->refuses = life->refuses || !takes_writes(life);
    return said(life, "compact", rc);
}

static bool checkpoint(struct life *life)
{
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_engine_checkpoint(life->engine, NULL, &why);
    life->refuses = life->refuses || rc == WEIR_E_POISONED;
    return said(life, "checkpoint", rc);
}

static bool read_beside(struct life *life)
{
    struct weir_snapshot *snapshot = NULL;
    int rc = weir_snapshot_open(life->engine, 0, &snapshot);
    bool right = said(life, "snapshot_open", rc) && look(life);
    weir_snapshot_close(rc == 0 ? snapshot : NULL);
    return right;
}

static bool fill(struct life *life)
{
    bool right = true;
    for (unsigned i = 0; right && i < BIG_RECORDS; i++) {
        right = put(life, 0, 4, BIG, i % 3 == 0 ? WEIR_EACH : WEIR_NONE);
    }
    return right;
}

static bool live(struct life *life)
{
    static const struct change batch[BATCH] = {
        {0, 1, false, 5}, {0, 2, false, 900}, {0, 1, false, 0}};
    bool right = put(life, 0, 0, 20, WEIR_EACH) && put(life, 0, 1, 300, WEIR_NONE) &&
                 make_table(life, "first") && make_table(life, "second") &&
                 store(life, batch, BATCH, WEIR_EACH) && erase(life, 0) && read_beside(life) &&
                 checkpoint(life) && put(life, 0, 3, 40, WEIR_GROUP) && fill(life) &&
                 keep_up(life) && look(life) && put(life, 0, 5, 7, WEIR_EACH) && checkpoint(life) &&
                 said(life, "maintain", weir_engine_maintain(life->engine, NULL));
    return right && read_beside(life);
}

/* ---- a life, and what is left of it ---- */

/* The end of the log is what was kept. */
static bool come_back(struct life *life, uint32_t flags)
{
    if (open_both(life, flags, 2) < 0) {
        return false;
    }
    weir_lsn latest = weir_durable_lsn(life->log);
    if (latest < life->acknowledged || latest > life->oracle.last) {
        return complain(life, "come back", "another end of the log than was promised");
    }
    oracle_cut(&life->oracle, latest);
    if (!oracle_check(&life->oracle) || !oracle_check_fingerprint(&life->oracle, ORACLE_NEWEST)) {
        return complain(life, "come back", life->oracle.failure);
    }
    return true;
}

static void run_life(struct life *life)
{
    fault.armed = true;
    fault.count = 0;
    fault.strikes = 0;
    if (open_both(life, 0, 1) == 0) {
        (void)live(life);
        close_both(life);
        if (!life->failed && open_both(life, 0, 2) == 0) {
            weir_lsn latest = weir_durable_lsn(life->log);
            oracle_cut(&life->oracle, latest < life->oracle.last ? latest : life->oracle.last);
            if (latest < life->acknowledged) {
                (void)complain(life, "reopened", "an acknowledged record is gone");
            }
            (void)(!life->failed && look(life) && put(life, 0, 2, 11, WEIR_EACH));
            close_both(life);
        }
    }
    fault.armed = false;
    fault.strikes = 0;
}

static void judge_life(struct life *life)
{
    if (life->failed || !come_back(life, 0)) {
        return;
    }
    bool right = put(life, 0, 0, 30, WEIR_EACH) &&
                 expect_table(life, "first", life->oracle.table_count == 3) &&
                 expect_table(life, "second", life->oracle.table_count == 3) && look(life);
    close_both(life);
    if (right && come_back(life, WEIR_ENGINE_NO_CHECKPOINT)) {
        close_both(life);
    }
}

/* False: life->failure. *ret_count: how often the layer was asked. */
static bool run(enum layer layer, uint64_t at, bool stays, struct life *life, uint64_t *ret_count)
{
    uint64_t blocks = base_alloc_in_use(), pages = base_pages_in_use();
    struct sim_memory_options disk = {.block_bytes = 0};
    struct base_prng prng;
    *life = (struct life){.acknowledged = 0};
    base_prng_seed(&prng, 1);
    fault.armed = false;
    fault.layer = layer;
    fault.at = at;
    fault.stays = stays;
    oracle_begin(&life->oracle, &prng);
    life->oracle.key_count = KEYS;
    int rc = sim_memory_open(&disk, &life->keeper);
    WEIR_ASSERT(rc == 0);
    run_life(life);
    *ret_count = fault.count;
    judge_life(life);
    if (!life->failed) {
        life->keeper->ops->destroy(life->keeper);
        if (base_alloc_in_use() != blocks || base_pages_in_use() != pages) {
            (void)complain(life, "a leak", "of blocks or pages");
        }
    }
    oracle_end(&life->oracle);
    return !life->failed;
}

static const char *const layers[] = {"calls", "memory", "room"};

static unsigned run_layer(enum layer layer)
{
    static struct life life;
    unsigned violations = 0, injected = 0;
    for (unsigned stays = 0; stays < 2; stays++) {
        uint64_t all = 0, count; /* of a life in which nothing fails; it may get longer, too */
        for (uint64_t at = 0; at <= all && violations < 20; at++) {
            bool right = run(layer, at, stays == 1, &life, &count);
            all = count > all ? count : all;
            if (!right) {
                print_error("WEIR_FAULT=\"%d %ju %u\" (%s): %s\n", (int)layer, (uintmax_t)at, stays,
                            layers[layer], life.failure);
                violations++;
            }
            injected += at > 0 && count >= at;
        }
    }
    print_message("layer=engine-nth-%s injected=%u violations=%u\n", layers[layer], injected,
                  violations);
    return violations;
}

static void o10_whatever_fails_the_engine_is_usable_or_refuses_and_nothing_is_lost(void **state)
{
    enum layer layer = *(const enum layer *)*state;
    const char *asked = getenv("WEIR_FAULT");
    unsigned violations;
    base_system_set(&memory_faults);
    unsigned wanted, stays;
    uint64_t at;
    if (asked != NULL && sscanf(asked, "%u %ju %u", &wanted, &at, &stays) == 3) {
        static struct life life;
        uint64_t count;
        violations = wanted == (unsigned)layer && !run(layer, at, stays == 1, &life, &count);
        print_message("%s\n", violations > 0 ? life.failure : "right");
    } else {
        violations = run_layer(layer);
    }
    base_system_set(NULL);
    assert_int_equal(violations, 0);
}

/* A crash names what was made to fail. */
static void die(int signal_number)
{
    (void)fprintf(stderr, "signal %d: WEIR_FAULT=\"%d %ju %d\"\n", signal_number, (int)fault.layer,
                  (uintmax_t)fault.at, fault.stays);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

int main(int argc, char **argv)
{
    static enum layer all[] = {LAYER_CALLS, LAYER_MEMORY, LAYER_ROOM};
    static const char *const names[] = {"o10_nth_call_of_the_medium", "o10_nth_allocation",
                                        "o10_nth_call_that_takes_room"};
    struct CMUnitTest tests[3];
    for (size_t i = 0; i < 3; i++) {
        tests[i] = (struct CMUnitTest){
            .name = names[i],
            .test_func = o10_whatever_fails_the_engine_is_usable_or_refuses_and_nothing_is_lost,
            .initial_state = &all[i]};
    }
    (void)signal(SIGABRT, die);
    (void)signal(SIGSEGV, die);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return _cmocka_run_group_tests("fault_engine_nth", tests, 3, NULL, NULL);
}
