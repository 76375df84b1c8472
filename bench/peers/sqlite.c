/*
 * SQLite in WAL mode with synchronous=FULL: one INSERT for each record, each durable one a
 * transaction of its own, each writer with its own connection. Others share one transaction that
 * sync commits.
 */
#include "bench/peers/peer.h"

#include "base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>

#define BUSY_MS 60000

struct store {
    char path[PATH_MAX];
    sqlite3 *db;
};

struct writer {
    sqlite3 *db;
    sqlite3_stmt *insert;
    bool in_transaction;
};

static int fail(sqlite3 *db)
{
    return peer_fail("SQLite: %s", sqlite3_errmsg(db));
}

static int execute(sqlite3 *db, const char *statement)
{
    return sqlite3_exec(db, statement, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db);
}

static int connect_to(const char *path, sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK) {
        int rc = fail(db);
        (void)sqlite3_close(db);
        return rc;
    }
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    int rc = execute(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
    if (rc < 0) {
        (void)sqlite3_close(db);
        return rc;
    }
    *ret_db = db;
    return 0;
}

static int open_store(const struct peer_settings *settings, bool create, void **ret_peer)
{
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    (void)snprintf(store->path, sizeof store->path, "%s/log.sqlite", settings->directory);
    int rc = connect_to(store->path, &store->db);
    if (rc == 0 && create) {
        rc = execute(store->db, "CREATE TABLE log(lsn INTEGER PRIMARY KEY, data BLOB);");
        if (rc < 0) {
            (void)sqlite3_close(store->db);
        }
    }
    if (rc < 0) {
        base_free(store);
        return rc;
    }
    *ret_peer = store;
    return 0;
}

static void close_store(void *peer)
{
    struct store *store = peer;
    (void)sqlite3_close(store->db);
    base_free(store);
}

static int open_writer(void *peer, void **ret_writer)
{
    struct store *store = peer;
    struct writer *writer = base_alloc_zero(sizeof *writer);
    if (writer == NULL) {
        return -ENOMEM;
    }
    int rc = connect_to(store->path, &writer->db);
    if (rc == 0 && sqlite3_prepare_v2(writer->db, "INSERT INTO log(data) VALUES(?1);", -1,
                                      &writer->insert, NULL) != SQLITE_OK) {
        rc = fail(writer->db);
        (void)sqlite3_close(writer->db);
    }
    if (rc < 0) {
        base_free(writer);
        return rc;
    }
    *ret_writer = writer;
    return 0;
}

static void close_writer(void *context)
{
    struct writer *writer = context;
    (void)sqlite3_finalize(writer->insert);
    (void)sqlite3_close(writer->db);
    base_free(writer);
}

static int sync_writer(void *context)
{
    struct writer *writer = context;
    if (!writer->in_transaction) {
        return 0;
    }
    writer->in_transaction = false;
    return execute(writer->db, "COMMIT;");
}

static int append(void *context, const struct weir_part *records, unsigned count, bool durable)
{
    struct writer *writer = context;
    if (!writer->in_transaction && (count > 1 || !durable)) {
        if (execute(writer->db, "BEGIN IMMEDIATE;") < 0) {
            return -EIO;
        }
        writer->in_transaction = true;
    }
    for (unsigned index = 0; index < count; index++) {
        (void)sqlite3_bind_blob(writer->insert, 1, records[index].data, (int)records[index].size,
                                SQLITE_STATIC);
        if (sqlite3_step(writer->insert) != SQLITE_DONE) {
            return fail(writer->db);
        }
        (void)sqlite3_reset(writer->insert);
    }
    return durable ? sync_writer(writer) : 0;
}

static int scan(void *peer, struct peer_tally *tally)
{
    struct store *store = peer;
    sqlite3_stmt *select;
    if (sqlite3_prepare_v2(store->db, "SELECT data FROM log ORDER BY lsn;", -1, &select, NULL) !=
        SQLITE_OK) {
        return fail(store->db);
    }
    int code;
    while ((code = sqlite3_step(select)) == SQLITE_ROW) {
        const void *data = sqlite3_column_blob(select, 0);
        peer_tally_add(tally, data, (size_t)sqlite3_column_bytes(select, 0));
    }
    (void)sqlite3_finalize(select);
    return code == SQLITE_DONE ? 0 : fail(store->db);
}

const struct peer_ops peer_sqlite = {
    .name = "sqlite",
    .title = "SQLite",
    .settings = "journal_mode=WAL, synchronous=FULL, one INSERT per record, a connection for each "
                "writer; no sync: one transaction",
    .open = open_store,
    .close = close_store,
    .writer_open = open_writer,
    .writer_close = close_writer,
    .append = append,
    .sync = sync_writer,
    .scan = scan,
};
