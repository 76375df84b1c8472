/*
 * Disk watermarks: looked at rarely, slower and slower, then no more; and on again by itself.
 */
#include "store.h"

#include "base/clock.h"
#include "base/system.h"
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MIB ((uint64_t)1 << 20)
#define LARGE (1000 * MIB)

/* Time as a look sees it: an hour goes by with each leave(). */
static uint64_t ahead_ns;

static uint64_t coarse_ahead(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * BASE_NS_PER_S + (uint64_t)now.tv_nsec + ahead_ns;
}

static struct sleeper {
    int64_t last_ns;
    int count;
} sleeper;

static int note_sleep(void *context, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns,
                      bool shared)
{
    (void)context;
    (void)shared;
    if (atomic_load(word) != expected) {
        return -EAGAIN;
    }
    assert_true(timeout_ns >= 0); /* one thread: nobody would wake it */
    sleeper.last_ns = timeout_ns;
    sleeper.count++;
    return -ETIMEDOUT;
}

static const struct base_system test_system = {.coarse = coarse_ahead, .wait = note_sleep};

struct counter {
    int looks, failing; /* failing: what a look answers */
};

static int count_looks(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    struct counter *counter = context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, "space") != 0) {
        return 0;
    }
    counter->looks++;
    return counter->failing;
}

/* With these marks, on a disk with plenty of room. */
static void open_with(struct store *store, uint64_t warn, uint64_t slow, uint64_t stop,
                      struct counter *counter)
{
    store_open(store);
    sim_memory_capacity_set(store->keeper, LARGE);
    store->engine_options.warn_free_bytes = warn;
    store->engine_options.slow_free_bytes = slow;
    store->engine_options.stop_free_bytes = stop;
    store->disk.faults = (struct sim_memory_faults){counter != NULL ? count_looks : NULL, counter};
    store_reopen(store);
}

static uint64_t free_of(struct store *store)
{
    uint64_t bytes = 0;
    assert_int_equal(weir_log_free_bytes(store->log, &bytes), 0);
    return bytes;
}

/* Somebody else takes all but this much, spare segments included. */
static void leave(struct store *store, uint64_t room)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(store->log, &stat), 0);
    sim_memory_capacity_set(store->keeper, LARGE);
    uint64_t used = LARGE - free_of(store);
    uint64_t spare = stat.spare_segments * STORE_SEGMENT;
    sim_memory_capacity_set(store->keeper, used + (room > spare ? room - spare : 0));
    ahead_ns += 3600 * BASE_NS_PER_S;
}

static struct weir_engine_status status_of(struct store *store)
{
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    assert_int_equal(weir_engine_stat(store->engine, &status), 0);
    return status;
}

static int try_put(struct store *store, const char *key)
{
    return weir_put(store->engine, WEIR_TABLE_DEFAULT, text(key), text("value"), WEIR_NONE, NULL);
}

static int try_delete(struct store *store, const char *key)
{
    return weir_delete(store->engine, WEIR_TABLE_DEFAULT, text(key), WEIR_NONE, NULL);
}

static weir_lsn reserved(struct store *store)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    assert_int_equal(weir_log_stat(store->log, &stat), 0);
    return stat.reserved;
}

/* How long a put of a few bytes sleeps with this much room. */
static int64_t slept_with(struct store *store, uint64_t room)
{
    leave(store, room);
    sleeper = (struct sleeper){0};
    assert_int_equal(try_put(store, "k"), 0);
    assert_in_range(sleeper.count, 0, 1);
    return sleeper.last_ns;
}

/* ---- tests ---- */

static void without_watermarks_nobody_looks(void **state)
{
    (void)state;
    struct store store;
    struct counter counter = {0};
    open_with(&store, 0, 0, 0, &counter);
    leave(&store, 2 * STORE_SEGMENT);
    counter.looks = 0;
    for (int i = 0; i < 1000; i++) {
        put(&store, "key", "value");
    }
    assert_int_equal(counter.looks, 0);
    assert_int_equal(status_of(&store).space, WEIR_SPACE_OK);
    store_close(&store);
}

static void far_above_the_marks_it_is_looked_rarely(void **state)
{
    (void)state;
    struct store store;
    struct counter counter = {0};
    open_with(&store, 100 * MIB, 50 * MIB, 20 * MIB, &counter);
    counter.looks = 0;
    uint64_t start_ns = base_clock_monotonic_ns();
    for (int i = 0; i < 20000; i++) {
        put(&store, "key", "value");
    }
    uint64_t tenths = (base_clock_monotonic_ns() - start_ns) / (BASE_NS_PER_S / 10);
    assert_in_range(counter.looks, 0, tenths + 20000 * 4096 / (8 * MIB) + 2);
    store_close(&store);
}

static void the_state_says_where_the_room_stands(void **state)
{
    (void)state;
    struct store store;
    open_with(&store, 100 * MIB, 50 * MIB, 20 * MIB, NULL);
    static const struct {
        uint64_t room;
        enum weir_space space;
    } cases[] = {
        {100 * MIB, WEIR_SPACE_OK},       {100 * MIB - 1, WEIR_SPACE_WARN},
        {50 * MIB, WEIR_SPACE_WARN},      {50 * MIB - 1, WEIR_SPACE_SLOW},
        {20 * MIB, WEIR_SPACE_SLOW},      {20 * MIB - 1, WEIR_SPACE_STOP},
        {STORE_SEGMENT, WEIR_SPACE_STOP}, {500 * MIB, WEIR_SPACE_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        leave(&store, cases[i].room);
        struct weir_engine_status status = status_of(&store);
        assert_int_equal(status.free_bytes, cases[i].room);
        assert_int_equal(status.space, cases[i].space);
    }
    store_close(&store);
}

static void a_write_sleeps_the_longer_the_less_is_left(void **state)
{
    (void)state;
    struct store store;
    open_with(&store, 0, 50 * MIB, 20 * MIB, NULL);
    assert_int_equal(slept_with(&store, 51 * MIB), 0);
    assert_in_range(slept_with(&store, 50 * MIB - 10000), 1, 20000);
    assert_in_range(slept_with(&store, 35 * MIB), 9900000, 10100000); /* half way */
    assert_in_range(slept_with(&store, 20 * MIB + 1000), 19900000, SPACE_SLEEP_MAX_NS);
    assert_int_equal(slept_with(&store, 51 * MIB), 0); /* and not any more */
    store_close(&store);
}

static void a_write_is_refused_before_anything_is_appended_and_goes_on_by_itself(void **state)
{
    (void)state;
    struct store store;
    open_with(&store, 0, 0, 20 * MIB, NULL);
    put(&store, "a", "1");
    leave(&store, 20 * MIB - 1);
    weir_lsn before = reserved(&store);
    assert_int_equal(try_put(&store, "a"), WEIR_E_DISK_LOW);
    assert_int_equal(try_put(&store, "b"), WEIR_E_DISK_LOW);
    weir_table table;
    assert_int_equal(weir_table_open(store.engine, "table", true, &table), WEIR_E_DISK_LOW);
    assert_int_equal(reserved(&store), before);
    expect(&store, "a", "1", 0); /* reading goes on */
    expect(&store, "b", NULL, 0);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_engine_checkpoint(store.engine, NULL, &why), 0);
    leave(&store, 21 * MIB);
    assert_int_equal(try_put(&store, "b"), 0);
    expect(&store, "b", "value", 0);
    store_reopen(&store); /* closing goes on, too */
    leave(&store, MIB);
    store_close(&store);
}

static void what_would_pass_the_mark_is_refused_as_a_whole(void **state)
{
    (void)state;
    struct store store;
    open_with(&store, 0, 0, 20 * MIB, NULL);
    static char large[40000];
    memset(large, 'x', sizeof large - 1);
    put(&store, "first", "1"); /* with it comes the room that compaction keeps */
    leave(&store, 20 * MIB + 20000);
    struct weir_bytes value = text(large);
    assert_int_equal(weir_put(store.engine, 0, text("a"), value, WEIR_NONE, NULL), WEIR_E_DISK_LOW);
    assert_int_equal(try_put(&store, "a"), 0);
    store_close(&store);
}

static void deletes_go_on_into_half_of_what_must_stay_free(void **state)
{
    (void)state;
    struct store store;
    open_with(&store, 0, 0, 20 * MIB, NULL);
    for (const char *key = "a\0b\0c\0d\0e\0"; *key != '\0'; key += 2) {
        put(&store, key, "1");
    }
    leave(&store, 11 * MIB);
    assert_int_equal(try_put(&store, "a"), WEIR_E_DISK_LOW);
    struct weir_write deletes[] = {
        {.kind = WEIR_DELETE, .key = text("b")},
        {.kind = WEIR_DELETE, .key = text("c")},
    };
    struct weir_write mixed[] = {
        {.kind = WEIR_DELETE, .key = text("d")},
        {.kind = WEIR_PUT, .key = text("c"), .value = text("2")},
    };
    int one = try_delete(&store, "a");
    int two = weir_engine_write_batch(store.engine, deletes, 2, WEIR_NONE, NULL);
    int put_too = weir_engine_write_batch(store.engine, mixed, 2, WEIR_NONE, NULL);
    leave(&store, 10 * MIB - 1);
    int below = try_delete(&store, "e");
    assert_int_equal(one, 0);
    assert_int_equal(two, 0);
    assert_int_equal(put_too, WEIR_E_DISK_LOW);
    assert_int_equal(below, WEIR_E_DISK_LOW);
    expect(&store, "c", NULL, 0);
    expect(&store, "d", "1", 0);
    store_close(&store);
}

/* Segments of 256 KiB, a disk of 40 of them: each write is stored or refused, and the disk is never
 * full. */
static void the_disk_never_becomes_full_and_what_was_acknowledged_is_there(void **state)
{
    (void)state;
    struct store store;
    open_with(&store, 0, 0, 3 * STORE_SEGMENT, NULL);
    leave(&store, 40 * STORE_SEGMENT);
    static char value[3000];
    memset(value, 'v', sizeof value - 1);
    char key[32];
    int stored = 0, rc = 0;
    for (int round = 0; round < 3; round++) {
        for (;; stored++) {
            (void)snprintf(key, sizeof key, "%d", stored);
            rc = weir_put(store.engine, 0, text(key), text(value), WEIR_EACH, NULL);
            if (rc != 0) {
                break;
            }
            assert_true(free_of(&store) > 0);
        }
        assert_int_equal(rc, WEIR_E_DISK_LOW);
        assert_true(free_of(&store) > 0);
        assert_in_range(stored, 1000 * (round + 1), 5000 * (round + 1));
        leave(&store, 20 * STORE_SEGMENT); /* other files were removed */
    }
    store_reopen(&store);
    for (int i = 0; i < stored; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        expect(&store, key, value, 0);
    }
    (void)snprintf(key, sizeof key, "%d", stored);
    expect(&store, key, NULL, 0);
    store_close(&store);
}

static uint64_t reserve_bytes(struct store *store)
{
    uint64_t size = 0;
    return sim_memory_bytes(store->keeper, "compact.spare", true, &size) != NULL ? size : 0;
}

static void remove_reserve(struct weir_medium *medium)
{
    assert_int_equal(medium->ops->remove(medium, "compact.spare"), 0);
    assert_int_equal(medium->ops->sync_directory(medium, ""), 0);
}

/* Making it takes as long as writing a segment does. */
static void room_for_compaction_is_made_when_a_writer_opens_and_not_by_its_first_put(void **state)
{
    (void)state;
    struct store store;
    struct beside beside;
    store_open(&store);
    assert_int_equal(reserve_bytes(&store), STORE_SEGMENT); /* durable */
    put(&store, "a", "1");
    store_stop(&store);
    remove_reserve(store.keeper);
    store_open_beside(&store, &beside); /* a reader makes nothing */
    assert_int_equal(reserve_bytes(&store), 0);
    store_close_beside(&beside);
    store_start(&store);
    assert_int_equal(reserve_bytes(&store), STORE_SEGMENT);
    store_close(&store);
}

/* The log opens and takes puts; compaction looks for room when it needs it. */
static void an_engine_opens_without_room_for_compaction(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    store_stop(&store);
    remove_reserve(store.keeper);
    uint64_t left = 0;
    sim_memory_capacity_set(store.keeper, LARGE);
    assert_int_equal(store.keeper->ops->space(store.keeper, &left), 0);
    sim_memory_capacity_set(store.keeper, LARGE - left + STORE_SEGMENT / 2);
    store_start(&store);
    assert_int_equal(reserve_bytes(&store), 0);
    put(&store, "a", "1");
    store_close(&store);
}

static void when_nobody_answers_what_was_known_counts(void **state)
{
    (void)state;
    struct store store;
    struct counter counter = {0};
    open_with(&store, 0, 0, 20 * MIB, &counter);
    put(&store, "a", "1"); /* the first one holds the log, which takes room, too */
    leave(&store, 20 * MIB + 1000);
    assert_int_equal(try_put(&store, "a"), 0);
    struct weir_engine_status status = status_of(&store);
    assert_in_range(status.free_bytes, 20 * MIB, 21 * MIB);
    leave(&store, 20 * MIB + 1000);
    counter.failing = -EIO;
    status = status_of(&store);
    assert_int_equal(status.free_bytes, UINT64_MAX);
    int rc = 0, count = 0;
    for (; rc == 0 && count < 100000000; count++) {
        rc = try_put(&store, "a");
    }
    counter.failing = 0;
    assert_int_equal(rc, WEIR_E_DISK_LOW); /* it counted down by itself */
    leave(&store, 100 * MIB);
    assert_int_equal(try_put(&store, "a"), 0);
    store_close(&store);
}

static void marks_that_cannot_be_kept_are_refused(void **state)
{
    (void)state;
    struct store store;
    store_open(&store);
    sim_memory_capacity_set(store.keeper, LARGE);
    assert_int_equal(weir_engine_close(store.engine), 0);
    static const struct {
        uint64_t warn, slow, stop;
        int rc;
    } cases[] = {
        {3, 2, 1, 0},       {1, 2, 3, -EINVAL}, {3, 1, 2, -EINVAL}, {1, 0, 2, -EINVAL},
        {1, 2, 0, -EINVAL}, {0, 0, 5, 0},       {0, 5, 5, 0},       {5, 0, 0, 0},
    };
    struct weir_error why = WEIR_ERROR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_engine_options options = store.engine_options;
        options.warn_free_bytes = cases[i].warn;
        options.slow_free_bytes = cases[i].slow;
        options.stop_free_bytes = cases[i].stop;
        int rc = weir_engine_open(store.log, &options, &store.engine, &why);
        assert_int_equal(rc, cases[i].rc);
        assert_int_equal(rc == 0 ? weir_engine_close(store.engine) : 0, 0);
    }
    sim_memory_capacity_set(store.keeper, 0);
    struct weir_engine_options options = store.engine_options;
    options.stop_free_bytes = MIB;
    assert_int_equal(weir_engine_open(store.log, &options, &store.engine, &why), -EOPNOTSUPP);
    assert_non_null(strstr(why.text, "not known"));
    options.stop_free_bytes = 0;
    assert_int_equal(weir_engine_open(store.log, &options, &store.engine, &why), 0);
    assert_int_equal(status_of(&store).free_bytes, UINT64_MAX);
    store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_watermarks_nobody_looks),
        cmocka_unit_test(far_above_the_marks_it_is_looked_rarely),
        cmocka_unit_test(the_state_says_where_the_room_stands),
        cmocka_unit_test(a_write_sleeps_the_longer_the_less_is_left),
        cmocka_unit_test(a_write_is_refused_before_anything_is_appended_and_goes_on_by_itself),
        cmocka_unit_test(what_would_pass_the_mark_is_refused_as_a_whole),
        cmocka_unit_test(deletes_go_on_into_half_of_what_must_stay_free),
        cmocka_unit_test(the_disk_never_becomes_full_and_what_was_acknowledged_is_there),
        cmocka_unit_test(room_for_compaction_is_made_when_a_writer_opens_and_not_by_its_first_put),
        cmocka_unit_test(an_engine_opens_without_room_for_compaction),
        cmocka_unit_test(when_nobody_answers_what_was_known_counts),
        cmocka_unit_test(marks_that_cannot_be_kept_are_refused),
    };
    base_system_set(&test_system);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
