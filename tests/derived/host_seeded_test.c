/*
 * DS-02, CD-02, CD-06, CD-09 from a seed: writers, a host that is pulled, runs in the background or
 * is pushed, and somebody who saves, detaches, attaches, parks, rebuilds and compacts beside them;
 * scheduled one at a time on a simulated disk, the power cut at random calls. Whatever survives: a
 * system comes back with a state that the log has had, as of the position that it says; what comes
 * behind brings it to where the engine is; no position is lost, no event comes twice.
 *
 * WEIR_SEED begins elsewhere, WEIR_DEEP_ROUNDS goes on for so many seeds. Equal seeds are equal
 * runs: each eighth one is made twice.
 */
#include "tests/derived/scene.h"

#include "derived/host.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/random.h"
#include "base/sync.h"
#include "base/thread.h"
#include "sim/memory.h"
#include "sim/scheduler.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/retain.h>
#include <weir/state.h>

#define SEEDS 60u
#define ROUNDS 3u
#define CUTS 3u
#define SYSTEMS 3u
#define WRITERS_MAX 3u
#define KEYS 12u
#define SEGMENT ((uint64_t)64 << 10)
#define INDEX_BYTES ((uint64_t)512 << 10)

enum delivery { PULL, BACKGROUND, PUSH, DELIVERIES };

struct image {
    struct weir_medium *medium;
    weir_lsn durable; /* that somebody was told */
};

struct tally {
    uint64_t images, loaded, begun_anew, compacted, saves, rebuilds, parked, switches;
};

struct trial {
    uint64_t seed;
    struct base_prng prng;
    struct sim_memory_options disk;
    struct weir_medium *keeper;
    struct weir_log *log;
    struct weir_engine *engine;
    struct weir_host *host;
    enum delivery delivery;
    bool steady; /* nobody is detached, parked or rebuilt */
    unsigned steps;
    struct ledger ledgers[SYSTEMS];
    bool armed;
    uint64_t calls, cut_at[CUTS];
    double keep;
    struct image images[CUTS];
    unsigned image_count;
    struct tally tally;
    _Atomic uint32_t writing;
    _Atomic bool failed;
    char failure[400];
};

struct member {
    struct trial *trial;
    struct base_thread thread;
    struct base_prng prng;
};

static uint64_t seed_now;

__attribute__((format(printf, 2, 3))) static void fail_trial(struct trial *trial,
                                                             const char *format, ...)
{
    if (!atomic_exchange(&trial->failed, true)) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(trial->failure, sizeof trial->failure, format, arguments);
        va_end(arguments);
    }
}

static void expect_rc(struct trial *trial, const char *what, int rc)
{
    if (rc < 0) {
        fail_trial(trial, "%s: %s", what, weir_error_name(rc));
    }
}

static const char *name_of(unsigned system)
{
    static const char *const names[SYSTEMS] = {"one", "two", "three"};
    return names[system];
}

/* ---- power cuts ---- */

static uint64_t keep_by_chance(void *context, const char *name, uint64_t offset)
{
    struct trial *trial = context;
    (void)name;
    (void)offset;
    if (base_prng_below(&trial->prng, 16) == 0) {
        return base_prng_next(&trial->prng);
    }
    return base_prng_unit(&trial->prng) < trial->keep ? UINT64_MAX : 0;
}

static void cut(struct trial *trial)
{
    static const double keeps[] = {0, 0.1, 0.5, 0.9, 1};
    struct image *image = &trial->images[trial->image_count++];
    image->durable = trial->log != NULL ? weir_durable_lsn(trial->log) : 0;
    trial->keep = keeps[base_prng_below(&trial->prng, 5)];
    trial->tally.images++;
    int rc = base_prng_below(&trial->prng, 4) == 0
                 ? sim_memory_copy(trial->keeper, &image->medium) /* kill -9 */
                 : sim_memory_cut(trial->keeper, keep_by_chance, trial, &image->medium);
    WEIR_ASSERT(rc == 0);
}

static int before_call(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    struct trial *trial = context;
    (void)call;
    (void)name;
    (void)offset;
    (void)size;
    if (trial->armed) {
        uint64_t number = trial->calls++;
        for (unsigned i = 0; i < CUTS; i++) {
            if (number == trial->cut_at[i] && trial->image_count < CUTS) {
                cut(trial);
            }
        }
    }
    return 0;
}

/* ---- opening and closing ---- */

static bool open_all(struct trial *trial, struct weir_medium *keeper, bool watched)
{
    struct sim_memory_options disk = trial->disk;
    struct weir_log_options log_options = WEIR_LOG_OPTIONS_INIT;
    struct weir_engine_options options = WEIR_ENGINE_OPTIONS_INIT;
    struct weir_host_options host_options = WEIR_HOST_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    disk.disk = sim_memory_disk(keeper);
    if (watched) {
        disk.faults = (struct sim_memory_faults){.before = before_call, .context = trial};
    }
    log_options.flags = WEIR_LOG_CREATE;
    log_options.segment_bytes = SEGMENT;
    log_options.medium = WEIR_MEDIUM_CUSTOM;
    options.index_bytes = INDEX_BYTES;
    options.threads = 1;
    host_options.save_records = 1 + base_prng_below(&trial->prng, 60);
    int rc = sim_memory_open(&disk, &log_options.custom_medium);
    WEIR_ASSERT(rc == 0);
    struct weir_log *log;
    rc = weir_log_open("memory", &log_options, &log, &why);
    if (rc == 0) {
        trial->log = log;
        rc = weir_engine_open(log, &options, &trial->engine, &why);
    }
    rc = rc < 0 ? rc : weir_host_open(trial->engine, &host_options, &trial->host);
    if (rc < 0) {
        fail_trial(trial, "open: %s", why.text);
    }
    return rc == 0;
}

static void close_all(struct trial *trial)
{
    struct weir_log *log = trial->log;
    expect_rc(trial, "close the host", weir_host_close(trial->host));
    expect_rc(trial, "close the engine", weir_engine_close(trial->engine));
    trial->log = NULL;
    expect_rc(trial, "close the log", weir_log_close(log));
}

static int attach(struct trial *trial, unsigned system)
{
    struct weir_system options = WEIR_SYSTEM_INIT;
    options.name = name_of(system);
    options.ops = &ledger_ops;
    options.self = &trial->ledgers[system];
    options.start = system == 1 ? WEIR_START_SNAPSHOT : WEIR_START_BEGINNING;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_host_attach(trial->host, &options, &why);
    if (rc < 0 && rc != WEIR_E_ATTACHED) {
        fail_trial(trial, "attach %s: %s", options.name, why.text);
    }
    return rc;
}

/* ---- judging ---- */

/* The system is what the engine shows as of its position. */
static void judge_now(struct trial *trial, unsigned system, const char *when)
{
    char why[200] = "";
    weir_lsn position;
    int rc = weir_host_read_begin(trial->host, name_of(system), &position);
    if (rc == WEIR_E_BEHIND || rc == WEIR_E_NO_SYSTEM || rc == WEIR_E_PARKED) {
        return;
    }
    if (rc < 0) {
        fail_trial(trial, "%s, read %s: %s", when, name_of(system), weir_error_name(rc));
        return;
    }
    if (position > weir_durable_lsn(trial->log)) {
        fail_trial(trial, "%s, %s is ahead of durable", when, name_of(system));
    }
    if (!scene_matches(trial->engine, &trial->ledgers[system], position, why, sizeof why)) {
        fail_trial(trial, "%s, %s at %ju: %s", when, name_of(system), (uintmax_t)position, why);
    }
    weir_host_read_end(trial->host, name_of(system));
}

struct sought {
    const char *name;
    weir_lsn floor;
};

static int seek_hold(void *context, const struct weir_hold *hold)
{
    struct sought *sought = context;
    if (strcmp(hold->name, sought->name) == 0) {
        sought->floor = hold->floor;
    }
    return 0;
}

/* What comes behind the saved position is held: else compaction may drop it before the system is
 * back. */
static void judge_hold(struct trial *trial, unsigned system)
{
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    struct sought sought = {.name = name_of(system)};
    if (weir_state_peek(trial->log, name_of(system), HOST_STATE_FILE, &about, NULL) < 0) {
        return;
    }
    expect_rc(trial, "holds", weir_hold_list(trial->log, seek_hold, &sought));
    if (sought.floor == 0 || sought.floor > about.position + 1) {
        fail_trial(trial, "%s is saved at %ju and held from %ju", name_of(system),
                   (uintmax_t)about.position, (uintmax_t)sought.floor);
    }
}

static void judge_system(struct trial *trial, unsigned system)
{
    struct ledger *ledger = &trial->ledgers[system];
    struct ledger fresh = {0};
    struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    ledger_free(ledger);
    *ledger = (struct ledger){0};
    judge_hold(trial, system);
    if (attach(trial, system) < 0) {
        return;
    }
    trial->tally.loaded += ledger->loads;
    trial->tally.begun_anew += ledger->loads == 0;
    judge_now(trial, system, "loaded");
    int rc = weir_host_retry(trial->host, name_of(system));
    if (rc < 0 && rc != -EINVAL) {
        fail_trial(trial, "retry: %s", weir_error_name(rc));
    }
    expect_rc(trial, "flush", weir_host_flush(trial->host, NULL, 0));
    weir_lsn durable = weir_durable_lsn(trial->log);
    rc = weir_host_wait(trial->host, name_of(system), durable, 0, &why);
    if (rc < 0) {
        fail_trial(trial, "%s does not get to the end: %s", name_of(system), why.text);
    }
    judge_now(trial, system, "with the rest");
    rc = weir_host_verify(trial->host, name_of(system), &fresh, NULL, NULL, &report, &why);
    if (rc < 0 || !report.equal || fresh.wrong > 0) {
        fail_trial(trial, "verify %s: %s", name_of(system), rc < 0 ? why.text : "not equal");
    }
    ledger_free(&fresh);
}

static void judge_image(struct trial *trial, struct image *image)
{
    trial->armed = false;
    if (!open_all(trial, image->medium, false)) {
        return;
    }
    if (weir_durable_lsn(trial->log) < image->durable) {
        fail_trial(trial, "the log has lost what was durable");
    }
    for (unsigned i = 0; i < SYSTEMS && !atomic_load(&trial->failed); i++) {
        judge_system(trial, i);
    }
    close_all(trial);
}

/* ---- at work ---- */

/* So many rows that a state is more than a batch. */
static void fill(struct trial *trial)
{
    struct weir_write writes[400];
    char keys[400][8];
    for (unsigned i = 0; i < 400; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "f%u", i);
        writes[i] = (struct weir_write){
            .kind = WEIR_PUT, .key = text(keys[i]), .value = {keys[i], strlen(keys[i])}};
    }
    for (unsigned i = 0; i < 400; i += 100) {
        expect_rc(trial, "fill",
                  weir_engine_write_batch(trial->engine, writes + i, 100, WEIR_NONE, NULL));
    }
}

static uint64_t below(struct member *member, uint64_t bound)
{
    return base_prng_below(&member->prng, bound);
}

/* With push: whoever is attached, and not parked, has it. */
static void look_after_write(struct member *member, weir_lsn lsn)
{
    struct trial *trial = member->trial;
    unsigned system = (unsigned)below(member, SYSTEMS);
    weir_lsn position;
    if (weir_host_read_begin(trial->host, name_of(system), &position) == 0) {
        weir_host_read_end(trial->host, name_of(system));
        if (position < lsn && trial->steady && trial->delivery == PUSH) {
            fail_trial(trial, "push: %s is at %ju behind a write of %ju", name_of(system),
                       (uintmax_t)position, (uintmax_t)lsn);
        }
    }
}

static void write_step(struct member *member)
{
    static const enum weir_durability all[] = {WEIR_NONE, WEIR_GROUP, WEIR_EACH, WEIR_EACH};
    struct trial *trial = member->trial;
    enum weir_durability durability = all[below(member, 4)];
    char keys[3][16];
    uint8_t value[900];
    struct weir_write writes[3];
    size_t count = below(member, 4) == 0 ? 3 : 1;
    memset(value, (int)('a' + below(member, 26)), sizeof value);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "key%u", (unsigned)below(member, KEYS));
        writes[i] = (struct weir_write){.kind = WEIR_PUT,
                                        .key = text(keys[i]),
                                        .value = {value, (size_t)below(member, sizeof value)}};
    }
    if (count == 1 && below(member, 3) == 0) {
        writes[0].kind = WEIR_DELETE;
        writes[0].value.size = 0;
    }
    weir_lsn lsn = 0;
    int rc = weir_engine_write_batch(trial->engine, writes, count, durability, &lsn);
    if (rc != -ENOENT) {
        expect_rc(trial, "write", rc);
    }
    if (rc == 0 && durability == WEIR_EACH) {
        look_after_write(member, lsn + count - 1);
    }
}

static void write_on(void *context)
{
    struct member *member = context;
    for (unsigned i = 0; i < member->trial->steps && !atomic_load(&member->trial->failed); i++) {
        write_step(member);
    }
    atomic_fetch_sub(&member->trial->writing, 1);
}

/* A key is refused for a while. */
static void park_step(struct member *member, unsigned system)
{
    struct trial *trial = member->trial;
    trial->ledgers[system].refuse = "key3";
    for (unsigned i = 0; i < 100; i++) {
        base_yield();
    }
    if (trial->delivery == PULL) {
        expect_rc(trial, "flush", weir_host_flush(trial->host, NULL, 0));
    }
    trial->ledgers[system].refuse = NULL;
    int rc = below(member, 4) == 0 ? weir_host_save(trial->host) : 0; /* while it is parked */
    expect_rc(trial, "save", rc);
    rc = weir_host_retry(trial->host, name_of(system));
    trial->tally.parked += rc == 0;
    if (rc < 0 && rc != -EINVAL && rc != WEIR_E_NO_SYSTEM) {
        fail_trial(trial, "retry: %s", weir_error_name(rc));
    }
}

static void operate_step(struct member *member)
{
    struct trial *trial = member->trial;
    unsigned system = (unsigned)below(member, SYSTEMS);
    struct weir_compact_options compact = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    int rc = 0;
    switch (below(member, trial->steady ? 5 : 10)) {
    case 0:
        rc = weir_host_save(trial->host);
        trial->tally.saves++;
        break;
    case 1:
        compact.thorough = true;
        rc = weir_engine_compact(trial->engine, &compact, &report, NULL);
        trial->tally.compacted += report.steps;
        rc = rc == WEIR_E_HELD ? 0 : rc;
        break;
    case 2:
        rc = weir_engine_checkpoint(trial->engine, NULL, NULL);
        break;
    case 3:
    case 4:
        judge_now(trial, system, "at work");
        break;
    case 5:
    case 6:
        rc = weir_host_detach(trial->host, name_of(system));
        rc = rc == WEIR_E_NO_SYSTEM ? 0 : rc;
        break;
    case 7:
        rc = attach(trial, system);
        rc = rc == WEIR_E_ATTACHED ? 0 : rc;
        break;
    case 8:
        rc = weir_host_rebuild(trial->host, name_of(system), NULL, NULL, NULL, NULL);
        trial->tally.rebuilds += rc == 0;
        rc = rc == WEIR_E_NO_SYSTEM ? 0 : rc;
        break;
    default:
        park_step(member, system);
        break;
    }
    expect_rc(trial, "operate", rc);
}

static void operate(void *context)
{
    struct member *member = context;
    struct trial *trial = member->trial;
    while (atomic_load(&trial->writing) > 0 && !atomic_load(&trial->failed)) {
        operate_step(member);
        if (trial->delivery == PULL) {
            expect_rc(trial, "flush", weir_host_flush(trial->host, NULL, 0));
        }
        for (unsigned i = 0; i < 20; i++) {
            base_yield();
        }
    }
}

static void work(struct trial *trial)
{
    struct member members[WRITERS_MAX + 1];
    unsigned writers = 1 + (unsigned)base_prng_below(&trial->prng, WRITERS_MAX);
    atomic_store(&trial->writing, writers);
    for (unsigned i = 0; i <= writers; i++) {
        members[i].trial = trial;
        base_prng_seed(&members[i].prng, base_prng_next(&trial->prng));
        int rc = base_thread_start(&members[i].thread, "member", i < writers ? write_on : operate,
                                   &members[i]);
        WEIR_ASSERT(rc == 0);
    }
    for (unsigned i = 0; i <= writers; i++) {
        base_thread_join(&members[i].thread);
    }
}

static void work_round(struct trial *trial, unsigned round)
{
    trial->calls = 0;
    trial->image_count = 0;
    for (unsigned i = 0; i < CUTS; i++) {
        trial->cut_at[i] = base_prng_below(&trial->prng, 30 + base_prng_below(&trial->prng, 1500));
    }
    trial->armed = round > 0;
    trial->delivery = (enum delivery)base_prng_below(&trial->prng, DELIVERIES);
    trial->steady = base_prng_below(&trial->prng, 2) == 0;
    trial->steps = 10 + (unsigned)base_prng_below(&trial->prng, 60);
    if (!open_all(trial, trial->keeper, true)) {
        return;
    }
    trial->armed = true;
    if (round == 0 && base_prng_below(&trial->prng, 3) == 0) {
        fill(trial);
    }
    for (unsigned i = 0; i < SYSTEMS; i++) {
        ledger_free(&trial->ledgers[i]);
        trial->ledgers[i] = (struct ledger){0};
        (void)attach(trial, i);
        (void)weir_host_retry(trial->host, name_of(i)); /* parked when the power went */
    }
    if (trial->delivery != PULL) {
        expect_rc(trial, "start",
                  trial->delivery == PUSH ? weir_host_push(trial->host, true)
                                          : weir_host_start(trial->host));
    }
    if (!atomic_load(&trial->failed)) {
        work(trial);
    }
    if (!atomic_load(&trial->failed)) {
        expect_rc(trial, "commit", weir_commit(trial->log));
        expect_rc(trial, "flush", weir_host_flush(trial->host, NULL, 0));
        for (unsigned i = 0; i < SYSTEMS; i++) {
            judge_now(trial, i, "in the end");
        }
    }
    close_all(trial);
    if (trial->image_count == 0 && !atomic_load(&trial->failed)) {
        cut(trial);
    }
    trial->armed = false;
}

/* The next round goes on with the last image. */
static void judge_all(struct trial *trial)
{
    struct image images[CUTS];
    unsigned count = trial->image_count;
    memcpy(images, trial->images, sizeof images);
    for (unsigned i = 0; i < count; i++) {
        if (!atomic_load(&trial->failed)) {
            judge_image(trial, &images[i]);
        }
        if (i + 1 < count) {
            images[i].medium->ops->destroy(images[i].medium);
        }
    }
    trial->keeper->ops->destroy(trial->keeper);
    trial->keeper = images[count - 1].medium;
}

static void body(void *context)
{
    struct trial *trial = context;
    int rc = sim_memory_open(&trial->disk, &trial->keeper);
    WEIR_ASSERT(rc == 0);
    for (unsigned round = 0; round < ROUNDS && !atomic_load(&trial->failed); round++) {
        work_round(trial, round);
        if (!atomic_load(&trial->failed)) {
            judge_all(trial);
        }
    }
    for (unsigned i = 0; i < SYSTEMS; i++) {
        ledger_free(&trial->ledgers[i]);
    }
    if (!atomic_load(&trial->failed)) {
        trial->keeper->ops->destroy(trial->keeper);
    }
}

/* False: trial->failure says why. */
static bool run_seed(uint64_t seed, struct trial *trial, uint64_t *ret_trace)
{
    uint64_t blocks_before = base_alloc_in_use(), pages_before = base_pages_in_use();
    memset(trial, 0, sizeof *trial);
    trial->seed = seed;
    base_prng_seed(&trial->prng, seed);
    trial->disk.asynchronous = base_prng_below(&trial->prng, 2) == 0;
    trial->disk.window_is_file = base_prng_below(&trial->prng, 2) == 0;
    struct sim_schedule schedule = {.seed = seed};
    sim_scheduler_run(&schedule, body, trial);
    trial->tally.switches = schedule.switches;
    *ret_trace = schedule.trace;
    if (!atomic_load(&trial->failed) &&
        (base_alloc_in_use() != blocks_before || base_pages_in_use() != pages_before)) {
        fail_trial(trial, "a leak of blocks or pages");
    }
    return !atomic_load(&trial->failed);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtoull(value, NULL, 0) : otherwise;
}

static void add_tally(struct tally *sum, const struct tally *one)
{
    sum->images += one->images;
    sum->loaded += one->loaded;
    sum->begun_anew += one->begun_anew;
    sum->compacted += one->compacted;
    sum->saves += one->saves;
    sum->rebuilds += one->rebuilds;
    sum->parked += one->parked;
    sum->switches += one->switches;
}

static void ds_02_cd_02_after_any_power_cut_a_system_is_what_the_log_has_had(void **state)
{
    (void)state;
    static struct trial trial;
    struct tally sum = {0};
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", SEEDS);
    unsigned violations = 0;
    for (seed_now = first; seed_now < first + rounds; seed_now++) {
        uint64_t trace, again;
        if (!run_seed(seed_now, &trial, &trace)) {
            print_error("WEIR_SEED=%ju: %s\n", (uintmax_t)seed_now, trial.failure);
            violations++;
        } else if (seed_now % 8 == 0) {
            (void)run_seed(seed_now, &trial, &again);
            assert_int_equal(trace, again);
        }
        add_tally(&sum, &trial.tally);
    }
    printf("layer=derived-seeded seeds=%ju images=%ju loaded=%ju begun_anew=%ju compacted=%ju "
           "saves=%ju rebuilds=%ju parked=%ju switches=%ju violations=%u seed=%ju\n",
           (uintmax_t)rounds, (uintmax_t)sum.images, (uintmax_t)sum.loaded,
           (uintmax_t)sum.begun_anew, (uintmax_t)sum.compacted, (uintmax_t)sum.saves,
           (uintmax_t)sum.rebuilds, (uintmax_t)sum.parked, (uintmax_t)sum.switches, violations,
           (uintmax_t)first);
    assert_int_equal(violations, 0);
}

/* An assertion of the code under test says which seed it was. */
static void die(int signal_number)
{
    (void)fprintf(stderr, "WEIR_SEED=%ju: signal %d\n", (uintmax_t)seed_now, signal_number);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_02_cd_02_after_any_power_cut_a_system_is_what_the_log_has_had),
    };
    (void)signal(SIGABRT, die);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
