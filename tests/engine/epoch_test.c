/* Epochs: what is retired is freed when nobody can look at it any more, and not before. */
#include "tests/engine/support.h"

#include "base/clock.h"
#include "base/system.h"
#include "base/thread.h"
#include "engine/epoch.h"

struct object {
    struct epoch_retired retired;
    _Atomic bool freed;
};

static void mark_freed(void *context, struct epoch_retired *list)
{
    size_t *count = context;
    while (list != NULL) {
        struct epoch_retired *next = epoch_retired_next(list);
        struct object *object = (struct object *)list;
        atomic_store(&object->freed, true);
        ++*count;
        list = next;
    }
}

struct fixture {
    struct engine_epochs epochs;
    struct epoch_bag bag;
    size_t freed;
    struct object objects[64];
};

static int set_up(void **state)
{
    struct fixture *fixture = base_alloc_aligned(BASE_CACHE_LINE, sizeof *fixture);
    assert_non_null(fixture);
    memset(fixture, 0, sizeof *fixture);
    assert_int_equal(epochs_init(&fixture->epochs), 0);
    epoch_bag_init(&fixture->bag, &fixture->epochs, mark_freed, &fixture->freed);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    base_system_set(NULL);
    epochs_destroy(&fixture->epochs);
    base_free(fixture);
    return 0;
}

static void retire(struct fixture *fixture, unsigned number)
{
    (void)epoch_retire(&fixture->bag, &fixture->objects[number].retired, 100);
}

static void what_is_retired_while_nobody_reads_is_freed_by_the_next_reclaim(void **state)
{
    struct fixture *fixture = *state;
    retire(fixture, 0);
    retire(fixture, 1);
    assert_int_equal(epoch_retired_bytes(&fixture->epochs), 200);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 2);
    assert_true(fixture->objects[0].freed && fixture->objects[1].freed);
    assert_int_equal(epoch_retired_bytes(&fixture->epochs), 0);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 0);
}

static void a_section_holds_back_what_is_retired_after_it_began(void **state)
{
    struct fixture *fixture = *state;
    retire(fixture, 0);
    (void)epoch_reclaim(&fixture->epochs);
    uint32_t slot = epoch_enter(&fixture->epochs);
    retire(fixture, 1);
    for (int turn = 0; turn < 5; turn++) {
        assert_int_equal(epoch_reclaim(&fixture->epochs), 0);
    }
    assert_false(fixture->objects[1].freed);
    epoch_leave(&fixture->epochs, slot);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 1);
    assert_true(fixture->objects[1].freed);
}

static void a_section_does_not_hold_back_what_was_retired_before_it(void **state)
{
    struct fixture *fixture = *state;
    uint32_t early = epoch_enter(&fixture->epochs);
    retire(fixture, 0);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 0);
    uint32_t late = epoch_enter(&fixture->epochs);
    epoch_leave(&fixture->epochs, early);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 1);
    epoch_leave(&fixture->epochs, late);
}

static void sections_of_one_thread_nest_and_overlap(void **state)
{
    struct fixture *fixture = *state;
    uint32_t first = epoch_enter(&fixture->epochs);
    uint32_t second = epoch_enter(&fixture->epochs);
    assert_int_not_equal(first, second);
    retire(fixture, 0);
    epoch_leave(&fixture->epochs, first);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 0);
    epoch_leave(&fixture->epochs, second);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 1);
}

static void more_generations_than_there_is_room_for_are_merged(void **state)
{
    struct fixture *fixture = *state;
    uint32_t slot = epoch_enter(&fixture->epochs);
    for (unsigned number = 0; number < COUNT_OF(fixture->objects); number++) {
        retire(fixture, number);
        assert_int_equal(epoch_reclaim(&fixture->epochs), 0);
    }
    assert_int_equal(epoch_retired_bytes(&fixture->epochs), 100 * COUNT_OF(fixture->objects));
    epoch_leave(&fixture->epochs, slot);
    (void)epoch_reclaim(&fixture->epochs);
    assert_int_equal(fixture->freed, COUNT_OF(fixture->objects));
}

static uint64_t now_ns;

static uint64_t clock_of_test(void *context)
{
    (void)context;
    return now_ns;
}

static void the_oldest_section_is_named_with_its_age_and_what_it_holds(void **state)
{
    struct fixture *fixture = *state;
    struct base_system system = {.coarse = clock_of_test, .monotonic = clock_of_test};
    struct epoch_oldest oldest;
    base_system_set(&system);
    now_ns = 1000;
    assert_false(epoch_oldest(&fixture->epochs, &oldest));
    retire(fixture, 0);
    (void)epoch_reclaim(&fixture->epochs);
    uint32_t slot = epoch_enter(&fixture->epochs);
    retire(fixture, 1);
    retire(fixture, 2);
    (void)epoch_reclaim(&fixture->epochs);
    now_ns += 5 * BASE_NS_PER_S;
    uint32_t younger = epoch_enter(&fixture->epochs);
    retire(fixture, 3);
    assert_true(epoch_oldest(&fixture->epochs, &oldest));
    assert_int_equal(oldest.slot, slot);
    assert_int_equal(oldest.age_ns, 5 * BASE_NS_PER_S);
    assert_int_equal(oldest.held_bytes, 300);
    epoch_leave(&fixture->epochs, slot);
    assert_true(epoch_oldest(&fixture->epochs, &oldest));
    assert_int_equal(oldest.slot, younger);
    assert_int_equal(oldest.age_ns, 0);
    epoch_leave(&fixture->epochs, younger);
    assert_false(epoch_oldest(&fixture->epochs, &oldest));
}

static void a_bag_that_is_destroyed_frees_what_waits_in_it(void **state)
{
    struct fixture *fixture = *state;
    struct epoch_bag bag;
    size_t freed = 0;
    epoch_bag_init(&bag, &fixture->epochs, mark_freed, &freed);
    (void)epoch_retire(&bag, &fixture->objects[5].retired, 1);
    retire(fixture, 6);
    epoch_bag_destroy(&bag);
    assert_int_equal(freed, 1);
    assert_int_equal(epoch_reclaim(&fixture->epochs), 1);
}

struct waiter {
    struct engine_epochs *epochs;
    _Atomic bool entered;
};

static void enter_and_leave(void *context)
{
    struct waiter *waiter = context;
    uint32_t slot = epoch_enter(waiter->epochs);
    atomic_store(&waiter->entered, true);
    epoch_leave(waiter->epochs, slot);
}

static void who_finds_all_slots_taken_waits_for_one(void **state)
{
    struct fixture *fixture = *state;
    struct waiter waiter = {.epochs = &fixture->epochs};
    struct base_thread thread;
    bool taken[EPOCH_SLOTS] = {false};
    for (unsigned index = 0; index < EPOCH_SLOTS; index++) {
        uint32_t slot = epoch_enter(&fixture->epochs);
        assert_true(slot < EPOCH_SLOTS && !taken[slot]);
        taken[slot] = true;
    }
    assert_int_equal(base_thread_start(&thread, "waiter", enter_and_leave, &waiter), 0);
    while (atomic_load(&fixture->epochs.full_waiters) == 0) {
        base_yield();
    }
    assert_false(atomic_load(&waiter.entered));
    epoch_leave(&fixture->epochs, 77);
    base_thread_join(&thread);
    assert_true(atomic_load(&waiter.entered));
    for (uint32_t slot = 0; slot < EPOCH_SLOTS; slot++) {
        if (slot != 77) {
            epoch_leave(&fixture->epochs, slot);
        }
    }
}

/* Readers follow a pointer that a writer moves on; freed objects are poisoned. */
struct shared {
    struct engine_epochs epochs;
    struct epoch_bag bag;
    _Atomic(struct payload *) current;
    _Atomic uint32_t bad;
    _Atomic bool stop;
};

struct payload {
    struct epoch_retired retired;
    uint64_t value;
};

static void poison(void *context, struct epoch_retired *list)
{
    (void)context;
    while (list != NULL) {
        struct epoch_retired *next = epoch_retired_next(list);
        ((struct payload *)list)->value = 0;
        free(list);
        list = next;
    }
}

static void follow(void *context)
{
    struct shared *shared = context;
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        uint32_t slot = epoch_enter(&shared->epochs);
        struct payload *payload = atomic_load_explicit(&shared->current, memory_order_acquire);
        if (payload->value != 42) {
            atomic_fetch_add(&shared->bad, 1);
        }
        epoch_leave(&shared->epochs, slot);
    }
}

static void move_on(void *context)
{
    struct shared *shared = context;
    for (int turn = 0; turn < 20000; turn++) {
        struct payload *next = calloc(1, sizeof *next);
        if (next == NULL) {
            break;
        }
        next->value = 42;
        struct payload *old =
            atomic_exchange_explicit(&shared->current, next, memory_order_acq_rel);
        (void)epoch_retire(&shared->bag, &old->retired, sizeof *old);
        if (turn % 7 == 0) {
            (void)epoch_reclaim(&shared->epochs);
        }
    }
}

static void readers_never_see_what_was_freed(void **state)
{
    (void)state;
    struct shared *shared = base_alloc_aligned(BASE_CACHE_LINE, sizeof *shared);
    assert_non_null(shared);
    memset(shared, 0, sizeof *shared);
    assert_int_equal(epochs_init(&shared->epochs), 0);
    epoch_bag_init(&shared->bag, &shared->epochs, poison, NULL);
    struct payload *first = calloc(1, sizeof *first);
    assert_non_null(first);
    first->value = 42;
    atomic_store(&shared->current, first);
    struct base_thread threads[4];
    for (int index = 0; index < 4; index++) {
        assert_int_equal(
            base_thread_start(&threads[index], "epoch", index < 2 ? move_on : follow, shared), 0);
    }
    base_thread_join(&threads[0]);
    base_thread_join(&threads[1]);
    atomic_store(&shared->stop, true);
    base_thread_join(&threads[2]);
    base_thread_join(&threads[3]);
    assert_int_equal(atomic_load(&shared->bad), 0);
    free(atomic_load(&shared->current));
    epochs_destroy(&shared->epochs);
    base_free(shared);
}

int main(int argc, char **argv)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(what_is_retired_while_nobody_reads_is_freed_by_the_next_reclaim),
        WITH_FIXTURE(a_section_holds_back_what_is_retired_after_it_began),
        WITH_FIXTURE(a_section_does_not_hold_back_what_was_retired_before_it),
        WITH_FIXTURE(sections_of_one_thread_nest_and_overlap),
        WITH_FIXTURE(more_generations_than_there_is_room_for_are_merged),
        WITH_FIXTURE(the_oldest_section_is_named_with_its_age_and_what_it_holds),
        WITH_FIXTURE(a_bag_that_is_destroyed_frees_what_waits_in_it),
        WITH_FIXTURE(who_finds_all_slots_taken_waits_for_one),
        cmocka_unit_test(readers_never_see_what_was_freed),
    };
    return RUN_TESTS(tests, argc, argv);
}
