/*
 * RocksDB as a log: one put for each record under an ascending 8-byte key, the WAL synced by every
 * put that must be durable. The memtable is larger than any run, so no flush or compaction
 * interferes. Scans read the WAL back in order (updates-since), which checks every checksum, like a
 * first reading of Weir's log does.
 */
#include "bench/peers/peer.h"

#include "base/alloc.h"

#include <errno.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdio.h>

#define MEMTABLE_BYTES ((size_t)8 << 30)
#define KEY_BYTES 8

struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    _Atomic uint64_t next_key;
};

struct writer {
    struct store *store;
    rocksdb_writeoptions_t *durable;
    rocksdb_writeoptions_t *fast;
    rocksdb_writebatch_t *batch;
};

static int fail(char *error)
{
    int rc = peer_fail("RocksDB: %s", error);
    rocksdb_free(error);
    return rc;
}

static rocksdb_options_t *make_options(const struct peer_settings *settings)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(options, MEMTABLE_BYTES);
    rocksdb_options_set_max_total_wal_size(options, MEMTABLE_BYTES);
    rocksdb_options_set_disable_auto_compactions(options, 1);
    if (settings->for_scan) {
        rocksdb_options_set_WAL_ttl_seconds(options, 3600); /* else the WAL may go at a reopen */
    } else {
        rocksdb_options_set_recycle_log_file_num(options, 4);
    }
    return options;
}

static int open_store(const struct peer_settings *settings, bool create, void **ret_peer)
{
    (void)create;
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    store->options = make_options(settings);
    char *error = NULL;
    store->db = rocksdb_open(store->options, settings->directory, &error);
    if (error != NULL) {
        rocksdb_options_destroy(store->options);
        base_free(store);
        return fail(error);
    }
    *ret_peer = store;
    return 0;
}

static void close_store(void *peer)
{
    struct store *store = peer;
    rocksdb_close(store->db);
    rocksdb_options_destroy(store->options);
    base_free(store);
}

static int open_writer(void *peer, void **ret_writer)
{
    struct writer *writer = base_alloc_zero(sizeof *writer);
    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->store = peer;
    writer->durable = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(writer->durable, 1);
    writer->fast = rocksdb_writeoptions_create();
    writer->batch = rocksdb_writebatch_create();
    *ret_writer = writer;
    return 0;
}

static void close_writer(void *context)
{
    struct writer *writer = context;
    rocksdb_writebatch_destroy(writer->batch);
    rocksdb_writeoptions_destroy(writer->fast);
    rocksdb_writeoptions_destroy(writer->durable);
    base_free(writer);
}

static void encode_key(uint64_t number, char *key)
{
    uint64_t swapped = __builtin_bswap64(number); /* big-endian: ascending in byte order */
    memcpy(key, &swapped, KEY_BYTES);
}

static int append(void *context, const struct weir_part *records, unsigned count, bool durable)
{
    struct writer *writer = context;
    const rocksdb_writeoptions_t *options = durable ? writer->durable : writer->fast;
    uint64_t first =
        atomic_fetch_add_explicit(&writer->store->next_key, count, memory_order_relaxed);
    char key[KEY_BYTES];
    char *error = NULL;
    if (count == 1) {
        encode_key(first, key);
        rocksdb_put(writer->store->db, options, key, sizeof key, records->data, records->size,
                    &error);
    } else {
        rocksdb_writebatch_clear(writer->batch);
        for (unsigned index = 0; index < count; index++) {
            encode_key(first + index, key);
            rocksdb_writebatch_put(writer->batch, key, sizeof key, records[index].data,
                                   records[index].size);
        }
        rocksdb_write(writer->store->db, options, writer->batch, &error);
    }
    return error == NULL ? 0 : fail(error);
}

static int sync_writer(void *context)
{
    struct writer *writer = context;
    char *error = NULL;
    rocksdb_flush_wal(writer->store->db, 1, &error);
    return error == NULL ? 0 : fail(error);
}

static void visit_put(void *context, const char *key, size_t key_size, const char *value,
                      size_t value_size)
{
    (void)key;
    (void)key_size;
    peer_tally_add(context, value, value_size);
}

static void visit_delete(void *context, const char *key, size_t key_size)
{
    (void)context;
    (void)key;
    (void)key_size;
}

static int scan(void *peer, struct peer_tally *tally)
{
    char *error = NULL;
    rocksdb_wal_iterator_t *iterator =
        rocksdb_get_updates_since(((struct store *)peer)->db, 1, NULL, &error);
    if (error != NULL) {
        return fail(error);
    }
    for (; rocksdb_wal_iter_valid(iterator); rocksdb_wal_iter_next(iterator)) {
        uint64_t sequence;
        rocksdb_writebatch_t *batch = rocksdb_wal_iter_get_batch(iterator, &sequence);
        rocksdb_writebatch_iterate(batch, tally, visit_put, visit_delete);
        rocksdb_writebatch_destroy(batch);
    }
    rocksdb_wal_iter_status(iterator, &error);
    rocksdb_wal_iter_destroy(iterator);
    return error == NULL ? 0 : fail(error);
}

const struct peer_ops peer_rocksdb = {
    .name = "rocksdb",
    .title = "RocksDB",
    .settings = "one put per record (8-byte keys, writers' batches as one write), WAL on the same "
                "disk, WriteOptions.sync, no compression, memtable larger than the run, "
                "recycle_log_file_num=4; scan: WAL by updates-since, checksums verified",
    .open = open_store,
    .close = close_store,
    .writer_open = open_writer,
    .writer_close = close_writer,
    .append = append,
    .sync = sync_writer,
    .scan = scan,
};
