/*
 * Many keys looked up at once: the same as each by itself, whatever the keys are like, and beside
 * writers. Gets of batches are also part of what the oracle checks.
 */
#include "store.h"

#include "base/random.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS 700u
#define KEY_BYTES 700u

struct keys {
    uint8_t bytes[KEYS][KEY_BYTES];
    struct weir_bytes all[KEYS];
};

/* Keys of every kind: of 8 random bytes, of a few bytes that many nodes are full of, beginnings of
 * one another, and such as part only behind 508 bytes. */
static void draw_key(struct base_prng *random, struct keys *keys, unsigned index)
{
    uint8_t *bytes = keys->bytes[index];
    uint64_t kind = base_prng_below(random, 5);
    size_t size = 1 + base_prng_below(random, kind == 1 ? 2 : 12);
    size_t common = 0;
    if (kind == 2 && index > 0) { /* the beginning of another one, and perhaps more */
        struct weir_bytes other = keys->all[base_prng_below(random, index)];
        common = 1 + base_prng_below(random, other.size);
        memcpy(bytes, other.data, common);
        size = base_prng_below(random, 3);
    } else if (kind == 3) {
        common = 509 + base_prng_below(random, 4);
        memset(bytes, 'x', common);
    }
    size = common + size <= KEY_BYTES ? size : KEY_BYTES - common;
    for (size_t at = common; at < common + size; at++) {
        bytes[at] = (uint8_t)base_prng_below(random, kind == 4 ? 3 : 256);
    }
    keys->all[index] = (struct weir_bytes){bytes, common + size};
}

static bool is_same(struct weir_bytes a, struct weir_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* A batch of random keys, some of them more than once, against one get after the other. */
static void expect_as_single(struct weir_read *read, weir_table table, const struct keys *keys,
                             struct base_prng *random, size_t count)
{
    struct weir_bytes asked[KEYS] = {0};
    struct weir_row rows[KEYS], row;
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        asked[i] = keys->all[base_prng_below(random, KEYS)];
    }
    memset(rows, 0xaa, sizeof rows);
    int rc = weir_get_batch(read, table, asked, count, rows);
    for (size_t i = 0; i < count; i++) {
        int single = weir_get(read, table, asked[i], &row);
        assert_in_range(single, 0, 1);
        found += single;
        assert_int_equal(rows[i].lsn, single == 1 ? row.lsn : WEIR_LSN_NONE);
        if (single == 1) {
            assert_true(is_same(rows[i].key, asked[i]));
            assert_ptr_equal(rows[i].value.data, row.value.data);
            assert_int_equal(rows[i].value.size, row.value.size);
        }
    }
    assert_int_equal(rc, found);
}

static void expect_all_counts(struct store *store, const struct weir_read_options *options,
                              weir_table table, const struct keys *keys, struct base_prng *random)
{
    static const size_t counts[] = {1, 2, 7, 8, 9, 15, 16, 17, 24, 63, 64, 65, KEYS};
    struct weir_read read;
    assert_int_equal(weir_read_begin(store->engine, options, &read), 0);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        expect_as_single(&read, table, keys, random, counts[i]);
    }
    weir_read_end(&read);
}

static void write_some(struct store *store, weir_table table, const struct keys *keys,
                       struct base_prng *random, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct weir_bytes key = keys->all[base_prng_below(random, KEYS * 3 / 4)];
        if (base_prng_below(random, 4) == 0) {
            int rc = weir_delete(store->engine, table, key, WEIR_NONE, NULL);
            assert_true(rc == 0 || rc == -ENOENT);
        } else {
            uint8_t value[40] = {(uint8_t)i};
            struct weir_bytes bytes = {value, base_prng_below(random, sizeof value)};
            assert_int_equal(weir_put(store->engine, table, key, bytes, WEIR_NONE, NULL), 0);
        }
    }
}

/* A quarter of the keys is never put; others are deleted, or were not there yet as of an LSN. */
static void a_batch_of_gets_is_what_each_get_is_in_every_view(void **state)
{
    (void)state;
    static struct keys keys;
    const char *seed_text = getenv("WEIR_SEED");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 1;
    for (uint64_t round = 0; round < 6; round++) {
        struct store store;
        struct base_prng random;
        weir_table table;
        base_prng_seed(&random, seed + round);
        for (unsigned i = 0; i < KEYS; i++) {
            draw_key(&random, &keys, i);
        }
        store_open(&store);
        assert_int_equal(weir_table_open(store.engine, "other", true, &table), 0);
        table = round % 2 == 0 ? WEIR_TABLE_DEFAULT : table;
        expect_all_counts(&store, NULL, table, &keys, &random); /* the tree is empty */
        write_some(&store, table, &keys, &random, round < 2 ? 3 : 1500);
        settle(&store);
        struct weir_stat stat = WEIR_STAT_INIT;
        assert_int_equal(weir_log_stat(store.log, &stat), 0);
        write_some(&store, table, &keys, &random, 500);
        struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
        expect_all_counts(&store, NULL, table, &keys, &random);
        options.view = WEIR_VIEW_DURABLE;
        expect_all_counts(&store, &options, table, &keys, &random);
        options.view = WEIR_VIEW_AS_OF;
        for (unsigned i = 0; i < 4; i++) {
            options.lsn = base_prng_below(&random, stat.durable + 1);
            expect_all_counts(&store, &options, table, &keys, &random);
        }
        store_reopen(&store); /* and where records prove themselves */
        expect_all_counts(&store, NULL, table, &keys, &random);
        store_close(&store);
    }
}

static void a_batch_that_cannot_be_asked_for_fills_no_row(void **state)
{
    (void)state;
    struct store store;
    struct weir_read read;
    struct weir_bytes key = text("a");
    struct weir_row row = {.lsn = 77};
    store_open(&store);
    put(&store, "a", "1");
    assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
    assert_int_equal(weir_get_batch(NULL, 0, &key, 1, &row), -EINVAL);
    assert_int_equal(weir_get_batch(&read, 0, NULL, 1, &row), -EINVAL);
    assert_int_equal(weir_get_batch(&read, 0, &key, 1, NULL), -EINVAL);
    assert_int_equal(weir_get_batch(&read, 0, &key, (size_t)INT_MAX + 1, &row), -EINVAL);
    assert_int_equal(weir_get_batch(&read, 0, &key, SIZE_MAX, &row), -EINVAL);
    assert_int_equal(weir_get_batch(&read, 99, &key, 1, &row), WEIR_E_NO_TABLE);
    assert_int_equal(weir_get_batch(&read, 0, NULL, 0, NULL), 0);
    assert_int_equal(row.lsn, 77);
    weir_read_end(&read);
    assert_int_equal(weir_get_batch(&read, 0, &key, 1, &row), -EINVAL);
    store_close(&store);
}

/* `failing` of `count` keys are what no key can be; all others are there. */
static void a_key_that_fails_does_not_keep_the_others_from_being_found(void **state)
{
    (void)state;
    static uint8_t long_key[WEIR_KEY_BYTES_MAX + 1];
    const struct weir_bytes wrong[] = {
        {NULL, 0}, {NULL, 3}, {"", 0}, {long_key, sizeof long_key}, {long_key, SIZE_MAX}};
    struct store store;
    struct weir_read read;
    store_open(&store);
    for (unsigned keys = 1; keys < 3; keys++) { /* a tree that is one leaf, and one that is more */
        put(&store, keys == 1 ? "a" : "b", "1");
        assert_int_equal(weir_read_begin(store.engine, NULL, &read), 0);
        for (size_t at = 0; at < 20; at++) {
            struct weir_bytes asked[20];
            struct weir_row rows[20];
            for (size_t i = 0; i < 20; i++) {
                asked[i] = i == at || i == 18 ? wrong[at % 5] : text(i % keys == 0 ? "a" : "b");
            }
            assert_int_equal(weir_get_batch(&read, 0, asked, 20, rows), WEIR_E_KEY);
            for (size_t i = 0; i < 20; i++) {
                bool failed = i == at || i == 18;
                assert_int_equal(rows[i].lsn, failed ? WEIR_LSN_NONE : 1 + i % keys);
            }
        }
        weir_read_end(&read);
    }
    store_close(&store);
}

/* ---- beside writers ---- */

#define STEADY 64u
#define STEPS 3000u

struct scene {
    struct store store;
    _Atomic bool done;
    _Atomic uint32_t wrong; /* what a reader saw and should not have */
};

static struct weir_bytes steady_key(uint8_t *bytes, unsigned index)
{
    memset(bytes, 'k', 12);
    bytes[0] = (uint8_t)(index * 37);
    bytes[11] = (uint8_t)index;
    return (struct weir_bytes){bytes, index % 3 == 0 ? 12 : 1 + index % 2 * 11};
}

/* Steady keys get the number of the key as their value, again and again; others come and go, so
 * that nodes grow, split and collapse. */
static void write_on(void *context)
{
    struct scene *scene = context;
    struct base_prng random;
    base_prng_seed(&random, 5);
    for (unsigned step = 0; step < STEPS; step++) {
        uint8_t bytes[12], other[2] = {(uint8_t)base_prng_below(&random, 256), 1};
        unsigned index = (unsigned)base_prng_below(&random, STEADY);
        struct weir_bytes value = {&index, sizeof index}, key = {other, 2};
        int rc = weir_put(scene->store.engine, 0, steady_key(bytes, index), value, WEIR_NONE, NULL);
        rc = rc < 0 ? rc : weir_put(scene->store.engine, 0, key, value, WEIR_NONE, NULL);
        if (step % 3 != 0) {
            other[0] = (uint8_t)base_prng_below(&random, 256);
            (void)weir_delete(scene->store.engine, 0, key, WEIR_NONE, NULL);
        }
        if (rc < 0) {
            atomic_fetch_add(&scene->wrong, 1);
        }
    }
    atomic_store(&scene->done, true);
}

static void read_on(void *context)
{
    struct scene *scene = context;
    do {
        uint8_t bytes[2 * STEADY][12];
        struct weir_bytes keys[2 * STEADY];
        struct weir_row rows[2 * STEADY];
        struct weir_read read;
        if (weir_read_begin(scene->store.engine, NULL, &read) < 0) {
            atomic_fetch_add(&scene->wrong, 1);
            return;
        }
        for (unsigned i = 0; i < STEADY; i++) {
            keys[2 * i] = steady_key(bytes[2 * i], i);
            memcpy(bytes[2 * i + 1], (const uint8_t[]){(uint8_t)(i * 4), 1}, 2);
            keys[2 * i + 1] = (struct weir_bytes){bytes[2 * i + 1], 2};
        }
        int rc = weir_get_batch(&read, 0, keys, 2 * STEADY, rows);
        unsigned wrong = rc < (int)STEADY;
        for (unsigned i = 0; rc >= 0 && i < 2 * STEADY; i++) {
            bool found = rows[i].lsn != WEIR_LSN_NONE;
            wrong += found ? !is_same(rows[i].key, keys[i]) : i % 2 == 0;
            if (found && i % 2 == 0) {
                unsigned value;
                memcpy(&value, rows[i].value.data, sizeof value);
                wrong += value != i / 2;
            }
        }
        weir_read_end(&read);
        atomic_fetch_add(&scene->wrong, wrong);
    } while (!atomic_load(&scene->done));
}

static void keys_that_are_there_all_the_time_are_found_beside_writers(void **state)
{
    (void)state;
    static struct scene scene;
    struct base_thread threads[3];
    scene = (struct scene){0};
    store_open(&scene.store);
    for (unsigned i = 0; i < STEADY; i++) {
        uint8_t bytes[12];
        struct weir_bytes key = steady_key(bytes, i);
        struct weir_bytes value = {&i, sizeof i};
        assert_int_equal(weir_put(scene.store.engine, 0, key, value, WEIR_NONE, NULL), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(
            base_thread_start(&threads[i], "batch", i == 0 ? write_on : read_on, &scene), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        base_thread_join(&threads[i]);
    }
    assert_int_equal(atomic_load(&scene.wrong), 0);
    store_close(&scene.store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_gets_is_what_each_get_is_in_every_view),
        cmocka_unit_test(a_batch_that_cannot_be_asked_for_fills_no_row),
        cmocka_unit_test(a_key_that_fails_does_not_keep_the_others_from_being_found),
        cmocka_unit_test(keys_that_are_there_all_the_time_are_found_beside_writers),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
