/* Bulk build, join and image: the same index as by putting one key after the other. */
#include "tests/engine/support.h"

#include "base/system.h"
#include "engine/index_build.h"

static struct key_set make(unsigned kind, uint64_t seed, uint32_t count)
{
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    return key_kinds[kind].make(&prng, count);
}

/* Builds keys [from, to) of a set; the address of key i is where the log has it. */
static uint64_t build(struct world *world, const struct key_set *set, uint32_t from, uint32_t to,
                      uint64_t *addresses)
{
    struct index_builder builder;
    uint64_t root;
    uint64_t keys;
    assert_int_equal(index_builder_init(&builder, &world->arena), 0);
    for (uint32_t place = from; place < to; place++) {
        addresses[place] = fake_log_append(&world->log, set->keys[place]);
        assert_int_equal(index_builder_add(&builder, set->keys[place], addresses[place]), 0);
    }
    assert_int_equal(index_builder_finish(&builder, &root, &keys), 0);
    assert_int_equal(keys, to - from);
    return root;
}

static void expect_keys(struct world *world, const struct key_set *set, const uint64_t *addresses)
{
    struct index_iterator iterator;
    uint64_t address;
    world_check(world);
    uint32_t slot = epoch_enter(&world->epochs);
    index_iterator_init(&iterator, &world->index);
    assert_int_equal(index_seek(&iterator, (struct index_key){0}, INDEX_FIRST), 0);
    for (uint32_t place = 0; place < set->count; place++) {
        assert_int_equal(index_next_batch(&iterator, &address, 1), 1);
        assert_int_equal(address, addresses[place]);
    }
    assert_int_equal(index_next_batch(&iterator, &address, 1), 0);
    epoch_leave(&world->epochs, slot);
}

/* Puts each key again, and takes half of them away: what was built can be written to. */
static void change_all(struct world *world, const struct key_set *set, uint64_t *addresses)
{
    for (uint32_t place = 0; place < set->count; place++) {
        uint64_t old;
        uint64_t address = world_put(world, set->keys[place], &old);
        assert_int_equal(old, addresses[place]);
        addresses[place] = address;
    }
    for (uint32_t place = 0; place < set->count; place += 2) {
        uint32_t slot = epoch_enter(&world->epochs);
        assert_int_equal(index_remove(&world->index, set->keys[place], addresses[place]), 1);
        epoch_leave(&world->epochs, slot);
    }
    world_check(world);
    for (uint32_t place = 0; place < set->count; place++) {
        assert_int_equal(world_find(world, set->keys[place]),
                         place % 2 != 0 ? addresses[place] : 0);
    }
}

static uint64_t *addresses_for(const struct key_set *set)
{
    uint64_t *addresses = calloc(set->count + 1, sizeof *addresses);
    assert_non_null(addresses);
    return addresses;
}

static void what_is_built_is_what_puts_would_have_made(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        for (uint32_t count = 1; count < 6000; count = count * 3 + 1) {
            struct key_set set = make(kind, count, count);
            struct world *world = world_new(20000, 0);
            uint64_t *addresses = addresses_for(&set);
            uint64_t root = build(world, &set, 0, set.count, addresses);
            index_adopt(&world->index, root, set.count);
            expect_keys(world, &set, addresses);
            change_all(world, &set, addresses);
            free(addresses);
            world_free(world);
            key_set_free(&set);
        }
    }
}

static void ranges_that_were_built_apart_are_joined_into_one_tree(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 5);
    for (unsigned turn = 0; turn < 12 * key_kind_count; turn++) {
        struct key_set set = make(turn % key_kind_count, turn, 1 + turn * 14);
        struct world *world = world_new(20000, 0);
        struct index_source source = world_source(world);
        uint64_t *addresses = addresses_for(&set);
        uint64_t root = 0;
        uint32_t place = 0;
        while (place < set.count) {
            uint32_t to = place + (uint32_t)base_prng_below(&prng, set.count / 3 + 2);
            to = to < set.count ? to : set.count;
            uint64_t right = build(world, &set, place, to, addresses);
            assert_int_equal(index_join(&world->arena, &source, root, right, &root), 0);
            place = to;
        }
        index_adopt(&world->index, root, set.count);
        expect_keys(world, &set, addresses);
        change_all(world, &set, addresses);
        free(addresses);
        world_free(world);
        key_set_free(&set);
    }
}

static void joining_keeps_no_node_that_is_not_in_the_tree(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        struct key_set set = make(kind, kind, 2000);
        struct world *world = world_new(20000, 0);
        struct index_source source = world_source(world);
        uint64_t *addresses = addresses_for(&set);
        uint64_t root = 0;
        for (uint32_t place = 0; place < set.count; place += 100) {
            uint32_t to = place + 100 < set.count ? place + 100 : set.count;
            uint64_t right = build(world, &set, place, to, addresses);
            assert_int_equal(index_join(&world->arena, &source, root, right, &root), 0);
        }
        index_adopt(&world->index, root, set.count);
        index_drop(&world->index);
        struct arena_stats stats;
        arena_read_stats(&world->arena, &stats);
        assert_int_equal(stats.live, 0);
        free(addresses);
        world_free(world);
        key_set_free(&set);
    }
}

static void trees_that_are_not_in_order_are_not_joined(void **state)
{
    (void)state;
    static const struct {
        const char *left;
        const char *right;
    } table[] = {{"b", "a"}, {"ab", "a"}, {"a", "a"}, {"abc", "abb"}};
    for (size_t row = 0; row < COUNT_OF(table); row++) {
        struct world *world = world_new(10, 0);
        struct index_source source = world_source(world);
        struct index_key left = key_of(table[row].left);
        struct index_key right = key_of(table[row].right);
        struct key_set first = {.keys = &left, .count = 1};
        struct key_set second = {.keys = &right, .count = 1};
        uint64_t addresses[2];
        uint64_t a = build(world, &first, 0, 1, &addresses[0]);
        uint64_t b = build(world, &second, 0, 1, &addresses[1]);
        uint64_t root = 1;
        assert_int_equal(index_join(&world->arena, &source, a, b, &root), -EINVAL);
        assert_int_equal(root, 1);
        world_free(world);
    }
}

static void keys_that_do_not_ascend_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *first;
        const char *second;
    } table[] = {{"b", "a"}, {"ab", "a"}, {"a", "a"}, {"abc", "abb"}, {"", ""}};
    for (size_t row = 0; row < COUNT_OF(table); row++) {
        struct world *world = world_new(10, 0);
        struct index_builder builder;
        assert_int_equal(index_builder_init(&builder, &world->arena), 0);
        assert_int_equal(index_builder_add(&builder, key_of(table[row].first), 16), 0);
        assert_int_equal(index_builder_add(&builder, key_of(table[row].second), 32), -EINVAL);
        index_builder_abort(&builder);
        world_free(world);
    }
}

static void no_keys_make_no_root(void **state)
{
    (void)state;
    struct world *world = world_new(10, 0);
    struct key_set none = {0};
    assert_int_equal(build(world, &none, 0, 0, NULL), 0);
    world_free(world);
}

static void an_image_serves_at_another_address(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < key_kind_count; kind++) {
        struct key_set set = make(kind, kind, 3000);
        struct world *world = world_new(20000, 0);
        uint64_t *addresses = addresses_for(&set);
        uint64_t root = build(world, &set, 0, set.count, addresses);
        struct arena_stats before;
        struct arena_stats after;
        uint64_t size;
        arena_seal(&world->arena, &size);
        arena_read_stats(&world->arena, &before);

        struct world *other = world_new(20000, 0);
        assert_ptr_not_equal(other->arena.memory, world->arena.memory);
        memcpy(other->arena.memory, world->arena.memory, (size_t)size);
        memset(world->arena.memory, 0xee, (size_t)size);
        memcpy(other->log.keys, world->log.keys, 20000 * sizeof *other->log.keys);
        atomic_store(&other->log.count, set.count);
        assert_int_equal(arena_adopt(&other->arena, size), 0);
        index_adopt(&other->index, root, set.count);
        arena_read_stats(&other->arena, &after);
        assert_int_equal(before.live, after.live);
        expect_keys(other, &set, addresses);
        change_all(other, &set, addresses);

        free(addresses);
        world_free(world);
        world_free(other);
        key_set_free(&set);
    }
}

static void an_image_with_another_head_is_refused(void **state)
{
    (void)state;
    struct world *world = world_new(10, 0);
    uint64_t size;
    arena_seal(&world->arena, &size);
    assert_int_equal(arena_adopt(&world->arena, size + 64), -EINVAL);
    assert_int_equal(arena_adopt(&world->arena, 0), -EINVAL);
    world->arena.memory[0] ^= 1;
    assert_int_equal(arena_adopt(&world->arena, size), -EINVAL);
    world->arena.memory[0] ^= 1;
    assert_int_equal(arena_adopt(&world->arena, size), 0);
    world_free(world);
}

/* Fails allocation number `fail_at`. */
struct failing_memory {
    uint64_t calls;
    uint64_t fail_at;
};

static void *alloc_or_fail(void *context, size_t alignment, size_t size)
{
    struct failing_memory *memory = context;
    void *block = NULL;
    if (++memory->calls == memory->fail_at) {
        return NULL;
    }
    alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static void free_block(void *context, void *block)
{
    (void)context;
    free(block);
}

static int restore_system(void **state)
{
    (void)state;
    base_system_set(NULL);
    return 0;
}

static void a_build_that_finds_no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1; fail_at <= 12; fail_at++) {
        struct key_set set = make(5, 1, 1200);
        struct world *world = world_new(2000, 0);
        struct failing_memory memory = {.fail_at = fail_at};
        struct base_system system = {
            .context = &memory, .alloc = alloc_or_fail, .free = free_block};
        struct index_builder builder;
        base_system_set(&system);
        int rc = index_builder_init(&builder, &world->arena);
        for (uint32_t place = 0; place < set.count && rc == 0; place++) {
            rc = index_builder_add(&builder, set.keys[place],
                                   fake_log_append(&world->log, set.keys[place]));
        }
        if (memory.calls >= fail_at) {
            assert_int_equal(rc, -ENOMEM);
        }
        index_builder_abort(&builder);
        base_system_set(NULL);
        struct arena_stats stats;
        arena_read_stats(&world->arena, &stats);
        assert_int_equal(stats.live, 0);
        world_free(world);
        key_set_free(&set);
    }
}

static void a_build_beyond_the_limit_of_the_arena_is_refused(void **state)
{
    (void)state;
    struct key_set set = make(1, 1, 30000);
    struct world *world = world_new(30000, ARENA_LIMIT_MIN);
    struct index_builder builder;
    int rc = index_builder_init(&builder, &world->arena);
    for (uint32_t place = 0; place < set.count && rc == 0; place++) {
        rc = index_builder_add(&builder, set.keys[place],
                               fake_log_append(&world->log, set.keys[place]));
    }
    assert_int_equal(rc, -ENOMEM);
    index_builder_abort(&builder);
    struct arena_stats stats;
    arena_read_stats(&world->arena, &stats);
    assert_int_equal(stats.live, 0);
    world_free(world);
    key_set_free(&set);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_built_is_what_puts_would_have_made),
        cmocka_unit_test(ranges_that_were_built_apart_are_joined_into_one_tree),
        cmocka_unit_test(joining_keeps_no_node_that_is_not_in_the_tree),
        cmocka_unit_test(trees_that_are_not_in_order_are_not_joined),
        cmocka_unit_test(keys_that_do_not_ascend_are_refused),
        cmocka_unit_test(no_keys_make_no_root),
        cmocka_unit_test(an_image_serves_at_another_address),
        cmocka_unit_test(an_image_with_another_head_is_refused),
        cmocka_unit_test_teardown(a_build_that_finds_no_memory_leaves_nothing_behind,
                                  restore_system),
        cmocka_unit_test(a_build_beyond_the_limit_of_the_arena_is_refused),
    };
    return RUN_TESTS(tests, argc, argv);
}
