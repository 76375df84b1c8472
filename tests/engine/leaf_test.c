/* What the leaves of an index know of their keys beside where they lie. */
#include "engine/index_build.h"
#include "engine/leaf.h"
#include "tests/engine/support.h"

static void an_address_with_bits_that_leaves_need_is_refused(void **state)
{
    (void)state;
    const uint64_t address = UINT64_C(1) << WORLD_SPARE | 16;
    struct world *world = world_new(2, 0);
    struct index_builder builder;
    struct index_descent descent;
    uint64_t old, candidate;
    uint64_t before = world_put(world, key_of("a"), NULL);
    assert_int_equal(index_put(&world->index, key_of("b"), address, &old), -EFBIG);
    assert_int_equal(index_descend(&world->index, key_of("b"), &descent, &candidate), 0);
    descent.is_key = false;
    descent.region = NULL;
    assert_int_equal(index_put_at(&world->index, &descent, key_of("b"), address, &old), -EFBIG);
    assert_int_equal(index_replace(&world->index, key_of("a"), before, address), -EFBIG);
    assert_int_equal(index_builder_init(&builder, &world->arena), 0);
    assert_int_equal(index_builder_add(&builder, key_of("b"), address), -EFBIG);
    index_builder_abort(&builder);
    assert_int_equal(world_find(world, key_of("a")), before);
    assert_int_equal(index_keys(&world->index), 1);
    world_check(world);
    world_free(world);
}

static uint64_t loads_of(struct world *world)
{
    return atomic_exchange(&world->log.loads, 0);
}

/* By all the ways that there are, and without loading a key. */
static void expect_seen_absent(struct world *world, const char *text)
{
    struct index_key key = key_of(text);
    struct index_lane lane = {.index = &world->index, .key = key, .address = 1};
    struct index_descent descent;
    uint64_t address;
    (void)loads_of(world);
    uint32_t slot = epoch_enter(&world->epochs);
    assert_false(index_candidate(&world->index, key, &address));
    assert_int_equal(index_descend(&world->index, key, &descent, &address), 0);
    index_candidates(&lane, 1);
    epoch_leave(&world->epochs, slot);
    assert_int_equal(lane.address, 0);
    assert_int_equal(loads_of(world), 0);
}

/* How many keys the put of one loads. All are found afterwards. */
static uint64_t put_loads(struct world *world, const char *text)
{
    (void)loads_of(world);
    uint64_t address = world_put(world, key_of(text), NULL);
    uint64_t loads = loads_of(world);
    struct index_lane lane = {.index = &world->index, .key = key_of(text)};
    assert_int_equal(world_find(world, key_of(text)), address);
    uint32_t slot = epoch_enter(&world->epochs);
    index_candidates(&lane, 1);
    epoch_leave(&world->epochs, slot);
    assert_int_equal(lane.address, address);
    world_check(world);
    return loads;
}

static void a_leaf_tells_where_a_new_key_parts_from_its_own(void **state)
{
    (void)state;
    struct world *world = world_new(16, 0);
    assert_int_equal(put_loads(world, "abcdef"), 0);
    expect_seen_absent(world, "bbcdef");             /* at the root the first byte is the next */
    assert_int_equal(put_loads(world, "axyzuv"), 1); /* that is the same: it has to be loaded */
    expect_seen_absent(world, "abCdef");
    expect_seen_absent(world, "ab"); /* ends in front of the byte that the leaf knows */
    assert_int_equal(put_loads(world, "ax!"), 0);
    assert_int_equal(put_loads(world, "ax?"), 0);
    assert_int_equal(put_loads(world, "ab"), 0);
    assert_int_equal(put_loads(world, "abCdef"), 0);
    assert_int_equal(put_loads(world, "abcDef"), 1); /* put aside, the leaf knew no more */
    expect_seen_absent(world, "abcd!f");             /* loaded, it knows again */
    assert_int_equal(put_loads(world, "abcd"), 0);
    world_free(world);
}

static void remove_key(struct world *world, const char *text)
{
    uint64_t address = world_find(world, key_of(text));
    uint32_t slot = epoch_enter(&world->epochs);
    assert_int_equal(index_remove(&world->index, key_of(text), address), 1);
    epoch_leave(&world->epochs, slot);
    world_check(world);
}

static void a_leaf_knows_its_next_byte_wherever_it_is_hung(void **state)
{
    (void)state;
    struct world *world = world_new(16, 0);
    (void)put_loads(world, "abcdef");
    (void)put_loads(world, "abcdxy");
    (void)put_loads(world, "b");
    remove_key(world, "abcdxy"); /* a node of depth 4 goes: its byte at 1 was on the way */
    expect_seen_absent(world, "aBcdef");
    (void)put_loads(world, "aXcdef");
    (void)put_loads(world, "a"); /* ends at the node of depth 1 */
    remove_key(world, "aXcdef");
    remove_key(world, "abcdef");
    assert_int_equal(put_loads(world, "aa"), 1); /* of a key that ends there is no next byte */
    remove_key(world, "a");
    remove_key(world, "b");
    expect_seen_absent(world, "ba"); /* at the root again: the byte that chose it is the next */
    assert_int_equal(put_loads(world, "x"), 0);
    world_free(world);
}

static void a_leaf_whose_address_moves_knows_its_next_byte(void **state)
{
    (void)state;
    struct world *world = world_new(16, 0);
    (void)put_loads(world, "abcdef");
    (void)put_loads(world, "bcdefg");
    (void)put_loads(world, "aXcdef"); /* the leaf of "abcdef" knows no more */
    uint64_t from = world_find(world, key_of("abcdef"));
    uint64_t to = fake_log_append(&world->log, key_of("abcdef"));
    uint32_t slot = epoch_enter(&world->epochs);
    assert_int_equal(index_replace(&world->index, key_of("abcdef"), from, to), 1);
    epoch_leave(&world->epochs, slot);
    expect_seen_absent(world, "abXdef");
    assert_int_equal(put_loads(world, "abXdef"), 0);
    (void)world_put(world, key_of("abcdef"), NULL); /* over itself */
    expect_seen_absent(world, "abcXef");
    world_free(world);
}

static void forget_root(struct world *world)
{
    atomic_fetch_xor(&world->index.root, UINT64_C(1) << WORLD_SPARE);
}

static void a_check_sees_a_leaf_that_knows_another_byte(void **state)
{
    (void)state;
    struct world *world = world_new(2, 0);
    const char *what;
    (void)put_loads(world, "abc");
    forget_root(world);
    uint32_t slot = epoch_enter(&world->epochs);
    assert_int_equal(index_check(&world->index, &what), -EBADMSG);
    epoch_leave(&world->epochs, slot);
    assert_string_equal(what, "a leaf knows a byte that its key does not have");
    world_free(world);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_with_bits_that_leaves_need_is_refused),
        cmocka_unit_test(a_leaf_tells_where_a_new_key_parts_from_its_own),
        cmocka_unit_test(a_leaf_knows_its_next_byte_wherever_it_is_hung),
        cmocka_unit_test(a_leaf_whose_address_moves_knows_its_next_byte),
        cmocka_unit_test(a_check_sees_a_leaf_that_knows_another_byte),
    };
    return RUN_TESTS(tests, argc, argv);
}
