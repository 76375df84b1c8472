/*
 * The short ways of reading a change say what the long one says, or that they do not know.
 */
#include "support.h"

#include "engine/record.h"

#include <string.h>

#define BYTES 64u

static struct weir_record make(uint8_t *bytes, uint32_t size, uint8_t operation, uint16_t key_size)
{
    struct record_change *change = (struct record_change *)bytes;
    for (unsigned i = 0; i < BYTES; i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    change->operation = operation;
    le16_store(&change->key_size, key_size);
    return (struct weir_record){.data = bytes, .size = size, .lsn = 77, .type = WEIR_TYPE_CHANGE};
}

static void assert_same_row(const struct weir_row *row, const struct weir_row *expected)
{
    assert_ptr_equal(row->key.data, expected->key.data);
    assert_int_equal(row->key.size, expected->key.size);
    assert_ptr_equal(row->value.data, expected->value.data);
    assert_int_equal(row->value.size, expected->value.size);
    assert_int_equal(row->lsn, expected->lsn);
}

/* A put is read as by the long way; a delete, and what is no change, is not. One with a skip link
 * has its key where a look-up does not look for it. */
static void a_put_is_told_from_all_else(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    unsigned puts = 0, keys = 0;
    for (uint32_t size = RECORD_CHANGE_BYTES; size <= BYTES; size++) {
        for (unsigned operation = 0; operation < 256; operation++) {
            for (uint16_t key_size = 0; key_size <= BYTES; key_size++) {
                struct weir_record record = make(bytes, size, (uint8_t)operation, key_size);
                struct weir_row expected = {0}, row = {0};
                bool is_put = record_read_row(&record, &expected) == 1;
                assert_int_equal(record_read_put(&record, &row), is_put);
                if (!is_put) {
                    continue;
                }
                assert_same_row(&row, &expected);
                puts++;
                struct weir_bytes key = expected.key;
                memset(&row, 0, sizeof row);
                bool has_skip = (operation & RECORD_HAS_SKIP) != 0;
                assert_int_equal(record_read_row_of(&record, key, &row), !has_skip);
                if (has_skip) {
                    continue;
                }
                assert_same_row(&row, &expected);
                uint8_t other[BYTES];
                memcpy(other, key.data, key.size);
                other[key.size / 2] ^= 1;
                key.data = other;
                assert_false(record_read_row_of(&record, key, &row));
                keys++;
            }
        }
    }
    assert_true(puts > 1000 && keys > 500 && keys < puts);
}

/* Nor a key of another size. */
static void a_key_of_another_size_is_another_key(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    struct weir_record record = make(bytes, BYTES, WEIR_UPDATE, 10);
    struct weir_row expected = {0}, row;
    assert_int_equal(record_read_row(&record, &expected), 1);
    for (size_t size = 1; size <= 20 && record_least(size) <= BYTES; size++) {
        struct weir_bytes key = {expected.key.data, size};
        assert_int_equal(record_read_row_of(&record, key, &row), size == 10);
    }
}

/* Every size that is compared inline, and a difference in each of its bytes. */
static void keys_that_differ_in_one_byte_are_told_apart(void **state)
{
    (void)state;
    uint8_t left[RECORD_KEY_INLINE], right[RECORD_KEY_INLINE];
    for (size_t size = 1; size <= RECORD_KEY_INLINE; size++) {
        for (size_t at = 0; at < sizeof left; at++) {
            left[at] = right[at] = (uint8_t)(7 * at + size);
        }
        assert_true(record_key_equals(left, right, size));
        for (size_t at = 0; at < sizeof left; at++) {
            right[at] ^= 0x10;
            assert_int_equal(record_key_equals(left, right, size), at >= size);
            right[at] ^= 0x10;
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_is_told_from_all_else),
        cmocka_unit_test(a_key_of_another_size_is_another_key),
        cmocka_unit_test(keys_that_differ_in_one_byte_are_told_apart),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
