/*
 * RocksDB as an ordered store. The memtable is larger than any run, so that no flush or compaction
 * interferes with puts, and so that a crash leaves all keys in the WAL. A store that is filled to
 * be read is flushed and compacted, and read through a block cache that holds all of it.
 *
 * After a crash it replays the WAL into a memtable and, by its default, flushes that to a table:
 * the next open would have nothing to replay, so each open gets a fresh copy of what the crash
 * left.
 */
#include "bench/peers/kv.h"

#include "base/alloc.h"

#include <errno.h>
#include <rocksdb/c.h>

#define MEMTABLE_BYTES ((size_t)8 << 30)
#define CACHE_BYTES ((size_t)8 << 30)

struct store {
    rocksdb_t *db;
    rocksdb_column_family_handle_t *family; /* the only one; the C API batches within one */
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table_options;
    rocksdb_cache_t *cache;
    rocksdb_writeoptions_t *durable;
    rocksdb_writeoptions_t *fast;
    rocksdb_readoptions_t *reads;
};

static int fail(char *error)
{
    int rc = kv_fail("RocksDB: %s", error);
    rocksdb_free(error);
    return rc;
}

static void make_options(struct store *store)
{
    store->cache = rocksdb_cache_create_lru(CACHE_BYTES);
    store->table_options = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(store->table_options, store->cache);
    rocksdb_block_based_options_set_data_block_index_type(
        store->table_options,
        rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
    store->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(store->options, 1);
    rocksdb_options_set_compression(store->options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(store->options, MEMTABLE_BYTES);
    rocksdb_options_set_max_total_wal_size(store->options, MEMTABLE_BYTES);
    rocksdb_options_set_disable_auto_compactions(store->options, 1);
    rocksdb_options_set_block_based_table_factory(store->options, store->table_options);
    store->durable = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->durable, 1);
    store->fast = rocksdb_writeoptions_create();
    store->reads = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(store->reads, 0);
}

static void destroy_options(struct store *store)
{
    rocksdb_readoptions_destroy(store->reads);
    rocksdb_writeoptions_destroy(store->fast);
    rocksdb_writeoptions_destroy(store->durable);
    rocksdb_options_destroy(store->options);
    rocksdb_block_based_options_destroy(store->table_options);
    rocksdb_cache_destroy(store->cache);
    base_free(store);
}

static int open_store(const struct kv_settings *settings, bool create, void **ret_store)
{
    (void)create;
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    make_options(store);
    static const char *const families[] = {"default"};
    const rocksdb_options_t *options = store->options;
    char *error = NULL;
    store->db = rocksdb_open_column_families(options, settings->directory, 1, families, &options,
                                             &store->family, &error);
    if (error != NULL) {
        destroy_options(store);
        return fail(error);
    }
    *ret_store = store;
    return 0;
}

static void close_store(void *context)
{
    struct store *store = context;
    rocksdb_column_family_handle_destroy(store->family);
    rocksdb_close(store->db);
    destroy_options(store);
}

static int settle(void *context)
{
    struct store *store = context;
    char *error = NULL;
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    rocksdb_flush(store->db, flush, &error);
    rocksdb_flushoptions_destroy(flush);
    if (error == NULL) {
        rocksdb_compact_range(store->db, NULL, 0, NULL, 0);
    }
    return error == NULL ? 0 : fail(error);
}

static int open_handle(void *store, void **ret_handle)
{
    *ret_handle = store; /* writers and readers have nothing of their own */
    return 0;
}

static void close_handle(void *handle)
{
    (void)handle;
}

static int put(void *writer, const struct kv_pair *pairs, unsigned count, bool durable)
{
    struct store *store = writer;
    char *error = NULL;
    for (unsigned index = 0; error == NULL && index < count; index++) {
        const struct kv_pair *pair = &pairs[index];
        rocksdb_put(store->db, durable ? store->durable : store->fast, pair->key.data,
                    pair->key.size, pair->value.data, pair->value.size, &error);
    }
    return error == NULL ? 0 : fail(error);
}

static int remove_key(void *writer, struct weir_bytes key)
{
    struct store *store = writer;
    char *error = NULL;
    rocksdb_delete(store->db, store->fast, key.data, key.size, &error);
    return error == NULL ? 0 : fail(error);
}

static int sync_writer(void *writer)
{
    char *error = NULL;
    rocksdb_flush_wal(((struct store *)writer)->db, 1, &error);
    return error == NULL ? 0 : fail(error);
}

static int refresh(void *reader)
{
    (void)reader; /* a get sees what is there */
    return 0;
}

static int get(void *reader, const struct weir_bytes *keys, unsigned count, struct kv_tally *tally)
{
    struct store *store = reader;
    for (unsigned index = 0; index < count; index++) {
        char *error = NULL;
        size_t size;
        rocksdb_pinnableslice_t *slice =
            rocksdb_get_pinned(store->db, store->reads, keys[index].data, keys[index].size, &error);
        if (error != NULL) {
            return fail(error);
        }
        if (slice == NULL) {
            (void)kv_fail("RocksDB: a key is not there");
            return -ENOENT;
        }
        const char *value = rocksdb_pinnableslice_value(slice, &size);
        kv_touch(tally, value, size);
        tally->rows++;
        rocksdb_pinnableslice_destroy(slice);
    }
    return 0;
}

/* Takes what a batch has found, and gives all of it back. */
static int take_batch(struct kv_tally *tally, rocksdb_pinnableslice_t **slices, char **errors,
                      unsigned count)
{
    int rc = 0;
    for (unsigned index = 0; index < count; index++) {
        if (errors[index] != NULL) {
            rc = fail(errors[index]);
        } else if (slices[index] == NULL) {
            (void)kv_fail("RocksDB: a key is not there");
            rc = -ENOENT;
        } else {
            size_t size;
            const char *value = rocksdb_pinnableslice_value(slices[index], &size);
            kv_touch(tally, value, size);
            tally->rows++;
            rocksdb_pinnableslice_destroy(slices[index]);
        }
    }
    return rc;
}

static int get_batch(void *reader, const struct weir_bytes *keys, unsigned count, unsigned batch,
                     struct kv_tally *tally)
{
    struct store *store = reader;
    const char *bytes[KV_BATCH_MAX];
    size_t sizes[KV_BATCH_MAX];
    rocksdb_pinnableslice_t *slices[KV_BATCH_MAX];
    char *errors[KV_BATCH_MAX];
    int rc = 0;
    for (unsigned from = 0; rc == 0 && from < count; from += batch) {
        unsigned size = count - from < batch ? count - from : batch;
        for (unsigned index = 0; index < size; index++) {
            bytes[index] = keys[from + index].data;
            sizes[index] = keys[from + index].size;
        }
        rocksdb_batched_multi_get_cf(store->db, store->reads, store->family, size, bytes, sizes,
                                     slices, errors, false);
        rc = take_batch(tally, slices, errors, size);
    }
    return rc;
}

static int scan(void *reader, struct kv_tally *tally)
{
    struct kv_tally seen = {0};
    struct store *store = reader;
    char *error = NULL;
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, store->reads);
    for (rocksdb_iter_seek_to_first(iterator); rocksdb_iter_valid(iterator) != 0;
         rocksdb_iter_next(iterator)) {
        size_t size;
        const char *bytes = rocksdb_iter_key(iterator, &size);
        kv_touch(&seen, bytes, size);
        bytes = rocksdb_iter_value(iterator, &size);
        kv_touch(&seen, bytes, size);
        seen.rows++;
    }
    kv_add(tally, &seen);
    rocksdb_iter_get_error(iterator, &error);
    rocksdb_iter_destroy(iterator);
    return error == NULL ? 0 : fail(error);
}

const struct kv_ops kv_rocksdb = {
    .name = "rocksdb",
    .title = "RocksDB",
    .settings = "WAL on the same disk, WriteOptions.sync, or none and one flush_wal; no "
                "compression, memtable larger than the run; to be read: flushed, compacted, block "
                "cache larger than the data, hash index in blocks, no checksums; after a kill: "
                "its defaults, on a fresh copy each time; batches of gets: MultiGet",
    .open_consumes = true,
    .open = open_store,
    .close = close_store,
    .settle = settle,
    .writer_open = open_handle,
    .writer_close = close_handle,
    .put = put,
    .remove = remove_key,
    .sync = sync_writer,
    .reader_open = open_handle,
    .reader_close = close_handle,
    .refresh = refresh,
    .get = get,
    .get_batch = get_batch,
    .scan = scan,
};
