/*
 * The format against a second reader: read_log.py knows docs/FORMAT.md and none of this code. Both
 * read the same directories, whole and damaged, and must find the same run of groups. The worked
 * example of the page is built here and compared byte by byte.
 *
 *     test_format --print     prints the example's hex dump, to be pasted into the page
 */
#include "tests/wal/compact_support.h"

#include "base/crc32c.h"
#include "wal/control.h"
#include "wal/group.h"
#include "wal/medium_select.h"
#include "wal/scan.h"
#include "wal/segment_header.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef FORMAT_SOURCE
#define FORMAT_SOURCE "."
#endif

#define EXAMPLE_BYTES (FORMAT_SEGMENT_HEADER_BYTES + 2u * FORMAT_BLOCK)

/* What both readers say. */
struct run {
    uint64_t next_lsn, end, chain, records, groups, payload_bytes, digest;
};

/* ---- the library's reader ---- */

static int digest_group(void *context, const struct scan_group *group)
{
    struct run *run = context;
    uint32_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < group->header.record_count; i++) {
        const struct format_record *record = (const struct format_record *)(group->bytes + offset);
        uint32_t size = le32_load(&record->size);
        struct le64 lsn;
        le64_store(&lsn, group->header.first_lsn + i);
        uint32_t crc = base_crc32c((uint32_t)run->digest, &lsn, sizeof lsn);
        crc = base_crc32c(crc, &record->type, 8); /* type, flags, user word */
        run->digest = base_crc32c(crc, record + 1, size - FORMAT_RECORD_HEADER_BYTES);
        run->payload_bytes += size - FORMAT_RECORD_HEADER_BYTES;
        offset += (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
    }
    run->records += group->header.record_count;
    run->groups++;
    return 0;
}

static bool read_header(struct scan *scan, const struct control *control, uint64_t ordinal,
                        struct segment_header *ret_header)
{
    const uint8_t *blocks;
    return scan_open(scan, ordinal) == 0 &&
           scan_bytes(scan, 0, FORMAT_SEGMENT_HEADER_BYTES, &blocks) == 0 &&
           segment_header_decode(blocks, control->uuid, ordinal, ret_header) == 0;
}

static struct run longest_run(struct weir_medium *medium)
{
    struct control control;
    struct weir_error why = WEIR_ERROR_INIT;
    struct scan scan;
    struct run run = {0};
    struct scan_walk walk = {0};
    assert_int_equal(control_load(medium, &control, &why), 0);
    assert_int_equal(scan_init(&scan, medium, control.segment_bytes, control.block_bytes,
                               group_uuid_seed(control.uuid)),
                     0);
    for (uint64_t ordinal = control.first_ordinal;; ordinal++) {
        struct segment_header header;
        bool first = ordinal == control.first_ordinal;
        run.end = ordinal * control.segment_bytes + FORMAT_SEGMENT_HEADER_BYTES;
        if (!read_header(&scan, &control, ordinal, &header) ||
            (!first && header.chain != walk.chain.crc)) {
            break;
        }
        struct group_chain start = {.next_lsn = header.base_lsn,
                                    .time_ns = header.base_time_ns,
                                    .epoch = header.epoch,
                                    .seed = header.seed,
                                    .crc = header.chain};
        walk = (struct scan_walk){.chain = first ? start : walk.chain,
                                  .offset = FORMAT_SEGMENT_HEADER_BYTES};
        assert_int_equal(scan_walk(&scan, &walk, digest_group, &run), 0);
        run.end = ordinal * control.segment_bytes + walk.offset;
        if (walk.end != SCAN_SEALED) {
            break;
        }
        scan_close(&scan);
    }
    run.next_lsn = walk.offset != 0 ? walk.chain.next_lsn : control.witness_lsn + 1;
    run.chain = walk.chain.crc;
    scan_free(&scan);
    return run;
}

/* ---- the second reader ---- */

static uint64_t number(const char *json, const char *member)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", member);
    const char *at = strstr(json, key);
    if (at == NULL) {
        fail_msg("no %s in %s", member, json);
    }
    return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10);
}

static void run_reader(const char *arguments, char *ret_line, size_t size)
{
    char command[1024];
    snprintf(command, sizeof command, "python3 %s/tests/format/read_log.py %s", FORMAT_SOURCE,
             arguments);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    assert_non_null(fgets(ret_line, (int)size, stream));
    (void)pclose(stream);
}

static void expect_same(const char *path)
{
    char json[1024];
    run_reader(path, json, sizeof json);
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_READ_ONLY;
    struct weir_medium *medium;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(medium_select(path, &options, &medium, &why), 0);
    struct run run = longest_run(medium);
    medium->ops->destroy(medium);
    assert_int_equal(number(json, "next_lsn"), run.next_lsn);
    assert_int_equal(number(json, "end"), run.end);
    assert_int_equal(number(json, "chain"), run.chain);
    assert_int_equal(number(json, "records"), run.records);
    assert_int_equal(number(json, "groups"), run.groups);
    assert_int_equal(number(json, "payload_bytes"), run.payload_bytes);
    assert_int_equal(number(json, "digest"), run.digest);
}

/* ---- logs on disk ---- */

static void append_some(const char *path, unsigned count, bool close)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_CREATE;
    options.segment_bytes = access(path, F_OK) == 0 ? SMALL_SEGMENT : 0;
    struct weir_log *log;
    if (weir_log_open(path, &options, &log, NULL) < 0) {
        _exit(1);
    }
    static uint8_t payload[2000];
    for (unsigned i = 0; i < count; i++) {
        struct weir_part part = {payload, numbered_payload(i, payload, sizeof payload)};
        struct weir_entry entry = {
            .parts = &part, .part_count = 1, .type = (uint16_t)i, .user = i * 3};
        enum weir_durability how = i % 5 == 0 ? WEIR_EACH : WEIR_NONE;
        if (weir_append(log, &entry, how, NULL) < 0) {
            _exit(1);
        }
    }
    if (close && weir_log_close(log) < 0) {
        _exit(1);
    }
}

/* In a process of its own, so that it can end without closing the log. */
static void write_log(const char *path, unsigned count, bool close)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        append_some(path, count, close);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void both_readers_agree_on_whole_logs(void **state)
{
    (void)state;
    char path[256];
    make_directory(path, sizeof path);
    write_log(path, 0, true);
    expect_same(path);
    write_log(path, 30, true);
    expect_same(path);
    write_log(path, 100, false);
    expect_same(path);
    write_log(path, 700, true);
    expect_same(path);
    remove_directory(path);
}

static void flip_byte(const char *path, const char *name, uint64_t offset)
{
    char file[512];
    snprintf(file, sizeof file, "%s/%s", path, name);
    FILE *stream = fopen(file, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, (long)offset, SEEK_SET), 0);
    int byte = fgetc(stream);
    assert_int_equal(fseek(stream, (long)offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 0x20, stream), byte ^ 0x20);
    assert_int_equal(fclose(stream), 0);
}

static void both_readers_agree_on_damaged_logs(void **state)
{
    (void)state;
    char path[256];
    make_directory(path, sizeof path);
    write_log(path, 60, true);
    write_log(path, 60, false);
    for (unsigned i = 0; i < 40; i++) {
        uint64_t block = 1 + i * 7 % 30;
        uint64_t offset = block * FORMAT_BLOCK + (i % 2 == 0 ? i % 64 : (i * 131) % FORMAT_BLOCK);
        flip_byte(path, "segment-0000000000000001", offset);
        expect_same(path);
        flip_byte(path, "segment-0000000000000001", offset);
    }
    remove_directory(path);
}

static void both_readers_agree_on_salvaged_logs(void **state)
{
    (void)state;
    char path[256], target[300], json[1024];
    make_directory(path, sizeof path);
    snprintf(target, sizeof target, "%s-new", path);
    write_log(path, 700, true);
    write_log(path, 60, true);
    for (uint64_t offset = 5 * FORMAT_BLOCK; offset < 40 * FORMAT_BLOCK; offset += 29999) {
        flip_byte(path, "segment-0000000000000001", offset);
    }
    struct weir_salvage_report report = WEIR_SALVAGE_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    if (weir_salvage(path, NULL, target, NULL, NULL, &report, &why) < 0) {
        fail_msg("%s", why.text);
    }
    assert_true(report.gap_lsns > 0);
    expect_same(target);
    run_reader(target, json, sizeof json);
    assert_int_equal(number(json, "gap_lsns"), report.gap_lsns);
    assert_int_equal(number(json, "gaps"), report.gaps);
    assert_int_equal(number(json, "records"), report.records + report.gap_lsns);
    assert_int_equal(number(json, "clean"), 1);
    remove_directory(target);
    remove_directory(path);
}

/* ---- compacted logs ---- */

static uint64_t digest_cursor(struct weir_log *log, uint64_t *ret_records)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    struct weir_record record;
    uint32_t crc = 0;
    options.compacted = options.with_void = true;
    *ret_records = 0;
    assert_int_equal(weir_cursor_open(log, &options, &cursor), 0);
    while (weir_cursor_next(cursor, &record) == 1) {
        struct le64 lsn;
        struct {
            struct le16 type, flags;
            struct le32 user;
        } head;
        le64_store(&lsn, record.lsn);
        le16_store(&head.type, record.type);
        le16_store(&head.flags, record.flags);
        le32_store(&head.user, record.user);
        crc = base_crc32c(crc, &lsn, sizeof lsn);
        crc = base_crc32c(crc, &head, sizeof head);
        crc = base_crc32c(crc, record.data, record.size);
        ++*ret_records;
    }
    weir_cursor_close(cursor);
    return crc;
}

static void expect_same_as_cursor(const char *path, weir_lsn last, uint64_t compacted)
{
    char json[1024];
    uint64_t records;
    struct weir_log *log;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_READ_ONLY;
    assert_int_equal(weir_log_open(path, &options, &log, NULL), 0);
    uint64_t digest = digest_cursor(log, &records);
    close_log(log);
    run_reader(path, json, sizeof json);
    assert_int_equal(number(json, "next_lsn"), last + 1);
    assert_int_equal(number(json, "records"), records);
    assert_int_equal(number(json, "digest"), digest);
    assert_int_equal(number(json, "compacted"), compacted);
}

static void both_readers_agree_on_compacted_logs(void **state)
{
    (void)state;
    char path[256];
    make_directory(path, sizeof path);
    struct story *story = story_new();
    struct weir_log_options options = small_options();
    struct weir_log *log;
    options.segment_bytes = 65536;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(weir_log_open(path, &options, &log, NULL), 0);
        options.segment_bytes = 0;
        story_fill(story, log, 9, 700, 3);
        for (int i = 0; i < 12; i++) {
            story_application(story, log, 100);
            story_put(story, log, (uint32_t)i % 5, 30);
        }
        story_fill(story, log, 9, 700, 3);
        story_compact(story, log, story->last);
        (void)story_expect(story, log);
        close_log(log);
        expect_same_as_cursor(path, story->last, 1);
    }
    char target[300];
    struct weir_salvage_report report = WEIR_SALVAGE_REPORT_INIT;
    snprintf(target, sizeof target, "%s-new", path);
    assert_int_equal(weir_salvage(path, NULL, target, NULL, NULL, &report, NULL), 0);
    assert_int_equal(report.gaps, 0);
    expect_same_as_cursor(target, story->last, 1);
    remove_directory(target);
    story_free(story);
    remove_directory(path);
}

/* ---- the worked example ---- */

static uint32_t put_record(uint8_t *target, const char *payload, uint16_t type, uint32_t user)
{
    struct format_record *record = (struct format_record *)target;
    size_t size = strlen(payload);
    le32_store(&record->size, (uint32_t)(FORMAT_RECORD_HEADER_BYTES + size));
    le32_store(&record->crc, base_crc32c(0, payload, size));
    le16_store(&record->type, type);
    le32_store(&record->user, user);
    memcpy(record + 1, payload, size);
    return (uint32_t)format_record_stride(size);
}

static void build_example(uint8_t *bytes)
{
    struct segment_header segment = {.ordinal = 1, .base_lsn = 1, .block_bytes = FORMAT_BLOCK};
    for (unsigned i = 0; i < FORMAT_UUID_BYTES; i++) {
        segment.uuid[i] = (uint8_t)(0x10 + i);
    }
    uint32_t uuid_seed = group_uuid_seed(segment.uuid);
    memset(bytes, 0, EXAMPLE_BYTES);
    segment_header_encode(bytes, &segment, uuid_seed);

    uint8_t *first = bytes + FORMAT_SEGMENT_HEADER_BYTES;
    struct format_epoch *epoch = (struct format_epoch *)(first + FORMAT_GROUP_HEADER_BYTES);
    le64_store(&epoch->epoch, 1);
    le32_store(&epoch->seed, 0x5eed1234);
    struct group_header header = {.address = SMALL_SEGMENT + FORMAT_SEGMENT_HEADER_BYTES,
                                  .first_lsn = 1,
                                  .time_ns = UINT64_C(1800000000000000000),
                                  .body_crc = base_crc32c(0, epoch, sizeof *epoch),
                                  .size_bytes = FORMAT_GROUP_HEADER_BYTES + sizeof *epoch,
                                  .epoch = 1,
                                  .kind = FORMAT_GROUP_EPOCH};
    group_encode(first, &header, uuid_seed);

    uint8_t *second = first + FORMAT_BLOCK;
    uint32_t size = FORMAT_GROUP_HEADER_BYTES;
    uint32_t one = put_record(second + size, "hello", 7, 42);
    uint32_t crc = base_crc32c_16(0, second + size);
    uint32_t two = put_record(second + size + one, "", 8, 0);
    crc = base_crc32c_16(crc, second + size + one);
    struct group_header data = {.address = header.address + FORMAT_BLOCK,
                                .first_lsn = 1,
                                .time_ns = header.time_ns + 1000000,
                                .chain = header.crc,
                                .body_crc = crc,
                                .record_count = 2,
                                .size_bytes = size + one + two,
                                .epoch = 1,
                                .kind = FORMAT_GROUP_DATA};
    group_encode(second, &data, 0x5eed1234);
}

static bool is_line_of_zeros(const uint8_t *bytes)
{
    return scan_is_zero(bytes, 16);
}

static void print_example(void)
{
    static uint8_t bytes[EXAMPLE_BYTES];
    build_example(bytes);
    for (unsigned at = 0; at < EXAMPLE_BYTES; at += 16) {
        bool second_copy = at >= FORMAT_BLOCK && at < FORMAT_SEGMENT_HEADER_BYTES;
        if (second_copy || is_line_of_zeros(bytes + at)) {
            continue;
        }
        printf("%05x ", at);
        for (unsigned i = 0; i < 16; i++) {
            printf(" %02x", bytes[at + i]);
        }
        printf("\n");
    }
}

/* The hex block of the page over zeros, with the second copy of the header. */
static void read_example(uint8_t *bytes)
{
    FILE *page = fopen(FORMAT_SOURCE "/docs/FORMAT.md", "r");
    assert_non_null(page);
    char line[1024];
    bool inside = false;
    memset(bytes, 0, EXAMPLE_BYTES);
    while (fgets(line, sizeof line, page) != NULL) {
        if (strncmp(line, "```", 3) == 0) {
            inside = strcmp(line, "```hex\n") == 0;
            continue;
        }
        char *rest;
        unsigned long at = inside ? strtoul(line, &rest, 16) : 0;
        for (unsigned i = 0; inside && i < 16; i++) {
            assert_in_range(at + i, 0, EXAMPLE_BYTES - 1);
            bytes[at + i] = (uint8_t)strtoul(rest, &rest, 16);
        }
    }
    assert_int_equal(fclose(page), 0);
    memcpy(bytes + FORMAT_BLOCK, bytes, FORMAT_BLOCK);
}

static void the_worked_example_of_the_page_is_what_the_code_writes_and_reads(void **state)
{
    (void)state;
    static uint8_t written[EXAMPLE_BYTES], read[EXAMPLE_BYTES];
    build_example(written);
    read_example(read);
    assert_memory_equal(read, written, EXAMPLE_BYTES);

    struct segment_header segment;
    assert_int_equal(segment_header_decode(read, NULL, 1, &segment), 0);
    uint32_t uuid_seed = group_uuid_seed(segment.uuid);
    struct group_chain chain = {.next_lsn = segment.base_lsn,
                                .time_ns = segment.base_time_ns,
                                .epoch = segment.epoch,
                                .seed = segment.seed,
                                .crc = segment.chain};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t offset = FORMAT_SEGMENT_HEADER_BYTES + i * FORMAT_BLOCK;
        struct group_header header;
        uint32_t record;
        assert_int_equal(group_decode(read + offset, SMALL_SEGMENT + offset, chain.seed, uuid_seed,
                                      SMALL_SEGMENT, &header),
                         GROUP_OK);
        assert_int_equal(group_check_place(&header, &chain), GROUP_OK);
        assert_int_equal(group_check_body(read + offset, &header, FORMAT_BLOCK, &record), GROUP_OK);
        group_chain_advance(&chain, read + offset, &header);
    }
    assert_int_equal(chain.next_lsn, 3);
}

static void the_second_reader_understands_the_worked_example(void **state)
{
    (void)state;
    char json[1024];
    run_reader("--hex " FORMAT_SOURCE "/docs/FORMAT.md", json, sizeof json);
    assert_int_equal(number(json, "records"), 2);
    assert_int_equal(number(json, "groups"), 2);
    assert_int_equal(number(json, "next_lsn"), 3);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        print_example();
        return 0;
    }
    if (system("python3 -c ''") != 0) {
        fprintf(stderr, "python3 is not installed: the second reader cannot run\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_example_of_the_page_is_what_the_code_writes_and_reads),
        cmocka_unit_test(the_second_reader_understands_the_worked_example),
        cmocka_unit_test(both_readers_agree_on_whole_logs),
        cmocka_unit_test(both_readers_agree_on_damaged_logs),
        cmocka_unit_test(both_readers_agree_on_salvaged_logs),
        cmocka_unit_test(both_readers_agree_on_compacted_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
