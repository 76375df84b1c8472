/* Several writers of different keys and readers in both directions, all at once. */
#include "tests/engine/support.h"

#include "base/thread.h"

#define WRITERS 3
#define READERS 2
#define STABLE_EVERY 4 /* each fourth key is there all the time */

struct crowd {
    struct world *world;
    struct key_set set;
    uint64_t *addresses; /* each written by the one writer of this key */
    uint32_t steps;
    _Atomic uint32_t next_writer;
    _Atomic uint32_t next_reader;
    _Atomic uint32_t writing;
    _Atomic(const char *) failure; /* threads record, the test asserts */
};

static void expect(struct crowd *crowd, bool condition, const char *what)
{
    if (!condition) {
        atomic_store(&crowd->failure, what);
    }
}

/* Puts a key where it was found to belong, after others had the time to change that. */
static void put_late(struct crowd *crowd, struct index_key key, uint64_t before, uint64_t address)
{
    struct index *index = &crowd->world->index;
    struct index_descent descent;
    uint64_t candidate = 0;
    uint64_t old = 0;
    int rc = index_descend(index, key, &descent, &candidate);
    expect(crowd, rc == 0 || rc == 1, "a place was not found");
    expect(crowd, before == 0 || (rc == 1 && candidate == before), "a place is not the key's");
    descent.region = NULL;
    descent.is_key = before != 0;
    for (int turn = 0; turn < 100; turn++) { /* yielding would give the readers all of the time */
        base_cpu_relax();
    }
    expect(crowd, index_put_at(index, &descent, key, address, &old) == 0, "a put failed");
    expect(crowd, old == before, "a put found another address");
}

/* One change of one key of this writer. */
static void change(struct crowd *crowd, struct base_prng *prng, uint32_t place)
{
    struct index *index = &crowd->world->index;
    struct index_key key = crowd->set.keys[place];
    uint64_t before = crowd->addresses[place];
    uint64_t address = fake_log_append(&crowd->world->log, key);
    uint64_t old = 0;
    uint64_t found = 0;
    uint64_t chance = base_prng_below(prng, 10);
    uint32_t slot = epoch_enter(&crowd->world->epochs);
    if (chance < 4 && before != 0 && place % STABLE_EVERY != 0) {
        expect(crowd, index_remove(index, key, before) == 1, "a key could not be removed");
        crowd->addresses[place] = 0;
    } else if (chance < 6 && before != 0) {
        expect(crowd, index_replace(index, key, before, address) == 1, "a key did not move");
        crowd->addresses[place] = address;
    } else if (chance < 8) {
        put_late(crowd, key, before, address);
        crowd->addresses[place] = address;
    } else {
        expect(crowd, index_put(index, key, address, &old) == 0, "a put failed");
        expect(crowd, old == before, "a put found another address");
        crowd->addresses[place] = address;
    }
    int rc = index_find(index, key, &found);
    expect(crowd, rc == (crowd->addresses[place] != 0), "a writer does not find what it did");
    expect(crowd, rc != 1 || found == crowd->addresses[place], "a writer finds another address");
    epoch_leave(&crowd->world->epochs, slot);
}

static void writer(void *context)
{
    struct crowd *crowd = context;
    struct base_prng prng;
    uint32_t number = atomic_fetch_add(&crowd->next_writer, 1);
    base_prng_seed(&prng, number);
    for (uint32_t step = 0; step < crowd->steps; step++) {
        uint32_t place = (uint32_t)base_prng_below(&prng, crowd->set.count);
        place -= place % WRITERS;
        if (place + number < crowd->set.count) {
            change(crowd, &prng, place + number);
        }
    }
    atomic_fetch_sub(&crowd->writing, 1);
}

/* All keys in order; those that are always there are met on the way. */
static void iterate(struct crowd *crowd, bool descending)
{
    struct index_iterator iterator;
    uint64_t addresses[16];
    struct index_key last = {0};
    bool any = false;
    int64_t step = descending ? -STABLE_EVERY : STABLE_EVERY;
    int64_t last_stable = (crowd->set.count - 1) / STABLE_EVERY * STABLE_EVERY;
    int64_t stable = descending ? last_stable : 0;
    int count;
    uint32_t slot = epoch_enter(&crowd->world->epochs);
    index_iterator_init(&iterator, &crowd->world->index);
    int rc = index_seek(&iterator, last, descending ? INDEX_LAST : INDEX_FIRST);
    expect(crowd, rc == 0, "a seek failed");
    while ((count = descending ? index_previous_batch(&iterator, addresses, 16)
                               : index_next_batch(&iterator, addresses, 16)) > 0) {
        for (int place = 0; place < count; place++) {
            struct index_key key = fake_log_key(&crowd->world->log, addresses[place]);
            int order = any ? key_compare(&last, &key) : 0;
            expect(crowd, !any || (descending ? order > 0 : order < 0), "keys out of order");
            bool in_range = stable >= 0 && stable < crowd->set.count;
            if (in_range && key.data == crowd->set.keys[stable].data) {
                stable += step;
            }
            last = key;
            any = true;
        }
    }
    epoch_leave(&crowd->world->epochs, slot);
    expect(crowd, count == 0, "an iteration failed");
    expect(crowd, stable < 0 || stable >= crowd->set.count, "a key was passed over");
}

static void seek_stable(struct crowd *crowd, struct base_prng *prng)
{
    struct index_iterator iterator;
    uint64_t address = 0;
    uint32_t place = (uint32_t)base_prng_below(prng, crowd->set.count);
    struct index_key key = crowd->set.keys[place - place % STABLE_EVERY];
    bool descending = base_prng_below(prng, 2) != 0;
    uint32_t slot = epoch_enter(&crowd->world->epochs);
    expect(crowd, index_find(&crowd->world->index, key, &address) == 1, "a key was not found");
    index_iterator_init(&iterator, &crowd->world->index);
    int rc = index_seek(&iterator, key, descending ? INDEX_LE : INDEX_GE);
    int count = descending ? index_previous_batch(&iterator, &address, 1)
                           : index_next_batch(&iterator, &address, 1);
    expect(crowd, rc == 0 && count == 1, "a seek came to nothing");
    if (count == 1) {
        struct index_key found = fake_log_key(&crowd->world->log, address);
        expect(crowd, found.data == key.data, "a seek came to another key");
    }
    epoch_leave(&crowd->world->epochs, slot);
}

static void reader(void *context)
{
    struct crowd *crowd = context;
    struct base_prng prng;
    base_prng_seed(&prng, 100 + atomic_fetch_add(&crowd->next_reader, 1));
    for (uint32_t turn = 0; atomic_load(&crowd->writing) != 0; turn++) {
        if (turn % 16 == 0) {
            iterate(crowd, turn % 32 == 0);
        }
        seek_stable(crowd, &prng);
    }
}

static void run(struct crowd *crowd)
{
    struct base_thread threads[WRITERS + READERS];
    for (unsigned index = 0; index < WRITERS; index++) {
        assert_int_equal(base_thread_start(&threads[index], "writer", writer, crowd), 0);
    }
    for (unsigned index = WRITERS; index < WRITERS + READERS; index++) {
        assert_int_equal(base_thread_start(&threads[index], "reader", reader, crowd), 0);
    }
    for (unsigned index = 0; index < WRITERS + READERS; index++) {
        base_thread_join(&threads[index]);
    }
}

static void crowd_at_work(unsigned kind, uint32_t keys, uint32_t steps)
{
    struct base_prng prng;
    base_prng_seed(&prng, kind);
    struct crowd crowd = {.steps = steps, .writing = WRITERS};
    crowd.set = key_kinds[kind].make(&prng, keys);
    crowd.world = world_new(crowd.set.count + (uint64_t)steps * WRITERS, 0);
    crowd.addresses = calloc(crowd.set.count, sizeof *crowd.addresses);
    assert_non_null(crowd.addresses);
    for (uint32_t place = 0; place < crowd.set.count; place += STABLE_EVERY) {
        crowd.addresses[place] = world_put(crowd.world, crowd.set.keys[place], NULL);
    }
    run(&crowd);
    const char *failure = atomic_load(&crowd.failure);
    if (failure != NULL) {
        fail_msg("%s keys: %s", key_kinds[kind].name, failure);
    }
    world_check(crowd.world);
    for (uint32_t place = 0; place < crowd.set.count; place++) {
        assert_int_equal(world_find(crowd.world, crowd.set.keys[place]), crowd.addresses[place]);
    }
    world_free(crowd.world);
    free(crowd.addresses);
    key_set_free(&crowd.set);
}

static void writers_of_different_keys_and_readers_do_not_disturb_each_other(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        crowd_at_work(kind, 900, 8000);
    }
}

/* The same few nodes are split, grown and taken out again and again. */
static void writers_of_few_keys_meet_at_the_same_nodes(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        crowd_at_work(kind, 12, 8000);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_of_different_keys_and_readers_do_not_disturb_each_other),
        cmocka_unit_test(writers_of_few_keys_meet_at_the_same_nodes),
    };
    return RUN_TESTS(tests, argc, argv);
}
