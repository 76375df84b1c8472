/*
 * Writing: what each change appends, conditions, batches, limits.
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static weir_lsn latest(struct store *store)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(store->log, &stat), 0);
    return stat.reserved;
}

static void se_01_each_change_appends_one_record_and_the_delete_of_an_absent_key_none(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    assert_int_equal(put(&store, "a", "1"), 1);
    assert_int_equal(put(&store, "a", "2"), 2);
    assert_int_equal(erase(&store, "a"), 3);
    weir_lsn lsn = 77;
    assert_int_equal(weir_delete(store.engine, 0, text("a"), WEIR_EACH, &lsn), -ENOENT);
    assert_int_equal(weir_delete(store.engine, 0, text("b"), WEIR_EACH, &lsn), -ENOENT);
    assert_int_equal(lsn, 77);
    assert_int_equal(latest(&store), 3);
    store_close(&store);
}

static void expect_changes(struct store *store, const struct weir_change *expected, size_t count)
{
    struct weir_cursor *cursor;
    struct weir_record record;
    settle(store);
    assert_int_equal(weir_cursor_open(store->log, NULL, &cursor), 0);
    for (size_t i = 0; i < count; i++) {
        struct weir_change change;
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(weir_change_decode(&record, &change), 1);
        assert_int_equal(change.operation, expected[i].operation);
        assert_int_equal(change.previous, expected[i].previous);
        assert_int_equal(change.value.size, expected[i].value.size);
        assert_memory_equal(change.value.data, expected[i].value.data, change.value.size);
    }
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
    weir_cursor_close(cursor);
}

static void se_06_every_record_says_what_it_did_and_links_to_the_version_before(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "a", "2");
    erase(&store, "a");
    put(&store, "a", "");
    store_reopen(&store);
    put(&store, "a", "4");
    const struct weir_change expected[] = {
        {.operation = WEIR_INSERT, .value = text("1"), .previous = 0},
        {.operation = WEIR_UPDATE, .value = text("2"), .previous = 1},
        {.operation = WEIR_REMOVE, .value = text(""), .previous = 2},
        {.operation = WEIR_INSERT, .value = text(""), .previous = 3},
        {.operation = WEIR_UPDATE, .value = text("4"), .previous = 4},
    };
    expect_changes(&store, expected, 5);
    store_close(&store);
}

static void se_04_an_empty_value_is_present(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "");
    expect(&store, "a", "", 1);
    expect(&store, "b", NULL, 0);
    store_reopen(&store);
    expect(&store, "a", "", 1);
    expect(&store, "b", NULL, 0);
    store_close(&store);
}

static void se_10_changing_the_buffer_of_the_caller_changes_nothing(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    char key[] = "key", value[] = "value";
    put(&store, key, value);
    key[0] = '?';
    value[0] = '?';
    expect(&store, "key", "value", 1);
    expect(&store, "?ey", NULL, 0);
    store_close(&store);
}

static int put_if(struct store *store, const char *key, const char *value, weir_lsn expected,
                  weir_lsn *ret_lsn)
{
    struct weir_write write = {.kind = WEIR_PUT,
                               .key = text(key),
                               .value = text(value),
                               .conditional = true,
                               .expected = expected};
    return weir_engine_write(store->engine, &write, WEIR_NONE, ret_lsn);
}

static void se_12_a_condition_that_does_not_hold_appends_nothing(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    weir_lsn lsn = 0;
    assert_int_equal(put_if(&store, "a", "1", 5, &lsn), WEIR_E_CONFLICT);
    assert_int_equal(put_if(&store, "a", "1", 0, &lsn), 0);
    assert_int_equal(lsn, 1);
    assert_int_equal(put_if(&store, "a", "2", 0, &lsn), WEIR_E_CONFLICT);
    assert_int_equal(put_if(&store, "a", "2", 2, &lsn), WEIR_E_CONFLICT);
    assert_int_equal(put_if(&store, "a", "2", 1, &lsn), 0);
    struct weir_write remove = {
        .kind = WEIR_DELETE, .key = text("a"), .conditional = true, .expected = 1};
    assert_int_equal(weir_engine_write(store.engine, &remove, WEIR_NONE, &lsn), WEIR_E_CONFLICT);
    remove.expected = 2;
    assert_int_equal(weir_engine_write(store.engine, &remove, WEIR_NONE, &lsn), 0);
    assert_int_equal(lsn, 3);
    assert_int_equal(put_if(&store, "a", "3", 3, &lsn), WEIR_E_CONFLICT); /* deleted is absent */
    assert_int_equal(put_if(&store, "a", "3", 0, &lsn), 0);
    expect_history(&store, "a", "4:3 3:- 2:2 1:1");
    assert_int_equal(latest(&store), 4);
    store_close(&store);
}

static void keys_and_values_over_the_limit_are_refused_and_nothing_changes(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    static char bytes[(size_t)1 << 20];
    struct weir_bytes key = {bytes, 0}, value = {"v", 1};
    assert_int_equal(weir_put(store.engine, 0, key, value, WEIR_EACH, NULL), WEIR_E_KEY);
    assert_int_equal(weir_delete(store.engine, 0, key, WEIR_EACH, NULL), WEIR_E_KEY);
    key.size = WEIR_KEY_BYTES_MAX + 1;
    assert_int_equal(weir_put(store.engine, 0, key, value, WEIR_EACH, NULL), WEIR_E_KEY);
    key.size = 3;
    value = (struct weir_bytes){bytes, sizeof bytes};
    assert_int_equal(weir_put(store.engine, 0, key, value, WEIR_EACH, NULL), WEIR_E_TOO_BIG);
    assert_int_equal(weir_put(store.engine, 7, key, text("v"), WEIR_EACH, NULL), WEIR_E_NO_TABLE);
    assert_int_equal(latest(&store), 0);
    /* The largest that fits is stored. */
    size_t most = 0;
    for (size_t size = sizeof bytes / 2; size > 0; size /= 2) {
        value.size = most + size;
        most += weir_put(store.engine, 0, key, value, WEIR_NONE, NULL) == 0 ? size : 0;
    }
    value.size = most;
    assert_int_equal(weir_put(store.engine, 0, key, value, WEIR_EACH, NULL), 0);
    value.size = most + 1;
    assert_int_equal(weir_put(store.engine, 0, key, value, WEIR_EACH, NULL), WEIR_E_TOO_BIG);
    store_close(&store);
}

static void a_batch_is_stored_whole_and_linked_inside(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "b", "0");
    struct weir_write writes[] = {
        {.kind = WEIR_PUT, .key = text("a"), .value = text("1")},
        {.kind = WEIR_PUT, .key = text("b"), .value = text("1")},
        {.kind = WEIR_PUT, .key = text("a"), .value = text("2")},
        {.kind = WEIR_DELETE, .key = text("a")},
        {.kind = WEIR_PUT, .key = text("a"), .value = text("3")},
    };
    weir_lsn lsn = 0;
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 5, WEIR_EACH, &lsn), 0);
    assert_int_equal(lsn, 2);
    for (int round = 0; round < 2; round++) {
        expect_history(&store, "a", "6:3 5:- 4:2 2:1");
        expect_history(&store, "b", "3:1 1:0");
        expect(&store, "a", "3", 6);
        store_reopen(&store);
    }
    store_close(&store);
}

static void a_batch_with_one_change_that_is_refused_stores_nothing(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "b", "0");
    struct weir_write writes[] = {
        {.kind = WEIR_PUT, .key = text("a"), .value = text("1")},
        {.kind = WEIR_DELETE, .key = text("c")},
    };
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 2, WEIR_EACH, NULL), -ENOENT);
    writes[1] = (struct weir_write){
        .kind = WEIR_PUT, .key = text("b"), .value = text("1"), .conditional = true};
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 2, WEIR_EACH, NULL),
                     WEIR_E_CONFLICT);
    writes[1] = (struct weir_write){.kind = WEIR_PUT, .key = text(""), .value = text("1")};
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 2, WEIR_EACH, NULL), WEIR_E_KEY);
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 0, WEIR_EACH, NULL), -EINVAL);
    assert_int_equal(latest(&store), 1);
    expect(&store, "a", NULL, 0);
    store_close(&store);
}

static void se_12_a_condition_sees_the_earlier_changes_of_its_batch(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    struct weir_write writes[] = {
        {.kind = WEIR_PUT, .key = text("a"), .value = text("1")},
        {.kind = WEIR_PUT, .key = text("a"), .value = text("2"), .conditional = true},
        {.kind = WEIR_DELETE, .key = text("a")},
        {.kind = WEIR_PUT, .key = text("a"), .value = text("3"), .conditional = true},
    };
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 2, WEIR_NONE, NULL),
                     WEIR_E_CONFLICT); /* it is there by then */
    expect(&store, "a", NULL, 0);
    writes[1].conditional = false;
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 4, WEIR_NONE, NULL), 0);
    expect_history(&store, "a", "4:3 3:- 2:2 1:1");
    writes[1].conditional = true;
    writes[1].expected = UINT64_MAX;
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 2, WEIR_NONE, NULL),
                     WEIR_E_CONFLICT);
    store_close(&store);
}

static void a_batch_larger_than_a_group_is_refused(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    static char big[8192];
    static struct weir_write writes[64];
    for (size_t i = 0; i < 64; i++) {
        writes[i] =
            (struct weir_write){.kind = WEIR_PUT, .key = {big, i + 1}, .value = {big, sizeof big}};
    }
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 64, WEIR_EACH, NULL),
                     WEIR_E_TOO_BIG);
    assert_int_equal(latest(&store), 0);
    store_close(&store);
}

static void a_hot_key_in_one_batch_keeps_its_history(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    enum { COUNT = 600 };
    static struct weir_write writes[COUNT];
    static char values[COUNT][8];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(values[i], sizeof values[i], "%zu", i);
        writes[i] =
            (struct weir_write){.kind = WEIR_PUT, .key = text("k"), .value = text(values[i])};
    }
    assert_int_equal(weir_engine_write_batch(store.engine, writes, COUNT, WEIR_EACH, NULL), 0);
    for (size_t i = 0; i < COUNT; i += 37) {
        expect_as_of(&store, i + 1, "k", values[i]);
    }
    store_close(&store);
}

static void writes_to_a_read_only_log_are_refused(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    put(&store, "a", "1");
    store_stop(&store);
    store.log_options.flags = WEIR_LOG_READ_ONLY;
    store.log_options.segment_bytes = 0;
    store_start(&store);
    weir_table table;
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("2"), WEIR_EACH, NULL),
                     WEIR_E_READ_ONLY);
    assert_int_equal(weir_table_open(store.engine, "t", true, &table), WEIR_E_READ_ONLY);
    assert_int_equal(weir_table_open(store.engine, "t", false, &table), WEIR_E_NO_TABLE);
    expect(&store, "a", "1", 1);
    store_close(&store);
}

static int put_number(struct store *store, unsigned number)
{
    char key[24];
    snprintf(key, sizeof key, "%08x", number * 2654435761u);
    return weir_put(store->engine, WEIR_TABLE_DEFAULT, text(key), text("v"), WEIR_NONE, NULL);
}

static unsigned fill_index(struct store *store, unsigned from)
{
    int rc = 0;
    unsigned number = from;
    while ((rc = put_number(store, number)) == 0) {
        number++;
    }
    assert_int_equal(rc, WEIR_E_INDEX_FULL);
    return number;
}

static void erase_numbers(struct store *store, unsigned from, unsigned end)
{
    for (unsigned number = from; number < end; number++) {
        char key[24];
        snprintf(key, sizeof key, "%08x", number * 2654435761u);
        erase(store, key);
    }
}

/* The newest segments stay as they are in a compaction. */
static void fill_newest_segments(struct store *store)
{
    static const char big[60000];
    struct weir_bytes value = {big, sizeof big};
    for (int i = 0; i < 20; i++) {
        assert_int_equal(weir_put(store->engine, 0, text("big"), value, WEIR_NONE, NULL), 0);
    }
}

static void compact_away(struct store *store)
{
    fill_newest_segments(store);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.thorough = true;
    settle(store);
    assert_int_equal(weir_engine_compact(store->engine, &options, &report, &why), 0);
    assert_true(report.keys_dropped > 0);
    assert_int_equal(weir_engine_maintain(store->engine, &why), 0);
}

static void a_full_index_takes_changes_of_its_keys_and_new_ones_for_those_compacted_away(
    void **state)
{
    (void)state;
    struct store store;
    store_open_with(&store, STORE_SEGMENT, (uint64_t)256 << 10);
    put(&store, "big", "");
    unsigned end = fill_index(&store, 0);
    assert_int_equal(put_number(&store, 7), 0); /* there is such a key */
    erase_numbers(&store, 0, end - end / 8);
    assert_int_equal(put_number(&store, end), WEIR_E_INDEX_FULL);
    assert_int_equal(put_number(&store, 7), 0); /* deleted, and still in the index */
    compact_away(&store);
    /* Twice, so that memory is used again that was for nodes of all sizes. */
    for (unsigned turn = 0; turn < 2; turn++) {
        unsigned begun = end;
        end = fill_index(&store, begun);
        assert_true(end - begun > begun / 4);
        erase_numbers(&store, begun, end);
        compact_away(&store);
    }
    store_reopen(&store);
    assert_int_equal(put_number(&store, 7), 0);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_01_each_change_appends_one_record_and_the_delete_of_an_absent_key_none),
        cmocka_unit_test(se_06_every_record_says_what_it_did_and_links_to_the_version_before),
        cmocka_unit_test(se_04_an_empty_value_is_present),
        cmocka_unit_test(se_10_changing_the_buffer_of_the_caller_changes_nothing),
        cmocka_unit_test(se_12_a_condition_that_does_not_hold_appends_nothing),
        cmocka_unit_test(keys_and_values_over_the_limit_are_refused_and_nothing_changes),
        cmocka_unit_test(a_batch_is_stored_whole_and_linked_inside),
        cmocka_unit_test(a_batch_with_one_change_that_is_refused_stores_nothing),
        cmocka_unit_test(se_12_a_condition_sees_the_earlier_changes_of_its_batch),
        cmocka_unit_test(a_batch_larger_than_a_group_is_refused),
        cmocka_unit_test(a_hot_key_in_one_batch_keeps_its_history),
        cmocka_unit_test(writes_to_a_read_only_log_are_refused),
        cmocka_unit_test(
            a_full_index_takes_changes_of_its_keys_and_new_ones_for_those_compacted_away),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
