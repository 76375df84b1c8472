/*
 * Full text over an engine: rows as of one LSN, states that are saved and come back, rebuilt ones.
 */
#include "tests/derived/scene.h"

#include <weir/text.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct scene scene;
static struct weir_json_fields *fields;
static struct weir_text *live;

static struct weir_text *make(const char *stemmer)
{
    struct weir_text_options options = WEIR_TEXT_OPTIONS_INIT;
    struct weir_text *made;
    options.extract = weir_json_extract;
    options.extract_context = fields;
    options.stemmer = stemmer;
    assert_int_equal(weir_text_create(&options, &made), 0);
    return made;
}

static void attach(struct weir_text *made, enum weir_start start)
{
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "words";
    system.ops = weir_text_ops();
    system.self = made;
    system.start = start;
    assert_int_equal(weir_host_attach(scene.host, &system, NULL), 0);
}

static int begin(void **state)
{
    static const char *const paths[] = {"title", "body.text"};
    (void)state;
    scene_open(&scene);
    assert_int_equal(weir_json_fields_create(paths, 2, &fields), 0);
    live = make(NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scene_close(&scene);
    weir_text_free(live);
    weir_json_fields_free(fields);
    return 0;
}

static void flush(void)
{
    settle(&scene.store);
    assert_true(weir_host_flush(scene.host, NULL, 0) >= 0);
}

/* "key=value key=value": the rows that have all terms. */
static void expect_rows(const char *terms, bool ranked, const char *expected)
{
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    struct weir_rows *rows;
    struct weir_row row;
    char found[1000] = "";
    double last = 1e300;
    int rc;
    query.terms = text(terms);
    query.ranked = ranked;
    assert_int_equal(weir_text_query(scene.host, "words", live, &query, &rows), 0);
    while ((rc = weir_rows_next(rows, &row)) == 1) {
        size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%s%.*s=%.*s", used > 0 ? " " : "",
                 (int)row.key.size, (const char *)row.key.data, (int)row.value.size,
                 (const char *)row.value.data);
        double score = weir_rows_score(rows);
        assert_true(ranked ? score > 0 && score <= last : score == 0);
        last = score;
    }
    assert_int_equal(rc, 0);
    assert_string_equal(found, expected);
    weir_rows_close(rows);
}

static void ds_11_rows_of_a_search_are_those_of_the_moment_that_the_text_shows(void **state)
{
    (void)state;
    attach(live, WEIR_START_BEGINNING);
    put(&scene.store, "a", "{\"title\":\"Mail server\"}");
    put(&scene.store, "b", "{\"title\":\"Mail\",\"body\":{\"text\":\"the server\"}}");
    put(&scene.store, "c", "{\"other\":\"mail server\"}");
    flush();
    const char *both = "a={\"title\":\"Mail server\"} "
                       "b={\"title\":\"Mail\",\"body\":{\"text\":\"the server\"}}";
    expect_rows("server mail", false, both);
    put(&scene.store, "a", "{\"title\":\"Something else\"}");
    erase(&scene.store, "b");
    settle(&scene.store);
    expect_rows("server mail", false, both); /* not delivered yet: neither is seen */
    flush();
    expect_rows("server mail", false, "");
    expect_rows("some*", true, "a={\"title\":\"Something else\"}");
}

static void ds_30_the_best_row_comes_first(void **state)
{
    (void)state;
    attach(live, WEIR_START_BEGINNING);
    put(&scene.store, "a", "{\"title\":\"one two three four\"}");
    put(&scene.store, "b", "{\"title\":\"two two\"}");
    put(&scene.store, "c", "{\"title\":\"five\"}");
    flush();
    expect_rows("two", true, "b={\"title\":\"two two\"} a={\"title\":\"one two three four\"}");
}

static void expect_verified_text(const char *stemmer)
{
    struct weir_text *fresh = make(stemmer);
    struct weir_host_verify_report report = {.size = sizeof report};
    assert_int_equal(weir_host_verify(scene.host, "words", fresh, NULL, NULL, &report, NULL), 0);
    assert_true(report.equal);
    weir_text_free(fresh);
}

static void ds_02_a_text_that_is_saved_goes_on_where_it_was(void **state)
{
    char key[16], value[64];
    (void)state;
    attach(live, WEIR_START_BEGINNING);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "k%03u", i % 200);
        snprintf(value, sizeof value, "{\"title\":\"w%u x%u x%u\"}", i, i % 7, i % 3);
        put(&scene.store, key, value);
    }
    flush();
    expect_verified_text(NULL);
    scene_reopen(&scene);
    weir_text_free(live);
    live = make(NULL);
    attach(live, WEIR_START_BEGINNING);
    struct weir_delivered delivered;
    assert_int_equal(weir_host_flush(scene.host, &delivered, 1), 1);
    assert_int_equal(delivered.events, 0);
    expect_rows("w299", false, "k099={\"title\":\"w299 x5 x2\"}");
    erase(&scene.store, "k099");
    flush();
    expect_rows("w299", false, "");
    expect_verified_text(NULL);
}

static void ds_02_a_text_with_another_stemmer_is_built_again(void **state)
{
    (void)state;
    attach(live, WEIR_START_BEGINNING);
    put(&scene.store, "a", "{\"title\":\"servers\"}");
    flush();
    scene_reopen(&scene);
    weir_text_free(live);
    live = make("english");
    attach(live, WEIR_START_BEGINNING);
    flush();
    expect_rows("server", false, "a={\"title\":\"servers\"}");
    expect_verified_text("english");
}

static void ds_30_a_text_that_starts_now_knows_a_row_from_its_first_event_on(void **state)
{
    (void)state;
    put(&scene.store, "a", "{\"title\":\"old\"}");
    put(&scene.store, "b", "{\"title\":\"old\"}");
    settle(&scene.store);
    attach(live, WEIR_START_NOW);
    put(&scene.store, "a", "{\"title\":\"old and new\"}");
    erase(&scene.store, "b");
    flush();
    expect_rows("old", false, "a={\"title\":\"old and new\"}");
}

static void ds_30_a_search_that_cannot_be_is_refused(void **state)
{
    struct weir_text_query query = WEIR_TEXT_QUERY_INIT;
    struct weir_rows *rows = NULL;
    (void)state;
    assert_int_equal(weir_text_query(scene.host, "words", live, &query, &rows), WEIR_E_NO_SYSTEM);
    attach(live, WEIR_START_BEGINNING);
    assert_int_equal(weir_text_query(scene.host, "words", live, NULL, &rows), -EINVAL);
    assert_int_equal(weir_text_query(NULL, "words", live, &query, &rows), -EINVAL);
    assert_int_equal(weir_text_query(scene.host, "words", NULL, &query, &rows), -EINVAL);
    query.size = 0;
    assert_int_equal(weir_text_query(scene.host, "words", live, &query, &rows), -EINVAL);
    assert_null(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            ds_11_rows_of_a_search_are_those_of_the_moment_that_the_text_shows, begin, end),
        cmocka_unit_test_setup_teardown(ds_30_the_best_row_comes_first, begin, end),
        cmocka_unit_test_setup_teardown(ds_02_a_text_that_is_saved_goes_on_where_it_was, begin,
                                        end),
        cmocka_unit_test_setup_teardown(ds_02_a_text_with_another_stemmer_is_built_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            ds_30_a_text_that_starts_now_knows_a_row_from_its_first_event_on, begin, end),
        cmocka_unit_test_setup_teardown(ds_30_a_search_that_cannot_be_is_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
