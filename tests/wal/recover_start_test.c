/*
 * Where the walk of recovery may start after a kill: at the newest segment only when something that
 * was checked says that all in front of it was durable.
 */
#include "tests/wal/image.h"

#include "wal/repair.h"

#include <errno.h>
#include <string.h>

/* Three whole segments, a seal in front of the fourth. Nothing in the fourth is there yet, and
 * nothing says that the last record of the third was durable. */
static void begin_fourth_segment(struct image *image)
{
    image_begin(image, 4096);
    image_new_epoch(image);
    for (int i = 0; i < 3; i++) {
        image_fill_segment(image);
    }
}

/* A group in the last segment but one decays: only reading it shows that. */
static struct image_group *damage_third_segment(struct image *image)
{
    for (size_t i = image->group_count; i-- > 0;) {
        struct image_group *group = &image->groups[i];
        if (group->address / IMAGE_SEGMENT == 3 && group->records > 0) {
            image_at(image, group->address)[90] ^= 1;
            return group;
        }
    }
    fail_msg("no group with records in the third segment");
    return NULL;
}

static void expect_walked(struct image *image, uint64_t segments)
{
    struct recovery found = image_judged(image);
    assert_int_equal(found.scanned_segments, segments);
    assert_int_equal(found.segment_count, 4);
    assert_int_equal(found.tail.chain.next_lsn, image->chain.next_lsn);
    assert_int_equal(found.tail.address, image_address(image));
    assert_int_equal(found.segments[2].last_lsn, found.segments[3].start.next_lsn - 1);
    assert_int_equal(found.segments[2].walked, segments > 1);
    recover_free(&found);
}

static void expect_third_is_read(struct image *image)
{
    struct image_group *damaged = damage_third_segment(image);
    struct weir_error why = image_expect_refusal(image, WEIR_E_LOST);
    assert_string_equal(why.file, "segment-0000000000000003");
    assert_int_equal(why.offset, damaged->address % IMAGE_SEGMENT);
    assert_int_equal(why.from_lsn, damaged->first_lsn);
}

static void a_durable_record_in_the_newest_segment_is_enough_to_start_there(void **state)
{
    (void)state;
    struct image image;
    begin_fourth_segment(&image);
    image_data(&image, 3, 100);
    image.durable = image.chain.next_lsn - 3; /* the first of them */
    image_data(&image, 1, 100);
    expect_walked(&image, 1);
    /* What decays in front of it is found when it is read, or now when everything is. */
    struct image_group *damaged = damage_third_segment(&image);
    struct recovery found = image_judged(&image);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(recover_verify_all(image.medium, &image.control, &found, &why), WEIR_E_LOST);
    assert_int_equal(why.from_lsn, damaged->first_lsn);
    recover_free(&found);
    image_end(&image);
}

/* The record in front of the seal was durable; the seal, or an epoch behind that record, may not
 * have been. */
static void a_durable_record_right_in_front_of_the_newest_segment_is_not_enough(void **state)
{
    (void)state;
    for (weir_lsn short_of = 1; short_of <= 2; short_of++) {
        struct image image;
        begin_fourth_segment(&image);
        weir_lsn base = image.chain.next_lsn;
        image.durable = base - short_of;
        image_data(&image, 3, 100);
        image_data(&image, 1, 100);
        image_witness(&image);
        expect_walked(&image, 2);
        image.durable = base - 1; /* it was: so what is damaged is lost */
        image_data(&image, 1, 100);
        expect_third_is_read(&image);
        image_end(&image);
    }
}

static void a_seal_that_is_torn_in_front_of_a_young_segment_ends_the_log(void **state)
{
    (void)state;
    struct image image;
    begin_fourth_segment(&image);
    struct image_group seal = image.groups[image.group_count - 1];
    image.durable = image.chain.next_lsn - 1;
    weir_lsn next = image.chain.next_lsn;
    image_data(&image, 3, 100);
    memset(image_at(&image, seal.address), 0, 4096);
    image_expect_tail(&image, seal.address, next);
    image_end(&image);
}

/* The seal behind it has landed, as has what the next segment begins with; nothing of it all was
 * ever acknowledged but the record in front. */
static void a_witness_that_is_torn_between_a_durable_record_and_the_seal_ends_the_log(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_fill_segment(&image);
    image_fill_to(&image, IMAGE_SEGMENT - 32768);
    struct image_group torn = *image_witness(&image);
    image_seal(&image);
    image.durable = image.chain.next_lsn - 1;
    weir_lsn next = image.chain.next_lsn;
    image_data(&image, 3, 100);
    image_data(&image, 1, 100);
    memset(image_at(&image, torn.address), 0, 4096);
    image_expect_tail(&image, torn.address, next);
    image_end(&image);
}

static void what_a_group_that_is_not_valid_in_place_says_moves_no_start(void **state)
{
    (void)state;
    struct image image;
    begin_fourth_segment(&image);
    image.durable = image.chain.next_lsn - 1;
    struct image_group torn = *image_data(&image, 3, 100);
    image.durable = image.chain.next_lsn - 1;
    image_data(&image, 1, 100);
    image_at(&image, torn.address)[90] ^= 1;
    struct weir_error why = image_expect_refusal(&image, WEIR_E_LOST);
    assert_string_equal(why.file, "segment-0000000000000004");
    expect_third_is_read(&image);
    image_end(&image);
}

static void a_newest_segment_of_a_header_alone_is_not_enough(void **state)
{
    (void)state;
    struct image image;
    begin_fourth_segment(&image);
    struct image_group torn = *image_data(&image, 1, 100);
    image.durable = image.chain.next_lsn - 1;
    memset(image_at(&image, torn.address), 0, torn.bytes);
    struct recovery found = image_judged(&image);
    assert_true(found.tail.has_header);
    assert_int_equal(found.tail.address, torn.address);
    assert_int_equal(found.scanned_segments, 2);
    recover_free(&found);
    image_end(&image);
}

static void a_witness_of_control_in_the_newest_segment_is_enough_to_start_there(void **state)
{
    (void)state;
    struct image image;
    begin_fourth_segment(&image);
    image.durable = 0;
    image_data(&image, 3, 100);
    expect_walked(&image, 2);
    image_recover(&image); /* has flushed all in front of it */
    expect_walked(&image, 1);
    image.control.witness_chain ^= 1;
    image_store_control(&image);
    image_expect_refusal(&image, WEIR_E_ROLLED_BACK);
    image_end(&image);
}

/* It was in flight; nobody can say whether it was there. */
static void a_seal_that_cannot_be_read_in_front_of_a_young_segment_ends_the_log(void **state)
{
    (void)state;
    struct image image;
    begin_fourth_segment(&image);
    struct image_group seal = image.groups[image.group_count - 1];
    image.durable = image.chain.next_lsn - 1;
    weir_lsn next = image.chain.next_lsn;
    image_data(&image, 3, 100);
    uint64_t bad = seal.address % IMAGE_SEGMENT;
    struct image_bad unreadable = {.from = bad, .to = bad + 4096};
    image_fail_reads(image.medium, &unreadable);
    image_expect_tail(&image, seal.address, next);
    image_heal(image.medium);
    image_end(&image);
}

/* The newest segment agrees with itself, and says that a record of it was durable. */
static void a_newest_segment_that_goes_on_from_another_seal_is_no_start(void **state)
{
    (void)state;
    struct image image;
    begin_fourth_segment(&image);
    image.chain.crc ^= 1;
    image.start.crc ^= 1;
    image_data(&image, 3, 100);
    image.durable = image.chain.next_lsn - 3;
    image_data(&image, 1, 100);
    image_expect_refusal(&image, WEIR_E_LOST);
    image_end(&image);
}

/* ---- what is behind the tail ---- */

static void expect_zeroed(struct image *image, const struct image_group *first)
{
    struct recovery found = image_judged(image);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(found.tail.address, first->address);
    assert_int_equal(repair_zero_window(image->medium, &image->control, &found, &why), 0);
    recover_free(&found);
    for (uint64_t i = 0; i < IMAGE_WINDOW; i++) {
        assert_int_equal(image_at(image, first->address)[i], 0);
    }
}

static void a_whole_group_behind_the_tail_is_zeroed_to_its_end(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    struct image_group torn = *image_data(&image, 1, 100);
    assert_true(image_data(&image, 4, 4000)->bytes > 8192);
    memset(image_at(&image, torn.address), 0, torn.bytes);
    expect_zeroed(&image, &torn);
    image_end(&image);
}

static void a_block_that_cannot_be_read_is_zeroed_though_all_others_are(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    struct image_group torn = *image_data(&image, 4, 4000);
    uint64_t bad = torn.address % IMAGE_SEGMENT + 8192;
    memset(image_at(&image, torn.address), 0, 8192);
    memset(image_at(&image, torn.address) + 12288, 0, torn.bytes - 12288);
    struct image_bad unreadable = {.from = bad, .to = bad + 4096};
    image_fail_reads(image.medium, &unreadable);
    expect_zeroed(&image, &torn);
    image_end(&image);
}

/* Its groups say that a record there was durable; but CONTROL has said since that it is absent. */
static void a_newest_segment_of_a_writer_that_was_cut_is_no_start(void **state)
{
    (void)state;
    struct image image;
    begin_fourth_segment(&image);
    struct image_group last = image.groups[image.group_count - 2]; /* in front of the seal */
    struct image_group before = image.groups[image.group_count - 3];
    const struct format_group *chain =
        (const struct format_group *)image_at(&image, before.address);
    image.control.witness_chain = le32_load(&chain->crc);
    image_data(&image, 3, 100);
    image.durable = image.chain.next_lsn - 1;
    image_data(&image, 1, 100);
    image.control.epoch++;
    image.control.seed ^= 77;
    image.control.witness_lsn = last.first_lsn - 1;
    image.control.witness_address = last.address;
    image_store_control(&image);
    image_expect_tail(&image, last.address, last.first_lsn);
    image_end(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_durable_record_in_the_newest_segment_is_enough_to_start_there),
        cmocka_unit_test(a_durable_record_right_in_front_of_the_newest_segment_is_not_enough),
        cmocka_unit_test(a_seal_that_is_torn_in_front_of_a_young_segment_ends_the_log),
        cmocka_unit_test(a_witness_that_is_torn_between_a_durable_record_and_the_seal_ends_the_log),
        cmocka_unit_test(what_a_group_that_is_not_valid_in_place_says_moves_no_start),
        cmocka_unit_test(a_newest_segment_of_a_header_alone_is_not_enough),
        cmocka_unit_test(a_witness_of_control_in_the_newest_segment_is_enough_to_start_there),
        cmocka_unit_test(a_newest_segment_of_a_writer_that_was_cut_is_no_start),
        cmocka_unit_test(a_seal_that_cannot_be_read_in_front_of_a_young_segment_ends_the_log),
        cmocka_unit_test(a_newest_segment_that_goes_on_from_another_seal_is_no_start),
        cmocka_unit_test(a_whole_group_behind_the_tail_is_zeroed_to_its_end),
        cmocka_unit_test(a_block_that_cannot_be_read_is_zeroed_though_all_others_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
