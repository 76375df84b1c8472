/*
 * Replaying a rest by several threads: what they come to is what one comes to, and of what is wrong
 * the first in the log is reported, whoever met it when.
 */
#include "store.h"

#include "base/random.h"
#include "base/system.h"
#include "engine/engine.h"
#include "wal/format.h"

#include <errno.h>
#include <stdio.h>

#define KEYS 3000
#define SEGMENTS_FULL 6u /* of old keys, at least */
#define FILLERS 3000     /* records, so that there are several shares */
#define LONG_REST 200000 /* records, that are rebuilt */

static void put_some(struct store *store, weir_table table, int step)
{
    char key[24];
    for (int i = 0; i < KEYS; i += step) {
        snprintf(key, sizeof key, "key%d", i);
        if (i % 7 == 3 && table == WEIR_TABLE_DEFAULT) {
            (void)weir_delete(store->engine, table, text(key), WEIR_NONE, NULL);
        } else {
            put_in(store, table, key, i % 2 == 0 ? "even" : "odd");
        }
    }
}

static weir_table make_table(struct store *store, const char *name)
{
    weir_table table;
    assert_int_equal(weir_table_open(store->engine, name, true, &table), 0);
    return table;
}

/* ---- threads ---- */

static int started;

/* Lets the thread run to its end before its starter goes on. */
static int run_at_once(void *context, struct base_thread *thread, const char *name,
                       base_thread_main main, void *main_context)
{
    (void)context, (void)thread;
    started += strcmp(name, "weir-replay") == 0;
    main(main_context);
    return 0;
}

static int refuse(void *context, struct base_thread *thread, const char *name,
                  base_thread_main main, void *main_context)
{
    (void)context, (void)thread, (void)main, (void)main_context;
    started += strcmp(name, "weir-replay") == 0;
    return -EAGAIN;
}

static void join_nothing(void *context, struct base_thread *thread)
{
    (void)context, (void)thread;
}

static const struct base_system at_once = {.thread_start = run_at_once,
                                           .thread_join = join_nothing};
static const struct base_system none = {.thread_start = refuse, .thread_join = join_nothing};

/* ---- what they come to ---- */

/* Changes of old keys and of new ones, in an old table and in one that is made among them. */
static void write_rest(struct store *store)
{
    put_some(store, WEIR_TABLE_DEFAULT, 1);
    put_some(store, make_table(store, "old"), 5);
    store_checkpoint(store);
    put_some(store, WEIR_TABLE_DEFAULT, 2);
    weir_table young = make_table(store, "young");
    put_some(store, young, 1);
    put_some(store, WEIR_TABLE_DEFAULT, 3);
    put_some(store, make_table(store, "old"), 4);
    settle(store);
}

static void se_09_shares_of_a_rest_come_to_what_one_thread_comes_to(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 3, 8};
    struct store store;
    store_open(&store);
    write_rest(&store);
    struct fingerprint fingerprint = fingerprint_of(&store, 0);
    struct weir_engine_open_report first = {0};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        store.engine_options.threads = threads[i];
        store_reopen(&store);
        struct weir_engine_open_report report = store_report(&store);
        assert_true(report.from_checkpoint);
        first = i == 0 ? report : first;
        assert_int_equal(report.replayed_records, first.replayed_records);
        assert_int_equal(report.replayed_bytes, first.replayed_bytes);
        assert_int_equal(report.keys, first.keys);
        assert_int_equal(report.deleted_keys, first.deleted_keys);
        assert_int_equal(report.applied, first.applied);
        expect_fingerprint(&store, 0, &fingerprint);
    }
    put(&store, "key7", "new"); /* it links to the version before, and is found */
    expect(&store, "key7", "new", 0);
    store_close(&store);
}

static void threads_are_started_for_a_long_rest_alone_and_done_without(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    write_rest(&store);
    struct fingerprint fingerprint = fingerprint_of(&store, 0);
    store.engine_options.threads = 4;
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(weir_engine_close(store.engine), 0);
        started = 0;
        base_system_set(turn == 0 ? &at_once : &none);
        int rc = weir_engine_open(store.log, &store.engine_options, &store.engine, NULL);
        base_system_set(NULL);
        assert_int_equal(rc, 0);
        assert_int_equal(started, turn == 0 ? 3 : 1); /* the first that cannot be had is enough */
        expect_fingerprint(&store, 0, &fingerprint);
    }
    store_checkpoint(&store);
    put_some(&store, WEIR_TABLE_DEFAULT, 3); /* 1000 records */
    settle(&store);
    assert_int_equal(weir_engine_close(store.engine), 0);
    started = 0;
    base_system_set(&at_once);
    int rc = weir_engine_open(store.log, &store.engine_options, &store.engine, NULL);
    base_system_set(NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(started, 0);
    store_close(&store);
}

/* ---- what there is little of ---- */

/* The rest is replayed again, and makes no checkpoint due. */
static void reopen_with(struct store *store, uint32_t threads,
                        const struct fingerprint *fingerprint)
{
    store->engine_options.threads = threads;
    store->engine_options.checkpoint_bytes = UINT64_MAX;
    store_reopen(store);
    expect_fingerprint(store, 0, fingerprint);
}

/* What one thread has room for, each of several does not: it keeps memory to itself. */
static void se_03_an_index_that_is_full_opens_with_any_number_of_threads(void **state)
{
    (void)state;
    static const uint64_t limits[] = {(uint64_t)256 << 10, (uint64_t)1 << 20, (uint64_t)4 << 20};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct store store;
        char key[24];
        store_open_with(&store, STORE_SEGMENT, limits[i]);
        for (uint32_t number = 0, rc = 0; rc == 0; number++) {
            if (number == 1000) {
                store_checkpoint(&store);
            }
            snprintf(key, sizeof key, "%08x", number * 2654435761u);
            rc = weir_put(store.engine, WEIR_TABLE_DEFAULT, text(key), text("v"), WEIR_NONE,
                          NULL) != 0;
        }
        settle(&store);
        struct fingerprint fingerprint = fingerprint_of(&store, 0);
        for (uint32_t threads = 1; threads <= 8; threads *= 2) {
            reopen_with(&store, threads, &fingerprint);
            assert_true(store_report(&store).from_checkpoint);
        }
        store_close(&store);
    }
}

/* So many behind a checkpoint are rebuilt, by threads that keep memory to themselves, too. */
static void se_03_an_index_that_is_full_opens_with_a_long_rest(void **state)
{
    (void)state;
    struct store store;
    struct base_prng prng;
    uint64_t key = 0;
    base_prng_seed(&prng, 26);
    store_open_with(&store, (uint64_t)4 << 20, (uint64_t)8 << 20);
    for (int rc = 0; rc == 0;) {
        uint64_t bytes = base_prng_next(&prng);
        rc = weir_put(store.engine, WEIR_TABLE_DEFAULT, (struct weir_bytes){&bytes, sizeof bytes},
                      text("v"), WEIR_NONE, NULL);
        assert_true(rc == 0 || rc == WEIR_E_INDEX_FULL);
        if (++key == 100000) {
            store_checkpoint(&store);
        }
    }
    settle(&store);
    struct fingerprint fingerprint = fingerprint_of(&store, 0);
    for (uint32_t threads = 1; threads <= 8; threads *= 2) {
        reopen_with(&store, threads, &fingerprint);
        struct weir_engine_open_report report = store_report(&store);
        assert_true(report.replayed_records > LONG_REST);
        assert_true(report.from_checkpoint || strstr(report.reason, "did not fit") != NULL);
    }
    assert_false(store_report(&store).from_checkpoint); /* of eight threads, it did not fit */
    store_close(&store);
}

struct opens {
    uint64_t below; /* ordinals */
    unsigned of[64];
};

static int count_opens(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    struct opens *opens = context;
    uint64_t ordinal;
    (void)offset, (void)size;
    if (strcmp(call, "open") == 0 && format_segment_ordinal(name, &ordinal) &&
        ordinal < opens->below && ordinal < 64) {
        opens->of[ordinal]++;
    }
    return 0;
}

/* A store whose rest holds new keys, each of which parts from one of an old segment: either where
 * that one ends, or at the byte that its leaf knows. */
static void open_with_new_keys(struct store *store, bool leaves_know)
{
    char key[24], value[600];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    store_open(store);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key%04d%s", i, leaves_know ? "0" : "");
        put(store, key, value);
    }
    settle(store);
    store_checkpoint(store);
    for (int i = 0; i < 2 * KEYS; i++) {
        int number = i * 7919 % (2 * KEYS); /* in no order */
        snprintf(key, sizeof key, "key%04d%c", number / 2, "!?"[number % 2]);
        put(store, key, "new");
    }
    settle(store);
}

static void open_with_parting_keys(struct store *store)
{
    open_with_new_keys(store, false);
}

/* Records from which new keys part are read from files that all threads share. */
static void threads_open_the_segment_of_an_old_record_once_for_all(void **state)
{
    (void)state;
    struct store store;
    unsigned most[2] = {0, 0};
    open_with_parting_keys(&store);
    for (uint32_t turn = 0; turn < 2; turn++) {
        struct opens opens = {.below = SEGMENTS_FULL};
        store.engine_options.threads = turn == 0 ? 1 : 4;
        store_stop(&store);
        store.disk.faults = (struct sim_memory_faults){count_opens, &opens};
        base_system_set(&at_once);
        store_start(&store);
        base_system_set(NULL);
        store.disk.faults = (struct sim_memory_faults){0};
        for (size_t i = 0; i < 64; i++) {
            most[turn] += opens.of[i];
        }
    }
    assert_true(most[0] >= SEGMENTS_FULL - 1);
    assert_true(most[1] < 2 * most[0]); /* some are mapped besides, by one or by the other */
    store_close(&store);
}

/* The context: what was read or mapped of old segments, their headers aside. */
static int count_looks(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    _Atomic unsigned *looks = context;
    uint64_t ordinal;
    (void)size;
    bool looks_in = strcmp(call, "map") == 0 || (strcmp(call, "read") == 0 && offset > 0);
    if (looks_in && format_segment_ordinal(name, &ordinal) && ordinal < SEGMENTS_FULL) {
        atomic_fetch_add(looks, 1);
    }
    return 0;
}

static void where_leaves_tell_new_keys_from_their_own_no_record_is_read(void **state)
{
    (void)state;
    for (int know = 0; know < 2; know++) {
        struct store store;
        _Atomic unsigned looks = 0;
        open_with_new_keys(&store, know == 1);
        struct fingerprint fingerprint = fingerprint_of(&store, 0);
        store_stop(&store);
        store.disk.faults = (struct sim_memory_faults){count_looks, &looks};
        store_start(&store);
        store.disk.faults = (struct sim_memory_faults){0};
        assert_int_equal(store_report(&store).replayed_records, 2 * KEYS);
        assert_int_equal(looks == 0, know);
        expect_fingerprint(&store, 0, &fingerprint);
        store_close(&store);
    }
}

/* ---- where records have to be read ---- */

static int answer; /* of read_begin(): 1, it was at hand */
static const struct weir_medium_ops *own;

static int begin_read(struct weir_file *file, uint64_t offset, void *buffer, size_t size,
                      uint64_t *ret_ticket)
{
    size_t got = 0;
    int rc = own->read(file, offset, buffer, size, &got);
    *ret_ticket = got;
    return rc < 0 ? -EOPNOTSUPP : answer;
}

static int end_read(struct weir_file *file, uint64_t ticket, size_t *ret_size)
{
    (void)file;
    *ret_size = (size_t)ticket;
    return 0;
}

/* Several would wait for each other. */
static void one_thread_is_enough_where_old_records_have_to_be_read(void **state)
{
    (void)state;
    struct store store;
    open_with_parting_keys(&store);
    struct fingerprint fingerprint = fingerprint_of(&store, 0);
    store.engine_options.threads = 4;
    for (answer = 0; answer < 2; answer++) {
        store_reopen(&store);
        assert_int_equal(weir_engine_close(store.engine), 0);
        assert_int_equal(weir_log_close(store.log), 0);
        struct weir_log_options options = store.log_options;
        options.medium = WEIR_MEDIUM_CUSTOM;
        assert_int_equal(sim_memory_open(&store.disk, &options.custom_medium), 0);
        struct weir_medium *medium = options.custom_medium;
        own = medium->ops;
        struct weir_medium_ops ops = *own;
        ops.read_begin = begin_read;
        ops.read_end = end_read;
        assert_int_equal(weir_log_open("memory", &options, &store.log, NULL), 0);
        medium->ops = &ops; /* no segment is readable yet */
        started = 0;
        base_system_set(&at_once);
        int rc = weir_engine_open(store.log, &store.engine_options, &store.engine, NULL);
        base_system_set(NULL);
        medium->ops = own;
        assert_int_equal(rc, 0);
        assert_int_equal(started, answer == 0 ? 0 : 3);
        assert_int_equal(store_report(&store).threads, answer == 0 ? 1 : 4);
        expect_fingerprint(&store, 0, &fingerprint);
    }
    store_close(&store);
}

/* ---- what is wrong ---- */

/* A key of this share of two: the second one is done before the first, by run_at_once(). */
static char key_of_share(weir_table table, uint32_t share)
{
    char key = 'a';
    while (stripe_of(table, (struct weir_bytes){&key, 1}) % 2 != share) {
        key++;
    }
    return key;
}

static weir_lsn append_change(struct store *store, weir_table table, uint32_t share)
{
    struct record_head head;
    uint8_t payload[64];
    record_build(&head, WEIR_INSERT, table, 1, NULL);
    memcpy(payload, head.bytes, head.size);
    payload[head.size] = (uint8_t)key_of_share(table, share);
    return append_record(store, WEIR_TYPE_CHANGE, payload, head.size + 1);
}

static void fill_log(struct store *store)
{
    for (int i = 0; i < FILLERS; i++) {
        struct weir_part part = {"filler", 6};
        struct weir_entry entry = {.parts = &part, .part_count = 1, .type = 1};
        assert_int_equal(weir_append(store->log, &entry, WEIR_NONE, NULL), 0);
    }
    settle(store);
}

static void begin_rest(struct store *store)
{
    store_open(store);
    put_some(store, WEIR_TABLE_DEFAULT, 1);
    settle(store);
    store_checkpoint(store);
    assert_int_equal(weir_engine_close(store->engine), 0);
}

/* By one share, by two in either order, and by two at once. */
static void expect_refusal(struct store *store, weir_lsn lsn)
{
    for (int turn = 0; turn < 4; turn++) {
        struct weir_error why = WEIR_ERROR_INIT;
        store->engine_options.threads = turn == 0 ? 1 : 2;
        base_system_set(turn == 1 ? &at_once : turn == 2 ? &none : NULL);
        int rc = weir_engine_open(store->log, &store->engine_options, &store->engine, &why);
        base_system_set(NULL);
        assert_int_equal(rc, WEIR_E_RECORD);
        assert_int_equal(why.code, WEIR_E_RECORD);
        assert_int_equal(why.from_lsn, lsn);
    }
}

static void end_refused(struct store *store)
{
    assert_int_equal(weir_log_close(store->log), 0);
    store->keeper->ops->destroy(store->keeper);
}

static void of_two_shares_that_fail_the_first_in_the_log_is_reported(void **state)
{
    (void)state;
    for (uint32_t share = 0; share < 2; share++) {
        struct store store;
        begin_rest(&store);
        weir_lsn lsn = append_change(&store, 5, share);
        fill_log(&store);
        append_change(&store, 5, !share);
        append_change(&store, 5, share);
        expect_refusal(&store, lsn);
        end_refused(&store);
    }
}

/* What both shares look at and what one of them does. */
static void a_record_that_is_none_is_reported_once_and_the_first(void **state)
{
    (void)state;
    struct store store;
    begin_rest(&store);
    weir_lsn lsn = append_record(&store, WEIR_TYPE_CHANGE, "short", 5);
    fill_log(&store);
    append_change(&store, 5, 0);
    append_change(&store, 5, 1);
    expect_refusal(&store, lsn);
    end_refused(&store);
}

/* The other share has added the table by the time that the change is applied. */
static void a_change_in_front_of_the_name_of_its_table_is_refused(void **state)
{
    (void)state;
    for (uint32_t share = 0; share < 2; share++) {
        struct store store;
        uint8_t payload[RECORD_TABLE_BYTES_MAX];
        begin_rest(&store);
        weir_lsn lsn = append_change(&store, 5, share);
        append_record(&store, WEIR_TYPE_TABLE, payload, record_build_table(payload, 5, "late"));
        fill_log(&store);
        expect_refusal(&store, lsn);
        end_refused(&store);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(se_09_shares_of_a_rest_come_to_what_one_thread_comes_to),
        cmocka_unit_test(threads_are_started_for_a_long_rest_alone_and_done_without),
        cmocka_unit_test(se_03_an_index_that_is_full_opens_with_any_number_of_threads),
        cmocka_unit_test(se_03_an_index_that_is_full_opens_with_a_long_rest),
        cmocka_unit_test(threads_open_the_segment_of_an_old_record_once_for_all),
        cmocka_unit_test(where_leaves_tell_new_keys_from_their_own_no_record_is_read),
        cmocka_unit_test(one_thread_is_enough_where_old_records_have_to_be_read),
        cmocka_unit_test(of_two_shares_that_fail_the_first_in_the_log_is_reported),
        cmocka_unit_test(a_record_that_is_none_is_reported_once_and_the_first),
        cmocka_unit_test(a_change_in_front_of_the_name_of_its_table_is_refused),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
