/*
 * Rows of the engine that a system has found, as of the position that the system stands at.
 */
#include "tests/derived/scene_test.h"

#include <errno.h>
#include <stdio.h>

#include <weir/rows.h>

struct question {
    struct ledger *ledger;
    const char *extra; /* a key that the system believes in */
    int rc;
};

/* All keys, the last one first. */
static int find(void *context, weir_rows_add_fn add, void *add_context)
{
    struct question *question = context;
    for (size_t i = question->ledger->count; i > 0; i--) {
        const struct ledger_row *row = &question->ledger->rows[i - 1];
        int rc =
            add(add_context, row->table, (struct weir_bytes){row->bytes, row->key_size}, (double)i);
        if (rc < 0) {
            return rc;
        }
    }
    return question->extra != NULL ? add(add_context, 0, text(question->extra), 0) : question->rc;
}

static void rows_are_as_of_the_position_of_the_system(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct question question = {&ledger, NULL, 0};
    struct weir_rows *rows;
    struct weir_row row;
    put(&scene.store, "a", "1");
    weir_lsn position = put(&scene.store, "b", "2");
    scene_attach(&scene, "ledger", &ledger);
    (void)scene_flush(&scene, NULL);
    put(&scene.store, "a", "new");
    erase(&scene.store, "b");
    settle(&scene.store); /* not flushed */
    assert_int_equal(weir_rows_open(scene.host, "ledger", find, &question, &rows), 0);
    assert_int_equal(weir_rows_count(rows), 2);
    assert_int_equal(weir_rows_lsn(rows), position);
    (void)scene_flush(&scene, NULL); /* the system goes on, the rows stay */
    assert_int_equal(weir_rows_next(rows, &row), 1);
    assert_memory_equal(row.key.data, "b", 1);
    assert_memory_equal(row.value.data, "2", 1);
    assert_true(weir_rows_score(rows) > 1.5 && weir_rows_score(rows) < 2.5);
    assert_int_equal(weir_rows_table(rows), 0);
    assert_int_equal(weir_rows_next(rows, &row), 1);
    assert_memory_equal(row.value.data, "1", 1);
    assert_int_equal(row.lsn, 1);
    assert_int_equal(weir_rows_next(rows, &row), 0);
    assert_int_equal(weir_rows_next(rows, &row), 0);
    weir_rows_close(rows);
    scene_free(&scene, &ledger);
}

static void a_key_that_is_not_there_is_an_error_and_never_a_row_less(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct question question = {&ledger, "ghost", 0};
    struct weir_rows *rows;
    struct weir_row row;
    struct weir_error why = WEIR_ERROR_INIT;
    put(&scene.store, "a", "1");
    scene_attach(&scene, "ledger", &ledger);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_rows_open(scene.host, "ledger", find, &question, &rows), 0);
    assert_int_equal(weir_rows_next(rows, &row), 1);
    assert_int_equal(weir_rows_next(rows, &row), WEIR_E_STATE);
    assert_int_equal(weir_rows_error(rows, &why), 0);
    assert_non_null(strstr(why.text, "ghost"));
    assert_non_null(strstr(why.text, "ledger"));
    assert_int_equal(weir_rows_next(rows, &row), 0);
    weir_rows_close(rows);
    question = (struct question){&ledger, NULL, -EBADMSG};
    assert_int_equal(weir_rows_open(scene.host, "ledger", find, &question, &rows), -EBADMSG);
    assert_int_equal(weir_rows_open(scene.host, "nobody", find, &question, &rows),
                     WEIR_E_NO_SYSTEM);
    assert_int_equal(weir_rows_open(scene.host, "ledger", NULL, NULL, &rows), -EINVAL);
    ledger.refuse = "b";
    put(&scene.store, "b", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_rows_open(scene.host, "ledger", find, &question, &rows), WEIR_E_PARKED);
    weir_rows_close(NULL);
    scene_free(&scene, &ledger);
}

#define MANY 200u

static bool is_in_second(unsigned n)
{
    return n % 70 < 3 || (n > 80 && n < 130);
}

static bool has_a_table(unsigned n)
{
    return n < 150 || n >= 160;
}

/* Rows of two tables by turns, a few and many at a time, and of each 41 one that is not there; and
 * some of a table that nobody has made. */
static int find_mixed(void *context, weir_rows_add_fn add, void *add_context)
{
    const weir_table *second = context;
    char key[16];
    int rc = 0;
    for (unsigned n = 0; n < MANY && rc == 0; n++) {
        (void)snprintf(key, sizeof key, "%s%u", n % 41 == 17 ? "ghost" : "key", n);
        weir_table table = is_in_second(n) ? *second : WEIR_TABLE_DEFAULT;
        rc = add(add_context, has_a_table(n) ? table : *second + 1, text(key), n);
    }
    return rc;
}

static void many_rows_of_two_tables_come_in_order_and_one_that_is_missing_costs_no_other(
    void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_rows *rows;
    struct weir_row row;
    weir_table second;
    char key[16], value[16];
    assert_int_equal(weir_table_open(scene.store.engine, "second", true, &second), 0);
    for (unsigned n = 0; n < MANY; n++) {
        (void)snprintf(key, sizeof key, "key%u", n);
        (void)snprintf(value, sizeof value, "value%u", n);
        put_in(&scene.store, is_in_second(n) ? second : WEIR_TABLE_DEFAULT, key, value);
        put_in(&scene.store, is_in_second(n) ? WEIR_TABLE_DEFAULT : second, key, "another");
    }
    scene_attach(&scene, "ledger", &ledger);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_rows_open(scene.host, "ledger", find_mixed, &second, &rows), 0);
    for (unsigned n = 0; n < MANY; n++) {
        int size = snprintf(value, sizeof value, "value%u", n);
        bool there = n % 41 != 17 && has_a_table(n);
        int missing = has_a_table(n) ? WEIR_E_STATE : WEIR_E_NO_TABLE;
        assert_int_equal(weir_rows_next(rows, &row), there ? 1 : missing);
        assert_int_equal((unsigned)weir_rows_score(rows), n);
        weir_table table = is_in_second(n) ? second : WEIR_TABLE_DEFAULT;
        assert_int_equal(weir_rows_table(rows), has_a_table(n) ? table : second + 1);
        assert_true(!there || (row.value.size == (size_t)size &&
                               memcmp(row.value.data, value, row.value.size) == 0));
    }
    assert_int_equal(weir_rows_next(rows, &row), 0);
    weir_rows_close(rows);
    scene_free(&scene, &ledger);
}

/* Enough for the first get of many, then a table of which there are two, then too few to get many
 * of: these are not what was got before. */
static int find_a_short_run(void *context, weir_rows_add_fn add, void *add_context)
{
    const weir_table *second = context;
    char key[16];
    int rc = 0;
    for (unsigned n = 0; n < 13 && rc == 0; n++) {
        (void)snprintf(key, sizeof key, "key%u", n);
        rc = add(add_context, n == 8 || n == 9 ? *second : WEIR_TABLE_DEFAULT, text(key), n);
    }
    return rc;
}

static void the_last_rows_behind_a_short_run_of_another_table_are_their_own(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_rows *rows;
    struct weir_row row;
    weir_table second;
    char key[16];
    assert_int_equal(weir_table_open(scene.store.engine, "second", true, &second), 0);
    for (unsigned n = 0; n < 13; n++) {
        (void)snprintf(key, sizeof key, "key%u", n);
        put(&scene.store, key, key);
        put_in(&scene.store, second, key, key);
    }
    scene_attach(&scene, "ledger", &ledger);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_rows_open(scene.host, "ledger", find_a_short_run, &second, &rows), 0);
    for (unsigned n = 0; n < 13; n++) {
        int size = snprintf(key, sizeof key, "key%u", n);
        assert_int_equal(weir_rows_next(rows, &row), 1);
        assert_int_equal(row.key.size, size);
        assert_memory_equal(row.key.data, key, row.key.size);
    }
    assert_int_equal(weir_rows_next(rows, &row), 0);
    weir_rows_close(rows);
    scene_free(&scene, &ledger);
}

#define LONG_KEY 3000u

static void make_long_key(char *key, unsigned n)
{
    memset(key, 'k', LONG_KEY);
    (void)snprintf(key + LONG_KEY - 8, 8, "%07u", n);
}

/* More bytes than are copied into one piece of memory. */
static int find_long_keys(void *context, weir_rows_add_fn add, void *add_context)
{
    char key[LONG_KEY];
    int rc = 0;
    (void)context;
    for (unsigned n = 0; n < MANY && rc == 0; n++) {
        make_long_key(key, n);
        rc = add(add_context, WEIR_TABLE_DEFAULT, (struct weir_bytes){key, LONG_KEY}, n);
    }
    return rc;
}

static void keys_of_any_length_are_kept_until_their_rows_were_read(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct weir_rows *rows;
    struct weir_row row;
    char key[LONG_KEY];
    for (unsigned n = 0; n < MANY; n++) {
        make_long_key(key, n);
        struct weir_bytes bytes = {key, LONG_KEY};
        assert_int_equal(
            weir_put(scene.store.engine, WEIR_TABLE_DEFAULT, bytes, text("v"), WEIR_NONE, NULL), 0);
    }
    scene_attach(&scene, "ledger", &ledger);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_rows_open(scene.host, "ledger", find_long_keys, NULL, &rows), 0);
    for (unsigned n = 0; n < MANY; n++) {
        make_long_key(key, n);
        assert_int_equal(weir_rows_next(rows, &row), 1);
        assert_int_equal(row.key.size, LONG_KEY);
        assert_memory_equal(row.key.data, key, LONG_KEY);
    }
    weir_rows_close(rows);
    scene_free(&scene, &ledger);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(rows_are_as_of_the_position_of_the_system),
        scene_test(the_last_rows_behind_a_short_run_of_another_table_are_their_own),
        scene_test(keys_of_any_length_are_kept_until_their_rows_were_read),
        scene_test(a_key_that_is_not_there_is_an_error_and_never_a_row_less),
        scene_test(many_rows_of_two_tables_come_in_order_and_one_that_is_missing_costs_no_other),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
