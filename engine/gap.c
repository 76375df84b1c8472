/*
 * Gaps: opening the engine of a log that a salvage made with something missing.
 *
 * Happy path: the walk counts the LSNs that gap records stand for. When they are no more than the
 * newest acceptance in the log says, the engine opens, with the horizon that it says. When they are
 * more, it does with WEIR_ENGINE_ACCEPT_GAPS alone: then the horizon is found, and a writer appends
 * an acceptance, so that the next open needs no flag.
 *
 * Failure modes: gaps that nobody has accepted, also new ones of another salvage: WEIR_E_GAP, and
 * the detail says how many LSNs, which, and what to do. A crash before the acceptance is durable
 * leaves the log as it was, to be accepted again.
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
        "%llu LSNs in %llu gaps, from LSN %llu to %llu, were lost before a salvage made this log: "
        "its tables may be missing changes. `weir rebuild LOG --accept-gaps` "
        "(WEIR_ENGINE_ACCEPT_GAPS) accepts that for good",
        (unsigned long long)found->lsns, (unsigned long long)found->ranges,
        (unsigned long long)found->first, (unsigned long long)found->last);
    if (why != NULL) {
        why->from_lsn = found->first;
        why->to_lsn = found->last;
    }
    return rc;
}

/* ---- the horizon ---- */

/* Above it, so far, everything leads to where it should. */
static bool leads_into_gap(struct weir_engine *engine, const struct gap_count *found,
                           const struct engine_version *version)
{
    struct engine_version before;
    return version->previous >= found->first && version->previous <= found->last &&
           version_find(engine, version, &before) != 1;
}

static int raise_by_batch(struct weir_engine *engine, struct weir_cursor *cursor,
                          const struct weir_record *records, int count)
{
    int rc = 0;
    uint32_t slot = epoch_enter(&engine->epochs);
    for (int i = 0; i < count && rc == 0; i++) {
        struct engine_version version;
        if (records[i].type != WEIR_TYPE_CHANGE) {
            continue;
        }
        rc = record_read(&records[i], wal_address_of(engine->log, cursor, &records[i]), &version);
        if (rc == 0 && leads_into_gap(engine, &engine->gaps.found, &version)) {
            atomic_store_explicit(&engine->gaps.horizon, version.lsn, memory_order_relaxed);
        }
    }
    epoch_leave(&engine->epochs, slot);
    return rc;
}

int gap_find_horizon(struct weir_engine *engine, struct weir_error *why)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_record records[GAP_BATCH];
    struct weir_cursor *cursor;
    atomic_store_explicit(&engine->gaps.horizon, engine->gaps.found.last, memory_order_relaxed);
    options.from = WEIR_FROM_LSN;
    options.lsn = engine->gaps.found.last + 1;
    options.compacted = true;
    int rc = weir_cursor_open(engine->log, &options, &cursor);
    if (rc < 0) {
        return rc;
    }
    while ((rc = weir_cursor_next_batch(cursor, records, GAP_BATCH)) > 0) {
        rc = raise_by_batch(engine, cursor, records, rc);
        if (rc < 0) {
            break;
        }
    }
    rc = rc < 0 ? follow_explain(cursor, NULL, rc, why) : 0;
    weir_cursor_close(cursor);
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
