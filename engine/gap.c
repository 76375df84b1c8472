/*
 * Gaps: opening the engine of a log that a salvage made with something missing.
 *
 * Happy path: the walk counts the LSNs that gap records stand for. When they are no more than the
 * newest acceptance in the log says, the engine opens, with the horizon that it says. When they are
 * more, it does with WEIR_ENGINE_ACCEPT_GAPS alone: then the horizon is found, and a writer appends
 * an acceptance, so that the next open needs no flag.
 *
 * Failure modes: gaps that nobody has accepted, also new ones of another salvage: WEIR_E_GAP, and
 * the detail says how many LSNs, which, and what to do. What cannot be read while the horizon is
 * looked for ends the open: taken for a gap, it would cost history for good. A crash before the
 * acceptance is durable leaves the log as it was, to be accepted again.
 *
 * Invariant: above the horizon there is no gap and no link into one: it is the last LSN that is
 * missing, or that of the last record whose version before is not there. So the state as of an LSN
 * from the horizon on is the fold over the records that are there, by links as by replay.
 */
#include "engine/engine.h"

#include <string.h>

#define GAP_BATCH 64
#define RECORD_ACCEPTANCE_BYTES 16u

/* docs/FORMAT.md, 9. */
struct record_acceptance {
    struct le64 gap_lsns;
    struct le64 horizon;
};

_Static_assert(sizeof(struct record_acceptance) == RECORD_ACCEPTANCE_BYTES, "as in FORMAT.md");

/* ---- counting ---- */

/* Each LSN of a gap has a record of its own, but for compacted segments, where one stands for all:
 * what the last one said is not counted again. */
void gap_note(struct gap_count *count, const struct weir_record *record)
{
    weir_lsn to = record->lsn + (record->user > 0 ? record->user : 1) - 1;
    const struct gap_count one = {
        .lsns = to - record->lsn + 1, .ranges = 1, .first = record->lsn, .last = to};
    gap_add(count, &one);
}

void gap_add(struct gap_count *count, const struct gap_count *behind)
{
    if (behind->lsns == 0) {
        return;
    }
    if (count->lsns == 0) {
        *count = *behind;
        return;
    }
    bool touches = behind->first <= count->last + 1;
    weir_lsn last = behind->last > count->last ? behind->last : count->last;
    uint64_t twice =
        behind->first <= count->last
            ? (behind->last < count->last ? behind->last : count->last) - behind->first + 1
            : 0;
    count->lsns += behind->lsns - twice;
    count->ranges += behind->ranges - (touches ? 1 : 0);
    count->last = last;
}

/* ---- accepted or not ---- */

int gap_learn(struct engine_gaps *gaps, const struct weir_record *record)
{
    struct record_acceptance acceptance;
    if (record->size < sizeof acceptance) {
        return WEIR_E_RECORD;
    }
    memcpy(&acceptance, record->data, sizeof acceptance);
    weir_lsn horizon = le64_load(&acceptance.horizon);
    if (horizon >= record->lsn) {
        return WEIR_E_RECORD;
    }
    gaps->accepted_lsns = le64_load(&acceptance.gap_lsns);
    atomic_store_explicit(&gaps->horizon, horizon, memory_order_relaxed);
    return 0;
}

int gap_judge(struct weir_engine *engine, struct weir_error *why)
{
    struct engine_gaps *gaps = &engine->gaps;
    const struct gap_count *found = &gaps->found;
    if (found->lsns <= gaps->accepted_lsns) {
        return 0;
    }
    if ((engine->options.flags & WEIR_ENGINE_ACCEPT_GAPS) != 0) {
        gaps->unrecorded = true;
        return 0;
    }
    int rc = engine_error(
        why, WEIR_E_GAP,
        "%llu LSN%s in %llu gap%s, from LSN %llu to %llu, were lost before a salvage made this "
        "log: its tables may be missing changes",
        (unsigned long long)found->lsns, found->lsns == 1 ? "" : "s",
        (unsigned long long)found->ranges, found->ranges == 1 ? "" : "s",
        (unsigned long long)found->first, (unsigned long long)found->last);
    if (why != NULL) {
        why->from_lsn = found->first;
        why->to_lsn = found->last;
    }
    return rc;
}

/* ---- the horizon ---- */

struct horizon_search {
    struct weir_cursor *cursor;   /* behind the last gap */
    struct weir_cursor *probe;    /* where links lead to */
    const struct weir_record *at; /* that is looked at */
};

/* 1: no record has this LSN, which lies between the first gap and the last; 0; errors of reading.
 */
static int is_missing(struct weir_cursor *probe, weir_lsn lsn)
{
    struct weir_record record;
    int rc = weir_cursor_seek(probe, lsn);
    rc = rc == 0 ? weir_cursor_next(probe, &record) : rc;
    return rc < 0 ? rc : rc == 0 || record.lsn != lsn || (record.flags & WEIR_RECORD_GAP) != 0;
}

/* Above it, so far, everything leads to where it should. 1; 0; errors of reading, and
 * WEIR_E_DAMAGED where a link leads to a record that is there and no version of the key. */
static int leads_into_gap(struct weir_engine *engine, struct weir_cursor *probe,
                          const struct engine_version *version)
{
    const struct gap_count *found = &engine->gaps.found;
    struct engine_version before;
    if (version->previous < found->first || version->previous > found->last) {
        return 0;
    }
    int rc = version_find(engine, version, &before);
    if (rc >= 0) {
        return rc == 0;
    }
    int missing = is_missing(probe, version->previous);
    return missing == 0 ? rc : missing;
}

static int raise_by_batch(struct weir_engine *engine, struct horizon_search *search,
                          const struct weir_record *records, int count)
{
    int rc = 0;
    uint32_t slot = epoch_enter(&engine->epochs);
    for (int i = 0; i < count && rc >= 0; i++) {
        struct engine_version version;
        if (records[i].type != WEIR_TYPE_CHANGE) {
            continue;
        }
        search->at = &records[i];
        rc = record_read(&records[i], wal_address_of(engine->log, search->cursor, &records[i]),
                         &version);
        rc = rc == 0 ? leads_into_gap(engine, search->probe, &version) : rc;
        if (rc == 1) {
            atomic_store_explicit(&engine->gaps.horizon, version.lsn, memory_order_relaxed);
        }
    }
    epoch_leave(&engine->epochs, slot);
    return rc < 0 ? rc : 0;
}

static int search_horizon(struct weir_engine *engine, struct horizon_search *search,
                          struct weir_error *why)
{
    struct weir_record records[GAP_BATCH];
    int count, rc = 0;
    while ((count = weir_cursor_next_batch(search->cursor, records, GAP_BATCH)) > 0) {
        rc = raise_by_batch(engine, search, records, count);
        if (rc < 0) {
            return follow_explain(search->cursor, search->at, rc, why);
        }
    }
    return count < 0 ? follow_explain(search->cursor, NULL, count, why) : 0;
}

int gap_find_horizon(struct weir_engine *engine, struct weir_error *why)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct horizon_search search = {0};
    weir_lsn last = engine->gaps.found.last;
    atomic_store_explicit(&engine->gaps.horizon, last, memory_order_relaxed);
    options.from = WEIR_FROM_LSN;
    options.lsn = last + 1;
    options.compacted = true; /* a gap below the horizon of compaction has records behind it, too */
    int rc = weir_cursor_open(engine->log, &options, &search.cursor);
    options.with_gaps = true;
    rc = rc == 0 ? weir_cursor_open(engine->log, &options, &search.probe) : rc;
    rc = rc == 0 ? search_horizon(engine, &search, why) : rc;
    weir_cursor_close(search.probe);
    weir_cursor_close(search.cursor);
    return rc;
}

/* ---- for good ---- */

int gap_record(struct weir_engine *engine, struct weir_error *why)
{
    struct engine_gaps *gaps = &engine->gaps;
    struct record_acceptance acceptance;
    le64_store(&acceptance.gap_lsns, gaps->found.lsns);
    le64_store(&acceptance.horizon, atomic_load_explicit(&gaps->horizon, memory_order_relaxed));
    struct weir_part part = {&acceptance, sizeof acceptance};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = WEIR_TYPE_ACCEPTANCE};
    struct wal_address_batch batch = {.entries = &entry, .count = 1};
    weir_lsn lsn;
    int rc = wal_address_append(engine->log, &batch, WEIR_EACH, &lsn);
    if (rc < 0) {
        return engine_error(why, rc, "that the gaps are accepted cannot be stored: %s",
                            weir_error_text(rc));
    }
    gaps->accepted_lsns = gaps->found.lsns;
    gaps->unrecorded = false;
    return 0;
}
