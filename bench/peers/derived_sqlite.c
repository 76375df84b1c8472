/*
 * SQLite with the same indexes: an expression index over a JSON field, and FTS5. All documents go
 * into one transaction of a database that syncs nothing, so that what is measured is the work.
 */
#include "bench/peers/kv.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>

static int fail(sqlite3 *db, char ret_error[200])
{
    (void)snprintf(ret_error, 200, "SQLite: %s", sqlite3_errmsg(db));
    return -EIO;
}

static const char *schema(enum derived_peer_index index)
{
    switch (index) {
    case DERIVED_PEER_INDEX:
        return "CREATE TABLE documents(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
               "CREATE INDEX by_section ON documents(json_extract(value, '$.section'));";
    case DERIVED_PEER_TEXT:
        return "CREATE TABLE documents(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
               "CREATE VIRTUAL TABLE words USING fts5(summary, content='', detail='full');"
               "CREATE TRIGGER put AFTER INSERT ON documents BEGIN "
               "INSERT INTO words(summary) VALUES(json_extract(new.value, '$.summary')); END;";
    case DERIVED_PEER_NONE:
    default:
        return "CREATE TABLE documents(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;";
    }
}

static int put_all(sqlite3 *db, const struct documents *documents, char ret_error[200])
{
    sqlite3_stmt *insert;
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "INSERT INTO documents VALUES(?1, ?2)", -1, &insert, NULL) !=
            SQLITE_OK) {
        return fail(db, ret_error);
    }
    int rc = 0;
    for (uint64_t i = 0; i < documents->count && rc == 0; i++) {
        (void)sqlite3_bind_text(insert, 1, documents->keys[i].data, (int)documents->keys[i].size,
                                SQLITE_STATIC);
        (void)sqlite3_bind_text(insert, 2, documents->values[i].data,
                                (int)documents->values[i].size, SQLITE_STATIC);
        rc = sqlite3_step(insert) == SQLITE_DONE ? 0 : fail(db, ret_error);
        (void)sqlite3_reset(insert);
    }
    (void)sqlite3_finalize(insert);
    if (rc == 0 && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        rc = fail(db, ret_error);
    }
    return rc;
}

static int put(const char *directory, const struct documents *documents,
               enum derived_peer_index index, double *ret_seconds, char ret_error[200])
{
    char path[PATH_MAX];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/documents.sqlite", directory);
    int rc = 0;
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000;",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, schema(index), NULL, NULL, NULL) != SQLITE_OK) {
        rc = fail(db, ret_error);
    }
    uint64_t started_ns = base_clock_monotonic_ns();
    rc = rc == 0 ? put_all(db, documents, ret_error) : rc;
    *ret_seconds = (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
    (void)sqlite3_close(db);
    return rc;
}

const struct derived_peer derived_sqlite = {
    .name = "sqlite",
    .settings = "one transaction, journal_mode=OFF, synchronous=OFF, cache of 1 GB; json_extract "
                "index; FTS5 without contents",
    .put = put,
};
