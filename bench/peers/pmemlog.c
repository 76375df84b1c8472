/*
 * libpmemlog: the log of PMDK, on a file that it maps. On /dev/shm with PMEM_IS_PMEM_FORCE=1 it
 * runs the instructions of persistent memory on DRAM: a cost, not durability. The pool is filled
 * and rewound before the clock starts, so that no page is touched for the first time inside it.
 *
 * The log has no records: with fixed sizes the walk is told their size, else each record carries
 * its length in front.
 */
#include "bench/peers/peer.h"

#include "base/alloc.h"

#include <errno.h>
#include <libpmemlog.h>
#include <limits.h>
#include <stdio.h>
#include <sys/uio.h>

#define FILL_BYTES ((size_t)1 << 20)
#define POOL_EXTRA ((size_t)16 << 20)
#define BATCH_MAX 256u

struct store {
    PMEMlogpool *pool;
    size_t record_bytes; /* 0: each carries its length */
};

struct walk {
    struct peer_tally *tally;
    int rc;
};

static int fail(const char *what)
{
    return peer_fail("libpmemlog: %s: %s", what, pmemlog_errormsg());
}

/* Touches every page; in pieces that shrink, because an append must fit as a whole. */
static int touch_pool(PMEMlogpool *pool)
{
    void *noise = base_alloc_zero(FILL_BYTES);
    if (noise == NULL) {
        return -ENOMEM;
    }
    for (size_t size = FILL_BYTES; size >= 4096; size /= 2) {
        while (pmemlog_append(pool, noise, size) == 0) {
        }
    }
    pmemlog_rewind(pool);
    base_free(noise);
    return 0;
}

static int open_store(const struct peer_settings *settings, bool create, void **ret_peer)
{
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/pool", settings->directory);
    store->record_bytes = settings->fixed_size ? settings->size_max : 0;
    size_t pool_bytes = (size_t)settings->expected_bytes * 21 / 20 + POOL_EXTRA;
    store->pool = create ? pmemlog_create(path, pool_bytes, 0600) : pmemlog_open(path);
    int rc = store->pool == NULL ? fail("open") : (create ? touch_pool(store->pool) : 0);
    if (rc < 0) {
        if (store->pool != NULL) {
            pmemlog_close(store->pool);
        }
        base_free(store);
        return rc;
    }
    *ret_peer = store;
    return 0;
}

static void close_store(void *peer)
{
    struct store *store = peer;
    pmemlog_close(store->pool);
    base_free(store);
}

static int open_writer(void *peer, void **ret_writer)
{
    *ret_writer = peer;
    return 0;
}

static void close_writer(void *writer)
{
    (void)writer;
}

static int append_sized(struct store *store, const struct weir_part *records, unsigned count)
{
    uint32_t lengths[BATCH_MAX];
    struct iovec vectors[2 * BATCH_MAX];
    unsigned used = 0;
    for (unsigned index = 0; index < count; index++) {
        if (store->record_bytes == 0) {
            lengths[index] = (uint32_t)records[index].size;
            vectors[used++] = (struct iovec){&lengths[index], sizeof lengths[index]};
        }
        memcpy(&vectors[used].iov_base, &records[index].data, sizeof(void *));
        vectors[used++].iov_len = records[index].size;
    }
    return pmemlog_appendv(store->pool, vectors, (int)used);
}

/* Every append is durable: there is no other kind. */
static int append(void *writer, const struct weir_part *records, unsigned count, bool durable)
{
    (void)durable;
    struct store *store = writer;
    int rc;
    if (count == 1 && store->record_bytes != 0) {
        rc = pmemlog_append(store->pool, records->data, records->size);
    } else if (count <= BATCH_MAX) {
        rc = append_sized(store, records, count);
    } else {
        return peer_fail("libpmemlog: batches are at most %u here", BATCH_MAX);
    }
    return rc == 0 ? 0 : (errno == ENOSPC ? -ENOSPC : fail("append"));
}

static int sync_writer(void *writer)
{
    (void)writer;
    return 0;
}

static int visit_fixed(const void *data, size_t size, void *context)
{
    struct walk *walk = context;
    peer_tally_add(walk->tally, data, size);
    return 1;
}

static int visit_lengths(const void *data, size_t size, void *context)
{
    struct walk *walk = context;
    const uint8_t *at = data;
    const uint8_t *end = at + size;
    while (at < end) {
        uint32_t length;
        memcpy(&length, at, sizeof length);
        at += sizeof length;
        if (length > (size_t)(end - at)) {
            walk->rc = peer_fail("libpmemlog: a length leads beyond the end");
            return 0;
        }
        peer_tally_add(walk->tally, at, length);
        at += length;
    }
    return 0;
}

static int scan(void *peer, struct peer_tally *tally)
{
    struct store *store = peer;
    struct walk walk = {tally, 0};
    if (store->record_bytes != 0) {
        pmemlog_walk(store->pool, store->record_bytes, visit_fixed, &walk);
    } else {
        pmemlog_walk(store->pool, 0, visit_lengths, &walk);
    }
    return walk.rc;
}

const struct peer_ops peer_pmemlog = {
    .name = "pmemlog",
    .title = "libpmemlog",
    .settings = "on /dev/shm with PMEM_IS_PMEM_FORCE=1 (instruction cost on DRAM, not durability), "
                "pages touched before the clock; scan: pmemlog_walk, nothing verified",
    .force_pmem = true,
    .open = open_store,
    .close = close_store,
    .writer_open = open_writer,
    .writer_close = close_writer,
    .append = append,
    .sync = sync_writer,
    .scan = scan,
};
