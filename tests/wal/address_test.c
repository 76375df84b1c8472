/*
 * Records that carry their LSN, and reading at an address.
 */
#include "support.h"

#include "wal/address.h"
#include "wal/address_read.h"
#include "wal/log.h"

#include <errno.h>
#include <string.h>

#define TYPE WEIR_TYPE_RESERVED

struct stamped {
    weir_lsn lsns[8];
    uint64_t addresses[8];
    size_t count;
    char *bytes; /* changed when the first one is stamped */
};

static void note(void *context, size_t index, weir_lsn lsn, uint64_t address)
{
    struct stamped *stamped = context;
    assert_int_equal(index, stamped->count);
    stamped->lsns[index] = lsn;
    stamped->addresses[index] = address;
    stamped->count++;
    if (stamped->bytes != NULL) {
        stamped->bytes[0] = '!';
    }
}

static weir_lsn append_numbered(struct weir_log *log, char *first, const char *second,
                                struct stamped *stamped)
{
    struct weir_part parts[2] = {{first, strlen(first)}, {second, strlen(second)}};
    struct weir_entry entries[2] = {{.parts = &parts[0], .part_count = 1, .type = TYPE},
                                    {.parts = &parts[1], .part_count = 1, .type = TYPE + 1}};
    struct wal_address_batch batch = {
        .entries = entries, .count = 2, .stamp = note, .context = stamped};
    weir_lsn lsn = 0;
    *stamped = (struct stamped){.bytes = first};
    assert_int_equal(wal_address_append(log, &batch, WEIR_EACH, &lsn), 0);
    return lsn;
}

static void expect_read(struct weir_log *log, uint64_t address, weir_lsn lsn, const char *text)
{
    struct wal_segment *segment;
    struct weir_record record;
    assert_int_equal(wal_address_pin(log, wal_address_ordinal(log, address), &segment, NULL), 0);
    assert_int_equal(wal_address_read(log, segment, address, &record), 0);
    assert_int_equal(record.lsn, lsn);
    assert_int_equal(record.flags, 0);
    assert_int_equal(record.size, strlen(text));
    assert_memory_equal(record.data, text, strlen(text));
    wal_address_unpin(log, segment);
}

static void a_record_is_read_at_the_address_that_it_was_stamped_with(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    char first[] = "?ne";
    struct stamped stamped;
    append_text(log, "of a caller", WEIR_EACH);
    assert_int_equal(append_numbered(log, first, "", &stamped), 2);
    assert_int_equal(stamped.lsns[1], 3);
    for (int round = 0; round < 2; round++) {
        expect_read(log, stamped.addresses[0], 2, "!ne");
        expect_read(log, stamped.addresses[1], 3, "");
        uint64_t address, time_ns;
        assert_int_equal(wal_address_find(log, 3, &address, &time_ns), 0);
        assert_int_equal(address, stamped.addresses[1]);
        assert_true(time_ns > 0);
        assert_int_equal(wal_address_find(log, 4, &address, &time_ns), -EAGAIN);
        close_log(log);
        log = open_log(&disk, NULL);
    }
    close_log(log);
    disk_free(&disk);
}

static void a_cursor_lends_numbered_records_without_their_number(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    char first[] = "?ne";
    struct stamped stamped;
    append_numbered(log, first, "two", &stamped);
    struct weir_cursor *cursor;
    struct weir_record records[4];
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    assert_int_equal(weir_cursor_next_batch(cursor, records, 4), 2);
    assert_int_equal(records[0].size, 3);
    assert_memory_equal(records[1].data, "two", 3);
    assert_int_equal(records[1].flags, 0);
    assert_int_equal(wal_address_of(log, cursor, &records[1]), stamped.addresses[1]);
    weir_cursor_close(cursor);
    close_log(log);
    disk_free(&disk);
}

static void what_is_no_record_is_not_lent(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    char first[] = "?ne";
    struct stamped stamped;
    append_numbered(log, first, "two", &stamped);
    append_text(log, "of a caller", WEIR_EACH);
    close_log(log);
    log = open_log(&disk, NULL);
    struct wal_segment *segment;
    struct weir_record record;
    assert_int_equal(wal_address_pin(log, 1, &segment, NULL), 0);
    uint64_t end = log->limits.segment_bytes;
    const uint64_t offsets[] = {8, 4, 16, end - 8, end - 24};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        uint64_t address = i < 3 ? stamped.addresses[0] + offsets[i] : end + offsets[i];
        assert_int_equal(wal_address_read(log, segment, address, &record), WEIR_E_DAMAGED);
    }
    wal_address_unpin(log, segment);
    assert_int_equal(wal_address_pin(log, 77, &segment, NULL), WEIR_E_TRUNCATED);
    close_log(log);
    disk_free(&disk);
}

/* ---- memory that nobody has checked ---- */

#define GROUP_RECORDS 40u
#define PAYLOAD_BYTES 100u

struct many {
    uint64_t addresses[8192];
    size_t count;
};

static void note_many(void *context, size_t index, weir_lsn lsn, uint64_t address)
{
    struct many *many = context;
    (void)index;
    assert_int_equal(lsn, many->count + 1);
    assert_true(many->count < sizeof many->addresses / sizeof many->addresses[0]);
    many->addresses[many->count++] = address;
}

/* Groups of many records, three segments of them: a reopened log knows nothing of the first one. */
static struct weir_log *write_groups(struct test_disk *disk, struct many *many)
{
    struct weir_log *log = open_log(disk, NULL);
    uint8_t bytes[PAYLOAD_BYTES];
    memset(bytes, 'x', sizeof bytes);
    struct weir_part part = {bytes, sizeof bytes};
    struct weir_entry entries[GROUP_RECORDS];
    for (size_t i = 0; i < GROUP_RECORDS; i++) {
        entries[i] = (struct weir_entry){.parts = &part, .part_count = 1, .type = TYPE};
    }
    struct wal_address_batch batch = {
        .entries = entries, .count = GROUP_RECORDS, .stamp = note_many, .context = many};
    many->count = 0;
    do {
        assert_int_equal(wal_address_append(log, &batch, WEIR_EACH, NULL), 0);
    } while (wal_address_ordinal(log, many->addresses[many->count - 1]) < 4);
    close_log(log);
    return open_log(disk, NULL);
}

static int read_one(struct weir_log *log, struct wal_segment *segment, const struct many *many,
                    size_t index)
{
    struct weir_record record;
    int rc = wal_address_read(log, segment, many->addresses[index], &record);
    if (rc == 0) {
        assert_int_equal(record.lsn, index + 1);
        assert_int_equal(record.size, PAYLOAD_BYTES);
        assert_int_equal(((const uint8_t *)record.data)[0], 'x');
    }
    return rc;
}

static uint32_t offset_of(const struct weir_log *log, const struct many *many, size_t index)
{
    return (uint32_t)(many->addresses[index] & (log->limits.segment_bytes - 1));
}

static void a_segment_that_is_read_often_is_checked_by_groups(void **state)
{
    (void)state;
    static struct many many;
    struct test_disk disk = disk_new();
    struct weir_log *log = write_groups(&disk, &many);
    struct wal_segment *segment;
    assert_int_equal(wal_address_pin(log, 1, &segment, NULL), 0);
    assert_int_equal(read_one(log, segment, &many, 0), 0);
    assert_false(segment_is_checked(segment, offset_of(log, &many, 0)));
    for (size_t i = 0; i < GROUP_RECORDS; i++) {
        assert_int_equal(read_one(log, segment, &many, i), 0);
    }
    /* One read of the next group is enough for all of its records, */
    size_t next = GROUP_RECORDS + 3;
    assert_int_equal(read_one(log, segment, &many, next), 0);
    for (size_t i = GROUP_RECORDS; i < (size_t)2 * GROUP_RECORDS; i++) {
        assert_true(segment_is_checked(segment, offset_of(log, &many, i)));
        assert_int_equal(read_one(log, segment, &many, i), 0);
    }
    /* and says nothing about its neighbour. */
    size_t behind = (size_t)2 * GROUP_RECORDS;
    assert_false(segment_is_checked(segment, offset_of(log, &many, behind)));
    wal_address_unpin(log, segment);
    close_log(log);
    disk_free(&disk);
}

/* How many of the records lie in the first segment. */
static size_t count_first(struct weir_log *log, const struct many *many)
{
    size_t end = 0;
    while (wal_address_ordinal(log, many->addresses[end]) == 1) {
        end++;
    }
    return end;
}

static void a_segment_whose_groups_were_all_checked_is_checked_to_its_seal(void **state)
{
    (void)state;
    static struct many many;
    struct test_disk disk = disk_new();
    struct weir_log *log = write_groups(&disk, &many);
    size_t end = count_first(log, &many);
    struct wal_segment *segment;
    struct weir_record record;
    uint64_t seal = 0;
    for (int round = 0; round < 2; round++) { /* the second time it is mapped anew */
        assert_int_equal(wal_address_pin(log, 1, &segment, NULL), 0);
        seal = segment->seal_offset;
        for (size_t i = 0; i < end; i++) {
            assert_false(segment_is_plain(segment, 1)); /* a group is left */
            assert_int_equal(read_one(log, segment, &many, i), 0);
            i = i == 2 * GROUP_RECORDS ? end - GROUP_RECORDS : i;
        }
        for (size_t i = 0; i < end; i += GROUP_RECORDS) {
            assert_int_equal(read_one(log, segment, &many, i), 0);
        }
        assert_true(segment_is_plain(segment, seal));
        assert_false(segment_is_plain(segment, seal + 1));
        uint32_t offset = offset_of(log, &many, end - 1);
        assert_true(
            wal_address_read_plain(segment, segment->base, offset, TYPE, PAYLOAD_BYTES, &record));
        assert_int_equal(record.lsn, end);
        assert_int_equal(record.size, PAYLOAD_BYTES);
        /* Too short, of another type. */
        assert_false(wal_address_read_plain(segment, segment->base, offset, TYPE, PAYLOAD_BYTES + 1,
                                            &record));
        assert_false(wal_address_read_plain(segment, segment->base, offset, TYPE + 1, 0, &record));
        wal_address_unpin(log, segment);
        close_log(log);
        log = open_log(&disk, NULL);
    }
    close_log(log);
    disk_free(&disk);
}

static void leave_one_block(bool last)
{
    static struct many many;
    struct test_disk disk = disk_new();
    struct weir_log *log = write_groups(&disk, &many);
    struct wal_segment *segment;
    assert_int_equal(wal_address_pin(log, 1, &segment, NULL), 0);
    uint32_t seal = segment->seal_offset, block = segment->block_bytes;
    uint32_t left = last ? seal - block : FORMAT_SEGMENT_HEADER_BYTES + block;
    segment_set_checked(segment, seal, block);
    for (int round = 0; round < 2; round++) { /* twice is not more than once */
        for (uint32_t at = FORMAT_SEGMENT_HEADER_BYTES; at < seal; at += block) {
            if (at != left) {
                segment_set_checked(segment, at, block);
            }
            assert_false(segment_is_plain(segment, 1));
        }
    }
    assert_false(segment_is_checked(segment, left));
    segment_set_checked(segment, left, block);
    assert_true(segment_is_plain(segment, seal));
    wal_address_unpin(log, segment);
    close_log(log);
    disk_free(&disk);
}

static void blocks_of_the_seal_do_not_stand_for_those_in_front_of_it(void **state)
{
    (void)state;
    leave_one_block(false);
    leave_one_block(true);
}

static void a_plain_record_ends_where_all_was_checked(void **state)
{
    (void)state;
    _Alignas(64) uint8_t bytes[256] = {0};
    struct wal_segment segment = {.base = bytes};
    struct format_record *at = (struct format_record *)(bytes + 64);
    struct weir_record record;
    atomic_store(&segment.checked_end, 128);
    le16_store(&at->flags, FORMAT_RECORD_NUMBERED);
    le16_store(&at->type, TYPE);
    for (uint32_t size = 0; size < 192; size++) {
        bool fits = size >= FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES && size <= 64;
        le32_store(&at->size, size);
        assert_int_equal(wal_address_read_plain(&segment, bytes, 64, TYPE, 0, &record), fits);
    }
}

static void what_lies_where_no_record_can_is_none_whatever_it_looks_like(void **state)
{
    (void)state;
    enum { BYTES = 256 };
    _Alignas(64) uint8_t bytes[BYTES] = {0};
    struct wal_segment segment = {.base = bytes};
    struct weir_record record;
    atomic_store(&segment.checked_end, BYTES);
    for (uint64_t offset = 64; offset < 80; offset += 4) {
        struct format_record *at = (struct format_record *)(bytes + offset);
        bool aligned = offset % FORMAT_RECORD_ALIGN == 0;
        memset(bytes, 0, sizeof bytes);
        le32_store(&at->size, FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES);
        le16_store(&at->type, TYPE);
        assert_int_equal(wal_address_parse(&segment, BYTES, offset, &record), WEIR_E_DAMAGED);
        assert_false(aligned && wal_address_read_plain(&segment, bytes, offset, TYPE, 0, &record));
        le16_store(&at->flags, FORMAT_RECORD_NUMBERED);
        assert_int_equal(wal_address_parse(&segment, BYTES, offset, &record),
                         aligned ? 0 : WEIR_E_DAMAGED);
        if (aligned) {
            assert_true(wal_address_read_plain(&segment, bytes, offset, TYPE, 0, &record));
            le16_store(&at->type, TYPE | 3); /* has all bits of the type, and more */
            assert_false(wal_address_read_plain(&segment, bytes, offset, TYPE | 1, 0, &record));
        }
    }
}

static void damage_in_a_group_costs_no_whole_record_in_it(void **state)
{
    (void)state;
    static struct many many;
    struct test_disk disk = disk_new();
    struct weir_log *log = write_groups(&disk, &many);
    size_t damaged = (size_t)3 * GROUP_RECORDS + 7;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(1, name);
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(disk.keeper, name, false, &size);
    bytes[offset_of(log, &many, damaged) + 60] ^= 0x10;
    struct wal_segment *segment;
    assert_int_equal(wal_address_pin(log, 1, &segment, NULL), 0);
    size_t end = count_first(log, &many);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < end; i++) {
            int expected = i == damaged ? WEIR_E_DAMAGED : 0;
            assert_int_equal(read_one(log, segment, &many, i), expected);
        }
    }
    assert_true(segment_is_checked(segment, offset_of(log, &many, (size_t)2 * GROUP_RECORDS)));
    assert_false(segment_is_checked(segment, offset_of(log, &many, damaged)));
    assert_false(segment_is_plain(segment, 1));
    wal_address_unpin(log, segment);
    close_log(log);
    disk_free(&disk);
}

static void a_pinned_segment_keeps_the_log_open_and_outlives_truncation(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    char first[] = "?ne";
    struct stamped stamped;
    append_numbered(log, first, "two", &stamped);
    struct wal_segment *segment;
    struct weir_record record;
    assert_int_equal(wal_address_pin(log, 1, &segment, NULL), 0);
    static char big[60000];
    weir_lsn lsn = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(try_append(log, big, sizeof big, WEIR_EACH, &lsn), 0);
    }
    assert_int_equal(weir_truncate_before(log, lsn, NULL), 0);
    assert_int_equal(weir_log_close(log), -EBUSY);
    assert_int_equal(wal_address_read(log, segment, stamped.addresses[1], &record), 0);
    assert_memory_equal(record.data, "two", 3);
    wal_address_unpin(log, segment);
    close_log(log);
    disk_free(&disk);
}

static void the_number_counts_for_the_limit_of_a_record(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    uint64_t most = wal_address_record_bytes(log);
    static char bytes[(size_t)1 << 20];
    assert_true(most + 1 < sizeof bytes);
    struct weir_part part = {bytes, most + 1};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = TYPE};
    struct wal_address_batch batch = {.entries = &entry, .count = 1};
    weir_lsn lsn = 0;
    assert_int_equal(wal_address_append(log, &batch, WEIR_EACH, &lsn), WEIR_E_TOO_BIG);
    part.size = most;
    assert_int_equal(wal_address_append(log, &batch, WEIR_EACH, &lsn), 0);
    assert_int_equal(lsn, 1);
    close_log(log);
    disk_free(&disk);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_at_the_address_that_it_was_stamped_with),
        cmocka_unit_test(a_cursor_lends_numbered_records_without_their_number),
        cmocka_unit_test(what_is_no_record_is_not_lent),
        cmocka_unit_test(a_segment_that_is_read_often_is_checked_by_groups),
        cmocka_unit_test(a_segment_whose_groups_were_all_checked_is_checked_to_its_seal),
        cmocka_unit_test(blocks_of_the_seal_do_not_stand_for_those_in_front_of_it),
        cmocka_unit_test(a_plain_record_ends_where_all_was_checked),
        cmocka_unit_test(what_lies_where_no_record_can_is_none_whatever_it_looks_like),
        cmocka_unit_test(damage_in_a_group_costs_no_whole_record_in_it),
        cmocka_unit_test(a_pinned_segment_keeps_the_log_open_and_outlives_truncation),
        cmocka_unit_test(the_number_counts_for_the_limit_of_a_record),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
