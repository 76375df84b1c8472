/*
 * Weir behind the interface of its peers: the public API and nothing else. With medium pmem on a
 * directory without persistent memory it runs emulated, like libpmemlog with PMEM_IS_PMEM_FORCE=1.
 */
#include "bench/peers/peer.h"

#include "base/alloc.h"

#include <weir/weir.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define BATCH_MAX 4096u
#define SCAN_BATCH 64

/* Framing and padding that weir_prepare() has to cover beside the payload, generously. */
#define FRAME_BYTES 32u

struct store {
    struct weir_log *log;
};

struct writer {
    struct weir_log *log;
    struct weir_entry entries[BATCH_MAX];
};

static int fail(int code)
{
    return peer_fail("Weir: %s", weir_error_text(code));
}

static int open_store(const struct peer_settings *settings, bool create, void **ret_peer)
{
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/log", settings->directory);
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.medium = (enum weir_medium_kind)settings->medium;
    options.flags = create ? WEIR_LOG_CREATE : 0;
    if (settings->medium == WEIR_MEDIUM_PMEM) {
        options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_log_open(path, &options, &store->log, &why);
    if (rc < 0) {
        (void)peer_fail("Weir: %s", why.text);
    } else if (create && settings->expected_bytes > 0) {
        uint64_t records = settings->expected_bytes / (settings->size_max + 1) + 1;
        rc = weir_prepare(store->log, settings->expected_bytes + 2 * FRAME_BYTES * records);
        if (rc < 0) {
            (void)fail(rc);
            (void)weir_log_close(store->log);
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
    int rc = weir_log_close(store->log);
    if (rc < 0) {
        (void)fail(rc);
    }
    base_free(store);
}

static int open_writer(void *peer, void **ret_writer)
{
    struct writer *writer = base_alloc_zero(sizeof *writer);
    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->log = ((struct store *)peer)->log;
    *ret_writer = writer;
    return 0;
}

static void close_writer(void *writer)
{
    base_free(writer);
}

static int append(void *context, const struct weir_part *records, unsigned count, bool durable)
{
    struct writer *writer = context;
    enum weir_durability durability = durable ? WEIR_EACH : WEIR_NONE;
    int rc;
    if (count == 1) {
        struct weir_entry entry = {.parts = records, .part_count = 1};
        rc = weir_append(writer->log, &entry, durability, NULL);
    } else if (count <= BATCH_MAX) {
        for (unsigned index = 0; index < count; index++) {
            writer->entries[index].parts = &records[index];
            writer->entries[index].part_count = 1;
        }
        rc = weir_append_batch(writer->log, writer->entries, count, durability, NULL);
    } else {
        rc = -EINVAL;
    }
    return rc == 0 ? 0 : fail(rc);
}

static int sync_writer(void *context)
{
    struct writer *writer = context;
    int rc = weir_commit(writer->log);
    return rc == 0 ? 0 : fail(rc);
}

static int scan(void *peer, struct peer_tally *tally)
{
    struct store *store = peer;
    struct weir_cursor *cursor;
    int rc = weir_cursor_open(store->log, NULL, &cursor);
    if (rc < 0) {
        return fail(rc);
    }
    struct weir_record records[SCAN_BATCH];
    while ((rc = weir_cursor_next_batch(cursor, records, SCAN_BATCH)) > 0) {
        for (int index = 0; index < rc; index++) {
            peer_tally_add(tally, records[index].data, records[index].size);
        }
    }
    weir_cursor_close(cursor);
    return rc == 0 ? 0 : fail(rc);
}

const struct peer_ops peer_weir = {
    .name = "weir",
    .title = "Weir",
    .settings = "defaults; segments made before the clock; WEIR_EACH, or WEIR_NONE and one commit; "
                "scan: cursor, next_batch(64)",
    .open = open_store,
    .close = close_store,
    .writer_open = open_writer,
    .writer_close = close_writer,
    .append = append,
    .sync = sync_writer,
    .scan = scan,
};
