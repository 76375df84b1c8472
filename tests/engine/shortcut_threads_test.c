/*
 * Shortcuts beside writers, a compaction that moves and drops records, and maps that follow each
 * other all the time: what a get finds is never older than what a put had stored before it began,
 * nor than what the same reader has seen.
 */
#include "store.h"

#include "base/random.h"
#include "engine/engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define KEYS 96u
#define WRITERS 2u
#define READERS 2u
#define GETS 64u           /* in a section */
#define GETS_MIN 1000000u  /* of all readers; and more until there were */
#define MAPS_MIN 50u       /* so many maps */
#define COMPACTIONS_MIN 3u /* and compactions */
#define PUTS_AHEAD 50000u  /* before the next compaction has to have ended */

struct crowd {
    struct store store;
    _Atomic bool stop;
    _Atomic uint64_t stored[KEYS]; /* by puts that have returned */
    _Atomic uint64_t gets, puts, maps, compactions;
};

struct worker {
    struct crowd *crowd;
    unsigned number;
    pthread_t thread;
};

struct key_of {
    char text[16];
    struct weir_bytes bytes;
};

/* Of 6 to 9 bytes: shorter than a number and longer. */
static void make_key(unsigned number, struct key_of *ret_key)
{
    int size = snprintf(ret_key->text, sizeof ret_key->text, "key%.*s%03u", (int)(number % 4),
                        "xxx", number);
    ret_key->bytes = (struct weir_bytes){ret_key->text, (size_t)size};
}

static void *write_main(void *context)
{
    struct worker *worker = context;
    struct crowd *crowd = worker->crowd;
    uint64_t value = 0;
    while (!atomic_load(&crowd->stop)) {
        if (crowd->puts > (crowd->compactions + 1) * PUTS_AHEAD) {
            base_yield(); /* else it may never catch up */
            continue;
        }
        value++;
        for (unsigned number = worker->number; number < KEYS; number += WRITERS) {
            struct key_of key;
            make_key(number, &key);
            assert_int_equal(weir_put(crowd->store.engine, 0, key.bytes,
                                      (struct weir_bytes){&value, sizeof value}, WEIR_NONE, NULL),
                             0);
            atomic_store(&crowd->stored[number], value);
            atomic_fetch_add_explicit(&crowd->puts, 1, memory_order_relaxed);
        }
    }
    return NULL;
}

static void get_one(struct crowd *crowd, struct weir_read *read, unsigned number, uint64_t *seen)
{
    struct key_of key;
    struct weir_row row;
    uint64_t value = 0, least = atomic_load(&crowd->stored[number]);
    make_key(number, &key);
    int rc = weir_get(read, 0, key.bytes, &row);
    assert_true(rc == 1 || (rc == 0 && least == 0 && *seen == 0));
    if (rc == 1) {
        assert_int_equal(row.value.size, sizeof value);
        memcpy(&value, row.value.data, sizeof value);
    }
    assert_true(value >= least);
    assert_true(value >= *seen);
    *seen = value;
}

static void *read_main(void *context)
{
    struct worker *worker = context;
    struct crowd *crowd = worker->crowd;
    struct base_prng random;
    uint64_t seen[KEYS] = {0};
    base_prng_seed(&random, worker->number + 1);
    while (crowd->gets < GETS_MIN || crowd->maps < MAPS_MIN ||
           crowd->compactions < COMPACTIONS_MIN) {
        struct weir_read read;
        assert_int_equal(weir_read_begin(crowd->store.engine, NULL, &read), 0);
        for (unsigned i = 0; i < GETS; i++) {
            unsigned number = (unsigned)base_prng_below(&random, KEYS);
            get_one(crowd, &read, number, &seen[number]);
        }
        weir_read_end(&read);
        atomic_fetch_add_explicit(&crowd->gets, GETS, memory_order_relaxed);
    }
    return NULL;
}

/* A map of one line, again and again, which gets find full and make grow. */
static void *grow_main(void *context)
{
    struct crowd *crowd = ((struct worker *)context)->crowd;
    struct index *index = &table_of(crowd->store.engine, 0)->index;
    while (!atomic_load(&crowd->stop)) {
        base_lock_acquire(&index->shortcut_growing);
        if (atomic_load(&index->shortcut_coming) == NULL) {
            shortcut_begin(index);
            atomic_fetch_add(&crowd->maps, 1);
        }
        base_lock_release(&index->shortcut_growing);
        (void)epoch_reclaim(index->epochs);
        base_yield();
    }
    return NULL;
}

static void *compact_main(void *context)
{
    struct crowd *crowd = ((struct worker *)context)->crowd;
    while (!atomic_load(&crowd->stop)) {
        settle(&crowd->store);
        int rc = weir_engine_compact(crowd->store.engine, NULL, NULL, NULL);
        assert_true(rc == 0 || rc == -EAGAIN);
        atomic_fetch_add(&crowd->compactions, 1);
    }
    return NULL;
}

static void a_get_never_goes_back_in_time(void **state)
{
    (void)state;
    static struct crowd crowd;
    struct worker workers[WRITERS + READERS + 2];
    const unsigned count = sizeof workers / sizeof *workers;
    store_open(&crowd.store);
    for (unsigned i = 0; i < count; i++) {
        void *(*main_of)(void *) = i < WRITERS              ? write_main
                                   : i < WRITERS + READERS  ? read_main
                                   : i == WRITERS + READERS ? grow_main
                                                            : compact_main;
        workers[i] = (struct worker){.crowd = &crowd, .number = i % 2};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, main_of, &workers[i]), 0);
    }
    /* The readers say when it is enough. */
    for (unsigned i = WRITERS; i < WRITERS + READERS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
    atomic_store(&crowd.stop, true);
    for (unsigned i = 0; i < count; i++) {
        bool reads = i >= WRITERS && i < WRITERS + READERS;
        assert_int_equal(reads ? 0 : pthread_join(workers[i].thread, NULL), 0);
    }
    print_message("%llu gets, %llu puts, %llu maps, %llu compactions\n",
                  (unsigned long long)crowd.gets, (unsigned long long)crowd.puts,
                  (unsigned long long)crowd.maps, (unsigned long long)crowd.compactions);
    assert_true(crowd.puts > 0);
    store_close(&crowd.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_never_goes_back_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
