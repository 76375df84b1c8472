/*
 * DS-11 without an engine: after each event of random work, what the index finds is what a look at
 * every row gives; and how a state came about cannot be told from its fingerprint.
 *
 * WEIR_SEED begins with another seed.
 */
#include "tests/derived/index_support.h"

#include "base/random.h"

#define ROUNDS 12u
#define STEPS 500u
#define KEYS 40u

static struct index_fixture fixture;
static struct index_fixture other;

static uint64_t seed_of(uint64_t round)
{
    const char *text = getenv("WEIR_SEED");
    return (text != NULL ? strtoull(text, NULL, 0) : 1) + round;
}

/* A value of few that many rows share, one of its own, an empty one, one that is missing. */
static void random_value(struct base_prng *prng, char *to)
{
    static const char *const shared[] = {"a", "ab", "b", "\x01", "\xff", "zz", "z"};
    switch (base_prng_below(prng, 8)) {
    case 0:
        *to = 0;
        return;
    case 1:
        strcpy(to, "~");
        return;
    case 2:
        (void)sprintf(to, "%llu", (unsigned long long)base_prng_below(prng, 10000));
        return;
    default:
        strcpy(to, shared[base_prng_below(prng, COUNT_OF(shared))]);
    }
}

static void random_document(struct base_prng *prng, uint32_t fields, char *to)
{
    *to = 0;
    if (base_prng_below(prng, 20) == 0) {
        strcpy(to, "!");
        return;
    }
    for (uint32_t field = 0; field < fields; field++) {
        uint64_t values = 1 + base_prng_below(prng, 6) / 3 * base_prng_below(prng, 4);
        strcat(to, field > 0 ? ";" : "");
        for (uint64_t value = 0; value < values; value++) {
            strcat(to, value > 0 ? "," : "");
            random_value(prng, to + strlen(to));
        }
    }
}

static bool is_present(const struct index_fixture *in, weir_table table, const char *key)
{
    for (uint32_t at = 0; at < in->row_count; at++) {
        const struct row *row = &in->rows[at];
        if (row->table == table && row->key_size == strlen(key) &&
            memcmp(row->key, key, row->key_size) == 0) {
            return row->present;
        }
    }
    return false;
}

static void random_event(struct base_prng *prng, uint32_t fields)
{
    char key[16];
    char document[200];
    weir_table table = (weir_table)base_prng_below(prng, 3) * 200;
    (void)sprintf(key, "%llu", (unsigned long long)base_prng_below(prng, KEYS));
    if (is_present(&fixture, table, key) && base_prng_below(prng, 3) == 0) {
        assert_int_equal(remove_bytes(&fixture, table, bytes_of(key)), 0);
        return;
    }
    random_document(prng, fields, document);
    assert_int_equal(put_bytes(&fixture, table, bytes_of(key), bytes_of(document)), 0);
}

static void check_after_each_event(uint32_t fields)
{
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct base_prng prng;
        base_prng_seed(&prng, seed_of(round));
        set_up_index(&fixture, fields);
        for (uint32_t step = 0; step < STEPS; step++) {
            random_event(&prng, fields);
            const char *expected = expected_all(&fixture);
            if (strcmp(find_all(&fixture), expected) != 0) {
                print_error("WEIR_SEED=%llu, step %u\n", (unsigned long long)seed_of(round),
                            (unsigned)step);
                assert_string_equal(find_all(&fixture), expected);
            }
        }
        tear_down_index(&fixture);
    }
}

static void ds_11_after_each_event_one_field_finds_what_a_look_at_every_row_gives(void **state)
{
    (void)state;
    check_after_each_event(1);
}

static void ds_11_after_each_event_two_fields_find_what_a_look_at_every_row_gives(void **state)
{
    (void)state;
    check_after_each_event(2);
}

static void ds_11_after_each_event_three_fields_find_what_a_look_at_every_row_gives(void **state)
{
    (void)state;
    check_after_each_event(3);
}

/* The rows that are there, each put once, in an order of chance. */
static void rebuild_in_another_order(struct base_prng *prng)
{
    uint32_t order[ROWS_MAX];
    for (uint32_t at = 0; at < fixture.row_count; at++) {
        uint32_t to = (uint32_t)base_prng_below(prng, at + 1);
        order[at] = order[to];
        order[to] = at;
    }
    for (uint32_t at = 0; at < fixture.row_count; at++) {
        const struct row *row = &fixture.rows[order[at]];
        if (row->present) {
            assert_int_equal(put_bytes(&other, row->table,
                                       (struct weir_bytes){row->key, row->key_size},
                                       (struct weir_bytes){row->value, row->value_size}),
                             0);
        }
    }
}

static void ds_02_fingerprints_are_equal_whatever_the_order_of_arrival(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct base_prng prng;
        uint8_t first[16];
        uint8_t second[16];
        base_prng_seed(&prng, seed_of(round));
        set_up_index(&fixture, 2);
        set_up_index(&other, 2);
        for (uint32_t step = 0; step < STEPS; step++) {
            random_event(&prng, 2);
        }
        rebuild_in_another_order(&prng);
        fingerprint_of(fixture.index, first);
        fingerprint_of(other.index, second);
        assert_memory_equal(first, second, 16);
        /* one entry less, one more, or another one is told */
        put(&other, "one", "more;x");
        fingerprint_of(other.index, second);
        assert_memory_not_equal(first, second, 16);
        put(&fixture, "one", "mor;ex");
        fingerprint_of(fixture.index, first);
        assert_memory_not_equal(first, second, 16);
        put(&fixture, "one", "more;x");
        fingerprint_of(fixture.index, first);
        assert_memory_equal(first, second, 16);
        tear_down_index(&fixture);
        tear_down_index(&other);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_11_after_each_event_one_field_finds_what_a_look_at_every_row_gives),
        cmocka_unit_test(ds_11_after_each_event_two_fields_find_what_a_look_at_every_row_gives),
        cmocka_unit_test(ds_11_after_each_event_three_fields_find_what_a_look_at_every_row_gives),
        cmocka_unit_test(ds_02_fingerprints_are_equal_whatever_the_order_of_arrival),
    };
    return RUN_TESTS(tests, argc, argv);
}
