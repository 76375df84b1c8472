/*
 * LMDB as a log: ascending 8-byte keys, appended with MDB_APPEND. A durable append is a transaction
 * of its own, committed with LMDB's default of one fdatasync and one meta write; others share one
 * transaction that sync commits, with MDB_WRITEMAP, which loads half as fast again. It has a single
 * writer at a time by design.
 */
#include "bench/peers/peer.h"

#include "base/alloc.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>

#define MAP_BYTES ((size_t)64 << 30) /* address space, not memory */
#define KEY_BYTES 8
#define READERS_MAX 1100

struct store {
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t next_key; /* under LMDB's writer lock */
};

struct writer {
    struct store *store;
    MDB_txn *txn; /* the one that sync will commit, or NULL */
};

static int fail(int code)
{
    return peer_fail("LMDB: %s", mdb_strerror(code));
}

static int prepare_environment(struct store *store, const struct peer_settings *settings)
{
    int code = mdb_env_set_mapsize(store->env, MAP_BYTES);
    if (code == 0) {
        code = mdb_env_set_maxreaders(store->env, READERS_MAX);
    }
    if (code == 0) {
        code = mdb_env_open(store->env, settings->directory, settings->durable ? 0 : MDB_WRITEMAP,
                            0600);
    }
    MDB_txn *txn;
    if (code != 0 || (code = mdb_txn_begin(store->env, NULL, 0, &txn)) != 0) {
        return code;
    }
    code = mdb_dbi_open(txn, NULL, 0, &store->dbi);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

static int open_store(const struct peer_settings *settings, bool create, void **ret_peer)
{
    (void)create;
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    int code = mdb_env_create(&store->env);
    if (code == 0) {
        code = prepare_environment(store, settings);
        if (code == 0) {
            *ret_peer = store;
            return 0;
        }
        mdb_env_close(store->env);
    }
    base_free(store);
    return fail(code);
}

static void close_store(void *peer)
{
    struct store *store = peer;
    mdb_env_close(store->env);
    base_free(store);
}

static int open_writer(void *peer, void **ret_writer)
{
    struct writer *writer = base_alloc_zero(sizeof *writer);
    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->store = peer;
    *ret_writer = writer;
    return 0;
}

static void close_writer(void *context)
{
    struct writer *writer = context;
    if (writer->txn != NULL) {
        mdb_txn_abort(writer->txn);
    }
    base_free(writer);
}

static int put_records(struct writer *writer, const struct weir_part *records, unsigned count)
{
    struct store *store = writer->store;
    for (unsigned index = 0; index < count; index++) {
        uint64_t key_bytes = __builtin_bswap64(++store->next_key);
        MDB_val key = {KEY_BYTES, &key_bytes};
        MDB_val value;
        value.mv_size = records[index].size;
        memcpy(&value.mv_data, &records[index].data, sizeof value.mv_data); /* LMDB only reads it */
        int code = mdb_put(writer->txn, store->dbi, &key, &value, MDB_APPEND);
        if (code != 0) {
            return fail(code);
        }
    }
    return 0;
}

static int sync_writer(void *context)
{
    struct writer *writer = context;
    if (writer->txn == NULL) {
        return 0;
    }
    int code = mdb_txn_commit(writer->txn);
    writer->txn = NULL;
    return code == 0 ? 0 : fail(code);
}

static int append(void *context, const struct weir_part *records, unsigned count, bool durable)
{
    struct writer *writer = context;
    if (writer->txn == NULL) {
        int code = mdb_txn_begin(writer->store->env, NULL, 0, &writer->txn);
        if (code != 0) {
            writer->txn = NULL;
            return fail(code);
        }
    }
    int rc = put_records(writer, records, count);
    return rc == 0 && durable ? sync_writer(writer) : rc;
}

static int scan(void *peer, struct peer_tally *tally)
{
    struct store *store = peer;
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (code != 0) {
        return fail(code);
    }
    MDB_cursor *cursor;
    code = mdb_cursor_open(txn, store->dbi, &cursor);
    if (code == 0) {
        MDB_val key;
        MDB_val value;
        while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
            peer_tally_add(tally, value.mv_data, value.mv_size);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return code == MDB_NOTFOUND ? 0 : fail(code);
}

const struct peer_ops peer_lmdb = {
    .name = "lmdb",
    .title = "LMDB",
    .settings = "ascending 8-byte keys, MDB_APPEND; durable: one transaction per append, default "
                "flags (fdatasync and a meta write per commit); no sync: one transaction, "
                "MDB_WRITEMAP",
    .open = open_store,
    .close = close_store,
    .writer_open = open_writer,
    .writer_close = close_writer,
    .append = append,
    .sync = sync_writer,
    .scan = scan,
};
