#include "tests/wal/cursor_support.h"

#include "wal/log.h"

const struct rig RIG_MEMORY = {.name = "memory", .kind = WEIR_MEDIUM_CUSTOM, .asynchronous = true};
const struct rig RIG_MEMORY_FILE = {.name = "memory, window is file, 64 B blocks",
                                    .kind = WEIR_MEDIUM_CUSTOM,
                                    .window_is_file = true,
                                    .block_bytes = 64};
const struct rig RIG_DIRECT = {.name = "direct", .kind = WEIR_MEDIUM_DIRECT};
const struct rig RIG_MAPPED = {.name = "mapped", .kind = WEIR_MEDIUM_MAPPED};

void rig_begin(struct rig *rig, const struct rig *model)
{
    *rig = *model;
    if (rig->kind == WEIR_MEDIUM_CUSTOM) {
        rig->disk.options.window_is_file = rig->window_is_file;
        rig->disk.options.asynchronous = rig->asynchronous;
        rig->disk.options.block_bytes = rig->block_bytes;
        assert_int_equal(sim_memory_open(&rig->disk.options, &rig->disk.keeper), 0);
        rig->disk.options.disk = sim_memory_disk(rig->disk.keeper);
    } else {
        make_directory(rig->directory, sizeof rig->directory);
    }
}

void rig_close(struct rig *rig)
{
    if (rig->log != NULL) {
        close_log(rig->log);
        rig->log = NULL;
    }
}

void rig_end(struct rig *rig)
{
    rig_close(rig);
    if (rig->kind == WEIR_MEDIUM_CUSTOM) {
        disk_free(&rig->disk);
    } else {
        remove_directory(rig->directory);
    }
}

struct weir_log *rig_open(struct rig *rig, const struct weir_log_options *given)
{
    rig_close(rig);
    if (rig->kind == WEIR_MEDIUM_CUSTOM) {
        rig->log = open_log(&rig->disk, given);
        return rig->log;
    }
    struct weir_log_options options = given != NULL ? *given : small_options();
    struct weir_error why = WEIR_ERROR_INIT;
    options.medium = rig->kind;
    if ((options.flags & WEIR_LOG_READ_ONLY) == 0) {
        options.segment_bytes = SMALL_SEGMENT;
    }
    int rc = weir_log_open(rig->directory, &options, &rig->log, &why);
    if (rc == WEIR_E_MEDIUM) {
        print_message("%s: %s\n", rig->name, why.text);
        remove_directory(rig->directory);
        skip();
    }
    if (rc < 0) {
        fail_msg("%s: open: %d %s", rig->name, rc, why.text);
    }
    return rig->log;
}

/* ---- writing ---- */

static weir_lsn next_lsn(struct weir_log *log)
{
    return atomic_load(&log->marks.reserved) + 1;
}

weir_lsn append_next(struct weir_log *log, enum weir_durability durability)
{
    uint8_t payload[PAYLOAD_MOST];
    weir_lsn expected = next_lsn(log), lsn = 0;
    size_t size = numbered_payload(expected, payload, sizeof payload);
    int rc = try_append(log, payload, size, durability, &lsn);
    if (rc < 0 || lsn != expected) {
        fail_msg("append of %lu: %d, LSN %lu", (unsigned long)expected, rc, (unsigned long)lsn);
    }
    return lsn;
}

void append_many(struct weir_log *log, unsigned count, enum weir_durability durability)
{
    for (unsigned i = 0; i < count; i++) {
        append_next(log, durability);
    }
}

weir_lsn append_batch_of(struct weir_log *log, unsigned count, enum weir_durability durability)
{
    uint8_t payloads[64][PAYLOAD_MOST];
    struct weir_part parts[64];
    struct weir_entry entries[64];
    weir_lsn first = next_lsn(log), lsn = 0;
    assert_true(count <= 64);
    for (unsigned i = 0; i < count; i++) {
        parts[i].data = payloads[i];
        parts[i].size = numbered_payload(first + i, payloads[i], PAYLOAD_MOST);
        entries[i] = (struct weir_entry){.parts = &parts[i], .part_count = 1};
    }
    assert_int_equal(weir_append_batch(log, entries, count, durability, &lsn), 0);
    assert_int_equal(lsn, first);
    return first;
}

weir_lsn append_void(struct weir_log *log)
{
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(log, 0, 20, &reservation), 0);
    weir_lsn lsn = reservation.lsn;
    assert_int_equal(weir_cancel(log, &reservation), 0);
    return lsn;
}

/* ---- reading ---- */

bool is_intact(const struct weir_record *record)
{
    uint8_t payload[PAYLOAD_MOST];
    size_t size = numbered_payload(record->lsn, payload, sizeof payload);
    return record->size == size && memcmp(record->data, payload, size) == 0;
}

struct weir_cursor *open_cursor(struct weir_log *log, const struct weir_cursor_options *options)
{
    struct weir_cursor *cursor = NULL;
    assert_int_equal(weir_cursor_open(log, options, &cursor), 0);
    assert_non_null(cursor);
    return cursor;
}

struct weir_cursor *open_cursor_at(struct weir_log *log, weir_lsn lsn)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_LSN;
    options.lsn = lsn;
    return open_cursor(log, &options);
}

static void explain(struct weir_cursor *cursor, int rc, weir_lsn lsn)
{
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_cursor_error(cursor, &why), 0);
    fail_msg("next() at %lu: %d %s", (unsigned long)lsn, rc, rc < 0 ? why.text : "");
}

uint64_t expect_next(struct weir_cursor *cursor, weir_lsn lsn)
{
    struct weir_record record;
    int rc = weir_cursor_next(cursor, &record);
    if (rc != 1) {
        explain(cursor, rc, lsn);
    }
    assert_int_equal(record.lsn, lsn);
    assert_true(is_intact(&record));
    return record.time_ns;
}

void expect_run(struct weir_cursor *cursor, weir_lsn from, weir_lsn to)
{
    for (weir_lsn lsn = from; lsn <= to; lsn++) {
        expect_next(cursor, lsn);
    }
}

void expect_caught_up(struct weir_cursor *cursor)
{
    struct weir_record record;
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
}

void expect_refusal(struct weir_cursor *cursor, int rc, weir_lsn from, weir_lsn to)
{
    struct weir_record record;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_cursor_next(cursor, &record), rc);
    assert_int_equal(weir_cursor_error(cursor, &why), 0);
    if (why.code != rc || why.from_lsn != from || why.to_lsn != to) {
        fail_msg("expected %d for LSNs %lu to %lu: %s", rc, (unsigned long)from, (unsigned long)to,
                 why.text);
    }
}

struct weir_stat stat_of(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    return stat;
}
