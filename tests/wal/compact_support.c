/*
 * The story of a key-value store. A payload is a function of the record's LSN, size and key.
 */
#include "compact_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX 16384u

struct story *story_new(void)
{
    struct story *story = calloc(1, sizeof *story);
    assert_non_null(story);
    story->first = 1;
    return story;
}

void story_free(struct story *story)
{
    free(story);
}

static void fill_payload(uint8_t *bytes, uint32_t size, weir_lsn lsn, uint32_t key)
{
    uint64_t word = (lsn * 64 + key + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(word >> (i % 8 * 8));
    }
}

static void note_address(void *context, size_t index, weir_lsn lsn, uint64_t address)
{
    (void)index;
    (void)lsn;
    *(uint64_t *)context = address;
}

static int append(struct weir_log *log, const struct weir_entry *entry,
                  enum weir_durability durability, uint64_t *ret_address, weir_lsn *ret_lsn)
{
    if (entry->type == STORY_APPLICATION) {
        return weir_append(log, entry, durability, ret_lsn);
    }
    struct wal_address_batch batch = {
        .entries = entry, .count = 1, .stamp = note_address, .context = ret_address};
    return wal_address_append(log, &batch, durability, ret_lsn);
}

int story_try(struct story *story, struct weir_log *log, uint16_t type, uint32_t key, uint32_t size)
{
    static uint8_t payload[PAYLOAD_MAX];
    weir_lsn lsn = 0, next = story->last + 1;
    assert_true(next < STORY_RECORDS_MAX && size <= PAYLOAD_MAX && key < STORY_KEYS);
    fill_payload(payload, size, next, key);
    struct weir_part part = {payload, size};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .user = key, .type = type};
    uint64_t address = 0;
    enum weir_durability durability = story->gathers ? WEIR_NONE : WEIR_EACH;
    int rc = append(log, &entry, durability, &address, &lsn);
    if (rc == 0) {
        assert_int_equal(lsn, next);
        story->last = lsn;
        story->records[lsn] = (struct story_record){type, key, size, address, 0};
    }
    return rc;
}

void story_put(struct story *story, struct weir_log *log, uint32_t key, uint32_t size)
{
    assert_int_equal(story_try(story, log, STORY_PUT, key, size), 0);
}

void story_delete(struct story *story, struct weir_log *log, uint32_t key)
{
    assert_int_equal(story_try(story, log, STORY_DELETE, key, 0), 0);
}

void story_application(struct story *story, struct weir_log *log, uint32_t size)
{
    assert_int_equal(story_try(story, log, STORY_APPLICATION, 0, size), 0);
}

void story_fill(struct story *story, struct weir_log *log, uint32_t keys, uint32_t size,
                unsigned segments)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
    uint64_t wanted = stat.segments + segments;
    for (uint32_t i = 0; stat.segments < wanted; i++) {
        story_put(story, log, i % keys, size);
        assert_int_equal(weir_log_stat(log, &stat), 0);
    }
}

int story_needs(const struct story *story, weir_lsn lsn, weir_lsn horizon)
{
    const struct story_record *record = &story->records[lsn];
    if (lsn > horizon || record->type == STORY_APPLICATION) {
        return WAL_ADDRESS_KEEP;
    }
    for (weir_lsn later = lsn + 1; later <= horizon; later++) {
        const struct story_record *other = &story->records[later];
        if (other->type != STORY_APPLICATION && other->key == record->key) {
            return WAL_ADDRESS_DROP;
        }
    }
    return record->type == STORY_DELETE ? WAL_ADDRESS_DROP_LAST : WAL_ADDRESS_KEEP;
}

/* ---- compacting ---- */

static bool is_as_written(const struct story *story, const struct weir_record *record)
{
    static uint8_t payload[PAYLOAD_MAX];
    const struct story_record *known = &story->records[record->lsn];
    if (record->lsn > story->last || record->type != known->type || record->user != known->key ||
        record->size != known->size || record->flags != 0) {
        return false;
    }
    fill_payload(payload, known->size, record->lsn, known->key);
    return known->size == 0 || memcmp(payload, record->data, known->size) == 0;
}

static int keep(void *context, const struct weir_record *record, uint64_t address)
{
    struct story *story = context;
    assert_true(is_as_written(story, record));
    assert_true(record->lsn <= story->asked_horizon);
    assert_int_equal(address, story->records[record->lsn].address);
    int verdict = story_needs(story, record->lsn, story->asked_horizon);
    story->kept += verdict == WAL_ADDRESS_KEEP ? 1 : 0;
    story->dropped += verdict == WAL_ADDRESS_DROP ? 1 : 0;
    return verdict;
}

static void moved(void *context, const struct weir_record *record, uint64_t old_address,
                  uint64_t new_address)
{
    struct story *story = context;
    assert_true(is_as_written(story, record));
    assert_int_equal(old_address, story->records[record->lsn].address);
    assert_int_not_equal(old_address, new_address);
    story->records[record->lsn].address = new_address;
    story->moved += new_address != 0 ? 1 : 0; /* else it was dropped */
}

static int throttle(void *context, uint64_t bytes, uint64_t all_bytes)
{
    assert_true(bytes <= all_bytes);
    const struct story *story = context;
    return story->stop_at_bytes != 0 && bytes >= story->stop_at_bytes ? -ECANCELED : 0;
}

struct wal_address_compaction story_compaction(struct story *story, weir_lsn horizon)
{
    story->asked_horizon = horizon;
    return (struct wal_address_compaction){
        .horizon = horizon, .keep = keep, .moved = moved, .throttle = throttle, .context = story};
}

struct wal_address_compaction_report story_compact(struct story *story, struct weir_log *log,
                                                   weir_lsn horizon)
{
    struct wal_address_compaction compaction = story_compaction(story, horizon);
    struct wal_address_compaction_report report;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = wal_address_compact(log, &compaction, &report, &why);
    if (rc < 0) {
        print_error("compact: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
    if (report.steps > 0 && horizon > story->horizon) {
        story->horizon = horizon;
    }
    return report;
}

/* ---- judging ---- */

static void fold(weir_lsn state[STORY_KEYS], const struct story_record *record, weir_lsn lsn)
{
    if (record->type != STORY_APPLICATION) {
        state[record->key] = record->type == STORY_PUT ? lsn : 0;
    }
}

/* Records between two that were met must not be missed. */
static void expect_not_needed(const struct story *story, weir_lsn from, weir_lsn to)
{
    for (weir_lsn lsn = from; lsn < to; lsn++) {
        assert_true(lsn <= story->horizon);
        assert_int_not_equal(story_needs(story, lsn, story->horizon), WAL_ADDRESS_KEEP);
    }
}

static void expect_state(const struct story *story, const weir_lsn shown[STORY_KEYS])
{
    weir_lsn expected[STORY_KEYS] = {0};
    for (weir_lsn lsn = 1; lsn <= story->last; lsn++) {
        fold(expected, &story->records[lsn], lsn);
    }
    assert_memory_equal(shown, expected, sizeof expected);
}

uint64_t story_expect(struct story *story, struct weir_log *log)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.compacted = true;
    struct weir_cursor *cursor;
    struct weir_record record;
    weir_lsn state[STORY_KEYS] = {0}, next = story->first;
    uint64_t count = 0, time_ns = 0;
    int rc;
    assert_int_equal(weir_cursor_open(log, &options, &cursor), 0);
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        assert_true(record.lsn >= next && record.time_ns >= time_ns);
        expect_not_needed(story, next, record.lsn);
        assert_true(is_as_written(story, &record));
        struct story_record *known = &story->records[record.lsn];
        assert_true(known->time_ns == 0 || known->time_ns == record.time_ns);
        known->time_ns = time_ns = record.time_ns;
        fold(state, known, record.lsn);
        next = record.lsn + 1;
        count++;
    }
    assert_int_equal(rc, 0);
    expect_not_needed(story, next, story->last + 1);
    weir_cursor_close(cursor);
    if (story->first == 1) {
        expect_state(story, state);
    }
    return count;
}

void story_expect_addresses(struct story *story, struct weir_log *log)
{
    for (weir_lsn lsn = story->first; lsn <= story->last; lsn++) {
        struct wal_segment *segment;
        struct weir_record record;
        uint64_t address = story->records[lsn].address;
        if (address == 0 || story_needs(story, lsn, story->horizon) != WAL_ADDRESS_KEEP) {
            continue;
        }
        uint64_t ordinal = wal_address_ordinal(log, address);
        assert_int_equal(wal_address_pin(log, ordinal, &segment, NULL), 0);
        assert_int_equal(wal_address_read(log, segment, address, &record), 0);
        assert_int_equal(record.lsn, lsn);
        assert_true(is_as_written(story, &record));
        wal_address_unpin(log, segment);
        uint64_t found, time_ns;
        assert_int_equal(wal_address_find(log, lsn, &found, &time_ns), 0);
        assert_int_equal(found, address);
        assert_true(story->records[lsn].time_ns == 0 || story->records[lsn].time_ns == time_ns);
    }
}
