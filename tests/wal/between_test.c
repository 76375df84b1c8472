/*
 * How many bytes of the log lie between two LSNs, against the groups as they lie on the medium.
 */
#include "compact_support.h"

#include "wal/log.h"

#include <errno.h>
#include <stdlib.h>

#define RECORDS 1500u
#define PAYLOAD_MOST 3000u

static uint64_t between(struct weir_log *log, weir_lsn from, weir_lsn to)
{
    uint64_t bytes = 77;
    assert_int_equal(weir_log_bytes_between(log, from, to, &bytes), 0);
    return bytes;
}

static struct weir_log *log_of_records(struct test_disk *disk)
{
    struct weir_log *log = open_log(disk, NULL);
    uint8_t payload[PAYLOAD_MOST];
    for (weir_lsn lsn = 1; lsn <= RECORDS; lsn++) {
        size_t size = numbered_payload(lsn, payload, sizeof payload);
        assert_int_equal(try_append(log, payload, size, WEIR_NONE, NULL), 0);
        if (lsn % 50 == 0) {
            assert_int_equal(weir_commit(log), 0);
        }
    }
    assert_int_equal(weir_commit(log), 0);
    return log;
}

/* Bytes of the groups up to the one that holds an LSN, without and with it. */
struct counting {
    weir_lsn lsn;
    uint64_t before, with, all;
};

static int count_group(void *context, const struct weir_group *group)
{
    struct counting *counting = context;
    counting->all += group->size_bytes;
    if (group->last_lsn < counting->lsn) {
        counting->before += group->size_bytes;
    }
    if (group->first_lsn <= counting->lsn) {
        counting->with += group->size_bytes;
    }
    return 0;
}

static struct counting count_up_to(struct weir_log *log, weir_lsn lsn)
{
    struct counting counting = {.lsn = lsn};
    assert_int_equal(weir_log_groups(log, count_group, &counting), 0);
    return counting;
}

/* Headers of segments, seals and what is left at the end of a segment are in no group. */
static void expect_near_the_groups(struct weir_log *log, uint64_t slack)
{
    for (weir_lsn lsn = 1; lsn <= RECORDS; lsn += 37) {
        struct counting counting = count_up_to(log, lsn);
        uint64_t bytes = between(log, lsn, UINT64_MAX);
        uint64_t least = counting.all - counting.with, most = counting.all - counting.before;
        if (bytes + slack < least || bytes > most + slack) {
            fail_msg("behind %d: %d, not %d to %d", (int)lsn, (int)bytes, (int)least, (int)most);
        }
    }
}

static void cd_08_bytes_between_are_those_of_the_groups_in_between(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = log_of_records(&disk);
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    assert_true(stat.segments >= 6);
    uint64_t segments = stat.segments * 4 * 4096;
    expect_near_the_groups(log, 16 * PAYLOAD_MOST + segments);
    close_log(log);
    log = open_log(&disk, NULL); /* most of it is not in memory now */
    expect_near_the_groups(log, SMALL_SEGMENT / 2 + segments);
    close_log(log);
    disk_free(&disk);
}

static void a_wider_range_is_never_less_and_a_range_with_a_record_never_nothing(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = log_of_records(&disk);
    for (int round = 0; round < 2; round++) {
        uint64_t last = between(log, 0, UINT64_MAX);
        for (weir_lsn lsn = 1; lsn <= RECORDS; lsn++) {
            uint64_t bytes = between(log, lsn, UINT64_MAX);
            assert_true(bytes <= last && (bytes > 0) == (lsn < RECORDS));
            assert_true(between(log, lsn - 1, lsn) > 0);
            last = bytes;
        }
        assert_int_equal(between(log, 7, 7), 0);
        assert_int_equal(between(log, 8, 7), 0);
        assert_int_equal(between(log, RECORDS, RECORDS + 9), 0);
        assert_int_equal(between(log, 5, RECORDS + 9), between(log, 5, RECORDS));
        close_log(log);
        log = open_log(&disk, NULL);
    }
    uint64_t bytes = 77;
    assert_int_equal(weir_log_bytes_between(NULL, 1, 2, &bytes), -EINVAL);
    assert_int_equal(weir_log_bytes_between(log, 1, 2, NULL), -EINVAL);
    assert_int_equal(bytes, 77);
    close_log(log);
    disk_free(&disk);
}

static void parts_add_up_to_the_whole(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = log_of_records(&disk);
    uint64_t sum = 0;
    for (weir_lsn lsn = 0; lsn < RECORDS; lsn += 100) {
        sum += between(log, lsn, lsn + 100);
    }
    uint64_t whole = between(log, 0, RECORDS);
    assert_true(sum + 2 * 4096 >= whole && sum <= whole + 2 * 4096);
    close_log(log);
    disk_free(&disk);
}

static void an_empty_log_has_nothing_in_between(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    assert_int_equal(between(log, 0, UINT64_MAX), 0);
    append_text(log, "one", WEIR_EACH);
    assert_true(between(log, 0, UINT64_MAX) > 0);
    close_log(log);
    disk_free(&disk);
}

static void what_was_truncated_or_compacted_away_does_not_count(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    struct story *story = story_new();
    story_fill(story, log, 8, 2000, 8);
    assert_int_equal(weir_commit(log), 0);
    weir_lsn end = story->last, half = end / 2;
    uint64_t whole = between(log, 0, end), upper = between(log, half, end);
    story_compact(story, log, half);
    assert_true(between(log, 0, end) < whole - whole / 4);
    assert_true(between(log, half, end) <= upper + 2 * SMALL_SEGMENT);
    uint64_t last = between(log, 0, end);
    for (weir_lsn lsn = 1; lsn < end; lsn++) {
        uint64_t bytes = between(log, lsn, end);
        assert_true(bytes > 0 && bytes <= last);
        last = bytes;
    }
    assert_int_equal(weir_truncate_before(log, half + half / 2, NULL), 0);
    assert_int_equal(between(log, 0, end), between(log, half, end));
    assert_true(between(log, 0, end) < upper);
    close_log(log);
    story_free(story);
    disk_free(&disk);
}

static void a_reader_sees_what_became_durable(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = log_of_records(&disk);
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    disk.options.read_only = true;
    struct weir_log *reader = open_log(&disk, &options);
    disk.options.read_only = false;
    assert_int_equal(between(reader, RECORDS, UINT64_MAX), 0);
    append_text(log, "more", WEIR_EACH);
    assert_true(between(reader, RECORDS, UINT64_MAX) > 0);
    uint64_t mine = between(log, 100, UINT64_MAX), others = between(reader, 100, UINT64_MAX);
    assert_true(mine <= others + SMALL_SEGMENT && others <= mine + SMALL_SEGMENT);
    close_log(reader);
    close_log(log);
    disk_free(&disk);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_08_bytes_between_are_those_of_the_groups_in_between),
        cmocka_unit_test(a_wider_range_is_never_less_and_a_range_with_a_record_never_nothing),
        cmocka_unit_test(parts_add_up_to_the_whole),
        cmocka_unit_test(an_empty_log_has_nothing_in_between),
        cmocka_unit_test(what_was_truncated_or_compacted_away_does_not_count),
        cmocka_unit_test(a_reader_sees_what_became_durable),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
