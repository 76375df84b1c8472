/* The window half of the contract in weir/medium.h, sentence by sentence. */
#include "tests/medium/contract.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK ((size_t)4096)
#define SEGMENT (64 * BLOCK)

static struct fixture *fixture_of(void **state)
{
    return *state;
}

static void window_open_checks_the_size(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = NULL;
    assert_int_equal(medium->ops->window_open(file, 0, &window), -EINVAL);
    assert_int_equal(medium->ops->window_open(file, 100, &window), -EINVAL);
    assert_int_equal(medium->ops->window_open(file, SEGMENT + BLOCK, &window), WEIR_E_CUT_SHORT);
    assert_null(window);
    medium->ops->window_close(open_window(medium, file, SEGMENT / 2));
    medium->ops->close(file);
}

static void load_brings_the_files_bytes_and_only_those(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    uint8_t *bytes = malloc(SEGMENT);
    assert_non_null(bytes);
    fill(bytes, SEGMENT, 2);
    assert_int_equal(medium->ops->write(file, 0, bytes, SEGMENT), 0);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    expect_fill(window->base, SEGMENT, 2);
    if (!medium->info.window_is_file) {
        memset(window->base, 0xee, SEGMENT);
        assert_int_equal(medium->ops->load(window, BLOCK, 2 * BLOCK), 0);
        assert_int_equal(window->base[BLOCK - 1], 0xee);
        assert_memory_equal(window->base + BLOCK, bytes + BLOCK, 2 * BLOCK);
        assert_int_equal(window->base[3 * BLOCK], 0xee);
    }
    medium->ops->window_close(window);
    medium->ops->close(file);
    free(bytes);
}

static void load_says_that_the_file_was_cut_short(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct weir_medium *medium = fixture->medium;
    if ((fixture->subject->flags & MEDIUM_IS_SIMULATED) != 0) {
        return; /* nobody cuts its files */
    }
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    char path[300];
    snprintf(path, sizeof path, "%s/a", fixture->directory);
    assert_int_equal(truncate(path, SEGMENT / 2 + 100), 0);
    assert_int_equal(medium->ops->load(window, SEGMENT / 2, SEGMENT / 2), WEIR_E_CUT_SHORT);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void a_persisted_range_is_in_the_file(void **state)
{
    static const struct {
        size_t offset, size;
    } rows[] = {{0, BLOCK}, {SEGMENT - BLOCK, BLOCK}, {BLOCK, 7 * BLOCK}, {0, SEGMENT}};
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    const uint8_t *base = window->base;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fill(window->base + rows[i].offset, rows[i].size, (unsigned)i);
        persist(medium, window, rows[i].offset, rows[i].size);
        assert_ptr_equal(window->base, base);
        uint8_t *back = read_back(medium, "a", rows[i].offset, rows[i].size);
        expect_fill(back, rows[i].size, (unsigned)i);
        free(back);
    }
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void what_is_not_persisted_is_in_the_file_only_where_the_window_is_the_file(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    fill(window->base, 3 * BLOCK, 4);
    persist(medium, window, BLOCK, BLOCK);
    uint8_t *back = read_back(medium, "a", 0, 3 * BLOCK);
    assert_memory_equal(back + BLOCK, window->base + BLOCK, BLOCK);
    if (medium->info.window_is_file) {
        expect_fill(back, 3 * BLOCK, 4);
    } else {
        expect_zeros(back, BLOCK);
        expect_zeros(back + 2 * BLOCK, BLOCK);
    }
    free(back);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void blocks_of_the_medium_can_be_persisted_one_by_one(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    size_t block = medium->info.block_bytes;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    fill(window->base, 4 * block, 6);
    for (size_t i = 0; i < 4; i++) {
        persist(medium, window, i * block, block);
    }
    uint8_t *back = read_back(medium, "a", 0, 4 * BLOCK);
    expect_fill(back, 4 * block, 6);
    free(back);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void a_write_without_a_flush_is_made_durable_by_flush_file(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    fill(window->base, 2 * BLOCK, 8);
    if (medium->ops->clean != NULL) {
        medium->ops->clean(window, 0, 2 * BLOCK);
    }
    int rc = medium->ops->persist(window, 0, 2 * BLOCK, WEIR_PERSIST_WRITE_ONLY, 5);
    assert_true(rc == 0 || rc == 1);
    if (rc == 0) {
        await(medium, 5);
    }
    flush_file(medium, window);
    uint8_t *back = read_back(medium, "a", 0, 2 * BLOCK);
    expect_fill(back, 2 * BLOCK, 8);
    free(back);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void a_copied_payload_needs_no_clean(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    if (medium->ops->copy == NULL) {
        return;
    }
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    size_t size = medium->info.copy_from_bytes + 13;
    uint8_t *payload = malloc(size);
    assert_non_null(payload);
    fill(payload, size, 12);
    medium->ops->copy(window, 88, payload, size);
    memset(window->base, 1, 64);
    medium->ops->clean(window, 0, 64);
    assert_int_equal(medium->ops->persist(window, 0, 2 * BLOCK, 0, 1), 1);
    expect_fill(window->base + 88, size, 12);
    free(payload);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

/* ---- completions ---- */

static bool in_flight(int rc)
{
    assert_true(rc == 0 || rc == 1);
    return rc == 0;
}

static void poll_has_nothing_when_nothing_is_in_flight(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_completion completion;
    assert_int_equal(medium->ops->poll(medium, &completion, 1, 0), 0);
    assert_int_equal(medium->ops->poll(medium, &completion, 1, -1), 0);
    assert_int_equal(medium->ops->poll(medium, &completion, 1, INT64_C(1) << 50), 0);
}

static void each_token_comes_back_once(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    unsigned started = 0, seen = 0;
    uint32_t depth = medium->info.queue_depth;
    for (uint32_t i = 0; i < depth; i++) {
        int rc = i % 2 == 0 ? medium->ops->persist(window, i * BLOCK, BLOCK, 0, i)
                            : medium->ops->flush_file(window, i);
        started |= in_flight(rc) ? 1u << i : 0;
    }
    assert_int_equal(started == 0, !medium->info.asynchronous);
    if (medium->info.asynchronous) {
        assert_int_equal(medium->ops->persist(window, 0, BLOCK, 0, 99), -EBUSY);
        assert_int_equal(medium->ops->flush_file(window, 99), -EBUSY);
    }
    while (seen != started) {
        struct weir_completion completions[3];
        int count = medium->ops->poll(medium, completions, 3, -1);
        assert_in_range(count, 1, 3);
        for (int i = 0; i < count; i++) {
            assert_int_equal(completions[i].result, 0);
            assert_true(completions[i].token < depth);
            assert_int_equal(seen & 1u << completions[i].token, 0);
            seen |= 1u << completions[i].token;
        }
    }
    struct weir_completion completion;
    assert_int_equal(medium->ops->poll(medium, &completion, 1, -1), 0);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, timeout_ms) == 1;
}

static void the_eventfd_is_readable_while_poll_has_something(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    int fd = -1, again = -1;
    assert_int_equal(medium->ops->eventfd(medium, &fd), 0);
    assert_int_equal(medium->ops->eventfd(medium, &again), 0);
    assert_int_equal(fd, again);
    assert_false(is_readable(fd, 0));
    int first = medium->ops->persist(window, 0, BLOCK, 0, 1);
    if (in_flight(first)) {
        assert_int_equal(medium->ops->persist(window, BLOCK, BLOCK, 0, 2), 0);
        struct weir_completion completion;
        for (int left = 2; left > 0; left--) {
            assert_true(is_readable(fd, 10000));
            assert_int_equal(medium->ops->poll(medium, &completion, 1, 0), 1);
        }
    }
    assert_false(is_readable(fd, 0));
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void an_eventfd_made_late_knows_what_came_before(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    bool started = in_flight(medium->ops->persist(window, 0, BLOCK, 0, 1));
    int fd = -1;
    assert_int_equal(medium->ops->eventfd(medium, &fd), 0);
    if (started) {
        assert_true(is_readable(fd, 10000));
        await(medium, 1);
    }
    assert_false(is_readable(fd, 0));
    medium->ops->window_close(window);
    medium->ops->close(file);
}

struct persist_call {
    struct weir_medium *medium;
    struct weir_window *window;
    bool flush;
    int rc;
};

static void *run_persist(void *context)
{
    struct persist_call *call = context;
    call->rc = call->flush ? call->medium->ops->flush_file(call->window, 3)
                           : call->medium->ops->persist(call->window, 0, BLOCK, 0, 3);
    return NULL;
}

/* A group is made durable also when the thread that started it has returned and gone. */
static void what_an_exited_thread_started_completes(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct weir_medium *medium = fixture->medium;
    if (strstr(fixture->subject->name, "single") != NULL) {
        return; /* driven by one thread only */
    }
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
    for (unsigned round = 0; round < 20; round++) {
        fill(window->base, BLOCK, round);
        struct persist_call call = {.medium = medium, .window = window, .flush = round % 2 == 1};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, run_persist, &call), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (in_flight(call.rc)) {
            await(medium, 3);
        }
        if (!call.flush) {
            uint8_t *back = read_back(medium, "a", 0, BLOCK);
            expect_fill(back, BLOCK, round);
            free(back);
        }
    }
    medium->ops->window_close(window);
    medium->ops->close(file);
}

/* ---- freezing and closing ---- */

static void freezing_keeps_address_and_bytes(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    const uint8_t *base = window->base;
    fill(window->base, SEGMENT, 10);
    persist(medium, window, 0, SEGMENT);
    assert_int_equal(medium->ops->freeze(window), 0);
    assert_ptr_equal(window->base, base);
    expect_fill(base, SEGMENT, 10);
    assert_int_equal(medium->ops->remove(medium, "a"), 0);
    expect_fill(base, SEGMENT, 10);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

struct watch {
    const uint8_t *base;
    _Atomic bool stop;
    _Atomic unsigned turns;
    bool differed;
};

static void *watch_bytes(void *context)
{
    struct watch *watch = context;
    while (!watch->stop) {
        for (size_t i = 0; i < SEGMENT; i += 512) {
            if (((const volatile uint8_t *)watch->base)[i] != 0x5b) {
                watch->differed = true;
            }
        }
        watch->turns++;
    }
    return NULL;
}

/* A reader that holds a pointer sees the same bytes all the time, whatever is mapped below. */
static void freezing_is_invisible_to_a_reader(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    for (unsigned round = 0; round < 10; round++) {
        struct weir_file *file = create_file(medium, "a", SEGMENT);
        struct weir_window *window = open_window(medium, file, SEGMENT);
        memset(window->base, 0x5b, SEGMENT);
        persist(medium, window, 0, SEGMENT);
        struct watch watch = {.base = window->base};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, watch_bytes, &watch), 0);
        while (watch.turns == 0) {
            sched_yield();
        }
        int rc = medium->ops->freeze(window);
        unsigned turns = watch.turns;
        while (watch.turns < turns + 2) {
            sched_yield();
        }
        watch.stop = true;
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(rc, 0);
        assert_false(watch.differed);
        medium->ops->window_close(window);
        medium->ops->close(file);
        assert_int_equal(medium->ops->remove(medium, "a"), 0);
    }
}

static void a_store_into_a_frozen_window_is_a_fault(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct weir_medium *medium = fixture->medium;
    bool simulated = (fixture->subject->flags & MEDIUM_IS_SIMULATED) != 0;
    if (simulated && medium->info.window_is_file) {
        return; /* its memory is the simulated disk itself */
    }
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    memset(window->base, 1, SEGMENT);
    persist(medium, window, 0, SEGMENT);
    assert_int_equal(medium->ops->freeze(window), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)window->base = 2;
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

static void a_file_outlives_its_window_and_takes_another(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    for (unsigned round = 0; round < 3; round++) {
        struct weir_window *window = open_window(medium, file, SEGMENT);
        assert_int_equal(medium->ops->load(window, 0, SEGMENT), 0);
        if (round > 0) {
            expect_fill(window->base, SEGMENT, round - 1);
        }
        fill(window->base, SEGMENT, round);
        persist(medium, window, 0, SEGMENT);
        if (round == 1) {
            assert_int_equal(medium->ops->freeze(window), 0);
        }
        medium->ops->window_close(window);
        uint8_t block[BLOCK];
        size_t got = 0;
        assert_int_equal(medium->ops->read(file, 0, block, BLOCK, &got), 0);
        expect_fill(block, BLOCK, round);
    }
    medium->ops->close(file);
}

static void two_windows_do_not_meet(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *one = create_file(medium, "1", SEGMENT);
    struct weir_file *two = create_file(medium, "2", SEGMENT);
    struct weir_window *first = open_window(medium, one, SEGMENT);
    struct weir_window *second = open_window(medium, two, SEGMENT);
    fill(first->base, SEGMENT, 1);
    fill(second->base, SEGMENT, 2);
    persist(medium, second, 0, SEGMENT);
    persist(medium, first, 0, SEGMENT);
    uint8_t *back_one = read_back(medium, "1", 0, SEGMENT);
    uint8_t *back_two = read_back(medium, "2", 0, SEGMENT);
    expect_fill(back_one, SEGMENT, 1);
    expect_fill(back_two, SEGMENT, 2);
    free(back_one);
    free(back_two);
    medium->ops->window_close(first);
    medium->ops->window_close(second);
    medium->ops->close(one);
    medium->ops->close(two);
}

/* How another process follows an open segment: a window of its own, loaded up to durable. */
static void a_reader_has_a_window_that_only_load_changes(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct weir_medium *medium = fixture->medium;
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    fill(window->base, SEGMENT, 3);
    persist(medium, window, 0, SEGMENT);
    struct weir_medium *reader = open_another(fixture, true);
    struct weir_file *shared = open_file(reader, "a", WEIR_FILE_READ);
    struct weir_window *mine = open_window(reader, shared, SEGMENT);
    assert_int_equal(reader->ops->load(mine, 0, SEGMENT), 0);
    expect_fill(mine->base, SEGMENT, 3);
    assert_int_equal(reader->ops->persist(mine, 0, BLOCK, 0, 1), -EROFS);
    assert_int_equal(reader->ops->flush_file(mine, 1), -EROFS);
    fill(window->base, SEGMENT, 4);
    persist(medium, window, 0, SEGMENT);
    assert_int_equal(reader->ops->load(mine, 0, SEGMENT), 0);
    expect_fill(mine->base, SEGMENT, 4);
    reader->ops->window_close(mine);
    reader->ops->close(shared);
    reader->ops->destroy(reader);
    medium->ops->window_close(window);
    medium->ops->close(file);
}

const struct contract_test window_contract[] = {
    CONTRACT_TEST(window_open_checks_the_size),
    CONTRACT_TEST(load_brings_the_files_bytes_and_only_those),
    CONTRACT_TEST(load_says_that_the_file_was_cut_short),
    CONTRACT_TEST(a_persisted_range_is_in_the_file),
    CONTRACT_TEST(what_is_not_persisted_is_in_the_file_only_where_the_window_is_the_file),
    CONTRACT_TEST(blocks_of_the_medium_can_be_persisted_one_by_one),
    CONTRACT_TEST(a_write_without_a_flush_is_made_durable_by_flush_file),
    CONTRACT_TEST(a_copied_payload_needs_no_clean),
    CONTRACT_TEST(poll_has_nothing_when_nothing_is_in_flight),
    CONTRACT_TEST(each_token_comes_back_once),
    CONTRACT_TEST(the_eventfd_is_readable_while_poll_has_something),
    CONTRACT_TEST(an_eventfd_made_late_knows_what_came_before),
    CONTRACT_TEST(what_an_exited_thread_started_completes),
    CONTRACT_TEST(freezing_keeps_address_and_bytes),
    CONTRACT_TEST(freezing_is_invisible_to_a_reader),
    CONTRACT_TEST(a_store_into_a_frozen_window_is_a_fault),
    CONTRACT_TEST(a_file_outlives_its_window_and_takes_another),
    CONTRACT_TEST(two_windows_do_not_meet),
    CONTRACT_TEST(a_reader_has_a_window_that_only_load_changes),
};

const size_t window_contract_count = sizeof window_contract / sizeof *window_contract;
