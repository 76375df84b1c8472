/* CRC-32C: published vectors, and every way of computing it against the plain definition. */
#include "base/crc32c.h"

#include "base/random.h"
#include "tests/base/crc32c_define.h"
#include "tests/base/support.h"

#define LENGTH_MAX 2100 /* over two blocks of a copy */

static uint8_t noise[LENGTH_MAX + 64];

static int fill_noise(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 3720);
    base_prng_fill(&prng, noise, sizeof noise);
    return 0;
}

static void the_vectors_of_rfc_3720_hold(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t rising[32];
    uint8_t falling[32];
    for (uint8_t index = 0; index < 32; index++) {
        ones[index] = 0xff;
        rising[index] = index;
        falling[index] = (uint8_t)(31 - index);
    }
    /* An iSCSI read command: all zero but for these bytes. */
    static const uint8_t read_command[48] = {[0] = 0x01,  [1] = 0xc0,  [16] = 0x14, [22] = 0x04,
                                             [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
    const struct {
        const uint8_t *data;
        size_t size;
        uint32_t crc;
    } vectors[] = {
        {zeros, 32, 0x8a9136aa},
        {ones, 32, 0x62a8ab43},
        {rising, 32, 0x46dd794e},
        {falling, 32, 0x113fdb5c},
        {read_command, 48, 0xd9963a56},
        {(const uint8_t *)"123456789", 9, 0xe3069283},
        {zeros, 0, 0},
    };
    for (size_t index = 0; index < COUNT_OF(vectors); index++) {
        uint32_t crc = vectors[index].crc;
        assert_int_equal(base_crc32c(0, vectors[index].data, vectors[index].size), crc);
        assert_int_equal(base_crc32c_portable(0, vectors[index].data, vectors[index].size), crc);
    }
}

static void every_way_agrees_with_the_definition_at_every_length(void **state)
{
    (void)state;
    uint8_t copy[LENGTH_MAX + 8];
    for (size_t size = 0; size <= LENGTH_MAX; size++) {
        const uint8_t *data = noise + size % 9; /* aligned and not */
        uint32_t expected = define_crc32c(data, size);
        assert_int_equal(base_crc32c(0, data, size), expected);
        assert_int_equal(base_crc32c_portable(0, data, size), expected);

        memset(copy, 0xee, sizeof copy);
        assert_int_equal(base_crc32c_copy(0, copy, data, size), expected);
        assert_memory_equal(copy, data, size);
        for (size_t index = size; index < sizeof copy; index++) {
            assert_int_equal(copy[index], 0xee);
        }
    }
}

static void a_checksum_continues_from_any_cut(void **state)
{
    (void)state;
    uint8_t copy[LENGTH_MAX];
    for (size_t size = 0; size <= LENGTH_MAX; size++) {
        uint32_t whole = define_crc32c(noise, size);
        for (size_t cut = 0; cut <= size; cut += size < 300 ? 1 : 37) {
            uint32_t first = base_crc32c(0, noise, cut);
            assert_int_equal(base_crc32c(first, noise + cut, size - cut), whole);
            assert_int_equal(base_crc32c_portable(first, noise + cut, size - cut), whole);
            assert_int_equal(base_crc32c_copy(first, copy, noise + cut, size - cut), whole);
        }
    }
}

static void the_inline_form_for_16_bytes_agrees(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 64; offset++) {
        uint32_t seed = define_crc32c(noise, offset);
        assert_int_equal(base_crc32c_16(seed, noise + offset), define_crc32c(noise, offset + 16));
    }
}

static void large_inputs_are_chunked_without_a_seam(void **state)
{
    (void)state;
    size_t size = 100003;
    uint8_t *data = malloc(size);
    uint8_t *copy = malloc(size);
    assert_non_null(data);
    assert_non_null(copy);
    struct base_prng prng;
    base_prng_seed(&prng, 1);
    base_prng_fill(&prng, data, size);
    uint32_t expected = base_crc32c_portable(0, data, size);
    assert_int_equal(base_crc32c(0, data, size), expected);
    assert_int_equal(base_crc32c_copy(0, copy, data, size), expected);
    assert_memory_equal(copy, data, size);
    free(data);
    free(copy);
}

static void a_cpu_without_the_instruction_gets_the_same_answers(void **state)
{
    bool before = base_crc32c_hardware;
    base_crc32c_hardware = false;
    every_way_agrees_with_the_definition_at_every_length(state);
    the_inline_form_for_16_bytes_agrees(state);
    base_crc32c_hardware = before;
}

static void every_flipped_bit_changes_the_checksum(void **state)
{
    (void)state;
    uint8_t data[100];
    memcpy(data, noise, sizeof data);
    uint32_t expected = base_crc32c(0, data, sizeof data);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(base_crc32c(0, data, sizeof data), expected);
        data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_3720_hold),
        cmocka_unit_test(every_way_agrees_with_the_definition_at_every_length),
        cmocka_unit_test(a_checksum_continues_from_any_cut),
        cmocka_unit_test(the_inline_form_for_16_bytes_agrees),
        cmocka_unit_test(large_inputs_are_chunked_without_a_seam),
        cmocka_unit_test(a_cpu_without_the_instruction_gets_the_same_answers),
        cmocka_unit_test(every_flipped_bit_changes_the_checksum),
    };
    (void)fill_noise(NULL);
    return RUN_TESTS(tests, argc, argv);
}
