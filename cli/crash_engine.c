/*
 * Judging an engine.
 *
 * 1. It is opened as a user would: by a checkpoint when there is one that fits.
 * 2. The history of every key that writers use is read, newest first. Each version must be a record
 *    that the referee has seen in the log, under the same LSN, with the same bytes, of this key; a
 *    get must give the first of them. In all there must be as many as the log has records, so none
 *    is missing.
 * 3. The state's fingerprint is taken; the engine is closed, opened without a checkpoint, and must
 *    have the same one.
 *
 * Failures: what is missing or different is a finding (state), for the verdict; an engine that
 * cannot be opened or read is an error.
 */
#include "cli/crash_engine.h"

#include "base/alloc.h"

#include <weir/maintain.h>
#include <weir/read.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define LOOK_EVERY 256u /* keys between two looks at stop() */

#define PHASE(member) offsetof(struct weir_engine_open_report, member)

const struct crash_engine_phase crash_engine_phases[] = {
    {"load", "load_s", PHASE(load_s)},
    {"walk", "walk_s", PHASE(walk_s)},
    {"sort", "sort_s", PHASE(sort_s)},
    {"build", "build_s", PHASE(build_s)},
    {"replay", "replay_s", PHASE(replay_s)},
    {"total", "total_s", PHASE(total_s)},
    {0},
};

double crash_engine_seconds(const struct crash_engine_phase *phase,
                            const struct weir_engine_open_report *report)
{
    double seconds;
    memcpy(&seconds, (const char *)report + phase->offset, sizeof seconds);
    return seconds;
}

static void make_key(uint32_t number, uint8_t ret_key[CRASH_KEY_BYTES])
{
    char text[16];
    snprintf(text, sizeof text, "key-%05u", number % CRASH_KEYS);
    memcpy(ret_key, text, CRASH_KEY_BYTES);
}

void crash_engine_key(struct crash_origin origin, uint8_t ret_key[CRASH_KEY_BYTES])
{
    uint64_t mixed = ((uint64_t)origin.writer << 32 | origin.number) * UINT64_C(0x9e3779b97f4a7c15);
    make_key((uint32_t)(mixed >> 40), ret_key);
}

struct weir_engine_options crash_engine_options(uint32_t flags)
{
    struct weir_engine_options options = WEIR_ENGINE_OPTIONS_INIT;
    options.flags = flags;
    options.checkpoint_bytes = UINT64_MAX;
    return options;
}

struct judge {
    struct crash_referee *referee;
    struct crash_verdict *verdict;
    struct crash_engine *result;
    struct weir_read read;
    uint8_t *scratch;
};

static void judge_version(struct judge *judge, const uint8_t *key,
                          const struct weir_key_version *version)
{
    struct weir_record record = {
        .lsn = version->lsn, .data = version->value.data, .size = (uint32_t)version->value.size};
    struct crash_origin origin = {0};
    uint8_t own[CRASH_KEY_BYTES] = {0};
    bool known =
        !version->deleted &&
        crash_record_read(&record, crash_referee_sizes(judge->referee), judge->scratch, &origin) &&
        crash_referee_knows(judge->referee, version->lsn, origin);
    if (known) {
        crash_engine_key(origin, own);
    }
    if (!known || memcmp(own, key, sizeof own) != 0) {
        crash_verdict_note(judge->verdict, CRASH_STATE, version->lsn);
    }
}

/* A get must give what the history begins with. Returns 0 or a negative error. */
static int judge_newest(struct judge *judge, struct weir_bytes key,
                        const struct weir_key_version *newest)
{
    struct weir_row row;
    int rc = weir_get(&judge->read, WEIR_TABLE_DEFAULT, key, &row);
    bool right = rc == 1 && row.lsn == newest->lsn && row.value.data == newest->value.data &&
                 row.value.size == newest->value.size;
    if (rc >= 0 && !right) {
        crash_verdict_note(judge->verdict, CRASH_STATE, newest->lsn);
    }
    return rc < 0 ? rc : 0;
}

static int judge_key(struct judge *judge, uint32_t number)
{
    uint8_t bytes[CRASH_KEY_BYTES];
    struct weir_bytes key = {bytes, sizeof bytes};
    struct weir_history history;
    struct weir_key_version version;
    weir_lsn before = UINT64_MAX;
    make_key(number, bytes);
    int rc = weir_history_begin(&judge->read, WEIR_TABLE_DEFAULT, key, &history);
    while (rc >= 0 && (rc = weir_history_next(&history, &version)) == 1) {
        if (before == UINT64_MAX) {
            rc = judge_newest(judge, key, &version);
            judge->result->keys++;
        } else if (version.lsn >= before) {
            crash_verdict_note(judge->verdict, CRASH_STATE, version.lsn);
            return 0;
        }
        before = version.lsn;
        judge_version(judge, bytes, &version);
        judge->result->versions++;
    }
    return rc;
}

static int judge_keys(struct judge *judge, bool (*stop)(void))
{
    int rc = 0;
    for (uint32_t number = 0; rc == 0 && number < CRASH_KEYS; number++) {
        rc = judge_key(judge, number);
        if (number % LOOK_EVERY == 0 && stop != NULL && stop()) {
            rc = -EINTR;
        }
    }
    if (rc == 0 && judge->result->versions != judge->verdict->recovered) {
        crash_verdict_note(judge->verdict, CRASH_STATE, judge->verdict->latest);
    }
    return rc;
}

static int judge_engine(struct judge *judge, struct weir_engine *engine, bool (*stop)(void))
{
    judge->scratch = base_alloc(crash_referee_sizes(judge->referee)->max);
    if (judge->scratch == NULL) {
        return -ENOMEM;
    }
    int rc = weir_read_begin(engine, NULL, &judge->read);
    if (rc == 0) {
        rc = judge_keys(judge, stop);
        weir_read_end(&judge->read);
    }
    base_free(judge->scratch);
    return rc;
}

static int open_engine(struct weir_log *log, uint32_t flags, struct weir_engine **ret_engine,
                       struct weir_engine_open_report *ret_report, struct weir_error *why)
{
    struct weir_engine_options options = crash_engine_options(flags);
    int rc = weir_engine_open(log, &options, ret_engine, why);
    ret_report->size = sizeof *ret_report;
    return rc < 0 ? rc : weir_engine_report(*ret_engine, ret_report);
}

/* Fingerprints of the state with and without a checkpoint. Closes the engine. */
static int take_fingerprint(struct weir_engine *engine, uint8_t ret_fingerprint[16],
                            uint64_t *ret_keys)
{
    int rc = weir_engine_fingerprint(engine, 0, ret_fingerprint, ret_keys);
    int close_rc = weir_engine_close(engine);
    return rc < 0 ? rc : close_rc;
}

int crash_engine_judge(struct crash_referee *referee, struct weir_log *log, bool (*stop)(void),
                       struct crash_verdict *verdict, struct crash_engine *ret_engine,
                       struct weir_error *why)
{
    struct judge judge = {.referee = referee, .verdict = verdict, .result = ret_engine};
    struct weir_engine *engine = NULL;
    uint8_t rebuilt[16] = {0};
    uint64_t keys = 0;
    memset(ret_engine, 0, sizeof *ret_engine);
    int rc = open_engine(log, 0, &engine, &ret_engine->opened, why);
    if (rc < 0) {
        return rc;
    }
    rc = judge_engine(&judge, engine, stop);
    if (rc < 0) {
        (void)weir_engine_close(engine);
        return rc;
    }
    rc = take_fingerprint(engine, ret_engine->fingerprint, &keys);
    rc = rc < 0 ? rc
                : open_engine(log, WEIR_ENGINE_NO_CHECKPOINT, &engine, &ret_engine->rebuilt, why);
    if (rc < 0) {
        return rc;
    }
    rc = take_fingerprint(engine, rebuilt, &keys);
    ret_engine->same = memcmp(rebuilt, ret_engine->fingerprint, sizeof rebuilt) == 0;
    if (rc == 0 && (!ret_engine->same || keys != ret_engine->keys)) {
        crash_verdict_note(verdict, CRASH_STATE, verdict->latest);
    }
    return rc;
}
