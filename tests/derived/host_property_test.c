/*
 * DS-02 from a seed: random work on the engine (puts, deletes, batches, records of one's own,
 * tables, compaction, checkpoints, reopening, power cuts) and on the host (flushes, saves,
 * detaching, retrying, rebuilding, systems that come late). At every step a system is what the
 * engine shows as of its position, and what a rebuild makes; whatever was cut off, a loaded state
 * and the rest make the same.
 *
 * WEIR_SEED begins elsewhere, WEIR_DEEP_ROUNDS goes on for so many seeds.
 */
#include "tests/derived/scene.h"

#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS 40u
#define STEPS 120u
#define SYSTEMS 4u
#define KEYS 24u
#define TABLES 3u

struct trial {
    struct scene scene;
    struct base_prng prng;
    struct ledger ledgers[SYSTEMS];
    bool attached[SYSTEMS];
    weir_table tables[TABLES];
    uint64_t checks, crashes, compacted, loads, rebuilds, parks;
};

static uint64_t below(struct trial *trial, uint64_t bound)
{
    return base_prng_below(&trial->prng, bound);
}

static const char *name_of(unsigned system)
{
    static const char *const names[SYSTEMS] = {"first", "second", "third", "late"};
    return names[system];
}

/* ---- the engine's side ---- */

static struct weir_bytes draw_key(struct trial *trial, char *bytes, size_t size)
{
    (void)snprintf(bytes, size, "key%02u", (unsigned)below(trial, KEYS));
    return text(bytes);
}

static struct weir_bytes draw_value(struct trial *trial, uint8_t *bytes, size_t size)
{
    size_t length = below(trial, 4) == 0 ? 0 : (size_t)below(trial, size);
    memset(bytes, (int)('a' + below(trial, 26)), size);
    return (struct weir_bytes){bytes, length};
}

static void write_one(struct trial *trial)
{
    char key[16];
    uint8_t value[700];
    weir_table table = trial->tables[below(trial, TABLES)];
    enum weir_durability durability = below(trial, 3) == 0 ? WEIR_EACH : WEIR_NONE;
    struct weir_bytes which = draw_key(trial, key, sizeof key);
    if (below(trial, 3) == 0) {
        int rc = weir_delete(trial->scene.store.engine, table, which, durability, NULL);
        assert_true(rc == 0 || rc == -ENOENT);
    } else {
        assert_int_equal(weir_put(trial->scene.store.engine, table, which,
                                  draw_value(trial, value, sizeof value), durability, NULL),
                         0);
    }
}

static void write_batch(struct trial *trial)
{
    struct weir_write writes[40];
    char keys[40][16];
    uint8_t value[60];
    size_t count = 2 + (size_t)below(trial, 38);
    for (size_t i = 0; i < count; i++) {
        writes[i] = (struct weir_write){.kind = WEIR_PUT,
                                        .table = trial->tables[below(trial, TABLES)],
                                        .key = draw_key(trial, keys[i], sizeof keys[i]),
                                        .value = draw_value(trial, value, sizeof value)};
    }
    assert_int_equal(
        weir_engine_write_batch(trial->scene.store.engine, writes, count, WEIR_NONE, NULL), 0);
}

static void append_own(struct trial *trial)
{
    struct weir_part part = {"of the application", 18};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 7};
    assert_int_equal(weir_append(trial->scene.store.log, &entry, WEIR_NONE, NULL), 0);
}

/* ---- the host's side ---- */

static void attach(struct trial *trial, unsigned system)
{
    enum weir_start start = system % 2 == 0 ? WEIR_START_BEGINNING : WEIR_START_SNAPSHOT;
    uint64_t loads = trial->ledgers[system].loads;
    int rc = scene_try_attach(&trial->scene, name_of(system), &trial->ledgers[system], start, 0);
    assert_int_equal(rc, 0);
    trial->attached[system] = true;
    trial->loads += trial->ledgers[system].loads - loads;
}

static void detach(struct trial *trial, unsigned system)
{
    assert_int_equal(weir_host_detach(trial->scene.host, name_of(system)), 0);
    trial->attached[system] = false;
}

static void attach_all(struct trial *trial)
{
    for (unsigned i = 0; i < SYSTEMS; i++) {
        if (!trial->attached[i]) {
            attach(trial, i);
        }
    }
}

/* It refuses a key, for a while; then it is tried again. */
static void park(struct trial *trial, unsigned system)
{
    struct ledger *ledger = &trial->ledgers[system];
    ledger->refuse = "key07";
    assert_true(weir_host_flush(trial->scene.host, NULL, 0) >= 0);
    ledger->refuse = NULL;
    if (scene_status(&trial->scene, name_of(system)).parked != 0) {
        trial->parks++;
        assert_int_equal(weir_host_retry(trial->scene.host, name_of(system)), 0);
    }
}

static void check(struct trial *trial, unsigned system)
{
    char why[200] = "";
    weir_lsn position;
    int rc = weir_host_read_begin(trial->scene.host, name_of(system), &position);
    if (rc == WEIR_E_BEHIND || rc == WEIR_E_PARKED) {
        return; /* half of its first state */
    }
    assert_int_equal(rc, 0);
    bool same = scene_matches(trial->scene.store.engine, &trial->ledgers[system], position, why,
                              sizeof why);
    weir_host_read_end(trial->scene.host, name_of(system));
    if (!same) {
        print_error("%s at %ju: %s\n", name_of(system), (uintmax_t)position, why);
    }
    assert_true(same);
    expect_verified(&trial->scene, name_of(system));
    trial->checks++;
}

static void all_detached(struct trial *trial)
{
    memset(trial->attached, 0, sizeof trial->attached);
}

static void host_step(struct trial *trial)
{
    unsigned system = (unsigned)below(trial, SYSTEMS);
    switch (below(trial, 12)) {
    case 0:
        assert_int_equal(weir_host_save(trial->scene.host), 0);
        break;
    case 1:
        if (trial->attached[system]) {
            detach(trial, system);
        }
        break;
    case 2:
        if (!trial->attached[system]) {
            attach(trial, system);
        }
        break;
    case 3:
        if (trial->attached[system] && below(trial, 3) == 0) {
            assert_int_equal(
                weir_host_rebuild(trial->scene.host, name_of(system), NULL, NULL, NULL, NULL), 0);
            trial->rebuilds++;
        }
        break;
    case 4:
        if (trial->attached[system]) {
            park(trial, system);
        }
        break;
    default:
        assert_true(weir_host_flush(trial->scene.host, NULL, 0) >= 0);
        break;
    }
}

static void upkeep_step(struct trial *trial)
{
    struct weir_error why = WEIR_ERROR_INIT;
    switch (below(trial, 6)) {
    case 0:
        trial->compacted += scene_compact(&trial->scene) > 0;
        break;
    case 1:
        assert_int_equal(weir_engine_checkpoint(trial->scene.store.engine, NULL, &why), 0);
        break;
    case 2:
        scene_reopen(&trial->scene);
        all_detached(trial);
        attach_all(trial);
        break;
    case 3:
        scene_crash(&trial->scene);
        all_detached(trial);
        attach_all(trial);
        trial->crashes++;
        break;
    default:
        settle(&trial->scene.store);
        break;
    }
}

static void step(struct trial *trial)
{
    uint64_t dice = below(trial, 20);
    if (dice < 11) {
        for (uint64_t i = below(trial, 12); i > 0; i--) {
            write_one(trial);
        }
    } else if (dice < 13) {
        write_batch(trial);
    } else if (dice == 13) {
        append_own(trial);
    } else if (dice < 18) {
        host_step(trial);
    } else {
        upkeep_step(trial);
    }
    unsigned system = (unsigned)below(trial, SYSTEMS);
    if (trial->attached[system] && below(trial, 3) == 0) {
        check(trial, system);
    }
}

static void run(uint64_t seed, struct trial *trial)
{
    static const char *const names[TABLES] = {"", "fruit", "users"};
    memset(trial, 0, sizeof *trial);
    base_prng_seed(&trial->prng, seed);
    scene_open(&trial->scene);
    for (unsigned i = 0; i < TABLES; i++) {
        assert_int_equal(
            weir_table_open(trial->scene.store.engine, names[i], true, &trial->tables[i]), 0);
    }
    attach(trial, 0);
    attach(trial, 1);
    for (unsigned i = 0; i < STEPS; i++) {
        step(trial);
    }
    attach_all(trial);
    (void)scene_flush(&trial->scene, NULL);
    for (unsigned i = 0; i < SYSTEMS; i++) {
        check(trial, i);
    }
    scene_close(&trial->scene);
    for (unsigned i = 0; i < SYSTEMS; i++) {
        ledger_free(&trial->ledgers[i]);
    }
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtoull(value, NULL, 0) : otherwise;
}

static uint64_t seed_now;

static void ds_02_live_is_rebuilt_is_loaded_plus_the_rest_at_every_position(void **state)
{
    (void)state;
    static struct trial trial;
    struct trial sum = {.checks = 0};
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", SEEDS);
    for (seed_now = first; seed_now < first + rounds; seed_now++) {
        run(seed_now, &trial);
        sum.checks += trial.checks;
        sum.crashes += trial.crashes;
        sum.compacted += trial.compacted;
        sum.loads += trial.loads;
        sum.rebuilds += trial.rebuilds;
        sum.parks += trial.parks;
    }
    printf("seeds=%ju checks=%ju crashes=%ju compacted=%ju loads=%ju rebuilds=%ju parks=%ju\n",
           (uintmax_t)rounds, (uintmax_t)sum.checks, (uintmax_t)sum.crashes,
           (uintmax_t)sum.compacted, (uintmax_t)sum.loads, (uintmax_t)sum.rebuilds,
           (uintmax_t)sum.parks);
    if (rounds >= SEEDS) {
        assert_true(sum.checks > 500 && sum.crashes > 20 && sum.compacted > 10);
        assert_true(sum.loads > 50 && sum.rebuilds > 5 && sum.parks > 5);
    }
}

/* Which seed it was, also when a check leaves. */
static int tell_seed(void **state)
{
    (void)state;
    print_message("WEIR_SEED=%ju was the last\n", (uintmax_t)seed_now);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(ds_02_live_is_rebuilt_is_loaded_plus_the_rest_at_every_position,
                                  tell_seed),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
