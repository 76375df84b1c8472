/*
 * Scanning: reading in pieces, around blocks that cannot be read, and what counts as evidence.
 */
#include "tests/wal/image.h"

#include "base/crc32c.h"
#include "wal/scan.h"

#include <errno.h>
#include <string.h>

static struct scan scan_of(struct image *image, uint64_t ordinal)
{
    struct scan scan;
    assert_int_equal(scan_init(&scan, image->medium, IMAGE_SEGMENT, image->control.block_bytes,
                               image->uuid_seed),
                     0);
    assert_int_equal(scan_open(&scan, ordinal), 0);
    return scan;
}

static int count_group(void *context, const struct scan_group *group)
{
    (void)group;
    (*(unsigned *)context)++;
    return 0;
}

static struct scan_epoch epoch_of(const struct image *image)
{
    return (struct scan_epoch){
        .epoch = image->control.epoch,
        .seed = image->control.seed,
        .walk_epoch = image->control.epoch,
        .walk_seed = image->control.seed,
    };
}

static void a_walk_reports_each_group_and_stops_behind_the_seal(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 64);
    image_new_epoch(&image);
    for (unsigned i = 0; i < 40; i++) {
        image_data(&image, 1 + i % 5, i * 29);
    }
    uint64_t records = image.segment_records;
    image_seal(&image);
    struct scan scan = scan_of(&image, 1);
    struct scan_walk walk = {.chain = {.next_lsn = 1}, .offset = FORMAT_SEGMENT_HEADER_BYTES};
    unsigned count = 0;
    assert_int_equal(scan_walk(&scan, &walk, count_group, &count), 0);
    assert_int_equal(walk.end, SCAN_SEALED);
    assert_int_equal(count, 42);
    assert_int_equal(walk.groups, 42);
    assert_int_equal(walk.records, records);
    assert_int_equal(walk.seal_offset, image.last_seal_offset);
    assert_memory_equal(&walk.chain, &image.chain, sizeof image.chain);
    scan_free(&scan);
    image_end(&image);
}

static void one_block_that_cannot_be_read_costs_one_block(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    struct image_bad bad = {.from = 20 * 4096, .to = 21 * 4096};
    image_fail_reads(image.medium, &bad);
    struct scan scan = scan_of(&image, 1);
    unsigned unreadable = 0;
    for (uint64_t at = 0; at < IMAGE_SEGMENT; at += 4096) {
        const uint8_t *bytes;
        int rc = scan_bytes(&scan, at, 4096, &bytes);
        assert_int_equal(rc, at == bad.from ? -EIO : 0);
        unreadable += rc < 0;
        assert_true(rc < 0 || memcmp(bytes, image_file(&image, 1) + at, 4096) == 0);
    }
    assert_int_equal(unreadable, 1);
    assert_in_range(bad.reads, 2, 40);
    const uint8_t *bytes;
    assert_int_equal(scan_bytes(&scan, 19 * 4096, 3 * 4096, &bytes), -EIO);
    assert_int_equal(scan_bytes(&scan, IMAGE_SEGMENT - 64, 128, &bytes), WEIR_E_CUT_SHORT);
    image_heal(image.medium);
    scan_free(&scan);
    image_end(&image);
}

static void evidence_is_what_headers_of_the_epoch_say(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 2, 100);
    struct image_group torn = *image_data(&image, 2, 100);
    image.durable = 3;
    image_data(&image, 1, 9000);
    image.durable = 2;
    struct image_group last = *image_data(&image, 1, 100);
    struct scan_epoch epoch = epoch_of(&image);
    struct scan_evidence evidence = {0};
    struct scan scan = scan_of(&image, 1);
    uint64_t from = torn.address % IMAGE_SEGMENT + 4096;
    assert_int_equal(scan_evidence(&scan, from, IMAGE_SEGMENT, &epoch, &evidence), 0);
    assert_int_equal(evidence.durable_lsn, 3);
    assert_int_equal(evidence.groups, 2);
    assert_int_equal(evidence.records, 2);
    assert_int_equal(evidence.first_lsn, 5);
    assert_int_equal(evidence.newest_address, last.address);
    assert_int_equal(evidence.newer_epoch, 0);
    assert_int_equal(evidence.held_bytes, 4096 + 12288);

    evidence = (struct scan_evidence){0};
    epoch.epoch++; /* a later writer's view: all of it is a leftover */
    epoch.seed ^= 1;
    assert_int_equal(scan_evidence(&scan, from, IMAGE_SEGMENT, &epoch, &evidence), 0);
    assert_int_equal(evidence.durable_address, 0);
    assert_int_equal(evidence.newest_address, 0);
    assert_int_equal(evidence.groups, 2);

    evidence = (struct scan_evidence){0};
    epoch.epoch -= 2; /* CONTROL is older than what lies here */
    uint64_t start = FORMAT_SEGMENT_HEADER_BYTES;
    assert_int_equal(scan_evidence(&scan, start, IMAGE_SEGMENT, &epoch, &evidence), 0);
    assert_int_equal(evidence.newer_epoch, 1);
    scan_free(&scan);
    image_end(&image);
}

static void a_newer_group_inside_an_old_ones_extent_is_still_seen(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 1, 100);
    struct image_group hole = *image_data(&image, 1, 100);
    image.durable = 2;
    image_data(&image, 1, 100);
    struct format_group *old = (struct format_group *)image_at(&image, hole.address);
    le64_store(&old->address, hole.address % IMAGE_SEGMENT); /* of an older segment, */
    le32_store(&old->size_bytes, 65536);                     /* and large */
    struct scan_epoch epoch = epoch_of(&image);
    struct scan_evidence evidence = {0};
    struct scan scan = scan_of(&image, 1);
    uint64_t from = hole.address % IMAGE_SEGMENT;
    assert_int_equal(scan_evidence(&scan, from, IMAGE_SEGMENT, &epoch, &evidence), 0);
    assert_int_equal(evidence.durable_lsn, 2);
    assert_int_equal(evidence.groups, 1);
    scan_free(&scan);
    image_end(&image);
}

static void a_segment_header_of_an_older_epoch_is_no_evidence(void **state)
{
    (void)state;
    struct scan_epoch epoch = {.epoch = 5, .seed = 77};
    struct segment_header header = {
        .ordinal = 3, .base_lsn = 10, .durable_lsn = 9, .epoch = 4, .seed = 76};
    struct scan_evidence evidence = {0};
    scan_evidence_header(&header, IMAGE_SEGMENT, &epoch, &evidence);
    assert_int_equal(evidence.durable_address, 0);
    assert_int_equal(evidence.newest_address, 0);
    header.epoch = 5; /* another branch: the same number, another seed */
    scan_evidence_header(&header, IMAGE_SEGMENT, &epoch, &evidence);
    assert_int_equal(evidence.durable_address, 0);
    header.seed = 77;
    scan_evidence_header(&header, IMAGE_SEGMENT, &epoch, &evidence);
    assert_int_equal(evidence.durable_lsn, 9);
    assert_int_equal(evidence.newest_address, 3 * IMAGE_SEGMENT);
    header.epoch = 6;
    scan_evidence_header(&header, IMAGE_SEGMENT, &epoch, &evidence);
    assert_int_equal(evidence.newer_epoch, 6);
}

static void an_epoch_group_must_be_newer_than_what_is_in_force(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 1, 10);
    image_new_epoch(&image);
    image.control.epoch = 1; /* the next says 2, as the one before */
    image_new_epoch(&image);
    struct scan scan = scan_of(&image, 1);
    struct scan_walk walk = {.chain = {.next_lsn = 1}, .offset = FORMAT_SEGMENT_HEADER_BYTES};
    unsigned count = 0;
    assert_int_equal(scan_walk(&scan, &walk, count_group, &count), 0);
    assert_int_equal(walk.end, SCAN_INVALID);
    assert_int_equal(walk.fault, GROUP_EPOCH);
    assert_int_equal(count, 3);
    scan_free(&scan);
    image_end(&image);
}

/* Puts the right checksum around one copy, in both. */
static void sign_header(uint8_t *blocks, uint32_t uuid_seed)
{
    struct format_segment *copy = (struct format_segment *)blocks;
    le32_store(&copy->crc, base_crc32c(uuid_seed, blocks + 12, FORMAT_BLOCK - 12));
    memcpy(blocks + FORMAT_BLOCK, blocks, FORMAT_BLOCK);
}

static void a_segment_header_that_is_whole_and_in_the_wrong_place_is_damage(void **state)
{
    (void)state;
    struct image image;
    struct segment_header header;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    uint8_t *file = image_file(&image, 1);
    const uint8_t *uuid = image.control.uuid;
    assert_int_equal(segment_header_decode(file, uuid, 1, &header), 0);
    assert_int_equal(segment_header_decode(file, uuid, 2, &header), WEIR_E_DAMAGED);
    assert_int_equal(segment_header_decode(image_file(&image, 2), uuid, 2, &header),
                     WEIR_E_NOT_A_LOG);
    uint8_t other[FORMAT_UUID_BYTES] = {1};
    assert_int_equal(segment_header_decode(file, other, 1, &header), WEIR_E_NOT_A_LOG);
    file[4000] = 1; /* what is not described is zero */
    sign_header(file, image.uuid_seed);
    assert_int_equal(segment_header_decode(file, uuid, 1, &header), WEIR_E_DAMAGED);
    file[4000] = 0;
    le32_store(&((struct format_segment *)file)->flags, 4);
    sign_header(file, image.uuid_seed);
    assert_int_equal(segment_header_decode(file, uuid, 1, &header), WEIR_E_NEWER_FORMAT);
    le32_store(&((struct format_segment *)file)->flags, 0);
    le32_store(&((struct format_segment *)file)->version, 2);
    sign_header(file, image.uuid_seed);
    assert_int_equal(segment_header_decode(file, uuid, 1, &header), WEIR_E_NEWER_FORMAT);
    image_end(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_reports_each_group_and_stops_behind_the_seal),
        cmocka_unit_test(one_block_that_cannot_be_read_costs_one_block),
        cmocka_unit_test(evidence_is_what_headers_of_the_epoch_say),
        cmocka_unit_test(a_newer_group_inside_an_old_ones_extent_is_still_seen),
        cmocka_unit_test(a_segment_header_of_an_older_epoch_is_no_evidence),
        cmocka_unit_test(an_epoch_group_must_be_newer_than_what_is_in_force),
        cmocka_unit_test(a_segment_header_that_is_whole_and_in_the_wrong_place_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
