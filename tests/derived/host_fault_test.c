/*
 * Every allocation, and every call on the files beside the log, fails once: a host answers with an
 * error or does without, and afterwards, when nothing fails any more, all is as it should be.
 */
#include "tests/derived/scene.h"

#include "derived/host.h"

#include "base/alloc.h"
#include "tests/derived/support.h"

#include <errno.h>

#include <weir/consumer.h>
#include <weir/state.h>

static struct scene scene;
static struct ledger ledgers[2];

/* ---- failing calls ---- */

struct fault {
    uint64_t calls, nth; /* 0: none */
    bool stays;
    int error;
};

static struct fault fault;

static int fail_nth(void *context, const char *call, const char *name, uint64_t offset, size_t size)
{
    (void)context;
    (void)call;
    (void)offset;
    (void)size;
    if (strncmp(name, "derived", 7) != 0 && strncmp(name, "holds", 5) != 0) {
        return 0;
    }
    fault.calls++;
    bool now =
        fault.nth != 0 && (fault.calls == fault.nth || (fault.stays && fault.calls > fault.nth));
    return now ? fault.error : 0;
}

/* ---- the work ---- */

static void attach_one(unsigned number)
{
    (void)scene_try_attach(&scene, number == 0 ? "one" : "two", &ledgers[number],
                           number == 0 ? WEIR_START_BEGINNING : WEIR_START_NOW, 0);
}

/* Whatever each call answers. */
static void work(void)
{
    struct ledger fresh = {0};
    struct weir_host_status status = WEIR_HOST_STATUS_INIT;
    if (weir_host_open(scene.store.engine, NULL, &scene.host) < 0) {
        scene.host = NULL;
        return;
    }
    attach_one(0);
    attach_one(1);
    (void)weir_host_flush(scene.host, NULL, 0);
    (void)weir_host_save(scene.host);
    ledgers[0].refuse = "c";
    (void)weir_put(scene.store.engine, 0, text("c"), text("3"), WEIR_EACH, NULL);
    (void)weir_host_flush(scene.host, NULL, 0);
    ledgers[0].refuse = NULL;
    (void)weir_host_retry(scene.host, "one");
    (void)weir_host_flush(scene.host, NULL, 0);
    (void)weir_host_verify(scene.host, "one", &fresh, NULL, NULL, NULL, NULL);
    (void)weir_host_rebuild(scene.host, "one", NULL, NULL, NULL, NULL);
    (void)weir_host_push(scene.host, true);
    (void)weir_put(scene.store.engine, 0, text("d"), text("4"), WEIR_EACH, NULL);
    (void)weir_host_detach(scene.host, "two");
    (void)weir_host_stat(scene.host, &status, NULL, 0);
    (void)weir_host_close(scene.host);
    scene.host = NULL;
    ledger_free(&fresh);
}

/* As the command puts one beside the state, before it attaches. */
static void define(const char *name)
{
    struct weir_state_writer *writer;
    assert_int_equal(weir_state_create(scene.store.log, name, "definition", &writer), 0);
    assert_int_equal(weir_state_commit(writer, "definition", 1, WEIR_LSN_NONE, NULL), 0);
}

static void expect_defined(const char *name)
{
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    assert_int_equal(weir_state_peek(scene.store.log, name, "definition", &about, NULL), 0);
}

static void expect_healthy(void)
{
    expect_defined("one"); /* whatever failed: it is not the host's */
    for (unsigned i = 0; i < 2; i++) {
        ledger_free(&ledgers[i]);
        ledgers[i] = (struct ledger){.partial = i == 1};
    }
    scene_open_host(&scene);
    for (unsigned i = 0; i < 2; i++) {
        const char *name = i == 0 ? "one" : "two";
        enum weir_start start = i == 0 ? WEIR_START_BEGINNING : WEIR_START_NOW;
        assert_int_equal(scene_try_attach(&scene, name, &ledgers[i], start, 0), 0);
        int rc = weir_host_retry(scene.host, name);
        assert_true(rc == 0 || rc == -EINVAL); /* that it was parked may be what is known last */
    }
    (void)scene_flush(&scene, NULL);
    char why[200] = "";
    bool same = scene_matches(scene.store.engine, &ledgers[0], scene_status(&scene, "one").position,
                              why, sizeof why);
    if (!same) {
        print_error("%s\n", why);
    }
    assert_true(same);
    assert_int_equal(ledgers[1].wrong, 0);
    expect_verified(&scene, "one");
    expect_verified(&scene, "two");
    scene_close_host(&scene);
}

/* What comes behind a state is held, whatever has failed. */
static void expect_held(void)
{
    static const char *const names[] = {"one", "two"};
    for (unsigned i = 0; i < 2; i++) {
        struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
        if (weir_state_peek(scene.store.log, names[i], HOST_STATE_FILE, &about, NULL) == 0) {
            assert_in_range(scene_hold(&scene, names[i]), 1, about.position + 1);
        }
    }
}

static void prepare(void)
{
    memset(ledgers, 0, sizeof ledgers);
    ledgers[1].partial = true;
    fault = (struct fault){0};
    store_open_with(&scene.store, (uint64_t)64 << 10, STORE_INDEX);
    store_stop(&scene.store);
    scene.store.disk.faults = (struct sim_memory_faults){.before = fail_nth};
    store_start(&scene.store);
    put(&scene.store, "a", "1");
    put(&scene.store, "b", "2");
    settle(&scene.store);
    define("one");
    fault.calls = 0;
}

static void clean_up(void)
{
    store_close(&scene.store);
    for (unsigned i = 0; i < 2; i++) {
        ledger_free(&ledgers[i]);
    }
}

static void every_call_on_the_files_beside_the_log_may_fail(void **state)
{
    (void)state;
    static const int errors[] = {-EIO, -ENOSPC};
    prepare();
    work();
    uint64_t calls = fault.calls;
    expect_healthy();
    clean_up();
    assert_true(calls > 60);
    for (uint64_t nth = 1; nth <= calls; nth++) {
        prepare();
        fault = (struct fault){.nth = nth, .stays = nth % 3 == 0, .error = errors[nth % 2]};
        work();
        fault.nth = 0;
        expect_held();
        expect_healthy();
        clean_up();
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    prepare();
    uint64_t blocks = base_alloc_in_use();
    fail_allocation(0, false);
    work();
    uint64_t count = stop_failing();
    for (unsigned i = 0; i < 2; i++) {
        ledger_free(&ledgers[i]);
    }
    assert_int_equal(base_alloc_in_use(), blocks);
    expect_healthy();
    clean_up();
    assert_true(count > 50);
    for (uint64_t nth = 1; nth <= count; nth++) {
        prepare();
        fail_allocation(nth, nth % 4 == 0);
        work();
        (void)stop_failing();
        expect_held();
        expect_healthy();
        clean_up();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_on_the_files_beside_the_log_may_fail),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return RUN_TESTS(tests, argc, argv);
}
