/*
 * SQLite as an oracle: the same random work goes into a table with an indexed column, and what the
 * index finds is compared with what SQL answers.
 *
 *     row(tab, key BLOB, first BLOB, second BLOB), an SQL index over (first, second)
 *
 * WEIR_SEED begins with another seed.
 */
#include "tests/derived/support.h"

#include "base/random.h"

#include <weir/index.h>

#include <sqlite3.h>

#define ROUNDS 6u
#define STEPS 3000u
#define KEYS 300u
#define LOOK_EVERY 25u
#define BLOB_MAX 64

/* A value of two fields of fixed places: their sizes in the first two bytes, 255 = missing. */
struct document {
    uint8_t bytes[2 + 2 * BLOB_MAX];
    size_t size;
};

struct fixture {
    sqlite3 *database;
    sqlite3_stmt *get, *put, *delete;
    struct weir_index *index;
    uint32_t fields;
    struct base_prng prng;
};

static struct fixture fixture;

/* ---- documents ---- */

static int extract_blobs(void *context, struct weir_bytes key, struct weir_bytes value,
                         weir_emit_fn emit, void *emit_context)
{
    (void)context;
    (void)key;
    const uint8_t *bytes = value.data;
    const uint8_t *at = bytes + 2;
    for (uint32_t field = 0; field < 2; field++) {
        if (bytes[field] == 255) {
            continue;
        }
        int rc = emit(emit_context, field, (struct weir_bytes){at, bytes[field]});
        if (rc != 0) {
            return rc;
        }
        at += bytes[field];
    }
    return 0;
}

/* Few values that many rows share, of few different bytes, 00 and FF among them. */
static struct weir_bytes random_blob(uint8_t *room)
{
    static const uint8_t alphabet[] = {0, 1, 'a', 'b', 0xfe, 0xff};
    size_t size = base_prng_below(&fixture.prng, 4);
    if (base_prng_below(&fixture.prng, 10) == 0) {
        size = base_prng_below(&fixture.prng, BLOB_MAX);
    }
    for (size_t at = 0; at < size; at++) {
        room[at] = alphabet[base_prng_below(&fixture.prng, sizeof alphabet)];
    }
    return (struct weir_bytes){room, size};
}

static void random_document(struct document *document)
{
    document->size = 2;
    for (uint32_t field = 0; field < 2; field++) {
        if (base_prng_below(&fixture.prng, 12) == 0) {
            document->bytes[field] = 255;
            continue;
        }
        struct weir_bytes blob = random_blob(document->bytes + document->size);
        document->bytes[field] = (uint8_t)blob.size;
        document->size += blob.size;
    }
}

/* ---- the database ---- */

static void run(const char *sql)
{
    assert_int_equal(sqlite3_exec(fixture.database, sql, NULL, NULL, NULL), SQLITE_OK);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(fixture.database, sql, -1, &statement, NULL);
    if (rc != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(fixture.database));
    }
    assert_int_equal(rc, SQLITE_OK);
    return statement;
}

static void bind_bytes(sqlite3_stmt *statement, int place, struct weir_bytes bytes)
{
    const void *data = bytes.size > 0 ? bytes.data : "";
    assert_int_equal(sqlite3_bind_blob(statement, place, data, (int)bytes.size, SQLITE_TRANSIENT),
                     SQLITE_OK);
}

static void step(sqlite3_stmt *statement, int expected)
{
    assert_int_equal(sqlite3_step(statement), expected);
}

static int bind_field(void *context, uint32_t field, struct weir_bytes text)
{
    bind_bytes(context, 4 + (int)field, text);
    return 0;
}

static void set_up(uint32_t fields, uint64_t seed)
{
    struct weir_index_options options = WEIR_INDEX_OPTIONS_INIT;
    fixture.fields = fields;
    base_prng_seed(&fixture.prng, seed);
    assert_int_equal(sqlite3_open(":memory:", &fixture.database), SQLITE_OK);
    run("CREATE TABLE row(tab INTEGER, key BLOB, document BLOB, first BLOB, second BLOB,"
        " PRIMARY KEY(tab, key)) WITHOUT ROWID;"
        "CREATE INDEX by_fields ON row(first, second)");
    fixture.get = prepare("SELECT document FROM row WHERE tab=? AND key=?");
    fixture.put = prepare("INSERT OR REPLACE INTO row VALUES(?,?,?,?,?)");
    fixture.delete = prepare("DELETE FROM row WHERE tab=? AND key=?");
    options.fields = fields;
    options.extract = extract_blobs;
    assert_int_equal(weir_index_create(&options, &fixture.index), 0);
}

static void tear_down(void)
{
    sqlite3_finalize(fixture.get);
    sqlite3_finalize(fixture.put);
    sqlite3_finalize(fixture.delete);
    assert_int_equal(sqlite3_close(fixture.database), SQLITE_OK);
    weir_index_free(fixture.index);
}

/* ---- the same work for both ---- */

static void bind_row(sqlite3_stmt *statement, const struct weir_event *event)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    sqlite3_bind_int64(statement, 1, event->table);
    bind_bytes(statement, 2, event->key);
}

static void random_event(void)
{
    char key[16];
    struct document before = {.size = 0};
    struct document after = {.size = 0};
    struct weir_event event = {.table = (weir_table)base_prng_below(&fixture.prng, 2),
                               .operation = WEIR_INSERT};
    event.key.data = key;
    event.key.size =
        (size_t)snprintf(key, sizeof key, "k%u", (unsigned)base_prng_below(&fixture.prng, KEYS));
    bind_row(fixture.get, &event);
    if (sqlite3_step(fixture.get) == SQLITE_ROW) {
        before.size = (size_t)sqlite3_column_bytes(fixture.get, 0);
        memcpy(before.bytes, sqlite3_column_blob(fixture.get, 0), before.size);
        event.operation = base_prng_below(&fixture.prng, 3) == 0 ? WEIR_REMOVE : WEIR_UPDATE;
        event.before = (struct weir_bytes){before.bytes, before.size};
    }
    if (event.operation == WEIR_REMOVE) {
        bind_row(fixture.delete, &event);
        step(fixture.delete, SQLITE_DONE);
    } else {
        random_document(&after);
        event.after = (struct weir_bytes){after.bytes, after.size};
        bind_row(fixture.put, &event);
        bind_bytes(fixture.put, 3, event.after);
        assert_int_equal(extract_blobs(NULL, event.key, event.after, bind_field, fixture.put), 0);
        step(fixture.put, SQLITE_DONE);
    }
    assert_int_equal(weir_index_ops()->apply(fixture.index, &event), 0);
}

/* ---- the same questions ---- */

struct comparison {
    sqlite3_stmt *statement;
    uint64_t count;
};

static void expect_column(sqlite3_stmt *statement, int column, struct weir_bytes bytes)
{
    assert_int_equal(sqlite3_column_bytes(statement, column), bytes.size);
    if (bytes.size > 0) {
        assert_memory_equal(sqlite3_column_blob(statement, column), bytes.data, bytes.size);
    }
}

static int compare_next(void *context, const struct weir_bytes *values, weir_table table,
                        struct weir_bytes key)
{
    struct comparison *comparison = context;
    step(comparison->statement, SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(comparison->statement, 0), table);
    expect_column(comparison->statement, 1, key);
    for (uint32_t field = 0; field < fixture.fields; field++) {
        expect_column(comparison->statement, 2 + (int)field, values[field]);
    }
    comparison->count++;
    return 0;
}

/* WHERE with as many parameters as there are bytes, in the same order as the index finds. */
static void compare(const char *where, const struct weir_bytes *parameters, int count,
                    const struct weir_index_query *query)
{
    char sql[400];
    const char *way = query->reverse ? "DESC" : "ASC";
    const char *second = fixture.fields == 2 ? "second" : "''";
    (void)snprintf(sql, sizeof sql,
                   "SELECT tab, key, first, %s FROM row WHERE first NOT NULL AND %s NOT NULL "
                   "AND %s ORDER BY first %s, %s %s, tab %s, key %s LIMIT %lld",
                   second, second, where, way, second, way, way, way,
                   query->limit > 0 ? (long long)query->limit : -1LL);
    struct comparison comparison = {.statement = prepare(sql)};
    for (int place = 0; place < count; place++) {
        bind_bytes(comparison.statement, place + 1, parameters[place]);
    }
    assert_int_equal(weir_index_find(fixture.index, query, compare_next, &comparison), 0);
    step(comparison.statement, SQLITE_DONE);
    sqlite3_finalize(comparison.statement);
}

static struct weir_index_query random_query(void)
{
    struct weir_index_query query = WEIR_INDEX_QUERY_INIT;
    query.reverse = base_prng_below(&fixture.prng, 2) == 0;
    query.limit =
        base_prng_below(&fixture.prng, 3) == 0 ? 1 + base_prng_below(&fixture.prng, 9) : 0;
    return query;
}

static void look_for_all(void)
{
    struct weir_index_query query = random_query();
    compare("1", NULL, 0, &query);
}

static void look_for_equal(void)
{
    uint8_t room[2][BLOB_MAX];
    struct weir_bytes values[2] = {random_blob(room[0]), random_blob(room[1])};
    struct weir_index_query query = random_query();
    query.values = values;
    query.count = 1;
    compare("first = ?", values, 1, &query);
    if (fixture.fields == 2) {
        query.count = 2;
        compare("first = ? AND second = ?", values, 2, &query);
    }
}

static void look_for_prefix(void)
{
    uint8_t room[2][BLOB_MAX];
    struct weir_bytes values[2] = {random_blob(room[0]), random_blob(room[1])};
    struct weir_index_query query = random_query();
    query.values = values;
    query.count = 1;
    query.prefix = true;
    struct weir_bytes once[1] = {values[0]};
    compare("(length(?1) = 0 OR substr(first, 1, length(?1)) = ?1)", once, 1, &query);
    if (fixture.fields == 2) {
        query.count = 2;
        compare("first = ?1 AND (length(?2) = 0 OR substr(second, 1, length(?2)) = ?2)", values, 2,
                &query);
    }
}

static void look_for_range(void)
{
    uint8_t room[2][BLOB_MAX];
    struct weir_bytes ends[2] = {random_blob(room[0]), random_blob(room[1])};
    struct weir_index_query query = random_query();
    query.ranged = true;
    query.from = ends[0];
    query.to = ends[1];
    compare("first >= ?", ends, 1, &query);
    query.bounded = true;
    compare("first >= ? AND first < ?", ends, 2, &query);
}

static void compare_with_sql(uint32_t fields)
{
    static void (*const looks[])(void) = {look_for_all, look_for_equal, look_for_prefix,
                                          look_for_range};
    const char *text = getenv("WEIR_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        set_up(fields, seed + round);
        for (uint32_t at = 0; at < STEPS; at++) {
            random_event();
            if (at % LOOK_EVERY == 0) {
                for (size_t look = 0; look < COUNT_OF(looks); look++) {
                    looks[look]();
                }
            }
        }
        tear_down();
    }
}

static void ds_11_one_field_answers_what_sql_answers_over_an_indexed_column(void **state)
{
    (void)state;
    compare_with_sql(1);
}

static void ds_11_two_fields_answer_what_sql_answers_over_two_indexed_columns(void **state)
{
    (void)state;
    compare_with_sql(2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ds_11_one_field_answers_what_sql_answers_over_an_indexed_column),
        cmocka_unit_test(ds_11_two_fields_answer_what_sql_answers_over_two_indexed_columns),
    };
    return RUN_TESTS(tests, argc, argv);
}
