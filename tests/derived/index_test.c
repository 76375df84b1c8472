/* The secondary index: what an event does to it, and what is found. */
#include "tests/derived/index_support.h"

#include "base/alloc.h"

#include <errno.h>

static struct index_fixture fixture;

static int set_up_one_field(void **state)
{
    (void)state;
    set_up_index(&fixture, 1);
    return 0;
}

static int set_up_two_fields(void **state)
{
    (void)state;
    set_up_index(&fixture, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tear_down_index(&fixture);
    return 0;
}

/* ---- what events do ---- */

static void ds_10_values_lead_to_keys_in_the_order_of_value_then_table_then_key(void **state)
{
    (void)state;
    put(&fixture, "pear", "food");
    put(&fixture, "apple", "food");
    put(&fixture, "nail", "tools");
    assert_int_equal(put_bytes(&fixture, 3, bytes_of("apple"), bytes_of("food")), 0);
    assert_int_equal(put_bytes(&fixture, 256, bytes_of("aaa"), bytes_of("food")), 0);
    assert_string_equal(find_equal(&fixture, "food"),
                        "food:apple food:pear food:3/apple food:256/aaa");
    assert_string_equal(find_equal(&fixture, "tools"), "tools:nail");
    assert_string_equal(find_equal(&fixture, "foo"), "");
    expect_counts(&fixture, 5, 2, 5);
}

static void ds_10_an_update_moves_a_row_by_its_before_image_alone(void **state)
{
    (void)state;
    put(&fixture, "a", "old");
    put(&fixture, "b", "old");
    put(&fixture, "a", "new");
    assert_string_equal(find_equal(&fixture, "old"), "old:b");
    assert_string_equal(find_equal(&fixture, "new"), "new:a");
    put(&fixture, "b", "new");
    assert_string_equal(find_all(&fixture), "new:a new:b");
    expect_counts(&fixture, 2, 1, 2);
}

static void ds_10_a_delete_takes_its_entries_and_what_only_they_needed(void **state)
{
    (void)state;
    put(&fixture, "a", "x,y");
    put(&fixture, "b", "y");
    delete (&fixture, "a");
    assert_string_equal(find_all(&fixture), "y:b");
    expect_counts(&fixture, 1, 1, 1);
    delete (&fixture, "b");
    assert_string_equal(find_all(&fixture), "");
    expect_counts(&fixture, 0, 0, 0);
    put(&fixture, "a", "z");
    assert_string_equal(find_all(&fixture), "z:a");
}

static void ds_10_a_row_without_the_field_is_not_indexed(void **state)
{
    (void)state;
    put(&fixture, "a", "~");
    assert_string_equal(find_all(&fixture), "");
    put(&fixture, "a", "x");
    assert_string_equal(find_all(&fixture), "x:a");
    put(&fixture, "a", "~");
    assert_string_equal(find_all(&fixture), "");
    delete (&fixture, "a");
    expect_counts(&fixture, 0, 0, 0);
}

static void ds_10_the_empty_value_is_a_value(void **state)
{
    (void)state;
    put(&fixture, "a", "");
    put(&fixture, "b", "x,");
    put(&fixture, "c", "~");
    assert_string_equal(find_equal(&fixture, ""), ":a :b");
    assert_string_equal(find_all(&fixture), ":a :b x:b");
    put(&fixture, "a", "x");
    assert_string_equal(find_equal(&fixture, ""), ":b");
}

static void ds_10_an_array_is_several_values_and_each_counts_once(void **state)
{
    (void)state;
    put(&fixture, "a", "red,blue,red,red");
    assert_string_equal(find_all(&fixture), "blue:a red:a");
    put(&fixture, "a", "green,blue");
    assert_string_equal(find_all(&fixture), "blue:a green:a");
    put(&fixture, "a", "blue,blue");
    assert_string_equal(find_all(&fixture), "blue:a");
    expect_counts(&fixture, 1, 1, 1);
}

static void ds_10_several_fields_are_one_value_and_sort_field_by_field(void **state)
{
    (void)state;
    put(&fixture, "a", "b;x");
    put(&fixture, "b", "a;y");
    put(&fixture, "c", "a;x");
    put(&fixture, "d", "ab;a");
    put(&fixture, "e", "a");     /* no second field */
    put(&fixture, "f", "~;z");   /* no first one */
    put(&fixture, "g", "a;z;q"); /* a third one is nobody's */
    assert_string_equal(find_all(&fixture), "a|x:c a|y:b a|z:g ab|a:d b|x:a");
    expect_counts(&fixture, 5, 5, 5);
}

static void ds_10_arrays_in_several_fields_give_each_combination(void **state)
{
    (void)state;
    put(&fixture, "a", "p,q;1,2");
    assert_string_equal(find_all(&fixture), "p|1:a p|2:a q|1:a q|2:a");
    put(&fixture, "a", "q,r;2");
    assert_string_equal(find_all(&fixture), "q|2:a r|2:a");
}

static void ds_10_zero_bytes_sort_as_any_byte_in_each_field(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        struct weir_bytes value;
    } rows[] = {/* in the order that they are found in */
                {"0", {";1", 2}},      {"1", {"\0;0", 3}},     {"2", {"\0\0;0", 4}},
                {"3", {"\0\1;0", 4}},  {"4", {"\0\377;0", 4}}, {"5", {"a;\0", 3}},
                {"6", {"a;b", 3}},     {"7", {"a\0;a", 4}},    {"8", {"a\0b;a", 5}},
                {"9", {"a\1;\0\0", 5}}};
    for (size_t index = COUNT_OF(rows); index-- > 0;) {
        assert_int_equal(put_bytes(&fixture, 0, bytes_of(rows[index].key), rows[index].value), 0);
    }
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    static struct found found;
    found = (struct found){.size = 0};
    (void)find_all(&fixture);
    assert_int_equal(weir_index_find(fixture.index, &query, collect, &found), 0);
    char keys[32] = "";
    for (size_t at = 0; at < found.size; at++) {
        if (at > 0 && found.text[at - 1] == ':') {
            (void)snprintf(keys + strlen(keys), sizeof keys - strlen(keys), "%c", found.text[at]);
        }
    }
    assert_string_equal(keys, "0123456789");
    struct weir_bytes value = {"a\0", 2};
    query.values = &value;
    query.count = 1;
    found = (struct found){.size = 0};
    assert_int_equal(weir_index_find(fixture.index, &query, collect, &found), 0);
    assert_int_equal(found.count, 1);
    query.prefix = true;
    found = (struct found){.size = 0};
    assert_int_equal(weir_index_find(fixture.index, &query, collect, &found), 0);
    assert_int_equal(found.count, 2);
}

static void ds_10_a_value_that_did_not_change_is_not_touched(void **state)
{
    (void)state;
    put(&fixture, "a", "same,other");
    put(&fixture, "a", "same,other"); /* takes room to compare */
    uint64_t allocations = base_alloc_count();
    for (int index = 0; index < 100; index++) {
        put(&fixture, "a", "same,other");
    }
    assert_int_equal(base_alloc_count(), allocations);
    assert_string_equal(find_all(&fixture), "other:a same:a");
}

static void ds_10_values_beyond_the_limit_are_counted_and_not_indexed(void **state)
{
    (void)state;
    put(&fixture, "a", "*4096");
    put(&fixture, "b", "*4097,short");
    put(&fixture, "c", "*1000000");
    struct weir_index_status status = status_of(fixture.index);
    assert_int_equal(status.skipped_values, 2);
    assert_int_equal(status.entries, 2);
    assert_string_equal(find_equal(&fixture, "short"), "short:b");
    put(&fixture, "b", "short");
    assert_int_equal(status_of(fixture.index).skipped_values, 1);
    delete (&fixture, "c");
    assert_int_equal(status_of(fixture.index).skipped_values, 0);
}

static void ds_10_rows_that_are_no_document_are_counted_as_long_as_they_are_there(void **state)
{
    (void)state;
    put(&fixture, "a", "!");
    put(&fixture, "b", "!");
    put(&fixture, "c", "x");
    assert_int_equal(status_of(fixture.index).skipped_documents, 2);
    put(&fixture, "a", "x");
    put(&fixture, "b", "!");
    assert_int_equal(status_of(fixture.index).skipped_documents, 1);
    delete (&fixture, "b");
    assert_int_equal(status_of(fixture.index).skipped_documents, 0);
    put(&fixture, "c", "!");
    assert_string_equal(find_all(&fixture), "x:a");
}

/* A document of `count` different values, each twice. */
static char *many_values(uint32_t count)
{
    char *text = malloc((size_t)count * 20);
    assert_non_null(text);
    char *to = text;
    for (uint32_t index = 0; index < 2 * count; index++) {
        to += sprintf(to, "%s%u", index > 0 ? "," : "", (unsigned)(index % count));
    }
    return text;
}

/* An insert of a row that the list has no room for. */
static int insert(struct weir_index *index, const char *key, const char *value)
{
    struct weir_event event = {
        .operation = WEIR_INSERT, .key = bytes_of(key), .after = bytes_of(value)};
    return weir_index_ops()->apply(index, &event);
}

static void ds_10_a_row_with_too_many_values_has_no_entry_and_is_counted(void **state)
{
    (void)state;
    static const uint32_t beyond[] = {WEIR_INDEX_VALUES_MAX + 1, 5000, 100000};
    put(&fixture, "a", "x");
    for (size_t index = 0; index < COUNT_OF(beyond); index++) {
        char *text = many_values(beyond[index]);
        char key[] = {(char)('p' + index), '\0'};
        assert_int_equal(insert(fixture.index, key, text), 0);
        free(text);
        assert_string_equal(find_all(&fixture), "x:a");
        expect_counts(&fixture, 1, 1, 1);
        assert_int_equal(status_of(fixture.index).skipped_values, index + 1);
    }
    char *many = many_values(5000);
    struct weir_event event = {.operation = WEIR_UPDATE,
                               .key = bytes_of("b"),
                               .before = bytes_of(many),
                               .after = bytes_of("x")};
    assert_int_equal(fixture.ops->apply(fixture.index, &event), 0);
    assert_string_equal(find_all(&fixture), "x:a x:b");
    event.operation = WEIR_REMOVE;
    event.before = event.after;
    assert_int_equal(fixture.ops->apply(fixture.index, &event), 0);
    free(many);
    char *text = many_values(WEIR_INDEX_VALUES_MAX);
    assert_int_equal(insert(fixture.index, "b", text), 0);
    free(text);
    expect_counts(&fixture, 2, 1 + WEIR_INDEX_VALUES_MAX, 1 + WEIR_INDEX_VALUES_MAX);
}

static void ds_10_too_many_combinations_are_too_many_values(void **state)
{
    (void)state;
    char text[2000] = "";
    for (int index = 0; index < 33; index++) {
        (void)sprintf(text + strlen(text), "%s%d", index > 0 ? "," : "", index);
    }
    char both[4100];
    (void)snprintf(both, sizeof both, "%s;%s", text, text); /* 1089 */
    assert_int_equal(insert(fixture.index, "a", both), 0);
    expect_counts(&fixture, 0, 0, 0);
    (void)snprintf(both, sizeof both, "%s;%s", text, "0,1,2");
    assert_int_equal(insert(fixture.index, "a", both), 0);
    expect_counts(&fixture, 1, 99, 99);
    (void)snprintf(both, sizeof both, "%s;~", text); /* one field is missing: none */
    assert_int_equal(insert(fixture.index, "b", both), 0);
    expect_counts(&fixture, 1, 99, 99);
}

static void an_extractor_that_fails_parks_the_index_and_changes_nothing(void **state)
{
    (void)state;
    put(&fixture, "a", "x");
    put(&fixture, "b", "x,y");
    assert_int_equal(put_bytes(&fixture, 0, bytes_of("a"), bytes_of("?")), EXTRACT_FAILS);
    assert_int_equal(put_bytes(&fixture, 0, bytes_of("c"), bytes_of("?")), EXTRACT_FAILS);
    assert_string_equal(find_all(&fixture), "x:a x:b y:b");
    expect_counts(&fixture, 2, 2, 3);
    put(&fixture, "a", "y"); /* and goes on */
    assert_string_equal(find_all(&fixture), "x:b y:a y:b");
}

static void before_images_of_what_it_never_saw_are_passed_over(void **state)
{
    (void)state;
    struct weir_event event = {.operation = WEIR_UPDATE,
                               .key = bytes_of("a"),
                               .before = bytes_of("never"),
                               .after = bytes_of("x")};
    assert_int_equal(fixture.ops->apply(fixture.index, &event), 0);
    assert_string_equal(find_all(&fixture), "x:a");
    event = (struct weir_event){
        .operation = WEIR_REMOVE, .key = bytes_of("b"), .before = bytes_of("x")};
    assert_int_equal(fixture.ops->apply(fixture.index, &event), 0);
    event = (struct weir_event){
        .operation = WEIR_REMOVE, .key = bytes_of("a"), .before = bytes_of("!")};
    assert_int_equal(fixture.ops->apply(fixture.index, &event), 0);
    assert_string_equal(find_all(&fixture), "x:a");
    assert_int_equal(status_of(fixture.index).skipped_documents, 0);
    event.before = bytes_of("x");
    assert_int_equal(fixture.ops->apply(fixture.index, &event), 0);
    expect_counts(&fixture, 0, 0, 0);
}

static void reset_leaves_nothing(void **state)
{
    (void)state;
    uint8_t empty[16];
    uint8_t after[16];
    fingerprint_of(fixture.index, empty);
    put(&fixture, "a", "x,y");
    put(&fixture, "b", "!");
    put(&fixture, "c", "*5000");
    fixture.ops->reset(fixture.index);
    fingerprint_of(fixture.index, after);
    assert_memory_equal(empty, after, 16);
    expect_counts(&fixture, 0, 0, 0);
    assert_int_equal(status_of(fixture.index).skipped_documents, 0);
    assert_int_equal(status_of(fixture.index).skipped_values, 0);
    assert_string_equal(find_all(&fixture), "");
}

/* ---- what is found ---- */

static void put_alphabet(void)
{
    static const char *const values[] = {"a", "ab", "abc", "b", "ba", "\xff", "\xff\xff"};
    for (size_t index = COUNT_OF(values); index-- > 0;) {
        char key[2] = {(char)('1' + index), 0};
        put(&fixture, key, values[index]);
    }
}

static void a_prefix_finds_all_values_that_begin_with_it(void **state)
{
    (void)state;
    put_alphabet();
    assert_string_equal(find_prefix(&fixture, "a"), "a:1 ab:2 abc:3");
    assert_string_equal(find_prefix(&fixture, "ab"), "ab:2 abc:3");
    assert_string_equal(find_prefix(&fixture, "abd"), "");
    assert_string_equal(find_prefix(&fixture, "\xff"), "\xff:6 \xff\xff:7");
    assert_string_equal(find_prefix(&fixture, ""), find_all(&fixture));
    assert_string_equal(find_equal(&fixture, "ab"), "ab:2");
}

static void a_range_has_its_begin_and_not_its_end(void **state)
{
    (void)state;
    put_alphabet();
    assert_string_equal(find_range(&fixture, "ab", "b"), "ab:2 abc:3");
    assert_string_equal(find_range(&fixture, "aa", "ba"), "ab:2 abc:3 b:4");
    assert_string_equal(find_range(&fixture, "b", NULL), "b:4 ba:5 \xff:6 \xff\xff:7");
    assert_string_equal(find_range(&fixture, "", "ab"), "a:1");
    assert_string_equal(find_range(&fixture, "b", "ab"), "");
    assert_string_equal(find_range(&fixture, "", ""), "");
}

static void of_several_fields_the_first_ones_are_enough(void **state)
{
    (void)state;
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    struct weir_bytes values[2] = {bytes_of("a"), bytes_of("x")};
    put(&fixture, "1", "a;x");
    put(&fixture, "2", "a;xy");
    put(&fixture, "3", "ab;x");
    put(&fixture, "4", "a;y");
    assert_string_equal(find_equal(&fixture, "a"), "a|x:1 a|xy:2 a|y:4");
    assert_string_equal(find_prefix(&fixture, "a"), "a|x:1 a|xy:2 a|y:4 ab|x:3");
    assert_string_equal(find_range(&fixture, "a", "ab"), "a|x:1 a|xy:2 a|y:4");
    assert_string_equal(find_range(&fixture, "ab", NULL), "ab|x:3");
    query.values = values;
    query.count = 2;
    assert_string_equal(find(&fixture, &query), "a|x:1");
    query.prefix = true;
    assert_string_equal(find(&fixture, &query), "a|x:1 a|xy:2");
}

static void reverse_gives_the_same_from_the_other_end(void **state)
{
    (void)state;
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    put(&fixture, "1", "a,b");
    put(&fixture, "2", "a");
    put(&fixture, "3", "b");
    query.reverse = true;
    assert_string_equal(find(&fixture, &query), "b:3 b:1 a:2 a:1");
    query.limit = 3;
    assert_string_equal(find(&fixture, &query), "b:3 b:1 a:2");
    query.reverse = false;
    assert_string_equal(find(&fixture, &query), "a:1 a:2 b:1");
    query.limit = 1;
    assert_string_equal(find(&fixture, &query), "a:1");
}

#define MANY 5000u

static int count_ascending(void *context, const struct weir_bytes *values, weir_table table,
                           struct weir_bytes key)
{
    uint64_t *next = context;
    (void)values;
    (void)table;
    char expected[16];
    (void)snprintf(expected, sizeof expected, "%08lu", (unsigned long)*next);
    assert_int_equal(key.size, 8);
    assert_memory_equal(key.data, expected, 8);
    *next += 2;
    return 0;
}

static void many_rows_of_a_value_come_in_order_however_many_are_wanted(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < MANY; index++) {
        uint32_t scattered = index * 1999 % MANY;
        char key[16];
        (void)snprintf(key, sizeof key, "%08u", (unsigned)scattered);
        assert_int_equal(insert(fixture.index, key, scattered % 2 == 0 ? "even" : "odd"), 0);
    }
    for (uint64_t limit = 0; limit <= MANY; limit = limit == 0 ? 1 : limit * 3) {
        struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
        struct weir_bytes value = bytes_of("even");
        query.values = &value;
        query.count = 1;
        query.limit = limit;
        uint64_t next = 0;
        assert_int_equal(weir_index_find(fixture.index, &query, count_ascending, &next), 0);
        assert_int_equal(next / 2, limit == 0 || limit > MANY / 2 ? MANY / 2 : limit);
    }
}

static int stop_at_second(void *context, const struct weir_bytes *values, weir_table table,
                          struct weir_bytes key)
{
    (void)values;
    (void)table;
    (void)key;
    return ++*(int *)context == 2 ? 7 : 0;
}

static void a_function_that_stops_is_not_called_again(void **state)
{
    (void)state;
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    int calls = 0;
    put_alphabet();
    assert_int_equal(weir_index_find(fixture.index, &query, stop_at_second, &calls), 7);
    assert_int_equal(calls, 2);
}

static void a_query_that_is_none_is_refused(void **state)
{
    (void)state;
    struct weir_bytes values[2] = {bytes_of("a"), bytes_of("b")};
    struct weir_index_query none = WEIR_INDEX_QUERY_INIT;
    struct weir_index_query cases[6];
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        cases[index] = none;
        cases[index].values = values;
    }
    cases[0].count = 2; /* of one field */
    cases[1].prefix = true;
    cases[2].count = 1;
    cases[2].ranged = true;
    cases[3].reserved[3] = 1;
    cases[4].size = 3;
    cases[5].ranged = true;
    cases[5].prefix = true;
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        assert_int_equal(weir_index_find(fixture.index, &cases[index], collect, NULL), -EINVAL);
    }
    assert_int_equal(weir_index_find(fixture.index, NULL, collect, NULL), -EINVAL);
    assert_int_equal(weir_index_find(fixture.index, &none, NULL, NULL), -EINVAL);
    assert_int_equal(weir_index_find(NULL, &none, collect, NULL), -EINVAL);
}

static void options_that_make_no_index_are_refused(void **state)
{
    (void)state;
    struct weir_index_options none = WEIR_INDEX_OPTIONS_INIT;
    struct weir_index_options cases[4];
    struct weir_index *index = NULL;
    none.extract = extract_fields;
    for (size_t at = 0; at < COUNT_OF(cases); at++) {
        cases[at] = none;
    }
    cases[0].extract = NULL;
    cases[1].fields = WEIR_INDEX_FIELDS_MAX + 1;
    cases[2].reserved = 1;
    cases[3].size = 1;
    for (size_t at = 0; at < COUNT_OF(cases); at++) {
        assert_int_equal(weir_index_create(&cases[at], &index), -EINVAL);
    }
    assert_int_equal(weir_index_create(NULL, &index), -EINVAL);
    assert_null(index);
    weir_index_free(NULL);
}

/* ---- entries, for people ---- */

static int list_entry(void *context, const struct weir_system_entry *entry)
{
    char *text = context;
    (void)snprintf(text + strlen(text), 200, "%.*s\n", (int)entry->text.size,
                   (const char *)entry->text.data);
    return 0;
}

static void entries_have_names_that_are_their_own(void **state)
{
    (void)state;
    char text[1000] = "";
    put(&fixture, "apple", "news");
    assert_int_equal(put_bytes(&fixture, 3, bytes_of("apple"), bytes_of("news")), 0);
    put(&fixture, "[3] apple", "news");
    put(&fixture, "b -> c", "a");
    put(&fixture, "c", "a -> b");
    put(&fixture, "d", "\x01\\");
    assert_int_equal(fixture.ops->entries(fixture.index, list_entry, text), 0);
    assert_string_equal(text, "news -> apple\n"
                              "news -> [3] apple\n"
                              "news -> \\[3] apple\n"
                              "a -> b -\\> c\n"
                              "a -\\> b -> c\n"
                              "\\x01\\\\ -> d\n");
}

static void entries_of_several_fields_are_told_apart(void **state)
{
    (void)state;
    char text[1000] = "";
    put(&fixture, "k", "a | b;c");
    put(&fixture, "k2", "a;b | c");
    assert_int_equal(fixture.ops->entries(fixture.index, list_entry, text), 0);
    assert_string_equal(text, "a \\| b | c -> k\na | b \\| c -> k2\n");
}

/* As numbers with the highest byte first. */
static int sum_entry(void *context, const struct weir_system_entry *entry)
{
    uint8_t *sum = context;
    unsigned carry = 0;
    for (size_t index = 16; index-- > 0; carry >>= 8) {
        carry += (unsigned)sum[index] + entry->hash[index];
        sum[index] = (uint8_t)carry;
    }
    return 0;
}

static void the_fingerprint_is_the_sum_of_the_entries(void **state)
{
    (void)state;
    put(&fixture, "a", "x,y");
    put(&fixture, "b", "y");
    assert_int_equal(put_bytes(&fixture, 9, bytes_of("b"), bytes_of("y,z")), 0);
    uint8_t sum[16] = {0};
    uint8_t fingerprint[16];
    assert_int_equal(fixture.ops->entries(fixture.index, sum_entry, sum), 0);
    fingerprint_of(fixture.index, fingerprint);
    assert_memory_equal(fingerprint, sum, 16);
}

#define ONE_FIELD(test) cmocka_unit_test_setup_teardown(test, set_up_one_field, tear_down)
#define TWO_FIELDS(test) cmocka_unit_test_setup_teardown(test, set_up_two_fields, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ONE_FIELD(ds_10_values_lead_to_keys_in_the_order_of_value_then_table_then_key),
        ONE_FIELD(ds_10_an_update_moves_a_row_by_its_before_image_alone),
        ONE_FIELD(ds_10_a_delete_takes_its_entries_and_what_only_they_needed),
        ONE_FIELD(ds_10_a_row_without_the_field_is_not_indexed),
        ONE_FIELD(ds_10_the_empty_value_is_a_value),
        ONE_FIELD(ds_10_an_array_is_several_values_and_each_counts_once),
        TWO_FIELDS(ds_10_several_fields_are_one_value_and_sort_field_by_field),
        TWO_FIELDS(ds_10_arrays_in_several_fields_give_each_combination),
        TWO_FIELDS(ds_10_zero_bytes_sort_as_any_byte_in_each_field),
        ONE_FIELD(ds_10_a_value_that_did_not_change_is_not_touched),
        ONE_FIELD(ds_10_values_beyond_the_limit_are_counted_and_not_indexed),
        ONE_FIELD(ds_10_rows_that_are_no_document_are_counted_as_long_as_they_are_there),
        ONE_FIELD(ds_10_a_row_with_too_many_values_has_no_entry_and_is_counted),
        TWO_FIELDS(ds_10_too_many_combinations_are_too_many_values),
        ONE_FIELD(an_extractor_that_fails_parks_the_index_and_changes_nothing),
        ONE_FIELD(before_images_of_what_it_never_saw_are_passed_over),
        ONE_FIELD(reset_leaves_nothing),
        ONE_FIELD(a_prefix_finds_all_values_that_begin_with_it),
        ONE_FIELD(a_range_has_its_begin_and_not_its_end),
        TWO_FIELDS(of_several_fields_the_first_ones_are_enough),
        ONE_FIELD(reverse_gives_the_same_from_the_other_end),
        ONE_FIELD(many_rows_of_a_value_come_in_order_however_many_are_wanted),
        ONE_FIELD(a_function_that_stops_is_not_called_again),
        ONE_FIELD(a_query_that_is_none_is_refused),
        cmocka_unit_test(options_that_make_no_index_are_refused),
        ONE_FIELD(entries_have_names_that_are_their_own),
        TWO_FIELDS(entries_of_several_fields_are_told_apart),
        ONE_FIELD(the_fingerprint_is_the_sum_of_the_entries),
    };
    return RUN_TESTS(tests, argc, argv);
}
