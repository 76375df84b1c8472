/*
 * An index under a host, over an engine: rows as of one LSN, saved with its position, rebuilt.
 */
#include "tests/derived/scene.h"

#include "base/random.h"

#include <weir/index.h>

#include <errno.h>
#include <stdio.h>

#define STEPS 400u
#define KEYS 30u

static struct scene scene;
static struct weir_index *index_under_test;
static struct weir_json_fields *fields;

static bool refuses; /* the extractor, rows with that word */

static int extract(void *context, struct weir_bytes key, struct weir_bytes value, weir_emit_fn emit,
                   void *emit_context)
{
    static const char word[] = "refused";
    if (refuses && memmem(value.data, value.size, word, sizeof word - 1) != NULL) {
        return -EPROTO;
    }
    return weir_json_extract(context, key, value, emit, emit_context);
}

static struct weir_index *make_index(void)
{
    struct weir_index_options options = WEIR_INDEX_OPTIONS_INIT;
    struct weir_index *made;
    options.extract = extract;
    options.extract_context = fields;
    assert_int_equal(weir_index_create(&options, &made), 0);
    return made;
}

static void attach(void)
{
    struct weir_system system = WEIR_SYSTEM_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    index_under_test = make_index();
    system.name = "by_tag";
    system.ops = weir_index_ops();
    system.self = index_under_test;
    assert_int_equal(weir_host_attach(scene.host, &system, &why), 0);
}

static int begin(void **state)
{
    (void)state;
    const char *path = "tag";
    assert_int_equal(weir_json_fields_create(&path, 1, &fields), 0);
    scene_open(&scene);
    attach();
    return 0;
}

static int end(void **state)
{
    (void)state;
    scene_close(&scene);
    weir_index_free(index_under_test);
    weir_json_fields_free(fields);
    return 0;
}

static struct weir_index_query query_for(const struct weir_bytes *value)
{
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    query.values = value;
    query.count = value != NULL;
    return query;
}

/* The rows of a query: "key@lsn key@lsn". */
static void expect_rows(const struct weir_index_query *query, const char *expected)
{
    struct weir_rows *rows;
    struct weir_row row;
    char seen[400] = "";
    int rc;
    assert_int_equal(weir_index_query(scene.host, "by_tag", index_under_test, query, &rows), 0);
    while ((rc = weir_rows_next(rows, &row)) == 1) {
        (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s%.*s@%llu",
                       seen[0] != 0 ? " " : "", (int)row.key.size, (const char *)row.key.data,
                       (unsigned long long)row.lsn);
    }
    assert_int_equal(rc, 0);
    weir_rows_close(rows);
    assert_string_equal(seen, expected);
}

static void expect_tagged(const char *tag, const char *expected)
{
    struct weir_bytes value = text(tag);
    struct weir_index_query query = query_for(&value);
    expect_rows(&query, expected);
}

static void ds_11_rows_are_as_of_the_position_of_the_index_and_match(void **state)
{
    (void)state;
    put(&scene.store, "a", "{\"tag\":\"red\"}");
    put(&scene.store, "b", "{\"tag\":\"red\"}");
    scene_flush(&scene, NULL);
    put(&scene.store, "a", "{\"tag\":\"blue\"}");
    erase(&scene.store, "b");
    put(&scene.store, "c", "{\"tag\":\"red\"}");
    expect_tagged("red", "a@1 b@2"); /* nothing was delivered: as it was then */
    expect_tagged("blue", "");
    scene_flush(&scene, NULL);
    expect_tagged("red", "c@5");
    expect_tagged("blue", "a@3");
}

static void ds_11_a_row_with_several_values_comes_once_where_its_first_one_is(void **state)
{
    (void)state;
    put(&scene.store, "a", "{\"tag\":[\"z\",\"m\"]}");
    put(&scene.store, "b", "{\"tag\":\"n\"}");
    put(&scene.store, "c", "{\"tag\":[\"n\",\"a\",\"zz\"]}");
    scene_flush(&scene, NULL);
    struct weir_index_query query = query_for(NULL);
    expect_rows(&query, "c@3 a@1 b@2");
    query.limit = 2;
    expect_rows(&query, "c@3 a@1");
    query.limit = 0;
    query.reverse = true;
    expect_rows(&query, "c@3 a@1 b@2");
    query.ranged = true;
    query.from = text("m");
    query.bounded = true;
    query.to = text("o");
    query.reverse = false;
    expect_rows(&query, "a@1 b@2 c@3");
}

static void ds_11_an_index_that_is_parked_answers_nothing(void **state)
{
    (void)state;
    struct weir_index_query query = query_for(NULL);
    struct weir_rows *rows = NULL;
    put(&scene.store, "a", "{\"tag\":\"red\"}");
    put(&scene.store, "b", "{\"tag\":\"refused\"}");
    refuses = true;
    scene_flush(&scene, NULL);
    assert_int_equal(scene_status(&scene, "by_tag").parked, -EPROTO);
    assert_int_equal(weir_index_query(scene.host, "by_tag", index_under_test, &query, &rows),
                     WEIR_E_PARKED);
    refuses = false;
    assert_int_equal(weir_host_skip(scene.host, "by_tag"), 0);
    scene_flush(&scene, NULL);
    expect_tagged("red", "a@1");
    expect_tagged("refused", "");
    put(&scene.store, "b", "{\"tag\":\"red\"}"); /* its before-image was never indexed */
    scene_flush(&scene, NULL);
    expect_tagged("red", "a@1 b@3");
}

static void ds_10_a_row_with_too_many_values_holds_up_nobody(void **state)
{
    (void)state;
    char many[8000] = "{\"tag\":[0";
    for (int number = 1; number <= WEIR_INDEX_VALUES_MAX; number++) {
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), ",%d", number);
    }
    (void)strcat(many, "]}");
    put(&scene.store, "b", many);
    put(&scene.store, "c", "{\"tag\":\"red\"}");
    scene_flush(&scene, NULL);
    expect_tagged("red", "c@2");
    expect_tagged("7", "");
    put(&scene.store, "b", "{\"tag\":\"red\"}");
    scene_flush(&scene, NULL);
    expect_tagged("red", "b@3 c@2");
    struct weir_index_status status = WEIR_INDEX_STATUS_INIT;
    assert_int_equal(weir_index_stat(index_under_test, &status), 0);
    assert_int_equal(status.skipped_values, 0);
}

static void ds_02_what_was_saved_with_its_position_goes_on_behind_it(void **state)
{
    (void)state;
    put(&scene.store, "a", "{\"tag\":\"red\"}");
    put(&scene.store, "b", "no document");
    scene_flush(&scene, NULL);
    scene_close_host(&scene);
    weir_index_free(index_under_test);
    put(&scene.store, "c", "{\"tag\":\"red\"}");
    erase(&scene.store, "a");
    scene_open_host(&scene);
    attach();
    struct weir_index_status status = WEIR_INDEX_STATUS_INIT;
    assert_int_equal(weir_index_stat(index_under_test, &status), 0);
    assert_int_equal(status.entries, 1); /* loaded, and nothing was delivered yet */
    assert_int_equal(status.skipped_documents, 1);
    expect_tagged("red", "a@1");
    assert_int_equal(scene_flush(&scene, NULL), 2);
    expect_tagged("red", "c@3");
}

static void expect_same_as_rebuilt(void)
{
    struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_index *fresh = make_index();
    int rc = weir_host_verify(scene.host, "by_tag", fresh, NULL, NULL, &report, &why);
    weir_index_free(fresh);
    assert_int_equal(rc, 0);
    assert_true(report.equal);
    assert_int_equal(report.differing, 0);
}

static void write_at_random(struct base_prng *prng)
{
    static const char *const documents[] = {"{\"tag\":\"red\"}",
                                            "{\"tag\":[\"red\",\"blue\"]}",
                                            "{\"tag\":\"\"}",
                                            "{\"other\":1}",
                                            "none",
                                            "{\"tag\":[1,2,3]}"};
    char key[8];
    (void)snprintf(key, sizeof key, "k%u", (unsigned)base_prng_below(prng, KEYS));
    put(&scene.store, key, documents[base_prng_below(prng, 6)]);
    (void)snprintf(key, sizeof key, "k%u", (unsigned)base_prng_below(prng, KEYS));
    if (base_prng_below(prng, 3) == 0) {
        (void)weir_delete(scene.store.engine, 0, text(key), WEIR_NONE, NULL);
    }
}

/* Every row that comes has the tag, and as many rows have it as of that LSN as come. */
static void check_against_a_scan(const char *tag, const char *quoted)
{
    struct weir_bytes value = text(tag);
    struct weir_index_query query = query_for(&value);
    struct weir_rows *rows;
    struct weir_row row;
    assert_int_equal(weir_index_query(scene.host, "by_tag", index_under_test, &query, &rows), 0);
    weir_lsn lsn = weir_rows_lsn(rows);
    uint64_t found = 0;
    while (weir_rows_next(rows, &row) == 1) {
        assert_non_null(memmem(row.value.data, row.value.size, quoted, strlen(quoted)));
        assert_true(row.lsn <= lsn);
        found++;
    }
    weir_rows_close(rows);
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_read read;
    struct weir_scan *scan;
    uint64_t expected = 0;
    options.lsn = lsn;
    assert_int_equal(weir_read_begin(scene.store.engine, &options, &read), 0);
    assert_int_equal(weir_scan_open(&read, NULL, &scan), 0);
    while (weir_scan_next(scan, &row) == 1) {
        expected += memmem(row.value.data, row.value.size, quoted, strlen(quoted)) != NULL;
    }
    weir_scan_close(scan);
    weir_read_end(&read);
    assert_int_equal(found, expected);
}

static void ds_11_random_work_finds_what_a_scan_finds_as_of_the_same_lsn(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 4);
    for (uint32_t step = 0; step < STEPS; step++) {
        write_at_random(&prng);
        if (base_prng_below(&prng, 3) == 0) {
            scene_flush(&scene, NULL);
            check_against_a_scan("red", "\"red\"");
            check_against_a_scan("", "\"\"");
        }
        if (step % 100 == 99) {
            scene_flush(&scene, NULL);
            expect_same_as_rebuilt();
        }
    }
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH_SCENE(ds_11_rows_are_as_of_the_position_of_the_index_and_match),
        WITH_SCENE(ds_11_a_row_with_several_values_comes_once_where_its_first_one_is),
        WITH_SCENE(ds_11_an_index_that_is_parked_answers_nothing),
        WITH_SCENE(ds_10_a_row_with_too_many_values_holds_up_nobody),
        WITH_SCENE(ds_02_what_was_saved_with_its_position_goes_on_behind_it),
        WITH_SCENE(ds_11_random_work_finds_what_a_scan_finds_as_of_the_same_lsn),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
