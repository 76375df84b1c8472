/*
 * The ranges of a rebuild, when one of them fails: what lies behind it is not walked, what lies in
 * front of it is, and what is reported is what comes first in the log. Threads are run one after
 * the other here, so that it is known which range fails first.
 */
#include "store.h"

#include "base/system.h"
#include "engine/engine.h"
#include "engine/rebuild.h"

#include <errno.h>
#include <stdio.h>

#define RECORDS 40000u /* five ranges of some segments each */

static void open_filled(struct store *store)
{
    char key[24], value[200];
    memset(value, 'v', sizeof value);
    store_open_with(store, STORE_SEGMENT, (uint64_t)64 << 20);
    store->engine_options.checkpoint_bytes = UINT64_MAX;
    store->engine_options.flags = WEIR_ENGINE_NO_CHECKPOINT;
    for (unsigned i = 0; i < RECORDS; i++) {
        struct weir_bytes bytes = {value, sizeof value};
        (void)snprintf(key, sizeof key, "key%u", i % 20000);
        assert_int_equal(weir_put(store->engine, 0, text(key), bytes, WEIR_NONE, NULL), 0);
    }
    settle(store);
    store_stop(store);
}

static void damage(struct store *store, unsigned segment)
{
    char name[32];
    uint64_t size;
    (void)snprintf(name, sizeof name, "segment-%016x", segment);
    uint8_t *bytes = sim_memory_bytes(store->keeper, name, false, &size);
    assert_non_null(bytes);
    bytes[100000] ^= 1;
}

static int refuse_thread(void *context, struct base_thread *thread, const char *name,
                         base_thread_main main, void *main_context)
{
    (void)context, (void)thread, (void)name, (void)main, (void)main_context;
    return -EAGAIN;
}

/* It ends before the thread that starts it goes on. */
static int run_thread(void *context, struct base_thread *thread, const char *name,
                      base_thread_main main, void *main_context)
{
    (void)context, (void)thread, (void)name;
    main(main_context);
    return 0;
}

static void join_nothing(void *context, struct base_thread *thread)
{
    (void)context, (void)thread;
}

/* Progress is told no more often than some time passes. */
static uint64_t hurry(void *context)
{
    static uint64_t now_ns;
    (void)context;
    return now_ns += 1000000000;
}

static const struct base_system no_threads = {
    .thread_start = refuse_thread, .thread_join = join_nothing, .coarse = hurry};
static const struct base_system the_other_first = {.thread_start = run_thread,
                                                   .thread_join = join_nothing};

static int count_call(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    (void)done_bytes, (void)all_bytes;
    ++*(unsigned *)context;
    return 0;
}

/* Opens the engine, which fails. Returns how often progress was told. */
static unsigned fail_to_open(struct store *store, unsigned threads,
                             const struct base_system *system, struct weir_error *ret_why)
{
    unsigned calls = 0;
    struct weir_log_options options = store->log_options;
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&store->disk, &options.custom_medium), 0);
    assert_int_equal(weir_log_open("memory", &options, &store->log, NULL), 0);
    store->engine_options.threads = threads;
    store->engine_options.progress = count_call;
    store->engine_options.progress_context = &calls;
    *ret_why = (struct weir_error)WEIR_ERROR_INIT;
    base_system_set(system);
    int rc = weir_engine_open(store->log, &store->engine_options, &store->engine, ret_why);
    base_system_set(NULL);
    assert_int_equal(rc, WEIR_E_DAMAGED);
    assert_int_equal(weir_log_close(store->log), 0);
    return calls;
}

static void ranges_behind_one_that_has_failed_are_not_walked(void **state)
{
    (void)state;
    struct store store;
    struct weir_error one, many;
    open_filled(&store);
    damage(&store, 3);
    /* Each range that is walked tells progress at its beginning. */
    assert_int_equal(fail_to_open(&store, 2, &no_threads, &many),
                     fail_to_open(&store, 1, &no_threads, &one));
    assert_int_equal(many.from_lsn, one.from_lsn);
    store.keeper->ops->destroy(store.keeper);
}

static void a_range_in_front_of_one_that_has_failed_is_walked_to_its_end(void **state)
{
    (void)state;
    struct store store;
    struct weir_error behind, first;
    open_filled(&store);
    damage(&store, 20);
    (void)fail_to_open(&store, 2, &the_other_first, &behind);
    assert_true(behind.from_lsn > RECORDS / 5);
    damage(&store, 3);
    (void)fail_to_open(&store, 2, &the_other_first, &first);
    assert_true(first.from_lsn > 1 && first.from_lsn < RECORDS / 5);
    store.keeper->ops->destroy(store.keeper);
}

/* Whoever is done first waits for the others no longer than a piece takes. */
static void work_is_dealt_out_in_portions_that_become_smaller(void **state)
{
    (void)state;
    for (uint32_t threads = 2; threads <= REBUILD_THREADS_MAX; threads++) {
        const uint64_t pieces = threads * REBUILD_PIECES_PER_THREAD, piece = 1000;
        uint64_t left = pieces * piece, before = left, portions = 0;
        while (left > 0) {
            uint64_t portion = rebuild_portion(left, piece, threads);
            assert_true(portion >= piece && portion <= before);
            assert_true(portion == piece || portion * 2 * threads <= left);
            assert_true(left > threads * piece || portion == piece);
            before = portion;
            left -= portion < left ? portion : left;
            portions++;
        }
        assert_true(portions < 10 * threads); /* each has buckets of its own, and a last chunk */
    }
    assert_int_equal(rebuild_portion(77, 1, 1), 77);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_behind_one_that_has_failed_are_not_walked),
        cmocka_unit_test(work_is_dealt_out_in_portions_that_become_smaller),
        cmocka_unit_test(a_range_in_front_of_one_that_has_failed_is_walked_to_its_end),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
