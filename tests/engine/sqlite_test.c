/*
 * SQLite as an oracle: the same random work goes into a table of versions, and what the engine
 * shows is compared with what a query answers.
 *
 *     kv(tab, key BLOB, lsn, value BLOB, deleted)
 *
 * The row that counts as of an LSN is the one with the greatest LSN at or below it. WEIR_SEED and
 * WEIR_DEEP_ROUNDS as in property_test.c.
 */
#include "store.h"

#include "tests/engine/workload.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS 500u
#define ROUNDS 12u
#define LOOKS 60u
#define ROWS_MAX 64

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/* ---- the database ---- */

static sqlite3_stmt *prepare(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    if (rc != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(database));
    }
    assert_int_equal(rc, SQLITE_OK);
    return statement;
}

static void bind_bytes(sqlite3_stmt *statement, int index, struct weir_bytes bytes)
{
    const void *data = bytes.size > 0 ? bytes.data : "";
    assert_int_equal(sqlite3_bind_blob(statement, index, data, (int)bytes.size, SQLITE_TRANSIENT),
                     SQLITE_OK);
}

static sqlite3 *open_database(void)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database,
                                  "CREATE TABLE kv(tab INTEGER, key BLOB, lsn INTEGER, value BLOB, "
                                  "deleted INTEGER, PRIMARY KEY(tab, key, lsn)) WITHOUT ROWID",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    return database;
}

/* Every change goes in as the log's cursor lends it: what was stored, and not what was meant. */
static weir_lsn follow(sqlite3 *database, struct weir_log *log, weir_lsn from)
{
    sqlite3_stmt *insert = prepare(database, "INSERT INTO kv VALUES(?,?,?,?,?)");
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor;
    struct weir_record record;
    struct weir_change change;
    int rc;
    options.from = WEIR_FROM_LSN;
    options.lsn = from;
    assert_int_equal(weir_cursor_open(log, &options, &cursor), 0);
    assert_int_equal(sqlite3_exec(database, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        if (weir_change_decode(&record, &change) == 1) {
            sqlite3_bind_int64(insert, 1, change.table);
            bind_bytes(insert, 2, change.key);
            sqlite3_bind_int64(insert, 3, (sqlite3_int64)record.lsn);
            bind_bytes(insert, 4, change.value);
            sqlite3_bind_int(insert, 5, change.operation == WEIR_REMOVE);
            assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
            sqlite3_reset(insert);
        }
        from = record.lsn + 1;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(sqlite3_exec(database, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    weir_cursor_close(cursor);
    sqlite3_finalize(insert);
    return from;
}

/* ---- comparing ---- */

static bool is_column(sqlite3_stmt *statement, int column, struct weir_bytes bytes)
{
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    return size == bytes.size &&
           (size == 0 || memcmp(sqlite3_column_blob(statement, column), bytes.data, size) == 0);
}

struct query {
    struct weir_scan_options options;
    weir_lsn as_of;
    int limit;
};

#define STATE                                                                                      \
    "SELECT key, lsn, value FROM kv AS a WHERE tab = ?1 AND NOT deleted AND lsn = "                \
    "(SELECT max(lsn) FROM kv AS b WHERE b.tab = a.tab AND b.key = a.key AND b.lsn <= ?2) "

static sqlite3_stmt *ask(sqlite3 *database, const struct query *query)
{
    const struct weir_scan_options *options = &query->options;
    char sql[700];
    snprintf(sql, sizeof sql,
             STATE "AND key >= ?3 %s AND substr(key, 1, length(?5)) = ?5 "
                   "ORDER BY key %s LIMIT ?6",
             options->bounded ? "AND key < ?4" : "AND ?4 IS NOT NULL",
             options->reverse ? "DESC" : "ASC");
    sqlite3_stmt *statement = prepare(database, sql);
    sqlite3_bind_int64(statement, 1, options->table);
    sqlite3_bind_int64(statement, 2,
                       query->as_of == ORACLE_NEWEST ? INT64_MAX : (int64_t)query->as_of);
    bind_bytes(statement, 3, options->from);
    bind_bytes(statement, 4, options->to);
    bind_bytes(statement, 5, options->prefix);
    sqlite3_bind_int(statement, 6, query->limit);
    return statement;
}

static void begin(struct store *store, weir_lsn as_of, struct weir_read *ret_read)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    options.view = as_of == ORACLE_NEWEST ? WEIR_VIEW_NEWEST : WEIR_VIEW_AS_OF;
    options.lsn = as_of == ORACLE_NEWEST ? 0 : as_of;
    assert_int_equal(weir_read_begin(store->engine, &options, ret_read), 0);
}

static unsigned compare_scan(struct store *store, sqlite3 *database, const struct query *query)
{
    struct weir_read read;
    struct weir_scan *scan;
    struct weir_row row;
    unsigned rows = 0;
    sqlite3_stmt *statement = ask(database, query);
    begin(store, query->as_of, &read);
    assert_int_equal(weir_scan_open(&read, &query->options, &scan), 0);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        assert_int_equal(weir_scan_next(scan, &row), 1);
        assert_true(is_column(statement, 0, row.key));
        assert_int_equal(row.lsn, sqlite3_column_int64(statement, 1));
        assert_true(is_column(statement, 2, row.value));
        rows++;
    }
    if ((int)rows < query->limit) {
        assert_int_equal(weir_scan_next(scan, &row), 0);
    }
    weir_scan_close(scan);
    weir_read_end(&read);
    sqlite3_finalize(statement);
    return rows;
}

static void compare_get(struct store *store, sqlite3 *database, weir_lsn as_of, weir_table table,
                        struct weir_bytes key)
{
    struct weir_read read;
    struct weir_row row;
    sqlite3_stmt *statement = prepare(database, STATE "AND key = ?3");
    sqlite3_bind_int64(statement, 1, table);
    sqlite3_bind_int64(statement, 2, as_of == ORACLE_NEWEST ? INT64_MAX : (int64_t)as_of);
    bind_bytes(statement, 3, key);
    begin(store, as_of, &read);
    int found = sqlite3_step(statement) == SQLITE_ROW ? 1 : 0;
    assert_int_equal(weir_get(&read, table, key, &row), found);
    if (found == 1) {
        assert_int_equal(row.lsn, sqlite3_column_int64(statement, 1));
        assert_true(is_column(statement, 2, row.value));
    }
    weir_read_end(&read);
    sqlite3_finalize(statement);
}

static void compare_history(struct store *store, sqlite3 *database, weir_lsn as_of,
                            weir_table table, struct weir_bytes key)
{
    struct weir_read read;
    struct weir_history history;
    struct weir_key_version version;
    sqlite3_stmt *statement =
        prepare(database, "SELECT lsn, deleted, value FROM kv WHERE tab = ?1 AND key = ?3 AND "
                          "lsn <= ?2 ORDER BY lsn DESC");
    sqlite3_bind_int64(statement, 1, table);
    sqlite3_bind_int64(statement, 2, as_of == ORACLE_NEWEST ? INT64_MAX : (int64_t)as_of);
    bind_bytes(statement, 3, key);
    begin(store, as_of, &read);
    assert_int_equal(weir_history_begin(&read, table, key, &history), 0);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        assert_int_equal(weir_history_next(&history, &version), 1);
        assert_int_equal(version.lsn, sqlite3_column_int64(statement, 0));
        assert_int_equal(version.deleted, sqlite3_column_int(statement, 1));
        assert_true(is_column(statement, 2, version.value));
    }
    assert_int_equal(weir_history_next(&history, &version), 0);
    weir_read_end(&read);
    sqlite3_finalize(statement);
}

/* ---- the work ---- */

struct bounds {
    uint8_t bytes[3][ORACLE_KEY_BYTES];
};

/* A key, or its beginning, or what lies beside it. */
static struct weir_bytes draw_bound(struct workload *workload, uint8_t *bytes)
{
    struct base_prng *prng = &workload->prng;
    struct oracle *oracle = &workload->oracle;
    if (base_prng_below(prng, 2) == 0) {
        return (struct weir_bytes){NULL, 0};
    }
    struct weir_bytes key = oracle_key(oracle, (uint32_t)base_prng_below(prng, oracle->key_count));
    memcpy(bytes, key.data, key.size);
    key.data = bytes;
    key.size = base_prng_below(prng, 2) == 0 ? key.size : base_prng_below(prng, key.size + 1);
    if (key.size > 0 && base_prng_below(prng, 3) == 0) {
        bytes[key.size - 1]++;
    }
    return key;
}

static void look(struct store *store, struct workload *workload, sqlite3 *database)
{
    static struct bounds bounds;
    struct base_prng *prng = &workload->prng;
    struct oracle *oracle = &workload->oracle;
    struct query query = {.options = WEIR_SCAN_OPTIONS_INIT, .as_of = ORACLE_NEWEST};
    if (base_prng_below(prng, 3) > 0) {
        query.as_of = base_prng_below(prng, weir_durable_lsn(store->log) + 1);
    }
    query.limit = base_prng_below(prng, 2) == 0 ? ROWS_MAX : (int)base_prng_below(prng, 6);
    query.options.table = oracle->tables[base_prng_below(prng, oracle->table_count)];
    query.options.reverse = base_prng_below(prng, 2) == 0;
    query.options.bounded = base_prng_below(prng, 2) == 0;
    query.options.prefix = draw_bound(workload, bounds.bytes[0]);
    query.options.from = draw_bound(workload, bounds.bytes[1]);
    query.options.to = draw_bound(workload, bounds.bytes[2]);
    (void)compare_scan(store, database, &query);
    struct weir_bytes key = oracle_key(oracle, (uint32_t)base_prng_below(prng, oracle->key_count));
    compare_get(store, database, query.as_of, query.options.table, key);
    compare_history(store, database, query.as_of, query.options.table, key);
}

static void run_seed(uint64_t seed)
{
    static struct store store;
    static struct workload workload;
    sqlite3 *database = open_database();
    weir_lsn next = 1;
    store_open(&store);
    workload_begin(&workload, seed);
    workload.hot = (uint32_t)(seed % 3);
    workload.reads = false; /* and nothing is compacted: it would have to be deleted here, too */
    for (unsigned part = 0; part < 3; part++) {
        workload.oracle.log = store.log;
        workload.oracle.engine = store.engine;
        for (unsigned i = 0; i < STEPS; i++) {
            if (!workload_step(&workload)) {
                fail_msg("WEIR_SEED=%ju: %s: %s", (uintmax_t)seed, workload.doing,
                         workload.oracle.failure);
            }
        }
        settle(&store);
        next = follow(database, store.log, next);
        for (unsigned i = 0; i < LOOKS; i++) {
            look(&store, &workload, database);
        }
        workload_close_snapshots(&workload);
        store_reopen(&store);
        workload.oracle.log = store.log;
        workload.oracle.engine = store.engine;
        look(&store, &workload, database);
    }
    store_close(&store);
    workload_end(&workload);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static uint64_t seed_now;

static void se_05_se_07_scans_histories_and_old_states_are_what_sqlite_answers(void **state)
{
    (void)state;
    uint64_t first = number("WEIR_SEED", 1), rounds = number("WEIR_DEEP_ROUNDS", ROUNDS);
    for (seed_now = first; seed_now < first + rounds; seed_now++) {
        run_seed(seed_now);
    }
    printf("layer=engine-sqlite seeds=%ju steps=%u violations=0 seed=%ju\n", (uintmax_t)rounds,
           3 * STEPS, (uintmax_t)first);
}

/* A failing assertion does not say which seed it was. */
static int say_seed(void **state)
{
    (void)state;
    print_message("the last one was WEIR_SEED=%ju\n", (uintmax_t)seed_now);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            se_05_se_07_scans_histories_and_old_states_are_what_sqlite_answers, say_seed),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
