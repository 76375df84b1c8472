/*
 * Recovery of logs that the library itself wrote: what survives a crash, what damage does to it,
 * and what each witness option makes of damage to the last group.
 */
#include "support.h"

#include "wal/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_1 "segment-0000000000000001"

static bool keep_all(void *context, const char *name, uint64_t offset)
{
    (void)context;
    (void)name;
    (void)offset;
    return true;
}

/* What power loss leaves of an open log; the log itself goes. */
static struct test_disk cut_power(struct weir_log *log)
{
    struct weir_medium *after;
    assert_int_equal(sim_memory_crash(log->medium, NULL, NULL, &after), 0);
    (void)weir_log_close(log);
    return (struct test_disk){.keeper = after, .options = {.disk = sim_memory_disk(after)}};
}

static struct test_disk copy_of(const struct test_disk *disk)
{
    struct weir_medium *after;
    assert_int_equal(sim_memory_crash(disk->keeper, keep_all, NULL, &after), 0);
    return (struct test_disk){.keeper = after, .options = {.disk = sim_memory_disk(after)}};
}

static uint8_t *bytes_of(struct test_disk *disk, const char *name)
{
    uint64_t size;
    uint8_t *bytes = sim_memory_bytes(disk->keeper, name, false, &size);
    assert_non_null(bytes);
    return bytes;
}

/* Offset of the n-th group of the first segment, counting from 0. */
static uint64_t group_offset(struct test_disk *disk, unsigned n)
{
    const uint8_t *bytes = bytes_of(disk, SEGMENT_1);
    uint64_t offset = FORMAT_SEGMENT_HEADER_BYTES;
    for (unsigned i = 0; i < n; i++) {
        struct group_header header;
        group_load(bytes + offset, &header);
        offset += format_align(header.size_bytes, FORMAT_BLOCK);
    }
    return offset;
}

static void wl_07_acknowledged_appends_after_a_torn_tail_survive_the_next_reopen(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "one", WEIR_EACH);
    append_text(log, "two", WEIR_EACH);
    struct test_disk crashed = cut_power(log);
    bytes_of(&crashed, SEGMENT_1)[group_offset(&crashed, 2) + 70] ^= 1; /* "two" is torn */

    log = open_log(&crashed, NULL);
    struct weir_open_report report = {.size = sizeof report};
    assert_int_equal(weir_log_report(log, &report), 0);
    assert_true(report.cut_bytes >= 4096);
    assert_int_equal(report.latest, 1);
    assert_int_equal(append_text(log, "new two", WEIR_EACH), 2);
    append_text(log, "three", WEIR_EACH);
    struct test_disk again = cut_power(log);
    log = open_log(&again, NULL);
    expect_texts(log, 1, (const char *const[]){"one", "new two", "three"}, 3);
    close_log(log);
    disk_free(&again);
    disk_free(&crashed);
    disk_free(&disk);
}

static void wl_08_an_unfinished_batch_at_the_tail_does_not_swallow_later_records(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    append_text(log, "one", WEIR_EACH);
    struct weir_part parts[3] = {{"b1", 2}, {"b2", 2}, {"b3", 2}};
    struct weir_entry batch[3];
    for (int i = 0; i < 3; i++) {
        batch[i] = (struct weir_entry){.parts = &parts[i], .part_count = 1};
    }
    weir_lsn lsn;
    assert_int_equal(weir_append_batch(log, batch, 3, WEIR_EACH, &lsn), 0);
    struct test_disk crashed = cut_power(log);
    uint8_t *group = bytes_of(&crashed, SEGMENT_1) + group_offset(&crashed, 2);
    memset(group + 64 + 24, 0, 24); /* the record in the middle did not land */

    log = open_log(&crashed, NULL);
    append_text(log, "after", WEIR_EACH);
    close_log(log);
    log = open_log(&crashed, NULL);
    expect_texts(log, 1, (const char *const[]){"one", "after"}, 2);
    close_log(log);
    disk_free(&crashed);
    disk_free(&disk);
}

/* ---- WL-09, WL-10 ---- */

static const char *const texts[] = {"first", "", "the third record is a little longer", "4"};

/* Any answer is right but a wrong record, or fewer than were acknowledged. */
static void expect_refused_or_equal(struct test_disk *disk, bool prefix_is_right)
{
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    if (try_open_log(disk, NULL, &log, &why) < 0) {
        assert_true(why.code <= WEIR_E_NOT_A_LOG);
        return;
    }
    struct weir_cursor *cursor;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    size_t count = 0;
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        assert_int_equal(record.lsn, count + 1);
        assert_int_equal(record.size, strlen(texts[count]));
        assert_memory_equal(record.data, texts[count], record.size);
        count++;
    }
    assert_true(rc < 0 || prefix_is_right || count == 4);
    weir_cursor_close(cursor);
    close_log(log);
}

static struct test_disk disk_with_texts(bool closed)
{
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    for (int i = 0; i < 4; i++) {
        append_text(log, texts[i], WEIR_EACH);
    }
    if (closed) {
        close_log(log);
        return disk;
    }
    struct test_disk crashed = cut_power(log);
    disk_free(&disk);
    return crashed;
}

/* Every bit of headers and records, and one bit in each 64 bytes of padding. */
static void flip_bits(bool closed)
{
    struct test_disk disk = disk_with_texts(closed);
    uint64_t end = group_offset(&disk, 5);
    for (uint64_t at = 0; at < end; at++) {
        uint64_t in_block = at % FORMAT_BLOCK;
        unsigned bits = in_block < 192 ? 8 : (in_block % 64 == 5 ? 1 : 0);
        for (unsigned bit = 0; bit < bits; bit++) {
            struct test_disk damaged = copy_of(&disk);
            bytes_of(&damaged, SEGMENT_1)[at] ^= (uint8_t)(1u << bit);
            bool header = at < FORMAT_SEGMENT_HEADER_BYTES; /* exists twice */
            expect_refused_or_equal(&damaged, !closed && !header);
            disk_free(&damaged);
        }
    }
    disk_free(&disk);
}

static void wl_09_no_flipped_bit_of_a_closed_log_changes_or_drops_a_record(void **state)
{
    (void)state;
    flip_bits(true);
}

static void wl_09_no_flipped_bit_of_a_crashed_log_changes_a_record(void **state)
{
    (void)state;
    flip_bits(false);
}

static void wl_09_every_flipped_bit_of_control_is_outvoted_or_refused(void **state)
{
    (void)state;
    struct test_disk disk = disk_with_texts(true);
    for (uint64_t at = 0; at < 4 * FORMAT_BLOCK; at += (at % FORMAT_BLOCK < 192 ? 1 : 61)) {
        struct test_disk damaged = copy_of(&disk);
        bytes_of(&damaged, "CONTROL")[at] ^= (uint8_t)(1u << at % 8);
        struct weir_log *log = open_log(&damaged, NULL);
        expect_texts(log, 1, texts, 4);
        close_log(log);
        disk_free(&damaged);
    }
    for (unsigned set = 1; set < 16; set++) { /* copies that are damaged */
        struct test_disk damaged = copy_of(&disk);
        int whole = 4;
        for (unsigned copy = 0; copy < 4; copy++) {
            if ((set >> copy & 1) != 0) {
                bytes_of(&damaged, "CONTROL")[copy * FORMAT_BLOCK + 60] ^= 1;
                whole--;
            }
        }
        struct weir_log *log;
        struct weir_error why = WEIR_ERROR_INIT;
        int rc = try_open_log(&damaged, NULL, &log, &why);
        assert_int_equal(rc, whole >= 2 ? 0 : WEIR_E_CONTROL);
        if (rc == 0) {
            close_log(log);
        }
        disk_free(&damaged);
    }
    disk_free(&disk);
}

static void wl_10_damage_in_old_segments_is_found_at_first_read_and_by_verify(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    static uint8_t payload[3000];
    for (int i = 0; i < 600; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    }
    close_log(log);
    uint64_t offset = group_offset(&disk, 1);
    bytes_of(&disk, SEGMENT_1)[offset + 64 + 3016 + 16 + 100] ^= 1; /* LSN 2 */

    log = open_log(&disk, NULL);
    struct weir_cursor *cursor;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    int rc;
    weir_lsn last = 0;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        last = record.lsn;
    }
    assert_int_equal(rc, WEIR_E_DAMAGED);
    assert_true(last < 2);
    weir_cursor_close(cursor);
    close_log(log);

    struct weir_log_options options = small_options();
    options.verify = WEIR_VERIFY_ALL;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(try_open_log(&disk, &options, &log, &why), WEIR_E_LOST);
    assert_true(why.from_lsn <= 2 && why.to_lsn >= 2);
    disk_free(&disk);
}

/* Appends under a witness option, cuts the power, damages the n-th group from the end that holds
 * records, and opens. */
static int open_with_damage(enum weir_witness witness, unsigned appends, unsigned damaged)
{
    struct test_disk disk = disk_new();
    struct weir_log_options options = small_options();
    options.witness = witness;
    struct weir_log *log = open_log(&disk, &options);
    for (unsigned i = 0; i < appends; i++) {
        append_text(log, "x", WEIR_EACH);
    }
    struct test_disk crashed = cut_power(log);
    uint64_t offsets[32];
    unsigned count = 0;
    for (unsigned n = 0;; n++) {
        uint64_t offset = group_offset(&crashed, n);
        struct group_header header;
        group_load(bytes_of(&crashed, SEGMENT_1) + offset, &header);
        if (header.size_bytes == 0) {
            break;
        }
        if (header.kind == FORMAT_GROUP_DATA) {
            offsets[count++] = offset;
        }
    }
    assert_int_equal(count, appends);
    bytes_of(&crashed, SEGMENT_1)[offsets[damaged] + 81] ^= 1;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = try_open_log(&crashed, NULL, &log, &why);
    if (rc == 0) {
        close_log(log);
    }
    disk_free(&crashed);
    disk_free(&disk);
    return rc;
}

static void wl_10_the_witness_option_says_which_damage_is_told_from_a_torn_write(void **state)
{
    (void)state;
    /* lazy: the header of a group tells that the groups before it were durable */
    assert_int_equal(open_with_damage(WEIR_WITNESS_LAZY, 4, 2), WEIR_E_LOST);
    assert_int_equal(open_with_damage(WEIR_WITNESS_LAZY, 4, 3), 0);
    /* strict: whatever was acknowledged is witnessed */
    assert_int_equal(open_with_damage(WEIR_WITNESS_STRICT, 4, 2), WEIR_E_LOST);
    assert_int_equal(open_with_damage(WEIR_WITNESS_STRICT, 4, 3), WEIR_E_LOST);
    assert_int_equal(open_with_damage(WEIR_WITNESS_STRICT, 1, 0), WEIR_E_LOST);
}

/* ---- many crashes ---- */

static void a_log_that_crashes_again_and_again_rolls_over_and_keeps_everything(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    uint64_t expected = 0;
    for (int round = 0; round < 150; round++) {
        struct weir_log *log = open_log(&disk, NULL);
        assert_int_equal(count_records(log), expected);
        if (round % 3 == 0) {
            append_text(log, "more", WEIR_EACH);
            expected++;
        }
        struct test_disk crashed = cut_power(log);
        disk_free(&disk);
        disk = crashed;
    }
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&disk.options, &options.custom_medium), 0);
    assert_int_equal(weir_verify("", &options, NULL, NULL, &report, NULL), 0);
    assert_true(report.ok);
    assert_int_equal(report.records, expected);
    assert_true(report.segments > 2);
    disk_free(&disk);
}

struct chance {
    uint64_t state;
};

static bool keep_some(void *context, const char *name, uint64_t offset)
{
    (void)name;
    (void)offset;
    struct chance *chance = context;
    chance->state = chance->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (chance->state >> 40 & 1) != 0;
}

static void after_any_power_loss_what_was_durable_is_there_and_nothing_else_is_refused(void **state)
{
    (void)state;
    static uint8_t payload[9000], expected[9000];
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct chance chance = {seed};
        struct test_disk disk = disk_new();
        struct weir_log *log = open_log(&disk, NULL);
        uint64_t count = 20 + seed % 60;
        for (uint64_t i = 1; i <= count; i++) {
            size_t size = numbered_payload(i, payload, sizeof payload);
            bool each = (i + seed) % 7 == 0;
            assert_int_equal(try_append(log, payload, size, each ? WEIR_EACH : WEIR_NONE, NULL), 0);
        }
        weir_lsn durable = weir_durable_lsn(log);
        struct weir_medium *after;
        assert_int_equal(sim_memory_crash(log->medium, keep_some, &chance, &after), 0);
        close_log(log);
        disk_free(&disk);
        struct test_disk crashed = {.keeper = after, .options = {.disk = sim_memory_disk(after)}};
        log = open_log(&crashed, NULL);
        struct weir_cursor *cursor;
        struct weir_record record;
        assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
        weir_lsn last = 0;
        int rc;
        while ((rc = weir_cursor_next(cursor, &record)) == 1) {
            size_t size = numbered_payload(record.lsn, expected, sizeof expected);
            assert_int_equal(record.lsn, ++last);
            assert_int_equal(record.size, size);
            assert_memory_equal(record.data, expected, size);
        }
        assert_int_equal(rc, 0);
        assert_true(last >= durable);
        weir_cursor_close(cursor);
        close_log(log);
        disk_free(&crashed);
    }
}

/* ---- verification of real logs ---- */

/* What opening asks the medium for. */
struct asked {
    unsigned loads; /* of what was read once already */
    unsigned zeros; /* writes to a segment, */
    uint64_t segment_bytes_read;
    const char *fails;   /* the first such call does, */
    uint64_t fails_size; /* of this size, 0 = of any */
};

static int count_calls(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    struct asked *asked = context;
    (void)offset;
    bool segment = strncmp(name, "segment-", 8) == 0;
    asked->loads += strcmp(call, "load") == 0;
    asked->zeros += segment && strcmp(call, "write") == 0;
    asked->segment_bytes_read += segment && strcmp(call, "read") == 0 ? size : 0;
    if (segment && asked->fails != NULL && strcmp(call, asked->fails) == 0 &&
        (asked->fails_size == 0 || asked->fails_size == size)) {
        asked->fails = NULL;
        return -EIO;
    }
    return 0;
}

/* A segment and a half, a crash, and an open that is counted: everything must be there, and appends
 * go on. */
static struct asked reopen_counted(bool window_is_file, const char *fails, uint64_t fails_size)
{
    struct test_disk disk = disk_new();
    disk.options.window_is_file = window_is_file;
    struct weir_log *log = open_log(&disk, NULL);
    static uint8_t payload[3000];
    for (int i = 0; i < 120; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, NULL), 0);
    }
    struct test_disk crashed = cut_power(log);
    struct asked asked = {.fails = fails, .fails_size = fails_size};
    crashed.options.window_is_file = window_is_file;
    crashed.options.faults = (struct sim_memory_faults){count_calls, &asked};
    log = open_log(&crashed, NULL);
    struct weir_open_report report = WEIR_OPEN_REPORT_INIT;
    assert_int_equal(weir_log_report(log, &report), 0);
    assert_int_equal(report.latest, 120);
    assert_int_equal(report.scanned_segments, 1);
    assert_null(asked.fails);
    struct asked then = asked;
    assert_int_equal(count_records(log), 120);
    assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, NULL), 0);
    struct test_disk again = cut_power(log);
    log = open_log(&again, NULL);
    assert_int_equal(count_records(log), 121);
    close_log(log);
    disk_free(&again);
    disk_free(&crashed);
    disk_free(&disk);
    return then;
}

static void the_open_segment_is_read_once_after_a_crash(void **state)
{
    (void)state;
    struct asked asked = reopen_counted(false, NULL, 0);
    assert_int_equal(asked.loads, 0);
    assert_int_equal(asked.zeros, 0); /* the window behind the end was zero, */
    /* and is not read to find that out once more: headers, a seal, one segment, the next one */
    assert_true(asked.segment_bytes_read < 2 * SMALL_SEGMENT + (96 << 10));
    asked = reopen_counted(true, NULL, 0);
    assert_int_equal(asked.loads, 1); /* it looks past the page cache */
}

static void what_could_not_be_read_at_once_or_into_a_window_is_loaded(void **state)
{
    (void)state;
    struct asked asked = reopen_counted(false, "read", SMALL_SEGMENT);
    assert_int_equal(asked.loads, 1);
    asked = reopen_counted(false, "window_open", 0);
    assert_int_equal(asked.loads, 1);
}

static void verification_beside_a_live_writer_stops_quietly_at_its_tail(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    static uint8_t payload[3000];
    for (uint64_t i = 1; i <= 300; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
        if (i % 20 != 0) {
            continue;
        }
        struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
        struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
        options.medium = WEIR_MEDIUM_CUSTOM;
        assert_int_equal(sim_memory_open(&disk.options, &options.custom_medium), 0);
        weir_lsn durable = weir_durable_lsn(log);
        assert_int_equal(weir_verify("", &options, NULL, NULL, &report, NULL), 0);
        assert_true(report.ok);
        assert_int_equal(report.findings, 0);
        assert_in_range(report.latest, durable, i);
    }
    close_log(log);
    disk_free(&disk);
}

static void a_log_on_files_verifies_and_its_damage_is_found(void **state)
{
    (void)state;
    char path[256], file[300];
    make_directory(path, sizeof path);
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_CREATE;
    options.segment_bytes = SMALL_SEGMENT;
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_log_open(path, &options, &log, &why), 0);
    static uint8_t payload[3000];
    for (uint64_t i = 1; i <= 300; i++) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_NONE, NULL), 0);
    }
    close_log(log);
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    assert_int_equal(weir_verify(path, NULL, NULL, NULL, &report, NULL), 0);
    assert_true(report.ok);
    assert_int_equal(report.findings, 0);
    assert_int_equal(report.records, 300);
    snprintf(file, sizeof file, "%s/%s", path, SEGMENT_1);
    FILE *stream = fopen(file, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, 100000, SEEK_SET), 0);
    assert_int_equal(fputc(0x55, stream), 0x55);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(weir_verify(path, NULL, NULL, NULL, &report, NULL), 0);
    assert_false(report.ok);
    assert_int_equal(report.records, 299);
    assert_int_equal(weir_verify("no-such-directory", NULL, NULL, NULL, &report, NULL), -ENOENT);
    remove_directory(path);
}

/* ---- a crash, and another one before what the first left was mended ---- */

struct killing {
    const char *call, *name;
    uint64_t offset;
    struct weir_medium *medium;
};

static int kill_at(void *context, const char *call, const char *name, uint64_t offset, size_t size)
{
    struct killing *killing = context;
    (void)size;
    if (killing->medium != NULL && strcmp(call, killing->call) == 0 &&
        strcmp(name, killing->name) == 0 && offset == killing->offset) {
        sim_memory_kill(killing->medium);
        killing->medium = NULL;
        return -EIO;
    }
    return 0;
}

static void kill_process_at(struct weir_log *log, struct killing *killing)
{
    killing->medium = log->medium;
    sim_memory_faults_set(log->medium, &(struct sim_memory_faults){kill_at, killing});
}

static void a_spare_of_a_killed_process_is_durable_before_it_is_used(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    weir_lsn last = append_text(log, "first", WEIR_EACH);
    struct killing killing = {.call = "sync", .name = "segment-0000000000000002"};
    kill_process_at(log, &killing);
    assert_true(weir_prepare(log, 1) < 0);
    (void)weir_log_close(log);
    uint64_t size;
    assert_non_null(sim_memory_bytes(disk.keeper, killing.name, false, &size));
    assert_null(sim_memory_bytes(disk.keeper, killing.name, true, &size));

    log = open_log(&disk, NULL);
    static uint8_t payload[30000];
    while (log->tail.segment->ordinal < 2) {
        assert_int_equal(try_append(log, payload, sizeof payload, WEIR_EACH, &last), 0);
    }
    struct test_disk survived = cut_power(log);
    log = open_log(&survived, NULL);
    assert_int_equal(count_records(log), last);
    close_log(log);
    disk_free(&survived);
    disk_free(&disk);
}

static bool keep_first_copy(void *context, const char *name, uint64_t offset)
{
    (void)context;
    return strcmp(name, "CONTROL") == 0 && offset < SIM_MEMORY_UNIT;
}

static weir_lsn earliest_of(struct test_disk *disk)
{
    struct weir_log_options options = small_options();
    struct weir_stat stat = WEIR_STAT_INIT;
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_log *log = open_log(disk, &options);
    assert_int_equal(weir_log_stat(log, &stat), 0);
    close_log(log);
    return stat.earliest;
}

static void wl_11_two_torn_updates_of_control_do_not_bring_back_what_was_truncated(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    for (int i = 0; i < 9; i++) {
        append_text(log, "record", WEIR_EACH);
    }
    struct killing killing = {.call = "write", .name = "CONTROL", .offset = 2 * FORMAT_BLOCK};
    kill_process_at(log, &killing);
    assert_true(weir_truncate_before(log, 5, NULL) < 0);
    (void)weir_log_close(log);
    assert_int_equal(earliest_of(&disk), 5); /* two copies say so */

    struct weir_error why = WEIR_ERROR_INIT;
    killing = (struct killing){.call = "sync", .name = "CONTROL"};
    disk.options.faults = (struct sim_memory_faults){kill_at, &killing};
    struct weir_medium *medium;
    assert_int_equal(sim_memory_open(&disk.options, &medium), 0);
    killing.medium = medium;
    struct weir_log_options options = small_options();
    options.medium = WEIR_MEDIUM_CUSTOM;
    options.custom_medium = medium;
    assert_true(weir_log_open("memory", &options, &log, &why) < 0);
    struct weir_medium *after;
    disk.options.faults = (struct sim_memory_faults){0};
    assert_int_equal(sim_memory_crash(disk.keeper, keep_first_copy, NULL, &after), 0);
    struct test_disk survived = {.keeper = after, .options = {.disk = sim_memory_disk(after)}};
    assert_int_equal(earliest_of(&survived), 5);
    disk_free(&survived);
    disk_free(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_07_acknowledged_appends_after_a_torn_tail_survive_the_next_reopen),
        cmocka_unit_test(wl_08_an_unfinished_batch_at_the_tail_does_not_swallow_later_records),
        cmocka_unit_test(wl_09_no_flipped_bit_of_a_closed_log_changes_or_drops_a_record),
        cmocka_unit_test(wl_09_no_flipped_bit_of_a_crashed_log_changes_a_record),
        cmocka_unit_test(wl_09_every_flipped_bit_of_control_is_outvoted_or_refused),
        cmocka_unit_test(wl_10_damage_in_old_segments_is_found_at_first_read_and_by_verify),
        cmocka_unit_test(wl_10_the_witness_option_says_which_damage_is_told_from_a_torn_write),
        cmocka_unit_test(a_log_that_crashes_again_and_again_rolls_over_and_keeps_everything),
        cmocka_unit_test(
            after_any_power_loss_what_was_durable_is_there_and_nothing_else_is_refused),
        cmocka_unit_test(the_open_segment_is_read_once_after_a_crash),
        cmocka_unit_test(what_could_not_be_read_at_once_or_into_a_window_is_loaded),
        cmocka_unit_test(verification_beside_a_live_writer_stops_quietly_at_its_tail),
        cmocka_unit_test(a_log_on_files_verifies_and_its_damage_is_found),
        cmocka_unit_test(a_spare_of_a_killed_process_is_durable_before_it_is_used),
        cmocka_unit_test(wl_11_two_torn_updates_of_control_do_not_bring_back_what_was_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
