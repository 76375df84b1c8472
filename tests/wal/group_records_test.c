/*
 * The records of a group: all that were written are accepted, of whatever sizes, and damage to any
 * one of them is found and said to be in that one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "wal/group.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_LSN 1000u
#define RECORDS_MAX 90u
#define RECORD_MAX_BYTES 6000u

struct group {
    uint8_t *bytes; /* no more than the group has: sanitizers see every byte behind it */
    struct group_header header;
    uint32_t offsets[RECORDS_MAX];
    uint32_t sizes[RECORDS_MAX]; /* of payloads */
};

enum numbers { PLAIN, NUMBERED, SPARSE };

static struct format_record *record_of(const struct group *group, uint32_t index)
{
    return (struct format_record *)(group->bytes + group->offsets[index]);
}

/* The checksum of the record headers, as whoever builds the group makes it. */
static void seal(struct group *group)
{
    group->header.body_crc = 0;
    for (uint32_t i = 0; i < group->header.record_count; i++) {
        group->header.body_crc = base_crc32c_16(group->header.body_crc, record_of(group, i));
    }
}

static void sign(struct group *group, uint32_t index)
{
    struct format_record *record = record_of(group, index);
    le32_store(&record->crc, base_crc32c(0, record + 1, group->sizes[index]));
}

static void number(struct group *group, uint32_t index, weir_lsn lsn)
{
    struct le64 *at = (struct le64 *)(void *)(record_of(group, index) + 1);
    le64_store(at, lsn);
    sign(group, index);
}

static weir_lsn lsn_of(enum numbers numbers, uint32_t index)
{
    return FIRST_LSN + (numbers == SPARSE ? 3 * (weir_lsn)index : index);
}

static void build(struct group *group, struct base_prng *prng, uint32_t count, uint64_t bound,
                  enum numbers numbers)
{
    uint32_t least = numbers == PLAIN ? 0 : FORMAT_RECORD_NUMBER_BYTES;
    uint32_t size = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        group->offsets[i] = size;
        group->sizes[i] = least + (uint32_t)base_prng_below(prng, bound);
        size += (uint32_t)format_record_stride(group->sizes[i]);
    }
    group->bytes = malloc(size);
    assert_non_null(group->bytes);
    memset(group->bytes, 0, size);
    group->header = (struct group_header){
        .first_lsn = FIRST_LSN,
        .durable_lsn = lsn_of(numbers, count - 1),
        .record_count = count,
        .size_bytes = size,
        .kind = FORMAT_GROUP_DATA,
        .flags = numbers == SPARSE ? FORMAT_GROUP_SPARSE : 0,
    };
    for (uint32_t i = 0; i < count; i++) {
        struct format_record *record = record_of(group, i);
        le32_store(&record->size, FORMAT_RECORD_HEADER_BYTES + group->sizes[i]);
        le16_store(&record->type, (uint16_t)i);
        le16_store(&record->flags, numbers == PLAIN ? 0 : FORMAT_RECORD_NUMBERED);
        base_prng_fill(prng, record + 1, group->sizes[i]);
        if (numbers != PLAIN) {
            number(group, i, lsn_of(numbers, i));
        }
        sign(group, i);
    }
    seal(group);
}

static void expect(const struct group *group, enum group_fault fault, uint32_t record)
{
    uint32_t found = UINT32_MAX;
    assert_int_equal(group_check_records(group->bytes, &group->header, &found), fault);
    assert_int_equal(found, record);
}

static void expect_whole(const struct group *group)
{
    expect(group, GROUP_OK, group->header.record_count);
}

/* Another byte of a payload, of the zeros behind it, of a header. */
static void damage_each_record(struct group *group, struct base_prng *prng)
{
    for (uint32_t i = 0; i < group->header.record_count; i++) {
        uint8_t *payload = (uint8_t *)(record_of(group, i) + 1);
        uint64_t padding =
            format_record_stride(group->sizes[i]) - FORMAT_RECORD_HEADER_BYTES - group->sizes[i];
        if (group->sizes[i] > 0) {
            uint64_t at = base_prng_below(prng, group->sizes[i]);
            payload[at] ^= 0x40;
            expect(group, GROUP_PAYLOAD_CRC, i);
            payload[at] ^= 0x40;
        }
        if (padding > 0) {
            uint64_t at = group->sizes[i] + base_prng_below(prng, padding);
            payload[at] = 1;
            expect(group, GROUP_PADDING, i);
            payload[at] = 0;
        }
        record_of(group, i)->user.bytes[0] ^= 1;
        expect(group, GROUP_BODY_CRC, group->header.record_count);
        record_of(group, i)->user.bytes[0] ^= 1;
    }
    expect_whole(group);
}

static void damage_in_any_one_of_many_records_is_said_to_be_in_that_one(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 9, 40, 130, 400, 700, RECORD_MAX_BYTES};
    struct base_prng prng;
    base_prng_seed(&prng, 12);
    for (uint32_t round = 0; round < 210; round++) {
        struct group group;
        uint32_t count = 1 + (uint32_t)base_prng_below(&prng, RECORDS_MAX);
        build(&group, &prng, count, bounds[round % 7], (enum numbers)(round / 7 % 3));
        expect_whole(&group);
        damage_each_record(&group, &prng);
        free(group.bytes);
    }
}

/* Two are damaged: the first one is named. */
static void the_first_of_two_damaged_records_is_named(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 13);
    struct group group;
    build(&group, &prng, 24, 100, NUMBERED);
    ((uint8_t *)(record_of(&group, 19) + 1))[2] ^= 1;
    ((uint8_t *)(record_of(&group, 5) + 1))[3] ^= 1;
    expect(&group, GROUP_PAYLOAD_CRC, 5);
    free(group.bytes);
}

/* Under right checksums: a record from somewhere else, in a group that somebody else has built. */
static void a_record_with_the_lsn_of_another_place_is_refused(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 14);
    for (uint32_t i = 0; i < 37; i++) {
        struct group group;
        build(&group, &prng, 37, 60, NUMBERED);
        number(&group, i, lsn_of(NUMBERED, i) + 1);
        seal(&group);
        expect(&group, GROUP_PAYLOAD_CRC, i);
        free(group.bytes);
        build(&group, &prng, 37, 60, SPARSE);
        number(&group, i, i == 0 ? FIRST_LSN + 1 : lsn_of(SPARSE, i - 1));
        seal(&group);
        expect(&group, GROUP_PAYLOAD_CRC, i);
        number(&group, i, lsn_of(SPARSE, i) + (i < 36 ? 3 * (36 - (weir_lsn)i) : 1));
        seal(&group);
        expect(&group, GROUP_PAYLOAD_CRC, i);
        le16_store(&record_of(&group, i)->flags, 0);
        number(&group, i, lsn_of(SPARSE, i));
        seal(&group);
        expect(&group, GROUP_PAYLOAD_CRC, i);
        free(group.bytes);
    }
}

/* Sizes under a right checksum that leave the group, or do not fill it. */
static void sizes_that_leave_the_group_are_refused_in_any_record(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 15);
    static const uint32_t sizes[] = {0, 15, 16, 4096, UINT32_MAX, UINT32_MAX - 7};
    for (uint32_t i = 0; i < 40 * 6; i++) {
        struct group group;
        build(&group, &prng, 40, 60, PLAIN);
        le32_store(&record_of(&group, i % 40)->size, sizes[i / 40]);
        seal(&group);
        uint32_t found;
        enum group_fault fault = group_check_records(group.bytes, &group.header, &found);
        bool fits = sizes[i / 40] == FORMAT_RECORD_HEADER_BYTES && group.sizes[i % 40] == 0;
        assert_int_equal(fault == GROUP_OK, fits);
        free(group.bytes);
    }
    struct group group;
    build(&group, &prng, 40, 60, PLAIN);
    group.header.record_count = 39; /* the last one is not counted */
    seal(&group);
    expect(&group, GROUP_RECORDS, 39);
    group.header.record_count = 41; /* one is counted that has no room */
    expect(&group, GROUP_RECORDS, 41);
    free(group.bytes);
}

static void a_cpu_without_the_instruction_finds_the_same_faults(void **state)
{
    bool before = base_crc32c_hardware;
    base_crc32c_hardware = false;
    damage_in_any_one_of_many_records_is_said_to_be_in_that_one(state);
    base_crc32c_hardware = before;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_in_any_one_of_many_records_is_said_to_be_in_that_one),
        cmocka_unit_test(the_first_of_two_damaged_records_is_named),
        cmocka_unit_test(a_record_with_the_lsn_of_another_place_is_refused),
        cmocka_unit_test(sizes_that_leave_the_group_are_refused_in_any_record),
        cmocka_unit_test(a_cpu_without_the_instruction_finds_the_same_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
