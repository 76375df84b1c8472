/*
 * Events held against an oracle.
 */
#include "tests/engine/taker.h"

#include <errno.h>
#include <string.h>

static bool has_table(const struct taker *taker, uint32_t table)
{
    bool found = taker->options.table_count == 0;
    for (size_t i = 0; i < taker->options.table_count; i++) {
        found = found || taker->tables[i] == table;
    }
    return found;
}

static bool has_operation(const struct taker *taker, enum weir_operation operation)
{
    static const uint32_t bits[] = {0, WEIR_ON_INSERT, WEIR_ON_UPDATE, WEIR_ON_REMOVE};
    return taker->options.operations == 0 || (taker->options.operations & bits[operation]) != 0;
}

static bool is_same(struct weir_bytes a, struct weir_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* ---- the sum ---- */

static void begin_with(struct taker *taker, weir_lsn lsn)
{
    for (uint32_t table = 0; table < ORACLE_TABLES; table++) {
        for (uint32_t key = 0; key < taker->oracle->key_count; key++) {
            const struct oracle_version *live = oracle_live(taker->oracle, table, key, lsn);
            taker->versions[table][key] = live != NULL ? live->lsn : 0;
        }
    }
}

bool taker_check_sum(struct taker *taker)
{
    weir_lsn position = weir_changes_position(taker->changes);
    for (uint32_t table = 0; table < taker->oracle->table_count; table++) {
        for (uint32_t key = 0; key < taker->oracle->key_count; key++) {
            const struct oracle_version *live = oracle_live(taker->oracle, table, key, position);
            weir_lsn expected = live != NULL ? live->lsn : 0;
            if (has_table(taker, table) && taker->versions[table][key] != expected) {
                return oracle_fail(taker->oracle, "at %ju key %u of table %u is %ju, expected %ju",
                                   (uintmax_t)position, key, table,
                                   (uintmax_t)taker->versions[table][key], (uintmax_t)expected);
            }
        }
    }
    return true;
}

/* ---- opening ---- */

int taker_open(struct taker *taker, struct oracle *oracle,
               const struct weir_changes_options *options)
{
    *taker = (struct taker){.oracle = oracle, .options = *options};
    for (size_t i = 0; i < options->table_count; i++) {
        taker->tables[i] = options->tables[i];
    }
    taker->keeps_all = options->operations == 0;
    int rc = weir_changes_open(oracle->engine, options, &taker->changes);
    if (rc < 0) {
        return rc;
    }
    weir_lsn state = weir_changes_state_lsn(taker->changes);
    taker->in_state = state > 0 || options->from == WEIR_CHANGES_SNAPSHOT;
    taker->seen = taker->in_state ? state : weir_changes_position(taker->changes);
    if (!taker->in_state) {
        begin_with(taker, taker->seen);
    }
    return 0;
}

void taker_close(struct taker *taker)
{
    weir_changes_close(taker->changes);
    taker->changes = NULL;
}

/* ---- events ---- */

/* Nothing between what was seen and here should have come. */
static bool pass_over(struct taker *taker, weir_lsn to)
{
    struct oracle *oracle = taker->oracle;
    for (weir_lsn lsn = taker->seen + 1; lsn <= to; lsn++) {
        const struct oracle_record *record = &oracle->records[lsn];
        if (record->kind != ORACLE_CHANGE || !has_table(taker, record->table)) {
            continue;
        }
        const struct oracle_version *version =
            oracle_version(oracle, record->table, record->key, lsn);
        if (has_operation(taker, version->operation)) {
            return oracle_fail(oracle, "LSN %ju was not lent", (uintmax_t)lsn);
        }
    }
    taker->seen = to > taker->seen ? to : taker->seen;
    return true;
}

static bool check_change(struct taker *taker, const struct weir_event *event)
{
    struct oracle *oracle = taker->oracle;
    if (event->lsn <= taker->seen || event->lsn > oracle->last) {
        return oracle_fail(oracle, "LSN %ju came behind %ju", (uintmax_t)event->lsn,
                           (uintmax_t)taker->seen);
    }
    const struct oracle_record *record = &oracle->records[event->lsn];
    if (!pass_over(taker, event->lsn - 1) || record->kind != ORACLE_CHANGE) {
        return oracle_fail(oracle, "LSN %ju is no change", (uintmax_t)event->lsn);
    }
    const struct oracle_version *version =
        oracle_version(oracle, record->table, record->key, event->lsn);
    const struct oracle_version *before =
        oracle_live(oracle, record->table, record->key, event->lsn - 1);
    const struct weir_bytes none = {NULL, 0};
    bool right = !event->state && event->table == oracle->tables[record->table] &&
                 has_table(taker, record->table) && event->operation == version->operation &&
                 has_operation(taker, event->operation) && event->time_ns > 0 &&
                 is_same(event->key, oracle_key(oracle, record->key)) &&
                 is_same(event->after, version->deleted ? none : version->value) &&
                 is_same(event->before, before != NULL ? before->value : none) &&
                 event->before_lsn == (before != NULL ? before->lsn : 0) &&
                 (event->operation == WEIR_INSERT) == (before == NULL);
    taker->versions[record->table][record->key] = version->deleted ? 0 : version->lsn;
    taker->seen = event->lsn;
    return right || oracle_fail(oracle, "LSN %ju is not what was written", (uintmax_t)event->lsn);
}

/* The live keys from where the rows are up to (table, key) itself were all to come. */
static bool check_row(struct taker *taker, const struct weir_event *event)
{
    struct oracle *oracle = taker->oracle;
    while (taker->row_table < oracle->table_count) {
        uint32_t table = taker->row_table, key = taker->row_key;
        const struct oracle_version *live =
            has_table(taker, table) ? oracle_live(oracle, table, key, taker->seen) : NULL;
        taker->row_key = key + 1 < oracle->key_count ? key + 1 : 0;
        taker->row_table += taker->row_key == 0 ? 1 : 0;
        if (live == NULL) {
            continue;
        }
        taker->versions[table][key] = live->lsn;
        bool right = event != NULL && event->state && event->operation == WEIR_INSERT &&
                     event->lsn == live->lsn && event->table == oracle->tables[table] &&
                     event->before_lsn == 0 && event->before.data == NULL && event->time_ns > 0 &&
                     is_same(event->key, oracle_key(oracle, key)) &&
                     is_same(event->after, live->value);
        return right ||
               oracle_fail(oracle, "of the state as of %ju key %u of table %u is not right",
                           (uintmax_t)taker->seen, key, table);
    }
    return event == NULL || oracle_fail(oracle, "a row too many");
}

static bool check_event(struct taker *taker, const struct weir_event *event)
{
    if (taker->in_state && !event->state) {
        taker->in_state = false;
        if (has_operation(taker, WEIR_INSERT) && !check_row(taker, NULL)) {
            return false;
        }
    }
    return taker->in_state ? check_row(taker, event) : check_change(taker, event);
}

/* What is whole ends no batch in its middle. */
static bool check_position(struct taker *taker)
{
    struct oracle *oracle = taker->oracle;
    weir_lsn position = weir_changes_position(taker->changes);
    bool whole = weir_changes_is_whole(taker->changes);
    if (taker->in_state && position < taker->seen) {
        return !whole || oracle_fail(oracle, "half a state is whole");
    }
    if (taker->in_state) {
        taker->in_state = false;
        if (has_operation(taker, WEIR_INSERT) && !check_row(taker, NULL)) {
            return false;
        }
    }
    if (position < taker->seen || !pass_over(taker, position)) {
        return oracle_fail(oracle, "position %ju, seen %ju", (uintmax_t)position,
                           (uintmax_t)taker->seen);
    }
    const struct oracle_record *record = &oracle->records[position];
    if (whole && position > 0 && record->kind == ORACLE_CHANGE && !record->ends_batch) {
        return oracle_fail(oracle, "LSN %ju is whole and cuts a batch", (uintmax_t)position);
    }
    return !whole || !taker->keeps_all || taker_check_sum(taker);
}

int taker_take(struct taker *taker, int max)
{
    struct weir_event events[TAKER_EVENTS];
    max = max < TAKER_EVENTS ? max : TAKER_EVENTS;
    int count = weir_changes_next(taker->changes, events, max);
    bool right = count <= max;
    for (int i = 0; right && i < count; i++) {
        right = check_event(taker, &events[i]);
    }
    taker->taken += count > 0 ? (uint64_t)count : 0;
    if (right && count >= 0) {
        right = check_position(taker);
    }
    if (right && count == 0 && !weir_changes_is_whole(taker->changes)) {
        right = oracle_fail(taker->oracle, "caught up, and not whole");
    }
    return right ? count : -EBADMSG;
}

int taker_drain(struct taker *taker, int max)
{
    int rc;
    while ((rc = taker_take(taker, max)) > 0) {
    }
    weir_lsn position = weir_changes_position(taker->changes);
    if (rc == 0 && position < weir_durable_lsn(taker->oracle->log)) {
        oracle_fail(taker->oracle, "caught up at %ju", (uintmax_t)position);
        return -EBADMSG;
    }
    return rc;
}
