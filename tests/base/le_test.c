/* Little-endian fields: the bytes on the medium, whatever the machine and the alignment. */
#include "base/le.h"

#include "tests/base/support.h"

struct sample {
    struct le16 kind;
    struct le64 address;
    struct le32 length;
};

_Static_assert(sizeof(struct sample) == 14, "fields lie next to each other without padding");

static void stored_bytes_are_little_endian(void **state)
{
    (void)state;
    static const uint8_t expected[14] = {0x02, 0x01, 0x18, 0x17, 0x16, 0x15, 0x14,
                                         0x13, 0x12, 0x11, 0x24, 0x23, 0x22, 0x21};
    struct sample sample;
    le16_store(&sample.kind, 0x0102);
    le64_store(&sample.address, UINT64_C(0x1112131415161718));
    le32_store(&sample.length, UINT32_C(0x21222324));
    assert_memory_equal(&sample, expected, sizeof expected);
}

static void what_was_stored_is_loaded_at_the_limits(void **state)
{
    (void)state;
    static const uint64_t values[] = {0,
                                      1,
                                      0x7fff,
                                      0x8000,
                                      0xffff,
                                      0x7fffffff,
                                      0x80000000,
                                      UINT32_MAX,
                                      INT64_MAX,
                                      UINT64_MAX,
                                      UINT64_C(0x8000000000000000)};
    for (size_t index = 0; index < COUNT_OF(values); index++) {
        struct sample sample;
        le16_store(&sample.kind, (uint16_t)values[index]);
        le32_store(&sample.length, (uint32_t)values[index]);
        le64_store(&sample.address, values[index]);
        assert_int_equal(le16_load(&sample.kind), (uint16_t)values[index]);
        assert_int_equal(le32_load(&sample.length), (uint32_t)values[index]);
        assert_true(le64_load(&sample.address) == values[index]);
    }
}

static void a_store_touches_its_own_bytes_only(void **state)
{
    (void)state;
    struct sample sample;
    memset(&sample, 0xa5, sizeof sample);
    le32_store(&sample.length, 0);
    assert_int_equal(le16_load(&sample.kind), 0xa5a5);
    assert_true(le64_load(&sample.address) == UINT64_C(0xa5a5a5a5a5a5a5a5));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_bytes_are_little_endian),
        cmocka_unit_test(what_was_stored_is_loaded_at_the_limits),
        cmocka_unit_test(a_store_touches_its_own_bytes_only),
    };
    return RUN_TESTS(tests, argc, argv);
}
