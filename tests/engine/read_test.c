/*
 * Reading: get, scan, history, views, snapshots, tables, and what comes back after a reopen.
 */
#include "store.h"

#include "engine/engine.h"
#include "engine/lookup.h"
#include "engine/place_row.h"
#include "engine/record.h"

#include <errno.h>
#include <stdio.h>

static void se_03_opening_a_log_rebuilds_the_engine_and_goes_on_where_it_was(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "b", "1");
    erase(&store, "b");
    store_reopen(&store);
    expect(&store, "a", "1", 1);
    expect(&store, "b", NULL, 0);
    put(&store, "a", "2");
    put(&store, "b", "2");
    expect_history(&store, "a", "4:2 1:1");
    expect_history(&store, "b", "5:2 3:- 2:1");
    store_close(&store);
}

static void se_02_replay_gives_the_same_fingerprint_and_deletes_are_included(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    char key[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "k%d", i % 700);
        if (i % 7 == 6) {
            weir_delete(store.engine, 0, text(key), WEIR_NONE, NULL);
        } else {
            put(&store, key, key);
        }
    }
    settle(&store);
    struct fingerprint before = fingerprint_of(&store, 0);
    store_reopen(&store);
    expect_fingerprint(&store, 0, &before);
    put(&store, "more", "");
    settle(&store);
    struct fingerprint after = fingerprint_of(&store, 0);
    assert_memory_not_equal(before.bytes, after.bytes, sizeof after.bytes);
    assert_int_equal(after.keys, before.keys + 1);
    store_close(&store);
}

static void the_fingerprint_counts_versions_and_not_the_order_of_keys(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "b", "2");
    settle(&store);
    struct fingerprint both = fingerprint_of(&store, 0);
    put(&store, "c", "3");
    erase(&store, "c");
    settle(&store);
    expect_fingerprint(&store, 0, &both); /* what is deleted does not count */
    put(&store, "a", "1");
    settle(&store);
    struct fingerprint again = fingerprint_of(&store, 0);
    assert_memory_not_equal(both.bytes, again.bytes, sizeof again.bytes); /* a newer version */
    expect_fingerprint(&store, 2, &both);
    store_close(&store);
}

static int get_bytes(struct store *store, const uint8_t *key, size_t size)
{
    struct weir_read read;
    struct weir_row row;
    assert_int_equal(weir_read_begin(store->engine, NULL, &read), 0);
    int rc = weir_get(&read, 0, (struct weir_bytes){key, size}, &row);
    if (rc == 1) {
        assert_int_equal(row.key.size, size);
        assert_memory_equal(row.key.data, key, size);
        assert_int_equal(row.value.size, sizeof size);
        assert_memory_equal(row.value.data, &size, sizeof size);
    }
    weir_read_end(&read);
    return rc;
}

/* Keys of one table have one size here, so that the index cannot tell them by it. */
static void a_key_is_compared_to_its_last_byte_whatever_its_size(void **state)
{
    (void)state;
    struct store store;
    for (size_t size = 1; size <= 300; size += size < 140 ? 1 : 53) {
        store_open(&store);
        uint8_t key[300];
        memset(key, 'k', sizeof key);
        assert_int_equal(weir_put(store.engine, 0, (struct weir_bytes){key, size},
                                  (struct weir_bytes){&size, sizeof size}, WEIR_NONE, NULL),
                         0);
        for (int versions = 0; versions < 3; versions++) {
            assert_int_equal(get_bytes(&store, key, size), 1);
            for (size_t at = 0; at < size; at++) {
                key[at] ^= 0x40;
                assert_int_equal(get_bytes(&store, key, size), 0);
                key[at] ^= 0x40;
            }
            assert_int_equal(get_bytes(&store, key, size + (size < sizeof key)),
                             size == sizeof key);
            assert_int_equal(size > 1 ? get_bytes(&store, key, size - 1) : 0, 0);
            assert_int_equal(weir_put(store.engine, 0, (struct weir_bytes){key, size},
                                      (struct weir_bytes){&size, sizeof size}, WEIR_NONE, NULL),
                             0);
        }
        assert_int_equal(
            weir_delete(store.engine, 0, (struct weir_bytes){key, size}, WEIR_NONE, NULL), 0);
        assert_int_equal(get_bytes(&store, key, size), 0);
        store_close(&store);
    }
}

/* The slots of a node lie behind its keys, and 32 bytes are looked at at once: a byte of a slot is
 * no key. One byte at the end tells the keys apart; the records fill many addresses. */
static void a_byte_that_a_node_has_no_key_for_is_not_found_in_its_slots(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    uint8_t key[8] = "node 00";
    size_t size = sizeof key;
    for (unsigned node = 0; node < 64; node++) {
        unsigned keys = 7 + node % 26; /* nodes of 16 and of 32 */
        key[5] = (uint8_t)node;
        for (unsigned i = 0; i < keys; i++) {
            key[7] = (uint8_t)(i * 7);
            assert_int_equal(weir_put(store.engine, 0, (struct weir_bytes){key, size},
                                      (struct weir_bytes){&size, sizeof size}, WEIR_NONE, NULL),
                             0);
        }
        for (unsigned byte = 0; byte < 256; byte++) {
            key[7] = (uint8_t)byte;
            assert_int_equal(get_bytes(&store, key, size), byte % 7 == 0 && byte / 7 < keys);
        }
    }
    store_close(&store);
}

/* Keys "000" to the last one, in order or against it, `max` rows at a time; 0: one by one. */
static void expect_numbers(struct store *store, int keys, bool reverse, int max)
{
    struct weir_read read;
    struct weir_scan *scan;
    struct weir_row rows[130];
    struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
    options.reverse = reverse;
    assert_int_equal(weir_read_begin(store->engine, NULL, &read), 0);
    assert_int_equal(weir_scan_open(&read, &options, &scan), 0);
    int seen = 0, count;
    while ((count = max == 0 ? weir_scan_next(scan, rows) : weir_scan_next_batch(scan, rows, max)) >
           0) {
        assert_true(seen + count <= keys && count <= (max == 0 ? 1 : max));
        for (int i = 0; i < count; i++) {
            char key[16];
            snprintf(key, sizeof key, "%03d", reverse ? keys - 1 - seen - i : seen + i);
            assert_int_equal(rows[i].key.size, 3);
            assert_memory_equal(rows[i].key.data, key, 3);
        }
        seen += count;
    }
    assert_int_equal(count, 0);
    assert_int_equal(seen, keys);
    assert_int_equal(weir_scan_next(scan, rows), 0); /* again and again */
    weir_scan_close(scan);
    weir_read_end(&read);
}

static void a_scan_gives_as_many_rows_as_are_there_in_whatever_portions(void **state)
{
    (void)state;
    static const int ends[] = {0, 1, 23, 24, 25, 63, 64, 65, 127, 128, 129, 192, 300};
    static const int portions[] = {0, 1, 7, 24, 64, 65, 130};
    struct store store;
    store_open(&store);
    int keys = 0;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        for (; keys < ends[i]; keys++) {
            char key[16];
            snprintf(key, sizeof key, "%03d", keys);
            put(&store, key, "");
        }
        for (size_t k = 0; k < sizeof portions / sizeof portions[0]; k++) {
            expect_numbers(&store, keys, false, portions[k]);
            expect_numbers(&store, keys, true, portions[k]);
        }
    }
    store_close(&store);
}

static void fill(struct store *store)
{
    static const char *const keys[] = {"b",     "a",         "ab", "abc", "ac",
                                       "b\xff", "b\xff\xff", "c",  "aa"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        put(store, keys[i], "v");
    }
    put(store, "abd", "v");
    erase(store, "abd");
}

static void se_05_scans_give_exactly_the_keys_in_order_both_ways(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill(&store);
    for (int round = 0; round < 2; round++) {
        struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
        expect_scan(&store, UINT64_MAX, &options,
                    "a=v aa=v ab=v abc=v ac=v b=v b\xff=v b\xff\xff=v c=v");
        options.reverse = true;
        expect_scan(&store, UINT64_MAX, &options,
                    "c=v b\xff\xff=v b\xff=v b=v ac=v abc=v ab=v aa=v a=v");
        options.prefix = text("ab");
        expect_scan(&store, UINT64_MAX, &options, "abc=v ab=v");
        options.reverse = false;
        expect_scan(&store, UINT64_MAX, &options, "ab=v abc=v");
        options.prefix = text("b\xff");
        expect_scan(&store, UINT64_MAX, &options, "b\xff=v b\xff\xff=v");
        options.reverse = true;
        expect_scan(&store, UINT64_MAX, &options, "b\xff\xff=v b\xff=v");
        options.prefix = text("\xff");
        expect_scan(&store, UINT64_MAX, &options, "");
        options = (struct weir_scan_options)WEIR_SCAN_OPTIONS_INIT;
        options.from = text("ab");
        expect_scan(&store, UINT64_MAX, &options, "ab=v abc=v ac=v b=v b\xff=v b\xff\xff=v c=v");
        options.bounded = true;
        options.to = text("b");
        expect_scan(&store, UINT64_MAX, &options, "ab=v abc=v ac=v");
        options.reverse = true;
        expect_scan(&store, UINT64_MAX, &options, "ac=v abc=v ab=v");
        options.prefix = text("ab");
        expect_scan(&store, UINT64_MAX, &options, "abc=v ab=v");
        options.to = text("");
        expect_scan(&store, UINT64_MAX, &options, "");
        options.to = text("aa");
        expect_scan(&store, UINT64_MAX, &options, "");
        store_reopen(&store);
    }
    store_close(&store);
}

static void se_07_a_view_as_of_an_lsn_shows_the_state_behind_that_record(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1"); /* 1 */
    put(&store, "b", "1"); /* 2 */
    put(&store, "a", "2"); /* 3 */
    erase(&store, "b");    /* 4 */
    put(&store, "c", "1"); /* 5 */
    erase(&store, "a");    /* 6 */
    put(&store, "a", "3"); /* 7 */
    settle(&store);
    static const char *const states[] = {"",    "a=1",     "a=1 b=1", "a=2 b=1",
                                         "a=2", "a=2 c=1", "c=1",     "a=3 c=1"};
    struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
    for (int round = 0; round < 2; round++) {
        for (weir_lsn lsn = 0; lsn < 8; lsn++) {
            expect_scan(&store, lsn, &options, states[lsn]);
        }
        expect_as_of(&store, 0, "a", NULL);
        expect_as_of(&store, 5, "a", "2");
        expect_as_of(&store, 6, "a", NULL);
        store_reopen(&store);
    }
    struct weir_read read;
    struct weir_read_options ahead = WEIR_READ_OPTIONS_INIT;
    ahead.view = WEIR_VIEW_AS_OF;
    ahead.lsn = 8;
    assert_int_equal(weir_read_begin(store.engine, &ahead, &read), -EAGAIN);
    store_close(&store);
}

static void se_07_a_snapshot_stays_as_it_is_while_thousands_of_writes_follow(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "hot", "first");
    put(&store, "gone", "here");
    settle(&store);
    struct weir_snapshot *snapshot;
    assert_int_equal(weir_snapshot_open(store.engine, 0, &snapshot), 0);
    weir_lsn lsn = weir_snapshot_lsn(snapshot);
    assert_int_equal(lsn, 2);
    erase(&store, "gone");
    char value[16];
    weir_lsn middle = 0;
    for (int i = 0; i < 5000; i++) {
        snprintf(value, sizeof value, "%d", i);
        weir_lsn now = put(&store, "hot", value);
        middle = i == 2500 ? now : middle;
    }
    settle(&store);
    expect_as_of(&store, lsn, "hot", "first");
    expect_as_of(&store, lsn, "gone", "here");
    expect_as_of(&store, middle, "hot", "2500");
    expect_as_of(&store, middle - 1, "hot", "2499");
    assert_int_equal(weir_engine_close(store.engine), -EBUSY);
    weir_snapshot_close(snapshot);
    store_close(&store);
}

static void what_is_not_durable_is_hidden_from_durable_views(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    weir_lsn lsn;
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("1"), WEIR_EACH, &lsn), 0);
    put(&store, "a", "2");
    expect(&store, "a", "2", 2);
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    options.view = WEIR_VIEW_DURABLE;
    struct weir_read read;
    struct weir_row row;
    assert_int_equal(weir_read_begin(store.engine, &options, &read), 0);
    assert_int_equal(weir_get(&read, 0, text("a"), &row), 1);
    assert_int_equal(row.lsn, 1);
    weir_read_end(&read);
    store_close(&store);
}

static void values_are_lent_from_the_log_and_stay_while_the_section_lasts(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "first");
    struct weir_read read;
    struct weir_row row, again;
    assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, 0, text("a"), &row), 1);
    static char big[3000];
    struct weir_bytes value = {big, sizeof big};
    for (int i = 0; i < 500; i++) { /* several segments */
        assert_int_equal(weir_put(store.engine, 0, text("a"), value, WEIR_NONE, NULL), 0);
    }
    assert_memory_equal(row.value.data, "first", 5);
    assert_int_equal(weir_get(&read, 0, text("a"), &again), 1);
    assert_int_equal(again.value.size, sizeof big);
    assert_int_equal(weir_engine_close(store.engine), -EBUSY);
    weir_read_end(&read);
    store_close(&store);
}

static void tables_are_namespaces_that_the_log_names(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    weir_table red, blue, none;
    assert_int_equal(weir_table_open(store.engine, "red", false, &red), WEIR_E_NO_TABLE);
    assert_int_equal(weir_table_open(store.engine, "red", true, &red), 0);
    assert_int_equal(weir_table_open(store.engine, "blue", true, &blue), 0);
    assert_int_equal(weir_table_open(store.engine, "", false, &none), 0);
    assert_int_equal(none, WEIR_TABLE_DEFAULT);
    assert_true(red != blue && red != none);
    put(&store, "k", "default");
    put_in(&store, red, "k", "red");
    put_in(&store, blue, "k", "blue");
    for (int round = 0; round < 2; round++) {
        struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
        expect_scan(&store, UINT64_MAX, &options, "k=default");
        options.table = red;
        expect_scan(&store, UINT64_MAX, &options, "k=red");
        store_reopen(&store);
        weir_table again;
        assert_int_equal(weir_table_open(store.engine, "red", true, &again), 0);
        assert_int_equal(again, red);
    }
    assert_int_equal(weir_table_open(store.engine, "../x", true, &red), -EINVAL);
    assert_int_equal(weir_table_open(store.engine, ".x", true, &red), -EINVAL);
    store_close(&store);
}

static void se_08_the_engine_holds_the_log_and_truncation_is_refused_by_name(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    for (int i = 0; i < 10; i++) {
        put(&store, "b", "2");
    }
    settle(&store);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_truncate_before(store.log, 5, &why), WEIR_E_HELD);
    assert_non_null(strstr(why.text, "engine"));
    store_reopen(&store);
    assert_int_equal(weir_truncate_before(store.log, 5, &why), WEIR_E_HELD);
    expect(&store, "a", "1", 1);
    assert_int_equal(weir_hold_drop(store.log, WEIR_HOLD_ENGINE), WEIR_E_ENGINES_HOLD);
    assert_int_equal(weir_hold_move(store.log, WEIR_HOLD_ENGINE, 5), WEIR_E_ENGINES_HOLD);
    assert_int_equal(weir_hold_set(store.log, WEIR_HOLD_ENGINE, 5), WEIR_E_ENGINES_HOLD);
    assert_int_equal(weir_truncate_before(store.log, 5, &why), WEIR_E_HELD);
    store_close(&store);
}

/* Of one that is damaged nobody knows what it keeps: the open says so, and what mends it. */
static void se_08_a_damaged_hold_keeps_the_engine_from_opening_until_it_is_set_again(void **state)
{
    (void)state;
    static const char *const names[] = {"other", WEIR_HOLD_ENGINE};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct store store;
        struct weir_error why = WEIR_ERROR_INIT;
        char path[64];
        uint64_t size;
        store_open(&store);
        put(&store, "a", "1");
        settle(&store);
        assert_int_equal(weir_hold_set(store.log, "other", 1), 0);
        assert_int_equal(weir_engine_close(store.engine), 0);
        snprintf(path, sizeof path, "holds/%s", names[i]);
        uint8_t *bytes = sim_memory_bytes(store.keeper, path, false, &size);
        assert_non_null(bytes);
        memset(bytes, 0x55, size);
        assert_int_equal(weir_engine_open(store.log, &store.engine_options, &store.engine, &why),
                         WEIR_E_DAMAGED);
        assert_int_equal(why.code, WEIR_E_DAMAGED);
        assert_non_null(strstr(why.text, "hold"));
        assert_non_null(strstr(why.text, "set again"));
        assert_int_equal(weir_hold_set(store.log, names[i], 1), 0);
        assert_int_equal(weir_engine_open(store.log, &store.engine_options, &store.engine, &why),
                         0);
        expect(&store, "a", "1", 1);
        store_close(&store);
    }
}

static void records_of_the_application_beside_the_engines_do_not_disturb(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    struct weir_part part = {"mine", 4};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 0x1234};
    put(&store, "a", "1");
    assert_int_equal(weir_append(store.log, &entry, WEIR_EACH, NULL), 0);
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(store.log, 1, 10, &reservation), 0);
    assert_int_equal(weir_cancel(store.log, &reservation), 0);
    put(&store, "a", "2");
    settle(&store);
    expect_as_of(&store, 3, "a", "1");
    store_reopen(&store);
    expect_history(&store, "a", "4:2 1:1");
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    assert_int_equal(weir_engine_stat(store.engine, &status), 0);
    assert_int_equal(status.keys, 1);
    assert_int_equal(status.applied, 4);
    store_close(&store);
}

/* Its checksum may be right all the same: no bytes behind its end are anybody's key or value. */
static void a_record_that_ends_within_its_key_is_no_row(void **state)
{
    (void)state;
    struct record_head head;
    struct weir_row row;
    uint8_t payload[RECORD_HEAD_BYTES_MAX + 8];
    const struct weir_bytes key = text("12345678");
    struct weir_record record = {.data = payload, .lsn = 7};
    record_build(&head, WEIR_INSERT, WEIR_TABLE_DEFAULT, (uint32_t)key.size, NULL);
    memcpy(payload, head.bytes, head.size);
    memcpy(payload + head.size, key.data, key.size);
    for (record.size = head.size; record.size < head.size + key.size; record.size++) {
        assert_true(record.size < record_least(key.size)); /* so it is not asked whose row it is */
        assert_int_equal(record_read_row(&record, &row), WEIR_E_RECORD);
    }
    assert_true(record_read_row_of(&record, key, &row));
    assert_int_equal(row.value.size, 0);
}

/* The quick way of a get, which falls back to a slow one. */
static void a_leaf_that_knows_a_byte_leads_to_its_row(void **state)
{
    (void)state;
    struct store store;
    struct weir_read read;
    struct weir_row row = {.lsn = WEIR_LSN_NONE};
    const struct weir_bytes key = text("B-very-long-key");
    store_open(&store);
    (void)put(&store, "A-very-long-key", "value");
    weir_lsn lsn = put(&store, "B-very-long-key", "value");
    settle(&store);
    assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, WEIR_TABLE_DEFAULT, key, &row), 1); /* its segment is known */
    struct index *index = &table_of(store.engine, WEIR_TABLE_DEFAULT)->index;
    uint64_t leaf =
        lookup_leaf(index->arena, index, (struct index_key){key.data, (uint32_t)key.size});
    assert_true(leaf_knows_next(leaf));
    row.lsn = WEIR_LSN_NONE;
    assert_true(place_row_of(&store.engine->places, leaf, key, &row));
    assert_int_equal(row.lsn, lsn);
    weir_read_end(&read);
    store_close(&store);
}

/* The context: how often a segment was mapped, to be looked into. */
static int count_maps(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    unsigned *maps = context;
    (void)name, (void)offset, (void)size;
    *maps += strcmp(call, "map") == 0;
    return 0;
}

/* By the first part of the way down, by all of it, and by that of many keys. */
static void of_a_key_that_is_not_there_no_other_record_is_read(void **state)
{
    (void)state;
    static const char *const absent[] = {"A?nothing", "Bnothing", "C", "a-very-long-key?"};
    struct store store;
    struct weir_read read;
    struct weir_row row;
    unsigned maps = 0;
    store_open(&store);
    (void)put(&store, "A-very-long-key", "value");
    (void)put(&store, "B-very-long-key", "value");
    (void)put(&store, "Cvalue", "value");
    for (int i = 0; i < 10000; i++) { /* into newer segments */
        (void)put(&store, "z", "another value, and again");
    }
    settle(&store);
    store_checkpoint(&store);
    store.engine_options.flags = WEIR_ENGINE_NO_SHORTCUTS;
    store_stop(&store);
    store.disk.faults = (struct sim_memory_faults){count_maps, &maps};
    store_start(&store);
    maps = 0;
    assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        struct weir_bytes key = text(absent[i]);
        assert_int_equal(weir_get(&read, WEIR_TABLE_DEFAULT, key, &row), 0);
        assert_int_equal(weir_get_batch(&read, WEIR_TABLE_DEFAULT, &key, 1, &row), 0);
    }
    assert_int_equal(maps, 0);
    assert_int_equal(weir_get(&read, WEIR_TABLE_DEFAULT, text("Cvalue"), &row), 1);
    assert_int_equal(maps, 1);
    weir_read_end(&read);
    store.disk.faults = (struct sim_memory_faults){0};
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_03_opening_a_log_rebuilds_the_engine_and_goes_on_where_it_was),
        cmocka_unit_test(se_02_replay_gives_the_same_fingerprint_and_deletes_are_included),
        cmocka_unit_test(the_fingerprint_counts_versions_and_not_the_order_of_keys),
        cmocka_unit_test(a_key_is_compared_to_its_last_byte_whatever_its_size),
        cmocka_unit_test(a_record_that_ends_within_its_key_is_no_row),
        cmocka_unit_test(a_byte_that_a_node_has_no_key_for_is_not_found_in_its_slots),
        cmocka_unit_test(se_05_scans_give_exactly_the_keys_in_order_both_ways),
        cmocka_unit_test(a_scan_gives_as_many_rows_as_are_there_in_whatever_portions),
        cmocka_unit_test(se_07_a_view_as_of_an_lsn_shows_the_state_behind_that_record),
        cmocka_unit_test(se_07_a_snapshot_stays_as_it_is_while_thousands_of_writes_follow),
        cmocka_unit_test(what_is_not_durable_is_hidden_from_durable_views),
        cmocka_unit_test(values_are_lent_from_the_log_and_stay_while_the_section_lasts),
        cmocka_unit_test(tables_are_namespaces_that_the_log_names),
        cmocka_unit_test(se_08_the_engine_holds_the_log_and_truncation_is_refused_by_name),
        cmocka_unit_test(se_08_a_damaged_hold_keeps_the_engine_from_opening_until_it_is_set_again),
        cmocka_unit_test(records_of_the_application_beside_the_engines_do_not_disturb),
        cmocka_unit_test(a_leaf_that_knows_a_byte_leads_to_its_row),
        cmocka_unit_test(of_a_key_that_is_not_there_no_other_record_is_read),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
