/* Chance: bytes that differ, numbers that repeat for a seed, and hooks that are obeyed. */
#include "base/random.h"

#include "base/system.h"
#include "tests/base/support.h"

#include <errno.h>

static void kernel_bytes_fill_every_size_and_nothing_more(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 16, 255, 257, 100000};
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        size_t size = sizes[index];
        uint8_t *bytes = malloc(size + 1);
        assert_non_null(bytes);
        memset(bytes, 0, size + 1);
        assert_int_equal(base_random_bytes(bytes, size), 0);
        assert_int_equal(bytes[size], 0);
        size_t zeros = 0;
        for (size_t at = 0; at < size; at++) {
            zeros += bytes[at] == 0;
        }
        assert_true(zeros <= size / 64 + 3);
        free(bytes);
    }
}

static void two_draws_differ(void **state)
{
    (void)state;
    uint8_t first[16];
    uint8_t second[16];
    assert_int_equal(base_random_bytes(first, sizeof first), 0);
    assert_int_equal(base_random_bytes(second, sizeof second), 0);
    assert_memory_not_equal(first, second, sizeof first);
}

static int fail_with_eio(void *context, void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return -EIO;
}

static void a_failing_kernel_is_reported(void **state)
{
    (void)state;
    struct base_system system = {.random = fail_with_eio};
    base_system_set(&system);
    uint8_t byte;
    int result = base_random_bytes(&byte, 1);
    base_system_set(NULL);
    assert_int_equal(result, -EIO);
}

static void the_generator_is_xoshiro256_starstar(void **state)
{
    (void)state;
    /* The first numbers of the reference implementation from the state 1, 2, 3, 4. */
    struct base_prng prng = {.state = {1, 2, 3, 4}};
    static const uint64_t expected[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    for (size_t index = 0; index < COUNT_OF(expected); index++) {
        assert_true(base_prng_next(&prng) == expected[index]);
    }
}

static void seeding_is_splitmix64(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 1234567);
    static const uint64_t expected[] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431)};
    for (size_t index = 0; index < COUNT_OF(expected); index++) {
        assert_true(prng.state[index] == expected[index]);
    }
}

static void a_seed_repeats_and_another_does_not(void **state)
{
    (void)state;
    struct base_prng one;
    struct base_prng same;
    struct base_prng other;
    base_prng_seed(&one, 0);
    base_prng_seed(&same, 0);
    base_prng_seed(&other, 1);
    int equal = 0;
    for (int draw = 0; draw < 1000; draw++) {
        uint64_t value = base_prng_next(&one);
        assert_true(value == base_prng_next(&same));
        equal += value == base_prng_next(&other);
    }
    assert_int_equal(equal, 0);
}

static void below_stays_below_and_reaches_everything(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 5);
    int hits[10] = {0};
    for (int draw = 0; draw < 10000; draw++) {
        hits[base_prng_below(&prng, 10)]++;
    }
    for (size_t index = 0; index < COUNT_OF(hits); index++) {
        assert_in_range(hits[index], 850, 1150);
    }
    assert_true(base_prng_below(&prng, 1) == 0);
    uint64_t bound = (UINT64_C(1) << 63) + 1; /* rejects almost half of all draws */
    for (int draw = 0; draw < 1000; draw++) {
        assert_true(base_prng_below(&prng, bound) < bound);
    }
}

static void unit_is_from_zero_to_less_than_one(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 6);
    double sum = 0;
    for (int draw = 0; draw < 10000; draw++) {
        double value = base_prng_unit(&prng);
        assert_true(value >= 0.0 && value < 1.0);
        sum += value;
    }
    assert_true(sum > 4800 && sum < 5200);
}

static void fill_gives_the_bytes_of_the_numbers(void **state)
{
    (void)state;
    struct base_prng numbers;
    struct base_prng bytes;
    base_prng_seed(&numbers, 9);
    base_prng_seed(&bytes, 9);
    uint64_t words[3] = {base_prng_next(&numbers), base_prng_next(&numbers),
                         base_prng_next(&numbers)};
    uint8_t filled[21];
    memset(filled, 0, sizeof filled);
    base_prng_fill(&bytes, filled, 20);
    assert_memory_equal(filled, words, 20);
    assert_int_equal(filled[20], 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_bytes_fill_every_size_and_nothing_more),
        cmocka_unit_test(two_draws_differ),
        cmocka_unit_test(a_failing_kernel_is_reported),
        cmocka_unit_test(the_generator_is_xoshiro256_starstar),
        cmocka_unit_test(seeding_is_splitmix64),
        cmocka_unit_test(a_seed_repeats_and_another_does_not),
        cmocka_unit_test(below_stays_below_and_reaches_everything),
        cmocka_unit_test(unit_is_from_zero_to_less_than_one),
        cmocka_unit_test(fill_gives_the_bytes_of_the_numbers),
    };
    return RUN_TESTS(tests, argc, argv);
}
