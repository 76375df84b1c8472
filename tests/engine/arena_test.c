/* The arena: every object is memory of its own, what is freed is used again, the limit holds. */
#include "tests/engine/support.h"

#include "base/system.h"
#include "base/thread.h"
#include "engine/arena.h"

struct fixture {
    struct engine_epochs epochs;
    struct engine_arena arena;
};

static struct fixture *begin(uint64_t limit)
{
    struct fixture *fixture = base_alloc_aligned(BASE_CACHE_LINE, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(epochs_init(&fixture->epochs), 0);
    assert_int_equal(arena_init(&fixture->arena, &fixture->epochs, limit, ARENA_PAGES_SMALL), 0);
    return fixture;
}

static void end(struct fixture *fixture)
{
    arena_destroy(&fixture->arena);
    epochs_destroy(&fixture->epochs);
    base_free(fixture);
}

/* With the class in the first word and the link in the second, as the arena wants it. */
static void retire(struct engine_arena *arena, uint64_t offset, unsigned size_class)
{
    uint64_t *object = arena_at(arena, offset);
    object[0] = (uint64_t)size_class << ARENA_CLASS_SHIFT;
    (void)arena_retire(arena, offset, size_class, (struct epoch_retired *)&object[1]);
}

static void objects_do_not_overlap_and_lie_at_their_unit(void **state)
{
    (void)state;
    struct fixture *fixture = begin(0);
    for (int turn = 0; turn < 500; turn++) {
        for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
            uint64_t offset = arena_alloc(&fixture->arena, size_class);
            assert_true(offset != 0 && offset % ARENA_UNIT == 0);
            uint8_t *object = arena_at(&fixture->arena, offset);
            for (unsigned place = 0; place < arena_class_bytes[size_class]; place++) {
                assert_int_equal(object[place], 0);
            }
            memset(object, 0xff, arena_class_bytes[size_class]);
        }
    }
    struct arena_stats stats;
    arena_read_stats(&fixture->arena, &stats);
    for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
        assert_int_equal(stats.objects[size_class], 500);
    }
    assert_int_equal(stats.used, stats.live + stats.free);
    end(fixture);
}

static void what_is_freed_is_used_again(void **state)
{
    (void)state;
    struct fixture *fixture = begin(0);
    uint64_t first = arena_alloc(&fixture->arena, 2);
    arena_free(&fixture->arena, first, 2);
    struct arena_stats before;
    arena_read_stats(&fixture->arena, &before);
    assert_int_equal(before.live, 0);
    for (int turn = 0; turn < 10000; turn++) {
        uint64_t offset = arena_alloc(&fixture->arena, 2);
        assert_int_not_equal(offset, 0);
        retire(&fixture->arena, offset, 2);
        (void)epoch_reclaim(&fixture->epochs);
    }
    struct arena_stats after;
    arena_read_stats(&fixture->arena, &after);
    assert_int_equal(after.used, before.used);
    assert_int_equal(after.live, 0);
    end(fixture);
}

/* Overlaps are seen by what the others have left; `pooled` is what waits for a class that has none.
 */
static void expect_small_from_large(unsigned large_class, unsigned small_class)
{
    enum { COUNT = 64 };
    struct fixture *fixture = begin(0);
    uint64_t large[COUNT], size = arena_class_bytes[small_class];
    for (unsigned index = 0; index < 2000; index++) { /* chunks of several objects from now on */
        assert_int_not_equal(arena_alloc(&fixture->arena, 7), 0);
    }
    for (unsigned index = 0; index < COUNT; index++) {
        large[index] = arena_alloc(&fixture->arena, large_class);
    }
    struct arena_stats before;
    arena_read_stats(&fixture->arena, &before);
    for (unsigned index = 0; index < COUNT; index++) {
        retire(&fixture->arena, large[index], large_class);
    }
    (void)epoch_reclaim(&fixture->epochs);
    uint64_t most = COUNT * (arena_class_bytes[large_class] / size - 1), count = 0;
    struct arena_stats after = before;
    for (; after.used == before.used; count++) {
        uint64_t offset = arena_alloc(&fixture->arena, small_class);
        assert_true(offset != 0 && offset % (size & -size) == 0); /* in one line, if it can be */
        uint8_t *object = arena_at(&fixture->arena, offset);
        for (unsigned place = 16; place < size; place++) {
            assert_int_equal(object[place], 0); /* of nobody else */
        }
        memset(object, 0xff, size);
        arena_read_stats(&fixture->arena, &after);
    }
    assert_true(count > most);
    assert_int_equal(after.objects[small_class], count);
    assert_int_equal(after.objects[large_class], 0);
    assert_int_equal(atomic_load(&fixture->arena.pooled), 0);
    end(fixture);
}

static void what_larger_objects_leave_becomes_smaller_ones(void **state)
{
    (void)state;
    static const unsigned classes[][2] = {{5, 0}, {5, 2}, {13, 2}, {13, 10}, {15, 2}, {4, 9}};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        expect_small_from_large(classes[i][0], classes[i][1]);
    }
}

static void turns_of_large_and_small_objects_take_no_more_each_time(void **state)
{
    (void)state;
    struct fixture *fixture = begin(0);
    enum { LARGE = 6, SMALL = 2, LARGES = 50, SMALLS = 1000 };
    static uint64_t offsets[SMALLS];
    uint64_t used = 0;
    for (int turn = 0; turn < 10; turn++) {
        for (int phase = 0; phase < 2; phase++) {
            unsigned size_class = phase == 0 ? LARGE : SMALL;
            unsigned count = phase == 0 ? LARGES : SMALLS;
            for (unsigned index = 0; index < count; index++) {
                offsets[index] = arena_alloc(&fixture->arena, size_class);
                assert_int_not_equal(offsets[index], 0);
            }
            for (unsigned index = 0; index < count; index++) {
                retire(&fixture->arena, offsets[index], size_class);
            }
            (void)epoch_reclaim(&fixture->epochs);
        }
        struct arena_stats stats;
        arena_read_stats(&fixture->arena, &stats);
        assert_true(turn < 2 || stats.used == used);
        used = stats.used;
    }
    end(fixture);
}

static void a_reader_holds_back_memory_until_it_leaves(void **state)
{
    (void)state;
    struct fixture *fixture = begin(0);
    struct arena_stats stats;
    uint32_t slot = epoch_enter(&fixture->epochs);
    for (int turn = 0; turn < 100; turn++) {
        retire(&fixture->arena, arena_alloc(&fixture->arena, 7), 7);
        (void)epoch_reclaim(&fixture->epochs);
    }
    arena_read_stats(&fixture->arena, &stats);
    assert_int_equal(stats.retired, 100 * arena_class_bytes[7]);
    assert_int_equal(stats.live, stats.retired);
    struct epoch_oldest oldest;
    assert_true(epoch_oldest(&fixture->epochs, &oldest));
    assert_int_equal(oldest.slot, slot);
    assert_int_equal(oldest.held_bytes, stats.retired);
    epoch_leave(&fixture->epochs, slot);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 100);
    arena_read_stats(&fixture->arena, &stats);
    assert_int_equal(stats.retired, 0);
    assert_int_equal(stats.live, 0);
    end(fixture);
}

static void without_epochs_memory_is_freed_at_once(void **state)
{
    (void)state;
    struct engine_arena *arena = base_alloc_aligned(BASE_CACHE_LINE, sizeof *arena);
    assert_non_null(arena);
    assert_int_equal(arena_init(arena, NULL, ARENA_LIMIT_MIN, ARENA_PAGES_SMALL), 0);
    uint64_t offset = arena_alloc(arena, 3);
    retire(arena, offset, 3);
    struct arena_stats stats;
    arena_read_stats(arena, &stats);
    assert_int_equal(stats.live, 0);
    arena_destroy(arena);
    base_free(arena);
}

static void the_limit_holds_and_what_is_freed_below_it_can_be_had_again(void **state)
{
    (void)state;
    for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
        struct fixture *fixture = begin(ARENA_LIMIT_MIN);
        uint64_t last = 0;
        uint64_t count = 0;
        for (;;) {
            uint64_t offset = arena_alloc(&fixture->arena, size_class);
            if (offset == 0) {
                break;
            }
            assert_true(offset + arena_class_bytes[size_class] <= ARENA_LIMIT_MIN);
            last = offset;
            count++;
        }
        assert_true(count * arena_class_bytes[size_class] > ARENA_LIMIT_MIN * 9 / 10);
        arena_free(&fixture->arena, last, size_class);
        assert_int_equal(arena_alloc(&fixture->arena, size_class), last);
        assert_int_equal(arena_alloc(&fixture->arena, size_class), 0);
        end(fixture);
    }
}

static void a_limit_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct engine_arena *arena = base_alloc_aligned(BASE_CACHE_LINE, sizeof *arena);
    assert_non_null(arena);
    assert_int_equal(arena_init(arena, NULL, ARENA_LIMIT_MIN - 1, 0), -EINVAL);
    assert_int_equal(arena_init(arena, NULL, ARENA_LIMIT_MAX + 1, 0), -EINVAL);
    base_free(arena);
}

static void *pages_of_test(void *context, size_t size, unsigned flags)
{
    size_t *most = context;
    (void)flags;
    return size <= *most ? calloc(1, size) : NULL;
}

static void free_pages_of_test(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

static int restore_system(void **state)
{
    (void)state;
    base_system_set(NULL);
    return 0;
}

static void pages_of_another_system_serve_and_their_refusal_is_told(void **state)
{
    (void)state;
    size_t most = (size_t)16 << 20;
    struct base_system system = {
        .context = &most, .pages_alloc = pages_of_test, .pages_free = free_pages_of_test};
    base_system_set(&system);
    struct fixture *fixture = begin(most);
    assert_int_not_equal(arena_alloc(&fixture->arena, 0), 0);
    struct engine_arena *other = base_alloc_aligned(BASE_CACHE_LINE, sizeof *other);
    assert_non_null(other);
    assert_int_equal(arena_init(other, NULL, 0, 0), -ENOMEM);
    base_free(other);
    end(fixture);
}

#define THREADS 4
#define ROUNDS 3000

struct share {
    struct fixture *fixture;
    uint8_t mark;
    _Atomic uint32_t *overlaps;
};

/* Marks each object that it has, and looks whether the mark is still there later. */
static void allocate_and_free(void *context)
{
    struct share *share = context;
    struct engine_arena *arena = &share->fixture->arena;
    uint64_t held[16] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned size_class = round % 16;
        uint64_t *place = &held[size_class];
        if (*place != 0) {
            const uint8_t *object = arena_at(arena, *place);
            if (object[0] != share->mark ||
                object[arena_class_bytes[size_class] - 1] != share->mark) {
                atomic_fetch_add(share->overlaps, 1);
            }
            arena_free(arena, *place, size_class);
        }
        *place = arena_alloc(arena, size_class);
        memset(arena_at(arena, *place), share->mark, arena_class_bytes[size_class]);
    }
}

static void threads_get_memory_of_their_own(void **state)
{
    (void)state;
    struct fixture *fixture = begin(0);
    _Atomic uint32_t overlaps = 0;
    struct base_thread threads[THREADS];
    struct share shares[THREADS];
    for (unsigned index = 0; index < THREADS; index++) {
        shares[index] = (struct share){fixture, (uint8_t)(index + 1), &overlaps};
        assert_int_equal(
            base_thread_start(&threads[index], "arena", allocate_and_free, &shares[index]), 0);
    }
    for (unsigned index = 0; index < THREADS; index++) {
        base_thread_join(&threads[index]);
    }
    assert_int_equal(overlaps, 0);
    struct arena_stats stats;
    arena_read_stats(&fixture->arena, &stats);
    for (unsigned size_class = 0; size_class < ARENA_CLASSES; size_class++) {
        assert_int_equal(stats.objects[size_class], THREADS);
    }
    end(fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_do_not_overlap_and_lie_at_their_unit),
        cmocka_unit_test(what_is_freed_is_used_again),
        cmocka_unit_test(what_larger_objects_leave_becomes_smaller_ones),
        cmocka_unit_test(turns_of_large_and_small_objects_take_no_more_each_time),
        cmocka_unit_test(a_reader_holds_back_memory_until_it_leaves),
        cmocka_unit_test(without_epochs_memory_is_freed_at_once),
        cmocka_unit_test(the_limit_holds_and_what_is_freed_below_it_can_be_had_again),
        cmocka_unit_test(a_limit_that_makes_no_sense_is_refused),
        cmocka_unit_test_teardown(pages_of_another_system_serve_and_their_refusal_is_told,
                                  restore_system),
        cmocka_unit_test(threads_get_memory_of_their_own),
    };
    return RUN_TESTS(tests, argc, argv);
}
