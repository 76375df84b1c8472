/*
 * Random work in step with an oracle.
 *
 * Happy path of a write: draw it, work out from the oracle what must come of it, do it, compare,
 * tell the oracle. Of a look: a state as of a random LSN, and something to be read from it.
 *
 * Invariant: what is drawn depends on the seed and on the oracle alone, so that the beginning of a
 * run is the same however long the run is.
 */
#include "tests/engine/workload.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- life ---- */

void workload_begin(struct workload *workload, uint64_t seed)
{
    *workload = (struct workload){.reads = true, .doing = "begin"};
    base_prng_seed(&workload->prng, seed);
    oracle_begin(&workload->oracle, &workload->prng);
}

void workload_close_snapshots(struct workload *workload)
{
    for (unsigned i = 0; i < WORKLOAD_SNAPSHOTS; i++) {
        weir_snapshot_close(workload->snapshots[i]);
        workload->snapshots[i] = NULL;
    }
}

void workload_end(struct workload *workload)
{
    oracle_end(&workload->oracle);
}

static uint32_t below(struct workload *workload, uint32_t bound)
{
    return (uint32_t)base_prng_below(&workload->prng, bound);
}

static bool chance(struct workload *workload, uint32_t of)
{
    return below(workload, of) == 0;
}

static bool answered(struct workload *workload, const char *what, int rc, int expected)
{
    return rc == expected || oracle_fail(&workload->oracle, "%s: %d (%s), expected %d", what, rc,
                                         rc < 0 ? weir_error_name(rc) : "", expected);
}

static weir_lsn promise(struct workload *workload, weir_lsn lsn)
{
    workload->acknowledged = lsn > workload->acknowledged ? lsn : workload->acknowledged;
    return lsn;
}

/* ---- writes ---- */

struct draft {
    struct weir_write writes[WORKLOAD_WRITES];
    uint32_t tables[WORKLOAD_WRITES], keys[WORKLOAD_WRITES];
    uint32_t count;
};

static struct weir_bytes draw_value(struct workload *workload, uint32_t slot)
{
    static uint8_t values[WORKLOAD_WRITES][WORKLOAD_VALUE_BYTES];
    uint32_t kind = below(workload, 32);
    uint32_t size = kind < 5    ? 0
                    : kind < 20 ? below(workload, 24)
                    : kind < 29 ? below(workload, 300)
                    : kind < 31 ? below(workload, 3000)
                                : below(workload, WORKLOAD_VALUE_BYTES);
    base_prng_fill(&workload->prng, values[slot], size);
    return (struct weir_bytes){values[slot], size};
}

/* What condition a write has: mostly the right one. */
static void draw_condition(struct workload *workload, uint32_t table, uint32_t key,
                           struct weir_write *write)
{
    const struct oracle_version *live = oracle_live(&workload->oracle, table, key, ORACLE_NEWEST);
    const struct oracle_version *any = oracle_version(&workload->oracle, table, key, ORACLE_NEWEST);
    write->conditional = chance(workload, 3);
    switch (write->conditional ? below(workload, 6) : 6) {
    case 0:
        write->expected = WEIR_LSN_NONE;
        break;
    case 1:
        write->expected = any != NULL ? any->lsn : 1; /* of a deleted key: wrong */
        break;
    case 2:
        write->expected = 1 + base_prng_below(&workload->prng, workload->oracle.last + 2);
        break;
    case 6:
        break;
    default:
        write->expected = live != NULL ? live->lsn : WEIR_LSN_NONE;
        break;
    }
}

static void draw(struct workload *workload, uint32_t count, struct draft *ret_draft)
{
    struct oracle *oracle = &workload->oracle;
    bool is_hot = workload->hot > 0 && chance(workload, 2);
    uint32_t few = is_hot ? workload->hot : oracle->key_count;
    ret_draft->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_write *write = &ret_draft->writes[i];
        uint32_t table = is_hot ? 0 : below(workload, oracle->table_count);
        uint32_t key = below(workload, few);
        bool live = oracle_live(oracle, table, key, ORACLE_NEWEST) != NULL;
        bool deletes = live ? chance(workload, 4) : chance(workload, 40);
        *write = (struct weir_write){.kind = deletes ? WEIR_DELETE : WEIR_PUT,
                                     .table = oracle->tables[table],
                                     .key = oracle_key(oracle, key)};
        write->value = deletes ? (struct weir_bytes){NULL, 0} : draw_value(workload, i);
        draw_condition(workload, table, key, write);
        ret_draft->tables[i] = table;
        ret_draft->keys[i] = key;
    }
}

/* The change of the same key before it in the batch. */
static const struct weir_write *earlier(const struct draft *draft, uint32_t index)
{
    for (uint32_t i = index; i-- > 0;) {
        if (draft->tables[i] == draft->tables[index] && draft->keys[i] == draft->keys[index]) {
            return &draft->writes[i];
        }
    }
    return NULL;
}

static int expect_write(const struct workload *workload, const struct draft *draft, uint32_t index)
{
    const struct weir_write *write = &draft->writes[index], *before = earlier(draft, index);
    const struct oracle_version *live =
        oracle_live(&workload->oracle, draft->tables[index], draft->keys[index], ORACLE_NEWEST);
    bool present = before != NULL ? before->kind == WEIR_PUT : live != NULL;
    if (write->conditional) {
        bool holds = write->expected == WEIR_LSN_NONE
                         ? !present
                         : before == NULL && live != NULL && live->lsn == write->expected;
        if (!holds) {
            return WEIR_E_CONFLICT;
        }
    }
    return write->kind == WEIR_DELETE && !present ? -ENOENT : 0;
}

static int expect_batch(const struct workload *workload, const struct draft *draft)
{
    int rc = 0;
    for (uint32_t i = 0; i < draft->count && rc == 0; i++) {
        rc = expect_write(workload, draft, i);
    }
    return rc;
}

static void note_batch(struct workload *workload, const struct draft *draft)
{
    for (uint32_t i = 0; i < draft->count; i++) {
        oracle_add_change(&workload->oracle, draft->tables[i], draft->keys[i],
                          draft->writes[i].kind == WEIR_DELETE, draft->writes[i].value,
                          i + 1 == draft->count);
    }
}

bool workload_write(struct workload *workload, uint32_t count, enum weir_durability durability)
{
    struct oracle *oracle = &workload->oracle;
    struct draft draft;
    workload->doing = count == 1 ? "write" : "write_batch";
    draw(workload, count, &draft);
    int expected = expect_batch(workload, &draft);
    weir_lsn first = oracle->last + 1, lsn = 0;
    bool single = count == 1 && chance(workload, 2);
    if (expected == 0) {
        note_batch(workload, &draft); /* before: a crash in the call may keep it */
    }
    int rc = single
                 ? weir_engine_write(oracle->engine, draft.writes, durability, &lsn)
                 : weir_engine_write_batch(oracle->engine, draft.writes, count, durability, &lsn);
    if (!answered(workload, workload->doing, rc, expected)) {
        return false;
    }
    if (rc == 0 && lsn != first) {
        return oracle_fail(oracle, "%s got LSN %ju, expected %ju", workload->doing, (uintmax_t)lsn,
                           (uintmax_t)first);
    }
    if (rc == 0 && durability == WEIR_EACH) {
        promise(workload, oracle->last);
    }
    return true;
}

/* ---- the log beside the engine ---- */

static bool append(struct workload *workload)
{
    uint8_t bytes[40] = {0};
    struct weir_part part = {bytes, below(workload, sizeof bytes)};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 0x1234};
    weir_lsn lsn = 0;
    workload->doing = "append";
    oracle_add_other(&workload->oracle, ORACLE_APPLICATION);
    int rc = weir_append(workload->oracle.log, &entry, WEIR_NONE, &lsn);
    return answered(workload, "append", rc, 0) && lsn == workload->oracle.last;
}

static bool cancel(struct workload *workload)
{
    struct weir_reservation reservation;
    workload->doing = "cancel";
    oracle_add_other(&workload->oracle, ORACLE_APPLICATION);
    int rc = weir_reserve(workload->oracle.log, 1, 10, &reservation);
    return answered(workload, "reserve", rc, 0) &&
           answered(workload, "cancel", weir_cancel(workload->oracle.log, &reservation), 0);
}

bool workload_commit(struct workload *workload)
{
    workload->doing = "commit";
    int rc = weir_commit(workload->oracle.log);
    promise(workload, rc == 0 ? workload->oracle.last : 0);
    return answered(workload, "commit", rc, 0);
}

static bool make_table(struct workload *workload)
{
    struct oracle *oracle = &workload->oracle;
    if (oracle->table_count == ORACLE_TABLES) {
        return true;
    }
    char name[16];
    weir_table table = 0;
    workload->doing = "table_open";
    snprintf(name, sizeof name, "table-%u", oracle->table_count);
    oracle_add_other(oracle, ORACLE_TABLE);
    oracle->tables[oracle->table_count] = oracle->table_count;
    oracle->table_count++;
    int rc = weir_table_open(oracle->engine, name, true, &table);
    promise(workload, rc == 0 ? oracle->last : 0);
    return answered(workload, "table_open", rc, 0) &&
           answered(workload, "number of a table", (int)table,
                    (int)oracle->tables[oracle->table_count - 1]);
}

/* ---- looks ---- */

static struct weir_bytes draw_bound(struct workload *workload)
{
    static uint8_t bytes[3][ORACLE_KEY_BYTES + 1];
    static unsigned turn;
    struct oracle *oracle = &workload->oracle;
    struct weir_bytes key = oracle_key(oracle, below(workload, oracle->key_count));
    uint8_t *bound = bytes[turn++ % 3];
    memcpy(bound, key.data, key.size);
    switch (below(workload, 4)) {
    case 0: /* just behind the key */
        bound[key.size] = 0;
        return (struct weir_bytes){bound, key.size + 1};
    case 1:
        return (struct weir_bytes){bound, below(workload, (uint32_t)key.size + 1)};
    case 2:
        bound[key.size - 1] = (uint8_t)below(workload, 256);
        return (struct weir_bytes){bound, key.size};
    default:
        return (struct weir_bytes){bound, key.size};
    }
}

static bool look_at_range(struct workload *workload, weir_lsn as_of)
{
    struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
    options.reverse = chance(workload, 2);
    options.bounded = chance(workload, 2);
    options.prefix = chance(workload, 2) ? draw_bound(workload) : options.prefix;
    options.from = chance(workload, 2) ? draw_bound(workload) : options.from;
    options.to = options.bounded ? draw_bound(workload) : options.to;
    return oracle_check_scan(&workload->oracle, as_of, &options,
                             below(workload, workload->oracle.table_count),
                             1 + (int)below(workload, 9));
}

static bool look_as_of(struct workload *workload, weir_lsn as_of)
{
    struct oracle *oracle = &workload->oracle;
    switch (below(workload, 6)) {
    case 0:
        return oracle_check_gets(oracle, as_of);
    case 1:
        return oracle_check_scans(oracle, as_of);
    case 2:
        return as_of == ORACLE_NEWEST || as_of == 0 || oracle_check_fingerprint(oracle, as_of);
    case 3:
        return oracle_check_history(oracle, below(workload, oracle->table_count),
                                    below(workload, oracle->key_count), as_of);
    default:
        return look_at_range(workload, as_of);
    }
}

/* Behind what is durable nothing can be seen as of an LSN, before the horizon neither. */
static bool look_beyond(struct workload *workload)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct oracle *oracle = &workload->oracle;
    struct weir_read read;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = oracle->last + 1;
    int rc = weir_read_begin(oracle->engine, &options, &read);
    if (!answered(workload, "read beyond the end", rc, -EAGAIN) || oracle->horizon == 0) {
        return rc == -EAGAIN;
    }
    options.lsn = oracle->horizon - 1;
    rc = weir_read_begin(oracle->engine, &options, &read);
    return answered(workload, "read below the horizon", rc, WEIR_E_HORIZON);
}

bool workload_look(struct workload *workload)
{
    struct oracle *oracle = &workload->oracle;
    workload->doing = "look";
    if (!oracle_check_horizon(oracle)) {
        return false;
    }
    if (chance(workload, 3)) {
        return look_as_of(workload, ORACLE_NEWEST);
    }
    if (chance(workload, 8)) {
        return look_beyond(workload);
    }
    uint32_t held = below(workload, WORKLOAD_SNAPSHOTS);
    if (workload->snapshots[held] != NULL && chance(workload, 2)) {
        return look_as_of(workload, weir_snapshot_lsn(workload->snapshots[held]));
    }
    weir_lsn last = oracle->last, lsn = last;
    if (chance(workload, 2) && !workload_commit(workload)) {
        return false;
    }
    last = weir_durable_lsn(oracle->log);
    lsn = oracle->horizon + base_prng_below(&workload->prng, last - oracle->horizon + 1);
    return look_as_of(workload, lsn);
}

static bool change_snapshot(struct workload *workload)
{
    struct oracle *oracle = &workload->oracle;
    struct weir_snapshot **snapshot = &workload->snapshots[below(workload, WORKLOAD_SNAPSHOTS)];
    workload->doing = "snapshot";
    if (*snapshot != NULL) {
        weir_snapshot_close(*snapshot);
        *snapshot = NULL;
        return true;
    }
    if (!oracle_check_horizon(oracle)) {
        return false;
    }
    weir_lsn durable = weir_durable_lsn(oracle->log), lsn = 0;
    if (chance(workload, 2) && durable > 0 && oracle->horizon <= durable) {
        lsn = oracle->horizon + base_prng_below(&workload->prng, durable - oracle->horizon + 1);
    }
    int rc = weir_snapshot_open(oracle->engine, lsn, snapshot);
    if (!answered(workload, "snapshot_open", rc, 0)) {
        return false;
    }
    return weir_snapshot_lsn(*snapshot) == (lsn != 0 ? lsn : durable) ||
           oracle_fail(oracle, "a snapshot is at %ju, expected %ju (durable %ju)",
                       (uintmax_t)weir_snapshot_lsn(*snapshot), (uintmax_t)lsn, (uintmax_t)durable);
}

/* ---- steps ---- */

static enum weir_durability draw_durability(struct workload *workload)
{
    static const enum weir_durability all[] = {WEIR_EACH, WEIR_GROUP, WEIR_NONE, WEIR_NONE};
    return all[below(workload, 4)];
}

static bool checkpoint(struct workload *workload)
{
    struct weir_checkpoint_report report = WEIR_CHECKPOINT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct oracle *oracle = &workload->oracle;
    workload->doing = "checkpoint";
    int rc = weir_engine_checkpoint(oracle->engine, &report, &why);
    promise(workload, rc == 0 ? report.until : 0);
    return answered(workload, why.text, rc, 0) &&
           (report.lsn <= report.until && report.until <= weir_durable_lsn(oracle->log)
                ? true
                : oracle_fail(oracle, "a checkpoint of %ju until %ju, durable %ju",
                              (uintmax_t)report.lsn, (uintmax_t)report.until,
                              (uintmax_t)weir_durable_lsn(oracle->log)));
}

static bool compact(struct workload *workload)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct oracle *oracle = &workload->oracle;
    weir_lsn oldest = UINT64_MAX;
    workload->doing = "compact";
    for (unsigned i = 0; i < WORKLOAD_SNAPSHOTS; i++) {
        weir_lsn lsn =
            workload->snapshots[i] != NULL ? weir_snapshot_lsn(workload->snapshots[i]) : UINT64_MAX;
        oldest = lsn < oldest ? lsn : oldest;
    }
    options.horizon = chance(workload, 2) ? base_prng_below(&workload->prng, oracle->last + 1) : 0;
    options.max_steps = below(workload, 3);
    options.thorough = chance(workload, 2);
    int rc = weir_engine_compact(oracle->engine, &options, &report, &why);
    if (!answered(workload, why.text, rc, 0) || !oracle_check_horizon(oracle)) {
        return false;
    }
    return (oracle->horizon <= oldest && report.horizon == oracle->horizon) ||
           oracle_fail(oracle, "compacted to %ju (report: %ju), the oldest snapshot is %ju",
                       (uintmax_t)oracle->horizon, (uintmax_t)report.horizon, (uintmax_t)oldest);
}

static bool upkeep(struct workload *workload)
{
    struct weir_error why = WEIR_ERROR_INIT;
    if (workload->compacts && chance(workload, 4)) {
        return chance(workload, 2) ? compact(workload) : checkpoint(workload);
    }
    workload->doing = "maintain";
    return answered(workload, "maintain", weir_engine_maintain(workload->oracle.engine, &why), 0);
}

bool workload_step(struct workload *workload)
{
    switch (below(workload, 24)) {
    case 0:
        return append(workload);
    case 1:
        return cancel(workload);
    case 2:
        return chance(workload, 8) ? make_table(workload) : workload_commit(workload);
    case 3:
        return upkeep(workload);
    case 4:
        return change_snapshot(workload);
    case 5:
    case 6:
    case 7:
        return workload->reads ? workload_look(workload) : true;
    case 8:
    case 9:
    case 10:
    case 11:
        return workload_write(workload, 1 + below(workload, WORKLOAD_WRITES),
                              draw_durability(workload));
    default:
        return workload_write(workload, 1, draw_durability(workload));
    }
}
