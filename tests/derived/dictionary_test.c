/* The dictionary: what is added is found under its number, in order, whatever was removed. */
#include "derived/dictionary.h"

#include "base/alloc.h"
#include "base/random.h"
#include "tests/derived/support.h"

#include <errno.h>

#define TEXTS 400u
#define STEPS 30000u
#define LONG_TEXT 9000u

static uint32_t add(struct dictionary *dictionary, const char *text, int expected)
{
    uint32_t number = DICTIONARY_NONE;
    assert_int_equal(dictionary_add(dictionary, text, strlen(text), &number), expected);
    return number;
}

static uint32_t find(const struct dictionary *dictionary, const char *text)
{
    return dictionary_find(dictionary, text, strlen(text));
}

static void expect_text(const struct dictionary *dictionary, uint32_t number, const char *text)
{
    struct weir_bytes bytes = dictionary_text(dictionary, number);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
}

/* The order is exactly these, separated by spaces. */
static void expect_order(struct dictionary *dictionary, const char *expected)
{
    char seen[256] = "";
    uint32_t count;
    assert_int_equal(dictionary_order(dictionary, &count), 0);
    for (uint32_t at = 0; at < count; at++) {
        struct weir_bytes text = dictionary_text(dictionary, dictionary_ordered(dictionary, at));
        (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s%.*s", at ? " " : "",
                       (int)text.size, (const char *)text.data);
    }
    assert_string_equal(seen, expected);
}

static void a_text_has_one_number_that_is_the_next_one(void **state)
{
    (void)state;
    struct dictionary dictionary;
    dictionary_init(&dictionary);
    assert_int_equal(find(&dictionary, "apple"), DICTIONARY_NONE);
    assert_int_equal(add(&dictionary, "apple", 1), 0);
    assert_int_equal(add(&dictionary, "pear", 1), 1);
    assert_int_equal(add(&dictionary, "apple", 0), 0);
    assert_int_equal(add(&dictionary, "", 1), 2);
    assert_int_equal(find(&dictionary, ""), 2);
    assert_int_equal(find(&dictionary, "appl"), DICTIONARY_NONE);
    expect_text(&dictionary, 1, "pear");
    expect_text(&dictionary, 2, "");
    assert_int_equal(dictionary_count(&dictionary), 3);
    assert_int_equal(dictionary_end(&dictionary), 3);
    dictionary_free(&dictionary);
}

static void the_number_of_a_removed_text_is_used_again(void **state)
{
    (void)state;
    struct dictionary dictionary;
    dictionary_init(&dictionary);
    add(&dictionary, "a", 1);
    uint32_t number = add(&dictionary, "b", 1);
    add(&dictionary, "c", 1);
    dictionary_remove(&dictionary, number);
    assert_false(dictionary_has(&dictionary, number));
    assert_int_equal(find(&dictionary, "b"), DICTIONARY_NONE);
    assert_int_equal(add(&dictionary, "d", 1), number);
    assert_int_equal(dictionary_end(&dictionary), 3);
    expect_order(&dictionary, "a c d");
    dictionary_free(&dictionary);
}

static void the_order_is_of_bytes_and_follows_what_changes(void **state)
{
    (void)state;
    struct dictionary dictionary;
    dictionary_init(&dictionary);
    expect_order(&dictionary, "");
    add(&dictionary, "pear", 1);
    add(&dictionary, "apple", 1);
    add(&dictionary, "apples", 1);
    expect_order(&dictionary, "apple apples pear");
    add(&dictionary, "\xff", 1);
    add(&dictionary, "Zebra", 1);
    add(&dictionary, "app", 1);
    expect_order(&dictionary, "Zebra app apple apples pear \xff");
    dictionary_remove(&dictionary, find(&dictionary, "apple"));
    expect_order(&dictionary, "Zebra app apples pear \xff");
    dictionary_remove(&dictionary, find(&dictionary, "pear"));
    add(&dictionary, "apple", 1); /* with the number that pear had */
    expect_order(&dictionary, "Zebra app apple apples \xff");
    dictionary_remove(&dictionary, find(&dictionary, "Zebra"));
    add(&dictionary, "Zebra", 1); /* the same text with the same number */
    expect_order(&dictionary, "Zebra app apple apples \xff");
    dictionary_free(&dictionary);
}

static void zero_bytes_are_compared_as_others_are(void **state)
{
    (void)state;
    static const struct weir_bytes texts[] = {
        {"a", 1}, {"a\0", 2}, {"a\0\0", 3}, {"a\0\0\0\0\0\0\0\0\0", 10}, {"a\0\1", 3}, {"b", 1}};
    struct dictionary dictionary;
    dictionary_init(&dictionary);
    for (size_t index = COUNT_OF(texts); index-- > 0;) {
        uint32_t number;
        assert_int_equal(dictionary_add(&dictionary, texts[index].data, texts[index].size, &number),
                         1);
    }
    uint32_t count;
    assert_int_equal(dictionary_order(&dictionary, &count), 0);
    assert_int_equal(count, COUNT_OF(texts));
    for (uint32_t at = 0; at < count; at++) {
        struct weir_bytes text = dictionary_text(&dictionary, dictionary_ordered(&dictionary, at));
        assert_int_equal(dictionary_compare(text, texts[at]), 0);
    }
    dictionary_free(&dictionary);
}

static void bounds_enclose_a_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        uint32_t from, to;
    } cases[] = {{"", 0, 6},     {"a", 0, 3},        {"ab", 1, 3},
                 {"abc", 2, 3},  {"abd", 3, 3},      {"b", 3, 4},
                 {"\xff", 4, 6}, {"\xff\xff", 5, 6}, {"\xff\xff\xff", 6, 6}};
    struct dictionary dictionary;
    dictionary_init(&dictionary);
    for (const char *const *text =
             (const char *const[]){"\xff\xff", "b", "abc", "ab", "a", "\xff", NULL};
         *text != NULL; text++) {
        add(&dictionary, *text, 1);
    }
    uint32_t count;
    assert_int_equal(dictionary_order(&dictionary, &count), 0);
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        struct weir_bytes prefix = bytes_of(cases[index].prefix);
        assert_int_equal(dictionary_lower_bound(&dictionary, prefix.data, prefix.size),
                         cases[index].from);
        assert_int_equal(dictionary_prefix_end(&dictionary, prefix.data, prefix.size),
                         cases[index].to);
    }
    dictionary_free(&dictionary);
}

static void rows_are_in_the_order_of_table_then_key(void **state)
{
    (void)state;
    static const struct {
        weir_table table;
        const char *key;
    } rows[] = {{0, "z"}, {1, ""}, {1, "a"}, {1, "ab"}, {255, "b"}, {256, "a"}, {70000, "a"}};
    struct dictionary dictionary;
    dictionary_init(&dictionary);
    for (size_t index = COUNT_OF(rows); index-- > 0;) {
        uint32_t number;
        assert_int_equal(
            rows_add(&dictionary, rows[index].table, bytes_of(rows[index].key), &number), 1);
        assert_int_equal(rows_find(&dictionary, rows[index].table, bytes_of(rows[index].key)),
                         number);
    }
    assert_int_equal(rows_find(&dictionary, 2, bytes_of("a")), DICTIONARY_NONE);
    uint32_t count;
    assert_int_equal(dictionary_order(&dictionary, &count), 0);
    for (uint32_t at = 0; at < count; at++) {
        weir_table table;
        struct weir_bytes key = rows_key(&dictionary, dictionary_ordered(&dictionary, at), &table);
        assert_int_equal(table, rows[at].table);
        assert_int_equal(dictionary_compare(key, bytes_of(rows[at].key)), 0);
    }
    dictionary_free(&dictionary);
}

static void keys_of_every_length_name_a_row(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 507, 508, 509, 4096, 65535};
    static uint8_t key[65536];
    struct dictionary rows;
    dictionary_init(&rows);
    memset(key, 'k', sizeof key);
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        uint32_t number;
        struct weir_bytes bytes = {key, sizes[index]};
        weir_table table;
        assert_int_equal(rows_find(&rows, 7, bytes), DICTIONARY_NONE);
        assert_int_equal(rows_add(&rows, 7, bytes, &number), 1);
        assert_int_equal(rows_add(&rows, 7, bytes, &number), 0);
        assert_int_equal(rows_find(&rows, 7, bytes), number);
        assert_int_equal(rows_key(&rows, number, &table).size, sizes[index]);
        assert_int_equal(table, 7);
    }
    uint32_t number;
    assert_int_equal(rows_add(&rows, 7, (struct weir_bytes){key, 65536}, &number), -E2BIG);
    assert_int_equal(rows_find(&rows, 7, (struct weir_bytes){key, 65536}), DICTIONARY_NONE);
    dictionary_free(&rows);
}

/* ---- random work beside a plain list ---- */

struct model {
    char *texts[TEXTS];
    size_t sizes[TEXTS];
    uint32_t numbers[TEXTS]; /* DICTIONARY_NONE: not in it */
    uint32_t count;
};

static void make_texts(struct model *model, struct base_prng *prng)
{
    for (uint32_t index = 0; index < TEXTS; index++) {
        size_t size = index == 0   ? 0
                      : index < 30 ? base_prng_below(prng, LONG_TEXT)
                                   : 1 + base_prng_below(prng, 40);
        char *text = malloc(size + 8);
        assert_non_null(text);
        base_prng_fill(prng, text, size);
        size_t same = base_prng_below(prng, size + 1); /* many begin alike */
        memset(text, 'w', same);
        size_t unique = (size_t)snprintf(text + size, 8, "%u", (unsigned)index);
        model->texts[index] = text;
        model->sizes[index] = index == 0 ? 0 : size + unique;
        model->numbers[index] = DICTIONARY_NONE;
    }
}

static int by_text(const void *left, const void *right)
{
    return dictionary_compare(*(const struct weir_bytes *)left, *(const struct weir_bytes *)right);
}

static void expect_same_order(struct dictionary *dictionary, const struct model *model)
{
    struct weir_bytes sorted[TEXTS];
    uint32_t present = 0;
    for (uint32_t index = 0; index < TEXTS; index++) {
        if (model->numbers[index] != DICTIONARY_NONE) {
            sorted[present++] = (struct weir_bytes){model->texts[index], model->sizes[index]};
        }
    }
    qsort(sorted, present, sizeof *sorted, by_text);
    uint32_t count;
    assert_int_equal(dictionary_order(dictionary, &count), 0);
    assert_int_equal(count, present);
    for (uint32_t at = 0; at < count; at++) {
        struct weir_bytes text = dictionary_text(dictionary, dictionary_ordered(dictionary, at));
        assert_int_equal(dictionary_compare(text, sorted[at]), 0);
        assert_int_equal(dictionary_lower_bound(dictionary, text.data, text.size), at);
    }
}

static void random_step(struct dictionary *dictionary, struct model *model, struct base_prng *prng)
{
    uint32_t index = (uint32_t)base_prng_below(prng, TEXTS);
    uint32_t *number = &model->numbers[index];
    bool present = *number != DICTIONARY_NONE;
    assert_int_equal(dictionary_find(dictionary, model->texts[index], model->sizes[index]),
                     *number);
    if (present && base_prng_below(prng, 2) == 0) {
        dictionary_remove(dictionary, *number);
        *number = DICTIONARY_NONE;
        model->count--;
        return;
    }
    uint32_t added;
    assert_int_equal(dictionary_add(dictionary, model->texts[index], model->sizes[index], &added),
                     !present);
    assert_true(!present || added == *number);
    for (uint32_t other = 0; other < TEXTS; other++) {
        assert_true(other == index || model->numbers[other] != added);
    }
    *number = added;
    model->count += !present;
}

static void random_work_gives_what_a_plain_list_gives(void **state)
{
    (void)state;
    /* How often the order is asked for: few changes, or many, in between. */
    static const uint64_t rarely[] = {2, 40, 300, 5000};
    uint64_t blocks = base_alloc_in_use();
    for (size_t round = 0; round < COUNT_OF(rarely); round++) {
        struct base_prng prng;
        static struct model model;
        struct dictionary dictionary;
        base_prng_seed(&prng, round + 1);
        model.count = 0;
        make_texts(&model, &prng);
        dictionary_init(&dictionary);
        for (uint32_t step = 0; step < (round == 0 ? STEPS / 20 : STEPS); step++) {
            random_step(&dictionary, &model, &prng);
            assert_int_equal(dictionary_count(&dictionary), model.count);
            assert_true(dictionary_end(&dictionary) <= TEXTS);
            if (base_prng_below(&prng, rarely[round]) == 0) {
                expect_same_order(&dictionary, &model);
            }
        }
        dictionary_free(&dictionary);
        for (uint32_t index = 0; index < TEXTS; index++) {
            free(model.texts[index]);
        }
    }
    assert_int_equal(base_alloc_in_use(), blocks);
}

static void a_text_stays_where_it_is_until_it_is_removed(void **state)
{
    (void)state;
    struct dictionary dictionary;
    dictionary_init(&dictionary);
    uint32_t number = add(&dictionary, "stays", 1);
    const void *before = dictionary_text(&dictionary, number).data;
    for (uint32_t index = 0; index < 20000; index++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%u", (unsigned)index);
        add(&dictionary, text, 1);
    }
    assert_ptr_equal(dictionary_text(&dictionary, number).data, before);
    expect_text(&dictionary, number, "stays");
    dictionary_free(&dictionary);
}

/* Fills with `count` texts of a size, then removes all. */
static void come_and_go(struct dictionary *dictionary, size_t size, uint32_t count)
{
    char text[256];
    uint32_t number;
    memset(text, 'x', sizeof text);
    for (uint32_t index = 0; index < count; index++) {
        memcpy(text, &index, sizeof index);
        assert_int_equal(dictionary_add(dictionary, text, size, &number), 1);
    }
    for (number = 0; number < dictionary_end(dictionary); number++) {
        if (dictionary_has(dictionary, number)) {
            dictionary_remove(dictionary, number);
        }
    }
    assert_int_equal(dictionary_count(dictionary), 0);
}

static void room_that_is_free_serves_texts_of_another_size(void **state)
{
    (void)state;
    struct dictionary dictionary;
    dictionary_init(&dictionary);
    come_and_go(&dictionary, 200, 20000); /* 4 MB */
    uint64_t most = dictionary_bytes(&dictionary);
    assert_true(most < 3000000); /* what was freed has gone, but for tables and a few pages */
    for (size_t size = 8; size < 250; size += 24) {
        come_and_go(&dictionary, size, 20000 * 8 / (uint32_t)size);
        assert_true(dictionary_bytes(&dictionary) < 3000000);
    }
    dictionary_free(&dictionary);
}

static void memory_that_is_refused_changes_nothing(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        struct dictionary dictionary;
        dictionary_init(&dictionary);
        uint32_t refused = 0;
        for (uint32_t index = 0; index < 3000; index++) {
            char text[600];
            int size = snprintf(text, sizeof text, "%0*u", 1 + (int)(index % 500), (unsigned)index);
            uint32_t number = DICTIONARY_NONE;
            for (uint64_t nth = 1;; nth++) {
                fail_allocation(nth, stays);
                int rc = rows_add(&dictionary, 1, (struct weir_bytes){text, (size_t)size}, &number);
                uint64_t seen = stop_failing();
                if (rc >= 0) {
                    break;
                }
                assert_int_equal(rc, -ENOMEM);
                assert_true(seen >= nth);
                assert_int_equal(dictionary_count(&dictionary), index);
                assert_int_equal(rows_find(&dictionary, 1, (struct weir_bytes){text, (size_t)size}),
                                 DICTIONARY_NONE);
                refused++;
            }
        }
        assert_true(refused > 20);
        dictionary_free(&dictionary);
    }
}

static void an_order_that_found_no_memory_is_made_the_next_time(void **state)
{
    (void)state;
    struct dictionary dictionary;
    uint32_t count;
    dictionary_init(&dictionary);
    add(&dictionary, "b", 1);
    add(&dictionary, "d", 1);
    expect_order(&dictionary, "b d");
    dictionary_remove(&dictionary, find(&dictionary, "d"));
    for (const char *const *text = (const char *const[]){"a", "c", "e", NULL}; *text; text++) {
        add(&dictionary, *text, 1);
    }
    fail_allocation(1, true);
    int rc = dictionary_order(&dictionary, &count);
    stop_failing();
    assert_int_equal(rc, -ENOMEM);
    expect_order(&dictionary, "a b c e");
    dictionary_free(&dictionary);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_has_one_number_that_is_the_next_one),
        cmocka_unit_test(the_number_of_a_removed_text_is_used_again),
        cmocka_unit_test(the_order_is_of_bytes_and_follows_what_changes),
        cmocka_unit_test(zero_bytes_are_compared_as_others_are),
        cmocka_unit_test(bounds_enclose_a_prefix),
        cmocka_unit_test(rows_are_in_the_order_of_table_then_key),
        cmocka_unit_test(keys_of_every_length_name_a_row),
        cmocka_unit_test(random_work_gives_what_a_plain_list_gives),
        cmocka_unit_test(a_text_stays_where_it_is_until_it_is_removed),
        cmocka_unit_test(room_that_is_free_serves_texts_of_another_size),
        cmocka_unit_test(memory_that_is_refused_changes_nothing),
        cmocka_unit_test(an_order_that_found_no_memory_is_made_the_next_time),
    };
    return RUN_TESTS(tests, argc, argv);
}
