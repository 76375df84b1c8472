/* The index's state: saved and loaded it is the same; what lies is refused; no allocation that
 * fails, no extractor that fails leaves anything behind. */
#include "tests/derived/index_support.h"

#include "base/alloc.h"
#include "base/random.h"

#include <errno.h>

#define ROWS 300u
#define NOISE 400u

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

/* Rows of every kind, some of them gone again. */
static void fill(uint32_t rows)
{
    for (uint32_t index = 0; index < rows; index++) {
        char key[32];
        char value[64];
        (void)snprintf(key, sizeof key, "key %u", (unsigned)index);
        (void)snprintf(value, sizeof value, "v%u,common%s;f%u", (unsigned)(index % 37),
                       index % 3 == 0 ? ",third" : "", (unsigned)(index % 5));
        put(&fixture, key, index % 11 == 0 ? "!" : index % 13 == 0 ? "*5000" : value);
    }
    for (uint32_t index = 0; index < rows; index += 4) {
        char key[32];
        (void)snprintf(key, sizeof key, "key %u", (unsigned)index);
        delete (&fixture, key);
    }
}

static struct memory_state save(struct weir_index *index)
{
    struct memory_state saved = {0};
    assert_int_equal(weir_index_ops()->save(index, memory_state_writer(&saved)), 0);
    return saved;
}

static int load(struct weir_index *index, const struct memory_state *saved)
{
    struct weir_state_reader *reader = memory_state_reader(saved);
    int rc = weir_index_ops()->load(index, reader);
    weir_state_close(reader);
    return rc;
}

static void expect_equal_fingerprints(struct weir_index *left, struct weir_index *right)
{
    uint8_t first[16];
    uint8_t second[16];
    fingerprint_of(left, first);
    fingerprint_of(right, second);
    assert_memory_equal(first, second, 16);
}

static void expect_nothing(struct weir_index *index)
{
    struct weir_index_status status = status_of(index);
    assert_int_equal(status.rows + status.values + status.entries, 0);
    assert_int_equal(status.skipped_documents + status.skipped_values, 0);
}

static void check_round_trip(uint32_t rows)
{
    fill(rows);
    struct memory_state saved = save(fixture.index);
    struct weir_index *loaded = make_index(fixture.fields);
    assert_int_equal(load(loaded, &saved), 0);
    expect_equal_fingerprints(fixture.index, loaded);
    struct weir_index_status before = status_of(fixture.index);
    struct weir_index_status after = status_of(loaded);
    before.bytes = 0;
    after.bytes = 0;
    assert_memory_equal(&before, &after, sizeof before);
    char *all = strdup(find_all(&fixture));
    weir_index_free(fixture.index);
    fixture.index = loaded; /* and goes on from there */
    assert_string_equal(find_all(&fixture), all);
    free(all);
    fill(rows / 2 + 1);
    assert_string_equal(find_all(&fixture), expected_all(&fixture));
    memory_state_free(&saved);
}

static void ds_02_what_was_saved_is_loaded_and_goes_on(void **state)
{
    (void)state;
    check_round_trip(ROWS);
}

/* Longer than what is put together on the stack, and nothing was added since the load. */
static void ds_10_a_row_with_a_long_key_is_removed_from_what_was_loaded(void **state)
{
    (void)state;
    char key[601];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    struct weir_event event = {
        .lsn = 1, .operation = WEIR_INSERT, .key = bytes_of(key), .after = bytes_of("v")};
    assert_int_equal(fixture.ops->apply(fixture.index, &event), 0);
    struct memory_state saved = save(fixture.index);
    struct weir_index *loaded = make_index(1);
    assert_int_equal(load(loaded, &saved), 0);
    event = (struct weir_event){
        .lsn = 2, .operation = WEIR_REMOVE, .key = bytes_of(key), .before = bytes_of("v")};
    assert_int_equal(fixture.ops->apply(loaded, &event), 0);
    expect_nothing(loaded);
    weir_index_free(loaded);
    memory_state_free(&saved);
}

static void ds_02_what_is_empty_is_saved_and_loaded_too(void **state)
{
    (void)state;
    check_round_trip(0);
}

static void ds_02_equal_states_are_saved_as_equal_bytes_wherever_they_come_from(void **state)
{
    (void)state;
    fill(ROWS);
    struct memory_state first = save(fixture.index);
    struct weir_index *loaded = make_index(1);
    assert_int_equal(load(loaded, &first), 0);
    struct memory_state second = save(loaded);
    struct weir_index *again = make_index(1);
    assert_int_equal(load(again, &second), 0);
    struct memory_state third = save(again);
    assert_int_equal(second.size, third.size);
    assert_memory_equal(second.data, third.data, third.size);
    memory_state_free(&first);
    memory_state_free(&second);
    memory_state_free(&third);
    weir_index_free(loaded);
    weir_index_free(again);
}

static void a_state_of_another_number_of_fields_is_refused(void **state)
{
    (void)state;
    fill(20);
    struct memory_state saved = save(fixture.index);
    struct weir_index *two = make_index(2);
    assert_int_equal(load(two, &saved), WEIR_E_STATE);
    expect_nothing(two);
    weir_index_free(two);
    memory_state_free(&saved);
}

static void a_state_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    fill(60);
    struct memory_state saved = save(fixture.index);
    struct weir_index *index = make_index(1);
    size_t whole = saved.size;
    for (saved.size = 0; saved.size < whole; saved.size++) {
        assert_int_equal(load(index, &saved), WEIR_E_STATE);
        expect_nothing(index);
    }
    assert_int_equal(load(index, &saved), 0);
    weir_index_free(index);
    assert_int_equal(weir_state_write(memory_state_writer(&saved), "", 1), 0);
    index = make_index(1);
    assert_int_equal(load(index, &saved), WEIR_E_STATE); /* one byte is left over */
    weir_index_free(index);
    memory_state_free(&saved);
}

/* Loads what was changed: refused and empty, or a state that can be asked and fed and saved. */
static void try_changed(struct memory_state *saved)
{
    uint64_t blocks = base_alloc_in_use();
    struct weir_index *index = make_index(2);
    int rc = load(index, saved);
    if (rc < 0) {
        assert_int_equal(rc, WEIR_E_STATE);
        expect_nothing(index);
    } else {
        struct weir_index *good = fixture.index;
        struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
        static struct found found;
        found = (struct found){.size = 0};
        fixture.index = index;
        assert_int_equal(weir_index_find(index, &query, collect, &found), 0);
        assert_int_equal(found.count, status_of(index).entries);
        put(&fixture, "key 1", "fresh;x");
        put(&fixture, "key 1", "v1,common;f1");
        struct memory_state again = save(index);
        memory_state_free(&again);
        fixture.index = good;
    }
    weir_index_free(index);
    assert_int_equal(base_alloc_in_use(), blocks);
}

static void each_byte_of_a_state_may_lie(void **state)
{
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x7f, 0x40};
    fill(24);
    struct memory_state saved = save(fixture.index);
    (void)find_all(&fixture);
    for (size_t at = 0; at < saved.size; at++) {
        for (size_t change = 0; change < COUNT_OF(changes); change++) {
            saved.data[at] ^= changes[change];
            try_changed(&saved);
            saved.data[at] ^= changes[change];
        }
    }
    memory_state_free(&saved);
}

static void counts_that_cannot_be_true_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[40];
        size_t size;
    } cases[] = {
        {{1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0}, 9},
        {{1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0}, 9},
        {{1, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 'a', 'a', 'a', 'a', 'a'}, 15},
        {{1, 1, 1, 0, 0, 5, 0, 0, 0, 0, 'a', 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0}, 18},
        {{1, 1, 1, 0, 0, 5, 0, 0, 0, 0, 'a', 1, 'v', 0xff, 0xff, 0xff, 0xff, 0x0f}, 18},
        {{1, 1, 1, 0, 0, 5, 0, 0, 0, 0, 'a', 1, 'v', 2, 0, 0}, 16}, /* two rows of one */
        {{1, 1, 1, 0, 0, 5, 0, 0, 0, 0, 'a', 1, 'v', 1, 1}, 15},    /* row 1 of one */
        {{1, 1, 1, 0, 0, 5, 0, 0, 0, 0, 'a', 1, 'v', 0}, 14},       /* without rows */
        {{1, 1, 0, 0, 0, 5, 0, 0, 0, 0, 'a'}, 11},                  /* a row without values */
        {{1, 1, 1, 0, 0, 3, 0, 0, 0, 1, 'v', 1, 0}, 13},            /* a row that is no row */
        {{1, 2, 1, 0, 0, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 1, 'v', 1, 0}, 19}, /* a row twice */
        {{1, 1, 2, 0, 0, 4, 0, 0, 0, 0, 1, 'v', 1, 0, 1, 'v', 1, 0}, 18},  /* a value twice */
        {{0, 0, 0, 0, 0}, 5},                                              /* no fields */
        {{1, 0x80, 0x00, 0, 0, 0}, 6},                                     /* 0 in two bytes */
    };
    struct weir_index *index = make_index(1);
    for (size_t at = 0; at < COUNT_OF(cases); at++) {
        uint8_t bytes[40];
        struct memory_state saved = {.data = bytes, .size = cases[at].size};
        memcpy(bytes, cases[at].bytes, sizeof bytes);
        assert_int_equal(load(index, &saved), WEIR_E_STATE);
        expect_nothing(index);
    }
    /* the same, and true */
    uint8_t bytes[] = {1, 1, 1, 3, 4, 5, 0, 0, 0, 0, 'a', 1, 'v', 1, 0};
    struct memory_state saved = {.data = bytes, .size = sizeof bytes};
    assert_int_equal(load(index, &saved), 0);
    assert_int_equal(status_of(index).entries, 1);
    assert_int_equal(status_of(index).skipped_values, 4);
    weir_index_free(index);
}

static void bytes_that_nobody_saved_are_refused_or_are_a_state(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 3);
    for (uint32_t round = 0; round < NOISE; round++) {
        uint8_t bytes[300];
        struct memory_state saved = {.data = bytes, .size = base_prng_below(&prng, sizeof bytes)};
        for (size_t at = 0; at < sizeof bytes; at++) {
            bytes[at] = (uint8_t)base_prng_below(&prng, base_prng_below(&prng, 3) == 0 ? 256 : 5);
        }
        bytes[0] = 2;
        try_changed(&saved);
    }
}

static void a_writer_that_fails_fails_the_save(void **state)
{
    (void)state;
    fill(ROWS);
    struct memory_state saved = {.write_error = -ENOSPC};
    assert_int_equal(fixture.ops->save(fixture.index, memory_state_writer(&saved)), -ENOSPC);
}

/* ---- memory ---- */

/* An event whose n-th allocation fails, for each n, then the event itself. */
static uint32_t put_with_failures(const char *key, const char *value, bool stays)
{
    uint32_t refused = 0;
    uint8_t before[16];
    struct weir_index_status counts = status_of(fixture.index);
    fingerprint_of(fixture.index, before);
    for (uint64_t nth = 1;; nth++) {
        fail_allocation(nth, stays);
        int rc = value != NULL ? put_bytes(&fixture, 0, bytes_of(key), bytes_of(value))
                               : remove_bytes(&fixture, 0, bytes_of(key));
        uint64_t seen = stop_failing();
        if (rc == 0) {
            return refused;
        }
        assert_int_equal(rc, -ENOMEM);
        assert_true(seen >= nth);
        uint8_t after[16];
        fingerprint_of(fixture.index, after);
        assert_memory_equal(before, after, 16);
        expect_counts(&fixture, counts.rows, counts.values, counts.entries);
        refused++;
    }
}

static void an_allocation_that_fails_leaves_the_state_as_it_was(void **state)
{
    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        uint32_t refused = 0;
        for (uint32_t index = 0; index < 600; index++) {
            char key[32];
            char value[64];
            (void)snprintf(key, sizeof key, "key %u", (unsigned)(index % 390));
            (void)snprintf(value, sizeof value, "common,c%u,v%u", (unsigned)(index % 2),
                           (unsigned)index);
            refused += put_with_failures(key, value, stays);
        }
        assert_true(refused > 20);
        assert_string_equal(find_all(&fixture), expected_all(&fixture));
        for (uint32_t index = 0; index < 390; index++) {
            char key[32];
            (void)snprintf(key, sizeof key, "key %u", (unsigned)index);
            refused = put_with_failures(key, NULL, stays);
            assert_int_equal(refused, 0); /* a delete needs nothing */
        }
        assert_int_equal(status_of(fixture.index).rows, 0);
        tear_down_index(&fixture);
        set_up_index(&fixture, 1);
    }
}

static void a_save_and_a_load_without_memory_fail_and_leave_nothing(void **state)
{
    (void)state;
    fill(ROWS);
    struct memory_state saved = save(fixture.index);
    struct weir_index *index = make_index(1);
    uint64_t seen = 0;
    for (uint64_t nth = 1; nth <= seen + 1; nth++) {
        struct memory_state other = {0};
        fail_allocation(nth, false);
        int rc = fixture.ops->save(fixture.index, memory_state_writer(&other));
        seen = stop_failing();
        assert_int_equal(rc, nth <= seen ? -ENOMEM : 0);
        memory_state_free(&other);
    }
    seen = 0;
    uint32_t refused = 0;
    for (uint64_t nth = 1; nth <= seen + 1; nth++) {
        fail_allocation(nth, false);
        int rc = load(index, &saved);
        seen = stop_failing();
        if (rc == 0) { /* the memory was only for a larger table */
            expect_equal_fingerprints(fixture.index, index);
        } else {
            assert_int_equal(rc, -ENOMEM);
            expect_nothing(index);
            refused++;
        }
        fixture.ops->reset(index);
    }
    assert_true(refused > 10);
    weir_index_free(index);
    memory_state_free(&saved);
}

static void a_search_without_memory_fails_and_the_next_one_finds(void **state)
{
    (void)state;
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    static struct found found;
    fill(ROWS);
    uint64_t seen = 0;
    for (uint64_t nth = 1; nth <= seen + 1; nth++) {
        found = (struct found){.size = 0};
        fail_allocation(nth, false);
        int rc = weir_index_find(fixture.index, &query, collect, &found);
        seen = stop_failing();
        assert_int_equal(rc, nth <= seen ? -ENOMEM : 0);
        if (nth == 3) { /* what is new by now is sorted in the next time */
            fill(ROWS / 2);
        }
    }
    assert_true(seen >= 3);
    assert_string_equal(find_all(&fixture), expected_all(&fixture));
}

static void nothing_leaks(void **state)
{
    (void)state;
    uint64_t blocks = base_alloc_in_use();
    uint64_t pages = base_pages_in_use();
    set_up_index(&fixture, 2);
    fill(ROWS);
    (void)find_prefix(&fixture, "v");
    tear_down_index(&fixture);
    assert_int_equal(base_alloc_in_use(), blocks);
    assert_int_equal(base_pages_in_use(), pages);
}

#define ONE_FIELD(test) cmocka_unit_test_setup_teardown(test, set_up_one_field, tear_down)
#define TWO_FIELDS(test) cmocka_unit_test_setup_teardown(test, set_up_two_fields, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ONE_FIELD(ds_02_what_was_saved_is_loaded_and_goes_on),
        TWO_FIELDS(ds_02_what_was_saved_is_loaded_and_goes_on),
        ONE_FIELD(ds_10_a_row_with_a_long_key_is_removed_from_what_was_loaded),
        ONE_FIELD(ds_02_what_is_empty_is_saved_and_loaded_too),
        ONE_FIELD(ds_02_equal_states_are_saved_as_equal_bytes_wherever_they_come_from),
        ONE_FIELD(a_state_of_another_number_of_fields_is_refused),
        ONE_FIELD(a_state_that_is_cut_anywhere_is_refused),
        TWO_FIELDS(each_byte_of_a_state_may_lie),
        cmocka_unit_test(counts_that_cannot_be_true_are_refused_before_memory_is_taken),
        TWO_FIELDS(bytes_that_nobody_saved_are_refused_or_are_a_state),
        ONE_FIELD(a_writer_that_fails_fails_the_save),
        ONE_FIELD(an_allocation_that_fails_leaves_the_state_as_it_was),
        ONE_FIELD(a_save_and_a_load_without_memory_fail_and_leave_nothing),
        ONE_FIELD(a_search_without_memory_fails_and_the_next_one_finds),
        cmocka_unit_test(nothing_leaks),
    };
    return RUN_TESTS(tests, argc, argv);
}
