/* Views saved and loaded, states that lie, memory that is not there. */
#include "tests/derived/view_support.h"

#include "base/le.h"
#include "base/random.h"
#include "derived/decimal.h"
#include "derived/encode.h"

#include <errno.h>

/* ---- save and load ---- */

static void fill(struct fixture *fixture)
{
    put(fixture, "a", "{\"g\":\"x\",\"n\":1.5}");
    put(fixture, "b", "{\"g\":\"x\",\"n\":-2}");
    put(fixture, "c", "{\"g\":\"x\",\"n\":1.5}");
    put(fixture, "d", "{\"g\":\"\",\"n\":\"\"}");
    put_in(fixture, 7, "a", "{\"g\":\"y\"}");
    put(fixture, "e", "no document");
    put(fixture, "f", "{\"g\":\"gone\",\"n\":1}");
    erase(fixture, "f");
}

static void ds_20_a_view_that_was_saved_is_loaded_with_all_that_is_in_it(void **state)
{
    (void)state;
    struct fixture fixture;
    struct memory_state saved;
    open_view(&fixture, VIEW_EVERYTHING);
    fill(&fixture);
    struct fingerprint before = fingerprint_of(fixture.view);
    save(fixture.view, &saved);
    open_view_again(&fixture);
    assert_int_equal(load(fixture.view, &saved), 0);
    assert_true(are_same(before, fingerprint_of(fixture.view)));
    expect_groups(&fixture, ": 1 row, 0 numbers, sum 0, min 0, max 0; "
                            "x: 3 rows, 3 numbers, sum 1, min -2, max 1.5; "
                            "y: 1 row, 0 numbers, sum 0, min 0, max 0");
    expect_list(&fixture, "x", "a=1.5 b=-2 c=1.5");
    expect_list(&fixture, "", "d=");
    expect_list(&fixture, "y", "");
    expect_skipped(&fixture, 1, 1, 0);
    struct weir_view_group group;
    assert_int_equal(weir_view_get(fixture.view, bytes_of("x"), &group), 1);
    assert_int_equal(group.lsn, 3);
    /* It goes on from there. */
    put(&fixture, "a", "{\"g\":\"y\",\"n\":4}");
    erase(&fixture, "b");
    expect_groups(&fixture, ": 1 row, 0 numbers, sum 0, min 0, max 0; "
                            "x: 1 row, 1 number, sum 1.5, min 1.5, max 1.5; "
                            "y: 2 rows, 1 number, sum 4, min 4, max 4");
    memory_state_free(&saved);
    close_view(&fixture);
}

static void ds_20_an_empty_view_is_saved_and_loaded_too(void **state)
{
    (void)state;
    struct fixture fixture;
    struct memory_state saved;
    open_view(&fixture, VIEW_EVERYTHING);
    save(fixture.view, &saved);
    assert_int_equal(load(fixture.view, &saved), 0);
    expect_groups(&fixture, "");
    memory_state_free(&saved);
    close_view(&fixture);
}

static void ds_20_a_state_of_other_aggregates_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct memory_state saved;
    open_view(&fixture, WEIR_VIEW_COUNT | WEIR_VIEW_SUM);
    fill(&fixture);
    save(fixture.view, &saved);
    fixture.options.aggregates = WEIR_VIEW_COUNT;
    open_view_again(&fixture);
    assert_int_equal(load(fixture.view, &saved), WEIR_E_STATE);
    expect_groups(&fixture, "");
    memory_state_free(&saved);
    close_view(&fixture);
}

static void ds_20_what_the_file_says_when_saving_is_returned(void **state)
{
    (void)state;
    struct fixture fixture;
    struct memory_state saved = {.write_error = -ENOSPC};
    open_view(&fixture, VIEW_EVERYTHING);
    fill(&fixture);
    assert_int_equal(weir_view_ops()->save(fixture.view, memory_state_writer(&saved)), -ENOSPC);
    memory_state_free(&saved);
    close_view(&fixture);
}

static void ds_20_each_beginning_of_a_state_and_one_with_more_behind_it_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct memory_state saved;
    open_view(&fixture, VIEW_EVERYTHING);
    fill(&fixture);
    save(fixture.view, &saved);
    open_view_again(&fixture);
    for (size_t size = 0; size < saved.size; size++) {
        struct memory_state cut = {.data = saved.data, .size = size};
        assert_int_equal(load(fixture.view, &cut), WEIR_E_STATE);
        expect_groups(&fixture, "");
        expect_skipped(&fixture, 0, 0, 0);
    }
    assert_int_equal(weir_state_write(memory_state_writer(&saved), "", 1), 0);
    assert_int_equal(load(fixture.view, &saved), WEIR_E_STATE);
    expect_groups(&fixture, "");
    memory_state_free(&saved);
    close_view(&fixture);
}

/* Whatever is believed has to be a view: it can be asked, changed, and saved as it was loaded. */
static void use(struct fixture *fixture)
{
    struct memory_state again;
    struct weir_materialized_view *twin = make_twin(fixture);
    struct weir_event event = {.lsn = 100,
                               .operation = WEIR_INSERT,
                               .table = 99,
                               .key = bytes_of("new"),
                               .after = bytes_of("{\"g\":\"x\",\"n\":12}")};
    save(fixture->view, &again);
    assert_int_equal(load(twin, &again), 0);
    assert_true(are_same(fingerprint_of(fixture->view), fingerprint_of(twin)));
    check_entries(twin);
    int rc = apply(twin, &event);
    assert_true(rc == 0 || rc == -EOVERFLOW);
    memory_state_free(&again);
    weir_view_free(twin);
}

static void ds_20_a_state_with_any_byte_changed_is_refused_or_is_a_view(void **state)
{
    (void)state;
    struct fixture fixture;
    struct memory_state saved;
    unsigned refused = 0;
    unsigned believed = 0;
    open_view(&fixture, VIEW_EVERYTHING);
    fill(&fixture);
    save(fixture.view, &saved);
    for (size_t place = 0; place < saved.size; place++) {
        uint8_t was = saved.data[place];
        for (unsigned byte = 0; byte < 256; byte++) {
            saved.data[place] = (uint8_t)byte;
            weir_view_ops()->reset(fixture.view);
            int rc = load(fixture.view, &saved);
            if (rc == 0) {
                believed++;
                use(&fixture);
            } else {
                refused++;
                assert_int_equal(rc, WEIR_E_STATE);
                expect_groups(&fixture, "");
            }
        }
        saved.data[place] = was;
    }
    assert_true(refused > 1000 && believed > 1000);
    memory_state_free(&saved);
    close_view(&fixture);
}

/* ---- lies, one by one ---- */

/* What a state says; each lie changes one thing of an honest one. */
struct saying {
    uint64_t aggregates, groups;
    uint64_t count, numbers;
    decimal_units sum;
    const char *name, *second_name;
    uint64_t different;
    decimal_units number[2];
    uint64_t times[2];
    uint64_t listed;
    const char *key[2];
    size_t key_size; /* of the second key, when it is not that of the text */
    size_t name_size;
    uint64_t skipped_numbers;
};

static void encode_units(struct encoder *encoder, decimal_units units)
{
    struct le64 halves[2];
    le64_store(&halves[0], (uint64_t)units);
    le64_store(&halves[1], (uint64_t)(units >> 64));
    encode_raw(encoder, halves, sizeof halves);
}

static void encode_saying(const struct saying *saying, struct memory_state *state)
{
    static char long_name[70000];
    struct encoder encoder;
    *state = (struct memory_state){0};
    encoder_init(&encoder, memory_state_writer(state));
    encode_number(&encoder, saying->aggregates);
    encode_number(&encoder, 0);
    encode_number(&encoder, saying->skipped_numbers);
    encode_number(&encoder, 0);
    encode_number(&encoder, saying->groups);
    for (uint64_t group = 0; group < saying->groups; group++) {
        if (saying->name_size > 0) {
            encode_bytes(&encoder, (struct weir_bytes){long_name, saying->name_size});
        } else {
            encode_bytes(&encoder, bytes_of(group == 0 ? saying->name : saying->second_name));
        }
        encode_number(&encoder, saying->count);
        encode_number(&encoder, saying->numbers);
        encode_units(&encoder, saying->sum);
        encode_number(&encoder, 5);
        if ((saying->aggregates & (WEIR_VIEW_MIN | WEIR_VIEW_MAX)) != 0) {
            encode_number(&encoder, saying->different);
            for (uint64_t index = 0; index < saying->different && index < 2; index++) {
                encode_units(&encoder, saying->number[index]);
                encode_number(&encoder, saying->times[index]);
            }
        }
        if ((saying->aggregates & WEIR_VIEW_LIST) != 0) {
            encode_number(&encoder, saying->listed);
            for (uint64_t index = 0; index < saying->listed && index < 2; index++) {
                encode_number(&encoder, group);
                if (index == 1 && saying->key_size > 0) {
                    encode_bytes(&encoder, (struct weir_bytes){long_name, saying->key_size});
                } else {
                    encode_bytes(&encoder, bytes_of(saying->key[index]));
                }
                encode_bytes(&encoder, bytes_of("value"));
            }
        }
    }
    assert_int_equal(encoder_finish(&encoder), 0);
}

static struct saying honest(void)
{
    return (struct saying){
        .aggregates = VIEW_EVERYTHING,
        .groups = 1,
        .count = 4,
        .numbers = 3,
        .sum = 5,
        .name = "x",
        .second_name = "y",
        .different = 2,
        .number = {1, 3},
        .times = {2, 1},
        .listed = 2,
        .key = {"a", "b"},
    };
}

static int load_saying(struct fixture *fixture, const struct saying *saying)
{
    struct memory_state lie;
    fixture->options.aggregates = (uint32_t)saying->aggregates;
    open_view_again(fixture);
    encode_saying(saying, &lie);
    int rc = load(fixture->view, &lie);
    memory_state_free(&lie);
    return rc;
}

/* The next lie into *saying: its name; NULL: no more. */
static const char *lie_about_rows(unsigned number, struct saying *saying)
{
    *saying = honest();
    switch (number) {
    case 0:
        *saying = (struct saying){.aggregates = VIEW_EVERYTHING, .groups = 1, .name = "x"};
        return "a group without rows";
    case 1:
        saying->listed = 5;
        return "more listed rows than rows";
    case 2:
        saying->key[1] = "a";
        return "a row twice";
    case 3:
        saying->groups = 2;
        saying->second_name = "x";
        return "a group twice";
    case 4:
        saying->name_size = WEIR_VIEW_GROUP_MAX + 1;
        return "a name that is too long";
    case 5:
        saying->key_size = WEIR_KEY_BYTES_MAX + 1;
        return "a key that is too long";
    case 6:
        saying->groups = 2;
        saying->count = UINT32_MAX / 2 + 1;
        return "more rows than there can be";
    case 7:
        saying->count = UINT64_MAX;
        return "more rows in a group than there can be";
    case 8:
        saying->skipped_numbers = 5;
        return "more skipped numbers than rows";
    default:
        return NULL;
    }
}

/* The same. */
static const char *lie_about_numbers(unsigned number, struct saying *saying)
{
    *saying = honest();
    switch (number) {
    case 0:
        saying->numbers = 5;
        return "more numbers than rows";
    case 1:
        saying->sum = 6;
        return "a sum that is not that of the numbers";
    case 2:
        saying->number[0] = 3;
        saying->number[1] = -1;
        saying->sum = 5;
        return "numbers that do not ascend";
    case 3:
        saying->number[1] = 1;
        saying->sum = 3;
        return "a number twice";
    case 4:
        saying->times[1] = 0;
        saying->times[0] = 3;
        saying->sum = 3;
        return "a number that is there no time";
    case 5:
        saying->times[0] = 3;
        saying->sum = 6;
        return "more of the numbers than there are";
    case 6:
        saying->times[0] = 1;
        saying->sum = 4;
        return "fewer of the numbers than there are";
    case 7:
        saying->number[1] = DECIMAL_LIMIT;
        saying->sum = DECIMAL_LIMIT + 2;
        return "a number beyond the limit";
    case 8:
        saying->number[0] = -DECIMAL_LIMIT;
        saying->sum = -2 * DECIMAL_LIMIT + 3;
        return "a number below the limit";
    case 9:
        saying->aggregates = WEIR_VIEW_SUM;
        saying->sum = 3 * (DECIMAL_LIMIT - 1) + 1;
        return "a sum that so many numbers cannot have";
    case 10:
        saying->aggregates = WEIR_VIEW_SUM;
        saying->numbers = 0;
        saying->sum = 1;
        return "a sum without numbers";
    case 11:
        saying->aggregates = WEIR_VIEW_COUNT;
        saying->sum = 0;
        return "numbers in a view that has none";
    case 12:
        saying->different = UINT64_MAX;
        return "more different numbers than numbers";
    default:
        return NULL;
    }
}

static unsigned expect_refused(struct fixture *fixture,
                               const char *(*tell)(unsigned number, struct saying *saying))
{
    struct saying saying;
    const char *lie;
    unsigned number = 0;
    for (; (lie = tell(number, &saying)) != NULL; number++) {
        int rc = load_saying(fixture, &saying);
        if (rc != WEIR_E_STATE) {
            fail_msg("%s: %d", lie, rc);
        }
        expect_groups(fixture, "");
    }
    return number;
}

static void ds_20_states_that_lie_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct saying saying = honest();
    open_view(&fixture, VIEW_EVERYTHING);
    assert_int_equal(load_saying(&fixture, &saying), 0);
    expect_groups(&fixture, "x: 4 rows, 3 numbers, sum 0.000000005, min 0.000000001, "
                            "max 0.000000003");
    unsigned told = expect_refused(&fixture, lie_about_rows);
    told += expect_refused(&fixture, lie_about_numbers);
    assert_int_equal(told, 22);
    close_view(&fixture);
}

static void ds_20_a_view_has_room_for_2_to_the_32_rows_less_one(void **state)
{
    (void)state;
    struct fixture fixture;
    struct saying saying = {.aggregates = WEIR_VIEW_SUM,
                            .groups = 1,
                            .count = UINT32_MAX - 1,
                            .numbers = UINT32_MAX - 1,
                            .sum = (decimal_units)(UINT32_MAX - 1) * (DECIMAL_LIMIT - 1),
                            .name = "x"};
    open_view(&fixture, WEIR_VIEW_SUM);
    assert_int_equal(load_saying(&fixture, &saying), 0);
    put(&fixture, "last", "{\"g\":\"y\",\"n\":1}");
    struct fingerprint full = fingerprint_of(fixture.view);
    assert_int_equal(try_put_in(&fixture, 0, "a", "{\"g\":\"x\",\"n\":1}"), -EOVERFLOW);
    assert_int_equal(try_put_in(&fixture, 0, "a", "{\"g\":\"z\",\"n\":1}"), -EOVERFLOW);
    assert_true(are_same(full, fingerprint_of(fixture.view)));
    put(&fixture, "a", "{\"n\":1}"); /* is in no group */
    assert_int_equal(try_put_in(&fixture, 0, "a", "{\"g\":\"x\"}"), -EOVERFLOW);
    put(&fixture, "last", "{\"g\":\"x\",\"n\":999999999999999999.999999999}");
    expect_groups(&fixture, "x: 4294967295 rows, 4294967295 numbers, "
                            "sum 4294967294999999999999999995.705032705");
    erase(&fixture, "last");
    put(&fixture, "a", "{\"g\":\"x\",\"n\":-1}");
    close_view(&fixture);
}

/* ---- memory that is not there ---- */

static void ds_20_an_event_that_finds_no_memory_leaves_the_view_as_it_was(void **state)
{
    (void)state;
    struct fixture fixture;
    struct base_prng random;
    uint64_t failures = 0;
    open_view(&fixture, VIEW_EVERYTHING);
    base_prng_seed(&random, 3);
    for (int round = 0; round < 2500; round++) {
        char key[16];
        char value[1024];
        snprintf(key, sizeof key, "%u", (unsigned)base_prng_below(&random, 700));
        snprintf(value, sizeof value, "{\"g\":\"%u\",\"n\":\"%u%0*d\"}",
                 (unsigned)base_prng_below(&random, round < 1200 ? 2 : 300),
                 (unsigned)base_prng_below(&random, 900),
                 (int)base_prng_below(&random, round % 10 == 0 ? 900 : 3) + 1, 0);
        bool erases = base_prng_below(&random, 4) == 0;
        struct fingerprint before = fingerprint_of(fixture.view);
        int rc;
        uint64_t nth = 0;
        do {
            fail_allocation(++nth, round % 2 == 0);
            rc = try_put_in(&fixture, 0, key, erases ? NULL : value);
            stop_failing();
            assert_true(rc == 0 || rc == -ENOMEM);
            if (rc < 0) {
                failures++;
                assert_true(are_same(before, fingerprint_of(fixture.view)));
            }
        } while (rc < 0);
    }
    struct weir_materialized_view *twin = make_twin(&fixture);
    apply_rows(&fixture, twin);
    assert_true(are_same(fingerprint_of(twin), fingerprint_of(fixture.view)));
    assert_true(failures > 50);
    weir_view_free(twin);
    close_view(&fixture);
}

static uint64_t bytes_of_view(struct weir_materialized_view *view)
{
    struct weir_view_status status = WEIR_VIEW_STATUS_INIT;
    assert_int_equal(weir_view_stat(view, &status), 0);
    return status.bytes;
}

static void ds_20_events_that_find_no_memory_leave_nothing_behind_however_often_they_come(
    void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t failures = 0;
    open_view(&fixture, VIEW_EVERYTHING);
    for (int index = 0; index < 40; index++) {
        char key[16];
        char value[2048];
        snprintf(key, sizeof key, "%d", index);
        snprintf(value, sizeof value, "{\"g\":\"x\",\"n\":\"%d%01000d\"}", index, 0);
        for (int attempt = 0; attempt < 60; attempt++) {
            fail_allocation(1, false);
            int rc = try_put_in(&fixture, 0, key, value);
            stop_failing();
            failures += rc < 0 ? 1 : 0;
            attempt = rc < 0 ? attempt : 60;
        }
        put(&fixture, key, value);
    }
    assert_true(failures > 100);
    struct weir_materialized_view *twin = make_twin(&fixture);
    apply_rows(&fixture, twin);
    /* What was read last may have needed more room to be read. */
    assert_true(bytes_of_view(fixture.view) <= bytes_of_view(twin) + 4096);
    weir_view_free(twin);
    close_view(&fixture);
}

static void ds_20_removing_never_needs_memory_once_documents_like_it_were_read(void **state)
{
    (void)state;
    struct fixture fixture;
    open_view(&fixture, VIEW_EVERYTHING);
    for (int index = 0; index < 2000; index++) {
        char key[16];
        char value[64];
        snprintf(key, sizeof key, "%04d", index);
        snprintf(value, sizeof value, "{\"g\":\"%d\",\"n\":%d}", index % 2, index);
        put(&fixture, key, value);
    }
    put(&fixture, "0000", "{\"g\":\"1\",\"n\":0}"); /* an update: there is room for before-images */
    for (int index = 0; index < 2000; index++) {
        char key[16];
        snprintf(key, sizeof key, "%04d", index);
        fail_allocation(1, true);
        int rc = try_put_in(&fixture, 0, key, NULL);
        stop_failing();
        assert_int_equal(rc, 0);
    }
    expect_groups(&fixture, "");
    close_view(&fixture);
}

static void ds_20_a_load_that_finds_no_memory_leaves_an_empty_view(void **state)
{
    (void)state;
    struct fixture fixture;
    struct memory_state saved;
    open_view(&fixture, VIEW_EVERYTHING);
    for (int index = 0; index < 700; index++) {
        char key[16];
        char value[64];
        snprintf(key, sizeof key, "%d", index);
        snprintf(value, sizeof value, "{\"g\":\"%d\",\"n\":%d}", index % 2 == 0 ? 0 : index, index);
        put(&fixture, key, value);
    }
    struct fingerprint before = fingerprint_of(fixture.view);
    save(fixture.view, &saved);
    int rc;
    uint64_t nth = 0;
    do {
        open_view_again(&fixture);
        fail_allocation(++nth, false);
        rc = load(fixture.view, &saved);
        stop_failing();
        assert_true(rc == 0 || rc == -ENOMEM);
        if (rc < 0) {
            expect_groups(&fixture, "");
        }
    } while (rc < 0);
    assert_true(nth > 10);
    assert_true(are_same(before, fingerprint_of(fixture.view)));
    memory_state_free(&saved);
    close_view(&fixture);
}

static int ignore_group(void *context, const struct weir_view_group *group)
{
    (void)group;
    ++*(int *)context;
    return 0;
}

static int ignore_row(void *context, weir_table table, struct weir_bytes key,
                      struct weir_bytes text)
{
    (void)table;
    (void)key;
    (void)text;
    ++*(int *)context;
    return 0;
}

static void ds_20_questions_that_find_no_memory_say_so_and_are_answered_the_next_time(void **state)
{
    (void)state;
    struct fixture fixture;
    int count = 0;
    open_view(&fixture, VIEW_EVERYTHING);
    fill(&fixture);
    fail_allocation(1, true);
    int each = weir_view_each(fixture.view, bytes_of(""), ignore_group, &count);
    int list = weir_view_list(fixture.view, bytes_of("x"), ignore_row, &count);
    stop_failing();
    assert_int_equal(each, -ENOMEM);
    assert_int_equal(list, -ENOMEM);
    assert_int_equal(count, 0);
    assert_int_equal(weir_view_each(fixture.view, bytes_of(""), ignore_group, &count), 0);
    assert_int_equal(weir_view_list(fixture.view, bytes_of("x"), ignore_row, &count), 0);
    assert_int_equal(count, 6);
    struct weir_materialized_view *view = NULL;
    int rc;
    uint64_t nth = 0;
    do {
        fail_allocation(++nth, false);
        rc = weir_view_create(&fixture.options, &view);
        stop_failing();
        assert_true(rc == 0 || (rc == -ENOMEM && view == NULL));
    } while (rc < 0);
    assert_int_equal(nth, 4);
    weir_view_free(view);
    close_view(&fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_20_a_view_that_was_saved_is_loaded_with_all_that_is_in_it),
        cmocka_unit_test(ds_20_an_empty_view_is_saved_and_loaded_too),
        cmocka_unit_test(ds_20_a_state_of_other_aggregates_is_refused),
        cmocka_unit_test(ds_20_what_the_file_says_when_saving_is_returned),
        cmocka_unit_test(ds_20_each_beginning_of_a_state_and_one_with_more_behind_it_is_refused),
        cmocka_unit_test(ds_20_a_state_with_any_byte_changed_is_refused_or_is_a_view),
        cmocka_unit_test(ds_20_states_that_lie_are_refused),
        cmocka_unit_test(ds_20_a_view_has_room_for_2_to_the_32_rows_less_one),
        cmocka_unit_test(ds_20_an_event_that_finds_no_memory_leaves_the_view_as_it_was),
        cmocka_unit_test(
            ds_20_events_that_find_no_memory_leave_nothing_behind_however_often_they_come),
        cmocka_unit_test(ds_20_removing_never_needs_memory_once_documents_like_it_were_read),
        cmocka_unit_test(ds_20_a_load_that_finds_no_memory_leaves_an_empty_view),
        cmocka_unit_test(ds_20_questions_that_find_no_memory_say_so_and_are_answered_the_next_time),
    };
    return RUN_TESTS(tests, argc, argv);
}
