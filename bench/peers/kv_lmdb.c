/*
 * LMDB as an ordered store. A durable put is a transaction of its own with LMDB's default of one
 * fdatasync and one meta write; others share one transaction that sync commits, with MDB_WRITEMAP,
 * and MDB_APPEND for ascending keys. In a mixed load each put (or batch of a fill) is a
 * transaction, with MDB_NOSYNC when it need not be durable. Readers use MDB_NOTLS and one
 * transaction each; in a mixed load it is renewed for each get, as it has to be to see what was
 * put.
 */
#include "bench/peers/kv.h"

#include "base/alloc.h"

#include <errno.h>
#include <lmdb.h>

#define MAP_BYTES ((size_t)64 << 30) /* address space, not memory */
#define READERS_MAX 1100

struct store {
    MDB_env *env;
    MDB_dbi dbi;
    unsigned put_flags;
    bool mixed;
};

struct writer {
    struct store *store;
    MDB_txn *txn; /* the one that sync will commit, or NULL */
};

struct reader {
    struct store *store;
    MDB_txn *txn;
};

static int fail(int code)
{
    return kv_fail("LMDB: %s", mdb_strerror(code));
}

static MDB_val as_val(struct weir_bytes bytes)
{
    MDB_val value;
    value.mv_size = bytes.size;
    memcpy(&value.mv_data, &bytes.data, sizeof value.mv_data); /* LMDB only reads it */
    return value;
}

static unsigned environment_flags(const struct kv_settings *settings)
{
    if (settings->durable) {
        return MDB_NOTLS;
    }
    return settings->mixed ? MDB_NOTLS | MDB_NOSYNC : MDB_NOTLS | MDB_WRITEMAP;
}

static int prepare_environment(struct store *store, const struct kv_settings *settings)
{
    int code = mdb_env_set_mapsize(store->env, MAP_BYTES);
    if (code == 0) {
        code = mdb_env_set_maxreaders(store->env, READERS_MAX);
    }
    if (code == 0) {
        code = mdb_env_open(store->env, settings->directory, environment_flags(settings), 0600);
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

static int open_store(const struct kv_settings *settings, bool create, void **ret_store)
{
    (void)create;
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    store->mixed = settings->mixed;
    store->put_flags = settings->ascending && settings->read_mode ? MDB_APPEND : 0;
    int code = mdb_env_create(&store->env);
    if (code == 0) {
        code = prepare_environment(store, settings);
        if (code == 0) {
            *ret_store = store;
            return 0;
        }
        mdb_env_close(store->env);
    }
    base_free(store);
    return fail(code);
}

static void close_store(void *context)
{
    struct store *store = context;
    mdb_env_close(store->env);
    base_free(store);
}

static int open_writer(void *store, void **ret_writer)
{
    struct writer *writer = base_alloc_zero(sizeof *writer);
    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->store = store;
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

static int begin(struct writer *writer)
{
    if (writer->txn != NULL) {
        return 0;
    }
    int code = mdb_txn_begin(writer->store->env, NULL, 0, &writer->txn);
    if (code != 0) {
        writer->txn = NULL;
        return fail(code);
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

static int put(void *context, const struct kv_pair *pairs, unsigned count, bool durable)
{
    struct writer *writer = context;
    struct store *store = writer->store;
    int rc = 0;
    for (unsigned index = 0; rc == 0 && index < count; index++) {
        MDB_val key = as_val(pairs[index].key);
        MDB_val value = as_val(pairs[index].value);
        rc = begin(writer);
        int code = rc == 0 ? mdb_put(writer->txn, store->dbi, &key, &value, store->put_flags) : 0;
        rc = code == 0 ? rc : fail(code);
        if (rc == 0 && durable) {
            rc = sync_writer(writer);
        }
    }
    return rc == 0 && store->mixed ? sync_writer(writer) : rc;
}

static int remove_key(void *context, struct weir_bytes bytes)
{
    struct writer *writer = context;
    MDB_val key = as_val(bytes);
    int rc = begin(writer);
    int code = rc == 0 ? mdb_del(writer->txn, writer->store->dbi, &key, NULL) : 0;
    return code == 0 || code == MDB_NOTFOUND ? rc : fail(code);
}

static int open_reader(void *store, void **ret_reader)
{
    struct reader *reader = base_alloc_zero(sizeof *reader);
    if (reader == NULL) {
        return -ENOMEM;
    }
    reader->store = store;
    int code = mdb_txn_begin(reader->store->env, NULL, MDB_RDONLY, &reader->txn);
    if (code != 0) {
        base_free(reader);
        return fail(code);
    }
    *ret_reader = reader;
    return 0;
}

static void close_reader(void *context)
{
    struct reader *reader = context;
    mdb_txn_abort(reader->txn);
    base_free(reader);
}

static int refresh(void *context)
{
    struct reader *reader = context;
    mdb_txn_reset(reader->txn);
    int code = mdb_txn_renew(reader->txn);
    return code == 0 ? 0 : fail(code);
}

static int get(void *context, const struct weir_bytes *keys, unsigned count, struct kv_tally *tally)
{
    struct reader *reader = context;
    for (unsigned index = 0; index < count; index++) {
        MDB_val key = as_val(keys[index]);
        MDB_val value;
        int code = mdb_get(reader->txn, reader->store->dbi, &key, &value);
        if (code != 0) {
            (void)fail(code);
            return code == MDB_NOTFOUND ? -ENOENT : -EIO;
        }
        kv_touch(tally, value.mv_data, value.mv_size);
        tally->rows++;
    }
    return 0;
}

static int scan(void *context, struct kv_tally *tally)
{
    struct kv_tally seen = {0};
    struct reader *reader = context;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_open(reader->txn, reader->store->dbi, &cursor);
    if (code != 0) {
        return fail(code);
    }
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        kv_touch(&seen, key.mv_data, key.mv_size);
        kv_touch(&seen, value.mv_data, value.mv_size);
        seen.rows++;
    }
    kv_add(tally, &seen);
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : fail(code);
}

const struct kv_ops kv_lmdb = {
    .name = "lmdb",
    .title = "LMDB",
    .settings = "durable: one transaction per put, default flags; no sync: one transaction for "
                "all, MDB_WRITEMAP; filled in ascending order: MDB_APPEND; readers: MDB_NOTLS, one "
                "transaction each (mixed: renewed for each get); batches of gets: it has no such "
                "call, one mdb_get after the other",
    .open = open_store,
    .close = close_store,
    .writer_open = open_writer,
    .writer_close = close_writer,
    .put = put,
    .remove = remove_key,
    .sync = sync_writer,
    .reader_open = open_reader,
    .reader_close = close_reader,
    .refresh = refresh,
    .get = get,
    .scan = scan,
};
