/*
 * Applying the log record by record: what it looks at, and that what it takes for granted is so.
 */
#include "store.h"

#include "engine/checkpoint.h"
#include "wal/format.h"

#include <errno.h>
#include <stdio.h>

#define KEYS 4000
#define VALUE_BYTES 300

static const char *key_text(int number)
{
    static char key[24];
    snprintf(key, sizeof key, "key%07d", number);
    return key;
}

static void put_long(struct store *store, int number, char fill)
{
    char value[VALUE_BYTES];
    memset(value, fill, sizeof value);
    struct weir_bytes bytes = {value, sizeof value};
    assert_int_equal(
        weir_put(store->engine, WEIR_TABLE_DEFAULT, text(key_text(number)), bytes, WEIR_NONE, NULL),
        0);
}

/* Every third key is deleted; the rest of the newest segment is filled with another key. */
static void fill(struct store *store)
{
    for (int i = 0; i < KEYS; i++) {
        put_long(store, i, 'a');
    }
    for (int i = 0; i < KEYS; i += 3) {
        erase(store, key_text(i));
    }
    for (int i = 0; i < 1000; i++) {
        put_long(store, KEYS, 'z');
    }
    settle(store);
}

/* Each key in one of the ways that there are: updated, removed, inserted where it was deleted; some
 * twice, and some by a batch that links inside itself. */
static void change(struct store *store, int step)
{
    for (int i = 0; i < KEYS; i += step) {
        if (i % 3 == 0) {
            put_long(store, i, 'i');
        } else if (i % 2 == 0) {
            put_long(store, i, 'u');
        } else {
            erase(store, key_text(i));
        }
        if (i % 5 == 0) {
            put_long(store, i, 't');
        }
    }
    char key[24];
    snprintf(key, sizeof key, "%s", key_text(1));
    const struct weir_write writes[] = {
        {.kind = WEIR_PUT, .key = text(key), .value = text("1")},
        {.kind = WEIR_DELETE, .key = text(key)},
        {.kind = WEIR_PUT, .key = text(key), .value = text("2")},
    };
    assert_int_equal(weir_engine_write_batch(store->engine, writes, 3, WEIR_NONE, NULL), 0);
    settle(store);
}

static void compact(struct store *store)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.thorough = true;
    assert_int_equal(weir_engine_compact(store->engine, &options, &report, NULL), 0);
    assert_true(report.steps > 0 && report.records_kept > 0);
}

/* What following the log behind a checkpoint has given is what all of the log gives. */
static void expect_what_a_rebuild_gives(struct store *store)
{
    struct fingerprint followed = fingerprint_of(store, 0);
    struct weir_engine_open_report report = store_report(store);
    assert_true(report.from_checkpoint && report.replayed_records > 0);
    store->engine_options.flags = WEIR_ENGINE_NO_CHECKPOINT;
    store_reopen(store);
    store->engine_options.flags = 0;
    struct weir_engine_open_report rebuilt = store_report(store);
    assert_false(rebuilt.from_checkpoint);
    assert_int_equal(report.keys, rebuilt.keys);
    assert_int_equal(report.deleted_keys, rebuilt.deleted_keys);
    expect_fingerprint(store, 0, &followed);
}

/* ---- where it looks ---- */

struct looks {
    uint64_t below;          /* ordinals */
    _Atomic int maps, reads; /* of segments below it */
    bool fails;              /* reads do */
};

static int count_looks(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    struct looks *looks = context;
    uint64_t ordinal;
    if (!format_segment_ordinal(name, &ordinal) || ordinal >= looks->below) {
        return 0;
    }
    bool is_record = strcmp(call, "read") == 0 && offset > 0 && size <= (size_t)2 * 4096;
    looks->maps += strcmp(call, "map") == 0;
    looks->reads += is_record;
    return is_record && looks->fails ? -EIO : 0;
}

static void versions_before_those_behind_a_checkpoint_are_not_looked_at(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill(&store);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(store.log, &stat), 0);
    assert_true(stat.segments > 5);
    struct looks looks = {.below = stat.segments - 1}; /* keys are in the others */
    store_checkpoint(&store);
    change(&store, 7);
    store_stop(&store);
    store.disk.faults = (struct sim_memory_faults){count_looks, &looks};
    store_start(&store);
    assert_int_equal(looks.maps, 0);
    store_stop(&store);
    store.disk.faults = (struct sim_memory_faults){0};
    store_start(&store);
    expect_what_a_rebuild_gives(&store);
    store_close(&store);
}

/* New keys need no more than the records that they part from, wherever those are. */
static void new_keys_behind_a_checkpoint_make_no_old_segment_readable(void **state)
{
    (void)state;
    struct store store;
    struct looks looks = {0};
    char key[64];
    store_open(&store);
    fill(&store);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(store.log, &stat), 0);
    looks.below = stat.segments - 1;
    store_checkpoint(&store);
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "%s and more", key_text(i * 13));
        put(&store, key, "new");
    }
    settle(&store);
    for (int damaged = 0; damaged < 2; damaged++) {
        store_stop(&store);
        looks.maps = 0;
        looks.fails = damaged;
        store.disk.faults = (struct sim_memory_faults){count_looks, &looks};
        store_start(&store);
        assert_int_equal(looks.maps > 0, damaged); /* what cannot be fetched is looked at there */
        assert_true(looks.reads > 100);
        store_stop(&store);
        store.disk.faults = (struct sim_memory_faults){0};
        store_start(&store);
        expect_what_a_rebuild_gives(&store);
    }
    store_close(&store);
}

/* ---- what it must not take for granted ---- */

static void every_operation_over_every_other_is_counted_as_a_rebuild_counts_it(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill(&store);
    store_checkpoint(&store);
    change(&store, 1);
    change(&store, 2);
    store_reopen(&store);
    expect_what_a_rebuild_gives(&store);
    store_close(&store);
}

/* A record whose distance is not known: what it takes the place of is looked at, and counted. */
static void an_insert_that_does_not_say_where_the_delete_lies_takes_its_place(void **state)
{
    (void)state;
    struct store store;
    struct record_head head;
    uint8_t payload[RECORD_HEAD_BYTES_MAX + 1];
    store_open(&store);
    put(&store, "a", "1");
    const struct engine_version before = {.lsn = erase(&store, "a")};
    settle(&store);
    store_checkpoint(&store);
    record_build(&head, WEIR_INSERT, WEIR_TABLE_DEFAULT, 1, &before);
    memcpy(payload, head.bytes, head.size);
    payload[head.size] = 'a';
    (void)append_record(&store, WEIR_TYPE_CHANGE, payload, head.size + 1);
    store_reopen(&store);
    expect_what_a_rebuild_gives(&store);
    store_close(&store);
}

/* The index leads to another place than the link names, or to the record of another key. */
static void a_version_before_that_was_moved_is_found_where_it_is(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    fill(&store);
    compact(&store);
    store_checkpoint(&store);
    change(&store, 3);
    put(&store, "key0000001 and more", "new");
    put(&store, "other", "new");
    settle(&store);
    store_reopen(&store);
    expect_what_a_rebuild_gives(&store);
    store_close(&store);
}

/* Records that were changed and then moved have taken their distances along. */
static void moved_records_do_not_tell_where_the_version_before_is(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    fill(&store);
    store_open_beside(&store, &beside);
    change(&store, 3);
    compact(&store);
    change(&store, 5);
    assert_int_equal(weir_engine_refresh(beside.engine, NULL, NULL), 0);
    struct fingerprint here = fingerprint_of(&store, 0), there;
    assert_int_equal(weir_engine_fingerprint(beside.engine, 0, there.bytes, &there.keys), 0);
    assert_memory_equal(here.bytes, there.bytes, sizeof here.bytes);
    store_close_beside(&beside);
    store_close(&store);
}

/* Of a record that was moved the distance counts from where it was. */
static void the_distance_of_a_record_that_was_moved_is_not_followed(void **state)
{
    (void)state;
    struct store store;
    struct engine_version version;
    struct weir_record record;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "a", "2");
    settle(&store);
    struct weir_engine *engine = store.engine;
    struct engine_table *table = table_of(engine, WEIR_TABLE_DEFAULT);
    uint32_t slot = epoch_enter(&engine->epochs);
    assert_int_equal(place_find(&engine->places, table, text("a"), &version), 1);
    assert_int_equal(place_read(&engine->places, version.address, &record), 0);
    uint64_t back = (uint64_t)version.distance * RECORD_DISTANCE_UNIT;
    uint64_t moved = WAL_ADDRESS_COMPACTED * wal_address_segment_bytes(store.log) + 8 * back;
    const struct index_key key = {(const uint8_t *)"a", 1};
    assert_true(back > 0);
    assert_int_equal(index_replace(&table->index, key, version.address, version.address - back), 1);
    assert_int_equal(follow_apply(engine, &record, version.address), 0);
    assert_int_equal(index_replace(&table->index, key, version.address, moved - back), 1);
    assert_int_equal(follow_apply(engine, &record, moved), WEIR_E_TRUNCATED); /* it has looked */
    assert_int_equal(index_replace(&table->index, key, moved - back, version.address), 1);
    epoch_leave(&engine->epochs, slot);
    expect(&store, "a", "2", version.lsn);
    store_close(&store);
}

/* The newest record of a key and the one in front of it, applied when the newest is in the index:
 * a checkpoint that was made beside writers may hold it. */
static void apply_the_one_before(struct store *store, const char *name)
{
    struct weir_engine *engine = store->engine;
    struct engine_table *table = table_of(engine, WEIR_TABLE_DEFAULT);
    struct engine_version version;
    struct weir_record record;
    uint32_t slot = epoch_enter(&engine->epochs);
    assert_int_equal(place_find(&engine->places, table, text(name), &version), 1);
    uint64_t before = version.address - (uint64_t)version.distance * RECORD_DISTANCE_UNIT;
    assert_true(before != version.address);
    for (int turn = 0; turn < 2; turn++) {
        uint64_t address = turn == 0 ? version.address : before;
        assert_int_equal(place_read(&engine->places, address, &record), 0);
        assert_int_equal(follow_apply(engine, &record, address), 0);
    }
    epoch_leave(&engine->epochs, slot);
}

static void an_older_version_does_not_take_the_place_of_a_newer_one(void **state)
{
    (void)state;
    struct store store;
    struct weir_row row;
    struct weir_read read;
    store_open(&store);
    put(&store, "a", "1");
    put(&store, "a", "2");
    put(&store, "b", "1");
    erase(&store, "b");
    settle(&store);
    struct engine_table *table = table_of(store.engine, WEIR_TABLE_DEFAULT);
    apply_the_one_before(&store, "a");
    apply_the_one_before(&store, "b");
    expect(&store, "a", "2", 0);
    assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, WEIR_TABLE_DEFAULT, text("b"), &row), 0);
    weir_read_end(&read);
    assert_int_equal(atomic_load(&table->deleted), 1);
    store_close(&store);
}

struct sources {
    struct weir_engine *engine; /* NULL: nobody looks */
    int looks, others;
};

static int look_at_source(void *context, const char *call, const char *name, uint64_t offset,
                          size_t size)
{
    struct sources *sources = context;
    (void)call, (void)name, (void)offset, (void)size;
    if (sources->engine != NULL) {
        sources->looks++;
        sources->others +=
            table_of(sources->engine, WEIR_TABLE_DEFAULT)->index.source.load != place_load_key;
    }
    return 0;
}

/* Others read in it meanwhile, and its writer may drop segments. */
static void a_reader_that_follows_keeps_the_source_of_its_index(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct sources sources = {0};
    store_open(&store);
    fill(&store);
    store.disk.faults = (struct sim_memory_faults){look_at_source, &sources};
    store_open_beside(&store, &beside);
    store.disk.faults = (struct sim_memory_faults){0};
    change(&store, 1); /* into new segments, which it has to map */
    sources.engine = beside.engine;
    assert_int_equal(weir_engine_refresh(beside.engine, NULL, NULL), 0);
    sources.engine = NULL;
    assert_true(sources.looks > 0);
    assert_int_equal(sources.others, 0);
    store_close_beside(&beside);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_before_those_behind_a_checkpoint_are_not_looked_at),
        cmocka_unit_test(new_keys_behind_a_checkpoint_make_no_old_segment_readable),
        cmocka_unit_test(every_operation_over_every_other_is_counted_as_a_rebuild_counts_it),
        cmocka_unit_test(an_insert_that_does_not_say_where_the_delete_lies_takes_its_place),
        cmocka_unit_test(a_version_before_that_was_moved_is_found_where_it_is),
        cmocka_unit_test(an_older_version_does_not_take_the_place_of_a_newer_one),
        cmocka_unit_test(a_reader_that_follows_keeps_the_source_of_its_index),
        cmocka_unit_test(the_distance_of_a_record_that_was_moved_is_not_followed),
        cmocka_unit_test(moved_records_do_not_tell_where_the_version_before_is),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
