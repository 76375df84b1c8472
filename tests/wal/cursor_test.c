/* Cursors on one thread: what is lent, in which order, for how long, and from where it can start.
 */
#include "tests/wal/cursor_support.h"

#include "wal/log.h"

#include <errno.h>

/* Runs a test on every medium. */
#define ON_EVERY_MEDIUM(body)                                                                      \
    static void body##_on(const struct rig *model)                                                 \
    {                                                                                              \
        struct rig rig;                                                                            \
        rig_begin(&rig, model);                                                                    \
        body(&rig);                                                                                \
        rig_end(&rig);                                                                             \
    }                                                                                              \
    static void body##_in_memory(void **state)                                                     \
    {                                                                                              \
        (void)state;                                                                               \
        body##_on(&RIG_MEMORY);                                                                    \
    }                                                                                              \
    static void body##_in_small_blocks(void **state)                                               \
    {                                                                                              \
        (void)state;                                                                               \
        body##_on(&RIG_MEMORY_FILE);                                                               \
    }                                                                                              \
    static void body##_direct(void **state)                                                        \
    {                                                                                              \
        (void)state;                                                                               \
        body##_on(&RIG_DIRECT);                                                                    \
    }                                                                                              \
    static void body##_mapped(void **state)                                                        \
    {                                                                                              \
        (void)state;                                                                               \
        body##_on(&RIG_MAPPED);                                                                    \
    }

#define EVERY_MEDIUM(body)                                                                         \
    cmocka_unit_test(body##_in_memory), cmocka_unit_test(body##_in_small_blocks),                  \
        cmocka_unit_test(body##_direct), cmocka_unit_test(body##_mapped)

static bool is_inside_window(struct weir_log *log, const void *data)
{
    bool inside = false;
    base_lock_acquire(&log->segments.lock);
    for (uint32_t i = 0; i < log->segments.count; i++) {
        const uint8_t *base = log->segments.slots[i]->base;
        inside = inside || (base != NULL && (const uint8_t *)data >= base &&
                            (const uint8_t *)data < base + log->limits.segment_bytes);
    }
    base_lock_release(&log->segments.lock);
    return inside;
}

static uint64_t segment_count(struct weir_log *log)
{
    return stat_of(log).segments;
}

/* ---- CU-01: lending in place ---- */

static void cu_01_what_is_lent_lies_inside_the_window(struct rig *rig)
{
    struct weir_log *log = rig_open(rig, NULL);
    append_many(log, 2000, WEIR_NONE);
    assert_int_equal(weir_commit(log), 0);
    assert_true(segment_count(log) > 2);
    for (int round = 0; round < 2; round++) { /* in windows, then in mappings */
        struct weir_cursor *cursor = open_cursor(log, NULL);
        struct weir_record record;
        while (weir_cursor_next(cursor, &record) == 1) {
            assert_true(is_inside_window(log, record.data));
        }
        weir_cursor_close(cursor);
        log = rig_open(rig, NULL);
    }
}
ON_EVERY_MEDIUM(cu_01_what_is_lent_lies_inside_the_window)

static void cu_01_a_batch_is_lent_as_a_whole_and_ends_at_a_segment(struct rig *rig)
{
    struct weir_log *log = rig_open(rig, NULL);
    append_many(log, 2000, WEIR_NONE);
    assert_int_equal(weir_commit(log), 0);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    struct weir_record records[64];
    weir_lsn lsn = 1;
    int count;
    while ((count = weir_cursor_next_batch(cursor, records, 64)) > 0) {
        uintptr_t first = (uintptr_t)records[0].data, last = (uintptr_t)records[count - 1].data;
        assert_true(last >= first && last - first < SMALL_SEGMENT);
        for (int i = 0; i < count; i++) {
            assert_int_equal(records[i].lsn, lsn++);
            assert_true(is_intact(&records[i]));
        }
    }
    assert_int_equal(count, 0);
    assert_int_equal(lsn, 2001);
    weir_cursor_close(cursor);
}
ON_EVERY_MEDIUM(cu_01_a_batch_is_lent_as_a_whole_and_ends_at_a_segment)

static void cu_01_a_pin_outlives_the_cursor_and_keeps_the_log_open(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 10, WEIR_EACH);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    struct weir_record record;
    struct weir_pin *pin;
    assert_int_equal(weir_cursor_pin(cursor, &pin), -EINVAL); /* nothing is lent yet */
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(weir_cursor_pin(cursor, &pin), 0);
    assert_int_equal(weir_log_close(log), -EBUSY);
    weir_cursor_close(cursor);
    assert_true(is_intact(&record));
    assert_int_equal(weir_log_close(log), -EBUSY);
    weir_pin_drop(pin);
    weir_pin_drop(NULL);
    weir_cursor_close(NULL);
    rig_end(&rig);
}

static void cu_01_after_a_call_that_lent_nothing_there_is_nothing_to_pin(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 1, WEIR_EACH);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    struct weir_pin *pin;
    expect_next(cursor, 1);
    expect_caught_up(cursor);
    assert_int_equal(weir_cursor_pin(cursor, &pin), -EINVAL);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

/* ---- CU-02: visibility ---- */

static void cu_02_only_durable_records_are_seen_unless_published_ones_are_asked_for(struct rig *rig)
{
    struct weir_log *log = rig_open(rig, NULL);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = true;
    struct weir_cursor *durable = open_cursor(log, NULL);
    struct weir_cursor *published = open_cursor(log, &options);
    append_many(log, 5, WEIR_NONE);
    expect_caught_up(durable);
    expect_run(published, 1, 5);
    expect_caught_up(published);
    append_many(log, 5, WEIR_NONE);
    expect_run(published, 6, 8);
    assert_int_equal(weir_commit(log), 0);
    expect_run(durable, 1, 10);
    expect_run(published, 9, 10);
    append_many(log, 3000, WEIR_NONE); /* several groups and segments, most not durable */
    expect_run(published, 11, 3010);
    expect_caught_up(published);
    assert_int_equal(weir_commit(log), 0);
    expect_run(durable, 11, 3010);
    weir_cursor_close(durable);
    weir_cursor_close(published);
}
ON_EVERY_MEDIUM(cu_02_only_durable_records_are_seen_unless_published_ones_are_asked_for)

static void cu_02_a_published_cursor_stops_at_a_reservation_that_is_open(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = true;
    append_many(log, 3, WEIR_NONE);
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(log, 0, PAYLOAD_MOST, &reservation), 0);
    append_many(log, 3, WEIR_NONE);
    struct weir_cursor *cursor = open_cursor(log, &options);
    expect_run(cursor, 1, 3);
    expect_caught_up(cursor);
    struct weir_cursor *behind = open_cursor(log, &options);
    assert_int_equal(weir_cursor_seek(behind, 6), 0);
    expect_caught_up(behind); /* what is in front of it decides where it lies */
    assert_int_equal(weir_cursor_position(behind), 6);
    options.from = WEIR_FROM_LATEST;
    struct weir_cursor *latest = open_cursor(log, &options);
    assert_int_equal(weir_cursor_position(latest), 4);
    assert_int_equal(weir_cancel(log, &reservation), 0);
    expect_run(cursor, 5, 7); /* the VOID record is skipped */
    expect_run(behind, 6, 7);
    expect_run(latest, 5, 7);
    weir_cursor_close(cursor);
    weir_cursor_close(behind);
    weir_cursor_close(latest);
    rig_end(&rig);
}

static void cu_02_with_strict_witness_a_published_cursor_sees_flushed_groups(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log_options log_options = small_options();
    log_options.witness = WEIR_WITNESS_STRICT;
    struct weir_log *log = rig_open(&rig, &log_options);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = true;
    struct weir_cursor *cursor = open_cursor(log, &options);
    for (weir_lsn lsn = 1; lsn <= 300; lsn += 3) {
        append_next(log, WEIR_EACH);
        append_next(log, WEIR_GROUP);
        append_next(log, WEIR_NONE);
        expect_run(cursor, lsn, lsn + 2);
        expect_caught_up(cursor);
    }
    append_many(log, 3000, WEIR_NONE); /* flushed in the background, and not witnessed at once */
    expect_run(cursor, 301, 3300);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

/* ---- WL-02: where reading starts ---- */

static void wl_02_reading_from_an_lsn_is_inclusive_and_zero_is_everything(struct rig *rig)
{
    struct weir_log *log = rig_open(rig, NULL);
    append_many(log, 100, WEIR_EACH);
    struct weir_cursor *cursor = open_cursor_at(log, 0);
    expect_run(cursor, 1, 100);
    expect_caught_up(cursor);
    assert_int_equal(weir_cursor_seek(cursor, 100), 0);
    expect_next(cursor, 100);
    assert_int_equal(weir_cursor_seek(cursor, 0), 0);
    assert_int_equal(weir_cursor_position(cursor), 1);
    expect_next(cursor, 1);
    weir_cursor_close(cursor);
}
ON_EVERY_MEDIUM(wl_02_reading_from_an_lsn_is_inclusive_and_zero_is_everything)

static void wl_02_reading_past_the_end_gives_nothing_until_it_is_there(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor *empty = open_cursor(log, NULL);
    struct weir_cursor *cursor = open_cursor_at(log, 7);
    expect_caught_up(empty);
    expect_caught_up(cursor);
    append_many(log, 6, WEIR_EACH);
    expect_caught_up(cursor);
    assert_int_equal(weir_cursor_position(cursor), 7);
    append_many(log, 2, WEIR_EACH);
    expect_run(cursor, 7, 8);
    expect_run(empty, 1, 8);
    weir_cursor_close(cursor);
    weir_cursor_close(empty);
    rig_end(&rig);
}

static void wl_02_below_the_earliest_is_an_error_that_names_the_lsns(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 100, WEIR_EACH);
    struct weir_cursor *overtaken = open_cursor(log, NULL);
    expect_run(overtaken, 1, 10);
    assert_int_equal(weir_truncate_before(log, 50, NULL), 0);
    expect_refusal(overtaken, WEIR_E_TRUNCATED, 11, 49);
    struct weir_record records[4];
    assert_int_equal(weir_cursor_next_batch(overtaken, records, 4), WEIR_E_TRUNCATED);
    assert_int_equal(weir_cursor_wait(overtaken, 0), WEIR_E_TRUNCATED);
    assert_int_equal(weir_cursor_seek(overtaken, 49), WEIR_E_TRUNCATED);
    assert_int_equal(weir_cursor_seek(overtaken, 50), 0);
    expect_run(overtaken, 50, 100);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor = NULL;
    options.from = WEIR_FROM_LSN;
    options.lsn = 49;
    assert_int_equal(weir_cursor_open(log, &options, &cursor), WEIR_E_TRUNCATED);
    assert_null(cursor);
    cursor = open_cursor(log, NULL);
    expect_run(cursor, 50, 100);
    weir_cursor_close(cursor);
    weir_cursor_close(overtaken);
    rig_end(&rig);
}

static void wl_02_at_or_below_the_horizon_the_compacted_view_must_be_asked_for(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    append_many(log, 100, WEIR_EACH);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    struct weir_cursor *none;
    expect_run(cursor, 1, 10);
    atomic_store(&log->marks.horizon, 30);          /* as a compaction will */
    expect_refusal(cursor, WEIR_E_HORIZON, 11, 30); /* its position is lost, and it is told */
    assert_int_equal(weir_cursor_seek(cursor, 30), WEIR_E_HORIZON);
    assert_int_equal(weir_cursor_open(log, NULL, &none), WEIR_E_HORIZON);
    assert_int_equal(weir_cursor_seek(cursor, 31), 0);
    expect_run(cursor, 31, 100);
    options.compacted = true;
    struct weir_cursor *compacted = open_cursor(log, &options);
    expect_run(compacted, 1, 100);
    weir_cursor_close(cursor);
    weir_cursor_close(compacted);
    rig_end(&rig);
}

static void wl_02_options_that_mean_nothing_yet_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    struct {
        struct weir_cursor_options known;
        uint64_t unknown;
    } newer = {.known = {.size = sizeof newer}};
    struct weir_cursor_options none = {0}, reserved = WEIR_CURSOR_OPTIONS_INIT,
                               from = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    reserved.reserved[3] = 1;
    from.from = (enum weir_cursor_from)9;
    assert_int_equal(weir_cursor_open(log, &none, &cursor), -EINVAL);
    assert_int_equal(weir_cursor_open(log, &reserved, &cursor), -EINVAL);
    assert_int_equal(weir_cursor_open(log, &from, &cursor), -EINVAL);
    assert_int_equal(weir_cursor_open(log, &newer.known, &cursor), 0);
    weir_cursor_close(cursor);
    newer.unknown = 1;
    assert_int_equal(weir_cursor_open(log, &newer.known, &cursor), -EINVAL);
    rig_end(&rig);
}

/* ---- CU-04: pins against truncation ---- */

static void cu_04_truncation_takes_no_memory_from_under_a_cursor_or_a_pin(struct rig *rig)
{
    struct weir_log *log = rig_open(rig, NULL);
    append_many(log, 3000, WEIR_NONE);
    assert_int_equal(weir_commit(log), 0);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    struct weir_record record, pinned;
    struct weir_pin *pin;
    assert_int_equal(weir_cursor_next(cursor, &pinned), 1);
    assert_int_equal(weir_cursor_pin(cursor, &pin), 0);
    assert_int_equal(weir_cursor_seek(cursor, 1500), 0);
    assert_int_equal(weir_cursor_next(cursor, &record), 1);
    assert_int_equal(weir_truncate_before(log, 2990, NULL), 0);
    append_many(log, 3000, WEIR_NONE); /* over recycled files and windows */
    assert_int_equal(weir_commit(log), 0);
    assert_true(is_intact(&record));
    assert_true(is_intact(&pinned));
    expect_refusal(cursor, WEIR_E_TRUNCATED, 1501, 2989);
    assert_true(is_intact(&pinned));
    assert_int_equal(weir_cursor_seek(cursor, 0), 0);
    expect_run(cursor, 2990, 6000);
    assert_true(is_intact(&pinned));
    weir_pin_drop(pin);
    weir_cursor_close(cursor);
}
ON_EVERY_MEDIUM(cu_04_truncation_takes_no_memory_from_under_a_cursor_or_a_pin)

static void cu_04_pins_beyond_the_window_budget_leave_the_bytes_where_they_are(struct rig *rig)
{
    struct weir_log_options options = small_options();
    options.window_bytes = 2 * SMALL_SEGMENT;
    struct weir_log *log = rig_open(rig, &options);
    struct weir_cursor *cursor = open_cursor(log, NULL);
    struct weir_record records[32];
    struct weir_pin *pins[32];
    unsigned count = 0;
    for (weir_lsn lsn = 1; lsn <= 6400; lsn++) {
        append_next(log, WEIR_NONE);
        if (lsn % 200 != 0) {
            continue;
        }
        assert_int_equal(weir_commit(log), 0);
        assert_int_equal(weir_cursor_seek(cursor, lsn), 0);
        assert_int_equal(weir_cursor_next(cursor, &records[count]), 1);
        assert_int_equal(weir_cursor_pin(cursor, &pins[count]), 0);
        count++;
    }
    assert_true(segment_count(log) > 6);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(records[i].lsn, 200 * (i + 1));
        assert_true(is_intact(&records[i]));
    }
    assert_int_equal(weir_cursor_seek(cursor, 1), 0);
    expect_run(cursor, 1, 6400); /* frozen windows are read as well */
    for (unsigned i = 0; i < count; i++) {
        assert_true(is_intact(&records[i]));
        weir_pin_drop(pins[i]);
    }
    weir_cursor_close(cursor);
}
ON_EVERY_MEDIUM(cu_04_pins_beyond_the_window_budget_leave_the_bytes_where_they_are)

/* ---- WL-04, WL-15, WL-16 ---- */

static void wl_04_a_batch_is_seen_whole_or_not_at_all(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = true;
    struct weir_cursor *durable = open_cursor(log, NULL), *published = open_cursor(log, &options);
    struct weir_record records[64];
    for (weir_lsn lsn = 1; lsn < 4000; lsn += 40) {
        append_batch_of(log, 40, WEIR_NONE);
        weir_lsn end = lsn + 40;
        int count, seen = 0;
        while ((count = weir_cursor_next_batch(published, records, 64)) > 0) {
            seen += count;
        }
        assert_int_equal(seen, 40);
        while ((count = weir_cursor_next_batch(durable, records, 64)) > 0) {
            end = records[count - 1].lsn + 1;
        }
        assert_int_equal((end - 1) % 40, 0);
    }
    weir_cursor_close(durable);
    weir_cursor_close(published);
    rig_end(&rig);
}

static void wl_16_a_cancelled_record_keeps_its_lsn_and_is_skipped_unless_asked_for(struct rig *rig)
{
    struct weir_log *log = rig_open(rig, NULL);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.with_void = true;
    append_next(log, WEIR_NONE);
    assert_int_equal(append_void(log), 2);
    assert_int_equal(append_void(log), 3);
    append_next(log, WEIR_NONE);
    assert_int_equal(append_void(log), 5);
    assert_int_equal(weir_commit(log), 0);
    for (int round = 0; round < 2; round++) {
        struct weir_cursor *plain = open_cursor(log, NULL), *all = open_cursor(log, &options);
        struct weir_record record, records[8];
        expect_next(plain, 1);
        expect_next(plain, 4);
        assert_int_equal(weir_cursor_wait(plain, 0), 0);
        expect_caught_up(plain);
        assert_int_equal(weir_cursor_position(plain), 6);
        assert_int_equal(weir_cursor_seek(plain, 2), 0);
        assert_int_equal(weir_cursor_wait(plain, 0), 1);
        expect_next(plain, 4);
        assert_int_equal(weir_cursor_seek(plain, 1), 0);
        assert_int_equal(weir_cursor_next_batch(plain, records, 8), 2);
        assert_int_equal(records[1].lsn, 4);
        assert_int_equal(weir_cursor_seek(plain, 2), 0);
        assert_int_equal(weir_cursor_next_batch(plain, records, 1), 1);
        assert_int_equal(records[0].lsn, 4);
        for (weir_lsn lsn = 1; lsn <= 5; lsn++) {
            assert_int_equal(weir_cursor_next(all, &record), 1);
            assert_int_equal(record.lsn, lsn);
            bool is_void = lsn != 1 && lsn != 4;
            assert_int_equal((record.flags & WEIR_RECORD_VOID) != 0, is_void);
        }
        weir_cursor_close(plain);
        weir_cursor_close(all);
        log = rig_open(rig, NULL);
    }
}
ON_EVERY_MEDIUM(wl_16_a_cancelled_record_keeps_its_lsn_and_is_skipped_unless_asked_for)

/* ---- CU-05: seeking agrees with a scan ---- */

#define RANDOM_RECORDS 2500u

struct scanned {
    uint64_t time_ns;
    bool is_void;
};

static uint32_t random_below(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % below;
}

/* Records alone, in batches, cancelled; groups small and large; many epochs in a segment. */
static struct weir_log *write_random_log(struct rig *rig, uint64_t seed)
{
    struct weir_log *log = rig_open(rig, NULL);
    while (stat_of(log).reserved < RANDOM_RECORDS) {
        switch (random_below(&seed, 16)) {
        case 0:
            append_void(log);
            break;
        case 1:
            log = rig_open(rig, NULL);
            break;
        case 2:
            assert_int_equal(weir_commit(log), 0);
            break;
        case 3:
        case 4:
            append_next(log, WEIR_EACH);
            break;
        case 5:
            append_batch_of(log, 1 + random_below(&seed, 64), WEIR_GROUP);
            break;
        default:
            append_many(log, 1 + random_below(&seed, 10), WEIR_NONE);
            break;
        }
    }
    assert_int_equal(weir_commit(log), 0);
    return log;
}

static weir_lsn scan_all(struct weir_log *log, struct scanned *scanned, size_t most)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.with_void = true;
    struct weir_cursor *cursor = open_cursor(log, &options);
    struct weir_record record;
    weir_lsn last = 0;
    while (weir_cursor_next(cursor, &record) == 1) {
        assert_int_equal(record.lsn, ++last);
        assert_true(last < most);
        scanned[last].time_ns = record.time_ns;
        scanned[last].is_void = (record.flags & WEIR_RECORD_VOID) != 0;
        assert_true(scanned[last].is_void || is_intact(&record));
        assert_true(last == 1 || record.time_ns >= scanned[last - 1].time_ns);
    }
    weir_cursor_close(cursor);
    return last;
}

static void expect_seek_lsn(struct weir_cursor *cursor, const struct scanned *scanned, weir_lsn lsn,
                            weir_lsn last)
{
    assert_int_equal(weir_cursor_seek(cursor, lsn), 0);
    for (weir_lsn i = lsn; i < lsn + 3 && i <= last; i++) {
        struct weir_record record;
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(record.lsn, i);
        assert_int_equal(record.time_ns, scanned[i].time_ns);
        assert_true(scanned[i].is_void || is_intact(&record));
    }
}

static void expect_seek_time(struct weir_cursor *cursor, const struct scanned *scanned,
                             uint64_t time_ns, weir_lsn last)
{
    weir_lsn low = 1, high = last + 1;
    while (low < high) {
        weir_lsn middle = low + (high - low) / 2;
        if (scanned[middle].time_ns < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    assert_int_equal(weir_cursor_seek_time(cursor, time_ns), 0);
    assert_int_equal(weir_cursor_position(cursor), low);
    struct weir_record record;
    assert_int_equal(weir_cursor_next(cursor, &record), low <= last ? 1 : 0);
}

static void seek_everywhere(struct weir_log *log, bool backwards)
{
    static struct scanned scanned[RANDOM_RECORDS + 128];
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.with_void = true;
    struct weir_cursor *cursor = open_cursor(log, &options);
    weir_lsn last = stat_of(log).durable;
    if (backwards) { /* before a scan has checked anything */
        for (weir_lsn lsn = last; lsn > 0; lsn--) {
            struct weir_record record;
            assert_int_equal(weir_cursor_seek(cursor, lsn), 0);
            assert_int_equal(weir_cursor_next(cursor, &record), 1);
            assert_int_equal(record.lsn, lsn);
            assert_true((record.flags & WEIR_RECORD_VOID) != 0 || is_intact(&record));
        }
    }
    assert_int_equal(scan_all(log, scanned, COUNT_OF(scanned)), last);
    for (weir_lsn lsn = 1; lsn <= last; lsn++) {
        expect_seek_lsn(cursor, scanned, lsn, last);
        expect_seek_time(cursor, scanned, scanned[lsn].time_ns - 1, last);
        expect_seek_time(cursor, scanned, scanned[lsn].time_ns, last);
        expect_seek_time(cursor, scanned, scanned[lsn].time_ns + 1, last);
    }
    expect_seek_time(cursor, scanned, 0, last);
    expect_seek_time(cursor, scanned, UINT64_MAX, last);
    weir_cursor_close(cursor);
}

static void cu_05_seeking_to_every_lsn_and_time_agrees_with_a_scan(struct rig *rig)
{
    struct weir_log *log = write_random_log(rig, 7);
    assert_true(segment_count(log) > 2);
    seek_everywhere(log, false);
    seek_everywhere(rig_open(rig, NULL), true);
    seek_everywhere(rig_open(rig, NULL), false);
}
ON_EVERY_MEDIUM(cu_05_seeking_to_every_lsn_and_time_agrees_with_a_scan)

static void wl_15_a_time_between_published_groups_finds_the_later_one(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.published = true;
    append_many(log, 20, WEIR_EACH);
    append_many(log, 150, WEIR_NONE); /* more than a group */
    struct weir_cursor *cursor = open_cursor(log, &options);
    uint64_t times[171];
    for (weir_lsn lsn = 1; lsn <= 170; lsn++) {
        times[lsn - 1] = expect_next(cursor, lsn);
    }
    for (weir_lsn lsn = 1; lsn <= 170; lsn++) {
        weir_lsn first = lsn;
        while (first > 1 && times[first - 2] == times[lsn - 1]) {
            first--;
        }
        assert_int_equal(weir_cursor_seek_time(cursor, times[lsn - 1]), 0);
        assert_int_equal(weir_cursor_position(cursor), first);
    }
    assert_int_equal(weir_cursor_seek_time(cursor, times[169] + 1), 0);
    expect_caught_up(cursor);
    assert_int_equal(weir_cursor_position(cursor), 171);
    append_next(log, WEIR_NONE);
    expect_next(cursor, 171);
    weir_cursor_close(cursor);
    rig_end(&rig);
}

static void wl_15_a_log_can_be_entered_by_time_and_at_its_end(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, &RIG_MEMORY);
    struct weir_log *log = rig_open(&rig, NULL);
    append_many(log, 30, WEIR_EACH);
    struct weir_cursor *scan = open_cursor(log, NULL);
    uint64_t time_ns = 0;
    for (weir_lsn lsn = 1; lsn <= 20; lsn++) {
        time_ns = expect_next(scan, lsn);
    }
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.from = WEIR_FROM_TIME;
    options.time_ns = time_ns;
    struct weir_cursor *by_time = open_cursor(log, &options);
    struct weir_record record;
    assert_int_equal(weir_cursor_next(by_time, &record), 1);
    assert_true(record.lsn <= 20 && record.time_ns == time_ns);
    options.from = WEIR_FROM_LATEST;
    struct weir_cursor *latest = open_cursor(log, &options);
    expect_caught_up(latest);
    append_next(log, WEIR_EACH);
    expect_next(latest, 31);
    weir_cursor_close(scan);
    weir_cursor_close(by_time);
    weir_cursor_close(latest);
    rig_end(&rig);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        EVERY_MEDIUM(cu_01_what_is_lent_lies_inside_the_window),
        EVERY_MEDIUM(cu_01_a_batch_is_lent_as_a_whole_and_ends_at_a_segment),
        cmocka_unit_test(cu_01_a_pin_outlives_the_cursor_and_keeps_the_log_open),
        cmocka_unit_test(cu_01_after_a_call_that_lent_nothing_there_is_nothing_to_pin),
        EVERY_MEDIUM(cu_02_only_durable_records_are_seen_unless_published_ones_are_asked_for),
        cmocka_unit_test(cu_02_a_published_cursor_stops_at_a_reservation_that_is_open),
        cmocka_unit_test(cu_02_with_strict_witness_a_published_cursor_sees_flushed_groups),
        EVERY_MEDIUM(wl_02_reading_from_an_lsn_is_inclusive_and_zero_is_everything),
        cmocka_unit_test(wl_02_reading_past_the_end_gives_nothing_until_it_is_there),
        cmocka_unit_test(wl_02_below_the_earliest_is_an_error_that_names_the_lsns),
        cmocka_unit_test(wl_02_at_or_below_the_horizon_the_compacted_view_must_be_asked_for),
        cmocka_unit_test(wl_02_options_that_mean_nothing_yet_are_refused),
        EVERY_MEDIUM(cu_04_truncation_takes_no_memory_from_under_a_cursor_or_a_pin),
        EVERY_MEDIUM(cu_04_pins_beyond_the_window_budget_leave_the_bytes_where_they_are),
        cmocka_unit_test(wl_04_a_batch_is_seen_whole_or_not_at_all),
        EVERY_MEDIUM(wl_16_a_cancelled_record_keeps_its_lsn_and_is_skipped_unless_asked_for),
        EVERY_MEDIUM(cu_05_seeking_to_every_lsn_and_time_agrees_with_a_scan),
        cmocka_unit_test(wl_15_a_time_between_published_groups_finds_the_later_one),
        cmocka_unit_test(wl_15_a_log_can_be_entered_by_time_and_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
