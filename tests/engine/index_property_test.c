/* Random work on an index, beside an array of all keys in order that says what has to be there. */
#include "tests/engine/support.h"

#define STEPS 6000
#define CHECK_EVERY 500

/* addresses[i] is where set.keys[i] is now, 0 when it is absent. */
struct model {
    struct world *world;
    struct key_set set;
    uint64_t *addresses;
    uint64_t present;
    struct base_prng prng;
};

static void begin(struct model *model, const struct key_kind *kind, uint64_t seed)
{
    base_prng_seed(&model->prng, seed);
    model->world = world_new(2 * STEPS + 70000, 0);
    model->set = kind->make(&model->prng, 3000);
    model->addresses = calloc(model->set.count, sizeof *model->addresses);
    model->present = 0;
    assert_non_null(model->addresses);
}

static void end(struct model *model)
{
    world_check(model->world);
    world_free(model->world);
    key_set_free(&model->set);
    free(model->addresses);
}

static uint32_t some_key(struct model *model)
{
    return (uint32_t)base_prng_below(&model->prng, model->set.count);
}

static void put(struct model *model, uint32_t place)
{
    uint64_t old;
    uint64_t address = world_put(model->world, model->set.keys[place], &old);
    assert_int_equal(old, model->addresses[place]);
    model->present += old == 0;
    model->addresses[place] = address;
}

static void disturb(struct model *model, uint32_t place);

/* Where a key belongs is found; others change, near it as well; then it is put there. */
static void put_late(struct model *model, uint32_t place)
{
    struct index *index = &model->world->index;
    struct index_key key = model->set.keys[place];
    struct index_descent descent;
    uint64_t candidate = 0;
    uint64_t old;
    uint32_t slot = epoch_enter(&model->world->epochs);
    int rc = index_descend(index, key, &descent, &candidate);
    assert_in_range(rc, 0, 1);
    descent.region = NULL;
    descent.is_key = model->addresses[place] != 0;
    assert_true(!descent.is_key || (rc == 1 && candidate == model->addresses[place]));
    disturb(model, place);
    uint64_t address = fake_log_append(&model->world->log, key);
    assert_int_equal(index_put_at(index, &descent, key, address, &old), 0);
    epoch_leave(&model->world->epochs, slot);
    assert_int_equal(old, model->addresses[place]);
    model->present += old == 0;
    model->addresses[place] = address;
    assert_int_equal(world_find(model->world, key), address);
}

static void take_away(struct model *model, uint32_t place)
{
    struct index *index = &model->world->index;
    struct index_key key = model->set.keys[place];
    uint64_t address = model->addresses[place];
    uint32_t slot = epoch_enter(&model->world->epochs);
    if (address == 0) {
        assert_int_equal(index_remove(index, key, fake_log_append(&model->world->log, key)), 0);
    } else {
        assert_int_equal(index_remove(index, key, address), 1);
        assert_int_equal(index_remove(index, key, address), 0);
        model->present--;
    }
    epoch_leave(&model->world->epochs, slot);
    model->addresses[place] = 0;
}

/* Changes others, most of them beside it. */
static void disturb(struct model *model, uint32_t place)
{
    bool grows = base_prng_below(&model->prng, 2) != 0;
    uint64_t turns = base_prng_below(&model->prng, 12);
    for (uint64_t turn = 0; turn < turns; turn++) {
        uint32_t near = place + (uint32_t)base_prng_below(&model->prng, 9) - 4;
        bool beside = near < model->set.count && base_prng_below(&model->prng, 4) != 0;
        uint32_t other = beside ? near : some_key(model);
        if (other == place) {
            continue;
        }
        if (grows) {
            put(model, other);
        } else {
            take_away(model, other);
        }
    }
}

static void move(struct model *model, uint32_t place)
{
    struct index *index = &model->world->index;
    struct index_key key = model->set.keys[place];
    uint64_t address = model->addresses[place];
    uint64_t to = fake_log_append(&model->world->log, key);
    uint32_t slot = epoch_enter(&model->world->epochs);
    if (address == 0) {
        assert_int_equal(index_replace(index, key, to, to), 0);
    } else {
        assert_int_equal(index_replace(index, key, to, to), 0);
        assert_int_equal(index_replace(index, key, address, to), 1);
        model->addresses[place] = to;
    }
    epoch_leave(&model->world->epochs, slot);
}

/* The first place in order whose key is not less than the bound, or is greater. */
static uint32_t lower_bound(const struct model *model, struct index_key bound, bool equal)
{
    uint32_t place = 0;
    uint32_t count = model->set.count;
    while (count != 0) {
        uint32_t half = count / 2;
        int order = key_compare(&model->set.keys[place + half], &bound);
        if (order < 0 || (order == 0 && !equal)) {
            place += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return place;
}

/* The next present key at `place` or after it (before it); where it is, or -1. */
static int64_t next_present(const struct model *model, int64_t place, bool descending)
{
    while (place >= 0 && place < model->set.count && model->addresses[place] == 0) {
        place += descending ? -1 : 1;
    }
    return place < model->set.count ? place : -1;
}

static void expect_batches(struct model *model, struct index_iterator *iterator, int64_t place,
                           bool descending, uint32_t limit)
{
    uint64_t addresses[8];
    uint32_t seen = 0;
    while (seen < limit) {
        int max = 1 + (int)base_prng_below(&model->prng, 8);
        int count = descending ? index_previous_batch(iterator, addresses, max)
                               : index_next_batch(iterator, addresses, max);
        assert_true(count >= 0 && count <= max);
        for (int index = 0; index < count; index++) {
            place = next_present(model, place, descending);
            assert_true(place >= 0);
            assert_int_equal(addresses[index], model->addresses[place]);
            place += descending ? -1 : 1;
        }
        if (count < max) {
            assert_true(next_present(model, place, descending) < 0);
            return;
        }
        seen += (uint32_t)count;
    }
}

/* A key of the set, or one like it that need not be in there. */
static struct index_key some_bound(struct model *model, uint8_t *buffer)
{
    struct index_key key = model->set.keys[some_key(model)];
    memcpy(buffer, key.data, key.size);
    uint64_t change = base_prng_below(&model->prng, 4);
    if (change == 1 && key.size != 0) {
        buffer[base_prng_below(&model->prng, key.size)] ^=
            (uint8_t)base_prng_below(&model->prng, 256);
    } else if (change == 2 && key.size != 0) {
        key.size = (uint32_t)base_prng_below(&model->prng, key.size);
    } else if (change == 3 && key.size < INDEX_KEY_SIZE_MAX) {
        buffer[key.size++] = (uint8_t)base_prng_below(&model->prng, 256);
    }
    key.data = buffer;
    return key;
}

static void iterate(struct model *model, enum index_seek mode, uint32_t limit)
{
    static uint8_t buffer[INDEX_KEY_SIZE_MAX];
    struct index_iterator iterator;
    struct index_key bound = some_bound(model, buffer);
    bool descending = mode == INDEX_LE || mode == INDEX_LT || mode == INDEX_LAST;
    int64_t place = 0;
    switch (mode) {
    case INDEX_GE:
    case INDEX_GT:
        place = lower_bound(model, bound, mode == INDEX_GE);
        break;
    case INDEX_LE:
    case INDEX_LT:
        place = (int64_t)lower_bound(model, bound, mode == INDEX_LT) - 1;
        break;
    case INDEX_FIRST:
        break;
    case INDEX_LAST:
        place = (int64_t)model->set.count - 1;
        break;
    }
    uint32_t slot = epoch_enter(&model->world->epochs);
    index_iterator_init(&iterator, &model->world->index);
    assert_int_equal(index_seek(&iterator, bound, mode), 0);
    expect_batches(model, &iterator, place, descending, limit);
    epoch_leave(&model->world->epochs, slot);
}

static void look(struct model *model)
{
    static uint8_t buffer[INDEX_KEY_SIZE_MAX];
    struct index_key key = some_bound(model, buffer);
    uint32_t place = lower_bound(model, key, true);
    bool known = place < model->set.count && key_compare(&model->set.keys[place], &key) == 0;
    assert_int_equal(world_find(model->world, key), known ? model->addresses[place] : 0);
}

static void check(struct model *model)
{
    world_check(model->world);
    assert_int_equal(index_keys(&model->world->index), model->present);
    iterate(model, INDEX_FIRST, UINT32_MAX);
    iterate(model, INDEX_LAST, UINT32_MAX);
}

/* Grows at first, then as many come as go, then shrinks to nothing. */
static void work(struct model *model)
{
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t puts = step < STEPS / 3 ? 70 : step < STEPS * 2 / 3 ? 40 : 10;
        uint64_t chance = base_prng_below(&model->prng, 100);
        if (chance < puts) {
            put(model, some_key(model));
        } else if (chance < 80) {
            take_away(model, some_key(model));
        } else if (chance < 85) {
            move(model, some_key(model));
        } else if (chance < 92) {
            look(model);
        } else {
            iterate(model, (enum index_seek)base_prng_below(&model->prng, 6), 40);
        }
        if (step % CHECK_EVERY == 0) {
            check(model);
        }
    }
    check(model);
    for (uint32_t place = 0; place < model->set.count; place++) {
        take_away(model, place);
    }
    assert_int_equal(atomic_load(&model->world->index.root), 0);
}

static void random_work_leaves_what_an_array_in_order_has(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct model model;
            begin(&model, &key_kinds[kind], seed * 1000 + kind);
            work(&model);
            end(&model);
        }
    }
}

static void a_put_goes_where_its_key_belongs_whatever_others_did_since_it_was_found(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        struct model model;
        begin(&model, &key_kinds[kind], 500 + kind);
        put_late(&model, 0); /* into nothing */
        for (uint32_t step = 0; step < STEPS / 2; step++) {
            uint32_t place = some_key(&model);
            put_late(&model, place);
            if (step % 3 == 0) {
                take_away(&model, place);
            }
            if (step % CHECK_EVERY == 0) {
                (void)epoch_reclaim(&model.world->epochs);
                check(&model);
            }
        }
        check(&model);
        end(&model);
    }
}

static void all_nodes_are_freed_when_all_keys_are_gone(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        struct model model;
        begin(&model, &key_kinds[kind], kind);
        for (uint32_t place = 0; place < model.set.count; place++) {
            put(&model, place);
        }
        for (uint32_t place = 0; place < model.set.count; place++) {
            take_away(&model, place);
        }
        for (int turn = 0; turn < 3; turn++) {
            (void)epoch_reclaim(&model.world->epochs);
        }
        struct arena_stats stats;
        arena_read_stats(&model.world->arena, &stats);
        assert_int_equal(stats.live, 0);
        assert_int_equal(stats.retired, 0);
        end(&model);
    }
}

static void dropping_frees_all_nodes(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        struct model model;
        begin(&model, &key_kinds[kind], kind);
        for (uint32_t place = 0; place < model.set.count; place++) {
            put(&model, place);
        }
        for (int turn = 0; turn < 3; turn++) {
            (void)epoch_reclaim(&model.world->epochs);
        }
        index_drop(&model.world->index);
        struct arena_stats stats;
        arena_read_stats(&model.world->arena, &stats);
        assert_int_equal(stats.live, 0);
        end(&model);
    }
}

static void an_iterator_that_turns_round_goes_on_beside_the_last_key(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        struct model model;
        begin(&model, &key_kinds[kind], 77 + kind);
        for (uint32_t place = 0; place < model.set.count; place++) {
            put(&model, place);
        }
        struct index_iterator iterator;
        uint32_t slot = epoch_enter(&model.world->epochs);
        index_iterator_init(&iterator, &model.world->index);
        assert_int_equal(index_seek(&iterator, model.set.keys[0], INDEX_GE), 0);
        int64_t place = 0;
        for (int turn = 0; turn < 300; turn++) {
            uint64_t address;
            bool back = base_prng_below(&model.prng, 3) == 0 && place > 0;
            int64_t next = turn == 0 ? 0 : place + (back ? -1 : 1);
            int count = back ? index_previous_batch(&iterator, &address, 1)
                             : index_next_batch(&iterator, &address, 1);
            if (next == model.set.count) {
                assert_int_equal(count, 0);
                break;
            }
            assert_int_equal(count, 1);
            assert_int_equal(address, model.addresses[next]);
            place = next;
        }
        epoch_leave(&model.world->epochs, slot);
        end(&model);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_work_leaves_what_an_array_in_order_has),
        cmocka_unit_test(a_put_goes_where_its_key_belongs_whatever_others_did_since_it_was_found),
        cmocka_unit_test(all_nodes_are_freed_when_all_keys_are_gone),
        cmocka_unit_test(dropping_frees_all_nodes),
        cmocka_unit_test(an_iterator_that_turns_round_goes_on_beside_the_last_key),
    };
    return RUN_TESTS(tests, argc, argv);
}
