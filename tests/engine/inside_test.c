/*
 * What only a look inside can bring about: a writer that stops between two instructions, places
 * that hold no record.
 */
#include "store.h"

#include "base/system.h"
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>

#define KEYS 70

/* As a writer that has looked at the log, and stops before it says so: others go on meanwhile. */
static void se_07_what_was_applied_stays_so_when_a_writer_announces_late(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    for (int i = 0; i < 9; i++) {
        put(&store, "a", "1");
    }
    settle(&store);
    struct weir_snapshot *snapshot;
    assert_int_equal(weir_snapshot_open(store.engine, 0, &snapshot), 0);
    assert_int_equal(weir_snapshot_lsn(snapshot), 9);
    atomic_store(&store.engine->stripes[77].announced, 5);
    expect_as_of(&store, 9, "a", "1");
    struct fingerprint fingerprint = fingerprint_of(&store, 9);
    assert_int_equal(fingerprint.keys, 1);
    /* What comes now is not applied before the late one is done. */
    put(&store, "a", "2");
    settle(&store);
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_read read;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = 10;
    assert_int_equal(weir_read_begin(store.engine, &options, &read), -EAGAIN);
    atomic_store(&store.engine->stripes[77].announced, 0);
    expect_as_of(&store, 10, "a", "2");
    weir_snapshot_close(snapshot);
    store_close(&store);
}

/* The index names a place where no record begins. */
static void misplace(struct store *store, const char *text_of_key)
{
    const struct index_key key = {(const uint8_t *)text_of_key, (uint32_t)strlen(text_of_key)};
    struct index *index = &table_of(store->engine, 0)->index;
    uint64_t address, old;
    uint32_t slot = epoch_enter(&store->engine->epochs);
    assert_int_equal(index_find(index, key, &address), 1);
    assert_int_equal(index_put(index, key, address + 8, &old), 0);
    epoch_leave(&store->engine->epochs, slot);
}

static void expect_rows(struct weir_scan *scan, int first, int end)
{
    struct weir_row rows[KEYS];
    assert_int_equal(weir_scan_next_batch(scan, rows, KEYS), end - first);
    for (int i = first; i < end; i++) {
        char key[16];
        snprintf(key, sizeof key, "%03d", i);
        assert_memory_equal(rows[i - first].key.data, key, 3);
    }
}

static void an_error_of_one_row_is_told_once_and_no_other_row_is_passed_over(void **state)
{
    (void)state;
    /* In the middle of what the scan has fetched, and the first one behind that. */
    static const int damaged[] = {7, 64, 69};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct store store;
        struct weir_read read;
        struct weir_scan *scan;
        struct weir_row row;
        char key[16];
        store_open(&store);
        for (int k = 0; k < KEYS; k++) {
            snprintf(key, sizeof key, "%03d", k);
            put(&store, key, "v");
        }
        snprintf(key, sizeof key, "%03d", damaged[i]);
        misplace(&store, key);
        assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
        assert_int_equal(weir_scan_open(&read, NULL, &scan), 0);
        expect_rows(scan, 0, damaged[i]);
        assert_int_equal(weir_scan_next(scan, &row), WEIR_E_DAMAGED);
        expect_rows(scan, damaged[i] + 1, KEYS);
        assert_int_equal(weir_scan_next(scan, &row), 0);
        weir_scan_close(scan);
        weir_read_end(&read);
        store_close(&store);
    }
}

static void a_record_that_is_damaged_fails_its_key_of_a_batch_and_no_other(void **state)
{
    (void)state;
    static const int damaged[] = {0, 7, 8, 33, KEYS - 1};
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    for (size_t turn = 0; turn < 2 * sizeof damaged / sizeof *damaged; turn++) {
        struct store store;
        struct weir_read read;
        char texts[KEYS][16];
        struct weir_bytes keys[KEYS];
        struct weir_row rows[KEYS];
        int wrong = damaged[turn / 2];
        store_open(&store);
        for (int k = 0; k < KEYS; k++) {
            snprintf(texts[k], sizeof texts[k], "%03d", k);
            keys[k] = text(texts[k]);
            put(&store, texts[k], "v");
        }
        settle(&store);
        misplace(&store, texts[wrong]);
        options.view = turn % 2 == 0 ? WEIR_VIEW_NEWEST : WEIR_VIEW_DURABLE;
        assert_int_equal(weir_read_begin(store.engine, &options, &read), 0);
        assert_int_equal(weir_get_batch(&read, 0, keys, KEYS, rows), WEIR_E_DAMAGED);
        for (int k = 0; k < KEYS; k++) {
            assert_int_equal(rows[k].lsn, k == wrong ? WEIR_LSN_NONE : (weir_lsn)k + 1);
        }
        /* The first one that fails is told, whatever comes behind it. */
        keys[wrong == 0 ? 1 : wrong - 1].size = 0;
        assert_int_equal(weir_get_batch(&read, 0, keys, KEYS, rows),
                         wrong == 0 ? WEIR_E_DAMAGED : WEIR_E_KEY);
        weir_read_end(&read);
        store_close(&store);
    }
}

#define SPREAD 600 /* keys, each far from the one before: in another segment, mostly */

/* One byte of the record at a key's address, on the disk. */
static void damage_value_of(struct store *store, const char *value)
{
    size_t size = strlen(value);
    for (unsigned ordinal = 0; ordinal < 64; ordinal++) {
        char name[40];
        uint64_t bytes_of_file = 0;
        snprintf(name, sizeof name, "segment-%016x", ordinal);
        uint8_t *bytes = sim_memory_bytes(store->keeper, name, false, &bytes_of_file);
        uint8_t *found = bytes != NULL ? memmem(bytes, bytes_of_file, value, size) : NULL;
        if (found != NULL) {
            found[size - 1] ^= 1;
            return;
        }
    }
    fail_msg("there is no such value on the disk");
}

static void put_spread(struct store *store)
{
    static char value[1024];
    memset(value, 'v', sizeof value - 1);
    for (int k = 0; k < SPREAD; k++) {
        char key[16];
        int number = k * 37 % SPREAD;
        snprintf(key, sizeof key, "%03d", number);
        memcpy(value, "value of ", 9);
        memcpy(value + 9, key, 3);
        put(store, key, value);
    }
    settle(store);
}

static void a_scan_across_segments_shows_no_record_that_its_checksum_has_not_proved(void **state)
{
    (void)state;
    enum { HURT = 301 };
    struct store store;
    struct weir_read read;
    struct weir_scan *scan;
    struct weir_row rows[64];
    int seen = 0, errors = 0, count;
    store_open(&store);
    put_spread(&store);
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    store_stop(&store);
    damage_value_of(&store, "value of 301");
    store_start(&store);
    assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
    assert_int_equal(weir_scan_open(&read, NULL, &scan), 0);
    while ((count = weir_scan_next_batch(scan, rows, 64)) != 0) {
        if (count < 0) {
            assert_int_equal(count, WEIR_E_DAMAGED);
            assert_int_equal(seen, HURT);
            errors++;
            seen++;
            continue;
        }
        for (int i = 0; i < count; i++, seen++) {
            char value[24];
            snprintf(value, sizeof value, "value of %03d", seen);
            assert_int_equal(rows[i].key.size, 3);
            assert_memory_equal(rows[i].key.data, value + 9, 3);
            assert_int_equal(rows[i].value.size, 1023);
            assert_memory_equal(rows[i].value.data, value, 12);
        }
    }
    assert_int_equal(seen, SPREAD);
    assert_int_equal(errors, 1);
    weir_scan_close(scan);
    weir_read_end(&read);
    store_close(&store);
}

static void a_history_that_cannot_be_read_says_so_and_lends_nothing(void **state)
{
    (void)state;
    struct store store;
    struct weir_read read;
    struct weir_history history;
    struct weir_key_version version;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "a", "2");
    assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
    assert_int_equal(weir_history_begin(&read, 0, text("a"), &history), 0);
    history.address += 8;
    assert_int_equal(weir_history_next(&history, &version), WEIR_E_DAMAGED);
    assert_int_equal(weir_history_next(&history, &version), 0);
    weir_read_end(&read);
    store_close(&store);
}

struct bar {
    uint64_t calls, done, all;
};

static int draw(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    struct bar *bar = context;
    assert_true(done_bytes >= bar->done && done_bytes <= all_bytes);
    *bar = (struct bar){bar->calls + 1, done_bytes, all_bytes};
    return 0;
}

/* Each look at the clock is a second later, so that progress is told whenever it is known. */
static uint64_t hurry(void *context)
{
    static _Atomic uint64_t now_ns = 1;
    (void)context;
    return atomic_fetch_add(&now_ns, UINT64_C(1000000000));
}

static void progress_of_a_rebuild_ends_with_all(void **state)
{
    (void)state;
    const struct base_system system = {.coarse = hurry};
    struct store store;
    store_open(&store);
    for (int i = 0; i < 30000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%05d", i);
        put(&store, key, "v");
    }
    store.engine_options.progress = draw;
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        struct bar bar = {0};
        store.engine_options.progress_context = &bar;
        store.engine_options.threads = threads;
        store_stop(&store);
        base_system_set(&system);
        store_start(&store);
        base_system_set(NULL);
        assert_true(bar.calls > 1);
        assert_int_equal(bar.done, bar.all);
    }
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_07_what_was_applied_stays_so_when_a_writer_announces_late),
        cmocka_unit_test(an_error_of_one_row_is_told_once_and_no_other_row_is_passed_over),
        cmocka_unit_test(a_record_that_is_damaged_fails_its_key_of_a_batch_and_no_other),
        cmocka_unit_test(a_scan_across_segments_shows_no_record_that_its_checksum_has_not_proved),
        cmocka_unit_test(a_history_that_cannot_be_read_says_so_and_lends_nothing),
        cmocka_unit_test(progress_of_a_rebuild_ends_with_all),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
