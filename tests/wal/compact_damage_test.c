/*
 * Damage to compacted logs: every field of the header and of CONTROL, every byte of the groups,
 * files that are missing, and files that are there again. Refused, or right; found by
 * verification; salvaged.
 */
#include "compact_support.h"

#include "wal/control.h"
#include "wal/log.h"
#include "wal/segment_header.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SIZE 1500u

struct fixture {
    struct test_disk disk;
    struct story *story;
    struct weir_medium *before;   /* the disk in front of the compaction */
    char name[FORMAT_NAME_BYTES]; /* of the compacted segment */
    weir_lsn kept;
};

static void fill(struct story *story, struct weir_log *log)
{
    story_fill(story, log, 10, SIZE, 4);
    for (int i = 0; i < 8; i++) {
        story_application(story, log, 300);
    }
    story_fill(story, log, 10, SIZE, 3);
}

/* Between two records that are kept one or some are dropped. */
static void fill_with_holes(struct story *story, struct weir_log *log)
{
    story->gathers = true;
    for (uint32_t key = 1; key < STORY_KEYS; key++) {
        for (uint32_t i = 0; i < key % 4; i++) {
            story_put(story, log, 0, 50);
        }
        story_put(story, log, key, 50);
    }
    story->gathers = false;
    story_fill(story, log, 1, SIZE, 4);
}

static struct fixture new_fixture_of(void (*records)(struct story *story, struct weir_log *log))
{
    struct fixture fixture = {.disk = disk_new(), .story = story_new()};
    struct weir_log *log = open_log(&fixture.disk, NULL);
    records(fixture.story, log);
    assert_int_equal(sim_memory_copy(fixture.disk.keeper, &fixture.before), 0);
    story_compact(fixture.story, log, fixture.story->last);
    fixture.kept = story_expect(fixture.story, log);
    close_log(log);
    format_segment_name(FORMAT_COMPACTED_ORDINAL, fixture.name);
    return fixture;
}

static struct fixture new_fixture(void)
{
    return new_fixture_of(fill);
}

static void free_fixture(struct fixture *fixture)
{
    fixture->before->ops->destroy(fixture->before);
    story_free(fixture->story);
    disk_free(&fixture->disk);
}

/* ---- a copy of the disk, to be damaged ---- */

static struct test_disk copy_of(const struct fixture *fixture)
{
    struct test_disk disk = {.options = fixture->disk.options};
    assert_int_equal(sim_memory_copy(fixture->disk.keeper, &disk.keeper), 0);
    disk.options.disk = sim_memory_disk(disk.keeper);
    return disk;
}

static void read_block(struct test_disk *disk, const char *name, uint64_t offset, uint8_t *block)
{
    struct weir_medium *medium = disk->keeper;
    struct weir_file *file;
    size_t got = 0;
    assert_int_equal(medium->ops->open(medium, name, WEIR_FILE_READ, &file), 0);
    assert_int_equal(medium->ops->read(file, offset, block, FORMAT_BLOCK, &got), 0);
    medium->ops->close(file);
}

static void write_block(struct test_disk *disk, const char *name, uint64_t offset,
                        const uint8_t *block)
{
    struct weir_medium *medium = disk->keeper;
    struct weir_file *file;
    assert_int_equal(medium->ops->open(medium, name, WEIR_FILE_WRITE, &file), 0);
    assert_int_equal(medium->ops->write(file, offset, block, FORMAT_BLOCK), 0);
    assert_int_equal(medium->ops->sync(file), 0);
    medium->ops->close(file);
}

static void flip(struct test_disk *disk, const char *name, uint64_t offset)
{
    uint8_t block[FORMAT_BLOCK];
    uint64_t start = offset - offset % FORMAT_BLOCK;
    read_block(disk, name, start, block);
    block[offset - start] ^= 0x10;
    write_block(disk, name, start, block);
}

static int open_all(struct test_disk *disk, struct weir_log **ret_log, struct weir_error *why)
{
    struct weir_log_options options = small_options();
    options.verify = WEIR_VERIFY_ALL;
    options.lock_wait_ns = WEIR_NO_WAIT;
    return try_open_log(disk, &options, ret_log, why);
}

static struct weir_verify_report verify(struct test_disk *disk)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct sim_memory_options shape = disk->options;
    shape.read_only = true;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&shape, &options.custom_medium), 0);
    assert_int_equal(weir_verify("memory", &options, NULL, NULL, &report, NULL), 0);
    return report;
}

static void expect_refused(struct test_disk *disk, const char *what)
{
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_verify_report report = verify(disk);
    int rc = open_all(disk, &log, &why);
    if (rc >= 0 || report.ok) {
        print_error("%s: open %d, verify ok %d\n", what, rc, report.ok);
    }
    assert_true(rc < 0);
    assert_false(report.ok);
}

/* ---- the header ---- */

static void wl_09_a_bit_of_a_compacted_header_does_not_go_unnoticed(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    for (uint64_t offset = 0; offset < sizeof(struct format_segment) + 8; offset++) {
        struct test_disk disk = copy_of(&fixture);
        flip(&disk, fixture.name, offset);
        struct weir_verify_report report = verify(&disk);
        assert_true(report.ok); /* the other copy is enough */
        assert_int_equal(report.notes, 1);
        flip(&disk, fixture.name, FORMAT_BLOCK + offset);
        expect_refused(&disk, "both headers");
        disk_free(&disk);
    }
    free_fixture(&fixture);
}

static void change_header(struct segment_header *header, unsigned which)
{
    switch (which) {
    case 0:
        header->base_lsn++;
        break;
    case 1:
        header->base_time_ns = header->end_time_ns; /* groups go back behind it */
        break;
    case 2:
        header->first_ordinal++;
        break;
    case 3:
        header->last_ordinal++;
        break;
    case 4:
        header->last_ordinal--;
        break;
    case 5:
        header->last_lsn--;
        break;
    case 6:
        header->end_time_ns++;
        break;
    case 7:
        header->end_epoch++;
        break;
    case 8:
        header->end_seed ^= 1;
        break;
    case 9:
        header->end_chain ^= 1;
        break;
    case 10:
        header->end_seal_offset += FORMAT_BLOCK;
        break;
    case 11:
        header->seal_offset += FORMAT_COMPACTED_BLOCK;
        break;
    case 12:
        header->seal_offset -= FORMAT_COMPACTED_BLOCK;
        break;
    case 13:
        header->horizon += 1000;
        break;
    case 14:
        header->chain ^= 1;
        break;
    default:
        header->last_lsn++;
        break;
    }
}

/* Under a right checksum. */
static void wl_09_a_wrong_field_of_a_compacted_header_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    for (unsigned which = 0; which < 16; which++) {
        struct test_disk disk = copy_of(&fixture);
        uint8_t blocks[FORMAT_SEGMENT_HEADER_BYTES];
        struct segment_header header;
        char what[32];
        read_block(&disk, fixture.name, 0, blocks);
        read_block(&disk, fixture.name, FORMAT_BLOCK, blocks + FORMAT_BLOCK);
        assert_int_equal(segment_header_decode(blocks, NULL, FORMAT_COMPACTED_ORDINAL, &header), 0);
        change_header(&header, which);
        header.durable_lsn = header.base_lsn - 1;
        segment_header_encode(blocks, &header, group_uuid_seed(header.uuid));
        write_block(&disk, fixture.name, 0, blocks);
        write_block(&disk, fixture.name, FORMAT_BLOCK, blocks + FORMAT_BLOCK);
        (void)snprintf(what, sizeof what, "field %u", which);
        expect_refused(&disk, what);
        disk_free(&disk);
    }
    free_fixture(&fixture);
}

/* ---- CONTROL ---- */

static void change_control(struct control *control, unsigned which)
{
    switch (which) {
    case 0:
        control->compact_next++;
        break;
    case 1:
        control->compact_first++;
        break;
    case 2:
        control->compact_last--;
        break;
    case 3:
        control->horizon = 1;
        break;
    default:
        control->compact_next = 0;
        control->horizon = 0;
        control->compact_first = control->compact_last = 0;
        break;
    }
}

static void wl_09_a_wrong_field_of_control_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    for (unsigned which = 0; which < 5; which++) {
        struct test_disk disk = copy_of(&fixture);
        struct control control;
        char what[32];
        assert_int_equal(control_load(disk.keeper, &control, NULL), 0);
        change_control(&control, which);
        assert_int_equal(control_store(disk.keeper, &control), 0);
        (void)snprintf(what, sizeof what, "CONTROL %u", which);
        struct weir_log *log;
        struct weir_error why = WEIR_ERROR_INIT;
        assert_true(open_all(&disk, &log, &why) < 0);
        assert_false(verify(&disk).ok);
        disk_free(&disk);
    }
    free_fixture(&fixture);
}

/* ---- groups ---- */

/* What is shown is right, what is not is said with its LSNs, and a seek behind that goes on. */
static void expect_damage_is_met(struct fixture *fixture, struct weir_log *log, bool *ret_met)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    struct weir_record record;
    weir_lsn next = 1;
    uint64_t count = 0;
    options.compacted = true;
    assert_int_equal(weir_cursor_open(log, &options, &cursor), 0);
    for (;;) {
        int rc = weir_cursor_next(cursor, &record);
        if (rc == 0) {
            break;
        }
        if (rc == 1) {
            assert_true(record.lsn >= next);
            next = record.lsn + 1;
            count++;
            continue;
        }
        struct weir_error why = WEIR_ERROR_INIT;
        assert_int_equal(rc, WEIR_E_DAMAGED);
        assert_int_equal(weir_cursor_error(cursor, &why), 0);
        assert_true(why.from_lsn >= next && why.to_lsn >= why.from_lsn);
        *ret_met = true;
        next = why.to_lsn + 1;
        assert_int_equal(weir_cursor_seek(cursor, next), 0);
    }
    assert_int_equal(next, fixture->story->last + 1);
    assert_true(*ret_met ? count < fixture->kept : count == fixture->kept);
    weir_cursor_close(cursor);
}

static void wl_10_damage_in_a_compacted_segment_is_found_and_never_served(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct test_disk whole = copy_of(&fixture);
    uint8_t blocks[FORMAT_SEGMENT_HEADER_BYTES];
    struct segment_header header;
    read_block(&whole, fixture.name, 0, blocks);
    assert_int_equal(segment_header_decode(blocks, NULL, FORMAT_COMPACTED_ORDINAL, &header), 0);
    disk_free(&whole);
    for (uint64_t offset = FORMAT_SEGMENT_HEADER_BYTES; offset < header.seal_offset;
         offset += 211) {
        struct test_disk disk = copy_of(&fixture);
        struct weir_log *log;
        struct weir_error why = WEIR_ERROR_INIT;
        bool met = false;
        flip(&disk, fixture.name, offset);
        struct weir_verify_report report = verify(&disk);
        assert_true(report.findings > 0);
        assert_true(open_all(&disk, &log, &why) < 0);
        log = open_log(&disk, NULL); /* does not read that far back */
        expect_damage_is_met(&fixture, log, &met);
        assert_true(met);
        close_log(log);
        disk_free(&disk);
    }
    free_fixture(&fixture);
}

static void a_damaged_directory_costs_nothing(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct test_disk disk = copy_of(&fixture);
    uint8_t blocks[FORMAT_SEGMENT_HEADER_BYTES];
    struct segment_header header;
    read_block(&disk, fixture.name, 0, blocks);
    assert_int_equal(segment_header_decode(blocks, NULL, FORMAT_COMPACTED_ORDINAL, &header), 0);
    flip(&disk, fixture.name, header.seal_offset + FORMAT_GROUP_HEADER_BYTES + 66);
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(open_all(&disk, &log, &why), 0);
    assert_int_equal(story_expect(fixture.story, log), fixture.kept);
    story_expect_addresses(fixture.story, log);
    close_log(log);
    assert_true(verify(&disk).ok);
    disk_free(&disk);
    free_fixture(&fixture);
}

/* ---- files ---- */

static void copy_file(struct weir_medium *from, struct weir_medium *to, const char *name)
{
    static uint8_t bytes[SMALL_SEGMENT];
    struct weir_file *file;
    size_t got = 0;
    assert_int_equal(from->ops->open(from, name, WEIR_FILE_READ, &file), 0);
    assert_int_equal(from->ops->read(file, 0, bytes, sizeof bytes, &got), 0);
    from->ops->close(file);
    assert_int_equal(got, sizeof bytes);
    (void)to->ops->remove(to, name);
    assert_int_equal(to->ops->create(to, name, sizeof bytes, &file), 0);
    assert_int_equal(to->ops->write(file, 0, bytes, sizeof bytes), 0);
    assert_int_equal(to->ops->sync(file), 0);
    to->ops->close(file);
    assert_int_equal(to->ops->sync_directory(to, ""), 0);
}

static void bring_back_run(struct fixture *fixture, struct test_disk *disk)
{
    struct control control;
    assert_int_equal(control_load(disk->keeper, &control, NULL), 0);
    for (uint64_t place = control.compact_first; place <= control.compact_last; place++) {
        char name[FORMAT_NAME_BYTES];
        format_segment_name(place, name);
        copy_file(fixture->before, disk->keeper, name);
    }
}

static void wl_11_files_that_a_compaction_has_replaced_do_not_count_again(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct test_disk disk = copy_of(&fixture);
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    bring_back_run(&fixture, &disk);
    assert_true(verify(&disk).ok);
    assert_int_equal(open_all(&disk, &log, &why), 0);
    assert_int_equal(story_expect(fixture.story, log), fixture.kept);
    close_log(log);
    bring_back_run(&fixture, &disk);
    assert_int_equal(disk.keeper->ops->remove(disk.keeper, fixture.name), 0);
    expect_refused(&disk, "the old run without the compacted segment");
    disk_free(&disk);
    free_fixture(&fixture);
}

static void a_file_that_control_does_not_count_is_not_looked_at(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct test_disk disk = copy_of(&fixture);
    char next[FORMAT_NAME_BYTES];
    format_segment_name(FORMAT_COMPACTED_ORDINAL + 1, next);
    copy_file(disk.keeper, disk.keeper, fixture.name);
    struct weir_file *file;
    struct weir_medium *medium = disk.keeper;
    assert_int_equal(medium->ops->create(medium, next, 2 * FORMAT_BLOCK, &file), 0);
    medium->ops->close(file);
    assert_true(verify(&disk).ok);
    struct weir_log *log = open_log(&disk, NULL);
    assert_int_equal(story_expect(fixture.story, log), fixture.kept);
    close_log(log);
    assert_int_equal(medium->ops->open(medium, next, WEIR_FILE_READ, &file), -ENOENT);
    disk_free(&disk);
    free_fixture(&fixture);
}

static void a_missing_compacted_segment_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct test_disk disk = copy_of(&fixture);
    assert_int_equal(disk.keeper->ops->remove(disk.keeper, fixture.name), 0);
    expect_refused(&disk, "missing");
    disk_free(&disk);
    free_fixture(&fixture);
}

/* ---- salvage ---- */

static struct weir_salvage_report salvage(struct test_disk *from, struct test_disk *to)
{
    struct weir_log_options source = WEIR_LOG_OPTIONS_INIT, target = WEIR_LOG_OPTIONS_INIT;
    struct weir_salvage_report report = WEIR_SALVAGE_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct sim_memory_options shape = from->options;
    shape.read_only = true;
    source.medium = target.medium = WEIR_MEDIUM_CUSTOM;
    *to = disk_new();
    assert_int_equal(sim_memory_open(&shape, &source.custom_medium), 0);
    assert_int_equal(sim_memory_open(&to->options, &target.custom_medium), 0);
    int rc = weir_salvage("old", &source, "new", &target, NULL, &report, &why);
    if (rc < 0) {
        print_error("salvage: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
    return report;
}

static void expect_copy_is_whole(struct fixture *fixture, struct test_disk *copy)
{
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_true(verify(copy).ok);
    int rc = open_all(copy, &log, &why);
    if (rc < 0) {
        print_error("the copy: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(story_expect(fixture->story, log), fixture->kept);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_int_equal(stat.horizon, fixture->story->horizon);
    assert_int_equal(stat.compacted_segments, 1);
    close_log(log);
}

static void a_compacted_log_is_salvaged_without_gaps(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    for (int with_control = 0; with_control < 2; with_control++) {
        struct test_disk disk = copy_of(&fixture), copy;
        if (with_control == 0) {
            assert_int_equal(disk.keeper->ops->remove(disk.keeper, "CONTROL"), 0);
        }
        struct weir_salvage_report report = salvage(&disk, &copy);
        assert_int_equal(report.gaps, 0);
        assert_int_equal(report.records, fixture.kept);
        expect_copy_is_whole(&fixture, &copy);
        disk_free(&copy);
        disk_free(&disk);
    }
    free_fixture(&fixture);
}

static void damage_in_a_compacted_segment_becomes_a_gap(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    for (uint64_t offset = FORMAT_SEGMENT_HEADER_BYTES + 16; offset < 16000; offset += 1777) {
        struct test_disk disk = copy_of(&fixture), copy;
        flip(&disk, fixture.name, offset);
        struct weir_salvage_report report = salvage(&disk, &copy);
        struct weir_verify_report whole = verify(&copy);
        assert_true(whole.ok);
        assert_int_equal(whole.records, report.records);
        assert_int_equal(whole.gap_lsns, report.gap_lsns);
        assert_true(report.gaps == 0 || report.records < fixture.kept);
        struct weir_log *log;
        struct weir_error why = WEIR_ERROR_INIT;
        assert_int_equal(open_all(&copy, &log, &why), 0);
        struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
        struct weir_cursor *cursor;
        struct weir_record record;
        uint64_t gaps = 0, lsns = 0;
        options.compacted = options.with_gaps = true;
        assert_int_equal(weir_cursor_open(log, &options, &cursor), 0);
        int rc;
        while ((rc = weir_cursor_next(cursor, &record)) == 1) {
            bool gap = (record.flags & WEIR_RECORD_GAP) != 0;
            gaps += gap ? 1 : 0;
            lsns += gap ? record.user : 0;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(gaps, report.gaps);
        assert_int_equal(lsns, report.gap_lsns);
        weir_cursor_close(cursor);
        story_put(fixture.story, log, 1, 10); /* it goes on */
        fixture.story->last--;
        close_log(log);
        disk_free(&copy);
        disk_free(&disk);
    }
    free_fixture(&fixture);
}

/* What a damaged record says of its LSN may be what is damaged: no record beside it is given up for
 * that, and the gap lies between its neighbours. */
static void expect_one_gap(struct test_disk *copy, weir_lsn before, weir_lsn behind)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    struct weir_cursor *cursor;
    struct weir_record record;
    weir_lsn last = 0, in_front = 0;
    bool follows = false;
    options.compacted = options.with_gaps = true;
    assert_int_equal(open_all(copy, &log, &why), 0);
    assert_int_equal(weir_cursor_open(log, &options, &cursor), 0);
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        bool gap = (record.flags & WEIR_RECORD_GAP) != 0;
        in_front = gap ? last : in_front;
        assert_true(!follows || record.lsn == behind);
        follows = gap;
        last = record.lsn;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(in_front, before);
    weir_cursor_close(cursor);
    close_log(log);
}

static void lose_number(const struct fixture *fixture, uint64_t offset, weir_lsn before,
                        weir_lsn behind)
{
    for (unsigned bit = 0; bit < 12; bit++) {
        struct test_disk disk = copy_of(fixture), copy;
        uint64_t size;
        uint8_t *bytes = sim_memory_bytes(disk.keeper, fixture->name, false, &size);
        bytes[offset + FORMAT_RECORD_HEADER_BYTES + bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct weir_salvage_report report = salvage(&disk, &copy);
        if (report.records != fixture->kept - 1 || report.gaps != 1 || report.gap_lsns != 1) {
            fail_msg("bit %u of the LSN between %lu and %lu: %lu records instead of %lu, %lu gaps",
                     bit, (unsigned long)before, (unsigned long)behind,
                     (unsigned long)report.records, (unsigned long)fixture->kept - 1,
                     (unsigned long)report.gaps);
        }
        expect_one_gap(&copy, before, behind);
        disk_free(&copy);
        disk_free(&disk);
    }
}

static void a_damaged_lsn_in_a_compacted_segment_costs_its_record_alone(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture_of(fill_with_holes);
    uint64_t size, numbered = 0;
    const uint8_t *bytes = sim_memory_bytes(fixture.disk.keeper, fixture.name, false, &size);
    struct group_header header;
    weir_lsn before = 0;
    uint64_t offset = FORMAT_SEGMENT_HEADER_BYTES;
    group_load(bytes + offset, &header);
    while (header.kind == FORMAT_GROUP_DATA) {
        uint64_t at = offset + FORMAT_GROUP_HEADER_BYTES;
        for (uint32_t i = 0; i < header.record_count; i++) {
            const struct format_record *record = (const struct format_record *)(bytes + at);
            uint64_t next = at + format_align(le32_load(&record->size), FORMAT_RECORD_ALIGN);
            weir_lsn lsn = group_record_lsn(&header, i, record);
            if (group_is_numbered(&header) && i > 0 && i + 1 < header.record_count) {
                lose_number(&fixture, at, before,
                            format_record_number((const struct format_record *)(bytes + next)));
                numbered++;
            }
            before = lsn;
            at = next;
        }
        offset += format_align(header.size_bytes, FORMAT_COMPACTED_BLOCK);
        group_load(bytes + offset, &header);
    }
    assert_true(numbered > 4);
    free_fixture(&fixture);
}

/* Whoever accepts gaps accepts so many LSNs: with each record that is lost later they are one more,
 * also where the damage is to a gap record, which alone says how many LSNs it stands for. */
static void expect_no_gap_to_shrink(struct test_disk *disk, const struct weir_verify_report *whole)
{
    char name[FORMAT_NAME_BYTES];
    uint8_t blocks[FORMAT_SEGMENT_HEADER_BYTES];
    struct segment_header header;
    unsigned costly = 0;
    format_segment_name(FORMAT_COMPACTED_ORDINAL, name);
    read_block(disk, name, 0, blocks);
    read_block(disk, name, FORMAT_BLOCK, blocks + FORMAT_BLOCK);
    assert_int_equal(segment_header_decode(blocks, NULL, FORMAT_COMPACTED_ORDINAL, &header), 0);
    for (uint64_t offset = FORMAT_SEGMENT_HEADER_BYTES; offset < header.seal_offset; offset += 5) {
        struct test_disk damaged = {.options = disk->options}, copy;
        assert_int_equal(sim_memory_copy(disk->keeper, &damaged.keeper), 0);
        damaged.options.disk = sim_memory_disk(damaged.keeper);
        flip(&damaged, name, offset);
        (void)salvage(&damaged, &copy);
        struct weir_verify_report left = verify(&copy);
        uint64_t lost = whole->records - left.records;
        if (!left.ok || left.gap_lsns < whole->gap_lsns + lost) {
            fail_msg("offset %lu: %lu records are lost, and %lu LSNs are in gaps instead of %lu",
                     (unsigned long)offset, (unsigned long)lost, (unsigned long)left.gap_lsns,
                     (unsigned long)whole->gap_lsns);
        }
        costly += lost > 0;
        disk_free(&copy);
        disk_free(&damaged);
    }
    assert_true(costly > 10);
}

/* Dense gaps become one record each; what lies in front and behind is dropped or kept. */
static void gaps_of_a_salvaged_log_stay_when_it_is_compacted(void **state)
{
    (void)state;
    struct story *story = story_new();
    struct test_disk disk = disk_new(), copy;
    struct weir_log *log = open_log(&disk, NULL);
    for (int i = 0; i < 4; i++) {
        story_fill(story, log, 10, SIZE, 1);
        story_application(story, log, 300);
    }
    close_log(log);
    for (uint64_t block = 4; block < 9; block++) {
        flip(&disk, "segment-0000000000000001", block * FORMAT_BLOCK + 20);
    }
    struct weir_salvage_report report = salvage(&disk, &copy);
    assert_true(report.gap_lsns > 3);
    log = open_log(&copy, NULL);
    story_fill(story, log, 10, SIZE, 4);
    weir_lsn gap_from = 0, gap_to = 0;
    for (int round = 0; round < 2; round++) {
        struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
        struct weir_error why = WEIR_ERROR_INIT;
        struct weir_cursor *cursor;
        struct weir_record record;
        options.compacted = true;
        int rc = weir_cursor_open(log, &options, &cursor);
        assert_int_equal(rc, 0);
        while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        }
        assert_int_equal(rc, WEIR_E_GAP);
        assert_int_equal(weir_cursor_error(cursor, &why), 0);
        assert_true(round == 0 || (why.from_lsn == gap_from && why.to_lsn == gap_to));
        gap_from = why.from_lsn;
        gap_to = why.to_lsn;
        weir_cursor_close(cursor);
        if (round == 0) {
            for (weir_lsn lsn = 1; lsn <= story->last; lsn++) {
                uint64_t time_ns;
                (void)wal_address_find(log, lsn, &story->records[lsn].address, &time_ns);
            }
            story_compact(story, log, story->last);
        }
    }
    close_log(log);
    struct weir_verify_report whole = verify(&copy);
    assert_true(whole.ok);
    assert_int_equal(whole.gap_lsns, report.gap_lsns);
    expect_no_gap_to_shrink(&copy, &whole);
    disk_free(&copy);
    disk_free(&disk);
    story_free(story);
}

static void without_control_a_run_that_is_still_there_counts(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct test_disk disk = copy_of(&fixture), copy;
    bring_back_run(&fixture, &disk);
    assert_int_equal(disk.keeper->ops->remove(disk.keeper, "CONTROL"), 0);
    struct weir_salvage_report report = salvage(&disk, &copy);
    assert_int_equal(report.gaps, 0);
    assert_int_equal(report.records, fixture.story->last);
    disk_free(&copy);
    disk_free(&disk);
    free_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_09_a_bit_of_a_compacted_header_does_not_go_unnoticed),
        cmocka_unit_test(wl_09_a_wrong_field_of_a_compacted_header_is_refused),
        cmocka_unit_test(wl_09_a_wrong_field_of_control_is_refused),
        cmocka_unit_test(wl_10_damage_in_a_compacted_segment_is_found_and_never_served),
        cmocka_unit_test(a_damaged_directory_costs_nothing),
        cmocka_unit_test(wl_11_files_that_a_compaction_has_replaced_do_not_count_again),
        cmocka_unit_test(a_file_that_control_does_not_count_is_not_looked_at),
        cmocka_unit_test(a_missing_compacted_segment_is_refused),
        cmocka_unit_test(a_compacted_log_is_salvaged_without_gaps),
        cmocka_unit_test(damage_in_a_compacted_segment_becomes_a_gap),
        cmocka_unit_test(a_damaged_lsn_in_a_compacted_segment_costs_its_record_alone),
        cmocka_unit_test(gaps_of_a_salvaged_log_stay_when_it_is_compacted),
        cmocka_unit_test(without_control_a_run_that_is_still_there_counts),
    };
    return cmocka_run_group_tests_name("wal_compact_damage", tests, NULL, NULL);
}
