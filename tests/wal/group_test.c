/*
 * The decoder of groups: what was written is accepted, and nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "wal/group.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENT ((uint64_t)256 << 10)
#define SEED 0x5eed5eedu
#define UUID_SEED 0x01d1d1d1u

struct image {
    _Alignas(64) uint8_t bytes[8192];
    struct group_header header;
    struct group_chain chain;
};

static uint32_t add_record(uint8_t *target, const char *payload, uint16_t flags)
{
    struct format_record *record = (struct format_record *)target;
    size_t size = strlen(payload);
    le32_store(&record->size, (uint32_t)(FORMAT_RECORD_HEADER_BYTES + size));
    le32_store(&record->crc, base_crc32c(0, payload, size));
    le16_store(&record->type, 3);
    le16_store(&record->flags, flags);
    le32_store(&record->user, 99);
    memcpy(target + FORMAT_RECORD_HEADER_BYTES, payload, size);
    return (uint32_t)format_record_stride(size);
}

/* Three records behind a chain that is somewhere in the middle of a log. */
static struct image data_group(void)
{
    struct image image = {0};
    image.chain = (struct group_chain){
        .next_lsn = 1000, .time_ns = 5000, .epoch = 7, .seed = SEED, .crc = 0xabcdef01u};
    uint32_t size = FORMAT_GROUP_HEADER_BYTES, crc = 0;
    static const char *const payloads[] = {"first", "", "the third one is longer"};
    for (int i = 0; i < 3; i++) {
        uint32_t stride = add_record(image.bytes + size, payloads[i], 0);
        crc = base_crc32c_16(crc, image.bytes + size);
        size += stride;
    }
    image.header = (struct group_header){.address = 3 * SEGMENT + 8192,
                                         .first_lsn = 1000,
                                         .time_ns = 6000,
                                         .durable_lsn = 990,
                                         .chain = image.chain.crc,
                                         .body_crc = crc,
                                         .record_count = 3,
                                         .size_bytes = size,
                                         .epoch = 7,
                                         .kind = FORMAT_GROUP_DATA};
    group_encode(image.bytes, &image.header, SEED);
    return image;
}

/* As a reader does it; the first fault, or GROUP_OK. */
static enum group_fault check(const struct image *image, uint64_t address)
{
    struct group_header header;
    uint32_t record;
    enum group_fault fault = group_decode(image->bytes, address, SEED, UUID_SEED, SEGMENT, &header);
    if (fault == GROUP_OK) {
        fault = group_check_place(&header, &image->chain);
    }
    if (fault == GROUP_OK) {
        fault = group_check_body(image->bytes, &header, FORMAT_BLOCK, &record);
    }
    return fault;
}

static void what_was_encoded_is_valid_in_its_place_only(void **state)
{
    (void)state;
    struct image image = data_group();
    assert_int_equal(check(&image, image.header.address), GROUP_OK);
    assert_int_equal(check(&image, image.header.address + 4096), GROUP_ADDRESS);
    struct image other = image;
    other.chain.crc ^= 1;
    assert_int_equal(check(&other, image.header.address), GROUP_CHAIN);
    other = image;
    other.chain.next_lsn++;
    assert_int_equal(check(&other, image.header.address), GROUP_LSN);
    other = image;
    other.chain.time_ns = 6001;
    assert_int_equal(check(&other, image.header.address), GROUP_TIME);
    other = image;
    other.chain.epoch = 8;
    assert_int_equal(check(&other, image.header.address), GROUP_EPOCH);
    group_chain_advance(&image.chain, image.bytes, &image.header);
    assert_int_equal(image.chain.next_lsn, 1003);
    assert_int_equal(image.chain.crc, image.header.crc);
}

static void wl_09_no_flipped_bit_of_a_group_goes_unnoticed(void **state)
{
    (void)state;
    struct image image = data_group();
    for (size_t bit = 0; bit < 8 * (size_t)FORMAT_BLOCK; bit++) {
        image.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_not_equal(check(&image, image.header.address), GROUP_OK);
        image.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(check(&image, image.header.address), GROUP_OK);
}

/* Sizes that lie under a right CRC must not lead outside the group. */
static void records_that_do_not_fill_their_group_are_refused(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 15, 17, 4096, UINT32_MAX, UINT32_MAX - 7};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct image image = data_group();
        struct format_record *record =
            (struct format_record *)(image.bytes + FORMAT_GROUP_HEADER_BYTES);
        le32_store(&record->size, sizes[i]);
        uint32_t crc = 0;
        for (int k = 0; k < 3; k++) {
            crc = base_crc32c_16(crc, image.bytes + FORMAT_GROUP_HEADER_BYTES + 24 * (size_t)k);
        }
        image.header.body_crc = crc;
        group_encode(image.bytes, &image.header, SEED);
        enum group_fault fault = check(&image, image.header.address);
        assert_true(fault == GROUP_RECORDS || fault == GROUP_BODY_CRC ||
                    fault == GROUP_PAYLOAD_CRC || fault == GROUP_PADDING);
    }
}

static void impossible_fields_under_a_right_crc_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t size_bytes, record_count;
        uint16_t kind, flags;
    } rows[] = {
        {0, 3, FORMAT_GROUP_DATA, 0},
        {63, 3, FORMAT_GROUP_DATA, 0},
        {UINT32_MAX, 3, FORMAT_GROUP_DATA, 0},
        {SEGMENT, 3, FORMAT_GROUP_DATA, 0},
        {200, 0, FORMAT_GROUP_DATA, 0},
        {200, UINT32_MAX, FORMAT_GROUP_DATA, 0},
        {64, 0, 0, 0},
        {64, 0, 5, 0},
        {64, 1, FORMAT_GROUP_WITNESS, 0},
        {72, 0, FORMAT_GROUP_WITNESS, 0},
        {64, 0, FORMAT_GROUP_SEAL, 0},
        {64, 0, FORMAT_GROUP_WITNESS, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct image image = data_group();
        image.header.size_bytes = rows[i].size_bytes;
        image.header.record_count = rows[i].record_count;
        image.header.kind = rows[i].kind;
        image.header.flags = rows[i].flags;
        group_encode(image.bytes, &image.header, SEED);
        assert_int_equal(check(&image, image.header.address), GROUP_HEADER_FIELDS);
    }
}

static void a_group_of_another_epoch_or_log_fails_its_checksum(void **state)
{
    (void)state;
    struct image image = data_group();
    group_encode(image.bytes, &image.header, SEED + 1);
    assert_int_equal(check(&image, image.header.address), GROUP_HEADER_CRC);
}

static void segment_names_are_exact(void **state)
{
    (void)state;
    char name[FORMAT_NAME_BYTES];
    uint64_t ordinal;
    format_segment_name(UINT64_C(0x123456789abcdef0), name);
    assert_string_equal(name, "segment-123456789abcdef0");
    assert_true(format_segment_ordinal(name, &ordinal));
    assert_int_equal(ordinal, UINT64_C(0x123456789abcdef0));
    static const char *const foreign[] = {"segment-",
                                          "segment-123456789ABCDEF0",
                                          "segment-123456789abcdef01",
                                          "segment-123456789abcdef",
                                          "Segment-123456789abcdef0",
                                          "segment-+23456789abcdef0"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        assert_false(format_segment_ordinal(foreign[i], &ordinal));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_valid_in_its_place_only),
        cmocka_unit_test(wl_09_no_flipped_bit_of_a_group_goes_unnoticed),
        cmocka_unit_test(records_that_do_not_fill_their_group_are_refused),
        cmocka_unit_test(impossible_fields_under_a_right_crc_are_refused),
        cmocka_unit_test(a_group_of_another_epoch_or_log_fails_its_checksum),
        cmocka_unit_test(segment_names_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
