/*
 * Many threads at work on one engine.
 *
 * Invariants: each batch leaves the total as it was; each increment that was acknowledged is in the
 * counter's history exactly once.
 */
#include "tests/engine/crowd.h"

#include "base/thread.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define VALUE_MAX 2048u
#define FIRST_COUNTER CROWD_ACCOUNTS
#define FIRST_OTHER (CROWD_ACCOUNTS + CROWD_COUNTERS)

struct member {
    struct crowd *crowd;
    struct base_prng prng;
    unsigned number;
};

/* ---- what all share ---- */

bool crowd_fail(struct crowd *crowd, const char *format, ...)
{
    base_lock_acquire(&crowd->lock);
    if (!atomic_load(&crowd->failed)) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(crowd->failure, sizeof crowd->failure, format, arguments);
        va_end(arguments);
        atomic_store(&crowd->failed, true);
    }
    base_lock_release(&crowd->lock);
    return false;
}

/* An error: false. It counts unless calls may fail. */
static bool answered(struct crowd *crowd, const char *what, int rc)
{
    if (rc >= 0) {
        return true;
    }
    if (!crowd->tolerant) {
        (void)crowd_fail(crowd, "%s: %s", what, weir_error_name(rc));
    }
    return false;
}

static void promise(struct crowd *crowd, weir_lsn lsn)
{
    uint64_t before = atomic_load(&crowd->acknowledged);
    while (before < lsn && !atomic_compare_exchange_weak(&crowd->acknowledged, &before, lsn)) {
    }
}

static struct weir_bytes key_of(const struct crowd *crowd, uint32_t key)
{
    return (struct weir_bytes){crowd->keys[key].bytes, crowd->keys[key].size};
}

/* A number, and bytes behind it. */
static struct weir_bytes value_of(const struct crowd *crowd, uint64_t number, uint8_t *bytes)
{
    memcpy(bytes, &number, sizeof number);
    memset(bytes + sizeof number, (int)(number % 251), crowd->padding);
    return (struct weir_bytes){bytes, sizeof number + crowd->padding};
}

static uint64_t number_in(struct weir_bytes value)
{
    uint64_t number = 0;
    memcpy(&number, value.data, value.size < sizeof number ? value.size : sizeof number);
    return number;
}

void crowd_begin(struct crowd *crowd, const struct oracle *oracle)
{
    memcpy(crowd->keys, oracle->keys, sizeof crowd->keys);
}

bool crowd_fill(struct crowd *crowd)
{
    uint8_t bytes[VALUE_MAX];
    for (uint32_t i = 0; i < CROWD_ACCOUNTS; i++) {
        weir_lsn lsn = 0;
        int rc = weir_put(crowd->engine, 0, key_of(crowd, i), value_of(crowd, CROWD_MONEY, bytes),
                          i + 1 == CROWD_ACCOUNTS ? WEIR_EACH : WEIR_NONE, &lsn);
        if (!answered(crowd, "fill", rc)) {
            return false;
        }
        promise(crowd, i + 1 == CROWD_ACCOUNTS ? lsn : 0);
    }
    return true;
}

/* ---- writers ---- */

static enum weir_durability draw_durability(struct member *member)
{
    static const enum weir_durability all[] = {WEIR_NONE, WEIR_NONE, WEIR_GROUP, WEIR_EACH};
    return all[base_prng_below(&member->prng, 4)];
}

struct seen {
    uint64_t number;
    weir_lsn lsn; /* 0: absent */
};

static bool look(struct member *member, uint32_t key, struct seen *ret_seen)
{
    struct crowd *crowd = member->crowd;
    struct weir_read read;
    struct weir_row row;
    int rc = weir_read_begin(crowd->engine, NULL, &read);
    if (!answered(crowd, "read_begin", rc)) {
        return false;
    }
    rc = weir_get(&read, 0, key_of(crowd, key), &row);
    *ret_seen = rc == 1 ? (struct seen){number_in(row.value), row.lsn} : (struct seen){0, 0};
    weir_read_end(&read);
    return answered(crowd, "get", rc);
}

/* Done, or in conflict: true. */
static bool wrote(struct member *member, int rc, enum weir_durability durability, weir_lsn last)
{
    struct crowd *crowd = member->crowd;
    if (rc == WEIR_E_CONFLICT) {
        atomic_fetch_add(&crowd->conflicts, 1);
        return true;
    }
    promise(crowd, rc == 0 && durability == WEIR_EACH ? last : 0);
    return answered(crowd, "write", rc);
}

static bool transfer(struct member *member)
{
    struct crowd *crowd = member->crowd;
    static _Thread_local uint8_t bytes[2][VALUE_MAX];
    uint32_t from = (uint32_t)base_prng_below(&member->prng, CROWD_ACCOUNTS);
    uint32_t to =
        (from + 1 + (uint32_t)base_prng_below(&member->prng, CROWD_ACCOUNTS - 1)) % CROWD_ACCOUNTS;
    struct seen a, b;
    if (!look(member, from, &a) || !look(member, to, &b)) {
        return false;
    }
    uint64_t amount = a.number > 0 ? 1 + base_prng_below(&member->prng, a.number) : 0;
    struct weir_write writes[] = {
        {.kind = WEIR_PUT,
         .key = key_of(crowd, from),
         .value = value_of(crowd, a.number - amount, bytes[0]),
         .conditional = true,
         .expected = a.lsn},
        {.kind = WEIR_PUT,
         .key = key_of(crowd, to),
         .value = value_of(crowd, b.number + amount, bytes[1]),
         .conditional = true,
         .expected = b.lsn},
    };
    enum weir_durability durability = draw_durability(member);
    weir_lsn lsn = 0;
    int rc = weir_engine_write_batch(crowd->engine, writes, 2, durability, &lsn);
    return wrote(member, rc, durability, lsn + 1);
}

/* Until it succeeds: the sum of the counters is the number of calls. */
static bool count(struct member *member)
{
    struct crowd *crowd = member->crowd;
    uint8_t bytes[VALUE_MAX];
    uint32_t key = FIRST_COUNTER + (uint32_t)base_prng_below(&member->prng, CROWD_COUNTERS);
    enum weir_durability durability = draw_durability(member);
    int rc;
    do {
        struct seen seen;
        if (!look(member, key, &seen)) {
            return false;
        }
        struct weir_write write = {.kind = WEIR_PUT,
                                   .key = key_of(crowd, key),
                                   .value = value_of(crowd, seen.number + 1, bytes),
                                   .conditional = true,
                                   .expected = seen.lsn};
        weir_lsn lsn = 0;
        rc = weir_engine_write(crowd->engine, &write, durability, &lsn);
        if (!wrote(member, rc, durability, lsn)) {
            return false;
        }
    } while (rc == WEIR_E_CONFLICT);
    atomic_fetch_add(&crowd->counted, 1);
    return true;
}

static bool change_other(struct member *member)
{
    struct crowd *crowd = member->crowd;
    uint8_t bytes[VALUE_MAX];
    uint32_t key = FIRST_OTHER + (uint32_t)base_prng_below(&member->prng, CROWD_OTHERS);
    weir_lsn lsn = 0;
    int rc = base_prng_below(&member->prng, 2) == 0
                 ? weir_delete(crowd->engine, 0, key_of(crowd, key), WEIR_NONE, &lsn)
                 : weir_put(crowd->engine, 0, key_of(crowd, key),
                            value_of(crowd, base_prng_next(&member->prng), bytes), WEIR_NONE, &lsn);
    return rc == -ENOENT || answered(crowd, "put or delete", rc);
}

static bool append(struct member *member)
{
    struct weir_part part = {"application", 11};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 3};
    return answered(member->crowd, "append",
                    weir_append(member->crowd->log, &entry, WEIR_NONE, NULL));
}

static void write_on(void *context)
{
    struct member *member = context;
    struct crowd *crowd = member->crowd;
    bool right = true;
    for (unsigned i = 0; right && i < crowd->steps && !atomic_load(&crowd->failed); i++) {
        switch (base_prng_below(&member->prng, 16)) {
        case 0:
            right = append(member);
            break;
        case 1:
        case 2:
            right = change_other(member);
            break;
        case 3:
        case 4:
        case 5:
        case 6:
            right = count(member);
            break;
        default:
            right = transfer(member);
            break;
        }
    }
    atomic_fetch_sub(&crowd->writing, 1);
}

/* ---- readers ---- */

static int add_up(struct crowd *crowd, struct weir_read *read, uint64_t *ret_total,
                  unsigned *ret_rows)
{
    struct weir_scan *scan;
    struct weir_row row;
    int rc = weir_scan_open(read, NULL, &scan);
    *ret_total = 0;
    *ret_rows = 0;
    if (rc < 0) {
        return rc;
    }
    while ((rc = weir_scan_next(scan, &row)) == 1) {
        for (uint32_t i = 0; i < CROWD_ACCOUNTS; i++) {
            struct weir_bytes key = key_of(crowd, i);
            bool same = key.size == row.key.size && memcmp(key.data, row.key.data, key.size) == 0;
            *ret_total += same ? number_in(row.value) : 0;
            *ret_rows += same ? 1 : 0;
        }
    }
    weir_scan_close(scan);
    return rc;
}

bool crowd_count_money(struct crowd *crowd, weir_lsn as_of)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_read read;
    uint64_t total;
    unsigned rows;
    options.view = as_of == ORACLE_NEWEST ? WEIR_VIEW_DURABLE : WEIR_VIEW_AS_OF;
    options.lsn = as_of == ORACLE_NEWEST ? 0 : as_of;
    int rc = weir_read_begin(crowd->engine, &options, &read);
    if (rc < 0) {
        return crowd_fail(crowd, "read as of %ju: %s", (uintmax_t)as_of, weir_error_name(rc));
    }
    rc = add_up(crowd, &read, &total, &rows);
    weir_read_end(&read);
    if (rc == WEIR_E_HORIZON && as_of == ORACLE_NEWEST) {
        return true; /* no snapshot keeps a view from falling behind */
    }
    if (rc == WEIR_E_TRUNCATED && crowd->beside) {
        return true; /* compacted since the refresh: the next one finds where it is now */
    }
    bool right = answered(crowd, "scan", rc);
    if (right && (total != CROWD_ACCOUNTS * CROWD_MONEY || rows != CROWD_ACCOUNTS)) {
        right = crowd_fail(crowd, "as of %ju: %ju in %u accounts", (uintmax_t)as_of,
                           (uintmax_t)total, rows);
    }
    return right;
}

/* The version of each key as of an LSN, by a scan; 0: not shown. */
struct versions {
    weir_lsn lsns[CROWD_KEYS];
    unsigned rows;
};

static void list_versions(struct crowd *crowd, weir_lsn lsn, struct versions *ret_versions)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_read read;
    struct weir_scan *scan;
    struct weir_row row;
    *ret_versions = (struct versions){.rows = 0};
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = lsn;
    if (weir_read_begin(crowd->engine, &options, &read) < 0) {
        return;
    }
    int rc = weir_scan_open(&read, NULL, &scan);
    while (rc == 0 && weir_scan_next(scan, &row) == 1) {
        ret_versions->rows++;
        for (uint32_t i = 0; i < CROWD_KEYS; i++) {
            struct weir_bytes key = key_of(crowd, i);
            if (key.size == row.key.size && memcmp(key.data, row.key.data, key.size) == 0) {
                ret_versions->lsns[i] = row.lsn;
            }
        }
    }
    if (rc == 0) {
        weir_scan_close(scan);
    }
    weir_read_end(&read);
}

static bool compare_versions(struct crowd *crowd, weir_lsn lsn, const struct versions *before,
                             const struct versions *after)
{
    for (uint32_t i = 0; i < CROWD_KEYS; i++) {
        if (before->lsns[i] != after->lsns[i]) {
            return crowd_fail(crowd, "the snapshot of %ju: key %u had version %ju, then %ju",
                              (uintmax_t)lsn, i, (uintmax_t)before->lsns[i],
                              (uintmax_t)after->lsns[i]);
        }
    }
    return before->rows == after->rows || crowd_fail(crowd, "the snapshot of %ju: %u rows, then %u",
                                                     (uintmax_t)lsn, before->rows, after->rows);
}

/* The state of a snapshot now, and again when others have gone on. */
static bool watch_snapshot(struct member *member)
{
    struct crowd *crowd = member->crowd;
    struct weir_snapshot *snapshot;
    uint8_t first[16], again[16];
    uint64_t keys = 0, keys_again = 0;
    struct versions before, after;
    if (!answered(crowd, "snapshot_open", weir_snapshot_open(crowd->engine, 0, &snapshot))) {
        return false;
    }
    weir_lsn lsn = weir_snapshot_lsn(snapshot);
    list_versions(crowd, lsn, &before);
    bool right =
        crowd_count_money(crowd, lsn) &&
        answered(crowd, "fingerprint", weir_engine_fingerprint(crowd->engine, lsn, first, &keys));
    for (unsigned i = 0; i < 20; i++) {
        base_yield();
    }
    right = right && crowd_count_money(crowd, lsn) &&
            answered(crowd, "fingerprint",
                     weir_engine_fingerprint(crowd->engine, lsn, again, &keys_again));
    list_versions(crowd, lsn, &after);
    right = right && compare_versions(crowd, lsn, &before, &after);
    if (right && memcmp(first, again, sizeof first) != 0) {
        right = crowd_fail(crowd, "the snapshot of %ju had %ju keys, and has %ju others",
                           (uintmax_t)lsn, (uintmax_t)keys, (uintmax_t)keys_again);
    }
    weir_snapshot_close(snapshot);
    atomic_fetch_add(&crowd->snapshots, 1);
    return right;
}

/* Versions get older, and stay as they are. */
static bool walk_history(struct member *member)
{
    struct crowd *crowd = member->crowd;
    uint32_t key = (uint32_t)base_prng_below(&member->prng, FIRST_OTHER);
    struct weir_read read;
    struct weir_history history;
    struct weir_key_version version;
    uint64_t next = UINT64_MAX, next_lsn = UINT64_MAX;
    if (!answered(crowd, "read_begin", weir_read_begin(crowd->engine, NULL, &read))) {
        return false;
    }
    int rc = weir_history_begin(&read, 0, key_of(crowd, key), &history);
    while (rc >= 0 && (rc = weir_history_next(&history, &version)) == 1) {
        uint64_t number = number_in(version.value);
        bool counts = key < FIRST_COUNTER || next == UINT64_MAX || number + 1 == next;
        if (version.lsn >= next_lsn || !counts) {
            (void)crowd_fail(crowd, "history of key %u: %ju at %ju in front of %ju at %ju", key,
                             (uintmax_t)number, (uintmax_t)version.lsn, (uintmax_t)next,
                             (uintmax_t)next_lsn);
            rc = 0;
            break;
        }
        next = number;
        next_lsn = version.lsn;
    }
    weir_read_end(&read);
    return answered(crowd, "history", rc);
}

static void read_on(void *context)
{
    struct member *member = context;
    struct crowd *crowd = member->crowd;
    bool right = true;
    while (right && atomic_load(&crowd->writing) > 0 && !atomic_load(&crowd->failed)) {
        right = watch_snapshot(member) && walk_history(member) &&
                crowd_count_money(crowd, ORACLE_NEWEST);
        base_yield();
    }
}

/* ---- upkeep ---- */

static bool keep_up(struct member *member)
{
    struct crowd *crowd = member->crowd;
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    switch (base_prng_below(&member->prng, crowd->compacts ? 3 : 2)) {
    case 0:
        return answered(crowd, "maintain", weir_engine_maintain(crowd->engine, &why));
    case 1:
        atomic_fetch_add(&crowd->checkpoints, 1);
        return answered(crowd, "checkpoint", weir_engine_checkpoint(crowd->engine, NULL, &why));
    default:
        options.thorough = base_prng_below(&member->prng, 2) == 0;
        int rc = weir_engine_compact(crowd->engine, &options, &report, &why);
        atomic_fetch_add(&crowd->steps_compacted, report.steps);
        return answered(crowd, why.text, rc);
    }
}

static void keep_going(void *context)
{
    struct member *member = context;
    struct crowd *crowd = member->crowd;
    bool right = true;
    while (right && atomic_load(&crowd->writing) > 0 && !atomic_load(&crowd->failed)) {
        right = keep_up(member);
        base_yield();
    }
}

/* ---- all together ---- */

void crowd_run(struct crowd *crowd)
{
    struct member members[CROWD_THREADS_MAX];
    struct base_thread threads[CROWD_THREADS_MAX];
    unsigned upkeep = crowd->upkeep ? (crowd->compacts ? 2 : 1) : 0, started = 0;
    unsigned wanted = crowd->writers + crowd->readers + upkeep;
    atomic_store(&crowd->writing, crowd->writers);
    for (unsigned i = 0; i < wanted && i < CROWD_THREADS_MAX; i++) {
        members[i] = (struct member){.crowd = crowd, .number = i};
        base_prng_seed(&members[i].prng, crowd->seed * 100 + i);
        base_thread_main run = i < crowd->writers                    ? write_on
                               : i < crowd->writers + crowd->readers ? read_on
                                                                     : keep_going;
        int rc = base_thread_start(&threads[i], "crowd", run, &members[i]);
        if (rc < 0) {
            (void)crowd_fail(crowd, "thread: %s", weir_error_name(rc));
            break;
        }
        started++;
    }
    for (unsigned i = 0; i < started; i++) {
        base_thread_join(&threads[i]);
    }
}
