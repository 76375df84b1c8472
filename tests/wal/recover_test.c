/*
 * Recovery on hand-made logs: what a crash leaves behind opens, what damage leaves behind does not.
 */
#include "tests/wal/image.h"

#include "wal/repair.h"

#include <errno.h>
#include <string.h>

static const uint32_t block_sizes[] = {4096, 64};

/* ---- logs without damage ---- */

static void a_new_log_without_a_header_begins_at_its_first_segment(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    struct recovery found = image_judged(&image);
    assert_int_equal(found.tail.ordinal, 1);
    assert_int_equal(found.tail.offset, FORMAT_SEGMENT_HEADER_BYTES);
    assert_false(found.tail.has_header);
    assert_true(found.tail.has_file);
    assert_int_equal(found.tail.chain.next_lsn, 1);
    assert_int_equal(found.segment_count, 1);
    assert_int_equal(found.spare_count, 1);
    assert_int_equal(found.spares[0], 2);
    recover_free(&found);
    image_end(&image);
}

static void the_tail_and_its_directory_are_what_was_written(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct image image;
        image_begin(&image, block_sizes[i]);
        image_new_epoch(&image);
        image_data(&image, 20, 30);
        image_data(&image, 20, 0);
        image_witness(&image);
        struct recovery found = image_judged(&image);
        assert_int_equal(found.tail.address, image_address(&image));
        assert_memory_equal(&found.tail.chain, &image.chain, sizeof image.chain);
        assert_int_equal(found.tail.records, 40);
        assert_int_equal(found.tail.groups, 4);
        assert_int_equal(found.tail.payload_bytes, 600);
        assert_int_equal(found.tail.first_time_ns, image.segment_first_time_ns);
        assert_int_equal(found.tail.last_group_address, image.groups[3].address);
        assert_int_equal(found.tail.entry_count, 3);
        assert_memory_equal(found.tail.entries, image.entries, 3 * sizeof image.entries[0]);
        assert_int_equal(found.cut_bytes, 0);
        assert_int_equal(found.scanned_records, 40);
        recover_free(&found);
        image_end(&image);
    }
}

static void every_retained_segment_is_known_after_opening(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    weir_lsn last[5];
    for (int i = 1; i <= 4; i++) {
        image_fill_segment(&image);
        last[i] = image.chain.next_lsn - 1;
    }
    image_data(&image, 1, 10);
    struct recovery found = image_judged(&image);
    assert_int_equal(found.segment_count, 5);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(found.segments[i].ordinal, i + 1);
        assert_int_equal(found.segments[i].last_lsn, last[i + 1]);
        assert_int_equal(found.segments[i].seal_seed, image.control.seed);
        assert_true(found.segments[i].seal_offset > FORMAT_SEGMENT_HEADER_BYTES);
        assert_int_equal(found.segments[i].walked, i == 3);
    }
    assert_int_equal(found.segments[4].seal_offset, 0);
    assert_int_equal(found.scanned_segments, 2);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(recover_verify_all(image.medium, &image.control, &found, &why), 0);
    assert_int_equal(found.scanned_records, image.chain.next_lsn - 1);
    recover_free(&found);
    image_end(&image);
}

/* All of it was durable when it was closed: only the directory of the last segment is not known. */
static void a_log_that_was_closed_is_opened_by_its_last_segment(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    for (int i = 0; i < 3; i++) {
        image_fill_segment(&image);
    }
    weir_lsn last = image.chain.next_lsn - 1;
    struct image_group *damaged = &image.groups[image.group_count - 2]; /* in the last but one */
    image_data(&image, 3, 100);
    image_close_clean(&image);
    struct recovery found = image_judged(&image);
    assert_true(found.clean);
    assert_int_equal(found.scanned_segments, 1);
    assert_int_equal(found.segment_count, 4);
    assert_int_equal(found.segments[2].last_lsn, last);
    assert_int_equal(found.tail.chain.next_lsn, last + 4);
    assert_int_equal(found.tail.records, 3);
    recover_free(&found);
    /* What decays later is found when it is read, or now when everything is. */
    image_at(&image, damaged->address)[90] ^= 1;
    found = image_judged(&image);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(recover_verify_all(image.medium, &image.control, &found, &why), WEIR_E_LOST);
    recover_free(&found);
    /* Without the mark, and with a witness that says nothing of it, it may have been torn. */
    image.control.clean = false;
    image.control.witness_lsn = 0;
    image.control.witness_address = IMAGE_SEGMENT;
    image.control.witness_chain = 0;
    image_store_control(&image);
    assert_int_equal(image_judge(&image, &found, &why), WEIR_E_LOST);
    image_end(&image);
}

static void a_segment_without_its_first_group_has_its_tail_at_the_start(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 5, 100);
    image_seal(&image);
    struct recovery found = image_judged(&image);
    assert_int_equal(found.tail.ordinal, 2);
    assert_int_equal(found.tail.offset, FORMAT_SEGMENT_HEADER_BYTES);
    assert_false(found.tail.has_header);
    assert_memory_equal(&found.tail.chain, &image.chain, sizeof image.chain);
    assert_int_equal(found.tail.records, 0);
    assert_int_equal(found.segment_count, 2);
    recover_free(&found);
    image_end(&image);
}

static void a_log_truncated_to_nothing_at_a_segment_start_goes_on_there(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_fill_segment(&image);
    image.control.first_lsn = image.chain.next_lsn;
    image.control.first_ordinal = 2;
    image_close_clean(&image);
    struct recovery found = image_judged(&image);
    assert_int_equal(found.tail.address, image_address(&image));
    assert_int_equal(found.tail.chain.next_lsn, image.chain.next_lsn);
    assert_int_equal(found.leftover_count, 1);
    assert_int_equal(found.leftovers[0], 1);
    recover_free(&found);
    image_recover(&image);
    weir_lsn next = image.chain.next_lsn;
    image_data(&image, 1, 10);
    image_expect_tail(&image, image_address(&image), next + 1);
    image_end(&image);
}

static void a_clean_log_opens_without_cutting_what_an_earlier_life_left(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    memset(image_file(&image, 1), 0x77, IMAGE_SEGMENT);
    image_new_epoch(&image);
    image_data(&image, 2, 100);
    image_close_clean(&image);
    struct recovery found = image_judged(&image);
    assert_true(found.clean);
    assert_int_equal(found.cut_bytes, 0);
    recover_free(&found);
    image_end(&image);
}

/* ---- WL-07, WL-08, WL-11: after a cut ---- */

static void wl_07_what_is_appended_behind_a_cut_tail_survives_the_next_recovery(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 2, 100);
    struct image_group torn = *image_data(&image, 3, 2000);
    image_data(&image, 1, 50);
    image_at(&image, torn.address)[5000] ^= 1;
    struct recovery found = image_judged(&image);
    assert_int_equal(found.tail.address, torn.address);
    assert_int_equal(found.cut_groups, 1);
    assert_int_equal(found.cut_records, 1);
    assert_int_equal(found.cut_bytes, torn.bytes + 4096);
    recover_free(&found);
    image_recover(&image);
    image_data(&image, 4, 10);
    image_expect_tail(&image, image_address(&image), 7);
    image_recover(&image);
    image_data(&image, 1, 10);
    image_expect_tail(&image, image_address(&image), 8);
    image_end(&image);
}

static void wl_11_a_tail_that_was_cut_does_not_come_back_before_it_is_zeroed(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 2, 100);
    struct image_group torn = *image_data(&image, 3, 2000);
    image_data(&image, 1, 50);
    uint8_t *byte = image_at(&image, torn.address) + 5000;
    *byte ^= 1;
    struct recovery found = image_judged(&image);
    image.control.epoch++;
    image.control.seed ^= 77;
    image.control.witness_lsn = found.tail.chain.next_lsn - 1;
    image.control.witness_address = found.tail.address;
    image.control.witness_chain = found.tail.chain.crc;
    image_store_control(&image);
    recover_free(&found);
    *byte ^= 1; /* the torn group is whole after all: it was reported absent, so it stays out */
    image_expect_tail(&image, torn.address, 3);
    image_recover(&image);
    for (uint64_t at = image_address(&image); at < torn.address + IMAGE_WINDOW; at++) {
        assert_int_equal(*image_at(&image, at), 0);
    }
    image_data(&image, 1, 10);
    image_expect_tail(&image, image_address(&image), 4);
    image_end(&image);
}

static void wl_11_the_epoch_group_of_a_writer_that_was_cut_does_not_come_back(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 2, 100);
    uint64_t end = image_address(&image);
    image_recover(&image); /* its epoch group lands, and two later writers crash before theirs */
    image.control.epoch++;
    image.control.seed ^= 77;
    image_store_control(&image);
    image_expect_tail(&image, end, 3);
    image_recover(&image);
    image_data(&image, 1, 10);
    image_expect_tail(&image, image_address(&image), 4);
    image_end(&image);
}

static void wl_11_groups_of_a_recycled_segment_are_neither_valid_nor_counted(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_fill_segment(&image);
    memcpy(image_file(&image, 2), image_file(&image, 1), IMAGE_SEGMENT);
    memset(image_file(&image, 2), 0, FORMAT_SEGMENT_HEADER_BYTES);
    struct recovery found = image_judged(&image);
    assert_int_equal(found.tail.address, image_address(&image));
    assert_int_equal(found.cut_bytes, 0);
    assert_int_equal(found.cut_groups, 0);
    recover_free(&found);
    image_data(&image, 1, 100);
    struct image_group torn = *image_data(&image, 1, 5000);
    memset(image_at(&image, torn.address) + 4096, 0x33, 4096);
    found = image_judged(&image);
    assert_int_equal(found.tail.address, torn.address);
    assert_in_range(found.cut_bytes, torn.bytes, torn.bytes + 16384); /* and half an old group */
    recover_free(&found);
    image_end(&image);
}

static void the_header_of_a_next_segment_that_was_cut_is_gone_after_recovery(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_fill_to(&image, IMAGE_SEGMENT - 40960);
    image.durable = 0;
    struct image_group torn = *image_data(&image, 1, 100);
    image_seal(&image);
    image_data(&image, 1, 100);
    image_at(&image, torn.address)[70] ^= 1;
    image_expect_tail(&image, torn.address, torn.first_lsn);
    image_recover(&image);
    assert_true(image_file(&image, 2)[0] == 0);
    image_data(&image, 2, 100);
    image_seal(&image);
    image_expect_tail(&image, image_address(&image), torn.first_lsn + 2);
    image_end(&image);
}

static void a_copy_of_the_open_segments_header_that_a_crash_left_out_is_written_again(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    memset(image_file(&image, 1), 0, 4096);
    image_recover(&image);
    assert_memory_equal(image_file(&image, 1), image_file(&image, 1) + 4096, 4096);
    assert_memory_equal(image_file(&image, 1), FORMAT_SEGMENT_MAGIC, 8);
    image_end(&image);
}

/* ---- refusals ---- */

static void wl_10_a_damaged_group_below_a_later_witness_is_refused_with_its_lsns(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 4, 100);
    struct image_group damaged = *image_data(&image, 3, 100);
    image.durable = 7;
    image_data(&image, 2, 100);
    image_at(&image, damaged.address)[100] ^= 4;
    struct weir_error why = image_expect_refusal(&image, WEIR_E_LOST);
    assert_int_equal(why.from_lsn, 5);
    assert_int_equal(why.to_lsn, 7);
    assert_string_equal(why.file, "segment-0000000000000001");
    assert_int_equal(why.offset, damaged.address % IMAGE_SEGMENT);
    assert_non_null(strstr(why.text, "LSNs 5 to 7"));
    image_end(&image);
}

static void wl_10_what_control_witnesses_is_refused_without_any_later_group(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    struct image_group damaged = *image_data(&image, 3, 100);
    image_close_clean(&image);
    image_at(&image, damaged.address)[64] ^= 1;
    struct weir_error why = image_expect_refusal(&image, WEIR_E_LOST);
    assert_int_equal(why.from_lsn, 1);
    assert_int_equal(why.to_lsn, 3);
    image_end(&image);
}

static void a_damaged_group_without_records_that_was_durable_is_refused(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 3, 100);
    struct image_group damaged = *image_witness(&image);
    image_close_clean(&image);
    image_at(&image, damaged.address)[0] ^= 1;
    image_expect_refusal(&image, WEIR_E_DAMAGED);
    image_end(&image);
}

static void a_damaged_group_without_records_is_refused_after_a_crash_as_well(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 3, 100);
    struct image_group damaged = *image_witness(&image);
    image_recover(&image);
    image_at(&image, damaged.address)[0] ^= 1;
    struct weir_error why = image_expect_refusal(&image, WEIR_E_DAMAGED);
    assert_int_equal(why.offset, damaged.address % IMAGE_SEGMENT);
    image_end(&image);
}

/* A whole header with a right checksum that does not continue the segment before: another write of
 * the same block. */
static void a_segment_header_that_does_not_continue_the_seal_is_not_believed(void **state)
{
    (void)state;
    for (int field = 0; field < 6; field++) {
        struct image image;
        image_begin(&image, 4096);
        image_new_epoch(&image);
        image_fill_segment(&image);
        image_data(&image, 1, 100);
        image.durable = image.chain.next_lsn - 1;
        image_data(&image, 1, 100);
        struct segment_header header;
        uint8_t *file = image_file(&image, 2);
        assert_int_equal(segment_header_decode(file, image.control.uuid, 2, &header), 0);
        header.chain ^= field == 0;
        header.previous_seal_offset += field == 1 ? 4096 : 0;
        header.base_time_ns += field == 2;
        header.base_lsn += field == 3;
        header.seed ^= field == 4;
        header.epoch -= field == 5;
        segment_header_encode(file, &header, image.uuid_seed);
        struct recovery found;
        struct weir_error why;
        int rc = image_judge(&image, &found, &why);
        assert_int_equal(rc, WEIR_E_LOST);
        assert_string_equal(why.file, "segment-0000000000000002");
        image_end(&image);
    }
}

static void a_valid_group_beyond_the_run_ahead_limit_is_a_hole(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    struct image_group damaged = *image_data(&image, 1, 100);
    uint64_t limit = damaged.address + IMAGE_WINDOW;
    while (image_address(&image) <= limit) {
        image_data(&image, 1, 100);
    }
    image_at(&image, damaged.address)[3] ^= 1;
    image_expect_tail(&image, damaged.address, 1);
    image_data(&image, 1, 100);
    struct weir_error why = image_expect_refusal(&image, WEIR_E_HOLE);
    assert_int_equal(why.from_lsn, 1);
    image_end(&image);
}

static void a_rolled_back_control_is_refused(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 1, 100);
    image.durable = 1;
    image_close_clean(&image);
    struct control old = image.control;
    image_recover(&image);
    struct image_group epoch = image.groups[image.group_count - 1];
    image_data(&image, 1, 100);
    image_data(&image, 1, 100);
    image.control = old;
    image_expect_refusal(&image, WEIR_E_ROLLED_BACK); /* met by the walk */
    old.clean = false;
    image.control = old;
    image_expect_refusal(&image, WEIR_E_ROLLED_BACK);
    image_at(&image, epoch.address)[70] ^= 1; /* its header is evidence all the same */
    image_expect_refusal(&image, WEIR_E_ROLLED_BACK);
    image_end(&image);
}

static void a_rolled_back_control_is_refused_by_a_later_segments_header(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 1, 100);
    struct control old = image.control;
    image_recover(&image);
    struct image_group epoch = image.groups[image.group_count - 1];
    image_seal(&image);
    image_data(&image, 1, 100);
    memset(image_at(&image, epoch.address), 0, 4096);
    image.control = old;
    image_expect_refusal(&image, WEIR_E_ROLLED_BACK);
    image_end(&image);
}

static void a_control_of_another_branch_of_the_log_is_refused(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 1, 100);
    image_data(&image, 1, 100);
    image.control.seed ^= 1;
    image_expect_refusal(&image, WEIR_E_ROLLED_BACK);
    image.control.seed ^= 1;
    image_close_clean(&image);
    image.control.witness_chain ^= 1;
    image_expect_refusal(&image, WEIR_E_ROLLED_BACK);
    image.control.witness_chain ^= 1;
    image.control.witness_address -= 64;
    image_expect_refusal(&image, WEIR_E_ROLLED_BACK);
    image_end(&image);
}

static void a_clean_log_that_goes_on_behind_its_end_is_refused(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 1, 100);
    image_close_clean(&image);
    image_data(&image, 1, 100);
    image_expect_refusal(&image, WEIR_E_DAMAGED);
    image_end(&image);
}

static void a_missing_or_shortened_segment_file_is_refused_and_named(void **state)
{
    (void)state;
    for (uint64_t ordinal = 1; ordinal <= 4; ordinal++) {
        static const uint64_t sizes[] = {UINT64_MAX, 0, 4096, 8192, IMAGE_SEGMENT - 4096};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct image image;
            image_begin(&image, 4096);
            image_new_epoch(&image);
            image_fill_segment(&image);
            image_fill_segment(&image);
            image_fill_segment(&image);
            image_data(&image, 1, 100);
            if (sizes[i] == UINT64_MAX) {
                char name[FORMAT_NAME_BYTES];
                format_segment_name(ordinal, name);
                assert_int_equal(image.medium->ops->remove(image.medium, name), 0);
            } else {
                image_cut_file(&image, ordinal, sizes[i]);
            }
            struct weir_error why = image_expect_refusal(&image, WEIR_E_CUT_SHORT);
            char name[FORMAT_NAME_BYTES];
            format_segment_name(ordinal, name);
            assert_string_equal(why.file, name);
            image_end(&image);
        }
    }
}

static void a_spare_that_is_missing_or_half_made_is_no_damage(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 1, 100);
    image_cut_file(&image, 2, 8192);
    struct recovery found = image_judged(&image);
    assert_int_equal(found.spare_count, 0);
    assert_int_equal(found.leftover_count, 1);
    assert_int_equal(found.leftovers[0], 2);
    recover_free(&found);
    image_end(&image);
}

static void one_copy_of_a_segment_header_is_enough_and_none_is_damage(void **state)
{
    (void)state;
    for (uint64_t ordinal = 1; ordinal <= 4; ordinal++) {
        struct image image;
        image_begin(&image, 4096);
        image_new_epoch(&image);
        image_fill_segment(&image);
        image_fill_segment(&image);
        image_fill_segment(&image);
        image.durable = image.chain.next_lsn - 1;
        image_data(&image, 1, 100);
        image.durable = image.chain.next_lsn - 1;
        image_data(&image, 1, 100);
        uint64_t end = image_address(&image);
        weir_lsn next = image.chain.next_lsn;
        image_file(&image, ordinal)[50] ^= 1;
        image_expect_tail(&image, end, next);
        image_file(&image, ordinal)[4096 + 60] ^= 1;
        struct recovery found;
        struct weir_error why;
        int rc = image_judge(&image, &found, &why);
        assert_int_equal(rc, ordinal == 3 || ordinal == 4 ? WEIR_E_LOST : WEIR_E_DAMAGED);
        assert_int_equal(why.offset, 0);
        image_file(&image, ordinal)[50] ^= 1;
        image_expect_tail(&image, end, next);
        image_end(&image);
    }
}

static void a_damaged_directory_in_a_seal_loses_nothing(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_fill_segment(&image);
    struct image_group seal = image.groups[image.group_count - 1];
    image_data(&image, 1, 100);
    image.durable = image.chain.next_lsn - 1;
    image_data(&image, 1, 100);
    image_at(&image, seal.address)[FORMAT_GROUP_HEADER_BYTES + 70] ^= 1;
    image_expect_tail(&image, image_address(&image), image.chain.next_lsn);
    image_end(&image);
}

/* ---- medium errors ---- */

static void a_block_that_cannot_be_read_is_damage_only_where_it_was_durable(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 2, 100);
    struct image_group bad = *image_data(&image, 3, 4000);
    uint64_t block = bad.address % IMAGE_SEGMENT + 4096;
    struct image_bad unreadable = {.from = block, .to = block + 4096};
    image_fail_reads(image.medium, &unreadable);
    image_expect_tail(&image, bad.address, 3);
    image.durable = 5;
    image_data(&image, 1, 100);
    struct weir_error why = image_expect_refusal(&image, WEIR_E_DAMAGED);
    assert_int_equal(why.from_lsn, 3);
    assert_int_equal(why.to_lsn, 5);
    assert_non_null(strstr(why.text, "cannot read"));
    image_heal(image.medium);
    image_end(&image);
}

static void a_block_of_the_torn_tail_that_cannot_be_read_is_written_again(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    struct image_group bad = *image_data(&image, 3, 4000);
    uint64_t block = bad.address % IMAGE_SEGMENT + 4096;
    struct image_bad unreadable = {.from = block, .to = block + 4096};
    image_fail_reads(image.medium, &unreadable);
    struct recovery found = image_judged(&image);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(repair_zero_window(image.medium, &image.control, &found, &why), 0);
    image_heal(image.medium);
    for (uint64_t i = 0; i < bad.bytes; i++) {
        assert_int_equal(image_at(&image, bad.address)[i], 0);
    }
    recover_free(&found);
    image_end(&image);
}

static void verifying_everything_finds_damage_in_segments_that_opening_does_not_read(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_fill_segment(&image);
    struct image_group damaged = *image_data(&image, 2, 500);
    image_fill_segment(&image);
    weir_lsn last = image.chain.next_lsn - 1;
    image_fill_segment(&image);
    image_fill_segment(&image);
    image_data(&image, 1, 100);
    image_at(&image, damaged.address)[90] ^= 1;
    struct recovery found = image_judged(&image);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(recover_verify_all(image.medium, &image.control, &found, &why), WEIR_E_LOST);
    assert_int_equal(why.from_lsn, damaged.first_lsn);
    assert_int_equal(why.to_lsn, last);
    recover_free(&found);
    image_end(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_log_without_a_header_begins_at_its_first_segment),
        cmocka_unit_test(the_tail_and_its_directory_are_what_was_written),
        cmocka_unit_test(every_retained_segment_is_known_after_opening),
        cmocka_unit_test(a_log_that_was_closed_is_opened_by_its_last_segment),
        cmocka_unit_test(a_segment_without_its_first_group_has_its_tail_at_the_start),
        cmocka_unit_test(a_log_truncated_to_nothing_at_a_segment_start_goes_on_there),
        cmocka_unit_test(a_clean_log_opens_without_cutting_what_an_earlier_life_left),
        cmocka_unit_test(wl_07_what_is_appended_behind_a_cut_tail_survives_the_next_recovery),
        cmocka_unit_test(wl_11_a_tail_that_was_cut_does_not_come_back_before_it_is_zeroed),
        cmocka_unit_test(wl_11_the_epoch_group_of_a_writer_that_was_cut_does_not_come_back),
        cmocka_unit_test(wl_11_groups_of_a_recycled_segment_are_neither_valid_nor_counted),
        cmocka_unit_test(the_header_of_a_next_segment_that_was_cut_is_gone_after_recovery),
        cmocka_unit_test(a_copy_of_the_open_segments_header_that_a_crash_left_out_is_written_again),
        cmocka_unit_test(wl_10_a_damaged_group_below_a_later_witness_is_refused_with_its_lsns),
        cmocka_unit_test(wl_10_what_control_witnesses_is_refused_without_any_later_group),
        cmocka_unit_test(a_damaged_group_without_records_that_was_durable_is_refused),
        cmocka_unit_test(a_damaged_group_without_records_is_refused_after_a_crash_as_well),
        cmocka_unit_test(a_segment_header_that_does_not_continue_the_seal_is_not_believed),
        cmocka_unit_test(a_valid_group_beyond_the_run_ahead_limit_is_a_hole),
        cmocka_unit_test(a_rolled_back_control_is_refused),
        cmocka_unit_test(a_rolled_back_control_is_refused_by_a_later_segments_header),
        cmocka_unit_test(a_control_of_another_branch_of_the_log_is_refused),
        cmocka_unit_test(a_clean_log_that_goes_on_behind_its_end_is_refused),
        cmocka_unit_test(a_missing_or_shortened_segment_file_is_refused_and_named),
        cmocka_unit_test(a_spare_that_is_missing_or_half_made_is_no_damage),
        cmocka_unit_test(one_copy_of_a_segment_header_is_enough_and_none_is_damage),
        cmocka_unit_test(a_damaged_directory_in_a_seal_loses_nothing),
        cmocka_unit_test(a_block_that_cannot_be_read_is_damage_only_where_it_was_durable),
        cmocka_unit_test(a_block_of_the_torn_tail_that_cannot_be_read_is_written_again),
        cmocka_unit_test(verifying_everything_finds_damage_in_segments_that_opening_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
