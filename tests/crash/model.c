/*
 * The model of a log: a list of what was appended, and the promises made about it.
 *
 * Invariants: cut_done <= cut_tried; acknowledged <= last <= tried, but for what a reader showed.
 */
#include "tests/crash/model.h"

#include "base/assert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- payloads ---- */

static uint64_t mix(uint64_t value)
{
    value = (value + 1) * UINT64_C(0x9e3779b97f4a7c15);
    value ^= value >> 29;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    return (value ^ value >> 32) | UINT64_C(0x0101010101010101);
}

/* A sparse one is zeros between its first and its last 8 bytes. */
static void fill_payload(const struct model_record *record, uint8_t *bytes)
{
    uint64_t word = mix(record->number);
    uint32_t size = record->size;
    if (record->sparse && size >= 16) {
        memset(bytes, 0, size);
        memcpy(bytes, &word, 8);
        memcpy(bytes + size - 8, &word, 8);
        return;
    }
    for (uint32_t at = 0; at < size; at += 8) {
        memcpy(bytes + at, &word, size - at < 8 ? size - at : 8);
        word = word * 5 + 1;
    }
}

static bool payload_is(const struct model_record *record, const uint8_t *bytes)
{
    static _Thread_local uint8_t expected[64 * 1024];
    WEIR_ASSERT(record->size <= sizeof expected);
    fill_payload(record, expected);
    return record->size == 0 || memcmp(bytes, expected, record->size) == 0;
}

/* ---- promises ---- */

void model_reset(struct model *model)
{
    memset(model, 0, sizeof *model);
    model->next_number = 1;
    model->cut_done = model->cut_tried = 1;
}

void model_begin(struct model *model, uint32_t count, uint32_t size, bool sparse, uint8_t *payload,
                 struct weir_part *parts, struct weir_entry *entries)
{
    WEIR_ASSERT(model->last + count < MODEL_RECORDS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct model_record *record = &model->records[model->last + 1 + i];
        *record = (struct model_record){model->next_number++, size, i, count, sparse, false, false};
        fill_payload(record, payload);
        parts[i] = (struct weir_part){payload, size};
        entries[i] = (struct weir_entry){
            .parts = &parts[i], .part_count = 1, .type = (uint16_t)count, .user = record->number};
        payload += size;
    }
    model->tried = model->last + count;
}

void model_end(struct model *model, int rc, weir_lsn first, bool durable)
{
    if (rc < 0) {
        return;
    }
    WEIR_ASSERT(first == model->last + 1);
    model->last = model->tried;
    if (durable) {
        model->acknowledged = model->last;
    }
}

void model_promise(struct model *model, weir_lsn durable)
{
    model->acknowledged = durable > model->acknowledged ? durable : model->acknowledged;
}

void model_compact(struct model *model, weir_lsn horizon)
{
    model->horizon_tried = horizon > model->horizon_done ? horizon : model->horizon_done;
}

void model_drop(struct model *model, weir_lsn lsn)
{
    model->records[lsn].going = true;
}

/* It has happened, or it has not. */
static void decide(struct model *model, bool happened)
{
    for (weir_lsn lsn = 1; lsn <= model->tried; lsn++) {
        struct model_record *record = &model->records[lsn];
        record->gone = record->gone || (record->going && happened);
        record->going = false;
    }
}

void model_forget_drops(struct model *model)
{
    decide(model, false);
}

void model_compacted(struct model *model, int rc)
{
    if (rc == 0) {
        decide(model, true);
        model->horizon_done = model->horizon_tried;
    }
}

void model_settle(struct model *model, const struct model_sight *sight)
{
    weir_lsn latest = sight->latest;
    decide(model, sight->horizon == model->horizon_tried);
    model->horizon_done = model->horizon_tried = sight->horizon;
    model->last = model->tried = model->acknowledged = latest;
    model->cut_done = model->cut_tried = sight->earliest;
    model->hold_done = model->hold_tried = sight->hold;
}

/* ---- judging ---- */

static bool disappoint(struct model_sight *sight, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool disappoint(struct model_sight *sight, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sight->failure, sizeof sight->failure, format, arguments);
    va_end(arguments);
    return false;
}

static bool record_is_right(const struct model *model, const struct weir_record *found,
                            struct model_sight *sight)
{
    weir_lsn lsn = found->lsn;
    if (lsn > model->tried || lsn >= MODEL_RECORDS_MAX) {
        return disappoint(sight, "LSN %ju was never given", (uintmax_t)lsn);
    }
    const struct model_record *record = &model->records[lsn];
    if (found->user != record->number || found->size != record->size ||
        !payload_is(record, found->data)) {
        return disappoint(sight, "LSN %ju holds number %u of %u bytes, appended was %u of %u",
                          (uintmax_t)lsn, found->user, found->size, record->number, record->size);
    }
    return true;
}

static bool ends_are_right(const struct model *model, struct model_sight *sight)
{
    if (sight->latest < model->acknowledged) {
        return disappoint(sight, "ends at %ju, and %ju was acknowledged", (uintmax_t)sight->latest,
                          (uintmax_t)model->acknowledged);
    }
    if (sight->earliest < model->cut_done || sight->earliest > model->cut_tried) {
        return disappoint(sight, "begins at %ju, truncated to %ju, %ju was tried",
                          (uintmax_t)sight->earliest, (uintmax_t)model->cut_done,
                          (uintmax_t)model->cut_tried);
    }
    const struct model_record *end = &model->records[sight->latest];
    if (sight->latest >= sight->earliest && end->batch_index + 1 < end->batch_count) {
        return disappoint(sight, "ends at %ju, inside a batch", (uintmax_t)sight->latest);
    }
    return true;
}

static int note_hold(void *context, const struct weir_hold *hold)
{
    struct model_sight *sight = context;
    sight->hold = hold->floor;
    return strcmp(hold->name, MODEL_HOLD) == 0 ? 0 : -EINVAL;
}

static bool hold_is_right(const struct model *model, struct weir_log *log,
                          struct model_sight *sight)
{
    int rc = weir_hold_list(log, note_hold, sight);
    if (rc < 0) {
        return disappoint(sight, "holds: %s", weir_error_name(rc));
    }
    if (sight->hold != model->hold_done && sight->hold != model->hold_tried) {
        return disappoint(sight, "the hold is at %ju, set was %ju, tried %ju",
                          (uintmax_t)sight->hold, (uintmax_t)model->hold_done,
                          (uintmax_t)model->hold_tried);
    }
    return true;
}

/* Where the log begins and how it is compacted, where that may be otherwise than at its start. */
static bool look_at_start(const struct model *model, struct weir_log *log,
                          struct weir_cursor *cursor, struct model_sight *sight)
{
    sight->earliest = weir_cursor_position(cursor);
    if (model->horizon_tried == 0) {
        return true;
    }
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_log_stat(log, &stat);
    sight->earliest = rc == 0 && stat.earliest != 0 ? stat.earliest : sight->earliest;
    sight->horizon = stat.horizon;
    if (rc < 0 || (stat.horizon != model->horizon_done && stat.horizon != model->horizon_tried)) {
        return disappoint(sight, "the horizon is %ju, was %ju, tried was %ju",
                          (uintmax_t)stat.horizon, (uintmax_t)model->horizon_done,
                          (uintmax_t)model->horizon_tried);
    }
    return true;
}

/* Is a record where the horizon says that it is? One step of compaction drops all or none. */
static bool may_be_missing(const struct model *model, weir_lsn lsn, const struct model_sight *sight)
{
    const struct model_record *record = &model->records[lsn];
    bool happened = sight->horizon == model->horizon_tried;
    return lsn < MODEL_RECORDS_MAX && (record->gone || (record->going && happened));
}

static bool records_between_are_gone(const struct model *model, weir_lsn from, weir_lsn to,
                                     struct model_sight *sight)
{
    for (weir_lsn lsn = from; lsn < to; lsn++) {
        if (!may_be_missing(model, lsn, sight)) {
            return disappoint(sight, "LSN %ju where %ju was due", (uintmax_t)to, (uintmax_t)lsn);
        }
    }
    return true;
}

static bool judge_record(const struct model *model, const struct weir_record *record, weir_lsn next,
                         struct model_sight *sight)
{
    if (record->lsn < next) {
        return disappoint(sight, "LSN %ju where %ju was due", (uintmax_t)record->lsn,
                          (uintmax_t)next);
    }
    if (record->lsn <= model->tried && may_be_missing(model, record->lsn, sight)) {
        return disappoint(sight, "LSN %ju was compacted away and is back", (uintmax_t)record->lsn);
    }
    return records_between_are_gone(model, next, record->lsn, sight) &&
           record_is_right(model, record, sight);
}

bool model_judge(const struct model *model, struct weir_log *log, struct model_sight *sight)
{
    struct weir_cursor *cursor;
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    options.compacted = true;
    *sight = (struct model_sight){0};
    int rc = weir_cursor_open(log, &options, &cursor);
    if (rc < 0) {
        return disappoint(sight, "a cursor: %s", weir_error_name(rc));
    }
    struct weir_record record;
    bool right = look_at_start(model, log, cursor, sight);
    weir_lsn next = sight->earliest;
    while (right && (rc = weir_cursor_next(cursor, &record)) == 1) {
        right = judge_record(model, &record, next, sight);
        next = record.lsn + 1;
    }
    weir_cursor_close(cursor);
    if (rc < 0) {
        return disappoint(sight, "next at %ju: %s", (uintmax_t)next, weir_error_name(rc));
    }
    sight->latest = next - 1;
    if (right && weir_durable_lsn(log) != sight->latest) {
        return disappoint(sight, "durable %ju, shown %ju", (uintmax_t)weir_durable_lsn(log),
                          (uintmax_t)sight->latest);
    }
    return right && ends_are_right(model, sight) && hold_is_right(model, log, sight);
}

uint64_t model_digest(const struct model *model)
{
    uint64_t digest = mix(model->acknowledged);
    digest = mix(digest ^ model->tried);
    digest = mix(digest ^ model->cut_done << 32 ^ model->cut_tried);
    digest = mix(digest ^ model->hold_done << 32 ^ model->hold_tried);
    digest = mix(digest ^ model->horizon_done << 32 ^ model->horizon_tried);
    for (weir_lsn lsn = model->cut_done; lsn <= model->tried; lsn++) {
        const struct model_record *record = &model->records[lsn];
        digest = mix(digest ^ record->number ^ (uint64_t)record->going << 40 ^
                     (uint64_t)record->gone << 41);
    }
    return digest;
}
