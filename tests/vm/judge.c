/* Does an image of the disk keep what was promised?
 *
 *     vm_judge DISK OFFSET LOG log|engine MEDIUM IO SEED
 *
 * Opened by a reader, then by a writer, which must keep what the reader showed:
 *   - every promised record is there, each writer's records in order and without gaps;
 *   - every record is one that a writer made;
 *   - the engine is the fold over the log, with the checkpoint that is there;
 *   - one more record is taken, and is there at the next opening.
 * Prints a line of JSON; exit 0, or 1 with "broken" saying the first thing that is wrong.
 */
#include "tests/engine/oracle.h"
#include "tests/vm/promise.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct promises promises;
static char broken[900];

static bool wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Keeps the first one. Returns false. */
static bool wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (*broken == '\0') {
        vsnprintf(broken, sizeof broken, format, arguments);
    }
    va_end(arguments);
    return false;
}

/* What a log holds. */
struct content {
    weir_lsn earliest, latest;
    uint64_t records, hash;
    uint32_t last[PROMISE_RUNS][PROMISE_THREADS]; /* number of each writer */
    weir_lsn at[PROMISE_RUNS][PROMISE_THREADS];   /* LSN of the promised one */
};

static bool see_origin(struct content *content, weir_lsn lsn, struct origin origin)
{
    uint32_t *last = &content->last[origin.run][origin.thread];
    if (*last != 0 ? origin.number != *last + 1 : origin.number != 1 && content->earliest <= 1) {
        return wrong("LSN %" PRIu64 ": record %" PRIu32 " of writer %" PRIu32 ".%" PRIu32
                     " follows its record %" PRIu32,
                     lsn, origin.number, origin.run, origin.thread, *last);
    }
    *last = origin.number;
    if (origin.number == promises.of[origin.run][origin.thread].number) {
        content->at[origin.run][origin.thread] = lsn;
    }
    return true;
}

/* Of a record, or of the value of a put; a delete and the judge's own records have none. */
static bool see_record(struct content *content, const struct weir_record *record)
{
    struct weir_change change;
    struct origin origin;
    char name[WEIR_TABLE_NAME_MAX + 1];
    weir_table table;
    const void *bytes = record->data;
    size_t size = record->size;
    if (content->latest != 0 && record->lsn != content->latest + 1) {
        return wrong("LSN %" PRIu64 " follows %" PRIu64, record->lsn, content->latest);
    }
    content->earliest = content->records == 0 ? record->lsn : content->earliest;
    content->latest = record->lsn;
    content->records++;
    for (size_t i = 0; i < size; i++) {
        content->hash = (content->hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    }
    int rc = weir_change_decode(record, &change);
    if (rc == 1) {
        bytes = change.value.data;
        size = change.value.size;
    }
    if ((rc == 1 && change.operation == WEIR_REMOVE) ||
        weir_table_decode(record, &table, name) == 1) {
        return true;
    }
    return vm_record_read(bytes, size, &origin)
               ? see_origin(content, record->lsn, origin)
               : wrong("LSN %" PRIu64 ": %zu bytes that no writer wrote", record->lsn, size);
}

static bool read_all(struct weir_log *log, struct content *ret)
{
    struct weir_cursor *cursor;
    struct weir_record record;
    *ret = (struct content){0};
    int rc = weir_cursor_open(log, NULL, &cursor);
    if (rc < 0) {
        return wrong("cursor: %s", weir_error_name(rc));
    }
    bool right = true;
    while (right && (rc = weir_cursor_next(cursor, &record)) == 1) {
        right = see_record(ret, &record);
    }
    weir_cursor_close(cursor);
    return right && (rc == 0 ||
                     wrong("cursor behind LSN %" PRIu64 ": %s", ret->latest, weir_error_name(rc)));
}

static bool kept(const struct content *content, unsigned run, unsigned thread, weir_lsn may_be_gone)
{
    const struct promise *promise = &promises.of[run][thread];
    if (promise->number == 0 || promise->lsn < may_be_gone) {
        return true;
    }
    if (content->latest < promise->lsn || content->last[run][thread] < promise->number) {
        return wrong("lost: record %" PRIu64 " of writer %u.%u was acknowledged as LSN %" PRIu64
                     "; the log ends at %" PRIu64,
                     promise->number, run, thread, promise->lsn, content->latest);
    }
    return content->at[run][thread] == promise->lsn ||
           wrong("record %" PRIu64 " of writer %u.%u was acknowledged as LSN %" PRIu64
                 " and lies at %" PRIu64,
                 promise->number, run, thread, promise->lsn, content->at[run][thread]);
}

static bool all_kept(const struct content *content)
{
    weir_lsn may_be_gone = 0;
    bool right = true;
    for (unsigned run = 0; run < PROMISE_RUNS; run++) {
        weir_lsn truncated = promises.of[run][0].truncated;
        may_be_gone = truncated > may_be_gone ? truncated : may_be_gone;
    }
    if (content->earliest > 1 && content->earliest > may_be_gone) {
        right = wrong("the log begins at LSN %" PRIu64 "; only what is below %" PRIu64
                      " was to be dropped",
                      content->earliest, may_be_gone);
    }
    for (unsigned run = 0; run < PROMISE_RUNS; run++) {
        for (unsigned thread = 0; thread < PROMISE_THREADS; thread++) {
            right = right && kept(content, run, thread, may_be_gone);
        }
    }
    return right;
}

static struct weir_log *open_log(char **argv, uint32_t flags)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    options.flags = flags;
    options.medium = strcmp(argv[5], "mapped") == 0   ? WEIR_MEDIUM_MAPPED
                     : strcmp(argv[5], "direct") == 0 ? WEIR_MEDIUM_DIRECT
                                                      : WEIR_MEDIUM_AUTO;
    options.io = strcmp(argv[6], "sync") == 0 ? WEIR_IO_SYNC : WEIR_IO_AUTO;
    int rc = weir_log_open(argv[3], &options, &log, &why);
    bool may_be_absent = (flags & WEIR_LOG_READ_ONLY) != 0 && promises_runs(&promises) == 0;
    if (rc < 0 && !may_be_absent) {
        (void)wrong("the %s is refused: %s: %s",
                    (flags & WEIR_LOG_READ_ONLY) != 0 ? "reader" : "writer", weir_error_name(rc),
                    why.text);
    }
    return rc < 0 ? NULL : log;
}

static bool engine_is_right(struct weir_log *log, uint64_t seed, bool write)
{
    static struct oracle oracle;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_engine *engine = NULL;
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    int rc = weir_engine_open(log, NULL, &engine, &why);
    if (rc < 0) {
        return wrong("engine: %s: %s", weir_error_name(rc), why.text);
    }
    oracle_begin(&oracle, &prng);
    oracle.log = log;
    oracle.engine = engine;
    bool right =
        (oracle_learn(&oracle) && oracle_check(&oracle)) || wrong("engine: %s", oracle.failure);
    if (right && write) {
        uint8_t bytes[RECORD_MOST];
        struct origin origin = {PROMISE_RUNS - 1, 0, 1};
        struct weir_bytes value = {bytes, vm_record_make(origin, bytes)};
        rc = weir_put(engine, WEIR_TABLE_DEFAULT, oracle_key(&oracle, 0), value, WEIR_EACH, NULL);
        right = rc == 0 || wrong("put: %s", weir_error_name(rc));
    }
    oracle_end(&oracle);
    (void)weir_engine_close(engine);
    return right;
}

static bool one_more(struct weir_log *log)
{
    uint8_t bytes[RECORD_MOST];
    struct weir_part part = {bytes, vm_record_make((struct origin){PROMISE_RUNS - 1, 0, 1}, bytes)};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    int rc = weir_append(log, &entry, WEIR_EACH, NULL);
    return rc == 0 || wrong("append: %s", weir_error_name(rc));
}

static bool judge_reader(char **argv, struct content *ret)
{
    struct weir_log *log = open_log(argv, WEIR_LOG_READ_ONLY);
    *ret = (struct content){0};
    bool right = log == NULL ? *broken == '\0' : read_all(log, ret);
    if (log != NULL) {
        (void)weir_log_close(log);
    }
    return right;
}

/* @param expected  what was shown last */
static bool judge_writer(char **argv, bool is_engine, bool write, const struct content *expected,
                         struct content *ret)
{
    struct weir_log *log = open_log(argv, WEIR_LOG_CREATE);
    if (log == NULL) {
        return false;
    }
    bool right = read_all(log, ret) && all_kept(ret);
    if (right && (ret->records != expected->records || ret->hash != expected->hash)) {
        right = wrong("%" PRIu64 " records were shown, LSN %" PRIu64 " the last; now %" PRIu64
                      ", LSN %" PRIu64,
                      expected->records, expected->latest, ret->records, ret->latest);
    }
    if (is_engine) {
        right = right && engine_is_right(log, strtoull(argv[7], NULL, 0), write);
    } else if (write) {
        right = right && one_more(log);
    }
    right = right && (!write || read_all(log, ret)); /* what the next opening must show */
    (void)weir_log_close(log);
    return right;
}

int main(int argc, char **argv)
{
    static struct content shown, now, again;
    if (argc != 8 || !promises_open(&promises, argv[1], strtoull(argv[2], NULL, 0), false)) {
        fprintf(stderr, "usage: see the file\n");
        return 2;
    }
    bool is_engine = strcmp(argv[4], "engine") == 0;
    uint64_t promised = 0;
    for (unsigned run = 0; run < PROMISE_RUNS; run++) {
        for (unsigned thread = 0; thread < PROMISE_THREADS; thread++) {
            promised += promises.of[run][thread].number;
        }
    }
    bool right = judge_reader(argv, &shown) && judge_writer(argv, is_engine, true, &shown, &now) &&
                 judge_writer(argv, is_engine, false, &now, &again);
    for (char *at = broken; *at != '\0'; at++) {
        *at = *at == '"' || *at == '\\' || *at < ' ' ? '\'' : *at;
    }
    printf("{\"runs\":%u,\"promised\":%" PRIu64 ",\"earliest\":%" PRIu64 ",\"latest\":%" PRIu64
           ",\"records\":%" PRIu64 ",\"broken\":\"%s\"}\n",
           promises_runs(&promises), promised, shown.earliest, shown.latest, shown.records, broken);
    return right ? 0 : 1;
}
