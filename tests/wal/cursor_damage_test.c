/* WL-09, WL-10 at first read: whatever byte of a sealed segment is flipped, the records in front
 * are lent, the damaged group is refused with its exact LSNs, and a seek behind it goes on. */
#include "tests/wal/cursor_support.h"

#include "wal/group.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define GROUPS_MOST 4096u

struct group_list {
    struct weir_group groups[GROUPS_MOST];
    uint32_t count;
};

static struct group_list known;

static int remember(void *context, const struct weir_group *group)
{
    struct group_list *list = context;
    if (list->count == GROUPS_MOST) {
        return 1;
    }
    list->groups[list->count++] = *group;
    return 0;
}

static void list_groups(struct weir_log *log)
{
    known.count = 0;
    assert_int_equal(weir_log_groups(log, remember, &known), 0);
}

/* Groups of one and of many records, three epochs in the first segment, three more segments. */
static struct weir_log *write_log(struct rig *rig)
{
    struct weir_log *log = rig_open(rig, NULL);
    for (int i = 0; i < 3; i++) {
        append_many(log, 5, WEIR_EACH);
        append_batch_of(log, 40, WEIR_EACH);
        append_many(log, 20, WEIR_NONE);
        log = rig_open(rig, NULL);
    }
    while (stat_of(log).segments < 5) {
        append_many(log, 25, WEIR_NONE);
        append_next(log, WEIR_EACH);
    }
    assert_int_equal(weir_commit(log), 0);
    list_groups(log);
    return rig_open(rig, NULL); /* nothing is mapped yet */
}

static void flip(struct rig *rig, const char *file, uint64_t offset, uint8_t bits)
{
    uint64_t size;
    uint8_t *current = sim_memory_bytes(rig->disk.keeper, file, false, &size);
    uint8_t *durable = sim_memory_bytes(rig->disk.keeper, file, true, &size);
    assert_true(offset < size);
    current[offset] ^= bits;
    if (durable != current) {
        durable[offset] ^= bits;
    }
}

/* What one flipped byte costs. */
struct expected {
    weir_lsn from, to; /* from > to: no record */
    bool silent;       /* derived data: reading does not even notice */
};

static void expect_records_around(struct weir_log *log, weir_lsn last,
                                  const struct expected *expected)
{
    struct weir_cursor *cursor = open_cursor(log, NULL);
    if (expected->silent) {
        expect_run(cursor, 1, last);
        expect_caught_up(cursor);
        weir_cursor_close(cursor);
        return;
    }
    bool loses = expected->from <= expected->to;
    weir_lsn from = loses ? expected->from : WEIR_LSN_NONE;
    weir_lsn to = loses ? expected->to : WEIR_LSN_NONE;
    expect_run(cursor, 1, expected->from - 1);
    for (int i = 0; i < 2; i++) {
        expect_refusal(cursor, WEIR_E_DAMAGED, from, to);
        assert_int_equal(weir_cursor_position(cursor), expected->from);
    }
    assert_int_equal(weir_cursor_wait(cursor, WEIR_WAIT_FOREVER), WEIR_E_DAMAGED);
    assert_int_equal(weir_cursor_seek(cursor, expected->to + 1), 0);
    expect_run(cursor, expected->to + 1, last);
    expect_caught_up(cursor);
    weir_cursor_close(cursor);
}

static void damage_and_read(struct rig *rig, const struct weir_group *group, uint64_t offset,
                            const struct expected *expected)
{
    flip(rig, group->file, group->offset + offset, (uint8_t)(1u << (offset % 8)));
    struct weir_log *log = rig_open(rig, NULL);
    expect_records_around(log, stat_of(log).durable, expected);
    rig_close(rig);
    flip(rig, group->file, group->offset + offset, (uint8_t)(1u << (offset % 8)));
}

/* A byte of each class of a data group, and what surrounds it. */
static void damage_data_group(struct rig *rig, const struct weir_group *group)
{
    struct expected expected = {group->first_lsn, group->first_lsn + group->record_count - 1,
                                false};
    uint64_t header_end = FORMAT_GROUP_HEADER_BYTES + FORMAT_RECORD_HEADER_BYTES;
    for (uint64_t offset = 0; offset < header_end; offset++) {
        damage_and_read(rig, group, offset, &expected);
    }
    for (uint64_t offset = header_end; offset < group->size_bytes; offset += 97) {
        damage_and_read(rig, group, offset, &expected);
    }
    damage_and_read(rig, group, group->size_bytes - 1, &expected);
}

static const struct weir_group *group_of(const char *kind, weir_lsn at_or_behind)
{
    for (uint32_t i = 0; i < known.count; i++) {
        if (strcmp(known.groups[i].kind, kind) == 0 && known.groups[i].first_lsn >= at_or_behind) {
            return &known.groups[i];
        }
    }
    fail_msg("no %s group behind %lu", kind, (unsigned long)at_or_behind);
    abort();
}

static const struct weir_group *group_with_records(uint32_t least)
{
    for (uint32_t i = 0; i < known.count; i++) {
        if (known.groups[i].record_count >= least) {
            return &known.groups[i];
        }
    }
    fail_msg("no group of %u records", least);
    abort();
}

static void wl_10_any_flipped_byte_of_a_data_group_is_refused_with_its_exact_lsns(void **state)
{
    (void)state;
    const struct rig *models[] = {&RIG_MEMORY, &RIG_MEMORY_FILE};
    for (size_t i = 0; i < COUNT_OF(models); i++) {
        struct rig rig;
        rig_begin(&rig, models[i]);
        write_log(&rig);
        rig_close(&rig);
        struct weir_group single = *group_of("data", 3), batch = *group_with_records(40);
        struct weir_group first = *group_of("data", 1), later = *group_of("data", 300);
        damage_data_group(&rig, &single);
        damage_data_group(&rig, &batch);
        damage_data_group(&rig, &first);
        damage_data_group(&rig, &later);
        rig_end(&rig);
    }
}

/* The records of one epoch of a segment, between its epoch group and the next. */
static void wl_10_a_damaged_epoch_group_costs_no_record_where_its_seed_is_known(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    write_log(&rig);
    rig_close(&rig);
    struct weir_group first = *group_of("epoch", 1), second = *group_of("epoch", 2);
    struct weir_group third = *group_of("epoch", second.first_lsn + 1);
    struct weir_group last = *group_of("epoch", third.first_lsn + 1);
    struct expected nothing = {last.first_lsn, last.first_lsn - 1, false};
    damage_and_read(&rig, &last, 70, &nothing); /* the next segment's header has its seed */
    struct expected middle = {second.first_lsn, third.first_lsn - 1, false};
    for (uint64_t offset = 0; offset < 96; offset++) {
        damage_and_read(&rig, &second, offset, &middle);
    }
    assert_int_equal(first.first_lsn, 1);
    rig_end(&rig);
}

static void wl_10_a_damaged_seal_is_walked_around(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    write_log(&rig);
    rig_close(&rig);
    struct weir_group seal = *group_of("seal", 1);
    struct expected nothing = {.silent = true};
    for (uint64_t offset = 0; offset < seal.size_bytes; offset += 13) {
        damage_and_read(&rig, &seal, offset, &nothing);
    }
    rig_end(&rig);
}

static void wl_10_two_damaged_groups_in_a_row_are_refused_one_by_one(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = write_log(&rig);
    weir_lsn last = stat_of(log).durable;
    rig_close(&rig);
    struct weir_group one = *group_of("data", 2), two = *group_of("data", 3);
    flip(&rig, one.file, one.offset + 80, 1);
    flip(&rig, two.file, two.offset + 80, 1);
    log = rig_open(&rig, NULL);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    expect_next(cursor, 1);
    expect_refusal(cursor, WEIR_E_DAMAGED, 2, 2);
    assert_int_equal(weir_cursor_seek(cursor, 3), WEIR_E_DAMAGED);
    assert_int_equal(weir_cursor_position(cursor), 2);
    assert_int_equal(weir_cursor_seek(cursor, 4), 0);
    expect_run(cursor, 4, last);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

static void cu_05_seeks_around_damage_fail_inside_of_it_only(void **state)
{
    (void)state;
    const uint64_t offsets[] = {9, 20, 80, 200}; /* header twice, record header, payload */
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    write_log(&rig);
    rig_close(&rig);
    struct weir_group group = *group_with_records(40);
    weir_lsn from = group.first_lsn, to = from + group.record_count - 1;
    for (size_t i = 0; i < COUNT_OF(offsets); i++) {
        flip(&rig, group.file, group.offset + offsets[i], 4);
        struct weir_log *log = rig_open(&rig, NULL);
        for (weir_lsn lsn = from > 20 ? from - 20 : 1; lsn <= to + 20; lsn++) {
            struct weir_cursor *cursor = open_cursor_at(log, lsn); /* opens in any case */
            if (lsn >= from && lsn <= to) {
                expect_refusal(cursor, WEIR_E_DAMAGED, from, to);
                assert_int_equal(weir_cursor_position(cursor), lsn);
                assert_int_equal(weir_cursor_seek(cursor, lsn), WEIR_E_DAMAGED);
            } else {
                expect_next(cursor, lsn);
            }
            weir_cursor_close(cursor);
        }
        rig_close(&rig);
        flip(&rig, group.file, group.offset + offsets[i], 4);
    }
    rig_end(&rig);
}

static void wl_15_a_time_that_may_lie_in_damage_is_not_jumped_over(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    write_log(&rig);
    rig_close(&rig);
    struct weir_group group = *group_of("data", 3), next = *group_of("data", 4);
    assert_int_equal(group.record_count, 1);
    for (int in_header = 0; in_header < 2; in_header++) {
        uint64_t offset = group.offset + (in_header ? 44 : 80);
        flip(&rig, group.file, offset, 2);
        struct weir_log *log = rig_open(&rig, NULL);
        struct weir_cursor *cursor = open_cursor(log, NULL);
        assert_int_equal(weir_cursor_seek_time(cursor, group.time_ns), WEIR_E_DAMAGED);
        int rc = weir_cursor_seek_time(cursor, group.time_ns + 1);
        if (in_header) { /* nobody knows its time */
            assert_int_equal(rc, WEIR_E_DAMAGED);
        } else {
            assert_int_equal(rc, 0);
            expect_next(cursor, next.first_lsn);
        }
        assert_int_equal(weir_cursor_seek_time(cursor, next.time_ns + 1), 0);
        expect_next(cursor, group_of("data", 5)->first_lsn);
        weir_cursor_close(cursor);
        rig_close(&rig);
        flip(&rig, group.file, offset, 2);
    }
    rig_end(&rig);
}

static void wl_10_groups_are_listed_around_damage(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    write_log(&rig);
    rig_close(&rig);
    uint32_t all = known.count;
    struct weir_group group = *group_of("data", 3);
    flip(&rig, group.file, group.offset + 30, 2);
    struct weir_log *log = rig_open(&rig, NULL);
    known.count = 0;
    assert_int_equal(weir_log_groups(log, remember, &known), WEIR_E_DAMAGED);
    assert_int_equal(known.count, all - 1 + 2); /* one less, and two more epochs */
    rig_end(&rig);
}

static void wl_10_damage_up_to_the_seal_ends_where_the_next_segment_starts(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = write_log(&rig);
    weir_lsn durable = stat_of(log).durable;
    rig_close(&rig);
    struct weir_group seal = *group_of("seal", 1), last = {0};
    for (uint32_t i = 0; known.groups[i].address < seal.address; i++) {
        last = known.groups[i].record_count > 0 ? known.groups[i] : last;
    }
    flip(&rig, seal.file, seal.offset + 8, 1);
    flip(&rig, last.file, last.offset + 8, 1);
    log = rig_open(&rig, NULL);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    expect_run(cursor, 1, last.first_lsn - 1);
    expect_refusal(cursor, WEIR_E_DAMAGED, last.first_lsn, seal.first_lsn - 1);
    assert_int_equal(weir_cursor_seek(cursor, seal.first_lsn - 1), WEIR_E_DAMAGED);
    assert_int_equal(weir_cursor_seek_time(cursor, last.time_ns), WEIR_E_DAMAGED);
    assert_int_equal(weir_cursor_seek(cursor, seal.first_lsn), 0);
    expect_run(cursor, seal.first_lsn, durable);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

static void wl_15_a_known_time_behind_damage_bounds_its_time(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    write_log(&rig);
    rig_close(&rig);
    struct weir_group first = *group_of("data", 2), second = *group_of("data", 3);
    weir_lsn behind = group_of("data", 4)->first_lsn;
    flip(&rig, first.file, first.offset + 44, 1);   /* its time is unknown, */
    flip(&rig, second.file, second.offset + 80, 1); /* but not this one's, which is not less */
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    assert_int_equal(weir_cursor_seek_time(cursor, second.time_ns), WEIR_E_DAMAGED);
    assert_int_equal(weir_cursor_seek_time(cursor, second.time_ns + 1), 0);
    expect_next(cursor, behind);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

/* Rightly signed, but not what was written there: another chain, another LSN. */
static void forge(struct rig *rig, const struct weir_group *group, uint32_t seed, int what)
{
    uint64_t size;
    for (int durable = 0; durable < 2; durable++) {
        uint8_t *file = sim_memory_bytes(rig->disk.keeper, group->file, durable == 1, &size);
        struct group_header header;
        group_load(file + group->offset, &header);
        header.chain ^= what == 0 ? 1u : 0u;
        header.first_lsn += what == 1 ? 1u : 0u;
        header.time_ns = what == 2 ? 1u : header.time_ns;
        header.epoch += what == 3 ? 1u : 0u;
        group_encode(file + group->offset, &header, seed);
    }
}

static void wl_09_a_group_that_does_not_follow_the_one_before_is_refused(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct rig rig;
        rig_begin(&rig, &RIG_MEMORY);
        write_log(&rig);
        rig_close(&rig);
        struct weir_group epoch = *group_of("epoch", 1), group = *group_of("data", 3);
        uint64_t size;
        uint8_t *file = sim_memory_bytes(rig.disk.keeper, epoch.file, true, &size);
        const struct format_epoch *body =
            (const struct format_epoch *)(file + epoch.offset + FORMAT_GROUP_HEADER_BYTES);
        forge(&rig, &group, le32_load(&body->seed), what);
        struct weir_log *log = rig_open(&rig, NULL);
        struct weir_cursor *cursor = open_cursor(log, NULL);
        expect_run(cursor, 1, 2);
        expect_refusal(cursor, WEIR_E_DAMAGED, 3, 3);
        assert_int_equal(weir_cursor_seek(cursor, 4), 0);
        expect_next(cursor, 4);
        weir_cursor_close(cursor);
        rig_end(&rig);
    }
}

/* Every other group's header: the search by time has to find its way between them. */
static void wl_15_times_are_found_between_many_damaged_groups(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    write_log(&rig);
    rig_close(&rig);
    const struct weir_group *seal = group_of("seal", 1);
    bool damaged[GROUPS_MOST] = {false};
    uint32_t count = 0;
    for (uint32_t i = 0; known.groups[i].address < seal->address; i++, count++) {
        damaged[i] = known.groups[i].record_count > 0 && i % 2 == 0;
        if (damaged[i]) {
            flip(&rig, known.groups[i].file, known.groups[i].offset + 50, 1);
        }
    }
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor *cursor = open_cursor_at(log, 2);
    for (uint32_t i = 1; i < count; i++) {
        const struct weir_group *group = &known.groups[i];
        if (group->record_count == 0 || damaged[i]) {
            continue;
        }
        bool follows_damage = damaged[i - 1] || known.groups[i - 1].record_count == 0;
        int rc = weir_cursor_seek_time(cursor, group->time_ns);
        assert_int_equal(rc, damaged[i - 1] ? WEIR_E_DAMAGED : rc);
        if (!follows_damage) {
            assert_int_equal(rc, 0);
            expect_next(cursor, group->first_lsn);
        }
    }
    weir_cursor_close(cursor);
    rig_end(&rig);
}

static void wl_10_a_size_that_changes_after_it_was_checked_is_not_followed(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = write_log(&rig);
    struct weir_group group = *group_with_records(40);
    struct weir_cursor *cursor = open_cursor_at(log, group.first_lsn);
    struct weir_record record, records[64];
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    uint64_t next = FORMAT_GROUP_HEADER_BYTES + format_record_stride(record.size);
    weir_lsn to = group.first_lsn + group.record_count - 1;
    for (uint8_t byte = 0; byte < 4; byte++) {
        flip(&rig, group.file, group.offset + next + byte, 0xff);
    }
    expect_refusal(cursor, WEIR_E_DAMAGED, group.first_lsn + 1, to);
    assert_int_equal(weir_cursor_wait(cursor, 0), WEIR_E_DAMAGED);
    assert_int_equal(weir_cursor_next_batch(cursor, records, 64), WEIR_E_DAMAGED);
    assert_int_equal(weir_cursor_seek(cursor, group.first_lsn + 2), WEIR_E_DAMAGED);
    assert_int_equal(weir_cursor_seek(cursor, to + 1), 0);
    expect_next(cursor, to + 1);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

/* ---- files, not bytes ---- */

static void wl_10_a_segment_without_its_header_is_refused_with_all_its_lsns(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = write_log(&rig);
    weir_lsn last = stat_of(log).durable;
    struct weir_group seal = *group_of("seal", 1);
    weir_lsn first_of_second = seal.first_lsn;
    struct weir_group second = *group_of("seal", first_of_second + 1);
    flip(&rig, second.file, 40, 1);
    flip(&rig, second.file, FORMAT_BLOCK + 40, 1);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    expect_run(cursor, 1, first_of_second - 1);
    expect_refusal(cursor, WEIR_E_DAMAGED, first_of_second, second.first_lsn - 1);
    struct weir_cursor *inside = open_cursor_at(log, first_of_second + 5);
    expect_refusal(inside, WEIR_E_DAMAGED, first_of_second, second.first_lsn - 1);
    assert_int_equal(weir_cursor_seek(cursor, second.first_lsn), 0);
    expect_run(cursor, second.first_lsn, last);
    weir_cursor_close(cursor);
    weir_cursor_close(inside);
    rig_end(&rig);
}

static void cut_file(const struct rig *rig, const char *file, off_t bytes)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", rig->directory, file);
    assert_int_equal(truncate(path, bytes), 0);
}

static void wl_10_a_file_cut_short_is_refused_when_a_cursor_enters_it(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_DIRECT);
    struct weir_log *log = write_log(&rig);
    weir_lsn last = stat_of(log).durable;
    struct weir_group first = *group_of("seal", 1);
    struct weir_group second = *group_of("seal", first.first_lsn + 1);
    cut_file(&rig, first.file, 100000); /* not mapped yet */
    struct weir_cursor *cursor = open_cursor(log, NULL);
    expect_refusal(cursor, WEIR_E_CUT_SHORT, 1, first.first_lsn - 1);
    assert_int_equal(weir_cursor_seek(cursor, first.first_lsn - 1), WEIR_E_CUT_SHORT);
    assert_int_equal(weir_cursor_seek(cursor, first.first_lsn), 0);
    expect_next(cursor, first.first_lsn); /* maps the second */
    cut_file(&rig, second.file, 100000);
    struct weir_cursor *late = open_cursor_at(log, first.first_lsn);
    expect_refusal(late, WEIR_E_CUT_SHORT, first.first_lsn, second.first_lsn - 1);
    assert_int_equal(weir_cursor_seek(cursor, second.first_lsn), 0);
    expect_run(cursor, second.first_lsn, last);
    weir_cursor_close(cursor);
    weir_cursor_close(late);
    rig_end(&rig);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_10_any_flipped_byte_of_a_data_group_is_refused_with_its_exact_lsns),
        cmocka_unit_test(wl_10_a_damaged_epoch_group_costs_no_record_where_its_seed_is_known),
        cmocka_unit_test(wl_10_a_damaged_seal_is_walked_around),
        cmocka_unit_test(wl_10_two_damaged_groups_in_a_row_are_refused_one_by_one),
        cmocka_unit_test(cu_05_seeks_around_damage_fail_inside_of_it_only),
        cmocka_unit_test(wl_15_a_time_that_may_lie_in_damage_is_not_jumped_over),
        cmocka_unit_test(wl_10_groups_are_listed_around_damage),
        cmocka_unit_test(wl_10_damage_up_to_the_seal_ends_where_the_next_segment_starts),
        cmocka_unit_test(wl_15_a_known_time_behind_damage_bounds_its_time),
        cmocka_unit_test(wl_09_a_group_that_does_not_follow_the_one_before_is_refused),
        cmocka_unit_test(wl_15_times_are_found_between_many_damaged_groups),
        cmocka_unit_test(wl_10_a_size_that_changes_after_it_was_checked_is_not_followed),
        cmocka_unit_test(wl_10_a_segment_without_its_header_is_refused_with_all_its_lsns),
        cmocka_unit_test(wl_10_a_file_cut_short_is_refused_when_a_cursor_enters_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
