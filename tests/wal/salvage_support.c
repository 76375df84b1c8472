#include "tests/wal/salvage_support.h"

#include "base/crc32c.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- disks ---- */

struct digest {
    struct weir_medium *medium;
    uint32_t sum, files;
};

static int add_file(void *context, const char *name)
{
    struct digest *digest = context;
    uint64_t size = 0;
    const uint8_t *bytes = sim_memory_bytes(digest->medium, name, false, &size);
    /* In no order: so the files' own sums are added. */
    digest->sum += base_crc32c(base_crc32c(0, name, strlen(name)), bytes, (size_t)size);
    digest->files++;
    return 0;
}

static struct digest look_at_disk(struct weir_medium *medium)
{
    struct digest digest = {.medium = medium};
    assert_int_equal(medium->ops->list(medium, "", add_file, &digest), 0);
    return digest;
}

uint32_t disk_digest(struct weir_medium *medium)
{
    return look_at_disk(medium).sum;
}

uint32_t disk_files(struct weir_medium *medium)
{
    return look_at_disk(medium).files;
}

static struct weir_medium *medium_on(struct weir_medium *keeper, bool read_only,
                                     const struct sim_memory_faults *faults)
{
    struct sim_memory_options options = {
        .disk = sim_memory_disk(keeper),
        .block_bytes = keeper->info.block_bytes,
        .window_is_file = keeper->info.window_is_file,
        .read_only = read_only,
        .faults = faults != NULL ? *faults : (struct sim_memory_faults){0},
    };
    struct weir_medium *medium;
    assert_int_equal(sim_memory_open(&options, &medium), 0);
    return medium;
}

static struct weir_log_options options_on(struct weir_medium *keeper, bool read_only,
                                          const struct sim_memory_faults *faults)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.lock_wait_ns = WEIR_NO_WAIT;
    options.medium = WEIR_MEDIUM_CUSTOM;
    options.custom_medium = medium_on(keeper, read_only, faults);
    return options;
}

/* ---- what was there ---- */

static struct memory_of_record record_of(const struct weir_record *record)
{
    return (struct memory_of_record){
        .time_ns = record->time_ns,
        .size = record->size,
        .crc = base_crc32c(0, record->data, record->size),
        .user = record->user,
        .type = record->type,
        .flags = record->flags,
    };
}

static struct weir_cursor *open_cursor(struct weir_log *log)
{
    struct weir_cursor_options all = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    all.with_void = all.with_gaps = true;
    assert_int_equal(weir_cursor_open(log, &all, &cursor), 0);
    return cursor;
}

void remember(struct image *image, struct memory_of_log *ret_log)
{
    struct weir_log_options options = options_on(image->medium, true, NULL);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    struct weir_record record;
    memset(ret_log, 0, sizeof *ret_log);
    options.flags = WEIR_LOG_READ_ONLY;
    if (weir_log_open("memory", &options, &log, &why) < 0) {
        fail_msg("%s", why.text);
    }
    struct weir_cursor *cursor = open_cursor(log);
    while (weir_cursor_next(cursor, &record) == 1) {
        assert_in_range(record.lsn, 1, RECORDS_MAX);
        ret_log->records[record.lsn - 1] = record_of(&record);
        ret_log->latest = record.lsn;
    }
    weir_cursor_close(cursor);
    assert_int_equal(weir_log_close(log), 0);
}

struct image_group group_with(const struct image *image, weir_lsn lsn)
{
    for (uint32_t g = 0; g < image->group_count; g++) {
        const struct image_group *group = &image->groups[g];
        if (lsn >= group->first_lsn && lsn < group->first_lsn + group->records) {
            return *group;
        }
    }
    fail_msg("no group with LSN %lu", (unsigned long)lsn);
    return image->groups[0];
}

/* ---- salvaging ---- */

static int take(void *context, const struct weir_finding *finding)
{
    struct salvaged *salvaged = context;
    assert_true(strlen(finding->text) > 10);
    assert_true(strlen(finding->advice) > 10);
    assert_string_not_equal(finding->code, "");
    if (finding->note) {
        assert_true(strcmp(finding->code, "gap") == 0 ||
                    strstr(finding->text, " are lost") == NULL);
        salvaged->note_count++;
        return 0;
    }
    assert_in_range(salvaged->gap_count, 0, GAPS_MAX - 1);
    assert_non_null(strstr(finding->text, finding->file));
    salvaged->gaps[salvaged->gap_count++] = *finding;
    return 0;
}

void salvage(struct image *image, struct salvaged *salvaged)
{
    if (salvaged->keeper == NULL) {
        struct sim_memory_options fresh = {
            .block_bytes = image->control.block_bytes,
            .window_is_file = image->control.block_bytes < FORMAT_BLOCK,
        };
        assert_int_equal(sim_memory_open(&fresh, &salvaged->keeper), 0);
    }
    struct weir_log_options from = options_on(image->medium, true, &salvaged->source_faults);
    struct weir_log_options to = options_on(salvaged->keeper, false, &salvaged->target_faults);
    struct weir_salvage_watch watch = salvaged->watch;
    if (watch.finding == NULL) {
        watch = (struct weir_salvage_watch){.context = salvaged, .finding = take};
    }
    uint32_t before = disk_digest(image->medium);
    salvaged->gap_count = salvaged->note_count = 0;
    salvaged->report = (struct weir_salvage_report)WEIR_SALVAGE_REPORT_INIT;
    salvaged->why = (struct weir_error)WEIR_ERROR_INIT;
    salvaged->rc =
        weir_salvage("source", &from, "target", &to, &watch, &salvaged->report, &salvaged->why);
    assert_int_equal(disk_digest(image->medium), before);
    assert_true(salvaged->rc >= 0 || strlen(salvaged->why.text) > 10);
}

void salvaged_free(struct salvaged *salvaged)
{
    salvaged->keeper->ops->destroy(salvaged->keeper);
    salvaged->keeper = NULL;
}

struct weir_log *open_salvaged(struct salvaged *salvaged)
{
    struct weir_log_options options = options_on(salvaged->keeper, false, NULL);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log;
    if (weir_log_open("memory", &options, &log, &why) < 0) {
        fail_msg("the salvaged log does not open: %s", why.text);
    }
    return log;
}

bool in_gap(const struct salvaged *salvaged, weir_lsn lsn)
{
    for (uint32_t i = 0; i < salvaged->gap_count; i++) {
        if (salvaged->gaps[i].from_lsn <= lsn && lsn <= salvaged->gaps[i].to_lsn) {
            return true;
        }
    }
    return false;
}

const struct weir_finding *expect_gap(const struct salvaged *salvaged, const char *code,
                                      weir_lsn from, weir_lsn to)
{
    for (uint32_t i = 0; i < salvaged->gap_count; i++) {
        const struct weir_finding *gap = &salvaged->gaps[i];
        if (strcmp(gap->code, code) == 0 && gap->from_lsn == from && gap->to_lsn == to) {
            return gap;
        }
    }
    for (uint32_t i = 0; i < salvaged->gap_count; i++) {
        print_message("gap %s %lu to %lu: %s\n", salvaged->gaps[i].code,
                      (unsigned long)salvaged->gaps[i].from_lsn,
                      (unsigned long)salvaged->gaps[i].to_lsn, salvaged->gaps[i].text);
    }
    fail_msg("no gap %s %lu to %lu", code, (unsigned long)from, (unsigned long)to);
    return NULL;
}

/* ---- comparing ---- */

static weir_lsn end_of_gap(const struct salvaged *salvaged, weir_lsn lsn)
{
    for (uint32_t i = 0; i < salvaged->gap_count; i++) {
        if (salvaged->gaps[i].from_lsn <= lsn && lsn <= salvaged->gaps[i].to_lsn) {
            return salvaged->gaps[i].to_lsn;
        }
    }
    return 0;
}

static void expect_gap_record(const struct salvaged *salvaged, const struct weir_record *record)
{
    assert_int_equal(record->size, 0);
    assert_true(record->type >= WEIR_TYPE_RESERVED);
    assert_int_equal(record->lsn + record->user - 1, end_of_gap(salvaged, record->lsn));
    for (uint32_t i = 0; i < salvaged->gap_count; i++) {
        if (salvaged->gaps[i].from_lsn == record->lsn) {
            assert_string_equal(weir_gap_code(record), salvaged->gaps[i].code);
        }
    }
}

static uint64_t compare_records(struct weir_log *log, const struct salvaged *salvaged,
                                const struct memory_of_log *was)
{
    struct weir_cursor *cursor = open_cursor(log);
    struct weir_record record;
    weir_lsn next = salvaged->report.kept_from;
    uint64_t whole = 0, gaps = 0;
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        assert_int_equal(record.lsn, next++);
        if ((record.flags & WEIR_RECORD_GAP) != 0) {
            expect_gap_record(salvaged, &record);
            gaps++;
            continue;
        }
        assert_false(in_gap(salvaged, record.lsn));
        struct memory_of_record is = record_of(&record);
        assert_in_range(record.lsn, 1, was->latest);
        assert_memory_equal(&is, &was->records[record.lsn - 1], sizeof is);
        whole++;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(next, salvaged->report.kept_to + (salvaged->report.kept_to > 0 ? 1 : 0));
    assert_int_equal(whole, salvaged->report.records);
    assert_int_equal(gaps, salvaged->report.gap_lsns);
    weir_cursor_close(cursor);
    return whole;
}

struct weir_verify_report verify_image(struct image *image)
{
    struct weir_log_options options = options_on(image->medium, true, NULL);
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    assert_int_equal(weir_verify("", &options, NULL, NULL, &report, NULL), 0);
    return report;
}

static int expect_gap_note(void *context, const struct weir_finding *finding)
{
    (void)context;
    assert_true(finding->note);
    assert_string_equal(finding->code, "gap");
    return 0;
}

static void expect_verified(struct salvaged *salvaged)
{
    struct weir_log_options options = options_on(salvaged->keeper, true, NULL);
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    assert_int_equal(weir_verify("", &options, expect_gap_note, NULL, &report, NULL), 0);
    assert_true(report.ok);
    assert_int_equal(report.records, salvaged->report.records);
    assert_int_equal(report.gap_lsns, salvaged->report.gap_lsns);
    assert_int_equal(report.cut_bytes, 0);
}

uint64_t expect_consistent(struct salvaged *salvaged, const struct memory_of_log *was)
{
    if (salvaged->rc != 0) {
        fail_msg("%d %s", salvaged->rc, salvaged->why.text);
    }
    assert_int_equal(salvaged->report.gaps, salvaged->gap_count);
    expect_verified(salvaged);
    struct weir_log *log = open_salvaged(salvaged);
    uint64_t whole = compare_records(log, salvaged, was);
    struct weir_part part = {"next", 4};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    weir_lsn lsn, latest = salvaged->report.kept_to;
    assert_int_equal(weir_append(log, &entry, WEIR_EACH, &lsn), 0);
    assert_true(latest == 0 || lsn == latest + 1);
    assert_int_equal(weir_log_close(log), 0);
    return whole;
}
