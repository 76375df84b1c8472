/*
 * A host on a read-only log beside its writer: another process's, as the command has it.
 */
#include "tests/derived/scene.h"

#include "base/thread.h"

#include <errno.h>
#include <stdio.h>

#include <weir/rows.h>

/* The writer's side, and a reader of the same disk with a host of its own. */
struct pair {
    struct scene writer; /* its host stays without systems */
    struct weir_log *log;
    struct weir_engine *engine;
    struct weir_host *host;
};

static struct pair pair;

static void open_reader(void)
{
    struct weir_log_options options = pair.writer.store.log_options;
    struct weir_error why = WEIR_ERROR_INIT;
    options.flags = WEIR_LOG_READ_ONLY;
    options.segment_bytes = 0;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&pair.writer.store.disk, &options.custom_medium), 0);
    assert_int_equal(weir_log_open("memory", &options, &pair.log, &why), 0);
    assert_int_equal(
        weir_engine_open(pair.log, &pair.writer.store.engine_options, &pair.engine, &why), 0);
    assert_int_equal(weir_host_open(pair.engine, NULL, &pair.host), 0);
}

static void close_reader(void)
{
    assert_int_equal(weir_host_close(pair.host), 0);
    assert_int_equal(weir_engine_close(pair.engine), 0);
    assert_int_equal(weir_log_close(pair.log), 0);
}

static int begin(void **state)
{
    (void)state;
    scene_open(&pair.writer);
    put(&pair.writer.store, "a", "1");
    settle(&pair.writer.store);
    open_reader();
    return 0;
}

static int end(void **state)
{
    (void)state;
    close_reader();
    scene_close(&pair.writer);
    return 0;
}

static void attach(struct ledger *ledger, enum weir_start start)
{
    struct weir_system system = WEIR_SYSTEM_INIT;
    system.name = "ledger";
    system.ops = &ledger_ops;
    system.self = ledger;
    system.start = start;
    assert_int_equal(weir_host_attach(pair.host, &system, NULL), 0);
}

static int find_all(void *context, weir_rows_add_fn add, void *add_context)
{
    const struct ledger *ledger = context;
    int rc = 0;
    for (size_t i = 0; i < ledger->count && rc == 0; i++) {
        const struct ledger_row *row = &ledger->rows[i];
        rc = add(add_context, row->table, (struct weir_bytes){row->bytes, row->key_size}, 0);
    }
    return rc;
}

static void expect_rows(struct ledger *ledger, unsigned count)
{
    struct weir_rows *rows;
    struct weir_row row;
    unsigned found = 0;
    int rc = weir_rows_open(pair.host, "ledger", find_all, ledger, &rows);
    assert_int_equal(rc, 0);
    while ((rc = weir_rows_next(rows, &row)) == 1) {
        const struct ledger_row *held = ledger_find(ledger, 0, row.key);
        assert_non_null(held);
        assert_int_equal(held->lsn, row.lsn);
        found++;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(found, count);
    weir_rows_close(rows);
}

static void a_reader_flushes_what_the_writer_has_made_durable_since(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    attach(&ledger, WEIR_START_BEGINNING);
    assert_int_equal(weir_host_flush(pair.host, NULL, 0), 1);
    expect_ledger(&ledger, "a=1");
    expect_rows(&ledger, 1);
    put(&pair.writer.store, "b", "2");
    put(&pair.writer.store, "a", "3");
    settle(&pair.writer.store);
    assert_int_equal(weir_host_flush(pair.host, NULL, 0), 1);
    expect_ledger(&ledger, "a=3 b=2");
    expect_rows(&ledger, 2);
    assert_int_equal(weir_host_close(pair.host), 0); /* saved, beside the writer */
    assert_int_equal(weir_host_open(pair.engine, NULL, &pair.host), 0);
    attach(&ledger, WEIR_START_BEGINNING);
    assert_int_equal(ledger.loads, 1);
    expect_ledger(&ledger, "a=3 b=2");
    assert_int_equal(scene_hold(&pair.writer, "ledger"), 4);
    assert_int_equal(weir_host_detach(pair.host, "ledger"), 0);
    ledger_free(&ledger);
}

static void two_processes_cannot_feed_one_name(void **state)
{
    (void)state;
    struct ledger here = {0}, there = {0};
    attach(&here, WEIR_START_BEGINNING);
    assert_int_equal(scene_try_attach(&pair.writer, "ledger", &there, WEIR_START_BEGINNING, 0),
                     WEIR_E_ATTACHED);
    assert_int_equal(weir_host_detach(pair.host, "ledger"), 0);
    scene_attach(&pair.writer, "ledger", &there);
    assert_int_equal(weir_host_detach(pair.writer.host, "ledger"), 0);
    ledger_free(&here);
    ledger_free(&there);
}

static void a_reader_verifies_and_rebuilds_beside_a_writer_that_compacts(void **state)
{
    (void)state;
    struct ledger ledger = {0}, fresh = {0};
    struct weir_host_verify_report report = WEIR_HOST_VERIFY_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    attach(&ledger, WEIR_START_SNAPSHOT);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 1500; i++) {
            char key[20], value[200];
            (void)snprintf(key, sizeof key, "k%u", i % 40);
            (void)snprintf(value, sizeof value, "%0150u", i + round);
            put(&pair.writer.store, key, value);
        }
        settle(&pair.writer.store);
        assert_int_equal(weir_host_flush(pair.host, NULL, 0), 1);
        assert_int_equal(weir_host_save(pair.host), 0);
        assert_true(scene_compact(&pair.writer) > 0);
        assert_int_equal(weir_host_flush(pair.host, NULL, 0), 1);
        int rc = weir_host_verify(pair.host, "ledger", &fresh, NULL, NULL, &report, &why);
        assert_string_equal(why.text, "");
        assert_int_equal(rc, 0);
        assert_true(report.equal);
        expect_rows(&ledger, 41);
    }
    assert_int_equal(weir_host_rebuild(pair.host, "ledger", NULL, NULL, NULL, &why), 0);
    assert_int_equal(ledger.wrong, 0);
    expect_rows(&ledger, 41);
    assert_int_equal(weir_host_detach(pair.host, "ledger"), 0);
    ledger_free(&fresh);
    ledger_free(&ledger);
}

static void write_later(void *context)
{
    struct store *store = context;
    (void)weir_put(store->engine, 0, text("later"), text("1"), WEIR_EACH, NULL);
}

static void a_reader_waits_for_what_the_writer_is_about_to_write(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct base_thread thread;
    struct weir_error why = WEIR_ERROR_INIT;
    attach(&ledger, WEIR_START_BEGINNING);
    for (unsigned i = 0; i < 2; i++) { /* by itself; and with a thread */
        weir_lsn lsn = weir_durable_lsn(pair.writer.store.log) + 1;
        assert_int_equal(weir_host_wait(pair.host, "ledger", lsn, 1000000, &why), WEIR_E_BEHIND);
        assert_true(strlen(why.text) > 0);
        assert_int_equal(base_thread_start(&thread, "writer", write_later, &pair.writer.store), 0);
        assert_int_equal(weir_host_wait(pair.host, "ledger", lsn, WEIR_WAIT_FOREVER, &why), 0);
        base_thread_join(&thread);
        assert_int_equal(weir_host_start(pair.host), i == 0 ? 0 : -EALREADY);
    }
    assert_int_equal(weir_host_stop(pair.host), 0);
    expect_ledger(&ledger, "a=1 later=1");
    assert_int_equal(weir_host_detach(pair.host, "ledger"), 0);
    ledger_free(&ledger);
}

#define host_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        host_test(a_reader_flushes_what_the_writer_has_made_durable_since),
        host_test(two_processes_cannot_feed_one_name),
        host_test(a_reader_verifies_and_rebuilds_beside_a_writer_that_compacts),
        host_test(a_reader_waits_for_what_the_writer_is_about_to_write),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
