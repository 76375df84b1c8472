/*
 * Shortcuts: that gets take them, and that they lead to the newest version. A get takes one when it
 * finds a key while the index has been made to look empty.
 */
#include "store.h"

#include "engine/engine.h"
#include "engine/shortcut_find.h"

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

/* The first get of all looks into the segment, and only the next one leaves a shortcut. */
static void learn(struct subject *subject, const char *value)
{
    expect_get(subject, value);
    expect_get(subject, value);
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
        learn(&subject, "1");
        expect_without_index(&subject, "1");
        write_value(&subject, "2");
        expect_without_index(&subject, "2");
        assert_int_equal(weir_delete(subject.store.engine, 0, subject.key, WEIR_NONE, NULL), 0);
        expect_get(&subject, NULL);
        write_value(&subject, "3");
        learn(&subject, "3");
        expect_without_index(&subject, "3");
        store_reopen(&subject.store);
        expect_without_index(&subject, NULL);
        learn(&subject, "3");
        expect_without_index(&subject, "3");
        store_close(&subject.store);
    }
}

static void a_key_that_is_too_long_has_no_shortcut(void **state)
{
    (void)state;
    struct subject subject;
    begin(&subject, SHORTCUT_KEY_BYTES_MAX + 1);
    write_value(&subject, "1");
    learn(&subject, "1");
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
    learn(&subject, "1");
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shortcut_leads_to_the_newest_version_of_keys_of_each_size),
        cmocka_unit_test(a_key_that_is_too_long_has_no_shortcut),
        cmocka_unit_test(a_get_goes_to_the_index_while_the_line_is_held),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
