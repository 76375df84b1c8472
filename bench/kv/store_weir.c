/*
 * Weir's engine behind the interface of its peers: the public API and nothing else; and its log,
 * to which a put is an append of as many bytes as the engine's record has.
 */
#include "bench/kv/store.h"

#include "base/alloc.h"

#include <weir/append.h>
#include <weir/inspect.h>
#include <weir/maintain.h>
#include <weir/read.h>
#include <weir/write.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define SCAN_BATCH 64
#define RECORD_HEAD_BYTES 20u /* in front of key and value: docs/FORMAT.md, 9 */

struct store {
    struct weir_log *log;
    struct weir_engine *engine; /* NULL: the log alone */
};

static int fail(int code)
{
    (void)kv_fail("Weir: %s", weir_error_text(code));
    return code;
}

static int fail_why(const struct weir_error *why, int rc)
{
    (void)kv_fail("Weir: %s", why->text[0] != '\0' ? why->text : weir_error_text(rc));
    return rc;
}

static int open_both(struct store *store, const struct kv_settings *settings, bool create,
                     bool with_engine)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/log", settings->directory);
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.medium = settings->medium;
    options.io = settings->io;
    options.segment_bytes = settings->segment_bytes;
    options.flags = create ? WEIR_LOG_CREATE : 0;
    if (settings->emulated_pmem) {
        options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    struct weir_engine_options engine = WEIR_ENGINE_OPTIONS_INIT;
    engine.threads = settings->threads;
    engine.checkpoint_bytes = UINT64_MAX; /* only when we say so */
    engine.flags = settings->no_checkpoint ? WEIR_ENGINE_NO_CHECKPOINT : 0;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = with_engine
                 ? weir_engine_open_at(path, &options, &engine, &store->log, &store->engine, &why)
                 : weir_log_open(path, &options, &store->log, &why);
    return rc < 0 ? fail_why(&why, rc) : 0;
}

static int close_both(struct store *store)
{
    int rc = store->engine != NULL ? weir_engine_close(store->engine) : 0;
    return rc < 0 ? rc : weir_log_close(store->log);
}

static int open_store(const struct kv_settings *settings, bool create, void **ret_store,
                      bool with_engine)
{
    struct store *store = base_alloc_zero(sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    int rc = open_both(store, settings, create, with_engine);
    if (rc == 0 && create && settings->log_bytes > 0) {
        rc = weir_prepare(store->log, settings->log_bytes);
        if (rc < 0) {
            (void)fail(rc);
            (void)close_both(store);
        }
    }
    if (rc < 0) {
        base_free(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

static int weir_open(const struct kv_settings *settings, bool create, void **ret_store)
{
    return open_store(settings, create, ret_store, true);
}

static int log_open(const struct kv_settings *settings, bool create, void **ret_store)
{
    return open_store(settings, create, ret_store, false);
}

static void close_store(void *context)
{
    struct store *store = context;
    int rc = close_both(store);
    if (rc < 0) {
        (void)fail(rc);
    }
    base_free(store);
}

static void tell_facts(void *context, struct kv_facts *ret_facts)
{
    struct store *store = context;
    struct weir_open_report log = WEIR_OPEN_REPORT_INIT;
    memset(ret_facts, 0, sizeof *ret_facts);
    if (weir_log_report(store->log, &log) == 0) {
        memcpy(ret_facts->medium, log.medium.name, sizeof ret_facts->medium);
        memcpy(ret_facts->io, log.medium.io, sizeof ret_facts->io);
        ret_facts->durable = log.medium.durable && !log.medium.emulated;
        ret_facts->emulated = log.medium.emulated;
        ret_facts->open_log_s = log.total_s;
    }
    struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
    if (store->engine != NULL && weir_engine_report(store->engine, &report) == 0) {
        ret_facts->from_checkpoint = report.from_checkpoint;
        ret_facts->replayed_records = report.replayed_records;
        ret_facts->load_s = report.load_s;
        ret_facts->walk_s = report.walk_s;
        ret_facts->sort_s = report.sort_s;
        ret_facts->build_s = report.build_s;
        ret_facts->replay_s = report.replay_s;
        ret_facts->engine_s = report.total_s;
    }
    struct weir_stat stat = WEIR_STAT_INIT;
    if (weir_log_stat(store->log, &stat) == 0) {
        ret_facts->window_bytes = stat.window_bytes;
    }
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    if (store->engine != NULL && weir_engine_stat(store->engine, &status) == 0) {
        ret_facts->keys = status.keys;
        ret_facts->deleted_keys = status.deleted_keys;
        ret_facts->index_bytes = status.index_bytes;
    }
}

static int make_checkpoint(void *context)
{
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_engine_checkpoint(((struct store *)context)->engine, NULL, &why);
    if (rc < 0) {
        (void)kv_fail("Weir: %s", why.text[0] != '\0' ? why.text : weir_error_text(rc));
    }
    return rc;
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
    struct weir_engine *engine = ((struct store *)writer)->engine;
    enum weir_durability durability = durable ? WEIR_EACH : WEIR_NONE;
    for (unsigned index = 0; index < count; index++) {
        int rc = weir_put(engine, WEIR_TABLE_DEFAULT, pairs[index].key, pairs[index].value,
                          durability, NULL);
        if (rc < 0) {
            return fail(rc);
        }
    }
    return 0;
}

static int append(void *writer, const struct kv_pair *pairs, unsigned count, bool durable)
{
    static const uint8_t head[RECORD_HEAD_BYTES];
    struct weir_log *log = ((struct store *)writer)->log;
    enum weir_durability durability = durable ? WEIR_EACH : WEIR_NONE;
    for (unsigned index = 0; index < count; index++) {
        struct weir_part parts[3] = {
            {.data = head, .size = sizeof head},
            {.data = pairs[index].key.data, .size = pairs[index].key.size},
            {.data = pairs[index].value.data, .size = pairs[index].value.size},
        };
        struct weir_entry entry = {.parts = parts, .part_count = 3};
        int rc = weir_append(log, &entry, durability, NULL);
        if (rc < 0) {
            return fail(rc);
        }
    }
    return 0;
}

static int remove_key(void *writer, struct weir_bytes key)
{
    int rc =
        weir_delete(((struct store *)writer)->engine, WEIR_TABLE_DEFAULT, key, WEIR_NONE, NULL);
    return rc == 0 || rc == -ENOENT ? 0 : fail(rc);
}

static int sync_writer(void *writer)
{
    int rc = weir_commit(((struct store *)writer)->log);
    return rc == 0 ? 0 : fail(rc);
}

static int refresh(void *reader)
{
    (void)reader; /* each call of get is a section of its own */
    return 0;
}

static int get(void *reader, const struct weir_bytes *keys, unsigned count, struct kv_tally *tally)
{
    struct weir_read section;
    struct weir_row row;
    int rc = weir_read_begin(((struct store *)reader)->engine, NULL, &section);
    if (rc < 0) {
        return fail(rc);
    }
    for (unsigned index = 0; index < count; index++) {
        rc = weir_get(&section, WEIR_TABLE_DEFAULT, keys[index], &row);
        if (rc != 1) {
            break;
        }
        kv_touch(tally, row.value.data, row.value.size);
        tally->rows++;
    }
    weir_read_end(&section);
    if (rc == 0) {
        (void)kv_fail("Weir: a key is not there");
        return -ENOENT;
    }
    return rc < 0 ? fail(rc) : 0;
}

static int get_batch(void *reader, const struct weir_bytes *keys, unsigned count, unsigned batch,
                     struct kv_tally *tally)
{
    struct weir_read section;
    struct weir_row rows[KV_BATCH_MAX];
    int rc = weir_read_begin(((struct store *)reader)->engine, NULL, &section);
    if (rc < 0) {
        return fail(rc);
    }
    bool complete = true;
    for (unsigned from = 0; rc >= 0 && complete && from < count; from += batch) {
        unsigned size = count - from < batch ? count - from : batch;
        rc = weir_get_batch(&section, WEIR_TABLE_DEFAULT, keys + from, size, rows);
        complete = rc == (int)size;
        for (int index = 0; index < rc && complete; index++) {
            kv_touch(tally, rows[index].value.data, rows[index].value.size);
            tally->rows++;
        }
    }
    weir_read_end(&section);
    if (rc >= 0 && !complete) {
        (void)kv_fail("Weir: a key is not there");
        return -ENOENT;
    }
    return rc < 0 ? fail(rc) : 0;
}

static int scan(void *reader, struct kv_tally *tally)
{
    struct kv_tally seen = {0};
    struct weir_read section;
    struct weir_scan *rows = NULL;
    struct weir_row row[SCAN_BATCH];
    int rc = weir_read_begin(((struct store *)reader)->engine, NULL, &section);
    if (rc < 0) {
        return fail(rc);
    }
    rc = weir_scan_open(&section, NULL, &rows);
    while (rc >= 0 && (rc = weir_scan_next_batch(rows, row, SCAN_BATCH)) > 0) {
        for (int index = 0; index < rc; index++) {
            kv_touch(&seen, row[index].key.data, row[index].key.size);
            kv_touch(&seen, row[index].value.data, row[index].value.size);
        }
        seen.rows += (uint64_t)rc;
    }
    kv_add(tally, &seen);
    weir_scan_close(rows);
    weir_read_end(&section);
    return rc < 0 ? fail(rc) : 0;
}

const struct kv_ops kv_weir = {
    .name = "weir",
    .title = "Weir",
    .settings =
        "defaults; segments made before the clock; weir_put WEIR_EACH, or WEIR_NONE and one "
        "commit; a read section for 4096 gets; batches of gets: weir_get_batch; "
        "weir_scan_next_batch(64)",
    .open = weir_open,
    .close = close_store,
    .facts = tell_facts,
    .checkpoint = make_checkpoint,
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

const struct kv_ops kv_log = {
    .name = "log",
    .title = "Weir's log",
    .settings = "weir_append of records as long as the engine's, nothing else",
    .open = log_open,
    .close = close_store,
    .facts = tell_facts,
    .writer_open = open_handle,
    .writer_close = close_handle,
    .put = append,
    .sync = sync_writer,
};
