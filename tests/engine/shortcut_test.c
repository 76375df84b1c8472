/*
 * Shortcuts: that gets take them, and that they lead to the newest version. A get takes one when it
 * finds a key while the index has been made to look empty.
 */
#include "store.h"

#include "base/system.h"
#include "engine/engine.h"
#include "engine/shortcut_find.h"
#include "wal/segment.h"

#define KEY_MAX 129

struct subject {
    struct store store;
    uint8_t bytes[KEY_MAX];
    struct weir_bytes key;
};

static void begin(struct subject *subject, size_t key_size)
{
    store_open(&subject->store);
    memset(subject->bytes, 'k', sizeof subject->bytes);
    subject->key = (struct weir_bytes){subject->bytes, key_size};
}

static struct index *index_of(struct subject *subject)
{
    return &table_of(subject->store.engine, 0)->index;
}

/* value NULL: absent. */
static void expect_get(struct subject *subject, const char *value)
{
    struct weir_read read;
    struct weir_row row;
    assert_int_equal(weir_read_begin(subject->store.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, 0, subject->key, &row), value != NULL ? 1 : 0);
    if (value != NULL) {
        assert_int_equal(row.value.size, strlen(value));
        assert_memory_equal(row.value.data, value, row.value.size);
    }
    weir_read_end(&read);
}

/* What a get finds without the index; the index is as before afterwards. */
static void expect_without_index(struct subject *subject, const char *value)
{
    struct index *index = index_of(subject);
    uint64_t root = atomic_exchange(&index->root, 0);
    expect_get(subject, value);
    atomic_store(&index->root, root);
}

static void write_value(struct subject *subject, const char *value)
{
    assert_int_equal(weir_put(subject->store.engine, 0, subject->key, text(value), WEIR_NONE, NULL),
                     0);
}

static void a_shortcut_leads_to_the_newest_version_of_keys_of_each_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 8, 9, 60, 128};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct subject subject;
        begin(&subject, sizes[i]);
        write_value(&subject, "1");
        expect_without_index(&subject, NULL); /* nobody has asked for it */
        expect_get(&subject, "1");
        expect_without_index(&subject, "1");
        write_value(&subject, "2");
        expect_without_index(&subject, "2");
        assert_int_equal(weir_delete(subject.store.engine, 0, subject.key, WEIR_NONE, NULL), 0);
        expect_get(&subject, NULL);
        write_value(&subject, "3");
        expect_get(&subject, "3");
        expect_without_index(&subject, "3");
        store_reopen(&subject.store);
        expect_without_index(&subject, NULL);
        expect_get(&subject, "3");
        expect_without_index(&subject, "3");
        store_close(&subject.store);
    }
}

/* Nobody checks a segment of a log that was opened before somebody reads there. */
static void a_shortcut_into_a_segment_that_is_not_checked_is_taken(void **state)
{
    (void)state;
    struct subject subject;
    uint64_t address;
    begin(&subject, 8);
    write_value(&subject, "1");
    fill_store(&subject.store, 0, 30000);
    store_reopen(&subject.store);
    expect_get(&subject, "1");
    const struct index_key key = {subject.key.data, (uint32_t)subject.key.size};
    assert_true(index_candidate(index_of(&subject), key, &address));
    const struct place_slot *slot = place_slot_of(&subject.store.engine->places, address);
    assert_int_equal(segment_plain_end(atomic_load(&slot->segment)), 0);
    expect_without_index(&subject, "1");
    store_close(&subject.store);
}

/* Of keys with the same tag in the same line, each has its own. */
static void a_shortcut_behind_others_of_the_same_tag_is_taken(void **state)
{
    (void)state;
    struct subject subject;
    uint64_t numbers[3], number = 0;
    begin(&subject, 8);
    for (unsigned found = 0; found < 3; number++) {
        if (shortcut_tag(shortcut_hash(&number, sizeof number)) == 7) {
            numbers[found++] = number;
        }
    }
    static const char *const values[] = {"1", "2", "3"};
    for (unsigned i = 0; i < 3; i++) {
        subject.key.data = &numbers[i];
        write_value(&subject, values[i]);
        expect_get(&subject, values[i]);
    }
    assert_int_equal(atomic_load(&index_of(&subject)->shortcut_map)->count, 1);
    for (unsigned i = 0; i < 3; i++) {
        subject.key.data = &numbers[i];
        expect_without_index(&subject, values[i]);
    }
    subject.key.data = &number; /* as the next of the same tag, which there is not */
    while (shortcut_tag(shortcut_hash(&number, sizeof number)) != 7) {
        number++;
    }
    expect_get(&subject, NULL);
    store_close(&subject.store);
}

static void a_key_that_is_too_long_has_no_shortcut(void **state)
{
    (void)state;
    struct subject subject;
    begin(&subject, SHORTCUT_KEY_BYTES_MAX + 1);
    write_value(&subject, "1");
    expect_get(&subject, "1");
    expect_without_index(&subject, NULL);
    expect_get(&subject, "1");
    store_close(&subject.store);
}

static void a_get_goes_to_the_index_while_the_line_is_held(void **state)
{
    (void)state;
    struct subject subject;
    begin(&subject, 8);
    write_value(&subject, "1");
    expect_get(&subject, "1");
    struct shortcut_map *map = atomic_load(&index_of(&subject)->shortcut_map);
    struct shortcut_line *line =
        shortcut_line_of(map, shortcut_hash(subject.key.data, subject.key.size));
    base_lock_acquire(&line->lock);
    expect_without_index(&subject, NULL);
    expect_get(&subject, "1");
    base_lock_release(&line->lock);
    expect_without_index(&subject, "1");
    store_close(&subject.store);
}

static void a_larger_map_waits_for_sections_and_is_held_meanwhile(void **state)
{
    (void)state;
    uint64_t pages = base_pages_in_use();
    struct subject subject;
    struct weir_read read;
    begin(&subject, 8);
    write_value(&subject, "1");
    expect_get(&subject, "1");
    struct index *index = index_of(&subject);
    struct epoch_bag *leaving = &subject.store.engine->shortcuts.leaving;
    struct shortcut_map *before = atomic_load(&index->shortcut_map);
    assert_int_equal(weir_read_begin(subject.store.engine, NULL, &read), 0);
    shortcut_begin(index);
    struct shortcut_map *coming = atomic_load(&index->shortcut_coming);
    assert_non_null(coming);
    assert_ptr_equal(atomic_load(&index->shortcut_map), before);
    struct shortcut_hold hold;
    const struct index_key key = {subject.key.data, (uint32_t)subject.key.size};
    shortcut_hold(index, key, &hold);
    assert_true(base_lock_is_held(&before->lines[0].lock));
    assert_true(base_lock_is_held(&coming->lines[0].lock));
    shortcut_release(index, &hold, 0, 0);
    assert_false(base_lock_is_held(&coming->lines[0].lock));
    weir_read_end(&read);
    (void)epoch_reclaim(index->epochs);
    assert_ptr_equal(atomic_load(&index->shortcut_map), coming);
    assert_null(atomic_load(&index->shortcut_coming));
    assert_int_equal(atomic_load(&leaving->bytes), sizeof(struct shortcut_line));
    (void)epoch_reclaim(index->epochs);
    assert_int_equal(atomic_load(&leaving->bytes), 0);
    assert_int_equal(atomic_load(&subject.store.engine->shortcuts.bytes),
                     sizeof(struct shortcut_line));
    store_close(&subject.store);
    assert_int_equal(base_pages_in_use(), pages);
}

static void *no_pages(void *context, size_t size, unsigned flags)
{
    (void)context, (void)size, (void)flags;
    return NULL;
}

static void without_memory_for_a_map_gets_go_on(void **state)
{
    (void)state;
    static const struct base_system system = {.pages_alloc = no_pages};
    struct subject subject;
    begin(&subject, 8);
    write_value(&subject, "1");
    base_system_set(&system);
    shortcut_begin(index_of(&subject));
    base_system_set(NULL);
    assert_null(atomic_load(&index_of(&subject)->shortcut_coming));
    expect_get(&subject, "1");
    store_close(&subject.store);
}

/* Of a segment so far away that its addresses end in the same 32 bits there is only the slot. */
static void of_two_segments_with_the_same_spots_one_has_shortcuts(void **state)
{
    (void)state;
    struct subject subject;
    uint64_t address;
    begin(&subject, 8);
    write_value(&subject, "1");
    expect_get(&subject, "1");
    const struct index_key key = {subject.key.data, (uint32_t)subject.key.size};
    assert_true(index_candidate(index_of(&subject), key, &address));
    struct engine_places *places = &subject.store.engine->places;
    uint64_t far = address + (UINT64_C(1) << 32) * INDEX_ADDRESS_ALIGN;
    struct place_slot *slot = place_slot_of(places, far);
    assert_int_equal(shortcut_spot(far), shortcut_spot(address));
    assert_false(place_claim(places, far)); /* nobody has looked into it */
    atomic_store(&slot->segment, (struct wal_segment *)(void *)subject.bytes);
    assert_false(place_claim(places, far));
    assert_true(place_claim(places, address));
    atomic_store(&slot->segment, NULL);
    expect_without_index(&subject, "1");
    store_close(&subject.store);
}

static void shortcuts_follow_conditions_batches_and_compaction(void **state)
{
    (void)state;
    struct subject subject;
    begin(&subject, 8);
    write_value(&subject, "1");
    expect_get(&subject, "1");
    struct weir_write write = {.kind = WEIR_PUT,
                               .key = subject.key,
                               .value = text("2"),
                               .conditional = true,
                               .expected = 1};
    struct weir_engine *engine = subject.store.engine;
    assert_int_equal(weir_engine_write(engine, &write, WEIR_NONE, NULL), 0);
    expect_without_index(&subject, "2");
    write = (struct weir_write){.kind = WEIR_PUT, .key = subject.key, .value = text("3")};
    assert_int_equal(weir_engine_write_batch(engine, &write, 1, WEIR_NONE, NULL), 0);
    expect_without_index(&subject, "3");
    fill_store(&subject.store, 0, 30000);
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.thorough = true;
    assert_int_equal(weir_engine_compact(engine, &options, &report, NULL), 0);
    assert_true(report.records_kept > 0);
    expect_get(&subject, "3");
    expect_without_index(&subject, "3");
    store_close(&subject.store);
}

/* Of so few keys that an index needs none, and of as many as it wants some for. */
static void large_indexes_make_shortcuts_by_themselves(void **state)
{
    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        struct subject subject;
        uint64_t number = 0;
        store_open(&subject.store);
        store_stop(&subject.store);
        subject.store.engine_options.flags = turn == 2 ? WEIR_ENGINE_NO_SHORTCUTS : 0;
        store_start(&subject.store);
        if (turn != 2) { /* as an engine is that no test has opened */
            struct engine_shortcuts *shortcuts = &subject.store.engine->shortcuts;
            shortcuts_destroy(shortcuts);
            shortcut_drop(index_of(&subject));
            atomic_store(&shortcuts->eager, false);
            shortcuts_init(shortcuts, &subject.store.engine->epochs);
        }
        struct weir_bytes key = {&number, sizeof number};
        uint64_t keys = turn == 0 ? SHORTCUT_KEYS_MIN - 1 : SHORTCUT_KEYS_MIN;
        for (number = 0; number < keys; number++) {
            assert_int_equal(weir_put(subject.store.engine, 0, key, text("v"), WEIR_NONE, NULL), 0);
        }
        for (number = 0; number < keys; number++) {
            struct weir_read read;
            struct weir_row row;
            assert_int_equal(weir_read_begin(subject.store.engine, NULL, &read), 0);
            assert_int_equal(weir_get(&read, 0, key, &row), 1);
            weir_read_end(&read);
        }
        struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
        assert_int_equal(weir_engine_stat(subject.store.engine, &status), 0);
        assert_int_equal(status.shortcut_bytes, turn == 1 ? (keys / SHORTCUT_SPOTS_MEANT + 1) *
                                                                sizeof(struct shortcut_line)
                                                          : 0);
        assert_int_equal(turn == 1, atomic_load(&index_of(&subject)->shortcut_map) != NULL);
        store_close(&subject.store);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shortcut_leads_to_the_newest_version_of_keys_of_each_size),
        cmocka_unit_test(a_shortcut_into_a_segment_that_is_not_checked_is_taken),
        cmocka_unit_test(a_shortcut_behind_others_of_the_same_tag_is_taken),
        cmocka_unit_test(a_key_that_is_too_long_has_no_shortcut),
        cmocka_unit_test(a_get_goes_to_the_index_while_the_line_is_held),
        cmocka_unit_test(a_larger_map_waits_for_sections_and_is_held_meanwhile),
        cmocka_unit_test(without_memory_for_a_map_gets_go_on),
        cmocka_unit_test(of_two_segments_with_the_same_spots_one_has_shortcuts),
        cmocka_unit_test(shortcuts_follow_conditions_batches_and_compaction),
        cmocka_unit_test(large_indexes_make_shortcuts_by_themselves),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
