/*
 * What a writer tells when its record is durable, and threads that may not write.
 */
#include "store.h"

#include "base/sync.h"
#include "base/thread.h"

#include <errno.h>
#include <stdio.h>

struct heard {
    struct store *store;
    _Atomic unsigned calls;
    _Atomic uint64_t last;
    weir_lsn durable; /* when it was called */
    int written;      /* what a write from within returned */
    int taken;        /* what taking it away from within returned */
    bool writes, guarded, takes;
};

static void hear(void *context, weir_lsn lsn)
{
    struct heard *heard = context;
    atomic_fetch_add(&heard->calls, 1);
    atomic_store(&heard->last, lsn);
    heard->durable = weir_durable_lsn(heard->store->log);
    if (heard->guarded) {
        assert_int_equal(weir_log_callback_begin(heard->store->log), 0);
    }
    if (heard->writes) {
        heard->writes = false;
        heard->written =
            weir_put(heard->store->engine, 0, text("inner"), text("x"), WEIR_EACH, NULL);
    }
    if (heard->guarded) {
        weir_log_callback_end(heard->store->log);
    }
    if (heard->takes) {
        heard->taken = weir_engine_after_write(heard->store->engine, NULL, NULL);
    }
}

static void cd_09_a_writer_tells_before_it_returns_once_its_record_is_durable(void **state)
{
    (void)state;
    struct store store = {0};
    weir_lsn lsn;
    store_open(&store);
    struct heard heard = {.store = &store};
    assert_int_equal(weir_engine_after_write(store.engine, hear, &heard), 0);
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("1"), WEIR_EACH, &lsn), 0);
    assert_int_equal(heard.calls, 1);
    assert_int_equal(heard.last, lsn);
    assert_true(heard.durable >= lsn);
    assert_int_equal(weir_delete(store.engine, 0, text("a"), WEIR_EACH, &lsn), 0);
    assert_int_equal(heard.calls, 2);
    assert_int_equal(heard.last, lsn);
    const struct weir_write writes[] = {
        {.kind = WEIR_PUT, .key = text("a"), .value = text("1")},
        {.kind = WEIR_PUT, .key = text("b"), .value = text("2")},
        {.kind = WEIR_PUT, .key = text("c"), .value = text("3")},
    };
    assert_int_equal(weir_engine_write_batch(store.engine, writes, 3, WEIR_EACH, &lsn), 0);
    assert_int_equal(heard.calls, 3);
    assert_int_equal(heard.last, lsn + 2);
    assert_true(heard.durable >= lsn + 2);
    assert_int_equal(weir_engine_after_write(store.engine, NULL, NULL), 0);
    store_close(&store);
}

static void nothing_is_told_of_writes_that_do_not_wait_or_that_are_refused(void **state)
{
    (void)state;
    struct store store = {0};
    store_open(&store);
    struct heard heard = {.store = &store};
    assert_int_equal(weir_engine_after_write(store.engine, hear, &heard), 0);
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("1"), WEIR_NONE, NULL), 0);
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("2"), WEIR_GROUP, NULL), 0);
    assert_int_equal(weir_delete(store.engine, 0, text("b"), WEIR_EACH, NULL), -ENOENT);
    const struct weir_write write = {
        .kind = WEIR_PUT, .key = text("a"), .conditional = true, .expected = 1};
    assert_int_equal(weir_engine_write(store.engine, &write, WEIR_EACH, NULL), WEIR_E_CONFLICT);
    assert_int_equal(heard.calls, 0);
    store_close(&store);
}

static void there_is_one_function_and_it_can_be_taken_away_and_set_again(void **state)
{
    (void)state;
    struct store store = {0};
    store_open(&store);
    struct heard heard = {.store = &store}, other = {.store = &store};
    assert_int_equal(weir_engine_after_write(NULL, hear, &heard), -EINVAL);
    assert_int_equal(weir_engine_after_write(store.engine, NULL, NULL), 0);
    assert_int_equal(weir_engine_after_write(store.engine, hear, &heard), 0);
    assert_int_equal(weir_engine_after_write(store.engine, hear, &other), -EBUSY);
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("1"), WEIR_EACH, NULL), 0);
    assert_int_equal(weir_engine_after_write(store.engine, NULL, NULL), 0);
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("2"), WEIR_EACH, NULL), 0);
    assert_int_equal(weir_engine_after_write(store.engine, hear, &other), 0);
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("3"), WEIR_EACH, NULL), 0);
    assert_int_equal(heard.calls, 1);
    assert_int_equal(other.calls, 1);
    other.takes = true;
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("4"), WEIR_EACH, NULL), 0);
    assert_int_equal(other.taken, -EDEADLK);
    store_close(&store);
}

/* ---- it is gone when it was taken away ---- */

struct slow {
    _Atomic uint32_t inside, go, left;
};

static void wait_for(_Atomic uint32_t *word)
{
    while (atomic_load(word) == 0) {
        (void)base_wait(word, 0, -1, false);
    }
}

static void set(_Atomic uint32_t *word)
{
    atomic_store(word, 1);
    base_wake(word, 1000, false);
}

static void be_slow(void *context, weir_lsn lsn)
{
    struct slow *slow = context;
    (void)lsn;
    set(&slow->inside);
    wait_for(&slow->go);
    set(&slow->left);
}

struct worker {
    struct store *store;
    struct slow *slow;
    struct base_thread thread;
    int rc;
    uint32_t left_when_taken;
    _Atomic bool taken;
};

static void write_one(void *context)
{
    struct worker *worker = context;
    worker->rc = weir_put(worker->store->engine, 0, text("a"), text("1"), WEIR_EACH, NULL);
}

static void take_away(void *context)
{
    struct worker *worker = context;
    worker->rc = weir_engine_after_write(worker->store->engine, NULL, NULL);
    worker->left_when_taken = atomic_load(&worker->slow->left);
    atomic_store(&worker->taken, true);
}

static void taking_it_away_waits_for_the_calls_that_are_running(void **state)
{
    (void)state;
    struct store store = {0};
    store_open(&store);
    struct slow slow = {0};
    struct worker writer = {.store = &store}, taker = {.store = &store, .slow = &slow};
    assert_int_equal(weir_engine_after_write(store.engine, be_slow, &slow), 0);
    assert_int_equal(base_thread_start(&writer.thread, "writer", write_one, &writer), 0);
    wait_for(&slow.inside);
    assert_int_equal(base_thread_start(&taker.thread, "taker", take_away, &taker), 0);
    for (int i = 0; i < 1000 && !atomic_load(&taker.taken); i++) {
        base_yield(); /* a chance to be wrong; no wait for something */
    }
    assert_false(atomic_load(&taker.taken));
    set(&slow.go);
    base_thread_join(&taker.thread);
    base_thread_join(&writer.thread);
    assert_int_equal(taker.rc, 0);
    assert_int_equal(taker.left_when_taken, 1);
    assert_int_equal(writer.rc, 0);
    store_close(&store);
}

struct crowd_writer {
    struct store *store;
    struct base_thread thread;
    unsigned number, failed;
};

#define CROWD 4u
#define CROWD_WRITES 300u

static void write_many(void *context)
{
    struct crowd_writer *writer = context;
    char key[16];
    (void)snprintf(key, sizeof key, "k%u", writer->number);
    for (unsigned i = 0; i < CROWD_WRITES; i++) {
        int rc = weir_put(writer->store->engine, 0, text(key), text("v"), WEIR_EACH, NULL);
        writer->failed += rc != 0;
    }
}

struct counted {
    _Atomic unsigned calls;
    _Atomic bool set;
    _Atomic unsigned late; /* calls while it was taken away */
};

static void count_call(void *context, weir_lsn lsn)
{
    struct counted *counted = context;
    (void)lsn;
    atomic_fetch_add(&counted->calls, 1);
    atomic_fetch_add(&counted->late, atomic_load(&counted->set) ? 0 : 1);
}

static void it_may_come_and_go_while_many_write(void **state)
{
    (void)state;
    struct store store = {0};
    store_open(&store);
    struct crowd_writer writers[CROWD];
    struct counted counted = {0};
    for (unsigned i = 0; i < CROWD; i++) {
        writers[i] = (struct crowd_writer){.store = &store, .number = i};
        assert_int_equal(base_thread_start(&writers[i].thread, "writer", write_many, &writers[i]),
                         0);
    }
    for (unsigned i = 0; i < 200; i++) {
        atomic_store(&counted.set, true);
        assert_int_equal(weir_engine_after_write(store.engine, count_call, &counted), 0);
        base_yield();
        assert_int_equal(weir_engine_after_write(store.engine, NULL, NULL), 0);
        atomic_store(&counted.set, false);
    }
    unsigned failed = 0;
    for (unsigned i = 0; i < CROWD; i++) {
        base_thread_join(&writers[i].thread);
        failed += writers[i].failed;
    }
    assert_int_equal(failed, 0);
    assert_int_equal(counted.late, 0);
    store_close(&store);
}

/* ---- who may not write ---- */

static void expect_refused(struct store *store)
{
    weir_lsn before = weir_durable_lsn(store->log);
    struct weir_part part = {"x", 1};
    const struct weir_entry entry = {.parts = &part, .part_count = 1};
    const struct weir_write write = {.kind = WEIR_PUT, .key = text("a"), .value = text("b")};
    static const enum weir_durability durabilities[] = {WEIR_EACH, WEIR_GROUP, WEIR_NONE};
    for (size_t i = 0; i < 3; i++) {
        enum weir_durability how = durabilities[i];
        assert_int_equal(weir_append(store->log, &entry, how, NULL), -EDEADLK);
        assert_int_equal(weir_append_batch(store->log, &entry, 1, how, NULL), -EDEADLK);
        assert_int_equal(weir_put(store->engine, 0, text("a"), text("b"), how, NULL), -EDEADLK);
        assert_int_equal(weir_delete(store->engine, 0, text("old"), how, NULL), -EDEADLK);
        assert_int_equal(weir_engine_write(store->engine, &write, how, NULL), -EDEADLK);
        assert_int_equal(weir_engine_write_batch(store->engine, &write, 1, how, NULL), -EDEADLK);
    }
    struct weir_reservation reservation;
    assert_int_equal(weir_reserve(store->log, 1, 10, &reservation), -EDEADLK);
    weir_table table;
    assert_int_equal(weir_table_open(store->engine, "new", true, &table), -EDEADLK);
    assert_int_equal(weir_commit(store->log), 0);
    assert_int_equal(weir_durable_lsn(store->log), before);
    expect(store, "a", NULL, 0);
}

static void from_inside_a_callback_nothing_is_appended_to_the_log_that_feeds_it(void **state)
{
    (void)state;
    struct store store = {0}, other = {0};
    store_open(&store);
    store_open(&other);
    put(&store, "old", "1");
    put(&other, "old", "1");
    settle(&store);
    settle(&other);
    assert_int_equal(weir_log_callback_begin(NULL), -EINVAL);
    assert_int_equal(weir_log_callback_begin(store.log), 0);
    expect_refused(&store);
    put(&other, "x", "1"); /* another log is another matter */
    assert_int_equal(weir_log_callback_begin(other.log), 0);
    assert_int_equal(weir_log_callback_begin(store.log), 0);
    assert_int_equal(weir_delete(other.engine, 0, text("x"), WEIR_NONE, NULL), -EDEADLK);
    weir_log_callback_end(store.log);
    expect_refused(&store);
    assert_int_equal(weir_log_close(store.log), -EBUSY);
    weir_log_callback_end(store.log);
    weir_lsn lsn = put(&store, "a", "1");
    expect(&store, "a", "1", lsn);
    weir_log_callback_end(other.log);
    put(&other, "y", "1");
    store_close(&store);
    store_close(&other);
}

static void another_thread_may_write_while_one_is_inside_a_callback(void **state)
{
    (void)state;
    struct store store = {0};
    store_open(&store);
    struct worker writer = {.store = &store};
    assert_int_equal(weir_log_callback_begin(store.log), 0);
    assert_int_equal(base_thread_start(&writer.thread, "writer", write_one, &writer), 0);
    base_thread_join(&writer.thread);
    assert_int_equal(writer.rc, 0);
    weir_log_callback_end(store.log);
    store_close(&store);
}

static void cd_09_a_write_from_within_the_writers_own_callback_is_refused(void **state)
{
    (void)state;
    struct store store = {0};
    store_open(&store);
    struct heard heard = {.store = &store, .writes = true, .guarded = true};
    assert_int_equal(weir_engine_after_write(store.engine, hear, &heard), 0);
    assert_int_equal(weir_put(store.engine, 0, text("a"), text("1"), WEIR_EACH, NULL), 0);
    assert_int_equal(heard.written, -EDEADLK);
    assert_int_equal(heard.calls, 1);
    expect(&store, "inner", NULL, 0);
    store_close(&store);
}

static void callbacks_of_sixteen_logs_may_be_nested(void **state)
{
    (void)state;
    struct store stores[17] = {0};
    for (size_t i = 0; i < 17; i++) {
        store_open(&stores[i]);
    }
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(weir_log_callback_begin(stores[i].log), 0);
    }
    assert_int_equal(weir_log_callback_begin(stores[16].log), -EBUSY);
    put(&stores[16], "a", "1");
    weir_log_callback_end(stores[3].log);
    assert_int_equal(weir_log_callback_begin(stores[16].log), 0);
    put(&stores[3], "a", "1");
    expect_refused(&stores[7]);
    weir_log_callback_end(stores[16].log);
    for (size_t i = 0; i < 16; i++) {
        if (i != 3) {
            weir_log_callback_end(stores[i].log);
        }
    }
    for (size_t i = 0; i < 17; i++) {
        store_close(&stores[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_09_a_writer_tells_before_it_returns_once_its_record_is_durable),
        cmocka_unit_test(nothing_is_told_of_writes_that_do_not_wait_or_that_are_refused),
        cmocka_unit_test(there_is_one_function_and_it_can_be_taken_away_and_set_again),
        cmocka_unit_test(taking_it_away_waits_for_the_calls_that_are_running),
        cmocka_unit_test(it_may_come_and_go_while_many_write),
        cmocka_unit_test(from_inside_a_callback_nothing_is_appended_to_the_log_that_feeds_it),
        cmocka_unit_test(another_thread_may_write_while_one_is_inside_a_callback),
        cmocka_unit_test(cd_09_a_write_from_within_the_writers_own_callback_is_refused),
        cmocka_unit_test(callbacks_of_sixteen_logs_may_be_nested),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
