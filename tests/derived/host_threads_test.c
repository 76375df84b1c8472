/*
 * The host among threads: background, push, waiting, reading, attaching and detaching beside
 * writers. What threads see is recorded, and asserted by the test's own.
 */
#include "tests/derived/scene_test.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/thread.h"
#include "derived/host.h"

#include <errno.h>
#include <stdio.h>

#include <weir/rows.h>

#define WRITERS 4u
#define STEPS 1000u
#define KEYS 20u
#define FOREVER WEIR_WAIT_FOREVER

/* ---- writers ---- */

struct writer {
    struct base_thread thread;
    uint64_t seed;
    unsigned steps;
    enum weir_durability durability;
    /* Looks after each write whether these have it. */
    struct ledger *ledgers[2];
    const char *names[2];
    _Atomic uint64_t wrong;
    _Atomic uint64_t errors;
};

static weir_lsn write_one(struct writer *writer, struct base_prng *prng)
{
    char key[20], value[40];
    weir_lsn lsn = 0;
    (void)snprintf(key, sizeof key, "key%u", (unsigned)base_prng_below(prng, KEYS));
    (void)snprintf(value, sizeof value, "%u", (unsigned)base_prng_below(prng, 1000000));
    int rc;
    switch (base_prng_below(prng, 8)) {
    case 0:
        rc = weir_delete(scene.store.engine, 0, text(key), writer->durability, &lsn);
        rc = rc == -ENOENT ? 0 : rc;
        break;
    case 1: {
        struct weir_write pair[] = {
            {.kind = WEIR_PUT, .key = text("left"), .value = text(value)},
            {.kind = WEIR_PUT, .key = text("right"), .value = text(value)},
        };
        rc = weir_engine_write_batch(scene.store.engine, pair, 2, writer->durability, &lsn);
        lsn += rc == 0;
        break;
    }
    default:
        rc = weir_put(scene.store.engine, 0, text(key), text(value), writer->durability, &lsn);
        break;
    }
    atomic_fetch_add(&writer->errors, rc < 0);
    return rc == 0 ? lsn : 0;
}

static void write_on(void *context)
{
    struct writer *writer = context;
    struct base_prng prng;
    base_prng_seed(&prng, writer->seed);
    for (unsigned i = 0; i < writer->steps; i++) {
        weir_lsn lsn = write_one(writer, &prng);
        for (int j = 0; j < 2 && lsn > 0; j++) {
            weir_lsn position = 0;
            if (writer->names[j] != NULL) {
                int rc = weir_host_read_begin(scene.host, writer->names[j], &position);
                bool fine = rc == 0 && position >= lsn && writer->ledgers[j]->last <= position;
                fine = fine && position <= weir_durable_lsn(scene.store.log);
                if (rc == 0) {
                    weir_host_read_end(scene.host, writer->names[j]);
                }
                atomic_fetch_add(&writer->wrong, !fine);
            }
        }
    }
}

static void start_writers(struct writer *writers, unsigned count, const struct writer *like)
{
    for (unsigned i = 0; i < count; i++) {
        writers[i] = *like;
        writers[i].seed = 100 + i;
        assert_int_equal(base_thread_start(&writers[i].thread, "writer", write_on, &writers[i]), 0);
    }
}

static void join_writers(struct writer *writers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        base_thread_join(&writers[i].thread);
        assert_int_equal(writers[i].wrong, 0);
        assert_int_equal(writers[i].errors, 0);
    }
}

static void expect_equal(struct ledger *one, struct ledger *other)
{
    uint8_t prints[2][16];
    ledger_ops.fingerprint(one, prints[0]);
    ledger_ops.fingerprint(other, prints[1]);
    assert_memory_equal(prints[0], prints[1], 16);
    assert_int_equal(one->wrong, 0);
    assert_int_equal(other->wrong, 0);
}

/* ---- push ---- */

static void cd_09_with_push_a_write_returns_when_every_system_has_it(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    struct writer writers[WRITERS], like = {.steps = STEPS,
                                            .durability = WEIR_EACH,
                                            .ledgers = {&one, &other},
                                            .names = {"one", "other"}};
    put(&scene.store, "before", "1"); /* delivered when push is turned on */
    settle(&scene.store);
    scene_attach(&scene, "one", &one);
    scene_attach(&scene, "other", &other);
    assert_int_equal(weir_host_push(scene.host, true), 0);
    assert_int_equal(one.events, 1);
    assert_int_equal(weir_host_start(scene.host), -EBUSY);
    start_writers(writers, WRITERS, &like);
    join_writers(writers, WRITERS);
    assert_int_equal(weir_host_push(scene.host, false), 0);
    expect_equal(&one, &other);
    expect_verified(&scene, "one");
    uint64_t events = one.events;
    assert_int_equal(weir_put(scene.store.engine, 0, text("after"), text("1"), WEIR_EACH, NULL), 0);
    assert_int_equal(one.events, events);
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

static void cd_09_with_push_a_callback_that_fails_parks_and_the_write_succeeds(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"}, good = {0};
    struct weir_read read;
    struct weir_row row;
    scene_attach(&scene, "bad", &bad);
    scene_attach(&scene, "good", &good);
    assert_int_equal(weir_host_push(scene.host, true), 0);
    assert_int_equal(weir_put(scene.store.engine, 0, text("poison"), text("1"), WEIR_EACH, NULL),
                     0);
    assert_int_equal(weir_read_begin(scene.store.engine, NULL, &read), 0);
    assert_int_equal(weir_get(&read, 0, text("poison"), &row), 1);
    weir_read_end(&read);
    assert_int_equal(scene_status(&scene, "bad").parked, -EIO);
    expect_ledger(&good, "poison=1");
    assert_int_equal(weir_put(scene.store.engine, 0, text("a"), text("1"), WEIR_EACH, NULL), 0);
    expect_ledger(&good, "a=1 poison=1");
    bad.refuse = NULL;
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0); /* with push it catches up */
    expect_ledger(&bad, "a=1 poison=1");
    scene_free(&scene, &bad);
    scene_free(&scene, &good);
}

static void with_push_neither_apply_nor_a_reader_may_write(void **state)
{
    (void)state;
    struct ledger ledger = {.writes_to = scene.store.engine, .calls = scene.host};
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(weir_host_push(scene.host, true), 0);
    assert_int_equal(weir_put(scene.store.engine, 0, text("a"), text("1"), WEIR_EACH, NULL), 0);
    assert_int_equal(ledger.write_rc, -EDEADLK);
    assert_int_equal(ledger.call_rc, -EDEADLK);
    ledger.writes_to = NULL;
    ledger.calls = NULL;
    assert_int_equal(weir_host_read_begin(scene.host, "ledger", NULL), 0);
    assert_int_equal(weir_put(scene.store.engine, 0, text("b"), text("1"), WEIR_EACH, NULL),
                     -EDEADLK);
    weir_host_read_end(scene.host, "ledger");
    assert_int_equal(weir_put(scene.store.engine, 0, text("b"), text("1"), WEIR_EACH, NULL), 0);
    expect_ledger(&ledger, "a=1 b=1");
    scene_free(&scene, &ledger);
}

static void turn_push_on(void *context)
{
    int *rc = context;
    *rc = weir_host_push(scene.host, true);
}

static void a_reader_that_writes_after_push_was_turned_on_does_not_wait_for_itself(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct base_thread thread;
    int rc = -1;
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(weir_host_read_begin(scene.host, "ledger", NULL), 0);
    assert_int_equal(base_thread_start(&thread, "push", turn_push_on, &rc), 0);
    base_thread_join(&thread);
    assert_int_equal(rc, 0);
    assert_int_equal(weir_put(scene.store.engine, 0, text("a"), text("1"), WEIR_EACH, NULL), 0);
    expect_ledger(&ledger, ""); /* it was kept still */
    weir_host_read_end(scene.host, "ledger");
    assert_int_equal(weir_put(scene.store.engine, 0, text("b"), text("1"), WEIR_EACH, NULL), 0);
    expect_ledger(&ledger, "a=1 b=1");
    scene_free(&scene, &ledger);
}

static void a_reader_of_two_hosts_is_told_of_both_that_it_would_wait_for_itself(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    struct weir_host *second;
    struct weir_system system = WEIR_SYSTEM_INIT;
    assert_int_equal(weir_host_open(scene.store.engine, NULL, &second), 0);
    system.name = "other";
    system.ops = &ledger_ops;
    system.self = &other;
    assert_int_equal(weir_host_attach(second, &system, NULL), 0);
    scene_attach(&scene, "one", &one);
    assert_int_equal(weir_host_read_begin(scene.host, "one", NULL), 0);
    assert_int_equal(weir_host_read_begin(second, "other", NULL), 0);
    assert_int_equal(weir_host_flush(scene.host, NULL, 0), -EDEADLK);
    assert_int_equal(weir_host_flush(second, NULL, 0), -EDEADLK);
    weir_host_read_end(second, "other");
    assert_int_equal(weir_host_flush(second, NULL, 0), 1);
    assert_int_equal(weir_host_flush(scene.host, NULL, 0), -EDEADLK);
    weir_host_read_end(scene.host, "one");
    assert_int_equal(weir_host_flush(scene.host, NULL, 0), 1);
    assert_int_equal(weir_host_close(second), 0);
    ledger_free(&other);
    scene_free(&scene, &one);
}

struct rebuild {
    struct base_thread thread;
    bool started;
    int rc;
};

static void rebuild_one(void *context)
{
    struct rebuild *rebuild = context;
    rebuild->rc = weir_host_rebuild(scene.host, "one", NULL, NULL, NULL, NULL);
}

/* On the thread that attaches, in the middle of its first batch. */
static void rebuild_meanwhile(void *context, const struct weir_event *event)
{
    struct rebuild *rebuild = context;
    (void)event;
    if (!rebuild->started) {
        int rc = base_thread_start(&rebuild->thread, "rebuild", rebuild_one, rebuild);
        rebuild->started = rc == 0;
        if (rc == 0) {
            base_thread_join(&rebuild->thread);
        }
    }
}

static void with_push_one_that_is_being_attached_is_not_rebuilt_beside(void **state)
{
    (void)state;
    struct rebuild rebuild = {0};
    struct ledger one = {.on_event = rebuild_meanwhile, .context = &rebuild};
    put(&scene.store, "a", "1");
    put(&scene.store, "b", "2");
    settle(&scene.store);
    assert_int_equal(weir_host_push(scene.host, true), 0);
    scene_attach(&scene, "one", &one);
    assert_true(rebuild.started);
    assert_int_equal(rebuild.rc, -EBUSY);
    expect_ledger(&one, "a=1 b=2");
    assert_int_equal(weir_host_rebuild(scene.host, "one", NULL, NULL, NULL, NULL), 0);
    scene_free(&scene, &one);
}

static void only_one_host_of_an_engine_pushes(void **state)
{
    (void)state;
    struct weir_host *second;
    assert_int_equal(weir_host_open(scene.store.engine, NULL, &second), 0);
    assert_int_equal(weir_host_push(scene.host, true), 0);
    assert_int_equal(weir_host_push(scene.host, true), 0);
    assert_int_equal(weir_host_push(second, true), -EBUSY);
    assert_int_equal(weir_host_close(scene.host), 0);
    assert_int_equal(weir_host_push(second, true), 0);
    scene.host = second;
}

/* ---- background ---- */

static void cd_09_background_delivers_by_itself_and_wait_says_when(void **state)
{
    (void)state;
    struct ledger one = {0}, other = {0};
    struct writer writers[WRITERS], like = {.steps = STEPS, .durability = WEIR_NONE};
    scene_attach(&scene, "one", &one);
    assert_int_equal(weir_host_start(scene.host), 0);
    assert_int_equal(weir_host_start(scene.host), -EALREADY);
    assert_int_equal(weir_host_push(scene.host, true), -EBUSY);
    start_writers(writers, WRITERS, &like);
    scene_attach(&scene, "other", &other);
    join_writers(writers, WRITERS);
    settle(&scene.store);
    weir_lsn last = weir_durable_lsn(scene.store.log);
    assert_int_equal(weir_host_wait(scene.host, "one", last, FOREVER, NULL), 0);
    assert_int_equal(weir_host_wait(scene.host, "other", last, FOREVER, NULL), 0);
    assert_int_equal(weir_host_wait(scene.host, "one", last + 1, 1000000, NULL), WEIR_E_BEHIND);
    assert_int_equal(weir_host_stop(scene.host), 0);
    assert_int_equal(weir_host_stop(scene.host), 0);
    expect_equal(&one, &other);
    expect_verified(&scene, "one");
    expect_verified(&scene, "other");
    put(&scene.store, "a", "1");
    settle(&scene.store);
    assert_int_equal(weir_host_wait(scene.host, "one", last + 1, 0, NULL), 0); /* by itself */
    scene_free(&scene, &one);
    scene_free(&scene, &other);
}

static void in_the_background_nobody_sleeps_until_an_lsn_that_another_one_waits_for(void **state)
{
    (void)state;
    struct ledger one = {0}, late = {.partial = true};
    _Atomic uint32_t nothing = 0;
    put(&scene.store, "a", "1");
    settle(&scene.store);
    scene_attach(&scene, "one", &one);
    assert_int_equal(scene_try_attach(&scene, "late", &late, WEIR_START_BEHIND, 1000), 0);
    assert_int_equal(weir_host_start(scene.host), 0);
    assert_int_equal(weir_host_wait(scene.host, "one", 1, FOREVER, NULL), 0);
    base_wait(&nothing, 0, INT64_C(100000000), false); /* it sleeps by now */
    put(&scene.store, "b", "2");
    settle(&scene.store);
    assert_int_equal(
        weir_host_wait(scene.host, "one", 2, INT64_C(5) * (int64_t)BASE_NS_PER_S, NULL), 0);
    assert_int_equal(weir_host_stop(scene.host), 0);
    scene_free(&scene, &one);
    scene_free(&scene, &late);
}

static void cd_09_all_three_deliveries_make_the_same_state(void **state)
{
    (void)state;
    struct ledger ledgers[3] = {0};
    static const char *const names[] = {"pull", "background", "push"};
    struct weir_host *hosts[3];
    struct writer writers[WRITERS], like = {.steps = STEPS, .durability = WEIR_EACH};
    for (int i = 0; i < 3; i++) {
        struct weir_system system = WEIR_SYSTEM_INIT;
        system.name = names[i];
        system.ops = &ledger_ops;
        system.self = &ledgers[i];
        assert_int_equal(weir_host_open(scene.store.engine, NULL, &hosts[i]), 0);
        assert_int_equal(weir_host_attach(hosts[i], &system, NULL), 0);
    }
    assert_int_equal(weir_host_start(hosts[1]), 0);
    assert_int_equal(weir_host_push(hosts[2], true), 0);
    start_writers(writers, WRITERS, &like);
    join_writers(writers, WRITERS);
    weir_lsn last = weir_durable_lsn(scene.store.log);
    assert_int_equal(ledgers[0].events, 0);
    assert_int_equal(weir_host_flush(hosts[0], NULL, 0), 1);
    assert_int_equal(weir_host_wait(hosts[1], "background", last, FOREVER, NULL), 0);
    assert_int_equal(weir_host_wait(hosts[2], "push", last, 0, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(weir_host_close(hosts[i]), 0);
        assert_int_equal(ledgers[i].events, ledgers[0].events);
    }
    expect_equal(&ledgers[0], &ledgers[1]);
    expect_equal(&ledgers[0], &ledgers[2]);
    for (int i = 0; i < 3; i++) {
        ledger_free(&ledgers[i]);
    }
}

/* ---- coming and going ---- */

static void cd_06_attached_beside_writers_a_record_is_seen_exactly_once(void **state)
{
    (void)state;
    static struct ledger ledgers[12];
    struct writer writers[WRITERS], like = {.steps = 2 * STEPS, .durability = WEIR_GROUP};
    memset(ledgers, 0, sizeof ledgers);
    for (unsigned i = 0; i < KEYS; i++) {
        put(&scene.store, "before", "x");
    }
    settle(&scene.store);
    assert_int_equal(weir_host_start(scene.host), 0);
    start_writers(writers, WRITERS, &like);
    for (unsigned i = 0; i < 12; i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "s%u", i);
        enum weir_start start = i % 3 == 0 ? WEIR_START_BEGINNING : WEIR_START_SNAPSHOT;
        assert_int_equal(scene_try_attach(&scene, name, &ledgers[i], start, 0), 0);
        assert_int_equal(weir_host_wait(scene.host, name, 1, FOREVER, NULL), 0);
        if (i % 4 == 1) { /* goes, with what it has, and comes again */
            assert_int_equal(weir_host_detach(scene.host, name), 0);
            assert_int_equal(scene_try_attach(&scene, name, &ledgers[i], start, 0), 0);
        }
        if (i % 4 == 2) {
            assert_int_equal(weir_host_rebuild(scene.host, name, NULL, NULL, NULL, NULL), 0);
        }
    }
    join_writers(writers, WRITERS);
    settle(&scene.store);
    weir_lsn last = weir_durable_lsn(scene.store.log);
    for (unsigned i = 0; i < 12; i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "s%u", i);
        assert_int_equal(weir_host_wait(scene.host, name, last, FOREVER, NULL), 0);
        expect_verified(&scene, name);
        expect_equal(&ledgers[0], &ledgers[i]);
    }
    scene_close_host(&scene);
    scene_open_host(&scene);
    for (unsigned i = 0; i < 12; i++) {
        ledger_free(&ledgers[i]);
    }
}

struct reader {
    struct base_thread thread;
    struct ledger *ledger;
    _Atomic bool *stop;
    _Atomic uint64_t reads, wrong;
};

static bool same_value(const struct ledger *ledger)
{
    const struct ledger_row *left = ledger_find(ledger, 0, text("left"));
    const struct ledger_row *right = ledger_find(ledger, 0, text("right"));
    if (left == NULL || right == NULL) {
        return left == right;
    }
    return left->value_size == right->value_size &&
           memcmp(left->bytes + left->key_size, right->bytes + right->key_size, left->value_size) ==
               0;
}

static int find_all(void *context, weir_rows_add_fn add, void *add_context)
{
    struct ledger *ledger = context;
    int rc = 0;
    for (size_t i = 0; i < ledger->count && rc == 0; i++) {
        const struct ledger_row *row = &ledger->rows[i];
        rc = add(add_context, row->table, (struct weir_bytes){row->bytes, row->key_size},
                 (double)row->lsn);
    }
    return rc;
}

static void read_on(void *context)
{
    struct reader *reader = context;
    while (!atomic_load(reader->stop)) {
        struct weir_rows *rows;
        struct weir_row row;
        weir_lsn position;
        int rc = weir_host_read_begin(scene.host, "ledger", &position);
        if (rc == 0) {
            atomic_fetch_add(&reader->wrong, !same_value(reader->ledger));
            atomic_fetch_add(&reader->wrong, reader->ledger->last > position);
            weir_host_read_end(scene.host, "ledger");
        }
        rc = rc < 0 ? rc : weir_rows_open(scene.host, "ledger", find_all, reader->ledger, &rows);
        if (rc == 0) {
            while ((rc = weir_rows_next(rows, &row)) == 1) {
                atomic_fetch_add(&reader->wrong, (double)row.lsn != weir_rows_score(rows));
            }
            weir_rows_close(rows);
        }
        atomic_fetch_add(&reader->wrong, rc < 0);
        atomic_fetch_add(&reader->reads, 1);
    }
}

static void ds_11_readers_see_whole_writes_and_the_rows_of_that_moment(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct writer writers[WRITERS], like = {.steps = STEPS, .durability = WEIR_GROUP};
    struct reader readers[2];
    _Atomic bool stop = false;
    scene_attach(&scene, "ledger", &ledger);
    assert_int_equal(weir_host_start(scene.host), 0);
    for (int i = 0; i < 2; i++) {
        readers[i] = (struct reader){.ledger = &ledger, .stop = &stop};
        assert_int_equal(base_thread_start(&readers[i].thread, "reader", read_on, &readers[i]), 0);
    }
    start_writers(writers, WRITERS, &like);
    join_writers(writers, WRITERS);
    settle(&scene.store);
    assert_int_equal(
        weir_host_wait(scene.host, "ledger", weir_durable_lsn(scene.store.log), FOREVER, NULL), 0);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        base_thread_join(&readers[i].thread);
        assert_int_equal(readers[i].wrong, 0);
        assert_true(readers[i].reads > 0);
    }
    expect_verified(&scene, "ledger");
    scene_free(&scene, &ledger);
}

/* ---- detached while others use it ---- */

struct waiter {
    struct base_thread thread;
    _Atomic int rc;
};

static void wait_on(void *context)
{
    struct waiter *waiter = context;
    atomic_store(&waiter->rc, weir_host_wait(scene.host, "ledger", 1000000, FOREVER, NULL));
}

static void whoever_waits_for_a_system_is_told_when_it_is_detached(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct waiter waiter = {.rc = 1};
    _Atomic uint32_t never = 0;
    for (int i = 0; i < 2; i++) { /* one that somebody else delivers to; and one that nobody does */
        scene_attach(&scene, "ledger", &ledger);
        assert_int_equal(i == 0 ? weir_host_start(scene.host) : weir_host_stop(scene.host), 0);
        assert_int_equal(base_thread_start(&waiter.thread, "waiter", wait_on, &waiter), 0);
        while (atomic_load(&scene.host->waiters) == 0) {
            base_wait(&never, 0, 1000000, false);
        }
        assert_int_equal(weir_host_detach(scene.host, "ledger"), 0);
        base_thread_join(&waiter.thread);
        assert_int_equal(waiter.rc, WEIR_E_NO_SYSTEM);
    }
    scene_free(&scene, &ledger);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(cd_09_with_push_a_write_returns_when_every_system_has_it),
        scene_test(cd_09_with_push_a_callback_that_fails_parks_and_the_write_succeeds),
        scene_test(with_push_neither_apply_nor_a_reader_may_write),
        scene_test(a_reader_that_writes_after_push_was_turned_on_does_not_wait_for_itself),
        scene_test(a_reader_of_two_hosts_is_told_of_both_that_it_would_wait_for_itself),
        scene_test(with_push_one_that_is_being_attached_is_not_rebuilt_beside),
        scene_test(only_one_host_of_an_engine_pushes),
        scene_test(cd_09_background_delivers_by_itself_and_wait_says_when),
        scene_test(in_the_background_nobody_sleeps_until_an_lsn_that_another_one_waits_for),
        scene_test(cd_09_all_three_deliveries_make_the_same_state),
        scene_test(cd_06_attached_beside_writers_a_record_is_seen_exactly_once),
        scene_test(ds_11_readers_see_whole_writes_and_the_rows_of_that_moment),
        scene_test(whoever_waits_for_a_system_is_told_when_it_is_detached),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
