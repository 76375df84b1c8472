/*
 * Compaction in the torture tests: which records go, and that they do not come back.
 *
 * Happy path: some records are garbage; a compaction drops those at or below its horizon, where it
 * gets to them. When it has returned, the compacted view is read and what is missing is noted:
 * behind that no crash may bring it back.
 */
#include "tests/wal/torture.h"

#include "wal/address_compact.h"

#include <errno.h>

weir_lsn referee_earliest(struct weir_log *log, weir_lsn otherwise)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_log_stat(log, &stat);
    return rc == 0 && stat.earliest != 0 ? stat.earliest : otherwise;
}

weir_lsn referee_earliest_whole(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    (void)weir_log_stat(log, &stat);
    /* Without a durable record there is no earliest one: the next one will be. */
    weir_lsn earliest = stat.earliest != 0 ? stat.earliest : stat.durable + 1;
    return stat.horizon >= earliest ? stat.horizon + 1 : earliest;
}

/* ---- what may be missing ---- */

static bool is_garbage(uint32_t id)
{
    return id == 0 || id == TORTURE_ID_VOID || (id & TORTURE_GARBAGE_SEQUENCE) != 0;
}

bool referee_may_miss(struct referee *referee, const struct referee_facts *facts, weir_lsn lsn)
{
    return lsn <= facts->horizon_tried &&
           is_garbage(atomic_load(&referee->ids[lsn % TORTURE_RECORDS_MAX]));
}

bool referee_must_miss(struct referee *referee, const struct referee_facts *facts, weir_lsn lsn)
{
    uint32_t gone = atomic_load(&referee->gone[lsn % TORTURE_RECORDS_MAX]);
    return gone != 0 && gone <= facts->compactions;
}

void referee_check_missing(struct referee *referee, const struct referee_facts *facts,
                           weir_lsn from, weir_lsn to)
{
    for (weir_lsn lsn = from; lsn < to; lsn++) {
        if (!referee_may_miss(referee, facts, lsn)) {
            referee_fail(referee, "LSN %ju is missing (id %x), the horizon was at most %ju",
                         (uintmax_t)lsn, atomic_load(&referee->ids[lsn % TORTURE_RECORDS_MAX]),
                         (uintmax_t)facts->horizon_tried);
            return;
        }
    }
}

/* ---- compacting ---- */

static int keep(void *context, const struct weir_record *record, uint64_t address)
{
    struct referee *referee = context;
    (void)address;
    if (torture_id(record) == 0) {
        referee_fail(referee, "compaction was shown a wrong record at %ju", (uintmax_t)record->lsn);
    }
    return record->lsn % 8 == 0                   ? WAL_ADDRESS_DROP_LAST
           : record->type == TORTURE_GARBAGE_TYPE ? WAL_ADDRESS_DROP
                                                  : WAL_ADDRESS_KEEP;
}

static void moved(void *context, const struct weir_record *record, uint64_t old_address,
                  uint64_t new_address)
{
    struct referee *referee = context;
    if (new_address != 0 && (torture_id(record) == 0 || old_address == new_address)) {
        referee_fail(referee, "a wrong record was moved at %ju", (uintmax_t)record->lsn);
    }
}

/* What the compacted view lacks from `from` to `horizon`; it ends early where it is overtaken. */
static void note_gone(struct referee *referee, struct weir_log *log, weir_lsn horizon,
                      uint32_t number)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    struct weir_record record;
    options.compacted = true;
    options.with_void = true;
    if (weir_cursor_open(log, &options, &cursor) < 0) {
        return;
    }
    weir_lsn next = weir_cursor_position(cursor);
    while (next <= horizon && weir_cursor_next(cursor, &record) == 1) {
        for (; next < record.lsn; next++) {
            atomic_store(&referee->gone[next % TORTURE_RECORDS_MAX], number);
        }
        next = record.lsn + 1;
    }
    weir_cursor_close(cursor);
}

int referee_compact(struct referee *referee, struct weir_log *log, weir_lsn horizon)
{
    struct wal_address_compaction compaction = {
        .horizon = horizon, .keep = keep, .moved = moved, .context = referee};
    struct wal_address_compaction_report report;
    compaction.thorough = horizon % 2 == 0;
    uint64_t tried = atomic_load(&referee->horizon_tried);
    while (tried < horizon &&
           !atomic_compare_exchange_weak(&referee->horizon_tried, &tried, horizon)) {
    }
    int rc = wal_address_compact(log, &compaction, &report, NULL);
    atomic_fetch_add(&referee->compaction_steps, report.steps);
    if (rc == 0 && report.steps > 0) {
        uint32_t number = atomic_fetch_add(&referee->noting, 1) + 1;
        note_gone(referee, log, horizon, number);
        uint32_t last = atomic_load(&referee->compactions);
        while (last < number &&
               !atomic_compare_exchange_weak(&referee->compactions, &last, number)) {
        }
    }
    return rc;
}

void referee_note_missing(struct referee *referee, struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    for (weir_lsn lsn = 0; lsn <= atomic_load(&referee->highest); lsn++) {
        atomic_store(&referee->gone[lsn % TORTURE_RECORDS_MAX], 0);
    }
    uint32_t number = atomic_fetch_add(&referee->noting, 1) + 1;
    if (weir_log_stat(log, &stat) == 0) {
        note_gone(referee, log, stat.horizon, number);
    }
    atomic_store(&referee->compactions, number);
}
