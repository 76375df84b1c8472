/*
 * What comes between two instructions. The linker puts a wrapper around a few functions that
 * engine/ calls (CMakeLists.txt), and a test says what happens there.
 */
#include "gap_support.h"

#include "base/thread.h"
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>

#include <weir/maintain.h>

/* Each is called once, then forgotten. */
static struct {
    void (*after_find)(void *context);
    void (*before_next_batch)(void *context);
    void (*before_wait)(void *context);
    void *context;
    int next_batch_fails, seek_fails; /* with this */
} hooks;

static void call(void (**hook)(void *context))
{
    void (*function)(void *context) = *hook;
    *hook = NULL;
    if (function != NULL) {
        function(hooks.context);
    }
}

/* ---- the wrappers; their names are the linker's ---- */

int __real_wal_address_find(struct weir_log *log, weir_lsn lsn, uint64_t *ret_address,
                            uint64_t *ret_time_ns);
int __wrap_wal_address_find(struct weir_log *log, weir_lsn lsn, uint64_t *ret_address,
                            uint64_t *ret_time_ns);
int __wrap_wal_address_find(struct weir_log *log, weir_lsn lsn, uint64_t *ret_address,
                            uint64_t *ret_time_ns)
{
    int rc = __real_wal_address_find(log, lsn, ret_address, ret_time_ns);
    if (rc == 0) {
        call(&hooks.after_find);
    }
    return rc;
}

int __real_weir_cursor_next_batch(struct weir_cursor *cursor, struct weir_record *records, int max);
int __wrap_weir_cursor_next_batch(struct weir_cursor *cursor, struct weir_record *records, int max);
int __wrap_weir_cursor_next_batch(struct weir_cursor *cursor, struct weir_record *records, int max)
{
    int rc = hooks.next_batch_fails;
    hooks.next_batch_fails = 0;
    if (rc < 0) {
        return rc;
    }
    call(&hooks.before_next_batch);
    return __real_weir_cursor_next_batch(cursor, records, max);
}

int __real_weir_cursor_seek(struct weir_cursor *cursor, weir_lsn lsn);
int __wrap_weir_cursor_seek(struct weir_cursor *cursor, weir_lsn lsn);
int __wrap_weir_cursor_seek(struct weir_cursor *cursor, weir_lsn lsn)
{
    return hooks.seek_fails < 0 ? hooks.seek_fails : __real_weir_cursor_seek(cursor, lsn);
}

int __real_weir_wait(struct weir_log *log, weir_lsn lsn, int64_t timeout_ns);
int __wrap_weir_wait(struct weir_log *log, weir_lsn lsn, int64_t timeout_ns);
int __wrap_weir_wait(struct weir_log *log, weir_lsn lsn, int64_t timeout_ns)
{
    call(&hooks.before_wait);
    return __real_weir_wait(log, lsn, timeout_ns);
}

static int replace_fails; /* with this */

int __real_index_replace(struct index *index, struct index_key key, uint64_t from, uint64_t to);
int __wrap_index_replace(struct index *index, struct index_key key, uint64_t from, uint64_t to);
int __wrap_index_replace(struct index *index, struct index_key key, uint64_t from, uint64_t to)
{
    return replace_fails < 0 ? replace_fails : __real_index_replace(index, key, from, to);
}

/* The put of a key of 'F' fails once somebody waits for its stripe. */
static struct {
    _Atomic bool armed, at_put;
    _Atomic uint32_t waiting;
} failing;

int __real_index_put_at(struct index *index, const struct index_descent *descent,
                        struct index_key key, uint64_t address, uint64_t *ret_old);
int __wrap_index_put_at(struct index *index, const struct index_descent *descent,
                        struct index_key key, uint64_t address, uint64_t *ret_old);
int __wrap_index_put_at(struct index *index, const struct index_descent *descent,
                        struct index_key key, uint64_t address, uint64_t *ret_old)
{
    if (!atomic_exchange(&failing.armed, false)) {
        return __real_index_put_at(index, descent, key, address, ret_old);
    }
    atomic_store(&failing.at_put, true);
    while (atomic_load(&failing.waiting) == 0) {
        base_wait(&failing.waiting, 0, 1000000, false);
    }
    return -ENOMEM;
}

void __real_stripe_lock(struct weir_engine *engine, uint32_t stripe);
void __wrap_stripe_lock(struct weir_engine *engine, uint32_t stripe);
void __wrap_stripe_lock(struct weir_engine *engine, uint32_t stripe)
{
    if (atomic_load(&failing.at_put)) {
        atomic_store(&failing.waiting, 1);
    }
    __real_stripe_lock(engine, stripe);
}

/* ---- helper verbs ---- */

static void fill(struct store *store, int records)
{
    static const char value[2000];
    char key[24];
    for (int i = 0; i < records; i++) {
        snprintf(key, sizeof key, "key%d", i % 40);
        struct weir_bytes bytes = {value, sizeof value};
        assert_int_equal(weir_put(store->engine, 0, text(key), bytes, WEIR_NONE, NULL), 0);
    }
    settle(store);
}

static void compact_to(struct store *store, weir_lsn horizon)
{
    struct weir_compact_options options = WEIR_COMPACT_OPTIONS_INIT;
    struct weir_compact_report report = WEIR_COMPACT_REPORT_INIT;
    options.horizon = horizon;
    options.thorough = true;
    assert_int_equal(weir_engine_compact(store->engine, &options, &report, NULL), 0);
    assert_true(report.steps > 0);
}

/* A reader's log learns of a compaction. */
static void look(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(log, &stat), 0);
}

/* ---- a link ---- */

struct moving {
    struct store *store;
    struct weir_log *reader;
    weir_lsn horizon;
    bool moved;
};

static void compact_again(void *context)
{
    struct moving *moving = context;
    compact_to(moving->store, moving->horizon);
    look(moving->reader);
    moving->moved = true;
}

static void cd_11_a_version_that_moves_between_finding_and_reading_it_is_read(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    weir_lsn first = put(&store, "K", "first");
    fill(&store, 400);
    weir_lsn middle = weir_durable_lsn(store.log);
    fill(&store, 400);
    struct moving moving = {.store = &store, .horizon = weir_durable_lsn(store.log)};
    weir_lsn second = put(&store, "K", "second");
    fill(&store, 600);
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    store_open_beside(&store, &beside); /* from the checkpoint: it holds no segment */
    compact_to(&store, middle);
    look(beside.log); /* its distance leads nowhere now */
    moving.reader = beside.log;
    hooks.context = &moving;
    hooks.after_find = compact_again;
    struct weir_read read;
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_row row;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = second - 1;
    assert_int_equal(weir_read_begin(beside.engine, &options, &read), 0);
    assert_int_equal(weir_get(&read, 0, text("K"), &row), 1);
    assert_true(moving.moved);
    assert_int_equal(row.lsn, first);
    weir_read_end(&read);
    store_close_beside(&beside);
    store_close(&store);
}

/* ---- an index that fails ---- */

struct writer {
    struct store *store;
    int rc;
};

static void write_second(void *context)
{
    struct writer *writer = context;
    while (!atomic_load(&failing.at_put)) {
        base_yield();
    }
    writer->rc = weir_put(writer->store->engine, 0, text("F"), text("2"), WEIR_NONE, NULL);
}

static void se_06_nothing_links_on_behind_a_record_that_the_index_did_not_take(void **state)
{
    (void)state;
    struct store store;
    struct base_thread thread;
    struct writer writer = {.store = &store};
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    struct weir_snapshot *snapshot;
    store_open(&store);
    weir_lsn before = put(&store, "E", "1");
    atomic_store(&failing.armed, true);
    assert_int_equal(base_thread_start(&thread, "second", write_second, &writer), 0);
    assert_int_equal(weir_put(store.engine, 0, text("F"), text("1"), WEIR_NONE, NULL), -ENOMEM);
    base_thread_join(&thread);
    atomic_store(&failing.at_put, false);
    assert_int_equal(writer.rc, -ENOMEM); /* it had been let in before */
    settle(&store);
    assert_int_equal(weir_durable_lsn(store.log), before + 1);
    /* Nor is a state shown, or attached to, that the index does not have. */
    assert_int_equal(weir_engine_stat(store.engine, &status), 0);
    assert_int_equal(status.applied, before);
    assert_int_equal(weir_snapshot_open(store.engine, before + 1, &snapshot), -EAGAIN);
    assert_int_equal(weir_snapshot_open(store.engine, 0, &snapshot), 0);
    assert_int_equal(weir_snapshot_lsn(snapshot), before);
    weir_snapshot_close(snapshot);
    store_reopen(&store);
    expect_history(&store, "F", "2:1");
    store_close(&store);
}

/* ---- opening beside a writer ---- */

static void compact_now(void *context)
{
    struct store *store = context;
    compact_to(store, WEIR_LSN_NONE);
}

static void cd_11_an_engine_that_is_overtaken_while_it_is_opened_begins_again(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    put(&store, "kept", "here");
    fill(&store, 1200);
    store.engine_options.threads = 1;
    hooks.context = &store;
    hooks.before_next_batch = compact_now;
    store_open_beside(&store, &beside);
    assert_null(hooks.before_next_batch);
    struct fingerprint here = fingerprint_of(&store, 0), there;
    assert_int_equal(weir_engine_fingerprint(beside.engine, 0, there.bytes, &there.keys), 0);
    assert_int_equal(here.keys, there.keys);
    assert_memory_equal(here.bytes, there.bytes, sizeof here.bytes);
    store_close_beside(&beside);
    store_close(&store);
}

/* The index has all of the checkpoint by then. */
static void cd_11_an_engine_that_is_overtaken_behind_its_checkpoint_begins_with_nothing(
    void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
    store_open(&store);
    fill(&store, 600);
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, NULL), 0);
    put(&store, "behind", "it");
    settle(&store);
    hooks.next_batch_fails = -ENOENT;
    store_open_beside(&store, &beside);
    assert_int_equal(hooks.next_batch_fails, 0);
    assert_int_equal(weir_engine_report(beside.engine, &report), 0);
    assert_true(report.from_checkpoint && report.replayed_records == 1);
    struct fingerprint here = fingerprint_of(&store, 0), there;
    assert_int_equal(weir_engine_fingerprint(beside.engine, 0, there.bytes, &there.keys), 0);
    assert_int_equal(here.keys, there.keys);
    assert_memory_equal(here.bytes, there.bytes, sizeof here.bytes);
    store_close_beside(&beside);
    store_close(&store);
}

/* ---- the horizon of gaps ---- */

/* Taken for a gap, what cannot be read would cost history for good. */
static void what_cannot_be_looked_at_while_the_horizon_is_found_is_no_gap(void **state)
{
    (void)state;
    struct store store;
    struct weir_error why;
    store_open(&store);
    store.engine_options.checkpoint_bytes = UINT64_MAX;
    put(&store, "a", "a-one!");
    put(&store, "b", "b-one!");
    put(&store, "c", "c-one!");
    put(&store, "d", "d-one!");
    weir_lsn lsn = gap_append_update(&store, 'x', 2); /* is there, and no version of x */
    settle(&store);
    store_stop(&store);
    rot(&store, "a-one!");
    rot(&store, "c-one!");
    assert_int_equal(gap_salvage(&store), 2);
    hooks.seek_fails = -EIO;
    assert_int_equal(gap_try_to_open(&store, ACCEPT, &why), -EIO);
    assert_int_equal(why.from_lsn, lsn);
    hooks.seek_fails = 0;
    gap_expect_refused(&store, 1, 3); /* nothing was accepted */
    store.keeper->ops->destroy(store.keeper);
}

/* Its file was there when it was found, and compacted away when it was opened. */
static void cd_11_an_engine_that_finds_a_file_gone_while_it_follows_begins_again(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct weir_error why = WEIR_ERROR_INIT;
    store_open(&store);
    fill(&store, 100);
    store.engine_options.threads = 1;
    hooks.next_batch_fails = -ENOENT;
    store_open_beside(&store, &beside);
    assert_int_equal(hooks.next_batch_fails, 0);
    fill(&store, 100);
    hooks.next_batch_fails = -ENOENT;
    assert_int_equal(weir_engine_refresh(beside.engine, NULL, &why), 0);
    assert_int_equal(hooks.next_batch_fails, 0);
    assert_int_equal(why.code, 0);
    store_close_beside(&beside);
    store_close(&store);
}

/* ---- an address that leaves cannot hold ---- */

static void a_record_that_the_index_does_not_take_is_not_passed_over(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    struct weir_read read;
    struct weir_row row;
    store_open(&store);
    (void)put(&store, "key", "old");
    settle(&store);
    store_open_beside(&store, &beside);
    weir_lsn lsn = put(&store, "key", "new");
    settle(&store);
    replace_fails = -EFBIG;
    assert_int_equal(weir_engine_refresh(beside.engine, NULL, NULL), 0); /* it begins again */
    replace_fails = 0;
    assert_int_equal(weir_read_begin(beside.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, WEIR_TABLE_DEFAULT, text("key"), &row), 1);
    assert_int_equal(row.lsn, lsn);
    weir_read_end(&read);
    store_close_beside(&beside);
    store_close(&store);
}

/* ---- creating a table ---- */

/* In one thread: with a lock held it would never come back. */
static void use_all_stripes(void *context)
{
    struct store *store = context;
    weir_table table;
    assert_int_equal(weir_table_open(store->engine, "there", false, &table), 0);
    assert_int_equal(weir_table_open(store->engine, "new", false, &table), 0);
    fill(store, 40);
    for (unsigned i = 0; i < STRIPES; i++) {
        stripe_lock(store->engine, i);
        stripe_unlock(store->engine, i);
    }
}

static void no_lock_is_held_while_a_new_table_becomes_durable(void **state)
{
    (void)state;
    struct store store;
    weir_table table, again;
    store_open(&store);
    assert_int_equal(weir_table_open(store.engine, "there", true, &table), 0);
    hooks.context = &store;
    hooks.before_wait = use_all_stripes;
    assert_int_equal(weir_table_open(store.engine, "new", true, &table), 0);
    assert_null(hooks.before_wait);
    assert_true(weir_durable_lsn(store.log) >= 2);
    store_reopen(&store);
    assert_int_equal(weir_table_open(store.engine, "new", false, &again), 0);
    assert_int_equal(again, table);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_11_a_version_that_moves_between_finding_and_reading_it_is_read),
        cmocka_unit_test(se_06_nothing_links_on_behind_a_record_that_the_index_did_not_take),
        cmocka_unit_test(cd_11_an_engine_that_is_overtaken_while_it_is_opened_begins_again),
        cmocka_unit_test(
            cd_11_an_engine_that_is_overtaken_behind_its_checkpoint_begins_with_nothing),
        cmocka_unit_test(what_cannot_be_looked_at_while_the_horizon_is_found_is_no_gap),
        cmocka_unit_test(cd_11_an_engine_that_finds_a_file_gone_while_it_follows_begins_again),
        cmocka_unit_test(a_record_that_the_index_does_not_take_is_not_passed_over),
        cmocka_unit_test(no_lock_is_held_while_a_new_table_becomes_durable),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
