#include "store.h"

#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 4096

void store_open(struct store *store)
{
    store_open_with(store, STORE_SEGMENT, STORE_INDEX);
}

void store_open_with(struct store *store, uint64_t segment_bytes, uint64_t index_bytes)
{
    *store = (struct store){.log_options = WEIR_LOG_OPTIONS_INIT,
                            .engine_options = WEIR_ENGINE_OPTIONS_INIT};
    assert_int_equal(sim_memory_open(&store->disk, &store->keeper), 0);
    store->disk.disk = sim_memory_disk(store->keeper);
    store->log_options.flags = WEIR_LOG_CREATE;
    store->log_options.lock_wait_ns = WEIR_NO_WAIT;
    store->log_options.segment_bytes = segment_bytes;
    store->engine_options.index_bytes = index_bytes;
    store_start(store);
}

/* As a large index has them, so that whatever a test does to keys, it does to shortcuts, too. */
static void use_shortcuts(struct weir_engine *engine)
{
    for (weir_table number = 0; table_of(engine, number) != NULL; number++) {
        shortcut_begin(&table_of(engine, number)->index);
    }
}

void store_start(struct store *store)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log_options options = store->log_options;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&store->disk, &options.custom_medium), 0);
    int rc = weir_log_open("memory", &options, &store->log, &why);
    if (rc == 0) {
        rc = weir_engine_open(store->log, &store->engine_options, &store->engine, &why);
        if (rc == 0) {
            use_shortcuts(store->engine);
        }
    }
    if (rc < 0) {
        print_error("open: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
}

void store_stop(struct store *store)
{
    assert_int_equal(weir_engine_close(store->engine), 0);
    assert_int_equal(weir_log_close(store->log), 0);
    store->engine = NULL;
    store->log = NULL;
}

void store_reopen(struct store *store)
{
    store_stop(store);
    store_start(store);
}

void store_close(struct store *store)
{
    store_stop(store);
    store->keeper->ops->destroy(store->keeper);
}

void store_checkpoint(struct store *store)
{
    assert_int_equal(weir_engine_checkpoint(store->engine, NULL, NULL), 0);
}

struct weir_engine_open_report store_report(struct store *store)
{
    struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
    assert_int_equal(weir_engine_report(store->engine, &report), 0);
    return report;
}

weir_lsn put_in(struct store *store, weir_table table, const char *key, const char *value)
{
    weir_lsn lsn = 0;
    assert_int_equal(weir_put(store->engine, table, text(key), text(value), WEIR_NONE, &lsn), 0);
    return lsn;
}

weir_lsn put(struct store *store, const char *key, const char *value)
{
    return put_in(store, WEIR_TABLE_DEFAULT, key, value);
}

weir_lsn erase(struct store *store, const char *key)
{
    weir_lsn lsn = 0;
    assert_int_equal(weir_delete(store->engine, WEIR_TABLE_DEFAULT, text(key), WEIR_NONE, &lsn), 0);
    return lsn;
}

weir_lsn append_record(struct store *store, uint16_t type, const void *payload, size_t size)
{
    struct weir_part part = {payload, size};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = type};
    struct wal_address_batch batch = {.entries = &entry, .count = 1};
    weir_lsn lsn;
    assert_int_equal(wal_address_append(store->log, &batch, WEIR_EACH, &lsn), 0);
    return lsn;
}

struct decay {
    struct weir_medium *keeper;
    const char *text;
    unsigned copies;
};

static int rot_in_file(void *context, const char *name)
{
    struct decay *decay = context;
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(decay->keeper, name, false, &size), *at;
    while (bytes != NULL && (at = memmem(bytes, size, decay->text, strlen(decay->text))) != NULL) {
        *at ^= 1;
        decay->copies++;
    }
    return 0;
}

void rot(struct store *store, const char *text)
{
    struct decay decay = {.keeper = store->keeper, .text = text};
    assert_int_equal(store->keeper->ops->list(store->keeper, "", rot_in_file, &decay), 0);
    assert_true(decay.copies > 0);
}

void settle(struct store *store)
{
    assert_int_equal(weir_commit(store->log), 0);
}

void fill_store(struct store *store, int from, int count)
{
    char key[24];
    for (int i = from; i < from + count; i++) {
        snprintf(key, sizeof key, "key%d", i % 5000);
        if (i % 11 == 10) {
            weir_delete(store->engine, 0, text(key), WEIR_NONE, NULL);
        } else {
            put(store, key, key + 3);
        }
    }
    settle(store);
}

static void begin(struct store *store, weir_lsn as_of, struct weir_read *ret_read)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    options.view = as_of == UINT64_MAX ? WEIR_VIEW_NEWEST : WEIR_VIEW_AS_OF;
    options.lsn = as_of == UINT64_MAX ? 0 : as_of;
    assert_int_equal(weir_read_begin(store->engine, &options, ret_read), 0);
}

static void expect_row(struct store *store, weir_lsn as_of, const char *key, const char *value,
                       weir_lsn lsn)
{
    struct weir_read read;
    struct weir_row row;
    begin(store, as_of, &read);
    int rc = weir_get(&read, WEIR_TABLE_DEFAULT, text(key), &row);
    assert_int_equal(rc, value != NULL ? 1 : 0);
    if (value != NULL) {
        assert_int_equal(row.value.size, strlen(value));
        assert_memory_equal(row.value.data, value, row.value.size);
        assert_int_equal(row.key.size, strlen(key));
        assert_memory_equal(row.key.data, key, row.key.size);
    }
    if (value != NULL && lsn != 0) {
        assert_int_equal(row.lsn, lsn);
    }
    weir_read_end(&read);
}

void expect(struct store *store, const char *key, const char *value, weir_lsn lsn)
{
    expect_row(store, UINT64_MAX, key, value, lsn);
}

void expect_as_of(struct store *store, weir_lsn as_of, const char *key, const char *value)
{
    expect_row(store, as_of, key, value, 0);
}

/* A text that grows; asserts that it stays within TEXT_MAX. */
struct listing {
    char text[TEXT_MAX];
    size_t used;
};

static void add(struct listing *listing, const void *data, size_t size)
{
    assert_true(listing->used + size < TEXT_MAX);
    memcpy(listing->text + listing->used, data, size);
    listing->used += size;
    listing->text[listing->used] = '\0';
}

static void add_space(struct listing *listing)
{
    add(listing, " ", listing->used > 0 ? 1 : 0);
}

void expect_scan(struct store *store, weir_lsn as_of, const struct weir_scan_options *options,
                 const char *rows)
{
    struct weir_read read;
    struct weir_scan *scan;
    struct weir_row row;
    struct listing found = {"", 0};
    int rc;
    begin(store, as_of, &read);
    assert_int_equal(weir_scan_open(&read, options, &scan), 0);
    while ((rc = weir_scan_next(scan, &row)) == 1) {
        add_space(&found);
        add(&found, row.key.data, row.key.size);
        add(&found, "=", 1);
        add(&found, row.value.data, row.value.size);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(weir_scan_next(scan, &row), 0);
    weir_scan_close(scan);
    weir_read_end(&read);
    assert_string_equal(found.text, rows);
}

void expect_history(struct store *store, const char *key, const char *versions)
{
    struct weir_read read;
    struct weir_history history;
    struct weir_key_version version;
    struct listing found = {"", 0};
    int rc;
    begin(store, UINT64_MAX, &read);
    assert_int_equal(weir_history_begin(&read, WEIR_TABLE_DEFAULT, text(key), &history), 0);
    while ((rc = weir_history_next(&history, &version)) == 1) {
        char lsn[32];
        snprintf(lsn, sizeof lsn, "%llu:", (unsigned long long)version.lsn);
        add_space(&found);
        add(&found, lsn, strlen(lsn));
        add(&found, version.deleted ? "-" : version.value.data,
            version.deleted ? 1 : version.value.size);
    }
    assert_int_equal(rc, 0);
    weir_read_end(&read);
    assert_string_equal(found.text, versions);
}

struct fingerprint fingerprint_of(struct store *store, weir_lsn lsn)
{
    struct fingerprint fingerprint;
    assert_int_equal(
        weir_engine_fingerprint(store->engine, lsn, fingerprint.bytes, &fingerprint.keys), 0);
    return fingerprint;
}

void expect_fingerprint(struct store *store, weir_lsn lsn, const struct fingerprint *expected)
{
    struct fingerprint found = fingerprint_of(store, lsn);
    assert_int_equal(found.keys, expected->keys);
    assert_memory_equal(found.bytes, expected->bytes, sizeof found.bytes);
}

/* ---- beside ---- */

void store_open_beside(struct store *store, struct beside *beside)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_READ_ONLY;
    options.medium = WEIR_MEDIUM_CUSTOM;
    struct sim_memory_options disk = store->disk;
    disk.read_only = true;
    assert_int_equal(sim_memory_open(&disk, &options.custom_medium), 0);
    int rc = weir_log_open("memory", &options, &beside->log, &why);
    if (rc == 0) {
        rc = weir_engine_open(beside->log, &store->engine_options, &beside->engine, &why);
        if (rc == 0) {
            use_shortcuts(beside->engine);
        }
    }
    if (rc < 0) {
        print_error("beside: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
}

void store_close_beside(struct beside *beside)
{
    assert_int_equal(weir_engine_close(beside->engine), 0);
    assert_int_equal(weir_log_close(beside->log), 0);
}
