/*
 * Streams of changes that are attached while many threads write: each record is seen exactly once,
 * since each change names the version that the one before it left; where a stream says that it is
 * whole, no batch is cut, since no money is missing.
 *
 * For the thread sanitizer, too. WEIR_SEED begins elsewhere, WEIR_DEEP_ROUNDS goes on for so many.
 */
#include "store.h"

#include "base/thread.h"
#include "tests/engine/crowd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SEGMENT ((uint64_t)64 << 10)
#define ROUNDS 3u
#define WATCHERS 2u
#define EVENTS 64

struct setting {
    unsigned steps, padding;
    bool compacts;
    bool beside; /* the streams are those of a reader's engine */
};

/* One who attaches again and again. */
struct watcher {
    struct crowd *crowd; /* for its keys and its failure */
    struct weir_log *log;
    struct weir_engine *engine;
    struct base_prng prng;
    struct base_thread thread;
    _Atomic bool *done;
    struct weir_changes *changes;
    weir_lsn versions[CROWD_KEYS]; /* what the events add up to; 0: absent */
    uint64_t numbers[CROWD_KEYS];
    uint64_t attached, events, rows, wholes, compared, lost;
};

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static bool failed(struct watcher *watcher, const char *what, int rc)
{
    struct weir_error why = WEIR_ERROR_INIT;
    if (watcher->changes != NULL) {
        (void)weir_changes_error(watcher->changes, &why);
    }
    return crowd_fail(watcher->crowd, "%s: %s %s", what, weir_error_name(rc), why.text);
}

/* ---- what the events add up to ---- */

static uint64_t number_in(struct weir_bytes value)
{
    uint64_t found = 0;
    memcpy(&found, value.data, value.size < sizeof found ? value.size : sizeof found);
    return found;
}

static uint32_t find_key(const struct crowd *crowd, struct weir_bytes key)
{
    uint32_t i = 0;
    while (i < CROWD_KEYS && (crowd->keys[i].size != key.size ||
                              memcmp(crowd->keys[i].bytes, key.data, key.size) != 0)) {
        i++;
    }
    return i;
}

static bool add(struct watcher *watcher, const struct weir_event *event)
{
    uint32_t key = find_key(watcher->crowd, event->key);
    if (key == CROWD_KEYS) {
        return crowd_fail(watcher->crowd, "LSN %ju has a key that nobody wrote",
                          (uintmax_t)event->lsn);
    }
    if (event->before_lsn != watcher->versions[key] ||
        (event->operation == WEIR_INSERT) != (event->before_lsn == 0) ||
        (event->before_lsn != 0 && number_in(event->before) != watcher->numbers[key])) {
        return crowd_fail(watcher->crowd, "LSN %ju came behind LSN %ju of its key, not %ju",
                          (uintmax_t)event->lsn, (uintmax_t)watcher->versions[key],
                          (uintmax_t)event->before_lsn);
    }
    bool removed = event->operation == WEIR_REMOVE;
    watcher->versions[key] = removed ? 0 : event->lsn;
    watcher->numbers[key] = removed ? 0 : number_in(event->after);
    watcher->rows += event->state ? 1 : 0;
    watcher->events += event->state ? 0 : 1;
    return true;
}

static bool has_all_money(struct watcher *watcher)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < CROWD_ACCOUNTS; i++) {
        sum += watcher->numbers[i];
    }
    weir_lsn position = weir_changes_position(watcher->changes);
    return position < CROWD_ACCOUNTS || sum == (uint64_t)CROWD_ACCOUNTS * CROWD_MONEY ||
           crowd_fail(watcher->crowd, "whole at %ju, and there is %ju of the money (state %ju)",
                      (uintmax_t)position, (uintmax_t)sum,
                      (uintmax_t)weir_changes_state_lsn(watcher->changes));
}

/* The same as the engine shows; true also when it cannot show it (any more). */
static bool is_as_of(struct watcher *watcher, weir_lsn lsn)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_read read;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = lsn;
    int rc = weir_read_begin(watcher->engine, &options, &read);
    if (rc == WEIR_E_HORIZON || rc == -EAGAIN) {
        return true;
    }
    if (rc < 0) {
        return failed(watcher, "read_begin", rc);
    }
    bool right = true;
    for (uint32_t i = 0; right && i < CROWD_KEYS; i++) {
        const struct oracle_key *key = &watcher->crowd->keys[i];
        struct weir_row row = {.lsn = 0};
        rc = weir_get(&read, 0, (struct weir_bytes){key->bytes, key->size}, &row);
        bool gone = rc == WEIR_E_HORIZON || rc == WEIR_E_TRUNCATED;
        if (gone) {
            break;
        }
        right =
            (rc >= 0 && row.lsn == watcher->versions[i]) ||
            crowd_fail(watcher->crowd, "as of %ju key %u is %ju (%d), the stream has %ju",
                       (uintmax_t)lsn, i, (uintmax_t)row.lsn, rc, (uintmax_t)watcher->versions[i]);
    }
    weir_read_end(&read);
    watcher->compared++;
    return right;
}

static bool check_whole(struct watcher *watcher)
{
    if (!weir_changes_is_whole(watcher->changes)) {
        return true;
    }
    watcher->wholes++;
    bool compares = base_prng_below(&watcher->prng, 16) == 0;
    return has_all_money(watcher) &&
           (!compares || is_as_of(watcher, weir_changes_position(watcher->changes)));
}

/* ---- attaching ---- */

static bool attach(struct watcher *watcher)
{
    struct weir_changes_options options = WEIR_CHANGES_OPTIONS_INIT;
    options.from =
        base_prng_below(&watcher->prng, 4) == 0 ? WEIR_CHANGES_BEGINNING : WEIR_CHANGES_SNAPSHOT;
    memset(watcher->versions, 0, sizeof watcher->versions);
    memset(watcher->numbers, 0, sizeof watcher->numbers);
    int rc = weir_changes_open(watcher->engine, &options, &watcher->changes);
    watcher->attached++;
    return rc == 0 || failed(watcher, "open", rc);
}

static bool take(struct watcher *watcher, int *ret_count)
{
    struct weir_event events[EVENTS];
    int max = 1 + (int)base_prng_below(&watcher->prng, EVENTS);
    int count = weir_changes_next(watcher->changes, events, max);
    *ret_count = count;
    if (count == WEIR_E_POSITION_LOST) {
        watcher->lost++;
        return true;
    }
    if (count < 0) {
        return failed(watcher, "next", count);
    }
    bool right = true;
    for (int i = 0; right && i < count; i++) {
        right = add(watcher, &events[i]);
    }
    return right && check_whole(watcher);
}

/* Some turns with one stream; with `until_end` until there is nothing more. */
static bool follow(struct watcher *watcher, bool until_end)
{
    bool right = attach(watcher);
    uint64_t turns = until_end ? UINT64_MAX : 1 + base_prng_below(&watcher->prng, 60);
    int count = 1;
    while (right && turns-- > 0 && count >= 0 && !(until_end && count == 0)) {
        right = take(watcher, &count);
        if (right && count == 0 && !until_end) {
            int rc = weir_changes_wait(watcher->changes, 1000000);
            right = rc >= 0 || rc == WEIR_E_POSITION_LOST || failed(watcher, "wait", rc);
        }
    }
    if (right && until_end && count == 0) {
        weir_lsn position = weir_changes_position(watcher->changes);
        right = (position == weir_durable_lsn(watcher->log) && is_as_of(watcher, position)) ||
                crowd_fail(watcher->crowd, "the end is %ju", (uintmax_t)position);
    }
    weir_changes_close(watcher->changes);
    watcher->changes = NULL;
    return right;
}

static void watch(void *context)
{
    struct watcher *watcher = context;
    bool right = true;
    while (right && !atomic_load(watcher->done)) {
        right = follow(watcher, false);
    }
    right = right && follow(watcher, true);
}

/* ---- a run ---- */

static void open_beside(struct store *store, struct weir_log **ret_log,
                        struct weir_engine **ret_engine)
{
    struct sim_memory_options disk = store->disk;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    disk.read_only = true;
    options.flags = WEIR_LOG_READ_ONLY;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&disk, &options.custom_medium), 0);
    assert_int_equal(weir_log_open("memory", &options, ret_log, NULL), 0);
    assert_int_equal(weir_engine_open(*ret_log, &store->engine_options, ret_engine, NULL), 0);
}

static void begin_watcher(struct watcher *watcher, struct store *store, struct crowd *crowd,
                          const struct setting *setting, _Atomic bool *done)
{
    *watcher =
        (struct watcher){.crowd = crowd, .log = store->log, .engine = store->engine, .done = done};
    if (setting->beside) {
        open_beside(store, &watcher->log, &watcher->engine);
    }
    base_prng_seed(&watcher->prng, base_prng_next(&(struct base_prng){{crowd->seed, 1, 2, 3}}) +
                                       (uintptr_t)watcher % 4096);
    assert_int_equal(base_thread_start(&watcher->thread, "watcher", watch, watcher), 0);
}

static void end_watcher(struct watcher *watcher, const struct setting *setting)
{
    base_thread_join(&watcher->thread);
    if (setting->beside) {
        assert_int_equal(weir_engine_close(watcher->engine), 0);
        assert_int_equal(weir_log_close(watcher->log), 0);
    }
}

static void run_seed(uint64_t seed, const struct setting *setting)
{
    static struct store store;
    static struct crowd crowd;
    static struct oracle keys;
    static struct watcher watchers[WATCHERS];
    static _Atomic bool done;
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    store_open_with(&store, SEGMENT, STORE_INDEX);
    oracle_begin(&keys, &prng);
    crowd = (struct crowd){.log = store.log,
                           .engine = store.engine,
                           .seed = seed,
                           .writers = 3,
                           .steps = setting->steps,
                           .padding = setting->padding,
                           .upkeep = setting->compacts,
                           .compacts = setting->compacts};
    crowd_begin(&crowd, &keys);
    assert_true(crowd_fill(&crowd));
    atomic_store(&done, false);
    for (unsigned i = 0; i < WATCHERS; i++) {
        begin_watcher(&watchers[i], &store, &crowd, setting, &done);
    }
    crowd_run(&crowd);
    settle(&store);
    atomic_store(&done, true);
    struct watcher sum = {0};
    for (unsigned i = 0; i < WATCHERS; i++) {
        end_watcher(&watchers[i], setting);
        sum.attached += watchers[i].attached;
        sum.events += watchers[i].events;
        sum.rows += watchers[i].rows;
        sum.wholes += watchers[i].wholes;
        sum.compared += watchers[i].compared;
        sum.lost += watchers[i].lost;
    }
    if (atomic_load(&crowd.failed)) {
        fail_msg("WEIR_SEED=%ju: %s", (uintmax_t)seed, crowd.failure);
    }
    print_message("layer=changes-threads attached=%ju events=%ju rows=%ju wholes=%ju compared=%ju "
                  "lost=%ju violations=0 seed=%ju\n",
                  (uintmax_t)sum.attached, (uintmax_t)sum.events, (uintmax_t)sum.rows,
                  (uintmax_t)sum.wholes, (uintmax_t)sum.compared, (uintmax_t)sum.lost,
                  (uintmax_t)seed);
    assert_true(sum.attached >= 2 * WATCHERS && sum.events > 0 && sum.rows > 0 && sum.wholes > 0);
    store_close(&store);
    oracle_end(&keys);
}

static void run(const struct setting *setting)
{
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", ROUNDS);
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        run_seed(seed, setting);
    }
}

static void cd_05_cd_06_a_record_that_is_written_during_an_attach_is_seen_once(void **state)
{
    (void)state;
    run(&(struct setting){.steps = 2500, .padding = 40});
}

static void cd_06_cd_10_also_while_the_log_is_compacted(void **state)
{
    (void)state;
    run(&(struct setting){.steps = 2500, .padding = 400, .compacts = true});
}

static void cd_06_cd_10_also_for_a_reader_beside_a_writer_that_compacts(void **state)
{
    (void)state;
    run(&(struct setting){.steps = 2500, .padding = 400, .compacts = true, .beside = true});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_05_cd_06_a_record_that_is_written_during_an_attach_is_seen_once),
        cmocka_unit_test(cd_06_cd_10_also_while_the_log_is_compacted),
        cmocka_unit_test(cd_06_cd_10_also_for_a_reader_beside_a_writer_that_compacts),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
