/* DS-20: groups and what they come to, driven with events alone. */
#include "tests/derived/view_support.h"

#include "base/alloc.h"

#include <errno.h>

/* ---- groups ---- */

static void ds_20_rows_count_in_the_group_that_a_field_names(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_COUNT);
    expect_groups(&fixture, "");
    put(&fixture, "a", "{\"g\":\"x\"}");
    put(&fixture, "b", "{\"g\":\"y\"}");
    put(&fixture, "c", "{\"g\":\"x\",\"n\":5}");
    put_in(&fixture, 3, "a", "{\"g\":\"x\"}");
    expect_groups(&fixture, "x: 3 rows, 0 numbers; y: 1 row, 0 numbers");
    close_view(&fixture);
}

static void ds_20_no_aggregate_is_count(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, 0);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":\"no number\"}");
    expect_groups(&fixture, "x: 1 row, 0 numbers");
    expect_skipped(&fixture, 0, 0, 0);
    close_view(&fixture);
}

static void ds_20_only_the_first_value_of_a_field_counts(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, VIEW_EVERYTHING);
    put(&fixture, "a", "{\"g\":[\"x\",\"y\"],\"n\":[2,30],\"g\":\"z\"}");
    expect_groups(&fixture, "x: 1 row, 1 number, sum 2, min 2, max 2");
    expect_list(&fixture, "x", "a=2");
    close_view(&fixture);
}

static void ds_20_a_row_without_the_field_is_in_no_group_and_the_empty_string_is_one(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_COUNT | WEIR_VIEW_SUM);
    put(&fixture, "a", "{\"n\":1}");
    put(&fixture, "b", "{\"g\":null,\"n\":2}");
    expect_groups(&fixture, "");
    put(&fixture, "c", "{\"g\":\"\",\"n\":4}");
    put(&fixture, "d", "{\"g\":\"x\",\"n\":8}");
    expect_groups(&fixture, ": 1 row, 1 number, sum 4; x: 1 row, 1 number, sum 8");
    put(&fixture, "a", "{\"g\":\"\",\"n\":16}");
    put(&fixture, "d", "{\"n\":8}");
    expect_groups(&fixture, ": 2 rows, 2 numbers, sum 20");
    close_view(&fixture);
}

static void ds_20_an_update_moves_a_row_between_groups(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, VIEW_EVERYTHING);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":1}");
    put(&fixture, "b", "{\"g\":\"x\",\"n\":2}");
    put(&fixture, "a", "{\"g\":\"y\",\"n\":10}");
    expect_groups(&fixture, "x: 1 row, 1 number, sum 2, min 2, max 2; "
                            "y: 1 row, 1 number, sum 10, min 10, max 10");
    expect_list(&fixture, "x", "b=2");
    expect_list(&fixture, "y", "a=10");
    put(&fixture, "a", "{\"g\":\"x\",\"n\":-1.5}");
    expect_groups(&fixture, "x: 2 rows, 2 numbers, sum 0.5, min -1.5, max 2");
    expect_list(&fixture, "x", "a=-1.5 b=2");
    expect_list(&fixture, "y", "");
    close_view(&fixture);
}

static void ds_20_a_group_without_rows_disappears_and_can_come_back(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, VIEW_EVERYTHING);
    for (int round = 0; round < 3; round++) {
        put(&fixture, "a", "{\"g\":\"x\",\"n\":7}");
        put(&fixture, "b", "{\"g\":\"\",\"n\":\"text\"}");
        struct weir_view_group group;
        assert_int_equal(weir_view_get(fixture.view, bytes_of("x"), &group), 1);
        assert_int_equal(group.count, 1);
        erase(&fixture, "a");
        assert_int_equal(weir_view_get(fixture.view, bytes_of("x"), &group), 0);
        expect_groups(&fixture, ": 1 row, 0 numbers, sum 0, min 0, max 0");
        erase(&fixture, "b");
        expect_groups(&fixture, "");
        expect_skipped(&fixture, 0, 0, 0);
    }
    assert_true(are_same(fingerprint_of(fixture.view), (struct fingerprint){{0}}));
    close_view(&fixture);
}

static void ds_20_an_update_that_changes_nothing_keeps_the_only_row_of_a_group(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, VIEW_EVERYTHING);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":7}");
    put(&fixture, "a", "{\"g\":\"x\",\"n\":7}");
    put(&fixture, "a", "{\"g\":\"x\",\"n\":7,\"other\":1}");
    expect_groups(&fixture, "x: 1 row, 1 number, sum 7, min 7, max 7");
    expect_list(&fixture, "x", "a=7");
    put(&fixture, "a", "{\"g\":\"x\"}");
    expect_groups(&fixture, "x: 1 row, 0 numbers, sum 0, min 0, max 0");
    expect_list(&fixture, "x", "");
    close_view(&fixture);
}

static int collect(void *context, const struct weir_view_group *group)
{
    char *line = context;
    snprintf(line + strlen(line), 256 - strlen(line), "%.*s ", (int)group->group.size,
             (const char *)group->group.data);
    return strcmp(line, "b bb ") == 0 ? 9 : 0;
}

static void ds_20_groups_come_in_order_of_their_bytes_all_or_those_with_a_prefix(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_COUNT);
    static const char *const groups[] = {"b", "a", "\xc3\xa9", "bb", "B", "", "ba", "c"};
    for (size_t index = 0; index < COUNT_OF(groups); index++) {
        char value[64];
        snprintf(value, sizeof value, "{\"g\":\"%s\"}", groups[index]);
        put(&fixture, groups[index][0] != '\0' ? groups[index] : "-", value);
    }
    char line[256] = "";
    assert_int_equal(weir_view_each(fixture.view, bytes_of(""), collect, line), 0);
    assert_string_equal(line, " B a b ba bb c \xc3\xa9 ");
    line[0] = '\0';
    erase(&fixture, "ba");
    assert_int_equal(weir_view_each(fixture.view, bytes_of("b"), collect, line), 9);
    assert_string_equal(line, "b bb ");
    line[0] = '\0';
    assert_int_equal(weir_view_each(fixture.view, bytes_of("zz"), collect, line), 0);
    assert_string_equal(line, "");
    close_view(&fixture);
}

static void ds_20_a_name_that_is_too_long_is_no_group_and_counted(void **state)
{
    (void)state;
    static char value[2 * WEIR_VIEW_GROUP_MAX];
    struct fixture fixture;
    open_view(&fixture, VIEW_EVERYTHING);
    snprintf(value, sizeof value, "{\"g\":\"%0*d\",\"n\":1}", WEIR_VIEW_GROUP_MAX, 0);
    put(&fixture, "a", value);
    expect_skipped(&fixture, 0, 0, 0);
    struct weir_view_status status = WEIR_VIEW_STATUS_INIT;
    assert_int_equal(weir_view_stat(fixture.view, &status), 0);
    assert_int_equal(status.groups, 1);
    snprintf(value, sizeof value, "{\"g\":\"%0*d\",\"n\":1}", WEIR_VIEW_GROUP_MAX + 1, 0);
    put(&fixture, "a", value);
    expect_groups(&fixture, "");
    expect_skipped(&fixture, 0, 0, 1);
    check_entries(fixture.view);
    put(&fixture, "b", value);
    erase(&fixture, "a");
    expect_skipped(&fixture, 0, 0, 1);
    erase(&fixture, "b");
    expect_skipped(&fixture, 0, 0, 0);
    close_view(&fixture);
}

/* ---- numbers ---- */

static void ds_20_sums_are_exact(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_SUM);
    for (int index = 0; index < 10; index++) {
        char key[16];
        snprintf(key, sizeof key, "%d", index);
        put(&fixture, key, "{\"g\":\"x\",\"n\":0.1}");
    }
    expect_groups(&fixture, "x: 10 rows, 10 numbers, sum 1");
    put(&fixture, "0", "{\"g\":\"x\",\"n\":999999999999999999.999999999}");
    put(&fixture, "1", "{\"g\":\"x\",\"n\":\"999999999999999999.999999999\"}");
    expect_groups(&fixture, "x: 10 rows, 10 numbers, sum 2000000000000000000.799999998");
    put(&fixture, "0", "{\"g\":\"x\",\"n\":-1e-9}");
    put(&fixture, "1", "{\"g\":\"x\",\"n\":-1e17}");
    expect_groups(&fixture, "x: 10 rows, 10 numbers, sum -99999999999999999.200000001");
    close_view(&fixture);
}

static void ds_20_what_is_no_number_is_not_added_and_counted(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, VIEW_EVERYTHING);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":\"twelve\"}");
    put(&fixture, "b", "{\"g\":\"x\",\"n\":1e18}");
    put(&fixture, "c", "{\"g\":\"x\",\"n\":0.0000000001}");
    put(&fixture, "d", "{\"g\":\"x\",\"n\":true}");
    put(&fixture, "e", "{\"g\":\"x\"}");
    put(&fixture, "f", "{\"g\":\"x\",\"n\":null}");
    put(&fixture, "g", "{\"n\":\"in no group\"}");
    expect_groups(&fixture, "x: 6 rows, 0 numbers, sum 0, min 0, max 0");
    expect_skipped(&fixture, 0, 4, 0);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":\"12\"}");
    expect_groups(&fixture, "x: 6 rows, 1 number, sum 12, min 12, max 12");
    erase(&fixture, "b");
    expect_skipped(&fixture, 0, 2, 0);
    check_entries(fixture.view);
    close_view(&fixture);
}

static void ds_20_rows_that_are_no_document_are_in_no_group_and_counted(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_COUNT);
    put(&fixture, "a", "{\"g\":\"x\"");
    put(&fixture, "b", "");
    expect_groups(&fixture, "");
    expect_skipped(&fixture, 2, 0, 0);
    put(&fixture, "a", "{\"g\":\"x\"}");
    expect_groups(&fixture, "x: 1 row, 0 numbers");
    put(&fixture, "a", "x");
    expect_groups(&fixture, "");
    expect_skipped(&fixture, 2, 0, 0);
    erase(&fixture, "a");
    erase(&fixture, "b");
    expect_skipped(&fixture, 0, 0, 0);
    close_view(&fixture);
}

static void ds_20_min_and_max_survive_the_rows_that_they_came_from(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_MIN | WEIR_VIEW_MAX);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":5}");
    put(&fixture, "b", "{\"g\":\"x\",\"n\":-5}");
    put(&fixture, "c", "{\"g\":\"x\",\"n\":0.5}");
    put(&fixture, "d", "{\"g\":\"x\",\"n\":\"5.0\"}");
    expect_groups(&fixture, "x: 4 rows, 4 numbers, min -5, max 5");
    erase(&fixture, "a");
    expect_groups(&fixture, "x: 3 rows, 3 numbers, min -5, max 5");
    erase(&fixture, "d");
    erase(&fixture, "b");
    expect_groups(&fixture, "x: 1 row, 1 number, min 0.5, max 0.5");
    put(&fixture, "c", "{\"g\":\"x\",\"n\":\"none\"}");
    expect_groups(&fixture, "x: 1 row, 0 numbers, min 0, max 0");
    close_view(&fixture);
}

/* ---- list ---- */

static void ds_20_list_has_the_values_in_order_of_table_and_key(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_LIST);
    put_in(&fixture, 256, "a", "{\"g\":\"x\",\"n\":\"t256\"}");
    put_in(&fixture, 2, "a", "{\"g\":\"x\",\"n\":\"t2\"}");
    put(&fixture, "b", "{\"g\":\"x\",\"n\":\"second\"}");
    put(&fixture, "aa", "{\"g\":\"x\",\"n\":\"\"}");
    put(&fixture, "\xff", "{\"g\":\"x\",\"n\":true}");
    put(&fixture, "a", "{\"g\":\"x\",\"n\":1.50}");
    put(&fixture, "no value", "{\"g\":\"x\"}");
    put(&fixture, "other", "{\"g\":\"y\",\"n\":1}");
    expect_list(&fixture, "x", "a=1.50 aa= b=second \xff=true 2/a=t2 256/a=t256");
    expect_list(&fixture, "there is none", "");
    put(&fixture, "b", "{\"g\":\"x\",\"n\":\"changed\"}");
    put(&fixture, "aa", "{\"g\":\"x\"}");
    put_in(&fixture, 2, "a", "{\"g\":\"y\",\"n\":\"t2\"}");
    expect_list(&fixture, "x", "a=1.50 b=changed \xff=true 256/a=t256");
    expect_list(&fixture, "y", "other=1 2/a=t2");
    close_view(&fixture);
}

static int stop_at_second(void *context, weir_table table, struct weir_bytes key,
                          struct weir_bytes text)
{
    (void)table;
    (void)key;
    (void)text;
    return ++*(int *)context == 2 ? 5 : 0;
}

static void ds_20_a_list_stops_when_it_is_told_to_and_is_there_only_when_asked_for(void **state)
{
    (void)state;
    struct fixture fixture;
    int count = 0;
    open_view(&fixture, WEIR_VIEW_LIST);
    for (char key[] = "a"; key[0] <= 'e'; key[0]++) {
        put(&fixture, key, "{\"g\":\"x\",\"n\":1}");
    }
    assert_int_equal(weir_view_list(fixture.view, bytes_of("x"), stop_at_second, &count), 5);
    assert_int_equal(count, 2);
    close_view(&fixture);
    open_view(&fixture, WEIR_VIEW_COUNT);
    assert_int_equal(weir_view_list(fixture.view, bytes_of("x"), stop_at_second, &count), -EINVAL);
    close_view(&fixture);
}

/* ---- transform ---- */

/* Drops rows whose key begins with '-'; 'f' fails; makes groups of the rest by the key's first
 * letter. */
struct shaping {
    char value[128];
    int calls;
};

static int shape(void *context, struct weir_bytes key, struct weir_bytes value,
                 struct weir_bytes *ret_key, struct weir_bytes *ret_value)
{
    struct shaping *shaping = context;
    const char *first = key.data;
    shaping->calls++;
    if (*first == '-') {
        return 0;
    }
    if (*first == 'f') {
        return -ENODATA;
    }
    int size = snprintf(shaping->value, sizeof shaping->value, "{\"g\":\"%c\",\"n\":\"%.*s!\"}",
                        *first, (int)value.size, (const char *)value.data);
    *ret_key = bytes_of("the same for all");
    *ret_value = (struct weir_bytes){shaping->value, (size_t)size};
    return 1;
}

static void ds_20_a_transform_may_change_or_drop_a_row(void **state)
{
    (void)state;
    struct fixture fixture;
    struct shaping shaping = {.calls = 0};
    open_view(&fixture, WEIR_VIEW_COUNT | WEIR_VIEW_LIST);
    fixture.options.transform = shape;
    fixture.options.transform_context = &shaping;
    open_view_again(&fixture);
    put(&fixture, "a1", "one");
    put(&fixture, "a2", "two");
    put(&fixture, "-b", "not seen");
    put(&fixture, "b", "three");
    expect_groups(&fixture, "a: 2 rows, 0 numbers; b: 1 row, 0 numbers");
    expect_list(&fixture, "a", "a1=one! a2=two!");
    put(&fixture, "a2", "2");
    erase(&fixture, "-b");
    erase(&fixture, "b");
    expect_groups(&fixture, "a: 2 rows, 0 numbers");
    expect_list(&fixture, "a", "a1=one! a2=2!");
    assert_int_equal(try_put_in(&fixture, 0, "fails", "x"), -ENODATA);
    expect_groups(&fixture, "a: 2 rows, 0 numbers");
    close_view(&fixture);
}

/* ---- the last LSN ---- */

static weir_lsn lsn_of(struct fixture *fixture, const char *name)
{
    struct weir_view_group group;
    assert_int_equal(weir_view_get(fixture->view, bytes_of(name), &group), 1);
    return group.lsn;
}

static void ds_20_a_group_knows_the_last_lsn_that_touched_it_which_is_no_part_of_it(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_COUNT);
    put(&fixture, "a", "{\"g\":\"x\"}");
    put(&fixture, "b", "{\"g\":\"x\"}");
    put(&fixture, "c", "{\"g\":\"y\"}");
    assert_int_equal(lsn_of(&fixture, "x"), 2);
    put(&fixture, "b", "{\"g\":\"y\"}");
    assert_int_equal(lsn_of(&fixture, "x"), 4);
    assert_int_equal(lsn_of(&fixture, "y"), 4);
    put(&fixture, "d", "{}");
    assert_int_equal(lsn_of(&fixture, "y"), 4);
    struct weir_materialized_view *twin = make_twin(&fixture);
    apply_rows(&fixture, twin);
    struct weir_view_group group;
    assert_int_equal(weir_view_get(twin, bytes_of("y"), &group), 1);
    assert_true(group.lsn < 4);
    assert_true(are_same(fingerprint_of(twin), fingerprint_of(fixture.view)));
    weir_view_free(twin);
    close_view(&fixture);
}

/* ---- what can go wrong ---- */

static void ds_20_nothing_falls_below_zero_what_was_never_added_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, VIEW_EVERYTHING);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":1}");
    put(&fixture, "b", "{\"g\":\"x\",\"n\":3}");
    put(&fixture, "c", "{\"g\":\"z\"}");
    struct fingerprint before = fingerprint_of(fixture.view);
    static const struct {
        const char *key, *value;
    } strangers[] = {
        {"a", "{\"g\":\"y\",\"n\":1}"}, /* no such group */
        {"a", "{\"g\":\"x\",\"n\":2}"}, /* no such number */
        {"a", "{\"g\":\"x\"}"},         /* the row is listed */
        {"q", "{\"g\":\"x\",\"n\":1}"}, /* no such row */
        {"a", "{\"g\":\"x\",\"n\":3}"}, /* the number of another row */
        {"c", "{\"g\":\"z\",\"n\":0}"}, /* the group has no number */
        {"a", "no document"},           {"a", "{\"g\":\"x\",\"n\":\"no number\"}"},
    };
    for (size_t index = 0; index < COUNT_OF(strangers); index++) {
        for (int update = 0; update < 2; update++) {
            struct weir_event event = {
                .lsn = 9,
                .operation = update ? WEIR_UPDATE : WEIR_REMOVE,
                .key = bytes_of(strangers[index].key),
                .before = bytes_of(strangers[index].value),
                .after = bytes_of(update ? "{\"g\":\"new\",\"n\":1}" : ""),
            };
            assert_int_equal(apply(fixture.view, &event), WEIR_E_STATE);
            assert_true(are_same(before, fingerprint_of(fixture.view)));
        }
    }
    struct weir_event again = {.lsn = 9,
                               .operation = WEIR_INSERT,
                               .key = bytes_of("a"),
                               .after = bytes_of("{\"g\":\"x\",\"n\":1}")};
    assert_int_equal(apply(fixture.view, &again), WEIR_E_STATE);
    assert_true(are_same(before, fingerprint_of(fixture.view)));
    close_view(&fixture);
}

static int remove_stranger(struct fixture *fixture, const char *value)
{
    struct weir_event event = {
        .lsn = 9, .operation = WEIR_REMOVE, .key = bytes_of("stranger"), .before = bytes_of(value)};
    return apply(fixture->view, &event);
}

static void ds_20_without_a_list_what_can_be_known_to_be_missing_is_refused(void **state)
{
    (void)state;
    static char long_group[2 * WEIR_VIEW_GROUP_MAX];
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_SUM | WEIR_VIEW_MIN);
    snprintf(long_group, sizeof long_group, "{\"g\":\"%0*d\"}", WEIR_VIEW_GROUP_MAX + 1, 0);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":1}");
    put(&fixture, "b", "{\"g\":\"x\",\"n\":3}");
    put(&fixture, "c", "{\"g\":\"z\",\"n\":3}");
    const char *const strangers[] = {
        "{\"g\":\"y\",\"n\":1}",      /* no such group */
        "{\"g\":\"x\",\"n\":2}",      /* no such number */
        "{\"g\":\"x\"}",              /* all rows of the group have a number */
        "{\"g\":\"x\",\"n\":\"no\"}", /* so they have */
        "no document",                /* there is none */
        long_group,                   /* nor one of these */
        "{\"g\":\"z\",\"n\":1}",      /* the last row has to take everything with it */
        "{\"g\":\"z\"}",
    };
    for (size_t index = 0; index < COUNT_OF(strangers); index++) {
        if (remove_stranger(&fixture, strangers[index]) != WEIR_E_STATE) {
            fail_msg("%s", strangers[index]);
        }
        expect_groups(&fixture, "x: 2 rows, 2 numbers, sum 4, min 1; z: 1 row, 1 number, sum 3, "
                                "min 3");
        expect_skipped(&fixture, 0, 0, 0);
    }
    put(&fixture, "d", "{\"g\":\"x\"}");
    assert_int_equal(remove_stranger(&fixture, "{\"g\":\"x\",\"n\":\"no\"}"), WEIR_E_STATE);
    close_view(&fixture);
}

static void ds_20_a_sum_alone_leaves_with_the_last_row_or_the_row_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, WEIR_VIEW_SUM);
    put(&fixture, "a", "{\"g\":\"x\",\"n\":1}");
    assert_int_equal(remove_stranger(&fixture, "{\"g\":\"x\",\"n\":2}"), WEIR_E_STATE);
    assert_int_equal(remove_stranger(&fixture, "{\"g\":\"x\"}"), WEIR_E_STATE);
    erase(&fixture, "a");
    expect_groups(&fixture, "");
    close_view(&fixture);
}

/* Emits, then answers as told. */
static int emit_and_answer(void *context, struct weir_bytes key, struct weir_bytes value,
                           weir_emit_fn emit, void *emit_context)
{
    (void)key;
    int rc = emit(emit_context, 0, value);
    rc = rc != 0 ? rc : emit(emit_context, 1, bytes_of("5"));
    return rc != 0 ? rc : *(int *)context;
}

static void ds_20_an_extractor_that_fails_leaves_the_view_as_it_was(void **state)
{
    (void)state;
    static const struct {
        int answer, expected;
    } cases[] = {{-EIO, -EIO}, {2, -EINVAL}, {WEIR_E_PARKED, WEIR_E_PARKED}};
    struct fixture fixture;
    int answer = 0;
    open_view(&fixture, VIEW_EVERYTHING);
    fixture.options.extract = emit_and_answer;
    fixture.options.extract_context = &answer;
    open_view_again(&fixture);
    put(&fixture, "a", "x");
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        answer = cases[index].answer;
        assert_int_equal(try_put_in(&fixture, 0, "b", "x"), cases[index].expected);
        assert_int_equal(try_put_in(&fixture, 0, "a", "y"), cases[index].expected);
        assert_int_equal(try_put_in(&fixture, 0, "a", NULL), cases[index].expected);
        expect_groups(&fixture, "x: 1 row, 1 number, sum 5, min 5, max 5");
        expect_list(&fixture, "x", "a=5");
    }
    /* One that says that it is no document after all has emitted nothing. */
    answer = 1;
    put(&fixture, "b", "x");
    expect_groups(&fixture, "x: 1 row, 1 number, sum 5, min 5, max 5");
    expect_skipped(&fixture, 1, 0, 0);
    close_view(&fixture);
}

static void ds_20_options_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    struct weir_materialized_view *view = NULL;
    struct weir_view_options good = WEIR_VIEW_OPTIONS_INIT;
    good.extract = weir_value_extract;
    struct weir_view_options bad[4] = {good, good, good, good};
    bad[0].size--;
    bad[1].reserved = 1;
    bad[2].extract = NULL;
    bad[3].aggregates = 32;
    for (size_t index = 0; index < COUNT_OF(bad); index++) {
        assert_int_equal(weir_view_create(&bad[index], &view), -EINVAL);
    }
    assert_int_equal(weir_view_create(NULL, &view), -EINVAL);
    assert_int_equal(weir_view_create(&good, NULL), -EINVAL);
    assert_null(view);
    struct weir_view_status status = {.size = 8};
    assert_int_equal(weir_view_create(&good, &view), 0);
    assert_int_equal(weir_view_stat(view, &status), -EINVAL);
    assert_int_equal(weir_view_stat(view, NULL), -EINVAL);
    assert_string_equal(weir_view_ops()->kind, "view");
    weir_view_free(view);
    weir_view_free(NULL);
}

static void ds_20_reset_is_as_if_no_event_had_come_and_gives_all_memory_back(void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t in_use = base_alloc_in_use();
    open_view(&fixture, VIEW_EVERYTHING);
    for (int index = 0; index < 2000; index++) {
        char key[16];
        char value[64];
        snprintf(key, sizeof key, "%d", index);
        snprintf(value, sizeof value, "{\"g\":\"%d\",\"n\":%d}", index % 3, index);
        put(&fixture, key, value);
    }
    weir_view_ops()->reset(fixture.view);
    expect_groups(&fixture, "");
    assert_true(are_same(fingerprint_of(fixture.view), (struct fingerprint){{0}}));
    apply_rows(&fixture, fixture.view);
    struct weir_view_status status = WEIR_VIEW_STATUS_INIT;
    assert_int_equal(weir_view_stat(fixture.view, &status), 0);
    assert_int_equal(status.groups, 3);
    assert_int_equal(status.rows, 2000);
    assert_true(status.bytes > 2000 * 40);
    close_view(&fixture);
    assert_true(base_alloc_in_use() == in_use);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_20_rows_count_in_the_group_that_a_field_names),
        cmocka_unit_test(ds_20_no_aggregate_is_count),
        cmocka_unit_test(ds_20_only_the_first_value_of_a_field_counts),
        cmocka_unit_test(ds_20_a_row_without_the_field_is_in_no_group_and_the_empty_string_is_one),
        cmocka_unit_test(ds_20_an_update_moves_a_row_between_groups),
        cmocka_unit_test(ds_20_a_group_without_rows_disappears_and_can_come_back),
        cmocka_unit_test(ds_20_an_update_that_changes_nothing_keeps_the_only_row_of_a_group),
        cmocka_unit_test(ds_20_groups_come_in_order_of_their_bytes_all_or_those_with_a_prefix),
        cmocka_unit_test(ds_20_a_name_that_is_too_long_is_no_group_and_counted),
        cmocka_unit_test(ds_20_sums_are_exact),
        cmocka_unit_test(ds_20_what_is_no_number_is_not_added_and_counted),
        cmocka_unit_test(ds_20_rows_that_are_no_document_are_in_no_group_and_counted),
        cmocka_unit_test(ds_20_min_and_max_survive_the_rows_that_they_came_from),
        cmocka_unit_test(ds_20_list_has_the_values_in_order_of_table_and_key),
        cmocka_unit_test(ds_20_a_list_stops_when_it_is_told_to_and_is_there_only_when_asked_for),
        cmocka_unit_test(ds_20_a_transform_may_change_or_drop_a_row),
        cmocka_unit_test(ds_20_a_group_knows_the_last_lsn_that_touched_it_which_is_no_part_of_it),
        cmocka_unit_test(ds_20_nothing_falls_below_zero_what_was_never_added_is_refused),
        cmocka_unit_test(ds_20_without_a_list_what_can_be_known_to_be_missing_is_refused),
        cmocka_unit_test(ds_20_a_sum_alone_leaves_with_the_last_row_or_the_row_is_refused),
        cmocka_unit_test(ds_20_an_extractor_that_fails_leaves_the_view_as_it_was),
        cmocka_unit_test(ds_20_options_that_mean_nothing_are_refused),
        cmocka_unit_test(ds_20_reset_is_as_if_no_event_had_come_and_gives_all_memory_back),
    };
    return RUN_TESTS(tests, argc, argv);
}
