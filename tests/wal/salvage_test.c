/*
 * weir_salvage(): what it keeps, which gaps it writes, and that it does neither more nor less, for
 * each kind of damage, on logs made by hand.
 */
#include "tests/wal/salvage_support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_BYTES 8192u

static struct memory_of_log was;

/* Segments of groups of three records, then two small groups; all durable by CONTROL. */
static void make_log(struct image *image, uint32_t segments)
{
    image_begin(image, 4096);
    image_new_epoch(image);
    for (uint32_t i = 0; i < segments; i++) {
        image_fill_segment(image);
    }
    image_data(image, 3, 100);
    image->durable = image->chain.next_lsn - 1;
    image_data(image, 2, 100);
    image_close_clean(image);
    remember(image, &was);
}

static weir_lsn first_in_segment(const struct image *image, uint64_t ordinal)
{
    for (uint32_t g = 0; g < image->group_count; g++) {
        if (image->groups[g].address / IMAGE_SEGMENT == ordinal && image->groups[g].records > 0) {
            return image->groups[g].first_lsn;
        }
    }
    return image->chain.next_lsn;
}

static void remove_segment(struct image *image, uint64_t ordinal)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    assert_int_equal(image->medium->ops->remove(image->medium, name), 0);
}

static void lose_control(struct image *image)
{
    assert_int_equal(image->medium->ops->remove(image->medium, "CONTROL"), 0);
}

static void end(struct image *image, struct salvaged *salvaged)
{
    salvaged_free(salvaged);
    image_end(image);
}

/* ---- nothing is missing ---- */

static void a_whole_log_is_copied_whole(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 3);
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), was.latest);
    assert_int_equal(salvaged.report.gap_lsns, 0);
    assert_int_equal(salvaged.note_count, 0);
    assert_memory_not_equal(salvaged.report.uuid, image.control.uuid, 16);
    end(&image, &salvaged);
}

static void an_empty_log_is_copied_empty_and_goes_on_counting(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 1);
    image.control.first_lsn = image.chain.next_lsn; /* truncated to nothing */
    image_store_control(&image);
    salvage(&image, &salvaged);
    assert_int_equal(salvaged.rc, 0);
    assert_int_equal(salvaged.report.kept_to, 0);
    struct weir_log *log = open_salvaged(&salvaged);
    struct weir_entry entry = {0};
    weir_lsn lsn;
    assert_int_equal(weir_append(log, &entry, WEIR_EACH, &lsn), 0);
    assert_int_equal(lsn, was.latest + 1);
    assert_int_equal(weir_log_close(log), 0);
    end(&image, &salvaged);
}

static void wl_06_what_was_truncated_stays_away(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 2);
    image.control.first_lsn = 11; /* in the middle of a group */
    image_store_control(&image);
    image_at(&image, group_with(&image, 5).address)[9] ^= 1;
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), was.latest - 10);
    assert_int_equal(salvaged.report.kept_from, 11);
    assert_int_equal(salvaged.report.gap_lsns, 0);
    end(&image, &salvaged);
}

static void a_torn_tail_is_no_gap(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 3, 100);
    struct image_group torn = *image_data(&image, 2, 3000);
    remember(&image, &was);
    image_at(&image, torn.address)[5000] ^= 1;
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), 3);
    assert_int_equal(salvaged.report.gap_lsns, 0);
    assert_int_equal(salvaged.report.cut_bytes, torn.bytes);
    end(&image, &salvaged);
}

/* ---- damage of each kind ---- */

static void a_damaged_payload_costs_its_record_and_keeps_its_neighbours(void **state)
{
    (void)state;
    for (weir_lsn lsn = 4; lsn <= 6; lsn++) {
        struct image image;
        struct salvaged salvaged = {0};
        make_log(&image, 3);
        struct image_group group = group_with(&image, lsn);
        uint64_t record = FORMAT_GROUP_HEADER_BYTES + (lsn - group.first_lsn) * (4000 + 16);
        image_at(&image, group.address)[record + 16 + 7] ^= 1;
        salvage(&image, &salvaged);
        assert_int_equal(expect_consistent(&salvaged, &was), was.latest - 1);
        const struct weir_finding *gap = expect_gap(&salvaged, "record-crc", lsn, lsn);
        assert_int_equal(gap->offset, group.address % IMAGE_SEGMENT + record);
        end(&image, &salvaged);
    }
}

static void damaged_neighbours_are_one_gap(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 2);
    struct image_group group = group_with(&image, 7); /* LSNs 7 to 9 */
    for (uint64_t i = 1; i < 3; i++) {
        image_at(&image, group.address)[FORMAT_GROUP_HEADER_BYTES + i * 4016 + 16] ^= 1;
    }
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), was.latest - 2);
    const struct weir_finding *gap = expect_gap(&salvaged, "record-crc", 8, 9);
    assert_int_equal(gap->offset, group.address % IMAGE_SEGMENT + FORMAT_GROUP_HEADER_BYTES + 4016);
    assert_int_equal(salvaged.note_count, 0);
    end(&image, &salvaged);
}

static void damaged_headers_cost_their_groups(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 3);
    struct image_group body = group_with(&image, 5), one = group_with(&image, 20);
    struct image_group two = group_with(&image, one.first_lsn + one.records);
    image_at(&image, body.address)[FORMAT_GROUP_HEADER_BYTES + 12] ^= 1;
    image_at(&image, one.address)[9] ^= 1;
    memset(image_at(&image, two.address), 0, 4096);
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), was.latest - 9);
    expect_gap(&salvaged, "body-crc", body.first_lsn, body.first_lsn + 2);
    expect_gap(&salvaged, "group-crc", one.first_lsn, two.first_lsn + 2);
    assert_int_equal(salvaged.gap_count, 2);
    end(&image, &salvaged);
}

/* Behind a group, and behind the payload of one of its records: 100 bytes and their header take
 * 116, a record 120. */
static void damaged_padding_costs_no_record_and_verify_says_so(void **state)
{
    (void)state;
    for (int behind_payload = 0; behind_payload <= 1; behind_payload++) {
        struct image image;
        struct salvaged salvaged = {0};
        make_log(&image, 1);
        weir_lsn lsn = behind_payload == 1 ? was.latest - 3 : 5;
        struct image_group group = group_with(&image, lsn);
        uint64_t index = lsn - group.first_lsn;
        uint64_t padding = FORMAT_GROUP_HEADER_BYTES + index * 120 + 16 + 100;
        image_at(&image, group.address)[behind_payload == 1 ? padding : group.bytes - 1] ^= 1;
        salvage(&image, &salvaged);
        assert_int_equal(expect_consistent(&salvaged, &was), was.latest);
        assert_int_equal(salvaged.note_count, 1);
        struct weir_verify_report report = verify_image(&image);
        assert_false(report.ok); /* a cursor refuses the group */
        assert_int_equal(report.findings - report.notes, 1);
        assert_int_equal(report.records, salvaged.report.records);
        assert_int_equal(report.payload_bytes, salvaged.report.payload_bytes);
        assert_int_equal(report.latest, was.latest);
        end(&image, &salvaged);
    }
}

static void a_missing_segment_is_one_gap(void **state)
{
    (void)state;
    for (uint64_t ordinal = 1; ordinal <= 3; ordinal++) {
        struct image image;
        struct salvaged salvaged = {0};
        make_log(&image, 3);
        weir_lsn from = first_in_segment(&image, ordinal);
        weir_lsn to = first_in_segment(&image, ordinal + 1) - 1;
        remove_segment(&image, ordinal);
        salvage(&image, &salvaged);
        assert_int_equal(expect_consistent(&salvaged, &was), was.latest - (to - from + 1));
        expect_gap(&salvaged, "segment-missing", from, to);
        assert_int_equal(salvaged.gap_count, 1);
        end(&image, &salvaged);
    }
}

static void wl_01_a_lost_end_that_control_witnesses_is_never_given_again(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 3);
    remove_segment(&image, 4);
    salvage(&image, &salvaged);
    expect_consistent(&salvaged, &was); /* the next append gets latest + 1 */
    assert_int_equal(salvaged.report.kept_to, was.latest);
    expect_gap(&salvaged, "segment-missing", was.latest - 4, was.latest);
    assert_false(salvaged.report.open_end);
    end(&image, &salvaged);
}

static void a_lost_end_of_unknown_length_is_a_gap_that_says_so(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 3);
    weir_lsn from = first_in_segment(&image, 4);
    remove_segment(&image, 4);
    lose_control(&image);
    salvage(&image, &salvaged);
    expect_consistent(&salvaged, &was);
    expect_gap(&salvaged, "segment-missing", from, from);
    assert_true(salvaged.report.open_end);
    end(&image, &salvaged);
}

static void a_segment_cut_short_costs_what_is_cut_off(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 3);
    struct image_group cut = group_with(&image, 20);
    weir_lsn to = first_in_segment(&image, 2) - 1;
    image_cut_file(&image, 1, cut.address % IMAGE_SEGMENT + 4096);
    salvage(&image, &salvaged);
    expect_consistent(&salvaged, &was);
    expect_gap(&salvaged, "cut-short", cut.first_lsn, to);
    assert_int_equal(salvaged.gap_count, 1);
    end(&image, &salvaged);
}

static void lost_headers_and_a_lost_control_cost_nothing(void **state)
{
    (void)state;
    for (int control = 0; control < 2; control++) {
        struct image image;
        struct salvaged salvaged = {0};
        make_log(&image, 3);
        image_file(&image, 3)[60] ^= 1;
        image_file(&image, 3)[4096 + 61] ^= 1;
        image_file(&image, 2)[61] ^= 1;
        if (control == 1) {
            lose_control(&image);
        }
        salvage(&image, &salvaged);
        assert_int_equal(expect_consistent(&salvaged, &was), was.latest);
        assert_true(salvaged.note_count > 0);
        end(&image, &salvaged);
    }
}

static void a_rolled_back_control_costs_nothing(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 1);
    uint64_t size;
    uint8_t old[FORMAT_CONTROL_BYTES];
    memcpy(old, sim_memory_bytes(image.medium, "CONTROL", false, &size), sizeof old);
    image_recover(&image);
    image_data(&image, 2, 100);
    remember(&image, &was);
    memcpy(sim_memory_bytes(image.medium, "CONTROL", false, &size), old, sizeof old);
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), was.latest);
    end(&image, &salvaged);
}

static void a_damaged_epoch_group_costs_nothing(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 3, 100);
    image_recover(&image);
    struct image_group epoch = image.groups[image.group_count - 1];
    image_data(&image, 3, 100);
    image.durable = 6;
    image_data(&image, 3, 100);
    remember(&image, &was);
    image_at(&image, epoch.address)[70] ^= 1;
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), 9);
    end(&image, &salvaged);
}

static int fail_one_block(void *context, const char *call, const char *name, uint64_t offset,
                          size_t size)
{
    uint64_t block = *(const uint64_t *)context;
    bool hit = strcmp(call, "read") == 0 && strcmp(name, "segment-0000000000000001") == 0 &&
               offset <= block && block < offset + size;
    return hit ? -EIO : 0;
}

static void a_block_that_cannot_be_read_costs_its_group(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 2);
    struct image_group group = group_with(&image, 20);
    for (uint64_t at = 0; at < group.bytes; at += 4096) {
        uint64_t block = group.address % IMAGE_SEGMENT + at;
        salvaged.source_faults = (struct sim_memory_faults){fail_one_block, &block};
        salvage(&image, &salvaged);
        assert_int_equal(expect_consistent(&salvaged, &was), was.latest - group.records);
        expect_gap(&salvaged, "medium-error", group.first_lsn, group.first_lsn + group.records - 1);
        salvaged_free(&salvaged);
    }
    image_end(&image);
}

/* Its groups are whole, in their place, and follow each other: only seed and uuid are not ours. */
static void o3_no_record_of_another_log_is_copied(void **state)
{
    (void)state;
    static uint8_t foreign[IMAGE_SEGMENT];
    struct image image, other;
    struct salvaged salvaged = {0};
    image_begin(&other, 4096);
    memset(other.control.uuid, 0x17, sizeof other.control.uuid);
    other.control.seed = 0xf00d;
    other.uuid_seed = group_uuid_seed(other.control.uuid);
    image_new_epoch(&other);
    while (other.offset < IMAGE_SEGMENT - 24576) {
        image_data(&other, 4, 2000); /* more records: its LSNs run ahead of ours */
    }
    image_seal(&other);
    image_fill_segment(&other);
    memcpy(foreign, image_file(&other, 2), IMAGE_SEGMENT);
    image_end(&other);

    make_log(&image, 3);
    weir_lsn from = first_in_segment(&image, 2), to = first_in_segment(&image, 3) - 1;
    memcpy(image_file(&image, 2), foreign, IMAGE_SEGMENT);
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), was.latest - (to - from + 1));
    assert_int_equal(salvaged.gap_count, 1);
    assert_int_equal(salvaged.gaps[0].from_lsn, from);
    assert_int_equal(salvaged.gaps[0].to_lsn, to);
    end(&image, &salvaged);
}

/* ---- a gap is seen ---- */

static struct weir_log *log_with_gap(struct image *image, struct salvaged *salvaged, weir_lsn *from,
                                     weir_lsn *to)
{
    make_log(image, 3);
    *from = first_in_segment(image, 2);
    *to = first_in_segment(image, 3) - 1;
    remove_segment(image, 2);
    salvage(image, salvaged);
    assert_int_equal(salvaged->rc, 0);
    return open_salvaged(salvaged);
}

static void wl_02_no_cursor_passes_a_gap_silently(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    weir_lsn from, to, seen = 0;
    struct weir_log *log = log_with_gap(&image, &salvaged, &from, &to);
    struct weir_cursor *cursor;
    struct weir_record records[7];
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    int count;
    while ((count = weir_cursor_next_batch(cursor, records, 7)) > 0) {
        seen = records[count - 1].lsn;
    }
    assert_int_equal(count, WEIR_E_GAP);
    assert_int_equal(seen, from - 1);
    assert_int_equal(weir_cursor_next(cursor, records), WEIR_E_GAP); /* as often as it is asked */
    assert_int_equal(weir_cursor_wait(cursor, 0), 1); /* next() has something to say */
    assert_int_equal(weir_cursor_position(cursor), from);
    assert_int_equal(weir_cursor_error(cursor, &why), 0);
    assert_int_equal(why.code, WEIR_E_GAP);
    assert_int_equal(why.from_lsn, from);
    assert_int_equal(why.to_lsn, to);
    assert_int_equal(weir_cursor_seek(cursor, from + 5), 0); /* into it: the rest of it */
    assert_int_equal(weir_cursor_next(cursor, records), WEIR_E_GAP);
    assert_int_equal(weir_cursor_error(cursor, &why), 0);
    assert_int_equal(why.from_lsn, from + 5);
    assert_int_equal(why.to_lsn, to);
    assert_int_equal(weir_cursor_seek(cursor, to + 1), 0);
    assert_int_equal(weir_cursor_next(cursor, records), 1);
    assert_int_equal(records[0].lsn, to + 1);
    weir_cursor_close(cursor);
    assert_int_equal(weir_log_close(log), 0);
    end(&image, &salvaged);
}

static void gaps_survive_another_salvage(void **state)
{
    (void)state;
    struct image image;
    struct salvaged first = {0}, second = {0};
    weir_lsn from, to;
    struct weir_log *log = log_with_gap(&image, &first, &from, &to);
    assert_int_equal(weir_log_close(log), 0);
    image_end(&image);
    image.medium = first.keeper;
    salvage(&image, &second);
    assert_int_equal(second.rc, 0);
    assert_int_equal(second.report.records, first.report.records);
    assert_int_equal(second.report.gap_lsns, 0); /* nothing is lost that was not lost before */
    assert_int_equal(second.note_count, 1);
    log = open_salvaged(&second);
    struct weir_cursor_options at = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    struct weir_record record;
    at.from = WEIR_FROM_LSN;
    at.lsn = from;
    at.with_gaps = true;
    assert_int_equal(weir_cursor_open(log, &at, &cursor), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_string_equal(weir_gap_code(&record), "segment-missing");
    assert_int_equal(record.lsn + record.user - 1, to);
    weir_cursor_close(cursor);
    assert_int_equal(weir_log_close(log), 0);
    salvaged_free(&second);
    salvaged_free(&first);
}

/* The first records of a gap say how far it goes: LSNs up to there must not be given again, or a
 * reader that passes the gap passes them, too. */
static void wl_01_a_gap_whose_end_is_lost_keeps_its_length(void **state)
{
    (void)state;
    struct image image;
    struct salvaged first = {0}, second = {0};
    make_log(&image, 1);
    weir_lsn to = was.latest + 40000; /* in gap records, more than a segment */
    image.control.witness_lsn = to;
    image_store_control(&image);
    salvage(&image, &first);
    assert_int_equal(first.report.kept_to, to);
    image_end(&image);

    image.medium = first.keeper;
    uint64_t last = 1;
    char name[FORMAT_NAME_BYTES];
    for (format_segment_name(last + 1, name);
         sim_memory_bytes(image.medium, name, false, &(uint64_t){0}) != NULL;
         format_segment_name(last + 1, name)) {
        last++;
    }
    assert_in_range(last, 3, 9);
    remove_segment(&image, last);
    lose_control(&image);
    salvage(&image, &second);
    assert_int_equal(second.rc, 0);
    assert_in_range(second.report.kept_to, to, to + 1);
    struct weir_log *log = open_salvaged(&second);
    struct weir_part part = {"new", 3};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    weir_lsn lsn;
    assert_int_equal(weir_append(log, &entry, WEIR_EACH, &lsn), 0);
    assert_true(lsn > to);
    assert_int_equal(weir_log_close(log), 0);
    salvaged_free(&second);
    salvaged_free(&first);
}

/* ---- refusals ---- */

static void a_destination_that_holds_something_is_refused(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    struct weir_file *file;
    make_log(&image, 1);
    assert_int_equal(sim_memory_open(&(struct sim_memory_options){0}, &salvaged.keeper), 0);
    struct weir_medium *target = salvaged.keeper;
    assert_int_equal(target->ops->create(target, "notes.txt", 0, &file), 0);
    target->ops->close(file);
    uint32_t before = disk_digest(target);
    salvage(&image, &salvaged);
    assert_int_equal(salvaged.rc, -ENOTEMPTY);
    assert_non_null(strstr(salvaged.why.text, "notes.txt"));
    assert_int_equal(disk_digest(target), before);
    end(&image, &salvaged);
}

static void wl_14_a_live_writer_is_named(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    struct weir_file *lock;
    make_log(&image, 1);
    struct weir_medium *medium = image.medium;
    assert_int_equal(medium->ops->create(medium, "LOCK", 4096, &lock), 0);
    static char holder[4096] = "process 71 on somewhere";
    assert_int_equal(medium->ops->write(lock, 0, holder, sizeof holder), 0);
    assert_int_equal(medium->ops->lock(lock, WEIR_LOCK_EXCLUSIVE), 0);
    salvage(&image, &salvaged);
    assert_int_equal(salvaged.rc, WEIR_E_LOCKED);
    assert_non_null(strstr(salvaged.why.text, "process 71"));
    assert_int_equal(disk_files(salvaged.keeper), 0);
    medium->ops->close(lock);
    end(&image, &salvaged);
}

static void what_is_no_log_is_refused(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 1);
    lose_control(&image);
    for (uint64_t ordinal = 1; ordinal <= 2; ordinal++) {
        memset(image_file(&image, ordinal), 0, IMAGE_SEGMENT);
    }
    salvage(&image, &salvaged);
    assert_true(salvaged.rc == WEIR_E_NOT_A_LOG || salvaged.rc == WEIR_E_CONTROL);
    assert_int_equal(disk_files(salvaged.keeper), 0);
    end(&image, &salvaged);
}

static int stop_with(void *context, const struct weir_finding *finding)
{
    (void)finding;
    return *(const int *)context;
}

static void a_watcher_that_ends_it_leaves_nothing(void **state)
{
    (void)state;
    const int results[] = {-EINTR, 7};
    for (size_t i = 0; i < 2; i++) {
        struct image image;
        struct salvaged salvaged = {0};
        make_log(&image, 2);
        image_at(&image, group_with(&image, 20).address)[9] ^= 1;
        int result = results[i];
        salvaged.watch = (struct weir_salvage_watch){.context = &result, .finding = stop_with};
        salvage(&image, &salvaged);
        assert_int_equal(salvaged.rc, result);
        assert_int_equal(disk_files(salvaged.keeper), 0);
        end(&image, &salvaged);
    }
}

static void what_an_interrupted_salvage_leaves_is_no_log(void **state)
{
    (void)state;
    struct image image;
    struct salvaged first = {0}, second = {0};
    struct weir_file *marker;
    make_log(&image, 1);
    salvage(&image, &first);
    assert_int_equal(first.rc, 0);
    struct weir_medium *left = first.keeper;
    assert_int_equal(left->ops->remove(left, "CONTROL"), 0);
    assert_int_equal(left->ops->create(left, "SALVAGE", 0, &marker), 0);
    left->ops->close(marker);
    salvage(&image, &first); /* into it */
    assert_int_equal(first.rc, -ENOTEMPTY);
    assert_non_null(strstr(first.why.text, "interrupted"));
    image_end(&image);
    image.medium = left;
    salvage(&image, &second); /* out of it */
    assert_int_equal(second.rc, WEIR_E_NOT_A_LOG);
    assert_non_null(strstr(second.why.text, "interrupted"));
    salvaged_free(&second);
    salvaged_free(&first);
}

static void a_control_of_another_log_counts_as_lost(void **state)
{
    (void)state;
    struct image image;
    struct salvaged salvaged = {0};
    make_log(&image, 3);
    struct control other = image.control;
    memset(other.uuid, 0x17, sizeof other.uuid);
    other.witness_lsn += 1000;
    assert_int_equal(control_store(image.medium, &other), 0);
    assert_int_equal(control_store(image.medium, &other), 0);
    salvage(&image, &salvaged);
    assert_int_equal(expect_consistent(&salvaged, &was), was.latest);
    assert_int_equal(salvaged.note_count, 1);
    end(&image, &salvaged);
}

struct told_holds {
    struct weir_salvage_hold holds[8];
    size_t count;
    size_t most; /* then it is ended */
};

static int take_hold(void *context, const struct weir_salvage_hold *hold)
{
    struct told_holds *told = context;
    if (told->count == told->most) {
        return 17;
    }
    told->holds[told->count++] = *hold;
    return 0;
}

static struct weir_salvage_hold told_hold(const struct told_holds *told, const char *name)
{
    for (size_t i = 0; i < told->count; i++) {
        if (strcmp(told->holds[i].name, name) == 0) {
            return told->holds[i];
        }
    }
    fail_msg("the hold %s was not told", name);
    return (struct weir_salvage_hold){0};
}

static int no_finding(void *context, const struct weir_finding *finding)
{
    (void)context;
    (void)finding;
    return 0;
}

/* A consumer's position is never dropped silently, nor kept so: it is not in the new log. */
static void each_hold_is_told_and_whether_its_consumer_stays_behind(void **state)
{
    (void)state;
    struct salvaged first = {0};
    struct image image;
    make_log(&image, 1);
    salvage(&image, &first);
    image_end(&image);
    struct weir_log *log = open_salvaged(&first);
    static const char *const names[] = {"by_section", "backup", WEIR_HOLD_ENGINE, "broken"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(weir_hold_set(log, names[i], 7 + i), 0);
    }
    struct weir_state_writer *writer;
    for (size_t i = 0; i < 4; i += 3) { /* the first and the last are of consumers */
        assert_int_equal(weir_state_create(log, names[i], "state", &writer), 0);
        assert_int_equal(weir_state_commit(writer, "index", 1, 6, NULL), 0);
    }
    assert_int_equal(weir_log_close(log), 0);
    uint64_t size;
    memset(sim_memory_bytes(first.keeper, "holds/broken", false, &size), 0, HOLD_BYTES);
    image.medium = first.keeper;
    for (size_t most = 0; most <= 4; most++) {
        struct told_holds told = {.most = most};
        struct salvaged second = {
            .watch = {.context = &told, .finding = no_finding, .hold = take_hold}};
        salvage(&image, &second);
        assert_int_equal(second.rc, most < 4 ? 17 : 0);
        if (most == 4) {
            assert_int_equal(told.count, 4);
            assert_int_equal(told_hold(&told, "by_section").floor, 7);
            assert_true(told_hold(&told, "by_section").consumer);
            assert_int_equal(told_hold(&told, "backup").floor, 8);
            assert_false(told_hold(&told, "backup").consumer);
            assert_false(told_hold(&told, WEIR_HOLD_ENGINE).consumer);
            assert_true(told_hold(&told, WEIR_HOLD_ENGINE).kept);
            assert_true(told_hold(&told, "broken").consumer);
            assert_false(told_hold(&told, "broken").kept);
            assert_int_equal(second.report.holds, 3);
            assert_int_equal(second.report.holds_of_consumers, 1);
            assert_int_equal(second.report.holds_lost, 1);
        }
        salvaged_free(&second);
    }
    salvaged_free(&first);
}

static void holds_are_copied(void **state)
{
    (void)state;
    struct salvaged first = {0}, second = {0};
    struct image image;
    make_log(&image, 1);
    salvage(&image, &first);
    struct weir_log *log = open_salvaged(&first);
    assert_int_equal(weir_hold_set(log, "billing", 7), 0);
    assert_int_equal(weir_hold_set(log, "damaged", 8), 0);
    assert_int_equal(weir_log_close(log), 0);
    image_end(&image);
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(first.keeper, "holds/damaged", false, &size);
    memset(bytes, 0, (size_t)size);
    image.medium = first.keeper;
    salvage(&image, &second);
    assert_int_equal(second.rc, 0);
    assert_int_equal(second.report.holds, 1);
    assert_int_equal(second.report.holds_lost, 1);
    assert_int_equal(second.note_count, 1);
    log = open_salvaged(&second);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_truncate_before(log, 8, &why), WEIR_E_HELD);
    assert_non_null(strstr(why.text, "billing"));
    assert_int_equal(weir_truncate_before(log, 7, &why), 0);
    assert_int_equal(weir_log_close(log), 0);
    salvaged_free(&second);
    salvaged_free(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_log_is_copied_whole),
        cmocka_unit_test(an_empty_log_is_copied_empty_and_goes_on_counting),
        cmocka_unit_test(wl_06_what_was_truncated_stays_away),
        cmocka_unit_test(a_torn_tail_is_no_gap),
        cmocka_unit_test(a_damaged_payload_costs_its_record_and_keeps_its_neighbours),
        cmocka_unit_test(damaged_neighbours_are_one_gap),
        cmocka_unit_test(damaged_headers_cost_their_groups),
        cmocka_unit_test(damaged_padding_costs_no_record_and_verify_says_so),
        cmocka_unit_test(a_missing_segment_is_one_gap),
        cmocka_unit_test(wl_01_a_lost_end_that_control_witnesses_is_never_given_again),
        cmocka_unit_test(a_lost_end_of_unknown_length_is_a_gap_that_says_so),
        cmocka_unit_test(a_segment_cut_short_costs_what_is_cut_off),
        cmocka_unit_test(lost_headers_and_a_lost_control_cost_nothing),
        cmocka_unit_test(a_rolled_back_control_costs_nothing),
        cmocka_unit_test(a_damaged_epoch_group_costs_nothing),
        cmocka_unit_test(a_block_that_cannot_be_read_costs_its_group),
        cmocka_unit_test(o3_no_record_of_another_log_is_copied),
        cmocka_unit_test(wl_02_no_cursor_passes_a_gap_silently),
        cmocka_unit_test(gaps_survive_another_salvage),
        cmocka_unit_test(wl_01_a_gap_whose_end_is_lost_keeps_its_length),
        cmocka_unit_test(a_destination_that_holds_something_is_refused),
        cmocka_unit_test(wl_14_a_live_writer_is_named),
        cmocka_unit_test(what_is_no_log_is_refused),
        cmocka_unit_test(a_watcher_that_ends_it_leaves_nothing),
        cmocka_unit_test(what_an_interrupted_salvage_leaves_is_no_log),
        cmocka_unit_test(a_control_of_another_log_counts_as_lost),
        cmocka_unit_test(holds_are_copied),
        cmocka_unit_test(each_hold_is_told_and_whether_its_consumer_stays_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
