/*
 * WiredTiger's log on its own: log_printf writes a record, log_flush("sync=on") makes it durable.
 * No table is involved, which is the fastest that this log goes. Records must be text, and ours
 * are.
 */
#include "bench/peers/peer.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <wiredtiger.h>

#define RECORD_IS_MESSAGE 3 /* the record type of log_printf; others are WiredTiger's own */

struct store {
    WT_CONNECTION *connection;
};

static int fail(int code)
{
    return peer_fail("WiredTiger: %s", wiredtiger_strerror(code));
}

static int open_store(const struct peer_settings *settings, bool create, void **ret_peer)
{
    (void)create;
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    int code = wiredtiger_open(settings->directory, NULL,
                               "create,session_max=1200,cache_size=256MB,"
                               "log=(enabled=true,archive=false,file_max=512MB,prealloc=true)",
                               &store->connection);
    if (code != 0) {
        base_free(store);
        return fail(code);
    }
    *ret_peer = store;
    return 0;
}

static void close_store(void *peer)
{
    struct store *store = peer;
    (void)store->connection->close(store->connection, "leak_memory=true");
    base_free(store);
}

static int open_writer(void *peer, void **ret_writer)
{
    struct store *store = peer;
    WT_SESSION *session;
    int code = store->connection->open_session(store->connection, NULL, NULL, &session);
    if (code != 0) {
        return fail(code);
    }
    *ret_writer = session;
    return 0;
}

static void close_writer(void *writer)
{
    WT_SESSION *session = writer;
    (void)session->close(session, NULL);
}

static int sync_writer(void *writer)
{
    WT_SESSION *session = writer;
    int code = session->log_flush(session, "sync=on");
    return code == 0 ? 0 : fail(code);
}

static int append(void *writer, const struct weir_part *records, unsigned count, bool durable)
{
    WT_SESSION *session = writer;
    for (unsigned index = 0; index < count; index++) {
        int code = session->log_printf(session, "%.*s", (int)records[index].size,
                                       (const char *)records[index].data);
        if (code != 0) {
            return fail(code);
        }
    }
    return durable ? sync_writer(writer) : 0;
}

static int scan_log(WT_CURSOR *cursor, struct peer_tally *tally)
{
    int code;
    while ((code = cursor->next(cursor)) == 0) {
        uint64_t transaction;
        uint32_t record_type;
        uint32_t operation_type;
        uint32_t file;
        WT_ITEM key;
        WT_ITEM value;
        code = cursor->get_value(cursor, &transaction, &record_type, &operation_type, &file, &key,
                                 &value);
        if (code != 0) {
            return code;
        }
        if (record_type == RECORD_IS_MESSAGE) {
            /* It pads with zeros and keeps no length. */
            peer_tally_add(tally, value.data, strnlen(value.data, value.size));
        }
    }
    return code == WT_NOTFOUND ? 0 : code;
}

static int scan(void *peer, struct peer_tally *tally)
{
    struct store *store = peer;
    WT_SESSION *session;
    int code = store->connection->open_session(store->connection, NULL, NULL, &session);
    if (code != 0) {
        return fail(code);
    }
    WT_CURSOR *cursor;
    code = session->open_cursor(session, "log:", NULL, NULL, &cursor);
    if (code == 0) {
        code = scan_log(cursor, tally);
        (void)cursor->close(cursor);
    }
    (void)session->close(session, NULL);
    return code == 0 ? 0 : fail(code);
}

const struct peer_ops peer_wiredtiger = {
    .name = "wiredtiger",
    .title = "WiredTiger log",
    .settings =
        "the log alone: log_printf, log_flush(sync=on) for durable ones, preallocated files "
        "of 512 MB; scan: log cursor",
    .open = open_store,
    .close = close_store,
    .writer_open = open_writer,
    .writer_close = close_writer,
    .append = append,
    .sync = sync_writer,
    .scan = scan,
};
