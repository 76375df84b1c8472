/*
 * CONTROL: which of four copies counts, and an update that a crash may interrupt anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "wal/control.h"

#include <sim/memory.h>
#include <string.h>

static struct control some_control(uint64_t generation)
{
    struct control control = {.uuid = {1, 2, 3},
                              .generation = generation,
                              .epoch = 4,
                              .layout = 1,
                              .first_lsn = 10,
                              .first_ordinal = 2,
                              .witness_lsn = 20,
                              .witness_address = 3 * ((uint64_t)1 << 20),
                              .seed = 77,
                              .block_bytes = 4096,
                              .segment_bytes = (uint64_t)1 << 20,
                              .run_ahead_bytes = (uint64_t)1 << 20,
                              .group_bytes = (uint64_t)1 << 18,
                              .record_bytes = 1000};
    return control;
}

static void put_copy(uint8_t *bytes, int index, uint64_t generation)
{
    struct control control = some_control(generation);
    control_encode(bytes + (size_t)index * FORMAT_BLOCK, &control);
}

/* A row: the generation in each copy; 0 = damaged. */
static void the_newest_generation_in_two_equal_copies_wins(void **state)
{
    (void)state;
    static const struct {
        uint64_t copies[4];
        int result;
        uint64_t wins;
    } rows[] = {
        {{5, 5, 5, 5}, 0, 5}, {{6, 6, 5, 5}, 0, 6}, {{6, 0, 5, 5}, 0, 5}, {{0, 6, 5, 5}, 0, 5},
        {{0, 0, 5, 5}, 0, 5}, {{6, 6, 0, 5}, 0, 6}, {{6, 6, 6, 5}, 0, 6}, {{6, 6, 6, 0}, 0, 6},
        {{5, 0, 0, 5}, 0, 5}, {{0, 5, 0, 5}, 0, 5}, {{6, 5, 6, 5}, 0, 6}, {{5, 0, 0, 0}, 1, 0},
        {{0, 0, 0, 0}, 1, 0}, {{5, 6, 0, 0}, 1, 0}, {{5, 6, 7, 8}, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[FORMAT_CONTROL_BYTES] = {0};
        for (int k = 0; k < 4; k++) {
            if (rows[i].copies[k] != 0) {
                put_copy(bytes, k, rows[i].copies[k]);
            }
        }
        struct control control;
        int valid;
        int rc = control_choose(bytes, sizeof bytes, &control, &valid);
        assert_int_equal(rc, rows[i].result == 0 ? 0 : WEIR_E_CONTROL);
        if (rc == 0) {
            assert_int_equal(control.generation, rows[i].wins);
        }
    }
}

static void wl_09_no_flipped_bit_of_a_copy_goes_unnoticed(void **state)
{
    (void)state;
    uint8_t block[FORMAT_BLOCK];
    struct control control = some_control(3), read;
    control_encode(block, &control);
    assert_int_equal(control_decode(block, &read), 0);
    uint8_t again[FORMAT_BLOCK];
    control_encode(again, &read); /* the struct itself has padding */
    assert_memory_equal(again, block, sizeof again);
    for (size_t bit = 0; bit < 8 * (size_t)FORMAT_BLOCK; bit++) {
        block[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(control_decode(block, &read), WEIR_E_CONTROL);
        block[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

static void resign(uint8_t *block)
{
    struct format_control *copy = (struct format_control *)block;
    size_t start = offsetof(struct format_control, version);
    le32_store(&copy->crc, base_crc32c(0, block + start, FORMAT_BLOCK - start));
}

static void a_newer_version_or_feature_is_refused_as_such(void **state)
{
    (void)state;
    uint8_t block[FORMAT_BLOCK];
    struct format_control *copy = (struct format_control *)block;
    struct control control = some_control(3), read;
    control_encode(block, &control);
    le32_store(&copy->version, FORMAT_VERSION + 1);
    resign(block);
    assert_int_equal(control_decode(block, &read), WEIR_E_NEWER_FORMAT);
    control_encode(block, &control);
    le64_store(&copy->incompatible, 2);
    resign(block);
    assert_int_equal(control_decode(block, &read), WEIR_E_NEWER_FORMAT);
    control_encode(block, &control);
    le64_store(&copy->compatible, 1);
    block[FORMAT_BLOCK - 1] = 1; /* which may be what that feature is about */
    resign(block);
    assert_int_equal(control_decode(block, &read), 0);
}

static void values_that_no_writer_writes_are_refused_under_a_right_crc(void **state)
{
    (void)state;
    uint8_t block[FORMAT_BLOCK];
    struct format_control *copy = (struct format_control *)block;
    struct control control = some_control(3), read;
    control_encode(block, &control);
    le64_store(&copy->segment_bytes, 12345);
    resign(block);
    assert_int_equal(control_decode(block, &read), WEIR_E_DAMAGED);
    control_encode(block, &control);
    le64_store(&copy->group_bytes, UINT64_MAX);
    resign(block);
    assert_int_equal(control_decode(block, &read), WEIR_E_DAMAGED);
    control_encode(block, &control);
    le32_store(&copy->block_bytes, 0);
    resign(block);
    assert_int_equal(control_decode(block, &read), WEIR_E_DAMAGED);
    control_encode(block, &control);
    block[FORMAT_BLOCK - 1] = 1;
    resign(block);
    assert_int_equal(control_decode(block, &read), WEIR_E_DAMAGED);
}

/* ---- an update that is cut at every call, every subset of its four blocks surviving ---- */

struct cut {
    int calls_left;
    unsigned kept; /* bit i: block i of what was not synced survives */
};

static int stop_after(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    struct cut *cut = context;
    (void)name;
    (void)offset;
    (void)size;
    bool counts = strcmp(call, "write") == 0 || strcmp(call, "sync") == 0;
    return counts && cut->calls_left-- <= 0 ? -5 : 0;
}

static bool keep_block(void *context, const char *name, uint64_t offset)
{
    struct cut *cut = context;
    (void)name;
    return offset >= SIM_MEMORY_SIZE || (cut->kept >> (offset / FORMAT_BLOCK % 4) & 1) != 0;
}

static void an_update_is_old_or_new_after_a_crash_anywhere(void **state)
{
    (void)state;
    for (int calls = 0; calls <= 4; calls++) {
        for (unsigned kept = 0; kept < 16; kept++) {
            struct sim_memory_options options = {0};
            struct weir_medium *medium, *after;
            assert_int_equal(sim_memory_open(&options, &medium), 0);
            struct control control = some_control(0), read;
            assert_int_equal(control_create(medium, &control), 0);
            uint64_t old = control.generation;
            struct cut cut = {calls, kept};
            sim_memory_faults_set(medium, &(struct sim_memory_faults){stop_after, &cut});
            int rc = control_store(medium, &control);
            assert_true(rc == 0 ? calls == 4 : calls < 4);
            assert_int_equal(sim_memory_crash(medium, keep_block, &cut, &after), 0);
            assert_int_equal(control_load(after, &read, NULL), 0);
            assert_true(read.generation == old || read.generation == old + 1);
            if (rc == 0) {
                assert_int_equal(read.generation, old + 1);
            }
            after->ops->destroy(after);
            medium->ops->destroy(medium);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_generation_in_two_equal_copies_wins),
        cmocka_unit_test(wl_09_no_flipped_bit_of_a_copy_goes_unnoticed),
        cmocka_unit_test(a_newer_version_or_feature_is_refused_as_such),
        cmocka_unit_test(values_that_no_writer_writes_are_refused_under_a_right_crc),
        cmocka_unit_test(an_update_is_old_or_new_after_a_crash_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
