/* The index, one behaviour at a time. */
#include "engine/node.h"
#include "tests/engine/support.h"

#define ADDRESS_MAX INDEX_ADDRESS_MAX

static int load_same_key(void *context, uint64_t address, struct index_key *ret_key)
{
    (void)address;
    *ret_key = *(const struct index_key *)context;
    return 0;
}

static void an_empty_index_has_nothing_in_either_direction(void **state)
{
    (void)state;
    struct world *world = world_new(1, 0);
    struct index_iterator iterator;
    uint64_t address;
    assert_int_equal(world_find(world, key_of("a")), 0);
    index_iterator_init(&iterator, &world->index);
    for (int mode = INDEX_GE; mode <= INDEX_LAST; mode++) {
        assert_int_equal(index_seek(&iterator, key_of("a"), (enum index_seek)mode), 0);
        bool descending = mode == INDEX_LE || mode == INDEX_LT || mode == INDEX_LAST;
        int count = descending ? index_previous_batch(&iterator, &address, 1)
                               : index_next_batch(&iterator, &address, 1);
        assert_int_equal(count, 0);
    }
    assert_int_equal(index_remove(&world->index, key_of("a"), 16), 0);
    assert_int_equal(index_replace(&world->index, key_of("a"), 16, 32), 0);
    world_check(world);
    world_free(world);
}

static void the_empty_key_is_a_key(void **state)
{
    (void)state;
    struct world *world = world_new(4, 0);
    uint64_t empty = world_put(world, key_of(""), NULL);
    assert_int_equal(world_find(world, key_of("")), empty);
    assert_int_equal(world_find(world, key_of("a")), 0);
    uint64_t other = world_put(world, key_of("a"), NULL);
    assert_int_equal(world_find(world, key_of("")), empty);
    assert_int_equal(world_find(world, key_of("a")), other);
    world_check(world);
    world_free(world);
}

static void the_greatest_address_is_kept_whole(void **state)
{
    (void)state;
    const uint64_t greatest = ADDRESS_MAX & ~(UINT64_C(0xff) << WORLD_SPARE);
    struct world *world = world_new(1, 0);
    struct index_key key = key_of("key");
    struct index_source source = {.load = load_same_key, .context = &key};
    struct index index;
    uint64_t old;
    uint64_t address = 0;
    index_init(&index, &world->arena, &source);
    assert_int_equal(index_put(&index, key, greatest, &old), 0);
    assert_int_equal(index_find(&index, key, &address), 1);
    assert_int_equal(address, greatest);
    assert_int_equal(index_put(&index, key, 8, &old), 0);
    assert_int_equal(old, greatest);
    world_free(world);
}

static void a_key_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct world *world = world_new(1, 0);
    uint8_t *bytes = calloc(1, INDEX_KEY_SIZE_MAX + 1);
    assert_non_null(bytes);
    uint64_t old;
    struct index_key key = {.data = bytes, .size = INDEX_KEY_SIZE_MAX + 1};
    assert_int_equal(index_put(&world->index, key, 16, &old), -EINVAL);
    assert_int_equal(world_find(world, key), 0);
    free(bytes);
    world_free(world);
}

/* A node of every kind on the way from 2 to 257 entries and back. */
static void a_node_grows_to_all_bytes_and_the_end_and_shrinks_again(void **state)
{
    (void)state;
    struct world *world = world_new(300, 0);
    uint8_t bytes[256][2];
    uint64_t addresses[257];
    struct index_key end = {.data = bytes[0], .size = 1};
    addresses[256] = world_put(world, end, NULL);
    for (unsigned step = 0; step < 256; step++) {
        unsigned byte = step * 167 % 256;
        bytes[byte][0] = bytes[0][0];
        bytes[byte][1] = (uint8_t)byte;
        struct index_key key = {.data = bytes[byte], .size = 2};
        addresses[byte] = world_put(world, key, NULL);
        world_check(world);
    }
    struct index_stats stats;
    index_read_stats(&world->index, &stats);
    assert_int_equal(stats.nodes[7], 1);
    for (unsigned step = 0; step < 256; step++) {
        unsigned byte = step * 91 % 256;
        struct index_key key = {.data = bytes[byte], .size = 2};
        assert_int_equal(world_find(world, key), addresses[byte]);
        uint32_t slot = epoch_enter(&world->epochs);
        assert_int_equal(index_remove(&world->index, key, addresses[byte]), 1);
        epoch_leave(&world->epochs, slot);
        assert_int_equal(world_find(world, key), 0);
        assert_int_equal(world_find(world, end), addresses[256]);
        world_check(world);
    }
    assert_int_equal(index_keys(&world->index), 1);
    world_free(world);
}

static void damage_in_the_log_is_returned_and_changes_nothing(void **state)
{
    (void)state;
    struct world *world = world_new(4, 0);
    struct index_iterator iterator;
    uint64_t old;
    uint64_t found;
    uint64_t address = world_put(world, key_of("alpha"), NULL);
    (void)world_put(world, key_of("beta"), NULL);
    atomic_store(&world->log.damage, -EBADMSG);
    assert_int_equal(index_find(&world->index, key_of("alpha"), &found), -EBADMSG);
    assert_int_equal(index_put(&world->index, key_of("alphabet"), 64, &old), -EBADMSG);
    index_iterator_init(&iterator, &world->index);
    assert_int_equal(index_seek(&iterator, key_of("alpha"), INDEX_GE), -EBADMSG);
    assert_int_equal(index_next_batch(&iterator, &found, 1), -EINVAL);
    atomic_store(&world->log.damage, 0);
    assert_int_equal(world_find(world, key_of("alpha")), address);
    assert_int_equal(index_keys(&world->index), 2);
    world_check(world);
    world_free(world);
}

static void an_iterator_without_a_seek_or_against_it_is_refused(void **state)
{
    (void)state;
    struct world *world = world_new(4, 0);
    struct index_iterator iterator;
    uint64_t address;
    (void)world_put(world, key_of("a"), NULL);
    index_iterator_init(&iterator, &world->index);
    assert_int_equal(index_next_batch(&iterator, &address, 1), -EINVAL);
    assert_int_equal(index_seek(&iterator, key_of("a"), INDEX_GE), 0);
    assert_int_equal(index_previous_batch(&iterator, &address, 1), -EINVAL);
    assert_int_equal(index_next_batch(&iterator, &address, 1), 1);
    assert_int_equal(index_previous_batch(&iterator, &address, 1), 0);
    world_free(world);
}

/* A full node whose quarter has been listed: what is left of it changes between two batches. */
static void an_iterator_sees_what_leaves_of_a_full_node_have_become(void **state)
{
    (void)state;
    enum { FIRST = 10, DEEPER = 20, GONE = 30, NEWER = 40 };
    struct world *world = world_new(300, 0);
    uint8_t bytes[256];
    uint8_t long_bytes[2] = {DEEPER, 5};
    struct index_key deeper = {.data = long_bytes, .size = sizeof long_bytes};
    uint64_t addresses[256];
    for (unsigned byte = 0; byte < 256; byte++) {
        bytes[byte] = (uint8_t)byte;
        addresses[byte] = world_put(world, (struct index_key){&bytes[byte], 1}, NULL);
    }
    uint32_t slot = epoch_enter(&world->epochs);
    struct index_iterator iterator;
    uint64_t found[300];
    index_iterator_init(&iterator, &world->index);
    assert_int_equal(index_seek(&iterator, (struct index_key){NULL, 0}, INDEX_FIRST), 0);
    assert_int_equal(index_next_batch(&iterator, found, FIRST), FIRST);
    uint64_t below = world_put(world, deeper, NULL);
    addresses[NEWER] = world_put(world, (struct index_key){&bytes[NEWER], 1}, NULL);
    assert_int_equal(
        index_remove(&world->index, (struct index_key){&bytes[GONE], 1}, addresses[GONE]), 1);
    int count = index_next_batch(&iterator, found + FIRST, COUNT_OF(found) - FIRST);
    assert_int_equal(count, 256 - FIRST); /* one more, one less */
    uint64_t *at = found;
    for (unsigned byte = 0; byte < 256; byte++) {
        if (byte != GONE) {
            assert_int_equal(*at++, addresses[byte]);
        }
        if (byte == DEEPER) {
            assert_int_equal(*at++, below);
        }
    }
    epoch_leave(&world->epochs, slot);
    world_free(world);
}

/* A list that leads to leaves, to small nodes in no order, to one with an end, and under "g" to a
 * node of nodes: after that the places of the list are asked for again. */
static const char *const list_keys[] = {"k",  "a",   "dxb", "dxa", "m", "eb", "ea",
                                        "ec", "fa",  "f",   "ga1", "h", "gb", "ga2",
                                        "b",  "zc2", "c",   "zc1", "za"};

static struct world *world_of_list(uint64_t ret_addresses[COUNT_OF(list_keys)])
{
    struct world *world = world_new(100, 0);
    struct index_key sorted[COUNT_OF(list_keys)];
    for (unsigned place = 0; place < COUNT_OF(list_keys); place++) {
        sorted[place] = key_of(list_keys[place]);
        (void)world_put(world, sorted[place], NULL);
    }
    qsort(sorted, COUNT_OF(sorted), sizeof sorted[0], key_compare);
    for (unsigned place = 0; place < COUNT_OF(list_keys); place++) {
        ret_addresses[place] = world_find(world, sorted[place]);
    }
    return world;
}

static void lists_come_in_order_in_both_directions_and_batches_of_any_size(void **state)
{
    (void)state;
    enum { COUNT = COUNT_OF(list_keys) };
    uint64_t addresses[COUNT], found[COUNT + 1];
    struct world *world = world_of_list(addresses);
    uint32_t slot = epoch_enter(&world->epochs);
    struct index_iterator iterator;
    index_iterator_init(&iterator, &world->index);
    for (int max = 1; max <= COUNT + 1; max++) {
        for (int descending = 0; descending <= 1; descending++) {
            enum index_seek mode = descending != 0 ? INDEX_LAST : INDEX_FIRST;
            assert_int_equal(index_seek(&iterator, (struct index_key){NULL, 0}, mode), 0);
            int count, all = 0;
            do {
                int room = COUNT + 1 - all < max ? COUNT + 1 - all : max;
                count = descending != 0 ? index_previous_batch(&iterator, found + all, room)
                                        : index_next_batch(&iterator, found + all, room);
                all += count;
            } while (count > 0);
            assert_int_equal(all, COUNT);
            for (int place = 0; place < COUNT; place++) {
                int from = descending != 0 ? COUNT - 1 - place : place;
                assert_int_equal(found[place], addresses[from]);
            }
        }
    }
    epoch_leave(&world->epochs, slot);
    world_free(world);
}

/* "eb" and "h" go, "ed" comes, when the list has been listed. */
static void an_iterator_sees_what_leaves_of_a_list_have_become(void **state)
{
    (void)state;
    enum { COUNT = COUNT_OF(list_keys) };
    static const char *const left[] = {"a",  "b",   "c",   "dxa", "dxb", "ea", "ec", "ed",  "f",
                                       "fa", "ga1", "ga2", "gb",  "k",   "m",  "za", "zc1", "zc2"};
    uint64_t addresses[COUNT], found[COUNT + 1];
    struct world *world = world_of_list(addresses);
    uint32_t slot = epoch_enter(&world->epochs);
    struct index_iterator iterator;
    index_iterator_init(&iterator, &world->index);
    assert_int_equal(index_seek(&iterator, (struct index_key){NULL, 0}, INDEX_FIRST), 0);
    assert_int_equal(index_next_batch(&iterator, found, 1), 1);
    (void)world_put(world, key_of("ed"), NULL);
    uint64_t gone[2] = {world_find(world, key_of("eb")), world_find(world, key_of("h"))};
    assert_int_equal(index_remove(&world->index, key_of("eb"), gone[0]), 1);
    assert_int_equal(index_remove(&world->index, key_of("h"), gone[1]), 1);
    assert_int_equal(index_next_batch(&iterator, found + 1, COUNT), COUNT_OF(left) - 1);
    for (unsigned place = 0; place < COUNT_OF(left); place++) {
        assert_int_equal(found[place], world_find(world, key_of(left[place])));
    }
    epoch_leave(&world->epochs, slot);
    world_free(world);
}

/* ---- deeper than the levels that an iterator keeps ---- */

#define DEEP (3 * INDEX_LEVELS + 8)

/* Each byte of a long key has a node of its own, whose other entry comes before it, or behind it:
 * the first `before` of them before. */
struct deep {
    struct world *world;
    uint8_t bytes[DEEP][DEEP + 1];
    struct index_key sorted[DEEP];
    uint64_t addresses[DEEP];
};

static struct deep *deep_new(unsigned before, unsigned turn)
{
    struct deep *deep = calloc(1, sizeof *deep);
    assert_non_null(deep);
    deep->world = world_new(DEEP, 0);
    for (unsigned i = 0; i < DEEP; i++) {
        memset(deep->bytes[i], 'm', i);
        deep->bytes[i][i] = (i < before) != (turn != 0) ? 'a' : 'z';
        deep->sorted[i] = (struct index_key){deep->bytes[i], i + 1};
        (void)world_put(deep->world, deep->sorted[i], NULL);
    }
    qsort(deep->sorted, DEEP, sizeof deep->sorted[0], key_compare);
    for (unsigned i = 0; i < DEEP; i++) {
        deep->addresses[i] = world_find(deep->world, deep->sorted[i]);
    }
    return deep;
}

static void deep_free(struct deep *deep)
{
    world_free(deep->world);
    free(deep);
}

/* From a bound on: all that comes, in batches of this size. */
static void expect_from(struct deep *deep, unsigned place, enum index_seek mode, int max)
{
    struct index_iterator iterator;
    uint64_t found[DEEP + 1];
    bool descending = mode == INDEX_LE || mode == INDEX_LT;
    bool equal = mode == INDEX_GE || mode == INDEX_LE;
    int got, all = 0;
    index_iterator_init(&iterator, &deep->world->index);
    assert_int_equal(index_seek(&iterator, deep->sorted[place], mode), 0);
    do {
        int room = DEEP + 1 - all < max ? DEEP + 1 - all : max;
        got = descending ? index_previous_batch(&iterator, found + all, room)
                         : index_next_batch(&iterator, found + all, room);
        assert_true(got >= 0);
        all += got;
    } while (got > 0);
    assert_int_equal(all, (descending ? place : DEEP - 1 - place) + (equal ? 1 : 0));
    for (int i = 0; i < all; i++) {
        unsigned step = (unsigned)i + (equal ? 0 : 1);
        assert_int_equal(found[i], deep->addresses[descending ? place - step : place + step]);
    }
}

static void a_tree_that_is_deeper_than_an_iterator_comes_whole_from_any_key_on(void **state)
{
    (void)state;
    static const unsigned before[] = {0, INDEX_LEVELS + 10, 2 * INDEX_LEVELS, DEEP};
    for (unsigned i = 0; i < 2 * COUNT_OF(before); i++) {
        struct deep *deep = deep_new(before[i / 2], i % 2);
        uint32_t slot = epoch_enter(&deep->world->epochs);
        for (unsigned place = 0; place < DEEP; place++) {
            for (int mode = INDEX_GE; mode < INDEX_FIRST; mode++) {
                expect_from(deep, place, mode, place % 3 == 0 ? 1 : 100);
            }
        }
        epoch_leave(&deep->world->epochs, slot);
        deep_free(deep);
    }
}

/* As in a log of 512 GiB: what lies at such an address is nobody's memory. */
#define FAR (UINT64_C(1) << 39)

static int load_far_key(void *context, uint64_t address, struct index_key *ret_key)
{
    *ret_key = fake_log_key(context, address - FAR);
    return 0;
}

/* Of 256 nodes of two keys each some lose one, or both, after they were listed as nodes to fetch
 * ahead: what is there then is no node, and its word no place in the arena. */
static void an_iterator_fetches_no_node_ahead_that_has_become_a_leaf_since(void **state)
{
    (void)state;
    static uint8_t bytes[512][2];
    uint64_t addresses[512], found[513];
    unsigned count = 0;
    struct world *world = world_new(512, 0);
    world->index.source = (struct index_source){.load = load_far_key, .context = &world->log};
    uint32_t slot = epoch_enter(&world->epochs);
    for (unsigned place = 0; place < 512; place++) {
        uint64_t old;
        bytes[place][0] = (uint8_t)(place / 2);
        bytes[place][1] = (uint8_t)('a' + place % 2);
        struct index_key key = {bytes[place], 2};
        addresses[place] = FAR + fake_log_append(&world->log, key);
        assert_int_equal(index_put(&world->index, key, addresses[place], &old), 0);
    }
    struct index_iterator iterator;
    index_iterator_init(&iterator, &world->index);
    assert_int_equal(index_seek(&iterator, (struct index_key){NULL, 0}, INDEX_FIRST), 0);
    assert_int_equal(index_next_batch(&iterator, found, 1), 1);
    for (unsigned place = 60; place < 120; place += 2) { /* of the quarter that is listed */
        struct index_key first = {bytes[place], 2}, second = {bytes[place + 1], 2};
        assert_int_equal(index_remove(&world->index, first, addresses[place]), 1);
        addresses[place] = 0;
        if (place % 3 == 0) {
            assert_int_equal(index_remove(&world->index, second, addresses[place + 1]), 1);
            addresses[place + 1] = 0;
        }
    }
    int got = index_next_batch(&iterator, found + 1, 512);
    for (unsigned place = 0; place < 512; place++) {
        if (addresses[place] != 0) {
            assert_int_equal(found[count++], addresses[place]);
        }
    }
    assert_int_equal(1 + got, count);
    epoch_leave(&world->epochs, slot);
    world_free(world);
}

static void a_full_arena_refuses_a_put_and_the_index_serves_on(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 3);
    struct key_set set = key_kinds[1].make(&prng, 20000);
    struct world *world = world_new(60000, ARENA_LIMIT_MIN);
    uint64_t *addresses = calloc(set.count, sizeof *addresses);
    assert_non_null(addresses);
    unsigned refused = 0;
    for (uint32_t place = 0; place < set.count; place++) {
        uint64_t old = 7;
        uint64_t address = fake_log_append(&world->log, set.keys[place]);
        uint32_t slot = epoch_enter(&world->epochs);
        int rc = index_put(&world->index, set.keys[place], address, &old);
        epoch_leave(&world->epochs, slot);
        assert_true(rc == 0 || rc == -ENOMEM);
        refused += rc != 0;
        addresses[place] = rc == 0 ? address : 0;
        assert_int_equal(old, rc == 0 ? 0 : 7);
    }
    assert_true(refused > 0);
    world_check(world);
    for (uint32_t place = 0; place < set.count; place++) {
        assert_int_equal(world_find(world, set.keys[place]), addresses[place]);
        if (addresses[place] != 0) {
            uint32_t slot = epoch_enter(&world->epochs);
            assert_int_equal(index_remove(&world->index, set.keys[place], addresses[place]), 1);
            epoch_leave(&world->epochs, slot);
        }
    }
    assert_int_equal(atomic_load(&world->index.root), 0);
    (void)epoch_reclaim(&world->epochs);
    (void)world_put(world, set.keys[0], NULL);
    (void)world_put(world, set.keys[1], NULL);
    world_check(world);
    free(addresses);
    world_free(world);
    key_set_free(&set);
}

/* Takes all memory that can be had. Returns one of the smallest objects. */
static uint64_t exhaust(struct engine_arena *arena)
{
    uint64_t kept = arena_alloc(arena, 0);
    assert_int_not_equal(kept, 0);
    for (unsigned size_class = ARENA_CLASSES; size_class-- > 0;) {
        while (arena_alloc(arena, size_class) != 0) {
        }
    }
    return kept;
}

/* A put of "ab" at a leaf of "aa": one node of two. `stocked`: its memory was set aside, and the
 * leaf is replaced in between; else memory waits for the epochs. */
static void put_at_a_leaf_in_a_full_arena(bool stocked)
{
    struct world *world = world_new(100, ARENA_LIMIT_MIN);
    const struct index_key there = {(const uint8_t *)"aa", 2}, key = {(const uint8_t *)"ab", 2};
    struct arena_region region = {0};
    struct index_descent descent;
    uint64_t candidate, old = 7;
    uint32_t slot = 0;
    (void)world_put(world, there, NULL);
    assert_true(!stocked || index_stock(&world->arena, &region, 1));
    uint64_t offset = exhaust(&world->arena);
    if (!stocked) {
        uint64_t *object = arena_at(&world->arena, offset);
        uint32_t before = epoch_enter(&world->epochs);
        object[0] = 0; /* its class */
        (void)arena_retire(&world->arena, offset, 0, (struct epoch_retired *)&object[1]);
        (void)epoch_reclaim(&world->epochs); /* not yet */
        slot = epoch_enter(&world->epochs);
        epoch_leave(&world->epochs, before);
    } else {
        slot = epoch_enter(&world->epochs);
    }
    assert_int_equal(index_descend(&world->index, key, &descent, &candidate), 1);
    descent.is_key = false;
    descent.region = stocked ? &region : NULL;
    if (stocked) {
        uint64_t newer = fake_log_append(&world->log, there);
        assert_int_equal(index_put(&world->index, there, newer, &old), 0);
        assert_int_equal(old, candidate);
    }
    uint64_t address = fake_log_append(&world->log, key);
    assert_int_equal(index_put_at(&world->index, &descent, key, address, &old), 0);
    assert_int_equal(old, 0);
    epoch_leave(&world->epochs, slot);
    assert_int_equal(world_find(world, key), address);
    assert_int_equal(index_keys(&world->index), 2);
    world_free(world);
}

static void a_put_at_its_place_uses_the_last_memory_that_there_is(void **state)
{
    (void)state;
    put_at_a_leaf_in_a_full_arena(true);
    put_at_a_leaf_in_a_full_arena(false);
}

/* What was done to an index that was right, and what is said about it. */
static void flip_lock(struct world *world)
{
    uint64_t word = atomic_load(&world->index.root);
    atomic_fetch_xor(&node_at(&world->arena, word)->header, HEADER_LOCKED);
}

static void flip_tail(struct world *world)
{
    uint64_t word = atomic_load(&world->index.root);
    atomic_fetch_xor(&node_at(&world->arena, word)->tail, 1);
}

static void flip_offset(struct world *world)
{
    atomic_fetch_xor(&world->index.root, UINT64_C(1) << 38);
}

static void flip_count(struct world *world)
{
    atomic_fetch_xor(&world->index.counters[0].keys, 1);
}

static void swap_keys(struct world *world)
{
    struct index_key first = world->log.keys[0];
    world->log.keys[0] = world->log.keys[1];
    world->log.keys[1] = first;
}

static void a_check_says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct world *world); /* twice is none */
        const char *what;
    } table[] = {{flip_lock, "locked"},
                 {flip_tail, "tail"},
                 {flip_offset, "outside"},
                 {flip_count, "number"},
                 {swap_keys, "not found"}};
    struct world *world = world_new(4, 0);
    (void)world_put(world, key_of("key a"), NULL);
    (void)world_put(world, key_of("key b"), NULL);
    (void)world_put(world, key_of("key c"), NULL);
    for (size_t row = 0; row < COUNT_OF(table); row++) {
        const char *what = NULL;
        table[row].change(world);
        assert_int_equal(index_check(&world->index, &what), -EBADMSG);
        assert_non_null(strstr(what, table[row].what));
        table[row].change(world);
        world_check(world);
    }
    world_free(world);
}

static void a_get_loads_one_key_and_a_replace_none(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 3);
    struct key_set set = key_kinds[6].make(&prng, 1000);
    struct world *world = world_new(3000, 0);
    uint64_t address = 0;
    for (uint32_t place = 0; place < set.count; place++) {
        address = world_put(world, set.keys[place], NULL);
    }
    uint64_t loads = atomic_load(&world->log.loads);
    assert_int_equal(world_find(world, set.keys[set.count - 1]), address);
    assert_int_equal(atomic_load(&world->log.loads), loads + 1);
    uint32_t slot = epoch_enter(&world->epochs);
    uint64_t to = fake_log_append(&world->log, set.keys[set.count - 1]);
    assert_int_equal(index_replace(&world->index, set.keys[set.count - 1], address, to), 1);
    epoch_leave(&world->epochs, slot);
    assert_int_equal(atomic_load(&world->log.loads), loads + 1);
    world_free(world);
    key_set_free(&set);
}

static void a_put_allocates_nothing_but_in_the_arena(void **state)
{
    (void)state;
    struct base_prng prng;
    base_prng_seed(&prng, 3);
    struct key_set set = key_kinds[3].make(&prng, 1000);
    struct world *world = world_new(3000, 0);
    uint64_t count = base_alloc_count();
    for (uint32_t place = 0; place < set.count; place++) {
        (void)world_put(world, set.keys[place], NULL);
    }
    assert_int_equal(base_alloc_count(), count);
    world_free(world);
    key_set_free(&set);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_index_has_nothing_in_either_direction),
        cmocka_unit_test(the_empty_key_is_a_key),
        cmocka_unit_test(the_greatest_address_is_kept_whole),
        cmocka_unit_test(a_key_that_is_too_long_is_refused),
        cmocka_unit_test(a_node_grows_to_all_bytes_and_the_end_and_shrinks_again),
        cmocka_unit_test(damage_in_the_log_is_returned_and_changes_nothing),
        cmocka_unit_test(an_iterator_without_a_seek_or_against_it_is_refused),
        cmocka_unit_test(an_iterator_sees_what_leaves_of_a_full_node_have_become),
        cmocka_unit_test(lists_come_in_order_in_both_directions_and_batches_of_any_size),
        cmocka_unit_test(an_iterator_sees_what_leaves_of_a_list_have_become),
        cmocka_unit_test(a_tree_that_is_deeper_than_an_iterator_comes_whole_from_any_key_on),
        cmocka_unit_test(an_iterator_fetches_no_node_ahead_that_has_become_a_leaf_since),
        cmocka_unit_test(a_full_arena_refuses_a_put_and_the_index_serves_on),
        cmocka_unit_test(a_put_at_its_place_uses_the_last_memory_that_there_is),
        cmocka_unit_test(a_check_says_what_is_wrong),
        cmocka_unit_test(a_get_loads_one_key_and_a_replace_none),
        cmocka_unit_test(a_put_allocates_nothing_but_in_the_arena),
    };
    return RUN_TESTS(tests, argc, argv);
}
